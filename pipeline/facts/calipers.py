"""Convex hulls and the smallest rotated rectangles around them, for many shapes at once.

One side of the smallest rectangle lies along an edge of the hull (Freeman and Shapira, 1975), so every edge is tried:
hulls of about the same number of vertices are padded to one array.

(`shapely.oriented_envelope` of GEOS 3.14 takes half as long again, and gives a line for some valid polygons, such as
an L with vertices on its sides, turned by 296 degrees.)
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from pipeline.facts.flat import counts
from pipeline.grid import Floats, Ints

Shapes = npt.NDArray[np.object_]

_TIE = 1.01
"""Rectangles whose areas differ by less count as equal, and the one with the shorter outline is taken: all sides of
a triangle give the same area, and the choice must not hang on the last bit."""

_BLOCK = 1 << 17
"""Pairs of edge and vertex that are held at once."""


@dataclass(frozen=True, slots=True)
class Hulls:
    """Measures of n convex hulls, in the units of the frame; 0 where a shape is empty or a point.

    Attributes
    ----------
    area, perimeter
        Of the hull. The perimeter of a straight line is twice its length.
    length, width
        Sides of the smallest rotated rectangle, ``length >= width``.
    bearing
        Direction of the long side, degrees clockwise from north (y) in [0, 180).
    """

    area: Floats
    perimeter: Floats
    length: Floats
    width: Floats
    bearing: Floats


def hulls_of(geometries: Shapes) -> Hulls:
    """Measure the convex hulls of shapes in a planar frame, x east, y north."""
    hulls = shapely.convex_hull(geometries)
    xy, owner = shapely.get_coordinates(hulls, return_index=True)
    x, y = np.ascontiguousarray(xy.T)
    n = len(hulls)
    count = counts(owner, n)
    first = np.cumsum(count) - count
    vertices = count - (shapely.get_dimensions(hulls) == 2)  # a ring ends where it began
    padded = np.where(
        vertices <= 8, vertices, 1 << np.ceil(np.log2(np.maximum(vertices, 1))).astype(np.int64)
    )
    result = np.zeros((5, n))
    for size in np.unique(padded[vertices >= 2]).tolist():
        rows = np.flatnonzero(padded == size)
        for block in np.array_split(rows, -(-len(rows) * size * size // _BLOCK)):
            index = first[block] + np.minimum(np.arange(size)[:, None], vertices[block] - 1)
            result[:, block] = _measure(x[index], y[index])
    return Hulls(*result)


def _measure(x: Floats, y: Floats) -> Floats:
    """The attributes of `Hulls`, shape (5, n), of vertices in order, shape (k, n), the last one repeated."""
    x, y = x - x[0], y - y[0]
    dx, dy = np.roll(x, -1, axis=0) - x, np.roll(y, -1, axis=0) - y
    step = np.hypot(dx, dy)
    area = np.abs((x * dy - y * dx).sum(axis=0)) / 2
    unit = np.where(step > 0.0, step, 1.0)
    ux, uy = dx / unit, dy / unit
    along = _spread(x, y, ux, uy)
    across = _spread(x, y, -uy, ux)

    size = np.where(step > 0.0, along * across, np.inf)
    best = size <= _TIE * size.min(axis=0)
    edge: Ints = np.argmin(np.where(best, along + across, np.inf), axis=0)
    place = edge, np.arange(x.shape[1])
    along, across, ux, uy = along[place], across[place], ux[place], uy[place]
    lengthwise = along >= across
    east, north = np.where(lengthwise, ux, -uy), np.where(lengthwise, uy, ux)
    bearing = np.degrees(np.arctan2(east, north)) % 180.0
    return np.stack(
        [
            area,
            step.sum(axis=0),
            np.maximum(along, across),
            np.minimum(along, across),
            np.where(bearing < 180.0, bearing, 0.0),  # -1e-20 % 180 is 180
        ]
    )


def _spread(x: Floats, y: Floats, ux: Floats, uy: Floats) -> Floats:
    """How far the vertices of each shape reach in each direction, shape (k, n)."""
    at = x[:, None] * ux + y[:, None] * uy
    spread: Floats = at.max(axis=0) - at.min(axis=0)
    return spread
