"""Analytic vertebral bodies, intact and fractured in many ways, with their true six-point heights; and masks of them.

Independent of the library's own phantoms in shape: a superquadric cross-section with a waist, endplates with dishes of their own, and
a fracture that squeezes the body toward its middle or toward one endplate. The truth is read off the exact section with the definition
of SPEC (corners of the largest quadrilateral in the section's hull), by other code than the library's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.image.outlines import outlines
from BoneQualityLib.phantoms.phantom_solids import PhantomVertebra
from BoneQualityLib.vertebra.vertebra import Surroundings, Vertebra

NAMES = ("anterior", "middle", "posterior")
#: Width, depth, anterior and posterior height of ordinary bodies, mm.
SIZES = {
    "T12": (40, 30, 25.0, 26.5),
    "L1": (42, 31, 26.0, 27.5),
    "L2": (44, 32, 27.0, 28.0),
    "L3": (46, 34, 28.0, 28.0),
    "L4": (48, 34, 28.0, 26.5),
    "L5": (50, 34, 28.5, 24.0),
    "S1": (50, 32, 30.0, 25.0),
}
CANAL_RADIUS_MM = 8.5


@dataclass(frozen=True)
class Fracture:
    """How a body lost height: ``share`` of it, by "wedge" (front), "biconcave" (middle) or "crush" (everywhere).

    onto: what stays in place, -1 the lower endplate, 1 the upper one, 0 the middle. power: how a wedge falls toward the front, 1
    evenly; over 1 only the front is low.
    """

    shape: str
    share: float
    onto: int = 0
    power: float = 1.0

    def left(self, t):
        """The height that is left, as a share, at the shares ``t`` of the depth from the posterior wall."""
        t = np.clip(t, 0, 1)
        lost = {"wedge": t**self.power, "biconcave": np.sin(np.pi * t) ** 2, "crush": np.ones_like(t)}[self.shape]
        return 1 - self.share * lost


@dataclass(frozen=True, eq=False)
class FracturedBody:
    """A body in its own axes (right, anterior, superior of its middle, mm)."""

    level: str
    width_mm: float
    depth_mm: float
    anterior_mm: float
    posterior_mm: float
    waist: float = 0.06
    exponent: float = 3.0
    dishes_mm: tuple[float, float] = (1.2, 1.2)
    fracture: Fracture | None = None
    pose: np.ndarray = field(default_factory=lambda: np.eye(3))

    def inside(self, x, y, z, grown_mm: float = 0.0):
        """Whether points are inside; ``grown_mm`` moves the surface outward (to first order)."""
        t = y / self.depth_mm + 0.5
        if self.fracture is not None:
            low = self.fracture.left(t)
            pivot = self.fracture.onto * 0.5 * (self.posterior_mm + (self.anterior_mm - self.posterior_mm) * np.clip(t, 0, 1))
            z = pivot + (z - pivot) / low
            grown_z = grown_mm / low
        else:
            grown_z = grown_mm
        half = 0.5 * (self.posterior_mm + (self.anterior_mm - self.posterior_mm) * np.clip(t, -0.1, 1.1))
        bowl = np.maximum(1 - (2 * x / self.width_mm) ** 2 - (2 * y / self.depth_mm) ** 2, 0) ** 1.5
        upper, lower = half - self.dishes_mm[0] * bowl + grown_z, -half + self.dishes_mm[1] * bowl - grown_z
        waist = 1 - self.waist * np.maximum(1 - (z / half) ** 2, 0)
        a, b = 0.5 * self.width_mm * waist + grown_mm, 0.5 * self.depth_mm * waist + grown_mm
        back = np.minimum(y, 0) / b
        front = np.maximum(y, 0) / b
        across = np.abs(x) / a
        section = (across**self.exponent + np.abs(back) ** 6) + front**self.exponent
        return (z < upper) & (z > lower) & (section < 1)

    @cached_property
    def section(self) -> tuple[np.ndarray, float]:
        """The exact mid-sagittal outline (n, 2) as (anterior, superior) mm."""
        step = 0.1
        half = np.ceil([self.depth_mm / 2 + 3, max(self.anterior_mm, self.posterior_mm) / 2 + 3]) / step
        y, z = (np.arange(-n, n + 1) * step for n in half)
        x = np.linspace(-3, 3, 13)
        share = np.mean([self.inside(at, y[None, :], z[:, None]) for at in x], axis=0)
        curve = max(outlines(share - 0.5), key=len)
        return curve * step + [y[0], z[0]]

    @cached_property
    def truth(self) -> dict[str, float]:
        """The true heights, mm."""
        return dict(zip(NAMES, six_points(self.section)))

    @property
    def corners(self) -> np.ndarray:
        half = 0.5 * np.array([self.width_mm, self.depth_mm, max(self.anterior_mm, self.posterior_mm)]) + 2
        return np.array(np.meshgrid(*zip(-half, half))).reshape(3, -1).T

    def vertebra(self, spacing, rng, whole: bool, grown_mm: float = 0.0) -> Vertebra:
        """The body's mask on a lattice of random phase, alone or with its posterior elements."""
        arch = PhantomVertebra(self.level, np.zeros(3), self.pose, self.width_mm, self.depth_mm).arch if whole else None
        spacing = np.asarray(spacing, float)
        points = [self.corners @ self.pose.T] + ([arch.corners] if whole else [])
        points = np.concatenate(points)
        low = np.floor(points.min(axis=0) / spacing) - 2 + rng.uniform(-0.5, 0.5, 3)
        count = np.ceil(points.max(axis=0) / spacing - low) + 3
        affine = np.diag([*spacing, 1.0])
        affine[:3, 3] = low * spacing
        grid = Grid(tuple(int(n) for n in count[::-1]), affine)
        x, y, z = np.moveaxis(grid.centers() @ self.pose, -1, 0)
        inside = self.inside(x, y, z, grown_mm)
        if whole:
            behind = y + self.depth_mm / 2 + 0.8 + CANAL_RADIUS_MM
            inside |= (arch.depth(grid) > -grown_mm) & (x**2 + behind**2 > (CANAL_RADIUS_MM - grown_mm) ** 2)
        return Vertebra(self.level, Mask(self.level, inside, grid).cropped(), "vertebra" if whole else "body", Surroundings())


def heights_of(vertebra: PhantomVertebra) -> dict[str, float]:
    """The true heights of a vertebra of the library's phantom: the heights it is made from are those at shares of its depth."""
    step, half = 0.1, 24.0
    y = z = np.arange(-half, half + step / 2, step)
    x = np.linspace(-3, 3, 13)
    share = np.mean([vertebra._body_depth(at, y[None, :], z[:, None]) > 0 for at in x], axis=0)
    return dict(zip(NAMES, six_points(max(outlines(share - 0.5), key=len) * step - half)))


def six_points(outline: np.ndarray) -> list[float]:
    """Anterior, middle and posterior height of an outline (n, 2) as (anterior, superior), by the definition of SPEC section 4."""
    hull = outline[ConvexHull(outline).vertices]
    directions = np.linspace(0, 2 * np.pi, 181)[:-1]
    hull = hull[np.unique((hull @ [np.cos(directions), np.sin(directions)]).argmax(axis=0))]
    best, corners = 0.0, None
    for i in range(len(hull)):
        for k in range(i + 2, len(hull)):
            along = hull[k] - hull[i]
            aside = along[0] * (hull[:, 1] - hull[i, 1]) - along[1] * (hull[:, 0] - hull[i, 0])
            one, other = aside[i + 1 : k], np.concatenate([aside[k + 1 :], aside[:i]])
            if len(other) and np.ptp([one.min(), 0, other.max()]) and other.max() - one.min() > best:
                best = other.max() - one.min()
                corners = hull[[i, i + 1 + one.argmin(), k, [*range(k + 1, len(hull)), *range(i)][int(other.argmax())]]]
    middle = corners.mean(axis=0)
    named = {}
    for name, wanted in {"ua": (1, 1), "up": (-1, 1), "la": (1, -1), "lp": (-1, -1)}.items():
        named[name] = corners[((corners - middle) / np.abs(corners - middle).mean(axis=0) @ wanted).argmax()]
    curves = [_between(outline, named[f"{plate}p"], named[f"{plate}a"]) for plate in "ul"]
    bands = {"anterior": (0.80, 0.95), "middle": (0.40, 0.60), "posterior": (0.05, 0.20)}
    found = []
    for low, high in bands.values():
        shares = np.linspace(low, high, 31)
        upper, lower = (_at(curve, shares) for curve in curves)
        found.append(float(np.linalg.norm(upper - lower, axis=1).mean()))
    return found


def _between(outline, start, end):
    i, k = (int(np.linalg.norm(outline - point, axis=1).argmin()) for point in (start, end))
    rolled = np.roll(outline, -i, axis=0)
    one = rolled[: (k - i) % len(outline) + 1]
    other = np.concatenate([rolled[(k - i) % len(outline) :], rolled[:1]])[::-1]
    return min(one, other, key=lambda curve: np.linalg.norm(np.diff(curve, axis=0), axis=1).sum())


def _at(curve, shares):
    length = np.concatenate([[0], np.linalg.norm(np.diff(curve, axis=0), axis=1).cumsum()])
    return np.stack([np.interp(shares * length[-1], length, curve[:, axis]) for axis in (0, 1)], axis=1)


def random_body(
    rng, level: str, fracture: Fracture | None = None, tilt_deg: float = 25.0, scale: float | None = None, dish_mm: float = 2.5
) -> FracturedBody:
    """A body of random shape, tilted by up to ``tilt_deg``, its endplates dished by up to ``dish_mm``.

    scale: its size against the ordinary one; 0.85 to 1.12 by default.
    """
    scale = rng.uniform(0.85, 1.12) if scale is None else scale
    width, depth, anterior, posterior = np.array(SIZES[level]) * scale
    pose = Rotation.from_euler("ZYX", [rng.uniform(-8, 8), rng.uniform(-15, 15), rng.uniform(-1, 1) * tilt_deg], degrees=True)
    return FracturedBody(
        level, width, depth, anterior, posterior, waist=rng.uniform(0.02, 0.12), exponent=rng.uniform(2.4, 4.0),
        dishes_mm=tuple(rng.uniform(0.3, dish_mm, 2)), fracture=fracture, pose=pose.as_matrix(),
    )  # fmt: skip
