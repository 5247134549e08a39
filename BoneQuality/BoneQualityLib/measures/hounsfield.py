"""CT: 3D-HU of the cancellous vertebral body and HU of the largest ellipse on three slices.

3D-HU: Chang 2025. Three slices: Schreiber 2011 as used by Chang 2025. Middle slice alone: Pickhardt 2013, Xue 2025.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import NotMeasured, Sentence
from ..image.image import Image
from ..parameters import Parameters
from ..states import Flag
from ..vertebra.body import Body
from ..vertebra.frame import Frame
from .endosteal import Endosteum, read_endosteum
from .focal import find_foci
from .region import CEMENT_MM3, SMALL_ROI_MM3, place_cancellous, place_reachable, place_wide, read_region, region_mean
from .roi import LevelNumbers, PlanarRoi, RegionRoi
from .slices import Slices, place_slices, read_slice
from .uncertainty import FAIR_MASK_MM, fair_slice, fair_slices, moved_region

#: Upper, middle and lower: multi-slice HU is their mean.
SLICES = 3


@dataclass(frozen=True, eq=False)
class PlacedLevel:
    """What of a level no person edits: the numbers of the solid regions; and where its slices lie, None where there are none."""

    regions: LevelNumbers
    slices: Slices | None = None


def measure_level(
    body: Body, image: Image, parameters: Parameters, frame: Frame | None = None, edits: dict[str, PlanarRoi] | None = None
) -> LevelNumbers:
    """Every CT value of one level; what cannot be measured is absent, with its reason.

    frame: the vertebra's own axes, needed for the slice plane "vertebra"; without one, anterior is the patient's. edits: ROIs that a
    person edited, by slice name; they take the place of the ellipses.
    """
    return read_level(place_level(body, image, parameters, frame), image, edits or {})


def place_level(body: Body, image: Image, parameters: Parameters, frame: Frame | None = None) -> PlacedLevel:
    """The solid regions, read, and the places of the slices; see `measure_level`."""
    numbers, margin = LevelNumbers(), parameters.cancellous_margin_mm
    try:
        endosteum = read_endosteum(body, image, margin, frame)
        region, wide = place_cancellous(body, image, margin, endosteum), place_wide(body, image, margin, endosteum)
        read = read_region(region, image)
        numbers.rois.append(region)
        numbers.values.update(
            hu_3d=read.mean, hu_3d_sd=read.sd, hu_3d_median=read.median, hu_3d_volume_mm3=read.volume,
            hu_3d_wide=region_mean(wide, image),
        )  # fmt: skip
        numbers.variations["hu_3d"] = _other_masks(body, image, margin, region, endosteum)
        if read.volume < SMALL_ROI_MM3:
            numbers.flags.append(Flag("small-roi", value=read.volume, unit="mm3"))
        if read.dense_volume > CEMENT_MM3:
            numbers.flags.append(Flag("cement-or-metal", value=read.dense_volume, unit="mm3"))
        numbers.flags += _foci(region, image)
        return PlacedLevel(numbers, place_slices(body, image, parameters, endosteum, frame))
    except NotMeasured as reason:
        numbers.gap(reason)
    return PlacedLevel(numbers)


def read_level(placed: PlacedLevel, image: Image, edits: dict[str, PlanarRoi]) -> LevelNumbers:
    """The numbers of a level whose slices are read now. edits: see `measure_level`."""
    if placed.slices is None:
        return placed.regions
    numbers = LevelNumbers()
    measure_slices(numbers, placed.slices, edits, image)
    return LevelNumbers.joined([placed.regions, numbers])


def _foci(region: RegionRoi, image: Image) -> list[Flag]:
    """The largest dense and the largest lucent focus of a region."""
    found = {}
    for focus in find_foci(region, image):
        code = "dense-focus" if focus.is_dense else "lucent-focus"
        place = dict(zip("ras", focus.center))
        about = Sentence("{difference:+.0f} HU at R {r:.0f} A {a:.0f} S {s:.0f}", difference=focus.difference, **place)
        found.setdefault(code, Flag(code, value=focus.volume_mm3, unit="mm3", about=about))
    return [*found.values()]


def _other_masks(body: Body, image: Image, margin_mm: float, region: RegionRoi, endosteum: Endosteum | None) -> dict[str, float]:
    """3D-HU as other fair masks give it: moved, larger and smaller; of a region drawn by hand moved alone."""
    if endosteum is None:
        return moved_region(region, image)
    found = moved_region(region, image, place_reachable(endosteum, margin_mm))
    step = max(FAIR_MASK_MM, 0.5 * float(image.grid.spacing.min()))
    for name, margin in (("narrower margin", max(margin_mm - step, 0.0)), ("wider margin", margin_mm + step)):
        try:
            found[name] = region_mean(place_cancellous(body, image, margin, endosteum), image)
        except NotMeasured:  # too little is left of a small region
            found[name] = math.nan
    return found


def measure_slices(numbers: LevelNumbers, slices: Slices, edits: dict[str, PlanarRoi], image: Image) -> None:
    """Add the values of the slices to a level's numbers; ``edits`` take the place of the regions that were placed."""
    variations, placed = {}, slices.rois | edits
    for name, roi in placed.items():
        if roi is None:
            numbers.gap(slices.why[name])
            continue
        numbers.rois.append(roi)
        try:
            numbers.values[f"hu_{name}"] = read_slice(roi, image)
        except NotMeasured as reason:
            numbers.gap(NotMeasured("{name} slice: {reason}", reason.flag, name=Sentence(name), reason=reason))
            continue
        numbers.values[f"hu_{name}_area_mm2"] = roi.area
        inward = placed["middle"].center - roi.center if name != "middle" and placed.get("middle") is not None else None
        variations[name] = fair_slice(roi, image, read_slice, inward)
    if "middle" in variations:
        numbers.variations["hu_middle"] = variations["middle"]
    if len(variations) == SLICES:
        numbers.values["hu_multislice"] = value = float(np.mean([numbers.values[f"hu_{name}"] for name in placed]))
        numbers.variations["hu_multislice"] = fair_slices(variations, value, placed["middle"], image)
