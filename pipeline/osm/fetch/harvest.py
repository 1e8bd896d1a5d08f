"""The map of a small area on one day, from an Overpass server: asked square by square, put together into one file.

All of the area is asked as of one day: elements of different days would not fit together, and the dataset has
one map. Answers are kept in the store by query, so that a broken run goes on where it was.
"""

import datetime as dt
import gzip
import logging
import math
from collections.abc import Iterator, Sequence

import osmium
import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.errors import Misconfigured, Transient
from pipeline.grid import MAX_LATITUDE, cell_bounds, cells_in
from pipeline.ids import Json, digest, file_sha256
from pipeline.osm.fetch.client import Client
from pipeline.osm.fetch.download import Progress
from pipeline.osm.fetch.history import day_begins
from pipeline.osm.fetch.overpass import Overpass, TooMuch, query_of
from pipeline.osm.fetch.shelf import Fetched, Shelf
from pipeline.osm.osmfile import writing
from pipeline.store import Store
from pipeline.types import Bounds

logger = logging.getLogger("skyteller")

_ZOOM = 12
"""Squares of at most 10 km: what a server answers within seconds, even of a city."""

_MOST_SQUARES = 300
"""About 20,000 km2 at middle latitudes; a larger area is better served by an extract."""

_FAR_APART = dt.timedelta(366)
_SPLITS = 6  # down to 150 m
_DEGREE_M = 110_000.0  # of latitude, at least
_SPLIT = b"split"
"""Stands for the answer to a query that was too much, so that it is not asked again."""


def map_day(date: dt.date | None, offset_days: int | None, captured: Sequence[dt.date]) -> dt.date:
    """The day of the map.

    Parameters
    ----------
    date, offset_days
        As in the config.
    captured
        Capture dates of the scenes. The middle one counts: one map serves them all, however far they lie apart.

    Raises
    ------
    Misconfigured
        There is no capture date, or the day has not begun.
    """
    if date is None:
        if not captured:
            msg = "osm: the imagery has no dates; set `osm.date`"
            raise Misconfigured(msg)
        offset = dt.timedelta(30 if offset_days is None else offset_days)
        date = sorted(captured)[(len(captured) - 1) // 2] + offset
        if max(captured) - min(captured) > _FAR_APART:
            logger.warning(
                "osm: images of %s to %s share the map of %s; a shorter time of imagery fits better",
                min(captured), max(captured), date,
            )  # fmt: skip
    if date > dt.datetime.now(dt.UTC).date():
        msg = f"osm: the map of {date} does not exist yet; set `osm.date` to a day in the past"
        raise Misconfigured(msg)
    return date


def squares_of(area: BaseGeometry, reach_m: float) -> list[Bounds]:
    """Boxes that together cover an area and what lies within reach of it.

    Parameters
    ----------
    area
        Polygons, EPSG:4326.
    reach_m
        How far patches may reach out of the area, metres.

    Raises
    ------
    Misconfigured
        The area is too large.
    """
    latitude = min(max(abs(side) for side in shapely.bounds(area)[[1, 3]]), MAX_LATITUDE)
    reach = reach_m / (_DEGREE_M * math.cos(math.radians(latitude)))
    world = shapely.box(-180, -MAX_LATITUDE, 180, MAX_LATITUDE)
    wide = shapely.intersection(shapely.buffer(area, reach, join_style="mitre"), world)
    bounds: Bounds = tuple(shapely.bounds(wide).tolist())
    tiles = cells_in(bounds, _ZOOM) if _tiles(bounds) < 100 * _MOST_SQUARES else []
    parts = [shapely.intersection(wide, shapely.box(*cell_bounds(tile))) for tile in tiles]
    boxes = [_outwards(shapely.bounds(part).tolist()) for part in parts if shapely.area(part) > 0]
    if not 0 < len(boxes) <= _MOST_SQUARES:
        msg = (
            f"osm: the area is too large for Overpass ({len(boxes) or 'very many'} squares of 10 km, at most "
            f"{_MOST_SQUARES}); use `type: pbf` with a `region`"
        )
        raise Misconfigured(msg)
    return boxes


def source_of(boxes: Sequence[Bounds], day: dt.date) -> Json:
    """What identifies a harvest on the shelf."""
    return ["overpass", digest([query_of(box, day) for box in boxes])]


def harvest(
    client: Client,
    url: str,
    boxes: Sequence[Bounds],
    day: dt.date,
    store: Store,
    shelf: Shelf,
    progress: Progress,
) -> Fetched:
    """Ask for all boxes and put the answers together, each element once.

    Raises
    ------
    Transient
        The server is down or overloaded, or even a tiny square is too much for it.
    Misconfigured
        It refuses the query for good.
    StoreError
        The disk is full.
    """
    server = Overpass(client, url)
    merged = osmium.MergeInputReader()
    for number, box in enumerate(boxes):
        progress("Overpass", number, len(boxes), "squares")
        for key, answer in _answers(server, store, box, day):
            try:
                merged.add_buffer(answer, "osm")
            except RuntimeError as error:
                store.delete(key)
                msg = f"osm: Overpass: {url} gave an answer that is not OSM data ({error}); run again later"
                raise Transient(msg) from error
    progress("Overpass", len(boxes), len(boxes), "squares")
    moment = f"{day_begins(day):%Y-%m-%dT%H:%M:%SZ}"
    header = osmium.io.Header()
    header.set("generator", "skyteller")
    header.set("osmosis_replication_timestamp", moment)
    name = f"overpass-{day:%Y%m%d}.osm.pbf"
    path = shelf.workplace(digest(source_of(boxes, day))) / name
    # The names of mappers are nobody's business here.
    file = osmium.io.File(path, "pbf,add_metadata=version+timestamp")
    with writing(path, osmium.SimpleWriter(file, header=header, overwrite=True)) as writer:
        merged.apply(writer, simplify=True)
    found = Fetched(name, file_sha256(path), path.stat().st_size, moment, None)
    shelf.add(path, found)
    return found


def _answers(
    server: Overpass, store: Store, box: Bounds, day: dt.date, depth: int = 0
) -> Iterator[tuple[str, bytes]]:
    """The answers for a box, or for its quarters where it is too much, and where they are kept."""
    query = query_of(box, day)
    key = f"cache/overpass/{digest(query)[:32]}.osm.gz"
    try:
        answer = gzip.decompress(store.get(key))
    except FileNotFoundError:
        try:
            answer = server.ask(query)
        except TooMuch as error:
            if depth == _SPLITS:
                msg = f"osm: Overpass: even the square {_text(box)} is too much for it ({error}); run again later"
                raise Transient(msg) from error
            answer = _SPLIT
        store.put(key, gzip.compress(answer, compresslevel=6, mtime=0))
    if answer != _SPLIT:
        yield key, answer
        return
    west, south, east, north = box
    x, y = round((west + east) / 2, 6), round((south + north) / 2, 6)
    for quarter in ((west, south, x, y), (x, south, east, y), (west, y, x, north), (x, y, east, north)):
        yield from _answers(server, store, quarter, day, depth + 1)


def _tiles(bounds: Bounds) -> float:
    """About how many squares a box has."""
    west, south, east, north = bounds
    side = 360.0 / 2.0**_ZOOM
    return (east - west) * (north - south) / side**2


def _outwards(bounds: Sequence[float]) -> Bounds:
    """A box on the grid of a query's six decimals, no smaller than it was."""
    west, south, east, north = bounds
    return (
        math.floor(west * 1e6) / 1e6, math.floor(south * 1e6) / 1e6,
        math.ceil(east * 1e6) / 1e6, math.ceil(north * 1e6) / 1e6,
    )  # fmt: skip


def _text(box: Bounds) -> str:
    return ", ".join(f"{side:.6f}" for side in box)
