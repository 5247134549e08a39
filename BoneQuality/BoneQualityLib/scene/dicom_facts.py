"""What Slicer's DICOM database knows of a volume: age and sex of its patient, never a name, a date or an id; and its files."""

from __future__ import annotations

import re

from ..errors import BoneQualityError

#: Years in the units of an age string (PS3.5, AS).
_YEARS = dict(Y=1.0, M=1 / 12, W=7 / 365.25, D=1 / 365.25)
_AGE, _SEX = "0010,1010", "0010,0040"


def facts_of(node) -> dict[str, str]:
    """What the DICOM database says of a volume node's patient, as a person would type it: "age" in whole years, "sex" F or M.

    Empty where the node did not come from the database, or the tags are not there.
    """
    database, instances = _database(), _instances(node)
    if database is None or not instances:
        return {}
    found = {}
    age = re.fullmatch(r"(\d{3})([YMWD])", database.instanceValue(instances[0], _AGE).strip())
    if age:
        found["age"] = f"{int(int(age[1]) * _YEARS[age[2]])}"
    sex = database.instanceValue(instances[0], _SEX).strip()
    if sex in ("F", "M"):
        found["sex"] = sex
    return found


def source_files(node) -> list[str]:
    """The DICOM files that a volume node was loaded from; raises BoneQualityError, by its name, where the database has them not."""
    database, instances = _database(), _instances(node)
    if database is None or not instances:
        raise BoneQualityError(
            "{name} was not loaded from Slicer's DICOM database, so that no DICOM result can refer to it; import its series in the "
            "module DICOM, load it from there and measure again.",
            name=node.GetName(),
        )
    files = [database.fileForInstance(instance) for instance in instances]
    if not all(files):
        raise BoneQualityError(
            "Files of {name} are no longer in Slicer's DICOM database; import its series again in the module DICOM.",
            name=node.GetName(),
        )
    return files


def _database():
    import slicer

    return getattr(slicer, "dicomDatabase", None)


def _instances(node) -> list[str]:
    return (node.GetAttribute("DICOM.instanceUIDs") or "").split()
