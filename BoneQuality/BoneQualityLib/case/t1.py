"""What the T1 MRI says of every vertebra, and of the CSF."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from ..anatomy.numbering import heights as heights_along
from ..anatomy.segments import check_alone
from ..errors import BoneQualityError, NotMeasured, Sentence
from ..image.image import Image
from ..image.mask import Mask
from ..measures import csf, marrow
from ..measures.contrast import t1_flags
from ..measures.mask_rim import LEAST_RIM_SHARE, rim_on_t1
from ..measures.modality import check_modality
from ..measures.roi import LevelNumbers
from ..parameters import CaseFacts, Parameters
from ..states import Exclusion, Flag
from ..vertebra.mask_checks import bodies_of, check_single, mask_flags
from ..vertebra.vertebra import Surroundings, Vertebra, read_vertebrae
from .images import Edits, Given, Progress
from .memory import Memory
from .result import Level
from .spine import SpineRead, excluded, left_out


@dataclass(frozen=True, eq=False)
class T1Read(SpineRead):
    """csf: by level."""

    csf: dict[str, csf.Csf]


def read_t1(
    given: Given, facts: CaseFacts, parameters: Parameters, edits: Edits, progress: Progress, memory: Memory
) -> T1Read:  # fmt: skip
    """Measure the marrow of every vertebra, and the CSF. Raises BoneQualityError where the image is not an MRI."""
    image, once = given.image, memory.once
    progress(0.0, "T1: masks")
    once("T1", lambda: check_modality(image, "T1 MRI"))
    check_alone(given.segments)
    vertebrae, around = once("T1 vertebrae", lambda: read_vertebrae(list(given.segments), parameters.mask))
    bodies, numbers, along = {}, {}, once("T1 along", lambda: heights_along(bodies_of(vertebrae)))
    for name, vertebra in vertebrae.items():
        try:
            if not vertebra.mask.array.any():
                raise NotMeasured("the mask is empty")
            check_single(name, along)
            bodies[name] = vertebra.body
        except NotMeasured as reason:
            numbers[name] = LevelNumbers.empty(reason)
    plane = marrow.common_plane(image, bodies) if bodies and parameters.vbq_slice == "midsagittal" else None
    for n, name in enumerate(bodies):
        progress((n + 0.1) / (len(bodies) + 1), Sentence("T1 {level}", level=name))
        edited, read = edits.get((name, "marrow")), partial(marrow.measure_level, vertebrae[name], image, plane, parameters)
        numbers[name] = read(edited) if edited is not None else once(("T1 marrow", name), read)
    progress(0.95, "T1: CSF")
    drawn, sac = once("T1 CSF", lambda: _drawn_csf(around, csf.level_extents(bodies)))
    edited = {level: roi for (level, kind), roi in edits.items() if kind == "csf"}
    placed = once("T1 CSF read", lambda: _read_csf(drawn, sac, around, bodies, image))
    read = placed | {level: csf.read_edited(level, roi, image) for level, roi in edited.items() if level in placed}
    fluid = csf.accepted(read, facts.csf_blocked, {*drawn, *edited})
    tags = image.tags
    values = dict(
        field_strength_t=tags.field_strength_t,
        tr_ms=tags.tr_ms,
        te_ms=tags.te_ms,
        ti_ms=tags.ti_ms,
        vbq_slice=parameters.vbq_slice,
        vbq_margin_mm=parameters.vbq_margin_mm,
    )
    off_bone = {name: once(("T1 rim", name), lambda name=name: _doubted(vertebrae[name], bodies[name], image)) for name in bodies}
    levels = {name: _level(vertebra, numbers[name], off_bone.get(name), facts) for name, vertebra in vertebrae.items()}
    gone = left_out(facts)
    of_masks = once(("T1 mask flags", *gone), lambda: mask_flags(vertebrae, around, gone))
    flags = (*once("T1 flags", lambda: t1_flags(image)), *of_masks)
    return T1Read(levels, vertebrae, flags, values, fluid)


def _level(vertebra: Vertebra, numbers: LevelNumbers, off_bone: list[Flag] | None, facts: CaseFacts) -> Level:
    """The level with what is doubtful about its mask; without a dark rim along it the level is not used. off_bone: None without a body."""
    name, why = vertebra.level, excluded(vertebra.level, facts)
    if off_bone is None:
        return Level(name, t1=numbers, t1_excluded=why)
    numbers = replace(numbers, flags=[*numbers.flags, *vertebra.mask_doubts, *off_bone])
    return Level(name, t1=numbers, t1_excluded=(*why, Exclusion.IMPLAUSIBLE) if off_bone else why)


def _doubted(vertebra: Vertebra, body: Mask, image: Image) -> list[Flag]:
    return _off_bone(body, image) if vertebra.covers != "cancellous" else []


def _off_bone(body: Mask, image: Image) -> list[Flag]:
    lattice = marrow.section_plane(image, body.center).lattice(body.row_ends)
    try:
        rim = rim_on_t1(marrow.on_plane(body, lattice), lattice, image)
    except NotMeasured:
        return []
    return [Flag("mask-off-bone", value=100 * rim, unit="% darker rim")] if rim < LEAST_RIM_SHARE else []


def _drawn_csf(around: Surroundings, extents: dict[str, csf.LevelExtent]) -> tuple[dict[str, Mask], Mask | None]:
    """CSF masks that lie at one level are drawn there; one that is longer counts as a sac."""
    drawn, sacs = {}, list(around.sacs)
    for level, mask in around.csf:
        level = level or csf.level_of(mask, extents)
        if level:
            drawn[level] = mask
        else:
            sacs.append(mask)
    if len(sacs) > 1:
        raise BoneQualityError(
            "{one} and {other} both show the CSF of the whole sac; keep one of them.", one=sacs[0].name, other=sacs[1].name
        )
    return drawn, next(iter(sacs), None)


def _read_csf(drawn: dict[str, Mask], sac: Mask | None, around: Surroundings, bodies: dict[str, Mask], image: Image):
    return csf.read_placed(drawn, sac, next(iter(around.cords), None), csf.level_extents(bodies), image)
