"""DICOM files of a case: the regions (SEG), the numbers (SR) and, if asked, the pictures (SC) of every image, referring to its source series.

They name the patient, as a PACS needs; so they are written on request alone, and never beside the other outputs by default.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import BoneQualityError
from .dicom_measurements import structured_report
from .dicom_pictures import captures
from .dicom_regions import segmentation
from .dicom_source import Source, as_bytes
from .drawing import Picture
from .pictures import Seen

#: Needed for DICOM files; 3D Slicer does not bring it along.
PACKAGES = ("highdicom",)
#: What the kinds of regions belong to.
REGIONS_OF = dict(ct="cancellous", t1="marrow")


def dicom_paths(folder: str | Path, case_id: str, roles) -> list[Path]:
    """The files that may be written for these images ("ct", "t1", "axial")."""
    endings = [
        f"{role}_{what}" for role in roles for what in ("regions", "measurements") if what != "regions" or role in REGIONS_OF
    ]
    return [Path(folder) / f"{case_id}_{ending}.dcm" for ending in endings]


def picture_paths(folder: str | Path, case_id: str) -> list[Path]:
    """The pictures of a case that are there already; which ones a case has is known only when it is measured."""
    return sorted(Path(folder).glob(f"{case_id}_picture_*.dcm"))


def dicom_contents(
    document: dict, seen: Seen, sources: Mapping[str, Source], codes: Mapping[str, str], folder: str | Path,
    pictures: Sequence[Picture] = (),
) -> dict[Path, bytes]:  # fmt: skip
    """CASE_ct_regions.dcm, CASE_ct_measurements.dcm and so on in ``folder``: what each file holds.

    document, seen: of the measured case. sources: the series of each image ("ct", "t1", "axial"). codes: SNOMED CT code of each
    level's vertebra. pictures: to be written as CASE_picture_NAME.dcm. Raises BoneQualityError without highdicom, or where an image does not lie as its series says.
    """
    check_packages()
    _check_one_patient(sources)
    found = {}
    for role, source in sources.items():
        regions = [region for region in seen.regions if region.kind == REGIONS_OF.get(role)]
        made = segmentation(document["case_id"], regions, seen.images[role].grid, source, codes) if regions else None
        report = structured_report(document, role, source, made, codes)
        for what, dataset in (("regions", made), ("measurements", report)):
            if dataset is not None:
                found[Path(folder) / f"{document['case_id']}_{role}_{what}.dcm"] = as_bytes(dataset)
        for name, dataset in captures(document["case_id"], pictures, role, source).items():
            found[Path(folder) / f"{document['case_id']}_picture_{name}.dcm"] = as_bytes(dataset)
    return found


def check_packages() -> None:
    """Raise BoneQualityError without highdicom."""
    if importlib.util.find_spec("highdicom") is None:
        raise BoneQualityError("DICOM files need the Python package highdicom; install it: pip install 'bonequality[dicom]'.")


def _check_one_patient(sources: Mapping[str, Source]) -> None:
    patients = {str(source.headers[0].get("PatientID", "")) for source in sources.values()}
    if len(patients) > 1:
        titles = " and ".join(source.title for source in sources.values())
        raise BoneQualityError(
            "The {titles} belong to different patients by their DICOM tags; give images of one patient.", titles=titles
        )
