"""A case from nodes to one result: ``measure_case``, the one entry everywhere."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

import numpy as np

from . import __version__, hounsfield, vbq
from .aggregate import set_case_values
from .anatomy import Segment, check_unique
from .bodies import Surroundings, Vertebra, check_whole, mask_flags, read_vertebrae
from .cutoffs import CUTOFFS_FILE, read_cutoffs
from .errors import BoneQualityError, NotMeasured
from .flags import Flag, ct_flags, t1_flags, unknown_tags
from .geometry import Image, Mask, sample
from .heights import grade_losses, is_coarse, measure_heights
from .muscle import AxialImages, measure_muscles
from .muscle_result import JOINED, MUSCLES
from .parameters import LEVELS, LUMBAR_USED, CaseFacts, Parameters
from .result import CaseResult, Level
from .roi import PlanarRoi
from .scene import Segmentation, image_of, segments_of
from .vertebra import Body, place_body

SLICES = ("upper", "middle", "lower")
OUTSIDE_MEAN = "outside L1-L4"
#: MR images hold no values below this one.
LOWEST_MR = -200
#: The darkest hundredth of a CT lies this share of the brightest one's HU below zero, that of an MRI does not.
HU_SHARE = 0.2
Progress = Callable[[float, str], None]
#: ROIs that a person edited, by level or disc and kind ("upper", "middle", "lower", "marrow", "csf", "left multifidus", "disc").
Edits = Mapping[tuple[str, str], PlanarRoi]


def measure_case(
    facts: CaseFacts,
    ct=None,
    ct_segmentation=(),
    t1=None,
    t1_segmentation=(),
    axial_mr=None,
    axial_mr_segmentation=(),
    fat=None,
    water=None,
    parameters: Parameters = Parameters(),
    cutoffs: str | Path = CUTOFFS_FILE,
    progress: Progress = lambda share, text: None,
    edits: Edits = MappingProxyType({}),
) -> CaseResult:
    """Measure one case from MRML nodes.

    facts: the case's id and what is known of it. ct, t1: scalar volume nodes; axial_mr: one for the muscles, T2 or T1 MRI or a CT;
    fat, water: a pair of them, beside axial_mr or in its place; any may be absent. ct_segmentation, t1_segmentation,
    axial_mr_segmentation (of muscles and discs): a segmentation or label map node, a ``Segmentation`` (node and labels), or several.
    progress: called with the share done and what comes next; an exception from it cancels. edits: ROIs that a person moved or
    reshaped: they are read in place of those that would be placed.

    Returns a CaseResult; what could not be measured is absent with its reason. Raises BoneQualityError where an input is
    unreadable, ambiguous or contradictory, or nothing at all can be measured.

    Example, in Slicer's console::

        from BoneQualityLib import CaseFacts, measure_case
        result = measure_case(CaseFacts("case-7", fractured=("L2",)), ct=getNode("CT"), ct_segmentation=getNode("Spine"))
        result.write_files("/home/me/results")
    """
    axial = next((node for node in (axial_mr, fat, water) if node is not None), None)
    if ct is None and t1 is None and axial is None and not _several(axial_mr_segmentation):
        raise BoneQualityError("Nothing to measure: give a CT, a T1 MRI or an axial MRI.")
    given = (("CT", ct, ct_segmentation), ("T1 MRI", t1, t1_segmentation), ("axial MRI", axial, axial_mr_segmentation))
    for name, node, segmentation in given:
        if (node is None) != (not _several(segmentation)):
            raise BoneQualityError(f"The {name} needs both a volume and a segmentation of it; give the other one too.")
    result, levels, bodies = CaseResult(facts, parameters), {}, []
    published = read_cutoffs(cutoffs)
    steps = _steps(progress, dict(ct=(ct, 7), t1=(t1, 3), axial=(axial, 2)))
    if ct is not None:
        vertebrae = _measure_ct(result, levels, image_of(ct), _structures(ct_segmentation), edits, steps["ct"])
        _check_edits_at_home(edits, SLICES, vertebrae)
        bodies.append(("CT", vertebrae))
    if t1 is not None:
        vertebrae = _measure_t1(result, levels, image_of(t1), _structures(t1_segmentation), edits, steps["t1"])
        _check_edits_at_home(edits, ("marrow",), vertebrae)
        bodies.insert(0, ("T1 MRI", vertebrae))
    if axial is not None:
        images = _axial_images(*(None if node is None else image_of(node) for node in (axial_mr, fat, water)), parameters)
        _measure_axial(result, images, _segments(axial_mr_segmentation), bodies, edits, steps["axial"])
    result.levels = [levels[name] for name in LEVELS if name in levels]
    for level in result.levels:
        level.ct_exclusion = level.ct_exclusion if ct is not None else "no CT"
        level.t1_exclusion = level.t1_exclusion if t1 is not None else "no T1 MRI"
    if not any(level.values for level in result.levels) and not (result.muscles and result.muscles.is_measured):
        reasons = [f"{level.name}: {r}" for level in result.levels for r in dict.fromkeys((*level.ct.reasons, *level.t1.reasons))]
        reasons += result.reasons
        raise BoneQualityError(f"Nothing can be measured; check the masks and the image they were drawn on. {'; '.join(reasons)}.")
    result.values.update(case_id=facts.case_id, software_version=__version__)
    _check_edits_used(result, edits)
    result.values.update({name: getattr(facts, name) for name in ("t_score", "age", "sex", "bmi", "hyperlipidemia", "reader")})
    set_case_values(result, published)
    return result


def _steps(progress: Progress, weights: dict[str, tuple]) -> dict[str, Progress]:
    """Progress of each step by name, out of its node (None: no such step) and its weight."""
    total, start, found = sum(weight for node, weight in weights.values() if node is not None), 0.0, {}
    for name, (node, weight) in weights.items():
        if node is not None:
            found[name] = lambda share, text, start=start, part=weight / total: progress(start + share * part, text)
            start += weight / total
    return found


def _check_edits_used(result: CaseResult, edits: Edits) -> None:
    unused = set(edits) - {(roi.level, roi.kind) for roi in result.rois if isinstance(roi, PlanarRoi) and roi.edited}
    if unused:
        said = ", ".join(" ".join(key) for key in sorted(unused))
        raise BoneQualityError(
            f"The edited ROI {said} has no place in this case any more, or lies outside the image; move it back, or measure the case anew."
        )


def _check_edits_at_home(edits: Edits, kinds: tuple[str, ...], vertebrae: dict[str, Vertebra]) -> None:
    for (level, kind), roi in edits.items():
        for name, vertebra in vertebrae.items() if kind in kinds else ():
            if name != level and sample(vertebra.mask.array, vertebra.mask.grid, roi.center[None], order=0, outside=0)[0]:
                raise BoneQualityError(f"The edited ROI {level} {kind} lies in {name}; move it back, or measure the case anew.")


def _several(segmentation) -> list[Segmentation]:
    if segmentation is None:
        return []
    several = list(segmentation) if isinstance(segmentation, (list, tuple)) else [segmentation]
    return [item if isinstance(item, Segmentation) else Segmentation(item) for item in several]


def _segments(segmentation) -> list[Segment]:
    found = [segment for item in _several(segmentation) for segment in segments_of(item)]
    check_unique(found)
    return found


def _structures(segmentation) -> list[Segment]:
    found = _segments(segmentation)
    if not any(segment.structure.kind == "vertebra" for segment in found):
        names = ", ".join(item.node.GetName() for item in _several(segmentation))
        raise BoneQualityError(
            f"No segment of {names} is named like a vertebra; rename the segments (L1, L2, ...), or map them with a labels file."
        )
    return found


def _measure_ct(
    result: CaseResult, levels: dict[str, Level], image: Image, segments: list[Segment], edits: Edits, progress: Progress
) -> dict[str, Vertebra]:
    parameters, facts = result.parameters, result.facts
    progress(0.0, "CT: masks")
    check_modality(image, "CT")
    result.flags += ct_flags(image, facts.contrast)
    vertebrae, _ = read_vertebrae(segments, parameters.mask)
    _describe(result, "ct", image, {name: vertebra.mask for name, vertebra in vertebrae.items()})
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
        effective_margin_mm=hounsfield.effective_margin(parameters.cancellous_margin_mm, image), slice_plane=parameters.slice_plane,
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


def _measure_t1(
    result: CaseResult, levels: dict[str, Level], image: Image, segments: list[Segment], edits: Edits, progress: Progress
) -> dict[str, Vertebra]:
    parameters, facts = result.parameters, result.facts
    progress(0.0, "T1: masks")
    check_modality(image, "T1 MRI")
    result.flags += t1_flags(image)
    vertebrae, around = read_vertebrae(segments, parameters.mask)
    _describe(result, "t1", image, {name: vertebra.mask for name, vertebra in vertebrae.items()})
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
    plane = vbq.common_plane(image, bodies) if bodies and parameters.vbq_slice == "midsagittal" else None
    for n, name in enumerate(bodies):
        progress((n + 0.1) / (len(bodies) + 1), f"T1 {name}")
        levels[name].t1 = vbq.measure_level(vertebrae[name], image, plane, parameters, edits.get((name, "marrow")))
    result.flags += mask_flags(vertebrae)
    progress(0.95, "T1: CSF")
    fluid = {level: roi for (level, kind), roi in edits.items() if kind == "csf"}
    result.csf = _read_csf(around, vbq.level_extents(bodies), image, facts.csf_blocked, fluid)
    tags = image.tags
    result.values.update(
        field_strength_t=tags.field_strength_t, tr_ms=tags.tr_ms, te_ms=tags.te_ms, ti_ms=tags.ti_ms,
        vbq_slice=parameters.vbq_slice, vbq_margin_mm=parameters.vbq_margin_mm,
    )  # fmt: skip
    return vertebrae


def _axial_images(axial_mr: Image | None, fat: Image | None, water: Image | None, parameters: Parameters) -> AxialImages:
    """The images that muscles are read from, each checked to be what it was given as."""
    is_ct = axial_mr is not None and (axial_mr.tags.modality == "CT" or (not axial_mr.tags.modality and _is_in_hu(axial_mr)))
    for image, wanted in ((axial_mr, "CT" if is_ct else "axial MRI"), (fat, "fat image"), (water, "water image")):
        if image is not None:
            check_modality(image, wanted)
    if is_ct and parameters.fat_threshold != "reference":
        raise BoneQualityError(f"{axial_mr.name} is a CT, where fat is -190 to -30 HU; give no other fat threshold.")
    return AxialImages(axial_mr, is_ct, fat, water)


def _measure_axial(
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
            _describe(result, role, image, masks if image is images.main else {})


def _read_csf(around: Surroundings, extents: dict[str, vbq.LevelExtent], image: Image, blocked, edits) -> dict[str, vbq.Csf]:
    """CSF masks that lie at one level are drawn there; one that is longer counts as a sac."""
    drawn, sacs = {}, list(around.sacs)
    for level, mask in around.csf:
        level = level or vbq.level_of(mask, extents)
        if level:
            drawn[level] = mask
        else:
            sacs.append(mask)
    if len(sacs) > 1:
        raise BoneQualityError(f"{sacs[0].name} and {sacs[1].name} both show the CSF of the whole sac; keep one of them.")
    return vbq.read_csf(drawn, next(iter(sacs), None), next(iter(around.cords), None), extents, image, blocked, edits)


def check_modality(image: Image, wanted: str) -> None:
    """Raise BoneQualityError where an image is not what it was given as, by its tag or by its values."""
    modality = {"CT": "CT", "MR": "T1 MRI" if wanted == "CT" else wanted}.get(image.tags.modality or "", image.tags.modality)
    if modality and modality != wanted:
        raise BoneQualityError(f"{image.name} is {modality} by its DICOM tags, but was given as {wanted}; choose the other volume.")
    thinned, lowest = image.thinned, _lowest(image)
    if math.isnan(lowest):
        raise BoneQualityError(f"{image.name} holds no numbers; export it again.")
    if wanted == "CT" and lowest >= 0 and not _noise_free(thinned):
        raise BoneQualityError(
            f"{image.name} has no value below 0, so it is not in HU: choose the CT, or import it again with its rescaling."
        )
    if wanted != "CT" and lowest < LOWEST_MR:
        raise BoneQualityError(f"{image.name} has values down to {lowest:.0f}, like a CT in HU; choose the {wanted}.")


def _lowest(image: Image) -> float:
    return float(np.nanmin(image.thinned)) if np.isfinite(image.thinned).any() else math.nan


def _is_in_hu(image: Image) -> bool:
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


def _describe(result: CaseResult, role: str, image: Image, masks: dict[str, Mask]) -> None:
    """Geometry and content hashes of an input; no names of files, nodes or series, which may hold a patient's."""
    result.inputs[role] = dict(
        shape_kji=image.grid.shape, ijk_to_ras=image.grid.ijk_to_ras, type=str(image.array.dtype),
        sha256=_sha256(image.array), tags=asdict(image.tags), unknown_tags=unknown_tags(image, role),
        masks={
            name: dict(sha256=_sha256(mask.array), shape_kji=mask.grid.shape, ijk_to_ras=mask.grid.ijk_to_ras, volume_mm3=mask.volume)
            for name, mask in masks.items()
        },
    )  # fmt: skip
    for column in ("manufacturer", "model"):
        value, before = getattr(image.tags, column), result.values.get(column)
        if value and value != before:
            result.values[column] = f"{before}; {value}" if before else value


def _sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()
