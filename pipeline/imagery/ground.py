"""Image grids on the globe: what local files and Earth Engine assets are judged and sorted by."""

import datetime as dt
import math

import pyproj

from pipeline.grid import pixel_to_crs, to_lonlat
from pipeline.types import Affine6, Bounds, Scene

MAX_SKEW_PX = 1e-3
"""How far the rows and columns of a grid that counts as north-up may run off the axes, pixels."""


def skew_px(transform: Affine6, width: int, height: int) -> float:
    """How far the rows and columns run off the axes over the whole image, pixels."""
    a, b, _, d, e, _ = transform
    return max(abs(b * height / a), abs(d * width / e)) if a and e else math.inf


def gsd_m(transform: Affine6, crs: str, width: int, height: int) -> float:
    """Geometric mean of a pixel's width and height at the image's centre, metres on the WGS 84 ellipsoid."""
    col, row = width / 2, height / 2
    x, y = pixel_to_crs(transform, [col - 0.5, col + 0.5, col, col], [row, row, row - 0.5, row + 0.5])
    lon, lat = to_lonlat(crs).transform(x, y)
    _, _, steps = pyproj.Geod(ellps="WGS84").inv(lon[::2], lat[::2], lon[1::2], lat[1::2])
    return math.sqrt(steps[0] * steps[1])


def footprint(transform: Affine6, crs: str, width: int, height: int) -> Bounds | None:
    """Bounds in EPSG:4326, edges densified, or None where the coordinates do not fit the CRS.

    A scene across the antimeridian gets all longitudes.
    """
    x, y = pixel_to_crs(transform, [0, width], [height, 0])
    west, south, east, north = to_lonlat(crs).transform_bounds(x[0], y[0], x[1], y[1])  # 21 points a side
    if not (-181 < west < 181 and -181 < east < 181 and -91 < south <= north < 91):
        return None
    return (west, south, east, north) if west <= east else (-180.0, south, 180.0, north)


def goodness(scene: Scene) -> tuple[float, int, float, str]:
    """Sorts scenes best first: least cloudy, newest, finest, then by id; what is not known comes last.

    Where a collection does not tell clouds, no scene has any. The GSD counts to two digits: measured on the
    ground, it differs by some 1e-4 between equal grids.
    """
    cloud = math.inf if scene.cloud is None else scene.cloud
    newest_first = -(scene.date or dt.date.min).toordinal()
    return (cloud, newest_first, float(f"{scene.gsd_m:.1e}"), scene.id)
