"""Brings a fetched OSM file up to date by the changes since, where its server offers them."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import osmium

from pipeline.ids import file_sha256
from pipeline.osm.fetch.client import Client
from pipeline.osm.fetch.download import Progress
from pipeline.osm.fetch.shelf import Fetched, Shelf
from pipeline.osm.fetch.urls import same_host
from pipeline.osm.osmfile import read_header, reading, writing
from pipeline.osm.snapshot import timestamp_of

if TYPE_CHECKING:
    from osmium.replication.server import ReplicationServer

_MOST_CHANGES = 100
"""Files of changes to catch up by; a file further behind is downloaded anew (daily changes: a quarter of a year)."""

_BATCH_KB = 200_000  # unpacked changes held in memory at a time
_MOST_BYTES = 500_000_000  # of one file of changes
_HEADER = "osmosis_replication_"


class Unavailable(Exception):
    """A file cannot be brought up to date by changes: download it anew."""


def bring_up_to_date(
    client: Client, file: Fetched, path: Path, shelf: Shelf, progress: Progress
) -> Fetched | None:
    """Apply the changes since a file was made, into a new file on the shelf.

    Parameters
    ----------
    client
        Asks.
    file, path
        The file, and where it is.
    shelf
        Where the new one goes.
    progress
        Is told the files of changes that were applied.

    Returns
    -------
    The new file, or None where nothing has changed since.

    Raises
    ------
    Unavailable
        The file names no server of changes, one that it did not come from (whose changes may concern the whole
        world), or that server does not reach back far enough.
    Transient
        The server does not answer.
    StoreError
        The disk is full.
    """
    header = read_header(path, history=True)
    base, number = header.get(f"{_HEADER}base_url"), header.get(f"{_HEADER}sequence_number")
    if header.has_multiple_object_versions or not base or not number.isdigit():
        raise Unavailable
    if file.url is None or not same_host(base, file.url):
        raise Unavailable
    server = _server(base, client)
    newest = server.get_state_info()
    if newest is None or newest.sequence - int(number) > _MOST_CHANGES:
        raise Unavailable
    if newest.sequence <= int(number):
        return None
    current, made = int(number), path
    folder = shelf.workplace(f"{file.key} updates")
    shelf.check_space(2 * file.bytes, f"{file.name}, updated")
    while current < newest.sequence:
        target = folder / f"{newest.sequence}-{current}.osm.pbf"
        current = _apply(server, current, made, target)
        if made != path:
            made.unlink()
        made = target
        progress(f"{file.name}, changes", current - int(number), newest.sequence - int(number), "files")
    stem = file.name.removesuffix(".osm.pbf").partition("+")[0]
    found = Fetched(
        f"{stem}+{current}.osm.pbf",
        file_sha256(made),
        made.stat().st_size,
        timestamp_of(read_header(made)),
        file.url,
        file.tag,
    )
    shelf.add(made, found)
    return found


def _apply(server: "ReplicationServer", current: int, source: Path, target: Path) -> int:
    """Apply the next changes; returns the number of the last one."""
    changes = server.collect_diffs(current + 1, max_size=_BATCH_KB)
    if changes is None:
        raise Unavailable
    state = server.get_state_info(changes.id)
    if state is None:
        raise Unavailable
    old, header = read_header(source), osmium.io.Header()
    header.set("generator", "skyteller")
    header.set("sorting", old.get("sorting"))
    header.set(f"{_HEADER}base_url", old.get(f"{_HEADER}base_url"))
    header.set(f"{_HEADER}sequence_number", str(changes.id))
    header.set(f"{_HEADER}timestamp", f"{state.timestamp:%Y-%m-%dT%H:%M:%SZ}")
    if old.box().valid():
        header.add_box(old.box())
    with (
        reading(source),
        osmium.io.Reader(source) as reader,
        writing(target, osmium.io.Writer(osmium.io.File(target), header, overwrite=True)) as writer,
    ):
        changes.reader.apply_to_reader(reader, writer)
    return changes.id


def _server(base: str, client: Client) -> "ReplicationServer":
    """A server of changes as osmium sees it, asked through our client: its redirects, retries and limits."""
    from osmium.replication.server import ReplicationServer  # noqa: PLC0415 - brings another HTTP library

    class Server(ReplicationServer):
        def open_url(self, url: Any) -> io.BytesIO:
            address = url.get_full_url()
            found = client.read("osm: changes", address, _MOST_BYTES)
            if found is None:
                raise Unavailable
            return io.BytesIO(found)

    return Server(base)
