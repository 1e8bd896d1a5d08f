"""Spreads a stream of elements over cells with constant memory: an external partition on a scratch disk."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from pipeline.grid import Ints, cell_name, cell_of, parse_cell
from pipeline.osm.chunks import EXTRACT, KINDS, TYPES, Chunk, Rejected
from pipeline.tables import ELEMENTS, REJECTED_ELEMENTS
from pipeline.types import Counts

NOWHERE = "nowhere"
"""Name in the place of a cell's for elements without any known position."""

SPILL_ROWS = 250_000
"""Rows in memory before they are spilled; decides memory, never content."""

_SUBZOOM = 3  # rows of a cell are sorted by tiles this many zoom levels further down
_SPILL = pa.schema([*EXTRACT, pa.field("home", pa.bool_())])


@dataclass(frozen=True, slots=True)
class CellElements:
    """The elements of a cell.

    Attributes
    ----------
    cell
        Name of the cell, or `NOWHERE`.
    elements
        Schema `ELEMENTS`, sorted.
    rejected
        Schema `REJECTED_ELEMENTS`, sorted.
    counts
        Elements at home in the cell and rejected there.
    missing_node_refs
        References to nodes that the file does not hold (all of them, and `NOWHERE` only).
    """

    cell: str
    elements: pa.Table
    rejected: pa.Table
    counts: Counts
    missing_node_refs: int = 0


def partition(
    chunks: Iterable[Chunk], zoom: int, cells: Collection[str], scratch: Path, *, spill_rows: int = SPILL_ROWS
) -> Iterator[CellElements]:
    """Spread elements over the cells that their bounding boxes touch.

    An element is at home in the cell of its representative point: a point on the surface of an area, the
    middle of a line.

    Parameters
    ----------
    chunks
        What the reader yields.
    zoom
        Zoom of the cells.
    cells
        Names of the cells that are wanted; `NOWHERE` always is. What a cell gets does not depend on the others.
    scratch
        Folder for the spilled rows, about as large as the table of the wanted cells.
    spill_rows
        Rows in memory before they are spilled.

    Yields
    ------
    The cells by name, one at a time, then `NOWHERE`.
    """
    wanted = _Wanted(zoom, cells)
    spill = _Spill(scratch, spill_rows)
    rejected: defaultdict[str, list[Rejected]] = defaultdict(list)
    missing = 0
    for chunk in chunks:
        spill.add(*_spread(chunk.elements, wanted))
        missing += chunk.missing_node_refs
        for item in chunk.rejected:
            rejected[wanted.cell_of(item)].append(item)
    spill.flush()
    for cell in (*sorted(set(cells) - {NOWHERE}), NOWHERE):
        lost = sorted(rejected[cell], key=lambda item: (item.id[0], int(item.id[1:])))
        elements = (
            _finished(spill.rows_of(wanted.key_of(cell)), zoom) if cell != NOWHERE else ELEMENTS.empty_table()
        )
        home = pc.sum(elements.column("home")).as_py() or 0
        counts = Counts.of([None] * home + [item.reason for item in lost])
        table = pa.table(
            [[item.id for item in lost], [str(item.reason) for item in lost]], schema=REJECTED_ELEMENTS
        )
        yield CellElements(cell, elements, table, counts, missing if cell == NOWHERE else 0)


class _Wanted:
    """The wanted cells as sorted integer keys."""

    def __init__(self, zoom: int, cells: Collection[str]) -> None:
        self.zoom = zoom
        self._names = frozenset(cells)
        self.keys = np.array(sorted(self.key_of(cell) for cell in self._names - {NOWHERE}), dtype=np.int64)

    def key_of(self, cell: str) -> int:
        tile = parse_cell(cell)
        return self.key(tile.x, tile.y)

    def key(self, x: int, y: int) -> int:
        return x << self.zoom | y

    def cell_of(self, item: Rejected) -> str:
        """The wanted cell of a rejected element, `NOWHERE` without a position, "" in a cell not wanted."""
        if item.position is None:
            return NOWHERE
        x, y = cell_of(*item.position, self.zoom)
        name = cell_name(int(x), int(y), self.zoom)
        return name if name in self._names else ""


def _spread(batch: pa.RecordBatch, wanted: _Wanted) -> tuple[pa.Table, Ints]:
    """Rows of a batch once for every wanted cell that they touch, and the cells' keys."""
    if not batch.num_rows:
        return _SPILL.empty_table(), np.empty(0, dtype=np.int64)
    box = batch.column("bbox")
    west, south, east, north = (np.asarray(box.field(side)) for side in ("xmin", "ymin", "xmax", "ymax"))
    left, top = cell_of(west, north, wanted.zoom)
    right, bottom = cell_of(east, south, wanted.zoom)
    columns, rows = right - left + 1, bottom - top + 1
    copies = columns * rows
    source = np.repeat(np.arange(batch.num_rows), copies)
    nth = np.arange(len(source)) - np.repeat(np.cumsum(copies) - copies, copies)
    x = left[source] + nth % columns[source]
    y = top[source] + nth // columns[source]
    keys = x << wanted.zoom | y
    here = np.isin(keys, wanted.keys)
    source, keys = source[here], keys[here]
    homes = left << wanted.zoom | top
    spread = np.unique(source[copies[source] > 1])
    homes[spread] = _homes(batch.take(pa.array(spread)), wanted.zoom)
    taken = pa.Table.from_batches([batch]).take(pa.array(source))
    return taken.append_column(_SPILL.field("home"), pa.array(keys == homes[source])), keys


def _homes(batch: pa.RecordBatch, zoom: int) -> Ints:
    """Keys of the cells that hold the representative points."""
    shapes = shapely.from_wkb(batch.column("geometry").to_numpy(zero_copy_only=False))
    lines = shapely.get_dimensions(shapes) == 1
    points = np.empty(len(shapes), dtype=object)
    points[lines] = shapely.line_interpolate_point(shapes[lines], 0.5, normalized=True)
    points[~lines] = shapely.point_on_surface(shapes[~lines])
    x, y = cell_of(shapely.get_x(points), shapely.get_y(points), zoom)
    return x << zoom | y


class _Spill:
    """Rows on disk by the key of their cell: each file has one record batch a cell."""

    def __init__(self, folder: Path, rows: int) -> None:
        self._folder, self._limit = folder, rows
        self._waiting: list[tuple[pa.Table, Ints]] = []
        self._files: list[Path] = []
        self._places: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)

    def add(self, rows: pa.Table, keys: Ints) -> None:
        self._waiting.append((rows, keys))
        if sum(len(keys) for _, keys in self._waiting) >= self._limit:
            self.flush()

    def flush(self) -> None:
        if not self._waiting:
            return
        rows = pa.concat_tables([rows for rows, _ in self._waiting]).combine_chunks()
        keys = np.concatenate([keys for _, keys in self._waiting])
        self._waiting = []
        order = np.argsort(keys, kind="stable")
        rows, keys = rows.take(pa.array(order)).combine_chunks(), keys[order]
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        path = self._folder / f"spill-{len(self._files):06d}.arrow"
        with pa.ipc.new_file(str(path), _SPILL) as writer:
            for nth, (start, end) in enumerate(zip(starts, [*starts[1:], len(keys)], strict=True)):
                for batch in rows.slice(start, end - start).combine_chunks().to_batches():
                    writer.write_batch(batch)
                self._places[int(keys[start])].append((len(self._files), nth))
        self._files.append(path)

    def rows_of(self, key: int) -> pa.Table:
        """All rows of a cell, in the order in which they came."""
        batches = []
        for file, nth in self._places.get(key, ()):
            with pa.memory_map(str(self._files[file])) as source:
                batches.append(pa.ipc.open_file(source).get_batch(nth))
        return pa.Table.from_batches(batches, _SPILL)


def _finished(rows: pa.Table, zoom: int) -> pa.Table:
    """The table of a cell: sorted by sub-tile, type and number, so that row groups are compact in space."""
    rows = rows.combine_chunks()
    box = pc.struct_field
    lon, lat = (
        (box(rows["bbox"], low).to_numpy() + box(rows["bbox"], high).to_numpy()) / 2
        for low, high in (("xmin", "xmax"), ("ymin", "ymax"))
    )
    x, y = cell_of(lon, lat, zoom + _SUBZOOM)
    types, numbers = rows["type"].to_numpy(), rows["number"].to_numpy()
    rows = rows.take(pa.array(np.lexsort((numbers, types, x, y))))
    return pa.table(
        [
            pc.binary_join_element_wise(_named(rows["type"], TYPES), rows["number"].cast(pa.string()), ""),
            rows["version"],
            rows["timestamp"],
            _named(rows["kind"], KINDS),
            rows["tags"],
            rows["home"],
            rows["bbox"],
            rows["geometry"],
        ],
        schema=ELEMENTS,
    )


def _named(codes: pa.ChunkedArray, names: Collection[str]) -> pa.Array:
    values: npt.NDArray[np.int8] = codes.to_numpy()
    return pa.array(list(names), pa.string()).take(pa.array(values))
