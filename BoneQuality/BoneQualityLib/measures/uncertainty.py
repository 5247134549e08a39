"""How sure a number is: its values when the margin and the mask are a little otherwise.

The margin moves by 0.5 mm to either side, and the mask by half a voxel in each direction; ROIs are moved, not fitted anew. The
extremes of these values are the number's range.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..errors import NotMeasured
from ..image.grid import Grid
from ..image.image import Image
from .roi import PlanarRoi, RegionRoi

MARGIN_STEP_MM = 0.5
#: Names of the variations; "" is the number itself.
MARGINS = {"narrower margin": -MARGIN_STEP_MM, "wider margin": MARGIN_STEP_MM}
DIRECTIONS = ("+i", "-i", "+j", "-j", "+k", "-k")
Variations = dict[str, float]


def shifts(grid: Grid) -> Iterator[tuple[str, int, int, np.ndarray]]:
    """Half a voxel in each direction: name, axis (0 to 2 for i, j, k), sign, and the RAS vector in mm."""
    for name in DIRECTIONS:
        axis, sign = "ijk".index(name[1]), 1 if name[0] == "+" else -1
        yield name, axis, sign, 0.5 * sign * grid.ijk_to_ras[:3, axis]


def moved_region(roi: RegionRoi, image: Image) -> Variations:
    """Mean of a region moved by half a voxel: half-way between its own mean and that of the region moved by a whole one."""
    inside = np.argwhere(roi.weights > 0)
    low, high = inside.min(axis=0), inside.max(axis=0) + 1
    weights = roi.weights[tuple(slice(a, b) for a, b in zip(low, high))].astype(np.float64)
    start = np.array([s.start for s in roi.slices]) + low

    def mean(step):
        first = start + step
        if np.any(first < 0) or np.any(first + weights.shape > image.array.shape):
            return np.nan
        values = image.array[tuple(slice(a, a + n) for a, n in zip(first, weights.shape))]
        return float(np.average(values, weights=weights))

    here = mean(np.zeros(3, int))
    found = {}
    for name, axis, sign, _ in shifts(image.grid):
        step = np.zeros(3, int)
        step[2 - axis] = sign
        found[name] = 0.5 * (here + mean(step))
    return found


def moved_plane(roi: PlanarRoi, image: Image, read) -> Variations:
    """What ``read(roi, image)`` gives for a planar ROI moved by half a voxel in each direction."""
    return {name: _or_nan(read, replace(roi, center=roi.center + step), image) for name, _, _, step in shifts(image.grid)}


def resized_ellipse(roi: PlanarRoi, image: Image, read) -> Variations:
    """What ``read(roi, image)`` gives for an ellipse whose axes grow by what the margin shrinks, and the other way.

    Nothing for a ROI that a person drew: no margin made it.
    """
    if roi.semi_axes is None:
        return {}
    return {
        name: _or_nan(read, replace(roi, semi_axes=tuple(max(axis - step, 0.1) for axis in roi.semi_axes)), image)
        for name, step in MARGINS.items()
    }


def mean_of(several: list[Variations]) -> Variations:
    """The mean of numbers under every variation that all of them know."""
    names = set.intersection(*(set(v) for v in several)) if several else set()
    return {name: float(np.mean([v[name] for v in several])) for name in sorted(names)}


def extremes(value: float, variations: Variations) -> tuple[float, float]:
    """The lowest and the highest of a value and its variations."""
    found = [value, *(v for v in variations.values() if np.isfinite(v))]
    return float(min(found)), float(max(found))


def _or_nan(read, roi: PlanarRoi, image: Image) -> float:
    try:
        return float(read(roi, image))
    except NotMeasured:
        return np.nan
