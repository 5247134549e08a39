"""Which segment is which structure: by a person's choice, by terminology, by name, or by a label scheme that a person names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from .errors import BoneQualityError
from .files import csv_rows
from .geometry import Mask
from .parameters import DISCS, LEVELS


@dataclass(frozen=True)
class Structure:
    """What a segment shows.

    kind: vertebra, bodies (of any level), disc, csf, sac, cord, sacrum, exclude, psoas_major, multifidus, erector_spinae,
    iliopsoas, autochthon.
    level: of a vertebra, of a disc (L3-L4), of CSF drawn at a level, of an exclusion; "" where none is said.
    side: "left", "right" or "". covers: "vertebra", "body", "cancellous" or "" (not said).
    """

    kind: str
    level: str = ""
    side: str = ""
    covers: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.side, self.level, self.kind.replace("_", " "), self.covers)))


@dataclass(frozen=True, eq=False)
class Segment:
    """A segment or label before its voxels are read. ``load`` gives the mask, empty masks included."""

    name: str
    source: str
    load: Callable[[], Mask] = field(repr=False)
    identifier: str = ""
    terminology: str = ""
    structure: Structure | None = None

    def __str__(self) -> str:
        return f"segment {self.name} of {self.source}"


# What terminology codes (SNOMED CT) stand for. Vertebrae as in TotalSegmentator's own table.
_VERTEBRA_CODES = dict(
    zip(
        "64864005 53733008 1626008 73071006 56401006 45296009 62487009 11068009 82687006 7610001 12989004 23215003 "
        "66794005 14293000 36470004 11994002 49668003 65985001".split(),
        [f"T{n}" for n in range(1, 13)] + [f"L{n}" for n in range(1, 6)] + ["S1"],
    )
)
_KIND_CODES = {
    "3572006": Structure("bodies"),
    "51282000": Structure("vertebra"),
    "2748008": Structure("cord"),
    "65216001": Structure("csf"),
    "360499006": Structure("disc"),
    "54735007": Structure("sacrum"),
    "64038003": Structure("psoas_major"),
    "68455001": Structure("iliopsoas"),
    "44947003": Structure("erector_spinae"),
    "49975005": Structure("transversospinalis"),
    "244849004": Structure("autochthon"),
}
#: Codes that go with a name but say less than it does: multifidus has no code of its own, so that its group's is taken.
_WIDER = (("sac", "csf"), ("multifidus", "transversospinalis"))
_SIDE_CODES = {"7771000": "left", "24028007": "right"}

# Words of names, each list with what the words mean. Several words are joined first.
_PHRASES = {
    "cerebrospinal fluid": "csf",
    "thecal sac": "sac",
    "dural sac": "sac",
    "spinal canal": "sac",
    "vertebral canal": "sac",
    "spinal cord": "cord",
    "erector spinae": "erector_spinae",
    "psoas major": "psoas_major",
    "basivertebral vein": "exclude",
    "basivertebral veins": "exclude",
    "venous plexus": "exclude",
    "bone island": "exclude",
    "intervertebral disc": "disc",
    "intervertebral disk": "disc",
    "vertebral body": "body",
    "vertebral bodies": "body",
    "vertebra body": "body",
    "corpus vertebrae": "body",
    "corpus vertebra": "body",
}
_WORDS = {
    "vertebra": "vertebra vertebrae vertebral vertebre vertebras wirbel 椎骨",
    "body": "body bodies corpus wirbelkorper corps cuerpo corpo 椎体",
    "cancellous": "cancellous trabecular spongiosa spongious",
    "csf": "csf liquor lcr",
    "sac": "sac canal",
    "cord": "cord myelon",
    "disc": "disc disk ivd discs disks",
    "sacrum": "sacrum",
    "exclude": "exclude exclusion excluded cement hemangioma haemangioma pmma",
    "psoas_major": "psoas_major psoas",
    "multifidus": "multifidus",
    "erector_spinae": "erector_spinae",
    "iliopsoas": "iliopsoas",
    "autochthon": "autochthon",
    "left": "left l lt links gauche izquierdo",
    "right": "right r rt rechts droit derecho",
    "": "muscle muscles mask roi segment label of the",
}
_MEANING = {word: meaning for meaning, words in _WORDS.items() for word in words.split()}
_ORDINALS = {w: n for n, w in enumerate("first second third fourth fifth sixth".split(), 1)}
_REGIONS = {"lumbar": "L", "thoracic": "T", "dorsal": "T"}

_TOTALSEGMENTATOR = {
    26: "vertebrae S1", 25: "sacrum", 79: "spinal cord",
    86: "autochthon left", 87: "autochthon right", 88: "iliopsoas left", 89: "iliopsoas right",
}  # fmt: skip


def _numbered(first_level: str, first: int, step: int, count: int, more: dict | None = None) -> dict[int, str]:
    start = LEVEL_ORDER.index(first_level)
    return {first + step * n: f"{LEVEL_ORDER[start + n]} vertebra" for n in range(count)} | (more or {})


LEVEL_ORDER = [level for level in LEVELS if level not in ("T13", "L6")]

#: Label schemes a person may name: value -> structure name. Values that are not here are other organs.
SCHEMES: dict[str, dict[int, str]] = {
    "totalsegmentator": _numbered("T1", 43, -1, 17, _TOTALSEGMENTATOR),
    "vertebrae_mr": _numbered("T1", 18, -1, 17, {1: "sacrum"}),
    "totalspineseg": _numbered(
        "T1", 21, 1, 12,
        {40 + n: f"L{n} vertebra" for n in range(1, 7)}
        | {1: "spinal cord", 2: "spinal canal", 50: "sacrum", 91: "disc T12-L1", 100: "disc L5-S1"}
        | {91 + n: f"disc L{n}-L{n + 1}" for n in range(1, 5)},
    ),
    "verse": _numbered("T1", 8, 1, 17, {25: "L6 vertebra", 26: "sacrum", 28: "T13 vertebra"}),
    "vertebrae_body": {1: "vertebral bodies"},
    "spineps": {49: "vertebral bodies", 50: "vertebral bodies", 60: "spinal cord", 61: "spinal canal"},
}  # fmt: skip


def identify(segment: Segment) -> Structure | None:
    """The structure of a segment by its terminology and its name; None where neither says one.

    Raises BoneQualityError where they disagree, or where the name fits two structures.
    """
    by_name = _by_name(segment.name, segment) or (_by_name(segment.identifier, segment) if segment.identifier else None)
    by_code = _by_terminology(segment.terminology)
    if by_name is None or by_code is None:
        says_one = by_code and (by_code.level or by_code.kind not in ("vertebra", "disc", "transversospinalis"))
        return by_name or (by_code if says_one else None)
    if (by_name.kind, by_code.kind) == ("vertebra", "bodies"):
        return replace(by_name, covers=by_name.covers or "body")
    one_kind = by_name.kind == by_code.kind or (by_name.kind, by_code.kind) in _WIDER
    same = one_kind and all(not a or not b or a == b for a, b in ((by_name.level, by_code.level), (by_name.side, by_code.side)))
    if not same:
        raise BoneQualityError(
            f"The {segment} is {by_name} by its name but {by_code} by its terminology; correct one of them in Segment Editor."
        )
    return Structure(by_name.kind, by_name.level or by_code.level, by_name.side or by_code.side, by_name.covers or by_code.covers)


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
            structure = _by_name(choice, segment)
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


def read_labels(path: str) -> dict[str, str]:
    """A LABELS.csv: column ``value`` (label maps) or ``segment`` (segment names or IDs), and column ``name``."""
    rows = csv_rows(path, "labels")
    columns = set(rows[0]) if rows else set()
    key = next((c for c in ("value", "segment") if c in columns), None)
    if key is None or "name" not in columns:
        raise BoneQualityError(f"The labels file {path} needs rows and the columns value,name or segment,name.")
    labels: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        value, name = (row[key] or "").strip(), (row["name"] or "").strip()
        if key == "value" and value.isdecimal():
            value = str(int(value))
        if not value or value in labels or (key == "value" and not value.isdecimal()):
            raise BoneQualityError(
                f"Row {number} of the labels file {path}: the {key} {value!r} is missing, repeated or no number; correct it."
            )
        labels[value] = name
    return labels


def scheme_labels(name: str) -> dict[str, str]:
    """The labels of a named scheme, or of a LABELS.csv."""
    if name in SCHEMES:
        return {str(value): structure for value, structure in SCHEMES[name].items()}
    if Path(name).suffix.lower() == ".csv":
        return read_labels(name)
    raise BoneQualityError(f"{name!r} is no label scheme; choose one of {', '.join(SCHEMES)}, or a LABELS.csv file.")


def _by_terminology(entry: str) -> Structure | None:
    fields = [(part.split("^") + ["", ""])[1] for part in entry.split("~")]
    fields += [""] * (7 - len(fields))
    category_type, type_modifier, region, region_modifier = fields[2], fields[3], fields[5], fields[6]
    level = _VERTEBRA_CODES.get(category_type) or _VERTEBRA_CODES.get(region, "")
    structure = _KIND_CODES.get(category_type)
    if category_type in _VERTEBRA_CODES:
        structure = Structure("vertebra")
    elif structure is None:
        structure = _KIND_CODES.get(region) or (Structure("vertebra") if level else None)
    if structure is None:
        return None
    if structure.kind == "bodies" and level:
        structure = Structure("vertebra", covers="body")
    side = _SIDE_CODES.get(type_modifier) or _SIDE_CODES.get(region_modifier, "")
    return replace(structure, level=level if structure.kind in ("vertebra", "csf") else "", side=side)


def _by_name(name: str, segment: Segment) -> Structure | None:
    """The structure that a name says; None where a word of it is not known here: names are never guessed."""
    levels, meanings = _words(name)
    if meanings is None:
        return None
    sides = meanings & {"left", "right"}
    covers = meanings & {"body", "cancellous"}
    kinds = meanings - sides - covers - {""}
    if covers or (levels and not kinds):
        kinds = kinds | {"vertebra"} if len(levels) != 2 or covers else kinds | {"disc"}
    if len(levels) == 2 and "-".join(levels) in DISCS and kinds == {"disc"}:
        levels = ["-".join(levels)]
    if len(kinds) > 1 and "exclude" in kinds:
        kinds, covers = {"exclude"}, set()
    if not kinds:
        return None
    if len(kinds) > 1 or len(levels) > 1 or len(sides) > 1 or len(covers) > 1:
        what = [k.replace("_", " ") for k in sorted(kinds)] if len(kinds) > 1 else levels or sorted(sides | covers)
        raise BoneQualityError(f"The name of the {segment} fits {' and '.join(what)}; give it one structure's name.")
    kind, level = kinds.pop(), levels[0] if levels else ""
    if kind == "vertebra" and covers == {"body"} and not level:
        return Structure("bodies")
    if kind == "vertebra" and level == "S1":
        kind, level = "sacrum", "S1"
    if (kind in ("vertebra", "disc") and not level) or (sides and kind in ("vertebra", "disc", "csf", "sac", "cord", "sacrum")):
        return None
    return Structure(kind, level, sides.pop() if sides else "", covers.pop() if covers else "")


def _words(name: str) -> tuple[list[str], set[str] | None]:
    """The levels that a name holds, in order, and the meanings of its other words; None for those where one is unknown."""
    folded = unicodedata.normalize("NFKD", name.casefold())
    folded = "".join(c for c in folded if not unicodedata.combining(c))
    text = " ".join(re.findall(r"[a-z0-9]+|[^\W_a-z0-9]+", folded))
    text = re.sub(r"\b([tl])(\d{1,2}) (\d{1,2})\b", r"\1\2 \1\3", text)
    for phrase, meaning in _PHRASES.items():
        text = re.sub(rf"\b{phrase}\b", meaning, text)
    levels, meanings, words = [], set(), text.split()
    while words:
        word = words.pop(0)
        region = _REGIONS.get(word) or (_REGIONS.get(words[0]) if words and word in _ORDINALS else None)
        if re.fullmatch(r"[tls]\d{1,2}", word) and word.upper() in LEVELS:
            levels.append(word.upper())
        elif region:
            rest = [word, *words]
            number = next((w for w in rest if w.isdigit() or w in _ORDINALS), None)
            if number is None:
                return levels, None
            levels.append(f"{region}{_ORDINALS.get(number, number)}")
            rest.remove(number)
            rest.remove(next(w for w in rest if w in _REGIONS))
            words = rest
            if levels[-1] not in LEVELS:
                return levels, None
        elif word in _MEANING:
            meanings.add(_MEANING[word])
        else:
            return levels, None
    return levels, meanings
