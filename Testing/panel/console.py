"""The scripts for Slicer's Python console do what they say; and the muscles of the demo case in the panel."""

from pathlib import Path

import makers

from BoneQualityLib.scene import case_nodes
from BoneQualityLib.scene.scene_case import SceneCase

resources = Path(__file__).resolve().parents[2] / "Resources"
ui = widget.ui
exec((resources / "console_panel.py").read_text())
assert makers.report(widget).startswith("demo: 3D-HU 8") and "VBQ 3." in makers.report(widget)

exec((resources / "console_measure.py").read_text())
assert abs(result.level_rows[0]["hu_3d"] - 88) < 2 and result.values["ct_levels"] == ["L1", "L2", "L3"]
assert set(case_nodes.case_ids()) == {"demo", "console"} and SceneCase("console").node("levels").GetNumberOfRows() == 5
assert not messages, messages

# muscles: their table leads to their slice; a compartment edited by hand is read again and said
before = makers.document(widget)
row = next(
    n
    for n, each in enumerate(before["muscles"])
    if (each["disc"], each["muscle"], each["side"]) == ("L3-L4", "psoas major", "left")
)
makers.click_muscle(widget, row)
red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
assert abs(red.GetSliceToRAS().GetElement(2, 3) - before["muscles"][row]["slice_s_mm"]) < 15
there = next(n for n, each in enumerate(before["muscles"]) if each["disc"] == "L1-L2")
makers.click_muscle(widget, there)
assert abs(red.GetSliceToRAS().GetElement(2, 3) - before["muscles"][there]["slice_s_mm"]) < 15
makers.shrink(makers.curve(widget, "L3-L4 left psoas major"), 0.8)
makers.process_events()
assert "L3-L4 left psoas major" in ui.updateButton.toolTip
ui.updateButton.click()
after = makers.document(widget)
assert abs(after["muscles"][row]["area_mm2"] / before["muscles"][row]["area_mm2"] - 0.64) < 0.02
assert after["case"]["rcsa"] < before["case"]["rcsa"] and after["case"]["edited"] == "yes" and after["levels"] == before["levels"]
assert not ui.updateButton.enabled and not messages, messages
