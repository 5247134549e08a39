"""The tables of a cohort: their columns, and how their cells look in the CSV and on the page."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..columns import Column


@dataclass(frozen=True)
class Statistic(Column):
    """A column of a cohort's table: numbers to six significant digits in the CSV; ``shown``: on the page too."""

    shown: bool = True

    def cell(self, value) -> str:
        if not self.is_number:
            return self.text(value)
        value = self.number(value)
        return "" if math.isnan(value) else f"{value:.6g}"

    def page_cell(self, row: dict) -> str:
        """The value with its interval as a person reads it; "-" for a number that is not there."""
        value = row.get(self.name)
        if not self.is_number:
            return str(value or "")
        shown = _short(self, self.number(value))
        ends = [self.number(row.get(f"{self.name}_{end}")) for end in ("low", "high")]
        if shown != "-" and not any(map(math.isnan, ends)):
            shown += f" ({_short(self, ends[0])} to {_short(self, ends[1])})"
        return shown


def p_text(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _short(column: Column, value: float) -> str:
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if column.decimals == 0:
        return f"{value:.0f}"
    if column.name == "p" or column.name.startswith("p_"):
        return p_text(value)
    if abs(value) >= 1e5 or 0 < abs(value) < 1e-3:
        return f"{value:.2e}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _statistics(text: str) -> tuple[Statistic, ...]:
    """name | title | description, after the name a mark: "t" text, "i" whole number, "-" in the CSV only; an interval's ends too."""
    found = []
    for line in text.strip().splitlines():
        name, title, description = (part.strip() for part in line.split("|"))
        name, *marks = name.split()
        decimals = None if "t" in marks else 0 if "i" in marks else 3
        found.append(Statistic(name, title, "", decimals, description, "-" not in marks))
        if "ci" in marks:
            for end, word in (("low", "from"), ("high", "to")):
                found.append(Statistic(f"{name}_{end}", f"{title} {word}", "", decimals, f"{end} end of the 95 % interval", False))
    return tuple(found)


#: Table -> (title, columns). The key table first.
COHORT_TABLES = {
    "roc": ("How well each measure tells events from others", _statistics("""
        measure t | Measure | column of the cohort
        subgroup t | Subgroup | value of the column that splits the cohort, or all
        n i | n | cases with this measure
        events i | Events | among them
        direction t | Risk is | low or high values, as the area over all cases says
        auc ci | AUC (95 % CI) | area under the ROC curve, DeLong interval
        se - | SE | DeLong standard error of the AUC
        p | p | of an AUC of 0.5
        comparison t - | Cut | how a value is compared with the cut-off
        cutoff ci | Cut-off (95 % CI) | Youden; interval by bootstrap
        sensitivity ci | Sensitivity (95 % CI) | at the cut-off; interval by bootstrap with the cut-off sought anew
        specificity ci | Specificity (95 % CI) | likewise
        youden | Youden | sensitivity + specificity - 1""")),
    "cutoffs": ("Fixed cut-offs: how well each tells events from others", _statistics("""
        measure t | Measure | column of the cohort
        comparison t - | Cut | how a value is compared with the cut-off
        cutoff | Cut-off | value
        source t | From | Youden over this cohort, given, or a published source
        subgroup t | Subgroup | value of the column that splits the cohort, or all
        n i | n | cases with this measure
        events i | Events | among them
        risk i - | On the side of risk | cases
        true_positive i - | True positive | events on the side of risk
        false_positive i - | False positive | others on the side of risk
        false_negative i - | False negative | events on the other side
        true_negative i - | True negative | others on the other side
        sensitivity ci | Sensitivity (95 % CI) | exact interval (Clopper and Pearson)
        specificity ci | Specificity (95 % CI) | likewise
        ppv ci | PPV (95 % CI) | likewise; holds for this cohort's share of events
        npv ci | NPV (95 % CI) | likewise
        lr_positive ci | LR+ (95 % CI) | positive likelihood ratio; interval by Simel
        lr_negative ci | LR- (95 % CI) | negative likelihood ratio""")),
    "flow": ("Patient flow", _statistics("""
        step t | Step | rule that a case must meet, in order
        excluded i | Excluded | cases that do not meet it
        missing i | Of these without a value | cases whose cell is empty
        left i | Left | cases after this step""")),
    "groups": ("Events and others", _statistics("""
        variable t | Variable | column of the cohort
        level t | Level | of a categorical variable
        n_events i | n events | events with this variable
        n_others i | n others | others with it
        events t | Events | mean +- SD, or number (percent)
        others t | Others | likewise
        mean_events - | Mean events | of a number
        sd_events - | SD events | of a number
        median_events - | Median events | of a number
        mean_others - | Mean others | of a number
        sd_others - | SD others | of a number
        median_others - | Median others | of a number
        p_shapiro_events - | Shapiro-Wilk p events | normality among events
        p_shapiro_others - | Shapiro-Wilk p others | normality among others
        test t | Test | Welch t or Mann-Whitney; chi-square or Fisher
        statistic - | Statistic | t, U or chi-square
        p | p | two-sided
        p_student | p (Student) | of Student's t, for papers that used it""")),
    "subgroups": ("Subgroups among all, events and others", _statistics("""
        variable t | Variable | column of the cohort
        level t | Level | of a categorical variable
        among t | Among | all cases, events, or others
        subgroup t | Subgroup | value of the column that splits the cohort
        n i | n | cases with this variable
        value t | Value | mean +- SD, or number (percent)
        mean - | Mean | of a number
        sd - | SD | of a number
        median - | Median | of a number
        test t | Test | between the subgroups: Welch t or Mann-Whitney; chi-square or Fisher; of three or more Welch ANOVA or Kruskal-Wallis
        statistic - | Statistic | of the test
        p | p | two-sided
        p_student | p (Student) | of Student's t, for papers that used it""")),
    "auc_comparisons": ("Areas compared (DeLong)", _statistics("""
        kind t | Kind | paired: two measures of the same cases; unpaired: two subgroups
        first t | First | measure, or measure and subgroup
        second t | Second | likewise
        n_first i | n first | cases
        n_second i | n second | cases
        auc_first | AUC first | over these cases
        auc_second | AUC second | over these cases
        difference ci | Difference (95 % CI) | first - second
        z - | z | DeLong
        p | p | two-sided, not adjusted for several tests""")),
    "outcome_correlations": ("Measures and the outcome", _statistics("""
        measure t | Measure | column of the cohort
        subgroup t | Subgroup | value of the column that splits the cohort, or all
        n i | n | cases with this measure
        events i | Events | among them
        pearson ci | Point-biserial r (95 % CI) | Pearson's r with event 1, other 0; interval by Fisher z
        p_pearson | p (point-biserial) | two-sided
        spearman | Spearman rho | rank correlation
        p_spearman | p (Spearman) | two-sided""")),
    "correlations": ("Correlations of measures", _statistics("""
        first t | First | measure
        second t | Second | measure
        subgroup t | Subgroup | value of the column that splits the cohort, or all
        n i | n | cases with both
        pearson ci | Pearson r (95 % CI) | interval by Fisher z
        p_pearson | p (Pearson) | two-sided
        spearman | Spearman rho | rank correlation
        p_spearman | p (Spearman) | two-sided""")),
    "correlation_comparisons": ("Correlations compared between subgroups (Fisher z)", _statistics("""
        first t | First | measure
        second t | Second | measure
        subgroup_first t | Subgroup first | value of the column that splits the cohort
        subgroup_second t | Subgroup second | likewise
        n_first i | n first | cases
        n_second i | n second | cases
        pearson_first | r first | Pearson
        pearson_second | r second | Pearson
        z - | z | Fisher
        p | p | two-sided""")),
    "odds": ("Logistic regression: alone and together", _statistics("""
        model t | Model | variables in it
        n i | n | complete cases of the model
        events i | Events | among them
        term t | Term | variable, or variable and level
        reference t | Compared to | reference level, or per unit
        n_univariable i - | n alone | cases with this variable
        univariable ci | OR alone (95 % CI) | univariable, per unit
        p_univariable | p alone | two-sided
        multivariable ci | OR in the model (95 % CI) | multivariable, per unit
        p_multivariable | p in the model | two-sided
        vif | VIF | variance inflation factor
        events_per_variable | Events per variable | of the rarer class
        method t | By | ML: maximum likelihood; Firth: penalized likelihood, where events and others are separated""")),
    "logistic": ("Logistic regression: every model", _statistics("""
        model t | Model | variables in it
        n i | n | complete cases
        events i | Events | among them
        term t | Term | variable, or variable and level
        reference t | Compared to | reference level, or per unit
        coefficient | Coefficient | log odds ratio per unit
        se | SE | of the coefficient
        z - | z | Wald
        p | p | Wald, two-sided
        odds_ratio ci | OR per unit (95 % CI) | Wald
        sd - | SD | of a number among these cases
        odds_ratio_sd ci | OR per SD (95 % CI) | of a number
        deviance | Deviance | of the model
        events_per_variable | Events per variable | of the rarer class
        terms i - | Terms | in the model
        vif - | VIF | variance inflation factor
        method t - | By | ML: maximum likelihood; Firth: penalized likelihood, where events and others are separated""")),
    "imputed": ("Logistic regression after multiple imputation", _statistics("""
        model t | Model | variables in it
        n i | n | cases
        events i | Events | among them
        imputations i | Data sets | imputed and pooled
        term t | Term | variable, or variable and level
        coefficient | Coefficient | log odds ratio per unit
        se | SE | by Rubin's rules
        p | p | two-sided
        odds_ratio ci | OR per unit (95 % CI) | by Rubin's rules
        sd - | SD | of a number, mean over the data sets
        odds_ratio_sd ci | OR per SD (95 % CI) | of a number
        missing_information | Missing information | share of the variance that lies between the data sets""")),
    "follow_up": ("Follow-up", _statistics("""
        subgroup t | Subgroup | value of the column that splits the cohort, or all
        n i | n | cases with a time
        statistic t | Statistic | what is given
        value ci | Value (95 % CI) | of it
        note t | Note | what to know""")),
    "survival": ("Time to event by a cut-off (Kaplan-Meier, log-rank)", _statistics("""
        measure t | Measure | column of the cohort
        cutoff | Cut-off | value
        source t | From | Youden over this cohort, or a published source
        period t | Period | all; to: up to the window, later events as event-free; from: those event-free then, timed from there
        group t | Group | side of the cut-off
        n i | n | cases
        events i | Events | among them
        median_time | Median time | to event by Kaplan-Meier; empty where over half stay free
        chi_square - | Chi-square | log-rank
        p | p (log-rank) | two-sided""")),
    "incidence": ("Events by a time where another event competes (Aalen-Johansen)", _statistics("""
        measure t | Measure | column of the cohort
        cutoff | Cut-off | value
        source t | From | Youden over this cohort, given, or a published source
        group t | Group | all cases, or side of the cut-off
        n i | n | cases
        events i | Events | among them
        competing i | Competing events | among them
        time | Time | window, or last event
        incidence ci | Incidence (95 % CI) | cumulative, by Aalen-Johansen
        kaplan_meier | 1 - Kaplan-Meier | for comparison: too high where events compete""")),
    "cox": ("Proportional hazards (Cox)", _statistics("""
        model t | Model | variables in it
        n i | n | complete cases
        events i | Events | among them
        term t | Term | variable, or variable and level
        reference t | Compared to | reference level, or per unit
        coefficient | Coefficient | log hazard ratio per unit
        se | SE | of the coefficient
        p | p | Wald, two-sided
        hazard_ratio ci | HR per unit (95 % CI) | Wald
        sd - | SD | of a number among these cases
        hazard_ratio_sd ci | HR per SD (95 % CI) | of a number
        p_proportional | p (proportional) | of Schoenfeld residuals against ranked time
        events_per_variable | Events per variable | in the model""")),
    "paired": ("Matched pairs", _statistics("""
        variable t | Variable | column of the cohort
        pairs i | Pairs | complete ones
        mean_events | Mean events | of a number
        mean_others | Mean others | of a number
        difference ci | Difference (95 % CI) | event - other, by t
        p_shapiro - | Shapiro-Wilk p | normality of the differences
        test t | Test | paired t or Wilcoxon; McNemar, exact
        statistic - | Statistic | of the test
        p | p | two-sided""")),
    "agreement": ("Readers", _statistics("""
        measure t | Measure | column of the cohort
        kind t | Kind | inter: different readers; intra: the same reader twice
        readers t | Readers | compared, in order
        n i | n | cases read by all of them
        k i | Readings | per case
        mean_first | Mean first | of the first reader or reading
        mean_second | Mean second | of the second
        icc_single ci | ICC(2,1) (95 % CI) | absolute agreement of single readings
        icc_mean ci | ICC(2,k) (95 % CI) | absolute agreement of the mean of k readings
        bias ci | Bias (95 % CI) | mean difference first - second
        sd_difference - | SD of differences | first - second
        lower_limit ci | Lower limit (95 % CI) | bias - 1.96 SD
        upper_limit ci | Upper limit (95 % CI) | bias + 1.96 SD""")),
    "reliability": ("Readers: intraclass correlation in its forms", _statistics("""
        measure t | Measure | column of the cohort
        kind t | Kind | inter: different readers; intra: the same reader twice
        readers t | Readers | compared, in order
        n i | n | cases read by all of them
        k i | Readings | per case
        form t | Form | (1,1) one-way; (2,1), (2,k) absolute agreement; (3,1), (3,k) consistency; k: of the mean of all readings
        icc ci | ICC (95 % CI) | intraclass correlation
        band t | In words | of the two ends of the interval (Koo and Li 2016)
        sem | SEM | standard error of measurement, in the unit of the measure
        ldc | Least detectable change | 1.96 times the square root of 2 times the SEM""")),
    "methods": ("Two methods", _statistics("""
        first t | First | method
        second t | Second | method
        subgroup t | Subgroup | value of the column that splits the cohort, or all
        n i | n | cases with both
        statistic t | Statistic | what is given
        value ci | Value (95 % CI) | of it
        p | p | two-sided
        note t | Note | what to know""")),
    "balance": ("Balance before and after matching", _statistics("""
        variable t | Variable | matched by, or a fact of the case
        level t | Level | of a categorical variable; then means are shares
        events_before | Events before | mean of all events
        others_before | Others before | mean of all others
        smd_before | Std. difference before | difference in units of the SD before matching
        events_after | Events after | mean of the matched ones
        others_after | Others after | mean of their controls
        smd_after | Std. difference after | likewise; over 0.1 is no balance (Austin 2009)""")),
    "paper": ("The paper's numbers beside ours", _statistics("""
        place t | Where | table or figure of the paper
        what t | Number | as the paper reports it
        paper | Paper | published value, and the interval that ours is held against
        paper_low - | Paper from | 95 % interval
        paper_high - | Paper to | 95 % interval
        ours | Ours | from the drawn patients
        ours_low - | Ours from | 95 % interval
        ours_high - | Ours to | 95 % interval
        interval t | Interval | published; from the paper's n; same side of 0.05; ours
        verdict t | Came out | inside the interval; outside; contradictory: does not fit other numbers of the paper
        note t | Note | what to know""")),
    "paper_checks": ("The paper's numbers against each other", _statistics("""
        place t | Where | table or figure of the paper
        what t | Number | as the paper reports it
        printed | Printed | published value
        low | At least | what the paper's other numbers allow
        high | At most | likewise
        fits t | Fits | yes or no
        how t | From | which other numbers, and how""")),
}  # fmt: skip
