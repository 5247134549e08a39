"""Where cortex ends inside a vertebral body, read from the image: the endosteal edge by sector.

A mask's surface follows the cortex only as well as its maker or network did. The mean HU against depth under the surface shows, in
this image, where the fall from cortex to cancellous bone ends; found by trial on masks too large, too small and coarse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..image.grid import Grid
from ..image.image import Image
from ..image.resampling import nearest, resample
from ..vertebra.body import Body
from ..vertebra.frame import Frame

SECTORS = ("upper", "lower", "anterior", "posterior", "right", "left")
#: Where the profile begins, mm, its bins, and how close two are joined; a bin counts with at least FEWEST_VOXELS.
SHALLOWEST_MM, STEP_MM, CLOSE_MM, FEWEST_VOXELS = -1.0, 0.5, 0.35, 6
#: Cortex falls toward cancellous bone by more than this; a gradient of cancellous bone itself stays below, or goes on in the
#: TREND_MM beneath and is taken off (with a share for its own error). A step counts if it falls by so much more than its own noise
#: explains (standard errors), and if the bone beneath lies lower for good.
FALL_HU_PER_MM, TREND_MM, TREND_SHARE, NOISE_ERRORS, LASTING_HU = 20.0, 3.0, 1.5, 2.0, 8.0
#: Cortex ends at most so much deeper than the margin (and half a voxel more, as depths are those of voxels' centers).
MOST_BEYOND_MARGIN_MM = 3.0


@dataclass(frozen=True, eq=False)
class Endosteum:
    """The endosteal edge of one body.

    axes: right, anterior and superior as columns, RAS.
    sectors: for every sample of the body's lattice which sector of the surface is nearest, index into SECTORS, uint8 ``[k, j, i]``.
    depths: mm below the mask's surface at which the fall of HU ends, one for each sector; 0 where none was seen.
    """

    axes: np.ndarray
    sectors: np.ndarray
    depths: tuple[float, ...]

    def steps(self, grid: Grid) -> dict[str, float]:
        """Extent of a lattice's voxels along the normal of each sector's surface, mm."""
        return _steps(self.axes, grid)

    def begins(self, margin_mm: float) -> dict[str, float]:
        """Depth at which a region begins by sector: the margin, or the edge where that is deeper."""
        return {name: max(margin_mm, depth) for name, depth in zip(SECTORS, self.depths)}

    def inside(self, body: Body, begins: dict[str, float]) -> np.ndarray:
        """mm inside the depths given by sector, positive inside, float32 on the body's lattice."""
        return body.depth - np.array([begins[name] for name in SECTORS], np.float32)[self.sectors]


def read_endosteum(body: Body, image: Image, margin_mm: float, frame: Frame | None = None) -> Endosteum | None:
    """The endosteal edge of a body in an image; None for a cancellous region drawn by hand, which has none, or beside the image.

    frame: the vertebra's axes; without them the sectors are the patient's.
    """
    slices = image.grid.slices_around(body.mask.row_ends, pad=1)
    if body.covers == "cancellous" or slices is None:
        return None
    axes = np.eye(3) if frame is None else frame.axes
    sectors, box = sectors_of(body, axes), image.grid.box(slices)
    depth = resample(body.depth, body.grid, box, outside=-100.0)
    deepest = margin_mm + MOST_BEYOND_MARGIN_MM + 0.5 * np.array([*_steps(axes, image.grid).values()])
    used = (depth > SHALLOWEST_MM) & (depth < deepest.max() + TREND_MM)
    if body.clearance is not None:
        used &= resample(body.clearance, body.grid, box, outside=100.0) > 0
    values = image.array[slices][used].astype(np.float64)
    known = image.holds_data(values)
    depth, of_sector = depth[used][known], nearest(sectors, body.grid, box)[used][known]
    values = values[known]
    edges = (_edge(depth[of_sector == n], values[of_sector == n], most) for n, most in enumerate(deepest.tolist()))
    return Endosteum(axes, sectors, tuple(edges))


def _steps(axes: np.ndarray, grid: Grid) -> dict[str, float]:
    right, anterior, superior = (float(np.abs(axis @ grid.directions) @ grid.spacing) for axis in axes.T)
    return dict(zip(SECTORS, (superior, superior, anterior, anterior, right, right)))


def sectors_of(body: Body, axes: np.ndarray) -> np.ndarray:
    """Which part of the surface is nearest to every sample of the body's lattice, by the direction in which depth falls.

    axes: the vertebra's right, anterior and superior as columns. Returns indices into SECTORS, uint8.
    """
    uphill = np.gradient(body.depth, *body.grid.spacing[::-1].astype(np.float32))[::-1]
    right, front, up = (
        sum(np.float32(-part) * slope for part, slope in zip(axis @ body.grid.directions, uphill)) for axis in axes.T
    )
    across, along, over = np.abs(right), np.abs(front), np.abs(up)
    wall = np.where(across > along, 4 + (right < 0), 2 + (front < 0))
    return np.where(over >= np.maximum(across, along), up < 0, wall).astype(np.uint8)


def _edge(depth: np.ndarray, values: np.ndarray, deepest: float) -> float:
    """Depth, at most ``deepest``, at which the deepest steep fall of the mean value ends; 0 where there is none."""
    at, mean, error, count = _profile(depth, values)
    beneath = at > deepest
    trend = max(-np.polyfit(at[beneath], mean[beneath], 1, w=np.sqrt(count[beneath]))[0], 0) if beneath.sum() > 2 else 0.0
    steepest = FALL_HU_PER_MM + TREND_SHARE * trend
    for n in range(len(at) - 2, -1, -1):
        if at[n] >= deepest:
            continue
        further = (at > at[n]) & (at <= at[n + 1] + TREND_MM)
        lasting = np.average(mean[further] + trend * (at[further] - at[n]), weights=count[further])
        falls = mean[n] - mean[n + 1] - NOISE_ERRORS * np.hypot(error[n], error[n + 1]) > steepest * (at[n + 1] - at[n])
        if falls and mean[n] - lasting > max(NOISE_ERRORS * error[n], LASTING_HU):
            return float(np.clip(at[n + 1], 0, deepest))
    return 0.0


def _profile(depth: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean depth, mean value, its standard error, and number of voxels of every bin with enough of them.

    Voxel centers of a coarse lattice crowd at a few depths: bins whose mean depths lie close to each other count as one.
    """
    bins = ((depth - SHALLOWEST_MM) / STEP_MM).astype(int)
    sums = np.stack([np.bincount(bins, w) for w in (np.ones(len(depth)), depth.astype(np.float64), values, np.square(values))])
    joined = []
    for column in sums[:, sums[0] > 0].T:
        if joined and column[1] / column[0] - joined[-1][1] / joined[-1][0] < CLOSE_MM:
            joined[-1] = joined[-1] + column
        else:
            joined.append(column)
    count, *sums = np.array([column for column in joined if column[0] >= FEWEST_VOXELS] or np.empty((0, 4))).reshape(-1, 4).T
    at, mean, square = (total / count for total in sums)
    return at, mean, np.sqrt(np.maximum(square - mean**2, 0) / count), count
