"""What a DICOM header says of contrast agent, weighting, fat, spectral CT and processing; as words of ours, never the header's texts.

Descriptions are free text and may name a patient: they are searched for the field's own abbreviations, and nothing of them is kept.
"""

from __future__ import annotations

import re

from .dicom_texts import scanning_sequence
from .dicom_values import text, value_of

#: Contrast agent: texts that mean none was given, words of an agent that was only drunk, and words of a vein.
NONE_GIVEN = re.compile(
    r"(n|0|no|non|none|nil|na|n/a|nc|nein|kein|keine?s?( km| kontrastmittel)?|nativ|native|false|wo|w/o|without|ohne|sans|sin|senza|unenhanced"
    r"|not (given|used|applied)|[-.]+|(no|non|without|ohne|w/?o|sans|sin|senza)[ -]*(iv|i\.v\.)?[ -]*(contrast\w*|kontrast\w*|km|ce|agent|mdc|injection))",
    re.IGNORECASE,
)
ORAL = re.compile(
    r"\b(oral\w*|per os|po|p\.o\.|rectal\w*|enteral\w*|drink\w*|gastro\w*|telebrix gastro|peroral\w*|barium|readi-?cat)",
    re.IGNORECASE,
)
VENOUS = re.compile(r"\b(iv|i\.v\.|intraven\w*|ven(ous|oes)?)\b|i\.v\.|\d\s*ml", re.IGNORECASE)
_AGENT = r"(?:c|ce|cm|k|km|gd\w*|gad\w*|mdc|contrast\w*|kontrast\w*|kontrastmittel|contraste|inj\w*)"
#: In descriptions of MR: phrases that deny an agent go first, then those that name one count.
DENIED = re.compile(
    rf"\b(?:ohne|without|with ?out|w/?o|wo|no|non?|pre|vor|before|sans|sin|senza|avant|prima|s/)[ /-]*{_AGENT}\b"
    r"|\bpost[ -]?(?:op\w*|surg\w*|trauma\w*|lami\w*|fusion|erior)\b|\bnon?contrast\b|(?<=\s)-\s?c\b",
    re.IGNORECASE,
)
GIVEN = re.compile(
    rf"\+ ?{_AGENT}\b|\bc ?\+|\b(?:gd|gad|gado\w*|gd[ -]?dtpa|km|mdc|ce|post|postkm|postgd|enhanced)\b"
    rf"|\b(?:with|w/?|mit|nach|after|apr[eè]s|con|c/|dopo|avec)[ /]*{_AGENT}\b|\bcontrast\b",
    re.IGNORECASE,
)
FAT_SUPPRESSED = re.compile(
    r"\b(?:fs|fat[ -]?sat\w*|fsat|fat[ -]?sup\w*|fs[ -]?t[12]|t[12][ -]?fs|stir|tirm|spir|spair|special|chess|water|wfs|we|water ?exc\w*|proset)\b",
    re.IGNORECASE,
)
DIXON = re.compile(
    r"\b(?:m?dixon|ideal|mdx|opp(?:osed)?(?: |-)?ph\w*|out(?: of)? ph\w*|outphase|opp|water only|fat only|fat image)\b",
    re.IGNORECASE,
)
IN_PHASE = re.compile(r"\b(?:in[ -]?ph(?:ase)?|inph|ip)\b", re.IGNORECASE)
GRADIENT_ECHO = re.compile(
    r"\b(?:gre|ge|gr|flash|vibe|f?spgr|[bt]?ffe|tfe|fisp|true?fi\w*|medic|lava|thrive|merge|fiesta|ciss|dess|mp-?rage|bravo|tfl\w*|fl[23]d\w*|grass|starvibe)\b"
    r"|\*fl[23]d",
    re.IGNORECASE,
)
INVERSION = re.compile(r"\b(?:flair|tirm|stir|tir|ir)\b", re.IGNORECASE)
T1_WEIGHTED, OTHER_WEIGHTED = (
    re.compile(r"t1", re.IGNORECASE),
    re.compile(
        r"\bt2|\bpd\b|\bpdw?\b|\bproton|\bdwi\b|\bdiff\w*|\badc\b|\bhaste\b|\bmyelo\w*|\bciss\b|\bstir\b|t2[w*]?\b", re.IGNORECASE
    ),
)
SPECTRAL = re.compile(
    r"\bkev\b|\d\s*kev\b|\bmono[ -]?(?:e|plus|\+|energ\w*)|\bvmi\b|\bvnca?\b|\bvirtual\b|\bmat_\w+|\biodine\b|\bjod\w*|\bz ?eff\b|\beff_atomic_num\b"
    r"|\belectron_density\b|\belectron density\b|\bcalcium sup\w*|\bcasupp\w*|\bmd\b.*\b(?:water|iodine|calcium|hap)\b|\brho/z\b|\bpurecalcium\b|\bpurelumen\b",
    re.IGNORECASE,
)
#: ImageType tokens of what was computed from images rather than acquired.
DERIVED = {
    "ADC": "ADC", "FA": "diffusion", "TRACEW": "diffusion", "DIFFUSION": "diffusion", "PHASE": "phase", "PHASE MAP": "phase", "P": "phase",
    "SUBTRACT": "subtraction", "SUBTRACTION": "subtraction", "SUB": "subtraction", "REAL": "real part", "R": "real part",
    "IMAGINARY": "imaginary part", "I": "imaginary part", "MIP": "projection", "MNIP": "projection", "PROJECTION IMAGE": "projection",
    "MAXIMUM INTENSITY PROJECTION": "projection", "MAP": "map", "T1MAP": "map", "T1 MAP": "map", "T2MAP": "map", "T2 MAP": "map",
    "PARAMETRIC": "map", "VELOCITY": "phase", "FAT_FRACTION": "map", "FF": "map",
}  # fmt: skip
DIXON_TYPES = {
    "FAT",
    "WATER",
    "W",
    "F",
    "OP",
    "OPP_PHASE",
    "OPPOSED_PHASE",
    "OUT_PHASE",
    "OUTPHASE",
    "OPPOSED",
    "FAT_FRACTION",
    "FF",
    "DIXON",
}


def acquisition(header) -> dict:
    """Fields of ``ImageTags`` that take some reading: "yes", "no" or a word of ours; None where nothing is said."""
    is_mr = text(header, "Modality") == "MR"
    said = _described(header)
    return dict(
        contrast=_contrast(header, said if is_mr else ""),
        fat_suppressed=_fat_suppressed(header, said) if is_mr else None,
        scanning_sequence=scanning_sequence(header),
        gradient_echo=_gradient_echo(header, said) if is_mr else None,
        inversion_recovery=("yes" if "IR" in _tokens(header, "ScanningSequence") or INVERSION.search(said) else None)
        if is_mr
        else None,
        weighting=_weighting(said) if is_mr else None,
        dixon=_dixon(header, said) if is_mr else None,
        derived=_derived(header),
        spectral=None if is_mr else _spectral(header, said),
    )


def _described(header) -> str:
    names = (text(header, name) or "" for name in ("SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName"))
    return f" {re.sub(r'[_.,;:()^]', ' ', ' | '.join(names))} "


def _tokens(header, name: str) -> list[str]:
    try:
        value = value_of(header, name)
        return [str(v).strip().upper() for v in ([value] if isinstance(value, str) else list(value or []))]
    except Exception:  # a malformed tag is as good as none
        return []


def _contrast(header, described: str) -> str | None:
    """An agent that is named was given, whatever its volume says; an empty tag is unknown (DICOM PS3.5 7.4.3, type 2)."""
    agent, route = text(header, "ContrastBolusAgent"), text(header, "ContrastBolusRoute") or ""
    named = None
    if agent is not None:
        only_oral = (ORAL.search(agent) or ORAL.search(route)) and not VENOUS.search(f"{agent} {route}")
        named = "no" if NONE_GIVEN.fullmatch(agent) or only_oral else "yes"
    elif value_of(header, "ContrastBolusAgentSequence"):
        named = "yes"
    return "yes" if GIVEN.search(DENIED.sub(" ", described)) else named


def _fat_suppressed(header, described: str) -> str | None:
    options, selected = text(header, "ScanOptions") or "", text(header, "SpectrallySelectedSuppression") or ""
    is_water = {"W", "WATER"} & set(_tokens(header, "ImageType"))
    if is_water or selected.upper().startswith("FAT") or FAT_SUPPRESSED.search(f"{options} {described}".replace("_", " ")):
        return "yes"
    return "no" if options or selected else None


def _gradient_echo(header, described: str) -> str | None:
    sequence, echo = _tokens(header, "ScanningSequence"), text(header, "EchoPulseSequence") or ""
    if "GR" in sequence or echo.upper() in ("GRADIENT", "BOTH") or GRADIENT_ECHO.search(described):
        return "yes"
    return "no" if sequence or echo else None


def _weighting(described: str) -> str | None:
    if T1_WEIGHTED.search(described):
        return "T1"
    return "other" if OTHER_WEIGHTED.search(described) else None


def _dixon(header, described: str) -> str | None:
    """Fat, water and opposed-phase images; the in-phase one looks like the spin echo itself."""
    kinds = _tokens(header, "ImageType")
    if any(kind in ("IN_PHASE", "INPHASE", "IP", "IN") for kind in kinds) or (
        IN_PHASE.search(described) and not DIXON_TYPES & set(kinds)
    ):
        return None
    return "yes" if DIXON_TYPES & set(kinds) or DIXON.search(described) else None


def _derived(header) -> str | None:
    kinds = _tokens(header, "ImageType")
    part = (text(header, "ComplexImageComponent") or "").upper()
    words = [DERIVED[kind] for kind in [*kinds[2:], part] if kind in DERIVED]
    if (text(header, "LossyImageCompression") or "") == "01":
        words.append("lossy compression")
    return ", ".join(dict.fromkeys(words)) or None


def _spectral(header, described: str) -> str | None:
    acquired = (text(header, "MultienergyCTAcquisition") or "").upper() == "YES"
    kinds = " ".join(_tokens(header, "ImageType")[2:])
    return "yes" if acquired or SPECTRAL.search(f"{kinds} {described}") else None
