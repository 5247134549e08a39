"""Undo of an edit and of a parameter, where the scene keeps undo states: the panel follows."""

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
