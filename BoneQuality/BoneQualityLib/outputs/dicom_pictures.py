"""Pictures of the report as DICOM secondary captures (SC), one file each, in the study of the image that they show."""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Sequence

import numpy as np

from .. import __version__
from .dicom_regions import MAKER
from .dicom_source import Source, uid_of, undated
from .drawing import Picture

#: Number of the series that is made; after those of regions and numbers.
SERIES_OF_PICTURES = 9703
#: The image that the kinds of pictures show; all others show the CT.
ROLE_OF = dict(vbq="t1", muscles="axial")


def captures(case_id: str, pictures: Sequence[Picture], role: str, source: Source) -> dict[str, object]:
    """Pydicom datasets (SC, RGB) of those pictures that show the image ``role``, by name; they are one series, in this order."""
    shown = [picture for picture in pictures if ROLE_OF.get(picture.kind, "ct") == role]
    pixels = [np.asarray(picture.pixels.convert("RGB")) for picture in shown]
    hashes = [hashlib.sha256(each.tobytes()).hexdigest() for each in pixels]
    series = uid_of(source.headers[0].SeriesInstanceUID, case_id, role, __version__, *hashes, "pictures")
    return {
        picture.name: _capture(case_id, picture, array, source, (series, number))
        for number, (picture, array) in enumerate(zip(shown, pixels), 1)
    }


def _capture(case_id: str, picture: Picture, pixels: np.ndarray, source: Source, place: tuple[str, int]):
    """place: UID of the series, and the picture's number in it."""
    import highdicom

    first, (series, number) = source.headers[0], place
    dataset = highdicom.sc.SCImage.from_ref_dataset(
        first, pixels, "RGB", bits_allocated=8, coordinate_system="PATIENT", patient_orientation=("L", "P"),
        series_instance_uid=series, series_number=SERIES_OF_PICTURES, sop_instance_uid=uid_of(series, picture.name),
        instance_number=number, manufacturer=MAKER, manufacturer_model_name=MAKER, software_versions=__version__,
        device_serial_number=__version__, series_description="BoneQuality pictures",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
    )  # fmt: skip
    # Planes are oblique, and letters of the patient's sides are drawn in: left empty, a viewer adds none of its own.
    dataset.PatientOrientation = None
    dataset.BodyPartExamined = "SPINE"
    dataset.ImageComments = picture.caption
    dataset.BurnedInAnnotation = "YES" if _names_the_patient(case_id, first) else "NO"
    _refer(dataset, source)
    return undated(dataset, source)


def _names_the_patient(case_id: str, header) -> bool:
    """Whether the case id, which is drawn on every picture, is or holds the patient's number or a part of the name."""
    names = {str(header.PatientID), str(header.AccessionNumber), *re.split(r"[\^=\s]+", str(header.PatientName))}
    parts = {case_id, *re.split(r"[._-]+", case_id)}
    return bool({name.casefold() for name in names if name} & {part.casefold() for part in parts})


def _refer(dataset, source: Source) -> None:
    """Name every instance of the source, and series by series those that are named (Common Instance Reference)."""
    from pydicom.dataset import Dataset

    found: dict[str, list[Dataset]] = {}
    for header in source.headers:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
        found.setdefault(header.SeriesInstanceUID, []).append(item)
    dataset.SourceImageSequence = [item for items in found.values() for item in items]
    dataset.ReferencedSeriesSequence = []
    for uid, items in found.items():
        series = Dataset()
        series.SeriesInstanceUID, series.ReferencedInstanceSequence = uid, copy.deepcopy(items)
        dataset.ReferencedSeriesSequence.append(series)
