"""Checks of single DICOM images, and of those that shall be one volume, before any reader gets them.

Only headers are read here, the pixels by MRML's reader (GDCM in ITK). That reader follows the given list and applies every
slice's own rescale, but takes without a word, so it is refused here: mixed orientations or echoes (it drops slices), CT without
rescale (raw numbers instead of HU), no pixel spacing (1 mm), inverted gray scale, several frames without places (as stored),
cut-off files (zeros).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BoneQualityError, Sentence
from .dicom_values import number, numbers, text, value_of

SAME_IN_SERIES = (
    "Modality", "Rows", "Columns", "PixelSpacing", "ImageOrientationPatient", "EchoNumbers", "RescaleSlope", "RescaleIntercept",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
)  # fmt: skip
RESCALE = ("RescaleSlope", "RescaleIntercept")
#: Numbers that GDCM reads wherever they are, and ends the process over some that are none.
NUMBERS = ("SpacingBetweenSlices", "RescaleSlope", "RescaleIntercept", "NumberOfFrames")
CT_UNITS = {"", "HU", "US"}
ORIGINAL = Sentence("export the original series")


@dataclass(frozen=True)
class DicomSlice:
    """One image of a series: its file, its header, what is wrong with its pixels ("" for nothing), its number among several frames."""

    path: Path
    header: object
    pixel_fault: str
    frame: int | None = None

    @property
    def name(self) -> str:
        """What an error calls it."""
        return self.path.name if self.frame is None else f"{self.path.name} frame {self.frame + 1}"


def check_slice(each: DicomSlice) -> None:
    """Raise BoneQualityError if MRML's reader would take this image for another one than it is."""
    header, is_ct = each.header, text(each.header, "Modality") == "CT"
    photometric, units = text(header, "PhotometricInterpretation"), text(header, "RescaleType") or ""
    slope, intercept = number(header, "RescaleSlope"), number(header, "RescaleIntercept")
    spacing, place = numbers(header, "PixelSpacing", 2), numbers(header, "ImagePositionPatient", 3)
    axes = np.reshape(numbers(header, "ImageOrientationPatient", 6) or np.zeros(6), (2, 3))
    faults = {
        "has several frames but does not say where each lies: convert it to NIfTI with dcm2niix": (
            number(header, "NumberOfFrames") or 1
        )
        > 1,
        "is a color image: {remedy}": header.get("SamplesPerPixel", 1) != 1,
        "stores gray values as {photometric}: {remedy}": photometric != "MONOCHROME2",
        each.pixel_fault: bool(each.pixel_fault),
        "gives no valid rescale to HU: {remedy}": is_ct and (not slope or intercept is None),
        "holds {units}, not HU: choose the series with CT numbers": is_ct and units.upper() not in CT_UNITS,
        "gives no valid PixelSpacing: {remedy}": spacing is None or not min(spacing) > 0,
        "gives no valid ImageOrientationPatient: {remedy}": not np.allclose(axes @ axes.T, np.eye(2), atol=0.01),
        "gives no valid ImagePositionPatient: {remedy}": place is None,
    }
    faults |= {
        Sentence("gives no valid {tag}: {remedy}", tag=name, remedy=ORIGINAL): _is_given(header, name)
        and number(header, name) is None
        for name in NUMBERS
    }
    for fault, is_there in faults.items():
        if is_there:
            said = Sentence(fault, photometric=photometric, units=units, remedy=ORIGINAL)
            raise BoneQualityError("{path} {fault}.", path=each.path, fault=said)


def _is_given(header, name: str) -> bool:
    """Whether a tag is there and not empty, even if what it holds cannot be understood."""
    return name in header and bool(header.get_item(name).value or header.get_item(name).value == 0)


def check_same(folder: Path, slices: list[DicomSlice]) -> None:
    """Raise BoneQualityError if the images of a series are not of one kind."""
    first = slices[0]
    for other in slices[1:]:
        one_by_one = first.frame is not None and other.frame is not None  # frames of one file have a rescale each
        same = [name for name in SAME_IN_SERIES if not (one_by_one and name in RESCALE)]
        names = [name for name in same if not _same(value_of(first.header, name), value_of(other.header, name))]
        if names:
            pair = Sentence("{first} and {other} differ in {tag}", first=first.name, other=other.name, tag=names[0])
            raise BoneQualityError(
                "{folder} mixes images in one series ({pair}): keep the images of one stack only.", folder=folder, pair=pair
            )


def _same(a, b) -> bool:
    """Whether two values of a tag are equal, numbers to 1 in 1000."""
    try:
        return a == b or np.allclose(np.asarray(a, float), np.asarray(b, float), rtol=1e-3, atol=1e-3)
    except (TypeError, ValueError):
        return False
