"""Quality flags: what makes a number doubtful, in one sentence each, with the thresholds in one place."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..columns import Cutoff
from ..measures.csf import Csf, used_csf
from ..measures.uncertainty import Variations, extremes, mean_of
from ..parameters import LEVELS, LUMBAR_USED
from ..states import Flag
from .result import CaseResult, Level

SHADING_SHARE = 0.20
STRADDLE_HU, STRADDLE_VBQ_SHARE = 10.0, 0.05
CT_MEANS = ("hu_3d", "hu_3d_wide", "hu_multislice", "hu_middle")
CT_MEANS_INCLUDING_FRACTURED = ("hu_3d", "hu_multislice")
CT_RANGES = ("hu_3d", "hu_multislice")
FEWEST_VBQ_LEVELS = 2


def set_case_values(result: CaseResult, cutoffs: Iterable[Cutoff]) -> None:
    """Fill in the case row, the ranges, the cut-offs, and the flags that only the whole case can raise."""
    if result.parameters.strict:
        _exclude_doubtful(result)
    lumbar = [level for level in result.levels if level.name in LUMBAR_USED]
    for level in lumbar:
        if not level.ct_exclusion and "hu_3d" not in level.ct.values:
            level.ct_exclusion = "not measured"
        if not level.t1_exclusion and "t1_signal" not in level.t1.values:
            level.t1_exclusion = "not measured"
    if "ct" in result.inputs:
        _ct_values(result, lumbar)
    if "t1" in result.inputs:
        _vbq_values(result, lumbar)
    _set_cutoffs(result, cutoffs)


def _exclude_doubtful(result: CaseResult) -> None:
    """Turn warnings that belong to a level into its exclusion."""
    for level in result.levels:
        for role, numbers in (("ct_exclusion", level.ct), ("t1_exclusion", level.t1)):
            doubts = [flag.code for flag in numbers.flags if flag.severity == "warning"]
            if doubts and not getattr(level, role):
                setattr(level, role, "; ".join(dict.fromkeys(doubts)))


def _ct_values(result: CaseResult, lumbar: list[Level]) -> None:
    values = result.values
    used = [level for level in lumbar if not level.ct_exclusion]
    with_fractured = [level for level in lumbar if level.ct_exclusion in ("", "fractured")]
    for name in CT_MEANS:
        values[name] = _mean(used, name)
    for name in CT_MEANS_INCLUDING_FRACTURED:
        values[f"{name}_including_fractured"] = _mean(with_fractured, name)
    values["hu_middle_l1"] = _mean([level for level in used if level.name == "L1"], "hu_middle")
    values["ct_levels"] = [level.name for level in used]
    for name in CT_RANGES:
        for level in result.levels:
            _set_range(level.ct.values, name, level.ct.variations.get(name, {}))
        _set_range(values, name, mean_of([level.ct.variations[name] for level in used if name in level.ct.variations]))
    if len(used) == 1:
        result.flags.append(Flag("few-levels", number="CT: 1"))


def _mean(levels: list[Level], name: str) -> float | None:
    found = [level.ct.values[name] for level in levels if name in level.ct.values]
    return float(np.mean(found)) if found else None


def _set_range(values: dict, name: str, variations: Variations) -> None:
    if values.get(name) is not None and variations:
        values[f"{name}_low"], values[f"{name}_high"] = extremes(values[name], variations)


def _vbq_values(result: CaseResult, lumbar: list[Level]) -> None:
    values, csf = result.values, used_csf(result.csf)
    used = [level for level in lumbar if not level.t1_exclusion]
    with_fractured = [level for level in lumbar if level.t1_exclusion in ("", "fractured") and "t1_signal" in level.t1.values]
    values["t1_levels"] = [level.name for level in used]
    _flag_shading(result, lumbar)
    if csf is None:
        blocked = "; ".join(f"CSF {name}: {c.blocked}" for name, c in result.csf.items())
        result.reasons.append(f"no VBQ: {blocked}")
        result.flags.append(Flag("csf-level", number=f"none ({blocked})"))
        return
    values.update(csf_signal=csf.signal, csf_level=csf.level)
    if csf.level != "L3":
        result.flags.append(Flag("csf-level", number=csf.level))
    for level in result.levels:
        if "t1_signal" in level.t1.values:
            level.t1.values["vbq_single_level"] = level.t1.values["t1_signal"] / csf.signal
            _set_range(level.t1.values, "vbq_single_level", _ratios([level], csf))
    if len(used) < FEWEST_VBQ_LEVELS:
        result.reasons.append(f"no VBQ: {len(used)} used level of L1-L4; at least {FEWEST_VBQ_LEVELS} are needed")
        result.flags.append(Flag("few-levels", number=f"T1: {len(used)}"))
    for name, levels in (("vbq", used), ("vbq_including_fractured", with_fractured)):
        if len(levels) >= FEWEST_VBQ_LEVELS:
            values[name] = float(np.median([level.t1.values["t1_signal"] for level in levels])) / csf.signal
    _set_range(values, "vbq", _ratios(used, csf))
    marrow = [level.t1.values["t1_signal"] for level in used]
    if marrow and csf.signal >= np.median(marrow):
        result.flags.append(Flag("not-t1", number=f"CSF {csf.signal:.1f} against marrow {np.median(marrow):.1f}"))
    if result.facts.hyperlipidemia == "yes":
        result.flags.append(Flag("hyperlipidemia", number="yes"))


def _ratios(levels: list[Level], csf: Csf) -> Variations:
    """VBQ under every variation: the same one for marrow and CSF."""
    several = [level.t1.variations.get("t1_signal", {}) for level in levels]
    names = set.intersection(*(set(v) for v in several)) if several else set()
    return {name: float(np.median([v[name] for v in several])) / csf.variations.get(name, csf.signal) for name in sorted(names)}


def _flag_shading(result: CaseResult, lumbar: list[Level]) -> None:
    """Flag a trend of CSF or marrow over L1-L4 of more than a fifth of its mean, by a straight line through the levels."""
    marrow = {level.name: level.t1.values["t1_signal"] for level in lumbar if not level.t1_exclusion}
    fluid = {name: csf.signal for name, csf in result.csf.items() if not csf.blocked}
    for what, signals in (("CSF", fluid), ("marrow", marrow)):
        if len(signals) < 3 or not np.mean(list(signals.values())) > 0:
            continue
        at = [LEVELS.index(name) for name in signals]
        slope = np.polyfit(at, list(signals.values()), 1)[0]
        trend = abs(slope) * (len(LUMBAR_USED) - 1) / np.mean(list(signals.values()))
        if trend > SHADING_SHARE:
            result.flags.append(Flag("coil-shading", number=f"{what} {100 * trend:.0f} %"))


def _set_cutoffs(result: CaseResult, cutoffs: Iterable[Cutoff]) -> None:
    by_name = {level.name: level for level in result.levels}
    for cutoff in cutoffs:
        values = result.values
        if cutoff.level and cutoff.measure not in values:
            level = by_name.get(cutoff.level)
            used = level and not (level.t1_exclusion if cutoff.is_vbq else level.ct_exclusion)
            values = level.values if used else {}
        value = values.get(cutoff.measure)
        if value is None:
            continue
        low, high = values.get(f"{cutoff.measure}_low", value), values.get(f"{cutoff.measure}_high", value)
        width = (STRADDLE_VBQ_SHARE * cutoff.cutoff if cutoff.is_vbq else STRADDLE_HU) + _standard_error(result, cutoff)
        straddles = low - width <= cutoff.cutoff <= high + width
        result.cutoffs.append(dict(cutoff.beside(value), low=low, high=high, straddles=straddles))
        if straddles:
            result.flags.append(Flag("straddles-cutoff", number=f"{cutoff.measure} {cutoff.cutoff:g} ({cutoff.source})"))


def _standard_error(result: CaseResult, cutoff: Cutoff) -> float:
    """Of a mean HU, by the spread of the voxels in every level's ROI; of a VBQ it is far below the 5 % that count anyway."""
    if cutoff.is_vbq:
        return 0.0
    spread = []
    for level in result.levels:
        if not level.ct_exclusion and "hu_3d_sd" in level.ct.values:
            region = level.ct.rois[0]
            area = level.ct.values.get("hu_middle_area_mm2", 0)
            count = region.weights.sum() if cutoff.measure.startswith("hu_3d") else area / region.grid.voxel_volume ** (2 / 3)
            spread.append(level.ct.values["hu_3d_sd"] ** 2 / max(count, 1))
    return math.sqrt(sum(spread)) / len(spread) if spread else 0.0
