"""Regions that a person drew on single slices of a CT: they are slice values of their level."""

from __future__ import annotations

import numpy as np
import pytest

from BoneQualityLib.anatomy.segments import assign, settle
from BoneQualityLib.anatomy.structure import Segment
from BoneQualityLib.case.images import CaseImages, Given
from BoneQualityLib.case.measure import measure
from BoneQualityLib.errors import BoneQualityError, NotMeasured
from BoneQualityLib.image.grid import Grid
from BoneQualityLib.image.image import Image
from BoneQualityLib.image.mask import Mask
from BoneQualityLib.measures.drawn_slices import ellipse_through, is_drawn_on_slices, pixels_of
from BoneQualityLib.parameters import CaseFacts
from spine_files import CT_GRID, bodies, ct, cylinder, image_file, spine_files
from spine_files import measure as run

#: The CT of cylinders, with HU that rise by one in every slice, so that each slice has a value of its own.
RAMP = (ct() + np.arange(CT_GRID.shape[0])[:, None, None] * (ct() > 90)).astype(np.int16)
MIDDLES = {level: int(np.argwhere(mask)[:, 0].mean() + 0.5) for level, mask in bodies(CT_GRID).items()}


def on_slices(level: str, *offsets: int) -> np.ndarray:
    """An ellipse within the body of a level, on slices so many from its middle."""
    ellipse = cylinder(CT_GRID, CENTERS[level], radii=(14.0, 9.0))
    wanted = np.zeros(CT_GRID.shape[0], bool)
    wanted[[MIDDLES[level] + offset for offset in offsets]] = True
    return ellipse & wanted[:, None, None]


CENTERS = {level: float(CT_GRID.ras(np.argwhere(mask).mean(axis=0)[::-1])[2]) for level, mask in bodies(CT_GRID).items()}


def value(level: str, offset: int) -> float:
    """What lies on a slice."""
    return float(RAMP[on_slices(level, offset)].mean())


def measured(masks: dict[str, np.ndarray], grid: Grid = CT_GRID, edits=None):
    segments = [
        Segment(name, "drawn", lambda name=name, array=array: Mask(name, array, grid).cropped()) for name, array in masks.items()
    ]
    return measure(
        CaseImages(ct=Given(Image("ct", RAMP, CT_GRID), settle(assign(segments)).segments)), CaseFacts("a"), edits=edits or {}
    )


def test_one_ellipse_a_level_is_its_middle_slice():
    result = measured({f"{level} cancellous": on_slices(level, 0) for level in bodies(CT_GRID)})
    for level in result.levels:
        assert level.values["hu_middle"] == pytest.approx(value(level.name, 0), abs=0.05)
        assert not {"hu_3d", "hu_upper", "hu_lower", "hu_multislice"} & set(level.values)
        assert not level.ct_excluded and "drawn on single slices" in str(level.ct.reasons[-1])
        area = np.count_nonzero(on_slices(level.name, 0)) * 4
        assert level.values["hu_middle_area_mm2"] == pytest.approx(area, rel=0.05)
    assert result.values["hu_middle"] == pytest.approx(np.mean([value(level, 0) for level in bodies(CT_GRID)]), abs=0.05)
    assert result.values["ct_levels"] == ["L1", "L2", "L3"] and result.values["hu_3d"] is None


@pytest.mark.parametrize("name", ["L2", "L2 body", "L2 cancellous", "vertebra L2"])
def test_whatever_it_is_called_a_region_on_one_slice_is_no_body(name):
    (level,) = measured({name: on_slices("L2", 0)}).levels
    assert level.values["hu_middle"] == pytest.approx(value("L2", 0), abs=0.05)


def test_three_regions_are_the_three_slices_from_top_to_bottom():
    (level,) = measured({"L2 cancellous": on_slices("L2", -4, 0, 4)}).levels
    up = 4 if CT_GRID.ijk_to_ras[2, 2] > 0 else -4
    expected = dict(hu_upper=value("L2", up), hu_middle=value("L2", 0), hu_lower=value("L2", -up))
    assert {name: level.values[name] for name in expected} == pytest.approx(expected, abs=0.05)
    assert level.values["hu_multislice"] == pytest.approx(np.mean(list(expected.values())), abs=0.05)


@pytest.mark.parametrize("offset, name", [(5, "upper"), (0, "middle"), (-5, "lower"), (1, "middle")])
def test_beside_a_body_the_place_within_it_says_which_slice_it_is(offset, name):
    up = offset if CT_GRID.ijk_to_ras[2, 2] > 0 else -offset
    (level,) = measured({"L2 body": bodies(CT_GRID)["L2"], "L2 cancellous": on_slices("L2", up)}).levels
    assert level.values[f"hu_{name}"] == pytest.approx(value("L2", up), abs=0.05)
    assert level.values["hu_3d"] == pytest.approx(value("L2", 0), abs=0.5)
    assert {"hu_upper", "hu_middle", "hu_lower", "height_anterior_mm"} <= set(level.values)


def test_two_regions_without_a_body_are_not_told_apart():
    with pytest.raises(BoneQualityError, match="not clear which slices of the vertebra the two drawn ones are"):
        measured({"L2 cancellous": on_slices("L2", 0, 4)})


def test_regions_on_slices_that_touch_are_a_solid_mask():
    (level,) = measured({"L2 cancellous": on_slices("L2", 0, 1)}).levels
    assert level.values["hu_3d"] == pytest.approx((value("L2", 0) + value("L2", 1)) / 2, abs=0.1)


def test_a_solid_cancellous_mask_beside_a_body_is_two_segments_for_one_vertebra():
    solid = bodies(CT_GRID)["L2"] & (np.indices(CT_GRID.shape)[1] > 12)
    with pytest.raises(BoneQualityError, match="L2 body of drawn and the segment L2 cancellous of drawn both show L2"):
        measured({"L2 body": bodies(CT_GRID)["L2"], "L2 cancellous": solid})


def test_a_label_map_of_ellipses_is_measured_from_the_command_line(tmp_path, capfd):
    files = spine_files(tmp_path)
    image_file(tmp_path / "ramp.nii.gz", RAMP)
    labels = np.sum([n * on_slices(level, 0) for n, level in enumerate(bodies(CT_GRID), 1)], axis=0).astype(np.uint8)
    image_file(tmp_path / "rois.nii.gz", labels)
    (tmp_path / "l.csv").write_text("value,name\n1,L1 cancellous\n2,L2 cancellous\n3,L3 cancellous\n")
    assert files.folder == tmp_path
    outcome = run(
        capfd, tmp_path / "o", "--ct", tmp_path / "ramp.nii.gz", "--ct-segmentation", f"{tmp_path}/rois.nii.gz@{tmp_path}/l.csv"
    )
    assert outcome.status == 0, outcome.err
    assert [float(row["hu_middle"]) for row in outcome.levels.values()] == pytest.approx(
        [value(level, 0) for level in MIDDLES], abs=0.1
    )


def test_three_clicks_make_an_ellipse_on_the_nearest_slice():
    image, tilt = Image("ct", RAMP, CT_GRID), 0.5 * np.abs(CT_GRID.ijk_to_ras[2, 2])
    center = CT_GRID.ras(np.round(CT_GRID.ijk([0.0, 0, CENTERS["L2"]])))
    clicks = center + [[-9, -9, 0.3 * tilt], [9, 9, 0.2 * tilt], [-5, 6, -0.4 * tilt]]
    roi = ellipse_through("L2", clicks, image)
    assert roi.semi_axes == pytest.approx((9 * np.sqrt(2), 11 / np.sqrt(2))) and (roi.level, roi.kind, roi.edited) == ("L2", "middle", True)
    assert roi.center == pytest.approx(center) and abs(roi.u) == pytest.approx([np.sqrt(0.5), np.sqrt(0.5), 0])
    mask = pixels_of(roi, image)
    assert is_drawn_on_slices(mask, image) and mask.volume / np.abs(CT_GRID.ijk_to_ras[2, 2]) == pytest.approx(roi.area, rel=0.06)
    (level,) = measured({"L2 cancellous": mask.on(CT_GRID) > 0.5}, edits={("L2", "middle"): roi}).levels
    assert level.values["hu_middle"] == pytest.approx(roi.values(image).mean()) and level.values["hu_middle_area_mm2"] == pytest.approx(roi.area)


@pytest.mark.parametrize("clicks", [[[0, 0, 0]] * 3, [[-9, 0, 0], [9, 0, 0], [3, 0.1, 0]], [[500, 0, 0], [509, 0, 0], [505, 9, 0]]])
def test_clicks_that_make_no_ellipse_say_so(clicks):
    with pytest.raises(NotMeasured):
        ellipse_through("L1", np.array(clicks, float) + [0, 0, CENTERS["L1"]], Image("ct", RAMP, CT_GRID))
