"""Streams an OSM file into Arrow batches: filter, geometry and tags of all that may be seen from above.

No node and hardly a way becomes a Python object, which is what makes Python readers slow. libosmium reads the
file, filters by key and writes what is left as text with the positions of all nodes; Arrow and NumPy turn
the text into columns. libosmium's own areas, right in every known case, are asked for where a single simple
ring is not the answer: for multipolygon relations, and for closed ways that touch or cross themselves.
"""

import ctypes
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import osmium
import pyarrow as pa
from osmium.filter import KeyFilter
from osmium.index import LocationTable

from pipeline.osm import opl
from pipeline.osm.assembly import Unsettled, assemble
from pipeline.osm.chunks import AREA, EXTRACT, LINE, NODE, POINT, TYPES, WAY, Chunk, Rejected
from pipeline.osm.osmfile import disorder, find_location, misplaced, read_header, reading, unsorted
from pipeline.osm.shapes import boxes, outlines, points_wkb
from pipeline.types import Reason

KEYS = (
    *("building", "highway", "landuse", "natural", "waterway", "leisure", "amenity", "man_made", "railway"),
    *("aeroway", "power", "barrier", "sport", "tourism", "historic"),
    *("water", "wetland", "golf", "military", "emergency", "public_transport", "aerialway", "landcover"),
    *("attraction", "zoo", "building:part", "area:highway", "traffic_calming", "piste:type", "ford"),
)
"""Keys of things that can have a visible body: the feature keys, then keys that also stand alone.
Left out: uses of a building (shop, office, craft), labels (place) and legal lines (boundary), which nobody can
see and whose outlines would be copied into hundreds of cells. A kept element keeps all of its tags."""

BLOCK_BYTES = 16_000_000
"""Text that becomes one batch: about 35,000 ways."""

_LARGE_FILE = 200_000_000  # bytes; from here on an index that grows without copying saves memory
_PROBED_NODES = 1_000  # missing nodes that are looked for again at the end


def read_elements(
    path: Path, scratch: Path, *, keys: Sequence[str] = KEYS, block_bytes: int = BLOCK_BYTES
) -> Iterator[Chunk]:
    """Stream the elements of an OSM file that carry any of some keys.

    Nodes become points, closed ways become areas by `is_area`, other ways lines, and relations of type
    multipolygon and boundary areas. Relations of other types (routes, sites) have no shape of their own.

    Parameters
    ----------
    path
        A ``.osm.pbf``, ``.osm``, ``.osm.gz`` or ``.osm.bz2`` file, sorted.
    scratch
        Folder for a temporary file of about seven times the size of a PBF.
    keys
        Keys of which an element needs at least one.
    block_bytes
        Size of the pieces of text that become batches; decides memory, never content.

    Yields
    ------
    Chunks; every element comes once.

    Raises
    ------
    Misconfigured
        The file is missing, not OSM data, truncated, damaged, not sorted, or holds an element twice.
    StoreError
        The scratch disk is full.
    """
    read_header(path)
    large = path.stat().st_size > _LARGE_FILE
    locations = osmium.index.create_map("sparse_mmap_array" if large else "flex_mem")
    placer = osmium.NodeLocationsForWays(locations)
    placer.ignore_errors()
    columns = _Columns(path)
    with TemporaryDirectory(dir=scratch) as folder, ThreadPoolExecutor(1) as writer:
        text = Path(folder) / "elements.opl"
        text.touch()
        with text.open("rb") as file:
            writing = writer.submit(_write_text, path, text, placer, keys)
            yield from columns.chunks(_follow(file, writing, block_bytes))
            writing.result()
    yield from assemble(path, keys, placer, locations, columns.unsettled)
    columns.check_absent(locations)


def _write_text(path: Path, text: Path, placer: osmium.NodeLocationsForWays, keys: Sequence[str]) -> None:
    """Write the elements that carry any of the keys, the positions of their nodes with them."""
    writer = osmium.SimpleWriter(osmium.io.File(text, opl.FORMAT), overwrite=True)
    written = False
    try:
        with reading(path), osmium.io.Reader(path) as reader:
            osmium.apply(reader, placer, KeyFilter(*keys), writer)
            writer.close()
        written = True
    except osmium.InvalidLocationError as error:
        raise misplaced(path) from error
    finally:
        if not written:
            # The destructor of a writer that failed ends the process, so this writer must not be destroyed.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(writer))


def _follow(file: BinaryIO, writing: Future[None], block_bytes: int) -> Iterator[bytes]:
    """Blocks of a file that is still being written, which leaves Python free to work on them."""
    while True:
        while not writing.done() and os.fstat(file.fileno()).st_size < file.tell() + block_bytes:
            wait([writing], timeout=0.01)
        if not (block := file.read(block_bytes)):
            return
        yield block


class _Columns:
    """Turns text into chunks and keeps what can only be settled when the file has been read."""

    def __init__(self, path: Path) -> None:
        self.unsettled = Unsettled()
        self._path = path
        self._absent: list[int] = []
        self._type = NODE
        self._last = {NODE: 0, WAY: 0}

    def chunks(self, blocks: Iterator[bytes]) -> Iterator[Chunk]:
        for kind, text in opl.sections(blocks):
            if kind < self._type:
                first = text[: text.index(b" ")].decode()
                raise unsorted(self._path, f"{first} comes after elements of type {TYPES[self._type]}")
            self._type = kind
            if kind == NODE:
                yield self._nodes(opl.read_nodes(text))
            elif kind == WAY:
                yield self._ways(opl.read_ways(text))

    def check_absent(self, locations: LocationTable) -> None:
        """Look for missing nodes again, now that all nodes of the file are known."""
        for ref in self._absent:
            if find_location(locations, ref) is not None:
                raise unsorted(self._path, f"n{ref} comes after a way that uses it")

    def _nodes(self, nodes: opl.Nodes) -> Chunk:
        self._check_order(NODE, nodes)
        placed = (np.abs(nodes.lon) <= 180) & (np.abs(nodes.lat) <= 90)  # not where they are NaN
        xy = np.stack([nodes.lon, nodes.lat], axis=1)[placed]
        kinds = np.full(len(xy), POINT)
        batch = _batch(NODE, nodes, placed, kinds, boxes(xy, np.ones_like(kinds)), points_wkb(xy))
        unplaced = np.asarray(nodes.number)[~placed]
        return Chunk(batch, [Rejected(f"n{number}", Reason.BROKEN_GEOMETRY, None) for number in unplaced])

    def _ways(self, ways: opl.Ways) -> Chunk:
        self._check_order(WAY, ways)
        found = outlines(ways)
        kept = found.lines | found.areas
        batch = _batch(WAY, ways, kept, np.where(found.areas, AREA, LINE)[kept], found.bbox, found.geometry)
        numbers = np.asarray(ways.number).tolist()
        for row in np.flatnonzero(found.doubtful):
            self.unsettled.doubtful[numbers[row]] = ways.position(int(row))
        rejected = [
            Rejected(f"w{numbers[row]}", reason, ways.position(int(row)))
            for mask, reason in (
                (found.incomplete, Reason.MISSING_NODES),
                (found.broken, Reason.BROKEN_GEOMETRY),
            )
            for row in np.flatnonzero(mask)
        ]
        self.unsettled.incomplete.update(numbers[row] for row in np.flatnonzero(found.incomplete))
        absent = ways.refs[np.isnan(ways.lon)]
        self._absent.extend(absent[: _PROBED_NODES - len(self._absent)].tolist())
        return Chunk(batch, rejected, len(absent))

    def _check_order(self, kind: int, rows: opl.Rows) -> None:
        numbers = np.asarray(rows.number)
        before = np.concatenate([[self._last[kind]], numbers[:-1]])
        for row in np.flatnonzero(numbers <= before)[:1]:
            raise disorder(self._path, TYPES[kind], int(numbers[row]), int(before[row]))
        self._last[kind] = int(numbers[-1])


def _batch(
    code: int,
    rows: opl.Rows,
    kept: npt.NDArray[np.bool_],
    kinds: npt.NDArray[np.int64],
    bbox: pa.StructArray,
    geometry: pa.BinaryArray,
) -> pa.RecordBatch:
    mask = pa.array(kept)
    columns = [
        pa.array(np.full(len(kinds), code, np.int8)),
        *(column.filter(mask) for column in (rows.number, rows.version, rows.timestamp)),
        pa.array(kinds.astype(np.int8)),
        rows.tags.filter(mask),
        bbox,
        geometry,
    ]
    return pa.record_batch(columns, schema=EXTRACT)
