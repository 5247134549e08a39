"""Names in Slicer's chart views that the nodes of a chart have no place for: levels along the axis, cut-offs at their lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from .case_nodes import is_ours

#: From one name to the next beside the chart and below it, pixels: the letters of an axis are 12 high.
NAME_PIXELS, LEVEL_PIXELS = 15, 30
#: The share of a view's size that an axis has before it was drawn for the first time.
AXIS_SHARE = 0.7
Names = list[tuple[float, str]]


def keep_names(chart, window, view_node: Callable) -> None:
    """Write a case's names into one of Slicer's chart views whenever it shows the chart of a case.

    chart, window: the view's vtkChartXY and its render window. view_node: called for the view's node. Slicer writes the titles and
    ranges of all axes anew whenever a node of the chart changes, a scene was loaded or a person zooms, and the view may come to show
    the chart of another module; so the names are looked after right before each render.
    """
    is_named = False

    def before_render(caller, event) -> None:
        nonlocal is_named
        node = view_node()
        shown = node.GetPlotChartNode() if node is not None else None
        was_named, is_named = is_named, shown is not None and is_ours(shown)
        if is_named:
            _name(chart, window, shown)
        elif was_named:
            _forget(chart)

    window.AddObserver("StartEvent", before_render)


def _name(chart, window, shown) -> None:
    bottom, left, right = (chart.GetAxis(side) for side in (_BOTTOM, _LEFT, _RIGHT))
    levels, cutoffs = set(), set()
    for n in range(shown.GetNumberOfPlotSeriesNodes()):
        series = shown.GetNthPlotSeriesNode(n)
        if series is not None and series.GetTableNode() is not None:  # a person may have deleted either
            levels |= _names(series.GetTableNode().GetTable(), "position", "level")
            cutoffs |= _names(series.GetTableNode().GetTable(), "cutoff", "name")
    bottom.SetTitle("")
    along, width = _within(bottom, levels), _length(bottom, 0, window)
    every = max(math.ceil(len(along) * LEVEL_PIXELS / width), 1)
    _write(bottom, along[::-1][::every][::-1])  # of many the lowest and others
    chart.SetAutoAxes(False)  # else the right axis is hidden, as no line belongs to it
    right.SetUnscaledRange(left.GetUnscaledMinimum(), left.GetUnscaledMaximum())
    right.SetTitle("")
    right.SetGridVisible(False)
    right.SetTicksVisible(False)
    right.SetVisible(True)
    spread = right.GetMaximum() - right.GetMinimum()
    _write(right, apart(_within(right, cutoffs), NAME_PIXELS / _length(left, 1, window) * spread))


def _length(axis, along: int, window) -> float:
    """Pixels from end to end of an axis."""
    return abs(axis.GetPoint2()[along] - axis.GetPoint1()[along]) or AXIS_SHARE * max(window.GetSize()[along], 1)


def _forget(chart) -> None:
    """Leave the axes as Slicer's view makes them."""
    for side in (_BOTTOM, _RIGHT):
        chart.GetAxis(side).SetCustomTickPositions(None, None)
    chart.GetAxis(_RIGHT).SetTicksVisible(True)
    chart.GetAxis(_RIGHT).SetVisible(False)
    chart.SetAutoAxes(True)


_LEFT, _BOTTOM, _RIGHT = 0, 1, 2  # vtkAxis.Location


def _names(table, number: str, text: str) -> set[tuple[float, str]]:
    """A column of texts with the numbers that stand beside them; rows without a text, and tables without these columns, have none."""
    if table.GetColumnByName(text) is None:
        return set()
    cells = [(table.GetValueByName(row, number), table.GetValueByName(row, text)) for row in range(table.GetNumberOfRows())]
    return {(position.ToDouble(), name.ToString()) for position, name in cells if name.ToString()}


def _within(axis, names: Iterable[tuple[float, str]]) -> Names:
    """The names that the axis reaches, from the lowest up, at the positions that it counts in: powers of ten on a log scale."""
    scaled = [(math.log10(position) if axis.GetLogScaleActive() else position, name) for position, name in names]
    return sorted(name for name in scaled if axis.GetMinimum() <= name[0] <= axis.GetMaximum())


def _write(axis, names: Names) -> None:
    import vtk

    positions, labels = vtk.vtkDoubleArray(), vtk.vtkStringArray()
    for position, name in names:
        positions.InsertNextValue(position)
        labels.InsertNextValue(name)
    axis.SetCustomTickPositions(positions, labels)


def apart(names: Names, least: float) -> Names:
    """The names, from the lowest up, with their heights moved as little as leaves ``least`` between neighbors: what is closer is spread about its
    mean."""
    groups: list[Names] = []
    for name in names:
        groups.append([name])
        while len(groups) > 1 and _heights(groups[-1], least)[0] - _heights(groups[-2], least)[-1] < least:
            upper = groups.pop()
            groups[-1] += upper
    return [(height, name) for group in groups for height, (_, name) in zip(_heights(group, least), group)]


def _heights(group: Names, least: float) -> list[float]:
    middle = sum(height for height, _ in group) / len(group)
    return [middle + least * (n - (len(group) - 1) / 2) for n in range(len(group))]
