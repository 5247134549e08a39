"""Headers of MetaImage files (https://docs.itk.org/en/latest/learn/metaio.html)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..errors import BoneQualityError
from .gzip_stream import GZIP_OR_ZLIB
from .stored_image import AGAIN, RAW, RESAVE, HeaderFault, StoredImage, detached, integer, integers, number, numbers

#: Each of these by any of its names.
_SPACING, _MATRIX, _OFFSET = (
    ("ElementSpacing", "ElementSize"),
    ("TransformMatrix", "Rotation", "Orientation"),
    ("Offset", "Position", "Origin"),
)
_BYTE_ORDER = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
#: MET_LONG is left out: it has four or eight bytes, as the program that wrote it understood it.
_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
_LINE = 1 << 16
#: As many fields as no header has: what goes on beyond is none.
_MOST_FIELDS = 10_000


def metaimage_header(path: Path) -> StoredImage:
    """What the header of a MetaImage file says; raises BoneQualityError, or HeaderFault for a malformed field."""
    fields, start = _fields(path)
    if fields.get("ObjectType", "Image") != "Image":
        raise HeaderFault("ObjectType")
    dimension = integer(fields.get("NDims", ""), "NDims", 1, 10)
    if not all(set(names) & fields.keys() for names in (_SPACING, _MATRIX, _OFFSET)):
        sentence = "{path} does not say where its voxels lie (ElementSpacing, TransformMatrix, Offset): {remedy}."
        raise BoneQualityError(sentence, path=path, remedy=RESAVE)
    size = integers(fields.get("DimSize", ""), "DimSize", 1, 1 << 31)
    if len(size) != dimension:
        raise HeaderFault("DimSize")
    header_size = fields.get("HeaderSize", "0")
    is_compressed = _is_true(fields, "CompressedData", "False")
    length = integer(fields.get("CompressedDataSize", "0"), "CompressedDataSize", 0, 1 << 62) if is_compressed else None
    if (
        not _is_true(fields, "BinaryData", "True")
        or header_size not in ("0", "-1")
        or length == 0
        or (is_compressed and header_size != "0")
    ):
        raise BoneQualityError("{path} is encoded in a way that cannot be checked: save it again, as NRRD.", path=path)
    slope = number(fields.get("ElementToIntensityFunctionSlope", "1"), "ElementToIntensityFunctionSlope")
    offset = number(fields.get("ElementToIntensityFunctionOffset", "0"), "ElementToIntensityFunctionOffset")
    if (slope, offset) != (1, 0):
        raise BoneQualityError(
            "{path} stores numbers still to be rescaled, which Slicer would not do: save the final ones.", path=path
        )
    data_path = path if fields["ElementDataFile"].upper() == "LOCAL" else detached(path, fields["ElementDataFile"])
    start = None if header_size == "-1" else start if data_path == path else 0
    components = integer(fields.get("ElementNumberOfChannels", "1"), "ElementNumberOfChannels", 1, 1 << 16)
    compression = GZIP_OR_ZLIB if is_compressed else RAW
    return StoredImage(
        path, data_path, start, compression, tuple(size), _dtype(path, fields), _placements(fields, dimension), components, length
    )  # fmt: skip


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """Fields by name, and where the header ends."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        while "ElementDataFile" not in fields:
            name, mark, value = file.readline(_LINE).decode("utf-8", "replace").partition("=")
            if not mark or "\0" in name or len(fields) > _MOST_FIELDS:
                raise BoneQualityError("{path} is no MetaImage file despite its name: {remedy}.", path=path, remedy=AGAIN)
            if name.strip() in fields:
                raise HeaderFault(name.strip()[:40])
            fields[name.strip()] = value.strip()
        return fields, file.tell()


def _is_true(fields: dict[str, str], name: str, default: str) -> bool:
    text = fields.get(name, default)
    if not re.fullmatch(r"(?i)true|false|[tf01]", text):
        raise HeaderFault(name)
    return text[0] in "Tt1"


def _dtype(path: Path, fields: dict[str, str]) -> np.dtype:
    kind = fields.get("ElementType", "").removesuffix("_ARRAY")
    if kind not in _TYPES:
        if kind in ("MET_LONG", "MET_ULONG"):
            sentence = "{path} has voxels of type {kind}, whose size differs between programs: save it again, as NRRD."
            raise BoneQualityError(sentence, path=path, kind=kind)
        raise HeaderFault("ElementType")
    is_big = any(_is_true(fields, name, "False") for name in _BYTE_ORDER)
    return np.dtype((">" if is_big else "<") + _TYPES[kind])


def _placements(fields: dict[str, str], dimension: int) -> tuple[np.ndarray, ...]:
    """The index-to-RAS matrix, from LPS."""
    spacing = numbers(_one(fields, _SPACING), "ElementSpacing", dimension)
    matrix = np.reshape(numbers(_one(fields, _MATRIX), "TransformMatrix", dimension**2), (dimension, dimension))
    offset = numbers(_one(fields, _OFFSET), "Offset", dimension)
    if dimension < 3:
        return ()
    axes = matrix[:3, :3].T * spacing[:3]
    return (np.column_stack([axes, offset[:3]]) * [[-1], [-1], [1]],)


def _one(fields: dict[str, str], names: tuple[str, ...]) -> str:
    """The field that has one of several names; ElementSpacing goes before ElementSize, as in MetaIO."""
    given = [fields[name] for name in names if name in fields]
    if len(given) > 1 and names is not _SPACING:
        raise HeaderFault(names[0])
    return given[0]
