"""Makes pictures of the panel: empty, a CT case, an MRI case, muscles, a case with flags, two readers, two dates, dark, and the view of
every level of the CT case.

Not a test: the pictures are to be looked at. Run like the drive scripts; the pictures go to Resources/, or to the folder in PICTURES,
where those are that the README does not show.
"""

import json
import os
from pathlib import Path

import makers
import numpy as np
import qt
from PIL import Image
from PySide6 import QtWidgets

from BoneQualityLib.image.mask import Mask
from BoneQualityLib.phantoms import phantom_solids, phantom_spine
from BoneQualityLib.scene.arrays import TAGS_ATTRIBUTE
from BoneQualityLib.scene.case_nodes import is_ours
from BoneQualityLib.scene.nodes import segmentation_node, volume_node

FOLDER = Path(os.environ.get("PICTURES") or Path(__file__).resolve().parents[2] / "Resources")
ALL = "PICTURES" in os.environ
#: What a dock shows without scrolling on a screen of 1366 x 768.
SIZE, VIEW = (480, 700), (440, 350)
#: The runner's collapsible button looks for it where Qt 5 has it.
QtWidgets.QWIDGETSIZE_MAX = 16777215
FOUR, TWO = (("Red", "threeD"), ("Green", "Yellow")), (("Red", "Yellow"),)
ui = widget.ui


def picture(name, *rows, of=None):
    """The upper part of the panel as a small screen shows it, or one widget whole, beside rows of views."""
    slicer.app.processEvents()
    path = FOLDER / name
    of = of or panel
    screenshot(of, str(path), SIZE[0], max(SIZE[1], of.heightForWidth(SIZE[0])))  # nothing is squeezed
    shown = np.asarray(Image.open(path).convert("RGB"))[: SIZE[1]]
    if rows:
        right = np.vstack([np.hstack([getattr(views, view).image()[..., :3] for view in row]) for row in rows])
        canvas = np.zeros((max(len(shown), len(right)), shown.shape[1] + right.shape[1], 3), np.uint8)
        canvas[: len(shown), : shown.shape[1]] = shown
        canvas[: len(right), shown.shape[1] :] = right
        shown = canvas
    Image.fromarray(shown).save(path)


def show(volume, direction=None):
    """The volume in all views, fitted, and everything of the case in 3-D, from the front unless another direction is given."""
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    for name in ("Red", "Green", "Yellow"):
        getattr(views, name).window.SetSize(*VIEW)
        getattr(views, name).fit()
    views.threeD.window.SetSize(*VIEW)
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        node.GetDisplayNode().SetOpacity3D(1.0)  # half transparent surfaces are not drawn off screen
        if not is_ours(node):
            node.GetDisplayNode().SetVisibility(False)
    views.threeD.fit(direction)


picture("panel_empty.png")

ui.loadDemoButton.click()
parameters = widget.parameters
nodes = {role: (getattr(parameters, role), getattr(parameters, f"{role}Segmentation")) for role in ("ct", "t1", "axialMr")}


def case(case_id, *roles):
    widget.showCase(widget.cases.create())
    chosen = widget.parameters
    chosen.caseId = case_id
    for role in roles:
        setattr(chosen, role, nodes[role][0])
        setattr(chosen, f"{role}Segmentation", nodes[role][1])
    ui.measureButton.click()
    show(nodes[roles[0]][0], slicer.vtkMRMLCameraNode.Left if roles == ("t1",) else None)
    return chosen


case("demo-ct", "ct")
makers.click_level(widget, "L3", "hu_upper")
picture("panel_ct.png", *FOUR)
for level in widget.results.levels if ALL else ():
    for slice_ in ("upper", "middle", "lower"):
        makers.click_level(widget, level, f"hu_{slice_}")
        picture(f"click_{level}_{slice_}.png", *FOUR)

case("demo-mri", "t1")
makers.click_level(widget, "L3", "vbq_single_level")
picture("panel_mri.png", *FOUR)

case("demo-muscles", "axialMr")
row = next(n for n, each in enumerate(makers.document(widget)["muscles"]) if each["disc"] == "L3-L4")
makers.click_muscle(widget, row)
picture("panel_muscles.png", *FOUR)

changes = {"L2": dict(height_anterior_mm=18.0, height_middle_mm=20.0), "L4": dict(pit=phantom_solids.Pit(radius_mm=9, depth_mm=11))}
spine = phantom_spine.lumbar_spine(cancellous_hu=dict(L1=62, L2=95, L3=51, L4=48, L5=60), posterior_elements=False, changes=changes)
grid = phantom_spine.grid_for(spine, (0.9, 0.9, 1.5))
ct = volume_node("flagged CT", phantom_spine.render_ct(spine, grid, 25, seed=3), grid)
ct.SetAttribute(TAGS_ATTRIBUTE, json.dumps(dict(modality="CT", kvp=100.0, contrast="yes", kernel="B70s", slice_thickness_mm=1.5)))
ct.CreateDefaultDisplayNodes()
masks = segmentation_node(
    "flagged masks", [Mask(f"{v.level} body", phantom_spine.body_mask(v, grid), grid).cropped() for v in spine.vertebrae]
)
masks.CreateDefaultDisplayNodes()
nodes["ct"] = ct, masks
flagged = case("demo-flags", "ct")
flagged.levelStates = {"L2": "fractured"}
ui.measureButton.click()
makers.click_level(widget, "L4", "hu_middle")
picture("panel_flags.png", *FOUR)

# two dates: the flagged case, and the demo before it
ui.compareSection.collapsed = False
ui.compareBox.currentIndex = ui.compareBox.findText("demo-ct")
ui.compareDatesButton.click()
for name in ("Red", "Yellow"):
    getattr(views, name).window.SetSize(VIEW[0], 2 * VIEW[1])
    getattr(views, name).logic.ResizeSliceNode(VIEW[0], 2 * VIEW[1])
ui.compareText.anchorClicked.emit(qt.QUrl("level:L2"))
picture("panel_two_dates.png", *TWO, of=ui.compareSection)
ui.backButton.click()

if ALL:
    # two readers: the second one moved an ellipse
    widget.showCase(widget.cases.secondReading(next(each for each in widget.cases.every() if each.caseId == "demo-ct")))
    ui.readerEdit.text = "b"
    ui.measureButton.click()
    makers.move(makers.curve(widget, "L2 middle"), [3, 1, 0])
    makers.process_events()
    ui.updateButton.click()
    ui.compareBox.currentIndex = ui.compareBox.findText("demo-ct")
    ui.compareReadersButton.click()
    picture("panel_two_readers.png", of=ui.compareSection)
    show(nodes["ct"][0])
    makers.click_level(widget, "L2", "hu_middle")
    picture("panel_second_reader.png", *FOUR)

    dark = qt.QPalette()
    for role, color in (("Window", "#323232"), ("Base", "#242424"), ("AlternateBase", "#2b2b2b"), ("Button", "#3a3a3a"), ("Mid", "#5a5a5a")):
        dark.setColor(getattr(qt.QPalette, role), qt.QColor(color))
    for role in ("WindowText", "Text", "ButtonText", "ToolTipText", "BrightText"):
        dark.setColor(getattr(qt.QPalette, role), qt.QColor("#e0e0e0"))
    slicer.app._qtApplication.setPalette(dark)
    widget.update()
    ui.compareReadersButton.click()
    picture("panel_dark.png", *FOUR)
    picture("panel_dark_compared.png", of=ui.compareSection)
