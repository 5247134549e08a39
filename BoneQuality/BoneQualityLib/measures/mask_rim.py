"""Whether a mask lies on the bone it names: on CT a bright rim of cortex must run along its surface, on T1 MRI a dark one.

A mask that was moved, mirrored, swollen or drawn for another patient has the rim inside it or nowhere near it, while its mean
may look plausible. Both readings are taken from masks and image alone, and hold no memory of how the mask was made.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..errors import NotMeasured
from ..image.distance import signed_distance
from ..image.grid import Grid
from ..image.image import Image
from ..image.resampling import sample
from ..vertebra.body import Body

#: Profiles run along the outward normal, mm: the rim is sought from RIM_FROM to RIM_TO, the interior from DEEPEST to INNER_TO.
#: The interior counts where it is DEEP_ENOUGH below any surface: a crushed body's other endplate is no interior.
RIM_FROM_MM, RIM_TO_MM, DEEPEST_MM, INNER_TO_MM, DEEP_ENOUGH_MM = -2.0, 2.5, -12.0, -3.5, 2.5
OFFSETS_MM = np.arange(DEEPEST_MM, RIM_TO_MM + 0.01, 0.5)
#: Patches of the surface by direction from the body's center, and points of the surface that are read at most.
PATCHES, MOST_POINTS = 40, 1600
#: Dense bone is nearly as bright as its blurred cortex: a patch is granted this share of what its interior has above 60 HU.
DENSE_SHARE, DENSE_HU = 0.3, 60.0
#: Half of the patches show more than a tenth of them must, HU: in even soft tissue all of them show nothing.
MEDIAN_HU = 15.0
#: Below this there is no rim, HU. By 80 phantoms of 10 kinds: see Testing/budget/plausibility.py for the curve and what was left out.
LEAST_RIM_HU = 5.0
#: Normals are read off a surface smoothed by this much, so that the stairs of voxels do not turn them.
SMOOTH_MM = 1.5
#: Room around a cross-section for its depth map, samples.
PAD = 12


def rim_on_ct(body: Body, image: Image) -> float:
    """How far the cortex along a body's surface stands out from what lies deeper, HU; low or negative off the bone.

    In each of 40 patches of the surface, by direction, the mean profile along the outward normal gives the highest value within
    -2 to +2.5 mm less the highest one 3.5 to 12 mm deep, plus what dense bone is granted. Returned is the lesser of two: the low
    decile over the patches, and their median less 15 HU. Raises NotMeasured if the surface lies outside the image.
    """
    near, deep = profiles_on_ct(body, image)
    rim = np.nanmax(near, axis=1) - np.nanmax(deep, axis=1)
    rim += DENSE_SHARE * np.maximum(np.nanmean(deep, axis=1) - DENSE_HU, 0)
    return float(min(np.quantile(rim, 0.1), np.median(rim) - MEDIAN_HU))


def profiles_on_ct(body: Body, image: Image) -> tuple[np.ndarray, np.ndarray]:
    """Mean HU by patch and distance from the surface (rows: patches), near it and deeper; nan at the distances of the other."""
    points, normals = _surface(body)
    places = points[:, None] + OFFSETS_MM[:, None] * normals[:, None]
    values = _known(image, places.reshape(-1, 3)).reshape(places.shape[:2])
    inner, patch = OFFSETS_MM <= INNER_TO_MM, _patches(points)
    depth = sample(body.depth, body.grid, places[:, inner].reshape(-1, 3), order=1).reshape(len(points), -1)
    found = _profiles(values, inner, depth >= DEEP_ENOUGH_MM, patch, PATCHES)
    if len(found[0]) < PATCHES / 4:
        raise NotMeasured("too little of the mask's surface lies in the image")
    return found


def _profiles(
    values: np.ndarray, inner: np.ndarray, is_deep: np.ndarray, part: np.ndarray, parts: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean value by part of the surface and distance, near it and deeper; parts that lack either are left out.

    values: rows are points of the surface, columns distances; inner: which distances lie deeper; is_deep: which values there count;
    part: of each point. A mean needs a quarter of the part's points.
    """
    rim, distances = OFFSETS_MM >= RIM_FROM_MM, len(OFFSETS_MM)
    counted = np.isfinite(values)
    counted[:, inner] &= is_deep
    counted[:, ~(inner | rim)] = False
    at = (part[:, None] * distances + np.arange(distances))[counted]
    count, total = (np.bincount(at, weights, parts * distances).reshape(parts, -1) for weights in (None, values[counted]))
    least = np.maximum(np.bincount(part, minlength=parts) / 4, 1)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(count >= least, total / count, np.nan)
    near, deep = np.where(rim, means, np.nan), np.where(inner, means, np.nan)
    whole = np.isfinite(near).any(axis=1) & np.isfinite(deep).any(axis=1)
    return near[whole], deep[whole]


def _known(image: Image, points: np.ndarray) -> np.ndarray:
    """The image at RAS points, shape (n,); nan beyond it and where it holds no data."""
    box = image.grid.slices_around(points, pad=1)
    if box is None:
        return np.full(len(points), np.nan)
    array = image.array[box]
    known = image.holds_data(array)
    if not known.all():
        array = np.where(known, array, np.nan)
    return sample(array, image.grid.box(box), points, order=1)


def _surface(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Points of the surface in RAS and the outward unit normals there, both shape (n, 3), spread evenly over it."""
    spacing = body.grid.spacing[::-1]
    stride = np.maximum(np.round(SMOOTH_MM / spacing), 1).astype(int)
    thin = tuple(slice(None, None, s) for s in stride)
    smooth = ndimage.gaussian_filter(np.minimum(body.depth[thin], 4.0), SMOOTH_MM / (spacing * stride))
    k, j, i = np.nonzero((body.depth >= 0) & (body.depth < min(spacing)))
    chosen = slice(None, None, max(len(k) // MOST_POINTS, 1))
    index = np.stack([k, j, i], axis=1)[chosen]
    gradient = np.stack(
        [ndimage.map_coordinates(g, (index / stride).T, order=1, mode="nearest") for g in np.gradient(smooth, *(spacing * stride))],
        axis=1,
    )
    normals = -gradient[:, ::-1] @ body.grid.directions.T
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
    points = body.grid.ras(index[:, ::-1]) + normals * body.depth[tuple(index.T)][:, None]
    return points, normals


def _patches(points: np.ndarray) -> np.ndarray:
    """The patch of each point: the nearest of 40 directions spread evenly, once the body is drawn out to a sphere."""
    centered = points - points.mean(axis=0)
    spread, axes = np.linalg.eigh(np.einsum("na,nb->ab", centered, centered) / len(points))
    round_ = (centered @ axes) / np.sqrt(np.maximum(spread, 1e-6))
    turn = np.pi * (3 - np.sqrt(5)) * np.arange(PATCHES)
    height = 1 - 2 * (np.arange(PATCHES) + 0.5) / PATCHES
    flat = np.sqrt(1 - height**2)
    directions = np.stack([flat * np.cos(turn), flat * np.sin(turn), height])
    return np.argmax(round_ @ directions, axis=1)


#: T1: sectors of the outline on a sagittal section, and how far along it the profiles stand apart, mm.
SECTORS, OUTLINE_STEP_MM, T1_INNER_TO_MM = 20, 0.5, -3.5
#: Below this there is no rim, as a share of the interior: by 110 phantoms of 11 kinds, see Testing/budget/marrow.py.
LEAST_RIM_SHARE = 0.18


def rim_on_t1(body: np.ndarray, lattice: Grid, image: Image) -> float:
    """How much darker the cortex along a body's outline is than anything deeper, as a share of the interior's signal.

    body: the body's cross-section, bool [row, column] on a slice of ``lattice``. In each of 20 sectors around the center, the mean
    profile along the outward normal gives the lowest value 3.5 to 12 mm deep less the lowest within -2 to +2.5 mm. Returned is the
    lower quartile over the sectors. Blind to shifts across the slice. Raises NotMeasured where the outline lies outside the image.
    """
    near, deep = profiles_on_t1(body, lattice, image)
    contrast = np.nanmin(deep, axis=1) - np.nanmin(near, axis=1)
    return float(np.quantile(contrast, 0.25) / np.nanmean(deep))


def profiles_on_t1(body: np.ndarray, lattice: Grid, image: Image) -> tuple[np.ndarray, np.ndarray]:
    """Mean signal by sector and distance from the outline, near it and deeper, as `profiles_on_ct`."""
    spacing = lattice.spacing[1::-1]
    depth = signed_distance(np.pad(body, PAD), spacing)
    smooth = ndimage.gaussian_filter(np.clip(depth, -4, 4), SMOOTH_MM / spacing)
    index = np.argwhere((depth >= 0) & (depth < OUTLINE_STEP_MM)).astype(float)
    gradient = np.stack([ndimage.map_coordinates(g, index.T, order=1) for g in np.gradient(smooth, *spacing)], axis=1)
    normals = -gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-6)
    at = index + normals * depth[tuple(index.astype(int).T)][:, None] / spacing
    places = at[:, None] + OFFSETS_MM[:, None] * normals[:, None] / spacing
    depths = ndimage.map_coordinates(depth, places.reshape(-1, 2).T, order=1, mode="nearest").reshape(places.shape[:2])
    values = []
    for n in range(lattice.shape[0]):
        flat = places.reshape(-1, 2) - PAD
        points = lattice.ras(np.stack([flat[:, 1], flat[:, 0], np.full(len(flat), float(n))], axis=1))
        values.append(_known(image, points).reshape(places.shape[:2]))
    values = np.mean(values, axis=0)
    centered = (at - at.mean(axis=0)) * spacing
    sector = ((np.arctan2(*centered.T) / (2 * np.pi) % 1) * SECTORS).astype(int) % SECTORS
    inner = OFFSETS_MM <= T1_INNER_TO_MM
    found = _profiles(values, inner, depths[:, inner] >= DEEP_ENOUGH_MM, sector, SECTORS)
    if len(found[0]) < SECTORS / 4:
        raise NotMeasured("too little of the mask's outline lies in the image")
    return found
