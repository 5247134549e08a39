"""ROC curves: the area with DeLong's interval and tests, Youden's cut-off with its bootstrap interval.

DeLong's method is written here because neither scipy nor statsmodels has it: DeLong et al., Biometrics 1988;44:837, by the ranks
of Sun and Xu, IEEE Signal Process Lett 2014;21:1389. Youden's index: Cancer 1950;3:32.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import norm, rankdata

from .cohort import Cohort, counted

#: Of the bootstrap; fixed, so that the same cohort gives the same intervals.
SEED, RESAMPLES = 20250101, 2000
#: More distinct values than this are put into as many classes of equal counts before they are resampled.
MOST_CLASSES = 1000
QUANTILE = float(norm.ppf(0.975))
#: Fewer events or others than this are warned of; fewer than two have no variance.
FEW, FEWEST = 10, 2


@dataclass(frozen=True)
class Areas:
    """Areas under m curves of the same cases: ``auc`` (m,) and their DeLong covariance (m, m)."""

    auc: np.ndarray
    covariance: np.ndarray

    def difference(self, first: int, second: int) -> Difference:
        """DeLong's paired test of two curves of the same cases."""
        variance = self.covariance[first, first] + self.covariance[second, second] - 2 * self.covariance[first, second]
        return Difference.of(self.auc[first] - self.auc[second], variance)


@dataclass(frozen=True)
class Difference:
    """Of two areas, with its 95 % interval and two-sided test; z and p are nan where it has no variance."""

    value: float
    low: float
    high: float
    z: float
    p: float

    @classmethod
    def of(cls, value: float, variance: float) -> Difference:
        error = float(np.sqrt(max(variance, 0.0)))
        z = value / error if error > 1e-12 else np.nan
        return cls(value, value - QUANTILE * error, value + QUANTILE * error, z, float(2 * norm.sf(abs(z))))


@dataclass(frozen=True)
class CutOff:
    """Youden's cut-off on the scale of the scores, and where it stands; ``*_ci`` are percentiles of the bootstrap.

    value lies midway between the last score called positive and the next; in resamples the cut-off is sought anew, so that the
    intervals of sensitivity and specificity hold the choice of the cut-off too.
    """

    value: float
    sensitivity: float
    specificity: float
    value_ci: tuple[float, float]
    sensitivity_ci: tuple[float, float]
    specificity_ci: tuple[float, float]


def areas(scores: np.ndarray, events: np.ndarray) -> Areas:
    """Areas under the curves of ``scores`` (m, n), higher meaning risk, for the cases ``events`` (n,) against the others.

    Both classes need two cases or more.

    >>> areas(np.array([[1.0, 2, 3, 4]]), np.array([False, False, True, True])).auc
    array([1.])
    """
    scores, events = np.atleast_2d(scores), np.asarray(events, bool)
    n_events, n_others = int(events.sum()), int((~events).sum())
    ranks = rankdata(scores, axis=1)
    among_events, among_others = rankdata(scores[:, events], axis=1), rankdata(scores[:, ~events], axis=1)
    of_events = (ranks[:, events] - among_events) / n_others
    of_others = 1 - (ranks[:, ~events] - among_others) / n_events
    covariance = np.atleast_2d(np.cov(of_events)) / n_events + np.atleast_2d(np.cov(of_others)) / n_others
    return Areas(of_events.mean(axis=1), covariance)


def unpaired(first: Areas, second: Areas) -> Difference:
    """DeLong's test of single curves of two separate groups of cases."""
    return Difference.of(float(first.auc[0] - second.auc[0]), float(first.covariance[0, 0] + second.covariance[0, 0]))


def interval(auc: float, variance: float) -> tuple[float, float]:
    """95 % interval within 0 to 1; nan where the variance is 0, as of an area of 1."""
    if variance <= 1e-15:
        return np.nan, np.nan
    half = QUANTILE * np.sqrt(variance)
    return max(0.0, auc - half), min(1.0, auc + half)


def curve(scores: np.ndarray, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates from (0, 0) to (1, 1), one point a distinct score."""
    _, event_counts, other_counts = _classes(scores, events)
    rates = [np.concatenate([[0], np.cumsum(counts)]) / counts.sum() for counts in (other_counts, event_counts)]
    return rates[0], rates[1]


def youden(scores: np.ndarray, events: np.ndarray) -> CutOff | None:
    """The cut-off with the largest sensitivity + specificity, of several the lowest; None where no cut-off beats chance.

    scores (n,): higher means risk. The bootstrap draws events and others apart, each to its own number.
    """
    values, event_counts, other_counts = _classes(scores, events)
    best = _best(np.cumsum(event_counts), np.cumsum(other_counts))
    if best is None:
        return None
    sensitivity, specificity = (
        event_counts[: best + 1].sum() / event_counts.sum(),
        other_counts[best + 1 :].sum() / other_counts.sum(),
    )
    return CutOff(
        float(_between(values)[best]), float(sensitivity), float(specificity), *_bootstrap(values, event_counts, other_counts)
    )


def _classes(scores, events) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct scores, highest first, with the numbers of events and others that have them."""
    values, place = np.unique(-np.asarray(scores, float), return_inverse=True)
    events = np.asarray(events, bool)
    counts = [np.bincount(place[chosen], minlength=len(values)) for chosen in (events, ~events)]
    return -values, counts[0], counts[1]


def _between(values: np.ndarray) -> np.ndarray:
    """Midway from each value to the next lower one; the lowest itself."""
    return np.append((values[:-1] + values[1:]) / 2, values[-1])


def _best(event_sums: np.ndarray, other_sums: np.ndarray) -> int | None:
    """The last index of the largest Youden index, in whole numbers, so that ties are ties."""
    index = event_sums * int(other_sums[-1]) - other_sums * int(event_sums[-1])
    return None if index.max() <= 0 else len(index) - 1 - int(np.argmax(index[::-1]))


def _bootstrap(values, event_counts, other_counts):
    """95 % intervals of cut-off, sensitivity and specificity: percentiles over the resamples."""
    random = np.random.default_rng(SEED)
    lows, highs, event_counts, other_counts = _grouped(values, event_counts, other_counts)
    n_events, n_others = int(event_counts.sum()), int(other_counts.sum())
    cut_offs = np.append((lows[:-1] + highs[1:]) / 2, lows[-1])
    found = []
    for _ in range(RESAMPLES // 250):
        event_sums = np.cumsum(random.multinomial(n_events, event_counts / n_events, 250), axis=1)
        other_sums = np.cumsum(random.multinomial(n_others, other_counts / n_others, 250), axis=1)
        index = event_sums * n_others - other_sums * n_events
        best = index.shape[1] - 1 - np.argmax(index[:, ::-1], axis=1)
        rows = np.arange(len(best))
        found.append(np.stack([cut_offs[best], event_sums[rows, best] / n_events, 1 - other_sums[rows, best] / n_others]))
    limits = np.percentile(np.concatenate(found, axis=1), (2.5, 97.5), axis=1)
    return [(float(low), float(high)) for low, high in limits.T]


def _grouped(values, event_counts, other_counts):
    """Lowest and highest value and counts of at most MOST_CLASSES runs of neighboring values, of about equal counts."""
    totals = np.cumsum(event_counts + other_counts)
    run = (totals - 1) * MOST_CLASSES // totals[-1] if len(values) > MOST_CLASSES else np.arange(len(values))
    starts = np.flatnonzero(np.diff(run, prepend=-1))
    ends = np.append(starts[1:], len(values)) - 1
    return values[ends], values[starts], np.add.reduceat(event_counts, starts), np.add.reduceat(other_counts, starts)


def directions(cohort: Cohort) -> dict[str, int]:
    """For every measure +1 where high values mean risk, -1 where low ones do: the side on which the area is over one half.

    Measures that are constant, or that fewer than two events or others have, are left out with a warning.
    """
    found = {}
    for measure in cohort.measures:
        there = cohort.complete(measure.name)
        values, events = cohort.values(measure.name)[there], cohort.events[there]
        if not _enough(events):
            cohort.warn(
                f"{measure.name}: {counted(events.sum(), 'event')} and {counted((~events).sum(), 'other')} have it; at least two of both are needed."
            )
        elif np.ptp(values) == 0:
            cohort.warn(
                f"{measure.name} is {values[0]:g} in all {len(values)} cases; it cannot tell events from others, and is in no model."
            )
        else:
            found[measure.name] = 1 if areas(values, events).auc[0] >= 0.5 else -1
    return found


def _enough(events: np.ndarray) -> bool:
    return FEWEST <= events.sum() <= len(events) - FEWEST


def roc_rows(cohort: Cohort) -> list[dict]:
    """Rows of the table ``roc``: every measure, over all cases and in every subgroup."""
    return [
        _roc_row(cohort, name, sign, subgroup)
        for name, sign in directions(cohort).items()
        for subgroup in (None, *cohort.subgroups())
    ]


def _roc_row(cohort: Cohort, name: str, sign: int, subgroup: str | None) -> dict:
    there = cohort.complete(name) & cohort.members(subgroup)
    scores, events = sign * cohort.values(name)[there], cohort.events[there]
    row = dict(measure=name, subgroup=subgroup or "all", n=len(events), events=int(events.sum()))
    row.update(direction="high" if sign > 0 else "low", comparison=">=" if sign > 0 else "<=")
    among = f" in the subgroup {subgroup}" if subgroup else ""
    if not _enough(events):
        cohort.warn(f"{name}{among}: {counted(events.sum(), 'event')} and {counted((~events).sum(), 'other')}; no ROC curve.")
        return row
    fewest, kind = min((int(events.sum()), "events"), (int((~events).sum()), "others"))
    if fewest < FEW:
        cohort.warn(f"{name}{among}: only {fewest} {kind}; the intervals of its ROC curve are rough.")
    found = areas(scores, events)
    auc, variance = float(found.auc[0]), float(found.covariance[0, 0])
    if auc == 1:
        cohort.warn(f"{name}{among} tells events from others without error (perfect separation); its AUC of 1 has no interval.")
    row.update(zip(("auc", "auc_low", "auc_high"), (auc, *interval(auc, variance))))
    row.update(se=np.sqrt(variance), p=Difference.of(auc - 0.5, variance).p)
    cut = youden(scores, events)
    if cut is not None:
        row.update(cutoff=sign * cut.value, youden=cut.sensitivity + cut.specificity - 1)
        row.update(zip(("cutoff_low", "cutoff_high"), sorted(sign * end for end in cut.value_ci)))
        for side in ("sensitivity", "specificity"):
            low, high = getattr(cut, f"{side}_ci")
            row.update({side: getattr(cut, side), f"{side}_low": low, f"{side}_high": high})
    return row


def comparison_rows(cohort: Cohort) -> list[dict]:
    """Rows of the table ``auc_comparisons``: two measures over the cases that have both; two subgroups for each measure."""
    signs = directions(cohort)
    rows = [
        row for a, b in combinations(signs, 2) for s in (None, *cohort.subgroups()) if (row := _paired_row(cohort, signs, a, b, s))
    ]
    for name, sign in signs.items():
        curves = {}
        for subgroup in cohort.subgroups():
            there = cohort.complete(name) & cohort.members(subgroup)
            if _enough(cohort.events[there]):
                curves[subgroup] = areas(sign * cohort.values(name)[there], cohort.events[there]), int(there.sum())
        for a, b in combinations(curves, 2):
            (one, n_one), (other, n_other) = curves[a], curves[b]
            rows.append(dict(
                kind="unpaired", first=f"{name}: {a}", second=f"{name}: {b}", n_first=n_one, n_second=n_other,
                auc_first=one.auc[0], auc_second=other.auc[0], **_difference_cells(unpaired(one, other)),
            ))  # fmt: skip
    return rows


def _paired_row(cohort: Cohort, signs: dict[str, int], first: str, second: str, subgroup: str | None) -> dict | None:
    there = cohort.complete(first, second) & cohort.members(subgroup)
    if not _enough(cohort.events[there]):
        return None
    found = areas(np.stack([signs[name] * cohort.values(name)[there] for name in (first, second)]), cohort.events[there])
    within = f": {subgroup}" if subgroup else ""
    return dict(
        kind="paired", first=first + within, second=second + within, n_first=int(there.sum()), n_second=int(there.sum()),
        auc_first=found.auc[0], auc_second=found.auc[1], **_difference_cells(found.difference(0, 1)),
    )  # fmt: skip


def _difference_cells(found: Difference) -> dict:
    return dict(difference=found.value, difference_low=found.low, difference_high=found.high, z=found.z, p=found.p)
