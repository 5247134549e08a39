"""Muscles on axial images: areas, rCSA and fat of analytic phantoms, and of a real volunteer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from BoneQualityLib.anatomy.structure import Segment
from BoneQualityLib.anatomy.vocabulary import identify
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.image.grid import SUPERIOR, Grid
from BoneQualityLib.image.image import Image
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.measures import muscles as muscles_module
from BoneQualityLib.measures.muscle_stacks import AxialImages
from BoneQualityLib.parameters import Parameters
from BoneQualityLib.phantoms.phantom_muscles import SIGNALS, axial_grid, mask_of, paraspinal_muscles, render
from conftest import rotation


def measure_muscles(found, images, *more):
    """On one stack of slices."""
    return muscles_module.measure_muscles(found, [images], *more)


TWO_DISCS = {"L3-L4": ((0.0, 0.0, 20.0), (0.0, 0.0, 1.0)), "L4-L5": ((0.0, 0.0, -16.0), (0.0, 0.0, 1.0))}
SPACING = (0.8, 0.8, 4.0)
NAMES = [f"{side} {muscle}" for muscle in ("psoas major", "multifidus", "erector spinae") for side in ("left", "right")]


def phantom_of(fat=0.2, discs=TWO_DISCS, **options):
    return paraspinal_muscles(fat, discs=discs, **options)


def masks_of(phantom, grid: Grid) -> dict[str, Mask]:
    """A mask for every compartment and disc."""
    names = [*NAMES, *(disc.name for disc in phantom.discs)]
    return {name: Mask(name, mask_of(phantom, name, grid), grid) for name in names}


def segments(masks: dict[str, Mask]) -> list[Segment]:
    found = [Segment(name, "masks", lambda mask=mask: mask.cropped()) for name, mask in masks.items()]
    return [replace(segment, structure=identify(segment)) for segment in found]


def image_of(phantom, grid: Grid, kind: str = "t2", snr: float = 0.0, shading=None) -> Image:
    """snr: signal of lean muscle over the noise."""
    noise = SIGNALS[kind].lean / snr if snr else 0.0
    return Image(kind, render(phantom, grid, kind, noise, seed=3, shading=shading), grid)


def measured(phantom, grid: Grid, kind: str = "t2", snr: float = 0.0, masks=None, shading=None, bodies=(), **parameters):
    images = AxialImages(image_of(phantom, grid, kind, snr, shading), is_ct=kind == "ct")
    return measure_muscles(segments(masks or masks_of(phantom, grid)), images, Parameters(**parameters), list(bodies))


def worst_fat(muscles, share: float) -> float:
    """Percentage points between any compartment and the truth."""
    return max(abs(c.fat_infiltration - 100 * share) for there in muscles.slices for c in there.compartments)


@pytest.mark.parametrize("turned", [None, rotation("R", 15), rotation("R", -10) @ rotation("A", 6)])
@pytest.mark.parametrize("left_handed", [False, True])
def test_areas_are_within_one_percent_on_straight_and_oblique_slices(turned, left_handed):
    normal = SUPERIOR if turned is None else turned @ SUPERIOR
    phantom = phantom_of(scale=1.2, discs={name: (center, normal) for name, (center, _) in TWO_DISCS.items()})
    muscles = measured(phantom, axial_grid(phantom, (0.7, 0.7, 4.0), turned, left_handed=left_handed))
    assert [there.disc for there in muscles.slices] == ["L3-L4", "L4-L5"]
    for there in muscles.slices:
        assert there.plane.normal == pytest.approx(normal, abs=1e-6)
        assert there.disc_area == pytest.approx(phantom.disc(there.disc).area_on(normal), rel=0.01)
        for name, compartment in zip(NAMES, there.compartments):
            assert (compartment.name, compartment.area) == (
                name,
                pytest.approx(phantom.compartment(name).area / normal[2], rel=0.01),
            )
        assert there.rcsa() == pytest.approx(sum(c.area for c in there.compartments) / there.disc_area)
    truth = sum(phantom.compartment(name).area for name in NAMES) / normal[2] / phantom.disc("L3-L4").area_on(normal)
    assert muscles.case_values()["rcsa"] == pytest.approx(truth, rel=0.01)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.4])
@pytest.mark.parametrize(("snr", "points"), [(0, 1.0), (15, 2.0)])
@pytest.mark.parametrize("kind", ["t2", "t1"])
def test_fat_infiltration_is_that_of_the_phantom(share, snr, points, kind):
    phantom = phantom_of(share)
    muscles = measured(phantom, axial_grid(phantom, SPACING), kind, snr)
    assert worst_fat(muscles, share) < (points if share else 1.0)
    assert muscles.case_values()["fat_infiltration_percent"] == pytest.approx(100 * share, abs=points / 2)
    assert muscles.flags[0].level == "L1-L2" and {flag.code for flag in muscles.flags} == {"disc-absent"}


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_fat_all_around_the_muscles_does_not_get_in(share, monkeypatch):
    monkeypatch.setitem(SIGNALS, "t2", SIGNALS["t2"]._replace(soft=SIGNALS["t2"].fat))
    phantom = phantom_of(share)
    assert worst_fat(measured(phantom, axial_grid(phantom, SPACING), snr=15), share) < (2.0 if share else 1.0)


@pytest.mark.parametrize("radius", [2.0, 3.0])
def test_long_round_strands_of_fat_are_counted_to_a_twentieth(radius):
    """Pixels that hold the mean of what they cover; a strand's rim is more than half muscle where it bulges."""
    phantom = phantom_of(0.0)
    grid, parts = axial_grid(phantom, (0.7, 0.7, 4.0)), 8
    right, front = (
        grid.refined((parts, parts, 1)).box((slice(0, 1), *(slice(0, parts * n) for n in grid.shape[1:]))).centers()[0, ..., :2].T
    )
    strands, count = np.zeros(right.shape, bool), {}
    random = np.random.default_rng(2)
    for name in NAMES:
        compartment = phantom.compartment(name)
        lattice = np.stack(np.meshgrid(*[np.arange(-16, 16, 2 * radius + 2.2)] * 2), axis=-1).reshape(-1, 2) + random.uniform(
            0, 2, 2
        )
        inside = (((lattice / (np.array(compartment.semi_axes) - radius - 1)) ** 2).sum(axis=1) < 1).nonzero()[0]
        count[name] = len(inside)
        for x, y in lattice[inside] + compartment.offset:
            strands |= (right - x) ** 2 + (front - y) ** 2 < radius**2
    share = strands.T.reshape(grid.shape[1], parts, grid.shape[2], parts).mean(axis=(1, 3))
    array = render(phantom, grid) + share * (SIGNALS["t2"].fat - SIGNALS["t2"].lean)
    muscles = measure_muscles(segments(masks_of(phantom, grid)), AxialImages(Image("t2", array, grid)), Parameters())
    found = sum(c.fat_infiltration * c.area / 100 for c in muscles.slices[0].compartments)
    assert found == pytest.approx(sum(count.values()) * np.pi * radius**2, rel=0.05)


def test_fat_infiltration_holds_on_oblique_slices():
    phantom = phantom_of(0.3)
    assert worst_fat(measured(phantom, axial_grid(phantom, SPACING, rotation("R", 20)), snr=15), 0.3) < 2.0


def test_fat_of_single_pixels_is_counted_exactly():
    phantom = phantom_of(0.0)
    grid = axial_grid(phantom, SPACING)
    masks, image = masks_of(phantom, grid), render(phantom, grid)
    random = np.random.default_rng(1)
    for name in NAMES:
        image[masks[name].array & (random.random(grid.shape) < 0.25)] = SIGNALS["t2"].fat
    muscles = measure_muscles(segments(masks), AxialImages(Image("t2", image, grid)), Parameters())
    for there in muscles.slices:
        k = round(float(grid.ijk(there.plane.center)[2]))
        for compartment in there.compartments:
            inside = masks[compartment.name].array[k]
            fat = inside & (image[k] > 400)
            assert compartment.fat_infiltration == pytest.approx(100 * fat.sum() / inside.sum())
            points = np.round(grid.ijk(compartment.fat_pixels.points)).astype(int)
            assert sorted(map(tuple, points[:, 1::-1])) == [tuple(index) for index in np.argwhere(fat)] and set(points[:, 2]) == {k}


@pytest.mark.parametrize("turned", [rotation("R", 15), rotation("R", -10) @ rotation("A", 6), rotation("R", 20)])
@pytest.mark.parametrize("left_handed", [False, True])
def test_the_outermost_slices_of_an_oblique_stack_are_read_like_the_others(turned, left_handed):
    phantom = phantom_of(0.2)
    grid = axial_grid(phantom, SPACING, turned, left_handed=left_handed)
    muscles = measured(phantom, grid, masks={name: mask for name, mask in masks_of(phantom, grid).items() if name in NAMES})
    assert len(muscles.slices) == grid.shape[0] and worst_fat(muscles, 0.2) < 1.0
    assert not [c.reasons for there in muscles.slices for c in there.compartments if c.reasons]


def test_the_threshold_is_midway_between_lean_muscle_and_the_fat_beside_it():
    phantom = phantom_of(0.3)
    threshold = measured(phantom, axial_grid(phantom, SPACING), snr=15).slices[0].thresholds["left"]
    assert (threshold.lean_mode, threshold.fat_mode) == (pytest.approx(100, abs=4), pytest.approx(700, abs=10))
    assert threshold.low == pytest.approx((threshold.lean_mode + threshold.fat_mode) / 2)


def test_muscle_that_is_more_fat_than_lean_is_measured():
    phantom = phantom_of(0.7)
    assert worst_fat(measured(phantom, axial_grid(phantom, SPACING), snr=15), 0.7) < 2.0


def test_otsu_is_refused_where_there_is_no_fat_and_agrees_where_there_is():
    lean, fatty = phantom_of(0.0), phantom_of(0.3)
    refused = measured(lean, axial_grid(lean, SPACING), snr=15, fat_threshold="otsu")
    assert all(
        c.fat_infiltration is None and "Otsu" in str(c.reasons[0]) and c.area for s in refused.slices for c in s.compartments
    )
    assert "fat_infiltration_percent" not in refused.case_values()
    assert worst_fat(measured(fatty, axial_grid(fatty, SPACING), snr=15, fat_threshold="otsu"), 0.3) < 2.0


def test_a_fixed_threshold_is_used_as_it_is_given():
    phantom = phantom_of(0.2)
    grid = axial_grid(phantom, SPACING)
    assert worst_fat(measured(phantom, grid, fat_threshold="400"), 0.2) < 1.0
    everything = measured(phantom, grid, fat_threshold="0")
    assert everything.case_values()["fat_infiltration_percent"] == pytest.approx(100)
    assert everything.slices[0].thresholds["left"].method == "fixed"


def test_without_subcutaneous_fat_in_view_there_is_no_reference_and_areas_stay():
    phantom = phantom_of(0.2)
    grid = axial_grid(phantom, SPACING)
    array = render(phantom, grid)
    array[(grid.centers()[..., 1] < -64) | (np.abs(grid.centers()[..., 0]) > 66)] = np.nan
    muscles = measure_muscles(segments(masks_of(phantom, grid)), AxialImages(Image("t2", array, grid)), Parameters())
    for compartment in muscles.slices[0].compartments:
        assert compartment.fat_infiltration is None and compartment.area and "subcutaneous fat" in str(compartment.reasons[0])
    assert muscles.case_values()["rcsa"] == pytest.approx(phantom.rcsa("L3-L4"), rel=0.02)
    assert muscles.case_reasons() == ["no fat infiltration: no subcutaneous fat is in view; give a value (fat threshold)"]


def test_fat_suppression_gives_no_reference():
    phantom = phantom_of(0.2)
    grid = axial_grid(phantom, SPACING)
    array = render(phantom, grid)
    array[array > 300] = 60
    muscles = measure_muscles(segments(masks_of(phantom, grid)), AxialImages(Image("t2", array, grid)), Parameters())
    assert all(c.fat_infiltration is None and "fat" in str(c.reasons[0]) for c in muscles.slices[0].compartments)


def test_ct_counts_pixels_from_minus_190_to_minus_30_hu():
    phantom = phantom_of(0.2, scale=1.2)
    muscles = measured(phantom, axial_grid(phantom, (0.6, 0.6, 4.0)), "ct")
    assert worst_fat(muscles, 0.2) < 1.5  # -30 HU is not midway, so that mixed pixels count a little less
    assert (muscles.slices[0].thresholds["left"].low, muscles.slices[0].thresholds["left"].high) == (-190, -30)


def test_fat_and_water_give_the_mean_fat_fraction_without_another_image():
    phantom = phantom_of({"multifidus": 0.3, "erector spinae": 0.2, "psoas major": 0.05}, scale=1.2)
    grid = axial_grid(phantom, SPACING)
    images = AxialImages(fat=image_of(phantom, grid, "fat"), water=image_of(phantom, grid, "water"))
    muscles = measure_muscles(segments(masks_of(phantom, grid)), images, Parameters())
    for compartment in muscles.slices[0].compartments:
        assert compartment.fat_fraction == pytest.approx(phantom.fat_fraction(compartment.name), abs=1.0)
        assert compartment.fat_infiltration is None
    values = muscles.case_values()
    assert values["fat_fraction_percent"] == pytest.approx(np.mean([phantom.fat_fraction(name) for name in NAMES]), abs=0.5)
    assert "fat_infiltration_percent" not in values and values["rcsa"] == pytest.approx(phantom.rcsa("L3-L4"), rel=0.01)
    exchanged = measure_muscles(segments(masks_of(phantom, grid)), AxialImages(fat=images.water, water=images.fat), Parameters())
    assert "fat-water" not in {flag.code for flag in muscles.flags} and "fat-water" in {flag.code for flag in exchanged.flags}
    assert all("fat-water" in row["flags"] for row in exchanged.rows() if row["side"])


def test_fat_and_water_may_lie_on_another_lattice_than_the_t2_but_not_on_two():
    phantom = phantom_of(0.3)
    grid, coarser = axial_grid(phantom, SPACING), axial_grid(phantom, (1.1, 1.1, 3.0))
    fat, water = image_of(phantom, coarser, "fat"), image_of(phantom, coarser, "water")
    muscles = measure_muscles(
        segments(masks_of(phantom, grid)), AxialImages(image_of(phantom, grid), fat=fat, water=water), Parameters()
    )
    for compartment in muscles.slices[0].compartments:
        assert compartment.fat_infiltration == pytest.approx(30, abs=1)
        assert compartment.fat_fraction == pytest.approx(phantom.fat_fraction(compartment.name), abs=2)
    with pytest.raises(BoneQualityError, match="fat and water do not lie on the same lattice"):
        AxialImages(fat=fat, water=image_of(phantom, grid, "water"))
    with pytest.raises(BoneQualityError, match="give the other one too"):
        AxialImages(fat=fat)


def test_sides_with_different_thresholds_are_flagged():
    phantom = phantom_of(0.1)
    muscles = measured(phantom, axial_grid(phantom, SPACING), shading=lambda points: np.exp(points[..., 0] / 250))
    flags = [flag for flag in muscles.flags if flag.code == "muscle-bias"]
    assert [flag.level for flag in flags] == ["L3-L4", "L4-L5"] and flags[0].value > 20
    thresholds = muscles.slices[0].thresholds
    assert thresholds["right"].low > thresholds["left"].low


def test_a_compartment_at_the_edge_of_the_image_is_not_used():
    phantom = phantom_of(0.2)
    grid = axial_grid(phantom, SPACING)
    narrower = grid.box((slice(0, grid.shape[0]), slice(0, grid.shape[1]), slice(0, grid.shape[2] - 65)))
    masks = {name: Mask(name, mask.array[:, :, :-65], narrower) for name, mask in masks_of(phantom, grid).items()}
    muscles = measured(phantom, narrower, masks=masks)
    cut = {c.name for c in muscles.slices[0].compartments if c.area is None}
    assert cut == {"left psoas major", "left erector spinae"}
    assert {flag.about for flag in muscles.flags if flag.code == "muscle-cut"} == {"left psoas major, left erector spinae"}
    values = muscles.case_values()
    assert not values and any("left psoas major" in reason for reason in muscles.case_reasons())


@pytest.mark.parametrize("turned", [None, np.diag([-1.0, -1.0, 1.0])])
def test_swapped_sides_are_an_error_that_says_so(turned):
    phantom = phantom_of(0.2)
    grid = axial_grid(phantom, SPACING, turned)
    masks = masks_of(phantom, grid)
    measured(phantom, grid, masks=masks)
    masks["left multifidus"], masks["right multifidus"] = masks["right multifidus"], masks["left multifidus"]
    masks = {name: Mask(name, mask.array, mask.grid) for name, mask in masks.items()}
    with pytest.raises(BoneQualityError, match="left multifidus is named left but lies on the patient's right"):
        measured(phantom, grid, masks=masks)


def test_one_side_alone_is_checked_against_the_disc():
    phantom = phantom_of(0.2)
    grid = axial_grid(phantom, SPACING)
    masks = {name: mask for name, mask in masks_of(phantom, grid).items() if "right" not in name}
    masks["right multifidus"] = Mask("right multifidus", masks.pop("left multifidus").array, grid)
    with pytest.raises(BoneQualityError, match="right multifidus is named right but lies on the patient's left"):
        measured(phantom, grid, masks=masks)


def test_sides_are_those_of_a_curved_spine_too():
    """Its multifidi lie to the right of the discs below."""
    axis = np.array([[0.0, 0, -100], [0, 0, -16], [60, 0, 60], [60, 0, 100]])
    phantom = phantom_of(0.2, axis=axis, discs={"L4-L5": TWO_DISCS["L4-L5"]})
    grid = axial_grid(phantom, (1.0, 1.0, 4.0), size_mm=(300, 170))
    grid = grid.box((slice(0, 25), *(slice(0, n) for n in grid.shape[1:])))
    masks = masks_of(phantom, grid)
    assert masks["left multifidus"].center[0] > masks["L4-L5"].center[0]
    assert measured(phantom, grid, masks=masks).case_values()["rcsa"] == pytest.approx(phantom.rcsa("L4-L5"), rel=0.02)


def test_masks_that_overlap_and_discs_out_of_order_are_flagged():
    phantom = phantom_of(0.2)
    grid = axial_grid(phantom, SPACING)
    masks = masks_of(phantom, grid)
    both = masks["left multifidus"].array | masks["left erector spinae"].array
    swapped = masks | {"L3-L4": Mask("a", masks["L4-L5"].array, grid), "L4-L5": Mask("b", masks["L3-L4"].array, grid)}
    found = {flag.code: flag.about for flag in measured(phantom, grid, masks=swapped).flags}
    assert found["level-order"] == "L4-L5 above L3-L4" and "mask-overlap" not in found
    wider = masks | {"left erector spinae": Mask("a", both, grid)}
    found = {flag.code: flag.about for flag in measured(phantom, grid, masks=wider).flags}
    assert found["mask-overlap"] == "left multifidus and left erector spinae" and "level-order" not in found
    typed = measured(phantom, grid, masks={name: masks[name] for name in NAMES}, disc_slices="L3-L4=-16,L4-L5=-15")
    assert "level-order" in {flag.code for flag in typed.flags}


def test_compartments_that_come_as_one_are_reported_and_leave_the_total_empty():
    phantom = phantom_of(0.2)
    grid = axial_grid(phantom, SPACING)
    masks = masks_of(phantom, grid)
    for side in ("left", "right"):
        back = masks.pop(f"{side} multifidus").array | masks.pop(f"{side} erector spinae").array
        masks[f"{side} autochthon"] = Mask(f"{side} autochthon", back, grid)
    muscles = measured(phantom, grid, masks=masks)
    there = muscles.slices[0]
    truth = phantom.compartment("left multifidus").area + phantom.compartment("left erector spinae").area
    assert there.find("autochthon", "left").area == pytest.approx(truth, rel=0.01)
    assert there.find("autochthon", "left").fat_infiltration == pytest.approx(20, abs=1)
    assert not {"rcsa", "fat_infiltration_percent"} & set(muscles.case_values())
    assert any("left autochthon, right autochthon: not the muscles one by one" in reason for reason in muscles.case_reasons())


def test_a_joined_compartment_beside_its_parts_does_not_take_the_total():
    phantom = phantom_of(0.2)
    grid = axial_grid(phantom, SPACING)
    masks = masks_of(phantom, grid)
    for side in ("left", "right"):
        masks[f"{side} iliopsoas"] = Mask(f"{side} iliopsoas", masks[f"{side} psoas major"].array, grid)
    assert measured(phantom, grid, masks=masks).case_values()["rcsa"] == pytest.approx(phantom.rcsa("L3-L4"), rel=0.02)


def test_without_disc_masks_the_slice_is_midway_between_bodies_or_where_a_person_says():
    phantom = phantom_of(0.2)
    grid = axial_grid(phantom, SPACING)
    masks = {name: mask for name, mask in masks_of(phantom, grid).items() if name in NAMES}
    bodies = [("CT", {"L3": np.array([0.0, 0, 39]), "L4": np.array([0.0, 0, 1])})]
    between = measured(phantom, grid, masks=masks, bodies=bodies)
    assert [(s.disc, s.plane.source) for s in between.slices] == [("L3-L4", "midway between the bodies of L3 and L4 on the CT")]
    assert between.slices[0].plane.center[2] == pytest.approx(20, abs=2)
    typed = measured(phantom, grid, masks=masks, bodies=bodies, disc_slices="l3-l4=-16")
    assert typed.slices[0].plane.center[2] == pytest.approx(-16, abs=2)
    for muscles in (between, typed):
        values = muscles.case_values()
        assert "rcsa" not in values and values["fat_infiltration_percent"] == pytest.approx(20, abs=1)
        assert {flag.code for flag in muscles.flags} == {"disc-absent"}


def test_bodies_of_another_frame_claim_no_disc():
    phantom = phantom_of(0.2)
    grid = axial_grid(phantom, SPACING)
    masks = {name: mask for name, mask in masks_of(phantom, grid).items() if name in NAMES}
    muscles = measured(phantom, grid, masks=masks, bodies=[("CT", {"L3": np.array([0.0, 0, 939]), "L4": np.array([0.0, 0, 901])})])
    assert {there.disc for there in muscles.slices} == {""} and any(
        "outside the image" in reason for reason in muscles.case_reasons()
    )


def test_without_any_disc_every_slice_is_reported_by_its_position():
    phantom = phantom_of(0.2)
    grid = axial_grid(phantom, SPACING)
    masks = {name: mask for name, mask in masks_of(phantom, grid).items() if name in NAMES}
    muscles = measured(phantom, grid, masks=masks)
    heights = [there.plane.center[2] for there in muscles.slices]
    assert len(heights) == grid.shape[0] and np.diff(heights) == pytest.approx(-4.0)
    assert all(there.disc == "" and len(there.compartments) == 6 for there in muscles.slices)
    assert muscles.case_values() == {} and [flag.code for flag in muscles.flags] == ["disc-absent"]


def test_what_a_slice_without_a_disc_lacks_is_said_once_or_on_the_slice_that_holds_too_little():
    phantom = phantom_of(0.2)
    grid = axial_grid(phantom, SPACING)
    masks = {name: mask for name, mask in masks_of(phantom, grid).items() if name in NAMES}
    short = masks["left multifidus"].array.copy()
    short[:5] = False
    short[5] &= np.abs(grid.centers()[5] - [-13.5, -47, 0])[..., :2].max(axis=-1) < 2
    masks |= {"left multifidus": Mask("a", short, grid), "right psoas major": Mask("b", np.zeros(grid.shape, bool), grid)}
    muscles = measured(phantom, grid, masks=masks)
    found = [there.find("multifidus", "left") for there in reversed(muscles.slices)]
    assert found[:5] == [None] * 5 and list(map(str, found[5].reasons)) == ["less than 30 mm2 of it on the slice; draw all of it"]
    assert all(c.area for c in found[6:]) and not any(there.find("psoas_major", "right") for there in muscles.slices)
    assert "right psoas major: the mask is empty; draw it" in muscles.reasons


def test_the_plane_of_the_vertebra_is_perpendicular_to_the_disc():
    tilts = {"L3-L4": 14.0, "L4-L5": -14.0}
    discs = {name: (TWO_DISCS[name][0], (0, np.sin(np.radians(t)), np.cos(np.radians(t)))) for name, t in tilts.items()}
    phantom = phantom_of(0.2, discs=discs, scale=1.2)
    grid = axial_grid(phantom, (0.7, 0.7, 2.0))
    grid = grid.box((slice(-6, grid.shape[0] + 6), *(slice(0, n) for n in grid.shape[1:])))
    muscles = measured(phantom, grid, slice_plane="vertebra")
    for there in muscles.slices:
        disc = phantom.disc(there.disc)
        assert there.plane.normal @ disc.normal > np.cos(np.radians(3))
        assert there.disc_area == pytest.approx(disc.area_on(disc.normal), rel=0.01)
        for compartment in there.compartments:
            truth = phantom.compartment(compartment.name).area / disc.normal[2]
            assert compartment.area == pytest.approx(truth, rel=0.015)
            assert compartment.fat_infiltration == pytest.approx(20, abs=2)


@pytest.mark.parametrize("ends", ["image", "masks"])
def test_an_area_is_not_used_where_a_tilted_slice_leaves_the_image_or_the_masks(ends):
    """The disc tilts by 13 degrees, so that the slice lies 11 mm lower in the back muscles, and the image ends 12 mm below the disc."""
    tilted = (0.0, -np.sin(np.radians(13)), np.cos(np.radians(13)))
    phantom = phantom_of(0.2, discs={"L3-L4": (TWO_DISCS["L3-L4"][0], tilted)})
    grid = axial_grid(phantom, (0.8, 0.8, 2.0))
    masks = masks_of(phantom, grid)
    whole = grid.box((slice(-15, grid.shape[0] + 15), *(slice(0, n) for n in grid.shape[1:])))
    muscles = measured(phantom, grid if ends == "image" else whole, masks=masks, slice_plane="vertebra")
    there = muscles.slices[0]
    cut = {c.name: str(c.reasons[0]) for c in there.compartments if c.area is None}
    assert {name.split(" ", 1)[1] for name in cut} == {"multifidus", "erector spinae"}
    assert all(("edge of the image" if ends == "image" else "ends on the tilted slice") in reason for reason in cut.values())
    assert there.disc_area and "rcsa" not in muscles.case_values() and "muscle-cut" in {flag.code for flag in muscles.flags}
    full = measured(phantom, whole, slice_plane="vertebra")
    assert full.case_values()["rcsa"] == pytest.approx(full.slices[0].total_area() / full.slices[0].disc_area)
    assert not [c.reasons for c in full.slices[0].compartments if c.reasons]


def test_a_disc_too_small_to_show_its_axis_gives_no_tilted_slice():
    phantom = phantom_of(0.2)
    grid = axial_grid(phantom, SPACING)
    masks, voxel = masks_of(phantom, grid), np.zeros(grid.shape, bool)
    voxel[tuple(np.round(grid.ijk([0, 0, 20])[::-1]).astype(int))] = True
    muscles = measured(phantom, grid, masks=masks | {"L3-L4": Mask("L3-L4", voxel, grid)}, slice_plane="vertebra")
    assert [there.disc for there in muscles.slices] == ["L4-L5"]
    assert any(reason.startswith("L3-L4: its axis lies across") for reason in muscles.reasons)


def test_a_position_beyond_the_image_is_named_and_the_other_discs_are_read():
    phantom = phantom_of(0.2)
    muscles = measured(phantom, axial_grid(phantom, SPACING), disc_slices="L3-L4=500")
    assert [there.disc for there in muscles.slices] == ["L4-L5"]
    assert "L3-L4: S 500 mm lies outside the image; correct the slice given" in muscles.reasons[0]


def test_masks_on_a_finer_and_turned_lattice_are_measured_the_same():
    phantom = phantom_of(0.2, scale=1.2)
    grid = axial_grid(phantom, SPACING)
    masks = masks_of(phantom, axial_grid(phantom, (0.6, 0.6, 2.0), rotation("S", 10), (230, 200)))
    muscles = measured(phantom, grid, masks=masks)
    for compartment in muscles.slices[0].compartments:
        assert compartment.area == pytest.approx(phantom.compartment(compartment.name).area, rel=0.01)
        assert compartment.fat_infiltration == pytest.approx(20, abs=1.5)


def test_empty_masks_and_single_pixels_are_named_and_measured_as_nothing():
    phantom = phantom_of(0.2)
    grid = axial_grid(phantom, SPACING)
    masks = masks_of(phantom, grid)
    masks["left multifidus"] = Mask("left multifidus", np.zeros(grid.shape, bool), grid)
    pixel = np.zeros(grid.shape, bool)
    pixel[tuple(np.round(grid.ijk([13.5, -47, 20])[::-1]).astype(int))] = True
    masks["right multifidus"] = Mask("right multifidus", pixel, grid)
    there = measured(phantom, grid, masks=masks).slices[0]
    reasons = {c.name: str(c.reasons[0]) for c in there.compartments if c.reasons}
    assert reasons == {
        "left multifidus": "the mask is empty; draw it",
        "right multifidus": "less than 30 mm2 of it on the slice; draw all of it",
    }
    assert there.find("psoas_major", "left").fat_infiltration == pytest.approx(20, abs=1)


def test_pixels_without_a_number_empty_only_their_compartment():
    phantom = phantom_of(0.2)
    grid = axial_grid(phantom, SPACING)
    array = render(phantom, grid)
    array[(np.abs(grid.centers() - [-39.0, -2, 20]) < 3).all(axis=-1)] = np.nan
    muscles = measure_muscles(segments(masks_of(phantom, grid)), AxialImages(Image("t2", array, grid)), Parameters())
    empty = {c.name for there in muscles.slices for c in there.compartments if c.fat_infiltration is None}
    assert empty == {"left psoas major"}


def test_eight_bit_images_are_measured():
    phantom = phantom_of(0.2)
    grid = axial_grid(phantom, SPACING)
    array = np.clip(render(phantom, grid, noise_sd=7) / 4, 0, 255).astype(np.uint8)
    muscles = measure_muscles(segments(masks_of(phantom, grid)), AxialImages(Image("t2", array, grid)), Parameters())
    assert worst_fat(muscles, 0.2) < 2.0


def test_masks_beside_the_image_sagittal_images_and_nameless_sides_are_errors():
    phantom = phantom_of(0.2)
    grid = axial_grid(phantom, SPACING)
    masks = {name: mask for name, mask in masks_of(phantom, grid).items() if name in NAMES}
    away = grid.ijk_to_ras.copy()
    away[0, 3] += 900
    elsewhere = Image("T2", render(phantom, grid), Grid(grid.shape, away))
    with pytest.raises(BoneQualityError, match="do not fit T2: the masks lie outside the image"):
        measure_muscles(segments(masks), AxialImages(elsewhere), Parameters())
    sagittal = Grid((9, 60, 60), np.array([[0, 0, 4.4, -20], [-2, 0, 0, 50], [0, -2.0, 0, 60], [0, 0, 0, 1]]))
    with pytest.raises(BoneQualityError, match="are not axial"):
        measure_muscles(segments(masks), AxialImages(Image("T1", np.zeros(sagittal.shape), sagittal)), Parameters())
    sideless = {"multifidus": masks["left multifidus"]}
    with pytest.raises(BoneQualityError, match="does not say its side"):
        measure_muscles(segments(sideless), AxialImages(image_of(phantom, grid)), Parameters())
    with pytest.raises(BoneQualityError, match="named like a muscle"):
        measure_muscles([], AxialImages(image_of(phantom, grid)), Parameters())


@pytest.mark.parametrize("given", ["L3-L4", "L3-L4=x", "L3-L6=4", "L3-L4=1,L3-L4=2"])
def test_disc_positions_that_cannot_be_read_are_refused(given):
    with pytest.raises(BoneQualityError, match="among the slices at discs"):
        Parameters(disc_slices=given)


def test_a_fat_threshold_is_a_method_or_a_number():
    with pytest.raises(BoneQualityError, match="fat threshold"):
        Parameters(fat_threshold="midway")
    assert Parameters(fat_threshold=350).fat_threshold == "350"


def real(path) -> Image:
    image = sitk.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    array = sitk.GetArrayFromImage(image)
    return Image(path.name, array, Grid(array.shape, np.diag([-1.0, -1, 1, 1]) @ affine))


def test_a_real_volunteers_fat_fraction_and_areas_are_those_of_the_labels(shared_data):
    folder = shared_data / "mr_axial_muscles"
    fat, water, labels = (real(folder / f"TUM01_{name}.nii.gz") for name in ("fat", "water", "muscles"))
    names = ("right erector spinae", "right multifidus", "left multifidus", "left erector spinae")
    masks = {name: Mask(name, labels.array == value, labels.grid) for value, name in enumerate(names, 1)}
    muscles = measure_muscles(segments(masks), AxialImages(fat=fat, water=water), Parameters())
    assert len(muscles.slices) == 29
    pixel = float(np.prod(fat.grid.spacing[:2]))
    for name, mask in masks.items():
        found = [c for there in muscles.slices for c in there.compartments if c.name == name]
        fraction = 100 * np.mean(fat.array[mask.array] / (fat.array[mask.array] + water.array[mask.array].astype(float)))
        weights = [c.area for c in found]
        assert np.average([c.fat_fraction for c in found], weights=weights) == pytest.approx(fraction, abs=0.1)
        assert np.mean([c.fat_fraction for c in found]) == pytest.approx(fraction, abs=1.0) and 12 < fraction < 15
        areas = mask.array.sum(axis=(1, 2))[::-1] * pixel
        assert weights == pytest.approx(areas, rel=0.01, abs=1.5)
    assert muscles.case_values() == {} and any("no disc is known" in reason for reason in muscles.case_reasons())
