"""Slice views go to the place of a number and come back as they were."""

from __future__ import annotations

import numpy as np
import pytest

from BoneQualityLib.scene.nodes import volume_node
from BoneQualityLib.scene.session import mrml_scene
from BoneQualityLib.scene.views import look_at, restore, view_state
from conftest import rotation
from spine_files import CT_GRID, ct

ORIENTATIONS = {"Axial": (0, 0, 1), "Sagittal": (1, 0, 0), "Coronal": (0, 1, 0)}


@pytest.fixture
def views():
    """A slice node of every orientation, as Slicer has them."""
    import slicer

    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(mrml_scene(), True)
    nodes = {}
    for name in ORIENTATIONS:
        node = mrml_scene().AddNewNodeByClass("vtkMRMLSliceNode", name)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(mrml_scene(), True)
        assert node.SetOrientation(name)
        node.SetFieldOfView(200, 150, 1)
        node.SetDimensions(400, 300, 1)
        nodes[name] = node
    nodes["composite"] = mrml_scene().AddNewNodeByClass("vtkMRMLSliceCompositeNode", "composite")
    return nodes


def matrix_of(node):
    return np.array([[node.GetSliceToRAS().GetElement(row, column) for column in range(4)] for row in range(4)])


def middle_of(node):
    """What lies in the middle of a view, RAS."""
    width, height, _ = node.GetDimensions()
    return np.array(node.GetXYToRAS().MultiplyPoint((width / 2, height / 2, 0, 1))[:3])


def place(normal=None):
    found = dict(center=[10.0, -20.0, 35.0])
    return found | dict(normal=list(normal)) if normal is not None else found


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_the_nearest_view_turns_into_the_plane_and_the_others_only_move(views, name):
    normal = rotation("R", 14) @ rotation("S", 9) @ ORIENTATIONS[name]
    before = {other: matrix_of(views[other]) for other in ORIENTATIONS}
    look_at(place(normal), None, view_state())
    for other in ORIENTATIONS:
        axes = matrix_of(views[other])[:3, :3]
        assert middle_of(views[other]) == pytest.approx(place()["center"], abs=1e-6)
        assert axes.T @ axes == pytest.approx(np.eye(3), abs=1e-9)
        assert np.linalg.det(axes) == pytest.approx(np.linalg.det(before[other][:3, :3])), "a view is never mirrored"
        if other == name:
            assert abs(axes[:, 2] @ normal) == pytest.approx(1)
            assert axes[:, 2] @ before[other][:3, 2] > 0.9 and axes[:, 0] @ before[other][:3, 0] > 0.9
        else:
            assert axes == pytest.approx(before[other][:3, :3])


def test_a_normal_to_the_other_side_turns_no_view_around(views):
    before = matrix_of(views["Axial"])
    look_at(place((0, 0, -1)), None, view_state())
    assert matrix_of(views["Axial"])[:3, :3] == pytest.approx(before[:3, :3])


def test_a_region_without_a_plane_turns_nothing(views):
    before = {name: matrix_of(views[name])[:3, :3] for name in ORIENTATIONS}
    look_at(place(), None, view_state())
    for name in ORIENTATIONS:
        assert matrix_of(views[name])[:3, :3] == pytest.approx(before[name])
        assert middle_of(views[name]) == pytest.approx(place()["center"])


def test_a_view_that_was_dragged_aside_shows_the_place_in_its_middle(views):
    views["Axial"].SetXYZOrigin(40, -25, 0)
    look_at(place((0, 0, 1)), None, view_state())
    assert middle_of(views["Axial"]) == pytest.approx(place()["center"])


def test_back_brings_every_view_and_its_volume_back(views):
    shown, measured = volume_node("T2", ct(), CT_GRID), volume_node("CT", ct(), CT_GRID)
    views["composite"].SetBackgroundVolumeID(shown.GetID())
    views["Axial"].SetXYZOrigin(40, -25, 0)
    before = view_state()
    state = {name: (matrix_of(views[name]), views[name].GetXYZOrigin(), views[name].GetFieldOfView()) for name in ORIENTATIONS}
    look_at(place(rotation("R", 20) @ (0, 0, 1)), measured, before)
    assert views["composite"].GetBackgroundVolumeID() == measured.GetID()
    look_at(place(rotation("R", -20) @ (0, 0, 1)), measured, before)
    views["Axial"].SetFieldOfView(90, 67, 1)
    restore(before)
    assert views["composite"].GetBackgroundVolumeID() == shown.GetID()
    for name, (matrix, origin, field) in state.items():
        assert matrix_of(views[name]) == pytest.approx(matrix)
        assert (views[name].GetXYZOrigin(), views[name].GetFieldOfView()) == (origin, field)


def test_a_second_look_turns_from_where_the_views_first_were(views):
    before = view_state()
    look_at(place(rotation("R", 30) @ (0, 0, 1)), None, before)
    look_at(place((0, 0, 1)), None, before)
    assert matrix_of(views["Axial"])[:3, :3] == pytest.approx(before[views["Axial"].GetID()][0][:3, :3])


def test_a_view_that_is_gone_is_left_out(views):
    before = view_state()
    mrml_scene().RemoveNode(views["Axial"])
    look_at(place((0, 0, 1)), None, before)
    restore(before)
