"""The vertebrae of one image, each with its body, its axes and what is left out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..anatomy.structure import Segment
from ..errors import NotMeasured, Sentence
from ..image.mask import Mask
from ..parameters import LEVELS
from ..states import Flag
from .body import FULL_OF_HOLES, has_posterior_elements, porosity, without_holes
from .body_cut import BodyCut, body_middle, cut_body
from .frame import Frame, first_frame, place_frame
from .pieces import PIECE_SHARE, Pieces, beyond_the_disc, main_piece, split_bodies


@dataclass(eq=False)
class Surroundings:
    """What else was segmented: CSF drawn at a level by level, sac or canal masks, cords, bodies of any level, exclusions by level;
    ribs by the level of their vertebra, and what shows the sacrum, to audit the numbering."""

    csf: list[tuple[str, Mask]] = field(default_factory=list)
    sacs: list[Mask] = field(default_factory=list)
    cords: list[Mask] = field(default_factory=list)
    bodies: list[Mask] = field(default_factory=list)
    exclusions: list[tuple[str, Mask]] = field(default_factory=list)
    ribs: list[tuple[str, Mask]] = field(default_factory=list)
    sacra: list[Mask] = field(default_factory=list)

    @property
    def canal(self) -> Mask | None:
        """What lies behind the bodies."""
        return next(iter((*self.sacs, *self.cords)), None)


@dataclass(eq=False)
class Vertebra:
    """One vertebra of one image. What is asked of it is worked out when it is asked for, and only once.

    mask: as it was segmented. said: what the mask covers, as a person or the segment's name says; "" to judge by its shape.
    above, below: the nearest vertebrae that have a mask. other_pieces: volume of the mask's other pieces, as a share of this one.
    closed_mm3: volume of the holes that were closed.
    """

    level: str
    mask: Mask
    said: str
    surroundings: Surroundings
    above: Vertebra | None = None
    below: Vertebra | None = None
    other_pieces: float = 0.0
    closed_mm3: float = 0.0

    @cached_property
    def covers(self) -> str:
        """What the mask covers: "vertebra", "body" or "cancellous"."""
        return self.said or ("vertebra" if has_posterior_elements(self.mask) else "body")

    @cached_property
    def middle(self) -> np.ndarray:
        """RAS of the body's middle, roughly: what neighbors need."""
        return body_middle(self.mask) if self.covers == "vertebra" else self.mask.center

    @property
    def _neighbors(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        return tuple(vertebra.middle if vertebra is not None else None for vertebra in (self.above, self.below))

    @cached_property
    def _cut(self) -> BodyCut | None:
        if self.covers != "vertebra" or self.surroundings.bodies:
            return None
        return cut_body(self.mask, *self._neighbors, self.surroundings.canal)

    @cached_property
    def _parts(self) -> Pieces:
        """The body without what is joined to it of another one."""
        return Pieces(self._whole_body, 0.0) if self.covers == "cancellous" else split_bodies(self._whole_body, self._superior)

    @property
    def _superior(self) -> np.ndarray:
        """Roughly: along the neighbors, else the patient's."""
        above, below = self._neighbors
        return first_frame(self.middle, above, below)

    @property
    def body(self) -> Mask:
        """The vertebral body (or the cancellous region that was drawn), its main piece alone.

        Raises NotMeasured where there is none.
        """
        return self._parts.main

    @property
    def unmixed(self) -> Mask | None:
        """The whole vertebra's mask, where the body was cut from one that holds nothing of another vertebra."""
        return self.mask if self.covers == "vertebra" and self.fragments <= PIECE_SHARE else None

    @cached_property
    def fragments(self) -> float:
        """Volume of what the mask holds beside its main piece and other than posterior elements, as a share of the body."""
        parts = self.other_pieces + self._parts.other_share
        return parts if self.covers != "vertebra" else parts + beyond_the_disc(self.mask, self.body, self._superior)

    @cached_property
    def _whole_body(self) -> Mask:
        """The body, of a whole vertebra what a mask of bodies has in common with it, or what is left when the posterior elements
        are cut off. Raises NotMeasured where the mask is full of holes too large to close."""
        if porosity(self.mask) > FULL_OF_HOLES:
            raise NotMeasured(
                "the mask is full of holes, as a threshold leaves them; fill them (Segment Editor: Smoothing > Closing, or Wrap Solidify)",
                "mask-holes",
            )
        if self.covers != "vertebra":
            return self.mask
        if self._cut is not None:
            return self._cut.body
        share = sum(bodies.on(self.mask.grid) for bodies in self.surroundings.bodies)
        body = Mask(self.mask.name, self.mask.array & (share >= 0.5), self.mask.grid)
        if not body.array.any():
            raise NotMeasured("the mask of vertebral bodies does not meet this vertebra")
        return body.cropped()

    @cached_property
    def _axes(self) -> tuple[Frame | None, str]:
        posterior = self._cut.posterior if self._cut is not None else None
        if posterior is None and self.covers == "vertebra":
            posterior = Mask(self.mask.name, self.mask.array & (self.body.on(self.mask.grid) < 0.5), self.mask.grid)
        try:
            frame = place_frame(self.body, *self._neighbors, self.surroundings.canal, posterior)
        except NotMeasured as reason:
            return None, str(reason)
        return frame, frame.uncertain

    @property
    def frame(self) -> Frame | None:
        """The vertebra's own axes; None where the mask shows none."""
        return self._axes[0]

    @property
    def exclusions(self) -> list[Mask]:
        return [mask for level, mask in self.surroundings.exclusions if level in ("", self.level)]

    @property
    def mask_doubts(self) -> list[Flag]:
        """What is wrong with the mask itself."""
        return [Flag("mask-fragmented", value=100 * self.fragments, unit="%")] if self.fragments > PIECE_SHARE else []

    @property
    def doubts(self) -> list[Flag]:
        """What is uncertain about the body or its axes."""
        said = [self._cut.doubt if self._cut is not None else "", self._axes[1]]
        found = [Flag("frame-uncertain", about=Sentence.joined(filter(None, said)))] if any(said) else []
        if self.closed_mm3:
            found.append(Flag("mask-holes", value=self.closed_mm3, unit="mm3 filled"))
        return found + self.mask_doubts


def read_vertebrae(segments: list[Segment], asked: str) -> tuple[dict[str, Vertebra], Surroundings]:
    """The vertebrae by level, top to bottom, and what lies around them. asked: what all masks cover, or "auto"."""
    masks = {s.structure.level: (s.load(), s.structure.covers) for s in segments if s.structure.kind == "vertebra"}
    masks = {level: masks[level] for level in LEVELS if level in masks}
    around = Surroundings()
    for segment in segments:
        kind, level = segment.structure.kind, segment.structure.level
        if kind not in ("csf", "sac", "cord", "bodies", "exclude", "rib", "sacrum"):
            continue
        mask = segment.load()
        if not mask.array.any():
            continue
        if kind in ("csf", "exclude", "rib"):
            {"csf": around.csf, "exclude": around.exclusions, "rib": around.ribs}[kind].append((level, mask))
        else:
            {"sac": around.sacs, "cord": around.cords, "bodies": around.bodies, "sacrum": around.sacra}[kind].append(mask)
    vertebrae = {}
    for level, (mask, covers) in masks.items():
        said = covers if asked == "auto" else asked
        mask, closed_mm3 = without_holes(mask)
        pieces = Pieces(mask, 0.0) if said == "cancellous" else main_piece(mask)
        vertebrae[level] = Vertebra(level, pieces.main, said, around, other_pieces=pieces.other_share, closed_mm3=closed_mm3)
    there = [vertebra for vertebra in vertebrae.values() if vertebra.mask.array.any()]
    for upper, lower in zip(there, there[1:]):
        upper.below, lower.above = lower, upper
    return vertebrae, around
