"""Voxel lattices: everything between array indices and RAS millimeters.

Arrays are ``[k, j, i]`` as ``slicer.util.arrayFromVolume`` gives them; points are RAS mm, shape ``(..., 3)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

SUPERIOR = np.array([0.0, 0.0, 1.0])
ANTERIOR = np.array([0.0, 1.0, 0.0])
RIGHT = np.array([1.0, 0.0, 0.0])
#: A mask's surface is placed on a lattice at least this fine, mm.
FINEST_NEEDED_MM = 0.75
#: Lattices whose axes deviate by less than this over their whole length count as parallel, voxels.
ALIGNED_VOXELS = 1e-6
_CORNERS = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1).T


@dataclass(frozen=True, eq=False)
class Grid:
    """A voxel lattice: array shape ``(k, j, i)`` and the 4x4 affine from voxel index (i, j, k) to RAS mm."""

    shape: tuple[int, int, int]
    ijk_to_ras: np.ndarray

    @cached_property
    def spacing(self) -> np.ndarray:
        """Distance between voxel centers along i, j and k, mm."""
        return np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)

    @cached_property
    def directions(self) -> np.ndarray:
        """Unit vectors of i, j and k in RAS, as columns."""
        return self.ijk_to_ras[:3, :3] / self.spacing

    @cached_property
    def ras_to_ijk(self) -> np.ndarray:
        return np.linalg.inv(self.ijk_to_ras)

    @property
    def voxel_volume(self) -> float:
        """mm3"""
        return float(np.prod(self.spacing))

    @property
    def slice_axis(self) -> int:
        """Which of i, j, k (0, 1, 2) the slices were stacked along: the one whose spacing stands apart, else k."""
        i, j, k = self.spacing
        pairs = {2: abs(i / j - 1), 1: abs(i / k - 1), 0: abs(j / k - 1)}
        axis = min(pairs, key=pairs.get)
        return axis if pairs[axis] < 0.05 and pairs[2] > 0.05 else 2

    def ras(self, ijk) -> np.ndarray:
        """RAS mm of voxel coordinates (i, j, k), shape ``(..., 3)``."""
        return mapped(self.ijk_to_ras, ijk)

    def ijk(self, ras) -> np.ndarray:
        """Voxel coordinates (i, j, k) of RAS points, shape ``(..., 3)``."""
        return mapped(self.ras_to_ijk, ras)

    def box(self, slices) -> Grid:
        """The part of the lattice that ``slices`` (of k, j, i) cut out; starts may be negative."""
        start = np.array([s.start for s in slices])[::-1]
        affine = self.ijk_to_ras.copy()
        affine[:3, 3] = self.ras(start)
        return Grid(tuple(s.stop - s.start for s in slices), affine)

    def refined(self, factors) -> Grid:
        """The lattice with every voxel cut into ``factors`` (of i, j, k) equal parts."""
        factors = np.asarray(factors)
        affine = self.ijk_to_ras.copy()
        affine[:3, :3] /= factors
        affine[:3, 3] = self.ras((1 / factors - 1) / 2)
        return Grid(tuple(int(n) for n in np.array(self.shape) * factors[::-1]), affine)

    def fine_factors(self) -> np.ndarray:
        """Parts to cut a voxel into along i, j, k, so that none is longer than 0.75 mm."""
        return np.maximum(np.ceil(self.spacing / FINEST_NEEDED_MM - 1e-6), 1).astype(int)

    def corners(self) -> np.ndarray:
        """RAS of the eight corners of the lattice's outer voxel faces, shape (8, 3)."""
        extent = np.array(self.shape)[::-1]
        return self.ras(_CORNERS * extent - 0.5)

    def slices_around(self, points_ras, pad: int = 0):
        """Slices (of k, j, i) of this array that hold the points and ``pad`` voxels more; None where none is inside or given."""
        ijk = self.ijk(points_ras).reshape(-1, 3)
        if not len(ijk):
            return None
        low = np.maximum(np.floor(ijk.min(0)).astype(int) - pad, 0)
        high = np.minimum(np.ceil(ijk.max(0)).astype(int) + pad + 1, np.array(self.shape)[::-1])
        return None if np.any(low >= high) else tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1]))

    def points(self, inside: np.ndarray) -> np.ndarray:
        """RAS of the voxel centers where a boolean array ``[k, j, i]`` is true, shape (n, 3); quick where much of it is."""
        k, j, i = np.ogrid[tuple(slice(n) for n in self.shape)]
        return np.array([(a * i + b * j + c * k + d)[inside] for a, b, c, d in self.ijk_to_ras[:3]]).T

    def centers(self) -> np.ndarray:
        """RAS of every voxel center, shape ``(k, j, i, 3)``."""
        k, j, i = np.indices(self.shape, dtype=float)
        return self.ras(np.stack([i, j, k], axis=-1))


def mapped(affine: np.ndarray, points) -> np.ndarray:
    """Points, shape ``(..., 3)``, through an affine, coordinate by coordinate: BLAS would start threads that cost more."""
    x, y, z = np.asarray(points, float).T
    return np.array([a * x + b * y + c * z + d for a, b, c, d in affine[:3]]).T


def cross(a, b) -> np.ndarray:
    """The cross product of two vectors (3,), in a tenth of the time that numpy's takes for one pair."""
    return np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def least_squares(design: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Coefficients of a few terms to many values, by the normal equations: LAPACK on all of the design would start threads."""
    columns = np.ascontiguousarray(design.T)
    normal = np.einsum("an,bn->ab", columns, columns)
    return np.linalg.lstsq(normal, np.einsum("an,n->a", columns, values), rcond=None)[0]
