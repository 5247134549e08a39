"""Foci in a region and levels among their neighbors: faults put in and found, and alarms cried for nothing; the curves behind the thresholds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from BoneQualityLib.image.image import Image
from BoneQualityLib.measures import focal
from BoneQualityLib.measures.endosteal import read_endosteum
from BoneQualityLib.measures.focal import find_foci, find_outliers
from BoneQualityLib.measures.region import place_cancellous
from BoneQualityLib.measures.roi import RegionRoi
from BoneQualityLib.vertebra.body import place_body

from . import Row, at_least, at_most
from ._bodies import GRADED, THIN, ct_around, right_mask, spine_of

#: Spacing and noise of the images that foci are put into.
SETTINGS = {"slices of 1 mm": (THIN, 30.0), "slices of 5 mm": ((0.8, 0.8, 5.0), 20.0), "3 mm isotropic": ((3.0,) * 3, 20.0)}
#: Texture of bone: SD, and sigma of its blur.
TEXTURE_HU, TEXTURE_MM = 40.0, 2.0
#: Spheres: volumes from and to, cm3, and HU that they differ by.
SPHERES = {(0.2, 0.2): (120.0, 200.0, 300.0), (0.3, 0.5): (120.0, 200.0, 300.0), (0.6, 1.0): (80.0, 120.0, 200.0, 300.0)}


def foci() -> list[Row]:
    """Spheres put into graded bone of three levels with noise; every setting places its region once."""
    found = []
    for name, (spacing, noise) in SETTINGS.items():
        bodies = [_region(level, spacing) for level in ("L1", "L3", "L5")]
        random = np.random.default_rng(1)
        cried = [bool(find_foci(region, _noisy(image, noise, random))) for region, image in bodies for _ in range(34)]
        setting = f"{name}, graded bone, {len(cried)} images"
        found.append(at_most("focus cried for nothing", setting, 100 * np.mean(cried), 1.0, "%", 0, readme=True))
        for (low, high), differences in SPHERES.items():
            for difference in differences:
                caught = [
                    _found(region, _with_sphere(region, _noisy(image, noise, random), sign * difference, random, (low, high)), sign)
                    for region, image in bodies
                    for sign in (1, -1)
                    for _ in range(6)
                ]
                text = f"{name}: {low:g}-{high:g} cm3, {difference:g} HU off, {len(caught)} spheres"
                share = 100 * np.mean(caught)
                found.append(
                    at_least("focus found", text, share, 90, "%", 0, readme=True)
                    if difference >= 200
                    else Row("focus found", text, f"{share:.0f} %")
                )
    return found


def foci_in_texture() -> list[Row]:
    """The same in bone whose trabecular texture varies by 40 HU (SD) over some millimeters, as real bone of coarse texture does."""
    found, random = [], np.random.default_rng(4)
    for name, (spacing, noise) in SETTINGS.items():
        bodies = [_region(level, spacing) for level in ("L1", "L5")]

        def textured(image: Image) -> Image:
            blur = TEXTURE_MM / np.array(image.grid.spacing[::-1])
            texture = ndimage.gaussian_filter(random.standard_normal(image.array.shape).astype(np.float32), blur)
            return _noisy(replace(image, array=image.array + TEXTURE_HU / texture.std() * texture), noise, random)

        cried = [bool(find_foci(region, textured(image))) for region, image in bodies for _ in range(50)]
        setting = f"{name}, texture of {TEXTURE_HU:g} HU, {len(cried)} images"
        found.append(at_most("focus cried for nothing", setting, 100 * np.mean(cried), 1.0, "%", 0, readme=True))
        for cm3 in SPHERES:
            caught = [
                _found(region, _with_sphere(region, textured(image), sign * 300.0, random, cm3), sign)
                for region, image in bodies
                for sign in (1, -1)
                for _ in range(6)
            ]
            found.append(Row("focus found", f"{name}, texture: {cm3[0]:g}-{cm3[1]:g} cm3, 300 HU off, {len(caught)} spheres", f"{100 * np.mean(caught):.0f} %"))
    return found


def _region(level: str, spacing) -> tuple[RegionRoi, Image]:
    """A right region, and the part of the image that it lies in."""
    spine = spine_of((level,), **GRADED)
    image = ct_around(spine, spine.vertebrae[0], spacing, 0.0)
    body = place_body(level, right_mask(spine.vertebrae[0], image.grid), [], "body")
    region = place_cancellous(body, image, 3.0, read_endosteum(body, image, 3.0))
    own = tuple(slice(0, n) for n in region.weights.shape)
    return replace(region, slices=own), Image("CT", image.array[region.slices], region.grid)


def _noisy(image: Image, noise: float, random: np.random.Generator) -> Image:
    return replace(image, array=image.array + (noise * random.standard_normal(image.array.shape)).astype(np.float32))


def _with_sphere(region, image: Image, difference: float, random: np.random.Generator, cm3: tuple[float, float]) -> Image:
    """The image with a sphere of another HU wholly inside the region, its volume within the two given."""
    radius = (1000 * random.uniform(*cm3) * 3 / (4 * np.pi)) ** (1 / 3)
    points = region.grid.centers()
    inside = points[region.weights > 0.99]
    border = points[(region.weights < 0.5)]
    for center in random.permutation(inside)[:200]:
        if np.min(np.sum((border - center) ** 2, axis=1)) > (radius + 0.5) ** 2:
            break
    array = image.array.copy()
    step = float(np.cbrt(np.prod(region.grid.spacing)))
    share = np.clip(0.5 + (radius - np.linalg.norm(points - center, axis=-1)) / step, 0, 1)
    array[region.slices] += (difference * share).astype(np.float32)
    return replace(image, array=array)


def _found(region, image: Image, sign: int) -> bool:
    return any(focus.is_dense == (sign > 0) for focus in find_foci(region, image))


def levels() -> list[Row]:
    """Spines of five levels that differ by 10 HU (SD) along a trend; one level changed; and the curve of the threshold."""
    random, found = np.random.default_rng(2), []
    spines = [_levels(random) for _ in range(1000)]
    cried = 100 * np.mean([bool(find_outliers(spine)) for spine in spines])
    found.append(
        at_most(
            "hu-outlier cried for nothing", "1000 spines of five levels, SD between levels 10 HU", cried, 1.0, "%", 1, readme=True
        )
    )
    for change in (40.0, 60.0, 80.0, 120.0):
        caught = 100 * np.mean([_named(_changed(spine, change, 0.0)) for spine in spines])
        text = f"one level {change:g} HU denser"
        found.append(
            at_least("hu-outlier found", text, caught, 95, "%", 0, readme=True)
            if change >= 120
            else Row("hu-outlier found", text, f"{caught:.0f} %")
        )
    for change in (20.0, 30.0, 45.0):
        caught = 100 * np.mean([_named(_changed(spine, 0.0, change)) for spine in spines])
        text = f"SD of one level {change:g} HU larger"
        found.append(
            at_least("hu-outlier found", text, caught, 95, "%", 0)
            if change >= 45
            else Row("hu-outlier found", text, f"{caught:.0f} %")
        )
    usual = focal.LEVEL_HU
    for threshold in (30.0, 60.0):
        focal.LEVEL_HU = threshold
        cried = 100 * np.mean([bool(find_outliers(spine)) for spine in spines])
        caught = 100 * np.mean([_named(_changed(spine, 80.0, 0.0)) for spine in spines])
        found.append(
            Row(
                "hu-outlier",
                f"threshold of {threshold:g} in place of {usual:g} HU",
                f"{cried:.1f} % cried, {caught:.0f} % of 80 HU found",
            )
        )
    focal.LEVEL_HU = usual
    return found


def _levels(random: np.random.Generator) -> dict[str, tuple[float, float]]:
    mean, trend, sd = random.uniform(30, 170), random.normal(0, 4), random.uniform(25, 50)
    return {
        f"L{n + 1}": (float(mean + trend * (n - 2) + random.normal(0, 10)), float(sd * random.normal(1, 0.08))) for n in range(5)
    }


def _changed(spine: dict[str, tuple[float, float]], hu: float, sd: float) -> dict[str, tuple[float, float]]:
    return spine | {"L3": (spine["L3"][0] + hu, spine["L3"][1] + sd)}


def _named(spine: dict[str, tuple[float, float]]) -> bool:
    return any(outlier.level == "L3" for outlier in find_outliers(spine))


PARTS = (foci, foci_in_texture, levels)


def rows() -> list[Row]:
    """Every row of this module."""
    return [row for part in PARTS for row in part()]
