"""DICOM SEG as masks, and RTSTRUCT refused: files made by hand and, where it is installed, by highdicom."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from BoneQualityLib.entry.measure_case import measure_case
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.parameters import CaseFacts
from BoneQualityLib.scene.masks import Segmentation, identified, named_segments
from BoneQualityLib.scene.reading import read_segmentation, read_volume
from conftest import rotation
from dicom_makers import classic, described, seg, slices
from spine_files import CT_GRID, bodies, ct, measure, spine_files

BODIES = {f"{level} body": mask for level, mask in bodies(CT_GRID).items()}
VERTEBRA = dict(L1="66794005", L2="14293000", L3="36470004")


def masks_of(path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Masks by name, each as voxels of the CT's lattice."""
    found = {}
    for node in read_segmentation(str(path)):
        for segment in named_segments(node):
            mask = segment.load()
            full = np.zeros(CT_GRID.shape, bool)
            full[tuple(np.round(CT_GRID.ijk(mask.points)).astype(int)[:, ::-1].T)] = True
            found[segment.name] = full
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return spine_files(tmp_path_factory.mktemp("spine"))


@pytest.mark.parametrize(
    "options", [{}, dict(reverse=True), dict(keep_empty=True), dict(step=False), dict(reverse=True, step=False)]
)
@pytest.mark.parametrize("as_folder", [False, True])
def test_masks_of_a_dicom_seg_measure_like_those_of_a_seg_nrrd(tmp_path, files, capfd, options, as_folder):
    path = seg(tmp_path / "masks" / "any.dcm", BODIES, **options)
    expected = measure(capfd, tmp_path / "a", *files.of_ct).done()
    outcome = measure(capfd, tmp_path / "b", *files.ct, "--ct-segmentation", path.parent if as_folder else path).done()
    assert outcome.files == expected.files


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("grid_rows", [40, 39])
def test_frames_that_do_not_end_on_a_byte_are_unpacked_bit_by_bit(tmp_path, grid_rows, reverse):
    grid = Grid((5, grid_rows, 37), CT_GRID.ijk_to_ras)
    masks = {name: np.random.default_rng(n).random(grid.shape) > 0.5 for n, name in enumerate(("L1", "L2", "L3"))}
    (node,) = read_segmentation(str(seg(tmp_path / "a.dcm", masks, grid, reverse=reverse)))
    for segment in named_segments(node):
        mask = segment.load()
        full = np.zeros(grid.shape, bool)
        full[tuple(np.round(grid.ijk(mask.points)).astype(int)[:, ::-1].T)] = True
        assert np.array_equal(full, masks[segment.name])


def test_overlapping_segments_are_whole_each(tmp_path):
    both = dict(BODIES, exclude=BODIES["L1 body"] & (np.indices(CT_GRID.shape)[1] > 10))
    found = masks_of(seg(tmp_path / "a.dcm", both))
    assert all(np.array_equal(found[name], both[name]) for name in both)


def test_an_oblique_lattice_is_where_it_was(tmp_path):
    affine = CT_GRID.ijk_to_ras.copy()
    affine[:3, :3] = rotation("R", 17) @ rotation("S", 9) @ affine[:3, :3]
    turned = Grid(CT_GRID.shape, affine)
    (node,) = read_segmentation(str(seg(tmp_path / "a.dcm", BODIES, turned)))
    for segment in named_segments(node):
        mask = segment.load()
        assert np.allclose(mask.center, turned.ras(np.argwhere(BODIES[segment.name]).mean(axis=0)[::-1]), atol=1e-5)
        assert np.count_nonzero(mask.array) == np.count_nonzero(BODIES[segment.name])


def test_codes_and_labels_count_as_terminology_and_name(tmp_path):
    segments = [described(n, f"Struktur {n}", VERTEBRA[level]) for n, level in enumerate(VERTEBRA, 1)]
    segments[2] = described(3, "Wirbelkörper L3", "3572006", region=VERTEBRA["L3"])
    (node,) = read_segmentation(str(seg(tmp_path / "a.dcm", BODIES, segments=segments)))
    assert [str(s.structure) for s in identified(Segmentation(node)).segments] == ["L1 vertebra", "L2 vertebra", "L3 vertebra body"]


def test_codes_of_other_schemes_are_not_taken_for_snomed(tmp_path):
    segments = [described(n, f"L{n}", VERTEBRA["L3"], scheme="99LOCAL") for n in (1, 2, 3)]
    (node,) = read_segmentation(str(seg(tmp_path / "a.dcm", BODIES, segments=segments)))
    assert [s.structure.level for s in identified(Segmentation(node)).segments] == ["L1", "L2", "L3"]


def test_a_label_that_its_code_contradicts_is_refused(tmp_path, files, capfd):
    segments = [described(n, f"L{n} body", VERTEBRA["L3"]) for n in (1, 2, 3)]
    path = seg(tmp_path / "a.dcm", BODIES, segments=segments)
    assert (
        "L1 vertebra body by its name but L3 vertebra by its"
        in measure(capfd, tmp_path / "o", *files.ct, "--ct-segmentation", path).refusal()
    )


def test_fractional_masks_are_taken_from_one_half_on(tmp_path):
    soft = {name: 80 * mask.astype(np.uint8) for name, mask in BODIES.items()}
    for name, mask in BODIES.items():
        soft[name][np.argwhere(mask)[0][0]] += 20 * mask[np.argwhere(mask)[0][0]].astype(np.uint8)  # 100 of 200 on the first slice
    found = masks_of(seg(tmp_path / "a.dcm", soft, kind="FRACTIONAL"))
    for name, mask in BODIES.items():
        assert np.array_equal(found[name], mask & (np.indices(mask.shape)[0] == np.argwhere(mask)[0][0]))


def test_label_maps_are_taken_by_their_values(tmp_path):
    labels = np.sum([n * mask for n, mask in enumerate(BODIES.values(), 1)], axis=0)
    segments = [described(n, name) for n, name in enumerate(BODIES, 1)]
    found = masks_of(seg(tmp_path / "a.dcm", {"all": labels}, kind="LABELMAP", segments=segments))
    assert all(np.array_equal(found[name], BODIES[name]) for name in BODIES)


def test_frames_on_several_stacks_are_a_mask_on_each(tmp_path):
    turned = CT_GRID.ijk_to_ras.copy()
    turned[:3, :3] = rotation("R", 15) @ turned[:3, :3]
    other = Grid(CT_GRID.shape, turned)
    masks = {"left psoas": [(BODIES["L1 body"], CT_GRID), (BODIES["L3 body"], other)]}
    (node,) = read_segmentation(str(seg(tmp_path / "a.dcm", masks)))
    first, second = (segment.load() for segment in named_segments(node))
    assert np.allclose(first.grid.directions, CT_GRID.directions) and np.allclose(
        second.grid.directions, other.directions, atol=1e-6
    )
    assert [np.count_nonzero(mask.array) for mask in (first, second)] == [np.count_nonzero(m) for m, _ in masks["left psoas"]]


@pytest.mark.parametrize("space, is_same", [("1.2.9", True), ("1.2.8", False), ("", True)])
def test_masks_in_another_frame_of_reference_than_the_images_are_refused(tmp_path, space, is_same):
    classic(tmp_path / "ct", slices(ct(), CT_GRID, "CT"))
    volume = read_volume(str(tmp_path / "ct"))
    drawn = read_segmentation(str(seg(tmp_path / "a.dcm", BODIES, frame_of_reference=space)))
    if is_same:
        assert measure_case(CaseFacts("a"), ct=volume, ct_segmentation=drawn).values["hu_3d"] == pytest.approx(120)
        return
    with pytest.raises(BoneQualityError, match="was drawn in another frame of reference than that of ct"):
        measure_case(CaseFacts("a"), ct=volume, ct_segmentation=drawn)


def no_places(whole):
    for frame in whole.PerFrameFunctionalGroupsSequence:
        del frame.PlanePositionSequence


def no_segments(whole):
    del whole.SegmentSequence


def fewer_bits(whole):
    whole.PixelData = whole.PixelData[:-500]


def contours(whole):
    whole.Modality = "RTSTRUCT"
    del whole.PixelData


def an_image(whole):
    whole.Modality = "CT"


def huge(whole):
    whole.Rows = 65535


def other_type(whole):
    whole.SegmentationType = "NONE"


@pytest.mark.parametrize(
    "edit, words",
    [
        (no_places, "does not say where its frames lie: load it in 3D Slicer"),
        (no_segments, "does not say what its segments are and where they lie: load it in 3D Slicer"),
        (fewer_bits, "is cut short: copy or export it again"),
        (huge, "is cut short"),
        (contours, "is an RTSTRUCT of contours: load it in 3D Slicer with SlicerRT, and save it as .seg.nrrd"),
        (other_type, "is a segmentation of an unknown type"),
    ],
)
@pytest.mark.parametrize("as_folder", [False, True])
def test_what_cannot_be_read_as_masks_is_refused_with_a_remedy(tmp_path, files, capfd, edit, words, as_folder):
    path = seg(tmp_path / "masks" / "any.dcm", BODIES, edit=edit)
    given = path.parent if as_folder else path
    assert words in measure(capfd, tmp_path / "out", *files.ct, "--ct-segmentation", given).refusal()


def test_an_image_in_place_of_a_segmentation_is_refused(tmp_path, files, capfd):
    path = seg(tmp_path / "any.dcm", BODIES, edit=an_image)
    assert "name the folder" in measure(capfd, tmp_path / "out", *files.ct, "--ct-segmentation", path).refusal()


def test_nothing_stays_in_the_scene_after_a_refusal(tmp_path):
    from BoneQualityLib.scene.session import mrml_scene

    seg(tmp_path / "a.dcm", BODIES)
    seg(tmp_path / "b.dcm", BODIES, edit=no_places)
    before = mrml_scene().GetNumberOfNodes()
    with pytest.raises(BoneQualityError):
        read_segmentation(str(tmp_path))
    assert mrml_scene().GetNumberOfNodes() == before


def test_a_seg_of_highdicom_measures_like_the_seg_nrrd(tmp_path, files, capfd):
    highdicom = pytest.importorskip("highdicom", reason="highdicom is not installed: SEG files of another program are NOT tested")
    from pydicom.sr.codedict import codes

    made = slices(ct(), CT_GRID, "CT")
    for each in made:
        for name in ("PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"):
            setattr(each, name, "")
        each.PatientName, each.ReferringPhysicianName, each.SeriesNumber = "A^B", "", 1
        each.file_meta = pydicom.dataset.FileMetaDataset()
        each.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    segments = [
        highdicom.seg.SegmentDescription(
            n, name, codes.SCT.AnatomicalStructure, pydicom.sr.coding.Code("3572006", "SCT", "Vertebral body"), "MANUAL"
        )
        for n, name in enumerate(BODIES, 1)
    ]
    highdicom.seg.Segmentation(
        made, np.stack(list(BODIES.values()), axis=-1).astype(np.uint8), "BINARY", segments, generate_uid(), 9, generate_uid(), 1,
        "maker", "model", "1", "1",
    ).save_as(tmp_path / "a.dcm")  # fmt: skip
    expected = measure(capfd, tmp_path / "a", *files.of_ct).done()
    outcome = measure(capfd, tmp_path / "b", *files.ct, "--ct-segmentation", tmp_path / "a.dcm").done()
    assert outcome.files == expected.files


def test_a_mask_on_the_images_own_voxels_lies_there_exactly_though_dicom_rounds_its_place():
    affine = CT_GRID.ijk_to_ras.copy()
    affine[:3, 3] += [0.123456789012, 1 / 3, -2 / 7]
    image = Grid(CT_GRID.shape, affine)
    rounded = affine.copy()
    rounded[:3, 3] = np.round(image.ras([2, 3, 4]), 5)
    mask = Mask("L1", np.ones((3, 4, 5), bool), Grid((3, 4, 5), rounded))
    settled = mask.settled_on(image)
    assert np.array_equal(settled.grid.ijk_to_ras[:3, 3], image.ras([2, 3, 4])) and settled.array is mask.array
    rounded[0, 3] += 0.3
    assert mask.settled_on(image) is mask, "a mask on other voxels stays where it is"
