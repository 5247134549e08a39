"""Heights of a vertebral body, how much of them is lost, and the grade of fracture that this suggests.

Genant HK et al., J Bone Miner Res 1993;8:1137-48: wedge, biconcave and crush deformities, graded by the height lost. The grade
is a suggestion to a reader; it excludes nothing by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..errors import NotMeasured
from ..image.grid import Grid, least_squares
from ..image.resampling import resample
from ..parameters import LEVELS
from ..vertebra.body import Body
from ..vertebra.frame import Frame

#: Where each height is taken: shares of the depth from the posterior wall.
BANDS = {"anterior": (0.80, 0.95), "middle": (0.40, 0.60), "posterior": (0.05, 0.20)}
SHAPES = {"anterior": "wedge", "middle": "biconcave", "posterior": "crush"}
HALF_WIDTH_MM = 3.0
ACROSS_MM, STEP_MM = 1.0, 0.25
#: The endplates' smooth surfaces: how far to either side (mm) and over which share of the depth they are fitted,
FIT_HALF_WIDTH_MM, FIT_SHARE = 13.0, 0.95
#: and the powers of x and y in them.
FIT_POWERS = (*((0, j) for j in range(5)), (1, 0), (1, 1), (2, 0), (2, 2), (4, 0))
#: An endplate rises toward the rim by no more than this (mm a mm); what is steeper is an osteophyte's lip.
STEEPEST_ENDPLATE = 1.5
#: A wall is followed over this share of its height, clear of the lips at its two ends.
WALL_SHARE = 0.8
DEEPEST_WAIST_MM = 4.0
#: How far within a wall its own height is read, mm.
INSIDE_WALL_MM = 1.0
#: How far from its edge an endplate is read, mm.
RIM_MM = 0.5
#: Share of the lines across that must meet the body, and share of those in a band that must meet it away from its edges.
FEWEST_LINES, FEWEST_OF_BAND = 0.5, 0.3
COARSEST_GRADED_MM = 2.0
#: Neighbors further away than this, in levels, say nothing of a vertebra's height.
FURTHEST_NEIGHBOR = 3
#: The lowest lumbar vertebra is naturally lower behind: it and the one above are no measure of each other.
LOWEST = ("L5", "L6")


@dataclass(frozen=True, eq=False)
class Heights:
    """Heights of a body in its mid-sagittal plane, mm.

    lines: for "anterior", "middle" and "posterior" the lower and the upper end of the height, RAS mm, shape (2, 3).
    """

    anterior: float
    middle: float
    posterior: float
    lines: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class HeightLoss:
    """The largest loss of height of a vertebra.

    percent: 0 where no height is below its reference. where: "anterior", "middle" or "posterior". grade: 0 to 3, None where
    none is suggested. shape: "wedge", "biconcave" or "crush" from grade 1 on, else "".
    """

    percent: float
    where: str
    grade: int | None
    shape: str


@dataclass(frozen=True, eq=False)
class _Section:
    """The middle of a body, on a lattice along its own axes: ``field`` [z, y, x] is mm below the surface."""

    field: np.ndarray
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray

    @property
    def central(self) -> np.ndarray:
        """Which of the lines across lie in the mid-sagittal slab."""
        return np.abs(self.x) <= HALF_WIDTH_MM


def is_coarse(body: Body) -> bool:
    """Whether the mask's voxels are too long for a grade: over 2 mm."""
    return float(body.mask.grid.spacing.max()) > COARSEST_GRADED_MM + 1e-6


def measure_heights(body: Body, frame: Frame) -> Heights:
    """Anterior, middle and posterior height: mean distance of the endplates along the vertebra's superior axis, within 3 mm of its
    mid-sagittal plane and over the shares of the depth in BANDS.

    frame: the vertebra's center and its unit axes right, anterior and superior, RAS. Its center need only lie on the
    mid-sagittal plane.

    Osteophytes are left out in two ways. The depth runs between the walls as their middle 80 % of height shows them: parabolas
    of one waist for both walls (a collapsed wall is too low to show its own), read at the height of the rims, where a lip may
    stand. And an endplate counts from the middle outward only as far as it rises less steeply than a lip does.

    Raises NotMeasured where the mask is not that of a whole body, or does not lie on the frame's mid-sagittal plane.
    """
    if body.covers == "cancellous":
        raise NotMeasured("no heights: a mask of cancellous bone does not show the endplates")
    section = _section(body, frame)
    lower, upper = _both_crossings(section.field, section.z)
    plates = [-_without_lips(-lower), _without_lips(upper)]
    back, front = _walls(section, *(_mean_of_lines(plate[:, section.central]) for plate in plates))
    half_voxel = 0.5 * float(np.abs(frame.superior @ body.mask.grid.ijk_to_ras[:3, :3]).max())
    values, lines = {}, {}
    plates = [np.where(_away_from_rim(plate), plate, np.nan) for plate in plates]
    smooth = [_smooth(plate, section, back, front) for plate in plates]
    for name, shares in BANDS.items():
        start, end = (back + share * (front - back) for share in shares)
        inside = (section.y >= start) & (section.y <= end)
        ends = []
        for plate, surface in zip(plates, smooth):
            seen, fitted = plate[inside][:, section.central], surface[inside][:, section.central]
            known = np.isfinite(seen)
            if not known.size or known.mean() < FEWEST_OF_BAND:
                raise NotMeasured(f"no heights: the {name} part of the body is missing in its mid-sagittal plane")
            beyond = float((seen - fitted)[known].mean())
            ends.append(float(fitted.mean()) + np.sign(beyond) * max(abs(beyond) - half_voxel, 0.0))
        values[name] = float(ends[1] - ends[0])
        lines[name] = frame.center + 0.5 * (start + end) * frame.anterior + np.outer(ends, frame.superior)
    return Heights(**values, lines=lines)


def _section(body: Body, frame: Frame) -> _Section:
    axes = np.stack([frame.right, frame.anterior, frame.superior], axis=1)
    reach = (body.grid.corners() - frame.center) @ axes
    x = np.arange(-FIT_HALF_WIDTH_MM, FIT_HALF_WIDTH_MM + 0.1, ACROSS_MM)
    y, z = (np.arange(np.floor(reach[:, n].min()), reach[:, n].max(), STEP_MM) for n in (1, 2))
    affine = np.eye(4)
    affine[:3, :3] = axes * [ACROSS_MM, STEP_MM, STEP_MM]
    affine[:3, 3] = frame.center + axes @ [x[0], y[0], z[0]]
    field = resample(body.depth, body.grid, Grid((len(z), len(y), len(x)), affine), outside=-100.0)
    if not (field > 0).any():
        raise NotMeasured("no heights: the body does not lie on its mid-sagittal plane")
    return _Section(field, x, y, z)


def _first_crossing(field: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Where ``field`` first becomes positive along its first axis, by linear interpolation; nan where it never does."""
    inside = field > 0
    after = np.maximum(np.argmax(inside, axis=0), 1)[None]
    outer, inner = (np.take_along_axis(field, index, axis=0)[0].astype(float) for index in (after - 1, after))
    share = np.divide(outer, outer - inner, out=np.zeros_like(outer), where=outer != inner)
    return np.where(inside.any(axis=0), positions[after[0] - 1] + share * (positions[1] - positions[0]), np.nan)


def _both_crossings(field: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _first_crossing(field, positions), _first_crossing(field[::-1], positions[::-1])


def _mean_of_lines(crossings: np.ndarray) -> np.ndarray:
    """Mean over the lines across (last axis); nan where fewer than half of them meet the body."""
    known = np.isfinite(crossings)
    mean = np.where(known, crossings, 0).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1)
    return np.where(known.mean(axis=-1) >= FEWEST_LINES, mean, np.nan)


def _without_lips(plate: np.ndarray) -> np.ndarray:
    """An endplate [y, x], outward positive, that rises no more than STEEPEST_ENDPLATE going outward from its middle."""
    middle = int(np.median(np.nonzero(np.isfinite(plate).any(axis=1))[0]))
    rise = (STEEPEST_ENDPLATE * STEP_MM * np.arange(len(plate)))[:, None]
    limited = plate.copy()
    for part in (limited[middle:], limited[middle::-1]):
        slope = rise[: len(part)]
        part[:] = np.where(np.isfinite(part), np.fmin.accumulate(part - slope, axis=0) + slope, np.nan)
    return limited


def _away_from_rim(plate: np.ndarray) -> np.ndarray:
    """Which lines meet the endplate away from its edge, where a mask's corner is blunt."""
    steps = int(np.ceil(RIM_MM / STEP_MM)), int(np.ceil(RIM_MM / ACROSS_MM))
    known = np.pad(np.isfinite(plate), ((steps[0], steps[0]), (0, 0)))
    known = ndimage.minimum_filter(known, size=(2 * steps[0] + 1, 2 * steps[1] + 1), mode="nearest")
    return known[steps[0] : -steps[0]]


def _smooth(plate: np.ndarray, section: _Section, back: float, front: float) -> np.ndarray:
    """An endplate as a smooth surface: polynomials of its height, of fourth degree along y.

    A mask gives a nearly level endplate in steps of a voxel; the surface finds its place from the steps' edges.
    """
    y, x = ((section.y - back) / (front - back) * 2 - 1)[:, None], section.x / FIT_HALF_WIDTH_MM
    terms = np.stack([x**i * y**j for i, j in FIT_POWERS], axis=-1)
    used = np.isfinite(plate) & (np.abs(y) <= FIT_SHARE)
    if np.count_nonzero(used) < 10 * len(FIT_POWERS):
        raise NotMeasured("no heights: the body does not lie on its mid-sagittal plane")
    return np.einsum("yxt,t->yx", terms, least_squares(terms[used], plate[used]))


def _walls(section: _Section, lower: np.ndarray, upper: np.ndarray) -> tuple[float, float]:
    """Positions along y of the posterior and the anterior wall at the height of the rims, without osteophytes."""
    walls = _both_crossings(np.moveaxis(section.field, 1, 0), section.y)
    seen = np.isfinite(upper)
    known = section.y[seen]
    rims = known[[0, -1]] + 0.15 * (known[-1] - known[0]) * np.array([1, -1])
    inset = 0.0
    for _ in range(4):
        ends = [[np.interp(y, known, plate[seen]) for plate in (lower, upper)] for y in (rims[0] + inset, rims[1] - inset)]
        between = seen & (section.y >= rims[0]) & (section.y <= rims[1])
        tallest = 0.5 * (upper - lower)[between].max()
        middles, bend = _waist(walls, section, ends)
        lean = min(max(bend * tallest**2, 0.0), DEEPEST_WAIST_MM)
        rims, inset = middles + lean * np.array([-1, 1]), lean + INSIDE_WALL_MM
    return float(rims[0]), float(rims[1])


def _waist(walls, section: _Section, ends) -> tuple[np.ndarray, float]:
    """Positions of both walls [z, x] on the midline at the middle of their own height, and their common bend outward (mm a mm2).

    Least squares; across, each wall is a parabola of its own.
    """
    rows, positions = [], []
    for side, (wall, (low, high)) in enumerate(zip(walls, ends)):
        height, x = np.meshgrid(section.z - 0.5 * (low + high), section.x, indexing="ij")
        used = (np.abs(height) <= 0.5 * WALL_SHARE * (high - low)) & np.isfinite(wall)
        if np.count_nonzero(used) < 3 * len(section.x):
            raise NotMeasured("no heights: the body's walls are missing in its mid-sagittal plane")
        terms = np.zeros((np.count_nonzero(used), 7))
        terms[:, 3 * side : 3 * side + 3] = np.stack([np.ones_like(x), x, x**2], axis=-1)[used]
        terms[:, 6] = (2 * side - 1) * height[used] ** 2
        rows.append(terms)
        positions.append(wall[used])
    solved = least_squares(np.concatenate(rows), np.concatenate(positions))
    return solved[[0, 3]], float(solved[6])


def grade_of(percent: float) -> int:
    """Genant grade of a loss: under 20 % 0, from 20 % 1, from 25 % 2, over 40 % 3."""
    percent = round(percent, 6)
    return int(percent >= 20) + int(percent >= 25) + int(percent > 40)


def grade_losses(
    heights: Mapping[str, Heights], broken: Collection[str] = (), coarse: bool = False, defects: Collection[str] = ()
) -> dict[str, HeightLoss]:
    """The largest loss of each level and the grade it suggests.

    Anterior and middle height are held against the body's own posterior height; the posterior one against a line between those
    of the nearest intact neighbors above and below, or that of the only one.

    heights: by level. broken: levels known as fractured, cemented or otherwise no reference for others; a level that has lost
    20 % or more by itself is none either. coarse: voxels over 2 mm, no grade at all. defects: levels with an
    ``endplate-defect``, not graded.
    """
    losses = {level: _own_losses(heights[level]) for level in heights}
    intact = {level for level, loss in losses.items() if level not in broken and grade_of(max(loss.values())) == 0}
    while True:
        for level in heights:
            reference = _posterior_reference(level, heights, intact)
            if reference:
                losses[level]["posterior"] = _loss(heights[level].posterior, reference)
        crushed = {level for level in intact if grade_of(losses[level].get("posterior", 0.0))}
        if not crushed:
            break
        intact -= crushed
    return {level: _graded(loss, coarse or level in defects) for level, loss in losses.items()}


def _loss(height: float, reference: float) -> float:
    return 100 * (1 - height / reference)


def _own_losses(heights: Heights) -> dict[str, float]:
    return {name: _loss(getattr(heights, name), heights.posterior) for name in ("anterior", "middle")}


def _graded(losses: dict[str, float], ungraded: bool) -> HeightLoss:
    where = max(losses, key=losses.get)
    percent = max(losses[where], 0.0)
    grade = None if ungraded else grade_of(percent)
    return HeightLoss(percent, where, grade, SHAPES[where] if grade else "")


def _posterior_reference(level: str, heights: Mapping[str, Heights], intact: Collection[str]) -> float | None:
    """Posterior height that the nearest intact neighbors of ``level`` interpolate, mm; None where there is no fit neighbor."""
    order = [name for name in LEVELS if name in heights or name not in ("T13", "L6", "S1")]
    at = order.index(level)
    close = {n - at: name for n, name in enumerate(order) if 0 < abs(n - at) <= FURTHEST_NEIGHBOR}
    near = {n: name for n, name in close.items() if name in intact and name != "S1"}
    above, below = max((n for n in near if n < 0), default=None), min((n for n in near if n > 0), default=None)
    if above is not None and below is not None:
        return float(np.interp(0, [above, below], [heights[near[n]].posterior for n in (above, below)]))
    if level in LOWEST or (above is None and below is None):
        return None
    only = near[below if above is None else above]
    return None if only in LOWEST else heights[only].posterior
