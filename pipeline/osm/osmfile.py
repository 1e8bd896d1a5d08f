"""OSM files before and while they are read: what can be wrong with one, said clearly."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import osmium
from osmium.index import LocationTable
from osmium.osm import Node

from pipeline.errors import Misconfigured, StoreError

ENDINGS = (".pbf", ".osm", ".osm.gz", ".osm.bz2")
"""File name endings that are read; the ending decides the format."""

_MAGIC = {".pbf": (4, b"\x0a\x09OSMHeader"), ".gz": (0, b"\x1f\x8b"), ".bz2": (0, b"BZh")}
"""Offset and bytes that a file of each kind has at its start (a PBF opens with a length, then the blob's type)."""

_LOOKS_LIKE = {
    b"\xff\xd8\xff": "a JPEG image",
    b"\x89PNG": "a PNG image",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "gzip data",
    b"BZh": "bzip2 data",
    b"<": "an HTML or XML page",
    b"{": "JSON",
}

_CUT_OFF = ("EOF", "read close failed", "read failed: -7", "unclosed token", "no element found")
"""Parts of libosmium's messages for input that ends too early (-7: BZ_UNEXPECTED_EOF)."""


def check_file(path: Path) -> None:
    """Look at a file's name and first bytes.

    Raises
    ------
    Misconfigured
        The file is missing, empty, has an unknown ending, or is not what its ending says.
    """
    if not path.exists():
        msg = f"{path}: no such OSM file; set `osm.path` to an extract (.osm.pbf, .osm, .osm.gz or .osm.bz2)"
        raise Misconfigured(msg)
    if not path.name.lower().endswith(ENDINGS) or not path.is_file():
        msg = f"{path}: not an OSM file by its ending; expected .osm.pbf, .osm, .osm.gz or .osm.bz2"
        raise Misconfigured(msg)
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise Misconfigured(msg) from error
    if not head:
        msg = f"{path}: the file is empty (0 bytes); download it again"
        raise Misconfigured(msg)
    offset, magic = _MAGIC.get(path.suffix.lower(), (0, b""))
    if not head[offset:].startswith(magic):
        found = next((name for start, name in _LOOKS_LIKE.items() if head.lstrip().startswith(start)), None)
        looks = f"; it looks like {found}" if found else ""
        msg = f"{path}: not a {path.suffix.lower()} file by its content{looks}; download it again or mend its name"
        raise Misconfigured(msg)


_UNDEFINED = 2**31 - 1  # libosmium's coordinate of a node without one


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Translate what libosmium raises while it reads a file.

    Raises
    ------
    Misconfigured
        The file ends too early or is damaged.
    StoreError
        What is written meanwhile fills the disk.
    """
    try:
        yield
    except RuntimeError as error:
        if "Write failed" in str(error):
            msg = f"scratch disk: cannot write the text of {path} ({error}); set `runtime.scratch` to a folder with more space"
            raise StoreError(msg) from error
        if any(part in str(error) for part in _CUT_OFF):
            msg = f"{path}: truncated: it ends too early, after {path.stat().st_size:,} bytes ({error}); download it again"
        else:
            msg = f"{path}: cannot be read as OSM data ({error}); download it again"
        raise Misconfigured(msg) from error


def read_header(path: Path, *, history: bool = False) -> osmium.io.Header:
    """Read the header of a file.

    Parameters
    ----------
    path
        The file.
    history
        Whether it may be a history file.

    Raises
    ------
    Misconfigured
        The file is not OSM data, or is a history file and may not be one.
    """
    check_file(path)
    with reading(path), osmium.io.Reader(path, osmium.osm.NOTHING) as reader:
        header = reader.header()
    if header.has_multiple_object_versions and not history:
        msg = (
            f"{path}: a history or change file holds elements many times; name the day with `osm.at` (.osh.pbf), "
            f"or make a snapshot first: osmium time-filter {path} -o snapshot.osm.pbf"
        )
        raise Misconfigured(msg)
    return header


_AnyWriter = TypeVar("_AnyWriter", osmium.SimpleWriter, osmium.io.Writer)


@contextmanager
def writing(path: Path, writer: _AnyWriter) -> Iterator[_AnyWriter]:
    """Close a writer at the end, or say why it cannot write.

    Raises
    ------
    StoreError
        The disk is full, or takes no more for another reason.
    """
    written = False
    try:
        yield writer
        writer.close()
        written = True
    except RuntimeError as error:
        if "Write failed" not in str(error):
            raise
        msg = f"{path}: cannot be written ({error}); make room on the disk and run again"
        raise StoreError(msg) from error
    finally:
        if not written:
            # The destructor of a writer that failed ends the process, so this writer must not be destroyed.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(writer))


def unsorted(path: Path, detail: str) -> Misconfigured:
    """The error for elements out of order: nodes, ways, relations, each by id, is what readers rely on."""
    return Misconfigured(
        f"{path}: not sorted ({detail}); sort it first: osmium sort {path} -o sorted.osm.pbf"
    )


def disorder(path: Path, kind: str, number: int, last: int) -> Misconfigured:
    """The error for an element whose id is not larger than that of the one before it.

    Parameters
    ----------
    path
        The OSM file.
    kind
        "n", "w" or "r".
    number, last
        Ids of the element and of the one before it.
    """
    if number < 0:
        return Misconfigured(
            f"{path}: {kind}{number} has a negative id, as unsaved edits have; "
            f"renumber the file first: osmium renumber {path} -o renumbered.osm.pbf"
        )
    if number == last:
        return Misconfigured(
            f"{path}: holds {kind}{number} twice; "
            f"keep one version of each element: osmium time-filter {path} -o snapshot.osm.pbf"
        )
    return unsorted(path, f"{kind}{number} comes after {kind}{last}")


def misplaced(path: Path) -> Misconfigured:
    """The error for a node outside the globe; names the first."""
    for node in osmium.FileProcessor(path, osmium.osm.NODE):
        if isinstance(node, Node) and not node.location.valid() and node.location.x != _UNDEFINED:
            where = f"n{node.id} lies at {node.location.x / 1e7}, {node.location.y / 1e7}"
            return Misconfigured(
                f"{path}: {where}, outside the globe; the file is damaged, download it again"
            )
    return Misconfigured(f"{path}: a node lies outside the globe; the file is damaged, download it again")


def find_location(locations: LocationTable, ref: int) -> tuple[float, float] | None:
    """Longitude and latitude of a node, or None where the file does not hold it."""
    try:
        location = locations.get(ref)
    except KeyError:
        return None
    return (location.lon, location.lat) if location.valid() else None
