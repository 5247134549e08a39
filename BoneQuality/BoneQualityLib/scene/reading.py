"""Files to nodes, and nodes to files."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ..errors import BoneQualityError
from ..files.checks import ImageHeader, check_image_file, stem, stored_image, structure_files
from ..files.decimal_point import decimal_point
from ..files.dicom_frames import write_frames
from ..files.dicom_pixels import stored_pixels
from ..files.dicom_segmentation import is_segmentation_object, read_segmentation_object, segmentation_objects
from ..files.dicom_series import DicomSeries, find_series, find_stacks, folder_and_series
from ..files.dicom_values import damage_of
from ..files.stored_image import StoredImage, is_as_stored, stored_voxels, value_counts
from ..image.acquisition import ImageTags
from ..image.grid import Grid
from ..image.mask import Mask
from .arrays import FRAME_ATTRIBUTE, TAGS_ATTRIBUTE, array_of
from .nodes import matrix_of, segmentation_node, volume_node
from .session import errors_of_vtk, mrml_scene


@decimal_point()
def read_volume(path: str, series: str | None = None):
    """A scalar volume node from an image file or a DICOM folder, at its native type; its tags go to a node attribute.

    path: may be DIR@UID, the series of a folder that holds several.
    """
    folder, series = folder_and_series(path, series)
    if folder is not None:
        return _read_dicom(find_series(folder, series), folder.name)
    header = check_image_file(path, unpack=False)
    if header.is_segmentation:
        raise BoneQualityError("{path} is a segmentation; give it as the segmentation, and an image as the volume.", path=path)
    return _read_whole("vtkMRMLScalarVolumeNode", header, path, stem(path))


@decimal_point()
def read_stacks(path: str, series: str | None = None) -> list:
    """The same for axial images: a node for every stack of slices, top to bottom, as a DICOM series may hold several."""
    folder, series = folder_and_series(path, series)
    if folder is None:
        return [read_volume(path)]
    stacks = find_stacks(folder, series)
    names = [f"{folder.name} stack {n}" if len(stacks) > 1 else folder.name for n in range(1, len(stacks) + 1)]
    return _of_each(lambda stack=stack, name=name: _read_dicom(stack, name) for stack, name in zip(stacks, names))


def _read_dicom(found: DicomSeries, name: str):
    """The node of a stack. Frames of one file, and an image alone, are read as files of one image each, placed as they say."""
    with contextlib.ExitStack() as used:
        paths = found.paths
        if not found.is_plain:
            paths = write_frames(found.images, Path(used.enter_context(tempfile.TemporaryDirectory())))
        if found.is_rescaled_alike:
            node = _read("vtkMRMLScalarVolumeNode", "vtkMRMLVolumeArchetypeStorageNode", paths, name)
            used.enter_context(_removed_on_error(node))
            _check_slices(found, paths, node)
        else:
            node = volume_node(name, _own_pixels(found, paths), Grid((len(paths), 1, 1), found.ijk_to_ras))
    if len(paths) == 1:  # the reader knows no step to a next slice
        node.SetIJKToRASMatrix(matrix_of(found.ijk_to_ras))
    node.SetAttribute(TAGS_ATTRIBUTE, json.dumps(asdict(ImageTags(**found.tags))))
    if found.frame_of_reference:
        node.SetAttribute(FRAME_ATTRIBUTE, found.frame_of_reference)
    return node


def _own_pixels(found: DicomSeries, paths) -> np.ndarray:
    """Images with a rescale each: MRML's reader would round them to the type of the first one."""
    slices = []
    for image, path in zip(found.images, paths):
        with damage_of(image.path):
            slices.append(stored_pixels(path))
    if any(pixels is None for pixels in slices):
        sentence = "{path} holds compressed frames with a rescale each: convert it to NIfTI with dcm2niix."
        raise BoneQualityError(sentence, path=found.paths[0])
    return np.stack(slices)


@decimal_point()
def read_segmentation(path: str):
    """Nodes from a segmentation file (.seg.nrrd, DICOM SEG), a label map (any image file), a folder with one file per structure, or
    one with DICOM SEG files."""
    objects = segmentation_objects(Path(path)) if Path(path).is_dir() else [Path(path)] * is_segmentation_object(Path(path))
    if objects:
        return _of_each((lambda file=file: _read_segmentation_object(file) for file in objects))
    if not Path(path).is_dir():
        return [_read_masks(path, stem(path))]
    return _of_each(lambda name=name, file=file: _read_masks(file, name) for name, file in structure_files(path))


def _of_each(readers) -> list:
    """The node of every reader; none stays if one of them fails."""
    with contextlib.ExitStack() as undone:
        nodes = []
        for read in readers:
            nodes.append(read())
            undone.callback(remove_nodes, nodes[-1:])
        undone.pop_all()
        return nodes


def _read_segmentation_object(path: Path):
    """A DICOM SEG file as a segmentation node."""
    stored = read_segmentation_object(path)
    masks = [Mask(each.name, each.array, Grid(each.array.shape, each.ijk_to_ras)) for each in stored.segments]
    node = segmentation_node(path.stem, masks)
    for n, each in enumerate(stored.segments):
        node.GetSegmentation().GetNthSegment(n).SetTag("TerminologyEntry", each.terminology)
    if stored.frame_of_reference:
        node.SetAttribute(FRAME_ATTRIBUTE, stored.frame_of_reference)
    return node


def _read_masks(path, name: str):
    header = check_image_file(path, unpack=False, is_mask=True)
    if not header.is_segmentation:
        return _read_whole("vtkMRMLLabelMapVolumeNode", header, path, name)
    stored = stored_image(path)
    node = _read("vtkMRMLSegmentationNode", "vtkMRMLSegmentationStorageNode", [path], name)
    with _removed_on_error(node):
        _check_segments(stored, node)
    return node


def _read_whole(node_class: str, header: ImageHeader, path, name: str):
    """A volume node whose voxels are those of an undamaged file; compressed ones are unpacked once, by the reader."""
    stored = stored_image(path)
    try:
        node = _read(node_class, _storage_of(path, header.pixel_type), [path], name)
    except BoneQualityError:
        check_image_file(path)
        raise
    with _removed_on_error(node):
        _set_as_stored(stored, node)
    return node


def _set_as_stored(stored: StoredImage, node) -> None:
    """Make a node's voxels those of the file, where a reader took others: those of x.nii beside x.nii.gz, 0 for NaN."""
    array = array_of(node.GetImageData())
    if is_as_stored(stored, array):
        return
    voxels = stored_voxels(stored).reshape(stored.size[2::-1])
    if array.shape != voxels.shape:
        raise BoneQualityError("{path} is read with another size than its header says; save it again, as NRRD.", path=stored.path)
    for read, own in zip(array, voxels):  # slice by slice, so that no second image is made
        if stored.rescale != (1.0, 0.0):
            own = (own * np.float64(stored.rescale[0]) + stored.rescale[1]).astype(array.dtype)
            if np.allclose(read, own, rtol=1e-5, atol=1e-3 * abs(stored.rescale[0])):
                continue
        read[...] = own
    node.GetImageData().Modified()


def _check_slices(found: DicomSeries, paths, node) -> None:
    """Raise BoneQualityError where DICOM images are read with other values than they hold, as far as that is told without decoding."""
    read = array_of(node.GetImageData())
    if len(read) != len(paths):
        where = found.paths[0].parent
        raise BoneQualityError(
            "Of the {count} slices in {where} only {read} were read; import it with the DICOM module and save it as NRRD.",
            count=len(paths),
            where=where,
            read=len(read),
        )
    for image, path, values in zip(found.images, paths, read):
        with damage_of(image.path):
            own = stored_pixels(path)
        if own is not None and (own.shape != values.shape or not np.allclose(values, own, rtol=1e-5, atol=0.01)):
            raise BoneQualityError(
                "{path} is read with other values than it holds: convert the series to NIfTI with dcm2niix.", path=image.path
            )


def _check_segments(stored: StoredImage, node) -> None:
    """Raise BoneQualityError where a segment has another number of voxels than in the file."""
    layers = stored_voxels(stored).reshape(*stored.size[2::-1], -1)
    held = {layer: value_counts(layers[..., layer]) for layer in {segment.layer for segment in stored.segments}}
    found: dict = {}
    for segment in stored.segments:
        read = node.GetSegmentation().GetSegment(segment.segment_id)
        labels = read and read.GetRepresentation("Binary labelmap")
        if labels not in found:  # one for all segments of a layer
            empty = labels is None or not labels.GetNumberOfPoints() or labels.GetPointData().GetScalars() is None
            found[labels] = Counter() if empty else value_counts(array_of(labels))
        if (found[labels][read.GetLabelValue()] if read else 0) != held[segment.layer][segment.label_value]:
            raise BoneQualityError(
                "{path} is read with other segments than it holds; load it in 3D Slicer and save it again.", path=stored.path
            )


@contextlib.contextmanager
def _removed_on_error(node):
    with contextlib.ExitStack() as undone:
        undone.callback(remove_nodes, [node])
        yield
        undone.pop_all()


def _storage_of(path, pixel_type: str = "") -> str:
    """The storage node's class. MRML's NRRD reader ends the process on 64-bit integers (Slicer 5.12); ITK's takes them."""
    nrrd = str(path).lower().endswith((".nrrd", ".nhdr")) and not re.match("64-bit .*integer", pixel_type)
    return "vtkMRMLNRRDStorageNode" if nrrd else "vtkMRMLVolumeArchetypeStorageNode"


def _read(node_class: str, storage_class: str, paths, name: str):
    scene = mrml_scene()
    node = scene.AddNewNodeByClass(node_class, name)
    storage = scene.CreateNodeByClass(storage_class)
    storage.UnRegister(None)
    storage.SetFileName(str(paths[0]))
    for path in paths if len(paths) > 1 else ():
        storage.AddFileName(str(path))
    with errors_of_vtk() as said:
        done = storage.ReadData(node)
    image = node.GetImageData() if node.IsA("vtkMRMLVolumeNode") else node.GetSegmentation()
    if not done or image is None or said:
        remove_nodes([node])
        raise BoneQualityError("{path} cannot be read; it may be damaged: export or copy it again.", path=paths[0])
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
    with errors_of_vtk() as said:
        done = storage.WriteData(node)
    if not done or said:
        raise BoneQualityError("{path} cannot be written; choose another folder or make room.", path=path)
