"""DICOM SEG as masks: every segment with its label, its codes and its voxels on a right-angled lattice.

Frames are stored segment by segment, empty ones left out, each with a place of its own. Binary segments are taken as they are,
fractional ones where at least half of a pixel belongs to them, label maps by their values. RTSTRUCT holds contours, which are not
read here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BoneQualityError, Sentence
from .dicom_file import DicomFile
from .dicom_frames import frame_headers
from .dicom_images import is_dicom
from .dicom_values import number, numbers, text
from .stored_image import AGAIN

SEGMENTATION, CONTOURS = "SEG", "RTSTRUCT"
#: Frames of one segment lie on one lattice where their places are off it by less than this share of a voxel.
OFF_LATTICE = 0.05
#: Codes are taken from SNOMED CT alone.
CODING_SCHEME = "SCT"
LOAD = Sentence("load it in 3D Slicer (extension Quantitative Reporting) and save it as .seg.nrrd")
RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class StoredSegment:
    """A segment on one lattice: its voxels, bool ``[k, j, i]`` cut to their bounding box, and the affine from index to RAS mm."""

    name: str
    terminology: str
    array: np.ndarray
    ijk_to_ras: np.ndarray


@dataclass(frozen=True, eq=False)
class StoredSegmentation:
    """frame_of_reference: the UID of the space in which it was drawn, "" where it says none."""

    segments: tuple[StoredSegment, ...]
    frame_of_reference: str


def is_segmentation_object(path: Path) -> bool:
    """Whether a file is DICOM with masks or contours, of which MRML's reader knows nothing."""
    return path.is_file() and is_dicom(path) and _modality(path) in (SEGMENTATION, CONTOURS)


def segmentation_objects(path: Path) -> list[Path]:
    """The files with DICOM masks or contours in a folder and its subfolders."""
    return [file for file in sorted(path.rglob("*")) if is_segmentation_object(file)]


def _modality(path: Path) -> str:
    import pydicom

    try:
        with DicomFile(path) as file:
            return text(pydicom.dcmread(file, specific_tags=["Modality"], force=True, stop_before_pixels=True), "Modality") or ""
    except Exception:  # a damaged header is said where the file is read
        return ""


def read_segmentation_object(path: Path) -> StoredSegmentation:
    """The segments of a DICOM SEG file. Raises BoneQualityError for another object, or where its frames cannot be placed."""
    import pydicom

    try:
        with DicomFile(path) as file:
            whole = pydicom.dcmread(file, force=True)
        if text(whole, "Modality") == CONTOURS:
            raise BoneQualityError(
                "{path} is an RTSTRUCT of contours: load it in 3D Slicer with SlicerRT, and save it as .seg.nrrd.", path=path
            )
        if text(whole, "Modality") != SEGMENTATION:
            raise BoneQualityError(
                "{path} is a DICOM image and no segmentation: give it as the image, and its masks here.", path=path
            )
        if not ("SegmentSequence" in whole and "PerFrameFunctionalGroupsSequence" in whole):
            raise BoneQualityError(
                "{path} does not say what its segments are and where they lie: {remedy}.", path=path, remedy=LOAD
            )
        frames = _frames(path, whole)
        segments = [segment for described in whole.SegmentSequence for segment in _segments(path, described, frames)]
        return StoredSegmentation(tuple(segments), text(whole, "FrameOfReferenceUID") or "")
    except BoneQualityError:
        raise
    except OSError as error:
        raise BoneQualityError(
            "{path} cannot be read ({reason}): check its permissions and its disk.", path=path, reason=error.strerror
        ) from None
    except Exception:  # pydicom has no common base class for what a damaged header makes it raise
        raise BoneQualityError("{path} is damaged: {remedy}.", path=path, remedy=AGAIN) from None


@dataclass(frozen=True, eq=False)
class _Frame:
    """One frame: which segment it shows (None: each by its value), its pixels, and its lattice."""

    segment: int | None
    pixels: np.ndarray
    axes: np.ndarray
    place: np.ndarray
    step: float

    def is_on_lattice_of(self, other: _Frame) -> bool:
        if self.pixels.shape != other.pixels.shape or not np.allclose(self.axes, other.axes, rtol=0, atol=1e-4):
            return False
        off = np.linalg.solve(other.axes_3d, self.place - other.place)
        return bool(np.all(np.abs(off - np.round(off)) < OFF_LATTICE) and np.all(np.abs(off[:2]) < OFF_LATTICE))

    @property
    def axes_3d(self) -> np.ndarray:
        """Columns: the step along rows, along columns, and to the next slice, LPS mm."""
        normal = np.cross(self.axes[0], self.axes[1])
        return np.column_stack([*self.axes, normal / np.linalg.norm(normal) * self.step])


def _frames(path: Path, whole) -> list[_Frame]:
    headers = frame_headers(whole)
    kind = (text(whole, "SegmentationType") or "").upper()
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise BoneQualityError(
            "{path} is a segmentation of an unknown type ({kind}): {remedy}.", path=path, kind=kind or Sentence("none"), remedy=LOAD
        )
    pixels = _pixels(path, whole, kind, len(headers))
    found = []
    for header, mask in zip(headers, pixels):
        spacing, place = numbers(header, "PixelSpacing", 2), numbers(header, "ImagePositionPatient", 3)
        directions = numbers(header, "ImageOrientationPatient", 6)
        if not (spacing and min(spacing) > 0 and place and directions):
            raise BoneQualityError("{path} does not say where its frames lie: {remedy}.", path=path, remedy=LOAD)
        rows, columns = np.reshape(directions, (2, 3))
        if not np.allclose([rows @ rows, columns @ columns, rows @ columns], [1, 1, 0], atol=0.01):
            raise BoneQualityError("{path} has frames whose axes are not at right angles: {remedy}.", path=path, remedy=LOAD)
        axes = np.stack([rows * spacing[1], columns * spacing[0]])
        shown = None if kind == "LABELMAP" else int(header.ReferencedSegmentNumber)
        found.append(_Frame(shown, mask, axes, np.array(place), _step(header)))
    return _with_steps(found)


def _step(header) -> float:
    return number(header, "SpacingBetweenSlices") or 0.0


def _with_steps(frames: list[_Frame]) -> list[_Frame]:
    """The frames with the distance of slices, where they do not say it: the least that lies between two of them."""
    least: dict[bytes, float] = {}
    for direction, group in _by_direction(frames).items():
        normal = np.cross(*group[0].axes)
        heights = np.unique(np.round([frame.place @ normal / np.linalg.norm(normal) for frame in group], 3))
        steps = np.diff(heights)
        least[direction] = float(steps[steps > 1e-2].min()) if (steps > 1e-2).any() else 1.0
    return [
        frame if frame.step > 0 else _Frame(frame.segment, frame.pixels, frame.axes, frame.place, least[direction])
        for direction, group in _by_direction(frames).items()
        for frame in group
    ]


def _by_direction(frames: Iterable[_Frame]) -> dict[bytes, list[_Frame]]:
    groups: dict[bytes, list[_Frame]] = {}
    for frame in frames:
        groups.setdefault(np.round(frame.axes, 3).tobytes(), []).append(frame)
    return groups


def _pixels(path: Path, whole, kind: str, count: int):
    """The frames as they are needed: which pixels belong to the segment, or for label maps their values."""
    rows, columns, bits = int(whole.Rows), int(whole.Columns), int(whole.BitsAllocated)
    if bits == 1:
        yield from _bit_frames(path, whole.PixelData, rows, columns, count)
        return
    if not (0 < rows < 1 << 15 and 0 < columns < 1 << 15 and bits in (8, 16) and whole.PixelRepresentation == 0):
        raise BoneQualityError("{path} has a pixel format that no segmentation has: {remedy}.", path=path, remedy=AGAIN)
    if not whole.file_meta.TransferSyntaxUID.is_compressed and len(whole.PixelData) < rows * columns * bits // 8 * count:
        raise BoneQualityError("{path} is cut short: {remedy}.", path=path, remedy=AGAIN)
    half = number(whole, "MaximumFractionalValue")
    array = np.reshape(whole.pixel_array, (count, rows, columns))
    for frame in array:
        yield frame if kind == "LABELMAP" else frame > 0 if kind == "BINARY" else frame >= (half or 255) / 2


def _bit_frames(path: Path, data: bytes, rows: int, columns: int, count: int):
    """Frames of one bit a pixel, packed one after the other without gaps, the lowest bit first."""
    if not (0 < rows < 1 << 15 and 0 < columns < 1 << 15) or len(data) * 8 < rows * columns * count:
        raise BoneQualityError("{path} is cut short: {remedy}.", path=path, remedy=AGAIN)
    size = rows * columns
    for n in range(count):
        first, last = n * size, (n + 1) * size
        part = np.frombuffer(data[first // 8 : -(-last // 8)], np.uint8)
        bits = np.unpackbits(part, bitorder="little")[first % 8 : first % 8 + size]
        yield bits.reshape(rows, columns).astype(bool)


def _segments(path: Path, described, frames: list[_Frame]) -> list[StoredSegment]:
    """A segment, once for every lattice that it has frames on."""
    value = int(described.SegmentNumber)
    own = [frame for frame in frames if frame.segment in (None, value)]
    masks = [(frame, frame.pixels == value if frame.segment is None else frame.pixels) for frame in own]
    filled = [(frame, mask) for frame, mask in masks if mask.any()]
    name, terminology = text(described, "SegmentLabel") or "", _terminology(described)
    lattices: list[list[tuple[_Frame, np.ndarray]]] = []
    for frame, mask in filled:
        home = next((group for group in lattices if frame.is_on_lattice_of(group[0][0])), None)
        if home is None:
            lattices.append([(frame, mask)])
        else:
            home.append((frame, mask))
    if not lattices:
        return [StoredSegment(name, terminology, np.zeros((1, 1, 1), bool), np.eye(4))]
    return [_joined(name, terminology, group) for group in lattices]


def _joined(name: str, terminology: str, group: list[tuple[_Frame, np.ndarray]]) -> StoredSegment:
    first = group[0][0]
    axes = first.axes_3d
    at = [int(round(np.linalg.solve(axes, frame.place - first.place)[2])) for frame, _ in group]
    low = min(at)
    flat = np.logical_or.reduce([mask for _, mask in group])
    j, i = (slice(int(n.min()), int(n.max()) + 1) for n in np.nonzero(flat))
    array = np.zeros((max(at) - low + 1, j.stop - j.start, i.stop - i.start), bool)
    for k, (_, mask) in zip(at, group):
        array[k - low] |= mask[j, i]
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = first.place + axes @ [i.start, j.start, low]
    return StoredSegment(name, terminology, array, RAS_LPS @ affine)


def _terminology(described) -> str:
    """The codes of a segment as 3D Slicer's tag has them."""
    category, kind = (_code(described, f"SegmentedProperty{name}CodeSequence") for name in ("Category", "Type"))
    kind_item = _first(described, "SegmentedPropertyTypeCodeSequence")
    region_item = _first(described, "AnatomicRegionSequence")
    modifier = _code(kind_item, "SegmentedPropertyTypeModifierCodeSequence")
    region, region_modifier = _code(described, "AnatomicRegionSequence"), _code(region_item, "AnatomicRegionModifierSequence")
    return "~".join(["", category, kind, modifier, "", region, region_modifier])


def _first(item, name: str):
    several = item.get(name) if item is not None else None
    return several[0] if several else None


def _code(item, name: str) -> str:
    code = _first(item, name)
    if code is None or (text(code, "CodingSchemeDesignator") or "") != CODING_SCHEME:
        return "^^"
    return f"{CODING_SCHEME}^{text(code, 'CodeValue') or ''}^"
