"""Patients drawn from the papers' tables, and the papers' numbers beside ours."""

from __future__ import annotations

import re

import numpy as np
import pandas
import pytest

from BoneQualityLib import BoneQualityError, cli
from BoneQualityLib.phantoms import papers


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Name of a paper -> (result, folder with its files), each made once."""
    made = {}

    def of(name: str):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            made[name] = papers.run(name, folder / "out", False), folder / "out"
        return made[name]

    return of


def rows_of(folder) -> dict[str, dict]:
    """Rows of the table of the paper's numbers by what they are."""
    return {row["what"]: row for row in pandas.read_csv(folder / "paper.csv").to_dict("records")}


@pytest.mark.parametrize(
    "paper, event, column, value, size, mean, sd",
    [
        ("chang", "new_fracture", "hu_3d", "yes", 61, 40.64, 22.43), ("chang", "new_fracture", "hu_multislice", "no", 288, 68.15, 28.00),
        ("xue", "subsequent_fracture", "vbq", "yes", 97, 4.69, 0.35), ("xue", "subsequent_fracture", "hu_middle_l1", "no", 244, 81.2, 16.68),
        ("zhan", "ovcf", "vbq", "no", 78, 3.06, 0.39),
    ],
)  # fmt: skip
def test_a_group_has_its_published_size_mean_and_sd(paper, event, column, value, size, mean, sd):
    values = np.array([row[column] for row in papers.patients(paper) if row[event] == value])
    assert (len(values), values.mean(), values.std(ddof=1)) == pytest.approx((size, mean, sd), abs=1e-5)


def test_chang_gives_areas_within_the_published_intervals_and_cut_offs_near_the_published(written):
    found = rows_of(written("chang")[1])
    assert 0.831 < found["3D-HU: AUC"]["ours"] < 0.923 and 0.769 < found["multi-slice HU: AUC"]["ours"] < 0.876
    assert 49 < found["3D-HU: cut-off"]["ours"] < 71 and 40 < found["multi-slice HU: cut-off"]["ours"] < 65
    for what in ("hu_3d: odds ratio", "age: odds ratio", "multiple_fractures[yes]: odds ratio"):
        assert found[what]["verdict"] == "inside"
    assert found["3D-HU and T-score: Pearson r"]["ours"] == pytest.approx(0.628, abs=0.02)
    for what, p in (("hypertension", 0.268), ("thoracolumbar junction", 0.106), ("kyphoplasty", 0.714)):
        assert found[f"{what}: p of events and others"]["ours"] == pytest.approx(p, abs=0.0006)
    assert found["BMI: p of events and others"]["ours"] == pytest.approx(0.719, abs=0.003)


def test_xue_gives_areas_and_the_sensitivities_with_hyperlipidemia(written):
    folder = written("xue")[1]
    found = rows_of(folder)
    assert 0.810 < found["HU of L1: AUC"]["ours"] < 0.894 and 0.810 < found["VBQ: AUC"]["ours"] < 0.889
    assert found["VBQ; with hyperlipidemia: AUC"]["ours"] == pytest.approx(0.778, abs=0.01)
    sensitivities = [found[f"{name}; with hyperlipidemia: sensitivity"] for name in ("HU of L1", "VBQ")]
    assert [row["paper"] for row in sensitivities] == [0.827, 0.5]
    assert [row["ours"] for row in sensitivities] == pytest.approx([0.827, 0.5], abs=1 / 58 + 0.001)  # to one patient
    assert found["VBQ; events with hyperlipidemia: mean"]["ours"] == pytest.approx(4.75, abs=0.02)
    assert found["VBQ; events with against without hyperlipidemia: p"]["verdict"] == "inside"
    cutoffs = pandas.read_csv(folder / "cutoffs.csv")
    published = cutoffs[(cutoffs["source"].str.startswith("Xue")) & (cutoffs["subgroup"] == "yes")].set_index("measure")
    assert published["sensitivity"]["vbq"] > 0.9 and published["sensitivity"]["hu_middle_l1"] == pytest.approx(0.71, abs=0.04)


def test_the_counts_of_hyperlipidemia_in_xue_fit_the_published_means_only_when_exchanged():
    with_it, without = np.array([56.27, 4.75]), np.array([61.16, 4.58])
    assert (58 * with_it + 39 * without) / 97 == pytest.approx([58.2, 4.69], abs=0.05)
    assert np.abs((39 * with_it + 58 * without) / 97 - [58.2, 4.69]).min() > 0.04


def test_zhans_table_and_zhans_area_are_both_printed(written):
    folder = written("zhan")[1]
    found = rows_of(folder)
    assert found["VBQ: AUC"]["paper"] == 0.895 and found["VBQ: AUC"]["ours"] == pytest.approx(0.98, abs=0.005)
    assert found["VBQ and fracture: Spearman rho"]["ours"] == pytest.approx(0.84, abs=0.02)
    assert found["FI and fracture: Spearman rho"]["ours"] < 0 < found["FI exchanged and fracture: Spearman rho"]["ours"]
    assert (found["vbq: odds ratio"]["paper"], found["vbq: odds ratio"]["verdict"]) == (2.98, "contradictory")
    assert found["T-score and HU: Spearman rho"]["verdict"] == "outside"
    assert found["VBQ: AUC"]["verdict"] == "contradictory" and found["FI: mean of events"]["verdict"] == "contradictory"
    between = {
        what: row["paper"]
        for what, row in found.items()
        if "Spearman" in what and "fracture" not in what and "exchanged" not in what
    }
    assert between == {
        "T-score and HU: Spearman rho": 0.926, "T-score and VBQ: Spearman rho": -0.82, "T-score and rCSA: Spearman rho": 0.679,
        "HU and VBQ: Spearman rho": -0.823, "HU and rCSA: Spearman rho": 0.625, "VBQ and rCSA: Spearman rho": -0.634,
        "VBQ and FI: Spearman rho": 0.919, "T-score and FI: Spearman rho": -0.759, "HU and FI: Spearman rho": -0.818,
        "rCSA and FI: Spearman rho": -0.74,
    }  # fmt: skip
    assert pandas.read_csv(folder / "paired.csv")["pairs"].eq(78).all()


def test_kadris_twenty_events_lie_where_the_abstract_says():
    frame = pandas.DataFrame(papers.patients("kadri"))
    events = frame[frame["secondary_fracture"] == "yes"]
    assert (len(frame), len(events), (events["vbq"] >= 3.0).sum(), (events["follow_up_days"] > 60).sum()) == (60, 20, 17, 16)
    assert (frame["vbq"].mean(), frame["vbq"].std()) == pytest.approx((3.44, 0.82), abs=1e-5)
    months = frame["last_seen_days"] / 30.4375
    assert (months.mean(), months.std()) == pytest.approx((25.7, 15.4), rel=0.05) and (
        frame["follow_up_days"] <= frame["last_seen_days"]
    ).all()


def test_kadris_sensitivity_at_3_and_events_after_60_days_stand_in_the_tables(written):
    folder = written("kadri")[1]
    found = rows_of(folder)
    cutoffs = pandas.read_csv(folder / "cutoffs.csv").set_index("cutoff")
    assert cutoffs.loc[3.0, ["sensitivity", "true_positive", "false_negative"]].tolist() == [0.85, 17, 3]
    assert found["fractures after 60 days: share of fractures"]["ours"] == 0.8
    assert found["VBQ without and with the fractured level: paired p"]["ours"] == pytest.approx(0.401, abs=0.02)
    assert set(pandas.read_csv(folder / "survival.csv")["period"]) == {"all", "to 60", "from 60"}


def test_a_papers_numbers_are_checked_against_each_other():
    checks = {
        name: {f"{check.what} ({check.place})": check.row()["fits"] for check in paper.checks}
        for name, paper in papers.PAPERS.items()
    }
    assert set(checks["kadri"].values()) == {"yes"} and [what for what, fits in checks["chang"].items() if fits == "no"] == [
        "diabetes: p (table 1)"
    ]
    assert (
        checks["xue"]["VBQ of fractures, 58 with: mean (results)"] == "yes"
        and checks["xue"]["VBQ of fractures, 39 with: mean (results)"] == "no"
    )
    assert checks["zhan"]["VBQ: AUC (text and table 1)"] == "no" and checks["zhan"]["hypertension: p (table 1)"] == "yes"


def test_the_first_page_counts_every_number_once(written):
    for name in papers.PAPERS:
        result = written(name)[0]
        lines = result.sections[0].lines
        counts = [int(word) for word in re.findall(r"\b\d+\b", lines[0])]
        assert counts[0] == len(papers.PAPERS[name].published) == sum(counts[1:]) and "Not found" not in " ".join(lines)


def test_every_assumption_is_printed_with_the_papers_numbers(tmp_path, capsys):
    assert cli.main(["demo-cohort", "--paper", "zhan", "--output", str(tmp_path / "out")]) == 0
    said, page = capsys.readouterr().out, (tmp_path / "out" / "cohort.html").read_text(encoding="utf-8")
    assert "Research use; not a medical device." in said
    for assumption in papers.PAPERS["zhan"].assumptions:
        assert assumption in said and assumption.split("'")[0] in page
    assert {"patients.csv", "paper.csv", "roc.csv", "cohort.html"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_the_written_patients_analyzed_as_any_cohort_give_the_same_areas(tmp_path, written):
    demo = written("kadri")[1]
    arguments = [
        "--outcome",
        "secondary_fracture",
        "--measures",
        "vbq",
        "--adjust",
        "age,sex",
        "--time",
        "follow_up_days",
        "--window",
        "60",
    ]
    assert cli.main(["cohort", str(demo / "patients.csv"), *arguments, "--output", str(tmp_path / "again")]) == 0
    for table in ("roc.csv", "logistic.csv", "survival.csv", "cox.csv"):
        assert (tmp_path / "again" / table).read_bytes() == (demo / table).read_bytes()


def test_an_unknown_paper_is_refused():
    with pytest.raises(BoneQualityError, match="choose one of chang, xue, zhan, kadri"):
        papers.patients("li")
