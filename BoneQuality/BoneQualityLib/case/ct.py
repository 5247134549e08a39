"""What the CT says of every vertebra."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module

from ..anatomy.numbering import heights as heights_along
from ..anatomy.segments import check_alone
from ..anatomy.structure import Segment
from ..columns import Image, families
from ..errors import NotMeasured, Sentence
from ..image.image import Image as CtImage
from ..image.mask import Mask
from ..measures import drawn_slices
from ..measures.acquisition import ct_flags
from ..measures.drawn_slices import is_drawn_on_slices, place_drawn
from ..measures.focal import find_outliers
from ..measures.height_loss import HeightLoss, grade_losses, longest_voxel_mm
from ..measures.heights import HEIGHTS, Heights, measure_heights
from ..measures.mask_rim import LEAST_RIM_HU, rim_on_ct
from ..measures.modality import check_modality
from ..measures.roi import LevelNumbers, PlanarRoi
from ..measures.units import check_hounsfield
from ..parameters import CaseFacts, Parameters
from ..states import Exclusion, Flag
from ..vertebra.body import Body, place_body
from ..vertebra.endplates import endplate_defect
from ..vertebra.frame import Frame
from ..vertebra.mask_checks import bodies_of, check_single, check_whole, mask_flags
from ..vertebra.vertebra import Vertebra, read_vertebrae
from .images import Edits, Given, Progress
from .memory import Memory
from .result import Level
from .spine import SpineRead, excluded, left_out

SLICES = ("upper", "middle", "lower")
#: The measures that read one level of a CT by itself; heights are judged against the neighbors' and come after.
FAMILIES = tuple(import_module(f"..measures.{name}", __package__) for name in families(Image.CT) if name != "heights")


@dataclass(frozen=True, eq=False)
class _Asked:
    """What a level is read with."""

    given: Given
    facts: CaseFacts
    parameters: Parameters
    memory: Memory


def read_ct(
    given: Given, facts: CaseFacts, parameters: Parameters, edits: Edits, progress: Progress, memory: Memory
) -> SpineRead:  # fmt: skip
    """Measure every vertebra of a CT. Raises BoneQualityError where the image is not a CT in HU."""
    image, asked = given.image, _Asked(given, facts, parameters, memory)
    progress(0.0, "CT: masks")
    memory.once("CT", lambda: check_modality(image, "CT"))
    drawn, solid = memory.once("CT drawn", lambda: _drawn_on_slices(given))
    vertebrae, around = memory.once("CT vertebrae", lambda: read_vertebrae(solid, parameters.mask))
    masks = [*(vertebra.mask for vertebra in vertebrae.values()), *drawn.values()]
    units = memory.once("CT units", lambda: check_hounsfield(image, masks, [*around.sacs, *around.cords, *around.sacra]))
    along = memory.once("CT along", lambda: heights_along(bodies_of(vertebrae)))
    levels, bodies = {}, {}
    for n, (name, vertebra) in enumerate(vertebrae.items()):
        progress((n + 0.1) / len(vertebrae), Sentence("CT {level}", level=name))
        regions = _of_level(edits, name)
        if name in drawn:
            regions = _placed(name, drawn[name], image, vertebra) | regions
        levels[name], body = _read_level(vertebra, asked, along, regions)
        bodies.update({name: body} if body is not None else {})
    for name, mask in drawn.items():
        if name not in vertebrae:
            levels[name] = _read_drawn(name, mask, image, facts, _of_level(edits, name))
    progress(0.95, "CT: heights")
    levels = _with_outliers(_with_losses(_with_heights(levels, vertebrae, bodies, asked), bodies))
    tags = image.tags
    values = dict(
        kvp=tags.kvp,
        slice_thickness_mm=image.slice_thickness,
        kernel=tags.kernel,
        contrast=facts.contrast or tags.contrast,
        effective_margin_mm=parameters.cancellous_margin_mm,
        slice_plane=parameters.slice_plane,
    )
    gone = left_out(facts)
    of_masks = memory.once(("CT mask flags", *gone), lambda: mask_flags(vertebrae, around, gone))
    flags = (*ct_flags(image, facts.contrast), *units.flags, *of_masks)
    return SpineRead(levels, vertebrae, flags, values, drawn=drawn)


def _drawn_on_slices(given: Given) -> tuple[dict[str, Mask], list[Segment]]:
    """Masks by level that a person drew on single slices, and the other segments."""
    flat = {
        segment: mask
        for segment in given.segments
        if segment.structure.kind == "vertebra" and is_drawn_on_slices(mask := segment.load(), given.image)
    }
    solid = [segment for segment in given.segments if segment not in flat]
    check_alone([segment for segment in flat])
    check_alone(solid)
    return {segment.structure.level: mask for segment, mask in flat.items()}, solid


def _placed(name: str, mask: Mask, image: CtImage, vertebra: Vertebra | None = None) -> dict[str, PlanarRoi]:
    body = vertebra.body if vertebra is not None and vertebra.mask.array.any() else None
    return place_drawn(name, mask, image, body)


def _read_drawn(name: str, mask: Mask, image: CtImage, facts: CaseFacts, edits: dict[str, PlanarRoi]) -> Level:
    """A level of which nothing but regions on slices was drawn."""
    try:
        numbers = drawn_slices.measure_level(_placed(name, mask, image) | edits, image)
    except NotMeasured as reason:
        numbers = LevelNumbers.empty(reason)
    return Level(name, numbers, ct_excluded=excluded(name, facts))


def _read_level(
    vertebra: Vertebra, asked: _Asked, along: dict[str, float], edited: dict[str, PlanarRoi]
) -> tuple[Level, Body | None]:  # fmt: skip
    name, why, once = vertebra.level, excluded(vertebra.level, asked.facts), asked.memory.once
    try:
        body = once(("CT body", name), lambda: _placed_body(vertebra, asked.given, along))
    except NotMeasured as reason:
        return Level(name, LevelNumbers.empty(reason), ct_excluded=why), None
    image, frame, read = asked.given.image, vertebra.frame, []
    for family in FAMILIES:
        placed = once((family.__name__, name), lambda family=family: family.place_level(body, image, asked.parameters, frame))
        again = partial(family.read_level, placed, image, edited)
        read.append(again() if edited else once((family.__name__, name, "read"), again))
    judged = not {Exclusion.CEMENTED, Exclusion.EXCLUDED} & set(why)
    off_bone = once(("CT rim", name), lambda: _off_bone(body, asked.given)) if judged else []
    numbers = LevelNumbers.joined([*read, LevelNumbers(flags=[*vertebra.doubts, *off_bone])])
    why = (*why, Exclusion.IMPLAUSIBLE) if off_bone else why
    return Level(name, numbers, ct_excluded=why, frame=frame), body


def _placed_body(vertebra: Vertebra, given: Given, along: dict[str, float]) -> Body:
    check_whole(vertebra, given.image)
    check_single(vertebra.level, along)
    return place_body(vertebra.level, vertebra.body, vertebra.exclusions, vertebra.covers)


def _off_bone(body: Body, given: Given) -> list[Flag]:
    if body.covers == "cancellous":
        return []
    try:
        rim = rim_on_ct(body, given.image)
    except NotMeasured:
        return []
    return [Flag("mask-off-bone", value=rim, unit="HU of rim")] if rim < LEAST_RIM_HU else []


def _of_level(edits: Edits, level: str) -> dict[str, PlanarRoi]:
    return {kind: roi for (name, kind), roi in edits.items() if name == level and kind in SLICES}


def _with_heights(
    levels: dict[str, Level], vertebrae: dict[str, Vertebra], bodies: dict[str, Body], asked: _Asked
) -> dict[str, Level]:
    """The levels with the heights of every body that has axes."""
    found = dict(levels)
    for name, body in bodies.items():
        level, vertebra = levels[name], vertebrae[name]
        if level.frame is None:
            continue
        try:
            heights = asked.memory.once(("CT heights", name), lambda: _heights(body, level.frame, vertebra.unmixed, asked.given.image))
        except NotMeasured as reason:
            found[name] = replace(level, ct=level.ct.with_gap(reason))
            continue
        read = {f"height_{which}_mm": heights[which] for which in HEIGHTS if heights[which] is not None}
        numbers = replace(level.ct, values={**level.ct.values, **read})
        for reason in heights.reasons:
            numbers = numbers.with_gap(NotMeasured(reason))
        found[name] = replace(level, heights=heights, ct=numbers)
    return found


def _heights(body: Body, frame: Frame, unmixed: Mask | None, image: CtImage) -> Heights:
    return measure_heights(body, frame, unmixed, image, endplate_defect(body, frame))


def _with_outliers(levels: dict[str, Level]) -> dict[str, Level]:
    """The levels, those flagged whose HU or spread is far from that of the others."""
    read = {
        name: (level.ct.values["hu_3d"], level.ct.values["hu_3d_sd"])
        for name, level in levels.items()
        if "hu_3d" in level.ct.values
    }
    found = dict(levels)
    for outlier in find_outliers(read):
        about = "3D-HU" if outlier.column == "hu_3d" else "SD"
        flag = Flag("hu-outlier", value=outlier.difference, unit="HU", about=Sentence("{value} against the median of the other levels", value=about))
        level = found[outlier.level]
        found[outlier.level] = replace(level, ct=replace(level.ct, flags=[*level.ct.flags, flag]))
    return found


def _with_losses(levels: dict[str, Level], bodies: dict[str, Body]) -> dict[str, Level]:
    """The levels with the height that each has lost, and the grade that it suggests."""
    measured = {name: levels[name].heights for name in bodies if levels[name].heights is not None}
    broken = [name for name in measured if any(why is not Exclusion.OUTSIDE_MEAN for why in levels[name].ct_excluded)]
    losses = grade_losses(measured, {name: longest_voxel_mm(bodies[name]) for name in measured}, broken)
    return {name: _with_loss(level, losses[name]) if name in losses else level for name, level in levels.items()}


def _with_loss(level: Level, loss: HeightLoss) -> Level:
    numbers = level.ct
    flags = [Flag("possible-fracture", value=loss.suspected_percent, unit="% of height", about=loss.said)]
    values = {**numbers.values, "height_loss_percent": loss.percent, "genant_grade": loss.grade}
    return replace(level, loss=loss, ct=replace(numbers, values=values, flags=numbers.flags + flags * loss.suggests_fracture))
