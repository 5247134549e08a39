"""The patient flow: how many cases the table holds, how many each rule excludes, how many events and others are analyzed."""

from __future__ import annotations

import textwrap

from .cohort import Cohort
from .figure_style import empty_figure

#: Of the boxes, in inches; letters to a line.
ROW, BOX = 0.62, dict(boxstyle="round,pad=0.35", facecolor="white", edgecolor="black", linewidth=0.8)
WRAP = 40


def flow_figure(cohort: Cohort):
    """None where nothing was excluded by a rule or for its missing outcome."""
    if len(cohort.flow) < 2:
        return None
    rows = 2 * len(cohort.flow) + 1
    figure = empty_figure(5.4, ROW * rows * 0.62 + 0.4, layout=None)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, 10), ylim=(rows, -0.6))
    axis.axis("off")
    for n, step in enumerate(cohort.flow):
        text = step["step"] if n == 0 else f"met: {step['step']}"
        _box(axis, 3.2, 2 * n, f"{_wrapped(text)}\nn = {step['left']}")
        if n:
            _arrow(axis, (3.2, 2 * n - 2), (3.2, 2 * n))
            _arrow(axis, (3.2, 2 * n - 1), (6.5, 2 * n - 1), ends=(0, 0))
            empty = f" ({step['missing']} without a value)" if step["missing"] else ""
            _box(axis, 7.9, 2 * n - 1, f"excluded\nn = {step['excluded']}{empty}")
    last, events = 2 * len(cohort.flow) - 2, int(cohort.events.sum())
    if cohort.question.outcome:
        for x, name, count in ((1.7, "events", events), (4.7, "others", len(cohort.events) - events)):
            _arrow(axis, (3.2, last), (x, last + 2))
            _box(axis, x, last + 2, f"{name}\nn = {count}")
    return figure


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text.replace(">=", "≥").replace("<=", "≤").replace("!=", "≠"), WRAP)) or text


def _box(axis, x: float, y: float, text: str) -> None:
    axis.text(x, y, text, ha="center", va="center", fontsize=8, bbox=BOX, zorder=2)


def _arrow(axis, begin: tuple[float, float], end: tuple[float, float], ends: tuple[float, float] = (10, 15)) -> None:
    """From box to box; ends: points left free there."""
    style = dict(arrowstyle="-|>", linewidth=0.8, color="black", shrinkA=ends[0], shrinkB=ends[1])
    axis.annotate("", end, begin, arrowprops=style, zorder=1)
