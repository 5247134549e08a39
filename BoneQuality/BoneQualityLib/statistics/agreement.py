"""How well readers agree: intraclass correlation and Bland-Altman limits.

The ICC is written here because neither scipy nor statsmodels has it: Shrout and Fleiss, Psychol Bull 1979;86:420; its interval
after McGraw and Wong, Psychol Methods 1996;1:30. Limits of agreement: Bland and Altman, Lancet 1986;1:307.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from .cohort import READER, READING, Cohort

#: Fewer cases than this say little of agreement (Koo and Li 2016).
FEW, FEWEST = 30, 3


@dataclass(frozen=True)
class Icc:
    """Two-way random effects, absolute agreement: of a single reading, ICC(2,1), and of the mean of k, ICC(2,k)."""

    single: float
    single_ci: tuple[float, float]
    mean: float
    mean_ci: tuple[float, float]


@dataclass(frozen=True)
class Limits:
    """Of the differences first - second: their mean and SD, and the limits mean -+ 1.96 SD, each with a 95 % interval."""

    bias: float
    bias_ci: tuple[float, float]
    sd: float
    low: float
    low_ci: tuple[float, float]
    high: float
    high_ci: tuple[float, float]


def icc(readings: np.ndarray) -> Icc:
    """ICC(2,1) and ICC(2,k) of ``readings`` (cases, readers), none missing, two or more of both.

    nan where all readings are the same number; intervals are nan where readers agree to the last digit.

    >>> round(icc(np.array([[1.0, 2], [3, 4], [5, 6]])).single, 3)
    0.889
    """
    readings = np.asarray(readings, float)
    n, k = readings.shape
    between_cases, between_readers, error = _mean_squares(readings)
    spread = between_cases + (k - 1) * error + k * (between_readers - error) / n
    if spread <= 0:
        nan = (np.nan, np.nan)
        return Icc(np.nan, nan, np.nan, nan)
    single = (between_cases - error) / spread
    low, high = _interval(single, n, k, between_cases, between_readers, error)
    return Icc(float(single), (low, high), _of_means(single, k), (_of_means(low, k), _of_means(high, k)))


def _mean_squares(readings: np.ndarray) -> tuple[float, float, float]:
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


def _interval(single: float, n: int, k: int, between_cases: float, between_readers: float, error: float) -> tuple[float, float]:
    if single > 1 - 1e-12:
        return np.nan, np.nan
    a = k * single / (n * (1 - single))
    b = 1 + k * single * (n - 1) / (n * (1 - single))
    freedom = (a * between_readers + b * error) ** 2 / (
        (a * between_readers) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    )
    below, above = stats.f.ppf(0.975, n - 1, freedom), stats.f.ppf(0.975, freedom, n - 1)
    noise = k * between_readers + (k * n - k - n) * error
    low = n * (between_cases - below * error) / (below * noise + n * between_cases)
    high = n * (above * between_cases - error) / (noise + n * above * between_cases)
    return float(low), float(high)


def limits(first: np.ndarray, second: np.ndarray) -> Limits:
    """Bland and Altman's bias and limits of agreement of paired readings (n,), n two or more."""
    differences = np.asarray(first, float) - np.asarray(second, float)
    n, bias, sd = len(differences), float(differences.mean()), float(differences.std(ddof=1))
    t = stats.t.ppf(0.975, n - 1)
    of_bias, of_limits = t * sd / np.sqrt(n), t * sd * np.sqrt(3 / n)
    low, high = bias - 1.96 * sd, bias + 1.96 * sd
    around = [(float(x - half), float(x + half)) for x, half in ((bias, of_bias), (low, of_limits), (high, of_limits))]
    return Limits(bias, around[0], sd, low, around[1], high, around[2])


def agreement_rows(cohort: Cohort) -> list[dict]:
    """Rows of the table ``agreement``: all readers, every two of them, and each reader's first two readings."""
    if cohort.readings is None:
        return []
    rows = []
    for measure in cohort.measures:
        rows += [
            row for kind, names, pair in compared(cohort, measure.name) if (row := _row(cohort, measure.name, kind, names, pair))
        ]
    return rows


def compared(cohort: Cohort, measure: str):
    """(kind, readers, readings (cases, k)) of every comparison, cases with all k readings."""
    readings = cohort.readings.dropna(subset=[measure])
    first = readings[readings[READING] == 0].pivot(index="case_id", columns=READER, values=measure)
    readers = sorted(first.columns)
    groups = [readers] if len(readers) > 2 else []
    for names in (*groups, *map(list, combinations(readers, 2))):
        yield "inter", names, first[names].dropna().to_numpy()
    for reader in readers:
        own = readings[(readings[READER] == reader) & (readings[READING] < 2)]
        twice = own.pivot(index="case_id", columns=READING, values=measure).dropna()
        if twice.shape[1] == 2 and len(twice):
            yield "intra", [reader], twice.to_numpy()


def _row(cohort: Cohort, measure: str, kind: str, names: list[str], readings: np.ndarray) -> dict | None:
    n, k = readings.shape
    shown = " and ".join(names)
    if n < FEWEST:
        cohort.warn(f"{measure}: {n} cases were read by {shown}{' twice' * (kind == 'intra')}; at least {FEWEST} are needed.")
        return None
    if n < FEW:
        cohort.warn(f"{measure}: {n} cases were read by {shown}{' twice' * (kind == 'intra')}; under {FEW} the ICC is uncertain.")
    found = icc(readings)
    row = dict(measure=measure, kind=kind, readers=shown, n=n, k=k, mean_first=readings[:, 0].mean())
    row.update(zip(("icc_single", "icc_single_low", "icc_single_high"), (found.single, *found.single_ci)))
    row.update(zip(("icc_mean", "icc_mean_low", "icc_mean_high"), (found.mean, *found.mean_ci)))
    if k == 2:
        there = limits(readings[:, 0], readings[:, 1])
        row.update(mean_second=readings[:, 1].mean(), sd_difference=there.sd)
        for name, value, ends in (
            ("bias", there.bias, there.bias_ci), ("lower_limit", there.low, there.low_ci), ("upper_limit", there.high, there.high_ci)
        ):  # fmt: skip
            row.update({name: value, f"{name}_low": ends[0], f"{name}_high": ends[1]})
    return row
