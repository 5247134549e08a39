"""What a case is measured from: images, and the segments drawn on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from ..anatomy.structure import Conflict, Segment
from ..image.image import Image
from ..image.mask import Mask
from ..measures.roi import PlanarRoi

#: Called with the share done and what comes next; an exception from it cancels.
Progress = Callable[[float, str], None]
#: ROIs that a person edited, by level or disc and kind ("upper", "middle", "lower", "marrow", "csf", "left multifidus", "disc").
Edits = Mapping[tuple[str, str], PlanarRoi]


@dataclass(frozen=True, eq=False)
class Given:
    """An image, and the segments drawn on it; segments are read when they are needed.

    ignored: segments of other structures whose own is not clear.
    """

    image: Image
    segments: tuple[Segment, ...]
    ignored: tuple[Conflict, ...] = ()


@dataclass(frozen=True, eq=False)
class AxialStack:
    """Images of one stack of slices: T2 or T1 MRI or CT, and in its place or beside it fat and water."""

    signal: Image | None
    fat: Image | None = None
    water: Image | None = None


@dataclass(frozen=True, eq=False)
class AxialGiven:
    """Images of the muscles, one or several stacks, and the segments drawn on them. ignored: as of Given."""

    stacks: tuple[AxialStack, ...]
    segments: tuple[Segment, ...]
    ignored: tuple[Conflict, ...] = ()


@dataclass(frozen=True, eq=False)
class CaseImages:
    """The images of a case; any of them may be absent."""

    ct: Given | None = None
    t1: Given | None = None
    axial: AxialGiven | None = None


def on_voxels_of(segments: Iterable[Segment], images: Sequence[Image]) -> tuple[Segment, ...]:
    """The segments with masks that lie exactly on the voxels of an image where they do so but for rounding."""

    def load(segment: Segment) -> Mask:
        mask = segment.load()
        return next((settled for image in images if (settled := mask.settled_on(image.grid)) is not mask), mask)

    return tuple(replace(segment, load=cache(partial(load, segment))) for segment in segments)
