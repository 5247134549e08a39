"""A measured case in the scene: its tables, its document, its regions and curves, its chart; and what a person moved there.

Every node that is made here carries the case's id and a role. Measuring again fills the same nodes anew, so that views, colors and
visibility stay as a person set them; nodes that are no longer needed go.
"""

from __future__ import annotations

import json
from collections.abc import Container
from dataclasses import asdict

from ..columns import CASE_COLUMNS, LEVEL_COLUMNS, MUSCLE_COLUMNS, SUMMARY_COLUMNS
from ..errors import BoneQualityError
from ..files.writing import json_text, plain
from ..measures.roi import PlanarRoi, RegionRoi
from ..outputs.document import case_rows, level_rows, muscle_rows
from ..outputs.summary import summary_rows
from .case_chart import show_chart
from .case_rois import PLACED_ATTRIBUTE, edited_roi, is_moved, show_curves, show_muscle_pixels, show_regions
from .nodes import table_node
from .session import mrml_scene

CASE_ATTRIBUTE, ROLE_ATTRIBUTE = "BoneQuality.Case", "BoneQuality.Role"
INPUTS_ATTRIBUTE, OWNER_REFERENCE = "BoneQuality.Inputs", "BoneQuality.Owner"


def show_case(result, beside=None) -> None:
    """Put a measured case into the scene, or fill its nodes anew where it is there already.

    result: a CaseResult. beside: the volume node in whose subject hierarchy branch the case's folder goes. Curves that a person
    edited and that were read as edited stay as they are.
    """
    nodes = _Nodes(result.facts.case_id, beside)
    _show_document(nodes, result.document())
    if result.muscles is not None:
        show_muscle_pixels(nodes, result.muscles.slices)
    show_regions(nodes, [roi for roi in result.rois if isinstance(roi, RegionRoi)], beside)
    for roi in result.rois:
        if isinstance(roi, PlanarRoi):
            show_curves(nodes, roi)
    nodes.remove_others()


def _show_document(nodes: _Nodes, document: dict) -> None:
    """The document itself, and what is made from it alone: the tables and the chart."""
    tables = (("levels", LEVEL_COLUMNS, level_rows), ("case", CASE_COLUMNS, case_rows), ("summary", SUMMARY_COLUMNS, summary_rows))
    for role, columns, rows_of in (*tables, ("muscles", MUSCLE_COLUMNS, muscle_rows)):
        if rows := rows_of(document):
            table_node("", columns, rows, nodes.get(role, "vtkMRMLTableNode", f"{nodes.case_id} {role}"))
    nodes.get("document", "vtkMRMLTextNode", f"{nodes.case_id} document").SetText(json_text(document))
    if document["levels"]:
        show_chart(nodes, document)


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
    return {key: edited_roi(curves) for key, curves in _curves(case_id).items() if any(is_moved(*curve) for curve in curves)}


def edited_names(case_id: str) -> list[str]:
    """The ROIs whose curves a person moved or reshaped, as "L3 upper"."""
    return [" ".join(key) for key, curves in _curves(case_id).items() if any(is_moved(*curve) for curve in curves)]


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
        if any(is_moved(*curve) for curve in curves) or places.get(key, {}).get("edited"):
            try:
                now = plain(edited_roi(curves).place())
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
