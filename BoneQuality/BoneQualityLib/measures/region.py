"""The cancellous region of a vertebral body on CT: placed from the mask and the endosteal edge, read from the image (3D-HU, Chang 2025)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import NotMeasured
from ..image.grid import FINEST_NEEDED_MM, Grid
from ..image.image import Image
from ..image.resampling import resample
from ..vertebra.body import Body
from .endosteal import Endosteum
from .roi import RegionRoi, weighted_median

SMALL_ROI_MM3, MINIMUM_VOLUME_MM3 = 4000.0, 1000.0
CEMENT_HU, CEMENT_MM3 = 700.0, 200.0
#: Along axes of the image with at least this step a voxel counts only if it lies wholly inside: so much of it would be cortex.
THICK_MM = 1.5
#: The wide region keeps this far inside a mask even where no cortex was seen, mm: a mask's surface is a voxel's stair.
WIDE_LEAST_MM = 0.5


@dataclass(frozen=True)
class RegionNumbers:
    """HU of a cancellous region: mean, standard deviation, median; its volume, and that of cement or metal in it, mm3."""

    mean: float
    sd: float
    median: float
    volume: float
    dense_volume: float


def shares(field: np.ndarray, field_grid: Grid, target: Grid, thick_mm: float = np.inf) -> np.ndarray:
    """Share of every voxel of ``target`` that lies where ``field`` (mm, signed, on ``field_grid``) is positive, 0 to 1.

    Each voxel is cut into parts of 0.75 mm or less; in a part the border counts as a plane. Along axes with a step of ``thick_mm``
    or more the least share of the parts counts, not their mean: the voxel is inside as far as all of its length is.
    """
    factors = target.fine_factors()
    fine = target.refined(factors)
    value = resample(field, field_grid, fine, outside=-100.0)
    inside = np.clip(0.5 + value / float(np.prod(fine.spacing) ** (1 / 3)), 0, 1)
    k, j, i = target.shape
    inside = inside.reshape(k, factors[2], j, factors[1], i, factors[0])
    thick = tuple(axis for axis, step in zip((5, 3, 1), target.spacing) if step >= thick_mm)
    return inside.min(axis=thick, keepdims=True).mean(axis=(1, 3, 5))


def place_region(body: Body, image: Image, margin_mm: float, kind: str) -> RegionRoi:
    """The body less everything nearer than ``margin_mm`` to its surface, less exclusions, as shares of voxels.

    Raises NotMeasured where the body lies outside the image.
    """
    slices, box = _box(body, image)
    return RegionRoi(body.level, kind, slices, box, shares(body.field(margin_mm), body.grid, box), margin_mm)


def place_cancellous(body: Body, image: Image, margin_mm: float, endosteum: Endosteum | None) -> RegionRoi:
    """The cancellous region on CT: below the margin, inside the endosteal edge, outside exclusions, whole along thick voxels.

    endosteum: None for a region drawn by hand, which is taken as it is. Raises NotMeasured where the body lies outside the image.
    """
    if endosteum is None:
        return place_region(body, image, margin_mm, "cancellous")
    slices, box = _box(body, image)
    begins = endosteum.begins(margin_mm)
    weights = shares(body.field(margin_mm), body.grid, box, THICK_MM)
    if max(begins.values()) > margin_mm:
        weights = np.minimum(weights, _centers_inside(endosteum.inside(body, begins), body.grid, box))
    return RegionRoi(body.level, "cancellous", slices, box, weights, margin_mm, begins)


def place_wide(body: Body, image: Image, margin_mm: float, endosteum: Endosteum | None) -> RegionRoi:
    """Everything inside the endosteal edge, however near the surface, outside exclusions (Chang 2025 widened his region so).

    Under surfaces whose normal runs along thick voxels no edge can be seen; there the region begins where `place_cancellous` lets it.
    """
    if endosteum is None:
        return place_region(body, image, 0.0, "wide")
    slices, box = _box(body, image)
    least = {name: margin_mm if step >= THICK_MM else WIDE_LEAST_MM for name, step in endosteum.steps(image.grid).items()}
    begins = {name: max(depth, least[name]) for name, depth in endosteum.begins(0.0).items()}
    field = endosteum.inside(body, least)
    field = field if body.clearance is None else np.minimum(field, body.clearance)
    weights = np.minimum(shares(field, body.grid, box, THICK_MM), _centers_inside(endosteum.inside(body, begins), body.grid, box))
    return RegionRoi(body.level, "wide", slices, box, weights, 0.0, begins)


def _box(body: Body, image: Image) -> tuple[tuple[slice, slice, slice], Grid]:
    slices = image.grid.slices_around(body.mask.row_ends, pad=1)
    if slices is None:
        raise NotMeasured("the mask lies outside the image")
    return slices, image.grid.box(slices)


def _centers_inside(field: np.ndarray, field_grid: Grid, box: Grid) -> np.ndarray:
    """By a voxel's center alone, as the endosteal edge was read: 0 to 1 over the thinnest step inside it, or 0.75 mm."""
    value = resample(field, field_grid, box, outside=-100.0)
    return np.clip(value / min(*box.spacing, FINEST_NEEDED_MM), 0, 1)


def read_region(roi: RegionRoi, image: Image) -> RegionNumbers:
    """Numbers of a region; raises NotMeasured under 1 cm3 or where over 1 % of it holds no data."""
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
