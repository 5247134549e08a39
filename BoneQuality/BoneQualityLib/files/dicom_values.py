"""Values of DICOM tags: texts of one line and finite numbers, whatever the header holds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import BoneQualityError


@contextmanager
def damage_of(path) -> Iterator[None]:
    """Say what goes wrong while a DICOM file is read in one sentence about the file."""
    try:
        yield
    except (BoneQualityError, MemoryError):
        raise
    except OSError as error:
        raise BoneQualityError(
            "{path} cannot be read ({reason}): check its permissions and its disk.", path=path, reason=error.strerror
        ) from None
    except Exception:  # pydicom has no common base class for what a damaged header makes it raise
        raise BoneQualityError("{path} is damaged: copy or export it again.", path=path) from None


def value_of(header, name: str):
    """A tag's value as pydicom gives it, None where it is absent or malformed."""
    try:
        return header.get(name)
    except Exception:  # a malformed tag is as good as none
        return None


def text(header, name: str) -> str | None:
    """A tag's values as one line without quotes, None where it is absent, empty or malformed."""
    try:
        value = value_of(header, name)
        values = [value] if isinstance(value, str) else list(value or [])
        return " ".join(re.sub(r"[\"'\x00-\x1f]", " ", " ".join(map(str, values))).split()) or None
    except Exception:  # a malformed tag is as good as none
        return None


def numbers(header, name: str, count: int) -> list[float] | None:
    """A tag's ``count`` finite numbers, None where it has other ones."""
    try:
        value = value_of(header, name)
        values = [float(v) for v in (value if count > 1 else [value])]
    except Exception:  # a malformed tag is as good as none
        return None
    return values if len(values) == count and all(map(math.isfinite, values)) else None


def number(header, name: str) -> float | None:
    """A tag's finite number, None where it has none."""
    values = numbers(header, name, 1)
    return values[0] if values else None
