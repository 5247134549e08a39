"""Analytic paraspinal muscles for axial images: six compartments, discs, canal and a ring of subcutaneous fat, all areas known.

The compartments run along the patient's length with the same ellipse on every axial plane; fat lies in them in bands whose share
of the area is exact (two classes: a point is lean muscle or fat). Example::

    phantom = paraspinal_muscles(fat={"multifidus": 0.3})
    grid = axial_grid(phantom, (0.7, 0.7, 4.0))
    t2 = render(phantom, grid, "t2", noise_sd=6, seed=1)
    mask, truth = mask_of(phantom, "left multifidus", grid), phantom.area("left multifidus")

Arrays are ``[k, j, i]``, points RAS mm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..errors import BoneQualityError
from ..image.grid import SUPERIOR, Grid
from ..parameters import DISCS

SUBCUTANEOUS_MM = 12.0
#: Bands of fat are about this wide.
BAND_MM = 3.0


class Signals(NamedTuple):
    """What the tissues look like in one kind of image."""

    air: float
    soft: float
    lean: float
    fat: float
    marrow: float
    disc: float
    csf: float


SIGNALS = {
    "t2": Signals(0, 180, 100, 700, 350, 150, 950),
    "t1": Signals(0, 260, 220, 800, 420, 230, 120),
    "ct": Signals(-1000, 45, 55, -100, 150, 80, 10),
    "fat": Signals(0, 30, 24, 760, 300, 20, 0),
    "water": Signals(0, 770, 776, 40, 300, 780, 800),
}
# To the patient's right and front of the disc's middle, and semi-axes, mm; both sides alike
_MUSCLES = {
    "psoas major": ((39.0, -2.0), (12.0, 15.5)),
    "multifidus": ((13.5, -47.0), (9.5, 11.5)),
    "erector spinae": ((40.0, -47.0), (14.0, 15.5)),
}
_CANAL, _TRUNK = ((0.0, -26.0), (8.0, 8.0)), ((0.0, 21.0), (150.0, 105.0))


@dataclass(frozen=True, eq=False)
class PhantomCompartment:
    """A muscle of one side. offset, semi_axes: to the right and to the front, mm, of the spine's axis; fat: share of its area, 0-1."""

    name: str
    offset: tuple[float, float]
    semi_axes: tuple[float, float]
    fat: float

    @property
    def area(self) -> float:
        """mm2 on an axial plane."""
        return float(np.pi * self.semi_axes[0] * self.semi_axes[1])

    @cached_property
    def _bands(self) -> tuple[np.ndarray, float]:
        """Middles of the bands across the ellipse, and half of their width, so that their share of the area is exact."""
        a, b = self.semi_axes
        x, y = np.meshgrid(np.linspace(-a, a, 801), np.linspace(-b, b, 801))
        across = _across(x, y)[(x / a) ** 2 + (y / b) ** 2 < 1]
        count = max(round(self.fat * np.ptp(across) / BAND_MM), 1)
        middles = across.min() + np.ptp(across) * (np.arange(count) + 0.5) / count
        return middles, float(np.quantile(np.abs(across[:, None] - middles).min(axis=1), self.fat))

    def fat_depth(self, x, y) -> np.ndarray:
        """mm within a band of fat, positive inside, at points relative to the compartment's middle."""
        if self.fat <= 0:
            return np.full(np.broadcast_shapes(np.shape(x), np.shape(y)), -np.inf)
        middles, half = self._bands
        return half - np.min([np.abs(_across(x, y) - middle) for middle in middles], axis=0)


@dataclass(frozen=True, eq=False)
class PhantomMuscleDisc:
    """A disc: an elliptical cylinder about ``normal`` (unit vector, RAS) through ``center``."""

    name: str
    center: np.ndarray
    normal: np.ndarray
    semi_axes: tuple[float, float]
    half_thickness: float

    def depth(self, points: np.ndarray) -> np.ndarray:
        """mm below its surface, positive inside."""
        right = np.cross(np.cross(self.normal, [1.0, 0, 0]), self.normal)
        right /= np.linalg.norm(right)
        local = points - self.center
        wall = ellipse_depth(local @ right, local @ np.cross(self.normal, right), self.semi_axes)
        return np.minimum(wall, self.half_thickness - np.abs(local @ self.normal))

    def area_on(self, normal: np.ndarray) -> float:
        """mm2 of its section through the center by a plane that meets neither endplate."""
        return float(np.pi * np.prod(self.semi_axes) / abs(self.normal @ normal))


@dataclass(frozen=True, eq=False)
class MusclePhantom:
    """axis: RAS of the spine's middle, shape (n, 3), S rising; all that is not a disc lies at the same offset from it on every axial plane."""

    axis: np.ndarray
    compartments: tuple[PhantomCompartment, ...]
    discs: tuple[PhantomMuscleDisc, ...]

    def compartment(self, name: str) -> PhantomCompartment:
        """For example "left multifidus"."""
        return next(c for c in self.compartments if c.name == name)

    def disc(self, name: str) -> PhantomMuscleDisc:
        """For example "L3-L4"."""
        return next(d for d in self.discs if d.name == name)

    def rcsa(self, disc: str) -> float:
        """On the axial plane through the disc's middle."""
        return sum(c.area for c in self.compartments) / self.disc(disc).area_on(SUPERIOR)

    def fat_infiltration(self) -> float:
        """Percent: mean of the sides, then of the three muscles."""
        return 100 * float(np.mean([c.fat for c in self.compartments]))

    def fat_fraction(self, name: str) -> float:
        """Percent in the fat and water images."""
        lean, fat = (SIGNALS["fat"][n] / (SIGNALS["fat"][n] + SIGNALS["water"][n]) for n in (2, 3))
        share = self.compartment(name).fat
        return 100 * (share * fat + (1 - share) * lean)

    def offsets(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """mm to the right and to the front of the axis."""
        s = points[..., 2]
        return tuple(points[..., n] - np.interp(s, self.axis[:, 2], self.axis[:, n]) for n in (0, 1))


def paraspinal_muscles(
    fat: float | Mapping[str, float] = 0.2,
    axis: np.ndarray | None = None,
    discs: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
    scale: float = 1.0,
) -> MusclePhantom:
    """Muscles along ``axis`` (default: straight) with ``discs`` (name -> center, normal; default: L1-L2 to L4-L5, 36 mm apart).

    fat: share of the area for all, or by muscle ("multifidus") or compartment ("left multifidus"). scale: of the semi-axes.
    """
    if discs is None:
        discs = {f"L{n}-L{n + 1}": ((0.0, 0.0, 90.0 - 36.0 * n), (0.0, 0.0, 1.0)) for n in range(1, 5)}
    if unknown := [name for name in discs if name not in DISCS]:
        raise BoneQualityError("{disc} is no disc; give discs such as L3-L4.", disc=unknown[0])
    axis = np.array([[0.0, 0.0, -500.0], [0.0, 0.0, 500.0]]) if axis is None else np.asarray(axis, float)
    shares = fat if isinstance(fat, Mapping) else {}
    compartments = []
    for muscle, ((right, front), semi_axes) in _MUSCLES.items():
        for side, sign in (("left", -1), ("right", 1)):
            name = f"{side} {muscle}"
            share = shares.get(name, shares.get(muscle, 0.0 if shares else fat))
            compartments.append(PhantomCompartment(name, (sign * right, front), tuple(scale * s for s in semi_axes), float(share)))
    made = [
        PhantomMuscleDisc(name, np.asarray(center, float), np.asarray(normal, float) / np.linalg.norm(normal), (24.0, 17.0), 6.0)
        for name, (center, normal) in discs.items()
    ]
    return MusclePhantom(axis, tuple(compartments), tuple(made))


def axial_grid(
    phantom: MusclePhantom,
    spacing_mm: Sequence[float] = (0.7, 0.7, 4.0),
    rotation: np.ndarray | None = None,
    size_mm: Sequence[float] = (200.0, 170.0),
    left_handed: bool = False,
) -> Grid:
    """An axial lattice around all discs as scanners write it (LPS); ``rotation`` (3, 3) turns it in RAS, ``left_handed`` turns k around."""
    directions = (np.eye(3) if rotation is None else rotation) @ np.diag([-1.0, -1.0, -1.0 if left_handed else 1.0])
    spacing, centers = np.asarray(spacing_mm, float), np.array([disc.center for disc in phantom.discs])
    middle = (centers.min(axis=0) + centers.max(axis=0)) / 2 + [0, -15.0, 0]
    length = np.ptp(centers @ directions[:, 2]) + 24.0
    count = np.ceil(np.array([*size_mm, length]) / spacing).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = directions * spacing
    affine[:3, 3] = middle - directions @ (spacing * (count - 1) / 2)
    return Grid(tuple(int(n) for n in count[::-1]), affine)


def render(
    phantom: MusclePhantom,
    grid: Grid,
    kind: str = "t2",
    noise_sd: float = 0.0,
    seed: int = 0,
    shading: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """An image, float32 ``[k, j, i]``. kind: "t2", "t1", "ct", "fat" or "water".

    Surfaces are as soft as a pixel is wide. ``shading(points_ras) -> gain`` of the coil; noise is Rician, on CT Gaussian.
    """
    image = np.stack(
        [
            _painted(phantom, grid.box((slice(k, k + 1), *(slice(0, n) for n in grid.shape[1:]))), kind)[0]
            for k in range(grid.shape[0])
        ]
    )
    random = np.random.default_rng(seed)
    if shading is not None:
        image *= shading(grid.centers())
    if noise_sd and kind == "ct":
        image += noise_sd * random.standard_normal(grid.shape)
    elif noise_sd:
        noise = noise_sd * random.standard_normal((2, *grid.shape))
        image = np.hypot(image + noise[0], noise[1])
    return image.astype(np.float32)


def mask_of(phantom: MusclePhantom, name: str, grid: Grid) -> np.ndarray:
    """bool ``[k, j, i]``: voxel centers in a compartment ("left multifidus") or a disc ("L3-L4")."""
    mask = np.zeros(grid.shape, bool)
    shape = phantom.disc(name) if name in DISCS else phantom.compartment(name)
    middle = shape.center[:2] if name in DISCS else phantom.axis[:, :2] + shape.offset
    reach = np.max(shape.semi_axes) + 2
    low, high = np.min(np.atleast_2d(middle), axis=0) - reach, np.max(np.atleast_2d(middle), axis=0) + reach
    ends = grid.corners()[:, 2]
    part = grid.slices_around(
        np.array([[r, a, s] for r in (low[0], high[0]) for a in (low[1], high[1]) for s in (ends.min(), ends.max())])
    )
    points = grid.box(part).centers()
    if name in DISCS:
        mask[part] = shape.depth(points) > 0
        return mask
    x, y = (here - offset for here, offset in zip(phantom.offsets(points), shape.offset))
    mask[part] = ellipse_depth(x, y, shape.semi_axes) > 0
    return mask


def ellipse_depth(x, y, semi_axes) -> np.ndarray:
    """mm below an ellipse's border (first order), positive inside."""
    a, b = semi_axes
    q = np.sqrt((x / a) ** 2 + (y / b) ** 2) + 1e-9
    return (1 - q) * q / np.sqrt((x / a**2) ** 2 + (y / b**2) ** 2 + 1e-12)


def _across(x, y):
    """mm along a direction that no lattice follows."""
    return 0.8507 * x + 0.5257 * y


def _painted(phantom: MusclePhantom, grid: Grid, kind: str) -> np.ndarray:
    signals, points = SIGNALS[kind], grid.centers()
    width = float(np.sort(grid.spacing)[1])
    right, front = phantom.offsets(points)
    values = np.full(grid.shape, float(signals.air))
    trunk = ellipse_depth(right - _TRUNK[0][0], front - _TRUNK[0][1], _TRUNK[1])
    _lay(values, signals.fat, trunk, width)
    _lay(values, signals.soft, trunk - SUBCUTANEOUS_MM, width)
    _lay(values, signals.marrow, ellipse_depth(right, front, (24.0, 17.0)), width)
    for disc in phantom.discs:
        _lay(values, signals.disc, disc.depth(points), width)
    _lay(values, signals.csf, ellipse_depth(right - _CANAL[0][0], front - _CANAL[0][1], _CANAL[1]), width)
    for compartment in phantom.compartments:
        x, y = right - compartment.offset[0], front - compartment.offset[1]
        inside = np.full(grid.shape, float(signals.lean))
        _lay(inside, signals.fat, compartment.fat_depth(x, y), width)
        _lay(values, inside, ellipse_depth(x, y, compartment.semi_axes), width)
    return values


def _lay(values: np.ndarray, amount, depth: np.ndarray, width: float) -> None:
    """Write ``amount`` where the depth is positive, in part within half a ``width`` of the surface."""
    values += np.clip(depth / width + 0.5, 0, 1) * (amount - values)
