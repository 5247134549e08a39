"""CT: 3D-HU of the cancellous vertebral body and HU of the largest ellipse on three slices.

3D-HU: Chang 2025. Three slices: Schreiber 2011 as used by Chang 2025. Middle slice alone: Pickhardt 2013, Xue 2025.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .ellipse import Ellipse, grown, largest_ellipse
from .errors import NotMeasured
from .flags import CEMENT_HU, CEMENT_MM3, SMALL_ROI_MM3, Flag
from .frame import Frame
from .geometry import ANTERIOR, SUPERIOR, Grid, Image, resample
from .parameters import Parameters
from .ranges import MARGINS, mean_of, moved_plane, moved_region, resized_ellipse
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
    """HU of a cancellous region: mean, standard deviation, median; its volume, and that of cement or metal in it, mm3."""

    mean: float
    sd: float
    median: float
    volume: float
    dense_volume: float


def effective_margin(margin_mm: float, image: Image) -> float:
    """The margin, or the slice thickness where that is larger: thinner shells hold cortex by partial volume."""
    return max(margin_mm, image.slice_thickness)


def read_region(roi: RegionRoi, image: Image) -> RegionNumbers:
    """Numbers of a region; raises NotMeasured under 1 cm3 or where the image holds no numbers."""
    values, weights = _voxels(roi, image)
    mean = float(np.average(values, weights=weights))
    sd = float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))
    dense = float(weights[values > CEMENT_HU].sum()) * roi.grid.voxel_volume
    return RegionNumbers(mean, sd, weighted_median(values, weights), roi.volume, dense)


def region_mean(roi: RegionRoi, image: Image) -> float:
    """The mean alone of what `read_region` reads."""
    values, weights = _voxels(roi, image)
    return float(np.average(values, weights=weights))


def _voxels(roi: RegionRoi, image: Image) -> tuple[np.ndarray, np.ndarray]:
    if roi.volume < MINIMUM_VOLUME_MM3:
        raise NotMeasured("less than 1 cm3 of cancellous bone inside the margin", "small-roi")
    return roi.values(image)


def measure_level(
    body: Body, image: Image, parameters: Parameters, frame: Frame | None = None, edits: dict[str, PlanarRoi] | None = None
) -> LevelNumbers:
    """Every CT value of one level; what cannot be measured is absent, with its reason.

    The slice thickness replaces the margin where it is larger, for the wide region too. frame: the vertebra's own axes, needed for
    the slice plane "vertebra"; without one, anterior is the patient's. edits: ROIs that a person edited, by slice name; they take
    the place of the ellipses.
    """
    numbers = LevelNumbers()
    margin, wide = (effective_margin(m, image) for m in (parameters.cancellous_margin_mm, WIDE_MARGIN_MM))
    try:
        region = place_region(body, image, margin, "cancellous")
        read = read_region(region, image)
        numbers.rois.append(region)
        numbers.values.update(
            hu_3d=read.mean, hu_3d_sd=read.sd, hu_3d_median=read.median, hu_3d_volume_mm3=read.volume,
            hu_3d_wide=read.mean if margin == wide else region_mean(place_region(body, image, wide, "wide"), image),
        )  # fmt: skip
        numbers.variations["hu_3d"] = moved_region(region, image) | _margins_moved(body, image, margin)
        if read.volume < SMALL_ROI_MM3:
            numbers.flags.append(Flag("small-roi", number=read.volume))
        if read.dense_volume > CEMENT_MM3:
            numbers.flags.append(Flag("cement-or-metal", number=read.dense_volume))
        _measure_slices(numbers, place_slices(body, image, margin, parameters, frame) | (edits or {}), image)
    except NotMeasured as reason:
        numbers.gap(reason)
    return numbers


def _margins_moved(body: Body, image: Image, margin_mm: float) -> dict[str, float]:
    found = {}
    for name, step in MARGINS.items() if body.covers != "cancellous" else ():
        try:
            found[name] = region_mean(place_region(body, image, max(margin_mm + step, 0.0), name), image)
        except NotMeasured:  # too little is left of a small region
            found[name] = math.nan
    return found


def _measure_slices(numbers: LevelNumbers, slices: dict[str, PlanarRoi | None], image: Image) -> None:
    variations = []
    for name, roi in slices.items():
        if roi is None:
            numbers.gap(NotMeasured(f"no {name} slice 4 mm from the middle", "endplate-defect"))
            continue
        numbers.rois.append(roi)
        try:
            numbers.values[f"hu_{name}"] = read_slice(roi, image)
        except NotMeasured as reason:
            numbers.gap(NotMeasured(f"{name} slice: {reason}"))
            continue
        numbers.values[f"hu_{name}_area_mm2"] = roi.area
        variations.append(moved_plane(roi, image, read_slice) | resized_ellipse(roi, image, read_slice))
    if all(f"hu_{name}" in numbers.values for name in slices):
        numbers.values["hu_multislice"] = float(np.mean([numbers.values[f"hu_{name}"] for name in slices]))
        numbers.variations["hu_multislice"] = mean_of(variations)


def place_slices(
    body: Body, image: Image, margin_mm: float, parameters: Parameters, frame: Frame | None = None
) -> dict[str, PlanarRoi | None]:
    """The largest ellipses on the upper, middle and lower slice; None where an endplate defect leaves no slice.

    The middle slice lies half-way between the endplates' centers. Going outward from it, an end slice is the last one whose
    largest ellipse has at least 60 % of the middle slice's, both taken over the whole cross-section; so the basivertebral
    option, which then narrows the middle ellipse to the anterior two thirds of the cancellous depth, moves no end slice.
    """
    stack, middle = slice_stack(body, image, parameters.slice_plane, frame)
    field = resample(body.field(margin_mm), body.grid, stack, outside=-100.0)
    whole = largest_ellipse(field[middle], IN_PLANE_STEP_MM)
    if whole is None:
        raise NotMeasured("no cancellous bone on the middle slice")
    central = largest_ellipse(anterior_two_thirds(field[middle]), IN_PLANE_STEP_MM) if parameters.avoid_basivertebral else whole
    ends = {}
    for name, step in (("upper", 1), ("lower", -1)):
        index, ellipse = _end_slice(field, middle, step, whole)
        distance = abs(index - middle) * stack.spacing[2]
        ends[name] = _roi(body.level, name, stack, index, ellipse) if distance >= END_SLICE_DISTANCE_MM else None
    return dict(upper=ends["upper"], middle=_roi(body.level, "middle", stack, middle, central), lower=ends["lower"])


def read_slice(roi: PlanarRoi, image: Image) -> float:
    """Mean HU of an ellipse."""
    return float(roi.values(image).mean())


def slice_stack(body: Body, image: Image, slice_plane: str = "axial", frame: Frame | None = None) -> tuple[Grid, int]:
    """Planes through the body, columns to the right, rows to anterior, slices upward, and the index of the middle one.

    "axial": the CT's own planes where they are axial within 5 degrees, else patient-axial planes 1 mm apart; "vertebra": planes
    1 mm apart, parallel to the vertebra's own mid-plane. Anterior is the vertebra's where its frame is known.
    Raises NotMeasured where the vertebra's own planes are asked for and it has no frame.
    """
    if slice_plane == "vertebra" and frame is None:
        raise NotMeasured("no slices: the vertebra's own plane was not found")
    along = image.grid.directions[2]
    axis = int(np.argmax(np.abs(along)))
    own = slice_plane == "axial" and np.abs(along[axis]) >= np.cos(np.radians(OWN_SLICES_DEGREES))
    normal = np.sign(along[axis]) * image.grid.directions[:, axis] if own else SUPERIOR
    if slice_plane == "vertebra":
        normal = frame.superior
    lower, upper = body.endplate_centers(normal)
    middle = body.center + (0.5 * (lower + upper) - body.center @ normal) * normal
    step = REFORMAT_STEP_MM
    if own:
        step = image.grid.spacing[axis]
        position = image.grid.ijk(middle)[axis]
        upward = np.sign(along[axis])
        middle = middle + (_nearest_slice(position * upward) - position * upward) * step * normal
    anterior = frame.anterior if frame is not None else ANTERIOR
    anterior = anterior - (anterior @ normal) * normal
    anterior /= np.linalg.norm(anterior)
    axes = np.stack([np.cross(anterior, normal), anterior, normal], axis=1)
    reach = (body.mask.grid.corners() - middle) @ axes
    low = np.floor(reach.min(axis=0) / [IN_PLANE_STEP_MM, IN_PLANE_STEP_MM, step]).astype(int)
    high = np.ceil(reach.max(axis=0) / [IN_PLANE_STEP_MM, IN_PLANE_STEP_MM, step]).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = axes * [IN_PLANE_STEP_MM, IN_PLANE_STEP_MM, step]
    affine[:3, 3] = middle + affine[:3, :3] @ low
    return Grid(tuple(int(n) for n in (high - low + 1)[::-1]), affine), int(-low[2])


def _nearest_slice(position: float) -> float:
    """The nearest whole number; of two that are equally near the upper one, whatever the last digits of ``position`` are.

    On a CT the endplates lie on faces of voxels, so that half of all middles fall on such a tie.
    """
    return float(np.floor(position + 0.5 + 1e-6))


def anterior_two_thirds(field: np.ndarray) -> np.ndarray:
    """A cross-section (rows to anterior) without the posterior third of its depth, where the basivertebral veins are."""
    rows = np.nonzero((field > 0).any(axis=1))[0]
    cut = rows[0] + (rows[-1] - rows[0]) / 3
    return np.minimum(field, (np.arange(len(field)) - cut)[:, None] * IN_PLANE_STEP_MM)


def _end_slice(field: np.ndarray, middle: int, step: int, whole: Ellipse) -> tuple[int, Ellipse]:
    needed = END_SLICE_AREA * whole.area
    index = middle
    fits = (field[:, _around(whole, np.sqrt(END_SLICE_AREA), field.shape[1:])] > 0).all(axis=1)
    while 0 <= index + step < len(field) and fits[index + step]:
        index += step
    ellipse, is_largest = whole, index == middle
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


def _around(ellipse: Ellipse, scale: float, shape: tuple[int, ...]) -> np.ndarray:
    """Samples of a cross-section within the scaled ellipse and two more around it: where all are positive, it fits for sure."""
    row, column = np.indices(shape) * IN_PLANE_STEP_MM
    u, v = column - ellipse.center[0], row - ellipse.center[1]
    cosine, sine = np.cos(ellipse.angle), np.sin(ellipse.angle)
    major, minor = scale * np.array(ellipse.semi_axes) + 2 * IN_PLANE_STEP_MM
    return ((cosine * u + sine * v) / major) ** 2 + ((cosine * v - sine * u) / minor) ** 2 <= 1


def _roi(level: str, name: str, stack: Grid, index: int, ellipse: Ellipse) -> PlanarRoi:
    columns, rows, _ = stack.directions.T
    along, across = np.cos(ellipse.angle), np.sin(ellipse.angle)
    u, v = np.asarray(ellipse.center) / IN_PLANE_STEP_MM
    return PlanarRoi(
        level, name, stack.ras([u, v, index]), along * columns + across * rows, along * rows - across * columns, ellipse.semi_axes
    )
