"""Further segmentations of an image, and further stacks of axial slices; out of sight where there is nothing to choose."""

import qt
import slicer

from BoneQualityLib.anatomy.segments import MEASURED_KINDS
from BoneQualityLib.entry.choices import MUSCLE_ROLE, find_structures

from .messages import said
from .parameter_node import NODE_LISTS, camelCase

MOST_ROWS, FRAME_PIXELS = 4, 4


class MoreInputs:
    """Lists in which nodes are ticked that go with the first segmentation, or the first stack, of an image."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        self._rows = {}
        for name in NODE_LISTS:
            widget = getattr(self.ui, f"{name}List")
            widget.connect("itemChanged(QListWidgetItem*)", said(lambda item, name=name: self.onTicked(name)))

    def update(self, picked):
        """Offer what no case uses, and what is ticked. picked: by role."""
        free = self.panel.cases.free(self.panel.parameters)
        for each in picked.values():
            name, kinds = camelCase(each.role.name), MEASURED_KINDS[each.role.name]
            masks = [node for node in free if node.IsA("vtkMRMLSegmentationNode") and find_structures(node, {}, "", kinds).measured]
            self._show(f"{name}More", each.more_segmentations, masks if each.segmentation is not None else [])
        muscles = picked[MUSCLE_ROLE.name]
        volumes = [node for node in free if node.IsA("vtkMRMLScalarVolumeNode") and not node.IsA("vtkMRMLLabelMapVolumeNode")]
        self._show("axialMrStacks", muscles.more_volumes, volumes if muscles.volume is not None else [])

    def _show(self, name, ticked, others):
        nodes = [*ticked, *others]
        label, widget = getattr(self.ui, f"{name}Label"), getattr(self.ui, f"{name}List")
        label.visible = widget.visible = bool(nodes)
        rows = [(node.GetID(), node.GetName(), node in ticked) for node in nodes]
        if self._rows.get(name) == rows:
            return
        self._rows[name] = rows
        widget.blockSignals(True)
        widget.clear()
        for identifier, text, isTicked in rows:
            item = qt.QListWidgetItem(text)
            item.setData(qt.Qt.UserRole, identifier)
            item.setCheckState(qt.Qt.Checked if isTicked else qt.Qt.Unchecked)
            widget.addItem(item)
        widget.blockSignals(False)
        widget.setFixedHeight(min(len(rows), MOST_ROWS) * widget.sizeHintForRow(0) + FRAME_PIXELS)

    def onTicked(self, name):
        widget = getattr(self.ui, f"{name}List")
        items = [widget.item(row) for row in range(widget.count)]
        ticked = [item.data(qt.Qt.UserRole) for item in items if item.checkState() == qt.Qt.Checked]
        setattr(self.panel.parameters, name, [slicer.mrmlScene.GetNodeByID(identifier) for identifier in ticked])
