"""Checks of volume and segmentation files before any reader gets them: NRRD, NIfTI, MetaImage.

The readers of MRML and ITK 5.4 (Slicer 5.12) take these without a word, so they are refused here: a truncated NIfTI (the
rest reads as zeros); more voxels than the header says (a type or size that is wrong); a flipped bit in compressed data of any
format; numbers of a header that are none; a header without voxel size or orientation (one is made up); sheared axes; a NIfTI
whose two placements disagree; a .seg.nrrd whose header has other extents of the segments than its voxels, as other tools
leave it after resampling (the masks are cut). A .seg.nrrd of one voxel, as of empty segments, a damaged one, one with vast
extents and a MetaImage of many axes even end the process.
Not checkable: uncompressed data of the right length with wrong bytes, which none of these formats protects.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BoneQualityError, Sentence
from .decimal_point import decimal_point
from .metaimage import metaimage_header
from .nifti import nifti_header
from .nrrd import nrrd_header
from .stored_image import AGAIN, RESAVE, HeaderFault, StoredImage, check_length, gzip_end, stored_voxels

EXTENSIONS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
DICOM_EXTENSIONS = (".dcm", ".dicom", ".ima")
SEGMENTATION_EXTENSIONS = (".seg.nrrd", ".seg.nhdr")
SPACING_RANGE_MM = (0.01, 50.0)
#: No scanner's table reaches further from the center.
FURTHEST_ORIGIN_MM = 1e5
PLACEMENT_TOLERANCE_MM = 1.0
SHEAR_TOLERANCE = math.sin(math.radians(0.5))
#: Unpacked voxels beyond this are refused unread: four times the largest clinical CT (2,000 slices of 1024 x 1024).
MOST_UNPACKED_BYTES = 8 << 30
#: From this size on, an image that unpacks to more than so many times its packed size was never acquired (noise does not pack), and
#: a label map holds next to nothing (deflate reaches 1032): a few MB on the disk that would fill the memory.
LARGE_BYTES, MOST_PACKED_IMAGE, MOST_PACKED_LABELS = 1 << 30, 250, 1020
RESAMPLE = Sentence("resample it to a right-angled grid")
_PIXEL_TYPES = {
    "8-bit signed integer": "i1", "8-bit unsigned integer": "u1", "16-bit signed integer": "i2", "16-bit unsigned integer": "u2",
    "32-bit signed integer": "i4", "32-bit unsigned integer": "u4", "64-bit signed integer": "i8", "64-bit unsigned integer": "u8",
    "32-bit float": "f4", "64-bit float": "f8",
}  # fmt: skip


@dataclass(frozen=True)
class ImageHeader:
    """What a file's header says: ``size`` in voxels and ``spacing`` in mm along i, j, k, ITK's name of the pixel type."""

    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    pixel_type: str
    is_segmentation: bool


@decimal_point()
def check_image_file(path, unpack: bool = True, is_mask: bool = False) -> ImageHeader:
    """The header of a file that is whole and says where its voxels lie; `BoneQualityError` for any other.

    ``unpack=False``, for who reads the voxels next and compares them with what is stored: compressed ones are not unpacked here
    too, unless their end already speaks against them. is_mask: of a label map nearly all may be 0.

    >>> check_image_file("ct.nii.gz").spacing
    (3.0, 3.0, 3.0)
    """
    path = Path(path)
    stored = stored_image(path)
    _check_size(stored, is_mask or stored.is_segmentation)
    voxels = None
    if stored.segments:
        voxels = _said_by(path, lambda: stored_voxels(stored))
    elif unpack or not stored.compression or gzip_end(stored)[1:] != ((stored.preceding + stored.voxel_bytes) % 2**32,):
        _said_by(path, lambda: check_length(stored))
    header = _said_by(path, lambda: _itk_header(stored))
    if voxels is not None and not _within_extents(stored, voxels):
        sentence = "{path} has voxels outside its segments' extents, as after resampling: export it as drawn, or as a label map."
        raise BoneQualityError(sentence, path=path)
    return header


@decimal_point()
def stored_image(path) -> StoredImage:
    """What the file's own header says; raises BoneQualityError where the file is not there, is none of ours, or is malformed."""
    path = Path(path)
    if not path.is_file():
        raise BoneQualityError(
            "{path} is {what}: check the path.", path=path, what=Sentence("a folder, not a file" if path.is_dir() else "not there")
        )
    if path.suffix.lower() in DICOM_EXTENSIONS:
        raise BoneQualityError("{path} is one DICOM file: name the folder that holds its series.", path=path)
    if not path.name.lower().endswith(EXTENSIONS):
        raise BoneQualityError(
            "{path} is of no supported type: save it as one of {extensions}.", path=path, extensions=", ".join(EXTENSIONS)
        )
    if path.stat().st_size == 0:
        raise BoneQualityError("{path} is empty: {remedy}.", path=path, remedy=AGAIN)
    return _said_by(path, lambda: _header(path))


def stem(path) -> str:
    """A file's name without the ending of an image or segmentation."""
    name = Path(path).name
    ending = next((e for e in SEGMENTATION_EXTENSIONS + EXTENSIONS if name.lower().endswith(e)), "")
    return name[: len(name) - len(ending)]


def structure_files(folder) -> list[tuple[str, Path]]:
    """(structure, path) of every image file in a folder with one file a structure, sorted by the structure's name."""
    folder = Path(folder)
    if not folder.is_dir():
        raise BoneQualityError("{folder} is not a folder: name a folder with one image file a structure.", folder=folder)
    files = (path for path in folder.iterdir() if path.name.lower().endswith(EXTENSIONS) and path.is_file())
    found = [(stem(path), path) for path in files if not path.name.startswith(".")]
    if not found:
        sentence = "{folder} holds no image file: put one a structure there, of {extensions}."
        raise BoneQualityError(sentence, folder=folder, extensions=", ".join(EXTENSIONS))
    return sorted(found)


def _header(path: Path) -> StoredImage:
    if path.suffix.lower() in (".nrrd", ".nhdr"):
        return nrrd_header(path, path.name.lower().endswith(SEGMENTATION_EXTENSIONS))
    return metaimage_header(path) if path.suffix.lower() in (".mha", ".mhd") else nifti_header(path)


def _said_by(path: Path, reading):
    """What ``reading`` returns; what goes wrong in it is said in one sentence about the file."""
    try:
        return reading()
    except BoneQualityError:
        raise
    except HeaderFault as fault:
        raise BoneQualityError(
            "{path} has a header that cannot be understood ({fault}): {remedy}.", path=path, fault=fault, remedy=AGAIN
        ) from None
    except OSError as error:
        raise BoneQualityError(
            "{path} cannot be read ({reason}): check its permissions and its disk.", path=path, reason=error.strerror
        ) from None
    except zlib.error:
        raise BoneQualityError(
            "{path} is damaged (its compressed data fail their check): {remedy}.", path=path, remedy=AGAIN
        ) from None
    except (ValueError, LookupError, struct.error):
        raise BoneQualityError("{path} has a header that cannot be understood: {remedy}.", path=path, remedy=AGAIN) from None


def _check_size(stored: StoredImage, is_mask: bool) -> None:
    if stored.voxel_bytes > MOST_UNPACKED_BYTES:
        gib, limit = stored.voxel_bytes / 2**30, MOST_UNPACKED_BYTES >> 30
        sentence = "{path} unpacks to {gib:.1f} GiB, over the limit of {limit} GiB: export the spine alone."
        raise BoneQualityError(sentence, path=stored.path, gib=gib, limit=limit)
    packing = stored.voxel_bytes / max(stored.packed_bytes, 1)
    if stored.compression and stored.voxel_bytes > LARGE_BYTES and packing > (MOST_PACKED_LABELS if is_mask else MOST_PACKED_IMAGE):
        sentence = "{path} unpacks to {packing:.0f} times its size, so it holds next to nothing but one value: {remedy}."
        raise BoneQualityError(sentence, path=stored.path, packing=packing, remedy=AGAIN)


def _itk_header(stored: StoredImage) -> ImageHeader:
    """The header as ITK understands it, which must be what the file says."""
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(stored.path))
    warns = SimpleITK.ProcessObject.GetGlobalWarningDisplay()
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        if stored.placements and not any(map(_is_straight, stored.placements)):
            raise BoneQualityError("{path} has sheared axes: {remedy}.", path=stored.path, remedy=RESAMPLE) from None
        check_length(stored)  # damage further on is the better reason
        raise ValueError from None
    finally:
        SimpleITK.ProcessObject.SetGlobalWarningDisplay(warns)

    size, spacing, components = reader.GetSize(), reader.GetSpacing()[:3], reader.GetNumberOfComponents()
    pixel_type = SimpleITK.GetPixelIDValueAsString(reader.GetPixelID())
    if len(size) < 3:
        raise BoneQualityError("{path} is a flat image, not a volume: export the whole stack of slices.", path=stored.path)
    axes = np.reshape(reader.GetDirection(), (len(size), len(size)))[:3, :3]
    as_read = np.column_stack([axes * spacing, reader.GetOrigin()[:3]]) * [[-1], [-1], [1]]
    off = np.abs(reader.GetOrigin()).max()
    scalar_type = pixel_type.removeprefix("vector of ")
    faults = {
        "has {axes} axes ({size}): save the one volume to measure alone": max(size[3:], default=1) > 1,
        "holds no structure, just one voxel: draw them and save it again": stored.is_segmentation and math.prod(size) == 1,
        "holds complex numbers: save their magnitude": "complex" in pixel_type,
        "holds color or vectors: save one gray-scale channel": components > 1 and not stored.is_segmentation,
        "has voxels of {spacing} mm, which cannot be right: correct its spacing or its unit": not all(
            SPACING_RANGE_MM[0] <= s <= SPACING_RANGE_MM[1] for s in spacing
        ),
        "lies {off:g} mm from the center, which cannot be right: correct its origin": not off <= FURTHEST_ORIGIN_MM,
        "has sheared or scaled axes: {resample}": not np.allclose(axes.T @ axes, np.eye(3), rtol=0, atol=SHEAR_TOLERANCE),
        "has a sform that its qform or pixdim contradicts: {resave}": stored.sform is not None
        and _apart(stored.sform, as_read, size[:3]) > PLACEMENT_TOLERANCE_MM,
        "has a placement that readers understand differently: {resave}": not any(
            _apart(placement, as_read, size[:3]) <= PLACEMENT_TOLERANCE_MM for placement in stored.placements
        ),
        "has a header that cannot be understood (size or type): {again}": (size, components)
        != (stored.size[: len(size)], stored.components)
        or not stored.is_float_to_readers
        and _PIXEL_TYPES.get(scalar_type) != stored.dtype.str[1:],
    }
    for fault, is_there in faults.items():
        if is_there:
            sizes = {"axes": len(size), "size": " x ".join(map(str, size)), "spacing": " x ".join(f"{s:g}" for s in spacing)}
            said = Sentence(fault, **sizes, off=off, again=AGAIN, resave=RESAVE, resample=RESAMPLE)
            raise BoneQualityError("{path} {fault}.", path=stored.path, fault=said)
    return ImageHeader(size[:3], spacing, pixel_type, stored.is_segmentation)


def _is_straight(placement: np.ndarray) -> bool:
    """Whether the axes of an index-to-RAS matrix stand at right angles."""
    axes = placement[:, :3] / np.linalg.norm(placement[:, :3], axis=0)
    return np.allclose(axes.T @ axes, np.eye(3), rtol=0, atol=SHEAR_TOLERANCE)


def _apart(placement: np.ndarray, as_read: np.ndarray, size) -> float:
    """How far two index-to-RAS matrices put a corner of the image apart, mm."""
    corners = np.array([[*corner, 1] for corner in np.ndindex(2, 2, 2)]) * [*size, 1]
    return np.linalg.norm(corners @ (as_read - placement).T, axis=1).max()


def _within_extents(stored: StoredImage, voxels: np.ndarray) -> bool:
    """Whether the segments' extents lie in the image and hold every voxel of their layer that is not 0; only those inside are read."""
    size = stored.size[:3]
    voxels = voxels.reshape(*size[::-1], -1)
    for layer in {segment.layer for segment in stored.segments}:
        extents = [segment.extent for segment in stored.segments if segment.layer == layer]
        if None in extents:
            continue
        boxes = np.reshape(extents, (-1, 3, 2))
        filled = boxes[(boxes[..., 0] <= boxes[..., 1]).all(axis=1)]
        low, high = filled[..., 0].min(axis=0, initial=max(size)), filled[..., 1].max(axis=0, initial=-1)
        if len(filled) and (low.min() < 0 or (high >= size).any()):
            return False
        inside = voxels[(*(slice(a, b + 1) for a, b in zip(low[::-1], high[::-1])), layer)]
        if np.count_nonzero(inside) < np.count_nonzero(voxels[..., layer]):
            return False
    return True
