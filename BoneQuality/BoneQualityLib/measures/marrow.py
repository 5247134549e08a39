"""Marrow signal of one vertebra on T1 MRI (Ehresman 2019)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..errors import NotMeasured
from ..image.distance import signed_distance
from ..image.grid import RIGHT, SUPERIOR, Grid
from ..image.image import Image
from ..image.mask import Mask
from ..image.outlines import outlines
from ..image.resampling import sample
from ..parameters import Parameters
from ..states import Flag
from ..vertebra.body import place_body
from ..vertebra.frame import Frame
from ..vertebra.vertebra import Vertebra
from .region import place_region
from .roi import LevelNumbers, PlanarRoi, RegionRoi
from .uncertainty import MARGINS, moved_plane, moved_region

#: Slices at least this thick, sagittal within this angle, are read as acquired; other images in a slab.
ACQUIRED_SLICE_MM, SAGITTAL_DEGREES = 2.0, 30.0
SLAB_MM = 4.0
#: A level whose center is farther from the common slice takes its own.
PARASAGITTAL_MM = 4.0
SECTION_STEP_MM = 0.5
MINIMUM_AREA_MM2 = 30.0
#: A focal lesion: smoothed by, least area, least difference as a share of the median and in robust standard deviations. Ordinary
#: patchy marrow stays below (the shared MRI: 22 % and 12 mm2 at most). Slices farther off, or that cut much less, are no substitute.
FOCUS_SMOOTH_MM, FOCUS_AREA_MM2, FOCUS_SHARE, FOCUS_DEVIATIONS = 1.0, 25.0, 0.35, 4.0
FARTHEST_MM, LEAST_AREA_SHARE = 10.0, 0.6


@dataclass(frozen=True, eq=False)
class SectionPlane:
    """A sagittal plane to read on: a point in RAS, unit vectors to anterior (u) and superior (v), slab thickness mm."""

    origin: np.ndarray
    u: np.ndarray
    v: np.ndarray
    thickness: float

    @property
    def normal(self) -> np.ndarray:
        return np.cross(self.u, self.v)

    def distance(self, point: np.ndarray) -> float:
        """mm from the plane."""
        return float(abs((point - self.origin) @ self.normal))

    def beside(self, image: Image, slices: int) -> SectionPlane:
        """The plane so many slices to its normal's side: of the image where they were acquired, else slabs."""
        step = self.thickness or float(image.grid.spacing[image.grid.slice_axis])
        return replace(self, origin=self.origin + slices * step * self.normal)

    def lattice(self, points: np.ndarray, rim: float = 3.0) -> Grid:
        """Samples 0.5 mm apart around the points: columns to anterior, rows to superior, slices 1 mm apart through the slab."""
        uv = (points - self.origin) @ np.stack([self.u, self.v], axis=1)
        low, high = uv.min(axis=0) - rim, uv.max(axis=0) + rim
        columns, rows = np.ceil((high - low) / SECTION_STEP_MM).astype(int) + 1
        slices = max(int(np.ceil(self.thickness)), 1)
        step = self.thickness / slices or 1.0
        affine = np.eye(4)
        affine[:3, :3] = np.stack([self.u * SECTION_STEP_MM, self.v * SECTION_STEP_MM, self.normal * step], axis=1)
        affine[:3, 3] = self.origin + low @ np.stack([self.u, self.v]) - (slices - 1) / 2 * step * self.normal
        return Grid((slices, int(rows), int(columns)), affine)


def section_plane(image: Image, center: np.ndarray, frame: Frame | None = None) -> SectionPlane:
    """The acquired slice nearest to ``center`` (RAS), or a 4 mm slab through it where the slices are thin or not sagittal.

    The slab is the patient's sagittal plane, or the vertebra's own where its frame is given.
    """
    axis = image.grid.slice_axis
    normal = image.grid.directions[:, axis]
    normal = normal * np.sign(normal @ RIGHT)
    acquired = image.grid.spacing[axis] >= ACQUIRED_SLICE_MM and abs(normal @ RIGHT) >= np.cos(np.radians(SAGITTAL_DEGREES))
    superior = SUPERIOR
    if acquired:
        index = image.grid.ijk(center)
        index[axis] = np.clip(round(index[axis]), 0, image.grid.shape[2 - axis] - 1)
        center = image.grid.ras(index)
    else:
        normal, superior = (RIGHT, SUPERIOR) if frame is None else (frame.right, frame.superior)
    superior = superior - (superior @ normal) * normal
    superior /= np.linalg.norm(superior)
    return SectionPlane(np.asarray(center, float), np.cross(superior, normal), superior, 0.0 if acquired else SLAB_MM)


def common_plane(image: Image, masks: dict[str, Mask]) -> SectionPlane:
    """The mid-sagittal slice of a spine: through the mean center of the L1-L4 bodies, of any bodies where those are absent."""
    lumbar = [mask for level, mask in masks.items() if level in ("L1", "L2", "L3", "L4")]
    return section_plane(image, np.mean([mask.center for mask in lumbar or masks.values()], axis=0))


def measure_level(
    vertebra: Vertebra, image: Image, plane: SectionPlane | None, parameters: Parameters, edited: PlanarRoi | None = None
) -> LevelNumbers:
    """The marrow's signal at one level.

    It is read on ``plane``; on the level's own slice where its center lies over 4 mm off that, or where the parameters ask for
    "per-vertebra"; on the nearest slice without a focal lesion (Xue 2025); or in the whole body ("volume"). edited: the ROI as a
    person edited it, which is read instead.
    """
    numbers, margin = LevelNumbers(), parameters.vbq_margin_mm
    try:
        vertebra.body  # raises where there is none
        if edited is not None:
            roi, again = edited, None
        elif parameters.vbq_slice == "volume":
            solid = place_body(vertebra.level, vertebra.body, vertebra.exclusions, vertebra.covers)
            roi, again = (
                place_region(solid, image, margin, "marrow"),
                lambda step, slices: place_region(solid, image, step, "marrow"),
            )
        else:
            roi, plane, flags = _on_its_slice(vertebra, image, plane, margin)
            numbers.flags += flags
            again = lambda step, slices: _on(vertebra, plane.beside(image, slices), step)  # noqa: E731
        numbers.rois.append(roi)
        numbers.values["t1_signal"] = read_signal(roi, image)
        if isinstance(roi, PlanarRoi):
            numbers.values["t1_area_mm2"] = roi.area
    except NotMeasured as reason:
        numbers.gap(reason)
        return numbers
    moved = moved_region(roi, image) if isinstance(roi, RegionRoi) else moved_plane(roi, image, read_signal)
    others = {name: (max(margin + step, 0.0), 0) for name, step in MARGINS.items()} if vertebra.covers != "cancellous" else {}
    if isinstance(roi, PlanarRoi):
        others |= {"one slice right": (margin, 1), "one slice left": (margin, -1)}
    for name, (step, slices) in others.items() if again is not None else ():
        try:
            moved[name] = read_signal(again(step, slices), image)
        except NotMeasured:  # too little is left of a small body, or the slice lies beside it
            continue
    numbers.variations["t1_signal"] = moved
    return numbers


def _on(vertebra: Vertebra, plane: SectionPlane, margin_mm: float) -> PlanarRoi:
    return place_marrow(vertebra.level, vertebra.body, vertebra.exclusions, plane, margin_mm, vertebra.covers)


def _on_its_slice(
    vertebra: Vertebra, image: Image, common: SectionPlane | None, margin_mm: float
) -> tuple[PlanarRoi, SectionPlane, list[Flag]]:
    """The marrow's ROI, the slice it lies on, and a flag where that is not the common one."""
    off = common.distance(vertebra.body.center) if common is not None else 0.0
    plane = section_plane(image, vertebra.body.center, vertebra.frame) if common is None or off > PARASAGITTAL_MM else common
    roi = _on(vertebra, plane, margin_mm)
    flags = [Flag("parasagittal", value=off, unit="mm")] if off > PARASAGITTAL_MM else []
    if not holds_focus(roi, image):
        return roi, plane, flags
    for slices in (1, -1, 2, -2):
        other = plane.beside(image, slices)
        if other.distance(plane.origin) > FARTHEST_MM:
            continue
        try:
            beside = _on(vertebra, other, margin_mm)
            clear = not holds_focus(beside, image)
        except NotMeasured:
            continue
        if clear and beside.area >= LEAST_AREA_SHARE * roi.area:
            return (
                beside,
                other,
                [Flag("parasagittal", value=other.distance(plane.origin), unit="mm", about="a focal lesion lies in the middle")],
            )
    return roi, plane, flags


def holds_focus(roi: PlanarRoi, image: Image) -> bool:
    """Whether a ROI holds a focal lesion, such as a hemangioma or the venous plexus.

    A patch of at least 25 mm2 that differs from the ROI's median by over 35 %, and by over 4 robust standard deviations, once
    smoothed by 1 mm.
    """
    every = np.concatenate(roi.outlines)
    u, v = (np.arange(low, high, SECTION_STEP_MM) for low, high in zip(every.min(axis=0), every.max(axis=0)))
    inside = roi.contains(u, v)
    points = roi.center + u[None, :, None] * roi.u + v[:, None, None] * roi.v
    values = sample(image.array, image.grid, points.reshape(-1, 3)).reshape(inside.shape)
    inside &= np.isfinite(values)
    if not inside.any():
        return False
    sigma = FOCUS_SMOOTH_MM / SECTION_STEP_MM
    weight = ndimage.gaussian_filter(inside.astype(float), sigma)
    smooth = ndimage.gaussian_filter(np.where(inside, values, 0.0), sigma) / np.maximum(weight, 1e-6)
    median = float(np.median(values[inside]))
    spread = 1.4826 * float(np.median(np.abs(smooth[inside] - median)))
    labels, count = ndimage.label(inside & (np.abs(smooth - median) > max(FOCUS_SHARE * median, FOCUS_DEVIATIONS * spread)))
    return bool(count and np.bincount(labels.ravel())[1:].max() * SECTION_STEP_MM**2 >= FOCUS_AREA_MM2)


def place_marrow(level: str, mask: Mask, exclusions: list[Mask], plane: SectionPlane, margin_mm: float, covers: str) -> PlanarRoi:
    """The body's cross-section on the plane, less ``margin_mm`` within the plane and less exclusions.

    Raises NotMeasured where the plane does not meet the body or nothing is left.
    """
    lattice = plane.lattice(mask.row_ends)
    inside = on_plane(mask, lattice)
    if not inside.any():
        raise NotMeasured("the slice does not meet the body")
    spacing = (SECTION_STEP_MM, SECTION_STEP_MM)
    distance = signed_distance(inside, spacing) - (0.0 if covers == "cancellous" else margin_mm)
    for exclusion in exclusions:
        distance = np.minimum(distance, -signed_distance(on_plane(exclusion, lattice), spacing))
    roi = outlined(level, "marrow", plane, lattice, distance)
    if roi.area < MINIMUM_AREA_MM2:
        raise NotMeasured("less than 30 mm2 of marrow inside the margin", "small-roi")
    return roi


def read_signal(roi: PlanarRoi | RegionRoi, image: Image) -> float:
    """Mean signal inside."""
    if isinstance(roi, PlanarRoi):
        return float(roi.values(image).mean())
    values, weights = roi.values(image)
    return float(np.average(values, weights=weights))


def on_plane(mask: Mask, lattice: Grid) -> np.ndarray:
    return mask.on(lattice).mean(axis=0) >= 0.5


def outlined(level: str, kind: str, plane: SectionPlane, lattice: Grid, distance: np.ndarray) -> PlanarRoi:
    curves = [curve * SECTION_STEP_MM for curve in outlines(distance)]
    if not curves:
        raise NotMeasured("nothing is left inside the margin")
    corner = lattice.ras([0, 0, (lattice.shape[0] - 1) / 2])
    middle = np.mean([np.concatenate(curves).min(axis=0), np.concatenate(curves).max(axis=0)], axis=0)
    center = corner + middle @ np.stack([plane.u, plane.v])
    return PlanarRoi(level, kind, center, plane.u, plane.v, outlines=tuple(c - middle for c in curves), thickness=plane.thickness)
