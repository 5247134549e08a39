"""Two dates: new fractures, every value with its least significant change, the same level of both in views that move together."""

import makers
import numpy as np
import qt
import slicer

from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.phantoms import phantom_spine
from BoneQualityLib.scene.linked_dates import ShownDate
from BoneQualityLib.scene.nodes import segmentation_node, volume_node
from BoneQualityLib.scene.scene_case import SceneCase
from BoneQualityLib.scene.views import view_matrix, view_state

ui = widget.ui
LEVELS = ("L1", "L2", "L3", "L4")
#: The second examination lies elsewhere: the patient was moved and turned by this, RAS.
ANGLE, SHIFT = np.radians(6), np.array([12.0, -25.0, 70.0])
MOVED = np.eye(4)
MOVED[:3, :3] = [[1, 0, 0], [0, np.cos(ANGLE), -np.sin(ANGLE)], [0, np.sin(ANGLE), np.cos(ANGLE)]]
MOVED[:3, 3] = SHIFT


def examination(name, hu, moved=None, **changes):
    """A CT with its masks."""
    spine = phantom_spine.lumbar_spine(LEVELS, cancellous_hu=hu, posterior_elements=False, changes=changes)
    grid = phantom_spine.grid_for(spine, (1.2, 1.2, 1.5), margin_mm=10)
    lies = grid if moved is None else Grid(grid.shape, moved @ grid.ijk_to_ras)
    volume = volume_node(f"{name} CT", phantom_spine.render_ct(spine, grid, 5, seed=1), lies)
    volume.CreateDefaultDisplayNodes()
    masks = segmentation_node(f"{name} masks", [Mask(f"{v.level} body", phantom_spine.body_mask(v, grid), lies) for v in spine.vertebrae])
    masks.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    makers.process_events()
    return volume, masks


before_ct, before_masks = examination("before", dict(L1=100, L2=100, L3=100, L4=100))
ui.caseIdEdit.text = "before"
widget.inputs.setState("L2", "cemented")
ui.measureButton.click()
ui.caseSelector.addNode()
makers.process_events()
changes = dict(L3=dict(height_anterior_mm=19.0))
after_ct, after_masks = examination("after", dict(L1=100, L2=100, L3=100, L4=60), MOVED, **changes)
assert widget.parameters.ct is after_ct
ui.caseIdEdit.text = "after"
widget.inputs.setState("L2", "cemented")
ui.measureButton.click()
slicer.util.setSliceViewerLayers(background=after_ct, fit=True)
makers.process_events()


def state():
    return {key: str(value) for key, value in view_state().items()}


there = state()
makers.click_level(widget, "L4", "hu_middle")
assert slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode"), "handles of the place that was clicked"
ui.compareBox.currentIndex = ui.compareBox.findText("before")
ui.compareDatesButton.click()
text = ui.compareText.toPlainText()
assert "after since before" in text and "L3 (adjacent to a cemented level)" in text, text

# every value of both dates: the difference, its least significant change, and whether it is beyond it
documents = [SceneCase(name).document for name in ("before", "after")]
row = {name: [next(row for row in each["levels"] if row["level"] == name) for each in documents] for name in LEVELS}
assert all(f'href="level:{level}"' in ui.compareText.toHtml() for level in LEVELS), "every level that both have can be shown"
for level, beyond in (("L4", "yes"), ("L1", "no")):
    first, second = (each["hu_3d"] for each in row[level])
    lines = text.splitlines()
    begin = next(n for n, line in enumerate(lines) if line == level and lines[n + 1] == "Measure")
    at = lines.index("3D-HU (HU)", begin)
    said = lines[at + 1 : at + 6]
    assert said[:3] == [f"{first:.1f}", f"{second:.1f}", f"{second - first:+.1f}"] and said[3:] == ["16.0", beyond], said
assert "cemented at baseline" in text and "Single-level VBQ" not in text

# both dates at the same level, each in its own view
composites = {node.GetLayoutName(): node for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
red, yellow = (slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceNode{name}") for name in ("Red", "Yellow"))
layouts = slicer.vtkMRMLLayoutNode
assert slicer.app.layoutManager().layout == layouts.SlicerLayoutSideBySideView
assert [composites[name].GetBackgroundVolumeID() for name in ("Red", "Yellow")] == [before_ct.GetID(), after_ct.GetID()]
assert all(composites[name].GetLinkedControl() for name in ("Red", "Yellow"))


def centers(level):
    return [np.array(each["frame"]["center"]) for each in row[level]]


def shows(level):
    return all(np.allclose(view_matrix(node)[:3, 3], center, atol=1e-6) for node, center in zip((red, yellow), centers(level)))


assert shows("L3") and not slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
for node, name in ((red, "before"), (yellow, "after")):
    other = yellow if node is red else red
    curve = SceneCase(name).node("L3 middle")
    assert curve.GetDisplayVisibility() and not SceneCase(name).node("L1 middle").GetDisplayVisibility()
    display = curve.GetDisplayNode()
    assert display.IsDisplayableInView(node.GetID()) and not display.IsDisplayableInView(other.GetID())
assert not before_masks.GetDisplayVisibility() and not after_masks.GetDisplayVisibility()

# a click on another level shows that one in both
ui.compareText.anchorClicked.emit(qt.QUrl("level:L1"))
assert shows("L1") and not shows("L3")
ui.compareText.anchorClicked.emit(qt.QUrl("level:L3"))


def drag(name, millimeters):
    """A person scrolls a view, as its slider does it."""
    logic = slicer.app.layoutManager().sliceWidget(name).sliceLogic()
    logic.StartSliceNodeInteraction(slicer.vtkMRMLSliceNode.SliceToRASFlag)
    matrix = view_matrix(logic.GetSliceNode())
    matrix[:3, 3] += millimeters * matrix[:3, 2]
    logic.GetSliceNode().GetSliceToRAS().DeepCopy(matrix.ravel().tolist())
    logic.GetSliceNode().UpdateMatrices()
    logic.EndSliceNodeInteraction()


def offsets():
    """How far each view has gone from the vertebra's middle, along the view's axes."""
    return [view_matrix(node)[:3, :3].T @ (view_matrix(node)[:3, 3] - center) for node, center in zip((red, yellow), centers("L3"))]


for name, by in (("Red", 5.0), ("Yellow", -8.0), ("Red", 2.0)):
    drag(name, by)
assert np.allclose(offsets(), [[0, 0, -1], [0, 0, -1]], atol=1e-6), offsets()
red.SetFieldOfView(60, 60 * red.GetFieldOfView()[1] / red.GetFieldOfView()[0], 1)
assert abs(yellow.GetFieldOfView()[0] - 60) < 1e-9, "they zoom together"
yellow.SetXYZOrigin(7, -3, 0)
assert tuple(red.GetXYZOrigin()) == (7, -3, 0), "and are dragged aside together"

# Views back restores everything, and views are on their own again
ui.backButton.click()
assert state() == there and not ui.backButton.enabled
drag("Red", 5.0)
assert state()[yellow.GetID()] == there[yellow.GetID()]

# views of one direction: Slicer's own link would move the other to the same point in space, which shows another vertebra
dates = [ShownDate(SceneCase(name), ct, True, center) for name, ct, center in zip(("before", "after"), (before_ct, after_ct), centers("L3"))]
widget.place.remember()
widget.readings.linked.show(dates, "L3")
for name, by, away in (("Red", 5.0, 5.0), ("Yellow", -8.0, -3.0), ("Red", 1.0, -2.0)):
    drag(name, by)
    assert np.allclose(offsets(), [[0, 0, away]] * 2, atol=1e-6), offsets()
ui.backButton.click()

# another layout ends the link
ui.compareDatesButton.click()
slicer.app.layoutManager().setLayout(layouts.SlicerLayoutFourUpView)
drag("Red", 5.0)
assert abs(offsets()[1][2]) < 1e-6, "another layout ends the link"
ui.backButton.click()

# a comparison does not outlive its values
assert ui.compareText.toPlainText()
widget.inputs.setState("L1", "excluded")
ui.measureButton.click()
assert not ui.compareText.toPlainText()

# one image is no two dates; without a CT there are values alone
widget.showCase(widget.cases.secondReading(widget.parameters))
ui.measureButton.click()
ui.compareBox.currentIndex = ui.compareBox.findText("after")
ui.compareDatesButton.click()
assert messages.texts("error") == ["Both cases were measured on the same CT; choose cases of two dates."], messages
assert not ui.compareText.toPlainText()
