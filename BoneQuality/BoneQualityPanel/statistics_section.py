"""Statistics of a cohort: tables and curves in the scene, cohort.html in a folder."""

from pathlib import Path

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from .messages import installedOnClick, progress, said

#: What the statistics need beside Slicer, with the lowest versions that are tested.
PACKAGES = ("pandas>=2.0", "statsmodels>=0.14", "lifelines>=0.27", "matplotlib>=3.6", "jinja2>=3.0")


class StatisticsSection:
    """The lower part of the cohort panel; ui: its widgets; logic: the module's."""

    def __init__(self, ui, logic):
        self.ui, self.logic = ui, logic
        ui.statisticsFolderEdit.filters = ctk.ctkPathLineEdit.Dirs
        for path in (ui.cohortEdit, ui.statisticsFolderEdit):
            path.connect("currentPathChanged(QString)", self.update)
        ui.outcomeEdit.connect("textChanged(QString)", self.update)
        ui.analyzeButton.connect("clicked(bool)", self.onAnalyze)
        ui.openPageButton.connect("clicked(bool)", self.onOpenPage)
        self.update()

    @said
    def update(self, text=""):
        """Say on the buttons what is missing."""
        ui = self.ui
        given = {
            _("Choose a cohort"): ui.cohortEdit.currentPath,
            _("Give the column of the outcome"): ui.outcomeEdit.text,
        }
        missing = [sentence for sentence, there in given.items() if not there.strip()]
        ui.analyzeButton.toolTip = missing[0] if missing else ""
        ui.analyzeButton.enabled = not missing
        ui.openPageButton.enabled = self._page().is_file()

    def _page(self):
        return Path(self.ui.statisticsFolderEdit.currentPath) / "cohort.html"

    @said
    def onAnalyze(self, checked=False):
        ui, isThere = self.ui, self._page().is_file()
        question = _("The folder holds the statistics of a cohort already. Replace them?")
        if isThere and not slicer.util.confirmYesNoDisplay(question):
            return
        if not installedOnClick(*PACKAGES):
            return
        question = dict(by=ui.byEdit.text or None, adjust=ui.adjustEdit.text, time=ui.timeEdit.text or None)
        with progress(_("Statistics")) as report:
            nodes = self.logic.analyzeCohort(
                ui.cohortEdit.currentPath, ui.outcomeEdit.text, ui.statisticsFolderEdit.currentPath, report, isThere, **question
            )
            slicer.modules.plots.logic().ShowChartInLayout(nodes["chart"])
        self.update()
        if self._page().is_file():
            self.onOpenPage()

    @said
    def onOpenPage(self, checked=False):
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self._page())))
