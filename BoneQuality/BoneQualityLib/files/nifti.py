"""Headers of NIfTI-1 files (https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h)."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import numpy as np

from ..errors import BoneQualityError
from .gzip_stream import CHUNK, GZIP, GZIP_MAGIC
from .stored_image import AGAIN, RAW, RESAVE, HeaderFault, StoredImage

HEADER_BYTES, FIRST_VOXEL = 348, 352
_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_COLORS, _COMPLEX = {128, 2304}, {32, 1792, 2048}
#: Codes of xyzt_units: unknown, m, mm, micrometers; and what makes mm of them.
_MILLIMETERS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}


def nifti_header(path: Path) -> StoredImage:
    """What the header of a NIfTI-1 file says; raises BoneQualityError, or HeaderFault for a malformed field."""
    head, is_compressed = _head(path)
    if head[344:348] != b"n+1\0":
        raise BoneQualityError("{path} is no NIfTI-1 file, or its header is cut short: save it as NIfTI-1 or NRRD.", path=path)
    order = next((order for order in "<>" if struct.unpack_from(f"{order}i", head)[0] == HEADER_BYTES), None)
    if order is None:
        raise HeaderFault("sizeof_hdr")
    axes, *sizes = struct.unpack_from(f"{order}8h", head, 40)
    if not 1 <= axes <= 7 or min(sizes[:axes]) < 1:
        raise HeaderFault("dim")
    dtype = _dtype(path, head, order)
    first = _number(head, order, 108, "vox_offset")
    if first < FIRST_VOXEL or first != int(first):
        raise HeaderFault("vox_offset")
    _check_extensions(head, order, int(first))
    placements, sform = _placements(path, head, order)
    slope, intercept = _number(head, order, 112, "scl_slope"), _number(head, order, 116, "scl_inter")
    size = tuple(sizes[:axes])
    start, preceding = (0, int(first)) if is_compressed else (int(first), 0)
    return StoredImage(
        path, path, start, GZIP if is_compressed else RAW, size, dtype, placements, preceding=preceding, sform=sform,
        rescale=(slope, intercept) if slope else (1.0, 0.0),
        is_float_to_readers=(slope, intercept) not in ((1.0, 0.0), (0.0, 0.0)),
    )  # fmt: skip


def _head(path: Path) -> tuple[bytes, bool]:
    """The first unpacked bytes, and whether the file is compressed."""
    with path.open("rb") as file:
        head = file.read(CHUNK)
    is_compressed = head.startswith(GZIP_MAGIC)
    if is_compressed and path.suffix.lower() == ".nii":
        raise BoneQualityError("{path} is compressed: rename it to {name}.gz.", path=path, name=path.name)
    if is_compressed:
        stream = zlib.decompressobj(GZIP)
        head = stream.decompress(head, CHUNK)
        while stream.eof and stream.unused_data.startswith(GZIP_MAGIC) and len(head) < HEADER_BYTES:
            rest, stream = stream.unused_data, zlib.decompressobj(GZIP)
            head += stream.decompress(rest, CHUNK)
    return head, is_compressed


def _number(head: bytes, order: str, at: int, field: str) -> float:
    (value,) = struct.unpack_from(f"{order}f", head, at)
    if not math.isfinite(value):
        raise HeaderFault(field)
    return value


def _dtype(path: Path, head: bytes, order: str) -> np.dtype:
    code, bits = struct.unpack_from(f"{order}2h", head, 70)
    if code in _COLORS:
        raise BoneQualityError("{path} holds color or vectors: save one gray-scale channel.", path=path)
    if code in _COMPLEX:
        raise BoneQualityError("{path} holds complex numbers: save their magnitude.", path=path)
    if code not in _TYPES:
        raise HeaderFault("datatype")
    dtype = np.dtype(order + _TYPES[code])
    if bits != 8 * dtype.itemsize:
        raise HeaderFault("bitpix")
    return dtype


def _check_extensions(head: bytes, order: str, first: int) -> None:
    """Extensions between header and voxels follow one another without a gap, each at least 16 bytes and a multiple of 16 long."""
    at = FIRST_VOXEL
    if len(head) < FIRST_VOXEL or not head[HEADER_BYTES]:
        return
    while at + 8 <= min(first, len(head)):
        (size,) = struct.unpack_from(f"{order}i", head, at)
        if size < 16 or size % 16 or at + size > first:
            raise HeaderFault("extensions")
        at += size


def _placements(path: Path, head: bytes, order: str) -> tuple[tuple[np.ndarray, ...], np.ndarray | None]:
    """The index-to-RAS matrices by qform and sform in mm, and the latter alone."""
    qform_code, sform_code = struct.unpack_from(f"{order}2h", head, 252)
    if qform_code <= 0 and sform_code <= 0:
        raise BoneQualityError(
            "{path} does not say how it lies in the patient (no qform, no sform): {remedy}.", path=path, remedy=RESAVE
        )
    unit = _MILLIMETERS.get(head[123] & 7)
    if unit is None:
        raise HeaderFault("xyzt_units")
    handedness, *spacing = struct.unpack_from(f"{order}4f", head, 76)
    sform = np.reshape(struct.unpack_from(f"{order}12f", head, 280), (3, 4)) if sform_code > 0 else None
    if not all(math.isfinite(s) and s > 0 for s in spacing) or sform is not None and not np.isfinite(sform).all():
        raise BoneQualityError("{path} has no valid voxel size or placement: {remedy}.", path=path, remedy=AGAIN)
    placements = [sform * unit] if sform is not None else []
    if qform_code > 0:
        placements.append(_qform(head, order, -1.0 if handedness < 0 else 1.0, np.array(spacing)) * unit)
    return tuple(placements), sform


def _qform(head: bytes, order: str, handedness: float, spacing: np.ndarray) -> np.ndarray:
    """The 3x4 matrix of a quaternion (b, c, d) and an offset, as nifti1.h defines it."""
    b, c, d, *offset = struct.unpack_from(f"{order}6f", head, 256)
    square = 1 - (b * b + c * c + d * d)
    if not all(map(math.isfinite, (b, c, d, *offset))) or square < -0.01:
        raise HeaderFault("quatern")
    a = math.sqrt(max(square, 0.0))
    rotation = np.array([
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ])  # fmt: skip
    return np.column_stack([rotation * (spacing * [1, 1, handedness]), offset])
