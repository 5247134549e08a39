"""Segments and labels without a telling name: a person says in the table what they show."""

import makers

ui = widget.ui
ct, t1 = makers.volume("ct"), makers.volume("t1")
upper, lower = makers.bodies("ct")
strange = [makers.Mask("Segment_1", upper.array, upper.grid), makers.Mask("Wirbel unten", lower.array, lower.grid)]
ct_masks = makers.segmentation("ct", strange, name="Spine", drawn_on=ct)
canal, (upper, lower) = makers.sac("tube"), makers.bodies("t1", "part of {}")
t1_masks = makers.segmentation("t1", [canal, upper, lower], drawn_on=t1)
makers.process_events()
parameters = widget.parameters
assert parameters.ct is ct and parameters.ctSegmentation is None, "what shows no vertebra is not chosen by itself"
ui.ctSelector.setCurrentNode(ct)
ui.ctSegmentationSelector.setCurrentNode(ct_masks)
ui.t1Selector.setCurrentNode(None)
assert not ui.measureButton.enabled
assert "Choose in the table of levels which segments of Spine show which." in ui.measureButton.toolTip

makers.pick(ui, "L2", "ct", "Segment_1")
assert makers.box(ui, "L2", "ct").currentText == "Segment_1" and ui.measureButton.enabled
makers.pick(ui, "L3", "ct", "Wirbel unten")
ui.measureButton.click()
assert abs(makers.value(widget, "L2", "hu_3d") - 80) < 2 and abs(makers.value(widget, "L3", "hu_3d") - 60) < 2

# a segment that is painted on, or called otherwise, is not the one that was measured
mask = ct_masks.GetSegmentation().GetSegment("Segment_1").GetRepresentation("Binary labelmap").GetPointData().GetScalars()
for value in (0, 1):
    mask.SetTuple1(mask.GetNumberOfTuples() // 2, value)
    mask.Modified()
    panel.exit()
    panel.enter()
    assert makers.is_stale(ui) == (value == 0)
makers.pick(ui, "L3", "ct", "-")
assert makers.is_stale(ui)
makers.pick(ui, "L3", "ct", "Wirbel unten")
assert not makers.is_stale(ui)

# exchanged: the choice moves from one level to the other
makers.pick(ui, "L3", "ct", "Segment_1")
assert makers.box(ui, "L2", "ct").currentText == "-" and makers.box(ui, "L3", "ct").currentText == "Segment_1"
makers.pick(ui, "L2", "ct", "Wirbel unten")
ui.measureButton.click()
assert abs(makers.value(widget, "L3", "hu_3d") - 80) < 2 and "level-order" in makers.document(widget)["case"]["flags"]

# the sac too
ui.ctSelector.setCurrentNode(None)
ui.ctSegmentationSelector.setCurrentNode(None)
ui.t1Selector.setCurrentNode(t1)
ui.t1SegmentationSelector.setCurrentNode(t1_masks)
makers.pick(ui, "L2", "t1", "part of L2")
makers.pick(ui, "L3", "t1", "part of L3")
ui.measureButton.click()
assert makers.document(widget)["case"].get("vbq") is None and "no CSF or sac" in ui.flagsText.toPlainText()
makers.pick(ui, "thecal sac", "t1", "tube")
ui.measureButton.click()
assert abs(makers.document(widget)["case"]["vbq"] - 3.2) < 0.1

# a segment that is renamed is understood at once, and one that is removed is forgotten
makers.pick(ui, "thecal sac", "t1", "-")
t1_masks.GetSegmentation().GetSegment("tube").SetName("thecal sac")
makers.process_events()
assert makers.box(ui, "thecal sac", "t1").currentText == "thecal sac"
makers.pick(ui, "thecal sac", "t1", "-")
assert makers.box(ui, "thecal sac", "t1").currentText == "-", "a person's choice goes before a name"
makers.pick(ui, "thecal sac", "t1", "thecal sac")
t1_masks.GetSegmentation().RemoveSegment("tube")
makers.process_events()
assert makers.box(ui, "thecal sac", "t1").currentText == "-" and ui.measureButton.enabled

# a label map: a number is never guessed; by its scheme, or by hand
labels = makers.label_map("ct", (21, 22), "verse labels")
ui.t1Selector.setCurrentNode(None)
ui.t1SegmentationSelector.setCurrentNode(None)
ui.ctSelector.setCurrentNode(ct)
assert not ui.ctSchemeBox.visible
ui.ctSegmentationSelector.setCurrentNode(labels)
assert ui.ctSchemeBox.visible and not ui.measureButton.enabled
assert "Choose the label scheme of verse labels, or in the table of levels which labels show which." in ui.measureButton.toolTip
ui.ctSchemeBox.currentText = "verse"
assert makers.box(ui, "L2", "ct").currentText.startswith("21") and ui.measureButton.enabled, ui.measureButton.toolTip
ui.measureButton.click()
assert abs(makers.value(widget, "L2", "hu_3d") - 80) < 2
ui.ctSchemeBox.currentText = ""
assert not ui.measureButton.enabled
makers.pick(ui, "L2", "ct", "22")
ui.measureButton.click()
assert abs(makers.value(widget, "L2", "hu_3d") - 60) < 2 and len(makers.document(widget)["levels"]) == 1
assert not messages, messages
