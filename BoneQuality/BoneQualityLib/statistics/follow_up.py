"""How long cases were followed, when events came, and how many an event or a competing one had met by a time. Fitted by lifelines."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import stats

from ..errors import BoneQualityError
from .cohort import YES_NO, Cohort, counted
from .cutoffs import exact_interval
from .roc import SEED

#: Above this many cases lifelines' variance of the cumulative incidence takes too long; the interval is left out.
MOST_FOR_INCIDENCE_INTERVAL = 5000


def follow_up_rows(cohort: Cohort) -> list[dict]:
    """Rows of the table ``follow_up``: one for each statistic, over all cases with a time and in every subgroup.

    The median follow-up is Kaplan-Meier's of the time to the end of follow-up, events being censored (reverse Kaplan-Meier; Schemper
    and Smith, Control Clin Trials 1996;17:343).
    """
    if not cohort.question.time:
        return []
    rows = []
    for subgroup in (None, *cohort.subgroups()):
        there = cohort.complete(cohort.question.time) & cohort.members(subgroup)
        if there.any():
            times, events = cohort.values(cohort.question.time)[there], cohort.events[there]
            rows += [dict(subgroup=subgroup or "all", n=len(times), **row) for row in _statistics(cohort, times, events)]
    return rows


def _statistics(cohort: Cohort, times: np.ndarray, events: np.ndarray) -> list[dict]:
    from lifelines import KaplanMeierFitter
    from lifelines.utils import median_survival_times

    unit = cohort.question.time
    fit = KaplanMeierFitter().fit(times, ~events)
    ends = [fit.median_survival_time_, *median_survival_times(fit.confidence_interval_).to_numpy().ravel()]
    median, low, high = (end if np.isfinite(end) else np.nan for end in ends)
    total, count = float(times.sum()), int(events.sum())
    rows = [
        dict(statistic=f"median follow-up, reverse Kaplan-Meier ({unit})", value=median, value_low=low, value_high=high),
        dict(statistic=f"mean of {unit}", value=times.mean()),
        dict(statistic=f"SD of {unit}", value=times.std(ddof=1) if len(times) > 1 else np.nan),
        dict(statistic="events", value=count),
    ]
    if total > 0:
        ends = (stats.chi2.ppf(0.025, 2 * count) / 2 if count else 0.0, stats.chi2.ppf(0.975, 2 * count + 2) / 2)
        rate = dict(value=1000 * count / total, value_low=1000 * ends[0] / total, value_high=1000 * ends[1] / total)
        rows.append(dict(statistic=f"events in 1000 of {unit}", **rate, note="exact interval (Garwood 1936)"))
    return rows + (_around(times, events, cohort.question.window) if cohort.question.window and count else [])


def _around(times: np.ndarray, events: np.ndarray, window: float) -> list[dict]:
    """Events up to the window and after it, as shares of all events."""
    rows = []
    for name, of in (
        (f"events up to {window:g}: share of events", times <= window),
        (f"events after {window:g}: share of events", times > window),
    ):
        count, total = int((events & of).sum()), int(events.sum())
        low, high = exact_interval(count, total)
        rows.append(dict(statistic=name, value=count / total, value_low=low, value_high=high, note=f"{count} of {total}"))
    return rows


def incidence_rows(cohort: Cohort, groups: list[dict]) -> list[dict]:
    """Rows of the table ``incidence``: how many had met the event by a time where another event competes, by the sides of each cut-off.

    Aalen and Johansen, Scand J Stat 1978;5:141; beside it what Kaplan-Meier would say, which takes the competing event for a loss to
    follow-up and says too much. Times: the window, and the last event. groups: of `survival.cut_groups`.
    """
    if not cohort.question.competing:
        return []
    competing = competing_events(cohort)
    cohort.warn(
        f"{cohort.question.competing[0]}: {counted(int(competing.sum()), 'competing event')}; Kaplan-Meier, log-rank and Cox take them as censored."
    )
    times, states = cohort.values(cohort.question.time), np.where(cohort.events, 1, np.where(competing, 2, 0))
    there = cohort.complete(cohort.question.time)
    sides = [dict(group="all cases", side=there)]
    for group in groups:
        of_cut = dict(measure=group["measure"], cutoff=group["cutoff"], source=group["source"])
        sides.append(dict(of_cut, group=f"{group['comparison']} {group['cutoff']:.4g}", side=group["risk"]))
        sides.append(dict(of_cut, group="the others", side=group["there"] & ~group["risk"]))
    rows = []
    for one in sides:
        side = one.pop("side")
        if (states[side] == 1).any():
            rows += [one | row for row in _incidence(times[side], states[side], cohort.question.window)]
    return rows


def _incidence(times: np.ndarray, states: np.ndarray, window: float | None) -> list[dict]:
    from lifelines import KaplanMeierFitter

    curve, band = cumulative_incidence(times, states)
    free = KaplanMeierFitter().fit(times, states == 1)
    rows = []
    for time in dict.fromkeys(([window] if window else []) + [float(times[states == 1].max())]):
        row = dict(n=len(times), events=int((states == 1).sum()), competing=int((states == 2).sum()), time=time)
        at = curve.index.searchsorted(time, side="right") - 1
        row["incidence"] = float(curve.iloc[at]) if at >= 0 else 0.0
        if band is not None and at >= 0:
            row["incidence_low"], row["incidence_high"] = map(float, band.iloc[at])
        rows.append(row | dict(kaplan_meier=1 - float(free.predict(time))))
    return rows


def cumulative_incidence(times: np.ndarray, states: np.ndarray):
    """Aalen-Johansen's cumulative incidence of state 1 as a Series over time, and its 95 % band or None.

    times (n,); states (n,): 0 censored, 1 event, 2 competing event. lifelines moves tied times apart by chance; here they are moved apart
    in order, by less than a ten-thousandth of the smallest step of time: events, competing events, then the censored. So taken one by
    one, tied cases give exactly the estimate for ties.
    """
    from lifelines import AalenJohansenFitter

    order = np.lexsort((np.array([2, 0, 1])[states], times))
    moved, kind = times[order].astype(float), states[order]
    distinct, start, count = np.unique(moved, return_index=True, return_counts=True)
    step = (np.diff(distinct).min() if len(distinct) > 1 else 1.0) * 1e-4
    moved += (np.arange(len(moved)) - np.repeat(start, count)) * (step / count.max())
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        banded = len(times) <= MOST_FOR_INCIDENCE_INTERVAL
        fit = AalenJohansenFitter(calculate_variance=banded, seed=SEED).fit(moved, kind, event_of_interest=1)
    curve = fit.cumulative_density_.iloc[:, 0]
    curve.index = np.concatenate([[0.0], distinct])[np.searchsorted(distinct, curve.index, side="right")]
    return curve, (fit.confidence_interval_ if banded else None)


def competing_events(cohort: Cohort) -> np.ndarray:
    """Which cases (n,) had the competing event and not the event itself."""
    column, value = cohort.question.competing
    cells = cohort.frame[column].str.casefold()
    if value is None:
        held = set(cells.dropna())
        pair = next((p for p in YES_NO if held <= set(p)), None)
        if pair is None:
            sentence = "The competing event {column!r} of {name} holds {held}; say which: {column}=VALUE."
            raise BoneQualityError(sentence, column=column, name=cohort.name, held=", ".join(sorted(held)[:8]))
        value = pair[0]
    return (cells == value.casefold()).to_numpy() & ~cohort.events
