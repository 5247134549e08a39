"""A DICOM folder: its image series, the choice among them, and the order and geometry of a series' slices.

Missing, doubled or uneven slices (MRML's reader spreads the rest evenly) and gantry tilt (a sheared lattice) are refused here;
what single images are checked for stands in ``dicom_checks``.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BoneQualityError
from .dicom_checks import DicomSlice, check_same, check_slice
from .dicom_pixels import inflates_too_far, pixel_fault
from .dicom_tags import header_tags
from .dicom_values import numbers, text

EXTENSIONS = {".dcm", ".dicom", ".ima"}
NOT_OF_THE_PATIENT = {"SEG", "RTDOSE"}
PLACED_BY = {"ImagePositionPatient", "SharedFunctionalGroupsSequence"}
POSITION_TOLERANCE_MM = 0.1
SAME_POSITION_MM = 0.01
TILT_TOLERANCE_DEGREES = 0.5
REGULARIZE = "import it in 3D Slicer with geometry regularization (DICOM settings), harden its transform, save it as NRRD"


@dataclass(frozen=True)
class DicomSeries:
    """One volume: its files, ordered along the slice normal (row x column direction), and its tags."""

    paths: tuple[Path, ...]
    tags: dict


def find_series(folder, series_uid: str | None = None) -> DicomSeries:
    """The only image series in a folder and its subfolders, or the one of ``series_uid``, fit to be read as a volume.

    >>> find_series("dicom").tags["kvp"]
    120.0
    """
    import pydicom

    folder = Path(folder)
    if not folder.is_dir():
        raise BoneQualityError(f"{folder} is not a folder: name the folder with the DICOM files.")
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        slices = [s for path in sorted(folder.rglob("*")) if path.is_file() and (s := _read(path))]
        chosen = _chosen(folder, slices, series_uid)
        for each in chosen:
            check_slice(each)
        check_same(folder, chosen)
        ordered = _ordered(folder, chosen)
        tags = header_tags(ordered[0].header)
    return DicomSeries(tuple(s.path for s in ordered), tags)


def is_dicom(path: Path) -> bool:
    """Whether a file begins like a DICOM file; False where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _read(path: Path) -> DicomSlice | None:
    """The header of an image, None for any other file."""
    import pydicom

    try:
        with path.open("rb") as file:
            if file.read(132)[128:] != b"DICM":
                if path.suffix.lower() in EXTENSIONS:
                    raise BoneQualityError(f"{path} is no DICOM file despite its name: copy it again or remove it.")
                return None
            if inflates_too_far(path):
                raise EOFError
            file.seek(0)
            header = pydicom.dcmread(file, stop_before_pixels=True)
            if "Rows" in header:
                return DicomSlice(path, header, pixel_fault(file, header))
            kind = header.file_meta.get("MediaStorageSOPClassUID", pydicom.uid.UID("")).name
            if "Rows" not in header and (not kind or "Image Storage" in kind):
                raise EOFError
            return None
    except BoneQualityError:
        raise
    except OSError as error:
        raise BoneQualityError(f"{path} cannot be read ({error.strerror}): check its permissions and its disk.") from None
    except Exception:  # pydicom has no common base class for what a damaged header makes it raise
        raise BoneQualityError(f"{path} is damaged: copy or export it again.") from None


def _chosen(folder: Path, slices: list[DicomSlice], series_uid: str | None) -> list[DicomSlice]:
    groups: dict[str, list[DicomSlice]] = {}
    for each in slices:
        groups.setdefault(text(each.header, "SeriesInstanceUID") or "", []).append(each)
    groups = {uid: g for uid, g in groups.items() if any(text(s.header, "Modality") not in NOT_OF_THE_PATIENT for s in g)}
    listed = "; ".join(f"{uid or 'no UID'}: {len(g)} {text(g[0].header, 'Modality')} images" for uid, g in groups.items())
    if not groups:
        raise BoneQualityError(f"{folder} holds no DICOM image: name a folder with one image series.")
    if series_uid is not None:
        if series_uid not in groups:
            raise BoneQualityError(f"{folder} holds no series {series_uid}: choose with --series UID from: {listed}.")
        return groups[series_uid]
    placed = [group for group in groups.values() if all(PLACED_BY & set(s.header.dir()) for s in group)]
    candidates = placed or list(groups.values())
    if len(candidates) > 1:
        raise BoneQualityError(f"{folder} holds several image series: choose one with --series UID from: {listed}.")
    return candidates[0]


def _ordered(folder: Path, slices: list[DicomSlice]) -> list[DicomSlice]:
    """The slices along their normal, refused where a right-angled lattice cannot hold them."""
    if len(slices) < 2:
        raise BoneQualityError(f"{folder} holds a single slice in that series: export the whole stack.")
    row, column = np.reshape(numbers(slices[0].header, "ImageOrientationPatient", 6), (2, 3))
    normal = np.cross(row, column) / np.linalg.norm(np.cross(row, column))
    positions = np.array([numbers(s.header, "ImagePositionPatient", 3) for s in slices])
    order = np.argsort(positions @ normal, kind="stable")
    slices, positions = [slices[i] for i in order], positions[order]

    height = (positions - positions[0]) @ normal
    sideways = np.linalg.norm(positions - positions[0] - np.outer(height, normal), axis=1)
    steps = np.diff(height)
    step = float(np.median(steps))
    tolerance = min(POSITION_TOLERANCE_MM, step / 4)
    pairs = [f"{a.path.name} and {b.path.name}" for a, b in zip(slices, slices[1:])]
    if steps.min() < SAME_POSITION_MM:
        raise BoneQualityError(f"{folder} holds two images at one place ({pairs[steps.argmin()]}): keep one phase or echo only.")
    if np.abs(height - np.linspace(0, height[-1], len(height))).max() > tolerance:
        i = int(np.abs(steps - step).argmax())
        raise BoneQualityError(
            f"{folder} misses slices or is unevenly spaced: {pairs[i]} lie {steps[i]:.2f} mm apart, others {step:.2f} mm; "
            "add the missing slices or export the series again."
        )
    if np.any(sideways > height * math.tan(math.radians(TILT_TOLERANCE_DEGREES)) + tolerance):
        tilt = math.degrees(math.atan2(sideways[-1], height[-1]))
        raise BoneQualityError(f"{folder} has a gantry tilt ({tilt:.1f} degrees) or slices shifted sideways: {REGULARIZE}.")
    return slices
