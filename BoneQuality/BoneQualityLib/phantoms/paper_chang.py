"""Chang 2025: 3D-HU and multi-slice HU before vertebral augmentation, new fractures after it."""

from __future__ import annotations

from .paper_checks import center, chi_square, normal_area, odds_ratio, pooled, share, t_test
from .paper_numbers import Paper, Published, Stratum, area, cell, correlation, counts, means, odds, p_value, youden_point

_EVENTS, _OTHERS = 61, 288
#: Table 1: column -> title, (mean, SD) with and without a new fracture, p.
_NUMBERS = {
    "age": ("age", (74.75, 8.45), (69.44, 8.86), 0.001), "bmi": ("BMI", (23.33, 4.24), (23.51, 3.34), 0.719),
    "t_score": ("T-score", (-3.23, 1.18), (-2.62, 1.13), 0.001), "hu_multislice": ("multi-slice HU", (34.46, 23.44), (68.15, 28.00), 0.001),
    "hu_3d": ("3D-HU", (40.64, 22.43), (79.93, 25.69), 0.001),
}  # fmt: skip
#: Table 1: column -> title, the level that is counted, the other one, how many of 61 and of 288, p.
_COUNTS = {
    "hypertension": ("hypertension", "yes", "no", 31, 124, "0.268"), "diabetes": ("diabetes", "yes", "no", 6, 46, "0.222"),
    "thoracolumbar_junction": ("thoracolumbar junction", "yes", "no", 47, 246, "0.106"),
    "multiple_fractures": ("multiple fractures", "yes", "no", 16, 13, "<0.001"), "procedure": ("kyphoplasty", "PKP", "PVP", 9, 48, "0.714"),
}  # fmt: skip
_MODEL = "hu_3d + age + multiple_fractures"


def _stratum(event: bool) -> Stratum:
    side = 1 if event else 2
    return Stratum(
        event, _EVENTS if event else _OTHERS, {name: row[side] for name, row in _NUMBERS.items()},
        {name: (row[3] if event else row[4], row[1], row[2]) for name, row in _COUNTS.items()},
    )  # fmt: skip


def _means() -> list[Published]:
    return [
        number for name, (title, events, others, p) in _NUMBERS.items()
        for number in means(name, title, "table 1", (*events, _EVENTS), (*others, _OTHERS), p)
    ]  # fmt: skip


def _counts() -> list[Published]:
    return [
        number for name, (title, level, _, events, others, p) in _COUNTS.items()
        for number in counts(name, level, title, "table 1", (events, _EVENTS), (others, _OTHERS), float(p.lstrip("<")))
    ]  # fmt: skip


_SIZES = (_EVENTS, _OTHERS)
CHANG = Paper(
    "chang", "Chang 2025",
    "Chang R, et al. 2025: 349 women after vertebral augmentation, 61 with a new vertebral fracture within 2 years or more.",
    "new_fracture",
    dict(measures="hu_3d,hu_multislice,t_score", adjust="age,multiple_fractures", facts="hypertension,diabetes,thoracolumbar_junction,procedure"),
    (_stratum(True), _stratum(False)),
    {
        ("hu_3d", "hu_multislice"): 0.90, ("hu_3d", "t_score"): 0.63, ("hu_multislice", "t_score"): 0.55,
        ("hu_3d", "age"): -0.53, ("hu_multislice", "age"): -0.48, ("t_score", "age"): -0.33,
        ("hu_3d", "multiple_fractures"): -0.62, ("hu_multislice", "multiple_fractures"): -0.56, ("t_score", "multiple_fractures"): -0.31,
        ("age", "multiple_fractures"): 0.26,
    },
    (
        "Every measure is normally distributed within a group.",
        "Within each group 3D-HU and multi-slice HU correlate by 0.90 (assumed: the paper does not say).",
        "T-score correlates within groups by 0.63 with 3D-HU and 0.55 with multi-slice HU, from which the published correlations over all follow.",
        "Age correlates within groups by -0.53 with 3D-HU, so that the published odds ratio of age arises; by -0.48 and -0.33 with the others.",
        "Multiple fractures go with low HU (-0.62 and -0.56), low T-score (-0.31) and age (0.26) within groups (assumed); BMI, diseases, "
        "level and procedure go with nothing.",
        "The paper's 3D-HU, read up to the cortex, stands in the column hu_3d.",
        "Not drawn: a second reader (ICC 0.955), since the paper has no readings.",
    ),
    (
        *_means(), *_counts(),
        *(odds(_MODEL, term, *row, "table 2") for term, row in (
            ("age", (0.964, 0.918, 1.010)), ("multiple_fractures[yes]", (1.136, 0.439, 2.829)), ("hu_3d", (0.927, 0.906, 0.945)))),
        *(p_value(f"{term}: p of the odds ratio", p, cell("logistic", "p", model=_MODEL, term=term), "table 2") for term, p in (
            ("age", 0.131), ("multiple_fractures[yes]", 0.787), ("hu_3d", 0.001))),
        area("hu_3d", "3D-HU", 0.877, 0.831, 0.923, place="table 3, figure 6"),
        *youden_point("hu_3d", "3D-HU", "table 3", _SIZES, cutoff=56.3, sensitivity=0.803, specificity=0.847),
        area("hu_multislice", "multi-slice HU", 0.823, 0.769, 0.876, place="table 3, figure 6"),
        *youden_point("hu_multislice", "multi-slice HU", "table 3", _SIZES, cutoff=51.4, sensitivity=0.820, specificity=0.747),
        correlation("hu_3d", "t_score", "3D-HU and T-score: Pearson r", 0.628, 349, place="figure 5"),
        correlation("hu_multislice", "t_score", "multi-slice HU and T-score: Pearson r", 0.570, 349, place="figure 5"),
    ),
    checks=(
        *(t_test("table 1", title, "<0.001" if p == 0.001 else f"{p}", (f"{e[0]}", f"{e[1]}", _EVENTS), (f"{o[0]}", f"{o[1]}", _OTHERS))
          for title, e, o, p in _NUMBERS.values()),
        *(chi_square("table 1", title, p, (e, _EVENTS), (o, _OTHERS)) for title, _, _, e, o, p in _COUNTS.values()),
        *pooled("text", "age of all", "70.37", "9.01", ("74.75", "8.45", _EVENTS), ("69.44", "8.86", _OTHERS)),
        *odds_ratio("table 2", "age", "0.964", "0.918", "1.010", "0.131"),
        *odds_ratio("table 2", "multiple fractures", "1.136", "0.439", "2.829", "0.787"),
        *odds_ratio("table 2", "3D-HU", "0.927", "0.906", "0.945", "<0.001"),
        *(share("table 3", f"{title}: {what}", value, of) for title, what, value, of in (
            ("3D-HU", "sensitivity", "0.803", _EVENTS), ("3D-HU", "specificity", "0.847", _OTHERS),
            ("multi-slice HU", "sensitivity", "0.820", _EVENTS), ("multi-slice HU", "specificity", "0.747", _OTHERS))),
        center("table 3", "3D-HU", "0.877", "0.831", "0.923"), center("table 3", "multi-slice HU", "0.823", "0.769", "0.876"),
        normal_area("table 1 and 3", "3D-HU", "0.877", ("40.64", "22.43"), ("79.93", "25.69"), 0.046),
        normal_area("table 1 and 3", "multi-slice HU", "0.823", ("34.46", "23.44"), ("68.15", "28.00"), 0.053),
    ),
    figures={"roc": "figure 6: ROC curves of 3D-HU and HU value", "correlation": "figure 5: correlation of 3D-HU and of HU value with T-score",
             "boxes": "table 1"},
)  # fmt: skip
