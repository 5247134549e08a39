"""DICOM files of a case on a person's click: regions (SEG) and numbers (SR), referring to the series that was loaded."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from BoneQualityLib.anatomy.vocabulary import vertebra_codes
from BoneQualityLib.entry.dicom_out import ROLES
from BoneQualityLib.files.writing import write_whole
from BoneQualityLib.outputs.dicom_files import dicom_contents
from BoneQualityLib.outputs.dicom_source import read_source
from BoneQualityLib.scene.dicom_facts import source_files
from BoneQualityLib.scene.seen import nodes_in

from .messages import installedOnClick

DICOM_PACKAGES = ("highdicom",)


def writeDicom(document, inputs, seen, report):
    """Ask for a folder and write into it; nothing where a person declines.

    inputs: the case's nodes by the names of `measure_case`. seen: called for what the files are made from. report: progress.
    Raises BoneQualityError, by its name, for an image that did not come from Slicer's DICOM database or whose series lacks UIDs.
    """
    report(0.1, _("reading the source series"))
    sources = _sources(document, inputs)
    warning = _("These files name the patient, as a PACS needs. They are not anonymous, unlike the other files of the case. Go on?")
    if not slicer.util.confirmOkCancelDisplay(warning) or not installedOnClick(*DICOM_PACKAGES):
        return
    folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder for the DICOM files"))
    if not folder:
        return
    report(0.4, _("making the DICOM files"))
    contents = dicom_contents(document, seen(), sources, vertebra_codes(), Path(folder))
    there = [path.name for path in contents if path.exists()]
    question = _("These files are there already: {names}. Replace them?")
    if there and not slicer.util.confirmYesNoDisplay(question.format(names=", ".join(there))):
        return
    report(0.9, _("writing"))
    write_whole(contents, bool(there))
    slicer.util.showStatusMessage(_("Written: {names}").format(names=", ".join(path.name for path in contents)), 5000)


def _sources(document, inputs):
    """The series of every image that was measured, by role."""
    found = {}
    for role, _title, names in ROLES:
        measured = any(name.startswith(names) for name in document["inputs"])
        nodes = next((nodes for name in names if (nodes := nodes_in(inputs.get(name)))), [])
        if measured and nodes:
            title = ", ".join(node.GetName() for node in nodes)
            found[role] = read_source(title, [path for node in nodes for path in source_files(node)])
    return found
