"""``bonequality cohort``: what it asks, refuses, warns of and leaves behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pandas
import pytest
from scipy.stats import norm

from BoneQualityLib import BoneQualityError, cli
from BoneQualityLib.columns import CASE_COLUMNS
from BoneQualityLib.statistics.analysis import analyze

#: A division by 0 or a NaN on the way is a fault even where nobody sees its warning.
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


def cohort(n: int = 40, **columns) -> pandas.DataFrame:
    """n events and n others whose HU lie one SD lower, with columns added or replaced."""
    quantiles = norm.ppf((np.arange(n) + 0.5) / n)
    there = dict(
        case_id=[f"c{i}" for i in range(2 * n)], fracture=["yes"] * n + ["no"] * n,
        hu_3d=np.concatenate([60 + 20 * quantiles, 80 + 20 * quantiles]).round(3),
        vbq=np.concatenate([3.3 + 0.4 * quantiles[::-1], 3.0 + 0.4 * quantiles]).round(3),
        age=np.tile(60 + np.arange(n) * 7 % n * 0.7, 2).round(1), sex=["F", "M", "F", "F"] * (n // 2),
    )  # fmt: skip
    return pandas.DataFrame(there | columns)


def csv_file(tmp_path, text) -> str:
    path = tmp_path / "cohort.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def refusal(tmp_path, text, *options) -> str:
    """The one line on standard error of a run that must write nothing."""
    output = tmp_path / "out"
    with pytest.raises(BoneQualityError) as refused:
        arguments = ["cohort", csv_file(tmp_path, text), *(options or ("--outcome", "fracture")), "--output", str(output)]
        parsed = cli.parser().parse_args(arguments)
        parsed.run(parsed)
    assert not output.exists()
    sentence = str(refused.value)
    assert "\n" not in sentence and sentence.endswith((".", "?"))
    return sentence


HEADER = "case_id,fracture,hu_3d,age\n"
GOOD = HEADER + "".join(f"c{n},{'yes' if n < 4 else 'no'},{50 + 3 * n},{70 + n % 3}\n" for n in range(14))


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "holds no cases"),
        (HEADER, "holds no cases"),
        (GOOD.encode().replace(b"c1,", b"c\xe9,"), "not UTF-8"),
        (GOOD.replace(",", ";"), "separated by semicolons"),
        (GOOD.replace("age", '"age, years"').replace(",", ";"), "separated by semicolons"),
        (GOOD.replace("c1,yes,53,71", 'c1,yes,"53,5",71'), "'53,5' in 'hu_3d', .* write a number with a decimal point"),
        (GOOD.replace("c1,yes,53,71", "c1,yes,1e200,71"), "'1e200' in 'hu_3d'"),
        (GOOD.replace("c1,yes,53,71", "c1,yes,53"), "Row 3 .* has 3 cells for 4 columns"),
        (GOOD.replace("c1,yes,53,71", "c1,yes,53 HU,71"), r"Row 3 of cohort.csv holds '53 HU' in 'hu_3d'"),
        (GOOD.replace("c1,yes,53,71", "c1,yes,inf,71"), "'inf' in 'hu_3d'"),
        (GOOD.replace("c1,", "c0,"), "two rows of case 'c0' .*name the column of the readers"),
        (GOOD.replace("age", "hu_3d"), "two columns called 'hu_3d'"),
        (GOOD.replace("no", "yes"), "'fracture' of cohort.csv has one class only"),
        (GOOD.replace("no", "maybe"), "holds 'maybe', 'yes'; say which value is the event: fracture=VALUE"),
        (GOOD.replace("hu_3d", "density"), "holds none of the measures .*name the columns to analyze"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence_with_the_remedy(tmp_path, text, said):
    assert re.search(said, refusal(tmp_path, text))


@pytest.mark.parametrize(
    "options, said",
    [
        (("--outcome", "fractured"), "no column 'fractured'; did you mean 'fracture'?"),
        (("--outcome", "fracture=old"), "no case with fracture=old"),
        (("--outcome", "fracture", "--measures", "hu"), "no column 'hu'"),
        (("--outcome", "fracture", "--measures", "age", "--by", "hu_3d"), "holds 14 different values; 2 to 12 subgroups"),
        (("--outcome", "fracture", "--by", "fracture"), "'fracture' is named as outcome and also as by"),
        (("--outcome", "fracture", "--time", "fracture"), "'fracture' is named as outcome and also as time"),
        (("--outcome", "fracture", "--measures", "case_id"), "'case_id' is named as the case's id and also as a measure"),
        (("--outcome", "fracture", "--adjust", "age[70],age[71]"), "'age' is compared to two levels"),
        (("--outcome", "fracture", "--adjust", "age[80]"), "never '80'"),
        (("--outcome", "fracture", "--adjust", "age]x["), "no adjusting variable"),
        (("--outcome", "fracture", "--adjust", "fracture"), "'fracture' is named as outcome and also"),
        (("--outcome", "fracture", "--measures", "hu_3d", "--by", "hu_3d"), "'hu_3d' is named as by and also"),
        (("--outcome", "fracture", "--adjust", "ag"), "no column 'ag'; did you mean 'age'?"),
    ],
)
def test_a_question_the_columns_cannot_answer_is_refused(tmp_path, options, said):
    assert said in refusal(tmp_path, GOOD, *options)


def test_a_column_whose_name_cannot_be_said_is_to_be_renamed(tmp_path):
    said = refusal(tmp_path, GOOD.replace("age", "age [years]"), "--outcome", "fracture", "--adjust", "age [years]")
    assert "did you mean 'age [years]'? Rename it" in said


def test_levels_that_differ_by_letter_case_alone_and_a_subgroup_called_all_are_refused():
    """Else one sex would silently be two, and one subgroup's area stand for that of all cases."""
    with pytest.raises(BoneQualityError, match="'sex' of the table holds 'F' and 'f'"):
        analyze(cohort(sex=["F", "M", "f", "F"] * 20), "fracture", adjust="sex")
    with pytest.raises(BoneQualityError, match="A subgroup of 'group' in the table is called 'all'"):
        analyze(cohort(group=["all", "old"] * 40), "fracture", by="group")


def test_columns_that_batch_wrote_and_nobody_filled_are_named_once():
    filled = analyze(cohort(), "fracture")
    empty = dict.fromkeys([column.name for column in CASE_COLUMNS if column.name not in cohort()], "")
    result = analyze(cohort(**empty), "fracture")
    said = [warning for warning in result.warnings if warning not in filled.warnings]
    assert len(said) == 1 and said[0].startswith("Nothing was measured or filled in for ") and result.rows == filled.rows
    assert {"rcsa", "bmi", "hyperlipidemia"} <= set(re.findall(r"\w+", said[0]))


@pytest.mark.parametrize("role", ["measures", "adjust", "time", "by", "pairs"])
def test_a_column_that_is_asked_for_and_empty_is_refused(role):
    with pytest.raises(BoneQualityError, match="'score' is empty in every row of the table"):
        analyze(cohort(score=""), "fracture", **{role: "score"})


def test_what_counts_as_no_event_is_listed_where_the_event_is_one_of_several_values():
    frame = cohort()
    frame.loc[70:, "fracture"] = "lost"
    page = analyze(frame, "fracture=yes").html()
    assert "40 events among 80 cases (50.0 %); others: no (30), lost (10)" in page


def test_a_measure_may_be_the_outcome_and_is_then_none():
    result = analyze(cohort(vbq=["2", "3"] * 40), "vbq=3")
    assert [row["measure"] for row in result.rows["roc"]] == ["hu_3d"]
    assert "vbq" not in {row["variable"] for row in result.rows["groups"]}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["HU in $", "$\\frac$", "_x", "Dichte ä", "骨密度", "<b>x</b>"])
def test_a_column_may_have_any_name(tmp_path, name):
    frame = cohort(days=np.tile(np.arange(40) + 1.0, 2)).rename(columns={"vbq": name}).assign(group=[f"{name}1", f"{name}2"] * 40)
    result = analyze(frame, "fracture", measures=f"{name},hu_3d", by="group", time="days")
    result.write_files(tmp_path)
    assert f"{name} 0." in " ".join(text.get_text() for text in result.figures["roc"].axes[0].get_legend().texts)
    assert "<b>x" not in (tmp_path / "cohort.html").read_text(encoding="utf-8")


def test_columns_without_a_name_are_as_if_they_were_not_there(tmp_path):
    found = [analyze(csv_file(tmp_path, text), "fracture").tables["roc"] for text in (GOOD, GOOD.replace("\n", ",,\n"))]
    assert found[0].equals(found[1]) and len(found[0]) == 1


def test_a_missing_file_and_a_negative_time_are_refused(tmp_path):
    with pytest.raises(BoneQualityError, match="cannot be read"):
        analyze(tmp_path / "nothing.csv", "fracture")
    with pytest.raises(BoneQualityError, match="holds a negative 'days'"):
        analyze(cohort(days=np.arange(80) - 1.0), "fracture", time="days")


def test_a_faulty_file_ends_the_command_with_status_2_and_one_line(tmp_path, capfd):
    assert cli.main(["cohort", csv_file(tmp_path, GOOD), "--outcome", "nothing", "--output", str(tmp_path / "out")]) == 2
    said = capfd.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and said.err.startswith("bonequality: cohort.csv has no column 'nothing'")


def test_every_analysis_takes_the_cases_complete_for_it():
    frame = cohort()
    frame.loc[:4, "hu_3d"] = np.nan
    frame.loc[70:, "vbq"] = None
    frame["age"] = frame["age"].astype(object).where(~frame.index.isin([5, 6]), "NA")
    frame.loc[79, "fracture"] = ""
    result = analyze(frame, "fracture", adjust="age")
    n = {r["measure"]: (r["n"], r["events"]) for r in result.rows["roc"]}
    assert n == {"hu_3d": (74, 35), "vbq": (70, 40)}
    models = {r["model"]: r["n"] for r in result.rows["logistic"]}
    assert models == {"hu_3d + age": 72, "vbq + age": 68, "hu_3d + vbq + age": 63}
    assert result.rows["auc_comparisons"][0]["n_first"] == 65
    assert any("1 of 80 cases have no fracture" in warning for warning in result.warnings)


def test_the_side_of_risk_is_found_and_said():
    rows = {r["measure"]: r for r in analyze(cohort(), "fracture").rows["roc"]}
    assert (rows["hu_3d"]["direction"], rows["hu_3d"]["comparison"]) == ("low", "<=")
    assert (rows["vbq"]["direction"], rows["vbq"]["comparison"]) == ("high", ">=")
    assert rows["hu_3d"]["auc"] == pytest.approx(norm.cdf(20 / np.hypot(20, 20)), abs=0.01)
    assert 60 < rows["hu_3d"]["cutoff"] < 80
    assert all(row["cutoff_low"] < row["cutoff"] < row["cutoff_high"] for row in rows.values())


def test_the_event_can_be_any_value_of_a_column():
    frame = cohort()
    grades = frame["fracture"].map({"yes": 2, "no": 0})
    by_number, by_word = analyze(frame.assign(grade=grades), "grade=2.0"), analyze(frame, "fracture=YES")
    assert by_number.rows["roc"] == by_word.rows["roc"] == analyze(frame, "fracture").rows["roc"]


def test_names_titles_and_units_are_those_of_the_case_table():
    result = analyze(cohort(), "fracture")
    page, (low, high) = result.html(), (row["cutoff"] for row in result.rows["roc"])
    title = next(column.title for column in CASE_COLUMNS if column.name == "hu_3d")
    assert f"≤ {low:.1f} (" in page and f"≥ {high:.3f} (" in page  # of low and of high values, with their intervals
    assert f"<td>{title}</td>" in page and "Research use; not a medical device." in page


def test_subgroups_are_compared_unpaired_and_their_correlations_by_fishers_z():
    result = analyze(cohort(), "fracture", by="sex")
    assert {r["subgroup"] for r in result.rows["roc"]} == {"all", "F", "M"}
    unpaired = [r for r in result.rows["auc_comparisons"] if r["kind"] == "unpaired"]
    assert [(r["first"], r["n_first"], r["second"], r["n_second"]) for r in unpaired] == [
        ("hu_3d: F", 60, "hu_3d: M", 20), ("vbq: F", 60, "vbq: M", 20)
    ]  # fmt: skip
    assert result.rows["correlation_comparisons"][0]["n_first"] == 60


def test_few_events_constant_columns_and_perfect_separation_are_said():
    frame = cohort(8, one=5.0)
    frame["vbq"] = frame["fracture"].map({"yes": 1.0, "no": 0.0}) * 10 + frame["age"] / 100
    result = analyze(frame, "fracture", measures="hu_3d,vbq,one", adjust="age")
    said = " ".join(result.warnings)
    for part in (
        "hu_3d: only 8 events",
        "one is 5 in all 16 cases",
        "vbq tells events from others without error",
        "Model vbq + age tells events from others without error in all or some cases (perfect separation)",
        "fewer than 10",
    ):
        assert part in said
    of_vbq = [r for r in result.rows["logistic"] if r["model"].startswith("vbq") and r["term"] == "vbq"]
    assert of_vbq and all(r["method"] == "Firth" and np.isfinite(r["odds_ratio"]) for r in of_vbq)
    assert {r["method"] for r in result.rows["logistic"] if r["model"] == "hu_3d + age"} == {"ML"}
    vbq = next(r for r in result.rows["roc"] if r["measure"] == "vbq")
    assert vbq["auc"] == 1 and np.isnan(vbq["auc_low"])


def test_events_per_variable_are_those_of_the_rarer_class():
    frame = cohort().iloc[:59]  # 40 events, 19 others
    result = analyze(frame, "fracture", measures="hu_3d", adjust="age")
    assert {row["events_per_variable"] for row in result.rows["logistic"]} == {9.5}
    assert "Model hu_3d + age: 9.5 events per variable, fewer than 10; its estimates are unstable." in result.warnings


def test_variables_that_say_nearly_the_same_are_named():
    frame = cohort()
    again = frame["age"] + np.tile([0.5, -0.5], 40)
    said = " ".join(analyze(frame.assign(again=again), "fracture", measures="hu_3d", adjust="age,again").warnings)
    assert "age, again say nearly the same (variance inflation up to" in said


def test_a_model_is_named_by_what_is_in_it_and_fitted_once():
    result = analyze(cohort(one=5.0, two=7.0), "fracture", measures="hu_3d,two", adjust="age,one")
    assert {row["model"] for row in result.rows["logistic"]} == {"hu_3d + age"}
    assert [warning for warning in result.warnings if "one" in warning.split()[0]] == [
        "one is the same in all 80 cases that have it; it is neither tested nor in a model."
    ]


def test_too_few_cases_and_no_case_for_a_model_are_told_from_variables_that_follow_from_each_other():
    few = analyze(cohort().iloc[[0, 1, 40, 41]].reset_index(drop=True), "fracture", measures="hu_3d,vbq", adjust="age")
    assert "Model hu_3d + vbq + age: 4 cases for 3 terms; it is not fitted." in few.warnings
    frame = cohort()
    frame.loc[:39, "age"] = None
    frame.loc[40:, "vbq"] = None
    none = analyze(frame, "fracture", measures="vbq", adjust="age")
    assert "Model vbq + age: no case has all of vbq, age; it is not fitted." in none.warnings and "logistic" not in none.rows


def test_variables_that_follow_from_each_other_are_not_fitted():
    frame = cohort()
    result = analyze(frame.assign(twice=2 * frame["age"]), "fracture", measures="hu_3d", adjust="age,twice")
    assert "logistic" not in result.rows
    assert any("follow from each other" in warning for warning in result.warnings)


def readings() -> pandas.DataFrame:
    """Two readers of 40 cases, the second 2 HU above the first, and a second reading of A 1 HU above its first."""
    first = cohort(20)[["case_id", "fracture", "hu_3d"]]
    noise = np.tile([-0.5, 0.5], 20)
    return pandas.concat([
        first.assign(reader="A"), first.assign(reader="B", hu_3d=first["hu_3d"] + 2 + noise),
        first.assign(reader="A", hu_3d=first["hu_3d"] + 1 + noise),
    ])  # fmt: skip


def test_readers_are_compared_and_their_mean_is_analyzed():
    result = analyze(readings(), "fracture", readers="reader")
    between, within = result.rows["agreement"]
    assert (between["kind"], between["readers"], between["n"], between["k"]) == ("inter", "A and B", 40, 2)
    assert between["bias"] == pytest.approx(-2) and (within["kind"], within["readers"]) == ("intra", "A")
    assert within["bias"] == pytest.approx(-1) and 0.98 < within["icc_single"] < 1
    assert result.cohort.values("hu_3d") == pytest.approx(cohort(20)["hu_3d"] + 1 + np.tile([-0.25, 0.25], 20))
    assert set(result.figures) == {"roc", "boxes", "bland_altman"}


def test_case_values_that_are_means_of_fewer_readers_are_said_for_each_measure():
    frame = readings().reset_index(drop=True)
    frame.loc[40:44, "hu_3d"] = np.nan  # B's first five
    result = analyze(frame.assign(vbq=3 + frame["hu_3d"].fillna(50) / 100), "fracture", readers="reader")
    said = [warning for warning in result.warnings if "means of fewer" in warning]
    assert said == ["hu_3d: 5 of 40 cases have no first reading by all 2 readers; their values are means of fewer."]
    assert next(r for r in result.rows["agreement"] if r["measure"] == "hu_3d")["n"] == 35


def test_one_reader_who_read_once_has_nothing_to_agree_with():
    result = analyze(readings().iloc[:40], "fracture", readers="reader")
    assert "agreement" not in result.rows and any("no agreement to show" in warning for warning in result.warnings)


@pytest.mark.parametrize("name", ["reader", "reading"])
def test_a_measure_of_readings_may_be_called_as_they_are(name):
    frame = readings().rename(columns={"reader": "who", "hu_3d": name})
    result = analyze(frame, "fracture", measures=name, readers="who")
    assert result.rows["agreement"][0]["bias"] == pytest.approx(-2)


def test_readings_of_a_case_that_differ_in_its_outcome_are_refused():
    frame = readings().reset_index(drop=True)
    frame.loc[45, "fracture"] = "no"
    with pytest.raises(BoneQualityError, match="case 'c5' .* differ in 'fracture'"):
        analyze(frame, "fracture", readers="reader")


def test_cases_without_a_partner_leave_the_paired_tests_only():
    frame = cohort(pair=[f"p{n}" for n in range(40)] * 2)
    frame.loc[0, "pair"] = "alone"
    result = analyze(frame, "fracture", pairs="pair", adjust="sex")
    rows = {r["variable"]: r for r in result.rows["paired"]}
    assert rows["hu_3d"]["pairs"] == 39 and rows["hu_3d"]["difference"] == pytest.approx(-20)
    assert rows["sex"]["test"] == "McNemar" and rows["sex"]["p"] == 1
    assert result.rows["roc"][0]["n"] == 80 and any("2 cases are in no pair" in w for w in result.warnings)


def test_pairs_of_two_events_and_groups_of_three_are_no_pairs():
    frame = cohort(pair=[f"p{n}" for n in range(40)] * 2)
    frame.loc[[0, 1], "pair"] = "two events"
    frame.loc[2, "pair"] = "p3"
    result = analyze(frame, "fracture", measures="hu_3d", pairs="pair")
    assert result.rows["paired"][0]["pairs"] == 36 and any(
        warning.startswith("8 cases are in no pair") for warning in result.warnings
    )


def test_a_case_at_a_published_cut_off_is_on_the_side_of_risk():
    frame = cohort(days=np.tile(np.arange(40) + 1.0, 2), vbq=[3.0, 3.2] * 40, hu_multislice=[51.4, 60.0] * 40)
    result = analyze(frame, "fracture", measures="vbq,hu_multislice", time="days")
    counts = {(r["measure"], r["cutoff"], r["group"]): r["n"] for r in result.rows["survival"]}
    assert counts["hu_multislice", 51.4, "<= 51.4"] == 40 and any("vbq >= 3 (Kadri 2025" in warning for warning in result.warnings)


def test_figures_show_what_the_tables_say():
    frame = cohort(days=np.tile(np.arange(40) + 1.0, 2))
    result = analyze(frame, "fracture", measures="vbq", time="days")
    curve = result.figures["roc"].axes[0].lines[1]
    assert np.trapezoid(curve.get_ydata(), curve.get_xdata()) == pytest.approx(result.rows["roc"][0]["auc"])
    boxes = result.figures["boxes"].axes[0]
    assert [text.get_text() for text in boxes.get_xticklabels()] == ["events\nn = 40", "others\nn = 40"]
    medians = [line.get_ydata()[0] for line in boxes.lines if line.get_color() == "black" and len(set(line.get_ydata())) == 1]
    of_events, of_others = (frame["vbq"][frame["fracture"] == value].median() for value in ("yes", "no"))
    assert {of_events, of_others} <= set(medians) and medians.index(of_events) < medians.index(of_others)
    risk = result.figures["kaplan_meier"].axes[0].lines[0]
    assert risk.get_ydata()[0] == 1 and np.all(np.diff(risk.get_ydata()) <= 0)


def test_lines_of_bland_and_altman_are_those_of_the_table():
    result = analyze(readings(), "fracture", readers="reader")
    lines = result.figures["bland_altman"].axes[0].lines
    assert [line.get_ydata()[0] for line in lines[1:]] == [
        result.rows["agreement"][0][name] for name in ("bias", "lower_limit", "upper_limit")
    ]
    assert [line.get_linestyle() for line in lines[1:]] == ["-", "--", "--"]


def test_a_third_reading_of_a_reader_changes_nothing():
    third = readings().iloc[:40].assign(hu_3d=0.0)
    assert (
        analyze(pandas.concat([readings(), third]), "fracture", readers="reader").rows
        == analyze(readings(), "fracture", readers="reader").rows
    )


def test_time_to_event_is_cut_at_the_published_and_at_the_cohorts_own_cut_off():
    result = analyze(cohort(days=np.tile(np.arange(40) + 1.0, 2)), "fracture", measures="vbq", time="days")
    sources = [r["source"] for r in result.rows["survival"][::2]]
    assert sources[0] == "Youden over this cohort" and "Kadri 2025: secondary fracture at any site after vertebroplasty" in sources
    assert all(a["n"] + b["n"] == 80 for a, b in zip(result.rows["survival"][::2], result.rows["survival"][1::2]))
    assert any("4.275" in warning and "no curves" in warning for warning in result.warnings)


@pytest.mark.parametrize("adjust", ["k", "l"])  # lifelines does not converge, and converges where the slope is small
def test_hazard_ratios_that_do_not_exist_are_not_given(adjust):
    """All events lie where k is yes: the likelihood grows without end, and a fit stops somewhere at HR of millions."""
    frame = cohort(days=np.tile(np.arange(40) + 1.0, 2), k=["yes"] * 60 + ["no"] * 20, l=["yes"] * 40 + ["yes", "no"] * 20)
    result = analyze(frame, "fracture", measures="vbq", adjust=adjust, time="days")
    assert {r["model"] for r in result.rows["cox"]} >= {"vbq >= 3"} and f"vbq + {adjust}" not in {
        r["model"] for r in result.rows["cox"]
    }
    assert any(f"vbq + {adjust} (Cox): no finite hazard ratios" in warning for warning in result.warnings)


def test_no_curves_are_drawn_where_no_event_has_a_time():
    frame = cohort(days=np.tile(np.arange(40) + 1.0, 2))
    frame.loc[frame["fracture"] == "yes", "days"] = np.nan
    result = analyze(frame, "fracture", measures="vbq", time="days")
    assert not {"survival", "cox"} & set(result.rows) and "kaplan_meier" not in result.figures
    assert "vbq: no events among the 40 cases that have it and a time; no curves." in result.warnings


def test_the_order_of_rows_changes_no_number_of_the_time_to_event_where_times_are_tied():
    frame = cohort(days=np.tile(np.arange(40) // 8 + 1.0, 2))
    options = dict(measures="hu_3d,vbq", time="days")
    found = [analyze(f, "fracture", **options).rows["cox"] for f in (frame, frame.iloc[::-1].reset_index(drop=True))]
    for row, again in zip(*found):
        assert [row[name] for name in ("coefficient", "p_proportional")] == pytest.approx(
            [again[name] for name in ("coefficient", "p_proportional")]
        )


ALL = ("--by", "sex", "--adjust", "age", "--time", "days", "--pairs", "pair", "--measures", "hu_3d,vbq")


def run(tmp_path, output, *options, seed="0"):
    frame = cohort(days=np.tile(np.arange(40) + 1.0, 2), pair=[f"p{n}" for n in range(40)] * 2)
    frame.to_csv(tmp_path / "cohort.csv", index=False)
    command = [
        sys.executable,
        "-m",
        "BoneQualityLib.cli",
        "cohort",
        "cohort.csv",
        "--outcome",
        "fracture",
        "--output",
        output,
        *options,
    ]
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)


def test_the_command_leaves_tables_figures_and_a_page_with_the_same_bytes_each_time(tmp_path):
    first, again = run(tmp_path, "a", *ALL), run(tmp_path, "b", *ALL, seed="1")
    assert (first.returncode, first.stderr) == (0, "") and again.returncode == 0
    files = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    tables = (
        "roc",
        "cutoffs",
        "groups",
        "subgroups",
        "auc_comparisons",
        "outcome_correlations",
        "correlations",
        "correlation_comparisons",
        "odds",
        "logistic",
        "follow_up",
        "survival",
        "cox",
        "paired",
    )
    figures = ("roc", "boxes", "correlation", "correlation_subgroups", "kaplan_meier")
    assert set(files) == {
        *(f"{t}.csv" for t in tables),
        *(f"{f}.{kind}" for f in figures for kind in ("png", "svg")),
        "cohort.html",
    }
    page = files["cohort.html"].decode()
    assert page.count("data:image/png;base64,") == len(figures) and "http" not in page and str(tmp_path) not in page


def test_files_are_never_written_over_unless_asked_and_those_of_an_earlier_question_go(tmp_path):
    assert run(tmp_path, "out", *ALL).returncode == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    refused = run(tmp_path, "out")
    assert refused.returncode == 2 and "is there already" in refused.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert run(tmp_path, "out", "--overwrite").returncode == 0
    assert not (tmp_path / "out" / "cox.csv").exists() and (tmp_path / "out" / "roc.csv").exists()


@pytest.mark.parametrize("name", ["survival.csv", "kaplan_meier.png"])
def test_a_file_of_the_users_own_is_neither_replaced_nor_removed(tmp_path, name):
    """What the analysis could have written, but does not here, may be the user's data beside the cohort."""
    result = analyze(cohort(), "fracture")
    (tmp_path / name).write_text("mine")
    with pytest.raises(BoneQualityError, match=f"{name} is there already"):
        result.write_files(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    result.write_files(tmp_path, overwrite=True)
    assert (tmp_path / name).read_text() == "mine"


def test_the_written_tables_hold_the_numbers_of_the_result(tmp_path):
    result = analyze(cohort(), "fracture")
    result.write_files(tmp_path)
    written = pandas.read_csv(tmp_path / "roc.csv")
    assert list(written) == list(result.tables["roc"])
    assert written["auc"].to_numpy() == pytest.approx(result.tables["roc"]["auc"].to_numpy(), rel=1e-5)


# In the scene


def test_a_cohort_analyzed_again_takes_the_place_of_its_nodes_and_of_no_others():
    from BoneQualityLib.scene.cohort_nodes import show_cohort
    from BoneQualityLib.scene.session import mrml_scene

    scene, result = mrml_scene(), analyze(cohort(), "fracture=yes", measures=["hu_3d"])
    foreign = scene.AddNewNodeByClass("vtkMRMLTableNode", "table of mine")
    first = {name: node.GetID() for name, node in show_cohort(result).items()}
    count = scene.GetNumberOfNodes()
    again = show_cohort(result)
    assert scene.GetNumberOfNodes() == count and scene.IsNodePresent(foreign) and set(again) == set(first) > {"roc", "chart"}
    assert again["roc"].GetTable().GetValueByName(0, "auc").ToDouble() == pytest.approx(result.rows["roc"][0]["auc"], abs=1e-4)
    assert again["chart"].GetNumberOfPlotSeriesNodes() == 2, "the measure's curve and that of chance"
