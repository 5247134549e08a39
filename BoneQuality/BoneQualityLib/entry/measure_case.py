"""A case from nodes to one result: ``measure_case``, the one entry everywhere."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from ..anatomy.segments import MEASURED_KINDS, Identified, check_clear, settle
from ..case.axial import axial_stacks
from ..case.images import AxialGiven, AxialStack, CaseImages, Edits, Given, Progress, on_voxels_of
from ..case.measure import measure
from ..case.memory import Memory
from ..errors import BoneQualityError
from ..files.cutoffs import CUTOFFS_FILE, read_cutoffs
from ..parameters import CaseFacts, Parameters
from ..scene.arrays import check_same_space, image_of
from ..scene.masks import Segmentation, identified
from .inputs import CaseInputs
from .measured_case import MeasuredCase
from .missing import COLUMNS
from .names import AXIAL, INPUTS


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
    memory: Memory | None = None,
) -> MeasuredCase:
    """Measure one case from MRML nodes.

    facts: the case's id and what is known of it. ct, t1: scalar volume nodes; axial_mr: one for the muscles, T2 or T1 MRI or a CT,
    or several, as stacks angled to each disc; fat, water: a pair of them, beside axial_mr or in its place; any may be absent. ct_segmentation, t1_segmentation,
    axial_mr_segmentation (of muscles and discs): a segmentation or label map node, a ``Segmentation`` (node and labels), or several.
    progress: called with the share done and what comes next; an exception from it cancels. edits: ROIs that a person moved or
    reshaped: they are read in place of those that would be placed. memory: of an earlier measurement of the same nodes with the
    same parameters, so that what facts and edits do not change is not measured again.

    Returns a MeasuredCase; what could not be measured is absent with its reason. Raises BoneQualityError where an input is
    unreadable, ambiguous or contradictory, or nothing at all can be measured.

    Example, in Slicer's console::

        from BoneQualityLib import CaseFacts, measure_case
        result = measure_case(CaseFacts("case-7", fractured=("L2",)), ct=getNode("CT"), ct_segmentation=getNode("Spine"))
        result.write_files("/home/me/results")
    """
    given = dict(
        ct=_nodes(ct), ct_segmentation=_nodes(ct_segmentation), t1=_nodes(t1), t1_segmentation=_nodes(t1_segmentation),
        axial_mr=_nodes(axial_mr), axial_mr_segmentation=_nodes(axial_mr_segmentation), fat=_nodes(fat), water=_nodes(water),
    )  # fmt: skip
    CaseInputs(facts, parameters, given).check(COLUMNS)
    for item in INPUTS:
        for volume in (node for name in item.of for node in given[name]):
            for segmentation in _several(given[item.name]):
                check_same_space(volume, segmentation.node)
    stacks = axial_stacks(*([image_of(node) for node in given[name]] for name in AXIAL))
    images = CaseImages(
        ct=_given(given["ct"], ct_segmentation, "ct"),
        t1=_given(given["t1"], t1_segmentation, "t1"),
        axial=_axial_given(stacks, axial_mr_segmentation) if stacks else None,
    )
    return MeasuredCase.of(measure(images, facts, parameters, edits, progress, read_cutoffs(cutoffs), memory), images)


def _nodes(given) -> list:
    """The nodes of an argument that may be one or several."""
    return [] if given is None else list(given) if isinstance(given, (list, tuple)) else [given]


def _several(segmentation) -> list[Segmentation]:
    return [item if isinstance(item, Segmentation) else Segmentation(item) for item in _nodes(segmentation)]


def _identified(segmentation) -> Identified:
    return sum((identified(item) for item in _several(segmentation)), Identified())


def _given(nodes: list, segmentation, role: str) -> Given | None:
    if not nodes:
        return None
    image, found = image_of(*nodes), settle(_identified(segmentation))
    check_clear(found, MEASURED_KINDS[role])
    if not any(segment.structure.kind == "vertebra" for segment in found.segments):
        names = ", ".join(item.node.GetName() for item in _several(segmentation))
        raise BoneQualityError(
            "No segment of {names} is named like a vertebra; rename the segments (L1, L2, ...), or map them with a labels file.",
            names=names,
        )
    return Given(image, on_voxels_of(found.segments, [image]), found.conflicts)


def _axial_given(stacks: tuple[AxialStack, ...], segmentation) -> AxialGiven:
    """Several stacks may have a segment each for one structure: whether two of a stack do, the measuring finds out."""
    found = _identified(segmentation)
    check_clear(found, MEASURED_KINDS["axial_mr"])
    return AxialGiven(stacks, on_voxels_of(found.segments, [stack.signal or stack.fat for stack in stacks]), found.conflicts)
