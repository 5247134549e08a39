"""What stands out: parts of a cancellous region (bone islands, hemangiomas), and levels among their neighbors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..image.grid import least_squares
from ..image.image import Image
from .roi import RegionRoi

#: The region is looked at in cells of about this size, so that noise averages out; only voxels wholly inside count.
CELL_MM, WHOLE = 2.0, 0.99
#: A focus has at least this volume (what the blur leaves of 0.2 cm3); in it every cell differs from the smooth bone around it by more
#: than so many (robust) standard deviations of all cells, and by more than so many HU. From spheres of 0.2-1 cm3 put into phantoms, and
#: the shared CT, where half of these HU cry no more: real texture is judged by the deviations. See the budget.
LEAST_MM3, DEVIATIONS, DENSE_HU, LUCENT_HU = 150.0, 3.0, 60.0, 50.0
#: A level stands out if its 3D-HU differs from the median of the others by more than so many of their robust standard deviations, HU
#: and shares of that median, and its SD by more than this factor and HU. At least so many levels are needed.
LEVEL_DEVIATIONS, LEVEL_HU, LEVEL_SHARE, SD_FACTOR, SD_HU, FEWEST_LEVELS = 4.0, 45.0, 0.4, 1.6, 20.0, 3


@dataclass(frozen=True, eq=False)
class Focus:
    """A part of a region that is denser or less dense than the rest: its volume, its mean difference in HU, its center in RAS mm."""

    is_dense: bool
    volume_mm3: float
    difference: float
    center: np.ndarray


def find_foci(roi: RegionRoi, image: Image) -> list[Focus]:
    """Parts of at least 0.2 cm3 that differ from the region's smooth course by more than noise and texture explain, largest first.

    The smooth course is a second-degree polynomial, so that a gradient toward the endplates or the back is no focus.
    """
    factors = np.maximum(np.round(CELL_MM / roi.grid.spacing), 1).astype(int)
    values, share = _cells(roi, image, factors)
    inside = share > 0.5
    if np.count_nonzero(inside) < 50:
        return []
    position = (np.argwhere(inside) - np.array(inside.shape) / 2) / np.array(inside.shape)
    residual = np.zeros(inside.shape)
    residual[inside] = _residual(position, values[inside])
    deviation = 1.4826 * np.median(np.abs(residual[inside]))
    cell_mm3, found = roi.grid.voxel_volume * float(np.prod(factors)), []
    for sign, least in ((1, DENSE_HU), (-1, LUCENT_HU)):
        labels, count = ndimage.label(sign * residual > max(least, DEVIATIONS * deviation))
        for label in range(1, count + 1):
            part = labels == label
            volume = float(share[part].sum()) * cell_mm3
            if volume >= LEAST_MM3:
                at = np.average(np.argwhere(part), axis=0, weights=share[part])[::-1]
                center = roi.grid.ras((at + 0.5) * factors - 0.5)
                found.append(Focus(sign > 0, volume, float(np.average(residual[part], weights=share[part])), center))
    return sorted(found, key=lambda focus: -focus.volume_mm3)


def _cells(roi: RegionRoi, image: Image, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean value of the voxels that count in every cell, and their share of it, both [k, j, i] of the cells."""
    values = image.array[roi.slices]
    counted = (roi.weights > WHOLE) & image.holds_data(values)
    factors = factors[::-1]
    pad = [(0, -n % f) for n, f in zip(counted.shape, factors)]
    split = [part for n, f, (_, more) in zip(counted.shape, factors, pad) for part in ((n + more) // f, f)]
    count, total = (
        np.pad(array, pad).reshape(split).sum(axis=(1, 3, 5))
        for array in (counted.astype(np.float64), np.where(counted, values, 0).astype(np.float64))
    )
    return total / np.maximum(count, 1), count / np.prod(factors)


def _residual(position: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values less their smooth course; cells that stand out do not bend it (Tukey's biweight)."""
    z, y, x = position.T
    design = np.stack([np.ones_like(x), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z], axis=1)
    weights, residual = np.ones(len(values)), values
    for _ in range(4):
        root = np.sqrt(weights)
        residual = values - design @ least_squares(design * root[:, None], values * root)
        scale = max(1.4826 * float(np.median(np.abs(residual))), 1.0)
        weights = np.maximum(1 - (residual / (4.685 * scale)) ** 2, 0) ** 2
    return residual


@dataclass(frozen=True)
class Outlier:
    """A level whose 3D-HU (column "hu_3d") or its SD ("hu_3d_sd") differs from the median of the others by ``difference`` HU."""

    level: str
    column: str
    difference: float


def find_outliers(levels: Mapping[str, tuple[float, float]]) -> list[Outlier]:
    """Levels far from the others beyond their spread. levels: mean and SD of HU by level, in any order; three or more are needed."""
    found = []
    for name, (mean, sd) in levels.items() if len(levels) >= FEWEST_LEVELS else ():
        means, sds = np.array([both for other, both in levels.items() if other != name]).T
        middle = float(np.median(means))
        spread = 1.4826 * float(np.median(np.abs(means - middle)))
        if abs(mean - middle) > max(LEVEL_DEVIATIONS * spread, LEVEL_HU, LEVEL_SHARE * abs(middle)):
            found.append(Outlier(name, "hu_3d", mean - middle))
        usual = float(np.median(sds))
        if sd > max(SD_FACTOR * usual, usual + SD_HU) and sd > SD_FACTOR * 0.8 * float(np.max(sds)):
            found.append(Outlier(name, "hu_3d_sd", sd - usual))
    return found
