import sys
import tempfile
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

# Slicer loads this file when it starts: the library and the panel's parts are imported where they are used.


class BoneQualityCohort(ScriptedLoadableModule):
    """Bone quality of many cases, and the statistics of a cohort."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Bone Quality Cohort")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        parent.dependencies = ["BoneQuality"]
        parent.contributors = ["BoneQuality developers"]
        parent.helpText = _(
            "Measures the cases of a manifest with the methods of the module Bone Quality, and analyzes the cohort as the papers do. "
            "Research use; not a medical device."
        )
        parent.acknowledgementText = _("The statistics are those of Chang 2025, Xue 2025, Kadri 2025 and Zhan 2024.")


class BoneQualityCohortWidget(ScriptedLoadableModuleWidget):
    """The panel: it wires its two sections."""

    def setup(self):
        from BoneQualityPanel.cohort_section import CohortSection
        from BoneQualityPanel.messages import said
        from BoneQualityPanel.statistics_section import StatisticsSection

        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/BoneQualityCohort.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = BoneQualityCohortLogic()
        self.statistics = StatisticsSection(self.ui, self.logic)
        self.cohort = CohortSection(self.ui, measured=self.onMeasured)
        self.ui.caseButton.connect("clicked(bool)", said(self.onCase))

    def onMeasured(self, path):
        """The batch's table is what the statistics begin with."""
        self.ui.cohortEdit.currentPath = path

    def onCase(self, checked=False):
        slicer.util.selectModule("BoneQuality")

    def onReload(self):
        """Developer mode: the library and the panel's parts are read again with the module."""
        for name in [name for name in sys.modules if name.split(".")[0] in ("BoneQualityLib", "BoneQualityPanel")]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class BoneQualityCohortLogic(ScriptedLoadableModuleLogic):
    """Statistics from Slicer's Python console.

    Example::

        from BoneQualityCohort import BoneQualityCohortLogic
        BoneQualityCohortLogic().analyzeCohort("results/cohort.csv", "fracture=yes", "statistics", adjust="age,sex")
    """

    def analyzeCohort(self, source, outcome, folder="", progress=lambda share, text: None, overwrite=False, **question):
        """Statistics of a cohort's CSV file as table and plot nodes; with a folder also as files, cohort.html first.

        overwrite: replace the files of an earlier analysis in the folder. outcome and question: those of BoneQualityLib.statistics.analysis.analyze. Returns the nodes by name.
        """
        from BoneQualityLib.scene.cohort_nodes import show_cohort
        from BoneQualityLib.statistics.analysis import analyze
        from BoneQualityPanel.translated import translated

        result = analyze(source, outcome, progress=progress, **question)
        if folder:
            result.write_files(folder, overwrite)
        return show_cohort(result, translated)


class BoneQualityCohortTest(ScriptedLoadableModuleTest):
    """Measures a manifest of two synthetic cases, one of them damaged, through the panel."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.panel = slicer.modules.bonequalitycohort.widgetRepresentation().self()

    def runTest(self):
        self.setUp()
        self.test_measures_a_manifest()

    def test_measures_a_manifest(self):
        from BoneQualityLib.image.mask import Mask
        from BoneQualityLib.phantoms import phantom_spine
        from BoneQualityLib.scene import nodes
        from BoneQualityLib.scene.reading import write_node

        spine = phantom_spine.lumbar_spine(("L2", "L3"), cancellous_hu={"L2": 120, "L3": 80})
        grid = phantom_spine.grid_for(spine, (1.5, 1.5, 1.5))
        masks = [Mask(f"{v.level} body", phantom_spine.body_mask(v, grid), grid) for v in spine.vertebrae]
        ui = self.panel.ui
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_node(nodes.volume_node("CT", phantom_spine.render_ct(spine, grid), grid), folder / "ct.nrrd")
            write_node(nodes.segmentation_node("masks", masks), folder / "ct.seg.nrrd")
            (folder / "damaged.nrrd").write_bytes((folder / "ct.nrrd").read_bytes()[:5000])
            rows = "one,ct.nrrd,ct.seg.nrrd\ntwo,damaged.nrrd,ct.seg.nrrd\n"
            (folder / "manifest.csv").write_text("case_id,ct,ct_segmentation\n" + rows)
            ui.manifestEdit.currentPath = str(folder / "manifest.csv")
            ui.batchFolderEdit.currentPath = str(folder / "results")
            ui.batchButton.click()
            self.assertEqual(ui.caseTable.rowCount, 2)
            status = [ui.caseTable.item(row, 1).text() for row in range(2)]
            self.assertEqual((status[0] != status[1], ui.caseTable.item(0, 2).text()[:2]), (True, "10"), status)
            for edit in (ui.manifestEdit, ui.batchFolderEdit, ui.cohortEdit):
                edit.currentPath = ""
        slicer.mrmlScene.Clear()
