"""A case from images and masks to one result, without MRML: ``measure``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from .. import __version__
from ..columns import Cutoff
from ..errors import BoneQualityError, Sentence
from ..image.resampling import sample
from ..parameters import LEVELS, CaseFacts, Parameters
from ..states import Exclusion, Flag
from ..vertebra.vertebra import Vertebra
from .axial import AxialRead, read_axial
from .ct import SLICES, read_ct
from .described import described, scanners
from .images import CaseImages, Edits, Progress
from .memory import Memory
from .result import CaseResult, Level
from .spine import SpineRead
from .t1 import T1Read, read_t1
from .values import with_case_values

#: How long each image takes against the others.
WEIGHTS = dict(ct=7, t1=3, axial=2)
FACTS = ("t_score", "age", "sex", "bmi", "hyperlipidemia", "reader")


def measure(
    images: CaseImages,
    facts: CaseFacts,
    parameters: Parameters = Parameters(),
    edits: Edits = MappingProxyType({}),
    progress: Progress = lambda share, text: None,
    cutoffs: Iterable[Cutoff] = (),
    memory: Memory | None = None,
) -> CaseResult:
    """Measure one case.

    edits: ROIs that a person moved or reshaped: they are read in place of those that would be placed. cutoffs: to set beside the
    values. memory: of an earlier measurement with the same images, masks and parameters. What could not be measured is absent with
    its reason. Raises BoneQualityError if an image is not what it was given as, if the segments contradict each other, or if nothing
    at all can be measured.
    """
    steps, memory = _steps(progress, images), memory or Memory()
    ct = read_ct(images.ct, facts, parameters, edits, steps["ct"], memory) if images.ct else None
    _check_edits_at_home(edits, SLICES, ct.vertebrae if ct else {})
    t1 = read_t1(images.t1, facts, parameters, edits, steps["t1"], memory) if images.t1 else None
    _check_edits_at_home(edits, ("marrow",), t1.vertebrae if t1 else {})
    spines = tuple((title, read.vertebrae) for title, read in (("T1 MRI", t1), ("CT", ct)) if read)
    axial = None
    if images.axial:
        read, without = partial(read_axial, images.axial, spines, parameters), {}
        is_edited = any(kind not in (*SLICES, "marrow", "csf") for _level, kind in edits)
        axial = read(edits, steps["axial"]) if is_edited else memory.once("axial", lambda: read(without, steps["axial"]))
    result = _joined(images, facts, parameters, ct, t1, axial)
    result = replace(result, inputs=memory.once("inputs", lambda: _described(images, ct, t1, axial)))
    _check_anything(result)
    _check_edits_used(result, edits)
    return with_case_values(result, cutoffs)


def _steps(progress: Progress, images: CaseImages) -> dict[str, Progress]:
    """Progress of each image by its name, out of those that are there."""
    there = {name: weight for name, weight in WEIGHTS.items() if getattr(images, name) is not None}
    total, start, found = sum(there.values()), 0.0, {}
    for name, weight in there.items():
        found[name] = lambda share, text, start=start, part=weight / total: progress(start + share * part, text)
        start += weight / total
    return found


def _joined(
    images: CaseImages, facts: CaseFacts, parameters: Parameters, ct: SpineRead | None, t1: T1Read | None, axial: AxialRead | None
) -> CaseResult:
    """The result before its case values: what every image said, level by level."""
    values = dict(case_id=facts.case_id, software_version=__version__) | {name: getattr(facts, name) for name in FACTS}
    used, flags, reasons = [], [], []
    for given, read in ((images.ct, ct), (images.t1, t1)):
        if read is not None:
            used.append(given.image)
            values.update(read.values)
            flags += read.flags
    if axial is not None:
        values.update(axial.muscles.case_values(), slice_plane=parameters.slice_plane)
        flags += axial.muscles.flags
        reasons += axial.muscles.case_reasons()
        used += [image for there in axial.images for image in (there.signal, there.fat, there.water) if image is not None]
    values.update(scanners(used))
    flags += _ignored_flags(images)
    return CaseResult(
        facts, parameters, _levels(ct, t1), values, tuple(flags), tuple(reasons),
        csf=t1.csf if t1 else {}, muscles=axial.muscles if axial else None,
    )  # fmt: skip


def _described(images: CaseImages, ct: SpineRead | None, t1: T1Read | None, axial: AxialRead | None) -> dict:
    """Geometry and hashes of every image and of its masks, by input."""
    inputs = {}
    for role, given, read in (("ct", images.ct, ct), ("t1", images.t1, t1)):
        if read is not None:
            inputs[role] = described(role, given.image, read.masks)
    for n, there in enumerate(axial.images if axial is not None else ()):
        for role, image in (("axial_mr", there.signal), ("fat", there.fat), ("water", there.water)):
            if image is not None:
                name = role if n == 0 else f"{role}_{n + 1}"
                inputs[name] = described(role, image, axial.masks if n == 0 and image is there.main else {})
    return inputs


def _ignored_flags(images: CaseImages) -> list[Flag]:
    """One flag for the structures whose segments were left out, by the structures that they may show and not by their names."""
    unclear = [each for given in (images.ct, images.t1, images.axial) if given for each in given.ignored]
    about = ", ".join(dict.fromkeys(" or ".join(map(str, each.structures)) for each in unclear))
    return [Flag("segments-ignored", value=len(unclear), unit="segments", about=about)] if unclear else []


def _levels(ct: SpineRead | None, t1: T1Read | None) -> tuple[Level, ...]:
    """Every level found, top to bottom, with what both images say."""
    found = []
    for name in LEVELS:
        on_ct, on_t1 = (read.levels.get(name) if read else None for read in (ct, t1))
        if on_ct is None and on_t1 is None:
            continue
        level = on_ct or Level(name, ct_excluded=(Exclusion.NO_MASK if ct else Exclusion.NO_CT,))
        if on_t1 is not None:
            level = replace(level, t1=on_t1.t1, t1_excluded=on_t1.t1_excluded)
        found.append(level if t1 else replace(level, t1_excluded=(Exclusion.NO_T1,)))
    return tuple(found)


def _check_anything(result: CaseResult) -> None:
    if any(level.values for level in result.levels) or (result.muscles is not None and result.muscles.is_measured):
        return
    reasons = [
        Sentence("{level}: {reason}", level=level.name, reason=Sentence(reason))
        for level in result.levels
        for reason in dict.fromkeys(map(str, (*level.ct.reasons, *level.t1.reasons)))
    ]
    sentence = "Nothing can be measured; check the masks and the image they were drawn on. {reasons}."
    raise BoneQualityError(sentence, reasons=Sentence.joined([*reasons, *result.reasons]))


def _check_edits_used(result: CaseResult, edits: Edits) -> None:
    unused = set(edits) - {(roi.level, roi.kind) for roi in result.edited}
    if unused:
        names = ", ".join(" ".join(key) for key in sorted(unused))
        raise BoneQualityError(
            "The edited ROI {names} has no place in this case any more, or lies outside the image; move it back, or measure the case "
            "anew.",
            names=names,
        )


def _check_edits_at_home(edits: Edits, kinds: tuple[str, ...], vertebrae: dict[str, Vertebra]) -> None:
    for (level, kind), roi in edits.items():
        for name, vertebra in vertebrae.items() if kind in kinds else ():
            if name != level and sample(vertebra.mask.array, vertebra.mask.grid, roi.center[None], order=0, outside=0)[0]:
                raise BoneQualityError(
                    "The edited ROI {level} {kind} lies in {name}; move it back, or measure the case anew.",
                    level=level,
                    kind=kind,
                    name=name,
                )
