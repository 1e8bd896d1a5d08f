"""Descriptions of Earth Engine assets for tests, in the shape of the REST API: fields that are zero are absent."""

from collections.abc import Mapping
from typing import Any

from pyproj import Transformer

from pipeline.sources import EarthEngineSource

UINT8 = {"precision": "INT", "range": {"max": 255}}
UINT16 = {"precision": "INT", "range": {"max": 65535}}
FLOAT = {"precision": "FLOAT"}


def asset(
    id_: str = "USDA/NAIP/DOQQ/m_3712213_sw_10_060_20200524",
    *,
    bands: Mapping[str, Mapping[str, Any]] | tuple[str, ...] = ("R", "G", "B", "N"),
    crs: str = "EPSG:26910",
    origin: tuple[float, float] = (545_400.0, 4_184_400.0),
    step: float = 0.6,
    size: tuple[int, int] = (6000, 6000),
    start: str = "2020-05-24T00:00:00Z",
    updated: str = "2024-01-01T00:00:00Z",
    **properties: Any,
) -> dict[str, Any]:
    """An image whose bands share one north-up grid."""
    types = bands if isinstance(bands, Mapping) else dict.fromkeys(bands, UINT8)
    west, north = origin
    to_lonlat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    edges = to_lonlat.transform_bounds(west, north - step * size[1], west + step * size[0], north)
    grid = {
        "crsCode": crs,
        "dimensions": {"width": size[0], "height": size[1]},
        "affineTransform": {
            name: value
            for name, value in {
                "scaleX": step,
                "translateX": west,
                "scaleY": -step,
                "translateY": north,
            }.items()
            if value
        },
    }
    return {
        "type": "IMAGE",
        "name": f"projects/earthengine-public/assets/{id_}",
        "id": id_,
        "updateTime": updated,
        "startTime": start,
        "endTime": start,
        "geometry": {"type": "Polygon", "coordinates": [ring(*edges)]},
        "properties": properties,
        "bands": [{"id": band, "dataType": dict(data), "grid": grid} for band, data in types.items()],
    }


def ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    """A box as a GeoJSON ring."""
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def source(collection: Any = "naip", **values: Any) -> EarthEngineSource:
    """A config of 2020 to 2021."""
    given = {"type": "earthengine", "collection": collection, "start": "2020-01-01", "end": "2021-12-31"}
    return EarthEngineSource.model_validate(given | values)
