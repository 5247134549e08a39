"""Geometry and content hashes of a case's inputs."""

from __future__ import annotations

import hashlib
from dataclasses import asdict

import numpy as np

from ..image.image import Image
from ..image.mask import Mask
from ..measures.acquisition import unknown_tags
from .result import CaseResult


def describe(result: CaseResult, role: str, image: Image, masks: dict[str, Mask]) -> None:
    """Geometry and content hashes of an input; no names of files, nodes or series, which may hold a patient's."""
    result.inputs[role] = dict(
        shape_kji=image.grid.shape, ijk_to_ras=image.grid.ijk_to_ras, type=str(image.array.dtype),
        sha256=_sha256(image.array), tags=asdict(image.tags), unknown_tags=unknown_tags(image, role),
        masks={
            name: dict(sha256=_sha256(mask.array), shape_kji=mask.grid.shape, ijk_to_ras=mask.grid.ijk_to_ras, volume_mm3=mask.volume)
            for name, mask in masks.items()
        },
    )  # fmt: skip
    for column in ("manufacturer", "model"):
        value, before = getattr(image.tags, column), result.values.get(column)
        if value and value != before:
            result.values[column] = f"{before}; {value}" if before else value


def _sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()
