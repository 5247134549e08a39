"""The scene is closed while the panel is open, and while another module is; the last case is deleted; then all works again."""

import gc
import weakref

import makers

ui = widget.ui


def measure():
    ct = makers.volume("ct")
    masks = makers.segmentation("ct", drawn_on=ct)
    makers.process_events()
    assert widget.parameters.ct is ct and widget.parameters.ctSegmentation is masks
    ui.measureButton.click()
    assert ui.levelTable.rowCount == 2 and ui.resultsSection.enabled


def is_empty():
    return (
        not ui.resultsSection.enabled and not ui.exportSection.enabled and not ui.measureButton.enabled
        and ui.levelTable.rowCount == 0 and ui.cardLabel.text == "" and ui.caseIdEdit.text == "case-1"
    )  # fmt: skip


assert is_empty()
measure()
slicer.util.setSliceViewerLayers(background=widget.parameters.ct)
makers.click_level(widget, "L3", "hu_upper")
watched = [weakref.ref(node) for node in (makers.curve(widget, "L3 upper"), widget.parameters.ctSegmentation)]
slicer.mrmlScene.Clear(0)
makers.process_events()
gc.collect()
assert [node() for node in watched] == [None, None], "closed nodes are not held on to"
assert is_empty(), (ui.measureButton.toolTip, ui.caseIdEdit.text)
measure()
ui.backButton.click()  # no view goes back to a volume that is gone
composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
assert all(node.GetBackgroundVolumeID() is None for node in composites)

# closed while another module is shown
panel.exit()
slicer.mrmlScene.Clear(0)
makers.process_events()
panel.enter()
assert is_empty()
measure()

# results are deleted: the panel shows what is there, and measuring makes them again
slicer.mrmlScene.RemoveNode(makers.curve(widget, "case"))
makers.process_events()
assert ui.caseTable.mrmlTableNode() is None and ui.resultsSection.enabled
slicer.mrmlScene.RemoveNode(makers.curve(widget, "document"))
makers.process_events()
assert not ui.resultsSection.enabled and not ui.exportSection.enabled and ui.stateLabel.text == "Ready to measure."
ui.measureButton.click()
assert ui.resultsSection.enabled and ui.caseTable.mrmlTableNode() is not None

# an input is deleted: said, not measured
other = makers.segmentation("ct", name="another", drawn_on=widget.parameters.ct)
makers.process_events()
slicer.mrmlScene.RemoveNode(widget.parameters.ctSegmentation)
makers.process_events()
assert widget.parameters.ctSegmentation is None and ui.ctSegmentationSelector.currentNode() is None, "nothing takes its place"
assert "give the segmentation of the CT too" in ui.measureButton.toolTip and not ui.measureButton.enabled
assert ui.stateLabel.text.startswith("ct masks was deleted; nothing was chosen in its place. The CT needs a segmentation")
panel.exit()
panel.enter()
makers.volume("t1")
makers.process_events()
assert widget.parameters.ctSegmentation is None, "nor later"
ui.ctSegmentationSelector.setCurrentNode(other)
assert ui.measureButton.enabled
makers.volume("ct", "second CT")
slicer.mrmlScene.RemoveNode(widget.parameters.ct)
makers.process_events()
assert widget.parameters.ct is None and not ui.measureButton.enabled

# the only case is deleted: another one, empty
ui.caseSelector.removeCurrentNode()
makers.process_events()
assert widget.parameters is not None and ui.caseSelector.currentNode() is widget.parameters.parameterNode
assert not messages, messages
