"""What every figure of a cohort has in common: size for a journal's column, colors, letters, files with the same bytes each time."""

from __future__ import annotations

import io
import warnings

import numpy as np
from scipy import stats

from .cohort import column_of

#: Okabe and Ito's colors, which the color blind can tell apart; lines differ in style too, for print without color.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#8c6d31", "#7f7f7f", "#f0e442")
LINES = ("-", "--", "-.", ":")
EVENT, OTHER = COLORS[1], COLORS[0]
#: Curves are thinned to, and clouds of points drawn from, this many points at most.
MOST_POINTS = 2000
#: Inches: two columns of a journal, 180 mm. Figures are printed at their size, so that letters of 7 points stay 7 points.
WIDTH = 7.1
DPI = 200
STYLE = {
    "svg.hashsalt": "bonequality",
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "text.parse_math": False,  # a $ in the name of a column is a $
}


def image_bytes(figure, kind: str, family: list[str]) -> bytes:
    """A figure as PNG or SVG, without a time stamp."""
    from matplotlib import rc_context

    out = io.BytesIO()
    with rc_context(STYLE | {"font.family": family}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a letter that no font here has is a box in the figure, itself on the page
        figure.savefig(out, format=kind, dpi=DPI, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return out.getvalue()


def panels(count: int, height: float, columns: int = 3):
    """A figure as wide as a journal's page with ``count`` axes of this height in inches, row by row; narrower for one or two axes."""
    columns = min(count, columns)
    rows = -(-count // columns)
    figure = empty_figure(WIDTH * columns / max(columns, 3), height * rows)
    return figure, [figure.add_subplot(rows, columns, n + 1) for n in range(count)]


def empty_figure(width: float, height: float, layout: str | None = "constrained"):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def lay_out(figure) -> None:
    """Find the places of axes and texts once, for both kinds of files; where they stand takes longer than to draw them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")
        figure.draw_without_rendering()
    figure.set_layout_engine("none")


def thinned(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).round().astype(int)) if count else np.zeros(0, int)


def label(name: str) -> str:
    column = column_of(name)
    return f"{column.title} ({column.unit})" if column.unit else column.title


def in_legend(text: str) -> str:
    """A label that is shown: matplotlib leaves out those that begin with an underscore."""
    return f" {text}" if text.startswith("_") else text


def regression_band(axis, x: np.ndarray, y: np.ndarray, color: str) -> None:
    """The least-squares line and the 95 % band of its mean, over the range of x."""
    if len(x) < 4 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return
    fit, at = stats.linregress(x, y), np.linspace(x.min(), x.max(), 50)
    rest = y - fit.intercept - fit.slope * x
    error = np.sqrt(np.sum(rest**2) / (len(x) - 2)) * np.sqrt(1 / len(x) + (at - x.mean()) ** 2 / np.sum((x - x.mean()) ** 2))
    line, half = fit.intercept + fit.slope * at, stats.t.ppf(0.975, len(x) - 2) * error
    axis.plot(at, line, color=color, linewidth=1)
    axis.fill_between(at, line - half, line + half, color=color, alpha=0.18, linewidth=0)
