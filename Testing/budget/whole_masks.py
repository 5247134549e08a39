"""Masks of whole vertebrae that hold part of a neighbor, two vertebrae or half of one: how many are flagged, and how many right ones."""

from __future__ import annotations

import numpy as np

from BoneQualityLib.anatomy.numbering import heights
from BoneQualityLib.anatomy.structure import Segment, Structure
from BoneQualityLib.errors import NotMeasured
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.phantoms import phantom_spine
from BoneQualityLib.vertebra.mask_checks import bodies_of, check_single, mask_flags
from BoneQualityLib.vertebra.vertebra import read_vertebrae

from . import Row, at_least, at_most
from ._injected_faults import LEVELS, ct_spine

#: Flags that name a mask of the wrong extent or number.
CODES = {"mask-fragmented", "mask-overlap", "level-gap", "level-order", "level-numbering"}
SEEDS = range(4000, 4008)
#: The part of L3 that goes under the name of L4 lies on this side of a plane, RAS.
SIDES = {"front": (0, 1, 0), "back": (0, -1, 0), "top": (0, 0, 1), "bottom": (0, 0, -1), "left": (-1, 0, 0)}

Masks = dict[str, np.ndarray]


def whole_masks() -> list[Row]:
    """Whole vertebrae of three levels, of all kinds, on voxels of 2 and 3 mm."""
    caught, false = {}, []
    for seed in SEEDS:
        spine = ct_spine(seed).spine
        grid = phantom_spine.grid_for(spine, (3.0 if seed % 2 else 2.0,) * 3, margin_mm=12.0)
        right = {level: phantom_spine.vertebra_mask(spine, level, grid) for level in LEVELS}
        false.append(_is_flagged(right, grid))
        for name, masks in _wrong(right, grid, np.random.default_rng(seed)):
            caught.setdefault(name, []).append(_is_flagged(masks, grid))
    found = [
        at_least("mask-fragmented, -order, ...", f"whole vertebrae, {name}, {len(of)}", 100 * float(np.mean(of)), 95, "%", 1, True)
        for name, of in caught.items()
    ]
    return [*found, at_most("the same, false alarms", f"{len(false)} spines of three right whole vertebrae", 100 * float(np.mean(false)), 1, "%", 1)]


def _wrong(right: Masks, grid, random: np.random.Generator):
    for direction in (*SIDES.values(), *random.standard_normal((3, 3))):
        part = _part(right["L3"], grid, direction, float(random.uniform(0.1, 0.5)))
        yield "10-50 % of L3 under the name of L4", right | {"L3": right["L3"] & ~part, "L4": right["L4"] | part}
    both = right["L2"] | right["L3"]
    yield "two under one name", {"L3": both, "L4": right["L4"]}
    yield "two under one name", right | {"L3": both}
    for direction in ((1, 0, 0), (0, 1, 0)):
        half = _part(right["L3"], grid, direction, 0.5)
        yield "one under two names", {"L2": right["L2"], "L3": right["L3"] & ~half, "L4": half, "L5": right["L4"]}


def _part(mask: np.ndarray, grid, direction, share: float) -> np.ndarray:
    """A share of a mask's voxels, those furthest along a direction."""
    along = grid.centers()[mask] @ np.asarray(direction, float)
    part = np.zeros_like(mask)
    part[mask] = along > np.quantile(along, 1 - share)
    return part


def _is_flagged(arrays: Masks, grid) -> bool:
    """As a case's masks are judged, without an image."""
    segments = [
        Segment(level, "phantom", lambda array=array, level=level: Mask(level, array, grid).cropped(), structure=Structure("vertebra", level))
        for level, array in arrays.items()
    ]
    vertebrae, around = read_vertebrae(segments, "auto")
    along, codes = heights(bodies_of(vertebrae)), {flag.code for flag in mask_flags(vertebrae, around)}
    for level, vertebra in vertebrae.items():
        try:
            check_single(level, along)
            codes |= {flag.code for flag in vertebra.mask_doubts}
        except NotMeasured as reason:
            codes.add(reason.flag)
    return bool(codes & CODES)


PARTS = (whole_masks,)


def rows() -> list[Row]:
    """Every row of this module."""
    return whole_masks()
