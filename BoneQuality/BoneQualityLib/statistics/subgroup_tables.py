"""Every variable by subgroup, among all cases, among events and among the others (Xue 2025: VBQ by hyperlipidemia among the fractured)."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import stats

from .cohort import Cohort
from .event_groups import NORMAL_P, contingency, shapiro_p, two_sample


def subgroup_rows(cohort: Cohort) -> list[dict]:
    """Rows of the table ``subgroups``: one for each variable, level, group of cases and subgroup; the test stands in the first."""
    by, subgroups = cohort.question.by, cohort.subgroups()
    if not subgroups:
        return []
    among = {"all": np.ones(len(cohort.events), bool)}
    if cohort.question.outcome:
        among |= {"events": cohort.events, "others": ~cohort.events}
    rows = []
    for variable in (name for name in cohort.variables() if name != by):
        for group, cases in among.items():
            members = {
                subgroup: cohort.values(variable)[cohort.complete(variable) & cohort.members(subgroup) & cases]
                for subgroup in subgroups
            }
            found = _numbers(members) if cohort.is_number(variable) else _levels(cohort, variable, members)
            rows += [dict(variable=variable, among=group, **row) for row in found]
    return rows


def _numbers(members: dict[str, np.ndarray]) -> list[dict]:
    rows = []
    for subgroup, values in members.items():
        row = dict(subgroup=subgroup, n=len(values))
        if len(values):
            row |= dict(mean=values.mean(), sd=values.std(ddof=1) if len(values) > 1 else np.nan, median=np.median(values))
            row["value"] = f"{row['mean']:.4g} ± {row['sd']:.3g}" if len(values) > 1 else f"{values[0]:.4g}"
        rows.append(row)
    there = [values for values in members.values() if len(values) > 1]
    if len(there) == len(members) and np.ptp(np.concatenate(there)) > 0:
        rows[0] |= two_sample(*there, [shapiro_p(v) for v in there]) if len(there) == 2 else _several(there)
    return rows


def _several(groups: list[np.ndarray]) -> dict:
    """Welch's analysis of variance, or Kruskal-Wallis where a group is not normal or has no variance."""
    from statsmodels.stats.oneway import anova_oneway

    normal = [shapiro_p(values) for values in groups]
    if any(np.ptp(values) == 0 or len(values) < 3 for values in groups) or any(p < NORMAL_P for p in normal):
        found = stats.kruskal(*groups)
        return dict(test="Kruskal-Wallis", statistic=found.statistic, p=found.pvalue)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = anova_oneway(groups, use_var="unequal")
    return dict(test="Welch ANOVA", statistic=found.statistic, p=found.pvalue)


def _levels(cohort: Cohort, variable: str, members: dict[str, np.ndarray]) -> list[dict]:
    levels = sorted({value for values in members.values() for value in values})
    counts = np.array([[(values == level).sum() for level in levels] for values in members.values()])
    rows = []
    for n, level in enumerate(levels):
        for subgroup, count, total in zip(members, counts[:, n], counts.sum(axis=1)):
            rows.append(
                dict(level=level, subgroup=subgroup, n=int(total), value=f"{count} ({100 * count / total:.1f} %)" if total else "")
            )
    if len(levels) > 1 and counts.sum(axis=1).min() > 0:
        rows[0] |= contingency(cohort, variable, counts)
    return rows
