"""New fractures between two dates, from the JSON files of two measured cases (radiographic, after Xue 2025)."""

from __future__ import annotations

import math
from pathlib import Path

from ..columns import Column
from ..errors import BoneQualityError, Sentence
from ..parameters import LEVELS, NEIGHBORS
from .document import document_from

#: A height this far below its own baseline is a new fracture; below this change, a risen grade alone is borderline. Percent.
FRACTURE_PERCENT, BORDERLINE_PERCENT = 20.0, 10.0
#: The levels of Xue 2025: T4 to L4.
COMPARED = LEVELS[LEVELS.index("T4") : LEVELS.index("L4") + 1]
HEIGHTS = ("anterior", "middle", "posterior")
COMPARE_COLUMNS = (
    Column("level", "Level", "", None, "vertebra"),
    *(
        Column(f"height_{name}_change_percent", f"{name.title()} height change", "%", 1, "from baseline; negative where lost")
        for name in HEIGHTS
    ),
    Column("genant_grade_baseline", "Grade before", "", 0, "suggested Genant grade at baseline"),
    Column("genant_grade_followup", "Grade after", "", 0, "suggested Genant grade at follow-up"),
    Column("new_fracture", "New fracture", "", None, "yes where a height is 20 % below baseline or the grade rose (Xue 2025)"),
    Column("borderline", "Borderline", "", None, "yes where the grade rose while no height fell by 10 %"),
    Column("site", "Site", "", None, "of a new fracture: adjacent to a level cemented at either date, or remote; empty without cement"),
    Column("reason", "Reason", "", None, "why nothing can be said of this level"),
)


def read_case(path: str | Path) -> dict:
    """The content of a CASE.json; raises BoneQualityError where the file cannot be read or is none of BoneQuality's."""
    try:
        content = document_from(Path(path).read_text(encoding="utf-8-sig"), str(path))
    except OSError as error:
        raise BoneQualityError(
            "{path} cannot be read ({strerror}); give the CASE.json of a measured case.", path=path, strerror=error.strerror
        ) from None
    except UnicodeDecodeError:
        raise BoneQualityError("{path} is not a text file; give the CASE.json of a measured case.", path=path) from None
    levels, inputs, facts = content.get("levels"), content.get("inputs"), content.get("facts", {})
    whole = isinstance(levels, list) and isinstance(inputs, dict) and isinstance(facts, dict)
    if not whole or not all(isinstance(row, dict) and row.get("level") in LEVELS for row in levels):
        raise BoneQualityError("{path} does not hold the levels of a measured case; measure the case again.", path=path)
    return content


def compare(baseline: dict, followup: dict) -> list[dict]:
    """Rows of COMPARE_COLUMNS, one for every level of either case, top to bottom.

    baseline, followup: contents of two CASE.json files of one patient, as ``read_case`` gives them. A new fracture: any height
    20 % or more below its own baseline, or a higher grade; T4-L4, not cemented. ``new_fracture`` is "" with a reason where
    neither can be said.
    Raises BoneQualityError where a case has no CT, or both are of the same CT.

    Example::

        rows = compare(read_case("2021/case-7.json"), read_case("2023/case-7.json"))
        print(csv_text(COMPARE_COLUMNS, rows))
    """
    scans = [case["inputs"].get("ct") for case in (baseline, followup)]
    for scan, date in zip(scans, ("baseline", "follow-up")):
        if not scan:
            raise BoneQualityError("The {date} case was measured without a CT; heights are compared on CT.", date=Sentence(date))
    if scans[0].get("sha256") and scans[0]["sha256"] == scans[1].get("sha256"):
        raise BoneQualityError("Baseline and follow-up are measured on the same CT; give the JSON files of two dates.")
    before, after = ({row["level"]: row for row in case["levels"]} for case in (baseline, followup))
    cemented = [_cemented(case) for case in (baseline, followup)]
    found = [level for level in LEVELS if level in before or level in after]
    rows = [_row(level, before.get(level, {}), after.get(level, {}), [level in levels for levels in cemented]) for level in found]
    return [dict(row, site=_site(row, cemented[0] | cemented[1])) for row in rows]


def _cemented(case: dict) -> set[str]:
    return set((case.get("facts") or {}).get("cemented") or ())


def _site(row: dict, cemented: set[str]) -> str:
    """Where a new fracture lies: beside a cemented level or not."""
    if row["new_fracture"] != "yes" or not cemented:
        return ""
    return "adjacent" if any(frozenset((row["level"], level)) in NEIGHBORS for level in cemented) else "remote"


def _row(level: str, before: dict, after: dict, cemented: list[bool]) -> dict:
    changes = {name: _change(_number(before, f"height_{name}_mm"), _number(after, f"height_{name}_mm")) for name in HEIGHTS}
    grades = [_number(row, "genant_grade") for row in (before, after)]
    row = dict(level=level, genant_grade_baseline=grades[0], genant_grade_followup=grades[1])
    row.update({f"height_{name}_change_percent": change for name, change in changes.items()})
    row.update(new_fracture="", borderline="", reason="")
    known = [change for change in changes.values() if change is not None]
    missing = _missing(before, after, known, grades)
    if level not in COMPARED:
        return dict(row, reason="outside T4-L4")
    if any(cemented):
        return dict(row, reason="cemented at baseline" if cemented[0] else "cemented at follow-up")
    if not known:
        return dict(row, reason=missing)
    lost = -min(known)
    graded = None not in grades
    risen = graded and grades[1] > grades[0]
    if lost >= FRACTURE_PERCENT or risen:
        return dict(row, new_fracture="yes", borderline="yes" if lost < BORDERLINE_PERCENT else "no")
    if missing:
        return dict(row, reason=missing)
    return dict(row, new_fracture="no", borderline="no")


def _change(before: float | None, after: float | None) -> float | None:
    """Percent; to six decimals, as the JSON has the heights."""
    return None if before is None or after is None or before <= 0 else round(100 * (after / before - 1), 6)


def _number(row: dict, name: str) -> float | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BoneQualityError(
            "{name} of {level} is {value!r}, which is no number; measure the case again.", name=name, level=row["level"], value=value
        )
    return float(value) if math.isfinite(value) else None


def _missing(before: dict, after: dict, known: list[float], grades: list[float | None]) -> str:
    """What is not there at which date; "" where all heights and both grades are."""
    found = []
    for row, grade, date in ((before, grades[0], "baseline"), (after, grades[1], "follow-up")):
        absent = [name for name in HEIGHTS if _number(row, f"height_{name}_mm") is None]
        if len(absent) == len(HEIGHTS):
            found.append(f"not measured at {date}")
        elif absent:
            found.append(f"no {' and '.join(absent)} height at {date}")
        elif grade is None:
            found.append(f"no grade at {date}")
    return "; ".join(found) if found or known else "no height at baseline"
