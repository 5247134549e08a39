"""A vertebra's own axes, and the vertebral body cut out of a whole vertebra's mask.

    cut = cut_body(whole, above, below, canal)
    frame = place_frame(cut.body, above, below, canal, cut.posterior)

Both read the mask by rays: along the superior axis to the endplates, and backward to the posterior wall, on lattices of about
1 mm that follow the vertebra and not the image. A ray ends where the trilinear share of the mask falls below one half.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from .errors import NotMeasured
from .geometry import ANTERIOR, SUPERIOR, Grid, Mask

#: Step of the lattices; half-length of rays along the superior axis; most a body reaches to either side of its middle, mm.
STEP_MM, HALF_HEIGHT_MM, HALF_WIDTH_MM = 1.0, 30, 34
#: Columns this close to the body's outline do not count for endplates (rounded edges, osteophytes); inside a whole vertebra only
#: those within CORE_REACH_MM of the body's middle do, where no arch is in the way.
RIM_MM, CORE_REACH_MM = 3.0, 10.0
#: Blur that makes the body the thickest place of a vertebra, and its middle that of its cross-section; least size of a foramen.
CORE_BLUR_MM, SECTION_BLUR_MM, SMALLEST_FORAMEN_MM2 = 6.0, 8.0, 60.0
#: Least scale of a fit's residuals, as a share of the voxel size.
STAIR_SHARE = 0.45
#: The posterior wall is bare of pedicles within BARE_MM of the midline. A ray that ends PEDICLE_MM behind the wall there is in a
#: pedicle, one within FREE_MM of the fitted wall is free. Corners turn forward by STEEPEST_CORNER at most, and flare out FLARE_MM.
BARE_MM, PEDICLE_MM, FREE_MM, STEEPEST_CORNER, FLARE_MM = 6.0, 5.0, 1.0, 1.5, 4
#: The cut runs WALL_SLACK_MM behind the fitted wall; pieces that reach less than BULGE_MM behind it belong to the body.
WALL_SLACK_MM, BULGE_MM, LEAST_POSTERIOR_MM3 = 0.7, 5.0, 500.0
#: What makes a frame doubtful: angles (tilt: against none, one or two neighbors), few columns, little of an endplate in its plane.
WIDEST_WEDGE_DEG, SYMMETRY_DEG, MOST_TILT_DEG = 25.0, 10.0, (np.inf, 25.0, 15.0)
FEWEST_COLUMNS, LEAST_FLAT_SHARE = 60, 0.4
#: What makes a cut doubtful: the body's volume, what bulges behind the wall, the difference of the halves over the whole.
BODY_MM3, MOST_BULGE_MM3, MOST_ASYMMETRY = (5000.0, 90000.0), 500.0, 0.2


@dataclass(frozen=True, eq=False)
class Frame:
    """A vertebra's axes: points RAS mm, directions unit vectors in RAS.

    superior: along the mean of the endplates' normals; anterior: perpendicular to it, from the canal or the posterior
    elements to the body. upper_normal, lower_normal: the endplates' own, both upward. anterior_from: "canal", "posterior
    elements" or "patient". uncertain: "" or why.
    """

    center: np.ndarray
    superior: np.ndarray
    anterior: np.ndarray
    upper_normal: np.ndarray
    lower_normal: np.ndarray
    anterior_from: str
    uncertain: str

    @property
    def right(self) -> np.ndarray:
        return np.cross(self.anterior, self.superior)

    @property
    def axes(self) -> np.ndarray:
        """Right, anterior and superior as columns: (RAS - center) @ axes are the coordinates in the vertebra."""
        return np.stack([self.right, self.anterior, self.superior], axis=1)


@dataclass(frozen=True, eq=False)
class BodyCut:
    """The vertebral body and the posterior elements, both on the lattice of the whole mask. doubt: "" or why."""

    body: Mask
    posterior: Mask
    doubt: str


class _Endplates(NamedTuple):
    """Two planes, their middle, and how well they fit: number of rays, share of them that end within 2 mm of the plane."""

    center: np.ndarray
    superior: np.ndarray
    upper_normal: np.ndarray
    lower_normal: np.ndarray
    height: float
    columns: int
    flat_share: float


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _degrees(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(first @ second, -1, 1))))


def _axes(superior: np.ndarray, anterior: np.ndarray) -> np.ndarray:
    """Right, anterior, superior as columns, out of an anterior that need not be perpendicular; the patient's where it is none."""
    anterior = anterior if np.linalg.norm(np.cross(anterior, superior)) > 1e-6 else ANTERIOR
    anterior = _unit(anterior - (anterior @ superior) * superior)
    return np.stack([np.cross(anterior, superior), anterior, superior], axis=1)


def _lattice(center: np.ndarray, axes: np.ndarray, low, high, step: float = STEP_MM) -> Grid:
    """Samples along ``axes`` from ``low`` to ``high`` (mm from the center along each)."""
    affine = np.eye(4)
    affine[:3, :3] = axes * step
    affine[:3, 3] = center + axes @ low
    return Grid(tuple(int(n) for n in np.round(np.subtract(high, low) / step)[::-1] + 1), affine)


def _reach(share: np.ndarray, entry: int = 0) -> np.ndarray:
    """Samples from layer 0 to where each column along axis 0 leaves the mask (fractions too); nan if not inside by ``entry``."""
    share = np.concatenate([share, np.zeros_like(share[:1])])
    inside = share >= 0.5
    begin = inside.argmax(axis=0)
    end = (~inside & (np.arange(len(share))[:, None, None] > begin)).argmax(axis=0)[None]
    inner, outer = (np.take_along_axis(share, end - back, axis=0) for back in (1, 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        reach = end - 1 + (inner - 0.5) / (inner - outer)
    return np.where(inside[: entry + 1].any(axis=0), reach[0], np.nan)


def _robust_fit(design: np.ndarray, values: np.ndarray, voxel_mm: float) -> tuple[np.ndarray, float]:
    """Coefficients by iteratively reweighted least squares (Tukey's biweight), and the share of values within 2 mm.

    Its scale is not let under the steps that voxels make of a slope, or the fit would settle on one of them.
    """
    weights = np.ones(len(values))
    for _ in range(12):
        weighted = (design * weights[:, None]).T
        coefficients = np.linalg.lstsq(weighted @ design, weighted @ values, rcond=None)[0]
        residual = np.abs(values - design @ coefficients)
        scale = max(1.4826 * float(np.median(residual)), STAIR_SHARE * voxel_mm)
        weights = np.maximum(1 - (residual / (4.685 * scale)) ** 2, 0) ** 2
    return coefficients, float(np.mean(residual < 2.0))


def _endplates(mask: Mask, center: np.ndarray, superior: np.ndarray, reach_mm: float) -> _Endplates:
    """One step toward the endplates: planes through the ends of all rays along ``superior`` within ``reach_mm`` of the center.

    A pit, a rim or an osteophyte takes part with little or no weight. Raises NotMeasured where no ray is inside.
    """
    axes = _axes(superior, ANTERIOR if abs(superior @ ANTERIOR) < 0.9 else SUPERIOR)
    half = min(reach_mm, HALF_WIDTH_MM)
    share = mask.on(_lattice(center, axes, [-half, -half, -HALF_HEIGHT_MM], [half, half, HALF_HEIGHT_MM]))
    middle = len(share) // 2
    y, x = np.indices(share.shape[1:]) * STEP_MM - half
    rim = ndimage.distance_transform_edt(np.pad(share[middle] >= 0.5, 1))[1:-1, 1:-1] * STEP_MM
    used = (np.hypot(x, y) <= reach_mm) & (rim > min(RIM_MM, 0.5 * rim.max()))
    if rim.max() < RIM_MM or np.count_nonzero(used) < 6:
        raise NotMeasured("the endplates cannot be found in the mask")
    design = np.column_stack([np.ones(used.sum()), x[used], y[used]])
    (upper, upper_share), (lower, lower_share) = (
        _robust_fit(design, side * _reach(rays)[used] * STEP_MM, max(mask.grid.spacing))
        for side, rays in ((1, share[middle:]), (-1, share[middle::-1]))
    )
    normals = [_unit(axes @ [-slope_x, -slope_y, 1]) for _, slope_x, slope_y in (upper, lower)]
    here = design[:, 1:].mean(axis=0)
    z = [plane[0] + plane[1:] @ here for plane in (upper, lower)]
    middle = center + axes @ [*here, (z[0] + z[1]) / 2]
    return _Endplates(middle, _unit(sum(normals)), *normals, z[0] - z[1], len(design), min(upper_share, lower_share))


def _level_out(mask: Mask, center: np.ndarray, superior: np.ndarray, reach_mm: float) -> _Endplates:
    """The endplates' planes, the superior axis turned until it is their mean normal."""
    for _ in range(8):
        found = _endplates(mask, center, superior, reach_mm)
        turned = _degrees(found.superior, superior)
        superior = found.superior
        center = found.center if np.isinf(reach_mm) else center + superior * (superior @ (found.center - center))
        if turned < 0.2:
            break
    return found


def _start(center: np.ndarray, above: np.ndarray | None, below: np.ndarray | None) -> np.ndarray:
    """Superior axis to begin with: along the neighbors, else the patient's."""
    if above is None and below is None:
        return SUPERIOR
    along = np.asarray(center if above is None else above) - np.asarray(center if below is None else below)
    return _unit(along) if np.linalg.norm(along) > 1 else SUPERIOR  # masks of one place under two names


def _beside(mask: Mask | None, ends: _Endplates) -> np.ndarray | None:
    """Centroid of the part of a canal or cord mask at the level of the body."""
    if mask is None:
        return None
    offset = mask.points - ends.center
    level = (np.abs(offset @ ends.superior) < max(ends.height / 2, 3)) & (np.linalg.norm(offset, axis=1) < 60)
    return mask.points[level].mean(axis=0) if np.count_nonzero(level) > 3 else None


def place_frame(
    body: Mask, above: np.ndarray | None, below: np.ndarray | None, canal: Mask | None, posterior: Mask | None
) -> Frame:
    """The axes of a vertebral body.

    above, below: RAS centers of the neighboring bodies, where there are any; they give the superior axis to begin with and
    check it. canal: spinal canal, sac or cord; posterior: the vertebra's posterior elements.
    Raises NotMeasured where the mask is too thin to show endplates.
    """
    ends = _level_out(_averaged(body, STEP_MM), body.center, _start(body.center, above, below), np.inf)
    behind, anterior_from = _beside(canal, ends), "canal"
    if behind is None and posterior is not None and posterior.array.any():
        behind, anterior_from = posterior.center, "posterior elements"
    forward = np.zeros(3) if behind is None else ends.center - behind
    if np.linalg.norm(np.cross(forward, ends.superior)) <= 0.2 * np.linalg.norm(forward):
        behind, anterior_from = ends.center - ANTERIOR, "patient"
    anterior = _axes(ends.superior, ends.center - behind)[:, 1]
    frame = Frame(ends.center, ends.superior, anterior, ends.upper_normal, ends.lower_normal, anterior_from, "")
    return replace(frame, uncertain=_uncertain(frame, ends, _turn_to_symmetry(body, frame), above, below))


def _turn_to_symmetry(body: Mask, frame: Frame) -> float:
    """Degrees about the superior axis after which the body's cross-section is most like its mirror image; at most 20."""
    section = body.on(_lattice(frame.center, frame.axes, [-34, -34, -4], [34, 34, 4], 2.0)).mean(axis=0)
    middle, half = np.array(ndimage.center_of_mass(section)), (np.array(section.shape) - 1) / 2
    turns, unlike = np.arange(-20, 21, 2), []
    for angle in np.radians(turns):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        turned = ndimage.affine_transform(section, turn, middle - turn @ half, order=1)
        unlike.append(np.abs(turned - turned[:, ::-1]).sum())
    return float(turns[np.argmin(unlike)])


def _uncertain(frame: Frame, ends: _Endplates, turn_deg: float, above, below) -> str:
    wedge = _degrees(frame.upper_normal, frame.lower_normal)
    neighbors = (above is not None) + (below is not None)
    tilt = _degrees(frame.superior, _start(frame.center, above, below)) if neighbors else 0.0
    reasons = {
        f"the endplates are {wedge:.0f} degrees apart": wedge > WIDEST_WEDGE_DEG,
        f"the endplates are tilted {tilt:.0f} degrees against the neighbors": tilt > MOST_TILT_DEG[neighbors],
        "the endplates are small": ends.columns < FEWEST_COLUMNS,
        "an endplate is not flat": ends.flat_share < LEAST_FLAT_SHARE,
        f"the body's symmetry turns anterior by {abs(turn_deg):.0f} degrees": abs(turn_deg) > SYMMETRY_DEG,
    }
    return "; ".join(reason for reason, holds in reasons.items() if holds)


def body_middle(whole: Mask) -> np.ndarray:
    """RAS of the body's middle within a whole vertebra's mask, to about 2 mm: its thickest place."""
    coarse = _averaged(whole, 2.0)
    return _thickest(coarse.array, coarse.grid, CORE_BLUR_MM)


def cut_body(whole: Mask, above: np.ndarray | None, below: np.ndarray | None, canal: Mask | None) -> BodyCut:
    """The vertebral body out of a whole vertebra's mask: pedicles, arch and processes are cut off at the posterior wall.

    above, below, canal: as in place_frame. A mask of a body alone comes back whole.
    """
    shares, core = _averaged(whole, STEP_MM), body_middle(whole)
    ends = _level_out(shares, core, _start(core, above, below), CORE_REACH_MM)
    section = _lattice(ends.center, _axes(ends.superior, ANTERIOR), [-34, -34, -2], [34, 34, 2])
    center = _thickest(shares.on(section), section, SECTION_BLUR_MM)
    ends = _level_out(shares, center, ends.superior, CORE_REACH_MM)
    behind = _beside(canal, ends)
    if behind is None:
        behind = _foramen(shares, ends)
    axes = _axes(ends.superior, ends.center - (whole.center if behind is None else behind))
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


def _averaged(mask: Mask, step_mm: float) -> Mask:
    """The mask as shares, 0 to 1 and float32, on a lattice as near to ``step_mm`` as whole voxels come."""
    factors = np.maximum(np.round(step_mm / mask.grid.spacing - 0.01), 1).astype(int)
    pad = -np.array(mask.array.shape) % factors[::-1]
    array = np.pad(mask.array, [(0, n) for n in pad]).astype(np.float32)
    k, j, i = np.array(array.shape) // factors[::-1]
    array = array.reshape(k, factors[2], j, factors[1], i, factors[0]).mean(axis=(1, 3, 5))
    return Mask(mask.name, array, Grid(array.shape, mask.grid.refined(1 / factors).ijk_to_ras))


def _thickest(share: np.ndarray, grid: Grid, blur_mm: float) -> np.ndarray:
    """RAS of the thickest place: a body is a vertebra's largest lump, fractured or not."""
    smooth = ndimage.gaussian_filter(share, blur_mm / grid.spacing[::-1], mode="constant")
    return grid.ras(np.unravel_index(smooth.argmax(), smooth.shape)[::-1])


def _foramen(whole: Mask, ends: _Endplates) -> np.ndarray | None:
    """RAS of the vertebral foramen: the hole in the mask's shadow along the superior axis; None where the ring is open.

    In the shadow pedicles and laminae, which lie at different heights, close to a ring.
    """
    axes, step = _axes(ends.superior, ANTERIOR), 1.5
    grid = _lattice(ends.center, axes, [-60, -75, -ends.height / 2 - 15], [60, 60, ends.height / 2], step)
    shadow = (whole.on(grid) >= 0.5).any(axis=0)
    holes, _ = ndimage.label(ndimage.binary_fill_holes(shadow) & ~shadow)
    sizes = np.bincount(holes.ravel(), minlength=2)[1:] * step**2
    if sizes.max() < SMALLEST_FORAMEN_MM2:
        return None
    y, x = ndimage.center_of_mass(holes == sizes.argmax() + 1)
    return ends.center + axes[:, :2] @ (np.array([x, y]) * step - [60, 75])


def _wall(whole: Mask, ends: _Endplates, axes: np.ndarray) -> np.ndarray:
    """The posterior wall's y over z (rows) and x (columns), mm, on a lattice of 1 mm around the center.

    Where no pedicle is, rays backward from the body's middle end at the wall: its shape along z is read in the middle, over
    the foramen, its shape along x in what is free of pedicles, mostly the body's lower half.
    """
    low = np.array([-HALF_WIDTH_MM, -HALF_WIDTH_MM, -HALF_HEIGHT_MM])
    share = whole.on(_lattice(ends.center, axes, low, low * [-1, 0, -1]))[:, ::-1].transpose(1, 0, 2)
    z, x = (np.arange(n) * STEP_MM - (n - 1) * STEP_MM / 2 for n in share.shape[1:])
    columns, core = np.abs(x) <= BARE_MM, np.abs(z) <= max(ends.height / 2 - 2, 2)
    ahead = _reach(share)
    depths = ahead[np.ix_(core, columns)]
    if np.isnan(depths).all():
        raise NotMeasured("the posterior wall cannot be found in the mask")
    depth = np.nanmedian(depths)
    y = -_reach(share, int(depth - RIM_MM)) * STEP_MM
    middle = np.where(np.abs(y + depth) < PEDICLE_MM, y, np.nan)[:, columns]
    rows = ndimage.binary_erosion(np.isfinite(middle).mean(axis=1) > 0.5, iterations=2) | (core & np.isfinite(middle).any(axis=1))
    ok = np.isfinite(middle) & rows[:, None]
    terms = np.stack([np.ones_like(z), z / 10, (z / 10) ** 2], axis=1)
    along, _ = _robust_fit(np.repeat(terms, columns.sum(), axis=0)[ok.ravel()], middle[ok], max(whole.grid.spacing))
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
