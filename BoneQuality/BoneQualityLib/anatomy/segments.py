"""Segments, and which structure each of them shows.

What is not clear stops a case only where it would measure that structure, so conflicts are kept until the measuring asks for
what it needs: a segmentation of the whole body has many segments that no case of bone quality uses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..errors import BoneQualityError, Sentence
from .structure import Conflict, Segment, Structure
from .vocabulary import JOINED, MUSCLES, identify, structure_by_name

#: What is measured on each image of a case, or used for it, by kind of structure.
MEASURED_KINDS = dict(
    ct=frozenset(("vertebra", "bodies", "exclude")),
    t1=frozenset(("vertebra", "bodies", "exclude", "csf", "sac", "cord")),
    axial_mr=frozenset((*MUSCLES, *JOINED, "disc")),
)
#: Structures that several segments may show.
_MANY = ("exclude", "bodies", "discs")


@dataclass(frozen=True)
class Identified:
    """The segments of a segmentation that show a known structure, each with it, and what is not clear."""

    segments: tuple[Segment, ...] = ()
    conflicts: tuple[Conflict, ...] = ()

    def __add__(self, other: Identified) -> Identified:
        return Identified(self.segments + other.segments, self.conflicts + other.conflicts)


def assign(segments: Iterable[Segment], chosen: dict[str, str] | None = None) -> Identified:
    """Which structures segments show.

    chosen: a person's choice, segment name or ID -> structure name ("" for none); it comes before terminology and name.
    Raises BoneQualityError if a chosen name is no structure or no segment.
    """
    segments = list(segments)
    chosen = chosen or {}
    missing = [name for name in chosen if name not in {s.name for s in segments} | {s.identifier for s in segments}]
    if missing:
        where = segments[0].source if segments else "the segmentation"
        sentence = "There is no segment {name} in {source}; correct the names that were chosen for its segments."
        raise BoneQualityError(sentence, name=missing[0], source=where)
    found, conflicts = [], []
    for segment in segments:
        choice = chosen.get(segment.identifier, chosen.get(segment.name))
        structure = identify(segment) if choice is None else _chosen(choice, segment)
        if isinstance(structure, Conflict):
            conflicts.append(structure)
        elif structure is not None:
            found.append(replace(segment, structure=structure))
    return Identified(tuple(found), tuple(conflicts))


def _chosen(choice: str, segment: Segment) -> Structure | None:
    """The structure that a person chose, None for none."""
    if not choice.strip():
        return None
    structure = structure_by_name(choice, segment)
    if isinstance(structure, Conflict):
        raise BoneQualityError(structure.sentence)
    if structure is None:
        sentence = (
            "{choice!r}, chosen for the segment {name} of {source}, is no structure known here; write for example L1 or L1 body, "
            "CSF L3, thecal sac."
        )
        raise BoneQualityError(sentence, choice=choice, **segment.names())
    return structure


def settle(identified: Identified) -> Identified:
    """The segments that show their structure alone, and everything that is not clear: two segments for one structure too."""
    groups: dict[tuple, list[Segment]] = {}
    for segment in identified.segments:
        groups.setdefault(_key(segment), []).append(segment)
    doubled = [_both(same) for key, same in groups.items() if len(same) > 1 and key[0] not in _MANY]
    unclear = {structure for conflict in doubled for structure in conflict.structures}
    alone = tuple(segment for segment in identified.segments if segment.structure not in unclear)
    return Identified(alone, (*identified.conflicts, *doubled))


def check_clear(settled: Identified, measured: frozenset[str]) -> None:
    """Raise BoneQualityError with the first conflict about a kind of structure that the case would measure.

    A segment's name and terminology disagree, its name fits two structures, or two segments show one structure.
    """
    for conflict in settled.conflicts:
        if any(structure.kind in measured for structure in conflict.structures):
            raise BoneQualityError(conflict.sentence)


def check_alone(segments: Iterable[Segment]) -> None:
    """Raise BoneQualityError if two segments show one vertebra, one of them its cancellous bone: `settle` lets these pass, as
    regions on single slices may lie beside the body."""
    seen: dict[str, Segment] = {}
    for segment in segments:
        if segment.structure.kind == "vertebra":
            other = seen.setdefault(segment.structure.level, segment)
            if other is not segment:
                raise BoneQualityError(_both([other, segment]).sentence)


def _key(segment: Segment) -> tuple[str, str, str]:
    """What two segments have in common that show one structure; a muscle is one, whatever levels their names say.

    Cancellous bone may be drawn beside the body that it is in, see `check_alone`.
    """
    structure = segment.structure
    if structure.covers == "cancellous":
        return structure.kind, structure.level, structure.covers
    level = "" if structure.kind in (*MUSCLES, *JOINED) else structure.level
    return structure.kind, level, structure.side


def _both(same: list[Segment]) -> Conflict:
    sentence = Sentence(
        "The segment {name} of {source} and the segment {other} of {other_source} both show {structure}; rename or remove one.",
        **same[0].names(),
        other=same[1].name,
        other_source=same[1].source,
        structure=Sentence(str(replace(same[0].structure, covers=""))),
    )
    return Conflict(tuple(dict.fromkeys(segment.structure for segment in same)), sentence)
