"""The page of a batch that a person looks through: one row per case, to sort, filter and mark without a server."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from .. import __version__
from ..columns import CASE_COLUMNS, measures_for
from ..outputs.document import RESEARCH
from ..states import CATALOG
from .review import MARKS, Review

PAGE = "index.html"
THUMBNAILS = "thumbnails"
TEMPLATE = Path(__file__).with_name(PAGE)
#: Values of the case table on the page with their digits after the point; a column that no case has is not shown.
SHOWN = {measure.name: measure.people for measure in measures_for("headline")} | dict(t_score=1, age=0)


def index_page(rows: Iterable[dict], reviews: dict[str, Review]) -> Iterator[str]:
    """The page in pieces, so that one case at a time is in memory.

    rows: `done_row` or `failed_row` of every case. reviews: marks that were given before.
    """
    before, after = TEMPLATE.read_text(encoding="utf-8").split("@CASES@")
    columns = {column.name: column for column in CASE_COLUMNS}
    about = dict(
        values=[
            dict(name=name, title=columns[name].title, unit=columns[name].unit, about=columns[name].description, digits=digits)
            for name, digits in SHOWN.items()
        ],
        flags=CATALOG, marks=MARKS, version=__version__, statement=RESEARCH,
    )  # fmt: skip
    yield before.replace("@ABOUT@", _json(about))
    for number, row in enumerate(rows):
        review = reviews.get(row["id"], Review("", ""))
        yield ("," if number else "") + "\n" + _json(dict(row, mark=review.mark, note=review.note))
    yield after


def done_row(values: dict[str, str], report: bool, thumbnail: bool) -> dict:
    """A case that was measured: cells of its case table, whether it has a report and a thumbnail."""
    found = {name: float(values[name]) for name in SHOWN if values.get(name)}
    flags = sorted(filter(None, values["flags"].split("; ")), key=lambda code: ("error", "warning", "info").index(CATALOG[code][0]))
    return dict(
        id=values["case_id"], values=found, flags=flags, levels=values["ct_levels"] or values["t1_levels"], edited=values["edited"],
        report=report, thumbnail=thumbnail,
    )  # fmt: skip


def failed_row(case_id: str, stage: str, sentence: str) -> dict:
    """A case that was not measured, and why."""
    return dict(
        id=case_id, values={}, flags=[], levels="", edited="", report=False, thumbnail=False, failure=f"{stage}: {sentence}"
    )


def _json(content) -> str:
    """JSON that can stand within a script element."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return (
        text.replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026")
        .replace("\u2028", "\\u2028")
        .replace("\u2029", "\\u2029")
    )
