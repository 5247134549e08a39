"""What is refused before a reader gets a file, each fault made on the spot, and what must go through."""

import gzip
import math
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.files.checks import ImageHeader, check_image_file, stored_image, structure_files
from BoneQualityLib.files.stored_image import is_as_stored

FORMATS = ["nii", "nii.gz", "nrrd", "nhdr", "mha", "mhd"]
COMPRESSED = ["nii.gz", "nrrd", "mha"]
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SPACING = (0.5, 0.75, 2.0)


@pytest.fixture
def image():
    """60 x 50 x 40 voxels whose compressed data are much longer than what a reader buffers."""
    array = np.random.default_rng(1).integers(-1000, 1000, (40, 50, 60)).astype(np.int16)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING)
    image.SetOrigin((10.0, -20.0, 30.0))
    return image


def written(image, path: Path, compressed=None) -> Path:
    sitk.WriteImage(image, str(path), path.name.endswith(".gz") if compressed is None else compressed)
    return path


def nifti(path: Path, image, **changes) -> Path:
    """A NIfTI file with the named fields of its header changed."""
    layout = {"axes": ("<h", 40), "pixdim": ("<3f", 80), "first_byte": ("<f", 108), "scale": ("<2f", 112), "units": ("<b", 123)}
    layout |= {"qform_code": ("<h", 252), "sform_code": ("<h", 254), "sform": ("<12f", 280), "magic": ("<4s", 344)}
    content = bytearray(written(image, path).read_bytes())
    for name, value in changes.items():
        kind, at = layout[name]
        struct.pack_into(kind, content, at, *np.ravel(value))
    path.write_bytes(content)
    return path


def edited(path: Path, **replacements) -> Path:
    """A NRRD or MetaImage file with lines of its header replaced, or dropped where the new text is empty."""
    lines = path.read_bytes().split(b"\n")
    for i, line in enumerate(lines):
        for start, new in replacements.items():
            if line.startswith(start.replace("_", " ").encode()):
                lines[i] = new.encode() if new else None
    path.write_bytes(b"\n".join(line for line in lines if line is not None))
    return path


def refusal(path) -> str:
    """The sentence that refuses a file: one line that begins with the path and ends with a remedy."""
    with pytest.raises(BoneQualityError) as caught:
        check_image_file(path)
    sentence = str(caught.value)
    assert sentence.startswith(str(path))
    assert "\n" not in sentence and sentence.endswith(".")
    assert sentence.rsplit(": ", 1)[1].split()[0] in REMEDIES
    return sentence


REMEDIES = {"copy", "check", "save", "export", "load", "resample", "rename", "put", "correct"}


@pytest.mark.parametrize("extension", FORMATS)
def test_a_whole_file_tells_its_grid(tmp_path, image, extension):
    header = check_image_file(written(image, tmp_path / f"ct.{extension}"))
    assert header == ImageHeader((60, 50, 40), pytest.approx(SPACING), "16-bit signed integer", False)


@pytest.mark.parametrize("extension", COMPRESSED)
def test_a_compressed_file_in_a_folder_with_spaces_and_umlauts_goes_through(tmp_path, image, extension):
    folder = tmp_path / "Größe 椎骨"
    folder.mkdir()
    assert check_image_file(str(written(image, folder / f"Übersicht 1.{extension}", True))).size == (60, 50, 40)


def test_a_rescaled_nifti_goes_through_as_floating_point(tmp_path, image):
    assert check_image_file(nifti(tmp_path / "ct.nii", image, scale=(2, -5))).pixel_type == "32-bit float"


def test_a_nifti_of_several_gzip_members_goes_through(tmp_path, image):
    content = written(image, tmp_path / "whole.nii").read_bytes()
    path = tmp_path / "members.nii.gz"
    path.write_bytes(gzip.compress(content[:50_000]) + gzip.compress(content[50_000:]))
    assert check_image_file(path).size == (60, 50, 40)


def test_a_fourth_axis_of_one_goes_through_where_three_axes_are_placed(tmp_path, image):
    header = check_image_file(written(sitk.JoinSeries([image]), tmp_path / "ct.nii.gz"))
    assert (header.size, header.spacing) == ((60, 50, 40), pytest.approx(SPACING))


def test_layers_are_for_segmentations_alone(tmp_path, image):
    layers = sitk.Compose([sitk.Cast(image > 0, sitk.sitkUInt8)] * 2)
    assert check_image_file(written(layers, tmp_path / "L1.seg.nrrd")).is_segmentation
    assert "color or vectors" in refusal(written(layers, tmp_path / "L1.nrrd"))


def test_a_segmentation_is_known_by_its_header_too(tmp_path, image):
    image.SetMetaData("Segment0_ID", "L1")
    assert check_image_file(written(image, tmp_path / "L1.nrrd")).is_segmentation


def test_a_missing_file_a_folder_and_an_empty_file_are_told_apart(tmp_path):
    (tmp_path / "empty.nrrd").touch()
    assert "is not there: check the path" in refusal(tmp_path / "none.nrrd")
    assert "is a folder" in refusal(tmp_path)
    assert "is empty: copy or export it again" in refusal(tmp_path / "empty.nrrd")


def test_an_unsupported_type_gets_a_list_of_the_supported_ones(tmp_path):
    (tmp_path / "ct.jpg").write_bytes(b"x")
    assert ".nii.gz, .nii, .nrrd, .nhdr, .mha, .mhd" in refusal(tmp_path / "ct.jpg")


def test_a_file_that_may_not_be_read_says_so(tmp_path, image, monkeypatch):
    path = written(image, tmp_path / "ct.nrrd")
    monkeypatch.setattr(Path, "open", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    assert "cannot be read (Permission denied): check its permissions" in refusal(path)


@pytest.mark.parametrize("extension", FORMATS)
def test_noise_under_a_known_name_is_refused_quietly(tmp_path, extension, capfd):
    path = tmp_path / f"ct.{extension}"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    assert "no NRRD" in refusal(path) or "no NIfTI" in refusal(path) or "no MetaImage" in refusal(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kept", [0.05, 0.5, 0.95, 0.9999])
@pytest.mark.parametrize("extension", ["nii", "nii.gz", "nrrd", "mha"])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_truncated_file_is_refused(tmp_path, image, extension, compressed, kept, capfd):
    path = written(image, tmp_path / f"ct.{extension}", compressed)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    assert "cut short" in refusal(path) and "copy or export it again" in refusal(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("cut", [4, 8])
@pytest.mark.parametrize("extension", ["nii.gz", "nrrd"])
def test_a_compressed_file_without_its_checksum_is_refused(tmp_path, image, extension, cut):
    path = written(image, tmp_path / f"ct.{extension}", True)
    path.write_bytes(path.read_bytes()[:-cut])
    assert "cut short" in refusal(path)


def test_a_whole_gzip_of_a_truncated_nifti_is_refused(tmp_path, image):
    content = written(image, tmp_path / "whole.nii").read_bytes()
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(gzip.compress(content[:50_000]))
    assert f"{50_000 - 352} of {60 * 50 * 40 * 2} bytes of voxels" in refusal(path)


@pytest.mark.parametrize("at", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("extension", COMPRESSED)
def test_a_flipped_bit_in_compressed_data_is_refused(tmp_path, image, extension, at):
    path = written(image, tmp_path / f"ct.{extension}", True)
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 16
    path.write_bytes(content)
    assert "damaged" in refusal(path) or "cut short" in refusal(path)


@pytest.mark.parametrize("extension", ["nhdr", "mhd"])
@pytest.mark.parametrize("compressed", [False, True])
def test_detached_data_must_be_there_and_whole(tmp_path, image, extension, compressed):
    path = written(image, tmp_path / f"ct.{extension}", compressed)
    (data,) = (p for p in tmp_path.iterdir() if p != path)
    data.write_bytes(data.read_bytes()[:-1000])
    assert "cut short" in refusal(path)
    data.unlink()
    assert f"{data.name}, which is not there: put it beside" in refusal(path)


def test_data_spread_over_several_files_are_refused(tmp_path, image):
    nrrd = edited(written(image, tmp_path / "a.nhdr"), data_file="data file: slice%03d.raw 1 40 1")
    meta = edited(written(image, tmp_path / "a.mhd"), ElementDataFile="ElementDataFile = LIST")
    assert all("several files: save it as one file" in refusal(path) for path in (nrrd, meta))


def test_a_compressed_metaimage_must_give_its_true_length(tmp_path, image):
    path = written(image, tmp_path / "ct.mha", True)
    edited(path, CompressedDataSize="CompressedDataSize = 5000")
    assert "holds more" in refusal(path)
    edited(path, CompressedDataSize="CompressedDataSize = 5000000")
    assert "cut short" in refusal(path)
    edited(path, CompressedDataSize="")
    assert "cannot be checked: save it again" in refusal(path)


def test_a_metaimage_to_be_rescaled_is_refused_for_itk_ignores_that(tmp_path, image):
    path = written(image, tmp_path / "ct.mha")
    edited(path, NDims="NDims = 3\nElementToIntensityFunctionOffset = -1024")
    assert "rescaled" in refusal(path)


@pytest.mark.parametrize("encoding", ["ascii", "bzip2", "hex"])
def test_an_encoding_that_cannot_be_checked_is_refused(tmp_path, image, encoding):
    path = edited(written(image, tmp_path / "ct.nrrd"), encoding=f"encoding: {encoding}")
    assert "save it again, as raw or gzip NRRD" in refusal(path)


def test_a_compressed_nifti_under_an_uncompressed_name_is_refused(tmp_path, image):
    path = tmp_path / "ct.nii"
    path.write_bytes(written(image, tmp_path / "ct.nii.gz").read_bytes())
    assert "rename it to ct.nii.gz" in refusal(path)


@pytest.mark.parametrize("extension", ["nii.gz", "nrrd", "mha"])
def test_what_is_not_one_gray_volume_is_refused(tmp_path, image, extension):
    color = sitk.Compose([sitk.Cast(image, sitk.sitkUInt8)] * 3)
    assert "4 axes" in refusal(written(sitk.JoinSeries([image, image]), tmp_path / f"series.{extension}"))
    assert refusal(written(image[:, :, 5], tmp_path / f"flat.{extension}"))
    assert "save one gray-scale channel" in refusal(written(color, tmp_path / f"color.{extension}"))


@pytest.mark.parametrize("extension", ["nii.gz", "nrrd"])
def test_complex_numbers_are_refused(tmp_path, image, extension):
    part = sitk.Cast(image, sitk.sitkFloat32)
    assert "save their magnitude" in refusal(written(sitk.RealAndImaginaryToComplex(part, part), tmp_path / f"k.{extension}"))


SFORM = np.array([[-0.5, 0, 0, -10], [0, -0.75, 0, 20], [0, 0, 2, 30]])


def test_a_nifti_without_orientation_is_refused(tmp_path, image):
    path = nifti(tmp_path / "ct.nii", image, qform_code=0, sform_code=0)
    assert "does not say how it lies in the patient" in refusal(path)


@pytest.mark.parametrize("pixdim", [(0, 0.75, 2), (math.nan, 0.75, 2), (-0.5, 0.75, 2), (math.inf, 0.75, 2)])
def test_a_nifti_without_voxel_size_is_refused(tmp_path, image, pixdim):
    assert "no valid voxel size" in refusal(nifti(tmp_path / "ct.nii", image, pixdim=pixdim, sform_code=0))


def test_a_nifti_with_an_infinite_sform_is_refused(tmp_path, image):
    assert "placement" in refusal(nifti(tmp_path / "ct.nii", image, sform=SFORM * np.nan, qform_code=0))


def test_a_sheared_sform_is_refused(tmp_path, image):
    sheared = SFORM.copy()
    sheared[1, 2] = 0.2
    assert "sheared axes: resample" in refusal(nifti(tmp_path / "ct.nii", image, sform=sheared, qform_code=0))


def test_a_sform_that_disagrees_with_the_qform_or_the_voxel_size_is_refused(tmp_path, image, capfd):
    moved, larger = SFORM.copy(), SFORM.copy()
    moved[1, 3] += 5
    larger[:, :3] *= 2
    assert "sform" in refusal(nifti(tmp_path / "moved.nii", image, sform=moved, sform_code=2))
    assert "sform" in refusal(nifti(tmp_path / "larger.nii", image, sform=larger))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("units, listed", [(1, "500 x 750 x 2000 mm"), (3, "0.0005 x 0.00075 x 0.002 mm")])
def test_voxels_of_meters_or_micrometers_are_refused(tmp_path, image, units, listed):
    assert listed in refusal(nifti(tmp_path / "ct.nii", image, units=units))


def test_other_flavors_of_nifti_are_refused(tmp_path, image):
    assert "no NIfTI-1 file" in refusal(nifti(tmp_path / "analyze.nii", image, magic=b"\0\0\0\0"))
    assert "no NIfTI-1 file" in refusal(nifti(tmp_path / "pair.nii", image, magic=b"ni1\0"))
    assert "cannot be understood" in refusal(nifti(tmp_path / "offset.nii", image, first_byte=0))
    assert "cannot be understood" in refusal(nifti(tmp_path / "axes.nii", image, axes=9))


@pytest.mark.parametrize("missing", ["space:", "space directions", "space origin"])
def test_a_nrrd_that_is_not_placed_in_the_patient_is_refused(tmp_path, image, missing):
    path = edited(written(image, tmp_path / "ct.nrrd"), **{missing.replace(" ", "_"): ""})
    assert "does not say where its voxels lie" in refusal(path)


@pytest.mark.parametrize("missing", ["ElementSpacing", "TransformMatrix", "Offset"])
def test_a_metaimage_that_is_not_placed_in_the_patient_is_refused(tmp_path, image, missing):
    path = edited(written(image, tmp_path / "ct.mha"), **{missing: ""})
    assert "does not say where its voxels lie" in refusal(path)


def test_sheared_axes_are_refused_but_a_turned_volume_goes_through(tmp_path, image):
    nrrd = edited(written(image, tmp_path / "a.nrrd"), space_directions="space directions: (0.5,0,0) (0,0.75,0) (0,0.5,2)")
    meta = edited(written(image, tmp_path / "a.mha"), TransformMatrix="TransformMatrix = 1 0 0 0 1 0 0 0.24 0.97")
    scaled = edited(written(image, tmp_path / "b.mha"), TransformMatrix="TransformMatrix = 2 0 0 0 1 0 0 0 1")
    assert all("right-angled grid" in refusal(path) for path in (nrrd, meta, scaled))
    cosine, sine = math.cos(0.3), math.sin(0.3)
    image.SetDirection((1, 0, 0, 0, cosine, -sine, 0, sine, cosine))
    assert check_image_file(written(image, tmp_path / "turned.nii.gz")).spacing == pytest.approx(SPACING)


@pytest.mark.parametrize("spacing", ["0 0.75 2", "-0.5 0.75 2", "100 0.75 2"])
def test_a_metaimage_with_an_impossible_spacing_is_refused(tmp_path, image, spacing):
    path = edited(written(image, tmp_path / "ct.mha"), ElementSpacing=f"ElementSpacing = {spacing}")
    assert "correct its spacing" in refusal(path)


def test_the_files_of_a_folder_are_its_structures(tmp_path, image):
    for name in ("vertebrae_L2.nii.gz", "CSF L3.seg.nrrd", "psoas_L.mha", ".hidden.nrrd"):
        written(image, tmp_path / name)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "folder.nrrd").mkdir()
    assert structure_files(tmp_path) == [
        ("CSF L3", tmp_path / "CSF L3.seg.nrrd"),
        ("psoas_L", tmp_path / "psoas_L.mha"),
        ("vertebrae_L2", tmp_path / "vertebrae_L2.nii.gz"),
    ]


def test_a_folder_without_structures_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    for path, words in ((tmp_path, "holds no image file: put"), (tmp_path / "none", "is not a folder: name")):
        with pytest.raises(BoneQualityError, match=words) as caught:
            structure_files(path)
        assert str(caught.value).startswith(str(path))


def test_every_shared_image_goes_through():
    if not SHARED.is_dir():
        pytest.skip(f"the real images are not there: {SHARED}")
    paths = sorted(SHARED.glob("*/*.nii.gz"))
    assert len(paths) > 10
    assert all(check_image_file(path).spacing for path in paths)
    assert check_image_file(SHARED / "ct_L1-L5_3mm" / "ct.nii.gz").size == (122, 101, 112)


@pytest.mark.parametrize("extension", ["nii.gz", "nrrd"])
def test_what_a_reader_got_is_compared_with_the_checksum_of_the_file(tmp_path, image, extension):
    path, array = written(image, tmp_path / f"ct.{extension}", True), sitk.GetArrayFromImage(image)
    assert is_as_stored(stored_image(path), array)
    array[20, 20, 20] ^= 1
    assert not is_as_stored(stored_image(path), array) and not is_as_stored(stored_image(path), array[1:])


def test_the_checksum_of_one_of_several_members_stands_for_no_image(tmp_path, image):
    content = gzip.decompress(written(image, tmp_path / "whole.nii.gz").read_bytes())
    path = tmp_path / "members.nii.gz"
    path.write_bytes(gzip.compress(content[:50_000]) + gzip.compress(content[50_000:]))
    assert not is_as_stored(stored_image(path), sitk.GetArrayFromImage(image))
    assert check_image_file(path, unpack=False).size == (60, 50, 40)


@pytest.mark.parametrize("kept", [0.5, 0.9999])
def test_a_truncated_file_is_refused_before_a_reader_makes_room_for_it(tmp_path, image, kept):
    path = written(image, tmp_path / "ct.nrrd", True)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(BoneQualityError, match="cut short"):
        check_image_file(path, unpack=False)
