"""Which segment is which structure."""

from __future__ import annotations

import pytest

from BoneQualityLib.anatomy.schemes import SCHEMES
from BoneQualityLib.anatomy.segments import MEASURED_KINDS, assign, check_clear, settle
from BoneQualityLib.anatomy.structure import Conflict, Segment, Structure
from BoneQualityLib.anatomy.vocabulary import identify
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.scene.labels import read_labels, scheme_labels
from total_segments import total_segments


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
    **dict.fromkeys(["left rib 12", "rib_left_12", "Twelfth rib Left", "Rippe 12 links"], Structure("rib", "T12", "left")),
    **dict.fromkeys(["Th12", "D12", "BWK 12", "BWK12", "12. Brustwirbel"], Structure("vertebra", "T12")),
    **dict.fromkeys(["LWK1", "LWK 1", "Lendenwirbel 1", "Vertèbre lombaire 1", "第1腰椎", "腰椎L1", "lumbar vertebra L1"], VERTEBRA),
    **dict.fromkeys(["corps vertébral L2", "cuerpo vertebral L2", "corpo vertebrale L2", "L2椎体", "тело позвонка L2"],
                    Structure("vertebra", "L2", "", "body")),
    **dict.fromkeys(["Bandscheibe L3/L4", "disque L3-L4", "disco intervertebral L3-L4", "椎间盘L3-L4", "Discus L3/4"],
                    Structure("disc", "L3-L4")),
    **dict.fromkeys(["M. psoas major links", "grand psoas gauche", "psoas mayor izquierdo", "muscolo psoas sinistro", "左侧腰大肌",
                     "大腰筋 左", "psoas левый"], Structure("psoas_major", "", "left")),
    **dict.fromkeys(["M. multifidus re.", "multifide droit", "多裂肌右"], Structure("multifidus", "", "right")),
    **dict.fromkeys(["Duralsack", "sac dural", "saco dural", "硬膜囊", "Spinalkanal"], Structure("sac")),
    **dict.fromkeys(["Liquor L3", "LCR L3", "脑脊液 L3"], Structure("csf", "L3")),
    **dict.fromkeys(["S1", "S1 vertebra", "vertebrae_S1"], Structure("sacrum", "S1")),
    "第腰椎": None, "rib": None, "lumbar": None, "Wirbel": None, "腰大肌的": None, "L": None, "T1 weighted": None,
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
    found = identify(named("L2", entry("66794005")))
    assert isinstance(found, Conflict) and "L2 vertebra by its name but L1 vertebra by its terminology" in found.sentence


@pytest.mark.parametrize(
    ("name", "both"), [("L1 L3", "L1 and L3"), ("L3 csf canal", "csf and sac"), ("psoas left right", "left and right")]
)
def test_a_name_that_fits_two_structures_is_an_error_that_names_both(name, both):
    assert both in identify(named(name)).sentence


def test_the_persons_choice_goes_before_terminology_and_name():
    segments = [named("L2", entry("66794005"), "a"), named("Segment_9", identifier="b"), named("L4", identifier="c")]
    found = assign(segments, {"a": "L3 body", "Segment_9": "thecal sac", "c": ""})
    assert [s.structure for s in found.segments] == [Structure("vertebra", "L3", "", "body"), Structure("sac")]


def test_a_choice_for_a_segment_that_is_not_there_is_an_error():
    with pytest.raises(BoneQualityError, match="no segment L7"):
        assign([named("L1")], {"L7": "L2"})


def test_a_choice_that_is_no_structure_is_an_error():
    with pytest.raises(BoneQualityError, match="'liver'"):
        assign([named("L1")], {"L1": "liver"})


def test_two_segments_for_one_structure_are_an_error_that_names_both():
    found = settle(assign([named("vertebra L1"), named("L1 body"), named("L2")]))
    with pytest.raises(BoneQualityError, match="vertebra L1.*L1 body"):
        check_clear(found, MEASURED_KINDS["ct"])


def test_two_segments_for_one_muscle_are_an_error_though_their_names_say_levels():
    found = settle(assign([named("left psoas L3"), named("left psoas L4")]))
    with pytest.raises(BoneQualityError, match="left psoas L3 .* left psoas L4 .* both show left .*psoas major"):
        check_clear(found, MEASURED_KINDS["axial_mr"])


@pytest.mark.parametrize(
    "segments",
    [
        [named("sacrum"), named("Sacrum")],
        [named("L5-S1"), named("disc L5-S1")],
        [named("left psoas"), named("psoas L")],
        [named("psoas left right")],
        [named("left autochthon", entry("68455001", modifier="7771000"))],
        [named("S1", entry("11994003")), named("S1 vertebra")],
    ],
    ids=lambda segments: segments[0].name,
)
def test_what_is_not_clear_among_what_a_ct_does_not_measure_is_left_out(segments):
    found = settle(assign([*segments, named("L1"), named("rib left 12")]))
    check_clear(found, MEASURED_KINDS["ct"])
    assert [str(s.structure) for s in found.segments] == ["L1 vertebra", "left T12 rib"] and len(found.conflicts) == 1


def test_a_conflict_about_a_vertebra_stops_a_ct_though_its_other_reading_is_a_muscle():
    found = settle(assign([named("L2", entry("64038003"))]))
    with pytest.raises(BoneQualityError, match="L2 vertebra by its name but psoas major by its terminology"):
        check_clear(found, MEASURED_KINDS["ct"])


def test_every_segment_of_totalsegmentator_is_what_its_name_says_by_name_by_id_and_by_terminology():
    table = total_segments()
    assert len(table) == 117
    for n, (identifier, name, tag) in enumerate(table, 1):
        whole, raw, coded = named(name, tag, identifier), named(identifier), named("Segment_1", tag)
        structure = identify(whole)
        assert structure == identify(raw)
        assert identify(coded) == structure
        if n in SCHEMES["totalsegmentator"]:
            assert structure == identify(named(SCHEMES["totalsegmentator"][n]))
        else:
            assert structure is None, identifier
    assert identify(named("S1 vertebra", table[25][2])) == Structure("sacrum", "S1")
    assert identify(named("sacrum", table[24][2])) == Structure("sacrum")
    assert settle(assign(named(name, tag, identifier) for identifier, name, tag in table)).conflicts == ()


def test_the_group_of_the_multifidus_says_its_side_but_is_not_the_multifidus_by_itself():
    """SNOMED CT transversospinalis; multifidus has no code of its own."""
    left = entry("49975005", modifier="7771000")
    assert identify(named("multifidus", left)) == Structure("multifidus", "", "left")
    assert identify(named("Segment_1", left)) is None
    sentence = identify(named("right multifidus", left)).sentence
    assert "right multifidus by its name but left transversospinalis by its terminology" in sentence


def test_exclusions_may_be_many():
    assert len(settle(assign([named("exclude"), named("bone island"), named("hemangioma L2")])).segments) == 3


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
    assert scheme_labels(str(path)).names == {"1": "L1 body", "7": "thecal sac"}


@pytest.mark.parametrize("text", ["", "value\n1\n", "number,name\n1,L1\n", "value,name\n1,L1\n1,L2\n", "value,name\nx,L1\n"])
def test_a_labels_file_that_is_not_understood_is_an_error_that_names_it(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(BoneQualityError, match="labels.csv"):
        read_labels(str(path))


def test_a_scheme_that_does_not_exist_is_an_error_that_lists_those_that_do():
    with pytest.raises(BoneQualityError, match="totalsegmentator"):
        scheme_labels("nonsense")
