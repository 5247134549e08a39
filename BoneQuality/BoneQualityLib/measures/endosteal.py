"""Where cortex ends inside a vertebral body, read from the image: the endosteal edge by sector.

A mask's surface follows the cortex only as well as its maker or network did. The mean HU against depth under the surface shows, in
this image, where the fall from cortex to cancellous bone ends; found by trial on masks too large, too small and coarse.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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
    """The endosteal edge of one body in one image, and what regions of it are made from.

    axes: right, anterior and superior as columns, RAS. depths: mm below the mask's surface at which the fall of HU ends, one for each
    sector; 0 where none was seen. sectors: which sector of the surface is nearest to every sample of the body's lattice, index into
    SECTORS, uint8 ``[k, j, i]``.
    slices, box: the part of the image around the body, and its lattice; voxel_depth, voxel_sector: at the centers of its voxels.
    """

    body: Body
    axes: np.ndarray
    depths: tuple[float, ...]
    sectors: np.ndarray
    slices: tuple[slice, slice, slice]
    box: Grid
    voxel_depth: np.ndarray
    voxel_sector: np.ndarray

    @cached_property
    def part_depth(self) -> np.ndarray:
        """Depth at the parts of 0.75 mm or less of every voxel of the box, mm, on its refined lattice."""
        return resample(self.body.depth, self.body.grid, self.box.refined(self.box.fine_factors()), outside=-100.0)

    @cached_property
    def part_clearance(self) -> np.ndarray | None:
        """mm from excluded structures, likewise; None without any."""
        if self.body.clearance is None:
            return None
        return resample(self.body.clearance, self.body.grid, self.box.refined(self.box.fine_factors()), outside=100.0)

    @property
    def steps(self) -> np.ndarray:
        """Extent of the image's voxels along the normal of each sector's surface, mm."""
        return _steps(self.axes, self.box)

    def begins(self, margin_mm: float) -> np.ndarray:
        """Depth at which a region begins by sector: the margin, or the edge where that is deeper."""
        return np.maximum(margin_mm, self.depths).astype(np.float32)

    def inside(self, begins: np.ndarray) -> np.ndarray:
        """mm inside the depths given by sector, positive inside, float32 on the body's lattice."""
        return self.body.depth - begins[self.sectors]


def read_endosteum(body: Body, image: Image, margin_mm: float, frame: Frame | None = None) -> Endosteum | None:
    """The endosteal edge of a body in an image; None for a cancellous region drawn by hand, which has none, or beside the image.

    frame: the vertebra's axes; without them the sectors are the patient's.
    """
    slices = image.grid.slices_around(body.mask.row_ends, pad=1)
    if body.covers == "cancellous" or slices is None:
        return None
    axes = np.eye(3) if frame is None else frame.axes
    sectors, box = sectors_of(body, axes), image.grid.box(slices)
    voxel_depth, voxel_sector = resample(body.depth, body.grid, box, outside=-100.0), nearest(sectors, body.grid, box)
    deepest = margin_mm + MOST_BEYOND_MARGIN_MM + 0.5 * _steps(axes, box)
    used = (voxel_depth > SHALLOWEST_MM) & (voxel_depth < deepest.max() + TREND_MM)
    if body.clearance is not None:
        used &= resample(body.clearance, body.grid, box, outside=100.0) > 0
    values = image.array[slices][used].astype(np.float64)
    known = image.holds_data(values)
    depth, of_sector, values = voxel_depth[used][known], voxel_sector[used][known], values[known]
    depths = (_edge(depth[of_sector == n], values[of_sector == n], most) for n, most in enumerate(deepest.tolist()))
    return Endosteum(body, axes, tuple(depths), sectors, slices, box, voxel_depth, voxel_sector)


def _steps(axes: np.ndarray, grid: Grid) -> np.ndarray:
    right, anterior, superior = (float(np.abs(axis @ grid.directions) @ grid.spacing) for axis in axes.T)
    return np.array([superior, superior, anterior, anterior, right, right])


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
