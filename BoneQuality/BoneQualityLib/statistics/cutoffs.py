"""Cut-offs of a cohort's measures, and how well each of them, once fixed, tells events from others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..files.cutoffs import read_cutoffs
from .cohort import Cohort
from .roc import QUANTILE

YOUDEN = "Youden over this cohort"
GIVEN = "given"


@dataclass(frozen=True)
class FixedCutoff:
    """comparison: "<=" or ">=" on the side of risk; source: Youden over this cohort, given, or who published it and for what."""

    measure: str
    comparison: str
    value: float
    source: str

    def __str__(self) -> str:
        return f"{self.measure} {self.comparison} {self.value:.4g}"

    def risk(self, values: np.ndarray) -> np.ndarray:
        """Which values (n,) lie on the side of risk; a value at the cut-off does."""
        return values <= self.value if self.comparison == "<=" else values >= self.value


def fixed_cutoffs(cohort: Cohort, roc: list[dict]) -> list[FixedCutoff]:
    """The cut-offs of each measure: Youden's over all cases of this cohort, those that were given, and the published ones.

    roc: rows of the table ``roc``.
    """
    given = cohort.question.cutoffs
    measures = list(dict.fromkeys([*(m.name for m in cohort.measures), *(cut.column for cut in given)]))
    found = []
    for measure in measures:
        own = next((r for r in roc if r["measure"] == measure and r["subgroup"] == "all" and "cutoff" in r), None)
        found += [FixedCutoff(measure, own["comparison"], own["cutoff"], YOUDEN)] if own else []
        found += [FixedCutoff(measure, cut.sign, cut.number, GIVEN) for cut in given if cut.column == measure]
        found += [
            FixedCutoff(measure, c.comparison, c.cutoff, f"{c.source}: {c.purpose}") for c in read_cutoffs() if c.measure == measure
        ]
    return found


def performance_rows(cohort: Cohort, roc: list[dict]) -> list[dict]:
    """Rows of the table ``cutoffs``: every fixed cut-off over all cases and in every subgroup."""
    return [
        dict(measure=cut.measure, comparison=cut.comparison, cutoff=cut.value, source=cut.source, subgroup=subgroup or "all",
             **performance(cut.risk(cohort.values(cut.measure)[there]), cohort.events[there]))
        for cut in fixed_cutoffs(cohort, roc)
        for subgroup in (None, *cohort.subgroups())
        if (there := cohort.complete(cut.measure) & cohort.members(subgroup)).any()
    ]  # fmt: skip


def performance(risk: np.ndarray, events: np.ndarray) -> dict:
    """Sensitivity, specificity, predictive values and likelihood ratios of ``risk`` (n,) for ``events`` (n,), with 95 % intervals.

    Shares: exact, Clopper and Pearson, Biometrika 1934;26:404. Likelihood ratios: Simel et al., J Clin Epidemiol 1991;44:763; one that
    is 0 or infinite has no interval. What has no cases is left out.
    """
    risk, events = np.asarray(risk, bool), np.asarray(events, bool)
    tp, fn, fp, tn = (int((a & b).sum()) for a, b in ((risk, events), (~risk, events), (risk, ~events), (~risk, ~events)))
    row = dict(
        n=len(events), events=tp + fn, risk=tp + fp, true_positive=tp, false_positive=fp, false_negative=fn, true_negative=tn
    )
    for name, count, of in (("sensitivity", tp, tp + fn), ("specificity", tn, tn + fp), ("ppv", tp, tp + fp), ("npv", tn, tn + fn)):
        if of:
            low, high = exact_interval(count, of)
            row |= {name: count / of, f"{name}_low": low, f"{name}_high": high}
    if tp + fn and tn + fp:
        row |= _likelihood_ratio("lr_positive", tp, tp + fn, fp, fp + tn) | _likelihood_ratio(
            "lr_negative", fn, tp + fn, tn, fp + tn
        )
    return row


def exact_interval(count: int, of: int) -> tuple[float, float]:
    """Clopper and Pearson's 95 % interval of a share."""
    from scipy.stats import binomtest

    found = binomtest(count, of).proportion_ci(0.95, "exact")
    return float(found.low), float(found.high)


def _likelihood_ratio(name: str, of_events: int, events: int, of_others: int, others: int) -> dict:
    if not of_others:
        return {name: np.inf} if of_events else {}
    ratio = (of_events / events) / (of_others / others)
    if not of_events:
        return {name: 0.0}
    half = QUANTILE * np.sqrt(1 / of_events - 1 / events + 1 / of_others - 1 / others)
    return {name: ratio, f"{name}_low": ratio * np.exp(-half), f"{name}_high": ratio * np.exp(half)}
