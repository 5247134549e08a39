"""Two columns as two methods of measuring the same: difference, limits of agreement, proportional bias, ICC, and a line through both.

Neither scipy nor statsmodels has Deming's or Passing and Bablok's regression. Deming with equal errors: Linnet, Clin Chem 1990;36:2051,
jackknife interval. Passing and Bablok, J Clin Chem Clin Biochem 1983;21:709. Proportional bias: the slope of differences on means
(Bland and Altman, Stat Methods Med Res 1999;8:135).
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy import stats

from .agreement import FEWEST, form_rows, limits
from .cohort import Cohort
from .event_groups import NORMAL_P, SHAPIRO_RANGE, shapiro_p
from .roc import QUANTILE

#: Passing and Bablok take the slopes of all pairs of cases: 5000 cases have 12.5 million, about 100 MB.
MOST_FOR_PASSING_BABLOK = 5000
#: Of fewer cases its interval has no meaning; the authors ask for 30 or more.
FEWEST_FOR_PASSING_BABLOK = 8


def method_pair(cohort: Cohort, subgroup: str | None = None) -> np.ndarray:
    """(n, 2): both methods in the cases that have both."""
    first, second = cohort.question.methods
    there = cohort.complete(first, second) & cohort.members(subgroup)
    return np.stack([cohort.values(first)[there], cohort.values(second)[there]], axis=1)


def method_rows(cohort: Cohort) -> list[dict]:
    """Rows of the table ``methods``: over all cases and in every subgroup, one row for each statistic."""
    rows = []
    for subgroup in (None, *cohort.subgroups()) if cohort.question.methods else ():
        pair = method_pair(cohort, subgroup)
        if len(pair) < FEWEST:
            where = f" in the subgroup {subgroup}" if subgroup else ""
            cohort.warn(
                f"{' and '.join(cohort.question.methods)}: {len(pair)} cases have both{where}; at least {FEWEST} are needed."
            )
            continue
        first, second = cohort.question.methods
        rows += [dict(first=first, second=second, subgroup=subgroup or "all", n=len(pair), **row) for row in compare_methods(pair)]
    return rows


def compare_methods(pair: np.ndarray) -> list[dict]:
    """statistic, value, its interval, p and note of every statistic of ``pair`` (n, 2)."""
    first, second = np.asarray(pair, float).T
    difference, there = first - second, limits(first, second)
    rows = [dict(statistic="mean of the first", value=first.mean()), dict(statistic="mean of the second", value=second.mean())]
    rows.append(_difference(difference, there))
    rows.append(dict(statistic="SD of differences", value=there.sd))
    for name, value, ends in (
        ("lower limit of agreement", there.low, there.low_ci),
        ("upper limit of agreement", there.high, there.high_ci),
    ):
        rows.append(dict(statistic=name, value=value, value_low=ends[0], value_high=ends[1], note="bias -+ 1.96 SD"))
    rows += _proportional_bias(first, second)
    for form in form_rows(pair):
        ends = dict(value=form["icc"], value_low=form["icc_low"], value_high=form["icc_high"])
        note = "; ".join(
            [form["band"]] * bool(form["band"]) + [f"SEM {form['sem']:.3g}, least detectable change {form['ldc']:.3g}"]
        )
        rows.append(dict(statistic=f"ICC{form['form']}", **ends, note=note))
    for name, found in (("Deming", deming(first, second)), ("Passing-Bablok", passing_bablok(first, second))):
        for part, (value, low, high) in (found or {}).items():
            holds = low <= (1 if part == "slope" else 0) <= high
            note = f"second on first; {'no ' * holds}{'proportional' if part == 'slope' else 'constant'} difference"
            rows.append(dict(statistic=f"{name} {part}", value=value, value_low=low, value_high=high, note=note))
    return rows


def _difference(difference: np.ndarray, there) -> dict:
    row = dict(
        statistic="difference first - second (bias)", value=there.bias, value_low=there.bias_ci[0], value_high=there.bias_ci[1]
    )
    if np.ptp(difference) == 0:
        return row | dict(note="the same in every case; not tested")
    normal = len(difference) > SHAPIRO_RANGE[1] or shapiro_p(difference) >= NORMAL_P
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ranked = stats.wilcoxon(difference).pvalue
    t = stats.ttest_1samp(difference, 0).pvalue
    chosen, other = (("paired t", t), ("Wilcoxon", ranked)) if normal else (("Wilcoxon", ranked), ("paired t", t))
    return row | dict(p=chosen[1], note=f"p by {chosen[0]}; {other[0]} p {other[1]:.3g}")


def _proportional_bias(first: np.ndarray, second: np.ndarray) -> list[dict]:
    mean, difference = (first + second) / 2, first - second
    if len(mean) < 3 or np.ptp(mean) == 0:
        return []
    fit = stats.linregress(mean, difference)
    half = stats.t.ppf(0.975, len(mean) - 2) * fit.stderr
    p = fit.pvalue if np.ptp(difference) > 0 else np.nan
    ends = dict(value=fit.slope, value_low=fit.slope - half, value_high=fit.slope + half)
    return [
        dict(statistic="proportional bias (slope)", **ends, p=p, note="differences on means; 0 where the difference does not grow")
    ]


def deming(first: np.ndarray, second: np.ndarray) -> dict[str, tuple[float, float, float]] | None:
    """Slope and intercept of second on first with equal errors in both, each with its jackknife 95 % interval; None without a line."""
    first, second = np.asarray(first, float), np.asarray(second, float)
    n = len(first)
    if n < FEWEST or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    x, y = first - first.mean(), second - second.mean()
    sums = (np.sum(x * x), np.sum(y * y), np.sum(x * y))
    if abs(sums[2]) < 1e-12 * np.sqrt(sums[0] * sums[1]):
        return None
    weight = n / (n - 1)  # sums about the mean of the other cases, without each case in turn
    left = (sums[0] - weight * x * x, sums[1] - weight * y * y, sums[2] - weight * x * y)
    slope, slopes = _deming_slope(*sums), _deming_slope(*left)
    others = (first.sum() - first) / (n - 1), (second.sum() - second) / (n - 1)
    intercept, intercepts = second.mean() - slope * first.mean(), others[1] - slopes * others[0]
    return {
        name: _jackknife(value, values) for name, value, values in (("slope", slope, slopes), ("intercept", intercept, intercepts))
    }


def _deming_slope(xx, yy, xy):
    with np.errstate(divide="ignore", invalid="ignore"):
        return (yy - xx + np.sqrt((yy - xx) ** 2 + 4 * xy**2)) / (2 * xy)


def _jackknife(value: float, left_out: np.ndarray) -> tuple[float, float, float]:
    n = len(left_out)
    pseudo = n * value - (n - 1) * left_out
    half = stats.t.ppf(0.975, n - 1) * pseudo.std(ddof=1) / np.sqrt(n)
    return float(value), float(value - half), float(value + half)


def passing_bablok(first: np.ndarray, second: np.ndarray) -> dict[str, tuple[float, float, float]] | None:
    """Slope and intercept of second on first by the shifted median of all slopes, with their 95 % intervals.

    None for too few or too many cases, or where no two cases differ in the first.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    n = len(first)
    if not FEWEST_FOR_PASSING_BABLOK <= n <= MOST_FOR_PASSING_BABLOK:
        return None
    i, j = np.triu_indices(n, 1)
    across, up = first[j] - first[i], second[j] - second[i]
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = up / across
    slopes = np.sort(slopes[~np.isnan(slopes) & (slopes != -1)])
    offset, count = int((slopes < -1).sum()), len(slopes)
    if count < 2 or not np.isfinite(slopes).any():
        return None
    half = QUANTILE * np.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    lowest = int(round((count - half) / 2))
    ranks = np.array([(count + 1) // 2, count // 2 + 1, lowest, count - lowest + 1])  # the first is 1
    one, other, low, high = (float(slope) for slope in slopes[np.clip(ranks + offset - 1, 0, count - 1)])
    slope = (one + other) / 2
    if not np.isfinite([slope, low, high]).all():
        return None
    intercepts = [float(np.median(second - b * first)) for b in (slope, high, low)]
    return {"slope": (slope, low, high), "intercept": (intercepts[0], min(intercepts[1:]), max(intercepts[1:]))}
