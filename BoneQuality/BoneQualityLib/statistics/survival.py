"""Time to event: Kaplan-Meier and log-rank by a cut-off, proportional hazards by measure. Fitted by lifelines."""

from __future__ import annotations

import warnings

import numpy as np

from .cohort import Cohort
from .cutoffs import fixed_cutoffs
from .regression import Design, designs, ratios, warn_of_few
from .tables import p_text

#: Below this the hazards of a term are not proportional.
NOT_PROPORTIONAL_P = 0.05
#: In more cases than this the least departure has a small p, and the residuals take longer than the fit: not tested.
MOST_FOR_PROPORTIONAL = 10_000
#: With this many cases or more to a time, as of days in a large cohort, lifelines is faster time by time than case by case.
CASES_PER_TIME = 10


def cut_groups(cohort: Cohort, roc: list[dict]) -> list[dict]:
    """How the cases split at each measure's fixed cut-offs.

    roc: rows of the table ``roc``. Returns dicts of measure, cutoff, comparison, source, there (n,) and risk (n,): the cases
    with measure and time, and of these the ones on the side of risk. Cut-offs with nobody on a side are left out with a warning.
    """
    found, eventless = [], set()
    for cut in fixed_cutoffs(cohort, roc) if cohort.question.time else ():
        there = cohort.complete(cut.measure, cohort.question.time)
        if not cohort.events[there].any():
            eventless.add((cut.measure, int(there.sum())))
            continue
        risk = cut.risk(cohort.values(cut.measure)) & there
        if 0 < risk.sum() < there.sum():
            found.append(
                dict(measure=cut.measure, cutoff=cut.value, comparison=cut.comparison, source=cut.source, there=there, risk=risk)
            )
        else:
            cohort.warn(
                f"{cut.measure} {cut.comparison} {cut.value:g} ({cut.source}) has {risk.sum()} of {there.sum()} cases; no curves by it."
            )
    for measure, count in sorted(eventless):
        cohort.warn(f"{measure}: no events among the {count} cases that have it and a time; no curves.")
    return found


def periods(cohort: Cohort) -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """(name, cases (n,), times (n,), events (n,)) of the whole follow-up and, with a window, of the time up to it and from it on.

    Up to the window, later events count as event-free then; from it on (the landmark; Anderson, J Clin Oncol 1983;1:710), those still
    followed and free of the event are taken, with their time counted from there.
    """
    times, window = cohort.values(cohort.question.time), cohort.question.window
    every = [("all", np.ones(len(times), bool), times, cohort.events)]
    if window is None:
        return every
    early = ("to", np.ones(len(times), bool), np.minimum(times, window), cohort.events & (times <= window))
    late = ("from", times > window, times - window, cohort.events)
    return [*every, *((f"{name} {window:g}", *rest) for name, *rest in (early, late))]


def survival_rows(cohort: Cohort, groups: list[dict]) -> list[dict]:
    """Rows of the table ``survival``: two for each cut-off and period, the side of risk first."""
    from lifelines import KaplanMeierFitter
    from lifelines.statistics import logrank_test

    rows = []
    for group, (period, cases, times, events) in ((group, period) for group in groups for period in periods(cohort)):
        names = (f"{group['comparison']} {group['cutoff']:.4g}", "the others")
        sides = dict(zip(names, (group["risk"] & cases, group["there"] & ~group["risk"] & cases)))
        if not all(side.any() for side in sides.values()):
            continue
        tested = dict(chi_square=np.nan, p=np.nan)
        if any(events[side].any() for side in sides.values()):
            test = logrank_test(*(times[side] for side in sides.values()), *(events[side] for side in sides.values()))
            tested = dict(chi_square=test.test_statistic, p=test.p_value)
        for name, side in sides.items():
            median = KaplanMeierFitter().fit(times[side], events[side]).median_survival_time_
            row = dict(measure=group["measure"], cutoff=group["cutoff"], source=group["source"], period=period, group=name)
            rows.append(
                row
                | dict(n=int(side.sum()), events=int(events[side].sum()), median_time=median if np.isfinite(median) else np.nan)
                | tested
            )
    return rows


def cox_rows(cohort: Cohort, groups: list[dict]) -> list[dict]:
    """Rows of the table ``cox``: every model of the logistic regression, and every cut-off alone."""
    if not cohort.question.time:
        return []
    rows = [row for made in designs(cohort, cohort.question.time) for row in _cox(cohort, made)]
    for group in groups:
        name = f"{group['measure']} {group['comparison']} {group['cutoff']:.4g}"
        rows += _cox(
            cohort, Design(name, ((name, "the others", np.nan),), group["risk"][group["there"], None].astype(float), group["there"])
        )
    return rows


def _cox(cohort: Cohort, made: Design) -> list[dict]:
    import pandas

    names = [f"x{n}" for n in range(len(made.terms))]
    data = pandas.DataFrame(made.matrix, columns=names)
    data["time"], data["event"] = cohort.values(cohort.question.time)[made.there], cohort.events[made.there]
    per_variable = data["event"].sum() / len(names)
    if not data["event"].any():
        cohort.warn(f"Model {made.model}: no events among its {len(data)} complete cases; hazards are not fitted.")
        return []
    warn_of_few(cohort, f"{made.model} (Cox)", per_variable)
    fit = _fit(data)
    if fit is None:
        cohort.warn(
            f"Model {made.model} (Cox): no finite hazard ratios were found, as where all events lie on one side of a variable; it is left out."
        )
        return []
    proportional = _proportional_p(fit, data)
    rows = []
    for n, (term, reference, sd) in enumerate(made.terms):
        coefficient, error, p = (float(fit.summary.loc[names[n], column]) for column in ("coef", "se(coef)", "p"))
        row = dict(model=made.model, n=len(data), events=int(data["event"].sum()), term=term, reference=reference)
        row.update(coefficient=coefficient, se=error, p=p, p_proportional=proportional[n], events_per_variable=per_variable)
        rows.append(row | ratios("hazard_ratio", coefficient, error, sd))
        if proportional[n] < NOT_PROPORTIONAL_P:
            cohort.warn(f"Model {made.model} (Cox): the hazard ratio of {term} changes with time (p {p_text(proportional[n])}).")
    return rows


def _fit(data):
    """The fitted model of the columns beside time and event, or None where the likelihood has no maximum or lifelines finds none."""
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError

    by_time = len(data) >= CASES_PER_TIME * data["time"].nunique()
    with warnings.catch_warnings(record=True) as said, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            fit = CoxPHFitter().fit(data, "time", "event", batch_mode=by_time)
        except (ConvergenceError, np.linalg.LinAlgError):
            return None
    # where it does not converge, or its steps stay long, lifelines gives numbers all the same, with a warning
    return None if any(str(warning.message).startswith("Newton-Raphson") for warning in said) else fit


def _proportional_p(fit, data) -> list[float]:
    """p of each term; ties share their mean rank, as in R's cox.zph, where lifelines' own ranks follow the order of the rows."""
    from lifelines.statistics import proportional_hazard_test

    if len(data) > MOST_FOR_PROPORTIONAL:
        return [np.nan] * len(fit.params_)
    with np.errstate(all="ignore"):  # of events that all have one time
        test = proportional_hazard_test(fit, data, time_transform=lambda times, events, _: times.where(events.astype(bool)).rank())
    return list(np.atleast_1d(test.p_value))
