"""Areas and fat of the paraspinal muscles (Zhan 2024): ROIs placed on each slice, then read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from ..anatomy.structure import Segment
from ..anatomy.vocabulary import JOINED, MUSCLES, SIDES, kind_of
from ..errors import BoneQualityError, NotMeasured, Sentence
from ..image.image import Image
from ..image.mask import Mask
from ..parameters import CASE_DISCS, LEVELS, Parameters
from ..states import Flag, Reason
from ..vertebra.mask_checks import overlap_flags
from .muscle_fat import CT_FAT_HU, FatThreshold, beside_muscles, find_threshold
from .muscle_result import Compartment, Muscles, MuscleSlice
from .muscle_slices import NotThere, SlicePlane, is_inside, nearest_height, place_section, read_pixels, slice_planes, why_cut
from .muscle_stacks import AxialImages, Stack, read_stacks
from .roi import PlanarRoi

BIAS_SHARE = 0.20
MOST_FAT_PERCENT = 50.0
#: The muscles behind the spine: subcutaneous fat lies behind and beside them.
BACK = ("multifidus", "erector_spinae", "autochthon")


def measure_muscles(
    segments: list[Segment],
    images: Sequence[AxialImages],
    parameters: Parameters,
    bodies: list[tuple[str, dict[str, np.ndarray]]] = (),
    progress: Callable[[float, str], None] = lambda share, text: None,
    edits: Mapping[tuple[str, str], PlanarRoi] = MappingProxyType({}),
) -> Muscles:
    """Areas and fat of every compartment at every disc, or on every slice where no disc is known.

    segments: those of the axial images. images: one for every stack of slices. bodies: RAS centers of vertebral bodies by level with
    the image's role, for discs without a mask. edits: ROIs that a person edited, by disc and kind ("left multifidus", "disc").
    Raises BoneQualityError where no muscle is there, a side is missing or contradicts the patient's, or no image is axial.
    """
    stacks = read_stacks(segments, list(images))
    for stack in stacks:
        check_sides(stack.compartments, stack.discs)
    found = Muscles()
    try:
        planes, found.reasons = slice_planes(stacks, list(bodies), parameters.disc_positions, parameters.slice_plane)
    except NotMeasured as reason:
        raise BoneQualityError(
            "The muscles' masks do not fit {name}: {reason}; give the image that they were drawn on.",
            name=stacks[0].images.main.name,
            reason=reason,
        ) from None
    found.reasons += [
        Sentence("{muscle}: the mask is empty; draw it", muscle=Sentence(kind_of(*key))) for stack in stacks for key in stack.compartments if key not in stack.drawn
    ]
    discs = {name: mask for stack in stacks for name, mask in stack.discs.items()}
    for n, (stack, plane) in enumerate(planes):
        progress((n + 0.1) / len(planes), Sentence("muscles {slice}", slice=plane.name))
        there = _place_slice(plane, stack, stack.discs.get(plane.disc, discs.get(plane.disc)), edits)
        _read_slice(there, stack.images, parameters.fat_threshold)
        found.slices.append(there)
    found.flags = _merged([flag for there in found.slices for flag in there.flags])
    found.flags += _order_flags([plane for _, plane in planes])
    found.flags += [flag for stack in stacks for flag in overlap_flags(_apart(stack.drawn, stack.discs))]
    if not any(there.disc for there in found.slices):
        found.flags.append(Flag("disc-absent", value=len(found.slices), unit="slices by their position"))
        found.reasons.append("no rCSA: no disc is known; give a mask of the discs, or the slices at discs (disc slices)")
    else:
        found.flags += [Flag("disc-absent", disc) for disc in CASE_DISCS if disc not in discs]
    return found


def _missing(what: str, reason: object) -> Reason:
    """Why one of the numbers of a muscle's fat is missing: "fat infiltration" or "fat fraction"."""
    return Reason(Sentence("{what}: {reason}", what=Sentence(what), reason=Sentence(str(reason))), what.replace(" ", "_"))


def check_sides(compartments: dict[tuple[str, str], Mask], discs: dict[str, Mask]) -> None:
    """Raise BoneQualityError where a compartment's name and its place in the patient (RAS) are of different sides.

    A muscle is compared with that of the other side, which a curved spine shifts alike; one side alone with the discs, or the others.
    """
    right = {key: float(mask.center[0]) for key, mask in compartments.items() if mask.array.any()}
    pairs = {m: np.mean([right[m, s] for s in SIDES]) for m in (*MUSCLES, *JOINED) if all((m, s) in right for s in SIDES)}
    middles = [mask.center[0] for mask in discs.values()] or list(pairs.values())
    for (muscle, side), at in right.items():
        if not middles:
            return
        if (at > pairs.get(muscle, np.mean(middles))) != (side == "right"):
            other = SIDES[1 - SIDES.index(side)]
            raise BoneQualityError(
                "{name} is named {side} but lies on the patient's {other}; rename the segments, or correct the "
                "image's orientation.",
                name=compartments[muscle, side].name,
                side=Sentence(side),
                other=Sentence(other),
            )


def _place_slice(plane: SlicePlane, stack: Stack, disc: Mask | None, edits) -> MuscleSlice:
    """The ROIs of all compartments and of the disc on one slice; those that a person edited as they are."""
    image, there = stack.images.main, MuscleSlice(plane, stack.number)
    if plane.off_mm:
        there.flags.append(Flag("neighbor-slice", plane.disc, value=abs(plane.off_mm), unit="mm"))
    for (muscle, side), mask in stack.compartments.items():
        compartment = Compartment(muscle, side)
        try:
            compartment.roi = edits.get((plane.name, compartment.name)) or place_section(plane, mask, compartment.name)
        except NotMeasured as reason:
            if not plane.disc and isinstance(reason, NotThere):  # beyond the end of this muscle's mask
                continue
            compartment.is_elsewhere = isinstance(reason, NotThere) and bool(mask.array.any())
            compartment.reasons.append(Reason(str(reason)))
        there.compartments.append(compartment)
        cut = why_cut(compartment.roi, image, mask) if compartment.roi is not None else ""
        if cut:
            compartment.is_whole = False
            compartment.reasons.append(Reason(cut))
            there.flags.append(Flag("muscle-cut", plane.disc, about=Sentence(compartment.name)))
    if any(c.is_elsewhere for c in there.compartments):
        there.drawn_at = nearest_height(plane, stack.drawn.values())
    if disc is not None:
        _place_disc(there, disc, image, edits)
    return there


def _place_disc(there: MuscleSlice, disc: Mask, image: Image, edits) -> None:
    """The disc's ROI, on the slice through its middle also where the muscles were drawn beside that."""
    plane = replace(there.plane, center=there.plane.center - there.plane.off_mm * there.plane.normal)
    try:
        there.disc_roi = edits.get((plane.name, "disc")) or place_section(plane, disc, "disc")
        if cut := why_cut(there.disc_roi, image, None):
            there.is_disc_whole = False
            raise NotMeasured(cut)
    except NotMeasured as reason:
        there.reasons.append(Sentence("disc: {reason}", reason=reason))


def _read_slice(there: MuscleSlice, images: AxialImages, asked: str) -> None:
    """Fat of every compartment on one slice, and whether the thresholds of the sides agree."""
    placed = [c for c in there.compartments if c.roi is not None and is_inside(c.roi, images.main)]
    for compartment in placed:
        compartment.pixels = read_pixels(compartment.roi, images.main)[0]
    if images.signal is not None:
        there.thresholds, missing = slice_thresholds(there.plane, placed, images, asked)
        for compartment in placed:
            if compartment.side in missing:
                compartment.reasons.append(_missing("fat infiltration", missing[compartment.side]))
                continue
            try:
                compartment.fat_infiltration, compartment.fat_pixels = read_fat(
                    compartment.roi, images.signal, there.thresholds[compartment.side]
                )
            except NotMeasured as reason:
                compartment.reasons.append(_missing("fat infiltration", reason))
    if images.fat is not None:
        for compartment in placed:
            try:
                compartment.fat_fraction = read_fat_fraction(compartment.roi, images.fat, images.water)
            except NotMeasured as reason:
                compartment.reasons.append(_missing("fat fraction", reason))
        fractions = [compartment.fat_fraction for compartment in placed if compartment.fat_fraction is not None]
        if fractions and np.mean(fractions) > MOST_FAT_PERCENT:
            there.flags.append(Flag("fat-water", there.disc, float(np.mean(fractions)), "%"))
    lows = [threshold.low for threshold in there.thresholds.values() if threshold.method != "ct"]
    if len(lows) == 2 and abs(lows[0] - lows[1]) > BIAS_SHARE * np.mean(lows):
        there.flags.append(Flag("muscle-bias", there.disc, 100 * float(abs(lows[0] - lows[1]) / np.mean(lows)), "%"))


def slice_thresholds(
    plane: SlicePlane, placed: list[Compartment], images: AxialImages, asked: str
) -> tuple[dict[str, FatThreshold], dict[str, str]]:
    """The threshold of each side, or why there is none. Each side has its own, so that a coil's bias is seen."""
    sides = [side for side in SIDES if any(c.side == side for c in placed)]
    if images.is_ct:
        return {side: FatThreshold("ct", *CT_FAT_HU) for side in sides}, {}
    found, missing = {}, {}
    for side in sides:
        try:
            muscle = np.concatenate([read_pixels(c.roi, images.signal)[1] for c in placed if c.side == side])
            found[side] = find_threshold(asked, muscle[np.isfinite(muscle)], *_beside(plane, placed, images.signal, side))
        except NotMeasured as reason:
            missing[side] = str(reason)
    return found, missing


def read_fat(roi: PlanarRoi, image: Image, threshold: FatThreshold) -> tuple[float, Mask]:
    """Percent of a region's pixels that are fat, and these pixels."""
    inside, values = _pixels(roi, image)
    fat = inside.array.copy()
    fat[inside.array] = threshold.is_fat(values)
    return 100 * float(threshold.is_fat(values).mean()), Mask(f"fat in {roi.kind}", fat, inside.grid)


def read_fat_fraction(roi: PlanarRoi, fat: Image, water: Image) -> float:
    """Mean of fat / (fat + water) over a region's pixels, percent; pixels without any signal are left out."""
    fats = _pixels(roi, fat)[1]
    both = fats + _pixels(roi, water)[1]
    if not (both > 0).any():
        raise NotMeasured("fat and water have no signal here; give the images that show the muscles")
    return 100 * float(np.mean(fats[both > 0] / both[both > 0]))


def _pixels(roi: PlanarRoi, image: Image) -> tuple[Mask, np.ndarray]:
    inside, values = read_pixels(roi, image)
    if not len(values):
        raise NotMeasured("no pixel's middle lies in the region; make it larger")
    if not np.isfinite(values).all():
        raise NotMeasured(
            "the region reaches beyond {image} or over pixels that hold no number; give a whole image", image=image.name
        )
    return inside, values


def _beside(plane: SlicePlane, placed: list[Compartment], image: Image, side: str) -> tuple[np.ndarray, float]:
    """The pixels among which one side's subcutaneous fat lies, and the area of one of them, mm2."""
    outlines = [plane.flat(np.concatenate(c.roi.curves())) for c in placed]
    middles = [(c, outline.mean(axis=0)) for c, outline in zip(placed, outlines)]
    behind = np.mean([m[1] for c, m in middles if c.muscle in BACK] or [m[1] for _, m in middles])
    centers = [np.mean([m[0] for c, m in middles if c.side == s]) for s in SIDES if any(c.side == s for c in placed)]
    low, high = -np.inf, np.inf
    if len(centers) == 2:
        low, high = (-np.inf, np.mean(centers)) if side == "left" else (np.mean(centers), np.inf)
    return beside_muscles(plane, np.concatenate(outlines), image, behind, low, high)


def _order_flags(planes: list[SlicePlane]) -> list[Flag]:
    """Discs that do not lie in anatomical order from top to bottom."""
    claimed = sorted((plane for plane in planes if plane.disc), key=lambda plane: LEVELS.index(plane.disc.split("-")[0]))
    return [
        Flag("level-order", about=Sentence("{lower} above {upper}", lower=lower.disc, upper=upper.disc))
        for upper, lower in zip(claimed, claimed[1:])
        if upper.center[2] <= lower.center[2]
    ]


def _apart(compartments: dict[tuple[str, str], Mask], discs: dict[str, Mask]) -> dict[str, Mask]:
    """Masks that show different things by name: without compartments that hold others which are there too."""
    muscles = {
        kind_of(muscle, side): mask
        for (muscle, side), mask in compartments.items()
        if mask.array.any() and not any((part, side) in compartments for part in JOINED.get(muscle, ()))
    }
    return muscles | discs


def _merged(flags: list[Flag]) -> list[Flag]:
    """One flag for each code and disc, with the largest of its values and all names."""
    groups: dict[tuple[str, str], list[Flag]] = {}
    for flag in flags:
        groups.setdefault((flag.code, flag.level), []).append(flag)
    return [
        Flag(
            code,
            disc,
            max((flag.value for flag in group if flag.value is not None), default=None),
            group[0].unit,
            ", ".join(dict.fromkeys(flag.about for flag in group if flag.about)),
        )
        for (code, disc), group in groups.items()
    ]
