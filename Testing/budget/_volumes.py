"""Volumes of the shared data as arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from BoneQualityLib.image.grid import Grid


def read_volume(file: Path) -> tuple[np.ndarray, Grid]:
    """The voxels ``[k, j, i]`` of a file that ITK reads, and their lattice in RAS."""
    image = sitk.ReadImage(str(file))
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    array = sitk.GetArrayFromImage(image)
    return array, Grid(array.shape, np.diag([-1, -1, 1, 1]) @ affine)
