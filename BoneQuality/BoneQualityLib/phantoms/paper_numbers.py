"""What the four papers publish, and what is assumed where they do not: the input of papers.py. Facts and numbers only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

MONTH_DAYS = 30.4375


@dataclass(frozen=True)
class Stratum:
    """Patients drawn together. numbers: column -> (mean, SD); counts: column -> (how many, their value, that of the rest)."""

    event: bool
    size: int
    numbers: dict[str, tuple[float, float]]
    counts: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    correlations: dict[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """A number of a paper with its 95 % interval; ``ours`` finds ours in (CohortResult, DataFrame of the patients), None where we have none."""

    what: str
    value: float | None
    ours: Callable
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Paper:
    """question: arguments of ``cohort.analyze``. totals: event -> column -> (mean, SD) where strata together must have these.

    correlations: within strata. finish: completes the drawn rows in place.
    """

    name: str
    title: str
    source: str
    outcome: str
    question: dict
    strata: tuple[Stratum, ...]
    correlations: dict[tuple[str, str], float]
    assumptions: tuple[str, ...]
    published: tuple[Published, ...]
    totals: dict = field(default_factory=dict)
    finish: Callable | None = None


def cell(table: str, column: str, **where) -> Callable:
    """Finds the value of a column in the first row of a table that has these values."""

    def find(result, patients):
        for row in result.rows.get(table, ()):
            if all(row.get(name) == value for name, value in where.items()):
                return row.get(column)
        return None

    return find


def _groups(name: str, title: str, events: tuple[float, float], others: tuple[float, float]) -> tuple[Published, ...]:
    """Mean and SD of a measure among events and others."""
    return tuple(
        Published(f"{title}: {what} of {group}", value, cell("groups", f"{what}_{group}", variable=name))
        for group, values in (("events", events), ("others", others))
        for what, value in zip(("mean", "sd"), values)
    )


def _area(name: str, title: str, auc: float, low=None, high=None, subgroup="all", note="") -> Published:
    return Published(f"{title}: AUC", auc, cell("roc", "auc", measure=name, subgroup=subgroup), low, high, note)


def _roc_point(name: str, title: str, **values) -> tuple[Published, ...]:
    return tuple(
        Published(f"{title}: {what.replace('cutoff', 'cut-off')}", value, cell("roc", what, measure=name, subgroup="all"))
        for what, value in values.items()
    )


def _correlation(first: str, second: str, what: str, value: float, column="pearson", subgroup="all", note="") -> Published:
    return Published(what, value, cell("correlations", column, first=first, second=second, subgroup=subgroup), note=note)


def _odds(model: str, term: str, value: float, low: float, high: float, note="") -> Published:
    return Published(f"{term}: odds ratio", value, cell("logistic", "odds_ratio", model=model, term=term), low, high, note)


_CHANG_MODEL = "hu_3d + age + multiple_fractures"
CHANG = Paper(
    "chang", "Chang 2025",
    "Chang R, et al. 2025: 349 women after vertebral augmentation, 61 with a new vertebral fracture within 2 years or more.",
    "new_fracture",
    dict(measures="hu_3d,hu_multislice,t_score", adjust="age,multiple_fractures"),
    (
        Stratum(True, 61, {"hu_3d": (40.64, 22.43), "hu_multislice": (34.46, 23.44), "t_score": (-3.23, 1.18), "age": (74.75, 8.45),
                           "bmi": (23.33, 4.24)}, {"multiple_fractures": (16, "yes", "no")}),
        Stratum(False, 288, {"hu_3d": (79.93, 25.69), "hu_multislice": (68.15, 28.00), "t_score": (-2.62, 1.13), "age": (69.44, 8.86),
                             "bmi": (23.51, 3.34)}, {"multiple_fractures": (13, "yes", "no")}),
    ),
    {
        ("hu_3d", "hu_multislice"): 0.90, ("hu_3d", "t_score"): 0.63, ("hu_multislice", "t_score"): 0.55,
        ("hu_3d", "age"): -0.53, ("hu_multislice", "age"): -0.48, ("t_score", "age"): -0.33,
        ("hu_3d", "multiple_fractures"): -0.50, ("hu_multislice", "multiple_fractures"): -0.45, ("t_score", "multiple_fractures"): -0.31,
        ("age", "multiple_fractures"): 0.26,
    },
    (
        "Every measure is normally distributed within a group.",
        "Within each group 3D-HU and multi-slice HU correlate by 0.90 (assumed: the paper does not say).",
        "T-score correlates within groups by 0.63 with 3D-HU and 0.55 with multi-slice HU, from which the published correlations over all follow.",
        "Age correlates within groups by -0.53 with 3D-HU, so that the published odds ratio of age arises; by -0.48 and -0.33 with the others.",
        "Multiple fractures go with low HU (-0.50 and -0.45), low T-score (-0.31) and age (0.26) within groups (assumed); BMI goes with nothing.",
        "The paper's 3D-HU, read up to the cortex, stands in the column hu_3d.",
    ),
    (
        _area("hu_3d", "3D-HU", 0.877, 0.831, 0.923), *_roc_point("hu_3d", "3D-HU", cutoff=56.3, sensitivity=0.803, specificity=0.847),
        _area("hu_multislice", "multi-slice HU", 0.823, 0.769, 0.876),
        *_roc_point("hu_multislice", "multi-slice HU", cutoff=51.4, sensitivity=0.820, specificity=0.747),
        _correlation("hu_3d", "t_score", "3D-HU and T-score: Pearson r", 0.628),
        _correlation("hu_multislice", "t_score", "multi-slice HU and T-score: Pearson r", 0.570),
        _odds(_CHANG_MODEL, "hu_3d", 0.927, 0.906, 0.945), _odds(_CHANG_MODEL, "age", 0.964, 0.918, 1.010),
        _odds(_CHANG_MODEL, "multiple_fractures[yes]", 1.136, 0.439, 2.829),
        *_groups("hu_3d", "3D-HU", (40.64, 22.43), (79.93, 25.69)), *_groups("hu_multislice", "multi-slice HU", (34.46, 23.44), (68.15, 28.00)),
        *_groups("t_score", "T-score", (-3.23, 1.18), (-2.62, 1.13)), *_groups("age", "age", (74.75, 8.45), (69.44, 8.86)),
    ),
)  # fmt: skip
_XUE_HLP, _XUE_PLAIN = {"hyperlipidemia": "yes"}, {"hyperlipidemia": "no"}
_XUE_R = ("hu_middle_l1", "vbq")
XUE = Paper(
    "xue", "Xue 2025",
    "Xue Y, et al. Sci Rep 2025;15:3524: 341 patients after vertebral augmentation, 97 with a subsequent vertebral fracture; 136 with "
    "hyperlipidemia.",
    "subsequent_fracture",
    dict(measures="hu_middle_l1,vbq", by="hyperlipidemia"),
    (
        Stratum(True, 58, {"hu_middle_l1": (56.27, 14.99), "vbq": (4.75, 0.30)}, facts=_XUE_HLP, correlations={_XUE_R: -0.345}),
        Stratum(True, 39, {"hu_middle_l1": (61.16, 11.39), "vbq": (4.58, 0.34)}, facts=_XUE_PLAIN, correlations={_XUE_R: -0.578}),
        Stratum(False, 78, {"hu_middle_l1": (76.61, 16.41), "vbq": (4.385, 0.375)}, facts=_XUE_HLP, correlations={_XUE_R: -0.345}),
        Stratum(False, 166, {"hu_middle_l1": (83.36, 16.41), "vbq": (4.025, 0.375)}, facts=_XUE_PLAIN, correlations={_XUE_R: -0.578}),
    ),
    {},
    (
        "Both measures are normally distributed within fracture and hyperlipidemia groups.",
        "The paper counts 39 of the 97 with a fracture as hyperlipidemic. Its means fit only the other way round: 58 with and 39 without give "
        "HU 58.24 and VBQ 4.68 for the published 58.2 and 4.69 (39 with and 58 without: 59.19 and 4.65), and a sensitivity of 0.500 needs "
        "an even count. So 58 are drawn with, 39 without; of the others 78 and 166, so that 136 have it in all.",
        "The hyperlipidemia groups' published SDs give VBQ 4.68 ± 0.33 among fractures for the table's 4.69 ± 0.35: the drawn values are "
        "shifted and scaled to the table's means and SDs.",
        "Means of those without a fracture are published only for all: 4.385 and 4.025 (VBQ), 76.61 and 83.36 (HU) with and without "
        "hyperlipidemia are assumed, one SD for both, so that the published AUCs with hyperlipidemia (0.778 and 0.820) arise. "
        "The published AUC of VBQ without (0.90) cannot arise beside these and the table.",
        "HU and VBQ correlate within groups by -0.345 with and -0.578 without hyperlipidemia, from which the published -0.51 and -0.68 follow.",
        "Age, sex and the other adjusting variables are not drawn: the paper has no groups of them here.",
    ),
    (
        _area("hu_middle_l1", "HU of L1", 0.852, 0.810, 0.894), *_roc_point("hu_middle_l1", "HU of L1", cutoff=64.4),
        _area("vbq", "VBQ", 0.843, 0.810, 0.889), *_roc_point("vbq", "VBQ", cutoff=4.275),
        Published("HU against VBQ: DeLong p", 0.733, cell("auc_comparisons", "p", first="hu_middle_l1", second="vbq")),
        _area("hu_middle_l1", "HU of L1, with hyperlipidemia", 0.820, subgroup="yes"),
        Published("HU of L1, with hyperlipidemia: sensitivity", 0.827, cell("roc", "sensitivity", measure="hu_middle_l1", subgroup="yes"),
                  note="at the cut-off of this subgroup; the paper does not say at which"),
        _area("vbq", "VBQ, with hyperlipidemia", 0.778, subgroup="yes"),
        Published("VBQ, with hyperlipidemia: sensitivity", 0.500, cell("roc", "sensitivity", measure="vbq", subgroup="yes"),
                  note="at the cut-off of this subgroup; 0.500 goes with a higher one"),
        Published("HU against VBQ, with hyperlipidemia: DeLong p", 0.403,
                  cell("auc_comparisons", "p", first="hu_middle_l1: yes", second="vbq: yes")),
        _area("vbq", "VBQ, without hyperlipidemia", 0.90, subgroup="no", note="does not fit the table"),
        Published("VBQ without against with hyperlipidemia: DeLong p", 0.017, cell("auc_comparisons", "p", first="vbq: no", second="vbq: yes")),
        _correlation(*_XUE_R, "HU and VBQ: Pearson r", -0.60),
        _correlation(*_XUE_R, "HU and VBQ, with hyperlipidemia: Pearson r", -0.51, subgroup="yes"),
        _correlation(*_XUE_R, "HU and VBQ, without hyperlipidemia: Pearson r", -0.68, subgroup="no"),
        Published("with against without hyperlipidemia: Fisher z p", 0.022, cell("correlation_comparisons", "p", first="hu_middle_l1")),
        _odds("hu_middle_l1 + vbq", "hu_middle_l1", 0.927, 0.902, 0.953, "the paper adjusts for eight more variables"),
        _odds("hu_middle_l1 + vbq", "vbq", 23.465, 7.585, 72.589, "the paper adjusts for eight more variables"),
        *_groups("hu_middle_l1", "HU of L1", (58.2, 13.81), (81.2, 16.68)), *_groups("vbq", "VBQ", (4.69, 0.35), (4.14, 0.41)),
    ),
    totals={True: {"hu_middle_l1": (58.2, 13.81), "vbq": (4.69, 0.35)}, False: {"hu_middle_l1": (81.2, 16.68), "vbq": (4.14, 0.41)}},
)  # fmt: skip
_EXCHANGED = "fat_infiltration_exchanged"
_ZHAN_LOADINGS = {"t_score": 0.9, "hu_middle": 0.9, "vbq": -0.85, "rcsa": 0.7, "fat_infiltration_percent": -0.85, _EXCHANGED: -0.85}
_ZHAN_NAMES = {
    "t_score": "T-score",
    "hu_middle": "HU",
    "vbq": "VBQ",
    "rcsa": "rCSA",
    "fat_infiltration_percent": "FI",
    _EXCHANGED: "FI exchanged",
}
_ZHAN_RHO = {
    "t_score": -0.399,
    "hu_middle": -0.665,
    "vbq": 0.84,
    "rcsa": -0.297,
    "fat_infiltration_percent": 0.568,
    _EXCHANGED: 0.568,
}
_ZHAN_ODDS = {
    "t_score": (0.533, 0.37, 1.13), "hu_middle": (0.39, 0.29, 0.77), "vbq": (2.98, 1.78, 8.25), "rcsa": (0.69, 0.52, 1.05),
    "fat_infiltration_percent": (1.47, 0.85, 2.3),
}  # fmt: skip
#: Between measures, as the table of correlations prints them (its -818 read as -0.818).
_ZHAN_BETWEEN = {
    ("t_score", "hu_middle"): 0.926, ("t_score", "vbq"): -0.82, ("t_score", "rcsa"): 0.679, ("t_score", _EXCHANGED): -0.759,
    ("hu_middle", "vbq"): -0.823, ("hu_middle", "rcsa"): 0.625, ("hu_middle", _EXCHANGED): -0.818, ("vbq", "rcsa"): -0.634,
    ("vbq", "fat_infiltration_percent"): 0.919, ("vbq", _EXCHANGED): 0.919, ("rcsa", _EXCHANGED): -0.74,
}  # fmt: skip
_ZHAN_NOTES = {
    "fat_infiltration_percent": "the table's row contradicts the text",
    _EXCHANGED: "the row exchanged, as the text says",
}
_ZHAN_TABLE = {
    "t_score": ((-2.47, 0.83), (-1.34, 1.44)), "hu_middle": ((66.96, 10.3), (88.74, 16.32)), "vbq": ((4.13, 0.34), (3.06, 0.39)),
    "rcsa": ((2.48, 0.29), (2.69, 0.44)), "fat_infiltration_percent": ((16.18, 1.14), (17.18, 0.95)),
    _EXCHANGED: ((17.18, 0.95), (16.18, 1.14)), "age": ((72.21, 10.53), (71.57, 9.42)), "bmi": ((22.79, 3.08), (22.91, 2.86)),
}  # fmt: skip


def _match(rows: list[dict]) -> None:
    """Pair each case with a control of its sex, in the order drawn."""
    for event in ("yes", "no"):
        members = sorted((row for row in rows if row["ovcf"] == event), key=lambda row: row["sex"])
        for number, row in enumerate(members, 1):
            row["pair"] = f"p{number:02d}"


def _rho(first: str, second: str) -> Callable:
    """Spearman's rho of two columns of the patients; the outcome counts as 0 and 1."""

    def find(result, patients):
        from scipy.stats import spearmanr

        return float(
            spearmanr(*(patients[name] == "yes" if name == "ovcf" else patients[name] for name in (first, second))).statistic
        )

    return find


ZHAN = Paper(
    "zhan", "Zhan 2024",
    "Zhan S, et al. 2024: 78 patients with an osteoporotic vertebral compression fracture and 78 controls of the same age and sex.",
    "ovcf",
    dict(measures=[n for n in _ZHAN_LOADINGS if n != _EXCHANGED], pairs="pair", adjust="age,sex,bmi"),
    (
        Stratum(True, 78, {name: values[0] for name, values in _ZHAN_TABLE.items()}, {"sex": (50, "F", "M")}),
        Stratum(False, 78, {name: values[1] for name, values in _ZHAN_TABLE.items()}, {"sex": (50, "F", "M")}),
    ),
    {(a, b): _ZHAN_LOADINGS[a] * _ZHAN_LOADINGS[b] for a in _ZHAN_LOADINGS for b in _ZHAN_LOADINGS if a < b},
    (
        "Every measure is normally distributed within a group.",
        "Within groups one common factor carries the measures, with loadings of 0.90 (T-score, HU), -0.85 (VBQ, FI) and 0.70 (rCSA): assumed. "
        "The published correlations over both groups cannot all arise: that of VBQ and FI would need one above 1 within groups.",
        "The paper's table does not fit its own AUC: normal draws with its means and SDs give VBQ an AUC of 0.98, not 0.895. Its own rank "
        "correlation of VBQ with the fracture, 0.84, goes with 0.98 too (0.895 would go with 0.68). Both numbers stand below.",
        "The FI row of the table (lower in fractures) contradicts the text (higher, in a sentence that calls the T-score higher too) and both "
        "correlation tables: fat_infiltration_percent is drawn as the table says, fat_infiltration_exchanged with the groups' values exchanged.",
        "Cases and controls are paired by sex alone: with the published p of 0.666 ages within pairs went together little (r about 0.15). Age, "
        "sex and BMI go with nothing.",
    ),
    (
        _area("vbq", "VBQ", 0.895, note="the table with normal draws gives 0.98"),
        *(Published(f"{_ZHAN_NAMES[n]} and fracture: Spearman rho", rho, _rho(n, "ovcf"), note=_ZHAN_NOTES.get(n, ""))
          for n, rho in _ZHAN_RHO.items()),
        *(Published(f"{_ZHAN_NAMES[a]} and {_ZHAN_NAMES[b]}: Spearman rho", rho, _rho(a, b), note=_ZHAN_NOTES.get(b, ""))
          for (a, b), rho in _ZHAN_BETWEEN.items()),
        *(_odds(f"{n} + age + sex + bmi", n, *odds, note="ours per unit, one measure at a time; the paper says neither")
          for n, odds in _ZHAN_ODDS.items()),
        Published("age: paired p", 0.666, cell("paired", "p", variable="age"), note="by t in the paper"),
        Published("rCSA: paired p", 0.001, cell("paired", "p", variable="rcsa"), note="by t in the paper"),
        *(number for n in _ZHAN_LOADINGS if n != _EXCHANGED for number in _groups(n, _ZHAN_NAMES[n], *_ZHAN_TABLE[n])),
    ),
    finish=_match,
)  # fmt: skip
_KADRI_EVENTS, _KADRI_HIGH, _KADRI_CUT = 20, 17, 3.0


def _kadri_course(rows: list[dict]) -> None:
    """Who fractures and when: 17 of those with VBQ >= 3.0 and 3 of the rest, evenly over their ranks; times of fracture and follow-up."""
    from scipy.stats import gamma

    ordered = sorted(rows, key=lambda row: row["vbq"])
    high = [row for row in ordered if row["vbq"] >= _KADRI_CUT]
    low = [row for row in ordered if row["vbq"] < _KADRI_CUT]
    events = [
        group[int((n + 0.5) * len(group) / count)]
        for group, count in ((high, _KADRI_HIGH), (low, _KADRI_EVENTS - _KADRI_HIGH))
        for n in range(count)
    ]
    chosen = {id(row) for row in events}
    days = -np.log(1 - (np.arange(len(events)) + 0.5) / len(events)) * 60 / -np.log(0.8)
    for row, day in zip(sorted(events, key=lambda row: row["bmi"]), days):
        row.update(secondary_fracture="yes", follow_up_days=float(round(day)))
    rest = sorted((row for row in rows if id(row) not in chosen), key=lambda row: row["bmi"])
    mean, sd = 25.7 * MONTH_DAYS, 15.4 * MONTH_DAYS
    for n, row in enumerate(rest):
        row.update(
            secondary_fracture="no",
            follow_up_days=float(round(gamma.ppf((n + 0.5) / len(rest), (mean / sd) ** 2, scale=sd**2 / mean))),
        )


def _kadri_share(test: Callable) -> Callable:
    return lambda result, patients: float(np.mean(test(patients[patients["secondary_fracture"] == "yes"])))


def _kadri_mean(column: str, unit: float = 1.0) -> Callable:
    return lambda result, patients: float(patients[column].mean() / unit)


KADRI = Paper(
    "kadri", "Kadri 2025",
    "Kadri A, et al. J Neurosurg Spine 2025 (abstract): 60 patients after vertebroplasty, 20 with a secondary fracture at any site.",
    "secondary_fracture",
    dict(measures="vbq", time="follow_up_days", adjust="age,sex"),
    (Stratum(False, 60, {"vbq": (3.44, 0.82), "age": (73.65, 10.1), "bmi": (28.93, 6.7)}, {"sex": (34, "F", "M")}),),
    {},
    (
        "The abstract has no means of the groups: VBQ of all 60 is normally distributed, 3.44 ± 0.82.",
        "17 of the 20 fractures lie at VBQ >= 3.0 (published), evenly over the ranks of those above and of those below (assumed): "
        "so only the share above 3.0, and not the area under the curve, is the paper's.",
        "Days to fracture are exponential, 20 % of them within 60 days (published: 80 % later); who fractures when follows BMI, which goes with "
        "nothing else (assumed).",
        "Follow-up of the others follows a gamma distribution with the published 25.7 ± 15.4 months, which the paper gives for all 60.",
        "Age, sex and BMI go with nothing.",
    ),
    (
        Published("fractures: share of all", 0.333, lambda result, patients: float(np.mean(patients["secondary_fracture"] == "yes"))),
        Published("fractures with VBQ >= 3.0: share of fractures", 0.85, _kadri_share(lambda frame: frame["vbq"] >= _KADRI_CUT)),
        Published("fractures after 60 days: share of fractures", 0.80, _kadri_share(lambda frame: frame["follow_up_days"] > 60)),
        Published("VBQ: mean of all", 3.44, _kadri_mean("vbq")),
        Published("VBQ: SD of all", 0.82, lambda result, patients: float(patients["vbq"].std())),
        Published("cut-off for time to event", 3.0, cell("roc", "cutoff", measure="vbq"), note="ours: Youden over the drawn patients"),
        Published("VBQ >= 3.0: log-rank p", None, cell("survival", "p", measure="vbq", cutoff=_KADRI_CUT),
                  note="the abstract says more often and earlier, without a number"),
        Published("follow-up: mean months", 25.7, _kadri_mean("follow_up_days", MONTH_DAYS), note="ours ends at the fracture"),
        Published("age: mean", 73.65, _kadri_mean("age")),
    ),
    finish=_kadri_course,
)  # fmt: skip
