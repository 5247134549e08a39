"""The vertebral body cut out of a whole vertebra's mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..errors import NotMeasured
from ..image.grid import ANTERIOR, Grid
from ..image.mask import Mask
from .frame import (
    CORE_REACH_MM,
    HALF_HEIGHT_MM,
    HALF_WIDTH_MM,
    RIM_MM,
    STEP_MM,
    Endplates,
    averaged,
    axes_of,
    beside,
    first_frame,
    lattice_of,
    level_out,
    reach_of,
    robust_fit,
)

#: Blur that makes the body the thickest place of a vertebra, and its middle that of its cross-section; least size of a foramen.
CORE_BLUR_MM, SECTION_BLUR_MM, SMALLEST_FORAMEN_MM2 = 6.0, 8.0, 60.0
#: The posterior wall is bare of pedicles within BARE_MM of the midline. A ray that ends PEDICLE_MM behind the wall there is in a
#: pedicle, one within FREE_MM of the fitted wall is free. Corners turn forward by STEEPEST_CORNER at most, and flare out FLARE_MM.
BARE_MM, PEDICLE_MM, FREE_MM, STEEPEST_CORNER, FLARE_MM = 6.0, 5.0, 1.0, 1.5, 4
#: The cut runs WALL_SLACK_MM behind the fitted wall; pieces that reach less than BULGE_MM behind it belong to the body.
WALL_SLACK_MM, BULGE_MM, LEAST_POSTERIOR_MM3 = 0.7, 5.0, 500.0
#: What makes a cut doubtful: the body's volume, what bulges behind the wall, the difference of the halves over the whole.
BODY_MM3, MOST_BULGE_MM3, MOST_ASYMMETRY = (5000.0, 90000.0), 500.0, 0.2


@dataclass(frozen=True, eq=False)
class BodyCut:
    """The vertebral body and the posterior elements, both on the lattice of the whole mask. doubt: "" or why."""

    body: Mask
    posterior: Mask
    doubt: str


def body_middle(whole: Mask) -> np.ndarray:
    """RAS of the body's middle within a whole vertebra's mask, to about 2 mm: its thickest place."""
    coarse = averaged(whole, 2.0)
    return _thickest(coarse.array, coarse.grid, CORE_BLUR_MM)


def cut_body(whole: Mask, above: np.ndarray | None, below: np.ndarray | None, canal: Mask | None) -> BodyCut:
    """The vertebral body out of a whole vertebra's mask: pedicles, arch and processes are cut off at the posterior wall.

    above, below, canal: as in place_frame. A mask of a body alone comes back whole.
    """
    shares, core = averaged(whole, STEP_MM), body_middle(whole)
    ends = level_out(shares, core, first_frame(core, above, below), CORE_REACH_MM)
    section = lattice_of(ends.center, axes_of(ends.superior, ANTERIOR), [-34, -34, -2], [34, 34, 2])
    center = _thickest(shares.on(section), section, SECTION_BLUR_MM)
    ends = level_out(shares, center, ends.superior, CORE_REACH_MM)
    behind = beside(canal, ends)
    if behind is None:
        behind = _foramen(shares, ends)
    axes = axes_of(ends.superior, ends.center - (whole.center if behind is None else behind))
    wall = _wall(shares, ends, axes)
    index = np.argwhere(whole.array)
    local = (whole.grid.ras(index[:, ::-1]) - ends.center) @ axes
    column = (local[:, [2, 0]] + [HALF_HEIGHT_MM, HALF_WIDTH_MM]) / STEP_MM
    ahead = local[:, 1] - ndimage.map_coordinates(wall, column.T, order=1, mode="nearest")
    part = _divide(whole, index, ahead)
    body, posterior = np.zeros((2, *whole.array.shape), bool)
    body[tuple(index[part].T)] = posterior[tuple(index[~part].T)] = True
    volume, bulge = (np.count_nonzero(voxels) * whole.grid.voxel_volume for voxels in (part, part & (ahead < -2 * FREE_MM)))
    doubts = {
        f"the body has {volume / 1000:.1f} cm3": not BODY_MM3[0] < volume < BODY_MM3[1],
        f"{bulge / 1000:.1f} cm3 of the body lie behind its posterior wall": bulge > MOST_BULGE_MM3,
        "the body's halves differ in size": abs(np.mean(np.sign(local[part, 0]))) > MOST_ASYMMETRY,
        "neither a canal nor a closed foramen shows the midline": behind is None and not part.all(),
    }
    doubt = "; ".join(doubt for doubt, holds in doubts.items() if holds)
    return BodyCut(Mask(whole.name, body, whole.grid), Mask(whole.name, posterior, whole.grid), doubt)


def _thickest(share: np.ndarray, grid: Grid, blur_mm: float) -> np.ndarray:
    """RAS of the thickest place: a body is a vertebra's largest lump, fractured or not."""
    smooth = ndimage.gaussian_filter(share, blur_mm / grid.spacing[::-1], mode="constant")
    return grid.ras(np.unravel_index(smooth.argmax(), smooth.shape)[::-1])


def _foramen(whole: Mask, ends: Endplates) -> np.ndarray | None:
    """RAS of the vertebral foramen: the hole in the mask's shadow along the superior axis; None where the ring is open.

    In the shadow pedicles and laminae, which lie at different heights, close to a ring.
    """
    axes, step = axes_of(ends.superior, ANTERIOR), 1.5
    grid = lattice_of(ends.center, axes, [-60, -75, -ends.height / 2 - 15], [60, 60, ends.height / 2], step)
    shadow = (whole.on(grid) >= 0.5).any(axis=0)
    holes, _ = ndimage.label(ndimage.binary_fill_holes(shadow) & ~shadow)
    sizes = np.bincount(holes.ravel(), minlength=2)[1:] * step**2
    if sizes.max() < SMALLEST_FORAMEN_MM2:
        return None
    y, x = ndimage.center_of_mass(holes == sizes.argmax() + 1)
    return ends.center + axes[:, :2] @ (np.array([x, y]) * step - [60, 75])


def _wall(whole: Mask, ends: Endplates, axes: np.ndarray) -> np.ndarray:
    """The posterior wall's y over z (rows) and x (columns), mm, on a lattice of 1 mm around the center.

    Where no pedicle is, rays backward from the body's middle end at the wall: its shape along z is read in the middle, over
    the foramen, its shape along x in what is free of pedicles, mostly the body's lower half.
    """
    low = np.array([-HALF_WIDTH_MM, -HALF_WIDTH_MM, -HALF_HEIGHT_MM])
    share = whole.on(lattice_of(ends.center, axes, low, low * [-1, 0, -1]))[:, ::-1].transpose(1, 0, 2)
    z, x = (np.arange(n) * STEP_MM - (n - 1) * STEP_MM / 2 for n in share.shape[1:])
    columns, core = np.abs(x) <= BARE_MM, np.abs(z) <= max(ends.height / 2 - 2, 2)
    ahead = reach_of(share)
    depths = ahead[np.ix_(core, columns)]
    if np.isnan(depths).all():
        raise NotMeasured("the posterior wall cannot be found in the mask")
    depth = np.nanmedian(depths)
    y = -reach_of(share, int(depth - RIM_MM)) * STEP_MM
    middle = np.where(np.abs(y + depth) < PEDICLE_MM, y, np.nan)[:, columns]
    rows = ndimage.binary_erosion(np.isfinite(middle).mean(axis=1) > 0.5, iterations=2) | (core & np.isfinite(middle).any(axis=1))
    ok = np.isfinite(middle) & rows[:, None]
    terms = np.stack([np.ones_like(z), z / 10, (z / 10) ** 2], axis=1)
    along, _ = robust_fit(np.repeat(terms, columns.sum(), axis=0)[ok.ravel()], middle[ok], max(whole.grid.spacing))
    trend = (np.clip(z, *z[rows][[0, -1]])[:, None] / 10) ** [0, 1, 2] @ along[:, None]
    aside = y - trend
    profile = _profile(x, np.where(aside > -PEDICLE_MM, aside, np.nan)[rows])
    own = np.where(aside > np.minimum(profile, 0) - FREE_MM, aside, np.nan)
    wide = ndimage.binary_dilation(np.isfinite(ahead[core]).any(axis=0), iterations=FLARE_MM)
    return np.where(wide, trend + np.fmin(profile, own), HALF_WIDTH_MM)


def _profile(x: np.ndarray, free: np.ndarray) -> np.ndarray:
    """The wall's shape over x, from rays free of pedicles (rows: z; nan where there is one), as mm ahead of its middle.

    A column hidden by a pedicle at all heights is taken from the other side, else from its neighbor toward the midline.
    """
    known = np.isfinite(free).sum(axis=0) >= max(3, 0.15 * len(free))
    profile = np.where(x == 0, 0.0, np.nan)
    profile[known] = np.nanmedian(free[:, known], axis=0)
    profile = np.where(np.isnan(profile), profile[::-1], profile)
    for side in (profile[len(x) // 2 :], profile[len(x) // 2 :: -1]):
        nearest = np.maximum.accumulate(np.where(np.isfinite(side), np.arange(len(side)), 0))
        steepest = np.arange(len(side)) * STEP_MM * STEEPEST_CORNER
        side[:] = np.minimum.accumulate(side[nearest] - steepest) + steepest
    return ndimage.gaussian_filter1d(profile, 1.0, mode="nearest")


def _divide(whole: Mask, index: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """Which of the mask's voxels are the body: its largest piece ahead of the wall, and pieces that only bulge behind it."""
    where = tuple(index.T)
    labels = np.zeros(whole.array.shape, bool)
    labels[where] = ahead > -WALL_SLACK_MM
    if not labels.any():
        raise NotMeasured("the body cannot be found in the mask")
    front = ndimage.label(labels)[0][where]
    body = front == np.bincount(front)[1:].argmax() + 1
    labels[where] = ~body
    rest, count = ndimage.label(labels)
    rest = rest[where]
    reach = -np.asarray(ndimage.minimum(ahead, rest, np.arange(1, count + 1)))
    body |= np.isin(rest, 1 + np.flatnonzero(reach < BULGE_MM))
    return body | (np.count_nonzero(~body) * whole.grid.voxel_volume < LEAST_POSTERIOR_MM3)
