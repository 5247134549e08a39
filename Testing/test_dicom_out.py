"""DICOM results: regions and numbers as written are those of the case, refer to its series, and are there on request alone."""

from __future__ import annotations

import csv
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

import scene_cases
import test_muscle_files as axial
from BoneQualityLib import CaseFacts, measure_case
from BoneQualityLib.anatomy.vocabulary import vertebra_codes
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.files.dicom_series import find_series
from BoneQualityLib.files.writing import write_whole
from BoneQualityLib.outputs.dicom_files import dicom_contents
from BoneQualityLib.outputs.dicom_pictures import captures
from BoneQualityLib.outputs.dicom_regions import segmentation
from BoneQualityLib.outputs.dicom_source import read_source
from BoneQualityLib.scene.reading import read_volume
from dicom_makers import classic, slices
from spine_files import CT_GRID, T1_GRID, ct, measure, spine_files, t1

highdicom = pytest.importorskip("highdicom", reason="no highdicom here: DICOM results are NOT tested")
pydicom = pytest.importorskip("pydicom")
PATIENT = dict(
    PatientName="Doe^Jane", PatientID="77", PatientBirthDate="19500101", PatientSex="F", StudyDate="20240102", StudyTime="101112",
    AccessionNumber="5", StudyID="1", ReferringPhysicianName="", SeriesNumber=2, Manufacturer="Maker", PositionReferenceIndicator="",
)  # fmt: skip


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dicom")
    classic(folder / "ct", slices(ct(), CT_GRID, "CT", series="1.2.3.1", **PATIENT))
    classic(folder / "t1", slices(t1(), T1_GRID, "MR", series="1.2.3.2", **PATIENT))
    return folder


@pytest.fixture(scope="module")
def written(series):
    """The case, its CSV and DICOM files."""
    nodes = scene_cases.nodes()
    nodes.update(ct=read_volume(str(series / "ct")), t1=read_volume(str(series / "t1")))
    case = measure_case(CaseFacts("case"), **nodes)
    case.write_files(series / "tables", report=False)
    sources = {role: read_source(role, find_series(series / role).paths) for role in ("ct", "t1")}
    write_whole(dicom_contents(case.document(), case.seen, sources, vertebra_codes(), series / "out"), overwrite=False)
    return case, sources


@pytest.fixture(scope="module")
def pictured(series, written):
    """The case's secondary captures by the name of the picture, as files."""
    case, sources = written
    contents = dicom_contents(case.document(), case.seen, sources, vertebra_codes(), series / "pictures", case.pictures)
    write_whole(contents, overwrite=False)
    return {path.stem.removeprefix("case_picture_"): path for path in contents if "_picture_" in path.name}


@pytest.fixture(scope="module")
def muscles(series):
    """A case of the muscles alone; its CSV and DICOM files are in the folder ``axial``."""
    folder = series / "axial"
    classic(folder / "mr", slices(axial.array("t2"), axial.GRID, "MR", series="1.2.3.3", **PATIENT))
    case = measure_case(CaseFacts("case"), **axial.nodes())
    case.write_files(folder, report=False)
    source = read_source("axial MRI", find_series(folder / "mr").paths)
    contents = dicom_contents(case.document(), case.seen, {"axial": source}, vertebra_codes(), folder, case.pictures)
    write_whole(contents, overwrite=False)
    return case, folder


def test_the_regions_come_back_voxel_for_voxel(series, written):
    case, _ = written
    dataset = pydicom.dcmread(series / "out" / "case_ct_regions.dcm")
    segmentation = highdicom.seg.Segmentation.from_dataset(dataset)
    source = [pydicom.dcmread(path) for path in find_series(series / "ct").paths]
    read = segmentation.get_pixels_by_source_instance(
        [d.SOPInstanceUID for d in source], combine_segments=True, ignore_spatial_locations=True, assert_missing_frames_are_empty=True
    )
    expected = np.zeros(CT_GRID.shape, int)
    for number, region in enumerate(case.seen.regions, 1):
        expected[region.slices][region.weights >= 0.5] = number
    order = np.argsort([float(d.ImagePositionPatient[2]) for d in source])
    assert expected.any() and np.array_equal(read[order], expected)
    assert {item.ReferencedSOPInstanceUID for s in dataset.ReferencedSeriesSequence for item in s.ReferencedInstanceSequence} == {
        d.SOPInstanceUID for d in source
    }
    assert (dataset.PatientID, dataset.StudyInstanceUID, dataset.FrameOfReferenceUID) == ("77", "1.2", "1.2.9")


def test_a_voxel_belongs_to_a_region_that_holds_half_of_it(written):
    case, sources = written
    region = case.seen.regions[0]
    shares = np.resize([0.4, 0.5, 0.6], region.weights.shape)
    made = segmentation("case", [replace(region, weights=shares)], CT_GRID, sources["ct"], vertebra_codes())
    assert made.pixel_array.sum() == np.count_nonzero(shares >= 0.5)


def _numbers(path) -> dict[tuple[str, str], float]:
    """Every number of a report by tracking identifier, name and derivation."""
    found = {}
    (measurements,) = (
        item for item in pydicom.dcmread(path).ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010"
    )
    for group in measurements.ContentSequence:
        (name,) = (item.TextValue for item in group.ContentSequence if item.ConceptNameCodeSequence[0].get("CodeValue") == "112039")
        for item in group.ContentSequence:
            if item.ValueType == "NUM":
                how = [
                    child.ConceptCodeSequence[0].CodeMeaning for child in item.get("ContentSequence", []) if child.ValueType == "CODE"
                ]
                value = item.MeasuredValueSequence[0]
                found[name, " ".join([item.ConceptNameCodeSequence[0].CodeMeaning, *how])] = (
                    float(value.NumericValue),
                    value.MeasurementUnitsCodeSequence[0].CodeValue,
                )
    return found


def test_the_numbers_come_back_as_those_of_the_csv(series, written):
    with open(series / "tables" / "case_levels.csv", newline="") as file:
        levels = {row["level"]: row for row in csv.DictReader(file)}
    with open(series / "tables" / "case_case.csv", newline="") as file:
        (case,) = csv.DictReader(file)
    scan, marrow = (_numbers(series / "out" / f"case_{role}_measurements.dcm") for role in ("ct", "t1"))
    hu, signal = "Attenuation Coefficient", "T1 Weighted MR Signal Intensity"
    expected = {("case", "VBQ"): (float(case["vbq"]), "1"), ("CSF L3", f"{signal} Mean"): (float(case["csf_signal"]), "1")}
    for name, row in levels.items():
        expected[f"{name} marrow", f"{signal} Mean"] = (float(row["t1_signal"]), "1")
        expected[f"{name} marrow", "Single-level VBQ"] = (float(row["vbq_single_level"]), "1")
        expected[f"{name} marrow", "Area"] = (float(row["t1_area_mm2"]), "mm2")
    assert {key: unit for key, (_, unit) in marrow.items()} == {key: unit for key, (_, unit) in expected.items()}
    assert all(marrow[key][0] == pytest.approx(value, abs=1e-6) for key, (value, _) in expected.items())
    for name, row in levels.items():
        for key, column in (
            ((f"{name} cancellous", f"{hu} Mean"), "hu_3d"), ((f"{name} cancellous", f"{hu} Standard Deviation"), "hu_3d_sd"),
            ((f"{name} cancellous", f"{hu} Median"), "hu_3d_median"), ((f"{name} cancellous", "Volume"), "hu_3d_volume_mm3"),
            ((f"{name} middle slice", f"{hu} Mean"), "hu_middle"), ((f"{name} middle slice", "Area"), "hu_middle_area_mm2"),
            ((f"{name} other values", "Anterior height"), "height_anterior_mm"),
        ):  # fmt: skip
            assert scan[key][0] == pytest.approx(float(row[column]), abs=1e-6), key
    assert scan["L1 cancellous", f"{hu} Mean"][1] == "[hnsf'U]"
    assert scan["case", "3D-HU"][0] == pytest.approx(float(case["hu_3d"]), abs=1e-6)


def test_the_numbers_of_the_muscles_come_back_as_those_of_the_csv(muscles):
    _, folder = muscles
    found = _numbers(folder / "case_axial_measurements.dcm")
    with open(folder / "case_muscles.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    with open(folder / "case_case.csv", newline="") as file:
        (case,) = csv.DictReader(file)
    expected = {}
    for row in rows:
        if row["muscle"] == "all":
            expected[f"{row['disc']} muscles", "rCSA"] = (row["rcsa"], "1")
            expected[f"{row['disc']} muscles", "Fat infiltration"] = (row["fat_infiltration_percent"], "%")
        else:
            expected[f"{row['disc']} {row['side']} {row['muscle']}", "Area"] = (row["area_mm2"], "mm2")
            expected[f"{row['disc']} {row['side']} {row['muscle']}", "Fat infiltration"] = (row["fat_infiltration_percent"], "%")
    expected["case", "rCSA"] = (case["rcsa"], "1")
    expected["case", "Fat infiltration"] = (case["fat_infiltration_percent"], "%")
    assert len(expected) == 2 * (2 * 6 + 2) + 2
    assert {key: unit for key, (_, unit) in found.items()} == {key: unit for key, (_, unit) in expected.items()}
    for key, (value, _) in expected.items():
        assert found[key][0] == pytest.approx(float(value), abs=1e-6), key


def test_the_pictures_come_back_pixel_for_pixel_in_the_study_of_their_image(written, pictured, muscles):
    case, sources = written
    assert list(pictured) == [picture.name for picture in case.pictures] and len(pictured) > 8
    series = {}
    for picture in case.pictures:
        dataset, role = pydicom.dcmread(pictured[picture.name]), "t1" if picture.kind == "vbq" else "ct"
        assert np.array_equal(dataset.pixel_array, np.asarray(picture.pixels)) and dataset.ImageComments == picture.caption
        assert (dataset.PhotometricInterpretation, dataset.BurnedInAnnotation, dataset.PatientID) == ("RGB", "NO", "77")
        assert (dataset.StudyInstanceUID, dataset.DateOfSecondaryCapture) == ("1.2", "20240102")
        (referred,) = dataset.ReferencedSeriesSequence
        assert referred.SeriesInstanceUID == sources[role].headers[0].SeriesInstanceUID
        assert [each.ReferencedSOPInstanceUID for each in referred.ReferencedInstanceSequence] == [
            header.SOPInstanceUID for header in sources[role].headers
        ]
        series.setdefault(dataset.SeriesInstanceUID, []).append((dataset.InstanceNumber, role))
    assert sorted(series.values()) == sorted(
        [(number, role) for number in range(1, count + 1)]
        for role, count in (("ct", sum(p.kind != "vbq" for p in case.pictures)), ("t1", sum(p.kind == "vbq" for p in case.pictures)))
    )
    case, folder = muscles
    for picture in case.pictures:
        dataset = pydicom.dcmread(folder / f"case_picture_{picture.name}.dcm")
        assert np.array_equal(dataset.pixel_array, np.asarray(picture.pixels))
        assert dataset.ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.3.3"


@pytest.mark.parametrize(
    "case_id, says", [("case", "NO"), ("77", "YES"), ("doe-j", "YES"), ("trial_77", "YES"), ("177", "NO"), ("does", "NO"), ("5", "YES")]
)
def test_a_case_id_that_names_the_patient_is_declared_as_burned_in(written, case_id, says):
    case, sources = written
    made = captures(case_id, case.pictures[:1], "ct", sources["ct"])
    assert [dataset.BurnedInAnnotation for dataset in made.values()] == [says]


def test_vbq_is_inferred_from_marrow_and_csf(series, written):
    report = pydicom.dcmread(series / "out" / "case_t1_measurements.dcm")
    every = list(report.iterall())
    below = [e.value for e in every if e.keyword == "RelationshipType"]
    assert below.count("INFERRED FROM") == 2
    names = [e.value for e in every if e.keyword == "ReferencedSOPInstanceUID"]
    assert set(names) <= {h.SOPInstanceUID for h in written[1]["t1"].headers} and names


def test_an_ellipse_lies_where_it_was_read(series, written):
    case, _ = written
    report = highdicom.sr.srread(series / "out" / "case_ct_measurements.dcm")
    groups = report.content.get_planar_roi_measurement_groups()
    roi = next(roi for level in case.document()["levels"] for roi in level["rois"] if roi["kind"] == "upper")
    points = groups[0].roi.value * [-1, -1, 1]
    assert groups[0].tracking_identifier == "L1 upper slice" and points.mean(axis=0) == pytest.approx(roi["center"], abs=1e-3)
    lengths = [np.linalg.norm(points[n] - points[n + 1]) / 2 for n in (0, 2)]
    assert lengths == pytest.approx(sorted(roi["semi_axes_mm"], reverse=True), abs=1e-3)


def test_the_same_case_gives_the_same_bytes(series, written, pictured):
    case, sources = written
    again = dicom_contents(case.document(), case.seen, sources, vertebra_codes(), series / "pictures", case.pictures)
    assert len(again) == 3 + len(pictured) and all(path.read_bytes() == content for path, content in again.items())


@pytest.mark.parametrize("name", ["case_ct_regions", "case_ct_measurements", "case_t1_measurements"])
def test_the_standards_checker_finds_no_error_and_the_text_opens(series, written, name):
    for tool in ("dciodvfy", "dsrdump"):
        if not shutil.which(tool):
            pytest.skip(f"no {tool} here: the files are NOT checked by it")
    path = series / "out" / f"{name}.dcm"
    said = subprocess.run(["dciodvfy", path], capture_output=True, text=True)
    assert not [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]
    if "measurements" in name:
        text = subprocess.run(["dsrdump", path], capture_output=True, text=True)
        assert text.returncode == 0 and "Tracking Identifier" in text.stdout and "L1" in text.stdout


@pytest.mark.parametrize("name", ["ct_overview", "ct_L1_upper", "t1_1"])
def test_the_standards_checker_finds_no_error_in_a_picture(pictured, name):
    if not shutil.which("dciodvfy"):
        pytest.skip("no dciodvfy here: the secondary captures are NOT checked by it")
    said = subprocess.run(["dciodvfy", pictured[name]], capture_output=True, text=True)
    assert "SCImage" in said.stderr + said.stdout
    assert not [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]


@pytest.mark.parametrize(
    "character_set, name",
    [
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 100", "Müller^Änne"),
        ("ISO_IR 192", "Müller^Änne"),
    ],
)
def test_names_of_patients_come_through_in_every_writing(written, tmp_path, character_set, name):
    case, _ = written
    tags = {**PATIENT, "SpecificCharacterSet": character_set, "PatientName": name}
    folder = classic(tmp_path / "t1", slices(t1(), T1_GRID, "MR", series="1.2.3.2", **tags))
    source = read_source("T1 MRI", find_series(folder).paths)
    pictures = [picture for picture in case.pictures if picture.kind == "vbq"]
    contents = dicom_contents(case.document(), case.seen, {"t1": source}, vertebra_codes(), tmp_path, pictures)
    write_whole(contents, overwrite=False)
    assert len(contents) >= 2 and {str(pydicom.dcmread(path).PatientName) for path in contents} == {name}


def test_images_moved_from_where_the_series_says_are_refused(written, tmp_path):
    case, sources = written
    for header in (moved := [header.copy() for header in sources["ct"].headers]):
        header.ImagePositionPatient = [float(header.ImagePositionPatient[0]) + 0.7, *header.ImagePositionPatient[1:]]
    other = dict(ct=type(sources["ct"])("CT", tuple(moved)))
    with pytest.raises(BoneQualityError, match="CT does not lie where its DICOM series says"):
        dicom_contents(case.document(), case.seen, other, vertebra_codes(), tmp_path)


def test_the_command_writes_dicom_on_request_alone_and_refuses_what_nothing_can_refer_to(series, tmp_path, capfd):
    spine = spine_files(tmp_path / "spine")
    masks = spine.of_ct[2:]
    plain = measure(capfd, tmp_path / "a", "--ct", series / "ct", *masks)
    assert plain.status == 0 and not list(tmp_path.rglob("*.dcm"))
    asked = measure(capfd, tmp_path / "b", "--ct", series / "ct", *masks, "--dicom", tmp_path / "pacs")
    assert asked.status == 0 and {p.name for p in (tmp_path / "pacs").iterdir()} == {"case_ct_regions.dcm", "case_ct_measurements.dcm"}
    assert not any(b"Doe" in content for content in asked.files.values())
    assert "is there already" in measure(capfd, tmp_path / "e", "--ct", series / "ct", *masks, "--dicom", tmp_path / "pacs").err
    nifti = measure(capfd, tmp_path / "c", *spine.of_ct, "--dicom", tmp_path / "pacs")
    assert nifti.status == 2 and "ct.nii.gz is no DICOM series" in nifti.err and nifti.files == {}
    for name in ("FrameOfReferenceUID", "StudyInstanceUID"):
        for path in shutil.copytree(series / "ct", tmp_path / name).iterdir():
            dataset = pydicom.dcmread(path)
            delattr(dataset, name)
            dataset.save_as(path)
        run = measure(capfd, tmp_path / "d", "--ct", tmp_path / name, *masks, "--dicom", tmp_path / "other")
        assert run.status == 2 and f"has no {name}" in run.err and not (tmp_path / "other").exists()


def test_the_command_writes_pictures_on_request_alone_and_with_the_other_files_or_not_at_all(series, tmp_path, capfd):
    masks = ["--ct", series / "ct", *spine_files(tmp_path / "spine").of_ct[2:], "--no-report"]
    pacs = tmp_path / "pacs"
    lone = measure(capfd, tmp_path / "a", *masks, "--dicom-pictures", report=True)
    assert "give --dicom DIR too" in lone.refusal()
    asked = measure(capfd, tmp_path / "b", *masks, "--dicom", pacs, "--dicom-pictures", report=True)
    assert asked.status == 0 and str(pacs / "case_picture_ct_L1_middle.dcm") in asked.out
    names = {path.name for path in pacs.iterdir()}
    assert len(names) == 2 + 1 + 9 and {"case_picture_ct_overview.dcm", "case_ct_regions.dcm"} < names
    for path in pacs.glob("case_ct_*"):
        path.unlink()
    refused = measure(capfd, tmp_path / "c", *masks, "--dicom", pacs, "--dicom-pictures").refusal()
    assert "case_picture_" in refused and "is there already" in refused and not list(pacs.glob("case_ct_*"))
