"""Asset descriptions of Earth Engine's REST API become scenes, or a rejection that says why not."""

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import ValidationError
from pyproj.exceptions import ProjError

from pipeline.grid import to_lonlat
from pipeline.ids import digest
from pipeline.imagery.earthengine.described import Band, Described, what_is_odd
from pipeline.imagery.ground import MAX_SKEW_PX, footprint, gsd_m, skew_px
from pipeline.sources import Collection, EarthEngineSource
from pipeline.types import Affine6, Asset, Scene

_GSD_TOLERANCE = 0.01
"""Share by which a GSD measured on the ground may differ from the nominal one: UTM zones and national grids
stay below 0.4 %, asked-for GSDs are written with two or three digits."""


class Why(StrEnum):
    """Why an asset is not used."""

    MALFORMED = "malformed"
    NOT_AN_IMAGE = "not_an_image"
    LACKS_BANDS = "lacks_bands"
    MANY_GRIDS = "many_grids"
    MANY_TYPES = "many_types"
    UNKNOWN_TYPE = "unknown_type"
    NO_GRID = "no_grid"
    UNKNOWN_CRS = "unknown_crs"
    ROTATED_GRID = "rotated_grid"
    OUTSIDE_DATES = "outside_dates"
    CLOUDY = "cloudy"
    OTHER_GSD = "other_gsd"
    NO_VALUE_RANGE = "no_value_range"


@dataclass(frozen=True, slots=True)
class Rejection:
    """An asset that is not used, with the reason and a message that says more."""

    asset: str
    why: Why
    message: str


class _Unusable(Exception):
    def __init__(self, why: Why, message: str) -> None:
        super().__init__(message)
        self.why, self.message = why, message


class _Grid(NamedTuple):
    crs: str
    transform: Affine6
    width: int
    height: int


def make_scene(
    asset: Mapping[str, Any], collection: Collection, source: EarthEngineSource
) -> Scene | Rejection:
    """Make an asset a scene.

    Parameters
    ----------
    asset
        The asset as the REST API (v1) describes it. Fields that are zero may be absent.
    collection
        Its collection.
    source
        Dates, bands, clouds and GSD as configured.

    Returns
    -------
    The scene on the asset's own grid, or on its pixels in groups of n x n from the upper-left corner on where
    the GSD asked for is n times the native one (what is left over at the right and bottom is dropped).
    """
    name = asset_id(asset)
    try:
        return _scene(name, Described.model_validate(asset), collection, source)
    except _Unusable as error:
        return Rejection(name, error.why, error.message)
    except ValidationError as error:
        return Rejection(
            name, Why.MALFORMED, f"is not described as an image should be ({what_is_odd(error)})"
        )


def asset_id(asset: Mapping[str, Any]) -> str:
    """Id of an asset, for example ``USDA/NAIP/DOQQ/m_3907617_ne_18_060_20210615``; a made-up one where it has none."""
    name = asset.get("id") or asset.get("name")
    if not isinstance(name, str):
        return f"nameless-{digest(asset)[:12]}"
    return name.removeprefix("projects/earthengine-public/assets/").removeprefix(
        "projects/earthengine-legacy/assets/"
    )


def scene_id(asset: str, collection: str) -> str:
    """Name of an asset within its collection, without slashes and dots."""
    index = asset.removeprefix(f"{collection}/") if asset.startswith(f"{collection}/") else asset
    return index.replace("/", "_").replace(".", "_")


def date_range(collection: Collection, source: EarthEngineSource) -> tuple[dt.date, dt.date]:
    """First and last day of the scenes asked for: whole years where a collection tells the year alone."""
    if collection.date == "year":
        return dt.date(source.start.year, 1, 1), dt.date(source.end.year, 12, 31)
    return source.start, source.end


def _scene(name: str, asset: Described, collection: Collection, source: EarthEngineSource) -> Scene:
    if asset.type != "IMAGE":
        raise _Unusable(Why.NOT_AN_IMAGE, f"is a {asset.type}, not an image")
    if not (asset.id or asset.name):
        raise _Unusable(Why.MALFORMED, "has neither id nor name")
    wanted = tuple(source.bands or collection.bands)
    bands = _bands(asset, wanted)
    grid, dtype = _grid(bands), _dtype(bands)
    if dtype != "uint8" and (source.value_range or collection.value_range) is None:
        raise _Unusable(
            Why.NO_VALUE_RANGE,
            f"its pixels are {dtype}; set imagery.value_range to the values to show as black and white",
        )
    date = _date(name, asset, collection, source)
    cloud = _cloud(asset, collection, source)
    _check(grid)
    native_px = _native_px(grid, source.gsd_m)
    level = _level(native_px, asset, bands)
    a, b, c, d, e, f = grid.transform
    transform: Affine6 = (a * native_px, b, c, d, e * native_px, f)
    width, height = grid.width // native_px, grid.height // native_px
    ground = footprint(transform, grid.crs, width, height) if width and height else None
    if ground is None:
        raise _Unusable(
            Why.NO_GRID,
            f"its {grid.width} x {grid.height} pixels have no place in its CRS {_short(grid.crs)}",
        )
    return Scene(
        id=scene_id(name, collection.id),
        pixels=Asset(name, asset.update_time, wanted, dtype, native_px // level, level),
        crs=grid.crs,
        transform=transform,
        width=width,
        height=height,
        date=date,
        gsd_m=gsd_m(transform, grid.crs, width, height),
        footprint=ground,
        cloud=cloud,
    )


def _bands(asset: Described, wanted: tuple[str, ...]) -> list[Band]:
    """The bands asked for, in that order."""
    there = {str(band.get("id")): band for band in asset.bands}
    missing = [band for band in wanted if band not in there]
    if missing:
        raise _Unusable(
            Why.LACKS_BANDS, f"has no band {', '.join(missing)} (it has {', '.join(there) or 'none'})"
        )
    return [Band.model_validate(there[band]) for band in wanted]


def _grid(bands: list[Band]) -> _Grid:
    """The grid that all the bands share."""
    grids = {_grid_of(band) for band in bands}
    if len(grids) > 1:
        steps = ", ".join(f"{band.id} {_grid_of(band).transform[0]:g}" for band in bands)
        raise _Unusable(Why.MANY_GRIDS, f"its bands lie on different grids (steps {steps}); ask for others")
    return grids.pop()


def _grid_of(band: Band) -> _Grid:
    crs = band.grid.crs_code or band.grid.crs_wkt
    size, t = band.grid.dimensions, band.grid.affine_transform
    transform: Affine6 = (t.scale_x, t.shear_x, t.translate_x, t.shear_y, t.scale_y, t.translate_y)
    if not crs or size.width <= 0 or size.height <= 0 or not (t.scale_x or t.shear_x):
        raise _Unusable(Why.NO_GRID, f"its band {band.id} has no pixel grid")
    return _Grid(crs, transform, size.width, size.height)


def _check(grid: _Grid) -> None:
    """See that a grid is north-up and in a CRS that can be placed on the globe."""
    if skew_px(grid.transform, grid.width, grid.height) > MAX_SKEW_PX:
        raise _Unusable(Why.ROTATED_GRID, "its grid is rotated or sheared")
    if grid.transform[0] < 0 or grid.transform[4] > 0:
        raise _Unusable(Why.ROTATED_GRID, "its grid is not north-up (rows must run south, columns east)")
    try:
        to_lonlat(grid.crs)
    except ProjError as error:
        msg = f"its CRS {_short(grid.crs)} cannot be placed on the globe ({' '.join(str(error).split())})"
        raise _Unusable(Why.UNKNOWN_CRS, msg) from error


def _dtype(bands: list[Band]) -> str:
    """NumPy type of the bands, from precision and range as Earth Engine hands them out."""
    types = {band.id: _dtype_of(band) for band in bands}
    if len(set(types.values())) > 1:
        each = ", ".join(f"{name} {dtype}" for name, dtype in types.items())
        raise _Unusable(Why.MANY_TYPES, f"its bands have different types ({each}); ask for others")
    return next(iter(types.values()))


def _dtype_of(band: Band) -> str:
    precision, limits = band.data_type.precision, band.data_type.range
    if precision in ("FLOAT", "DOUBLE"):
        return "float32" if precision == "FLOAT" else "float64"
    if precision == "INT" and limits is None:
        raise _Unusable(Why.UNKNOWN_TYPE, f"its band {band.id} has whole numbers of an unknown range")
    if precision == "INT" and limits is not None:
        low, high = limits.min, limits.max
        for bits in (8, 16, 32):
            if 0 <= low <= high < 2**bits:
                return f"uint{bits}"
            if -(2 ** (bits - 1)) <= low <= high < 2 ** (bits - 1):
                return f"int{bits}"
    raise _Unusable(
        Why.UNKNOWN_TYPE, f"its band {band.id} has an unknown type ({_short(str(band.data_type))})"
    )


def _date(name: str, asset: Described, collection: Collection, source: EarthEngineSource) -> dt.date | None:
    first, last = date_range(collection, source)
    start = asset.start_time
    if name == collection.id:  # the product is one mosaic, of flights of many days
        begin, end = start[:10], (asset.end_time or start or "9999")[:10]
        if begin > str(last) or end < str(first):
            msg = f"is of {begin} to {end}, not between {first} and {last}"
            raise _Unusable(Why.OUTSIDE_DATES, msg)
        return None
    if not start:
        raise _Unusable(Why.OUTSIDE_DATES, "has no start time")
    try:
        date = dt.date.fromisoformat(start[:10])
    except ValueError as error:
        raise _Unusable(Why.MALFORMED, f"its start time is no time ({_short(start)})") from error
    if not first <= date <= last:
        raise _Unusable(Why.OUTSIDE_DATES, f"is of {date}, not between {first} and {last}")
    return date


def _cloud(asset: Described, collection: Collection, source: EarthEngineSource) -> float | None:
    """Cloud cover in percent; a negative one means that it was not measured."""
    if collection.cloud is None:
        return None
    value = asset.properties.get(collection.cloud)
    cloud = float(value) if isinstance(value, int | float) and 0 <= value <= 100 else None
    if source.max_cloud is not None and (cloud is None or cloud > source.max_cloud):
        told = "does not tell its clouds" if cloud is None else f"has {cloud:g} % clouds"
        raise _Unusable(Why.CLOUDY, f"{told} (imagery.max_cloud: {source.max_cloud:g})")
    return cloud


def _native_px(grid: _Grid, asked_m: float | None) -> int:
    """Native pixels per side of a pixel of the GSD asked for."""
    if asked_m is None:
        return 1
    native_m = gsd_m(grid.transform, grid.crs, grid.width, grid.height)
    if not 0 < native_m < math.inf:
        return 1  # it has no place on the globe, which is said later
    ratio = asked_m / native_m
    factor = math.floor(ratio + 0.5)
    if factor < 1 or abs(ratio / factor - 1) > _GSD_TOLERANCE:
        what = "is finer than" if ratio < 1 else "is not a whole multiple of"
        raise _Unusable(Why.OTHER_GSD, f"imagery.gsd_m: {asked_m:g} m {what} its native {native_m:.3g} m")
    return factor


def _level(native_px: int, asset: Described, bands: list[Band]) -> int:
    """Native pixels per side of the pixels to ask for.

    Earth Engine keeps a pyramid of levels and hands out the nearest pixel of one of them. Where levels are
    means, its default, the powers of two are asked for as a level, and the odd rest is averaged here. Levels
    of another policy (the most frequent value, a sample) leave pixels out: all is averaged here.
    """
    policies = {band.pyramiding_policy or asset.pyramiding_policy for band in bands}
    return native_px & -native_px if policies <= {"MEAN", "PYRAMIDING_POLICY_UNSPECIFIED", ""} else 1


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."
