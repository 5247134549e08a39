"""Numbers as a DICOM structured report (SR, TID 1500): one group per region or ROI, then the case values."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

import numpy as np

from .. import __version__
from ..columns import CASE_COLUMNS, LEVEL_COLUMNS, MEASURES, MUSCLE_COLUMNS, Column, Image, OfCase, measures_for
from .dicom_regions import MAKER, SERIES_OF_REPORT, vertebra_code
from .dicom_source import RAS_TO_LPS, Source, uid_of, undated
from .pictures import curves

#: Codes of our own for what DICOM and SNOMED CT have no code for.
SCHEME = "99BONEQUALITY"
UNITS = {"HU": ("[hnsf'U]", "Hounsfield unit"), "mm": ("mm", "mm"), "mm2": ("mm2", "square millimeter"),
         "mm3": ("mm3", "cubic millimeter"), "%": ("%", "percent"), "": ("1", "no units")}  # fmt: skip
ATTENUATION, T1_SIGNAL = ("112031", "DCM", "Attenuation Coefficient"), ("110804", "DCM", "T1 Weighted MR Signal Intensity")
AREA, VOLUME = ("42798000", "SCT", "Area"), ("118565006", "SCT", "Volume")
MEAN, MEDIAN, DEVIATION = ("373098007", "SCT", "Mean"), ("373099004", "SCT", "Median"), ("386136009", "SCT", "Standard Deviation")
#: Column -> (concept, derivation); other columns get a code of our own.
CODED = {
    "hu_3d": (ATTENUATION, MEAN), "hu_3d_median": (ATTENUATION, MEDIAN), "hu_3d_sd": (ATTENUATION, DEVIATION),
    "hu_3d_volume_mm3": (VOLUME, None), "hu_upper": (ATTENUATION, MEAN), "hu_middle": (ATTENUATION, MEAN),
    "hu_lower": (ATTENUATION, MEAN), "hu_upper_area_mm2": (AREA, None), "hu_middle_area_mm2": (AREA, None),
    "hu_lower_area_mm2": (AREA, None), "t1_signal": (T1_SIGNAL, MEAN), "t1_area_mm2": (AREA, None), "csf_signal": (T1_SIGNAL, MEAN),
    "area_mm2": (AREA, None),
}  # fmt: skip
REGION_COLUMNS = ("hu_3d", "hu_3d_median", "hu_3d_sd", "hu_3d_volume_mm3", "hu_3d_wide")
_SLICES = {f"hu_{kind}{what}" for kind in ("upper", "middle", "lower") for what in ("", "_area_mm2")}
LEVEL_OTHERS = tuple(
    measure.name for measure in measures_for("of_level", Image.CT) if measure.name not in {*REGION_COLUMNS, *_SLICES}
)
CT_CASE, AXIAL_CASE = (
    tuple(measure.name for measure in MEASURES if measure.image is image and measure.of_case is not OfCase.NO)
    for image in (Image.CT, Image.AXIAL)
)
_LEVEL = {column.name: column for column in LEVEL_COLUMNS}
_CASE = {column.name: column for column in CASE_COLUMNS}
_MUSCLE = {column.name: column for column in MUSCLE_COLUMNS}


class Writer:
    """Makes the groups of one report. ``segments``: segment number by label; ``segmentation``: the SEG that has them, or None."""

    def __init__(self, document: dict, source: Source, segmentation, codes: Mapping[str, str]):
        self.document, self.source, self.segmentation, self.codes = document, source, segmentation, codes
        self.segments = (
            {item.SegmentLabel: int(item.SegmentNumber) for item in segmentation.SegmentSequence} if segmentation else {}
        )

    def tracking(self, name: str):
        import highdicom

        uid = uid_of(self.source.headers[0].SeriesInstanceUID, self.document["case_id"], name)
        return highdicom.sr.TrackingIdentifier(uid=uid, identifier=name)

    def sites(self, level: str):
        import highdicom

        vertebra = vertebra_code(level, self.codes)
        return [highdicom.sr.FindingSite(vertebra)] if vertebra else None

    def region(self, level: dict, kind: str, measurements: list):
        """A vertebra's region (TID 1411), by its segment."""
        import highdicom

        label = f"{level['level']} {kind}"
        reference = highdicom.sr.ReferencedSegment(
            self.segmentation.SOPClassUID, self.segmentation.SOPInstanceUID, self.segments[label],
            source_series=highdicom.sr.SourceSeriesForSegmentation(self.source.headers[0].SeriesInstanceUID),
        )  # fmt: skip
        return highdicom.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            self.tracking(label), referenced_segment=reference, finding_sites=self.sites(level["level"]), measurements=measurements
        )

    def planar(self, name: str, roi: dict, level: str, measurements: list):
        """A flat ROI (TID 1410), by its outline in the patient."""
        import highdicom

        region = highdicom.sr.ImageRegion3D(*_graphic(roi), self.source.frame_of_reference)
        return highdicom.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            self.tracking(name), referenced_region=region, finding_sites=self.sites(level), measurements=measurements
        )

    def plain(self, name: str, measurements: list, level: str = ""):
        """Values of no single region (TID 1501)."""
        import highdicom

        return highdicom.sr.MeasurementsAndQualitativeEvaluations(
            self.tracking(name), finding_sites=self.sites(level), measurements=measurements
        )


def structured_report(document: dict, role: str, source: Source, segmentation, codes: Mapping[str, str]):
    """A pydicom dataset (Comprehensive 3D SR) of what one image says: "ct", "t1", or an image of the muscles.

    Numbers are those of the CSV files, digit by digit. segmentation: the SEG of the image's regions, or None.
    """
    import highdicom
    from pydicom.sr.coding import Code

    writer = Writer(document, source, segmentation, codes)
    groups = {"ct": _ct_groups, "t1": _t1_groups}.get(role, _axial_groups)(writer)
    device = highdicom.sr.ObserverContext(
        Code("121007", "DCM", "Device"),
        highdicom.sr.DeviceObserverIdentifyingAttributes(
            uid=uid_of(MAKER), name=MAKER, manufacturer_name=MAKER, model_name=__version__
        ),
    )
    is_ct = source.headers[0].Modality == "CT"
    procedure = Code("77477000", "SCT", "Computed Tomography") if is_ct else Code("113091000", "SCT", "Magnetic Resonance Imaging")
    content = highdicom.sr.MeasurementReport(
        highdicom.sr.ObservationContext(observer_device_context=device), procedure, groups,
        title=Code("126000", "DCM", "Imaging Measurement Report"),
    )  # fmt: skip
    identity = uid_of(
        source.headers[0].SeriesInstanceUID,
        role,
        __version__,
        content.to_json() if hasattr(content, "to_json") else content[0].to_json(),
    )
    dataset = highdicom.sr.Comprehensive3DSR(
        evidence=[*source.headers, *([segmentation] if segmentation else [])], content=content[0],
        series_instance_uid=uid_of(identity, "series"), series_number=SERIES_OF_REPORT, sop_instance_uid=uid_of(identity, "instance"),
        instance_number=1, manufacturer=MAKER, is_complete=True, is_final=False, is_verified=False,
        series_description="BoneQuality measurements", manufacturer_model_name=MAKER, software_versions=__version__,
        device_serial_number=__version__,
    )  # fmt: skip
    return undated(dataset, source)


def _ct_groups(writer: Writer) -> list:
    groups = []
    for level in writer.document["levels"]:
        name = level["level"]
        if f"{name} cancellous" in writer.segments:
            groups.append(writer.region(level, "cancellous", _numbers(level, REGION_COLUMNS, _LEVEL)))
        for roi in level["rois"]:
            if f"hu_{roi['kind']}" in level and roi["shape"] != "region":
                columns = (f"hu_{roi['kind']}", f"hu_{roi['kind']}_area_mm2")
                groups.append(writer.planar(f"{name} {roi['kind']} slice", roi, name, _numbers(level, columns, _LEVEL)))
        groups.append(writer.plain(f"{name} other values", _numbers(level, LEVEL_OTHERS, _LEVEL), name))
    groups.append(writer.plain("case", _numbers(writer.document["case"], CT_CASE, _CASE, own=True)))
    return [group for group in groups if _has_numbers(group)]


def _t1_groups(writer: Writer) -> list:
    groups, case = [], writer.document["case"]
    for level in writer.document["levels"]:
        name, numbers = level["level"], _numbers(level, ("t1_signal", "t1_area_mm2", "vbq_single_level"), _LEVEL)
        roi = next((roi for roi in level["rois"] if roi["kind"] == "marrow"), None)
        if roi is not None and roi["shape"] != "region":
            groups.append(writer.planar(f"{name} marrow", roi, name, numbers))
        elif f"{name} marrow" in writer.segments:
            groups.append(writer.region(level, "marrow", numbers))
    csf = writer.document["csf"].get(case.get("csf_level") or "")
    if csf and csf["roi"]:
        signal = _numbers(case, ("csf_signal",), _CASE)
        groups.append(writer.planar(f"CSF {case['csf_level']}", csf["roi"], case["csf_level"], signal))
    for score in _numbers(case, ("vbq",), _CASE, own=True):
        used = [level for level in writer.document["levels"] if level["level"] in case["t1_levels"]]
        marrow = median(_value(level, "t1_signal", _LEVEL) for level in used)
        signals = [_measurement(_LEVEL["t1_signal"], marrow, (T1_SIGNAL, MEDIAN)), *_numbers(case, ("csf_signal",), _CASE)]
        groups.append(writer.plain("case", [_inferred(score, signals)]))
    return [group for group in groups if _has_numbers(group)]


def _axial_groups(writer: Writer) -> list:
    groups, rows = [], writer.document["muscles"]
    outlines = {
        (f"{there['center'][2]:.2f}", roi["kind"]): roi
        for there in writer.document["muscle_slices"] for roi in there["rois"] if roi["shape"] != "region"
    }  # fmt: skip
    for row in rows:
        where = row["disc"] or f"S {row['slice_s_mm']:.1f}"
        numbers = _numbers(row, ("area_mm2", "fat_infiltration_percent", "fat_fraction_percent"), _MUSCLE)
        if row["muscle"] == "all":
            areas = _numbers(row, ("area_mm2", "disc_area_mm2"), _MUSCLE)
            groups.append(
                writer.plain(f"{where} muscles", [_inferred(n, areas) for n in _numbers(row, ("rcsa",), _MUSCLE)] + numbers[1:])
            )
            continue
        kind = f"{row['side']} {row['muscle']}"
        roi = outlines.get((f"{row['slice_s_mm']:.2f}", kind))
        groups.append(writer.planar(f"{where} {kind}", roi, "", numbers) if roi else writer.plain(f"{where} {kind}", numbers))
    groups.append(writer.plain("case", _numbers(writer.document["case"], AXIAL_CASE, _CASE, own=True)))
    return [group for group in groups if _has_numbers(group)]


def _value(row: dict, name: str, columns: Mapping[str, Column]) -> float:
    return float(columns[name].cell(row[name]))


def _numbers(row: dict, names, columns: Mapping[str, Column], own: bool = False) -> list:
    """Measurements of the columns that have a value, as the CSV writes it; own: case values, which get codes of our own."""
    return [
        _measurement(columns[name], _value(row, name, columns), None if own else CODED.get(name))
        for name in names if row.get(name) is not None
    ]  # fmt: skip


def _measurement(column: Column, value: float, coded):
    import highdicom
    from pydicom.sr.coding import Code

    unit, meaning = UNITS[column.unit]
    concept, derivation = coded or ((column.name.upper().replace("_PERCENT", ""), SCHEME, column.title), None)
    return highdicom.sr.Measurement(
        Code(*concept), value, Code(unit, "UCUM", meaning), derivation=Code(*derivation) if derivation else None
    )


def _inferred(measurement, sources: list):
    """The measurement with those that it was computed from below it."""
    from pydicom.sequence import Sequence

    number = measurement[0]
    below = [item[0] for item in sources]
    for item in below:
        item.RelationshipType = "INFERRED FROM"
    number.ContentSequence = Sequence([*number.get("ContentSequence", []), *below])
    return measurement


def _has_numbers(group) -> bool:
    return any(item.ValueType == "NUM" for item in group[0].ContentSequence)


def _graphic(roi: dict) -> tuple[str, np.ndarray]:
    """A graphic type and its points in LPS mm: an ellipse by the ends of its major, then its minor axis; else its largest outline."""
    if roi["shape"] == "ellipse":
        center = np.asarray(roi["center"], float)
        axes = [np.asarray(roi[name], float) * length for name, length in zip("uv", roi["semi_axes_mm"])]
        axes.sort(key=np.linalg.norm, reverse=True)
        return "ELLIPSE", np.array([center + sign * axis for axis in axes for sign in (1, -1)]) @ RAS_TO_LPS
    outline = max(curves(roi), key=len)
    return "POLYGON", np.concatenate([outline, outline[:1]]) @ RAS_TO_LPS
