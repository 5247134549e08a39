"""What a person gave for a case: one model, filled by the command line, a manifest's row, a panel and a console."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..anatomy.schemes import SCHEMES
from ..errors import BoneQualityError
from ..files.cutoffs import CUTOFFS_FILE
from ..files.dicom_series import folder_and_series
from ..parameters import CaseFacts, Parameters
from ..scene.labels import path_and_labels, scheme_labels
from .missing import Fault, faults_of
from .names import AXIAL, INPUTS


@dataclass(frozen=True)
class CaseInputs:
    """A case to measure: facts, method, images and segmentations.

    given: by the name in INPUTS what was given, each one or several: nodes (of segmentations with what their labels mean), or
    files, as PATH or DIR@UID, and of segmentations FILE, FILE@SCHEME or FILE@LABELS.csv. series: for a DICOM folder that does not
    name its own. label_scheme: for label maps without a scheme of their own; labels: a LABELS.csv for all segmentations; cutoffs:
    in place of those of the library.
    """

    facts: CaseFacts
    parameters: Parameters = Parameters()
    given: Mapping[str, tuple] = field(default_factory=dict)
    series: tuple[str, ...] = ()
    label_scheme: str | None = None
    labels: str | None = None
    cutoffs: str | Path | None = None

    def faults(self) -> list[Fault]:
        """What is missing or contradictory."""
        counts = {name: len(several) for name, several in self.given.items()}
        counts |= dict(series=len(self.series), label_scheme=int(bool(self.label_scheme)), labels=int(bool(self.labels)))
        return faults_of(counts) or self._faults_of_series()

    def _faults_of_series(self) -> list[Fault]:
        """A series goes with the one DICOM folder that names none."""
        if not self.series:
            return []
        volumes = [path for item in INPUTS if not item.of for path in self.given.get(item.name, ())]
        folders = [folder for path in volumes for folder, uid in [folder_and_series(path)] if folder is not None and uid is None]
        if len(folders) == 1:
            return []
        what = "no DICOM folder" if not folders else f"{len(folders)} DICOM folders"
        return [
            Fault("series", f"{{series}} fits one DICOM folder, and there is {what}: name a series with its folder, as DIR@UID.")
        ]

    def check(self, words: Mapping[str, str]) -> None:
        """Raise BoneQualityError with the first fault, in the words of a way in (see `missing`)."""
        for fault in self.faults():
            raise BoneQualityError(fault.said(words))

    @property
    def has_axial(self) -> bool:
        """Whether muscles are measured."""
        return any(self.given.get(name) for name in AXIAL)

    def measure(self, nodes: dict, progress=lambda share, text: None):
        """The measured case, from the nodes of `nodes`. Raises BoneQualityError as `measure_case` does."""
        from .measure_case import measure_case

        return measure_case(
            self.facts, parameters=self.parameters, cutoffs=self.cutoffs or CUTOFFS_FILE, progress=progress, **nodes
        )  # fmt: skip

    @contextlib.contextmanager
    def nodes(self) -> Iterator[dict]:
        """The files as nodes, by argument of `measure_case`; they are removed from the scene when the block ends."""
        from ..scene.reading import remove_nodes

        if self.label_scheme or self.labels:
            scheme_labels(self.label_scheme or self.labels)
        read: list = []
        try:
            yield {item.name: self._read(item, read) for item in INPUTS if self.given.get(item.name)}
        finally:
            remove_nodes(read)

    def _read(self, item, read: list):
        """The argument of `measure_case` for an input; its nodes are added to ``read``."""
        from ..scene.masks import Segmentation
        from ..scene.reading import read_segmentation, read_stacks, read_volume

        found = []
        for given in self.given[item.name]:
            if item.of:
                path, named = path_and_labels(given)
                nodes = read_segmentation(path)
                found += [Segmentation(node, named or self._labels_of(node)) for node in nodes]
            else:
                nodes = read_stacks(given, *self.series) if item.name in AXIAL else [read_volume(given, *self.series)]
                found += nodes
            read += nodes
        return found if item.several else found[0]

    def _labels_of(self, node) -> str | None:
        return self.labels or (self.label_scheme if node.IsA("vtkMRMLLabelMapVolumeNode") else None)

    def files(self) -> list[str]:
        """Every file that the result depends on; those of a folder one by one."""
        segmentations = {item.name for item in INPUTS if item.of}
        found = [Path(path) for path in (self.labels, self.cutoffs) if path]
        for name, several in self.given.items():
            for given in several:
                if name in segmentations:
                    path, labels = path_and_labels(given)
                    found += [Path(path), *([Path(labels)] if labels and labels not in SCHEMES else [])]
                else:
                    found.append(folder_and_series(given)[0] or Path(given))
        return sorted({str(file) for path in found for file in _with_parts(path)})


def _with_parts(path: Path) -> list[Path]:
    """A file, those of a folder, or a header with the file beside it that holds its voxels."""
    if path.is_dir():
        return [file for file in path.rglob("*") if file.is_file()]
    if path.suffix.lower() in (".nhdr", ".mhd"):
        return list(path.parent.glob(f"{path.name[: -len(path.suffix)]}.*"))
    return [path]
