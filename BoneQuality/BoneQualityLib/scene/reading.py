"""Files to nodes, and nodes to files."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import asdict
from pathlib import Path

from ..errors import BoneQualityError
from ..files.checks import ImageHeader, check_image_file, is_as_stored, structure_files
from ..files.decimal_point import decimal_point
from ..files.dicom_series import find_series
from ..image.acquisition import ImageTags
from .arrays import TAGS_ATTRIBUTE, array_of
from .session import messages_of_vtk, mrml_scene


@decimal_point()
def read_volume(path: str, series: str | None = None):
    """A scalar volume node from an image file or a DICOM folder, at its native type; its tags go to a node attribute."""
    if Path(path).is_dir():
        found = find_series(path, series)
        node = _read("vtkMRMLScalarVolumeNode", "vtkMRMLVolumeArchetypeStorageNode", found.paths, Path(path).name)
        slices = node.GetImageData().GetDimensions()[2]
        if slices != len(found.paths):
            mrml_scene().RemoveNode(node)
            raise BoneQualityError(
                f"Of the {len(found.paths)} slices in {path} only {slices} were read; import it with the DICOM module and save it as NRRD."
            )
        node.SetAttribute(TAGS_ATTRIBUTE, json.dumps(asdict(ImageTags(**found.tags))))
        return node
    header = check_image_file(path, unpack=False)
    if header.is_segmentation:
        raise BoneQualityError(f"{path} is a segmentation; give it as the segmentation, and an image as the volume.")
    return _read_whole("vtkMRMLScalarVolumeNode", header, path, _stem(path))


@decimal_point()
def read_segmentation(path: str):
    """Nodes from a segmentation file (.seg.nrrd), a label map (any image file), or a folder with one file a structure."""
    if not Path(path).is_dir():
        return [_read_masks(path, _stem(path))]
    with contextlib.ExitStack() as undone:
        nodes = []
        for name, file in structure_files(path):
            nodes.append(_read_masks(file, name))
            undone.callback(remove_nodes, nodes[-1:])
        undone.pop_all()
        return nodes


def _read_masks(path, name: str):
    header = check_image_file(path, unpack=False)
    if header.is_segmentation:
        check_image_file(path)  # before it is read: MRML's reader ends the process on some damaged ones
        return _read("vtkMRMLSegmentationNode", "vtkMRMLSegmentationStorageNode", [path], name)
    return _read_whole("vtkMRMLLabelMapVolumeNode", header, path, name)


def _read_whole(node_class: str, header: ImageHeader, path, name: str):
    """A volume node whose voxels are those of an undamaged file; compressed ones are unpacked once, by the reader."""
    try:
        node = _read(node_class, _storage_of(path, header.pixel_type), [path], name)
    except BoneQualityError:
        check_image_file(path)
        raise
    if not is_as_stored(path, array_of(node.GetImageData())):
        with contextlib.ExitStack() as undone:
            undone.callback(remove_nodes, [node])
            check_image_file(path)
            undone.pop_all()
    return node


def _storage_of(path, pixel_type: str = "") -> str:
    """The storage node's class. MRML's NRRD reader ends the process on 64-bit integers (Slicer 5.12); ITK's takes them."""
    nrrd = str(path).lower().endswith((".nrrd", ".nhdr")) and not re.match("64-bit .*integer", pixel_type)
    return "vtkMRMLNRRDStorageNode" if nrrd else "vtkMRMLVolumeArchetypeStorageNode"


def _stem(path) -> str:
    name = Path(path).name
    for ending in (".seg.nrrd", ".nii.gz", ".nrrd", ".nhdr", ".nii", ".mha", ".mhd"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def _read(node_class: str, storage_class: str, paths, name: str):
    scene = mrml_scene()
    node = scene.AddNewNodeByClass(node_class, name)
    storage = scene.CreateNodeByClass(storage_class)
    storage.UnRegister(None)
    storage.SetFileName(str(paths[0]))
    for path in paths if len(paths) > 1 else ():
        storage.AddFileName(str(path))
    with messages_of_vtk() as said:
        done = storage.ReadData(node)
    image = node.GetImageData() if node.IsA("vtkMRMLVolumeNode") else node.GetSegmentation()
    if not done or image is None or any("ERROR" in line for line in said):
        scene.RemoveNode(node)
        raise BoneQualityError(f"{paths[0]} cannot be read; it may be damaged: export or copy it again.")
    return node


def remove_nodes(nodes) -> None:
    """Take nodes out of the scene, with the display nodes that MRML made for them, so that their memory is free again."""
    for node in nodes:
        for display in [node.GetNthDisplayNode(n) for n in range(node.GetNumberOfDisplayNodes())]:
            mrml_scene().RemoveNode(display)
        mrml_scene().RemoveNode(node)


@decimal_point()
def write_node(node, path: str | Path) -> None:
    """Write a volume or segmentation node to a file; raises BoneQualityError where that fails."""
    segmentation = node.IsA("vtkMRMLSegmentationNode")
    storage = mrml_scene().CreateNodeByClass("vtkMRMLSegmentationStorageNode" if segmentation else _storage_of(path))
    storage.UnRegister(None)
    storage.SetFileName(str(path))
    storage.SetUseCompression(1)
    with messages_of_vtk() as said:
        done = storage.WriteData(node)
    if not done or any("ERROR" in line for line in said):
        raise BoneQualityError(f"{path} cannot be written; choose another folder or make room.")
