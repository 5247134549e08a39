"""The error budget: how wrong each number gets, part by part; printed by ``Testing/accuracy.py``.

Every module here exposes ``rows() -> list[Row]``. One that takes long also lists ``PARTS``, functions without arguments that return
a list of rows each and together give what ``rows()`` gives: two processes share the parts of all modules.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the budget.

    what: the number, such as "3D-HU". setting: voxels, masks, phantoms, and how many. measured, target: texts with units; target
    is "" where the line only informs. met: whether the target is met. readme: whether the line stands in the README's extract.
    """

    what: str
    setting: str
    measured: str
    target: str = ""
    met: bool = True
    readme: bool = False


def at_most(what: str, setting: str, value: float, limit: float, unit: str, decimals: int = 2, readme: bool = False) -> Row:
    """The row of a number that must not exceed a limit; one that is no number misses it."""
    return Row(what, setting, f"{value:.{decimals}f} {unit}", f"<= {limit:g} {unit}", bool(value <= limit), readme)


def at_least(what: str, setting: str, value: float, limit: float, unit: str, decimals: int = 2, readme: bool = False) -> Row:
    """The row of a number that must reach a limit."""
    return Row(what, setting, f"{value:.{decimals}f} {unit}", f">= {limit:g} {unit}", bool(value >= limit), readme)
