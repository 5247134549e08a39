"""What people get from a case's plain document: table rows, the places behind cells, one line for a report."""

from __future__ import annotations

import json

import pytest

from BoneQualityLib import CaseFacts, Parameters, __version__, measure_case
from BoneQualityLib.case.result import CaseResult, Level
from BoneQualityLib.measures.roi import LevelNumbers
from BoneQualityLib.outputs.document import document_of, write_case
from BoneQualityLib.outputs.places import csf_place, muscle_place, place_behind
from BoneQualityLib.outputs.summary import flag_sentences, report_line, summary_rows
from BoneQualityLib.states import Exclusion, Flag
from scene_cases import FACTS, nodes, result


@pytest.fixture(scope="module")
def document():
    return result().document()


def test_the_document_survives_json_and_gives_the_same_files(document, tmp_path):
    again = json.loads(json.dumps(document))
    first, second = (write_case(each, tmp_path / name) for each, name in ((document, "a"), (again, "b")))
    direct = result().write_files(tmp_path / "c", report=False)
    for a, b, c in zip(first, second, direct, strict=True):
        assert a.read_bytes() == b.read_bytes() == c.read_bytes()


def test_every_measured_value_has_a_summary_row_and_every_cutoff_one_beside_it(document):
    rows = summary_rows(document)
    by_column = {}
    for row in rows:
        by_column.setdefault(row["column"], []).append(row)
    assert {"hu_3d", "hu_3d_wide", "hu_multislice", "hu_middle", "hu_middle_l1", "vbq"} <= set(by_column)
    assert "t_score" not in by_column, "what was not measured has no row"
    for cutoff in document["cutoffs"]:
        said = [row["cutoff"] for row in by_column[cutoff["measure"]]]
        assert f"{cutoff['comparison']} {cutoff['cutoff']:g}" in said
    for same in by_column.values():
        assert same[0]["value"] and not any(row["value"] or row["measure"] for row in same[1:])
    assert by_column["hu_middle"][0]["measure"] == "Mid-slice HU", "the case value's title, not that of the level table"
    vbq = by_column["vbq"][0]
    assert vbq["value"] == f"{document['case']['vbq']:.4f}" and "to" in vbq["range"]
    assert any("Kadri 2025" in row["source"] for row in by_column["vbq"])


@pytest.mark.parametrize(
    "column, kind, image",
    [
        ("hu_upper", "upper", "ct"),
        ("hu_lower_area_mm2", "lower", "ct"),
        ("hu_middle", "middle", "ct"),
        ("hu_3d", "middle", "ct"),
        ("level", "middle", "ct"),
        ("t1_signal", "marrow", "t1"),
        ("vbq_single_level", "marrow", "t1"),
    ],
)
def test_a_cell_leads_to_the_roi_it_was_read_in(document, column, kind, image):
    place, role = place_behind(document, "L2", column)
    assert (place["level"], place["kind"], role) == ("L2", kind, image) and len(place["center"]) == 3


def test_a_level_that_only_t1_shows_leads_to_its_marrow():
    document = measure_case(FACTS, **nodes(["t1"])).document()
    place, role = place_behind(document, "L1", "hu_3d")
    assert (place["kind"], role) == ("marrow", "t1")


@pytest.mark.parametrize(
    "muscle, side, kind",
    [("multifidus", "left", "left multifidus"), ("all", "both", "disc"), ("psoas major", "left", "slice")],
)
def test_a_row_of_the_muscle_table_leads_to_its_muscle_on_its_own_slice(muscle, side, kind):
    def roi(kind, position):
        return dict(kind=kind, center=[5.0, 0.0, position])

    slices = [roi("slice", s) | dict(rois=[roi("disc", s), roi("left multifidus", s)]) for s in (10.0, -25.5)]
    place = muscle_place(dict(muscle_slices=slices), dict(muscle=muscle, side=side, slice_s_mm="-25.5"))
    assert (place["kind"], place["center"][2]) == (kind, -25.5)


def test_what_was_not_measured_leads_nowhere(document):
    assert place_behind(document, "L5", "hu_3d") == (None, "ct")
    assert csf_place(document | dict(case=document["case"] | dict(csf_level=None))) is None
    assert csf_place(document) == document["csf"]["L3"]["roi"]


def test_the_report_line_says_values_levels_flags_and_that_it_is_for_research(document):
    line, case = report_line(document), document["case"]
    assert line.startswith(f"case: 3D-HU {case['hu_3d']:.1f} ({case['hu_3d_low']:.1f}-{case['hu_3d_high']:.1f}), multi-slice HU ")
    assert f"VBQ {case['vbq']:.2f} (" in line and "levels: CT L1, L2, L3; T1 L1, L2, L3; CSF L3" in line
    assert line.endswith(f"BoneQuality {__version__}, research use.") and "\n" not in line
    assert "edited" not in line
    edited = document | dict(case=case | dict(edited="yes", flags=""))
    assert "no flags. ROIs edited by hand." in report_line(edited)


def test_the_report_line_of_one_image_says_nothing_of_the_other():
    line = report_line(measure_case(CaseFacts("ct-only"), **nodes(["ct"])).document())
    assert "VBQ" not in line and "T1" not in line and "CSF" not in line


def test_flags_are_sentences_with_their_level_and_number():
    document = measure_case(CaseFacts("a", excluded=("L1", "L2")), **nodes(["ct"])).document()
    said = flag_sentences(document)
    assert any(sentence.startswith("warning few-levels: ") for sentence in said)


def test_flags_come_by_severity_and_those_of_levels_that_no_value_uses_last_and_never_as_errors():
    truncated = LevelNumbers(flags=[Flag("truncated")])
    levels = (Level("T12", truncated, ct_excluded=(Exclusion.OUTSIDE_MEAN,), t1_excluded=(Exclusion.NO_T1,)),
              Level("L2", truncated, ct_excluded=(Exclusion.NOT_MEASURED,), t1_excluded=(Exclusion.NO_T1,)))  # fmt: skip
    result = CaseResult(CaseFacts("a"), Parameters(), levels, flags=(Flag("straddles-cutoff"), Flag("kvp", value=100.0, unit="kV")))
    said = [sentence.split(":")[0] for sentence in flag_sentences(document_of(result))]
    assert said == ["error truncated L2", "warning kvp", "info straddles-cutoff", "info truncated T12"]
