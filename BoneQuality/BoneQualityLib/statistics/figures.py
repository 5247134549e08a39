"""The figures of a cohort, drawn without a display: ROC curves, boxes, correlations; the others stand in files of their own."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from .cohort import READER, Cohort, column_of
from .figure_flow import flow_figure
from .figure_style import (
    COLORS,
    EVENT,
    LINES,
    MOST_POINTS,
    OTHER,
    STYLE,
    empty_figure,
    in_legend,
    label,
    lay_out,
    panels,
    regression_band,
    thinned,
)
from .figures_agreement import bland_altman_figure, methods_figure
from .figures_time import incidence_figure, kaplan_meier_figure
from .fonts import families
from .roc import curve

#: Every two of this many measures, the first ones, are drawn against each other; by subgroup, every two of the first three.
MOST_CORRELATED, MOST_BY_SUBGROUP = 4, 3
#: Fewer measures have no matrix worth a figure.
FEWEST_IN_HEAT_MAP = 3


def draw(cohort: Cohort, signs: dict[str, int], rows: dict[str, list[dict]], groups: list[dict]) -> tuple[dict, list[str]]:
    """Name -> matplotlib figure, of those that the cohort has data for, and the font families in them.

    signs: as ``roc.directions``; rows: the tables; groups: as ``survival.cut_groups``. Letters that no font has are warned of.
    """
    from matplotlib import rc_context

    family, missing = families(_texts(cohort))
    if missing:
        cohort.warn(
            f"No font of this machine has the letters {missing[:20]}; figures show boxes for them. Install one, such as Noto Sans CJK."
        )
    with rc_context(STYLE | {"font.family": family}):
        figures = dict(
            flow=flow_figure(cohort), roc=_roc(cohort, signs, rows.get("roc", [])),
            boxes=_boxes(cohort) if cohort.question.outcome else None, correlation=_correlation(cohort),
            correlation_subgroups=_correlation_by_subgroup(cohort), heat_map=_heat_map(cohort, rows.get("correlations", [])),
            kaplan_meier=kaplan_meier_figure(cohort, groups), incidence=incidence_figure(cohort, groups),
            methods=methods_figure(cohort), bland_altman=bland_altman_figure(cohort),
        )  # fmt: skip
        figures = {name: figure for name, figure in figures.items() if figure is not None}
        for figure in figures.values():
            lay_out(figure)
    return figures, family


def _texts(cohort: Cohort) -> list[str]:
    """All that may stand in a figure."""
    question = cohort.question
    texts = [
        *map(str, question.columns()),
        *(label(m.name) for m in cohort.measures),
        *cohort.subgroups(),
        *(step["step"] for step in cohort.flow),
    ]
    readers = cohort.readings[READER].dropna().unique() if cohort.readings is not None else ()
    return [*texts, *map(str, readers)]


def _roc(cohort: Cohort, signs: dict[str, int], rows: list[dict]):
    found = {(row["measure"], row["subgroup"]): row for row in rows if "auc" in row}
    subgroups = [s for s in (None, *cohort.subgroups()) if any((name, s or "all") in found for name in signs)] if found else []
    if not subgroups:
        return None
    figure, axes = panels(len(subgroups), height=2.9)
    if len(subgroups) == 1:
        figure.set_size_inches(3.5, 3.5)  # one column of a journal
    for axis, subgroup in zip(axes, subgroups):
        axis.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8)
        for n, (name, sign) in enumerate(signs.items()):
            if (row := found.get((name, subgroup or "all"))) is None:
                continue
            there = cohort.complete(name) & cohort.members(subgroup)
            false_rate, true_rate = curve(sign * cohort.values(name)[there], cohort.events[there])
            at, color = thinned(len(false_rate)), COLORS[n % len(COLORS)]
            text = in_legend(f"{column_of(name).title} {row['auc']:.3f}")
            axis.plot(false_rate[at], true_rate[at], color=color, linestyle=LINES[n % len(LINES)], linewidth=1.3, label=text)
            if "cutoff" in row:
                axis.plot(1 - row["specificity"], row["sensitivity"], "o", color=color, markersize=4)
        axis.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        n, events = ((of := cohort.members(subgroup)).sum(), cohort.events[of].sum())
        axis.set_title(f"{'all cases' if subgroup is None else f'{cohort.question.by}: {subgroup}'} (n = {n}, {events} events)")
        axis.legend(title="AUC", loc="lower right", title_fontsize=7, handlelength=2.4, fontsize=6.5 if len(signs) > 5 else 7)
    return figure


def _boxes(cohort: Cohort):
    if not cohort.measures:
        return None
    figure, axes = panels(len(cohort.measures), height=2.5, columns=4)
    for axis, measure in zip(axes, cohort.measures):
        there = cohort.complete(measure.name)
        values, events = cohort.values(measure.name)[there], cohort.events[there]
        groups = [values[events], values[~events]]
        drawn = axis.boxplot(groups, widths=0.55, patch_artist=True, showfliers=len(values) <= MOST_POINTS, medianprops={"color": "black"},
                             flierprops={"markersize": 2.5, "markeredgewidth": 0.5})  # fmt: skip
        for box, color in zip(drawn["boxes"], (EVENT, OTHER)):
            box.set(facecolor=color, alpha=0.45)
        axis.set_xticks([1, 2], [f"events\nn = {len(groups[0])}", f"others\nn = {len(groups[1])}"])
        axis.set_ylabel(label(measure.name))
    return figure


def _correlation(cohort: Cohort):
    """Every two of the first measures, with the line of all cases."""
    pairs = list(combinations([m.name for m in cohort.measures[:MOST_CORRELATED]], 2))
    if not pairs or not cohort.question.outcome:
        return None
    figure, axes = panels(len(pairs), height=2.6)
    for axis, (x, y) in zip(axes, pairs):
        _cloud(axis, cohort, x, y, cohort.members(None))
    axes[0].legend(markerscale=2, loc="best", handletextpad=0.2)
    return figure


def _correlation_by_subgroup(cohort: Cohort):
    """The first measures against each other in every subgroup, on the same axes (Xue 2025, figure 4)."""
    pairs = list(combinations([m.name for m in cohort.measures[:MOST_BY_SUBGROUP]], 2))
    subgroups = cohort.subgroups()
    if not pairs or not subgroups or not cohort.question.outcome:
        return None
    figure, axes = panels(len(pairs) * len(subgroups), height=2.6, columns=min(len(subgroups), 3))
    for row, (x, y) in enumerate(pairs):
        there = cohort.complete(x, y)
        for axis, subgroup in zip(axes[row * len(subgroups) :], subgroups):
            _cloud(axis, cohort, x, y, cohort.members(subgroup), f"{cohort.question.by}: {subgroup}\n")
            for name, limits in ((x, axis.set_xlim), (y, axis.set_ylim)):
                values = cohort.values(name)[there]
                room = 0.04 * np.ptp(values) if len(values) else 0
                if room:
                    limits(values.min() - room, values.max() + room)
    axes[0].legend(markerscale=2, loc="best", handletextpad=0.2)
    return figure


def _cloud(axis, cohort: Cohort, x: str, y: str, cases: np.ndarray, title: str = "") -> None:
    there = cohort.complete(x, y) & cases
    values, events = np.stack([cohort.values(x)[there], cohort.values(y)[there]]), cohort.events[there]
    at = thinned(len(events))
    for group, color, mark, text in ((~events, OTHER, "o", "others"), (events, EVENT, "^", "events")):
        chosen = at[group[at]]
        axis.plot(*values[:, chosen], mark, color=color, markersize=2.4, alpha=0.55, markeredgewidth=0, label=text)
    if len(events) > 2 and np.ptp(values, axis=1).min() > 0:
        axis.set_title(f"{title}r = {round(np.corrcoef(values)[0, 1], 2) + 0.0:.2f}, n = {len(events)}")
        regression_band(axis, *values, "black")
    axis.set(xlabel=label(x), ylabel=label(y))


def _heat_map(cohort: Cohort, rows: list[dict]):
    """The matrix of correlations: Spearman below the diagonal, Pearson above it (Zhan 2024, table 3)."""
    names = [m.name for m in cohort.measures]
    found = {(row["first"], row["second"]): row for row in rows if row["subgroup"] == "all" and "pearson" in row}
    if len(names) < FEWEST_IN_HEAT_MAP or not found:
        return None
    side = min(7.1, 1.9 + 0.55 * len(names))
    figure = empty_figure(side + 0.7, side)
    axis, matrix = figure.add_subplot(), np.full((len(names), len(names)), np.nan)
    for (first, second), row in found.items():
        i, j = names.index(first), names.index(second)
        matrix[max(i, j), min(i, j)], matrix[min(i, j), max(i, j)] = row["spearman"], row["pearson"]
    drawn = axis.imshow(matrix, cmap="PuOr_r", vmin=-1, vmax=1)
    for (i, j), value in np.ndenumerate(matrix):
        if np.isfinite(value):
            axis.text(
                j,
                i,
                f"{round(value, 2) + 0.0:.2f}".replace("-", "−"),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if abs(value) > 0.7 else "black",
            )
    titles = [column_of(name).title for name in names]
    axis.set_xticks(range(len(names)), titles, rotation=45, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(names)), titles)
    axis.spines[:].set_visible(False)
    counts = [row["n"] for row in found.values()]
    axis.set_title(f"Spearman below, Pearson above (n = {min(counts)}{f' to {max(counts)}' * (min(counts) < max(counts))})")
    figure.colorbar(drawn, ax=axis, shrink=0.7, label="correlation")
    return figure
