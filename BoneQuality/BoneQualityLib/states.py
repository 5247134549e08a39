"""The states of a measurement: why a level is not used, why a value is empty, and what makes a number doubtful.

Code asks these types, never the texts that people read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(str, Enum):
    """How much a flag weighs; the most severe come first."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the most severe."""
        return list(Severity).index(self)


#: code -> (severity, sentence). The value behind a flag goes into the JSON with it.
CATALOG = {
    "kvp": ("warning", "Tube voltage is not 120 kV: HU are not comparable with the published cut-offs."),
    "contrast": ("warning", "Contrast agent was given: HU of bone read too high."),
    "thick-slices": ("warning", "Slices are thicker than 3 mm: cortical bone reaches into the cancellous region."),
    "sharp-kernel": ("warning", "A bone kernel was used: noise and edges change the HU."),
    "truncated": ("error", "The mask reaches the edge of the image: the vertebra is cut off and not used."),
    "small-roi": ("warning", "Little cancellous bone is left inside the margin."),
    "endplate-defect": (
        "warning",
        "No end slice lies 4 mm from the middle: an endplate is broken in, or the body is tilted or flat.",
    ),
    "cement-or-metal": ("warning", "Cement or metal lies in the cancellous region: its HU are not those of bone."),
    "possible-fracture": ("warning", "The body has lost height: a fracture is suggested, and a person decides whether it is one."),
    "hu-offset": ("warning", "Air is not near -1000 HU: the scanner's calibration or the rescaling is off."),
    "not-t1": ("warning", "The image does not look like T1 spin echo, by its repetition or echo time, or because CSF is not dark."),
    "inversion-recovery": ("warning", "An inversion pulse was used (T1-FLAIR): it darkens CSF and raises VBQ."),
    "fat-suppressed": ("warning", "Fat is suppressed: the marrow's signal does not show its fat."),
    "rescaled": ("warning", "Intensities are 8-bit or cut off at the top: ratios of signals may be wrong."),
    "coil-shading": (
        "warning",
        "The signal of CSF or marrow drifts along the spine, as near a surface coil: VBQ depends on the levels.",
    ),
    "csf-level": ("info", "CSF was not read at L3, but at the level named here or at none: without CSF there is no VBQ."),
    "parasagittal": ("info", "The level lies off the mid-sagittal slice and was read on its own slice."),
    "hyperlipidemia": ("warning", "Hyperlipidemia raises VBQ: prefer HU (Xue 2025)."),
    "frame-uncertain": ("warning", "The vertebra's own axes, or its body within the mask, are uncertain."),
    "level-order": (
        "error",
        "The levels are not in anatomical order from top to bottom: check the segments' names, or the slices given.",
    ),
    "mask-overlap": ("warning", "Masks overlap by more than 1 %: what they share counts twice."),
    "muscle-bias": (
        "warning",
        "The fat thresholds of the two sides differ by more than 20 %: the coil's bias reaches the fat infiltration.",
    ),
    "fat-water": ("warning", "The muscles hold more fat than water: see that the fat and the water image are not exchanged."),
    "muscle-cut": ("warning", "A compartment reaches the edge of the image, or of its mask: its area is not used."),
    "disc-absent": ("info", "There is no mask of this disc: no rCSA is given there."),
    "few-levels": ("warning", "Too few levels: one alone carries the value, or VBQ has none."),
    "straddles-cutoff": ("info", "A published cut-off lies within the uncertainty of the value."),
}


class Exclusion(Enum):
    """Why a level does not enter the case values."""

    FRACTURED = "fractured"
    CEMENTED = "cemented"
    EXCLUDED = "excluded"
    OUTSIDE_MEAN = "outside L1-L4"
    NO_MASK = "no mask"
    NO_CT = "no CT"
    NO_T1 = "no T1 MRI"
    NOT_MEASURED = "not measured"
    IMPLAUSIBLE = "the mask or its label is implausible"
    DOUBTFUL = "doubtful"  # by --strict: a warning of the level takes it out


#: What a person said of a level, by the field of CaseFacts.
SAID_BY_PERSON = (Exclusion.FRACTURED, Exclusion.CEMENTED, Exclusion.EXCLUDED)


@dataclass(frozen=True)
class Reason:
    """Why a value is empty. column: the one it stands for; "" where it stands for several."""

    sentence: str
    column: str = ""

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True)
class Flag:
    """What makes a number doubtful.

    code: a key of CATALOG. level: a vertebra or disc, "" for the whole case. value, unit: the number behind it. about: names that
    belong to it (masks, levels, a kernel), for people.
    """

    code: str
    level: str = ""
    value: float | None = None
    unit: str = ""
    about: str = ""

    @property
    def severity(self) -> Severity:
        return Severity(CATALOG[self.code][0])

    @property
    def sentence(self) -> str:
        return CATALOG[self.code][1]


def codes(flags: list[Flag]) -> str:
    """The codes of flags as one table cell, each once, in order."""
    return "; ".join(dict.fromkeys(flag.code for flag in flags))
