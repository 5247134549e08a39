"""Logistic regression: what a measure says of the outcome alone and beside other variables. Fitted by statsmodels, Firth's where separated."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linprog

from .cohort import Cohort, counted
from .firth import firth
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

    terms: (name, reference or "", SD or nan) of each column; inflation: its variance inflation factor.
    """

    model: str
    terms: tuple[tuple[str, str, float], ...]
    matrix: np.ndarray
    there: np.ndarray
    inflation: tuple[float, ...] = ()


def designs(cohort: Cohort, *also: str) -> list[Design]:
    """Every model that can be fitted, once: each measure with the adjusting variables, and all measures together with them.

    also: columns that its cases have too.
    """
    adjusters, measures = [term.name for term in cohort.question.adjust], [m.name for m in cohort.measures]
    made = [
        design(cohort, list(dict.fromkeys([*names, *adjusters])), *also) for names in (*([name] for name in measures), measures)
    ]
    return list({one.model: one for one in made if one}.values())


def design(cohort: Cohort, variables: list[str], *also: str, measured: bool = True) -> Design | None:
    """The columns of a model over the cases complete in ``variables`` and ``also``; None where it cannot be fitted.

    A variable that is the same in all of these cases is left out, with a warning; without any measure there is no model, unless
    ``measured`` is False.
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
    if not kept or (measured and not any(measure.name in kept for measure in cohort.measures)):
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
    return replace(made, inflation=tuple(map(float, inflation)))


def logistic_rows(cohort: Cohort) -> list[dict]:
    """Rows of the table ``logistic``: odds ratios of every term of every model, per unit and per SD."""
    return [row for made in designs(cohort) for row in _fitted(cohort, made)]


def odds_rows(cohort: Cohort, logistic: list[dict]) -> list[dict]:
    """Rows of the table ``odds``: each term alone beside the same term in a model of several (Chang 2025, table 2).

    logistic: rows of that table. Nothing is selected by its p value: what enters a model is what was asked for.
    """
    rows, alone = [], {}
    models = {row["model"]: row["terms"] for row in logistic if row["terms"] > 1}
    if not models:
        return rows
    for variable in dict.fromkeys([*(m.name for m in cohort.measures), *(term.name for term in cohort.question.adjust)]):
        made = design(cohort, [variable], measured=False)
        alone |= {row["term"]: row for row in (_fitted(cohort, made) if made else ()) if row["term"] != "Intercept"}
    for row in (row for row in logistic if row["model"] in models and row["term"] != "Intercept"):
        found = {
            name: row.get(name) for name in ("model", "n", "events", "term", "reference", "events_per_variable", "vif", "method")
        }
        for prefix, one in (("univariable", alone.get(row["term"], {})), ("multivariable", row)):
            found |= {f"{prefix}{end}": one.get(f"odds_ratio{end}") for end in ("", "_low", "_high")} | {
                f"p_{prefix}": one.get("p")
            }
        rows.append(found | dict(n_univariable=alone.get(row["term"], {}).get("n")))
    return rows


def _fitted(cohort: Cohort, made: Design) -> list[dict]:
    events = cohort.events[made.there]
    if not 0 < events.sum() < len(events):
        cohort.warn(f"Model {made.model}: its {len(events)} complete cases are all events or all others; it is not fitted.")
        return []
    per_variable = min(events.sum(), (~events).sum()) / len(made.terms)
    warn_of_few(cohort, made.model, per_variable)
    rows = _by_likelihood(cohort, made, events)
    if rows is None:
        rows = _by_firth(cohort, made, events)
    of_model = dict(
        model=made.model, n=len(events), events=int(events.sum()), events_per_variable=per_variable, terms=len(made.terms)
    )
    return [of_model | row for row in rows]


def _by_likelihood(cohort: Cohort, made: Design, events: np.ndarray) -> list[dict] | None:
    """Rows by maximum likelihood; None where events and others are separated, so that it has no maximum."""
    import statsmodels.api

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            fit = statsmodels.api.Logit(events.astype(float), statsmodels.api.add_constant(made.matrix)).fit(disp=0, maxiter=100)
        except Exception as error:  # statsmodels has several classes for one fault: no finite estimate
            if separated(made.matrix, events):
                return None
            cohort.warn(f"Model {made.model} could not be fitted ({type(error).__name__}).")
            return []
    if (not fit.mle_retvals["converged"] or _suspicious(fit, made)) and separated(made.matrix, events):
        return None
    if not fit.mle_retvals["converged"]:
        cohort.warn(f"Model {made.model} did not converge; it is left out.")
        return []
    rows = []
    for n, (name, reference, sd, inflation) in enumerate(_all_terms(made)):
        row = dict(term=name, reference=reference, coefficient=fit.params[n], se=fit.bse[n], z=fit.tvalues[n], p=fit.pvalues[n])
        row |= dict(deviance=-2 * fit.llf, vif=inflation, method="ML")
        rows.append(row | (ratios("odds_ratio", fit.params[n], fit.bse[n], sd) if n else {}))
    return rows


def _by_firth(cohort: Cohort, made: Design, events: np.ndarray) -> list[dict]:
    said = f"Model {made.model} tells events from others without error in all or some cases (perfect separation): "
    with np.errstate(all="ignore"):
        fit = firth(made.matrix, events)
    if fit is None:
        cohort.warn(f"{said}odds ratios do not exist, and Firth's method found none; leave out a variable or merge levels.")
        return []
    cohort.warn(
        f"{said}its odds ratios are Firth's, of penalized likelihood; leave out a variable or merge levels for the usual ones."
    )
    rows = []
    for n, (name, reference, sd, inflation) in enumerate(_all_terms(made)):
        row = dict(
            term=name,
            reference=reference,
            coefficient=fit.coefficient[n],
            se=fit.se[n],
            deviance=fit.deviance,
            vif=inflation,
            method="Firth",
        )
        if n:
            ends = fit.coefficient[n], fit.low[n - 1], fit.high[n - 1]
            row |= dict(p=fit.p[n - 1]) | ratio_cells("odds_ratio", ends, sd)
        rows.append(row)
    return rows


def _all_terms(made: Design) -> list[tuple[str, str, float, float]]:
    """(name, reference, SD, variance inflation) of the intercept and every term."""
    return [("Intercept", "", np.nan, np.nan), *((*term, factor) for term, factor in zip(made.terms, made.inflation))]


def ratios(name: str, coefficient: float, error: float, sd: float) -> dict:
    """Ratio per unit and per SD with 95 % Wald intervals; inf where it leaves the range of numbers."""
    return ratio_cells(name, coefficient + QUANTILE * error * np.array([0.0, -1.0, 1.0]), sd)


def ratio_cells(name: str, ends, sd: float) -> dict:
    """A ratio and its interval from a coefficient and its ends, per unit and per SD."""
    cells = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for ending, unit in (("", 1.0), ("_sd", sd)):
            shown = np.exp(unit * np.asarray(ends, float))
            cells.update({f"{name}{ending}": shown[0], f"{name}{ending}_low": shown[1], f"{name}{ending}_high": shown[2]})
    return cells | ({"sd": sd} if np.isfinite(sd) else {})


def warn_of_few(cohort: Cohort, model: str, per_variable: float) -> None:
    if per_variable < EVENTS_PER_VARIABLE:
        cohort.warn(
            f"Model {model}: {per_variable:.1f} events per variable, fewer than {EVENTS_PER_VARIABLE}; its estimates are unstable."
        )


def _suspicious(fit, made: Design) -> bool:
    return bool(np.max(np.abs(fit.params[1:]) * made.matrix.std(axis=0)) > SUSPICIOUS_PER_SD or not np.isfinite(fit.bse).all())


def separated(matrix: np.ndarray, events: np.ndarray) -> bool:
    """Whether a plane has all events on or above it and all others on or below, not all of them on it (Konis 2007)."""
    scaled = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    signed = np.where(events, 1.0, -1.0)[:, None] * np.column_stack([np.ones(len(scaled)), scaled])
    found = linprog(-signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=(-1, 1))
    return bool(found.success and -found.fun > 1e-6)
