"""A scene is loaded while another module is shown. (Once: the runner's core cannot load a scene with two segmentations twice.)"""

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
    panel.exit()
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(scene)
    makers.process_events()
    panel.enter()
    assert makers.case(widget) == "case-1" and ui.caseSelector.nodeCount() == 1 and makers.document(widget) == document
    assert not makers.is_stale(ui) and ui.measureButton.enabled, ui.stateLabel.text
assert not messages.texts("error"), messages
