"""A click shows the place of a value alone and Views back restores everything; an ellipse is moved by its handles, its value follows."""

import time

import makers
import numpy as np

from BoneQualityLib.scene.case_rois import points_of
from BoneQualityLib.scene.views import view_state

ui = widget.ui
ct = makers.volume("ct")
masks = makers.segmentation("ct", drawn_on=ct)
makers.process_events()
ui.measureButton.click()
document = makers.document(widget)
slicer.util.setSliceViewerLayers(background=ct, fit=True)
makers.process_events()


def state():
    return {key: str(value) for key, value in view_state().items()}


before, renders = state(), views.renders
red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")


def visible():
    """The level and kind of the curves that are to be seen, without the frames of slices."""
    every = slicer.util.getNodesByClass("vtkMRMLMarkupsClosedCurveNode")
    return {node.GetName().removeprefix("case-1 ") for node in every if node.GetDisplayVisibility() and "slice" not in node.GetName()}


makers.click_level(widget, "L3", "hu_upper")
assert views.renders - renders < 20
assert abs(min(red.GetFieldOfView()[:2]) - 110) < 1 and ct.GetDisplayNode().GetWindow() == 1500 and ct.GetDisplayNode().GetLevel() == 300
assert visible() == {"L3 upper", "L3 middle", "L3 lower"} and not masks.GetDisplayVisibility()
display = makers.curve(widget, "regions").GetDisplayNode()
assert display.GetSegmentVisibility("L3_cancellous") and not display.GetSegmentVisibility("L2_cancellous")
assert display.GetVisibility2DOutline() and not display.GetVisibility2DFill()
for name in ("Red", "Yellow", "Green"):
    node = slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceNode{name}")
    there = [node.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
    assert np.allclose(there, makers.points(makers.curve(widget, "L3 upper")).mean(axis=0), atol=0.1)

# the next one by keyboard: the table moves its current cell
ui.levelTable.setCurrentCell(0, ui.levelTable.currentColumn())
assert visible() == {"L2 upper", "L2 middle", "L2 lower"}
ui.allColumnsButton.click()
layout = slicer.app.layoutManager().layout
assert layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView
assert slicer.util.getNodesByClass("vtkMRMLTableViewNode")[0].GetTableNodeID() == makers.curve(widget, "levels").GetID()
ui.backButton.click()
assert state() == before and not ui.backButton.enabled
assert not slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode"), "handles are gone with the place"

# handles: the center moves the ellipse, an axis turns and stretches it; the value stands beside it
makers.click_level(widget, "L3", "hu_middle")
(handles,) = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
placed = points_of(handles)
value = makers.value(widget, "L3", "hu_middle")
assert handles.GetNthControlPointLabel(0) == f"L3 middle: {value:.0f} HU"
started = time.perf_counter()
handles.SetNthControlPointPositionWorld(0, *(placed[0] + [3, 0, 0]))
assert time.perf_counter() - started < 0.3, "one ROI is read again"
assert np.allclose(points_of(handles), placed + [3, 0, 0], atol=1e-6), "the axes follow the center"
along, across = placed[1] - placed[0], placed[2] - placed[0]
normal = np.cross(along, across) / np.linalg.norm(np.cross(along, across))
target = 1.3 * along + 0.2 * across
handles.SetNthControlPointPositionWorld(1, *(placed[0] + [3, 0, 0] + target + 4 * normal))
moved = points_of(handles)
axes = moved[1:] - moved[0]
assert np.allclose(axes[0], target, atol=1e-6), "the axis turns and stretches within its plane"
assert abs(axes[0] @ axes[1]) < 1e-4 and abs(np.linalg.norm(axes[1]) - np.linalg.norm(across)) < 1e-6, (axes, across)
curve = makers.curve(widget, "L3 middle")
offsets = makers.points(curve) - moved[0]
assert np.allclose(((offsets @ axes.T) / (axes**2).sum(axis=1)) ** 2 @ [1, 1], 1, atol=1e-6), "it is an ellipse still"
assert makers.document(widget) == document and curve.GetLocked()
makers.process_events()
assert ui.updateButton.enabled and "ROIs were edited" in ui.stateLabel.text
said = handles.GetNthControlPointLabel(0)
ui.updateButton.click()
row = next(row for row in makers.document(widget)["levels"] if row["level"] == "L3")
roi = next(roi for roi in row["rois"] if roi["kind"] == "middle")
assert roi["edited"] and roi["shape"] == "ellipse" and np.allclose(sorted(roi["semi_axes_mm"]), sorted(np.linalg.norm(axes, axis=1)), atol=1e-5)
assert said == f"L3 middle: {row['hu_middle']:.0f} HU", (said, row["hu_middle"])

# back to where it was placed
makers.click_level(widget, "L2", "hu_middle")
makers.click_level(widget, "L3", "hu_middle")
ui.resetRoiButton.click()
ui.updateButton.click()
assert makers.document(widget) == document
ui.backButton.click()

# an ellipse that was reshaped point by point is none any more: no handles, which would show another value and put it back
curve = makers.curve(widget, "L3 upper")
reshaped = makers.points(curve)
reshaped[0] += [1, 0, 0]
curve.SetNthControlPointPositionWorld(0, *reshaped[0])
makers.click_level(widget, "L3", "hu_upper")
assert not slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode") and np.allclose(makers.points(curve), reshaped)
ui.resetRoiButton.click()
assert slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode") and not ui.updateButton.enabled
ui.backButton.click()
assert not messages, messages
