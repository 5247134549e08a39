"""The whole files that are damaged by fuzz.py: every format in every role, as small as can still be measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

import dicom_makers
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.phantoms.phantom_muscles import axial_grid, mask_of, paraspinal_muscles, render
from spine_files import image_file, segmentation_file

CT_GRID = Grid((18, 24, 28), np.array([[-2.0, 0, 0, 27], [0, -2, 0, 31], [0, 0, 2.5, -20], [0, 0, 0, 1]]))
T1_GRID = Grid((9, 44, 34), np.array([[0, 0, 4.0, -16], [-1.6, 0, 0, 34], [0, -1.6, 0, 36], [0, 0, 0, 1]]))


@dataclass
class Subject:
    """A case in ``folder`` of which the file or folder ``target`` is to be changed; ``options`` name its files."""

    name: str
    folder: Path
    target: str
    options: tuple[str, ...]
    is_packed: bool = False
    expected: tuple = field(default=(), repr=False)

    def arguments(self, folder: Path) -> list[str]:
        """``measure`` of this case where its files lie in ``folder``."""
        placed = [option if option.startswith("--") else str(folder / option) for option in self.options]
        return ["measure", "--case-id", "case", *placed]

    def header_bytes(self, content: bytes) -> int:
        """Where the voxels begin; 0 where all is compressed."""
        if self.target.endswith(".nii"):
            return 352
        if self.target.endswith((".nhdr", ".mhd")):
            return len(content)
        if self.target.endswith(".nrrd"):
            return content.index(b"\n\n") + 2
        if self.target.endswith(".mha"):
            return content.index(b"\n", content.index(b"ElementDataFile")) + 1
        return 0


def _body(grid: Grid, center_s: float, height: float = 26.0) -> np.ndarray:
    r, a, s = np.moveaxis(grid.centers(), -1, 0)
    return ((r / 20) ** 2 + ((a - 8) / 15) ** 2 <= 1) & (np.abs(s - center_s) <= height / 2)


@cache
def ct() -> tuple[np.ndarray, np.ndarray]:
    """A vertebral body of bone in soft tissue with fat and air around, and its mask."""
    r, a, _ = np.moveaxis(CT_GRID.centers(), -1, 0)
    mask, rng = _body(CT_GRID, 0), np.random.default_rng(3)
    array = rng.normal(45, 8, CT_GRID.shape)
    array[(np.abs(r) > 24) | (a > 26)] = -100
    array[a < -13] = -1000
    inner = _body(CT_GRID, 0, 20) & (((r / 17) ** 2 + ((a - 8) / 12) ** 2) <= 1)
    array[mask] = 400
    array[inner] = rng.normal(120, 10, int(inner.sum()))
    return array.round().astype(np.int16), mask


@cache
def t1() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Marrow of three bodies and CSF behind them."""
    rng = np.random.default_rng(1)
    array = rng.normal(200, 5, T1_GRID.shape)
    masks = {f"{level} body": _body(T1_GRID, s, 20) for level, s in (("L2", 25), ("L3", 0), ("L4", -25))}
    r, a, _ = np.moveaxis(T1_GRID.centers(), -1, 0)
    masks["thecal sac"] = (r / 9) ** 2 + ((a + 18) / 8) ** 2 <= 1
    for name, mask in masks.items():
        array[mask] = 300 if "body" in name else 100
    return (array + rng.normal(0, 2, T1_GRID.shape)).round().astype(np.int16), masks


@cache
def axial() -> tuple[np.ndarray, dict[str, np.ndarray], Grid]:
    """Muscles at two discs."""
    fat = {"psoas major": 0.05, "multifidus": 0.3, "erector spinae": 0.2}
    phantom = paraspinal_muscles(fat, discs={"L3-L4": ((0, 0, 20), (0, 0, 1)), "L4-L5": ((0, 0, -16), (0, 0, 1))}, scale=1.0)
    grid = axial_grid(phantom, (2.0, 2.0, 8.0))
    names = [part.name for part in (*phantom.compartments, *phantom.discs)]
    array = np.rint(render(phantom, grid, "t2", 5.0, seed=4)).astype(np.int16)
    return array, {name: mask_of(phantom, name, grid) for name in names}, grid


def make_corpus(folder: Path) -> list[Subject]:
    """The cases, each in a folder of its own."""
    return [*_ct_cases(folder), *_mask_cases(folder), *_t1_cases(folder), *_axial_cases(folder)]


def _ct_cases(folder: Path) -> list[Subject]:
    found = []
    for name, packed in (
        ("ct.nrrd", True), ("raw.nrrd", False), ("ct.nhdr", False), ("ct.nii.gz", True), ("ct.nii", False), ("ct.mha", True), ("raw.mha", False),
        ("ct.mhd", False), ("dicom", False), ("rle", True), ("jpeg2000", True), ("enhanced", False), ("bare", False),
    ):  # fmt: skip
        case = folder / f"ct-{name}"
        segmentation_file(case / "mask.seg.nrrd", {"L2 body": ct()[1]}, CT_GRID)
        _volume(case / name, ct()[0], CT_GRID, packed, "CT")
        found.append(Subject(f"ct-{name}", case, name, ("--ct", name, "--ct-segmentation", "mask.seg.nrrd"), packed))
    return found


def _mask_cases(folder: Path) -> list[Subject]:
    found = []
    for name, packed in (("mask.seg.nrrd", True), ("raw.seg.nrrd", False), ("mask.nii.gz", True), ("mask.nii", False), ("mask.mha", False)):
        case = folder / f"mask-{name}"
        image_file(case / "ct.nrrd", ct()[0], CT_GRID)
        if ".seg." in name:
            segmentation_file(case / name, {"L2 body": ct()[1], "L3 body": _body(CT_GRID, 40)}, CT_GRID)
            if not packed:
                _unpack(case / name)
            given = name
        else:
            _volume(case / name, ct()[1].astype(np.uint8) * 21, CT_GRID, packed, "CT")
            given = f"{name}@verse"
        found.append(Subject(f"mask-{name}", case, name, ("--ct", "ct.nrrd", "--ct-segmentation", given), packed))
    case = folder / "mask-dicom-seg"
    image_file(case / "ct.nrrd", ct()[0], CT_GRID)
    if dicom_seg(case / "seg", ct()[1], CT_GRID):
        found.append(Subject("mask-dicom-seg", case, "seg", ("--ct", "ct.nrrd", "--ct-segmentation", "seg")))
    return found


def _t1_cases(folder: Path) -> list[Subject]:
    found = []
    for name, packed in (("t1.nrrd", True), ("t1.nii.gz", True), ("raw.mha", False), ("dicom", False)):
        case = folder / f"t1-{name}"
        segmentation_file(case / "mask.seg.nrrd", t1()[1], T1_GRID)
        _volume(case / name, t1()[0], T1_GRID, packed, "MR")
        found.append(Subject(f"t1-{name}", case, name, ("--t1", name, "--t1-segmentation", "mask.seg.nrrd"), packed))
    return found


def _axial_cases(folder: Path) -> list[Subject]:
    array, masks, grid = axial()
    found = []
    for name, packed in (("axial.nii.gz", True), ("axial.nrrd", True), ("dicom", False), ("enhanced", False)):
        case = folder / f"axial-{name}"
        segmentation_file(case / "mask.seg.nrrd", masks, grid)
        _volume(case / name, array, grid, packed, "MR")
        found.append(Subject(f"axial-{name}", case, name, ("--axial-mr", name, "--axial-mr-segmentation", "mask.seg.nrrd"), packed))
    return found


def _volume(path: Path, array: np.ndarray, grid: Grid, packed: bool, modality: str) -> None:
    """An image in the format that the name says: a file, or a folder of DICOM files."""
    intercept = -1024 if modality == "CT" else 0
    tags = dict(KVP=120) if modality == "CT" else dict(RepetitionTime=500, EchoTime=10)
    if path.suffix:
        image_file(path, array, grid)
        if not packed and path.suffix != ".nii":
            sitk.WriteImage(sitk.ReadImage(str(path)), str(path), False)
        return
    slices = dicom_makers.slices(array, grid, modality, intercept=intercept, **tags)
    if path.name == "enhanced":
        dicom_makers.enhanced(path / "all.dcm", slices)
        return
    dicom_makers.classic(path, slices)
    if path.name == "bare":
        dicom_makers.without_preamble(path)
    if path.name in ("rle", "jpeg2000"):
        _compress(path)


def _compress(folder: Path) -> None:
    """RLE by pydicom, JPEG 2000 by GDCM in ITK."""
    import pydicom

    for path in folder.iterdir():
        if folder.name == "rle":
            dataset = pydicom.dcmread(path)
            dataset.compress(pydicom.uid.RLELossless)
            dataset.save_as(path, enforce_file_format=True)
            continue
        dataset = pydicom.dcmread(path)
        stored = np.frombuffer(dataset.PixelData, "<i2").reshape(1, dataset.Rows, dataset.Columns).astype(np.uint16)
        writer = sitk.ImageFileWriter()
        writer.SetFileName(str(path))
        writer.UseCompressionOn()
        writer.Execute(sitk.GetImageFromArray(stored))
        packed = pydicom.dcmread(path)
        dataset.PixelData, dataset.PixelRepresentation = packed.PixelData, 0
        dataset.file_meta.TransferSyntaxUID = packed.file_meta.TransferSyntaxUID
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
        dataset.save_as(path, enforce_file_format=True)


def _unpack(path: Path) -> None:
    """A .seg.nrrd with voxels as they are."""
    import gzip

    head, _, packed = path.read_bytes().partition(b"\n\n")
    path.write_bytes(head.replace(b"encoding: gzip", b"encoding: raw") + b"\n\n" + gzip.decompress(packed))


def dicom_seg(folder: Path, mask: np.ndarray, grid: Grid) -> bool:
    """A DICOM SEG of a mask as L2, referring to a CT of the same lattice; False without highdicom."""
    try:
        import highdicom
    except ImportError:
        return False
    from pydicom.sr.codedict import codes

    source = dicom_makers.slices(ct()[0], grid, "CT", intercept=-1024)
    for dataset in source:
        dicom_makers.write(folder.parent / "source.dcm", dataset)
        dataset.PatientID = dataset.PatientName = dataset.PatientBirthDate = dataset.PatientSex = dataset.AccessionNumber = ""
        dataset.StudyID = dataset.StudyDate = dataset.StudyTime = dataset.ReferringPhysicianName = ""
    (folder.parent / "source.dcm").unlink()
    vertebra = highdicom.sr.CodedConcept("14293000", "SCT", "L2 vertebra")
    described = highdicom.seg.SegmentDescription(
        1, "L2 body", codes.SCT.AnatomicalStructure, vertebra, highdicom.seg.SegmentAlgorithmTypeValues.MANUAL
    )
    made = highdicom.seg.Segmentation(
        source, mask.astype(np.uint8), highdicom.seg.SegmentationTypeValues.BINARY, [described], "1.2.3.9", 1, "1.2.3.9.1", 1, "none", "none", "1", "1"
    )  # fmt: skip
    folder.mkdir(parents=True)
    made.save_as(folder / "seg.dcm", enforce_file_format=True)
    return True
