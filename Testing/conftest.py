"""What several test files share: phantoms as nodes, and the shared real images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.image import Image
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.phantoms import phantom_spine
from BoneQualityLib.scene.session import mrml_scene
from BoneQualityLib.vertebra.body import place_body

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """The real images; they are not part of the repository."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real images (../shared/data beside the checkout) are absent: real-image behavior is NOT tested")
    return SHARED_DATA


@pytest.fixture(autouse=True)
def empty_scene():
    """Every test begins and ends with an empty scene."""
    mrml_scene().Clear(0)
    yield
    mrml_scene().Clear(0)


def rotation(axis: str, degrees: float) -> np.ndarray:
    """Rotation about a RAS axis, 3x3."""
    n, (c, s) = "RAS".index(axis), (np.cos(np.radians(degrees)), np.sin(np.radians(degrees)))
    i, j = (n + 1) % 3, (n + 2) % 3
    matrix = np.eye(3)
    matrix[[i, j, i, j], [i, j, j, i]] = [c, c, -s, s]
    return matrix


def single_vertebra(**changes) -> phantom_spine.PhantomSpine:
    """L3 alone, upright, 120 HU inside."""
    fields = dict(cancellous_hu=120.0) | changes
    return phantom_spine.lumbar_spine(("L3",), lordosis_deg=0, posterior_elements=False, changes={"L3": fields})


def ct_of(spine: phantom_spine.PhantomSpine, grid: Grid, noise_sd: float = 0.0) -> Image:
    return Image("CT", phantom_spine.render_ct(spine, grid, noise_sd, seed=5), grid)


def body_of(spine: phantom_spine.PhantomSpine, grid: Grid, level: str = "L3", exclusions=()):
    """The body of a level, from its mask on a lattice that may differ from the image's."""
    mask = Mask(f"{level} body", phantom_spine.body_mask(spine.vertebra(level), grid), grid).cropped()
    return place_body(level, mask, list(exclusions), "body")
