"""The cancellous region of a vertebral body on CT: placed from the mask, read from the image (3D-HU, Chang 2025)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import NotMeasured
from ..image.grid import Grid
from ..image.image import Image
from ..image.resampling import resample
from ..vertebra.body import Body
from .roi import RegionRoi, weighted_median

SMALL_ROI_MM3 = 4000.0
CEMENT_HU, CEMENT_MM3 = 700.0, 200.0


def shares(field: np.ndarray, field_grid: Grid, target: Grid) -> np.ndarray:
    """Share of every voxel of ``target`` that lies where ``field`` (mm, signed, on ``field_grid``) is positive, 0 to 1.

    Each voxel is cut into parts of 0.75 mm or less; in a part the border counts as a plane.
    """
    factors = target.fine_factors()
    fine = target.refined(factors)
    value = resample(field, field_grid, fine, outside=-100.0)
    inside = np.clip(0.5 + value / float(np.prod(fine.spacing) ** (1 / 3)), 0, 1)
    k, j, i = target.shape
    return inside.reshape(k, factors[2], j, factors[1], i, factors[0]).mean(axis=(1, 3, 5))


def place_region(body: Body, image: Image, margin_mm: float, kind: str) -> RegionRoi:
    """The body less everything nearer than ``margin_mm`` to its surface, less exclusions, as shares of voxels.

    Raises NotMeasured where the body lies outside the image.
    """
    slices = image.grid.slices_around(body.mask.row_ends, pad=1)
    if slices is None:
        raise NotMeasured("the mask lies outside the image")
    box = image.grid.box(slices)
    return RegionRoi(body.level, kind, slices, box, shares(body.field(margin_mm), body.grid, box), margin_mm)


#: Chang 2025 widened his region up to the cortex; 2 mm is the nearest margin that keeps partial volume out.
WIDE_MARGIN_MM = 2.0
MINIMUM_VOLUME_MM3 = 1000.0


@dataclass(frozen=True)
class RegionNumbers:
    """HU of a cancellous region: mean, standard deviation, median; its volume, and that of cement or metal in it, mm3."""

    mean: float
    sd: float
    median: float
    volume: float
    dense_volume: float


def effective_margin(margin_mm: float, image: Image) -> float:
    """The margin, or the slice thickness where that is larger: thinner shells hold cortex by partial volume."""
    return max(margin_mm, image.slice_thickness)


def read_region(roi: RegionRoi, image: Image) -> RegionNumbers:
    """Numbers of a region; raises NotMeasured under 1 cm3 or where the image holds no numbers."""
    values, weights = _voxels(roi, image)
    mean = float(np.average(values, weights=weights))
    sd = float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))
    dense = float(weights[values > CEMENT_HU].sum()) * roi.grid.voxel_volume
    return RegionNumbers(mean, sd, weighted_median(values, weights), roi.volume, dense)


def region_mean(roi: RegionRoi, image: Image) -> float:
    """The mean alone of what `read_region` reads."""
    values, weights = _voxels(roi, image)
    return float(np.average(values, weights=weights))


def _voxels(roi: RegionRoi, image: Image) -> tuple[np.ndarray, np.ndarray]:
    if roi.volume < MINIMUM_VOLUME_MM3:
        raise NotMeasured("less than 1 cm3 of cancellous bone inside the margin", "small-roi")
    return roi.values(image)
