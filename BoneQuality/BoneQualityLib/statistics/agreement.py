"""How well readers agree: Bland and Altman's limits (Lancet 1986;1:307), and the intraclass correlations of every comparison."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from .cohort import READER, READING, Cohort
from .intraclass import icc_forms

#: Fewer cases than this say little of agreement (Koo and Li 2016).
FEW, FEWEST = 30, 3


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

    def cells(self) -> dict:
        """bias, lower_limit and upper_limit with their intervals as a table has them."""
        found = (
            ("bias", self.bias, self.bias_ci),
            ("lower_limit", self.low, self.low_ci),
            ("upper_limit", self.high, self.high_ci),
        )
        return {
            key: cell
            for name, value, ends in found
            for key, cell in ((name, value), (f"{name}_low", ends[0]), (f"{name}_high", ends[1]))
        }


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
    return [_row(*found) for found in _comparisons(cohort)]


def reliability_rows(cohort: Cohort) -> list[dict]:
    """Rows of the table ``reliability``: every form of the ICC of each comparison, with its standard error of measurement."""
    rows = []
    for measure, kind, names, readings in _comparisons(cohort):
        n, k = readings.shape
        row = dict(measure=measure, kind=kind, readers=" and ".join(names), n=n, k=k)
        rows += [row | found for found in form_rows(readings)]
    return rows


def form_rows(readings: np.ndarray) -> list[dict]:
    """form, icc, its interval, band, sem and ldc of every form for ``readings`` (cases, k)."""
    return [
        dict(form=name, icc=form.value, icc_low=form.low, icc_high=form.high, band=form.band, sem=form.standard_error,
             ldc=form.least_detectable_change)
        for name, form in icc_forms(readings).items()
    ]  # fmt: skip


def _comparisons(cohort: Cohort):
    """(measure, kind, readers, readings) of every comparison of enough cases; warns of the others."""
    for measure in cohort.measures if cohort.readings is not None else ():
        for kind, names, readings in compared(cohort, measure.name):
            said = f"{measure.name}: {len(readings)} cases were read by {' and '.join(names)}{' twice' * (kind == 'intra')};"
            if len(readings) < FEW:
                cohort.warn(
                    f"{said} at least {FEWEST} are needed."
                    if len(readings) < FEWEST
                    else f"{said} under {FEW} the ICC is uncertain."
                )
            if len(readings) >= FEWEST:
                yield measure.name, kind, names, readings


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


def _row(measure: str, kind: str, names: list[str], readings: np.ndarray) -> dict:
    n, k = readings.shape
    row = dict(measure=measure, kind=kind, readers=" and ".join(names), n=n, k=k, mean_first=readings[:, 0].mean())
    for name, form in zip(("icc_single", "icc_mean"), (icc_forms(readings)[of] for of in ("(2,1)", "(2,k)"))):
        row |= {name: form.value, f"{name}_low": form.low, f"{name}_high": form.high}
    if k == 2:
        there = limits(readings[:, 0], readings[:, 1])
        row |= dict(mean_second=readings[:, 1].mean(), sd_difference=there.sd) | there.cells()
    return row
