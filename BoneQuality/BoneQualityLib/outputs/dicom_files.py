"""DICOM files of a case: the regions (SEG) and the numbers (SR) of every image, referring to its source series.

They name the patient, as a PACS needs; so they are written on request alone, and never beside the other outputs by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import BoneQualityError
from ..files.writing import write_whole
from .dicom_measurements import structured_report
from .dicom_regions import segmentation
from .dicom_source import Source, as_bytes
from .pictures import Seen

#: Needed for DICOM files; 3D Slicer does not bring it along.
PACKAGES = ("highdicom",)
#: What the kinds of regions belong to.
REGIONS_OF = dict(ct="cancellous", t1="marrow")


def dicom_paths(folder: str | Path, case_id: str, roles) -> list[Path]:
    """The files that may be written for these images ("ct", "t1", "axial_mr")."""
    endings = [
        f"{role}_{what}" for role in roles for what in ("regions", "measurements") if what != "regions" or role in REGIONS_OF
    ]
    return [Path(folder) / f"{case_id}_{ending}.dcm" for ending in endings]


def write_dicom(
    document: dict, seen: Seen, sources: Mapping[str, Source], codes: Mapping[str, str], folder: str | Path, overwrite: bool = False
) -> list[Path]:
    """Write CASE_ct_regions.dcm, CASE_ct_measurements.dcm and so on into ``folder``, all or none; returns their paths.

    document, seen: of the measured case. sources: the series of each image ("ct", "t1", "axial_mr"). codes: SNOMED CT code of each
    level's vertebra. Raises BoneQualityError without highdicom, or where an image does not lie as its series says.
    """
    try:
        import highdicom  # noqa: F401
    except ImportError:
        raise BoneQualityError(
            "DICOM files need the Python package highdicom; install it: pip install 'bonequality[dicom]'."
        ) from None
    _check_one_patient(sources)
    contents = {}
    for role, source in sources.items():
        regions = [region for region in seen.regions if region.kind == REGIONS_OF.get(role)]
        made = segmentation(document["case_id"], regions, seen.images[role].grid, source, codes) if regions else None
        report = structured_report(document, role, source, made, codes)
        for what, dataset in (("regions", made), ("measurements", report)):
            if dataset is not None:
                contents[Path(folder) / f"{document['case_id']}_{role}_{what}.dcm"] = as_bytes(dataset)
    write_whole(contents, overwrite)
    return list(contents)


def _check_one_patient(sources: Mapping[str, Source]) -> None:
    patients = {str(source.headers[0].get("PatientID", "")) for source in sources.values()}
    if len(patients) > 1:
        titles = " and ".join(source.title for source in sources.values())
        raise BoneQualityError(f"The {titles} belong to different patients by their DICOM tags; give images of one patient.")
