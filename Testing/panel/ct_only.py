"""A CT and its masks: chosen by themselves, measured, shown, brought into view, exported."""

import csv
import tempfile
from pathlib import Path

import makers

ui = widget.ui
assert "Nothing to measure" in ui.measureButton.toolTip and not ui.measureButton.enabled
assert not ui.resultsSection.enabled and "Nothing to measure" in ui.stateLabel.text

ct = makers.volume("ct")
makers.process_events()
assert widget.parameters.ct is ct, "the only CT is chosen by itself"
assert "give the segmentation of the CT" in ui.measureButton.toolTip
masks = makers.segmentation("ct", drawn_on=ct)
makers.process_events()
assert widget.parameters.ctSegmentation is masks, "a segmentation that is loaded later is chosen too"
assert widget.parameters.t1 is None and widget.parameters.t1Segmentation is None
assert ui.measureButton.enabled, ui.measureButton.toolTip
assert makers.box(ui, "L3", "ct").currentText == "L3 body" and makers.box(ui, "L5", "ct").currentText == "-"
assert ui.choiceTable.isColumnHidden(2) and ui.choiceTable.isColumnHidden(4), "nothing of T1 without a T1"

ui.measureButton.click()
assert not messages.texts("error"), messages
for level, hu in makers.HU.items():
    assert abs(makers.value(widget, level, "hu_3d") - hu) < 2 and abs(makers.value(widget, level, "hu_multislice") - hu) < 2
assert ui.resultsSection.enabled and not makers.is_stale(ui)
assert ui.levelTable.rowCount == 2 and "3D-HU" in ui.cardLabel.text and ui.stateLabel.text == "Measured."
assert [ui.levelTable.item(1, n).text() for n in range(2)] == ["L3", f"{makers.value(widget, 'L3', 'hu_3d'):.0f}"]
assert ui.levelTable.isColumnHidden(5) and not ui.levelTable.isColumnHidden(1), "no VBQ without a T1"
assert "3D-HU 70" in makers.report(widget) and makers.report(widget).endswith("research use.")
ui.copyButton.click()
assert slicer.app.clipboard().text() == makers.report(widget)

# a level taken out: said to be out of date, then measured without it
makers.pick(ui, "L3", "use", "fractured")
assert makers.is_stale(ui) and "measure again" in ui.stateLabel.text
ui.measureButton.click()
assert makers.document(widget)["case"]["ct_levels"] == ["L2"] and not makers.is_stale(ui)
makers.pick(ui, "L3", "use", "used")
ui.measureButton.click()
assert makers.document(widget)["case"]["ct_levels"] == ["L2", "L3"]

# the place of a number, and back
red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
before = [red.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
makers.click_level(widget, "L3", "hu_upper")
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
    assert sorted(path.name for path in Path(folder).iterdir()) == [
        "case-1.html", "case-1.json", "case-1.png", "case-1_case.csv", "case-1_levels.csv",
    ]  # fmt: skip
    rows = list(csv.DictReader(open(Path(folder) / "case-1_levels.csv")))
    assert [row["level"] for row in rows] == ["L2", "L3"] and rows[0]["t1_exclusion"] == "no T1 MRI"
    written = (Path(folder) / "case-1.json").read_bytes()
    (Path(folder) / "case-1.json").write_bytes(b"kept")
    messages.answer(False)
    ui.exportButton.click()
    assert messages[-1].text.startswith("These files are there already: ") and "case-1.json" in messages[-1].text
    assert (Path(folder) / "case-1.json").read_bytes() == b"kept"
    ui.exportNowButton.click()
    assert (Path(folder) / "case-1.json").read_bytes() == written

# the folder stays with the case; without the report the tables alone are written
with tempfile.TemporaryDirectory() as folder:
    ui.exportFolderEdit.currentPath = folder
    assert widget.parameters.exportFolder == folder
    ui.reportBox.checked = False
    ui.exportButton.click()
    assert sorted(path.name for path in Path(folder).iterdir()) == ["case-1.json", "case-1_case.csv", "case-1_levels.csv"]
    assert "case-1.json" in ui.exportFilesLabel.text
assert not messages.texts("error"), messages

# what a person took out stays out
ui.ctSegmentationSelector.setCurrentNode(None)
makers.volume("ct", "another")
makers.process_events()
assert widget.parameters.ct is ct and widget.parameters.ctSegmentation is None
