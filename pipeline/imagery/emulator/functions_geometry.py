"""Projections, geometries and features, and the functions that make them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
import rasterio
import shapely
from rasterio.features import geometry_mask
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from pipeline.grid import crs_to_pixel, pixel_to_crs
from pipeline.imagery.emulator.raster import parse_crs, same_crs
from pipeline.imagery.emulator.values import Grid, RequestError
from pipeline.types import Affine6

LONLAT = "EPSG:4326"

_DEGREE_M = math.pi / 180 * 6_378_137
"""A degree of the equator (WGS 84), metres: what Earth Engine's scales take a degree for."""

_EDGE_STEPS = 64
"""A geometry's longer side is cut into so many steps before it goes into another CRS."""

_SLACK_PX = 1e-4
"""A box that reaches into a pixel by less than this does not cover it."""


@dataclass(frozen=True, slots=True)
class Projection:
    """A CRS, and the affine transform from pixel positions to its coordinates."""

    crs: str
    transform: Affine6 = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Geometry:
    """A geometry in coordinates of a CRS (x first)."""

    shape: BaseGeometry
    crs: str = LONLAT

    def on(self, crs: str) -> BaseGeometry:
        """The shape in another CRS, its edges followed closely. Raises `RequestError` where it has no place."""
        if same_crs(self.crs, crs) or self.shape.is_empty:
            return self.shape
        west, south, east, north = self.shape.bounds
        step = max(east - west, north - south) / _EDGE_STEPS
        dense = shapely.segmentize(self.shape, step) if step > 0 else self.shape
        moved = shapely.transform(dense, transformer(self.crs, crs).transform, interleaved=False)
        if not np.isfinite(shapely.get_coordinates(moved)).all():
            raise invalid(f"Geometry cannot be transformed from {self.crs} to {crs}.")
        return shapely.make_valid(moved)


@dataclass(frozen=True, slots=True)
class Feature:
    """A geometry with properties."""

    geometry: Geometry | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)


def invalid(message: str) -> RequestError:
    """The error for what a client got wrong."""
    return RequestError(400, "INVALID_ARGUMENT", message)


@lru_cache(maxsize=256)
def transformer(source: str, target: str) -> pyproj.Transformer:
    """Transformer between two CRSs, x first."""
    return pyproj.Transformer.from_crs(parse_crs(source), parse_crs(target), always_xy=True)


def projection(
    crs: object, transform: Sequence[object] | None = None, transformWkt: str | None = None
) -> Projection:
    """`Projection`: from a CRS code or WKT, or a projection whose transform is replaced."""
    if transformWkt is not None:
        raise invalid("Projection: 'transformWkt' is not implemented by this emulator")
    if isinstance(crs, Projection):
        known = crs
    elif isinstance(crs, str):
        parse_crs(crs)
        known = Projection(crs)
    else:
        raise invalid(f"Projection: Parameter 'crs' must be a CRS code or WKT, got {crs!r}.")
    return known if transform is None else replace(known, transform=affine(transform))


def affine(numbers: Sequence[object]) -> Affine6:
    """Six numbers as an affine transform. Raises `RequestError` where they are not one."""
    if len(numbers) != 6 or not all(isinstance(number, int | float) for number in numbers):
        raise invalid(f"A CRS transform has 6 numbers, got {list(numbers)}.")
    a, b, c, d, e, f = (float(number) for number in numbers if isinstance(number, int | float))
    if a * e == b * d or not math.isfinite(a + b + c + d + e + f):
        raise invalid(f"The CRS transform {list(numbers)} cannot be inverted.")
    return a, b, c, d, e, f


def nominal_scale(proj: Projection) -> float:
    """`Projection.nominalScale`: the size of a pixel, metres."""
    a, b, _, d, e, _ = proj.transform
    crs = parse_crs(proj.crs)
    unit = _DEGREE_M if crs.is_geographic else crs.axis_info[0].unit_conversion_factor
    return math.sqrt(abs(a * e - b * d)) * unit


def rescaled(proj: Projection, scale: float) -> Projection:
    """The projection with pixels of `scale` metres; its origin stays."""
    if not scale > 0:
        raise invalid(f"A scale must be positive, got {scale}.")
    factor = scale / nominal_scale(proj)
    a, b, c, d, e, f = proj.transform
    return replace(proj, transform=(a * factor, b * factor, c, d * factor, e * factor, f))


def covering_grid(proj: Projection, shape: BaseGeometry) -> Grid:
    """The whole pixels of a projection that cover a shape in its CRS."""
    points = shapely.get_coordinates(shapely.envelope(shape))
    if not len(points):
        raise invalid("The geometry is empty.")
    cols, rows = crs_to_pixel(proj.transform, points[:, 0], points[:, 1])
    left, top = math.floor(cols.min() + _SLACK_PX), math.floor(rows.min() + _SLACK_PX)
    right, bottom = math.ceil(cols.max() - _SLACK_PX), math.ceil(rows.max() - _SLACK_PX)
    return window(Grid(proj.crs, proj.transform, 0, 0), left, top, max(right - left, 1), max(bottom - top, 1))


def window(grid: Grid, col: int, row: int, width: int, height: int) -> Grid:
    """A part of a grid, or of what lies around it."""
    x, y = pixel_to_crs(grid.transform, col, row)
    a, b, _, d, e, _ = grid.transform
    return Grid(grid.crs, (a, b, float(x), d, e, float(y)), width, height)


def outline(grid: Grid, inset: float = 0.0) -> Geometry:
    """The outline of a grid, `inset` pixels within its edge."""
    right, bottom = grid.width - inset, grid.height - inset
    x, y = pixel_to_crs(grid.transform, [inset, right, right, inset], [inset, inset, bottom, bottom])
    return Geometry(shapely.Polygon(np.column_stack([x, y])), grid.crs)


def inside(geometry: Geometry, grid: Grid) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
    """Which pixels have their centre in a geometry, ``(H, W) bool``; None where all have."""
    shape = _near(geometry, grid).on(grid.crs)
    centres = outline(grid, 0.5).shape
    if shape.covers(centres):
        return None
    if not shape.intersects(outline(grid).shape):
        return np.zeros((grid.height, grid.width), dtype=bool)
    within = geometry_mask([shape], (grid.height, grid.width), rasterio.Affine(*grid.transform), invert=True)
    return np.asarray(within)


def _near(geometry: Geometry, grid: Grid) -> Geometry:
    """What of a geometry lies around a grid: of a smaller shape, edges are followed more closely."""
    if same_crs(geometry.crs, grid.crs):
        return geometry
    bounds = transformer(grid.crs, geometry.crs).transform_bounds(*outline(grid).shape.bounds)
    west, south, east, north = bounds
    if not np.isfinite(bounds).all() or west > east:
        return geometry
    margin = max(east - west, north - south)
    around = shapely.box(west - margin, south - margin, east + margin, north + margin)
    return replace(geometry, shape=shapely.intersection(geometry.shape, around))


def feature(
    geometry: Geometry | None = None,
    metadata: Mapping[str, Any] | None = None,
    geometryKey: str | None = None,
) -> Feature:
    """`Feature`."""
    del geometryKey  # names a property of the client's own
    return Feature(geometry, metadata or {})


def constructor(kind: str) -> Callable[..., Geometry]:
    """`GeometryConstructors.<kind>` for the kinds that are GeoJSON's, and LinearRing."""

    def construct(
        coordinates: Sequence[Any],
        crs: Projection | None = None,
        geodesic: bool | None = None,
        maxError: object = None,
        evenOdd: bool | None = None,
    ) -> Geometry:
        del geodesic, maxError, evenOdd  # edges are straight lines in the CRS of the geometry
        return _placed(kind, _shaped(kind, coordinates), crs)

    return construct


def rectangle(
    coordinates: Sequence[Any],
    crs: Projection | None = None,
    geodesic: bool | None = None,
    evenOdd: bool | None = None,
) -> Geometry:
    """`GeometryConstructors.Rectangle`: corners as two points or as four numbers."""
    del geodesic, evenOdd
    flat = [n for part in coordinates for n in (part if isinstance(part, Sequence) else (part,))]
    if len(flat) != 4 or not all(isinstance(n, int | float) for n in flat):
        raise invalid("GeometryConstructors.Rectangle: 'coordinates' must be two points or four numbers.")
    west, south, east, north = flat
    return _placed("Rectangle", shapely.box(west, south, east, north), crs)


def bbox(west: float, south: float, east: float, north: float) -> Geometry:
    """`GeometryConstructors.BBox`."""
    return _placed("BBox", shapely.box(west, south, east, north), None)


def parse_geojson(value: Mapping[str, Any]) -> Geometry:
    """A GeoJSON geometry, EPSG:4326."""
    return _placed("Geometry", _shaped(str(value.get("type")), value.get("coordinates")), None)


def geojson(geometry: Geometry) -> dict[str, Any]:
    """A geometry as clients get it: GeoJSON, EPSG:4326."""
    value: dict[str, Any] = shapely.geometry.mapping(geometry.on(LONLAT))
    return value


def _shaped(kind: str, coordinates: object) -> BaseGeometry:
    name = "LineString" if kind == "LinearRing" else kind
    try:
        return shapely.geometry.shape({"type": name, "coordinates": coordinates})
    except (ShapelyError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise invalid(f"GeometryConstructors.{kind}: 'coordinates' are not those of a {kind}.") from error


def _placed(kind: str, shape: BaseGeometry, proj: Projection | None) -> Geometry:
    if not np.isfinite(shapely.get_coordinates(shape)).all():
        raise invalid(f"GeometryConstructors.{kind}: 'coordinates' must be finite.")
    if proj is None:
        return Geometry(shapely.make_valid(shape))

    def to_crs(x: Any, y: Any) -> tuple[Any, Any]:
        return pixel_to_crs(proj.transform, x, y)

    return Geometry(shapely.make_valid(shapely.transform(shape, to_crs, interleaved=False)), proj.crs)
