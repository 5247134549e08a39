"""The mid-sagittal section of a vertebral body: its outline, its four corners, and the endplates between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull

from ..errors import NotMeasured
from ..image.grid import Grid
from ..image.mask import Mask
from ..image.outlines import outlines
from .sides import meeting_point, smooth_side

if TYPE_CHECKING:
    from .frame import Frame

#: The section is the mean of planes up to HALF_WIDTH_MM to either side of the middle; on coarse masks of HALF_WIDTH_VOXELS, at most
#: WIDEST_MM, so that the steps of the voxels average out (loss of height on 2 mm voxels: 1.6 points of error for 2.0, RMS).
HALF_WIDTH_MM, HALF_WIDTH_VOXELS, WIDEST_MM = 3.0, 3.0, 6.0
ACROSS_MM, STEP_MM = 1.0, 0.25
#: What is thinner than twice OPENING_MM and reaches further than TIP_MM beyond the rest is an osteophyte; a corner's own tip is shorter.
#: (A corner of 39 degrees loses a tip of 3 mm; opening all corners alike would cost up to 1.3 mm of height.) On voxels over COARSE_MM
#: corners are single voxels, which two masks of one bone seldom share: those are opened by a voxel, 3 mm at most, tips and all.
OPENING_MM, TIP_MM, COARSE_MM, WIDEST_OPENING_MM = 1.5, 3.0, 2.0, 3.0
#: The piece of the section that is the body reaches into this distance of the frame's center, and not beyond the other one.
CORE_MM, REACH_MM = 12.0, 45.0
#: Extremes of the hull in this many directions are the candidates for its corners.
DIRECTIONS = 120
#: In cyclic order, with where each lies: anterior, superior.
CORNERS = {"upper anterior": (1, 1), "upper posterior": (-1, 1), "lower posterior": (-1, -1), "lower anterior": (1, -1)}
PLATES = ("upper", "lower")
#: The sides, by the corners where they begin and end. A corner lies at most this far beyond the mask, voxels: as much as voxels cut off
#: a right one. More would sharpen rims that are round. Corners and sides follow from each other in this many rounds;
#: none on voxels over COARSE_MM, where a side has too few of them.
SIDES = {name: (f"{name} posterior", f"{name} anterior") for name in PLATES} | {
    name: (f"lower {name}", f"upper {name}") for name in ("anterior", "posterior")
}
CORNER_BEYOND_VOXELS, ROUNDS = 0.5, 2


@dataclass(frozen=True, eq=False)
class MidsagittalSection:
    """The outline of a body on its mid-sagittal plane.

    Points are (anterior, superior) of the frame's center, mm: ``outline`` closed, (n, 2); ``corners`` by the names in CORNERS;
    ``upper`` and ``lower`` the endplates, from their posterior to their anterior corner, (n, 2). frame: whose plane it is.
    voxel_mm: the mask's longest voxel edge.
    """

    outline: np.ndarray
    corners: Mapping[str, np.ndarray]
    upper: np.ndarray
    lower: np.ndarray
    frame: Frame
    voxel_mm: float

    def ras(self, points: np.ndarray) -> np.ndarray:
        """RAS mm of points (..., 2) of the section."""
        return self.frame.center + np.asarray(points) @ np.stack([self.frame.anterior, self.frame.superior])


def midsagittal_section(mask: Mask, frame: Frame) -> MidsagittalSection:
    """The section of a mask of a body, or of a whole vertebra, whose arch lies apart from the body there.

    The 0.5 contour of the mask's mean over the slab around the plane through the frame's center along its anterior and superior
    axes, without osteophytes. The corners are those of the largest quadrilateral in the contour's hull, moved to where the sides
    between them meet once the voxels' steps are smoothed; the frame only names them, so that it may lean by 40 degrees.
    Raises NotMeasured where the mask does not meet the plane near the frame's center.
    """
    outline, first, share, start = _outline_and_corners(mask, frame)
    voxel_mm = float(mask.grid.spacing.max())
    distance = ndimage.distance_transform_edt(share < 0.5) * STEP_MM
    rimmed = mask.padded(1)
    corners, sides = dict(first), dict.fromkeys(SIDES)
    for _ in range(ROUNDS if voxel_mm <= COARSE_MM + 1e-6 else 0):
        sides = {
            name: smooth_side(
                rimmed,
                frame,
                _between(outline, first[begin], first[end]),
                corners[begin],
                corners[end],
                HALF_WIDTH_MM,
                name not in PLATES,
            )
            for name, (begin, end) in SIDES.items()
        }
        corners = {name: _corner(name, sides, corners[name], first[name], voxel_mm, distance, start) for name in corners}
    upper, lower = (_from_corner_to_corner(plate, sides[plate], corners, outline, first) for plate in PLATES)
    return MidsagittalSection(outline, corners, upper, lower, frame, voxel_mm)


def hull_corners(mask: Mask, frame: Frame) -> dict[str, np.ndarray]:
    """The corners of the largest quadrilateral in the section's hull, by the names in CORNERS: to about a voxel."""
    return _outline_and_corners(mask, frame)[1]


def _outline_and_corners(mask: Mask, frame: Frame) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Outline, corners of its hull, the mask's share on the section [z, y], and where that array begins (y, z), mm."""
    voxel_mm = float(mask.grid.spacing.max())
    grid = _slab(mask, frame, min(max(HALF_WIDTH_MM, HALF_WIDTH_VOXELS * voxel_mm), WIDEST_MM))
    start = (grid.ijk_to_ras[:3, 3] - frame.center) @ frame.axes[:, 1:]
    share = mask.on(grid).mean(axis=2)
    body = _without_osteophytes(_body_piece(share >= 0.5, -start[::-1] / STEP_MM), voxel_mm)
    near = ndimage.binary_dilation(body)
    outline = max(outlines(np.where(near, share, 0.0) - 0.5), key=_enclosed) * STEP_MM + start
    return outline, _corners(outline), share, start


def _corner(name: str, sides, now: np.ndarray, first: np.ndarray, voxel_mm: float, distance: np.ndarray, start) -> np.ndarray:
    """Where the two sides of a corner meet, drawn back toward its first place until it lies near enough to the mask."""
    one, other = (sides[side] for side in name.split())
    met = meeting_point(one, other, now, voxel_mm) if one is not None and other is not None else None
    if met is None:
        return first
    way = met + (first - met) * np.linspace(0, 1, 41)[:, None]
    column, row = np.clip(np.rint((way - start) / STEP_MM).astype(int), 0, np.array(distance.shape[::-1]) - 1).T
    is_near = distance[row, column] <= CORNER_BEYOND_VOXELS * voxel_mm
    return way[is_near.argmax()] if is_near.any() else first


def _from_corner_to_corner(plate: str, side: np.ndarray | None, corners, outline: np.ndarray, first) -> np.ndarray:
    """An endplate's curve with its corners as ends; the outline itself where no side was found."""
    begin, end = SIDES[plate]
    if side is None:
        side = _between(outline, first[begin], first[end])
    start, along = corners[begin], corners[end] - corners[begin]
    at = (side - start) @ along / (along @ along)
    return np.concatenate([start[None], side[(at > 0.01) & (at < 0.99)], corners[end][None]])


def _slab(mask: Mask, frame: Frame, half_width_mm: float) -> Grid:
    """Columns to the right, rows to anterior, layers upward, around all of the mask."""
    reach = (mask.grid.corners() - frame.center) @ frame.axes
    steps = np.array([ACROSS_MM, STEP_MM, STEP_MM])
    low, high = np.maximum(np.floor(reach.min(axis=0)) - 1, -REACH_MM), np.minimum(np.ceil(reach.max(axis=0)) + 1, REACH_MM)
    if np.any(low >= high):
        raise NotMeasured("no heights: the body does not lie on its mid-sagittal plane")
    planes = int(round(half_width_mm / ACROSS_MM))
    low[0], high[0] = -planes * ACROSS_MM, planes * ACROSS_MM
    affine = np.eye(4)
    affine[:3, :3] = frame.axes * steps
    affine[:3, 3] = frame.center + frame.axes @ low
    return Grid(tuple(int(n) for n in (np.round((high - low) / steps) + 1)[::-1]), affine)


def _body_piece(inside: np.ndarray, center: np.ndarray) -> np.ndarray:
    """The connected piece [z, y] with the most of what lies around the center (z, y)."""
    labels, count = ndimage.label(inside)
    rows, columns = np.indices(inside.shape)
    core = np.hypot(rows - center[0], columns - center[1]) * STEP_MM <= CORE_MM
    sizes = np.bincount(labels[core], minlength=count + 1)[1:]
    if not sizes.size or not sizes.max():
        raise NotMeasured("no heights: the body does not lie on its mid-sagittal plane")
    return labels == sizes.argmax() + 1


def _without_osteophytes(body: np.ndarray, voxel_mm: float) -> np.ndarray:
    is_coarse = voxel_mm > COARSE_MM + 1e-6
    opening, tip = (min(voxel_mm, WIDEST_OPENING_MM), 0.0) if is_coarse else (OPENING_MM, TIP_MM)
    depth = ndimage.distance_transform_edt(np.pad(body, 1))[1:-1, 1:-1] * STEP_MM
    opening = min(opening, 0.5 * depth.max())
    away = ndimage.distance_transform_edt(depth < opening) * STEP_MM - opening
    labels, count = ndimage.label(body & (away > 0), np.ones((3, 3)))
    reach = np.zeros(count + 1)
    reach[1:] = ndimage.maximum(away, labels, np.arange(1, count + 1))
    return _largest(body & (reach[labels] <= tip))


def _largest(pieces: np.ndarray) -> np.ndarray:
    labels, _ = ndimage.label(pieces)
    return labels == np.bincount(labels.ravel())[1:].argmax() + 1


def _enclosed(curve: np.ndarray) -> float:
    """Area within a closed curve."""
    x, y = curve.T
    return 0.5 * abs(x @ np.roll(y, 1) - y @ np.roll(x, 1))


def _corners(outline: np.ndarray) -> dict[str, np.ndarray]:
    """Corners of the largest quadrilateral in the hull, named by the order in which they follow each other."""
    hull = outline[ConvexHull(outline).vertices]
    angles = np.linspace(0, 2 * np.pi, DIRECTIONS, endpoint=False)
    hull = hull[np.unique((hull @ [np.cos(angles), np.sin(angles)]).argmax(axis=0))]
    if len(hull) < 4:
        raise NotMeasured("no heights: the body's section has no four corners")
    along = hull[None] - hull[:, None]
    aside = along[..., 0, None] * (hull[:, 1] - hull[:, None, None, 1]) - along[..., 1, None] * (
        hull[:, 0] - hull[:, None, None, 0]
    )
    area = aside.max(axis=2) - aside.min(axis=2)
    first, third = np.unravel_index(area.argmax(), area.shape)
    found = hull[[first, aside[first, third].argmin(), third, aside[first, third].argmax()]]
    away = found - found.mean(axis=0)
    found = found[np.argsort(np.arctan2(away[:, 1], away[:, 0]))]
    away, where = found - found.mean(axis=0), np.array(list(CORNERS.values()))
    turn = max(range(4), key=lambda n: np.sum(np.roll(away, n, axis=0) * where))
    return dict(zip(CORNERS, np.roll(found, turn, axis=0)))


def _between(outline: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The shorter way along the outline from one of its points to another."""
    first, last = (int(np.linalg.norm(outline - point, axis=1).argmin()) for point in (start, end))
    onward = np.roll(outline, -first, axis=0)
    count = (last - first) % len(outline)
    backward = np.concatenate([onward[:1], onward[count:][::-1]])
    return min(onward[: count + 1], backward, key=lambda way: np.linalg.norm(np.diff(way, axis=0), axis=1).sum())
