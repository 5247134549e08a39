"""Figures of time to event: Kaplan-Meier curves with the numbers at risk, cumulative incidence where another event competes."""

from __future__ import annotations

import numpy as np

from .cohort import Cohort, column_of
from .figure_style import EVENT, OTHER, in_legend, panels, thinned
from .follow_up import competing_events, cumulative_incidence
from .tables import p_text

#: Times at which the numbers at risk stand below a curve.
TICKS = 4


def kaplan_meier_figure(cohort: Cohort, groups: list[dict]):
    """One panel for each cut-off; groups: of `survival.cut_groups`."""
    from lifelines import KaplanMeierFitter
    from lifelines.statistics import logrank_test

    if not groups:
        return None
    figure, axes = panels(len(groups), height=2.9)
    times, events = cohort.values(cohort.question.time), cohort.events
    for axis, group in zip(axes, groups):
        sides = _sides(group)
        for side, color, line, text in sides:
            fit = KaplanMeierFitter().fit(times[side], events[side])
            at = thinned(len(fit.survival_function_))
            steps, free = fit.survival_function_.index.to_numpy()[at], fit.survival_function_.to_numpy()[at, 0]
            band = fit.confidence_interval_.to_numpy()[at]
            axis.step(
                steps, free, where="post", color=color, linestyle=line, linewidth=1.3, label=in_legend(f"{text} (n = {side.sum()})")
            )
            axis.fill_between(steps, band[:, 0], band[:, 1], step="post", color=color, alpha=0.15, linewidth=0)
        p = logrank_test(times[sides[0][0]], times[sides[1][0]], events[sides[0][0]], events[sides[1][0]]).p_value
        axis.set(ylabel="free of the event", ylim=(0, 1.02))
        _at_risk(axis, cohort.question.time, [(times[side], color) for side, color, _, _ in sides])
        if cohort.question.window:
            axis.axvline(cohort.question.window, color="#999999", linewidth=0.7, linestyle=":")
        axis.set_title(f"{group['source'].partition(':')[0]}\nlog-rank p {p_text(p)}")
        axis.legend(loc="best", handlelength=1.8, fontsize=6.5)
    return figure


def incidence_figure(cohort: Cohort, groups: list[dict]):
    """Cumulative incidence of the event beside a competing one, one panel for each cut-off."""
    if not cohort.question.competing or not groups:
        return None
    figure, axes = panels(len(groups), height=2.9)
    times = cohort.values(cohort.question.time)
    states = np.where(cohort.events, 1, np.where(competing_events(cohort), 2, 0))
    for axis, group in zip(axes, groups):
        sides, top = _sides(group), 0.05
        for side, color, line, text in sides:
            curve, band = cumulative_incidence(times[side], states[side])
            at = thinned(len(curve))
            axis.step(curve.index.to_numpy()[at], curve.to_numpy()[at], where="post", color=color, linestyle=line, linewidth=1.3,
                      label=in_legend(f"{text} (n = {side.sum()})"))  # fmt: skip
            top = max(top, float(curve.max()))
            if band is not None:
                ends = np.nan_to_num(band.to_numpy())
                axis.fill_between(curve.index.to_numpy()[at], *ends[at].T, step="post", color=color, alpha=0.15, linewidth=0)
                top = max(top, float(ends.max()))
        axis.set(ylabel="had the event", ylim=(0, min(1.0, 1.25 * top)))
        _at_risk(axis, cohort.question.time, [(times[side], color) for side, color, _, _ in sides])
        axis.set_title(f"{group['source'].partition(':')[0]}\ncompeting: {cohort.question.competing[0]}")
        axis.legend(loc="upper left", handlelength=1.8, fontsize=6.5)
    return figure


def _sides(group: dict) -> list[tuple[np.ndarray, str, str, str]]:
    text = f"{column_of(group['measure']).title} {'≤' if group['comparison'] == '<=' else '≥'} {group['cutoff']:.4g}"
    return [(group["risk"], EVENT, "-", text), (group["there"] & ~group["risk"], OTHER, "--", "the others")]


def _at_risk(axis, unit: str, groups: list[tuple[np.ndarray, str]]) -> None:
    """The numbers still followed, below the axis, in the colors of the curves."""
    from matplotlib.ticker import MaxNLocator

    latest = max(float(times.max()) for times, _ in groups)
    ticks = [tick for tick in MaxNLocator(TICKS).tick_values(0, latest) if 0 <= tick <= latest]
    axis.set_xlim(-0.02 * latest, 1.02 * latest)
    axis.set_xticks(ticks)
    axis.set_xlabel(f"{unit}\nat risk", labelpad=1)
    for row, (times, color) in enumerate(groups):
        for tick in ticks:
            axis.annotate(f"{(times >= tick).sum()}", (tick, 0), xycoords=("data", "axes fraction"), xytext=(0, -38 - 9 * row),
                          textcoords="offset points", ha="center", va="top", fontsize=6.5, color=color, annotation_clip=False)  # fmt: skip
