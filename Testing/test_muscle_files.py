"""Muscles from files and nodes to tables: the command, the case, its document, and the demo."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

import spine_files
from BoneQualityLib.batch.manifest import read_manifest
from BoneQualityLib.batch.run import run_batch
from BoneQualityLib.columns import MUSCLE_COLUMNS
from BoneQualityLib.entry.measure_case import measure_case
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.measures.muscle_slices import read_pixels
from BoneQualityLib.outputs.pictures import draw
from BoneQualityLib.parameters import CaseFacts, Parameters
from BoneQualityLib.phantoms import demo
from BoneQualityLib.phantoms.phantom_muscles import axial_grid, mask_of, paraspinal_muscles, render
from BoneQualityLib.scene.arrays import image_of
from BoneQualityLib.scene.case_nodes import nodes_of
from BoneQualityLib.scene.masks import named_segments
from BoneQualityLib.scene.nodes import segmentation_node, volume_node
from BoneQualityLib.scene.scene_case import SceneCase
from BoneQualityLib.scene.seen import seen_of
from BoneQualityLib.scene.session import mrml_scene
from scene_cases import edited_names, edited_rois, node_of, show_case, unread_edits
from spine_files import image_file, measure, segmentation_file

FAT = {"psoas major": 0.05, "multifidus": 0.3, "erector spinae": 0.2}
PHANTOM = paraspinal_muscles(FAT, discs={"L3-L4": ((0, 0, 20), (0, 0, 1)), "L4-L5": ((0, 0, -16), (0, 0, 1))}, scale=1.1)
GRID = axial_grid(PHANTOM, (0.9, 0.9, 4.0))
MUSCLES = tuple(compartment.name for compartment in PHANTOM.compartments)
DISCS = tuple(disc.name for disc in PHANTOM.discs)
SPEC_COLUMNS = (
    "case_id disc muscle side area_mm2 disc_area_mm2 rcsa fat_infiltration_percent fat_fraction_percent fat_threshold".split()
)


@cache
def array(kind: str) -> np.ndarray:
    return np.rint(render(PHANTOM, GRID, kind, 5.0, seed=4)).astype(np.int16)


@cache
def masks() -> dict[str, np.ndarray]:
    return {name: mask_of(PHANTOM, name, GRID) for name in (*MUSCLES, *DISCS)}


def nodes(kind: str = "t2", names=(*MUSCLES, *DISCS)) -> dict:
    """An axial image and its segmentation as measure_case takes them."""
    return dict(
        axial_mr=volume_node("T2", array(kind), GRID),
        axial_mr_segmentation=segmentation_node("muscles", [Mask(name, masks()[name], GRID) for name in names]),
    )


@pytest.fixture
def files(tmp_path):
    """Axial T2, fat and water, a .seg.nrrd of muscles and discs, and the muscles as a label map with its labels."""
    for kind in ("t2", "fat", "water"):
        image_file(tmp_path / f"{kind}.nrrd", array(kind), GRID)
    image_file(tmp_path / "ct.nii.gz", array("ct"), GRID)
    segmentation_file(tmp_path / "muscles.seg.nrrd", masks(), GRID)
    labels = np.sum([value * masks()[name] for value, name in enumerate(MUSCLES, 1)], axis=0).astype(np.uint8)
    image_file(tmp_path / "labels.nii.gz", labels, GRID)
    rows = "".join(f"{value},{name}\n" for value, name in enumerate(MUSCLES, 1))
    (tmp_path / "labels.csv").write_text(f"value,name\n{rows}")
    return tmp_path


def masked(files) -> list:
    return ["--axial-mr-segmentation", files / "muscles.seg.nrrd"]


def rows_of(outcome) -> list[dict]:
    assert (outcome.status, outcome.err) == (0, ""), outcome
    assert sorted(outcome.files) == ["case.json", "case_case.csv", "case_levels.csv", "case_muscles.csv"]
    return list(csv.DictReader(outcome.files["case_muscles.csv"].decode().splitlines()))


def test_an_axial_mri_alone_gives_areas_rcsa_and_fat(capfd, files):
    outcome = measure(capfd, files / "out", "--axial-mr", files / "t2.nrrd", *masked(files), "--t-score", "-2.5")
    rows = rows_of(outcome)
    assert list(rows[0])[:10] == SPEC_COLUMNS
    assert [(row["disc"], f"{row['side']} {row['muscle']}") for row in rows] == [
        (d, name) for d in DISCS for name in (*MUSCLES, "both all")
    ]
    for row in rows:
        if row["muscle"] != "all":
            compartment = PHANTOM.compartment(f"{row['side']} {row['muscle']}")
            assert float(row["area_mm2"]) == pytest.approx(compartment.area, rel=0.01)
            assert float(row["fat_infiltration_percent"]) == pytest.approx(100 * compartment.fat, abs=1.0)
            assert float(row["rcsa"]) == pytest.approx(float(row["area_mm2"]) / float(row["disc_area_mm2"]), abs=1e-3)
            assert float(row["fat_threshold"]) == pytest.approx(400, abs=10)
        assert row["fat_fraction_percent"] == "" and row["flags"] == ""
    assert [float(row["rcsa"]) for row in rows if row["muscle"] == "all"] == pytest.approx(
        [PHANTOM.rcsa(d) for d in DISCS], rel=0.01
    )
    case = outcome.case
    assert float(case["rcsa"]) == pytest.approx(PHANTOM.rcsa("L3-L4"), rel=0.01) and case["rcsa_discs"] == "L3-L4 L4-L5"
    assert float(case["fat_infiltration_percent"]) == pytest.approx(PHANTOM.fat_infiltration(), abs=1.0)
    assert (case["t_score"], case["flags"], case["fat_fraction_percent"]) == ("-2.50", "disc-absent", "")
    assert "rCSA 3.0" in outcome.out and "left psoas major" in outcome.out


def test_the_json_says_where_and_with_what_every_muscle_was_read(capfd, files):
    content = measure(capfd, files / "out", "--axial-mr", files / "t2.nrrd", *masked(files)).json
    there = content["muscle_slices"][0]
    assert (there["name"], there["slice_from"], there["normal"]) == ("L3-L4", "middle of the disc's mask", [0, 0, 1])
    assert {roi["kind"] for roi in there["rois"]} == {*MUSCLES, "disc"} and {roi["level"] for roi in there["rois"]} == {"L3-L4"}
    assert all(np.ptp(np.array(roi["outlines_ras"][0])[:, 2]) < 1e-6 for roi in there["rois"])
    left = there["thresholds"]["left"]
    assert left["method"] == "reference" and left["low"] == pytest.approx((left["lean_mode"] + left["fat_mode"]) / 2)
    axial = content["inputs"]["axial_mr"]
    assert len(axial["sha256"]) == 64 and set(axial["masks"]) == {*MUSCLES, "L3-L4 disc", "L4-L5 disc"}
    assert content["parameters"]["fat_threshold"] == "reference" and content["parameters"]["disc_slices"] == ""


def test_fat_and_water_without_another_image_are_a_normal_input(capfd, files):
    outcome = measure(capfd, files / "out", "--fat", files / "fat.nrrd", "--water", files / "water.nrrd", *masked(files))
    for row in rows_of(outcome):
        if row["muscle"] != "all":
            truth = PHANTOM.fat_fraction(f"{row['side']} {row['muscle']}")
            assert float(row["fat_fraction_percent"]) == pytest.approx(truth, abs=1.0)
        assert row["fat_infiltration_percent"] == row["fat_threshold"] == ""
    truth = np.mean([PHANTOM.fat_fraction(name) for name in MUSCLES])
    assert float(outcome.case["fat_fraction_percent"]) == pytest.approx(truth, abs=1.0)
    assert set(outcome.json["inputs"]) == {"fat", "water"}


def test_a_label_map_without_discs_is_reported_by_slice_or_at_positions_given(capfd, files):
    given = ["--axial-mr", files / "t2.nrrd", "--axial-mr-segmentation", f"{files / 'labels.nii.gz'}@{files / 'labels.csv'}"]
    by_slice = measure(capfd, files / "slices", *given)
    rows = rows_of(by_slice)
    assert (
        len(rows) == 6 * GRID.shape[0]
        and {row["disc"] for row in rows} == {""}
        and len({row["slice_s_mm"] for row in rows}) == GRID.shape[0]
    )
    assert by_slice.case["rcsa"] == by_slice.case["fat_infiltration_percent"] == "" and "no disc is known" in by_slice.out
    at_discs = measure(capfd, files / "given", *given, "--disc-slices", "L3-L4=20,L4-L5=-16", "--fat-threshold", "400")
    rows = rows_of(at_discs)
    assert {row["disc"] for row in rows} == set(DISCS) and {row["fat_threshold"] for row in rows if row["muscle"] != "all"} == {
        "400.00"
    }
    assert "no mask of the disc" in rows[6]["reason"] and at_discs.case["rcsa"] == ""
    assert float(at_discs.case["fat_infiltration_percent"]) == pytest.approx(PHANTOM.fat_infiltration(), abs=1.0)


def test_a_ct_is_read_by_its_hu(capfd, files):
    rows = rows_of(measure(capfd, files / "out", "--axial-mr", files / "ct.nii.gz", *masked(files)))
    found = {f"{row['side']} {row['muscle']}": row for row in rows if row["disc"] == "L3-L4"}
    assert float(found["left multifidus"]["fat_infiltration_percent"]) == pytest.approx(30, abs=2.5)
    assert found["left multifidus"]["fat_threshold"] == "-30.00"


def test_a_ct_without_air_in_view_is_read_by_its_hu_and_an_mri_below_zero_by_its_signal():
    """CT cropped to the trunk holds no value below that of fat; interpolation puts the background of an MRI a little below zero."""
    inputs = nodes("ct")
    for lowest in (-1000, -150):
        inputs["axial_mr"] = volume_node("CT", np.maximum(array("ct"), lowest), GRID)
        there = measure_case(CaseFacts("a"), **inputs).muscles.slices[0]
        assert there.find("multifidus", "left").fat_infiltration == pytest.approx(30, abs=2.5), lowest
    inputs["axial_mr"] = volume_node("T2", np.where(array("t2") < 60, -40, array("t2")), GRID)
    assert measure_case(CaseFacts("a"), **inputs).muscles.slices[0].thresholds["left"].method == "reference"


def test_muscles_drawn_on_another_image_than_the_discs_are_an_error():
    away = GRID.ijk_to_ras + np.array([[0, 0, 0, 0], [0, 0, 0, 300], [0, 0, 0, 0], [0, 0, 0, 0]])
    drawn = [Mask(name, masks()[name], Grid(GRID.shape, away) if name in MUSCLES else GRID) for name in masks()]
    inputs = dict(nodes(), axial_mr_segmentation=segmentation_node("muscles", drawn))
    with pytest.raises(BoneQualityError, match="Nothing can be measured; check the masks and the image they were drawn on"):
        measure_case(CaseFacts("a"), **inputs)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--axial-mr", "t2.nrrd"], "The axial MRI needs a segmentation: give --axial-mr-segmentation too"),
        (["--axial-mr-segmentation", "muscles.seg.nrrd"], "needs its image: give --axial-mr or --fat or --water too"),
        (["--fat", "fat.nrrd", "--axial-mr-segmentation", "muscles.seg.nrrd"], "needs a fat and a water image"),
        (["--axial-mr", "t2.nrrd", "--axial-mr-segmentation", "muscles.seg.nrrd", "--fat-threshold", "x"], "fat threshold is 'x'"),
        (["--axial-mr", "t2.nrrd", "--axial-mr-segmentation", "muscles.seg.nrrd", "--disc-slices", "L3=2"], "'L3=2' among the slices at discs is no disc"),
        (["--axial-mr", "ct.nii.gz", "--axial-mr-segmentation", "muscles.seg.nrrd", "--fat-threshold", "otsu"], "is a CT"),
        (["--fat", "ct.nii.gz", "--water", "water.nrrd", "--axial-mr-segmentation", "muscles.seg.nrrd"], "choose the fat image"),
        (["--axial-mr", "t2.nrrd", "--axial-mr-segmentation", "labels.nii.gz"], "name its label scheme"),
    ],
)
def test_bad_input_is_refused_in_one_line(capfd, files, arguments, said):
    given = [files / part if (files / part).is_file() else part for part in arguments]
    assert said in measure(capfd, files / "out", *given).refusal()


def test_swapped_sides_are_refused_in_one_line(capfd, files):
    swapped = dict(masks(), **{"left psoas major": masks()["right psoas major"], "right psoas major": masks()["left psoas major"]})
    path = segmentation_file(files / "swapped.seg.nrrd", swapped, GRID)
    said = measure(capfd, files / "out", "--axial-mr", files / "t2.nrrd", "--axial-mr-segmentation", path).refusal()
    assert "left psoas major is named left but lies on the patient's right" in said


def test_a_run_without_muscles_leaves_no_table_of_an_earlier_one(capfd, files, tmp_path):
    before = set(measure(capfd, files / "out", "--axial-mr", files / "t2.nrrd", *masked(files)).files)
    assert measure(capfd, files / "out", "--axial-mr", files / "t2.nrrd", *masked(files)).status == 2
    spine = spine_files.spine_files(tmp_path / "spine")
    again = measure(capfd, files / "out", *spine.of_ct, "--overwrite")
    assert before - set(again.files) == {"case_muscles.csv"} and "left multifidus" not in again.out


def test_the_bodies_of_the_ct_say_where_discs_without_masks_lie():
    center = {"L3": 39.0, "L4": 1.0}
    grid = Grid((70, 40, 40), np.array([[-2.0, 0, 0, 39], [0, -2, 0, 49], [0, 0, 2, -49], [0, 0, 0, 1]]))
    bodies = {level: spine_files.cylinder(grid, s) for level, s in center.items()}
    hu = np.where(np.any(list(bodies.values()), axis=0), 120, 40).astype(np.int16)
    for body in bodies.values():
        hu[body & ~ndimage.binary_erosion(body)] = 300  # a cortical rim
    hu[:, :3] = -1000
    ct = dict(
        ct=volume_node("CT", hu, grid),
        ct_segmentation=segmentation_node("bodies", [Mask(f"{level} body", mask, grid) for level, mask in bodies.items()]),
    )
    result = measure_case(CaseFacts("a"), **ct, **nodes(names=MUSCLES))
    assert [there.disc for there in result.muscles.slices] == ["L3-L4"]
    assert result.muscles.slices[0].plane.source == "midway between the bodies of L3 and L4 on the CT"
    assert result.values["hu_3d"] == pytest.approx(120, abs=5)
    assert result.values["fat_infiltration_percent"] == pytest.approx(PHANTOM.fat_infiltration(), abs=1)


def test_tables_and_nodes_hold_the_muscles_only_with_axial_images():
    result = measure_case(CaseFacts("a"), **nodes())
    levels, case, muscles = result.to_table_nodes()
    assert muscles.GetNumberOfRows() == 14 and muscles.GetNumberOfColumns() == len(MUSCLE_COLUMNS)
    assert muscles.GetTable().GetValueByName(0, "area_mm2").ToDouble() == pytest.approx(PHANTOM.compartments[0].area, rel=0.01)
    assert case.GetTable().GetValueByName(0, "rcsa").ToDouble() == pytest.approx(PHANTOM.rcsa("L3-L4"), rel=0.01)
    assert len(result.rois) == 14 and {roi.level for roi in result.rois} == set(DISCS)
    assert len(result.muscles.fat_pixels) == 12


def test_a_muscle_roi_that_a_person_edited_is_read_as_it_is():
    placed = measure_case(CaseFacts("a"), **nodes())
    roi = placed.muscles.slices[0].find("multifidus", "left").roi
    smaller = type(roi)(roi.level, roi.kind, roi.center, roi.u, roi.v, edited=True,
                        outlines=tuple((curve - curve.mean(axis=0)) / 2 + curve.mean(axis=0) for curve in roi.outlines))  # fmt: skip
    result = measure_case(CaseFacts("a"), edits={("L3-L4", "left multifidus"): smaller}, **nodes())
    edited = result.muscles.slices[0].find("multifidus", "left")
    inside, values = read_pixels(smaller, image_of(nodes()["axial_mr"]))
    assert edited.area == pytest.approx(roi.area / 4, rel=0.01)
    assert edited.fat_infiltration == pytest.approx(100 * np.mean(values > result.muscles.slices[0].thresholds["left"].low))
    assert [row["edited"] for row in result.muscle_rows if row["muscle"] == "multifidus"] == ["yes", "", "", ""]
    assert result.case_row["edited"] == "yes"
    with pytest.raises(BoneQualityError, match="L1-L2 left multifidus has no place"):
        measure_case(CaseFacts("a"), edits={("L1-L2", "left multifidus"): smaller}, **nodes())


@pytest.fixture
def shown():
    """A case's inputs as nodes; the case is in the scene."""
    inputs = nodes()
    show_case(measure_case(CaseFacts("a"), **inputs), inputs["axial_mr"])
    return inputs


def move(role: str, by) -> None:
    curve = node_of("a", role)
    for n in range(curve.GetNumberOfControlPoints()):
        curve.SetNthControlPointPositionWorld(n, *(np.array(curve.GetNthControlPointPositionWorld(n)) + by))


def update(inputs):
    """Read the edited ROIs and show what came out, as the panel's button does."""
    result = measure_case(CaseFacts("a"), edits=edited_rois("a"), **inputs)
    show_case(result, inputs["axial_mr"])
    return result


def test_moved_muscles_keep_the_threshold_of_the_fat_beside_them(shown):
    for name in MUSCLES:
        move(f"L3-L4 {name}", [1.0, 0, 0])
    there = update(shown).muscles.slices[0]
    for side in ("left", "right"):
        assert there.thresholds[side].fat_mode == pytest.approx(700, abs=5)
    assert there.find("multifidus", "right").fat_infiltration == pytest.approx(30, abs=2)


@pytest.mark.parametrize("away", [(-400, 0, 0), (0, 0, 400), (0, -60, 0)])
def test_a_muscle_out_of_the_image_loses_its_own_values_alone_and_says_why(shown, away):
    before = {(row["disc"], row["muscle"], row["side"]): row for row in measure_case(CaseFacts("a"), **shown).muscle_rows}
    move("L3-L4 left multifidus", away)
    result = update(shown)
    for row in result.muscle_rows:
        placed = before[row["disc"], row["muscle"], row["side"]]
        if (row["disc"], row["muscle"], row["side"]) == ("L3-L4", "multifidus", "left"):
            assert row["area_mm2"] is row["rcsa"] is row["fat_infiltration_percent"] is None and row["edited"] == "yes"
            assert row["reason"] == "the ROI reaches beyond the image; move it back"
        elif row["muscle"] != "all":
            assert row["area_mm2"] == placed["area_mm2"] and row["reason"] == ""
            assert row["fat_infiltration_percent"] == pytest.approx(placed["fat_infiltration_percent"], abs=0.3)
    assert result.values["rcsa_discs"] == ["L4-L5"] and unread_edits("a") == [] and edited_names("a") == ["L3-L4 left multifidus"]


@pytest.mark.parametrize("away", [(-400, 0, 0), (0, 0, 400)])
def test_a_disc_out_of_the_image_loses_its_own_area_alone_and_says_why(shown, away):
    move("L3-L4 disc", away)
    result = update(shown)
    assert result.muscles.slices[0].disc_area is None and result.muscles.slices[0].total_area() > 0
    assert "no rCSA at L3-L4: disc: the ROI reaches beyond the image; move it back" in result.reasons
    assert result.values["rcsa_discs"] == ["L4-L5"] and unread_edits("a") == [] and edited_names("a") == ["L3-L4 disc"]


def test_a_muscle_with_a_speck_beside_it_can_be_edited():
    grid = Grid((3, 128, 128), np.array([[-0.25, 0, 0, 1.0], [0, -0.25, 0, -31], [0, 0, 4, 16], [0, 0, 0, 1]]))
    drawn = mask_of(PHANTOM, "left multifidus", grid)
    drawn[:, 4, 4] = True
    inputs = dict(
        axial_mr=volume_node("T2", render(PHANTOM, grid), grid),
        axial_mr_segmentation=segmentation_node("muscles", [Mask("left multifidus", drawn, grid)]),
        parameters=Parameters(disc_slices="L3-L4=20", fat_threshold="400"),
    )
    placed = measure_case(CaseFacts("a"), **inputs)
    assert len(placed.muscles.slices[0].compartments[0].roi.outlines) == 2
    show_case(placed, inputs["axial_mr"])
    move("L3-L4 left multifidus", [0.25, 0, 0])
    (row, _) = measure_case(CaseFacts("a"), edits=edited_rois("a"), **inputs).muscle_rows
    assert row["edited"] == "yes" and row["area_mm2"] == pytest.approx(PHANTOM.compartment("left multifidus").area, rel=0.01)
    assert row["fat_infiltration_percent"] == pytest.approx(30, abs=1)


def test_one_of_two_outlines_that_was_deleted_is_an_edit_until_the_roi_is_put_back(shown):
    key, drawn = ("L3-L4", "left multifidus"), mask_of(PHANTOM, "left multifidus", GRID)
    drawn[:, 4:9, 4:9] = True
    inputs = dict(shown, axial_mr_segmentation=segmentation_node("muscles", [Mask("left multifidus", drawn, GRID)]))
    inputs["parameters"] = Parameters(disc_slices="L3-L4=20", fat_threshold="400")
    show_case(measure_case(CaseFacts("a"), **inputs), inputs["axial_mr"])
    assert len(edited_rois("a")) == 0 and node_of("a", "L3-L4 left multifidus 2") is not None
    mrml_scene().RemoveNode(node_of("a", "L3-L4 left multifidus"))
    assert edited_names("a") == unread_edits("a") == [" ".join(key)] and len(edited_rois("a")[key].outlines) == 1
    show_case(measure_case(CaseFacts("a"), edits=edited_rois("a"), **inputs), inputs["axial_mr"])
    assert unread_edits("a") == [] and edited_names("a") == [" ".join(key)]
    SceneCase("a").put_back(key)
    assert edited_names("a") == [] and unread_edits("a") == [" ".join(key)], "to be placed anew"


@pytest.mark.parametrize("pair", [False, True])
def test_slices_without_a_disc_show_every_pixel_that_was_read_in_few_segments(pair):
    inputs = nodes(names=MUSCLES)
    if pair:
        inputs = dict(axial_mr_segmentation=inputs["axial_mr_segmentation"], fat=volume_node("fat", array("fat"), GRID),
                      water=volume_node("water", array("water"), GRID))  # fmt: skip
    result = measure_case(CaseFacts("a"), **inputs)
    show_case(result, inputs.get("axial_mr"))
    regions = {segment.name: segment.load() for segment in named_segments(node_of("a", "muscle regions"))}
    assert list(regions) == list(MUSCLES)
    for name, region in regions.items():
        indices = np.round(GRID.ijk(region.points)).astype(int)
        assert set(map(tuple, indices[:, ::-1])) == set(map(tuple, np.argwhere(masks()[name])))
    fat = node_of("a", "fat")
    assert (fat is None) == pair and (pair or fat.GetSegmentation().GetNumberOfSegments() == len(MUSCLES))
    assert not [role for role in nodes_of("a") if "slice" in role or role.startswith("S ")] and unread_edits("a") == []


def test_at_discs_curves_show_the_muscles_and_no_regions_lie_over_them(shown):
    roles = set(nodes_of("a"))
    assert {f"{disc} {name}" for disc in DISCS for name in (*MUSCLES, "disc")} <= roles and "muscle regions" not in roles
    show_case(measure_case(CaseFacts("a"), **nodes(names=MUSCLES)), shown["axial_mr"])
    assert "muscle regions" in nodes_of("a") and "L3-L4 disc" not in nodes_of("a")


def test_slices_along_the_discs_are_asked_for_with_the_plane_of_the_vertebra():
    result = measure_case(CaseFacts("a"), parameters=Parameters(slice_plane="vertebra"), **nodes())
    assert result.values["slice_plane"] == "vertebra" and result.values["rcsa"] == pytest.approx(PHANTOM.rcsa("L3-L4"), rel=0.02)


@pytest.mark.parametrize("names", [(*MUSCLES, *DISCS), (*MUSCLES[:4], *DISCS), MUSCLES])
def test_every_slice_has_a_picture(names):
    given = nodes(names=names)
    result = measure_case(CaseFacts("a"), **given)
    assert [picture.kind for picture in result.pictures] == ["muscles"] * len(result.muscles.slices)
    assert all(len(picture.png) > 20000 for picture in result.pictures)


def test_the_demo_shows_the_five_indicators_beside_the_truth():
    spine = demo.demo_spine()
    phantom = demo.demo_muscles(spine)
    grid = axial_grid(phantom, demo.AXIAL_SPACING_MM)
    muscles = demo._muscles(phantom, grid)
    image = volume_node("demo axial", np.rint(render(phantom, grid, "t2", demo.AXIAL_NOISE, seed=3)).astype(np.int16), grid)
    result = measure_case(CaseFacts("demo"), axial_mr=image, axial_mr_segmentation=segmentation_node("demo muscles", muscles))
    assert result.values["rcsa"] == pytest.approx(np.mean([phantom.rcsa(disc.name) for disc in phantom.discs]), rel=0.01)
    assert result.values["fat_infiltration_percent"] == pytest.approx(phantom.fat_infiltration(), abs=0.5)
    assert [disc.name for disc in phantom.discs] == ["L1-L2", "L2-L3", "L3-L4", "L4-L5"]
    values = dict(t_score=-2.6, hu_middle=81.5, vbq=3.2, ct_levels=["L1"], t1_levels=["L1"], rcsa_discs=["L1-L2"])
    lines = demo.indicators(type("Result", (), dict(values=dict(result.values, **values))), spine)
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "T-score, as given", "HU, middle slices of L1-L4", "VBQ", "rCSA of the muscles", "fat infiltration, %",
    ]  # fmt: skip


def test_a_real_volunteers_muscles_from_the_files_as_they_come(capfd, shared_data, tmp_path):
    folder = shared_data / "mr_axial_muscles"
    (tmp_path / "labels.csv").write_text(
        "value,name\n1,right erector spinae\n2,right multifidus\n3,left multifidus\n4,left erector spinae\n"
    )
    outcome = measure(
        capfd, tmp_path / "out", "--fat", folder / "TUM01_fat.nii.gz", "--water", folder / "TUM01_water.nii.gz",
        "--axial-mr-segmentation", f"{folder / 'TUM01_muscles.nii.gz'}@{tmp_path / 'labels.csv'}",
    )  # fmt: skip
    rows = rows_of(outcome)
    assert len(rows) == 4 * 29
    for name, published in (
        ("right erector spinae", 13.2),
        ("right multifidus", 14.9),
        ("left multifidus", 12.9),
        ("left erector spinae", 12.2),
    ):
        found = [row for row in rows if f"{row['side']} {row['muscle']}" == name]
        mean = np.average([float(row["fat_fraction_percent"]) for row in found], weights=[float(row["area_mm2"]) for row in found])
        assert mean == pytest.approx(published, abs=1.0)
    assert json.loads(outcome.files["case.json"])["case"]["flags"] == "disc-absent"


def test_a_real_ct_reports_autochthon_and_iliopsoas_as_what_they_are(capfd, shared_data, tmp_path):
    folder = shared_data / "ct_L1-L5_3mm"
    outcome = measure(
        capfd, tmp_path / "out", "--axial-mr", folder / "ct_slab.nii.gz",
        "--axial-mr-segmentation", f"{folder / 'totalseg_slab.nii.gz'}@totalsegmentator",
    )  # fmt: skip
    rows = rows_of(outcome)
    assert {row["muscle"] for row in rows} == {"iliopsoas", "autochthon", "all"}
    assert all(0 <= float(row["fat_infiltration_percent"]) < 30 for row in rows if row["muscle"] != "all")
    assert "autochthon" in rows[-1]["reason"] and outcome.case["rcsa"] == ""


def test_a_batch_has_the_muscles_of_the_cases_that_have_axial_images(capfd, files):
    """By columns of the options' names; the table of all cases holds those of each."""
    spine_files.spine_files(files / "spine")
    (files / "m.csv").write_text(
        "case_id;axial_mr;axial_mr_segmentation;fat;water;ct;ct_segmentation;fat_threshold;disc_slices\n"
        "case;t2.nrrd;muscles.seg.nrrd;;;;;380;L2-L3=10\n"
        "ct;;;;;spine/ct.nii.gz;spine/ct.seg.nrrd;;\n"
        "dixon;;muscles.seg.nrrd;fat.nrrd;water.nrrd;;;;\n"
    )
    batch = run_batch(files / "m.csv", files / "many", workers=0)
    assert batch.failures == {} and batch.tables == ["cohort.csv", "levels.csv", "muscles.csv", "failures.csv", "index.html"]
    alone = measure(
        capfd, files / "out", "--axial-mr", files / "t2.nrrd", *masked(files), "--fat-threshold", "380", "--disc-slices", "L2-L3=10"
    )
    assert all((files / "many" / name).read_bytes() == content for name, content in alone.files.items())
    rows = (files / "many" / "muscles.csv").read_text().splitlines()
    assert rows[0].split(",") == [column.name for column in MUSCLE_COLUMNS]
    assert list(dict.fromkeys(row.split(",")[0] for row in rows[1:])) == ["case", "dixon"]
    with open(files / "many" / "cohort.csv") as file:
        cohort = {row["case_id"]: row for row in csv.DictReader(file)}
    assert cohort["ct"]["rcsa"] == "" and float(cohort["dixon"]["rcsa"]) == pytest.approx(PHANTOM.rcsa("L3-L4"), rel=0.01)


def test_a_manifest_without_masks_of_axial_images_is_refused(files):
    (files / "m.csv").write_text("case_id,fat,water,axial_mr_segmentation\na,fat.nrrd,water.nrrd,\nb,,,muscles.seg.nrrd\n")
    with pytest.raises(BoneQualityError) as caught:
        read_manifest(files / "m.csv")
    assert [(row, column) for row, column, _ in caught.value.faults] == [(2, "axial_mr_segmentation"), (3, "axial_mr")]


@pytest.mark.parametrize("names", [(*MUSCLES, *DISCS), MUSCLES])
def test_the_panel_draws_the_pictures_of_the_command_line_with_and_without_discs(names):
    inputs = nodes(names=names)
    result = measure_case(CaseFacts("a"), **inputs)
    show_case(result, inputs["axial_mr"])
    drawn = draw(SceneCase("a").document, seen_of(SceneCase("a"), inputs))
    assert len(drawn) > 1 and [picture.png for picture in drawn] == [picture.png for picture in result.pictures]
    assert draw(SceneCase("a").document, replace(result.seen, fat=()))[0].png != drawn[0].png, "fat is seen"
