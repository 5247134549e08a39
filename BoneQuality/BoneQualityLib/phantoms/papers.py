"""The papers again: patients from a paper's table, the cohort's statistics over them, and the paper's numbers beside ours.

The patients of a group are normal quantiles with exactly the published mean and SD, the same at every run; how the measures of one
patient go together is assumed where the paper does not say, and every assumption is shown.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from ..columns import Column
from ..errors import BoneQualityError
from ..files.csv_tables import csv_text
from ..statistics.analysis import CohortResult, Section, analyze
from .paper_chang import CHANG
from .paper_kadri import KADRI
from .paper_numbers import Paper, Stratum
from .paper_xue import XUE
from .paper_zhan import ZHAN

PAPERS: dict[str, Paper] = {paper.name: paper for paper in (CHANG, XUE, ZHAN, KADRI)}
PATIENTS, DECIMALS = "patients.csv", 6
VERDICTS = ("inside", "inside, as drawn", "outside", "contradictory", "not found")


def patients(name: str) -> list[dict]:
    """The drawn patients of a paper: rows of a cohort with ``case_id``, the outcome (yes/no), measures and facts by column.

    name: chang, xue, zhan or kadri. Raises BoneQualityError for another.
    """
    paper = _paper(name)
    starts = np.cumsum([0, *(stratum.size for stratum in paper.strata)])
    drawn = [_draw(stratum, paper.correlations, int(start)) for stratum, start in zip(paper.strata, starts)]
    for event in (True, False):
        members = [columns for columns, stratum in zip(drawn, paper.strata) if stratum.event == event]
        for column, (mean, sd) in paper.totals.get(event, {}).items():
            _standardize([columns[column] for columns in members], mean, sd)
    rows = []
    for columns, stratum in zip(drawn, paper.strata):
        for n in range(stratum.size):
            row = {paper.outcome: "yes" if stratum.event else "no", **stratum.facts}
            rows.append(row | {column: _plain(values[n]) for column, values in columns.items()})
    if paper.finish:
        paper.finish(rows)
    return [{"case_id": f"{name}-{n:03d}", **row} for n, row in enumerate(rows, 1)]


def run(
    name: str, folder: Path, overwrite: bool, progress=lambda share, text: None, images: bool = False, workers: int | None = None
) -> CohortResult:
    """Draw a paper's patients, analyze them, and write ``patients.csv`` and all that ``analyze`` gives to ``folder``.

    images: the patients become phantom images first, and what is measured on these is analyzed; workers: as of `run_batch`.
    """
    import pandas

    paper = _paper(name)
    rows = patients(name)
    frame, said, how = pandas.DataFrame(rows), "Drawn, not measured", []
    if images:
        from .paper_images import measured

        frame, how = measured(rows, folder, overwrite, workers, progress)
        said = "Drawn, imaged and measured"
    result = analyze(frame, paper.outcome, progress=progress, **paper.question)
    result.name = f"{paper.title} from its tables"
    result.rows = dict(paper=beside(paper, result, frame), paper_checks=[check.row() for check in paper.checks]) | result.rows
    result.sections = [
        Section("What came out", verdict_lines(result.rows["paper"], result.rows["paper_checks"])),
        Section("The paper's numbers beside ours", _figure_lines(paper, result), "paper"),
        Section(
            "The paper's numbers against each other",
            ("What each number must be if the others hold, rounding included.",),
            "paper_checks",
        ),
        Section(said, (paper.source, *paper.assumptions, *how)),
    ]
    result.write_files(folder, overwrite, {PATIENTS: csv_text(_columns(rows), rows)})
    return result


def beside(paper: Paper, result: CohortResult, frame) -> list[dict]:
    """Rows of the table ``paper``: every published number, ours, and its verdict, in the order of the paper's tables and figures.

    frame: the patients as a DataFrame, drawn or measured.
    """
    rows = [number.row(result, frame) for number in paper.published]
    order = {place: n for n, place in enumerate(dict.fromkeys(sorted((row["place"] for row in rows), key=_place)))}
    return sorted(rows, key=lambda row: order[row["place"]])


def _place(place: str) -> tuple[bool, str, str]:
    """Tables first, then figures, then the text."""
    return place.startswith(("text", "abstract")), "" if place.startswith("table") else "z", place


def verdict_lines(numbers: list[dict], checks: list[dict]) -> tuple[str, ...]:
    """The first page: how many of the paper's numbers came out, which did not, and which contradict each other."""
    of = {verdict: [row["what"] for row in numbers if row["verdict"] == verdict] for verdict in VERDICTS}
    lines = [
        f"{len(numbers)} published numbers: {len(of['inside'])} inside their interval, {len(of['inside, as drawn'])} more inside because the patients "
        f"were drawn with them, {len(of['outside'])} outside, {len(of['contradictory'])} contradictory, as they do not fit other numbers of the paper"
        + (f", {len(of['not found'])} could not be found." if of["not found"] else ".")
    ]
    for verdict, said in (("outside", "Outside"), ("contradictory", "Contradictory"), ("not found", "Not found")):
        lines += [f"{said}: {'; '.join(of[verdict])}."] if of[verdict] else []
    off = [f"{check['what']} ({check['place']})" for check in checks if check["fits"] == "no"]
    lines.append(
        f"{len(checks)} checks of the paper's numbers against each other: {len(checks) - len(off)} fit"
        + (f"; not: {'; '.join(off)}." if off else ".")
    )
    return tuple(lines)


def _figure_lines(paper: Paper, result: CohortResult) -> tuple[str, ...]:

    shown = [f"{name} - {theirs}" for name, theirs in paper.figures.items() if name in result.figures]
    return ("Our figures below and the paper's: " + "; ".join(shown) + ".",) if shown else ()


def _paper(name: str) -> Paper:
    if name not in PAPERS:
        raise BoneQualityError("{name!r} is no paper that is known; choose one of {papers}.", name=name, papers=", ".join(PAPERS))
    return PAPERS[name]


def _draw(stratum: Stratum, correlations: dict, start: int) -> dict[str, np.ndarray]:
    """The columns of a stratum: normal quantiles put in an order that gives them their correlations (Iman and Conover 1982)."""
    names = [*stratum.numbers, *stratum.counts]
    scores = _scores(start, stratum.size, _matrix(names, correlations | stratum.correlations))
    order = np.argsort(np.argsort(scores, axis=0), axis=0)
    columns = {}
    for n, (name, (mean, sd)) in enumerate(stratum.numbers.items()):
        quantiles = stratum.shapes.get(name, standard_quantiles)(stratum.size)
        columns[name] = mean + sd * quantiles[order[:, n]]
    for n, (name, (count, yes, no)) in enumerate(stratum.counts.items(), len(columns)):
        columns[name] = np.where(order[:, n] >= stratum.size - count, yes, no).astype(object)
    return columns


def standard_quantiles(n: int) -> np.ndarray:
    """n normal quantiles, ascending, with mean 0 and SD 1 exactly."""
    quantiles = ndtri((np.arange(n) + 0.5) / n)
    return quantiles / quantiles.std(ddof=1)


def _matrix(names: list[str], correlations: dict) -> np.ndarray:
    matrix = np.eye(len(names))
    for (first, second), value in correlations.items():
        if first in names and second in names:
            i, j = names.index(first), names.index(second)
            matrix[i, j] = matrix[j, i] = value
    return matrix


def _scores(start: int, n: int, matrix: np.ndarray) -> np.ndarray:
    """Normal scores (n, k) with the correlations of ``matrix`` exactly, from an evenly filling sequence instead of chance.

    The sequence is Sobol's; its part from ``start`` on, so that no two strata have the same.
    """
    k = len(matrix)
    sequence = qmc.Sobol(k, scramble=False).fast_forward(start + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that n is no power of two
        points = ndtri(sequence.random(n))
    points -= points.mean(axis=0)
    white = points @ np.linalg.inv(np.linalg.cholesky(np.cov(points.T).reshape(k, k))).T
    return white @ np.linalg.cholesky(matrix).T


def _standardize(parts: list[np.ndarray], mean: float, sd: float) -> None:
    """Shift and scale these values together, in place, to this mean and SD."""
    together = np.concatenate(parts)
    for part in parts:
        part[:] = mean + (part - together.mean()) * sd / together.std(ddof=1)


def _plain(value):
    """As it stands in the CSV file."""
    return str(value) if isinstance(value, str) else round(float(value), DECIMALS)


def _columns(rows: list[dict]) -> tuple[Column, ...]:
    return tuple(Column(name, name, "", DECIMALS if isinstance(value, float) else None) for name, value in rows[0].items())
