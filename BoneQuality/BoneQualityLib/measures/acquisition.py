"""What an image's tags and histogram say about how it was acquired."""

from __future__ import annotations

import re

import numpy as np

from ..image.image import Image
from ..parameters import T1_LONGEST_TE_MS, T1_LONGEST_TR_MS
from ..states import Flag

KVP = 120.0
THICK_SLICE_MM = 3.0
AIR_HU, AIR_TOLERANCE_HU, AIR_BELOW_HU, AIR_FLOOR_HU, AIR_SHARE = -1000.0, 50.0, -700.0, -1300.0, 0.005
SATURATED_SHARE = 0.001
#: Bone and lung kernels by the vendors' own names: Siemens B60-B90, Br59 and up, Hr and Bl sharp; GE; Philips; Canon.
SHARP_KERNEL = re.compile(
    r"(?i)^(?:b[6-9]\d[fhs]?|b[lrv](?:59|[6-9]\d)[a-z]?|[huqj][a-z]?(?:59|[6-9]\d)[a-z]?|bone(?:plus)?|boneplus|lung|edge|ultra"
    r"|hd ?bone.*|y[a-d]|[de]|fc(?:3\d|5\d|8\d))(?=$|[\s^\\/_-])"
)


def ct_flags(image: Image, contrast_known: str | None) -> list[Flag]:
    """What a CT's tags and its air say."""
    tags, found = image.tags, []
    if tags.kvp is not None and tags.kvp != KVP:
        found.append(Flag("kvp", value=tags.kvp, unit="kV"))
    if "yes" in (tags.contrast, contrast_known):
        found.append(Flag("contrast"))
    if image.slice_thickness > THICK_SLICE_MM + 1e-6:
        found.append(Flag("thick-slices", value=image.slice_thickness, unit="mm"))
    if tags.kernel and SHARP_KERNEL.match(tags.kernel.strip()):
        found.append(Flag("sharp-kernel", about=tags.kernel))
    air = air_hu(image)
    if air is not None and abs(air - AIR_HU) > AIR_TOLERANCE_HU:
        found.append(Flag("hu-offset", value=air, unit="HU"))
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
        found.append(Flag("not-t1", value=tags.tr_ms, unit="ms", about="TR"))
    elif (tags.te_ms or 0) > T1_LONGEST_TE_MS:
        found.append(Flag("not-t1", value=tags.te_ms, unit="ms", about="TE"))
    if tags.ti_ms:
        found.append(Flag("inversion-recovery", value=tags.ti_ms, unit="ms", about="TI"))
    if tags.fat_suppressed == "yes":
        found.append(Flag("fat-suppressed"))
    saturated = float(np.count_nonzero(image.array == np.nanmax(image.array))) / image.array.size
    is_8_bit = image.array.dtype.itemsize == 1
    if is_8_bit or saturated > SATURATED_SHARE:
        found.append(Flag("rescaled", about="8-bit") if is_8_bit else Flag("rescaled", value=100 * saturated, unit="% at the top value"))
    return found


#: Tags that a flag needs: where the image does not hold them, the JSON lists them as unknown.
TAGS_NEEDED = {
    "ct": ("kvp", "slice_thickness_mm", "kernel", "contrast"),
    "t1": ("tr_ms", "te_ms", "ti_ms", "fat_suppressed", "field_strength_t"),
}


def unknown_tags(image: Image, kind: str) -> list[str]:
    return [name for name in TAGS_NEEDED.get(kind, ()) if getattr(image.tags, name) is None]
