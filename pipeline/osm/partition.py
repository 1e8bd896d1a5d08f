"""Spreads the elements of an OSM file over cells, in memory that does not grow with the file."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from pipeline.grid import Floats, Ints, cell_name, cell_of, parse_cell
from pipeline.osm.chunks import AREA, EXTRACT, KINDS, TYPES, Chunk, Rejected
from pipeline.osm.spill import Spill, Spilled
from pipeline.tables import ELEMENTS, REJECTED_ELEMENTS
from pipeline.types import Counts

NOWHERE = "nowhere"
"""Pseudo cell of rejected elements that have no known position."""

BUFFER_BYTES = 64_000_000
"""Elements held in memory before they go to the scratch file."""

_SUBTILE_ZOOMS = 3  # below the cell: tiles of about a kilometre, by which rows are sorted


@dataclass(frozen=True, slots=True)
class CellElements:
    """The elements of one cell.

    Attributes
    ----------
    cell
        Name of the cell, or `NOWHERE`.
    elements
        Schema `ELEMENTS`: all elements whose box touches the cell, sorted by sub-tile, type and id.
    rejected
        Schema `REJECTED_ELEMENTS`: elements without a geometry whose first known node is in the cell.
    counts
        Elements at home here are kept; visitors are counted where they are at home.
    missing_node_refs
        On `NOWHERE`: references of rejected elements to nodes that the file does not hold.
    """

    cell: str
    elements: pa.Table
    rejected: pa.Table
    counts: Counts
    missing_node_refs: int = 0


@dataclass(frozen=True, slots=True)
class Spread:
    """The elements of a file by cell, in a scratch file.

    Attributes
    ----------
    rows
        Elements, schema `EXTRACT`: group ``2 * place`` holds the visitors of a cell, the next one those at home
        there, where `place` is that of the cell among the wanted ones, sorted.
    rejected, missing_node_refs
        As of `Chunk`, over the whole file.
    """

    rows: Spilled
    rejected: Sequence[Rejected]
    missing_node_refs: int


def partition(
    chunks: Iterable[Chunk],
    zoom: int,
    cells: Collection[str],
    scratch: Path,
    *,
    buffer_bytes: int = BUFFER_BYTES,
) -> Iterator[CellElements]:
    """Spread elements over the wanted cells that their boxes touch.

    An element is at home in the cell that holds its representative point: of an area a point on its
    surface, of a line the middle, of a node the node.

    Parameters
    ----------
    chunks
        What the reader yields.
    zoom
        Zoom of the cells.
    cells
        Names of the wanted cells; `NOWHERE` always is. What a cell gets does not depend on the others.
    scratch
        Folder for a temporary file, about as large as the tables of the wanted cells.
    buffer_bytes
        Size of the buffer; decides memory, never content.

    Yields
    ------
    One `CellElements` a cell, sorted by name, then that of `NOWHERE`.

    Raises
    ------
    StoreError
        The scratch disk is full.
    """
    part = spread(chunks, zoom, cells, scratch, buffer_bytes=buffer_bytes)
    with part.rows.reading() as rows:
        yield from gather(rows, zoom, cells, part.rejected, part.missing_node_refs)


def spread(
    chunks: Iterable[Chunk],
    zoom: int,
    cells: Collection[str],
    scratch: Path,
    *,
    buffer_bytes: int = BUFFER_BYTES,
) -> Spread:
    """The first half of `partition`, same parameters: everything that needs the file."""
    wanted = _Cells(zoom, _named(cells))
    spill = Spill(scratch / "elements.arrow", EXTRACT, buffer_bytes)
    rejected: list[Rejected] = []
    missing = 0
    for chunk in chunks:
        rows, places, home = wanted.touched_by(chunk.elements)
        spill.add(chunk.elements, rows, 2 * places + home)
        rejected += chunk.rejected
        missing += chunk.missing_node_refs
    return Spread(spill.seal(), rejected, missing)


def gather(
    rows: Callable[[int], pa.Table],
    zoom: int,
    cells: Collection[str],
    rejected: Sequence[Rejected],
    missing_node_refs: int,
) -> Iterator[CellElements]:
    """The second half of `partition`: cell by cell what was spread.

    Parameters
    ----------
    rows
        Gives the elements of a group; see `Spread`.
    zoom, cells
        As of `partition`.
    rejected, missing_node_refs
        As of `Spread`.
    """
    losses = _by_cell(rejected, zoom)
    for place, cell in enumerate(_named(cells)):
        yield _finished(cell, zoom, rows(2 * place), rows(2 * place + 1), losses[cell])
    nobody = EXTRACT.empty_table()
    yield _finished(NOWHERE, zoom, nobody, nobody, losses[NOWHERE], missing_node_refs)


def _named(cells: Collection[str]) -> list[str]:
    return sorted(cell for cell in cells if cell != NOWHERE)


class _Cells:
    """Wanted cells, ready for the question which of them a box touches. A cell is known by its place in `names`, which are sorted."""

    def __init__(self, zoom: int, names: Sequence[str]) -> None:
        self.names = names
        self._zoom = zoom
        tiles = np.array([parse_cell(name)[:2] for name in self.names], np.int64).reshape(-1, 2)
        codes = self._code(tiles[:, 0], tiles[:, 1])
        self._places = np.argsort(codes)
        self._codes = codes[self._places]
        self._columns = tiles[:, 0]

    def touched_by(self, batch: pa.RecordBatch) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
        """Pairs of a row and a cell that it touches, and whether the row is at home there."""
        if not self.names:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, bool)
        west, south, east, north = (np.asarray(side) for side in batch.column("bbox").flatten())
        left, top = cell_of(west, north, self._zoom)
        right, bottom = cell_of(east, south, self._zoom)
        home = self._code(left, top)
        several = np.flatnonzero((left != right) | (top != bottom))
        home[several] = self._code(*cell_of(*_representatives(batch.take(pa.array(several))), self._zoom))
        # Codes count down tile columns: of each column that a box touches it takes one range of wanted cells.
        row, x = _spread(np.maximum(left, self._columns.min()), np.minimum(right, self._columns.max()) + 1)
        start = np.searchsorted(self._codes, self._code(x, top[row]))
        stop = np.searchsorted(self._codes, self._code(x, bottom[row]), side="right")
        column, found = _spread(start, stop)
        return row[column], self._places[found], self._codes[found] == home[row[column]]

    def _code(self, x: Ints, y: Ints) -> Ints:
        codes: Ints = x * 2**self._zoom + y
        return codes


def _spread(start: Ints, stop: Ints) -> tuple[Ints, Ints]:
    """All integers of many ranges, each with the index of its range."""
    counts = np.maximum(stop - start, 0)
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - (np.cumsum(counts) - counts - start)[owner]


def _representatives(batch: pa.RecordBatch) -> tuple[Floats, Floats]:
    """Longitudes and latitudes of a point on each element, inside its box."""
    shapes = shapely.from_wkb(np.asarray(batch.column("geometry").to_numpy(zero_copy_only=False)))
    areas = np.asarray(batch.column("kind")) == AREA
    points = np.empty(len(shapes), object)
    points[areas] = shapely.point_on_surface(shapes[areas])
    points[~areas] = shapely.line_interpolate_point(shapes[~areas], 0.5, normalized=True)
    west, south, east, north = shapely.bounds(shapes).T
    return np.clip(shapely.get_x(points), west, east), np.clip(shapely.get_y(points), south, north)


def _by_cell(rejected: Sequence[Rejected], zoom: int) -> defaultdict[str, list[Rejected]]:
    groups: defaultdict[str, list[Rejected]] = defaultdict(list)
    for item in rejected:
        cell = NOWHERE
        if item.position is not None:
            x, y = cell_of(*item.position, zoom)
            cell = cell_name(int(x), int(y), zoom)
        groups[cell].append(item)
    return groups


def _finished(
    cell: str,
    zoom: int,
    visitors: pa.Table,
    residents: pa.Table,
    rejected: Sequence[Rejected],
    missing: int = 0,
) -> CellElements:
    home = np.repeat([False, True], [len(visitors), len(residents)])
    rows = pa.concat_tables([visitors, residents]).combine_chunks()
    west, south, east, north = (np.asarray(side) for side in rows.column("bbox").combine_chunks().flatten())
    x, y = cell_of((west + east) / 2, (south + north) / 2, zoom + _SUBTILE_ZOOMS)
    order = np.lexsort([np.asarray(rows.column("number")), np.asarray(rows.column("type")), x, y])
    rows, home = rows.take(pa.array(order)).combine_chunks(), home[order]
    letters = pa.array(TYPES).take(rows.column("type").combine_chunks())
    table = pa.table(
        {
            "id": pc.binary_join_element_wise(letters, rows.column("number").cast(pa.string()), ""),
            "version": rows.column("version"),
            "timestamp": rows.column("timestamp"),
            "kind": pa.array(KINDS).take(rows.column("kind").combine_chunks()),
            "tags": rows.column("tags"),
            "home": home,
            "bbox": rows.column("bbox"),
            "geometry": rows.column("geometry"),
        },
        schema=ELEMENTS,
    )
    losses = sorted((item.id, str(item.reason)) for item in rejected)
    reasons = Counter(reason for _, reason in losses)
    counts = Counts(len(residents) + len(losses), len(residents), dict(sorted(reasons.items())))
    lost = pa.table([[column[i] for column in losses] for i in (0, 1)], schema=REJECTED_ELEMENTS)
    return CellElements(cell, table, lost, counts, missing)
