"""Whether the values of a CT are Hounsfield units, by soft tissue around the spine and by the air around the body.

A CT whose values were scaled, shifted, windowed or normalized gives numbers that look like bone. Two tissues have known HU:
muscle and discs beside the vertebrae (20 to 80), and air (-1000). With both in view every scale and offset shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..errors import BoneQualityError, Sentence
from ..image.grid import SUPERIOR, Grid
from ..image.image import Image
from ..image.mask import Mask
from ..states import Flag

#: Checks need no finer lattice than this, mm: around the vertebrae, and in the whole image.
NEAR_MM, FAR_MM = 4.0, 6.0
#: Values beyond these are no HU, and a histogram that reached them would not fit into memory.
COUNTED_HU = (-1e5, 1e5)
#: Soft tissue: a shell around the vertebrae, mm; where its commonest value lies, or that of fat; the share of the shell in range.
SHELL_MM, SOFT_HU, FAT_HU, LEAST_SOFT = (3.0, 25.0), (-20.0, 120.0), (-140.0, -60.0), 0.20
FEWEST_VOXELS, GAS_HU = 50, -200.0
#: CSF, fat or air lie below this HU in any CT; fewer voxels than this share do not count.
BELOW_WATER_HU, LEAST_BELOW = -20.0, 0.0005
#: A small CT of soft tissue and bone alone may hold none; an MRI has its background at 0, and more than this share under 15.
DARK_MR, MOST_DARK = 15.0, 0.1
#: Fat and cortex alone span more than the 256 values of an 8-bit image; bone exceeds this HU in this share of the image.
EIGHT_BIT, CORTEX_HU, CORTEX_SHARE = 256.0, 100.0, 0.005
#: A mask of less than this is drawn within a body, and bone goes on for so many mm around it.
WHOLE_BODY_MM3, PARTIAL_SHELL_MM = 8000.0, 15.0
#: Everything that is darker may be air, at any scale down to 0.2; fat stays above.
DARK_HU = -150.0
#: Air around the body: where it must lie, what a scanner's calibration keeps to, and the least volume, less a rim of 3 mm or more.
AIR_HU, AIR_TOLERANCE_HU, AIR_WARNING_HU, LEAST_AIR_MM3, AIR_BORDER_MM = -1000.0, 60.0, 15.0, 1e5, 3.0
#: Air is even, lung is not: the share of a dark region within 40 HU of its own mode.
EVEN_HU, EVEN_SHARE = 40.0, 0.5
#: Constant values in this range around the body are air that was clipped or scaled; other constants are padding.
CLIPPED_HU = (-900.0, -150.0)
#: The mean of a z-scored image is 0 within this share of its standard deviation, whatever it was multiplied by afterwards.
NORMALIZED = 0.003
REMEDY = Sentence("choose the CT with its Hounsfield units, or import it again from DICOM")


@dataclass(frozen=True)
class Units:
    """What was found: mode of the soft tissue around the spine and of the air around the body, HU; nan where none is in view."""

    soft_hu: float
    air_hu: float

    @property
    def flags(self) -> list[Flag]:
        """`hu-unverified` where no air is in view, `hu-offset` where it is over 15 HU off."""
        if np.isnan(self.air_hu):
            return [Flag("hu-unverified")]
        return [Flag("hu-offset", value=self.air_hu, unit="HU")] if abs(self.air_hu - AIR_HU) > AIR_WARNING_HU else []


def check_hounsfield(image: Image, vertebrae: list[Mask], others: list[Mask]) -> Units:
    """The units of a CT, from about every third millimeter.

    vertebrae: their masks; others: masks of what else was segmented, which do not count as soft tissue.
    Raises BoneQualityError, by name, if the values cannot be HU: one value only, nothing below water, 8 bit, soft tissue or air
    elsewhere, no bone. Air outside the body must be in view to see an offset under 60 HU or a scale of 0.5 to 1.2.
    """
    far, far_grid = _coarse(image.array, image.grid, FAR_MM)
    near, near_grid = _near(image, vertebrae)
    values = np.concatenate([part[np.isfinite(part)] for part in (far, near)])
    if not values.size:
        raise BoneQualityError("{name} holds no numbers; export it again.", name=image.name)
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise BoneQualityError("{name} holds the value {low:g} everywhere; export the image again.", name=image.name, low=low)
    if np.mean(values < BELOW_WATER_HU) < LEAST_BELOW and np.mean(values < DARK_MR) > MOST_DARK:
        raise BoneQualityError(
            "{name} has hardly any value below {below:.0f}, so it is not in HU; {remedy}.",
            name=image.name,
            below=BELOW_WATER_HU,
            remedy=REMEDY,
        )
    if high - low < EIGHT_BIT:
        raise BoneQualityError(
            "{name} holds values from {low:.4g} to {high:.4g} only, so it is not in HU; {remedy}.",
            name=image.name,
            low=low,
            high=high,
            remedy=REMEDY,
        )
    soft = _soft_tissue(near, near_grid, vertebrae, others, image.name) if near.size else float("nan")
    air = _air(far, far_grid, image.name)
    if np.isnan(air) and (cortex := float(np.quantile(values, 1 - CORTEX_SHARE))) < CORTEX_HU:
        raise BoneQualityError(
            "{name} has nothing brighter than {cortex:.0f} in it, so it is not in HU; {remedy}.",
            name=image.name,
            cortex=cortex,
            remedy=REMEDY,
        )
    if np.isnan(air) and abs(np.nanmean(image.array)) < NORMALIZED * np.nanstd(far):
        raise BoneQualityError(
            "{name} was normalized to a mean of 0, so it is not in HU; {remedy}.", name=image.name, remedy=REMEDY
        )
    return Units(soft, air)


def _coarse(array: np.ndarray, grid: Grid, step_mm: float) -> tuple[np.ndarray, Grid]:
    """Single voxels about ``step_mm`` apart, float32, not averaged: noise stays what it is."""
    step = np.maximum(np.floor(step_mm / grid.spacing + 1e-6), 1).astype(int)
    thinned = array[tuple(slice(None, None, s) for s in step[::-1])].astype(np.float32)
    affine = grid.ijk_to_ras.copy()
    affine[:3, :3] *= step
    return thinned, Grid(thinned.shape, affine)


def _near(image: Image, vertebrae: list[Mask]) -> tuple[np.ndarray, Grid]:
    """The image around the vertebrae, thinned; empty where they lie outside."""
    corners = [mask.grid.corners() for mask in vertebrae if mask.array.any()]
    part = image.grid.slices_around(np.concatenate(corners)) if corners else None
    if part is None:
        return np.empty((0, 0, 0), np.float32), image.grid
    reach = np.ceil(SHELL_MM[1] / image.grid.spacing[::-1]).astype(int)
    part = tuple(slice(max(s.start - n, 0), min(s.stop + n, size)) for s, n, size in zip(part, reach, image.grid.shape))
    return _coarse(image.array[part], image.grid.box(part), NEAR_MM)


def _soft_tissue(values: np.ndarray, grid: Grid, vertebrae: list[Mask], others: list[Mask], name: str) -> float:
    """The commonest HU of the shell around the vertebrae; nan where there is none to speak of."""
    bone = np.any([mask.on(grid) > 0.25 for mask in vertebrae], axis=0)
    if not bone.any():
        return float("nan")
    away = ndimage.distance_transform_edt(~bone, grid.spacing[::-1])
    shell = (away >= _first_soft(vertebrae)) & (away <= SHELL_MM[1]) & np.isfinite(values)
    for mask in others:
        shell &= mask.on(grid) < 0.5
    tissue = values[shell]
    if tissue.size < FEWEST_VOXELS:
        return float("nan")
    solid = tissue[tissue > GAS_HU]  # lung and bowel may lie within the shell
    if len(solid) < LEAST_SOFT * len(tissue):
        solid = tissue
    mode = _mode(solid, 5.0, *np.quantile(solid, (0.005, 0.995)))
    in_range = float(np.mean((solid >= SOFT_HU[0]) & (solid <= SOFT_HU[1])))
    if not any(low <= mode <= high for low, high in (SOFT_HU, FAT_HU)) or in_range < LEAST_SOFT:
        raise BoneQualityError(
            "{name} is not in HU: around the vertebrae most values lie near {mode:.4g}, where soft tissue has 20 "
            "to 80 HU; {remedy}.",
            name=name,
            mode=mode,
            remedy=REMEDY,
        )
    return mode


def _first_soft(vertebrae: list[Mask]) -> float:
    """How far from the masks soft tissue begins, mm: farther where they fill a part of the bone alone."""
    return SHELL_MM[0] if np.mean([mask.volume for mask in vertebrae if mask.array.any()]) >= WHOLE_BODY_MM3 else PARTIAL_SHELL_MM


def _mode(values: np.ndarray, step: float, low: float, high: float) -> float:
    """The commonest value: peak of the histogram in bins of ``step``, smoothed by two bins."""
    low, high = np.clip((low, high), *COUNTED_HU)
    counts, edges = np.histogram(values, bins=max(int(np.ceil((high - low) / step)), 1), range=(low, max(high, low + 1e-3)))
    peak = int(np.argmax(ndimage.gaussian_filter1d(counts.astype(float), 2.0, mode="constant")))
    return float((edges[peak] + edges[peak + 1]) / 2)


def _air(coarse: np.ndarray, grid: Grid, name: str) -> float:
    """HU of the air around the body; nan where under 100 ml of it are in view. Gas of bowel and lung does not count."""
    dark = ~(coarse >= DARK_HU)
    if np.count_nonzero(dark) * grid.voxel_volume < LEAST_AIR_MM3:
        return float("nan")
    core = _eroded(_reaching_the_sides(dark, grid), grid)
    constant = _constant(coarse)
    values = coarse[core & ~constant]
    _check_clipped(coarse[core & constant & np.isfinite(coarse)], grid, name)
    if values.size * grid.voxel_volume < LEAST_AIR_MM3:
        return float("nan")
    air = _lowest_mode(values)
    if np.mean(np.abs(values - air) <= EVEN_HU) < EVEN_SHARE:
        return float("nan")
    if abs(air - AIR_HU) > AIR_TOLERANCE_HU:
        raise BoneQualityError(
            "{name} is not in HU: the air around the body lies at {air:.4g}, not at -1000; {remedy}.",
            name=name,
            air=air,
            remedy=REMEDY,
        )
    return air


def _eroded(inside: np.ndarray, grid: Grid) -> np.ndarray:
    """Less a rim of at least 3 mm and one voxel; the image's own border takes nothing away."""
    kept = inside
    for axis, step in enumerate(grid.spacing[::-1]):
        size = 2 * int(np.ceil(AIR_BORDER_MM / step)) + 1
        kept = ndimage.minimum_filter1d(kept.view(np.uint8), size, axis=axis, mode="nearest").view(bool)
    return kept


def _check_clipped(values: np.ndarray, grid: Grid, name: str) -> None:
    if values.size * grid.voxel_volume < LEAST_AIR_MM3:
        return
    common, counts = np.unique(values, return_counts=True)
    value = float(common[counts.argmax()])
    if CLIPPED_HU[0] < value < CLIPPED_HU[1]:
        raise BoneQualityError(
            "{name} is not in HU: around the body it holds {value:.4g} everywhere, and air is -1000; {remedy}.",
            name=name,
            value=value,
            remedy=REMEDY,
        )


def _reaching_the_sides(dark: np.ndarray, grid: Grid) -> np.ndarray:
    """The dark regions that reach a side of the image, front or back: air around the body, and lung only where it is cut there."""
    labels, count = ndimage.label(dark)
    along = int(np.argmax(np.abs(SUPERIOR @ grid.directions)))
    ends = [np.take(labels, index, axis) for axis in range(3) if axis != 2 - along for index in (0, -1)]
    reaching = np.zeros(count + 1, bool)
    for end in ends:
        reaching[np.unique(end)] = True
    reaching[0] = False
    return reaching[labels]


def _constant(coarse: np.ndarray) -> np.ndarray:
    """Voxels without a number, or in a run of three equal values along both j and i: padding, clipped or synthetic."""
    runs = np.ones(coarse.shape, bool)
    for axis in (1, 2):
        if coarse.shape[axis] < 3:
            continue
        same = np.diff(coarse, axis=axis) == 0
        pair = [(0, 0)] * 3
        pair[axis] = (1, 1)
        same = np.pad(same, pair, mode="edge")
        first, second = (np.take(same, range(n, n + coarse.shape[axis]), axis) for n in (0, 1))
        runs &= first & second
    return runs | ~np.isfinite(coarse)


def _lowest_mode(values: np.ndarray) -> float:
    """The lowest mode of air, the median of what lies within 30 HU of it; a floor to which the scanner clips does not count."""
    floor = values.min()
    if np.mean(values == floor) > 0.02 and np.any(values > floor):
        values = values[values > floor]
    low, high = np.clip(np.quantile(values, (0.001, 0.999)), *COUNTED_HU)
    counts, edges = np.histogram(values, bins=max(int((high - low) / 10), 1), range=(low, high + 1e-3))
    smooth = ndimage.gaussian_filter1d(counts.astype(float), 1.5, mode="constant")
    padded = np.pad(smooth, 1)
    peaks = np.flatnonzero((smooth >= padded[:-2]) & (smooth >= padded[2:]) & (smooth >= 0.1 * smooth.max()))
    center = (edges[peaks[0]] + edges[peaks[0] + 1]) / 2
    return float(np.median(values[np.abs(values - center) <= 30]))
