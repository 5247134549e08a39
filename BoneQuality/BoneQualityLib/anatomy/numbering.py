"""Whether the given numbers fit the spine: order, spacing and size of the bodies, ribs and sacrum where their masks are there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..errors import Sentence
from ..image.mask import Mask
from ..parameters import LEVELS
from ..states import Flag

#: Levels that most people do not have: none of them is missed.
RARE = ("T13", "L6")
#: Heights are read within this distance of a body's own axis, mm.
COLUMN_MM = 8.0
#: A body more fits between two others where the gap between their endplates exceeds both: mm, and a share of their mean height.
ROOM_MM, ROOM_SHARE = 19.0, 0.75
#: The centers of two bodies lie further apart along S, however tilted and crushed: one vertebra under two names does not.
LEAST_STEP_MM = 8.0
#: Bodies widen downward; their cross-sections may not shrink by more than this a level, over at least so many levels.
SHRINKING, FEWEST_SIZES = 0.04, 4
#: A rib's head lies this close to its vertebra's body, mm.
RIB_REACH_MM = 45.0


@dataclass(frozen=True, eq=False)
class _Placed:
    level: str
    center: np.ndarray
    height: float
    area: float


def audit(bodies: dict[str, Mask], ribs: Iterable[tuple[str, Mask]] = (), sacrum: Mask | None = None, known: Iterable[str] = ()):
    """Flags for numbers that the anatomy speaks against; none where all fits.

    bodies: masks of vertebral bodies by level. ribs: level of the vertebra that a rib belongs to, and its mask. sacrum: its mask,
    or that of S1. known: levels that a person left out, which are not missed.

    `level-order`: a level lies above or beside one that it should lie under. `level-gap`: a level is skipped between two, with or without
    room for it. `level-numbering`: bodies without a name between two neighbors, bodies that get smaller downward, a rib at a
    lumbar vertebra or another number than its rib's, another vertebra than L5 or L6 on the sacrum.
    """
    masks = {level: bodies[level] for level in LEVELS if level in bodies and bodies[level].array.any()}
    levels = list(masks)
    steps = {pair: masks[pair[0]].center[2] - masks[pair[1]].center[2] for pair in zip(levels, levels[1:])}
    out_of_order = [
        Sentence("{lower} lies above {upper}" if step <= 0 else "{lower} lies beside {upper}", lower=lower, upper=upper)
        for (upper, lower), step in steps.items()
        if step < LEAST_STEP_MM
    ]
    if out_of_order:
        return [Flag("level-order", about=text) for text in out_of_order]
    placed = _placed(masks)
    found = [flag for pair in zip(placed, placed[1:]) for flag in _spacing(*pair, masks, set(known))]
    found += _sizes(placed)
    against = [*_ribs(placed, masks, ribs), *_on_the_sacrum(placed, masks, sacrum)]
    return found + [Flag("level-numbering", about=text) for text in dict.fromkeys(against)]


def _placed(masks: dict[str, Mask]) -> list[_Placed]:
    levels, placed = list(masks), []
    for n, level in enumerate(levels):
        above, below = masks[levels[max(n - 1, 0)]].center, masks[levels[min(n + 1, len(levels) - 1)]].center
        axis = above - below
        axis = axis / np.linalg.norm(axis) if np.linalg.norm(axis) > 1 else np.array([0.0, 0.0, 1.0])
        low, high = _reach(masks[level], masks[level].center, axis)
        placed.append(_Placed(level, masks[level].center, high - low, masks[level].volume / max(high - low, 1.0)))
    return placed


def heights(bodies: dict[str, Mask]) -> dict[str, float]:
    """Height of every body along the spine, mm."""
    masks = {level: bodies[level] for level in LEVELS if level in bodies and bodies[level].array.any()}
    return {body.level: body.height for body in _placed(masks)}


def _reach(mask: Mask, center: np.ndarray, axis: np.ndarray) -> tuple[float, float]:
    """From where to where a mask reaches along a line, mm along ``axis`` from the center, its voxels counted whole."""
    offset = mask.points - center
    along = offset @ axis
    aside = np.sqrt(sum(np.square(part - along * share) for part, share in zip(offset.T, axis)))
    near = aside <= max(COLUMN_MM, float(max(mask.grid.spacing)))
    along = along[near] if near.any() else along
    half = 0.5 * float(np.abs(axis @ mask.grid.ijk_to_ras[:3, :3]).max())
    return float(along.min()) - half, float(along.max()) + half


def gap(upper: Mask, lower: Mask) -> float:
    """mm between the facing endplates of two bodies, on the line through their centers."""
    axis = upper.center - lower.center
    distance = float(np.linalg.norm(axis))
    axis = axis / max(distance, 1e-6)
    return distance + _reach(upper, upper.center, axis)[0] - _reach(lower, lower.center, axis)[1]


def _between(upper: str, lower: str) -> list[str]:
    names = [level for level in LEVELS if level not in RARE or level in (upper, lower)]
    return names[names.index(upper) + 1 : names.index(lower)]


def _spacing(upper: _Placed, lower: _Placed, masks: dict[str, Mask], known: set[str]) -> list[Flag]:
    missed = _between(upper.level, lower.level)
    room = _is_room(gap(masks[upper.level], masks[lower.level]), upper.height, lower.height)
    values = dict(upper=upper.level, lower=lower.level, missed=", ".join(missed))
    if missed and not room:
        return [Flag("level-gap", about=Sentence("{upper} and {lower} are neighbors, without room for {missed}", **values))]
    if missed and not set(missed) <= known:
        return [Flag("level-gap", about=Sentence("no mask of {missed} between {upper} and {lower}", **values))]
    if room and not missed:
        return [Flag("level-gap", about=Sentence("between {upper} and {lower} is room for one more vertebra", **values))]
    return []


def _is_room(gap_mm: float, *heights: float) -> bool:
    return gap_mm > max(ROOM_MM, ROOM_SHARE * float(np.mean(heights)))


def _sizes(placed: list[_Placed]) -> list[Flag]:
    if len(placed) < FEWEST_SIZES:
        return []
    slope = np.polyfit([LEVELS.index(body.level) for body in placed], np.log([body.area for body in placed]), 1)[0]
    return [Flag("level-numbering", about="the bodies get smaller downward")] if slope < -SHRINKING else []


def _ribs(placed: list[_Placed], masks: dict[str, Mask], ribs: Iterable[tuple[str, Mask]]) -> list[str]:
    """The vertebra at which each rib's head lies against its number; ribs 1 to 10 reach up to the vertebra above."""
    found = []
    for of, rib in ribs:
        if not rib.array.any() or not placed:
            continue
        points = rib.points
        distances = [np.linalg.norm(points - body.center, axis=1) for body in placed]
        nearest = int(np.argmin([d.min() for d in distances]))
        if distances[nearest].min() > RIB_REACH_MM:
            continue
        level = placed[nearest].level
        if level.startswith(("L", "S")):
            found.append(Sentence("a rib lies at {level}", level=level))
        elif of in ("T11", "T12") and level != of:
            found.append(Sentence("the rib of {of} lies at {level}", of=of, level=level))
    return found


def _on_the_sacrum(placed: list[_Placed], masks: dict[str, Mask], sacrum: Mask | None) -> list[str]:
    if sacrum is None or not sacrum.array.any() or not placed or placed[-1].level == "S1":
        return []
    last = placed[-1]
    points = sacrum.points
    above = points[points[:, 2] > points[:, 2].max() - 40]
    nearest = above[np.argsort(np.linalg.norm(above - last.center, axis=1))[: max(len(above) // 10, 1)]].mean(axis=0)
    axis = (last.center - nearest) / max(float(np.linalg.norm(last.center - nearest)), 1e-6)
    offset = points - nearest
    along = offset @ axis
    column = np.linalg.norm(offset - along[:, None] * axis, axis=1) <= max(COLUMN_MM, float(max(sacrum.grid.spacing)))
    top = float(along[column].max()) if column.any() else 0.0
    distance = float(np.linalg.norm(last.center - nearest)) - top + _reach(masks[last.level], last.center, axis)[0]
    room = _is_room(distance, last.height)
    if room and last.level in ("L5", "L6"):
        return [Sentence("between {level} and the sacrum is room for one more vertebra", level=last.level)]
    if not room and last.level not in ("L5", "L6"):
        return [Sentence("{level} lies on the sacrum", level=last.level)]
    return []
