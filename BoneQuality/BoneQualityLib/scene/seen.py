"""What pictures and DICOM files of a case are made from beside its document, as it lies in the scene."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from ..case.axial import axial_stacks
from ..image.image import Image
from ..image.mask import Mask
from ..measures.roi import RegionRoi
from ..outputs.dicom_files import REGIONS_OF
from ..outputs.pictures import Seen
from .arrays import image_of
from .masks import named_segments
from .scene_case import SceneCase


def seen_of(case: SceneCase, inputs: Mapping[str, object]) -> Seen:
    """Regions and fat of a case in the scene, over the images that it was measured on.

    inputs: volume nodes by the names of ``measure_case``, several of the muscles as a list; other names do not count.
    """
    images = {role: image_of(inputs[role]) for role in ("ct", "t1") if inputs.get(role) is not None}
    stacks = axial_stacks(*([image_of(node) for node in nodes_in(inputs.get(name))] for name in ("axial_mr", "fat", "water")))
    first = tuple(stack.signal or stack.fat for stack in stacks)
    return Seen(images, first, tuple(_regions(case, images)), tuple(_slices(_masks(case, "fat"))))


def nodes_in(given) -> list:
    """The nodes of an input that may be absent, one or several."""
    return [] if given is None else list(given) if isinstance(given, (list, tuple)) else [given]


def _masks(case: SceneCase, role: str) -> list[Mask]:
    node = case.node(role)
    return [segment.load() for segment in named_segments(node)] if node is not None else []


def _slices(masks: Iterable[Mask]) -> Iterator[Mask]:
    """Masks slice by slice, as pixels are drawn: where no disc is known, a segment holds those of all slices."""
    for mask in masks:
        for k in np.flatnonzero(mask.array.any(axis=(1, 2))):
            box = (slice(int(k), int(k) + 1), slice(0, mask.array.shape[1]), slice(0, mask.array.shape[2]))
            yield Mask(mask.name, mask.array[box], mask.grid.box(box))


def _regions(case: SceneCase, images: Mapping[str, Image]):
    """Regions of the images that are there; a voxel is wholly inside or outside, as the segments have it."""
    roles = {kind: role for role, kind in REGIONS_OF.items()}
    for mask in _masks(case, "regions"):
        level, _, kind = mask.name.partition(" ")
        image = images.get(roles.get(kind))
        if image is not None:
            first = np.rint(image.grid.ijk(mask.grid.ijk_to_ras[:3, 3])).astype(int)[::-1]
            box = tuple(slice(int(start), int(start) + n) for start, n in zip(first, mask.array.shape))
            yield RegionRoi(level, kind, box, mask.grid, mask.array.astype(float), margin_mm=0.0)
