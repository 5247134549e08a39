"""What a DICOM header says that matters to a measurement, by the names of ``ImageTags``."""

from __future__ import annotations

import warnings

from .dicom_acquisition import acquisition
from .dicom_file import DicomFile
from .dicom_texts import technical_text
from .dicom_values import number


def read_tags(path) -> dict:
    """The tags of one DICOM file; none where the file is not there or is no DICOM file."""
    import pydicom

    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        try:
            with DicomFile(path) as file:
                return header_tags(pydicom.dcmread(file, stop_before_pixels=True))
        except (OSError, pydicom.errors.InvalidDicomError):
            return {}


def header_tags(header) -> dict:
    """What a header says of the acquisition, by the names of ``ImageTags``."""
    gauss_or_tesla = number(header, "MagneticFieldStrength")
    return dict(
        modality=technical_text(header, "Modality"),
        kvp=number(header, "KVP") or None,
        slice_thickness_mm=number(header, "SliceThickness") or None,
        kernel=technical_text(header, "ConvolutionKernel"),
        field_strength_t=gauss_or_tesla / 1e4 if gauss_or_tesla and gauss_or_tesla > 100 else gauss_or_tesla or None,
        tr_ms=number(header, "RepetitionTime") or None,
        te_ms=number(header, "EchoTime") or None,
        ti_ms=number(header, "InversionTime") or None,
        manufacturer=technical_text(header, "Manufacturer"),
        model=technical_text(header, "ManufacturerModelName"),
        padding=_padding(header),
        **acquisition(header),
    )


def _padding(header) -> float | None:
    """The value of pixels without data, after the rescale that is applied to all pixels."""
    padding, slope, intercept = (number(header, name) for name in ("PixelPaddingValue", "RescaleSlope", "RescaleIntercept"))
    return None if padding is None else padding * (slope or 1.0) + (intercept or 0.0)
