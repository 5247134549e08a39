"""The first choice of a case's images and segmentations, so that nothing is picked by hand that the scene says already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..anatomy.segments import MEASURED_KINDS
from ..case.likely_input import likely_input
from ..errors import BoneQualityError
from ..scene.arrays import image_of
from ..scene.masks import reference_volume, same_lattice
from .choices import MUSCLE_ROLE, Picked, find_structures


def first_choices(picked: Sequence[Picked], nodes: Iterable) -> list[Picked]:
    """What to begin with among the nodes that are free: the only CT, T1 MRI and axial MRI with the segmentations drawn on them.

    Several axial volumes are stacks of one MRI where a segmentation of muscles was drawn on each and they lie apart. Further
    segmentations of a volume are those that show what its own does not, such as the sac beside the bodies. Volumes alone where no
    segmentation fits any of them and nothing is picked yet.
    """
    nodes = list(nodes)
    volumes = [node for node in nodes if node.IsA("vtkMRMLScalarVolumeNode") and not node.IsA("vtkMRMLLabelMapVolumeNode")]
    masks = [node for node in nodes if node not in volumes]
    likely, every, choices = likely_volumes(volumes), [*volumes, *(each.volume for each in picked if each.volume is not None)], []
    first = first_volumes(volumes, likely)
    for each in picked:
        stacks = first_stacks(likely["axial_mr"], masks) if each.role is MUSCLE_ROLE and each.volume is None else []
        if stacks:
            (volume, mask), *more = stacks
            choices.append(
                Picked(each.role, volume, mask, more_volumes=tuple(v for v, _ in more), more_segmentations=tuple(m for _, m in more))
            )
            continue
        volume = each.volume or first[each.role.name]
        others = [other for other in every if other is not volume]
        mask = first_segmentation(volume, masks, others, each.role.shows)
        own = replace(each, volume=volume, segmentation=each.segmentation or mask)
        choices.append(Picked(each.role, volume, mask, more_segmentations=further_segmentations(own, masks, others)))
    whole = [choice for choice in choices if choice.segmentations]
    return whole if whole or not all(each.is_empty for each in picked) else choices


def likely_volumes(volumes: Iterable) -> dict[str, list]:
    """Volume nodes by what they are likely meant for: "ct", "t1", "axial_mr"."""
    found = dict(ct=[], t1=[], axial_mr=[])
    for node in volumes:
        try:
            image = image_of(node)
        except BoneQualityError:
            continue
        found.get(likely_input(image), []).append(node)
    return found


def first_volumes(volumes: Iterable, likely: dict[str, list] | None = None) -> dict[str, object]:
    """The only CT, T1 MRI and axial MRI among volume nodes, by their name in measure_case; None for what is not the only one."""
    found = dict(likely if likely is not None else likely_volumes(volumes))
    if len(found["t1"]) > 1:
        found["t1"] = [node for node in found["t1"] if "t1" in node.GetName().lower()]
    return {name: _only(nodes) for name, nodes in found.items()}


def first_stacks(volumes: Sequence, segmentations: Iterable) -> list[tuple]:
    """The stacks of an axial MRI among several axial volumes, each with the segmentation of muscles that was drawn on it.

    None where it is not clear which belongs to which, or where stacks lie in each other, as those of two patients or two contrasts do.
    """
    if len(volumes) < 2:
        return []
    muscles = [node for node in segmentations if find_structures(node, {}).muscles]
    drawn = [(volume, node) for volume in volumes for node in muscles if _is_drawn_on(node, volume)]
    stacks, masks = [volume for volume, _ in drawn], [node for _, node in drawn]
    if len(set(stacks)) < len(stacks) or len(set(masks)) < len(masks):
        return []
    grids = [image_of(volume).grid for volume in stacks]
    apart = all(not _holds(one, other.corners().mean(axis=0)) for one in grids for other in grids if one is not other)
    return drawn if apart else []


def _holds(grid, point) -> bool:
    """Whether a point lies between the first and the last slice of a lattice."""
    along = grid.slice_axis
    return bool(-0.5 <= grid.ijk(point)[along] <= grid.shape[2 - along] - 0.5)


def _is_drawn_on(segmentation, volume) -> bool:
    reference = reference_volume(segmentation)
    return reference is volume if reference is not None else _lies_on(segmentation, volume)


def further_segmentations(picked: Picked, segmentations: Iterable, others: Iterable = ()) -> tuple:
    """The segmentations beside the first one that were drawn on a volume and show structures to measure that no other one shows."""
    if picked.volume is None or picked.segmentation is None:
        return ()
    kinds, fitting = MEASURED_KINDS[picked.role.name], {}
    for node in segmentations:
        if node not in picked.segmentations and node.IsA("vtkMRMLSegmentationNode") and _is_drawn_on(node, picked.volume):
            if not any(_is_drawn_on(node, other) for other in others):
                fitting[node] = find_structures(node, {}, "", kinds).measured
    shown = find_structures(picked.segmentation, picked.segments, picked.scheme, kinds).measured
    shown = shown.union(*(find_structures(node, {}, "", kinds).measured for node in picked.more_segmentations))
    clear = []
    for node, structures in fitting.items():
        elsewhere = shown.union(*(held for other, held in fitting.items() if other is not node))
        if structures and not structures & elsewhere:
            clear.append(node)
    return tuple(clear)


def _only(nodes: list):
    return nodes[0] if len(nodes) == 1 else None


def first_segmentation(volume, segmentations: Iterable, others: Iterable = (), shows: str = "levels"):
    """The only segmentation that was drawn on a volume, or may have been; None where that is not clear.

    others: further volumes; what was drawn on them is not meant for this one. shows: "levels" or "muscles".
    """
    if volume is None:
        return None
    fitting = [node for node in segmentations if getattr(find_structures(node, {}), shows)]
    for belongs in (lambda node, image: reference_volume(node) is image, _lies_on):
        mine = [node for node in fitting if belongs(node, volume)]
        if mine:
            return _only(mine)
        fitting = [node for node in fitting if not any(belongs(node, other) for other in others)]
    return _only(fitting)


def _lies_on(segmentation, volume) -> bool:
    try:
        return same_lattice(segmentation, volume)
    except BoneQualityError:  # one of them cannot be read: that is said where it is measured
        return False
