"""A structure of the spine, and a segment that shows one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..image.mask import Mask


@dataclass(frozen=True)
class Structure:
    """What a segment shows.

    kind: vertebra, bodies, discs (of any level), disc, csf, sac, cord, sacrum, rib, exclude, psoas_major, multifidus, erector_spinae,
    iliopsoas, autochthon.
    level: of a vertebra, of a disc (L3-L4), of CSF drawn at a level, of an exclusion, of the vertebra that a rib belongs to; S1 of
    the first sacral vertebra; "" where none is said.
    side: "left", "right" or "". covers: "vertebra", "body", "cancellous" or "" (not said).
    """

    kind: str
    level: str = ""
    side: str = ""
    covers: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.side, self.level, self.kind.replace("_", " "), self.covers)))


@dataclass(frozen=True)
class Conflict:
    """A segment, or several, whose structure is not clear: which ones they may show, and the sentence that names the remedy."""

    structures: tuple[Structure, ...]
    sentence: str


@dataclass(frozen=True, eq=False)
class Segment:
    """A segment or label before its voxels are read. ``load`` gives the mask, empty masks included."""

    name: str
    source: str
    load: Callable[[], Mask] = field(repr=False)
    identifier: str = ""
    terminology: str = ""
    structure: Structure | None = None

    def __str__(self) -> str:
        return f"segment {self.name} of {self.source}"

    def names(self) -> dict[str, str]:
        """What a sentence about the segment names."""
        return dict(name=self.name, source=self.source)
