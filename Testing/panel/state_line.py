"""The state line follows at once what is done to the inputs elsewhere in Slicer, and is as before once it is undone."""

import makers
import vtk
from slicer import vtkSlicerSegmentationsModuleLogic as segmentations

from BoneQualityLib.image.mask import Mask
from BoneQualityLib.scene.nodes import add_mask

MEASURED, STALE, EDITED = "Measured.", "Changed since it was measured: measure again.", "ROIs were edited or deleted since their values were read."
ui = widget.ui
assert ui.stateLabel.text.startswith("Nothing to measure")
ct, t1 = makers.volume("ct"), makers.volume("t1")
masks = makers.segmentation("ct", drawn_on=ct)
bodies, sac = makers.segmentation("t1", makers.bodies("t1"), "bodies", drawn_on=t1), makers.segmentation("t1", [makers.sac()], "sac", drawn_on=t1)
makers.process_events()
assert ui.stateLabel.text == "Ready to measure." and list(widget.parameters.t1More) == [sac]
ui.measureButton.click()
voxels, segmentation = slicer.util.arrayFromVolume(ct), masks.GetSegmentation()
body = segmentation.GetNthSegmentID(1)
transform, moved = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode"), vtk.vtkMatrix4x4()
moved.SetElement(0, 3, 5.0)
transform.SetMatrixTransformToParent(moved)
origin, spacing = ct.GetOrigin(), ct.GetSpacing()
extra = makers.bodies("ct")[0]


def brighter(by):
    voxels[5, 5, 5] += by
    slicer.util.arrayFromVolumeModified(ct)


def under(node, parent):
    node.SetAndObserveTransformNodeID(parent and parent.GetID())


def harden(node, by):
    moved.SetElement(0, 3, by)
    transform.SetMatrixTransformToParent(moved)
    under(node, transform)
    node.HardenTransform()


def shift(by):
    """As the Segment Editor does that puts a mask elsewhere."""
    mask = slicer.vtkOrientedImageData()
    masks.GetBinaryLabelmapRepresentation(body, mask)
    right, *others = mask.GetOrigin()
    mask.SetOrigin(right + by, *others)
    segmentations.SetBinaryLabelmapToSegment(mask, masks, body, segmentations.MODE_REPLACE)


def call(node, n, name):
    node.GetSegmentation().GetNthSegment(n).SetName(name)


def remove(name):
    segmentation.RemoveSegment(segmentation.GetSegmentIdBySegmentName(name))


upper = makers.curve(widget, "L3 upper")
for what, change, undo, state in (
    ("voxels", lambda: brighter(1), lambda: brighter(-1), STALE),
    ("a transform", lambda: under(ct, transform), lambda: under(ct, None), STALE),
    ("a hardened transform", lambda: harden(ct, 5.0), lambda: harden(ct, -5.0), STALE),
    ("a hardened segmentation", lambda: harden(masks, 5.0), lambda: harden(masks, -5.0), STALE),
    ("the origin", lambda: ct.SetOrigin(0, 0, 0), lambda: ct.SetOrigin(origin), STALE),
    ("voxel sizes", lambda: ct.SetSpacing(1, 1, 1), lambda: ct.SetSpacing(spacing), STALE),
    ("a mask elsewhere", lambda: shift(3), lambda: shift(-3), STALE),
    ("names of nodes", lambda: ct.SetName("scan"), lambda: ct.SetName("CT"), MEASURED),
    ("the level of a segment", lambda: call(masks, 1, "L4 body"), lambda: call(masks, 1, "L3 body"), STALE),
    ("of a further segmentation", lambda: call(sac, 0, "CSF L3"), lambda: call(sac, 0, "thecal sac"), STALE),
    ("another level", lambda: add_mask(masks, Mask("L5 body", extra.array, extra.grid)), lambda: remove("L5 body"), STALE),
    ("what is not measured", lambda: add_mask(masks, Mask("liver", extra.array, extra.grid)), lambda: remove("liver"), MEASURED),
    ("a fact", lambda: setattr(ui.ageEdit, "text", "70"), lambda: setattr(ui.ageEdit, "text", ""), STALE),
    ("no fact", lambda: setattr(ui.ageEdit, "text", "x"), lambda: setattr(ui.ageEdit, "text", ""), "'x' is no number; correct the age."),
    ("the reader", lambda: setattr(ui.readerEdit, "text", "b"), lambda: setattr(ui.readerEdit, "text", ""), STALE),
    ("the case id", lambda: setattr(ui.caseIdEdit, "text", "b"), lambda: setattr(ui.caseIdEdit, "text", "case-1"), MEASURED),
    ("a ROI", lambda: makers.move(upper, [2, 0, 0]), lambda: makers.move(upper, [-2, 0, 0]), EDITED),
    ("a ROI deleted", lambda: slicer.mrmlScene.RemoveNode(upper), ui.updateButton.click, EDITED),
    ("the transform deleted", lambda: under(masks, transform), lambda: slicer.mrmlScene.RemoveNode(transform), STALE),
    ("a mask deleted", lambda: slicer.mrmlScene.RemoveNode(sac), lambda: None, "sac was deleted; nothing was chosen in its place. " + STALE),
):  # fmt: skip
    change()
    makers.process_events()
    assert ui.stateLabel.text == state, (what, ui.stateLabel.text)
    undo()
    makers.process_events()
    assert ui.stateLabel.text == (MEASURED if what != "a mask deleted" else state), (what, ui.stateLabel.text)
makers.move(makers.curve(widget, "L3 lower"), [2, 0, 0])
ui.ageEdit.text = "x"
makers.process_events()
assert ui.updateButton.visible and not ui.updateButton.enabled and "'x' is no number" in ui.updateButton.toolTip
assert not messages, messages
