"""A measured case gets another id: its results and edits go along, once the id can be used and is no other case's."""

import makers

from BoneQualityLib.scene import case_nodes
from BoneQualityLib.scene.scene_case import SceneCase

ui = widget.ui
makers.segmentation("ct", drawn_on=makers.volume("ct"))
makers.process_events()
ui.caseIdEdit.text = "first"
ui.measureButton.click()
makers.move(SceneCase("first").node("L3 upper"), [1, 0, 0])
makers.process_events()
ui.updateButton.click()
nodes = {role: node.GetID() for role, node in case_nodes.nodes_of("first").items()}

# letter by letter, over ids that cannot be used
for typed in ("firs", "", "ü", "s", "second"):
    ui.caseIdEdit.text = typed
assert case_nodes.case_ids() == ["second"]
assert {role: node.GetID() for role, node in case_nodes.nodes_of("second").items()} == nodes
assert makers.case(widget) == "second" and makers.value(widget, "L3", "edited") == "upper"
assert widget.case.node("levels").GetName() == "second levels" and makers.report(widget).startswith("second: ")
assert not makers.is_stale(ui), ui.stateLabel.text

# another case's id is left to it; the results wait under theirs
first = widget.parameters.parameterNode
ui.caseSelector.addNode()
makers.process_events()
other = widget.parameters.caseId
ui.caseSelector.setCurrentNode(first)
ui.caseIdEdit.text = other
assert case_nodes.case_ids() == ["second"] and not ui.measureButton.enabled and not ui.exportButton.enabled
ui.caseIdEdit.text = "third"
assert case_nodes.case_ids() == ["third"] and makers.value(widget, "L3", "edited") == "upper"
assert not messages, messages
