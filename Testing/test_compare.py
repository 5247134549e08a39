"""New fractures between two dates: the rule of Xue 2025 at its edges, and what cannot be said."""

from __future__ import annotations

import csv
import json

import pytest

from BoneQualityLib import CaseFacts, Parameters
from BoneQualityLib.case.result import CaseResult, Level
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.files.csv_tables import csv_text
from BoneQualityLib.files.writing import json_text
from BoneQualityLib.measures.roi import LevelNumbers
from BoneQualityLib.outputs.comparison import COMPARE_COLUMNS, compare, read_case
from BoneQualityLib.outputs.document import document_of
from BoneQualityLib.states import Exclusion


def case(sha="a", cemented=(), **levels):
    """A case's JSON content; levels as ``L2=(anterior, middle, posterior, grade)``."""
    columns = ("height_anterior_mm", "height_middle_mm", "height_posterior_mm", "genant_grade")
    found = []
    for name, numbers in levels.items():
        values = {column: value for column, value in zip(columns, numbers) if value is not None}
        found.append(Level(name, LevelNumbers(values), ct_excluded=(Exclusion.CEMENTED,) if name in cemented else ()))
    result = CaseResult(CaseFacts("case-1", cemented=cemented), Parameters(), tuple(found), inputs={"ct": {"sha256": sha}})
    return json.loads(json_text(document_of(result)))


def row(before, after, level="L2", **followup):
    return compare(case(**{level: before}), case("b", **{level: after}, **followup))[0]


@pytest.mark.parametrize(
    ("after", "new", "borderline"),
    [
        ((22.4, 26, 28, 0), "yes", "no"),  # 20 % exactly
        ((22.5, 26, 28, 0), "no", "no"),  # 19.6 %
        ((28, 20.8, 28, 0), "yes", "no"),
        ((28, 26, 22.4, 0), "yes", "no"),
        ((25.2, 26, 28, 1), "yes", "no"),  # a grade more, 10 % lost
        ((25.3, 26, 28, 1), "yes", "yes"),  # a grade more, 9.6 % lost
        ((28, 26, 28, 0), "no", "no"),
        ((35, 26, 28, 0), "no", "no"),  # higher than before
    ],
)
def test_a_fifth_of_a_height_or_a_grade_more_is_a_new_fracture(after, new, borderline):
    found = row((28, 26, 28, 0), after)
    assert (found["new_fracture"], found["borderline"], found["reason"]) == (new, borderline, "")


def test_a_lower_grade_is_no_new_fracture():
    assert row((20, 24, 27, 2), (20.5, 24, 26, 1))["new_fracture"] == "no"


def test_changes_are_percent_of_the_own_baseline():
    found = row((20, 25, 30, 1), (15, 25, 33, 2))
    changes = [found[f"height_{name}_change_percent"] for name in ("anterior", "middle", "posterior")]
    assert changes == pytest.approx([-25, 0, 10])
    assert (found["genant_grade_baseline"], found["genant_grade_followup"]) == (1, 2)


@pytest.mark.parametrize("level", ["T3", "L5", "L6"])
def test_levels_outside_t4_to_l4_are_not_judged(level):
    found = row((28, 26, 28, 0), (14, 26, 28, 3), level)
    assert (found["new_fracture"], found["borderline"], found["reason"]) == ("", "", "outside T4-L4")
    assert found["height_anterior_change_percent"] == pytest.approx(-50)


@pytest.mark.parametrize("level", ["T4", "L4"])
def test_t4_and_l4_are_judged(level):
    assert row((28, 26, 28, 0), (14, 26, 28, 3), level)["new_fracture"] == "yes"


def test_cemented_levels_are_not_judged():
    assert row((28, 26, 28, 0), (14, 26, 28, 3), cemented=("L2",))["reason"] == "cemented at follow-up"
    before = case(cemented=("L2",), L2=(28, 26, 28, 0))
    found = compare(before, case("b", L2=(14, 26, 28, 3)))[0]
    assert (found["new_fracture"], found["reason"]) == ("", "cemented at baseline")


@pytest.mark.parametrize(
    ("cemented", "site"),
    [({"L2"}, "adjacent"), ({"L4"}, "adjacent"), ({"T12", "L5"}, "remote"), ({"T12", "L4"}, "adjacent"), (set(), "")],
)
def test_a_new_fracture_is_adjacent_to_a_cemented_level_or_remote(cemented, site):
    before = dict(L1=(26, 25, 27, 0), L3=(28, 26, 28, 0))
    after = dict(L1=(26, 25, 27, 0), L3=(20, 26, 28, 2))
    for dates in ((cemented, ()), ((), cemented)):
        baseline, followup = case(cemented=tuple(dates[0]), **before), case("b", cemented=tuple(dates[1]), **after)
        assert [found["site"] for found in compare(baseline, followup)] == ["", site], "intact levels have no site"


def test_a_level_missing_at_one_date_says_so():
    rows = compare(case(T12=(24, 23, 25, 0), L1=(26, 25, 27, 0)), case("b", L1=(26, 25, 27, 0), L2=(27, 26, 27, 0)))
    assert [(r["level"], r["new_fracture"], r["reason"]) for r in rows] == [
        ("T12", "", "not measured at follow-up"),
        ("L1", "no", ""),
        ("L2", "", "not measured at baseline"),
    ]


def test_without_a_grade_only_a_lost_height_can_be_said():
    assert row((28, 26, 28, None), (20, 26, 28, None))["new_fracture"] == "yes"
    found = row((28, 26, 28, 0), (27, 26, 28, None))
    assert (found["new_fracture"], found["reason"]) == ("", "no grade at follow-up")


def test_a_missing_height_leaves_the_others_to_say_yes_but_not_no():
    assert row((28, 26, 28, 0), (20, None, 28, 0))["new_fracture"] == "yes"
    found = row((28, 26, 28, 0), (28, None, 28, 0))
    assert (found["new_fracture"], found["reason"]) == ("", "no middle height at follow-up")


def test_rows_make_a_csv_file():
    text = csv_text(COMPARE_COLUMNS, compare(case(L2=(28, 26, 28, 0)), case("b", L2=(22, 26, 28, 1), L5=(28, 25, 24, 0))))
    first, second = csv.DictReader(text.splitlines())
    assert first["height_anterior_change_percent"] == "-21.4" and first["genant_grade_followup"] == "1"
    assert second["height_anterior_change_percent"] == "" and second["reason"] == "outside T4-L4"


def test_the_same_ct_twice_or_no_ct_is_refused():
    with pytest.raises(BoneQualityError, match="same CT"):
        compare(case(L2=(28, 26, 28, 0)), case(L2=(28, 26, 28, 0)))
    with pytest.raises(BoneQualityError, match="follow-up case was measured without a CT"):
        compare(case(L2=(28, 26, 28, 0)), dict(case(), inputs={}))


def test_a_case_is_read_back_as_it_was_written(tmp_path):
    (tmp_path / "case-1.json").write_text(json_text(case(L2=(28, 26, 28, 0))), encoding="utf-8")
    assert read_case(tmp_path / "case-1.json") == case(L2=(28, 26, 28, 0))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"level,used\n", "no JSON"),
        (b"\xff\xfe\x00", "not a text file"),
        (b"[]", "not written by BoneQuality"),
        (b'{"software": "BoneQuality", "software_version": "0.1.0", "levels": []}', "written by version 0.1.0"),
        (b'{"levels": []}', "not written by BoneQuality"),
        (b'{"software": "BoneQuality", "schema": 2}', "does not hold the levels"),
        (b'{"software": "BoneQuality", "schema": 2, "inputs": {}, "levels": [{"level": "Q7"}]}', "does not hold the levels"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, content, message):
    path = tmp_path / "other.json"
    path.write_bytes(content)
    with pytest.raises(BoneQualityError, match=message) as error:
        read_case(path)
    assert str(path) in str(error.value)


def test_an_absent_file_is_refused_by_name(tmp_path):
    with pytest.raises(BoneQualityError, match=r"none\.json cannot be read"):
        read_case(tmp_path / "none.json")


def test_a_height_that_is_no_number_is_refused():
    broken = case("b", L2=(28, 26, 28, 0))
    broken["levels"][0]["height_anterior_mm"] = "28"
    with pytest.raises(BoneQualityError, match="height_anterior_mm of L2 is '28'"):
        compare(case(L2=(28, 26, 28, 0)), broken)
