"""Zhan 2024: T-score, HU, VBQ, muscle area and fat infiltration of patients with a fracture and of matched controls."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .paper_checks import Check, chi_square, normal_area, odds_ratio, share, t_test
from .paper_intervals import of_correlation
from .paper_numbers import BY_NUMBERS, Paper, Published, Stratum, area, cell, contradicting, counts, means, odds, p_value

_SIZE = 78
_EXCHANGED, _FI = "fat_infiltration_exchanged", "fat_infiltration_percent"
_LOADINGS = {"t_score": 0.9, "hu_middle": 0.9, "vbq": -0.85, "rcsa": 0.7, _FI: -0.85, _EXCHANGED: -0.85}
_MEASURES = tuple(name for name in _LOADINGS if name != _EXCHANGED)
_TITLES = {
    "t_score": "T-score",
    "hu_middle": "HU",
    "vbq": "VBQ",
    "rcsa": "rCSA",
    _FI: "FI",
    _EXCHANGED: "FI exchanged",
    "age": "age",
    "bmi": "BMI",
}
#: Table 1: (mean, SD) with and without a fracture.
_NUMBERS = {
    "age": ((72.21, 10.53), (71.57, 9.42)), "bmi": ((22.79, 3.08), (22.91, 2.86)), "t_score": ((-2.47, 0.83), (-1.34, 1.44)),
    "hu_middle": ((66.96, 10.3), (88.74, 16.32)), "vbq": ((4.13, 0.34), (3.06, 0.39)), "rcsa": ((2.48, 0.29), (2.69, 0.44)),
    _FI: ((16.18, 1.14), (17.18, 0.95)), _EXCHANGED: ((17.18, 0.95), (16.18, 1.14)),
}  # fmt: skip
_COUNTS = {"sex": ("women", "F", "M", 50, 50, "1"), "hypertension": ("hypertension", "yes", "no", 42, 35, "0.262"),
           "diabetes": ("diabetes", "yes", "no", 46, 37, "0.149"), "hyperlipidemia": ("hyperlipidemia", "yes", "no", 31, 38, "0.259")}  # fmt: skip
_FRACTURED = {"L1": 23, "L2": 18, "L3": 26, "L4": 11}
#: Table 2: Spearman's rho with the fracture, its p, odds ratio with interval and p.
_RHO = {"t_score": -0.399, "hu_middle": -0.665, "vbq": 0.84, "rcsa": -0.297, _FI: 0.568}
_ODDS = {"t_score": ("0.533", "0.37", "1.13", "0.08"), "hu_middle": ("0.39", "0.29", "0.77", "0.02"), "vbq": ("2.98", "1.78", "8.25", "0.007"),
         "rcsa": ("0.69", "0.52", "1.05", "0.91"), _FI: ("1.47", "0.85", "2.3", "0.18")}  # fmt: skip
#: Table 3, Spearman's rho (its -818 read as -0.818).
_BETWEEN = {
    ("t_score", "hu_middle"): 0.926, ("t_score", "vbq"): -0.82, ("t_score", "rcsa"): 0.679, ("t_score", _FI): -0.759,
    ("hu_middle", "vbq"): -0.823, ("hu_middle", "rcsa"): 0.625, ("hu_middle", _FI): -0.818, ("vbq", "rcsa"): -0.634,
    ("vbq", _FI): 0.919, ("rcsa", _FI): -0.74,
}  # fmt: skip
_FI_WHY = "table 1 has lower FI with a fracture, the text and tables 2 and 3 higher"
_ODDS_WHY = (
    "the odds ratio is not in the middle of its interval, or its p does not follow from them; the paper does not say the unit"
)
#: By which of table 2's odds ratios the checks find a contradiction.
_ODDS_OFF = ("t_score", "hu_middle", "vbq", "rcsa")


def _stratum(event: bool) -> Stratum:
    side = 0 if event else 1
    counted = {name: (row[3 + side], row[1], row[2]) for name, row in _COUNTS.items()}
    return Stratum(event, _SIZE, {name: values[side] for name, values in _NUMBERS.items()}, counted)


def _complete(rows: list[dict]) -> None:
    """Pair each case with a control of its sex, in the order drawn; fractured levels in turn."""
    for event in ("yes", "no"):
        members = sorted((row for row in rows if row["ovcf"] == event), key=lambda row: row["sex"])
        for number, row in enumerate(members, 1):
            row["pair"] = f"p{number:02d}"
    levels = [level for level, count in _FRACTURED.items() for _ in range(count)]
    turns = np.argsort(
        np.arange(_SIZE) * 29 % _SIZE
    )  # 29 has no common divisor with 78: every row once, levels spread over the rows
    for row, turn in zip((row for row in rows if row["ovcf"] == "yes"), turns):
        row["fracture_level"] = levels[turn]
    for row in rows:
        row.setdefault("fracture_level", "")


def _rho(first: str, second: str) -> Callable:
    """Spearman's rho of two columns of the patients; the outcome counts as 0 and 1."""

    def find(result, patients):
        from scipy.stats import spearmanr

        return float(
            spearmanr(*(patients[name] == "yes" if name == "ovcf" else patients[name] for name in (first, second))).statistic
        )

    return find


def _level_share(level: str) -> Callable:
    return lambda result, patients: (
        float((patients["fracture_level"][patients["ovcf"] == "yes"] == level).mean()) if "fracture_level" in patients else None
    )


def _correlations() -> list[Published]:
    found = []
    for name, rho in _RHO.items():
        number = Published(f"{_TITLES[name]} and fracture: Spearman rho", rho, _rho(name, "ovcf"), *of_correlation(rho, 2 * _SIZE, True),
                           place="table 2", interval=BY_NUMBERS)  # fmt: skip
        found.append(contradicting(number, _FI_WHY) if name == _FI else number)
    for (first, second), rho in _BETWEEN.items():
        number = Published(f"{_TITLES[first]} and {_TITLES[second]}: Spearman rho", rho, _rho(first, second), *of_correlation(rho, 2 * _SIZE, True),
                           place="table 3", interval=BY_NUMBERS)  # fmt: skip
        found.append(contradicting(number, _FI_WHY) if _FI in (first, second) else number)
    return found


def _exchanged() -> list[Published]:
    """The same numbers of FI with its two groups exchanged, as the text says."""
    pairs = [
        ("table 2", ("ovcf", _RHO[_FI])),
        *(
            ("table 3", (first if second == _FI else second, rho))
            for (first, second), rho in _BETWEEN.items()
            if _FI in (first, second)
        ),
    ]
    return [
        Published(f"FI exchanged and {'fracture' if other == 'ovcf' else _TITLES[other]}: Spearman rho", rho, _rho(_EXCHANGED, other),
                  *of_correlation(rho, 2 * _SIZE, True), "the row of FI exchanged, as the text says", place, BY_NUMBERS)
        for place, (other, rho) in pairs
    ]  # fmt: skip


def _least_eigenvalue() -> float:
    names = list(_RHO)
    matrix = np.eye(len(names) + 1)
    for (first, second), rho in (_BETWEEN | {("ovcf", name): rho for name, rho in _RHO.items()}).items():
        i, j = (["ovcf", *names].index(name) for name in (first, second))
        matrix[i, j] = matrix[j, i] = rho
    return float(np.linalg.eigvalsh(matrix)[0])


def _numbers_of_table_1() -> list[Published]:
    found = []
    for name in (name for name in _NUMBERS if name != _EXCHANGED):
        rows = means(name, _TITLES[name], "table 1", *((*values, _SIZE) for values in _NUMBERS[name]))
        found += (
            [contradicting(row, _FI_WHY) for row in rows if "mean" in row.what] + [row for row in rows if "SD" in row.what]
            if name == _FI
            else rows
        )
        if name not in (_FI, "t_score"):
            p = {"age": 0.666, "bmi": 0.806, "rcsa": 0.001}.get(name, 0.001)
            found.append(
                p_value(f"{_TITLES[name]}: paired p", p, cell("paired", "p", variable=name), "table 1", "by paired t in the paper")
            )
    for name, (title, level, _, events, others, p) in _COUNTS.items():
        found += counts(name, level, title, "table 1", (events, _SIZE), (others, _SIZE), float(p))
    for level, count in _FRACTURED.items():
        found += counts("fracture_level", level, f"fracture of {level}", "table 1", (count, _SIZE), (0, _SIZE))[:1]
    return found


ZHAN = Paper(
    "zhan", "Zhan 2024",
    "Zhan S, et al. 2024: 78 patients with an osteoporotic vertebral compression fracture and 78 controls of the same age and sex.",
    "ovcf",
    dict(measures=list(_MEASURES), pairs="pair", adjust="age,sex,bmi", facts="hypertension,diabetes,hyperlipidemia"),
    (_stratum(True), _stratum(False)),
    {(a, b): _LOADINGS[a] * _LOADINGS[b] for a in _LOADINGS for b in _LOADINGS if a < b},
    (
        "Every measure is normally distributed within a group.",
        "Within groups one common factor carries the measures, with loadings of 0.90 (T-score, HU), -0.85 (VBQ, FI) and 0.70 (rCSA): assumed. "
        "The published correlations over both groups cannot all arise: that of VBQ and FI would need one above 1 within groups.",
        "The paper's table does not fit its own AUC: normal draws with its means and SDs give VBQ an AUC of 0.98, not 0.895. Its own rank "
        "correlation of VBQ with the fracture, 0.84, goes with 0.98 too (0.895 would go with 0.68). Both numbers stand below.",
        "The FI row of the table (lower in fractures) contradicts the text (higher, in a sentence that calls the T-score higher too) and both "
        "correlation tables: fat_infiltration_percent is drawn as the table says, fat_infiltration_exchanged with the groups' values exchanged.",
        "Cases and controls are paired by sex alone: with the published p of 0.666 ages within pairs went together little (r about 0.15). Age, "
        "sex, BMI, diseases and fractured levels go with nothing.",
        "Not drawn: two readers (ICC above 0.8), since the paper has no readings.",
    ),
    (
        *_numbers_of_table_1(), *_correlations(), *_exchanged(),
        *(contradicting(number, _ODDS_WHY) if name in _ODDS_OFF else number for name, row in _ODDS.items()
          for number in [odds(f"{name} + age + sex + bmi", name, *map(float, row[:3]), "table 2", note="ours per unit; the paper does not say the unit")]),
        contradicting(area("vbq", "VBQ", 0.895, sizes=(_SIZE, _SIZE), place="text, figure 5"),
                      "table 1's means and SDs give 0.98 if normal, and rho 0.84 of table 2 goes with 0.98"),
        contradicting(Published("T-score: higher with a fracture (difference of means over 0)", 1.0,
                                lambda result, patients: cell("groups", "mean_events", variable="t_score")(result, patients)
                                - cell("groups", "mean_others", variable="t_score")(result, patients)),
                      "the text says higher, table 1 lower (-2.47 against -1.34)"),
    ),
    checks=(
        *(t_test("table 1", title, p, (f"{_NUMBERS[name][0][0]}", f"{_NUMBERS[name][0][1]}", _SIZE), (f"{_NUMBERS[name][1][0]}", f"{_NUMBERS[name][1][1]}", _SIZE))
          for name, title, p in (("t_score", "T-score", "<0.001"), ("hu_middle", "HU", "<0.001"), ("vbq", "VBQ", "<0.001"), ("rcsa", "rCSA", "0.001"), (_FI, "FI", "<0.001"))),
        *(chi_square("table 1", title, p, (events, _SIZE), (others, _SIZE)) for name, (title, _, _, events, others, p) in _COUNTS.items() if name != "sex"),
        Check("table 1", "fractured levels: sum", float(sum(_FRACTURED.values())), _SIZE, _SIZE, "one level a patient"),
        *(share("table 1", f"fracture of {level}", f"{count / _SIZE:.3f}", _SIZE) for level, count in _FRACTURED.items()),
        *(check for name, row in _ODDS.items() for check in odds_ratio("table 2", _TITLES[name], *row)),
        normal_area("text and table 1", "VBQ", "0.895", ("4.13", "0.34"), ("3.06", "0.39"), 0.05),
        normal_area("tables 2 and 1", "VBQ, as its rho of 0.84 needs it", f"{0.5 + 0.84 / np.sqrt(3):.3f}", ("4.13", "0.34"), ("3.06", "0.39"), 0.01),
        Check("tables 1 and 2", "FI and fracture: sign of rho", 1.0, -1.0, -1.0, "FI 16.18 with and 17.18 without a fracture"),
        Check("text and table 1", "T-score: sign of the difference", 1.0, -1.0, -1.0, "-2.47 with and -1.34 without a fracture"),
        Check("tables 2 and 3", "correlations: least eigenvalue of their matrix", _least_eigenvalue(), 0.0, 1.0, "no set of patients has a matrix with one below 0"),
        Check("table 3", "HU and FI: rho", -818.0, -1.0, 1.0, "a correlation; read as -0.818"),
    ),
    figures={"roc": "figure 5: ROC curves of the five indicators", "heat_map": "table 3: correlation between the indicators", "boxes": "table 1",
             "correlation": "table 3"},
    finish=_complete,
)  # fmt: skip
