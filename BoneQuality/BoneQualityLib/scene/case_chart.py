"""The chart of a case: its values by level with the published cut-offs."""

from __future__ import annotations

import math

from ..columns import LEVEL_COLUMNS, Column, Image, measures_for
from ..measures.roi import rgb
from .nodes import table_node

LINE_COLORS = dict(hu_3d="#1b7837", hu_multislice="#e08214", hu_middle="#2166ac", vbq_single_level="#1b7837")
CUTOFF_COLOR, CUTOFFS_TITLE = "#7f7f7f", "Published cut-offs"
#: One line for all cut-offs: its points carry their names, and an empty row parts one cut-off from the next.
CUTOFF_COLUMNS = (
    Column("position", "Position", decimals=1),
    Column("cutoff", CUTOFFS_TITLE, decimals=3),
    Column("name", "Name"),
)
SIGNS = {"<=": "\N{LESS-THAN OR EQUAL TO}", ">=": "\N{GREATER-THAN OR EQUAL TO}"}

#: Height of the legend's letters, and the share of what is charted that is left free for it above the highest value.
LEGEND_FONT, LEGEND_SHARE = 12, 0.4
#: Height of the title's letters: a long case id has room in it.
TITLE_FONT = 14
#: The ends of the axis of values are multiples of these.
HU_STEP, VBQ_STEP = 10.0, 0.2
RANGES_ATTRIBUTE = "BoneQuality.Ranges"


def show_chart(nodes, document: dict) -> None:
    """HU by level with the published cut-offs as lines; without a CT, single-level VBQ."""
    has_ct = any(row.get("hu_3d") is not None for row in document["levels"])
    measures = [measure.name for measure in measures_for("charted", Image.CT if has_ct else Image.T1)]
    columns = [Column("position", "Position", decimals=0), *(c for c in LEVEL_COLUMNS if c.name in ("level", *measures))]
    rows = [dict(row, position=n) for n, row in enumerate(document["levels"], 1) if any(row.get(m) is not None for m in measures)]
    cutoffs = {_name(cutoff): cutoff["cutoff"] for cutoff in document["cutoffs"] if cutoff["measure"].startswith("hu") == has_ct}
    title = f"{document['case_id']} chart"
    values = table_node("", columns, rows, nodes.get("chart table", "vtkMRMLTableNode", f"{title} table"))
    chart = nodes.get("chart", "vtkMRMLPlotChartNode", title)
    chart.RemoveAllPlotSeriesNodeIDs()
    for column in columns:
        if column.name in measures:
            _add_line(nodes, chart, values, column, LINE_COLORS[column.name])
    if cutoffs:
        lines = [row for name, height in cutoffs.items() for row in _cutoff_rows(name, height, rows)]
        table = table_node("", CUTOFF_COLUMNS, lines, nodes.get("chart cutoffs", "vtkMRMLTableNode", f"{title} cut-offs"))
        series = _add_line(nodes, chart, table, CUTOFF_COLUMNS[1], CUTOFF_COLOR)
        series.SetLabelColumnName("name")
        series.SetLineStyle(series.LineStyleDash)
        series.SetMarkerStyle(series.MarkerStyleNone)
    chart.SetTitle(document["case_id"])
    chart.SetXAxisTitle("  ".join(f"{row['position']} = {row['level']}" for row in rows))
    chart.SetYAxisTitle("HU" if has_ct else "VBQ")
    charted = [row[measure] for row in rows for measure in measures if row.get(measure) is not None]
    _fit(chart, rows, [*charted, *cutoffs.values()], HU_STEP if has_ct else VBQ_STEP)


def _name(cutoff: dict) -> str:
    """Short enough for the margin of the chart: author and year of the source."""
    return f"{SIGNS[cutoff['comparison']]} {cutoff['cutoff']:g} {' '.join(cutoff['source'].split()[:2])}"


def _ends(rows: list[dict]) -> tuple[float, float]:
    """Left and right end of the axis of levels."""
    positions = [row["position"] for row in rows] or [1]
    return min(positions) - 0.5, max(positions) + 0.5


def _cutoff_rows(name: str, height: float, rows: list[dict]) -> list[dict]:
    first, last = _ends(rows)
    positions = [first, *(row["position"] for row in rows), last]
    return [*(dict(position=position, cutoff=height, name=name) for position in positions), dict(position=last)]


def _add_line(nodes, chart, table, column: Column, color: str):
    role = f"series {column.name}"
    is_new = not nodes.has(role)
    series = nodes.get(role, "vtkMRMLPlotSeriesNode", column.title)
    series.SetName(column.title)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetPlotType(series.PlotTypeScatter)
    series.SetXColumnName("position")
    series.SetYColumnName(column.name)
    series.SetLabelColumnName("level")
    series.SetLineStyle(series.LineStyleSolid)
    series.SetMarkerStyle(series.MarkerStyleCircle)
    if is_new:
        series.SetColor(*rgb(color))
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    return series


def _fit(chart, rows: list[dict], charted: list[float], step: float) -> None:
    """Ranges that hold all of it with the legend above; those that a person zoomed to stay as long as the same would be shown."""
    low, high = min(charted, default=0.0), max(charted, default=1.0)
    top = high + max(high - low, step) * LEGEND_SHARE
    ranges = _ends(rows), (math.floor(low / step - 0.5) * step, math.ceil(top / step) * step)
    if chart.GetAttribute(RANGES_ATTRIBUTE) == str(ranges):
        return
    chart.SetAttribute(RANGES_ATTRIBUTE, str(ranges))
    chart.SetLegendFontSize(LEGEND_FONT)
    chart.SetTitleFontSize(TITLE_FONT)
    for axis, ends in zip("XY", ranges):
        getattr(chart, f"Set{axis}AxisRangeAuto")(False)
        getattr(chart, f"Set{axis}AxisRange")(*ends)
