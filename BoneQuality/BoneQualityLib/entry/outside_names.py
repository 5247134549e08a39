"""Sentences without the names that came from outside: of files and folders, of segments, and texts of DICOM headers."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
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

INPUTS_BY_NAME = {item.name: item for item in INPUTS}
#: Shorter ones say nothing of anybody, and stand in every sentence.
_SHORTEST = 3


#: A path of this machine that is none of the case's, such as one of temporary files.
_ABSOLUTE = re.compile(r"(?<!\S)(?:/|[A-Za-z]:[\\/])[^\s;,()]+")


def without_outside_names(sentence: str, inputs: CaseInputs, output: Path) -> str:
    """A sentence about a case in which every name of a file is the column that gave it; segments go by their number.

    Names that are those of structures (``L1``, ``CSF L3``) stay. output: the folder of the results, which is called so.
    """
    names = {f"The folder {output}": "The output folder", str(output): "the output folder"} | dict(_names(inputs))
    for name in sorted(names, key=len, reverse=True):
        sentence = re.sub(rf"(?<![\w/\\]){re.escape(name)}(?![\w])", lambda _, name=name: names[name], sentence)
    return _ABSOLUTE.sub("a file", sentence)


def name_by_column(nodes: Mapping, inputs: CaseInputs) -> None:
    """Call the nodes of a case as the columns are called that gave them, in what is said of them from now on.

    The files of a folder of masks keep their names, which are those of structures.
    """
    for column, given in nodes.items():
        if any(os.path.isdir(path_and_labels(path)[0]) for path in inputs.given[column]) and INPUTS_BY_NAME[column].of:
            continue
        for item in given if isinstance(given, (list, tuple)) else [given]:
            getattr(item, "node", item).SetName(column)


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
            yield from ((text, "a text of its header") for text in free_texts(file) if _is_outside(text))
    for folder in path.rglob("*"):
        if folder.is_dir():
            yield str(folder), f"a folder of {column}"


def _of_file(path: Path, said: str) -> Iterator[tuple[str, str]]:
    yield str(path), said
    yield str(path.absolute()), said
    if path.is_file() and len(path.name) >= _SHORTEST:
        yield path.name, said
    if path.is_file() and _is_outside(stem(path)):
        yield stem(path), said


def _is_outside(text: str) -> bool:
    """Whether a text may be somebody's name: no word as every sentence has them, and no structure's name."""
    return len(text) >= _SHORTEST and not (text.isascii() and text.isalpha() and text.islower()) and not _is_structure(text)


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
        for row in csv_rows(path, "labels file"):
            for text in row.values():
                if len(text) >= _SHORTEST and not text.isdecimal() and not _is_structure(text):
                    yield text, "a name of the labels file"


def _is_structure(name: str) -> bool:
    return identify(Segment(name, name, lambda: None)) is not None
