"""Which DICOM folders make a volume, in which order, with which tags, and which are refused; each folder made on the spot."""

import math
from dataclasses import fields
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, generate_uid

from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.files.dicom_series import DicomSeries, find_series
from BoneQualityLib.image.acquisition import ImageTags

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "ct_dicom_T11-T12" / "dicom"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def series(folder, count=5, step=(0, 0, 2.0), edit=None, syntax=ExplicitVRLittleEndian, **tags):
    """CT slices ``00.dcm``, ``01.dcm``, .. ``step`` mm (LPS) apart; ``edit(i, dataset)`` changes one; a tag of None is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    uid, paths = generate_uid(), []
    for i in range(count):
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.SeriesInstanceUID = CTImageStorage, generate_uid(), uid
        dataset.Modality, dataset.InstanceNumber = "CT", i + 1
        dataset.ImagePositionPatient = list(np.array([-10.0, -20.0, -30.0]) + i * np.array(step))
        dataset.ImageOrientationPatient, dataset.PixelSpacing = [1, 0, 0, 0, 1, 0], [0.5, 0.75]
        dataset.Rows, dataset.Columns, dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 40, 50, 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
        dataset.PixelData = np.random.default_rng(i).integers(0, 2000, 2000).astype("<u2").tobytes()
        for name, value in tags.items():
            if value is None:
                delattr(dataset, name)
            else:
                setattr(dataset, name, value)
        if edit:
            edit(i, dataset)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax == RLELossless else syntax
        if syntax == RLELossless:
            dataset.compress(RLELossless)
        paths.append(folder / f"{i:02}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def moved(which, **tags):
    """An ``edit`` for `series` that changes slice ``which`` alone."""
    return lambda i, dataset: [setattr(dataset, name, value) for name, value in tags.items()] if i == which else None


def refusal(folder, series_uid=None, named=None) -> str:
    """The sentence that refuses a folder: one line that names it (or the file ``named``) and has a remedy."""
    with pytest.raises(BoneQualityError) as caught:
        find_series(folder, series_uid)
    sentence = str(caught.value)
    assert sentence.startswith(str(named or folder))
    assert "\n" not in sentence and sentence.endswith(".")
    assert any(f"{mark} {verb} " in sentence for mark in ":;" for verb in REMEDIES)
    return sentence


REMEDIES = ("copy", "check", "name", "choose", "export", "keep", "add", "import", "convert")


def names(found: DicomSeries) -> list[str]:
    return [path.name for path in found.paths]


def test_slices_are_ordered_along_their_normal_whatever_their_names_and_numbers(tmp_path):
    paths = series(tmp_path, edit=lambda i, dataset: setattr(dataset, "InstanceNumber", 7 * i % 5))
    for path, other in zip(paths, "dbeca"):
        path.rename(tmp_path / other)
    assert names(find_series(tmp_path)) == list("dbeca")


@pytest.mark.parametrize(
    "row_and_column, step, first",
    [
        ([1, 0, 0, 0, 1, 0], (0, 0, 2), "00.dcm"),
        ([1, 0, 0, 0, 1, 0], (0, 0, -2), "04.dcm"),
        ([0, 1, 0, 0, 0, -1], (4, 0, 0), "04.dcm"),
        ([1, 0, 0, 0, 0, -1], (0, 3, 0), "00.dcm"),
        ([1, 0, 0, 0, math.cos(0.3), math.sin(0.3)], (0, -2 * math.sin(0.3), 2 * math.cos(0.3)), "00.dcm"),
    ],
)
def test_the_normal_is_that_of_the_image_plane(tmp_path, row_and_column, step, first):
    series(tmp_path, step=step, ImageOrientationPatient=[round(v, 6) for v in row_and_column])
    assert names(find_series(tmp_path))[0] == first


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless])
def test_subfolders_other_files_and_odd_names_do_not_matter(tmp_path, syntax):
    folder = tmp_path / "Wirbelsäule 椎骨 1"
    paths = series(folder / "a b", syntax=syntax)
    (folder / "notes.txt").write_text("no image")
    (folder / "empty").touch()
    assert find_series(folder).paths == tuple(paths)


def test_objects_that_are_no_images_do_not_matter(tmp_path):
    paths = series(tmp_path / "ct")
    for modality in ("SEG", "RTDOSE"):
        series(tmp_path / modality, 1, Modality=modality)
    series(tmp_path / "SR", 1, Modality="SR", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Rows=None, PixelData=None)
    series(tmp_path / "screen", 1, SOPClassUID=SECONDARY_CAPTURE, Modality="OT", ImagePositionPatient=None)
    assert find_series(tmp_path).paths == tuple(paths)


def test_an_empty_series_uid_is_one_series(tmp_path):
    paths = series(tmp_path, SeriesInstanceUID="")
    assert find_series(tmp_path).paths == tuple(paths)


def test_several_series_are_listed_to_choose_from(tmp_path):
    paths = series(tmp_path / "a", 5, SeriesInstanceUID="1.2.3")
    series(tmp_path / "b", 3, SeriesInstanceUID="1.2.4", Modality="MR", PatientName="Secret^Name", SeriesDescription="Secret")
    for sentence in (refusal(tmp_path), refusal(tmp_path, "1.2.5")):
        assert f"choose one as {tmp_path}@UID" in sentence and "Secret" not in sentence
        assert "Secret" not in sentence
    assert find_series(tmp_path, "1.2.3").paths == tuple(paths)


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    assert "holds no DICOM image" in refusal(tmp_path)
    assert "is not a folder" in refusal(tmp_path / "none")


@pytest.mark.parametrize("content", [b"", b"noise" * 100])
def test_a_dicom_name_without_dicom_content_is_refused_for_it_may_be_a_slice(tmp_path, content):
    series(tmp_path)
    (tmp_path / "05.dcm").write_bytes(content)
    assert "no DICOM file despite its name" in refusal(tmp_path, named=tmp_path / "05.dcm")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("kept", [0.999, 0.5, 0.05])
def test_a_truncated_slice_is_refused_quietly(tmp_path, syntax, kept, capfd):
    paths = series(tmp_path, syntax=syntax)
    paths[4].write_bytes(paths[4].read_bytes()[: int(paths[4].stat().st_size * kept)])
    sentence = refusal(tmp_path, named=paths[4])
    assert "copy or export it again" in sentence or "copy it again" in sentence
    assert capfd.readouterr() == ("", "")


def test_a_missing_slice_is_refused_with_its_place(tmp_path):
    series(tmp_path, 9)[6].unlink()
    assert "05.dcm and 07.dcm lie 4.00 mm apart, others 2.00 mm; add the missing slices" in refusal(tmp_path)


def test_a_missing_slice_in_a_long_series_is_refused(tmp_path):
    series(tmp_path, 300, step=(0, 0, 0.5))[297].unlink()
    assert "296.dcm and 298.dcm lie 1.00 mm apart" in refusal(tmp_path)


def test_positions_rounded_to_a_tenth_of_a_millimeter_are_even_enough(tmp_path):
    def round_position(i, dataset):
        dataset.ImagePositionPatient[2] = round(-30 + 0.625 * i, 1)

    assert len(find_series(series(tmp_path, 40, edit=round_position)[0].parent).paths) == 40


def test_two_images_at_one_place_are_refused(tmp_path):
    series(tmp_path, edit=moved(3, ImagePositionPatient=[-10, -20, -26]))
    assert "two images at one place (02.dcm and 03.dcm)" in refusal(tmp_path)


@pytest.mark.parametrize("degrees", [1, 15])
def test_gantry_tilt_is_refused(tmp_path, degrees):
    series(tmp_path, 20, step=(0, 2 * math.tan(math.radians(degrees)), 2))
    assert f"gantry tilt ({degrees}.0 degrees)" in refusal(tmp_path)


def test_a_slice_shifted_sideways_is_refused(tmp_path):
    series(tmp_path, edit=moved(2, ImagePositionPatient=[-8, -20, -26]))
    assert "shifted sideways" in refusal(tmp_path)


def test_a_single_slice_is_refused(tmp_path):
    series(tmp_path, 1)
    assert "single slice" in refusal(tmp_path)


@pytest.mark.parametrize(
    "tags",
    [
        {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]},
        {"ImageOrientationPatient": [-1, 0, 0, 0, -1, 0]},
        {"PixelSpacing": [1, 1]},
        {"Rows": 50, "Columns": 40},
        {"EchoNumbers": 2},
        {"Modality": "MR"},
    ],
)
def test_images_that_do_not_match_are_refused(tmp_path, tags):
    series(tmp_path, edit=moved(2, **tags))
    assert f"(00.dcm and 02.dcm differ in {next(iter(tags))})" in refusal(tmp_path)


def test_mr_images_rescaled_in_part_are_refused(tmp_path):
    def drop_rescale(i, dataset):
        if i == 2:
            del dataset.RescaleSlope, dataset.RescaleIntercept

    series(tmp_path, Modality="MR", edit=drop_rescale)
    assert "differ in RescaleSlope" in refusal(tmp_path)


def test_mr_images_need_no_rescale(tmp_path):
    series(tmp_path, Modality="MR", RescaleSlope=None, RescaleIntercept=None)
    assert find_series(tmp_path).tags["modality"] == "MR"


@pytest.mark.parametrize(
    "tags, words",
    [
        ({"RescaleIntercept": None}, "no valid rescale to HU"),
        ({"RescaleIntercept": ""}, "no valid rescale to HU"),
        ({"RescaleSlope": 0}, "no valid rescale to HU"),
        ({"RescaleType": "MGML"}, "holds MGML, not HU"),
        ({"PixelSpacing": None}, "no valid PixelSpacing"),
        ({"PixelSpacing": [0, 0.5]}, "no valid PixelSpacing"),
        ({"ImagePositionPatient": None}, "no valid ImagePositionPatient"),
        ({"ImageOrientationPatient": None}, "no valid ImageOrientationPatient"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "no valid ImageOrientationPatient"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "stores gray values as MONOCHROME1"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "BitsAllocated": 8}, "is a color image"),
        ({"NumberOfFrames": 1 + 1, "Rows": 20}, "has several frames"),
    ],
)
def test_an_image_that_would_be_misread_is_refused(tmp_path, tags, words):
    paths = series(tmp_path, **tags)
    assert words in refusal(tmp_path, named=paths[0])


def tags_of(folder, **tags) -> ImageTags:
    series(folder, 2, **tags)
    return ImageTags(**find_series(folder).tags)


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("Modality", {}), ("EchoNumbers", dict(EchoNumbers=1)), ("SpacingBetweenSlices", dict(SpacingBetweenSlices=2)),
        ("PatientName", dict(PatientName="A^B")),
        ("ContrastBolusAgent", dict(ContrastBolusAgent="agent")), ("SeriesDescription", dict(SeriesDescription="CT")), ("RescaleSlope", {}),
    ],
)  # fmt: skip
def test_an_element_of_an_unknown_type_is_refused_or_passed_over(tmp_path, name, tags):
    path = series(tmp_path / "ct", **tags)[2]
    data, tag = path.read_bytes(), pydicom.tag.Tag(name)
    at = data.index(tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little")) + 4
    path.write_bytes(data[:at] + b"C\x9c" + data[at + 2 :])
    if name in ("PatientName", "ContrastBolusAgent", "SeriesDescription"):
        assert len(find_series(tmp_path / "ct").paths) == 5
    else:
        with pytest.raises(BoneQualityError):
            find_series(tmp_path / "ct")


def test_ct_tags_are_read(tmp_path):
    values = {"KVP": 120, "SliceThickness": 3, "ConvolutionKernel": ["Br38f", "3"]}
    tags = tags_of(tmp_path, Manufacturer="SIEMENS", ManufacturerModelName="Flash", **values)
    assert tags == ImageTags("CT", 120, 3, "Br38f 3", manufacturer="SIEMENS", model="Flash")


def test_mr_tags_are_read(tmp_path):
    values = {"MagneticFieldStrength": 1.5, "RepetitionTime": 450, "EchoTime": 9.5, "InversionTime": 800}
    tags = tags_of(tmp_path, Modality="MR", ScanningSequence=["SE", "IR"], ScanOptions="PFP", **values)
    assert (tags.field_strength_t, tags.tr_ms, tags.te_ms, tags.ti_ms) == (1.5, 450, 9.5, 800)
    assert (tags.scanning_sequence, tags.fat_suppressed) == ("SE IR", "no")


def test_a_field_strength_in_gauss_becomes_tesla(tmp_path):
    assert tags_of(tmp_path, Modality="MR", MagneticFieldStrength=15000).field_strength_t == 1.5


def test_tags_hold_no_patient_data(tmp_path):
    secret = dict.fromkeys(("PatientName", "PatientID", "StudyDescription", "SeriesDescription"), "Secret")
    tags = tags_of(tmp_path, StudyDate="20200101", **secret)
    assert "Secret" not in str(tags) and "2020" not in str(tags)


def test_unknown_and_malformed_tags_are_none(tmp_path):
    def spoil(_, dataset):
        for tag, kind, value in ((0x00180060, "DS", b"a lot "), (0x00180050, "DS", b"1\\2 "), (0x00181210, "SH", b"")):
            dataset[tag] = pydicom.dataelem.RawDataElement(pydicom.tag.Tag(tag), kind, len(value), value, 0, False, True)

    tags = tags_of(tmp_path, edit=spoil)
    assert {f.name: getattr(tags, f.name) for f in fields(tags) if f.name != "modality"} == dict.fromkeys(
        (f.name for f in fields(tags) if f.name != "modality")
    )


@pytest.mark.parametrize(
    "tags, contrast",
    [
        ({}, None),
        ({"ContrastBolusAgent": ""}, None),
        ({"ContrastBolusAgent": "none"}, "no"),
        ({"ContrastBolusAgent": "Iomeron 350"}, "yes"),
        ({"ContrastBolusAgent": "APPLIED", "ContrastBolusVolume": 0}, "yes"),
    ],
)
def test_contrast_is_what_the_agent_says(tmp_path, tags, contrast):
    assert tags_of(tmp_path, **tags).contrast == contrast


@pytest.mark.parametrize(
    "tags, suppressed",
    [
        ({}, None),
        ({"ScanOptions": ["PFP", "SP"]}, "no"),
        ({"ScanOptions": ["FAST_GEMS", "FS"]}, "yes"),
        ({"ScanOptions": "FATSAT"}, "yes"),
        ({"SeriesDescription": "t1_tse_sag_fs"}, "yes"),
        ({"SeriesDescription": "T1 STIR sag"}, "yes"),
        ({"SeriesDescription": "offset FSE sag", "ScanOptions": "PER"}, "no"),
        ({"ImageType": ["DERIVED", "PRIMARY", "DIXON", "WATER"]}, "yes"),
        ({"SpectrallySelectedSuppression": "NONE"}, "no"),
        ({"Modality": "CT", "ScanOptions": "FS"}, None),
    ],
)
def test_fat_suppression_is_read_from_options_names_and_dixon(tmp_path, tags, suppressed):
    assert tags_of(tmp_path, **{"Modality": "MR"} | tags).fat_suppressed == suppressed


def test_texts_hold_no_quotes_tabs_or_line_breaks(tmp_path):
    assert tags_of(tmp_path, ManufacturerModelName='A "b"\tc\'d\r\ne').model == "A b c d e"


def test_the_shared_series_is_ordered_and_read():
    if not SHARED.is_dir():
        pytest.skip(f"the real DICOM series is not there: {SHARED}")
    found = find_series(SHARED)
    heights = [pydicom.dcmread(path, stop_before_pixels=True).ImagePositionPatient[2] for path in found.paths]
    assert heights == [-804.5 + 2 * i for i in range(20)]
    assert ImageTags(**found.tags) == ImageTags("CT", 120, 3, "Br38f 3", "yes", manufacturer="SIEMENS", model="Biograph40_mCT 4R")
    assert found.tags["modality"] == "CT"


def test_mrml_reads_the_shared_series_as_simpleitk_does():
    if not SHARED.is_dir():
        pytest.skip(f"the real DICOM series is not there: {SHARED}")
    slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
    sitk = pytest.importorskip("SimpleITK")
    from vtk.util.numpy_support import vtk_to_numpy

    paths = [str(path) for path in find_series(SHARED).paths]
    scene = slicer.vtkMRMLScene()
    node, storage = (scene.AddNewNodeByClass(f"vtkMRML{name}Node") for name in ("ScalarVolume", "VolumeArchetypeStorage"))
    storage.SetFileName(paths[0])
    for path in paths:
        storage.AddFileName(path)
    assert storage.ReadData(node)
    image = node.GetImageData()
    array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(paths)
    expected = reader.Execute()
    assert np.array_equal(array, sitk.GetArrayViewFromImage(expected))
    assert node.GetSpacing() == pytest.approx(expected.GetSpacing())
    assert (array.dtype, array.min()) == (np.int16, -1024)
