"""What a paper is made of here: patients to draw, published numbers with where they stand, and how ours are found. Facts and numbers only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from .paper_checks import Check
from .paper_intervals import of_area, of_correlation, of_mean, of_p, of_sd, of_share

PUBLISHED, BY_NUMBERS, SAME_SIDE, OURS = "published", "from the paper's n", "same side of 0.05", "ours"


@dataclass(frozen=True)
class Stratum:
    """Patients drawn together. numbers: column -> (mean, SD); counts: column -> (how many, their value, that of the rest).

    shapes: column -> function of n that gives n ascending values with mean 0 and SD 1, where they are not normal quantiles.
    """

    event: bool
    size: int
    numbers: dict[str, tuple[float, float]]
    counts: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    correlations: dict[tuple[str, str], float] = field(default_factory=dict)
    shapes: dict[str, Callable[[int], np.ndarray]] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """A number of a paper: where it stands and its 95 % interval; ``ours`` finds ours in (CohortResult, DataFrame of the patients).

    interval: where low and high are from; OURS: they are finders of our interval, in which the paper's number should lie. drawn: the
    patients were drawn with this number. contradicts: which other numbers of the paper this one does not fit.
    """

    what: str
    value: float
    ours: Callable
    low: object = None
    high: object = None
    note: str = ""
    place: str = "text"
    interval: str = PUBLISHED
    drawn: bool = False
    contradicts: str = ""

    def row(self, result, patients) -> dict:
        """A row of the table ``paper``."""
        ours = self.ours(result, patients)
        ends = [end(result, patients) if callable(end) else end for end in (self.low, self.high)]
        row = dict(
            place=self.place,
            what=self.what,
            paper=self.value,
            ours=ours,
            interval=self.interval,
            note=self.contradicts or self.note,
        )
        row |= {f"{'ours' if self.interval == OURS else 'paper'}_{name}": end for name, end in zip(("low", "high"), ends)}
        if self.contradicts:
            row["verdict"] = "contradictory"
        elif ours is None or None in ends:
            row["verdict"] = "not found"
        else:
            inside = ends[0] <= (self.value if self.interval == OURS else ours) <= ends[1]
            row["verdict"] = ("inside, as drawn" if self.drawn else "inside") if inside else "outside"
        return row


@dataclass(frozen=True)
class Paper:
    """question: arguments of ``analysis.analyze``. totals: event -> column -> (mean, SD) where strata together must have these.

    correlations: within strata. finish: completes the drawn rows in place. checks: the paper's numbers against each other; figures: our
    figure -> the paper's.
    """

    name: str
    title: str
    source: str
    outcome: str
    question: dict
    strata: tuple[Stratum, ...]
    correlations: dict[tuple[str, str], float]
    assumptions: tuple[str, ...]
    published: tuple[Published, ...]
    checks: tuple[Check, ...] = ()
    figures: dict[str, str] = field(default_factory=dict)
    totals: dict = field(default_factory=dict)
    finish: Callable | None = None


def cell(table: str, column: str, **where) -> Callable:
    """Finds the value of a column in the first row of a table that has these values."""

    def find(result, patients):
        for row in result.rows.get(table, ()):
            if all(row.get(name) == value for name, value in where.items()):
                return row.get(column)
        return None

    return find


def means(
    name: str, title: str, place: str, events: tuple, others: tuple, p: float | None = None, test: str = "p_student"
) -> tuple[Published, ...]:
    """Mean and SD of events and others, each as (mean, SD, n), and the p value of their difference."""
    found = []
    for group, (mean, sd, n) in (("events", events), ("others", others)):
        of = dict(place=place, interval=BY_NUMBERS, drawn=True)
        found.append(
            Published(
                f"{title}: mean of {group}", mean, cell("groups", f"mean_{group}", variable=name), *of_mean(mean, sd, n), **of
            )
        )
        found.append(Published(f"{title}: SD of {group}", sd, cell("groups", f"sd_{group}", variable=name), *of_sd(sd, n), **of))
    return (
        *found,
        *([p_value(f"{title}: p of events and others", p, cell("groups", test, variable=name), place)] if p is not None else []),
    )


def counts(
    name: str, level: str, title: str, place: str, events: tuple[int, int], others: tuple[int, int], p: float | None = None
) -> tuple[Published, ...]:
    """How many of the events and others have this level, each as (count, of), as shares, and the p value of their difference."""

    def share(value: str, outcome_value: str) -> Callable:
        def find(result, patients):
            members = patients[patients[result.cohort.question.outcome] == outcome_value]
            return float((members[name] == value).mean()) if name in members else None

        return find

    found = []
    for group, answer, (count, of) in (("events", "yes", events), ("others", "no", others)):
        low, high = of_share(count / of, of)
        found.append(
            Published(
                f"{title}: share of {group}",
                count / of,
                share(level, answer),
                low,
                high,
                f"{count} of {of}",
                place,
                BY_NUMBERS,
                True,
            )
        )
    if p is None:
        return tuple(found)
    return (*found, p_value(f"{title}: p of events and others", p, _first_p(name), place))


def _first_p(variable: str) -> Callable:
    """The p value of a variable of several levels stands in the row of the first."""

    def find(result, patients):
        return next((row["p"] for row in result.rows.get("groups", ()) if row["variable"] == variable and "p" in row), None)

    return find


def p_value(what: str, value: float, ours: Callable, place: str = "text", note: str = "", contradicts: str = "") -> Published:
    """A p value; one printed as < 0.001 is given as 0.001, and said so where there is no other note."""
    note = note or ("printed as < 0.001" if value == 0.001 else "")
    return Published(what, value, ours, *of_p(value), note, place, SAME_SIDE, contradicts=contradicts)


def area(name: str, title: str, auc: float, low=None, high=None, sizes=None, subgroup="all", **more) -> Published:
    """An area under the curve; sizes: (events, others), where the paper prints no interval."""
    how = PUBLISHED
    if low is None:
        (low, high), how = of_area(auc, *sizes), BY_NUMBERS
    return Published(f"{title}: AUC", auc, cell("roc", "auc", measure=name, subgroup=subgroup), low, high, interval=how, **more)


def youden_point(
    name: str, title: str, place: str, sizes: tuple[int, int] | None = None, subgroup="all", **values
) -> tuple[Published, ...]:
    """Cut-off, sensitivity, specificity at Youden's cut-off. The cut-off comes out where it lies in our bootstrap interval; shares: of (events, others)."""
    found = []
    for what, value in values.items():
        at = dict(measure=name, subgroup=subgroup)
        if what == "cutoff":
            ends = (cell("roc", "cutoff_low", **at), cell("roc", "cutoff_high", **at))
            found.append(
                Published(f"{title}: cut-off", value, cell("roc", what, **at), *ends, "in our bootstrap interval", place, OURS)
            )
        else:
            ends = of_share(value, sizes[what == "specificity"])
            found.append(Published(f"{title}: {what}", value, cell("roc", what, **at), *ends, place=place, interval=BY_NUMBERS))
    return tuple(found)


def correlation(first: str, second: str, what: str, value: float, n: int, subgroup="all", **more) -> Published:
    """Pearson's r between two measures."""
    ours = cell("correlations", "pearson", first=first, second=second, subgroup=subgroup)
    return Published(what, value, ours, *of_correlation(value, n), interval=BY_NUMBERS, **more)


def odds(model: str, term: str, value: float, low: float, high: float, place: str, **more) -> Published:
    """An odds ratio per unit."""
    return Published(
        f"{term}: odds ratio", value, cell("logistic", "odds_ratio", model=model, term=term), low, high, place=place, **more
    )


def contradicting(published: Published, why: str) -> Published:
    return replace(published, contradicts=why)
