"""Headers of NRRD files, also of .seg.nrrd (http://teem.sourceforge.net/nrrd/format.html)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..errors import BoneQualityError
from .gzip_stream import GZIP
from .stored_image import (
    AGAIN,
    LONGEST_HEADER,
    LONGEST_LINE,
    RAW,
    RESAVE,
    HeaderFault,
    Segment,
    StoredImage,
    detached,
    integer,
    integers,
    number,
)

#: Directions of the axes as signs that lead to RAS.
_SPACES = {
    "right-anterior-superior": (1, 1, 1), "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1), "las": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1), "lps": (-1, -1, 1),
}  # fmt: skip
_TYPES = {
    "i1": "signed char|int8|int8_t",
    "u1": "uchar|unsigned char|uint8|uint8_t",
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "i4": "int|signed int|int32|int32_t",
    "u4": "uint|unsigned int|uint32|uint32_t",
    "i8": "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t",
    "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
    "f4": "float",
    "f8": "double",
}
_TYPE_OF = {name: code for code, names in _TYPES.items() for name in names.split("|")}
_ENDS = {"little": "<", "big": ">"}
#: Kinds of an axis whose entries are layers, colors or vectors and lie at one place.
_VECTOR = re.compile(r"\(([^()]*)\)")


def nrrd_header(path: Path, is_segmentation: bool) -> StoredImage:
    """What the header of a NRRD file says; raises BoneQualityError, or HeaderFault for a malformed field."""
    fields, start = _fields(path)
    dimension = integer(fields.get("dimension", ""), "dimension", 1, 16)
    is_segmentation = is_segmentation or "Segment0_ID" in fields
    placed = {"spacedirections", "spaceorigin"} <= fields.keys() and fields.get("space", "").lower() in _SPACES
    if not placed and dimension != 3:
        raise BoneQualityError(
            "{path} has {dimension} axes, not three: save the one volume to measure alone.", path=path, dimension=dimension
        )
    if not placed:
        raise BoneQualityError(
            "{path} does not say where its voxels lie (space, directions, origin): {remedy}.", path=path, remedy=RESAVE
        )
    if "spacings" in fields or "axismins" in fields:
        raise BoneQualityError("{path} gives its spacing twice: {remedy}.", path=path, remedy=RESAVE)
    compression = {"raw": RAW, "gzip": GZIP, "gz": GZIP}.get(fields.get("encoding", "").lower())
    skip = fields.get("byteskip", "0")
    if compression is None or fields.get("lineskip", "0") != "0" or skip not in ("0", "-1") or (compression and skip != "0"):
        raise BoneQualityError("{path} is encoded in a way that cannot be checked: save it again, as raw or gzip NRRD.", path=path)
    data_path = detached(path, fields["datafile"]) if "datafile" in fields else path
    size, components, placement = _axes(fields, dimension)
    dtype = _dtype(fields)
    start = None if skip == "-1" else start if data_path == path else 0
    segments = _segments(fields, components, dtype) if is_segmentation else ()
    return StoredImage(
        path, data_path, start, compression, size, dtype, (placement,), components, is_segmentation=is_segmentation, segments=segments
    )  # fmt: skip


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """Fields by lower-case name without spaces, key/value pairs by their key, and where the header ends."""
    fields = {}
    with path.open("rb") as file:
        if not re.fullmatch(rb"NRRD000[1-5]\r?\n", file.readline(16)):
            raise BoneQualityError("{path} is no NRRD file despite its name: {remedy}.", path=path, remedy=AGAIN)
        while line := file.readline(LONGEST_LINE).decode("utf-8", "replace").rstrip("\r\n"):
            if file.tell() > LONGEST_HEADER or len(line) >= LONGEST_LINE - 1:
                raise HeaderFault("length")
            if line.startswith("#"):
                continue
            name, mark, value = re.match(r"(.*?)(:=|:|$)(.*)", line, re.DOTALL).groups()
            if mark != ":=":
                name = name.lower().replace(" ", "")
            if not mark or name in fields:
                raise HeaderFault(name[:40])
            fields[name] = value.strip()
        return fields, file.tell()


def _dtype(fields: dict[str, str]) -> np.dtype:
    code = _TYPE_OF.get(fields.get("type", "").lower())
    if code is None:
        raise HeaderFault("type")
    if code[1] == "1":
        return np.dtype(code)
    end = _ENDS.get(fields.get("endian", "").lower())
    if end is None:
        raise HeaderFault("endian")
    return np.dtype(end + code)


def _axes(fields: dict[str, str], dimension: int) -> tuple[tuple[int, ...], int, np.ndarray]:
    """The size along the axes in space (and further ones), the number of components, and the placement in RAS."""
    sizes = integers(fields.get("sizes", ""), "sizes", 1, 1 << 31)
    directions = [None if text == "none" else _vector(text) for text in _split_vectors(fields["spacedirections"])]
    if len(sizes) != dimension or len(directions) != dimension or sum(d is not None for d in directions) != 3:
        raise HeaderFault("sizes" if len(sizes) != dimension else "space directions")
    components = sizes.pop(0) if directions[0] is None else 1
    if directions[0] is None:
        directions.pop(0)
    if any(d is None for d in directions[:3]):
        raise HeaderFault("space directions")
    origin = _vector(fields["spaceorigin"])
    signs = np.array(_SPACES[fields["space"].lower()], float)
    return tuple(sizes), components, np.column_stack([*directions[:3], origin]) * signs[:, None]


def _split_vectors(text: str) -> list[str]:
    """The parts of ``(1,0,0) none (0,1,0)``."""
    parts = re.findall(r"\([^()]*\)|none", text)
    if re.sub(r"\([^()]*\)|none|\s", "", text):
        raise HeaderFault("space directions")
    return parts


def _vector(text: str) -> np.ndarray:
    match = _VECTOR.fullmatch(text)
    parts = match[1].split(",") if match else []
    if len(parts) != 3:
        raise HeaderFault("space directions or origin")
    return np.array([number(part.strip(), "space directions or origin") for part in parts])


def _segments(fields: dict[str, str], components: int, dtype: np.dtype) -> tuple[Segment, ...]:
    """The segments that the header lists, each with a layer and a value that the voxels can have."""
    if dtype.kind not in "iu":
        raise HeaderFault("type")
    found = []
    for name, segment_id in fields.items():
        if not (match := re.fullmatch(r"(Segment\d+_)ID", name)):
            continue
        prefix, highest = match[1], min(np.iinfo(dtype).max, 1 << 31)
        layer = integer(fields.get(f"{prefix}Layer", "0"), f"{prefix}Layer", 0, components - 1)
        value = integer(fields.get(f"{prefix}LabelValue", "1"), f"{prefix}LabelValue", 1, highest)
        extent = integers(fields.get(f"{prefix}Extent", ""), f"{prefix}Extent", -(1 << 31), 1 << 31)
        if len(extent) not in (0, 6):
            raise HeaderFault(f"{prefix}Extent")
        found.append(Segment(segment_id, fields.get(f"{prefix}Name", ""), layer, value, tuple(extent) or None))
    if len({segment.segment_id for segment in found}) < len(found):
        raise HeaderFault("segment IDs")
    if len({(segment.layer, segment.label_value) for segment in found}) < len(found):
        raise HeaderFault("LabelValue of segments")
    return tuple(found)
