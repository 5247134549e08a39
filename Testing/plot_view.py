"""Slicer's plot view without its widget: the same vtkChartXY, filled from the nodes as qMRMLPlotView::updateWidgetFromMRML does."""

from __future__ import annotations

import slicer
import vtk

SIDES = (vtk.vtkAxis.BOTTOM, vtk.vtkAxis.TOP, vtk.vtkAxis.LEFT, vtk.vtkAxis.RIGHT)
LINES = (vtk.vtkPen.NO_PEN, vtk.vtkPen.SOLID_LINE, vtk.vtkPen.DASH_LINE)


class PlotView:
    """Renders off screen."""

    def __init__(self, size=(630, 400)):
        self.view, self.chart, self.node = vtk.vtkContextView(), vtk.vtkChartXY(), slicer.vtkMRMLPlotViewNode()
        self.window = self.view.GetRenderWindow()
        self.window.SetOffScreenRendering(True)
        self.window.SetSize(*size)
        self.view.GetScene().AddItem(self.chart)
        self.shown, self.is_updating = None, False
        self.chart.AddObserver("InteractionEvent", self.keep_ranges)

    def show(self, chart_node):
        """As ShowChartInLayout: the view's node refers to another chart."""
        if not self.node.GetScene():
            chart_node.GetScene().AddNode(self.node)
        if self.shown is not None:
            self.shown.RemoveObserver(self.tag)
        self.node.SetPlotChartNodeID(chart_node.GetID())
        self.shown, self.tag = chart_node, chart_node.AddObserver("ModifiedEvent", self.update)
        self.update()

    def update(self, caller=None, event=None):
        if self.is_updating:
            return
        self.is_updating, node = True, self.shown
        self.chart.ClearPlots()
        for n in range(node.GetNumberOfPlotSeriesNodes()):
            self._add(node.GetNthPlotSeriesNode(n))
        self.chart.SetTitle(node.GetTitle() or "")
        self.chart.GetTitleProperties().SetFontSize(node.GetTitleFontSize())
        self.chart.SetShowLegend(node.GetLegendVisibility())
        self.chart.GetLegend().GetLabelProperties().SetFontSize(node.GetLegendFontSize())
        for side in SIDES:
            self._fill(self.chart.GetAxis(side), "X" if side in SIDES[:2] else "Y")
        self.is_updating = False

    def _add(self, series):
        if series.GetTableNode() is None:
            return
        plot, table = vtk.vtkPlotLine(), series.GetTableNode().GetTable()
        plot.SetWidth(series.GetLineWidth())
        plot.SetColorF(*series.GetColor())
        plot.GetPen().SetLineType(LINES[series.GetLineStyle()])
        is_plain = series.GetMarkerStyle() == series.MarkerStyleNone
        plot.SetMarkerStyle(plot.NONE if is_plain else plot.CIRCLE)
        plot.SetMarkerSize(series.GetMarkerSize())
        plot.SetIndexedLabels(table.GetColumnByName(series.GetLabelColumnName()))
        plot.SetInputData(table, series.GetXColumnName(), series.GetYColumnName())
        plot.SetLabel(series.GetName())
        self.chart.AddPlot(plot)

    def _fill(self, axis, letter):
        def of(name):
            return getattr(self.shown, f"Get{letter}Axis{name}")()

        axis.SetTitle((of("TitleVisibility") and of("Title")) or "")
        axis.SetBehavior(vtk.vtkAxis.AUTO if of("RangeAuto") else vtk.vtkAxis.FIXED)
        if not of("RangeAuto"):
            axis.SetUnscaledRange(*of("Range"))
            axis.Update()
        axis.SetGridVisible(self.shown.GetGridVisibility())
        axis.GetTitleProperties().SetFontSize(self.shown.GetAxisTitleFontSize())
        axis.GetLabelProperties().SetFontSize(self.shown.GetAxisLabelFontSize())

    def keep_ranges(self, caller=None, event=None):
        """What a person zoomed to goes into the node."""
        changed = self.shown.StartModify()
        self.shown.SetXAxisRange(*self._range(vtk.vtkAxis.BOTTOM))
        self.shown.SetYAxisRange(*self._range(vtk.vtkAxis.LEFT))
        self.shown.EndModify(changed)

    def _range(self, side):
        axis = self.chart.GetAxis(side)
        return axis.GetUnscaledMinimum(), axis.GetUnscaledMaximum()

    def fit(self):
        """As qMRMLPlotView::fitToContent: the left and the bottom axis to the lines, the others to nothing."""
        bounds, all_bounds = [0.0] * 4, []
        for n in range(self.chart.GetNumberOfPlots()):
            self.chart.GetPlot(n).GetUnscaledInputBounds(bounds)
            all_bounds.append(tuple(bounds))
        lows, highs = [[pick(b[i] for b in all_bounds) for i in at] for pick, at in ((min, (0, 2)), (max, (1, 3)))]
        nothing = (0.0, 0.0)
        for side, ends in zip(SIDES, ((lows[0], highs[0]), nothing, (lows[1], highs[1]), nothing)):
            self.chart.GetAxis(side).SetUnscaledRange(*ends)
            self.chart.GetAxis(side).AutoScale()
        self.keep_ranges()

    def render(self, path=None):
        self.window.Render()
        if path:
            picture, writer = vtk.vtkWindowToImageFilter(), vtk.vtkPNGWriter()
            picture.SetInput(self.window)
            picture.ShouldRerenderOff()
            writer.SetInputConnection(picture.GetOutputPort())
            writer.SetFileName(str(path))
            writer.Write()

    def ticks(self, side):
        """Where the names of an axis stand, and what they say."""
        axis = self.chart.GetAxis(side)
        positions, labels = axis.GetTickPositions(), axis.GetTickLabels()
        return [(positions.GetValue(n), labels.GetValue(n)) for n in range(labels.GetNumberOfValues())]
