"""Two cases in one scene: neither touches the other's nodes, and switching shows each with its own."""

import makers

from BoneQualityLib.phantoms import demo
from BoneQualityLib.scene import case_nodes
from BoneQualityLib.scene.scene_case import SceneCase

ui = widget.ui
first_ct = makers.volume("ct", "CT of the first")
first_masks = makers.segmentation("ct", drawn_on=first_ct, name="first masks")
makers.process_events()
first = widget.parameters.parameterNode
ui.caseIdEdit.text = "first"
ui.measureButton.click()
before = makers.scene_state()

# a second case takes nothing of the first one's, not even what was made from it
second = ui.caseSelector.addNode()
makers.process_events()
assert widget.parameters.parameterNode is second and widget.parameters.caseId not in ("", "first")
assert widget.parameters.ct is None and widget.parameters.ctSegmentation is None
assert not ui.resultsSection.enabled and ui.levelTable.rowCount == 0
second_ct = makers.volume("ct", "CT of the second")
slicer.util.arrayFromVolume(second_ct)[:, 2:] += 45
makers.process_events()
assert widget.parameters.ct is second_ct and widget.parameters.ctSegmentation is None, "no region of the first case"
second_masks = makers.segmentation("ct", drawn_on=second_ct, name="second masks")
makers.process_events()
assert (widget.parameters.ct, widget.parameters.ctSegmentation) == (second_ct, second_masks)

# the same id twice is refused, as the id names the files and the nodes
ui.caseIdEdit.text = "first"
assert not ui.measureButton.enabled and "Another case of this scene has the id first" in ui.measureButton.toolTip
ui.caseIdEdit.text = "second"
ui.measureButton.click()
ui.caseSelector.setCurrentNode(first)
ui.caseIdEdit.text = "second"
assert makers.report(widget).startswith("first: 3D-HU 70") and not ui.measureButton.enabled, "its own results stay on the panel"
makers.move(SceneCase("second").node("L3 upper"), [1, 0, 0])
makers.process_events()
assert not ui.updateButton.enabled, "another case's edits are not this one's"
makers.move(SceneCase("second").node("L3 upper"), [-1, 0, 0])
curve = SceneCase("first").node("L3 upper")
placed = makers.points(curve)
makers.move(curve, [1, 0, 0])
makers.process_events()
assert ui.updateButton.visible and not ui.updateButton.enabled
assert ui.updateButton.toolTip == "<p>Another case of this scene has the id second: give this one another.</p>", ui.updateButton.toolTip
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
assert makers.value(widget, "L3", "hu_3d") > 95

for _ in range(2):
    ui.caseSelector.setCurrentNode(first)
    assert widget.parameters.ct is first_ct and widget.parameters.ctSegmentation is first_masks
    assert makers.case(widget) == "first" and abs(makers.value(widget, "L3", "hu_3d") - 60) < 2
    assert widget.case.node("levels").GetName() == "first levels" and makers.report(widget).startswith("first: ")
    ui.caseSelector.setCurrentNode(second)
    assert widget.parameters.ct is second_ct and widget.case.node("levels").GetName() == "second levels"
assert makers.scene_state() == after

# the cases exchange their ids by way of a third one, and their results go along
ui.caseSelector.setCurrentNode(first)
ui.caseIdEdit.text = "third"
ui.caseSelector.setCurrentNode(second)
ui.caseIdEdit.text = "first"
ui.caseSelector.setCurrentNode(first)
ui.caseIdEdit.text = "second"
assert abs(makers.value(widget, "L3", "hu_3d") - 60) < 2 and not makers.is_stale(ui)
ui.caseIdEdit.text = "third"
ui.caseSelector.setCurrentNode(second)
assert makers.value(widget, "L3", "hu_3d") > 95 and not makers.is_stale(ui)
ui.caseIdEdit.text = "second"
ui.caseSelector.setCurrentNode(first)
ui.caseIdEdit.text = "first"
ui.caseSelector.setCurrentNode(second)

# edits belong to one case
makers.move(SceneCase("first").node("L3 upper"), [1, 0, 0])
makers.process_events()
assert not ui.updateButton.enabled
ui.caseSelector.setCurrentNode(first)
assert ui.updateButton.enabled and "L3 upper" in ui.updateButton.toolTip
ui.updateButton.click()
assert makers.value(widget, "L3", "edited") == "upper" and SceneCase("second").edited_names() == []

# only the shown case's ROIs are to be seen and to be moved; what a person hid stays hidden
of_first, of_second = (SceneCase(name).node("L3 upper") for name in ("first", "second"))
assert SceneCase("first").is_visible() and not SceneCase("second").is_visible()
assert of_second.GetLocked() and not of_first.GetLocked()
SceneCase("first").node("L3 lower").SetDisplayVisibility(False)
ui.caseSelector.setCurrentNode(second)
assert SceneCase("second").is_visible() and not SceneCase("first").is_visible()
background = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")[0].GetBackgroundVolumeID()
assert background == second_ct.GetID() and of_first.GetLocked() and not of_second.GetLocked()
ui.caseSelector.setCurrentNode(first)
assert of_first.GetDisplayVisibility() and not SceneCase("first").node("L3 lower").GetDisplayVisibility()
ui.showRoisButton.click()
assert not SceneCase("first").is_visible()

# two demos, here with fewer levels, are two cases
demo.demo_spine = makers.spine
ui.caseSelector.setCurrentNode(second)
ui.loadDemoButton.click()
assert makers.case(widget) == "demo" and ui.measureButton.enabled
ui.loadDemoButton.click()
assert makers.case(widget) == "demo-2" and ui.measureButton.enabled and ui.caseSelector.nodeCount() == 4
assert not messages, messages
