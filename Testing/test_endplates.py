"""Pits and breaks of endplates: found where they are, never on smooth endplates."""

from __future__ import annotations

import numpy as np
import pytest

from BoneQualityLib.image.mask import Mask
from BoneQualityLib.phantoms import phantom_spine
from BoneQualityLib.phantoms.phantom_solids import Pit
from BoneQualityLib.vertebra.body import place_body
from BoneQualityLib.vertebra.endplates import endplate_defect
from BoneQualityLib.vertebra.frame import place_frame
from budget.sound_cases import false_alarms
from conftest import rotation

SMOOTH = {
    "intact": {},
    "wedge": dict(height_anterior_mm=14.0, height_middle_mm=20.0),
    "biconcave": dict(height_middle_mm=12.0),
    "crush": dict(height_anterior_mm=14.0, height_middle_mm=13.0, height_posterior_mm=15.0),
}


def defects(spacing, cut=None, covers="body", **changes):
    spine = phantom_spine.lumbar_spine(("L3",), lordosis_deg=0, posterior_elements=False, changes={"L3": changes})
    vertebra = spine.vertebrae[0]
    grid = phantom_spine.grid_for(spine, spacing, rotation=rotation("R", 12) @ rotation("S", 7), margin_mm=6)
    voxels = phantom_spine.body_mask(vertebra, grid)
    if cut is not None:
        voxels &= ~cut(*np.moveaxis((grid.centers() - vertebra.center) @ vertebra.rotation, -1, 0))
    mask = Mask("L3", voxels, grid).cropped()
    return endplate_defect(place_body("L3", mask, [], covers), place_frame(mask, None, None, None, None))


@pytest.mark.parametrize("spacing", [(0.7, 0.7, 0.7), (1, 1, 1), (2, 2, 2), (3, 3, 3), (0.8, 0.8, 5)])
@pytest.mark.parametrize("shape", SMOOTH)
def test_a_smooth_endplate_has_no_defect_however_it_is_dished(shape, spacing):
    assert defects(spacing, **SMOOTH[shape]) == {}


def test_a_step_of_thick_slices_that_closes_to_a_ring_is_no_hole():
    assert false_alarms(3254) == ("5 mm slices", [])


@pytest.mark.parametrize("spacing", [(0.7, 0.7, 0.7), (1, 1, 1), (1.5, 1.5, 1.5)])
@pytest.mark.parametrize("shape", SMOOTH)
def test_a_pit_is_found_where_it_is(shape, spacing):
    found = defects(spacing, pit=Pit(5.0, 5.0, 6.0, -4.0), **SMOOTH[shape])
    assert list(found) == ["upper"]
    assert found["upper"].center[:2] == pytest.approx([6, -4], abs=2.5)


def test_a_step_across_the_lower_endplate_is_a_break():
    found = defects((1, 1, 1), cut=lambda x, y, z: (x > 2) & (z < -9.5))
    assert list(found) == ["lower"] and found["lower"].depth_mm > 2.5


def test_a_drawn_cancellous_region_has_no_endplates():
    assert defects((1, 1, 1), covers="cancellous", pit=Pit(6.0, 6.0)) == {}
