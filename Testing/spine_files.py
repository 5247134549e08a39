"""A spine of plain cylinders as image files, and the command run on them: quick to make, with exact answers."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from BoneQualityLib import cli
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.scene.nodes import segmentation_node
from BoneQualityLib.scene.reading import write_node

CENTERS_S = {"L1": 36.0, "L2": 0.0, "L3": -36.0}
HU = {"L1": 100, "L2": 120, "L3": 140}
MARROW, CSF = {"L1": 280, "L2": 300, "L3": 330}, 100
CORTEX_HU, CORTEX_T1 = 350, 60
CT_GRID = Grid((70, 40, 40), np.array([[-2.0, 0, 0, 39], [0, -2, 0, 49], [0, 0, 2, -69], [0, 0, 0, 1]]))
T1_GRID = Grid((11, 110, 70), np.array([[0, 0, 4.4, -22], [-1.2, 0, 0, 42], [0, -1.2, 0, 65], [0, 0, 0, 1]]))
#: Label values of L1, L2, L3 in the scheme totalsegmentator.
VALUES = (31, 30, 29)
#: A sentence that refuses something tells what to do.
REMEDY = re.compile(
    r"\b(add|allow|check|choose|convert|copy|correct|draw|export|give|keep|load|map|name|put|rename|resample|save|see|use|write)\b",
    re.IGNORECASE,
)
LIBRARY = Path(cli.__file__).parents[1]


def cylinder(grid: Grid, center_s: float, height: float = 26.0, center_a: float = 10.0, radii=(20.0, 15.0)) -> np.ndarray:
    """An upright elliptical cylinder, bool ``[k, j, i]``; radii to the right and to anterior, mm."""
    r, a, s = np.moveaxis(grid.centers(), -1, 0)
    return ((r / radii[0]) ** 2 + ((a - center_a) / radii[1]) ** 2 <= 1) & (np.abs(s - center_s) <= height / 2)


def around(mask: np.ndarray) -> np.ndarray:
    """The voxels next to a mask: its cortex, which no margin reaches."""
    return ndimage.binary_dilation(mask) & ~mask


@cache
def bodies(grid: Grid) -> dict[str, np.ndarray]:
    """Masks of the vertebral bodies by level."""
    return {level: cylinder(grid, center) for level, center in CENTERS_S.items()}


@cache
def sac() -> np.ndarray:
    """Mask of the thecal sac in the T1 MRI."""
    return cylinder(T1_GRID, 0, 130, -17, (9, 8))


@cache
def ct() -> np.ndarray:
    """Bodies of 100, 120 and 140 HU throughout, so that their mean is 120; cortex around them, soft tissue, fat and air."""
    array = np.full(CT_GRID.shape, 40, np.int16)
    array[:, :3], array[:, 3:5] = -1000, -100
    for level, mask in bodies(CT_GRID).items():
        array[around(mask)] = CORTEX_HU
        array[mask] = HU[level]
    return array


@cache
def t1() -> np.ndarray:
    """Marrow of 280, 300 and 330 and CSF of 100, so that VBQ is 3."""
    array = np.random.default_rng(1).normal(200, 3, T1_GRID.shape)
    for level, mask in bodies(T1_GRID).items():
        array[around(mask)] = CORTEX_T1
        array[mask] = MARROW[level]
    array[sac()] = CSF
    return array.astype(np.int16)


def label_map(values=VALUES) -> np.ndarray:
    """The bodies in the CT as one array of these values."""
    return np.sum([value * mask for value, mask in zip(values, bodies(CT_GRID).values())], axis=0).astype(np.uint8)


def image_file(path: Path, array: np.ndarray, grid: Grid = CT_GRID, is_vector: bool = False) -> Path:
    """The array in a file of the type that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array, is_vector)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.ijk_to_ras
    image.SetSpacing(grid.spacing.tolist())
    image.SetDirection((lps[:3, :3] / grid.spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    sitk.WriteImage(image, str(path), True)
    return path


def segmentation_file(path: Path, masks: dict[str, np.ndarray], grid: Grid = CT_GRID, terminology: dict | None = None) -> Path:
    """A .seg.nrrd with a segment for every mask, named by its key; terminology entries by segment name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    node = segmentation_node("made", [Mask(name, mask, grid) for name, mask in masks.items()])
    for name, entry in (terminology or {}).items():
        node.GetSegmentation().GetSegment(name.replace(" ", "_")).SetTag("TerminologyEntry", entry)
    write_node(node, path)
    node.GetScene().RemoveNode(node)
    return path


def dicom_folder(folder: Path, **tags) -> Path:
    """The CT as a series of DICOM files with these tags."""
    import pydicom
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    series, lps = generate_uid(), np.diag([-1.0, -1.0, 1.0, 1.0]) @ CT_GRID.ijk_to_ras
    for k, pixels in enumerate(ct()):
        meta = pydicom.dataset.FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header = pydicom.Dataset()
        header.file_meta = meta
        header.SOPClassUID, header.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        header.SeriesInstanceUID, header.Modality, header.InstanceNumber = series, "CT", k + 1
        header.ImagePositionPatient = (lps @ [0, 0, k, 1])[:3].tolist()
        header.ImageOrientationPatient, header.PixelSpacing = [1, 0, 0, 0, 1, 0], [2, 2]
        header.Rows, header.Columns = pixels.shape
        header.SamplesPerPixel, header.PhotometricInterpretation, header.PixelRepresentation = 1, "MONOCHROME2", 0
        header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
        header.RescaleSlope, header.RescaleIntercept = 1, -1024
        header.PixelData = (pixels + 1024).astype("<u2").tobytes()
        for name, value in tags.items():
            setattr(header, name, value)
        header.save_as(folder / f"{k:03}.dcm", enforce_file_format=True)
    return folder


@dataclass(frozen=True)
class SpineFiles:
    """The spine on disk: CT and T1 MRI with a .seg.nrrd each, and the CT's bodies as a label map; as options of the command."""

    folder: Path

    @property
    def ct(self) -> list:
        return ["--ct", self.folder / "ct.nii.gz"]

    @property
    def of_ct(self) -> list:
        return [*self.ct, "--ct-segmentation", self.folder / "ct.seg.nrrd"]

    @property
    def t1(self) -> list:
        return ["--t1", self.folder / "t1.nrrd"]

    @property
    def of_t1(self) -> list:
        return [*self.t1, "--t1-segmentation", self.folder / "t1.seg.nrrd"]

    @property
    def label_map(self) -> Path:
        return self.folder / "labels.nii.gz"


def spine_files(folder: Path) -> SpineFiles:
    image_file(folder / "ct.nii.gz", ct())
    image_file(folder / "labels.nii.gz", label_map())
    image_file(folder / "t1.nrrd", t1(), T1_GRID)
    segmentation_file(folder / "ct.seg.nrrd", {f"{level} body": mask for level, mask in bodies(CT_GRID).items()})
    masks = {f"{level} body": mask for level, mask in bodies(T1_GRID).items()}
    segmentation_file(folder / "t1.seg.nrrd", masks | {"thecal sac": sac()}, T1_GRID)
    return SpineFiles(folder)


@dataclass(frozen=True)
class Outcome:
    """What a run left behind."""

    status: int
    out: str
    err: str
    folder: Path

    @property
    def files(self) -> dict[str, bytes]:
        """Everything in the output folder, hidden files too."""
        return {path.name: path.read_bytes() for path in sorted(self.folder.glob("*"))} if self.folder.is_dir() else {}

    def rows(self, table: str) -> list[dict[str, str]]:
        return list(csv.DictReader(self.files[f"case_{table}.csv"].decode().splitlines()))

    @property
    def levels(self) -> dict[str, dict[str, str]]:
        return {row["level"]: row for row in self.rows("levels")}

    @property
    def case(self) -> dict[str, str]:
        return self.rows("case")[0]

    @property
    def json(self) -> dict:
        return json.loads(self.files["case.json"])

    def refusal(self) -> str:
        """The sentence of a run that was refused: status 2, one line with a remedy, nothing else said, nothing written."""
        assert (self.status, self.out, self.files) == (2, "", {}), self
        assert re.fullmatch(r"bonequality: [^\n]+\.\n", self.err) and "Unexpected" not in self.err, self.err
        assert REMEDY.search(self.err), self.err
        return self.err

    def done(self) -> Outcome:
        """The same run, which wrote its files, said so, and nothing else."""
        assert (self.status, self.err) == (0, ""), self
        assert sorted(self.files.keys() - {"case.html"}) == ["case.json", "case_case.csv", "case_levels.csv"]
        assert self.out.startswith("Case case\n") and not re.search("[\r\033]|Warning|ERROR", self.out)
        return self


def measure(capfd, folder: Path, *arguments, case_id="case", report=False) -> Outcome:
    """``bonequality measure`` within this process; without the report unless asked for, whose pictures take as long as measuring."""
    capfd.readouterr()
    more = [] if report else ["--no-report"]
    status = cli.main(["measure", "--case-id", case_id, "--output", str(folder), *map(str, arguments), *more])
    return Outcome(status, *capfd.readouterr(), folder)


def process(folder: Path, *arguments, code="from BoneQualityLib.cli import main; sys.exit(main())", **options) -> Outcome:
    """``bonequality measure`` as a process of its own; ``code`` starts it."""
    command = [sys.executable, "-c", f"import os, sys; {code}", "measure", "--case-id", "case", "--output", folder, *arguments]
    environment = os.environ | {"PYTHONPATH": str(LIBRARY), "PYTHONIOENCODING": "utf-8"} | options.pop("env", {})
    done = subprocess.run([str(part) for part in command], capture_output=True, env=environment, timeout=600, **options)
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode(), folder)
