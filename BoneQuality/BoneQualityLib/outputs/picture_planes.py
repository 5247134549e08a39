"""The planes of pictures, turned as a radiologist expects them: patient right on the left, or anterior on the left."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..image.grid import ANTERIOR, RIGHT, SUPERIOR
from ..image.image import Image
from ..image.mask import Mask
from ..image.resampling import sample

#: The letters of a direction's largest part in RAS: toward its positive and its negative end.
LETTERS = (("R", "L"), ("A", "P"), ("S", "I"))


@dataclass(frozen=True, eq=False)
class PicturePlane:
    """A rectangle in the patient: its center (RAS mm), the unit vectors that point right and up in the picture, and its pixels.

    size: width and height in pixels; step: mm per pixel.
    """

    center: np.ndarray
    right: np.ndarray
    up: np.ndarray
    size: tuple[int, int]
    step: float

    @cached_property
    def normal(self) -> np.ndarray:
        return np.cross(self.right, self.up)

    @property
    def marks(self) -> dict[str, str]:
        """The letter of the patient's side at each edge of the picture: left, right, top, bottom."""
        return dict(left=_letter(-self.right), right=_letter(self.right), top=_letter(self.up), bottom=_letter(-self.up))

    @cached_property
    def points(self) -> np.ndarray:
        """RAS of the pixel centers, shape (height, width, 3), the top row first."""
        width, height = self.size
        across = (np.arange(width) - (width - 1) / 2) * self.step
        upward = ((height - 1) / 2 - np.arange(height)) * self.step
        return self.center + across[None, :, None] * self.right + upward[:, None, None] * self.up

    def pixels(self, points_ras) -> np.ndarray:
        """Where RAS points fall in the picture, seen along its normal: (column, row) in pixels, shape ``(..., 2)``."""
        offset = (np.asarray(points_ras, float) - self.center) / self.step
        width, height = self.size
        return np.stack([offset @ self.right + (width - 1) / 2, (height - 1) / 2 - offset @ self.up], axis=-1)

    def values(self, image: Image) -> np.ndarray:
        """The image on this plane, trilinear, shape (height, width); nan outside the image."""
        return sample(image.array, image.grid, self.points)

    def share(self, array: np.ndarray, grid) -> np.ndarray:
        """Which part of every pixel lies in a region that has the weights ``array`` on ``grid``, shape (height, width)."""
        return sample(np.pad(np.asarray(array, np.float32), 1), Mask("", array, grid).padded(1).grid, self.points, outside=0.0)

    def covered(self, pixels: Mask) -> np.ndarray:
        """Which pixels of the picture lie in those of a mask one slice thick that is seen along this normal, bool."""
        column, row, _ = np.moveaxis(np.rint(pixels.grid.ijk(self.points)).astype(int), -1, 0)
        rows, columns = pixels.array.shape[1:]
        there = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        return there & pixels.array.any(axis=0)[np.where(there, row, 0), np.where(there, column, 0)]


def sagittal(center, up, anterior, size: tuple[int, int], step: float) -> PicturePlane:
    """A plane that holds the direction ``up`` and, as nearly as that allows, ``anterior``, which points to the left."""
    up = _unit(up)
    return PicturePlane(np.asarray(center, float), -_unit(anterior - (anterior @ up) * up), up, size, step)


def facing(center, normal, size: tuple[int, int], step: float) -> PicturePlane:
    """The plane of a slice with this normal (either sign), turned as slices of its kind are shown.

    Axial: anterior up, the patient's right on the left. Sagittal: superior up, anterior on the left. Coronal: superior up, the
    patient's right on the left.
    """
    normal = _unit(normal)
    kind = int(np.argmax(np.abs(normal)))
    upward, rightward = (SUPERIOR, -ANTERIOR) if kind == 0 else (SUPERIOR, -RIGHT) if kind == 1 else (ANTERIOR, -RIGHT)
    up = _unit(upward - (upward @ normal) * normal)
    right = np.cross(up, normal)
    return PicturePlane(np.asarray(center, float), right if right @ rightward > 0 else -right, up, size, step)


def _unit(vector) -> np.ndarray:
    return np.asarray(vector, float) / np.linalg.norm(vector)


def _letter(direction: np.ndarray) -> str:
    axis = int(np.argmax(np.abs(direction)))
    return LETTERS[axis][0 if direction[axis] > 0 else 1]
