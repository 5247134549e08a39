"""How sure a number is: its values when the margin and the mask are a little otherwise.

ROIs are moved and resized, not fitted anew: on MRI by half a voxel, and the margin by 0.5 mm; on CT by 1 mm (or a voxel of up to
3 mm, where that is more), as far as the masks of two careful readers or networks lie apart. Of HU the largest changes by each cause,
added in quadrature, are the number's range to either side; of a signal's ratio, whose readings are combined already, the extremes.
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
#: How far two fair masks of a body on CT lie apart: a voxel within these limits; and two readers' slices, mm.
FAIR_MASK_MM, MOST_FAIR_MM, READER_SLICE_MM = 1.0, 3.0, 1.5
#: Names of the variations; "" is the number itself.
MARGINS = {"narrower margin": -MARGIN_STEP_MM, "wider margin": MARGIN_STEP_MM}
DIRECTIONS = ("+i", "-i", "+j", "-j", "+k", "-k")
#: The variations that each cause of error has.
CAUSES = (
    ("+i", "-i"), ("+j", "-j"), ("+k", "-k"), ("+u", "-u"), ("+v", "-v"), tuple(MARGINS),
    ("slice below", "slice above", "next slice below", "next slice above"), ("ends inward", "ends outward"),
)  # fmt: skip
Variations = dict[str, float]


def shifts(grid: Grid) -> Iterator[tuple[str, int, int, np.ndarray]]:
    """Half a voxel in each direction: name, axis (0 to 2 for i, j, k), sign, and the RAS vector in mm."""
    for name in DIRECTIONS:
        axis, sign = "ijk".index(name[1]), 1 if name[0] == "+" else -1
        yield name, axis, sign, 0.5 * sign * grid.ijk_to_ras[:3, axis]


def moved_region(roi: RegionRoi, image: Image, allowed: RegionRoi | None = None) -> Variations:
    """Mean of a region moved by half a voxel, or as far as fair masks lie apart within ``allowed``; linear between whole voxels.

    allowed: a region on the same box that a mask's error does not move, such as everything inside the endosteal edge.
    """
    values = image.array[roi.slices]
    known = image.holds_data(values)
    values = np.where(known, values, 0).astype(np.float64)
    limit = known if allowed is None else known * allowed.weights

    def mean(weights):
        weights = np.minimum(weights, limit)
        total = weights.sum()
        return float((weights * values).sum() / total) if total > 0 else np.nan

    here, found = mean(roi.weights), {}
    for name, axis, sign, _ in shifts(image.grid):
        moved = np.zeros_like(roi.weights)
        to, off = [slice(None)] * 3, [slice(None)] * 3
        to[2 - axis], off[2 - axis] = (slice(1, None), slice(None, -1)) if sign > 0 else (slice(None, -1), slice(1, None))
        moved[tuple(to)] = roi.weights[tuple(off)]
        voxels = 0.5 if allowed is None else _fair(image.grid.spacing[axis]) / float(image.grid.spacing[axis])
        found[name] = here + voxels * (mean(moved) - here)
    return found


def moved_plane(roi: PlanarRoi, image: Image, read) -> Variations:
    """What ``read(roi, image)`` gives for a planar ROI moved by half a voxel in each direction."""
    return {name: _or_nan(read, replace(roi, center=roi.center + step), image) for name, _, _, step in shifts(image.grid)}


def _fair(voxel_mm: float) -> float:
    return min(max(float(voxel_mm), FAIR_MASK_MM), MOST_FAIR_MM)


def _extent(direction: np.ndarray, grid: Grid) -> float:
    """Of a voxel along a direction, mm."""
    return float(np.abs(direction @ grid.directions) @ grid.spacing)


def fair_slice(roi: PlanarRoi, image: Image, read, inward: np.ndarray | None = None) -> Variations:
    """What other fair masks and readers give for an ellipse: moved by 1 mm in its plane, made larger or smaller, another slice.

    Another slice lies half a slice distance or 1.5 mm away, whichever is more; of a middle slice also the next ones count, to which a
    mask that is a voxel off moves it, and whose noise is their own and not a mean of two slices'. inward: for an end slice the direction to the middle;
    to the other side lies cortex, so the change that way is taken as the opposite one. A ROI that a person drew keeps its size.
    """
    here = _or_nan(read, roi, image)
    found = {
        name: _or_nan(read, replace(roi, center=roi.center + _fair(_extent(step, image.grid)) * step), image)
        for name, step in (("+u", roi.u), ("-u", -roi.u), ("+v", roi.v), ("-v", -roi.v))
    }
    if roi.semi_axes is not None:
        for name, step in (("narrower margin", FAIR_MASK_MM), ("wider margin", -FAIR_MASK_MM)):
            axes = tuple(max(axis + step, 0.1) for axis in roi.semi_axes)
            found[name] = _or_nan(read, replace(roi, semi_axes=axes), image)
    for name, side in (("slice below", -1), ("slice above", 1)):
        step = side * _slide(roi, image) * roi.normal * np.sign(roi.normal[2] or 1)
        if inward is not None and step @ inward < 0:
            found[name] = 2 * here - _or_nan(read, replace(roi, center=roi.center - step), image)
        else:
            found[name] = _or_nan(read, replace(roi, center=roi.center + step), image)
        if inward is None and _extent(roi.normal, image.grid) <= MOST_FAIR_MM + 1e-6:
            step *= _extent(roi.normal, image.grid) / _slide(roi, image)
            found[f"next {name}"] = _or_nan(read, replace(roi, center=roi.center + step), image)
    return found


def fair_slices(slices: dict[str, Variations], value: float, roi: PlanarRoi, image: Image) -> Variations:
    """The mean of three slices, ``value``, under the variations of `fair_slice`, and with both ends moved inward or outward.

    Along the normal as far as fair masks lie apart, where that is more than the readers' distance; roi: one of the three.
    """
    found = mean_of([*slices.values()])
    middle = 0.5 * (slices["middle"]["slice below"] + slices["middle"]["slice above"])
    for name, upper, lower in (("ends inward", "slice below", "slice above"), ("ends outward", "slice above", "slice below")):
        found[name] = float(np.mean([slices["upper"][upper], middle, slices["lower"][lower]]))
    further = max(1.0, _fair(_extent(roi.normal, image.grid)) / _slide(roi, image))
    for name in ("slice below", "slice above", "ends inward", "ends outward"):
        found[name] = value + further * (found[name] - value)
    return found


def _slide(roi: PlanarRoi, image: Image) -> float:
    """How far apart readers choose a slice: half a slice distance or 1.5 mm, whichever is more."""
    return max(0.5 * _extent(roi.normal, image.grid), READER_SLICE_MM)


def mean_of(several: list[Variations]) -> Variations:
    """The mean of numbers under every variation that all of them know."""
    names = set.intersection(*(set(v) for v in several)) if several else set()
    return {name: float(np.mean([v[name] for v in several])) for name in sorted(names)}


def combined(value: float, variations: Variations) -> tuple[float, float]:
    """A value less and plus the largest changes by each cause, added in quadrature.

    Causes are independent and as likely to act one way as the other (JCGM 100:2008, 5.1); a change that cannot be read does not count.
    """
    changes = [[abs(variations[name] - value) for name in cause if np.isfinite(variations.get(name, np.nan))] for cause in CAUSES]
    by = float(np.sqrt(sum(max(change) ** 2 for change in changes if change)))
    return value - by, value + by


def extremes(value: float, variations: Variations) -> tuple[float, float]:
    """The lowest and the highest of a value and its variations."""
    found = [value, *(v for v in variations.values() if np.isfinite(v))]
    return float(min(found)), float(max(found))


def _or_nan(read, roi: PlanarRoi, image: Image) -> float:
    try:
        return float(read(roi, image))
    except NotMeasured:
        return np.nan
