"""Segments, and which structure each of them shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..errors import BoneQualityError
from .structure import Segment
from .vocabulary import identify, structure_by_name


def assign(segments: Iterable[Segment], chosen: dict[str, str] | None = None) -> list[Segment]:
    """The segments that show a known structure, each with it.

    chosen: a person's choice, segment name or ID -> structure name ("" for none); it comes before terminology and name.
    Raises BoneQualityError where two segments show one structure, or a chosen name is no structure or no segment.
    """
    segments = list(segments)
    chosen = chosen or {}
    missing = [name for name in chosen if name not in {s.name for s in segments} | {s.identifier for s in segments}]
    if missing:
        where = segments[0].source if segments else "the segmentation"
        raise BoneQualityError(f"There is no segment {missing[0]} in {where}; correct the names that were chosen for its segments.")
    found = []
    for segment in segments:
        choice = chosen.get(segment.identifier, chosen.get(segment.name))
        if choice is None:
            structure = identify(segment)
        elif not choice.strip():
            continue
        else:
            structure = structure_by_name(choice, segment)
            if structure is None:
                raise BoneQualityError(
                    f"{choice!r}, chosen for the {segment}, is no structure known here; write for example L1 or L1 body, CSF L3, "
                    "thecal sac."
                )
        if structure is not None:
            found.append(replace(segment, structure=structure))
    return found


def check_unique(segments: list[Segment]) -> None:
    """Raise BoneQualityError where two segments show one structure. Exclusions may be many."""
    seen: dict[tuple, Segment] = {}
    for segment in segments:
        structure = segment.structure
        if structure.kind in ("exclude", "bodies"):
            continue
        key = (structure.kind, "" if structure.side else structure.level, structure.side)
        if key in seen:
            raise BoneQualityError(
                f"The {seen[key]} and the {segment} both show {replace(structure, covers='')}; rename or remove one."
            )
        seen[key] = segment
