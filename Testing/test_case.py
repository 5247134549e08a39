"""A whole case: which levels count, what stays empty and why, flags, cut-offs, tables and files."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from BoneQualityLib import CaseFacts, Parameters, measure_case
from BoneQualityLib.columns import CASE_COLUMNS, LEVEL_COLUMNS
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.files.cutoffs import read_cutoffs
from BoneQualityLib.files.writing import write_whole
from BoneQualityLib.image.acquisition import ImageTags
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.image import Image
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.measures.acquisition import ct_flags
from BoneQualityLib.measures.contrast import t1_flags
from BoneQualityLib.phantoms import phantom_solids, phantom_spine
from BoneQualityLib.scene.nodes import segmentation_node, volume_node
from BoneQualityLib.states import Severity

HU = {"L1": 100, "L2": 80, "L3": 60, "L4": 50, "L5": 200}
HU_OF_THREE = {"L2": 80, "L3": 60, "L4": 50}
T1 = {"L1": 300, "L2": 310, "L3": 330, "L4": 360, "L5": 500}
SPINE = phantom_spine.lumbar_spine(cancellous_hu=HU, marrow_t1=T1, csf_t1=100.0, posterior_elements=False)
GRID = phantom_spine.grid_for(SPINE, (1.2, 1.2, 1.5))
T1_GRID = phantom_spine.grid_for(SPINE, (1.0, 1.0, 4.0), orientation="sagittal")
CT_ARRAY = phantom_spine.render_ct(SPINE, GRID, noise_sd=5, seed=1)
CT_ARRAY[:, :2] = -1000
T1_ARRAY = phantom_spine.render_t1(SPINE, T1_GRID, noise_sd=4, seed=2)


def bodies(grid, levels=tuple(HU)):
    return [Mask(f"{level} body", phantom_spine.body_mask(SPINE.vertebra(level), grid), grid).cropped() for level in levels]


def sac():
    return Mask("thecal sac", phantom_spine.sac_mask(SPINE, T1_GRID), T1_GRID).cropped()


def ct(masks=None):
    return dict(ct=volume_node("CT", CT_ARRAY, GRID), ct_segmentation=segmentation_node("CT masks", masks or bodies(GRID)))


def t1(masks=None):
    masks = masks or [*bodies(T1_GRID), sac()]
    return dict(t1=volume_node("T1", T1_ARRAY, T1_GRID), t1_segmentation=segmentation_node("T1 masks", masks))


def codes(result):
    return {flag.code for flag in result.all_flags}


def test_case_values_are_means_over_l1_to_l4():
    result = measure_case(CaseFacts("a"), **ct())
    assert result.values["hu_3d"] == pytest.approx(np.mean([100, 80, 60, 50]), abs=1)
    assert result.values["ct_levels"] == ["L1", "L2", "L3", "L4"]
    assert result.values["hu_middle_l1"] == pytest.approx(100, abs=2)
    rows = {row["level"]: row for row in result.level_rows}
    assert rows["L5"]["used"] == "no" and rows["L5"]["hu_3d"] == pytest.approx(200, abs=2)
    assert rows["L1"]["t1_exclusion"] == "no T1 MRI"


def test_vbq_is_the_median_over_l1_to_l4_over_csf():
    result = measure_case(CaseFacts("a"), **t1())
    assert result.values["vbq"] == pytest.approx(3.2, rel=0.02)
    assert result.values["csf_level"] == "L3"
    assert result.level_rows[0]["vbq_single_level"] == pytest.approx(3.0, rel=0.02)
    assert "hu_3d" not in {name for name, value in result.values.items() if value is not None}


def test_fractured_levels_leave_the_values_and_stay_in_the_ones_beside():
    result = measure_case(CaseFacts("a", fractured=("L4",), cemented=("L3",)), **ct(), **t1())
    assert result.values["hu_3d"] == pytest.approx(90, abs=1)
    assert result.values["hu_3d_including_fractured"] == pytest.approx(np.mean([100, 80, 50]), abs=1)
    assert result.values["vbq"] == pytest.approx(3.05, rel=0.02)
    assert result.values["vbq_including_fractured"] == pytest.approx(3.1, rel=0.02)
    rows = {row["level"]: row for row in result.level_rows}
    assert (rows["L4"]["ct_exclusion"], rows["L3"]["t1_exclusion"]) == ("fractured", "cemented")
    assert rows["L4"]["hu_3d"] == pytest.approx(50, abs=2)


def test_one_level_alone_is_flagged_on_ct_and_makes_no_vbq():
    facts = CaseFacts("a", excluded=("L1", "L2", "L3"))
    result = measure_case(facts, **ct(), **t1())
    assert result.values["hu_3d"] == pytest.approx(50, abs=2)
    assert "vbq" not in result.values
    assert "few-levels" in codes(result)
    assert any("at least 2" in reason for reason in result.reasons)


def test_without_csf_there_are_signals_but_no_vbq_and_the_reason_is_said():
    result = measure_case(CaseFacts("a"), **t1(bodies(T1_GRID)))
    assert "vbq" not in result.values
    assert "no CSF or sac is segmented" in result.reasons[0] and "csf-level" in codes(result)
    assert result.levels[0].values["t1_signal"] == pytest.approx(300, rel=0.02)


def test_csf_drawn_at_a_level_is_used_as_it_is_and_its_level_is_reported():
    drawn = np.zeros(T1_GRID.shape, bool)
    k, j, i = T1_GRID.ijk(SPINE.vertebra("L2").center - [0, 25, 0])[::-1].round().astype(int)
    drawn[max(k, 0), j - 5 : j + 6, i - 5 : i + 6] = True
    bright = T1_ARRAY.copy()
    bright[drawn] = 160
    volume = volume_node("T1", bright, T1_GRID)
    masks = segmentation_node("T1", [*bodies(T1_GRID), Mask("CSF L2", drawn, T1_GRID).cropped()])
    result = measure_case(CaseFacts("a"), t1=volume, t1_segmentation=masks)
    assert result.values["csf_signal"] == pytest.approx(160, abs=0.5)
    assert result.values["csf_level"] == "L2"
    assert "csf-level" in codes(result)


def test_a_blocked_level_is_passed_over():
    result = measure_case(CaseFacts("a", csf_blocked=("L3",)), **t1())
    assert result.values["csf_level"] == "L2"
    assert "ruled out" in result.csf["L3"].blocked


WHOLE = phantom_spine.lumbar_spine(("L2", "L3", "L4"), cancellous_hu=HU_OF_THREE)
WHOLE_GRID = phantom_spine.grid_for(WHOLE, (1.0, 1.0, 1.25))


@pytest.fixture(scope="module")
def whole_ct():
    array = phantom_spine.render_ct(WHOLE, WHOLE_GRID)
    array[:, :2] = -1000
    return array


def whole_masks():
    return [Mask(v.level, phantom_spine.vertebra_mask(WHOLE, v.level, WHOLE_GRID), WHOLE_GRID).cropped() for v in WHOLE.vertebrae]


def measured_whole(array, masks, parameters=Parameters()):
    nodes = dict(ct=volume_node("CT", array, WHOLE_GRID), ct_segmentation=segmentation_node("masks", masks))
    return measure_case(CaseFacts("a"), parameters=parameters, **nodes)


@pytest.mark.parametrize("plane", ["axial", "vertebra"])
def test_whole_vertebrae_are_cut_to_their_bodies(whole_ct, plane):
    result = measured_whole(whole_ct, whole_masks(), Parameters(slice_plane=plane))
    for level in result.levels:
        assert level.values["hu_3d"] == pytest.approx(HU_OF_THREE[level.name], abs=2)
        assert level.values["hu_multislice"] == pytest.approx(HU_OF_THREE[level.name], abs=2)
        truth = WHOLE.vertebra(level.name).rotation
        assert np.degrees(np.arccos(level.frame.superior @ truth[:, 2])) < 3
        assert level.values["genant_grade"] == 0
    assert "frame-uncertain" not in codes(result)


def test_a_mask_of_bodies_beside_whole_vertebrae_says_what_their_bodies_are(whole_ct):
    everywhere = sum(phantom_spine.body_mask(v, WHOLE_GRID) for v in WHOLE.vertebrae).astype(bool)
    beside = measured_whole(whole_ct, [*whole_masks(), Mask("vertebral bodies", everywhere, WHOLE_GRID)])
    alone = measured_whole(
        whole_ct, [Mask(f"{v.level} body", phantom_spine.body_mask(v, WHOLE_GRID), WHOLE_GRID) for v in WHOLE.vertebrae]
    )
    for one, other in zip(beside.levels, alone.levels):
        assert one.values["hu_3d"] == pytest.approx(other.values["hu_3d"], abs=0.05)


def test_a_hand_drawn_cancellous_mask_is_used_as_it_is():
    vertebra = SPINE.vertebra("L3")
    drawn = Mask("L3 cancellous", phantom_spine.body_mask(vertebra, GRID, margin_mm=5.0), GRID).cropped()
    result = measure_case(CaseFacts("a"), **ct([drawn]))
    volume = result.levels[0].values["hu_3d_volume_mm3"]
    assert volume == pytest.approx(drawn.volume, rel=0.03)


def test_a_truncated_vertebra_is_not_used():
    cut = CT_ARRAY[12:]
    low = GRID.box((slice(12, GRID.shape[0]), slice(0, GRID.shape[1]), slice(0, GRID.shape[2])))
    deep = np.searchsorted((phantom_spine.body_mask(SPINE.vertebra("L5"), GRID)).any(axis=(1, 2)).cumsum(), 5)
    cut = CT_ARRAY[deep:]
    low = GRID.box((slice(deep, GRID.shape[0]), slice(0, GRID.shape[1]), slice(0, GRID.shape[2])))
    nodes = dict(ct=volume_node("CT", cut, low), ct_segmentation=segmentation_node("masks", bodies(GRID)))
    result = measure_case(CaseFacts("a"), **nodes)
    row = result.level_rows[-1]
    assert row["level"] == "L5" and "edge of the image" in row["ct_exclusion"] and row["flags"] == "truncated"
    assert "hu_3d" not in row
    assert result.values["hu_3d"] == pytest.approx(72.5, abs=1)


def test_levels_in_the_wrong_order_are_flagged():
    names = dict(zip(HU, ("L1", "L3", "L2", "L4", "L5")))
    masks = [Mask(f"{names[m.name[:2]]} body", m.array, m.grid) for m in bodies(GRID)]
    assert "level-order" in codes(measure_case(CaseFacts("a"), **ct(masks)))
    assert "level-order" not in codes(measure_case(CaseFacts("a"), **ct()))


def test_masks_that_overlap_by_more_than_1_percent_are_flagged():
    masks = bodies(GRID)
    grown = phantom_spine.body_mask(
        replace(SPINE.vertebra("L2"), height_anterior_mm=54, height_middle_mm=50, height_posterior_mm=54), GRID
    )
    masks[1] = Mask("L2 body", grown, GRID).cropped()
    assert "mask-overlap" in codes(measure_case(CaseFacts("a"), **ct(masks)))


def test_cut_offs_stand_beside_the_values_they_belong_to():
    result = measure_case(CaseFacts("a"), **ct(), **t1())
    beside = {(c["measure"], c["cutoff"]): c for c in result.cutoffs}
    assert beside[("hu_3d_wide", 56.3)]["note"] == "boundary differs from source"
    assert beside[("hu_multislice", 51.4)]["reached"] is False
    assert beside[("hu_middle_l1", 110.0)]["reached"] is True and beside[("hu_middle_l1", 110.0)]["straddles"] is True
    assert beside[("vbq", 3.0)]["reached"] is True
    assert beside[("vbq_single_level", 3.16)]["value"] == pytest.approx(3.0, rel=0.02)
    assert "straddles-cutoff" in codes(result)


def test_cut_offs_are_the_published_ones():
    found = {(c.measure, c.source.split()[0], c.cutoff) for c in read_cutoffs()}
    assert found == {
        ("hu_3d_wide", "Chang", 56.3), ("hu_multislice", "Chang", 51.4), ("hu_middle_l1", "Xue", 64.4),
        ("hu_middle_l1", "Pickhardt", 110.0), ("hu_middle_l1", "Pickhardt", 160.0), ("vbq", "Xue", 4.275),
        ("vbq", "Kadri", 3.0), ("vbq", "Li", 3.22), ("vbq_single_level", "Li", 3.16),
    }  # fmt: skip


def test_nothing_at_all_is_an_error_that_says_why():
    empty = [Mask("L1 body", np.zeros((3, 3, 3), bool), Grid((3, 3, 3), np.eye(4)))]
    with pytest.raises(BoneQualityError, match="Nothing can be measured.* L1: the mask is empty"):
        measure_case(CaseFacts("a"), **ct(empty))


def test_a_volume_without_its_segmentation_is_an_error():
    with pytest.raises(BoneQualityError, match="T1 MRI needs a segmentation: give t1_segmentation too"):
        measure_case(CaseFacts("a"), **ct(), t1=volume_node("T1", T1_ARRAY, T1_GRID))


def test_the_modalities_are_not_mixed_up():
    with pytest.raises(BoneQualityError, match="not in HU"):
        measure_case(CaseFacts("a"), ct=t1()["t1"], ct_segmentation=ct()["ct_segmentation"])
    with pytest.raises(BoneQualityError, match="like a CT"):
        measure_case(CaseFacts("a"), t1=ct()["ct"], t1_segmentation=t1()["t1_segmentation"])


@pytest.mark.parametrize(
    "bad", [dict(age=200), dict(sex="x"), dict(fractured=("Q1",)), dict(reader="Dr. Who"), dict(case_id="a/b")]
)
def test_case_facts_out_of_range_are_refused(bad):
    with pytest.raises(BoneQualityError, match=next(iter(bad)).replace("_", ".")):
        CaseFacts(**dict(dict(case_id="a"), **bad))


@pytest.mark.parametrize("bad", [dict(mask="leg"), dict(cancellous_margin_mm=-1), dict(vbq_margin_mm=float("nan"))])
def test_parameters_out_of_range_are_refused(bad):
    with pytest.raises(BoneQualityError, match=next(iter(bad))):
        Parameters(**bad)


def ct_image(tags=ImageTags(), thickness=1.0, air=-1000.0):
    array = np.full((20, 20, 20), 40, np.int16)
    array[:, :8] = air
    return Image("CT", array, Grid(array.shape, np.diag([1, 1, thickness, 1.0])), tags)


def t1_image(tags=ImageTags(), dtype=np.int16, top=0):
    array = np.random.default_rng(0).integers(0, 200, (20, 20, 20)).astype(dtype)
    array.flat[: top or 1] = 210
    return Image("T1", array, Grid(array.shape, np.eye(4)), tags)


@pytest.mark.parametrize(
    ("code", "raised", "not_raised"),
    [
        ("kvp", ct_image(ImageTags(kvp=100)), ct_image(ImageTags(kvp=120))),
        ("contrast", ct_image(ImageTags(contrast="yes")), ct_image(ImageTags(contrast="no"))),
        ("thick-slices", ct_image(thickness=3.1), ct_image(thickness=3.0)),
        ("thick-slices", ct_image(ImageTags(slice_thickness_mm=5.0)), ct_image(ImageTags(slice_thickness_mm=3.0))),
        ("sharp-kernel", ct_image(ImageTags(kernel="B70f")), ct_image(ImageTags(kernel="B40f"))),
        ("sharp-kernel", ct_image(ImageTags(kernel="Br64f 3")), ct_image(ImageTags(kernel="Br38f 3"))),
        ("sharp-kernel", ct_image(ImageTags(kernel="BONEPLUS")), ct_image(ImageTags(kernel="STANDARD"))),
        ("sharp-kernel", ct_image(ImageTags(kernel="FC30")), ct_image(ImageTags(kernel="FC08"))),
        ("not-t1", t1_image(ImageTags(tr_ms=1001)), t1_image(ImageTags(tr_ms=1000))),
        ("not-t1", t1_image(ImageTags(te_ms=31)), t1_image(ImageTags(te_ms=30))),
        ("inversion-recovery", t1_image(ImageTags(ti_ms=860)), t1_image(ImageTags(ti_ms=None))),
        ("fat-suppressed", t1_image(ImageTags(fat_suppressed="yes")), t1_image(ImageTags(fat_suppressed="no"))),
        ("rescaled", t1_image(dtype=np.uint8), t1_image(dtype=np.int16)),
        ("rescaled", t1_image(top=9), t1_image(top=8)),
    ],
)
def test_an_image_flag_is_raised_beyond_its_threshold_and_not_just_inside(code, raised, not_raised):
    for image, expected in ((raised, True), (not_raised, False)):
        found = ct_flags(image, None) if image.name == "CT" else t1_flags(image)
        assert (code in [flag.code for flag in found]) == expected


def test_the_user_may_say_contrast_and_hyperlipidemia():
    assert "contrast" in [flag.code for flag in ct_flags(ct_image(), "yes")]
    assert "hyperlipidemia" in codes(measure_case(CaseFacts("a", hyperlipidemia="yes"), **t1()))
    assert "hyperlipidemia" not in codes(measure_case(CaseFacts("a", hyperlipidemia="no"), **t1()))


def test_a_sound_case_has_no_warnings():
    flags = measure_case(CaseFacts("a"), **ct(), **t1()).all_flags  # L5, which no value uses, is an outlier at 200 HU
    assert [(flag.code, flag.level) for flag in flags if flag.severity is not Severity.INFO] == [("hu-outlier", "L5")]


def test_the_files_hold_every_column_and_empty_cells_for_what_was_not_measured(tmp_path):
    result = measure_case(CaseFacts("a", age=70.5), **ct())
    levels, case, report, everything = result.write_files(tmp_path)
    with open(levels, newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [column.name for column in LEVEL_COLUMNS]
    assert [row["level"] for row in rows] == ["L1", "L2", "L3", "L4", "L5"]
    assert float(rows[0]["hu_3d"]) == pytest.approx(100, abs=1) and rows[0]["t1_signal"] == ""
    with open(case, newline="") as file:
        (row,) = csv.DictReader(file)
    assert list(row) == [column.name for column in CASE_COLUMNS]
    assert (row["vbq"], row["age"], row["ct_levels"]) == ("", "70.5", "L1 L2 L3 L4")
    content = json.loads(everything.read_text(encoding="utf-8"))
    assert content["parameters"]["cancellous_margin_mm"] == 3.0
    assert {roi["kind"] for roi in content["levels"][0]["rois"]} == {"cancellous", "upper", "middle", "lower"}


def test_table_nodes_have_typed_columns_with_units_and_nan_for_not_measured():
    levels, case = measure_case(CaseFacts("a"), **ct()).to_table_nodes()
    assert levels.GetNumberOfRows() == 5
    assert levels.GetTable().GetColumnByName("hu_3d").IsA("vtkDoubleArray")
    assert np.isnan(case.GetTable().GetColumnByName("vbq").GetValue(0))
    assert levels.GetColumnUnitLabel("hu_3d") == "HU"
    assert levels.GetColumnTitle("hu_3d") == "3D-HU"


def test_a_number_can_be_taken_again_from_the_place_in_the_json(tmp_path):
    result = measure_case(CaseFacts("a"), **ct())
    roi = next(r for r in result.document()["levels"][2]["rois"] if r["kind"] == "middle")
    a, b = roi["semi_axes_mm"]
    steps = np.arange(-30, 30, 0.25)
    u, v = np.meshgrid(steps, steps)
    inside = (u / a) ** 2 + (v / b) ** 2 <= 1
    points = roi["center"] + u[inside][:, None] * roi["u"] + v[inside][:, None] * roi["v"]
    k, j, i = GRID.ijk(points).round().astype(int).T[::-1]
    assert CT_ARRAY[k, j, i].mean() == pytest.approx(result.levels[2].values["hu_middle"], abs=0.5)


def test_files_that_are_there_are_kept_unless_told(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("before")
    with pytest.raises(BoneQualityError, match="is there already"):
        write_whole({path: "after"}, overwrite=False)
    assert path.read_text() == "before"
    write_whole({path: "after"}, overwrite=True)
    assert path.read_text() == "after"


# ROIs that a person edited


def edited(measured, level, kind, right_mm=0.0, scale=1.0):
    """A ROI of a measured case, moved and scaled by hand."""
    roi = next(roi for roi in measured.rois if (roi.level, roi.kind) == (level, kind))
    center = roi.center + [right_mm, 0, 0]
    outlines = tuple((curve - roi.center) @ np.stack([roi.u, roi.v], axis=1) * scale for curve in roi.curves())
    return {(level, kind): replace(roi, center=center, semi_axes=None, outlines=outlines, edited=True)}


def test_edited_rois_are_read_in_place_of_those_that_would_be_placed():
    inputs = ct() | t1()
    before = measure_case(CaseFacts("a"), **inputs)
    to_disc = (before.levels[2].frame.center - before.levels[3].frame.center) / 2
    edits = (
        edited(before, "L2", "upper", scale=0.6)
        | edited(before, "L1", "marrow", scale=0.7)
        | edited(before, "L2", "csf", scale=0.8)
    )
    middle = edited(before, "L4", "middle")["L4", "middle"]
    edits["L4", "middle"] = replace(middle, center=middle.center + to_disc)
    after = measure_case(CaseFacts("a"), edits=edits, **inputs)
    old, new = ({row["level"]: row for row in measured.level_rows} for measured in (before, after))
    assert new["L2"]["hu_upper"] == pytest.approx(80, abs=1.5)
    assert new["L2"]["hu_upper_area_mm2"] == pytest.approx(0.36 * old["L2"]["hu_upper_area_mm2"], rel=0.01)
    assert old["L4"]["hu_middle"] == pytest.approx(HU["L4"], abs=1.5) and new["L4"]["hu_3d"] == old["L4"]["hu_3d"]
    assert new["L4"]["hu_middle"] == pytest.approx(phantom_solids.DISC.hu, abs=1.5)
    assert new["L1"]["t1_area_mm2"] == pytest.approx(0.49 * old["L1"]["t1_area_mm2"], rel=0.02)
    assert [new[level]["edited"] for level in ("L1", "L2", "L3", "L4")] == ["marrow", "upper; csf", "", "middle"]
    of_csf = {"vbq_single_level_low", "vbq_single_level_high"}  # the range holds what CSF at L2 would give
    for level in ("L3", "L5"):
        assert {name for name, value in new[level].items() if value != old[level][name]} <= of_csf
    assert after.values["hu_3d"] == before.values["hu_3d"] and after.values["vbq"] == pytest.approx(before.values["vbq"], rel=0.01)


def test_files_say_what_was_edited(tmp_path):
    inputs = ct()
    edits = edited(measure_case(CaseFacts("a"), **inputs), "L2", "lower", right_mm=1)
    levels, case, everything = measure_case(CaseFacts("a"), edits=edits, **inputs).write_files(tmp_path, report=False)
    with open(levels, newline="") as file:
        assert [row["edited"] for row in csv.DictReader(file)] == ["", "lower", "", "", ""]
    with open(case, newline="") as file:
        assert next(csv.DictReader(file))["edited"] == "yes"
    rois = [roi for level in json.loads(everything.read_text(encoding="utf-8"))["levels"] for roi in level["rois"]]
    (roi,) = (roi for roi in rois if roi.get("edited"))
    assert (roi["level"], roi["kind"], roi["shape"]) == ("L2", "lower", "outlines") and len(roi["outlines_ras"][0]) == 64


def test_edits_that_have_no_place_in_the_case_are_refused_by_name():
    both = measure_case(CaseFacts("a"), **ct(), **t1())
    edits = edited(both, "L3", "marrow") | edited(both, "L2", "csf")
    with pytest.raises(
        BoneQualityError,
        match="The edited ROI L2 csf, L3 marrow has no place in this case any more, or lies outside the image; move it back",
    ):
        measure_case(CaseFacts("a"), edits=edits, **ct())


@pytest.mark.parametrize("image, kind", [(ct, "middle"), (t1, "marrow")])
def test_an_edited_roi_that_lies_in_another_vertebra_is_refused_by_name(image, kind):
    result = measure_case(CaseFacts("a"), **image())
    strayed = {("L3", kind): replace(edited(result, "L2", kind)["L2", kind], level="L3")}
    with pytest.raises(BoneQualityError, match=f"The edited ROI L3 {kind} lies in L2; move it back"):
        measure_case(CaseFacts("a"), edits=strayed, **image())


def test_a_slice_that_no_rule_finds_may_be_drawn_by_hand():
    result = measure_case(CaseFacts("a"), **ct())
    upper = edited(result, "L3", "upper")["L3", "upper"]
    flat = [body for body in bodies(GRID) if body.name != "L3 body"]
    k = bodies(GRID)[2].array.shape[0]
    slab = bodies(GRID)[2]
    thin = slab.array.copy()
    thin[: k // 2 - 3], thin[k // 2 + 4 :] = False, False  # an end slice would lie less than 4 mm from the middle
    inputs = ct([*flat, Mask(slab.name, thin, slab.grid)])
    row = {row["level"]: row for row in measure_case(CaseFacts("a"), **inputs).level_rows}["L3"]
    assert "hu_upper" not in row and "no-end-slice" in row["flags"]
    row = {row["level"]: row for row in measure_case(CaseFacts("a"), edits={("L3", "upper"): upper}, **inputs).level_rows}["L3"]
    assert row["hu_upper"] == pytest.approx(60, abs=1.5) and "hu_multislice" not in row and row["edited"] == "upper"
