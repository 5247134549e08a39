"""A scene is loaded beside a case that has its id: it gets another one, and both keep what is theirs."""

import tempfile
from pathlib import Path

import makers

from BoneQualityLib.scene import case_nodes
from BoneQualityLib.scene.scene_case import SceneCase

ui = widget.ui
makers.segmentation("ct", drawn_on=makers.volume("ct"))
makers.process_events()
ui.caseIdEdit.text = "saved-1"
ui.ageEdit.text = "64"
ui.measureButton.click()
with tempfile.TemporaryDirectory() as folder:
    scene = str(Path(folder) / "case.mrb")
    slicer.util.saveScene(scene)

    # beside a case that has its id: it gets another one, and both keep what is theirs
    own = makers.scene_state()
    document = makers.document(widget)
    ui.ageEdit.text = "50"
    slicer.util.loadScene(scene)
    makers.process_events()
    assert case_nodes.case_ids() == ["saved-1", "saved-1-2"] and ui.caseSelector.nodeCount() == 2
    state = makers.scene_state()
    assert {node: state[node] for node in own} == own and SceneCase("saved-1").document == document
    for node in widget.logic.getAllParameterNodes():
        ui.caseSelector.setCurrentNode(node)
        assert makers.report(widget).startswith(f"{makers.case(widget)}: ") and ui.measureButton.enabled, ui.measureButton.toolTip
        assert (ui.ageEdit.text, makers.is_stale(ui)) == (("50", True) if makers.case(widget) == "saved-1" else ("64", False))
assert not messages.texts("error"), messages
