"""A reviewer's marks of cases, as the index page of a batch gives them out."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from ..errors import BoneQualityError, Sentence
from ..files.csv_tables import csv_rows

COLUMNS = ("case_id", "review", "review_note")
MARKS = ("accept", "look again")


class Review(NamedTuple):
    """mark: one of MARKS, or "" for a note alone."""

    mark: str
    note: str


def read_review(path: str | Path, cases: Collection[str]) -> dict[str, Review]:
    """Marks by case from a CSV file with the columns ``COLUMNS``.

    Raises BoneQualityError for another table, a mark that is none, or a case that the batch does not have or that has two rows.
    """
    found: dict[str, Review] = {}
    for number, row in enumerate(csv_rows(path, "review file"), 2):
        if not set(COLUMNS) <= set(row):
            sentence = "The review file {path} lacks the columns {columns}; save it from index.html again."
            raise BoneQualityError(sentence, path=path, columns=", ".join(COLUMNS))
        case_id, mark, note = ((row[name] or "").strip() for name in COLUMNS)
        where = Sentence("Row {number} of the review file {path}", number=number, path=path)
        if case_id not in cases:
            raise BoneQualityError(
                "{where} names the case {case_id!r}, which is not in the manifest; correct it.", where=where, case_id=case_id
            )
        if case_id in found:
            raise BoneQualityError("{where} names the case {case_id} again; keep one row of it.", where=where, case_id=case_id)
        if mark not in ("", *MARKS):
            raise BoneQualityError(
                "{where} has the mark {mark!r}; use {marks}.", where=where, mark=mark, marks=Sentence.joined(MARKS, " or ")
            )
        found[case_id] = Review(mark, note)
    return found
