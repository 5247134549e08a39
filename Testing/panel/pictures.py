"""Makes the README's pictures of the panel: empty, a CT case, an MRI case, muscles, and a case with flags.

Not a test: the pictures are to be looked at. Run like the drive scripts; the pictures go to Resources/.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from PySide6 import QtWidgets

from BoneQualityLib.image.mask import Mask
from BoneQualityLib.phantoms import phantom_solids, phantom_spine
from BoneQualityLib.scene import case_nodes
from BoneQualityLib.scene.arrays import TAGS_ATTRIBUTE
from BoneQualityLib.scene.nodes import segmentation_node, volume_node
from BoneQualityLib.scene.scene_case import SceneCase

QtWidgets.QWIDGETSIZE_MAX = 16777215  # missed by the stand-in that unfolds a section
FOLDER = Path(__file__).resolve().parents[2] / "Resources"
WIDTH, VIEW = 560, (520, 620)
ui = widget.ui


def fold(*unfolded):
    for section in (
        ui.caseSection,
        ui.ctSection,
        ui.t1Section,
        ui.levelsSection,
        ui.musclesSection,
        ui.resultsSection,
        ui.exportSection,
    ):
        section.collapsed = section not in unfolded
    ui.factsBox.visible = ui.caseTableBox.visible = False
    widget.update()


def picture(name, height, *unfolded, view=None):
    """The panel with some sections unfolded, beside the four views."""
    fold(*unfolded)
    slicer.app.processEvents()
    screenshot(panel, str(FOLDER / name), WIDTH, height)
    if view is not None:
        views.save(str(FOLDER / name) + ".views.png", fit=False)
        left, right = (np.asarray(Image.open(str(FOLDER / name) + end).convert("RGB")) for end in ("", ".views.png"))
        canvas = np.zeros((max(len(left), len(right)), left.shape[1] + right.shape[1], 3), np.uint8)
        canvas[: len(left), : left.shape[1]] = left
        canvas[: len(right), left.shape[1] :] = right
        Image.fromarray(canvas).save(FOLDER / name)
        Path(str(FOLDER / name) + ".views.png").unlink()


def look(view, level, column):
    table = view.mrmlTableNode()
    names = [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())]
    rows = [table.GetCellText(n, names.index("level" if "level" in names else "disc")) for n in range(table.GetNumberOfRows())]
    view.clicked.emit(view.model().index(rows.index(level), names.index(column)))


def show(volume, direction=None):
    """The volume in all views, fitted, and everything of the case in 3-D, from the front unless another direction is given."""
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    for name in ("Red", "Green", "Yellow"):
        getattr(views, name).window.SetSize(*VIEW)
        getattr(views, name).fit()
    views.threeD.window.SetSize(*VIEW)
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        node.GetDisplayNode().SetOpacity3D(1.0)  # half transparent surfaces are not drawn off screen
        if not case_nodes.is_ours(node):
            node.GetDisplayNode().SetVisibility(False)
    views.threeD.fit(direction)


picture("panel_empty.png", 760, ui.caseSection, ui.ctSection, ui.t1Section, ui.levelsSection)

ui.loadDemoButton.click()
parameters = widget.parameters
nodes = {role: (getattr(parameters, role), getattr(parameters, f"{role}Segmentation")) for role in ("ct", "t1", "axialMr")}


def case(case_id, *roles):
    ui.caseSelector.setCurrentNode(widget.cases.create().parameterNode)
    chosen = widget.parameters
    chosen.caseId = case_id
    for role in roles:
        setattr(chosen, role, nodes[role][0])
        setattr(chosen, f"{role}Segmentation", nodes[role][1])
    ui.measureButton.click()
    show(nodes[roles[0]][0], slicer.vtkMRMLCameraNode.Left if roles == ("t1",) else None)
    return chosen


case("demo-ct", "ct")
look(ui.levelTable, "L3", "hu_upper")
picture("panel_ct.png", 900, ui.ctSection, ui.levelsSection, ui.resultsSection, view=True)
SceneCase("demo-ct").set_visible(False)
ui.backButton.click()

case("demo-mri", "t1")
look(ui.levelTable, "L3", "t1_signal")
picture("panel_mri.png", 860, ui.t1Section, ui.levelsSection, ui.resultsSection, view=True)
SceneCase("demo-mri").set_visible(False)
ui.backButton.click()

case("demo-muscles", "axialMr")
look(ui.muscleTable, "L3-L4", "area_mm2")
picture("panel_muscles.png", 1250, ui.musclesSection, ui.resultsSection, view=True)
SceneCase("demo-muscles").set_visible(False)
ui.backButton.click()

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
look(ui.levelTable, "L2", "hu_middle")
picture("panel_flags.png", 1000, ui.levelsSection, ui.resultsSection, view=True)
