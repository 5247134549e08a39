"""Arrays read on other lattices and at points."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .grid import ALIGNED_VOXELS, Grid


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
