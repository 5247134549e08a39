"""Masks of whole vertebrae, as TotalSegmentator draws them, from nodes to values."""

from __future__ import annotations

import numpy as np
import pytest

from BoneQualityLib import CaseFacts, Parameters, measure_case
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.measures.height_loss import grade_of
from BoneQualityLib.phantoms import phantom_spine
from BoneQualityLib.scene.nodes import segmentation_node, volume_node
from budget._fractured_bodies import heights_of
from conftest import rotation

HU = {"L1": 70, "L2": 80, "L3": 90, "L4": 100, "L5": 110}
TWO = ("L2", "L3")


def flat_ct(spine, grid):
    """Bodies of their HU within cortex of 400 HU amid soft tissue and some fat, without blur: quick, and enough where shapes matter."""
    array = np.full(grid.shape, 40, np.int16)
    array[:, :4] = -100
    for vertebra in spine.vertebrae:
        array[phantom_spine.vertebra_mask(spine, vertebra.level, grid)] = 400
    for vertebra in spine.vertebrae:
        array[phantom_spine.body_mask(vertebra, grid, 1.2)] = vertebra.cancellous_hu
    return array


def measured(spine, grid, parameters=Parameters(), canal=False, render=flat_ct):
    masks = [Mask(v.level, phantom_spine.vertebra_mask(spine, v.level, grid), grid).cropped() for v in spine.vertebrae]
    if canal:
        masks.append(Mask("spinal canal", phantom_spine.canal_mask(spine, grid), grid).cropped())
    nodes = dict(ct=volume_node("CT", render(spine, grid), grid), ct_segmentation=segmentation_node("masks", masks))
    return measure_case(CaseFacts("a"), parameters=parameters, **nodes)


def errors(result, name="hu_3d"):
    return [level.values[name] - HU[level.name] for level in result.levels]


SPINES = {
    "lordotic": (dict(levels=("L4", "L5"), lordosis_deg=60), dict(spacing_mm=(1.0, 1.0, 1.25))),
    "scoliotic": (dict(levels=TWO, scoliosis_deg=20), dict(spacing_mm=(1.0, 1.0, 1.0))),
    "rotated": (dict(levels=TWO), dict(spacing_mm=(1.0, 1.0, 1.25), rotation=rotation("S", 20) @ rotation("R", 15))),
    "single": (dict(levels=("L3",)), dict(spacing_mm=(0.7, 0.7, 0.7))),
    "thick slices": (dict(levels=TWO), dict(spacing_mm=(0.8, 0.8, 3.0))),
    "3 mm voxels": (dict(levels=TWO), dict(spacing_mm=(3.0, 3.0, 3.0))),
}


@pytest.mark.parametrize(("spine", "grid"), SPINES.values(), ids=SPINES.keys())
def test_3d_hu_of_a_whole_vertebra_is_that_of_its_body(spine, grid):
    spine = phantom_spine.lumbar_spine(cancellous_hu={level: HU[level] for level in spine["levels"]}, **spine)
    result = measured(spine, phantom_spine.grid_for(spine, margin_mm=8, **grid), render=phantom_spine.render_ct)
    assert np.abs(errors(result)).max() <= 2
    assert [flag.code for flag in result.all_flags if flag.code in ("frame-uncertain", "possible-fracture")] == []


@pytest.mark.parametrize("axis", "RAS")
def test_slices_along_the_vertebra_read_the_same_on_lattices_turned_by_25_degrees(axis):
    spine = phantom_spine.lumbar_spine(("L4",), cancellous_hu=HU["L4"])
    grid = phantom_spine.grid_for(spine, (0.9, 0.9, 1.0), rotation=rotation(axis, 25), margin_mm=8)
    result = measured(spine, grid, Parameters(slice_plane="vertebra"), canal=True, render=phantom_spine.render_ct)
    assert np.abs(errors(result, "hu_multislice")).max() <= 2
    assert result.levels[0].frame.anterior_from == "canal"


def test_a_vertebra_that_the_image_covers_by_half_is_flagged_and_the_others_are_measured():
    spine = phantom_spine.lumbar_spine(("L2", "L3", "L4"), cancellous_hu={k: HU[k] for k in ("L2", "L3", "L4")})
    whole = phantom_spine.grid_for(spine, (1.0, 1.0, 1.0), margin_mm=8)
    bottom = int(whole.ijk(spine.vertebra("L4").center)[2])
    grid = whole.box((slice(bottom, whole.shape[0]), slice(0, whole.shape[1]), slice(0, whole.shape[2])))
    result = measured(spine, grid)
    assert [level.name for level in result.levels if "truncated" in [f.code for f in level.flags]] == ["L4"]
    assert np.abs([level.values["hu_3d"] - HU[level.name] for level in result.levels[:2]]).max() <= 2
    assert "hu_3d" not in result.levels[2].values


@pytest.mark.parametrize("edge", ["behind the canal", "beside the body"])
def test_a_process_that_leaves_the_field_of_view_costs_nothing(edge):
    spine = phantom_spine.lumbar_spine(("L2", "L3"), cancellous_hu={k: HU[k] for k in TWO})
    whole = phantom_spine.grid_for(spine, (1.0, 1.0, 1.0), margin_mm=8)
    away = dict([("behind the canal", [0, -48, 0]), ("beside the body", [-29, 0, 0])])[edge]
    i, j, _ = np.round(whole.ijk(spine.vertebra("L3").center + away)).astype(int)
    columns, rows = (
        (slice(0, whole.shape[2]), slice(0, j)) if edge == "behind the canal" else (slice(0, i), slice(0, whole.shape[1]))
    )
    grid = whole.box((slice(0, whole.shape[0]), rows, columns))
    result = measured(spine, grid)
    assert [flag.code for flag in result.all_flags if flag.code in ("truncated", "frame-uncertain")] == []
    assert np.abs(errors(result)).max() <= 2
    assert all("height_posterior_mm" in level.values for level in result.levels)


@pytest.mark.parametrize(("anterior", "middle", "grade"), [(14.5, 20.5, 3), (19.5, 23.0, 2), (21.7, 24.0, 1), (24.5, 25.3, 0)])
def test_a_wedge_is_suggested_as_a_fracture_and_stays_in_the_values(anterior, middle, grade):
    spine = phantom_spine.lumbar_spine(
        ("L2", "L3"),
        cancellous_hu={k: HU[k] for k in TWO},
        changes={"L3": dict(height_anterior_mm=anterior, height_middle_mm=middle)},
    )
    truth = heights_of(spine.vertebra("L3"))
    assert grade_of(100 * (1 - truth["anterior"] / truth["posterior"])) == grade
    result = measured(spine, phantom_spine.grid_for(spine, (0.8, 0.8, 0.8), margin_mm=8))
    level = result.levels[1]
    assert level.values["genant_grade"] == grade
    assert ("possible-fracture" in [flag.code for flag in level.flags]) == (grade > 0)
    assert result.values["ct_levels"] == list(TWO)


def test_strict_excludes_a_level_that_may_be_fractured():
    spine = phantom_spine.lumbar_spine(
        ("L2", "L3"), cancellous_hu={k: HU[k] for k in TWO}, changes={"L3": dict(height_anterior_mm=15)}
    )
    result = measured(spine, phantom_spine.grid_for(spine, (1.0, 1.0, 1.0), margin_mm=8), Parameters(strict=True))
    assert result.values["ct_levels"] == ["L2"]
    assert result.levels[1].row()["ct_exclusion"].startswith("possible-fracture")


def test_axes_that_cannot_be_trusted_are_flagged():
    spine = phantom_spine.lumbar_spine(("L3",), cancellous_hu=HU["L3"], posterior_elements=False)
    grid = phantom_spine.grid_for(spine, (1.0, 1.0, 1.0), margin_mm=8)
    body = phantom_spine.body_mask(spine.vertebra("L3"), grid)
    points = grid.centers() - spine.vertebra("L3").center
    slanted = body & (points[..., 2] < 4 + 0.7 * points[..., 1])
    nodes = dict(ct=volume_node("CT", flat_ct(spine, grid), grid))
    for mask, flagged in ((body, False), (slanted, True)):
        masks = segmentation_node("masks", [Mask("L3 body", mask, grid).cropped()])
        result = measure_case(CaseFacts("a"), ct_segmentation=masks, **nodes)
        assert ("frame-uncertain" in [flag.code for flag in result.all_flags]) == flagged


def test_the_angle_between_l1_and_l5_is_the_lordosis():
    spine = phantom_spine.lumbar_spine(lordosis_deg=40, cancellous_hu=HU)
    result = measured(spine, phantom_spine.grid_for(spine, (1.2, 1.2, 1.2), margin_mm=8))
    (lordosis,) = [a["degrees"] for a in result.endplate_angles() if (a["upper"], a["lower"]) == ("L1", "L5")]
    assert lordosis > 40  # the mid-planes', and the wedge shape of L5 to it
    assert lordosis == pytest.approx(40 + 8, abs=6)
