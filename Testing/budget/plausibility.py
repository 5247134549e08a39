"""How many faulty masks and images are caught on CT, and how often a sound one is called faulty.

    python Testing/budget/plausibility.py 300

prints the false alarms on so many phantoms, with --faults also what is caught there; the error budget takes a sample. Thresholds were chosen on the phantoms with even
seeds of `CHOSEN_ON`; the rates that count are those of phantoms that took no part in the choice.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2] / "BoneQuality")]

from BoneQualityLib.anatomy.numbering import audit
from BoneQualityLib.errors import BoneQualityError, NotMeasured
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.image import Image
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.measures.endosteal import read_endosteum
from BoneQualityLib.measures.mask_rim import LEAST_RIM_HU, rim_on_ct
from BoneQualityLib.measures.region import place_cancellous, place_wide, region_mean
from BoneQualityLib.measures.uncertainty import combined, moved_region
from BoneQualityLib.measures.units import check_hounsfield
from BoneQualityLib.phantoms import phantom_spine
from BoneQualityLib.vertebra.body import place_body
from BoneQualityLib.vertebra.pieces import PIECE_SHARE, main_piece, split_bodies
from budget import Row, at_least, at_most
from budget._injected_faults import (
    SHIFTS_MM,
    ct_sample,
    fair_masks,
    mirrored,
    moved,
    nifti,
    odd_masks,
    percent,
    swollen,
    wrong_masks,
)

#: Seeds: a threshold was chosen on the first, its rates are measured on the second.
CHOSEN_ON, LEFT_OUT = range(0, 10), range(1000, 1015)
#: A fault is harmful where it moves 3D-HU by more than this, and out of the level's own range.
HARMFUL_HU = 5.0
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "ct_L1-L5_3mm"
#: Of eight distances, those that the sample takes.
FEW_SHIFTS = (4, 8, 20)
CURVE_HU = (-10.0, -5.0, 0.0, 5.0, 10.0, 15.0)


@dataclass(frozen=True)
class Reading:
    """3D-HU through a mask, its range, and the rim along the mask; nan where not measured."""

    hu: float
    low: float
    high: float
    rim: float


def read(mask: Mask, image: Image) -> Reading:
    body = place_body("L3", mask, [], "body")
    try:
        rim = rim_on_ct(body, image)
    except NotMeasured:
        rim = float("nan")
    try:
        endosteum = read_endosteum(body, image, 3.0, None)
        region = place_cancellous(body, image, 3.0, endosteum)
        hu = region_mean(region, image)
        low, high = combined(hu, moved_region(region, image, place_wide(body, image, 3.0, endosteum)))
    except NotMeasured:
        hu = low = high = float("nan")
    return Reading(hu, low, high, rim)


@cache
def readings(seeds: range, shifts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rims of right masks, of fair ones (the right one among them), of harmful ones, and of harmful ones of odd kinds."""
    right, fair, harmful, odd = [], [], [], []
    for seed in seeds:
        sample = ct_sample(seed)
        read_fair = [read(mask, sample.image) for _, mask in fair_masks(sample)]
        truth = read_fair[0]
        right.append(truth.rim)
        fair += [each.rim for each in read_fair]
        for masks, rims in ((wrong_masks(sample, shifts), harmful), (odd_masks(sample), odd)):
            every = [read(mask, sample.image) for _, mask in masks]
            rims += [each.rim for each in every if _is_harmful(each, truth)]
    return np.array(right), np.array(fair), np.array(harmful), np.array(odd)


def _is_harmful(found: Reading, truth: Reading) -> bool:
    return np.isnan(found.hu) or (abs(found.hu - truth.hu) > HARMFUL_HU and not truth.low <= found.hu <= truth.high)


def threshold_of_the_rim() -> list[Row]:
    """The curve that the threshold was read from."""
    right, fair, harmful, _ = readings(CHOSEN_ON, FEW_SHIFTS)
    setting = f"{len(right)} phantoms, {len(fair)} fair and {len(harmful)} harmful masks, threshold {{:g}} HU"
    return [
        Row("mask-off-bone, curve", setting.format(limit), f"{percent(_caught(harmful, limit))} / {percent(_caught(fair, limit))}", "caught / false")
        for limit in CURVE_HU
    ]  # fmt: skip


def masks_off_the_bone() -> list[Row]:
    """Rates at the threshold, on phantoms that took no part in choosing it."""
    return _rates(LEFT_OUT, FEW_SHIFTS)


def _rates(seeds: range, shifts: tuple[int, ...]) -> list[Row]:
    right, fair, harmful, odd = readings(seeds, shifts)
    kinds = f"left out of the choice, {len(right)} phantoms of 10 kinds"
    return [
        at_least("mask-off-bone, caught", f"{kinds}, {len(harmful)} harmful masks", 100 * _caught(harmful, LEAST_RIM_HU), 98, "%", 1, True),
        Row("mask-off-bone, caught", f"{kinds}, {len(odd)} harmful masks turned by 10-20 degrees or scaled by 0.85-1.3", percent(_caught(odd, LEAST_RIM_HU))),
        at_most("mask-off-bone, false alarms", f"{kinds}, right masks", 100 * _caught(right, LEAST_RIM_HU), 1, "%", 1, True),
        at_most("mask-off-bone, false alarms", f"{kinds}, masks off by up to 1 mm", 100 * _caught(fair, LEAST_RIM_HU), 3, "%", 1),
    ]  # fmt: skip


def mirrored_scoliosis() -> list[Row]:
    """Masks mirrored left to right, across the image and each across its own middle, in spines bent to one side."""
    harmful, false = [], []
    for seed in range(3):
        random = np.random.default_rng(seed)
        spine = phantom_spine.lumbar_spine(
            lordosis_deg=float(random.uniform(20, 50)), scoliosis_deg=float(random.choice([-1, 1]) * random.uniform(25, 50)),
            cancellous_hu=list(random.uniform(40, 160, 5)), gradient_hu_per_mm=float(random.uniform(-1.5, 1.5)),
        )  # fmt: skip
        grid = phantom_spine.grid_for(spine, (0.9, 0.9, float(random.choice([1, 2, 3]))))
        image = Image("CT", phantom_spine.render_ct(spine, grid, 15.0, seed, sampling_mm=0.5), grid)
        masks = [Mask(v.level, phantom_spine.body_mask(v, grid), grid).cropped() for v in spine.vertebrae]
        for mask in masks:
            truth = read(mask, image)
            false.append(truth.rim)
            wrong = [read(mirrored(mask, 0, float(about)), image) for about in (masks[2].center[0], mask.center[0])]
            harmful += [each.rim for each in wrong if _is_harmful(each, truth)]
    setting = f"mirrored left to right, 3 scoliotic spines, {len(harmful)} harmful masks"
    return [
        at_least("mask-off-bone, caught", setting, 100 * _caught(np.array(harmful), LEAST_RIM_HU), 98, "%", 1),
        at_most("mask-off-bone, false alarms", f"{len(false)} right masks of 3 scoliotic spines", 100 * _caught(np.array(false), LEAST_RIM_HU), 1, "%", 1),
    ]  # fmt: skip


def sound_masks(seeds: range) -> list[Row]:
    """False alarms alone, on many phantoms."""
    right, fair = [], []
    for seed in seeds:
        sample = ct_sample(seed)
        rims = [rim_on_ct(place_body("L3", mask, [], "body"), sample.image) for _, mask in fair_masks(sample)]
        right.append(rims[0])
        fair += rims
    return [
        at_most("mask-off-bone, false alarms", f"{len(right)} phantoms of 10 kinds, right masks", 100 * _caught(np.array(right), LEAST_RIM_HU), 1, "%", 1),
        at_most("mask-off-bone, false alarms", f"{len(right)} phantoms of 10 kinds, masks off by up to 1 mm", 100 * _caught(np.array(fair), LEAST_RIM_HU), 3, "%", 1),
    ]  # fmt: skip


def real_masks() -> list[Row]:
    """The shared CT of 3 mm voxels: bodies as drawn by a network, moved by 1 mm, 1 mm larger and smaller."""
    if not SHARED.is_dir():
        return [Row("mask-off-bone, false alarms", "shared CT: absent, NOT measured", "-", "", False)]
    (array, grid), (labels, _) = nifti(SHARED / "ct.nii.gz"), nifti(SHARED / "vertebral_bodies.nii.gz")
    image, rims = Image("CT", array, grid), []
    for value in range(20, 25):
        mask = Mask(f"L{value - 19}", labels == value, grid).cropped()
        steps = [step * axis for axis in np.eye(3) for step in (-1, 1)]
        for other in (mask, *(moved(mask, step) for step in steps), swollen(mask, 1.0), swollen(mask, -1.0)):
            rims.append(rim_on_ct(place_body(mask.name, other, [], "body"), image))
    return [at_most("mask-off-bone, false alarms", f"shared CT, 5 levels, {len(rims)} masks off by up to 1 mm", 100 * _caught(np.array(rims), LEAST_RIM_HU), 3, "%", 1, True)]


def _caught(rims: np.ndarray, limit: float) -> float:
    """Share under the limit; a rim that cannot be read counts as not caught."""
    return float(np.mean(rims < limit)) if len(rims) else float("nan")


SPINE_LEVELS = ("T12", "L1", "L2", "L3", "L4", "L5")


@cache
def spine_masks(seed: int, whole: bool, spacing: float) -> tuple[dict[str, Mask], Mask]:
    """Masks of T12-L5 and of the sacrum."""
    random = np.random.default_rng(seed)
    spine = phantom_spine.lumbar_spine((*SPINE_LEVELS, "S1"), lordosis_deg=float(random.uniform(15, 60)), scoliosis_deg=float(random.uniform(-12, 12)))
    grid = phantom_spine.grid_for(spine, (spacing, spacing, spacing))
    draw = (lambda level: phantom_spine.vertebra_mask(spine, level, grid)) if whole else lambda level: phantom_spine.body_mask(spine.vertebra(level), grid)
    masks = {level: Mask(level, draw(level), grid) for level in SPINE_LEVELS}
    return masks, Mask("S1", phantom_spine.body_mask(spine.vertebra("S1"), grid), grid).cropped()


def _mixed(masks: dict[str, Mask], random: np.random.Generator) -> Mask:
    """L4 with 10 to 50 % of L3 under its name, cut off by a plane at random."""
    of = masks["L3"]
    direction = random.standard_normal(3)
    along = of.grid.centers()[of.array] @ direction
    part = np.zeros_like(of.array)
    part[of.array] = along > np.quantile(along, 1 - float(random.uniform(0.1, 0.5)))
    return Mask("L4", masks["L4"].array | part, of.grid)


def _in_pieces(masks: dict[str, Mask], random: np.random.Generator) -> Mask:
    """L4 with a gap of two voxels or 3 mm somewhere in its middle."""
    mask = masks["L4"]
    axis = np.eye(3)[random.integers(3)]
    along = mask.grid.centers() @ axis
    middle = float(np.quantile(along[mask.array], float(random.uniform(0.25, 0.75))))
    return Mask("L4", mask.array & (np.abs(along - middle) > max(1.5, float(mask.grid.spacing.max()))), mask.grid)


def _is_fragmented(mask: Mask) -> bool:
    """As a vertebra is judged: pieces of the mask, and parts of its body joined by a bridge."""
    pieces = main_piece(mask.cropped())
    return pieces.other_share + split_bodies(pieces.main, np.array([0.0, 0.0, 1.0])).other_share > PIECE_SHARE


def pieces() -> list[Row]:
    """Masks mixed with a neighbor, of two vertebrae, in pieces."""
    caught = {name: [] for name in ("mixed with 10-50 % of a neighbor", "of two vertebrae", "in pieces")}
    false, random = [], np.random.default_rng(3)
    for seed in range(8):
        for spacing in (2.0, 3.0) if seed < 3 else (3.0,):
            masks, _ = spine_masks(seed, False, spacing)
            false += [_is_fragmented(mask) for mask in masks.values()]
            caught["of two vertebrae"].append(_is_fragmented(Mask("L4", masks["L3"].array | masks["L4"].array, masks["L4"].grid)))
            for _ in range(3):
                caught["mixed with 10-50 % of a neighbor"].append(_is_fragmented(_mixed(masks, random)))
                caught["in pieces"].append(_is_fragmented(_in_pieces(masks, random)))
    rows = [at_least("mask-fragmented, caught", f"bodies {name}, {len(of)}", 100 * float(np.mean(of)), 95, "%", 1, True) for name, of in caught.items()]
    return [*rows, at_most("mask-fragmented, false alarms", f"{len(false)} right masks of 2 and 3 mm", 100 * float(np.mean(false)), 1, "%", 1)]


def _rib(vertebra: Mask) -> Mask:
    """A bar to the left of a body's upper half, as a rib's head lies."""
    grid = Grid((6, 6, 30), np.array([[-2.0, 0, 0, vertebra.center[0] - 24], [0, 2, 0, vertebra.center[1] - 22], [0, 0, 2, vertebra.center[2]], [0, 0, 0, 1]]))
    return Mask("rib", np.ones(grid.shape, bool), grid)


def numbering() -> list[Row]:
    """Levels skipped, shifted against the sacrum or the ribs, in wrong order; and right ones."""
    caught, false = {name: [] for name in ("skipped", "shifted against the sacrum", "shifted against ribs", "exchanged")}, []
    for seed in range(12):
        masks, sacrum = spine_masks(seed, False, 3.0)
        cropped = {level: mask.cropped() for level, mask in masks.items()}
        ribs = [("T12", _rib(cropped["T12"]))]
        false.append(bool(audit(cropped, ribs, sacrum)))
        up = dict(zip(("T11", *SPINE_LEVELS), cropped.values()))
        down = dict(zip((*SPINE_LEVELS[1:], "L6"), cropped.values()))
        for skipped in ("L1", "L2", "L3", "L4"):
            names = [level for level in ("T11", *SPINE_LEVELS) if level != skipped]
            caught["skipped"].append(bool(audit(dict(zip(names, cropped.values())))))
            caught["skipped"].append(bool(audit({level: mask for level, mask in cropped.items() if level != skipped})))
        caught["shifted against the sacrum"].append(bool(audit(up, (), sacrum)))
        caught["shifted against ribs"] += [bool(audit(up, ribs)), bool(audit(down, ribs))]
        caught["exchanged"].append(bool(audit(cropped | {"L2": cropped["L3"], "L3": cropped["L2"]})))
    rows = [at_least("level-gap, -order, -numbering", f"{name}, {len(of)}", 100 * float(np.mean(of)), 100, "%", 0, True) for name, of in caught.items()]
    return [*rows, at_most("levels, false alarms", f"{len(false)} right spines", 100 * float(np.mean(false)), 0, "%", 0)]


def wrong_units(hu: np.ndarray) -> dict[str, np.ndarray]:
    """A CT in units that are not HU."""
    values = hu.astype(np.float32)
    span = values.max() - values.min()
    return {
        "1024 too low": values - 1024, "1024 too high": values + 1024, "500 too low": values - 500, "100 too high": values + 100,
        "halved": 0.5 * values, "doubled": 2 * values, "a fifth": 0.2 * values, "negated": -values, "0..1": (values - values.min()) / span,
        "-1..1": 2 * (values - values.min()) / span - 1, "z-scored": (values - values.mean()) / values.std(),
        "z-scored times 100": 100 * (values - values.mean()) / values.std(), "8 bit": np.clip((values + 1000) / 2000 * 255, 0, 255).astype(np.uint8),
        "8 bit less 128": (np.clip((values + 1000) / 2000 * 255, 0, 255) - 128).astype(np.int16),
        "narrow window, 8 bit less 128": (np.clip((values + 160) / 400 * 255, 0, 255) - 128).astype(np.int16),
        "clipped to -160..240": np.clip(values, -160, 240), "one value": np.full_like(values, 40),
    }  # fmt: skip


def units() -> list[Row]:
    """Images with air in view: wrong units are refused, right ones are not."""
    refused, named, false, offsets = [], [], [], []
    for seed, spacing in ((1, (2.5, 2.5, 2.5)), (2, (2.0, 2.0, 5.0)), (3, (3.0, 3.0, 3.0))):
        spine = phantom_spine.lumbar_spine(("L2", "L3"), cancellous_hu=float(60 * seed))
        grid = phantom_spine.grid_for(spine, spacing, size_mm=(330, 260, 110))
        masks = [Mask(v.level, phantom_spine.body_mask(v, grid), grid).cropped() for v in spine.vertebrae]
        hu = phantom_spine.render_ct(spine, grid, 15.0, seed)
        false.append(_is_refused(hu, grid, masks))
        offsets += [any(flag.code == "hu-offset" for flag in check_hounsfield(Image("CT", hu + by, grid), masks, []).flags) == (by != 0) for by in (0, 24, -45)]
        for name, values in wrong_units(hu).items():
            refused.append(_is_refused(values, grid, masks))
            named += [] if refused[-1] else [name]
    return [
        at_least("not in HU, refused", f"{len(refused)} images: scale, offset, window, z-score, ...{' not ' * bool(named)}{', '.join(named)}", 100 * float(np.mean(refused)), 100, "%", 0, True),
        at_most("not in HU, false alarms", f"{len(false)} right images", 100 * float(np.mean(false)), 0, "%", 0),
        at_least("hu-offset", f"{len(offsets)} images with offsets of 0, 24 and -45 HU, told apart", 100 * float(np.mean(offsets)), 100, "%", 0),
    ]  # fmt: skip


def _is_refused(values: np.ndarray, grid: Grid, masks: list[Mask]) -> bool:
    try:
        check_hounsfield(Image("CT", values, grid), masks, [])
    except BoneQualityError:
        return True
    return False


PARTS = (threshold_of_the_rim, masks_off_the_bone, mirrored_scoliosis, real_masks, pieces, numbering, units)


def rows() -> list[Row]:
    return [row for part in PARTS for row in part()]


if __name__ == "__main__":
    asked = range(2000, 2000 + int(sys.argv[1]))
    for row in [*sound_masks(asked), *(_rates(asked, SHIFTS_MM) if "--faults" in sys.argv else [])]:
        print(row.what, "|", row.setting, "|", row.measured, "|", row.target, "" if row.met else "MISSED", flush=True)
