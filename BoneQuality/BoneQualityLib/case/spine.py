"""What one image says of the spine, level by level."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..image.mask import Mask
from ..parameters import LEVELS, LUMBAR_USED, CaseFacts
from ..states import Exclusion, Flag
from ..vertebra.vertebra import Vertebra
from .result import Level


@dataclass(frozen=True, eq=False)
class SpineRead:
    """levels: by name, with what this image says alone. flags: of the image and its masks. values: cells of the case row.

    drawn: masks by level that lie on single slices.
    """

    levels: dict[str, Level]
    vertebrae: dict[str, Vertebra]
    flags: tuple[Flag, ...]
    values: dict
    drawn: dict[str, Mask] = field(default_factory=dict, kw_only=True)

    @property
    def masks(self) -> dict[str, Mask]:
        slices = {f"{name} slices": mask for name, mask in self.drawn.items()}
        return {name: vertebra.mask for name, vertebra in self.vertebrae.items()} | slices


def excluded(level: str, facts: CaseFacts) -> tuple[Exclusion, ...]:
    """Why a level does not enter the case values, before anything is measured."""
    return facts.exclusions(level) or (() if level in LUMBAR_USED else (Exclusion.OUTSIDE_MEAN,))


def left_out(facts: CaseFacts) -> list[str]:
    """Levels that a person spoke of: their masks may be missing."""
    return [level for level in LEVELS if facts.exclusions(level)]
