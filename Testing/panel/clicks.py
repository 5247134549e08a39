"""From a loaded TotalSegmentator result of 117 segments, S1 among them: few clicks to the CSV, two to a value with its place."""

import sys
import tempfile
from pathlib import Path

import makers
import numpy as np

sys.path.insert(0, str(Path(makers.__file__).resolve().parents[1]))

from BoneQualityLib.image.mask import Mask  # noqa: E402
from BoneQualityLib.scene.nodes import segmentation_node  # noqa: E402
from total_segments import total_segments  # noqa: E402

ui, clicks = widget.ui, []


def click(button):
    clicks.append(button.objectName)
    button.click()


ct, grid = makers.volume("ct"), makers.grid("ct")
bodies = {mask.name: mask for mask in makers.bodies("ct", "vertebrae_{}")}
speck = np.zeros(grid.shape, bool)
speck[1, 3, 3] = True
masks = [bodies.get(identifier) or Mask(identifier, speck, grid).cropped() for identifier, _name, _tag in total_segments()]
node = segmentation_node("total", masks)
for n, (_identifier, name, tag) in enumerate(total_segments()):
    node.GetSegmentation().GetNthSegment(n).SetName(name)
    node.GetSegmentation().GetNthSegment(n).SetTag("TerminologyEntry", tag)
node.SetReferenceImageGeometryParameterFromVolumeNode(ct)
makers.process_events()
assert len(masks) == 117 and widget.parameters.ctSegmentation is node and ui.measureButton.enabled, ui.stateLabel.text

# two clicks: Measure, and the cell of the upper slice of L3
click(ui.measureButton)
clicks.append("cell")
makers.click_level(widget, "L3", "hu_upper")
red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
center = makers.points(makers.curve(widget, "L3 upper")).mean(axis=0)
assert np.allclose([red.GetSliceToRAS().GetElement(row, 3) for row in range(3)], center, atol=0.1)
assert ui.levelTable.item(ui.levelTable.currentRow(), 2).text() == f"{makers.value(widget, 'L3', 'hu_upper'):.0f}"
print(f"to the value of L3's upper slice with its place: {len(clicks)} clicks")
assert len(clicks) <= 2
ui.backButton.click()

# to the CSV: Measure, Export, and the folder that is asked for once
with tempfile.TemporaryDirectory() as folder:
    clicks[1:] = ["folder", "choose"]  # the dialog: a folder, and its button
    messages.answer(folder)
    click(ui.exportNowButton)
    assert (Path(folder) / "case-1_levels.csv").exists(), list(Path(folder).iterdir())
    print(f"to the CSV: {len(clicks)} clicks")
    assert len(clicks) <= 5
