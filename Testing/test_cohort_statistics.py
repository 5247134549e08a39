"""The statistics of a cohort against published examples and answers known beforehand."""

from __future__ import annotations

import numpy as np
import pandas
import pytest
from scipy import stats

from BoneQualityLib.statistics import agreement, correlation, event_groups, intraclass, roc
from BoneQualityLib.statistics.analysis import analyze

#: A division by 0 or a NaN on the way is a fault even where nobody sees its warning.
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

#: DeLong et al. 1988, the cases without missing values as the SAS/STAT User's Guide prints them (PROC LOGISTIC, "Comparing Receiver
#: Operating Characteristic Curves"): albumin, total protein, Krebs-Goplerud score, 1 where the patient benefits from surgery.
OVARIAN = np.array("""
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1
3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1
4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1""".split(), float).reshape(-1, 4)  # fmt: skip
#: Shrout and Fleiss 1979: six targets by four judges.
JUDGES = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)
#: Bland and Altman 1986: peak flow by the Wright meter and the mini meter, first readings, l/min.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
#: Darwin's maize, height in eighths of an inch, crossed and self-fertilized of a pair (Fisher 1935).
CROSSED = [188, 96, 168, 176, 153, 172, 177, 163, 146, 173, 186, 168, 177, 184, 96]
SELFED = [139, 163, 160, 160, 147, 149, 149, 122, 132, 144, 130, 144, 102, 124, 144]


def row(result, table: str, **where) -> dict:
    return next(r for r in result.rows[table] if all(r.get(name) == value for name, value in where.items()))


@pytest.fixture(scope="module")
def ovarian():
    frame = pandas.DataFrame(OVARIAN, columns=["albumin", "total_protein", "kg", "benefit"])
    return analyze(frame.assign(kg=10 - frame["kg"]), "benefit", measures="albumin,total_protein,kg")


@pytest.mark.parametrize(
    "measure, auc, se, low, high", [("kg", 0.7258, 0.1028, 0.5243, 0.9273), ("total_protein", 0.6478, 0.1000, 0.4518, 0.8439)]
)
def test_areas_and_their_errors_are_those_of_the_published_delong_example(ovarian, measure, auc, se, low, high):
    found = row(ovarian, "roc", measure=measure)
    assert (found["n"], found["events"]) == (43, 31)
    assert [round(found[name], 4) for name in ("auc", "se", "auc_low", "auc_high")] == [auc, se, low, high]


def test_areas_of_the_same_cases_are_compared_as_in_the_published_delong_example(ovarian):
    found = row(ovarian, "auc_comparisons", first="total_protein", second="kg")
    assert [round(found[name], 4) for name in ("difference", "difference_low", "difference_high", "p")] == [
        -0.0780,
        -0.2830,
        0.1271,
        0.4561,
    ]
    assert round(found["z"] ** 2, 4) == 0.5554


def test_the_covariance_of_three_areas_gives_the_published_overall_test():
    scores = np.stack([OVARIAN[:, 0], OVARIAN[:, 1], 10 - OVARIAN[:, 2]])
    found = roc.areas(scores, OVARIAN[:, 3] == 1)
    contrast = np.array([[1, 0, -1], [0, 1, -1]])
    differences = contrast @ found.auc
    chi_square = differences @ np.linalg.solve(contrast @ found.covariance @ contrast.T, differences)
    assert (round(chi_square, 4), round(stats.chi2.sf(chi_square, 2), 4)) == (2.5340, 0.2817)


def test_areas_by_ranks_are_those_by_comparing_every_event_with_every_other_case():
    random = np.random.default_rng(3)
    scores, events = random.integers(0, 6, (2, 40)).astype(float), random.random(40) < 0.4
    wins = (scores[:, events, None] > scores[:, None, ~events]) + 0.5 * (scores[:, events, None] == scores[:, None, ~events])
    of_events, of_others = wins.mean(axis=2), wins.mean(axis=1)
    found = roc.areas(scores, events)
    assert found.auc == pytest.approx(wins.mean(axis=(1, 2)))
    assert found.covariance == pytest.approx(np.cov(of_events) / events.sum() + np.cov(of_others) / (~events).sum())


def test_areas_of_separate_groups_are_compared_by_the_sum_of_their_variances():
    one, other = (roc.Areas(np.array([auc]), np.array([[variance]])) for auc, variance in ((0.90, 0.0009), (0.78, 0.0016)))
    found = roc.unpaired(one, other)
    assert found.z == pytest.approx(0.12 / 0.05) and found.p == pytest.approx(2 * stats.norm.sf(2.4))


def test_youden_cuts_midway_where_sensitivity_and_specificity_are_largest():
    scores, events = np.array([1.0, 2, 3, 4, 5, 6, 7, 8]), np.array([0, 0, 0, 1, 0, 1, 1, 1], bool)
    found = roc.youden(scores, events)
    assert (found.value, found.sensitivity, found.specificity) == (
        3.5,
        1.0,
        0.75,
    )  # 5.5 has 0.75 and 1.0: the more sensitive of equals


@pytest.mark.parametrize("size", [400, 20000])  # resampled case by case, and in classes
def test_the_bootstrap_finds_the_cut_off_of_two_normal_groups_between_them(size):
    quantiles = stats.norm.ppf((np.arange(size) + 0.5) / size)
    found = roc.youden(np.concatenate([quantiles, quantiles + 2]), np.repeat([False, True], size))
    low, high = found.value_ci
    assert low < 1 < high and found.value == pytest.approx(1, abs=0.03) and high - low < 4 * size ** (-1 / 3)
    assert found.sensitivity_ci[0] < stats.norm.cdf(1) < found.sensitivity_ci[1]


def test_the_bootstrap_of_a_yes_or_no_score_gives_the_percentiles_of_the_binomial_distribution():
    """The cut-off cannot move, so that sensitivity and specificity are shares of n draws."""
    found = roc.youden(np.array([1.0] * 80 + [0] * 20 + [1.0] * 30 + [0] * 170), np.repeat([True, False], [100, 200]))
    assert (found.sensitivity, found.specificity) == (0.8, 0.85)
    for n, share, interval in ((100, 0.8, found.sensitivity_ci), (200, 0.85, found.specificity_ci)):
        assert interval == pytest.approx(stats.binom.ppf((0.025, 0.975), n, share) / n, abs=0.011)


def test_the_interval_of_an_area_ends_at_one():
    assert roc.interval(0.95, 0.01) == pytest.approx((0.95 - 0.196, 1.0), abs=1e-4)


def test_no_cut_off_is_given_where_none_beats_chance():
    assert roc.youden(np.array([4.0, 3, 2, 1]), np.array([0, 0, 1, 1], bool)) is None


def test_every_icc_of_four_judges_is_that_of_shrout_and_fleiss():
    """Shrout and Fleiss 1979, table 4; the intervals as R's psych::ICC prints them for these data."""
    found = intraclass.icc_forms(JUDGES)
    assert {name: round(form.value, 2) for name, form in found.items()} == {
        "(1,1)": 0.17, "(2,1)": 0.29, "(2,k)": 0.62, "(3,1)": 0.71, "(3,k)": 0.91,
    }  # fmt: skip
    ends = {name: [round(end, 2) for end in (form.low, form.high)] for name, form in found.items()}
    assert ends == {
        "(1,1)": [-0.13, 0.72],
        "(2,1)": [0.02, 0.76],
        "(2,k)": [0.07, 0.93],
        "(3,1)": [0.34, 0.95],
        "(3,k)": [0.68, 0.99],
    }
    assert [round(end, 3) for name in ("(2,1)", "(2,k)") for end in (found[name].low, found[name].high)] == [
        0.019,
        0.761,
        0.071,
        0.927,
    ]
    assert (found["(2,1)"].band, found["(3,k)"].band) == ("poor to good", "moderate to excellent")
    between, error = 32.486, 1.019  # mean squares of judges and of the rest, as the paper prints them
    assert found["(2,1)"].standard_error == pytest.approx(np.sqrt((between - error) / 6 + error), abs=0.001)
    assert found["(3,1)"].standard_error == pytest.approx(np.sqrt(error), abs=0.001)
    assert found["(2,k)"].least_detectable_change == pytest.approx(1.96 * np.sqrt(2) * found["(2,1)"].standard_error / 2)


def test_limits_of_agreement_are_those_of_bland_and_altman():
    found = agreement.limits(WRIGHT, MINI)
    assert (round(found.bias, 1), round(found.sd, 1)) == (-2.1, 38.8)
    assert [round(end, 1) for end in found.bias_ci] == [-22.0, 17.8]
    for end, interval in ((found.low, found.low_ci), (found.high, found.high_ci)):  # 95 % interval of the limits: 2.12 times 16.3
        assert [x - end for x in interval] == pytest.approx([-34.6, 34.6], abs=0.1)
    assert [found.low, found.high] == pytest.approx([-2.1 - 1.96 * 38.8, -2.1 + 1.96 * 38.8], abs=0.1)


def test_readers_that_agree_to_the_last_digit_have_an_icc_of_one_without_interval_and_no_error():
    for found in intraclass.icc_forms(np.repeat(JUDGES[:, :1], 2, axis=1)).values():
        assert found.value == 1 and np.isnan([found.low, found.high]).all() and found.least_detectable_change == 0
        assert found.band == "excellent"


def test_logistic_regression_gives_hosmers_coefficients_of_the_glow_study(shared_data):
    found = analyze(shared_data / "tables" / "glow500.csv", "fracture", measures="age", adjust="priorfrac,raterisk[Less]")
    rows = {r["term"]: r for r in found.rows["logistic"]}
    coefficients = [rows[term]["coefficient"] for term in ("age", "priorfrac[Yes]", "raterisk[Same]", "raterisk[Greater]")]
    assert [round(c, 5) for c in coefficients] == [0.04591, 0.70023, 0.54856, 0.86576]
    assert [round(rows[term]["se"], 5) for term in ("age", "priorfrac[Yes]")] == [0.01244, 0.24116]
    assert round(rows["age"]["deviance"], 2) == 518.90 and (rows["age"]["n"], rows["age"]["events"]) == (500, 125)
    assert rows["raterisk[Same]"]["reference"] == "Less"
    ends = [np.exp(0.04591 + side * 1.959964 * 0.01244) for side in (-1, 1)]
    assert [rows["age"]["odds_ratio_low"], rows["age"]["odds_ratio_high"]] == pytest.approx(ends, rel=1e-4)
    assert rows["age"]["odds_ratio_sd"] == pytest.approx(rows["age"]["odds_ratio"] ** rows["age"]["sd"])


def test_cox_gives_foxs_coefficients_of_the_recidivism_study():
    from lifelines.datasets import load_rossi

    found = analyze(load_rossi(), "arrest", measures="prio", adjust="fin,age,race,wexp,mar,paro", time="week")
    rows = {r["term"]: r for r in found.rows["cox"]}
    published = dict(fin=(-0.3794, 0.1914), age=(-0.0574, 0.0220), race=(0.3139, 0.3080), wexp=(-0.1498, 0.2122), mar=(-0.4337, 0.3819),
                     paro=(-0.0849, 0.1958), prio=(0.0915, 0.0286))  # fmt: skip
    assert {term: (round(rows[term]["coefficient"], 4), round(rows[term]["se"], 4)) for term in published} == published
    assert any("(Cox): the hazard ratio of age changes with time" in warning for warning in found.warnings)  # as Fox finds of age


def test_kaplan_meier_and_log_rank_give_the_published_leukemia_trial():
    """Freireich 1963 as in Kleinbaum and Klein: medians of 23 and 8 weeks, log-rank 16.79."""
    from lifelines.datasets import load_leukemia

    found = analyze(load_leukemia(), "status", measures="Rx", time="t")
    risk, others = found.rows["survival"]
    assert (risk["n"], risk["events"], risk["median_time"]) == (21, 21, 8)
    assert (others["n"], others["events"], others["median_time"]) == (21, 9, 23)
    assert round(risk["chi_square"], 2) == 16.79


def test_matched_pairs_give_fishers_t_of_darwins_maize():
    frame = pandas.DataFrame({"height": CROSSED + SELFED, "crossed": [1] * 15 + [0] * 15, "pair": [f"p{n}" for n in range(15)] * 2})
    found = row(analyze(frame, "crossed", measures="height", pairs="pair"), "paired", variable="height")
    assert found["test"] == "paired t" and found["pairs"] == 15
    assert (round(found["statistic"], 3), round(found["p"], 4)) == (2.148, 0.0497)


def paired(first, second) -> dict:
    n = len(first)
    frame = pandas.DataFrame(
        {"x": [*first, *second], "event": [1] * n + [0] * n, "pair": [f"p{i}" for i in range(n)] * 2, "hu": range(2 * n)}
    )
    measures = "hu" if isinstance(first[0], str) else "x"
    return row(analyze(frame, "event", measures=measures, adjust="x" * (measures == "hu"), pairs="pair"), "paired", variable="x")


def test_differences_of_pairs_that_are_not_normal_are_ranked():
    """Ten differences of one sign: 2 of the 2^10 ways to sign them are as extreme."""
    found = paired([2.0**n for n in range(10)], [0.0] * 10)
    assert (found["test"], found["p"]) == ("Wilcoxon", 2 / 2**10)


def test_the_interval_of_a_difference_of_pairs_is_that_of_t():
    """Darwin's maize again; Fisher 1935: 20.933 with a standard error of 9.746, t(14) = 2.145."""
    found = paired(CROSSED, SELFED)
    assert (found["difference_low"], found["difference_high"]) == pytest.approx(
        (20.933 - 2.145 * 9.746, 20.933 + 2.145 * 9.746), abs=0.01
    )


def test_yes_and_no_in_pairs_are_compared_by_the_exact_mcnemar_test():
    """9 pairs differ one way and 1 the other: 2 (1 + 10) / 2^10."""
    found = paired(["yes"] * 9 + ["no"] + ["yes"] * 5, ["no"] * 9 + ["yes"] + ["yes"] * 5)
    assert (found["test"], found["pairs"], found["p"]) == ("McNemar", 15, pytest.approx(22 / 2**10))


def test_small_tables_are_tested_as_fisher_did_the_lady_tasting_tea():
    frame = pandas.DataFrame(
        {"milk_first": [1] * 4 + [0] * 4, "said": ["milk"] * 3 + ["tea"] + ["milk"] + ["tea"] * 3, "hu": range(8)}
    )
    found = row(analyze(frame, "milk_first", measures="hu", adjust="said"), "groups", variable="said")
    assert (found["test"], found["p"]) == ("Fisher", pytest.approx(34 / 70))


def test_correlations_have_fishers_interval_and_ranks_beside():
    """What rises evenly in steps of other lengths: rho 1, r less, with tanh(artanh r +- 1.96 / sqrt(n - 3))."""
    x = np.arange(1.0, 21)
    frame = pandas.DataFrame({"x": x, "y": x**4, "event": [0, 1] * 10})
    found = row(analyze(frame, "event", measures="x,y"), "correlations", subgroup="all")
    r, half = np.corrcoef(x, x**4)[0, 1], 1.959964 / np.sqrt(17)
    assert found["spearman"] == pytest.approx(1) and found["pearson"] == pytest.approx(r)
    assert (found["pearson_low"], found["pearson_high"]) == pytest.approx(
        (np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half))
    )


def test_two_groups_are_compared_by_welch_as_r_does_students_sleep_data():
    extra = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0, 1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = row(
        analyze(pandas.DataFrame({"extra": extra, "drug": [1] * 10 + [0] * 10}), "drug", measures="extra"),
        "groups",
        variable="extra",
    )
    assert (found["test"], round(found["statistic"], 4), round(found["p"], 5)) == ("Welch t", -1.8608, 0.07939)


@pytest.mark.parametrize(
    "with_fracture, without, p", [((31, 61), (124, 288), 0.268), ((47, 61), (246, 288), 0.106), ((9, 61), (48, 288), 0.714)]
)
def test_levels_are_compared_by_the_chi_square_that_chang_2025_prints(with_fracture, without, p):
    counts = ((True, with_fracture), (False, without))
    rows = [(event, "yes" if n < yes else "no", n) for event, (yes, total) in counts for n in range(total)]
    found = analyze(pandas.DataFrame(rows, columns=["fracture", "level", "hu"]), "fracture", measures="hu", adjust="level")
    assert round(row(found, "groups", variable="level")["p"], 3) == p


def test_correlations_of_two_groups_differ_as_xue_2025_prints():
    """p 0.022 for r of -0.51 and -0.68, within the rounding of the two."""
    ps = [correlation.fisher_z(-0.51 + a, 136, -0.68 + b, 205)[1] for a, b in ((0.005, -0.005), (-0.005, 0.005))]
    assert ps[0] < 0.022 < ps[1]


def test_fishers_z_weighs_each_correlation_by_its_own_number_of_cases():
    z, p = correlation.fisher_z(0.5, 28, 0.0, 103)
    assert (z, p) == pytest.approx((np.arctanh(0.5) / np.sqrt(1 / 25 + 1 / 100), 2 * stats.norm.sf(2.4566)), abs=1e-4)


def test_groups_that_are_not_normal_are_compared_by_ranks():
    values = np.exp(np.linspace(-3, 3, 40))
    frame = pandas.DataFrame({"hu": np.concatenate([values, values * 2]), "event": np.repeat([0, 1], 40)})
    found = row(analyze(frame, "event", measures="hu"), "groups", variable="hu")
    assert found["test"] == "Mann-Whitney" and found["p"] == stats.mannwhitneyu(values * 2, values).pvalue


def test_normality_is_not_tested_where_shapiro_wilk_is_not_defined():
    assert np.isnan(event_groups.shapiro_p(np.zeros(2))) and np.isnan(event_groups.shapiro_p(np.arange(5001.0)))
