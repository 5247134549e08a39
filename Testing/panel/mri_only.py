"""A T1 MRI and its masks alone: VBQ, its places, nothing of CT."""

import makers

ui = widget.ui
t1 = makers.volume("t1", "T1 sagittal")
masks = makers.segmentation("t1")
makers.process_events()
parameters = widget.parameters
assert (parameters.ct, parameters.ctSegmentation) == (None, None)
assert parameters.t1 is t1 and parameters.t1Segmentation is masks
assert makers.box(ui, "thecal sac", "t1").currentText == "thecal sac"
assert ui.choiceTable.isColumnHidden(1) and not ui.choiceTable.isColumnHidden(4)
ui.measureButton.click()
assert not messages, messages
case = makers.document(widget)["case"]
assert abs(case["vbq"] - 3.2) < 0.1 and case["csf_level"] == "L3", case
assert case.get("hu_3d") is None
assert makers.curve(widget, "regions") is None and makers.curve(widget, "L3 marrow") is not None
assert f"VBQ {case['vbq']:.2f}" in makers.report(widget) and "3D-HU" not in makers.report(widget)
titles = [name for name, *_ in makers.LEVEL_COLUMNS]
assert ui.levelTable.isColumnHidden(titles.index("hu_3d")) and not ui.levelTable.isColumnHidden(titles.index("vbq_single_level"))

# CSF ruled out at L3: read at L2, and said
makers.box(ui, "L3", "csf_blocked").click()
ui.measureButton.click()
assert makers.document(widget)["case"]["csf_level"] == "L2" and "csf-level" in makers.document(widget)["case"]["flags"]
assert "CSF was not read at L3" in ui.flagsText.toPlainText()

# to the marrow of a level, and to the CSF
yellow = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeYellow")
for show, role in (
    (lambda: makers.click_level(widget, "L3", "vbq_single_level"), "L3 marrow"),
    (lambda: ui.cardLabel.linkActivated.emit("place:vbq"), "L2 csf"),
):
    show()
    plane = makers.points(makers.curve(widget, f"{role} slice"))
    there = [yellow.GetSliceToRAS().GetElement(n, 3) for n in range(3)]
    assert abs(there - plane.mean(axis=0)).max() < 0.1, (role, there)
ui.backButton.click()

# CSF that a person drew is read whole: it has no curve that could be missing
masks.GetSegmentation().GetNthSegment(2).SetName("CSF L2")
makers.process_events()
ui.measureButton.click()
assert makers.document(widget)["case"]["csf_level"] == "L2" and ui.stateLabel.text == "Measured." and not ui.updateButton.enabled
