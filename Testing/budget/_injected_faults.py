"""Phantoms of many kinds, and faults put into their masks; no rows of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from BoneQualityLib.image.distance import signed_distance
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.image import Image
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.phantoms import phantom_spine

LEVELS = ("L2", "L3", "L4")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
#: Phantoms are rendered from samples this far apart, mm: four times as quick as the finest, and finer than any voxel here.
SAMPLES_MM = 0.5
CT_KINDS = ("ordinary", "osteoporotic", "sclerotic", "3 mm voxels", "5 mm slices", "noise 40", "fine", "small", "large", "wedge")
T1_KINDS = ("ordinary", "1 mm isotropic", "thick slices", "noisy", "dark", "bright", "small", "large", "wedge", "shaded", "thin cortex")
SIZE = {"small": 0.8, "large": 1.2}
#: How far faults shift a mask, mm.
SHIFTS_MM = (4, 5, 6, 8, 10, 14, 20, 30)


@dataclass(frozen=True, eq=False)
class Sample:
    """L3 between its neighbors, in an image cropped to it: the image and L3's right mask; random: for the faults put in."""

    kind: str
    image: Image
    mask: Mask
    random: np.random.Generator


def bodies(random: np.random.Generator, kind: str, **fields) -> dict[str, dict]:
    """Changes of L2-L4: sizes and proportions as they vary between people; L3 wedged where the kind says so."""
    scale, found = SIZE.get(kind, float(random.uniform(0.9, 1.1))), {}
    for level in LEVELS:
        width, depth, anterior, middle, posterior = phantom_spine._LEVELS[level][:5]
        height, wide, deep = (scale * float(random.uniform(0.96, 1.04)) for _ in range(3))
        found[level] = dict(
            width_mm=width * wide, depth_mm=depth * deep, height_anterior_mm=anterior * height, height_middle_mm=middle * height,
            height_posterior_mm=posterior * height, waist_mm=float(random.uniform(1, 3)), posterior_dent_mm=float(random.uniform(0.5, 2.5)),
        ) | fields  # fmt: skip
    if kind == "wedge":
        left = float(random.uniform(0.5, 0.8))
        found["L3"]["height_anterior_mm"] *= left
        found["L3"]["height_middle_mm"] *= (1 + left) / 2
    return found


def _curves(random: np.random.Generator) -> dict[str, float]:
    return dict(lordosis_deg=float(random.uniform(10, 60)), scoliosis_deg=float(random.uniform(-10, 10)))


def _cropped(spine: phantom_spine.PhantomSpine, grid: Grid) -> Grid:
    """Around L3, with what a mask moved by 30 mm along the spine or 20 mm across meets."""
    pad = np.ceil(np.abs(grid.directions).T @ [22, 22, 34] / grid.spacing).astype(int)[::-1]
    box = grid.slices_around(spine.vertebra("L3").corners)
    return grid.box(tuple(slice(part.start - int(n), part.stop + int(n)) for part, n in zip(box, pad)))


@dataclass(frozen=True, eq=False)
class CtSpine:
    """L2-L4 of one of ten kinds, and how their CT is taken: spacing, noise, point spread; random: for what is put in."""

    kind: str
    seed: int
    spine: phantom_spine.PhantomSpine
    spacing: tuple[float, float, float]
    noise: float
    psf_mm: float
    random: np.random.Generator

    def image(self, grid: Grid) -> Image:
        return Image("CT", phantom_spine.render_ct(self.spine, grid, self.noise, self.seed, self.psf_mm, SAMPLES_MM), grid)


def ct_spine(seed: int) -> CtSpine:
    """A spine of one of ten kinds, all else at random; the same for the same seed."""
    random, kind = np.random.default_rng(seed), CT_KINDS[seed % len(CT_KINDS)]
    hu, cortex, cortex_hu = (float(random.uniform(*of)) for of in ((60, 220), (0.7, 1.4), (350, 700)))
    spacing = (0.8, 0.8, float(random.choice([1.0, 1.25, 2.0, 3.0])))
    if kind == "osteoporotic":
        hu, cortex, cortex_hu = float(random.uniform(10, 70)), 0.5, float(random.uniform(300, 600))
    if kind == "sclerotic":
        hu = float(random.uniform(250, 450))
        cortex_hu = max(cortex_hu, hu + 100)
    spacing = {"3 mm voxels": (3.0, 3.0, 3.0), "5 mm slices": (0.8, 0.8, 5.0), "fine": (0.5, 0.5, 0.7)}.get(kind, spacing)
    changes = bodies(random, kind, cortex_mm=cortex, cortex_hu=cortex_hu, posterior_hu_per_mm=float(random.uniform(0, 1)))
    spine = phantom_spine.lumbar_spine(
        LEVELS, cancellous_hu=[hu * float(random.uniform(0.9, 1.1)) for _ in LEVELS],
        gradient_hu_per_mm=float(random.uniform(-1.5, 1.5)), changes=changes, **_curves(random),
    )  # fmt: skip
    noise = 40.0 if kind == "noise 40" else float(random.uniform(5, 25))
    return CtSpine(kind, seed, spine, spacing, noise, float(random.uniform(0.5, 1.0)), random)


def ct_sample(seed: int) -> Sample:
    """L3 of such a spine in an image cropped to it."""
    of = ct_spine(seed)
    grid = _cropped(of.spine, phantom_spine.grid_for(of.spine, of.spacing))
    return Sample(of.kind, of.image(grid), body(of.spine, grid), of.random)


def t1_sample(seed: int) -> Sample:
    """A T1 MRI of one of eleven kinds, all else at random; the same for the same seed."""
    random, kind = np.random.default_rng(seed), T1_KINDS[seed % len(T1_KINDS)]
    marrow = float(random.uniform(*{"dark": (215, 260), "bright": (420, 560)}.get(kind, (240, 420))))
    in_plane = float(random.uniform(0.6, 0.95))
    spacing = (in_plane, in_plane, float(random.choice([3.5, 4.0, 4.4, 5.0])))
    spacing = {"1 mm isotropic": (1.0, 1.0, 1.0), "thick slices": (1.0, 1.0, 5.5)}.get(kind, spacing)
    changes = bodies(random, kind, cortex_mm=0.5 if kind == "thin cortex" else float(random.uniform(0.7, 1.3)))
    spine = phantom_spine.lumbar_spine(
        LEVELS, marrow_t1=[marrow * float(random.uniform(0.95, 1.05)) for _ in LEVELS], csf_t1=float(random.uniform(80, 110)),
        changes=changes, **_curves(random),
    )  # fmt: skip
    grid = _cropped(spine, phantom_spine.grid_for(spine, spacing, orientation="sagittal"))
    slope = float(random.uniform(-0.006, 0.006))
    shading = (lambda points: 1 + slope * points[..., 2] + 0.004 * (points[..., 1] - points[..., 1].mean())) if kind == "shaded" else None
    noise = 22.0 if kind == "noisy" else float(random.uniform(4, 12))
    array = phantom_spine.render_t1(spine, grid, noise, seed, float(random.uniform(0.5, 0.9)), shading, SAMPLES_MM)
    return Sample(kind, Image("T1", array, grid), body(spine, grid), random)


def body(spine: phantom_spine.PhantomSpine, grid: Grid) -> Mask:
    return Mask("L3 body", phantom_spine.body_mask(spine.vertebra("L3"), grid), grid).cropped()


def foreign(sample: Sample) -> Mask:
    """L3 of another person, about where this one's lies."""
    random = np.random.default_rng(int(sample.random.integers(2**31)))
    sizes = dict(width_mm=(38, 54), depth_mm=(28, 38), height_anterior_mm=(22, 32), height_middle_mm=(21, 29), height_posterior_mm=(23, 32))
    spine = phantom_spine.lumbar_spine(LEVELS, changes={"L3": {name: float(random.uniform(*of)) for name, of in sizes.items()}}, **_curves(random))
    orientation = "axial" if sample.image.name == "CT" else "sagittal"
    mask = body(spine, phantom_spine.grid_for(spine, sample.image.grid.spacing, orientation=orientation))
    return moved(mask, 3 * random.standard_normal(3) + sample.mask.center - mask.center)


def moved(mask: Mask, step_mm) -> Mask:
    affine = mask.grid.ijk_to_ras.copy()
    affine[:3, 3] += step_mm
    return Mask(mask.name, mask.array, Grid(mask.grid.shape, affine))


def mirrored(mask: Mask, axis: int, about_mm: float) -> Mask:
    """Across the plane where the RAS coordinate ``axis`` (0, 1, 2) is ``about_mm``."""
    mirror = np.eye(4)
    mirror[axis, axis], mirror[axis, 3] = -1, 2 * about_mm
    return Mask(mask.name, mask.array, Grid(mask.grid.shape, mirror @ mask.grid.ijk_to_ras))


def swollen(mask: Mask, by_mm: float) -> Mask:
    room = mask.padded(int(np.ceil(abs(by_mm) / min(mask.grid.spacing))) + 1)
    return Mask(mask.name, signed_distance(room.array, room.grid.spacing[::-1]) > -by_mm, room.grid).cropped()


def _direction(random: np.random.Generator) -> np.ndarray:
    vector = random.standard_normal(3)
    return vector / np.linalg.norm(vector)


def fair_masks(sample: Sample) -> Iterator[tuple[str, Mask]]:
    """The right mask, and what careful people and networks draw in its place."""
    yield "right", sample.mask
    yield "1 mm larger", swollen(sample.mask, 1.0)
    yield "1 mm smaller", swollen(sample.mask, -1.0)
    yield "moved 1 mm", moved(sample.mask, _direction(sample.random))


def wrong_masks(sample: Sample, shifts=SHIFTS_MM) -> Iterator[tuple[str, Mask]]:
    """Masks moved in any direction and along an axis, mirrored, front to back, of another patient, swollen."""
    random, mask = sample.random, sample.mask
    for distance in shifts:
        yield f"moved {distance} mm", moved(mask, distance * _direction(random))
        yield f"moved {distance} mm along an axis", moved(mask, distance * random.choice([-1, 1]) * np.eye(3)[random.integers(3)])
    yield "mirrored", mirrored(mask, 0, mask.center[0] + random.choice([-1, 1]) * float(random.uniform(2, 15)))
    yield "front to back", mirrored(mask, 1, mask.center[1] + float(random.uniform(0, 12)))
    yield "of another patient", foreign(sample)
    for by in (3, 4, 6):
        yield f"swollen by {by} mm", swollen(mask, by)


def odd_masks(sample: Sample) -> Iterator[tuple[str, Mask]]:
    """Faults of kinds that no threshold was chosen on: turned about an axis through the body, scaled, turned and moved."""
    random, mask = sample.random, sample.mask
    for degrees in (10, 15, 20):
        yield f"turned by {degrees} degrees", turned(mask, degrees * random.choice([-1, 1]), np.eye(3)[random.integers(2)])
    for factor in (0.85, 1.15, 1.3):
        yield f"scaled by {factor:g}", scaled(mask, factor)
    yield "turned by 10 degrees and moved by 4 mm", moved(turned(mask, 10.0, _direction(random)), 4 * _direction(random))


def turned(mask: Mask, degrees: float, axis: np.ndarray) -> Mask:
    """About a unit vector in RAS through the mask's center."""
    x, y, z = axis
    skew, angle = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]), np.radians(degrees)
    return _mapped(mask, np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew)


def scaled(mask: Mask, factor: float) -> Mask:
    return _mapped(mask, factor * np.eye(3))


def _mapped(mask: Mask, matrix: np.ndarray) -> Mask:
    """Its lattice through a linear map about the mask's center."""
    whole = np.eye(4)
    whole[:3, :3], whole[:3, 3] = matrix, mask.center - matrix @ mask.center
    return Mask(mask.name, mask.array, Grid(mask.grid.shape, whole @ mask.grid.ijk_to_ras))


def nifti(path: Path) -> tuple[np.ndarray, Grid]:
    """Array and lattice of an image file."""
    image = sitk.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing(), image.GetOrigin()
    array = sitk.GetArrayFromImage(image)
    return array, Grid(array.shape, np.diag([-1.0, -1, 1, 1]) @ affine)


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"
