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
    "kvp": ("warning", "The tube voltage is not 120 kV; HU are not comparable with the published cut-offs."),
    "contrast": ("warning", "The CT was acquired with contrast agent, which raises the HU of bone."),
    "thick-slices": (
        "warning",
        "Slices are thicker than 3 mm; partial volume with cortical bone is larger and slice values are less certain.",
    ),
    "sharp-kernel": ("warning", "The CT was reconstructed with a bone kernel; noise and edge enhancement change HU."),
    "truncated": ("error", "The vertebral body reaches the edge of the image and is not used."),
    "small-roi": ("warning", "The cancellous region is small."),
    "endplate-defect": ("warning", "An endplate shows a pit or a break; the end slice next to it is not measured."),
    "no-end-slice": ("info", "An end slice does not fit: the body is tilted or flat, or the slices are too thick."),
    "no-data": (
        "warning",
        "More than 1 % of a region holds no data (padding, NaN or values under -1500); it is not measured there.",
    ),
    "mask-holes": ("info", "The mask was full of holes, as thresholds leave them; holes of up to 2 mm were closed."),
    "dense-focus": (
        "warning",
        "Part of the region is much denser than the rest: a bone island, calcified disc or cement. Please exclude it.",
    ),
    "lucent-focus": (
        "warning",
        "Part of the region is much less dense than the rest: a hemangioma, cyst or lysis. Please exclude it.",
    ),
    "hu-outlier": ("warning", "The HU of this level, or their spread, are far from those of its neighbors."),
    "cement-or-metal": ("warning", "The cancellous region contains cement or metal; its HU are not those of bone."),
    "possible-fracture": (
        "warning",
        "The vertebral body has lost height, which suggests a fracture. Please review; if it is fractured, mark the level.",
    ),
    "hu-offset": ("warning", "Air is not at -1000 HU; the scanner's calibration or the rescaling may be off."),
    "hu-unverified": (
        "info",
        "No air around the body is in view, so offsets of up to 60 HU and scale errors of 0.5 to 1.2 cannot be detected.",
    ),
    "spectral": (
        "warning",
        "This is a spectral image (virtual monoenergetic, virtual non-contrast or a material map); its HU are not those at 120 kV.",
    ),
    "mask-off-bone": ("error", "No cortical rim runs along the mask, so it does not lie on this bone; the level is not used."),
    "mask-fragmented": ("warning", "The mask has several pieces or reaches into a neighboring vertebra; only its main piece is read."),
    "level-gap": ("warning", "A level is skipped between two others; check the numbering, or whether a mask is missing."),
    "level-numbering": ("warning", "The anatomy contradicts the numbering of the levels."),
    "contrast-mr": ("warning", "The MRI was acquired with contrast agent, which raises the marrow signal and VBQ."),
    "not-spin-echo": ("warning", "The MRI is a gradient echo; VBQ is defined on spin echo."),
    "dixon": ("warning", "The MRI is a Dixon image (fat, water or opposed phase); its signal ratios differ from T1 spin echo."),
    "derived": ("warning", "The image was computed from others or compressed with loss; its values may differ."),
    "not-t1": ("warning", "The image does not look like T1-weighted spin echo, judging by TR, TE or the brightness of CSF."),
    "inversion-recovery": ("warning", "An inversion pulse was used (T1-FLAIR); it darkens CSF and raises VBQ."),
    "fat-suppressed": ("warning", "Fat is suppressed, so the marrow signal does not reflect its fat content."),
    "rescaled": ("warning", "Intensities are 8-bit or clipped at the top; signal ratios may be wrong."),
    "coil-shading": (
        "warning",
        "The signal of CSF or marrow drifts along the spine, as near a surface coil; VBQ then depends on the levels used.",
    ),
    "csf-level": ("info", "CSF was not read at L3 but at the level given here. Without CSF at any level there is no VBQ."),
    "parasagittal": ("info", "The level was read on its own parasagittal slice instead of the common mid-sagittal one."),
    "hyperlipidemia": ("warning", "Hyperlipidemia raises VBQ; prefer HU (Xue 2025)."),
    "frame-uncertain": ("warning", "The vertebra's axes, or the extent of its body within the mask, are uncertain."),
    "level-order": ("error", "Levels are not in anatomical order from top to bottom; check the segment names or the slices given."),
    "mask-overlap": ("warning", "Masks overlap by more than 1 %; the shared voxels count twice."),
    "muscle-bias": (
        "warning",
        "The fat thresholds of the left and right side differ by more than 20 %; the coil's bias field affects fat infiltration.",
    ),
    "fat-water": ("warning", "The muscles contain more fat than water; check that the fat and water images are not swapped."),
    "muscle-cut": ("warning", "A muscle reaches the edge of the image or of its mask; its area is not used."),
    "disc-absent": ("info", "There is no mask of this disc, so no rCSA is given there."),
    "neighbor-slice": (
        "info",
        "The muscles were drawn on the slice next to the one through the middle of the disc and were read there.",
    ),
    "segments-ignored": ("info", "Segments whose structure is unclear were ignored; none of them would be measured."),
    "few-levels": ("warning", "Too few levels: a single level determines the value, or there are not enough for VBQ."),
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
    DOUBTFUL = "doubtful"  # by the parameter strict: a warning of the level takes it out


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
    belong to it (masks, levels, a kernel), for people. is_aside: of a level that no value of the case uses: it comes last, and is
    never an error.
    """

    code: str
    level: str = ""
    value: float | None = None
    unit: str = ""
    about: str = ""
    is_aside: bool = False

    @property
    def severity(self) -> Severity:
        severity = Severity(CATALOG[self.code][0])
        return Severity.INFO if self.is_aside and severity is Severity.ERROR else severity

    @property
    def sentence(self) -> str:
        return CATALOG[self.code][1]

    @property
    def order(self) -> tuple[bool, int]:
        """What to sort flags by: those that matter most first."""
        return self.is_aside, self.severity.rank


def codes(flags: list[Flag]) -> str:
    """The codes of flags as one table cell, each once, in order."""
    return "; ".join(dict.fromkeys(flag.code for flag in flags))
