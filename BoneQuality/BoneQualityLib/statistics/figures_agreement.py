"""Figures of agreement: Bland and Altman's plots of readers and of two methods, and two methods against each other."""

from __future__ import annotations

import numpy as np

from .agreement import FEWEST, compared, limits
from .cohort import Cohort
from .figure_style import EVENT, OTHER, label, panels, thinned
from .method_comparison import deming, method_pair, passing_bablok


def bland_altman_figure(cohort: Cohort):
    """One panel for every two readers and for each reader's first two readings, of every measure."""
    found = []
    for measure in cohort.measures if cohort.readings is not None else ():
        found += [
            (measure.name, kind, names, pair)
            for kind, names, pair in compared(cohort, measure.name)
            if pair.shape[1] == 2 and len(pair) >= FEWEST
        ]
    if not found:
        return None
    figure, axes = panels(len(found), height=2.5)
    for axis, (name, kind, names, pair) in zip(axes, found):
        _differences(axis, pair)
        axis.set(xlabel=f"mean {label(name)}", ylabel="difference")
        axis.set_title(f"{' - '.join(names) if kind == 'inter' else f'{names[0]}: first - second reading'} (n = {len(pair)})")
    return figure


def methods_figure(cohort: Cohort):
    """Two methods: the differences over the means, and one against the other with Deming's or Passing and Bablok's line."""
    if not cohort.question.methods or len(pair := method_pair(cohort)) < FEWEST:
        return None
    first, second = map(label, cohort.question.methods)
    figure, (differences, against) = panels(2, height=3.0)
    figure.set_size_inches(7.1, 3.2)
    _differences(differences, pair)
    differences.set(xlabel=f"mean of {first} and {second}", ylabel=f"{first} - {second}")
    differences.set_title(f"Bland-Altman (n = {len(pair)})")
    at = thinned(len(pair))
    against.plot(*pair[at].T, "o", color=OTHER, markersize=2.6, alpha=0.6, markeredgewidth=0)
    ends = np.array([pair.min(), pair.max()])
    against.plot(ends, ends, color="#999999", linewidth=0.8, linestyle=":", label="identity")
    name, line = next(
        ((n, found) for n, found in (("Passing-Bablok", passing_bablok(*pair.T)), ("Deming", deming(*pair.T))) if found), ("", None)
    )
    if line:
        slope, intercept = line["slope"][0], line["intercept"][0]
        reach = np.array([pair[:, 0].min(), pair[:, 0].max()])
        against.plot(reach, intercept + slope * reach, color=EVENT, linewidth=1.2, label=f"{name}: {intercept:.3g} + {slope:.3g} x")
    against.set(xlabel=first, ylabel=second)
    against.legend(loc="upper left")
    return figure


def _differences(axis, pair: np.ndarray) -> None:
    there, at = limits(pair[:, 0], pair[:, 1]), thinned(len(pair))
    axis.plot(pair[at].mean(axis=1), pair[at, 0] - pair[at, 1], "o", color=OTHER, markersize=2.6, alpha=0.6, markeredgewidth=0)
    for value, ends, line in ((there.bias, there.bias_ci, "-"), (there.low, there.low_ci, "--"), (there.high, there.high_ci, "--")):
        axis.axhline(value, color=EVENT, linewidth=1, linestyle=line)
        axis.axhspan(*ends, color=EVENT, alpha=0.12, linewidth=0)
        axis.annotate(f"{value:.3g}", (1, value), xycoords=("axes fraction", "data"), fontsize=7, ha="right", va="bottom")
