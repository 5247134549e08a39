"""The sides of a body in its mid-sagittal section as smooth curves, without the steps of the mask's voxels.

A mask's surface is known to half a voxel. Where an endplate lies almost along the lattice, the surface of the mask is a stair whose
steps are wider than the bands in which heights are read, and the corners of a section are cut by about half a voxel. A side is
therefore fitted to the mask's surface far to both sides of the section, moved by half a voxel at most, and meets its neighbor where
both, continued straight, cross.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import BSpline

from ..image.grid import Grid
from ..image.mask import Mask
from ..image.resampling import resample

if TYPE_CHECKING:
    from .frame import Frame

#: Rays onto an endplate start this far to both sides of the section and those onto a wall this far, mm: a wall bends more. An endplate
#: flush with the lattice may lie within one layer of voxels over the whole section; only its steps further out tell how it is dished.
ENDPLATE_HALF_WIDTH_MM, WALL_HALF_WIDTH_MM = 15.0, 5.0
#: Distance of the rays along a side and across the section, and of samples along a ray; how far rays start beyond the outline.
ALONG_MM, ACROSS_MM, RAY_MM, BEYOND_MM = 1.0, 2.0, 0.4, 3.5
#: Nearer than this to a corner the mask's surface is that of the corner: mm, or voxels where that is more.
CORNER_MM, CORNER_VOXELS = 1.0, 0.5
#: Cubic B-splines over this many intervals follow an endplate; STIFFNESS weighs their second differences.
INTERVALS, STIFFNESS = 6, 0.01
#: No point is moved further than this many voxels off the mask's surface.
MOST_MOVED_VOXELS = 0.5
#: Least scale of the fit's residuals, voxels; Tukey's biweight leaves out what is 4.7 times as far off.
STAIR_VOXELS, BIWEIGHT, ROUNDS = 0.45, 4.685, 6
#: A side is continued by the slope of its last mm, and this far: mm and voxels.
SLOPE_MM, FURTHEST_MM, FURTHEST_VOXELS = 2.0, 3.0, 1.5


def smooth_side(
    mask: Mask, frame: Frame, line: np.ndarray, start: np.ndarray, end: np.ndarray, half_width_mm: float, is_wall: bool
):
    """A side of a section between two corners as a smooth curve, (n, 2); None where the mask shows too little of it.

    mask: with a rim of empty voxels. line: the section's outline there, (n, 2); start, end: its corners. half_width_mm: of the
    section, over which the curve is the mean. Points are (anterior, superior) of the frame's center, mm.
    """
    length = float(np.linalg.norm(end - start))
    along = (end - start) / max(length, 1e-9)
    outward = np.array([-along[1], along[0]])
    outward *= np.sign(outward @ (start + end)) or 1.0
    voxel_mm = float(mask.grid.spacing.max())
    margin = max(CORNER_MM, CORNER_VOXELS * voxel_mm)
    shares = np.arange(margin, length - margin + 1e-6, ALONG_MM)
    if len(shares) < INTERVALS // 2:
        return None
    across = WALL_HALF_WIDTH_MM if is_wall else ENDPLATE_HALF_WIDTH_MM
    across = np.arange(-across, across + 0.1, ACROSS_MM)
    surface = _surface(mask, frame, start, np.stack([along, outward]), shares, across, (line - start) @ outward)
    fitted = _fitted(surface, shares, across, voxel_mm, half_width_mm, is_wall)
    return None if fitted is None else start + shares[:, None] * along + fitted[:, None] * outward


def _surface(mask: Mask, frame: Frame, start, axes, shares, across, line_heights) -> np.ndarray:
    """Height of the mask's surface over the chord as seen from outside, mm, [across, along]; nan where a ray meets none."""
    plane = np.stack([frame.anterior, frame.superior])
    along, outward = axes @ plane
    high, low = max(line_heights.max(), 0) + BEYOND_MM, min(line_heights.min(), 0) - BEYOND_MM
    count = int(np.ceil((high - low) / RAY_MM)) + 1
    affine = np.eye(4)
    affine[:3, :3] = np.stack([-RAY_MM * outward, ALONG_MM * along, ACROSS_MM * frame.right], axis=1)
    affine[:3, 3] = frame.center + start @ plane + high * outward + shares[0] * along + across[0] * frame.right
    share = resample(mask.array, mask.grid, Grid((len(across), len(shares), count), affine))
    first = (share >= 0.5).argmax(axis=2)
    is_met = (first > 0) & (share >= 0.5).any(axis=2)
    inner, outer = (np.take_along_axis(share, np.maximum(first - back, 0)[..., None], 2)[..., 0] for back in (0, 1))
    back = np.divide(inner - 0.5, inner - outer, out=np.zeros_like(inner), where=inner != outer)
    return np.where(is_met, high - RAY_MM * (first - back), np.nan)


def _fitted(surface, shares, across, voxel_mm: float, half_width_mm: float, is_wall: bool) -> np.ndarray | None:
    """Heights of the smooth side at ``shares``, the mean over the section's width."""
    is_met = np.isfinite(surface)
    if np.count_nonzero(is_met) < 3 * INTERVALS:
        return None
    t = (shares - shares[0]) / np.ptp(shares)
    u = 2 * t - 1
    own = np.stack([u**n for n in range(3)], axis=1) if is_wall else _splines(t)
    aside = np.stack([u**n for n in range(2 if is_wall else 3)], axis=1)
    row, column = np.nonzero(is_met)
    x, heights = across[row, None] / 10, surface[is_met]
    terms = np.hstack([own[column], x * aside[column], x**2 * aside[column]])
    penalty = np.zeros((terms.shape[1],) * 2)
    if not is_wall:
        second = np.diff(np.eye(own.shape[1]), 2, axis=0)
        penalty[: own.shape[1], : own.shape[1]] = STIFFNESS * len(heights) / INTERVALS * second.T @ second
    penalty += 1e-9 * len(heights) * np.eye(len(penalty))
    weights = np.ones(len(heights))
    for _ in range(ROUNDS):
        weighted = (terms * weights[:, None] ** 2).T
        coefficients = np.linalg.solve(weighted @ terms + penalty, weighted @ heights)
        residual = np.abs(heights - terms @ coefficients)
        scale = max(1.4826 * float(np.median(residual)), STAIR_VOXELS * voxel_mm)
        weights = np.maximum(1 - (residual / (BIWEIGHT * scale)) ** 2, 0)
    smooth = own @ coefficients[: own.shape[1]] + half_width_mm**2 / 300 * aside @ coefficients[-aside.shape[1] :]
    near = np.where(is_met, surface, 0.0)[np.abs(across) <= half_width_mm + 0.1]
    count = is_met[np.abs(across) <= half_width_mm + 0.1].sum(axis=0)
    mean = np.divide(near.sum(axis=0), count, out=smooth.copy(), where=count > 0)
    return np.clip(smooth, mean - MOST_MOVED_VOXELS * voxel_mm, mean + MOST_MOVED_VOXELS * voxel_mm)


def _splines(t: np.ndarray) -> np.ndarray:
    """Cubic B-splines over INTERVALS equal parts of 0 to 1, (n, INTERVALS + 3)."""
    knots = np.arange(-3, INTERVALS + 4) / INTERVALS
    return BSpline(knots, np.eye(INTERVALS + 3), 3)(np.clip(t, 0, 1))


def meeting_point(one: np.ndarray, other: np.ndarray, near: np.ndarray, voxel_mm: float) -> np.ndarray | None:
    """Where two sides, continued straight, cross: of several places that next to ``near``; None where they do not."""
    by = FURTHEST_MM + FURTHEST_VOXELS * voxel_mm
    one, other = _continued(one, by), _continued(other, by)
    first, second = np.diff(one, axis=0)[:, None], np.diff(other, axis=0)[None]
    between = other[None, :-1] - one[:-1, None]
    area = _cross(first, second)
    with np.errstate(divide="ignore", invalid="ignore"):
        t, u = _cross(between, second) / area, _cross(between, first) / area
    row, column = np.nonzero((t >= 0) & (t <= 1) & (u >= 0) & (u <= 1))
    if not len(row):
        return None
    places = one[row] + t[row, column][:, None] * first[row, 0]
    return places[np.linalg.norm(places - near, axis=1).argmin()]


def _cross(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]


def _continued(curve: np.ndarray, by_mm: float) -> np.ndarray:
    count = min(max(int(round(SLOPE_MM / ALONG_MM)), 1), len(curve) - 1)
    ends = []
    for end, inner in ((curve[0], curve[count]), (curve[-1], curve[-1 - count])):
        ends.append(end + (end - inner) / max(np.linalg.norm(end - inner), 1e-9) * by_mm)
    return np.concatenate([ends[:1], curve, ends[1:]])
