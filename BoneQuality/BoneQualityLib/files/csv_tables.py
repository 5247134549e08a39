"""Tables as CSV: the one reader and the one writer."""

from __future__ import annotations

import csv
import io
import re

from ..columns import Column, check_columns
from ..errors import BoneQualityError

SEPARATORS = ",;\t"


def csv_text(columns: tuple[Column, ...], rows: list[dict]) -> str:
    """A table as CSV text; raises KeyError for a value that has no column."""
    check_columns(columns, rows)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None, escapechar="\\")
    writer.writerow([column.name for column in columns])
    for row in rows:
        writer.writerow([column.cell(row.get(column.name)) for column in columns])
    return out.getvalue()


def separator(text: str) -> str:
    """What separates the cells of a CSV text, as its header's first line shows; a cell that holds it stands in quotes."""
    header = re.sub(r'"[^"]*"', "", text.splitlines()[0]) if text else ""
    return max(SEPARATORS, key=header.count)


def csv_line(cells: list[str]) -> str:
    """A line of a table whose cells are others' texts, kept as they are: in quotes where CSV needs them."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def csv_rows(path, what: str) -> list[dict[str, str]]:
    """The rows of a CSV file by column name; ``what`` is what an error calls the file."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 CSV"
        raise BoneQualityError(f"The {what} file {path} cannot be read ({reason}); check its path, save it as UTF-8 CSV.") from None
