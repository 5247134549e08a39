"""A paper's numbers against each other: what one of them must be if the others hold, within the rounding of what is printed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import stats
from scipy.special import ndtr

#: Profile intervals are not quite symmetric: an odds ratio may lie this far from the middle, in standard errors, and its z be off by this share.
OFF_MIDDLE, OFF_Z = 0.25, 0.15


@dataclass(frozen=True)
class Check:
    """low and high: what the other numbers allow for ``printed``, rounding included; how: from which, and by what."""

    place: str
    what: str
    printed: float
    low: float
    high: float
    how: str

    def row(self) -> dict:
        """A row of the table ``paper_checks``."""
        fits = self.low <= self.printed <= self.high
        return dict(
            place=self.place,
            what=self.what,
            printed=self.printed,
            low=self.low,
            high=self.high,
            fits="yes" if fits else "no",
            how=self.how,
        )


def rounded(function: Callable, *numbers: str) -> tuple[float, float]:
    """The least and largest value of a function over the rounding of its arguments, given as they are printed ("4.14" is 4.135 to 4.145)."""
    ends = []
    for text in numbers:
        half = 0.5 * 10.0 ** -len(text.partition(".")[2]) if "." in text else 0.0  # a whole number is a count
        ends.append((float(text) - half, float(text) + half))
    found = [function(*corner) for corner in product(*ends)]
    return float(min(found)), float(max(found))


def _around_p(place: str, what: str, printed: str, ends: tuple[float, float], how: str) -> Check:
    """A p value: its own rounding added; "<0.001" fits all below."""
    if printed.startswith("<"):
        limit = float(printed[1:])
        return Check(place, what, limit, limit if ends[0] < limit else ends[0], max(ends[1], limit), how)
    half = 0.5 * 10.0 ** -len(printed.partition(".")[2])
    return Check(place, what, float(printed), ends[0] - half, ends[1] + half, how)


def t_test(place: str, what: str, p: str, first: tuple[str, str, int], second: tuple[str, str, int]) -> Check:
    """p of two means given as (mean, SD, n), by Student's or Welch's t."""

    def of(m1, s1, m2, s2):
        both = [stats.ttest_ind_from_stats(m1, s1, first[2], m2, s2, second[2], equal_var=equal).pvalue for equal in (True, False)]
        return both

    texts = (*first[:2], *second[:2])
    low, high = rounded(lambda *a: min(of(*a)), *texts)[0], rounded(lambda *a: max(of(*a)), *texts)[1]
    return _around_p(place, f"{what}: p", p, (low, high), "means, SDs and numbers, by Student's or Welch's t")


def chi_square(place: str, what: str, p: str, first: tuple[int, int], second: tuple[int, int]) -> Check:
    """p of two shares given as (count, of), by chi-square with or without continuity correction, or Fisher's test."""
    table = np.array([[first[0], first[1] - first[0]], [second[0], second[1] - second[0]]])
    found = [stats.chi2_contingency(table, correction=corrected).pvalue for corrected in (False, True)]
    nearest = min([*found, stats.fisher_exact(table)[1]], key=lambda one: abs(one - float(p.lstrip("<"))))
    return _around_p(
        place, f"{what}: p", p, (nearest, nearest), "counts, by the nearest of chi-square with and without correction and Fisher"
    )


def share(place: str, what: str, printed: str, of: int) -> Check:
    """A share that must be a whole count of ``of``."""
    value, half = float(printed), 10.0 ** -len(printed.partition(".")[2])  # rounded or cut off
    nearest = round(value * of) / of
    return Check(
        place,
        what,
        value,
        nearest - half - 1e-9,
        nearest + half + 1e-9,
        f"a whole count of {of}: the nearest is {round(value * of)}",
    )


def odds_ratio(place: str, what: str, value: str, low: str, high: str, p: str) -> tuple[Check, Check]:
    """An odds ratio must lie about midway in its interval on the log scale, and its p value follow from both."""
    off = math.exp(OFF_MIDDLE * math.log(float(high) / float(low)) / 3.92)
    ends = rounded(lambda a, b: math.sqrt(a * b), low, high)
    middle = Check(
        place,
        f"{what}: odds ratio",
        float(value),
        ends[0] / off,
        ends[1] * off,
        "middle of its interval on the log scale, a quarter of its SE to either side",
    )

    def p_of(v, a, b):
        z = abs(math.log(v)) / (math.log(b / a) / 3.92)
        return [2 * stats.norm.sf(z * (1 + share)) for share in (OFF_Z, -OFF_Z)]

    p_ends = rounded(lambda *all: p_of(*all)[0], value, low, high)[0], rounded(lambda *all: p_of(*all)[1], value, low, high)[1]
    return middle, _around_p(place, f"{what}: p of the odds ratio", p, p_ends, "odds ratio and interval, by Wald, z within 15 %")


def center(place: str, what: str, value: str, low: str, high: str) -> Check:
    """An area must lie midway in its DeLong interval."""
    ends = rounded(lambda a, b: (a + b) / 2, low, high)
    half = 0.5 * 10.0 ** -len(value.partition(".")[2])
    return Check(place, f"{what}: AUC", float(value), ends[0] - half, ends[1] + half, "middle of its interval")


def normal_area(place: str, what: str, auc: str, first: tuple[str, str], second: tuple[str, str], margin: float) -> Check:
    """The area of two normal groups of (mean, SD), give or take ``margin``, half the interval of an area of so many cases."""
    ends = rounded(lambda m1, s1, m2, s2: float(ndtr(abs(m1 - m2) / math.hypot(s1, s2))), *first, *second)
    return Check(
        place,
        f"{what}: AUC",
        float(auc),
        ends[0] - margin,
        ends[1] + margin,
        "means and SDs, if normal; within the interval of so many cases",
    )


def fisher_z(place: str, what: str, p: str, first: tuple[str, int], second: tuple[str, int]) -> Check:
    """p of two correlations given as (r, n)."""

    def of(a, b):
        return 2 * stats.norm.sf(abs(np.arctanh(a) - np.arctanh(b)) / math.sqrt(1 / (first[1] - 3) + 1 / (second[1] - 3)))

    return _around_p(place, what, p, rounded(of, first[0], second[0]), "both correlations, by Fisher's z")


def pooled(place: str, what: str, mean: str, sd: str, *groups: tuple[str, str, int]) -> tuple[Check, Check]:
    """Mean and SD of groups given as (mean, SD, n) taken together."""
    sizes = np.array([group[2] for group in groups])
    texts = [text for group in groups for text in group[:2]]

    def of_mean(*values):
        return float(np.average(values[::2], weights=sizes))

    def of_sd(*values):
        middle, spread = np.array(values[::2]), np.array(values[1::2])
        between = sizes * (middle - of_mean(*values)) ** 2
        return math.sqrt(float(np.sum((sizes - 1) * spread**2 + between)) / (sizes.sum() - 1))

    found = []
    for name, printed, function in (("mean", mean, of_mean), ("SD", sd, of_sd)):
        low, high = rounded(function, *texts)
        half = 0.5 * 10.0 ** -len(printed.partition(".")[2])
        found.append(Check(place, f"{what}: {name}", float(printed), low - half, high + half, "the groups' means, SDs and numbers"))
    return tuple(found)
