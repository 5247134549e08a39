"""Closed curves around a 2-D field."""

from __future__ import annotations

import numpy as np


def outlines(field: np.ndarray) -> list[np.ndarray]:
    """Closed curves where a 2-D field [row, column] crosses zero: each (n, 2) as (column, row), in samples."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

    padded = np.pad(np.clip(field, -100, 100).astype(np.float64), 1, constant_values=-100.0)
    image = vtk.vtkImageData()
    image.SetDimensions(padded.shape[1], padded.shape[0], 1)
    image.GetPointData().SetScalars(numpy_to_vtk(padded.ravel()))
    contour = vtk.vtkFlyingEdges2D()
    contour.SetInputData(image)
    contour.SetValue(0, 0.0)
    joined = vtk.vtkStripper()
    joined.SetInputConnection(contour.GetOutputPort())
    joined.SetMaximumLength(padded.size)
    joined.JoinContiguousSegmentsOn()
    joined.Update()
    lines = joined.GetOutput()
    if not lines.GetNumberOfPoints():
        return []
    points = vtk_to_numpy(lines.GetPoints().GetData())[:, :2].astype(np.float64) - 1
    ids = vtk.vtkIdList()
    found = []
    for cell in range(lines.GetNumberOfCells()):
        lines.GetCellPoints(cell, ids)
        curve = points[[ids.GetId(n) for n in range(ids.GetNumberOfIds())]]
        found.append(curve[:-1] if np.allclose(curve[0], curve[-1]) else curve)
    return [curve for curve in found if len(curve) > 2]
