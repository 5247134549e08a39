"""The statistics of a cohort: what the papers report, from the cohort's CSV file. ``analyze`` is the entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..errors import BoneQualityError
from ..files.csv_tables import csv_text
from ..files.writing import check_free, write_whole
from . import (
    agreement,
    correlation,
    cutoffs,
    event_groups,
    follow_up,
    imputation,
    method_comparison,
    page,
    regression,
    roc,
    subgroup_tables,
    survival,
)
from .cohort import Cohort, load
from .figure_style import image_bytes
from .figures import draw
from .question import Question
from .tables import COHORT_TABLES

PACKAGES = ("pandas", "statsmodels", "lifelines", "matplotlib", "jinja2")
PAGE = "cohort.html"


@dataclass(frozen=True)
class Section:
    """A part of the page before the results: lines of text and, where ``key`` names one, a table."""

    title: str
    lines: tuple[str, ...]
    key: str = ""


@dataclass(eq=False)
class CohortResult:
    """Tables and figures of a cohort.

    tables: DataFrames by name, those of ``tables.COHORT_TABLES`` with rows; figures: matplotlib figures by name, drawn when first asked
    for; warnings: sentences. rows: the tables as dicts; cuts: how cases split over time, as of `survival.cut_groups`.
    """

    name: str
    cohort: Cohort
    rows: dict[str, list[dict]]
    cuts: list[dict]
    sections: list[Section] = field(default_factory=list)
    _drawn: dict = field(default_factory=dict)

    @cached_property
    def _figures_and_family(self) -> tuple[dict, list[str]]:
        signs = roc.directions(self.cohort) if self.cohort.question.outcome else {}
        return draw(self.cohort, signs, self.rows, self.cuts)

    @property
    def figures(self) -> dict:
        return self._figures_and_family[0]

    @property
    def warnings(self) -> list[str]:
        return self.cohort.warnings

    @property
    def tables(self) -> dict:
        import pandas

        return {key: pandas.DataFrame(rows, columns=[c.name for c in COHORT_TABLES[key][1]]) for key, rows in self.rows.items()}

    @property
    def titled_tables(self) -> dict[str, tuple[str, tuple, list[dict]]]:
        """Title, columns (``columns.Column``) and rows of every table by name."""
        return {key: (*COHORT_TABLES[key], rows) for key, rows in self.rows.items()}

    @property
    def roc_curves(self) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """(measure with its area, false positive rates, true positive rates) over all cases; none without an outcome."""
        found, cohort = [], self.cohort
        areas = {row["measure"]: row.get("auc") for row in self.rows.get("roc", ()) if row["subgroup"] == "all"}
        for name, sign in (roc.directions(cohort) if areas else {}).items():
            there = cohort.complete(name)
            found.append((f"{name}, AUC {areas[name]:.3f}", *roc.curve(sign * cohort.values(name)[there], cohort.events[there])))
        return found

    def pictures(self, kind: str) -> dict[str, bytes]:
        """The figures as ``png`` or ``svg`` files' content."""
        if kind not in self._drawn:
            self._drawn[kind] = {
                name: image_bytes(figure, kind, self._figures_and_family[1]) for name, figure in self.figures.items()
            }
        return self._drawn[kind]

    def html(self) -> str:
        """The page to read first, with the figures in it."""
        return page.html(self)

    def write_files(self, folder: str | Path, overwrite: bool = False, more: dict[str, str] | None = None) -> list[Path]:
        """Write the tables as CSV, the figures as PNG and SVG, and ``cohort.html`` last; returns their paths. All are written or none.

        more: further text files by name. What an earlier question left there would be taken for this one's: it goes. Raises
        BoneQualityError where a file of such a name is there already and is not to be replaced.
        """
        folder = Path(folder)
        contents: dict[str, str | bytes] = dict(more or {})
        contents.update({f"{key}.csv": csv_text(COHORT_TABLES[key][1], rows) for key, rows in self.rows.items()})
        for kind in ("png", "svg"):
            contents.update({f"{name}.{kind}": data for name, data in self.pictures(kind).items()})
        contents[PAGE] = self.html()
        left_over = [folder / name for name in sorted(_possible_files() - set(contents))]
        check_free(left_over, overwrite)
        left_over = left_over if (folder / PAGE).exists() else []
        write_whole({folder / name: content for name, content in contents.items()}, overwrite)
        for path in left_over:
            path.unlink(missing_ok=True)
        return [folder / name for name in contents]


def _possible_files() -> set[str]:
    figures = {f"{name}.{kind}" for name in page.CAPTIONS for kind in ("png", "svg")}
    return figures | {f"{key}.csv" for key in COHORT_TABLES}


def analyze(source, outcome: str | None, *, progress=lambda share, text: None, **asked) -> CohortResult:
    """Analyze a cohort; raises BoneQualityError for what cannot be read, is not there, or has one outcome only.

    source: the path of a CSV file, or a DataFrame; one row per case (with ``readers``: one row per reading, case_id naming the case).
    outcome: ``COLUMN`` of yes/no, 1/0 or true/false, or ``COLUMN=VALUE``; None where only methods or readers are compared. asked: what
    else is asked, by the names of `question.Question`: texts with commas or lists of texts. ``raterisk[Less]`` in ``adjust`` is
    categorical, compared to Less.

    Example::

        result = analyze("cohort.csv", "fracture", measures="hu_3d,vbq", by="hyperlipidemia", adjust="age,sex", where=["age>=50"])
        result.tables["roc"]
        result.write_files("statistics")
    """
    require_packages()
    progress(0.02, "reading the cohort")
    cohort = load(source, Question.of(outcome, **asked))
    rows, cuts = _of_outcome(cohort, progress) if cohort.question.outcome else ({}, [])
    progress(0.8, "methods and readers")
    rows.update(methods=method_comparison.method_rows(cohort), agreement=agreement.agreement_rows(cohort))
    rows.update(reliability=agreement.reliability_rows(cohort))
    if len(cohort.flow) > 1:
        rows["flow"] = cohort.flow
    progress(1.0, "")
    order = [key for key in COHORT_TABLES if rows.get(key) or (key == "roc" and key in rows)]
    return CohortResult(cohort.name, cohort, {key: rows[key] for key in order}, cuts)


def _of_outcome(cohort: Cohort, progress) -> tuple[dict[str, list[dict]], list[dict]]:
    """The tables that compare events with others, and how the cases split at the cut-offs over time."""
    progress(0.1, "ROC curves")
    rows = dict(roc=roc.roc_rows(cohort))
    progress(0.3, "groups and correlations")
    rows.update(
        cutoffs=cutoffs.performance_rows(cohort, rows["roc"]),
        groups=event_groups.group_rows(cohort),
        subgroups=subgroup_tables.subgroup_rows(cohort),
        auc_comparisons=roc.comparison_rows(cohort),
        outcome_correlations=correlation.outcome_rows(cohort),
        correlations=correlation.correlation_rows(cohort),
    )
    rows.update(correlation_comparisons=correlation.correlation_comparison_rows(cohort, rows["correlations"]))
    progress(0.5, "regressions")
    rows.update(logistic=regression.logistic_rows(cohort))
    rows.update(odds=regression.odds_rows(cohort, rows["logistic"]), imputed=imputation.imputed_rows(cohort))
    progress(0.6, "time to event and pairs")
    cuts = survival.cut_groups(cohort, rows["roc"])
    rows.update(follow_up=follow_up.follow_up_rows(cohort), survival=survival.survival_rows(cohort, cuts) if cuts else [])
    rows.update(
        incidence=follow_up.incidence_rows(cohort, cuts),
        cox=survival.cox_rows(cohort, cuts),
        paired=event_groups.paired_rows(cohort),
    )
    return rows, cuts


def require_packages() -> None:
    """Raise BoneQualityError where a package of the statistics is not installed."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise BoneQualityError(
            "The statistics need {missing}; install them with: pip install 'bonequality[cohort]'.", missing=", ".join(missing)
        )
