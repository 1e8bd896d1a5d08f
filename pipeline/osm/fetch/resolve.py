"""From the map data that a config names to files on this machine: fetched once, brought up to date when asked."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from pipeline.config import DatasetConfig
from pipeline.configfile import resolve
from pipeline.errors import Misconfigured, Transient
from pipeline.ids import Json
from pipeline.osm.fetch.client import Client
from pipeline.osm.fetch.download import Progress, download, look_at, silent
from pipeline.osm.fetch.geofabrik import address_of, read_index
from pipeline.osm.fetch.harvest import harvest, source_of
from pipeline.osm.fetch.history import day_begins, take_state
from pipeline.osm.fetch.overpass import Overpass
from pipeline.osm.fetch.shelf import Fetched, Shelf
from pipeline.osm.fetch.updates import Unavailable, bring_up_to_date
from pipeline.osm.fetch.urls import check_url
from pipeline.osm.snapshot import read_file
from pipeline.remember import remembered
from pipeline.sources import OverpassSource, PbfSource
from pipeline.store import Store
from pipeline.types import Bounds, OsmFile, Snapshot

_Address: TypeAlias = tuple[str, Callable[[], str]]
"""Where a file stands in the config, and what its address is."""


def present(config: DatasetConfig, base: Path, store: Store) -> Snapshot | None:
    """The snapshot of what is on this machine, or in the store, already; None where something must be fetched first.

    Raises
    ------
    Misconfigured
        A file of the config cannot be read.
    """
    source, shelf = config.osm, _shelf(config, store)
    if isinstance(source, OverpassSource):
        return None  # what it stands for follows from the imagery: see `ask`
    if source.path is not None:
        return Snapshot(tuple(_local(resolve(base, path), source, store, shelf) for path in source.places))
    files = shelf.record(_name(source))
    return None if files is None else _placed(files, source, shelf)


def fetch(config: DatasetConfig, base: Path, store: Store, progress: Progress = silent) -> Snapshot:
    """The snapshot of a config's OSM files; downloads those of a `url` or `region` that are not there yet.

    Raises
    ------
    Misconfigured
        There is no such file or region, or it is no OSM file.
    Transient
        A server does not answer, or breaks off again and again. What came is kept for the next run.
    StoreError
        The disk is too small or full.
    """
    source, shelf = _pbf(config), _shelf(config, store)
    if (found := present(config, base, store)) is not None:
        return found
    with shelf.locked(_name(source)), Client() as client:
        if (found := present(config, base, store)) is not None:
            return found
        files = [
            download(client, address(), shelf, what, progress) for what, address in _addresses(source, client)
        ]
        placed = _placed(shelf.settle(_name(source), files), source, shelf)
    if placed is None:
        raise _vanished(shelf)
    return placed


def refresh(config: DatasetConfig, base: Path, store: Store, progress: Progress = silent) -> Snapshot:
    """Make a config stand for the newest map: by the changes since, else by a new download.

    The files that it stood for stay until the new ones are whole, and until the next refresh.

    Raises
    ------
    As `fetch`.
    """
    source, shelf = _pbf(config), _shelf(config, store)
    old = None if source.path is not None else shelf.record(_name(source))
    if old is None:
        return fetch(config, base, store, progress)
    with shelf.locked(_name(source)), Client() as client:
        files = [
            _newest(client, file, what, address, shelf, progress)
            for file, (what, address) in zip(old, _addresses(source, client), strict=True)
        ]
        if tuple(files) != old:
            shelf.replace(_name(source), files)
    return fetch(config, base, store, progress)


def answered(config: DatasetConfig, store: Store, boxes: Sequence[Bounds], day: dt.date) -> Snapshot | None:
    """The snapshot of the map in some boxes on a day, where an Overpass server has told all of it before."""
    shelf = _shelf(config, store)
    files = shelf.record(source_of(boxes, day))
    if files is None or (path := shelf.path(files[0])) is None:
        return None
    return Snapshot((OsmFile(str(path), files[0].sha256, files[0].timestamp),))


def ask(
    config: DatasetConfig,
    store: Store,
    url: str,
    boxes: Sequence[Bounds],
    day: dt.date,
    progress: Progress = silent,
) -> Snapshot:
    """As `answered`, asking the Overpass server at a url for what is missing.

    Raises
    ------
    Transient
        The server is down or overloaded. Its answers so far are kept for the next run.
    Misconfigured
        It refuses the query for good.
    """
    shelf, name = _shelf(config, store), source_of(boxes, day)
    with shelf.locked(name), Client(attempts=6, pause_s=5.0) as client:
        found = answered(config, store, boxes, day)
        if found is None:
            shelf.settle(name, [harvest(client, url, boxes, day, store, shelf, progress)])
            found = answered(config, store, boxes, day)
    if found is None:
        raise _vanished(shelf)
    return found


def survey(config: DatasetConfig, store: Store) -> Iterator[tuple[str, str]]:
    """Look at servers and disk before anything is fetched: topics and what was found.

    Raises
    ------
    Misconfigured, Transient, StoreError
        Something is wrong, as it would be in `fetch`.
    """
    source, shelf = config.osm, _shelf(config, store)
    with Client(attempts=2) as client:
        if isinstance(source, OverpassSource):
            slots = Overpass(client, source.url).slots()
            state = "reachable" if slots is None else f"reachable, a slot is free in {slots.wait_s:.0f} s"
            yield "Overpass", f"{source.url}: {state}"
            return
        total = 0
        for what, address in _addresses(source, client):
            remote = look_at(client, address(), what)
            total += remote.bytes
            size = f"{remote.bytes / 1e6:,.1f} MB" if remote.bytes else "size unknown"
            yield "OSM file", f"{remote.url}: {size}, of {remote.changed or 'unknown date'}; not fetched yet"
        shelf.check_space(total, "osm")
        yield (
            "disk",
            f"{shelf.free_bytes() / 1e9:.1f} GB free in {shelf.folder}, {total / 1e9:.2f} GB are needed",
        )


def _vanished(shelf: Shelf) -> Transient:
    return Transient(f"osm: a file was removed from {shelf.folder} just after it was fetched; run again")


def _pbf(config: DatasetConfig) -> PbfSource:
    if isinstance(config.osm, PbfSource):
        return config.osm
    msg = "osm: a map from Overpass is that of one day and does not change; set a later `date`"
    raise Misconfigured(msg)


def _shelf(config: DatasetConfig, store: Store) -> Shelf:
    return Shelf(store, config.runtime.scratch)


def _name(source: PbfSource) -> Json:
    """What identifies a source on the shelf."""
    return ["url" if source.url is not None else "region", list(source.places)]


def _addresses(source: PbfSource, client: Client) -> Iterator[_Address]:
    """The files that a source names. The list of regions is asked for once, when an address is needed."""
    index: dict[str, str] = {}

    def of_region(region: str) -> str:
        if not index:
            index.update(read_index(client, source.server))
        return address_of(region, index)

    for place in source.places:
        if source.url is not None:
            yield f"osm.url: {place}", partial(check_url, place, "osm.url")
        else:
            yield f"osm.region: {place}", partial(of_region, place)


def _newest(
    client: Client, file: Fetched, what: str, address: Callable[[], str], shelf: Shelf, progress: Progress
) -> Fetched:
    """The newest file in place of one: the same where nothing has changed."""
    path = shelf.path(file)
    if path is not None:
        try:
            return bring_up_to_date(client, file, path, shelf, progress) or file
        except Unavailable:
            remote = look_at(client, address(), what)
            if (remote.url, remote.tag) == (file.url, file.tag) and remote.tag:
                return file
    return download(client, address(), shelf, what, progress)


def _placed(files: Sequence[Fetched], source: PbfSource, shelf: Shelf) -> Snapshot | None:
    """The snapshot of fetched files, or None where one is no longer there."""
    found = []
    for file in files:
        path = shelf.path(file)
        if path is None:
            return None
        found.append(_at(OsmFile(str(path), file.sha256, file.timestamp, file.url), source.at, shelf))
    return Snapshot(tuple(found))


def _local(path: Path, source: PbfSource, store: Store, shelf: Shelf) -> OsmFile:
    """A file of the user's; its hash is remembered."""

    def look() -> Mapping[str, Json]:
        file = read_file(path, history=source.at is not None)
        return {"sha256": file.sha256, "timestamp": file.timestamp}

    values = remembered(store, "snapshot", path, look)
    timestamp = None if values["timestamp"] is None else str(values["timestamp"])
    return _at(OsmFile(str(path), str(values["sha256"]), timestamp), source.at, shelf)


def _at(file: OsmFile, day: dt.date | None, shelf: Shelf) -> OsmFile:
    """A history file's state on a day, made once; any other file as it is."""
    if day is None:
        return file
    target = shelf.folder / "at" / f"{file.sha256[:16]}-{day}.osm.pbf"
    if not target.is_file():
        made = shelf.workplace(str(target)) / target.name
        take_state(Path(file.path), day, made)
        shelf.move(made, target)
    moment = f"{day_begins(day):%Y-%m-%dT%H:%M:%SZ}"
    return replace(file, path=str(target), timestamp=moment, at=day.isoformat())
