"""A measured case as plain data, as CASE.json holds it, and its files."""

from __future__ import annotations

from pathlib import Path

from ..columns import CASE_COLUMNS, LEVEL_COLUMNS, MUSCLE_COLUMNS, Column
from ..files.csv_tables import csv_text
from ..files.writing import json_text, write_whole

RESEARCH = "Research use; not a medical device."


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


def output_paths(folder: str | Path, case_id: str, muscles: bool = False) -> list[Path]:
    """The files of a case, with axial images that of its muscles too; the JSON, last, marks it as done."""
    endings = ("_levels.csv", "_case.csv", *(["_muscles.csv"] if muscles else []), ".json")
    return [Path(folder) / f"{case_id}{ending}" for ending in endings]


def write_case(document: dict, folder: str | Path, overwrite: bool = False) -> list[Path]:
    """Write CASE_levels.csv, CASE_case.csv, with axial images CASE_muscles.csv, and CASE.json; returns their paths.

    The JSON is last: it marks the case as done.
    """
    muscles = muscle_rows(document)
    paths = output_paths(folder, document["case_id"], bool(muscles))
    texts = [csv_text(LEVEL_COLUMNS, level_rows(document)), csv_text(CASE_COLUMNS, case_rows(document))]
    texts += [csv_text(MUSCLE_COLUMNS, muscles)] if muscles else []
    write_whole(dict(zip(paths, [*texts, json_text(document)])), overwrite)
    if not muscles:  # of an earlier run that had axial images
        output_paths(folder, document["case_id"], True)[-2].unlink(missing_ok=True)
    return paths
