"""The largest ellipse in a cross-section: against closed forms, and against a global search of another kind."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.optimize import differential_evolution

from BoneQualityLib.measures.ellipse import Ellipse, grown, largest_ellipse

CENTER = (28.2, 21.3)


def lattice(spacing=0.5, width=56.0, height=42.0):
    """u and v of the samples, mm, shape (rows, columns)."""
    v, u = np.mgrid[0 : height + 1e-9 : spacing, 0 : width + 1e-9 : spacing]
    return u, v


def disk(uv, center, radius):
    return radius - np.hypot(uv[0] - center[0], uv[1] - center[1])


def oval(uv, center, semi_axes, angle=0.0):
    u, v = uv[0] - center[0], uv[1] - center[1]
    along, across = u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle)
    return (1 - np.hypot(along / semi_axes[0], across / semi_axes[1])) * min(semi_axes)


def rectangle(uv, center, width, height):
    return np.minimum(width / 2 - abs(uv[0] - center[0]), height / 2 - abs(uv[1] - center[1]))


def polygon(uv, corners):
    """Of a convex polygon, its corners (u, v) in the order that turns +u into +v."""
    depth = np.inf
    for (u0, v0), (u1, v1) in zip(corners, corners[1:] + corners[:1]):
        depth = np.minimum(depth, ((u1 - u0) * (uv[1] - v0) - (v1 - v0) * (uv[0] - u0)) / np.hypot(u1 - u0, v1 - v0))
    return depth


def vertebral_body(uv, margin=3.0):
    """45 x 33 mm, with the canal's hollow in its posterior wall."""
    u, v = (uv[0] - CENTER[0]) / 22.5, (uv[1] - CENTER[1]) / 16.5
    outline = 16.5 * (1 - (abs(u) ** 2.5 + abs(v) ** 2.5) ** 0.4)
    return np.minimum(outline, -disk(uv, (CENTER[0], CENTER[1] + 24), 11)) - margin


def bilinear(field, u, v):
    """The field between its samples, far below zero beyond the array's edge; u, v in samples."""
    return map_coordinates(np.pad(field, 1, constant_values=-1e6), [np.add(v, 1), np.add(u, 1)], order=1, cval=-1e6)


def boundary(field, spacing, finer):
    """Zero crossings (n, 2), mm, along the lines of a lattice that is so many times finer."""
    v, u = np.mgrid[-1 : field.shape[0] + 1e-9 : 1 / finer, -1 : field.shape[1] + 1e-9 : 1 / finer]
    points = []
    for values, near, far in ((bilinear(field, u, v), np.s_[:, :-1], np.s_[:, 1:]), (bilinear(field, u, v), np.s_[:-1], np.s_[1:])):
        crossed = (values[near] > 0) != (values[far] > 0)
        share = (values[near] / (values[near] - values[far] + ~crossed))[crossed]
        points.append([axis[near][crossed] + share * (axis[far] - axis[near])[crossed] for axis in (u, v)])
    return np.hstack(points).T * spacing


def best_area_found(field, spacing, finer=8):
    """Area, mm2, of the best ellipse of a global search over center, angle and aspect, each grown to the boundary."""
    points = boundary(field, spacing, finer)

    def negative_area(x):
        u, v, angle, stretch = x.reshape(4, -1)
        to_u, to_v = points[:, :1] - u, points[:, 1:] - v
        along, across = to_u * np.cos(angle) + to_v * np.sin(angle), to_v * np.cos(angle) - to_u * np.sin(angle)
        radius_squared = ((along / np.exp(stretch)) ** 2 + (across * np.exp(stretch)) ** 2).min(axis=0)
        return -np.pi * radius_squared * (bilinear(field, u / spacing, v / spacing) > 0)

    limits = [*zip(points.min(axis=0), points.max(axis=0)), (0, np.pi), (0, 1.7)]
    return -differential_evolution(
        negative_area, limits, rng=1, popsize=20, maxiter=90, tol=1e-4, polish=False, vectorized=True, updating="deferred"
    ).fun


def assert_wholly_inside(ellipse, field, spacing):
    cosine, sine = np.cos(ellipse.angle), np.sin(ellipse.angle)
    u, v = lattice(spacing, (field.shape[1] - 1) * spacing, (field.shape[0] - 1) * spacing)
    u, v = u - ellipse.center[0], v - ellipse.center[1]
    along, across = (u * cosine + v * sine) / ellipse.semi_axes[0], (v * cosine - u * sine) / ellipse.semi_axes[1]
    assert field[along**2 + across**2 <= 1].min(initial=1) > 0

    step = min(0.05, ellipse.semi_axes[1] / 10)
    along, across = np.meshgrid(*(np.linspace(-axis, axis, 2 * int(axis / step) + 3) for axis in ellipse.semi_axes))
    turn = np.linspace(0, 2 * np.pi, 5000)
    disc = (along / ellipse.semi_axes[0]) ** 2 + (across / ellipse.semi_axes[1]) ** 2 <= 1
    along = np.append(along[disc], ellipse.semi_axes[0] * np.cos(turn))
    across = np.append(across[disc], ellipse.semi_axes[1] * np.sin(turn))
    u, v = ellipse.center[0] + along * cosine - across * sine, ellipse.center[1] + along * sine + across * cosine
    assert bilinear(field, u / spacing, v / spacing).min() > -1e-4


FINE, COARSE = lattice(), lattice(3.0)
EXCLUSIONS = np.minimum(-oval(FINE, (28, 29), (4, 7)), -disk(FINE, (17, 15), 2))

NOT_CONVEX = {
    "kidney": (np.minimum(oval(FINE, CENTER, (23, 16)), -disk(FINE, (28, 39), 12)), 0.5),
    "notched": (np.minimum(rectangle(FINE, CENTER, 44, 32), -rectangle(FINE, (31, 8), 4, 18)), 0.5),
    "ring": (np.minimum(oval(FINE, CENTER, (23, 17)), -disk(FINE, CENTER, 4)), 0.5),
    "ring with the hole off center": (np.minimum(oval(FINE, CENTER, (23, 17)), -disk(FINE, (34, 17), 4)), 0.5),
    "slanted": (polygon(FINE, [(5, 5), (30, 5), (50, 38), (25, 38)]), 0.5),
    "two components": (np.maximum(oval(FINE, (15, 20), (10, 14), 0.3), oval(FINE, (41, 21), (13, 11), -0.5)), 0.5),
    "thin crescent": (np.minimum(disk(FINE, (28, 24), 19), -disk(FINE, (28, 26), 19)), 0.5),
    "L": (np.maximum(rectangle(FINE, (12, 21), 12, 36), rectangle(FINE, (27, 33), 42, 12)), 0.5),
    "vertebral body": (vertebral_body(FINE), 0.5),
    "vertebral body as a crude mask": (np.where(vertebral_body(FINE) > 0, 1.0, -1.0), 0.5),
    "vertebral body with exclusions": (np.minimum(vertebral_body(FINE), EXCLUSIONS), 0.5),
    "coarse vertebral body": (vertebral_body(COARSE), 3.0),
    "coarse vertebral body with a vein": (np.minimum(vertebral_body(COARSE), -oval(COARSE, (28, 29), (4, 7))), 3.0),
    "three pixels in an angle": (np.pad([[2.0, 1.0], [3.0, -1.0]], 1, constant_values=-1.0), 3.0),
}


@pytest.mark.parametrize("name", NOT_CONVEX)
def test_no_global_search_finds_a_notably_larger_ellipse(name):
    field, spacing = NOT_CONVEX[name]
    ellipse = largest_ellipse(field, spacing)
    assert_wholly_inside(ellipse, field, spacing)
    assert ellipse.area >= 0.98 * best_area_found(field, spacing, finer=8 if spacing < 1 else 20)


@pytest.mark.parametrize("spacing, tolerance", [(0.5, 0.01), (3.0, 0.06)])
@pytest.mark.parametrize("semi_axes, angle", [((15, 15), 0.0), ((20, 9), 0.7), ((18, 12), 2.5), ((14, 9), np.pi / 2)])
def test_an_ellipse_is_its_own_largest_ellipse(semi_axes, angle, spacing, tolerance):
    field = oval(lattice(spacing), CENTER, semi_axes, angle)
    ellipse = largest_ellipse(field, spacing)
    assert_wholly_inside(ellipse, field, spacing)
    assert ellipse.area == pytest.approx(np.pi * semi_axes[0] * semi_axes[1], rel=tolerance)
    if spacing < 1:
        assert ellipse.center == pytest.approx(CENTER, abs=0.15)
        assert ellipse.semi_axes == pytest.approx(semi_axes, rel=0.02)
        turn = (ellipse.angle - angle + np.pi / 2) % np.pi - np.pi / 2
        assert semi_axes[0] == semi_axes[1] or abs(turn) < 0.03


@pytest.mark.parametrize("width, height", [(40, 22), (18, 38), (50, 4), (30, 30)])
def test_the_largest_ellipse_of_a_rectangle_touches_its_four_sides(width, height):
    field = rectangle(FINE, CENTER, width, height)
    ellipse = largest_ellipse(field, 0.5)
    assert_wholly_inside(ellipse, field, 0.5)
    assert ellipse.area == pytest.approx(np.pi / 4 * width * height, rel=0.01)


@pytest.mark.parametrize("corners", [[(5, 5), (50, 9), (20, 40)], [(3, 3), (52, 3), (28, 12)]])
def test_the_largest_ellipse_of_a_triangle_is_the_steiner_inellipse(corners):
    (u0, v0), (u1, v1), (u2, v2) = corners
    triangle = abs((u1 - u0) * (v2 - v0) - (v1 - v0) * (u2 - u0)) / 2
    field = polygon(FINE, corners)
    ellipse = largest_ellipse(field, 0.5)
    assert_wholly_inside(ellipse, field, 0.5)
    assert ellipse.area == pytest.approx(np.pi / (3 * np.sqrt(3)) * triangle, rel=0.01)
    assert ellipse.center == pytest.approx(np.mean(corners, axis=0), abs=1.0)


@pytest.mark.parametrize("columns", [1, 65])
def test_a_region_one_pixel_wide_holds_an_ellipse(columns):
    field = np.pad(np.ones((1, columns)), 4, constant_values=-1.0)
    ellipse = largest_ellipse(field, 0.5)
    assert_wholly_inside(ellipse, field, 0.5)
    # (1 - |u|) (1 - |v|) > 1/2 about a pixel: its inscribed circle; along a row: half a pixel to either side.
    area = np.pi * (np.sqrt(2) - 1) ** 2 * 0.5**2 if columns == 1 else np.pi / 4 * 0.5 * (columns - 1) * 0.5
    assert area * 0.97 < ellipse.area < area * (1.001 if columns == 1 else 1.02)


def test_beyond_the_edge_of_the_array_everything_is_outside():
    ellipse = largest_ellipse(np.ones((21, 41)), 0.5)
    assert_wholly_inside(ellipse, np.ones((21, 41)), 0.5)
    assert ellipse.area == pytest.approx(np.pi / 4 * 20 * 10, rel=0.01)
    corner = np.full((6, 6), -1.0)
    corner[0, 0] = 1.0
    ellipse = largest_ellipse(corner, 1.0)
    assert_wholly_inside(ellipse, corner, 1.0)
    assert ellipse.area > 0.99 * np.pi * (3 - 2 * np.sqrt(2)) ** 2  # the circle that touches edges and boundary


def test_samples_that_are_not_numbers_are_outside():
    field = vertebral_body(FINE)
    unknown = np.where(field > 0, field, np.nan)
    excluded = np.where(field > 0, field, -np.inf)
    assert largest_ellipse(unknown, 0.5) == largest_ellipse(excluded, 0.5)
    assert_wholly_inside(largest_ellipse(excluded, 0.5), field, 0.5)


@pytest.mark.parametrize("field", [np.zeros((5, 6)), -np.ones((5, 6)), np.zeros((0, 4)), np.zeros((3, 3), bool)])
def test_no_positive_sample_no_ellipse(field):
    assert largest_ellipse(field, 0.5) is None
    assert largest_ellipse(field, 0.5, warm_start=Ellipse((1.0, 1.0), (1.0, 1.0), 0.0)) is None
    assert grown(Ellipse((1.0, 1.0), (1.0, 1.0), 0.0), field, 0.5) is None


def test_lengths_scale_with_the_spacing():
    field = vertebral_body(FINE)
    one, four = largest_ellipse(field, 0.5), largest_ellipse(field, 2.0)
    assert four.area == pytest.approx(16 * one.area)
    assert four.center == pytest.approx(np.multiply(4, one.center))


def test_the_same_input_gives_the_same_ellipse_in_any_process_and_number_of_threads(tmp_path):
    field, spacing = NOT_CONVEX["vertebral body with exclusions"]
    np.save(tmp_path / "field.npy", field)
    here = repr(largest_ellipse(field, spacing))
    assert repr(largest_ellipse(np.asfortranarray(field), spacing)) == here
    script = (
        f"import numpy; from BoneQualityLib.measures.ellipse import largest_ellipse; "
        f"print(repr(largest_ellipse(numpy.load({str(tmp_path / 'field.npy')!r}), {spacing})))"
    )
    for threads in ("1", "2"):
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path), OPENBLAS_NUM_THREADS=threads)
        there = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
        assert there.stdout.strip() == here, there.stderr


@pytest.mark.parametrize(
    "warm_start",
    [
        Ellipse((26.0, 18.0), (17.0, 11.0), 0.1),
        Ellipse((40.0, 20.0), (0.5, 0.1), 1),
        Ellipse((-9.0, 80.0), (5, 2), 1.0),
    ],
)
def test_a_warm_start_good_or_bad_leaves_a_largest_ellipse(warm_start):
    field = vertebral_body(FINE)
    ellipse = largest_ellipse(field, 0.5, warm_start)
    assert_wholly_inside(ellipse, field, 0.5)
    assert ellipse.area == pytest.approx(largest_ellipse(field, 0.5).area, rel=0.01)


@pytest.mark.parametrize("size", [0.2, 1.0, 3.0])
def test_a_grown_ellipse_keeps_center_shape_and_angle_and_touches_the_boundary(size):
    field = oval(FINE, CENTER, (20, 10), 0.7)
    ellipse = grown(Ellipse(CENTER, (10 * size, 5 * size), 0.7), field, 0.5)
    assert_wholly_inside(ellipse, field, 0.5)
    assert ellipse.center == pytest.approx(CENTER)
    assert ellipse.angle == pytest.approx(0.7)
    assert ellipse.semi_axes == pytest.approx((20, 10), rel=0.005)


def test_a_grown_ellipse_is_a_lower_bound_on_the_next_slice():
    next_slice = np.roll(vertebral_body(FINE), 2, axis=0) - 0.3
    ellipse = grown(largest_ellipse(vertebral_body(FINE), 0.5), next_slice, 0.5)
    assert_wholly_inside(ellipse, next_slice, 0.5)
    assert 0.5 < ellipse.area / largest_ellipse(next_slice, 0.5).area <= 1


def test_an_ellipse_whose_center_is_outside_does_not_grow():
    ring, _ = NOT_CONVEX["ring"]
    assert grown(Ellipse(CENTER, (2.0, 1.0), 0.0), ring, 0.5) is None
    assert grown(Ellipse((-5.0, 3.0), (2.0, 1.0), 0.0), ring, 0.5) is None


def test_the_angle_lies_in_a_half_turn_and_the_major_axis_comes_first():
    for angle in np.linspace(-np.pi, np.pi, 9):
        ellipse = grown(Ellipse(CENTER, (2.0, 1.0), angle), vertebral_body(FINE), 0.5)
        assert 0 <= ellipse.angle < np.pi
        assert ellipse.semi_axes[0] > ellipse.semi_axes[1]
        assert abs(np.sin(ellipse.angle - angle)) < 1e-9


def test_the_area_is_that_of_its_axes():
    assert Ellipse((0.0, 0.0), (3.0, 2.0), 0.4).area == pytest.approx(6 * np.pi)
