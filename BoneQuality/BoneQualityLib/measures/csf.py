"""CSF signal in the thecal sac on T1 MRI, the denominator of VBQ (Ehresman 2019)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import NotMeasured, Sentence
from ..image.distance import signed_distance
from ..image.grid import SUPERIOR
from ..image.image import Image
from ..image.mask import Mask
from ..vertebra.body import Body, endplate_centers, place_body
from .marrow import MINIMUM_AREA_MM2, SECTION_STEP_MM, on_plane, outlined, read_signal, section_plane
from .region import place_region
from .roi import PlanarRoi, RegionRoi
from .uncertainty import moved_plane, moved_region

#: The sac's border, where fat shines in and roots lie, is left out by at least this much, and by this share of the half width.
SAC_MARGIN_MM, SAC_MARGIN_SHARE = 1.5, 0.4
#: Nerve roots are brighter than the CSF's median by more than this many robust standard deviations.
ROOT_DEVIATIONS, MOST_ROOTS, BRIGHTER_THAN_L2 = 3.0, 0.30, 1.15
#: The robust standard deviation is taken as at least this share of the median, where an image has hardly any noise.
LEAST_SPREAD = 0.02
CSF_LEVELS = ("L3", "L2", "L4")
#: Readers differ by a voxel in how thick they draw the sac, and by no more than this, mm.
THICKEST_VOXEL_MM = 1.0
#: Names of the variations of a sac's thickness: another level's CSF counts under them too, as one level may be blocked by them.
SACS = {"sac thinner": -1.0, "sac thicker": 1.0}


@dataclass(frozen=True, eq=False)
class Csf:
    """CSF of one level: its ROI, mean and median signal, area kept (mm2), share of pixels dropped as roots; else why it is blocked.

    variations: the signal under small changes that a fair reader may make, see uncertainty.py; of a level that is blocked for the
    sac's sake those under which it is not.
    """

    level: str
    roi: PlanarRoi | RegionRoi | None = None
    signal: float = float("nan")
    area: float = float("nan")
    dropped: float = 0.0
    blocked: str = ""
    median: float = float("nan")
    variations: dict = field(default_factory=dict)


def place_sac(
    level: str, sac: Mask, cord: Mask | None, extent: LevelExtent, image: Image, thicker_mm: float = 0.0, slices: int = 0
) -> PlanarRoi:
    """The sac on its own center slice at a level, between the level's endplates, less the cord.

    The ROI keeps 1.5 mm from the sac's border, or two fifths of the sac's half width where that is more. thicker_mm: how much the
    mask is taken to be thicker all around; slices: how many slices to the right of the center slice.
    """
    along = sac.points @ extent.superior
    at_level = sac.points[(along > extent.lower) & (along < extent.upper)]
    if not len(at_level):
        raise NotMeasured("the sac's mask does not reach this level")
    plane = section_plane(image, at_level.mean(axis=0)).beside(image, slices)
    lattice = plane.lattice(at_level)
    spacing = (SECTION_STEP_MM, SECTION_STEP_MM)
    distance = signed_distance(on_plane(sac, lattice), spacing) + thicker_mm
    distance -= max(SAC_MARGIN_MM, SAC_MARGIN_SHARE * float(distance.max()))
    if cord is not None:
        distance = np.minimum(distance, -signed_distance(on_plane(cord, lattice), spacing))
    heights = lattice.box((slice(0, 1), slice(0, lattice.shape[1]), slice(0, lattice.shape[2]))).centers()[0] @ extent.superior
    distance = np.minimum(distance, np.minimum(heights - extent.lower, extent.upper - heights))
    return outlined(level, "csf", plane, lattice, distance)


def read_sac(roi: PlanarRoi, image: Image) -> Csf:
    """Mean signal of the sac without nerve roots: pixels brighter than the median by 3 robust standard deviations.

    The robust standard deviation is 1.4826 times the median absolute deviation of the pixels below the median, which roots do
    not widen; the rule is applied until it drops no more. Dark pixels all stay: their mean alone would read too low. Blocked
    under 30 mm2 and where more than 30 % are dropped.
    """
    if roi.area < MINIMUM_AREA_MM2:
        return Csf(roi.level, roi, blocked=Sentence("only {area:.0f} mm2 of the sac lie inside its margin", area=roi.area))
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
    csf = Csf(roi.level, roi, float(values[kept].mean()), roi.area * (1 - dropped), dropped, median=float(np.median(values[kept])))
    if dropped > MOST_ROOTS:
        return replace(csf, blocked=Sentence("{percent:.0f} % of the pixels are brighter than CSF", percent=100 * dropped))
    if csf.area < MINIMUM_AREA_MM2:
        return replace(csf, blocked=Sentence("only {area:.0f} mm2 of CSF", area=csf.area))
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
    drawn: dict[str, Mask], sac: Mask | None, cord: Mask | None, extents: dict[str, LevelExtent], image: Image, blocked: tuple[str, ...]
) -> dict[str, Csf]:
    """CSF at L2, L3 and L4, each with its value or the reason why it has none; see `read_placed` and `accepted`."""
    return accepted(read_placed(drawn, sac, cord, extents, image), blocked, set(drawn))


def read_placed(
    drawn: dict[str, Mask], sac: Mask | None, cord: Mask | None, extents: dict[str, LevelExtent], image: Image
) -> dict[str, Csf]:
    """CSF at L2, L3 and L4 where the masks show it, each level by itself.

    drawn: masks drawn as CSF of a level, used as they are. sac: thecal sac or spinal canal, used where none is drawn.
    extents: of the vertebral bodies.
    """
    found = {}
    for level in sorted(CSF_LEVELS):
        try:
            if level in drawn:
                found[level] = _read_drawn(place_body(level, drawn[level], [], "cancellous"), image)
            elif sac is None:
                found[level] = Csf(level, blocked="no CSF or sac is segmented at this level")
            elif level not in extents:
                found[level] = Csf(level, blocked="the vertebra of this level is not segmented")
            else:
                found[level] = read_sac(place_sac(level, sac, cord, extents[level], image), image)
                found[level] = replace(found[level], variations=_other_sacs(found[level], sac, cord, extents[level], image))
        except NotMeasured as reason:
            found[level] = Csf(level, blocked=str(reason))
        found[level] = _varied(found[level], image)
    return found


def read_edited(level: str, roi: PlanarRoi, image: Image) -> Csf:
    """The CSF of a level in a ROI that a person edited; it is read like one placed in a sac."""
    try:
        return _varied(read_sac(roi, image), image)
    except NotMeasured as reason:
        return Csf(level, roi, blocked=str(reason))


def _varied(csf: Csf, image: Image) -> Csf:
    """The CSF with its variations, blocked where there is no signal."""
    if not csf.blocked and not csf.signal > 0:
        csf = replace(csf, blocked="the mean signal there is not above 0")
    return csf if csf.blocked else replace(csf, variations={**csf.variations, **_moved_csf(csf, image)})


def accepted(read: dict[str, Csf], blocked: tuple[str, ...], by_hand: set[str]) -> dict[str, Csf]:
    """The CSF of every level, blocked where a person ruled it out, or where it is far brighter than at L2 and was not drawn by hand."""
    found = {
        level: replace(csf, blocked="ruled out by the reader", variations={}) if level in blocked else csf for level, csf in read.items()
    }
    reference = found["L2"]
    for level in ("L3", "L4"):
        csf = found[level]
        if not reference.blocked and not csf.blocked and level not in by_hand and csf.signal > BRIGHTER_THAN_L2 * reference.signal:
            found[level] = replace(csf, blocked="over 15 % brighter than at L2", variations={})
    return found


def used_csf(found: dict[str, Csf]) -> Csf | None:
    """The CSF that VBQ is set against: L3, else L2, else L4."""
    return next((found[level] for level in CSF_LEVELS if level in found and not found[level].blocked), None)


def _moved_csf(csf: Csf, image: Image) -> dict[str, float]:
    if isinstance(csf.roi, RegionRoi):
        return moved_region(csf.roi, image)
    moved = moved_plane(csf.roi, image, lambda roi, there: read_sac(roi, there).signal)
    across = "ijk"[image.grid.slice_axis] if csf.roi.thickness == 0 else ""  # the sac is narrow: its slice is chosen, not blended
    return {**{name: signal for name, signal in moved.items() if name[1] != across}, "CSF median": csf.median}


def _other_sacs(csf: Csf, sac: Mask, cord: Mask | None, extent: LevelExtent, image: Image) -> dict[str, float]:
    """The signal where the sac is drawn a voxel thinner or thicker, or read one slice to either side, if it is accepted there.

    What is over 15 % brighter than on the sac's own center slice holds fat or roots from beside the sac, and no reader takes it.
    """
    voxel, found = min(float(np.sort(sac.grid.spacing)[1]), THICKEST_VOXEL_MM), {}
    variations = {name: (sign * voxel, 0) for name, sign in SACS.items()}
    variations |= {"CSF one slice right": (0.0, 1), "CSF one slice left": (0.0, -1)}
    for name, (thicker, slices) in variations.items():
        try:
            other = read_sac(place_sac(csf.level, sac, cord, extent, image, thicker, slices), image)
        except NotMeasured:
            continue
        if not other.blocked and other.signal > 0 and (csf.blocked or other.signal <= BRIGHTER_THAN_L2 * csf.signal):
            found[name] = other.signal
    return found


def _read_drawn(body: Body, image: Image) -> Csf:
    roi = place_region(body, image, 0.0, "csf")
    return Csf(body.level, roi, read_signal(roi, image))
