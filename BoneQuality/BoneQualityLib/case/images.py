"""What a case is measured from: images, and the segments drawn on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..anatomy.structure import Segment
from ..image.image import Image
from ..measures.roi import PlanarRoi

#: Called with the share done and what comes next; an exception from it cancels.
Progress = Callable[[float, str], None]
#: ROIs that a person edited, by level or disc and kind ("upper", "middle", "lower", "marrow", "csf", "left multifidus", "disc").
Edits = Mapping[tuple[str, str], PlanarRoi]


@dataclass(frozen=True, eq=False)
class Given:
    """An image, and the segments drawn on it; segments are read when they are needed."""

    image: Image
    segments: tuple[Segment, ...]


@dataclass(frozen=True, eq=False)
class AxialGiven:
    """Images of the muscles (T2 or T1 MRI or CT, in its place or beside it fat and water), and the segments drawn on them."""

    signal: Image | None
    fat: Image | None
    water: Image | None
    segments: tuple[Segment, ...]


@dataclass(frozen=True, eq=False)
class CaseImages:
    """The images of a case; any of them may be absent."""

    ct: Given | None = None
    t1: Given | None = None
    axial: AxialGiven | None = None
