"""The page of a cohort that a person reads first, and the text for a terminal."""

from __future__ import annotations

import base64
from pathlib import Path

from .cohort import Cohort, column_of
from .figures import MOST_CORRELATED
from .methods_text import ALWAYS, paragraph, strobe
from .tables import COHORT_TABLES

TEMPLATE = Path(__file__).with_name("page.html")
CAPTIONS = dict(
    flow="Patient flow: the rules in the order they were applied, and the cases that each excluded.",
    roc="ROC curves; dots: Youden's cut-off.",
    boxes="Measures among events and others: median, quartiles, whiskers to 1.5 times the interquartile range.",
    correlation=f"Every two of the first {MOST_CORRELATED} measures, with the regression line and the 95 % band of its mean. Triangles: events; "
    "circles: others. Of large cohorts an even selection of points is drawn.",
    correlation_subgroups="The first measures against each other in every subgroup, with regression line and 95 % band.",
    heat_map="Correlations between the measures: Spearman's below the diagonal, Pearson's above it.",
    kaplan_meier="Free of the event over time on either side of a cut-off (Kaplan-Meier, 95 % bands), with the numbers at risk; "
    "dotted: the window, where one was asked for.",
    incidence="Cumulative incidence of the event where another competes (Aalen-Johansen, 95 % bands), with the numbers at risk.",
    methods="Two methods: differences over means with bias and limits of agreement and their 95 % intervals; one against the other.",
    bland_altman="Differences of readings over their means; lines: bias and limits of agreement (1.96 SD) with their 95 % intervals.",
)
#: Columns that are the same in every row of a model: shown once.
OF_MODEL = ("model", "n", "events", "deviance", "events_per_variable", "imputations")
#: Columns that are the same in every row of a group of rows: shown once. Table -> the columns that name the group.
REPEATED = {"paper": ("place",), "paper_checks": ("place",), "roc": ("measure",), "cutoffs": ("measure", "cutoff", "source"), "survival": ("measure", "cutoff", "source", "period"),
            "incidence": ("measure", "cutoff", "source", "group"), "outcome_correlations": ("measure",), "subgroups": ("variable", "among"), "methods": ("first", "second", "subgroup", "n"), "follow_up": ("subgroup", "n"),
            "reliability": ("measure", "kind", "readers", "n", "k")}  # fmt: skip


def html(result) -> str:
    """The page of a ``cohort.CohortResult``: self-contained, figures embedded."""
    from jinja2 import Environment

    template = Environment(autoescape=True, trim_blocks=True).from_string(TEMPLATE.read_text(encoding="utf-8"))
    figures = [
        dict(
            caption=f"Figure {n} ({name}). {CAPTIONS[name]}",
            data=base64.b64encode(data).decode(),
            width=f"{_width(result.figures[name]):.2f}in",
        )
        for n, (name, data) in enumerate(result.pictures("png").items(), 1)
    ]
    shown = {key: _table(key, rows) for key, rows in result.rows.items() if rows}
    return template.render(
        name=result.name, asked=asked(result.cohort), warnings=result.warnings, sections=result.sections, figures=figures, reading=ALWAYS,
        tables=shown, first=[key for key in ("roc", "cutoffs") if key in shown], in_sections={s.key for s in result.sections},
        methods=paragraph(result.cohort, result.rows), strobe=strobe(result.cohort, result.rows, result.figures),
    )  # fmt: skip


def _width(figure) -> float:
    """Inches on the screen: a figure at its printed size, larger by a quarter."""
    return 1.25 * float(figure.get_size_inches()[0])


def asked(cohort: Cohort) -> list[tuple[str, str]]:
    """What was asked and of how many cases, as (title, text)."""
    question, events = cohort.question, int(cohort.events.sum())
    if question.outcome is None:
        return [(title, text) for title, text in [("Cases", str(len(cohort.events))), *_rest(cohort)] if text]
    value = f" = {question.value}" if question.value else ""
    others = cohort.frame[question.outcome][~cohort.events].value_counts()
    others = (
        "; others: " + ", ".join(f"{cell} ({n})" for cell, n in others.head(8).items()) + " ..." * (len(others) > 8)
        if value
        else ""
    )
    found = [
        (
            "Outcome",
            f"{question.outcome}{value}: {events} events among {len(cohort.events)} cases ({100 * events / len(cohort.events):.1f} %){others}",
        ),
        *_rest(cohort),
    ]
    return [(title, text) for title, text in found if text]


def _rest(cohort: Cohort) -> list[tuple[str, str]]:
    question = cohort.question
    competing = question.competing and "=".join(part for part in question.competing if part)
    return [
        ("Measures", "; ".join(f"{column_of(m.name).title} (n {int(cohort.complete(m.name).sum())})" for m in cohort.measures)),
        ("Included", "; ".join(map(str, question.where))),
        ("Adjusted for", ", ".join(t.name + (f" [compared to {t.reference}]" if t.reference else "") for t in question.adjust)),
        (
            "Subgroups",
            f"{question.by}: " + ", ".join(f"{s} (n {int(cohort.members(s).sum())})" for s in cohort.subgroups())
            if question.by
            else "",
        ),
        ("Cut-offs", "; ".join(map(str, question.cutoffs))),
        ("Time", question.time or ""),
        ("Window", f"{question.window:g}" if question.window else ""),
        ("Competing event", competing or ""),
        ("Pairs", question.pairs or ""),
        ("Readers", question.readers or ""),
        ("Two methods", ", ".join(question.methods)),
        ("Imputed data sets", str(question.impute or "")),
    ]


def _table(key: str, rows: list[dict]) -> dict:
    title, columns = COHORT_TABLES[key]
    shown = [column for column in columns if column.shown and any(_there(column, row) for row in rows)]
    cells, before = [], {}
    for row in rows:
        same = "model" in row and before.get("model") == row["model"]
        hidden = set(OF_MODEL) if same else _repeated(REPEATED.get(key, ()), before, row)
        cells.append([(column, "" if column.name in hidden else _cell(key, column, row)) for column in shown])
        before = row
    return dict(title=title, columns=shown, rows=cells)


def _repeated(names: tuple[str, ...], before: dict, row: dict) -> set[str]:
    """The first of these columns up to where this row differs from the one before."""
    found = set()
    for name in names:
        if not before or before.get(name) != row.get(name):
            break
        found.add(name)
    return found


def _there(column, row: dict) -> bool:
    return column.page_cell(row) not in ("-", "")


def _cell(key: str, column, row: dict) -> str:
    text = column.page_cell(row)
    if column.name == "cutoff" and "comparison" in row and text != "-":
        return f"{'≤' if row['comparison'] == '<=' else '≥'} {text}"
    if column.name in ("measure", "variable", "first", "second"):
        name, colon, subgroup = text.partition(": ")
        return column_of(name).title + colon + subgroup
    return text


def terminal(result) -> str:
    """What was asked, the key table, and the warnings, as text."""
    lines = [f"Cohort {result.name}", ""]
    lines += [f"{title}: {text}" for title, text in asked(result.cohort)]
    for section in result.sections:
        lines += ["", section.title, *section.lines, *(aligned(section.key, result.rows[section.key]) if section.key else [])]
    for key in ("roc", "cutoffs") if result.cohort.question.outcome else ("methods", "reliability"):
        if result.rows.get(key):
            lines += ["", COHORT_TABLES[key][0], *aligned(key, result.rows[key])]
    if result.warnings:
        lines += ["", "Warnings:", *(f"  {warning}" for warning in result.warnings)]
    return "\n".join(lines)


def aligned(key: str, rows: list[dict]) -> list[str]:
    """A table as lines of text."""
    table = _table(key, rows)
    cells = [[column.title for column in table["columns"]], *([cell for _, cell in row] for row in table["rows"])]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]
