"""DICOM files made on the spot: classic series on any lattice, their enhanced twins, files without a preamble, SEG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, RLELossless, generate_uid
from pydicom.valuerep import format_number_as_ds

from BoneQualityLib.image.grid import Grid
from spine_files import CT_GRID

ENHANCED = {CTImageStorage: "1.2.840.10008.5.1.4.1.1.2.1", MRImageStorage: "1.2.840.10008.5.1.4.1.1.4.1"}
SEG = "1.2.840.10008.5.1.4.1.1.66.4"
RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def slices(array: np.ndarray, grid: Grid, modality="MR", series="1.2.3", first=1, slope=1, intercept=0, **tags) -> list[Dataset]:
    """A data set for every slice k of an array, with stored values (value - intercept) / slope; k runs along the slice normal or against."""
    lps, found = RAS_LPS @ grid.ijk_to_ras, []
    for k, pixels in enumerate(array):
        dataset = Dataset()
        dataset.SOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
        dataset.SOPInstanceUID, dataset.SeriesInstanceUID, dataset.StudyInstanceUID = generate_uid(), series, "1.2"
        dataset.FrameOfReferenceUID, dataset.Modality, dataset.InstanceNumber = "1.2.9", modality, first + k
        dataset.ImagePositionPatient = [format_number_as_ds(float(v)) for v in (lps @ [0, 0, k, 1])[:3]]
        dataset.ImageOrientationPatient = [f"{v:.8f}" for v in (lps[:3, :2] / grid.spacing[:2]).T.ravel()]
        dataset.PixelSpacing = [f"{v:.10g}" for v in grid.spacing[1::-1]]
        dataset.SliceThickness = f"{grid.spacing[2]:.10g}"
        dataset.Rows, dataset.Columns, dataset.SamplesPerPixel, dataset.PhotometricInterpretation = *pixels.shape, 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
        dataset.PixelData = np.round((pixels.astype(float) - intercept) / slope).astype("<i2").tobytes()
        for name, value in tags.items():
            setattr(dataset, name, value)
        found.append(dataset)
    return found


def classic(folder: Path, datasets: list[Dataset], names=None) -> Path:
    """The data sets as files of one image each."""
    folder.mkdir(parents=True, exist_ok=True)
    for n, dataset in enumerate(datasets):
        write(folder / (names[n] if names else f"{n:03}.dcm"), dataset)
    return folder


def write(path: Path, dataset: Dataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID = (
        dataset.SOPClassUID,
        dataset.SOPInstanceUID,
    )
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    return path


def without_preamble(folder: Path, implicit: bool = False, ending: str = "") -> Path:
    """The files of a folder as old systems leave them: the data set alone, without preamble and file meta information."""
    for path in sorted(folder.iterdir()):
        dataset = pydicom.dcmread(path)
        del dataset.file_meta
        path.unlink()
        dataset.save_as(path.with_suffix(ending), implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    return folder


def item(**values) -> Sequence:
    found = Dataset()
    for name, value in values.items():
        setattr(found, name, value)
    return Sequence([found])


def enhanced(path: Path, datasets: list[Dataset], order=None, compressed: bool = False, edit=None) -> Path:
    """The data sets as one enhanced multi-frame file, its frames in this order; ``edit(dataset)`` changes the whole."""
    order = list(order if order is not None else range(len(datasets)))
    first = datasets[0]
    whole = Dataset()
    for name in (
        "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "Modality", "Rows", "Columns", "SamplesPerPixel",
        "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SeriesDescription", "PatientName",
    ):  # fmt: skip
        if name in first:
            setattr(whole, name, first.get(name))
    whole.SOPClassUID, whole.SOPInstanceUID, whole.InstanceNumber = ENHANCED[first.SOPClassUID], generate_uid(), 1
    whole.NumberOfFrames = len(order)
    shared, frames = Dataset(), []
    timing = {name: first.get(name) for name in ("RepetitionTime",) if name in first}
    if timing:
        shared.MRTimingAndRelatedParametersSequence = item(**timing)
    if "KVP" in first:
        shared.CTXRayDetailsSequence = item(KVP=first.KVP)
    shared.PixelMeasuresSequence = item(PixelSpacing=first.PixelSpacing, SliceThickness=first.SliceThickness)
    for n, number in enumerate(order):
        each, frame = datasets[number], Dataset()
        frame.FrameContentSequence = item(FrameAcquisitionNumber=1, StackID="1", InStackPositionNumber=n + 1)
        frame.PlanePositionSequence = item(ImagePositionPatient=each.ImagePositionPatient)
        frame.PlaneOrientationSequence = item(ImageOrientationPatient=each.ImageOrientationPatient)
        frame.PixelValueTransformationSequence = item(
            RescaleSlope=each.RescaleSlope, RescaleIntercept=each.RescaleIntercept, RescaleType="US"
        )
        if "EchoTime" in each:
            frame.MREchoSequence = item(EffectiveEchoTime=float(each.EchoTime))
        frames.append(frame)
    whole.SharedFunctionalGroupsSequence, whole.PerFrameFunctionalGroupsSequence = Sequence([shared]), Sequence(frames)
    whole.PixelData = b"".join(datasets[number].PixelData for number in order)
    whole["PixelData"].VR = "OW"
    if edit:
        edit(whole)
    if not compressed:
        return write(path, whole)
    write(path, whole)
    packed = pydicom.dcmread(path)
    packed.compress(RLELossless)
    packed.save_as(path, enforce_file_format=True)
    return path


def code(value, scheme="SCT"):
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning="meaning")


def described(number, label, kind="51282000", scheme="SCT", region=None) -> Dataset:
    found = Dataset()
    found.SegmentNumber, found.SegmentLabel, found.SegmentAlgorithmType = number, label, "MANUAL"
    found.SegmentedPropertyCategoryCodeSequence, found.SegmentedPropertyTypeCodeSequence = code("123037004"), code(kind, scheme)
    if region:
        found.AnatomicRegionSequence = code(region)
    return found


def seg(
    path,
    masks,
    grid: Grid = CT_GRID,
    kind="BINARY",
    reverse=False,
    keep_empty=False,
    frame_of_reference="1.2.9",
    segments=None,
    edit=None,
    step=True,
):
    """A SEG file: a segment for every mask ``[k, j, i]``, or several masks with a grid each: name -> [(mask, grid), ..]."""
    whole, frames, bits = Dataset(), [], []
    whole.SOPClassUID, whole.SOPInstanceUID, whole.SeriesInstanceUID, whole.StudyInstanceUID = SEG, generate_uid(), "1.9", "1.2"
    whole.Modality, whole.SegmentationType, whole.FrameOfReferenceUID = "SEG", kind, frame_of_reference
    whole.Rows, whole.Columns, whole.SamplesPerPixel, whole.PhotometricInterpretation = *grid.shape[1:], 1, "MONOCHROME2"
    whole.BitsAllocated = whole.BitsStored = 1 if kind == "BINARY" else 8
    whole.HighBit, whole.PixelRepresentation = whole.BitsStored - 1, 0
    if kind == "FRACTIONAL":
        whole.SegmentationFractionalType, whole.MaximumFractionalValue = "PROBABILITY", 200
    for number, (name, given) in enumerate(masks.items(), 1):
        for mask, here in given if isinstance(given, list) else [(given, grid)]:
            lps = RAS_LPS @ here.ijk_to_ras
            for k in range(len(mask))[:: -1 if reverse else 1]:
                if mask[k].any() or keep_empty:
                    frame = Dataset()
                    frame.SegmentIdentificationSequence = item(ReferencedSegmentNumber=number)
                    frame.PlanePositionSequence = item(ImagePositionPatient=[f"{v:.10g}" for v in (lps @ [0, 0, k, 1])[:3]])
                    frame.PlaneOrientationSequence = item(
                        ImageOrientationPatient=[f"{v:.9f}" for v in (lps[:3, :2] / here.spacing[:2]).T.ravel()]
                    )
                    frames.append(frame)
                    bits.append(mask[k])
    shared = Dataset()
    shared.PixelMeasuresSequence = item(PixelSpacing=list(grid.spacing[1::-1]), SliceThickness=grid.spacing[2])
    if step:
        shared.PixelMeasuresSequence[0].SpacingBetweenSlices = grid.spacing[2]
    whole.SharedFunctionalGroupsSequence, whole.PerFrameFunctionalGroupsSequence = Sequence([shared]), Sequence(frames)
    whole.NumberOfFrames = len(frames)
    whole.SegmentSequence = Sequence(segments or [described(n, name) for n, name in enumerate(masks, 1)])
    pixels = np.stack(bits)
    data = (
        np.packbits(pixels.astype(np.uint8), bitorder="little").tobytes() if kind == "BINARY" else pixels.astype(np.uint8).tobytes()
    )
    whole.PixelData = data + b"\0" * (len(data) % 2)
    whole["PixelData"].VR = "OB"
    if edit:
        edit(whole)
    return write(path, whole)
