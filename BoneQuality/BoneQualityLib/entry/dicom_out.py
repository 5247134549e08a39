"""DICOM files of a measured case, from the series that it was measured on."""

from __future__ import annotations

from pathlib import Path

from ..anatomy.vocabulary import vertebra_codes
from ..errors import BoneQualityError, Sentence
from ..files.dicom_series import find_series, find_stacks, folder_and_series
from ..files.writing import check_free
from ..outputs.dicom_files import check_packages, dicom_contents, dicom_paths, picture_paths
from ..outputs.dicom_source import Source, read_source
from .inputs import CaseInputs
from .measured_case import MeasuredCase

#: What DICOM results may refer to: role, title, and the inputs that it is read from, of which the first that is there counts.
ROLES = (("ct", "CT", ("ct",)), ("t1", "T1 MRI", ("t1",)), ("axial", "axial MRI", ("axial_mr", "fat")))


def sources_of(inputs: CaseInputs) -> dict[str, Source]:
    """The DICOM series of every image of a case, by role; raises BoneQualityError, by its title, for an image that is none."""
    found = {}
    for role, title, names in ROLES:
        given = next((inputs.given[name] for name in names if inputs.given.get(name)), ())
        if given:
            found[role] = read_source(title, [path for each in given for path in _files(title, each, inputs.series)])
    return found


def check_dicom(inputs: CaseInputs, sources: dict[str, Source], folder: str | Path, overwrite: bool, pictures: bool) -> None:
    """Raise BoneQualityError for the first DICOM file that is there already, or without highdicom."""
    check_packages()
    case_id = inputs.facts.case_id
    check_free(dicom_paths(folder, case_id, sources) + (picture_paths(folder, case_id) if pictures else []), overwrite)


def dicom_files_of(case: MeasuredCase, sources: dict[str, Source], folder: str | Path, pictures: bool) -> dict[Path, bytes]:
    """The regions (SEG), the numbers (SR) and, if asked, the pictures (SC) of every image as files in ``folder``: what each one holds."""
    return dicom_contents(
        case.document(), case.seen, sources, vertebra_codes(), Path(folder).absolute(), case.pictures if pictures else ()
    )


def _files(title: str, given: str, series: tuple[str, ...]) -> list[Path]:
    folder, uid = folder_and_series(given, *series)
    if folder is None:
        raise BoneQualityError(
            "The {title} {given} is no DICOM series, which DICOM files refer to; give its DICOM folder.", title=Sentence(title), given=given
        )
    stacks = find_stacks(folder, uid) if title == "axial MRI" else [find_series(folder, uid)]
    return [path for stack in stacks for path in dict.fromkeys(stack.paths)]
