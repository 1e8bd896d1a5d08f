"""Stage `shards`: samples and their images packed into webdataset tars.

Which samples go into which shard follows from the samples' commits alone: cells ordered by the hash of their
name, samples concatenated for each split, cut every ``shards.max_samples``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import StoreError
from pipeline.ids import Json, rank
from pipeline.ledger import Output, Unit
from pipeline.release.metadata import METADATA, metadata_row
from pipeline.release.sample import Sample
from pipeline.release.splits import SPLITS
from pipeline.release.tar import Packed, write_tar
from pipeline.stages.base import (
    Commits,
    Context,
    Reads,
    Result,
    Stage,
    Work,
    put_table,
    read_table,
    scratch,
    table_key,
)
from pipeline.stages.basis import once
from pipeline.types import Counts

_BATCH = 64
"""Images in memory at a time."""


class Range(NamedTuple):
    """Samples ``start`` to ``stop`` (exclusive) of one split in one cell."""

    cell: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of the samples of one split, all cells' laid end to end. A big dataset has ten thousand, of the same cells.

    Attributes
    ----------
    cells, begins, ends
        The cells, and where the samples of each begin and end.
    start, stop
        Which samples; `stop` is exclusive.
    """

    cells: Sequence[str]
    begins: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    start: int
    stop: int

    @property
    def ranges(self) -> tuple[Range, ...]:
        """The samples by their cells."""
        first, last = np.searchsorted(self.ends, (self.start, self.stop - 1), side="right").tolist()
        begins, ends = self.begins[first : last + 1], self.ends[first : last + 1]
        starts = np.maximum(self.start - begins, 0).tolist()
        stops = (np.minimum(self.stop, ends) - begins).tolist()
        parts = map(Range, self.cells[first : last + 1], starts, stops)
        return tuple(part for part in parts if part.stop > part.start)


Shards = Mapping[str, Piece]
"""What goes into each shard, by the shard's name."""

_PLANNED: WeakKeyDictionary[Commits, Shards] = WeakKeyDictionary()
# The plan of the shards is asked for once a shard; within one plan of a build it never changes.


def planned_shards(context: Context, commits: Commits) -> Shards | None:
    """What goes into each shard, or None while a cell's samples are pending."""
    if commits in _PLANNED:
        return _PLANNED[commits]
    sizes: dict[str, list[int]] = {}
    for cell in context.cells:
        info = commits.info(Unit("samples", cell))
        if info is None:
            return None
        sizes[cell] = [_count(info["splits"], split) for split in SPLITS]
    cells = once(context, _in_order)
    shards: dict[str, Piece] = {}
    for place, split in enumerate(SPLITS):
        counts = [sizes[cell][place] for cell in cells]
        for number, piece in enumerate(cut(cells, counts, context.config.shards.max_samples)):
            shards[f"{split}-{number:06d}"] = piece
    _PLANNED[commits] = shards
    return shards


def _in_order(context: Context) -> Sequence[str]:
    return sorted(context.cells, key=lambda cell: (rank("cell", cell), cell))


def cut(cells: Sequence[str], counts: Sequence[int], size: int) -> Iterator[Piece]:
    """Cut the samples of cells, laid end to end, into pieces of `size`; the last may be smaller."""
    ends = np.cumsum(counts, dtype=np.int64)
    begins, total = ends - counts, sum(counts)
    return (Piece(cells, begins, ends, start, min(start + size, total)) for start in range(0, total, size))


def _count(sizes: Json, split: str) -> int:
    count = sizes.get(split, 0) if isinstance(sizes, Mapping) else 0
    return count if isinstance(count, int) else 0


def _cells(context: Context, commits: Commits) -> Sequence[str]:
    return tuple(planned_shards(context, commits) or ())


def _ranges(context: Context, commits: Commits, shard: str) -> tuple[Range, ...]:
    return (planned_shards(context, commits) or {})[shard].ranges


def _basis(context: Context, commits: Commits, shard: str) -> Json:
    return {
        "split": shard.partition("-")[0],
        "ranges": [[part.cell, part.start, part.stop] for part in _ranges(context, commits, shard)],
        "image_format": context.config.shards.image_format,
        "text": context.config.shards.text,
    }


def _inputs(context: Context, commits: Commits, shard: str) -> Sequence[Reads]:
    cells = [part.cell for part in _ranges(context, commits, shard)]
    return Reads("samples", ("samples",), cells), Reads("pixels", ("images",), cells)


def _run(context: Context, works: Sequence[Work]) -> Iterator[tuple[Work, Result]]:
    for work in works:
        shard = work.unit.cell
        with scratch(context) as folder:
            samples = _samples(context, work)
            path = folder / f"{shard}.tar"
            with (folder / "images").open("w+b") as spool:
                places = _spool(context, work, frozenset(samples.column("key").to_pylist()), spool)
                packed = write_tar(path, _members(context, samples, places, spool))
            key = table_key(work, "shard", "tar")
            context.store.put(key, path)
            tar = Output(key, packed.sha256, packed.size, samples.num_rows)
        rows = put_table(context, work, "rows", _rows(context, samples, shard, packed))
        counts = Counts(samples.num_rows, samples.num_rows)
        yield work, Result(counts, {"shard": tar, "rows": rows}, {"bytes": packed.size})


def _samples(context: Context, work: Work) -> pa.Table:
    """The samples of a shard, sorted by key."""
    basis: Any = work.basis
    columns = ["key", "split", "json", "text", "geometry"]
    parts = []
    for cell, start, stop in basis["ranges"]:
        table = read_table(context, work.inputs[Unit("samples", cell)].outputs["samples"], columns)
        parts.append(table.filter(pc.field("split") == basis["split"]).slice(start, stop - start))
    return pa.concat_tables(parts).sort_by("key")


def _spool(
    context: Context, work: Work, wanted: frozenset[str], spool: BinaryIO
) -> Mapping[str, tuple[int, int]]:
    """Copy the wanted images to a scratch file, a batch at a time; their offsets and sizes by key.

    The images lie in the order of their scenes, the shard in the order of the keys: without the file, all
    images of the shard's cells would have to be in memory.
    """
    places: dict[str, tuple[int, int]] = {}
    for unit, commit in work.inputs.items():
        if unit.stage != "pixels":
            continue
        with context.store.open(commit.outputs["images"].key) as source, pq.ParquetFile(source) as table:
            for batch in table.iter_batches(_BATCH):
                for key, image in zip(batch.column("patch").to_pylist(), batch.column("image"), strict=True):
                    if key in wanted:
                        data = image.as_buffer()
                        places[key] = (spool.tell(), data.size)
                        spool.write(data)
    if lost := sorted(wanted - places.keys()):
        msg = f"{work.unit}: the pixels hold no image of {', '.join(lost[:3])}; delete the commits of the stage `pixels` and run again"
        raise StoreError(msg)
    return places


def _members(
    context: Context, samples: pa.Table, places: Mapping[str, tuple[int, int]], spool: BinaryIO
) -> Iterator[tuple[str, bytes]]:
    """Members of the tar, sorted by name."""
    shards = context.config.shards
    for batch in samples.to_batches(_BATCH):
        for row in batch.to_pylist():
            offset, size = places[row["key"]]
            spool.seek(offset)
            members = {shards.image_format: spool.read(size), "json": row["json"]}
            if shards.text:
                members["txt"] = row["text"].encode()
            for extension, data in sorted(members.items()):
                yield f"{row['key']}.{extension}", data


def _rows(context: Context, samples: pa.Table, shard: str, packed: Packed) -> pa.Table:
    """The shard's rows of the release's metadata."""
    rows: list[dict[str, Any]] = []
    for data, footprint in zip(samples.column("json"), samples.column("geometry"), strict=True):
        sample = Sample.model_validate_json(data.as_py())
        image = packed.members[f"{sample.key}.{context.config.shards.image_format}"]
        rows.append(metadata_row(sample, shard, image) | {"geometry": footprint.as_py()})
    return pa.Table.from_pylist(rows, schema=METADATA)


STAGE = Stage(
    name="shards",
    version=2,
    cells=_cells,
    basis=_basis,
    inputs=_inputs,
    run=_run,
)
