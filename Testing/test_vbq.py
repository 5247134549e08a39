"""Known answers on T1 MRI: VBQ from analytic spines with roots in the thecal sac."""

from __future__ import annotations

import numpy as np
import pytest

from BoneQualityLib.anatomy.structure import Segment, Structure
from BoneQualityLib.case.images import CaseImages, Given
from BoneQualityLib.case.measure import measure
from BoneQualityLib.case.result import Level
from BoneQualityLib.case.values import vbq_values
from BoneQualityLib.image.image import Image
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.measures import marrow
from BoneQualityLib.measures.csf import Csf, level_extents, place_sac, read_csf, read_sac, used_csf
from BoneQualityLib.measures.roi import LevelNumbers, PlanarRoi
from BoneQualityLib.parameters import CaseFacts, Parameters
from BoneQualityLib.phantoms import phantom_spine
from BoneQualityLib.vertebra.vertebra import Surroundings, Vertebra
from conftest import rotation

LEVELS = ("L1", "L2", "L3", "L4")
SPINE = phantom_spine.lumbar_spine(
    LEVELS, marrow_t1={"L1": 280, "L2": 300, "L3": 320, "L4": 350}, csf_t1=100.0, posterior_elements=False
)
TRUTH = float(np.median([280, 300, 320, 350])) / 100.0


def masks_on(grid, spine=SPINE):
    masks = {v.level: Mask(v.level, phantom_spine.body_mask(v, grid), grid).cropped() for v in spine.vertebrae}
    return masks, Mask("sac", phantom_spine.sac_mask(spine, grid), grid).cropped()


def vertebra(name, mask):
    return Vertebra(name, mask, "body", Surroundings())


def measured(grid, noise_sd=0.0, mask_grid=None, volume=False, spine=SPINE, masks=None):
    """Signals of L1-L4 and the CSF, as measure_case takes them."""
    image = Image("T1", phantom_spine.render_t1(spine, grid, noise_sd, seed=7), grid)
    bodies, sac = masks or masks_on(mask_grid or grid, spine)
    plane = None if volume else marrow.common_plane(image, bodies)
    parameters = Parameters(vbq_slice="volume" if volume else "midsagittal")
    levels = {name: marrow.measure_level(vertebra(name, bodies[name]), image, plane, parameters) for name in LEVELS}
    csf = read_csf({}, sac, None, level_extents(bodies), image, ())
    return levels, csf


def score(levels, csf):
    return float(np.median([levels[name].values["t1_signal"] for name in LEVELS])) / used_csf(csf).signal


SAGITTAL = dict(spacing_mm=(0.7, 0.7, 4.4), orientation="sagittal", margin_mm=5)
ISOTROPIC = dict(spacing_mm=(1.0, 1.0, 1.0), margin_mm=5)


def test_marrow_signal_is_the_true_one_on_an_acquired_sagittal_slice():
    levels, _ = measured(phantom_spine.grid_for(SPINE, **SAGITTAL))
    assert [levels[name].values["t1_signal"] for name in LEVELS] == pytest.approx([280, 300, 320, 350], rel=0.005)


@pytest.mark.parametrize("grid", [SAGITTAL, ISOTROPIC], ids=["sagittal slices", "isotropic"])
def test_vbq_is_within_2_percent_with_roots_and_noise(grid):
    levels, csf = measured(phantom_spine.grid_for(SPINE, **grid), noise_sd=100 / 15)
    assert score(levels, csf) == pytest.approx(TRUTH, rel=0.02)
    assert used_csf(csf).level == "L3"


def test_the_volume_reads_the_same_marrow():
    levels, _ = measured(phantom_spine.grid_for(SPINE, **ISOTROPIC), volume=True)
    assert [levels[name].values["t1_signal"] for name in LEVELS] == pytest.approx([280, 300, 320, 350], rel=0.005)
    assert "t1_area_mm2" not in levels["L1"].values


GRIDS = {
    **{f"rotated 25 about {axis}": dict(rotation=rotation(axis, 25)) for axis in "RAS"},
    "left-handed": dict(left_handed=True),
    "coronal": dict(orientation="coronal"),
}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_the_same_spine_reads_the_same_on_any_lattice(grid):
    straight = score(*measured(phantom_spine.grid_for(SPINE, **ISOTROPIC)))
    assert score(*measured(phantom_spine.grid_for(SPINE, **ISOTROPIC, **grid))) == pytest.approx(straight, rel=0.01)


def test_masks_may_have_another_lattice_than_the_image():
    straight = score(*measured(phantom_spine.grid_for(SPINE, **SAGITTAL)))
    other = phantom_spine.grid_for(SPINE, (1.2, 1.2, 1.2), rotation=rotation("A", 15))
    assert score(*measured(phantom_spine.grid_for(SPINE, **SAGITTAL), mask_grid=other)) == pytest.approx(straight, rel=0.01)


def test_the_marrow_roi_keeps_the_margin_within_its_plane():
    levels, _ = measured(phantom_spine.grid_for(SPINE, **SAGITTAL))
    roi = levels["L3"].rois[0]
    assert isinstance(roi, PlanarRoi)
    depth = SPINE.vertebra("L3").depth(np.concatenate(roi.curves()))
    assert depth.min() > 2.4
    assert np.median(depth) == pytest.approx(3.0, abs=0.3)


def test_a_level_off_the_common_slice_is_read_on_its_own():
    bent = phantom_spine.lumbar_spine(scoliosis_deg=50, marrow_t1=300.0)
    grid = phantom_spine.grid_for(bent, **SAGITTAL)
    image = Image("T1", phantom_spine.render_t1(bent, grid), grid)
    bodies, _ = masks_on(grid, bent)
    plane = marrow.common_plane(image, bodies)
    for name, mask in bodies.items():
        numbers = marrow.measure_level(vertebra(name, mask), image, plane, Parameters())
        assert numbers.values["t1_signal"] == pytest.approx(300, rel=0.01)
        off = plane.distance(mask.center) > 4.0
        assert ("parasagittal" in [flag.code for flag in numbers.flags]) == off
        assert abs((numbers.rois[0].center - mask.center) @ plane.normal) < 4.4


def test_the_slice_is_a_slab_of_4_mm_on_thin_slices_and_the_acquired_one_on_thick():
    for spacing, thickness in (((1, 1, 1), 4.0), ((0.7, 0.7, 4.4), 0.0)):
        grid = phantom_spine.grid_for(SPINE, spacing, orientation="sagittal", margin_mm=5)
        bodies, _ = masks_on(grid)
        assert marrow.common_plane(Image("T1", np.zeros(grid.shape), grid), bodies).thickness == thickness


def sac_image(values):
    """A 2-D patch of sac, one sagittal slice of 1 mm pixels, and the ROI over all of it but a rim."""
    from BoneQualityLib.image.grid import Grid

    array = np.asarray(values, float)[None]
    roi = PlanarRoi(
        "L3", "csf", np.array([(array.shape[2] - 1) / 2, (array.shape[1] - 1) / 2, 0.0]), np.eye(3)[0], np.eye(3)[1],
        outlines=(np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [array.shape[2] / 2 - 1, array.shape[1] / 2 - 1],),
    )  # fmt: skip
    return roi, Image("T1", array, Grid(array.shape, np.eye(4)))


def test_roots_are_dropped_and_dark_pixels_stay():
    noise = np.random.default_rng(0).normal(100, 5, (40, 12))
    with_roots = noise.copy()
    with_roots[:, 4] = 200
    csf = read_sac(*sac_image(with_roots))
    assert csf.signal == pytest.approx(100, abs=1)
    assert csf.dropped == pytest.approx(1 / 10, abs=0.02)
    assert not csf.blocked


def test_csf_is_blocked_where_roots_fill_the_sac():
    values = np.random.default_rng(0).normal(100, 5, (40, 12))
    values[:, [2, 4, 6, 8]] = 200
    assert "brighter than CSF" in read_sac(*sac_image(values)).blocked


def test_csf_is_blocked_under_30_mm2():
    assert "mm2" in read_sac(*sac_image(np.full((7, 7), 100.0))).blocked


def csf(level, signal, blocked=""):
    return Csf(level, None, signal, 100.0, 0.0, blocked)


def test_csf_falls_back_from_l3_to_l2_to_l4():
    found = {"L2": csf("L2", 100), "L3": csf("L3", 101, "roots"), "L4": csf("L4", 100)}
    assert used_csf(found).level == "L2"
    found["L2"] = csf("L2", 100, "roots")
    assert used_csf(found).level == "L4"
    found["L4"] = csf("L4", 100, "roots")
    assert used_csf(found) is None


def test_csf_over_15_percent_brighter_than_at_l2_is_blocked():
    grid = phantom_spine.grid_for(SPINE, **SAGITTAL)
    bodies, sac = masks_on(grid)
    extents = level_extents(bodies)
    array = phantom_spine.render_t1(SPINE, grid).astype(float)
    heights = grid.centers() @ extents["L3"].superior
    at_l3 = (heights > extents["L3"].lower) & (heights < extents["L3"].upper)
    array[at_l3] *= 1.3
    found = read_csf({}, sac, None, extents, Image("T1", array, grid), ())
    assert found["L3"].blocked == "over 15 % brighter than at L2"
    assert used_csf(found).level == "L2"


def test_a_level_that_the_reader_rules_out_is_not_used():
    grid = phantom_spine.grid_for(SPINE, **SAGITTAL)
    bodies, sac = masks_on(grid)
    image = Image("T1", phantom_spine.render_t1(SPINE, grid), grid)
    found = read_csf({}, sac, None, level_extents(bodies), image, ("L3",))
    assert used_csf(found).level == "L2"
    assert found["L3"].signal == pytest.approx(found["L2"].signal, rel=0.02)


def test_csf_drawn_by_hand_is_not_judged_against_l2():
    grid = phantom_spine.grid_for(SPINE, **SAGITTAL)
    bodies, sac = masks_on(grid)
    extents = level_extents(bodies)
    array = phantom_spine.render_t1(SPINE, grid).astype(float)
    heights = grid.centers() @ extents["L3"].superior
    array[(heights > extents["L3"].lower) & (heights < extents["L3"].upper)] *= 1.3
    image = Image("T1", array, grid)
    at_l3 = phantom_spine.csf_mask(SPINE, grid) & (np.abs(heights - (extents["L3"].lower + extents["L3"].upper) / 2) < 9)
    found = read_csf({"L3": Mask("CSF L3", at_l3, grid).cropped()}, sac, None, extents, image, ())
    assert found["L2"].signal == pytest.approx(100, rel=0.05)
    assert not found["L3"].blocked and found["L3"].signal > 1.15 * found["L2"].signal
    assert used_csf(found).level == "L3"


def test_the_cord_is_no_part_of_the_csf():
    grid = phantom_spine.grid_for(SPINE, **SAGITTAL)
    bodies, sac = masks_on(grid)
    image = Image("T1", phantom_spine.render_t1(SPINE, grid), grid)
    extent = level_extents(bodies)["L3"]
    in_sac = sac.points[np.abs(sac.points @ extent.superior - (extent.lower + extent.upper) / 2) < 8]
    middle = in_sac.mean(axis=0)
    inside = np.linalg.norm((grid.centers() - middle)[..., :2], axis=-1) < 3.0
    cord = Mask("cord", inside, grid).cropped()
    without, with_cord = (place_sac("L3", sac, mask, extent, image) for mask in (None, cord))
    assert with_cord.area < without.area - 20
    distance = np.linalg.norm((np.concatenate(with_cord.curves()) - middle)[:, 1:2], axis=1)
    heights = np.abs(np.concatenate(with_cord.curves()) @ extent.superior - middle @ extent.superior)
    assert distance[heights < 8].min() > 1.5, "no outline runs through the cord"


@pytest.fixture(scope="module")
def measured_case():
    return case_of(SAGITTAL)


def case_of(grid_options, spine=SPINE, change=lambda array, grid: array, sac_change=lambda sac: sac, noise_sd=4.0):
    grid = phantom_spine.grid_for(spine, **grid_options)
    bodies, sac = masks_on(grid, spine)
    array = change(phantom_spine.render_t1(spine, grid, noise_sd, seed=7), grid)
    segments = [Segment(n, "masks", lambda m=m: m, structure=Structure("vertebra", n, covers="body")) for n, m in bodies.items()]
    segments.append(Segment("sac", "masks", lambda: sac_change(sac), structure=Structure("sac")))
    return measure(CaseImages(None, Given(Image("T1", array, grid), tuple(segments)), None), CaseFacts("a"))


def test_the_range_of_vbq_holds_csf_at_every_accepted_level(measured_case):
    values = measured_case.values
    marrow = np.median([level.t1.values["t1_signal"] for level in measured_case.levels])
    for level in ("L2", "L3", "L4"):
        csf = measured_case.csf[level]
        assert not csf.blocked
        assert values["vbq_low"] <= marrow / csf.signal <= values["vbq_high"]
        assert values["vbq_low"] <= marrow / csf.variations["CSF median"] <= values["vbq_high"] or level != "L3"


def test_the_range_of_vbq_holds_one_slice_to_either_side_and_a_sac_a_voxel_thinner(measured_case):
    values = measured_case.values
    names = set.intersection(*(set(level.t1.variations["t1_signal"]) for level in measured_case.levels))
    assert {"one slice right", "one slice left", "+i", "narrower margin"} <= names

    def thinner(sac):
        eroded = sac.array & np.roll(sac.array, 1, 2) & np.roll(sac.array, -1, 2)
        return Mask("sac", eroded, sac.grid).cropped()

    other = case_of(SAGITTAL, sac_change=thinner)
    assert values["vbq_low"] <= other.values["vbq"] <= values["vbq_high"]
    assert values["vbq_high"] - values["vbq_low"] < 0.2 * values["vbq"]


def test_an_image_whose_csf_is_not_darker_than_marrow_gives_no_vbq():
    result = case_of(SAGITTAL, change=lambda array, grid: (600 - array.astype(int)).clip(0))
    assert "vbq" not in result.values
    assert any("not darker than marrow" in reason for reason in result.reasons)
    assert "not-t1" in {flag.code for flag in result.all_flags}


def bright_ball(radius):
    """A hemangioma of L2 in the mid-sagittal slice."""

    def change(array, grid):
        body = SPINE.vertebra("L2")
        inside = np.linalg.norm((grid.centers() - body.center)[..., 1:], axis=-1) < radius
        inside &= np.abs((grid.centers() - body.center)[..., 0]) < 2.5
        return np.where(inside, 700, array).astype(array.dtype)

    return change


def test_a_focal_lesion_in_the_middle_moves_the_level_to_the_nearest_slice_without_one(measured_case):
    result = case_of(SAGITTAL, change=bright_ball(5.0))
    level = result.levels[1]
    assert level.name == "L2"
    assert level.values["t1_signal"] == pytest.approx(measured_case.levels[1].values["t1_signal"], rel=0.02)
    (flag,) = [flag for flag in level.flags if flag.code == "parasagittal"]
    assert flag.value == pytest.approx(4.4, abs=0.1)
    assert not [flag for flag in measured_case.levels[1].flags if flag.code == "parasagittal"]
    small = case_of(SAGITTAL, change=bright_ball(1.5)).levels[1]
    assert not [flag for flag in small.flags if flag.code == "parasagittal"], "a vessel is no lesion"


def test_csf_at_other_accepted_levels_widens_the_range_and_blocked_ones_do_not():
    numbers = LevelNumbers(values={"t1_signal": 300.0}, variations={"t1_signal": {"+i": 301.0}})
    levels = tuple(Level(name, t1=numbers, t1_excluded=()) for name in LEVELS)
    fluid = {"L2": csf("L2", 90), "L3": csf("L3", 100), "L4": csf("L4", 50, "roots")}
    values = vbq_values(levels, fluid, None).values
    assert (values["vbq"], values["vbq_low"], values["vbq_high"]) == pytest.approx((3.0, 3.0, 300 / 90))
