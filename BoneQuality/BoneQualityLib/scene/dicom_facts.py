"""Age and sex of a patient from Slicer's DICOM database; never a name, a date or an id."""

from __future__ import annotations

import re

#: Years in the units of an age string (PS3.5, AS).
_YEARS = dict(Y=1.0, M=1 / 12, W=7 / 365.25, D=1 / 365.25)
_AGE, _SEX = "0010,1010", "0010,0040"


def facts_of(node) -> dict[str, str]:
    """What the DICOM database says of a volume node's patient, as a person would type it: "age" in whole years, "sex" F or M.

    Empty where the node did not come from the database, or the tags are not there.
    """
    import slicer

    database = getattr(slicer, "dicomDatabase", None)
    instances = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
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
