"""A scene saved, closed and loaded again: tables, ROIs, parameters and edits are there, and all goes on as before."""

import tempfile
from pathlib import Path

import makers
import numpy as np

from BoneQualityLib.scene import case_nodes

ui = widget.ui
ct, t1 = makers.volume("ct"), makers.volume("t1")
strange = [makers.Mask(f"Segment {n}", mask.array, mask.grid) for n, mask in enumerate(makers.bodies("ct"), 1)]
masks = makers.segmentation("ct", strange, name="Spine", drawn_on=ct), makers.segmentation("t1", drawn_on=t1)
makers.process_events()
ui.caseIdEdit.text = "saved-1"
ui.ctSelector.setCurrentNode(ct)
ui.ctSegmentationSelector.setCurrentNode(masks[0])
makers.pick(ui, "L2", "ct", "Segment 1")
makers.pick(ui, "L3", "ct", "Segment 2")
makers.pick(ui, "L2", "use", "cemented")
ui.ageEdit.text = "64"
ui.vbqMarginSlider.value = 2.5
ui.measureButton.click()
makers.move(makers.curve(widget, "L3 upper"), [1.5, 0, 0])
makers.move(makers.curve(widget, "L3 csf"), [0, 0, 1])
makers.process_events()
ui.updateButton.click()
document, lying = makers.document(widget), makers.points(makers.curve(widget, "L3 upper"))
assert document["levels"][1]["edited"] == "upper; csf"
state = {role: makers.content(node) for role, node in case_nodes.nodes_of("saved-1").items()}


def exported(folder):
    ui.exportFolderEdit.currentPath = str(folder)
    ui.exportButton.click()
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


with tempfile.TemporaryDirectory() as folder:
    files = exported(Path(folder) / "before")
    assert len(files) == 5
    scene = str(Path(folder) / "case.mrb")
    assert slicer.util.saveScene(scene)
    slicer.mrmlScene.Clear(0)
    makers.process_events()
    assert widget.parameters.caseId == "case-1" and not ui.resultsSection.enabled
    slicer.util.loadScene(scene)
    makers.process_events()

    parameters = widget.parameters
    assert parameters.caseId == "saved-1" and ui.caseSelector.nodeCount() == 1, "the empty case gave way"
    assert (parameters.ct.GetName(), parameters.t1Segmentation.GetName()) == ("CT", "t1 masks")
    assert (ui.ageEdit.text, ui.vbqMarginSlider.value) == ("64", 2.5)
    assert makers.box(ui, "L2", "use").currentText == "cemented" and makers.box(ui, "L3", "ct").currentText == "Segment 2"
    assert makers.document(widget) == document and not makers.is_stale(ui)
    assert ui.levelTable.rowCount == 1 and ui.allLevelsBox.text == "Also levels that no value uses (1)" and makers.report(widget).startswith("saved-1: ")
    for role, node in case_nodes.nodes_of("saved-1").items():
        if node.IsA("vtkMRMLMarkupsNode"):
            assert np.allclose(state[role], makers.points(node), atol=0.001), role
        elif node.IsA("vtkMRMLTableNode"):
            assert makers.content(node) == state[role], role
        else:
            assert makers.content(node) == state[role] or node.IsA("vtkMRMLPlotChartNode"), role
    assert not ui.updateButton.enabled, ui.updateButton.toolTip
    assert exported(Path(folder) / "after") == files

    # the edits are still a person's: kept by Measure and by reading again
    ui.measureButton.click()
    kept = makers.document(widget)["levels"][1]
    assert kept["edited"] == "upper; csf" and abs(kept["hu_upper"] - document["levels"][1]["hu_upper"]) < 0.05
    makers.move(makers.curve(widget, "L2 middle"), [1, 0, 0])
    makers.process_events()
    assert "L2 middle" in ui.updateButton.toolTip and "upper" not in ui.updateButton.toolTip
    ui.updateButton.click()
    assert [level["edited"] for level in makers.document(widget)["levels"]] == ["middle", "upper; csf"]
    again = {level["level"]: level for level in makers.document(widget)["levels"]}
    assert abs(again["L3"]["hu_upper"] - document["levels"][1]["hu_upper"]) < 0.05
    for level, kind in (("L3", "upper"), ("L2", "middle"), ("L3", "csf")):
        widget.edits.take(level, kind)
        ui.resetRoiButton.click()
    ui.measureButton.click()
    assert makers.document(widget)["case"]["edited"] == ""
    assert not np.allclose(makers.points(makers.curve(widget, "L3 upper")), lying, atol=1)
assert not messages.texts("error"), messages
