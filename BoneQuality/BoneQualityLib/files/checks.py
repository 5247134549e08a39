"""Checks of volume and segmentation files before any reader gets them: NRRD, NIfTI, MetaImage.

The readers of MRML and ITK 5.4 (Slicer 5.12) take these without a word, so they are refused here: a truncated NIfTI (the
rest reads as zeros); a flipped bit in compressed data of any format; a header without voxel size or orientation (one is
made up); sheared axes; a NIfTI whose two placements disagree; a .seg.nrrd whose header has other extents of the segments
than its voxels, as other tools leave it after resampling (the masks are cut). A .seg.nrrd of one voxel, as of empty
segments, a damaged one and one with vast extents even end the process.
Not checkable: uncompressed data of the right length with wrong bytes, which none of these formats protects.
"""

from __future__ import annotations

import math
import os
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BoneQualityError
from .decimal_point import decimal_point

EXTENSIONS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
DICOM_EXTENSIONS = (".dcm", ".dicom", ".ima")
SEGMENTATION_EXTENSIONS = (".seg.nrrd", ".seg.nhdr")
NRRD_SPACES = {"right-anterior-superior", "left-anterior-superior", "left-posterior-superior", "ras", "las", "lps"}
META_PLACEMENT = (
    {"ElementSpacing", "ElementSize"},
    {"TransformMatrix", "Rotation", "Orientation"},
    {"Offset", "Position", "Origin"},
)
SPACING_RANGE_MM = (0.01, 50.0)
PLACEMENT_TOLERANCE_MM = 1.0
SHEAR_TOLERANCE = math.sin(math.radians(0.5))
CHUNK = 1 << 16
GZIP_MAGIC = b"\x1f\x8b"
RAW, GZIP, GZIP_OR_ZLIB = 0, 31, 47  # the last two as zlib's window bits
AGAIN = "copy or export it again"
RESAMPLE = "resample it to a right-angled grid"
RESAVE = "load it in 3D Slicer, check where it lies, and save it as NRRD"


@dataclass(frozen=True)
class ImageHeader:
    """What a file's header says: ``size`` in voxels and ``spacing`` in mm along i, j, k, ITK's name of the pixel type.

    ``components`` over 1 are the layers of overlapping segments; ``dimension`` is 4 where a fourth axis of 1 follows.
    """

    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    pixel_type: str
    components: int
    dimension: int
    is_segmentation: bool


@dataclass(frozen=True)
class _Storage:
    """Where the voxels are: from byte ``start``, in inflated data after ``preceding`` bytes.

    ``sform`` is from index to RAS. ``extents``: by layer of a segmentation, the first and last i, j and k of its segments.
    """

    path: Path
    start: int
    compression: int
    compressed_bytes: int | None = None
    preceding: int = 0
    component_bytes: int | None = None
    sform: np.ndarray | None = None
    is_segmentation: bool = False
    extents: dict[int, np.ndarray] | None = None


@decimal_point()
def check_image_file(path, unpack: bool = True) -> ImageHeader:
    """The header of a file that is whole and says where its voxels lie; `BoneQualityError` for any other.

    ``unpack=False``, for who reads the voxels next and asks `is_as_stored` then: compressed ones are not unpacked here too.

    >>> check_image_file("ct.nii.gz").spacing
    (3.0, 3.0, 3.0)
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise BoneQualityError(f"{path} is {'a folder, not a file' if path.is_dir() else 'not there'}: check the path.")
        if path.suffix.lower() in DICOM_EXTENSIONS:
            raise BoneQualityError(f"{path} is one DICOM file: name the folder that holds its series.")
        if not path.name.lower().endswith(EXTENSIONS):
            raise BoneQualityError(f"{path} is of no supported type: save it as one of {', '.join(EXTENSIONS)}.")
        if path.stat().st_size == 0:
            raise BoneQualityError(f"{path} is empty: {AGAIN}.")
        storage = _storage(path)
        held = _held_bytes(path, storage) if unpack or not storage.compression else None
        header, voxel_bytes = _itk_header(path, storage)
        if held is None and _stored_checksum(storage)[1:] != ((storage.preceding + voxel_bytes) % 2**32,):
            held = _held_bytes(path, storage)
        if held is not None and held - storage.preceding < voxel_bytes:
            raise BoneQualityError(f"{path} is cut short ({held - storage.preceding} of {voxel_bytes} bytes of voxels): {AGAIN}.")
        if storage.extents and not _within_extents(path, storage.extents, header.size):
            raise BoneQualityError(
                f"{path} has voxels outside its segments' extents, as after resampling: export it as drawn, or as a label map."
            )
    except BoneQualityError:
        raise
    except OSError as error:
        raise BoneQualityError(f"{path} cannot be read ({error.strerror}): check its permissions and its disk.") from None
    except zlib.error:
        raise BoneQualityError(f"{path} is damaged (its compressed data fail their check): {AGAIN}.") from None
    except (ValueError, LookupError, struct.error):
        if not unpack:
            return check_image_file(path)  # says it where the cause is damage further on
        raise BoneQualityError(f"{path} has a header that cannot be understood: {AGAIN}.") from None
    return header


def is_as_stored(path, array: np.ndarray) -> bool:
    """Whether the voxels that a reader got from a file are what the file's own checksum stands for, without unpacking it again.

    False as well where that checksum covers more than one image as it lies in memory (other byte order, rescaled, gzip of
    several members, zlib): then `check_image_file` tells whether the file is whole.
    """
    storage = _storage(Path(path))
    if not storage.compression:
        return True
    with storage.path.open("rb") as file:
        file.seek(storage.start)
        before = zlib.decompressobj(storage.compression).decompress(file.read(CHUNK), storage.preceding or 1)[: storage.preceding]
    checksum = zlib.crc32(np.ascontiguousarray(array), zlib.crc32(before))
    return _stored_checksum(storage) == (checksum, (len(before) + array.nbytes) % 2**32)


def structure_files(folder) -> list[tuple[str, Path]]:
    """(structure, path) of every image file in a folder with one file a structure, sorted by the structure's name."""
    folder = Path(folder)
    if not folder.is_dir():
        raise BoneQualityError(f"{folder} is not a folder: name a folder with one image file a structure.")
    found = []
    for path in folder.iterdir():
        ending = next((e for e in SEGMENTATION_EXTENSIONS + EXTENSIONS if path.name.lower().endswith(e)), None)
        if ending and path.is_file() and not path.name.startswith("."):
            found.append((path.name[: -len(ending)], path))
    if not found:
        raise BoneQualityError(f"{folder} holds no image file: put one a structure there, of {', '.join(EXTENSIONS)}.")
    return sorted(found)


def _storage(path: Path) -> _Storage:
    readers = {".nrrd": _nrrd, ".nhdr": _nrrd, ".mha": _metaimage, ".mhd": _metaimage}
    return readers.get(path.suffix.lower(), _nifti)(path)


def _stored_checksum(storage: _Storage) -> tuple[int, ...]:
    """CRC-32 and length (modulo 2**32) of the unpacked data as a gzip stream ends with them (RFC 1952); empty without one."""
    with storage.path.open("rb") as file:
        file.seek(storage.start)
        if not storage.compression or file.read(2) != GZIP_MAGIC:
            return ()
        end = storage.start + storage.compressed_bytes if storage.compressed_bytes else file.seek(0, os.SEEK_END)
        file.seek(max(end - 8, 0))
        return struct.unpack("<2I", file.read(8))


def _itk_header(path: Path, storage: _Storage) -> tuple[ImageHeader, int]:
    """The header as ITK understands it, checked, and the bytes that the voxels take."""
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    warns = SimpleITK.ProcessObject.GetGlobalWarningDisplay()
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        if "orthonormal" in str(error):
            raise BoneQualityError(f"{path} has sheared axes: {RESAMPLE}.") from None
        raise ValueError from None
    finally:
        SimpleITK.ProcessObject.SetGlobalWarningDisplay(warns)

    size, spacing, components = reader.GetSize(), reader.GetSpacing()[:3], reader.GetNumberOfComponents()
    pixel_type = SimpleITK.GetPixelIDValueAsString(reader.GetPixelID())
    if len(size) < 3:
        raise BoneQualityError(f"{path} is a flat image, not a volume: export the whole stack of slices.")
    axes = np.reshape(reader.GetDirection(), (len(size), len(size)))[:3, :3]
    millimeters = " x ".join(f"{s:g}" for s in spacing)
    faults = {
        f"has {len(size)} axes ({' x '.join(map(str, size))}): save the one volume to measure alone": max(size[3:], default=1) > 1,
        "holds no structure, just one voxel: draw them and save it again": storage.is_segmentation and math.prod(size) == 1,
        "holds complex numbers: save their magnitude": "complex" in pixel_type,
        "holds color or vectors: save one gray-scale channel": components > 1 and not storage.is_segmentation,
        f"has voxels of {millimeters} mm, which cannot be right: correct its spacing or its unit": not all(
            SPACING_RANGE_MM[0] <= s <= SPACING_RANGE_MM[1] for s in spacing
        ),
        f"has sheared or scaled axes: {RESAMPLE}": not np.allclose(axes.T @ axes, np.eye(3), rtol=0, atol=SHEAR_TOLERANCE),
        f"has a sform that its qform or pixdim contradicts: {RESAVE}": _contradicts(storage.sform, axes * spacing, reader),
    }
    for fault, is_there in faults.items():
        if is_there:
            raise BoneQualityError(f"{path} {fault}.")
    component_bytes = storage.component_bytes or SimpleITK.Image([1, 1, 1], reader.GetPixelID()).GetSizeOfPixelComponent()
    header = ImageHeader(size[:3], spacing, pixel_type, components, len(size), storage.is_segmentation)
    return header, math.prod(size) * components * component_bytes


def _contradicts(sform: np.ndarray | None, axes: np.ndarray, reader) -> bool:
    """Whether a NIfTI's sform (what most programs go by) puts a corner elsewhere than ITK does, which may go by the qform."""
    if sform is None:
        return False
    as_read = np.column_stack([axes, reader.GetOrigin()[:3]]) * [[-1], [-1], [1]]
    corners = np.array([[*corner, 1] for corner in np.ndindex(2, 2, 2)]) * [*reader.GetSize()[:3], 1]
    return np.linalg.norm(corners @ (as_read - sform).T, axis=1).max() > PLACEMENT_TOLERANCE_MM


def _within_extents(path: Path, extents: dict[int, np.ndarray], size: tuple[int, int, int]) -> bool:
    """Whether the extents lie in the image and hold every voxel of their layer that is not 0; only those inside are read."""
    import SimpleITK

    array = None
    for layer, boxes in extents.items():
        filled = boxes[(boxes[:, ::2] <= boxes[:, 1::2]).all(axis=1)].reshape(-1, 3, 2)
        low, high = filled[..., 0].min(axis=0, initial=max(size)), filled[..., 1].max(axis=0, initial=-1)
        if len(filled) and (low.min() < 0 or (high >= size).any()):
            return False
        if (low == 0).all() and (high + 1 == size).all():
            continue
        if array is None:
            array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).reshape(*size[::-1], -1)
        inside = array[(*(slice(a, b + 1) for a, b in zip(low[::-1], high[::-1])), layer)]
        if np.count_nonzero(inside) < np.count_nonzero(array[..., layer]):
            return False
    return True


def _held_bytes(path: Path, storage: _Storage) -> int:
    """Bytes of image data; compressed ones are read through and their checksums verified, which ITK does not do."""
    end = storage.path.stat().st_size
    if not storage.compression:
        return end - storage.start
    if storage.compressed_bytes:
        if end < storage.start + storage.compressed_bytes:
            raise BoneQualityError(f"{path} is cut short ({end} of {storage.start + storage.compressed_bytes} bytes): {AGAIN}.")
        end = storage.start + storage.compressed_bytes
    total, stream = 0, zlib.decompressobj(storage.compression)
    with storage.path.open("rb") as file:
        file.seek(storage.start)
        while block := stream.unused_data + file.read(min(CHUNK, end - file.tell())):
            if stream.eof and not block.startswith(GZIP_MAGIC):
                break
            if stream.eof:
                stream = zlib.decompressobj(storage.compression)
            while block:
                total += len(stream.decompress(block, CHUNK))
                block = stream.unconsumed_tail
    if not stream.eof:
        raise BoneQualityError(f"{path} is cut short (its compressed data end too early): {AGAIN}.")
    return total


def _nrrd(path: Path) -> _Storage:
    fields, keys = {}, set()
    with path.open("rb") as file:
        if not file.readline(16).startswith(b"NRRD"):
            raise BoneQualityError(f"{path} is no NRRD file despite its name: {AGAIN}.")
        while line := file.readline().decode("utf-8", "replace").strip():
            name, mark, value = re.match(r"(.*?)(:=|:|$)(.*)", line).groups()
            if mark == ":=":
                keys.add(name)
            fields[name.lower().replace(" ", "")] = value.strip()
        start = file.tell()
    placed = {"spacedirections", "spaceorigin"} <= fields.keys() and fields.get("space", "").lower() in NRRD_SPACES
    if not placed and fields["dimension"] != "3":
        raise BoneQualityError(f"{path} has {fields['dimension']} axes, not three: save the one volume to measure alone.")
    if not placed:
        raise BoneQualityError(f"{path} does not say where its voxels lie (space, directions, origin): {RESAVE}.")
    skips = fields.get("lineskip", "0"), fields.get("byteskip", "0")
    compression = {"raw": RAW, "gzip": GZIP, "gz": GZIP}.get(fields["encoding"].lower())
    if compression is None or skips not in (("0", "0"), ("0", "-1")):
        raise BoneQualityError(f"{path} is encoded in a way that cannot be checked: save it again, as raw or gzip NRRD.")
    data_path = _detached(path, fields["datafile"]) if "datafile" in fields else path
    is_segmentation = path.name.lower().endswith(SEGMENTATION_EXTENSIONS) or "Segment0_ID" in keys
    start = start if data_path == path else 0
    return _Storage(data_path, start, compression, is_segmentation=is_segmentation, extents=_extents(fields))


def _extents(fields: dict[str, str]) -> dict[int, np.ndarray]:
    """The extents of the segments of every layer, shape (n, 6), in the layers where all segments have one."""
    extents: dict[int, list] = {}
    for name in fields:
        if match := re.fullmatch(r"(segment\d+_)id", name):
            extent = [int(number) for number in fields.get(f"{match[1]}extent", "").split()]
            extents.setdefault(int(fields.get(f"{match[1]}layer", "0")), []).append(extent)
    return {layer: np.reshape(several, (-1, 6)) for layer, several in extents.items() if all(several)}


def _metaimage(path: Path) -> _Storage:
    fields = {}
    with path.open("rb") as file:
        while "ElementDataFile" not in fields:
            name, mark, value = file.readline(1 << 16).decode("utf-8", "replace").partition("=")
            if not mark:
                raise BoneQualityError(f"{path} is no MetaImage file despite its name: {AGAIN}.")
            fields[name.strip()] = value.strip()
        start = file.tell()
    if not all(names & fields.keys() for names in META_PLACEMENT):
        raise BoneQualityError(f"{path} does not say where its voxels lie (ElementSpacing, TransformMatrix, Offset): {RESAVE}.")
    compressed = fields.get("CompressedData", "False")[0] in "Tt1"
    length = int(fields.get("CompressedDataSize", "0")) if compressed else None
    if fields.get("BinaryData", "True")[0] not in "Tt1" or fields.get("HeaderSize", "0") not in ("0", "-1") or length == 0:
        raise BoneQualityError(f"{path} is encoded in a way that cannot be checked: save it again, as NRRD.")
    if float(fields.get("ElementToIntensityFunctionSlope", 1)) != 1 or float(fields.get("ElementToIntensityFunctionOffset", 0)):
        raise BoneQualityError(f"{path} stores numbers still to be rescaled, which Slicer would not do: save the final ones.")
    data_path = path if fields["ElementDataFile"].upper() == "LOCAL" else _detached(path, fields["ElementDataFile"])
    return _Storage(data_path, start if data_path == path else 0, GZIP_OR_ZLIB if compressed else RAW, length)


def _detached(path: Path, name: str) -> Path:
    if "%" in name or name.upper().startswith("LIST"):
        raise BoneQualityError(f"{path} spreads its voxels over several files: save it as one file.")
    if not (path.parent / name).is_file():
        raise BoneQualityError(f"{path} keeps its voxels in {name}, which is not there: put it beside the header.")
    return path.parent / name


def _nifti(path: Path) -> _Storage:
    with path.open("rb") as file:
        head = file.read(CHUNK)
    compressed = head.startswith(GZIP_MAGIC)
    if compressed and path.suffix.lower() == ".nii":
        raise BoneQualityError(f"{path} is compressed: rename it to {path.name}.gz.")
    if compressed:
        head = zlib.decompressobj(GZIP).decompress(head, CHUNK)
    if head[344:348] != b"n+1\0":
        raise BoneQualityError(f"{path} is no NIfTI-1 file, or its header is cut short: save it as NIfTI-1 or NRRD.")
    order = "<" if head[:4] == struct.pack("<i", 348) else ">"
    axes, *sizes = struct.unpack_from(f"{order}8h", head, 40)
    bits, start = struct.unpack_from(f"{order}72xh34xf", head)
    if not (1 <= axes <= 7 and min(sizes[:axes]) > 0 and start >= 348):
        raise ValueError
    spacing = struct.unpack_from(f"{order}3f", head, 80)
    has_qform, has_sform = (code > 0 for code in struct.unpack_from(f"{order}2h", head, 252))
    sform = np.reshape(struct.unpack_from(f"{order}12f", head, 280), (3, 4)) if has_sform else None
    if not (has_qform or has_sform):
        raise BoneQualityError(f"{path} does not say how it lies in the patient (no qform, no sform): {RESAVE}.")
    if not all(math.isfinite(s) and s > 0 for s in spacing) or has_sform and not np.isfinite(sform).all():
        raise BoneQualityError(f"{path} has no valid voxel size or placement: {AGAIN}.")
    start, preceding = (0, int(start)) if compressed else (int(start), 0)
    return _Storage(path, start, GZIP if compressed else RAW, None, preceding, bits // 8, sform)
