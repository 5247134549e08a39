"""Intraclass correlation in its usual forms, with the standard error of measurement and the least detectable change.

Written here because neither scipy nor statsmodels has it: Shrout and Fleiss, Psychol Bull 1979;86:420; intervals: McGraw and Wong,
Psychol Methods 1996;1:30; standard error: de Vet et al., J Clin Epidemiol 2006;59:1033; words: Koo and Li, J Chiropr Med 2016;15:155.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

#: Form -> what it is.
FORMS = {
    "(1,1)": "one-way, single reading: each case read by other readers",
    "(2,1)": "two-way random, absolute agreement, single reading",
    "(2,k)": "two-way random, absolute agreement, mean of k readings",
    "(3,1)": "two-way mixed, consistency, single reading: a constant difference between readers does not count",
    "(3,k)": "two-way mixed, consistency, mean of k readings",
}
#: Koo and Li 2016.
BANDS = ((0.5, "poor"), (0.75, "moderate"), (0.9, "good"), (np.inf, "excellent"))


@dataclass(frozen=True)
class Form:
    """An ICC with its 95 % interval (nan where readers agree to the last digit), and the standard error of measurement in the readings' unit."""

    value: float
    low: float
    high: float
    standard_error: float

    @property
    def least_detectable_change(self) -> float:
        """The smallest change between two readings that is beyond their error, with 95 % confidence."""
        return float(1.96 * np.sqrt(2) * self.standard_error)

    @property
    def band(self) -> str:
        """Koo and Li's words for the two ends of the interval."""
        ends = (self.low, self.high) if np.isfinite([self.low, self.high]).all() else (self.value, self.value)
        words = [next(word for limit, word in BANDS if end < limit) for end in ends if np.isfinite(end)]
        return " to ".join(dict.fromkeys(words))


def icc_forms(readings: np.ndarray) -> dict[str, Form]:
    """Every form of ``FORMS`` for ``readings`` (cases, readers), none missing, two or more of both; nan where all are one number.

    >>> round(icc_forms(np.array([[1.0, 2], [3, 4], [5, 6]]))["(2,1)"].value, 3)
    0.889
    """
    readings = np.asarray(readings, float)
    n, k = readings.shape
    cases, readers, error = _mean_squares(readings)
    within = (readers * (k - 1) + error * (n - 1) * (k - 1)) / (n * (k - 1))
    absolute = np.sqrt(max(readers - error, 0.0) / n + error)
    spread = cases + (k - 1) * error + k * (readers - error) / n
    if spread <= 0 or cases + within <= 0:
        return {name: Form(np.nan, np.nan, np.nan, 0.0) for name in FORMS}
    two = (cases - error) / spread
    low, high = _interval(two, n, k, cases, readers, error)
    return {
        "(1,1)": _by_f(cases, within, n, k, n * (k - 1), np.sqrt(within)),
        "(2,1)": Form(float(two), low, high, float(absolute)),
        "(2,k)": Form(*(_of_means(value, k) for value in (two, low, high)), float(absolute / np.sqrt(k))),
        "(3,1)": (three := _by_f(cases, error, n, k, (n - 1) * (k - 1), np.sqrt(error))),
        "(3,k)": Form(*(_of_means(value, k) for value in (three.value, three.low, three.high)), float(np.sqrt(error / k))),
    }


def _mean_squares(readings: np.ndarray) -> tuple[float, float, float]:
    """Between cases, between readers, and of the rest."""
    n, k = readings.shape
    mean = readings.mean()
    cases, readers = readings.mean(axis=1, keepdims=True), readings.mean(axis=0, keepdims=True)
    rest = readings - cases - readers + mean
    return (
        float(k * np.sum((cases - mean) ** 2) / (n - 1)),
        float(n * np.sum((readers - mean) ** 2) / (k - 1)),
        float(np.sum(rest**2) / ((n - 1) * (k - 1))),
    )


def _of_means(single: float, k: int) -> float:
    """Spearman and Brown: the reliability of the mean of k readings."""
    return float(k * single / (1 + (k - 1) * single))


def _by_f(cases: float, rest: float, n: int, k: int, freedom: int, standard_error: float) -> Form:
    """A form that is one F ratio: of one-way analysis, or of two-way analysis without the readers' differences."""
    single = (cases - rest) / (cases + (k - 1) * rest)
    if single > 1 - 1e-12:
        return Form(1.0, np.nan, np.nan, float(standard_error))
    ratio = cases / rest
    ends = (ratio / stats.f.ppf(0.975, n - 1, freedom), ratio * stats.f.ppf(0.975, freedom, n - 1))
    return Form(float(single), *(float((end - 1) / (end + k - 1)) for end in ends), float(standard_error))


def _interval(single: float, n: int, k: int, cases: float, readers: float, error: float) -> tuple[float, float]:
    """Of ICC(2,1)."""
    if single > 1 - 1e-12:
        return np.nan, np.nan
    a = k * single / (n * (1 - single))
    b = 1 + k * single * (n - 1) / (n * (1 - single))
    freedom = (a * readers + b * error) ** 2 / ((a * readers) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1)))
    below, above = stats.f.ppf(0.975, n - 1, freedom), stats.f.ppf(0.975, freedom, n - 1)
    noise = k * readers + (k * n - k - n) * error
    low = n * (cases - below * error) / (below * noise + n * cases)
    high = n * (above * cases - error) / (noise + n * above * cases)
    return float(low), float(high)
