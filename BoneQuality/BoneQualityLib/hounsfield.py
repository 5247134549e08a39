"""CT: 3D-HU of the cancellous vertebral body and HU of the largest ellipse on three slices.

3D-HU: Chang 2025. Three slices: Schreiber 2011 as used by Chang 2025. Middle slice alone: Pickhardt 2013, Xue 2025.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .ellipse import Ellipse, grown, largest_ellipse
from .errors import NotMeasured
from .flags import SMALL_ROI_MM3, Flag
from .geometry import ANTERIOR, SUPERIOR, Grid, Image, resample
from .roi import LevelNumbers, PlanarRoi, RegionRoi, weighted_median
from .vertebra import Body, place_region

#: Chang 2025 widened his region up to the cortex; 2 mm is the nearest margin that keeps partial volume out.
WIDE_MARGIN_MM = 2.0
MINIMUM_VOLUME_MM3 = 1000.0
#: The CT's own slices are used where they are axial within this angle.
OWN_SLICES_DEGREES = 5.0
REFORMAT_STEP_MM = 1.0
IN_PLANE_STEP_MM = 0.5
#: An end slice's ellipse has at least this share of the middle one's area, and lies at least so far from the middle.
END_SLICE_AREA = 0.6
END_SLICE_DISTANCE_MM = 4.0


@dataclass(frozen=True)
class RegionNumbers:
    """HU of a cancellous region: mean, standard deviation, median; volume in mm3."""

    mean: float
    sd: float
    median: float
    volume: float


def effective_margin(margin_mm: float, image: Image) -> float:
    """The margin, or the slice thickness where that is larger: thinner shells hold cortex by partial volume."""
    return max(margin_mm, image.slice_thickness)


def read_region(roi: RegionRoi, image: Image) -> RegionNumbers:
    """Numbers of a region; raises NotMeasured under 1 cm3 or where the image holds no numbers."""
    if roi.volume < MINIMUM_VOLUME_MM3:
        raise NotMeasured("less than 1 cm3 of cancellous bone inside the margin", "small-roi")
    values, weights = roi.values(image)
    mean = float(np.average(values, weights=weights))
    sd = float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))
    return RegionNumbers(mean, sd, weighted_median(values, weights), roi.volume)


def measure_level(body: Body, image: Image, margin_mm: float, avoid_basivertebral: bool) -> LevelNumbers:
    """Every CT value of one level; what cannot be measured is absent, with its reason.

    margin_mm: as set; the slice thickness replaces it where that is larger, for the wide region too.
    """
    numbers = LevelNumbers()
    margin, wide = effective_margin(margin_mm, image), effective_margin(WIDE_MARGIN_MM, image)
    try:
        region = place_region(body, image, margin, "cancellous")
        read = read_region(region, image)
        numbers.rois.append(region)
        numbers.values.update(
            hu_3d=read.mean, hu_3d_sd=read.sd, hu_3d_median=read.median, hu_3d_volume_mm3=read.volume,
            hu_3d_wide=read.mean if margin == wide else read_region(place_region(body, image, wide, "wide"), image).mean,
        )  # fmt: skip
        if read.volume < SMALL_ROI_MM3:
            numbers.flags.append(Flag("small-roi", number=read.volume))
        _measure_slices(numbers, place_slices(body, image, margin, avoid_basivertebral), image)
    except NotMeasured as reason:
        numbers.gap(reason)
    return numbers


def _measure_slices(numbers: LevelNumbers, slices: dict[str, PlanarRoi | None], image: Image) -> None:
    for name, roi in slices.items():
        if roi is None:
            numbers.gap(NotMeasured(f"no {name} slice 4 mm from the middle", "endplate-defect"))
            continue
        numbers.rois.append(roi)
        numbers.values[f"hu_{name}"] = read_slice(roi, image)
        numbers.values[f"hu_{name}_area_mm2"] = roi.area
    if all(slices.values()):
        numbers.values["hu_multislice"] = float(np.mean([numbers.values[f"hu_{name}"] for name in slices]))


def place_slices(body: Body, image: Image, margin_mm: float, avoid_basivertebral: bool) -> dict[str, PlanarRoi | None]:
    """The largest ellipses on the upper, middle and lower slice; None where an endplate defect leaves no slice.

    The middle slice lies half-way between the endplates' centers. Going outward from it, an end slice is the last one whose
    largest ellipse has at least 60 % of the middle slice's, both taken over the whole cross-section; so the basivertebral
    option, which then narrows the middle ellipse to the anterior two thirds of the cancellous depth, moves no end slice.
    """
    stack, middle = slice_stack(body, image)
    field = resample(body.field(margin_mm), body.grid, stack, outside=-100.0)
    whole = largest_ellipse(field[middle], IN_PLANE_STEP_MM)
    if whole is None:
        raise NotMeasured("no cancellous bone on the middle slice")
    central = largest_ellipse(anterior_two_thirds(field[middle]), IN_PLANE_STEP_MM) if avoid_basivertebral else whole
    ends = {}
    for name, step in (("upper", 1), ("lower", -1)):
        index, ellipse = _end_slice(field, middle, step, whole)
        distance = abs(index - middle) * stack.spacing[2]
        ends[name] = _roi(body.level, name, stack, index, ellipse) if distance >= END_SLICE_DISTANCE_MM else None
    return dict(upper=ends["upper"], middle=_roi(body.level, "middle", stack, middle, central), lower=ends["lower"])


def read_slice(roi: PlanarRoi, image: Image) -> float:
    """Mean HU of an ellipse."""
    return float(roi.values(image).mean())


def slice_stack(body: Body, image: Image) -> tuple[Grid, int]:
    """Axial planes through the body, columns to the patient's right, rows to anterior, slices upward, and the middle one.

    These are the CT's own planes where they are axial within 5 degrees, else planes 1 mm apart.
    """
    along = image.grid.directions[2]
    axis = int(np.argmax(np.abs(along)))
    own = np.abs(along[axis]) >= np.cos(np.radians(OWN_SLICES_DEGREES))
    normal = np.sign(along[axis]) * image.grid.directions[:, axis] if own else SUPERIOR
    lower, upper = body.endplate_centers(normal)
    middle = body.center + (0.5 * (lower + upper) - body.center @ normal) * normal
    step = REFORMAT_STEP_MM
    if own:
        step = image.grid.spacing[axis]
        position = image.grid.ijk(middle)[axis]
        middle = middle + (round(position) - position) * step * np.sign(along[axis]) * normal
    anterior = ANTERIOR - (ANTERIOR @ normal) * normal
    anterior /= np.linalg.norm(anterior)
    axes = np.stack([np.cross(anterior, normal), anterior, normal], axis=1)
    reach = (body.grid.corners() - middle) @ axes
    low = np.floor(reach.min(axis=0) / [IN_PLANE_STEP_MM, IN_PLANE_STEP_MM, step]).astype(int)
    high = np.ceil(reach.max(axis=0) / [IN_PLANE_STEP_MM, IN_PLANE_STEP_MM, step]).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = axes * [IN_PLANE_STEP_MM, IN_PLANE_STEP_MM, step]
    affine[:3, 3] = middle + affine[:3, :3] @ low
    return Grid(tuple(int(n) for n in (high - low + 1)[::-1]), affine), int(-low[2])


def anterior_two_thirds(field: np.ndarray) -> np.ndarray:
    """A cross-section (rows to anterior) without the posterior third of its depth, where the basivertebral veins are."""
    rows = np.nonzero((field > 0).any(axis=1))[0]
    cut = rows[0] + (rows[-1] - rows[0]) / 3
    return np.minimum(field, (np.arange(len(field)) - cut)[:, None] * IN_PLANE_STEP_MM)


def _end_slice(field: np.ndarray, middle: int, step: int, whole: Ellipse) -> tuple[int, Ellipse]:
    needed = END_SLICE_AREA * whole.area
    index, ellipse, is_largest = middle, whole, True
    while 0 <= index + step < len(field):
        section = field[index + step]
        following, searched = grown(ellipse, section, IN_PLANE_STEP_MM), False
        if following is None or following.area < needed:
            searched = True
            following = largest_ellipse(section, IN_PLANE_STEP_MM, warm_start=ellipse)
        if following is None or following.area < needed:
            break
        index, ellipse, is_largest = index + step, following, searched
    return index, ellipse if is_largest else largest_ellipse(field[index], IN_PLANE_STEP_MM, warm_start=ellipse)


def _roi(level: str, name: str, stack: Grid, index: int, ellipse: Ellipse) -> PlanarRoi:
    columns, rows, _ = stack.directions.T
    along, across = np.cos(ellipse.angle), np.sin(ellipse.angle)
    u, v = np.asarray(ellipse.center) / IN_PLANE_STEP_MM
    return PlanarRoi(
        level, name, stack.ras([u, v, index]), along * columns + across * rows, along * rows - across * columns, ellipse.semi_axes
    )
