"""Bodies and sac as two segmentations, and a stack of axial slices angled to each disc: chosen without asking, and by hand."""

import json
from dataclasses import asdict

import makers
import numpy as np
from qt import Qt

from BoneQualityLib.image.acquisition import ImageTags
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.phantoms import phantom_muscles
from BoneQualityLib.scene.arrays import TAGS_ATTRIBUTE
from BoneQualityLib.scene.nodes import segmentation_node, volume_node

ui, parameters = widget.ui, widget.parameters


def tick(box, name, on):
    items = [box.item(row) for row in range(box.count)]
    next(item for item in items if item.text() == name).setCheckState(Qt.Checked if on else Qt.Unchecked)


def case():
    return makers.document(widget)["case"]


t1 = makers.volume("t1")
bodies = makers.segmentation("t1", makers.bodies("t1"), "bodies", drawn_on=t1)
makers.process_events()
assert not ui.t1MoreList.visible, "nothing to choose, nothing to see"
assert "VBQ needs a mask of the thecal sac" in ui.foundLabel.text
sac = makers.segmentation("t1", [makers.sac()], "sac alone", drawn_on=t1)
liver = makers.segmentation("t1", [makers.sac("liver")], "liver", drawn_on=t1)
makers.process_events()
assert (parameters.t1Segmentation, list(parameters.t1More)) == (bodies, [sac]), "chosen, as it shows what the first one does not"
assert [ui.t1MoreList.item(row).text() for row in range(ui.t1MoreList.count)] == ["sac alone"], "a liver is nothing to measure"
assert makers.box(ui, "thecal sac", "t1").currentText == "sac alone" and not ui.foundLabel.text, ui.foundLabel.text
ui.measureButton.click()
vbq = case()["vbq"]
assert abs(vbq - 3.2) < 0.1

# by hand
tick(ui.t1MoreList, "sac alone", False)
makers.process_events()
assert list(parameters.t1More) == [] and makers.is_stale(ui) and "VBQ needs a mask" in ui.foundLabel.text
tick(ui.t1MoreList, "sac alone", True)
makers.process_events()
assert list(parameters.t1More) == [sac] and not makers.is_stale(ui), ui.stateLabel.text
segment = sac.GetSegmentation().GetNthSegment(0)
sac.GetSegmentation().RemoveSegment("thecal_sac")
makers.process_events()
assert "VBQ needs a mask" in ui.foundLabel.text, "a segment that is gone is noticed at once"
sac.GetSegmentation().AddSegment(segment, "thecal_sac")
makers.process_events()
assert not ui.foundLabel.text

# a second sac is not chosen; deleting the chosen one empties the input, says so, and puts none in its place
other = makers.segmentation("t1", [makers.sac()], "sac again", drawn_on=t1)
makers.process_events()
assert list(parameters.t1More) == [sac]
slicer.mrmlScene.RemoveNode(sac)
makers.process_events()
assert list(parameters.t1More) == [] and "sac alone was deleted" in ui.stateLabel.text
tick(ui.t1MoreList, "sac again", True)
ui.measureButton.click()
assert abs(case()["vbq"] - vbq) < 1e-6

# stacks
ANGLES, HEIGHTS = {"L2-L3": -8.0, "L3-L4": 4.0, "L4-L5": 16.0}, (38.0, 0.0, -40.0)
MUSCLES = [f"{side} {muscle}" for muscle in ("psoas major", "multifidus", "erector spinae") for side in ("left", "right")]


def turn(angle):
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


discs = {disc: ((0, 0, height), turn(angle) @ [0, 0, 1.0]) for (disc, angle), height in zip(ANGLES.items(), HEIGHTS)}
phantom = phantom_muscles.paraspinal_muscles(0.2, discs=discs)
stacks, masks = [], []
for disc, angle in ANGLES.items():
    affine = np.eye(4)
    affine[:3, :3] = turn(angle) @ np.diag([-0.9, -0.9, 4.0])
    affine[:3, 3] = phantom.disc(disc).center + affine[:3, :3] @ [0, 17, 0] - affine[:3, :3] @ [105, 85, 2]
    grid = Grid((5, 171, 211), affine)
    image = volume_node(f"stack {disc}", np.rint(phantom_muscles.render(phantom, grid)).astype(np.int16), grid)
    node = segmentation_node(f"on {disc}", [Mask(name, phantom_muscles.mask_of(phantom, name, grid), grid).cropped() for name in (*MUSCLES, disc)])
    image.SetAttribute(TAGS_ATTRIBUTE, json.dumps(asdict(ImageTags(modality="MR"))))
    image.CreateDefaultDisplayNodes()
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(image)
    stacks.append(image)
    masks.append(node)
makers.process_events()
assert [parameters.axialMr, *parameters.axialMrStacks] == stacks and [parameters.axialMrSegmentation, *parameters.axialMrMore] == masks
ui.measureButton.click()
rows = makers.document(widget)["muscles"]
assert {row["disc"] for row in rows} == set(ANGLES), rows
assert not messages, messages

# a click shows the stack on which the value was read
row = next(n for n, each in enumerate(rows) if each["disc"] == "L4-L5" and each["muscle"] == "multifidus")
makers.click_muscle(widget, row)
red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
assert red.GetBackgroundVolumeID() == stacks[2].GetID()
ui.backButton.click()

# without one stack
tick(ui.axialMrStacksList, "stack L4-L5", False)
tick(ui.axialMrMoreList, "on L4-L5", False)
makers.process_events()
ui.measureButton.click()
assert {row["disc"] for row in makers.document(widget)["muscles"]} == {"L2-L3", "L3-L4"}
slicer.mrmlScene.RemoveNode(stacks[1])
makers.process_events()
assert list(parameters.axialMrStacks) == [] and "stack L3-L4 was deleted" in ui.stateLabel.text
assert not messages, messages
