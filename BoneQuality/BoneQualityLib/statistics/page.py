"""The page of a cohort that a person reads first, and the text for a terminal."""

from __future__ import annotations

import base64
from importlib.metadata import version
from pathlib import Path

from .. import __version__
from .cohort import Cohort, column_of
from .event_groups import SHAPIRO_RANGE, SMALL_COUNT
from .figures import MOST_CORRELATED
from .regression import EVENTS_PER_VARIABLE
from .roc import MOST_CLASSES, RESAMPLES, SEED
from .survival import MOST_FOR_PROPORTIONAL
from .tables import COHORT_TABLES

TEMPLATE = Path(__file__).with_name("page.html")
CAPTIONS = dict(
    roc="ROC curves; dots: Youden's cut-off.",
    boxes="Measures among events and others: median, quartiles, whiskers to 1.5 times the interquartile range.",
    correlation=f"Every two of the first {MOST_CORRELATED} measures; orange: events, blue: others. Of large cohorts an even selection of "
    "points is drawn.",
    kaplan_meier="Free of the event over time on either side of a cut-off (Kaplan-Meier, 95 % bands).",
    bland_altman="Differences of readings over their means; lines: bias and limits of agreement (1.96 SD).",
)
#: Table -> how it was made, with its source.
METHODS = {
    "roc": f"ROC: area with the interval of DeLong (1988) by the ranks of Sun and Xu (2014). The side of risk is the one on which the area "
    "over all cases is above one half. Cut-off: the largest Youden index (1950), midway between neighboring values, of several the one with the "
    f"highest sensitivity. Its interval: percentiles of {RESAMPLES} bootstrap resamples of events and others apart, seed {SEED}, the cut-off "
    f"sought anew in each; over {MOST_CLASSES} distinct values are resampled in {MOST_CLASSES} classes. A cut-off is "
    "optimistic in the cohort it comes from.",
    "groups": f"Groups: mean and SD; Welch's t test where Shapiro-Wilk finds neither group other than normal (p 0.05; not tested above "
    f"{SHAPIRO_RANGE[1]} cases, where t is used), else Mann-Whitney. Levels: chi-square without continuity correction; Fisher's exact test in "
    f"2 x 2 tables with an expected count under {SMALL_COUNT:g}.",
    "auc_comparisons": "Areas compared: DeLong's test, paired between measures over the cases that have both, unpaired between subgroups.",
    "correlations": "Correlations: Pearson with Fisher's interval, Spearman.",
    "correlation_comparisons": "Correlations between subgroups: Fisher's z.",
    "logistic": "Logistic regression by maximum likelihood, complete cases, Wald intervals; each measure with the adjusting variables, and all "
    f"measures together with them. Fewer than {EVENTS_PER_VARIABLE} events per variable (Peduzzi 1996) are warned of.",
    "survival": "Time to event: Kaplan-Meier and log-rank. The cohort's own cut-off is optimistic here too; published ones are not.",
    "cox": "Proportional hazards: Cox with Efron's ties; proportionality by Schoenfeld residuals against ranked time (ties: mean rank), up to "
    f"{MOST_FOR_PROPORTIONAL} cases.",
    "paired": "Matched pairs: paired t test, Wilcoxon where Shapiro-Wilk finds the differences not normal; two-valued variables: McNemar, exact.",
    "agreement": "Readers: all other results use the mean over readers of each one's first reading; intra: the first two readings of a "
    "reader. ICC: two-way random effects, absolute agreement (Shrout and Fleiss 1979; intervals: McGraw and Wong 1996). Limits of "
    "agreement: Bland and Altman (1986).",
}
#: Columns that are the same in every row of a model: shown once.
OF_MODEL = ("model", "n", "events", "deviance", "events_per_variable")
READING = "n is that of each row: every analysis takes the cases complete for it. p values are two-sided and not adjusted for several tests."


def html(result) -> str:
    """The page of a ``cohort.CohortResult``: self-contained, figures embedded."""
    from jinja2 import Environment

    template = Environment(autoescape=True, trim_blocks=True).from_string(TEMPLATE.read_text(encoding="utf-8"))
    figures = [dict(caption=CAPTIONS[name], data=base64.b64encode(data).decode()) for name, data in result.pictures("png").items()]
    return template.render(
        name=result.name, asked=asked(result.cohort), warnings=result.warnings, sections=result.sections, figures=figures, reading=READING,
        tables={key: _table(key, rows) for key, rows in result.rows.items()}, methods=[METHODS[key] for key in result.rows if key in METHODS],
        software=software(),
    )  # fmt: skip


def software() -> str:
    packages = ("numpy", "scipy", "pandas", "statsmodels", "lifelines", "matplotlib")
    return f"BoneQuality {__version__}; " + ", ".join(f"{name} {version(name)}" for name in packages) + "."


def asked(cohort: Cohort) -> list[tuple[str, str]]:
    """What was asked and of how many cases, as (title, text)."""
    question, events = cohort.question, int(cohort.events.sum())
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
        ("Measures", "; ".join(f"{column_of(m.name).title} (n {int(cohort.complete(m.name).sum())})" for m in cohort.measures)),
        ("Adjusted for", ", ".join(t.name + (f" [compared to {t.reference}]" if t.reference else "") for t in question.adjust)),
        (
            "Subgroups",
            f"{question.by}: " + ", ".join(f"{s} (n {int(cohort.members(s).sum())})" for s in cohort.subgroups())
            if question.by
            else "",
        ),
        ("Time", question.time or ""),
        ("Pairs", question.pairs or ""),
        ("Readers", question.readers or ""),
    ]
    return [(title, text) for title, text in found if text]


def _table(key: str, rows: list[dict]) -> dict:
    title, columns = COHORT_TABLES[key]
    shown = [column for column in columns if column.shown and any(_there(column, row) for row in rows)]
    cells, before = [], {}
    for row in rows:
        again = before.get("model") == row.get("model", "")
        cells.append([(column, "" if again and column.name in OF_MODEL else _cell(key, column, row)) for column in shown])
        before = row
    return dict(title=title, columns=shown, rows=cells)


def _there(column, row: dict) -> bool:
    return column.page_cell(row) not in ("-", "")


def _cell(key: str, column, row: dict) -> str:
    text = column.page_cell(row)
    if key == "roc" and column.name == "cutoff" and text != "-":
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
    lines += ["", COHORT_TABLES["roc"][0], *aligned("roc", result.rows["roc"])]
    if result.warnings:
        lines += ["", "Warnings:", *(f"  {warning}" for warning in result.warnings)]
    return "\n".join(lines)


def aligned(key: str, rows: list[dict]) -> list[str]:
    """A table as lines of text."""
    table = _table(key, rows)
    cells = [[column.title for column in table["columns"]], *([cell for _, cell in row] for row in table["rows"])]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]
