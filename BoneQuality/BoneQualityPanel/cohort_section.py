"""Many cases: a draft of the manifest, measuring, the list of cases, opening one in the case panel."""

from pathlib import Path

import ctk
import slicer
from slicer.i18n import tr as _

from BoneQualityLib.batch.manifest import read_manifest
from BoneQualityLib.batch.manifest_draft import draft_manifest
from BoneQualityLib.batch.run import Pages, run_batch
from BoneQualityLib.entry.names import INPUTS
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.scene.labels import path_and_labels
from BoneQualityLib.scene.reading import read_segmentation, read_stacks, read_volume, remove_nodes

from .case_list import CaseList
from .export_section import REPORT_PACKAGES
from .messages import installedOnClick, progress, said
from .translated import translated


class CohortSection:
    """The upper part of the cohort panel; ui: its widgets; measured: called with the path of cohort.csv."""

    def __init__(self, ui, measured):
        self.ui, self.measured, self._rows = ui, measured, []
        self._failed = {}  # why cases of a run that goes on failed, by id
        self.list = CaseList(ui.caseTable)
        for folder in (ui.imagesEdit, ui.batchFolderEdit):
            folder.filters = ctk.ctkPathLineEdit.Dirs
        for path in (ui.imagesEdit, ui.manifestEdit, ui.batchFolderEdit):
            path.connect("currentPathChanged(QString)", self.update)
        ui.draftButton.connect("clicked(bool)", self.onDraft)
        ui.batchButton.connect("clicked(bool)", self.onBatch)
        ui.caseTable.connect("cellDoubleClicked(int,int)", self.onOpen)
        self.update()

    @said
    def update(self, path=""):
        """Say on the buttons what is missing, and list the cases of the manifest with what is known of them."""
        ui = self.ui
        for button, needed in (
            (ui.draftButton, {_("Choose a folder"): ui.imagesEdit.currentPath}),
            (
                ui.batchButton,
                {
                    _("Choose a manifest"): ui.manifestEdit.currentPath,
                    _("Choose a folder for the results"): ui.batchFolderEdit.currentPath,
                },
            ),
        ):
            missing = [sentence for sentence, given in needed.items() if not given.strip()]
            button.toolTip = missing[0] if missing else ""
            button.enabled = not missing
        self._list()

    def _list(self):
        try:
            self._rows = list(read_manifest(self.ui.manifestEdit.currentPath).rows) if self.ui.manifestEdit.currentPath else []
        except (BoneQualityError, OSError):  # said when it is measured
            self._rows = []
        self._refresh()

    def _refresh(self):
        names = [row.inputs.facts.case_id for row in self._rows]
        self.list.fill(names, Path(self.ui.batchFolderEdit.currentPath), self._failed)

    @said
    def onDraft(self, checked=False):
        folder = Path(self.ui.imagesEdit.currentPath)
        manifest = folder / "manifest.csv"
        question = _("{name} is there already. Replace it?").format(name=manifest.name)
        if manifest.exists() and not slicer.util.confirmYesNoDisplay(question):
            return
        with progress(_("Drafting a manifest")) as report:
            report(0.1, str(folder.name))
            self.ui.logText.appendPlainText(draft_manifest(folder, manifest, overwrite=True))
            self.ui.manifestEdit.currentPath = str(manifest)

    @said
    def onBatch(self, checked=False):
        ui, batch = self.ui, None
        isThere = (Path(ui.batchFolderEdit.currentPath) / "cohort.csv").is_file()
        question = _("The folder holds the results of many cases already. Keep those that are done and unchanged, and measure the others?")
        if isThere and not ui.resumeBox.checked and not slicer.util.confirmYesNoDisplay(question):
            return
        withReports = installedOnClick(*REPORT_PACKAGES)
        with progress(_("Measuring many cases")) as report:

            def logged(share, text):
                if text:
                    ui.logText.appendPlainText(translated(text))
                self._refresh()
                report(share, text)

            def failed(name, failure):
                self._failed[name] = translated(failure.sentence)
                ui.logText.appendPlainText(f"{name}: {self._failed[name]}")

            batch = run_batch(
                ui.manifestEdit.currentPath,
                ui.batchFolderEdit.currentPath,
                workers=0,
                resume=ui.resumeBox.checked or isThere,
                progress=logged,
                pages=Pages(reports=withReports),
                failed=failed,
            )
        self._failed = {}
        self.update()
        if batch is not None:
            self.measured(str(Path(ui.batchFolderEdit.currentPath) / "cohort.csv"))
            failures = "\n".join(f"{name}: {translated(failure.sentence)}" for name, failure in batch.failures.items())
            text = _("{done} cases measured, {failed} failed.").format(done=len(batch.done), failed=len(batch.failures))
            ui.logText.appendPlainText(text)
            slicer.util.infoDisplay(text, detailedText=failures)

    @said
    def onOpen(self, row, column=0):
        """Read the images of a case of the manifest and show it in the case panel."""
        inputs = self._rows[row].inputs
        with progress(_("Opening {name}").format(name=inputs.facts.case_id)) as report:
            report(0.1, inputs.facts.case_id)
            nodes, schemes = readNodes(inputs)
            report(0.9, "")
            slicer.util.getModuleGui("BoneQuality").open(inputs.facts, nodes, schemes)
            if slicer.util.mainWindow() is not None:
                slicer.util.selectModule("BoneQuality")


def readNodes(inputs):
    """The images and masks of a case as lists of nodes, by name of the input, and the label schemes of its label maps.

    Raises BoneQualityError where a file cannot be read; no node stays then.
    """
    nodes, schemes = {}, {}
    try:
        for item in INPUTS:
            for given in inputs.given.get(item.name, ()):
                path, scheme = path_and_labels(given) if item.of else (given, "")
                nodes.setdefault(item.name, []).extend(readInput(item, path, inputs.series))
                schemes.setdefault(item.name, scheme or inputs.label_scheme or "")
        stacks = [name for name in ("fat", "water") if len(nodes.get(name, ())) > 1]
        if stacks:
            raise BoneQualityError(_("The panel takes one {input} image; measure this case as part of the batch.").format(input=stacks[0]))
    except BoneQualityError:
        remove_nodes([node for several in nodes.values() for node in several])
        raise
    for name, several in nodes.items():
        for node in several:
            node.CreateDefaultDisplayNodes()
            if name.endswith("_segmentation") and node.IsA("vtkMRMLSegmentationNode"):
                (volume, *_others) = nodes.get(name.removesuffix("_segmentation")) or [None]
                node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return nodes, schemes


def readInput(item, path, series):
    """The nodes of a file or folder that was given for an input."""
    if item.of:
        return read_segmentation(path)
    return read_stacks(path, *series) if item.several else [read_volume(path, *series)]
