"""The command ``bonequality``: collects inputs, shows outputs. Exit status 0 done; 2 nothing written, with one line why."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from dataclasses import fields
from pathlib import Path

from . import __version__
from .document import RESEARCH, aligned, output_paths, summary
from .errors import BoneQualityError
from .parameters import LEVELS, CaseFacts, Parameters

SEGMENTATION_HELP = (
    ".seg.nrrd, label map, or folder with one file a structure; may be given several times. A label map's scheme: FILE@SCHEME or "
    "FILE@LABELS.csv, else --label-scheme or --labels"
)
#: Images that segmentations belong to; fat and water share that of the axial MRI.
SEGMENTED = ("ct", "t1", "axial_mr")
#: Options whose name is not that of the field, and those given as a list of levels.
_OPTION_NAMES = {"excluded": "exclude"}


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message):
        raise BoneQualityError(f"{message}; see {self.prog} --help.")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    try:
        options = parser().parse_args(arguments)
        return options.run(options)
    except BoneQualityError as error:
        sentence = " ".join(str(error).split())
    except KeyboardInterrupt:
        sentence = "Stopped; start it again."
    except MemoryError:
        sentence = "Not enough memory; close other programs or use a smaller image."
    except OSError as error:
        sentence = f"{error.filename or 'A file'} cannot be used ({error.strerror}); check the path, its permissions and its disk."
    except Exception as error:  # a fault of ours: still one line, with what a report of it needs
        where = _innermost(error.__traceback__)
        sentence = f"Unexpected {type(error).__name__} in {where} ({' '.join(str(error).split())}); please report it."
    print(f"bonequality: {sentence}", file=sys.stderr)
    return 2


def parser() -> argparse.ArgumentParser:
    """The command line, its help made from the dataclasses of parameters.py."""
    top = Parser(prog="bonequality", description=f"Bone quality of the lumbar spine from CT and MRI. {RESEARCH}")
    top.add_argument("--version", action="version", version=f"BoneQuality {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    measure = commands.add_parser("measure", help="measure one case from files", description=f"Measure one case. {RESEARCH}")
    _add_inputs(measure)
    _add_fields(measure.add_argument_group("case"), CaseFacts)
    _add_fields(measure.add_argument_group("method"), Parameters)
    _add_output(measure)
    measure.set_defaults(run=run_measure)
    compare = commands.add_parser(
        "compare",
        help="name new fractures between two measured cases",
        description=f"Compare vertebral heights of one patient at two dates (radiographic; Xue 2025). {RESEARCH}",
    )
    compare.add_argument("baseline", type=_path, metavar="BASELINE.json", help="JSON file of the earlier case")
    compare.add_argument("followup", type=_path, metavar="FOLLOWUP.json", help="JSON file of the later case")
    compare.add_argument("--output", type=_path, metavar="DIR", help="folder for CASE_compare.csv; default: that of the later case")
    compare.add_argument("--overwrite", action="store_true", help="replace the file if it is there already")
    compare.set_defaults(run=run_compare)
    demo = commands.add_parser(
        "demo",
        help="make a synthetic case with known answers and measure it",
        description="Write the images of a synthetic lumbar spine, measure them, and show the values beside the truth.",
    )
    _add_output(demo)
    demo.set_defaults(run=run_demo)
    _add_cohort(commands)
    return top


def run_measure(options) -> int:
    """The command ``measure``."""
    facts = CaseFacts(**_chosen(options, CaseFacts))
    parameters = Parameters(**_chosen(options, Parameters))
    if options.label_scheme and options.labels:
        raise BoneQualityError("Give --label-scheme or --labels, not both.")
    from .anatomy import scheme_labels
    from .headless import quiet_stderr

    if options.label_scheme or options.labels:
        scheme_labels(options.label_scheme or options.labels)
    with quiet_stderr():
        from .case import measure_case
        from .scene import read_volume
        from .tables import check_free

        axial = any((options.axial_mr, options.fat, options.water))
        check_free(output_paths(options.output, facts.case_id, axial), options.overwrite)
        inputs = {}
        for role in ("ct", "t1", "axial_mr", "fat", "water"):
            path = getattr(options, role)
            inputs[role] = read_volume(path, options.series) if path else None
            if role in SEGMENTED:
                inputs[f"{role}_segmentation"] = _read_segmentations(options, role)
        result = measure_case(facts, parameters=parameters, cutoffs=options.cutoffs or _default_cutoffs(), progress=_progress, **inputs)
        paths = result.write_files(options.output, options.overwrite)
    _show("\n".join([summary(result.document()), "", "Written:", *(f"  {path}" for path in paths)]))
    return 0


def run_compare(options) -> int:
    """The command ``compare``."""
    from .compare import COMPARE_COLUMNS, compare, read_case
    from .tables import csv_text, write_whole

    followup = read_case(options.followup)
    rows = compare(read_case(options.baseline), followup)
    folder = Path(options.output) if options.output else Path(options.followup).parent
    path = folder / f"{CaseFacts(str(followup.get('case_id'))).case_id}_compare.csv"
    write_whole({path: csv_text(COMPARE_COLUMNS, rows)}, options.overwrite)
    header = [column.title for column in COMPARE_COLUMNS]
    cells = [[column.cell(row.get(column.name)) or "-" for column in COMPARE_COLUMNS] for row in rows]
    new = [row["level"] for row in rows if row["new_fracture"] == "yes"]
    _show("\n".join([*aligned([header, *cells]), "", f"New fractures: {', '.join(new) or 'none found'}", f"Written: {path}", RESEARCH]))
    return 0


def run_demo(options) -> int:
    """The command ``demo``."""
    from .headless import quiet_stderr

    with quiet_stderr():
        from .demo import run

        text = run(Path(options.output), options.overwrite, _progress)
    _show(text)
    return 0


def run_cohort(options) -> int:
    """The command ``cohort``."""
    from .cohort import PAGE, analyze
    from .tables import check_free

    folder = Path(options.output)
    check_free([folder / PAGE], options.overwrite)
    question = {name: getattr(options, name) for name in ("outcome", "measures", "by", "adjust", "time", "pairs", "readers")}
    result = analyze(options.cohort, progress=_progress, **question)
    result.write_files(folder, options.overwrite)
    return _show_cohort(result, folder / PAGE)


def run_demo_cohort(options) -> int:
    """The command ``demo-cohort``."""
    from .cohort import PAGE
    from .papers import run
    from .tables import check_free

    folder = Path(options.output)
    check_free([folder / PAGE], options.overwrite)
    return _show_cohort(run(options.paper, folder, options.overwrite, _progress), folder / PAGE)


def _show_cohort(result, page: Path) -> int:
    from .cohort_report import terminal

    _show("\n".join([terminal(result), "", f"Written: {page} (read this first), tables and figures beside it", RESEARCH]))
    return 0


def _show(text: str) -> None:
    """Print what was done; by now the files are there, so a reader that went away or lacks a letter is no fault."""
    with contextlib.suppress(AttributeError):  # Slicer's console is no text file
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _add_inputs(command) -> None:
    group = command.add_argument_group("images")
    volume = "NRRD, NIfTI, MetaImage, or a DICOM folder"
    group.add_argument("--ct", type=_path, metavar="FILE", help=f"CT: {volume}")
    masks = dict(type=_path, metavar="FILE", action="append", default=[])
    group.add_argument("--ct-segmentation", **masks, help=f"vertebrae on the CT: {SEGMENTATION_HELP}")
    group.add_argument("--t1", type=_path, metavar="FILE", help=f"T1 MRI: {volume}")
    group.add_argument("--t1-segmentation", **masks, help="vertebral bodies and CSF or sac on the T1 MRI, likewise")
    group.add_argument("--axial-mr", type=_path, metavar="FILE", help=f"axial T2 or T1 MRI (or CT) for the muscles: {volume}")
    muscles = "psoas major, multifidus and erector spinae of both sides, and discs, on the axial images, likewise"
    group.add_argument("--axial-mr-segmentation", **masks, help=muscles)
    group.add_argument("--fat", type=_path, metavar="FILE", help="fat image of a Dixon pair, beside --axial-mr or in its place")
    group.add_argument("--water", type=_path, metavar="FILE", help="water image of the pair")
    group.add_argument("--series", metavar="UID", help="series of a DICOM folder that holds several")
    from .anatomy import SCHEMES

    group.add_argument("--label-scheme", metavar="NAME", help=f"what the values of label maps mean: {', '.join(SCHEMES)}")
    group.add_argument("--labels", type=_path, metavar="CSV", help="the same from a file: value,name or segment,name")


def _add_cohort(commands) -> None:
    """The commands of the statistics."""
    about = f"What the papers report, from a table with a row a case. {RESEARCH}"
    cohort = commands.add_parser("cohort", help="statistics of a cohort: ROC, regressions, time to event, readers", description=about)
    cohort.add_argument("cohort", type=_path, metavar="COHORT.csv", help="a row a case: case_id, measures, outcome and any other columns")
    group = cohort.add_argument_group("question")
    group.add_argument("--outcome", required=True, metavar="COLUMN[=VALUE]", help="yes/no, 1/0 or true/false; else which value is the event")
    group.add_argument("--measures", default="", metavar="A,B", help="columns to compare; default: the measures of BoneQuality that are there")
    group.add_argument("--by", metavar="COLUMN", help="subgroups that are compared, such as hyperlipidemia")
    group.add_argument("--adjust", default="", metavar="A,B[LEVEL]", help="other variables of the regressions; LEVEL is what levels are compared to")
    group.add_argument("--time", metavar="COLUMN", help="time to the event or to the end of follow-up")
    group.add_argument("--pairs", metavar="COLUMN", help="what a matched case and its control have in common")
    group.add_argument("--readers", metavar="COLUMN", help="who read; then a row a reading, and the case values are means over readers")
    _add_output(cohort)
    cohort.set_defaults(run=run_cohort)
    demo = commands.add_parser(
        "demo-cohort",
        help="patients from a paper's tables, their statistics beside the paper's",
        description=f"Draw patients with a paper's means and SDs, analyze them, and say every assumption. {RESEARCH}",
    )
    demo.add_argument("--paper", required=True, choices=("chang", "xue", "zhan", "kadri"), help="Chang 2025, Xue 2025, Zhan 2024, Kadri 2025")
    _add_output(demo)
    demo.set_defaults(run=run_demo_cohort)


def _add_fields(group, dataclass) -> None:
    """One option for every field, with its documentation, unit and limits."""
    for item in fields(dataclass):
        about = item.metadata
        if item.name == "case_id":
            group.add_argument("--case-id", required=True, metavar="ID", help="names the files: letters, digits, '.', '_', '-'")
        elif item.type == "bool":
            group.add_argument(_option(item.name), dest=item.name, action=argparse.BooleanOptionalAction, default=item.default, help=about["help"])
        elif item.type.startswith("tuple"):
            levels = dict(type=_levels, action="extend", default=[], metavar="L2,L3")
            group.add_argument(_option(item.name), dest=item.name, **levels, help=about["help"])
        elif item.type.startswith("float"):
            default = "" if item.default is None else f", default {item.default:g}"
            group.add_argument(
                _option(item.name), dest=item.name, type=_float, default=item.default, metavar=about["unit"].upper().split("/")[0] or "X",
                help=f"{about['help']} ({about['low']:g} to {about['high']:g} {about['unit']}{default})",
            )  # fmt: skip
        else:
            shown = about["choices"] and f" ({', '.join(about['choices'])})"
            group.add_argument(
                _option(item.name), dest=item.name, default=item.default, choices=about["choices"] or None,
                metavar="|".join(about["choices"]) or about["form"] or "CODE", help=about["help"] + (shown or ""),
            )  # fmt: skip


def _add_output(command) -> None:
    group = command.add_argument_group("output")
    if command.prog.endswith("measure"):
        group.add_argument("--cutoffs", type=_path, metavar="FILE", help="published cut-offs to show instead of the ones that come with BoneQuality")
    group.add_argument("--overwrite", action="store_true", help="replace files that are there already")
    group.add_argument("--output", type=_path, required=True, metavar="DIR", help="folder for the results; made if it is not there")


def _option(name: str) -> str:
    return "--" + _OPTION_NAMES.get(name, name).removesuffix("_mm").replace("_", "-")


def _path(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("the path is empty; give one")
    return text


def _levels(text: str) -> tuple[str, ...]:
    levels = tuple(part.strip().upper() for part in text.split(",") if part.strip())
    for level in levels:
        if level not in LEVELS:
            raise argparse.ArgumentTypeError(f"{level!r} is no level; write for example L2,L3")
    return levels


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None


def _chosen(options, dataclass) -> dict:
    return {item.name: getattr(options, item.name) for item in fields(dataclass)}


def _read_segmentations(options, role: str):
    from .scene import Segmentation, read_segmentation

    found = []
    for given in getattr(options, f"{role}_segmentation"):
        path, named = _path_and_labels(given)
        for node in read_segmentation(path):
            for_all = options.labels or (options.label_scheme if node.IsA("vtkMRMLLabelMapVolumeNode") else None)
            found.append(Segmentation(node, named or for_all))
    return found


def _path_and_labels(given: str) -> tuple[str, str]:
    """The parts of FILE@SCHEME or FILE@LABELS.csv, "" where no labels are named; either path may hold an @ of its own."""
    if not Path(given).exists():
        for at in (n for n in reversed(range(len(given))) if given[n] == "@"):
            if Path(given[:at]).exists():
                return given[:at], given[at + 1 :]
    return given, ""


def _default_cutoffs():
    from .cutoffs import CUTOFFS_FILE

    return CUTOFFS_FILE


def _progress(share: float, text: str) -> None:
    if sys.stdout and sys.stdout.isatty():
        print(f"\r\033[K{100 * share:3.0f} %  {text}" if share < 1 else "\r\033[K", end="", flush=True)


def _innermost(traceback) -> str:
    while traceback.tb_next:
        traceback = traceback.tb_next
    return f"{Path(traceback.tb_frame.f_code.co_filename).name} line {traceback.tb_lineno}"


if __name__ == "__main__":
    sys.exit(main())
