"""The papers' patients as images: what is measured on them is what was drawn."""

from __future__ import annotations

import re

import numpy as np
import pandas
import pytest
from conftest import body_of, ct_of, single_vertebra

from BoneQualityLib import cli, paper_images, papers, phantom
from BoneQualityLib.hounsfield import measure_level
from BoneQualityLib.parameters import Parameters

#: Largest differences of measured from drawn values: HU of regions, of one slice's ellipse; VBQ, rCSA as shares; fat in %.
TOLERANCES = dict(hu_3d=0.5, hu_multislice=1.0, hu_middle=1.0, hu_middle_l1=1.0, vbq=0.01, rcsa=0.02, fat_infiltration_percent=0.5)
RELATIVE = ("vbq", "rcsa")


def some(name: str, count: int) -> list[dict]:
    """Patients of all strata, with those among them whose first measure is lowest and highest."""
    drawn = papers.patients(name)
    measure = next(column for column in drawn[0] if column in paper_images.IMAGED)
    ordered = sorted(drawn, key=lambda row: row[measure])
    return [ordered[int(n)] for n in np.linspace(0, len(ordered) - 1, count)]


@pytest.mark.parametrize("paper, count", [("chang", 6), ("xue", 2), ("zhan", 2), ("kadri", 2)])
def test_measured_values_are_the_drawn_ones(paper, count, tmp_path):
    rows = some(paper, count)
    frame, _ = paper_images.measured(rows, tmp_path, False, 0, lambda share, text: None)
    assert list(frame["case_id"]) == [row["case_id"] for row in rows]
    compared = [name for name in TOLERANCES if name in rows[0]]
    for name in compared:
        drawn = np.array([row[name] for row in rows])
        unit = drawn if name in RELATIVE else 1.0
        print(name, np.array((frame[name] - drawn) / unit))
        assert np.all(np.abs(frame[name] - drawn) < TOLERANCES[name] * unit), name
        assert frame[f"drawn_{name}"] == pytest.approx(drawn)
    carried = set(rows[0]) - set(compared) - {"case_id", "age", "t_score", "bmi"}
    assert carried and all(list(frame[name]) == [row[name] for row in rows] for name in carried)
