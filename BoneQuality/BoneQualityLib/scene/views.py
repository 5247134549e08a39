"""Slice views: to the place where a number was taken, and back."""

from __future__ import annotations

import numpy as np

from .session import every_node, mrml_scene, still_views

#: The smaller side of a view that shows a place, mm: a vertebra with what lies around it.
FIELD_OF_VIEW_MM = 110.0
#: The muscles of both sides need more.
MUSCLES_FIELD_OF_VIEW_MM = 200.0
#: A bone window: width 1500 HU, level 300 HU.
BONE_WINDOW_HU = (-450.0, 1050.0)
_LAYERS = ("Background", "Foreground", "Label")


def view_state() -> dict:
    """What the views show now, with layout, window and visibility; `restore` brings it back."""
    state = {}
    for node in every_node("vtkMRMLSliceNode"):
        state[node.GetID()] = (view_matrix(node), node.GetFieldOfView(), node.GetXYZOrigin())
    for node in every_node("vtkMRMLSliceCompositeNode"):
        layers = [getattr(node, f"Get{layer}VolumeID")() for layer in _LAYERS]
        state[node.GetID()] = (layers, node.GetLinkedControl())
    for node in every_node("vtkMRMLLayoutNode"):
        state[node.GetID()] = node.GetViewArrangement()
    for node in every_node("vtkMRMLScalarVolumeDisplayNode"):
        state[node.GetID()] = (node.GetAutoWindowLevel(), node.GetWindowLevelMin(), node.GetWindowLevelMax())
    for node in every_node("vtkMRMLMarkupsDisplayNode"):
        state[node.GetID()] = (node.GetVisibility(), node.GetViewNodeIDs())
    for node in every_node("vtkMRMLSegmentationDisplayNode"):
        shown = {identifier: node.GetSegmentVisibility(identifier) for identifier in _segments(node)}
        drawn = node.GetVisibility(), node.GetVisibility2DFill(), node.GetVisibility2DOutline()
        state[node.GetID()] = (*drawn, shown, node.GetViewNodeIDs())
    return state


def restore(state: dict) -> None:
    """Bring the views back to a state; what is gone since is left out."""
    with still_views():
        for kind, bring_back in _RESTORE.items():
            for node in every_node(kind):
                if node.GetID() in state:
                    bring_back(node, state[node.GetID()])


def _restore_slice(node, state) -> None:
    matrix, field_of_view, origin = state
    turn(node, matrix)
    node.SetFieldOfView(*field_of_view)
    node.SetXYZOrigin(*origin)


def _restore_layers(node, state) -> None:
    layers, is_linked = state
    node.SetLinkedControl(is_linked)
    for layer, volume in zip(_LAYERS, layers):
        there = volume if volume and mrml_scene().GetNodeByID(volume) is not None else None
        getattr(node, f"Set{layer}VolumeID")(there)


def _restore_window(node, state) -> None:
    is_automatic, low, high = state
    node.SetAutoWindowLevel(is_automatic)
    if not is_automatic:
        node.SetWindowLevelMinMax(low, high)


def _restore_segments(node, state) -> None:
    visible, fill, outline, shown, views = state
    for identifier in set(_segments(node)) & set(shown):
        node.SetSegmentVisibility(identifier, shown[identifier])
    node.SetVisibility2DFill(fill)
    node.SetVisibility2DOutline(outline)
    node.SetVisibility(visible)
    node.SetViewNodeIDs(views)


def _restore_curve(node, state) -> None:
    visible, views = state
    node.SetVisibility(visible)
    node.SetViewNodeIDs(views)


_RESTORE = {
    "vtkMRMLLayoutNode": lambda node, arrangement: node.SetViewArrangement(arrangement),
    "vtkMRMLSliceNode": _restore_slice,
    "vtkMRMLSliceCompositeNode": _restore_layers,
    "vtkMRMLScalarVolumeDisplayNode": _restore_window,
    "vtkMRMLMarkupsDisplayNode": _restore_curve,
    "vtkMRMLSegmentationDisplayNode": _restore_segments,
}


def look_at(place: dict, volume, before: dict, is_ct: bool = False, field_of_view_mm: float = FIELD_OF_VIEW_MM) -> None:
    """Bring the slice views to a ROI's place, as the document has it; the smaller side of each view is ``field_of_view_mm``.

    The view that lies nearest to the ROI's plane turns into that plane; the others move to its center. volume: the image that was
    read there, shown alone, a CT in a bone window. before: the state before views were first moved, from which they turn.
    """
    with still_views():
        _show_alone(volume, is_ct)
        _show_slice_views()
        center = np.array(place["center"])
        slices = [node for node in every_node("vtkMRMLSliceNode") if node.GetID() in before]
        along = {node.GetID(): before[node.GetID()][0][:3, 2] for node in slices}
        nearest = None
        if "normal" in place and slices:
            nearest = max(slices, key=lambda node: abs(along[node.GetID()] @ np.array(place["normal"])))
        for node in slices:
            matrix = before[node.GetID()][0].copy()
            if node is nearest:
                matrix[:3, :3] = _turned(matrix[:3, :3], np.array(place["normal"]))
            matrix[:3, 3] = center
            node.SetXYZOrigin(0, 0, 0)  # a view that was dragged aside shows the place in its middle
            turn(node, matrix)
            wide, high = (max(size, 1) for size in node.GetDimensions()[:2])
            scale = field_of_view_mm / min(wide, high)
            node.SetFieldOfView(wide * scale, high * scale, node.GetFieldOfView()[2])


def show_table(table) -> None:
    """A table node in the layout's table view, beside the slice views."""
    for layout in every_node("vtkMRMLLayoutNode"):
        layout.SetViewArrangement(layout.SlicerLayoutFourUpTableView)
    for node in every_node("vtkMRMLSelectionNode"):
        node.SetActiveTableID(table.GetID())
    for node in every_node("vtkMRMLTableViewNode"):  # the layout may have made it only now
        node.SetTableNodeID(table.GetID())


def _show_alone(volume, is_ct: bool) -> None:
    for node in every_node("vtkMRMLSliceCompositeNode"):
        node.SetBackgroundVolumeID(volume.GetID() if volume is not None else None)
        node.SetForegroundVolumeID(None)
        node.SetLabelVolumeID(None)
    if volume is not None:
        show_window(volume, is_ct)


def show_window(volume, is_ct: bool) -> None:
    """A bone window for a CT, an automatic one for other images."""
    display = volume.GetDisplayNode()
    if display is not None:
        display.SetAutoWindowLevel(not is_ct)
        if is_ct:
            display.SetWindowLevelMinMax(*BONE_WINDOW_HU)


def _show_slice_views() -> None:
    """Leave a layout that has the three slice views; else take the one with four views."""
    for node in every_node("vtkMRMLLayoutNode"):
        names = "Initial Default Conventional FourUp FourUpPlot FourUpTable ConventionalPlot ConventionalWidescreen".split()
        if node.GetViewArrangement() not in [getattr(node, f"SlicerLayout{name}View", None) for name in names]:
            node.SetViewArrangement(node.SlicerLayoutFourUpView)


def _turned(axes: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """A view's axes (columns) turned as little as makes the third one the normal; Slicer's axial axes are left-handed."""
    handedness = np.sign(np.linalg.det(axes))
    third = normal * (np.sign(axes[:, 2] @ normal) or 1.0)
    first = axes[:, 0] - (axes[:, 0] @ third) * third
    first /= np.linalg.norm(first)
    return np.stack([first, handedness * np.cross(third, first), third], axis=1)


def turn(node, matrix: np.ndarray) -> None:
    """Put a slice view into the plane of a 4x4 array: axes as columns, and the plane's origin, RAS mm."""
    node.GetSliceToRAS().DeepCopy(matrix.ravel().tolist())
    node.UpdateMatrices()


def _segments(display) -> list[str]:
    segmentation = display.GetDisplayableNode().GetSegmentation() if display.GetDisplayableNode() is not None else None
    return [] if segmentation is None else [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]


def view_matrix(node) -> np.ndarray:
    """The plane of a slice view, 4x4."""
    matrix = node.GetSliceToRAS()
    return np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)])
