"""HU of cancellous bone against slice thickness, tilt, masks and bone; the shared CT; faults put in, found or cried for nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from BoneQualityLib.image.image import Image
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.measures.endosteal import read_endosteum
from BoneQualityLib.measures.region import place_wide
from BoneQualityLib.measures.roi import LevelNumbers
from BoneQualityLib.measures.uncertainty import combined
from BoneQualityLib.phantoms.phantom_solids import PhantomVertebra
from BoneQualityLib.phantoms.phantom_spine import PhantomSpine
from BoneQualityLib.statistics.intraclass import icc_forms
from BoneQualityLib.vertebra.body import place_body
from BoneQualityLib.vertebra.body_cut import body_middle, cut_body

from . import Row, at_least, at_most
from ._bodies import GRADED, LEVELS, THIN, ct_around, other_masks, read, read_mask, real_variants, right_mask, spine_of
from ._volumes import read_volume

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
MEASURES = {"hu_3d": "3D-HU", "hu_multislice": "multi-slice HU", "hu_middle": "mid-slice HU", "hu_3d_wide": "3D-HU wide"}
UNIFORM_HU = 120.0


def slice_thickness() -> list[Row]:
    """Uniform bone; every level at two positions of the lattice and two tilts, so that no luck with the slices counts."""
    found = []
    spines = [spine_of((level,), hu=UNIFORM_HU, rotation=_forward(tilt)) for tilt, level in zip((-10, -6, 0, 5, 10), LEVELS)]
    for spacing, worst in (
        ((0.8, 0.8, 1.0), 0.5),
        ((0.8, 0.8, 2.0), 0.5),
        ((0.8, 0.8, 3.0), 0.5),
        ((0.8, 0.8, 5.0), 0.5),
        ((3.0,) * 3, 3.5),
    ):
        errors, volumes, codes, complete = {name: [] for name in MEASURES}, [], [], []
        for spine in spines:
            vertebra = spine.vertebrae[0]
            truth = vertebra.cancellous_truth(3.0, 0.8)
            for share in (0.2, 0.6):
                image = ct_around(spine, vertebra, spacing, 0.0, share * np.array([1.0, 1.0, spacing[2]]))
                numbers = read(vertebra, right_mask(vertebra, image.grid), image)
                for name in MEASURES:
                    errors[name].append(numbers.values.get(name, np.nan) - truth.mean_hu)
                volumes.append(numbers.values["hu_3d_volume_mm3"] / truth.volume_mm3)
                codes += [flag.code for flag in numbers.flags]
                complete.append("hu_multislice" in numbers.values)
        setting = f"slices of {spacing[2]:g} mm" if spacing[0] < 1 else "3 mm isotropic"
        size = {name: np.abs(values) for name, values in errors.items()}
        found += [
            at_most(
                "3D-HU mean error",
                f"{setting}, uniform bone, {len(volumes)} bodies",
                np.mean(size["hu_3d"]),
                1.0,
                "HU",
                readme=True,
            ),
            at_most("3D-HU largest error", setting, np.max(size["hu_3d"]), worst, "HU"),
            at_most("3D-HU wide mean error", setting, np.mean(size["hu_3d_wide"]), 3.0, "HU"),
            at_most("mid-slice HU mean error", setting, np.nanmean(size["hu_middle"]), 1.2, "HU", readme=True),
            at_most("multi-slice HU mean error", setting, np.nanmean(size["hu_multislice"]), 1.2, "HU", readme=True),
            Row(
                "endplate-defect",
                f"{setting}, intact bodies",
                f"{codes.count('endplate-defect')} raised",
                "none",
                "endplate-defect" not in codes,
            ),
        ]
        if spacing[2] <= 3:
            found.append(at_least("all three slices", f"{setting}, tilts to 10 degrees", 100 * np.mean(complete), 100, "%", 0))
        else:
            # 9 of 12.7 cm3 on average and 7.5 in each, as shares: these bodies are larger
            found += [
                Row("all three slices", setting, f"{100 * np.mean(complete):.0f} %"),
                at_least(
                    "volume of the region",
                    f"{setting}, mean share of what lies 3 mm deep",
                    np.mean(volumes),
                    9.0 / 12.7,
                    "",
                    readme=True,
                ),
                at_least("volume of the region", f"{setting}, least share", np.min(volumes), 7.5 / 12.7, ""),
            ]
    return found


def tilted_bodies() -> list[Row]:
    """Intact bodies tilted against the slices: all three slices up to 15 degrees, the true HU at any tilt."""
    found = []
    for spacing in ((0.8, 0.8, 1.0), (0.8, 0.8, 3.0)):
        for tilt in (0.0, 10.0, 15.0, 25.0):
            errors, complete, codes = [], [], []
            for level in ("L1", "L3", "L5"):
                spine = spine_of((level,), hu=UNIFORM_HU, rotation=_forward(tilt))
                image = ct_around(spine, spine.vertebrae[0], spacing, 0.0, (0.2, 0.3, 0.4 * spacing[2]))
                numbers = read(spine.vertebrae[0], right_mask(spine.vertebrae[0], image.grid), image)
                complete.append("hu_multislice" in numbers.values)
                codes += [flag.code for flag in numbers.flags]
                errors += [
                    abs(numbers.values[name] - UNIFORM_HU)
                    for name in ("hu_3d", "hu_middle", "hu_multislice")
                    if name in numbers.values
                ]
            setting = f"slices of {spacing[2]:g} mm, tilt of {tilt:g} degrees"
            found.append(at_most("HU largest error", setting, np.max(errors), 1.2, "HU"))
            share = 100 * np.mean(complete)
            found.append(
                at_least("all three slices", setting, share, 100, "%", 0)
                if tilt <= 15
                else Row("all three slices", setting, f"{share:.0f} %")
            )
            found.append(
                Row("endplate-defect", setting, f"{codes.count('endplate-defect')} raised", "none", "endplate-defect" not in codes)
            )
    return found


def _forward(degrees: float) -> np.ndarray:
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])


def masks_on_thin_slices() -> list[Row]:
    """Ten vertebrae of 30-170 HU through thirteen masks each, and the agreement of these."""
    spines = {
        f"{LEVELS[n % 5]}, {hu:.0f} HU": spine_of((LEVELS[n % 5],), 10.0 * (n // 5), hu=float(hu), **GRADED)
        for n, hu in enumerate(np.linspace(30, 170, 10))
    }
    numbers, cortex = _read_masks(spines, THIN, 30.0)
    return _rows("slices of 1 mm", numbers, 30.0, 1.5, cortex) + _agreement(numbers)


def masks_on_thin_cortex() -> list[Row]:
    spines = {level: spine_of((level,), **dict(GRADED, cortex_mm=0.5)) for level in ("L1", "L3", "L5")}
    numbers, cortex = _read_masks(spines, THIN, 30.0)
    return _rows("slices of 1 mm, cortex of 0.5 mm", numbers, 30.0, 1.5, cortex)


def masks_on_coarse_voxels() -> list[Row]:
    numbers, _ = _read_masks({level: spine_of((level,), **GRADED) for level in LEVELS}, (3.0,) * 3, 20.0)
    return _rows("3 mm isotropic", numbers, 20.0, 2.5, [])


def _read_masks(spines: dict[str, PhantomSpine], spacing, noise: float) -> tuple[dict[str, dict[str, LevelNumbers]], list[float]]:
    """What every mask of every body gives, by body and mask; and the shares of cortex in the wide region."""
    numbers, cortex = {}, []
    for seed, (body, spine) in enumerate(spines.items()):
        vertebra = spine.vertebrae[0]
        image = ct_around(spine, vertebra, spacing, noise)
        for name, mask in other_masks(vertebra, image.grid, seed).items():
            numbers.setdefault(body, {})[name] = read(vertebra, mask, image)
            if spacing == THIN and name in ("right", "1 mm too large", "rough"):
                cortex.append(_cortex_share(vertebra, mask, image))
    return numbers, cortex


def _rows(setting: str, numbers: dict, noise: float, limit: float, cortex: list[float]) -> list[Row]:
    """Graded bone with noise: how far other masks lie from the right one, and whether the ranges hold what they give."""
    names, found = list(next(iter(numbers.values()))), []
    for measure, title in MEASURES.items():
        apart = {
            name: np.nanmean([abs(np.diff([of[which].values.get(measure, np.nan) for which in (name, "right")])) for of in numbers.values()])
            for name in names
            if name != "right"
        }
        furthest = max(apart, key=apart.get)
        text = f"{setting}, graded bone, noise {noise:g}, {len(apart)} masks of {len(numbers)} bodies"
        target = {"hu_3d": limit, "hu_3d_wide": 3.0}.get(measure, np.inf)
        mean = float(np.mean([*apart.values()]))
        if np.isfinite(target):
            found.append(at_most(f"{title} by other masks", text, mean, target, "HU", readme=True))
        else:
            found.append(Row(f"{title} by other masks", text, f"{mean:.2f} HU"))
        found.append(Row("", f"{setting}: furthest: {furthest}", f"{apart[furthest]:.2f} HU"))
    if cortex:
        found.append(at_most("cortex in the wide region", f"{setting}: largest share of its weight", 100 * max(cortex), 0.5, "%"))
    return found + _held(setting, numbers)


def _held(setting: str, numbers: dict) -> list[Row]:
    """Share of pairs with the right mask in which the range of one holds the value of the other."""
    found = []
    for measure in ("hu_3d", "hu_multislice", "hu_middle"):
        inside, widths = [], []
        for of in numbers.values():
            for name in of:
                pair = of["right"], of[name]
                if name == "right" or any(measure not in one.values for one in pair):
                    continue
                for one, other in (pair, pair[::-1]):
                    low, high = combined(one.values[measure], one.variations[measure])
                    inside.append(low <= other.values[measure] <= high)
                    widths.append(high - low)
        text = f"{setting}: {len(inside)} pairs, mean width {np.mean(widths):.1f} HU"
        found.append(at_least(f"range of {MEASURES[measure]}", text, 100 * np.mean(inside), 90, "% held", 0, readme=True))
    return found


def _cortex_share(vertebra: PhantomVertebra, mask: Mask, image: Image) -> float:
    """Weight of the wide region's voxels whose centers lie in the true cortex or outside."""
    body = place_body(vertebra.level, mask, [], "body")
    wide = place_wide(body, image, 3.0, read_endosteum(body, image, 3.0))
    return float(wide.weights[vertebra.depth(wide.grid.centers()) < vertebra.cortex_mm].sum() / wide.weights.sum())


def _agreement(numbers: dict) -> list[Row]:
    """ICC(2,1), bodies against masks."""
    masks = len(next(iter(numbers.values())))
    setting, found = f"{len(numbers)} graded vertebrae of 30-170 HU, {masks} masks, noise 30", []
    for name, limit in (("hu_3d", 0.9995), ("hu_multislice", 0.999), ("hu_3d_wide", 0.999)):
        values = np.array([[each.values[name] for each in of.values()] for of in numbers.values()])
        found.append(at_least(f"ICC(2,1) of {MEASURES[name]}", setting, icc_forms(values)["(2,1)"].value, limit, "", 5, readme=True))
    return found


def shared_ct() -> list[Row]:
    """The shared CT of 3 mm voxels: bodies by one network against seven other masks of them, one of them another network's."""
    folder = SHARED / "ct_L1-L5_3mm"
    if not folder.is_dir():
        return [Row("shared CT", "../shared/data is absent: NOT measured", "-", "measured", False)]
    image = Image("CT", *read_volume(folder / "ct.nii.gz"))
    (bodies, grid), (wholes, _) = read_volume(folder / "vertebral_bodies.nii.gz"), read_volume(folder / "vertebrae_total.nii.gz")
    apart, held = {}, []
    middles = {n: body_middle(Mask("", wholes == 31 - n, grid).cropped()) for n in range(5)}
    for n in range(5):
        right = Mask(f"L{n + 1}", bodies == 20 + n, grid).cropped()
        whole = Mask(f"L{n + 1}", wholes == 31 - n, grid).cropped()
        masks = {"another network, cut from the whole": cut_body(whole, middles.get(n - 1), middles.get(n + 1), None).body}
        masks |= real_variants(right)
        first = read_mask(right, image)
        for name, mask in masks.items():
            other = read_mask(mask, image)
            for measure in ("hu_3d", "hu_multislice"):
                if measure in first.values and measure in other.values:
                    apart.setdefault((measure, name), []).append(abs(first.values[measure] - other.values[measure]))
            for one, two in ((first, other), (other, first)):
                low, high = combined(one.values["hu_3d"], one.variations["hu_3d"])
                held.append(low <= two.values["hu_3d"] <= high)
    found = []
    for measure, target in (("hu_3d", 2.5), ("hu_multislice", np.inf)):
        means = {name: np.mean(values) for (of, name), values in apart.items() if of == measure}
        mean, text = float(np.mean([*means.values()])), f"shared CT, L1-L5, {len(means)} other masks"
        found.append(
            at_most(f"{MEASURES[measure]} by other masks", text, mean, target, "HU", readme=True)
            if np.isfinite(target)
            else Row(f"{MEASURES[measure]} by other masks", text, f"{mean:.2f} HU")
        )
        found += [Row("", f"shared CT: {name}", f"{value:.2f} HU") for name, value in means.items()]
    return [*found, at_least("range of 3D-HU", f"shared CT: {len(held)} pairs", 100 * np.mean(held), 90, "% held", 0)]


PARTS = (
    slice_thickness,
    tilted_bodies,
    masks_on_thin_slices,
    masks_on_thin_cortex,
    masks_on_coarse_voxels,
    shared_ct,
)


def rows() -> list[Row]:
    """Every row of this module."""
    return [row for part in PARTS for row in part()]
