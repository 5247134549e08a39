"""DICOM files on the panel's button: what they hold is the case's, they say whose they are, and nothing is written unasked."""

import csv
import importlib
import sys
import tempfile
from pathlib import Path

import highdicom
import makers
import numpy as np
import pydicom
import qt

from BoneQualityLib import CaseFacts
from BoneQualityLib.scene.reading import read_volume

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
dicom_makers = importlib.import_module("dicom_makers")
ui = widget.ui
folder = Path(tempfile.mkdtemp())
PATIENT = dict(
    PatientName="Doe^Jane", PatientID="77", PatientBirthDate="19500101", PatientSex="F", StudyDate="20240102", StudyTime="101112",
    AccessionNumber="5", StudyID="1", ReferringPhysicianName="", SeriesNumber=2, Manufacturer="Maker", PositionReferenceIndicator="",
)  # fmt: skip


class Database:
    """As much of Slicer's DICOM database as is asked here."""

    def __init__(self, path):
        self.files = {str(pydicom.dcmread(each).SOPInstanceUID): str(each) for each in sorted(path.rglob("*.dcm"))}

    def fileForInstance(self, uid):
        return self.files.get(uid, "")

    def instanceValue(self, uid, tag):
        return str(pydicom.dcmread(self.files[uid]).get(tuple(int(part, 16) for part in tag.split(",")), pydicom.DataElement(0x00100010, "PN", "")).value)


def loaded(role, modality, series):
    """A volume as Slicer's DICOM module loads it, with its masks."""
    datasets = dicom_makers.slices(makers.array(role), makers.grid(role), modality, series=series, **PATIENT)
    dicom_makers.classic(folder / "source" / role, datasets)
    node = read_volume(str(folder / "source" / role))
    node.SetAttribute("DICOM.instanceUIDs", " ".join(str(each.SOPInstanceUID) for each in datasets))
    makers.segmentation(role, drawn_on=node)
    return node, datasets


ct, ct_slices = loaded("ct", "CT", "1.2.3.1")
makers.process_events()
ui.caseIdEdit.text = "pacs"
assert not ui.dicomButton.enabled
ui.measureButton.click()
assert ui.dicomButton.enabled

# images that are not from the database are refused by name, and nothing is asked
ui.dicomButton.click()
assert "was not loaded from Slicer's DICOM database" in messages.texts("error")[-1] and ct.GetName() in messages.texts("error")[-1]
slicer.dicomDatabase = Database(folder / "source")
removed = slicer.dicomDatabase.files.pop(str(ct_slices[3].SOPInstanceUID))
ui.dicomButton.click()
assert "no longer in Slicer's DICOM database" in messages.texts("error")[-1]
slicer.dicomDatabase.files[str(ct_slices[3].SOPInstanceUID)] = removed

# a person who declines gets nothing; whoever goes on is told that the files name the patient
out = folder / "out"
out.mkdir()
asked = []
qt.QFileDialog.getExistingDirectory = lambda *arguments: asked.append(arguments) or str(out)
messages.answer(False)
ui.dicomButton.click()
assert not asked and not list(out.iterdir()) and "name the patient" in messages.texts()[-1], messages
ui.dicomButton.click()
assert len(asked) == 1 and sorted(path.name for path in out.iterdir()) == ["pacs_ct_measurements.dcm", "pacs_ct_regions.dcm"]

# the regions are those of the scene, voxel for voxel, in the patient's study
dataset = pydicom.dcmread(out / "pacs_ct_regions.dcm")
assert (str(dataset.PatientName), dataset.StudyInstanceUID, dataset.FrameOfReferenceUID) == ("Doe^Jane", "1.2", "1.2.9")
pixels = highdicom.seg.Segmentation.from_dataset(dataset).get_pixels_by_source_instance(
    [each.SOPInstanceUID for each in ct_slices], combine_segments=True, ignore_spatial_locations=True, assert_missing_frames_are_empty=True
)
result = widget.logic.measureCase(CaseFacts("pacs"), ct=ct, ct_segmentation=slicer.util.getNode("ct masks"))
expected = np.zeros(makers.grid("ct").shape, int)
for number, region in enumerate(result.seen.regions, 1):
    expected[region.slices][region.weights >= 0.5] = number
assert expected.any() and np.array_equal(pixels, expected)

# the numbers are those of the CSV files
ui.exportFolderEdit.currentPath = str(folder / "tables")
(folder / "tables").mkdir()
ui.reportBox.checked = False
ui.exportButton.click()
rows = {row["level"]: row for row in csv.DictReader((folder / "tables" / "pacs_levels.csv").open())}


def numbers(content):
    for item in content:
        if item.ValueType == "NUM":
            yield str(item.MeasuredValueSequence[0].NumericValue)
        yield from numbers(item.get("ContentSequence", []))


written = {float(text) for text in numbers(pydicom.dcmread(out / "pacs_ct_measurements.dcm").ContentSequence)}
for level in ("L2", "L3"):
    for name in ("hu_3d", "hu_upper", "hu_middle", "hu_lower"):
        assert any(abs(float(rows[level][name]) - number) < 1e-6 for number in written), (level, name, rows[level][name])
assert not any("Doe" in path.read_text() or "77" == path.read_text() for path in (folder / "tables").iterdir())

# files that are there are replaced only if a person says so; the same case gives the same bytes
before = {path.name: path.read_bytes() for path in out.iterdir()}
(out / "pacs_ct_regions.dcm").write_bytes(b"mine")
messages.answer(True)
messages.answer(False)
ui.dicomButton.click()
assert "pacs_ct_regions.dcm" in messages.texts()[-1] and (out / "pacs_ct_regions.dcm").read_bytes() == b"mine"
ui.dicomButton.click()
assert {path.name: path.read_bytes() for path in out.iterdir()} == before

# a series without UIDs is refused by name
for path in (folder / "source" / "ct").iterdir():
    dataset = pydicom.dcmread(path)
    del dataset.FrameOfReferenceUID
    dataset.save_as(path)
ui.dicomButton.click()
assert "FrameOfReferenceUID" in messages.texts("error")[-1] and ct.GetName() in messages.texts("error")[-1]
del slicer.dicomDatabase
