"""Xue 2025: HU of L1 and VBQ before vertebral augmentation, with and without hyperlipidemia."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from .paper_checks import Check, center, fisher_z, normal_area, odds_ratio, pooled, share, t_test
from .paper_intervals import area_error, of_mean, of_sd, of_share
from .paper_numbers import (
    BY_NUMBERS,
    Paper,
    Published,
    Stratum,
    area,
    cell,
    contradicting,
    correlation,
    means,
    odds,
    p_value,
    youden_point,
)

_HLP, _PLAIN = {"hyperlipidemia": "yes"}, {"hyperlipidemia": "no"}
_PAIR = ("hu_middle_l1", "vbq")
_EVENTS, _OTHERS = 97, 244
#: With and without hyperlipidemia: events and others, and all, as drawn.
_WITH, _WITHOUT = (58, 78), (39, 166)
#: Of the others with hyperlipidemia this share lies above the median of the events; below it their share grows faster than that of events, by
#: this slope, and the rest of it by this power.
_ABOVE, _SLOPE, _POWER = 0.02, 1.4, 3.5


def _below_the_median_of_events(n: int) -> np.ndarray:
    """VBQ of the others with hyperlipidemia, so that Youden's cut-off is the events' median (sensitivity 0.500) at the published area."""
    values = _in_units_of_events(n)
    return (values - values.mean()) / values.std(ddof=1)


def _in_units_of_events(n: int) -> np.ndarray:
    """Less the events' mean, in their SD: the values above which lie the shares of others that go with each share of events on the ROC curve."""
    of_events = np.linspace(0, 1, 4001)
    beyond = np.clip(of_events - 0.5, 0, None)
    of_others = _ABOVE * np.minimum(2 * of_events, 1) + _SLOPE * beyond + (1 - _ABOVE - _SLOPE / 2) * (2 * beyond) ** _POWER
    return np.sort(-ndtri(np.interp((np.arange(n) + 0.5) / n, of_others, of_events)))


def _rest(total: tuple[float, float], part: tuple[float, float]) -> tuple[float, float]:
    """Mean and SD of the 166 others without hyperlipidemia, from those of all 244 and of the 78 with it."""
    n, m = _WITH[1], _WITHOUT[1]
    mean = ((n + m) * total[0] - n * part[0]) / m
    squares = (n + m - 1) * total[1] ** 2 - (n - 1) * part[1] ** 2 - n * (part[0] - total[0]) ** 2 - m * (mean - total[0]) ** 2
    return mean, float(np.sqrt(squares / (m - 1)))


_HU_OTHERS, _VBQ_OTHERS = (81.2, 16.68), (4.14, 0.41)
_SCORES = _in_units_of_events(_WITH[1])
#: VBQ of the events with hyperlipidemia, once those of all events are shifted and scaled to the table's mean and SD.
_VBQ_EVENTS = (4.762, 0.318)
_VBQ_WITH = (_VBQ_EVENTS[0] + _VBQ_EVENTS[1] * float(_SCORES.mean()), _VBQ_EVENTS[1] * float(_SCORES.std(ddof=1)))
_HU_WITH = (79.2, 20.0)
_EXCHANGED = "the table's means and SDs need 58 with and 39 without, not 39 and 58"


def _subgroup_means(name: str, title: str, with_it: tuple[float, float], without: tuple[float, float], p: float) -> list[Published]:
    """Mean and SD of the events with and without hyperlipidemia."""
    found = []
    for value, said, (mean, sd), n in (("yes", "with", with_it, 58), ("no", "without", without, 39)):
        for what, number, ends in (("mean", mean, of_mean(mean, sd, n)), ("sd", sd, of_sd(sd, n))):
            ours = cell("subgroups", what, variable=name, among="events", subgroup=value)
            of = f"{title}, events {said} hyperlipidemia: {'mean' if what == 'mean' else 'SD'}"
            found.append(Published(of, number, ours, *ends, interval=BY_NUMBERS, drawn=True))
    first = cell("subgroups", "p_student", variable=name, among="events", subgroup="no")
    return [*found, p_value(f"{title}, events with against without hyperlipidemia: p", p, first, note="by Student's t")]


def _sensitivity(name: str, title: str, value: float, why: str) -> Published:
    ours = cell("roc", "sensitivity", measure=name, subgroup="yes")
    return Published(f"{title}, with hyperlipidemia: sensitivity", value, ours, *of_share(value, 58), why, "table 3", BY_NUMBERS)


XUE = Paper(
    "xue", "Xue 2025",
    "Xue Y, et al. Sci Rep 2025;15:3524: 341 patients after vertebral augmentation, 97 with a subsequent vertebral fracture; 136 with "
    "hyperlipidemia.",
    "subsequent_fracture",
    dict(measures="hu_middle_l1,vbq", by="hyperlipidemia"),
    (
        Stratum(True, 58, {"hu_middle_l1": (56.27, 14.99), "vbq": (4.75, 0.30)}, facts=_HLP, correlations={_PAIR: -0.345}),
        Stratum(True, 39, {"hu_middle_l1": (61.16, 11.39), "vbq": (4.58, 0.34)}, facts=_PLAIN, correlations={_PAIR: -0.578}),
        Stratum(False, 78, {"hu_middle_l1": _HU_WITH, "vbq": _VBQ_WITH}, facts=_HLP, correlations={_PAIR: -0.345},
                shapes={"vbq": _below_the_median_of_events}),
        Stratum(False, 166, {"hu_middle_l1": _rest(_HU_OTHERS, _HU_WITH), "vbq": _rest(_VBQ_OTHERS, _VBQ_WITH)}, facts=_PLAIN,
                correlations={_PAIR: -0.578}),
    ),
    {},
    (
        "Within fracture and hyperlipidemia groups both measures are normally distributed, but for VBQ of those with hyperlipidemia and no fracture.",
        "The paper counts 39 of the 97 with a fracture as hyperlipidemic. Its means fit only the other way round: 58 with and 39 without give "
        "HU 58.24 and VBQ 4.68 for the published 58.2 and 4.69 (39 with and 58 without: 59.19 and 4.65), and a sensitivity of 0.500 needs "
        "an even count. So 58 are drawn with, 39 without; of the others 78 and 166, so that 136 have it in all.",
        "The hyperlipidemia groups' published SDs give VBQ 4.68 ± 0.33 among fractures for the table's 4.69 ± 0.35: the drawn values are "
        "shifted and scaled to the table's means and SDs.",
        "At the published cut-off of 4.275 the published VBQ of fractures with hyperlipidemia (4.75 ± 0.30) means a sensitivity of 0.94, and at 64.4 HU "
        "56.27 ± 14.99 means 0.71. The published 0.500 and 0.827 are therefore taken as those at cut-offs of the hyperlipidemia group itself.",
        "Means of those without a fracture are published for all of them alone. Assumed with hyperlipidemia: HU 79.2 ± 20, and VBQ "
        f"{_VBQ_WITH[0]:.2f} ± {_VBQ_WITH[1]:.2f} that stops short of the fractures' median, so that the published AUCs (0.820, 0.778) and sensitivities "
        "(0.827, 0.500, to within one patient) with hyperlipidemia arise; without it, what is left of the table's means and SDs.",
        "HU and VBQ correlate within groups by -0.345 with and -0.578 without hyperlipidemia, from which the published -0.51 and -0.68 follow.",
        "Not drawn: age, sex and the other adjusting variables, since the text has no groups of them.",
    ),
    (
        *means("hu_middle_l1", "HU of L1", "table 1", (58.2, 13.81, _EVENTS), (*_HU_OTHERS, _OTHERS), 0.001),
        *means("vbq", "VBQ", "table 1", (4.69, 0.35, _EVENTS), (*_VBQ_OTHERS, _OTHERS), 0.001),
        *(odds("hu_middle_l1 + vbq", name, *row, "table 2", note="the paper adjusts for eight more variables")
          for name, row in (("hu_middle_l1", (0.927, 0.902, 0.953)), ("vbq", (23.465, 7.585, 72.589)))),
        area("hu_middle_l1", "HU of L1", 0.852, 0.810, 0.894, place="table 3, figure 3"),
        *youden_point("hu_middle_l1", "HU of L1", "table 3", cutoff=64.4),
        area("vbq", "VBQ", 0.843, 0.810, 0.889, place="table 3, figure 3"), *youden_point("vbq", "VBQ", "table 3", cutoff=4.275),
        p_value("HU against VBQ: DeLong p", 0.733, cell("auc_comparisons", "p", first="hu_middle_l1", second="vbq"), "table 3"),
        *_subgroup_means("vbq", "VBQ", (4.75, 0.30), (4.58, 0.34), 0.011),
        *_subgroup_means("hu_middle_l1", "HU of L1", (56.27, 14.99), (61.16, 11.39), 0.087),
        contradicting(
            Published("fractures with hyperlipidemia: share", 39 / 97, lambda result, patients: float(
                (patients["hyperlipidemia"][patients["subsequent_fracture"] == "yes"] == "yes").mean())), f"39 of 97; {_EXCHANGED}"),
        area("hu_middle_l1", "HU of L1, with hyperlipidemia", 0.820, sizes=_WITH, subgroup="yes", place="table 3, figure 3"),
        _sensitivity("hu_middle_l1", "HU of L1", 0.827, "at the cut-off of this subgroup"),
        area("vbq", "VBQ, with hyperlipidemia", 0.778, sizes=_WITH, subgroup="yes", place="table 3, figure 3"),
        _sensitivity("vbq", "VBQ", 0.500, "at the cut-off of this subgroup; at 4.275 it is that of the table of fixed cut-offs"),
        p_value("HU against VBQ, with hyperlipidemia: DeLong p", 0.403, cell("auc_comparisons", "p", first="hu_middle_l1: yes", second="vbq: yes"), "table 3"),
        area("vbq", "VBQ, without hyperlipidemia", 0.90, sizes=_WITHOUT, subgroup="no", place="table 3, figure 3"),
        p_value("VBQ without against with hyperlipidemia: DeLong p", 0.017, cell("auc_comparisons", "p", first="vbq: no", second="vbq: yes"), "table 3"),
        correlation(*_PAIR, "HU and VBQ: Pearson r", -0.60, 341, place="table 4, figure 4"),
        correlation(*_PAIR, "HU and VBQ, with hyperlipidemia: Pearson r", -0.51, 136, subgroup="yes", place="table 4, figure 4"),
        correlation(*_PAIR, "HU and VBQ, without hyperlipidemia: Pearson r", -0.68, 205, subgroup="no", place="table 4, figure 4"),
        p_value("with against without hyperlipidemia: Fisher z p", 0.022, cell("correlation_comparisons", "p", first="hu_middle_l1"), "table 4"),
    ),
    checks=(
        t_test("abstract", "VBQ", "<0.001", ("4.69", "0.35", _EVENTS), ("4.14", "0.41", _OTHERS)),
        t_test("abstract", "HU of L1", "<0.001", ("58.2", "13.81", _EVENTS), ("81.2", "16.68", _OTHERS)),
        t_test("results", "VBQ by hyperlipidemia, 39 with", "0.011", ("4.75", "0.30", 39), ("4.58", "0.34", 58)),
        t_test("results", "VBQ by hyperlipidemia, 58 with", "0.011", ("4.75", "0.30", 58), ("4.58", "0.34", 39)),
        t_test("results", "HU by hyperlipidemia, 39 with", "0.087", ("56.27", "14.99", 39), ("61.16", "11.39", 58)),
        t_test("results", "HU by hyperlipidemia, 58 with", "0.087", ("56.27", "14.99", 58), ("61.16", "11.39", 39)),
        *pooled("results", "VBQ of fractures, 39 with", "4.69", "0.35", ("4.75", "0.30", 39), ("4.58", "0.34", 58)),
        *pooled("results", "HU of fractures, 39 with", "58.2", "13.81", ("56.27", "14.99", 39), ("61.16", "11.39", 58)),
        *pooled("results", "VBQ of fractures, 58 with", "4.69", "0.35", ("4.75", "0.30", 58), ("4.58", "0.34", 39)),
        *pooled("results", "HU of fractures, 58 with", "58.2", "13.81", ("56.27", "14.99", 58), ("61.16", "11.39", 39)),
        *(share("results", f"{title}, {n} with hyperlipidemia: sensitivity", value, n)
          for title, value in (("VBQ", "0.500"), ("HU", "0.827")) for n in (39, 58)),
        *odds_ratio("table 2", "VBQ", "23.465", "7.585", "72.589", "<0.001"),
        *odds_ratio("table 2", "HU of L1", "0.927", "0.902", "0.953", "<0.001"),
        center("table 3", "VBQ", "0.843", "0.810", "0.889"), center("table 3", "HU of L1", "0.852", "0.810", "0.894"),
        normal_area("table 1 and 3", "VBQ", "0.843", ("4.69", "0.35"), ("4.14", "0.41"), 1.96 * area_error(0.843, _EVENTS, _OTHERS)),
        normal_area("table 1 and 3", "HU of L1", "0.852", ("58.2", "13.81"), ("81.2", "16.68"), 1.96 * area_error(0.852, _EVENTS, _OTHERS)),
        Check("table 3", "VBQ, with hyperlipidemia: sensitivity", 0.5, 0.90, 0.98, "4.75 ± 0.30 at the cut-off of 4.275, if normal"),
        fisher_z("table 4", "with against without hyperlipidemia: p", "0.022", ("-0.51", 136), ("-0.68", 205)),
    ),
    figures={"roc": "figure 3: ROC curves of all, with and without hyperlipidemia", "correlation": "figure 4 A: HU and VBQ of all",
             "correlation_subgroups": "figure 4 B and C: with and without hyperlipidemia", "boxes": "table 1"},
    totals={True: {"hu_middle_l1": (58.2, 13.81), "vbq": (4.69, 0.35)}, False: {"hu_middle_l1": _HU_OTHERS, "vbq": _VBQ_OTHERS}},
)  # fmt: skip
