"""The figures of a cohort, drawn without a display; the same cohort gives the same bytes."""

from __future__ import annotations

import io
import warnings
from itertools import combinations

import numpy as np

from .agreement import compared, limits
from .cohort import Cohort, column_of
from .roc import curve
from .tables import p_text

#: Okabe and Ito's colors, which the color blind can tell apart.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#8c6d31", "#7f7f7f", "#f0e442")
EVENT, OTHER = COLORS[1], COLORS[0]
#: Curves are thinned to, and clouds of points drawn from, this many points at most.
MOST_POINTS = 2000
PANEL = 3.4
#: Every two of this many measures, the first ones, are drawn against each other.
MOST_CORRELATED = 6
STYLE = {
    "svg.hashsalt": "bonequality",
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a $ in the name of a column is a $
}


def draw(cohort: Cohort, signs: dict[str, int], roc: list[dict], groups: list[dict]) -> dict:
    """Name -> matplotlib figure, of those that the cohort has data for.

    signs: as ``roc.directions``; roc: rows of the table; groups: as ``survival.cut_groups``.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figures = dict(
            roc=_roc(cohort, signs, roc), boxes=_boxes(cohort), correlation=_correlation(cohort),
            kaplan_meier=_kaplan_meier(cohort, groups), bland_altman=_bland_altman(cohort),
        )  # fmt: skip
    return {name: figure for name, figure in figures.items() if figure is not None}


def image_bytes(figure, kind: str) -> bytes:
    """A figure as PNG or SVG, without a time stamp."""
    from matplotlib import rc_context

    out = io.BytesIO()
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a letter that the font lacks is a box in the figure, itself on the page
        figure.savefig(out, format=kind, dpi=130, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return out.getvalue()


def _panels(count: int, height: float = PANEL, columns: int = 3):
    """A figure with ``count`` axes, row by row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(count, columns)
    rows = -(-count // columns)
    figure = Figure(figsize=(PANEL * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(rows, columns, n + 1) for n in range(count)]


def _thinned(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).round().astype(int))


def _label(name: str) -> str:
    column = column_of(name)
    return f"{column.title} ({column.unit})" if column.unit else column.title


def _in_legend(text: str) -> str:
    """A label that is shown: matplotlib leaves out those that begin with an underscore."""
    return f" {text}" if text.startswith("_") else text


def _roc(cohort: Cohort, signs: dict[str, int], rows: list[dict]):
    found = {(row["measure"], row["subgroup"]): row for row in rows if "auc" in row}
    subgroups = [s for s in (None, *cohort.subgroups()) if any((name, s or "all") in found for name in signs)]
    if not found:
        return None
    figure, axes = _panels(len(subgroups), height=PANEL + 0.2)
    for axis, subgroup in zip(axes, subgroups):
        axis.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8)
        for color, (name, sign) in zip(COLORS * 9, signs.items()):
            row = found.get((name, subgroup or "all"))
            if row is None:
                continue
            there = cohort.complete(name) & cohort.members(subgroup)
            false_rate, true_rate = curve(sign * cohort.values(name)[there], cohort.events[there])
            at = _thinned(len(false_rate))
            axis.plot(
                false_rate[at],
                true_rate[at],
                color=color,
                linewidth=1.3,
                label=_in_legend(f"{column_of(name).title} {row['auc']:.3f}"),
            )
            if "cutoff" in row:
                axis.plot(1 - row["specificity"], row["sensitivity"], "o", color=color, markersize=4)
        axis.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axis.set_title("all cases" if subgroup is None else f"{cohort.question.by}: {subgroup}", fontsize=9)
        axis.legend(title="AUC", loc="lower right", frameon=False, fontsize=7, title_fontsize=7)
    return figure


def _boxes(cohort: Cohort):
    figure, axes = _panels(len(cohort.measures), height=2.9, columns=4)
    for axis, measure in zip(axes, cohort.measures):
        there = cohort.complete(measure.name)
        values, events = cohort.values(measure.name)[there], cohort.events[there]
        groups = [values[events], values[~events]]
        drawn = axis.boxplot(groups, widths=0.55, patch_artist=True, showfliers=len(values) <= MOST_POINTS, medianprops={"color": "black"},
                             flierprops={"markersize": 2.5, "markeredgewidth": 0.5})  # fmt: skip
        for box, color in zip(drawn["boxes"], (EVENT, OTHER)):
            box.set(facecolor=color, alpha=0.45)
        axis.set_xticks([1, 2], [f"events\nn = {len(groups[0])}", f"others\nn = {len(groups[1])}"])
        axis.set_ylabel(_label(measure.name))
    return figure


def _correlation(cohort: Cohort):
    names = [m.name for m in cohort.measures[:MOST_CORRELATED]]
    pairs = list(combinations(names, 2))
    if not pairs:
        return None
    figure, axes = _panels(len(pairs), height=2.9, columns=4)
    for axis, (x, y) in zip(axes, pairs):
        there = cohort.complete(x, y)
        values, events = np.stack([cohort.values(x)[there], cohort.values(y)[there]]), cohort.events[there]
        at = _thinned(len(events)) if len(events) else np.zeros(0, int)
        for group, color, text in ((~events, OTHER, "others"), (events, EVENT, "events")):
            chosen = at[group[at]]
            axis.plot(*values[:, chosen], "o", color=color, markersize=2.2, alpha=0.6, markeredgewidth=0, label=text)
        if len(events) > 2 and np.ptp(values, axis=1).min() > 0:
            axis.set_title(f"Pearson r = {round(np.corrcoef(values)[0, 1], 2) + 0.0:.2f}, n = {len(events)}", fontsize=8)
        axis.set(xlabel=_label(x), ylabel=_label(y))
    axes[0].legend(frameon=False, fontsize=7, markerscale=2)
    return figure


def _kaplan_meier(cohort: Cohort, groups: list[dict]):
    from lifelines import KaplanMeierFitter
    from lifelines.statistics import logrank_test

    if not groups:
        return None
    figure, axes = _panels(len(groups))
    times, events = cohort.values(cohort.question.time), cohort.events
    for axis, group in zip(axes, groups):
        text = f"{column_of(group['measure']).title} {group['comparison']} {group['cutoff']:.4g}"
        sides = ((group["risk"], EVENT, text), (group["there"] & ~group["risk"], OTHER, "the others"))
        for side, color, label in sides:
            fit = KaplanMeierFitter().fit(times[side], events[side])
            at = _thinned(len(fit.survival_function_))
            steps, free = fit.survival_function_.index.to_numpy()[at], fit.survival_function_.to_numpy()[at, 0]
            band = fit.confidence_interval_.to_numpy()[at]
            axis.step(steps, free, where="post", color=color, linewidth=1.3, label=_in_legend(f"{label} (n = {side.sum()})"))
            axis.fill_between(steps, band[:, 0], band[:, 1], step="post", color=color, alpha=0.15, linewidth=0)
        p = logrank_test(times[sides[0][0]], times[sides[1][0]], events[sides[0][0]], events[sides[1][0]]).p_value
        axis.set(xlabel=cohort.question.time, ylabel="free of the event", ylim=(0, 1.02))
        axis.set_title(f"{group['source'].partition(':')[0]}\nlog-rank p {p_text(p)}", fontsize=7)
        axis.legend(frameon=False, fontsize=7, loc="best")
    return figure


def _bland_altman(cohort: Cohort):
    panels = []
    for measure in cohort.measures if cohort.readings is not None else ():
        panels += [
            (measure.name, kind, names, pair)
            for kind, names, pair in compared(cohort, measure.name)
            if pair.shape[1] == 2 and len(pair) > 2
        ]
    if not panels:
        return None
    figure, axes = _panels(len(panels), height=2.9)
    for axis, (name, kind, names, pair) in zip(axes, panels):
        there = limits(pair[:, 0], pair[:, 1])
        at = _thinned(len(pair))
        axis.plot(pair[at].mean(axis=1), pair[at, 0] - pair[at, 1], "o", color=OTHER, markersize=3, alpha=0.7, markeredgewidth=0)
        for value, line in ((there.bias, "-"), (there.low, "--"), (there.high, "--")):
            axis.axhline(value, color=EVENT, linewidth=1, linestyle=line)
            axis.annotate(f"{value:.3g}", (1, value), xycoords=("axes fraction", "data"), fontsize=7, ha="right", va="bottom")
        shown = " - ".join(names) if kind == "inter" else f"{names[0]}: first - second reading"
        axis.set(xlabel=f"mean {_label(name)}", ylabel="difference")
        axis.set_title(f"{shown} (n = {len(pair)})", fontsize=8)
    return figure
