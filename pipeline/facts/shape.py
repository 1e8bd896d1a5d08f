"""What areas look like: shape, extent and direction, as a person would call the outline in the picture.

The outline of an area decides (what has a courtyard looks like its outer ring), by four descriptors that do not hang
on how it was digitised. All are ratios of areas and of the hull's perimeter: vertices on a straight side, the start
and direction of the ring, rotation, mirroring and scale change none of them, and small noise changes them little.

- *rectangularity*: area / area of the smallest rotated rectangle. 1 for a rectangle, 0.79 for a disc or an ellipse,
  0.5 for a triangle.
- *convexity*: area / area of the convex hull.
- *elongation*: length / width of the smallest rotated rectangle.
- *roundness*: compactness 4 pi A / P^2, with P the perimeter of the convex hull (the tidy outline: noise and bays
  hardly lengthen it), over the compactness of a rectangle of the same elongation. 1 for every rectangle, 1.27 for a
  disc, 1.21 for an octagon, 1.16 for a hexagon, 1.10 for a pentagon or a square whose corners lose a tenth of the
  side each, 1.20 for an ellipse or a running track of 2 : 1.

The classes, the first that holds:

1. irregular: more than a tenth of a multipolygon lies outside its largest part.
2. L-shaped: a rectangle less a rectangle at one corner, which takes at least 0.12 of the area and a quarter of both
   sides (less looks like a clipped corner); elongation below 4 (a strip of two widths is a strip). The frame is the
   main direction of the sides (the smallest rectangle of a thin L may lie across it); the missing corner has the
   centroid of what is missing, and may differ from it by a quarter of the smaller of what is missing and what is
   there (a triangle that is missing differs by a third, two steps by more).
3. round: roundness at least 1.12, rectangularity below 0.935 (a square with rounded corners has more), convexity at
   least 0.9, elongation below 1.5. Longer ones (ovals, tracks) are elongated.
4. square, rectangular, elongated: rectangularity at least 0.85 (a house with a bay; not a rhomb of 79 degrees) and
   elongation up to 1.15, below 4, and from there on.
5. elongated: elongation at least 4, or at least 2.75 where the outline has no large bays (convexity 0.7).
6. irregular: anything else.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import shapely

from pipeline.evidence import Axis, Shape
from pipeline.facts.calipers import hulls_of
from pipeline.facts.flat import sums
from pipeline.facts.measure import measure_areas
from pipeline.facts.sinuosity import sinuosities_of
from pipeline.grid import Floats, Ints

__all__ = ["axes_of", "extents_of", "shapes_of", "sinuosities_of"]

Shapes = npt.NDArray[np.object_]
Flags = npt.NDArray[np.bool_]

LONG: Final = 2.0
"""From this elongation on a thing has a long axis."""

_SHAPES = np.array([*Shape], dtype=object)
_NUMBER = {shape: number for number, shape in enumerate(Shape)}
_AXES = np.array([*Axis, None], dtype=object)

_MULTIPOLYGON = 6
_WHOLE = 0.9
_ROUNDNESS, _FILLED, _BULGING, _OVAL = 1.12, 0.935, 0.9, 1.5
_RECTANGULARITY, _SQUARE, _BAR = 0.85, 1.15, 4.0
_STRIP, _UNBROKEN = 2.75, 0.7
_NOTCH_SHARE, _NOTCH_SIDE, _NOTCH_ERROR = 0.12, 0.25, 0.25
_RIM = 0.03
"""What is missing of a rectangle is measured this far inside its sides, where noise and small bays do not reach."""

_NOTCH_CONVEXITY = 0.95
"""Of an L with the smallest notch it is 0.936; what is more convex is not looked at."""


def shapes_of(polygons: Shapes) -> Shapes:
    """Name the shapes of areas.

    Parameters
    ----------
    polygons
        Polygons and multipolygons in a planar frame of equal scales, shape (n,).

    Returns
    -------
    A `Shape` each, shape (n,); how it is decided says the head of the module. `Shape.IRREGULAR` where empty.
    """
    polygons, whole = _largest_parts(polygons)
    hulls = hulls_of(polygons)
    area = _filled(polygons)
    whole &= (hulls.width > 0.0) & (area > 0.0)
    length, width, hull, outline = (
        np.where(whole, measure, 1.0) for measure in (hulls.length, hulls.width, hulls.area, hulls.perimeter)
    )
    elongation = length / width
    rectangularity = area / (length * width)
    convexity = area / hull
    roundness = 4.0 * area * (1.0 + elongation) ** 2 / (elongation * outline**2)

    bent = np.flatnonzero(whole & (elongation < _BAR) & (convexity < _NOTCH_CONVEXITY))
    l_shaped = np.zeros(len(polygons), dtype=bool)
    l_shaped[bent] = _are_l_shaped(polygons[bent])
    rounded = (roundness >= _ROUNDNESS) & (rectangularity < _FILLED) & (convexity >= _BULGING)
    boxy = rectangularity >= _RECTANGULARITY
    strip = (elongation >= _BAR) | ((elongation >= _STRIP) & (convexity >= _UNBROKEN))
    rules = (
        (~whole, Shape.IRREGULAR),
        (l_shaped, Shape.L_SHAPED),
        (rounded & (elongation < _OVAL), Shape.ROUND),
        (rounded, Shape.ELONGATED),
        (boxy & (elongation <= _SQUARE), Shape.SQUARE),
        (boxy & (elongation < _BAR), Shape.RECTANGULAR),
        (strip, Shape.ELONGATED),
    )
    number = np.select(
        [holds for holds, _ in rules], [_NUMBER[shape] for _, shape in rules], _NUMBER[Shape.IRREGULAR]
    )
    shapes: Shapes = _SHAPES[number]
    return shapes


def extents_of(geometries: Shapes) -> Floats:
    """Measure the smallest rotated rectangles around shapes of any kind.

    Parameters
    ----------
    geometries
        Shapes in a planar frame, metres on the ground, x east, y north; shape (n,).

    Returns
    -------
    Length and width in metres, and the bearing of the long side, degrees clockwise from north in [0, 180); shape
    (n, 3). Zeros for points and empty shapes; the bearing of what is as wide as long means nothing.
    """
    hulls = hulls_of(geometries)
    return np.stack([hulls.length, hulls.width, hulls.bearing], axis=1)


def axes_of(extents: Floats) -> Shapes:
    """Name the directions of long axes by the nearest of the eight compass directions, which make four axes.

    Parameters
    ----------
    extents
        As `extents_of` returns them, shape (n, 3).

    Returns
    -------
    An `Axis` each, or None where the length is less than `LONG` times the width; shape (n,).
    """
    length, width, bearing = extents.T
    nearest = np.floor((bearing + 22.5) / 45.0).astype(np.int64) % 4
    axes: Shapes = _AXES[np.where((length > 0.0) & (length >= LONG * width), nearest, len(Axis))]
    return axes


def _largest_parts(polygons: Shapes) -> tuple[Shapes, Flags]:
    """The largest part of each area, and whether it is nearly all of it."""
    whole = np.ones(len(polygons), dtype=bool)
    multi = np.flatnonzero(shapely.get_type_id(polygons) == _MULTIPOLYGON)
    if not len(multi):
        return polygons, whole
    parts, owner = shapely.get_parts(polygons[multi], return_index=True)
    area = _filled(parts)
    order = np.lexsort((area, owner))
    last = np.flatnonzero(np.diff(owner[order], append=len(multi)))
    largest = order[last]
    single = polygons.copy()
    single[multi] = shapely.Polygon()
    single[multi[owner[largest]]] = parts[largest]
    whole[multi[owner[largest]]] = area[largest] >= _WHOLE * sums(owner, area, len(multi))[owner[largest]]
    return single, whole


def _filled(polygons: Shapes) -> Floats:
    """Areas inside the outer rings."""
    area = shapely.area(polygons)
    holed = np.flatnonzero(shapely.get_num_interior_rings(polygons) > 0)
    area[holed] = shapely.area(shapely.polygons(shapely.get_exterior_ring(polygons[holed])))
    filled: Floats = area
    return filled


def _are_l_shaped(polygons: Shapes) -> Flags:
    """Whether polygons are rectangles less a rectangle at one corner."""
    n = len(polygons)
    if not n:
        return np.zeros(0, dtype=bool)
    point, owner = shapely.get_coordinates(shapely.get_exterior_ring(polygons), return_index=True)
    start = np.flatnonzero(owner[1:] == owner[:-1])
    point = point - point[np.searchsorted(owner, owner)]
    z = point[:, 0] + 1j * point[:, 1]
    pair = owner[start]
    step = z[start + 1] - z[start]
    # Sides at right angles have one direction times four; long sides count for more.
    length = np.where(step == 0.0, 1.0, np.abs(step))
    fourfold = step**4 / length**3
    turn = np.angle(sums(pair, fourfold.real, n) + 1j * sums(pair, fourfold.imag, n)) / 4
    z = z * np.exp(-1j * turn)[owner]

    first = np.searchsorted(owner, np.arange(n))
    low_x, low_y = np.minimum.reduceat(z.real, first), np.minimum.reduceat(z.imag, first)
    side_x, side_y = np.maximum.reduceat(z.real, first) - low_x, np.maximum.reduceat(z.imag, first) - low_y
    x, y = (z.real - low_x[owner]) / side_x[owner], (z.imag - low_y[owner]) / side_y[owner]
    return _lack_a_corner(np.stack([x[start], y[start], x[start + 1], y[start + 1]]), pair, n)


def _lack_a_corner(segments: Floats, pair: Ints, n: int) -> Flags:
    """Whether polygons that fill the unit square from side to side lack a rectangle at one corner of it."""
    ax, ay, bx, by = segments
    clockwise = sums(pair, ax * by - bx * ay, n)[pair] < 0.0
    segments = np.where(clockwise, segments[[2, 3, 0, 1]], segments)
    frame = np.array([_RIM, _RIM, 1.0 - _RIM, 1.0 - _RIM])
    inner = measure_areas(segments, pair, np.tile(frame, (n, 1)))
    missing = 1.0 - inner.share
    some = np.where(missing > 0.0, missing, 1.0)
    x, y = (0.5 - inner.share * inner.u) / some, (0.5 - inner.share * inner.v) / some
    # the rectangle at the nearest corner that has this centroid
    width, height = 2.0 * np.minimum(x, 1.0 - x), 2.0 * np.minimum(y, 1.0 - y)
    notch = width * height
    large = (missing >= _NOTCH_SHARE) & (np.minimum(width, height) >= _NOTCH_SIDE)
    likely = np.flatnonzero(large & (np.abs(notch - missing) <= _NOTCH_ERROR * missing))

    left, low = np.where(x < 0.5, 0.0, 1.0 - width), np.where(y < 0.5, 0.0, 1.0 - height)
    corners = np.stack([left, low, left + width, low + height], axis=1)[likely]
    place = np.full(n, -1)
    place[likely] = np.arange(len(likely))
    rows = np.flatnonzero(place[pair] >= 0)
    boxes = _RIM + (1.0 - 2.0 * _RIM) * corners
    covered = notch[likely] * measure_areas(segments[:, rows], place[pair[rows]], boxes).share
    differ = 2.0 * covered + missing[likely] - notch[likely]
    l_shaped = np.zeros(n, dtype=bool)
    l_shaped[likely] = differ <= _NOTCH_ERROR * np.minimum(missing, inner.share)[likely]
    return l_shaped
