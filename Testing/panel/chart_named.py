"""The main window's chart view: levels and cut-offs are named in it, once, as soon as it shows the chart of a case."""

import makers
import qt
import slicer
import vtk


class qMRMLPlotWidget(qt.QWidget):
    """Has what Slicer's has."""

    def __init__(self, parent):
        super().__init__(parent)
        self._chart, self._window = vtk.vtkChartXY(), vtk.vtkObject()
        self._window.GetSize = lambda: (600, 400)

    def className(self):
        return "qMRMLPlotWidget"

    def plotView(self):
        return self

    def chart(self):
        return self._chart

    def renderWindow(self):
        return self._window

    def mrmlPlotViewNode(self):
        return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLPlotViewNode")

    def names(self, side):
        for axis in range(4):
            self._chart.GetAxis(axis).SetUnscaledRange(0, 100)
        self._window.InvokeEvent("StartEvent")  # as before each render
        labels = self._chart.GetAxis(side).GetTickLabels()
        return [labels.GetValue(n) for n in range(labels.GetNumberOfValues())]


ui, window = widget.ui, qt.QMainWindow()
window.setCentralWidget(qt.QWidget())
slicer.util.mainWindow = lambda: window
makers.segmentation("ct", drawn_on=makers.volume("ct"))
makers.process_events()
ui.measureButton.click()
ui.chartButton.click()
ui.measureButton.click()

view = qMRMLPlotWidget(window.centralWidget())  # the layout makes its view later, as when a scene is opened
assert view.names(vtk.vtkAxis.RIGHT) == []
widget.update()
named = ["\N{LESS-THAN OR EQUAL TO} 51.4 Chang 2025", "\N{LESS-THAN OR EQUAL TO} 56.3 Chang 2025"]
assert view.names(vtk.vtkAxis.RIGHT) == named and view.names(vtk.vtkAxis.BOTTOM) == ["L2", "L3"]
added = []
view._window.AddObserver = lambda *arguments: added.append(arguments)
widget.update()
ui.chartButton.click()
assert not added, "a view is looked after once"

other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode")
view.mrmlPlotViewNode().SetPlotChartNodeID(other.GetID())
assert view.names(vtk.vtkAxis.RIGHT) != named
assert not messages, messages
