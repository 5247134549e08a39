"""Published cut-offs from their file: set beside a value with their source, never as a verdict."""

from __future__ import annotations

from pathlib import Path

from ..columns import Cutoff
from ..errors import BoneQualityError
from .csv_tables import csv_rows

CUTOFFS_FILE = Path(__file__).with_name("cutoffs.csv")
_NUMBERS = ("sensitivity", "specificity", "auc", "auc_low", "auc_high")


def read_cutoffs(path: str | Path = CUTOFFS_FILE) -> list[Cutoff]:
    """Cut-offs from a CSV file with the columns of cutoffs.csv beside this module; raises BoneQualityError with the row."""
    rows = csv_rows(path, "cut-offs file")
    found = []
    for number, row in enumerate(rows, 2):
        try:
            if row["comparison"] not in ("<=", ">="):
                raise ValueError("the comparison is neither <= nor >=")
            evidence = {name: float(row[name]) if row.get(name) else None for name in _NUMBERS}
            found.append(
                Cutoff(
                    row["measure"], row["level"] or "", row["comparison"], float(row["cutoff"]), row["for"], row["source"],
                    evidence, row.get("note") or "",
                )
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            sentence = "Row {number} of the cut-offs file {path} cannot be used ({error}); correct it."
            raise BoneQualityError(sentence, number=number, path=path, error=error) from None
    return found
