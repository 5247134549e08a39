"""What a case is measured from, by name: the one way from the texts of a command line, a manifest or a dialog to a result."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path

from ..anatomy.schemes import SCHEMES
from ..errors import BoneQualityError
from ..files.checks import EXTENSIONS
from ..files.cutoffs import CUTOFFS_FILE
from ..parameters import LEVELS, CaseFacts, Parameters
from ..scene.labels import scheme_labels

VOLUME_HELP = "NRRD, NIfTI, MetaImage, or a DICOM folder"
SEGMENTATION_HELP = (
    ".seg.nrrd, label map, or folder with one file a structure; may be given several times. A label map's scheme: FILE@SCHEME or "
    "FILE@LABELS.csv, else --label-scheme or --labels"
)


@dataclass(frozen=True)
class Input:
    """A file or folder: an argument of `measure_case`, an option, a column.

    of: of a segmentation, the volumes that it may show. words: what the names of files call a volume.
    """

    name: str
    title: str
    help: str
    of: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


INPUTS = (
    Input("ct", "CT", f"CT: {VOLUME_HELP}", words=("ct",)),
    Input("ct_segmentation", "segmentation of the CT", f"vertebrae on the CT: {SEGMENTATION_HELP}", of=("ct",)),
    Input("t1", "T1 MRI", f"T1 MRI: {VOLUME_HELP}", words=("t1", "t1w")),
    Input("t1_segmentation", "segmentation of the T1 MRI", "vertebral bodies and CSF or sac on the T1 MRI, likewise", of=("t1",)),
    Input(
        "axial_mr", "axial MRI", f"axial T2 or T1 MRI (or CT) for the muscles: {VOLUME_HELP}", words=("axial", "muscle", "muscles")
    ),
    Input(
        "axial_mr_segmentation",
        "segmentation of the axial images",
        "psoas major, multifidus and erector spinae of both sides, and discs, on the axial images, likewise",
        of=("axial_mr", "fat", "water"),
    ),
    Input("fat", "fat image", "fat image of a Dixon pair, beside --axial-mr or in its place", words=("fat",)),
    Input("water", "water image", "water image of the pair", words=("water",)),
)
#: Volumes that muscles are read from.
AXIAL = ("axial_mr", "fat", "water")
#: How files are read, for all of a case's: the series of a DICOM folder that holds several, what the values of label maps mean.
READING = ("series", "label_scheme", "labels")
#: Options whose name is not that of the field.
_OPTION_NAMES = {"excluded": "exclude"}


def option_name(field_name: str) -> str:
    """The name of a field of CaseFacts or Parameters as a column; the option's has hyphens instead."""
    return _OPTION_NAMES.get(field_name, field_name).removesuffix("_mm")


#: Column -> the dataclass and its field, of everything that may be set for a case.
SETTINGS = {option_name(item.name): (owner, item) for owner in (CaseFacts, Parameters) for item in fields(owner)}
#: Columns that name files; the other known columns hold what is set.
FILE_COLUMNS = (*(item.name for item in INPUTS), "labels")
KNOWN_COLUMNS = ("case_id", *(item.name for item in INPUTS), *READING, *(name for name in SETTINGS if name != "case_id"))


@dataclass(frozen=True)
class CaseInputs:
    """A case to measure: facts, method, and where its files lie.

    paths: by the name in INPUTS; of a segmentation several, each FILE, FILE@SCHEME or FILE@LABELS.csv. label_scheme: for label
    maps without a scheme of their own; labels: a LABELS.csv for all segmentations; cutoffs: in place of those of the library.
    """

    facts: CaseFacts
    parameters: Parameters = Parameters()
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    series: str | None = None
    label_scheme: str | None = None
    labels: str | None = None
    cutoffs: str | Path | None = None

    def measure(self, nodes: dict, progress=lambda share, text: None):
        """The CaseResult, from the nodes of `nodes`. Raises BoneQualityError as `measure_case` does."""
        from .measure_case import measure_case

        return measure_case(
            self.facts, parameters=self.parameters, cutoffs=self.cutoffs or CUTOFFS_FILE, progress=progress, **nodes
        )  # fmt: skip

    @property
    def has_axial(self) -> bool:
        """Whether muscles are measured."""
        return any(self.paths.get(name) for name in AXIAL)

    @contextlib.contextmanager
    def nodes(self) -> Iterator[dict]:
        """The files as nodes, by argument of `measure_case`; they are removed from the scene when the block ends."""
        from ..scene.masks import Segmentation
        from ..scene.reading import read_segmentation, read_volume, remove_nodes

        if self.label_scheme or self.labels:
            scheme_labels(self.label_scheme or self.labels)
        read, found = [], {}
        try:
            for item in INPUTS:
                for given in self.paths.get(item.name, ()):
                    if not item.of:
                        read.append(read_volume(given, self.series))
                        found[item.name] = read[-1]
                        continue
                    path, named = path_and_labels(given)
                    nodes = read_segmentation(path)
                    read += nodes
                    found.setdefault(item.name, []).extend(Segmentation(node, named or self._labels_of(node)) for node in nodes)
            yield found
        finally:
            remove_nodes(read)

    def _labels_of(self, node) -> str | None:
        return self.labels or (self.label_scheme if node.IsA("vtkMRMLLabelMapVolumeNode") else None)

    def files(self) -> list[str]:
        """Every file that the result depends on; those of a folder one by one."""
        segmentations = {item.name for item in INPUTS if item.of}
        found = [Path(path) for path in (self.labels, self.cutoffs) if path]
        for name, several in self.paths.items():
            for given in several:
                path, labels = path_and_labels(given) if name in segmentations else (given, "")
                found += [Path(path), *([Path(labels)] if labels and labels not in SCHEMES else [])]
        return sorted({str(file) for path in found for file in _with_parts(path)})


def _with_parts(path: Path) -> list[Path]:
    """A file, those of a folder, or a header with the file beside it that holds its voxels."""
    if path.is_dir():
        return [file for file in path.rglob("*") if file.is_file()]
    if path.suffix.lower() in (".nhdr", ".mhd"):
        return list(path.parent.glob(f"{path.name[: -len(path.suffix)]}.*"))
    return [path]


def path_and_labels(given: str) -> tuple[str, str]:
    """The parts of FILE@SCHEME or FILE@LABELS.csv, "" where no labels are named; either path may hold an @ of its own."""
    if not os.path.exists(given):
        for at in (n for n in reversed(range(len(given))) if given[n] == "@"):
            if os.path.exists(given[:at]):
                return given[:at], given[at + 1 :]
    return given, ""


def value_of(item, text: str):
    """What a text stands for as a value of a field of CaseFacts or Parameters; raises BoneQualityError where it is none."""
    if item.type == "bool":
        if text.lower() not in ("yes", "no"):
            raise BoneQualityError(f"{text!r} is neither yes nor no")
        return text.lower() == "yes"
    if item.type.startswith("tuple"):
        levels = tuple(part.strip().upper() for part in text.split(",") if part.strip())
        for level in levels:
            if level not in LEVELS:
                raise BoneQualityError(f"{level!r} is no level; write for example L2,L3")
        return levels
    if item.type.startswith("float"):
        try:
            return float(text)
        except ValueError:
            raise BoneQualityError(f"{text!r} is no number") from None
    return text


@lru_cache(maxsize=4096)
def setting_of(column: str, text: str):
    """A setting's value, checked by the dataclass that it belongs to; manifests repeat them from row to row."""
    owner, item = SETTINGS[column]
    value = value_of(item, text.replace(";", ","))
    owner(**({"case_id": "x"} if owner is CaseFacts else {}) | {item.name: value})
    return value


def case_inputs(texts: Mapping[str, str], folder: str | Path = "", cutoffs: str | Path | None = None) -> CaseInputs:
    """A case from texts by the names of KNOWN_COLUMNS; empty ones and other names do not count. Relative paths are in ``folder``.

    Several segmentations in one text are separated by ``;``. Raises BoneQualityError with every fault.

    >>> case_inputs({"case_id": "7", "ct": "ct.nrrd", "ct_segmentation": "masks.nii.gz@totalsegmentator", "fractured": "L2,L3"})
    """
    inputs, faults = checked_inputs(texts, folder, cutoffs)
    if inputs is None:
        raise BoneQualityError("; ".join(f"{column}: {sentence}" for column, sentence in faults) + ".")
    return inputs


def checked_inputs(
    texts: Mapping[str, str], folder: str | Path, cutoffs: str | Path | None
) -> tuple[CaseInputs | None, list[tuple[str, str]]]:
    """The same without raising: the case, or None and what is wrong as (column, words)."""
    given = {name: text.strip() for name, text in texts.items() if name in KNOWN_COLUMNS and text.strip()}
    settings, faults = {CaseFacts: {}, Parameters: {}}, []
    for column, text in given.items():
        if column in SETTINGS:
            owner, item = SETTINGS[column]
            try:
                settings[owner][item.name] = setting_of(column, text)
            except BoneQualityError as error:
                faults.append((column, str(error).rstrip(".")))
    if "case_id" not in given:
        faults.append(("case_id", "is empty; give every case an id of its own"))
    paths = {}
    for item in INPUTS:
        text = given.get(item.name, "")
        parts = [part.strip() for part in text.split(";") if part.strip()] if item.of else [text] if text else []
        paths[item.name] = tuple(_in_folder(part, folder, bool(item.of)) for part in parts)
        faults += [(item.name, fault) for part in parts for fault in _faults_of_path(part, folder, bool(item.of))]
    faults += _missing(given) + _faults_of_labels(given, folder)
    if faults:
        return None, faults
    labels = given.get("labels") and os.path.join(folder, given["labels"])
    paths = {name: several for name, several in paths.items() if several}
    facts, parameters = (owner(**values) for owner, values in settings.items())
    return CaseInputs(facts, parameters, paths, given.get("series"), given.get("label_scheme"), labels, cutoffs), []


def _in_folder(part: str, folder, may_name_labels: bool) -> str:
    """A path, and the LABELS.csv that it may name, where they lie."""
    path, labels = path_and_labels(os.path.join(folder, part)) if may_name_labels else (os.path.join(folder, part), "")
    return f"{path}@{labels if labels in SCHEMES else os.path.join(folder, labels)}" if labels else path


def _faults_of_path(part: str, folder, may_name_labels: bool) -> list[str]:
    path, labels = path_and_labels(os.path.join(folder, part)) if may_name_labels else (os.path.join(folder, part), "")
    if not os.path.exists(path):
        alone = ", and give one image alone" if ";" in part and not may_name_labels else ""
        return [f"{part} is not there; check the path{alone}"]
    if not path.lower().endswith(EXTENSIONS) and not os.path.isdir(path):
        return [f"{part} is of no supported type; give one of {', '.join(EXTENSIONS)}, or a folder"]
    return _faults_of_scheme(labels, folder) if labels else []


def _faults_of_scheme(labels: str, folder) -> list[str]:
    if labels in SCHEMES or labels.lower().endswith(".csv") and os.path.exists(os.path.join(folder, labels)):
        return []
    if labels.lower().endswith(".csv"):
        return [f"{labels} is not there; check the path"]
    return [f"{labels!r} is no label scheme; choose one of {', '.join(SCHEMES)}, or a LABELS.csv file"]


def _faults_of_labels(given: dict[str, str], folder) -> list[tuple[str, str]]:
    if "label_scheme" in given and "labels" in given:
        return [("labels", "give label_scheme or labels, not both")]
    return [
        (name, fault) for name in ("label_scheme", "labels") if name in given for fault in _faults_of_scheme(given[name], folder)
    ]


def _missing(given: dict[str, str]) -> list[tuple[str, str]]:
    """The inputs that others need: every volume its segmentation, and the other way round."""
    faults = []
    for item in (item for item in INPUTS if item.of):
        there = [name for name in item.of if name in given]
        if there and item.name not in given:
            faults.append((item.name, f"is empty; give the {item.title} too, or leave {there[0]} empty"))
        if item.name in given and not there:
            faults.append((item.of[0], f"is empty; give {' or '.join(item.of)} too, or leave {item.name} empty"))
    if not any(item.name in given for item in INPUTS):
        faults.append((INPUTS[0].name, f"nothing to measure: give {' or '.join(item.name for item in INPUTS if not item.of)}"))
    return faults
