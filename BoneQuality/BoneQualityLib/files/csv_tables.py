"""Tables as CSV: the one reader and the one writer."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from ..columns import Column, check_columns, unarmed
from ..errors import BoneQualityError, Sentence

SEPARATORS = ",;\t"


@dataclass(frozen=True)
class CsvTable:
    """A table as it stands in a file: its header, and the rows that are not empty with their numbers there (the header is 1)."""

    header: list[str]
    rows: list[tuple[int, list[str]]]
    separator: str


class NotCsv(BoneQualityError):
    """A file that can be read but is no CSV table in UTF-8; ``words`` say why, without the file's name."""

    def __init__(self, path, what: str, words: Sentence):
        super().__init__(
            "The {what} {path} cannot be read: {words}; save it as CSV UTF-8.", what=Sentence(what), path=path, words=words
        )
        self.words = words


def read_table(path, what: str) -> CsvTable:
    """A CSV file whose separator is what its header shows; ``what`` is what an error calls the file.

    Raises BoneQualityError where it cannot be read, NotCsv where it is no CSV in UTF-8.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        sentence = "The {what} {path} cannot be read ({reason}); check its path and its permissions."
        raise BoneQualityError(sentence, what=Sentence(what), path=path, reason=error.strerror) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise NotCsv(path, what, Sentence("line {line} is not UTF-8", line=line)) from None
    try:
        if "\0" in text:  # as in a workbook; Python 3.10 refuses it by itself, later ones read on
            raise csv.Error("line contains NUL")
        records = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator(text), strict=True))
    except csv.Error as error:
        raise NotCsv(path, what, Sentence("it is no CSV table ({error})", error=error)) from None
    filled = [(number, cells) for number, cells in enumerate(records, 1) if any(cell.strip() for cell in cells)]
    header = [name.strip() for name in filled.pop(0)[1]] if filled and filled[0][0] == 1 else []
    return CsvTable(header, filled if header else [], separator(text))


def csv_rows(path, what: str) -> list[dict[str, str]]:
    """The rows of a CSV file by column name, "" where a row ends early; ``what`` is what an error calls the file."""
    table = read_table(path, what)
    width = len(table.header)
    return [dict(zip(table.header, [*cells, *[""] * (width - len(cells))])) for _, cells in table.rows]


def separator(text: str) -> str:
    """What separates the cells of a CSV text, as its header's first line shows; a cell that holds it stands in quotes."""
    header = re.sub(r'"[^"]*"', "", text.splitlines()[0]) if text else ""
    return max(SEPARATORS, key=header.count)


def csv_text(columns: tuple[Column, ...], rows: list[dict]) -> str:
    """A table as CSV text; raises KeyError for a value that has no column."""
    check_columns(columns, rows)
    header = csv_line([unarmed(column.name) for column in columns])
    return header + "".join(csv_line([column.cell(row.get(column.name)) for column in columns]) for row in rows)


def csv_line(cells: list[str]) -> str:
    """A line of a table, in quotes where CSV needs them; texts of others go through `unarmed` before."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()
