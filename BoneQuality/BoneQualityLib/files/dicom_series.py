"""A DICOM folder: its image series, and the choice among them."""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import Ambiguous, BoneQualityError
from .dicom_checks import DicomSlice, check_slice
from .dicom_images import NOT_OF_THE_PATIENT, images_in
from .dicom_stacks import lattice, one_stack, several_stacks
from .dicom_tags import header_tags
from .dicom_texts import nameless_text
from .dicom_values import number, numbers, text

PLACED_BY = {"ImagePositionPatient", "SharedFunctionalGroupsSequence"}
_PLANES = ("sagittal", "coronal", "axial")
#: The normal of a plane lies within 30 degrees of a patient axis, or the plane has no name.
_PLANE_COSINE = float(np.cos(np.radians(30)))


@dataclass(frozen=True)
class DicomSeries:
    """One volume: its images, ordered along the slice normal (row x column direction), and its tags."""

    images: tuple[DicomSlice, ...]
    tags: dict

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(image.path for image in self.images)

    @property
    def is_plain(self) -> bool:
        """Whether the images are several files of one image each, as MRML's reader takes them."""
        return len(self.images) > 1 and all(image.frame is None for image in self.images)

    @property
    def frame_of_reference(self) -> str:
        """The UID of the space in which the images lie, "" where they say none."""
        return text(self.images[0].header, "FrameOfReferenceUID") or ""

    @property
    def is_rescaled_alike(self) -> bool:
        """Whether one slope and intercept hold for all of them."""
        return len({(number(i.header, "RescaleSlope"), number(i.header, "RescaleIntercept")) for i in self.images}) == 1

    @property
    def ijk_to_ras(self) -> np.ndarray:
        """From voxel index to RAS mm, 4x4."""
        return lattice(list(self.images))


def find_series(folder, series_uid: str | None = None) -> DicomSeries:
    """The only image series in a folder and its subfolders, or the one of ``series_uid``, fit to be read as a volume.

    >>> find_series("dicom").tags["kvp"]
    120.0
    """
    folder = Path(folder)
    with _quiet_headers():
        return _series(one_stack(folder, _checked(folder, series_uid)))


def find_stacks(folder, series_uid: str | None = None) -> list[DicomSeries]:
    """The stacks of the series, top to bottom: lumbar axial MRI often has one angled to each disc. See `find_series`."""
    folder = Path(folder)
    with _quiet_headers():
        return [_series(stack) for stack in several_stacks(folder, _checked(folder, series_uid))]


def folder_and_series(given: str | Path, series_uid: str | None = None) -> tuple[Path | None, str | None]:
    """The folder and the series of DIR or DIR@UID; no folder for a file. series_uid: where DIR names none."""
    given = str(given)
    if os.path.isdir(given):
        return Path(given), series_uid
    for at in (n for n in reversed(range(len(given))) if given[n] == "@"):
        if os.path.isdir(given[:at]):
            return Path(given[:at]), given[at + 1 :]
    return None, series_uid


@contextmanager
def _quiet_headers():
    """While it is open pydicom says nothing of values that break the standard."""
    import pydicom

    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def _checked(folder: Path, series_uid: str | None) -> list[DicomSlice]:
    """The images of the series, each of them fit to be read."""
    if not folder.is_dir():
        raise BoneQualityError("{folder} is not a folder: name the folder with the DICOM files.", folder=folder)
    chosen = _chosen(folder, images_in(folder), series_uid)
    for each in chosen:
        check_slice(each)
    return chosen


def _series(images: list[DicomSlice]) -> DicomSeries:
    return DicomSeries(tuple(images), header_tags(images[0].header))


def _chosen(folder: Path, images: list[DicomSlice], series_uid: str | None) -> list[DicomSlice]:
    groups: dict[str, list[DicomSlice]] = {}
    for each in images:
        groups.setdefault(text(each.header, "SeriesInstanceUID") or "", []).append(each)
    groups = {uid: group for uid, group in groups.items() if not all(map(_is_no_image, group))}
    if not groups:
        raise BoneQualityError("{folder} holds no DICOM image: name a folder with one image series.", folder=folder)
    if series_uid is not None:
        if series_uid not in groups:
            raise Ambiguous(
                "{folder} holds no series {uid}: choose one as {folder}@UID.", _listed(groups), folder=folder, uid=series_uid
            )
        return _without_localizers(groups[series_uid])
    placed = {uid: group for uid, group in groups.items() if all(PLACED_BY & set(each.header.dir()) for each in group)}
    scans = {uid: group for uid, group in placed.items() if not all(map(_is_localizer, group))}
    candidates = scans or placed or groups
    if len(candidates) > 1:
        raise Ambiguous("{folder} holds several image series: choose one as {folder}@UID.", _listed(candidates), folder=folder)
    return _without_localizers(next(iter(candidates.values())))


def _is_no_image(image: DicomSlice) -> bool:
    return text(image.header, "Modality") in NOT_OF_THE_PATIENT


def _is_localizer(image: DicomSlice) -> bool:
    return "LOCALIZER" in (text(image.header, "ImageType") or "").upper().split()


def _without_localizers(images: list[DicomSlice]) -> list[DicomSlice]:
    return [image for image in images if not _is_localizer(image)] or images


def _listed(groups: dict[str, list[DicomSlice]]) -> str:
    """What a person chooses by: for every series its UID, description, number and size of images, plane, TR and TE."""
    return "; ".join(f"{uid or 'no UID'}: {_described(group)}" for uid, group in groups.items())


def _described(images: list[DicomSlice]) -> str:
    header = images[0].header
    parts = [
        nameless_text(header, "SeriesDescription") or "",
        f"{len(images)} {text(header, 'Modality') or ''} images".replace("  ", " "),
    ]
    parts[1] += f" of {header.get('Columns')} x {header.get('Rows')}"
    parts.append(_plane(images))
    for name, tag in (("TR", "RepetitionTime"), ("TE", "EchoTime")):
        if value := number(header, tag):
            parts.append(f"{name} {value:.4g} ms")
    return ", ".join(filter(None, parts))


def _plane(images: list[DicomSlice]) -> str:
    names = []
    for image in images:
        axes = numbers(image.header, "ImageOrientationPatient", 6)
        if axes is None:
            return ""
        normal = np.abs(np.cross(axes[:3], axes[3:]))
        names.append(_PLANES[int(normal.argmax())] if normal.max() > _PLANE_COSINE else "oblique")
    return " and ".join(sorted(set(names)))
