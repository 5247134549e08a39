"""A volume as it was read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .acquisition import ImageTags
from .grid import Grid

#: No tissue and no air reads less: such voxels lie outside the scanner's field of view.
LOWEST_HU = -1500.0


@dataclass(frozen=True, eq=False)
class Image:
    """A volume as it was read: its own array (never a copy), its lattice, and what is known of its acquisition."""

    name: str
    array: np.ndarray
    grid: Grid
    tags: ImageTags = ImageTags()

    @cached_property
    def thinned(self) -> np.ndarray:
        """Every third voxel along each axis, for checks and histograms."""
        return np.ascontiguousarray(self.array[::3, ::3, ::3])

    @property
    def slice_thickness(self) -> float:
        """The larger of the tag and the distance of the slices, mm."""
        return max(self.tags.slice_thickness_mm or 0.0, float(self.grid.spacing[self.grid.slice_axis]))

    def holds_data(self, values: np.ndarray) -> np.ndarray:
        """Which values of this image are data, bool: not NaN or infinite, not padding, not under -1500."""
        known = values >= LOWEST_HU
        if values.dtype.kind == "f":
            known &= np.isfinite(values)
        if self.tags.padding is not None:
            known &= values != self.tags.padding
        return known
