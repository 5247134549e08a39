"""Where a case's values were taken, as nodes: regions and pixels as segments, planar ROIs as curves; and curves that a person moved.

``nodes`` gives and makes the nodes of the case, see `case_nodes`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable

import numpy as np

from ..errors import BoneQualityError
from ..image.mask import Mask
from ..measures.roi import COLORS, PlanarRoi, RegionRoi, rgb
from .nodes import segmentation_node

#: Which masks a segmentation was filled with, and when each was changed last, as JSON.
HOLDS_ATTRIBUTE = "BoneQuality.Holds"
#: What a curve was made from, as JSON.
PLACED_ATTRIBUTE = "BoneQuality.Placed"
ELLIPSE_POINTS = 8
#: Outlines are drawn with as few points as keep within this distance of them, mm.
OUTLINE_TOLERANCE_MM = 0.15
#: Surface nets, smoothed a little: regions are smooth by themselves, and Slicer's defaults take twice as long.
QUICK_SURFACES = {"Conversion method": "1", "Smoothing factor": "0.2"}
#: A curve counts as edited when a point moved farther than a file rounds it, mm.
MOVED_MM = 0.01
#: A curve whose points lie farther than this from one plane is no flat ROI any more, mm.
FLATNESS_MM = 1.0
#: A curve that was moved within its plane, to these limits, keeps that plane exactly.
SAME_PLANE_DEGREES, SAME_PLANE_MM = 1.0, 0.05
PLANE_RIM_MM = 6.0


def show_regions(nodes, rois: list[RegionRoi], volume) -> None:
    """Regions as the segments of one segmentation, on the lattice of the volume node."""
    if not rois:
        return
    masks = [Mask(f"{roi.level} {roi.kind}", roi.weights >= 0.5, roi.grid) for roi in rois]
    is_new = not nodes.has("regions")
    node, is_filled = _fill_segments(nodes, "regions", "regions", [mask for mask in masks if mask.array.any()])
    if volume is not None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    if not is_filled:
        return
    for roi in rois:
        segment = node.GetSegmentation().GetSegment(f"{roi.level}_{roi.kind}")
        if segment is not None:
            segment.SetColor(*_color(roi.kind))
    for name, value in QUICK_SURFACES.items():
        node.GetSegmentation().SetConversionParameter(name, value)
    node.CreateClosedSurfaceRepresentation()
    if is_new and node.GetDisplayNode() is not None:
        node.GetDisplayNode().SetOpacity2DFill(0.25)
        node.GetDisplayNode().SetOpacity3D(0.5)


def _fill_segments(nodes, role: str, name: str, masks: list[Mask]) -> tuple:
    """A segmentation node with these segments, of which those stay hidden that a person has hidden; and whether it was filled anew.

    Where it holds these masks already, it is left alone: closed surfaces take long.
    """
    node = nodes.get(role, "vtkMRMLSegmentationNode", name)
    display, segmentation = node.GetDisplayNode(), node.GetSegmentation()
    holds = json.dumps([[m.name, m.grid.ijk_to_ras.tolist(), m.array.shape, zlib.crc32(np.ascontiguousarray(m.array))] for m in masks])
    if node.GetAttribute(HOLDS_ATTRIBUTE) == json.dumps([holds, _changed_at(segmentation)]):
        return node, False
    before = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
    hidden = [identifier for identifier in before if display is not None and not display.GetSegmentVisibility(identifier)]
    segmentation_node("", masks, node)
    for identifier in hidden:
        display.SetSegmentVisibility(identifier, False)
    node.SetAttribute(HOLDS_ATTRIBUTE, json.dumps([holds, _changed_at(segmentation)]))
    return node, True


def _changed_at(segmentation) -> list:
    """When each mask of a segmentation was changed last."""
    segments = [segmentation.GetNthSegment(n) for n in range(segmentation.GetNumberOfSegments())]
    masks = [segment.GetRepresentation("Binary labelmap") for segment in segments]
    return [[segment.GetName(), mask and mask.GetMTime()] for segment, mask in zip(segments, masks)]


def show_muscle_pixels(nodes, slices: list) -> None:
    """The pixels that count as fat, as an overlay of the slices; and where no disc is known, so that no curves are drawn, the muscles'.

    A disc's fat has a segment for every muscle; slices without a disc share one, or a long stack would have hundreds.
    """
    fat, muscles = {}, {}
    for there in slices:
        for c in (c for c in there.compartments if c.pixels is not None):
            if c.fat_pixels is not None and c.fat_pixels.array.any():
                fat.setdefault(f"{there.disc} fat in {c.name}".strip(), []).append(c.fat_pixels)
            if not there.disc:
                muscles.setdefault(c.name, []).append(c.pixels)
    _show_pixels(nodes, "fat", "fat pixels", fat, lambda name: "fat")
    _show_pixels(nodes, "muscle regions", "muscle regions", muscles, lambda name: name)


def _show_pixels(nodes, role: str, name: str, masks: dict[str, list[Mask]], kind: Callable[[str], str]) -> None:
    """A segmentation with a segment for every name; it is shown in the slices alone, regions as outlines, fat as a filled overlay."""
    if not masks:
        return
    is_new = not nodes.has(role)
    node, is_filled = _fill_segments(nodes, role, name, [_stacked(each, parts) for each, parts in masks.items()])
    if not is_filled:
        return
    for n, each in enumerate(masks):
        node.GetSegmentation().GetNthSegment(n).SetColor(*_color(kind(each)))
    if is_new and node.GetDisplayNode() is not None:
        node.GetDisplayNode().SetVisibility3D(False)
        if role == "fat":
            node.GetDisplayNode().SetVisibility2DOutline(False)
        else:
            node.GetDisplayNode().SetVisibility2DFill(False)


def _stacked(name: str, masks: list[Mask]) -> Mask:
    """Masks on parts of one lattice as one."""
    base = masks[0].grid
    starts = np.round([base.ijk(mask.grid.ijk_to_ras[:3, 3])[::-1] for mask in masks]).astype(int)
    ends = starts + [mask.array.shape for mask in masks]
    box = tuple(slice(int(first), int(last)) for first, last in zip(starts.min(axis=0), ends.max(axis=0)))
    array = np.zeros([part.stop - part.start for part in box], bool)
    for mask, start in zip(masks, starts - starts.min(axis=0)):
        array[tuple(slice(first, first + n) for first, n in zip(start, mask.array.shape))] |= mask.array
    return Mask(name, array, base.box(box))


def show_curves(nodes, roi: PlanarRoi) -> None:
    """The ROI's outlines as closed curves, and its slice plane as a frame around it."""
    if roi.semi_axes:
        outlines = roi.curves(ELLIPSE_POINTS)
    else:
        kept = [simplified(outline) for outline in roi.outlines]  # a speck that is smaller than the tolerance has no curve
        outlines = [roi.center + outline @ np.stack([roi.u, roi.v]) for outline in kept if len(outline) > 2]
    for n, points in enumerate(outlines):
        role = f"{roi.level} {roi.kind}" + (f" {n + 1}" if n else "")
        if roi.edited and nodes.has(role):
            nodes.get(role, "", "")
            continue
        node = _curve(nodes, role, points, roi.kind, is_spline=roi.semi_axes is not None)
        ellipse = dict(center=roi.center, u=roi.u, v=roi.v, semi_axes=roi.semi_axes) if roi.semi_axes else None
        placed = dict(level=roi.level, kind=roi.kind, center=roi.center, u=roi.u, v=roi.v, thickness=roi.thickness)
        placed.update(outlines=len(outlines))
        placed.update(points=[] if roi.edited else points, ellipse=ellipse, placed_ellipse=None if roi.edited else ellipse)
        node.SetAttribute(PLACED_ATTRIBUTE, json.dumps(placed, default=np.ndarray.tolist))
    across = np.concatenate(outlines) - roi.center
    right, up = (float(np.abs(across @ axis).max()) + PLANE_RIM_MM for axis in (roi.u, roi.v))
    frame = np.array([[-1, -1], [0, -1], [1, -1], [1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0]]) * [right, up]
    plane = _curve(nodes, f"{roi.level} {roi.kind} slice", roi.center + frame @ np.stack([roi.u, roi.v]), roi.kind, is_spline=False)
    plane.SetLocked(True)


def _curve(nodes, role: str, points: np.ndarray, kind: str, is_spline: bool):
    is_new = not nodes.has(role)
    node = nodes.get(role, "vtkMRMLMarkupsClosedCurveNode", f"{nodes.case_id} {role}")
    node.SetCurveTypeToCardinalSpline() if is_spline else node.SetCurveTypeToLinear()
    if is_new or not np.array_equal(points_of(node), points):
        put_points(node, points)
    display = node.GetDisplayNode()
    if is_new and display is not None:
        display.SetColor(*_color(kind))
        display.SetSelectedColor(*_color(kind))
        display.SetPointLabelsVisibility(False)
        display.SetPropertiesLabelVisibility(False)
        display.SetUseGlyphScale(False)
        display.SetGlyphSize(1.5)
        display.SetCurveLineSizeMode(display.UseLineThickness)
        display.SetLineThickness(0.3)
        if role.endswith(" slice"):
            display.SetVisibility2D(False)
            display.SetGlyphSize(0.1)
            display.SetOpacity(0.4)
    return node


def put_points(node, points: np.ndarray) -> None:
    """The control points of a markups node, shape (n, 3), in world RAS; those it had are replaced."""
    import vtk

    positions = vtk.vtkPoints()
    positions.SetDataTypeToDouble()
    for point in np.asarray(points, float):
        positions.InsertNextPoint(*point)
    node.SetControlPointPositionsWorld(positions)  # all at once: each change of a point could render every view


def _color(kind: str) -> tuple[float, float, float]:
    return rgb(COLORS[kind])


def simplified(outline: np.ndarray) -> np.ndarray:
    """A closed polygon, shape (n, 2), with as few of its points as keep within 0.15 mm of it (Douglas and Peucker 1973)."""
    closed = np.concatenate([outline, outline[:1]])
    far = int(np.argmax(np.linalg.norm(outline - outline[0], axis=1)))
    keep = {0, far}
    spans = [(0, far), (far, len(outline))]
    while spans:
        first, last = spans.pop()
        between = closed[first + 1 : last] - closed[first]
        chord = closed[last] - closed[first]
        length = np.linalg.norm(chord)
        if not len(between) or not length:
            continue
        distance = np.abs(between[:, 0] * chord[1] - between[:, 1] * chord[0]) / length
        if distance.max() > OUTLINE_TOLERANCE_MM:
            middle = first + 1 + int(distance.argmax())
            keep.add(middle)
            spans += [(first, middle), (middle, last)]
    return outline[sorted(keep)]


def points_of(node) -> np.ndarray:
    """The control points of a markups node, shape (n, 3), in world RAS."""
    return np.array([node.GetNthControlPointPositionWorld(n) for n in range(node.GetNumberOfControlPoints())]).reshape(-1, 3)


def is_moved(node, placed: dict) -> bool:
    """Whether a person moved, added or removed points of a curve since it was made."""
    points, before = points_of(node), np.array(placed["points"]).reshape(-1, 3)
    return len(points) != len(before) or bool((np.abs(points - before) > MOVED_MM).any())


def edited_roi(curves: list) -> PlanarRoi:
    """The ROI that curves show now, with what each was made from; raises BoneQualityError where it is none any more."""
    from vtk.util.numpy_support import vtk_to_numpy

    placed = curves[0][1]
    name = f"{placed['level']} {placed['kind']}"
    if any(node.GetNumberOfControlPoints() < 3 for node, _ in curves):
        raise BoneQualityError(
            "The ROI {name} has fewer than 3 points left; add points to its curve, or measure the case anew.", name=name
        )
    ellipse = _ellipse_shown(*curves[0]) if len(curves) == 1 else None
    if ellipse is not None:
        return ellipse
    drawn = [vtk_to_numpy(node.GetCurvePointsWorld().GetData()).astype(float)[:-1] for node, _ in curves]
    center, u, v = _plane_of(np.concatenate(drawn), *(np.array(placed[key]) for key in ("center", "u", "v")), name)
    outlines = tuple((points - center) @ np.stack([u, v], axis=1) for points in drawn)
    return PlanarRoi(placed["level"], placed["kind"], center, u, v, outlines=outlines, thickness=placed["thickness"], edited=True)


def _ellipse_shown(node, placed: dict) -> PlanarRoi | None:
    """The ellipse that handles gave a curve; None where the curve's own points were moved since."""
    kept = placed.get("ellipse")
    if not kept or kept == placed.get("placed_ellipse"):
        return None
    center, u, v = (np.array(kept[name]) for name in ("center", "u", "v"))
    roi = PlanarRoi(
        placed["level"], placed["kind"], center, u, v, tuple(kept["semi_axes"]), thickness=placed["thickness"], edited=True
    )
    return roi if is_shown(roi, node) else None


def is_shown(ellipse: PlanarRoi, curve) -> bool:
    """Whether a curve shows an ellipse, so that none of its own points was moved since."""
    shown, drawn = ellipse.curves(ELLIPSE_POINTS)[0], points_of(curve)
    return shown.shape == drawn.shape and bool(np.abs(shown - drawn).max() < MOVED_MM)


def _plane_of(points: np.ndarray, center: np.ndarray, u: np.ndarray, v: np.ndarray, name: str):
    """The plane in which a curve lies now: a point and two axes; the plane in which it was placed, where it lies there still."""
    middle = points.mean(axis=0)
    normal = np.linalg.svd(points - middle, full_matrices=False)[2][2]
    if np.abs((points - middle) @ normal).max() > FLATNESS_MM:
        raise BoneQualityError(
            "The ROI {name} is not flat any more; move its points within one slice, or measure the case anew.", name=name
        )
    before = np.cross(u, v)
    normal *= np.sign(normal @ before) or 1.0
    if normal @ before < np.cos(np.radians(SAME_PLANE_DEGREES)):
        across = u - (u @ normal) * normal
        u = across / np.linalg.norm(across)
        return middle, u, np.cross(normal, u)
    off = (middle - center) @ before
    return middle - (off if abs(off) < SAME_PLANE_MM else 0.0) * before, u, v
