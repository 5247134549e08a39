"""Slice views: to the place where a number was taken, and back."""

from __future__ import annotations

import numpy as np

from .session import mrml_scene


def view_state() -> dict:
    """What every slice view shows now; `restore` brings it back."""
    state = {}
    for node in _nodes("vtkMRMLSliceNode"):
        state[node.GetID()] = (_numpy(node.GetSliceToRAS()), node.GetFieldOfView(), node.GetXYZOrigin())
    for node in _nodes("vtkMRMLSliceCompositeNode"):
        state[node.GetID()] = node.GetBackgroundVolumeID()
    return state


def restore(state: dict) -> None:
    """Bring the slice views back to a state; views that are gone since are left out."""
    for node in _nodes("vtkMRMLSliceNode"):
        if node.GetID() in state:
            matrix, field_of_view, origin = state[node.GetID()]
            _turn(node, matrix)
            node.SetFieldOfView(*field_of_view)
            node.SetXYZOrigin(*origin)
    for node in _nodes("vtkMRMLSliceCompositeNode"):
        if node.GetID() in state:
            node.SetBackgroundVolumeID(state[node.GetID()])


def look_at(place: dict, volume, before: dict) -> None:
    """Bring the slice views to a ROI's place, as the document has it.

    The view that lies nearest to the ROI's plane turns into that plane; the others move to its center. volume: the image that was
    read there, shown in the background. before: the state before views were first moved, from which they turn.
    """
    center = np.array(place["center"])
    slices = [node for node in _nodes("vtkMRMLSliceNode") if node.GetID() in before]
    for node in _nodes("vtkMRMLSliceCompositeNode"):
        node.SetBackgroundVolumeID(volume.GetID() if volume is not None else None)
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
        _turn(node, matrix)


def _turned(axes: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """A view's axes (columns) turned as little as makes the third one the normal; Slicer's axial axes are left-handed."""
    handedness = np.sign(np.linalg.det(axes))
    third = normal * (np.sign(axes[:, 2] @ normal) or 1.0)
    first = axes[:, 0] - (axes[:, 0] @ third) * third
    first /= np.linalg.norm(first)
    return np.stack([first, handedness * np.cross(third, first), third], axis=1)


def _turn(node, matrix: np.ndarray) -> None:
    node.GetSliceToRAS().DeepCopy(matrix.ravel().tolist())
    node.UpdateMatrices()


def _nodes(node_class: str) -> list:
    scene = mrml_scene()
    return [scene.GetNthNodeByClass(n, node_class) for n in range(scene.GetNumberOfNodesByClass(node_class))]


def _numpy(matrix) -> np.ndarray:
    return np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)])
