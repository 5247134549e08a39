"""Whether a T1 MRI is a native T1 spin echo, the only one that VBQ is defined on (Ehresman 2019), by its tags and its values."""

from __future__ import annotations

import numpy as np

from ..errors import Sentence
from ..image.image import Image
from ..parameters import T1_LONGEST_TE_MS, T1_LONGEST_TR_MS
from ..states import Flag

#: More voxels than this at the very top value were cut off there.
SATURATED_SHARE = 0.001


def t1_flags(image: Image) -> list[Flag]:
    """What a T1 image's tags and its histogram's top say against it."""
    tags = image.tags
    found = _weighting(image)
    if tags.ti_ms or tags.inversion_recovery == "yes":
        found.append(Flag("inversion-recovery", value=tags.ti_ms, unit="ms", about="TI") if tags.ti_ms else Flag("inversion-recovery"))
    warned = {"fat-suppressed": tags.fat_suppressed, "contrast-mr": tags.contrast, "not-spin-echo": tags.gradient_echo, "dixon": tags.dixon}
    found += [Flag(code) for code, said in warned.items() if said == "yes"]
    if tags.derived:
        found.append(Flag("derived", about=tags.derived))
    return found + _rescaled(image)


def _weighting(image: Image) -> list[Flag]:
    tags = image.tags
    if (tags.tr_ms or 0) > T1_LONGEST_TR_MS:
        return [Flag("not-t1", value=tags.tr_ms, unit="ms", about="TR")]
    if (tags.te_ms or 0) > T1_LONGEST_TE_MS:
        return [Flag("not-t1", value=tags.te_ms, unit="ms", about="TE")]
    return [Flag("not-t1", about="the series' description")] if tags.weighting == "other" else []


def _rescaled(image: Image) -> list[Flag]:
    if image.array.dtype.itemsize == 1:
        return [Flag("rescaled", about="8-bit")]
    saturated = float(np.count_nonzero(image.array == np.nanmax(image.array))) / image.array.size
    too_many = saturated > SATURATED_SHARE
    return [Flag("rescaled", value=100 * saturated, unit="% at the top value")] if too_many else []


def not_dark(csf_signal: float, marrow_signals: list[float]) -> str:
    """Why CSF cannot stand below marrow in a ratio: "" where it is darker than the marrow's median, as in every T1 image."""
    if not marrow_signals or csf_signal < np.median(marrow_signals):
        return ""
    return Sentence(
        "CSF ({csf:.0f}) is not darker than marrow ({marrow:.0f}), so this is no T1-weighted image (T2, or another contrast)",
        csf=csf_signal,
        marrow=np.median(marrow_signals),
    )
