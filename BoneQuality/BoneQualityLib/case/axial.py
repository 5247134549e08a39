"""What axial images say of the muscles."""

from __future__ import annotations

from dataclasses import dataclass

from ..anatomy.vocabulary import JOINED, MUSCLES
from ..errors import BoneQualityError
from ..image.mask import Mask
from ..measures.muscle_result import Muscles
from ..measures.muscles import AxialImages, measure_muscles
from ..measures.plausibility import check_modality, is_in_hu
from ..parameters import Parameters
from ..vertebra.vertebra import Vertebra, read_vertebrae
from .images import AxialGiven, Edits, Progress


@dataclass(frozen=True, eq=False)
class AxialRead:
    """muscles: with their slices, flags and reasons. images: what they were read from; masks: by structure, on the main image."""

    muscles: Muscles
    images: AxialImages
    masks: dict[str, Mask]


def read_axial(
    given: AxialGiven,
    spines: tuple[tuple[str, dict[str, Vertebra]], ...],
    parameters: Parameters,
    edits: Edits,
    progress: Progress,
) -> AxialRead:
    """Measure the muscles. spines: the vertebrae of the case's other images, by the image's name, to find discs without a mask."""
    images = _checked(given, parameters)
    progress(0.0, "muscles: masks")
    segments = list(given.segments)
    own = read_vertebrae(segments, parameters.mask)[0]
    centers = [
        (role, {name: vertebra.middle for name, vertebra in vertebrae.items() if vertebra.mask.array.any()})
        for role, vertebrae in (("axial image", own), *spines)
    ]
    muscles = measure_muscles(segments, images, parameters, centers, progress, edits)
    masks = {str(s.structure): s.load() for s in segments if s.structure.kind in (*MUSCLES, *JOINED, "disc")}
    return AxialRead(muscles, images, masks)


def _checked(given: AxialGiven, parameters: Parameters) -> AxialImages:
    """The images that muscles are read from, each checked to be what it was given as."""
    signal = given.signal
    is_ct = signal is not None and (signal.tags.modality == "CT" or (not signal.tags.modality and is_in_hu(signal)))
    for image, wanted in ((signal, "CT" if is_ct else "axial MRI"), (given.fat, "fat image"), (given.water, "water image")):
        if image is not None:
            check_modality(image, wanted)
    if is_ct and parameters.fat_threshold != "reference":
        raise BoneQualityError(f"{signal.name} is a CT, where fat is -190 to -30 HU; give no other fat threshold.")
    return AxialImages(signal, is_ct, given.fat, given.water)
