"""Signed distance to the border of a mask."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def signed_distance(mask: np.ndarray, spacing_kji) -> np.ndarray:
    """Distance to the border of a boolean array of any dimension, mm, positive inside, float32.

    The border runs midway between inside and outside samples. A Euclidean distance transform measures to the next
    sample beyond it, which lies half a step away where the border follows the lattice and less where it is oblique;
    the sixth powers of the direction's components describe that to 0.05 mm on lattices of 0.75 mm.
    """
    if mask.all() or not mask.any():
        return np.full(mask.shape, np.inf if mask.any() else -np.inf, np.float32)
    lattice = np.ogrid[tuple(slice(n) for n in mask.shape)]
    nearest = _nearest_across(mask, spacing_kji)
    squares = [np.square((there - here) * float(step)) for there, here, step in zip(nearest, lattice, spacing_kji)]
    square = sum(squares)
    distance = np.sqrt(square)
    for part, step in zip(squares, spacing_kji):
        part /= square
        distance -= 0.5 * step * part * part * part
    return np.where(mask, distance, -distance).astype(np.float32)


def _nearest_across(mask: np.ndarray, spacing_kji) -> np.ndarray:
    """Indices, one array an axis, of the sample beyond the border that is nearest to each sample."""
    border = np.zeros(mask.shape, bool)
    for axis in range(mask.ndim):  # the nearest sample beyond the border always touches it by a face
        before, after = ((slice(None),) * axis + (part,) for part in (slice(None, -1), slice(1, None)))
        crossed = mask[before] != mask[after]
        border[before] |= crossed
        border[after] |= crossed
    nearest = _nearest(border & mask, spacing_kji)
    # what is nearest to a sample inside lies at most one sample outside the mask's bounding box
    box = tuple(slice(max(part.start - 1, 0), part.stop + 1) for part in ndimage.find_objects(mask.view(np.uint8))[0])
    inside, start = _nearest((border & ~mask)[box], spacing_kji), np.array([part.start for part in box])
    np.copyto(nearest[(slice(None), *box)], inside + start.reshape(-1, *[1] * mask.ndim).astype(inside.dtype), where=mask[box])
    return nearest


def _nearest(these: np.ndarray, spacing_kji) -> np.ndarray:
    """Indices, one array an axis, of the one of ``these`` that is nearest to each sample."""
    return ndimage.distance_transform_edt(~these, spacing_kji, return_distances=False, return_indices=True)
