"""Marrow signal of one vertebra on T1 MRI (Ehresman 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import NotMeasured
from ..image.distance import signed_distance
from ..image.grid import RIGHT, SUPERIOR, Grid
from ..image.image import Image
from ..image.mask import Mask
from ..image.outlines import outlines
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
    "per-vertebra"; or in the whole body ("volume"). edited: the ROI as a person edited it, which is read instead.
    """
    numbers, level, covers = LevelNumbers(), vertebra.level, vertebra.covers
    try:
        body = vertebra.body
        if edited is not None:
            roi = edited
        elif parameters.vbq_slice == "volume":
            solid = place_body(level, body, vertebra.exclusions, covers)
            roi = place_region(solid, image, parameters.vbq_margin_mm, "marrow")
        else:
            off = plane.distance(body.center) if plane is not None else 0.0
            if plane is None or off > PARASAGITTAL_MM:
                plane = section_plane(image, body.center, vertebra.frame)
            if off > PARASAGITTAL_MM:
                numbers.flags.append(Flag("parasagittal", value=off, unit="mm"))
            roi = place_marrow(level, body, vertebra.exclusions, plane, parameters.vbq_margin_mm, covers)
        numbers.rois.append(roi)
        numbers.values["t1_signal"] = read_signal(roi, image)
        if isinstance(roi, PlanarRoi):
            numbers.values["t1_area_mm2"] = roi.area
    except NotMeasured as reason:
        numbers.gap(reason)
        return numbers
    moved = moved_region(roi, image) if isinstance(roi, RegionRoi) else moved_plane(roi, image, read_signal)
    for name, step in MARGINS.items() if covers != "cancellous" and edited is None else ():
        margin = max(parameters.vbq_margin_mm + step, 0.0)
        try:
            if parameters.vbq_slice == "volume":
                wider = place_region(solid, image, margin, name)
            else:
                wider = place_marrow(level, body, vertebra.exclusions, plane, margin, covers)
            moved[name] = read_signal(wider, image)
        except NotMeasured:  # too little is left of a small body
            continue
    numbers.variations["t1_signal"] = moved
    return numbers


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
