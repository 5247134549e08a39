"""The command ``bonequality``: collects inputs, shows outputs. Exit status 0 done; 2 nothing written, with one line why."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from dataclasses import fields
from pathlib import Path

from . import __version__
from .cli_cohort import add_cohort_commands
from .cli_terminal import add_output, given_path, logged_progress, show_progress, show_text, with_options, worker_count
from .entry.inputs import CaseInputs
from .entry.missing import OPTIONS
from .entry.names import INPUTS
from .entry.settings import option_name, types_of, value_of
from .entry.texts import KNOWN_COLUMNS
from .errors import BoneQualityError, sentence_for_the_person
from .outputs.document import RESEARCH, output_paths
from .outputs.summary import aligned, summary
from .parameters import CaseFacts, Parameters


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message):
        raise BoneQualityError("{message}; see {program} --help.", message=message, program=self.prog)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    try:
        with _terminated_as_interrupted():
            options = parser().parse_args(arguments)
            return options.run(options)
    except KeyboardInterrupt:
        sentence = "Stopped; start it again."
    except Exception as error:
        sentence = with_options(sentence_for_the_person(error), error)
    print(f"bonequality: {sentence}", file=sys.stderr)
    return 2


@contextlib.contextmanager
def _terminated_as_interrupted():
    """End on SIGTERM, as a cluster sends it, as cleanly as on ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def parser() -> argparse.ArgumentParser:
    """The command line, its help made from the dataclasses of parameters.py."""
    top = Parser(prog="bonequality", description=f"Bone quality of the lumbar spine from CT and MRI. {RESEARCH}")
    top.add_argument("--version", action="version", version=f"BoneQuality {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    measure = commands.add_parser("measure", help="measure one case from files", description=f"Measure one case. {RESEARCH}")
    _add_inputs(measure)
    _add_fields(measure.add_argument_group("case"), CaseFacts)
    _add_fields(measure.add_argument_group("method"), Parameters)
    add_output(measure, cutoffs=True, text=True)
    measure.set_defaults(run=run_measure)
    _add_batch(commands)
    compare = commands.add_parser(
        "compare",
        help="name what changed between two measured cases, and new fractures",
        description=f"Compare one patient at two dates: every measure, and new fractures by vertebral heights (Xue 2025). {RESEARCH}",
    )
    compare.add_argument("baseline", type=given_path, metavar="BASELINE.json", help="JSON file of the earlier case")
    compare.add_argument("followup", type=given_path, metavar="FOLLOWUP.json", help="JSON file of the later case")
    compare.add_argument("--output", type=given_path, metavar="DIR", help="folder for the tables and the page; default: that of the later case")
    compare.add_argument("--overwrite", action="store_true", help="replace the file if it is there already")
    compare.set_defaults(run=run_compare)
    demo = commands.add_parser(
        "demo",
        help="make a synthetic case with known answers and measure it",
        description="Write the images of a synthetic lumbar spine, measure them, and show the values beside the truth.",
    )
    add_output(demo)
    demo.set_defaults(run=run_demo)
    add_cohort_commands(commands)
    return top


def run_measure(options) -> int:
    """The command ``measure``."""
    facts = CaseFacts(**_chosen(options, CaseFacts))
    given = {item.name: tuple(getattr(options, item.name)) for item in INPUTS}
    inputs = CaseInputs(
        facts, Parameters(**_chosen(options, Parameters)), {name: several for name, several in given.items() if several},
        tuple(options.series), options.label_scheme, options.labels, options.cutoffs,
    )  # fmt: skip
    if options.dicom_pictures and not options.dicom:
        raise BoneQualityError("--dicom-pictures needs a folder; give --dicom DIR too.")
    inputs.check(OPTIONS)
    from .scene.session import quiet_stderr

    with quiet_stderr():
        from .files.writing import check_free
        from .outputs.page_templates import check_folder
        from .outputs.report import ris_text

        if options.dicom:
            from .entry.dicom_out import check_dicom, dicom_files_of, sources_of

            sources = sources_of(inputs)
            check_dicom(inputs, sources, options.dicom, options.overwrite, options.dicom_pictures)
        if options.template:
            check_folder(options.template)
        check_free(output_paths(options.output, facts.case_id, inputs.has_axial, not options.no_report), options.overwrite)
        with inputs.nodes() as nodes:
            result = inputs.measure(nodes, show_progress)
        others = dicom_files_of(result, sources, options.dicom, options.dicom_pictures) if options.dicom else {}
        paths = result.write_files(options.output, options.overwrite, not options.no_report, options.template, others)
        paths += others
        said = ris_text(result.document(), options.template) if options.text else ""
    show_text(said.rstrip() or "\n".join([summary(result.document()), "", "Written:", *(f"  {path}" for path in paths)]))
    return 0


def run_batch(options) -> int:
    """The command ``batch``."""
    from .batch.manifest import ManifestFaults
    from .batch.run import Pages, run_batch
    from .batch.workers import Limits

    if options.resume and options.overwrite:
        raise BoneQualityError("Give --resume to keep what is done, or --overwrite to measure all again, not both.")
    try:
        batch = run_batch(
            options.manifest, options.output, options.workers, options.scheduler, options.resume, options.overwrite, options.cutoffs,
            logged_progress(), Limits(60 * options.time_limit, options.memory_limit and int(options.memory_limit * 2**30)),
            Pages(not options.no_report, options.template, options.review),
        )  # fmt: skip
    except ManifestFaults as faults:
        print("bonequality: " + "\n".join(faults.lines), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nbonequality: Stopped; what is done is kept: go on with --resume.", file=sys.stderr)
        return 1
    lines = [f"{len(batch.done)} cases done, {batch.kept} of them before, {len(batch.failures)} failed"]
    lines += [f"  {case_id} ({failure.stage}): {failure.sentence}" for case_id, failure in list(batch.failures.items())[:10]]
    lines += ["  ..."] * (len(batch.failures) > 10)
    show_text("\n".join([*lines, f"Written: {', '.join(batch.tables)}, and the files of every case", RESEARCH]))
    if batch.stopped:
        print(f"bonequality: {batch.stopped} To go on, give --resume.", file=sys.stderr)
    return 1 if batch.failures or batch.stopped else 0


def run_manifest(options) -> int:
    """The command ``manifest``."""
    from .batch.manifest_draft import draft_manifest

    show_text(draft_manifest(options.folder, options.output, options.overwrite))
    return 0


def run_compare(options) -> int:
    """The command ``compare``."""
    from .files.csv_tables import csv_text
    from .files.writing import write_whole
    from .outputs.change import CHANGE_COLUMNS, changes
    from .outputs.comparison import COMPARE_COLUMNS, compare, read_case
    from .outputs.comparison_page import html, overview_of

    baseline, followup = read_case(options.baseline), read_case(options.followup)
    rows = compare(baseline, followup)
    folder = Path(options.output) if options.output else Path(options.followup).parent
    name = CaseFacts(str(followup.get("case_id"))).case_id
    overviews = overview_of(options.baseline), overview_of(options.followup)
    contents = {
        folder / f"{name}_compare.csv": csv_text(COMPARE_COLUMNS, rows),
        folder / f"{name}_changes.csv": csv_text(CHANGE_COLUMNS, changes(baseline, followup)),
        folder / f"{name}_compare.html": html(baseline, followup, COMPARE_COLUMNS, rows, overviews),
    }
    write_whole(contents, options.overwrite)
    header = [column.title for column in COMPARE_COLUMNS]
    cells = [[column.cell(row.get(column.name)) or "-" for column in COMPARE_COLUMNS] for row in rows]
    new = [row["level"] for row in rows if row["new_fracture"] == "yes"]
    show_text(
        "\n".join(
            [*aligned([header, *cells]), "", f"New fractures: {', '.join(new) or 'none found'}", "Written:"]
            + [*(f"  {path}" for path in contents), RESEARCH]
        )
    )
    return 0


def run_demo(options) -> int:
    """The command ``demo``."""
    from .scene.session import quiet_stderr

    with quiet_stderr():
        from .phantoms.demo import run

        text = run(Path(options.output), options.overwrite, show_progress)
    show_text(text)
    return 0


def _add_inputs(command) -> None:
    group = command.add_argument_group("images")
    for item in INPUTS:
        option = dict(type=given_path, metavar="FILE", action="append", default=[])
        group.add_argument(OPTIONS[item.name], dest=item.name, help=item.help, **option)
    series = "series of the one DICOM folder that holds several; else DIR@UID"
    group.add_argument(OPTIONS["series"], metavar="UID", action="append", default=[], help=series)
    from .anatomy.schemes import SCHEMES

    group.add_argument(OPTIONS["label_scheme"], metavar="NAME", help=f"what the values of label maps mean: {', '.join(SCHEMES)}")
    group.add_argument(OPTIONS["labels"], type=given_path, metavar="CSV", help="the same from a file: value,name or segment,name")


def _add_batch(commands) -> None:
    """The commands for many cases."""
    batch = commands.add_parser(
        "batch",
        help="measure every case of a manifest",
        description=f"Measure every case of a manifest, each by itself. {RESEARCH}",
        epilog=f"Columns of a manifest: {', '.join(KNOWN_COLUMNS)}. Others go on to cohort.csv as they are. Several files in a cell "
        "are separated by a semicolon; relative paths are relative to the manifest.",
    )
    batch.add_argument("manifest", type=given_path, metavar="MANIFEST.csv", help="a CSV table with a row a case")
    group = batch.add_argument_group("where")
    group.add_argument("--workers", type=worker_count, metavar="N", help="processes on this machine (default: one for every core)")
    group.add_argument(
        "--scheduler", metavar="ADDRESS", help="a Dask scheduler whose workers see the same files, as tcp://host:8786"
    )
    group.add_argument(
        "--time-limit", type=_amount, default=60.0, metavar="MINUTES", help="a case that takes longer is a failure (default 60)"
    )
    group.add_argument(
        "--memory-limit",
        type=_amount,
        metavar="GIB",
        help="so is one that takes more memory (Linux; default: all that the machine has)",
    )
    add_output(batch, cutoffs=True)
    batch.add_argument(
        "--review",
        type=given_path,
        metavar="FILE",
        help="marks of a reviewer, saved from index.html: they go into cohort.csv; with --resume nothing is measured again",
    )
    batch.add_argument(
        "--resume", action="store_true", help="keep cases that are done, and whose inputs and parameters are unchanged"
    )
    batch.set_defaults(run=run_batch)
    manifest = commands.add_parser(
        "manifest",
        help="draft a manifest from a folder tree",
        description="Draft a manifest from a folder with BIDS names or one folder a case. Read its column remark before you use it.",
    )
    manifest.add_argument("folder", type=given_path, metavar="FOLDER", help="where the cases lie")
    manifest.add_argument("--output", type=given_path, metavar="MANIFEST.csv", help="default: manifest.csv in that folder")
    manifest.add_argument("--overwrite", action="store_true", help="replace the file if it is there already")
    manifest.set_defaults(run=run_manifest)


def _add_fields(group, dataclass) -> None:
    """One option for every field, with its documentation, unit and limits."""
    for item in fields(dataclass):
        about, kind = item.metadata, types_of(dataclass)[item.name]
        if item.name == "case_id":
            group.add_argument("--case-id", required=True, metavar="ID", help="names the files: letters, digits, '.', '_', '-'")
        elif kind is bool:
            group.add_argument(
                _option(item.name), dest=item.name, action=argparse.BooleanOptionalAction, default=item.default, help=about["help"]
            )
        elif kind is tuple:
            levels = dict(type=_text_of(kind), action="extend", default=[], metavar="L2,L3")
            group.add_argument(_option(item.name), dest=item.name, **levels, help=about["help"])
        elif kind is float:
            default = "" if item.default is None else f", default {item.default:g}"
            group.add_argument(
                _option(item.name), dest=item.name, type=_text_of(kind), default=item.default, metavar=about["unit"].upper().split("/")[0] or "X",
                help=f"{about['help']} ({about['low']:g} to {about['high']:g} {about['unit']}{default})",
            )  # fmt: skip
        else:
            shown = about["choices"] and f" ({', '.join(about['choices'])})"
            group.add_argument(
                _option(item.name), dest=item.name, default=item.default, choices=about["choices"] or None,
                metavar="|".join(about["choices"]) or about["form"] or "CODE", help=about["help"] + (shown or ""),
            )  # fmt: skip


def _option(name: str) -> str:
    return "--" + option_name(name).replace("_", "-")


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = 0.0
    if not 0 < amount < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount; give a number over 0")
    return amount


def _text_of(kind: type):
    """A type for argparse: the text of an option as a value of a field's type."""

    def value(text: str):
        try:
            return value_of(kind, text)
        except BoneQualityError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return value


def _chosen(options, dataclass) -> dict:
    return {item.name: getattr(options, item.name) for item in fields(dataclass)}


if __name__ == "__main__":
    sys.exit(main())
