"""The commands of the statistics: ``cohort``, ``match``, ``demo-cohort``."""

from __future__ import annotations

import argparse
from pathlib import Path

from .cli_terminal import add_output, given_path, logged_progress, show_progress, show_text, worker_count
from .errors import BoneQualityError
from .outputs.document import RESEARCH


def run_cohort(options) -> int:
    """The command ``cohort``."""
    from .files.writing import check_free
    from .scene.session import quiet_stderr
    from .statistics.analysis import PAGE, analyze
    from .statistics.question import ASKED

    folder = Path(options.output)
    check_free([folder / PAGE], options.overwrite)
    question = {name: getattr(options, name) for name in ASKED}
    with quiet_stderr():
        result = analyze(options.cohort, options.outcome, progress=show_progress, **question)
        result.write_files(folder, options.overwrite)
    return _show_cohort(result, folder / PAGE)


def run_match(options) -> int:
    """The command ``match``."""
    from .scene.session import quiet_stderr
    from .statistics.matching import match

    with quiet_stderr():
        found = match(options.cohort, options.outcome, options.exact, options.caliper, options.ratio, options.where)
        paths = found.write_files(options.output, options.overwrite)
    show_text("\n".join([found.text, "", "Written:", *(f"  {path}" for path in paths), RESEARCH]))
    return 0


def run_demo_cohort(options) -> int:
    """The command ``demo-cohort``."""
    from .files.writing import check_free
    from .phantoms.papers import run
    from .scene.session import quiet_stderr
    from .statistics.analysis import PAGE

    folder = Path(options.output)
    if options.workers and not options.images:
        raise BoneQualityError("--workers is for patients that are imaged; give --images too.")
    check_free([folder / PAGE], options.overwrite)
    with quiet_stderr():
        result = run(options.paper, folder, options.overwrite, logged_progress(), options.images, options.workers)
    return _show_cohort(result, folder / PAGE)


def _show_cohort(result, page: Path) -> int:
    from .statistics.page import terminal

    show_text("\n".join([terminal(result), "", f"Written: {page} (read this first), tables and figures beside it", RESEARCH]))
    return 0


def add_cohort_commands(commands) -> None:
    """The commands of the statistics."""
    rows = "a table with one row per case"
    about = f"What the papers report, from {rows}. {RESEARCH}"
    outcome = "yes/no, 1/0 or true/false; else which value is the event"
    from .statistics.facts import FACTS

    cohort = commands.add_parser(
        "cohort",
        help="statistics of a cohort: ROC, cut-offs, regressions, time to event, readers, methods",
        description=about,
        epilog="Columns that are derived from those of a manifest where they are not there: "
        + "; ".join(f"{name} ({said})" for name, said in FACTS.items())
        + ".",
    )
    cohort.add_argument(
        "cohort", type=given_path, metavar="COHORT.csv", help=f"{rows}: case_id, measures, outcome and any other columns"
    )
    group = cohort.add_argument_group("question")
    group.add_argument("--outcome", metavar="COLUMN[=VALUE]", help=f"{outcome}; may be left out with --methods or --readers")
    for name, metavar, said in _QUESTIONS:
        group.add_argument(
            f"--{name}",
            metavar=metavar,
            help=said,
            **({"default": ""} if name in ("measures", "adjust", "methods", "facts") else {}),
        )
    group.add_argument(
        "--cutoff", dest="cutoffs", action="append", default=[], metavar="COLUMN>=VALUE",
        help="a cut-off to look at besides the published ones and Youden's; may be given several times",
    )  # fmt: skip
    _add_where(group)
    group.add_argument(
        "--window",
        type=_number,
        metavar="TIME",
        help="count events up to this time apart, and analyze the cases still free of it (landmark)",
    )
    group.add_argument(
        "--impute",
        type=_whole,
        default=0,
        metavar="N",
        help="also pool regressions over N imputed data sets; default: complete cases only",
    )
    add_output(cohort)
    cohort.set_defaults(run=run_cohort)
    matching = commands.add_parser(
        "match",
        help="find controls for the events of a cohort",
        description=f"Find 1 to n controls for every event, and show the balance before and after. {RESEARCH}",
    )
    matching.add_argument("cohort", type=given_path, metavar="COHORT.csv", help=rows)
    group = matching.add_argument_group("how")
    group.add_argument("--outcome", required=True, metavar="COLUMN[=VALUE]", help=f"{outcome}; events are matched with others")
    group.add_argument("--exact", default="sex", metavar="A,B", help="columns that must be the same; default: sex")
    group.add_argument(
        "--caliper", default="age=2", metavar="A=X,B=Y", help="columns of numbers and how far apart they may lie; default: age=2"
    )
    group.add_argument("--ratio", type=_whole, default=1, metavar="N", help="controls for each event; default: 1")
    _add_where(group)
    add_output(matching)
    matching.set_defaults(run=run_match)
    demo = commands.add_parser(
        "demo-cohort",
        help="patients from a paper's tables, their statistics beside the paper's",
        description=f"Draw patients with a paper's means and SDs, analyze them, and say every assumption. {RESEARCH}",
    )
    demo.add_argument(
        "--paper", required=True, choices=("chang", "xue", "zhan", "kadri"), help="Chang 2025, Xue 2025, Zhan 2024, Kadri 2025"
    )
    demo.add_argument("--images", action="store_true", help="make phantom images of the patients, and measure these")
    demo.add_argument(
        "--workers", type=worker_count, metavar="N", help="with --images: processes on this machine (default: one for every core)"
    )
    add_output(demo)
    demo.set_defaults(run=run_demo_cohort)


#: Option, its metavar, its help.
_QUESTIONS = (
    ("measures", "A,B", "columns to compare; default: the measures of BoneQuality that are there"),
    ("by", "COLUMN", "subgroups that are compared, such as hyperlipidemia"),
    ("adjust", "A,B[LEVEL]", "other variables of the regressions; LEVEL is what levels are compared to"),
    ("facts", "A,B", "further columns for the tables of groups, such as diseases and drugs"),
    ("time", "COLUMN", "time to the event or to the end of follow-up"),
    ("competing", "COLUMN[=VALUE]", "a competing event, such as death, at that time in cases without the event"),
    ("pairs", "COLUMN", "what a matched case and its control have in common"),
    ("readers", "COLUMN", "who read; then one row per reading, and case values are means over readers"),
    ("methods", "A,B", "two columns that measure the same, compared as two methods"),
)


def _add_where(group) -> None:
    said = "keep only cases that meet this rule; rules are applied in the order given, and the cases that each excludes are counted"
    group.add_argument("--where", action="append", default=[], metavar="RULE", help=f"{said}: age>=50, sex=F, reader!=B")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)
