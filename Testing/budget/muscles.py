"""rCSA and fat infiltration of muscle phantoms against pixels, slices, noise, tilt and masks.

Fat lies in bands about 3 mm wide. The compartments do not change along the spine, so that the slice beside shows the method alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from BoneQualityLib.anatomy.structure import Segment
from BoneQualityLib.anatomy.vocabulary import identify
from BoneQualityLib.image.distance import signed_distance
from BoneQualityLib.image.grid import SUPERIOR
from BoneQualityLib.image.image import Image
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.measures.muscle_stacks import AxialImages
from BoneQualityLib.measures.muscles import measure_muscles
from BoneQualityLib.parameters import Parameters
from BoneQualityLib.phantoms.phantom_muscles import SIGNALS, MusclePhantom, axial_grid, mask_of, paraspinal_muscles, render

from . import Row, at_most

#: Share of fat in every compartment.
FAT = {"multifidus": 0.35, "erector spinae": 0.25, "psoas major": 0.1}
SPACING, SNR = (0.7, 0.7, 4.0), 15.0
#: Signal of lean muscle over noise; degrees between slices and disc; mm.
SNRS, TILTS, EDGES_MM = (30.0, 15.0, 8.0), (10.0, 20.0), (-1.0, -0.5, 0.5, 1.0)
#: Much steeper slices leave a disc through its endplates.
OFF_DISC_DEG = 10.0


def muscle_rows() -> list[Row]:
    found = []
    for spacing in ((0.5, 0.5, 4.0), SPACING, (1.0, 1.0, 4.0), (1.4, 1.4, 4.0), (0.7, 0.7, 3.0), (0.7, 0.7, 6.0), (0.7, 0.7, 8.0)):
        case = _case(spacing)
        found += _rows(f"pixels of {spacing[0]:g} mm, slices of {spacing[2]:g} mm, no noise", [_errors(*case)], 1.0 if spacing[0] < 1 else 2.0, 1.0)
    case = _case(SPACING)
    for snr in SNRS:
        found += _rows(f"SNR of lean muscle {snr:g}", [_errors(*case, snr=snr, seed=seed) for seed in range(3)], 1.0, 2.0, True)
    for tilt in TILTS:
        found += _rows(f"disc tilted by {tilt:g} degrees, slices along it", [_errors(*_case(SPACING, tilt), snr=SNR)], 1.5, 2.0)
    straight = _case(SPACING, OFF_DISC_DEG, along_disc=False)
    found += _rows(f"slices {OFF_DISC_DEG:g} degrees off the disc", [_errors(*straight, snr=SNR)], 1.5, 2.0, True)
    phantom, image, masks = case
    for edge in EDGES_MM:
        changed = {name: _resized(mask, edge) for name, mask in masks.items()}
        size = f"{abs(edge):g} mm too {'large' if edge > 0 else 'small'}"
        found += _rows(f"all masks {size}", [_errors(phantom, image, changed, SNR)], 8.0, 4.0, abs(edge) == 1)
    for step in (-1, 1):
        apart = {name: mask if name in _discs(phantom) else _one_slice(mask, step) for name, mask in masks.items()}
        found += _rows(f"muscles drawn on the slice {'above' if step > 0 else 'below'}", [_errors(phantom, image, apart, SNR)], 1.5, 2.0, step > 0)
    return found


def _rows(setting: str, errors: list[tuple[float, float]], most_percent: float, most_points: float, readme: bool = False) -> list[Row]:
    area, fat = np.abs(errors).max(axis=0)
    return [
        at_most("rCSA, error", setting, float(area), most_percent, "%", 1, readme),
        at_most("fat infiltration, error", setting, float(fat), most_points, "points", 1, readme),
    ]


def _case(spacing, tilt_deg: float = 0.0, along_disc: bool = True) -> tuple[MusclePhantom, Image, dict[str, Mask]]:
    """A phantom with one disc, leaning to the front, its noise-free T2 image, and the right masks."""
    cosine, sine = np.cos(np.radians(tilt_deg)), np.sin(np.radians(tilt_deg))
    turn = np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])
    phantom = paraspinal_muscles(FAT, discs={"L3-L4": ((0.0, 0.0, 0.0), tuple(turn @ SUPERIOR))})
    grid = axial_grid(phantom, spacing, turn if along_disc else None)
    names = [*(compartment.name for compartment in phantom.compartments), *_discs(phantom)]
    image = Image("T2", render(phantom, grid, "t2"), grid)
    return phantom, image, {name: Mask(name, mask_of(phantom, name, grid), grid) for name in names}


def _discs(phantom: MusclePhantom) -> list[str]:
    return [disc.name for disc in phantom.discs]


def _errors(phantom: MusclePhantom, image: Image, masks: dict[str, Mask], snr: float = np.inf, seed: int = 1) -> tuple[float, float]:
    """Of rCSA in percent of the truth, of fat infiltration in percentage points; noise is Rician."""
    noise = SIGNALS["t2"].lean / snr * np.random.default_rng(seed).standard_normal((2, *image.array.shape))
    noisy = replace(image, array=np.hypot(image.array + noise[0], noise[1]).astype(np.float32))
    segments = [Segment(name, "masks", lambda mask=mask: mask.cropped()) for name, mask in masks.items()]
    segments = [replace(segment, structure=identify(segment)) for segment in segments]
    values = measure_muscles(segments, [AxialImages(noisy, is_ct=False)], Parameters()).case_values()
    normal = image.grid.directions[:, 2]
    truth = sum(c.area for c in phantom.compartments) / abs(normal[2]) / phantom.discs[0].area_on(normal)
    return 100 * (values["rcsa"] / truth - 1), values["fat_infiltration_percent"] - phantom.fat_infiltration()


def _resized(mask: Mask, edge_mm: float) -> Mask:
    """Larger or smaller in its slices, each by itself."""
    spacing = mask.grid.spacing[1::-1]
    slices = [signed_distance(part, spacing) > -edge_mm if part.any() else part for part in mask.array]
    return Mask(mask.name, np.array(slices), mask.grid)


def _one_slice(mask: Mask, step: int) -> Mask:
    """Drawn on a single slice, one beside that through the middle."""
    array = np.zeros_like(mask.array)
    k = int(round(float(mask.grid.ijk([0.0, 0.0, 0.0])[2]))) + (step if mask.grid.directions[2, 2] > 0 else -step)
    array[k] = mask.array[k]
    return Mask(mask.name, array, mask.grid)


PARTS = (muscle_rows,)


def rows() -> list[Row]:
    """Every row of this module."""
    return muscle_rows()
