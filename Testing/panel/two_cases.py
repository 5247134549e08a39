"""Two cases in one scene: neither touches the other's nodes, and switching shows each with its own."""

import makers

from BoneQualityLib.phantoms import demo
from BoneQualityLib.scene import case_nodes

ui = widget.ui
first_ct = makers.volume("ct", "CT of the first")
first_masks = makers.segmentation("ct", drawn_on=first_ct, name="first masks")
makers.process_events()
first = widget._parameterNode.parameterNode
ui.caseIdEdit.text = "first"
ui.measureButton.click()
before = makers.scene_state()

# a second case takes nothing of the first one's, not even what was made from it
second = ui.caseSelector.addNode()
makers.process_events()
assert widget._parameterNode.parameterNode is second and widget._parameterNode.caseId not in ("", "first")
assert widget._parameterNode.ct is None and widget._parameterNode.ctSegmentation is None
assert not ui.resultsSection.enabled and ui.levelTable.mrmlTableNode() is None
second_ct = makers.volume("ct", "CT of the second")
slicer.util.arrayFromVolume(second_ct)[:, 2:] += 100
makers.process_events()
assert widget._parameterNode.ct is second_ct and widget._parameterNode.ctSegmentation is None, "no region of the first case"
second_masks = makers.segmentation("ct", drawn_on=second_ct, name="second masks")
makers.process_events()
assert (widget._parameterNode.ct, widget._parameterNode.ctSegmentation) == (second_ct, second_masks)

# the same id twice is refused, as the id names the files and the nodes
ui.caseIdEdit.text = "first"
assert not ui.measureButton.enabled and "Another case of this scene has the id first" in ui.measureButton.toolTip
ui.caseIdEdit.text = "second"
ui.measureButton.click()
ui.caseSelector.setCurrentNode(first)
ui.caseIdEdit.text = "second"
assert ui.reportEdit.text.startswith("first: 3D-HU 70") and not ui.measureButton.enabled, "its own results stay on the panel"
makers.move(case_nodes.node_of("second", "L3 upper"), [1, 0, 0])
makers.process_events()
assert not ui.updateButton.enabled, "another case's edits are not this one's"
makers.move(case_nodes.node_of("second", "L3 upper"), [-1, 0, 0])
curve = case_nodes.node_of("first", "L3 upper")
placed = makers.points(curve)
makers.move(curve, [1, 0, 0])
makers.process_events()
unread = makers.scene_state()
ui.updateButton.click()
assert messages.texts("error") == ["Another case of this scene has the id second: give this one another."]
assert makers.scene_state() == unread
for n, point in enumerate(placed):
    curve.SetNthControlPointPositionWorld(n, *point)
ui.caseSelector.setCurrentNode(second)
ui.caseIdEdit.text = "first"
assert not ui.measureButton.enabled, "the first case's results lie under this id still"
ui.caseIdEdit.text = "second"
ui.caseSelector.setCurrentNode(first)
ui.caseIdEdit.text = "first"
ui.caseSelector.setCurrentNode(second)
after = makers.scene_state()
assert {node: after[node] for node in before} == before, "the first case's nodes are as they were"
assert set(case_nodes.case_ids()) == {"first", "second"}
assert makers.value(widget, "L3", "hu_3d") > 150

for _ in range(2):
    ui.caseSelector.setCurrentNode(first)
    assert widget._parameterNode.ct is first_ct and widget._parameterNode.ctSegmentation is first_masks
    assert makers.case(widget) == "first" and abs(makers.value(widget, "L3", "hu_3d") - 60) < 2
    assert ui.levelTable.mrmlTableNode().GetName() == "first levels" and ui.reportEdit.text.startswith("first: ")
    ui.caseSelector.setCurrentNode(second)
    assert widget._parameterNode.ct is second_ct and ui.levelTable.mrmlTableNode().GetName() == "second levels"
assert makers.scene_state() == after

# the cases exchange their ids by way of a third one, and their results go along
ui.caseSelector.setCurrentNode(first)
ui.caseIdEdit.text = "third"
ui.caseSelector.setCurrentNode(second)
ui.caseIdEdit.text = "first"
ui.caseSelector.setCurrentNode(first)
ui.caseIdEdit.text = "second"
assert abs(makers.value(widget, "L3", "hu_3d") - 60) < 2 and not ui.staleLabel.visible
ui.caseIdEdit.text = "third"
ui.caseSelector.setCurrentNode(second)
assert makers.value(widget, "L3", "hu_3d") > 150 and not ui.staleLabel.visible
ui.caseIdEdit.text = "second"
ui.caseSelector.setCurrentNode(first)
ui.caseIdEdit.text = "first"
ui.caseSelector.setCurrentNode(second)

# edits belong to one case
makers.move(case_nodes.node_of("first", "L3 upper"), [1, 0, 0])
makers.process_events()
assert not ui.updateButton.enabled
ui.caseSelector.setCurrentNode(first)
assert ui.updateButton.enabled and "L3 upper" in ui.updateButton.toolTip
ui.updateButton.click()
assert makers.value(widget, "L3", "edited") == "upper" and case_nodes.edited_names("second") == []

# hiding the first leaves the second
ui.showRoisButton.click()
assert not case_nodes.are_visible("first") and case_nodes.are_visible("second")

# two demos, here with fewer levels, are two cases
demo.demo_spine = makers.spine
ui.caseSelector.setCurrentNode(second)
ui.loadDemoButton.click()
assert makers.case(widget) == "demo" and ui.measureButton.enabled
ui.loadDemoButton.click()
assert makers.case(widget) == "demo-2" and ui.measureButton.enabled and ui.caseSelector.nodeCount() == 4
assert len(messages) == 1, messages
