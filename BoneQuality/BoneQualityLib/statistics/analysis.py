"""The statistics of a cohort: what the papers report, from the cohort's CSV file. ``analyze`` is the entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from ..errors import BoneQualityError
from ..files.csv_tables import csv_text
from ..files.writing import check_free, write_whole
from . import agreement, correlation, event_groups, page, regression, roc, survival
from .cohort import Cohort, Question, load
from .figures import draw, image_bytes
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

    tables: DataFrames by name (``roc``, ``groups``, ``auc_comparisons``, ``correlations``, ``correlation_comparisons``, ``logistic``,
    ``survival``, ``cox``, ``paired``, ``agreement``: those with rows); figures: matplotlib figures by name, drawn when first
    asked for; warnings: sentences.
    """

    name: str
    cohort: Cohort
    rows: dict[str, list[dict]]
    cuts: list[dict]
    sections: list[Section] = field(default_factory=list)
    _drawn: dict = field(default_factory=dict)

    @cached_property
    def figures(self) -> dict:
        return draw(self.cohort, roc.directions(self.cohort), self.rows["roc"], self.cuts)

    @property
    def warnings(self) -> list[str]:
        return self.cohort.warnings

    @property
    def tables(self) -> dict:
        import pandas

        return {key: pandas.DataFrame(rows, columns=[c.name for c in COHORT_TABLES[key][1]]) for key, rows in self.rows.items()}

    def pictures(self, kind: str) -> dict[str, bytes]:
        """The figures as ``png`` or ``svg`` files' content."""
        if kind not in self._drawn:
            self._drawn[kind] = {name: image_bytes(figure, kind) for name, figure in self.figures.items()}
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


def analyze(
    source, outcome: str, *, measures="", by=None, adjust="", time=None, pairs=None, readers=None, progress=lambda share, text: None
) -> CohortResult:
    """Analyze a cohort; raises BoneQualityError for what cannot be read, is not there, or has one outcome only.

    source: the path of a CSV file, or a DataFrame; a row a case (with ``readers``: a row a reading, case_id naming the case).
    outcome: ``COLUMN`` of yes/no, 1/0 or true/false, or ``COLUMN=VALUE``. measures, adjust: lists of columns, or text with commas;
    ``raterisk[Less]`` is categorical, compared to Less. by: column of subgroups; time: of the time to event or to the end of
    follow-up; pairs: of the matched pair; readers: of the reader.

    Example::

        result = analyze("cohort.csv", "fracture", measures="hu_3d,vbq", by="hyperlipidemia", adjust="age,sex")
        result.tables["roc"]
        result.write_files("statistics")
    """
    require_packages()
    progress(0.02, "reading the cohort")
    cohort = load(source, Question.of(outcome, measures, by, adjust, time, pairs, readers))
    progress(0.1, "ROC curves")
    rows = dict(roc=roc.roc_rows(cohort))
    progress(0.3, "groups, correlations and regressions")
    rows.update(
        groups=event_groups.group_rows(cohort),
        auc_comparisons=roc.comparison_rows(cohort),
        correlations=correlation.correlation_rows(cohort),
    )
    rows.update(correlation_comparisons=correlation.correlation_comparison_rows(cohort, rows["correlations"]))
    rows.update(logistic=regression.logistic_rows(cohort))
    progress(0.5, "time to event, pairs and readers")
    cuts = survival.cut_groups(cohort, rows["roc"])
    rows.update(survival=survival.survival_rows(cohort, cuts) if cuts else [], cox=survival.cox_rows(cohort, cuts))
    rows.update(paired=event_groups.paired_rows(cohort), agreement=agreement.agreement_rows(cohort))
    progress(1.0, "")
    return CohortResult(cohort.name, cohort, {key: found for key, found in rows.items() if found or key == "roc"}, cuts)


def require_packages() -> None:
    """Raise BoneQualityError where a package of the statistics is not installed."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise BoneQualityError(f"The statistics need {', '.join(missing)}; install them with: pip install 'bonequality[cohort]'.")
