"""Which segment is which structure."""

from __future__ import annotations

import pytest

from BoneQualityLib.anatomy.schemes import SCHEMES
from BoneQualityLib.anatomy.segments import assign, check_unique
from BoneQualityLib.anatomy.structure import Segment, Structure
from BoneQualityLib.anatomy.vocabulary import identify
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.scene.labels import read_labels, scheme_labels


def named(name, terminology="", identifier=""):
    return Segment(name, "Spine", lambda: None, identifier, terminology)


def entry(code, meaning="", modifier="", region=""):
    """A terminology tag as Segment Editor writes it."""
    return (
        f"Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure~SCT^{code}^{meaning}"
        f"~SCT^{modifier}^~Anatomic codes - DICOM master list~SCT^{region}^~^^|"
    )


VERTEBRA = Structure("vertebra", "L1")
NAMES = {
    **dict.fromkeys(
        ["L1", "l1", "L1 vertebra", "vertebra L1", "vertebrae_L1", "L1-vertebra", "lumbar vertebra 1", "first lumbar vertebra",
         "Vertèbre L1", "vértebra_L1", "Wirbel L1", "L1椎骨"], VERTEBRA),
    **dict.fromkeys(["L1 body", "vertebral_body_L1", "L1 corpus", "Wirbelkörper L1", "椎体 L1"], Structure("vertebra", "L1", "", "body")),
    **dict.fromkeys(["L1 cancellous", "L1_trabecular"], Structure("vertebra", "L1", "", "cancellous")),
    **dict.fromkeys(["CSF L3", "L3 CSF", "cerebrospinal fluid L3"], Structure("csf", "L3")),
    **dict.fromkeys(["thecal sac", "Dural_Sac", "spinal canal"], Structure("sac")),
    **dict.fromkeys(["disc L3-L4", "L3-L4", "L3-4", "L3_L4_disc"], Structure("disc", "L3-L4")),
    **dict.fromkeys(["left psoas major muscle", "psoas_L"], Structure("psoas_major", "", "left")),
    "T12": Structure("vertebra", "T12"), "T13": Structure("vertebra", "T13"), "L6": Structure("vertebra", "L6"),
    "twelfth": None, "CSF": Structure("csf"), "spinal cord": Structure("cord"), "L5-S1": Structure("disc", "L5-S1"),
    "L2 hemangioma": Structure("exclude", "L2"), "basivertebral vein": Structure("exclude"),
    "vertebral body": Structure("bodies"), "bodies": Structure("bodies"),
    "Segment_1": None, "L1 nerve root": None, "kidney left": None, "L10": None, "vertebra": None, "": None,
}  # fmt: skip


@pytest.mark.parametrize(("name", "structure"), NAMES.items(), ids=NAMES.keys())
def test_a_name_says_the_structure_or_none(name, structure):
    assert identify(named(name)) == structure


@pytest.mark.parametrize(
    ("tag", "structure"),
    [
        (entry("66794005", "L1 vertebra"), VERTEBRA),
        (entry("82687006"), Structure("vertebra", "T9")),
        (entry("3572006", "body", region="36470004"), Structure("vertebra", "L3", "", "body")),
        (entry("65216001"), Structure("csf")),
        (entry("64038003", modifier="7771000"), Structure("psoas_major", "", "left")),
        (entry("3572006"), Structure("bodies")),
        (entry("85756007", "Tissue"), None),
    ],
)
def test_terminology_says_the_structure_where_the_name_does_not(tag, structure):
    assert identify(named("Segment_1", tag)) == structure


def test_terminology_and_name_complete_each_other():
    assert identify(named("L2", entry("3572006"))) == Structure("vertebra", "L2", "", "body")
    assert identify(named("CSF L3", entry("65216001"))) == Structure("csf", "L3")
    assert identify(named("thecal sac", entry("65216001"))) == Structure("sac")


def test_terminology_and_name_that_disagree_are_an_error_that_names_both():
    with pytest.raises(BoneQualityError, match="L2 vertebra by its name but L1 vertebra by its terminology"):
        identify(named("L2", entry("66794005")))


@pytest.mark.parametrize(
    ("name", "both"), [("L1 L3", "L1 and L3"), ("L3 csf canal", "csf and sac"), ("psoas left right", "left and right")]
)
def test_a_name_that_fits_two_structures_is_an_error_that_names_both(name, both):
    with pytest.raises(BoneQualityError, match=both):
        identify(named(name))


def test_the_persons_choice_goes_before_terminology_and_name():
    segments = [named("L2", entry("66794005"), "a"), named("Segment_9", identifier="b"), named("L4", identifier="c")]
    found = assign(segments, {"a": "L3 body", "Segment_9": "thecal sac", "c": ""})
    assert [s.structure for s in found] == [Structure("vertebra", "L3", "", "body"), Structure("sac")]


def test_a_choice_for_a_segment_that_is_not_there_is_an_error():
    with pytest.raises(BoneQualityError, match="no segment L7"):
        assign([named("L1")], {"L7": "L2"})


def test_a_choice_that_is_no_structure_is_an_error():
    with pytest.raises(BoneQualityError, match="'liver'"):
        assign([named("L1")], {"L1": "liver"})


def test_two_segments_for_one_structure_are_an_error_that_names_both():
    with pytest.raises(BoneQualityError, match="vertebra L1.*L1 body"):
        check_unique(assign([named("vertebra L1"), named("L1 body"), named("L2")]))


def test_two_segments_for_one_muscle_are_an_error_though_their_names_say_levels():
    with pytest.raises(BoneQualityError, match="left psoas L3 .* left psoas L4 .* both show left .*psoas major"):
        check_unique(assign([named("left psoas L3"), named("left psoas L4")]))


def test_the_group_of_the_multifidus_says_its_side_but_is_not_the_multifidus_by_itself():
    """SNOMED CT transversospinalis; multifidus has no code of its own."""
    left = entry("49975005", modifier="7771000")
    assert identify(named("multifidus", left)) == Structure("multifidus", "", "left")
    assert identify(named("Segment_1", left)) is None
    with pytest.raises(BoneQualityError, match="right multifidus by its name but left transversospinalis by its terminology"):
        identify(named("right multifidus", left))


def test_exclusions_may_be_many():
    check_unique(assign([named("exclude"), named("bone island"), named("hemangioma L2")]))


@pytest.mark.parametrize(
    ("scheme", "values"),
    [
        ("totalsegmentator", {31: "L1", 27: "L5", 32: "T12", 43: "T1", 35: "T9"}),
        ("vertebrae_mr", {6: "L1", 2: "L5", 7: "T12", 18: "T1", 10: "T9"}),
        ("totalspineseg", {41: "L1", 45: "L5", 46: "L6", 32: "T12", 21: "T1", 29: "T9"}),
        ("verse", {20: "L1", 24: "L5", 25: "L6", 19: "T12", 8: "T1", 16: "T9"}),
    ],
)
def test_label_schemes_number_the_levels_as_their_tools_do(scheme, values):
    for value, level in values.items():
        assert identify(named(SCHEMES[scheme][value])) == Structure("vertebra", level)


def test_every_name_in_a_scheme_is_understood():
    for labels in SCHEMES.values():
        assert all(identify(named(name)) for name in labels.values())


def test_26_is_no_lumbar_level_in_any_scheme_but_means_different_things():
    assert identify(named(SCHEMES["totalsegmentator"][26])).kind == "sacrum"
    assert identify(named(SCHEMES["verse"][26])).kind == "sacrum"


def test_labels_are_read_from_csv(tmp_path):
    path = tmp_path / "labels é.csv"
    path.write_text("value,name\n1,L1 body\n7,thecal sac\n", encoding="utf-8-sig")
    assert scheme_labels(str(path)) == {"1": "L1 body", "7": "thecal sac"}


@pytest.mark.parametrize("text", ["", "value\n1\n", "number,name\n1,L1\n", "value,name\n1,L1\n1,L2\n", "value,name\nx,L1\n"])
def test_a_labels_file_that_is_not_understood_is_an_error_that_names_it(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(BoneQualityError, match="labels.csv"):
        read_labels(str(path))


def test_a_scheme_that_does_not_exist_is_an_error_that_lists_those_that_do():
    with pytest.raises(BoneQualityError, match="totalsegmentator"):
        scheme_labels("nonsense")
