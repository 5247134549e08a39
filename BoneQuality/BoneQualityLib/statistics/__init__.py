"""A wing of its own: the statistics of a cohort, from its CSV file to tables, figures and a page.

May import files.

    analysis        the entry: a question to a cohort becomes a CohortResult
    question, cohort, facts, exclusions    what is asked; the table checked and typed; facts derived; rules and patient flow
    event_groups, subgroup_tables, correlation    groups compared, matched pairs, correlations
    roc, cutoffs    ROC curves with DeLong and Youden; performance at fixed cut-offs
    regression, firth, imputation    logistic models; separation; missing values
    survival, follow_up    Kaplan-Meier, Cox, landmark; follow-up, competing events
    agreement, intraclass, method_comparison    readers; forms of the ICC; two methods
    matching        controls for cases
    tables, methods_text, page    columns of every table; methods in words; the page and the text for a terminal
    figures, figures_*, figure_*, fonts    the figures
"""
