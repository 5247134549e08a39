"""What was worked out before is taken again where nothing of it changed, and gives the same numbers as measuring whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from BoneQualityLib.anatomy.segments import assign, settle
from BoneQualityLib.anatomy.structure import Segment
from BoneQualityLib.case import ct as case_ct
from BoneQualityLib.case import t1 as case_t1
from BoneQualityLib.case.images import CaseImages, Given
from BoneQualityLib.case.measure import measure
from BoneQualityLib.case.memory import Memory
from BoneQualityLib.errors import NotMeasured
from BoneQualityLib.files.writing import json_text
from BoneQualityLib.image.image import Image
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.measures import hounsfield, marrow
from BoneQualityLib.outputs.document import document_of
from BoneQualityLib.parameters import CaseFacts
from spine_files import CT_GRID, T1_GRID, bodies, ct, sac, t1


def images():
    ramp = (ct() + np.arange(CT_GRID.shape[0])[:, None, None]).astype(np.int16)
    signal = (t1() + np.arange(T1_GRID.shape[0])[:, None, None]).astype(np.int16)
    return CaseImages(ct=given(ramp, CT_GRID, bodies(CT_GRID)), t1=given(signal, T1_GRID, bodies(T1_GRID) | {"thecal sac": sac()}))


def given(array, grid, masks):
    segments = [Segment(name, "m", lambda name=name, mask=mask: Mask(name, mask, grid).cropped()) for name, mask in masks.items()]
    return Given(Image("image", array, grid), settle(assign(segments)).segments)


def text(result):
    return json_text(document_of(result))


def moved(result, *keys):
    rois = {(roi.level, roi.kind): roi for roi in result.rois}
    return {key: replace(rois[key], center=rois[key].center + [1.0, 0.5, 0], edited=True) for key in keys}


EDITS = (("L1", "upper"), ("L2", "middle"), ("L3", "marrow"), ("L2", "csf"))


@pytest.fixture(scope="module")
def first():
    memory = Memory()
    return measure(images(), CaseFacts("a"), memory=memory), memory


@pytest.mark.parametrize("keys", [EDITS[:1], EDITS[1:2], EDITS[2:3], EDITS[3:], EDITS, ()], ids=str)
@pytest.mark.parametrize("facts", [CaseFacts("a"), CaseFacts("a", age=70.0, cemented=("L2",), csf_blocked=("L3",), reader="r2")])
def test_an_edit_or_a_fact_gives_the_same_document_as_measuring_the_whole_case(first, keys, facts):
    result, memory = first
    edits = moved(result, *keys)
    assert text(measure(images(), facts, edits=edits, memory=memory)) == text(measure(images(), facts, edits=edits))
    assert text(measure(images(), CaseFacts("a"), memory=memory)) == text(result), "and nothing of it stays"


def test_nothing_is_worked_out_twice(first, monkeypatch):
    result, memory = first
    called = []
    for module, name in ((hounsfield, "place_slices"), (hounsfield, "read_region"), (case_ct, "place_body"), (case_ct, "rim_on_ct"),
                         (case_ct, "measure_heights"), (case_ct, "read_vertebrae"), (case_t1, "read_vertebrae"), (marrow, "place_marrow")):  # fmt: skip
        monkeypatch.setattr(module, name, lambda *a, name=name, true=getattr(module, name), **o: called.append(name) or true(*a, **o))
    measure(images(), CaseFacts("a", age=70.0, fractured=("L1",)), edits=moved(result, *EDITS), memory=memory)
    assert called == []
    measure(images(), CaseFacts("a"))
    assert len(set(called)) == 7


def test_a_reason_is_remembered_too():
    memory, tries = Memory(), []

    def fails():
        tries.append(1)
        raise NotMeasured("too small", "small-roi")

    for _ in range(2):
        with pytest.raises(NotMeasured, match="too small"):
            memory.once("step", fails)
    assert len(tries) == 1
