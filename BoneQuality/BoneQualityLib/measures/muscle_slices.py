"""Where muscles are read: the slice at each disc, and the outlines of compartments and disc on it.

Zhan 2024 takes the image through the middle of each disc. The slice is one of the image's own, whatever its angle: stacks that are
angled along the discs are read as they were acquired.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import NotMeasured, Sentence
from ..image.grid import RIGHT, Grid
from ..image.image import Image
from ..image.mask import Mask
from ..image.outlines import outlines
from ..image.resampling import sample
from ..parameters import CASE_DISCS, DISCS
from .roi import PlanarRoi

#: Outlines are found on samples at most this far apart.
SECTION_STEP_MM = 0.5
MINIMUM_AREA_MM2 = 30.0
#: A disc's axis lies within 45 degrees of the normal of axial slices.
LEAST_ALONG = float(np.cos(np.radians(45)))
_ALIGNED = 1 - 1e-6


class NotThere(NotMeasured):
    """There is nothing of a mask on a slice."""


@dataclass(frozen=True, eq=False)
class SlicePlane:
    """A plane to read on: a point in RAS, unit vectors to the right (u) and to the front (v).

    disc: "" where no disc is claimed. source: what said that the slice lies here. step: mm between samples along u and v. off_mm:
    how far it lies from the slice meant, along the normal, because the muscles were drawn there.
    """

    disc: str
    center: np.ndarray
    u: np.ndarray
    v: np.ndarray
    source: str
    step: tuple[float, float]
    off_mm: float = 0.0

    @property
    def name(self) -> str:
        """The disc, or where the slice lies."""
        return self.disc or f"S {self.center[2]:.1f} mm"

    @property
    def normal(self) -> np.ndarray:
        return np.cross(self.u, self.v)

    def flat(self, points: np.ndarray) -> np.ndarray:
        """RAS points, shape (n, 3), as mm to the right and to the front of the center, shape (n, 2)."""
        return (points - self.center) @ np.stack([self.u, self.v], axis=1)

    def lattice(self, points: np.ndarray, rim: float = 2.0) -> Grid:
        """Samples around the points, columns to the right and rows to the front; the center is one of them."""
        uv = self.flat(points)
        first = np.floor((uv.min(axis=0) - rim) / self.step).astype(int)
        columns, rows = np.ceil((uv.max(axis=0) + rim) / self.step).astype(int) - first + 1
        affine = np.eye(4)
        affine[:3, :3] = np.stack([self.u * self.step[0], self.v * self.step[1], self.normal], axis=1)
        affine[:3, 3] = self.center + first * self.step @ np.stack([self.u, self.v])
        return Grid((1, int(rows), int(columns)), affine)


def slice_planes(
    stacks: Sequence, bodies: list[tuple[str, dict[str, np.ndarray]]], typed: dict[str, float], slice_plane: str
) -> tuple[list[tuple], list[str]]:
    """The slices to read, top to bottom, each with its stack, and why others are missing.

    At a disc: where a person says (``typed``, S in mm), else through the middle of the disc's mask, else midway between the two bodies
    (``bodies``: RAS centers by level, with the image's role); these have to share the patient's frame with the image. Of several
    stacks the one is taken whose slices lie closest to the disc's plane, among those that have muscles there. Where nothing says
    where a disc is: every slice of the images that the compartments' masks meet, without a disc.

    slice_plane: "axial", the image's own slice nearest to that point; "vertebra", perpendicular to the disc's axis.
    """
    found, reasons = [], []
    for disc in DISCS:
        try:
            place = _DiscPlace.of(disc, stacks, bodies, typed.get(disc))
            if place is not None:
                found.append(_on_best_stack(place, stacks, slice_plane))
        except NotMeasured as reason:
            reasons.append(Sentence("{disc}: {reason}", disc=disc, reason=reason))
    found = found or [(stack, plane) for stack in stacks for plane in _every_slice(stack)]
    return sorted(found, key=lambda pair: -pair[1].center[2]), reasons


@dataclass(frozen=True, eq=False)
class _DiscPlace:
    """Where a disc lies, and what says so. axis: its own, None where that is not known. typed: S that a person gave."""

    disc: str
    point: np.ndarray
    axis: np.ndarray | None
    source: str
    typed: float | None = None

    @classmethod
    def of(cls, disc: str, stacks: Sequence, bodies, typed: float | None) -> _DiscPlace | None:
        """By a person, a mask, or the bodies above and below; None where nothing says it."""
        masks = [stack.discs[disc] for stack in stacks if disc in stack.discs]
        mask = max(masks, key=lambda each: each.volume, default=None)
        axis = disc_axis(mask) if mask is not None else None
        if typed is not None:
            point = mask.center if mask is not None else np.mean([stack.middle for stack in stacks], axis=0)
            return cls(disc, point, axis, "position given", typed)
        if mask is not None:
            return cls(disc, mask.center, axis, "middle of the disc's mask")
        upper, lower = disc.split("-")
        for role, centers in bodies if disc in CASE_DISCS else ():
            if upper in centers and lower in centers:
                source = f"midway between the bodies of {upper} and {lower} on the {role}"
                return cls(disc, (centers[upper] + centers[lower]) / 2, centers[upper] - centers[lower], source)
        return None

    def plane_on(self, stack, slice_plane: str) -> SlicePlane:
        """The plane to read on a stack; raises NotMeasured where the stack has none there."""
        image = stack.images.main
        if self.typed is not None:
            point = _at_height(image, stack.discs[self.disc].center if self.disc in stack.discs else stack.middle, self.typed)
            if not _inside(image.grid, point):
                raise NotMeasured(
                    "S {s:g} mm lies outside the image; correct the slice given for the disc (disc slices)", s=self.typed
                )
            return image_plane(image, point, self.disc, self.source)
        mask = stack.discs.get(self.disc)
        point = mask.center if mask is not None else self.point
        return _plane(image, point, self.disc, self.source, self.axis if slice_plane == "vertebra" else None)


def _on_best_stack(place: _DiscPlace, stacks: Sequence, slice_plane: str) -> tuple:
    """The stack and the plane to read a disc on: where muscles are drawn, then where the slices lie closest to the disc's plane."""
    found, faults = [], []
    for stack in stacks:
        try:
            plane = nearest_drawn(place.plane_on(stack, slice_plane), stack, place.typed is None)
        except NotMeasured as reason:
            faults.append(reason)
            continue
        along = 0.0 if place.axis is None else abs(place.axis @ stack.normal) / np.linalg.norm(place.axis)
        found.append(((_met(plane, stack) > 0, along), stack, plane))
    if not found:
        raise faults[0]
    _, stack, plane = max(found, key=lambda each: each[0])
    return stack, plane


def nearest_drawn(plane: SlicePlane, stack, may_move: bool = True) -> SlicePlane:
    """The plane, or the slice beside it where more of the muscles were drawn: a person may draw on the neighbor of the slice meant."""
    if not may_move or _met(plane, stack) == len(stack.drawn):
        return plane
    grid = stack.images.main.grid
    step = plane.normal * grid.spacing[axial_axis(grid)]
    beside = [replace(plane, center=plane.center + sign * step, off_mm=sign * float(np.linalg.norm(step))) for sign in (1, -1)]
    return max([plane, *(each for each in beside if _inside(grid, each.center))], key=lambda each: _met(each, stack))


def _met(plane: SlicePlane, stack) -> int:
    """How many of a stack's compartments a plane meets: a voxel's center lies within half a step of it."""
    return sum(_lies_on(plane, mask) for mask in stack.drawn.values())


def _lies_on(plane: SlicePlane, mask: Mask) -> bool:
    half = 0.5 * np.abs(mask.grid.directions.T @ plane.normal) @ mask.grid.spacing
    return bool((np.abs((mask.row_ends - plane.center) @ plane.normal) < half - 1e-6).any())


def _plane(image: Image, point, disc: str, source: str, axis) -> SlicePlane:
    if axis is None:
        return image_plane(image, point, disc, source)
    _check_inside(image.grid, point)
    normal = axis * np.sign(axis[2]) / np.linalg.norm(axis)
    if abs(normal @ image.grid.directions[:, axial_axis(image.grid)]) < LEAST_ALONG:
        raise NotMeasured(
            "its axis lies across the image's slices, so the mask shows no whole disc; draw it, or measure on axial slices (slice plane)"
        )
    u = RIGHT - (RIGHT @ normal) * normal
    u /= np.linalg.norm(u)
    step = min(SECTION_STEP_MM, float(np.sort(image.grid.spacing)[1]))
    return SlicePlane(disc, np.asarray(point, float), u, np.cross(normal, u), source, (step, step))


def image_plane(image: Image, point: np.ndarray, disc: str = "", source: str = "slice of the masks") -> SlicePlane:
    """The image's own slice nearest to a point (RAS): that of its axes which runs most nearly along the patient's length."""
    grid = image.grid
    _check_inside(grid, point)
    along = axial_axis(grid)
    center = grid.ras(np.round(grid.ijk(point)))
    across = [axis for axis in range(3) if axis != along]
    right = max(across, key=lambda axis: abs(grid.directions[0, axis]))
    front = next(axis for axis in across if axis != right)
    u = grid.directions[:, right] * np.sign(grid.directions[0, right])
    v = grid.directions[:, front] * (1.0 if np.cross(u, grid.directions[:, front])[2] > 0 else -1.0)
    step = tuple(float(s / np.ceil(s / SECTION_STEP_MM - 1e-6)) for s in grid.spacing[[right, front]])
    return SlicePlane(disc, center, u, v, source, step)


def axial_axis(grid: Grid) -> int:
    """Which of i, j, k runs most nearly along the patient's length."""
    return int(np.argmax(np.abs(grid.directions[2])))


def disc_axis(mask: Mask) -> np.ndarray:
    """The axis of a disc, unit vector: that along which its mask extends least."""
    points = mask.points - mask.center
    spread = points.T @ points / len(points)
    voxel = mask.grid.directions * mask.grid.spacing
    return np.linalg.eigh(spread + voxel @ voxel.T / 12)[1][:, 0]


def place_section(plane: SlicePlane, mask: Mask, kind: str) -> PlanarRoi:
    """The outline of a mask on a plane: midway between samples inside and outside.

    Raises NotThere where the plane does not meet the mask, NotMeasured where in less than 30 mm2.
    """
    if not mask.array.any():
        raise NotThere("the mask is empty; draw it")
    lattice = plane.lattice(mask.grid.corners())
    share = mask.on(lattice)[0]
    start = plane.flat(lattice.ras([0, 0, 0]))
    curves = [_corners(curve * plane.step + start) for curve in outlines(share - 0.5)] if share.max() > 0.5 else []
    roi = PlanarRoi(plane.name, kind, plane.center, plane.u, plane.v, outlines=tuple(curves))
    if not curves:
        raise NotThere("the mask does not meet the slice; draw it there, or choose another slice (disc slices)")
    if roi.area < MINIMUM_AREA_MM2:
        raise NotMeasured("less than {least:g} mm2 of it on the slice; draw all of it", least=MINIMUM_AREA_MM2)
    return roi


def nearest_height(plane: SlicePlane, masks: Iterable[Mask]) -> float:
    """S in mm, below or above the plane's center, of the plane nearest to it on which one of the masks lies."""
    off = np.concatenate([(mask.row_ends - plane.center) @ plane.normal for mask in masks])
    return float(plane.center[2] + off[np.abs(off).argmin()] * plane.normal[2])


def _corners(curve: np.ndarray) -> np.ndarray:
    """A closed curve without repeated points and those that lie on the line between their neighbors."""
    curve = curve[np.abs(curve - np.roll(curve, 1, axis=0)).max(axis=1) > 1e-9]
    before, after = curve - np.roll(curve, 1, axis=0), np.roll(curve, -1, axis=0) - curve
    return curve[np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) > 1e-9]


def why_cut(roi: PlanarRoi, image: Image, mask: Mask | None) -> str:
    """Why a region's area does not count; "" where the region is whole.

    It reaches the image's outermost pixels or beyond, or the mask that it was placed on ends on a slice that is tilted against it.
    """
    what = "ROI" if roi.edited else "mask"
    if not is_inside(roi, image):
        return f"the {what} reaches beyond the image; {'move it back' if roi.edited else 'give the image that it was drawn on'}"
    ijk, last = image.grid.ijk(np.concatenate(roi.curves())), np.array(image.grid.shape)[::-1] - 1
    rim = np.where(np.arange(3) == axial_axis(image.grid), -0.25, 0.25)
    if np.any((ijk < rim) | (ijk > last - rim)):
        return f"the {what} reaches the edge of the image; give an image that shows all of it"
    if mask is not None and not roi.edited and _ends_on(roi, mask, image):
        return "the mask ends on the tilted slice; draw it on more slices, or measure on axial ones (slice plane)"
    return ""


def is_inside(roi: PlanarRoi, image: Image) -> bool:
    """Whether no part of a region lies beyond the image."""
    ijk = image.grid.ijk(np.concatenate(roi.curves()))
    return bool(np.all((ijk > -0.51) & (ijk < np.array(image.grid.shape)[::-1] - 0.49)))


def _ends_on(roi: PlanarRoi, mask: Mask, image: Image) -> bool:
    """Whether a plane that is none of the image's slices leaves a mask through its uppermost or lowest slice."""
    if abs(roi.normal @ image.grid.directions[:, axial_axis(image.grid)]) > _ALIGNED:
        return False
    axis = axial_axis(mask.grid)
    along = mask.grid.ijk(np.concatenate(roi.curves()))[:, axis]
    return bool(np.any((along < -0.25) | (along > mask.array.shape[2 - axis] - 0.75)))


def read_pixels(roi: PlanarRoi, image: Image) -> tuple[Mask, np.ndarray]:
    """The pixels whose centers lie in a region, one slice thick, and their values.

    They are those of the image where the region lies on a slice of it, else samples as far apart as its pixels. Values beyond the
    image are nan.
    """
    grid, axes = image.grid, np.stack([roi.u, roi.v], axis=1)
    along = [int(np.argmax(np.abs(axis @ grid.directions))) for axis in axes.T]
    if all(abs(axis @ grid.directions[:, n]) > _ALIGNED for axis, n in zip(axes.T, along)):
        step, phase = grid.spacing[along], (grid.ras(np.round(grid.ijk(roi.center))) - roi.center) @ axes
    else:
        step, phase = np.full(2, grid.spacing.min()), np.zeros(2)
    ends = np.concatenate(roi.curves() or [roi.center[None]]) - roi.center
    first, last = np.floor(((ends @ axes).min(axis=0) - phase) / step), np.ceil(((ends @ axes).max(axis=0) - phase) / step)
    u, v = (p + s * np.arange(a, b + 1) for p, s, a, b in zip(phase, step, first, last))
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([axes * step, roi.normal * grid.spacing[axial_axis(grid)]])
    affine[:3, 3] = roi.center + axes @ [u[0], v[0]]
    inside = Mask(roi.kind, roi.contains(u, v)[None], Grid((1, len(v), len(u)), affine))
    ijk = grid.ijk(inside.points)
    on_pixels = np.abs(ijk - np.round(ijk)).max(initial=0) < 0.01
    return inside, sample(image.array, grid, inside.points, order=0 if on_pixels else 1)


def _every_slice(stack) -> list[SlicePlane]:
    """A stack's own slices from the first to the last that any of its compartments' masks meets."""
    image, compartments = stack.images.main, list(stack.drawn.values())
    along = axial_axis(image.grid)
    index = np.concatenate([image.grid.ijk(mask.row_ends) for mask in compartments])
    inside = np.all((index > -0.5) & (index < np.array(image.grid.shape)[::-1] - 0.5), axis=1)
    if not inside.any():
        raise NotMeasured("the masks lie outside the image")
    middle, found = index[inside].mean(axis=0), []
    for n in np.unique(np.round(index[inside][:, along])):
        middle[along] = n
        found.append(image_plane(image, image.grid.ras(middle)))
    return found


def _inside(grid: Grid, point) -> bool:
    return bool(np.all((grid.ijk(point) > -0.5) & (grid.ijk(point) < np.array(grid.shape)[::-1] - 0.5)))


def _check_inside(grid: Grid, point) -> None:
    if not _inside(grid, point):
        raise NotMeasured("the disc lies outside the image; draw it on this one, or give its slice (disc slices)")


def _at_height(image: Image, point: np.ndarray, height: float) -> np.ndarray:
    """The point moved along the image's slice normal to ``height`` (S, mm)."""
    normal = image.grid.directions[:, axial_axis(image.grid)]
    return point + normal * (height - point[2]) / normal[2]
