"""The cancellous region of a vertebral body on CT: placed from the mask and the endosteal edge, read from the image (3D-HU, Chang 2025)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import NotMeasured
from ..image.grid import FINEST_NEEDED_MM, Grid
from ..image.image import Image
from ..image.resampling import resample
from ..vertebra.body import Body
from .endosteal import SECTORS, Endosteum
from .roi import RegionRoi, weighted_median

SMALL_ROI_MM3, MINIMUM_VOLUME_MM3 = 4000.0, 1000.0
CEMENT_HU, CEMENT_MM3 = 700.0, 200.0
#: Along axes of the image with at least this step a voxel counts only if it lies wholly inside: so much of it would be cortex.
THICK_MM = 1.5
#: The wide region keeps at least this far inside a mask, mm: a mask's surface is a voxel's stair.
WIDE_LEAST_MM = 0.5


@dataclass(frozen=True)
class RegionNumbers:
    """HU of a cancellous region: mean, standard deviation, median; its volume, and that of cement or metal in it, mm3."""

    mean: float
    sd: float
    median: float
    volume: float
    dense_volume: float


def shares(field: np.ndarray, field_grid: Grid, target: Grid) -> np.ndarray:
    """Share of every voxel of ``target`` that lies where ``field`` (mm, signed, on ``field_grid``) is positive, 0 to 1.

    Each voxel is cut into parts of 0.75 mm or less; in a part the border counts as a plane.
    """
    return _shares(resample(field, field_grid, target.refined(target.fine_factors()), outside=-100.0), target)


def _shares(parts: np.ndarray, target: Grid, thick_mm: float = np.inf) -> np.ndarray:
    """As `shares`, from the field at the parts of the voxels. Along axes with a step of ``thick_mm`` or more the least share of the
    parts counts, not their mean: the voxel is inside as far as all of its length is."""
    factors, (k, j, i) = target.fine_factors(), target.shape
    size = float(np.prod(target.spacing / factors) ** (1 / 3))
    inside = np.clip(0.5 + parts / size, 0, 1).reshape(k, factors[2], j, factors[1], i, factors[0])
    thick = tuple(axis for axis, step in zip((5, 3, 1), target.spacing) if step >= thick_mm)
    return inside.min(axis=thick, keepdims=True).mean(axis=(1, 3, 5))


def place_region(body: Body, image: Image, margin_mm: float, kind: str) -> RegionRoi:
    """The body less everything nearer than ``margin_mm`` to its surface, less exclusions, as shares of voxels.

    Raises NotMeasured where the body lies outside the image.
    """
    slices = image.grid.slices_around(body.mask.row_ends, pad=1)
    if slices is None:
        raise NotMeasured("the mask lies outside the image")
    box = image.grid.box(slices)
    return RegionRoi(body.level, kind, slices, box, shares(body.field(margin_mm), body.grid, box), margin_mm)


def place_cancellous(body: Body, image: Image, margin_mm: float, endosteum: Endosteum | None) -> RegionRoi:
    """The cancellous region on CT: below the margin, inside the endosteal edge, outside exclusions, whole along thick voxels.

    endosteum: None for a region drawn by hand, which is taken as it is. Raises NotMeasured where the body lies outside the image.
    """
    if endosteum is None:
        return place_region(body, image, margin_mm, "cancellous")
    return _inside_edge("cancellous", endosteum, margin_mm, np.full(len(SECTORS), margin_mm, np.float32))


def place_wide(body: Body, image: Image, margin_mm: float, endosteum: Endosteum | None) -> RegionRoi:
    """Everything inside the endosteal edge, however near the surface, outside exclusions (Chang 2025 widened his region so).

    Where no edge can be seen (thin cortex blurred away, a mask too small, surfaces across thick voxels) it begins at the margin.
    """
    if endosteum is None:
        return place_region(body, image, 0.0, "wide")
    unseen = (endosteum.steps >= THICK_MM) | (np.array(endosteum.depths) == 0)
    return _inside_edge("wide", endosteum, 0.0, np.where(unseen, margin_mm, WIDE_LEAST_MM).astype(np.float32))


def place_reachable(endosteum: Endosteum, margin_mm: float) -> RegionRoi:
    """Voxels whose centers lie inside the endosteal edge (the margin, where none was seen): what regions of other fair masks may hold."""
    depths = np.array(endosteum.depths)
    begins = np.where(depths > 0, depths, margin_mm).astype(np.float32)[endosteum.voxel_sector]
    weights = (endosteum.voxel_depth >= begins).astype(np.float32)
    return RegionRoi(endosteum.body.level, "reachable", endosteum.slices, endosteum.box, weights, 0.0)


def _inside_edge(kind: str, endosteum: Endosteum, margin_mm: float, least: np.ndarray) -> RegionRoi:
    """Voxels that lie deeper than ``least`` (mm by sector; all of them along thick axes), their centers inside the endosteal edge."""
    box, sector, begins = endosteum.box, endosteum.voxel_sector, np.maximum(least, endosteum.depths)
    if np.ptp(least) > 0:
        for axis, factor in enumerate(box.fine_factors()[::-1]):
            sector = np.repeat(sector, factor, axis)
        parts = endosteum.part_depth - least[sector]
    else:
        parts = endosteum.part_depth - least[0]
    if endosteum.part_clearance is not None:
        parts = np.minimum(parts, endosteum.part_clearance)
    weights = _shares(parts, box, THICK_MM)
    if np.any(begins > least):
        # by a voxel's center alone, as the edge was read: 0 to 1 over the thinnest step inside it, or 0.75 mm
        depth = endosteum.voxel_depth - begins.astype(np.float32)[endosteum.voxel_sector]
        allowed = np.clip(depth / min(*box.spacing, FINEST_NEEDED_MM), 0, 1)
        np.minimum(weights, allowed, out=weights, where=(begins > least)[endosteum.voxel_sector])
    said = dict(zip(SECTORS, begins.tolist()))
    return RegionRoi(endosteum.body.level, kind, endosteum.slices, box, weights, margin_mm, said)


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
