"""CT: 3D-HU of the cancellous vertebral body and HU of the largest ellipse on three slices.

3D-HU: Chang 2025. Three slices: Schreiber 2011 as used by Chang 2025. Middle slice alone: Pickhardt 2013, Xue 2025.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import NotMeasured
from ..image.image import Image
from ..parameters import Parameters
from ..states import Flag
from ..vertebra.body import Body
from ..vertebra.frame import Frame
from .region import CEMENT_MM3, SMALL_ROI_MM3, WIDE_MARGIN_MM, effective_margin, place_region, read_region, region_mean
from .roi import LevelNumbers, PlanarRoi
from .slices import place_slices, read_slice
from .uncertainty import MARGINS, mean_of, moved_plane, moved_region, resized_ellipse


def measure_level(
    body: Body, image: Image, parameters: Parameters, frame: Frame | None = None, edits: dict[str, PlanarRoi] | None = None
) -> LevelNumbers:
    """Every CT value of one level; what cannot be measured is absent, with its reason.

    The slice thickness replaces the margin where it is larger, for the wide region too. frame: the vertebra's own axes, needed for
    the slice plane "vertebra"; without one, anterior is the patient's. edits: ROIs that a person edited, by slice name; they take
    the place of the ellipses.
    """
    numbers = LevelNumbers()
    margin, wide = (effective_margin(m, image) for m in (parameters.cancellous_margin_mm, WIDE_MARGIN_MM))
    try:
        region = place_region(body, image, margin, "cancellous")
        read = read_region(region, image)
        numbers.rois.append(region)
        numbers.values.update(
            hu_3d=read.mean, hu_3d_sd=read.sd, hu_3d_median=read.median, hu_3d_volume_mm3=read.volume,
            hu_3d_wide=read.mean if margin == wide else region_mean(place_region(body, image, wide, "wide"), image),
        )  # fmt: skip
        numbers.variations["hu_3d"] = moved_region(region, image) | _margins_moved(body, image, margin)
        if read.volume < SMALL_ROI_MM3:
            numbers.flags.append(Flag("small-roi", value=read.volume, unit="mm3"))
        if read.dense_volume > CEMENT_MM3:
            numbers.flags.append(Flag("cement-or-metal", value=read.dense_volume, unit="mm3"))
        _measure_slices(numbers, place_slices(body, image, margin, parameters, frame) | (edits or {}), image)
    except NotMeasured as reason:
        numbers.gap(reason)
    return numbers


def _margins_moved(body: Body, image: Image, margin_mm: float) -> dict[str, float]:
    found = {}
    for name, step in MARGINS.items() if body.covers != "cancellous" else ():
        try:
            found[name] = region_mean(place_region(body, image, max(margin_mm + step, 0.0), name), image)
        except NotMeasured:  # too little is left of a small region
            found[name] = math.nan
    return found


def _measure_slices(numbers: LevelNumbers, slices: dict[str, PlanarRoi | None], image: Image) -> None:
    variations = []
    for name, roi in slices.items():
        if roi is None:
            numbers.gap(NotMeasured(f"no {name} slice 4 mm from the middle", "endplate-defect"))
            continue
        numbers.rois.append(roi)
        try:
            numbers.values[f"hu_{name}"] = read_slice(roi, image)
        except NotMeasured as reason:
            numbers.gap(NotMeasured(f"{name} slice: {reason}"))
            continue
        numbers.values[f"hu_{name}_area_mm2"] = roi.area
        variations.append(moved_plane(roi, image, read_slice) | resized_ellipse(roi, image, read_slice))
    if all(f"hu_{name}" in numbers.values for name in slices):
        numbers.values["hu_multislice"] = float(np.mean([numbers.values[f"hu_{name}"] for name in slices]))
        numbers.variations["hu_multislice"] = mean_of(variations)
