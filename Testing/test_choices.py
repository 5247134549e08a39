"""What is chosen by itself and by hand: images, segmentations, structures; and what is missing still."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import slicer
import vtk

from BoneQualityLib import CaseFacts, measure_case
from BoneQualityLib.entry.choices import (
    ROLES,
    Found,
    Picked,
    choose,
    facts_of,
    find_beside,
    find_structures,
    level_rows,
    muscle_rows,
    segmentation_input,
    what_is_missing,
)
from BoneQualityLib.entry.first_choices import (
    first_choices,
    first_segmentation,
    first_stacks,
    first_volumes,
    further_segmentations,
)
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.image.acquisition import ImageTags
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.scene.arrays import TAGS_ATTRIBUTE, image_of
from BoneQualityLib.scene.masks import checksums
from BoneQualityLib.scene.nodes import segmentation_node, volume_node
from BoneQualityLib.scene.session import mrml_scene
from scene_cases import nodes
from spine_files import CT_GRID, T1_GRID, VALUES, bodies, ct, label_map, sac, t1


def segments(*names, grid=CT_GRID):
    """A segmentation whose segments have these names, the bodies one after the other."""
    drawn = list(bodies(grid).values())
    return segmentation_node("masks", [Mask(name, drawn[n % 3], grid).cropped() for n, name in enumerate(names)])


def ct_node(name="CT", **tags):
    return tagged(volume_node(name, ct(), CT_GRID), **tags)


def t1_node(name="MR", **tags):
    return tagged(volume_node(name, t1(), T1_GRID), **tags)


def tagged(node, **tags):
    if tags:
        node.SetAttribute(TAGS_ATTRIBUTE, json.dumps(asdict(ImageTags(**tags))))
    return node


def labels():
    return volume_node("labels", label_map().astype(np.int16), CT_GRID, label_map=True)


# Volumes


NONE = dict(ct=None, t1=None, axial_mr=None)


def test_the_only_ct_and_the_only_mri_are_chosen():
    scan, mri = ct_node(), t1_node()
    assert first_volumes([mri, scan]) == dict(ct=scan, t1=mri, axial_mr=None)


def test_of_two_cts_none_is_chosen():
    assert first_volumes([ct_node(), ct_node("late")]) == NONE


def test_of_several_mris_the_one_called_t1_is_chosen():
    mris = [t1_node("Sag T2"), t1_node("Sag T1 TSE"), t1_node("STIR")]
    assert first_volumes(mris) == NONE | dict(t1=mris[1])
    assert first_volumes([*mris, t1_node("t1 repeated")]) == NONE


def test_an_mri_whose_tags_are_not_those_of_t1_is_not_chosen():
    assert first_volumes([t1_node("Sag", modality="MR", tr_ms=3500.0, te_ms=100.0)]) == NONE
    spin_echo = t1_node("Sag", modality="MR", tr_ms=550.0, te_ms=12.0)
    assert first_volumes([spin_echo]) == NONE | dict(t1=spin_echo)


def test_tags_go_before_values():
    assert first_volumes([ct_node("looks like HU", modality="PT")]) == NONE


def test_an_mri_in_thick_axial_slices_is_the_one_for_muscles():
    axial = volume_node("Ax T2", t1(), Grid(t1().shape, np.diag([0.8, 0.8, 5.0, 1.0])))
    mri = t1_node()
    assert first_volumes([mri, axial]) == dict(ct=None, t1=mri, axial_mr=axial)


def test_volumes_that_cannot_be_read_are_passed_over():
    empty, scan = volume_node("empty", np.zeros((1, 1, 1), np.int16), CT_GRID), ct_node()
    empty.SetAndObserveImageData(None)
    assert first_volumes([empty, scan]) == NONE | dict(ct=scan)


# Segmentations


def test_the_segmentation_that_was_drawn_on_the_volume_is_chosen():
    scan = ct_node()
    mine, other = segments("L1", "L2"), segments("L1", "L2")
    mine.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    assert first_segmentation(scan, [other, mine]) is mine


def test_without_a_reference_the_one_on_the_same_lattice_is_chosen():
    mine, other = segments("L1"), segments("L1", grid=T1_GRID)
    assert first_segmentation(ct_node(), [other, mine]) is mine


def test_what_was_drawn_on_another_image_of_the_case_is_not_chosen():
    scan, mri = ct_node(), t1_node()
    drawn = segments("L1", grid=T1_GRID)
    drawn.SetReferenceImageGeometryParameterFromVolumeNode(mri)
    assert first_segmentation(scan, [drawn], [mri]) is None and first_segmentation(mri, [drawn], [scan]) is drawn


def test_a_segmentation_on_a_lattice_of_its_own_is_chosen_where_it_is_the_only_one():
    away = CT_GRID.refined((1, 1, 2))
    mine = segmentation_node("fine", [Mask("L1", np.repeat(bodies(CT_GRID)["L1"], 2, axis=0), away)])
    assert first_segmentation(ct_node(), [mine]) is mine
    assert first_segmentation(ct_node(), [mine, segments("L2", grid=T1_GRID)]) is None


def test_volumes_that_cannot_be_read_do_not_hinder_the_choice_of_a_segmentation():
    empty, scan = volume_node("empty", np.zeros((1, 1, 1), np.int16), CT_GRID), ct_node()
    empty.SetAndObserveImageData(None)
    mine = segments("L1", grid=T1_GRID)
    assert first_segmentation(scan, [mine], [empty]) is mine and first_segmentation(empty, [mine], [scan]) is mine


def test_for_muscles_a_segmentation_with_muscles_is_chosen():
    axial = volume_node("Ax T2", t1(), Grid(t1().shape, np.diag([0.8, 0.8, 5.0, 1.0])))
    vertebrae, muscles = segments("L1"), segments("left psoas major", "right multifidus")
    assert first_segmentation(axial, [vertebrae, muscles], shows="muscles") is muscles
    assert find_structures(muscles, {}).shows == {"left psoas major": "left_psoas_major", "right multifidus": "right_multifidus"}
    assert {"left psoas major", "right multifidus", "disc L3-L4"} <= set(muscle_rows(find_structures(muscles, {})))


def test_of_two_that_fit_and_of_none_with_vertebrae_none_is_chosen():
    scan = ct_node()
    assert first_segmentation(scan, [segments("L1"), segments("L2")]) is None
    assert first_segmentation(scan, [segments("liver", "spleen")]) is None
    assert first_segmentation(None, [segments("L1")]) is None


# Structures


def picked(**given):
    """What is picked for the CT, the T1 MRI and the axial MRI."""
    return [Picked(role, *given.get(role.name, ())) for role in ROLES]


def chosen(*arguments):
    return {each.role.name: (each.volume, each.segmentation) for each in first_choices(*arguments)}


def test_first_comes_what_has_a_segmentation_and_volumes_alone_only_where_none_has():
    scan, mri, mine = ct_node(), t1_node(), segments("L2")
    mine.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    assert chosen(picked(), [scan, mri, mine]) == dict(ct=(scan, mine))
    assert chosen(picked(), [scan, mri]) == dict(ct=(scan, None), t1=(mri, None), axial_mr=(None, None))
    assert chosen(picked(ct=(scan,)), [scan, mri]) == {}, "a person has begun with volumes of their own"


def test_a_picked_volume_gets_its_segmentation_and_takes_it_from_the_others():
    early, late, mri, mine = ct_node("early"), ct_node("late"), t1_node(), segments("L1", "L2")
    mine.SetReferenceImageGeometryParameterFromVolumeNode(late)
    assert chosen(picked(), [early, late, mri, mine])["t1"] == (mri, None), "what was drawn on a CT is not for the MRI"
    assert chosen(picked(ct=(late,)), [early, late, mri, mine]) == dict(ct=(late, mine))


def drawn_on(volume, *names, grid=CT_GRID):
    node = segments(*names, grid=grid)
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return node


def test_further_segmentations_are_those_that_show_what_the_first_one_does_not():
    mri, scan = t1_node(), ct_node()
    bodies_alone, sac_alone = drawn_on(mri, "L1", "L2", grid=T1_GRID), drawn_on(mri, "thecal sac", grid=T1_GRID)
    liver, elsewhere = drawn_on(mri, "liver", grid=T1_GRID), drawn_on(scan, "CSF L3")
    own, free = Picked(ROLES[1], mri, bodies_alone), [bodies_alone, sac_alone, liver, elsewhere]
    assert further_segmentations(own, free, [scan]) == (sac_alone,)
    assert further_segmentations(own, [*free, drawn_on(mri, "thecal sac", grid=T1_GRID)], [scan]) == (), "two of one structure"
    assert further_segmentations(own, [*free, drawn_on(mri, "L2", "CSF L3", grid=T1_GRID)], [scan]) == (sac_alone,)
    held = Picked(ROLES[1], mri, bodies_alone, more_segmentations=(sac_alone,))
    assert further_segmentations(held, [drawn_on(mri, "thecal sac", grid=T1_GRID)]) == ()
    both = find_beside(find_structures(bodies_alone, {}), [sac_alone], frozenset(("vertebra", "sac")))
    assert both.levels == ["L1", "L2"] and both.beside == {"thecal sac": "masks"} and "thecal sac" in level_rows(dict(ct=Found(), t1=both))


def axial_stack(center: float, angle: float = 0.0):
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    turned = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]) @ np.diag([1.0, 1.0, 4.0])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turned, [0, 0, center] - turned @ [20, 20, 2]
    grid = Grid((5, 41, 41), affine)
    node = tagged(volume_node(f"stack at {center:.0f}", np.full(grid.shape, 100, np.int16), grid), modality="MR")
    masks = segmentation_node("muscles", [Mask("left psoas", np.ones(grid.shape, bool), grid)])
    masks.SetReferenceImageGeometryParameterFromVolumeNode(node)
    return node, masks


def test_axial_volumes_that_lie_apart_and_have_muscles_each_are_stacks_of_one_mri():
    pairs = [axial_stack(40, -8), axial_stack(0), axial_stack(-40, 16)]
    volumes, masks = [volume for volume, _ in pairs], [mask for _, mask in pairs]
    assert first_stacks(volumes, masks) == pairs and first_stacks(volumes, masks[:2]) == pairs[:2]
    assert first_stacks(volumes[:1], masks) == []
    again = axial_stack(2)
    assert first_stacks([*volumes, again[0]], [*masks, again[1]]) == [], "another contrast, or another patient"
    second = segmentation_node("more", [Mask("left psoas", np.ones((5, 41, 41), bool), image_of(volumes[0]).grid)])
    second.SetReferenceImageGeometryParameterFromVolumeNode(volumes[0])
    assert first_stacks(volumes, [*masks, second]) == [], "it is not clear which of two segmentations"


def test_structures_are_found_by_name_and_the_rest_shows_none():
    found = find_structures(segments("L1 body", "vertebrae_L2", "liver"), {})
    assert found.shows == {"L1": "L1_body", "L2": "vertebrae_L2"} and found.faults == ()
    assert list(found.segments.values()) == ["L1 body", "vertebrae_L2", "liver"] and found.levels == ["L1", "L2"]


def test_a_persons_choice_goes_before_the_name():
    node = segments("L1", "L2", "liver")
    chosen = choose(node, {}, "", "L3", "liver")
    chosen = choose(node, chosen, "", "L1", "L2")
    assert find_structures(node, chosen).shows == {"L1": "L2", "L3": "liver"}
    unchosen = find_structures(node, choose(node, chosen, "", "L1", "")).shows
    assert unchosen == {"L2": "L2", "L3": "liver"}, "without a choice the segment shows what its name says"


def test_a_choice_that_the_name_says_already_is_not_kept():
    node = segments("L1", "L2")
    chosen = choose(node, {}, "", "L1", "L2")
    chosen = choose(node, chosen, "", "L1", "L1")
    assert find_structures(node, chosen).shows["L1"] == "L1" and chosen.get("L2") in (None, "")
    assert choose(node, choose(node, chosen, "", "L2", "L2"), "", "L1", "L1") == {}


def test_exchanged_segments_show_each_others_level():
    node = segments("L1", "L2")
    chosen = choose(node, choose(node, {}, "", "L1", "L2"), "", "L2", "L1")
    assert find_structures(node, chosen).shows == {"L1": "L2", "L2": "L1"}


def test_a_name_that_fits_two_structures_is_a_fault_until_one_is_chosen():
    node = segments("L1 L4 body", "L3")
    found = find_structures(node, {})
    assert len(found.faults) == 1 and "fits L1 and L4" in found.faults[0] and found.shows == {"L3": "L3"}
    found = find_structures(node, choose(node, {}, "", "L1", "L1_L4_body"))
    assert found.faults == () and found.shows == {"L1": "L1_L4_body", "L3": "L3"}


def test_two_segments_for_one_structure_are_a_fault_until_one_is_chosen():
    node = segments("L1", "L1 vertebra")
    assert "both show L1" in find_structures(node, {}).faults[0]
    found = find_structures(node, choose(node, {}, "", "L1", "L1_vertebra"))
    assert found.faults == () and found.shows == {"L1": "L1_vertebra"}


def test_name_and_terminology_that_disagree_are_a_fault():
    node = segments("L1")
    entry = "Segmentation category and type~SCT^123037004^Anatomical Structure~SCT^11994002^L4 vertebra~^^~Anatomic codes~^^~^^"
    node.GetSegmentation().GetNthSegment(0).SetTag("TerminologyEntry", entry)
    assert "L1 vertebra by its name but L4 vertebra by its terminology" in find_structures(node, {}).faults[0]


def test_a_choice_for_a_segment_that_is_gone_is_left_out():
    node = segments("L1", "x")
    chosen = choose(node, {}, "", "L2", "x")
    node.GetSegmentation().RemoveSegment("x")
    assert find_structures(node, chosen).shows == {"L1": "L1"}
    assert segmentation_input(node, chosen).labels == {}


def test_labels_are_understood_by_the_scheme_that_is_named_or_by_hand():
    node = labels()
    assert find_structures(node, {}).shows == {}
    assert find_structures(node, {}, "totalsegmentator").shows == {"L1": "31", "L2": "30", "L3": "29"}
    chosen = choose(node, {}, "", "L4", str(VALUES[1]))
    assert find_structures(node, chosen).shows == {"L4": "30"}
    chosen = choose(node, {}, "totalsegmentator", "L4", "30")
    assert find_structures(node, chosen, "totalsegmentator").shows == {"L1": "31", "L3": "29", "L4": "30"}


def test_an_image_in_place_of_a_segmentation_is_a_fault():
    scan = volume_node("scan", t1() * 100, T1_GRID, label_map=True)
    assert "no label map" in find_structures(scan, {}).faults[0]
    assert find_structures(None, {}) == Found()


def test_what_was_chosen_is_what_is_measured():
    inputs = nodes(["ct"])
    node = inputs["ct_segmentation"]
    chosen = choose(node, choose(node, {}, "", "L3", ""), "", "L4", "L2_body")
    result = measure_case(CaseFacts("a"), **(inputs | dict(ct_segmentation=segmentation_input(node, chosen))))
    assert [level.name for level in result.levels] == ["L1", "L4"]
    (level,) = measure_case(CaseFacts("a"), ct=inputs["ct"], ct_segmentation=segmentation_input(labels(), {"30": "L2"})).levels
    assert level.name == "L2"


def test_contents_change_with_what_is_measured_alone():
    from vtk.util.numpy_support import vtk_to_numpy

    scan, node = ct_node(), segments("L1", "L2", "liver")

    def contents():
        return Picked(ROLES[0], scan, node).contents(find_structures(node, {}), checksums)

    def invert(segment):
        scalars = node.GetSegmentation().GetSegment(segment).GetRepresentation("Binary labelmap").GetPointData().GetScalars()
        vtk_to_numpy(scalars)[:] ^= 1

    before = contents()
    invert("liver")
    assert contents() == before, "what shows no structure is not measured"
    invert("L2")
    assert contents() != before
    invert("L2")
    node.GetSegmentation().GetSegment("L2").SetName("L3")
    assert contents() != before
    node.GetSegmentation().GetSegment("L2").SetName("L2")
    vtk_to_numpy(scan.GetImageData().GetPointData().GetScalars())[7] += 1
    assert contents() != before
    vtk_to_numpy(scan.GetImageData().GetPointData().GetScalars())[7] -= 1
    assert contents() == before
    moving, matrix = mrml_scene().AddNewNodeByClass("vtkMRMLLinearTransformNode"), vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 2.0)
    moving.SetMatrixTransformToParent(matrix)
    for moved in (scan, node):
        moved.SetAndObserveTransformNodeID(moving.GetID())
        assert contents() != before
        moved.SetAndObserveTransformNodeID(None)
    assert contents() == before
    for moved in (scan, node):
        moved.SetAndObserveTransformNodeID(moving.GetID())
        moved.HardenTransform()
        assert contents() != before, "a lattice or a mask that lies elsewhere"
        matrix.Invert()
        moving.SetMatrixTransformToParent(matrix)
        moved.SetAndObserveTransformNodeID(moving.GetID())
        moved.HardenTransform()
        matrix.Invert()
        moving.SetMatrixTransformToParent(matrix)
    assert contents() == before


# What is missing


NOTHING = (None, None, Found())


def missing(facts=None, ct=NOTHING, t1=NOTHING, axial=NOTHING):
    picked = [Picked(role, volume, segmentation) for role, (volume, segmentation, _) in zip(ROLES, (ct, t1, axial))]
    found = {role.name: holds for role, (_, _, holds) in zip(ROLES, (ct, t1, axial))}
    return what_is_missing(dict(case_id="a") | (facts or {}), picked, found)


@pytest.mark.parametrize(
    "facts, sentence",
    [
        (dict(case_id=" "), "Give the case an id"),
        (dict(case_id="Müller"), "The case id 'Müller' cannot be used; give up to 100 letters"),
        (dict(case_id="Erika Mustermann"), "cannot be used"),
        (dict(age="old"), "'old' is no number; correct the age."),
        (dict(age="-3"), "age is -3.0; give a number from 0 to 125 years."),
        (dict(t_score="nan"), "t_score is nan"),
        (dict(reader="Dr. Who"), "The reader 'Dr. Who' cannot be used"),
    ],
)
def test_facts_that_cannot_be_are_said(facts, sentence):
    node = segments("L1")
    assert sentence in missing(facts, (ct_node(), node, find_structures(node, {})))


def test_what_is_missing_is_said_one_after_the_other():
    scan, vertebrae, organs = ct_node("scan"), segments("L1", "L2"), segments("liver")
    assert missing() == "Nothing to measure: give the CT, the T1 MRI or the axial MRI."
    assert missing(ct=(scan, None, Found())) == (
        "The CT needs a segmentation: give the segmentation of the CT too, or leave out the CT."
    )
    assert missing(ct=(None, vertebrae, find_structures(vertebrae, {}))) == (
        "The segmentation of the CT needs its image: give the CT too, or leave out the segmentation of the CT."
    )
    assert missing(ct=(scan, organs, find_structures(organs, {}))) == (
        "Choose in the table of levels which segments of masks show which."
    )
    twice = segments("L1", "L1 body")
    assert "both show L1" in missing(ct=(scan, twice, find_structures(twice, {})))
    assert missing(ct=(scan, labels(), find_structures(labels(), {}))) == (
        "Choose the label scheme of labels, or in the table of levels which labels show which."
    )
    given = (scan, vertebrae, find_structures(vertebrae, {}))
    assert missing(ct=given) == ""
    assert missing(axial=(t1_node("Ax"), vertebrae, find_structures(vertebrae, {}))) == (
        "Choose in the table of muscles which segments of masks show which."
    )
    assert missing(ct=given, t1=(t1_node(), None, Found())) == (
        "The T1 MRI needs a segmentation: give the segmentation of the T1 MRI too, or leave out the T1 MRI."
    )


def test_facts_are_read_as_a_person_types_them():
    texts = dict(case_id="a", age="71,5", bmi=" 23.4 ", t_score="", sex="F", hyperlipidemia="", fractured=["L2"], csf_blocked=[])
    assert facts_of(texts) == CaseFacts("a", age=71.5, bmi=23.4, sex="F", fractured=("L2",))
    with pytest.raises(BoneQualityError, match="'7 1' is no number; correct the bmi"):
        facts_of(dict(case_id="a", bmi="7 1"))


def test_rows_are_the_levels_that_are_there_and_the_lumbar_ones_and_csf_with_a_t1():
    found = find_structures(segments("T12", "L2"), {})
    assert level_rows(dict(ct=found, t1=Found()))[:6] == ["T12", "L1", "L2", "L3", "L4", "L5"]
    assert "CSF L3" not in level_rows(dict(ct=found, t1=Found()))
    assert {"thecal sac", "CSF L2", "CSF L3", "CSF L4"} <= set(level_rows(dict(ct=Found(), t1=found)))


# Tags from Slicer's DICOM database


class Database:
    def __init__(self, paths):
        self.paths = paths

    def fileForInstance(self, uid):
        return self.paths.get(uid, "")


def test_tags_come_from_the_dicom_database_by_the_volumes_instances(shared_data, monkeypatch):
    path = next((shared_data / "ct_dicom_T11-T12" / "dicom").glob("*.dcm"))
    monkeypatch.setattr(slicer, "dicomDatabase", Database({"1.2.3": str(path)}), raising=False)
    node = ct_node()
    assert image_of(node).tags == ImageTags()
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    tags = image_of(node).tags
    assert tags.modality == "CT" and tags.kvp and tags.kernel and tags.manufacturer
    node.SetAttribute("DICOM.instanceUIDs", "9.9.9")
    assert image_of(node).tags == ImageTags(), "not in this computer's database"
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    monkeypatch.setattr(slicer, "dicomDatabase", None)
    assert image_of(node).tags == ImageTags()


def test_by_its_dicom_tags_an_image_is_refused_as_what_it_is_not(shared_data, monkeypatch):
    path = next((shared_data / "ct_dicom_T11-T12" / "dicom").glob("*.dcm"))
    monkeypatch.setattr(slicer, "dicomDatabase", Database({"1.2.3": str(path)}), raising=False)
    node = t1_node("Sag T1")
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    assert first_volumes([node]) == NONE
    with pytest.raises(
        BoneQualityError, match="Sag T1 is a CT by its DICOM tags, but was given as T1 MRI; choose the other volume"
    ):
        measure_case(CaseFacts("a"), t1=node, t1_segmentation=segments("L1", grid=T1_GRID))


def test_bodies_and_sac_may_be_two_segmentations_and_axial_stacks_several_volumes():
    inputs = nodes(["t1"])
    masks = [Mask(f"{level} body", mask, T1_GRID) for level, mask in bodies(T1_GRID).items()]
    drawn, fluid = segmentation_node("bodies", masks), segmentation_node("fluid", [Mask("thecal sac", sac(), T1_GRID)])
    both = Picked(ROLES[1], inputs["t1"], drawn, more_segmentations=(fluid,))
    together = measure_case(CaseFacts("a"), **inputs)
    assert measure_case(CaseFacts("a"), **both.inputs()).values["vbq"] == together.values["vbq"]
    assert both.identity() != Picked(ROLES[1], inputs["t1"], drawn).identity()
    axial = Picked(ROLES[2], inputs["t1"], drawn, more_volumes=(inputs["t1"],))
    assert axial.inputs()["axial_mr"] == [inputs["t1"]] * 2 and axial.counts()["axial_mr"] == 2
