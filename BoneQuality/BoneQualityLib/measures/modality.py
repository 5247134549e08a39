"""Whether an image is of the modality it was given as, by its tag or by its values; `units` and `contrast` look closer."""

from __future__ import annotations

import math

import numpy as np

from ..errors import BoneQualityError, Sentence
from ..image.image import Image

#: MR images hold no values below this one.
LOWEST_MR = -200
#: The darkest hundredth of a CT lies this share of the brightest one's HU below zero, that of an MRI does not.
HU_SHARE = 0.2
#: Tags that decide; others, such as OT and SC of converted images, leave it to the values.
MODALITIES = {"CT": "CT", "MR": "MRI"}
#: Modalities that are neither.
FOREIGN = ("PT", "NM", "US", "XA", "CR", "DX", "MG", "RF", "SEG", "RTDOSE")


def check_modality(image: Image, wanted: str) -> None:
    """Raise BoneQualityError if an image is not what it was given as ("CT", "T1 MRI", ...), by its tag or by the sign of its values."""
    tag = image.tags.modality or ""
    family = "CT" if wanted == "CT" else "MRI"
    if tag in FOREIGN or MODALITIES.get(tag, family) != family:
        given = {"MR": "an MRI", "CT": "a CT"}.get(tag, tag)
        raise BoneQualityError(
            "{name} is {given} by its DICOM tags, but was given as {wanted}; choose the other volume.",
            name=image.name,
            given=Sentence(given),
            wanted=Sentence(wanted),
        )
    lowest = _lowest(image)
    if math.isnan(lowest):
        raise BoneQualityError("{name} holds no numbers; export it again.", name=image.name)
    if float(np.nanmax(image.thinned)) == lowest and float(np.nanmin(image.array)) == float(np.nanmax(image.array)):
        raise BoneQualityError(
            "{name} holds the value {lowest:g} everywhere; export the image again.", name=image.name, lowest=lowest
        )
    if wanted == "CT" and lowest >= 0 and not _noise_free(image.thinned):
        raise BoneQualityError(
            "{name} has no value below 0, so it is not in HU: choose the CT, or import it again with its rescaling.",
            name=image.name,
        )
    if wanted != "CT" and lowest < LOWEST_MR:
        raise BoneQualityError(
            "{name} has values down to {lowest:.0f}, like a CT in HU; choose the {wanted}.",
            name=image.name,
            lowest=lowest,
            wanted=Sentence(wanted),
        )


def _lowest(image: Image) -> float:
    return float(np.nanmin(image.thinned)) if np.isfinite(image.thinned).any() else math.nan


def is_in_hu(image: Image) -> bool:
    """Whether a volume of unknown modality is a CT, by its air; or, where that was cropped away, by its fat.

    An interpolated MRI is negative too, but by little against its bright tissues.
    """
    lowest = _lowest(image)
    if not LOWEST_MR <= lowest < 0:
        return lowest < LOWEST_MR
    low, high = np.nanpercentile(image.thinned, (1, 99))
    return bool(low < -HU_SHARE * high)


def _noise_free(array: np.ndarray) -> bool:
    """Whether ten values fill four fifths of a signed image: a synthetic CT without air or fat, and no MRI."""
    if array.dtype.kind == "u":
        return False
    _, counts = np.unique(array, return_counts=True)
    return float(np.sort(counts)[-10:].sum()) >= 0.8 * array.size
