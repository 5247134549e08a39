"""What the file of an image itself says and holds, told from its bytes alone: what readers make of it is measured against that."""

from __future__ import annotations

import math
import os
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BoneQualityError, Sentence
from .gzip_stream import CHUNK, GZIP_MAGIC, CutShort, TrailingBytes, unpacked

RAW = 0
AGAIN = Sentence("copy or export it again")
RESAVE = Sentence("load it in 3D Slicer, check where it lies, and save it as NRRD")
#: A header's line or a whole header beyond this is none: binary data were taken for text.
LONGEST_LINE, LONGEST_HEADER = 1 << 24, 1 << 26
#: The magic number, the method (deflate), and flags of which only five are known.
_MEMBER = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_INTEGER = re.compile(r"[+-]?\d{1,18}")


class HeaderFault(ValueError):
    """A field of a header that is missing, repeated or no number where one belongs; the text is the field's name."""


@dataclass(frozen=True)
class Segment:
    """A segment of a .seg.nrrd: its ``layer`` and ``label_value`` there, and its extent (first and last i, j, k) where given."""

    segment_id: str
    name: str
    layer: int
    label_value: int
    extent: tuple[int, ...] | None


@dataclass(frozen=True)
class StoredImage:
    """A header. ``size``: voxels along every axis, fastest first, without the axis of ``components``.

    The voxels lie in ``data_path`` from byte ``start`` on (None: they are its last bytes), as they are or compressed; unpacked,
    ``preceding`` bytes come first. ``placements``: the index-to-RAS matrices (3x4) that the header gives, any of which a reader
    may use. ``rescale``: slope and intercept to apply; where ITK applies any, it gives floating point.
    """

    path: Path
    data_path: Path
    start: int | None
    compression: int
    size: tuple[int, ...]
    dtype: np.dtype
    placements: tuple[np.ndarray, ...]
    components: int = 1
    compressed_bytes: int | None = None
    preceding: int = 0
    sform: np.ndarray | None = None
    rescale: tuple[float, float] = (1.0, 0.0)
    is_float_to_readers: bool = False
    is_segmentation: bool = False
    segments: tuple[Segment, ...] = ()

    @property
    def voxel_bytes(self) -> int:
        return math.prod(self.size) * self.components * self.dtype.itemsize

    @property
    def packed_bytes(self) -> int:
        """Bytes of the file from the start of the (compressed) data."""
        return self.data_path.stat().st_size - (self.start or 0)


def check_length(stored: StoredImage) -> None:
    """Raise BoneQualityError where the file holds fewer or more voxels than its header says, or its compressed data are damaged."""
    if stored.compression:
        for _ in _pieces(stored):
            pass
        return
    held = stored.packed_bytes
    if held < stored.voxel_bytes:
        sentence = "{path} is cut short ({held} of {expected} bytes of voxels): {remedy}."
        raise BoneQualityError(sentence, path=stored.path, held=held, expected=stored.voxel_bytes, remedy=AGAIN)
    if held > stored.voxel_bytes and stored.start is not None:
        raise _longer(stored)


def stored_voxels(stored: StoredImage) -> np.ndarray:
    """The voxels, shape ``(..., k, j, i)`` with the components last where there are several, as they are stored: not rescaled.

    Raises BoneQualityError as `check_length` does.
    """
    shape = (*stored.size[::-1], *([stored.components] if stored.components > 1 else []))
    if not stored.compression:
        check_length(stored)
        at = stored.start if stored.start is not None else stored.packed_bytes - stored.voxel_bytes
        return np.memmap(stored.data_path, stored.dtype, "r", at, shape)
    content, at = bytearray(stored.voxel_bytes), -stored.preceding
    for piece in _pieces(stored):
        if at < 0:
            piece, at = piece[-at:], min(at + len(piece), 0)
        content[at : at + len(piece)] = piece
        at += len(piece)
    return np.frombuffer(content, stored.dtype).reshape(shape)


def value_counts(array: np.ndarray) -> Counter:
    """How often every value of a label array occurs, but for 0; slice by slice, so that no second image is made."""
    counts: Counter = Counter()
    for part in array:
        if not part.any():
            continue
        if array.dtype.kind == "u" and array.dtype.itemsize <= 2:
            numbers = np.bincount(part.ravel())
            values = np.flatnonzero(numbers)
            numbers = numbers[values]
        else:
            values, numbers = np.unique(part, return_counts=True)
        counts.update(dict(zip(values.tolist(), numbers.tolist())))
    del counts[0]
    return counts


def is_as_stored(stored: StoredImage, array: np.ndarray) -> bool:
    """Whether an array is what the gzip checksum of the file stands for, so that nobody needs to unpack it again.

    False as well where that checksum covers more than one image as it lies in memory (other byte order, rescaled, gzip of
    several members, zlib) or there is none: then compare with `stored_voxels`.
    """
    if not stored.compression or _may_have_members(stored):
        return False
    with stored.data_path.open("rb") as file:
        file.seek(stored.start)
        before = zlib.decompressobj(stored.compression).decompress(file.read(CHUNK), stored.preceding or 1)[: stored.preceding]
    checksum = zlib.crc32(np.ascontiguousarray(array), zlib.crc32(before))
    return gzip_end(stored) == (checksum, (len(before) + array.nbytes) % 2**32)


def _may_have_members(stored: StoredImage) -> bool:
    """Whether compressed data hold what a further gzip member begins with; by chance once in a hundred megabytes."""
    last = b""
    with stored.data_path.open("rb") as file:
        file.seek((stored.start or 0) + 1)
        while block := file.read(1 << 20):
            if _MEMBER.search(last + block):
                return True
            last = block[-3:]
    return False


def gzip_end(stored: StoredImage) -> tuple[int, ...]:
    """CRC-32 and length (modulo 2**32) of the unpacked data as a gzip stream ends with them (RFC 1952); empty without one."""
    with stored.data_path.open("rb") as file:
        file.seek(stored.start or 0)
        if not stored.compression or file.read(2) != GZIP_MAGIC:
            return ()
        end = stored.start + stored.compressed_bytes if stored.compressed_bytes else file.seek(0, os.SEEK_END)
        file.seek(max(end - 8, 0))
        tail = file.read(8)
    return struct.unpack("<2I", tail) if len(tail) == 8 else ()


def _pieces(stored: StoredImage) -> Iterator[bytes]:
    """The unpacked data piece by piece, no more than the header says."""
    expected, total, held = stored.preceding + stored.voxel_bytes, 0, stored.packed_bytes
    length = held if stored.compressed_bytes is None else stored.compressed_bytes
    if held < length:
        sentence = "{path} is cut short ({held} of {length} bytes of compressed voxels): {remedy}."
        raise BoneQualityError(sentence, path=stored.path, held=held, length=length, remedy=AGAIN)
    if held > length:
        raise _longer(stored)
    with stored.data_path.open("rb") as file:
        file.seek(stored.start)
        try:
            for piece in unpacked(file, length, stored.compression):
                total += len(piece)
                if total > expected:
                    raise _longer(stored)
                yield piece
        except CutShort:
            raise BoneQualityError(
                "{path} is cut short (its compressed data end too early): {remedy}.", path=stored.path, remedy=AGAIN
            ) from None
        except TrailingBytes:
            raise BoneQualityError(
                "{path} has bytes after its compressed data: {remedy}.", path=stored.path, remedy=AGAIN
            ) from None
        except zlib.error:
            raise BoneQualityError(
                "{path} is damaged (its compressed data fail their check): {remedy}.", path=stored.path, remedy=AGAIN
            ) from None
    if total < expected:
        held = max(total - stored.preceding, 0)
        sentence = "{path} is cut short ({held} of {expected} bytes of voxels): {remedy}."
        raise BoneQualityError(sentence, path=stored.path, held=held, expected=stored.voxel_bytes, remedy=AGAIN)


def _longer(stored: StoredImage) -> BoneQualityError:
    sentence = "{path} holds more than the {expected} bytes of voxels that its header says: {remedy}."
    return BoneQualityError(sentence, path=stored.path, expected=stored.voxel_bytes, remedy=AGAIN)


def detached(path: Path, name: str) -> Path:
    """The file beside a header that holds its voxels."""
    if "%" in name or name.upper().startswith("LIST"):
        raise BoneQualityError("{path} spreads its voxels over several files: save it as one file.", path=path)
    if Path(name).name != name:
        raise BoneQualityError("{path} keeps its voxels in another folder: put them beside the header.", path=path)
    if not (path.parent / name).is_file():
        raise BoneQualityError(
            "{path} keeps its voxels in {name}, which is not there: put it beside the header.", path=path, name=name
        )
    return path.parent / name


def number(text: str, field: str) -> float:
    """A finite number; raises HeaderFault for any other text."""
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise HeaderFault(field)
    return float(text)


def numbers(text: str, field: str, count: int | None = None) -> list[float]:
    """Finite numbers with spaces between; raises HeaderFault for other ones."""
    found = [number(part, field) for part in text.split()]
    if count is not None and len(found) != count:
        raise HeaderFault(field)
    return found


def integer(text: str, field: str, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high``; raises HeaderFault for any other text."""
    if not _INTEGER.fullmatch(text) or not low <= int(text) <= high:
        raise HeaderFault(field)
    return int(text)


def integers(text: str, field: str, low: int, high: int) -> list[int]:
    """Whole numbers with spaces between; raises HeaderFault for other ones."""
    return [integer(part, field, low, high) for part in text.split()]
