"""Anatomical structures by terminology code and by name."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

from ..errors import BoneQualityError
from ..parameters import DISCS, LEVELS
from .structure import Segment, Structure

MUSCLES = ("psoas_major", "multifidus", "erector_spinae")
#: Compartments that hold more than one of the muscles, as some segmentation models draw them.
JOINED = {"iliopsoas": ("psoas_major",), "autochthon": ("multifidus", "erector_spinae")}
SIDES = ("left", "right")
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


def identify(segment: Segment) -> Structure | None:
    """The structure of a segment by its terminology and its name; None where neither says one.

    Raises BoneQualityError where they disagree, or where the name fits two structures.
    """
    by_name = structure_by_name(segment.name, segment) or (
        structure_by_name(segment.identifier, segment) if segment.identifier else None
    )
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


def structure_by_name(name: str, segment: Segment) -> Structure | None:
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
