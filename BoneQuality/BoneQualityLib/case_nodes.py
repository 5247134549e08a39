"""A measured case in the scene: its tables, its document, its regions and curves, its chart; and what a person moved there.

Every node that is made here carries the case's id and a role. Measuring again fills the same nodes anew, so that views, colors and
visibility stay as a person set them; nodes that are no longer needed go.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container
from dataclasses import asdict

import numpy as np

from .document import case_rows, level_rows, muscle_rows, summary_rows
from .errors import BoneQualityError
from .geometry import Mask
from .headless import mrml_scene
from .roi import COLORS, PlanarRoi, RegionRoi, rgb
from .scene import segmentation_node, table_node
from .tables import CASE_COLUMNS, LEVEL_COLUMNS, MUSCLE_COLUMNS, SUMMARY_COLUMNS, Column, json_text, plain

CASE_ATTRIBUTE, ROLE_ATTRIBUTE, PLACED_ATTRIBUTE = "BoneQuality.Case", "BoneQuality.Role", "BoneQuality.Placed"
INPUTS_ATTRIBUTE, OWNER_REFERENCE = "BoneQuality.Inputs", "BoneQuality.Owner"
ELLIPSE_POINTS = 8
#: Outlines are drawn with as few points as keep within this distance of them, mm.
OUTLINE_TOLERANCE_MM = 0.15
#: A curve counts as edited when a point moved farther than a file rounds it, mm.
MOVED_MM = 0.01
#: A curve whose points lie farther than this from one plane is no flat ROI any more, mm.
FLATNESS_MM = 1.0
#: A curve that was moved within its plane, to these limits, keeps that plane exactly.
SAME_PLANE_DEGREES, SAME_PLANE_MM = 1.0, 0.05
PLANE_RIM_MM = 6.0
LINE_COLORS = dict(hu_3d="#1b7837", hu_multislice="#e08214", hu_middle="#2166ac", vbq_single_level="#1b7837")
CUTOFF_COLORS = ("#b2182b", "#762a83", "#7f7f7f", "#01665e", "#8c510a")


def show_case(result, beside=None) -> None:
    """Put a measured case into the scene, or fill its nodes anew where it is there already.

    result: a CaseResult. beside: the volume node in whose subject hierarchy branch the case's folder goes. Curves that a person
    edited and that were read as edited stay as they are.
    """
    nodes = _Nodes(result.facts.case_id, beside)
    _show_document(nodes, result.document())
    if result.muscles is not None:
        _show_muscle_pixels(nodes, result.muscles.slices)
    _show_regions(nodes, [roi for roi in result.rois if isinstance(roi, RegionRoi)], beside)
    for roi in result.rois:
        if isinstance(roi, PlanarRoi):
            _show_curves(nodes, roi)
    nodes.remove_others()


def _show_document(nodes: _Nodes, document: dict) -> None:
    """The document itself, and what is made from it alone: the tables and the chart."""
    tables = (("levels", LEVEL_COLUMNS, level_rows), ("case", CASE_COLUMNS, case_rows), ("summary", SUMMARY_COLUMNS, summary_rows))
    for role, columns, rows_of in (*tables, ("muscles", MUSCLE_COLUMNS, muscle_rows)):
        if rows := rows_of(document):
            table_node("", columns, rows, nodes.get(role, "vtkMRMLTableNode", f"{nodes.case_id} {role}"))
    nodes.get("document", "vtkMRMLTextNode", f"{nodes.case_id} document").SetText(json_text(document))
    if document["levels"]:
        _show_chart(nodes, document)


def rename_case(case_id: str, new_id: str, older: Container[str] = ()) -> None:
    """Give a measured case another id, with its nodes and its folder; edits and what a person set of the nodes stay.

    older: IDs of nodes that are left alone; they are of another case with the same id.
    """
    nodes, hierarchy = nodes_of(case_id, older), _hierarchy()
    document = _with_id(_document_in(nodes), new_id)
    items = [hierarchy.GetItemByDataNode(node) for node in nodes.values()] if hierarchy is not None else []
    parents = {hierarchy.GetItemParent(item) for item in items}
    for folder in (folder for folder in _folders(hierarchy, case_id) if folder in parents):
        hierarchy.SetItemAttribute(folder, CASE_ATTRIBUTE, new_id)
        hierarchy.SetItemName(folder, _folder_name(new_id))
    for node in nodes.values():
        node.SetAttribute(CASE_ATTRIBUTE, new_id)
        if node.GetName().startswith(f"{case_id} "):
            node.SetName(new_id + node.GetName()[len(case_id) :])
    _show_document(_Nodes(new_id, None), document)


def _with_id(part, case_id: str):
    """A document, or a part of it, with another case's id."""
    if isinstance(part, dict):
        return {key: case_id if key == "case_id" else _with_id(value, case_id) for key, value in part.items()}
    return [_with_id(item, case_id) for item in part] if isinstance(part, list) else part


def shown_document(case_id: str) -> dict | None:
    """The document of a case that is in the scene; None where it was not measured."""
    return _document_in(nodes_of(case_id))


def _document_in(nodes: dict[str, object]) -> dict | None:
    node = nodes.get("document")
    return json.loads(node.GetText()) if node is not None and node.GetText() else None


def remember_inputs(case_id: str, inputs: str, owner) -> None:
    """Keep beside a case's values what images and segments they were measured from, and for which of the panel's cases."""
    for document in _documents():
        if document.GetNodeReferenceID(OWNER_REFERENCE) == owner.GetID():
            document.RemoveNodeReferenceIDs(OWNER_REFERENCE)
    document = node_of(case_id, "document")
    document.SetAttribute(INPUTS_ATTRIBUTE, inputs)
    document.SetNodeReferenceID(OWNER_REFERENCE, owner.GetID())


def id_measured_for(owner) -> str | None:
    """The id under which one of the panel's cases was measured; None where it was not."""
    mine = [document for document in _documents() if document.GetNodeReferenceID(OWNER_REFERENCE) == owner.GetID()]
    return mine[0].GetAttribute(CASE_ATTRIBUTE) if mine else None


def is_stale(case_id: str, facts, parameters, inputs: str) -> bool:
    """Whether a measured case would be measured from other images, segments, facts or parameters now.

    inputs: see `remember_inputs`; where nothing is remembered, as for a case measured in the console, they do not count.
    """
    document, measured = shown_document(case_id), node_of(case_id, "document").GetAttribute(INPUTS_ATTRIBUTE)
    now = plain(dict(parameters=asdict(parameters), facts=asdict(facts)))
    return measured not in (None, inputs) or now != {name: document[name] for name in now}


def case_ids() -> list[str]:
    """The cases that are in the scene."""
    return sorted({document.GetAttribute(CASE_ATTRIBUTE) for document in _documents()})


def ids_given_twice(older: Container[str]) -> list[str]:
    """The ids that a case has whose nodes are older, by their IDs, and one whose nodes are not."""
    before, after = (
        {document.GetAttribute(CASE_ATTRIBUTE) for document in _documents() if (document.GetID() in older) == is_older}
        for is_older in (True, False)
    )
    return sorted(before & after)


def _documents() -> list:
    scene = mrml_scene()
    nodes = (scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes()))
    return [node for node in nodes if node.GetAttribute(ROLE_ATTRIBUTE) == "document"]


def nodes_of(case_id: str, older: Container[str] = ()) -> dict[str, object]:
    """The nodes of a case by their role; a copy that a person made of one has the same role, and is left alone.

    older: IDs of nodes that do not count.
    """
    found = {}
    for n in range(mrml_scene().GetNumberOfNodes()):
        node = mrml_scene().GetNthNode(n)
        if node.GetAttribute(CASE_ATTRIBUTE) == case_id and node.GetAttribute(ROLE_ATTRIBUTE) and node.GetID() not in older:
            found.setdefault(node.GetAttribute(ROLE_ATTRIBUTE), node)
    return found


def is_ours(node) -> bool:
    """Whether a node was made here."""
    return bool(node.GetAttribute(CASE_ATTRIBUTE))


def node_of(case_id: str, role: str):
    """One node of a case: "levels", "case" (tables), "document" (text), "regions", "fat", "muscle regions" (segmentations), "chart", or a curve."""
    return nodes_of(case_id).get(role)


def set_visible(case_id: str, visible: bool) -> None:
    """Show or hide every region and curve of a case."""
    for node in nodes_of(case_id).values():
        if node.IsA("vtkMRMLDisplayableNode"):
            node.SetDisplayVisibility(visible)


def are_visible(case_id: str) -> bool:
    """Whether any region or curve of a case is shown."""
    return any(node.IsA("vtkMRMLDisplayableNode") and node.GetDisplayVisibility() for node in nodes_of(case_id).values())


def edited_rois(case_id: str) -> dict[tuple[str, str], PlanarRoi]:
    """The ROIs whose curves a person moved or reshaped, by level and kind, as they lie now.

    Raises BoneQualityError for a curve that is not flat any more.
    """
    return {key: _edited_roi(curves) for key, curves in _curves(case_id).items() if any(_is_moved(*curve) for curve in curves)}


def edited_names(case_id: str) -> list[str]:
    """The ROIs whose curves a person moved or reshaped, as "L3 upper"."""
    return [" ".join(key) for key, curves in _curves(case_id).items() if any(_is_moved(*curve) for curve in curves)]


def curve_nodes(case_id: str) -> list:
    """The curves of a case that a person may edit."""
    return [node for node in nodes_of(case_id).values() if node.GetAttribute(PLACED_ATTRIBUTE)]


def _curves(case_id: str) -> dict[tuple[str, str], list]:
    """The curves of every ROI with where they were placed, by level and kind."""
    groups: dict[tuple[str, str], list] = {}
    for node in curve_nodes(case_id):
        placed = json.loads(node.GetAttribute(PLACED_ATTRIBUTE))
        groups.setdefault((placed["level"], placed["kind"]), []).append((node, placed))
    return groups


def unread_edits(case_id: str) -> list[str]:
    """The ROIs that were edited since the values of a case were read, as "L3 upper"; one that is not flat, or gone, counts too."""
    document, edited = shown_document(case_id), []
    if document is None:
        return []
    places = {(roi["level"], roi["kind"]): roi for level in document["levels"] for roi in level["rois"]}
    places |= {(level, "csf"): csf["roi"] for level, csf in document["csf"].items() if csf["roi"]}
    places |= {(roi["level"], roi["kind"]): roi for slice in document["muscle_slices"] for roi in slice["rois"]}
    there = _curves(case_id)
    for key, curves in there.items():
        if any(_is_moved(*curve) for curve in curves) or places.get(key, {}).get("edited"):
            try:
                now = plain(_edited_roi(curves).place())
            except BoneQualityError:
                now = None
            if now != places.get(key):
                edited.append(" ".join(key))
    return edited + [" ".join(key) for key, place in places.items() if place.get("edited") and key not in there]


class _Nodes:
    """The nodes of one case, by role: those that are there are taken again, others are made; the rest can go."""

    def __init__(self, case_id: str, beside):
        self.case_id, self.beside, self.known, self.used = case_id, beside, nodes_of(case_id), set()

    def get(self, role: str, node_class: str, name: str):
        self.used.add(role)
        node = self.known.get(role)
        if node is None:
            node = mrml_scene().AddNewNodeByClass(node_class, name)
            node.SetAttribute(CASE_ATTRIBUTE, self.case_id)
            node.SetAttribute(ROLE_ATTRIBUTE, role)
            if node.IsA("vtkMRMLDisplayableNode"):
                node.CreateDefaultDisplayNodes()
            if node.IsA("vtkMRMLTableNode"):
                node.SetLocked(True)
            self._put_into_folder(node)
        return node

    def has(self, role: str) -> bool:
        return role in self.known

    def remove_others(self) -> None:
        for role, node in self.known.items():
            if role not in self.used:
                mrml_scene().RemoveNode(node)

    def _put_into_folder(self, node) -> None:
        hierarchy = _hierarchy()
        if hierarchy is not None:
            hierarchy.CreateItem(self._folder(hierarchy), node)

    def _folder(self, hierarchy) -> int:
        for folder in _folders(hierarchy, self.case_id):
            return folder
        volume = hierarchy.GetItemByDataNode(self.beside) if self.beside is not None else hierarchy.GetInvalidItemID()
        parent = hierarchy.GetItemParent(volume) if volume != hierarchy.GetInvalidItemID() else hierarchy.GetSceneItemID()
        folder = hierarchy.CreateFolderItem(parent, _folder_name(self.case_id))
        hierarchy.SetItemAttribute(folder, CASE_ATTRIBUTE, self.case_id)
        return folder


def _hierarchy():
    """The subject hierarchy of the scene, where there is one."""
    import slicer

    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(mrml_scene())


def _folders(hierarchy, case_id: str) -> list[int]:
    """The folder of a case, where it is there."""
    import vtk

    every = vtk.vtkIdList()
    if hierarchy is not None:
        hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), every, True)
    items = [every.GetId(n) for n in range(every.GetNumberOfIds())]
    return [item for item in items if hierarchy.GetItemAttribute(item, CASE_ATTRIBUTE) == case_id]


def _folder_name(case_id: str) -> str:
    return f"Bone quality {case_id}"


# Regions and curves


def _show_regions(nodes: _Nodes, rois: list[RegionRoi], volume) -> None:
    if not rois:
        return
    masks = [Mask(f"{roi.level} {roi.kind}", roi.weights >= 0.5, roi.grid) for roi in rois]
    is_new = not nodes.has("regions")
    node = _fill_segments(nodes, "regions", "regions", [mask for mask in masks if mask.array.any()])
    for roi in rois:
        segment = node.GetSegmentation().GetSegment(f"{roi.level}_{roi.kind}")
        if segment is not None:
            segment.SetColor(*_color(roi.kind))
    if volume is not None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.CreateClosedSurfaceRepresentation()
    if is_new and node.GetDisplayNode() is not None:
        node.GetDisplayNode().SetOpacity2DFill(0.25)
        node.GetDisplayNode().SetOpacity3D(0.5)


def _fill_segments(nodes: _Nodes, role: str, name: str, masks: list[Mask]):
    """A segmentation node with these segments, of which those stay hidden that a person has hidden."""
    node = nodes.get(role, "vtkMRMLSegmentationNode", name)
    display, segmentation = node.GetDisplayNode(), node.GetSegmentation()
    before = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
    hidden = [identifier for identifier in before if display is not None and not display.GetSegmentVisibility(identifier)]
    segmentation_node("", masks, node)
    for identifier in hidden:
        display.SetSegmentVisibility(identifier, False)
    return node


def _show_muscle_pixels(nodes: _Nodes, slices: list) -> None:
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


def _show_pixels(nodes: _Nodes, role: str, name: str, masks: dict[str, list[Mask]], kind: Callable[[str], str]) -> None:
    """A segmentation with a segment for every name; it is shown in the slices alone, regions as outlines, fat as a filled overlay."""
    if not masks:
        return
    is_new = not nodes.has(role)
    node = _fill_segments(nodes, role, name, [_stacked(each, parts) for each, parts in masks.items()])
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


def _show_curves(nodes: _Nodes, roi: PlanarRoi) -> None:
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
        placed = dict(level=roi.level, kind=roi.kind, center=roi.center, u=roi.u, v=roi.v, thickness=roi.thickness)
        placed["points"] = [] if roi.edited else points
        node.SetAttribute(
            PLACED_ATTRIBUTE, json.dumps({k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in placed.items()})
        )
    across = np.concatenate(outlines) - roi.center
    right, up = (float(np.abs(across @ axis).max()) + PLANE_RIM_MM for axis in (roi.u, roi.v))
    frame = np.array([[-1, -1], [0, -1], [1, -1], [1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0]]) * [right, up]
    plane = _curve(nodes, f"{roi.level} {roi.kind} slice", roi.center + frame @ np.stack([roi.u, roi.v]), roi.kind, is_spline=False)
    plane.SetLocked(True)


def _curve(nodes: _Nodes, role: str, points: np.ndarray, kind: str, is_spline: bool):
    is_new = not nodes.has(role)
    node = nodes.get(role, "vtkMRMLMarkupsClosedCurveNode", role)
    node.RemoveAllControlPoints()
    node.SetCurveTypeToCardinalSpline() if is_spline else node.SetCurveTypeToLinear()
    for point in points:
        node.AddControlPointWorld(*(float(x) for x in point))
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


# What a person edited


def _points(node) -> np.ndarray:
    return np.array([node.GetNthControlPointPositionWorld(n) for n in range(node.GetNumberOfControlPoints())]).reshape(-1, 3)


def _is_moved(node, placed: dict) -> bool:
    points, before = _points(node), np.array(placed["points"]).reshape(-1, 3)
    return len(points) != len(before) or bool((np.abs(points - before) > MOVED_MM).any())


def _edited_roi(curves: list) -> PlanarRoi:
    from vtk.util.numpy_support import vtk_to_numpy

    placed = curves[0][1]
    name = f"{placed['level']} {placed['kind']}"
    if any(node.GetNumberOfControlPoints() < 3 for node, _ in curves):
        raise BoneQualityError(f"The ROI {name} has fewer than 3 points left; add points to its curve, or measure the case anew.")
    drawn = [vtk_to_numpy(node.GetCurvePointsWorld().GetData()).astype(float)[:-1] for node, _ in curves]
    center, u, v = _plane_of(np.concatenate(drawn), *(np.array(placed[key]) for key in ("center", "u", "v")), name)
    outlines = tuple((points - center) @ np.stack([u, v], axis=1) for points in drawn)
    return PlanarRoi(placed["level"], placed["kind"], center, u, v, outlines=outlines, thickness=placed["thickness"], edited=True)


def _plane_of(points: np.ndarray, center: np.ndarray, u: np.ndarray, v: np.ndarray, name: str):
    """The plane in which a curve lies now: a point and two axes; the plane in which it was placed, where it lies there still."""
    middle = points.mean(axis=0)
    normal = np.linalg.svd(points - middle, full_matrices=False)[2][2]
    if np.abs((points - middle) @ normal).max() > FLATNESS_MM:
        raise BoneQualityError(f"The ROI {name} is not flat any more; move its points within one slice, or measure the case anew.")
    before = np.cross(u, v)
    normal *= np.sign(normal @ before) or 1.0
    if normal @ before < np.cos(np.radians(SAME_PLANE_DEGREES)):
        across = u - (u @ normal) * normal
        u = across / np.linalg.norm(across)
        return middle, u, np.cross(normal, u)
    off = (middle - center) @ before
    return middle - (off if abs(off) < SAME_PLANE_MM else 0.0) * before, u, v


# The chart


def _show_chart(nodes: _Nodes, document: dict) -> None:
    """HU by level with the published cut-offs as lines; without a CT, single-level VBQ."""
    has_ct = any(row.get("hu_3d") is not None for row in document["levels"])
    measures = ("hu_3d", "hu_multislice", "hu_middle") if has_ct else ("vbq_single_level",)
    columns = [Column("position", "Position", decimals=0), *(c for c in LEVEL_COLUMNS if c.name in ("level", *measures))]
    rows = [dict(row, position=n) for n, row in enumerate(document["levels"], 1) if any(row.get(m) is not None for m in measures)]
    lines = []
    for n, cutoff in enumerate(document["cutoffs"]):
        if cutoff["measure"].startswith("hu" if has_ct else "vbq"):
            title = f"{cutoff['comparison']} {cutoff['cutoff']:g} {cutoff['purpose']}, {cutoff['source']}"
            lines.append(Column(f"cutoff_{n}", title, decimals=3))
            for row in rows:
                row[f"cutoff_{n}"] = cutoff["cutoff"]
    table = table_node(
        "", [*columns, *lines], rows, nodes.get("chart table", "vtkMRMLTableNode", f"{document['case_id']} chart table")
    )
    chart = nodes.get("chart", "vtkMRMLPlotChartNode", f"{document['case_id']} chart")
    chart.RemoveAllPlotSeriesNodeIDs()
    for column in [c for c in columns if c.name in measures] + lines:
        role = f"series {column.name}"
        is_new = not nodes.has(role)
        series = nodes.get(role, "vtkMRMLPlotSeriesNode", column.title)
        _show_series(series, table, column, is_cutoff=column in lines)
        if is_new:
            series.SetColor(*rgb(LINE_COLORS.get(column.name, CUTOFF_COLORS[len(nodes.used) % len(CUTOFF_COLORS)])))
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle(f"{document['case_id']}: {'HU' if has_ct else 'VBQ'} by level")
    chart.SetXAxisTitle("  ".join(f"{row['position']} = {row['level']}" for row in rows))
    chart.SetYAxisTitle("HU" if has_ct else "VBQ")


def _show_series(series, table, column: Column, is_cutoff: bool) -> None:
    series.SetName(column.title)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetPlotType(series.PlotTypeScatter)
    series.SetXColumnName("position")
    series.SetYColumnName(column.name)
    series.SetLabelColumnName("level")
    series.SetLineStyle(series.LineStyleDash if is_cutoff else series.LineStyleSolid)
    series.SetMarkerStyle(series.MarkerStyleNone if is_cutoff else series.MarkerStyleCircle)
