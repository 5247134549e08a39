"""What changed between two dates of one patient, beside the least change that is more than measurement error."""

from __future__ import annotations

import math

from ..columns import CASE_COLUMNS, LEVEL_COLUMNS, Column

#: Least significant change at 95 %: 1.96 times the square root of 2 times the precision error.
LEAST_SIGNIFICANT = 2.77
#: A range reaches as far as small changes of margin and mask move a value: taken as uniform, its SD is its half width over this, also
#: where the changes by several causes were added in quadrature.
UNIFORM = math.sqrt(3)
#: Upper end of the least significant change of HU in repeated scans, 10 to 16 HU at L1 (Osteoporos Int 2025, 07529-7). No other level
#: has a published one, so it is taken for every HU: our own range knows nothing of another scan.
PUBLISHED_HU = 16.0
#: What makes two dates hard to compare where it differs: columns of the case table, and the image that they are of ("" for any).
CONDITIONS = dict(
    kvp="ct", kernel="ct", contrast="ct", slice_thickness_mm="ct", ct_levels="ct", slice_plane="ct", field_strength_t="t1", tr_ms="t1",
    te_ms="t1", ti_ms="t1", t1_levels="t1", csf_level="t1", vbq_slice="t1", manufacturer="", model="", rcsa_discs="", software_version="",
)  # fmt: skip
CHANGE_COLUMNS = (
    Column("level", "Level", "", None, "vertebra; empty for a value of the case"),
    Column("measure", "Measure", "", None, "name in the tables of the case"),
    Column("baseline", "Before", "", 4, "value at baseline"),
    Column("followup", "After", "", 4, "value at follow-up"),
    Column("difference", "Difference", "", 4, "after less before"),
    Column("least_significant_change", "Least significant change", "", 4, "2.77 times the precision error; of HU at least 16"),
    Column("beyond", "Beyond it", "", None, "yes where the difference is larger; empty where no precision is known"),
)
#: Numbers that are no measures: given by people, or how the image was taken.
_GIVEN = {
    "t_score", "age", "bmi", "kvp", "slice_thickness_mm", "field_strength_t", "tr_ms", "te_ms", "ti_ms", "effective_margin_mm",
    "vbq_margin_mm", "csf_signal", "t1_signal", "genant_grade",
}  # fmt: skip
#: What stands beside a measure: its range, where and over how much it was read.
_BESIDE = ("_low", "_high", "_area_mm2", "_volume_mm3", "_sd")


def changes(baseline: dict, followup: dict) -> list[dict]:
    """Rows of CHANGE_COLUMNS: first the case values that both documents have, then those of every level in both."""
    found = _rows("", baseline["case"], followup["case"], CASE_COLUMNS)
    after = {row["level"]: row for row in followup["levels"]}
    for row in baseline["levels"]:
        if row["level"] in after:
            found += _rows(row["level"], row, after[row["level"]], LEVEL_COLUMNS)
    return found


def conditions(baseline: dict, followup: dict) -> list[tuple[str, str, str]]:
    """What differs in how the two dates were taken and measured: title, before, after."""
    columns = {column.name: column for column in CASE_COLUMNS}
    found = []
    for name, image in CONDITIONS.items():
        if image and any(image not in case["inputs"] for case in (baseline, followup)):
            continue
        before, after = (columns[name].cell(case["case"].get(name)) for case in (baseline, followup))
        if before != after and (before and after or image):
            found.append((columns[name].title, *(f"{text or 'unknown'} {columns[name].unit}".strip() for text in (before, after))))
    return found


def _rows(level: str, before: dict, after: dict, columns: tuple[Column, ...]) -> list[dict]:
    found = []
    for column in columns:
        values = [_number(row.get(column.name)) for row in (before, after)]
        is_measure = column.is_number and column.name not in _GIVEN and not column.name.endswith(_BESIDE)
        if is_measure and None not in values:
            found.append(_row(level, column, values, (before, after)))
    return found


def _row(level: str, column: Column, values: list[float], dates: tuple[dict, dict]) -> dict:
    difference = values[1] - values[0]
    errors = [_precision(row, column.name) for row in dates]
    least = None if None in errors else LEAST_SIGNIFICANT * math.sqrt((errors[0] ** 2 + errors[1] ** 2) / 2)
    if column.unit == "HU":
        least = max(least or 0.0, PUBLISHED_HU)
    beyond = "" if least is None else "yes" if abs(difference) > least else "no"
    return dict(
        level=level, measure=column.name, baseline=values[0], followup=values[1], difference=difference,
        least_significant_change=least, beyond=beyond,
    )  # fmt: skip


def _precision(row: dict, name: str) -> float | None:
    """Precision error of a value from its own range, in its unit; None without a range."""
    low, high = (_number(row.get(f"{name}_{end}")) for end in ("low", "high"))
    return None if low is None or high is None else (high - low) / 2 / UNIFORM


def _number(value) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None
