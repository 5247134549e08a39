"""Logistic regression after multiple imputation of missing values, on request only: chained equations by statsmodels, Rubin's rules."""

from __future__ import annotations

import contextlib
import inspect
import warnings

import numpy as np
from scipy import stats

from .cohort import Cohort
from .regression import ratio_cells, separated
from .roc import SEED

#: Rounds of the chain before the first data set is kept, and between two.
BURN_IN, BETWEEN = 10, 3


def imputed_rows(cohort: Cohort) -> list[dict]:
    """Rows of the table ``imputed``: the models of several terms, pooled over the imputed data sets.

    Missing cells of measures and adjusting variables are drawn from observed ones of similar cases (predictive mean matching), with the
    outcome among the predictors (Moons, J Clin Epidemiol 2006;59:1092). A missing level of three or more cannot be drawn so: its
    cases stay out.
    """
    if not cohort.question.impute:
        return []
    variables = list(dict.fromkeys([*(m.name for m in cohort.measures), *(term.name for term in cohort.question.adjust)]))
    columns, cases = _coded(cohort, variables)
    missing = [name for name, (values, _) in columns.items() if np.isnan(values[cases]).any()]
    if not missing:
        cohort.warn("Nothing is missing in the measures and adjusting variables of the cases in use; nothing was imputed.")
        return []
    sets = _imputed_sets(
        {name: values[cases] for name, (values, _) in columns.items()}, cohort.events[cases], cohort.question.impute
    )
    if sets is None:
        cohort.warn(f"The {int(cases.sum())} cases are too few, or too much alike, for multiple imputation; nothing was imputed.")
        return []
    adjusters = [term.name for term in cohort.question.adjust]
    rows = []
    for names in [*([m.name] for m in cohort.measures), [m.name for m in cohort.measures]]:
        terms = [name for name, (_, variable) in columns.items() if variable in {*names, *adjusters}]
        model = " + ".join(dict.fromkeys([*names, *adjusters]))
        if terms and model not in {row["model"] for row in rows}:
            rows += _pooled(cohort, model, terms, [data[terms].to_numpy() for data in sets], cohort.events[cases])
    return rows


def _coded(cohort: Cohort, variables: list[str]) -> tuple[dict, np.ndarray]:
    """Term -> (numbers with nan (n,), its variable), and the cases that can be used (n,)."""
    columns, cases = {}, np.ones(len(cohort.events), bool)
    for variable in variables:
        values, there = cohort.values(variable), cohort.complete(variable)
        if len(set(values[there])) < 2:
            continue
        if cohort.is_number(variable):
            columns[variable] = values.astype(float), variable
            continue
        levels = sorted(set(values[there]))
        reference = next((t.reference for t in cohort.question.adjust if t.name == variable), None) or levels[0]
        if len(levels) > 2:
            cases &= there
        for level in (level for level in levels if level != reference):
            columns[f"{variable}[{level}]"] = np.where(there, values == level, np.nan).astype(float), variable
    return columns, cases


def _imputed_sets(columns: dict[str, np.ndarray], events: np.ndarray, count: int) -> list | None:
    """The imputed data sets as DataFrames; None where the chain breaks down, as with too few cases."""
    import pandas
    from statsmodels.imputation.mice import MICEData

    names = {f"x{n}": name for n, name in enumerate(columns)}
    data = pandas.DataFrame({short: columns[name] for short, name in names.items()} | {"event": events.astype(float)})
    # statsmodels 0.15 and newer take a generator, those before draw from numpy's shared one
    own = {"rng": np.random.default_rng(SEED)} if "rng" in inspect.signature(MICEData.__init__).parameters else {}
    with _seeded(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            chain, found = MICEData(data, **own), []
            chain.update_all(BURN_IN)
            for _ in range(count):
                chain.update_all(BETWEEN)
                found.append(chain.data[list(names)].rename(columns=names).copy())
        except (np.linalg.LinAlgError, ValueError, IndexError, ZeroDivisionError):
            return None
    return found


@contextlib.contextmanager
def _seeded():
    """numpy's shared generator, seeded for the same numbers at every run, and put back."""
    state = np.random.get_state()
    np.random.seed(SEED)
    try:
        yield
    finally:
        np.random.set_state(state)


def _pooled(cohort: Cohort, model: str, terms: list[str], sets: list[np.ndarray], events: np.ndarray) -> list[dict]:
    import statsmodels.api

    estimates, variances = [], []
    for matrix in sets:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                fit = statsmodels.api.Logit(events.astype(float), statsmodels.api.add_constant(matrix, has_constant="add")).fit(
                    disp=0, maxiter=100
                )
            except Exception:  # statsmodels has several classes for one fault: no finite estimate
                fit = None
        if fit is None or not fit.mle_retvals["converged"] or not np.isfinite(fit.bse).all():
            why = "events and others are separated" if separated(matrix, events) else "no estimate was found"
            cohort.warn(f"Model {model} after imputation: {why} in an imputed data set; it is left out.")
            return []
        estimates.append(fit.params[1:])
        variances.append(fit.bse[1:] ** 2)
    rows = []
    for n, term in enumerate(terms):
        found = rubin(np.array(estimates)[:, n], np.array(variances)[:, n])
        sd = float(np.mean([matrix[:, n].std(ddof=1) for matrix in sets])) if "[" not in term else np.nan
        row = dict(
            model=model, n=len(events), events=int(events.sum()), imputations=len(sets), term=term, coefficient=found["estimate"]
        )
        row |= {name: found[name] for name in ("se", "p", "missing_information")}
        rows.append(row | ratio_cells("odds_ratio", (found["estimate"], found["low"], found["high"]), sd))
    return rows


def rubin(estimates: np.ndarray, variances: np.ndarray) -> dict[str, float]:
    """Pool estimates of m data sets (m,) by Rubin's rules (Multiple imputation, 1987, 3.1): estimate, se, interval, p, missing_information."""
    m, estimate = len(estimates), float(np.mean(estimates))
    within, between = float(np.mean(variances)), float(np.var(estimates, ddof=1))
    total = within + (1 + 1 / m) * between
    share = (1 + 1 / m) * between / total
    freedom = (m - 1) / share**2 if share > 1e-12 else np.inf
    error = np.sqrt(total)
    half = (stats.t.ppf(0.975, freedom) if np.isfinite(freedom) else stats.norm.ppf(0.975)) * error
    z = abs(estimate) / error
    p = 2 * (stats.t.sf(z, freedom) if np.isfinite(freedom) else stats.norm.sf(z))
    return dict(
        estimate=estimate, se=float(error), low=estimate - half, high=estimate + half, p=float(p), missing_information=share
    )
