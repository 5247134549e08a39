"""The solids of the analytic spine in phantom_spine.py: vertebra, arch, disc, canal.

Each is given by its depth: mm below its surface, positive inside. Points are RAS mm; "local" is a vertebra's own frame: right,
anterior, superior of its center, mm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..image.grid import ANTERIOR, RIGHT, SUPERIOR, Grid


class Tissue(NamedTuple):
    """What a tissue looks like: ``hu`` in CT, ``t1`` in T1 MRI (arbitrary signal)."""

    hu: float
    t1: float


AIR = Tissue(-1000, 0)
FAT = Tissue(-90, 800)
SOFT_TISSUE = Tissue(40, 200)
EPIDURAL = Tissue(20, 320)
CORD = Tissue(35, 260)
ROOT = Tissue(35, 260)
DISC = Tissue(80, 210)
POSTERIOR_CORTEX = Tissue(400, 40)
POSTERIOR_MARROW_HU = 240.0
CSF_HU = 10.0
CORTEX_T1 = 40.0
POSTERIOR_CORTEX_MM = 1.2
SUBCUTANEOUS_FAT_MM = 10.0


class Cloud:
    """Points anywhere, shape ``(..., 3)``."""

    def __init__(self, points_ras):
        self.points = np.asarray(points_ras, float)

    def along(self, direction, origin=np.zeros(3)) -> np.ndarray:
        """mm from ``origin`` along the unit vector ``direction``."""
        return (self.points - origin) @ direction


class Lattice:
    """The voxel centers of a grid, never written out: a coordinate is a sum over the array axes that it changes along."""

    def __init__(self, grid: Grid):
        self.grid = grid

    def along(self, direction, origin=np.zeros(3)) -> np.ndarray:
        """As in Cloud, float32, broadcastable to the grid's shape (length 1 along axes that do not matter)."""
        coordinate = np.full((1, 1, 1), (self.grid.ijk_to_ras[:3, 3] - origin) @ direction, np.float32)
        for axis in range(3):
            step = self.grid.ijk_to_ras[:3, axis] @ direction
            if abs(step) > 1e-7:
                ticks = (step * np.arange(self.grid.shape[2 - axis])).astype(np.float32)
                coordinate = coordinate + np.expand_dims(ticks, [a for a in range(3) if a != 2 - axis])
        return coordinate


Points = Cloud | Lattice


def local_coordinates(points: Points, center, rotation):
    return tuple(points.along(rotation[:, axis], center) for axis in range(3))


def _box(low, high) -> np.ndarray:
    """The eight corners of a box, shape (8, 3)."""
    return np.array(np.meshgrid(*zip(low, high))).reshape(3, -1).T


def lay(values: np.ndarray, amount, depth: np.ndarray, grid: Grid) -> None:
    """Write ``amount`` where the depth is positive, in part where the surface passes through a voxel of ``grid``.

    A hard edge would round every surface to the sampling, alike all over a face that lies along the lattice.
    """
    share = depth / float(grid.spacing.mean())
    share += 0.5
    values += np.clip(share, 0, 1, out=share) * (amount - values)


def _section_depth(x, y, width, depth, dent=0.0):
    """Depth (mm) in a body's cross-section: an arc in front, rounded corners, the posterior wall dented to y = -depth / 2.

    Exact: the distance to the outside of an intersection is the least of the distances to the outsides of its parts.
    """
    half_width, half_depth, middle = width / 2, (depth + dent) / 2, -dent / 2
    radius = np.where(y > middle, np.float32(0.94 * half_depth), np.float32(0.55 * half_depth))
    across, along = np.abs(x) - half_width + radius, np.abs(y - middle) - half_depth + radius
    inside = radius - np.minimum(np.maximum(across, along), 0)
    inside = inside - np.sqrt(np.maximum(across, 0) ** 2 + np.maximum(along, 0) ** 2)
    front = max(0.58 * width, half_depth)
    inside = np.minimum(inside, front - np.sqrt(x**2 + (y - depth / 2 + front) ** 2))
    if dent:
        curve = ((0.55 * half_width) ** 2 + dent**2) / (2 * dent)
        inside = np.minimum(inside, np.sqrt(x**2 + (y + depth / 2 + curve) ** 2) - curve)
    return inside


def _bowl(u, v):
    """An endplate's dish: 0 in the middle, 1 and level from the ellipse u2 + v2 = 1 on; and its slopes along u and v."""
    squared = np.minimum(u**2 + v**2, 1)
    return squared * (2 - squared), 4 * u * (1 - squared), 4 * v * (1 - squared)


@dataclass(frozen=True)
class Pit:
    """A Schmorl node: a round-ended hole of ``radius_mm``, ``depth_mm`` deep, in the upper endplate at local (x, y)."""

    depth_mm: float = 6.0
    radius_mm: float = 5.0
    x_mm: float = 0.0
    y_mm: float = 0.0


@dataclass(frozen=True)
class Inclusion:
    """An ellipsoid inside a body: basivertebral vein, cement, bone island, hemangioma. Local mm."""

    center_mm: tuple[float, float, float]
    semi_axes_mm: tuple[float, float, float]
    tissue: Tissue

    def contains(self, x, y, z):
        """Which of the local points are inside, bool."""
        return sum(((p - c) / a) ** 2 for p, c, a in zip((x, y, z), self.center_mm, self.semi_axes_mm)) <= 1


def basivertebral_vein(depth_mm: float = 34.0, tissue: Tissue = Tissue(40, 500)) -> Inclusion:
    """The vein's exit, in the middle of the posterior wall of a body ``depth_mm`` deep."""
    return Inclusion((0.0, -0.5 * depth_mm, 0.0), (5.0, 0.36 * depth_mm, 2.5), tissue)


def cement(radius_mm: float = 8.0, center_mm=(0.0, 3.0, 0.0)) -> Inclusion:
    """A ball of bone cement."""
    return Inclusion(tuple(center_mm), (radius_mm,) * 3, Tissue(1500, 20))


class CancellousTruth(NamedTuple):
    """What a perfect measurement of a body's inside reads."""

    mean_hu: float
    sd_hu: float
    volume_mm3: float


@dataclass(frozen=True, eq=False)
class PhantomVertebra:
    """A vertebra whose body, heights, HU and T1 signal are known.

    ``center``: RAS mm; ``rotation`` (3, 3): its right, anterior and superior axes in RAS, as columns. ``width_mm`` and
    ``depth_mm`` (on the midline) are those of the endplates; the waist is ``waist_mm`` slimmer on each side. The heights
    are what SPEC measures: means over 80-95, 40-60 and 5-20 % of the depth from the posterior wall, within 3 mm of the
    midline; half of each lies above the center. HU rises by ``gradient_hu_per_mm`` toward patient superior, by
    ``posterior_hu_per_mm`` toward the body's own back, and by ``endplate_hu_per_mm`` from its mid-plane to both endplates, where a
    quarter of the height from the mid-plane has ``cancellous_hu``.
    """

    level: str
    center: np.ndarray
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))
    width_mm: float = 46.0
    depth_mm: float = 34.0
    height_anterior_mm: float = 28.0
    height_middle_mm: float = 26.0
    height_posterior_mm: float = 28.0
    waist_mm: float = 2.0
    posterior_dent_mm: float = 1.5
    cortex_mm: float = 1.0
    cortex_hu: float = 500.0
    cancellous_hu: float = 130.0
    gradient_hu_per_mm: float = 0.0
    posterior_hu_per_mm: float = 0.0
    endplate_hu_per_mm: float = 0.0
    marrow_t1: float = 300.0
    pit: Pit | None = None
    inclusions: tuple[Inclusion, ...] = ()
    posterior_elements: bool = True

    @property
    def name(self) -> str:
        """The level, as the discs have a name."""
        return self.level

    @cached_property
    def _height_terms(self) -> tuple[float, float, float]:
        """Height = terms @ (1, u, bowl(u, v)), u along the depth and v across, both -1 to 1."""
        v = np.linspace(-3, 3, 61)[:, None] * 2 / self.width_mm
        bands = [np.linspace(low, high, 201) * 2 - 1 for low, high in ((0.05, 0.2), (0.4, 0.6), (0.8, 0.95))]
        means = [[1, u.mean(), _bowl(u, v)[0].mean()] for u in bands]
        heights = [self.height_posterior_mm, self.height_middle_mm, self.height_anterior_mm]
        return tuple(np.linalg.solve(means, heights).tolist())

    @cached_property
    def _rim_height(self) -> float:
        base, tilt, dish = self._height_terms
        return base + abs(tilt) + max(dish, 0)

    def _endplates(self, x, y):
        """Height of the upper endplate over the mid-plane (the lower mirrors it), mm, and the length of its normal."""
        base, tilt, dish = (term / 2 for term in self._height_terms)
        u, v = np.clip(2 / self.depth_mm * y, -1, 1), 2 / self.width_mm * x
        bowl, along, across = _bowl(u, v)
        slope_y, slope_x = 2 / self.depth_mm * (tilt + dish * along), 2 / self.width_mm * dish * across
        return base + tilt * u + dish * bowl, np.sqrt(1 + slope_x**2 + slope_y**2)

    def _pit_distance(self, x, y, z):
        floor = float(self._endplates(self.pit.x_mm, self.pit.y_mm)[0]) - self.pit.depth_mm + self.pit.radius_mm
        x, y, z = x - self.pit.x_mm, y - self.pit.y_mm, np.minimum(z - floor, 0)
        return np.sqrt(x**2 + y**2 + z**2) - self.pit.radius_mm

    def _body_depth(self, x, y, z):
        waist = self.waist_mm * np.maximum(1 - (2 / self._rim_height * z) ** 2, 0)
        lean = np.sqrt(1 + (8 * self.waist_mm / self._rim_height**2 * z) ** 2)
        wall = (_section_depth(x, y, self.width_mm, self.depth_mm, self.posterior_dent_mm) - waist) / lean
        height, normal = self._endplates(x, y)
        depth = np.minimum(wall, (height - np.abs(z)) / normal)
        return depth if self.pit is None else np.minimum(depth, self._pit_distance(x, y, z))

    def depth(self, points_ras) -> np.ndarray:
        """mm below the body's surface (shape ``(...,)``), positive inside.

        Inside, the distance to the surface (first order at the waist and the endplates): within 0.03 mm down to 4 mm for
        ordinary, wedged and crushed bodies and pits, within 3 % down to 4 mm for a biconcave one that lost 40 % of its
        middle height. Outside, of the right sign only.
        """
        return self._body_depth(*local_coordinates(Cloud(points_ras), self.center, self.rotation))

    def cancellous_hu_at(self, superior_mm: float) -> float:
        """True HU of the cancellous bone on the patient-axial plane ``superior_mm`` above the center, midway from front to back."""
        return self.cancellous_hu + self.gradient_hu_per_mm * superior_mm

    def cancellous_truth(self, margin_mm: float, step_mm: float = 0.4, without_inclusions: bool = False) -> CancellousTruth:
        """HU of all that is ``margin_mm`` or more below the surface, by samples of the analytic body every ``step_mm``."""
        half = (np.array([self.width_mm, self.depth_mm, self._rim_height]) / 2 // step_mm + 1) * step_mm
        x, y, z = np.meshgrid(*(np.arange(-h + step_mm / 2, h, step_mm) for h in half), indexing="ij", sparse=True)
        inside = self._body_depth(x, y, z) >= max(margin_mm, 1e-9)
        hu = self._inner(x, y, z, "hu")
        if without_inclusions:
            for inclusion in self.inclusions:
                inside &= ~inclusion.contains(x, y, z)
        hu = hu[inside]
        return CancellousTruth(float(hu.mean()), float(hu.std()), float(inside.sum() * step_mm**3))

    def _inner(self, x, y, z, modality):
        """HU or T1 signal of the cancellous bone and its inclusions at local points."""
        right, anterior, superior = self.rotation[2].tolist()
        if modality == "hu":
            slope, back, base = self.gradient_hu_per_mm, self.posterior_hu_per_mm, self.cancellous_hu
        else:
            slope, back, base = 0.0, 0.0, self.marrow_t1
        values = base + slope * (right * x + anterior * y + superior * z) - back * y
        if modality == "hu" and self.endplate_hu_per_mm:
            values = values + self.endplate_hu_per_mm * (np.abs(z) - 0.25 * self.height_middle_mm)
        for inclusion in self.inclusions:
            values = np.where(inclusion.contains(x, y, z), np.float32(getattr(inclusion.tissue, modality)), values)
        return values

    @cached_property
    def corners(self) -> np.ndarray:
        """RAS of a box around the body, shape (8, 3)."""
        half = np.array([self.width_mm, self.depth_mm, self._rim_height]) / 2
        return _box(-half - [0, self.posterior_dent_mm, 0], half) @ self.rotation.T + self.center

    @cached_property
    def arch(self) -> Arch | None:
        """The posterior elements."""
        return Arch(self) if self.posterior_elements else None

    def paint(self, values: np.ndarray, grid: Grid, modality: str) -> None:
        """Write the body's ``modality`` ("hu" or "t1") into ``values`` on ``grid``."""
        local = local_coordinates(Lattice(grid), self.center, self.rotation)
        depth = self._body_depth(*local)
        lay(values, self.cortex_hu if modality == "hu" else CORTEX_T1, depth, grid)
        lay(values, self._inner(*local, modality), depth - self.cortex_mm, grid)


class _Bar(NamedTuple):
    """A capsule with unequal semi-axes, local mm."""

    start: np.ndarray
    end: np.ndarray
    semi_axes: np.ndarray

    def depth(self, x, y, z):
        axis = (self.end - self.start) / self.semi_axes
        p = [(c - s) / a for c, s, a in zip((x, y, z), self.start, self.semi_axes)]
        share = np.clip(sum(c * float(d) for c, d in zip(p, axis / (axis @ axis))), 0, 1)
        p = [c - share * np.float32(d) for c, d in zip(p, axis)]
        length = np.sqrt(p[0] ** 2 + p[1] ** 2 + p[2] ** 2) + np.float32(1e-6)
        slope = np.sqrt(sum((c / np.float32(a)) ** 2 for c, a in zip(p, self.semi_axes))) + np.float32(1e-6)
        return (1 - length) * length / slope

    def corners(self):
        ends = np.stack([self.start, self.end])
        return _box(ends.min(0) - self.semi_axes, ends.max(0) + self.semi_axes)


# One side of the arch: start, end, semi-axes; x from the midline, y from the posterior wall, mm on a body 46 mm wide
_ARCH = {
    "pedicle": ((15.5, 4, 4.5), (15.5, -13, 4), (4.8, 4.8, 7)),
    "superior articular process": ((18.5, -13, 4), (20, -15, 18), (4.2, 4.2, 4.2)),
    "inferior articular process": ((16, -16, 2), (12.5, -23.5, -18), (4.4, 4.2, 4.4)),
    "lamina": ((13.5, -19, -2), (0, -24.5, -6), (4, 3.4, 7.5)),
    "spinous process": ((0, -26, -7), (0, -50, -11), (3, 4, 8)),
    "transverse process": ((18, -12, 3), (38, -17, 6), (4, 3.2, 4.5)),
}


class Arch:
    """Posterior elements of a vertebra: capsules of bone, before the canal is cut out of them."""

    def __init__(self, vertebra: PhantomVertebra):
        self.vertebra = vertebra
        scale, wall = [vertebra.width_mm / 46, 1, 1], [0, -vertebra.depth_mm / 2, 0]
        self.bars = []
        for bar in np.array(list(_ARCH.values())):
            for side in (1, -1) if np.any(bar[:2, 0]) else (1,):
                start, end = bar[:2] * [side, 1, 1] * scale + wall
                self.bars.append(_Bar(start, end, bar[2]))
        self._boxes = [bar.corners() @ vertebra.rotation.T + vertebra.center for bar in self.bars]
        self.corners = np.concatenate(self._boxes)

    def depth(self, grid: Grid) -> np.ndarray:
        """Distance-like mm below the surface at the grid's voxel centers, positive inside."""
        depth = np.full(grid.shape, -np.inf, np.float32)
        for bar, box in zip(self.bars, self._boxes):
            part = grid.slices_around(box)
            if part is not None:
                local = local_coordinates(Lattice(grid.box(part)), self.vertebra.center, self.vertebra.rotation)
                np.maximum(depth[part], bar.depth(*local), out=depth[part])
        return depth

    def paint(self, values: np.ndarray, grid: Grid, modality: str) -> None:
        """Write cortex and marrow into ``values`` on ``grid``."""
        depth = self.depth(grid)
        marrow = Tissue(POSTERIOR_MARROW_HU, self.vertebra.marrow_t1)
        lay(values, getattr(POSTERIOR_CORTEX, modality), depth, grid)
        lay(values, getattr(marrow, modality), depth - POSTERIOR_CORTEX_MM, grid)


@dataclass(frozen=True, eq=False)
class PhantomDisc:
    """What lies between two vertebrae's endplates; a Schmorl node of the lower one is filled by it."""

    upper: PhantomVertebra
    lower: PhantomVertebra

    @property
    def name(self) -> str:
        """For example ``L3-L4``."""
        return f"{self.upper.level}-{self.lower.level}"

    @cached_property
    def _frame(self):
        """Center, rotation (mean of the neighbors') and half of the distance between the endplates' centers."""
        top = self.upper.center - self.upper.rotation[:, 2] * self.upper.height_middle_mm / 2
        bottom = self.lower.center + self.lower.rotation[:, 2] * self.lower.height_middle_mm / 2
        u, _, v = np.linalg.svd(self.upper.rotation + self.lower.rotation)
        return (top + bottom) / 2, u @ v, np.linalg.norm(top - bottom) / 2

    @property
    def middle(self) -> tuple[np.ndarray, np.ndarray]:
        """RAS of its center, and its axis as a unit vector."""
        return self._frame[0], self._frame[1][:, 2]

    def _depth(self, points: Points):
        center, rotation, _ = self._frame
        x, y, _ = local_coordinates(points, center, rotation)
        width, depth = ((getattr(self.upper, n) + getattr(self.lower, n)) / 2 + 1 for n in ("width_mm", "depth_mm"))
        inside = _section_depth(x, y, width, depth)
        for vertebra, side in ((self.upper, -1), (self.lower, 1)):
            x, y, z = local_coordinates(points, vertebra.center, vertebra.rotation)
            height, normal = vertebra._endplates(x, y)
            beyond = (side * z - height) / normal
            if side > 0 and vertebra.pit is not None:
                beyond = np.maximum(beyond, np.where(z > 0, -vertebra._pit_distance(x, y, z), -np.inf))
            inside = np.minimum(inside, beyond)
        return inside

    def depth(self, points_ras) -> np.ndarray:
        """Distance-like mm below the disc's surface, positive inside."""
        return self._depth(Cloud(points_ras))

    @cached_property
    def corners(self) -> np.ndarray:
        """RAS of a box around the disc, shape (8, 3)."""
        center, rotation, half_gap = self._frame
        pit = 0 if self.lower.pit is None else self.lower.pit.depth_mm
        half = np.array([self.upper.width_mm / 2 + 3, self.upper.depth_mm / 2 + 3, half_gap + 5])
        return _box(-half - [0, 0, pit], half) @ rotation.T + center

    def paint(self, values: np.ndarray, grid: Grid, modality: str) -> None:
        """Write the disc into ``values`` on ``grid``."""
        lay(values, getattr(DISC, modality), self._depth(Lattice(grid)), grid)


@dataclass(frozen=True, eq=False)
class Canal:
    """Spinal canal: epidural tissue, in it the thecal sac with CSF, in that cord (above the conus) and nerve roots.

    ``axis``: RAS mm, shape (n, 3), S rising. ``roots``: mm to the right and to the front of the axis, shape (m, 2).
    """

    axis: np.ndarray
    conus_s: float
    csf_t1: float = 100.0
    radius_mm: float = 8.6
    sac_radius_mm: float = 7.0
    cord_radius_mm: float = 4.0
    root_radius_mm: float = 0.65
    roots: np.ndarray = field(default_factory=lambda: _cauda_equina())

    def _across(self, points: Points):
        """S, and mm to the right and the front of the axis in the plane normal to it (first order: the axis bends little)."""
        s = points.along(SUPERIOR)
        slope = np.gradient(self.axis[:, :2], self.axis[:, 2], axis=0)
        x, y, dx, dy = (np.interp(s, self.axis[:, 2], column).astype(np.float32) for column in (*self.axis[:, :2].T, *slope.T))
        x, y = points.along(RIGHT) - x, points.along(ANTERIOR) - y
        right = x / np.sqrt(1 + dx**2)
        front = (y * (1 + dx**2) - x * dx * dy) / np.sqrt((1 + dx**2) * (1 + dx**2 + dy**2))
        return s, right, front

    def _depths(self, points: Points) -> dict[str, np.ndarray]:
        """mm below the surface of canal, sac, cord and roots (the roots run in the sac, beside and below the cord)."""
        s, right, front = self._across(points)
        radius = np.sqrt(right**2 + front**2)
        above_conus = np.sqrt(np.clip((s - float(self.conus_s)) / 20, 0, 1))
        cord = self.cord_radius_mm * above_conus - radius
        in_sac = radius < self.sac_radius_mm
        right, front = np.broadcast_to(right, radius.shape)[in_sac], np.broadcast_to(front, radius.shape)[in_sac]
        nearest = np.full(right.shape, np.inf, right.dtype)
        for root_right, root_front in self.roots.tolist():
            np.minimum(nearest, (right - root_right) ** 2 + (front - root_front) ** 2, out=nearest)
        roots = np.full(radius.shape, -np.inf, radius.dtype)
        roots[in_sac] = self.root_radius_mm - np.sqrt(nearest)
        roots = np.where(above_conus < 1, np.minimum(roots, -cord), -np.inf)
        return {"canal": self.radius_mm - radius, "sac": self.sac_radius_mm - radius, "cord": cord, "roots": roots}

    def corners_near(self, grid: Grid) -> np.ndarray:
        """RAS of boxes around the part of the axis that can be in ``grid``."""
        outer = grid.corners()
        reach = np.linalg.norm(outer[0] - outer[-1]) / 2 + self.radius_mm
        near = self.axis[np.linalg.norm(self.axis - outer.mean(0), axis=1) < reach]
        return (near[:, None] + 1.1 * self.radius_mm * _box([-1, -1, -0.5], [1, 1, 0.5])).reshape(-1, 3)

    def paint(self, values: np.ndarray, grid: Grid, modality: str) -> None:
        """Write the canal and what it holds into ``values`` on ``grid``."""
        depths = self._depths(Lattice(grid))
        for name, tissue in (("canal", EPIDURAL), ("sac", Tissue(CSF_HU, self.csf_t1)), ("roots", ROOT), ("cord", CORD)):
            lay(values, getattr(tissue, modality), depths[name], grid)


def _cauda_equina() -> np.ndarray:
    """Ten roots in two rows at the back of the sac, as in a patient lying supine; mm right and front of its axis."""
    rows = ((-5.9, (-2.3, -0.8, 0.8, 2.3)), (-4.8, (-4.0, -2.4, -0.8, 0.8, 2.4, 4.0)))
    return np.array([[right, front] for front, rights in rows for right in rights])
