"""Intervals for a paper's numbers where it prints none, from the numbers of patients it prints; 95 %."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

Interval = tuple[float, float]
#: A p value has no interval; it comes out where it lies on the same side of this.
SIGNIFICANT = 0.05


def of_mean(mean: float, sd: float, n: int) -> Interval:
    """By Student's t."""
    half = stats.t.ppf(0.975, n - 1) * sd / math.sqrt(n)
    return mean - half, mean + half


def of_sd(sd: float, n: int) -> Interval:
    """By chi-square, for a normal variable."""
    low, high = (math.sqrt((n - 1) / stats.chi2.ppf(q, n - 1)) for q in (0.975, 0.025))
    return sd * low, sd * high


def of_share(share: float, n: int) -> Interval:
    """Clopper and Pearson's, of the nearest count."""
    found = stats.binomtest(round(share * n), n).proportion_ci(0.95, "exact")
    return float(found.low), float(found.high)


def of_area(auc: float, events: int, others: int) -> Interval:
    """Of an area under a ROC curve: Hanley and McNeil, Radiology 1982;143:29."""
    half = 1.96 * area_error(auc, events, others)
    return auc - half, min(1.0, auc + half)


def area_error(auc: float, events: int, others: int) -> float:
    """Hanley and McNeil's standard error of an area."""
    first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    return math.sqrt((auc * (1 - auc) + (events - 1) * (first - auc**2) + (others - 1) * (second - auc**2)) / (events * others))


def of_correlation(r: float, n: int, ranks: bool = False) -> Interval:
    """Fisher's z; of ranks with Fieller's variance of 1.06 / (n - 3)."""
    half = 1.96 * math.sqrt((1.06 if ranks else 1.0) / (n - 3))
    return tuple(np.tanh(np.arctanh(r) + np.array([-half, half])).tolist())


def of_p(p: float) -> Interval:
    """The same side of 0.05."""
    return (0.0, SIGNIFICANT) if p < SIGNIFICANT else (SIGNIFICANT, 1.0)
