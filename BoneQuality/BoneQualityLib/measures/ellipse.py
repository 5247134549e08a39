"""The largest ellipse that fits in a cross-section: where a slice's HU is read.

A cross-section is a 2-D field ``[row v, column u]``, positive inside; sample (row, column) lies at
(u, v) = (column * spacing, row * spacing) mm. Its boundary is where the field, interpolated bilinearly, crosses zero;
beyond the array's edge everything is outside.

For a center c and a matrix T of determinant 1, the largest ellipse c + r T (unit disk) with no boundary point x inside
has r = min |T^-1 (x - c)|. That leaves four parameters to search: two of the center, two of the shape. Each step of the
search is taken in the frame in which the present ellipse is the unit disk, so that one pattern of steps suits disks and
slivers alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage

#: Share of the exact fit that is kept, because an ellipse bulges by a hair between two boundary points.
FIT = 0.9995
#: The search looks for the boundary on this many lines per radius of the largest inscribed circle (at least on one per
#: sample), while that gives no more than about so many points; the final fit on eight times as many lines.
SEARCH_LINES, SEARCH_POINTS, FINAL_LINES = 16, 1500, 8
#: Every so many-th of them tells most ellipses that cannot grow.
FEW_OF = 8
#: Ellipses the search starts from, and the reach of log(major / minor axis) / 2 among them.
STARTS, START_STRETCH = 480, 0.6
#: Rounds of the search: ellipses kept into each, trials in each, first and last step as a share of the ellipse.
KEPT, TRIALS, STEPS = (64,) * 4 + (32,) * 4 + (16,) * 6 + (8,) * 6 + (4,) * 6 + (2,) * 4, 320, (0.5, 0.02)


@dataclass(frozen=True)
class Ellipse:
    """An ellipse in plane coordinates, mm: u along the columns of the field, v along its rows.

    ``center`` is (u, v), ``semi_axes`` (major, minor), ``angle`` in radians from +u to the major axis, in [0, pi).
    """

    center: tuple[float, float]
    semi_axes: tuple[float, float]
    angle: float

    @property
    def area(self) -> float:
        """mm2"""
        return float(np.pi * self.semi_axes[0] * self.semi_axes[1])


def largest_ellipse(field, spacing_mm: float, warm_start: Ellipse | None = None) -> Ellipse | None:
    """The largest ellipse, of any center and angle, inside the cross-section; None where no sample is positive.

    ``field`` has shape (rows, columns). ``warm_start``, such as the ellipse of a neighboring slice, is one more place
    from which the search starts. The search uses no random numbers: the same input gives the same ellipse.
    """
    field = _padded(field)
    if not (field > 0).any():
        return None
    lines = _search_lines(field)
    centers, shapes = _starts(field)
    if warm_start is not None:
        center, shape = _in_samples(warm_start, spacing_mm)
        inside = _is_inside(field, center)
        centers, shapes = np.vstack([centers, center[inside]]), np.vstack([shapes, shape[inside]])
    centers, shapes = _refined(centers, shapes, field, _Boundary(field, lines))
    radii = _Boundary(field, FINAL_LINES * lines).radii(centers, shapes)
    best = np.argmax(radii)
    return _in_mm(centers[best], FIT * radii[best] * shapes[best], spacing_mm)


def grown(ellipse: Ellipse, field, spacing_mm: float) -> Ellipse | None:
    """The ellipse scaled about its center until it touches the boundary; None where its center is outside.

    A lower bound of `largest_ellipse` at a fraction of its cost.
    """
    field = _padded(field)
    center, shape = _in_samples(ellipse, spacing_mm)
    if not _is_inside(field, center)[0]:
        return None
    radius = _Boundary(field, FINAL_LINES * _search_lines(field)).radii(center, shape)[0]
    return _in_mm(center[0], FIT * radius * shape[0], spacing_mm)


def _padded(field) -> np.ndarray:
    """The field in a frame one sample wide, so far below zero that the array's edge becomes a boundary."""
    field = np.nan_to_num(np.asarray(field, dtype=float), nan=-1e9, posinf=1e9, neginf=-1e9)
    return np.pad(field, 1, constant_values=-1e6 * np.abs(field).max(initial=1e-9))


def _is_inside(padded, centers) -> np.ndarray:
    """Whether the field, interpolated bilinearly, is positive at (u, v) in samples; the frame around it is not."""
    at = np.clip(centers[:, ::-1] + 1, 0, np.array(padded.shape) - 1)
    before = np.minimum(at.astype(np.intp), np.array(padded.shape) - 2)
    (row, column), (down, across) = before.T, (at - before).T
    near = padded[row, column] + across * (padded[row, column + 1] - padded[row, column])
    far = padded[row + 1, column] + across * (padded[row + 1, column + 1] - padded[row + 1, column])
    return near + down * (far - near) > 0


def _search_lines(padded) -> int:
    """Lines per sample, so many that the boundary is dense against the width of the cross-section."""
    inside = padded > 0
    radius = ndimage.distance_transform_edt(inside).max()
    outline = np.count_nonzero(np.diff(inside, axis=0)) + np.count_nonzero(np.diff(inside, axis=1))
    return int(max(1, min(SEARCH_LINES / radius, SEARCH_POINTS / outline)))


def _crossings(padded, lines: int) -> np.ndarray:
    """Boundary points (n, 2), (u, v) in samples: where the boundary crosses ``lines`` lines per sample along u and v.

    Bilinear interpolation is linear along such a line, so the points are exact.
    """
    points = []
    for values, uv in ((padded, [0, 1]), (padded.T, [1, 0])):
        corners = values[:-1, :-1], values[:-1, 1:], values[1:, :-1], values[1:, 1:]
        inside = [corner > 0 for corner in corners]
        row, column = np.nonzero(np.logical_or.reduce(inside) & ~np.logical_and.reduce(inside))
        near_left, near_right, far_left, far_right = (corner[row, column, None] for corner in corners)
        across = np.arange(lines) / lines
        near, far = near_left + (near_right - near_left) * across, far_left + (far_right - far_left) * across
        cell, line = crossed = np.nonzero((near > 0) != (far > 0))
        along = near[crossed] / (near[crossed] - far[crossed])
        points.append(np.column_stack([column[cell] + across[line], row[cell] + along])[:, uv])
    return np.vstack(points) - 1.0


class _Boundary:
    """The boundary as points, made ready for the fit of many ellipses."""

    def __init__(self, padded, lines: int):
        points = _crossings(padded, lines)
        self.low, self.high, self.origin = points.min(axis=0), points.max(axis=0), points.mean(axis=0)
        u, v = (points - self.origin).T
        self.terms = np.stack([u * u, u * v, v * v, u, v])
        self.few_terms = np.ascontiguousarray(self.terms[:, ::FEW_OF])

    def radii(self, centers, shapes, needed=None) -> np.ndarray:
        """r (n,) of the largest ellipses with centers c (n, 2) and shapes T (n, 2, 2): min |T^-1 (x - c)|.

        No ellipse leaves the bounding box of the boundary: one that slips out between two points stays a sliver.
        needed: (n,); where a few points show that r stays below it, an upper bound of r below it is returned in r's place.
        """
        (u, v), (a, b, c, d) = (centers - self.origin).T, shapes.reshape(-1, 4).T
        uu, uv, vv = c * c + d * d, -(a * c + b * d), a * a + b * b
        linear_u, linear_v = uu * u + uv * v, uv * u + vv * v
        form = np.stack([uu, 2 * uv, vv, -2 * linear_u, -2 * linear_v], axis=-1)
        if needed is None:
            squared = _least(form, self.terms)
        else:
            squared = _least(form, self.few_terms)
            open_ = squared + linear_u * u + linear_v * v > needed**2
            squared[open_] = _least(form[open_], self.terms)
        squared = squared + linear_u * u + linear_v * v
        room = np.minimum(centers - self.low, self.high - centers).T / np.sqrt([vv, uu])
        return np.minimum(np.sqrt(np.maximum(squared, 0)), np.maximum(room.min(axis=0), 0))


def _least(form, terms) -> np.ndarray:
    """The least of form (n, 5) @ terms (5, points) by row."""
    # Row by row: for the whole product at once BLAS would start threads, which cost more than the product.
    return (form[:, None] @ terms).min(axis=(1, 2))


def _starts(padded) -> tuple[np.ndarray, np.ndarray]:
    """Centers (n, 2) and shapes (n, 2, 2), spread over the cross-section, aspect ratios and angles."""
    spread = _evenly_spread(STARTS)
    inside = np.argwhere(padded > 0)[:, ::-1] - 1.0
    samples = inside[np.linspace(0, len(inside) - 1, STARTS).round().astype(int)]
    beside = samples + spread[:, :2] - 0.5
    centers = np.where(_is_inside(padded, beside)[:, None], beside, samples)
    return centers, _stretches(START_STRETCH * (2 * spread[:, 2:4] - 1))


def _refined(centers, shapes, padded, boundary: _Boundary) -> tuple[np.ndarray, np.ndarray]:
    """The best centers and shapes after a search by ever smaller steps, the weaker ones dropped on the way.

    A center may not step outside, where the boundary would not bound the ellipse.
    """
    radii = boundary.radii(centers, shapes)
    for kept, shifts, stretches in _rounds():
        order = np.argsort(-radii, kind="stable")[:kept]
        centers, shapes, radii = centers[order], shapes[order], radii[order]
        moved = centers[:, None] + radii[:, None, None] * (shifts @ shapes.swapaxes(1, 2))
        formed = shapes[:, None] @ stretches
        needed = np.repeat(radii, len(shifts))
        trials = boundary.radii(moved.reshape(-1, 2), formed.reshape(-1, 2, 2), needed).reshape(len(order), -1)
        pick = np.arange(len(order)), trials.argmax(axis=1)
        best, reached = moved[pick], trials[pick]
        better = (reached > radii) & _is_inside(padded, best)
        centers[better], shapes[better], radii[better] = best[better], formed[pick][better], reached[better]
    return centers, shapes


@cache
def _rounds() -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Of each round: the number of ellipses kept, and the shifts (n, 2) and stretches (n, 2, 2) tried on each of them.

    Directions fill a cube; lengths, drawn along with them, crowd toward zero.
    """
    counts = [TRIALS // kept for kept in KEPT]
    spread = _evenly_spread(sum(counts))
    steps = np.split((2 * spread[:, :4] - 1) * spread[:, 4:] ** 1.5, np.cumsum(counts)[:-1])
    sizes = np.geomspace(*STEPS, len(KEPT))
    return [(kept, size * step[:, :2], _stretches(size * step[:, 2:])) for kept, size, step in zip(KEPT, sizes, steps)]


def _evenly_spread(n: int) -> np.ndarray:
    """Points (n, 5) in the unit cube: Roberts 2018, "The unreasonable effectiveness of quasirandom sequences"."""
    root_of_x6_is_x_plus_1 = 1.1347241384015194
    return np.arange(1, n + 1)[:, None] / root_of_x6_is_x_plus_1 ** np.arange(1, 6) % 1


def _stretches(logarithms) -> np.ndarray:
    """exp [[p, q], [q, -p]] (n, 2, 2) of (p, q) (n, 2): the symmetric positive matrices of determinant 1."""
    p, q = logarithms.T
    size = np.hypot(p, q)
    even, odd = np.cosh(size), np.sinh(size) / np.maximum(size, 1e-300)
    return np.stack([even + odd * p, odd * q, odd * q, even - odd * p], axis=-1).reshape(-1, 2, 2)


def _in_samples(ellipse: Ellipse, spacing_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Center (1, 2) in samples and shape (1, 2, 2) of determinant 1."""
    cosine, sine, stretch = np.cos(ellipse.angle), np.sin(ellipse.angle), np.sqrt(np.divide(*ellipse.semi_axes))
    shape = np.array([[cosine * stretch, -sine / stretch], [sine * stretch, cosine / stretch]])
    return np.array([ellipse.center]) / spacing_mm, shape[None]


def _in_mm(center, matrix, spacing_mm: float) -> Ellipse:
    """The ellipse center + matrix (unit disk), both in samples."""
    axes, semi_axes, _ = np.linalg.svd(matrix * spacing_mm)
    angle = np.arctan2(axes[1, 0], axes[0, 0]) % np.pi % np.pi  # twice: -1e-17 % pi is pi itself
    return Ellipse(tuple((center * spacing_mm).tolist()), tuple(semi_axes.tolist()), float(angle))
