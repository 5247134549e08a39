"""A CT and its masks: chosen by themselves, measured, shown, brought into view, exported."""

import csv
import importlib.util
import tempfile
from pathlib import Path

import makers

ui = widget.ui
assert "Choose a volume" in ui.measureButton.toolTip and not ui.measureButton.enabled
assert not ui.resultsSection.enabled and "Not measured" in ui.staleLabel.text

ct = makers.volume("ct")
makers.process_events()
assert widget._parameterNode.ct is ct, "the only CT is chosen by itself"
assert "Choose the segmentation of the CT" in ui.measureButton.toolTip
masks = makers.segmentation("ct", drawn_on=ct)
makers.process_events()
assert widget._parameterNode.ctSegmentation is masks, "a segmentation that is loaded later is chosen too"
assert widget._parameterNode.t1 is None and widget._parameterNode.t1Segmentation is None
assert ui.measureButton.enabled, ui.measureButton.toolTip
assert makers.box(ui, "L3", "ct").currentText == "L3 body" and makers.box(ui, "L5", "ct").currentText == "-"
assert ui.choiceTable.isColumnHidden(2) and ui.choiceTable.isColumnHidden(4), "nothing of T1 without a T1"

ui.measureButton.click()
assert not messages.texts("error"), messages
for level, hu in makers.HU.items():
    assert abs(makers.value(widget, level, "hu_3d") - hu) < 2 and abs(makers.value(widget, level, "hu_multislice") - hu) < 2
assert ui.resultsSection.enabled and not ui.staleLabel.visible
assert ui.levelTable.model().rowCount() == 2 and ui.summaryTable.model().rowCount() > 3
assert not ui.levelTable.isColumnHidden(5) and ui.levelTable.isColumnHidden(0)
assert ui.reportEdit.cursorPosition == 0, "the beginning is to be seen"
assert "3D-HU 70" in ui.reportEdit.text and ui.reportEdit.text.endswith("research use.")
ui.copyButton.click()
assert slicer.app.clipboard().text() == ui.reportEdit.text

# a level taken out: said to be out of date, then measured without it
makers.pick(ui, "L3", "use", "fractured")
assert ui.staleLabel.visible and "measure again" in ui.staleLabel.text
ui.measureButton.click()
assert makers.document(widget)["case"]["ct_levels"] == ["L2"] and not ui.staleLabel.visible
makers.pick(ui, "L3", "use", "used")
ui.measureButton.click()
assert makers.document(widget)["case"]["ct_levels"] == ["L2", "L3"]

# the place of a number, and back
red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
before = [red.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
makers.click_cell(ui.levelTable, "L3", "hu_upper")
upper = makers.points(makers.curve(widget, "L3 upper")).mean(axis=0)
there = [red.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
assert abs(there - upper).max() < 0.1, (there, upper)
ui.backButton.click()
assert before == [red.GetSliceToRAS().GetElement(row, 3) for row in range(3)]

# all of it hidden and shown
assert ui.showRoisButton.checked
ui.showRoisButton.click()
assert not makers.curve(widget, "L3 upper").GetDisplayVisibility() and not makers.curve(widget, "regions").GetDisplayVisibility()
ui.showRoisButton.click()
assert makers.curve(widget, "L3 upper").GetDisplayVisibility()

ui.chartButton.click()
chart = makers.curve(widget, "chart")
shown = [slicer.mrmlScene.GetNthNodeByClass(0, "vtkMRMLPlotViewNode").GetPlotChartNodeID()]
assert shown == [chart.GetID()], shown

with tempfile.TemporaryDirectory() as folder:
    assert not ui.exportButton.enabled
    ui.exportFolderEdit.currentPath = folder
    assert "case-1_levels.csv" in ui.exportFilesLabel.text and ui.exportButton.enabled
    ui.exportButton.click()
    assert sorted(path.name for path in Path(folder).iterdir()) == ["case-1.json", "case-1_case.csv", "case-1_levels.csv"]
    rows = list(csv.DictReader(open(Path(folder) / "case-1_levels.csv")))
    assert [row["level"] for row in rows] == ["L2", "L3"] and rows[0]["t1_exclusion"] == "no T1 MRI"
    written = (Path(folder) / "case-1.json").read_bytes()
    (Path(folder) / "case-1.json").write_bytes(b"kept")
    ui.exportButton.click()
    assert "is there already" in messages.texts("error")[-1]
    assert (Path(folder) / "case-1.json").read_bytes() == b"kept"
    ui.overwriteBox.checked = True
    ui.exportButton.click()
    assert (Path(folder) / "case-1.json").read_bytes() == written

# a package that is not there is installed on a person's click alone; where that fails, it is said and nothing is written
there = importlib.util.find_spec
importlib.util.find_spec = lambda name, *others: None if name == "jinja2" else there(name, *others)
ui.pictureBox.checked = True
with tempfile.TemporaryDirectory() as folder:
    ui.exportFolderEdit.currentPath = folder
    for answer in (False, True):  # here the runner refuses to install
        messages.answer(answer)
        errors = len(messages.texts("error"))
        ui.exportButton.click()
        assert not list(Path(folder).iterdir()) and len(messages.texts("error")) == errors + answer
assert messages.texts("error")[-1].startswith("jinja2 could not be installed (")
importlib.util.find_spec = there

# what a person took out stays out
ui.ctSegmentationSelector.setCurrentNode(None)
makers.volume("ct", "another")
makers.process_events()
assert widget._parameterNode.ct is ct and widget._parameterNode.ctSegmentation is None
