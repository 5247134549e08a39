"""The chart of a case as Slicer's view draws it: levels on the axis, cut-offs at their lines."""

from __future__ import annotations

import numpy as np
import pytest
import vtk

from BoneQualityLib.files.cutoffs import read_cutoffs
from BoneQualityLib.parameters import LEVELS
from BoneQualityLib.scene.case_chart import show_chart
from BoneQualityLib.scene.case_nodes import CaseNodes
from BoneQualityLib.scene.chart_names import NAME_PIXELS, apart, keep_names
from BoneQualityLib.scene.session import mrml_scene
from plot_view import PlotView

BOTTOM, RIGHT = vtk.vtkAxis.BOTTOM, vtk.vtkAxis.RIGHT
CT_NAMES = ["≤ 51.4 Chang 2025", "≤ 56.3 Chang 2025", "≤ 64.4 Xue 2025", "≤ 110 Pickhardt 2013", "≤ 160 Pickhardt 2013"]


def document(case_id="case", values=(88.5, 82.4, 76.0), measure="hu_3d"):
    fields = "measure level comparison cutoff source".split()
    cutoffs = [{name: getattr(cutoff, name) for name in fields} for cutoff in read_cutoffs()]
    return dict(case_id=case_id, levels=[{"level": f"L{n}", measure: value} for n, value in enumerate(values, 1)], cutoffs=cutoffs)


def chart_of(shown):
    nodes = CaseNodes(shown["case_id"])
    show_chart(nodes, shown)
    nodes.remove_others()
    return CaseNodes(shown["case_id"]).known["chart"]


@pytest.fixture
def view():
    made = PlotView()
    keep_names(made.chart, made.window, lambda: made.node)
    yield made
    mrml_scene().RemoveNode(made.node)


def names(view, side):
    return [name for _, name in view.ticks(side)]


def test_levels_stand_on_the_axis_and_cutoffs_at_their_lines(view):
    view.show(chart_of(document()))
    view.render()
    assert view.ticks(BOTTOM) == [(1, "L1"), (2, "L2"), (3, "L3")] and view.chart.GetAxis(BOTTOM).GetTitle() == ""
    assert names(view, RIGHT) == CT_NAMES and view.chart.GetAxis(RIGHT).GetVisible()
    heights = {name: height for height, name in view.ticks(RIGHT)}
    assert heights[CT_NAMES[3]] == 110 and heights[CT_NAMES[4]] == 160 and abs(heights[CT_NAMES[0]] - 51.4) < 5


def test_they_stay_when_a_node_changes_and_what_is_new_is_named(view):
    chart = chart_of(document())
    view.show(chart)
    view.render()
    chart.SetTitle("another")
    view.render()
    assert names(view, RIGHT) == CT_NAMES and view.chart.GetAxis(BOTTOM).GetTitle() == ""
    assert chart_of(document(values=(3.1, 3.3), measure="vbq_single_level")) is chart
    view.render()
    assert names(view, BOTTOM) == ["L1", "L2"]
    assert names(view, RIGHT) == ["≥ 3 Kadri 2025", "≥ 3.16 Li 2023", "≥ 3.22 Li 2023", "≥ 4.275 Xue 2025"]


def test_a_chart_of_another_module_has_axes_of_its_own_and_the_names_come_back(view):
    chart, other = chart_of(document()), mrml_scene().AddNewNodeByClass("vtkMRMLPlotChartNode", "other")
    other.SetXAxisTitle("time")
    view.show(chart)
    view.render()
    view.show(other)
    view.render()
    right = view.chart.GetAxis(RIGHT)
    assert "L1" not in names(view, BOTTOM) and not set(names(view, RIGHT)) & set(CT_NAMES) and not right.GetVisible()
    assert view.chart.GetAxis(BOTTOM).GetTitle() == "time" and right.GetTicksVisible() and view.chart.GetAutoAxes()
    view.show(chart)
    view.render()
    assert names(view, RIGHT) == CT_NAMES and right.GetVisible()


def test_names_follow_a_zoom_and_a_fit_also_the_second_time(view):
    chart = chart_of(document())
    view.show(chart)
    chart.SetYAxisRange(45, 70)
    chart.SetXAxisRange(1.5, 2.5)
    view.render()
    assert names(view, RIGHT) == CT_NAMES[:3] and names(view, BOTTOM) == ["L2"], "what lies outside is not named"
    for _ in range(2):
        view.fit()
        view.render()
        left, right = (view.chart.GetAxis(side) for side in (vtk.vtkAxis.LEFT, RIGHT))
        assert (right.GetMinimum(), right.GetMaximum()) == (left.GetMinimum(), left.GetMaximum()) and names(view, RIGHT) == CT_NAMES
    assert chart.GetYAxisRange()[1] < 170, "what was fitted stays in the node"
    chart_of(document())
    assert chart.GetYAxisRange()[1] < 170, "also when the same values are shown again"
    chart_of(document(values=(200.0, 210.0, 205.0, 190.0)))
    assert chart.GetYAxisRange()[1] > 210 and chart.GetXAxisRange() == (0.5, 4.5), "others have room"


def test_on_a_log_scale_the_names_stand_at_their_lines(view):
    view.show(chart_of(document()))
    for side in (vtk.vtkAxis.LEFT, RIGHT):
        view.chart.GetAxis(side).SetLogScale(True)
        view.chart.GetAxis(side).SetUnscaledRange(40, 220)
        view.chart.GetAxis(side).Update()
    view.render()
    assert names(view, RIGHT) == CT_NAMES and view.ticks(RIGHT)[-1][0] == pytest.approx(np.log10(160))


@pytest.mark.parametrize("size", [(630, 400), (420, 300)])
def test_no_name_covers_another_or_the_legend_a_line(view, size):
    view.window.SetSize(*size)
    view.show(chart_of(document()))
    for _ in range(2):
        view.render()
    axis = view.chart.GetAxis(RIGHT)
    pixels = (axis.GetPoint2()[1] - axis.GetPoint1()[1]) / (axis.GetMaximum() - axis.GetMinimum())
    assert min(np.diff([height for height, _ in view.ticks(RIGHT)])) * pixels > NAME_PIXELS - 1
    legend = view.chart.GetLegend().GetBoundingRect(view.view.GetContext())
    free = (axis.GetMaximum() - 160) * pixels
    assert legend.GetHeight() < free + 6, "four lines of the legend have room above the highest cut-off"


def test_of_many_levels_as_many_are_named_as_have_room(view):
    values = tuple(150.0 + n for n in range(17))
    shown = document(values=values)
    for row, level in zip(shown["levels"], LEVELS[-18:-1]):
        row["level"] = level
    view.window.SetSize(420, 300)
    view.show(chart_of(shown))
    for _ in range(2):
        view.render()
    assert 5 <= len(view.ticks(BOTTOM)) < 12 and names(view, BOTTOM)[-1] == shown["levels"][-1]["level"]


def test_a_table_that_a_person_deleted_is_missed_and_nothing_else(view, capfd):
    chart = chart_of(document())
    view.show(chart)
    mrml_scene().RemoveNode(chart.GetNthPlotSeriesNode(0).GetTableNode())
    view.chart.ClearPlots()
    view.window.InvokeEvent("StartEvent")
    assert names(view, RIGHT) == CT_NAMES and "L1" not in names(view, BOTTOM) and "Traceback" not in capfd.readouterr().err


def test_names_that_are_close_are_spread_about_their_mean():
    assert apart([(1.0, "a"), (5.0, "b")], 2) == [(1, "a"), (5, "b")]
    assert apart([(1.0, "a"), (2.0, "b"), (9.0, "c")], 2) == [(0.5, "a"), (2.5, "b"), (9, "c")]
    assert apart([(0.0, "a"), (2.0, "b"), (2.0, "c"), (3.0, "d")], 2) == [(-1.25, "a"), (0.75, "b"), (2.75, "c"), (4.75, "d")]
    assert apart([], 2) == []
