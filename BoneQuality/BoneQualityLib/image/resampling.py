"""Arrays read on other lattices and at points."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from .grid import ALIGNED_VOXELS, Grid

#: Points this close to the outermost voxel centers of an oblique array count as on them, voxels.
EDGE_VOXELS = 2.0**-17


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


def nearest(array: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """``array`` on ``source`` at the sample nearest to every voxel center of ``target``; the outermost ones beyond the lattice."""
    to_source = source.ras_to_ijk @ target.ijk_to_ras
    matrix, start = to_source[2::-1, 2::-1], to_source[2::-1, 3]
    along, last = np.abs(matrix).argmax(axis=1), np.array(array.shape) - 1
    oblique = np.abs(matrix)
    oblique[[0, 1, 2], along] = 0
    if (oblique @ target.shape).max() > ALIGNED_VOXELS:
        position = np.indices(target.shape, dtype=np.float32)
        position = [sum(np.float32(part) * axis for part, axis in zip(row, position)) + at for row, at in zip(matrix, start)]
        return array[tuple(np.clip(_rounded(at), 0, end).astype(np.intp) for at, end in zip(position, last))]
    index = [
        np.clip(_rounded(at + matrix[axis, along[axis]] * np.arange(target.shape[along[axis]])), 0, last[axis]).astype(np.intp)
        for axis, at in enumerate(start)
    ]
    return array[np.ix_(*index)].transpose(np.argsort(along))


def _rounded(positions: np.ndarray) -> np.ndarray:
    """The nearest whole number; of two that are equally near the upper one, whatever the last digits are: the center of a voxel that
    was cut into an even number of parts lies midway between two of them."""
    return np.floor(positions + 0.5 + ALIGNED_VOXELS)


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
    """An array read on a lattice that is oblique to it, by ITK on one thread: it takes a third of scipy's time.

    to_source: from indices (i, j, k) of the lattice to those of the array.
    """
    reader = sitk.ResampleImageFilter()
    reader.SetNumberOfThreads(1)
    reader.SetSize([int(n) for n in shape[::-1]])
    reader.SetInterpolator(sitk.sitkLinear)
    reader.SetTransform(sitk.AffineTransform(to_source[:3, :3].ravel().tolist(), to_source[:3, 3].tolist()))
    values = sitk.GetArrayFromImage(reader.Execute(sitk.GetImageFromArray(array)))
    first, last = _within(to_source, shape, array.shape)
    i = np.arange(shape[2], dtype=np.float32)
    np.copyto(values, outside, where=(i < first) | (i > last))
    return values


def _within(to_source: np.ndarray, shape: tuple[int, ...], source_shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """First and last i, shape (k, j, 1), between which a row of a lattice lies within the voxel centers of an array.

    ITK itself reads on to the outer faces of the voxels.
    """
    k, j = np.ogrid[: shape[0], : shape[1]]
    first, last = np.full(shape[:2], -np.inf), np.full(shape[:2], np.inf)
    for (step, of_j, of_k, start), size in zip(to_source[:3], source_shape[::-1]):
        start = start + of_j * j + of_k * k
        low, high = -EDGE_VOXELS - start, size - 1 + EDGE_VOXELS - start
        if abs(step) < 1e-12:
            first[(low > 0) | (high < 0)] = np.inf
            continue
        low, high = (low / step, high / step) if step > 0 else (high / step, low / step)
        np.maximum(first, low, out=first)
        np.minimum(last, high, out=last)
    return first[..., None].astype(np.float32), last[..., None].astype(np.float32)


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
