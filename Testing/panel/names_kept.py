"""A patient's name in nodes, attributes, subject hierarchy, segments and paths is in nothing that the panel writes.

Looked at: the CSV files, JSON, HTML and picture of an export, the report for the browser, the text that is copied, and in a saved scene
the document, tables, chart, regions and curves of the case. Every file is also the same, byte by byte, as that of the case without names.
"""

import re
import tempfile
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import makers
import qt
import slicer

from BoneQualityLib.image.mask import Mask
from BoneQualityLib.scene.case_nodes import CASE_ATTRIBUTE
from BoneQualityLib.scene.reading import read_segmentation, read_volume, write_node

WORDS = ("mueller", "hans", "19500101", "geheim")
ui, folder = widget.ui, Path(tempfile.mkdtemp())
qt.QDesktopServices.openUrl = lambda url: opened.append(Path(url.toLocalFile()))
opened = []


class Database:
    """Slicer's DICOM database, which knows everything of the patient."""

    KNOWN = {"0010,0010": "MUELLER^HANS", "0010,0020": "GEHEIM", "0010,0030": "19500101", "0010,1010": "075Y", "0010,0040": "F"}

    def instanceValue(self, uid, tag):
        return self.KNOWN.get(tag, "")

    def fileForInstance(self, uid):
        return ""


def masks(role, name):
    """The bodies; with a name, it stands in the segments: in one that is measured, and in one whose structure is not clear."""
    found = makers.bodies(role, "{} body")
    other = found[0]
    return [*found, *([makers.sac()] if role == "t1" else []), Mask(f"{name} lesion".strip(), other.array, other.grid)]


def plant(name):
    """A case from files whose paths, nodes and segments hold the name; "" for none."""
    slicer.mrmlScene.Clear(False)
    home = folder / (name or "plain")
    home.mkdir()
    for role in ("ct", "t1"):
        write_node(makers.volume(role), home / f"{name}{role}.nrrd")
        write_node(makers.segmentation(role, masks(role, name)), home / f"{name}{role}.seg.nrrd")
    slicer.mrmlScene.Clear(False)
    slicer.dicomDatabase = Database()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), name or "patient")
    study = hierarchy.CreateStudyItem(patient, f"study of {name}")
    for attribute in ("DICOM.PatientName", "DICOM.PatientID", "DICOM.PatientBirthDate"):
        hierarchy.SetItemAttribute(patient, attribute, name)
    for role in ("ct", "t1"):
        volume = read_volume(str(home / f"{name}{role}.nrrd"))
        (segmentation,) = read_segmentation(str(home / f"{name}{role}.seg.nrrd"))
        segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        for node, what in ((volume, role), (segmentation, f"{role} masks")):
            node.SetName(f"{name} {what}")
            node.SetAttribute("DICOM.instanceUIDs", "1.2.3 4.5.6")
            node.SetAttribute("DICOM.PatientName", name)
            node.SetDescription(name)
            hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), study)
            node.CreateDefaultDisplayNodes()
    makers.process_events()


def written(name):
    """Everything that the panel writes of the case, by what it is called."""
    plant(name)
    ui.caseIdEdit.text = "case"
    assert ui.measureButton.enabled, ui.stateLabel.text
    ui.measureButton.click()
    makers.click_level(widget, "L3", "hu_upper")
    ui.backButton.click()
    makers.move(makers.curve(widget, "L3 upper"), [1, 0, 0])
    makers.process_events()
    ui.updateButton.click()
    out = folder / f"out {name}"
    out.mkdir()
    ui.exportFolderEdit.currentPath = str(out)
    ui.exportButton.click()
    files = {path.name: path.read_bytes() for path in out.iterdir()}
    ui.reportButton.click()
    files["report for the browser"] = opened[-1].read_bytes()
    assert not [word for word in WORDS if word in opened[-1].name.lower()]
    ui.copyButton.click()
    files["copied text"] = slicer.app.clipboard().text().encode()
    return files | results_of_saved_scene(folder / f"{name or 'plain'}.mrb")


def results_of_saved_scene(path):
    """The nodes of the case and their files in a saved scene; the inputs are a person's own."""
    slicer.util.saveScene(str(path))
    with zipfile.ZipFile(path) as archive:
        contents = {Path(entry).name: archive.read(entry) for entry in archive.namelist() if not entry.endswith("/")}
    (mrml,) = (content for entry, content in contents.items() if entry.endswith(".mrml"))
    found = {f"file {name}": content for name, content in contents.items() if name.startswith(("case", "regions"))}
    for element in ElementTree.fromstring(mrml).iter():
        attributes = element.get("attributes", "")
        if f"{CASE_ATTRIBUTE}:case" in attributes:
            found[f"node {element.get('name')}"] = ElementTree.tostring(element)
    return found


plain, named = written(""), written("MUELLER HANS 19500101")
assert plain.keys() == named.keys(), plain.keys() ^ named.keys()
print(f"{len(named)} outputs looked at: {', '.join(sorted(named))}")
assert {"case_levels.csv", "case_case.csv", "case.json", "case.html", "case.png", "copied text", "node case document"} <= named.keys()
assert any(name.endswith(".tsv") or name.endswith(".csv") for name in named if name.startswith("file"))
for what, content in named.items():
    found = [word for word in WORDS if word.encode() in content.lower()]
    assert not found, (what, found, re.findall(rb".{60}(?i:mueller|hans).{60}", content)[:2])
exported = [what for what in named if not what.startswith(("node", "file"))]
assert all(named[what] == plain[what] for what in exported), [what for what in exported if named[what] != plain[what]]
del slicer.dicomDatabase
