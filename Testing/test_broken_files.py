"""Files that are damaged or lie: refused by name at once, or read by what they hold, whatever a reader would make of them."""

from __future__ import annotations

import gzip
import re
import shutil
import signal
import struct
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

import dicom_makers
import fuzz_corpus
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.files.checks import check_image_file
from BoneQualityLib.scene.arrays import array_of, image_of
from BoneQualityLib.scene.reading import read_segmentation, read_stacks, read_volume
from BoneQualityLib.scene.session import mrml_scene
from fuzz_corpus import CT_GRID
from spine_files import REMEDY, image_file, segmentation_file

FORMATS = ["ct.nrrd", "ct.nhdr", "ct.nii", "ct.nii.gz", "ct.mha", "ct.mhd"]
PACKED = ["ct.nrrd", "ct.nii.gz", "ct.mha"]
ARRAY, MASK = fuzz_corpus.ct()


@pytest.fixture(autouse=True)
def at_once():
    """Nothing here may take long: an endless loop is a failure after a minute, not an endless test."""

    def over(*_):
        raise AssertionError("took longer than a minute")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def written(path: Path, packed: bool = False, array: np.ndarray = ARRAY) -> Path:
    image_file(path, array, CT_GRID)
    if path.suffix not in (".gz", ".nii"):  # ITK's reader of NIfTI would turn NaN into 0
        sitk.WriteImage(sitk.ReadImage(str(path)), str(path), packed)
    return path


def data_of(path: Path) -> Path:
    """The file that holds the voxels of a header."""
    beside = [other for other in path.parent.iterdir() if other != path and other.name.startswith(f"{path.stem}.")]
    return beside[0] if path.suffix in (".nhdr", ".mhd") else path


def refusal(path, reading=read_volume) -> str:
    """The sentence that refuses an input, which leaves no node behind."""
    before = mrml_scene().GetNumberOfNodes()
    with pytest.raises(BoneQualityError) as caught:
        reading(str(path))
    assert mrml_scene().GetNumberOfNodes() == before
    sentence = str(caught.value)
    assert sentence.startswith(str(path)) and "\n" not in sentence and sentence.endswith(".") and REMEDY.search(sentence), sentence
    return sentence


def voxels(path) -> np.ndarray:
    return array_of(read_volume(str(path)).GetImageData())


def split_data(content: bytes, name: str) -> tuple[bytes, bytes]:
    """The header before compressed data, and these."""
    if name.endswith(".gz"):
        return b"", content
    end = content.index(b"\n\n") + 2 if name.endswith("nrrd") else content.index(b"LOCAL\n") + 6
    return content[:end], content[end:]


def as_members(path: Path, *cuts: int) -> Path:
    """Its compressed data as several gzip members, cut at these bytes of the unpacked data."""
    head, packed = split_data(path.read_bytes(), path.name)
    unpacked = zlib.decompress(packed, 47)
    ends = [*cuts, len(unpacked)]
    members = b"".join(gzip.compress(unpacked[a:b]) for a, b in zip([0, *ends], ends))
    head = re.sub(rb"CompressedDataSize = \d+", b"CompressedDataSize = %d" % len(members), head)
    path.write_bytes(head + members)
    return path


# Compressed data


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 512, b"junk", b"\x1f", b"\x1f\x8b", b"\x1f\x8b\x08\0junk junk junk"])
@pytest.mark.parametrize("name", PACKED)
def test_bytes_after_compressed_data_are_refused(tmp_path, name, tail):
    path = written(tmp_path / name, True)
    path.write_bytes(path.read_bytes() + tail)
    said = refusal(path)
    assert "after its compressed data" in said or "holds more than" in said or "cut short" in said or "damaged" in said


@pytest.mark.parametrize("cuts", [(20_000,), (100,), (0, 352), (5, 5, 9000)])
@pytest.mark.parametrize("name", PACKED)
def test_gzip_of_several_members_is_read_to_its_end(tmp_path, name, cuts):
    path = as_members(written(tmp_path / name, True), *cuts)
    assert np.array_equal(voxels(path), ARRAY)
    mask = segmentation_file(tmp_path / "mask.seg.nrrd", {"L2 body": MASK}, CT_GRID)
    node = read_segmentation(str(as_members(mask, cuts[0])))[0]
    labels = node.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    assert np.count_nonzero(array_of(labels)) == MASK.sum()


def test_a_second_member_that_holds_more_than_the_image_is_refused(tmp_path):
    path = written(tmp_path / "ct.nii.gz")
    path.write_bytes(path.read_bytes() * 2)
    assert "holds more than" in refusal(path)


def test_a_small_file_that_unpacks_to_gigabytes_of_one_value_is_refused_unread(tmp_path):
    path = written(tmp_path / "ct.nii")
    header = bytearray(path.read_bytes()[:352])
    struct.pack_into("<4h", header, 40, 3, 1200, 1200, 1100)
    zeros, left = bytes(1 << 26), 1200 * 1200 * 1100 * 2
    member = gzip.compress(zeros)
    (tmp_path / "bomb.nii.gz").write_bytes(
        gzip.compress(header) + member * (left // len(zeros)) + gzip.compress(bytes(left % len(zeros)))
    )
    assert (tmp_path / "bomb.nii.gz").stat().st_size < 4_000_000
    assert "times its size" in refusal(tmp_path / "bomb.nii.gz")
    assert "times its size" in refusal(tmp_path / "bomb.nii.gz", lambda path: read_segmentation(path))


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.nii.gz", "ct.mha"])
def test_more_than_the_limit_unpacked_is_refused_before_unpacking(tmp_path, name):
    path = written(tmp_path / name, True)
    content = path.read_bytes()
    if name.endswith(".gz"):
        header = bytearray(gzip.decompress(content))
        struct.pack_into("<4h", header, 40, 3, 32000, 32000, 32000)
        path.write_bytes(gzip.compress(header))
    else:
        path.write_bytes(content.replace(b"28 24 18", b"28000 24000 18000"))
    assert "over the limit of 8 GiB" in refusal(path)


# The length of the data


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("more", [1, 18, 24192])
@pytest.mark.parametrize("name", FORMATS)
def test_data_longer_than_the_header_says_are_refused(tmp_path, name, more, packed):
    packed = packed and not name.endswith(".nii")
    data = data_of(written(tmp_path / name, packed))
    content = data.read_bytes()
    if packed or name.endswith(".gz"):
        head, body = split_data(content, data.name) if data == tmp_path / name else (b"", content)
        body = zlib.decompress(body, 47)
        body = (zlib.compress if name.endswith((".mha", ".mhd")) else gzip.compress)(body + bytes(more))
        head = re.sub(rb"CompressedDataSize = \d+", b"CompressedDataSize = %d" % len(body), head)
        data.write_bytes(head + body)
        if name == "ct.mhd":
            header = (tmp_path / name).read_bytes()
            (tmp_path / name).write_bytes(re.sub(rb"CompressedDataSize = \d+", b"CompressedDataSize = %d" % len(body), header))
    else:
        data.write_bytes(content + bytes(more))
    assert "holds more than the 24192 bytes" in refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.mha", "ct.nii"])
def test_bytes_between_header_and_voxels_are_refused(tmp_path, name):
    path = written(tmp_path / name)
    content = path.read_bytes()
    start = len(content) - ARRAY.nbytes
    path.write_bytes(content[:start] + b"junk before voxels" + content[start:])
    assert "holds more than" in refusal(path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "name, before, after",
    [
        ("ct.nrrd", b"type: short", b"type: signed char"),
        ("ct.mha", b"MET_SHORT", b"MET_CHAR"),
        ("ct.nrrd", b"type: short", b"type: int"),
        ("ct.mha", b"MET_SHORT", b"MET_DOUBLE"),
        ("ct.nrrd", b"28 24 18", b"28 24 17"),
        ("ct.mha", b"28 24 18", b"28 24 19"),
    ],
)
def test_a_type_or_size_that_the_data_contradict_is_refused(tmp_path, name, before, after, packed):
    path = written(tmp_path / name, packed)
    assert before in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(before, after, 1))
    said = refusal(path)
    assert "holds more than" in said or "cut short" in said or "endian" in said


# Numbers of headers that are none


NIFTI_FAULTS = [
    *(("<f", 112, value) for value in (np.nan, np.inf)), *(("<f", 116, value) for value in (np.nan, -np.inf)),
    *(("<f", 108, value) for value in (np.nan, np.inf, -1, 0, 348, 351, 352.5, 1e30)),
    ("<h", 72, -16), ("<h", 72, 8), ("<h", 72, 0), ("<h", 70, 64), ("<h", 70, 0), ("<h", 70, 1536), ("<h", 70, 255),
    ("<h", 40, 0), ("<h", 40, -3), ("<h", 40, 32767), ("<h", 42, -28), ("<h", 42, 0), ("<h", 44, 32767),
    ("<i", 0, 349), ("<4f", 80, (np.nan, 2, 2.5, 0)), ("<4f", 80, (-2, 2, 2.5, 0)), ("<b", 123, 7), ("<f", 256, np.nan),
    ("<f", 268, np.inf), ("<f", 256, 2.0), ("<f", 280, np.nan),
]  # fmt: skip


@pytest.mark.parametrize("is_gz", [False, True])
@pytest.mark.parametrize("layout, at, value", NIFTI_FAULTS)
def test_a_nifti_whose_numbers_are_none_is_refused(tmp_path, layout, at, value, is_gz):
    path = written(tmp_path / "ct.nii")
    content = bytearray(path.read_bytes())
    struct.pack_into(layout, content, at, *np.ravel(value))
    if at == 280:
        struct.pack_into("<h", content, 254, 1)
    if is_gz:
        path = tmp_path / "packed.nii.gz"
        content = gzip.compress(content)
    path.write_bytes(content)
    refusal(path)
    refusal(path, lambda name: read_segmentation(name))


TEXT_FAULTS = {
    "ct.nrrd": [
        ("sizes: 28 24 18", f"sizes: {value}") for value in ("28 24 -18", "28 24", "28 24 18 1", "28 24 nan", "28 24 abc", "28 24 1e1", "")
    ] + [("dimension: 3", f"dimension: {value}") for value in ("-1", "0", "2147483647", "abc", "17")]
    + [("(2,0,0)", value) for value in ("(nan,0,0)", "(inf,0,0)", "(2,0)", "(abc,0,0)", "(1e400,0,0)", "none", "(0,0,0)")]
    + [("type: short", "type: block"), ("type: short", "type: short\ntype: char"), ("endian: little", "endian: middle")]
    + [("encoding: ", "byte skip: 2\nencoding: "), ("encoding: ", "line skip: 1\nencoding: "), ("encoding: ", "spacings: 1 1 1\nencoding: ")],
    "ct.mha": [("NDims = 3", f"NDims = {value}") for value in ("2147483647", "1000", "100", "-1", "0", "abc", "", "4", "2")]
    + [("DimSize = 28 24 18", f"DimSize = {value}") for value in ("28 24", "28 24 -18", "28 24 nan", "28 24 18 1", "1e9 1 1")]
    + [("ElementSpacing = 2 2 2.5", f"ElementSpacing = {value}") for value in ("2 2", "2 2 nan", "2 2 inf", "2 2 abc", "2 2 1e400")]
    + [("TransformMatrix = 1 0 0", f"TransformMatrix = {value}") for value in ("1 0", "nan 0 0", "1 0 abc")]
    + [("ElementType = MET_SHORT", f"ElementType = {value}") for value in ("MET_LONG", "MET_NONE", "short", "")]
    + [("BinaryData = True", "BinaryData = maybe"), ("NDims = 3", "NDims = 3\nNDims = 3"), ("ObjectType = Image", "ObjectType = Tube")],
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name, before, after", [(name, *fault) for name, faults in TEXT_FAULTS.items() for fault in faults])
def test_a_header_of_text_whose_numbers_are_none_is_refused(tmp_path, name, before, after, packed):
    path = written(tmp_path / name, packed)
    content = path.read_bytes()
    assert before.encode() in content
    path.write_bytes(content.replace(before.encode(), after.encode(), 1))
    refusal(path)
    refusal(path, lambda given: read_segmentation(given))


SEGMENT_FAULTS = [("Layer", value) for value in ("99999", "-1", "abc", "1")] + [
    ("LabelValue", value) for value in ("0", "-1", "99999", "nan")
] + [("Extent", value) for value in ("0 27 0 23 0", "0 27 0 23 0 99999", "a b c d e f", "-5 27 0 23 0 17")]  # fmt: skip


@pytest.mark.parametrize("field, value", SEGMENT_FAULTS)
def test_a_segment_that_its_file_cannot_hold_is_refused_and_leaves_no_node(tmp_path, field, value):
    path = segmentation_file(tmp_path / "mask.seg.nrrd", {"L2 body": MASK, "L3 body": np.roll(MASK, 3, 0) & ~MASK}, CT_GRID)
    content, changed = path.read_bytes(), []
    head, data = split_data(content, path.name)
    for line in head.split(b"\n"):
        changed.append(f"Segment0_{field}:={value}".encode() if line.startswith(f"Segment0_{field}:=".encode()) else line)
    assert changed != head.split(b"\n")
    path.write_bytes(b"\n".join(changed) + data)
    refusal(path, lambda given: read_segmentation(given))


# What a reader would take from elsewhere


@pytest.mark.parametrize("neighbor", ["ct.nii", "ct.img", "ct.hdr"])
def test_a_neighbor_of_the_same_name_is_never_read_in_place_of_the_file(tmp_path, neighbor):
    path = written(tmp_path / "ct.nii.gz")
    other = written(tmp_path / "other.nii", array=ARRAY - np.int16(30))
    shutil.copy(other, tmp_path / neighbor)
    assert np.array_equal(voxels(path), ARRAY)
    labels = written(tmp_path / "mask.nii.gz", array=(MASK * 21).astype(np.uint8))
    written(tmp_path / "mask.nii", array=(np.roll(MASK, 5, 2) * 21).astype(np.uint8))
    node = read_segmentation(str(labels))[0]
    assert np.array_equal(array_of(node.GetImageData()), MASK * 21)


def test_a_voxel_that_is_no_number_stays_one(tmp_path):
    array = ARRAY.astype(np.float32)
    array[9, 10:14, 10:14] = np.nan
    for name in ("ct.nii.gz", "ct.nii", "ct.nrrd", "ct.mha"):
        assert np.array_equal(np.isnan(voxels(written(tmp_path / name, array=array))), np.isnan(array))


@pytest.mark.parametrize("slope, intercept", [(2, -5), (0.5, 100), (0, 7)])
def test_a_rescaled_nifti_of_another_byte_order_is_read_by_its_numbers(tmp_path, slope, intercept):
    path = written(tmp_path / "ct.nii")
    content = bytearray(path.read_bytes())
    struct.pack_into("<2f", content, 112, slope, intercept)
    path.write_bytes(content)
    expected = ARRAY * slope + intercept if slope else ARRAY
    assert np.allclose(voxels(path), expected)


# DICOM


def dicom(folder: Path, edit=lambda n, dataset: None, **tags) -> Path:
    datasets = dicom_makers.slices(ARRAY, CT_GRID, "CT", intercept=-1024, **tags)
    for n, dataset in enumerate(datasets):
        edit(n, dataset)
    return dicom_makers.classic(folder, datasets)


def with_raw(folder: Path, tag: int, kind: str, value: bytes, which=slice(None)) -> Path:
    """The series with one element written as these bytes, in the files of ``which``."""
    for path in sorted(dicom(folder).iterdir())[which]:
        dataset = pydicom.dcmread(path)
        value += b" " * (len(value) % 2)
        tag = pydicom.tag.Tag(tag)
        dataset[tag] = pydicom.dataelem.RawDataElement(tag, kind, len(value), value, 0, False, True)
        dataset.save_as(path, enforce_file_format=True)
    return folder


@pytest.mark.parametrize("value", [b"nan", b"inf", b"-inf", b"abc", b"1\\2", b"1e999"])
@pytest.mark.parametrize("which", [slice(None), slice(4, 5)])
def test_a_spacing_between_slices_that_is_no_number_is_refused(tmp_path, value, which):
    assert "SpacingBetweenSlices" in refusal(with_raw(tmp_path / "d", 0x00180088, "DS", value, which))


@pytest.mark.parametrize("tag", [0x00281052, 0x00281053])
@pytest.mark.parametrize("value", [b"nan", b"inf", b"abc"])
def test_a_rescale_that_is_no_number_is_refused(tmp_path, tag, value):
    refusal(with_raw(tmp_path / "d", tag, "DS", value))


@pytest.mark.parametrize(
    "name, value", [("BitsAllocated", 12), ("BitsAllocated", 1), ("BitsAllocated", 24), ("BitsAllocated", 64), ("BitsAllocated", 0),
                    ("BitsStored", 17), ("BitsStored", 0), ("HighBit", 3), ("HighBit", 16), ("PixelRepresentation", 2), ("Rows", 0)]
)  # fmt: skip
@pytest.mark.parametrize("all_slices", [False, True])
def test_a_pixel_format_that_does_not_exist_is_refused(tmp_path, name, value, all_slices):
    refusal(dicom(tmp_path / "d", lambda n, dataset: setattr(dataset, name, value) if all_slices or n == 7 else None))


@pytest.mark.parametrize("length", [4294967294, 4294967295, 0, 2, 1342, 1346, 2688])
def test_a_length_of_pixels_that_is_not_that_of_the_image_is_refused_at_once(tmp_path, length):
    path = dicom(tmp_path / "d") / "003.dcm"
    content = path.read_bytes()
    at = content.rindex(b"\xe0\x7f\x10\x00OW")
    path.write_bytes(content[: at + 8] + struct.pack("<I", length) + content[at + 12 :])
    refusal(tmp_path / "d")


@pytest.mark.parametrize("more", [1, 2, 4, 16, 256])
@pytest.mark.parametrize("at", [-2, -700, -1300])
def test_bytes_between_the_pixels_of_dicom_are_refused(tmp_path, more, at):
    path = dicom(tmp_path / "d") / "003.dcm"
    content = path.read_bytes()
    path.write_bytes(content[:at] + b"\x31" * more + content[at:])
    refusal(tmp_path / "d")


def test_elements_after_the_pixels_of_dicom_do_not_matter(tmp_path):
    def edit(n, dataset):
        dataset.add_new(0xFFFCFFFC, "OB", b"\0" * 126)

    assert np.array_equal(np.sort(voxels(dicom(tmp_path / "d", edit)), axis=None), np.sort(ARRAY, axis=None))


def test_a_slice_twice_or_missing_is_refused_where_a_series_may_hold_several_stacks_too(tmp_path):
    folder = dicom(tmp_path / "twice")
    shutil.copy(folder / "005.dcm", folder / "copy.dcm")
    assert "two images at one place (005.dcm and copy.dcm)" in refusal(folder, read_stacks)
    for missing in (["007.dcm"], ["007.dcm", "008.dcm"]):
        folder = dicom(tmp_path / missing[-1])
        for name in missing:
            (folder / name).unlink()
        assert "misses slices" in refusal(folder, read_stacks)


@pytest.mark.parametrize(
    "name, value", [("RescaleSlope", 2), ("RescaleIntercept", 0), ("BitsStored", 12), ("PixelRepresentation", 0), ("Modality", "SEG"), ("Modality", "RTDOSE")]
)  # fmt: skip
def test_slices_of_another_kind_within_a_series_are_refused(tmp_path, name, value):
    def edit(n, dataset):
        if n == 5:
            setattr(dataset, name, value)
            dataset.HighBit = dataset.BitsStored - 1

    assert name in refusal(dicom(tmp_path / "d", edit)) or name == "BitsStored"


def test_a_deflated_dicom_file_that_grows_without_end_is_refused(tmp_path):
    path = dicom(tmp_path / "d") / "003.dcm"
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    content = path.read_bytes()
    end = 144 + pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    grown = zlib.decompressobj(-15).decompress(content[end:])
    path.write_bytes(content[:end] + packer.compress(grown) + b"".join(packer.compress(bytes(1 << 24)) for _ in range(20)) + packer.flush())
    assert "damaged" in refusal(tmp_path / "d")


def test_deflated_big_endian_and_odd_depths_are_read_by_their_values(tmp_path):
    def edit(n, dataset):
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 0

    for name, syntax in (("deflated", pydicom.uid.DeflatedExplicitVRLittleEndian), ("implicit", pydicom.uid.ImplicitVRLittleEndian)):
        for path in dicom(tmp_path / name, edit).iterdir():
            dataset = pydicom.dcmread(path)
            dataset.file_meta.TransferSyntaxUID = syntax
            dataset.save_as(path, enforce_file_format=True)
        image = image_of(read_volume(str(tmp_path / name)))
        assert np.array_equal(np.sort(image.array, axis=None), np.sort(ARRAY, axis=None))


def test_the_header_of_a_whole_file_is_known_without_unpacking(tmp_path):
    assert check_image_file(written(tmp_path / "ct.nrrd", True), unpack=False).size == (28, 24, 18)


def test_an_origin_further_than_any_scanner_reaches_is_refused(tmp_path):
    image = sitk.GetImageFromArray(np.zeros((3, 4, 5), np.int16))
    image.SetOrigin((1e20, 0, 0))
    sitk.WriteImage(image, str(tmp_path / "far.mha"))
    assert "1e+20 mm from the center" in refusal(tmp_path / "far.mha")
