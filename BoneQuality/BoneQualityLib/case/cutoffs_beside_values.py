"""Published cut-offs beside the values that they belong to."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..columns import CASE_COLUMNS, LEVEL_COLUMNS, Cutoff
from ..errors import Sentence
from ..states import Flag
from .result import CaseResult

#: How far beyond its range a value may lie from a cut-off and still be uncertain against it: our own choice.
STRADDLE_HU, STRADDLE_VBQ_SHARE = 10.0, 0.05

_TITLES = {column.name: column.title for column in (*LEVEL_COLUMNS, *CASE_COLUMNS)}


def beside_cutoffs(result: CaseResult, cutoffs: Iterable[Cutoff]) -> tuple[tuple[dict, ...], tuple[Flag, ...]]:
    """Every cut-off whose value was measured, and a flag for each that lies within the value's uncertainty."""
    found, flags = [], []
    for cutoff in cutoffs:
        values = _values_for(result, cutoff)
        value = values.get(cutoff.measure)
        if value is None:
            continue
        low, high = values.get(f"{cutoff.measure}_low", value), values.get(f"{cutoff.measure}_high", value)
        width = (STRADDLE_VBQ_SHARE * cutoff.cutoff if cutoff.is_vbq else STRADDLE_HU) + _standard_error(result, cutoff)
        straddles = low - width <= cutoff.cutoff <= high + width
        found.append(dict(cutoff.beside(value), low=low, high=high, straddles=straddles))
        if straddles:
            flags.append(Flag("straddles-cutoff", value=cutoff.cutoff, about=Sentence("{measure}, {source}", measure=Sentence(_TITLES[cutoff.measure]), source=cutoff.source)))
    return tuple(found), tuple(flags)


def _values_for(result: CaseResult, cutoff: Cutoff) -> dict:
    """The case's values, or those of the cut-off's level where that is used."""
    if not cutoff.level or cutoff.measure in result.values:
        return result.values
    level = next((level for level in result.levels if level.name == cutoff.level), None)
    is_used = level is not None and not (level.t1_excluded if cutoff.is_vbq else level.ct_excluded)
    return level.values if is_used else {}


def _standard_error(result: CaseResult, cutoff: Cutoff) -> float:
    """Of a mean HU, by the spread of the voxels in every level's ROI; of a VBQ it is far below the 5 % that count anyway."""
    if cutoff.is_vbq:
        return 0.0
    spread = []
    for level in result.levels:
        if not level.ct_excluded and "hu_3d_sd" in level.ct.values:
            region = next(roi for roi in level.ct.rois if roi.kind == "cancellous")
            area = level.ct.values.get("hu_middle_area_mm2", 0)
            count = region.weights.sum() if cutoff.measure.startswith("hu_3d") else area / region.grid.voxel_volume ** (2 / 3)
            spread.append(level.ct.values["hu_3d_sd"] ** 2 / max(count, 1))
    return math.sqrt(sum(spread)) / len(spread) if spread else 0.0
