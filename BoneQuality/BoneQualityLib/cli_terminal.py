"""What the commands of ``bonequality`` have in common: types of their options, where they write, what they print."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time


def add_output(command, cutoffs: bool = False, text: bool = False) -> None:
    """The options --output and --overwrite; cutoffs: also those of cut-offs and reports; text: also those of DICOM files and the text for a RIS."""
    group = command.add_argument_group("output")
    if cutoffs:
        group.add_argument(
            "--cutoffs",
            type=given_path,
            metavar="FILE",
            help="published cut-offs to show instead of the ones that come with BoneQuality",
        )
        group.add_argument("--no-report", action="store_true", help="write no CASE.html")
        group.add_argument(
            "--template", type=given_path, metavar="DIR", help="folder with templates of your own (jinja2): report.html, ris.txt"
        )
    if text:
        group.add_argument(
            "--dicom",
            type=given_path,
            metavar="DIR",
            help="also write the regions (SEG) and numbers (SR) as DICOM; they name the patient",
        )
        group.add_argument(
            "--dicom-pictures",
            action="store_true",
            help="with --dicom: also write the pictures of the report as secondary captures (SC)",
        )
        group.add_argument("--text", action="store_true", help="print the text for a RIS in place of the summary")
    group.add_argument("--overwrite", action="store_true", help="replace files that are there already")
    group.add_argument(
        "--output", type=given_path, required=True, metavar="DIR", help="folder for the results; made if it is not there"
    )


def given_path(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("the path is empty; give one")
    return text


def worker_count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of workers; give 1 or more")
    return int(text)


def with_options(sentence: str, error: BaseException) -> str:
    """The sentence of an error with the options that are its remedy."""
    options = ["--" + name.replace("_", "-") for name in getattr(error, "remedies", ())]
    return f"{sentence.removesuffix('.')} ({', '.join(options)})." if options else sentence


def show_text(text: str) -> None:
    """Print what was done; by now the files are there, so a reader that went away or lacks a letter is no fault."""
    with contextlib.suppress(AttributeError):  # Slicer's console is no text file
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show_progress(share: float, text: str) -> None:
    if sys.stdout and sys.stdout.isatty():
        print(f"\r\033[K{100 * share:3.0f} %  {text}" if share < 1 else "\r\033[K", end="", flush=True)


def logged_progress(every_seconds: float = 60.0):
    """Progress of a long run: on a terminal as ever, else a line now and then, as for a log."""
    last = time.monotonic()

    def progress(share: float, text: str) -> None:
        nonlocal last
        if sys.stdout and sys.stdout.isatty():
            show_progress(share, text)
        elif sys.stdout and time.monotonic() - last >= every_seconds:
            last = time.monotonic()
            print(text, flush=True)

    return progress
