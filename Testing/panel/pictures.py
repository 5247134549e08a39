"""Makes the README's pictures of the panel: empty, a CT case, an MRI case, muscles, and a case with flags.

Not a test: the pictures are to be looked at. Run like the drive scripts; the pictures go to Resources/.
"""

import json
from pathlib import Path

import makers
import numpy as np
from PIL import Image

from BoneQualityLib.image.mask import Mask
from BoneQualityLib.phantoms import phantom_solids, phantom_spine
from BoneQualityLib.scene.arrays import TAGS_ATTRIBUTE
from BoneQualityLib.scene.case_nodes import is_ours
from BoneQualityLib.scene.nodes import segmentation_node, volume_node

FOLDER = Path(__file__).resolve().parents[2] / "Resources"
#: What a dock shows without scrolling on a screen of 1366 x 768.
SIZE, VIEW = (480, 700), (440, 350)
ui = widget.ui


def picture(name, view=True):
    """The upper part of the panel, nothing folded or hidden for the picture, beside the four views."""
    slicer.app.processEvents()
    path = FOLDER / name
    screenshot(panel, str(path), *SIZE, visible=True)
    shown = np.asarray(Image.open(path).convert("RGB"))
    if view:
        beside = FOLDER / f"{name}.views.png"
        views.save(str(beside), fit=False)
        right = np.asarray(Image.open(beside).convert("RGB"))
        beside.unlink()
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


picture("panel_empty.png", view=False)

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
picture("panel_ct.png")

case("demo-mri", "t1")
makers.click_level(widget, "L3", "vbq_single_level")
picture("panel_mri.png")

case("demo-muscles", "axialMr")
row = next(n for n, each in enumerate(makers.document(widget)["muscles"]) if each["disc"] == "L3-L4")
makers.click_muscle(widget, row, "area_mm2")
picture("panel_muscles.png")

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
picture("panel_flags.png")
