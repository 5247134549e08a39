"""Published cut-offs: set beside a value with their source, never as a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import BoneQualityError
from .files import csv_rows

CUTOFFS_FILE = Path(__file__).with_name("cutoffs.csv")
_NUMBERS = ("sensitivity", "specificity", "auc", "auc_low", "auc_high")


@dataclass(frozen=True)
class Cutoff:
    """measure: a column of the case table, or of the level table with its level; comparison: "<=" or ">="."""

    measure: str
    level: str
    comparison: str
    cutoff: float
    purpose: str
    source: str
    evidence: dict
    note: str

    @property
    def is_vbq(self) -> bool:
        return self.measure.startswith("vbq")

    def beside(self, value: float) -> dict:
        """The cut-off as the JSON and the panel show it beside a value."""
        return dict(
            measure=self.measure, level=self.level, value=value, comparison=self.comparison, cutoff=self.cutoff,
            reached=value <= self.cutoff if self.comparison == "<=" else value >= self.cutoff, purpose=self.purpose,
            source=self.source, note=self.note, **self.evidence,
        )  # fmt: skip


def read_cutoffs(path: str | Path = CUTOFFS_FILE) -> list[Cutoff]:
    """Cut-offs from a CSV file with the columns of cutoffs.csv beside this module; raises BoneQualityError with the row."""
    rows = csv_rows(path, "cut-offs")
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
            raise BoneQualityError(f"Row {number} of the cut-offs file {path} cannot be used ({error}); correct it.") from None
    return found
