"""How much of its height a vertebral body has lost, and the grade of fracture that this suggests.

Genant HK et al., J Bone Miner Res 1993;8:1137-48: wedge, biconcave and crush deformities, graded by the height lost. The grade
is a suggestion to a reader; it excludes nothing by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ..errors import Sentence
from ..parameters import LEVELS
from ..vertebra.body import Body
from .heights import HEIGHTS, Heights


class Shape(str, Enum):
    """A deformity, by the height that has lost most."""

    NONE = ""
    WEDGE = "wedge"
    BICONCAVE = "biconcave"
    CRUSH = "crush"

    def __str__(self) -> str:
        return self.value


SHAPES = {"anterior": Shape.WEDGE, "middle": Shape.BICONCAVE, "posterior": Shape.CRUSH}
#: Losses from which grades 1 and 2 begin, and that over which grade 3 does, percent.
MILD_PERCENT, MODERATE_PERCENT, SEVERE_PERCENT = 20.0, 25.0, 40.0
#: No grade on voxels longer than this; from BORDERLINE_MM on a grade near a border says so.
COARSEST_GRADED_MM, BORDERLINE_MM = 2.0, 1.5
#: On voxels too coarse for a grade a fracture is suggested over this loss, or where the loss less its uncertainty is over MILD_PERCENT;
#: the lowest height between the bands counts there like the others.
CERTAIN_PERCENT = 30.0
#: Neighbors further away than this, in levels, say nothing of a vertebra's height.
FURTHEST_NEIGHBOR = 3
#: The lowest lumbar vertebra is naturally lower behind: it and the one above are no measure of each other.
LOWEST = ("L5", "L6")


@dataclass(frozen=True)
class HeightLoss:
    """What a vertebra has lost of its heights, percent; None where there is no height or no reference.

    loss_anterior, loss_middle: against the body's own posterior height. loss_posterior: against the posterior height that intact
    neighbors interpolate. loss_lowest: where the body is lowest, between the bands too, against its own posterior height; for
    suspicion on coarse voxels alone. The uncertainties, in points of percent, are standard deviations: of phantoms of the same voxel size, and of
    the endplates in the image from those of the mask. percent, uncertainty, where: of the largest loss; percent is 0 where no
    height is below its reference. grade: 0 to 3, None where none is suggested. borderline: the grade might as well be the next
    one. suggests_fracture: whether a person should look.
    """

    loss_anterior: float | None
    loss_middle: float | None
    loss_posterior: float | None
    loss_lowest: float | None
    uncertainty_anterior: float | None
    uncertainty_middle: float | None
    uncertainty_posterior: float | None
    percent: float
    uncertainty: float
    where: str
    grade: int | None
    shape: Shape
    borderline: bool
    suggests_fracture: bool

    @property
    def suspected_percent(self) -> float:
        """The loss behind ``suggests_fracture``."""
        return self.percent if self.grade is not None else max(self.percent, self.loss_lowest or 0.0)

    @property
    def said(self) -> str:
        """Grade and shape, for people."""
        coarse = Sentence("no grade on such coarse voxels")
        grade = coarse if self.grade is None else Sentence("grade {grade}", grade=self.grade)
        template = "{grade} (borderline), {shape}" if self.borderline else "{grade}, {shape}"
        return Sentence(template, grade=grade, shape=Sentence(self.shape.value))


@dataclass(frozen=True)
class _Loss:
    percent: float
    uncertainty: float


def longest_voxel_mm(body: Body) -> float:
    """The longest edge of the mask's voxels."""
    return float(body.mask.grid.spacing.max())


def grade_of(percent: float) -> int:
    """Genant grade of a loss: under 20 % 0, from 20 % 1, from 25 % to 40 % 2, over 40 % 3."""
    percent = round(percent, 6)
    return int(percent >= MILD_PERCENT) + int(percent >= MODERATE_PERCENT) + int(percent > SEVERE_PERCENT)


def grade_losses(
    heights: Mapping[str, Heights], voxel_mm: Mapping[str, float], broken: Collection[str] = ()
) -> dict[str, HeightLoss]:
    """The losses of each level, and the grade and the suspicion that follow.

    Anterior and middle height are held against the body's own posterior height; the posterior one against a line between those
    of the nearest intact neighbors above and below, or that of the only one; L5 never against L4 alone. A level without any
    loss to be told is not in the answer.

    heights: by level. voxel_mm: the longest edge of the mask's voxels, by level. broken: levels known as fractured, cemented or
    otherwise no reference for others; a level that has lost 20 % or more by itself is none either.
    """
    losses = {level: _own_losses(heights[level]) for level in heights}
    intact = {level for level, own in losses.items() if level not in broken and not any(map(_is_mild, own.values()))}
    while True:
        for level in heights:
            posterior = _posterior_loss(level, heights, intact)
            if posterior is not None:
                losses[level]["posterior"] = posterior
        crushed = {level for level in intact if _is_mild(losses[level].get("posterior"))}
        if not crushed:
            break
        intact -= crushed
    return {level: _graded(found, _lowest(heights[level]), voxel_mm[level]) for level, found in losses.items() if found}


def _lowest(heights: Heights) -> _Loss | None:
    """Loss where the body is lowest, against its own height at the back."""
    if heights.posterior is None:
        return None
    lowest = heights.lowest_share * heights.posterior
    uncertainty = _from_heights(lowest, heights.posterior, heights.uncertainty, heights.uncertainty)
    return _Loss(_percent(lowest, heights.posterior), uncertainty)


def _is_mild(loss: _Loss | None) -> bool:
    return loss is not None and grade_of(loss.percent) > 0


def _is_suspect(loss: _Loss | None) -> bool:
    return loss is not None and (loss.percent > CERTAIN_PERCENT or loss.percent - loss.uncertainty > MILD_PERCENT)


def _own_losses(heights: Heights) -> dict[str, _Loss]:
    found = {}
    for name in ("anterior", "middle"):
        if heights[name] is not None and heights.posterior is not None:
            percent = _percent(heights[name], heights.posterior)
            by_voxels = _from_heights(heights[name], heights.posterior, heights.uncertainty, heights.uncertainty)
            found[name] = _Loss(percent, float(np.hypot(by_voxels, _on_image(name, percent, heights))))
    return found


def _percent(height: float, reference: float) -> float:
    return 100 * (1 - height / reference)


def _from_heights(height: float, reference: float, of_height: float, of_reference: float) -> float:
    """Uncertainty of a loss, points, from those of its two heights, mm."""
    return float(100 / reference * np.hypot(of_height, height / reference * of_reference))


def _on_image(name: str, percent: float, heights: Heights) -> float:
    """How far a loss would be another on the endplates that the image shows, points."""
    seen = heights.on_image
    return abs(_percent(seen[name], seen["posterior"]) - percent) / 2 if name in seen and "posterior" in seen else 0.0


def _posterior_loss(level: str, heights: Mapping[str, Heights], intact: Collection[str]) -> _Loss | None:
    """Loss of posterior height against what the nearest intact neighbors interpolate; None where there is no fit neighbor."""
    own = heights[level].posterior
    weights = _neighbors(level, [name for name in heights if heights[name].posterior is not None], intact)
    if own is None or not weights:
        return None
    reference = sum(weight * heights[name].posterior for name, weight in weights.items())
    of_reference = np.linalg.norm([weight * heights[name].uncertainty for name, weight in weights.items()])
    uncertainty = _from_heights(own, reference, heights[level].uncertainty, float(of_reference))
    return _Loss(_percent(own, reference), uncertainty)


def _neighbors(level: str, measured: Collection[str], intact: Collection[str]) -> dict[str, float]:
    """The neighbors whose posterior heights interpolate that of ``level``, and their weights."""
    order = [name for name in LEVELS if name in (*measured, level) or name not in ("T13", "L6", "S1")]
    at = order.index(level)
    close = {n - at: name for n, name in enumerate(order) if 0 < abs(n - at) <= FURTHEST_NEIGHBOR}
    near = {n: name for n, name in close.items() if name in intact and name in measured and name != "S1"}
    above, below = max((n for n in near if n < 0), default=None), min((n for n in near if n > 0), default=None)
    if above is not None and below is not None:
        return {near[above]: below / (below - above), near[below]: -above / (below - above)}
    if level in LOWEST or (above is None and below is None):
        return {}
    only = near[below if above is None else above]
    return {} if only in LOWEST else {only: 1.0}


def _graded(losses: Mapping[str, _Loss], lowest: _Loss | None, voxel_mm: float) -> HeightLoss:
    where = max(losses, key=lambda name: losses[name].percent)
    percent, uncertainty = max(losses[where].percent, 0.0), losses[where].uncertainty
    is_graded = voxel_mm <= COARSEST_GRADED_MM + 1e-6
    grade = grade_of(percent) if is_graded else None
    borders = (MILD_PERCENT, MODERATE_PERCENT, SEVERE_PERCENT)
    borderline = is_graded and voxel_mm >= BORDERLINE_MM - 1e-6 and min(abs(percent - b) for b in borders) < 2 * uncertainty
    suggests = bool(grade) if is_graded else any(map(_is_suspect, (*losses.values(), lowest)))
    told = {f"loss_{name}": losses[name].percent if name in losses else None for name in HEIGHTS}
    told |= {f"uncertainty_{name}": losses[name].uncertainty if name in losses else None for name in HEIGHTS}
    told["loss_lowest"] = None if lowest is None else lowest.percent
    shape = SHAPES[where] if grade or suggests else Shape.NONE
    return HeightLoss(
        **told, percent=percent, uncertainty=uncertainty, where=where, grade=grade, shape=shape, borderline=borderline,
        suggests_fracture=suggests,
    )  # fmt: skip
