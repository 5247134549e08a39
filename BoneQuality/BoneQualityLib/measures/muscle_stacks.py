"""Stacks of axial slices, and on which of them each disc is read.

Lumbar axial MRI is taken with a stack angled to each disc. Every stack is a lattice of its own; a disc is read on the stack whose
planes lie closest to its own, with the masks that were drawn on that stack.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..anatomy.segments import MEASURED_KINDS, Identified, check_clear, settle
from ..anatomy.structure import Segment
from ..anatomy.vocabulary import JOINED, MUSCLES, SIDES
from ..errors import BoneQualityError
from ..image.grid import Grid
from ..image.image import Image
from ..image.mask import Mask
from .muscle_slices import axial_axis

#: Slices of a mask and of an image are the same where their normals differ by less than 1 degree and their places by less than
#: this share of a step.
SAME_NORMAL, SAME_PLACE = float(np.cos(np.radians(1))), 0.1


@dataclass(frozen=True)
class AxialImages:
    """What muscles are read from. signal: T2 or T1 MR, or a CT (``is_ct``); fat and water: a pair on one lattice."""

    signal: Image | None = None
    is_ct: bool = False
    fat: Image | None = None
    water: Image | None = None

    def __post_init__(self):
        if (self.fat is None) != (self.water is None):
            raise BoneQualityError("The fat fraction needs a fat and a water image; give the other one too.")
        if self.fat is not None and (
            self.fat.grid.shape != self.water.grid.shape
            or not np.allclose(self.fat.grid.ijk_to_ras, self.water.grid.ijk_to_ras, atol=1e-3)
        ):
            raise BoneQualityError(
                "{fat} and {water} do not lie on the same lattice; give the fat and the water image of one acquisition.",
                fat=self.fat.name,
                water=self.water.name,
            )

    @property
    def main(self) -> Image:
        """The image whose slices are read."""
        return self.signal if self.signal is not None else self.fat


@dataclass(frozen=True, eq=False)
class Stack:
    """Images of one lattice, and the masks drawn on it: compartments by muscle and side, empty ones too, and discs by name.

    number: its place among the images given.
    """

    number: int
    images: AxialImages
    compartments: dict[tuple[str, str], Mask]
    discs: dict[str, Mask]

    @property
    def drawn(self) -> dict[tuple[str, str], Mask]:
        """The compartments whose mask is not empty."""
        return {key: mask for key, mask in self.compartments.items() if mask.array.any()}

    @property
    def normal(self) -> np.ndarray:
        """Unit vector along the patient's length across the slices."""
        grid = self.images.main.grid
        return grid.directions[:, axial_axis(grid)]

    @property
    def middle(self) -> np.ndarray:
        """RAS of the middle of all compartments."""
        return np.mean([mask.center for mask in self.drawn.values()], axis=0)


def read_stacks(segments: list[Segment], several: list[AxialImages]) -> list[Stack]:
    """The stacks on which muscles were drawn. Raises BoneQualityError if there are none, or two segments show one of a stack's muscles."""
    axial = [(n, images) for n, images in enumerate(several) if is_axial(images.main)]
    if not axial:
        raise BoneQualityError(
            "The slices of {name} are not axial, so muscles cannot be measured on it; choose the axial image.",
            name=several[0].main.name,
        )
    muscles = [segment for segment in segments if segment.structure.kind in (*MUSCLES, *JOINED)]
    _check_muscles(muscles, segments)
    known = [segment for segment in segments if segment in muscles or segment.structure.kind == "disc"]
    loaded = [(segment, segment.load()) for segment in known]
    if not any(mask.array.any() for segment, mask in loaded if segment in muscles):
        raise BoneQualityError(
            "All muscles of {source} are empty; draw them, or choose another segmentation.", source=muscles[0].source
        )
    grids = {n: images.main.grid for n, images in axial}
    homes = {segment: _homes(mask, grids) for segment, mask in loaded}
    masks = dict(loaded)
    stacks = [_stack(n, images, [s for s in known if n in homes[s]], masks) for n, images in axial]
    return [stack for stack in stacks if stack.drawn]


def is_axial(image: Image) -> bool:
    """Whether an image's thick slices, where it has such, are axial."""
    spacing, along = image.grid.spacing, axial_axis(image.grid)
    return image.grid.slice_axis == along or spacing[image.grid.slice_axis] <= 1.5 * spacing[along]


def lies_along(image: Image, other: Image) -> bool:
    """Whether two images are slices of one stack: of one direction, each with its middle within the other."""
    along, own = axial_axis(image.grid), axial_axis(other.grid)
    if abs(image.grid.directions[:, along] @ other.grid.directions[:, own]) < SAME_NORMAL:
        return False
    pairs = ((image.grid, other.grid), (other.grid, image.grid))
    return all(
        np.all((ijk > -0.5) & (ijk < np.array(grid.shape)[::-1] - 0.5))
        for grid, there in pairs
        for ijk in [grid.ijk(there.corners().mean(axis=0))]
    )


def _check_muscles(muscles: list[Segment], segments: list[Segment]) -> None:
    without = [segment for segment in muscles if not segment.structure.side]
    if without:
        sentence = "The segment {name} of {source} does not say its side; name it left or right."
        raise BoneQualityError(sentence, **without[0].names())
    if not muscles:
        sentence = "No segment of {source} is named" if segments else "No segment is named"
        sentence += " like a muscle; rename the segments (left psoas major, right multifidus, ...), or map them with a labels file."
        raise BoneQualityError(sentence, source=segments[0].source if segments else "")


def _homes(mask: Mask, grids: dict[int, Grid]) -> set[int]:
    """The stacks that a mask was drawn on: those whose slices are its own; all of them where it lies on a lattice of its own."""
    on = {n for n, grid in grids.items() if _shares_slices(mask, grid)}
    return on or set(grids)


def _shares_slices(mask: Mask, grid: Grid) -> bool:
    along, own = axial_axis(grid), axial_axis(mask.grid)
    if abs(grid.directions[:, along] @ mask.grid.directions[:, own]) < SAME_NORMAL or not mask.array.any():
        return False
    ijk = grid.ijk(mask.points)
    inside = np.all((ijk > -0.6) & (ijk < np.array(grid.shape)[::-1] - 0.4), axis=1)
    off = np.abs(ijk[:, along] - np.round(ijk[:, along]))
    return bool(inside.mean() > 0.5 and off.max() < SAME_PLACE)


def _stack(number: int, images: AxialImages, segments: list[Segment], masks: dict[Segment, Mask]) -> Stack:
    settled = settle(Identified(tuple(segment for segment in segments if masks[segment].array.any())))
    check_clear(settled, MEASURED_KINDS["axial_mr"])
    found = {_key(segment): masks[segment] for segment in (*segments, *settled.segments)}
    order = [(muscle, side) for muscle in (*MUSCLES, *JOINED) for side in SIDES]
    discs = {segment.structure.level: masks[segment] for segment in settled.segments if segment.structure.kind == "disc"}
    return Stack(number, images, {key: found[key] for key in order if key in found}, discs)


def _key(segment: Segment) -> tuple[str, str]:
    return segment.structure.kind, segment.structure.side
