"""Time to event: Kaplan-Meier and log-rank by a cut-off, proportional hazards by measure. Fitted by lifelines."""

from __future__ import annotations

import warnings

import numpy as np

from ..files.cutoffs import read_cutoffs
from .cohort import Cohort
from .regression import Design, designs, ratios, warn_of_few
from .tables import p_text

#: Below this the hazards of a term are not proportional.
NOT_PROPORTIONAL_P = 0.05
#: In more cases than this the least departure has a small p, and the residuals take longer than the fit: not tested.
MOST_FOR_PROPORTIONAL = 10_000
#: With this many cases or more to a time, as of days in a large cohort, lifelines is faster time by time than case by case.
CASES_PER_TIME = 10


def cut_groups(cohort: Cohort, roc: list[dict]) -> list[dict]:
    """How the cases split at each measure's cut-off: that of Youden over this cohort, and the published ones of the measure.

    roc: rows of the table ``roc``. Returns dicts of measure, cutoff, comparison, source, there (n,) and risk (n,): the cases
    with measure and time, and of these the ones on the side of risk. Cut-offs with nobody on a side are left out with a warning.
    """
    found = []
    for measure in cohort.measures if cohort.question.time else ():
        own = next((r for r in roc if r["measure"] == measure.name and r["subgroup"] == "all" and "cutoff" in r), None)
        cuts = [(own["cutoff"], own["comparison"], "Youden over this cohort")] if own else []
        cuts += [(c.cutoff, c.comparison, f"{c.source}: {c.purpose}") for c in read_cutoffs() if c.measure == measure.name]
        there = cohort.complete(measure.name, cohort.question.time)
        if not cohort.events[there].any():
            cohort.warn(f"{measure.name}: no events among the {there.sum()} cases that have it and a time; no curves.")
            continue
        for cutoff, comparison, source in cuts:
            values = cohort.values(measure.name)
            risk = (values <= cutoff if comparison == "<=" else values >= cutoff) & there
            if 0 < risk.sum() < there.sum():
                found.append(
                    dict(measure=measure.name, cutoff=cutoff, comparison=comparison, source=source, there=there, risk=risk)
                )
            else:
                cohort.warn(
                    f"{measure.name} {comparison} {cutoff:g} ({source}) has {risk.sum()} of {there.sum()} cases; no curves by it."
                )
    return found


def survival_rows(cohort: Cohort, groups: list[dict]) -> list[dict]:
    """Rows of the table ``survival``: two for each cut-off, the side of risk first."""
    from lifelines import KaplanMeierFitter
    from lifelines.statistics import logrank_test

    rows = []
    for group in groups:
        times, events = cohort.values(cohort.question.time), cohort.events
        sides = {f"{group['comparison']} {group['cutoff']:.4g}": group["risk"], "the others": group["there"] & ~group["risk"]}
        test = logrank_test(*(times[side] for side in sides.values()), *(events[side] for side in sides.values()))
        for name, side in sides.items():
            median = KaplanMeierFitter().fit(times[side], events[side]).median_survival_time_
            row = dict(measure=group["measure"], cutoff=group["cutoff"], source=group["source"], group=name, n=int(side.sum()))
            rows.append(
                row | dict(events=int(events[side].sum()), median_time=median, chi_square=test.test_statistic, p=test.p_value)
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
