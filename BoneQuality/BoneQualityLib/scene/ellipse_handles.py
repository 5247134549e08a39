"""Three handles by which a person moves an ellipse: its center and the ends of its two axes. Dragged by one, it stays an ellipse."""

from __future__ import annotations

import json

import numpy as np

from ..measures.roi import PlanarRoi
from .case_rois import ELLIPSE_POINTS, PLACED_ATTRIBUTE, is_shown, put_points

#: No semi-axis gets shorter, mm.
SHORTEST_MM = 1.0
CENTER, MAJOR, MINOR = range(3)


def ellipse_of(curve) -> PlanarRoi | None:
    """The ellipse that a curve shows; None for a curve that is none, or that a person reshaped point by point."""
    placed = json.loads(curve.GetAttribute(PLACED_ATTRIBUTE) or "{}")
    if not placed.get("ellipse"):
        return None
    kept = {name: np.array(placed["ellipse"][name]) for name in ("center", "u", "v")}
    ellipse = PlanarRoi(
        placed["level"], placed["kind"], **kept, semi_axes=tuple(placed["ellipse"]["semi_axes"]), thickness=placed["thickness"]
    )
    return ellipse if is_shown(ellipse, curve) else None


def handle_points(ellipse: PlanarRoi) -> np.ndarray:
    """The three handles of an ellipse, shape (3, 3), RAS mm: its center and the ends of its axes."""
    a, b = ellipse.semi_axes
    return np.array([ellipse.center, ellipse.center + a * ellipse.u, ellipse.center + b * ellipse.v])


def show_handles(handles, ellipse: PlanarRoi, label: str) -> None:
    """Put the three points of a handles node onto an ellipse; the label stands at its center."""
    put_points(handles, handle_points(ellipse))
    for n, text in enumerate((label, "", "")):
        handles.SetNthControlPointLabel(n, text)


def dragged(ellipse: PlanarRoi, points: np.ndarray) -> PlanarRoi:
    """The ellipse after one of its handles was dragged to where ``points``, shape (3, 3), has it; the others follow.

    The center moves it as it is; the end of an axis turns and stretches that axis within the ellipse's plane.
    """
    a, b = ellipse.semi_axes
    handle = int(np.argmax(np.linalg.norm(points - handle_points(ellipse), axis=1)))
    if handle == CENTER:
        return _like(ellipse, center=points[CENTER])
    arm = points[handle] - ellipse.center
    arm = arm - (arm @ ellipse.normal) * ellipse.normal
    length = float(np.linalg.norm(arm))
    if length < SHORTEST_MM:
        return ellipse
    direction = arm / length
    if handle == MAJOR:
        return _like(ellipse, u=direction, v=np.cross(ellipse.normal, direction), semi_axes=(length, b))
    return _like(ellipse, u=np.cross(direction, ellipse.normal), v=direction, semi_axes=(a, length))


def _like(ellipse: PlanarRoi, **changes) -> PlanarRoi:
    parts = {name: getattr(ellipse, name) for name in ("level", "kind", "center", "u", "v", "semi_axes", "thickness")}
    return PlanarRoi(**{**parts, **changes})


def reshape(curve, ellipse: PlanarRoi) -> None:
    """Let a curve show an ellipse; it counts as edited where that is another one than was placed."""
    placed = json.loads(curve.GetAttribute(PLACED_ATTRIBUTE))
    placed["ellipse"] = dict(
        center=ellipse.center.tolist(), u=ellipse.u.tolist(), v=ellipse.v.tolist(), semi_axes=list(ellipse.semi_axes)
    )
    curve.SetAttribute(PLACED_ATTRIBUTE, json.dumps(placed))
    put_points(curve, ellipse.curves(ELLIPSE_POINTS)[0])


def reset(curve) -> bool:
    """Put a curve back to where it was placed; returns whether that is known: not of one that a person drew."""
    placed = json.loads(curve.GetAttribute(PLACED_ATTRIBUTE))
    placed["ellipse"] = placed.get("placed_ellipse")
    curve.SetAttribute(PLACED_ATTRIBUTE, json.dumps(placed))
    if placed["points"]:
        put_points(curve, np.array(placed["points"]))
    return bool(placed["points"])
