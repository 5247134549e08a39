"""How often sound masks on sound images are called faulty: whole cases of many kinds, every flag that says something is wrong.

    python Testing/budget/sound_cases.py 0 300

prints the flags of the phantoms with these seeds; the error budget takes them all.
"""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from pathlib import Path

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
from budget._injected_faults import LEVELS, CtSpine, ct_spine

#: Flags that say something of the image or of how it was taken, not that anything is wrong.
TRUE_ONES = ("thick-slices", "hu-unverified", "straddles-cutoff", "few-levels", "no-end-slice", "small-roi")


def flags_of(image: Image, masks: dict[str, Mask]) -> list[str]:
    """Flags, "code level", of a case of these masks."""
    segments = tuple(
        Segment(level, "phantom", partial(lambda mask: mask, mask), structure=Structure("vertebra", level)) for level, mask in masks.items()
    )
    try:
        result = measure(CaseImages(ct=Given(image, segments)), CaseFacts("phantom"))
    except BoneQualityError as error:
        return [f"refused: {error}"]
    return [f"{flag.code} {flag.level} {flag.value} {flag.about}".strip() for flag in result.flags if flag.code not in TRUE_ONES]


def masks_of(of: CtSpine, grid, whole: bool) -> dict[str, Mask]:
    draw = phantom_spine.vertebra_mask if whole else lambda spine, level, grid: phantom_spine.body_mask(spine.vertebra(level), grid)
    return {level: Mask(level, draw(of.spine, level, grid), grid).cropped() for level in LEVELS}


if __name__ == "__main__":
    import time
    for seed in range(int(sys.argv[1]), int(sys.argv[2])):
        t=time.process_time()
        of = ct_spine(seed)
        whole = bool(seed // 10 % 2)
        grid = phantom_spine.grid_for(of.spine, of.spacing, margin_mm=12.0)
        image = of.image(grid); t1=time.process_time()
        masks=masks_of(of, grid, whole); t2=time.process_time()
        found = [flag for flag in flags_of(image, masks) if not (of.kind == "wedge" and "possible-fracture L3" in flag)]
        print(seed, of.kind, whole, image.array.shape, round(t1-t,2), round(t2-t1,2), round(time.process_time()-t2,2), found, flush=True)
