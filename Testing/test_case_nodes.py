"""A measured case in the scene: what is there, that it is only its own, and what a person edits there."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from BoneQualityLib import CaseFacts, Parameters, measure_case
from BoneQualityLib.columns import CASE_COLUMNS, LEVEL_COLUMNS
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.measures.roi import PlanarRoi
from BoneQualityLib.scene import case_nodes
from BoneQualityLib.scene.case_nodes import ids_given_twice, nodes_of
from BoneQualityLib.scene.case_rois import simplified
from BoneQualityLib.scene.masks import checksums
from BoneQualityLib.scene.scene_case import SceneCase
from BoneQualityLib.scene.session import mrml_scene
from conftest import rotation
from scene_cases import (
    FACTS,
    RISE,
    edited_names,
    edited_rois,
    node_of,
    nodes,
    rename_case,
    result,
    show_case,
    shown_document,
    unread_edits,
)


@pytest.fixture
def shown():
    """The case's inputs as nodes; the case is in the scene."""
    inputs = nodes()
    show_case(result(), inputs["ct"])
    return inputs


def scene_nodes():
    scene = mrml_scene()
    return {scene.GetNthNode(n).GetID(): scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())}


def points(role):
    node = node_of("case", role)
    return np.array([node.GetNthControlPointPositionWorld(n) for n in range(node.GetNumberOfControlPoints())])


def put(role, moved):
    for n, point in enumerate(moved):
        node_of("case", role).SetNthControlPointPositionWorld(n, *(float(x) for x in point))


def turned(role, matrix):
    middle = points(role).mean(axis=0)
    return middle + (points(role) - middle) @ np.asarray(matrix).T


def update(inputs):
    """Read the edited ROIs and show what came out, as the panel's button does."""
    measured = measure_case(FACTS, edits=edited_rois("case"), **inputs)
    show_case(measured, inputs["ct"])
    return {row["level"]: row for row in measured.level_rows}, measured


def value(column, level="L2"):
    return next(row for row in shown_document("case")["levels"] if row["level"] == level)[column]


def cells(role):
    node = node_of("case", role)
    return [[node.GetCellText(row, column) for column in range(node.GetNumberOfColumns())] for row in range(node.GetNumberOfRows())]


# What is there


def test_tables_document_regions_curves_and_chart_are_in_the_scene(shown):
    roles = set(nodes_of("case"))
    assert {"levels", "case", "summary", "document", "regions", "chart", "chart table"} <= roles
    assert {f"{level} {kind}" for level in ("L1", "L2", "L3") for kind in ("upper", "middle", "lower", "marrow")} <= roles
    assert {"L2 csf", "L3 csf", "L2 upper slice", "series hu_3d"} <= roles
    assert shown_document("case") == result().document()
    regions = node_of("case", "regions").GetSegmentation()
    assert [regions.GetNthSegment(n).GetName() for n in range(3)] == [f"L{n} cancellous" for n in (1, 2, 3)]
    assert regions.ContainsRepresentation("Closed surface")


def test_tables_are_typed_with_units_and_nan_where_nothing_was_measured(shown):
    for role, columns in (("levels", LEVEL_COLUMNS), ("case", CASE_COLUMNS)):
        node = node_of("case", role)
        assert [node.GetColumnName(n) for n in range(node.GetNumberOfColumns())] == [column.name for column in columns]
        for n, column in enumerate(columns):
            assert node.GetTable().GetColumn(n).IsA("vtkDoubleArray") == column.is_number
            assert (node.GetColumnTitle(column.name), node.GetColumnUnitLabel(column.name)) == (column.title, column.unit)
    assert np.isnan(node_of("case", "case").GetTable().GetValueByName(0, "age").ToDouble())
    assert node_of("case", "levels").GetTable().GetValueByName(1, "hu_3d").ToDouble() == pytest.approx(value("hu_3d"), abs=1e-6)


def test_an_ellipse_has_eight_control_points_and_its_area(shown):
    checked = 0
    for roi in result().rois:
        if isinstance(roi, PlanarRoi) and roi.semi_axes:
            curve = node_of("case", f"{roi.level} {roi.kind}")
            assert curve.GetNumberOfControlPoints() == 8
            drawn = (vtk_to_numpy(curve.GetCurvePointsWorld().GetData()) - roi.center) @ np.stack([roi.u, roi.v], axis=1)
            assert area(drawn) == pytest.approx(np.pi * np.prod(roi.semi_axes), rel=0.005)
            checked += 1
    assert checked == 9


def area(polygon):
    (x, y), (x1, y1) = polygon.T, np.roll(polygon, -1, axis=0).T
    return abs(np.sum(x * y1 - x1 * y)) / 2


def test_outlines_keep_within_015_mm_of_the_roi_with_few_points(shown):
    for roi in result().rois:
        if isinstance(roi, PlanarRoi) and not roi.semi_axes:
            for n, outline in enumerate(roi.outlines):
                drawn = node_of("case", f"{roi.level} {roi.kind}" + (f" {n + 1}" if n else ""))
                kept = (
                    np.array([drawn.GetNthControlPointPositionWorld(m) for m in range(drawn.GetNumberOfControlPoints())])
                    - roi.center
                )
                kept = kept @ np.stack([roi.u, roi.v], axis=1)
                assert len(kept) < 0.6 * len(outline)
                assert max(distance_to(kept, point) for point in outline) < 0.151


def distance_to(polygon, point):
    start, end = polygon, np.roll(polygon, -1, axis=0)
    along = end - start
    share = np.clip(((point - start) * along).sum(1) / (along**2).sum(1), 0, 1)
    return np.linalg.norm(start + share[:, None] * along - point, axis=1).min()


def test_a_simplified_circle_stays_within_its_tolerance():
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    circle = 12 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    kept = simplified(circle)
    assert len(kept) < 40 and max(distance_to(kept, point) for point in circle) <= 0.15


def test_the_folder_of_the_case_lies_beside_its_volume(shown):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(mrml_scene())
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "study")
    hierarchy.CreateItem(study, shown["ct"])
    show_case(measure_case(CaseFacts("other"), **shown), shown["ct"])
    for case_id, parent in (("case", hierarchy.GetSceneItemID()), ("other", study)):
        for node in nodes_of(case_id).values():
            folder = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))
            assert hierarchy.GetItemName(folder) == f"Bone quality {case_id}" and hierarchy.GetItemParent(folder) == parent


def test_tables_and_slice_frames_are_locked_and_curves_are_not(shown):
    assert all(node_of("case", role).GetLocked() for role in ("levels", "case", "summary", "L2 upper slice"))
    assert not any(node.GetLocked() for node in SceneCase("case").curve_nodes())


@pytest.mark.parametrize(
    "roles, measure, sign",
    [(("ct", "t1"), "hu_3d", "\N{LESS-THAN OR EQUAL TO}"), (("t1",), "vbq_single_level", "\N{GREATER-THAN OR EQUAL TO}")],
)
def test_the_chart_has_a_line_for_every_measure_and_a_dashed_one_with_every_cutoff_of_its_image(roles, measure, sign):
    measured = measure_case(FACTS, **nodes(roles))
    show_case(measured)
    chart, table = node_of("case", "chart"), node_of("case", "chart table").GetTable()
    *solid, dashed = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
    assert all(len(line.GetName()) <= 20 for line in (*solid, dashed)), "names that the legend has room for"
    assert all(line.GetLineStyle() == line.LineStyleSolid and line.GetLabelColumnName() == "level" for line in solid)
    assert solid[0].GetYColumnName() == measure and dashed.GetLineStyle() == dashed.LineStyleDash
    values = [table.GetValueByName(n, measure).ToDouble() for n in range(3)]
    assert values == pytest.approx([row[measure] for row in measured.level_rows])
    cutoffs = [cutoff for cutoff in measured.cutoffs if cutoff["measure"].startswith(measure[:2])]
    lines = {}
    for row in cells("chart cutoffs"):
        lines.setdefault(row[2], []).append(float(row[1]))
    assert len(cutoffs) > 1 and np.isnan(lines.pop("")).all(), "between two cut-offs the line is interrupted"
    sources = [" ".join(cutoff["source"].split()[:2]) for cutoff in cutoffs]
    assert lines == {f"{sign} {cutoff['cutoff']:g} {source}": [cutoff["cutoff"]] * 5 for cutoff, source in zip(cutoffs, sources)}
    charted = [*values, *(cutoff["cutoff"] for cutoff in cutoffs)]
    assert chart.GetYAxisRange()[1] - max(charted) > 0.39 * (max(charted) - min(charted)), "the legend has a place of its own"


# Only its own


def test_shown_twice_the_same_nodes_hold_the_case_and_no_other_changed(shown):
    stranger = mrml_scene().AddNewNodeByClass("vtkMRMLMarkupsClosedCurveNode", "L2 upper")
    before = scene_nodes()
    changed = {ID: node.GetMTime() for ID, node in before.items() if not case_nodes.is_ours(node)}
    own = {role: node.GetID() for role, node in nodes_of("case").items()}
    show_case(result(), shown["ct"])
    assert scene_nodes() == before
    assert {role: node.GetID() for role, node in nodes_of("case").items()} == own
    follow = ("vtkMRMLSubjectHierarchyNode", "vtkMRMLMarkupsDisplayNode")  # of the case's own nodes
    own_parts = {node.GetID() for node in before.values() if any(node.IsA(kind) for kind in follow)}
    assert {ID for ID, time in changed.items() if before[ID].GetMTime() != time} <= own_parts
    assert stranger.GetNumberOfControlPoints() == 0


def test_a_copy_that_a_person_made_is_left_alone(shown):
    original = node_of("case", "regions")
    copy = mrml_scene().AddNewNodeByClass("vtkMRMLSegmentationNode")
    copy.Copy(original)
    copy.GetSegmentation().GetSegment("L2_cancellous").SetName("drawn by hand")
    show_case(result(), shown["ct"])
    assert node_of("case", "regions") is original
    assert copy.GetSegmentation().GetSegment("L2_cancellous").GetName() == "drawn by hand"


def test_what_is_not_measured_any_more_leaves_the_scene(shown):
    show_case(measure_case(FACTS, **nodes(["ct"], ["L2"])), shown["ct"])
    assert not [role for role in nodes_of("case") if role.startswith(("L1", "L3")) or "marrow" in role or "csf" in role]
    show_case(measure_case(FACTS, **nodes(["t1"])), shown["t1"])
    assert node_of("case", "regions") is None and node_of("case", "L2 marrow") is not None


def test_colors_and_visibility_that_a_person_set_stay(shown):
    curve = node_of("case", "L2 upper")
    if curve.GetDisplayNode() is None:
        curve.CreateDefaultDisplayNodes()
    curve.GetDisplayNode().SetSelectedColor(1, 0, 1)
    SceneCase("case").set_visible(False)
    show_case(result(), shown["ct"])
    assert curve.GetDisplayNode().GetSelectedColor() == (1, 0, 1) and not SceneCase("case").is_visible()
    SceneCase("case").set_visible(True)
    assert SceneCase("case").is_visible() and curve.GetDisplayVisibility()


def test_two_cases_keep_apart(shown):
    show_case(measure_case(CaseFacts("other"), **nodes(["ct"])), shown["ct"])
    put("L2 upper", points("L2 upper") + [1, 0, 0])
    assert (edited_names("case"), edited_names("other")) == (["L2 upper"], [])
    assert list(case_nodes.case_ids()) == ["case", "other"]
    assert not {node.GetID() for node in nodes_of("case").values()} & {node.GetID() for node in nodes_of("other").values()}


# What a person edits


def test_nothing_is_edited_at_first(shown):
    assert edited_rois("case") == {} and edited_names("case") == [] and unread_edits("case") == []


@pytest.mark.parametrize("right_mm", [2.0, -4.0])  # whole voxels, as pixels are read as they are
def test_a_moved_ellipse_reads_what_lies_there_now(shown, right_mm):
    before, others = value("hu_upper"), value("hu_middle")
    put("L2 upper", points("L2 upper") + [right_mm, 0, 0])
    assert edited_names("case") == unread_edits("case") == ["L2 upper"]
    rows, _ = update(shown)
    assert rows["L2"]["hu_upper"] - before == pytest.approx(RISE * right_mm, abs=0.1)
    assert rows["L2"]["hu_middle"] == pytest.approx(others, abs=1e-6)
    mean = np.mean([rows["L2"][f"hu_{name}"] for name in ("upper", "middle", "lower")])
    assert rows["L2"]["hu_multislice"] == pytest.approx(mean) and rows["L2"]["edited"] == "upper" and rows["L1"]["edited"] == ""
    assert (edited_names("case"), unread_edits("case")) == (["L2 upper"], [])


def test_a_moved_ellipse_keeps_its_plane_and_its_area(shown):
    placed = next(roi for roi in result().rois if (roi.level, roi.kind) == ("L2", "upper"))
    put("L2 upper", points("L2 upper") + 3 * placed.u)
    roi = edited_rois("case")["L2", "upper"]
    assert roi.edited and roi.area == pytest.approx(placed.area, rel=0.01)
    assert np.cross(roi.u, roi.v) == pytest.approx(placed.normal) and (roi.center - placed.center) @ placed.normal == pytest.approx(
        0, abs=1e-6
    )


def test_a_reshaped_ellipse_has_the_area_of_its_curve(shown):
    middle = points("L2 middle").mean(axis=0)
    put("L2 middle", middle + 0.7 * (points("L2 middle") - middle))
    before = value("hu_middle_area_mm2")
    rows, _ = update(shown)
    assert rows["L2"]["hu_middle_area_mm2"] == pytest.approx(0.49 * before, rel=0.01) and rows["L2"]["edited"] == "middle"


def test_a_tilted_ellipse_is_read_in_its_own_plane(shown):
    tilt = rotation("A", 12)
    placed = next(roi for roi in result().rois if (roi.level, roi.kind) == ("L2", "middle"))
    before = value("hu_middle")
    put("L2 middle", turned("L2 middle", tilt))
    roi = edited_rois("case")["L2", "middle"]
    assert np.cross(roi.u, roi.v) == pytest.approx(tilt @ placed.normal, abs=1e-3)
    assert np.stack([roi.u, roi.v]) @ np.stack([roi.u, roi.v]).T == pytest.approx(np.eye(2), abs=1e-9)
    rows, _ = update(shown)
    assert rows["L2"]["hu_middle"] == pytest.approx(before, abs=0.3), "the rise is linear, and the middle stayed"


def test_without_one_point_the_curve_is_smaller_and_without_six_refused(shown):
    before = value("hu_lower_area_mm2")
    curve = node_of("case", "L2 lower")
    curve.RemoveNthControlPoint(3)
    rows, _ = update(shown)
    assert 0.7 * before < rows["L2"]["hu_lower_area_mm2"] < 0.99 * before
    while curve.GetNumberOfControlPoints() > 2:
        curve.RemoveNthControlPoint(0)
    with pytest.raises(BoneQualityError, match="L2 lower has fewer than 3 points left; add points"):
        edited_rois("case")
    assert unread_edits("case") == ["L2 lower"]
    curve.RemoveAllControlPoints()
    assert edited_names("case") == ["L2 lower"]


def test_a_curve_out_of_its_plane_is_refused_by_name(shown):
    bent = points("L3 upper")
    bent[0] += [0, 0, 9]
    put("L3 upper", bent)
    with pytest.raises(BoneQualityError, match="The ROI L3 upper is not flat any more; move its points within one slice"):
        edited_rois("case")
    assert unread_edits("case") == ["L3 upper"]


def test_a_curve_under_a_transform_is_read_where_it_lies_in_the_world(shown):
    before = value("hu_upper")
    moving, matrix = mrml_scene().AddNewNodeByClass("vtkMRMLLinearTransformNode"), vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 2.0)
    moving.SetMatrixTransformToParent(matrix)
    node_of("case", "L2 upper").SetAndObserveTransformNodeID(moving.GetID())
    rows, _ = update(shown)
    assert rows["L2"]["hu_upper"] - before == pytest.approx(2 * RISE, abs=0.15)
    show_case(result(), shown["ct"])
    assert edited_names("case") == [], "placed anew, the curve lies in the world where the ROI is"


def test_moved_back_is_not_edited(shown):
    placed = points("L2 upper")
    put("L2 upper", placed + [2, 1, 0])
    update(shown)
    put("L2 upper", placed)
    assert edited_rois("case") == {} and unread_edits("case") == ["L2 upper"], "its value was read elsewhere"
    _, measured = update(shown)
    assert measured.document() == result().document() and unread_edits("case") == []


def test_a_roi_whose_curve_was_deleted_is_to_be_read_again_where_it_was_placed(shown):
    put("L2 upper", points("L2 upper") + [2, 1, 0])
    update(shown)
    for role in ("L1 upper", "L2 upper"):
        mrml_scene().RemoveNode(node_of("case", role))
    assert unread_edits("case") == ["L1 upper", "L2 upper"]
    _, measured = update(shown)
    assert measured.document() == result().document() and unread_edits("case") == []


def test_measured_anew_every_curve_lies_where_it_was_placed(shown):
    placed = points("L2 upper")
    put("L2 upper", placed + [2, 1, 0])
    update(shown)
    show_case(result(), shown["ct"])
    assert points("L2 upper") == pytest.approx(placed) and edited_names("case") == []


def test_an_edited_roi_that_is_shown_elsewhere_is_still_a_persons(shown):
    put("L2 upper", points("L2 upper") + [2, 0, 0])
    edits = edited_rois("case")
    show_case(measure_case(CaseFacts("copy"), edits=edits, **shown), shown["ct"])
    assert edited_names("copy") == ["L2 upper"]


def test_a_case_is_old_where_facts_parameters_or_what_it_was_measured_from_changed(shown):
    owner = mrml_scene().AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    assert not SceneCase("case").is_stale(FACTS, Parameters(), "inputs"), "nothing is known of its inputs"
    SceneCase("case").remember_inputs("inputs", owner)
    assert not SceneCase("case").is_stale(FACTS, Parameters(), "inputs")
    assert SceneCase("case").is_stale(FACTS, Parameters(), "others")
    assert SceneCase("case").is_stale(FACTS, Parameters(strict=True), "inputs")
    assert SceneCase("case").is_stale(CaseFacts("case", age=70), Parameters(), "inputs")


def test_marrow_and_csf_are_edited_too(shown):
    for role in ("L2 marrow", "L3 csf"):
        middle = points(role).mean(axis=0)
        put(role, middle + 0.9 * (points(role) - middle))
    before = result().csf["L3"].area
    rows, measured = update(shown)
    assert (rows["L2"]["edited"], rows["L3"]["edited"], measured.case_row["edited"]) == ("marrow", "csf", "yes")
    assert measured.csf["L3"].area == pytest.approx(0.81 * before, rel=0.03)
    assert rows["L2"]["t1_area_mm2"] == pytest.approx(0.81 * value_of(result(), "t1_area_mm2"), rel=0.02)
    assert unread_edits("case") == []


def value_of(measured, column, level="L2"):
    return next(row for row in measured.level_rows if row["level"] == level)[column]


def test_an_edit_out_of_the_image_loses_its_own_value_alone_and_says_why(shown):
    for role in ("L2 upper", "L2 marrow", "L3 csf"):
        put(role, points(role) + [0, 400, 0])
    rows, measured = update(shown)
    assert "hu_upper" not in rows["L2"] and "hu_multislice" not in rows["L2"] and "t1_signal" not in rows["L2"]
    assert "upper slice: the ROI reaches beyond the image" in rows["L2"]["ct_exclusion"]
    assert "beyond the image" in rows["L2"]["t1_exclusion"]
    assert rows["L2"]["hu_lower"] == pytest.approx(value_of(result(), "hu_lower")) and rows["L1"]["t1_signal"] > 0
    assert measured.values["csf_level"] == "L2" and "beyond the image" in measured.csf["L3"].blocked


def test_an_edit_whose_place_is_gone_is_refused_by_name(shown):
    put("L3 upper", points("L3 upper") + [2, 0, 0])
    with pytest.raises(BoneQualityError, match="The edited ROI L3 upper has no place in this case any more"):
        measure_case(FACTS, edits=edited_rois("case"), **nodes(["ct"], ["L1", "L2"]))


# Saved and loaded


@pytest.fixture
def reload(tmp_path):
    """Saves the scene, closes it and loads it again."""

    def saved_and_loaded():
        scene, cache, manager = mrml_scene(), slicer.vtkCacheManager(), slicer.vtkDataIOManager()
        cache.SetRemoteCacheDirectory(str(tmp_path / "cache"))
        manager.SetCacheManager(cache)
        scene.SetDataIOManager(manager)
        assert scene.WriteToMRB(str(tmp_path / "scene.mrb"), None)
        scene.Clear(0)
        assert shown_document("case") is None and nodes_of("case") == {}
        assert scene.ReadFromMRB(str(tmp_path / "scene.mrb"), False, None)
        return {name: scene.GetFirstNodeByName(node) for name, node in INPUTS.items()}

    return saved_and_loaded


INPUTS = dict(ct="CT", ct_segmentation="CT masks", t1="T1", t1_segmentation="T1 masks")


def test_a_saved_scene_holds_tables_document_curves_and_edits(shown, reload):
    put("L2 upper", points("L2 upper") + [2, 0, 0])
    put("L3 csf", points("L3 csf") + [0, 0, 1])
    _, measured = update(shown)
    put("L1 lower", points("L1 lower") + [1, 0, 0])
    roles, curve, summary = set(nodes_of("case")), points("L2 upper"), cells("summary")
    assert any(row[1] == "" for row in summary), "a second cut-off stands below the first"
    inputs = reload()
    assert cells("summary") == summary
    assert set(nodes_of("case")) == roles and shown_document("case") == measured.document()
    assert points("L2 upper") == pytest.approx(curve, abs=1e-3)
    assert (edited_names("case"), unread_edits("case")) == (["L1 lower", "L2 upper", "L3 csf"], ["L1 lower"])
    levels, case = node_of("case", "levels"), node_of("case", "case")
    assert levels.GetTable().GetValueByName(1, "edited").ToString() == "upper"
    assert levels.GetTable().GetValueByName(1, "hu_3d").ToDouble() == pytest.approx(value("hu_3d"))
    assert np.isnan(case.GetTable().GetValueByName(0, "age").ToDouble()) and case.GetColumnUnitLabel("hu_3d") == "HU"
    rows, _ = update(inputs)
    assert rows["L2"]["hu_upper"] == pytest.approx(value_of(measured, "hu_upper"), abs=0.05)
    assert rows["L1"]["edited"] == "lower" and unread_edits("case") == []
    assert set(nodes_of("case")) == roles


def test_a_loaded_case_is_measured_into_the_same_nodes(shown, reload):
    told = [checksums(shown[name]) for name in INPUTS]
    inputs = reload()
    assert [checksums(inputs[name]) for name in INPUTS] == told
    before = set(scene_nodes())
    measured = measure_case(FACTS, **inputs)
    show_case(measured, inputs["ct"])
    assert set(scene_nodes()) == before and measured.document() == result().document()


# A new id


def test_a_renamed_case_is_the_case_measured_under_that_id_with_its_edits(shown):
    put("L2 upper", points("L2 upper") + [1, 0, 0])
    update(shown)
    node_of("case", "regions").GetDisplayNode().SetSegmentVisibility("L2_cancellous", False)
    before = {role: node.GetID() for role, node in nodes_of("case").items()}
    rename_case("case", "other")
    assert {role: node.GetID() for role, node in nodes_of("other").items()} == before and nodes_of("case") == {}
    assert shown_document("other")["levels"][1]["edited"] == "upper" and edited_names("other") == ["L2 upper"]
    again = measure_case(
        CaseFacts("other", **{k: v for k, v in vars(FACTS).items() if k != "case_id"}), edits=edited_rois("other"), **shown
    )
    assert shown_document("other") == again.document()
    assert node_of("other", "levels").GetName() == "other levels" and folders() == ["Bone quality other"]
    show_case(again, shown["ct"])
    assert {role: node.GetID() for role, node in nodes_of("other").items()} == before
    assert not node_of("other", "regions").GetDisplayNode().GetSegmentVisibility("L2_cancellous"), "hidden segments stay hidden"


def test_of_two_cases_with_one_id_the_later_one_can_be_renamed(shown):
    older = {node.GetID() for node in nodes_of("case").values()}
    rename_case("case", "first")
    show_case(measure_case(FACTS, **nodes(["ct"], ["L2"])), shown["ct"])
    assert ids_given_twice(older) == []
    for node in nodes_of("first").values():
        node.SetAttribute(case_nodes.CASE_ATTRIBUTE, "case")
    assert ids_given_twice(older) == ["case"]
    rename_case("case", "second", older)
    assert {node.GetID() for node in nodes_of("case").values()} == older and ids_given_twice(older) == []
    assert [len(shown_document(name)["levels"]) for name in ("case", "second")] == [3, 1]
    assert shown_document("second")["case"]["case_id"] == "second"


def folders():
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(mrml_scene())
    items = vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
    every = [items.GetId(n) for n in range(items.GetNumberOfIds())]
    return [hierarchy.GetItemName(item) for item in every if hierarchy.GetItemName(item).startswith("Bone quality")]
