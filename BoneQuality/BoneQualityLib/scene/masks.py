"""Segmentation and label map nodes to masks."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..anatomy.segments import Identified, assign
from ..anatomy.structure import Segment
from ..case.described import sha256_of
from ..errors import BoneQualityError
from ..image.grid import Grid
from ..image.mask import Mask
from .arrays import (
    FRAME_ATTRIBUTE,
    TAGS_ATTRIBUTE,
    array_of,
    check_shear,
    check_volume,
    ijk_to_ras_of,
    image_of,
    lasting,
    matrix_array,
    placed_by,
    transform_of,
)
from .labels import Labels, scheme_labels, value_in_name

#: Lattice on which a segment that has nothing but a closed surface is filled, mm.
SURFACE_STEP_MM = 0.5
#: Larger values are no labels; to look them up would take memory by their size.
LARGEST_LABEL = 65535
#: Values of a label map may be off a whole number by this much: a scl_slope that nibabel chose for 8 bits rounds so far.
ROUNDING = 0.05


@dataclass(frozen=True)
class Segmentation:
    """Masks for ``measure_case``: a segmentation or label map node, and how to read its labels.

    labels: for a label map, or a segmentation whose segments are named by its label values, a scheme's name, a LABELS.csv, a
    color table or ``{value: structure name}``; for other segmentations a LABELS.csv or ``{segment name or ID: structure name}``,
    a person's choice that goes before terminology and names.
    """

    node: object
    labels: str | dict | Labels | None = None


def identified(segmentation: Segmentation) -> Identified:
    """The segments that show a structure, none of them read yet, and those whose structure is not clear."""
    node, labels = segmentation.node, segmentation.labels
    if isinstance(labels, (str, Path)):
        labels = scheme_labels(str(labels))
    if not isinstance(labels, Labels):
        names = {str(key): name for key, name in (labels or {}).items()}
        labels = Labels(names, of_segments=not all(key.isdecimal() for key in names))
    segments = named_segments(node)
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        return _known_labels(node, segments, labels)
    if labels.of_segments or not labels.names:
        return assign(segments, labels.names)
    valued = {value: segment for segment in segments if (value := _value_of(segment, labels))}
    if not valued:
        raise BoneQualityError(
            "The labels of {name} number label values, but its segments have names: use segment,name.", name=node.GetName()
        )
    named = [segment for segment in segments if segment not in valued.values()]
    return _with_labels(list(valued.values()), {segment.identifier: value for value, segment in valued.items()}, labels) + assign(
        named
    )


def _value_of(segment: Segment, labels: Labels) -> str:
    """The label value by which a segment of a segmentation node is known, if the labels have it."""
    by_name = value_in_name(segment.name)
    if by_name in labels.names:
        return by_name
    return segment.identifier if segment.identifier in labels.names else ""


def _with_labels(segments: list[Segment], values: dict[str, str], labels: Labels) -> Identified:
    """Segments as their labels say; values: label value by the segment's identifier."""
    if labels.is_choice:
        return assign(segments, {identifier: labels.names[value] for identifier, value in values.items()})
    return assign(
        replace(segment, name=labels.names[value], terminology=labels.terminology[value])
        for segment in segments
        if (value := values[segment.identifier])
    )


def named_segments(node) -> list[Segment]:
    """Every segment of a segmentation node, or label value of a label map, whatever it shows, none of them read yet."""
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        return _label_values(node)
    if node.IsA("vtkMRMLSegmentationNode"):
        return _segmentation_segments(node)
    raise BoneQualityError("{name} is no segmentation and no label map; choose one.", name=node.GetName())


def takes_scheme(node) -> bool:
    """Whether a label scheme can say what a node's segments show: of a label map, or where segments are named by label values."""
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        return True
    names = [segment.name for segment in named_segments(node)]
    return bool(names) and all(map(value_in_name, names))


def scheme_of(node, scheme: str) -> dict[str, str]:
    """Structure by segment identifier as a named scheme says: of a label map, or of segments that are named by label values."""
    if not scheme:
        return {}
    names = scheme_labels(scheme).names
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        return dict(names)
    values = {segment.identifier: value_in_name(segment.name) for segment in named_segments(node)}
    return {identifier: names[value] for identifier, value in values.items() if value in names}


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


def checksums(node, identifiers: Collection[str] | None = None) -> dict[str, str]:
    """Checksums of a volume's voxels (by ""), or of the masks of all segments or these, by identifier; the same after saving and loading."""
    if node.IsA("vtkMRMLScalarVolumeNode") and not node.IsA("vtkMRMLLabelMapVolumeNode"):
        return {"": sha256_of(image_of(node).array)}
    return checksums_of(node, (each for each in named_segments(node) if identifiers is None or each.identifier in identifiers))


def checksums_of(node, segments: Iterable[Segment]) -> dict[str, str]:
    """Checksums of the masks of a node's segments, and of where these lie below its parent transform, by identifier."""
    to_node, found = np.linalg.inv(transform_of(node)), {}
    for segment in segments:
        mask = segment.load()
        found[segment.identifier] = sha256_of(mask.array) + sha256_of(lasting(to_node @ mask.grid.ijk_to_ras))
    return found


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


def state_of(node) -> list:
    """All that measuring takes from a node, as it is now: another state where anything of it was changed. No voxel is read."""
    tags = [node.GetAttribute(name) for name in (TAGS_ATTRIBUTE, FRAME_ATTRIBUTE, "DICOM.instanceUIDs")]
    segments = [] if node.IsA("vtkMRMLVolumeNode") else named_segments(node)
    return [changed_at(node), placed_by(node), tags, [[each.identifier, each.name, each.terminology] for each in segments]]


def _label_values(node) -> list[Segment]:
    check_volume(node)
    name, layer = node.GetName(), _Layer(array_of(node.GetImageData()), name=node.GetName())
    grid = Grid(layer.array.shape, ijk_to_ras_of(node))
    values = list(layer.boxes)
    if len(values) < 2:
        return [Segment(name, "its file", _loader(layer, value, grid, name), str(value or "")) for value in values or [0]]
    return [Segment(str(value), name, _loader(layer, value, grid, f"{name} {value}"), str(value)) for value in values]


def _known_labels(node, segments: list[Segment], labels: Labels) -> Identified:
    name, values = node.GetName(), [segment.identifier for segment in segments if segment.identifier]
    if labels.of_segments:
        raise BoneQualityError("The labels of {name} name segments, but it is a label map: use value,name.", name=name)
    if not labels.names and len(segments) > 1:
        raise BoneQualityError(
            "{name} is a label map with the values {values}; name its label scheme, or give a LABELS.csv.",
            name=name,
            values=_some(values),
        )
    if not labels.names:
        return assign(segments)
    known = {value: structure for value, structure in labels.names.items() if value in values and structure}
    if not known:
        raise BoneQualityError(
            "No label of {name} ({values}) is in the label scheme that was named; name the one that made it.",
            name=name,
            values=_some(values),
        )
    by_value = {segment.identifier: segment for segment in segments}
    called = [replace(by_value[value], name=f"{value} ({structure})", source=name) for value, structure in known.items()]
    return _with_labels(called, {value: value for value in known}, labels)


def _segmentation_segments(node) -> list[Segment]:
    import vtk

    segmentation = node.GetSegmentation()
    to_world, layers, found = transform_of(node), {}, []
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
        layers[scalars] = _Layer(array_of(image), name)
    layer = layers[scalars]
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    affine = to_world @ matrix_array(matrix)
    affine[:3, 3] += affine[:3, :3] @ [extent[0], extent[2], extent[4]]
    check_shear(affine, f"The segment {name}")
    return layer.mask(int(segment.GetLabelValue()), Grid(layer.array.shape, affine), name)


def _filled_surface(segment, to_world: np.ndarray) -> Mask:
    import vtk

    surface = segment.GetRepresentation("Closed surface")
    if surface is None:
        raise BoneQualityError(
            "The segment {name} has neither a label map nor a closed surface; create one in the Segmentations module.",
            name=segment.GetName(),
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
    check_shear(affine, f"The segment {segment.GetName()}")
    layer = _Layer(array_of(filled.GetOutput()), segment.GetName())
    return layer.mask(1, Grid(layer.array.shape, affine), segment.GetName())


class _Layer:
    """A label image that several segments may share: every label's bounding box, found in one pass."""

    def __init__(self, array: np.ndarray, name: str):
        self.array = array
        if array.max() > LARGEST_LABEL:
            sentence = "{name} holds values up to {highest:g}, so it is no label map; choose the segmentation."
            raise BoneQualityError(sentence, name=name, highest=array.max())
        if not np.issubdtype(array.dtype, np.integer):
            whole = np.round(array)
            if not np.abs(array - whole).max(initial=0) <= ROUNDING:
                raise BoneQualityError("{name} holds fractions, so it is no label map; give a mask of whole numbers.", name=name)
            self.array = array = np.maximum(whole, -1).astype(np.int32)
        self.boxes: dict[int, tuple] = {}
        filled = _filled_box(array)
        if filled:
            part = array[filled]
            if part.min() < 0:
                raise BoneQualityError("{name} holds negative values, so it is no label map; choose the segmentation.", name=name)
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
