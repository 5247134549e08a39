"""Tags of a DICOM header as plain values: texts of one line, finite numbers, and what matters to a measurement."""

from __future__ import annotations

import math
import re
import warnings

NO_CONTRAST = {"NONE", "NO", "NO CONTRAST", "WITHOUT CONTRAST", "W/O CONTRAST"}
#: In ScanOptions (FS is the standard's term) and in the names of sequence, protocol and series.
FAT_SUPPRESSED = re.compile(r"(?<![a-z])(fs|fat[ _-]?sat\w*|fsat|stir|spir|spair|water)(?![a-z])", re.IGNORECASE)


def read_tags(path) -> dict:
    """The tags of one DICOM file; none where the file is not there or is no DICOM file."""
    import pydicom

    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        try:
            return header_tags(pydicom.dcmread(path, stop_before_pixels=True))
        except (OSError, pydicom.errors.InvalidDicomError):
            return {}


def header_tags(header) -> dict:
    """What a header says of the acquisition, by the names of ``ImageTags``."""
    gauss_or_tesla = number(header, "MagneticFieldStrength")
    return dict(
        modality=text(header, "Modality"),
        kvp=number(header, "KVP") or None,
        slice_thickness_mm=number(header, "SliceThickness") or None,
        kernel=text(header, "ConvolutionKernel"),
        contrast=_contrast(header),
        field_strength_t=gauss_or_tesla / 1e4 if gauss_or_tesla and gauss_or_tesla > 100 else gauss_or_tesla or None,
        tr_ms=number(header, "RepetitionTime") or None,
        te_ms=number(header, "EchoTime") or None,
        ti_ms=number(header, "InversionTime") or None,
        manufacturer=text(header, "Manufacturer"),
        model=text(header, "ManufacturerModelName"),
        fat_suppressed=_fat_suppressed(header) if text(header, "Modality") == "MR" else None,
        scanning_sequence=text(header, "ScanningSequence"),
    )


def _contrast(header) -> str | None:
    """An agent that is named was given, whatever its volume says; an empty tag is unknown (DICOM PS3.5 7.4.3, type 2)."""
    agent = text(header, "ContrastBolusAgent")
    if agent is None:
        return "yes" if header.get("ContrastBolusAgentSequence") else None
    return "no" if agent.upper() in NO_CONTRAST else "yes"


def _fat_suppressed(header) -> str | None:
    options, selected = text(header, "ScanOptions") or "", text(header, "SpectrallySelectedSuppression") or ""
    names = " ".join(text(header, name) or "" for name in ("SequenceName", "ProtocolName", "SeriesDescription"))
    is_water = {"W", "WATER"} & set((text(header, "ImageType") or "").upper().split())
    if is_water or selected.upper().startswith("FAT") or FAT_SUPPRESSED.search(f"{options} {names}".replace("_", " ")):
        return "yes"
    return "no" if options or selected else None


def text(header, name: str) -> str | None:
    """A tag's values as one line without quotes, None where it is absent, empty or malformed."""
    try:
        value = header.get(name)
        values = [value] if isinstance(value, str) else list(value or [])
        return " ".join(re.sub(r"[\"'\x00-\x1f]", " ", " ".join(map(str, values))).split()) or None
    except Exception:  # a malformed tag is as good as none
        return None


def numbers(header, name: str, count: int) -> list[float] | None:
    """A tag's ``count`` finite numbers, None where it has other ones."""
    try:
        value = header.get(name)
        values = [float(v) for v in (value if count > 1 else [value])]
    except Exception:  # a malformed tag is as good as none
        return None
    return values if len(values) == count and all(map(math.isfinite, values)) else None


def number(header, name: str) -> float | None:
    """A tag's finite number, None where it has none."""
    values = numbers(header, name, 1)
    return values[0] if values else None
