"""A scratch file that regroups rows: batches go in as they come, and come out again group by group."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.errors import StoreError
from pipeline.grid import Ints

_ROW_BYTES = 200  # of the columns beside the geometry, about


class Spill:
    """Rows by group in an Arrow file whose record batches hold rows of one group each.

    Parameters
    ----------
    path
        The scratch file.
    schema
        Columns of the rows; one of them is ``geometry``, which decides their size.
    limit
        Bytes of rows held in memory before they are written.

    Raises
    ------
    StoreError
        From any method: the scratch disk is full or cannot be written.
    """

    def __init__(self, path: Path, schema: pa.Schema, limit: int) -> None:
        self._path, self._schema, self._limit = path, schema, limit
        self._batches: list[pa.RecordBatch] = []
        self._rows: list[Ints] = []
        self._groups: list[Ints] = []
        self._offset = self._bytes = self._written = 0
        self._places: defaultdict[int, list[int]] = defaultdict(list)
        with _disk(path):
            self._sink = pa.OSFile(str(path), "wb")
            self._writer = pa.ipc.new_file(self._sink, schema)

    def add(self, batch: pa.RecordBatch, rows: Ints, groups: Ints) -> None:
        """Put rows of a batch into groups; a row may go to several."""
        if not len(rows):
            return
        self._batches.append(batch)
        self._rows.append(rows + self._offset)
        self._groups.append(groups)
        self._offset += len(batch)
        self._bytes += batch.nbytes
        if self._bytes >= self._limit:
            self._flush()

    def seal(self) -> "Spilled":
        """Write what is left."""
        self._flush()
        with _disk(self._path):
            self._writer.close()
            self._sink.close()
        return Spilled(self._path, self._schema, dict(self._places))

    def _flush(self) -> None:
        if not self._batches:
            return
        batch = pa.Table.from_batches(self._batches).combine_chunks().to_batches()[0]
        rows, groups = np.concatenate(self._rows), np.concatenate(self._groups)
        order = np.argsort(groups, kind="stable")
        sizes = np.diff(np.asarray(batch.column("geometry").buffers()[1]).view(np.int32)[: len(batch) + 1])
        # An element of many cells is copied to each: cut, so that the copies do not exceed the limit either.
        piece = np.cumsum(sizes[rows[order]] + _ROW_BYTES) // self._limit
        for start, end in _runs(piece):
            part = order[start:end]
            self._write(batch.take(pa.array(rows[part])), groups[part])
        self._batches, self._rows, self._groups = [], [], []
        self._offset = self._bytes = 0

    def _write(self, batch: pa.RecordBatch, groups: Ints) -> None:
        with _disk(self._path):
            for start, end in _runs(groups):
                self._writer.write_batch(batch.slice(start, end - start))
                self._places[int(groups[start])].append(self._written)
                self._written += 1


@dataclass(frozen=True, slots=True)
class Spilled:
    """A sealed spill. Picklable: another process may read it.

    Attributes
    ----------
    path, schema
        As of the spill.
    places
        Record batches of each group.
    """

    path: Path
    schema: pa.Schema
    places: Mapping[int, Sequence[int]]

    @contextmanager
    def reading(self) -> Iterator[Callable[[int], pa.Table]]:
        """Gives all rows of a group, in the order in which they were added."""
        with pa.memory_map(str(self.path)) as source:
            file = pa.ipc.open_file(source)

            def read(group: int) -> pa.Table:
                batches = [file.get_batch(place) for place in self.places.get(group, ())]
                return pa.Table.from_batches(batches, self.schema)

            yield read


def _runs(values: Ints) -> Iterator[tuple[int, int]]:
    """Start and end of runs of equal values."""
    if len(values):
        yield from pairwise([0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)])


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = (
            f"{path}: cannot write scratch data ({error}); set `runtime.scratch` to a folder with more space"
        )
        raise StoreError(msg) from error
