"""The largest ellipses on three slices of a vertebral body: placed from the mask, read from the image (Schreiber 2011; Chang 2025)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import NotMeasured, Sentence
from ..image.grid import ANTERIOR, SUPERIOR, Grid
from ..image.image import Image
from ..image.resampling import resample
from ..parameters import Parameters
from ..vertebra.body import Body
from ..vertebra.endplates import endplate_defect
from ..vertebra.frame import Frame
from .ellipse import Ellipse, grown, largest_ellipse
from .endosteal import Endosteum
from .region import THICK_MM
from .roi import PlanarRoi

#: The CT's own slices are used where they are axial within this angle.
OWN_SLICES_DEGREES = 5.0
REFORMAT_STEP_MM = 1.0
IN_PLANE_STEP_MM = 0.5
#: An end slice's ellipse has at least this share of the middle one's area, and lies at least so far from the middle.
END_SLICE_AREA = 0.6
END_SLICE_DISTANCE_MM = 4.0
#: Of slices this far apart it may be the next one: small or tilted bodies hold three of them and no more.
NEXT_SLICE_MM = 3.0
#: An axis of the image lies in a slice's plane where its cosine with the normal is under this.
IN_PLANE = 0.5
#: A slab's faces keep this far from the surface: cortex and its blur end there.
CLEAR_MM = 2.0
#: What keeps an end slice away: slices thicker, or a body more tilted than this; else a flat body.
THICK_SLICE_MM, TILTED_DEGREES = 3.0, 15.0


@dataclass(frozen=True)
class Slices:
    """The ellipses on the upper, middle and lower slice, None where there is none; and why, by name."""

    rois: dict[str, PlanarRoi | None]
    why: dict[str, NotMeasured]


def place_slices(
    body: Body, image: Image, parameters: Parameters, endosteum: Endosteum | None = None, frame: Frame | None = None
) -> Slices:
    """The largest ellipses on the upper, middle and lower slice, each where its whole slab is clear of the endplates.

    The middle slice lies half-way between the endplates' centers. Going outward from it, an end slice is the last one whose
    largest ellipse has at least 60 % of the middle slice's, both taken over the whole cross-section; so the basivertebral
    option, which then narrows the middle ellipse to the anterior two thirds of the cancellous depth, moves no end slice.
    """
    stack, middle = slice_stack(body, image, parameters.slice_plane, frame)
    thickness = slab_thickness(stack, image)
    field = clear_field(body, image.grid, stack, thickness, parameters.cancellous_margin_mm, endosteum)
    whole = largest_ellipse(field[middle], IN_PLANE_STEP_MM)
    if whole is None:
        raise NotMeasured("no cancellous bone on the middle slice")
    central = largest_ellipse(anterior_two_thirds(field[middle]), IN_PLANE_STEP_MM) if parameters.avoid_basivertebral else whole
    rois, why = dict(upper=None, middle=_roi(body.level, "middle", stack, middle, central), lower=None), {}
    for name, step in (("upper", 1), ("lower", -1)):
        index, ellipse = _end_slice(field, middle, step, whole)
        least = END_SLICE_DISTANCE_MM if stack.spacing[2] < NEXT_SLICE_MM - 1e-3 else stack.spacing[2]
        if abs(index - middle) * stack.spacing[2] >= least - 1e-6:
            rois[name] = _roi(body.level, name, stack, index, ellipse)
        else:
            why[name] = _why_none(name, body, stack, thickness, frame)
    return Slices(rois, why)


def clear_field(
    body: Body, voxels: Grid, stack: Grid, thickness: float, margin_mm: float, endosteum: Endosteum | None
) -> np.ndarray:  # fmt: skip
    """Where a slice reads cancellous bone alone, mm, positive there, float32 ``[slice, row, column]``.

    In its plane, that is in the cancellous region, with all of a voxel along axes of thick ``voxels``; and all across its thickness it is
    clear of the surface.
    """
    field = body.field(margin_mm)
    if endosteum is None:
        return resample(field, body.grid, stack, outside=-100.0)
    field, normal = np.minimum(field, endosteum.inside(endosteum.begins(margin_mm))), stack.directions[:, 2]
    found = np.minimum(resample(field, body.grid, stack, outside=-100.0), _least(body.depth, body.grid, stack, thickness * normal) - CLEAR_MM)
    for direction, step in zip(voxels.directions.T, voxels.spacing):
        if step >= THICK_MM and abs(direction @ normal) < IN_PLANE:
            found = np.minimum(found, _least(field, body.grid, stack, step * direction))
    return found


def _least(field: np.ndarray, grid: Grid, stack: Grid, along: np.ndarray) -> np.ndarray:
    """The lesser value of a field on ``grid`` half of ``along`` (RAS, mm) to either side of every sample of a stack."""
    ends = []
    for side in (-0.5, 0.5):
        affine = stack.ijk_to_ras.copy()
        affine[:3, 3] += side * along
        ends.append(resample(field, grid, Grid(stack.shape, affine), outside=-100.0))
    return np.minimum(*ends)


def slab_thickness(stack: Grid, image: Image) -> float:
    """Extent of the image's voxels along the normal of a stack, mm; for the image's own slices their thickness by the tag, if larger."""
    along = np.abs(stack.directions[:, 2] @ image.grid.directions)
    own = along[image.grid.slice_axis] > 1 - 1e-6
    return image.slice_thickness if own else float(along @ image.grid.spacing)


def _why_none(name: str, body: Body, stack: Grid, thickness: float, frame: Frame | None) -> NotMeasured:
    """What keeps an end slice away: a defect of the endplate only where its own height map shows one."""
    if frame is not None and name in endplate_defect(body, frame):
        return NotMeasured("no {name} slice: the {name} endplate is broken in", "endplate-defect", name=Sentence(name))
    tilt = np.degrees(np.arccos(min(abs(stack.directions[:, 2] @ frame.superior), 1.0))) if frame is not None else 0.0
    cause = Sentence("the body is too flat")
    if tilt > TILTED_DEGREES:
        cause = Sentence("the body is tilted by {degrees:.0f} degrees against the slices", degrees=tilt)
    elif thickness > THICK_SLICE_MM:
        cause = Sentence("slices of {thickness:.1f} mm are too thick", thickness=thickness)
    return NotMeasured("no {name} slice: {cause}", "no-end-slice", name=Sentence(name), cause=cause)


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
            if _most_area(section) < needed:
                break
            searched = True
            following = largest_ellipse(section, IN_PLANE_STEP_MM, warm_start=ellipse)
        if following is None or following.area < needed:
            break
        index, ellipse, is_largest = index + step, following, searched
    return index, ellipse if is_largest else largest_ellipse(field[index], IN_PLANE_STEP_MM, warm_start=ellipse)


def _most_area(section: np.ndarray) -> float:
    """More than any ellipse in a cross-section can have, mm2: its samples, and a rim of one more for the border between them."""
    inside = section > 0
    rim = np.count_nonzero(np.diff(inside, axis=0)) + np.count_nonzero(np.diff(inside, axis=1))
    return float(np.count_nonzero(inside) + rim) * IN_PLANE_STEP_MM**2


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
