"""Elements laid out flat in the CRS of the imagery: projected once, measured many times."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from pipeline.facts.flat import sums
from pipeline.grid import Floats, Ints, from_lonlat, projected

Shapes = npt.NDArray[np.object_]

POINT, LINE, AREA = 0, 1, 2
"""Dimensions of points, lines and areas."""

RUN = 16
"""Segments in a run."""


@dataclass(frozen=True, slots=True)
class Layer:
    """n elements in one CRS, as segments in flat arrays.

    Attributes
    ----------
    crs
        The CRS.
    shapes
        The elements in EPSG:4326, shape (n,).
    dimension
        `POINT`, `LINE` or `AREA`, shape (n,).
    bounds
        xmin, ymin, xmax, ymax in CRS units, shape (n, 4).
    segments
        Start x, start y, end x, end y of the segments of lines and of the rings of areas, shape (4, m).
        Outer rings run counter-clockwise, inner ones clockwise.
    count
        How many segments each element has, shape (n,).
    runs
        The segments in runs of up to `RUN` that follow each other.
    area
        Areas in square CRS units, shape (n,); 0 for lines and points.
    centroid
        Centroids of the areas in CRS units, shape (n, 2).
    defined
        Elements that lie wholly where the CRS is defined; the others are never found.
    tree
        Index of the bounds of the defined elements.
    """

    crs: str
    shapes: Shapes
    dimension: npt.NDArray[np.int8]
    bounds: Floats
    segments: Floats
    count: Ints
    runs: "Runs"
    area: Floats
    centroid: Floats
    defined: Ints
    tree: shapely.STRtree


@dataclass(frozen=True, slots=True)
class Runs:
    """Stretches of the segments of elements, with bounds: what a giant does not need here is skipped unseen.

    Attributes
    ----------
    first, count
        The runs of each element, shape (n,).
    start, length
        The segments of each run, shape (r,).
    limits
        xmin, ymin, xmax, ymax of each run, shape (4, r).
    """

    first: Ints
    count: Ints
    start: Ints
    length: Ints
    limits: Floats


def lay_out(shapes: Shapes, crs: str) -> Layer:
    """Project elements into a CRS.

    Parameters
    ----------
    shapes
        At least one; valid, non-empty (multi-)polygons, (multi-)lines and points in EPSG:4326.
    crs
        The CRS of the imagery.
    """
    n = len(shapes)
    dimension = shapely.get_dimensions(shapes).astype(np.int8)
    lonlat = shapely.get_coordinates(shapes)
    xy = np.stack(projected(from_lonlat(crs), lonlat[:, 0], lonlat[:, 1]))
    finite = np.isfinite(xy).all(axis=0)
    xy[:, ~finite] = 0.0
    total = shapely.get_num_coordinates(shapes).astype(np.int64)
    starts = np.cumsum(total) - total
    bounds = np.concatenate(
        [np.minimum.reduceat(xy, starts, axis=1), np.maximum.reduceat(xy, starts, axis=1)]
    ).T

    owner, size, outer = _parts(shapes, dimension == AREA, _single(lonlat, starts, total))
    starting = np.ones(len(lonlat), dtype=bool)
    starting[np.cumsum(size) - 1] = False
    start = np.flatnonzero(starting)
    segments = np.concatenate([xy[:, start], xy[:, start + 1]])
    part = np.repeat(np.arange(len(size)), size - 1)
    area, centroid = _measure(segments, part, owner, outer, bounds[:, :2])
    count = sums(owner, size - 1, n).astype(np.int64)
    defined = np.flatnonzero(np.logical_and.reduceat(finite, starts))
    diagonals = shapely.linestrings(bounds[defined].reshape(-1, 2, 2))
    return Layer(
        crs,
        shapes,
        dimension,
        bounds,
        segments,
        count,
        _runs(segments, count),
        area,
        centroid,
        defined,
        shapely.STRtree(diagonals),
    )


def touching(layer: Layer, box: Floats) -> Ints:
    """Elements whose bounds touch a box (xmin, ymin, xmax, ymax), ascending."""
    found: Ints = layer.defined[np.sort(layer.tree.query(shapely.box(*box)))]
    return found


def limits_of(segments: Floats) -> Floats:
    """Bounds of segments, shape (4, m): xmin, ymin, xmax, ymax."""
    return np.concatenate([np.minimum(segments[:2], segments[2:]), np.maximum(segments[:2], segments[2:])])


def _runs(segments: Floats, count: Ints) -> Runs:
    many = -(-count // RUN)
    owner = np.repeat(np.arange(len(count)), many)
    first = np.cumsum(many) - many
    place = np.arange(len(owner)) - first[owner]
    start = (np.cumsum(count) - count)[owner] + RUN * place
    limits = limits_of(segments)
    low, high = np.minimum.reduceat(limits[:2], start, axis=1), np.maximum.reduceat(limits[2:], start, axis=1)
    return Runs(first, many, start, np.minimum(RUN, count[owner] - RUN * place), np.concatenate([low, high]))


def _single(coordinates: Floats, starts: Ints, total: Ints) -> npt.NDArray[np.bool_]:
    """Which areas are one ring: their first point comes back once, at the end.

    A fast test for the usual case; `_parts` asks shapely about the others.
    """
    x, y = coordinates.T
    again = (x == np.repeat(x[starts], total)) & (y == np.repeat(y[starts], total))
    last, twice = again[starts + total - 1], np.add.reduceat(again, starts, dtype=np.int64) == 2
    single: npt.NDArray[np.bool_] = last & twice
    return single


def _parts(
    shapes: Shapes, area: npt.NDArray[np.bool_], single_ring: npt.NDArray[np.bool_]
) -> tuple[Ints, Ints, npt.NDArray[np.int8]]:
    """Rings and lines in the order of their coordinates.

    Returns
    -------
    The shape that owns each part; its number of coordinates; 1 for outer rings, -1 for inner ones, 0 for others.
    """
    simple = np.where(area, single_ring, shapely.get_num_geometries(shapes) == 1)
    single, several = np.flatnonzero(simple), np.flatnonzero(~simple)
    members, member = shapely.get_parts(shapes[several], return_index=True)
    polygon = area[several][member]
    rings, ring = shapely.get_rings(members[polygon], return_index=True)
    first = np.ones(len(ring), dtype=bool)
    first[1:] = ring[1:] != ring[:-1]

    owner = np.concatenate([single, several[member[~polygon]], several[member[polygon][ring]]])
    size = shapely.get_num_coordinates(np.concatenate([shapes[single], members[~polygon], rings]))
    outer = np.concatenate([area[single], np.zeros(np.sum(~polygon)), np.where(first, 1, -1)]).astype(np.int8)
    order = np.argsort(owner, kind="stable")
    return owner[order], size[order].astype(np.int64), outer[order]


def _measure(
    segments: Floats, part: Ints, owner: Ints, outer: npt.NDArray[np.int8], origin: Floats
) -> tuple[Floats, Floats]:
    """Turn rings the right way round, in place; areas and centroids of the shapes.

    Sums are taken from an origin beside the shape: coordinates of millions of metres would eat the digits.
    """
    shape, n = owner[part], len(origin)
    ox, oy = origin[shape].T
    ax, ay, bx, by = segments[0] - ox, segments[1] - oy, segments[2] - ox, segments[3] - oy
    twice = ax * by - bx * ay
    turn = (sums(part, twice, len(owner)) * outer < 0)[part]
    segments[:, turn] = segments[:, turn][[2, 3, 0, 1]]
    twice = np.where(turn, -twice, twice) * np.abs(outer)[part]
    area = sums(shape, twice, n) / 2
    moments = np.stack([sums(shape, (ax + bx) * twice, n), sums(shape, (ay + by) * twice, n)], axis=1)
    return area, origin + moments / np.where(area > 0, 6 * area, 1.0)[:, None]
