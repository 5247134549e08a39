"""The papers' patients as images: what is measured on them is what was drawn."""

from __future__ import annotations

import numpy as np
import pandas
import pytest

from BoneQualityLib import cli
from BoneQualityLib.measures.hounsfield import measure_level
from BoneQualityLib.parameters import Parameters
from BoneQualityLib.phantoms import paper_images, papers, phantom_muscles, phantom_spine
from conftest import body_of, ct_of, single_vertebra

#: Largest differences of measured from drawn values: HU of the region, of ellipses; percent of muscle; shares of VBQ and rCSA.
# drawn pairs of 3D-HU and multi-slice HU ask for slopes of up to 30 HU a mm, more than bone has: the endosteal edge then costs 1 HU
TOLERANCES = dict(hu_3d=1.5, hu_multislice=1.0, hu_middle=1.0, hu_middle_l1=1.0, fat_infiltration_percent=0.5, vbq=0.01, rcsa=0.02)
SHARES = ("vbq", "rcsa")


def extremes(name: str) -> list[dict]:
    """Of events and of others the patients with the lowest and the highest first measure."""
    drawn, paper = papers.patients(name), papers.PAPERS[name]
    measure = next(column for column in drawn[0] if column in paper_images.IMAGED)
    groups = ([row for row in drawn if row[paper.outcome] == value] for value in ("yes", "no"))
    return [chosen(group, key=lambda row: row[measure]) for group in groups for chosen in (min, max)]


def check_values(frame: pandas.DataFrame, rows: list[dict]) -> None:
    """Measured values near the drawn ones, and all other columns as they were drawn (to the digits of a case's table)."""
    assert list(frame["case_id"]) == [row["case_id"] for row in rows]
    for name in rows[0]:
        drawn = [row[name] for row in rows]
        if name in TOLERANCES:
            allowed = TOLERANCES[name] * np.array(drawn if name in SHARES else np.ones(len(rows)))
            assert np.all(np.abs(frame[name] - drawn) < allowed), name
            assert list(frame[f"drawn_{name}"]) == pytest.approx(drawn)
        elif isinstance(drawn[0], float):
            assert list(frame[name]) == pytest.approx(drawn, abs=0.051 if name == "age" else 0.0051)
        else:
            assert list(frame[name]) == drawn


def test_patients_of_chang_go_from_images_to_the_papers_table(tmp_path, monkeypatch):
    rows = extremes("chang")
    monkeypatch.setattr(papers, "patients", lambda name: rows)
    result = papers.run("chang", tmp_path, False, images=True, workers=0)
    check_values(pandas.read_csv(tmp_path / "cases" / "cohort.csv"), rows)
    assert {"hu_3d", "hu_multislice"} <= {row["measure"] for row in result.rows["roc"]}
    means = {row["what"]: row["ours"] for row in result.rows["paper"]}
    assert means["3D-HU: mean of others"] == pytest.approx(np.mean([row["hu_3d"] for row in rows[2:]]), abs=0.5)
    page = (tmp_path / "cohort.html").read_text(encoding="utf-8")
    assert "Drawn, imaged and measured" in page and "measured less drawn" in page


@pytest.mark.parametrize("paper, left_out", [("xue", ()), ("zhan", ("hu_middle", "vbq"))])
def test_a_patient_shows_the_drawn_measures(paper, left_out, tmp_path):
    rows = [{name: value for name, value in extremes(paper)[0].items() if name not in left_out}]
    frame, _ = paper_images.measured(rows, tmp_path, False, 0, lambda share, text: None)
    check_values(frame, rows)


def test_bone_that_is_denser_toward_the_back_has_two_values_known_beforehand():
    spine = single_vertebra(cancellous_hu=100.0, posterior_hu_per_mm=8.0)
    grid = phantom_spine.grid_for(spine, (1.0, 1.0, 1.0), margin_mm=6)
    values = measure_level(body_of(spine, grid), ct_of(spine, grid), Parameters()).values
    assert values["hu_3d"] == pytest.approx(spine.vertebra("L3").cancellous_truth(3.0).mean_hu, abs=1.0)
    assert values["hu_middle"] < 80 < 105 < values["hu_3d"]


@pytest.mark.parametrize("rcsa, fat", [(1.5, 14.0), (2.5, 17.0), (3.8, 20.0)])
def test_muscles_have_the_asked_values_and_keep_apart(rcsa, fat):
    muscles = paper_images.muscles_of(rcsa, fat)
    assert (muscles.rcsa("L3-L4"), muscles.fat_infiltration()) == pytest.approx((rcsa, fat))
    grid = phantom_muscles.axial_grid(muscles, (0.8, 0.8, 4.0))
    names = [part.name for part in muscles.compartments] + ["L3-L4"]
    assert np.sum([phantom_muscles.mask_of(muscles, name, grid) for name in names], axis=0).max() == 1


def test_workers_without_images_are_refused(tmp_path, capsys):
    assert cli.main(["demo-cohort", "--paper", "kadri", "--workers", "2", "--output", str(tmp_path)]) == 2
    assert "--images" in capsys.readouterr().err
