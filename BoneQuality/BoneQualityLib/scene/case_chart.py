"""The chart of a case: its values by level with the published cut-offs."""

from __future__ import annotations

from ..columns import LEVEL_COLUMNS, Column, Image, measures_for
from ..measures.roi import rgb
from .nodes import table_node

LINE_COLORS = dict(hu_3d="#1b7837", hu_multislice="#e08214", hu_middle="#2166ac", vbq_single_level="#1b7837")
CUTOFF_COLORS = ("#b2182b", "#762a83", "#7f7f7f", "#01665e", "#8c510a")

#: Height of the legend's letters, and the share of the plot's width that it takes with them.
LEGEND_FONT, LEGEND_SHARE = 12, 0.35


def show_chart(nodes, document: dict) -> None:
    """HU by level with the published cut-offs as lines; without a CT, single-level VBQ."""
    has_ct = any(row.get("hu_3d") is not None for row in document["levels"])
    measures = [measure.name for measure in measures_for("charted", Image.CT if has_ct else Image.T1)]
    columns = [Column("position", "Position", decimals=0), *(c for c in LEVEL_COLUMNS if c.name in ("level", *measures))]
    rows = [dict(row, position=n) for n, row in enumerate(document["levels"], 1) if any(row.get(m) is not None for m in measures)]
    lines = []
    for n, cutoff in enumerate(document["cutoffs"]):
        if cutoff["measure"].startswith("hu" if has_ct else "vbq"):
            source = " ".join(cutoff["source"].split()[:2])  # author and year: the legend covers the plot if longer
            title = f"{cutoff['comparison']} {cutoff['cutoff']:g} {source}"
            lines.append(Column(f"cutoff_{n}", title, decimals=3))
            for row in rows:
                row[f"cutoff_{n}"] = cutoff["cutoff"]
    table = table_node(
        "", [*columns, *lines], rows, nodes.get("chart table", "vtkMRMLTableNode", f"{document['case_id']} chart table")
    )
    is_new = not nodes.has("chart")
    chart = nodes.get("chart", "vtkMRMLPlotChartNode", f"{document['case_id']} chart")
    chart.RemoveAllPlotSeriesNodeIDs()
    if is_new:
        _leave_room_for_legend(chart, len(rows))
    for column in [c for c in columns if c.name in measures] + lines:
        role = f"series {column.name}"
        is_new_series = not nodes.has(role)
        series = nodes.get(role, "vtkMRMLPlotSeriesNode", column.title)
        _show_series(series, table, column, is_cutoff=column in lines)
        if is_new_series:
            series.SetColor(*rgb(LINE_COLORS.get(column.name, CUTOFF_COLORS[len(nodes.used) % len(CUTOFF_COLORS)])))
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle(f"{document['case_id']}: {'HU' if has_ct else 'VBQ'} by level")
    chart.SetXAxisTitle("  ".join(f"{row['position']} = {row['level']}" for row in rows))
    chart.SetYAxisTitle("HU" if has_ct else "VBQ")


def _leave_room_for_legend(chart, levels: int) -> None:
    """Slicer draws the legend over the plot's right upper corner: nothing is drawn there."""
    chart.SetLegendFontSize(LEGEND_FONT)
    chart.SetXAxisRangeAuto(False)
    chart.SetXAxisRange(0.5, 0.5 + levels / (1 - LEGEND_SHARE))


def _show_series(series, table, column: Column, is_cutoff: bool) -> None:
    series.SetName(column.title)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetPlotType(series.PlotTypeScatter)
    series.SetXColumnName("position")
    series.SetYColumnName(column.name)
    series.SetLabelColumnName("level")
    series.SetLineStyle(series.LineStyleDash if is_cutoff else series.LineStyleSolid)
    series.SetMarkerStyle(series.MarkerStyleNone if is_cutoff else series.MarkerStyleCircle)
