"""No mask yet: three clicks on a bare CT give the mid-slice HU of L1, with all that belongs to a case."""

import csv
import json
import tempfile
from pathlib import Path

import makers
import numpy as np

ui, parameters = widget.ui, widget.parameters
ct = makers.volume("ct")
makers.process_events()
assert parameters.ct is ct and ui.drawBar.visible and not ui.measureButton.enabled
assert ui.drawLevelBox.currentText == "L1"
grid, array = makers.grid("ct"), makers.array("ct")
body = next(mask for mask in makers.bodies("ct") if mask.name == "L3 body")
center = grid.ras(np.round(grid.ijk(body.center)))
edges = center + np.array([[-14, 0, 0], [14, 0, 0], [0, 9, 0]])  # an ellipse of 14 and 9 mm
off = grid.centers() - center
inside = ((off[..., 0] / 14) ** 2 + (off[..., 1] / 9) ** 2 <= 1) & (np.abs(off[..., 2]) < 1)
truth = float(array[inside].mean())


def click(points):
    (node,) = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
    for point in points:
        node.AddControlPoint(*(float(x) for x in point))
    makers.process_events()


interaction = slicer.app.applicationLogic().GetInteractionNode()
# pressed again, or another mouse mode: given up
ui.drawButton.click()
assert interaction.GetCurrentInteractionMode() == interaction.Place and "left" in ui.drawButton.text
ui.drawButton.click()
assert interaction.GetCurrentInteractionMode() != interaction.Place and ui.drawButton.text == "Draw one ellipse"
ui.drawButton.click()
click(edges[:2])
interaction.SwitchToViewTransformMode()
makers.process_events()
assert not slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode") and not ui.drawButton.checked
assert parameters.ctSegmentation is None

# three clicks
ui.drawLevelBox.currentText = "L1"
ui.drawButton.click()
click(edges)
assert interaction.GetCurrentInteractionMode() != interaction.Place and not ui.drawButton.checked
document = makers.document(widget)
case, (row,) = document["case"], document["levels"]
assert row["level"] == "L1" and abs(row["hu_middle"] - truth) < 0.5 and case["hu_middle_l1"] == row["hu_middle"], (row["hu_middle"], truth)
assert abs(row["hu_middle_area_mm2"] - np.pi * 14 * 9) < 0.5
assert case["hu_middle_l1_low"] <= case["hu_middle_l1"] <= case["hu_middle_l1_high"]
assert case["hu_3d"] is None and "drawn on single slices" in " ".join(row["reasons"]["ct"]) and row["edited"] == "middle"
assert {"hu_middle_l1"} == {cutoff["measure"] for cutoff in document["cutoffs"]}
assert "kvp-unknown" in str(document["flags"]) or document["flags"], document["flags"]
assert ui.card.visible and "Mid-slice" in ui.cardLabel.text and not messages, messages

# it is in view with its handles, and moves as any other
red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
assert np.allclose([red.GetSliceToRAS().GetElement(n, 3) for n in range(3)], center, atol=0.1)
(handles,) = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
assert handles.GetNthControlPointLabel(0).startswith("L1 middle: ")
ui.measureButton.click()
assert makers.document(widget) == document, "measured again it is the same ellipse"
with tempfile.TemporaryDirectory() as folder:
    ui.exportFolderEdit.currentPath = folder
    ui.exportButton.click()
    names = sorted(path.name for path in Path(folder).iterdir())
    assert {"case-1_levels.csv", "case-1_case.csv", "case-1.json", "case-1.png"} <= set(names), names
    assert abs(float(next(csv.DictReader(open(Path(folder) / "case-1_case.csv")))["hu_middle_l1"]) - truth) < 0.6
    (roi,) = json.loads((Path(folder) / "case-1.json").read_text())["levels"][0]["rois"]
    assert roi["shape"] == "ellipse" and sorted(roi["semi_axes_mm"]) == [9, 14]

# another level beside it; the first one again
ui.inputsSection.collapsed = False
ui.drawLevelBox.currentText = "L2"
ui.drawButton.click()
click(edges + [0, 0, 2])
assert [row["level"] for row in makers.document(widget)["levels"]] == ["L1", "L2"]
assert makers.value(widget, "L1", "hu_middle") == row["hu_middle"]
ui.drawLevelBox.currentText = "L1"
ui.drawButton.click()
click(edges * [0.5, 1, 1] + [0.5 * center[0], 0, 0])
assert abs(makers.value(widget, "L1", "hu_middle_area_mm2") - np.pi * 7 * 9) < 0.5
assert np.allclose(np.ptp(makers.points(makers.curve(widget, "L1 middle")), axis=0), [14, 18, 0], atol=0.01), "it is drawn anew"
assert ui.stateLabel.text == "Measured.", ui.stateLabel.text
assert parameters.ctSegmentation.GetSegmentation().GetNumberOfSegments() == 2

# reset: the person's ellipse goes, its pixels stay
makers.click_level(widget, "L1", "hu_middle")
ui.resetRoiButton.click()
makers.process_events()
assert ui.updateButton.enabled and "L1 middle" in ui.updateButton.toolTip
ui.updateButton.click()
assert makers.value(widget, "L1", "edited") == "" and makers.value(widget, "L2", "edited") == "middle"
assert not messages.texts("error"), messages

# clicks that make no ellipse say what to do
ui.drawButton.click()
click(np.repeat(edges[:1], 3, axis=0))
assert "click the ends of one axis" in messages.texts("error")[-1], messages
