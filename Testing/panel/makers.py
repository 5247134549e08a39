"""What the drive scripts of the panel share: small cases in the scene, and a person's hand.

The drives run in the panel itself, where there is one: `run_panel.py --module BoneQuality/BoneQuality.py --path Testing/panel
--script Testing/panel/ct_only.py` (test_panel.py does that).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import qt
import slicer

from BoneQualityLib.image.mask import Mask
from BoneQualityLib.outputs.summary import report_line
from BoneQualityLib.phantoms import phantom_spine
from BoneQualityLib.scene.nodes import segmentation_node, volume_node
from BoneQualityLib.scene.scene_case import SceneCase
from BoneQualityPanel.results_section import COLUMNS as LEVEL_COLUMNS

HU, T1, CSF_T1 = {"L2": 80, "L3": 60}, {"L2": 300, "L3": 340}, 100.0
COLUMNS = dict(ct=1, t1=2, use=3, csf_blocked=4)


@cache
def spine():
    return phantom_spine.lumbar_spine(tuple(HU), cancellous_hu=HU, marrow_t1=T1, csf_t1=CSF_T1, posterior_elements=False)


@cache
def grid(role):
    if role == "ct":
        return phantom_spine.grid_for(spine(), (1.5, 1.5, 2.0), margin_mm=10)
    return phantom_spine.grid_for(spine(), (1.0, 1.0, 4.0), orientation="sagittal", margin_mm=10)


@cache
def array(role):
    if role == "t1":
        return phantom_spine.render_t1(spine(), grid(role), 4, seed=2)
    image = phantom_spine.render_ct(spine(), grid(role), 5, seed=1)
    image[:, :2] = -1000
    return image


def bodies(role, names="{} body"):
    return [Mask(names.format(v.level), phantom_spine.body_mask(v, grid(role)), grid(role)).cropped() for v in spine().vertebrae]


def sac(name="thecal sac"):
    return Mask(name, phantom_spine.sac_mask(spine(), grid("t1")), grid("t1")).cropped()


def volume(role, name=None):
    node = volume_node(name or {"ct": "CT", "t1": "T1"}[role], array(role), grid(role))
    node.CreateDefaultDisplayNodes()
    return node


def segmentation(role, masks=None, name=None, drawn_on=None):
    node = segmentation_node(name or f"{role} masks", masks or bodies(role) + ([sac()] if role == "t1" else []))
    node.CreateDefaultDisplayNodes()
    if drawn_on is not None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(drawn_on)
    return node


def label_map(role, values, name="labels"):
    """The bodies, and on T1 the sac, as one label map with the given values."""
    labels = np.zeros(grid(role).shape, np.int16)
    solids = [phantom_spine.body_mask(v, grid(role)) for v in spine().vertebrae]
    solids += [phantom_spine.sac_mask(spine(), grid(role))] if role == "t1" else []
    for value, solid in zip(values, solids, strict=True):
        labels[solid] = value
    return volume_node(name, labels, grid(role), label_map=True)


def case(widget):
    """The id of the case that the panel shows."""
    return widget.parameters.caseId


def document(widget):
    return SceneCase(case(widget)).document


def value(widget, level, column):
    """A number of the level table, as the scene holds it; None where it was not measured."""
    return next(row for row in document(widget)["levels"] if row["level"] == level).get(column)


def report(widget):
    """The report's line of the case that the panel shows."""
    return report_line(widget.case.document)


def is_stale(ui):
    """Whether the panel says that the values are old."""
    return "measure again" in ui.stateLabel.text


def scene_state():
    """Every node of the scene with what it holds, as a person would notice a change."""
    nodes = (slicer.mrmlScene.GetNthNode(n) for n in range(slicer.mrmlScene.GetNumberOfNodes()))
    return {node.GetID(): (node.GetName(), content(node)) for node in nodes if not node.IsA("vtkMRMLScriptedModuleNode")}


def content(node):
    if node.IsA("vtkMRMLTableNode"):
        return [
            [node.GetCellText(row, column) for column in range(node.GetNumberOfColumns())] for row in range(node.GetNumberOfRows())
        ]
    if node.IsA("vtkMRMLMarkupsNode"):
        return points(node).tolist()
    if node.IsA("vtkMRMLTextNode"):
        return node.GetText()
    return node.GetSegmentation().GetNumberOfSegments() if node.IsA("vtkMRMLSegmentationNode") else None


def process_events():
    """Let timers of no interval fire, and those that wait for a person to pause."""
    loop = qt.QEventLoop()
    qt.QTimer.singleShot(400, loop.quit)
    loop.exec_()


# A person's hand


def row_of(ui, structure):
    table = ui.choiceTable
    return next(row for row in range(table.rowCount) if table.item(row, 0).text() == structure)


def box(ui, structure, column):
    return ui.choiceTable.cellWidget(row_of(ui, structure), COLUMNS[column])


def pick(ui, structure, column, text):
    """Choose an entry of a combo box in the table of levels."""
    found = box(ui, structure, column)
    index = found.findText(text)
    assert index >= 0, f"{text} is no choice for {structure}"
    found.currentIndex = index
    found.activated.emit(index)


def click_level(widget, level, column):
    """Click a cell of the table of levels, a column by what the document calls it."""
    names = [name for name, *_ in LEVEL_COLUMNS]
    widget.ui.levelTable.setCurrentCell(widget.results.levels.index(level), names.index(column))


def click_muscle(widget, row):
    """Click a row of the table of muscles."""
    widget.ui.muscleTable.setCurrentCell(row, 1)


def points(curve):
    return np.array([curve.GetNthControlPointPositionWorld(n) for n in range(curve.GetNumberOfControlPoints())]).reshape(-1, 3)


def curve(widget, role):
    return SceneCase(case(widget)).node(role)


def move(node, offset):
    """Drag a whole curve."""
    for n, point in enumerate(points(node)):
        node.SetNthControlPointPositionWorld(n, *(float(x) for x in point + offset))


def shrink(node, factor):
    """Reshape a curve about its middle."""
    middle = points(node).mean(axis=0)
    for n, point in enumerate(points(node)):
        node.SetNthControlPointPositionWorld(n, *(float(x) for x in middle + factor * (point - middle)))
