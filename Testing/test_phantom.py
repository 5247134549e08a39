"""The phantom is what it says it is: its masks, images and true values agree with geometry and physics worked out apart."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import erf

from BoneQualityLib.errors import BoneQualityError
from BoneQualityLib.phantoms.phantom_solids import Pit, basivertebral_vein
from BoneQualityLib.phantoms.phantom_spine import (
    body_mask,
    canal_mask,
    cord_mask,
    csf_mask,
    disc_mask,
    grid_for,
    lumbar_spine,
    render_ct,
    render_t1,
    sac_mask,
    vertebra_mask,
)

FLAT = dict(height_anterior_mm=28, height_middle_mm=28, height_posterior_mm=28)


def turned(degrees=25.0):
    """Rotation about a slanted axis."""
    axis = np.array([1.0, -2.0, 3.0]) / np.sqrt(14)
    cross = np.cross(np.eye(3), axis)
    angle = np.radians(degrees)
    return np.eye(3) * np.cos(angle) + np.outer(axis, axis) * (1 - np.cos(angle)) - cross * np.sin(angle)


def one_body(**changes):
    """A spine of one vertebra without posterior elements, and that vertebra."""
    spine = lumbar_spine(["L3"], lordosis_deg=0, cancellous_hu=120, posterior_elements=False, changes={"L3": changes})
    return spine, spine.vertebrae[0]


def in_ras_order(array, grid):
    """``array`` with its axes turned to (S, A, R), all rising."""
    axes = np.abs(grid.directions).argmax(axis=1)  # which of i, j, k runs along R, A, S
    array = array.transpose([2 - axes[2], 2 - axes[1], 2 - axes[0]])
    flips = [grid.directions[row, axes[row]] < 0 for row in (2, 1, 0)]
    return np.flip(array, [n for n, flip in enumerate(flips) if flip])


def test_body_has_the_width_depth_and_height_it_was_given():
    _, body = one_body(waist_mm=0, **FLAT)
    to_wall = body.center + np.array([[22.0, 0, 0], [-22.0, 0, 0], [0, 16.0, 0], [0, -16.0, 0], [0, 0, 13.0], [0, 0, -13.0]])
    np.testing.assert_allclose(body.depth(to_wall), 1.0, atol=1e-6)


def test_heights_are_means_over_the_bands_of_the_depth():
    _, body = one_body(height_anterior_mm=17, height_middle_mm=20, height_posterior_mm=27)
    z = np.arange(-20, 20, 0.02)
    for low, high, expected in ((0.8, 0.95, 17), (0.4, 0.6, 20), (0.05, 0.2, 27)):
        y = (np.linspace(low, high, 16) - 0.5) * body.depth_mm
        columns = np.stack(np.meshgrid(np.linspace(-3, 3, 7), y, z, indexing="ij"), -1)
        inside = body.depth(columns) > 0
        top = np.where(inside, columns[..., 2], -99).max(-1)
        bottom = np.where(inside, columns[..., 2], 99).min(-1)
        assert (top - bottom).mean() == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    "changes", [{}, dict(height_anterior_mm=18, height_middle_mm=21), dict(pit=Pit(7, 5, 4, 3))], ids=["intact", "wedge", "pit"]
)
def test_depth_is_the_distance_to_the_surface(changes):
    _, body = one_body(**changes)
    points = np.random.default_rng(0).uniform(-24, 24, (60000, 3))
    depth = body.depth(points)
    points, depth = points[(depth > 0.2) & (depth < 4)], depth[(depth > 0.2) & (depth < 4)]
    step = 1e-4 * np.eye(3)
    uphill = np.stack([(body.depth(points + d) - body.depth(points - d)) / 2e-4 for d in step], -1)
    slope = np.linalg.norm(uphill, axis=1)
    assert slope.max() < 1.02, "the surface is nearer than the depth says"
    smooth = slope > 0.97
    landed = points[smooth] - uphill[smooth] / slope[smooth, None] * depth[smooth, None]
    assert smooth.mean() > 0.97
    assert np.quantile(np.abs(body.depth(landed)), 0.999) < 0.08, "the surface is farther than the depth says"


@pytest.mark.parametrize("grid_options", [{}, dict(spacing_mm=(1, 1, 1), rotation=turned(), left_handed=True)])
def test_masks_have_the_analytic_volume(grid_options):
    spine = lumbar_spine(["L3", "L4"])
    grid = grid_for(spine, **grid_options)
    for vertebra in spine.vertebrae:
        for margin in (0, 3):
            volume = body_mask(vertebra, grid, margin).sum() * grid.voxel_volume
            assert volume == pytest.approx(vertebra.cancellous_truth(margin).volume_mm3, rel=0.01)


@pytest.mark.parametrize(
    "grid_options",
    [
        dict(spacing_mm=(0.8, 0.8, 1.25)),
        dict(spacing_mm=(0.7, 0.7, 3), rotation=turned(), left_handed=True),
        dict(spacing_mm=(0.7, 0.7, 3), orientation="sagittal"),
        dict(spacing_mm=(1, 1, 1), orientation="coronal", rotation=turned(-25)),
    ],
    ids=["axial", "rotated-left-handed", "sagittal", "coronal-rotated"],
)
def test_ct_away_from_the_cortex_reads_the_true_cancellous_hu(grid_options):
    spine = lumbar_spine(["L5"], cancellous_hu=90, gradient_hu_per_mm=1.5, posterior_elements=False)
    vertebra = spine.vertebra("L5")
    grid = grid_for(spine, margin_mm=3, **grid_options)
    ct = render_ct(spine, grid)
    inside = body_mask(vertebra, grid, 4.5)
    above = grid.centers()[inside][:, 2] - vertebra.center[2]
    np.testing.assert_allclose(ct[inside], 90 + 1.5 * above, atol=0.6)
    assert ct[inside].mean() == pytest.approx(vertebra.cancellous_truth(4.5).mean_hu, abs=0.3)
    assert vertebra.cancellous_hu_at(5) == 97.5


@pytest.mark.parametrize("slice_mm", [0.7, 3.0])
def test_voxel_at_an_endplate_is_the_blurred_average_over_its_box(slice_mm):
    spine, _ = one_body(**FLAT)
    grid = grid_for(spine, (0.7, 0.7, slice_mm), size_mm=(10, 10, 50))
    ct = render_ct(spine, grid, psf_sigma_mm=0.6)

    def integral_of_blurred_step(s):
        u = s / 0.6
        return 0.6 * (u * 0.5 * (1 + erf(u / np.sqrt(2))) + np.exp(-0.5 * u**2) / np.sqrt(2 * np.pi))

    s = grid.ras(np.array([[7, 7, k] for k in range(grid.shape[0])]))[:, 2]
    low, high = s - slice_mm / 2, s + slice_mm / 2
    expected = 40.0
    for at, by in {-14: 460, -13: -380, 13: 380, 14: -460}.items():  # soft tissue 40, cortex 500, cancellous 120, and back
        expected = expected + by * (integral_of_blurred_step(high - at) - integral_of_blurred_step(low - at)) / slice_mm
    np.testing.assert_allclose(ct[:, 7, 7], expected, atol=2)


def test_every_lattice_shows_the_same_patient():
    spine = lumbar_spine(["L4"], scoliosis_deg=20)
    pictures = []
    for options in ({}, dict(left_handed=True), dict(orientation="sagittal"), dict(orientation="coronal")):
        grid = grid_for(spine, (2, 2, 2), margin_mm=12, **options)
        pictures.append(in_ras_order(render_ct(spine, grid), grid).astype(int))
    assert pictures[0].min() < -900 and pictures[0].max() > 250
    assert max(np.abs(picture - pictures[0]).max() for picture in pictures) <= 1


def test_noise_has_the_given_strength_and_repeats_by_its_seed():
    spine, body = one_body()
    grid = grid_for(spine, (1, 1, 1), size_mm=(60, 60, 40))
    clean, first, again, other = (render_ct(spine, grid, sd, seed) for sd, seed in ((0, 0), (20, 1), (20, 1), (20, 2)))
    assert (first - clean).std() == pytest.approx(20, rel=0.02) and abs((first - clean).mean()) < 0.3
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    t1 = render_t1(spine, grid, noise_sd=15, seed=3)
    assert t1[body_mask(body, grid, 4)].std() == pytest.approx(15, rel=0.05)


def test_t1_shows_each_levels_ratio_dark_csf_and_brighter_roots_and_follows_the_coil():
    spine = lumbar_spine(["L1", "L2", "L3"], marrow_t1=[250, 300, 350], csf_t1=80)
    grid = grid_for(spine, (0.7, 0.7, 4), orientation="sagittal", size_mm=(60, 140, 12))
    t1, shaded = (render_t1(spine, grid, shading=gain) for gain in (None, lambda points: 1 + 0.01 * points[..., 2]))
    deep = ndimage.distance_transform_edt(sac_mask(spine, grid), sampling=grid.spacing[::-1]) > 2.5
    middle = np.abs(grid.centers()[..., 0]) < 2
    assert np.median(t1[deep & middle & ~cord_mask(spine, grid)]) == pytest.approx(80, abs=3)
    for vertebra, marrow in zip(spine.vertebrae, (250, 300, 350)):
        inside = body_mask(vertebra, grid, 4.5)
        assert t1[inside].mean() == pytest.approx(marrow, abs=0.5)
        assert spine.vbq_truth()[vertebra.level] == pytest.approx(marrow / 80)
        s = grid.centers()[inside][:, 2].mean()
        assert shaded[inside].mean() == pytest.approx(marrow * (1 + 0.01 * s), rel=0.01)
    fine = grid_for(spine, (0.4, 0.4, 1), size_mm=(14, 40, 60))
    roots = sac_mask(spine, fine) & ~csf_mask(spine, fine) & ~cord_mask(spine, fine)
    assert render_t1(spine, fine)[roots].mean() > 1.5 * 80


@pytest.mark.parametrize("changes", [{}, {"L2": dict(height_anterior_mm=16, height_middle_mm=19), "L4": dict(pit=Pit())}])
def test_structures_lie_apart_and_in_order(changes):
    spine = lumbar_spine(scoliosis_deg=15, changes=changes)
    grid = grid_for(spine, (1, 1, 1.5))
    parts = [vertebra_mask(spine, v.level, grid) for v in spine.vertebrae]
    parts += [canal_mask(spine, grid)] + [disc_mask(spine, d.name, grid) for d in spine.discs]
    assert np.sum(parts, axis=0).max() == 1
    assert [d.name for d in spine.discs] == ["L1-L2", "L2-L3", "L3-L4", "L4-L5"]
    for whole, vertebra in zip(parts, spine.vertebrae):
        body = body_mask(vertebra, grid)
        assert (whole & body).sum() == body.sum() and 1.3 < whole.sum() / body.sum() < 2
    assert (csf_mask(spine, grid) | cord_mask(spine, grid) <= sac_mask(spine, grid)).all()
    cord = grid.centers()[cord_mask(spine, grid)][:, 2]
    assert cord.min() > spine.vertebra("L1").center[2] - 1.5


def test_lordosis_tilts_l1_back_and_l5_forward_and_l3_is_level():
    spine = lumbar_spine(lordosis_deg=44)
    up = {v.level: v.rotation[:, 2] for v in spine.vertebrae}
    assert np.degrees(np.arccos(up["L1"] @ up["L5"])) == pytest.approx(44)
    assert up["L1"][1] < 0 < up["L5"][1] and up["L3"][2] > 0.99
    bent = lumbar_spine(scoliosis_deg=30, lordosis_deg=0)
    assert np.degrees(np.arccos(bent.vertebrae[0].rotation[:, 2] @ bent.vertebrae[-1].rotation[:, 2])) == pytest.approx(30)


def test_truth_leaves_out_a_vein_on_request_and_a_pit_always():
    spine, body = one_body(inclusions=(basivertebral_vein(),))
    with_vein, without = body.cancellous_truth(3), body.cancellous_truth(3, without_inclusions=True)
    assert with_vein.mean_hu < without.mean_hu == 120 and without.sd_hu == 0
    _, pitted = one_body(pit=Pit(depth_mm=8, radius_mm=5))
    _, whole = one_body()
    assert pitted.cancellous_truth(3).volume_mm3 < whole.cancellous_truth(3).volume_mm3 - 500


def test_unknown_levels_are_refused_by_name():
    with pytest.raises(BoneQualityError, match="L9"):
        lumbar_spine(["L9"])
    with pytest.raises(BoneQualityError, match="L2"):
        lumbar_spine(["L3"], changes={"L2": {}})
    with pytest.raises(BoneQualityError, match="L1"):
        lumbar_spine(["L3"]).vertebra("L1")
