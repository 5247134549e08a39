"""Kadri 2025 (abstract): VBQ before vertebroplasty, secondary fractures at any site."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .paper_checks import share
from .paper_intervals import of_mean, of_sd, of_share
from .paper_numbers import BY_NUMBERS, OURS, Paper, Published, Stratum, cell, p_value

MONTH_DAYS = 30.4375
_SIZE, _EVENTS, _HIGH, _CUT, _WINDOW = 60, 20, 17, 3.0, 60.0
#: Correlation at which means of 3.44 ± 0.82 and 3.40 ± 0.84 in 60 patients differ with the published paired p of 0.401.
_WITH_FRACTURED = 0.903


def _course(rows: list[dict]) -> None:
    """Who fractures and when: 17 of those with VBQ >= 3.0 and 3 of the rest, evenly over their ranks; times of fracture and follow-up."""
    from scipy.stats import gamma

    ordered = sorted(rows, key=lambda row: row["vbq"])
    high, low = ([row for row in ordered if (row["vbq"] >= _CUT) == side] for side in (True, False))
    events = [
        group[int((n + 0.5) * len(group) / count)] for group, count in ((high, _HIGH), (low, _EVENTS - _HIGH)) for n in range(count)
    ]
    chosen = {id(row) for row in events}
    days = -np.log(1 - (np.arange(len(events)) + 0.5) / len(events)) * _WINDOW / -np.log(0.8)
    for row, day in zip(sorted(events, key=lambda row: row["bmi"]), days):
        row.update(secondary_fracture="yes", follow_up_days=float(round(day)))
    mean, sd = 25.7 * MONTH_DAYS, 15.4 * MONTH_DAYS
    for n, row in enumerate(sorted(rows, key=lambda row: row["bmi"])):
        last = float(round(gamma.ppf((n + 0.5) / _SIZE, (mean / sd) ** 2, scale=sd**2 / mean)))
        if id(row) in chosen:
            row["last_seen_days"] = max(last, row["follow_up_days"])
        else:
            row.update(secondary_fracture="no", follow_up_days=last, last_seen_days=last)


def _share(test: Callable) -> Callable:
    return lambda result, patients: float(np.mean(test(patients[patients["secondary_fracture"] == "yes"])))


def _of_all(column: str, title: str, mean: float, sd: float) -> list[Published]:
    how = dict(place="abstract", interval=BY_NUMBERS, drawn=True)

    def found(statistic: str) -> Callable:
        return lambda result, patients: float(getattr(patients[column], statistic)()) if column in patients else None

    return [Published(f"{title}: mean", mean, found("mean"), *of_mean(mean, sd, _SIZE), **how),
            Published(f"{title}: SD", sd, found("std"), *of_sd(sd, _SIZE), **how)]  # fmt: skip


def _follow_up_months(result, patients) -> float:
    return float(patients["last_seen_days"].mean() / MONTH_DAYS)


_AT_CUT = dict(measure="vbq", cutoff=_CUT, subgroup="all")
KADRI = Paper(
    "kadri", "Kadri 2025",
    "Kadri A, et al. J Neurosurg Spine 2025 (abstract): 60 patients after vertebroplasty, 20 with a secondary fracture at any site.",
    "secondary_fracture",
    dict(measures="vbq", time="follow_up_days", adjust="age,sex", window=_WINDOW, methods="vbq,vbq_including_fractured"),
    (
        Stratum(
            False, _SIZE, {"vbq": (3.44, 0.82), "vbq_including_fractured": (3.40, 0.84), "age": (73.65, 10.1), "bmi": (28.93, 6.7)},
            {"sex": (34, "F", "M")}, correlations={("vbq", "vbq_including_fractured"): _WITH_FRACTURED},
        ),
    ),
    {},
    (
        "The abstract has no means of the groups: VBQ of all 60 is normally distributed, 3.44 ± 0.82.",
        "VBQ with the fractured level in is 3.40 ± 0.84 and goes with VBQ by 0.903, with which the published paired p of 0.401 arises.",
        "17 of the 20 fractures lie at VBQ >= 3.0 (published), evenly over the ranks of those above and of those below (assumed): "
        "so only the share above 3.0, and not the area under the curve, is the paper's.",
        "Days to fracture are exponential, 20 % of them within 60 days (published: 80 % later); who fractures when follows BMI, which goes with "
        "nothing else (assumed).",
        "Follow-up of all 60 follows a gamma distribution with the published 25.7 ± 15.4 months, and no fracture comes after its end; who is followed "
        "how long goes with BMI too.",
        "Age, sex and BMI go with nothing.",
    ),
    (
        Published("fractures: share of all", 0.333, lambda result, patients: float(np.mean(patients["secondary_fracture"] == "yes")),
                  *of_share(0.333, _SIZE), place="abstract", interval=BY_NUMBERS, drawn=True),
        Published("fractures with VBQ >= 3.0: share of fractures", 0.85, cell("cutoffs", "sensitivity", **_AT_CUT), *of_share(0.85, _EVENTS),
                  "the sensitivity at the fixed cut-off", "abstract", BY_NUMBERS, True),
        Published("fractures after 60 days: share of fractures", 0.80, cell("follow_up", "value", statistic="events after 60: share of events"),
                  *of_share(0.8, _EVENTS), place="abstract", interval=BY_NUMBERS, drawn=True),
        *_of_all("vbq", "VBQ", 3.44, 0.82), *_of_all("vbq_including_fractured", "VBQ with the fractured level", 3.40, 0.84),
        p_value("VBQ without and with the fractured level: paired p", 0.401, cell("methods", "p", statistic="difference first - second (bias)"), "abstract"),
        *_of_all("age", "age", 73.65, 10.1), *_of_all("bmi", "BMI", 28.93, 6.7),
        Published("women: share", 0.57, lambda result, patients: float(np.mean(patients["sex"] == "F")), *of_share(0.57, _SIZE), place="abstract",
                  interval=BY_NUMBERS, drawn=True),
        Published("cut-off verified by ROC", 3.0, cell("roc", "cutoff", measure="vbq"), cell("roc", "cutoff_low", measure="vbq"),
                  cell("roc", "cutoff_high", measure="vbq"), "in our bootstrap interval", "abstract", OURS),
        Published("follow-up: mean months", 25.7, _follow_up_months, *of_mean(25.7, 15.4, _SIZE), "", "abstract", BY_NUMBERS, True),
        Published("VBQ >= 3.0: hazard ratio above 1 (more often and earlier)", 1.0, cell("cox", "hazard_ratio", model=f"vbq >= {_CUT:g}"), 1.0, np.inf,
                  "the abstract has no number", "abstract", "above 1"),
    ),
    checks=(
        share("abstract", "fractures: share", "0.333", _SIZE), share("abstract", "fractures with VBQ >= 3.0: share", "0.85", _EVENTS),
        share("abstract", "fractures after 60 days: share", "0.80", _EVENTS), share("abstract", "women: share", "0.57", _SIZE),
    ),
    figures={"kaplan_meier": "the time-to-event analysis by VBQ >= 3.0", "methods": "VBQ without and with the fractured level"},
    finish=_course,
)  # fmt: skip
