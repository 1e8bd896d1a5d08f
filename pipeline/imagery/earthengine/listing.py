"""Which scenes a collection has over an area: asked once a block of ground, and kept in the store."""

import datetime as dt
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from shapely.errors import ShapelyError
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from pipeline.errors import Misconfigured
from pipeline.ids import canonical, digest
from pipeline.imagery.earthengine.assets import Rejection, asset_id, date_range, make_scene
from pipeline.imagery.earthengine.queries import PAD_DEGREES, Block, blocks_of, filter_of, touches
from pipeline.imagery.ground import goodness
from pipeline.sources import Collection, EarthEngineSource
from pipeline.store import Store
from pipeline.tables import geoparquet
from pipeline.types import Scene

_VERSION = 1
"""Of the tables; another one is another query."""

_LOOK_BLOCKS, _LOOK_ASSETS = 4, 1000
"""How much is looked at to tell why there are no scenes."""

LISTING = geoparquet(
    [
        pa.field("id", pa.string()),
        pa.field("updated", pa.string()),
        pa.field("start", pa.string()),
        pa.field("end", pa.string()),
        pa.field("asset", pa.string()),  # the asset's description, JSON
    ],
    [],
)
"""Assets that touch a block, sorted by id; bbox and geometry are null where an asset states none."""

Fetch = Callable[[str], Iterable[Mapping[str, Any]]]
"""Gives the assets of the collection that a filter of the REST API lets through."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The scenes over an area.

    Attributes
    ----------
    scenes
        Best first (see `pipeline.imagery.ground.goodness`); never empty.
    rejected
        Assets that cannot be used, by id: asset id, and ``reason: message`` (reasons of `assets.Why`).
    fetched
        Day of the oldest answer.
    """

    scenes: tuple[Scene, ...]
    rejected: tuple[tuple[str, str], ...]
    fetched: dt.date


def list_scenes(
    store: Store,
    fetch: Fetch,
    source: EarthEngineSource,
    collection: Collection,
    area: BaseGeometry,
    *,
    relist: bool = False,
    today: dt.date,
    server: str = "google",
    pad_degrees: float = PAD_DEGREES,
) -> Listing:
    """List the scenes of a collection over an area.

    Parameters
    ----------
    store
        Keeps the answers, one table a block.
    fetch
        Asks the service.
    source
        Dates, bands, clouds and GSD as configured.
    collection
        The collection.
    area
        Polygons, EPSG:4326.
    relist
        Ask again, even where an answer is kept.
    today
        The day, for new answers.
    server
        Whose answers: an emulator's are never taken for Google's.
    pad_degrees
        Scenes so far beyond the area are wanted as well: patches at its edge reach out of it.

    Raises
    ------
    Misconfigured
        No scene can be used: none in the dates, none in the area, or all of them rejected.
    """
    first, last = date_range(collection, source)
    folder = _folder(collection, source, server, pad_degrees)
    blocks = blocks_of(area)
    found: dict[str, tuple[str, str]] = {}
    fetched = today
    for block in blocks:
        key = f"{folder}/{block[0]}-{block[1]}.parquet"
        table = None if relist else _kept(store, key)
        if table is None:
            table = _table(fetch(filter_of(block, first, last, pad_degrees)), today)
            store.put(key, _encoded(table))
        fetched = min(fetched, dt.date.fromisoformat(table.schema.metadata[b"fetched"].decode()))
        for name, updated, text in _touching(table, area, pad_degrees):
            found[name] = max(found.get(name, ("", "")), (updated, text))
    if not found:
        for block in blocks:  # ask again the next time: there may be some then
            store.delete(f"{folder}/{block[0]}-{block[1]}.parquet")
        raise Misconfigured(_why_none(fetch, collection, source, area, blocks))
    return _sorted_out([json.loads(text) for _, text in found.values()], collection, source, fetched)


def questions_left(
    store: Store,
    source: EarthEngineSource,
    collection: Collection,
    area: BaseGeometry,
    *,
    server: str = "google",
    pad_degrees: float = PAD_DEGREES,
) -> int:
    """How many listings of an area are not in the store yet."""
    folder = _folder(collection, source, server, pad_degrees)
    kept = {key for key, _ in store.list(folder)}
    return sum(f"{folder}/{x}-{y}.parquet" not in kept for x, y in blocks_of(area))


def _folder(collection: Collection, source: EarthEngineSource, server: str, pad_degrees: float) -> str:
    """Where the listings of a collection and range of dates are kept."""
    first, last = date_range(collection, source)
    query = digest(["listing", _VERSION, collection.id, str(first), str(last), server, pad_degrees])[:16]
    return f"listings/{re.sub('[^A-Za-z0-9_-]', '-', collection.id)}/{query}"


def _sorted_out(
    assets: Sequence[Mapping[str, Any]], collection: Collection, source: EarthEngineSource, fetched: dt.date
) -> Listing:
    scenes: dict[str, Scene] = {}
    rejections: list[Rejection] = []
    for asset in sorted(assets, key=asset_id):
        made = make_scene(asset, collection, source)
        if isinstance(made, Rejection):
            rejections.append(made)
        elif made.id in scenes:
            msg = f"imagery: two assets of {collection.id} have the same scene id {made.id}"
            raise Misconfigured(msg)
        else:
            scenes[made.id] = made
    if not scenes:
        raise Misconfigured(_why_all_rejected(collection, rejections))
    rejected = tuple((rejection.asset, f"{rejection.why}: {rejection.message}") for rejection in rejections)
    return Listing(tuple(sorted(scenes.values(), key=goodness)), rejected, fetched)


# tables


def _kept(store: Store, key: str) -> pa.Table | None:
    try:
        return pq.read_table(pa.BufferReader(store.get(key)))
    except FileNotFoundError:
        return None


def _table(assets: Iterable[Mapping[str, Any]], today: dt.date) -> pa.Table:
    rows = [_row(asset) for asset in sorted({asset_id(a): a for a in assets}.values(), key=asset_id)]
    metadata = (LISTING.metadata or {}) | {b"fetched": today.isoformat().encode()}
    return pa.Table.from_pylist(rows, LISTING.with_metadata(metadata))


def _row(asset: Mapping[str, Any]) -> dict[str, Any]:
    outline = _outline(asset)
    sides = ("xmin", "ymin", "xmax", "ymax")
    return {
        "id": asset_id(asset),
        "updated": _text(asset.get("updateTime")) or "",
        "start": _text(asset.get("startTime")),
        "end": _text(asset.get("endTime")),
        "asset": canonical(asset).decode(),
        "bbox": None if outline is None else dict(zip(sides, outline.bounds, strict=True)),
        "geometry": None if outline is None else shapely.to_wkb(outline),
    }


def _text(value: Any) -> str | None:
    """A field that is text where an asset is described as it should be."""
    return value if isinstance(value, str) else None


def _outline(asset: Mapping[str, Any]) -> BaseGeometry | None:
    """The footprint that an asset states; None where it states none or an unbounded one."""
    try:
        outline = shape(asset.get("geometry") or {})
    except (AttributeError, KeyError, TypeError, ValueError, ShapelyError):
        return None
    return outline if not outline.is_empty and np.isfinite(outline.bounds).all() else None


def _encoded(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def _touching(table: pa.Table, area: BaseGeometry, pad: float) -> Iterator[tuple[str, str, str]]:
    """Id, time of change and description of the assets of a table that touch the padded area."""
    for row in table.select(["id", "updated", "asset", "bbox"]).to_pylist():
        box = row["bbox"]
        if box is None or touches((box["xmin"], box["ymin"], box["xmax"], box["ymax"]), area, pad):
            yield row["id"], row["updated"], row["asset"]


# dead ends


def _why_none(
    fetch: Fetch,
    collection: Collection,
    source: EarthEngineSource,
    area: BaseGeometry,
    blocks: Sequence[Block],
) -> str:
    """What to tell about an area without scenes."""
    years: set[str] = set()
    for block in blocks[:_LOOK_BLOCKS]:
        for asset in islice(fetch(filter_of(block)), _LOOK_ASSETS):
            outline = _outline(asset)
            if outline is None or touches(outline.bounds, area):
                years.add((_text(asset.get("startTime")) or "")[:4])
    if found := ", ".join(sorted(years - {""})):
        return (
            f"imagery: {collection.id} has no scenes between {source.start} and {source.end} in the area; "
            f"it has some of {found}: change imagery.start and imagery.end"
        )
    west, south, east, north = area.bounds
    return (
        f"imagery: {collection.id} has no scenes in the area ({west:.4f}, {south:.4f}, {east:.4f}, {north:.4f}), "
        "of any date: the area lies outside of the collection; change the area or imagery.collection"
    )


def _why_all_rejected(collection: Collection, rejections: Sequence[Rejection]) -> str:
    """What to tell where no asset can be used: every reason with an example."""
    counts = Counter(rejection.why for rejection in rejections)
    lines = []
    for why, count in counts.most_common():
        example = next(rejection for rejection in rejections if rejection.why == why)
        lines.append(f"{why} {count}, for example {example.asset} {example.message}")
    return (
        f"imagery: none of the {len(rejections)} scenes of {collection.id} in the area can be used: "
        f"{'; '.join(lines)}; ask for other bands, dates or pixel sizes"
    )
