"""Where HU are read: the endosteal edge, thick voxels, slabs, ranges, foci and outlying levels, holes of a mask."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from BoneQualityLib.image.distance import signed_distance
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.image import Image
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.measures.endosteal import SECTORS, read_endosteum, sectors_of
from BoneQualityLib.measures.focal import find_foci, find_outliers
from BoneQualityLib.measures.hounsfield import measure_level
from BoneQualityLib.measures.region import place_cancellous, place_wide, read_region
from BoneQualityLib.measures.roi import PlanarRoi, RegionRoi, weighted_median
from BoneQualityLib.measures.slices import place_slices, slice_stack
from BoneQualityLib.measures.uncertainty import combined, fair_slice, moved_region
from BoneQualityLib.parameters import Parameters
from BoneQualityLib.phantoms import phantom_spine
from BoneQualityLib.phantoms.phantom_solids import Inclusion, Tissue
from BoneQualityLib.vertebra.body import endplate_centers, place_body, porosity, without_holes
from BoneQualityLib.vertebra.frame import place_frame
from conftest import body_of, ct_of, rotation, single_vertebra

THIN = (0.8, 0.8, 1.0)
SLOPES = (0.9, 2.3, -1.7)


@pytest.fixture(scope="module")
def plain():
    """L3 of 120 HU on thin slices: spine, image, mask."""
    spine = single_vertebra()
    grid = phantom_spine.grid_for(spine, THIN, margin_mm=10)
    return spine, ct_of(spine, grid), phantom_spine.body_mask(spine.vertebra("L3"), grid)


def body(array, grid):
    return place_body("L3", Mask("L3", array, grid).cropped(), [], "body")


def resized(mask, grid, by_mm):
    return signed_distance(mask, grid.spacing[::-1]) > -by_mm


@pytest.mark.parametrize("by_mm", [-1.0, 1.0, 1.5])
def test_a_mask_too_large_or_small_reads_the_same_bone(plain, by_mm):
    _, image, mask = plain
    numbers = measure_level(body(resized(mask, image.grid, by_mm), image.grid), image, Parameters())
    assert [numbers.values[f"hu_{name}"] for name in ("3d", "3d_wide", "multislice")] == pytest.approx([120] * 3, abs=0.5)
    begins = numbers.rois[0].begins_mm
    assert (min(begins.values()) > 3.1) == (by_mm > 0)
    assert max(begins.values()) < 3.0 + by_mm + 0.5 if by_mm > 0 else max(begins.values()) == 3.0
    assert numbers.rois[0].place()["begins_mm"] == begins


def test_the_region_begins_deeper_only_on_the_side_where_the_mask_is_too_large(plain):
    _, image, mask = plain
    grown = mask | np.roll(mask, 2, axis=0)  # two slices over the upper endplate
    begins = measure_level(body(grown, image.grid), image, Parameters()).rois[0].begins_mm
    assert begins["upper"] == pytest.approx(4.2, abs=0.7)
    assert all(begins[name] < 3.3 for name in SECTORS if name != "upper")


def test_a_gradient_of_20_hu_per_mm_is_not_mistaken_for_cortex():
    spine = single_vertebra(posterior_hu_per_mm=20.0, cancellous_hu=300.0)
    grid = phantom_spine.grid_for(spine, THIN, margin_mm=10)
    placed = read_endosteum(body_of(spine, grid), ct_of(spine, grid, noise_sd=20), 3.0)
    assert placed.begins(3.0).max() < 3.2


def test_sectors_are_those_of_the_vertebras_own_axes():
    spine = single_vertebra(rotation=rotation("S", 40))
    grid = phantom_spine.grid_for(spine, (1, 1, 1))
    solid, vertebra = body_of(spine, grid), spine.vertebra("L3")
    sectors = sectors_of(solid, vertebra.rotation)
    half = np.array([vertebra.width_mm, vertebra.depth_mm, vertebra.height_middle_mm]) / 2 - 2
    for name, (axis, side) in zip(SECTORS, ((2, 1), (2, -1), (1, 1), (1, -1), (0, 1), (0, -1))):
        point = vertebra.center + side * half[axis] * vertebra.rotation[:, axis]
        k, j, i = solid.grid.ijk(point).round().astype(int)[::-1]
        assert SECTORS[sectors[k, j, i]] == name


@pytest.mark.parametrize("spacing", [(0.8, 0.8, 5.0), (3.0, 0.8, 0.8), (3.0, 3.0, 3.0)])
def test_along_thick_voxels_only_whole_ones_count(spacing):
    spine = single_vertebra()
    grid = phantom_spine.grid_for(spine, spacing, margin_mm=10)
    solid, image = body_of(spine, grid), ct_of(spine, grid)
    endosteum = read_endosteum(solid, image, 3.0)
    for roi in (place_cancellous(solid, image, 3.0, endosteum), place_wide(solid, image, 3.0, endosteum)):
        thick = [axis for axis in range(3) if spacing[axis] >= 1.5]
        for axis in thick:
            for side in (-0.5, 0.5):
                ends = roi.grid.centers() + side * roi.grid.ijk_to_ras[:3, axis]
                assert spine.vertebra("L3").depth(ends)[roi.weights > 0.5].min() > 1.0  # mm of cortex
        assert read_region(roi, image).mean == pytest.approx(120, abs=0.5)


@pytest.mark.parametrize("shift", [0.0, 1.5, 3.0])
def test_the_slab_of_a_thick_slice_is_clear_of_the_endplates(shift):
    spine = single_vertebra(height_middle_mm=28)  # flat endplates: all of a slice comes too near at once
    grid = phantom_spine.grid_for(spine, (0.8, 0.8, 5.0), margin_mm=10)
    affine = grid.ijk_to_ras.copy()
    affine[2, 3] += shift
    grid = Grid(grid.shape, affine)
    values = measure_level(body_of(spine, grid), ct_of(spine, grid), Parameters()).values
    assert "hu_upper" in values or "hu_lower" in values
    assert all(values[f"hu_{name}"] == pytest.approx(120, abs=1.2) for name in ("upper", "middle", "lower") if f"hu_{name}" in values)


def test_the_extent_of_a_region_is_told_along_each_axis_of_the_image():
    weights = np.zeros((6, 7, 8), np.float32)
    weights[1:4, 2:6, 3:8] = 1
    grid = Grid(weights.shape, np.diag([0.5, 0.7, 3.0, 1.0]))
    roi = RegionRoi("L1", "cancellous", (slice(0, 6), slice(0, 7), slice(0, 8)), grid, weights, 3.0)
    assert roi.place()["extent_mm"] == pytest.approx([2.5, 2.8, 9.0])


@pytest.mark.parametrize("tilt", [0, 12])
def test_on_a_ramp_every_value_is_that_of_the_place_it_says(tilt):
    spine = single_vertebra(rotation=rotation("R", tilt))
    grid = phantom_spine.grid_for(spine, (0.8, 0.8, 1.5), margin_mm=10)
    ramp = Image("CT", phantom_spine.render_ramp(grid, 200.0, SLOPES), grid)
    solid = body_of(spine, grid)
    numbers = measure_level(solid, ramp, Parameters(), place_frame(solid.mask, None, None, None, None))
    region, *ellipses = numbers.rois
    assert numbers.values["hu_3d"] == pytest.approx(200 + region.place()["center"] @ SLOPES, abs=0.05)
    for roi in ellipses:
        assert numbers.values[f"hu_{roi.kind}"] == pytest.approx(200 + roi.center @ SLOPES, abs=0.3)
    middle = next(roi for roi in ellipses if roi.kind == "middle")
    assert abs((middle.center - spine.vertebra("L3").center)[2]) < 1.0


def test_the_median_is_where_half_of_the_weight_lies():
    values, weights = np.array([10.0, 20, 30, 40, 50]), np.array([1.0, 1, 1, 1, 5])
    assert weighted_median(values, weights) == 50
    assert weighted_median(values, np.ones(5)) == 30
    assert weighted_median(values, np.array([3.0, 1, 1, 1, 1])) == 20


def test_a_slab_averages_all_of_its_thickness():
    z = np.arange(40.0) - 19.5
    image = Image("CT", np.broadcast_to((z**2)[:, None, None], (40, 20, 20)).astype(np.float32), Grid((40, 20, 20), np.eye(4)))
    roi = PlanarRoi("L1", "middle", np.array([9.5, 9.5, 19.5]), np.eye(3)[0], np.eye(3)[1], (4.0, 4.0), thickness=12.0)
    assert roi.values(image).mean() == pytest.approx(12.0**2 / 12, rel=0.05)


@pytest.mark.parametrize("thickness", [1.0, 3.0, 5.0])
def test_the_endplates_lie_on_the_faces_of_the_voxels(thickness):
    grid = Grid((10, 30, 30), np.diag([1.0, 1.0, thickness, 1.0]))
    box = np.zeros(grid.shape, bool)
    box[2:7, 4:26, 4:26] = True
    points = grid.points(box)
    low, high = endplate_centers(points, points.mean(axis=0), np.array([0.0, 0, 1]), grid)
    assert (low, high) == pytest.approx((1.5 * thickness, 6.5 * thickness))


def test_the_slices_front_is_that_of_the_vertebra():
    spine = single_vertebra(rotation=rotation("S", 30))
    grid = phantom_spine.grid_for(spine, THIN, margin_mm=10)
    solid, image = body_of(spine, grid), ct_of(spine, grid)
    behind = spine.vertebra("L3").center - 30 * spine.vertebra("L3").rotation[:, 1]
    canal = Mask("canal", np.linalg.norm(grid.centers() - behind, axis=-1) < 8, grid).cropped()
    frame = place_frame(solid.mask, None, None, canal, None)
    stack, _ = slice_stack(solid, image, "axial", frame)
    assert stack.directions[:, 1] @ spine.vertebra("L3").rotation[:, 1] > np.cos(np.radians(3))
    center = place_slices(solid, image, Parameters(), None, frame).rois["middle"].center - spine.vertebra("L3").center
    front = center @ spine.vertebra("L3").rotation  # right, anterior, superior
    assert front[1] > 2 and abs(front[0]) < 1


def ringed(per_mm=10.0):
    """HU that rise from an axis along S outward, and a disk about it."""
    grid = Grid((9, 60, 60), np.diag([0.8, 0.8, 3.0, 1.0]))
    points = grid.centers() - [24, 24, 12]
    image = Image("CT", (100 + per_mm * np.hypot(points[..., 0], points[..., 1])).astype(np.float32), grid)
    return image, PlanarRoi("L1", "middle", np.array([24.0, 24, 12]), np.eye(3)[0], np.eye(3)[1], (10.0, 8.0))


def mean(roi, image):
    return float(roi.values(image).mean())


def test_a_narrower_margin_makes_the_ellipse_larger_in_the_range():
    image, roi = ringed()
    found = fair_slice(roi, image, mean)
    assert found["narrower margin"] > mean(roi, image) + 3 > found["wider margin"] + 6


def test_the_range_of_a_slice_slides_by_half_the_slice_distance_or_1_5_mm():
    for thickness, slid in ((1.0, 1.5), (5.0, 2.5)):
        grid = Grid((31, 60, 60), np.diag([0.8, 0.8, thickness, 1.0]))
        ramp = Image("CT", phantom_spine.render_ramp(grid, 0.0, (0, 0, 10.0)), grid)
        roi = PlanarRoi("L1", "middle", np.array([24.0, 24, 15 * thickness]), np.eye(3)[0], np.eye(3)[1], (10.0, 8.0))
        found = fair_slice(roi, ramp, mean)
        assert found["slice above"] - mean(roi, ramp) == pytest.approx(10 * slid, abs=0.1)
        low, high = combined(mean(roi, ramp), found)
        assert high - low == pytest.approx(20 * slid, abs=0.2)


def test_the_range_of_a_thin_middle_slice_holds_the_next_slices_with_their_own_noise():
    grid = Grid((31, 60, 60), np.diag([0.8, 0.8, 1.0, 1.0]))
    array = np.full(grid.shape, 100, np.int16)
    array[16], array[13] = 120, 90
    roi = PlanarRoi("L1", "middle", np.array([24.0, 24, 15]), np.eye(3)[0], np.eye(3)[1], (10.0, 8.0))
    assert combined(100.0, fair_slice(roi, Image("CT", array, grid), mean)) == pytest.approx((80, 120))
    array[14] = 70
    assert combined(100.0, fair_slice(roi, Image("CT", array, grid), mean)) == pytest.approx((70, 130))


def test_the_range_of_a_middle_slice_of_3_mm_holds_the_next_slice_and_one_of_5_mm_does_not():
    for thickness, by in ((3.0, 30), (5.0, 15)):  # half a slice distance is a mean of two slices
        grid = Grid((31, 60, 60), np.diag([0.8, 0.8, thickness, 1.0]))
        array = np.full(grid.shape, 100, np.int16)
        array[16] = 130
        roi = PlanarRoi("L1", "middle", np.array([24.0, 24, 15 * thickness]), np.eye(3)[0], np.eye(3)[1], (10.0, 8.0))
        assert combined(100.0, fair_slice(roi, Image("CT", array, grid), mean)) == pytest.approx((100 - by, 100 + by))


def test_causes_of_error_add_in_quadrature_to_either_side():
    varied = {"+i": 103.0, "-i": 99.0, "+j": 100.0, "-j": 96.0, "wider margin": 112.0, "narrower margin": np.nan, "+k": np.nan}
    assert combined(100.0, varied) == pytest.approx((87, 113))  # 3, 4 and 12 HU
    assert combined(100.0, {"+i": np.nan}) == (100, 100)


def test_an_end_slice_does_not_slide_into_the_cortex():
    grid = Grid((31, 60, 60), np.diag([0.8, 0.8, 1.0, 1.0]))
    array = phantom_spine.render_ramp(grid, 0.0, (0, 0, 1.0))
    array[17:] = 900
    roi = PlanarRoi("L1", "upper", np.array([24.0, 24, 15]), np.eye(3)[0], np.eye(3)[1], (10.0, 8.0))
    found = fair_slice(roi, Image("CT", array, grid), mean, inward=np.array([0, 0, -1.0]))
    assert (found["slice below"], found["slice above"]) == pytest.approx((13.5, 16.5))


def test_the_range_of_a_region_does_not_reach_into_the_cortex(plain):
    spine, image, mask = plain
    solid = body(mask, image.grid)
    endosteum = read_endosteum(solid, image, 3.0)
    region, wide = place_cancellous(solid, image, 3.0, endosteum), place_wide(solid, image, 3.0, endosteum)
    free, kept = moved_region(region, image), moved_region(region, image, wide)
    assert set(free) == set(kept) == {"+i", "-i", "+j", "-j", "+k", "-k"}
    assert max(kept.values()) < 120.5


@pytest.mark.parametrize("hu, code", [(320, "dense-focus"), (-30, "lucent-focus")])
def test_a_focus_is_found_with_its_size_and_place(hu, code):
    at, axes = (8.0, 4.0, 2.0), (5.0, 4.5, 4.5)
    spine = single_vertebra(inclusions=(Inclusion(at, axes, Tissue(hu, 0)),), endplate_hu_per_mm=1.0, posterior_hu_per_mm=1.0)
    grid = phantom_spine.grid_for(spine, THIN, margin_mm=10)
    solid, image = body_of(spine, grid), ct_of(spine, grid, noise_sd=30)
    region = place_cancellous(solid, image, 3.0, read_endosteum(solid, image, 3.0))
    (focus,) = find_foci(region, image)
    assert focus.is_dense == (code == "dense-focus")
    assert focus.volume_mm3 == pytest.approx(4 / 3 * np.pi * np.prod(axes), rel=0.4)
    assert focus.center == pytest.approx(spine.vertebra("L3").center + at, abs=1.0)
    assert code in [flag.code for flag in measure_level(solid, image, Parameters()).flags]


@pytest.mark.parametrize("spacing, noise", [(THIN, 40), ((0.8, 0.8, 5.0), 30), ((3.0, 3.0, 3.0), 40)])
def test_graded_and_noisy_bone_has_no_focus(spacing, noise):
    spine = single_vertebra(endplate_hu_per_mm=3.0, posterior_hu_per_mm=2.0)
    grid = phantom_spine.grid_for(spine, spacing, margin_mm=10)
    solid, image = body_of(spine, grid), ct_of(spine, grid, noise_sd=noise)
    assert find_foci(place_cancellous(solid, image, 3.0, read_endosteum(solid, image, 3.0)), image) == []


def test_levels_that_stand_out_are_named():
    usual = dict(L1=(110.0, 40.0), L2=(113.0, 42.0), L3=(106.0, 44.0), L4=(118.0, 41.0))
    assert find_outliers(usual) == []
    assert [(o.level, o.column) for o in find_outliers(usual | dict(L2=(230.0, 45.0)))] == [("L2", "hu_3d")]
    assert [(o.level, o.column) for o in find_outliers(usual | dict(L1=(112.0, 79.0)))] == [("L1", "hu_3d_sd")]
    assert [o.level for o in find_outliers(usual | dict(L4=(20.0, 41.0)))] == ["L4"]
    assert find_outliers(dict(L1=(110.0, 40.0), L2=(300.0, 40.0))) == []  # of two nobody knows which


def test_holes_of_a_threshold_are_closed_and_its_volume_told(plain):
    _, image, mask = plain
    solid = Mask("L3", mask, image.grid).cropped()
    random = np.random.default_rng(0).random(solid.array.shape)
    pores = ndimage.binary_dilation(random < 0.01, np.ones((1, 2, 2))) & (signed_distance(solid.array, (1, 1, 1)) > 3)
    holed = Mask("L3", solid.array & ~pores, solid.grid)
    closed, filled = without_holes(holed)
    assert filled == pytest.approx(pores.sum() * solid.grid.voxel_volume, rel=0.05)
    assert np.count_nonzero(closed.array) == pytest.approx(np.count_nonzero(solid.array), rel=0.005)
    assert without_holes(solid) == (solid, 0.0)
    assert porosity(solid) == 0 < porosity(holed)


@pytest.mark.parametrize("slices_mm", [2.0, 3.0])
def test_along_thick_voxels_the_wide_region_begins_no_nearer_than_the_margin(slices_mm):
    spine = single_vertebra(cortex_mm=0.5)
    grid = phantom_spine.grid_for(spine, (0.8, 0.8, slices_mm), margin_mm=10)
    image, placed = ct_of(spine, grid), body_of(spine, grid)
    wide = place_wide(placed, image, 3.0, read_endosteum(placed, image, 3.0, None))
    assert min(wide.begins_mm["upper"], wide.begins_mm["lower"]) >= 3.0
    assert min(wide.begins_mm.values()) < 2.5, "in plane it begins at the endosteal edge"


def test_multislice_hu_is_the_mean_of_its_three_slices():
    spine = single_vertebra(gradient_hu_per_mm=3.0)
    image = ct_of(spine, phantom_spine.grid_for(spine, THIN, margin_mm=10))
    placed = body_of(spine, image.grid)
    upper = next(roi for roi in measure_level(placed, image, Parameters()).rois if roi.kind == "upper")
    lowered = replace(upper, center=upper.center - [0, 0, 6.0], edited=True)
    values = measure_level(placed, image, Parameters(), edits={"upper": lowered}).values
    three = [values[f"hu_{name}"] for name in ("upper", "middle", "lower")]
    assert values["hu_multislice"] == pytest.approx(np.mean(three)) and abs(np.mean(three) - np.median(three)) > 4


def test_the_area_of_an_ellipse_is_pi_times_its_semi_axes():
    roi = PlanarRoi("L3", "middle", np.zeros(3), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), semi_axes=(10.0, 4.0))
    assert roi.area == pytest.approx(40 * np.pi)
