"""What axial images say of the muscles."""

from __future__ import annotations

from dataclasses import dataclass

from ..anatomy.structure import Segment
from ..anatomy.vocabulary import JOINED, MUSCLES
from ..errors import BoneQualityError
from ..image.image import Image
from ..image.mask import Mask
from ..measures.modality import check_modality, is_in_hu
from ..measures.muscle_discs import with_levels
from ..measures.muscle_result import Muscles
from ..measures.muscle_stacks import AxialImages, lies_along
from ..measures.muscles import measure_muscles
from ..parameters import Parameters
from ..vertebra.vertebra import Vertebra, read_vertebrae
from .images import AxialGiven, AxialStack, Edits, Progress


@dataclass(frozen=True, eq=False)
class AxialRead:
    """muscles: with their slices, flags and reasons. images: what they were read from, one for every stack; masks: by structure.

    Several masks of one structure, as on several stacks, are told apart by a number.
    """

    muscles: Muscles
    images: tuple[AxialImages, ...]
    masks: dict[str, Mask]


def axial_stacks(signals: list[Image], fat: list[Image], water: list[Image]) -> tuple[AxialStack, ...]:
    """The images of every stack. A pair of fat and water goes with the image on whose slices it lies, or is a stack of its own."""
    if len(signals) == len(fat) == 1:
        return (AxialStack(signals[0], fat[0], water[0]),)
    found = [AxialStack(signal) for signal in signals]
    for pair in zip(fat, water, strict=True):
        at = next((n for n, stack in enumerate(found) if stack.signal is not None and lies_along(stack.signal, pair[0])), None)
        if at is None:
            found.append(AxialStack(None, *pair))
        else:
            found[at] = AxialStack(found[at].signal, *pair)
    return tuple(found)


def read_axial(
    given: AxialGiven,
    spines: tuple[tuple[str, dict[str, Vertebra]], ...],
    parameters: Parameters,
    edits: Edits,
    progress: Progress,
) -> AxialRead:
    """Measure the muscles. spines: the vertebrae of the case's other images, by the image's name, to find discs without a mask."""
    images = tuple(_checked(stack, parameters) for stack in given.stacks)
    progress(0.0, "muscles: masks")
    segments = list(given.segments)
    own = read_vertebrae(segments, parameters.mask)[0]
    centers = [
        (role, {name: vertebra.middle for name, vertebra in vertebrae.items() if vertebra.mask.array.any()})
        for role, vertebrae in (("axial image", own), *spines)
    ]
    segments = with_levels(segments, centers)
    muscles = measure_muscles(segments, images, parameters, centers, progress, edits)
    return AxialRead(muscles, images, _masks(segments))


def _masks(segments: list[Segment]) -> dict[str, Mask]:
    found: dict[str, Mask] = {}
    for segment in segments:
        if segment.structure.kind in (*MUSCLES, *JOINED, "disc"):
            name = str(segment.structure)
            names = (name, *(f"{name} {n}" for n in range(2, len(segments) + 2)))
            found[next(each for each in names if each not in found)] = segment.load()
    return found


def _checked(given: AxialStack, parameters: Parameters) -> AxialImages:
    """The images that muscles are read from, each checked to be what it was given as."""
    signal = given.signal
    is_ct = signal is not None and (signal.tags.modality == "CT" or (signal.tags.modality != "MR" and is_in_hu(signal)))
    for image, wanted in ((signal, "CT" if is_ct else "axial MRI"), (given.fat, "fat image"), (given.water, "water image")):
        if image is not None:
            check_modality(image, wanted)
    if is_ct and parameters.fat_threshold != "reference":
        raise BoneQualityError("{name} is a CT, where fat is -190 to -30 HU; give no other fat threshold.", name=signal.name)
    return AxialImages(signal, is_ct, given.fat, given.water)
