"""Label schemes: what the values of a segmentation tool's label maps mean."""

from __future__ import annotations

from ..parameters import LEVELS

_RIBS = {
    first + n: f"{side} rib {n + 1}" for side, first in (("left", 92), ("right", 104)) for n in range(12)
}  # fmt: skip
_TOTALSEGMENTATOR = {
    26: "vertebrae S1", 25: "sacrum", 79: "spinal cord",
    86: "autochthon left", 87: "autochthon right", 88: "iliopsoas left", 89: "iliopsoas right", **_RIBS,
}  # fmt: skip
#: MuscleMap's whole-body model; the sacrum is the only bone of it that is used here.
_MUSCLEMAP = {
    5101: "left multifidus", 5102: "right multifidus", 5111: "left erector spinae", 5112: "right erector spinae",
    5121: "left psoas major", 5122: "right psoas major", 6160: "sacrum",
}  # fmt: skip
#: TotalSegmentator's abdominal_muscles. Its transversospinalis is at lumbar discs the multifidus with the small rotatores.
_ABDOMINAL_MUSCLES = {
    15: "right erector spinae", 16: "left erector spinae", 17: "right multifidus", 18: "left multifidus",
    19: "right psoas major", 20: "left psoas major",
}  # fmt: skip


def _numbered(
    first_level: str, first: int, step: int, count: int, more: dict | None = None, what: str = "vertebra"
) -> dict[int, str]:
    start = LEVEL_ORDER.index(first_level)
    return {first + step * n: f"{LEVEL_ORDER[start + n]} {what}" for n in range(count)} | (more or {})


LEVEL_ORDER = [level for level in LEVELS if level not in ("T13", "L6")]
#: Label schemes a person may name: value -> structure name. Values that are not here are other organs.
SCHEMES: dict[str, dict[int, str]] = {
    "totalsegmentator": _numbered("T1", 43, -1, 17, _TOTALSEGMENTATOR),
    "vertebrae_mr": _numbered("T1", 18, -1, 17, {1: "sacrum"}),
    "totalspineseg": _numbered(
        "T1", 21, 1, 12,
        {40 + n: f"L{n} vertebra" for n in range(1, 7)}
        | {1: "spinal cord", 2: "spinal canal", 50: "sacrum", 91: "disc T12-L1", 100: "disc L5-S1"}
        | {91 + n: f"disc L{n}-L{n + 1}" for n in range(1, 5)},
    ),
    "verse": _numbered("T1", 8, 1, 17, {25: "L6 vertebra", 26: "sacrum", 28: "T13 vertebra"}),
    "vertebrae_pp": _numbered("T1", 8, 1, 17, what="body"),
    "vertebrae_pp_refined": _numbered("T1", 8, 1, 17, what="body"),
    "vertebrae_body": {1: "vertebral bodies", 2: "intervertebral discs"},
    "spineps": {26: "sacrum", 49: "vertebral bodies", 50: "vertebral bodies", 60: "spinal cord", 61: "spinal canal", 100: "intervertebral discs"},
    "musclemap": _MUSCLEMAP,
    "abdominal_muscles": _ABDOMINAL_MUSCLES,
}  # fmt: skip
