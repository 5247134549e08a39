"""What is refused or flagged before a number is believed: units, masks off the bone, pieces, numbering, contrast of an MRI."""

from __future__ import annotations

import numpy as np
import pytest

from BoneQualityLib.anatomy.numbering import audit
from BoneQualityLib.anatomy.structure import Segment, Structure
from BoneQualityLib.case.images import CaseImages, Given
from BoneQualityLib.case.measure import measure
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.image.acquisition import ImageTags
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.image import Image
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.measures.marrow import on_plane, section_plane
from BoneQualityLib.measures.mask_rim import LEAST_RIM_HU, LEAST_RIM_SHARE, rim_on_ct, rim_on_t1
from BoneQualityLib.measures.modality import check_modality
from BoneQualityLib.measures.units import check_hounsfield
from BoneQualityLib.parameters import CaseFacts
from BoneQualityLib.phantoms import phantom_spine
from BoneQualityLib.vertebra.body import place_body
from BoneQualityLib.vertebra.pieces import PIECE_SHARE, main_piece, split_bodies
from BoneQualityLib.vertebra.vertebra import Surroundings, Vertebra
from budget._injected_faults import moved, swollen
from budget.plausibility import spine_masks, wrong_units

SUPERIOR = np.array([0.0, 0.0, 1.0])
SPINE = phantom_spine.lumbar_spine(("L2", "L3"), cancellous_hu=110.0)
#: A trunk with air around it.
WIDE = phantom_spine.grid_for(SPINE, (2.5, 2.5, 2.5), size_mm=(330, 260, 110))
NEAR = phantom_spine.grid_for(SPINE, (1.0, 1.0, 1.5), margin_mm=25)


def masks_on(grid, spine=SPINE) -> dict[str, Mask]:
    return {v.level: Mask(v.level, phantom_spine.body_mask(v, grid), grid).cropped() for v in spine.vertebrae}


@pytest.fixture(scope="module")
def trunk() -> np.ndarray:
    return phantom_spine.render_ct(SPINE, WIDE, 12.0, seed=1)


@pytest.fixture(scope="module")
def near() -> Image:
    return Image("CT", phantom_spine.render_ct(SPINE, NEAR, 12.0, seed=2), NEAR)


def checked(array, tags=ImageTags()):
    return check_hounsfield(Image("scan", array, WIDE, tags), list(masks_on(WIDE).values()), [])


# Units


def test_air_and_soft_tissue_are_found_where_they_are(trunk):
    units = checked(trunk)
    assert units.air_hu == pytest.approx(-1000, abs=3)
    assert units.soft_hu == pytest.approx(40, abs=8)
    assert units.flags == []


@pytest.mark.parametrize("name", wrong_units(np.array([-1000.0, 0.0, 500.0])))
def test_a_ct_in_other_units_is_refused_by_name(trunk, name):
    with pytest.raises(BoneQualityError, match="^scan .*(HU|everywhere)"):
        checked(wrong_units(trunk)[name])


@pytest.mark.parametrize(("offset", "flagged"), [(0, False), (12, False), (24, True), (-45, True)])
def test_an_offset_of_over_15_hu_is_flagged_with_the_air_that_shows_it(trunk, offset, flagged):
    flags = checked(trunk + np.int16(offset)).flags
    assert [flag.code for flag in flags] == ["hu-offset"] * flagged
    assert not flagged or flags[0].value == pytest.approx(offset - 1000, abs=3)


def test_without_air_in_view_the_units_are_unverified_and_gas_within_the_body_is_not_that_air():
    grid = phantom_spine.grid_for(SPINE, (2.0, 2.0, 2.0), size_mm=(140, 90, 110))
    masks, array = list(masks_on(grid).values()), phantom_spine.render_ct(SPINE, grid, 12.0, seed=4)
    assert array.min() > -300, "no air"
    assert [flag.code for flag in check_hounsfield(Image("CT", array, grid), masks, []).flags] == ["hu-unverified"]
    k, j, i = array.shape
    bowel = np.zeros(array.shape, bool)
    front = slice(2, 14) if grid.directions[1, 1] < 0 else slice(j - 14, j - 2)
    bowel[2 : k - 2, front, 4 : i - 4] = True
    assert bowel.sum() * 8 > 2e5, "over 200 ml"
    array[bowel] = -850
    assert [flag.code for flag in check_hounsfield(Image("CT", array, grid), masks, []).flags] == ["hu-unverified"]


def test_padding_around_the_scanners_circle_is_not_air(trunk):
    array = trunk.copy()
    array[array < -900] = -3024
    assert [flag.code for flag in checked(array).flags] == ["hu-unverified"]


def test_missing_values_do_not_disturb_the_check(trunk):
    array = trunk.astype(np.float32)
    array[:, :10] = np.nan
    assert checked(array).soft_hu == pytest.approx(40, abs=8)


@pytest.mark.parametrize(
    ("tag", "wanted", "refused"),
    [("OT", "CT", False), ("OT", "T1 MRI", True), ("PT", "CT", True), ("MR", "CT", True), ("CT", "CT", False)],
)
def test_the_modality_tag_decides_and_ot_leaves_it_to_the_values(trunk, tag, wanted, refused):
    image = Image("scan", trunk, WIDE, ImageTags(modality=tag))
    if refused:
        with pytest.raises(BoneQualityError, match="scan"):
            check_modality(image, wanted)
    else:
        check_modality(image, wanted)


# Rim


def rim(mask: Mask, image: Image) -> float:
    return rim_on_ct(place_body("L2", mask, [], "body"), image)


@pytest.mark.parametrize(
    "change", [lambda m: m, lambda m: moved(m, [0.7, 0.5, 0.5]), lambda m: swollen(m, 1.0), lambda m: swollen(m, -1.0)]
)
def test_masks_on_the_bone_have_a_rim(near, change):
    assert rim(change(masks_on(NEAR)["L2"]), near) > LEAST_RIM_HU + 10


@pytest.mark.parametrize("step", [[5, 0, 0], [-5, 0, 0], [0, 5, 0], [0, -5, 0], [0, 0, 5], [0, 0, -5], [20, 10, 0]])
def test_masks_moved_off_the_bone_have_none(near, step):
    assert rim(moved(masks_on(NEAR)["L2"], step), near) < LEAST_RIM_HU


def test_a_swollen_mask_has_none(near):
    assert rim(swollen(masks_on(NEAR)["L2"], 4.0), near) < LEAST_RIM_HU


def of_case(image: Image, masks: dict[str, Mask], **facts):
    segments = tuple(
        Segment(level, "masks", lambda mask=mask: mask, structure=Structure("vertebra", level, covers="body"))
        for level, mask in masks.items()
    )
    return measure(CaseImages(Given(image, segments), None, None), CaseFacts("a", **facts))


def test_a_level_whose_mask_is_off_the_bone_is_not_used_and_says_why(near):
    masks = masks_on(NEAR)
    result = of_case(near, masks | {"L2": moved(masks["L2"], [0, 0, 6])})
    rows = {row["level"]: row for row in result.level_rows}
    assert (rows["L2"]["used"], rows["L2"]["ct_exclusion"]) == ("no", "mask-off-bone")
    assert result.values["ct_levels"] == ["L3"]
    (flag,) = [flag for flag in result.all_flags if flag.code == "mask-off-bone"]
    assert flag.level == "L2" and flag.severity.value == "error" and flag.value < LEAST_RIM_HU


def test_the_other_endplate_of_a_crushed_body_is_no_interior():
    flat = dict(height_anterior_mm=9.0, height_middle_mm=7.0, height_posterior_mm=11.0)
    spine = phantom_spine.lumbar_spine(("L3",), cancellous_hu=110.0, changes={"L3": flat})
    grid = phantom_spine.grid_for(spine, (1.0, 1.0, 1.0), margin_mm=12)
    image = Image("CT", phantom_spine.render_ct(spine, grid, 12.0, seed=2), grid)
    assert rim_on_ct(place_body("L3", masks_on(grid, spine)["L3"], [], "body"), image) > 130


T1_GRID = phantom_spine.grid_for(SPINE, (0.8, 0.8, 4.4), orientation="sagittal")


def test_on_t1_a_dark_rim_shows_shifts_within_the_slice_and_not_across_it():
    image = Image("T1", phantom_spine.render_t1(SPINE, T1_GRID, 6.0, seed=3), T1_GRID)

    def dark(mask):
        lattice = section_plane(image, mask.center).lattice(mask.row_ends)
        return rim_on_t1(on_plane(mask, lattice), lattice, image)

    mask = masks_on(T1_GRID)["L2"]
    assert dark(mask) > LEAST_RIM_SHARE + 0.1
    assert dark(moved(mask, [0.0, 0.5, 0.5])) > LEAST_RIM_SHARE
    for step in ([0, 6, 0], [0, -6, 0], [0, 0, 6], [0, 0, -6], [0, 4, -4]):
        assert dark(moved(mask, step)) < LEAST_RIM_SHARE
    assert dark(moved(mask, [4.4, 0, 0])) > LEAST_RIM_SHARE, "blind to it, as said"


# Pieces


def test_only_the_main_piece_of_a_mask_is_read_and_a_speck_raises_nothing():
    array = np.zeros((20, 20, 30), bool)
    array[2:18, 2:18, 2:14] = True
    array[5:9, 5:9, 20:24] = True
    whole = Mask("L3", array, Grid(array.shape, np.eye(4)))
    pieces = main_piece(whole)
    assert pieces.main.volume == 16 * 16 * 12
    assert pieces.other_share == 0.0, "64 of 3072 mm3"
    array[5:15, 5:15, 20:28] = True
    assert main_piece(whole).other_share == pytest.approx(800 / 3072)


def test_a_bridge_to_the_neighbor_is_cut():
    masks, _ = spine_masks(0, False, 2.0)
    joined = masks["L3"].array | masks["L4"].array
    k, j, i = np.round(masks["L3"].grid.ijk((masks["L3"].cropped().center + masks["L4"].cropped().center) / 2)).astype(int)[::-1]
    joined[k - 6 : k + 7, j - 1 : j + 1, i - 1 : i + 1] = True
    parts = split_bodies(main_piece(Mask("L4", joined, masks["L3"].grid)).main, SUPERIOR)
    assert parts.other_share > 0.5
    assert parts.main.volume == pytest.approx(max(masks["L3"].volume, masks["L4"].volume), rel=0.05)


def test_a_crushed_body_is_one_piece():
    spine = phantom_spine.lumbar_spine(
        ("L3",), posterior_elements=False, changes={"L3": dict(height_middle_mm=7.0, height_anterior_mm=20.0)}
    )
    for spacing in (1.0, 3.0):
        grid = phantom_spine.grid_for(spine, (spacing,) * 3)
        mask = Mask("L3", phantom_spine.body_mask(spine.vertebra("L3"), grid), grid).cropped()
        assert split_bodies(main_piece(mask).main, SUPERIOR).other_share == 0.0


def test_a_whole_vertebra_with_part_of_its_neighbor_is_fragmented_and_the_right_one_is_not():
    masks, _ = spine_masks(0, True, 3.0)

    def fragments(mask):
        pieces = main_piece(mask.cropped())
        return Vertebra("L4", pieces.main, "vertebra", Surroundings(), other_pieces=pieces.other_share).fragments

    assert fragments(masks["L4"]) < 0.05
    body_above = masks["L3"].array & (masks["L3"].grid.centers()[..., 1] > masks["L3"].cropped().center[1] + 10)
    assert fragments(Mask("L4", masks["L4"].array | body_above, masks["L4"].grid)) > 0.05


def test_the_arch_of_a_neighbor_under_a_vertebras_name_is_a_fragment_and_its_own_is_not():
    masks, _ = spine_masks(0, True, 3.0)
    above = masks["L3"].cropped()
    arch = masks["L3"].array & (masks["L3"].grid.centers()[..., 1] < above.center[1] - 8)
    pieces = main_piece(Mask("L4", masks["L4"].array | arch, masks["L4"].grid).cropped())
    mixed = Vertebra("L4", pieces.main, "vertebra", Surroundings())
    assert pieces.other_share == 0.0, "the arches touch: this is one piece"
    assert mixed.fragments > 2 * PIECE_SHARE
    own = Vertebra("L4", masks["L4"].cropped(), "vertebra", Surroundings())
    assert own.fragments < 0.2 * PIECE_SHARE


def test_two_vertebrae_with_the_disc_under_one_name_are_not_measured(near):
    both = (
        phantom_spine.body_mask(SPINE.vertebrae[0], NEAR)
        | phantom_spine.body_mask(SPINE.vertebrae[1], NEAR)
        | phantom_spine.disc_mask(SPINE, "L2-L3", NEAR)
    )
    with pytest.raises(BoneQualityError, match="mm tall and reaches into a neighbor"):
        of_case(near, {"L2": Mask("L2", both, NEAR).cropped()})


# Numbering


@pytest.mark.parametrize("axis", [0, 1])
def test_one_vertebra_under_two_names_is_out_of_order(spine, axis):
    masks = dict(spine[0])
    whole = masks["L3"]
    side = whole.grid.centers()[..., axis] < whole.center[axis]
    halves = {"L3": Mask("L3", whole.array & side, whole.grid), "L4": Mask("L4", whole.array & ~side, whole.grid)}
    flags = audit({level: masks[level] for level in ("L1", "L2")} | {level: half.cropped() for level, half in halves.items()})
    assert codes(flags) == ["level-order"]


@pytest.fixture(scope="module")
def spine() -> tuple[dict[str, Mask], Mask]:
    masks, sacrum = spine_masks(1, False, 3.0)
    return {level: mask.cropped() for level, mask in masks.items()}, sacrum


def codes(flags) -> list[str]:
    return [flag.code for flag in flags]


def test_a_right_spine_raises_nothing(spine):
    masks, sacrum = spine
    assert audit(masks, (), sacrum) == []


def test_a_skipped_number_and_a_missing_mask_are_told_apart(spine):
    masks, _ = spine
    skipped = dict(zip(("T11", "T12", "L1", "L2", "L3", "L5"), masks.values()))
    (flag,) = audit(skipped)
    assert flag.code == "level-gap" and "without room for L4" in flag.about
    missing = {level: mask for level, mask in masks.items() if level != "L4"}
    (flag,) = audit(missing)
    assert flag.code == "level-gap" and "no mask of L4" in flag.about
    assert audit(missing, known=["L4"]) == [], "a person left it out"


def test_a_vertebra_without_a_name_is_noticed(spine):
    masks, _ = spine
    (flag,) = audit(dict(zip(("T12", "L1", "L2", "L3"), [masks[level] for level in ("T12", "L1", "L3", "L4")])))
    assert flag.code == "level-gap" and "room for one more" in flag.about


def test_the_sacrum_under_l4_and_a_rib_at_l1_speak_against_the_numbers(spine):
    masks, sacrum = spine
    assert codes(audit(dict(zip(("T11", "T12", "L1", "L2", "L3", "L4"), masks.values())), (), sacrum)) == ["level-numbering"]
    rib = moved(sacrum, masks["L1"].center + [-28, -20, 3] - sacrum.center)
    (flag,) = audit(masks, [("T12", rib)], None)
    assert flag.code == "level-numbering" and "a rib lies at L1" in flag.about
    assert audit(masks, [("T12", moved(rib, masks["T12"].center - masks["L1"].center))], None) == []


def test_levels_out_of_order_are_an_error(spine):
    masks, _ = spine
    flags = audit(masks | {"L2": masks["L3"], "L3": masks["L2"]})
    assert codes(flags) == ["level-order"] and flags[0].severity.value == "error"
