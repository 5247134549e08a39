"""What a user may do wrong with ``bonequality measure``: each is refused in one line with a remedy, and nothing is written."""

import gzip
import re

import numpy as np
import pytest
import SimpleITK as sitk

from BoneQualityLib import cli
from BoneQualityLib.image.grid import Grid
from spine_files import (
    CT_GRID,
    T1_GRID,
    bodies,
    ct,
    dicom_folder,
    image_file,
    label_map,
    measure,
    process,
    sac,
    segmentation_file,
    spine_files,
    t1,
)  # fmt: skip

NOTHING = np.zeros(CT_GRID.shape, bool)
ONE_VOXEL = NOTHING.copy()
ONE_VOXEL[35, 20, 20] = True
L1, L2, L3 = bodies(CT_GRID).values()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return spine_files(tmp_path_factory.mktemp("spine"))


@pytest.fixture
def refusal(tmp_path, capfd):
    """The sentence that refuses a run with these options."""
    return lambda *options, case_id="case": measure(capfd, tmp_path / "out", *options, case_id=case_id).refusal()


@pytest.fixture
def refused_masks(tmp_path, files, refusal):
    """The sentence that refuses segments of these names on the CT."""
    return lambda masks, *options, **tags: refusal(
        *files.ct, "--ct-segmentation", segmentation_file(tmp_path / "drawn.seg.nrrd", masks, **tags), *options
    )


@pytest.mark.parametrize(
    "options, words",
    [
        ([], "Nothing to measure: give --ct, --t1 or --axial-mr"),
        (["--ct", "CT"], "The CT needs a segmentation: give --ct-segmentation too, or leave out --ct"),
        (["--ct-segmentation", "MASKS"], "The segmentation of the CT needs its image: give --ct too, or leave out --ct-segmentation"),
        (["--t1", "T1"], "The T1 MRI needs a segmentation: give --t1-segmentation too"),
        (["--t1", "T1", "--ct-segmentation", "MASKS"], "needs its image: give --ct too"),
        (["--ct", "CT", "--ct", "T1", "--ct-segmentation", "MASKS"], "There are several images for --ct: give one alone"),
        (["--ct", "CT", "--ct-segmentation", "MASKS", "--series", "1", "--series", "2"], "--series is given several times: name"),
        (["--ct", "CT", "--ct-segmentation", "MASKS", "--series", "1"], "--series fits one DICOM folder, and there is no DICOM folder"),
        (["--ct", " "], "--ct: the path is empty"),
        (["--ct-segmentation", ""], "--ct-segmentation: the path is empty"),
        (["--output", ""], "--output: the path is empty"),
        (["--thickness", "3"], "unrecognized arguments: --thickness 3; see bonequality"),
        (["--age"], "--age: expected one argument"),
        (["--age", "old"], "--age: 'old' is no number"),
        (["--bmi", "23,5"], "--bmi: '23,5' is no number"),
        (["--age", "nan"], "age is nan; give a number from 0 to 125 years"),
        (["--bmi", "inf"], "bmi is inf"),
        (["--cancellous-margin", "50"], "from 0 to 10 mm"),
        (["--vbq-margin", "-1"], "from 0 to 10 mm"),
        (["--sex", "X"], "--sex: invalid choice: 'X'"),
        (["--mask", "bone"], "choose from 'auto', 'vertebra', 'body', 'cancellous'"),
        (["--fractured", "L9"], "--fractured: 'L9' is no level; write for example L2,L3"),
        (["--exclude", "L1;L2"], "'L1;L2' is no level"),
        (["--reader", "Dr. Who"], "reader 'Dr. Who' cannot be used"),
        (["--label-scheme", "verse", "--labels", "l.csv"], "not both"),
        (["--ct", "CT", "--ct-segmentation", "MASKS", "--label-scheme", "vers"], "'vers' is no label scheme; choose one of totalsegmentator"),
        (["--ct", "CT", "--ct-segmentation", "MASKS", "--labels", "none.csv"], "labels file none.csv cannot be read (No such file or directory)"),
        (["--ct", "CT", "--ct-segmentation", "MASKS", "--cutoffs", "none.csv"], "cut-offs file none.csv cannot be read"),
        (["--ct", "CT", "--ct-segmentation", "MASKS", "--cutoffs", "CT"], "cut-offs file"),
    ],
)
def test_a_wrong_option_is_named(files, refusal, options, words):
    paths = {"CT": files.ct[1], "MASKS": files.of_ct[3], "T1": files.t1[1]}
    assert words in refusal(*(paths.get(option, option) for option in options))


def test_a_missing_command_case_id_or_output_is_named(capfd):
    for arguments, words in (([], "COMMAND"), (["measures"], "'measures'"), (["measure"], "--case-id, --output")):
        assert cli.main(arguments) == 2
        out, err = capfd.readouterr()
        assert out == "" and words in err and err.endswith("--help.\n") and err.count("\n") == 1


@pytest.mark.parametrize(
    "case_id", ["a/b", "a\\b", "a b", "..", ".hidden", "=1+1", "@x", "Müller", "a\nb", "a,b", "a" * 101, "", "--"]
)
def test_a_case_id_that_is_no_safe_file_name_is_refused(files, refusal, case_id):
    assert "case" in refusal(*files.of_ct, case_id=case_id)


def _cut(path, kept):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    return path


def _flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)
    return path


def _inflated(folder):
    return gzip.decompress(image_file(folder / "whole.nii.gz", ct()).read_bytes())


def _changed(path, change):
    sitk.WriteImage(change(sitk.ReadImage(str(image_file(path, label_map())))), str(path))
    return path


def _sheared(path):
    image_file(path, label_map())
    path.write_bytes(re.sub(rb"space directions: .*", b"space directions: (2,0,0) (0,2,0) (0,0.5,2)", path.read_bytes()))
    return path


def _text(path, content=b""):
    path.write_bytes(content)
    return path


def _folder(path):
    path.mkdir()
    return path


BAD_FILES = {
    "missing": (lambda at: at / "none.nrrd", "none.nrrd is not there"),
    "missing, with an at sign": (lambda at: at / "a@b" / "none.nrrd", "a@b/none.nrrd is not there"),
    "name too long": (lambda at: at / f"{'x' * 300}.nrrd", "File name too long"),
    "empty folder": (lambda at: _folder(at / "scans"), "scans holds no"),
    "empty": (lambda at: _text(at / "bad.nrrd"), "bad.nrrd is empty"),
    "unsupported": (lambda at: _text(at / "bad.jpg", b"x"), "bad.jpg is of no supported type"),
    "one DICOM file": (lambda at: dicom_folder(at / "series") / "000.dcm", "000.dcm is one DICOM file: name the folder"),
    "noise": (lambda at: _text(at / "bad.nii.gz", bytes(range(256))), "bad.nii.gz is no NIfTI"),
    "text": (lambda at: _text(at / "bad.nrrd", b"NRRD0004\ntype: short\n\n"), "bad.nrrd"),
    "cut gzip": (lambda at: _cut(image_file(at / "bad.nii.gz", ct()), 0.6), "bad.nii.gz is cut short"),
    "cut NRRD": (lambda at: _cut(image_file(at / "bad.nrrd", ct()), 0.9), "bad.nrrd is cut short"),
    "gzip of a part": (lambda at: _text(at / "bad.nii.gz", gzip.compress(_inflated(at)[:9000])), "bad.nii.gz is cut short"),
    "flipped bit": (lambda at: _flipped(image_file(at / "bad.nii.gz", ct())), "bad.nii.gz is"),
    "4-D": (lambda at: _changed(at / "bad.nii.gz", lambda image: sitk.JoinSeries([image] * 2)), "bad.nii.gz has 4 axes"),
    "RGB": (lambda at: _changed(at / "bad.nrrd", lambda image: sitk.Compose([image] * 3)), "bad.nrrd holds color or vectors"),
    "2-D": (lambda at: _changed(at / "bad.nrrd", lambda image: image[:, :, 5]), "bad.nrrd has 2 axes, not three"),
    "sheared": (lambda at: _sheared(at / "bad.nrrd"), "right-angled"),
}  # fmt: skip


@pytest.mark.parametrize("role", ["--ct", "--ct-segmentation", "--t1"])
@pytest.mark.parametrize("fault", BAD_FILES)
def test_a_file_that_cannot_be_read_is_named(tmp_path, files, refusal, fault, role):
    make, words = BAD_FILES[fault]
    given = {"--ct": files.ct[1], "--ct-segmentation": files.of_ct[3]} if role != "--t1" else {"--t1-segmentation": files.of_t1[3]}
    given[role] = make(tmp_path)
    assert words in refusal(*(part for pair in given.items() for part in pair))


@pytest.mark.parametrize("pixel", [np.uint8, np.uint16, np.uint32])
def test_a_ct_without_a_value_below_0_is_not_in_hu(tmp_path, files, refusal, pixel):
    path = image_file(tmp_path / "unsigned.nrrd", np.clip(ct(), 0, 200).astype(pixel))
    assert "unsigned has no value below 0" in refusal("--ct", path, *files.of_ct[2:])


def test_a_volume_in_the_wrong_place_is_named(tmp_path, files, refusal):
    assert "t1 has no value below 0" in refusal("--ct", files.t1[1], *files.of_ct[2:])
    assert "ct has values down to -1000, like a CT" in refusal("--t1", files.ct[1], *files.of_t1[2:])
    assert "ct.seg.nrrd is a segmentation" in refusal("--ct", files.of_ct[3], *files.of_ct[2:])
    assert "ct holds negative values, so it is no label map" in refusal(*files.ct, "--ct-segmentation", files.ct[1])
    mri = dicom_folder(tmp_path / "mri", Modality="MR")
    assert "mri is an MRI by its DICOM tags" in refusal("--ct", mri, *files.of_ct[2:])


def test_a_ct_that_holds_no_numbers_is_named(tmp_path, files, refusal):
    path = image_file(tmp_path / "nan.nrrd", np.full(CT_GRID.shape, np.nan, np.float32))
    assert "nan holds no numbers" in refusal("--ct", path, *files.of_ct[2:])


def test_several_dicom_series_are_listed_and_one_is_taken_by_its_uid(tmp_path, files, refusal, capfd):
    for uid in ("1.2.3", "1.2.4"):
        dicom_folder(tmp_path / "dicom" / uid, SeriesInstanceUID=uid, PatientName="Secret^Name")
    options = ["--ct", tmp_path / "dicom", *files.of_ct[2:]]
    for sentence in (refusal(*options), refusal(*options, "--series", "1.2.5")):
        assert "@UID. They are: 1.2.3: 70 CT images of 40 x 40, axial; 1.2.4: 70" in sentence and "Secret" not in sentence
    assert measure(capfd, tmp_path / "out", *options, "--series", "1.2.4").done().case["hu_3d"] == "120.00"


def test_a_dicom_folder_with_a_missing_slice_is_refused(tmp_path, files, refusal):
    (dicom_folder(tmp_path / "dicom") / "035.dcm").unlink()
    assert "034.dcm and 036.dcm lie 4.00 mm apart" in refusal("--ct", tmp_path / "dicom", *files.of_ct[2:])


@pytest.mark.parametrize(
    "labels, words",
    [
        ("", "labels is a label map with the values 29 30 31; name its label scheme"),
        ("@", "name its label scheme"),
        ("@verse", "No label of labels (29 30 31) is in the label scheme"),
        ("@vers", "'vers' is no label scheme"),
        ("@none.csv", "labels file none.csv cannot be read"),
        (".gz@verse", "labels.nii.gz.gz@verse is not there"),
    ],
)
def test_a_label_map_needs_a_scheme_that_fits(files, refusal, labels, words):
    assert words in refusal(*files.ct, "--ct-segmentation", f"{files.label_map}{labels}")


@pytest.mark.parametrize(
    "content, words",
    [
        ("", "needs rows and the columns"),
        ("value,name\n", "needs rows and the columns"),
        ("value,name\nL1,31\n", "Row 2 of the labels file"),
        ("value,name\n31,L1\n031,L2\n", "Row 3 of the labels file"),
        ("value,name\n²,L1\n", "Row 2 of the labels file"),
        ("value,name\n31,L1\n30,L1\n", "31 (L1) of labels and the segment 30 (L1) of labels both show L1"),
        ("value,name\n31,Bone\n", "'Bone', chosen for the segment 31 (Bone) of labels, is no structure known"),
        ("value,name\n1,L1\n", "No label of labels (29 30 31)"),
        ("segment,name\nL1 body,L1\n", "it is a label map: use value,name"),
        ("value,name\n31,Wirbelkörper\n".encode("latin-1"), "is not UTF-8; save it as CSV UTF-8"),
        ("value,name\n31,L1\n".encode("utf-16"), "is not UTF-8; save it as CSV UTF-8"),
    ],
)
def test_a_wrong_labels_file_is_named_with_its_row(tmp_path, files, refusal, content, words):
    path = _text(tmp_path / "l.csv", content if isinstance(content, bytes) else content.encode())
    for options in (["--labels", path, "--ct-segmentation", files.label_map], ["--ct-segmentation", f"{files.label_map}@{path}"]):
        assert words in refusal(*files.ct, *options)


@pytest.mark.parametrize(
    "content, words",
    [
        ("segment,name\nL9 body,L1\n", "There is no segment L9 body in ct"),
        ("segment,name\nL1 body,L2 body\n", "segment L1 body of ct and the segment L2 body of ct both show L2"),
        ("segment,name\nL1 body,Bone\n", "'Bone', chosen for the segment L1 body of ct"),
        ("value,name\n1,L1\n", "use segment,name"),
    ],
)
def test_a_labels_file_that_does_not_fit_the_segments_is_refused(tmp_path, files, refusal, content, words):
    assert words in refusal(*files.of_ct, "--labels", _text(tmp_path / "l.csv", content.encode()))


@pytest.mark.parametrize(
    "array, words",
    [
        (label_map() * 0.5, "odd holds fractions"),
        (np.where(label_map(), np.nan, 0), "odd holds fractions"),
        (np.where(label_map(), np.inf, 0), "odd holds values up to inf"),
        (-label_map().astype(np.int16), "odd holds negative values"),
        (label_map().astype(np.int32) * 60_000_000, "odd holds values up to 1.86e+09, so it is no label map"),
        (label_map() * 0, "No label of odd (none)"),
    ],
)
def test_what_is_no_label_map_is_refused_as_one(tmp_path, files, refusal, array, words):
    path = image_file(tmp_path / "odd.nrrd", array)
    assert words in refusal(*files.ct, "--ct-segmentation", f"{path}@totalsegmentator")


@pytest.mark.parametrize(
    "masks, words",
    [
        ({"L1 body": NOTHING}, "drawn.seg.nrrd holds no structure"),
        ({"L1 body": NOTHING, "liver": L2}, "L1: the mask is empty"),
        ({"L1 body": ONE_VOXEL}, "drawn.seg.nrrd holds no structure, just one voxel"),
        ({"L1 body": ONE_VOXEL, "liver": L2}, "L1: less than 1 cm3"),
        ({"L1 body": np.indices(L1.shape)[0] < 9}, "L1: the vertebral body reaches the edge of the image"),
        ({"liver": L1, "Knochen": L2}, "No segment of drawn is named like a vertebra; rename"),
        ({"L1": L1, "vertebra L1": L2}, "segment L1 of drawn and the segment vertebra L1 of drawn both show L1"),
        ({"L1 L3 body": L1}, "The name of the segment L1 L3 body of drawn fits L1 and L3"),
        ({"L1 psoas body": L1}, "fits psoas major and vertebra"),
    ],
)
def test_masks_that_cannot_be_measured_or_told_apart_are_named(refused_masks, masks, words):
    assert words in refused_masks(masks)


def test_a_name_that_its_terminology_contradicts_is_refused(refused_masks):
    entry = "list~SCT^123037004^Anatomical Structure~SCT^36470004^L3 vertebra~^^~codes~^^~^^"
    sentence = refused_masks({"L1": L1, "L2": L2}, terminology={"L1": entry})
    assert "segment L1 of drawn is L1 vertebra by its name but L3 vertebra by its terminology" in sentence


def test_a_mask_beside_the_image_is_named(refused_masks):
    moved = CT_GRID.ijk_to_ras.copy()
    moved[0, 3] += 500
    assert "L1: the mask lies outside the image" in refused_masks({"L1": L1}, grid=Grid(CT_GRID.shape, moved))


def test_one_level_in_two_files_is_refused(tmp_path, files, refusal):
    again = segmentation_file(tmp_path / "again.seg.nrrd", {"L2": L2})
    sentence = refusal(*files.of_ct, "--ct-segmentation", again)
    assert "segment L2 body of ct and the segment L2 of again both show L2" in sentence


def test_two_masks_of_the_whole_sac_are_refused(tmp_path, files, refusal):
    masks = {"L1 body": bodies(T1_GRID)["L1"], "sac": sac(), "CSF": sac()}
    path = segmentation_file(tmp_path / "drawn.seg.nrrd", masks, T1_GRID)
    assert "sac and CSF both show the CSF" in refusal(*files.t1, "--t1-segmentation", path)


def test_a_segmentation_that_was_resampled_under_its_old_header_is_refused_for_its_masks_would_be_cut(tmp_path, files, refusal):
    drawn = sitk.ReadImage(str(files.of_ct[3]))
    padded = sitk.ConstantPad(drawn, [4] * 3, [4] * 3)
    for key in drawn.GetMetaDataKeys():
        padded.SetMetaData(key, drawn.GetMetaData(key))
    sitk.WriteImage(padded, str(tmp_path / "padded.seg.nrrd"), True)
    sentence = refusal(*files.ct, "--ct-segmentation", tmp_path / "padded.seg.nrrd")
    assert "padded.seg.nrrd has voxels outside its segments' extents" in sentence


def _with_field(path, files, field, text):
    return _text(path, re.sub(rb"(?m)^(%s:=).*" % field, rb"\g<1>%s" % text, files.of_ct[3].read_bytes(), count=1))


@pytest.mark.parametrize("field, text", [(b"Segment0_Extent", b"0 3"), (b"Segment1_Layer", b"7"), (b"Segment1_Layer", b"x")])
def test_a_segmentation_with_a_damaged_header_is_named(tmp_path, files, refusal, field, text):
    path = _with_field(tmp_path / "bad.seg.nrrd", files, field, text)
    assert "bad.seg.nrrd" in refusal(*files.ct, "--ct-segmentation", path)


def test_a_header_of_vast_extents_does_not_end_the_process(tmp_path, files):
    path = _with_field(tmp_path / "bad.seg.nrrd", files, b"Segment0_Extent", b"0 99999 0 99999 0 99999")
    assert "bad.seg.nrrd has voxels outside" in process(tmp_path / "out", *files.ct, "--ct-segmentation", path).refusal()


def test_a_t1_mri_whose_bodies_miss_the_image_is_refused(tmp_path, files, refusal):
    moved = T1_GRID.ijk_to_ras.copy()
    moved[1, 3] += 300
    path = image_file(tmp_path / "t1.nrrd", t1(), Grid(T1_GRID.shape, moved))
    assert "L1: the ROI reaches beyond the image" in refusal("--t1", path, *files.of_t1[2:])
