"""What hospitals send in DICOM folders: enhanced multi-frame files, files without a preamble, exports of several series, stacks."""

from __future__ import annotations

import numpy as np
import pytest

from BoneQualityLib.errors import Ambiguous, BoneQualityError
from BoneQualityLib.files.dicom_series import find_series, find_stacks
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.scene.arrays import image_of
from BoneQualityLib.scene.reading import read_stacks, read_volume
from conftest import rotation
from dicom_makers import classic, enhanced, slices, without_preamble

SIZE = (6, 9, 11)
RNG = np.random.default_rng(7)
VALUES = RNG.integers(-900, 1500, SIZE)


def grid(degrees: float = 0.0, s: float = 0.0, step: float = 4.0, r: float = 20.0, a: float = 30.0, k: int = SIZE[0]) -> Grid:
    """Axial slices of 0.8 mm pixels, turned about the patient's left-right axis, beginning at height ``s``."""
    affine = np.eye(4)
    affine[:3, :3] = rotation("R", degrees) @ np.diag([-0.8, -0.7, step])
    affine[:3, 3] = [r, a, s]
    return Grid((k, *SIZE[1:]), affine)


def same_volume(node, other) -> None:
    one, two = image_of(node), image_of(other)
    assert one.array.dtype == two.array.dtype and np.array_equal(one.array, two.array)
    assert np.allclose(one.grid.ijk_to_ras, two.grid.ijk_to_ras, atol=1e-6)
    assert one.tags == two.tags


# Enhanced multi-frame


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [3, 0, 5, 1, 4, 2]])
@pytest.mark.parametrize("degrees", [0, 20])
def test_an_enhanced_ct_is_its_classic_twin_voxel_by_voxel(tmp_path, compressed, order, degrees):
    made = slices(VALUES, grid(degrees), "CT", intercept=-1024, KVP=120)
    classic(tmp_path / "classic", made)
    enhanced(tmp_path / "enhanced" / "one.dcm", made, order, compressed)
    node = read_volume(str(tmp_path / "enhanced"))
    same_volume(node, read_volume(str(tmp_path / "classic")))
    assert np.array_equal(image_of(node).array, VALUES) and image_of(node).tags.kvp == 120


def test_an_enhanced_mr_has_its_times_and_its_own_values(tmp_path):
    made = slices(abs(VALUES), grid(), RepetitionTime=550, EchoTime=12, slope=2)
    classic(tmp_path / "classic", made)
    enhanced(tmp_path / "enhanced" / "one.dcm", made, [2, 1, 0, 5, 4, 3])
    node = read_volume(str(tmp_path / "enhanced"))
    same_volume(node, read_volume(str(tmp_path / "classic")))
    tags = image_of(node).tags
    assert (tags.tr_ms, tags.te_ms, tags.modality) == (550, 12, "MR")


def test_every_frame_has_its_own_rescale(tmp_path):
    made = []
    for k in range(SIZE[0]):
        slope = 1 + k / 4
        made += slices(VALUES[k : k + 1] * slope, Grid((1, *SIZE[1:]), grid(s=4 * k).ijk_to_ras), slope=slope, intercept=-k)
        made[-1].PixelData = VALUES[k].astype("<i2").tobytes()
    enhanced(tmp_path / "one.dcm", made, [5, 0, 4, 1, 3, 2])
    expected = VALUES * (1 + np.arange(6) / 4)[:, None, None] - np.arange(6)[:, None, None]
    assert np.array_equal(image_of(read_volume(str(tmp_path))).array, expected)


def test_a_series_of_several_enhanced_files_is_one_volume(tmp_path):
    made = slices(VALUES, grid())
    enhanced(tmp_path / "b.dcm", made[:2])
    enhanced(tmp_path / "a.dcm", made[2:], [3, 1, 2, 0])
    assert np.array_equal(image_of(read_volume(str(tmp_path))).array, VALUES)


def two_echoes(whole):
    for group in whole.PerFrameFunctionalGroupsSequence[3:]:
        group.PlanePositionSequence = whole.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence


def no_places(whole):
    del whole.PerFrameFunctionalGroupsSequence, whole.SharedFunctionalGroupsSequence


def a_frame_short(whole):
    whole.PerFrameFunctionalGroupsSequence.pop()


def cut_pixels(whole):
    whole.PixelData = whole.PixelData[: -SIZE[1] * SIZE[2]]


@pytest.mark.parametrize(
    "edit, words",
    [
        (two_echoes, "holds two images at one place"),
        (no_places, "has several frames but does not say where each lies"),
        (a_frame_short, "is damaged"),
        (cut_pixels, "is cut short"),
    ],
)
def test_an_enhanced_file_that_is_no_one_volume_is_refused(tmp_path, edit, words):
    enhanced(tmp_path / "one.dcm", slices(VALUES, grid()), edit=edit)
    with pytest.raises(BoneQualityError, match=words):
        read_volume(str(tmp_path))


def test_nothing_of_the_patient_is_in_the_frames_that_are_written_for_the_reader(tmp_path, monkeypatch):
    import BoneQualityLib.files.dicom_frames as frames

    enhanced(tmp_path / "in" / "one.dcm", slices(VALUES, grid(), PatientName="Secret^Name", SeriesDescription="Secret"))
    (tmp_path / "out").mkdir()
    paths = frames.write_frames(find_series(tmp_path / "in").images, tmp_path / "out")
    assert len(paths) == SIZE[0] and not any(b"Secret" in path.read_bytes() for path in paths)


# Without a preamble


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("ending", ["", ".dcm"])
def test_files_without_a_preamble_are_read(tmp_path, implicit, ending):
    classic(tmp_path / "plain", slices(VALUES, grid(), "CT", intercept=-1024))
    classic(tmp_path / "old", slices(VALUES, grid(), "CT", intercept=-1024))
    without_preamble(tmp_path / "old", implicit, ending)
    (tmp_path / "old" / "readme").write_text("no image, only words that go on for longer than a preamble " * 5)
    same_volume(read_volume(str(tmp_path / "old")), read_volume(str(tmp_path / "plain")))


# Several series


@pytest.fixture
def export(tmp_path):
    """An export with a T1, an axial T2, a localizer and a dose report."""
    folder = tmp_path / "exam"
    made = slices(abs(VALUES), grid(), series="1.2.3.1", RepetitionTime=500, EchoTime=10, SeriesDescription="t1 sag")
    classic(folder / "a", made)
    classic(folder / "b", slices(abs(VALUES), grid(s=50), series="1.2.3.2", RepetitionTime=4000, EchoTime=101.5))
    localizer = slices(abs(VALUES[:1]), grid(), series="1.2.3.3", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    classic(folder / "c", localizer)
    return folder


def test_several_series_are_listed_with_what_tells_them_apart(export):
    with pytest.raises(Ambiguous) as caught:
        find_series(export)
    assert str(caught.value) == f"{export} holds several image series: choose one as {export}@UID."
    assert caught.value.listing == (
        "1.2.3.1: t1 sag, 6 MR images of 11 x 9, axial, TR 500 ms, TE 10 ms; 1.2.3.2: 6 MR images of 11 x 9, axial, TR 4000 ms, TE 101.5 ms"
    )


def test_a_series_is_chosen_by_the_folder_and_its_uid(export):
    node = read_volume(f"{export}@1.2.3.2")
    assert image_of(node).tags.tr_ms == 4000 and image_of(node).grid.ijk_to_ras[2, 3] == 50
    with pytest.raises(Ambiguous, match="holds no series 1.2.3.9"):
        read_volume(f"{export}@1.2.3.9")


def test_a_localizer_is_left_out_alone_and_within_its_series(tmp_path, export):
    for path in (export / "b").iterdir():
        path.unlink()
    assert find_series(export).tags["tr_ms"] == 500
    scout = slices(abs(VALUES[:1]), grid(40), series="1.2.3.1", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    classic(export / "d", scout)
    assert len(find_series(export).paths) == SIZE[0]


def test_a_folder_of_localizers_alone_is_what_was_given(tmp_path):
    classic(tmp_path, slices(abs(VALUES), grid(), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    assert len(find_series(tmp_path).paths) == SIZE[0]


# Stacks


def stacks(angles=((-6, 60.0), (0, 10.0), (6, -36.0), (15, -86.0)), **tags) -> list[list]:
    """Stacks of a few slices, each at an angle and height."""
    return [
        slices(abs(VALUES[:5]) + n, grid(angle, s, k=5), first=1 + 5 * n, **tags) for n, (angle, s) in enumerate(angles)
    ]  # fmt: skip


def shown(nodes) -> list[int]:
    """What each stack's values are above the first one's."""
    return [int((image_of(node).array - abs(VALUES[:5])).max()) for node in nodes]


@pytest.mark.parametrize("reversed_stacks", [False, True])
@pytest.mark.parametrize("reversed_slices", [False, True])
@pytest.mark.parametrize("as_enhanced", [False, True])
def test_a_series_with_a_stack_angled_to_each_disc_is_several_volumes(tmp_path, reversed_stacks, reversed_slices, as_enhanced):
    made = stacks()
    flat = [each for part in (made[::-1] if reversed_stacks else made) for each in (part[::-1] if reversed_slices else part)]
    for number, each in enumerate(flat, 1):
        each.InstanceNumber = number
    if as_enhanced:
        enhanced(tmp_path / "one.dcm", flat)
    else:
        classic(tmp_path, flat)
    nodes = read_stacks(str(tmp_path))
    assert shown(nodes) == [0, 1, 2, 3]
    for node, (angle, s) in zip(nodes, ((-6, 60.0), (0, 10.0), (6, -36.0), (15, -86.0))):
        assert np.allclose(image_of(node).grid.ijk_to_ras, grid(angle, s).ijk_to_ras, atol=1e-4)


def test_parallel_stacks_are_told_apart_by_the_gap_between_them(tmp_path):
    classic(tmp_path, sum(stacks(((0, 60.0), (0, 22.0), (0, -36.0))), []))
    assert shown(read_stacks(str(tmp_path))) == [0, 1, 2]


def test_parallel_stacks_are_told_apart_where_they_are_shifted_in_plane(tmp_path):
    made = stacks(((0, 20.0),)) + [slices(abs(VALUES[:5]) + 1, grid(0, 0, a=36.0, k=5), first=6)]
    classic(tmp_path, sum(made, []))
    assert shown(read_stacks(str(tmp_path))) == [0, 1]


def test_parallel_stacks_that_overlap_are_told_apart_by_the_order_of_acquisition(tmp_path):
    classic(tmp_path, sum(stacks(((0, 60.0), (0, 46.5))), []))
    assert shown(read_stacks(str(tmp_path))) == [0, 1]


def test_a_stack_of_one_slice_is_as_thick_as_it_says(tmp_path):
    made = [slices(abs(VALUES[:1]), grid(angle, s, k=1), first=n) for n, (angle, s) in enumerate(((0, 60.0), (9, 20.0)))]
    classic(tmp_path, sum(made, []))
    nodes = read_stacks(str(tmp_path))
    assert [image_of(node).array.shape for node in nodes] == [(1, 9, 11)] * 2
    assert np.allclose(image_of(nodes[1]).grid.ijk_to_ras, grid(9, 20.0).ijk_to_ras, atol=1e-4)


def test_one_stack_is_one_volume_whatever_it_is_given_as(tmp_path):
    classic(tmp_path, slices(abs(VALUES), grid(12)))
    (node,) = read_stacks(str(tmp_path))
    same_volume(node, read_volume(str(tmp_path)))
    assert node.GetName() == tmp_path.name


def test_a_ct_or_t1_of_several_stacks_is_refused(tmp_path):
    classic(tmp_path, sum(stacks(), []))
    with pytest.raises(BoneQualityError, match="mixes images in one series .* differ in ImageOrientationPatient"):
        read_volume(str(tmp_path))


def test_a_gantry_tilt_is_no_stack(tmp_path):
    made = slices(abs(VALUES), grid())
    for n, each in enumerate(made):
        each.ImagePositionPatient[1] = float(each.ImagePositionPatient[1]) + n
    classic(tmp_path, made)
    with pytest.raises(BoneQualityError, match="gantry tilt"):
        find_stacks(tmp_path)


def test_two_echoes_in_a_stack_are_refused(tmp_path):
    classic(tmp_path, [*sum(stacks(), []), *stacks()[1]])
    with pytest.raises(BoneQualityError, match="holds two images at one place"):
        find_stacks(tmp_path)
