import html
import importlib.util
import json
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import fields
from subprocess import CalledProcessError
from typing import Annotated

import ctk
import qt
import slicer
import vtk
from slicer import vtkMRMLLabelMapVolumeNode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, Default, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

import BoneQualityLib as lib
from BoneQualityLib.parameters import LEVELS, CaseFacts, Parameters, is_id


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


STATES = ("used", "fractured", "cemented", "excluded")
SCROLL_BAR_PIXELS, MOST_ROWS, WIDEST_PIXELS = 24, 14, 130
#: Cells of a column that is not worth its place on the panel.
NOTHING_SAID = {"", "nan", "no CT", "no T1 MRI"}


# What the panel holds, in the scene


def camelCase(name):
    """The parameter's name for a field of the library's dataclasses: cancellousMarginMm for cancellous_margin_mm."""
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def setting(name, dataclass=Parameters):
    """The type of a parameter with the limits, choices and default of the library's field; choices that may stay open begin with ""."""
    field = next(field for field in fields(dataclass) if field.name == name)
    about = field.metadata
    if about["choices"]:
        choices = list(about["choices"]) if field.default is not None else ["", *about["choices"]]
        return Annotated[str, Choice(choices), Default(field.default or "")]
    if isinstance(field.default, bool):
        return Annotated[bool, Default(field.default)]
    if isinstance(field.default, str):
        return Annotated[str, Default(field.default)]
    return Annotated[float, WithinRange(about["low"], about["high"]), Default(field.default)]


def labelScheme():
    from BoneQualityLib.anatomy.schemes import SCHEMES

    return Annotated[str, Choice(["", *SCHEMES]), Default("")]


@parameterNodeWrapper
class BoneQualityParameterNode:
    """A case as the panel holds it.

    Facts that a person types are texts, "" where not given. ...Segments: the structure that a segment shows, by the segment's id,
    where a person chose it. levelStates: "fractured", "cemented" or "excluded" by level. offered: the nodes that were chosen
    without asking.
    """

    caseId: str
    age: str
    sex: setting("sex", CaseFacts)
    bmi: str
    tScore: str
    hyperlipidemia: setting("hyperlipidemia", CaseFacts)
    contrast: setting("contrast", CaseFacts)
    reader: str
    ct: vtkMRMLScalarVolumeNode | None
    ctSegmentation: vtkMRMLSegmentationNode | vtkMRMLLabelMapVolumeNode | None
    ctLabelScheme: labelScheme()
    ctSegments: dict[str, str]
    t1: vtkMRMLScalarVolumeNode | None
    t1Segmentation: vtkMRMLSegmentationNode | vtkMRMLLabelMapVolumeNode | None
    t1LabelScheme: labelScheme()
    t1Segments: dict[str, str]
    axialMr: vtkMRMLScalarVolumeNode | None
    axialMrSegmentation: vtkMRMLSegmentationNode | vtkMRMLLabelMapVolumeNode | None
    axialMrLabelScheme: labelScheme()
    axialMrSegments: dict[str, str]
    fat: vtkMRMLScalarVolumeNode | None
    water: vtkMRMLScalarVolumeNode | None
    levelStates: dict[str, str]
    csfBlocked: list[str]
    mask: setting("mask")
    cancellousMarginMm: setting("cancellous_margin_mm")
    slicePlane: setting("slice_plane")
    avoidBasivertebral: setting("avoid_basivertebral")
    vbqMarginMm: setting("vbq_margin_mm")
    vbqSlice: setting("vbq_slice")
    fatThreshold: setting("fat_threshold")
    discSlices: setting("disc_slices")
    strict: setting("strict")
    offered: list[str]

    def picked(self):
        """What is picked for the CT, the T1 MRI and the axial MRI."""
        others = dict(fat=self.fat, water=self.water)
        return [self._pickedFor(role, others if role is lib.entry.choices.MUSCLE_ROLE else {}) for role in lib.entry.choices.ROLES]

    def _pickedFor(self, role, others):
        volume, segmentation, segments, scheme = (
            getattr(self, camelCase(role.name) + what) for what in ("", "Segmentation", "Segments", "LabelScheme")
        )
        return lib.entry.choices.Picked(role, volume, segmentation, dict(segments), scheme, others)

    def factTexts(self):
        """The facts of the case by the names of CaseFacts."""
        texts = {field.name: getattr(self, camelCase(field.name), "") for field in fields(CaseFacts)}
        states = dict(self.levelStates)
        for state in STATES[1:]:
            texts[state] = [level for level, chosen in states.items() if chosen == state]
        return dict(texts, csf_blocked=list(self.csfBlocked))

    def method(self):
        """The Parameters of the case; raises BoneQualityError where one is none."""
        return Parameters(**{field.name: getattr(self, camelCase(field.name)) for field in fields(Parameters)})


class Canceled(Exception):
    """A person pressed Cancel."""


class BoneQualityWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: it collects a case's inputs in the scene, has it measured, and shows what came out."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._guiTag = None
        self._picked, self._found = {}, {}
        self._tableSignature = None
        self._viewsBefore, self._beforeImport = None, set()
        self._updating = False
        self._ofCase = VTKObservationMixin()  # it holds on to what it observes, so all of a case go at once

    # Life of the panel

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/BoneQuality.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        self.logic = BoneQualityLogic()
        self.ui.caseSelector.addAttribute("vtkMRMLScriptedModuleNode", "ModuleName", self.logic.moduleName)
        self.ui.caseSelector.setNodeTypeLabel(_("case"), "vtkMRMLScriptedModuleNode")
        self.ui.caseSelector.baseName = _("case")
        for folder in (self.ui.exportFolderEdit, self.ui.batchFolderEdit, self.ui.statisticsFolderEdit):
            folder.filters = ctk.ctkPathLineEdit.Dirs
        panel.setMRMLScene(slicer.mrmlScene)
        self._explain()
        self._edits, self._additions, self._removals = qt.QTimer(), qt.QTimer(), qt.QTimer()
        for timer, pause in ((self._edits, 200), (self._additions, 0), (self._removals, 0)):
            timer.setSingleShot(True)
            timer.setInterval(pause)
        self._connect()
        self.updateMany()
        self.initializeParameterNode()

    def _connect(self):
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.StartImportEvent, self.onSceneStartImport)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.addObserver(scene, scene.EndUndoEvent, self.update)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodeAdded)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodeRemoved)
        self._edits.connect("timeout()", self.updateEdited)
        self._additions.connect("timeout()", self.chooseFirst)
        self._removals.connect("timeout()", self.update)
        ui = self.ui
        ui.caseSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onCaseSelected)
        ui.loadDemoButton.connect("clicked(bool)", self.onLoadDemo)
        ui.resetButton.connect("clicked(bool)", self.onReset)
        ui.measureButton.connect("clicked(bool)", self.onMeasure)
        ui.updateButton.connect("clicked(bool)", self.onUpdateFromEdited)
        ui.levelTable.connect("clicked(QModelIndex)", self.onLevelClicked)
        ui.summaryTable.connect("clicked(QModelIndex)", self.onSummaryClicked)
        ui.muscleTable.connect("clicked(QModelIndex)", self.onMuscleClicked)
        ui.backButton.connect("clicked(bool)", self.onViewsBack)
        ui.showRoisButton.connect("clicked(bool)", self.onShowRois)
        ui.chartButton.connect("clicked(bool)", self.onShowChart)
        ui.copyButton.connect("clicked(bool)", self.onCopy)
        ui.exportFolderEdit.connect("currentPathChanged(QString)", self.updateExport)
        for path in (ui.manifestEdit, ui.batchFolderEdit, ui.cohortEdit):
            path.connect("currentPathChanged(QString)", self.updateMany)
        ui.outcomeEdit.connect("textChanged(QString)", self.updateMany)
        ui.exportButton.connect("clicked(bool)", self.onExport)
        ui.batchButton.connect("clicked(bool)", self.onBatch)
        ui.cohortButton.connect("clicked(bool)", self.onCohort)

    def _explain(self):
        """Tooltips from the library's one description of every fact and parameter."""
        for field in (*fields(CaseFacts), *fields(Parameters)):
            for widget in vars(self.ui).values():
                if widget.property("SlicerParameterName") == camelCase(field.name) and field.metadata:
                    unit = field.metadata["unit"]
                    widget.toolTip = field.metadata["help"] + (f" ({unit})" if unit else "")

    def cleanup(self):
        for timer in (self._edits, self._additions, self._removals):
            timer.stop()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        self.setParameterNode(None)

    def onReload(self):
        """Developer mode: the library's files are read again with the module."""
        for name in [name for name in sys.modules if name.split(".")[0] == "BoneQualityLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, caller=None, event=None):
        self.setParameterNode(None)
        self._viewsBefore = None

    def onSceneEndClose(self, caller=None, event=None):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneStartImport(self, caller=None, event=None):
        scene = slicer.mrmlScene
        self._beforeImport = {scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())}

    def onSceneEndImport(self, caller=None, event=None):
        """Cases that came with a scene take the place of the empty one that the panel began with."""
        for node in self.logic.getAllParameterNodes():
            if len(self.logic.getAllParameterNodes()) > 1 and isEmpty(BoneQualityParameterNode(node)):
                if self._parameterNode and self._parameterNode.parameterNode is node:
                    self.setParameterNode(None)
                slicer.mrmlScene.RemoveNode(node)
        self.logic.keepApart(self._beforeImport)
        if self.parent.isEntered:
            self.initializeParameterNode()
            self.update()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAdded(self, caller, event, node):
        if self._parameterNode and isinstance(node, (vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode)):
            self._additions.start()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeRemoved(self, caller, event, node):
        if self._parameterNode and lib.scene.case_nodes.is_ours(node):
            self._removals.start()

    # The case and its inputs

    def initializeParameterNode(self):
        """Hold on to the case that was shown, else to the first one, else to a new one."""
        node = self.ui.caseSelector.currentNode() or self.logic.getParameterNode().parameterNode
        self.ui.caseSelector.setCurrentNode(node)
        self.onCaseSelected(node)

    def onCaseSelected(self, node):
        if node is None and self._parameterNode is not None:
            self.setParameterNode(None)
            qt.QTimer.singleShot(0, self.initializeParameterNode)
        elif node is not None and (self._parameterNode is None or self._parameterNode.parameterNode is not node):
            self.setParameterNode(BoneQualityParameterNode(node))

    def setParameterNode(self, parameterNode):
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._guiTag)
            self._ofCase.removeObservers()
        self._parameterNode = parameterNode
        if parameterNode:
            if not parameterNode.caseId:
                parameterNode.caseId = self.logic.unusedCaseId()
            self._guiTag = parameterNode.connectGui(self.ui)
            self._ofCase.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self.update)
            self.chooseFirst()
            self.update()

    def chooseFirst(self):
        if self._parameterNode:
            self.logic.chooseFirst(self._parameterNode)

    def onReset(self, checked=False):
        with slicer.util.NodeModify(self._parameterNode.parameterNode):
            for field in fields(Parameters):
                if field.name != "disc_slices":  # where this patient's discs lie, no method
                    setattr(self._parameterNode, camelCase(field.name), field.default)

    def onLoadDemo(self, checked=False):
        with self.progress(_("Making the demo case")) as progress:
            self.ui.caseSelector.setCurrentNode(self.logic.loadDemo(self._parameterNode, progress))

    def update(self, caller=None, event=None):
        """Everything that follows from the case's inputs and from what was measured."""
        if self._parameterNode is None or self._updating:
            return
        self._updating = True
        try:
            self._updateInputs()
            self.showResults()
        finally:
            self._updating = False

    def _updateInputs(self):
        parameters = self._parameterNode
        parameters.parameterNode.SetName(parameters.caseId or _("case"))
        self.logic.followId(parameters)
        self._picked = {picked.role: picked for picked in parameters.picked()}
        self._found = {role.name: self.logic.find(picked) for role, picked in self._picked.items()}
        for role, picked in self._picked.items():
            segmentation = picked.segmentation
            isLabelMap = segmentation is not None and segmentation.IsA("vtkMRMLLabelMapVolumeNode")
            for widget in ("SchemeLabel", "SchemeBox"):
                getattr(self.ui, camelCase(role.name) + widget).visible = isLabelMap
            if segmentation is not None and not isLabelMap:
                self._observeSegments(segmentation.GetSegmentation())
        self._updateChoices()
        missing = self.logic.whatIsMissing(parameters, self._found)
        self.ui.measureButton.enabled = not missing
        self.ui.measureButton.toolTip = missing or _("Measure the case")
        self.ui.foundLabel.text = "\n".join(fault for found in self._found.values() for fault in found.faults)
        self.ui.foundLabel.visible = bool(self.ui.foundLabel.text)

    def _observeSegments(self, segmentation):
        events = slicer.vtkSegmentation
        for event in (events.SegmentAdded, events.SegmentRemoved, events.SegmentModified):
            if not self._ofCase.hasObserver(segmentation, event, self.update):
                self._ofCase.addObserver(segmentation, event, self.update)

    # The tables in which segments are chosen

    def _updateChoices(self):
        parameters, table, states = self._parameterNode, self.ui.choiceTable, dict(self._parameterNode.levelStates)
        levels, muscles = lib.entry.choices.level_rows(self._found), lib.entry.choices.muscle_rows(self._found[lib.entry.choices.MUSCLE_ROLE.name])
        signature = (levels, muscles, [found.segments for found in self._found.values()])
        if signature != self._tableSignature:
            titles = [_("Level"), _("CT segment"), _("T1 segment"), _("Use"), _("CSF blocked")]
            self._buildTable(table, levels, lib.entry.choices.SPINE_ROLES, titles)
            self._buildTable(self.ui.muscleChoiceTable, muscles, [lib.entry.choices.MUSCLE_ROLE], [_("Muscle or disc"), _("Segment")])
            self._tableSignature = signature
        self._showChosen(table, levels, lib.entry.choices.SPINE_ROLES)
        self._showChosen(self.ui.muscleChoiceTable, muscles, [lib.entry.choices.MUSCLE_ROLE])
        for row, structure in enumerate(levels):
            if table.cellWidget(row, 3) is not None:
                table.cellWidget(row, 3).currentIndex = STATES.index(states.get(structure, "used"))
                table.cellWidget(row, 4).checked = structure in parameters.csfBlocked
        table.setColumnHidden(4, parameters.t1Segmentation is None)

    def _showChosen(self, table, rows, roles):
        for column, role in enumerate(roles, 1):
            table.setColumnHidden(column, self._picked[role].segmentation is None)
            for row, structure in enumerate(rows):
                box = table.cellWidget(row, column)
                box.currentIndex = box.findData(self._found[role.name].shows.get(structure, ""))

    def _buildTable(self, table, rows, roles, titles):
        table.clear()
        table.setColumnCount(len(titles))
        table.setRowCount(len(rows))
        table.setHorizontalHeaderLabels(titles)
        table.verticalHeader().visible = False
        for row, structure in enumerate(rows):
            table.setItem(row, 0, qt.QTableWidgetItem(structure))
            for column, role in enumerate(roles, 1):
                table.setCellWidget(row, column, self._segmentBox(role, structure))
            if structure in LEVELS:
                table.setCellWidget(row, 3, self._stateBox(structure))
                table.setCellWidget(row, 4, self._blockedBox(structure))
        table.resizeColumnsToContents()
        height = table.horizontalHeader().height + sum(table.rowHeight(row) for row in range(len(rows))) + SCROLL_BAR_PIXELS
        table.setFixedHeight(height)

    def _stateBox(self, level):
        box = qt.QComboBox()
        for state, title in zip(STATES, (_("used"), _("fractured"), _("cemented"), _("excluded"))):
            box.addItem(title, state)
        box.connect("activated(int)", lambda index: self.onStateChosen(level, STATES[index]))
        return box

    def _blockedBox(self, level):
        box = qt.QCheckBox()
        box.toolTip = next(field for field in fields(CaseFacts) if field.name == "csf_blocked").metadata["help"]
        box.connect("clicked(bool)", lambda checked: self.onCsfBlocked(level, checked))
        return box

    def _segmentBox(self, role, structure):
        box = qt.QComboBox()
        box.setMinimumContentsLength(14)
        box.addItem("-", "")
        for identifier, name in self._found[role.name].segments.items():
            box.addItem(name, identifier)
        box.connect("activated(int)", lambda index: self.onSegmentChosen(role, structure, box.itemData(index)))
        return box

    def onSegmentChosen(self, role, structure, identifier):
        picked = self._picked[role]
        chosen = lib.entry.choices.choose(picked.segmentation, picked.segments, picked.scheme, structure, identifier)
        setattr(self._parameterNode, f"{camelCase(role.name)}Segments", chosen)

    def onStateChosen(self, level, state):
        states = dict(self._parameterNode.levelStates)
        states.pop(level, None)
        self._parameterNode.levelStates = states if state == "used" else {**states, level: state}

    def onCsfBlocked(self, level, blocked):
        others = [other for other in self._parameterNode.csfBlocked if other != level]
        self._parameterNode.csfBlocked = [*others, level] if blocked else others

    # Measuring

    @contextmanager
    def progress(self, title):
        """A progress dialog with Cancel; errors of the input become a message, Cancel leaves everything as it was."""
        dialog = slicer.util.createProgressDialog(windowTitle=title, autoReset=False, autoClose=False)
        dialog.setWindowModality(qt.Qt.ApplicationModal)
        dialog.show()  # before any event is processed: a second click must not start a second measurement

        def progress(share, text):
            dialog.labelText = text
            dialog.value = int(100 * share)
            slicer.app.processEvents()
            if dialog.wasCanceled:
                raise Canceled

        try:
            yield progress
        except Canceled:
            slicer.util.showStatusMessage(_("Canceled."), 3000)
        except lib.BoneQualityError as error:
            slicer.util.errorDisplay(str(error), windowTitle=title)
        finally:
            dialog.close()
            dialog.deleteLater()

    def onMeasure(self, checked=False):
        edited = lib.scene.case_nodes.edited_names(self._parameterNode.caseId)
        if edited and not slicer.util.confirmYesNoDisplay(
            _("ROIs were edited by hand: {names}. Measure anew and throw these edits away?").format(names=", ".join(edited))
        ):
            return
        with self.progress(_("Measuring")) as progress:
            self.logic.measureAndShow(self._parameterNode, progress)
        self.update()

    def onUpdateFromEdited(self, checked=False):
        with self.progress(_("Reading edited ROIs")) as progress:
            self.logic.measureAndShow(self._parameterNode, progress, keepEdits=True)
        self.update()

    # Results

    @property
    def _resultsId(self):
        return self.logic.resultsId(self._parameterNode)

    def showResults(self):
        """The results of the case, as they lie in the scene."""
        document = lib.scene.case_nodes.shown_document(self._resultsId)
        ui, nodes = self.ui, lib.scene.case_nodes.nodes_of(self._resultsId)
        for view, role in (
            (ui.summaryTable, "summary"),
            (ui.levelTable, "levels"),
            (ui.muscleTable, "muscles"),
            (ui.caseTable, "case"),
        ):
            if view.mrmlTableNode() is not nodes.get(role):
                view.setMRMLTableNode(nodes.get(role))
        for widget in (ui.resultsSection, ui.exportSection):
            widget.enabled = document is not None
        ui.chartButton.enabled = "chart" in nodes
        self._observeCurves()
        self.updateEdited()
        self.updateExport()
        ui.staleLabel.visible = document is None or self.logic.isStale(self._parameterNode)
        ui.staleLabel.text = _("Not measured yet.")
        if document is None:
            ui.flagsText.clear()
            ui.reportEdit.clear()
            return

        ui.staleLabel.text = _("Images, segments, facts or method were changed since these values were measured: measure again.")
        for view in (ui.summaryTable, ui.levelTable, ui.muscleTable):
            self._fit(view)
        ui.flagsText.setHtml(flagsAsHtml(document))
        ui.reportEdit.text = lib.outputs.summary.report_line(document)
        ui.reportEdit.cursorPosition = 0  # a line that is too long shows its beginning
        ui.showRoisButton.checked = lib.scene.case_nodes.are_visible(self._resultsId)

    def _fit(self, view):
        """Show a result table at its height, without columns that say nothing here."""
        table = view.mrmlTableNode()
        view.visible = table is not None and table.GetNumberOfRows() > 0
        if not view.visible:
            return
        view.resizeColumnsToContents()
        shown = []
        for column in range(table.GetNumberOfColumns()):
            texts = {table.GetCellText(row, column) for row in range(table.GetNumberOfRows())}
            isHidden = texts <= NOTHING_SAID or table.GetColumnName(column) in ("case_id", "column")
            view.setColumnHidden(column, isHidden)
            shown += [] if isHidden else [column]
        for column in shown[:-1]:  # sentences must not push the numbers out of sight
            view.setColumnWidth(column, min(view.columnWidth(column), WIDEST_PIXELS))
        rows = view.verticalHeader().defaultSectionSize * min(table.GetNumberOfRows(), MOST_ROWS)
        view.setFixedHeight(view.horizontalHeader().height + rows + SCROLL_BAR_PIXELS)

    def _observeCurves(self):
        events = slicer.vtkMRMLMarkupsNode
        for curve in lib.scene.case_nodes.curve_nodes(self._resultsId):
            for event in (events.PointModifiedEvent, events.PointAddedEvent, events.PointRemovedEvent):
                if not self._ofCase.hasObserver(curve, event, self.onCurveModified):
                    self._ofCase.addObserver(curve, event, self.onCurveModified)

    def onCurveModified(self, caller=None, event=None):
        self._edits.start()

    def updateEdited(self):
        """Say which ROIs were edited since their values were read."""
        if self._parameterNode is None:
            return
        edited = lib.scene.case_nodes.unread_edits(self._resultsId)
        self.ui.updateButton.enabled = bool(edited)
        self.ui.updateButton.toolTip = (
            _("Read these ROIs again: {names}").format(names=", ".join(edited))
            if edited
            else _("No ROI was edited since its value was read")
        )

    def _clickedCell(self, view, index):
        """The table's column name and the row's cells by column name."""
        table = view.mrmlTableNode()
        names = [table.GetColumnName(column) for column in range(table.GetNumberOfColumns())]
        model = index.model()
        return names[index.column()], {name: model.data(model.index(index.row(), n)) for n, name in enumerate(names)}

    def onLevelClicked(self, index):
        column, row = self._clickedCell(self.ui.levelTable, index)
        self._lookAt(*lib.outputs.places.place_behind(lib.scene.case_nodes.shown_document(self._resultsId), row["level"], column))

    def onSummaryClicked(self, index):
        _column, row = self._clickedCell(self.ui.summaryTable, index)
        if row["column"].startswith("vbq"):
            self._lookAt(lib.outputs.places.csf_place(lib.scene.case_nodes.shown_document(self._resultsId)), "t1")

    def onMuscleClicked(self, index):
        _column, row = self._clickedCell(self.ui.muscleTable, index)
        self._lookAt(lib.outputs.places.muscle_place(lib.scene.case_nodes.shown_document(self._resultsId), row), lib.entry.choices.MUSCLE_ROLE.name)

    def _lookAt(self, place, name):
        if place is not None:
            self._viewsBefore = self._viewsBefore or lib.scene.views.view_state()
            volume = next(picked.image for role, picked in self._picked.items() if role.name == name)
            lib.scene.views.look_at(place, volume, self._viewsBefore)

    def onViewsBack(self, checked=False):
        if self._viewsBefore is not None:
            lib.scene.views.restore(self._viewsBefore)
            self._viewsBefore = None

    def onShowRois(self, checked):
        lib.scene.case_nodes.set_visible(self._resultsId, checked)

    def onShowChart(self, checked=False):
        chart = lib.scene.case_nodes.nodes_of(self._resultsId).get("chart")
        if chart is not None:
            slicer.modules.plots.logic().ShowChartInLayout(chart)

    def onCopy(self, checked=False):
        slicer.app.clipboard().setText(self.ui.reportEdit.text)

    # Export

    def updateExport(self, path=""):
        if self._parameterNode is None:
            return
        folder, document = self.ui.exportFolderEdit.currentPath, lib.scene.case_nodes.shown_document(self._resultsId)
        muscles = bool(document and lib.outputs.document.muscle_rows(document))
        names = [path.name for path in lib.outputs.document.output_paths(folder, self._resultsId, muscles)]
        self.ui.exportFilesLabel.text = _("Files: {names}").format(names=", ".join(names))
        self.ui.exportButton.enabled = bool(folder) and document is not None
        self.ui.exportButton.toolTip = "" if folder else _("Choose a folder")

    def onExport(self, checked=False):
        from BoneQualityLib.outputs.page_templates import PACKAGES

        if self.ui.pictureBox.checked and not installedOnClick(*PACKAGES):
            return
        ui = self.ui
        with self.progress(_("Exporting")) as progress:
            paths = self.logic.export(
                self._parameterNode, ui.exportFolderEdit.currentPath, ui.overwriteBox.checked, ui.pictureBox.checked, progress
            )
            self.update()
            ui.exportFilesLabel.text = _("Written: {names}").format(names=", ".join(path.name for path in paths))

    # Many cases

    def updateMany(self, text=""):
        """What has to be given before many cases can be measured or analyzed, on the buttons."""
        ui, folder = self.ui, _("Choose a folder for the results")
        manifest, cohort, outcome = _("Choose a manifest"), _("Choose a cohort"), _("Give the column of the outcome")
        for button, needed in (
            (ui.batchButton, {manifest: ui.manifestEdit.currentPath, folder: ui.batchFolderEdit.currentPath}),
            (ui.cohortButton, {cohort: ui.cohortEdit.currentPath, outcome: ui.outcomeEdit.text}),
        ):
            button.toolTip = next((sentence for sentence, given in needed.items() if not given.strip()), "")
            button.enabled = not button.toolTip

    def onBatch(self, checked=False):
        ui, batch = self.ui, None
        with self.progress(_("Measuring many cases")) as progress:
            batch = lib.batch.run.run_batch(
                ui.manifestEdit.currentPath,
                ui.batchFolderEdit.currentPath,
                workers=0,
                resume=ui.resumeBox.checked,
                progress=progress,
            )
        if batch is not None:
            ui.cohortEdit.currentPath = f"{ui.batchFolderEdit.currentPath}/cohort.csv"
            failures = "\n".join(f"{name}: {failure.sentence}" for name, failure in batch.failures.items())
            said = _("{done} cases measured, {failed} failed.").format(done=len(batch.done), failed=len(batch.failures))
            slicer.util.infoDisplay(said, detailedText=failures)

    def onCohort(self, checked=False):
        if not installedOnClick(*lib.statistics.analysis.PACKAGES):
            return
        ui = self.ui
        with self.progress(_("Statistics")) as progress:
            nodes = self.logic.analyzeCohort(
                ui.cohortEdit.currentPath, ui.outcomeEdit.text, ui.statisticsFolderEdit.currentPath, progress,
                by=ui.byEdit.text or None, adjust=ui.adjustEdit.text, time=ui.timeEdit.text or None,
            )  # fmt: skip
            slicer.modules.plots.logic().ShowChartInLayout(nodes["chart"])


def isEmpty(parameters):
    """Whether nobody put anything into a case yet."""
    return not hasInputs(parameters) and lib.scene.case_nodes.id_measured_for(parameters.parameterNode) is None


def hasInputs(parameters):
    return not all(picked.is_empty for picked in parameters.picked())


def flagsAsHtml(document):
    """Reasons and flags as sentences."""
    sentences = [*document["reasons"], *lib.outputs.summary.flag_sentences(document)]
    items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else _("No flags.")


def installedOnClick(*packages):
    """Whether packages that Slicer does not bring are there; a person may have them installed now."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if not missing:
        return True
    question = _("Python packages are needed for this that Slicer does not have: {names}. Install them now?")
    if not slicer.util.confirmOkCancelDisplay(question.format(names=", ".join(missing))):
        return False
    try:
        slicer.util.pip_install(" ".join(missing))
    except (RuntimeError, CalledProcessError) as fault:
        said = _("{names} could not be installed ({fault}). Check the network connection, and try again.")
        slicer.util.errorDisplay(said.format(names=", ".join(missing), fault=fault))
        return False
    importlib.invalidate_caches()
    return all(importlib.util.find_spec(package) is not None for package in missing)


class BoneQualityLogic(ScriptedLoadableModuleLogic):
    """What the panel does, without the panel; in Slicer's Python console, ``measureCase``.

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
        # looking through large images takes too long for every letter that is typed
        self._foundInLabelMap, self._checksums = {}, {}

    def getParameterNode(self):
        return BoneQualityParameterNode(super().getParameterNode())

    def measureCase(self, facts, **inputs):
        """The arguments and the result are those of BoneQualityLib.measure_case."""
        return lib.measure_case(facts, **inputs)

    def showCase(self, result, beside=None):
        """Put a result's tables, ROIs and chart into the scene, in a folder beside the volume node ``beside``."""
        lib.scene.case_nodes.show_case(result, beside)

    def analyzeCohort(self, source, outcome, folder="", progress=lambda share, text: None, **question):
        """Statistics of a cohort's CSV file as table and plot nodes; with a folder also as files, cohort.html first.

        outcome and question: those of BoneQualityLib.cohort.analyze. Returns the nodes by name.
        """
        result = lib.statistics.analysis.analyze(source, outcome, progress=progress, **question)
        if folder:
            result.write_files(folder, overwrite=False)
        return lib.scene.cohort_nodes.show_cohort(result)

    # Cases of the scene

    def createCase(self):
        """A new, empty case; returns its parameter node."""
        return slicer.mrmlScene.AddNode(self.createParameterNode())

    def unusedCaseId(self, stem="case", first="case-1"):
        """An id that no case of the scene has."""
        taken = {other.caseId for other in self.cases()} | set(lib.scene.case_nodes.case_ids())
        return next(name for name in (first, *(f"{stem}-{n}" for n in range(2, len(taken) + 3))) if name not in taken)

    def cases(self, butNot=None):
        """The parameters of every case in the scene."""
        nodes = [node for node in self.getAllParameterNodes() if butNot is None or node is not butNot.parameterNode]
        return [BoneQualityParameterNode(node) for node in nodes]

    def chooseFirst(self, parameters):
        """Choose the only CT, T1 MRI and axial MRI that have a segmentation, among what no other case uses; else volumes alone.

        Only what is not chosen yet, and no node twice: what a person took out stays out.
        """
        picked = parameters.picked()
        if all(each.volume is not None and each.segmentation is not None for each in picked):
            return
        taken = [
            node for other in self.cases(butNot=parameters) for each in other.picked() for node in (each.volume, each.segmentation)
        ]
        free = [
            node
            for nodeClass in ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode")
            for node in slicer.util.getNodesByClass(nodeClass)
            if node not in taken and not lib.scene.case_nodes.is_ours(node)
        ]
        with slicer.util.NodeModify(parameters.parameterNode):
            for first in lib.entry.choices.first_choices(picked, free):
                self._offer(parameters, camelCase(first.role.name), first.volume)
                self._offer(parameters, f"{camelCase(first.role.name)}Segmentation", first.segmentation)

    def _offer(self, parameters, name, node):
        offered = list(parameters.offered)
        if node is not None and getattr(parameters, name) is None and node.GetID() not in offered:
            setattr(parameters, name, node)
            parameters.offered = [*offered, node.GetID()]

    def loadDemo(self, parameters, progress):
        """Make the demo case's images and masks and choose them, in a new case where this one has inputs; returns its node."""
        _spine, nodes = lib.phantoms.demo.make_nodes(progress)
        if hasInputs(parameters):
            parameters = BoneQualityParameterNode(self.createCase())
        for node in nodes.values():
            node.CreateDefaultDisplayNodes()
        for role in lib.entry.choices.ROLES:
            segmentation = nodes[f"{role.name}_segmentation"]
            segmentation.SetReferenceImageGeometryParameterFromVolumeNode(nodes[role.name])
            segmentation.GetDisplayNode().SetVisibility2DFill(False)
        with slicer.util.NodeModify(parameters.parameterNode):
            parameters.caseId = self.unusedCaseId(lib.phantoms.demo.CASE_ID, lib.phantoms.demo.CASE_ID)
            parameters.tScore = f"{lib.phantoms.demo.T_SCORE:g}"
            for name, node in nodes.items():
                setattr(parameters, camelCase(name), node)
        slicer.util.setSliceViewerLayers(background=nodes["ct"], fit=True)
        return parameters.parameterNode

    def resultsId(self, parameters):
        """The id under which the results of a case lie in the scene: its own, whatever is typed, and never another case's."""
        measuredId = lib.scene.case_nodes.id_measured_for(parameters.parameterNode)
        return measuredId or ("" if self._idIsTaken(parameters) else parameters.caseId)

    def _idIsTaken(self, parameters):
        """Whether another case has the id, or its results lie under it still."""
        others = self.cases(butNot=parameters)
        measured = [lib.scene.case_nodes.id_measured_for(other.parameterNode) for other in others]
        return parameters.caseId in [other.caseId for other in others] + measured

    def followId(self, parameters):
        """Take the results of a case along when its id is changed, once the new id can be used and is no other case's."""
        measuredId, isTaken = lib.scene.case_nodes.id_measured_for(parameters.parameterNode), self._idIsTaken(parameters)
        if measuredId and is_id(parameters.caseId) and not isTaken and parameters.caseId not in lib.scene.case_nodes.case_ids():
            lib.scene.case_nodes.rename_case(measuredId, parameters.caseId)

    def keepApart(self, older):
        """Give cases that came with a scene other ids where cases that were there have theirs; older: IDs of the nodes before."""
        for caseId in lib.scene.case_nodes.ids_given_twice(older):
            lib.scene.case_nodes.rename_case(caseId, self.unusedCaseId(caseId, caseId), older)
        for parameters in self.cases():
            if parameters.parameterNode.GetID() not in older and self._idIsTaken(parameters):
                measuredId = lib.scene.case_nodes.id_measured_for(parameters.parameterNode)
                parameters.caseId = measuredId or self.unusedCaseId(parameters.caseId, parameters.caseId)

    # Measuring and results

    def find(self, picked):
        """What the segments of a segmentation show."""
        node = picked.segmentation
        isLabelMap = node is not None and node.IsA("vtkMRMLLabelMapVolumeNode")
        state = (picked.identity(), node.GetImageData() and node.GetImageData().GetMTime()) if isLabelMap else None
        before, found = self._foundInLabelMap.get(picked.role, (None, None))
        if state is None or before != state:
            found = lib.entry.choices.find_structures(node, picked.segments, picked.scheme)
            self._foundInLabelMap[picked.role] = state, found
        return found

    def inputsAsText(self, parameters):
        """What the images and the segments in use hold, in short; another text where anything of it was changed."""
        return json.dumps([picked.contents(self.find(picked), self._checksumsOf) for picked in parameters.picked()], sort_keys=True)

    def _checksumsOf(self, node):
        changed = lib.scene.masks.changed_at(node)
        if self._checksums.get(node.GetID(), (None,))[0] != changed:
            self._checksums[node.GetID()] = changed, lib.scene.masks.checksums(node)
        return self._checksums[node.GetID()][1]

    def whatIsMissing(self, parameters, found):
        """What has to be given before the case can be measured, in one sentence."""
        if self._idIsTaken(parameters):
            return _("Another case of this scene has the id {name}: give this one another.").format(name=parameters.caseId)
        try:
            parameters.method()
        except lib.BoneQualityError as fault:
            return str(fault)
        return lib.entry.choices.what_is_missing(parameters.factTexts(), parameters.picked(), found)

    def measureAndShow(self, parameters, progress, keepEdits=False):
        """Measure the case and put it into the scene; with ``keepEdits`` the ROIs that a person edited are read as they lie now."""
        picked = parameters.picked()
        missing = self.whatIsMissing(parameters, {each.role.name: self.find(each) for each in picked})
        if missing:
            raise lib.BoneQualityError(missing)
        inputs = {name: node for each in picked for name, node in each.inputs().items()}
        edits = lib.scene.case_nodes.edited_rois(self.resultsId(parameters)) if keepEdits else {}
        facts = lib.entry.choices.facts_of(parameters.factTexts())
        result = self.measureCase(facts, parameters=parameters.method(), progress=progress, edits=edits, **inputs)
        self.showCase(result, beside=next(each.image for each in picked if each.image is not None))
        lib.scene.case_nodes.remember_inputs(parameters.caseId, self.inputsAsText(parameters), parameters.parameterNode)
        return result

    def isStale(self, parameters):
        """Whether images, segments, facts or method are others now than when the case was measured."""
        try:
            facts, method = lib.entry.choices.facts_of(parameters.factTexts()), parameters.method()
            inputs = self.inputsAsText(parameters)
        except lib.BoneQualityError:
            return True
        return lib.scene.case_nodes.is_stale(self.resultsId(parameters), facts, method, inputs)

    def export(self, parameters, folder, overwrite, withPicture, progress):
        """Write the case's files as it lies in the scene, and its report and a picture of its ROIs; returns the paths."""
        document, picture = lib.scene.case_nodes.shown_document(self.resultsId(parameters)), []
        if withPicture:
            paths = lib.outputs.document.output_paths(folder, parameters.caseId, report=True)
            picture = [paths[-1].with_suffix(".png")]
            lib.files.writing.check_free(paths + picture, overwrite)
            result = self.measureAndShow(parameters, progress, keepEdits=True)
            document = result.document()
        paths = lib.outputs.document.write_case(document, folder, overwrite, result.report() if withPicture else "")
        if withPicture:
            from BoneQualityLib.outputs.pictures import contact_sheet

            picture[0].write_bytes(contact_sheet(document, result.pictures))
        return paths + picture


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
        return lib.scene.case_nodes.shown_document(self.panel.ui.caseIdEdit.text)

    def test_measures_known_bone(self):
        self.load("CT", "T1")
        self.panel.ui.measureButton.click()

        case = self.document()["case"]
        self.assertAlmostEqual(case["hu_3d"], 100, delta=2)
        self.assertAlmostEqual(case["hu_multislice"], 100, delta=2)
        self.assertAlmostEqual(case["vbq"], 3.2, delta=0.1)
        self.assertEqual(self.panel.ui.levelTable.mrmlTableNode().GetNumberOfRows(), 2)
        result = self.panel.logic.measureCase(
            CaseFacts("console"), ct=slicer.util.getNode("CT"), ct_segmentation=slicer.util.getNode("CT masks")
        )
        self.assertAlmostEqual(result.values["hu_3d"], case["hu_3d"], places=5)

    def test_shows_the_place(self):
        self.load("CT")
        panel = self.panel
        panel.ui.measureButton.click()
        sliceNodes = slicer.util.getNodesByClass("vtkMRMLSliceNode")
        before = [slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()) for node in sliceNodes]
        names = [column.name for column in lib.columns.LEVEL_COLUMNS]

        panel.onLevelClicked(panel.ui.levelTable.model().index(1, names.index("hu_upper")))
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
        before = self.document()
        curve = lib.scene.case_nodes.node_of(before["case_id"], "L3 upper")
        for superior, edited in ((500, "upper"), (-500, "")):  # out of the image, and back
            for n in range(curve.GetNumberOfControlPoints()):
                point = curve.GetNthControlPointPositionWorld(n)
                curve.SetNthControlPointPositionWorld(n, point[0], point[1], point[2] + superior)
            panel.updateEdited()
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
        self.assertEqual(self.document(), before)
