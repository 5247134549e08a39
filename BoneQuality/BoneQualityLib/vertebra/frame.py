"""A vertebra's own axes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ..errors import NotMeasured, Sentence
from ..image.grid import ANTERIOR, SUPERIOR, Grid, cross
from ..image.mask import Mask
from .midsagittal import hull_corners

#: Step of the lattices; half-length of rays along the superior axis; most a body reaches to either side of its middle, mm.
STEP_MM, HALF_HEIGHT_MM, HALF_WIDTH_MM = 1.0, 30, 34
#: Columns this close to the body's outline do not count for endplates (rounded edges, osteophytes); inside a whole vertebra only
#: those within CORE_REACH_MM of the body's middle do, where no arch is in the way.
RIM_MM, CORE_REACH_MM = 3.0, 10.0
#: Least scale of a fit's residuals, as a share of the voxel size.
STAIR_SHARE = 0.45
#: What makes a frame doubtful: angles (tilt: against none, one or two neighbors), few columns, little of an endplate in its plane.
WIDEST_WEDGE_DEG, SYMMETRY_DEG, MOST_TILT_DEG = 25.0, 10.0, (np.inf, 25.0, 15.0)
FEWEST_COLUMNS, LEAST_FLAT_SHARE = 60, 0.4
#: A body is wedged to the front from the first angle between its endplates on, and for sure from the second: of a wedge one endplate
#: has collapsed and the other stands, so that their mean leans, by half of the angle; the posterior wall does not.
WEDGED_DEG = (6.0, 12.0)


@dataclass(frozen=True, eq=False)
class Frame:
    """A vertebra's axes: points RAS mm, directions unit vectors in RAS.

    superior: along the mean of the endplates' normals, of a body that is wedged to the front along its posterior wall; anterior: perpendicular to it, from the canal or the posterior
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
        return cross(self.anterior, self.superior)

    @property
    def axes(self) -> np.ndarray:
        """Right, anterior and superior as columns: (RAS - center) @ axes are the coordinates in the vertebra."""
        return np.stack([self.right, self.anterior, self.superior], axis=1)


class Endplates(NamedTuple):
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


def axes_of(superior: np.ndarray, anterior: np.ndarray) -> np.ndarray:
    """Right, anterior, superior as columns, out of an anterior that need not be perpendicular; the patient's where it is none."""
    anterior = next(each for each in (anterior, ANTERIOR, SUPERIOR) if np.linalg.norm(cross(each, superior)) > 1e-6)
    anterior = _unit(anterior - (anterior @ superior) * superior)
    return np.stack([cross(anterior, superior), anterior, superior], axis=1)


def lattice_of(center: np.ndarray, axes: np.ndarray, low, high, step: float = STEP_MM) -> Grid:
    """Samples along ``axes`` from ``low`` to ``high`` (mm from the center along each)."""
    affine = np.eye(4)
    affine[:3, :3] = axes * step
    affine[:3, 3] = center + axes @ low
    return Grid(tuple(int(n) for n in np.round(np.subtract(high, low) / step)[::-1] + 1), affine)


def reach_of(share: np.ndarray, entry: int = 0) -> np.ndarray:
    """Samples from layer 0 to where each column along axis 0 leaves the mask (fractions too); nan if not inside by ``entry``."""
    share = np.concatenate([share, np.zeros_like(share[:1])])
    inside = share >= 0.5
    begin = inside.argmax(axis=0)
    end = (~inside & (np.arange(len(share))[:, None, None] > begin)).argmax(axis=0)[None]
    inner, outer = (np.take_along_axis(share, end - back, axis=0) for back in (1, 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        reach = end - 1 + (inner - 0.5) / (inner - outer)
    return np.where(inside[: entry + 1].any(axis=0), reach[0], np.nan)


def robust_fit(design: np.ndarray, values: np.ndarray, voxel_mm: float) -> tuple[np.ndarray, float]:
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


def _endplates(mask: Mask, center: np.ndarray, superior: np.ndarray, reach_mm: float) -> Endplates:
    """One step toward the endplates: planes through the ends of all rays along ``superior`` within ``reach_mm`` of the center.

    A pit, a rim or an osteophyte takes part with little or no weight. Raises NotMeasured where no ray is inside.
    """
    axes = axes_of(superior, ANTERIOR if abs(superior @ ANTERIOR) < 0.9 else SUPERIOR)
    half = min(reach_mm, HALF_WIDTH_MM)
    share = mask.on(lattice_of(center, axes, [-half, -half, -HALF_HEIGHT_MM], [half, half, HALF_HEIGHT_MM]))
    middle = len(share) // 2
    y, x = np.indices(share.shape[1:]) * STEP_MM - half
    rim = ndimage.distance_transform_edt(np.pad(share[middle] >= 0.5, 1))[1:-1, 1:-1] * STEP_MM
    used = (np.hypot(x, y) <= reach_mm) & (rim > min(RIM_MM, 0.5 * rim.max()))
    if rim.max() < RIM_MM or np.count_nonzero(used) < 6:
        raise NotMeasured("the endplates cannot be found in the mask")
    design = np.column_stack([np.ones(used.sum()), x[used], y[used]])
    (upper, upper_share), (lower, lower_share) = (
        robust_fit(design, side * reach_of(rays)[used] * STEP_MM, max(mask.grid.spacing))
        for side, rays in ((1, share[middle:]), (-1, share[middle::-1]))
    )
    normals = [_unit(axes @ [-slope_x, -slope_y, 1]) for _, slope_x, slope_y in (upper, lower)]
    here = design[:, 1:].mean(axis=0)
    z = [plane[0] + plane[1:] @ here for plane in (upper, lower)]
    middle = center + axes @ [*here, (z[0] + z[1]) / 2]
    return Endplates(middle, _unit(sum(normals)), *normals, z[0] - z[1], len(design), min(upper_share, lower_share))


def level_out(mask: Mask, center: np.ndarray, superior: np.ndarray, reach_mm: float) -> Endplates:
    """The endplates' planes, the superior axis turned until it is their mean normal."""
    for _ in range(8):
        found = _endplates(mask, center, superior, reach_mm)
        turned = _degrees(found.superior, superior)
        superior = found.superior
        center = found.center if np.isinf(reach_mm) else center + superior * (superior @ (found.center - center))
        if turned < 0.2:
            break
    return found


def first_frame(center: np.ndarray, above: np.ndarray | None, below: np.ndarray | None) -> np.ndarray:
    """Superior axis to begin with: along the neighbors, else the patient's."""
    if above is None and below is None:
        return SUPERIOR
    along = np.asarray(center if above is None else above) - np.asarray(center if below is None else below)
    return _unit(along) if np.linalg.norm(along) > 1 else SUPERIOR  # masks of one place under two names


def beside(mask: Mask | None, ends: Endplates) -> np.ndarray | None:
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
    ends = level_out(averaged(body, STEP_MM), body.center, first_frame(body.center, above, below), np.inf)
    behind, anterior_from = beside(canal, ends), "canal"
    if behind is None and posterior is not None and posterior.array.any():
        behind, anterior_from = posterior.center, "posterior elements"
    forward = np.zeros(3) if behind is None else ends.center - behind
    if np.linalg.norm(cross(forward, ends.superior)) <= 0.2 * np.linalg.norm(forward):
        behind, anterior_from = ends.center - ANTERIOR, "patient"
    anterior = axes_of(ends.superior, ends.center - behind)[:, 1]
    frame = Frame(ends.center, ends.superior, anterior, ends.upper_normal, ends.lower_normal, anterior_from, "")
    frame = _along_the_posterior_wall(body, frame)
    return replace(frame, uncertain=_uncertain(frame, ends, _turn_to_symmetry(body, frame), above, below))


def _along_the_posterior_wall(body: Mask, frame: Frame) -> Frame:
    """The frame of a wedged body turned in its sagittal plane to the line between the posterior corners; others as they are.

    The turn stays within the two endplates' normals, and sets in gradually.
    """
    forward, back = (np.degrees(np.arcsin(normal @ frame.anterior)) for normal in (frame.upper_normal, frame.lower_normal))
    share = np.clip((forward - back - WEDGED_DEG[0]) / (WEDGED_DEG[1] - WEDGED_DEG[0]), 0, 1)
    if share == 0:
        return frame
    try:
        corners = hull_corners(body, frame)
    except NotMeasured:
        return frame
    wall = corners["upper posterior"] - corners["lower posterior"]
    lean = share * np.clip(np.degrees(np.arctan2(wall[0], wall[1])), back, forward)
    cosine, sine = np.cos(np.radians(lean)), np.sin(np.radians(lean))
    superior, anterior = frame.superior, frame.anterior
    return replace(frame, superior=cosine * superior + sine * anterior, anterior=cosine * anterior - sine * superior)


def _turn_to_symmetry(body: Mask, frame: Frame) -> float:
    """Degrees about the superior axis after which the body's cross-section is most like its mirror image; at most 20."""
    section = body.on(lattice_of(frame.center, frame.axes, [-34, -34, -4], [34, 34, 4], 2.0)).mean(axis=0)
    middle, half = np.array(ndimage.center_of_mass(section)), (np.array(section.shape) - 1) / 2
    turns, unlike = np.arange(-20, 21, 2), []
    for angle in np.radians(turns):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        turned = ndimage.affine_transform(section, turn, middle - turn @ half, order=1)
        unlike.append(np.abs(turned - turned[:, ::-1]).sum())
    return float(turns[np.argmin(unlike)])


def _uncertain(frame: Frame, ends: Endplates, turn_deg: float, above, below) -> str:
    wedge = _degrees(frame.upper_normal, frame.lower_normal)
    neighbors = (above is not None) + (below is not None)
    tilt = _degrees(frame.superior, first_frame(frame.center, above, below)) if neighbors else 0.0
    reasons = {
        Sentence("the endplates are {degrees:.0f} degrees apart", degrees=wedge): wedge > WIDEST_WEDGE_DEG,
        Sentence("the endplates are tilted {degrees:.0f} degrees against the neighbors", degrees=tilt): tilt > MOST_TILT_DEG[neighbors],
        "the endplates are small": ends.columns < FEWEST_COLUMNS,
        "an endplate is not flat": ends.flat_share < LEAST_FLAT_SHARE,
        Sentence("the body's symmetry turns anterior by {degrees:.0f} degrees", degrees=abs(turn_deg)): abs(turn_deg) > SYMMETRY_DEG,
    }
    return Sentence.joined(reason for reason, holds in reasons.items() if holds)


def averaged(mask: Mask, step_mm: float) -> Mask:
    """The mask as shares, 0 to 1 and float32, on a lattice as near to ``step_mm`` as whole voxels come."""
    factors = np.maximum(np.round(step_mm / mask.grid.spacing - 0.01), 1).astype(int)
    pad = -np.array(mask.array.shape) % factors[::-1]
    array = np.pad(mask.array, [(0, n) for n in pad]).astype(np.float32)
    k, j, i = np.array(array.shape) // factors[::-1]
    array = array.reshape(k, factors[2], j, factors[1], i, factors[0]).mean(axis=(1, 3, 5))
    return Mask(mask.name, array, Grid(array.shape, mask.grid.refined(1 / factors).ijk_to_ras))
