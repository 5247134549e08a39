"""What a person may set: the facts of a case and the parameters of the method; and the names of levels and discs.

The command line, the panel, the JSON and the manifest are made from the dataclasses below.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields

from .errors import BoneQualityError, Sentence
from .states import SAID_BY_PERSON, Exclusion

T1_LONGEST_TR_MS, T1_LONGEST_TE_MS = 1000.0, 30.0
LEVELS = tuple(f"T{n}" for n in range(1, 14)) + tuple(f"L{n}" for n in range(1, 7)) + ("S1",)
#: Discs by the vertebra above and below.
DISCS = tuple(f"{a}-{b}" for a, b in zip(LEVELS, LEVELS[1:])) + ("T12-L1", "L5-S1")
#: Pairs of vertebrae with a disc between them.
NEIGHBORS = frozenset(frozenset(disc.split("-")) for disc in DISCS)
_DEVICE = re.compile(r"con|prn|aux|nul|com\d|lpt\d", re.IGNORECASE)
LUMBAR_USED = ("L1", "L2", "L3", "L4")


def setting(default, help, unit="", low=None, high=None, choices=(), form=""):
    """A dataclass field that carries its own documentation and limits; form: how a text is written that is no choice."""
    return field(default=default, metadata=dict(help=help, unit=unit, low=low, high=high, choices=choices, form=form))


def check_settings(values) -> None:
    """Raise BoneQualityError for the first field of a dataclass that is outside its limits or choices."""
    for item in fields(values):
        value, limits = getattr(values, item.name), item.metadata
        if value is None or not limits:
            continue
        if limits["choices"] and value not in limits["choices"]:
            sentence = "{setting} is {value!r}; choose one of {choices}."
            raise BoneQualityError(sentence, setting=item.name, value=value, choices=", ".join(limits["choices"]))
        if limits["low"] is not None and not (
            isinstance(value, (int, float)) and math.isfinite(value) and limits["low"] <= value <= limits["high"]
        ):
            sentence = "{setting} is {value}; give a number from {low:g} to {high:g}" + (" {unit}." if limits["unit"] else ".")
            raise BoneQualityError(
                sentence, setting=item.name, value=value, **{name: limits[name] for name in ("low", "high", "unit")}
            )


@dataclass(frozen=True)
class Parameters:
    """How a case is measured. The defaults are those of the papers, or the nearest to them that a mask allows."""

    mask: str = setting(
        "auto",
        "what the vertebra masks cover; auto: as the segment's name or terminology says, otherwise judged by shape",
        choices=("auto", "vertebra", "body", "cancellous"),
    )
    cancellous_margin_mm: float = setting(
        3.0,
        "CT: distance by which the body's surface is eroded to obtain the cancellous region",
        "mm",
        0.0,
        10.0,
    )
    slice_plane: str = setting(
        "axial",
        "CT: plane of the three slices: patient axial as in the papers, or parallel to the vertebra's own mid-plane",
        choices=("axial", "vertebra"),
    )
    avoid_basivertebral: bool = setting(
        True, "CT: keep the middle ellipse in the anterior two thirds, away from the basivertebral veins"
    )
    vbq_margin_mm: float = setting(3.0, "T1 MRI: in-plane distance of the marrow ROI from the outline of the body", "mm", 0.0, 10.0)
    vbq_slice: str = setting(
        "midsagittal",
        "T1 MRI: where marrow is read: on the common mid-sagittal slice, on each vertebra's own, or in the whole body",
        choices=("midsagittal", "per-vertebra", "volume"),
    )
    fat_threshold: str = setting(
        "reference",
        "axial MRI: pixels above this signal count as fat: midway between lean muscle and subcutaneous fat (reference), Otsu's threshold, or a value",
        form="reference|otsu|VALUE",
    )
    disc_slices: str = setting(
        "", "axial images: position (S, mm) of the slice to use at a disc, instead of the middle of its mask", form="L3-L4=S,.."
    )
    strict: bool = setting(False, "exclude every level that has a warning")

    def __post_init__(self):
        check_settings(self)
        object.__setattr__(self, "fat_threshold", str(self.fat_threshold))
        if self.fat_threshold not in ("reference", "otsu") and not _is_number(self.fat_threshold):
            sentence = "The fat threshold is {value!r}; give reference, otsu or a number."
            raise BoneQualityError(sentence, value=self.fat_threshold)
        self.disc_positions  # raises where it cannot be read

    @property
    def disc_positions(self) -> dict[str, float]:
        """S of discs, mm, as ``disc_slices`` says."""
        found = {}
        for part in filter(None, (part.strip() for part in self.disc_slices.split(","))):
            disc, _, position = (text.strip() for text in part.partition("="))
            if disc.upper() not in DISCS or disc.upper() in found or not _is_number(position):
                sentence = "{part!r} among the slices at discs is no disc with its S in mm, or is repeated; write for example {example}."
                raise BoneQualityError(sentence, part=part, example="L3-L4=-12.5,L4-L5=-48")
            found[disc.upper()] = float(position)
        return found


def is_id(text: str) -> bool:
    """Whether a text can name files and nodes, on Windows too, where some names are those of devices whatever follows a point."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", text) is not None and not _DEVICE.fullmatch(text.split(".")[0])


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


@dataclass(frozen=True)
class CaseFacts:
    """What is known of a case beside its images. Only the id is needed; it names the files, so never a patient's name."""

    case_id: str
    fractured: tuple[str, ...] = setting((), "fractured levels, left out of the case values")
    cemented: tuple[str, ...] = setting((), "cemented levels, left out of the case values")
    excluded: tuple[str, ...] = setting((), "levels left out of the case values for another reason")
    csf_blocked: tuple[str, ...] = setting((), "levels where the CSF cannot be read, such as in stenosis")
    t_score: float | None = setting(None, "DXA T-score of the lumbar spine", "SD", -10.0, 10.0)
    age: float | None = setting(None, "age", "years", 0.0, 125.0)
    sex: str | None = setting(None, "sex", choices=("F", "M"))
    bmi: float | None = setting(None, "body mass index", "kg/m2", 5.0, 150.0)
    hyperlipidemia: str | None = setting(None, "hyperlipidemia, which raises VBQ", choices=("yes", "no"))
    contrast: str | None = setting(None, "CT with contrast agent, if the image does not say", choices=("yes", "no"))
    reader: str | None = setting(None, "who read the case (a code, not a name)")

    def __post_init__(self):
        check_settings(self)
        for name in ("case_id", "reader"):
            value = getattr(self, name)
            if value is not None and not is_id(str(value)):
                sentence = (
                    "The {fact} {value!r} cannot be used; give up to 100 letters, digits, '.', '_' and '-', "
                    "beginning with a letter or digit, and no name of a device of Windows (CON, NUL, COM1)."
                )
                raise BoneQualityError(sentence, fact=Sentence(name.replace("_", " ")), value=value)
        for name in ("fractured", "cemented", "excluded", "csf_blocked"):
            levels = tuple(str(level).strip().upper() for level in getattr(self, name))
            object.__setattr__(self, name, levels)
            unknown = [level for level in levels if level not in LEVELS]
            if unknown:
                sentence = "{setting}: {levels} is no vertebral level; give levels such as L2,L3."
                raise BoneQualityError(sentence, setting=name, levels=", ".join(unknown))

    def exclusions(self, level: str) -> tuple[Exclusion, ...]:
        """Why a person took this level out, if someone did."""
        return tuple(why for why in SAID_BY_PERSON if level in getattr(self, why.value))


#: Discs whose values make the case value (Zhan 2024).
CASE_DISCS = ("L1-L2", "L2-L3", "L3-L4", "L4-L5")
