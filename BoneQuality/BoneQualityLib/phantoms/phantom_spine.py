"""An analytic lumbar spine with known answers, rendered as CT and T1 MRI on any voxel lattice.

Every structure is a solid given by its depth: mm below its surface, positive inside. Masks, images and true values all
come from the same depths, so a measured number can be held against the truth.

    spine = lumbar_spine(cancellous_hu={"L1": 90, "L2": 95}, lordosis_deg=40)
    grid = grid_for(spine, spacing_mm=(0.8, 0.8, 1.25))
    ct = render_ct(spine, grid, noise_sd=20, seed=1)
    l2 = spine.vertebra("L2")
    mask, truth = body_mask(l2, grid), l2.cancellous_truth(margin_mm=3)

Arrays are ``[k, j, i]``, points RAS mm; "local" is a vertebra's own frame: right, anterior, superior of its center, mm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline

from ..errors import BoneQualityError
from ..image.grid import ANTERIOR, RIGHT, Grid
from .phantom_solids import (
    AIR,
    FAT,
    SOFT_TISSUE,
    SUBCUTANEOUS_FAT_MM,
    Arch,
    Canal,
    Cloud,
    Lattice,
    PhantomDisc,
    PhantomVertebra,
    Points,
    lay,
    local_coordinates,
)

# Width, depth, heights (anterior, middle, posterior) and disc below, mm; HU; T1; tilt forward as a share of the lordosis
_LEVELS = {
    "T11": (38, 29, 23.0, 22.0, 24.5, 7.0, 140, 290, -0.52),
    "T12": (40, 30, 25.0, 23.5, 26.0, 8.0, 136, 295, -0.53),
    "L1": (42, 31, 26.5, 25.0, 27.0, 9.5, 132, 300, -0.50),
    "L2": (44, 32, 27.5, 25.5, 27.5, 10.5, 128, 310, -0.28),
    "L3": (46, 34, 28.0, 26.0, 28.0, 11.5, 124, 320, -0.04),
    "L4": (48, 34, 28.0, 26.0, 27.0, 12.0, 126, 330, 0.20),
    "L5": (50, 34, 28.5, 25.5, 24.0, 11.5, 130, 340, 0.50),
    "S1": (50, 32, 30.0, 27.5, 25.0, 0.0, 120, 350, 0.85),
}


def _named(parts, name: str):
    names = [part.name for part in parts]
    if name not in names:
        raise BoneQualityError("The phantom has no {name}; it has {names}.", name=name, names=", ".join(names))
    return parts[names.index(name)]


@dataclass(frozen=True, eq=False)
class PhantomSpine:
    """Vertebrae (top to bottom) with discs, canal and an elliptic trunk; made by `lumbar_spine`.

    ``trunk_center`` (R, A) and ``trunk_semi_axes`` (R, A), mm; the trunk runs along S without end.
    """

    vertebrae: tuple[PhantomVertebra, ...]
    canal: Canal
    trunk_center: tuple[float, float]
    trunk_semi_axes: tuple[float, float] = (150.0, 110.0)

    def vertebra(self, level: str) -> PhantomVertebra:
        """The vertebra called ``level``."""
        return _named(self.vertebrae, level)

    @cached_property
    def discs(self) -> tuple[PhantomDisc, ...]:
        """The discs between the vertebrae, top to bottom."""
        return tuple(PhantomDisc(upper, lower) for upper, lower in zip(self.vertebrae, self.vertebrae[1:]))

    def vbq_truth(self) -> dict[str, float]:
        """Each level's marrow signal / CSF signal, noise-free."""
        return {v.level: v.marrow_t1 / self.canal.csf_t1 for v in self.vertebrae}

    @cached_property
    def corners(self) -> np.ndarray:
        """RAS points around all vertebrae, shape (n, 3)."""
        return np.concatenate([solid.corners for v in self.vertebrae for solid in (v, v.arch) if solid])

    def solids_near(self, grid: Grid) -> list[tuple]:
        """Each solid that may reach into ``grid``, with the slices it may fill; a later one hides an earlier one."""
        arches = [v.arch for v in self.vertebrae if v.arch]
        solids = [*arches, self.canal, *self.discs, *self.vertebrae]
        boxes = [self.canal.corners_near(grid) if solid is self.canal else solid.corners for solid in solids]
        parts = [grid.slices_around(box, 1) if len(box) else None for box in boxes]
        return [(solid, part) for solid, part in zip(solids, parts) if part is not None]

    def _trunk_depth(self, points: Points):
        x, y = points.along(RIGHT) - self.trunk_center[0], points.along(ANTERIOR) - self.trunk_center[1]
        a, b = self.trunk_semi_axes
        q = np.sqrt((x / a) ** 2 + (y / b) ** 2) + 1e-6
        return (1 - q) * q / np.sqrt((x / a**2) ** 2 + (y / b**2) ** 2 + 1e-12)


def _per_level(given, levels: Sequence[str], column: int) -> dict[str, float]:
    """A number for each level, out of one number, a sequence, a mapping (others keep the default) or None."""
    defaults = {level: float(_LEVELS[level][column]) for level in levels}
    if given is None:
        return defaults
    if isinstance(given, Mapping):
        return defaults | dict(given)
    return dict(zip(levels, np.broadcast_to(np.asarray(given, float), len(levels)).tolist(), strict=True))


def _tilted(forward_deg: float, right_deg: float) -> np.ndarray:
    """Rotation whose superior axis leans ``forward_deg`` to the front, then ``right_deg`` to the right."""
    (cf, sf), (cr, sr) = ((np.cos(a), np.sin(a)) for a in np.radians([forward_deg, right_deg]))
    return np.array([[cr, 0, sr], [0, 1, 0], [-sr, 0, cr]]) @ np.array([[1, 0, 0], [0, cf, sf], [0, -sf, cf]])


def _conus_s(vertebrae) -> float:
    """S of the cord's lower end: the middle of L1, or beyond the phantom."""
    above = [v for v in vertebrae if v.level.startswith("T")]
    at = [v.center[2] for v in vertebrae if v.level == "L1"]
    return at[0] if at else (-np.inf if len(above) == len(vertebrae) else np.inf)


def _canal_axis(vertebrae, canal_radius_mm: float) -> np.ndarray:
    """Axis of the canal behind the bodies, 60 mm straight on at both ends, every mm of S."""
    back = [v.center - v.rotation[:, 1] * (v.depth_mm / 2 + 0.8 + canal_radius_mm) for v in vertebrae[::-1]]
    below, above = (np.outer(mm, v.rotation[:, 2]) for mm, v in (([-60, -20], vertebrae[-1]), ([20, 60], vertebrae[0])))
    knots = np.concatenate([back[0] + below, back, back[-1] + above])
    s = np.arange(knots[0, 2], knots[-1, 2])
    return np.column_stack([CubicSpline(knots[:, 2], knots[:, :2])(s), s])


def lumbar_spine(
    levels: Sequence[str] = ("L1", "L2", "L3", "L4", "L5"),
    lordosis_deg: float = 40.0,
    scoliosis_deg: float = 0.0,
    cancellous_hu: float | Sequence[float] | Mapping[str, float] | None = None,
    marrow_t1: float | Sequence[float] | Mapping[str, float] | None = None,
    csf_t1: float = 100.0,
    gradient_hu_per_mm: float = 0.0,
    posterior_elements: bool = True,
    changes: Mapping[str, Mapping] | None = None,
    center_ras: Sequence[float] = (0.0, 0.0, 0.0),
) -> PhantomSpine:
    """A spine of consecutive ``levels`` (T11 to S1, top to bottom) whose middle vertebra is centered at ``center_ras``.

    ``lordosis_deg``: angle between the mid-planes of L1 and L5; ``scoliosis_deg``: the same seen from the front, between the
    first and the last level. HU and T1: one number, one a level, a mapping, or None for ordinary values. ``changes``: fields
    of single vertebrae, for example ``{"L2": dict(height_anterior_mm=18, pit=Pit())}``.
    """
    first = list(_LEVELS).index(levels[0]) if levels and levels[0] in _LEVELS else 0
    if not levels or list(_LEVELS)[first : first + len(levels)] != list(levels):
        asked = ", ".join(levels) or "none"
        raise BoneQualityError(
            "The phantom's levels are neighbors among {levels}, not {asked}.", levels=", ".join(_LEVELS), asked=asked
        )
    if unknown := set(changes or {}) - set(levels):
        raise BoneQualityError(
            "The phantom has no {unknown} to change; it has {levels}.", unknown=", ".join(sorted(unknown)), levels=", ".join(levels)
        )
    hu, t1 = _per_level(cancellous_hu, levels, 6), _per_level(marrow_t1, levels, 7)
    lean = np.linspace(0.5, -0.5, len(levels)) if len(levels) > 1 else [0.0]
    vertebrae, end = [], None
    for level, right in zip(levels, lean):
        width, depth, anterior, middle, posterior, disc, *_, forward = _LEVELS[level]
        fields = dict(
            rotation=_tilted(forward * lordosis_deg, right * scoliosis_deg), width_mm=width, depth_mm=depth,
            height_anterior_mm=anterior, height_middle_mm=middle, height_posterior_mm=posterior, cancellous_hu=hu[level],
            gradient_hu_per_mm=gradient_hu_per_mm, marrow_t1=t1[level], posterior_elements=posterior_elements,
        ) | dict((changes or {}).get(level, {}))  # fmt: skip
        # a fractured body collapses within the room of an intact one: its neighbors keep off its standing wall
        half = fields["rotation"][:, 2] * max(middle, fields["height_middle_mm"]) / 2
        center = np.zeros(3) if end is None else end - half
        vertebrae.append(fields | dict(level=level, center=center))
        end = center - half - fields["rotation"][:, 2] * disc
    shift = np.asarray(center_ras, float) - vertebrae[len(vertebrae) // 2]["center"]
    vertebrae = tuple(PhantomVertebra(**fields | dict(center=fields["center"] + shift)) for fields in vertebrae)
    canal = Canal(_canal_axis(vertebrae, Canal.radius_mm), _conus_s(vertebrae), csf_t1)
    skin = min(Arch(v).corners[:, 1].min() for v in vertebrae) - 15
    return PhantomSpine(vertebrae, canal, (float(center_ras[0]), float(skin) + PhantomSpine.trunk_semi_axes[1]))


_AXES = {  # directions of i, j, k in RAS, as rows: as scanners write them
    "axial": [[-1, 0, 0], [0, -1, 0], [0, 0, 1]],
    "sagittal": [[0, -1, 0], [0, 0, -1], [1, 0, 0]],
    "coronal": [[-1, 0, 0], [0, 0, -1], [0, -1, 0]],
}


def grid_for(
    spine: PhantomSpine,
    spacing_mm: Sequence[float] = (0.8, 0.8, 1.25),
    rotation: np.ndarray | None = None,
    left_handed: bool = False,
    orientation: str = "axial",
    margin_mm: float = 20.0,
    size_mm: Sequence[float] | None = None,
) -> Grid:
    """A lattice around all vertebrae and ``margin_mm`` more; ``spacing_mm`` and ``size_mm`` (in place of the margin) along i, j, k.

    ``rotation`` (3, 3) turns the slice axes of ``orientation`` in RAS; ``left_handed`` turns k around.
    """
    directions = (np.eye(3) if rotation is None else np.asarray(rotation)) @ np.array(_AXES[orientation], float).T
    directions = directions * [1, 1, -1 if left_handed else 1]
    spacing = np.asarray(spacing_mm, float)
    extent = spine.corners @ directions
    low, high = extent.min(0) - margin_mm, extent.max(0) + margin_mm
    count = np.ceil((high - low if size_mm is None else np.asarray(size_mm)) / spacing).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = directions * spacing
    affine[:3, 3] = directions @ ((low + high) / 2 - spacing * (count - 1) / 2)
    return Grid(tuple(int(n) for n in count[::-1]), affine)


def render_ramp(grid: Grid, base: float, per_mm: Sequence[float]) -> np.ndarray:
    """An image without anatomy that shows where it is read: ``base`` at RAS 0, linear along R, A and S; float32 ``[k, j, i]``."""
    points = Lattice(grid)
    return (base + sum(slope * points.along(axis) for slope, axis in zip(per_mm, np.eye(3)))).astype(np.float32)


#: Distance of the samples that are averaged to voxels, at most; tiles are as many samples wide.
SAMPLING_MM, _TILE_SAMPLES = 0.3, 80


def _weights(count: int, factor: int, halo: int, sigma: float) -> np.ndarray:
    """One axis of PSF and voxel box at once: ``count`` voxels from ``count * factor + 2 * halo`` fine samples."""
    kernel = np.exp(-0.5 * (np.arange(-halo, halo + 1) / sigma) ** 2) if halo else np.ones(1)
    kernel = np.convolve(kernel / kernel.sum(), np.full(factor, 1 / factor))
    weights = np.zeros((count, count * factor + 2 * halo), np.float32)
    for voxel in range(count):
        weights[voxel, voxel * factor : voxel * factor + kernel.size] = kernel
    return weights


def _painted(spine: PhantomSpine, grid: Grid, modality: str):
    """The tissue at every voxel center, float32; one number where all of the grid is the same."""
    fat, soft = getattr(FAT, modality), getattr(SOFT_TISSUE, modality)
    outer = grid.corners()
    depth, reach = float(spine._trunk_depth(Cloud(outer.mean(0)))), np.linalg.norm(outer[0] - outer[-1]) / 2
    near = spine.solids_near(grid)
    if depth > SUBCUTANEOUS_FAT_MM + reach:
        if not near:
            return soft
        values = np.full(grid.shape, soft, np.float32)
    else:
        depth = spine._trunk_depth(Lattice(grid))
        values = np.full(grid.shape, getattr(AIR, modality), np.float32)
        lay(values, fat, depth, grid)
        lay(values, soft, depth - SUBCUTANEOUS_FAT_MM, grid)
    for solid, part in near:
        solid.paint(values[part], grid.box(part), modality)
    return values


def _render(
    spine: PhantomSpine, grid: Grid, modality: str, psf_sigma_mm: float, sampling_mm: float, progress: Callable[[float], None]
) -> np.ndarray:
    """Noise-free image, float32 ``[k, j, i]``: samples every ``sampling_mm`` or finer, blurred by the PSF, averaged over the voxels.

    Tile by tile, so that memory stays small and a tile meets only the solids near it.
    """
    factors = np.ceil(grid.spacing / sampling_mm - 1e-6).astype(int)
    sigma = psf_sigma_mm * factors / grid.spacing
    halo = np.ceil(3 * sigma).astype(int)
    tile = np.maximum(np.round(_TILE_SAMPLES * sampling_mm / grid.spacing).astype(int), 1)[::-1]
    image = np.empty(grid.shape, np.float32)
    tiles = list(np.ndindex(*(-(-n // t) for n, t in zip(grid.shape, tile))))
    for number, start in enumerate(tiles):
        progress(number / len(tiles))
        slices = tuple(slice(int(a * t), int(min(a * t + t, n))) for a, t, n in zip(start, tile, grid.shape))
        fine = grid.box(slices).refined(factors)
        fine = fine.box([slice(-int(h), n + int(h)) for h, n in zip(halo[::-1], fine.shape)])
        values = _painted(spine, fine, modality)
        if np.ndim(values):
            counts = [s.stop - s.start for s in slices]
            k, j, i = (_weights(*of_axis) for of_axis in zip(counts, factors[::-1], halo[::-1], sigma[::-1]))
            values = (k @ values.reshape(len(values), -1)).reshape(-1, *values.shape[1:])
            values = j @ values @ i.T
        image[slices] = values
    return image


def render_ct(
    spine: PhantomSpine,
    grid: Grid,
    noise_sd: float = 0.0,
    seed: int = 0,
    psf_sigma_mm: float = 0.6,
    sampling_mm: float = SAMPLING_MM,
    progress: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    """CT of the spine, int16 HU ``[k, j, i]``, with white Gaussian noise; rounded: give whole HU where half an HU matters.

    progress: called with the share that is done.
    """
    image = _render(spine, grid, "hu", psf_sigma_mm, sampling_mm, progress)
    if noise_sd:
        image += np.float32(noise_sd) * np.random.default_rng(seed).standard_normal(grid.shape, np.float32)
    return np.rint(image).astype(np.int16)


def render_t1(
    spine: PhantomSpine,
    grid: Grid,
    noise_sd: float = 0.0,
    seed: int = 0,
    psf_sigma_mm: float = 0.6,
    shading: Callable[[np.ndarray], np.ndarray] | None = None,
    sampling_mm: float = SAMPLING_MM,
    progress: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    """T1 magnitude image, int16 ``[k, j, i]``: ``shading(points_ras) -> gain`` of the coil, then Rician noise.

    The signal floor of Rician noise lifts what is dark (air to 1.25 ``noise_sd``), as on a scanner.
    """
    image = _render(spine, grid, "t1", psf_sigma_mm, sampling_mm, progress)
    if shading is not None:
        image *= shading(grid.centers())
    if noise_sd:
        noise = np.random.default_rng(seed).standard_normal((2, *grid.shape), np.float32)
        image = np.hypot(image + noise_sd * noise[0], noise_sd * noise[1])
    return np.rint(image).astype(np.int16)


def _mask(grid: Grid, corners: np.ndarray, inside: Callable[[Grid], np.ndarray]) -> np.ndarray:
    """bool ``[k, j, i]``: ``inside`` (of a part of the grid) within the corners, False beyond."""
    mask = np.zeros(grid.shape, bool)
    part = grid.slices_around(corners, 1) if len(corners) else None
    if part is not None:
        mask[part] = inside(grid.box(part))
    return mask


def body_mask(vertebra: PhantomVertebra, grid: Grid, margin_mm: float = 0.0) -> np.ndarray:
    """bool ``[k, j, i]``: voxel centers in the vertebral body, ``margin_mm`` or more below its surface."""

    def inside(part):
        return vertebra._body_depth(*local_coordinates(Lattice(part), vertebra.center, vertebra.rotation)) >= margin_mm

    return _mask(grid, vertebra.corners, inside)


def vertebra_mask(spine: PhantomSpine, level: str, grid: Grid) -> np.ndarray:
    """bool ``[k, j, i]``: voxel centers in the body or the posterior elements of ``level``."""
    vertebra = spine.vertebra(level)
    mask = body_mask(vertebra, grid)
    if vertebra.arch:
        mask |= _mask(grid, vertebra.arch.corners, lambda part: vertebra.arch.depth(part) > 0) & ~canal_mask(spine, grid)
    return mask


def disc_mask(spine: PhantomSpine, name: str, grid: Grid) -> np.ndarray:
    """bool ``[k, j, i]``: voxel centers in the disc called ``name`` (``L3-L4``)."""
    disc = _named(spine.discs, name)
    return _mask(grid, disc.corners, lambda part: disc._depth(Lattice(part)) > 0)


def _canal_part(spine: PhantomSpine, grid: Grid, name: str) -> np.ndarray:
    return _mask(grid, spine.canal.corners_near(grid), lambda part: spine.canal._depths(Lattice(part))[name] > 0)


def canal_mask(spine: PhantomSpine, grid: Grid) -> np.ndarray:
    """bool ``[k, j, i]``: voxel centers in the spinal canal."""
    return _canal_part(spine, grid, "canal")


def sac_mask(spine: PhantomSpine, grid: Grid) -> np.ndarray:
    """bool ``[k, j, i]``: voxel centers in the thecal sac, cord and roots included."""
    return _canal_part(spine, grid, "sac")


def cord_mask(spine: PhantomSpine, grid: Grid) -> np.ndarray:
    """bool ``[k, j, i]``: voxel centers in the cord."""
    return _canal_part(spine, grid, "cord")


def csf_mask(spine: PhantomSpine, grid: Grid) -> np.ndarray:
    """bool ``[k, j, i]``: voxel centers in CSF proper: the sac without cord and roots."""
    return sac_mask(spine, grid) & ~cord_mask(spine, grid) & ~_canal_part(spine, grid, "roots")
