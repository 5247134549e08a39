"""From levels to the case: which levels count, means and medians, their ranges, and the published cut-offs beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..columns import Cutoff, Image, OfCase, measures_for
from ..errors import Sentence
from ..measures.contrast import not_dark
from ..measures.csf import SACS, Csf, used_csf
from ..measures.roi import LevelNumbers
from ..measures.uncertainty import Variations, combined, extremes, mean_of
from ..parameters import LEVELS, LUMBAR_USED
from ..states import Exclusion, Flag, Severity
from .cutoffs_beside_values import beside_cutoffs
from .result import CaseResult, Level

SHADING_SHARE = 0.20
CT_MEANS = tuple(m for m in measures_for("of_level", Image.CT) if m.of_case is OfCase.MEAN)
CT_RANGES = tuple(m.name for m in measures_for("has_range", Image.CT) if m.of_level)
FEWEST_VBQ_LEVELS = 2


@dataclass(frozen=True)
class CaseValues:
    """Cells of the case row, with the flags and reasons that only the whole case can give."""

    values: dict
    flags: tuple[Flag, ...] = ()
    reasons: tuple[str, ...] = ()


def with_case_values(result: CaseResult, cutoffs: Iterable[Cutoff]) -> CaseResult:
    """The result with its case row, ranges and cut-offs, and the levels that entered them; ``result`` stays as it is."""
    levels = tuple(_judged(level, result) for level in result.levels)
    if "ct" in result.inputs:
        levels = tuple(replace(level, ct=_with_ranges(level.ct, CT_RANGES)) for level in levels)
        result = _extended(replace(result, levels=levels), ct_values(levels))
    if "t1" in result.inputs:
        fluid = used_csf(result.csf)
        levels = tuple(_with_ratio(level, fluid, result.csf) for level in levels) if fluid is not None else levels
        result = _extended(replace(result, levels=levels), vbq_values(levels, result.csf, result.facts.hyperlipidemia))
    result = replace(result, levels=levels)
    beside, flags = beside_cutoffs(result, cutoffs)
    return replace(result, cutoffs=beside, flags=(*result.flags, *flags))


def _extended(result: CaseResult, more: CaseValues) -> CaseResult:
    return replace(
        result,
        values={**result.values, **more.values},
        flags=(*result.flags, *more.flags),
        reasons=(*result.reasons, *more.reasons),
    )


def _judged(level: Level, result: CaseResult) -> Level:
    """The level without what is doubtful (on request) and what was not measured."""
    ct, t1 = level.ct_excluded, level.t1_excluded
    if result.parameters.strict:
        ct, t1 = (
            why or ((Exclusion.DOUBTFUL,) if any(flag.severity is Severity.WARNING for flag in numbers.flags) else ())
            for why, numbers in ((ct, level.ct), (t1, level.t1))
        )
    if level.name in LUMBAR_USED:
        ct = ct or (() if {"hu_3d", "hu_middle"} & set(level.ct.values) else (Exclusion.NOT_MEASURED,))
        t1 = t1 or (() if "t1_signal" in level.t1.values else (Exclusion.NOT_MEASURED,))
    return replace(level, ct_excluded=ct, t1_excluded=t1)


def _with_ranges(numbers: LevelNumbers, names: tuple[str, ...]) -> LevelNumbers:
    ranges = [_range(name, numbers.values.get(name), numbers.variations.get(name, {})) for name in names]
    return replace(numbers, values={key: value for part in (numbers.values, *ranges) for key, value in part.items()})


def _with_ratio(level: Level, csf: Csf, fluid: dict[str, Csf]) -> Level:
    """The level with its marrow's signal over that of the CSF."""
    if "t1_signal" not in level.t1.values:
        return level
    ratio = level.t1.values["t1_signal"] / csf.signal
    values = {**level.t1.values, "vbq_single_level": ratio, **_range("vbq_single_level", ratio, _ratios([level], csf, fluid), extremes)}
    return replace(level, t1=replace(level.t1, values=values))


def _range(name: str, value: float | None, variations: Variations, ends=combined) -> dict[str, float]:
    """The cells ``name``_low and _high; none where there is no value or nothing that varies it."""
    if value is None or not variations:
        return {}
    low, high = ends(value, variations)
    return {f"{name}_low": low, f"{name}_high": high}


def ct_values(levels: tuple[Level, ...]) -> CaseValues:
    """The case values of a CT: means over the used levels among L1-L4."""
    lumbar = [level for level in levels if level.name in LUMBAR_USED]
    used = [level for level in lumbar if not level.ct_excluded]
    with_fractured = [level for level in lumbar if level.ct_excluded in ((), (Exclusion.FRACTURED,))]
    values = {measure.name: _mean(used, measure.name) for measure in CT_MEANS}
    values |= {f"{m.name}_including_fractured": _mean(with_fractured, m.name) for m in CT_MEANS if m.including_fractured}
    values["ct_levels"] = [level.name for level in used]
    for measure in CT_MEANS:
        if measure.has_range:
            varied = mean_of([level.ct.variations[measure.name] for level in used if measure.name in level.ct.variations])
            values |= _range(measure.name, values[measure.name], varied)
    first = [level.ct for level in used if level.name == "L1"]
    values["hu_middle_l1"] = next((numbers.values.get("hu_middle") for numbers in first), None)
    values |= _range("hu_middle_l1", values["hu_middle_l1"], first[0].variations.get("hu_middle", {}) if first else {})
    return CaseValues(values, (Flag("few-levels", value=1, unit="CT level"),) if len(used) == 1 else ())


def _mean(levels: list[Level], name: str) -> float | None:
    found = [level.ct.values[name] for level in levels if name in level.ct.values]
    return float(np.mean(found)) if found else None


def vbq_values(levels: tuple[Level, ...], fluid: dict[str, Csf], hyperlipidemia: str | None) -> CaseValues:
    """VBQ: the median of the used levels' signals over that of the CSF (Ehresman 2019); without CSF the reason alone."""
    lumbar, csf = [level for level in levels if level.name in LUMBAR_USED], used_csf(fluid)
    used = [level for level in lumbar if not level.t1_excluded]
    values, flags, reasons = dict(t1_levels=[level.name for level in used]), _shading(used, fluid), []
    if csf is None:
        blocked = Sentence.joined(Sentence("CSF {level}: {reason}", level=name, reason=Sentence(c.blocked)) for name, c in fluid.items())
        flag = Flag("csf-level", about=Sentence("none ({reasons})", reasons=blocked))
        return CaseValues(values, (*flags, flag), (_no_vbq(blocked),))
    wrong = not_dark(csf.signal, [level.t1.values["t1_signal"] for level in lumbar if "t1_signal" in level.t1.values])
    if wrong:
        return CaseValues(values, (*flags, Flag("not-t1", about=wrong)), (_no_vbq(wrong),))
    values.update(csf_signal=csf.signal, csf_level=csf.level)
    if csf.level != "L3":
        flags.append(Flag("csf-level", about=csf.level))
    if len(used) < FEWEST_VBQ_LEVELS:
        too_few = Sentence("{used} used level of L1-L4; at least {least} are needed", used=len(used), least=FEWEST_VBQ_LEVELS)
        reasons.append(_no_vbq(too_few))
        flags.append(Flag("few-levels", value=len(used), unit="T1 level"))
    read = [level for level in lumbar if "t1_signal" in level.t1.values]
    with_fractured = [level for level in read if level.t1_excluded in ((), (Exclusion.FRACTURED,))]
    for name, among in (("vbq", used), ("vbq_including_fractured", with_fractured)):
        if len(among) >= FEWEST_VBQ_LEVELS:
            values[name] = _median_signal(among) / csf.signal
    values |= _range("vbq", values.get("vbq"), _ratios(used, csf, fluid), extremes)
    if hyperlipidemia == "yes":
        flags.append(Flag("hyperlipidemia"))
    return CaseValues(values, tuple(flags), tuple(reasons))


def _no_vbq(reason: str) -> Sentence:
    return Sentence("no VBQ: {reason}", reason=Sentence(reason))


def _median_signal(levels: list[Level]) -> float:
    return float(np.median([level.t1.values["t1_signal"] for level in levels]))


def _ratios(levels: list[Level], csf: Csf, fluid: dict[str, Csf]) -> Variations:
    """VBQ under every variation: marrow and CSF moved alike, each read otherwise alone, and CSF at the other accepted levels."""
    several = [level.t1.variations.get("t1_signal", {}) for level in levels]
    names = set.intersection(*(set(v) for v in several)) if several else set()
    found = {name: float(np.median([v[name] for v in several])) / csf.variations.get(name, csf.signal) for name in sorted(names)}
    if not levels:
        return found
    marrow = _median_signal(levels)
    for other in fluid.values():
        if not other.blocked:
            found[f"CSF {other.level}"] = marrow / other.signal
        alone = SACS if other is not csf else set(other.variations) - names
        read = {name: signal for name, signal in other.variations.items() if name in alone}
        found |= {f"{name} {other.level}": marrow / signal for name, signal in read.items() if signal > 0}
    return found


def _shading(used: list[Level], fluid: dict[str, Csf]) -> list[Flag]:
    """A trend of CSF or marrow over L1-L4 of more than a fifth of its mean, by a straight line through the levels."""
    marrow = {level.name: level.t1.values["t1_signal"] for level in used}
    found = []
    for what, signals in (("CSF", {name: c.signal for name, c in fluid.items() if not c.blocked}), ("marrow", marrow)):
        if len(signals) < 3 or not np.mean(list(signals.values())) > 0:
            continue
        at = [LEVELS.index(name) for name in signals]
        slope = np.polyfit(at, list(signals.values()), 1)[0]
        trend = abs(slope) * (len(LUMBAR_USED) - 1) / np.mean(list(signals.values()))
        if trend > SHADING_SHARE:
            found.append(Flag("coil-shading", value=100 * float(trend), unit="%", about=what))
    return found
