"""Events against others: the group table, and matched pairs."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import stats

from .cohort import Cohort
from .regression import is_constant

#: Shapiro-Wilk is defined for this many values; above, means are normal enough for t.
SHAPIRO_RANGE = (3, 5000)
NORMAL_P = 0.05
#: Below an expected count of this, Fisher's exact test takes the place of chi-square.
SMALL_COUNT = 5.0


def group_rows(cohort: Cohort) -> list[dict]:
    """Rows of the table ``groups``: every variable among events and others, with the test of its difference."""
    rows = []
    for name in cohort.variables():
        known = cohort.complete(name)
        values, events = cohort.values(name)[known], cohort.events[known]
        if is_constant(cohort, name) and name not in {measure.name for measure in cohort.measures}:  # of which the ROC curves warn
            cohort.warn(f"{name} is the same in all {len(values)} cases that have it; it is neither tested nor in a model.")
        rows += _number_rows(name, values, events) if cohort.is_number(name) else _category_rows(cohort, name, values, events)
    return rows


def _number_rows(name: str, values: np.ndarray, events: np.ndarray) -> list[dict]:
    row, groups = dict(variable=name), dict(events=values[events], others=values[~events])
    for group, there in groups.items():
        row[f"n_{group}"] = len(there)
        if len(there):
            row[f"mean_{group}"], row[f"median_{group}"] = there.mean(), np.median(there)
            row[f"sd_{group}"] = there.std(ddof=1) if len(there) > 1 else np.nan
            row[group] = f"{there.mean():.4g} ± {row[f'sd_{group}']:.3g}" if len(there) > 1 else f"{there[0]:.4g}"
        row[f"p_shapiro_{group}"] = shapiro_p(there)
    if min(map(len, groups.values())) > 1 and np.ptp(values) > 0:
        row.update(two_sample(*groups.values(), [row["p_shapiro_events"], row["p_shapiro_others"]]))
    return [row]


def shapiro_p(values: np.ndarray) -> float:
    """p of normality by Shapiro-Wilk; nan where it is not defined."""
    if not SHAPIRO_RANGE[0] <= len(values) <= SHAPIRO_RANGE[1] or np.ptp(values) == 0:
        return np.nan
    return float(stats.shapiro(values).pvalue)


def two_sample(first: np.ndarray, second: np.ndarray, normal: list[float]) -> dict:
    """test, statistic, p, and beside it p_student, that of Student's t; normal: Shapiro-Wilk's p of both.

    Welch's t, which needs no equal variances; Mann-Whitney where a group is not normal, constant, or too small to tell.
    """
    row = {} if np.ptp(first) == np.ptp(second) == 0 else dict(p_student=stats.ttest_ind(first, second).pvalue)
    rough = min(len(first), len(second)) < SHAPIRO_RANGE[0] or min(np.ptp(first), np.ptp(second)) == 0
    if rough or any(p < NORMAL_P for p in normal):
        found = stats.mannwhitneyu(first, second)
        return row | dict(test="Mann-Whitney", statistic=found.statistic, p=found.pvalue)
    found = stats.ttest_ind(first, second, equal_var=False)
    return row | dict(test="Welch t", statistic=found.statistic, p=found.pvalue)


def _category_rows(cohort: Cohort, name: str, values: np.ndarray, events: np.ndarray) -> list[dict]:
    levels = sorted(set(values))
    counts = np.array([[(values[of] == level).sum() for level in levels] for of in (events, ~events)])
    totals = counts.sum(axis=1)
    rows = []
    for n, level in enumerate(levels):
        row = dict(variable=name, level=level, n_events=totals[0], n_others=totals[1])
        for group, count, total in zip(("events", "others"), counts[:, n], totals):
            row[group] = f"{count} ({100 * count / total:.1f} %)" if total else ""
        rows.append(row)
    if len(levels) > 1 and totals.min() > 0:
        rows[0].update(contingency(cohort, name, counts))
    return rows


def contingency(cohort: Cohort, name: str, counts: np.ndarray) -> dict:
    """Chi-square without continuity correction, as the papers; Fisher where a 2 x 2 table has small expected counts."""
    found = stats.chi2_contingency(counts, correction=False)
    if found.expected_freq.min() < SMALL_COUNT:
        if counts.shape == (2, 2):
            return dict(test="Fisher", p=stats.fisher_exact(counts)[1])
        cohort.warn(f"{name} has levels with an expected count under {SMALL_COUNT:g}; its chi-square test is rough.")
    return dict(test="chi-square", statistic=found.statistic, p=found.pvalue)


def paired_rows(cohort: Cohort) -> list[dict]:
    """Rows of the table ``paired``: each event against the other case of its pair."""
    if not cohort.question.pairs:
        return []
    first, second = _pairs(cohort)
    rows = []
    if not len(first):
        return rows
    for name in cohort.variables():
        there = cohort.complete(name)
        both = there[first] & there[second]
        values = cohort.values(name)
        of_events, of_others = values[first[both]], values[second[both]]
        if cohort.is_number(name):
            rows.append(dict(variable=name, pairs=int(both.sum()), **_paired_numbers(of_events, of_others)))
        elif len(set(values[there])) == 2:
            rows.append(dict(variable=name, pairs=int(both.sum()), **_mcnemar(of_events, of_others)))
    return rows


def _pairs(cohort: Cohort) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the events and of the others, in the order of their pairs."""
    column, frame = cohort.question.pairs, cohort.frame
    matched = frame[frame[column].notna()].groupby(column).indices
    held = {
        key: at for key, at in matched.items() if len(at) == 2 and cohort.events[frame[column].notna().to_numpy()][at].sum() == 1
    }
    if len(held) < len(matched) or frame[column].isna().any():
        left = len(frame) - 2 * len(held)
        cohort.warn(f"{left} cases are in no pair of one event and one other by {column}; they are left out of the paired tests.")
    at = np.flatnonzero(frame[column].notna().to_numpy())[np.array(list(held.values()), int).reshape(-1, 2)]
    is_event = cohort.events[at]
    return at[is_event], at[~is_event]


def _paired_numbers(first: np.ndarray, second: np.ndarray) -> dict:
    difference = first - second
    n = len(difference)
    if n < 2:
        return {}
    row = dict(mean_events=first.mean(), mean_others=second.mean(), difference=difference.mean(), p_shapiro=shapiro_p(difference))
    half = stats.t.ppf(0.975, n - 1) * difference.std(ddof=1) / np.sqrt(n)
    row.update(difference_low=difference.mean() - half, difference_high=difference.mean() + half)
    if np.ptp(difference) == 0:
        return row
    if n < SHAPIRO_RANGE[0] or row["p_shapiro"] < NORMAL_P:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = stats.wilcoxon(difference)
        return row | dict(test="Wilcoxon", statistic=found.statistic, p=found.pvalue)
    found = stats.ttest_rel(first, second)
    return row | dict(test="paired t", statistic=found.statistic, p=found.pvalue)


def _mcnemar(first: np.ndarray, second: np.ndarray) -> dict:
    """Exact: of the pairs that differ, how many go either way."""
    level = max(set(first) | set(second), default="")
    only_first, only_second = int(((first == level) & (second != level)).sum()), int(((first != level) & (second == level)).sum())
    if only_first + only_second == 0:
        return dict(test="McNemar", statistic=0, p=1.0)
    return dict(
        test="McNemar", statistic=min(only_first, only_second), p=stats.binomtest(only_first, only_first + only_second).pvalue
    )
