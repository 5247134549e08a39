"""Labels of a segmentation from a scheme's name or a LABELS.csv."""

from __future__ import annotations

from pathlib import Path

from ..anatomy.schemes import SCHEMES
from ..errors import BoneQualityError
from ..files.csv_tables import csv_rows


def read_labels(path: str) -> dict[str, str]:
    """A LABELS.csv: column ``value`` (label maps) or ``segment`` (segment names or IDs), and column ``name``."""
    rows = csv_rows(path, "labels")
    columns = set(rows[0]) if rows else set()
    key = next((c for c in ("value", "segment") if c in columns), None)
    if key is None or "name" not in columns:
        raise BoneQualityError(f"The labels file {path} needs rows and the columns value,name or segment,name.")
    labels: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        value, name = (row[key] or "").strip(), (row["name"] or "").strip()
        if key == "value" and value.isdecimal():
            value = str(int(value))
        if not value or value in labels or (key == "value" and not value.isdecimal()):
            raise BoneQualityError(
                f"Row {number} of the labels file {path}: the {key} {value!r} is missing, repeated or no number; correct it."
            )
        labels[value] = name
    return labels


def scheme_labels(name: str) -> dict[str, str]:
    """The labels of a named scheme, or of a LABELS.csv."""
    if name in SCHEMES:
        return {str(value): structure for value, structure in SCHEMES[name].items()}
    if Path(name).suffix.lower() == ".csv":
        return read_labels(name)
    raise BoneQualityError(f"{name!r} is no label scheme; choose one of {', '.join(SCHEMES)}, or a LABELS.csv file.")
