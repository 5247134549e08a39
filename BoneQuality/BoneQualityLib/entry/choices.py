"""What a person picks before measuring: images, segmentations, and which segment shows which structure; and what is missing still."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from ..anatomy.segments import MEASURED_KINDS, Identified, assign, settle
from ..anatomy.structure import Segment, Structure
from ..anatomy.vocabulary import JOINED, MUSCLES, SIDES, kind_of
from ..errors import BoneQualityError, Sentence
from ..parameters import CASE_DISCS, DISCS, LEVELS, CaseFacts
from ..scene.arrays import image_of, placed_by
from ..scene.masks import Segmentation, named_segments, scheme_of, takes_scheme
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

    @property
    def nodes(self) -> list:
        """All that is picked."""
        return [*self.volumes, *(node for node in self.others.values() if node is not None), *self.segmentations]

    def counts(self) -> dict[str, int]:
        """How many inputs there are of each, by their names in `measure_case`."""
        others = {name: int(node is not None) for name, node in self.others.items()}
        return {self.role.name: len(self.volumes), f"{self.role.name}_segmentation": len(self.segmentations), **others}

    @property
    def image(self):
        """The volume to look at."""
        return next((node for node in (self.volume, *self.others.values()) if node is not None), None)

    def image_at(self, place: dict):
        """The volume to look at for a ROI's place as the document has it: of several stacks the one whose slices hold it."""
        center, normal = np.array(place["center"]), np.array(place.get("normal", (0, 0, 1)))
        stacks = [(volume, image_of(volume).grid) for volume in self.volumes] if self.more_volumes else []
        holding = [(abs(grid.directions[:, 2] @ normal), n) for n, (_, grid) in enumerate(stacks) if grid.slices_around(center, pad=1)]
        return stacks[max(holding)[1]][0] if holding else self.image

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
        images = [node and [checksums(node), placed_by(node)] for node in (self.volume, *self.others.values(), *self.more_volumes)]
        shows = [(self.segmentation, found.shows)] if found.shows else []
        shows += [(node, find_structures(node, {}).shows) for node in self.more_segmentations]
        masks = []
        for node, by_structure in shows:
            sums = checksums(node, frozenset(by_structure.values()))
            masks.append([{structure: sums[identifier] for structure, identifier in by_structure.items()}, placed_by(node)])
        return [images, masks]


@dataclass(frozen=True)
class Found:
    """What a segmentation holds.

    segments: the name of every segment, by identifier. shows: the identifier of the segment that shows a structure, by the
    structure's name. faults: what is not clear among the structures that would be measured, a sentence each; ignored: likewise
    among the others, which are left out. measured: the structures that would be measured. beside: the names of the further
    segmentations that show a structure, by the structure's name.
    """

    segments: dict[str, str] = field(default_factory=dict)
    shows: dict[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    measured: frozenset[str] = frozenset()
    beside: dict[str, str] = field(default_factory=dict)

    @property
    def all_shown(self) -> frozenset[str]:
        return frozenset((*self.shows, *self.beside))

    @property
    def levels(self) -> list[str]:
        return [level for level in LEVELS if level in self.all_shown]

    @property
    def muscles(self) -> list[str]:
        return [name for name in (*ALL_MUSCLES, *JOINED_MUSCLES) if name in self.all_shown]


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
    would = frozenset(called(each.structure) for each in identified.segments if each.structure.kind in measured)
    ignored = []
    for conflict in settle(identified).conflicts:
        stops = any(structure.kind in measured for structure in conflict.structures)
        (faults if stops else ignored).append(conflict.sentence)
    meanings = scheme_of(node, scheme)
    names = {s.identifier: f"{s.name} ({meanings[s.identifier]})" if s.identifier in meanings else s.name for s in segments}
    return Found(names, shows, tuple(faults), tuple(ignored), would)


def find_beside(found: Found, nodes: Iterable, measured: frozenset[str]) -> Found:
    """What the first segmentation holds, with what the further ones show beside it."""
    beside, faults = {}, list(found.faults)
    for node in nodes:
        there = find_structures(node, {}, "", measured)
        faults += there.faults
        beside |= {structure: node.GetName() for structure in there.shows if structure not in found.shows}
    return replace(found, faults=tuple(faults), beside=beside)


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
                fact = Sentence(item.name.replace("_", " "))
                raise BoneQualityError("{fault}; correct the {fact}.", fault=fault, fact=fact) from None
        if given is not None:
            values[item.name] = given
    return CaseFacts(**{"case_id": "", **values})


def filled(sentence: str, **values: str) -> str:
    """A sentence with values in place of its {names}."""
    return sentence.format(**values) if values else sentence


def what_is_missing(
    texts: dict[str, object], picked: Sequence[Picked], found: dict[str, Found], tell: Callable[..., str] = filled
) -> str:
    """What has to be given before a case can be measured, as one sentence; "" where nothing is missing.

    texts: see `facts_of`. found: what each segmentation holds, by role. tell: makes a sentence of one with {names} and their values,
    as a panel does that translates first.
    """
    if not str(texts.get("case_id") or "").strip():
        return tell("Give the case an id: it names the files, so no patient's name.")
    for fault in faults_of({name: count for each in picked for name, count in each.counts().items()}):
        return tell(fault.sentence, **{name: tell(title) for name, title in TITLES.items()})
    for each in (each for each in picked if not each.is_empty):
        holds = found[each.role.name]
        if holds.faults:
            return tell(holds.faults[0])
        if not getattr(holds, each.role.shows):
            what, name = each.role.shows, each.segmentations[0].GetName()
            if each.segmentation is not None and takes_scheme(each.segmentation) and not each.scheme:
                sentence = "Choose the label scheme of {name}, or in the table of {table} which labels show which."
                return tell(sentence, name=name, table=tell(what))
            return tell("Choose in the table of {table} which segments of {name} show which.", name=name, table=tell(what))
    try:
        facts_of(texts)
    except BoneQualityError as fault:
        return tell(str(fault))
    return ""


def level_rows(found: dict[str, Found]) -> list[str]:
    """The rows of the table in which segments are chosen: vertebrae from top to bottom, then what lies around them.

    found: by role. CSF has rows where there is a T1 MRI.
    """
    shown = {name for each in found.values() for name in each.all_shown}
    around = [name for name in AROUND if not name.startswith("CSF") or found["t1"].segments or found["t1"].beside]
    return [level for level in LEVELS if level in ALWAYS_SHOWN or level in shown] + around


def muscle_rows(found: Found) -> list[str]:
    """The rows of the table in which the segments of muscles and discs are chosen."""
    discs = [
        called(Structure("disc", disc)) for disc in DISCS if disc in CASE_DISCS or called(Structure("disc", disc)) in found.shows
    ]
    return [*ALL_MUSCLES, *(name for name in JOINED_MUSCLES if name in found.shows), *discs]
