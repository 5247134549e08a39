"""A case from nodes to one result: ``measure_case``, the one entry everywhere."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from .. import __version__
from ..anatomy.segments import check_unique
from ..anatomy.structure import Segment
from ..case.measure import (
    SLICES,
    Edits,
    Progress,
    axial_images,
    check_edits_at_home,
    check_edits_used,
    measure_axial,
    measure_ct,
    measure_t1,
    progress_steps,
)
from ..case.result import CaseResult
from ..case.values import set_case_values
from ..errors import BoneQualityError
from ..files.cutoffs import CUTOFFS_FILE, read_cutoffs
from ..parameters import LEVELS, CaseFacts, Parameters
from ..scene.arrays import image_of
from ..scene.masks import Segmentation, segments_of


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
    steps = progress_steps(progress, dict(ct=(ct, 7), t1=(t1, 3), axial=(axial, 2)))
    if ct is not None:
        vertebrae = measure_ct(result, levels, image_of(ct), _structures(ct_segmentation), edits, steps["ct"])
        check_edits_at_home(edits, SLICES, vertebrae)
        bodies.append(("CT", vertebrae))
    if t1 is not None:
        vertebrae = measure_t1(result, levels, image_of(t1), _structures(t1_segmentation), edits, steps["t1"])
        check_edits_at_home(edits, ("marrow",), vertebrae)
        bodies.insert(0, ("T1 MRI", vertebrae))
    if axial is not None:
        images = axial_images(*(None if node is None else image_of(node) for node in (axial_mr, fat, water)), parameters)
        measure_axial(result, images, _segments(axial_mr_segmentation), bodies, edits, steps["axial"])
    result.levels = [levels[name] for name in LEVELS if name in levels]
    for level in result.levels:
        level.ct_exclusion = level.ct_exclusion if ct is not None else "no CT"
        level.t1_exclusion = level.t1_exclusion if t1 is not None else "no T1 MRI"
    if not any(level.values for level in result.levels) and not (result.muscles and result.muscles.is_measured):
        reasons = [f"{level.name}: {r}" for level in result.levels for r in dict.fromkeys((*level.ct.reasons, *level.t1.reasons))]
        reasons += result.reasons
        raise BoneQualityError(f"Nothing can be measured; check the masks and the image they were drawn on. {'; '.join(reasons)}.")
    result.values.update(case_id=facts.case_id, software_version=__version__)
    check_edits_used(result, edits)
    result.values.update({name: getattr(facts, name) for name in ("t_score", "age", "sex", "bmi", "hyperlipidemia", "reader")})
    set_case_values(result, published)
    return result


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
