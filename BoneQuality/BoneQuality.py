import sys
import tempfile

import qt
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

# Slicer loads this file when it starts: the library and the panel's parts are imported where they are used.


class BoneQuality(ScriptedLoadableModule):
    """Bone quality of the lumbar spine from CT and T1 MRI, and the paraspinal muscles."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Bone Quality")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        parent.dependencies = []
        parent.contributors = ["BoneQuality developers"]
        parent.helpText = _(
            "Measures 3D-HU and multi-slice HU of the lumbar vertebrae on CT, the vertebral bone quality score (VBQ) on T1 MRI, and the "
            "paraspinal muscles on axial images. "
            "Research use; not a medical device."
        )
        parent.acknowledgementText = _(
            "The methods are those of Chang 2025, Schreiber 2011, Pickhardt 2013, Ehresman 2019 and Zhan 2024."
        )


class BoneQualityWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: it wires the parts in BoneQualityPanel to the case that is shown.

    parameters: the case's inputs, None while the panel is away; case: the case as it was measured, see SceneCase.
    """

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = self.parameters = self.case = None
        self._guiTag, self._deleted, self._beforeImport, self._isUpdating = None, "", set(), False
        self._ofCase = VTKObservationMixin()  # it holds on to what it observes, so all of a case go at once

    # Life of the panel

    def setup(self):
        from BoneQualityPanel.cases import Cases
        from BoneQualityPanel.drawing_section import DrawingSection
        from BoneQualityPanel.edits_section import EditsSection
        from BoneQualityPanel.export_section import ExportSection
        from BoneQualityPanel.inputs_section import InputsSection
        from BoneQualityPanel.measuring import Measuring
        from BoneQualityPanel.place_section import PlaceSection
        from BoneQualityPanel.readings_section import ReadingsSection
        from BoneQualityPanel.results_section import ResultsSection

        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/BoneQuality.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        self.logic = BoneQualityLogic()
        self.cases = Cases(self.logic)
        self.measuring = Measuring(self.logic, self.cases)
        self.ui.caseSelector.addAttribute("vtkMRMLScriptedModuleNode", "ModuleName", self.logic.moduleName)
        self.ui.caseSelector.setNodeTypeLabel(_("case"), "vtkMRMLScriptedModuleNode")
        self.ui.caseSelector.baseName = _("case")
        panel.setMRMLScene(slicer.mrmlScene)
        self.inputs, self.edits, self.drawing = InputsSection(self), EditsSection(self), DrawingSection(self)
        self.results = ResultsSection(self, marked=lambda level: self.inputs.setState(level, "fractured"))
        self.place = PlaceSection(self, shown=self.edits.take)
        self.exports, self.readings = ExportSection(self), ReadingsSection(self)
        self._later = {}
        self._connect()
        self.initializeParameterNode()

    def _connect(self):
        scene, ui = slicer.mrmlScene, self.ui
        for event, slot in (
            (scene.StartCloseEvent, self.onSceneStartClose),
            (scene.EndCloseEvent, self.onSceneEndClose),
            (scene.StartImportEvent, self.onSceneStartImport),
            (scene.EndImportEvent, self.onSceneEndImport),
            (scene.EndUndoEvent, self.update),
            (scene.NodeAddedEvent, self.onNodeAdded),
            (scene.NodeAboutToBeRemovedEvent, self.onNodeAboutToBeRemoved),
            (scene.NodeRemovedEvent, self.onNodeRemoved),
        ):
            self.addObserver(scene, event, guarded(slot))
        ui.caseSelector.connect("currentNodeChanged(vtkMRMLNode*)", guarded(self.onCaseSelected))
        for button, slot in (
            (ui.loadDemoButton, self.onLoadDemo),
            (ui.measureButton, self.onMeasure),
            (ui.segmentButton, self.onSegment),
            (ui.cohortButton, self.onCohort),
        ):
            button.connect("clicked(bool)", guarded(slot))

    def later(self, name, slot, pause=0):
        """Call a slot once events have been processed, once however often it was asked for meanwhile."""
        if name not in self._later:
            timer = self._later[name] = qt.QTimer()
            timer.setSingleShot(True)
            timer.setInterval(pause)
            timer.connect("timeout()", guarded(slot))
        self._later[name].start()

    def cleanup(self):
        for timer in self._later.values():
            timer.stop()
        self.setParameterNode(None)
        self.edits.stop()
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        self.setParameterNode(None)

    def onReload(self):
        """Developer mode: the library and the panel's parts are read again with the module."""
        for name in [name for name in sys.modules if name.split(".")[0] in ("BoneQualityLib", "BoneQualityPanel")]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    # What happens in the scene

    def onSceneStartClose(self, caller=None, event=None):
        self.setParameterNode(None)
        self.place.forget()
        self.measuring.forget()

    def onSceneEndClose(self, caller=None, event=None):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneStartImport(self, caller=None, event=None):
        self._beforeImport = {node.GetID() for node in slicer.mrmlScene.GetNodes()}

    def onSceneEndImport(self, caller=None, event=None):
        self.setParameterNode(None)
        self.cases.afterImport(self._beforeImport)
        if self.parent.isEntered:
            self.initializeParameterNode()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAdded(self, caller, event, node):
        if self.parameters and isinstance(node, (vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode)):
            self.later("choose", self.chooseFirst)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAboutToBeRemoved(self, caller, event, node):
        """An input that is deleted is taken out before its selector jumps to another node."""
        if slicer.mrmlScene.IsClosing():
            return
        if node.IsA("vtkMRMLScriptedModuleNode"):
            from BoneQualityLib.scene.scene_case import SceneCase

            results = SceneCase.owned_by(node)
            if results is not None:
                qt.QTimer.singleShot(0, guarded(results.remove))
        elif isinstance(node, (vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode)) and self.cases.letGo(node, self.parameters):
            self._deleted = node.GetName()
            self.showState()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeRemoved(self, caller, event, node):
        if self.parameters and node.GetAttribute("BoneQuality.Role"):
            self.later("removed", self.update)

    def onInputsChanged(self, caller=None, event=None):
        self.later("inputs", self.update)

    # The case that is shown

    def initializeParameterNode(self):
        """Hold on to the case that was shown, else to the first one, else to a new one."""
        node = self.ui.caseSelector.currentNode() or self.logic.getParameterNode().parameterNode
        self.ui.caseSelector.setCurrentNode(node)
        self.onCaseSelected(node)

    def onCaseSelected(self, node):
        if node is None and self.parameters is not None:
            self.setParameterNode(None)
            qt.QTimer.singleShot(0, guarded(self.initializeParameterNode))
        elif node is not None and (self.parameters is None or self.parameters.parameterNode is not node):
            isOther = self.parameters is not None
            self.setParameterNode(self.cases.parametersOf(node))
            if isOther:
                self.showViews()

    def showCase(self, parameters):
        """Bring another case into the panel."""
        self.ui.caseSelector.setCurrentNode(parameters.parameterNode)

    def setParameterNode(self, parameters):
        if self.parameters:
            self.drawing.stop()
            self.place.back()
            self.edits.letGo()
            self.parameters.disconnectGui(self._guiTag)
            self._ofCase.removeObservers()
            self.inputs.letGo()
        self.parameters, self.case, self._deleted = parameters, None, ""
        if parameters:
            if not parameters.caseId:
                parameters.caseId = self.cases.unusedId()
            self._guiTag = parameters.connectGui(self.ui)
            self._ofCase.addObserver(parameters, vtk.vtkCommand.ModifiedEvent, guarded(self.update))
            self.chooseFirst()
            self.update()
            self.foldInputs(self.case.is_measured)

    def foldInputs(self, folded):
        """Fold or unfold the inputs; what is hidden among them stays hidden."""
        if self.ui.inputsSection.collapsed != folded:
            self.ui.inputsSection.collapsed = folded
            self.inputs.update()

    def showViews(self):
        """Show the images and the ROIs of this case alone."""
        from BoneQualityLib.scene.scene_case import show_alone

        show_alone(self.case.case_id)
        volume = next((each.image for each in self.inputs.picked.values() if each.image is not None), None)
        if volume is not None:
            slicer.util.setSliceViewerLayers(background=volume, fit=True)
        self.results.update()

    def chooseFirst(self):
        if self.parameters:
            self.cases.chooseFirst(self.parameters)

    def update(self, caller=None, event=None):
        """Everything that follows from the case's inputs and from what was measured."""
        if self.parameters is None or self._isUpdating or slicer.mrmlScene.IsImporting():
            return
        self._isUpdating = True
        try:
            self.parameters.parameterNode.SetName(self.parameters.caseId or _("case"))
            self.cases.followId(self.parameters)
            self.cases.fillFacts(self.parameters)
            self.case = self.cases.results(self.parameters)
            for section in (self.inputs, self.drawing, self.results, self.place, self.exports, self.readings):
                section.update()
            self._observe()
            self.edits.update()
        finally:
            self._isUpdating = False

    def _observe(self):
        inputs = [(obj, event, self.onInputsChanged) for obj, event in self.inputs.watched()]
        curves = [(obj, event, self.edits.onCurveModified) for obj, event in self.edits.watched()]
        for obj, event, slot in inputs + curves:
            if not self._ofCase.hasObserver(obj, event, slot):
                self._ofCase.addObserver(obj, event, slot)

    def showState(self):
        """The state line, and whether there is anything to measure."""
        ui, missing = self.ui, self.inputs.missing
        deleted = _("{name} was deleted; nothing was chosen in its place.").format(name=self._deleted) if self._deleted else ""
        ui.measureButton.enabled = not missing and not (deleted and missing)
        ui.measureButton.toolTip = missing or _("Measure the case")
        if missing:
            state = missing
        elif not self.case.is_measured:
            state = _("Ready to measure.")
        elif self.measuring.isStale(self.parameters, self.case):
            state = _("Changed since it was measured: measure again.")
        elif self.ui.updateButton.enabled:
            state = _("ROIs were edited or deleted since their values were read.")
        else:
            state = _("Measured.")
        ui.stateLabel.text = " ".join(filter(None, (deleted, state)))

    # What a person asks for

    def onLoadDemo(self, checked=False):
        from BoneQualityPanel.messages import progress

        with progress(_("Making the demo case")) as report:
            self.showCase(self.cases.loadDemo(self.parameters, report))
            self.showViews()

    def onMeasure(self, checked=False):
        from BoneQualityPanel.messages import progress

        _kept, lost = self.measuring.edits(self.parameters)
        question = _("These edited ROIs cannot be kept: {names}. Measure without them?")
        names = ", ".join(" ".join(key) for key in lost)
        if lost and not slicer.util.confirmYesNoDisplay(question.format(names=names)):
            return
        with progress(_("Measuring")) as report:
            self.place.back()
            self.measuring.measureAndShow(self.parameters, report, isForced=True)
            self._deleted = ""
            self.foldInputs(True)
        self.update()

    def onSegment(self, checked=False):
        """Make masks with an installed extension for the images that have none, then measure."""
        from BoneQualityPanel.messages import progress
        from BoneQualityPanel.segmenting import segment

        with progress(_("Segmenting")) as report:
            for role in ("ct", "t1"):
                volume = getattr(self.parameters, role)
                if volume is not None and getattr(self.parameters, f"{role}Segmentation") is None:
                    report(0.1, _("Segmenting {name}").format(name=volume.GetName()))
                    setattr(self.parameters, f"{role}Segmentation", segment(volume, role))
            report(0.9, "")
        if self.ui.measureButton.enabled:
            self.onMeasure()

    def onCohort(self, checked=False):
        slicer.util.selectModule("BoneQualityCohort")

    def open(self, facts, nodes, schemes):
        """Show a case of a manifest as a new case: its facts, its lists of nodes by input, label schemes of its label maps."""
        self.enter()
        self.showCase(self.cases.of(facts, nodes, schemes))
        self.showViews()


def guarded(slot):
    """A slot whose faults end in a message, never in silence."""
    from BoneQualityPanel.messages import said

    return said(slot)


class BoneQualityLogic(ScriptedLoadableModuleLogic):
    """Measuring from Slicer's Python console, and the panel's cases in the scene.

    Example::

        from BoneQuality import BoneQualityLogic
        from BoneQualityLib import CaseFacts
        result = BoneQualityLogic().measureCase(CaseFacts("case-7"), ct=getNode("CT"), ct_segmentation=getNode("Spine"))
        result.to_table_nodes()
        result.write_files("/home/me/results")
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self.isSingletonParameterNode = False

    def getParameterNode(self):
        from BoneQualityPanel.parameter_node import BoneQualityParameterNode

        return BoneQualityParameterNode(super().getParameterNode())

    def measureCase(self, facts, **inputs):
        """The arguments and the result are those of BoneQualityLib.measure_case."""
        from BoneQualityLib.entry.measure_case import measure_case

        return measure_case(facts, **inputs)

    def showCase(self, result, beside=None, progress=lambda share, text: None):
        """Put a result's tables, ROIs and chart into the scene, in a folder beside the volume node ``beside``; returns a SceneCase."""
        from BoneQualityLib.scene.scene_case import show_case

        slices = result.muscles.slices if result.muscles is not None else ()
        return show_case(result.document(), result.rois, slices, beside, progress)


class BoneQualityTest(ScriptedLoadableModuleTest):
    """Measures a synthetic pair of vertebrae with known answers, through the panel."""

    CANCELLOUS_HU, MARROW_T1, CSF_T1 = {"L2": 120, "L3": 80}, {"L2": 300, "L3": 340}, 100

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.panel = slicer.modules.bonequality.widgetRepresentation().self()
        self.panel.enter()

    def tearDown(self):
        slicer.mrmlScene.Clear()
        if not self.panel.parent.isEntered:
            self.panel.exit()

    def runTest(self):
        for test in (self.test_measures_known_bone, self.test_shows_the_place, self.test_reads_edits, self.test_saved_scene):
            self.setUp()
            test()
            self.tearDown()

    def load(self, *modalities):
        """A CT, a T1 MRI or both with their masks, which the panel chooses by itself."""
        from BoneQualityLib.image.mask import Mask
        from BoneQualityLib.phantoms import phantom_spine
        from BoneQualityLib.scene import nodes

        levels = tuple(self.CANCELLOUS_HU)
        spine = phantom_spine.lumbar_spine(levels, cancellous_hu=self.CANCELLOUS_HU, marrow_t1=self.MARROW_T1, csf_t1=self.CSF_T1)
        for modality in modalities:
            spacing, orientation = ((1.5, 1.5, 1.5), "axial") if modality == "CT" else ((1.0, 1.0, 4.0), "sagittal")
            grid = phantom_spine.grid_for(spine, spacing, orientation=orientation)
            image = phantom_spine.render_ct(spine, grid) if modality == "CT" else phantom_spine.render_t1(spine, grid, 4)
            masks = [Mask(f"{v.level} body", phantom_spine.body_mask(v, grid), grid) for v in spine.vertebrae]
            masks += [Mask("thecal sac", phantom_spine.sac_mask(spine, grid), grid)] if modality == "T1" else []
            volume = nodes.volume_node(modality, image, grid)
            nodes.segmentation_node(f"{modality} masks", masks).SetReferenceImageGeometryParameterFromVolumeNode(volume)
        slicer.app.processEvents()

    def document(self):
        return self.panel.case.document

    def test_measures_known_bone(self):
        from BoneQualityLib import CaseFacts

        self.load("CT", "T1")
        self.panel.ui.measureButton.click()
        case = self.document()["case"]
        self.assertAlmostEqual(case["hu_3d"], 100, delta=2)
        self.assertAlmostEqual(case["hu_multislice"], 100, delta=2)
        self.assertAlmostEqual(case["vbq"], 3.2, delta=0.1)
        self.assertEqual(self.panel.ui.levelTable.rowCount, 2)
        result = self.panel.logic.measureCase(
            CaseFacts("console"), ct=slicer.util.getNode("CT"), ct_segmentation=slicer.util.getNode("CT masks")
        )
        self.assertAlmostEqual(result.document()["case"]["hu_3d"], case["hu_3d"], places=5)

    def test_shows_the_place(self):
        self.load("CT")
        panel = self.panel
        panel.ui.measureButton.click()
        sliceNodes = slicer.util.getNodesByClass("vtkMRMLSliceNode")
        before = [slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()) for node in sliceNodes]
        panel.place.showValue("L3", "hu_upper")
        center = next(roi for roi in self.document()["levels"][1]["rois"] if roi["kind"] == "upper")["center"]
        for node in sliceNodes:
            for row in range(3):
                self.assertAlmostEqual(node.GetSliceToRAS().GetElement(row, 3), center[row], places=3)
        panel.ui.backButton.click()
        for node, matrix in zip(sliceNodes, before):
            self.assertTrue((slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()) == matrix).all())

    def test_reads_edits(self):
        self.load("CT")
        panel = self.panel
        panel.ui.measureButton.click()
        before, curve = self.document(), panel.case.node("L3 upper")
        for superior, edited in ((500, "upper"), (-500, "")):  # out of the image, and back
            for n in range(curve.GetNumberOfControlPoints()):
                point = curve.GetNthControlPointPositionWorld(n)
                curve.SetNthControlPointPositionWorld(n, point[0], point[1], point[2] + superior)
            panel.edits.update()
            panel.ui.updateButton.click()
            level = self.document()["levels"][1]
            self.assertEqual((level["edited"], "hu_upper" in level), (edited, not edited))
        self.assertEqual(self.document(), before)

    def test_saved_scene(self):
        self.load("CT")
        self.panel.ui.caseIdEdit.text = "saved"
        self.panel.ui.measureButton.click()
        before = self.document()
        with tempfile.TemporaryDirectory() as folder:
            slicer.util.saveScene(f"{folder}/case.mrb")
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(f"{folder}/case.mrb")
        self.panel.enter()
        self.assertEqual(self.panel.ui.caseIdEdit.text, "saved")
        self.assertEqual(self.document(), before)
        self.panel.ui.measureButton.click()
        for name, value in self.document()["case"].items():  # files round where an image lies
            self.assertAlmostEqual(value, before["case"][name], places=4)
