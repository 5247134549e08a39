"""Bodies with known answers, and the masks that other people and networks would draw of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from BoneQualityLib.errors import NotMeasured
from BoneQualityLib.image.distance import signed_distance
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.image import Image
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.measures.hounsfield import measure_level
from BoneQualityLib.measures.roi import LevelNumbers
from BoneQualityLib.parameters import Parameters
from BoneQualityLib.phantoms.phantom_solids import PhantomVertebra
from BoneQualityLib.phantoms.phantom_spine import PhantomSpine, body_mask, grid_for, lumbar_spine, render_ct
from BoneQualityLib.vertebra.body import place_body
from BoneQualityLib.vertebra.frame import place_frame

LEVELS = ("L1", "L2", "L3", "L4", "L5")
#: Bone that is denser toward both endplates and the back, HU per mm.
GRADED = dict(endplate_hu_per_mm=2.0, posterior_hu_per_mm=1.0)
THIN = (0.8, 0.8, 1.0)


def spine_of(levels: Sequence[str] = LEVELS, lordosis_deg: float = 40.0, hu=None, **changes) -> PhantomSpine:
    """Bodies without posterior elements; ``changes`` for every level."""
    return lumbar_spine(
        levels, lordosis_deg, cancellous_hu=hu, posterior_elements=False, changes={level: dict(changes) for level in levels}
    )


def ct_around(spine: PhantomSpine, vertebra: PhantomVertebra, spacing, noise: float, shift=(0.0, 0.0, 0.0), rotation=None) -> Image:
    """A CT of one vertebra and what lies near it; ``shift`` moves the lattice, mm along R, A, S."""
    grid = grid_for(PhantomSpine((vertebra,), spine.canal, spine.trunk_center), spacing, rotation=rotation, margin_mm=9.0)
    affine = grid.ijk_to_ras.copy()
    affine[:3, 3] += shift
    grid = Grid(grid.shape, affine)
    return Image("CT", render_ct(spine, grid, noise, seed=3), grid)


def right_mask(vertebra: PhantomVertebra, grid: Grid) -> Mask:
    return Mask(vertebra.level, body_mask(vertebra, grid), grid).cropped()


def read(vertebra: PhantomVertebra, mask: Mask, image: Image, parameters: Parameters = Parameters()) -> LevelNumbers:
    """What the CT says of a body with this mask; its frame comes from the mask too."""
    return read_mask(mask, image, parameters)


def read_mask(mask: Mask, image: Image, parameters: Parameters = Parameters()) -> LevelNumbers:
    """As `read`, of a real body."""
    try:
        frame = place_frame(mask, None, None, None, None)
    except NotMeasured:
        frame = None
    return measure_level(place_body(mask.name, mask, [], "body"), image, parameters, frame)


def other_masks(vertebra: PhantomVertebra, grid: Grid, seed: int = 0) -> dict[str, Mask]:
    """Masks of the same body by another hand or network: the right one, 1 mm too large or small, rough, smoothed, of coarse voxels, moved."""
    part = grid.slices_around(vertebra.corners, pad=int(np.ceil(6 / min(grid.spacing))))
    box = grid.box(part)
    right = body_mask(vertebra, box)
    depth, spacing = signed_distance(right, box.spacing[::-1]), box.spacing[::-1]
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(right.shape), 1.5 / spacing)
    arrays = {
        "right": right,
        "1 mm too large": depth > -1,
        "1 mm too small": depth > 1,
        "rough": depth + 0.8 / noise.std() * noise > 0,
        "smoothed": ndimage.gaussian_filter(right.astype(float), 2.0 / spacing) > 0.5,
    }
    for axis, name in enumerate("kji"):
        arrays |= {f"moved {sign:+d} {name}": np.roll(right, sign, axis) for sign in (1, -1)}
    masks = {name: Mask(name, array, box).cropped() for name, array in arrays.items()}
    for step in (1.5, 3.0):
        coarse = grid_for(PhantomSpine((vertebra,), None, (0.0, 0.0)), (step,) * 3, margin_mm=6.0)
        masks[f"{step:g} mm voxels"] = Mask(f"{step} mm", body_mask(vertebra, coarse), coarse).cropped()
    return masks


def real_variants(mask: Mask) -> dict[str, Mask]:
    """Six other masks of a real body, drawn on voxels of about 1 mm."""
    factors = np.maximum(np.round(mask.grid.spacing), 1).astype(int)
    wide = mask.padded(2)
    grid = wide.grid.refined(factors)
    depth, spacing = signed_distance(wide.on(grid) >= 0.5, grid.spacing[::-1]), grid.spacing[::-1]
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(depth.shape), 1.5 / spacing)
    arrays = {
        "1 mm too large": depth > -1,
        "1 mm too small": depth > 1,
        "rough": depth + 0.8 / noise.std() * noise > 0,
        "smoothed": ndimage.gaussian_filter((depth > 0).astype(float), 2.0 / spacing) > 0.5,
        "moved by 1 mm upward": np.roll(depth > 0, 1, 0),
        "moved by 1 mm to the side": np.roll(depth > 0, 1, 2),
    }
    return {name: Mask(name, array, grid).cropped() for name, array in arrays.items()}
