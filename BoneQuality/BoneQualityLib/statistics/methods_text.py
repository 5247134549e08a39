"""The statistics of a cohort in the words of a paper's methods section, and a list after STROBE of what is reported where."""

from __future__ import annotations

from importlib.metadata import version

from .. import __version__
from .cohort import Cohort, column_of, counted
from .event_groups import NORMAL_P, SHAPIRO_RANGE, SMALL_COUNT
from .follow_up import MOST_FOR_INCIDENCE_INTERVAL
from .method_comparison import MOST_FOR_PASSING_BABLOK
from .regression import EVENTS_PER_VARIABLE
from .roc import MOST_CLASSES, RESAMPLES, SEED
from .survival import MOST_FOR_PROPORTIONAL

PACKAGES = ("numpy", "scipy", "pandas", "statsmodels", "lifelines", "matplotlib")
#: Table -> how it was made, with its source.
METHODS = {
    "groups": "Events and others were compared with Welch's t test, or with the Mann-Whitney U test where the Shapiro-Wilk test found either group "
    f"not normal (p < {NORMAL_P:g}; not tested above {SHAPIRO_RANGE[1]} cases, where t was used); p values of Student's t test stand beside. "
    f"Categories were compared with the chi-square test without continuity correction, 2 x 2 tables with an expected count under {SMALL_COUNT:g} "
    "with Fisher's exact test.",
    "subgroups": "Subgroups were compared in the same way among all cases, among events and among others; three or more with Welch's analysis of "
    "variance or the Kruskal-Wallis test.",
    "roc": "Areas under the ROC curves have DeLong intervals (DeLong 1988, by the ranks of Sun and Xu 2014). The side of risk of a measure is the "
    "one on which its area over all cases is above one half. The cut-off is that of the largest Youden index (Youden 1950), midway between "
    f"neighboring values, of equals the one with the highest sensitivity; its interval and those of its sensitivity and specificity are "
    f"percentiles of {RESAMPLES} bootstrap resamples of events and others apart, with the cut-off sought anew in each (seed {SEED}; more than "
    f"{MOST_CLASSES} distinct values were resampled in {MOST_CLASSES} classes). Such a cut-off is optimistic in the cohort it comes from.",
    "cutoffs": "At fixed cut-offs, sensitivity, specificity and predictive values have exact intervals (Clopper and Pearson 1934), likelihood "
    "ratios those of Simel (1991). Predictive values hold for this cohort's share of events. Youden's cut-off counts as fixed here: that it "
    "was chosen in the same cohort is not in these intervals.",
    "auc_comparisons": "Areas were compared with DeLong's test, paired between measures over the cases that have both, unpaired between subgroups.",
    "outcome_correlations": "Measures were correlated with the outcome (event 1, other 0) by the point-biserial and by Spearman's coefficient.",
    "correlations": "Correlations between measures are Pearson's, with Fisher's interval, and Spearman's.",
    "correlation_comparisons": "Correlations were compared between subgroups by Fisher's z.",
    "logistic": "Logistic regression was fitted by maximum likelihood to the complete cases of each model, with Wald intervals: each measure with "
    "the adjusting variables, and all measures together with them. No variable was selected by its p value. Where events and others were "
    "separated, Firth's penalized likelihood with profile intervals was used (Firth 1993; Heinze and Schemper 2002). Fewer than "
    f"{EVENTS_PER_VARIABLE} events per variable (Peduzzi 1996) and variance inflation over 10 are warned of.",
    "imputed": "Missing values were imputed by chained equations with predictive mean matching, the outcome among the predictors, and the models "
    f"pooled by Rubin's rules (1987; seed {SEED}). All other results are of complete cases.",
    "follow_up": "The median follow-up is that of the reverse Kaplan-Meier estimate (Schemper and Smith 1996).",
    "survival": "Time to event was compared on either side of each cut-off by Kaplan-Meier estimates and the log-rank test. The cohort's own "
    "cut-off is optimistic here too; published and given ones are not.",
    "incidence": "Where another event competes, the cumulative incidence is Aalen and Johansen's (1978; interval up to "
    f"{MOST_FOR_INCIDENCE_INTERVAL} cases); it was not tested between groups.",
    "cox": "Proportional hazards were fitted by Cox's model with Efron's ties; proportionality was tested by Schoenfeld residuals against ranked "
    f"time (ties: mean rank) in up to {MOST_FOR_PROPORTIONAL} cases.",
    "paired": "Matched pairs were compared with the paired t test, with Wilcoxon's where Shapiro-Wilk found the differences not normal, and "
    "two-valued variables with McNemar's exact test.",
    "methods": "Two methods were compared by the paired t test (Wilcoxon's where the differences are not normal), limits of agreement (Bland and "
    "Altman 1986) with the slope of differences on means as proportional bias, intraclass correlation, and the regressions of Deming (equal "
    f"errors, jackknife intervals) and of Passing and Bablok (1983; up to {MOST_FOR_PASSING_BABLOK} cases).",
    "agreement": "Readers were compared by limits of agreement (Bland and Altman 1986) and intraclass correlation; all other results use the mean "
    "over readers of each one's first reading; intra: the first two readings of a reader.",
    "reliability": "Intraclass correlations are those of Shrout and Fleiss (1979) with the intervals of McGraw and Wong (1996), in the words of Koo "
    "and Li (2016). The standard error of measurement is the root of the error variance, with that of the readers for absolute agreement (de Vet "
    "2006); the least detectable change is 1.96 times the square root of 2 times it.",
}  # fmt: skip
ALWAYS = "Every analysis takes the cases complete for it, whose number stands beside. p values are two-sided and not adjusted for several tests; intervals are of 95 %."


def paragraph(cohort: Cohort, keys) -> str:
    """The methods of the tables ``keys`` as one paragraph, with what was asked and the versions of the software."""
    question, first = cohort.question, []
    if question.outcome:
        event = f"{question.outcome} = {question.value}" if question.value else question.outcome
        first.append(f"The outcome was {event}.")
    if cohort.measures:
        first.append(
            f"{'Measures were' if len(cohort.measures) > 1 else 'The measure was'} {_listed(column_of(m.name).title for m in cohort.measures)}."
        )
    if question.where:
        first.append(f"Cases were included in this order if {_listed(map(str, question.where))}.")
    if question.adjust:
        first.append(f"Regressions were adjusted for {_listed(term.name for term in question.adjust)}.")
    if question.window is not None:
        first.append(
            f"The time up to {question.window:g} ({question.time}) and the time from then on (landmark) were analyzed apart."
        )
    return " ".join([*first, *(METHODS[key] for key in METHODS if key in keys), ALWAYS, f"Software: {software()}"])


def software() -> str:
    return f"BoneQuality {__version__}; " + ", ".join(f"{name} {version(name)}" for name in PACKAGES) + "."


def strobe(cohort: Cohort, keys, figures) -> list[tuple[str, str, str]]:
    """(item of STROBE, what it asks, where it stands on this page, or that it must come from the authors)."""
    question, known = cohort.question, set(keys)
    missing = [f"{column_of(m.name).title} {int((~cohort.complete(m.name)).sum())}" for m in cohort.measures]
    authors = "not in the table of cases: to be written by the authors"
    return [
        ("5, 6", "Setting, dates, eligibility", "Patient flow: rules in order" if question.where else authors),
        ("7", "Variables", "What was asked; units in the titles of columns"),
        ("8", "Sources of data and how they were measured", "The cases' own reports and JSON files hold method, scanner and parameters"),
        ("9", "Bias", f"Warnings: {counted(len(cohort.warnings), 'sentence')}; {authors}"),
        ("10", "Study size", f"{counted(len(cohort.events), 'case')}" + (f", {counted(int(cohort.events.sum()), 'event')}" if question.outcome else "")),
        ("11", "Quantitative variables", "Cut-offs with their sources: fixed cut-offs" if "cutoffs" in known else "used as they are"),
        ("12a", "Statistical methods, control of confounding", "Methods; logistic regression" if "logistic" in known else "Methods"),
        ("12b", "Subgroups", f"by {question.by}" if question.by else "none was asked for"),
        ("12c", "Missing data", f"Complete cases; {'imputed on request' if 'imputed' in known else 'nothing imputed'}. Missing: {'; '.join(missing) or 'none'}"),
        ("12d", "Loss to follow-up, matching", _listed([part for part, there in (("time to event, censored cases", question.time), (f"pairs by {question.pairs}", question.pairs)) if there]) or "not asked for"),
        ("13", "Participants at each stage", "Patient flow: table and figure" if "flow" in known else "no exclusion rule was given"),
        ("14", "Characteristics; missing values; follow-up", "Events and others; n of each row" + ("; follow-up" if "follow_up" in known else "")),
        ("15", "Numbers of outcome events", "What was asked; events in every table"),
        ("16", "Estimates, unadjusted and adjusted, with intervals", "Logistic regression: alone and together" if "odds" in known else "tables with 95 % intervals"),
        ("17", "Other analyses", _listed([title for key, title in (("subgroups", "subgroups"), ("auc_comparisons", "areas compared"), ("methods", "two methods"), ("agreement", "readers"), ("incidence", "competing event")) if key in known]) or "none"),
        ("18-21", "Discussion", authors),
    ]  # fmt: skip


def _listed(words) -> str:
    words = list(words)
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" and {words[-1]}" if words else ""
