"""Two dates of one patient beside each other: the same vertebra in two sagittal views that move together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..image.grid import ANTERIOR, SUPERIOR
from .case_nodes import is_ours
from .scene_case import SceneCase
from .session import every_node, still_views
from .views import FIELD_OF_VIEW_MM, show_window, turn, view_matrix

#: The layout's two views, by name: the earlier date is on the left.
VIEWS = ("Red", "Yellow")
#: Priority of an observer: what Slicer's own link did to the other view comes first.
AFTER_SLICER = -1.0


@dataclass(frozen=True, eq=False)
class ShownDate:
    """A measured case, its image (volume node), whether that is a CT, and a vertebra's center and axes there, RAS mm.

    The axes are those of the patient where none are known.
    """

    case: SceneCase
    volume: object
    is_ct: bool
    center: np.ndarray
    anterior: np.ndarray = field(default_factory=lambda: ANTERIOR)
    superior: np.ndarray = field(default_factory=lambda: SUPERIOR)

    @property
    def sagittal(self) -> np.ndarray:
        """The vertebra's mid-sagittal plane as a slice view takes it, 4x4: anterior on the left, superior up."""
        right = -np.asarray(self.anterior, float)
        up = np.asarray(self.superior, float)
        up = up - (up @ right) * right
        up /= np.linalg.norm(up)
        matrix = np.eye(4)
        matrix[:3] = np.stack([right, up, np.cross(right, up), np.asarray(self.center, float)], axis=1)
        return matrix


class LinkedDates:
    """Slice views that show one vertebra of two dates: moving, turning or zooming one moves the other alike.

    Slicer links views by their position in space. Two examinations do not lie at the same place, so that here each view follows the
    other relative to the vertebra that both show. The link ends when the layout changes.
    """

    def __init__(self):
        self._views, self._placed, self._observed, self._follows = (), {}, [], False

    def show(self, dates: Sequence[ShownDate], level: str) -> None:
        """Show a level of both dates, the earlier one first, with that level's ROIs of each in its own view."""
        self.stop()
        with still_views():
            for layout in every_node("vtkMRMLLayoutNode"):
                layout.SetViewArrangement(layout.SlicerLayoutSideBySideView)
            by_name = {node.GetLayoutName(): node for node in every_node("vtkMRMLSliceNode")}
            self._views = tuple(by_name[name] for name in VIEWS)
            for node in every_node("vtkMRMLSegmentationNode"):
                if not is_ours(node):
                    node.SetDisplayVisibility(False)
            for node, date in zip(self._views, dates):
                _show_layers(node, date)
                date.case.show_only(level)
                date.case.show_in([node])
                self._place(node, date.sagittal)
        self._observe()

    def _place(self, node, matrix: np.ndarray) -> None:
        wide, high = (max(size, 1) for size in node.GetDimensions()[:2])
        scale = FIELD_OF_VIEW_MM / min(wide, high)
        node.SetXYZOrigin(0, 0, 0)
        node.SetFieldOfView(wide * scale, high * scale, node.GetFieldOfView()[2])
        turn(node, matrix)
        self._placed[node] = matrix

    def _observe(self) -> None:
        layouts = [(node, self._layout_changed) for node in every_node("vtkMRMLLayoutNode")]
        for node, called in [*((node, self._moved) for node in self._views), *layouts]:
            self._observed.append((node, node.AddObserver("ModifiedEvent", called, AFTER_SLICER)))

    def stop(self) -> None:
        """Let go of the views."""
        for node, tag in self._observed:
            node.RemoveObserver(tag)
        self._views, self._placed, self._observed = (), {}, []

    def _layout_changed(self, layout, event=None) -> None:
        if layout.GetViewArrangement() != layout.SlicerLayoutSideBySideView:
            self.stop()

    def _moved(self, node, event=None) -> None:
        other = next(each for each in self._views if each is not node)
        if self._follows or (other.GetInteracting() and not node.GetInteracting()):  # Slicer's own link moved it
            return
        self._follows = True
        try:
            turn(other, self._placed[other] @ np.linalg.inv(self._placed[node]) @ view_matrix(node))
            wide, _high, deep = node.GetFieldOfView()
            size = other.GetDimensions()
            other.SetFieldOfView(wide, wide * max(size[1], 1) / max(size[0], 1), deep)
            other.SetXYZOrigin(*node.GetXYZOrigin())
        finally:
            self._follows = False


def _show_layers(node, date: ShownDate) -> None:
    for composite in every_node("vtkMRMLSliceCompositeNode"):
        if composite.GetLayoutName() == node.GetLayoutName():
            composite.SetBackgroundVolumeID(date.volume.GetID())
            composite.SetForegroundVolumeID(None)
            composite.SetLabelVolumeID(None)
            composite.SetLinkedControl(True)  # the views' own controls say so, and Slicer links what is not position
    show_window(date.volume, date.is_ct)
