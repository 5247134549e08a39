"""Slice values of a CT from regions that a person drew on single slices, as ellipses usually are (Pickhardt 2013).

Such a mask is no body: it lies on one slice, or on three that do not touch. Which slice of the vertebra each is, its place in the
body says where that was segmented too; of three the order says it; one alone is the middle slice.
"""

from __future__ import annotations

import numpy as np

from ..errors import NotMeasured, Sentence
from ..image.image import Image
from ..image.mask import Mask
from ..vertebra.body import endplate_centers
from .hounsfield import measure_slices
from .muscle_slices import MINIMUM_AREA_MM2, axial_axis, image_plane, place_section
from .roi import LevelNumbers, PlanarRoi
from .slices import Slices

NAMES = ("upper", "middle", "lower")
#: Up to here from an endplate to the other, from below, a slice counts as the lower or the middle one.
LOWER_SHARE, UPPER_SHARE = 1 / 3, 2 / 3
#: A mask lies on the image's slices where its places are off them by less than this share of a step.
ON_SLICE = 0.1


def is_drawn_on_slices(mask: Mask, image: Image) -> bool:
    """Whether a mask lies on single slices of a CT, at most three, that do not touch; not where it is a speck."""
    numbers = _slices(mask, image) if mask.array.any() else []
    if not 0 < len(numbers) <= len(NAMES):
        return False
    step = mask.grid.spacing[axial_axis(mask.grid)]
    return mask.volume / step / len(numbers) >= MINIMUM_AREA_MM2


def _slices(mask: Mask, image: Image) -> list[int]:
    """The numbers of the slices that a mask lies on; none where it is thicker than one or lies between them."""
    along = axial_axis(image.grid)
    places = image.grid.ijk(mask.row_ends)[:, along]
    numbers = np.unique(np.round(places)).astype(int)
    if np.abs(places - np.round(places)).max() > ON_SLICE or (np.diff(numbers) == 1).any():
        return []
    return numbers.tolist()


def place_drawn(level: str, mask: Mask, image: Image, body: Mask | None = None) -> dict[str, PlanarRoi]:
    """The regions by the name of their slice. body: the level's body, where it was segmented too.

    Raises NotMeasured where the names of two are not clear, or a region is too small.
    """
    axis, along = axial_axis(image.grid), image.grid.ijk(mask.points)[:, axial_axis(image.grid)]
    centers = [mask.points[np.abs(along - number) < 0.5].mean(axis=0) for number in _slices(mask, image)]
    centers.sort(key=lambda center: -center[2])
    names = _names(centers, body, image.grid.directions[:, axis])
    planes = [image_plane(image, center, level, "drawn by hand") for center in centers]
    return {name: place_section(plane, mask, name) for name, plane in zip(names, planes)}


def _names(centers: list[np.ndarray], body: Mask | None, normal: np.ndarray) -> list[str]:
    if body is not None:
        superior = normal * np.sign(normal[2])
        low, high = endplate_centers(body.points, body.center, superior, body.grid)
        shares = [(center @ superior - low) / (high - low) for center in centers]
        names = ["lower" if share < LOWER_SHARE else "upper" if share > UPPER_SHARE else "middle" for share in shares]
        if len(set(names)) == len(names):
            return names
    if len(centers) == 3:
        return list(NAMES)
    if len(centers) == 1:
        return ["middle"]
    raise NotMeasured("it is not clear which slices of the vertebra the two drawn ones are; draw one, or three")


def ellipse_through(level: str, clicks: np.ndarray, image: Image) -> PlanarRoi:
    """The middle slice's ellipse that a person drew by three clicks, RAS mm, shape (3, 3): the ends of one axis, then the edge across.

    It lies on the image's own slice nearest to the first click. Raises NotMeasured where the clicks lie outside the image or make
    no ellipse of at least 30 mm2.
    """
    plane = image_plane(image, np.asarray(clicks[0], float), level, "drawn by hand")
    first, second, edge = plane.flat(np.asarray(clicks, float))
    center, arm = 0.5 * (first + second), 0.5 * (second - first)
    along = float(np.linalg.norm(arm))
    if along > 0:
        direction = arm / along
        across = float(abs((edge - center) @ [-direction[1], direction[0]]))
        if np.pi * along * across >= MINIMUM_AREA_MM2:
            u, v = (part[0] * plane.u + part[1] * plane.v for part in (direction, (-direction[1], direction[0])))
            middle = plane.center + center[0] * plane.u + center[1] * plane.v
            return PlanarRoi(level, "middle", middle, u, v, semi_axes=(along, across), edited=True)
    raise NotMeasured(
        "the clicks make no ellipse of at least {least:g} mm2; click the ends of one axis, then the edge across",
        least=MINIMUM_AREA_MM2,
    )


def pixels_of(roi: PlanarRoi, image: Image) -> Mask:
    """The pixels of the image's slice whose centers lie inside an ellipse, as the mask of its level."""
    grid = image.grid
    box = grid.slices_around(np.concatenate([roi.curves()[0], [roi.center]]), pad=1)
    part = grid.box(box)
    off = part.centers() - roi.center
    inside = ((off @ roi.u) / roi.semi_axes[0]) ** 2 + ((off @ roi.v) / roi.semi_axes[1]) ** 2 <= 1
    inside &= np.abs(off @ roi.normal) < 0.5 * grid.spacing[axial_axis(grid)]
    return Mask(f"{roi.level} cancellous", inside, part).cropped()


def measure_level(rois: dict[str, PlanarRoi], image: Image) -> LevelNumbers:
    """The slice values of a level that has nothing but regions on slices. rois: those drawn, or edited by a person since."""
    numbers = LevelNumbers()
    measure_slices(numbers, Slices(rois, {}), {}, image)
    missing = Sentence.joined((name for name in NAMES if name not in rois), ", ")
    sentence = "drawn on single slices: no 3D-HU, no heights"
    numbers.gap(NotMeasured(Sentence(sentence + ", no {missing} slice", missing=missing) if missing else sentence))
    return numbers
