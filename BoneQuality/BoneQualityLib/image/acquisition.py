"""What is known of how an image was acquired."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageTags:
    """How an image was taken, as its DICOM tags say; None is unknown. Holds no patient data, dates, UIDs or free text.

    weighting: "T1", "other" or unknown, by the series' description. derived: what was computed, such as "ADC". padding: the value
    of voxels without data.
    """

    modality: str | None = None
    kvp: float | None = None
    slice_thickness_mm: float | None = None
    kernel: str | None = None
    contrast: str | None = None
    field_strength_t: float | None = None
    tr_ms: float | None = None
    te_ms: float | None = None
    ti_ms: float | None = None
    manufacturer: str | None = None
    model: str | None = None
    fat_suppressed: str | None = None
    scanning_sequence: str | None = None
    gradient_echo: str | None = None
    inversion_recovery: str | None = None
    weighting: str | None = None
    dixon: str | None = None
    derived: str | None = None
    spectral: str | None = None
    padding: float | None = None
