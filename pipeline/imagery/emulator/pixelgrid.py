"""What pixel requests ask for: their grid, and the limits of the service."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from shapely.errors import ShapelyError

from pipeline.grid import crs_to_pixel, from_lonlat, pixel_to_crs
from pipeline.imagery.emulator.raster import parse_crs
from pipeline.imagery.emulator.values import Band, Grid, Image, RequestError
from pipeline.types import Affine6

MAX_BYTES = 50_331_648
"""Bytes of a request's pixels, with one mask byte for every band sample."""

MAX_SIDE = 32_768
"""Pixels of a request's side."""

MAX_BANDS = 1_024

_AFFINE = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")

_TAG = re.compile(r"[a-z0-9]|[a-z0-9][-_a-z0-9]{0,61}[a-z0-9]")


def parse_grid(body: Mapping[str, Any], native: Grid | None) -> Grid:
    """The pixel grid of a request.

    Parameters
    ----------
    body
        ``grid`` (crsCode or crsWkt, affineTransform, dimensions) and ``region`` (GeoJSON), all optional.
    native
        The image's own grid, from which comes what the request leaves open.

    Raises
    ------
    RequestError
        Values that cannot be understood, or too few of them.
    """
    asked = _object(body, "grid")
    crs = asked.get("crsCode") or asked.get("crsWkt") or (native and native.crs)
    transform = (
        _affine(asked["affineTransform"]) if "affineTransform" in asked else (native and native.transform)
    )
    if not crs or not transform:
        raise _invalid("The image has no fixed projection: grid.crsCode and grid.affineTransform are needed.")
    parse_crs(str(crs))
    if "dimensions" in asked:
        size = _object(asked, "dimensions")
        grid = Grid(str(crs), transform, _side(size, "width"), _side(size, "height"))
    elif "region" in body:
        grid = _around(body["region"], str(crs), transform)
    elif native is not None and not asked:
        grid = native
    else:
        raise _invalid("grid.dimensions or a region are needed.")
    if max(grid.width, grid.height) > MAX_SIDE:
        raise _invalid(
            f"Pixel grid dimensions ({grid.width}x{grid.height}) must be less than or equal to {MAX_SIDE}."
        )
    return grid


def parse_bands(body: Mapping[str, Any], image: Image) -> Sequence[str]:
    """The bands of a request: all of the image's unless it names some. Raises `RequestError`."""
    ids = body.get("bandIds") or [band.id for band in image.bands]
    if not isinstance(ids, list) or not all(isinstance(band, str) for band in ids):
        raise _invalid("Invalid value at 'bandIds': a list of strings is expected.")
    available = {band.id for band in image.bands}
    for band in ids:
        if band not in available:
            names = ", ".join(band.id for band in image.bands)
            raise _invalid(
                f"Image.select: Band pattern '{band}' did not match any bands. Available bands: [{names}]"
            )
    if len(set(ids)) < len(ids):
        raise _invalid("Invalid value at 'bandIds': a band is named twice.")
    if len(ids) > MAX_BANDS:
        raise _invalid(f"The number of bands ({len(ids)}) must be less than or equal to {MAX_BANDS}.")
    return ids


def check_size(grid: Grid, bands: Sequence[Band]) -> None:
    """Refuse what is larger than the service hands out. Raises `RequestError`."""
    n_bytes = grid.width * grid.height * sum(np.dtype(band.dtype).itemsize + 1 for band in bands)
    if n_bytes > MAX_BYTES:
        raise _invalid(
            f"Total request size ({n_bytes} bytes) must be less than or equal to {MAX_BYTES} bytes."
        )


def check_tag(body: Mapping[str, Any]) -> None:
    """Refuse a workload tag that is not one. Raises `RequestError`."""
    tag = body.get("workloadTag", "")
    if tag and not (isinstance(tag, str) and _TAG.fullmatch(tag)):
        raise _invalid(
            f"Invalid workload tag '{tag}': 1 to 63 lower-case letters, digits, dashes and underscores, "
            "starting and ending with a letter or digit."
        )


def _affine(value: object) -> Affine6:
    if not isinstance(value, Mapping):
        raise _invalid("Invalid value at 'grid.affineTransform': an object is expected.")
    a, b, c, d, e, f = (_number(value, name) for name in _AFFINE)
    if a * e == b * d:
        raise _invalid("Invalid value at 'grid.affineTransform': the transform is not invertible.")
    return a, b, c, d, e, f


def _number(value: Mapping[str, Any], name: str) -> float:
    number = value.get(name, 0.0)
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise _invalid(f"Invalid value at 'grid.affineTransform.{name}': a number is expected.")
    return float(number)


def _side(size: Mapping[str, Any], name: str) -> int:
    side = size.get(name, 0)
    if isinstance(side, bool) or not isinstance(side, int) or side < 1:
        raise _invalid(f"Invalid value at 'grid.dimensions.{name}': a positive integer is expected.")
    return side


def _around(region: object, crs: str, transform: Affine6) -> Grid:
    """The whole pixels of a grid that hold a region (GeoJSON, EPSG:4326)."""
    try:
        points = shapely.get_coordinates(shapely.geometry.shape(region))
    except (ShapelyError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise _invalid("Invalid value at 'region': a GeoJSON geometry is expected.") from error
    x, y = from_lonlat(crs).transform(points[:, 0], points[:, 1])
    col, row = crs_to_pixel(transform, x, y)
    if not (len(points) and np.isfinite(col).all() and np.isfinite(row).all()):
        raise _invalid("Invalid value at 'region': it cannot be placed in the projection.")
    left, top = math.floor(col.min()), math.floor(row.min())
    origin_x, origin_y = pixel_to_crs(transform, left, top)
    a, b, _, d, e, _ = transform
    width, height = max(math.ceil(col.max()) - left, 1), max(math.ceil(row.max()) - top, 1)
    return Grid(crs, (a, b, float(origin_x), d, e, float(origin_y)), width, height)


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = value.get(name) or {}
    if not isinstance(inner, Mapping):
        raise _invalid(f"Invalid value at '{name}': an object is expected.")
    return inner


def _invalid(message: str) -> RequestError:
    return RequestError(400, "INVALID_ARGUMENT", message)
