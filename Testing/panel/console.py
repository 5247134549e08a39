"""The scripts for Slicer's Python console do what they say."""

from pathlib import Path

from BoneQualityLib import case_nodes

resources = Path(__file__).resolve().parents[2] / "Resources"
exec((resources / "console_panel.py").read_text())
assert widget.ui.reportEdit.text.startswith("demo: 3D-HU 8") and "VBQ 3." in widget.ui.reportEdit.text

exec((resources / "console_measure.py").read_text())
assert abs(result.level_rows[0]["hu_3d"] - 88) < 2 and result.values["ct_levels"] == ["L1", "L2", "L3"]
assert set(case_nodes.case_ids()) == {"demo", "console"} and case_nodes.node_of("console", "levels").GetNumberOfRows() == 5
assert not messages, messages
