"""ROIs moved and reshaped by hand: read again on Update, said in table and files, asked for before they are thrown away."""

import csv
import json
import tempfile
from pathlib import Path

import makers
import numpy as np

ui = widget.ui
ct, t1 = makers.volume("ct"), makers.volume("t1")
image = slicer.util.arrayFromVolume(ct)
image[:] = np.rint(makers.grid("ct").centers()[..., 0] * 3)  # 3 HU a mm to the right
image[:, :2] = -1000
image[-2:] = 400
masks = makers.segmentation("ct", drawn_on=ct), makers.segmentation("t1", drawn_on=t1)
makers.process_events()
ui.measureButton.click()
before = makers.document(widget)
assert not ui.updateButton.enabled and "No ROI was edited" in ui.updateButton.toolTip

upper = makers.curve(widget, "L3 upper")
placed = makers.points(upper)
makers.move(upper, [2, 0, 0])
makers.process_events()
assert ui.updateButton.enabled and "L3 upper" in ui.updateButton.toolTip
assert makers.document(widget) == before, "nothing is read before a person asks for it"
ui.updateButton.click()
first = makers.value(widget, "L3", "hu_upper")
old = next(row for row in before["levels"] if row["level"] == "L3")["hu_upper"]
assert abs(first - old - 6) < 0.5, (first, old)
assert makers.value(widget, "L3", "edited") == "upper" and makers.value(widget, "L2", "edited") == ""
assert not ui.updateButton.enabled and "ROIs edited by hand" in makers.report(widget)
assert np.allclose(makers.points(upper), placed + [2, 0, 0], atol=1e-6), "the person's curve stays where it is"

# reshaped, and marrow and CSF too
makers.shrink(makers.curve(widget, "L2 middle"), 0.7)
makers.shrink(makers.curve(widget, "L3 marrow"), 0.8)
makers.move(makers.curve(widget, "L3 csf"), [0, 0, 1])
makers.process_events()
assert (
    all(name in ui.updateButton.toolTip for name in ("L2 middle", "L3 marrow", "L3 csf")) and "upper" not in ui.updateButton.toolTip
)
area = makers.value(widget, "L2", "hu_middle_area_mm2")
ui.updateButton.click()
assert abs(makers.value(widget, "L2", "hu_middle_area_mm2") / area - 0.49) < 0.01
assert makers.value(widget, "L3", "edited") == "upper; marrow; csf" and makers.value(widget, "L2", "edited") == "middle"
assert abs(makers.value(widget, "L3", "hu_upper") - first) < 1e-6
levels = makers.curve(widget, "levels")
assert [levels.GetTable().GetColumnByName("edited").GetValue(n) for n in range(2)] == ["middle", "upper; marrow; csf"]

with tempfile.TemporaryDirectory() as folder:
    ui.exportFolderEdit.currentPath = folder
    ui.exportButton.click()
    rows = list(csv.DictReader(open(Path(folder) / "case-1_levels.csv")))
    assert [row["edited"] for row in rows] == ["middle", "upper; marrow; csf"]
    assert next(csv.DictReader(open(Path(folder) / "case-1_case.csv")))["edited"] == "yes"
    rois = [roi for level in json.loads((Path(folder) / "case-1.json").read_text())["levels"] for roi in level["rois"]]
    assert {(roi["level"], roi["kind"]) for roi in rois if roi.get("edited")} == {
        ("L2", "middle"),
        ("L3", "upper"),
        ("L3", "marrow"),
    }

# Measure keeps edits, also with other facts and levels; one by one they are put back where they were placed
now = makers.document(widget)
ui.ageEdit.text = "70"
makers.pick(ui, "L2", "use", "cemented")
ui.readerEdit.text = "r2"
ui.measureButton.click()
assert makers.document(widget)["case"]["reader"] == "r2" and not messages, messages
assert makers.value(widget, "L3", "hu_upper") == first and makers.value(widget, "L2", "edited") == "middle"
assert np.allclose(makers.points(upper), placed + [2, 0, 0], atol=1e-6)
ui.ageEdit.text = ui.readerEdit.text = ""
makers.pick(ui, "L2", "use", "used")
ui.measureButton.click()
assert makers.document(widget) == now
for level, kind in (("L3", "upper"), ("L2", "middle"), ("L3", "marrow"), ("L3", "csf")):
    widget.edits.take(level, kind)
    ui.resetRoiButton.click()
ui.updateButton.click()
assert makers.document(widget) == before and np.allclose(makers.points(upper), placed, atol=1e-6)

# what cannot be kept is asked for by name
makers.move(upper, [2, 0, 0])
makers.pick(ui, "L3", "ct", "-")
messages.answer(False)
asked = len(messages)
ui.measureButton.click()
assert messages[-1].text == "These edited ROIs cannot be kept: L3 upper. Measure without them?" and len(messages) == asked + 1
assert makers.document(widget) == before
makers.pick(ui, "L3", "ct", "L3 body")
makers.move(upper, [-2, 0, 0])

# a point that is taken out is an edit too, and so is a curve that is deleted once its value was read
makers.process_events()
assert not ui.updateButton.enabled
upper.RemoveNthControlPoint(0)
makers.process_events()
assert "L3 upper" in ui.updateButton.toolTip and ui.updateButton.enabled
ui.updateButton.click()
assert makers.value(widget, "L3", "edited") == "upper"
slicer.mrmlScene.RemoveNode(upper)
makers.process_events()
assert "L3 upper" in ui.updateButton.toolTip and ui.updateButton.enabled
ui.updateButton.click()
upper = makers.curve(widget, "L3 upper")
assert makers.document(widget) == before and np.allclose(makers.points(upper), placed, atol=1e-6)

# moved and moved back is not edited; out of its plane is refused by name; out of the image loses that value alone
makers.move(upper, [3, 0, 0])
makers.move(upper, [-3, 0, 0])
makers.process_events()
assert not ui.updateButton.enabled
point = makers.points(upper)[0]
upper.SetNthControlPointPositionWorld(0, *(point + [0, 0, 8]))
makers.process_events()
ui.updateButton.click()
assert messages.texts("error")[-1].startswith("The ROI L3 upper is not flat any more")
assert makers.document(widget) == before
upper.SetNthControlPointPositionWorld(0, *point)
makers.move(upper, [500, 0, 0])
makers.process_events()
ui.updateButton.click()
assert makers.value(widget, "L3", "hu_upper") is None and makers.value(widget, "L3", "hu_multislice") is None
assert makers.value(widget, "L3", "hu_middle") is not None and makers.value(widget, "L3", "hu_lower") is not None
assert "beyond the image" in makers.value(widget, "L3", "ct_exclusion")
for role in ("L2 marrow", "L3 csf"):
    makers.move(makers.curve(widget, role), [0, 500, 0])
makers.process_events()
ui.updateButton.click()
assert makers.value(widget, "L2", "t1_signal") is None and "beyond the image" in makers.value(widget, "L2", "t1_exclusion")
assert makers.value(widget, "L3", "t1_signal") is not None and makers.document(widget)["case"]["csf_level"] == "L2"
assert len(messages.texts("error")) == 1, messages
