"""HU of cancellous bone against slice thickness, masks and bone."""

from __future__ import annotations

from . import Row

PARTS = ()


def rows() -> list[Row]:
    """Every row of this module."""
    return [row for part in PARTS for row in part()]
