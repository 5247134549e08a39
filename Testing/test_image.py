"""Arrays on other lattices, outlines and distances: against scipy, VTK and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import vtk
from scipy import ndimage
from scipy.spatial.transform import Rotation
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from BoneQualityLib.image.distance import signed_distance
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.outlines import outlines
from BoneQualityLib.image.resampling import resample


def oblique_grid(random: np.random.Generator, around: Grid, turn: float) -> Grid:
    """A lattice turned by ``turn`` radians about any axis, around the middle of another one and partly beyond it."""
    axis, shape = random.normal(size=3), tuple(int(n) for n in random.integers(8, 40, 3))
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_rotvec(turn * axis / np.linalg.norm(axis)).as_matrix() * random.uniform(0.4, 2.0, 3)
    affine[:3, 3] = around.corners().mean(axis=0) - affine[:3, :3] @ (np.array(shape)[::-1] - 1) / 2
    return Grid(shape, affine)


@pytest.mark.parametrize("seed", range(12))
def test_an_oblique_lattice_is_read_as_scipy_reads_it(seed):
    random = np.random.default_rng(seed)
    source = oblique_grid(random, Grid((1, 1, 1), np.eye(4)), 0.4)
    array, target = random.normal(size=source.shape).astype(np.float32), oblique_grid(random, source, 0.5)
    to_source = source.ras_to_ijk @ target.ijk_to_ras
    wanted = ndimage.affine_transform(
        array, to_source[2::-1, 2::-1], to_source[2::-1, 3], target.shape, np.float32, order=1, mode="constant", cval=-100.0
    )
    read = resample(array, source, target, outside=-100.0)
    assert np.mean(read == -100) < 1
    assert read == pytest.approx(wanted, abs=1e-3)


def test_a_lattice_turned_by_90_degrees_or_mirrored_is_only_permuted():
    array = np.random.default_rng(1).normal(size=(4, 5, 6)).astype(np.float32)
    source = Grid(array.shape, np.diag([0.7, 0.8, 2.0, 1.0]))
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, -0.7], [0.8, 0, 0], [0, 2.0, 0]])
    affine[:3, 3] = [5 * 0.7, 0, 0]
    read = resample(array, source, Grid((6, 4, 5), affine))
    assert np.array_equal(read, array.transpose(2, 0, 1)[::-1])


def test_a_plane_through_the_outermost_voxel_centers_is_inside():
    array = np.ones((5, 5, 5), np.float32)
    turned = np.eye(4)
    turned[:2, :2] = Rotation.from_euler("z", 30, degrees=True).as_matrix()[:2, :2]
    turned[:2, 3] = [2.0, 2.0] - turned[:2, :2] @ [1.0, 1.0]
    turned[2, 3] = 4.0
    assert resample(array, Grid(array.shape, np.eye(4)), Grid((1, 3, 3), turned), outside=-1).min() == 1


def vtk_outlines(field: np.ndarray) -> list[np.ndarray]:
    padded = np.pad(np.clip(field, -100, 100).astype(np.float64), 1, constant_values=-100.0)
    image = vtk.vtkImageData()
    image.SetDimensions(padded.shape[1], padded.shape[0], 1)
    image.GetPointData().SetScalars(numpy_to_vtk(padded.ravel()))
    contour, joined = vtk.vtkFlyingEdges2D(), vtk.vtkStripper()
    contour.SetInputData(image)
    contour.SetValue(0, 0.0)
    joined.SetInputConnection(contour.GetOutputPort())
    joined.SetMaximumLength(padded.size)
    joined.JoinContiguousSegmentsOn()
    joined.Update()
    points = vtk_to_numpy(joined.GetOutput().GetPoints().GetData())[:, :2] - 1.0
    lines = (joined.GetOutput().GetCell(n).GetPointIds() for n in range(joined.GetOutput().GetNumberOfCells()))
    return [points[[ids.GetId(n) for n in range(ids.GetNumberOfIds() - 1)]] for ids in lines]


def in_any_order(curves: list[np.ndarray]) -> list[list]:
    """The curves without where each begins and which way it runs."""
    return sorted(sorted(np.round(curve, 3).tolist()) for curve in curves if len(curve) > 2)


@pytest.mark.parametrize("seed", range(12))
def test_outlines_are_those_of_vtk(seed):
    random = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(random.normal(size=(40, 50)), random.uniform(0.5, 4))
    if seed % 3 == 0:
        field = np.where(field > 0, 1.0, -1.0)
    ours, theirs = outlines(field), vtk_outlines(field)
    assert len(theirs) > 2
    for one, other in zip(in_any_order(ours), in_any_order(theirs), strict=True):
        assert one == pytest.approx(np.array(other), abs=2e-3)


def test_an_outline_runs_around_what_is_inside_and_a_hole_is_one_of_its_own():
    v, u = np.mgrid[0:40, 0:50].astype(float)
    distance = np.hypot(u - 24, v - 20)
    outer, hole = outlines(np.minimum(15 - distance, distance - 5))
    for curve, radius, sign in ((outer, 15, 1), (hole, 5, -1)):
        assert np.hypot(*(curve - [24, 20]).T) == pytest.approx(np.full(len(curve), radius), abs=0.02)
        (u0, v0), (u1, v1) = curve.T, np.roll(curve, -1, axis=0).T
        assert abs((u0 * v1 - u1 * v0).sum() / 2) == pytest.approx(np.pi * radius**2, rel=0.01)


def test_nothing_inside_has_no_outline():
    assert outlines(np.full((5, 6), -1.0)) == []


@pytest.mark.parametrize("axis", range(3))
def test_the_distance_to_a_face_is_that_to_the_middle_between_samples_along_each_axis(axis):
    spacing = np.array([3.0, 0.7, 1.1])
    mask = np.zeros((12, 12, 12), bool)
    mask[(slice(None),) * axis + (slice(4, None),)] = True
    along = np.moveaxis(signed_distance(mask, spacing), axis, 0)[:, 6, 6]
    assert along == pytest.approx((np.arange(12) - 3.5) * spacing[axis], abs=1e-4)


@pytest.mark.parametrize("spacing", [(0.5, 0.7, 0.7), (1.0, 1.0, 1.0)])
def test_the_nearest_sample_across_the_border_is_sought_along_it_alone(spacing):
    """The same distances as from all samples; at the array's edge too."""
    mask = np.random.default_rng(2).random((14, 15, 16)) < 0.3
    mask[3:11, :9, 4:12] = True
    mask[:, :, -3:] = False
    direct = []
    for side in (mask, ~mask):
        there = ndimage.distance_transform_edt(side, spacing, return_distances=False, return_indices=True)
        squares = [np.square((to - at) * step) for to, at, step in zip(there, np.indices(mask.shape), spacing)]
        square = np.maximum(sum(squares), 1e-9)
        direct.append(np.sqrt(square) - sum(0.5 * step * (part / square) ** 3 for part, step in zip(squares, spacing)))
    assert signed_distance(mask, spacing) == pytest.approx(np.where(mask, direct[0], -direct[1]), abs=1e-5)
