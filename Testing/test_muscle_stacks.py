"""Lumbar axial MRI as it is taken: a stack of slices angled to each disc, and muscles drawn on the slice beside the one meant."""

from __future__ import annotations

import csv
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from BoneQualityLib.anatomy.structure import Segment
from BoneQualityLib.anatomy.vocabulary import identify
from BoneQualityLib.batch.manifest import read_manifest
from BoneQualityLib.entry.measure_case import measure_case
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.image import Image
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.measures.muscle_discs import with_levels
from BoneQualityLib.measures.muscle_stacks import AxialImages
from BoneQualityLib.measures.muscles import measure_muscles
from BoneQualityLib.parameters import CaseFacts, Parameters
from BoneQualityLib.phantoms.phantom_muscles import mask_of, paraspinal_muscles, render
from BoneQualityLib.scene.nodes import segmentation_node, volume_node
from conftest import rotation
from dicom_makers import classic, described, enhanced, seg, slices
from spine_files import image_file, measure, segmentation_file

ANGLES = {"L2-L3": -8.0, "L3-L4": 4.0, "L4-L5": 16.0}
FAT = 0.2
MUSCLES = [f"{side} {muscle}" for muscle in ("psoas major", "multifidus", "erector spinae") for side in ("left", "right")]


@cache
def phantom():
    """Three discs, each tilted by an angle of its own."""
    heights = dict(zip(ANGLES, (38.0, 0.0, -40.0)))
    return paraspinal_muscles(FAT, discs={d: ((0, 0, heights[d]), rotation("R", a) @ [0, 0, 1.0]) for d, a in ANGLES.items()})


@cache
def stack_grid(disc: str, count: int = 5, off: float = 0.0) -> Grid:
    """Slices along a disc, the middle one through its center or ``off`` mm beside it."""
    turned = rotation("R", ANGLES[disc]) @ np.diag([-0.9, -0.9, 4.0])
    affine = np.eye(4)
    affine[:3, :3] = turned
    middle = phantom().disc(disc).center + turned @ [0, 17, off / 4]
    affine[:3, 3] = middle - turned @ [105, 85, (count - 1) / 2]
    return Grid((count, 171, 211), affine)


@cache
def stack_array(disc: str, off: float = 0.0) -> np.ndarray:
    return np.rint(render(phantom(), stack_grid(disc, off=off))).astype(np.int16)


def stack_masks(disc: str, off: float = 0.0) -> dict[str, np.ndarray]:
    """The muscles on every slice of a stack, and its own disc."""
    return {name: mask_of(phantom(), name, stack_grid(disc, off=off)) for name in (*MUSCLES, disc)}


def truth(disc: str) -> float:
    """rCSA on the slice along the disc."""
    normal = phantom().disc(disc).normal
    return sum(c.area for c in phantom().compartments) / normal[2] / phantom().disc(disc).area_on(normal)


def segments(masks: dict[str, np.ndarray], grid: Grid, source: str = "masks") -> list[Segment]:
    found = [
        Segment(name, source, lambda name=name, array=array: Mask(name, array, grid).cropped()) for name, array in masks.items()
    ]
    return [replace(segment, structure=identify(segment)) for segment in found]


def measured(discs=tuple(ANGLES), masks=None, off: float = 0.0, bodies=(), **parameters):
    several = [AxialImages(Image(disc, stack_array(disc, off), stack_grid(disc, off=off))) for disc in discs]
    found = (
        masks if masks is not None else [s for disc in discs for s in segments(stack_masks(disc, off), stack_grid(disc, off=off))]
    )
    return measure_muscles(found, several, Parameters(**parameters), list(bodies))


# Stacks


@pytest.mark.parametrize("discs", [tuple(ANGLES), tuple(ANGLES)[::-1], ("L3-L4", "L2-L3", "L4-L5")])
def test_every_disc_is_read_on_its_own_stack_in_whatever_order_they_are_given(discs):
    muscles = measured(discs)
    assert [there.disc for there in muscles.slices] == list(ANGLES)
    for there in muscles.slices:
        assert discs[there.stack] == there.disc
        assert there.rcsa() == pytest.approx(truth(there.disc), rel=0.015)
    assert muscles.case_values()["rcsa"] == pytest.approx(np.mean([truth(disc) for disc in ANGLES]), rel=0.01)
    assert muscles.case_values()["fat_infiltration_percent"] == pytest.approx(100 * FAT, abs=1)


def test_masks_on_one_fine_lattice_of_their_own_serve_every_stack():
    grid = Grid((150, 171, 211), np.array([[-0.9, 0, 0, 95], [0, -0.9, 0, 60], [0, 0, 1.2, -95], [0, 0, 0, 1.0]]))
    masks = {name: mask_of(phantom(), name, grid) for name in (*MUSCLES, *ANGLES)}
    muscles = measured(masks=segments(masks, grid))
    assert [list(ANGLES)[there.stack] for there in muscles.slices] == list(ANGLES)
    for there in muscles.slices:
        assert there.rcsa() == pytest.approx(truth(there.disc), rel=0.02)


def test_a_disc_without_a_mask_is_read_on_the_stack_closest_to_the_bodies_plane():
    masks = [s for disc in ANGLES for s in segments(stack_masks(disc), stack_grid(disc)) if s.structure.kind != "disc"]
    centers = {}
    for disc in ANGLES:
        upper, lower = disc.split("-")
        middle, normal = phantom().disc(disc).center, phantom().disc(disc).normal
        centers |= {
            upper: centers.get(upper, middle + 18 * normal),
            lower: middle - (centers.get(upper, middle + 18 * normal) - middle),
        }
    muscles = measured(masks=masks, bodies=[("CT", centers)])
    assert [(there.disc, list(ANGLES)[there.stack]) for there in muscles.slices] == [(disc, disc) for disc in ANGLES]


def test_discs_segmented_without_their_levels_get_them_from_the_bodies_between_which_they_lie():
    grid = Grid((150, 171, 211), np.array([[-0.9, 0, 0, 95], [0, -0.9, 0, 60], [0, 0, 1.2, -95], [0, 0, 0, 1.0]]))
    masks = {name: mask_of(phantom(), name, grid) for name in MUSCLES}
    masks["intervertebral discs"] = np.logical_or.reduce([mask_of(phantom(), disc, grid) for disc in ANGLES])
    middles = {disc: phantom().disc(disc).center for disc in ANGLES}
    centers = {"L2": middles["L2-L3"] + [0, 0, 19], "L3": middles["L2-L3"] - [0, 0, 19], "L4": middles["L3-L4"] - [0, 0, 20]}
    named = with_levels(segments(masks, grid), [("CT", centers)])
    assert [s.structure.level for s in named if s.structure.kind == "disc"] == ["L2-L3", "L3-L4"]
    muscles = measured(masks=named)
    for there in muscles.slices:
        assert there.rcsa() == pytest.approx(truth(there.disc), rel=0.02)
    assert [s.structure.kind for s in with_levels(segments(masks, grid), [])].count("disc") == 0


def test_one_structure_drawn_twice_on_a_stack_is_an_error_and_on_two_stacks_is_none():
    found = segments(stack_masks("L3-L4"), stack_grid("L3-L4"))
    twice = [*found, *segments({"psoas left": stack_masks("L3-L4")["left psoas major"]}, stack_grid("L3-L4"), "others")]
    with pytest.raises(BoneQualityError, match="left psoas major of masks and the segment psoas left of others both show left"):
        measured(("L3-L4",), masks=twice)


@pytest.mark.parametrize("straight_first", [True, False])
def test_of_two_stacks_that_show_a_disc_the_one_along_it_is_read(straight_first):
    straight = Grid((30, 171, 211), np.array([[-0.9, 0, 0, 95], [0, -0.9, 0, 60], [0, 0, 4.0, -98], [0, 0, 0, 1.0]]))
    several = [
        Image("straight", np.rint(render(phantom(), straight)), straight),
        Image("along", stack_array("L4-L5"), stack_grid("L4-L5")),
    ]
    masks = {name: mask_of(phantom(), name, straight) for name in (*MUSCLES, "L4-L5")}
    found = [*segments(masks, straight), *segments(stack_masks("L4-L5"), stack_grid("L4-L5"))]
    images = [AxialImages(image) for image in (several if straight_first else several[::-1])]
    (there,) = measure_muscles(found, images, Parameters()).slices
    assert images[there.stack].signal.name == "along" and there.rcsa() == pytest.approx(truth("L4-L5"), rel=0.015)


def test_a_sagittal_image_among_the_stacks_is_passed_over():
    sagittal = Grid((9, 60, 60), np.array([[0, 0, 4.4, -20], [-2, 0, 0, 50], [0, -2.0, 0, 60], [0, 0, 0, 1]]))
    several = [
        AxialImages(Image("sagittal", np.ones(sagittal.shape), sagittal)),
        AxialImages(Image("axial", stack_array("L3-L4"), stack_grid("L3-L4"))),
    ]
    muscles = measure_muscles(segments(stack_masks("L3-L4"), stack_grid("L3-L4")), several, Parameters())
    assert [there.stack for there in muscles.slices] == [1]


def test_without_discs_every_slice_of_every_stack_is_reported():
    masks = [s for disc in ANGLES for s in segments(stack_masks(disc), stack_grid(disc)) if s.structure.kind != "disc"]
    assert len(measured(masks=masks).slices) == 15


def test_nodes_of_stacks_and_of_fat_and_water_are_measured():
    stacks = [volume_node(disc, stack_array(disc), stack_grid(disc)) for disc in ANGLES]
    drawn = [segmentation_node(disc, [Mask(n, m, stack_grid(disc)) for n, m in stack_masks(disc).items()]) for disc in ANGLES]
    result = measure_case(CaseFacts("a"), axial_mr=stacks, axial_mr_segmentation=drawn)
    assert result.values["rcsa"] == pytest.approx(np.mean([truth(disc) for disc in ANGLES]), rel=0.01)
    assert set(result.inputs) == {"axial_mr", "axial_mr_2", "axial_mr_3"}
    pairs = [
        [volume_node(disc, render(phantom(), stack_grid(disc), kind), stack_grid(disc)) for disc in ANGLES]
        for kind in ("fat", "water")
    ]
    both = measure_case(CaseFacts("a"), axial_mr=stacks, axial_mr_segmentation=drawn, fat=pairs[0], water=pairs[1])
    assert both.values["rcsa"] == result.values["rcsa"]
    share = np.mean([phantom().fat_fraction(name) for name in MUSCLES])
    assert both.values["fat_fraction_percent"] == pytest.approx(share, abs=1)
    with pytest.raises(BoneQualityError, match="needs a fat and a water image: give water too"):
        measure_case(CaseFacts("a"), axial_mr=stacks, axial_mr_segmentation=drawn, fat=pairs[0], water=pairs[1][:2])


# From files


@pytest.fixture
def files(tmp_path):
    """Each stack as a file, the label maps of their muscles, and their labels."""
    values = {name: n for n, name in enumerate((*MUSCLES, *ANGLES), 1)}
    (tmp_path / "labels.csv").write_text("value,name\n" + "".join(f"{value},{name}\n" for name, value in values.items()))
    for disc in ANGLES:
        image_file(tmp_path / f"{disc}.nii.gz", stack_array(disc), stack_grid(disc))
        labels = np.max([values[name] * mask for name, mask in stack_masks(disc).items()], axis=0)
        image_file(tmp_path / f"{disc}_masks.nii.gz", labels.astype(np.uint8), stack_grid(disc))
    return tmp_path


def of_masks(files) -> list[str]:
    return [part for disc in ANGLES for part in ("--axial-mr-segmentation", f"{files / disc}_masks.nii.gz@{files}/labels.csv")]


def rcsa_of(capfd, folder, *options) -> float:
    outcome = measure(capfd, folder, *options)
    assert (outcome.status, outcome.err) == (0, ""), outcome.err
    assert outcome.case["rcsa_discs"] == "L2-L3 L3-L4 L4-L5"
    assert len(list(csv.DictReader(outcome.files["case_muscles.csv"].decode().splitlines()))) == 21
    return float(outcome.case["rcsa"])


def test_stacks_in_one_series_in_several_series_and_in_several_files_give_the_same(capfd, files, tmp_path):
    expected = pytest.approx(np.mean([truth(disc) for disc in ANGLES]), rel=0.01)
    flat = [each for n, disc in enumerate(ANGLES) for each in slices(stack_array(disc), stack_grid(disc), first=1 + 5 * n)]
    classic(tmp_path / "one", flat)
    enhanced(tmp_path / "enhanced" / "one.dcm", flat, np.random.default_rng(1).permutation(len(flat)))
    several = []
    for n, disc in enumerate(ANGLES):
        classic(tmp_path / "many" / disc, slices(stack_array(disc), stack_grid(disc), series=f"1.2.{n}"))
        several += ["--axial-mr", f"{tmp_path}/many@1.2.{n}"]
    in_files = [part for disc in ANGLES for part in ("--axial-mr", files / f"{disc}.nii.gz")]
    found = [
        rcsa_of(capfd, tmp_path / f"out{n}", *given, *of_masks(files))
        for n, given in enumerate((["--axial-mr", tmp_path / "one"], ["--axial-mr", tmp_path / "enhanced"], several, in_files))
    ]
    assert found[0] == expected and found == pytest.approx([found[0]] * 4, abs=0.002)


def test_a_manifest_names_several_stacks_in_one_cell(files):
    masks = "; ".join(f"{disc}_masks.nii.gz@labels.csv" for disc in ANGLES)
    (files / "manifest.csv").write_text(
        f"case_id,axial_mr,axial_mr_segmentation\n7,{'; '.join(f'{disc}.nii.gz' for disc in ANGLES)},{masks}\n"
    )
    (row,) = read_manifest(files / "manifest.csv").rows
    assert [len(row.inputs.given[name]) for name in ("axial_mr", "axial_mr_segmentation")] == [3, 3]
    with row.inputs.nodes() as nodes:
        assert row.inputs.measure(nodes).values["rcsa"] == pytest.approx(np.mean([truth(disc) for disc in ANGLES]), rel=0.01)


# The slice beside the one meant


def moved_masks(steps: int) -> list[Segment]:
    """The disc as it is, the muscles on one slice alone, ``steps`` above that through the disc's middle."""
    masks = stack_masks("L3-L4")
    for name in MUSCLES:
        alone = np.zeros_like(masks[name])
        alone[2 + steps] = masks[name][2 + steps]
        masks[name] = alone
    return segments(masks, stack_grid("L3-L4"))


@pytest.mark.parametrize("steps", [-1, 1])
def test_muscles_drawn_on_the_neighboring_slice_are_read_there_and_the_disc_on_its_own(steps):
    muscles = measured(("L3-L4",), masks=moved_masks(steps))
    (there,) = muscles.slices
    assert there.rcsa() == pytest.approx(truth("L3-L4"), rel=0.015)
    (flag,) = [flag for flag in muscles.flags if flag.code == "neighbor-slice"]
    assert (flag.level, flag.value, flag.unit) == ("L3-L4", pytest.approx(4.0), "mm")
    assert there.plane.off_mm == pytest.approx(4.0 * steps)
    assert (there.plane.center - there.disc_roi.center) @ there.plane.normal == pytest.approx(4.0 * steps)


def test_on_the_slice_meant_nothing_is_said():
    assert "neighbor-slice" not in {flag.code for flag in measured(("L3-L4",), masks=moved_masks(0)).flags}


def test_muscles_drawn_two_slices_off_are_not_read_and_the_reason_names_the_slice_and_the_option():
    muscles = measured(("L3-L4",), masks=moved_masks(2))
    (reason,) = [reason for reason in muscles.case_reasons() if reason.startswith("no rCSA at L3-L4")]
    wanted, nearest = (phantom().disc("L3-L4").center[2] + s * np.cos(np.radians(ANGLES["L3-L4"])) for s in (0, 8))
    said = reason.split("at S ")
    assert float(said[1].split(" mm")[0]) == pytest.approx(wanted, abs=1.0)
    assert float(said[2].split(" mm")[0]) == pytest.approx(nearest, abs=1.5)
    assert "disc slices" in reason and "draw what is missing" not in reason and all(name in reason for name in MUSCLES)


def test_a_slice_that_a_person_gave_is_read_as_it_is():
    muscles = measured(("L3-L4",), masks=moved_masks(1), disc_slices="L3-L4=0")
    assert muscles.case_values() == {} and "neighbor-slice" not in {flag.code for flag in muscles.flags}


@pytest.mark.parametrize("with_disc", [True, False])
@pytest.mark.parametrize("steps", [-10, 1, 10])
def test_a_typed_position_is_followed_along_the_normal_of_an_oblique_stack(with_disc, steps):
    """S is that of the slice at the disc, or where no disc is drawn at the muscles' middle; 10 slices on, straight up is another one."""
    grid = stack_grid("L4-L5", 25)
    masks = {name: mask_of(phantom(), name, grid) for name in (*MUSCLES, *["L4-L5"] * with_disc)}
    drawn = {name: Mask(name, mask, grid).center for name, mask in masks.items()}
    base = drawn["L4-L5"] if with_disc else np.mean([drawn[name] for name in MUSCLES], axis=0)
    s = (base + steps * 4 * grid.directions[:, 2])[2]
    images = [AxialImages(Image("axial", np.ones(grid.shape, np.float32), grid))]
    (there,) = measure_muscles(segments(masks, grid), images, Parameters(disc_slices=f"L4-L5={s:.2f}")).slices
    assert grid.ijk(there.plane.center)[2] == pytest.approx(round(grid.ijk(base)[2] + steps))


def test_one_dicom_seg_with_frames_on_every_stack_gives_the_same(capfd, files, tmp_path):
    flat = [each for n, disc in enumerate(ANGLES) for each in slices(stack_array(disc), stack_grid(disc), first=1 + 5 * n)]
    classic(tmp_path / "one", flat)
    masks = {name: [(stack_masks(disc)[name], stack_grid(disc)) for disc in ANGLES] for name in MUSCLES}
    masks |= {disc: [(stack_masks(disc)[disc], stack_grid(disc))] for disc in ANGLES}
    described_so = [described(n, name, "91727004") for n, name in enumerate(masks, 1)]
    path = seg(tmp_path / "masks.dcm", masks, stack_grid("L3-L4"), segments=described_so)
    found = rcsa_of(capfd, tmp_path / "a", "--axial-mr", tmp_path / "one", "--axial-mr-segmentation", path)
    expected = rcsa_of(capfd, tmp_path / "b", "--axial-mr", tmp_path / "one", *of_masks(files))
    assert found == pytest.approx(expected, abs=0.001)


def test_stacks_given_one_by_one_as_folders_with_a_seg_nrrd_each_give_the_same(capfd, files, tmp_path):
    options = []
    for disc in tuple(ANGLES)[::-1]:
        classic(
            tmp_path / disc, slices(stack_array(disc)[::-1], Grid(stack_grid(disc).shape, flipped(stack_grid(disc))), series="1.5")
        )
        segmentation_file(tmp_path / f"{disc}.seg.nrrd", stack_masks(disc), stack_grid(disc))
        options += ["--axial-mr", tmp_path / disc, "--axial-mr-segmentation", tmp_path / f"{disc}.seg.nrrd"]
    in_one = rcsa_of(capfd, tmp_path / "b", *[p for d in ANGLES for p in ("--axial-mr", files / f"{d}.nii.gz")], *of_masks(files))
    assert rcsa_of(capfd, tmp_path / "a", *options) == pytest.approx(in_one, rel=0.002)


def flipped(grid: Grid) -> np.ndarray:
    """The affine of the same lattice with its slices counted from the other end."""
    affine = grid.ijk_to_ras.copy()
    affine[:3, 3] = grid.ras([0, 0, grid.shape[0] - 1])
    affine[:3, 2] *= -1
    return affine
