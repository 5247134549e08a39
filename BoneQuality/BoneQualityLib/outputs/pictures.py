"""Pictures of a measured case: every ROI over the image it was read from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..case.result import CaseResult
from ..image.grid import ANTERIOR, RIGHT, SUPERIOR, Grid
from ..image.image import Image
from ..image.resampling import resample
from ..measures.roi import COLORS, PlanarRoi, RegionRoi

STEP_MM, RIM_MM = 0.4, 12.0
CT_WINDOW = (-250.0, 500.0)


def draw_case(result: CaseResult, images: dict[str, Image], path: str | Path) -> None:
    """Write a PNG: for CT the mid-sagittal plane and three axial slices a level, for T1 and muscles every slice that was read.

    images: the images that were measured, by role ("ct", "t1", "axial_mr" or "fat").
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = []
    if "ct" in images:
        panels += _ct_panels(result, images["ct"])
    if "t1" in images:
        panels += _t1_panels(result, images["t1"])
    for role in ("axial_mr", "fat"):
        if role in images:
            panels += _muscle_panels(result, images[role])
            break
    columns = 4
    figure = Figure(figsize=(3.2 * columns, 3.4 * int(np.ceil(len(panels) / columns))), facecolor="black", layout="constrained")
    FigureCanvasAgg(figure)
    for n, draw in enumerate(panels):
        axes = figure.add_subplot(int(np.ceil(len(panels) / columns)), columns, n + 1)
        axes.set_axis_off()
        draw(axes)
    figure.text(0.005, 0.002, "BoneQuality. Research use; not a medical device.", color="#aaaaaa", fontsize=7)
    figure.savefig(path, dpi=110)


def _ct_panels(result: CaseResult, image: Image):
    levels = [level for level in result.levels if level.ct.rois]
    rois = [roi for level in levels for roi in level.ct.rois]
    centers = np.array([roi.place()["center"] for roi in rois if isinstance(roi, RegionRoi)])
    panels = [
        lambda axes: _plane(axes, image, rois, centers.mean(axis=0), ANTERIOR, SUPERIOR, np.ptp(centers[:, 2]) / 2 + 30, "CT")
    ]
    for level in levels:
        for roi in level.ct.rois:
            if isinstance(roi, PlanarRoi) and f"hu_{roi.kind}" in level.ct.values:
                title = f"{level.name} {roi.kind} {level.ct.values['hu_' + roi.kind]:.0f} HU"
                up = np.cross(roi.normal, RIGHT)
                panels.append(
                    lambda axes, r=roi, t=title, up=up: _plane(axes, image, rois, r.center, np.cross(up, r.normal), up, 34, t, [r])
                )
    return panels


def _t1_panels(result: CaseResult, image: Image):
    rois = [roi for level in result.levels for roi in level.t1.rois]
    rois += [csf.roi for csf in result.csf.values() if csf.roi is not None]
    planes: dict[float, list] = {}
    for roi in rois:
        if isinstance(roi, PlanarRoi):
            planes.setdefault(round(float(roi.center @ roi.normal), 1), []).append(roi)
    value = result.values.get("vbq")
    panels = []
    for there in planes.values():
        points = np.concatenate([curve for roi in there for curve in roi.curves()])
        middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
        kinds = " ".join(dict.fromkeys(f"{r.kind} {r.level}" if r.kind == "csf" else r.kind for r in there))
        title = f"T1 {kinds}" + (f"  VBQ {value:.2f}" if value and "marrow" in kinds else "")
        half = np.ptp(points[:, 2]) / 2 + RIM_MM
        panels.append(lambda axes, r=there, m=middle, t=title, h=half: _plane(axes, image, r, m, r[0].u, r[0].v, h, t, r))
    if not planes and rois:
        centers = np.array([roi.place()["center"] for roi in rois])
        panels.append(
            lambda axes: _plane(axes, image, rois, centers.mean(axis=0), ANTERIOR, SUPERIOR, np.ptp(centers[:, 2]) / 2 + 30, "T1")
        )
    return panels


def _muscle_panels(result: CaseResult, image: Image):
    panels = []
    for there in result.muscles.slices:
        points = np.concatenate([curve for roi in there.rois for curve in roi.curves()] or [there.plane.center[None]])
        middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
        half = np.ptp(points, axis=0).max() / 2 + RIM_MM
        ratio = next((row["rcsa"] for row in there.rows() if row["muscle"] == "all"), None)
        title = there.plane.name + (f"  rCSA {ratio:.2f}" if ratio else "")
        panels.append(lambda axes, s=there, m=middle, h=half, t=title: _muscle_slice(axes, image, s, m, h, t))
    return panels


def _muscle_slice(axes, image: Image, there, middle, half: float, title: str) -> None:
    """One slice with its compartments and disc, and in red the pixels that count as fat."""
    plane = there.plane
    middle = middle + ((plane.center - middle) @ plane.normal) * plane.normal
    _plane(axes, image, there.rois, middle, plane.u, plane.v, half, title, there.rois)
    for fat in (c.fat_pixels for c in there.compartments if c.fat_pixels is not None):
        first = (fat.grid.ras([-0.5, -0.5, 0]) - middle) @ np.stack([plane.u, plane.v], axis=1)
        last = first + fat.grid.spacing[:2] * fat.array.shape[:0:-1]
        red = fat.array[0][..., None] * np.array([1.0, 0.1, 0.1, 0.55])
        axes.imshow(red, origin="lower", extent=(first[0], last[0], first[1], last[1]), interpolation="nearest")


def _plane(axes, image: Image, rois, center, right, up, half: float, title: str, own=()) -> None:
    """The image on a plane through ``center``; the outlines of ``own``, where regions and other slices cross it."""
    count = int(2 * half / STEP_MM) + 1
    affine = np.eye(4)
    normal = np.cross(right, up)
    affine[:3, :3] = np.stack([right * STEP_MM, up * STEP_MM, normal], axis=1)
    affine[:3, 3] = center - (right + up) * half
    lattice = Grid((1, count, count), affine)
    values = resample(image.array, image.grid, lattice)[0]
    first, last = -half - STEP_MM / 2, -half + (count - 0.5) * STEP_MM
    low, high = CT_WINDOW if image.array[::4, ::4, ::4].min() < -200 else (0.0, float(np.percentile(values, 99)))
    axes.imshow(
        values, cmap="gray", vmin=low, vmax=high, origin="lower", extent=(first, last, first, last), interpolation="nearest"
    )
    across = np.stack([right, up], axis=1)
    for roi in rois:
        color = COLORS.get(roi.kind, "white")
        if isinstance(roi, RegionRoi):
            share = resample(roi.weights, roi.grid, lattice)[0]
            if share.max() > 0.5:
                axes.contour(share, [0.5], colors=color, linewidths=0.7, extent=(first, last, first, last))
        elif not any(roi is r for r in own) and abs(roi.normal @ normal) < 0.5:
            ends = np.concatenate([(curve - center) @ across for curve in roi.curves()])
            axes.plot(*ends[[ends[:, 0].argmin(), ends[:, 0].argmax()]].T, color=color, linewidth=1)
    for roi in own:
        for curve in roi.curves():
            closed = np.concatenate([curve, curve[:1]])
            axes.plot(*((closed - center) @ across).T, color=COLORS.get(roi.kind, "white"), linewidth=1)
    axes.set_title(title, color="white", fontsize=8)
    axes.set_xlim(-half, half)
    axes.set_ylim(-half, half)
