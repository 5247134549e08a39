"""What is checked of vertebra masks: whether they are whole, in order, and apart."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import numpy as np

from ..anatomy.numbering import audit
from ..errors import NotMeasured, Sentence
from ..image.image import Image
from ..image.mask import Mask
from ..image.resampling import sample
from ..states import Flag
from .pieces import tallest
from .vertebra import Surroundings, Vertebra

OVERLAP_SHARE = 0.01
#: Smaller masks are specks or the edge of a vertebra that left the image: they show no body, and say nothing of the others.
SPECK_MM3 = 1000.0


def check_whole(vertebra: Vertebra, image: Image) -> None:
    """Raise NotMeasured where the mask is empty or lies outside the image, or where the body reaches the image's outermost voxels.

    A process that leaves the field of view costs nothing: what is judged is the body, after it is cut from a whole mask.
    """
    mask = vertebra.mask
    if not mask.array.any():
        raise NotMeasured("the mask is empty")
    if _is_clear_of_edges(mask, image):
        return
    ijk = image.grid.ijk(mask.points)
    if not np.all((ijk > -0.5) & (ijk < np.array(image.grid.shape)[::-1] - 0.5), axis=1).any():
        raise NotMeasured("the mask lies outside the image")
    try:
        body = vertebra.body
    except NotMeasured:
        raise NotMeasured("the mask reaches the edge of the image, and no whole body is left in it", "truncated") from None
    if not _is_clear_of_edges(body, image):
        raise NotMeasured("the vertebral body reaches the edge of the image", "truncated")


def _is_clear_of_edges(mask: Mask, image: Image) -> bool:
    ijk, last = image.grid.ijk(mask.row_ends), np.array(image.grid.shape)[::-1] - 1
    return bool(np.all((ijk > 0.5) & (ijk < last - 0.5)))


def mask_flags(vertebrae: dict[str, Vertebra], around: Surroundings, left_out: Iterable[str] = ()) -> list[Flag]:
    """What speaks against the levels' numbers, and masks that overlap. left_out: levels that a person excluded."""
    masks = {level: vertebra.mask for level, vertebra in vertebrae.items() if vertebra.mask.array.any()}
    sacrum = max(around.sacra, key=lambda mask: mask.center[2], default=None)
    return audit(bodies_of(vertebrae), around.ribs, sacrum, left_out) + overlap_flags(masks)


def bodies_of(vertebrae: dict[str, Vertebra]) -> dict[str, Mask]:
    """The body of every vertebra that has more than a speck of a mask; the mask itself where no body is found in it."""
    found = {}
    for level, vertebra in vertebrae.items():
        if vertebra.mask.volume >= SPECK_MM3:
            try:
                found[level] = vertebra.body
            except NotMeasured:
                found[level] = vertebra.mask
    return found


def check_single(level: str, heights: dict[str, float]) -> None:
    """Raise NotMeasured where a mask is too tall for one vertebra. heights: of all bodies, along the spine, mm."""
    if level in tallest(heights):
        raise NotMeasured("the mask is {height:.0f} mm tall and reaches into a neighbor", "mask-fragmented", height=heights[level])


def overlap_flags(masks: dict[str, Mask]) -> list[Flag]:
    """Masks, by name, that overlap by more than 1 % of the smaller one."""
    found = []
    for one, other in combinations(masks, 2):
        share = _overlap(masks[one], masks[other])
        if share > OVERLAP_SHARE:
            found.append(Flag("mask-overlap", value=100 * share, unit="%", about=Sentence("{one} and {other}", one=one, other=other)))
    return found


def _overlap(one: Mask, other: Mask) -> float:
    smaller, larger = sorted((one, other), key=lambda mask: mask.volume)
    meeting = smaller.grid.slices_around(larger.grid.corners())
    if meeting is None:
        return 0.0
    part = Mask(smaller.name, smaller.array[meeting], smaller.grid.box(meeting))
    inside = sample(larger.array.view(np.uint8), larger.grid, part.points, order=0, outside=0) > 0
    return float(np.count_nonzero(inside) / np.count_nonzero(smaller.array))
