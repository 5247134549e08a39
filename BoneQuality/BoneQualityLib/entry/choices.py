"""What a person picks before measuring: images, segmentations, and which segment shows which structure; and what is missing still.

The first choice is made here, so that nothing is picked by hand that the scene says already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields

from ..anatomy.segments import MEASURED_KINDS, Identified, assign, settle
from ..anatomy.structure import Segment, Structure
from ..anatomy.vocabulary import JOINED, MUSCLES, SIDES, kind_of
from ..case.likely_input import likely_input
from ..errors import BoneQualityError
from ..parameters import CASE_DISCS, DISCS, LEVELS, CaseFacts
from ..scene.arrays import image_of, placed_by
from ..scene.masks import Segmentation, named_segments, reference_volume, same_lattice, scheme_of, takes_scheme
from .missing import TITLES, faults_of
from .settings import types_of, value_of

ALWAYS_SHOWN = ("L1", "L2", "L3", "L4", "L5")
ALL_MUSCLES = tuple(kind_of(muscle, side) for muscle in MUSCLES for side in SIDES)
JOINED_MUSCLES = tuple(kind_of(muscle, side) for muscle in JOINED for side in SIDES)
AROUND = ("thecal sac", "CSF L2", "CSF L3", "CSF L4", "spinal cord")
#: What a structure is called where it is chosen, by its kind.
_CALLED = dict(
    vertebra="{level}", disc="disc {level}", csf="CSF {level}", sac="thecal sac", cord="spinal cord", bodies="vertebral bodies",
    exclude="exclude {level}", discs="discs", rib="{side} rib {level}",
)  # fmt: skip


@dataclass(frozen=True)
class Role:
    """An image of a case: its name in `measure_case`, its title, and what its segmentation has to show, "levels" or "muscles"."""

    name: str
    title: str
    shows: str = "levels"


SPINE_ROLES = (Role("ct", "CT"), Role("t1", "T1 MRI"))
MUSCLE_ROLE = Role("axial_mr", "axial MRI", "muscles")
ROLES = (*SPINE_ROLES, MUSCLE_ROLE)
_EVERY_KIND = frozenset().union(*MEASURED_KINDS.values())


@dataclass(frozen=True)
class Picked:
    """What a person picked for one image of a case.

    segments: structure by segment identifier where a person chose it, "" for none; scheme: that of a label map. others: further
    images by their name in `measure_case`, of which one may stand in for the volume. more_volumes: further stacks of axial slices;
    more_segmentations: further ones whose segments go by terminology and name, such as the sac beside the bodies.
    """

    role: Role
    volume: object = None
    segmentation: object = None
    segments: dict[str, str] = field(default_factory=dict)
    scheme: str = ""
    others: dict[str, object] = field(default_factory=dict)
    more_volumes: tuple = ()
    more_segmentations: tuple = ()

    @property
    def volumes(self) -> list:
        """The volume and further stacks."""
        return [node for node in (self.volume, *self.more_volumes) if node is not None]

    @property
    def segmentations(self) -> list:
        return [node for node in (self.segmentation, *self.more_segmentations) if node is not None]

    def counts(self) -> dict[str, int]:
        """How many inputs there are of each, by their names in `measure_case`."""
        others = {name: int(node is not None) for name, node in self.others.items()}
        return {self.role.name: len(self.volumes), f"{self.role.name}_segmentation": len(self.segmentations), **others}

    @property
    def image(self):
        """The volume to look at."""
        return next((node for node in (self.volume, *self.others.values()) if node is not None), None)

    @property
    def is_empty(self) -> bool:
        return not any(self.counts().values())

    def inputs(self) -> dict:
        """The arguments of `measure_case`."""
        if not self.segmentations:
            return {}
        chosen = [segmentation_input(self.segmentation, self.segments, self.scheme)] if self.segmentation is not None else []
        masks = [*chosen, *self.more_segmentations]
        volume = self.volumes if self.more_volumes else self.volume
        return {self.role.name: volume, f"{self.role.name}_segmentation": masks, **self.others}

    def identity(self) -> list:
        """Which nodes and segments these are, to know them again."""
        nodes = (self.volume, self.segmentation, *self.others.values(), *self.more_volumes, *self.more_segmentations)
        return [[node and node.GetID() for node in nodes], self.segments, self.scheme]

    def contents(self, found: Found, checksums: Callable) -> list:
        """What the images and the segments that show a structure hold, as numbers that are others where anything was changed.

        found: what the segmentation holds. checksums: those of a node, see `scene.checksums`.
        """
        nodes = (self.volume, *self.others.values(), *self.more_volumes, *self.more_segmentations)
        images = [node and [checksums(node), placed_by(node)] for node in nodes]
        masks = checksums(self.segmentation) if found.shows else {}
        shown = {structure: masks[identifier] for structure, identifier in found.shows.items()}
        return [images, shown, placed_by(self.segmentation) if shown else None]


@dataclass(frozen=True)
class Found:
    """What a segmentation holds.

    segments: the name of every segment, by identifier. shows: the identifier of the segment that shows a structure, by the
    structure's name. faults: what is not clear among the structures that would be measured, a sentence each; ignored: likewise
    among the others, which are left out.
    """

    segments: dict[str, str] = field(default_factory=dict)
    shows: dict[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def levels(self) -> list[str]:
        return [level for level in LEVELS if level in self.shows]

    @property
    def muscles(self) -> list[str]:
        return [name for name in (*ALL_MUSCLES, *JOINED_MUSCLES) if name in self.shows]


def called(structure: Structure) -> str:
    """The name by which a structure is chosen, the same for every segment that shows it."""
    pattern = _CALLED.get(structure.kind, f"{structure.side} {structure.kind.replace('_', ' ')}")
    return " ".join(pattern.format(level=structure.level, side=structure.side).split())


def find_structures(node, chosen: dict[str, str], scheme: str = "", measured: frozenset[str] = _EVERY_KIND) -> Found:
    """What the segments of a segmentation or label map node show, by a person's choice, terminology, name or label scheme.

    chosen: structure by segment identifier, "" for none. measured: the kinds of structures that would be measured, see
    ``MEASURED_KINDS``. Segments whose structure is ambiguous show none until one is chosen.
    """
    if node is None:
        return Found()
    try:
        segments = named_segments(node)
    except BoneQualityError as fault:
        return Found(faults=(str(fault),))
    labels = segmentation_input(node, chosen, scheme, segments).labels
    shows, faults, identified = {}, [], Identified()
    for segment in segments:
        try:
            identified += _assigned(segment, labels)
        except BoneQualityError as fault:
            faults.append(str(fault))
    for segment in identified.segments:
        shows.setdefault(called(segment.structure), segment.identifier)
    ignored = []
    for conflict in settle(identified).conflicts:
        stops = any(structure.kind in measured for structure in conflict.structures)
        (faults if stops else ignored).append(conflict.sentence)
    meanings = scheme_of(node, scheme)
    names = {s.identifier: f"{s.name} ({meanings[s.identifier]})" if s.identifier in meanings else s.name for s in segments}
    return Found(names, shows, tuple(faults), tuple(ignored))


def _assigned(segment: Segment, labels: dict[str, str]) -> Identified:
    return assign([segment], {key: value for key, value in labels.items() if key == segment.identifier})


def choose(node, chosen: dict[str, str], scheme: str, structure: str, identifier: str) -> dict[str, str]:
    """The choices after a person picks the segment that shows a structure ("" for none)."""
    segments = {segment.identifier: segment for segment in named_segments(node)}
    labels = scheme_of(node, scheme)
    chosen = {key: value for key, value in chosen.items() if key != identifier and value != structure}
    for other, segment in segments.items():
        if other != identifier and structure in _shown_by(segment, labels | chosen):
            chosen[other] = ""
    if identifier and structure not in _shown_by(segments[identifier], labels | chosen):
        chosen[identifier] = structure
    return chosen


def _shown_by(segment: Segment, labels: dict[str, str]) -> list[str]:
    try:
        return [called(each.structure) for each in _assigned(segment, labels).segments]
    except BoneQualityError:
        return []


def segmentation_input(node, chosen: dict[str, str], scheme: str = "", segments: Iterable[Segment] | None = None) -> Segmentation:
    """The node with its labels as measure_case takes it; choices for segments that are gone are left out."""
    there = {segment.identifier for segment in (segments if segments is not None else named_segments(node))}
    labels = scheme_of(node, scheme) | {key: value for key, value in chosen.items() if key in there}
    return Segmentation(node, labels)


def first_choices(picked: Sequence[Picked], nodes: Iterable) -> list[Picked]:
    """What to begin with among the nodes that are free: the only CT, T1 MRI and axial MRI with the segmentations drawn on them.

    Volumes alone where no segmentation fits any of them and nothing is picked yet.
    """
    nodes = list(nodes)
    volumes = [node for node in nodes if node.IsA("vtkMRMLScalarVolumeNode") and not node.IsA("vtkMRMLLabelMapVolumeNode")]
    masks = [node for node in nodes if node not in volumes]
    first, every, choices = first_volumes(volumes), [*volumes, *(each.volume for each in picked if each.volume is not None)], []
    for each in picked:
        volume = each.volume or first[each.role.name]
        others = [other for other in every if other is not volume]
        choices.append(Picked(each.role, volume, first_segmentation(volume, masks, others, each.role.shows)))
    whole = [choice for choice in choices if choice.segmentation is not None]
    return whole if whole or not all(each.is_empty for each in picked) else choices


def first_volumes(volumes: Iterable) -> dict[str, object]:
    """The only CT, T1 MRI and axial MRI among volume nodes, by their name in measure_case; None for what is not the only one."""
    found = dict(ct=[], t1=[], axial_mr=[])
    for node in volumes:
        try:
            image = image_of(node)
        except BoneQualityError:
            continue
        found.get(likely_input(image), []).append(node)
    if len(found["t1"]) > 1:
        found["t1"] = [node for node in found["t1"] if "t1" in node.GetName().lower()]
    return {name: _only(nodes) for name, nodes in found.items()}


def _only(nodes: list):
    return nodes[0] if len(nodes) == 1 else None


def first_segmentation(volume, segmentations: Iterable, others: Iterable = (), shows: str = "levels"):
    """The only segmentation that was drawn on a volume, or may have been; None where that is not clear.

    others: further volumes; what was drawn on them is not meant for this one. shows: "levels" or "muscles".
    """
    if volume is None:
        return None
    fitting = [node for node in segmentations if getattr(find_structures(node, {}), shows)]
    for belongs in (lambda node, image: reference_volume(node) is image, _lies_on):
        mine = [node for node in fitting if belongs(node, volume)]
        if mine:
            return _only(mine)
        fitting = [node for node in fitting if not any(belongs(node, other) for other in others)]
    return _only(fitting)


def _lies_on(segmentation, volume) -> bool:
    try:
        return same_lattice(segmentation, volume)
    except BoneQualityError:  # one of them cannot be read: that is said where it is measured
        return False


def facts_of(texts: dict[str, object]) -> CaseFacts:
    """The facts of a case from what a person typed or ticked; "" is unknown. Raises BoneQualityError for what is none."""
    values = {}
    for item in fields(CaseFacts):
        given = texts.get(item.name)
        if isinstance(given, str):
            kind = types_of(CaseFacts)[item.name]
            text = given.strip().replace(",", ".") if kind is float else given
            try:
                given = value_of(kind, text) if text else None
            except BoneQualityError as fault:
                raise BoneQualityError(f"{fault}; correct the {item.name.replace('_', ' ')}.") from None
        if given is not None:
            values[item.name] = given
    return CaseFacts(**{"case_id": "", **values})


def what_is_missing(texts: dict[str, object], picked: Sequence[Picked], found: dict[str, Found]) -> str:
    """What has to be given before a case can be measured, as one sentence; "" where nothing is missing.

    texts: see `facts_of`. found: what each segmentation holds, by role.
    """
    if not str(texts.get("case_id") or "").strip():
        return "Give the case an id: it names the files, so no patient's name."
    for fault in faults_of({name: count for each in picked for name, count in each.counts().items()}):
        return fault.said(TITLES)
    for each in (each for each in picked if not each.is_empty):
        holds = found[each.role.name]
        if holds.faults:
            return holds.faults[0]
        if not getattr(holds, each.role.shows) and not each.more_segmentations:
            what, name = each.role.shows, each.segmentation.GetName()
            if takes_scheme(each.segmentation) and not each.scheme:
                return f"Choose the label scheme of {name}, or in the table of {what} which labels show which."
            return f"Choose in the table of {what} which segments of {name} show which."
    try:
        facts_of(texts)
    except BoneQualityError as fault:
        return str(fault)
    return ""


def level_rows(found: dict[str, Found]) -> list[str]:
    """The rows of the table in which segments are chosen: vertebrae from top to bottom, then what lies around them.

    found: by role. CSF has rows where there is a T1 MRI.
    """
    shown = {name for each in found.values() for name in each.shows}
    around = [name for name in AROUND if not name.startswith("CSF") or found["t1"].segments]
    return [level for level in LEVELS if level in ALWAYS_SHOWN or level in shown] + around


def muscle_rows(found: Found) -> list[str]:
    """The rows of the table in which the segments of muscles and discs are chosen."""
    discs = [
        called(Structure("disc", disc)) for disc in DISCS if disc in CASE_DISCS or called(Structure("disc", disc)) in found.shows
    ]
    return [*ALL_MUSCLES, *(name for name in JOINED_MUSCLES if name in found.shows), *discs]
