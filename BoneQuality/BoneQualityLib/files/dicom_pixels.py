"""The pixel data of a DICOM image: whether they are what the header says, and their values where they are not compressed.

GDCM (in ITK 5.4) takes a wrong length or depth without a word, reads beyond the memory's end, or ends the process.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np

from ..errors import Sentence
from .dicom_file import DicomFile
from .gzip_stream import CHUNK
from .stored_image import AGAIN

BITS_ALLOCATED = (8, 16, 32)
DEFLATED = b"1.2.840.10008.1.2.1.99"
#: Window bits of zlib for data without header.
_BARE = -15
#: A deflated header with its pixels beyond this was never one image.
MOST_INFLATED_BYTES = 1 << 28
CUT_SHORT, DAMAGED = (Sentence(what, remedy=AGAIN) for what in ("is cut short: {remedy}", "is damaged: {remedy}"))
MORE_BYTES = Sentence("has bytes after its pixels that belong to nothing: {remedy}", remedy=AGAIN)
_PIXEL_DATA, _ITEM, _ITEMS_END = (0x7FE0, 0x0010), (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_UNDEFINED = 0xFFFFFFFF
#: Types whose length has four bytes (explicit VR).
_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
#: Markers that begin a JPEG or JPEG-LS frame: all of SOF but for DHT, JPG and DAC.
_FRAME_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}


def pixel_fault(file, header) -> str:
    """What is wrong with the pixel data at which ``file`` stands, with a remedy; "" where they are as the header says."""
    if fault := _depth_fault(header):
        return fault
    syntax = header.file_meta.TransferSyntaxUID
    if syntax.is_deflated:
        return ""  # checked before the header was read
    element = file.read(8)
    order = "<" if syntax.is_little_endian else ">"
    if len(element) < 8 or struct.unpack(f"{order}2H", element[:4]) != _PIXEL_DATA:
        return CUT_SHORT
    if not syntax.is_implicit_VR:
        if element[4:6] not in (b"OB", b"OW"):
            return DAMAGED
        element = element[:4] + file.read(4)
    length = struct.unpack(f"{order}I", element[4:])[0] if len(element) == 8 else 0
    if syntax.is_compressed:
        return _fault_of_items(file, header, length)
    return _fault_of_length(file, length, header)


def inflates_too_far(path: Path) -> bool:
    """Whether a deflated DICOM file grows beyond all bounds when a reader unpacks it."""
    import pydicom

    with path.open("rb") as file:
        if DEFLATED not in file.read(2048):
            return False
        file.seek(0)
        if pydicom.filereader.read_preamble(file, True) is None:
            file.seek(0)
        pydicom.filereader._read_file_meta_info(file)
        total, stream = 0, zlib.decompressobj(_BARE)
        while not stream.eof and (block := stream.unconsumed_tail or file.read(CHUNK)):
            total += len(stream.decompress(block, CHUNK))
            if total > MOST_INFLATED_BYTES:
                return True
    return False


def stored_pixels(path: Path) -> np.ndarray | None:
    """The values of an image, shape (rows, columns), rescaled as its header says; None where they are compressed."""
    import pydicom

    with DicomFile(path) as file:
        header = pydicom.dcmread(file, force=True)
    syntax = header.file_meta.get("TransferSyntaxUID") or syntax_of(header)
    if syntax.is_compressed and not syntax.is_deflated:
        return None
    allocated, stored, highest = int(header.BitsAllocated), int(header.BitsStored), int(header.HighBit)
    order = "<" if syntax.is_little_endian else ">"
    count = int(header.Rows) * int(header.Columns)
    words = np.frombuffer(header.PixelData, f"{order}u{allocated // 8}", count).astype(np.int64)
    values = words >> (highest + 1 - stored) & ((1 << stored) - 1)
    if header.PixelRepresentation:
        values -= (values >> (stored - 1)) << stored
    slope, intercept = (
        float(header.get(name, default) or default) for name, default in (("RescaleSlope", 1), ("RescaleIntercept", 0))
    )
    return (values * slope + intercept).reshape(int(header.Rows), int(header.Columns))


def syntax_of(header):
    """The transfer syntax of a file that does not say it, as old ones without a preamble, by the way its elements are written."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if hasattr(header, "original_encoding"):
        is_implicit, is_little = header.original_encoding
    else:  # before pydicom 3
        is_implicit, is_little = header.read_implicit_vr, header.read_little_endian
    return ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian


def _depth_fault(header) -> str:
    allocated, stored, highest = (header.get(name) for name in ("BitsAllocated", "BitsStored", "HighBit"))
    if allocated not in BITS_ALLOCATED:
        return Sentence("stores pixels of {allocated} bits, not 8, 16 or 32: {remedy}", allocated=allocated, remedy=AGAIN)
    whole = all(isinstance(number, int) for number in (stored, highest))
    if (
        not whole
        or not 1 <= stored <= allocated
        or not stored - 1 <= highest < allocated
        or header.get("PixelRepresentation") not in (0, 1)
    ):
        return Sentence(
            "has a pixel format that contradicts itself (BitsStored, HighBit, PixelRepresentation): {remedy}", remedy=AGAIN
        )
    if "SamplesPerPixel" not in header:
        return DAMAGED
    if not all(isinstance(number, int) and 0 < number < 1 << 15 for number in (header.Rows, header.Columns)):
        return Sentence("gives no valid size: {remedy}", remedy=AGAIN)
    return ""


def _fault_of_length(file, length: int, header) -> str:
    held = os.fstat(file.fileno()).st_size - file.tell()
    frames = int(header.get("NumberOfFrames") or 1)
    needed = header.Rows * header.Columns * header.BitsAllocated // 8 * header.get("SamplesPerPixel", 1) * frames
    if held < needed:
        return CUT_SHORT
    if length not in (needed, needed + needed % 2):
        return Sentence(
            "holds {length} bytes of pixels, where its header says {needed}: {remedy}", length=length, needed=needed, remedy=AGAIN
        )
    file.seek(length, os.SEEK_CUR)
    return _fault_of_rest(file, header.file_meta.TransferSyntaxUID)


def _fault_of_items(file, header, length: int) -> str:
    """Compressed pixels lie in items, the first of which is a table, and end with a mark of their own."""
    end = os.fstat(file.fileno()).st_size
    begins = []
    if length != _UNDEFINED:
        return DAMAGED
    while True:
        item = file.read(8)
        if len(item) < 8:
            return CUT_SHORT
        group, element, length = struct.unpack("<2HI", item)
        if (group, element) == _ITEMS_END:
            break
        if (group, element) != _ITEM:
            return DAMAGED
        at = file.tell()
        if at + length > end:
            return CUT_SHORT
        begins.append(file.read(min(length, CHUNK)))
        file.seek(at + length)
    if fault := _fault_of_rest(file, header.file_meta.TransferSyntaxUID):
        return fault
    if len(begins) < 2:
        return CUT_SHORT
    size = _compressed_size(begins[1])
    if size is not None and size != (header.Rows, header.Columns):
        return Sentence(
            "holds {width} x {height} compressed pixels, where its header says {rows} x {columns}: {remedy}",
            width=size[0],
            height=size[1],
            rows=header.Rows,
            columns=header.Columns,
            remedy=AGAIN,
        )
    return ""


def _fault_of_rest(file, syntax) -> str:
    """What follows the pixels is a data set that goes on in the order of its tags to the file's end, or pixels were moved."""
    end, before = os.fstat(file.fileno()).st_size, _PIXEL_DATA
    order = "<" if syntax.is_little_endian else ">"
    while head := file.read(8):
        if len(head) < 8:
            return MORE_BYTES
        tag = struct.unpack(f"{order}2H", head[:4])
        if syntax.is_implicit_VR:
            (length,) = struct.unpack(f"{order}I", head[4:])
        elif head[4:6] in _LONG:
            (length,) = struct.unpack(f"{order}I", file.read(4).ljust(4, b"\0"))
        else:
            (length,) = struct.unpack(f"{order}H", head[6:])
        if length == _UNDEFINED and tag > before:
            return ""  # a sequence; nobody reads beyond the pixels
        if (
            tag <= before
            or file.tell() + length > end
            or not (syntax.is_implicit_VR or head[4:6].isalpha() and head[4:6].isupper())
        ):
            return MORE_BYTES
        file.seek(length, os.SEEK_CUR)
        before = tag
    return ""


def _compressed_size(data: bytes) -> tuple[int, int] | None:
    """Rows and columns that JPEG, JPEG-LS or JPEG 2000 data say themselves; None for others."""
    if data.startswith(b"\xff\x4f\xff\x51") and len(data) >= 40:
        width, height, left, top = struct.unpack_from(">4I", data, 8)
        return height - top, width - left
    at = 2
    while data.startswith(b"\xff\xd8") and at + 9 <= len(data):
        marker, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        if data[at] != 0xFF or length < 2:
            return 0, 0
        if marker in _FRAME_MARKERS:
            return struct.unpack_from(">2H", data, at + 5)
        at += 2 + length
    return None
