"""From a mask to the vertebral body and its cancellous region.

A body is a depth map: the distance below the mask's surface in mm, on a lattice of 0.75 mm or finer, so that margins,
cross-sections and shares of voxels are read off one continuous field, at any orientation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from ..errors import NotMeasured
from ..image.distance import signed_distance
from ..image.grid import SUPERIOR, Grid
from ..image.mask import Mask

#: A body fills most of its convex hull; arch and processes leave a whole vertebra at about half.
BODY_SOLIDITY = 0.65
#: Half-width of the column over which the endplates' centers are read, as a share of the body's half extents.
CENTRAL_SHARE = 0.35
#: Pores are 0 to 0.7 % of the masks of networks and people, up to 1.2 % of rough ones of 3 mm voxels, 3 to 13 % of those of a
#: threshold. Holes up to HOLE_MM (at least a voxel) are closed.
FULL_OF_HOLES, HOLE_MM = 0.02, 2.0
#: How far a depth map reaches beyond its mask: what interpolation and shares of voxels at the surface need.
RIM_MM = 1.5


@dataclass(frozen=True, eq=False)
class Body:
    """A vertebral body as a field.

    depth: mm below the surface, positive inside, float32 ``[k, j, i]`` on ``grid``.
    clearance: mm from the nearest excluded structure, positive outside it, on the same lattice; None without any.
    covers: "body", or "cancellous" for a region drawn by hand, which takes no margin.
    """

    level: str
    mask: Mask
    covers: str
    grid: Grid
    depth: np.ndarray
    clearance: np.ndarray | None

    def field(self, margin_mm: float) -> np.ndarray:
        """Positive in the cancellous region: everything ``margin_mm`` below the surface and outside exclusions."""
        inside = self.depth - np.float32(0.0 if self.covers == "cancellous" else margin_mm)
        return inside if self.clearance is None else np.minimum(inside, self.clearance)

    @cached_property
    def center(self) -> np.ndarray:
        """RAS of the centroid."""
        return self.mask.center

    def endplate_centers(self, superior: np.ndarray = SUPERIOR) -> tuple[float, float]:
        """Positions of the lower and the upper endplate's center along ``superior``, see the function of that name."""
        return endplate_centers(self.grid.points(self.depth > 0), self.center, superior, self.grid)


def endplate_centers(points: np.ndarray, center: np.ndarray, superior: np.ndarray, grid: Grid) -> tuple[float, float]:
    """Where lines along ``superior`` through the middle of a body meet its lower and its upper endplate.

    points: RAS of the body's voxel centers on ``grid``, shape (n, 3). Returns the two positions along ``superior`` in mm (dot
    product with RAS): medians over the central column, so that a pit or a rim does not move them.
    """
    first, second = np.linalg.svd(superior[None])[2][1:]
    right, front, along = np.einsum("rc,nc->rn", [first, second, superior], points - center)
    distance = np.hypot(right, front)
    column = distance <= CENTRAL_SHARE * np.percentile(distance, 95)
    cells = np.round(np.stack([right, front])[:, column] / max(grid.spacing)).astype(int)
    cells -= cells.min(axis=1, keepdims=True)
    low, high = np.full((2, *cells.max(axis=1) + 1), [[[np.inf]], [[-np.inf]]])
    np.minimum.at(low, tuple(cells), along[column])
    np.maximum.at(high, tuple(cells), along[column])
    filled, middle = high >= low, float(center @ superior)
    half_voxel = 0.5 * float(np.abs(superior @ grid.ijk_to_ras[:3, :3]).max())
    return middle + float(np.median(low[filled])) - half_voxel, middle + float(np.median(high[filled])) + half_voxel


def place_body(level: str, mask: Mask, exclusions: list[Mask], covers: str) -> Body:
    """The body's depth map from its mask.

    mask: the voxels of one vertebral body, or of a cancellous region drawn by hand (``covers`` "cancellous").
    exclusions: what does not count as cancellous bone, such as the basivertebral vein, bone islands or cement.
    Raises NotMeasured where the mask holds nothing.
    """
    mask = mask.cropped()  # a body that was cut out of a whole vertebra's mask comes on the lattice of the whole
    grid, depth = depth_map(mask)
    clearance = None
    for exclusion in exclusions:
        share = exclusion.on(grid) >= 0.5
        if share.any():
            distance = -signed_distance(share, grid.spacing[::-1])
            clearance = distance if clearance is None else np.minimum(clearance, distance)
    return Body(level, mask, covers, grid, depth, clearance)


def depth_map(mask: Mask) -> tuple[Grid, np.ndarray]:
    """Signed distance to the mask's surface, which runs midway between inside and outside voxel centers.

    Returns the lattice (0.75 mm or finer, wider than the mask by ``RIM_MM`` on every side) and the distance in mm, positive
    inside, float32.
    """
    fine = mask.grid.refined(mask.grid.fine_factors())
    rim = np.ceil(RIM_MM / fine.spacing[::-1]).astype(int)
    fine = fine.box([slice(-n, size + n) for n, size in zip(rim, fine.shape)])
    inside = mask.on(fine) >= 0.5
    if not inside.any():
        raise NotMeasured("the mask is empty")
    return fine, signed_distance(inside, fine.spacing[::-1])


def porosity(mask: Mask) -> float:
    """Narrow pores, as thresholds leave them in bone: voxels outside with four to six neighbors inside, as a share of the mask."""
    inside = np.pad(mask.array, 1).view(np.uint8)
    neighbors = np.zeros(mask.array.shape, np.uint8)
    for axis in range(3):
        for start in (0, 2):
            part = [slice(1, -1)] * 3
            part[axis] = slice(start, start + mask.array.shape[axis])
            neighbors += inside[tuple(part)]
    return float(np.count_nonzero((neighbors >= 4) & ~mask.array) / max(np.count_nonzero(mask.array), 1))


def without_holes(mask: Mask) -> tuple[Mask, float]:
    """A mask full of holes with those of up to 2 mm closed, and the volume filled, mm3; other masks as they are, and 0."""
    if porosity(mask) < FULL_OF_HOLES or min(mask.grid.spacing) > HOLE_MM:
        return mask, 0.0
    wide = mask.padded(int(np.ceil(HOLE_MM / min(mask.grid.spacing))) + 1)
    spacing, radius = wide.grid.spacing[::-1], max(HOLE_MM / 2, float(min(wide.grid.spacing)))
    near = ndimage.distance_transform_edt(~wide.array, spacing) <= radius
    closed = wide.array | (ndimage.distance_transform_edt(near, spacing) > radius)
    filled = Mask(mask.name, closed, wide.grid).cropped()
    return filled, filled.volume - mask.volume


def solidity(mask: Mask) -> float:
    """Volume of the mask over that of its convex hull, voxels counted with their corners; 1 for convex masks."""
    border = mask.row_ends
    offsets = np.array(np.meshgrid([-0.5, 0.5], [-0.5, 0.5], [-0.5, 0.5])).reshape(3, -1).T @ mask.grid.ijk_to_ras[:3, :3].T
    try:
        hull_of_centers = border[ConvexHull(border).vertices]
    except (QhullError, ValueError):
        hull_of_centers = border
    corners = (hull_of_centers[:, None] + offsets).reshape(-1, 3)
    return mask.volume / ConvexHull(corners).volume


def has_posterior_elements(mask: Mask) -> bool:
    """Whether a vertebra's mask holds arch and processes beside the body, by its shape."""
    return solidity(mask) < BODY_SOLIDITY
