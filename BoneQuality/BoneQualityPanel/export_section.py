"""The files of a case: into a folder, to the clipboard, into the web browser."""

from pathlib import Path

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from BoneQualityLib.files.writing import write_whole
from BoneQualityLib.outputs.document import muscle_rows, output_paths, write_case
from BoneQualityLib.outputs.pictures import contact_sheet, draw
from BoneQualityLib.outputs.report import html as report_page
from BoneQualityLib.outputs.summary import report_line
from BoneQualityLib.scene.seen import seen_of

from .cases import picked
from .dicom_export import writeDicom
from .messages import installedOnClick, progress, said

REPORT_PACKAGES = ("jinja2>=3.0",)


class ExportSection:
    """Export, report and copy of the case that the panel shows. The folder is remembered with the case."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        ui = self.ui
        ui.exportFolderEdit.filters = ctk.ctkPathLineEdit.Dirs
        ui.exportFolderEdit.connect("currentPathChanged(QString)", self.onFolder)
        ui.exportButton.connect("clicked(bool)", self.onExport)
        ui.exportNowButton.connect("clicked(bool)", self.onExportNow)
        ui.openFolderButton.connect("clicked(bool)", self.onOpenFolder)
        ui.copyButton.connect("clicked(bool)", self.onCopy)
        ui.reportButton.connect("clicked(bool)", self.onReport)
        ui.dicomButton.connect("clicked(bool)", self.onDicom)
        self._written = []

    def update(self):
        """Follow the case and its folder."""
        ui, case, folder = self.ui, self.panel.case, self.panel.parameters.exportFolder
        if ui.exportFolderEdit.currentPath != folder:
            ui.exportFolderEdit.currentPath = folder
        muscles = bool(case.is_measured and muscle_rows(case.document))
        names = [path.name for path in output_paths(folder, case.case_id, muscles, ui.reportBox.checked)]
        ui.exportSection.enabled = case.is_measured
        written = [path for path in self._written if path.parent == Path(folder) and path.name in names]
        text = _("Written: {names}") if written and case.is_measured else _("Files: {names}")
        ui.exportFilesLabel.text = text.format(names=", ".join(names)) if case.is_measured else ""
        ui.exportFilesLabel.toolTip = ui.exportFilesLabel.text
        ui.exportButton.enabled = bool(folder) and case.is_measured
        ui.exportButton.toolTip = "" if folder else _("Choose a folder")
        ui.openFolderButton.enabled = bool(folder)

    @said
    def onFolder(self, path=""):
        if self.panel.parameters is not None and self.panel.parameters.exportFolder != path:
            self.panel.parameters.exportFolder = path

    @said
    def onExportNow(self, checked=False):
        """Export into the remembered folder; where there is none, a person is asked for one."""
        if not self.panel.parameters.exportFolder:
            folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder for the files of the case"))
            if not folder:
                return
            self.panel.parameters.exportFolder = folder
        self.export()

    @said
    def onExport(self, checked=False):
        self.export()

    def export(self):
        """Write the case's files, and where wanted its report and pictures; files that are there are replaced only if a person says so."""
        withReport = self.ui.reportBox.checked and installedOnClick(*REPORT_PACKAGES)
        document, folder = self.panel.case.document, Path(self.panel.parameters.exportFolder)
        paths = output_paths(folder, document["case_id"], bool(muscle_rows(document)), withReport)
        picture = folder / f"{document['case_id']}.png"
        there = [path.name for path in [*paths, *([picture] if withReport else [])] if path.exists()]
        question = _("These files are there already: {names}. Replace them?")
        if there and not slicer.util.confirmYesNoDisplay(question.format(names=", ".join(there))):
            return
        with progress(_("Exporting")) as report:
            page, others = "", {}
            if withReport:
                report(0.2, _("drawing"))
                pictures = draw(document, self._seen())
                page, others = report_page(document, pictures), {picture: contact_sheet(document, pictures)}
            report(0.8, _("writing"))
            self._written = write_case(document, folder, bool(there), page, others)
        self.panel.update()

    @said
    def onReport(self, checked=False):
        """Write the case's report into a temporary folder of this session and open it in the web browser."""
        if not installedOnClick(*REPORT_PACKAGES):
            return
        document = self.panel.case.document
        with progress(_("Report")) as report:
            report(0.2, _("drawing"))
            page = report_page(document, draw(document, self._seen()))
            path = Path(slicer.util.tempDirectory("BoneQuality")) / f"{document['case_id']}.html"
            write_whole({path: page}, True)
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(path)))

    def _inputs(self):
        """The nodes that the case is measured on, by the names of `measure_case`."""
        return {name: node for each in picked(self.panel.parameters) for name, node in each.inputs().items()}

    def _seen(self):
        return seen_of(self.panel.case, self._inputs())

    @said
    def onDicom(self, checked=False):
        """Write the case's DICOM files; they name the patient, so only here, and into a folder that is asked for each time."""
        with progress(_("DICOM")) as report:
            writeDicom(self.panel.case.document, self._inputs(), self._seen, report)

    @said
    def onOpenFolder(self, checked=False):
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(self.panel.parameters.exportFolder))

    @said
    def onCopy(self, checked=False):
        slicer.app.clipboard().setText(report_line(self.panel.case.document))
