"""A measured case as plain data, as CASE.json holds it, and its files. ``SCHEMA`` rises when a reader of
the one before would fail or misread it; a new column alone does not raise it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

from .. import __version__
from ..case.result import CaseResult
from ..columns import CASE_COLUMNS, LEVEL_COLUMNS, MUSCLE_COLUMNS, Column, check_columns
from ..errors import BoneQualityError
from ..files.csv_tables import csv_text
from ..files.writing import json_text, plain, write_whole

RESEARCH = "Research use; not a medical device."
SCHEMA = 2
#: What the name of a report ends with.
REPORT = ".html"
NONE: Mapping = MappingProxyType({})


def document_of(result: CaseResult) -> dict:
    """Everything as plain data: values, parameters, flags, inputs, and every ROI's place in RAS mm."""
    for columns, rows in (
        (LEVEL_COLUMNS, result.level_rows),
        (CASE_COLUMNS, [result.case_row]),
        (MUSCLE_COLUMNS, result.muscle_rows),
    ):
        check_columns(columns, rows)
    content = dict(
        schema=SCHEMA, case_id=result.facts.case_id, software="BoneQuality", software_version=__version__, statement=RESEARCH,
        parameters=asdict(result.parameters), facts=asdict(result.facts), case=result.case_row,
        levels=[
            dict(row, reasons=dict(ct=[str(r) for r in level.ct.reasons], t1=[str(r) for r in level.t1.reasons]),
                 ct_excluded=[why.name for why in level.ct_excluded], t1_excluded=[why.name for why in level.t1_excluded],
                 **level.shape(), rois=[roi.place() for roi in level.rois])
            for row, level in zip(result.level_rows, result.levels)
        ],
        endplate_angles=result.endplate_angles(),
        csf={
            name: dict(signal=csf.signal, area_mm2=csf.area, dropped_share=csf.dropped, blocked=csf.blocked,
                       roi=csf.roi.place() if csf.roi else None)
            for name, csf in result.csf.items()
        },
        muscles=result.muscle_rows, muscle_slices=[there.described() for there in result.muscles.slices] if result.muscles else [],
        flags=[dict(asdict(flag), severity=flag.severity.value, sentence=flag.sentence) for flag in result.all_flags],
        reasons=result.reasons, cutoffs=result.cutoffs, inputs=result.inputs,
    )  # fmt: skip
    return plain(content)


def document_from(text: str, source: str) -> dict:
    """A document from its JSON text; raises BoneQualityError naming ``source`` if it is none, or of another schema."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise BoneQualityError(
            "{source} is no JSON file or a damaged one; give the CASE.json of a measured case.", source=source
        ) from None
    if not isinstance(document, dict) or document.get("software") != "BoneQuality":
        raise BoneQualityError("{source} was not written by BoneQuality; give the CASE.json of a measured case.", source=source)
    schema = document.get("schema", 1)
    if schema != SCHEMA:
        version = document.get("software_version", "unknown")
        raise BoneQualityError(
            "{source} was written by version {version} of BoneQuality (schema {schema}, this version reads {known}); measure the case "
            "again.",
            source=source,
            version=version,
            schema=schema,
            known=SCHEMA,
        )
    return document


def rows_of(columns: tuple[Column, ...], items: list[dict]) -> list[dict]:
    """The table rows that lie in a document's items, without what else the items hold."""
    return [{column.name: item.get(column.name) for column in columns} for item in items]


def level_rows(document: dict) -> list[dict]:
    """The rows of CASE_levels.csv."""
    return rows_of(LEVEL_COLUMNS, document["levels"])


def case_rows(document: dict) -> list[dict]:
    """The one row of CASE_case.csv."""
    return rows_of(CASE_COLUMNS, [document["case"]])


def muscle_rows(document: dict) -> list[dict]:
    """The rows of CASE_muscles.csv; none without axial images."""
    return rows_of(MUSCLE_COLUMNS, document.get("muscles") or [])


#: The files of a case: the ending of their names, and what makes their text from the document, "" for a file that this case has not.
LEVELS, CASE, MUSCLES, DOCUMENT = "_levels.csv", "_case.csv", "_muscles.csv", ".json"
TEXTS: Mapping[str, Callable[[dict], str]] = {
    LEVELS: lambda document: csv_text(LEVEL_COLUMNS, level_rows(document)),
    CASE: lambda document: csv_text(CASE_COLUMNS, case_rows(document)),
    MUSCLES: lambda document: csv_text(MUSCLE_COLUMNS, muscle_rows(document)) if muscle_rows(document) else "",
    DOCUMENT: json_text,
}


def output_path(folder: str | Path, case_id: str, ending: str) -> Path:
    """The file of a case with this ending."""
    return Path(folder) / f"{case_id}{ending}"


def output_paths(folder: str | Path, case_id: str, muscles: bool = True, report: bool = True) -> list[Path]:
    """The files of a case, with axial images that of its muscles too, with a report that; the JSON, last, marks it as done."""
    absent = {MUSCLES: not muscles, REPORT: not report}
    *tables, document = TEXTS
    return [output_path(folder, case_id, ending) for ending in (*tables, REPORT, document) if not absent.get(ending)]


def write_case(
    document: dict, folder: str | Path, overwrite: bool = False, report: str = "", others: Mapping[Path, bytes] = NONE
) -> list[Path]:
    """Write the files of a case, ``TEXTS`` and its report; returns their paths.

    report: the text of CASE.html, "" for none. others: files to be written with them, by path within ``folder``. All are written
    or none; the JSON is last: it marks the case as done. A report or muscles of an earlier run that this one lacks are removed.
    """
    folder, case_id = Path(folder), document["case_id"]
    texts = {output_path(folder, case_id, ending): text(document) for ending, text in TEXTS.items()}
    texts[output_path(folder, case_id, REPORT)] = report
    paths = [path for path in output_paths(folder, case_id) if texts[path]]
    write_whole(
        {**{folder / path: content for path, content in others.items()}, **{path: texts[path] for path in paths}}, overwrite
    )
    for path in set(texts) - set(paths):
        path.unlink(missing_ok=True)
    return paths
