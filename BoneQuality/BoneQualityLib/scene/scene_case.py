"""A measured case in the scene: its tables, its document, its regions and curves, its chart; and what a person moved there."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable
from dataclasses import asdict
from functools import cached_property

from ..columns import CASE_COLUMNS, LEVEL_COLUMNS, MUSCLE_COLUMNS, SUMMARY_COLUMNS
from ..errors import BoneQualityError, Sentence
from ..files.writing import json_text, plain
from ..measures.roi import PlanarRoi, RegionRoi
from ..outputs.document import case_rows, level_rows, muscle_rows
from ..outputs.summary import summary_rows
from ..parameters import DISCS
from .case_chart import show_chart
from .case_nodes import (
    CASE_ATTRIBUTE,
    OWNER_REFERENCE,
    ROLE_ATTRIBUTE,
    CaseNodes,
    documents,
    folder_name,
    folders,
    hierarchy_node,
    id_measured_for,
    is_ours,
    nodes_of,
)
from .case_rois import (
    PLACED_ATTRIBUTE,
    edited_roi,
    is_moved,
    show_curves,
    show_muscle_pixels,
    show_regions,
)
from .ellipse_handles import reset
from .nodes import table_node
from .session import every_node, many_nodes, mrml_scene, still_views

INPUTS_ATTRIBUTE, SENTENCES_ATTRIBUTE = "BoneQuality.Inputs", "BoneQuality.Sentences"
#: What was visible of a case that is put aside.
ASIDE_ATTRIBUTE = "BoneQuality.Aside"
Key = tuple[str, str]  # level and kind of a ROI


def show_case(
    document: dict,
    rois: Iterable[PlanarRoi | RegionRoi],
    muscle_slices: Iterable = (),
    beside=None,
    progress: Callable[[float, str], None] = lambda share, text: None,
) -> SceneCase:
    """Put a measured case into the scene, or fill its nodes anew where it is there already; returns it.

    document, rois: of the case. muscle_slices: the axial slices whose pixels are shown. beside: the volume node in whose subject
    hierarchy branch the case's folder goes. Curves that a person edited and that were read as edited stay as they are. Views are
    rendered once, at the end. progress: called with the share done; an exception from it leaves a case half shown.
    """
    rois = list(rois)
    planar = [roi for roi in rois if isinstance(roi, PlanarRoi)]
    with many_nodes():
        nodes = CaseNodes(document["case_id"], beside)
        _show_document(nodes, document)
        if muscle_slices:
            show_muscle_pixels(nodes, list(muscle_slices))
        progress(0.2, "showing regions")
        show_regions(nodes, [roi for roi in rois if isinstance(roi, RegionRoi)], beside)
        for n, roi in enumerate(planar):
            progress(0.5 + 0.5 * n / len(planar), "showing curves")
            show_curves(nodes, roi)
        nodes.remove_others()
    return SceneCase(document["case_id"])


def _show_document(nodes: CaseNodes, document: dict) -> None:
    """The document itself, and what is made from it alone: the tables and the chart."""
    tables = (("levels", LEVEL_COLUMNS, level_rows), ("case", CASE_COLUMNS, case_rows), ("summary", SUMMARY_COLUMNS, summary_rows))
    for role, columns, rows_of in (*tables, ("muscles", MUSCLE_COLUMNS, muscle_rows)):
        if rows := rows_of(document):
            table_node("", columns, rows, nodes.get(role, "vtkMRMLTableNode", f"{nodes.case_id} {role}"))
    text = nodes.get("document", "vtkMRMLTextNode", f"{nodes.case_id} document")
    text.SetText(json_text(document))
    text.SetAttribute(SENTENCES_ATTRIBUTE, json.dumps(_sentences_of(document), default=float))
    if document["levels"]:
        show_chart(nodes, document)


class SceneCase:
    """A case as it lies in the scene at one moment; its document is parsed once. Look for it again after the scene changed.

    Example::

        case = SceneCase("case-7")
        if case.is_measured:
            print(case.document["case"]["hu_3d"], case.edited_names())
    """

    def __init__(self, case_id: str, older: Container[str] = ()):
        """older: IDs of nodes that do not count; they are of another case with the same id."""
        self.case_id, self.nodes = case_id, nodes_of(case_id, older)

    @classmethod
    def owned_by(cls, owner) -> SceneCase | None:
        """The case that was measured for one of the panel's cases; None where it was not."""
        case_id = id_measured_for(owner)
        return cls(case_id) if case_id else None

    @property
    def is_measured(self) -> bool:
        return self.document is not None

    @cached_property
    def document(self) -> dict | None:
        """The document of the case; None where it was not measured."""
        node = self.nodes.get("document")
        if node is None or not node.GetText():
            return None
        return _with_sentences(json.loads(node.GetText()), json.loads(node.GetAttribute(SENTENCES_ATTRIBUTE) or "{}"))

    def node(self, role: str):
        """One node of the case: "levels", "case" (tables), "document" (text), "regions", "fat", "muscle regions" (segmentations),
        "chart", or a curve, such as "L3 upper"; None where it is not there."""
        return self.nodes.get(role)

    # Who measured it, and from what

    def remember_inputs(self, inputs: str, owner) -> None:
        """Keep beside the values what images and segments they were measured from, and for which of the panel's cases."""
        for document in documents():
            if document.GetNodeReferenceID(OWNER_REFERENCE) == owner.GetID():
                document.RemoveNodeReferenceIDs(OWNER_REFERENCE)
        self.nodes["document"].SetAttribute(INPUTS_ATTRIBUTE, inputs)
        self.nodes["document"].SetNodeReferenceID(OWNER_REFERENCE, owner.GetID())

    def is_stale(self, facts, parameters, inputs: str) -> bool:
        """Whether the case would be measured from other images, segments, facts or parameters now.

        inputs: see `remember_inputs`; where nothing is remembered, as for a case measured in the console, they do not count.
        """
        measured = self.nodes["document"].GetAttribute(INPUTS_ATTRIBUTE)
        now = plain(dict(parameters=asdict(parameters), facts=asdict(facts)))
        return measured not in (None, inputs) or now != {name: self.document[name] for name in now}

    def rename(self, new_id: str) -> SceneCase:
        """Give the case another id, with its nodes and its folder; edits and what a person set of the nodes stay."""
        hierarchy, document = hierarchy_node(), _with_id(self.document, new_id)
        items = [hierarchy.GetItemByDataNode(node) for node in self.nodes.values()] if hierarchy is not None else []
        parents = {hierarchy.GetItemParent(item) for item in items}
        for folder in (folder for folder in folders(hierarchy, self.case_id) if folder in parents):
            hierarchy.SetItemAttribute(folder, CASE_ATTRIBUTE, new_id)
            hierarchy.SetItemName(folder, folder_name(new_id))
        for node in self.nodes.values():
            node.SetAttribute(CASE_ATTRIBUTE, new_id)
            if node.GetName().startswith(f"{self.case_id} "):
                node.SetName(new_id + node.GetName()[len(self.case_id) :])
        _show_document(CaseNodes(new_id, known=self.nodes), document)
        return SceneCase(new_id)

    def remove(self) -> None:
        """Remove the case's nodes and its folder."""
        hierarchy = hierarchy_node()
        mine = folders(hierarchy, self.case_id)
        with many_nodes():
            for node in self.nodes.values():
                mrml_scene().RemoveNode(node)
        for folder in mine:
            hierarchy.RemoveItem(folder)

    # Seen or not

    def set_visible(self, visible: bool) -> None:
        """Show or hide every region and curve."""
        with still_views():
            for node in self._displayable():
                node.SetDisplayVisibility(visible)

    def is_visible(self) -> bool:
        """Whether any region or curve is shown."""
        return any(node.GetDisplayVisibility() for node in self._displayable())

    def set_shown(self, shown: bool) -> None:
        """Put a case aside, hidden and locked, or take it up again as it was when it was put aside."""
        document = self.nodes.get("document")
        aside = document.GetAttribute(ASIDE_ATTRIBUTE) if document is not None else None
        if document is None or shown == (aside is None):
            return
        with still_views():
            if shown:
                for role in json.loads(aside):
                    if role in self.nodes:
                        self.nodes[role].SetDisplayVisibility(True)
            else:
                visible = [role for role, node in self.nodes.items() if node in self._displayable() and node.GetDisplayVisibility()]
                self.set_visible(False)
            for curve in self.curve_nodes():
                curve.SetLocked(not shown)
        document.RemoveAttribute(ASIDE_ATTRIBUTE) if shown else document.SetAttribute(ASIDE_ATTRIBUTE, json.dumps(visible))

    def show_only(self, level: str) -> None:
        """Show the regions and curves of one level alone, regions as outlines; their frames only in 3-D."""
        for role, node in self.nodes.items():
            if node.IsA("vtkMRMLMarkupsNode"):
                node.SetDisplayVisibility(role.startswith(f"{level} "))
            elif node.IsA("vtkMRMLSegmentationNode"):
                node.SetDisplayVisibility(True)
                display, segmentation = node.GetDisplayNode(), node.GetSegmentation()
                display.SetVisibility2DFill(False)
                display.SetVisibility2DOutline(True)
                for n in range(segmentation.GetNumberOfSegments()):
                    mine = segmentation.GetNthSegment(n).GetName().startswith(f"{level} ")
                    display.SetSegmentVisibility(segmentation.GetNthSegmentID(n), mine)

    def show_in(self, views: Iterable) -> None:
        """Show regions and curves in these view nodes alone; in all views where there are none."""
        for node in self._displayable():
            node.GetDisplayNode().SetViewNodeIDs([view.GetID() for view in views])

    def _displayable(self) -> list:
        return [node for node in self.nodes.values() if node.IsA("vtkMRMLDisplayableNode")]

    # What a person edited

    def curve_nodes(self) -> list:
        """The curves that a person may edit."""
        return [node for node in self.nodes.values() if node.GetAttribute(PLACED_ATTRIBUTE)]

    def put_back(self, key: Key) -> None:
        """Put a ROI back to where it was placed; one that a person drew, or cut, goes, so that it is placed when it is read again."""
        curves = self._curves().get(key, [])
        is_known = [reset(node) for node, _placed in curves]
        if _is_cut(curves) or not all(is_known):
            for node, _placed in curves:
                mrml_scene().RemoveNode(node)

    def edited_rois(self) -> dict[Key, PlanarRoi]:
        """The ROIs whose curves a person moved or reshaped, by level and kind, as they lie now.

        Raises BoneQualityError for a curve that is not flat any more.
        """
        return {key: self.edited_roi(key) for key in self.edited_keys()}

    def edited_roi(self, key: Key) -> PlanarRoi:
        """One ROI as its curves lie now; raises BoneQualityError for a curve that is not flat any more."""
        return edited_roi(self._curves()[key])

    def edited_keys(self) -> list[Key]:
        """Level and kind of the ROIs whose curves a person moved or reshaped."""
        return [key for key, curves in self._curves().items() if _is_edited(curves)]

    def edited_names(self) -> list[str]:
        """The ROIs whose curves a person moved or reshaped, as "L3 upper"."""
        return [" ".join(key) for key in self.edited_keys()]

    def _curves(self) -> dict[Key, list]:
        """The curves of every ROI with where they were placed, by level and kind."""
        groups: dict[Key, list] = {}
        for node in self.curve_nodes():
            placed = json.loads(node.GetAttribute(PLACED_ATTRIBUTE))
            groups.setdefault((placed["level"], placed["kind"]), []).append((node, placed))
        return groups

    def unread_edits(self) -> list[str]:
        """The ROIs that were edited or deleted since the values were read, as "L3 upper"; one that is not flat any more counts too."""
        edited = []
        if self.document is None:
            return []
        places, there = _places_of_curves(self.document), self._curves()
        for key, curves in there.items():
            if _is_edited(curves) or places.get(key, {}).get("edited"):
                try:
                    now = plain(edited_roi(curves).place())
                except BoneQualityError:
                    now = None
                if now != places.get(key):
                    edited.append(" ".join(key))
        return edited + [" ".join(key) for key in places if key not in there]


def _is_edited(curves: list) -> bool:
    """Whether a person moved, reshaped or deleted any of a ROI's curves, but not all of them."""
    return _is_cut(curves) or any(is_moved(*curve) for curve in curves)


def _is_cut(curves: list) -> bool:
    """Whether a ROI of several outlines has fewer curves than it was placed with."""
    return any(placed.get("outlines", 1) > len(curves) for _node, placed in curves)


def show_alone(case_id: str) -> None:
    """Put every other case of the scene aside, in views of charts and tables too, and take this one up again."""
    with many_nodes():  # each change of a node alone would have every displayed node looked through
        for document in documents():
            other, is_aside = document.GetAttribute(CASE_ATTRIBUTE), document.GetAttribute(ASIDE_ATTRIBUTE) is not None
            if is_aside == (other == case_id):
                SceneCase(other).set_shown(other == case_id)
    mine = nodes_of(case_id)
    for view in every_node("vtkMRMLPlotViewNode"):
        _follow(view.GetPlotChartNode(), view.SetPlotChartNodeID, mine)
    for view in every_node("vtkMRMLTableViewNode"):
        _follow(view.GetTableNode(), view.SetTableNodeID, mine)


def _follow(shown, show: Callable, mine: dict[str, object]) -> None:
    """Show this case's chart or table in place of another case's, and nothing where it has none."""
    if shown is not None and is_ours(shown) and shown not in mine.values():
        own = mine.get(shown.GetAttribute(ROLE_ATTRIBUTE))
        show(own.GetID() if own is not None else None)


def _places_of_curves(document: dict) -> dict[Key, dict]:
    """The places of the ROIs of a document that are shown as curves, by level and kind: no regions, and muscles at discs alone."""
    rois = [roi for level in document["levels"] for roi in level["rois"]] + [csf["roi"] for csf in document["csf"].values() if csf["roi"]]
    rois += [roi for slice in document["muscle_slices"] for roi in slice["rois"] if slice["name"] in DISCS]
    return {(roi["level"], roi["kind"]): roi for roi in rois if roi["shape"] != "region"}


def _sentences_of(document: dict) -> dict[str, list]:
    """What reasons and flags say with values filled in, by the text: JSON has the text alone, a translator needs the template."""
    said = [*document["reasons"], *(flag["about"] for flag in document["flags"])]
    return {sentence: sentence.parts() for sentence in said if isinstance(sentence, Sentence) and sentence.values}


def _with_sentences(document: dict, known: dict[str, list]) -> dict:
    def again(text: str) -> str:
        return Sentence.of_parts(known[text]) if text in known else text

    flags = [dict(flag, about=again(flag["about"])) for flag in document["flags"]]
    return dict(document, reasons=[again(reason) for reason in document["reasons"]], flags=flags)


def _with_id(part, case_id: str):
    """A document, or a part of it, with another case's id."""
    if isinstance(part, dict):
        return {key: case_id if key == "case_id" else _with_id(value, case_id) for key, value in part.items()}
    return [_with_id(item, case_id) for item in part] if isinstance(part, list) else part
