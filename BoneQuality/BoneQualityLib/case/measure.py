"""A case from nodes to one result: ``measure_case``, the one entry everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..anatomy.structure import Segment
from ..anatomy.vocabulary import JOINED, MUSCLES
from ..errors import BoneQualityError, NotMeasured
from ..image.image import Image
from ..image.resampling import sample
from ..measures import csf, hounsfield, marrow, region
from ..measures.acquisition import ct_flags, t1_flags
from ..measures.heights import grade_losses, is_coarse, measure_heights
from ..measures.muscles import AxialImages, measure_muscles
from ..measures.plausibility import check_modality, is_in_hu
from ..measures.roi import PlanarRoi
from ..parameters import LUMBAR_USED, CaseFacts, Parameters
from ..states import Flag
from ..vertebra.body import Body, place_body
from ..vertebra.mask_checks import check_whole, mask_flags
from ..vertebra.vertebra import Surroundings, Vertebra, read_vertebrae
from .described import describe
from .result import CaseResult, Level

SLICES = ("upper", "middle", "lower")
OUTSIDE_MEAN = "outside L1-L4"
Progress = Callable[[float, str], None]
#: ROIs that a person edited, by level or disc and kind ("upper", "middle", "lower", "marrow", "csf", "left multifidus", "disc").
Edits = Mapping[tuple[str, str], PlanarRoi]


def progress_steps(progress: Progress, weights: dict[str, tuple]) -> dict[str, Progress]:
    """Progress of each step by name, out of its node (None: no such step) and its weight."""
    total, start, found = sum(weight for node, weight in weights.values() if node is not None), 0.0, {}
    for name, (node, weight) in weights.items():
        if node is not None:
            found[name] = lambda share, text, start=start, part=weight / total: progress(start + share * part, text)
            start += weight / total
    return found


def check_edits_used(result: CaseResult, edits: Edits) -> None:
    unused = set(edits) - {(roi.level, roi.kind) for roi in result.rois if isinstance(roi, PlanarRoi) and roi.edited}
    if unused:
        said = ", ".join(" ".join(key) for key in sorted(unused))
        raise BoneQualityError(
            f"The edited ROI {said} has no place in this case any more, or lies outside the image; move it back, or measure the case anew."
        )


def check_edits_at_home(edits: Edits, kinds: tuple[str, ...], vertebrae: dict[str, Vertebra]) -> None:
    for (level, kind), roi in edits.items():
        for name, vertebra in vertebrae.items() if kind in kinds else ():
            if name != level and sample(vertebra.mask.array, vertebra.mask.grid, roi.center[None], order=0, outside=0)[0]:
                raise BoneQualityError(f"The edited ROI {level} {kind} lies in {name}; move it back, or measure the case anew.")


def measure_ct(
    result: CaseResult, levels: dict[str, Level], image: Image, segments: list[Segment], edits: Edits, progress: Progress
) -> dict[str, Vertebra]:
    parameters, facts = result.parameters, result.facts
    progress(0.0, "CT: masks")
    check_modality(image, "CT")
    result.flags += ct_flags(image, facts.contrast)
    vertebrae, _ = read_vertebrae(segments, parameters.mask)
    describe(result, "ct", image, {name: vertebra.mask for name, vertebra in vertebrae.items()})
    bodies: dict[str, Body] = {}
    for n, (name, vertebra) in enumerate(vertebrae.items()):
        progress((n + 0.1) / len(vertebrae), f"CT {name}: body")
        level = levels.setdefault(name, Level(name))
        level.ct_exclusion = facts.exclusion(name) or ("" if name in LUMBAR_USED else OUTSIDE_MEAN)
        try:
            check_whole(vertebra.mask, image)
            body = place_body(name, vertebra.body, vertebra.exclusions, vertebra.covers)
            bodies[name] = body
            progress((n + 0.5) / len(vertebrae), f"CT {name}: cancellous region and slices")
        except NotMeasured as reason:
            level.ct.gap(reason)
            continue
        level.frame = vertebra.frame
        level.ct = hounsfield.measure_level(body, image, parameters, level.frame, _of_level(edits, name))
        level.ct.flags += vertebra.doubts
        progress((n + 0.9) / len(vertebrae), f"CT {name}: heights")
    _measure_heights(levels, bodies, facts)
    result.flags += mask_flags(vertebrae)
    tags = image.tags
    result.values.update(
        kvp=tags.kvp, slice_thickness_mm=image.slice_thickness, kernel=tags.kernel, contrast=facts.contrast or tags.contrast,
        effective_margin_mm=region.effective_margin(parameters.cancellous_margin_mm, image), slice_plane=parameters.slice_plane,
    )  # fmt: skip
    return vertebrae


def _of_level(edits: Edits, level: str) -> dict[str, PlanarRoi]:
    return {kind: roi for (name, kind), roi in edits.items() if name == level and kind in SLICES}


def _measure_heights(levels: dict[str, Level], bodies: dict[str, Body], facts: CaseFacts) -> None:
    """Heights of every body on CT, and the grades that they suggest."""
    for name, body in bodies.items():
        if levels[name].frame is None:
            continue
        try:
            levels[name].heights = heights = measure_heights(body, levels[name].frame)
        except NotMeasured as reason:
            levels[name].ct.gap(reason)
            continue
        levels[name].ct.values.update(
            height_anterior_mm=heights.anterior, height_middle_mm=heights.middle, height_posterior_mm=heights.posterior
        )
    measured = {name: levels[name].heights for name in bodies if levels[name].heights is not None}
    broken = [name for name in measured if facts.exclusion(name)]
    defects = [name for name in measured if any(flag.code == "endplate-defect" for flag in levels[name].ct.flags)]
    coarse = any(is_coarse(body) for body in bodies.values())
    for name, loss in grade_losses(measured, broken, coarse, defects).items():
        levels[name].loss = loss
        levels[name].ct.values.update(height_loss_percent=loss.percent, genant_grade=loss.grade)
        if loss.grade:
            levels[name].ct.flags.append(Flag("possible-fracture", number=f"grade {loss.grade} {loss.shape}"))


def measure_t1(
    result: CaseResult, levels: dict[str, Level], image: Image, segments: list[Segment], edits: Edits, progress: Progress
) -> dict[str, Vertebra]:
    parameters, facts = result.parameters, result.facts
    progress(0.0, "T1: masks")
    check_modality(image, "T1 MRI")
    result.flags += t1_flags(image)
    vertebrae, around = read_vertebrae(segments, parameters.mask)
    describe(result, "t1", image, {name: vertebra.mask for name, vertebra in vertebrae.items()})
    bodies = {}
    for name, vertebra in vertebrae.items():
        level = levels.setdefault(name, Level(name))
        level.t1_exclusion = facts.exclusion(name) or ("" if name in LUMBAR_USED else OUTSIDE_MEAN)
        try:
            if not vertebra.mask.array.any():
                raise NotMeasured("the mask is empty")
            bodies[name] = vertebra.body
        except NotMeasured as reason:
            level.t1.gap(reason)
    plane = marrow.common_plane(image, bodies) if bodies and parameters.vbq_slice == "midsagittal" else None
    for n, name in enumerate(bodies):
        progress((n + 0.1) / (len(bodies) + 1), f"T1 {name}")
        levels[name].t1 = marrow.measure_level(vertebrae[name], image, plane, parameters, edits.get((name, "marrow")))
    result.flags += mask_flags(vertebrae)
    progress(0.95, "T1: CSF")
    fluid = {level: roi for (level, kind), roi in edits.items() if kind == "csf"}
    result.csf = _read_csf(around, csf.level_extents(bodies), image, facts.csf_blocked, fluid)
    tags = image.tags
    result.values.update(
        field_strength_t=tags.field_strength_t, tr_ms=tags.tr_ms, te_ms=tags.te_ms, ti_ms=tags.ti_ms,
        vbq_slice=parameters.vbq_slice, vbq_margin_mm=parameters.vbq_margin_mm,
    )  # fmt: skip
    return vertebrae


def axial_images(axial_mr: Image | None, fat: Image | None, water: Image | None, parameters: Parameters) -> AxialImages:
    """The images that muscles are read from, each checked to be what it was given as."""
    is_ct = axial_mr is not None and (axial_mr.tags.modality == "CT" or (not axial_mr.tags.modality and is_in_hu(axial_mr)))
    for image, wanted in ((axial_mr, "CT" if is_ct else "axial MRI"), (fat, "fat image"), (water, "water image")):
        if image is not None:
            check_modality(image, wanted)
    if is_ct and parameters.fat_threshold != "reference":
        raise BoneQualityError(f"{axial_mr.name} is a CT, where fat is -190 to -30 HU; give no other fat threshold.")
    return AxialImages(axial_mr, is_ct, fat, water)


def measure_axial(
    result: CaseResult, images: AxialImages, segments: list[Segment], bodies: list, edits: Edits, progress: Progress
) -> None:
    progress(0.0, "muscles: masks")
    own = read_vertebrae(segments, result.parameters.mask)[0]
    centers = [
        (role, {name: vertebra.middle for name, vertebra in vertebrae.items() if vertebra.mask.array.any()})
        for role, vertebrae in (("axial image", own), *bodies)
    ]
    result.muscles = muscles = measure_muscles(segments, images, result.parameters, centers, progress, edits)
    result.values.update(muscles.case_values(), slice_plane=result.parameters.slice_plane)
    result.flags += muscles.flags
    result.reasons += muscles.reasons
    masks = {str(s.structure): s.load() for s in segments if s.structure.kind in (*MUSCLES, *JOINED, "disc")}
    for role, image in (("axial_mr", images.signal), ("fat", images.fat), ("water", images.water)):
        if image is not None:
            describe(result, role, image, masks if image is images.main else {})


def _read_csf(around: Surroundings, extents: dict[str, csf.LevelExtent], image: Image, blocked, edits) -> dict[str, csf.Csf]:
    """CSF masks that lie at one level are drawn there; one that is longer counts as a sac."""
    drawn, sacs = {}, list(around.sacs)
    for level, mask in around.csf:
        level = level or csf.level_of(mask, extents)
        if level:
            drawn[level] = mask
        else:
            sacs.append(mask)
    if len(sacs) > 1:
        raise BoneQualityError(f"{sacs[0].name} and {sacs[1].name} both show the CSF of the whole sac; keep one of them.")
    return csf.read_csf(drawn, next(iter(sacs), None), next(iter(around.cords), None), extents, image, blocked, edits)
