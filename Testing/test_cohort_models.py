"""Fixed cut-offs, Firth's regression, imputation, methods and competing events against published examples or other implementations."""

from __future__ import annotations

import warnings

import numpy as np
import pandas
import pytest
from scipy import optimize, stats

from BoneQualityLib import BoneQualityError
from BoneQualityLib.statistics import correlation, cutoffs, event_groups, firth, follow_up, imputation, method_comparison
from BoneQualityLib.statistics.analysis import analyze
from test_cohort import cohort

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

#: Heinze and Schemper 2002, endometrial cancer: neovascularization, pulsatility index, endometrium height, high grade.
ENDOMETRIAL = np.array("""
0 13 1.64 0  0 16 2.26 0  0 8 3.14 0  0 34 2.68 0  0 20 1.28 0  0 5 2.31 0  0 17 1.8 0  0 10 1.68 0  0 26 1.56 0  0 17 2.31 0
0 8 2.01 0  0 7 1.89 0  0 20 3.15 0  0 10 1.23 0  0 18 1.27 0  0 16 1.76 0  0 18 2 0  0 8 2.64 1  0 29 0.88 1  0 12 1.27 1
0 20 1.37 1  1 38 0.97 1  1 22 1.14 1  1 7 0.88 1  1 25 0.91 1  1 15 0.58 1  0 7 0.97 1  0 28 1.5 0  0 11 1.33 0  0 19 2.37 0
0 10 1.82 0  0 10 3.13 0  0 18 1.31 0  0 14 1.92 0  0 21 1.64 0  0 11 2.01 0  0 17 1.88 0  0 25 1.93 0  0 16 2.11 0  0 19 1.29 0
0 15 1.72 0  0 33 0.75 0  0 24 1.92 0  0 48 1.84 1  0 12 1.11 1  0 19 1.61 1  0 2 1.18 1  1 22 1.44 1  1 40 1.18 1  1 5 0.93 1
1 0 1.17 1  0 21 1.19 1  0 15 1.06 1  0 29 2.02 0  0 15 2.29 0  0 12 2.33 0  0 3 2.9 0  0 20 1.7 0  0 23 1.41 0  0 12 2.25 0
0 22 1.54 0  0 42 1.97 0  0 15 1.75 0  0 13 2.16 0  0 14 2.57 0  0 19 1.37 0  0 12 3.61 0  0 13 2.04 0  0 10 2.17 0  0 12 1.69 1
1 49 0.27 1  0 6 1.84 1  0 5 1.3 1  0 17 0.96 1  1 11 1.01 1  1 21 0.98 1  0 5 0.35 1  1 19 1.02 1  0 33 0.85 1
""".split(), float).reshape(-1, 4)  # fmt: skip


def row(rows, **where) -> dict:
    return next(r for r in rows if all(r.get(name) == value for name, value in where.items()))


# Fixed cut-offs


def test_performance_and_its_intervals_are_those_of_r_epitests():
    """Scott et al. 2008 as epiR's epi.tests prints it: 670, 202, 74, 640."""
    risk = np.repeat([True, True, False, False], [670, 202, 74, 640])
    found = cutoffs.performance(risk, np.repeat([True, False, True, False], [670, 202, 74, 640]))
    published = dict(sensitivity=(0.90, 0.88, 0.92), specificity=(0.76, 0.73, 0.79), ppv=(0.77, 0.74, 0.80), npv=(0.90, 0.87, 0.92),
                     lr_positive=(3.75, 3.32, 4.24), lr_negative=(0.13, 0.11, 0.16))  # fmt: skip
    for name, values in published.items():
        assert [round(found[f"{name}{end}"], 2) for end in ("", "_low", "_high")] == list(values), name


@pytest.mark.parametrize("count, of", [(0, 5), (5, 5), (17, 20), (1, 1), (48, 58)])
def test_exact_intervals_are_those_of_statsmodels(count, of):
    from statsmodels.stats.proportion import proportion_confint

    assert cutoffs.exact_interval(count, of) == pytest.approx(proportion_confint(count, of, method="beta"))


def test_a_ratio_without_false_positives_is_infinite_and_has_no_interval():
    found = cutoffs.performance(np.array([True, True, False, False]), np.array([True, True, True, False]))
    assert found["lr_positive"] == np.inf and "lr_positive_low" not in found and found["specificity"] == 1
    alone = cutoffs.performance(np.array([True, False]), np.array([True, True]))
    assert "specificity" not in alone and "lr_positive" not in alone and alone["sensitivity"] == 0.5


def test_given_published_and_youdens_cut_offs_stand_in_one_table_by_subgroup():
    result = analyze(cohort(), "fracture", measures="vbq", by="sex", cutoffs=["vbq>=3.1", "age>=70"])
    found = {(r["measure"], r["source"].partition(":")[0], r["subgroup"]) for r in result.rows["cutoffs"]}
    assert {
        ("vbq", "given", "F"),
        ("vbq", "Kadri 2025", "all"),
        ("vbq", "Youden over this cohort", "M"),
        ("age", "given", "all"),
    } <= found
    given = row(result.rows["cutoffs"], measure="vbq", source="given", subgroup="all")
    frame = cohort()
    at_risk = frame["vbq"] >= 3.1
    assert given["true_positive"] == (at_risk & (frame["fracture"] == "yes")).sum() and given["n"] == 80
    own = row(result.rows["cutoffs"], measure="vbq", source="Youden over this cohort", subgroup="all")
    assert own["sensitivity"] == row(result.rows["roc"], measure="vbq", subgroup="all")["sensitivity"]


# Firth


def test_firths_estimates_are_those_published_for_the_endometrial_cancer_study():
    """Heinze and Schemper 2002, table II: estimates and errors; NV's profile interval 0.61 to 7.85."""
    found = firth.firth(ENDOMETRIAL[:, :3], ENDOMETRIAL[:, 3] == 1)
    assert [round(value, 2) for value in found.coefficient] == [3.77, 2.93, -0.03, -2.60]
    assert [round(value, 2) for value in found.se] == [1.49, 1.55, 0.04, 0.78]
    assert [round(value, 2) for value in (found.low[0], found.high[0])] == [0.61, 7.85]


def test_firths_odds_ratio_of_a_two_by_two_table_is_that_after_adding_a_half():
    for a, b, c, d in ((10, 0, 4, 6), (7, 3, 0, 9), (5, 5, 5, 5)):
        exposed, events = np.repeat([1.0, 1, 0, 0], [a, b, c, d]), np.repeat([True, False, True, False], [a, b, c, d])
        found = firth.firth(exposed[:, None], events)
        assert found.coefficient[1] == pytest.approx(np.log((a + 0.5) * (d + 0.5) / ((b + 0.5) * (c + 0.5))), abs=1e-6)


def test_firths_maximum_and_profile_are_those_of_a_general_optimizer():
    random = np.random.default_rng(5)
    matrix = np.column_stack([random.normal(70, 9, 40), random.integers(0, 2, 40)])
    events = matrix[:, 0] + 3 * matrix[:, 1] > 72  # separated
    scaled = np.column_stack([np.ones(40), (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)])

    def loss(beta):
        share = 1 / (1 + np.exp(-scaled @ beta))
        information = (scaled * (share * (1 - share))[:, None]).T @ scaled
        return -(np.sum(np.where(events, np.log(share), np.log1p(-share))) + 0.5 * np.linalg.slogdet(information)[1])

    best = optimize.minimize(loss, np.zeros(3), method="Nelder-Mead", options=dict(xatol=1e-9, fatol=1e-11, maxiter=9000))
    found = firth.firth(matrix, events)
    assert found.coefficient[1:] * matrix.std(axis=0) == pytest.approx(best.x[1:], rel=1e-3) and found.deviance == pytest.approx(
        2 * best.fun, abs=1e-5
    )
    at_low = found.low[0] * matrix[:, 0].std()
    profile = optimize.minimize(
        lambda rest: loss([rest[0], at_low, rest[1]]), best.x[[0, 2]], method="Nelder-Mead", options=dict(xatol=1e-9, fatol=1e-11)
    )
    assert 2 * (profile.fun - best.fun) == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-3)


def test_alone_and_together_stand_beside_each_other_with_variance_inflation():
    frame = cohort()
    result = analyze(frame, "fracture", measures="hu_3d,vbq", adjust="age,sex")
    found = row(result.rows["odds"], model="hu_3d + age + sex", term="age")
    alone = analyze(frame, "fracture", measures="age").rows["logistic"][1]
    together = row(result.rows["logistic"], model="hu_3d + age + sex", term="age")
    assert found["univariable"] == pytest.approx(alone["odds_ratio"]) and found["multivariable"] == together["odds_ratio"]
    from statsmodels.stats.outliers_influence import variance_inflation_factor

    matrix = np.column_stack([np.ones(80), frame["hu_3d"], frame["age"], frame["sex"] == "M"]).astype(float)
    assert found["vif"] == pytest.approx(variance_inflation_factor(matrix, 2))


# Imputation


def test_rubins_rules_pool_as_by_hand():
    found = imputation.rubin(np.array([1.0, 2.0, 3.0]), np.ones(3))
    total, share = 1 + 4 / 3, (4 / 3) / (1 + 4 / 3)
    assert (found["estimate"], found["se"], found["missing_information"]) == pytest.approx((2.0, np.sqrt(total), share))
    assert found["high"] - 2 == pytest.approx(stats.t.ppf(0.975, 2 / share**2) * np.sqrt(total))


def test_imputation_happens_on_request_only_and_gives_the_same_numbers_each_time():
    random = np.random.default_rng(2)
    frame = cohort(200)
    whole = analyze(frame, "fracture", measures="hu_3d", adjust="age,sex").rows["logistic"]
    frame.loc[random.random(400) < 0.2, "age"] = None
    frame.loc[random.random(400) < 0.1, "sex"] = None
    assert "imputed" not in analyze(frame, "fracture", measures="hu_3d", adjust="age,sex").rows
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    first, again = (analyze(frame, "fracture", measures="hu_3d", adjust="age,sex", impute=5).rows["imputed"] for _ in range(2))
    assert repr(first) == repr(again) and np.array_equal(np.random.get_state()[1], before), "numpy's shared generator is as it was"
    found = row(first, term="hu_3d")
    assert (found["n"], found["imputations"]) == (400, 5) and 0 <= found["missing_information"] < 0.5
    assert found["coefficient"] == pytest.approx(row(whole, term="hu_3d")["coefficient"], abs=found["se"])


# Two methods


def test_demings_line_is_the_orthogonal_regression_of_scipy_and_turns_over_with_its_axes():
    random = np.random.default_rng(4)
    true = random.normal(80, 20, 60)
    first, second = true + random.normal(0, 3, 60), 5 + 1.1 * true + random.normal(0, 3, 60)
    found, turned = method_comparison.deming(first, second), method_comparison.deming(second, first)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        odr = pytest.importorskip("scipy.odr")
        fit = odr.ODR(odr.RealData(first, second), odr.unilinear).run()
    assert [found[part][0] for part in ("slope", "intercept")] == pytest.approx(fit.beta, rel=1e-4)
    assert found["slope"][0] * turned["slope"][0] == pytest.approx(1)
    left_out = [method_comparison.deming(np.delete(first, n), np.delete(second, n))["slope"][0] for n in range(60)]
    pseudo = 60 * found["slope"][0] - 59 * np.array(left_out)
    assert found["slope"][2] - found["slope"][0] == pytest.approx(stats.t.ppf(0.975, 59) * pseudo.std(ddof=1) / np.sqrt(60))


@pytest.mark.parametrize("decimals", [6, 0])  # without and with ties
def test_passing_and_babloks_line_is_that_of_its_definition_written_out(decimals):
    random = np.random.default_rng(6)
    true = random.normal(80, 20, 31)
    first, second = (true + random.normal(0, 3, 31)).round(decimals), (5 + 1.1 * true + random.normal(0, 3, 31)).round(decimals)
    slopes = []
    for i in range(31):
        for j in range(i + 1, 31):
            across, up = first[i] - first[j], second[i] - second[j]
            if across or up:
                slope = up / across if across else np.inf * np.sign(up) * np.sign(i - j) * -1
                slopes += [slope] if slope != -1 else []
    slopes, below = sorted(slopes), sum(slope < -1 for slope in slopes)
    count = len(slopes)
    middle = slopes[(count - 1) // 2 + below] if count % 2 else (slopes[count // 2 - 1 + below] + slopes[count // 2 + below]) / 2
    reach = 1.959964 * np.sqrt(31 * 30 * 67 / 18)
    lowest = round((count - reach) / 2)
    found = method_comparison.passing_bablok(first, second)
    assert found["slope"] == pytest.approx((middle, slopes[lowest - 1 + below], slopes[count - lowest + below]), rel=1e-6)
    assert found["intercept"][0] == pytest.approx(np.median(second - middle * first))
    turned = method_comparison.passing_bablok(second, first)
    assert found["slope"][0] * turned["slope"][0] == pytest.approx(1, rel=1e-3 if decimals else 2e-2)


def test_two_methods_need_no_outcome_and_say_difference_bias_and_agreement():
    frame = cohort().drop(columns="fracture")
    frame["other"] = 1.1 * frame["hu_3d"] + np.tile([1.0, -1.0, 0.5, -0.5], 20)
    result = analyze(frame, None, methods="hu_3d,other")
    found = {r["statistic"]: r for r in result.rows["methods"]}
    difference = frame["hu_3d"] - frame["other"]
    t = stats.ttest_rel(frame["hu_3d"], frame["other"])
    bias = found["difference first - second (bias)"]
    assert bias["value"] == pytest.approx(difference.mean()) and f"{t.pvalue:.3g}" in {f"{bias['p']:.3g}", bias["note"].split()[-1]}
    slope = stats.linregress((frame["hu_3d"] + frame["other"]) / 2, difference)
    assert (found["proportional bias (slope)"]["value"], found["proportional bias (slope)"]["p"]) == pytest.approx(
        (slope.slope, slope.pvalue)
    )
    assert found["ICC(3,1)"]["value"] > found["ICC(2,1)"]["value"] and found["Deming slope"]["value"] == pytest.approx(
        1.1, abs=0.01
    )
    assert {"methods"} <= set(result.figures) and "roc" not in result.rows and "Two methods" in result.html()


def test_readers_can_be_compared_without_an_outcome():
    first = cohort(20)[["case_id", "hu_3d"]]
    frame = pandas.concat([first.assign(reader="A"), first.assign(reader="B", hu_3d=first["hu_3d"] + np.tile([1.0, -1.0], 20))])
    result = analyze(frame, None, readers="reader")
    assert len(result.rows["reliability"]) == 5 and set(result.figures) == {"bland_altman"}
    with pytest.raises(BoneQualityError, match="No outcome is named"):
        analyze(first, None, measures="hu_3d")


# Time


def test_cumulative_incidence_is_aalen_and_johansens_with_ties():
    random = np.random.default_rng(7)
    times, states = random.integers(1, 12, 80).astype(float), random.integers(0, 3, 80)
    curve, band = follow_up.cumulative_incidence(times, states)
    free, incidence = 1.0, 0.0
    for time in np.unique(times):
        at_risk = (times >= time).sum()
        incidence += free * ((times == time) & (states == 1)).sum() / at_risk
        free *= 1 - ((times == time) & (states > 0)).sum() / at_risk
        assert float(curve.iloc[curve.index.searchsorted(time, side="right") - 1]) == pytest.approx(incidence, abs=1e-9), time
    assert band is not None


def test_an_event_that_competes_lowers_the_incidence_that_kaplan_meier_gives():
    frame = cohort(days=np.tile(np.arange(40) + 1.0, 2), dead=["no"] * 40 + ["yes", "no"] * 20)
    result = analyze(frame, "fracture", measures="vbq", time="days", competing="dead", window=20)
    everybody = [r for r in result.rows["incidence"] if r["group"] == "all cases"]
    assert [r["time"] for r in everybody] == [20, 40] and all(r["incidence"] < r["kaplan_meier"] for r in everybody)
    assert everybody[0]["competing"] == 20 and "incidence" in result.figures
    assert any("20 competing events" in warning for warning in result.warnings)


def test_follow_up_is_the_reverse_kaplan_meier_of_the_censored():
    """Events on days 1 to 40, ends of follow-up on days 41 to 80, one a day: half of those still followed are left on day 60."""
    frame = cohort(days=np.arange(80) + 1.0)
    found = {r["statistic"]: r for r in analyze(frame, "fracture", measures="vbq", time="days", window=10).rows["follow_up"]}
    assert found["median follow-up, reverse Kaplan-Meier (days)"]["value"] == 60
    assert (
        found["events up to 10: share of events"]["value"] == 0.25
        and found["events up to 10: share of events"]["note"] == "10 of 40"
    )
    assert found["events in 1000 of days"]["value"] == pytest.approx(1000 * 40 / np.arange(1, 81).sum())


def test_a_window_splits_the_follow_up_at_the_landmark():
    frame = cohort(days=np.tile(np.arange(40) + 1.0, 2))
    rows = [
        r
        for r in analyze(frame, "fracture", measures="vbq", time="days", window=10).rows["survival"]
        if r["source"].startswith("Kadri")
    ]
    events = {period: sum(r["events"] for r in rows if r["period"] == period) for period in ("all", "to 10", "from 10")}
    cases = {period: sum(r["n"] for r in rows if r["period"] == period) for period in events}
    assert events == {"all": 40, "to 10": 10, "from 10": 30} and cases == {"all": 80, "to 10": 80, "from 10": 60}
    with pytest.raises(BoneQualityError, match="needs the time"):
        analyze(frame, "fracture", measures="vbq", window=10)


# Groups and correlations


def test_students_t_stands_beside_welchs_as_r_gives_both_for_students_sleep_data():
    extra = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0, 1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
    found = event_groups.two_sample(extra[:10], extra[10:], [1.0, 1.0])
    assert (found["test"], round(found["p"], 5), round(found["p_student"], 5)) == ("Welch t", 0.07939, 0.07919)


def test_each_measure_is_correlated_with_the_outcome_as_scipy_does():
    frame = cohort()
    result = analyze(frame, "fracture", measures="hu_3d", by="sex")
    found = row(result.rows["outcome_correlations"], measure="hu_3d", subgroup="F")
    women = frame[frame["sex"] == "F"]
    event = (women["fracture"] == "yes").astype(int)
    assert (found["pearson"], found["p_pearson"]) == pytest.approx(tuple(stats.pointbiserialr(event, women["hu_3d"])))
    assert found["spearman"] == pytest.approx(stats.spearmanr(event, women["hu_3d"]).statistic)
    assert correlation.outcome_rows(result.cohort)[0]["n"] == 80


def test_subgroups_are_compared_among_all_events_and_others():
    frame = cohort(region=["a", "b", "c", "a"] * 20)
    result = analyze(frame, "fracture", measures="hu_3d", by="sex")
    events = [r for r in result.rows["subgroups"] if r["variable"] == "hu_3d" and r["among"] == "events"]
    of = {s: frame[(frame["sex"] == s) & (frame["fracture"] == "yes")]["hu_3d"] for s in "FM"}
    assert [(r["subgroup"], r["n"]) for r in events] == [("F", 30), ("M", 10)]
    assert [r["mean"] for r in events] == pytest.approx([of["F"].mean(), of["M"].mean()])
    assert events[0]["p"] == pytest.approx(stats.ttest_ind(of["F"], of["M"], equal_var=False).pvalue)
    three = analyze(frame, "fracture", measures="hu_3d", by="region").rows["subgroups"]
    first = row(three, variable="hu_3d", among="all", subgroup="a")
    assert first["test"] in ("Welch ANOVA", "Kruskal-Wallis") and 0 < first["p"] <= 1


@pytest.mark.parametrize("size", [2, 3, 4])
def test_tiny_cohorts_with_every_question_give_a_page_and_no_warning_of_a_library(size, capfd):
    frame = cohort(size, days=np.tile(np.arange(size) + 1.0, 2), dead=["no"] * (2 * size - 1) + ["yes"], pair=[f"p{n}" for n in range(size)] * 2,
                   sex=(["F", "M"] * size))  # fmt: skip
    frame["age"] = frame["age"] + np.arange(2 * size) * 0.1
    frame["other"] = frame["hu_3d"] + 1
    frame.loc[0, "age"] = None
    result = analyze(frame, "fracture", measures="hu_3d,vbq", by="sex", adjust="age", time="days", competing="dead", pairs="pair",
                     methods="hu_3d,other", window=1, impute=2, cutoffs="hu_3d<=70", where="hu_3d>=0")  # fmt: skip
    assert "Methods" in result.html() and capfd.readouterr().err == ""


def test_a_measure_of_one_value_and_one_that_separates_go_through_every_question():
    frame = cohort(10, days=np.tile(np.arange(10) + 1.0, 2), one=5.0)
    frame["vbq"] = np.where(frame["fracture"] == "yes", 4.0, 3.0) + frame["age"] / 1000
    result = analyze(frame, "fracture", measures="vbq,one,hu_3d", adjust="age", time="days", methods="one,vbq", by="sex")
    assert row(result.rows["logistic"], model="vbq + age", term="vbq")["method"] == "Firth"
    assert not any(r["measure"] == "one" for r in result.rows["roc"]) and result.html()
