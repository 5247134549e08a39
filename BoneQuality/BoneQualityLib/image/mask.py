"""A structure's voxels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from .grid import Grid
from .resampling import resample

#: Lattices are the same but for rounding where their steps differ by less than this, mm, and their places by less than this share of
#: a voxel: DICOM writes numbers with 16 characters, and some programs with 6 decimals.
SAME_STEP_MM, SAME_PLACE = 1e-5, 1e-3


@dataclass(frozen=True, eq=False)
class Mask:
    """A structure's voxels: boolean array cut to their bounding box, and the lattice of that box."""

    name: str
    array: np.ndarray
    grid: Grid

    @cached_property
    def points(self) -> np.ndarray:
        """RAS of the voxel centers inside, shape (n, 3)."""
        return self.grid.ras(np.argwhere(self.array)[:, ::-1])

    @cached_property
    def center(self) -> np.ndarray:
        """RAS of the centroid."""
        return self.points.mean(axis=0)

    @cached_property
    def row_ends(self) -> np.ndarray:
        """RAS of the first and the last voxel of every row, shape (n, 3): all that extremes and hulls of the mask need."""
        k, j = np.nonzero(self.array.any(axis=2))
        rows = self.array[k, j] > 0
        first, last = rows.argmax(axis=1), rows.shape[1] - 1 - rows[:, ::-1].argmax(axis=1)
        return self.grid.ras(np.concatenate([np.stack([i, j, k], axis=1) for i in (first, last)]))

    @property
    def volume(self) -> float:
        """mm3"""
        return float(np.count_nonzero(self.array)) * self.grid.voxel_volume

    def on(self, grid: Grid) -> np.ndarray:
        """Share of the mask at the voxel centers of another lattice: trilinear, 0 to 1."""
        padded = self.padded(1)
        return resample(padded.array, padded.grid, grid)

    def settled_on(self, grid: Grid) -> Mask:
        """The mask on exactly the voxels of a lattice on which it lies but for rounding; else as it is."""
        steps = self.grid.ijk_to_ras[:3, :3] - grid.ijk_to_ras[:3, :3]
        start = grid.ijk(self.grid.ijk_to_ras[:3, 3])
        off = np.abs(start - np.round(start)).max()
        if np.abs(steps).max() > SAME_STEP_MM or off > SAME_PLACE or not (off or np.any(steps)):
            return self
        affine = grid.ijk_to_ras.copy()
        affine[:3, 3] = grid.ras(np.round(start))
        return Mask(self.name, self.array, Grid(self.grid.shape, affine))

    def cropped(self) -> Mask:
        """The same mask cut to its bounding box."""
        boxes = ndimage.find_objects(self.array.view(np.uint8))
        return Mask(self.name, self.array[boxes[0]], self.grid.box(boxes[0])) if boxes else self

    def padded(self, voxels: int) -> Mask:
        """The same mask with a rim of empty voxels."""
        slices = tuple(slice(-voxels, n + voxels) for n in self.array.shape)
        return Mask(self.name, np.pad(self.array, voxels), self.grid.box(slices))
