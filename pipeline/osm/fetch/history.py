"""The map as it was on a day, taken out of a history file (``.osh.pbf``)."""

import datetime as dt
from pathlib import Path

import osmium
from osmium.osm import Changeset

from pipeline.errors import Misconfigured
from pipeline.osm.osmfile import read_header, reading, writing


def day_begins(day: dt.date) -> dt.datetime:
    """The moment that stands for a day: its beginning, UTC."""
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def take_state(history: Path, day: dt.date, target: Path) -> None:
    """Write the elements as they were when a day began.

    Parameters
    ----------
    history
        A history file, sorted by type, id and version as osmium writes it.
    day
        The day, UTC.
    target
        The file to write, ``.osm.pbf``.

    Raises
    ------
    Misconfigured
        The file is no history file, is damaged, or begins later than the day.
    StoreError
        The disk is full.
    """
    header = read_header(history, history=True)
    if not header.has_multiple_object_versions:
        msg = f"{history}: not a history file, so there is no state of {day} in it; leave `osm.at` out"
        raise Misconfigured(msg)
    moment = day_begins(day)
    wanted = _wanted(history, moment)
    if not any(wanted):
        msg = f"{history}: holds nothing that was there on {day}; set `osm.at` to a day that it covers"
        raise Misconfigured(msg)
    found = osmium.io.Header()
    found.set("generator", "skyteller")
    found.set("osmosis_replication_timestamp", f"{moment:%Y-%m-%dT%H:%M:%SZ}")
    if header.box().valid():
        found.add_box(header.box())
    with (
        reading(history),
        writing(target, osmium.SimpleWriter(target, header=found, overwrite=True)) as writer,
    ):
        for item, flag in zip(osmium.FileProcessor(history), wanted, strict=True):
            if flag:
                writer.add(item)


def _wanted(history: Path, moment: dt.datetime) -> bytearray:
    """One flag a version in the file: whether it is its element's last one up to a moment, and not a deletion.

    An element's versions follow each other, so the last one is known when the next element has begun: therefore
    flags, and a second pass that writes, as osmium's objects do not outlive their turn.
    """
    flags = bytearray()
    element: tuple[type, int] | None = None
    last = -1
    with reading(history):
        for place, item in enumerate(osmium.FileProcessor(history)):
            if isinstance(item, Changeset):
                flags.append(0)
                continue
            if element != (type(item), item.id):
                element, last = (type(item), item.id), -1
            flags.append(0)
            if item.timestamp <= moment:
                if last >= 0:
                    flags[last] = 0
                flags[place] = item.visible
                last = place
    return flags
