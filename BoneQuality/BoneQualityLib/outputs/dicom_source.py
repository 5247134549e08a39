"""The DICOM series that results refer to, and what results take over from it."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BoneQualityError, Sentence
from ..image.grid import Grid

#: What a result refers to the source by.
UIDS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
#: What every DICOM file says of patient and study, if only that it is unknown (type 2); some sources leave it out.
EMPTY_IF_ABSENT = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
    "ReferringPhysicianName",
)  # fmt: skip
#: How texts of the source are written in results.
UTF_8 = "ISO_IR 192"
#: A slice may lie this far from where the measured image has it, mm.
TOLERANCE_MM = 0.05
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Source:
    """An image series. title: what a person calls it; headers: one per slice, in any order, without pixels."""

    title: str
    headers: tuple

    @property
    def frame_of_reference(self) -> str:
        return self.headers[0].FrameOfReferenceUID

    def check_lattice(self, grid: Grid) -> None:
        """Raise BoneQualityError where the measured image does not lie as the series says, as after a transform."""
        if "ImagePositionPatient" not in self.headers[0]:
            return
        positions = np.array([[float(x) for x in header.ImagePositionPatient] for header in self.headers]) @ RAS_TO_LPS
        ijk = grid.ijk(positions)
        nearest = np.rint(ijk)
        inside = np.all((nearest >= 0) & (nearest <= np.array(grid.shape)[::-1] - 1))
        if not inside or np.abs((ijk - nearest) * grid.spacing).max() > TOLERANCE_MM:
            raise BoneQualityError(
                "The {title} does not lie where its DICOM series says; measure it without a transform to write DICOM.",
                title=Sentence(self.title),
            )


def read_source(title: str, paths: Iterable[str | Path]) -> Source:
    """The headers of a series' files; raises BoneQualityError, by the title, where there are none or they lack UIDs."""
    import pydicom

    headers = []
    for path in paths:
        try:
            headers.append(pydicom.dcmread(path, stop_before_pixels=True))
        except (OSError, pydicom.errors.InvalidDicomError):
            raise BoneQualityError(
                "The {title} is no DICOM series, which DICOM results refer to; give its DICOM folder.", title=Sentence(title)
            ) from None
    if not headers:
        raise BoneQualityError("The {title} is no DICOM series, which DICOM results refer to; give its DICOM folder.", title=Sentence(title))
    if len({header.get("FrameOfReferenceUID") for header in headers}) > 1:
        raise BoneQualityError(
            "The series of the {title} have several frames of reference; give series of one examination.", title=Sentence(title)
        )
    missing = [name for name in UIDS if any(not header.get(name) for header in headers)]
    if missing:
        raise BoneQualityError(
            "The DICOM series of the {title} has no {tag}, so that nothing can refer to it; export the series from the PACS again.",
            title=Sentence(title),
            tag=missing[0],
        )
    if headers[0].get(
        "SpecificCharacterSet"
    ):  # results take texts from here; highdicom knows few sets for Chinese, Japanese and Korean
        headers[0].decode()
        headers[0].SpecificCharacterSet = UTF_8
    for header in headers:
        for name in EMPTY_IF_ABSENT:
            if name not in header:
                setattr(header, name, "")
        if "PerFrameFunctionalGroupsSequence" in header:
            _share(header)
    return Source(title, tuple(headers))


def _share(header) -> None:
    """Say once what an enhanced image says alike for every frame: highdicom looks for it there."""
    frames, (shared,) = header.PerFrameFunctionalGroupsSequence, header.SharedFunctionalGroupsSequence
    for name in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        if name not in shared and all(frame.get(name) == frames[0].get(name) for frame in frames):
            setattr(shared, name, frames[0].get(name))
            for frame in frames:
                delattr(frame, name)


def uid_of(*parts) -> str:
    """A UID that the same content gets each time."""
    digest = hashlib.sha256("\n".join(str(part) for part in parts).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def undated(dataset, source: Source):
    """The dataset with the dates of its source in place of those of today, so that the same case gives the same bytes."""
    first = source.headers[0]
    for kind in ("Date", "Time"):
        given = next((value for name in ("Content", "Series", "Study") if (value := first.get(f"{name}{kind}"))), None)
        for name in (f"Content{kind}", f"Series{kind}", f"InstanceCreation{kind}", f"{kind}OfSecondaryCapture"):
            if name in dataset:
                setattr(dataset, name, given or ("19000101" if kind == "Date" else "000000"))
    for item in dataset.get("ContributingEquipmentSequence", ()):
        item.pop("ContributionDateTime", None)
    return dataset


def as_bytes(dataset) -> bytes:
    """A dataset as a DICOM file."""
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()
