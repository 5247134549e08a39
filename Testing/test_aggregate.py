"""From levels to the case: ranges, strictness, and the flags that need a measured case."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from BoneQualityLib import CaseFacts, Parameters
from BoneQualityLib.case.result import CaseResult, Level
from BoneQualityLib.case.values import with_case_values
from BoneQualityLib.columns import Cutoff
from BoneQualityLib.files.cutoffs import read_cutoffs
from BoneQualityLib.measures.csf import Csf
from BoneQualityLib.measures.muscle_result import Compartment, Muscles, MuscleSlice
from BoneQualityLib.measures.muscle_slices import SlicePlane
from BoneQualityLib.measures.roi import LevelNumbers
from BoneQualityLib.phantoms import phantom_spine
from BoneQualityLib.phantoms.phantom_solids import cement
from BoneQualityLib.states import CATALOG, Exclusion, Flag
from conftest import single_vertebra
from test_hounsfield import measured


def case(parameters=Parameters(), **signals):
    """A case with T1 signals by level and CSF of 100 at L2-L4."""
    levels = []
    for name, signal in signals.items():
        numbers = LevelNumbers(
            values=dict(t1_signal=float(signal)), variations=dict(t1_signal={"+i": signal * 1.1, "-i": signal * 0.95})
        )
        levels.append(Level(name, t1=numbers, t1_excluded=(), ct_excluded=(Exclusion.NO_CT,)))
    fluid = {name: Csf(name, None, 100.0, 99.0) for name in ("L2", "L3", "L4")}
    return CaseResult(CaseFacts("a"), parameters, tuple(levels), csf=fluid, inputs=dict(t1={}))


def codes(result):
    return [flag.code for flag in result.all_flags]


def test_the_range_of_vbq_is_that_of_its_variations():
    result = case(L1=300, L2=300, L3=300, L4=300)
    result = with_case_values(result, [])
    assert (result.values["vbq_low"], result.values["vbq"], result.values["vbq_high"]) == pytest.approx((2.85, 3.0, 3.3))
    assert result.levels[0].values["vbq_single_level_high"] == pytest.approx(3.3)


def test_the_range_of_hu_adds_causes_in_quadrature_to_either_side_for_a_level_and_the_case():
    varied = {"+i": 103.0, "-i": 99.0, "+j": 96.0, "-j": 101.0}
    level = Level("L1", ct=LevelNumbers(values=dict(hu_3d=100.0), variations=dict(hu_3d=varied)), ct_excluded=())
    result = with_case_values(CaseResult(CaseFacts("a"), Parameters(), (level,), inputs=dict(ct={})), [])
    for values in (result.values, result.levels[0].values):
        assert (values["hu_3d_low"], values["hu_3d_high"]) == pytest.approx((95, 105))


@pytest.mark.parametrize(("top", "flagged"), [(300 * 1.21 / 0.92, True), (330, False)])
def test_a_trend_of_marrow_over_l1_to_l4_is_flagged(top, flagged):
    signals = np.linspace(300, top, 4)
    result = case(**dict(zip(("L1", "L2", "L3", "L4"), signals)))
    result = with_case_values(result, [])
    assert ("coil-shading" in codes(result)) == flagged


@pytest.mark.parametrize(("l4", "flagged"), [(116, True), (112, False)])
def test_a_trend_of_csf_over_l1_to_l4_is_flagged(l4, flagged):
    result = case(L1=300, L2=300, L3=300, L4=300)
    fluid = {name: Csf(name, None, signal, 99.0) for name, signal in (("L2", 100.0), ("L3", (100.0 + l4) / 2), ("L4", l4))}
    result = replace(result, csf=fluid)
    result = with_case_values(result, [])
    assert ("coil-shading" in codes(result)) == flagged


def test_csf_brighter_than_marrow_is_not_t1():
    result = case(L1=90, L2=95, L3=90, L4=95)
    result = with_case_values(result, [])
    assert "not-t1" in codes(result)


@pytest.mark.parametrize("strict", [True, False])
def test_strict_turns_warnings_of_a_level_into_its_exclusion(strict):
    result = case(Parameters(strict=strict), L1=300, L2=310, L3=320, L4=900)
    result.levels[3].t1.flags.append(Flag("small-roi"))
    result.levels[0].t1.flags.append(Flag("parasagittal"))
    result = with_case_values(result, [])
    assert result.values["t1_levels"] == (["L1", "L2", "L3"] if strict else ["L1", "L2", "L3", "L4"])
    assert result.levels[3].row()["t1_exclusion"] == ("small-roi" if strict else "")


def test_a_cut_off_within_the_range_widened_by_5_percent_is_straddled():
    (cutoff,) = [c for c in read_cutoffs() if c.cutoff == 4.275]
    for signal, straddled in ((300, False), (375, True)):  # 3.0 to 3.3 and 3.56 to 4.13, 5 % of 4.275 being 0.21
        result = case(L1=signal, L2=signal, L3=signal, L4=signal)
        result = with_case_values(result, [cutoff])
        assert result.cutoffs[0]["straddles"] == straddled
        assert ("straddles-cutoff" in codes(result)) == straddled


def test_the_range_of_hu_brackets_the_value_and_widens_with_the_structure_around():
    spine = single_vertebra(gradient_hu_per_mm=3.0)
    grid = phantom_spine.grid_for(spine, (1.0, 1.0, 1.0))
    variations = measured(spine, grid).variations
    middle = variations["hu_middle"]  # the slice moved by 1.5 mm, which is more than half the slice distance
    assert (middle["slice below"], middle["slice above"]) == pytest.approx((115.5, 124.5), abs=0.3)
    assert variations["hu_multislice"]["slice above"] - variations["hu_multislice"]["slice below"] == pytest.approx(9.0, abs=0.5)
    moved = variations["hu_3d"]["+k"] - variations["hu_3d"]["-k"]  # by 1 mm to either side, as far as bone inside the edge reaches
    assert 3.0 < moved < 6.1
    assert variations["hu_3d"]["narrower margin"] >= variations["hu_3d"]["wider margin"]
    assert set(variations["hu_3d"]) == {"+i", "-i", "+j", "-j", "+k", "-k", "narrower margin", "wider margin"}


@pytest.mark.parametrize(("radius", "flagged"), [(3.8, True), (3.3, False)])  # 0.23 and 0.15 cm3
def test_cement_over_0_2_cm3_is_flagged(radius, flagged):
    spine = single_vertebra(inclusions=(cement(radius_mm=radius),))
    numbers = measured(spine, phantom_spine.grid_for(spine, (0.7, 0.7, 0.7)))
    assert ("cement-or-metal" in [flag.code for flag in numbers.flags]) == flagged


@pytest.mark.parametrize(("height", "flagged"), [(16.5, True), (21.0, False)])
def test_a_small_region_is_flagged_under_4_cm3(height, flagged):
    spine = single_vertebra(
        width_mm=30, depth_mm=26, height_anterior_mm=height, height_middle_mm=height - 1, height_posterior_mm=height
    )
    assert (spine.vertebra("L3").cancellous_truth(3.0).volume_mm3 < 4000) == flagged
    numbers = measured(spine, phantom_spine.grid_for(spine, (0.8, 0.8, 0.8)))
    assert ("small-roi" in [flag.code for flag in numbers.flags]) == flagged


def test_every_flag_has_a_severity_and_a_plain_sentence():
    for severity, sentence in CATALOG.values():
        assert severity in ("info", "warning", "error")
        assert sentence[0].isupper() and sentence.endswith(".") and "\n" not in sentence


def test_case_values_made_twice_are_the_same_and_leave_the_result_as_it_is():
    result = case(L1=300, L2=310, L3=320, L4=330)
    before = (dict(result.values), result.flags, [dict(level.t1.values) for level in result.levels])
    once, again = with_case_values(result, read_cutoffs()), with_case_values(result, read_cutoffs())
    assert (once.values, once.flags, once.cutoffs) == (again.values, again.flags, again.cutoffs) and once.values["vbq"] > 0
    assert before == (result.values, result.flags, [level.t1.values for level in result.levels])


@pytest.mark.parametrize(("comparison", "value", "reached"), [("<=", 56.3, True), ("<=", 56.4, False), (">=", 56.3, True), (">=", 56.2, False)])
def test_a_value_at_a_cut_off_reaches_it(comparison, value, reached):
    cutoff = Cutoff("hu_3d", "", comparison, 56.3, "new fracture", "Chang 2025", {}, "")
    assert cutoff.beside(value)["reached"] == reached


def test_the_range_of_vbq_varies_marrow_and_csf_together():
    result = case(L1=300, L2=300, L3=300, L4=300)
    fluid = {name: replace(csf, variations={"+i": 110.0, "-i": 95.0}) for name, csf in result.csf.items()}
    values = with_case_values(replace(result, csf=fluid), []).values
    assert (values["vbq_low"], values["vbq_high"]) == pytest.approx((3.0, 3.0))  # both move by the same share


def test_fat_of_the_case_is_the_mean_of_sides_then_discs_then_muscles():
    def there(disc, **fat):
        plane = SlicePlane(disc, np.zeros(3), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), "disc", (1.0, 1.0))
        compartments = [Compartment(m, side, fat_infiltration=value) for m, sides in fat.items() for side, value in zip(("left", "right"), sides)]
        return MuscleSlice(plane, compartments=compartments)

    upper = there("L3-L4", psoas_major=(2, 6), multifidus=(20, 30), erector_spinae=(10, 14))
    lower = there("L4-L5", psoas_major=(8, 8), multifidus=(40, 50))
    assert Muscles([upper, lower]).case_values()["fat_infiltration_percent"] == pytest.approx((6 + 35 + 12) / 3)
