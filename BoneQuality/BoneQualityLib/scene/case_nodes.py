"""The nodes of measured cases: which there are, whose they are, and where new ones go.

Every node that shows a case carries the case's id and a role. Measuring again fills the same nodes anew, so that views, colors and
visibility stay as a person set them; nodes that are no longer needed go.
"""

from __future__ import annotations

from collections.abc import Container
from functools import cached_property

from .session import every_node, mrml_scene

CASE_ATTRIBUTE, ROLE_ATTRIBUTE = "BoneQuality.Case", "BoneQuality.Role"
OWNER_REFERENCE = "BoneQuality.Owner"


def is_ours(node) -> bool:
    """Whether a node shows a measured case."""
    return bool(node.GetAttribute(CASE_ATTRIBUTE))


def documents() -> list:
    """The text node of every measured case."""
    return [node for node in every_node("vtkMRMLTextNode") if node.GetAttribute(ROLE_ATTRIBUTE) == "document"]


def case_ids() -> list[str]:
    """The cases that are in the scene."""
    return sorted({document.GetAttribute(CASE_ATTRIBUTE) for document in documents()})


def ids_given_twice(older: Container[str]) -> list[str]:
    """The ids that a case has whose nodes are older, by their IDs, and one whose nodes are not."""
    before, after = (
        {document.GetAttribute(CASE_ATTRIBUTE) for document in documents() if (document.GetID() in older) == is_older}
        for is_older in (True, False)
    )
    return sorted(before & after)


def id_measured_for(owner) -> str | None:
    """The id under which one of the panel's cases was measured; None where it was not."""
    return ids_measured().get(owner.GetID())


def ids_measured() -> dict[str, str]:
    """The id under which each of the panel's cases was measured, by the ID of its node."""
    found = {}
    for document in documents():
        found.setdefault(document.GetNodeReferenceID(OWNER_REFERENCE), document.GetAttribute(CASE_ATTRIBUTE))
    return found


def nodes_of(case_id: str, older: Container[str] = ()) -> dict[str, object]:
    """The nodes of a case by their role; a copy that a person made of one has the same role, and is left alone.

    older: IDs of nodes that do not count.
    """
    found = {}
    for node in every_node():
        if node.GetAttribute(CASE_ATTRIBUTE) == case_id and node.GetAttribute(ROLE_ATTRIBUTE) and node.GetID() not in older:
            found.setdefault(node.GetAttribute(ROLE_ATTRIBUTE), node)
    return found


class CaseNodes:
    """The nodes of one case, by role: those that are there are taken again, others are made; the rest can go."""

    def __init__(self, case_id: str, beside=None, known: dict[str, object] | None = None):
        self.case_id, self.beside, self.used = case_id, beside, set()
        self.known = nodes_of(case_id) if known is None else known

    def get(self, role: str, node_class: str, name: str):
        """The node with this role; a new one lies in the case's folder."""
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
        """Whether a node with this role was there before."""
        return role in self.known

    def remove_others(self) -> None:
        """Remove the nodes that were not asked for."""
        for role, node in self.known.items():
            if role not in self.used:
                mrml_scene().RemoveNode(node)

    def _put_into_folder(self, node) -> None:
        hierarchy = hierarchy_node()
        if hierarchy is not None:
            hierarchy.CreateItem(self._folder, node)

    @cached_property
    def _folder(self) -> int:
        hierarchy = hierarchy_node()
        for folder in folders(hierarchy, self.case_id):
            return folder
        volume = hierarchy.GetItemByDataNode(self.beside) if self.beside is not None else hierarchy.GetInvalidItemID()
        parent = hierarchy.GetItemParent(volume) if volume != hierarchy.GetInvalidItemID() else hierarchy.GetSceneItemID()
        folder = hierarchy.CreateFolderItem(parent, folder_name(self.case_id))
        hierarchy.SetItemAttribute(folder, CASE_ATTRIBUTE, self.case_id)
        return folder


def hierarchy_node():
    """The subject hierarchy of the scene, where there is one."""
    import slicer

    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(mrml_scene())


def folders(hierarchy, case_id: str) -> list[int]:
    """The folder of a case, where it is there."""
    import vtk

    every = vtk.vtkIdList()
    if hierarchy is not None:
        hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), every, True)
    items = [every.GetId(n) for n in range(every.GetNumberOfIds())]
    return [item for item in items if hierarchy.GetItemAttribute(item, CASE_ATTRIBUTE) == case_id]


def folder_name(case_id: str) -> str:
    """What the folder of a case is called."""
    return f"Bone quality {case_id}"
