"""A case from nodes to one result: ``measure_case``, the one entry everywhere."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from ..anatomy.segments import check_unique
from ..anatomy.structure import Segment
from ..case.images import AxialGiven, CaseImages, Edits, Given, Progress
from ..case.measure import measure
from ..errors import BoneQualityError
from ..files.cutoffs import CUTOFFS_FILE, read_cutoffs
from ..parameters import CaseFacts, Parameters
from ..scene.arrays import image_of
from ..scene.masks import Segmentation, segments_of
from .measured_case import MeasuredCase


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
) -> MeasuredCase:
    """Measure one case from MRML nodes.

    facts: the case's id and what is known of it. ct, t1: scalar volume nodes; axial_mr: one for the muscles, T2 or T1 MRI or a CT;
    fat, water: a pair of them, beside axial_mr or in its place; any may be absent. ct_segmentation, t1_segmentation,
    axial_mr_segmentation (of muscles and discs): a segmentation or label map node, a ``Segmentation`` (node and labels), or several.
    progress: called with the share done and what comes next; an exception from it cancels. edits: ROIs that a person moved or
    reshaped: they are read in place of those that would be placed.

    Returns a MeasuredCase; what could not be measured is absent with its reason. Raises BoneQualityError where an input is
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
    images = CaseImages(
        ct=None if ct is None else Given(image_of(ct), tuple(_structures(ct_segmentation))),
        t1=None if t1 is None else Given(image_of(t1), tuple(_structures(t1_segmentation))),
        axial=None if axial is None else AxialGiven(
            *(None if node is None else image_of(node) for node in (axial_mr, fat, water)), tuple(_segments(axial_mr_segmentation))
        ),
    )  # fmt: skip
    return MeasuredCase.of(measure(images, facts, parameters, edits, progress, read_cutoffs(cutoffs)))


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
