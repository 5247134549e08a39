"""An MRI picked as CT, and a CT as T1: said with the remedy, nothing changed. What nobody picked is not measured."""

import makers

ui = widget.ui
ct, t1 = makers.volume("ct"), makers.volume("t1")
ct_masks, t1_masks = makers.segmentation("ct", drawn_on=ct), makers.segmentation("t1", drawn_on=t1)
makers.process_events()
ui.measureButton.click()
before, document = makers.scene_state(), makers.document(widget)

ui.ctSelector.setCurrentNode(t1)
assert ui.measureButton.enabled, "what an image is shows when it is read"
ui.measureButton.click()
assert messages.texts("error") == [
    "T1 has no value below 0, so it is not in HU: choose the CT, or import it again with its rescaling."
]
assert makers.scene_state() == before and makers.document(widget) == document

ui.ctSelector.setCurrentNode(ct)
ui.t1Selector.setCurrentNode(ct)
ui.measureButton.click()
assert "like a CT in HU; choose the T1 MRI" in messages.texts("error")[-1]
assert makers.scene_state() == before and makers.document(widget) == document

# the masks of the other image lie elsewhere or are another thing: nothing is guessed, nothing changes
ui.t1Selector.setCurrentNode(t1)
ui.t1SegmentationSelector.setCurrentNode(None)
assert "give the segmentation of the T1 MRI too" in ui.measureButton.toolTip
ui.t1SegmentationSelector.setCurrentNode(t1_masks)
ui.measureButton.click()
assert makers.document(widget) == document

# an input is deleted while another case is shown, or the panel is away: nothing takes its place
first = widget.parameters
free = makers.segmentation("ct", name="free", drawn_on=ct), makers.segmentation("t1", name="free too", drawn_on=t1)
ui.caseSelector.addNode()
makers.process_events()
slicer.mrmlScene.RemoveNode(ct_masks)
panel.exit()
slicer.mrmlScene.RemoveNode(t1_masks)
panel.enter()
ui.caseSelector.setCurrentNode(first.parameterNode)
makers.process_events()
assert widget.parameters is first and first.ctSegmentation is None and first.t1Segmentation is None
assert "The CT needs a segmentation" in ui.stateLabel.text and not ui.measureButton.enabled
