"""Arrays, masks and tables to nodes."""

from __future__ import annotations

import numpy as np

from ..image.grid import Grid
from ..image.mask import Mask
from .session import mrml_scene


def volume_node(name: str, array: np.ndarray, grid: Grid, label_map: bool = False):
    """A scalar volume (or label map) node holding a copy of an array ``[k, j, i]``."""
    node = mrml_scene().AddNewNodeByClass("vtkMRMLLabelMapVolumeNode" if label_map else "vtkMRMLScalarVolumeNode", name)
    node.SetAndObserveImageData(_vtk_image(array))
    node.SetIJKToRASMatrix(matrix_of(grid.ijk_to_ras))
    return node


def segmentation_node(name: str, masks: list[Mask], node=None):
    """A segmentation node (a new one, or the given one filled anew) with one segment for every mask, named like it."""
    node = node or mrml_scene().AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()  # before segments come: each is given a color of its own
    segmentation = node.GetSegmentation()
    segmentation.RemoveAllSegments()
    segmentation.SetSourceRepresentationName("Binary labelmap")
    for mask in masks:
        add_mask(node, mask)
    return node


def add_mask(node, mask: Mask) -> None:
    """Add a segment with a mask to a segmentation node, named like it."""
    import slicer

    segmentation = node.GetSegmentation()
    labels = slicer.vtkOrientedImageData()
    labels.DeepCopy(_vtk_image(mask.array.astype(np.uint8)))
    labels.SetImageToWorldMatrix(matrix_of(mask.grid.ijk_to_ras))
    segment = slicer.vtkSegment()
    segment.SetName(mask.name)
    segment.AddRepresentation("Binary labelmap", labels)
    segmentation.AddSegment(segment, segmentation.GenerateUniqueSegmentID(mask.name.replace(" ", "_")))


def _vtk_image(array: np.ndarray):
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData()
    image.SetDimensions(*array.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(array).ravel(), deep=True))
    return image


def matrix_of(affine: np.ndarray):
    """A 4x4 array as VTK takes it."""
    import vtk

    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(affine, float).ravel().tolist())
    return matrix


def table_node(name: str, columns, rows: list[dict], node=None):
    """A table node (a new one, or the given one filled anew) with typed columns, titles, units and descriptions.

    Numbers that were not measured are nan.
    """
    import vtk

    node = node or mrml_scene().AddNewNodeByClass("vtkMRMLTableNode", name)
    table = vtk.vtkTable()
    for column in columns:
        array = vtk.vtkDoubleArray() if column.is_number else vtk.vtkStringArray()
        array.SetName(column.name)
        for row in rows:
            value = row.get(column.name)
            array.InsertNextValue(column.number(value) if column.is_number else column.text(value))
        table.AddColumn(array)
    node.SetAndObserveTable(table)
    for column in columns:
        node.SetColumnTitle(column.name, column.title)
        node.SetColumnDescription(column.name, column.description)
        node.SetColumnUnitLabel(column.name, column.unit)
    node.SetUseColumnTitleAsColumnHeader(True)
    return node
