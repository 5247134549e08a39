"""MRML nodes to arrays: every way a mask or a volume may lie in a scene gives the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk

from BoneQualityLib import CaseFacts, measure_case
from BoneQualityLib.anatomy.vocabulary import identify
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.phantoms import phantom_spine
from BoneQualityLib.scene.arrays import image_of
from BoneQualityLib.scene.masks import Segmentation, identified
from BoneQualityLib.scene.nodes import segmentation_node, volume_node
from BoneQualityLib.scene.reading import read_segmentation, read_volume, write_node
from BoneQualityLib.scene.session import errors_of_vtk, mrml_scene
from conftest import rotation, single_vertebra
from spine_files import image_file

SPINE = single_vertebra()
GRID = phantom_spine.grid_for(SPINE, (1.0, 1.0, 1.0))
CT = phantom_spine.render_ct(SPINE, GRID)
CT[:, :2] = -1000  # air, as in any CT


def body(grid=GRID, name="L3 body"):
    return Mask(name, phantom_spine.body_mask(SPINE.vertebra("L3"), grid), grid).cropped()


def values(volume, segmentation):
    return measure_case(CaseFacts("scene"), ct=volume, ct_segmentation=segmentation).levels[0].ct.values


def agree(found):
    assert found["hu_3d"] == pytest.approx(120, abs=1)
    assert found["hu_multislice"] == pytest.approx(120, abs=2)


def transform(matrix):
    node = mrml_scene().AddNewNodeByClass("vtkMRMLLinearTransformNode")
    to_parent = vtk.vtkMatrix4x4()
    to_parent.DeepCopy(np.asarray(matrix, float).ravel().tolist())
    node.SetMatrixTransformToParent(to_parent)
    return node


def moved(angle=20.0):
    matrix = np.eye(4)
    matrix[:3, :3] = rotation("R", angle) @ rotation("S", 15)
    matrix[:3, 3] = [12, -30, 55]
    return matrix


def surface_only():
    """The body as a segment that has nothing but a closed surface."""
    node = segmentation_node("Spine", [body()])
    segmentation = node.GetSegmentation()
    segmentation.CreateRepresentation("Closed surface")
    segmentation.SetSourceRepresentationName("Closed surface")
    segmentation.RemoveRepresentation("Binary labelmap")
    assert segmentation.GetNthSegment(0).GetRepresentation("Binary labelmap") is None
    return node


def hidden():
    node = segmentation_node("Spine", [body()])
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetVisibility(False)
    node.GetDisplayNode().SetSegmentVisibility("L3_body", False)
    return node


def shared_layer():
    """Two segments in one label image of the whole volume, as Segment Editor stores segments that do not overlap."""
    labels = np.zeros(GRID.shape, np.uint8)
    labels[phantom_spine.body_mask(SPINE.vertebra("L3"), GRID)] = 2
    labels[:3, :3, :3] = 1
    node = segmentation_node("Spine", [Mask("corner", labels > 0, GRID), Mask("L3 body", labels > 0, GRID)])
    image = slicer.vtkOrientedImageData()
    image.DeepCopy(node.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap"))
    for k, j, i in np.argwhere(labels == 2):
        image.SetScalarComponentFromDouble(int(i), int(j), int(k), 0, 2)
    for n, value in ((0, 1), (1, 2)):
        node.GetSegmentation().GetNthSegment(n).AddRepresentation("Binary labelmap", image)
        node.GetSegmentation().GetNthSegment(n).SetLabelValue(value)
    return node


FORMS = {
    "cropped layer": lambda: segmentation_node("Spine", [body()]),
    "layer shared by segments": shared_layer,
    "closed surface only": surface_only,
    "hidden": hidden,
    "coarser lattice": lambda: segmentation_node("Spine", [body(phantom_spine.grid_for(SPINE, (1.6, 1.6, 1.6)))]),
    "rotated lattice": lambda: segmentation_node(
        "Spine", [body(phantom_spine.grid_for(SPINE, (0.9, 0.9, 0.9), rotation=rotation("A", 20)))]
    ),
    "overlapped by another segment": lambda: segmentation_node("Spine", [body(name="whole spine"), body()]),
    "label map": lambda: Segmentation(
        volume_node("labels", body().array.astype(np.int16) * 22, body().grid, label_map=True), "verse"
    ),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_mask_reads_the_same_in_every_form(form):
    agree(values(volume_node("CT", CT, GRID), form()))


def test_parent_transforms_of_both_nodes_are_respected():
    volume, segmentation = volume_node("CT", CT, GRID), segmentation_node("Spine", [body()])
    moving = transform(moved())
    volume.SetAndObserveTransformNodeID(moving.GetID())
    segmentation.SetAndObserveTransformNodeID(moving.GetID())
    agree(values(volume, segmentation))


def test_a_transform_on_the_segmentation_alone_brings_it_onto_the_volume():
    away = np.linalg.inv(moved())
    astray = body()
    grid = Grid(astray.grid.shape, away @ astray.grid.ijk_to_ras)
    segmentation = segmentation_node("Spine", [Mask(astray.name, astray.array, grid)])
    segmentation.SetAndObserveTransformNodeID(transform(moved()).GetID())
    agree(values(volume_node("CT", CT, GRID), segmentation))


@pytest.mark.parametrize("which", ["volume", "segmentation"])
def test_a_sheared_transform_is_refused_with_the_remedy(which):
    nodes = dict(volume=volume_node("CT", CT, GRID), segmentation=segmentation_node("Spine", [body()]))
    shear = np.eye(4)
    shear[0, 1] = 0.2
    nodes[which].SetAndObserveTransformNodeID(transform(shear).GetID())
    with pytest.raises(BoneQualityError, match="sheared; harden"):
        values(nodes["volume"], nodes["segmentation"])


def test_a_non_linear_transform_is_refused_with_the_remedy():
    volume = volume_node("CT", CT, GRID)
    bent = mrml_scene().AddNewNodeByClass("vtkMRMLTransformNode")
    spline = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints()
    for point in ((0, 0, 0), (50, 0, 0), (0, 50, 0), (0, 0, 50), (9, 9, 9)):
        points.InsertNextPoint(point)
    spline.SetSourceLandmarks(points)
    spline.SetTargetLandmarks(points)
    bent.SetAndObserveTransformToParent(spline)
    volume.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(BoneQualityError, match="CT is under a non-linear transform; harden"):
        values(volume, segmentation_node("Spine", [body()]))


def test_an_image_is_the_nodes_own_array_at_its_own_type():
    node = volume_node("CT", CT, GRID)
    image = image_of(node)
    assert image.array.dtype == np.int16
    node.GetImageData().SetScalarComponentFromDouble(1, 2, 3, 0, 777)
    assert image.array[3, 2, 1] == 777


def test_colors_are_refused():
    node = mrml_scene().AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    picture = vtk.vtkImageData()
    picture.SetDimensions(3, 3, 3)
    picture.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    node.SetAndObserveImageData(picture)
    with pytest.raises(BoneQualityError, match="photo holds colors"):
        image_of(node)


def test_a_volume_without_an_image_is_refused():
    with pytest.raises(BoneQualityError, match="empty holds no image"):
        image_of(mrml_scene().AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))


def test_terminology_in_a_file_identifies_a_segment_without_a_telling_name(tmp_path):
    node = segmentation_node("Spine", [body(name="Segment_1")])
    entry = "Segmentation category and type~SCT^123037004^Anatomical Structure~SCT^36470004^L3 vertebra~^^~Anatomic codes~^^~^^"
    node.GetSegmentation().GetNthSegment(0).SetTag("TerminologyEntry", entry)
    write_node(node, tmp_path / "spine é 1.seg.nrrd")
    (read,) = read_segmentation(str(tmp_path / "spine é 1.seg.nrrd"))
    (segment,) = identified(Segmentation(read)).segments
    assert identify(segment).level == "L3"
    assert segment.load().volume == pytest.approx(body().volume)


def test_measuring_leaves_the_scene_as_it_was():
    volume, segmentation = volume_node("CT", CT, GRID), surface_only()
    before = mrml_scene().GetNumberOfNodes()
    values(volume, segmentation)
    assert mrml_scene().GetNumberOfNodes() == before
    assert segmentation.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap") is None


@pytest.mark.parametrize("extension", ["nii.gz", "nrrd", "mha"])
@pytest.mark.parametrize("read", [read_volume, read_segmentation])
def test_a_damaged_file_leaves_no_node_wherever_the_damage_lies(tmp_path, extension, read):
    path = image_file(tmp_path / f"a.{extension}", np.random.default_rng(1).integers(0, 9, (40, 40, 40)).astype(np.int16))
    read(str(path))
    mrml_scene().Clear(0)
    whole = path.read_bytes()
    for at in (len(whole) // 4, len(whole) // 2, len(whole) - 5000, len(whole) - 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :])
        with pytest.raises(BoneQualityError, match="damaged|cut short|cannot be understood"):
            read(str(path))
    assert mrml_scene().GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 0


def test_one_damaged_file_of_a_folder_of_masks_leaves_no_node_of_the_others(tmp_path):
    for name in ("L1", "L2", "L3"):
        image_file(tmp_path / f"{name}.nii.gz", np.ones((9, 9, 9), np.uint8))
    (tmp_path / "L3.nii.gz").write_bytes((tmp_path / "L3.nii.gz").read_bytes()[:-9])
    with pytest.raises(BoneQualityError, match="L3.nii.gz is cut short"):
        read_segmentation(str(tmp_path))
    assert mrml_scene().GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 0


def test_errors_of_vtk_are_told_from_its_warnings():
    with errors_of_vtk() as said:
        window = vtk.vtkOutputWindow.GetInstance()
        window.DisplayWarningText("ERROR is only a word here")
        window.DisplayErrorText("the file is damaged\n")
    assert said == ["the file is damaged"]
