"""Assets of the emulator, and how the REST API (v1) describes them."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from pipeline.imagery.emulator.raster import StoredImage
from pipeline.imagery.emulator.values import Band, Grid

_PUBLIC, _LEGACY = "projects/earthengine-public/assets/", "projects/earthengine-legacy/assets/"
_PRECISIONS = {"float32": "FLOAT", "float64": "DOUBLE"}


@dataclass(frozen=True, slots=True)
class ImageAsset:
    """An image with the metadata that are not its pixels'.

    Attributes
    ----------
    id
        Asset id, ``COLLECTION/INDEX``.
    image
        Its pixels.
    start, end
        Times of capture, UTC; `end` may be unknown.
    updated
        Time of the last change, UTC.
    n_bytes
        Size of the file.
    properties
        What the catalogue says.
    """

    id: str
    image: StoredImage
    start: dt.datetime
    end: dt.datetime | None
    updated: dt.datetime
    n_bytes: int
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CollectionAsset:
    """An image collection; its images sorted by id."""

    id: str
    images: Sequence[ImageAsset]


def asset_name(asset_id: str) -> str:
    """Resource name of an asset id, by the rule of the Python client."""
    parts = asset_id.split("/")
    if parts[0] == "projects" and len(parts) > 3 and parts[2] == "assets":
        return asset_id
    return (_LEGACY if parts[0] in {"users", "projects"} else _PUBLIC) + asset_id


def asset_id(name: str) -> str:
    """Asset id of a resource name or id."""
    return name.removeprefix(_PUBLIC).removeprefix(_LEGACY)


def describe_collection(asset: CollectionAsset) -> dict[str, Any]:
    """The JSON of an image collection."""
    updated = max(image.updated for image in asset.images)
    return {
        "type": "IMAGE_COLLECTION",
        "name": asset_name(asset.id),
        "id": asset.id,
        "updateTime": write_time(updated),
    }


def describe_image(asset: ImageAsset, *, basic: bool = False) -> dict[str, Any]:
    """The JSON of an image; `basic` gives type, name and id alone. As in proto3, fields that are zero are absent."""
    brief = {"type": "IMAGE", "name": asset_name(asset.id), "id": asset.id}
    if basic:
        return brief
    image = asset.image
    ends = {} if asset.end is None else {"endTime": write_time(asset.end)}
    return (
        brief
        | {"updateTime": write_time(asset.updated), "startTime": write_time(asset.start)}
        | ends
        | {
            "geometry": shapely.geometry.mapping(image.footprint),
            "bands": [_band(band, image.grid) for band in image.bands],
            "properties": dict(asset.properties),
            "sizeBytes": str(asset.n_bytes),
        }
    )


def write_time(time: dt.datetime) -> str:
    """A time as the service writes it: UTC with a Z, fractions of a second only where there are some."""
    text = time.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="auto")
    return f"{text}Z"


def milliseconds(time: dt.datetime) -> int:
    """Milliseconds since 1970."""
    return round(time.timestamp() * 1000)


def _band(band: Band, grid: Grid) -> dict[str, Any]:
    a, b, c, d, e, f = grid.transform
    names = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")
    affine = _without_zeros(dict(zip(names, (a, b, c, d, e, f), strict=True)))
    crs = {"crsCode": grid.crs} if grid.crs.startswith("EPSG:") else {"crsWkt": grid.crs}
    size = {"width": grid.width, "height": grid.height}
    return {
        "id": band.id,
        "dataType": _data_type(band.dtype),
        "grid": crs | {"dimensions": size, "affineTransform": affine},
        "pyramidingPolicy": band.pyramid,
    }


def _data_type(dtype: str) -> dict[str, Any]:
    if dtype in _PRECISIONS:
        return {"precision": _PRECISIONS[dtype]}
    limits = np.iinfo(dtype)
    return {"precision": "INT", "range": _without_zeros({"min": int(limits.min), "max": int(limits.max)})}


def _without_zeros(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value}
