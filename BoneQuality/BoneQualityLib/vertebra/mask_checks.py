"""What is checked of vertebra masks: whether they are whole, in order, and apart."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ..errors import NotMeasured
from ..image.image import Image
from ..image.mask import Mask
from ..image.resampling import sample
from ..states import Flag
from .vertebra import Vertebra

OVERLAP_SHARE = 0.01


def check_whole(mask: Mask, image: Image) -> None:
    """Raise NotMeasured where the mask is empty, or reaches the image's outermost voxels or beyond."""
    if not mask.array.any():
        raise NotMeasured("the mask is empty")
    ijk, last = image.grid.ijk(mask.row_ends), np.array(image.grid.shape)[::-1] - 1
    if np.all((ijk > 0.5) & (ijk < last - 0.5)):
        return
    ijk = image.grid.ijk(mask.points)
    if not np.all((ijk > -0.5) & (ijk < last + 0.5), axis=1).any():
        raise NotMeasured("the mask lies outside the image")
    raise NotMeasured("the mask reaches the edge of the image", "truncated")


def mask_flags(vertebrae: dict[str, Vertebra]) -> list[Flag]:
    """Levels out of order from top to bottom, and masks that overlap."""
    masks = {level: vertebra.mask for level, vertebra in vertebrae.items() if vertebra.mask.array.any()}
    levels, found = list(masks), []
    for upper, lower in zip(levels, levels[1:]):
        if masks[upper].center[2] <= masks[lower].center[2]:
            found.append(Flag("level-order", about=f"{lower} above {upper}"))
    return found + overlap_flags(masks)


def overlap_flags(masks: dict[str, Mask]) -> list[Flag]:
    """Masks, by name, that overlap by more than 1 % of the smaller one."""
    found = []
    for one, other in combinations(masks, 2):
        share = _overlap(masks[one], masks[other])
        if share > OVERLAP_SHARE:
            found.append(Flag("mask-overlap", value=100 * share, unit="%", about=f"{one} and {other}"))
    return found


def _overlap(one: Mask, other: Mask) -> float:
    smaller, larger = sorted((one, other), key=lambda mask: mask.volume)
    meeting = smaller.grid.slices_around(larger.grid.corners())
    if meeting is None:
        return 0.0
    part = Mask(smaller.name, smaller.array[meeting], smaller.grid.box(meeting))
    inside = sample(larger.array.view(np.uint8), larger.grid, part.points, order=0, outside=0) > 0
    return float(np.count_nonzero(inside) / np.count_nonzero(smaller.array))
