"""Which input of a case an image is likely meant for, by its tags and values."""

from __future__ import annotations

from ..errors import BoneQualityError
from ..image.grid import SUPERIOR
from ..image.image import Image
from ..measures.contrast import t1_flags
from ..measures.modality import check_modality


def likely_input(image: Image) -> str:
    """One of "ct", "t1" or "axial_mr"; "" where neither tags nor values say."""
    if _is(image, "CT"):
        return "ct"
    if _is(image, "axial MRI") and _is_axial(image):
        return "axial_mr"
    is_t1 = _is(image, "T1 MRI") and not any(flag.code == "not-t1" for flag in t1_flags(image))
    return "t1" if is_t1 else ""


def _is_axial(image: Image) -> bool:
    """Whether an image was taken in axial slices, by their thickness."""
    spacing, axis = image.grid.spacing, image.grid.slice_axis
    return bool(spacing[axis] > 1.5 * spacing.min() and abs(SUPERIOR @ image.grid.directions[:, axis]) > 0.7)


def _is(image: Image, modality: str) -> bool:
    try:
        check_modality(image, modality)
    except BoneQualityError:
        return False
    return True
