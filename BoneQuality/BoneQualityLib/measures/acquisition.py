"""What a CT's tags say about how it was acquired, and which tags are unknown."""

from __future__ import annotations

import re

from ..image.image import Image
from ..states import Flag

KVP = 120.0
THICK_SLICE_MM = 3.0
#: Bone and lung kernels by the vendors' own names: Siemens B60-B90, Br59 and up, Hr and Bl sharp; GE; Philips; Canon.
SHARP_KERNEL = re.compile(
    r"(?i)^(?:b[6-9]\d[fhs]?|b[lrv](?:59|[6-9]\d)[a-z]?|[huqj][a-z]?(?:59|[6-9]\d)[a-z]?|bone(?:plus)?|boneplus|lung|edge|ultra"
    r"|hd ?bone.*|y[a-d]|[de]|fc(?:3\d|5\d|8\d))(?=$|[\s^\\/_-])"
)


def ct_flags(image: Image, contrast_known: str | None) -> list[Flag]:
    """What a CT's tags say."""
    tags, found = image.tags, []
    if tags.kvp is not None and tags.kvp != KVP:
        found.append(Flag("kvp", value=tags.kvp, unit="kV"))
    if "yes" in (tags.contrast, contrast_known):
        found.append(Flag("contrast"))
    if image.slice_thickness > THICK_SLICE_MM + 1e-6:
        found.append(Flag("thick-slices", value=image.slice_thickness, unit="mm"))
    if tags.kernel and SHARP_KERNEL.match(tags.kernel.strip()):
        found.append(Flag("sharp-kernel", about=tags.kernel))
    if tags.spectral == "yes":
        found.append(Flag("spectral"))
    if tags.derived:
        found.append(Flag("derived", about=tags.derived))
    return found


#: Tags that a flag needs: where the image does not hold them, the JSON lists them as unknown.
TAGS_NEEDED = {
    "ct": ("kvp", "slice_thickness_mm", "kernel", "contrast"),
    "t1": ("tr_ms", "te_ms", "ti_ms", "fat_suppressed", "field_strength_t"),
}


def unknown_tags(image: Image, kind: str) -> list[str]:
    return [name for name in TAGS_NEEDED.get(kind, ()) if getattr(image.tags, name) is None]
