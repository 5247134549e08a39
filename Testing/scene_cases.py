"""A measured spine of plain cylinders in the scene, quick to make; its CT rises by a known step to the right."""

from __future__ import annotations

from functools import cache

import numpy as np

from BoneQualityLib import CaseFacts, measure_case
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.scene.nodes import segmentation_node, volume_node
from BoneQualityLib.scene.scene_case import SceneCase
from BoneQualityLib.scene.scene_case import show_case as show_document
from spine_files import CORTEX_HU, CT_GRID, T1_GRID, around, bodies, ct, sac, t1

#: HU and mm: what moves to the right by 1 mm reads 2 HU more.
RISE = 2.0
FACTS = CaseFacts("case")


@cache
def rising_ct() -> np.ndarray:
    """HU that rise to the right in and next to every body, so that a ROI may be moved; cortex, soft tissue and air around."""
    rising, inside = np.rint(100 + RISE * CT_GRID.centers()[..., 0]).astype(np.int16), np.any(list(bodies(CT_GRID).values()), axis=0)
    inside |= around(inside)
    return np.where(inside, rising, np.where(around(inside), CORTEX_HU, ct()))


def masks(grid, levels=("L1", "L2", "L3")) -> list[Mask]:
    return [Mask(f"{level} body", bodies(grid)[level], grid).cropped() for level in levels]


def nodes(roles=("ct", "t1"), levels=("L1", "L2", "L3")) -> dict:
    """Volumes and segmentations as arguments of measure_case."""
    made = {}
    if "ct" in roles:
        made.update(
            ct=volume_node("CT", rising_ct(), CT_GRID), ct_segmentation=segmentation_node("CT masks", masks(CT_GRID, levels))
        )
    if "t1" in roles:
        fluid = Mask("thecal sac", sac(), T1_GRID).cropped()
        made.update(
            t1=volume_node("T1", t1(), T1_GRID), t1_segmentation=segmentation_node("T1 masks", [*masks(T1_GRID, levels), fluid])
        )
    return made


@cache
def result():
    """The case as it is measured without edits."""
    return measure_case(FACTS, **nodes())


# A case in the scene, by its id


def show_case(measured, beside=None):
    return show_document(measured.document(), measured.rois, measured.muscles.slices if measured.muscles else (), beside)


def node_of(case_id, role):
    return SceneCase(case_id).node(role)


def shown_document(case_id):
    return SceneCase(case_id).document


def edited_rois(case_id):
    return SceneCase(case_id).edited_rois()


def edited_names(case_id):
    return SceneCase(case_id).edited_names()


def unread_edits(case_id):
    return SceneCase(case_id).unread_edits()


def rename_case(case_id, new_id, older=()):
    SceneCase(case_id, older).rename(new_id)
