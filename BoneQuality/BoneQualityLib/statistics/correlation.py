"""Correlations of measures with the outcome and with each other, and whether they differ between subgroups (Fisher z)."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy import stats

from .cohort import Cohort

FEWEST = 4


def outcome_rows(cohort: Cohort) -> list[dict]:
    """Rows of the table ``outcome_correlations``: every measure with the outcome (event 1, other 0), over all and by subgroup.

    Pearson's r with a variable of 0 and 1 is the point-biserial correlation.
    """
    rows = []
    for measure in (m.name for m in cohort.measures):
        for subgroup in (None, *cohort.subgroups()):
            there = cohort.complete(measure) & cohort.members(subgroup)
            events = cohort.events[there]
            row = dict(measure=measure, subgroup=subgroup or "all", n=len(events), events=int(events.sum()))
            rows.append(row | _correlation(cohort.values(measure)[there], events.astype(float)))
    return rows


def correlation_rows(cohort: Cohort) -> list[dict]:
    """Rows of the table ``correlations``: every two measures, over all cases and in every subgroup."""
    rows = []
    for first, second in combinations([m.name for m in cohort.measures], 2):
        for subgroup in (None, *cohort.subgroups()):
            there = cohort.complete(first, second) & cohort.members(subgroup)
            row = dict(first=first, second=second, subgroup=subgroup or "all", n=int(there.sum()))
            rows.append(row | _correlation(cohort.values(first)[there], cohort.values(second)[there]))
    return rows


def _correlation(x: np.ndarray, y: np.ndarray) -> dict:
    if len(x) < FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return {}
    pearson, spearman = stats.pearsonr(x, y), stats.spearmanr(x, y)
    low, high = pearson.confidence_interval(0.95)
    return dict(
        pearson=pearson.statistic, pearson_low=low, pearson_high=high, p_pearson=pearson.pvalue,
        spearman=spearman.statistic, p_spearman=spearman.pvalue,
    )  # fmt: skip


def correlation_comparison_rows(cohort: Cohort, correlations: list[dict]) -> list[dict]:
    """Rows of the table ``correlation_comparisons``, from those of ``correlations``: every two subgroups."""
    rows, found = [], {(row["first"], row["second"], row["subgroup"]): row for row in correlations if "pearson" in row}
    for first, second in combinations([m.name for m in cohort.measures], 2):
        for a, b in combinations(cohort.subgroups(), 2):
            one, other = found.get((first, second, a)), found.get((first, second, b))
            if one and other:
                z, p = fisher_z(one["pearson"], one["n"], other["pearson"], other["n"])
                rows.append(dict(
                    first=first, second=second, subgroup_first=a, subgroup_second=b, n_first=one["n"], n_second=other["n"],
                    pearson_first=one["pearson"], pearson_second=other["pearson"], z=z, p=p,
                ))  # fmt: skip
    return rows


def fisher_z(first: float, n_first: int, second: float, n_second: int) -> tuple[float, float]:
    """z and two-sided p of the difference of two independent Pearson correlations (Fisher 1921)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (np.arctanh(first) - np.arctanh(second)) / np.sqrt(1 / (n_first - 3) + 1 / (n_second - 3))
    return float(z), float(2 * stats.norm.sf(abs(z)))
