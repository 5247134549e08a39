"""Quality flags: what makes a number doubtful, in one sentence each, with the thresholds in one place."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from .geometry import Image

#: code -> (severity, sentence). The number behind a flag goes into the JSON with it.
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

KVP = 120.0
THICK_SLICE_MM = 3.0
SMALL_ROI_MM3 = 4000.0
CEMENT_HU, CEMENT_MM3 = 700.0, 200.0
SHADING_SHARE = 0.20
AIR_HU, AIR_TOLERANCE_HU, AIR_BELOW_HU, AIR_FLOOR_HU, AIR_SHARE = -1000.0, 50.0, -700.0, -1300.0, 0.005
T1_LONGEST_TR_MS, T1_LONGEST_TE_MS = 1000.0, 30.0
SATURATED_SHARE = 0.001
OVERLAP_SHARE = 0.01
BIAS_SHARE = 0.20
MOST_FAT_PERCENT = 50.0
STRADDLE_HU, STRADDLE_VBQ_SHARE = 10.0, 0.05
#: Bone and lung kernels by the vendors' own names: Siemens B60-B90, Br59 and up, Hr and Bl sharp; GE; Philips; Canon.
SHARP_KERNEL = re.compile(
    r"(?i)^(?:b[6-9]\d[fhs]?|b[lrv](?:59|[6-9]\d)[a-z]?|[huqj][a-z]?(?:59|[6-9]\d)[a-z]?|bone(?:plus)?|boneplus|lung|edge|ultra"
    r"|hd ?bone.*|y[a-d]|[de]|fc(?:3\d|5\d|8\d))(?=$|[\s^\\/_-])"
)


@dataclass(frozen=True)
class Flag:
    """code: a key of CATALOG; level: "" for the whole case; number: what was found."""

    code: str
    level: str = ""
    number: float | str | None = None

    @property
    def severity(self) -> str:
        return CATALOG[self.code][0]

    @property
    def sentence(self) -> str:
        return CATALOG[self.code][1]


def codes(flags: list[Flag]) -> str:
    """The codes of flags as one table cell, each once, in order."""
    return "; ".join(dict.fromkeys(flag.code for flag in flags))


def ct_flags(image: Image, contrast_known: str | None) -> list[Flag]:
    """What a CT's tags and its air say."""
    tags, found = image.tags, []
    if tags.kvp is not None and tags.kvp != KVP:
        found.append(Flag("kvp", number=tags.kvp))
    if "yes" in (tags.contrast, contrast_known):
        found.append(Flag("contrast", number="yes"))
    if image.slice_thickness > THICK_SLICE_MM + 1e-6:
        found.append(Flag("thick-slices", number=image.slice_thickness))
    if tags.kernel and SHARP_KERNEL.match(tags.kernel.strip()):
        found.append(Flag("sharp-kernel", number=tags.kernel))
    air = air_hu(image)
    if air is not None and abs(air - AIR_HU) > AIR_TOLERANCE_HU:
        found.append(Flag("hu-offset", number=air))
    return found


def air_hu(image: Image) -> float | None:
    """The most frequent HU of air, to 20 HU, from every third voxel along each axis; None where little air is in view.

    Padding beyond the scanner's circle lies lower and does not count; lung is spread wider than the air around the body.
    """
    thinned = image.thinned
    air = thinned[(thinned > AIR_FLOOR_HU) & (thinned < AIR_BELOW_HU)]
    if air.size < AIR_SHARE * thinned.size:
        return None
    counts, edges = np.histogram(air, bins=30, range=(AIR_FLOOR_HU, AIR_BELOW_HU))
    densest = int(np.argmax(counts))
    nearby = air[(air >= edges[densest] - 20) & (air <= edges[densest + 1] + 20)]
    return float(np.median(nearby))


def t1_flags(image: Image) -> list[Flag]:
    """What a T1 image's tags and its histogram's top say."""
    tags, found = image.tags, []
    if (tags.tr_ms or 0) > T1_LONGEST_TR_MS:
        found.append(Flag("not-t1", number=tags.tr_ms))
    elif (tags.te_ms or 0) > T1_LONGEST_TE_MS:
        found.append(Flag("not-t1", number=tags.te_ms))
    if tags.ti_ms:
        found.append(Flag("inversion-recovery", number=tags.ti_ms))
    if tags.fat_suppressed == "yes":
        found.append(Flag("fat-suppressed", number="yes"))
    saturated = float(np.count_nonzero(image.array == np.nanmax(image.array))) / image.array.size
    if image.array.dtype.itemsize == 1 or saturated > SATURATED_SHARE:
        found.append(Flag("rescaled", number="8-bit" if image.array.dtype.itemsize == 1 else saturated))
    return found


#: Tags that a flag needs: where the image does not hold them, the JSON lists them as unknown.
TAGS_NEEDED = {
    "ct": ("kvp", "slice_thickness_mm", "kernel", "contrast"),
    "t1": ("tr_ms", "te_ms", "ti_ms", "fat_suppressed", "field_strength_t"),
}


def unknown_tags(image: Image, kind: str) -> list[str]:
    return [name for name in TAGS_NEEDED.get(kind, ()) if getattr(image.tags, name) is None]
