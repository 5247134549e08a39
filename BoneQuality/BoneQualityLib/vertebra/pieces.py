"""Masks in several pieces, and masks that hold more than one vertebra: only the main piece is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..image.mask import Mask

#: A second piece over this share of the main one is no speck.
PIECE_SHARE = 0.05
#: Bridges thinner than twice this, mm, do not join two vertebrae; a facet joint or a stray voxel is one.
BRIDGE_MM = 2.5
#: Parts of two bodies lie at least this far apart along the spine; a core this small is no part of a body.
LEAST_APART_MM, CORE_SHARE = 12.0, 0.02
#: No vertebral body is as tall as this; nor, in one spine, this much taller than the others' median.
TALLEST_MM, TALLER_THAN_OTHERS = 50.0, 1.5
#: What lies over or under the body, within its outline less this rim, belongs to another vertebra: arch and processes lie behind.
FOOTPRINT_RIM_MM, COLUMN_STEP_MM = 4.0, 2.0
#: Nor do a vertebra's own arch and processes reach so far over or under its body: on phantoms and the shared CTs all of their volume
#: lies within 12 and 15 mm, while the arch of a neighbor begins there.
ARCH_ABOVE_MM, ARCH_BELOW_MM = 18.0, 30.0


@dataclass(frozen=True, eq=False)
class Pieces:
    """main: the largest piece of a mask. other_share: volume of all else that is no speck, as a share of the main piece."""

    main: Mask
    other_share: float


def main_piece(mask: Mask) -> Pieces:
    """The largest piece of a mask, voxels joined by faces, edges or corners; specks are dropped without a word."""
    labels, count = ndimage.label(mask.array, np.ones((3, 3, 3)))
    if count < 2:
        return Pieces(mask, 0.0)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest = int(sizes.argmax())
    others = sizes[sizes > PIECE_SHARE * sizes[largest]].sum() - sizes[largest]
    return Pieces(Mask(mask.name, labels == largest, mask.grid).cropped(), float(others / sizes[largest]))


def split_bodies(body: Mask, superior: np.ndarray) -> Pieces:
    """The main part of a body's mask that is joined to part of another one by a bridge, as mixed labels are.

    The bridge breaks where 2.5 mm are taken off all around; what was taken off goes back to the nearest part. Only parts over and
    under each other count, ``superior`` being the unit vector along the spine: a crushed body may be thin in its middle.
    """
    core = np.pad(body.array, 1)
    for axis, step in enumerate(body.grid.spacing[::-1]):
        core = ndimage.minimum_filter1d(core.view(np.uint8), 2 * int(np.ceil(BRIDGE_MM / step - 0.01)) + 1, axis=axis).view(bool)
    cores, count = ndimage.label(core[1:-1, 1:-1, 1:-1])
    if count < 2:
        return Pieces(body, 0.0)
    sizes = np.bincount(cores.ravel())
    sizes[0] = 0
    largest = int(sizes.argmax())
    centers = body.grid.ras(np.array(ndimage.center_of_mass(cores > 0, cores, range(1, count + 1)))[:, ::-1])
    offset = centers - centers[largest - 1]
    along = np.abs(offset @ superior)
    apart = (along > LEAST_APART_MM) & (along > 0.7 * np.linalg.norm(offset, axis=1)) & (sizes[1:] > CORE_SHARE * sizes[largest])
    if not apart.any():
        return Pieces(body, 0.0)
    nearest = ndimage.distance_transform_edt(cores == 0, body.grid.spacing[::-1], return_distances=False, return_indices=True)
    parts = np.where(body.array, cores[tuple(nearest)], 0)
    other = np.isin(parts, 1 + np.flatnonzero(apart))
    main = Mask(body.name, body.array & ~other, body.grid).cropped()
    return Pieces(main, float(np.count_nonzero(other) * body.grid.voxel_volume / main.volume))


def beyond_the_disc(whole: Mask, body: Mask, superior: np.ndarray) -> float:
    """Volume of a vertebra's mask over or under its body, or far above or below it, as a share of the body: part of a neighbor.

    superior: the body's axis, unit vector in RAS.
    """
    first, second = np.linalg.svd(superior[None])[2][1:]
    center = body.center
    inside = (body.points - center) @ np.stack([first, second, superior], axis=1)
    rest = whole.points[whole_outside(whole, body)]
    if not len(rest):
        return 0.0
    other = (rest - center) @ np.stack([first, second, superior], axis=1)
    step = max(COLUMN_STEP_MM, float(max(body.grid.spacing)))
    corner = inside[:, :2].min(axis=0) - 2 * step
    cells = np.round((inside[:, :2] - corner) / step).astype(int)
    footprint = np.zeros(cells.max(axis=0) + 3, bool)
    footprint[tuple(cells.T)] = True
    footprint = ndimage.distance_transform_edt(ndimage.binary_closing(footprint), sampling=step) > FOOTPRINT_RIM_MM
    at = np.round((other[:, :2] - corner) / step).astype(int)
    known = np.all((at >= 0) & (at < footprint.shape), axis=1)
    (low, high), along = np.percentile(inside[:, 2], [2, 98]), other[:, 2]
    foreign = (along > high + ARCH_ABOVE_MM) | (along < low - ARCH_BELOW_MM)
    foreign[known] |= footprint[tuple(at[known].T)] & ((along[known] > high) | (along[known] < low))
    return float(np.count_nonzero(foreign) * whole.grid.voxel_volume / body.volume)


def whole_outside(whole: Mask, body: Mask) -> np.ndarray:
    """Which of the whole mask's points lie outside the body's mask, bool (n,)."""
    share = body.on(whole.grid)
    return share[whole.array] < 0.5


def tallest(heights: dict[str, float]) -> list[str]:
    """Levels whose mask is too tall for one vertebra: two of them under one name, with the disc between."""
    median = float(np.median(list(heights.values()))) if heights else 0.0
    limit = TALLEST_MM if len(heights) < 3 else min(TALLEST_MM, TALLER_THAN_OTHERS * median)
    return [level for level, height in heights.items() if height > limit]
