"""Known answers on CT: analytic vertebrae, box-averaged voxels, PSF sigma 0.6 mm."""

from __future__ import annotations

import numpy as np
import pytest

from BoneQualityLib.errors import NotMeasured
from BoneQualityLib.image.acquisition import ImageTags
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.image import Image
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.image.resampling import resample
from BoneQualityLib.measures.ellipse import largest_ellipse
from BoneQualityLib.measures.endosteal import read_endosteum
from BoneQualityLib.measures.hounsfield import measure_level
from BoneQualityLib.measures.region import place_wide, read_region
from BoneQualityLib.measures.roi import PlanarRoi
from BoneQualityLib.measures.slices import IN_PLANE_STEP_MM, REFORMAT_STEP_MM, place_slices, slice_stack
from BoneQualityLib.parameters import Parameters
from BoneQualityLib.phantoms import phantom_spine
from BoneQualityLib.phantoms.phantom_solids import Pit, cement
from BoneQualityLib.vertebra.body import place_body
from BoneQualityLib.vertebra.frame import place_frame
from conftest import body_of, ct_of, rotation, single_vertebra

SLICES = ("hu_upper", "hu_middle", "hu_lower")


def measured(spine, grid, noise_sd=0.0, mask_grid=None, margin=3.0, exclusions=(), avoid=True):
    image = ct_of(spine, grid, noise_sd)
    parameters = Parameters(cancellous_margin_mm=margin, avoid_basivertebral=avoid)
    return measure_level(body_of(spine, mask_grid or grid, exclusions=exclusions), image, parameters)


@pytest.mark.parametrize(
    ("spacing", "tolerance"),
    [((0.35, 0.35, 0.6), 1), ((0.5, 0.5, 0.5), 1), ((0.7, 0.7, 1.0), 1), ((1, 1, 1.25), 1), ((0.7, 0.7, 3), 3), ((3, 3, 3), 3)],
)
def test_3d_hu_is_the_true_mean_at_any_voxel_size(spacing, tolerance):
    spine = single_vertebra()
    values = measured(spine, phantom_spine.grid_for(spine, spacing)).values
    assert values["hu_3d"] == pytest.approx(120, abs=tolerance)


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (0.7, 0.7, 1.0), (1, 1, 1.25)])
def test_slice_values_are_the_true_mean(spacing):
    spine = single_vertebra()
    values = measured(spine, phantom_spine.grid_for(spine, spacing)).values
    assert [values[name] for name in SLICES] == pytest.approx([120] * 3, abs=1.5)


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.8), (0.7, 0.7, 1.0), (1, 1, 1)])
def test_noise_of_30_hu_does_not_move_the_values(spacing):
    spine = single_vertebra()
    values = measured(spine, phantom_spine.grid_for(spine, spacing), noise_sd=30).values
    assert values["hu_3d"] == pytest.approx(120, abs=1.5)
    assert [values[name] for name in SLICES] == pytest.approx([120] * 3, abs=4)
    assert values["hu_3d_sd"] == pytest.approx(30, rel=0.1)


def test_a_gradient_from_bottom_to_top_shows_in_the_right_order():
    spine = single_vertebra(gradient_hu_per_mm=2.0)
    values = measured(spine, phantom_spine.grid_for(spine, (0.7, 0.7, 1.0))).values
    assert values["hu_lower"] + 10 < values["hu_middle"] < values["hu_upper"] - 10
    assert values["hu_middle"] == pytest.approx(120, abs=1.5)
    assert values["hu_multislice"] == pytest.approx(120, abs=1.5)


GRIDS = {
    **{f"rotated 25 about {axis}": dict(rotation=rotation(axis, 25)) for axis in "RAS"},
    "rotated 4 about R": dict(rotation=rotation("R", 4)),
    "rotated -17 about A then S": dict(rotation=rotation("A", -17) @ rotation("S", 25)),
    "left-handed": dict(left_handed=True),
    "sagittal": dict(orientation="sagittal"),
    "coronal": dict(orientation="coronal"),
}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_the_same_anatomy_reads_the_same_on_any_lattice(grid):
    spine = single_vertebra(gradient_hu_per_mm=1.0)
    values = measured(spine, phantom_spine.grid_for(spine, (0.8, 0.8, 1.0), **grid)).values
    assert values["hu_3d"] == pytest.approx(spine.vertebra("L3").cancellous_truth(3.0).mean_hu, abs=1)
    assert values["hu_multislice"] == pytest.approx(120, abs=2)


@pytest.mark.parametrize(
    "mask_grid",
    [dict(spacing_mm=(1.6, 1.6, 2.0)), dict(spacing_mm=(0.8, 0.8, 1.0), rotation=rotation("S", 20) @ rotation("R", 10))],
    ids=["coarser", "rotated"],
)
def test_the_mask_may_have_another_lattice_than_the_image(mask_grid):
    spine = single_vertebra()
    grid, other = phantom_spine.grid_for(spine, (0.8, 0.8, 1.0)), phantom_spine.grid_for(spine, **mask_grid)
    values = measured(spine, grid, mask_grid=other).values
    assert values["hu_3d"] == pytest.approx(120, abs=1)
    assert values["hu_multislice"] == pytest.approx(120, abs=2)


def test_volume_is_that_of_the_body_below_the_margin():
    spine = single_vertebra()
    values = measured(spine, phantom_spine.grid_for(spine, (0.5, 0.5, 0.5))).values
    assert values["hu_3d_volume_mm3"] == pytest.approx(spine.vertebra("L3").cancellous_truth(3.0).volume_mm3, rel=0.03)


@pytest.mark.parametrize("thickness", [2.0, 3.0, 5.0])
def test_thick_slices_keep_the_margin_in_plane_and_hold_no_cortex(thickness):
    spine = single_vertebra()
    values = measured(spine, phantom_spine.grid_for(spine, (0.8, 0.8, thickness))).values
    assert values["hu_3d"] == pytest.approx(120, abs=0.5)
    assert values["hu_3d_volume_mm3"] > 0.62 * spine.vertebra("L3").cancellous_truth(3.0).volume_mm3


@pytest.mark.parametrize(("cortex_mm", "larger"), [(1.0, 1.01), (0.5, 1.06)])
def test_the_wide_region_reaches_the_cortex_and_holds_none_of_it(cortex_mm, larger):
    spine = single_vertebra(cortex_mm=cortex_mm)
    grid = phantom_spine.grid_for(spine, (0.7, 0.7, 1.0))
    body, image = body_of(spine, grid), ct_of(spine, grid)
    wide = place_wide(body, image, 3.0, read_endosteum(body, image, 3.0))
    depth = spine.vertebra("L3").depth(wide.grid.centers())
    assert wide.weights[depth < cortex_mm].max() == 0
    assert wide.volume > larger * spine.vertebra("L3").cancellous_truth(3.0).volume_mm3
    assert read_region(wide, image).mean == pytest.approx(120, abs=1)


def test_excluded_bone_is_left_out_of_region_and_slices():
    spine = single_vertebra(inclusions=(cement(radius_mm=5.0),))
    grid = phantom_spine.grid_for(spine, (0.7, 0.7, 0.7))
    distance = np.linalg.norm(grid.centers() - spine.vertebra("L3").center - [0, 3, 0], axis=-1)
    around_it = Mask("cement", distance < 8, grid)
    with_cement, without = measured(spine, grid).values, measured(spine, grid, exclusions=[around_it]).values
    assert with_cement["hu_3d"] > 150
    assert without["hu_3d"] == pytest.approx(120, abs=1)
    assert without["hu_middle"] == pytest.approx(120, abs=1.5)


def test_a_deep_endplate_pit_leaves_the_upper_slice_empty_instead_of_taking_its_rim():
    spine = single_vertebra(pit=Pit(depth_mm=11, radius_mm=9))
    grid = phantom_spine.grid_for(spine, (0.7, 0.7, 1.0))
    body = body_of(spine, grid)
    numbers = measure_level(body, ct_of(spine, grid), Parameters(), place_frame(body.mask, None, None, None, None))
    assert {"hu_upper", "hu_multislice"}.isdisjoint(numbers.values)
    assert "endplate-defect" in [flag.code for flag in numbers.flags]
    assert numbers.values["hu_lower"] == pytest.approx(120, abs=1.5)
    assert numbers.values["hu_3d"] == pytest.approx(120, abs=1)


@pytest.mark.parametrize(
    ("changes", "spacing", "tilt", "words"),
    [
        (dict(height_anterior_mm=14, height_middle_mm=13, height_posterior_mm=14), (0.8, 0.8, 1.0), 0, "too flat"),
        (dict(height_anterior_mm=20, height_middle_mm=18, height_posterior_mm=20), (0.8, 0.8, 5.0), 0, "5.0 mm are too thick"),
        (dict(height_anterior_mm=20, height_middle_mm=18, height_posterior_mm=20), (0.8, 0.8, 2.0), 35, "tilted by 3"),
    ],
    ids=["flat", "thick slices", "tilted"],
)
def test_an_intact_body_without_end_slice_says_what_keeps_it_away(changes, spacing, tilt, words):
    spine = single_vertebra(rotation=rotation("R", tilt), **changes)
    grid = phantom_spine.grid_for(spine, spacing)
    body = body_of(spine, grid)
    numbers = measure_level(body, ct_of(spine, grid), Parameters(), place_frame(body.mask, None, None, None, None))
    assert "hu_multislice" not in numbers.values
    assert {flag.code for flag in numbers.flags} - {"small-roi"} == {"no-end-slice"}
    assert words in " ".join(str(reason) for reason in numbers.reasons)


def test_a_small_tilted_body_has_all_three_slices_of_3_mm_wherever_they_fall():
    size = dict(width_mm=42.7, depth_mm=29.1, height_anterior_mm=24.2, height_middle_mm=22.8, height_posterior_mm=25.2)
    spine = single_vertebra(rotation=rotation("R", -13), **size)
    for up in (0.0, 1.0, 2.0):
        grid = phantom_spine.grid_for(spine, (0.6, 0.6, 3.0))
        affine = grid.ijk_to_ras.copy()
        affine[2, 3] += up
        numbers = measured(spine, Grid(grid.shape, affine))
        assert numbers.values["hu_multislice"] == pytest.approx(120, abs=1.2)


def test_ellipses_hold_whole_voxels_of_3_mm_and_no_cortex():
    spine = single_vertebra(rotation=rotation("R", 13), cortex_mm=1.3, cortex_hu=900.0)
    for across in (0.0, 1.0, 2.0):
        grid = phantom_spine.grid_for(spine, (3.0, 3.0, 3.0))
        affine = grid.ijk_to_ras.copy()
        affine[:2, 3] += across
        values = measured(spine, Grid(grid.shape, affine)).values
        assert (values["hu_middle"], values["hu_multislice"]) == (pytest.approx(120, abs=0.3), pytest.approx(120, abs=0.6))


def test_the_faces_of_thick_slabs_keep_2_mm_off_the_surface_that_a_finer_mask_shows():
    spine = single_vertebra(cortex_mm=0.3, cortex_hu=150.0)  # no endosteal edge to be seen, which would lie deeper
    body = body_of(spine, phantom_spine.grid_for(spine, (0.7, 0.7, 0.7)))
    for up in (0.0, 1.0, 2.0, 3.0, 4.0):
        grid = phantom_spine.grid_for(spine, (0.7, 0.7, 5.0))
        affine = grid.ijk_to_ras.copy()
        affine[2, 3] += up
        image = ct_of(spine, Grid(grid.shape, affine))
        slices = place_slices(body, image, Parameters(), read_endosteum(body, image, 3.0))
        for roi in filter(None, slices.rois.values()):
            faces = [roi.center + [0, 0, side] for side in (-2.5, 2.5)]  # a dished endplate is nearest to the middle
            assert spine.vertebra("L3").depth(np.array(faces)).min() > 1.6, (up, roi.kind)


def test_the_middle_ellipse_keeps_off_the_posterior_third():
    spine = single_vertebra()
    grid = phantom_spine.grid_for(spine, (0.7, 0.7, 1.0))
    body, image = body_of(spine, grid), ct_of(spine, grid)
    free = place_slices(body, image, Parameters(avoid_basivertebral=False)).rois
    kept = place_slices(body, image, Parameters()).rois
    back, front = spine.vertebra("L3").center[1] + np.array([-0.5, 0.5]) * (spine.vertebra("L3").depth_mm - 6.0)
    hindmost = [min(curve[:, 1].min() for curve in slices["middle"].curves()) for slices in (free, kept)]
    assert hindmost[0] < back + 3
    assert hindmost[1] >= back + (front - back) / 3 - 1
    assert free["upper"].area == kept["upper"].area


def test_end_slices_are_the_last_with_60_percent_of_the_middle_area():
    spine = single_vertebra()
    grid = phantom_spine.grid_for(spine, (0.7, 0.7, 1.0))
    body, image = body_of(spine, grid), ct_of(spine, grid)
    stack, middle = slice_stack(body, image)
    slices = place_slices(body, image, Parameters(avoid_basivertebral=False)).rois
    field = resample(body.field(3.0), body.grid, stack, outside=-100.0)
    for name, step in (("upper", 1), ("lower", -1)):
        index = round(stack.ijk(slices[name].center)[2])
        assert slices[name].area >= 0.6 * slices["middle"].area
        beyond = largest_ellipse(field[index + step], IN_PLANE_STEP_MM)
        assert beyond is None or beyond.area < 0.6 * slices["middle"].area


def test_every_ellipse_lies_inside_the_cancellous_region():
    spine = single_vertebra(height_middle_mm=20)
    grid = phantom_spine.grid_for(spine, (0.7, 0.7, 1.0), rotation=rotation("R", 15))
    body, image = body_of(spine, grid), ct_of(spine, grid)
    for roi in place_slices(body, image, Parameters()).rois.values():
        depth = spine.vertebra("L3").depth(np.concatenate(roi.curves(200)))
        assert depth.min() > 3.0 - 0.5


def test_own_slices_are_used_up_to_5_degrees_and_reformats_beyond():
    spine = single_vertebra()
    for degrees, step in ((4, 1.25), (6, REFORMAT_STEP_MM)):
        grid = phantom_spine.grid_for(spine, (0.8, 0.8, 1.25), rotation=rotation("R", degrees))
        stack, _ = slice_stack(body_of(spine, grid), ct_of(spine, grid))
        assert stack.spacing[2] == pytest.approx(step)


def test_a_pixel_counts_by_the_share_that_lies_inside_an_ellipse():
    bright_right_half = np.zeros((1, 8, 10), np.int16)
    bright_right_half[:, :, 4:] = 100
    center, radius = np.array([4.5, 3.5, 0.0]), 3.0  # the border at 3.5 cuts the disk 1 mm left of its center
    roi = PlanarRoi("L1", "middle", center, np.eye(3)[0], np.eye(3)[1], (radius, radius))
    cut_off = radius**2 * np.arccos(1 / radius) - np.sqrt(radius**2 - 1)
    share = 1 - cut_off / (np.pi * radius**2)
    assert roi.values(ct_like(bright_right_half)).mean() == pytest.approx(100 * share, abs=1.5)


@pytest.mark.parametrize("nothing", [np.nan, -3024, 7])
def test_voxels_without_data_never_enter_and_over_1_percent_leave_the_value_empty(nothing):
    spine = single_vertebra()
    grid = phantom_spine.grid_for(spine, (1, 1, 1))
    array = ct_of(spine, grid).array.astype(np.float32)
    k, j, i = np.array(grid.ijk(spine.vertebra("L3").center)).round().astype(int)[::-1]
    for reach, is_measured in ((0, True), (5, False)):
        broken = array.copy()
        broken[k - reach : k + reach + 1, j - reach : j + reach + 1, i + 8 - reach : i + 9 + reach] = nothing
        image = Image("CT", broken, grid, ImageTags(padding=7.0))
        numbers = measure_level(body_of(spine, grid), image, Parameters())
        assert ("hu_3d" in numbers.values) == is_measured
        assert ("no-data" in [flag.code for flag in numbers.flags]) != is_measured
        if is_measured:
            assert numbers.values["hu_3d"] == pytest.approx(120, abs=0.1)
            assert numbers.values["hu_middle"] == pytest.approx(120, abs=0.1)


def test_less_than_1_cm3_is_not_measured():
    spine = single_vertebra(width_mm=18, depth_mm=16, height_anterior_mm=14, height_middle_mm=13, height_posterior_mm=14)
    numbers = measured(spine, phantom_spine.grid_for(spine, (0.7, 0.7, 0.7)))
    assert "hu_3d" not in numbers.values
    assert [flag.code for flag in numbers.flags] == ["small-roi"]


def test_a_mask_of_nothing_is_not_measured():
    with pytest.raises(NotMeasured, match="empty"):
        place_body("L1", Mask("L1", np.zeros((4, 4, 4), bool), Grid((4, 4, 4), np.eye(4))), [], "body")


def ct_like(array):
    return Image("CT", array, Grid(array.shape, np.eye(4)))
