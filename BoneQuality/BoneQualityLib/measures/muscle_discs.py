"""Discs that were segmented without their levels, as some tools give them: named by the vertebral bodies that they lie between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from ..anatomy.structure import Segment, Structure
from ..image.mask import Mask
from ..parameters import CASE_DISCS

#: A disc's middle lies this near to midway between the bodies above and below; its neighbors lie over 25 mm away.
NEAREST_MM = 12.0


def with_levels(segments: list[Segment], bodies: list[tuple[str, dict[str, np.ndarray]]]) -> list[Segment]:
    """The segments, those of any disc taken apart into discs with a level as far as the bodies say it.

    bodies: RAS centers by level, with the image's role, the first that have both neighbors count. A level drawn by itself stays.
    """
    drawn = {segment.structure.level for segment in segments if segment.structure.kind == "disc"}
    middles = {disc: middle for disc in CASE_DISCS if disc not in drawn and (middle := _between(disc, bodies)) is not None}
    found = [segment for segment in segments if segment.structure.kind != "discs"]
    for segment in segments:
        if segment.structure.kind == "discs":
            found += [_named(segment, disc, mask) for disc, mask in _at(middles, segment.load()).items()]
    return found


def _between(disc: str, bodies: list[tuple[str, dict[str, np.ndarray]]]) -> np.ndarray | None:
    upper, lower = disc.split("-")
    pairs = [(centers[upper], centers[lower]) for _, centers in bodies if upper in centers and lower in centers]
    return np.mean(pairs[0], axis=0) if pairs else None


def _at(middles: dict[str, np.ndarray], mask: Mask) -> dict[str, Mask]:
    """The pieces of a mask by disc: to each the piece whose middle lies nearest."""
    labels, count = ndimage.label(mask.array)
    boxes = ndimage.find_objects(labels)
    pieces = [Mask(mask.name, labels[boxes[n]] == n + 1, mask.grid.box(boxes[n])) for n in range(count)]
    found = {}
    for disc, middle in middles.items():
        nearest = min(pieces, key=lambda piece: np.linalg.norm(piece.center - middle), default=None)
        if nearest is not None and np.linalg.norm(nearest.center - middle) < NEAREST_MM:
            found[disc] = nearest
    return found


def _named(segment: Segment, disc: str, mask: Mask) -> Segment:
    return replace(segment, structure=Structure("disc", disc), load=lambda: mask)
