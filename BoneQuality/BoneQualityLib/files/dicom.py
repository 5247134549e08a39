"""A DICOM folder: its image series, the order and geometry of the slices, and the tags that matter to a measurement.

Only headers are read here, the pixels by MRML's reader (GDCM in ITK). That reader follows the given list and applies every
slice's own rescale, but takes without a word, so it is refused here: missing, doubled or uneven slices (it spreads the rest
evenly), gantry tilt (a sheared lattice), mixed orientations or echoes (it drops slices), CT without rescale (raw numbers
instead of HU), no pixel spacing (1 mm), inverted gray scale, multi-frame objects (frames as stored), cut-off files (zeros).
"""

from __future__ import annotations

import math
import os
import re
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BoneQualityError

EXTENSIONS = {".dcm", ".dicom", ".ima"}
NOT_OF_THE_PATIENT = {"SEG", "RTDOSE"}
PLACED_BY = {"ImagePositionPatient", "SharedFunctionalGroupsSequence"}
SAME_IN_SERIES = ("Modality", "Rows", "Columns", "PixelSpacing", "ImageOrientationPatient", "EchoNumbers")
CT_UNITS = {"", "HU", "US"}
NO_CONTRAST = {"NONE", "NO", "NO CONTRAST", "WITHOUT CONTRAST", "W/O CONTRAST"}
#: In ScanOptions (FS is the standard's term) and in the names of sequence, protocol and series.
FAT_SUPPRESSED = re.compile(r"(?<![a-z])(fs|fat[ _-]?sat\w*|fsat|stir|spir|spair|water)(?![a-z])", re.IGNORECASE)
POSITION_TOLERANCE_MM = 0.1
SAME_POSITION_MM = 0.01
TILT_TOLERANCE_DEGREES = 0.5
ORIGINAL = "export the original series"
REGULARIZE = "import it in 3D Slicer with geometry regularization (DICOM settings), harden its transform, save it as NRRD"


@dataclass(frozen=True)
class DicomSeries:
    """One volume: its files, ordered along the slice normal (row x column direction), and its tags."""

    paths: tuple[Path, ...]
    tags: dict


@dataclass(frozen=True)
class _Slice:
    path: Path
    header: object
    is_whole: bool


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
            _check_slice(each)
        _check_same(folder, chosen)
        ordered = _ordered(folder, chosen)
        tags = _tags(ordered[0].header)
    return DicomSeries(tuple(s.path for s in ordered), tags)


def read_tags(path) -> dict:
    """The tags of one DICOM file; none where the file is not there or is no DICOM file."""
    import pydicom

    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        try:
            return _tags(pydicom.dcmread(path, stop_before_pixels=True))
        except (OSError, pydicom.errors.InvalidDicomError):
            return {}


def is_dicom(path: Path) -> bool:
    """Whether a file begins like a DICOM file; False where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _read(path: Path) -> _Slice | None:
    """The header of an image, None for any other file."""
    import pydicom

    try:
        with path.open("rb") as file:
            if file.read(132)[128:] != b"DICM":
                if path.suffix.lower() in EXTENSIONS:
                    raise BoneQualityError(f"{path} is no DICOM file despite its name: copy it again or remove it.")
                return None
            file.seek(0)
            header = pydicom.dcmread(file, stop_before_pixels=True)
            if "Rows" in header and _text(header, "Modality") not in NOT_OF_THE_PATIENT:
                return _Slice(path, header, _has_all_pixels(file, header))
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


def _has_all_pixels(file, header) -> bool:
    """Whether the pixel data, at which ``file`` stands, go on to their end."""
    syntax = header.file_meta.TransferSyntaxUID
    if syntax.is_deflated:
        return True
    file.seek(8 if syntax.is_implicit_VR else 12, os.SEEK_CUR)
    if not syntax.is_compressed:
        frames = _number(header, "NumberOfFrames") or 1
        bits = header.Rows * header.Columns * header.BitsAllocated * header.get("SamplesPerPixel", 1) * frames
        return os.fstat(file.fileno()).st_size - file.tell() >= bits // 8
    while len(item := file.read(8)) == 8:
        _, element, length = struct.unpack("<HHI", item)
        if element == 0xE0DD:
            return True
        file.seek(length, os.SEEK_CUR)
    return False


def _chosen(folder: Path, slices: list[_Slice], series_uid: str | None) -> list[_Slice]:
    groups: dict[str, list[_Slice]] = {}
    for each in slices:
        groups.setdefault(_text(each.header, "SeriesInstanceUID") or "", []).append(each)
    listed = "; ".join(f"{uid or 'no UID'}: {len(g)} {_text(g[0].header, 'Modality')} images" for uid, g in groups.items())
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


def _check_slice(each: _Slice) -> None:
    header, is_ct = each.header, _text(each.header, "Modality") == "CT"
    photometric, units = _text(header, "PhotometricInterpretation"), _text(header, "RescaleType") or ""
    slope, intercept = _number(header, "RescaleSlope"), _number(header, "RescaleIntercept")
    spacing, place = _numbers(header, "PixelSpacing", 2), _numbers(header, "ImagePositionPatient", 3)
    axes = np.reshape(_numbers(header, "ImageOrientationPatient", 6) or np.zeros(6), (2, 3))
    faults = {
        "has several frames, which is not supported: convert it to NIfTI with dcm2niix": (_number(header, "NumberOfFrames") or 1)
        > 1,
        f"is a color image: {ORIGINAL}": header.get("SamplesPerPixel", 1) != 1,
        f"stores gray values as {photometric}: {ORIGINAL}": photometric != "MONOCHROME2",
        "is cut short: copy or export it again": not each.is_whole,
        f"gives no valid rescale to HU: {ORIGINAL}": is_ct and (not slope or intercept is None),
        f"holds {units}, not HU: choose the series with CT numbers": is_ct and units.upper() not in CT_UNITS,
        f"gives no valid PixelSpacing: {ORIGINAL}": spacing is None or not min(spacing) > 0,
        f"gives no valid ImageOrientationPatient: {ORIGINAL}": not np.allclose(axes @ axes.T, np.eye(2), atol=0.01),
        f"gives no valid ImagePositionPatient: {ORIGINAL}": place is None,
    }
    for fault, is_there in faults.items():
        if is_there:
            raise BoneQualityError(f"{each.path} {fault}.")


def _check_same(folder: Path, slices: list[_Slice]) -> None:
    first = slices[0]
    for other in slices[1:]:
        names = [name for name in SAME_IN_SERIES if not _same(first.header.get(name), other.header.get(name))]
        if ("RescaleSlope" in first.header) != ("RescaleSlope" in other.header):
            names.append("RescaleSlope")
        if names:
            pair = f"{first.path.name} and {other.path.name} differ in {names[0]}"
            raise BoneQualityError(f"{folder} mixes images in one series ({pair}): keep the images of one stack only.")


def _same(a, b) -> bool:
    """Whether two values of a tag are equal, numbers to 1 in 1000."""
    try:
        return a == b or np.allclose(np.asarray(a, float), np.asarray(b, float), rtol=1e-3, atol=1e-3)
    except (TypeError, ValueError):
        return False


def _ordered(folder: Path, slices: list[_Slice]) -> list[_Slice]:
    """The slices along their normal, refused where a right-angled lattice cannot hold them."""
    if len(slices) < 2:
        raise BoneQualityError(f"{folder} holds a single slice in that series: export the whole stack.")
    row, column = np.reshape(_numbers(slices[0].header, "ImageOrientationPatient", 6), (2, 3))
    normal = np.cross(row, column) / np.linalg.norm(np.cross(row, column))
    positions = np.array([_numbers(s.header, "ImagePositionPatient", 3) for s in slices])
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


def _tags(header) -> dict:
    gauss_or_tesla = _number(header, "MagneticFieldStrength")
    return dict(
        modality=_text(header, "Modality"),
        kvp=_number(header, "KVP") or None,
        slice_thickness_mm=_number(header, "SliceThickness") or None,
        kernel=_text(header, "ConvolutionKernel"),
        contrast=_contrast(header),
        field_strength_t=gauss_or_tesla / 1e4 if gauss_or_tesla and gauss_or_tesla > 100 else gauss_or_tesla or None,
        tr_ms=_number(header, "RepetitionTime") or None,
        te_ms=_number(header, "EchoTime") or None,
        ti_ms=_number(header, "InversionTime") or None,
        manufacturer=_text(header, "Manufacturer"),
        model=_text(header, "ManufacturerModelName"),
        fat_suppressed=_fat_suppressed(header) if _text(header, "Modality") == "MR" else None,
        scanning_sequence=_text(header, "ScanningSequence"),
    )


def _contrast(header) -> str | None:
    """An agent that is named was given, whatever its volume says; an empty tag is unknown (DICOM PS3.5 7.4.3, type 2)."""
    agent = _text(header, "ContrastBolusAgent")
    if agent is None:
        return "yes" if header.get("ContrastBolusAgentSequence") else None
    return "no" if agent.upper() in NO_CONTRAST else "yes"


def _fat_suppressed(header) -> str | None:
    options, selected = _text(header, "ScanOptions") or "", _text(header, "SpectrallySelectedSuppression") or ""
    names = " ".join(_text(header, name) or "" for name in ("SequenceName", "ProtocolName", "SeriesDescription"))
    is_water = {"W", "WATER"} & set((_text(header, "ImageType") or "").upper().split())
    if is_water or selected.upper().startswith("FAT") or FAT_SUPPRESSED.search(f"{options} {names}".replace("_", " ")):
        return "yes"
    return "no" if options or selected else None


def _text(header, name: str) -> str | None:
    """A tag's values as one line without quotes, None where it is absent, empty or malformed."""
    try:
        value = header.get(name)
        values = [value] if isinstance(value, str) else list(value or [])
        return " ".join(re.sub(r"[\"'\x00-\x1f]", " ", " ".join(map(str, values))).split()) or None
    except Exception:  # a malformed tag is as good as none
        return None


def _numbers(header, name: str, count: int) -> list[float] | None:
    """A tag's ``count`` finite numbers, None where it has other ones."""
    try:
        value = header.get(name)
        values = [float(v) for v in (value if count > 1 else [value])]
    except Exception:  # a malformed tag is as good as none
        return None
    return values if len(values) == count and all(map(math.isfinite, values)) else None


def _number(header, name: str) -> float | None:
    values = _numbers(header, name, 1)
    return values[0] if values else None
