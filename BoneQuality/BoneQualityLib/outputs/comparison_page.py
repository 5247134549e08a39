"""Two dates of one patient as one page: overviews side by side, new fractures, and what changed."""

from __future__ import annotations

import re
from pathlib import Path

from ..columns import CASE_COLUMNS, LEVEL_COLUMNS, Column
from .change import changes, conditions
from .document import REPORT, RESEARCH
from .page_templates import render
from .summary import shown

#: The first picture of a report.
_PICTURE = re.compile(r'<img src="(data:image/jpeg;base64,[A-Za-z0-9+/=]+)"')
MOST_DECIMALS = 2


def html(
    baseline: dict, followup: dict, columns: tuple[Column, ...], rows: list[dict], overviews: tuple[str, str] = ("", "")
) -> str:
    """The page; columns and rows: of the comparison of heights. overviews: a picture of each date, as `overview_of` gives it."""
    levels = [
        dict(new=row.get("new_fracture") == "yes", cells=[column.cell(row.get(column.name)) or "-" for column in columns])
        for row in rows
    ]
    known = {column.name: column for column in (*LEVEL_COLUMNS, *CASE_COLUMNS)}
    found = []
    for row in changes(baseline, followup):
        column = known[row["measure"]]
        digits = min(column.decimals, MOST_DECIMALS)
        numbers = [shown(row[name], digits) for name in ("baseline", "followup", "difference", "least_significant_change")]
        found.append(dict(level=row["level"], title=column.title, unit=column.unit, numbers=numbers, beyond=row["beyond"]))
    return render(
        "compare.html",
        dict(
            cases=(baseline, followup), overviews=overviews, titles=[column.title for column in columns], levels=levels,
            new=[row["level"] for row in rows if row.get("new_fracture") == "yes"], changes=found,
            conditions=conditions(baseline, followup), statement=RESEARCH,
        ),
    )  # fmt: skip


def overview_of(path: str | Path) -> str:
    """The overview of a case from the report beside its CASE.json, as a data URI: the JSON holds no picture. "" without one."""
    try:
        found = _PICTURE.search(Path(path).with_suffix(REPORT).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ""
    return found[1] if found else ""
