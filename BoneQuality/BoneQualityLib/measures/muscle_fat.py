"""What counts as fat on a slice of muscle: the threshold between lean muscle and fat, and the modes it is made of.

A pixel that muscle and fat share counts as fat where more than half of it is fat: the threshold lies midway between the two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial import ConvexHull

from ..errors import NotMeasured
from ..image.distance import signed_distance
from ..image.image import Image
from .muscle_slices import SlicePlane, read_pixels
from .roi import PlanarRoi

CT_FAT_HU = (-190.0, -30.0)
#: Subcutaneous fat is looked for between these distances from the muscles, behind and beside them.
FAT_NEAREST_MM, FAT_FARTHEST_MM = 1.5, 40.0
LEAST_FAT_MM2 = 50.0
#: Darker than this share of the brightest is air, and no soft tissue.
AIR_SHARE = 0.1
#: What is not this much brighter than lean muscle is no fat, or suppressed; on T1 and T2 spin echo fat is three times as bright and more.
LEAST_CONTRAST = 2.0
HISTOGRAM_BINS, SMOOTHED_BINS = 128, 2.0
#: A histogram has two modes where the valley between them is at most half as deep as the lower one, and that holds this share.
DEEPEST_VALLEY, LEAST_CLASS = 0.5, 0.03


@dataclass(frozen=True)
class FatThreshold:
    """Pixels brighter than ``low`` are fat; where ``high`` is given (CT), those from ``low`` to ``high``.

    lean_mode, fat_mode: the signals of lean muscle and of subcutaneous fat that it was made of.
    """

    method: str
    low: float
    high: float | None = None
    lean_mode: float | None = None
    fat_mode: float | None = None

    @property
    def number(self) -> float:
        """The limit that lies next to muscle."""
        return self.low if self.high is None else self.high

    def is_fat(self, values: np.ndarray) -> np.ndarray:
        return values > self.low if self.high is None else (values >= self.low) & (values <= self.high)


def find_threshold(asked: str, muscle: np.ndarray, beside: np.ndarray, pixel_mm2: float) -> FatThreshold:
    """The threshold of one side of an MR slice.

    asked: "reference", "otsu" or a number as text. muscle: the pixels of the side's compartments; beside: those among which its
    subcutaneous fat lies. Raises NotMeasured where the image does not show what the method needs.
    """
    if asked not in ("reference", "otsu"):
        return FatThreshold("fixed", float(asked))
    if not len(muscle):
        raise NotMeasured("no pixel of the muscles holds a number")
    if asked == "otsu":
        return FatThreshold("otsu", otsu(muscle))
    fat = subcutaneous_mode(beside, pixel_mm2)
    darkest = float(np.percentile(muscle, 5))
    lean = mode(muscle[muscle <= max((darkest + fat) / 2, darkest)])
    if lean < 0:
        raise NotMeasured("the signal of muscle is negative, as on no MRI; give the image as it was acquired")
    if fat < LEAST_CONTRAST * lean:
        raise NotMeasured(
            "no subcutaneous fat, bright against muscle, lies beside it: it is not in view, or suppressed; give a value (fat threshold)"
        )
    return FatThreshold("reference", (lean + fat) / 2, lean_mode=lean, fat_mode=fat)


def subcutaneous_mode(beside: np.ndarray, pixel_mm2: float) -> float:
    """The most frequent value of the brighter of two classes, air left out."""
    tissue = beside[beside > AIR_SHARE * np.percentile(beside, 99)] if len(beside) else beside
    missing = NotMeasured("no subcutaneous fat is in view; give a value (fat threshold)")
    if len(tissue) * pixel_mm2 < LEAST_FAT_MM2:
        raise missing
    bright = tissue if np.ptp(tissue) == 0 else tissue[tissue > _otsu(tissue)]
    if len(bright) * pixel_mm2 < LEAST_FAT_MM2:
        raise missing
    return mode(bright)


def mode(values: np.ndarray) -> float:
    """The most frequent value: the mean of those near the peak of the smoothed histogram."""
    counts, edges = _histogram(values)
    peak = int(counts.argmax())
    near = values[(values >= edges[max(peak - 2, 0)]) & (values <= edges[min(peak + 3, HISTOGRAM_BINS)])]
    return float(near.mean())


def otsu(values: np.ndarray) -> float:
    """Otsu's threshold (Otsu 1979); raises NotMeasured where the histogram does not show two modes.

    On muscle without fat it would call half of the noise fat.
    """
    refused = NotMeasured(
        "Otsu's threshold needs two classes, and the histogram of the muscles does not show two; give reference or a value (fat threshold)"
    )
    if len(values) < 2 or np.ptp(values) == 0:
        raise refused
    threshold = _otsu(values)
    counts, edges = _histogram(values)
    split = int(np.clip(np.searchsorted(edges, threshold), 1, HISTOGRAM_BINS - 1))
    lower, upper = int(counts[:split].argmax()), split + int(counts[split:].argmax())
    valley = counts[lower : upper + 1].min()
    shares = np.mean(values > threshold), np.mean(values <= threshold)
    if valley > DEEPEST_VALLEY * min(counts[lower], counts[upper]) or min(shares) < LEAST_CLASS:
        raise refused
    return threshold


def _otsu(values: np.ndarray) -> float:
    otsu_filter = sitk.OtsuThresholdImageFilter()
    otsu_filter.SetNumberOfHistogramBins(256)
    otsu_filter.Execute(sitk.GetImageFromArray(values.astype(np.float32)[None]))
    return float(otsu_filter.GetThreshold())


def _histogram(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smoothed counts and their bins' edges; the outermost values share the outermost bins."""
    low, high = np.percentile(values, (0.5, 99.5))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    counts, edges = np.histogram(np.clip(values, low, high), bins=HISTOGRAM_BINS, range=(low, high))
    smooth = ndimage.gaussian_filter1d(counts.astype(float), SMOOTHED_BINS, mode="constant")
    return smooth, np.concatenate([[min(edges[0], values.min())], edges[1:-1], [max(edges[-1], values.max())]])


def beside_muscles(
    plane: SlicePlane, outline: np.ndarray, image: Image, behind: float, low: float, high: float
) -> tuple[np.ndarray, float]:
    """The pixels of a slice among which subcutaneous fat lies, and the area of one of them, mm2.

    outline: points of all compartments' outlines in plane coordinates, mm, shape (n, 2). The pixels lie near the compartments, outside
    of the convex hull of all of them (which holds the spine), behind the plane coordinate v = ``behind``, and between u = ``low`` and
    ``high``, mm.
    """
    reach = FAT_FARTHEST_MM + 1
    (left, back), (right, front) = outline.min(axis=0) - reach, outline.max(axis=0) + reach
    frame = np.array([[left, back], [right, back], [right, front], [left, front]])
    sheet = PlanarRoi(plane.name, "beside", plane.center, plane.u, plane.v, outlines=(frame,))
    pixels, values = read_pixels(sheet, image)
    start, step = plane.flat(pixels.grid.ras([0, 0, 0])), pixels.grid.spacing
    u, v = (first + s * np.arange(n) for first, s, n in zip(start, step, pixels.array.shape[:0:-1]))
    hull = replace(sheet, outlines=(outline[ConvexHull(outline).vertices],)).contains(u, v)
    distance = -signed_distance(hull, step[1::-1])
    near = (distance > FAT_NEAREST_MM) & (distance < FAT_FARTHEST_MM) & (v[:, None] < behind) & (u > low) & (u < high)
    found = values[near[pixels.array[0]]]
    return found[np.isfinite(found)], float(step[0] * step[1])
