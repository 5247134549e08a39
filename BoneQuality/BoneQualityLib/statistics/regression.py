"""Logistic regression: what a measure says of the outcome beside other variables. Fitted by statsmodels."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from .cohort import Cohort, counted
from .roc import QUANTILE

#: Fewer events than this for each variable make estimates unstable (Peduzzi, J Clin Epidemiol 1996;49:1373).
EVENTS_PER_VARIABLE = 10
#: Variables explained by the others this well cannot be told apart: a variance inflation factor over 10.
MOST_INFLATION = 10.0
#: An estimate this large in units of its SD is looked into as separation.
SUSPICIOUS_PER_SD = 10.0


@dataclass(frozen=True)
class Design:
    """Variables of a model as columns of numbers: ``matrix`` (n, p) of the complete cases ``there`` (all cases,).

    terms: (name, reference or "", SD or nan) of each column.
    """

    model: str
    terms: tuple[tuple[str, str, float], ...]
    matrix: np.ndarray
    there: np.ndarray


def designs(cohort: Cohort, *also: str) -> list[Design]:
    """Every model that can be fitted, once: each measure with the adjusting variables, and all measures together with them.

    also: columns that its cases have too.
    """
    adjusters, measures = [term.name for term in cohort.question.adjust], [m.name for m in cohort.measures]
    made = [
        design(cohort, list(dict.fromkeys([*names, *adjusters])), *also) for names in (*([name] for name in measures), measures)
    ]
    return list({one.model: one for one in made if one}.values())


def design(cohort: Cohort, variables: list[str], *also: str) -> Design | None:
    """The columns of a model over the cases complete in ``variables`` and ``also``; None where it cannot be fitted.

    A variable that is the same in all of these cases is left out, with a warning; without any measure there is no model.
    """
    there = cohort.complete(*variables, *also)
    if not there.any():
        cohort.warn(f"Model {' + '.join(variables)}: no case has all of {', '.join([*variables, *also])}; it is not fitted.")
        return None
    kept = [variable for variable in variables if len(set(cohort.values(variable)[there])) > 1]
    for variable in (v for v in variables if v not in kept and not is_constant(cohort, v)):
        cohort.warn(
            f"{variable} is the same in all {there.sum()} complete cases of the model {' + '.join(variables)}; it is left out of it."
        )
    if not any(measure.name in kept for measure in cohort.measures):
        return None
    columns = [column for variable in kept for column in _columns(cohort, variable, cohort.values(variable)[there])]
    terms, values = zip(*columns)
    return _independent(cohort, Design(" + ".join(kept), terms, np.stack(values, axis=1).astype(float), there))


def is_constant(cohort: Cohort, variable: str) -> bool:
    """Whether all cases that have a variable have the same; the group table says so."""
    return len(set(cohort.values(variable)[cohort.complete(variable)])) < 2


def _columns(cohort: Cohort, variable: str, values: np.ndarray) -> list[tuple]:
    """((name, reference, SD), numbers) of a variable: one of a number, one of each level but the one compared to."""
    if cohort.is_number(variable) and not _reference(cohort, variable):
        return [((variable, "", float(values.std(ddof=1))), values)]
    levels = sorted(set(map(str, values)))
    reference = _reference(cohort, variable) or levels[0]
    return [((f"{variable}[{level}]", reference, np.nan), values == level) for level in levels if level != reference]


def _reference(cohort: Cohort, variable: str) -> str | None:
    return next((term.reference for term in cohort.question.adjust if term.name == variable), None)


def _independent(cohort: Cohort, made: Design) -> Design | None:
    centered = made.matrix - made.matrix.mean(axis=0)
    scaled = centered / np.linalg.norm(centered, axis=0)
    if len(scaled) <= scaled.shape[1] + 1:
        cohort.warn(f"Model {made.model}: {counted(len(scaled), 'case')} for {counted(scaled.shape[1], 'term')}; it is not fitted.")
        return None
    if np.linalg.matrix_rank(scaled) < scaled.shape[1]:
        cohort.warn(
            f"Model {made.model}: its variables follow from each other over its {len(scaled)} cases; it is not fitted. Leave one out."
        )
        return None
    inflation = np.diag(np.linalg.inv(scaled.T @ scaled))
    if inflation.max() > MOST_INFLATION:
        names = ", ".join(term[0] for term, factor in zip(made.terms, inflation) if factor > MOST_INFLATION)
        cohort.warn(
            f"Model {made.model}: {names} say nearly the same (variance inflation up to {inflation.max():.0f}); their odds ratios are unstable."
        )
    return made


def logistic_rows(cohort: Cohort) -> list[dict]:
    """Rows of the table ``logistic``: odds ratios of every term of every model, per unit and per SD."""
    rows = []
    for made in designs(cohort):
        events = cohort.events[made.there]
        if not 0 < events.sum() < len(events):
            cohort.warn(f"Model {made.model}: its {len(events)} complete cases are all events or all others; it is not fitted.")
            continue
        rows += _fit(cohort, made, events)
    return rows


def _fit(cohort: Cohort, made: Design, events: np.ndarray) -> list[dict]:
    import statsmodels.api

    per_variable = min(events.sum(), (~events).sum()) / len(made.terms)
    warn_of_few(cohort, made.model, per_variable)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            fit = statsmodels.api.Logit(events.astype(float), statsmodels.api.add_constant(made.matrix)).fit(disp=0, maxiter=100)
        except Exception as error:  # statsmodels has several classes for one fault: no finite estimate
            if not _separated(made.matrix, events):
                cohort.warn(f"Model {made.model} could not be fitted ({type(error).__name__}).")
                return []
            fit = None
    if fit is None or ((not fit.mle_retvals["converged"] or _suspicious(fit, made)) and _separated(made.matrix, events)):
        cohort.warn(
            f"Model {made.model} tells events from others without error in all or some cases (perfect separation): odds ratios do not "
            "exist; leave out a variable or merge levels."
        )
        return []
    if not fit.mle_retvals["converged"]:
        cohort.warn(f"Model {made.model} did not converge; it is left out.")
        return []
    rows = []
    for n, (name, reference, sd) in enumerate(
        ("Intercept", "", np.nan) if n == 0 else made.terms[n - 1] for n in range(len(fit.params))
    ):
        row = dict(model=made.model, n=len(events), events=int(events.sum()), term=name, reference=reference)
        row.update(coefficient=fit.params[n], se=fit.bse[n], z=fit.tvalues[n], p=fit.pvalues[n], deviance=-2 * fit.llf)
        row["events_per_variable"] = per_variable
        rows.append(row | (ratios("odds_ratio", fit.params[n], fit.bse[n], sd) if n else {}))
    return rows


def ratios(name: str, coefficient: float, error: float, sd: float) -> dict:
    """Ratio per unit and per SD with 95 % Wald intervals; inf where it leaves the range of numbers."""
    cells = {}
    with np.errstate(over="ignore"):
        for ending, unit in (("", 1.0), ("_sd", sd)):
            ends = np.exp(unit * (coefficient + QUANTILE * error * np.array([0.0, -1.0, 1.0])))
            cells.update({f"{name}{ending}": ends[0], f"{name}{ending}_low": ends[1], f"{name}{ending}_high": ends[2]})
    return cells | ({"sd": sd} if np.isfinite(sd) else {})


def warn_of_few(cohort: Cohort, model: str, per_variable: float) -> None:
    if per_variable < EVENTS_PER_VARIABLE:
        cohort.warn(
            f"Model {model}: {per_variable:.1f} events per variable, fewer than {EVENTS_PER_VARIABLE}; its estimates are unstable."
        )


def _suspicious(fit, made: Design) -> bool:
    return bool(np.max(np.abs(fit.params[1:]) * made.matrix.std(axis=0)) > SUSPICIOUS_PER_SD or not np.isfinite(fit.bse).all())


def _separated(matrix: np.ndarray, events: np.ndarray) -> bool:
    """Whether a plane has all events on or above it and all others on or below, not all of them on it (Konis 2007)."""
    scaled = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    signed = np.where(events, 1.0, -1.0)[:, None] * np.column_stack([np.ones(len(scaled)), scaled])
    found = linprog(-signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=(-1, 1))
    return bool(found.success and -found.fun > 1e-6)
