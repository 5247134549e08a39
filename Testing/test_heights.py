"""Heights by six-point morphometry, their loss and the grade it suggests, on bodies whose heights are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from BoneQualityLib.errors import NotMeasured
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.image import Image
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.measures.height_loss import Shape, grade_losses, grade_of, longest_voxel_mm
from BoneQualityLib.measures.heights import HEIGHTS, Heights, measure_heights
from BoneQualityLib.phantoms import phantom_spine
from BoneQualityLib.phantoms.phantom_solids import Pit
from BoneQualityLib.vertebra.body import place_body
from BoneQualityLib.vertebra.endplates import endplate_defect
from BoneQualityLib.vertebra.vertebra import Surroundings, Vertebra
from budget._fractured_bodies import Fracture, random_body
from conftest import rotation, single_vertebra

FRACTURES = {
    "intact": None,
    "wedge": Fracture("wedge", 0.5),
    "wedge of the upper endplate": Fracture("wedge", 0.6, onto=-1, power=1.4),
    "biconcave": Fracture("biconcave", 0.5),
    "biconcave below": Fracture("biconcave", 0.35, onto=1),
    "crush": Fracture("crush", 0.4),
}


def measured(vertebra, image=None, with_defects=False):
    body = place_body(vertebra.level, vertebra.body, [], vertebra.covers)
    defects = endplate_defect(body, vertebra.frame) if with_defects else None
    return measure_heights(body, vertebra.frame, vertebra.unmixed, image, defects)


def values(heights):
    return np.array([heights[name] for name in HEIGHTS], float)


def plain(anterior=28.0, middle=26.0, posterior=28.0, uncertainty=0.1, lowest=None):
    least = min(height for height in (anterior, middle) if height is not None)
    share = (least if lowest is None else lowest) / (posterior or 1.0)
    return Heights(anterior, middle, posterior, share, {}, {}, uncertainty, {})


def losses(heights, voxel_mm=1.0, broken=()):
    return grade_losses(heights, dict.fromkeys(heights, voxel_mm), broken)


@pytest.mark.parametrize("whole", [False, True], ids=["body", "whole vertebra"])
@pytest.mark.parametrize("fracture", FRACTURES)
@pytest.mark.parametrize(("spacing", "height_mm", "points"), [(0.8, 1.0, 3.0), (1.0, 1.0, 3.0), (2.0, 1.7, 7.5)])
def test_heights_and_losses_are_true_on_random_bodies_at_random_tilts(spacing, height_mm, points, fracture, whole):
    rng = np.random.default_rng(list(FRACTURES).index(fracture))
    for level in ("L1", "L4"):
        body = random_body(rng, level, FRACTURES[fracture])
        heights = measured(body.vertebra([spacing] * 3, rng, whole))
        truth = np.array([body.truth[name] for name in HEIGHTS])
        assert values(heights) == pytest.approx(truth, abs=height_mm)
        lost = 100 * (1 - values(heights)[:2] / heights.posterior)
        assert lost == pytest.approx(100 * (1 - truth[:2] / truth[2]), abs=points)


def test_the_frame_only_names_the_corners():
    rng = np.random.default_rng(4)
    vertebra = random_body(rng, "L3", Fracture("wedge", 0.4, -1)).vertebra([0.7] * 3, rng, False)
    body, frame = place_body("L3", vertebra.body, [], "body"), vertebra.frame
    turn = lambda degrees: replace(  # noqa: E731
        frame,
        superior=np.cos(np.radians(degrees)) * frame.superior + np.sin(np.radians(degrees)) * frame.anterior,
        anterior=np.cos(np.radians(degrees)) * frame.anterior - np.sin(np.radians(degrees)) * frame.superior,
    )
    straight = measure_heights(body, frame)
    for degrees in (-25, 25):
        assert values(measure_heights(body, turn(degrees))) == pytest.approx(values(straight), abs=0.2)


def test_lines_and_corners_show_where_the_heights_were_taken():
    spine = single_vertebra()
    vertebra, grid = spine.vertebra("L3"), phantom_spine.grid_for(spine, (0.7, 0.7, 0.7), margin_mm=6)
    heights = measured(Vertebra("L3", Mask("L3", phantom_spine.body_mask(vertebra, grid), grid).cropped(), "body", Surroundings()))
    for name, share in zip(("anterior", "middle", "posterior"), (0.875, 0.5, 0.125)):
        lower, upper = (heights.lines[name] - vertebra.center) @ vertebra.rotation
        assert upper[2] - lower[2] == pytest.approx(heights[name], abs=0.1)
        assert 0.5 * (lower + upper)[:2] == pytest.approx([0, (share - 0.5) * vertebra.depth_mm], abs=1.0)
    assert heights.lowest_share == pytest.approx(heights.middle / heights.posterior, abs=0.01) != 1
    for name, corner in heights.corners.items():
        along = (corner - vertebra.center) @ vertebra.rotation
        assert abs(along[1]) == pytest.approx(vertebra.depth_mm / 2, abs=1) and abs(along[2]) == pytest.approx(14.5, abs=1)
        assert ("anterior" in name, "upper" in name) == (along[1] > 0, along[2] > 0)


def test_an_osteophyte_hardly_changes_the_heights():
    spine = single_vertebra()
    vertebra, grid = spine.vertebra("L3"), phantom_spine.grid_for(spine, (0.7, 0.7, 0.7), margin_mm=12)
    x, y, z = np.moveaxis((grid.centers() - vertebra.center) @ vertebra.rotation, -1, 0)
    spur = (np.abs(x) < 12) & (y > 14) & (y < 23) & (np.abs(z - 13 - 0.3 * (y - 16)) < 1.2)
    body = phantom_spine.body_mask(vertebra, grid)
    with_spur, without = (
        measured(Vertebra("L3", Mask("L3", mask, grid).cropped(), "body", Surroundings())) for mask in (body | spur, body)
    )
    assert values(with_spur) == pytest.approx(values(without), abs=0.5)


def test_corners_of_a_round_rim_stay_on_the_bone():
    voxel_mm, radius_mm, half = 0.8, 3.0, np.array([21.0, 16.0, 13.0])
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = -voxel_mm * np.array([29.9, 23.8, 19.6])
    grid = Grid((40, 48, 60), affine)
    outside_mm = lambda points: np.linalg.norm(np.maximum(np.abs(points) - half + radius_mm, 0), axis=-1) - radius_mm  # noqa: E731
    mask = Mask("L3", outside_mm(grid.centers()) <= 0, grid).cropped()
    corners = np.array(list(measured(Vertebra("L3", mask, "body", Surroundings())).corners.values()))
    assert np.max(outside_mm(corners)) < 0.75 * voxel_mm  # where the straight sides would meet: 1.0 mm


def test_a_rim_that_one_of_two_coarse_masks_lacks_hardly_moves_the_heights():
    rng, moved = np.random.default_rng(3), []
    for level in ("L1", "L2", "L3", "L4") * 3:
        vertebra = random_body(rng, level, tilt_deg=15, dish_mm=1.5).vertebra([3.0] * 3, rng, False)
        body, frame = place_body(level, vertebra.body, [], "body"), vertebra.frame
        forward, upward = np.moveaxis((body.mask.grid.centers() - frame.center) @ frame.axes[:, 1:], -1, 0)
        edge = np.array([[forward[body.mask.array].min(), forward[body.mask.array].max()], 2 * [upward[body.mask.array].max()]])
        for at, top in edge.T:  # the rim of the upper endplate, behind and in front, less than two voxels wide
            rim = (np.abs(forward - at) < 5) & (upward > top - 4)
            without = place_body(level, Mask(level, body.mask.array & ~rim, body.mask.grid), [], "body")
            moved.append(np.abs(values(measure_heights(without, frame)) - values(measure_heights(body, frame))))
    assert np.mean(moved) < 0.42 and np.max(moved) < 2.5  # over the bands of fine voxels 0.52 and 3.4 mm


def test_a_pit_in_a_band_leaves_that_height_out_and_no_other():
    spine = single_vertebra(pit=Pit(6.0, 5.0, 0.0, 0.0))
    grid = phantom_spine.grid_for(spine, (0.8, 0.8, 0.8), margin_mm=6)
    mask = Mask("L3", phantom_spine.body_mask(spine.vertebra("L3"), grid), grid).cropped()
    heights = measured(Vertebra("L3", mask, "body", Surroundings()), with_defects=True)
    assert heights.middle is None and None not in (heights.anterior, heights.posterior)
    assert heights.reasons == ("no middle height: a pit in the upper endplate lies where it is measured",)
    assert losses({"L3": heights})["L3"].grade == 0


@pytest.mark.parametrize(("radius", "depth"), [(3.0, 4.0), (9.0, 11.0), (11.0, 7.0)])
def test_a_pit_of_any_size_leaves_the_middle_out_and_the_other_heights_right(radius, depth):
    spine = single_vertebra(pit=Pit(depth, radius, 0.0, 0.0))
    grid = phantom_spine.grid_for(spine, (0.9, 0.9, 0.9), margin_mm=6)
    mask = Mask("L3", phantom_spine.body_mask(spine.vertebra("L3"), grid), grid).cropped()
    heights = measured(Vertebra("L3", mask, "body", Surroundings()), with_defects=True)
    assert heights.middle is None
    assert (heights.anterior, heights.posterior) == pytest.approx((28, 28), abs=0.3)
    assert losses({"L3": heights})["L3"].grade == 0


@pytest.mark.parametrize(("y_mm", "left_out"), [(10.0, "anterior"), (-11.0, "posterior")])
def test_a_pit_near_the_rim_leaves_out_the_height_there(y_mm, left_out):
    spine = single_vertebra(pit=Pit(6.0, 4.0, 0.0, y_mm))
    grid = phantom_spine.grid_for(spine, (0.9, 0.9, 0.9), margin_mm=6)
    mask = Mask("L3", phantom_spine.body_mask(spine.vertebra("L3"), grid), grid).cropped()
    heights = measured(Vertebra("L3", mask, "body", Surroundings()), with_defects=True)
    right = {"anterior": 28, "middle": 26, "posterior": 28}
    assert [name for name in HEIGHTS if heights[name] is None] == [left_out]
    assert all(heights[name] == pytest.approx(right[name], abs=0.3) for name in HEIGHTS if name != left_out)


@pytest.mark.parametrize("onto", [-1, 0, 1])
def test_a_biconcave_fracture_is_no_pit(onto):
    rng = np.random.default_rng(7)
    for share in (0.35, 0.6):
        body = random_body(rng, "L2", Fracture("biconcave", share, onto))
        heights = measured(body.vertebra([0.8] * 3, rng, False), with_defects=True)
        assert heights.middle == pytest.approx(body.truth["middle"], abs=1.0) and heights.reasons == ()


def test_the_image_goes_into_the_uncertainty_and_not_into_the_heights():
    spine = single_vertebra()
    grid = phantom_spine.grid_for(spine, (0.8, 0.8, 0.8), margin_mm=10)
    image = Image("CT", phantom_spine.render_ct(spine, grid), grid)
    body = phantom_spine.body_mask(spine.vertebra("L3"), grid)
    y = (grid.centers() - spine.vertebra("L3").center)[..., 1]
    short = body & ~((y > 5) & ~np.roll(body, -2, axis=0))  # the mask misses 1.6 mm of the upper endplate in front
    exact, off = (Vertebra("L3", Mask("L3", mask, grid).cropped(), "body", Surroundings()) for mask in (body, short))
    for vertebra in (exact, off):
        assert values(measured(vertebra, image)) == pytest.approx(values(measured(vertebra)))
    assert measured(exact, image).on_image["anterior"] == pytest.approx(measured(exact).anterior, abs=0.8)
    seen, blind = (losses({"L3": heights})["L3"].uncertainty_anterior for heights in (measured(off, image), measured(off)))
    assert seen > blind + 1.5


def test_masks_that_show_no_whole_body_have_no_heights():
    spine = single_vertebra()
    grid = phantom_spine.grid_for(spine, (1, 1, 1), margin_mm=6)
    vertebra = Vertebra(
        "L3", Mask("L3", phantom_spine.body_mask(spine.vertebra("L3"), grid), grid).cropped(), "body", Surroundings()
    )
    body = place_body("L3", vertebra.body, [], "body")
    with pytest.raises(NotMeasured, match="cancellous"):
        measure_heights(replace(body, covers="cancellous"), vertebra.frame)
    with pytest.raises(NotMeasured, match="mid-sagittal plane"):
        measure_heights(body, replace(vertebra.frame, center=vertebra.frame.center + [60, 0, 0]))


@pytest.mark.parametrize("axis", "RAS")
def test_intact_vertebrae_have_no_grade_at_any_tilt(axis):
    spine = phantom_spine.lumbar_spine(("T11", "T12", "L1", "L2", "L3", "L4", "L5"), 60, scoliosis_deg=30, posterior_elements=False)
    heights = {}
    for vertebra in spine.vertebrae:
        alone = replace(spine, vertebrae=(vertebra,))
        grid = phantom_spine.grid_for(alone, (1, 1, 1), rotation=rotation(axis, 25), margin_mm=6)
        mask = Mask(vertebra.level, phantom_spine.body_mask(vertebra, grid), grid).cropped()
        heights[vertebra.level] = measured(Vertebra(vertebra.level, mask, "body", Surroundings()))
    found = losses(heights)
    assert {level: (loss.grade, loss.suggests_fracture) for level, loss in found.items()} == dict.fromkeys(heights, (0, False))


@pytest.mark.parametrize(("percent", "grade"), [(0, 0), (19.9, 0), (20, 1), (24.9, 1), (25, 2), (40, 2), (40.1, 3)])
def test_grades_change_where_the_reference_says(percent, grade):
    assert grade_of(percent) == grade
    height = 28 * (1 - percent / 100)
    assert losses({"L3": plain(anterior=height)})["L3"].grade == grade
    assert losses({"L3": plain(middle=height)})["L3"].grade == (grade if percent else 0)
    crushed = plain(height, height, height)
    found = losses({"L2": plain(), "L3": crushed, "L4": plain()})["L3"]
    assert (found.grade, found.suggests_fracture) == (grade, grade > 0)


def test_every_loss_is_told_and_the_largest_names_the_shape():
    found = losses({"L2": plain(), "L3": plain(20, 22, 27), "L4": plain()})["L3"]
    told = (found.loss_anterior, found.loss_middle, found.loss_posterior)
    assert told == pytest.approx([100 * 7 / 27, 100 * 5 / 27, 100 / 28])
    assert (found.where, found.percent, found.grade, found.shape) == ("anterior", found.loss_anterior, 2, Shape.WEDGE)
    assert losses({"L3": plain(22, 20, 28)})["L3"].shape is Shape.BICONCAVE
    assert losses({"L3": plain(27, 27, 28)})["L3"].shape is Shape.NONE


def test_uncertainties_follow_from_those_of_the_heights():
    found = losses({"L2": plain(uncertainty=0.3), "L3": plain(14, 26, 28, 0.4), "L4": plain(uncertainty=0.3)})["L3"]
    assert found.uncertainty_anterior == pytest.approx(100 / 28 * np.hypot(0.4, 0.5 * 0.4))
    assert found.uncertainty_posterior == pytest.approx(100 / 28 * np.hypot(0.4, 0.3 / np.sqrt(2)))
    assert found.uncertainty == found.uncertainty_anterior


@pytest.mark.parametrize(
    ("voxel_mm", "anterior", "grade", "borderline"),
    [(1.0, 22.3, 1, False), (1.5, 22.3, 1, True), (2.0, 22.5, 0, True), (2.0, 25.5, 0, False), (2.1, 15, None, False)],
)
def test_a_grade_near_a_border_says_so_from_1_5_mm_on_and_there_is_none_over_2_mm(voxel_mm, anterior, grade, borderline):
    found = losses({"L3": plain(anterior, uncertainty=0.2)}, voxel_mm)["L3"]
    assert (found.grade, found.borderline) == (grade, borderline)


@pytest.mark.parametrize(
    ("percent", "uncertainty", "suggested"),
    [(24, 0.7, True), (24, 2.0, False), (29, 3.0, False), (31, 9.0, True), (19, 0.1, False)],
)
def test_a_fracture_is_suggested_on_coarse_voxels_where_the_loss_is_certain(percent, uncertainty, suggested):
    height = 28 * (1 - percent / 100)
    found = losses({"L3": plain(height, 28, 28, uncertainty)}, voxel_mm=3.0)["L3"]
    assert (found.grade, found.suggests_fracture) == (None, suggested)
    assert (found.shape is Shape.WEDGE) == suggested
    between_the_bands = losses({"L3": plain(27, 27, 28, uncertainty, lowest=height)}, voxel_mm=3.0)["L3"]
    assert between_the_bands.suggests_fracture == suggested


def test_the_posterior_reference_lies_between_the_nearest_intact_neighbors():
    heights = {"T12": plain(24, 24, 24), "L1": plain(16, 16, 16), "L2": plain(17, 17, 17), "L3": plain(27, 27, 27)}
    found = losses(heights)
    assert found["L1"].percent == pytest.approx(100 * (1 - 16 / 25)) and found["L1"].shape is Shape.CRUSH
    assert found["L2"].percent == pytest.approx(100 * (1 - 17 / 26)) and found["L2"].grade == 2
    assert found["T12"].grade == found["L3"].grade == 0


def test_levels_known_as_broken_are_no_reference():
    heights = {"L1": plain(27, 27, 27), "L2": plain(21, 21, 21), "L3": plain(22, 22, 22)}
    assert losses(heights)["L2"].percent < 20
    assert losses(heights, broken={"L3"})["L2"].percent == pytest.approx(100 * (1 - 21 / 27))


def test_l5_is_not_measured_by_l4_alone_nor_l4_by_l5():
    low = plain(20, 20, 20)
    assert losses({"L4": plain(), "L5": low})["L5"].loss_posterior is None
    assert losses({"L4": low, "L5": plain()})["L4"].loss_posterior is None
    assert losses({"L4": plain(), "L5": low, "L6": plain()})["L5"].shape is Shape.CRUSH


def test_a_height_that_is_left_out_leaves_the_others_to_be_judged():
    found = losses({"L3": plain(14, None, 28)})["L3"]
    assert (found.loss_middle, found.grade, found.shape) == (None, 3, Shape.WEDGE)
    assert losses({"L3": plain(14, 26, None)}) == {}


def test_a_wedge_of_a_whole_case_is_graded_and_suggested():
    spine = single_vertebra()
    grid = phantom_spine.grid_for(spine, (3, 3, 3), margin_mm=9)
    mask = Mask("L3", phantom_spine.body_mask(spine.vertebra("L3"), grid), grid).cropped()
    assert longest_voxel_mm(place_body("L3", mask, [], "body")) == 3.0
