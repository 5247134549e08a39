"""The DICOM images in a folder, file by file and frame by frame, by their headers alone.

Taken besides plain files: those without a preamble, as old systems write them, and the frames of enhanced multi-frame objects,
each as an image of its own, so that all that follows sees single images.
"""

from __future__ import annotations

import struct
from pathlib import Path

from ..errors import BoneQualityError
from .dicom_checks import DicomSlice
from .dicom_file import DicomFile
from .dicom_frames import frame_headers
from .dicom_pixels import inflates_too_far, pixel_fault, syntax_of
from .dicom_values import damage_of, text

EXTENSIONS = {".dcm", ".dicom", ".ima"}
NOT_OF_THE_PATIENT = {"SEG", "RTDOSE"}
#: Bytes before the mark of a DICOM file, and the mark.
PREAMBLE, MARK = 128, b"DICM"
#: The first elements of a file without a preamble are of these groups, and short.
_FIRST_GROUPS, _LAST_ELEMENT, _LONGEST = (0x0002, 0x0008), 0x0100, 1 << 10


def is_dicom(path: Path) -> bool:
    """Whether a file begins like a DICOM file, with a preamble or without; False where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return _begins_like_dicom(file.read(PREAMBLE + len(MARK)))
    except OSError:
        return False


def _begins_like_dicom(head: bytes) -> bool:
    return head[PREAMBLE:] == MARK or any(_is_first_element(head[:8], order) for order in "<>")


def _is_first_element(head: bytes, order: str) -> bool:
    """Whether eight bytes are the tag and the type or length of a data set's first element."""
    if len(head) < 8:
        return False
    group, element, length = struct.unpack(f"{order}HHI", head)
    has_type = head[4:6].isalpha() and head[4:6].isupper()
    return group in _FIRST_GROUPS and element < _LAST_ELEMENT and (has_type or 0 < length < _LONGEST)


def images_in(folder: Path) -> list[DicomSlice]:
    """Every image in a folder and its subfolders, of any series; other files are passed over.

    Raises BoneQualityError for a file that is damaged or cannot be read.
    """
    return [image for path in sorted(folder.rglob("*")) if path.is_file() for image in images_of(path)]


def images_of(path: Path) -> list[DicomSlice]:
    """The image of a file, or its frames one by one; none of a file that is no image of the patient."""
    import pydicom

    with damage_of(path):
        with DicomFile(path) as file:
            head = file.read(PREAMBLE + len(MARK))
            if not _begins_like_dicom(head):
                if path.suffix.lower() in EXTENSIONS:
                    raise BoneQualityError("{path} is no DICOM file despite its name: copy it again or remove it.", path=path)
                return []
            if inflates_too_far(path):
                raise EOFError
            file.seek(0)
            header = pydicom.dcmread(file, stop_before_pixels=True, force=head[PREAMBLE:] != MARK)
            if not header.file_meta.get("TransferSyntaxUID"):
                header.file_meta.TransferSyntaxUID = syntax_of(header)
            if "Rows" in header:
                fault = pixel_fault(file, header)
                if text(header, "Modality") in NOT_OF_THE_PATIENT or "PerFrameFunctionalGroupsSequence" not in header:
                    return [DicomSlice(path, header, fault)]
                return [DicomSlice(path, each, fault, frame) for frame, each in enumerate(frame_headers(header))]
            kind = pydicom.uid.UID(header.file_meta.get("MediaStorageSOPClassUID") or header.get("SOPClassUID") or "").name
            if "Rows" not in header and (not kind or "Image Storage" in kind):
                raise EOFError
            return []
