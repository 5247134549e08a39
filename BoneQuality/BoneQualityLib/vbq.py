"""T1 MRI: signal of marrow and of CSF, from which the vertebral bone quality score is made.

VBQ (Ehresman 2019): median of the signals of L1-L4 over the signal of the CSF at L3. Where nerve roots fill the sac at L3,
the CSF is read at L2 or L4 (Xue 2025).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from .bodies import Vertebra
from .errors import NotMeasured
from .flags import Flag
from .frame import Frame
from .geometry import RIGHT, SUPERIOR, Grid, Image, Mask, outlines, signed_distance
from .parameters import Parameters
from .ranges import MARGINS, moved_plane, moved_region
from .roi import LevelNumbers, PlanarRoi, RegionRoi
from .vertebra import Body, endplate_centers, place_body, place_region

#: Slices at least this thick, sagittal within this angle, are read as acquired; other images in a slab.
ACQUIRED_SLICE_MM, SAGITTAL_DEGREES = 2.0, 30.0
SLAB_MM = 4.0
#: A level whose center is farther from the common slice takes its own.
PARASAGITTAL_MM = 4.0
SECTION_STEP_MM = 0.5
#: The sac's border, where fat shines in and roots lie, is left out by at least this much, and by this share of the half width.
SAC_MARGIN_MM, SAC_MARGIN_SHARE = 1.5, 0.4
MINIMUM_AREA_MM2 = 30.0
#: Nerve roots are brighter than the CSF's median by more than this many robust standard deviations.
ROOT_DEVIATIONS, MOST_ROOTS, BRIGHTER_THAN_L2 = 3.0, 0.30, 1.15
#: The robust standard deviation is taken as at least this share of the median, where an image has hardly any noise.
LEAST_SPREAD = 0.02
CSF_LEVELS = ("L3", "L2", "L4")


@dataclass(frozen=True, eq=False)
class SectionPlane:
    """A sagittal plane to read on: a point in RAS, unit vectors to anterior (u) and superior (v), slab thickness mm."""

    origin: np.ndarray
    u: np.ndarray
    v: np.ndarray
    thickness: float

    @property
    def normal(self) -> np.ndarray:
        return np.cross(self.u, self.v)

    def distance(self, point: np.ndarray) -> float:
        """mm from the plane."""
        return float(abs((point - self.origin) @ self.normal))

    def lattice(self, points: np.ndarray, rim: float = 3.0) -> Grid:
        """Samples 0.5 mm apart around the points: columns to anterior, rows to superior, slices 1 mm apart through the slab."""
        uv = (points - self.origin) @ np.stack([self.u, self.v], axis=1)
        low, high = uv.min(axis=0) - rim, uv.max(axis=0) + rim
        columns, rows = np.ceil((high - low) / SECTION_STEP_MM).astype(int) + 1
        slices = max(int(np.ceil(self.thickness)), 1)
        step = self.thickness / slices or 1.0
        affine = np.eye(4)
        affine[:3, :3] = np.stack([self.u * SECTION_STEP_MM, self.v * SECTION_STEP_MM, self.normal * step], axis=1)
        affine[:3, 3] = self.origin + low @ np.stack([self.u, self.v]) - (slices - 1) / 2 * step * self.normal
        return Grid((slices, int(rows), int(columns)), affine)


def section_plane(image: Image, center: np.ndarray, frame: Frame | None = None) -> SectionPlane:
    """The acquired slice nearest to ``center`` (RAS), or a 4 mm slab through it where the slices are thin or not sagittal.

    The slab is the patient's sagittal plane, or the vertebra's own where its frame is given.
    """
    axis = image.grid.slice_axis
    normal = image.grid.directions[:, axis]
    normal = normal * np.sign(normal @ RIGHT)
    acquired = image.grid.spacing[axis] >= ACQUIRED_SLICE_MM and abs(normal @ RIGHT) >= np.cos(np.radians(SAGITTAL_DEGREES))
    superior = SUPERIOR
    if acquired:
        index = image.grid.ijk(center)
        index[axis] = np.clip(round(index[axis]), 0, image.grid.shape[2 - axis] - 1)
        center = image.grid.ras(index)
    else:
        normal, superior = (RIGHT, SUPERIOR) if frame is None else (frame.right, frame.superior)
    superior = superior - (superior @ normal) * normal
    superior /= np.linalg.norm(superior)
    return SectionPlane(np.asarray(center, float), np.cross(superior, normal), superior, 0.0 if acquired else SLAB_MM)


def common_plane(image: Image, masks: dict[str, Mask]) -> SectionPlane:
    """The mid-sagittal slice of a spine: through the mean center of the L1-L4 bodies, of any bodies where those are absent."""
    lumbar = [mask for level, mask in masks.items() if level in ("L1", "L2", "L3", "L4")]
    return section_plane(image, np.mean([mask.center for mask in lumbar or masks.values()], axis=0))


def measure_level(
    vertebra: Vertebra, image: Image, plane: SectionPlane | None, parameters: Parameters, edited: PlanarRoi | None = None
) -> LevelNumbers:
    """The marrow's signal at one level.

    It is read on ``plane``; on the level's own slice where its center lies over 4 mm off that, or where the parameters ask for
    "per-vertebra"; or in the whole body ("volume"). edited: the ROI as a person edited it, which is read instead.
    """
    numbers, level, covers = LevelNumbers(), vertebra.level, vertebra.covers
    try:
        body = vertebra.body
        if edited is not None:
            roi = edited
        elif parameters.vbq_slice == "volume":
            solid = place_body(level, body, vertebra.exclusions, covers)
            roi = place_region(solid, image, parameters.vbq_margin_mm, "marrow")
        else:
            off = plane.distance(body.center) if plane is not None else 0.0
            if plane is None or off > PARASAGITTAL_MM:
                plane = section_plane(image, body.center, vertebra.frame)
            if off > PARASAGITTAL_MM:
                numbers.flags.append(Flag("parasagittal", number=off))
            roi = place_marrow(level, body, vertebra.exclusions, plane, parameters.vbq_margin_mm, covers)
        numbers.rois.append(roi)
        numbers.values["t1_signal"] = read_signal(roi, image)
        if isinstance(roi, PlanarRoi):
            numbers.values["t1_area_mm2"] = roi.area
    except NotMeasured as reason:
        numbers.gap(reason)
        return numbers
    moved = moved_region(roi, image) if isinstance(roi, RegionRoi) else moved_plane(roi, image, read_signal)
    for name, step in MARGINS.items() if covers != "cancellous" and edited is None else ():
        margin = max(parameters.vbq_margin_mm + step, 0.0)
        try:
            if parameters.vbq_slice == "volume":
                wider = place_region(solid, image, margin, name)
            else:
                wider = place_marrow(level, body, vertebra.exclusions, plane, margin, covers)
            moved[name] = read_signal(wider, image)
        except NotMeasured:  # too little is left of a small body
            continue
    numbers.variations["t1_signal"] = moved
    return numbers


def place_marrow(level: str, mask: Mask, exclusions: list[Mask], plane: SectionPlane, margin_mm: float, covers: str) -> PlanarRoi:
    """The body's cross-section on the plane, less ``margin_mm`` within the plane and less exclusions.

    Raises NotMeasured where the plane does not meet the body or nothing is left.
    """
    lattice = plane.lattice(mask.row_ends)
    inside = _on_plane(mask, lattice)
    if not inside.any():
        raise NotMeasured("the slice does not meet the body")
    spacing = (SECTION_STEP_MM, SECTION_STEP_MM)
    distance = signed_distance(inside, spacing) - (0.0 if covers == "cancellous" else margin_mm)
    for exclusion in exclusions:
        distance = np.minimum(distance, -signed_distance(_on_plane(exclusion, lattice), spacing))
    roi = _outlined(level, "marrow", plane, lattice, distance)
    if roi.area < MINIMUM_AREA_MM2:
        raise NotMeasured("less than 30 mm2 of marrow inside the margin", "small-roi")
    return roi


def read_signal(roi: PlanarRoi | RegionRoi, image: Image) -> float:
    """Mean signal inside."""
    if isinstance(roi, PlanarRoi):
        return float(roi.values(image).mean())
    values, weights = roi.values(image)
    return float(np.average(values, weights=weights))


@dataclass(frozen=True, eq=False)
class Csf:
    """CSF of one level: its ROI, mean signal, area kept (mm2), share of pixels dropped as roots; else why it is blocked.

    variations: the signal where the mask lies half a voxel otherwise, see ranges.py.
    """

    level: str
    roi: PlanarRoi | RegionRoi | None = None
    signal: float = float("nan")
    area: float = float("nan")
    dropped: float = 0.0
    blocked: str = ""
    variations: dict = field(default_factory=dict)


def place_sac(level: str, sac: Mask, cord: Mask | None, extent: LevelExtent, image: Image) -> PlanarRoi:
    """The sac on its own center slice at a level, between the level's endplates, less the cord.

    The ROI keeps 1.5 mm from the sac's border, or two fifths of the sac's half width where that is more.
    """
    along = sac.points @ extent.superior
    at_level = sac.points[(along > extent.lower) & (along < extent.upper)]
    if not len(at_level):
        raise NotMeasured("the sac's mask does not reach this level")
    plane = section_plane(image, at_level.mean(axis=0))
    lattice = plane.lattice(at_level)
    spacing = (SECTION_STEP_MM, SECTION_STEP_MM)
    distance = signed_distance(_on_plane(sac, lattice), spacing)
    distance -= max(SAC_MARGIN_MM, SAC_MARGIN_SHARE * float(distance.max()))
    if cord is not None:
        distance = np.minimum(distance, -signed_distance(_on_plane(cord, lattice), spacing))
    heights = lattice.box((slice(0, 1), slice(0, lattice.shape[1]), slice(0, lattice.shape[2]))).centers()[0] @ extent.superior
    distance = np.minimum(distance, np.minimum(heights - extent.lower, extent.upper - heights))
    return _outlined(level, "csf", plane, lattice, distance)


def read_sac(roi: PlanarRoi, image: Image) -> Csf:
    """Mean signal of the sac without nerve roots: pixels brighter than the median by 3 robust standard deviations.

    The robust standard deviation is 1.4826 times the median absolute deviation of the pixels below the median, which roots do
    not widen; the rule is applied until it drops no more. Dark pixels all stay: their mean alone would read too low. Blocked
    under 30 mm2 and where more than 30 % are dropped.
    """
    if roi.area < MINIMUM_AREA_MM2:
        return Csf(roi.level, roi, blocked=f"only {roi.area:.0f} mm2 of the sac lie inside its margin")
    values = roi.values(image)
    kept = np.ones(len(values), bool)
    for _ in range(len(values)):
        median = np.median(values[kept])
        below = median - values[kept & (values < median)]
        spread = max(1.4826 * np.median(below) if len(below) else 0.0, LEAST_SPREAD * median)
        brighter = kept & (values > median + ROOT_DEVIATIONS * spread)
        if not brighter.any():
            break
        kept &= ~brighter
    dropped = 1 - float(kept.mean())
    csf = Csf(roi.level, roi, float(values[kept].mean()), roi.area * (1 - dropped), dropped)
    if dropped > MOST_ROOTS:
        return replace(csf, blocked=f"{100 * dropped:.0f} % of the pixels are brighter than CSF")
    if csf.area < MINIMUM_AREA_MM2:
        return replace(csf, blocked=f"only {csf.area:.0f} mm2 of CSF")
    return csf


@dataclass(frozen=True)
class LevelExtent:
    """Where a level lies along the spine: positions of its endplates' centers along ``superior``, mm."""

    superior: np.ndarray = field(repr=False)
    lower: float
    upper: float


def level_extents(masks: dict[str, Mask]) -> dict[str, LevelExtent]:
    """Every level's extent along the line through its neighbors' centers, from the level below to the level above."""
    ordered = sorted(masks, key=lambda level: -masks[level].center[2])
    extents = {}
    for n, level in enumerate(ordered):
        above, below = masks[ordered[max(n - 1, 0)]].center, masks[ordered[min(n + 1, len(ordered) - 1)]].center
        along = np.linalg.norm(above - below)
        superior = (above - below) / along if along > 1 else SUPERIOR  # alone, or masks of one place under two names
        mask = masks[level]
        extents[level] = LevelExtent(superior, *endplate_centers(mask.points, mask.center, superior, mask.grid))
    return extents


def level_of(mask: Mask, extents: dict[str, LevelExtent]) -> str:
    """The level whose extent holds all but a tenth of a mask, as of CSF drawn at one level; "" where none does."""
    for level, extent in extents.items():
        along = mask.points @ extent.superior
        if np.mean((along > extent.lower) & (along < extent.upper)) >= 0.9:
            return level
    return ""


def read_csf(
    drawn: dict[str, Mask],
    sac: Mask | None,
    cord: Mask | None,
    extents: dict[str, LevelExtent],
    image: Image,
    blocked: tuple[str, ...],
    edits: dict[str, PlanarRoi] | None = None,
) -> dict[str, Csf]:
    """CSF at L2, L3 and L4, each with its value or the reason why it has none.

    drawn: masks drawn as CSF of a level, used as they are. sac: thecal sac or spinal canal, used where none is drawn.
    extents: of the vertebral bodies. blocked: levels that a person ruled out. edits: ROIs that a person edited, by level; they
    are read like those placed in a sac.
    """
    found, edits = {}, edits or {}
    for level in sorted(CSF_LEVELS):
        try:
            if level in edits:
                found[level] = read_sac(edits[level], image)
            elif level in drawn:
                found[level] = _read_drawn(place_body(level, drawn[level], [], "cancellous"), image)
            elif sac is None:
                found[level] = Csf(level, blocked="no CSF or sac is segmented at this level")
            elif level not in extents:
                found[level] = Csf(level, blocked="the vertebra of this level is not segmented")
            else:
                found[level] = read_sac(place_sac(level, sac, cord, extents[level], image), image)
        except NotMeasured as reason:
            found[level] = Csf(level, edits.get(level), blocked=str(reason))
        if not found[level].blocked and not found[level].signal > 0:
            found[level] = replace(found[level], blocked="the mean signal there is not above 0")
        if not found[level].blocked:
            found[level] = replace(found[level], variations=_moved_csf(found[level], image))
        if level in blocked:
            found[level] = replace(found[level], blocked="ruled out by the reader")
    reference = found["L2"]
    for level in ("L3", "L4"):
        csf = found[level]
        by_hand = level in drawn or level in edits
        if not reference.blocked and not csf.blocked and not by_hand and csf.signal > BRIGHTER_THAN_L2 * reference.signal:
            found[level] = replace(csf, blocked="over 15 % brighter than at L2")
    return found


def used_csf(found: dict[str, Csf]) -> Csf | None:
    """The CSF that VBQ is set against: L3, else L2, else L4."""
    return next((found[level] for level in CSF_LEVELS if level in found and not found[level].blocked), None)


def _moved_csf(csf: Csf, image: Image) -> dict[str, float]:
    if isinstance(csf.roi, RegionRoi):
        return moved_region(csf.roi, image)
    return moved_plane(csf.roi, image, lambda roi, there: read_sac(roi, there).signal)


def _read_drawn(body: Body, image: Image) -> Csf:
    roi = place_region(body, image, 0.0, "csf")
    return Csf(body.level, roi, read_signal(roi, image))


def _on_plane(mask: Mask, lattice: Grid) -> np.ndarray:
    return mask.on(lattice).mean(axis=0) >= 0.5


def _outlined(level: str, kind: str, plane: SectionPlane, lattice: Grid, distance: np.ndarray) -> PlanarRoi:
    curves = [curve * SECTION_STEP_MM for curve in outlines(distance)]
    if not curves:
        raise NotMeasured("nothing is left inside the margin")
    corner = lattice.ras([0, 0, (lattice.shape[0] - 1) / 2])
    middle = np.mean([np.concatenate(curves).min(axis=0), np.concatenate(curves).max(axis=0)], axis=0)
    center = corner + middle @ np.stack([plane.u, plane.v])
    return PlanarRoi(level, kind, center, plane.u, plane.v, outlines=tuple(c - middle for c in curves), thickness=plane.thickness)
