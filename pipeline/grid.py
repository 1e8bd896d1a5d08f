"""Cells, patch windows and the projections between pixels and the globe."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import mercantile
import numpy as np
import numpy.typing as npt
from pyproj import Transformer

from pipeline.ids import digest
from pipeline.types import Affine6, Bounds, Scene

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MAX_LATITUDE = 85.0511287798066
"""Northern and southern edge of the web-mercator square, degrees."""


def cell_of(lon: npt.ArrayLike, lat: npt.ArrayLike, zoom: int) -> tuple[Ints, Ints]:
    """Column and row of the web-mercator tiles that hold points (vectorised `mercantile.tile`).

    Parameters
    ----------
    lon, lat
        Degrees, EPSG:4326, any shape.
    zoom
        Tile zoom; 12 gives cells of about 9.8 km x cos(latitude).

    Returns
    -------
    Integer arrays of the shape of the input, clamped to the web-mercator square.
    """
    n = 2**zoom
    lon_, lat_ = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
    x = np.floor((lon_ + 180.0) / 360.0 * n)
    phi = np.radians(np.clip(lat_, -MAX_LATITUDE, MAX_LATITUDE))
    y = np.floor((1.0 - np.arcsinh(np.tan(phi)) / math.pi) / 2.0 * n)
    return np.clip(x, 0, n - 1).astype(np.int64), np.clip(y, 0, n - 1).astype(np.int64)


def cell_name(x: int, y: int, zoom: int) -> str:
    """Name of a cell in the store: ``12-1171-1566``."""
    return f"{zoom}-{x}-{y}"


def parse_cell(name: str) -> mercantile.Tile:
    """The tile behind a cell name."""
    zoom, x, y = _place(name)
    return mercantile.Tile(x, y, zoom)


def cell_bounds(name: str) -> Bounds:
    """Bounds of a cell, EPSG:4326."""
    zoom, x, y = _place(name)
    (west, east), (south, north) = _column(x, zoom), _row(y, zoom)
    return (west, south, east, north)


def cells_in(bounds: Bounds, zoom: int) -> list[str]:
    """Names of the cells that a box touches, sorted.

    A box whose west is greater than its east crosses the antimeridian.
    """
    west, south, east, north = bounds
    if west > east:
        return sorted(
            {*cells_in((west, south, 180.0, north), zoom), *cells_in((-180.0, south, east, north), zoom)}
        )
    xs, ys = cell_of([west, east], [north, south], zoom)
    return sorted(cell_name(x, y, zoom) for x in range(xs[0], xs[1] + 1) for y in range(ys[0], ys[1] + 1))


def neighbourhood(name: str) -> tuple[str, ...]:
    """The cell and its up to eight neighbours, sorted. Columns wrap at the antimeridian."""
    zoom, x, y = _place(name)
    rows = _rows_around(y, zoom)
    return tuple([column + row for column in _columns_around(x, zoom) for row in rows])


def surroundings(name: str) -> list[Bounds]:
    """Boxes that together cover what `neighbourhood` covers, EPSG:4326: one, or several at the antimeridian."""
    zoom, x, y = _place(name)
    last = 2**zoom - 1
    south, north = _row(min(y + 1, last), zoom)[0], _row(max(y - 1, 0), zoom)[1]
    if 0 < x < last:
        return [(_column(x - 1, zoom)[0], south, _column(x + 1, zoom)[1], north)]
    columns = sorted({(x + dx) % (last + 1) for dx in (-1, 0, 1)})
    return [(west, south, east, north) for west, east in (_column(column, zoom) for column in columns)]


def _place(name: str) -> tuple[int, int, int]:
    """Zoom, column and row."""
    zoom, x, y = name.split("-")
    return int(zoom), int(x), int(y)


@lru_cache(maxsize=10_000)
def _columns_around(x: int, zoom: int) -> Sequence[str]:
    """A column of cells and its neighbours, as names of cells begin, sorted."""
    return sorted({f"{zoom}-{(x + dx) % 2**zoom}-" for dx in (-1, 0, 1)})


@lru_cache(maxsize=10_000)
def _rows_around(y: int, zoom: int) -> Sequence[str]:
    """A row of cells and its neighbours, as names of cells end, sorted."""
    return sorted(str(row) for row in (y - 1, y, y + 1) if 0 <= row < 2**zoom)


@lru_cache(maxsize=10_000)
def _column(x: int, zoom: int) -> tuple[float, float]:
    """West and east of a column of cells."""
    bounds = mercantile.bounds(x, 0, zoom)
    return bounds.west, bounds.east


@lru_cache(maxsize=10_000)
def _row(y: int, zoom: int) -> tuple[float, float]:
    """South and north of a row of cells."""
    bounds = mercantile.bounds(0, y, zoom)
    return bounds.south, bounds.north


@lru_cache(maxsize=256)
def to_lonlat(crs: str) -> Transformer:
    """Transformer from a CRS to lon/lat degrees (EPSG:4326, x = longitude)."""
    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True)


@lru_cache(maxsize=256)
def from_lonlat(crs: str) -> Transformer:
    """Transformer from lon/lat degrees (EPSG:4326, x = longitude) to a CRS."""
    return Transformer.from_crs("EPSG:4326", crs, always_xy=True)


def projected(transformer: Transformer, x: Any, y: Any) -> tuple[Floats, Floats]:
    """Coordinates through a transformer, in the shape they came in.

    With NumPy before 2.4 pyproj gives numbers for arrays of one value.
    """
    u, v = transformer.transform(x, y)
    return np.reshape(u, np.shape(x)), np.reshape(v, np.shape(y))


def pixel_to_crs(transform: Affine6, col: Any, row: Any) -> tuple[Floats, Floats]:
    """CRS coordinates of pixel positions (0, 0 = upper-left corner of the image)."""
    a, b, c, d, e, f = transform
    col, row = np.asarray(col, dtype=np.float64), np.asarray(row, dtype=np.float64)
    return a * col + b * row + c, d * col + e * row + f


def crs_to_pixel(transform: Affine6, x: Any, y: Any) -> tuple[Floats, Floats]:
    """Pixel positions (col, row) of CRS coordinates; the inverse of `pixel_to_crs`."""
    a, b, c, d, e, f = transform
    det = a * e - b * d
    dx, dy = np.asarray(x, dtype=np.float64) - c, np.asarray(y, dtype=np.float64) - f
    return (e * dx - b * dy) / det, (a * dy - d * dx) / det


def window_centers(scene: Scene, col: Ints, row: Ints, size: int) -> tuple[Floats, Floats]:
    """Longitudes and latitudes of the centres of windows of `size` pixels."""
    x, y = pixel_to_crs(scene.transform, col + size / 2, row + size / 2)
    lon, lat = projected(to_lonlat(scene.crs), x, y)
    return np.asarray(lon), np.asarray(lat)


def window_outlines(scene: Scene, col: Ints, row: Ints, size: int, steps: int = 4) -> tuple[Floats, Floats]:
    """Outlines of windows in lon/lat, each edge cut in `steps` so that curved edges are followed.

    Returns
    -------
    Two arrays of shape ``(n, 4 * steps)``: longitudes and latitudes, from the upper-left corner clockwise.
    """
    t = np.arange(steps) / steps
    edge_x = np.concatenate([t, np.ones(steps), 1 - t, np.zeros(steps)]) * size
    edge_y = np.concatenate([np.zeros(steps), t, np.ones(steps), 1 - t]) * size
    x, y = pixel_to_crs(scene.transform, np.asarray(col)[:, None] + edge_x, np.asarray(row)[:, None] + edge_y)
    lon, lat = projected(to_lonlat(scene.crs), x, y)
    return np.asarray(lon), np.asarray(lat)


def patch_id(collection: str, scene: str, col: int, row: int, size: int) -> str:
    """Stable id of a patch: 16 hex digits from what defines it."""
    return digest(["patch", collection, scene, col, row, size])[:16]
