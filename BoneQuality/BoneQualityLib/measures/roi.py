"""Regions of interest: where a number was taken, in RAS mm, and how it is read there.

A measure places a ROI with masks alone and reads it from an image alone, so that a ROI moved by hand is read the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np
from scipy import ndimage

from ..errors import NotMeasured
from ..image.grid import ALIGNED_VOXELS, Grid, cross
from ..image.image import Image
from ..states import Flag, Reason

#: Distance of the points at which a planar ROI is read, mm: pixels count by the share of them that lies inside.
SAMPLING_MM = 0.2
#: A ROI of which more than this holds no data is not measured.
NO_DATA_SHARE = 0.01
#: Every kind of ROI has its color, in pictures and in the scene.
COLORS = dict(
    upper="#ffb000",
    middle="#4cc9f0",
    lower="#fe6100",
    cancellous="#7ae582",
    marrow="#7ae582",
    csf="#4cc9f0",
    disc="#c77dff",
    fat="#ff4d4d",
)
COLORS |= {f"{side} {muscle}": color for side in ("left", "right") for muscle, color in (
    ("psoas major", "#ffb000"), ("multifidus", "#4cc9f0"), ("erector spinae", "#7ae582"), ("iliopsoas", "#ffb000"), ("autochthon", "#7ae582"),
)}  # fmt: skip


def rgb(code: str) -> tuple[float, float, float]:
    """The parts of a color such as "#7ae582", 0 to 1."""
    return tuple(int(code[n : n + 2], 16) / 255 for n in (1, 3, 5))


@dataclass(frozen=True, eq=False)
class PlanarRoi:
    """A flat region: a center and two unit vectors in RAS, and within that plane an ellipse or closed outlines.

    semi_axes: mm along u and v, for an ellipse; None for outlines.
    outlines: closed polygons in plane coordinates (u, v) mm, each shape (n, 2); a hole is an outline within an outline.
    thickness: mm across which the image is averaged (a slab); 0 reads the plane alone.
    edited: whether a person moved or reshaped it.
    """

    level: str
    kind: str
    center: np.ndarray
    u: np.ndarray
    v: np.ndarray
    semi_axes: tuple[float, float] | None = None
    outlines: tuple[np.ndarray, ...] = ()
    thickness: float = 0.0
    edited: bool = False

    @cached_property
    def normal(self) -> np.ndarray:
        return cross(self.u, self.v)

    @cached_property
    def area(self) -> float:
        """mm2"""
        if self.semi_axes:
            return float(np.pi * np.prod(self.semi_axes))
        return float(len(self._points_inside[0]) * SAMPLING_MM**2)

    def contains(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Which points of a lattice in plane coordinates, columns at rising ``u`` and rows at ``v``, lie inside: bool [v, u]."""
        if self.semi_axes:
            return _in_ellipse(u, v, self.semi_axes)
        crossings = np.zeros((len(v), len(u) + 1), int)
        for outline in self.outlines:
            (u0, v0), (u1, v1) = outline.T, np.roll(outline, -1, axis=0).T
            row, edge = np.nonzero((v[:, None] >= np.minimum(v0, v1)) & (v[:, None] < np.maximum(v0, v1)))
            crossed = u0[edge] + (v[row] - v0[edge]) * (u1[edge] - u0[edge]) / (v1[edge] - v0[edge])
            np.add.at(crossings, (row, np.searchsorted(u, crossed)), 1)
        beyond = crossings[:, ::-1].cumsum(axis=1)[:, ::-1]
        return beyond[:, 1:] % 2 == 1

    def curves(self, points: int = 64) -> list[np.ndarray]:
        """The closed curves around the region in RAS, each shape (n, 3)."""
        if self.semi_axes:
            angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
            outlines = [np.stack([np.cos(angle), np.sin(angle)], axis=1) * self.semi_axes]
        else:
            outlines = self.outlines
        return [self.center + outline @ np.stack([self.u, self.v]) for outline in outlines]

    def values(self, image: Image) -> np.ndarray:
        """Image values at points 0.2 mm apart inside; raises NotMeasured where the image has none.

        On one of the image's own planes every point takes its pixel's value, elsewhere it is interpolated.
        """
        u, v = self._points_inside
        order = 0 if self._on_lattice_plane(image.grid) else 1
        steps = max(int(np.ceil(self.thickness)), 1)
        offsets = (np.arange(steps) - (steps - 1) / 2) * self.thickness / steps
        if not len(u):
            raise NotMeasured("no image samples inside the ROI")
        total, known = _sampled(self._to_ijk(image.grid), (u, v), offsets, image, order)
        _check_data(1 - known.mean())
        return total[known]

    @cached_property
    def _points_inside(self) -> tuple[np.ndarray, np.ndarray]:
        """Plane coordinates u and v of points 0.2 mm apart inside."""
        if self.semi_axes:
            return _points_of_ellipse(tuple(self.semi_axes))
        if not self.outlines:
            return np.empty(0), np.empty(0)
        every = np.concatenate(self.outlines)
        u, v = (np.arange(a + SAMPLING_MM / 2, b, SAMPLING_MM) for a, b in zip(every.min(axis=0), every.max(axis=0)))
        row, column = np.nonzero(self.contains(u, v))
        return u[column], v[row]

    def _to_ijk(self, grid: Grid) -> np.ndarray:
        """Directions of u, v and the normal, and the center, as columns (3, 4) in voxels i, j, k."""
        directions = grid.ras_to_ijk[:3, :3] @ np.column_stack([self.u, self.v, self.normal])
        return np.column_stack([directions, grid.ijk(self.center)])

    def _on_lattice_plane(self, grid: Grid) -> bool:
        along = np.abs(self.normal @ grid.directions)
        axis = int(np.argmax(along))
        position = grid.ijk(self.center)[axis]
        return self.thickness == 0 and along[axis] > 1 - 1e-6 and abs(position - round(position)) < 0.01

    def place(self) -> dict:
        """What the JSON says of it, RAS mm."""
        described = dict(level=self.level, kind=self.kind, center=self.center, u=self.u, v=self.v, normal=self.normal)
        described.update(thickness_mm=self.thickness, area_mm2=self.area, edited=self.edited)
        if self.semi_axes:
            return dict(described, shape="ellipse", semi_axes_mm=self.semi_axes)
        return dict(described, shape="outlines", outlines_ras=self.curves())


@dataclass(frozen=True, eq=False)
class RegionRoi:
    """A solid region: the share of every voxel of a box of the image that lies inside it.

    slices: the box, of k, j, i of the image's array; weights: float ``[k, j, i]``, 0 to 1; grid: the box's lattice.
    begins_mm: depth below the mask's surface at which it begins, by sector, where the endosteal edge was read.
    """

    level: str
    kind: str
    slices: tuple[slice, slice, slice]
    grid: Grid
    weights: np.ndarray
    margin_mm: float
    begins_mm: dict[str, float] = field(default_factory=dict)

    @property
    def volume(self) -> float:
        """mm3"""
        return float(self.weights.sum()) * self.grid.voxel_volume

    @property
    def extent(self) -> list[float]:
        """Length over which half of every voxel or more lies inside, along the image's i, j and k, mm."""
        inside = self.weights >= 0.5
        ranges = [np.flatnonzero(inside.any(axis=others)) for others in ((0, 1), (0, 2), (1, 2))]
        return [float((found[-1] - found[0] + 1) * step) if len(found) else 0.0 for found, step in zip(ranges, self.grid.spacing)]

    def values(self, image: Image) -> tuple[np.ndarray, np.ndarray]:
        """Values and weights of the voxels that lie inside at least in part."""
        inside = self.weights > 0
        values, weights = image.array[self.slices][inside].astype(np.float64), self.weights[inside].astype(np.float64)
        if not weights.sum() > 0:
            raise NotMeasured("nothing is left inside the margin")
        known = image.holds_data(values)
        _check_data(float(weights[~known].sum() / weights.sum()))
        return values[known], weights[known]

    def place(self) -> dict:
        """What the JSON says of it, RAS mm."""
        inside = self.grid.points(self.weights > 0)
        weights = self.weights[self.weights > 0].astype(np.float64)
        return dict(
            level=self.level,
            kind=self.kind,
            shape="region",
            center=np.average(inside, axis=0, weights=weights),
            bounds_ras=np.stack([inside.min(axis=0), inside.max(axis=0)]),
            margin_mm=self.margin_mm,
            begins_mm=self.begins_mm,
            extent_mm=self.extent,
            volume_mm3=self.volume,
        )


def _in_ellipse(u: np.ndarray, v: np.ndarray, semi_axes: tuple[float, float]) -> np.ndarray:
    return (u / semi_axes[0]) ** 2 + (v[:, None] / semi_axes[1]) ** 2 <= 1


@lru_cache(maxsize=4)
def _points_of_ellipse(semi_axes: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Kept for a few ellipses: one that is moved to see how its mean varies is read at the same points."""
    line = np.arange(SAMPLING_MM / 2 - max(semi_axes), max(semi_axes), SAMPLING_MM)
    row, column = np.nonzero(_in_ellipse(line, line, semi_axes))
    return line[column], line[row]


def _sampled(
    to_ijk: np.ndarray, uv: tuple[np.ndarray, np.ndarray], offsets: np.ndarray, image: Image, order: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean over parallel planes of the image at n points, and which of these rest on data alone.

    to_ijk: directions of u, v and the planes' normal, and the center, as columns in voxels. Raises NotMeasured where a point lies
    beyond the image.
    """
    starts = to_ijk[:, 3:] + to_ijk[:, 2:3] * offsets
    kji = [(step[0] * uv[0] + step[1] * uv[1]) + start[:, None] for step, start in zip(to_ijk[::-1], starts[::-1])]
    part = []
    for axis, last in enumerate(np.array(image.grid.shape) - 1):
        low, high = kji[axis].min(), kji[axis].max()
        if low < -ALIGNED_VOXELS or high > last + ALIGNED_VOXELS:
            raise NotMeasured("the ROI reaches beyond the image")
        start = int(np.floor(low + ALIGNED_VOXELS))
        part.append(slice(start, min(int(np.ceil(high)), int(last)) + 1))
        kji[axis] = np.clip(kji[axis] - start, 0, part[-1].stop - 1 - start)
    array = image.array[tuple(part)]
    if order == 0:
        nearest = tuple(np.floor(at + 0.5).astype(np.intp) for at in kji)

    def read(values):
        if order == 0:
            return values[nearest].astype(np.float64)
        return ndimage.map_coordinates(values, np.array(kji), order=1, output=np.float64, prefilter=False)

    missing = ~image.holds_data(array)
    if not missing.any():
        return read(array).mean(axis=0), np.ones(len(uv[0]), bool)
    return read(np.where(missing, 0, array)).mean(axis=0), read(missing.astype(np.float32)).max(axis=0) == 0


def _check_data(share: float) -> None:
    """Raise NotMeasured where too large a share of a ROI holds no data."""
    if share > NO_DATA_SHARE:
        raise NotMeasured(
            "{percent:.0f} % of the ROI hold no data (padding, NaN or values under -1500)", "no-data", percent=100 * share
        )


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The value at which half of the weight lies to either side."""
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, cumulative[-1] / 2)])


@dataclass(eq=False)
class LevelNumbers:
    """What one image says of one level: table values by column name, the ROIs they were taken in, flags, reasons for gaps.

    variations: by column name, what the value is under each small change of margin and mask, see uncertainty.py.
    """

    values: dict[str, float] = field(default_factory=dict)
    variations: dict[str, dict[str, float]] = field(default_factory=dict)
    rois: list[PlanarRoi | RegionRoi] = field(default_factory=list)
    flags: list[Flag] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)

    def gap(self, reason: NotMeasured) -> None:
        """Note why a value is missing."""
        self.reasons.append(Reason(str(reason)))
        if reason.flag:
            self.flags.append(Flag(reason.flag))

    @classmethod
    def empty(cls, reason: NotMeasured) -> LevelNumbers:
        """No numbers, and why."""
        numbers = cls()
        numbers.gap(reason)
        return numbers

    @classmethod
    def joined(cls, several: list[LevelNumbers]) -> LevelNumbers:
        """The numbers of several measures of one level."""
        return cls(
            {name: value for each in several for name, value in each.values.items()},
            {name: varied for each in several for name, varied in each.variations.items()},
            *([item for each in several for item in getattr(each, name)] for name in ("rois", "flags", "reasons")),
        )

    def with_gap(self, reason: NotMeasured) -> LevelNumbers:
        """The same numbers, and why another one is missing."""
        flags = [*self.flags, Flag(reason.flag)] if reason.flag else self.flags
        return replace(self, flags=flags, reasons=[*self.reasons, Reason(str(reason))])
