"""The design of a study: facts from a manifest's columns, rules in order with the patient flow, matched controls, letters of any language."""

from __future__ import annotations

import numpy as np
import pandas
import pytest

from BoneQualityLib import BoneQualityError, cli
from BoneQualityLib.statistics import fonts
from BoneQualityLib.statistics.analysis import analyze
from BoneQualityLib.statistics.facts import with_facts
from BoneQualityLib.statistics.matching import balance_rows, match
from test_cohort import cohort

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


# Facts


def test_levels_of_a_manifest_become_numbers_places_and_neighbors():
    table = pandas.DataFrame(dict(
        fractured=["L1", "L1,L2", "T12;L3", ""], cemented=["L1", "T11", "", "L4 L5"], new_fractures=["L2", "L3", "L1", "S1"],
    ))  # fmt: skip
    found, new = with_facts(table, "the table")
    assert found["fracture_count"].tolist() == [1, 2, 2, 0] and found["multiple_fractures"].tolist() == ["no", "yes", "yes", "no"]
    assert found["consecutive_fractures"].tolist() == ["no", "yes", "no", "no"] and found["cement_count"].tolist() == [1, 1, 0, 2]
    assert found["thoracolumbar_junction"].tolist() == ["yes", "no", "", "no"]
    assert found["new_fracture_site"].tolist() == ["adjacent", "remote", "", "adjacent"]
    assert "t_score" not in new and "follow_up_days" not in new


def test_t_scores_by_level_leave_out_fractured_cemented_and_excluded_levels():
    table = pandas.DataFrame(dict(
        t_score_l1=[-1, -9, None], t_score_l2=[-2, -2, None], t_score_l3=["-3", "-4", ""], fractured=["", "L1", ""], exclude=["L3", "", ""],
    ))  # fmt: skip
    assert with_facts(table, "the table")[0]["t_score"].tolist()[:2] == [-1.5, -3.0]
    assert np.isnan(with_facts(table, "the table")[0]["t_score"][2])
    kept = with_facts(table.assign(t_score=["-2.5", "", "-1"]), "the table")[0]
    assert kept["t_score"].tolist() == ["-2.5", "", "-1"], "what the table has is kept"


def test_follow_up_is_the_days_between_two_dates_and_a_bad_cell_is_named():
    table = pandas.DataFrame(
        dict(baseline_date=["2024-01-01", "2024-02-28", ""], end_date=["2024-12-31", "2024-03-01", "2024-01-01"])
    )
    found = with_facts(table, "the table")[0]["follow_up_days"]
    assert found.tolist()[:2] == [365, 2] and np.isnan(found[2])
    for column, cell, said in (
        ("end_date", "31.12.2024", "write baseline_date and end_date as 2024-12-31"),
        ("fractured", "L9", "is no level"),
    ):
        with pytest.raises(BoneQualityError, match=said):
            with_facts(table.assign(**{column: ["2024-01-01", "", cell]}), "the table")
    with pytest.raises(BoneQualityError, match="Row 1 of the table holds 'low' in 't_score_l2'"):
        with_facts(pandas.DataFrame(dict(t_score_l2=["-1", "low"])), "the table")


def test_derived_facts_stand_in_the_group_table_and_can_be_asked_for():
    frame = cohort(fractured=["L1", "L1,L2", "L3", ""] * 20)
    result = analyze(frame, "fracture", measures="hu_3d", adjust="multiple_fractures")
    variables = {row["variable"] for row in result.rows["groups"]}
    assert {"fracture_count", "multiple_fractures", "thoracolumbar_junction"} <= variables
    assert any(row["term"] == "multiple_fractures[yes]" for row in result.rows["logistic"])
    more = analyze(cohort(drug=["a", "b"] * 40), "fracture", measures="hu_3d", facts="drug").rows["groups"]
    assert [row["level"] for row in more if row["variable"] == "drug"] == ["a", "b"]


# Rules


def test_rules_are_applied_in_order_and_every_one_counts_what_it_excludes():
    frame = cohort(side=["left", "Right"] * 40)
    frame.loc[0:4, "age"] = None
    frame.loc[10, "fracture"] = None
    result = analyze(frame, "fracture", measures="hu_3d", where=["age>=60", "sex=f", "side!=right"])
    steps = [(row["step"], row.get("excluded"), row.get("missing"), row["left"]) for row in result.rows["flow"]]
    assert steps[0] == ("cases in the table", None, None, 80) and steps[1] == ("age >= 60", 5, 5, 75)
    women = frame[(frame["age"] >= 60) & (frame["sex"] == "F")]
    assert steps[2] == ("sex = f", 75 - len(women), 0, len(women))
    left = women[women["side"] == "left"]
    assert steps[3] == ("side != right", len(women) - len(left), 0, len(left))
    assert steps[4] == ("fracture known", 1, 1, len(left) - 1) and len(result.cohort.events) == len(left) - 1
    assert "age >= 60, sex = f and side != right" in result.html() or "age &gt;= 60, sex = f and side != right" in result.html()
    texts = " ".join(text.get_text() for text in result.figures["flow"].axes[0].texts)
    assert f"events\nn = {result.cohort.events.sum()}" in texts and "excluded\nn = 5 (5 without a value)" in texts


@pytest.mark.parametrize(
    "rule, said",
    [("age", "cannot be read"), ("age>=old", "compares with no number"), ("sex>=3", "holds 'F' in 'sex'"), ("age>=200", "No case"), ("wage>3", "did you mean 'age'")],
)  # fmt: skip
def test_a_rule_that_cannot_be_applied_is_refused(rule, said):
    with pytest.raises(BoneQualityError, match=said):
        analyze(cohort(), "fracture", measures="hu_3d", where=[rule])


def test_an_empty_cell_meets_no_rule_not_even_one_of_difference():
    frame = cohort(side=["left", "right", "", "left"] * 20)
    flow = analyze(frame, "fracture", measures="hu_3d", where="side!=right").rows["flow"]
    assert (flow[1]["excluded"], flow[1]["missing"], flow[1]["left"]) == (40, 20, 40)


def test_without_rules_and_missing_outcomes_there_is_no_flow():
    result = analyze(cohort(), "fracture", measures="hu_3d")
    assert "flow" not in result.rows and "flow" not in result.figures


# Matching


def people(ages_of_events, ages_of_others, **more) -> pandas.DataFrame:
    events, ages = len(ages_of_events), [*ages_of_events, *ages_of_others]
    answers = ["yes"] * events + ["no"] * len(ages_of_others)
    return pandas.DataFrame(
        dict(case_id=[f"c{n:02d}" for n in range(len(ages))], fracture=answers, age=ages, sex=["F"] * len(ages)) | more
    )


def test_as_many_events_as_possible_get_a_control_where_the_nearest_first_would_leave_one_out():
    found = match(people([62, 60], [61, 63.5]), "fracture", caliper="age=2")
    assert found.sets == {0: [3], 1: [2]}
    assert match(people([62, 60], [61, 64.5]), "fracture", caliper="age=2").sets == {1: [2]} or len(found.sets) == 2


def test_controls_have_the_same_levels_lie_within_the_caliper_and_are_used_once():
    random = np.random.default_rng(8)
    frame = people(random.normal(75, 8, 40).round(1), random.normal(70, 9, 200).round(1), sex=random.choice(["F", "M"], 240))
    found = match(frame, "fracture", "sex", "age=3", ratio=2)
    used = [control for controls in found.sets.values() for control in controls]
    assert len(set(used)) == len(used) and all(len(controls) <= 2 for controls in found.sets.values())
    for event, controls in found.sets.items():
        assert (frame["sex"][controls] == frame["sex"][event]).all() and (
            frame["age"][controls] - frame["age"][event]
        ).abs().max() <= 3
    age = next(row for row in found.balance if row["variable"] == "age")
    assert abs(age["smd_after"]) < abs(age["smd_before"])
    shuffled = frame.sample(frac=1, random_state=1).reset_index(drop=True)
    again = match(shuffled, "fracture", "sex", "age=3", ratio=2)
    named = lambda table, sets: {table["case_id"][e]: sorted(table["case_id"][c]) for e, c in sets.items()}  # noqa: E731
    assert named(shuffled, again.sets) == named(frame, found.sets), "the order of rows changes no set"


def test_a_stratum_too_large_for_the_assignment_is_matched_in_turn(monkeypatch):
    random = np.random.default_rng(9)
    frame = people(random.normal(75, 8, 60).round(1), random.normal(72, 9, 300).round(1))
    best = match(frame, "fracture", caliper="age=2")
    monkeypatch.setattr("BoneQualityLib.statistics.matching.MOST_ASSIGNED", 10)
    found = match(frame, "fracture", caliper="age=2")
    assert 0.95 * len(best.sets) <= len(found.sets) <= len(best.sets)
    assert all(abs(frame["age"][event] - frame["age"][controls[0]]) <= 2 for event, controls in found.sets.items())


def test_balance_is_the_standardized_difference_of_austin():
    frame = pandas.DataFrame(dict(age=[70.0, 74, 78, 60, 66, 72], sex=["F", "F", "M", "F", "M", "M"]))
    events = np.array([True] * 3 + [False] * 3)
    age, women, _ = balance_rows(frame, events, {0: [5]})
    assert age["smd_before"] == pytest.approx((74 - 66) / np.sqrt((16 + 36) / 2)) and age["smd_after"] == pytest.approx(
        -2 / np.sqrt(26)
    )
    assert women["smd_before"] == pytest.approx((2 / 3 - 1 / 3) / np.sqrt(2 / 9)) and (
        women["events_after"],
        women["others_after"],
    ) == (1, 0)


def test_the_controls_of_a_set_weigh_together_as_much_as_its_event():
    frame = pandas.DataFrame(dict(age=[70.0, 74, 78, 60, 66, 72]))
    (age,) = balance_rows(frame, np.array([True] * 3 + [False] * 3), {0: [3], 1: [4, 5]})
    assert (age["events_after"], age["others_after"]) == (72, (60 + (66 + 72) / 2) / 2)


def test_the_command_writes_the_pairs_and_the_cohort_takes_them(tmp_path, capsys):
    frame = cohort(note=['a "quoted", one'] * 80)
    frame.loc[3, "age"] = None
    frame.to_csv(tmp_path / "cohort.csv", index=False)
    command = [
        "match",
        str(tmp_path / "cohort.csv"),
        "--outcome",
        "fracture",
        "--caliper",
        "age=2",
        "--output",
        str(tmp_path / "out"),
    ]
    assert cli.main(command) == 0 and cli.main(command) == 2, "nothing is written over"
    said = capsys.readouterr()
    assert "matched with" in said.out and "Std. difference after" in said.out and "is there already" in said.err
    matched = pandas.read_csv(tmp_path / "out" / "matched.csv")
    assert matched["pair"].value_counts().eq(2).all() and set(matched["note"]) == {'a "quoted", one'}
    assert (
        cli.main(
            [
                "cohort",
                str(tmp_path / "out" / "matched.csv"),
                "--outcome",
                "fracture",
                "--pairs",
                "pair",
                "--output",
                str(tmp_path / "study"),
            ]
        )
        == 0
    )
    assert pandas.read_csv(tmp_path / "study" / "paired.csv")["pairs"].max() == len(matched) // 2


@pytest.mark.parametrize(
    "options, said",
    [(dict(caliper="age"), "no caliper"), (dict(caliper="age=-1"), "no caliper"), (dict(exact="", caliper=""), "Nothing to match by"),
     (dict(ratio=0), "give 1 to"), (dict(exact="region"), "no column 'region'"), (dict(caliper="sex=2"), "a column of numbers")],
)  # fmt: skip
def test_a_match_that_cannot_be_made_is_refused(options, said):
    with pytest.raises(BoneQualityError, match=said):
        match(cohort(), "fracture", **options)


def test_events_without_any_control_are_said():
    found = match(people([60, 90], [61, 62]), "fracture", caliper="age=2")
    assert len(found.sets) == 1 and "1 event without a control" in found.text


# Letters


def test_letters_that_the_base_font_lacks_come_from_a_font_that_has_them_or_are_said(monkeypatch):
    monkeypatch.setattr(
        fonts, "_others", lambda: (("Few", frozenset("椎")), ("Han", frozenset("椎体骨")), ("Plain", frozenset("abc")))
    )
    assert fonts.families(["Größe α β", "hu"]) == ([fonts.BASE], "")
    assert fonts.families(["椎体", "vbq"]) == ([fonts.BASE, "Han"], "")
    assert fonts.families(["椎体\U0001f9b4"]) == ([fonts.BASE, "Han"], "\U0001f9b4")
    monkeypatch.setattr(fonts, "_others", tuple)
    result = analyze(cohort().rename(columns=dict(hu_3d="椎体HU")), "fracture", measures="椎体HU")
    assert "figures show boxes" not in " ".join(result.warnings) and "figures show boxes" in result.html()


def test_greek_and_chinese_names_are_drawn_without_a_missing_glyph(recwarn):
    if fonts.families(["椎体"])[1]:
        pytest.skip("this machine has no font with Chinese letters")
    result = analyze(cohort().rename(columns=dict(hu_3d="椎体HU", vbq="β-score")), "fracture", measures="椎体HU,β-score")
    result.pictures("png")
    assert not any("Glyph" in str(warning.message) for warning in recwarn.list) and len(result._figures_and_family[1]) == 2
