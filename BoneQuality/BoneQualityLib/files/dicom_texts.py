"""Texts of a DICOM header that may come out, and those that must not: anybody may have written a patient's name anywhere."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from .dicom_file import DicomFile
from .dicom_values import text, value_of

#: What makers, models and kernels are written in; names of persons in DICOM have a caret.
_TECHNICAL = re.compile(r"[A-Za-z0-9 ._+/()*#&-]{1,64}")
#: The standard's terms of a scanning sequence (PS3.3 C.8.3.1).
SCANNING_SEQUENCES = ("SE", "IR", "GR", "EP", "RM")
_OF_PERSONS = (
    "PatientName", "PatientID", "PatientBirthDate", "OtherPatientNames", "OtherPatientIDs", "PatientBirthName",
    "PatientMotherBirthName", "ResponsiblePerson", "ReferringPhysicianName", "PerformingPhysicianName", "RequestingPhysician",
    "NameOfPhysiciansReadingStudy", "PhysiciansOfRecord", "OperatorsName", "AccessionNumber", "StudyID",
)  # fmt: skip
#: Shorter words are in every text.
_SHORTEST = 3
_TEXT_KINDS = {"PN", "LO", "SH", "ST", "LT", "UT", "UC", "UN", "AE", "DA", "CS"}


def technical_text(header, name: str) -> str | None:
    """A tag's text where it is one of technical words alone: allowed characters, not too long, no name of a person of this header."""
    value = nameless_text(header, name)
    return value if value is not None and _TECHNICAL.fullmatch(value) else None


def nameless_text(header, name: str) -> str | None:
    """A tag's text where no name or number of a person of this header is in it."""
    value = text(header, name)
    persons = {word for tag in _OF_PERSONS for word in _words(str(value_of(header, tag) or "")) if len(word) >= _SHORTEST}
    return None if value is None or any(word in value.casefold() for word in persons) else value


def scanning_sequence(header) -> str | None:
    """The terms of the standard in ScanningSequence; None without any."""
    return " ".join(term for term in (text(header, "ScanningSequence") or "").split() if term in SCANNING_SEQUENCES) or None


def free_texts(path: Path) -> set[str]:
    """Every text of a DICOM header, private tags and sequences included, whole and the names of persons by their words."""
    import pydicom

    found: set[str] = set()
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        try:
            with DicomFile(path) as file:
                for element in pydicom.dcmread(file, stop_before_pixels=True, force=True).iterall():
                    if element.VR in _TEXT_KINDS:
                        found |= _texts(element)
        except Exception:  # pydicom has no common base class for what a damaged header makes it raise
            return found
    return found


def _texts(element) -> set[str]:
    value = element.value
    several = [value] if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__") else list(value)
    texts = {part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part) for part in several if part}
    shown = {" ".join(re.sub(r"[\"'\x00-\x1f]", " ", part).split()) for part in texts}
    words = {word for part in texts for word in re.split(r"[\^=\s]+", part)} if element.VR == "PN" else set()
    return texts | shown | words


def _words(value: str) -> list[str]:
    return re.findall(r"\w+", value.casefold())
