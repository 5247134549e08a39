"""The decimal point that readers and writers need, whatever the locale."""

from __future__ import annotations

import contextlib
import locale
from collections.abc import Iterator


@contextlib.contextmanager
def decimal_point() -> Iterator[None]:
    """Let C libraries read and write numbers with a decimal point while the block (or decorated function) runs.

    Where a locale with a decimal comma is set, as Qt does at the start of a program, ITK and MRML read a spacing of 1.2 as 1.
    """
    before = locale.setlocale(locale.LC_NUMERIC)
    locale.setlocale(locale.LC_NUMERIC, "C")
    try:
        yield
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)
