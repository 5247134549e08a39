"""Anatomical structures by terminology code and by name."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

from ..errors import Sentence
from ..parameters import DISCS, LEVELS
from .structure import Conflict, Segment, Structure

MUSCLES = ("psoas_major", "multifidus", "erector_spinae")
#: Compartments that hold more than one of the muscles, as some segmentation models draw them.
JOINED = {"iliopsoas": ("psoas_major",), "autochthon": ("multifidus", "erector_spinae")}
SIDES = ("left", "right")
# What terminology codes (SNOMED CT) stand for. Vertebrae and ribs as in TotalSegmentator's own table.
_VERTEBRA_CODES = dict(
    zip(
        "64864005 53733008 1626008 73071006 56401006 45296009 62487009 11068009 82687006 7610001 12989004 23215003 "
        "66794005 14293000 36470004 11994002 49668003".split(),
        [f"T{n}" for n in range(1, 13)] + [f"L{n}" for n in range(1, 6)],
    )
)
_RIB_CODES = "48535007 78247007 25888004 25523003 15339008 59558009 24915002 5953002 22565002 77644006 58830002 43993008".split()
_CODES = {
    "3572006": Structure("bodies"),
    "51282000": Structure("vertebra"),
    "2748008": Structure("cord"),
    "65216001": Structure("csf"),
    "360499006": Structure("disc"),
    "54735007": Structure("sacrum"),
    "65985001": Structure("sacrum", "S1"),
    "64038003": Structure("psoas_major"),
    "68455001": Structure("iliopsoas"),
    "44947003": Structure("erector_spinae"),
    "49975005": Structure("transversospinalis"),
    "244849004": Structure("autochthon"),
    **{code: Structure("rib", f"T{n}") for n, code in enumerate(_RIB_CODES, 1)},
}
#: Codes that go with a name but say less than it does: multifidus has no code of its own, so that its group's is taken.
_WIDER = (("sac", "csf"), ("multifidus", "transversospinalis"), ("discs", "disc"))
_SIDE_CODES = {"7771000": "left", "24028007": "right"}
# Words of names, each list with what the words mean: English, Latin, German, French, Spanish, Italian, Portuguese, Dutch, Polish,
# Russian, Chinese, Japanese. Several words are joined first.
_PHRASES = {
    "cerebrospinal fluid": "csf",
    "liquido cefalorraquideo|liquide cephalo rachidien|liquor cerebrospinalis|liquido cerebrospinale": "csf",
    "thecal sac|dural sac|saccus durae matris|sac dural|sac thecal|saco dural|saco tecal|sacco durale|sacco tecale|durazak": "sac",
    "spinal canal|vertebral canal|canalis vertebralis|canal rachidien|canal vertebral|canal raquideo|canal espinal": "sac",
    "canale vertebrale|canale spinale|canal medular": "sac",
    "spinal cord|medulla spinalis|moelle epiniere|medula espinal|midollo spinale|medula espinhal": "cord",
    "erector spinae|erecteur du rachis|erecteurs du rachis|erector de la columna|erector espinal|erettore della colonna": "erector_spinae",
    "eretor da espinha|erecteur spinal|erector spinal": "erector_spinae",
    "psoas major|grand psoas|psoas mayor|grande psoas|psoas maior|psoas maggiore": "psoas_major",
    "deep muscle of back|deep muscles of back|deep back muscle|deep back muscles": "autochthon",
    "basivertebral vein|basivertebral veins|venous plexus|bone island": "exclude",
    "intervertebral disc|intervertebral disk|intervertebral discs|intervertebral disks|disque intervertebral|disco intervertebral": "disc",
    "disco intervertebrale|discus intervertebralis": "disc",
    "vertebral body|vertebral bodies|vertebra body|corpus vertebrae|corpus vertebra|corps vertebral|cuerpo vertebral": "body",
    "corpo vertebrale|corpo vertebral|тело позвонка": "body",
}
_WORDS = {
    "vertebra": "vertebra vertebrae vertebral vertebre vertebras vertebres wirbel wervel kreg позвонок 椎骨",
    "body": "body bodies corpus wirbelkorper wervellichaam corps cuerpo corpo trzon 椎体",
    "cancellous": "cancellous trabecular spongiosa spongious trabekular trabeculaire",
    "csf": "csf liquor lcr 脑脊液 脳脊髄液 腦脊液",
    "sac": "sac canal duralsack spinalkanal wirbelkanal durasack 硬膜囊 椎管 硬膜嚢 脊柱管",
    "cord": "cord myelon ruckenmark 脊髓 脊髄",
    "disc": "disc disk ivd discs disks bandscheibe discus disque disco disk dysk tussenwervelschijf диск 椎间盘 椎間盤 椎間板",
    "sacrum": "sacrum sakrum kreuzbein sacro 骶骨 仙骨",
    "exclude": "exclude exclusion excluded cement hemangioma haemangioma hamangiom pmma",
    "psoas_major": "psoas_major psoas 腰大肌 大腰筋",
    "multifidus": "multifidus multifide multifido multifidi 多裂肌 多裂筋",
    "erector_spinae": "erector_spinae 竖脊肌 豎脊肌 脊柱起立筋 脊柱起立肌",
    "iliopsoas": "iliopsoas 髂腰肌 腸腰筋",
    "autochthon": "autochthon",
    "left": "left l lt links li gauche izquierdo izquierda sinistro sinistra esquerdo esquerda lewy слева левый 左 左侧 左側",
    "right": "right r rt rechts re droit droite derecho derecha destro destra direito direita prawy справа правый 右 右侧 右側",
    "": "muscle muscles musculus musculo muscolo muskel m mask roi segment label of the de der des du la le il do da 第",
}


def vertebra_codes() -> dict[str, str]:
    """The SNOMED CT code of each level's vertebra; T13, L6 and S1 have none here."""
    return {level: code for code, level in _VERTEBRA_CODES.items()}


def _folded(name: str) -> str:
    """Small letters without accents."""
    parts = unicodedata.normalize("NFKD", name.casefold())
    return unicodedata.normalize("NFC", "".join(c for c in parts if not "\u0300" <= c <= "\u036f"))


_MEANING = {_folded(word): meaning for meaning, words in _WORDS.items() for word in words.split()}
_ORDINALS = {
    word: n for n, word in enumerate("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split(), 1)
}
#: Words that go with a number: the letter of the levels that they count, and what they mean besides.
_REGIONS = {
    **dict.fromkeys(("lumbar", "lendenwirbel", "lombaire", "lombare", "lombar", "腰椎"), ("L", "")),
    **dict.fromkeys(("thoracic", "dorsal", "brustwirbel", "thoracique", "dorsale", "toracica", "胸椎"), ("T", "")),
    **dict.fromkeys(("rib", "rippe", "costa", "cote", "costilla"), ("T", "rib")),
}
#: Words of languages that put no spaces between words, longest first.
_UNSPACED = sorted((word for word in (*_MEANING, *_REGIONS) if re.match(r"[\u3040-\u9fff]", word)), key=len, reverse=True)
#: How levels are written besides T12, L1 and S1: Th12, D12 (dorsal), BWK 12 and LWK 1 (German).
_LEVEL_WRITTEN = re.compile(r"(th|bwk|lwk|swk|[tdls])(\d{1,2})")
_LEVEL_LETTER = dict(th="T", bwk="T", lwk="L", swk="S", t="T", d="T", l="L", s="S")


def identify(segment: Segment) -> Structure | Conflict | None:
    """The structure of a segment by its terminology and its name; None where neither says one.

    A Conflict where they disagree, or where the name fits two structures.
    """
    by_name = structure_by_name(segment.name, segment) or (
        structure_by_name(segment.identifier, segment) if segment.identifier else None
    )
    if isinstance(by_name, Conflict):
        return by_name
    by_code = _by_terminology(segment.terminology)
    if by_name is None or by_code is None:
        says_one = by_code and (by_code.level or by_code.kind not in ("vertebra", "disc", "transversospinalis"))
        return by_name or (by_code if says_one else None)
    if (by_name.kind, by_code.kind) == ("vertebra", "bodies"):
        return replace(by_name, covers=by_name.covers or "body")
    one_kind = by_name.kind == by_code.kind or (by_name.kind, by_code.kind) in _WIDER
    same = one_kind and all(not a or not b or a == b for a, b in ((by_name.level, by_code.level), (by_name.side, by_code.side)))
    if not same:
        return Conflict(
            (by_name, by_code),
            Sentence(
                "The segment {name} of {source} is {by_name} by its name but {by_code} by its terminology; correct one of them in "
                "Segment Editor.",
                **segment.names(),
                by_name=Sentence(str(by_name)),
                by_code=Sentence(str(by_code)),
            ),
        )
    return Structure(by_name.kind, by_name.level or by_code.level, by_name.side or by_code.side, by_name.covers or by_code.covers)


def _by_terminology(entry: str) -> Structure | None:
    fields = [(part.split("^") + ["", ""])[1] for part in entry.split("~")]
    fields += [""] * (7 - len(fields))
    category_type, type_modifier, region, region_modifier = fields[2], fields[3], fields[5], fields[6]
    level = _VERTEBRA_CODES.get(category_type) or _VERTEBRA_CODES.get(region, "")
    structure = _CODES.get(category_type)
    if category_type in _VERTEBRA_CODES:
        structure = Structure("vertebra")
    elif structure is None:
        structure = _CODES.get(region) or (Structure("vertebra") if level else None)
    if structure is None:
        return None
    if structure.kind == "bodies" and level:
        structure = Structure("vertebra", covers="body")
    side = _SIDE_CODES.get(type_modifier) or _SIDE_CODES.get(region_modifier, "")
    return replace(structure, level=level if structure.kind in ("vertebra", "csf") else structure.level, side=side)


def structure_by_name(name: str, segment: Segment) -> Structure | Conflict | None:
    """The structure that a name says; None where a word of it is not known here: names are never guessed.

    A Conflict where it fits two structures.
    """
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
        may_be = tuple(Structure(kind, level) for kind in sorted(kinds) for level in levels or [""])
        sentence = "The name of the segment {name} of {source} fits {structures}; give it one structure's name."
        return Conflict(may_be, Sentence(sentence, **segment.names(), structures=Sentence.joined(what, " and ")))
    kind, level = kinds.pop(), levels[0] if levels else ""
    if kind == "vertebra" and covers == {"body"} and not level:
        return Structure("bodies")
    if kind == "disc" and not level and not sides:
        return Structure("discs")
    if kind == "vertebra" and level == "S1":
        kind = "sacrum"
    if (kind in ("vertebra", "disc", "rib") and not level) or (
        sides and kind in ("vertebra", "disc", "csf", "sac", "cord", "sacrum")
    ):
        return None
    return Structure(kind, level, sides.pop() if sides else "", covers.pop() if covers else "")


def _words(name: str) -> tuple[list[str], set[str] | None]:
    """The levels that a name holds, in order, and the meanings of its other words; None for those where one is unknown."""
    levels, meanings, words = [], set(), _plain(name).split()
    while words:
        word = words.pop(0)
        written = _LEVEL_WRITTEN.fullmatch(word)
        level = _LEVEL_LETTER[written[1]] + str(int(written[2])) if written else ""
        counts = _REGIONS.get(word) or (_REGIONS.get(words[0]) if words and (word in _ORDINALS or word.isdecimal()) else None)
        if level in LEVELS:
            levels.append(level)
        elif counts:
            rest = [word, *words]
            number = next((w for w in rest if w.isdecimal() or w in _ORDINALS), None)
            if number is None:  # as in lumbar vertebra L1
                meanings.add(counts[1])
                continue
            levels.append(f"{counts[0]}{_ORDINALS.get(number, number)}")
            meanings |= {counts[1]} - {""}
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


def _plain(name: str) -> str:
    """A name as words of small letters without accents, several that mean one thing joined to one."""
    text = " ".join(re.findall(r"[a-z0-9]+|[^\W_a-z0-9]+", _folded(name)))
    text = " ".join(_cut(word) for word in text.split())
    text = re.sub(r"\b(bwk|lwk|swk|th) (\d{1,2})\b", r"\1\2", text)
    text = re.sub(r"\b(th|bwk|lwk|[tdl])(\d{1,2}) (\d{1,2})\b", r"\1\2 \1\3", text)
    for phrases, meaning in _PHRASES.items():
        text = re.sub(rf"\b(?:{phrases})\b", meaning, text)
    return text


def _cut(word: str) -> str:
    """A run of signs of a language without spaces as the words known here, as far as they make up all of it."""
    if not re.match(r"[\u3040-\u9fff]", word):
        return word
    found = re.findall("|".join([*map(re.escape, _UNSPACED), "."]), word)
    return " ".join(found)


def kind_of(muscle: str, side: str) -> str:
    """For example "left psoas major"."""
    return f"{side} {muscle.replace('_', ' ')}"
