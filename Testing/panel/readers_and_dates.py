"""A second reader starts blind and both readings are compared; two dates are compared with the views side by side."""

import makers

from BoneQualityLib.scene.scene_case import SceneCase

ui = widget.ui
ct, t1 = makers.volume("ct"), makers.volume("t1")
masks = makers.segmentation("ct", drawn_on=ct), makers.segmentation("t1", drawn_on=t1)
makers.process_events()
ui.caseIdEdit.text = "a"
ui.readerEdit.text = "r1"
makers.pick(ui, "L2", "use", "cemented")
assert not ui.secondReaderButton.enabled and not ui.compareDatesButton.enabled
ui.measureButton.click()
first = widget.parameters.parameterNode
makers.move(makers.curve(widget, "L3 upper"), [2, 0, 0])
makers.process_events()
ui.updateButton.click()
document = makers.document(widget)

slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView)
slicer.modules.plots.logic().ShowChartInLayout(makers.curve(widget, "chart"))
(chart_view,) = slicer.util.getNodesByClass("vtkMRMLPlotViewNode")
ui.secondReaderButton.click()
assert chart_view.GetPlotChartNode() is None, "nor in a chart that was left open"
assert widget.parameters.caseId == "a-reader-2" and widget.parameters.reader == "" and widget.parameters.ct is ct
assert dict(widget.parameters.levelStates) == {"L2": "cemented"}
assert not ui.card.visible and not SceneCase("a").is_visible() and makers.document(widget) is None, "nothing of the first reading"
ui.readerEdit.text = "r2"
ui.measureButton.click()
again = next(row for row in makers.document(widget)["levels"] if row["level"] == "L3")
assert again["edited"] == "" and makers.document(widget)["case"]["reader"] == "r2"
assert SceneCase("a").document == document
chart_view.SetPlotChartNodeID(SceneCase("a").node("chart").GetID())
widget.showCase(next(each for each in widget.cases.every() if each.caseId == "a"))
assert chart_view.GetPlotChartNode() is SceneCase("a").node("chart")
widget.showCase(next(each for each in widget.cases.every() if each.caseId == "a-reader-2"))
assert chart_view.GetPlotChartNode() is SceneCase("a-reader-2").node("chart")
assert [ui.compareBox.itemText(n) for n in range(ui.compareBox.count)] == ["a"]
ui.compareReadersButton.click()
text = ui.compareText.toPlainText()
assert "Mean difference" in text and "a-reader-2" in text and "different images" not in text, text

# the same image twice is no second date
ui.compareDatesButton.click()
assert "the same CT" in messages.texts("error")[-1], messages

# another date: another CT
later = ui.caseSelector.addNode()
makers.process_events()
second_ct = makers.volume("ct", "later CT")
slicer.util.arrayFromVolume(second_ct)[:, 2:] += 5
second_masks = makers.segmentation("ct", drawn_on=second_ct, name="later masks")
makers.process_events()
assert widget.parameters.ct is second_ct and widget.parameters.ctSegmentation is second_masks
ui.caseIdEdit.text = "later"
ui.measureButton.click()
assert [ui.compareBox.itemText(n) for n in range(ui.compareBox.count)] == ["a", "a-reader-2"]
ui.compareDatesButton.click()
text = ui.compareText.toPlainText()
assert "later since a" in text and "L3" in text, text
assert slicer.app.layoutManager().layout == slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView
composites = {node.GetLayoutName(): node for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
assert composites["Red"].GetBackgroundVolumeID() == ct.GetID() and composites["Yellow"].GetBackgroundVolumeID() == second_ct.GetID()
ui.backButton.click()
assert slicer.app.layoutManager().layout != slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView

# a case that is removed takes its nodes along
ui.caseSelector.removeCurrentNode()
makers.process_events()
assert SceneCase("later").nodes == {} and SceneCase("a").is_measured and widget.parameters.parameterNode is not later
assert len(messages.texts("error")) == 1, messages
