"""Labels of a segmentation from a scheme's name, a LABELS.csv, or a color table of 3D Slicer."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..anatomy.schemes import SCHEMES
from ..errors import BoneQualityError
from ..files.csv_tables import csv_rows

_TERMINOLOGY = ("Category", "Type", "TypeModifier", "Region", "RegionModifier")
#: A segment as Slicer names it that comes from a label map without names.
_NUMBERED = re.compile(r"(?:segment|label|value)?[ _-]*(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Labels:
    """What labels mean.

    names: structure by label value, or by segment name or ID where ``of_segments``. terminology: tags by label value, of a color
    table: its names describe segments as names of segments do, and most of them may be other organs; else a name is a choice.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    of_segments: bool = False
    terminology: Mapping[str, str] | None = None

    @property
    def is_choice(self) -> bool:
        return self.terminology is None


def read_labels(path: str) -> Labels:
    """A LABELS.csv: column ``value`` (label maps) or ``segment`` (segment names or IDs), and column ``name``; or a color table.

    A color table is what 3D Slicer saves as CSV: LabelValue, Name, colors, and codes where it has them.
    """
    rows = csv_rows(path, "labels file")
    columns = set(rows[0]) if rows else set()
    table = {"LabelValue", "Name"} <= columns
    key = "LabelValue" if table else next((c for c in ("value", "segment") if c in columns), None)
    name_column = "Name" if table else "name"
    if key is None or name_column not in columns:
        raise BoneQualityError(
            "The labels file {path} needs rows and the columns value,name or segment,name, or those of a color table of 3D Slicer.",
            path=path,
        )
    names: dict[str, str] = {}
    terminology: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        value, name = (row[key] or "").strip(), (row[name_column] or "").strip()
        if key != "segment" and value.isdecimal():
            value = str(int(value))
        if not value or value in names or (key != "segment" and not value.isdecimal()):
            raise BoneQualityError(
                "Row {number} of the labels file {path}: the {key} {value!r} is missing, repeated or no number; correct it.",
                number=number,
                path=path,
                key=key,
                value=value,
            )
        names[value], terminology[value] = name, _tag(row)
    return Labels(names, key == "segment", terminology if table else None)


def _tag(row: Mapping[str, str]) -> str:
    """The terminology of a row of a color table, as a segment's tag has it."""
    scheme, code, meaning = ("CodingScheme", "CodeValue", "CodeMeaning")
    parts = [[(row.get(f"{part}_{what}") or "").strip() for what in (scheme, code, meaning)] for part in _TERMINOLOGY]
    said = ["^".join(part) for part in parts]
    return "~".join(["", *said[:3], "", *said[3:]]) if any(code for _, code, _ in parts) else ""


def scheme_labels(name: str) -> Labels:
    """The labels of a named scheme, or of a LABELS.csv."""
    if name in SCHEMES:
        return Labels({str(value): structure for value, structure in SCHEMES[name].items()})
    if Path(name).suffix.lower() == ".csv":
        return read_labels(name)
    sentence = "{name!r} is no label scheme; choose one of {schemes}, or a LABELS.csv file."
    raise BoneQualityError(sentence, name=name, schemes=", ".join(SCHEMES))


def path_and_labels(given: str) -> tuple[str, str]:
    """The parts of FILE@SCHEME or FILE@LABELS.csv, "" where no labels are named; either path may hold an @ of its own."""
    if not os.path.exists(given):
        for at in (n for n in reversed(range(len(given))) if given[n] == "@"):
            if os.path.exists(given[:at]):
                return given[:at], given[at + 1 :]
    return given, ""


def value_in_name(name: str) -> str:
    """The label value that a segment is named by, as Slicer names segments of a label map without names; "" where by none."""
    match = _NUMBERED.fullmatch(name.strip())
    return str(int(match[1])) if match else ""
