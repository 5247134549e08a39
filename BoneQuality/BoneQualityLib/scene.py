"""Where MRML is spoken: files to nodes, nodes to arrays, and results to nodes."""

from __future__ import annotations

import contextlib
import json
import re
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from .anatomy import Segment, assign, scheme_labels
from .dicom import ImageTags, find_series, read_tags
from .errors import BoneQualityError
from .files import ImageHeader, check_image_file, is_as_stored, structure_files
from .geometry import Grid, Image, Mask
from .headless import decimal_point, messages_of_vtk, mrml_scene

#: Where a volume node keeps what is known of its acquisition (JSON of ImageTags; no patient data).
TAGS_ATTRIBUTE = "BoneQuality.ImageTags"
#: Lattice on which a segment that has nothing but a closed surface is filled, mm.
SURFACE_STEP_MM = 0.5
#: Larger values are no labels; to look them up would take memory by their size.
LARGEST_LABEL = 65535
_SHEAR_TOLERANCE = 0.009  # half a degree: what DICOM's rounded directions need


@dataclass(frozen=True)
class Segmentation:
    """Masks for ``measure_case``: a segmentation or label map node, and how to read its labels.

    labels: for a label map, a scheme's name, a LABELS.csv or ``{value: structure name}``; for a segmentation node, a LABELS.csv
    or ``{segment name or ID: structure name}``, a person's choice that goes before terminology and names.
    """

    node: object
    labels: str | dict | None = None


# Files to nodes


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
        node.SetAttribute(TAGS_ATTRIBUTE, json.dumps(asdict(found.tags)))
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
    if not is_as_stored(path, _array(node.GetImageData())):
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


# Nodes to arrays


def image_of(node) -> Image:
    """The volume's array as it lies in the node, with its parent transform in the lattice.

    Raises BoneQualityError where the volume holds no image, colors instead of one value, or its transform cannot be used.
    """
    _check_volume(node)
    array = _array(node.GetImageData())
    return Image(node.GetName(), array, Grid(array.shape, _ijk_to_ras(node)), _tags(node))


def _tags(node) -> ImageTags:
    """What is known of the acquisition: as it was read, or by Slicer's DICOM database where the volume came from there."""
    known, instances = node.GetAttribute(TAGS_ATTRIBUTE), (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    if known:
        return ImageTags(**json.loads(known))
    import slicer

    database = getattr(slicer, "dicomDatabase", None)
    path = database.fileForInstance(instances[0]) if instances and database else ""
    return read_tags(path) if path else ImageTags()


def segments_of(segmentation: Segmentation) -> list[Segment]:
    """The segments that show a structure, none of them read yet."""
    node, labels = segmentation.node, segmentation.labels
    if isinstance(labels, (str, Path)):
        labels = scheme_labels(str(labels))
    labels = {str(key): name for key, name in (labels or {}).items()}
    segments = named_segments(node)
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        return _known_labels(node, segments, labels)
    if labels and all(key.isdecimal() for key in labels):
        raise BoneQualityError(
            f"The labels of {node.GetName()} number label values, but its segments have names: use segment,name."
        )
    return assign(segments, labels)


def named_segments(node) -> list[Segment]:
    """Every segment of a segmentation node, or label value of a label map, whatever it shows, none of them read yet."""
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        return _label_values(node)
    if node.IsA("vtkMRMLSegmentationNode"):
        return _segmentation_segments(node)
    raise BoneQualityError(f"{node.GetName()} is no segmentation and no label map; choose one.")


def scheme_of(node, scheme: str) -> dict[str, str]:
    """The labels of a named scheme for a label map; none for a segmentation node, whose segments have names."""
    return scheme_labels(scheme) if scheme and node.IsA("vtkMRMLLabelMapVolumeNode") else {}


def reference_volume(segmentation):
    """The volume node on which a segmentation was drawn, where it says so."""
    role = "GetReferenceImageGeometryReferenceRole"
    return segmentation.GetNodeReference(getattr(segmentation, role)()) if hasattr(segmentation, role) else None


def same_lattice(segmentation, volume) -> bool:
    """Whether a segmentation's first mask lies on the voxels of a volume."""
    grid = next((segment.load().grid for segment in named_segments(segmentation)), None)
    image = image_of(volume).grid
    if grid is None or not np.allclose(grid.ijk_to_ras[:3, :3], image.ijk_to_ras[:3, :3], atol=1e-4):
        return False
    offset = image.ijk(grid.ijk_to_ras[:3, 3])
    return bool(np.allclose(offset, np.round(offset), atol=0.01))


def checksums(node) -> dict[str, int]:
    """Checksums of a volume's voxels (by ""), or of every segment's mask by its identifier; the same after saving and loading."""
    if node.IsA("vtkMRMLScalarVolumeNode") and not node.IsA("vtkMRMLLabelMapVolumeNode"):
        return {"": zlib.crc32(np.ascontiguousarray(image_of(node).array))}
    return {segment.identifier: zlib.crc32(np.ascontiguousarray(segment.load().array)) for segment in named_segments(node)}


def changed_at(node) -> list:
    """A state of a volume, segmentation or label map node that is another one when what it holds was changed; no voxel is read."""
    if not node.IsA("vtkMRMLSegmentationNode"):
        return [node.GetImageData() and node.GetImageData().GetMTime()]
    segmentation, found = node.GetSegmentation(), []
    for n in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(n)
        masks = [segment.GetRepresentation(name) for name in ("Binary labelmap", "Closed surface")]
        found.append([segmentation.GetNthSegmentID(n), segment.GetLabelValue(), *(mask and mask.GetMTime() for mask in masks)])
    return found


def placed_by(node) -> list:
    """The node's parent transform, by its rows, to compare."""
    return (_transform(node).round(4) + 0.0).tolist()


def _label_values(node) -> list[Segment]:
    _check_volume(node)
    name, layer = node.GetName(), _Layer(_array(node.GetImageData()), name=node.GetName())
    grid = Grid(layer.array.shape, _ijk_to_ras(node))
    values = list(layer.boxes)
    if len(values) < 2:
        return [Segment(name, "its file", _loader(layer, value, grid, name), str(value or "")) for value in values or [0]]
    return [Segment(str(value), name, _loader(layer, value, grid, f"{name} {value}"), str(value)) for value in values]


def _known_labels(node, segments: list[Segment], labels: dict[str, str]) -> list[Segment]:
    name, values = node.GetName(), [segment.identifier for segment in segments if segment.identifier]
    if labels and not all(key.isdecimal() for key in labels):
        raise BoneQualityError(f"The labels of {name} name segments, but it is a label map: use value,name.")
    if not labels and len(segments) > 1:
        raise BoneQualityError(
            f"{name} is a label map with the values {_some(values)}; name its label scheme, or give a LABELS.csv."
        )
    if not labels:
        return assign(segments)
    known = {value: structure for value, structure in labels.items() if value in values and structure}
    if not known:
        raise BoneQualityError(
            f"No label of {name} ({_some(values)}) is in the label scheme that was named; name the one that made it."
        )
    by_value = {segment.identifier: segment for segment in segments}
    called = [replace(by_value[value], name=f"{value} ({structure})", source=name) for value, structure in known.items()]
    return assign(called, known)


def _segmentation_segments(node) -> list[Segment]:
    import vtk

    segmentation = node.GetSegmentation()
    to_world, layers, found = _transform(node), {}, []
    for n in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(n)
        entry = vtk.reference("")
        segment.GetTag("TerminologyEntry", entry)
        found.append(
            Segment(
                _text(segment.GetName()),
                node.GetName(),
                lambda segment=segment: _segment_mask(segment, to_world, layers),
                _text(segmentation.GetNthSegmentID(n)),
                str(entry),
            )
        )
    return found


def _text(name) -> str:
    """A segment's name; VTK gives bytes where a file held other letters than UTF-8."""
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name or ""


def _segment_mask(segment, to_world: np.ndarray, layers: dict) -> Mask:
    import vtk

    name, image = _text(segment.GetName()), segment.GetRepresentation("Binary labelmap")
    if image is None:
        return _filled_surface(segment, to_world)
    extent, scalars = image.GetExtent(), image.GetPointData().GetScalars()
    if scalars is None or any(extent[n] > extent[n + 1] for n in (0, 2, 4)):
        return _no_mask(name)
    if scalars not in layers:
        layers[scalars] = _Layer(_array(image), name)
    layer = layers[scalars]
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    affine = to_world @ _numpy(matrix)
    affine[:3, 3] += affine[:3, :3] @ [extent[0], extent[2], extent[4]]
    _check_shear(affine, f"The segment {name}")
    return layer.mask(int(segment.GetLabelValue()), Grid(layer.array.shape, affine), name)


def _filled_surface(segment, to_world: np.ndarray) -> Mask:
    import vtk

    surface = segment.GetRepresentation("Closed surface")
    if surface is None:
        raise BoneQualityError(
            f"The segment {segment.GetName()} has neither a label map nor a closed surface; create one in the Segmentations module."
        )
    if not surface.GetNumberOfPolys() and not surface.GetNumberOfStrips():
        return _no_mask(segment.GetName())
    bounds = np.array(surface.GetBounds()).reshape(3, 2)
    count = np.ceil((bounds[:, 1] - bounds[:, 0]) / SURFACE_STEP_MM).astype(int) + 2
    origin = bounds[:, 0] - SURFACE_STEP_MM / 2
    stencil = vtk.vtkPolyDataToImageStencil()
    stencil.SetInputData(surface)
    stencil.SetOutputSpacing(*[SURFACE_STEP_MM] * 3)
    stencil.SetOutputOrigin(*origin)
    stencil.SetOutputWholeExtent(0, count[0] - 1, 0, count[1] - 1, 0, count[2] - 1)
    filled = vtk.vtkImageStencilToImage()
    filled.SetInputConnection(stencil.GetOutputPort())
    filled.SetOutputScalarTypeToUnsignedChar()
    filled.Update()
    affine = np.diag([*[SURFACE_STEP_MM] * 3, 1.0])
    affine[:3, 3] = origin
    affine = to_world @ affine
    _check_shear(affine, f"The segment {segment.GetName()}")
    layer = _Layer(_array(filled.GetOutput()), segment.GetName())
    return layer.mask(1, Grid(layer.array.shape, affine), segment.GetName())


class _Layer:
    """A label image that several segments may share: every label's bounding box, found in one pass."""

    def __init__(self, array: np.ndarray, name: str):
        self.array = array
        if array.max() > LARGEST_LABEL:
            raise BoneQualityError(f"{name} holds values up to {array.max():g}, so it is no label map; choose the segmentation.")
        if not np.issubdtype(array.dtype, np.integer):
            if not np.array_equal(array, np.round(array)):
                raise BoneQualityError(f"{name} holds fractions, so it is no label map; give a mask of whole numbers.")
            self.array = array = np.maximum(array, -1).astype(np.int32)
        self.boxes: dict[int, tuple] = {}
        filled = _filled_box(array)
        if filled:
            part = array[filled]
            if part.min() < 0:
                raise BoneQualityError(f"{name} holds negative values, so it is no label map; choose the segmentation.")
            for value, box in enumerate(ndimage.find_objects(part), 1):
                if box is not None:
                    self.boxes[value] = tuple(slice(s.start + f.start, s.stop + f.start) for s, f in zip(box, filled))

    def mask(self, value: int, grid: Grid, name: str) -> Mask:
        box = self.boxes.get(value)
        return Mask(name, self.array[box] == value, grid.box(box)) if box else _no_mask(name)


def _filled_box(array: np.ndarray) -> tuple[slice, slice, slice] | None:
    """Slices (of k, j, i) around all that a label image holds, without a copy of it: one pass along k, then only what is left."""
    across = np.bitwise_or.reduce(array, axis=0)
    if not across.any():
        return None
    j, i = (slice(int(n.min()), int(n.max()) + 1) for n in np.nonzero(across))
    k = np.nonzero(np.bitwise_or.reduce(array[:, j, i], axis=(1, 2)))[0]
    return slice(int(k[0]), int(k[-1]) + 1), j, i


def _no_mask(name: str) -> Mask:
    return Mask(name, np.zeros((1, 1, 1), bool), Grid((1, 1, 1), np.eye(4)))


def _loader(layer: _Layer, value: int, grid: Grid, name: str):
    return lambda: layer.mask(value, grid, name)


def _some(values) -> str:
    shown = [str(v) for v in list(values)[:8]]
    return " ".join(shown) + (" ..." if len(values) > 8 else "") or "none"


def _check_volume(node) -> None:
    data = node.GetImageData() if node.IsA("vtkMRMLVolumeNode") else None
    name = node.GetName()
    if data is None or not data.GetNumberOfPoints() or data.GetPointData().GetScalars() is None:
        raise BoneQualityError(f"{name} holds no image; choose a volume.")
    if data.GetNumberOfScalarComponents() != 1 or not node.IsA("vtkMRMLScalarVolumeNode"):
        raise BoneQualityError(f"{name} holds colors or vectors; choose a volume with one value per voxel.")


def _array(image) -> np.ndarray:
    from vtk.util.numpy_support import vtk_to_numpy

    i, j, k = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(k, j, i)


def _ijk_to_ras(node) -> np.ndarray:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    affine = _transform(node) @ _numpy(matrix)
    _check_shear(affine, node.GetName())
    return affine


def _transform(node) -> np.ndarray:
    """The node's parent transform to world, 4x4."""
    import vtk

    parent, matrix = node.GetParentTransformNode(), vtk.vtkMatrix4x4()
    if parent is not None:
        if not parent.IsTransformToWorldLinear():
            raise BoneQualityError(f"{node.GetName()} is under a non-linear transform; harden it in the Transforms module first.")
        parent.GetMatrixTransformToWorld(matrix)
    return _numpy(matrix)


def _check_shear(affine: np.ndarray, name: str) -> None:
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.all(np.isfinite(affine)) or np.any(lengths < 1e-6):
        raise BoneQualityError(f"{name} has no usable voxel size; correct it in the Volumes module.")
    cosines = (affine[:3, :3] / lengths).T @ (affine[:3, :3] / lengths)
    if np.abs(cosines - np.eye(3)).max() > _SHEAR_TOLERANCE:
        raise BoneQualityError(f"{name} is sheared; harden its transform or resample it to a rectangular lattice first.")


def _numpy(matrix) -> np.ndarray:
    return np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)])


# Arrays and results to nodes


def volume_node(name: str, array: np.ndarray, grid: Grid, label_map: bool = False):
    """A scalar volume (or label map) node holding a copy of an array ``[k, j, i]``."""
    node = mrml_scene().AddNewNodeByClass("vtkMRMLLabelMapVolumeNode" if label_map else "vtkMRMLScalarVolumeNode", name)
    node.SetAndObserveImageData(_vtk_image(array))
    node.SetIJKToRASMatrix(_matrix(grid.ijk_to_ras))
    return node


def segmentation_node(name: str, masks: list[Mask], node=None):
    """A segmentation node (a new one, or the given one filled anew) with one segment for every mask, named like it."""
    import slicer

    node = node or mrml_scene().AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    segmentation = node.GetSegmentation()
    segmentation.RemoveAllSegments()
    segmentation.SetSourceRepresentationName("Binary labelmap")
    for mask in masks:
        labels = slicer.vtkOrientedImageData()
        labels.DeepCopy(_vtk_image(mask.array.astype(np.uint8)))
        labels.SetImageToWorldMatrix(_matrix(mask.grid.ijk_to_ras))
        segment = slicer.vtkSegment()
        segment.SetName(mask.name)
        segment.AddRepresentation("Binary labelmap", labels)
        segmentation.AddSegment(segment, mask.name.replace(" ", "_"))
    return node


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


def _vtk_image(array: np.ndarray):
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData()
    image.SetDimensions(*array.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(array).ravel(), deep=True))
    return image


def _matrix(affine: np.ndarray):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(affine, float).ravel().tolist())
    return matrix


def table_node(name: str, columns, rows: list[dict], node=None):
    """A table node (a new one, or the given one filled anew) with typed columns, titles, units and descriptions.

    Numbers that were not measured are nan.
    """
    import vtk

    node = node or mrml_scene().AddNewNodeByClass("vtkMRMLTableNode", name)
    table = vtk.vtkTable()
    for column in columns:
        array = vtk.vtkDoubleArray() if column.is_number else vtk.vtkStringArray()
        array.SetName(column.name)
        for row in rows:
            value = row.get(column.name)
            array.InsertNextValue(column.number(value) if column.is_number else column.text(value))
        table.AddColumn(array)
    node.SetAndObserveTable(table)
    for column in columns:
        node.SetColumnTitle(column.name, column.title)
        node.SetColumnDescription(column.name, column.description)
        node.SetColumnUnitLabel(column.name, column.unit)
    node.SetUseColumnTitleAsColumnHeader(True)
    return node
