"""Heights, their loss and the grade it suggests, on analytic vertebrae whose heights are known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from BoneQualityLib.errors import NotMeasured
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.measures.heights import HeightLoss, Heights, grade_losses, grade_of, is_coarse, measure_heights
from BoneQualityLib.phantoms import phantom_spine
from BoneQualityLib.vertebra.body import place_body
from conftest import rotation

NAMES = ("anterior", "middle", "posterior")
GRIDS = {
    "upright": {},
    "left-handed": dict(left_handed=True),
    **{f"rotated 25 about {axis}": dict(rotation=rotation(axis, 25)) for axis in "RAS"},
}


@dataclass(frozen=True)
class TrueFrame:
    """The axes of a phantom's vertebra, as frame.Frame has them."""

    center: np.ndarray
    right: np.ndarray
    anterior: np.ndarray
    superior: np.ndarray


def frame_of(vertebra):
    return TrueFrame(vertebra.center, *vertebra.rotation.T)


def body_of(vertebra, grid, lip=None):
    mask = phantom_spine.body_mask(vertebra, grid)
    if lip is not None:
        mask = mask | lip(*np.moveaxis((grid.centers() - vertebra.center) @ vertebra.rotation, -1, 0))
    return place_body(vertebra.level, Mask(vertebra.level, mask, grid).cropped(), [], "body")


def spine_with(level, changes, levels=None, lordosis_deg=40.0):
    return phantom_spine.lumbar_spine(levels or (level,), lordosis_deg, posterior_elements=False, changes={level: changes})


def deformed(shape, loss, anterior=28.0, middle=26.0, posterior=28.0):
    """Heights of a body that lost ``loss`` (a share) in the way of ``shape``."""
    left = 1 - loss
    heights = {
        "wedge": (left * posterior, posterior * (left + 1) / 2 - 1, posterior),
        "biconcave": (anterior, left * posterior, posterior),
        "crush": (left * anterior, left * middle, left * posterior),
    }[shape]
    return {f"height_{name}_mm": height for name, height in zip(NAMES, heights)}


def measured(spine, level, spacing=(1, 1, 1), lip=None, **grid):
    alone = replace(spine, vertebrae=(spine.vertebra(level),))
    vertebra = alone.vertebrae[0]
    return measure_heights(body_of(vertebra, phantom_spine.grid_for(alone, spacing, margin_mm=6, **grid), lip), frame_of(vertebra))


def values(heights):
    return np.array([getattr(heights, name) for name in NAMES])


def truth(vertebra):
    return np.array([getattr(vertebra, f"height_{name}_mm") for name in NAMES])


def plain(anterior=28.0, middle=26.0, posterior=28.0):
    return Heights(anterior, middle, posterior, {})


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(
    ("shape", "loss"), [("wedge", 0.3), ("wedge", 0.6), ("biconcave", 0.3), ("biconcave", 0.6), ("crush", 0.5)]
)
def test_heights_are_true_to_half_a_millimeter_and_losses_to_two_points(shape, loss, grid):
    spine = spine_with("L3", deformed(shape, loss))
    vertebra = spine.vertebra("L3")
    heights = measured(spine, "L3", **GRIDS[grid])
    assert values(heights) == pytest.approx(truth(vertebra), abs=0.5)
    found = grade_losses({"L2": plain(), "L3": heights, "L4": plain()})["L3"]
    assert found.percent == pytest.approx(100 * loss, abs=2)
    assert (found.shape, found.grade) == (shape, 2 if loss == 0.3 else 3)


@pytest.mark.parametrize("grid", GRIDS)
def test_intact_vertebrae_have_no_grade_at_any_tilt(grid):
    spine = phantom_spine.lumbar_spine(("T11", "T12", "L1", "L2", "L3", "L4", "L5"), 60, scoliosis_deg=30, posterior_elements=False)
    heights = {v.level: measured(spine, v.level, **GRIDS[grid]) for v in spine.vertebrae}
    assert {level: loss.grade for level, loss in grade_losses(heights).items()} == dict.fromkeys(heights, 0)
    for vertebra in spine.vertebrae:
        assert values(heights[vertebra.level]) == pytest.approx(truth(vertebra), abs=0.7)


def test_finer_voxels_bring_the_heights_closer():
    spine = spine_with("L3", deformed("wedge", 0.4))
    assert values(measured(spine, "L3", (0.5, 0.5, 0.5))) == pytest.approx(truth(spine.vertebra("L3")), abs=0.3)


def test_lines_show_where_the_heights_were_taken():
    spine = spine_with("L3", deformed("wedge", 0.3), lordosis_deg=0)
    vertebra, heights = spine.vertebra("L3"), measured(spine, "L3")
    for name, share in zip(NAMES, (0.875, 0.5, 0.125)):
        lower, upper = heights.lines[name]
        assert np.linalg.norm(upper - lower) == pytest.approx(getattr(heights, name))
        along = (0.5 * (lower + upper) - vertebra.center) @ vertebra.rotation
        assert along == pytest.approx([0, (share - 0.5) * vertebra.depth_mm, 0], abs=0.7)


@pytest.mark.parametrize("side", [1, -1])
def test_osteophytes_at_the_rims_hardly_change_the_heights(side):
    def lip(x, y, z):
        """A spur 8 mm long, reaching 5 mm beyond the wall and 4 mm over the endplate."""
        return (np.abs(x) < 12) & (side * y > 14) & (side * y < 22) & (z > 9) & (z < 18)

    spine = spine_with("L3", {}, lordosis_deg=0)
    with_lip, without = (values(measured(spine, "L3", (0.7, 0.7, 0.7), lip)) for lip in (lip, None))
    assert with_lip == pytest.approx(without, abs=0.6)


def test_masks_that_show_no_whole_body_have_no_heights():
    spine = spine_with("L3", {})
    vertebra, grid = spine.vertebra("L3"), phantom_spine.grid_for(spine, (1, 1, 1), margin_mm=6)
    body = body_of(vertebra, grid)
    with pytest.raises(NotMeasured, match="cancellous"):
        measure_heights(replace(body, covers="cancellous"), frame_of(vertebra))
    with pytest.raises(NotMeasured, match="mid-sagittal plane"):
        measure_heights(body, replace(frame_of(vertebra), center=vertebra.center + [60, 0, 0]))


def test_no_grade_on_voxels_over_2_mm():
    spine = spine_with("L3", deformed("wedge", 0.6))
    bodies = {mm: body_of(spine.vertebra("L3"), phantom_spine.grid_for(spine, (mm, mm, mm), margin_mm=9)) for mm in (2, 3)}
    assert {mm: is_coarse(body) for mm, body in bodies.items()} == {2: False, 3: True}
    heights = {"L3": measure_heights(bodies[3], frame_of(spine.vertebra("L3")))}
    loss = grade_losses(heights, coarse=True)["L3"]
    assert (loss.grade, loss.shape) == (None, "") and loss.percent > 40


@pytest.mark.parametrize(("percent", "grade"), [(0, 0), (19.9, 0), (20, 1), (24.9, 1), (25, 2), (40, 2), (40.1, 3)])
def test_grades_change_where_the_reference_says(percent, grade):
    assert grade_of(percent) == grade
    height = 28 * (1 - percent / 100)
    assert grade_losses({"L3": plain(anterior=height)})["L3"].grade == grade
    assert grade_losses({"L3": plain(middle=height)})["L3"].grade == (grade if percent else 0)
    crushed = plain(height, height, height)
    assert grade_losses({"L2": plain(), "L3": crushed, "L4": plain()})["L3"].grade == grade


def test_the_largest_loss_names_the_shape():
    assert grade_losses({"L3": plain(20, 22, 28)})["L3"] == HeightLoss(pytest.approx(100 * 8 / 28), "anterior", 2, "wedge")
    assert grade_losses({"L3": plain(22, 20, 28)})["L3"].shape == "biconcave"
    assert grade_losses({"L3": plain(27, 27, 28)})["L3"].shape == ""


def test_the_posterior_reference_lies_between_the_nearest_intact_neighbors():
    heights = {"T12": plain(24, 24, 24), "L1": plain(16, 16, 16), "L2": plain(17, 17, 17), "L3": plain(27, 27, 27)}
    found = grade_losses(heights)
    assert found["L1"].percent == pytest.approx(100 * (1 - 16 / 25)) and found["L1"].shape == "crush"
    assert found["L2"].percent == pytest.approx(100 * (1 - 17 / 26)) and found["L2"].grade == 2
    assert found["T12"].grade == found["L3"].grade == 0


def test_levels_known_as_broken_are_no_reference():
    heights = {"L1": plain(27, 27, 27), "L2": plain(21, 21, 21), "L3": plain(22, 22, 22)}
    assert grade_losses(heights)["L2"].percent < 20
    assert grade_losses(heights, broken={"L3"})["L2"].percent == pytest.approx(100 * (1 - 21 / 27))


def test_l5_is_not_measured_by_l4_alone_nor_l4_by_l5():
    low = plain(20, 20, 20)
    assert grade_losses({"L4": plain(), "L5": low})["L5"].percent == 0
    assert grade_losses({"L4": low, "L5": plain()})["L4"].percent == 0
    assert grade_losses({"L4": plain(), "L5": low, "L6": plain()})["L5"].shape == "crush"


def test_endplate_defects_are_not_graded():
    found = grade_losses({"L2": plain(anterior=10), "L3": plain(anterior=10)}, defects={"L2"})
    assert (found["L2"].grade, found["L2"].shape, found["L3"].grade) == (None, "", 3)
