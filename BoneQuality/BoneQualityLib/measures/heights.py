"""Heights of a vertebral body in its mid-sagittal section: six-point morphometry.

Genant HK et al., J Bone Miner Res 1993;8:1137-48: anterior, middle and posterior height from six points on the two endplates. Here the
points are means over bands of the endplates' own curves, from corner to corner, so that a collapsed or tilted endplate is measured
where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..errors import NotMeasured, Sentence
from ..image.image import Image
from ..image.mask import Mask
from ..image.resampling import sample
from ..vertebra.body import Body
from ..vertebra.endplates import EndplateDefect
from ..vertebra.frame import Frame
from ..vertebra.midsagittal import COARSE_MM, HALF_WIDTH_MM, MidsagittalSection, midsagittal_section

#: Where each height is taken: shares of an endplate's length from its posterior corner.
BANDS = {"anterior": (0.80, 0.95), "middle": (0.40, 0.60), "posterior": (0.05, 0.20)}
#: On voxels over COARSE_MM a band spans at least so many of them, up to this share: a rim that one mask has and another lacks, by a voxel
#: or two, then moves a height less. Two models' masks of one CT of 3 mm: 0.92 mm apart for 1.17 with the bands above, of one height at
#: most 2.7 for 3.8; the same place of both lies 1.5 mm apart in the outer bands and 0.8 mm ten percent further in. The price: on right
#: masks of wedged and biconcave bodies of 3 mm a loss reads 6 points low for 3, so that suspicion keeps to narrow bands (lowest_share),
#: and finer voxels keep theirs. A band grows away from the rim: the share of the growth that lies in front.
BAND_VOXELS, WIDEST_BAND = 3.5, 0.30
IN_FRONT = {"anterior": 0.0, "middle": 0.5, "posterior": 1.0}
HEIGHTS, PLATES = tuple(BANDS), ("upper", "lower")
#: Points in a band, and of planes across it at which the image is read.
POINTS, PLANES_MM = 31, np.arange(-HALF_WIDTH_MM, HALF_WIDTH_MM + 0.1, 1.0)
#: A pit that takes this share of a band leaves the height out. One without steep walls and larger than this share of its endplate is
#: the endplate's own collapse, which the height is there to show.
PIT_OF_BAND, COLLAPSE_OF_ENDPLATE = 0.25, 0.25
#: Columns known as a pit are its deep ones, 4 mm off the rim; its walls lie within this many columns (mm) of them. A hole's are known.
WALLS_OF_PIT = 2
#: Standard deviation of a height's error, mm: a constant and a factor on the square of the voxel's longest edge (mm2). On 400 phantoms
#: of all shapes: 0.07 mm at 0.5, 0.12 at 1, 0.2 at 1.5, 0.3 at 2 and 0.7 at 3 mm.
UNCERTAINTY_MM, UNCERTAINTY_PER_MM = 0.05, 0.075
#: The lowest height is looked for ahead of the posterior band, over bands as wide as that one, whose starts lie this far apart.
LOWEST_STEP = 0.005
#: The image's own endplate is looked for this far from the mask's (mm, or voxels where that is more), and read at these steps.
SEARCH_MM, SEARCH_VOXELS, SEARCH_STEP_MM = 2.5, 1.5, 0.25
#: A fall of HU over a voxel that is less than this is no endplate.
LEAST_FALL_HU = 50.0


@dataclass(frozen=True, eq=False)
class Heights:
    """Heights of a body, mm; None for one that a pit in the endplate leaves out.

    lowest_share: the least mean height over any band of 15 % ahead of the posterior one in BANDS, over the height there; for
    suspicion alone.
    lines: by name, the lower and the upper end of every height there is, RAS mm, (2, 3). corners: by name, RAS mm. uncertainty:
    standard deviation of each height from the voxel size, mm. on_image: by name, the heights between the endplates as the image
    shows them; without those that it does not show. reasons: why a height is left out.
    """

    anterior: float | None
    middle: float | None
    posterior: float | None
    lowest_share: float
    lines: Mapping[str, np.ndarray]
    corners: Mapping[str, np.ndarray]
    uncertainty: float
    on_image: Mapping[str, float]
    reasons: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> float | None:
        return {"anterior": self.anterior, "middle": self.middle, "posterior": self.posterior}[name]


def measure_heights(
    body: Body,
    frame: Frame,
    whole: Mask | None = None,
    image: Image | None = None,
    defects: Mapping[str, EndplateDefect] | None = None,
) -> Heights:
    """Anterior, middle and posterior height: mean distance of the two endplates' curves, from point to point of one share of
    their own lengths, over the bands in BANDS, wider ones on coarse voxels.

    body, frame: the vertebra's. whole: its whole mask, where the body was cut from one: the cut then has no part in the heights.
    image: the CT, for a second reading that goes into the uncertainty of losses and not into the heights. defects: pits and breaks
    by "upper" and "lower", as ``endplate_defect`` gives them.

    Raises NotMeasured where the mask is not that of a whole body, or does not lie on the frame's mid-sagittal plane.
    """
    if body.covers == "cancellous":
        raise NotMeasured("no heights: a mask of cancellous bone does not show the endplates")
    section = midsagittal_section(body.mask if whole is None else whole, frame)
    pits = {plate: defect for plate, defect in (defects or {}).items() if _is_pit(defect)}
    section = replace(section, **{plate: _bridged(getattr(section, plate), section, pit) for plate, pit in pits.items()})
    values, lines, on_image, reasons = dict.fromkeys(HEIGHTS), {}, {}, []
    for name, band in _bands(section, body.mask).items():
        ends = {plate: along(getattr(section, plate), np.linspace(*band, POINTS)) for plate in PLATES}
        pitted = [plate for plate in pits if _in_pit(ends[plate], section, pits[plate]).mean() >= PIT_OF_BAND]
        if pitted:
            plates = Sentence.joined(pitted, " and the ")
            reasons.append(
                Sentence(
                    "no {name} height: a pit in the {plates} endplate lies where it is measured", name=Sentence(name), plates=plates
                )
            )
            continue
        values[name] = float(np.linalg.norm(ends["upper"] - ends["lower"], axis=1).mean())
        lines[name] = section.ras(np.stack([ends["lower"].mean(axis=0), ends["upper"].mean(axis=0)]))
        moved = _moved_on_image(ends, section, image) if image is not None else None
        if moved is not None:
            on_image[name] = values[name] + moved
    return Heights(
        **values,
        lowest_share=_lowest_share(section),
        lines=lines,
        corners={name: section.ras(corner) for name, corner in section.corners.items()},
        uncertainty=UNCERTAINTY_MM + UNCERTAINTY_PER_MM * section.voxel_mm**2,
        on_image=on_image,
        reasons=tuple(reasons),
    )


def _bands(section: MidsagittalSection, mask: Mask) -> dict[str, tuple[float, float]]:
    """Where each height of this section is taken."""
    if section.voxel_mm <= COARSE_MM + 1e-6:
        return BANDS
    length = np.mean([np.linalg.norm(curve[-1] - curve[0]) for curve in (section.upper, section.lower)])
    voxel_mm = np.linalg.norm(section.frame.anterior @ mask.grid.ijk_to_ras[:3, :3])
    width = min(BAND_VOXELS * float(voxel_mm / length), WIDEST_BAND)
    bands = {}
    for name, (low, high) in BANDS.items():
        growth = max(width - (high - low), 0.0)
        bands[name] = low - (1 - IN_FRONT[name]) * growth, high + IN_FRONT[name] * growth
    return bands


def _lowest_share(section: MidsagittalSection) -> float:
    (begin, end), front = BANDS["posterior"], BANDS["anterior"][1]
    shares = np.linspace(begin, front, round((front - begin) / LOWEST_STEP) + 1)
    heights = np.linalg.norm(along(section.upper, shares) - along(section.lower, shares), axis=1)
    count = round((end - begin) / LOWEST_STEP)
    means = np.convolve(heights, np.full(count + 1, 1 / (count + 1)), "valid")
    return float(means[count:].min() / means[0])


def along(curve: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Points (n, 2) at shares of a curve's own length."""
    length = np.concatenate([[0.0], np.linalg.norm(np.diff(curve, axis=0), axis=1).cumsum()])
    return np.stack([np.interp(shares * length[-1], length, curve[:, axis]) for axis in (0, 1)], axis=1)


def _is_pit(defect: EndplateDefect) -> bool:
    return defect.kind == "hole" or (defect.kind == "pit" and defect.share <= COLLAPSE_OF_ENDPLATE)


def _bridged(curve: np.ndarray, section: MidsagittalSection, pit: EndplateDefect) -> np.ndarray:
    """An endplate's curve straight across a pit: the way down and up again is no part of its length."""
    is_sound = _in_pit(curve, section, pit).mean(axis=1) < 0.5
    is_sound[[0, -1]] = True
    return curve[is_sound]


def _in_pit(points: np.ndarray, section: MidsagittalSection, pit: EndplateDefect) -> np.ndarray:
    """Which points (n, 2) of the section lie in a pit, on each of the planes across it: 0 or 1, (n, planes)."""
    there = section.ras(np.stack([points[:, 0], np.zeros(len(points))], axis=1))
    columns = (there[:, None] + PLANES_MM[:, None] * section.frame.right).reshape(-1, 3)
    taken = pit.columns if pit.kind == "hole" else ndimage.binary_dilation(pit.columns, np.ones((3, 3)), iterations=WALLS_OF_PIT)
    pitted = sample(taken[None].astype(np.float32), pit.grid, _on_plane(columns, pit), order=0, outside=0.0)
    return pitted.reshape(len(points), -1)


def _on_plane(points: np.ndarray, defect: EndplateDefect) -> np.ndarray:
    """Points moved along the vertebra's superior axis into the plane of a map's columns."""
    normal, start = defect.grid.directions[:, 2], defect.grid.ijk_to_ras[:3, 3]
    return points - ((points - start) @ normal)[:, None] * normal


def _moved_on_image(ends: Mapping[str, np.ndarray], section: MidsagittalSection, image: Image) -> float | None:
    """How much more than the mask's height is between the steepest falls of HU beside its endplates, mm; None if one has no fall."""
    reach = max(SEARCH_MM, SEARCH_VOXELS * float(image.grid.spacing.max()))
    offsets = np.arange(-reach - 1, reach + 1.01, SEARCH_STEP_MM)
    upward, moved = ends["upper"].mean(axis=0) - ends["lower"].mean(axis=0), 0.0
    upward /= np.linalg.norm(upward)
    for plate, side in (("upper", 1), ("lower", -1)):
        points = ends[plate][None, ::3] + (side * offsets)[:, None, None] * upward
        places = section.ras(points)[:, :, None] + PLANES_MM[:, None] * section.frame.right
        profile = sample(image.array, image.grid, places).reshape(len(offsets), -1).mean(axis=1)
        fall = -np.gradient(profile, SEARCH_STEP_MM)
        fall[np.abs(offsets) > reach] = -np.inf
        steepest = int(np.argmax(np.where(np.isfinite(fall), fall, -np.inf)))
        if not fall[steepest] * float(image.grid.spacing.max()) >= LEAST_FALL_HU:
            return None
        moved += float(offsets[steepest])
    return moved
