"""A cohort's statistics in the scene: every table as a table node, the ROC curves as a chart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..columns import Column
from ..measures.roi import COLORS, rgb
from .nodes import table_node
from .session import every_node, mrml_scene, still_views

COHORT_ATTRIBUTE = "BoneQuality.Cohort"
CURVE_POINTS = 400
_RATES = (Column("false_positive_rate", "1 - specificity", "", 4), Column("true_positive_rate", "Sensitivity", "", 4))


def show_cohort(result, tell: Callable[[str], str] = str) -> dict[str, object]:
    """Put a CohortResult into the scene, in place of an earlier one of that name; its nodes by the table's name, the chart as "chart".

    tell: makes a title of one, as a panel does that translates.
    """
    with still_views():
        for node in every_node():
            if node.GetAttribute(COHORT_ATTRIBUTE) == result.name:
                mrml_scene().RemoveNode(node)
        nodes = {}
        for key, (title, columns, rows) in result.titled_tables.items():
            columns = [replace(column, title=tell(column.title)) for column in columns]
            nodes[key] = _of(result, table_node(f"{result.name}: {tell(title)}", columns, rows))
        nodes["chart"] = _roc_chart(result, tell)
    return nodes


def _of(result, node):
    """The node, known as one of this cohort."""
    node.SetAttribute(COHORT_ATTRIBUTE, result.name)
    return node


def _roc_chart(result, tell: Callable[[str], str]):
    chart = _of(result, mrml_scene().AddNewNodeByClass("vtkMRMLPlotChartNode", f"{result.name}: ROC"))
    lines = [(tell("chance"), np.array([0.0, 1.0]), np.array([0.0, 1.0]))]
    for label, *rates in result.roc_curves:
        at = np.unique(np.linspace(0, len(rates[0]) - 1, CURVE_POINTS).astype(int))
        lines.append((label, rates[0][at], rates[1][at]))
    colors = ["#999999", *dict.fromkeys(COLORS.values())]
    for n, (name, *rates) in enumerate(lines):
        rows = [dict(zip((column.name for column in _RATES), point)) for point in zip(*rates)]
        table = _of(result, table_node(f"{result.name}: ROC {name}", _RATES, rows))
        series = _of(result, mrml_scene().AddNewNodeByClass("vtkMRMLPlotSeriesNode", name))
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetPlotType(series.PlotTypeScatter)
        series.SetXColumnName(_RATES[0].name)
        series.SetYColumnName(_RATES[1].name)
        series.SetMarkerStyle(series.MarkerStyleNone)
        series.SetColor(*rgb(colors[n % len(colors)]))
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle(f"{result.name}: ROC")
    chart.SetXAxisTitle(tell(_RATES[0].title))
    chart.SetYAxisTitle(tell(_RATES[1].title))
    return chart
