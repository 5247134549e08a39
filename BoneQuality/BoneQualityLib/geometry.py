"""Voxel lattices, planes and sampling: everything between array indices and RAS millimeters.

Arrays are ``[k, j, i]`` as ``slicer.util.arrayFromVolume`` gives them; points are RAS mm, shape ``(..., 3)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from .dicom import ImageTags

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
        """Slices (of k, j, i) of this array that hold the points and ``pad`` voxels more; None where none is inside."""
        ijk = self.ijk(points_ras).reshape(-1, 3)
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


def resample(array: np.ndarray, source: Grid, target: Grid, outside: float = 0.0) -> np.ndarray:
    """``array`` on ``source`` read at the voxel centers of ``target``, trilinear, float32; ``outside`` beyond the lattice."""
    part = source.slices_around(target.corners(), pad=1)
    if part is None:
        return np.full(target.shape, outside, np.float32)
    array, to_source = np.asarray(array[part], np.float32), source.box(part).ras_to_ijk @ target.ijk_to_ras
    matrix, start = to_source[2::-1, 2::-1], to_source[2::-1, 3]
    along = np.abs(matrix).argmax(axis=1)
    steps = matrix[[0, 1, 2], along]
    oblique = np.abs(matrix)
    oblique[[0, 1, 2], along] = 0
    if (oblique @ target.shape).max() > ALIGNED_VOXELS:
        return _resampled(array, to_source, target.shape, outside)
    values = array.transpose(np.argsort(along))
    for axis, first, step in zip(along, start, steps):
        values = _interpolated(values, axis, first + step * np.arange(target.shape[axis]), outside)
    return values.astype(np.float32, copy=False)


def _interpolated(values: np.ndarray, axis: int, positions: np.ndarray, outside: float) -> np.ndarray:
    """An array read at fractional positions along one axis; in float64 between samples, so that one half stays one half."""
    last = values.shape[axis] - 1
    before = np.clip(np.floor(positions + ALIGNED_VOXELS), 0, last).astype(int)
    share = np.expand_dims(positions - before, [a for a in range(3) if a != axis])
    near = values.take(before, axis)
    if np.abs(share).max() > ALIGNED_VOXELS:
        near = near + share * (values.take(np.minimum(before + 1, last), axis) - near)
    beyond = (positions < -ALIGNED_VOXELS) | (positions > last + ALIGNED_VOXELS)
    near[(slice(None),) * axis + (beyond,)] = outside
    return near


def _resampled(array: np.ndarray, to_source: np.ndarray, shape: tuple[int, ...], outside: float) -> np.ndarray:
    """An array read on a lattice that is oblique to it, by VTK: it takes half of scipy's time."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

    array = np.ascontiguousarray(array)
    image = vtk.vtkImageData()
    image.SetDimensions(*array.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(array.ravel()))
    matrix, transform, reslice = vtk.vtkMatrix4x4(), vtk.vtkMatrixToLinearTransform(), vtk.vtkImageReslice()
    matrix.DeepCopy(to_source.ravel().tolist())
    transform.SetInput(matrix)
    reslice.SetInputData(image)
    reslice.SetResliceTransform(transform)
    reslice.SetInterpolationModeToLinear()
    reslice.SetBackgroundLevel(outside)
    reslice.BorderOff()
    reslice.SetOutputSpacing(1, 1, 1)
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputExtent(0, shape[2] - 1, 0, shape[1] - 1, 0, shape[0] - 1)
    reslice.SetNumberOfThreads(1)
    reslice.Update()
    return vtk_to_numpy(reslice.GetOutput().GetPointData().GetScalars()).reshape(shape)


def least_squares(design: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Coefficients of a few terms to many values, by the normal equations: LAPACK on all of the design would start threads."""
    columns = np.ascontiguousarray(design.T)
    normal = np.einsum("an,bn->ab", columns, columns)
    return np.linalg.lstsq(normal, np.einsum("an,n->a", columns, values), rcond=None)[0]


def sample(array: np.ndarray, grid: Grid, points_ras: np.ndarray, order: int = 1, outside: float = np.nan) -> np.ndarray:
    """Values at RAS points (shape ``(..., 3)``): nearest voxel (order 0) or trilinear (order 1); ``outside`` beyond.

    Points on the outermost voxel centers are inside, though rounding may put them a hair beyond.
    """
    kji = np.moveaxis(grid.ijk(points_ras)[..., ::-1], -1, 0)
    for axis, last in enumerate(np.array(array.shape) - 1.0):
        coordinates = kji[axis, ...]
        coordinates[(coordinates < 0) & (coordinates > -ALIGNED_VOXELS)] = 0
        coordinates[(coordinates > last) & (coordinates < last + ALIGNED_VOXELS)] = last
    return ndimage.map_coordinates(array, kji, order=order, cval=outside, output=np.float64, prefilter=False)


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
    inside, nearest = (
        ndimage.distance_transform_edt(side, spacing_kji, return_distances=False, return_indices=True) for side in (mask, ~mask)
    )
    np.copyto(nearest, inside, where=mask)
    return nearest


def outlines(field: np.ndarray) -> list[np.ndarray]:
    """Closed curves where a 2-D field [row, column] crosses zero: each (n, 2) as (column, row), in samples."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

    padded = np.pad(np.clip(field, -100, 100).astype(np.float64), 1, constant_values=-100.0)
    image = vtk.vtkImageData()
    image.SetDimensions(padded.shape[1], padded.shape[0], 1)
    image.GetPointData().SetScalars(numpy_to_vtk(padded.ravel()))
    contour = vtk.vtkFlyingEdges2D()
    contour.SetInputData(image)
    contour.SetValue(0, 0.0)
    joined = vtk.vtkStripper()
    joined.SetInputConnection(contour.GetOutputPort())
    joined.SetMaximumLength(padded.size)
    joined.JoinContiguousSegmentsOn()
    joined.Update()
    lines = joined.GetOutput()
    if not lines.GetNumberOfPoints():
        return []
    points = vtk_to_numpy(lines.GetPoints().GetData())[:, :2].astype(np.float64) - 1
    ids = vtk.vtkIdList()
    found = []
    for cell in range(lines.GetNumberOfCells()):
        lines.GetCellPoints(cell, ids)
        curve = points[[ids.GetId(n) for n in range(ids.GetNumberOfIds())]]
        found.append(curve[:-1] if np.allclose(curve[0], curve[-1]) else curve)
    return [curve for curve in found if len(curve) > 2]


@dataclass(frozen=True, eq=False)
class Image:
    """A volume as it was read: its own array (never a copy), its lattice, and what is known of its acquisition."""

    name: str
    array: np.ndarray
    grid: Grid
    tags: ImageTags = ImageTags()

    @cached_property
    def thinned(self) -> np.ndarray:
        """Every third voxel along each axis, for checks and histograms."""
        return np.ascontiguousarray(self.array[::3, ::3, ::3])

    @property
    def slice_thickness(self) -> float:
        """The larger of the tag and the distance of the slices, mm."""
        return max(self.tags.slice_thickness_mm or 0.0, float(self.grid.spacing[self.grid.slice_axis]))


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

    def cropped(self) -> Mask:
        """The same mask cut to its bounding box."""
        boxes = ndimage.find_objects(self.array.view(np.uint8))
        return Mask(self.name, self.array[boxes[0]], self.grid.box(boxes[0])) if boxes else self

    def padded(self, voxels: int) -> Mask:
        """The same mask with a rim of empty voxels."""
        slices = tuple(slice(-voxels, n + voxels) for n in self.array.shape)
        return Mask(self.name, np.pad(self.array, voxels), self.grid.box(slices))
