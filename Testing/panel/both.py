"""CT and T1 MRI of one case, the method changed and set back."""

import makers

ui = widget.ui
ct, t1 = makers.volume("ct"), makers.volume("t1")
ct_masks, t1_masks = makers.segmentation("ct", drawn_on=ct), makers.segmentation("t1", drawn_on=t1)
makers.process_events()
parameters = widget.parameters
assert (parameters.ct, parameters.t1) == (ct, t1)
assert (parameters.ctSegmentation, parameters.t1Segmentation) == (ct_masks, t1_masks)
ui.ageEdit.text = "71,5"
ui.sexBox.currentText = "F"
ui.hyperlipidemiaBox.currentText = "yes"
ui.measureButton.click()
case = makers.document(widget)["case"]
assert abs(case["hu_3d"] - 70) < 2 and abs(case["vbq"] - 3.2) < 0.1 and (case["age"], case["sex"]) == (71.5, "F")
assert "hyperlipidemia" in case["flags"] and "prefer HU" in ui.flagsText.toPlainText()
assert all(title in ui.cardLabel.text for title in ("3D-HU", "Multi-slice HU", "VBQ", "56.3", "Doubts: ")), ui.cardLabel.text
assert ui.card.visible and ui.inputsSection.collapsed, "after measuring, inputs fold and the card stands at the top"

# facts and limits that cannot be: said on the button
ui.ageEdit.text = "old"
assert not ui.measureButton.enabled and "'old' is no number" in ui.measureButton.toolTip
ui.ageEdit.text = "400"
assert "from 0 to 125" in ui.measureButton.toolTip
ui.ageEdit.text = ""
assert ui.measureButton.enabled

ui.fatThresholdEdit.text = "much"
assert not ui.measureButton.enabled and "give reference, otsu or a number" in ui.measureButton.toolTip
ui.fatThresholdEdit.text = "reference"
assert ui.measureButton.enabled

# another method is stale until measured; reset brings the papers' back
ui.cancellousMarginSlider.value = 5
ui.slicePlaneBox.currentText = "vertebra"
assert makers.is_stale(ui)
ui.measureButton.click()
other = makers.document(widget)
assert (
    other["parameters"]["cancellous_margin_mm"] == 5
    and other["parameters"]["slice_plane"] == "vertebra"
    and not makers.is_stale(ui)
)
volume = makers.value(widget, "L3", "hu_3d_volume_mm3")
ui.discSlicesEdit.text = "L3-L4=-12.5"
ui.resetButton.click()
assert widget.parameters.discSlices == "L3-L4=-12.5", "where the discs lie is no method"
ui.discSlicesEdit.text = ""
assert (ui.cancellousMarginSlider.value, ui.slicePlaneBox.currentText) == (3, "axial") and makers.is_stale(ui)
ui.measureButton.click()
assert makers.value(widget, "L3", "hu_3d_volume_mm3") > 1.2 * volume

# the folder of the case lies beside its CT
hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
folder = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(makers.curve(widget, "L3 upper")))
assert hierarchy.GetItemName(folder) == "Bone quality case-1"
assert hierarchy.GetItemParent(folder) == hierarchy.GetItemParent(hierarchy.GetItemByDataNode(ct))
