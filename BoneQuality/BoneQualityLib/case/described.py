"""Geometry and content hashes of a case's inputs."""

from __future__ import annotations

import hashlib
from dataclasses import asdict

import numpy as np

from ..image.image import Image
from ..image.mask import Mask
from ..measures.acquisition import unknown_tags


def described(role: str, image: Image, masks: dict[str, Mask]) -> dict:
    """What the JSON says of an input; no names of files, nodes or series, which may hold a patient's."""
    return dict(
        shape_kji=image.grid.shape,
        ijk_to_ras=image.grid.ijk_to_ras,
        type=str(image.array.dtype),
        sha256=sha256_of(image.array),
        tags=asdict(image.tags),
        unknown_tags=unknown_tags(image, role),
        masks={
            name: dict(
                sha256=sha256_of(mask.array),
                shape_kji=mask.grid.shape,
                ijk_to_ras=mask.grid.ijk_to_ras,
                volume_mm3=mask.volume,
            )
            for name, mask in masks.items()
        },
    )


def scanners(images: list[Image]) -> dict[str, str]:
    """Manufacturer and model of the images, each named once."""
    found = {}
    for column in ("manufacturer", "model"):
        names = list(dict.fromkeys(getattr(image.tags, column) for image in images))
        if any(names):
            found[column] = "; ".join(filter(None, names))
    return found


def sha256_of(array: np.ndarray) -> str:
    """The SHA-256 of an array's values, hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()
