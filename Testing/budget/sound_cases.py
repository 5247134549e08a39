"""How often a sound case is called faulty: phantoms of all kinds measured whole, every flag that says something is wrong.

    python Testing/budget/sound_cases.py 3000 3300

prints what is raised on the phantoms with these seeds. None of them took part in the choice of a threshold.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2] / "BoneQuality")]

from BoneQualityLib.anatomy.structure import Segment, Structure
from BoneQualityLib.case.images import CaseImages, Given
from BoneQualityLib.case.measure import measure
from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.image.image import Image
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.parameters import CaseFacts
from BoneQualityLib.phantoms import phantom_spine
from budget import Row, at_most
from budget._injected_faults import CT_KINDS, LEVELS, SHARED, ct_spine, moved, nifti, swollen

#: What says that something is wrong with a mask, a level, the unit, a focus, an endplate, or that a vertebra is fractured.
WRONG = {
    "truncated", "endplate-defect", "no-data", "mask-holes", "dense-focus", "lucent-focus", "hu-outlier", "cement-or-metal",
    "possible-fracture", "hu-offset", "mask-off-bone", "mask-fragmented", "level-gap", "level-numbering", "level-order",
    "mask-overlap", "refused",
}  # fmt: skip
#: Says that axes are unsure, as those of a severe wedge without neighbors are: shown beside the others.
UNSURE = "frame-uncertain"
SEEDS, MARGIN_MM = range(3000, 3300), 12.0


def alarms(image: Image, masks: dict[str, Mask]) -> list[tuple[str, str]]:
    """Code and level of every such flag of a case."""
    segments = tuple(
        Segment(level, "phantom", lambda mask=mask: mask, structure=Structure("vertebra", level)) for level, mask in masks.items()
    )
    try:
        result = measure(CaseImages(ct=Given(image, segments)), CaseFacts("phantom"))
    except BoneQualityError:
        return [("refused", "")]
    return [(flag.code, flag.level) for flag in result.all_flags if flag.code in WRONG | {UNSURE}]


def false_alarms(seed: int) -> tuple[str, list[tuple[str, str]]]:
    """Kind of a phantom, and what is raised on it though nothing is wrong. Ten in fifty are of three levels, the others of one;
    ten in twenty are measured through whole vertebrae."""
    of, whole = ct_spine(seed), is_whole(seed)
    levels = LEVELS if seed // 10 % 5 == 0 else ("L3",)
    vertebrae = tuple(of.spine.vertebra(level) for level in levels)
    near = phantom_spine.PhantomSpine(vertebrae, of.spine.canal, of.spine.trunk_center)
    grid = phantom_spine.grid_for(near, of.spacing, margin_mm=MARGIN_MM)
    masks = {
        level: Mask(level, phantom_spine.vertebra_mask(of.spine, level, grid), grid).cropped()
        if whole
        else Mask(level, phantom_spine.body_mask(of.spine.vertebra(level), grid), grid).cropped()
        for level in levels
    }
    true = [("possible-fracture", "L3")] if of.kind == "wedge" else []
    return of.kind, [alarm for alarm in alarms(of.image(grid), masks) if alarm not in true]


def is_whole(seed: int) -> bool:
    return bool(seed // 10 % 2)


def sound_bodies() -> list[Row]:
    return _of(False, "vertebral bodies")


def sound_whole_vertebrae() -> list[Row]:
    return _of(True, "whole vertebrae")


def _of(whole: bool, title: str) -> list[Row]:
    seeds = [seed for seed in SEEDS if is_whole(seed) == whole]
    every = [false_alarms(seed) for seed in seeds]
    found = [(kind, [code for code, _ in alarms if code != UNSURE]) for kind, alarms in every]
    unsure = [kind for kind, alarms in every if UNSURE in dict(alarms)]
    cried = sorted({f"{code} on {kind}" for kind, codes in found for code in codes})
    setting = f"left out of the choice, {len(seeds)} phantoms of {len(CT_KINDS)} kinds, {title}{': ' * bool(cried)}{', '.join(cried)}"
    share = 100 * float(np.mean([bool(codes) for _, codes in found]))
    return [
        at_most("any of the flags, false alarms", setting, share, 1, "%", 1, True),
        Row(UNSURE, f"the same {len(seeds)}: {', '.join(sorted(set(unsure))) or 'none'}", f"{len(unsure)}"),
    ]


def real_masks_perturbed() -> list[Row]:
    """The shared CT: flags of levels that other fair masks raise and the network's own does not."""
    folder = SHARED / "ct_L1-L5_3mm"
    if not folder.is_dir():
        return [Row("any of the flags, false alarms", "shared CT: absent, NOT measured", "-", "", False)]
    image, found = Image("CT", *nifti(folder / "ct.nii.gz")), []
    for file, first, step in (("vertebral_bodies", 20, 1), ("vertebrae_total", 31, -1)):
        labels, grid = nifti(folder / f"{file}.nii.gz")
        own = {f"L{n + 1}": Mask(f"L{n + 1}", labels == first + step * n, grid).cropped() for n in range(5)}
        usual = set(alarms(image, own))
        changes = [lambda mask, step=step: moved(mask, step) for step in (*np.eye(3), *-np.eye(3))]
        for change in (*changes, lambda mask: swollen(mask, 1.0), lambda mask: swollen(mask, -1.0)):
            new = set(alarms(image, {level: change(mask) for level, mask in own.items()})) - usual
            found += [sorted(code for code, of in new if of in (level, "")) for level in own]
    cried = sorted({code for codes in found for code in codes})
    setting = f"shared CT, masks of two networks off by up to 1 mm, {len(found)} levels{': ' * bool(cried)}{', '.join(cried)}"
    return [at_most("any of the flags, false alarms", setting, 100 * float(np.mean([bool(codes) for codes in found])), 3, "%", 1, True)]


PARTS = (sound_bodies, sound_whole_vertebrae, real_masks_perturbed)


def rows() -> list[Row]:
    """Every row of this module."""
    return [row for part in PARTS for row in part()]


if __name__ == "__main__":
    for asked in range(int(sys.argv[1]), int(sys.argv[2])):
        print(asked, "whole" if is_whole(asked) else "body", *false_alarms(asked), flush=True)
