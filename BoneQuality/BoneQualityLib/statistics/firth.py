"""Firth's penalized logistic regression, which has finite estimates where events and others are separated.

Written here because neither statsmodels, lifelines nor scikit-learn has it: Firth, Biometrika 1993;80:27; its use for separation and the
profile intervals: Heinze and Schemper, Stat Med 2002;21:2409.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2

#: Newton steps; each is at most this long in units of the variables' SD.
MOST_STEPS, LONGEST_STEP = 200, 2.0
#: Profiles are followed this far from the estimate, in SD units; an end beyond is infinite.
FARTHEST = 200.0
_CRITICAL = float(chi2.ppf(0.95, 1))


@dataclass(frozen=True)
class FirthFit:
    """coefficient and se (p + 1,), the intercept first; low, high and p (p,) of the others by penalized profile likelihood; ``deviance`` penalized."""

    coefficient: np.ndarray
    se: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    deviance: float


def firth(matrix: np.ndarray, events: np.ndarray) -> FirthFit | None:
    """Fit ``events`` (n,) by ``matrix`` (n, p) without a constant column; None where no maximum is found.

    In a 2 x 2 table the odds ratio is the one after 0.5 is added to every cell:

    >>> found = firth(np.repeat([[0.0], [1.0]], 10, axis=0), np.repeat([False, True], 10))
    >>> round(float(found.coefficient[1]), 4) == round(2 * float(np.log(10.5 / 0.5)), 4)
    True
    """
    mean, sd = matrix.mean(axis=0), matrix.std(axis=0)
    design = np.column_stack([np.ones(len(matrix)), (matrix - mean) / sd])
    outcome = np.asarray(events, float)
    found = _maximum(design, outcome, {})
    if found is None:
        return None
    coefficient, likelihood, covariance = found
    ends, p = [], []
    for term in range(1, design.shape[1]):
        none = _maximum(design, outcome, {term: 0.0})
        p.append(np.nan if none is None else float(chi2.sf(max(2 * (likelihood - none[1]), 0.0), 1)))
        ends.append([_end(design, outcome, term, coefficient, likelihood, side) for side in (-1, 1)])
    back = np.diag(np.concatenate([[1.0], 1 / sd]))
    back[0, 1:] = -mean / sd
    ends = np.array(ends) / sd[:, None]
    errors = np.sqrt(np.diag(back @ covariance @ back.T))
    return FirthFit(back @ coefficient, errors, ends[:, 0], ends[:, 1], np.array(p), -2 * likelihood)


def _maximum(design: np.ndarray, outcome: np.ndarray, fixed: dict[int, float]):
    """(coefficients, penalized log likelihood, covariance) with some coefficients fixed; None where it is not found."""
    free = [n for n in range(design.shape[1]) if n not in fixed]
    beta = np.zeros(design.shape[1])
    for term, value in fixed.items():
        beta[term] = value
    now = _state(design, outcome, beta)
    for _ in range(MOST_STEPS):
        if now is None:
            return None
        likelihood, score, information = now
        step = np.linalg.lstsq(information[np.ix_(free, free)], score[free], rcond=None)[0]
        step *= min(1.0, LONGEST_STEP / max(np.abs(step).max(), 1e-300))
        if np.abs(step).max() < 1e-8:
            return beta, likelihood, np.linalg.pinv(information)
        for _ in range(30):
            tried = beta.copy()
            tried[free] += step
            then = _state(design, outcome, tried)
            if then is not None and then[0] >= likelihood - 1e-12:
                break
            step = step / 2
        else:
            return beta, likelihood, np.linalg.pinv(information)
        beta, now = tried, then
    return None


def _state(design: np.ndarray, outcome: np.ndarray, beta: np.ndarray):
    """Penalized log likelihood, Firth's score and the information at ``beta``; None where the information is singular."""
    eta = design @ beta
    share = np.where(eta >= 0, 1 / (1 + np.exp(-np.abs(eta))), np.exp(-np.abs(eta)) / (1 + np.exp(-np.abs(eta))))
    weight = share * (1 - share)
    information = (design * weight[:, None]).T @ design
    sign, logdet = np.linalg.slogdet(information)
    if sign <= 0 or not np.isfinite(logdet):
        return None
    leverage = weight * np.einsum("ij,ji->i", design, np.linalg.solve(information, design.T))
    score = design.T @ (outcome - share + leverage * (0.5 - share))
    likelihood = float(np.sum(outcome * eta - np.logaddexp(0, eta))) + 0.5 * logdet
    return likelihood, score, information


def _end(design, outcome, term: int, coefficient: np.ndarray, likelihood: float, side: int) -> float:
    """Where the profile of one coefficient has fallen by the 95 % quantile of chi-square; infinite where it never does."""

    def beyond(value: float) -> float:
        found = _maximum(design, outcome, {term: value})
        return np.inf if found is None else 2 * (likelihood - found[1]) - _CRITICAL

    begin, reach = float(coefficient[term]), 0.5
    while beyond(begin + side * reach) < 0:
        reach *= 2
        if reach > FARTHEST:
            return side * np.inf
    if not np.isfinite(beyond(begin + side * reach)):
        return side * np.inf
    return float(brentq(beyond, *sorted((begin, begin + side * reach)), xtol=1e-6))
