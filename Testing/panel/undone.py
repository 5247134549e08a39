"""Undo of an edit, of a ROI in hand and of a parameter, where the scene keeps undo states: the panel follows."""

import makers
import numpy as np

ui, scene = widget.ui, slicer.mrmlScene
ct = makers.volume("ct")
masks = makers.segmentation("ct", drawn_on=ct)
makers.process_events()
ui.measureButton.click()
document, curve = makers.document(widget), makers.curve(widget, "L3 upper")
placed = makers.points(curve)
scene.SetUndoOn()
curve.SetUndoEnabled(True)
scene.SaveStateForUndo(curve)
makers.move(curve, [2, 0, 0])
makers.process_events()
assert ui.updateButton.enabled
scene.Undo()
makers.process_events()
assert np.allclose(makers.points(makers.curve(widget, "L3 upper")), placed) and not ui.updateButton.enabled
scene.Redo()
makers.process_events()
assert ui.updateButton.enabled
scene.Undo()
makers.process_events()

# of a ROI in hand too: its handles and its value follow, and go with it
makers.click_level(widget, "L3", "hu_upper")


def handles():
    return slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")


(held,) = handles()
middle, said = makers.points(held)[0], held.GetNthControlPointLabel(0)
scene.SaveStateForUndo(curve)
held.SetNthControlPointPositionWorld(0, *(middle + [6, 0, 0]))
makers.process_events()
assert ui.updateButton.enabled
scene.Undo()
makers.process_events()
(held,) = handles()
assert np.allclose(makers.points(held)[0], middle) and held.GetNthControlPointLabel(0) == said and not ui.updateButton.enabled
scene.Redo()
makers.process_events()
assert np.allclose(makers.points(handles()[0])[0], middle + [6, 0, 0]) and ui.updateButton.enabled
scene.RemoveNode(curve)
makers.process_events()
assert not handles() and not ui.resetRoiButton.enabled and "L3 upper" in ui.updateButton.toolTip
ui.updateButton.click()
assert np.allclose(makers.points(makers.curve(widget, "L3 upper")), placed) and handles() and ui.resetRoiButton.enabled
ui.backButton.click()
assert makers.document(widget) == document and not handles()

node = widget.parameters.parameterNode
node.SetUndoEnabled(True)
scene.SaveStateForUndo(node)
ui.cancellousMarginSlider.value = 6
assert makers.is_stale(ui)
scene.Undo()
makers.process_events()
assert ui.cancellousMarginSlider.value == 3 and widget.parameters.cancellousMarginMm == 3 and not makers.is_stale(ui)
ui.measureButton.click()
assert makers.document(widget) == document and not messages, messages
scene.SetUndoOff()
