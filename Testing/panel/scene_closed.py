"""The scene is closed while the panel is open, and while another module is; the last case is deleted; then all works again."""

import gc
import weakref

import makers

ui = widget.ui


def measure():
    ct = makers.volume("ct")
    masks = makers.segmentation("ct", drawn_on=ct)
    makers.process_events()
    assert widget._parameterNode.ct is ct and widget._parameterNode.ctSegmentation is masks
    ui.measureButton.click()
    assert ui.levelTable.model().rowCount() == 2 and ui.resultsSection.enabled


def is_empty():
    return (
        not ui.resultsSection.enabled and not ui.exportSection.enabled and not ui.measureButton.enabled
        and ui.levelTable.mrmlTableNode() is None and ui.reportEdit.text == "" and ui.caseIdEdit.text == "case-1"
    )  # fmt: skip


assert is_empty()
measure()
slicer.util.setSliceViewerLayers(background=widget._parameterNode.ct)
makers.click_cell(ui.levelTable, "L3", "hu_upper")
watched = [weakref.ref(node) for node in (makers.curve(widget, "L3 upper"), widget._parameterNode.ctSegmentation)]
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
slicer.mrmlScene.RemoveNode(makers.curve(widget, "summary"))
makers.process_events()
assert ui.summaryTable.mrmlTableNode() is None and not ui.summaryTable.visible and ui.resultsSection.enabled
slicer.mrmlScene.RemoveNode(makers.curve(widget, "document"))
makers.process_events()
assert not ui.resultsSection.enabled and not ui.exportSection.enabled and "Not measured" in ui.staleLabel.text
ui.measureButton.click()
assert ui.resultsSection.enabled and ui.summaryTable.mrmlTableNode() is not None

# an input is deleted: said, not measured
slicer.mrmlScene.RemoveNode(widget._parameterNode.ctSegmentation)
assert ui.measureButton.toolTip == "Choose the segmentation of the CT, CT." and not ui.measureButton.enabled

# the only case is deleted: another one, empty
ui.caseSelector.removeCurrentNode()
makers.process_events()
assert widget._parameterNode is not None and ui.caseSelector.currentNode() is widget._parameterNode.parameterNode
assert not messages, messages
