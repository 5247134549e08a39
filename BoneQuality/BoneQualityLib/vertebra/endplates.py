"""Height maps of a body's two endplates, and the pits and breaks that they show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..errors import NotMeasured
from ..image.grid import Grid
from ..image.resampling import resample
from .body import Body
from .frame import Frame, lattice_of, robust_fit

ENDPLATES = ("upper", "lower")
#: Distance of the map's columns, mm.
STEP_MM = 1.0
#: Columns nearer than this to the outline of the body's middle (CORE_MM to either side of its mid-plane) are not judged: the rim is
#: blunt, osteophytes stand there, and behind it stumps of pedicles.
RIM_MM, RIM_VOXELS, CORE_MM = 4.0, 1.5, 3.0
#: A smooth endplate is a polynomial of this degree in both directions: enough for a dish, a wedge and a biconcave body.
DEGREE = 4
#: A pit lies this far below the smooth endplate (at least, and mm plus voxels) and is at least this large; a break is a step of this
#: height within STEP_REACH_MM, over this much of the endplate. Found on 400 phantoms of 0.7 to 3 mm voxels: intact, wedged and biconcave
#: endplates reach 0.5 mm + 0.4 voxels and 0.2 mm + 1 voxel; pits 3.5 to 8 mm deep exceed the step at 2.6 mm (2 mm voxels) and up.
PIT_MM, PIT_MM_AND_VOXELS, PIT_MM2 = 2.0, (1.0, 0.6), 12.0
#: A hole is a pit with walls all around: columns whose slope is at least WALL_SLOPE (mm per mm; gaps of 2 mm closed) enclose at least HOLE_MM2.
#: It is deeper than one step of the voxels: on slices of 5 mm such a step can close to a ring by itself.
#: Pits of 8 to 25 mm, 5 to 11 mm deep, on voxels of 0.9 and 1.5 mm do so; of 200 wedged, biconcave and crushed bodies none.
WALL_SLOPE, HOLE_MM2, HOLE_MM_AND_VOXELS = 1.25, 10.0, (0.5, 1.0)
BREAK_MM, BREAK_MM_AND_VOXELS, STEP_REACH_MM, BREAK_MM2 = 2.5, (1.2, 0.9), 2.0, 12.0


@dataclass(frozen=True, eq=False)
class EndplateMap:
    """An endplate's height over the vertebra's mid-plane.

    height: mm outward from the frame's center along its superior axis, positive away from the body's middle, float [y, x]; nan
    where the column does not meet the body. smooth: the same of the smooth endplate fitted to it. judged: bool, the columns
    clear of the rim. grid: the lattice of the columns in the mid-plane, shape (1, y, x).
    """

    height: np.ndarray
    smooth: np.ndarray
    judged: np.ndarray
    grid: Grid
    voxel_mm: float

    @property
    def below(self) -> np.ndarray:
        """mm that the endplate lies below the smooth one; 0 where it is not judged."""
        return np.where(self.judged, self.smooth - self.height, 0.0)


@dataclass(frozen=True, eq=False)
class EndplateDefect:
    """A pit or a break in an endplate.

    kind: "pit", "hole" (a pit of any size with steep walls all around) or "break". depth_mm: how far it lies below the smooth
    endplate or the hole's rim, or how high the step is. area_mm2: of the
    endplate; share: of what is judged of it. center: RAS mm of its middle, in the vertebra's mid-plane. columns: bool [y, x], the
    columns of the endplate's map that lie in it; grid: their lattice.
    """

    kind: str
    depth_mm: float
    area_mm2: float
    share: float
    center: np.ndarray
    columns: np.ndarray
    grid: Grid


def endplate_maps(body: Body, frame: Frame) -> dict[str, EndplateMap]:
    """Height maps of the "upper" and the "lower" endplate on columns 1 mm apart along the frame's superior axis.

    Raises NotMeasured where too little of an endplate is clear of the rim.
    """
    axes = frame.axes
    reach = (body.grid.corners() - frame.center) @ axes
    low, high = np.floor(reach.min(axis=0)), np.ceil(reach.max(axis=0))
    lattice = lattice_of(frame.center, axes, low, high, STEP_MM)
    field = resample(body.depth, body.grid, lattice, outside=-100.0)
    core = np.abs(np.arange(len(field)) * STEP_MM + low[2]) <= CORE_MM
    section = ndimage.binary_fill_holes(ndimage.binary_opening((field[core] > 0).all(axis=0), iterations=2))
    voxel_mm = float(np.abs(frame.superior @ body.mask.grid.ijk_to_ras[:3, :3]).max())
    rim = max(RIM_MM, RIM_VOXELS * float(body.mask.grid.spacing.max()))
    judged = ndimage.distance_transform_edt(np.pad(section, 1))[1:-1, 1:-1] * STEP_MM > rim
    affine = lattice.ijk_to_ras.copy()
    affine[:3, 3] = frame.center + axes[:, :2] @ low[:2]
    columns = Grid((1, *lattice.shape[1:]), affine)
    return {
        name: _map(_outermost(field[::side], low[2] if side > 0 else -high[2]), judged, columns, voxel_mm)
        for name, side in (("upper", 1), ("lower", -1))
    }


def _outermost(field: np.ndarray, start: float) -> np.ndarray:
    """Where each column along axis 0 is last positive, by linear interpolation; nan where it never is."""
    inside = field > 0
    last = len(field) - 1 - inside[::-1].argmax(axis=0)
    beyond = np.minimum(last + 1, len(field) - 1)
    inner, outer = (np.take_along_axis(field, index[None], axis=0)[0].astype(float) for index in (last, beyond))
    share = np.divide(inner, inner - outer, out=np.zeros_like(inner), where=inner != outer)
    return np.where(inside.any(axis=0), start + (last + share) * STEP_MM, np.nan)


def _map(height: np.ndarray, judged: np.ndarray, grid: Grid, voxel_mm: float) -> EndplateMap:
    judged = judged & np.isfinite(height)
    if np.count_nonzero(judged) < 100:
        raise NotMeasured("the endplates are too small to be judged")
    y, x = np.indices(height.shape)
    half = [max(np.ptp(v[judged]) / 2, 1) for v in (x, y)]
    x, y = (x - x[judged].mean()) / half[0], (y - y[judged].mean()) / half[1]
    terms = np.stack([x**i * y**j for i in range(DEGREE + 1) for j in range(DEGREE + 1 - i)], axis=-1)
    coefficients, _ = robust_fit(terms[judged], height[judged], voxel_mm)
    return EndplateMap(height, np.where(judged, terms @ coefficients, np.nan), judged, grid, voxel_mm)


def endplate_defect(body: Body, frame: Frame) -> Mapping[str, EndplateDefect]:
    """The largest pit (Schmorl node) or break of each endplate, by "upper" and "lower"; an endplate without one is not named.

    Judged on the endplate's own height map, against the smooth surface that fits it best: a dish, however deep, a wedge and a
    crushed body are smooth. What lies within 4 mm of the rim is not judged. Empty as well where the mask is too small to show
    endplates, or is one of cancellous bone. Use it as::

        if "upper" in endplate_defect(body, frame): ...  # an upper slice that is missing is missing because of the endplate
    """
    if body.covers == "cancellous":
        return {}
    try:
        maps = endplate_maps(body, frame)
    except NotMeasured:
        return {}
    found = {name: _largest_defect(plate) for name, plate in maps.items()}
    return {name: defect for name, defect in found.items() if defect is not None}


def _largest_defect(plate: EndplateMap) -> EndplateDefect | None:
    below = plate.below
    disc = np.hypot(*np.mgrid[-2:3, -2:3]) * STEP_MM <= STEP_REACH_MM
    higher, lower = (
        extreme(np.where(plate.judged, below, nothing), footprint=disc, mode="nearest")
        for extreme, nothing in ((ndimage.maximum_filter, -np.inf), (ndimage.minimum_filter, np.inf))
    )
    step = np.where(plate.judged, higher - lower, 0.0)
    candidates = [
        *_pieces("pit", below, max(PIT_MM, PIT_MM_AND_VOXELS[0] + PIT_MM_AND_VOXELS[1] * plate.voxel_mm), PIT_MM2, plate),
        *_pieces("break", step, max(BREAK_MM, BREAK_MM_AND_VOXELS[0] + BREAK_MM_AND_VOXELS[1] * plate.voxel_mm), BREAK_MM2, plate),
    ]
    candidates += _holes(plate)
    return max(candidates, key=lambda defect: (defect.kind != "break", defect.area_mm2), default=None)


def _holes(plate: EndplateMap) -> list[EndplateDefect]:
    slope = np.hypot(*np.gradient(plate.height, STEP_MM))
    walls = np.pad(plate.judged & (slope >= WALL_SLOPE), 3)
    walls = ndimage.binary_closing(walls, iterations=2)[3:-3, 3:-3] & plate.judged
    labels, count = ndimage.label(ndimage.binary_fill_holes(walls))
    found = []
    for number in range(1, count + 1):
        columns = labels == number
        rim = ndimage.binary_dilation(columns) & ~columns & np.isfinite(plate.height)
        inner = plate.height[columns & ~walls]
        if len(inner) * STEP_MM**2 >= HOLE_MM2 and rim.any():
            depth = float(np.median(plate.height[rim]) - np.nanmin(inner))
            if depth > max(PIT_MM, HOLE_MM_AND_VOXELS[0] + HOLE_MM_AND_VOXELS[1] * plate.voxel_mm):
                found.append(_defect("hole", depth, columns, plate))
    return found


def _defect(kind: str, depth_mm: float, columns: np.ndarray, plate: EndplateMap) -> EndplateDefect:
    y, x = ndimage.center_of_mass(columns)
    share, center = float(columns.sum() / plate.judged.sum()), plate.grid.ras([x, y, 0])
    area = float(np.count_nonzero(columns)) * STEP_MM**2
    return EndplateDefect(kind, depth_mm, area, share, center, columns, plate.grid)


def _pieces(kind: str, depth: np.ndarray, least_mm: float, least_mm2: float, plate: EndplateMap) -> list[EndplateDefect]:
    labels, count = ndimage.label(depth > least_mm)
    found = []
    for number in range(1, count + 1):
        columns = labels == number
        if np.count_nonzero(columns) * STEP_MM**2 >= least_mm2:
            found.append(_defect(kind, float(depth[columns].max()), columns, plate))
    return found
