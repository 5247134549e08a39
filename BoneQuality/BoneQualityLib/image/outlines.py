"""Closed curves around a 2-D field."""

from __future__ import annotations

import numpy as np

#: Values are held within these limits, so that a boundary beside samples of no meaning stays near the inside ones; beyond the array
#: everything is outside.
MOST, OUTSIDE = 100.0, -100.0
#: A cell's edges, and the ways a curve crosses it, inside on its left: by the sum of 1, 2, 4, 8 for the corners inside, counted from
#: the first row's first column around. Two opposite corners count as apart.
_NEAR, _RIGHT, _FAR, _LEFT = range(4)
_CROSSINGS = {
    1: ((_NEAR, _LEFT),), 2: ((_RIGHT, _NEAR),), 4: ((_FAR, _RIGHT),), 8: ((_LEFT, _FAR),), 3: ((_RIGHT, _LEFT),),
    6: ((_FAR, _NEAR),), 12: ((_LEFT, _RIGHT),), 9: ((_NEAR, _FAR),), 7: ((_FAR, _LEFT),), 11: ((_RIGHT, _FAR),),
    13: ((_NEAR, _RIGHT),), 14: ((_LEFT, _NEAR),), 5: ((_NEAR, _LEFT), (_FAR, _RIGHT)), 10: ((_RIGHT, _NEAR), (_LEFT, _FAR)),
}  # fmt: skip


def outlines(field: np.ndarray) -> list[np.ndarray]:
    """Closed curves where a 2-D field [row, column] crosses zero: each (n, 2) as (column, row), in samples.

    Marching squares (Lorensen and Cline 1987, in the plane): a curve runs from edge to edge of the cells between four samples and
    crosses an edge where the field, linear along it, is zero. Zero itself is inside. Curves come in the order of their first cells.
    """
    padded = np.pad(np.clip(field, OUTSIDE, MOST).astype(np.float64), 1, constant_values=OUTSIDE)
    follows = _edge_after_edge(padded >= 0)
    curves = []
    while follows:
        first = edge = next(iter(follows))
        curve = []
        while not curve or edge != first:
            curve.append(edge)
            edge = follows.pop(edge)
        if len(curve) > 2:
            curves.append(_crossing_points(padded, np.array(curve)) - 1)
    return curves


def _edge_after_edge(inside: np.ndarray) -> dict[int, int]:
    """For every edge that a curve crosses the one it crosses next. Edges along rows are numbered like samples, then those across."""
    rows, columns = inside.shape
    a, b, c, d = inside[:-1, :-1], inside[:-1, 1:], inside[1:, 1:], inside[1:, :-1]
    corners = a + 2 * b + 4 * c + 8 * d
    row, column = np.nonzero((corners > 0) & (corners < 15))
    corners, low = corners[row, column], row * columns + column
    across = rows * columns + low
    edges = np.stack([low, across + 1, low + columns, across])
    cell, start, end = [], [], []
    for value, crossings in _CROSSINGS.items():
        (which,) = np.nonzero(corners == value)
        for enters, leaves in crossings:
            cell.append(which)
            start.append(edges[enters, which])
            end.append(edges[leaves, which])
    order = np.argsort(np.concatenate(cell), kind="stable")
    return dict(zip(np.concatenate(start)[order].tolist(), np.concatenate(end)[order].tolist()))


def _crossing_points(padded: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Where the field is zero on edges, (n, 2) as (column, row)."""
    columns, values = padded.shape[1], padded.ravel()
    across = edges >= padded.size
    first = edges - padded.size * across
    near, far = values[first], values[first + np.where(across, columns, 1)]
    share = near / (near - far)
    return np.stack([first % columns + share * ~across, first // columns + share * across], axis=1)
