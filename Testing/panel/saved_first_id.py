"""A scene is loaded whose case has the id that the empty case of the panel begins with."""

import tempfile
from pathlib import Path

import makers

ui = widget.ui
makers.segmentation("ct", drawn_on=makers.volume("ct"))
makers.process_events()
ui.ageEdit.text = "64"
ui.measureButton.click()
document = makers.document(widget)
with tempfile.TemporaryDirectory() as folder:
    scene = str(Path(folder) / "first.mrb")
    slicer.util.saveScene(scene)
    slicer.mrmlScene.Clear(0)
    makers.process_events()
    assert makers.case(widget) == "case-1" and makers.document(widget) is None
    slicer.util.loadScene(scene)
    makers.process_events()
    assert makers.case(widget) == "case-1" and ui.caseSelector.nodeCount() == 1 and makers.document(widget) == document
    assert not makers.is_stale(ui) and ui.measureButton.enabled, ui.stateLabel.text
assert not messages.texts("error"), messages
