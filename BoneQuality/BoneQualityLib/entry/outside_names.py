"""Sentences without the names that came from outside: of files and folders, of segments, and texts of DICOM headers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from ..anatomy.schemes import SCHEMES
from ..anatomy.structure import Segment
from ..anatomy.vocabulary import identify
from ..errors import BoneQualityError
from ..files.checks import EXTENSIONS, stem, stored_image
from ..files.csv_tables import csv_rows
from ..files.dicom_series import folder_and_series
from ..files.dicom_texts import free_texts
from ..scene.labels import path_and_labels
from .inputs import CaseInputs
from .names import INPUTS

#: Shorter ones say nothing of anybody, and stand in every sentence.
_SHORTEST = 3


def without_outside_names(sentence: str, inputs: CaseInputs) -> str:
    """A sentence about a case in which every name of a file is the column that gave it; segments go by their number.

    Names that are those of structures (``L1``, ``CSF L3``) stay.
    """
    names = dict(_names(inputs))
    for name in sorted(names, key=len, reverse=True):
        sentence = re.sub(rf"(?<![\w/\\]){re.escape(name)}(?![\w])", lambda _, name=name: names[name], sentence)
    return sentence


def _names(inputs: CaseInputs) -> Iterator[tuple[str, str]]:
    """Names, and what is said in their place."""
    with contextlib.suppress(OSError):
        for path in filter(None, (inputs.labels, inputs.cutoffs)):
            yield from _of_file(Path(path), "the labels file" if path == inputs.labels else "the cut-offs file")
            yield from _of_labels(str(path))
        masks = {item.name for item in INPUTS if item.of}
        for column, several in inputs.given.items():
            for given in several:
                path, labels = path_and_labels(given) if column in masks else (folder_and_series(given)[0] or given, "")
                yield from _of_input(Path(path), column)
                if labels and labels not in SCHEMES:
                    yield from _of_file(Path(labels), f"the labels file of {column}")
                    yield from _of_labels(labels)


def _of_input(path: Path, column: str) -> Iterator[tuple[str, str]]:
    yield from _of_file(path, column)
    if not path.is_dir():
        yield from _of_segments(path, column)
        return
    for number, file in enumerate(sorted(file for file in path.rglob("*") if file.is_file()), 1):
        yield from _of_file(file, f"file {number} of {column}")
        if file.name.lower().endswith(EXTENSIONS):
            yield from _of_segments(file, column)
        else:
            yield from ((text, "a text of its header") for text in free_texts(file) if len(text) >= _SHORTEST)
    for folder in path.rglob("*"):
        if folder.is_dir():
            yield from _of_file(folder, f"a folder of {column}")


def _of_file(path: Path, said: str) -> Iterator[tuple[str, str]]:
    yield str(path), said
    yield str(path.absolute()), said
    for name in (path.name, stem(path)):
        if len(name) >= _SHORTEST and (name != stem(path) or not _is_structure(name)):
            yield name, said


def _of_segments(path: Path, column: str) -> Iterator[tuple[str, str]]:
    with contextlib.suppress(BoneQualityError):
        for number, segment in enumerate(stored_image(path).segments, 1):
            for name in (segment.name, segment.segment_id):
                if len(name) >= _SHORTEST and not _is_structure(name):
                    yield name, f"segment {number} of {column}"


def _of_labels(path: str) -> Iterator[tuple[str, str]]:
    if not Path(path).is_file():
        return
    with contextlib.suppress(BoneQualityError):
        for row in csv_rows(path, "labels"):
            for text in row.values():
                if len(text) >= _SHORTEST and not text.isdecimal() and not _is_structure(text):
                    yield text, "a name of the labels file"


def _is_structure(name: str) -> bool:
    return identify(Segment(name, name, lambda: None)) is not None
