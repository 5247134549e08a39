"""The inputs of a case: which segment shows which structure, and which levels are used."""

from dataclasses import fields

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from BoneQualityLib.entry.choices import MUSCLE_ROLE, SPINE_ROLES, choose, level_rows, muscle_rows
from BoneQualityLib.parameters import LEVELS, CaseFacts, Parameters
from BoneQualityLib.scene.masks import takes_scheme

from .cases import picked
from .messages import said
from .more_inputs import MoreInputs
from .parameter_node import STATES, camelCase
from .translated import translated

SCROLL_BAR_PIXELS = 4
SELECTORS = ("case", "ct", "ctSegmentation", "t1", "t1Segmentation", "axialMr", "axialMrSegmentation", "fat", "water")
USE_COLUMN, BLOCKED_COLUMN = 3, 4


def elide(selector):
    """Keep a node selector as narrow as the panel; the whole name of its node is in the tooltip."""
    about = selector.toolTip
    selector.setSizePolicy(qt.QSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed))

    def follow(node):
        selector.toolTip = f"{about}: {node.GetName()}" if node is not None else about

    selector.connect("currentNodeChanged(vtkMRMLNode*)", follow)


class InputsSection:
    """The tables in which segments are chosen, and what is missing before a case can be measured."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        self.picked, self.found, self.missing = {}, {}, ""
        self._signature, self._choices = None, []
        self.more = MoreInputs(panel)
        self.ui.resetButton.connect("clicked(bool)", self.onReset)
        self._explain()
        for name in SELECTORS:
            elide(getattr(self.ui, f"{name}Selector"))

    def _explain(self):
        """Tooltips from the library's one description of every fact and parameter."""
        self._choices = []
        for field in (*fields(CaseFacts), *fields(Parameters)):
            for widget in vars(self.ui).values():
                if widget.property("SlicerParameterName") == camelCase(field.name) and field.metadata:
                    unit = field.metadata["unit"]
                    widget.toolTip = translated(field.metadata["help"]) + (f" ({unit})" if unit else "")
                    if field.metadata["choices"]:
                        self._choices.append((widget, field.metadata["choices"]))

    def _translateChoices(self):
        """The parameter node fills its boxes with the library's words; it knows a choice by its place in the list."""
        for box, choices in self._choices:
            for index, choice in enumerate(choices, box.count - len(choices)):  # the first one may be ""
                box.setItemText(index, translated(choice))

    def update(self):
        """Follow the case's parameters and what its segmentations hold now."""
        parameters, ui = self.panel.parameters, self.ui
        self._translateChoices()
        mine = picked(parameters)
        self.picked = {each.role.name: each for each in mine}
        self.found = {each.role.name: self.panel.measuring.find(each) for each in mine}
        for each in mine:
            takesScheme = each.segmentation is not None and takes_scheme(each.segmentation)
            for widget in ("SchemeLabel", "SchemeBox"):
                getattr(ui, camelCase(each.role.name) + widget).visible = takesScheme
        ui.segmentButton.enabled = any(
            getattr(parameters, role) is not None and getattr(parameters, f"{role}Segmentation") is None for role in ("ct", "t1")
        )
        self.more.update(self.picked)
        self._updateTables()
        self.missing = self.panel.measuring.whatIsMissing(parameters, self.found)
        sentences = [translated(fault) for found in self.found.values() for fault in found.faults]
        ui.foundLabel.text = "\n".join([*sentences, *self.panel.measuring.notes(parameters, self.found)])
        ui.foundLabel.visible = bool(ui.foundLabel.text)

    def letGo(self):
        """Hold on to no node: one that outlives its scene is noticed by Slicer when it is no longer in the subject hierarchy."""
        self.picked, self.found = {}, {}

    def watched(self):
        """What the state of the case follows: objects and their events."""
        watched = []
        for each in self.picked.values():
            for node in each.nodes:
                # a lattice that was changed, or voxels through numpy, are said by the node itself
                watched += [(node, vtk.vtkCommand.ModifiedEvent), (node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent)]
                if node.IsA("vtkMRMLVolumeNode"):
                    watched.append((node, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent))
                else:
                    events = slicer.vtkSegmentation
                    watched += [
                        (node.GetSegmentation(), event)
                        for event in (
                            events.SegmentAdded,
                            events.SegmentRemoved,
                            events.SegmentModified,
                            events.SourceRepresentationModified,
                        )
                    ]
        return watched

    # The tables

    def _updateTables(self):
        parameters, table = self.panel.parameters, self.ui.choiceTable
        states = dict(parameters.levelStates)
        levels, muscles = level_rows(self.found), muscle_rows(self.found[MUSCLE_ROLE.name])
        signature = (levels, muscles, [found.segments for found in self.found.values()])
        if signature != self._signature:
            titles = [_("Level"), _("CT segment"), _("T1 segment"), _("Use"), _("CSF blocked")]
            self._build(table, levels, SPINE_ROLES, titles)
            self._build(self.ui.muscleChoiceTable, muscles, [MUSCLE_ROLE], [_("Muscle or disc"), _("Segment")])
            self._signature = signature
        self._showChosen(table, levels, SPINE_ROLES)
        self._showChosen(self.ui.muscleChoiceTable, muscles, [MUSCLE_ROLE])
        for row, structure in enumerate(levels):
            if table.cellWidget(row, USE_COLUMN) is not None:
                table.cellWidget(row, USE_COLUMN).currentIndex = STATES.index(states.get(structure, "used"))
                table.cellWidget(row, BLOCKED_COLUMN).checked = structure in parameters.csfBlocked
        table.setColumnHidden(BLOCKED_COLUMN, parameters.t1Segmentation is None)

    def _showChosen(self, table, rows, roles):
        for column, role in enumerate(roles, 1):
            table.setColumnHidden(column, self.picked[role.name].segmentation is None)
            for row, structure in enumerate(rows):
                box, found = table.cellWidget(row, column), self.found[role.name]
                box.setItemText(0, found.beside.get(structure, "-"))
                box.currentIndex = box.findData(found.shows.get(structure, ""))
                box.toolTip = box.currentText

    def _build(self, table, rows, roles, titles):
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
                table.setCellWidget(row, USE_COLUMN, self._stateBox(structure))
                table.setCellWidget(row, BLOCKED_COLUMN, self._blockedBox(structure))
        table.resizeColumnsToContents()
        height = table.horizontalHeader().height + sum(table.rowHeight(row) for row in range(len(rows)))
        table.setFixedHeight(height + SCROLL_BAR_PIXELS)

    def _stateBox(self, level):
        box = qt.QComboBox()
        for state, title in zip(STATES, (_("used"), _("fractured"), _("cemented"), _("excluded"))):
            box.addItem(title, state)
        box.connect("activated(int)", said(lambda index: self.setState(level, STATES[index])))
        return box

    def _blockedBox(self, level):
        box = qt.QCheckBox()
        box.toolTip = translated(next(field for field in fields(CaseFacts) if field.name == "csf_blocked").metadata["help"])
        box.connect("clicked(bool)", said(lambda checked: self.onCsfBlocked(level, checked)))
        return box

    def _segmentBox(self, role, structure):
        box = qt.QComboBox()
        box.setSizeAdjustPolicy(qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(10)
        box.addItem("-", "")
        for identifier, name in self.found[role.name].segments.items():
            box.addItem(name, identifier)
        box.connect("activated(int)", said(lambda index: self.onSegmentChosen(role, structure, box.itemData(index))))
        return box

    def onSegmentChosen(self, role, structure, identifier):
        mine = self.picked[role.name]
        chosen = choose(mine.segmentation, mine.segments, mine.scheme, structure, identifier)
        setattr(self.panel.parameters, f"{camelCase(role.name)}Segments", chosen)

    def setState(self, level, state):
        """Use a level, or leave it out as "fractured", "cemented" or "excluded"."""
        states = dict(self.panel.parameters.levelStates)
        states.pop(level, None)
        self.panel.parameters.levelStates = states if state == "used" else {**states, level: state}

    def onCsfBlocked(self, level, blocked):
        others = [other for other in self.panel.parameters.csfBlocked if other != level]
        self.panel.parameters.csfBlocked = [*others, level] if blocked else others

    @said
    def onReset(self, checked=False):
        with slicer.util.NodeModify(self.panel.parameters.parameterNode):
            for field in fields(Parameters):
                if field.name != "disc_slices":  # where this patient's discs lie, no method
                    setattr(self.panel.parameters, camelCase(field.name), field.default)
