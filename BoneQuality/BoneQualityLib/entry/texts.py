"""A case from texts by the names of columns: a row of a manifest, or what a dialog holds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..anatomy.schemes import SCHEMES
from ..errors import BoneQualityError, Sentence
from ..files.checks import EXTENSIONS
from ..files.dicom_images import is_dicom
from ..files.dicom_series import folder_and_series
from ..parameters import CaseFacts, Parameters
from ..scene.labels import path_and_labels
from .inputs import CaseInputs
from .missing import COLUMNS
from .names import INPUTS, READING, Input
from .settings import SETTINGS, setting_of

#: Columns that name files; the other known columns hold what is set.
FILE_COLUMNS = (*(item.name for item in INPUTS), "labels")
KNOWN_COLUMNS = ("case_id", *(item.name for item in INPUTS), *READING, *(name for name in SETTINGS if name != "case_id"))


def case_inputs(texts: Mapping[str, str], folder: str | Path = "", cutoffs: str | Path | None = None) -> CaseInputs:
    """A case from texts by the names of KNOWN_COLUMNS; empty ones and other names do not count. Relative paths are in ``folder``.

    Several files in one text are separated by ``;``. Raises BoneQualityError with every fault.

    >>> case_inputs({"case_id": "7", "ct": "ct.nrrd", "ct_segmentation": "masks.nii.gz@totalsegmentator", "fractured": "L2,L3"})
    """
    inputs, faults = checked_inputs(texts, folder, cutoffs)
    if inputs is None:
        said = (Sentence("{column}: {fault}", column=column, fault=Sentence(fault)) for column, fault in faults)
        raise BoneQualityError("{faults}.", faults=Sentence.joined(said))
    return inputs


def checked_inputs(
    texts: Mapping[str, str], folder: str | Path, cutoffs: str | Path | None
) -> tuple[CaseInputs | None, list[tuple[str, str]]]:
    """The same without raising: the case, or None and what is wrong as (column, words)."""
    given = {name: text.strip() for name, text in texts.items() if name in KNOWN_COLUMNS and text.strip()}
    settings, faults = {CaseFacts: {"case_id": "x"}, Parameters: {}}, []
    for column, text in given.items():
        if column in SETTINGS:
            owner, item = SETTINGS[column]
            try:
                settings[owner][item.name] = setting_of(column, text)
            except BoneQualityError as error:
                faults.append((column, str(error).rstrip(".")))
    if "case_id" not in given:
        faults.append(("case_id", "is empty; give every case an id of its own"))
    files = {}
    for item in INPUTS:
        parts = _parts(item, given.get(item.name, ""))
        faults += [(item.name, fault) for part in parts for fault in _faults_of_path(item, part, folder)]
        if parts:
            files[item.name] = tuple(_in_folder(item, part, folder) for part in parts)
    faults += _faults_of_labels(given, folder)
    labels = given.get("labels") and os.path.join(folder, given["labels"])
    series = tuple(_parts(None, given.get("series", "")))
    facts, parameters = (owner(**values) for owner, values in settings.items())
    inputs = CaseInputs(facts, parameters, files, series, given.get("label_scheme"), labels, cutoffs)
    faults += [(fault.about, fault.said(COLUMNS).rstrip(".")) for fault in inputs.faults()]
    return (None, faults) if faults else (inputs, [])


def _parts(item: Input | None, text: str) -> list[str]:
    """The files of a cell."""
    if item is None or item.several:
        return [part.strip() for part in text.split(";") if part.strip()]
    return [text] if text else []


def _located(item: Input, part: str, folder) -> tuple[str, str]:
    """Where a file lies, and the labels or the series that are named with it."""
    path = os.path.join(folder, part)
    if item.of:
        return path_and_labels(path)
    found, series = folder_and_series(path)
    return (str(found), series or "") if found is not None else (path, "")


def _in_folder(item: Input, part: str, folder) -> str:
    """A path, and the LABELS.csv that it may name, where they lie."""
    path, named = _located(item, part, folder)
    if not named:
        return path
    return f"{path}@{os.path.join(folder, named) if item.of and named not in SCHEMES else named}"


def _faults_of_path(item: Input, part: str, folder) -> list[str]:
    path, named = _located(item, part, folder)
    if not os.path.exists(path):
        alone = ", and give one image alone" if ";" in part and not item.several else ""
        return [Sentence("{path} is not there; check the path" + alone, path=part)]
    is_mask = item.of and os.path.isfile(path) and is_dicom(Path(path))
    if not path.lower().endswith(EXTENSIONS) and not os.path.isdir(path) and not is_mask:
        return [
            Sentence("{path} is of no supported type; give one of {types}, or a folder", path=part, types=", ".join(EXTENSIONS))
        ]
    return _faults_of_scheme(named, folder) if item.of and named else []


def _faults_of_scheme(labels: str, folder) -> list[str]:
    if labels in SCHEMES or labels.lower().endswith(".csv") and os.path.exists(os.path.join(folder, labels)):
        return []
    if labels.lower().endswith(".csv"):
        return [Sentence("{path} is not there; check the path", path=labels)]
    sentence = "{labels!r} is no label scheme; choose one of {schemes}, or a LABELS.csv file"
    return [Sentence(sentence, labels=labels, schemes=", ".join(SCHEMES))]


def _faults_of_labels(given: dict[str, str], folder) -> list[tuple[str, str]]:
    return [
        (name, fault) for name in ("label_scheme", "labels") if name in given for fault in _faults_of_scheme(given[name], folder)
    ]
