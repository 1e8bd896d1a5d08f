"""Stage `pixels`: read the windows of a cell, measure, judge and encode each once.

Finished rows are flushed as parts, so that a killed worker loses seconds. A part holds the next patches in
table order, so where one ends follows from its content and the parts of a rerun are the same.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import Permanent
from pipeline.ids import Json
from pipeline.imagery.encode import encode
from pipeline.imagery.quality import PixelQuality, judge, measure
from pipeline.imagery.windows import Window, WindowReader
from pipeline.ledger import Unit
from pipeline.stages.base import (
    Commits,
    Context,
    Result,
    Stage,
    Work,
    put_file,
    read_table,
    scenes_near,
    scratch,
)
from pipeline.tables import IMAGES, PIXEL_INDEX
from pipeline.types import Counts, Reason

logger = logging.getLogger("skyteller")

_BATCH_BYTES = 8 * 2**20
"""Windows are read and encoded in batches of about this size: decoder, measures and encoder then each find
their own tables and buffers in the processor's cache (5 % of the whole)."""

_PART_ROWS = 64
_PART_BYTES = 16 * 2**20
"""A part ends at this many patches or image bytes; the bytes bound memory where patches are large."""

_INDEX_ROWS = 10_000
"""Rows of a row group of the index. The images of a part are a row group."""

_PART = pa.schema([*PIXEL_INDEX, *(field for field in IMAGES if field.name != "patch")])
_SELECT = Unit("select", "all")


@dataclass(frozen=True, slots=True)
class _Row:
    """One patch that was looked at; without quality it could not be read."""

    patch: str
    quality: PixelQuality | None
    verdict: Reason | None
    image: bytes | None


def _inputs(context: Context, _commits: Commits, cell: str) -> Mapping[Unit, tuple[str, ...]]:
    limited: dict[Unit, tuple[str, ...]] = {} if context.config.sampling.limit is None else {_SELECT: ()}
    return {Unit("facts", cell): ("patches",)} | limited


def _basis(context: Context, commits: Commits, cell: str) -> Json:
    config = context.config
    return {
        "cutoff": None if config.sampling.limit is None else commits[_SELECT].info["cutoff"],
        "value_range": config.imagery.value_range,
        "scenes": sorted(
            [scene.id, scene.sha256, list(scene.bands), scene.mask_band]
            for scene in scenes_near(context, cell)
        ),
        "quality": config.quality.model_dump(mode="json"),
        "image": config.shards.model_dump(mode="json", include={"image_format", "quality", "subsampling"}),
    }


def _run(context: Context, works: Sequence[Work]) -> Iterator[tuple[Work, Result]]:
    for work in works:
        yield work, _make(context, work)


def _make(context: Context, work: Work) -> Result:
    """Make one unit."""
    patches, counts = _patches(context, work)
    parts = f"parts/pixels/{work.unit.cell}/{work.fingerprint}"
    with scratch(context) as folder:
        value_range = context.config.imagery.value_range
        with (
            WindowReader(value_range) as reader,
            _Stream(folder / "index.parquet", PIXEL_INDEX, _INDEX_ROWS) as index,
            _Stream(folder / "images.parquet", IMAGES, 1) as images,
        ):
            for part in _parts(context, reader, patches, parts):
                unread = pc.fill_null(pc.equal(part["verdict"], str(Reason.UNREADABLE)), False)
                index.add(part.select(PIXEL_INDEX.names).filter(pc.invert(unread)))
                images.add(part.select(IMAGES.names).filter(pc.is_null(part["verdict"])))
                counts += _counts(part)
        outputs = {
            "index": put_file(context, work, "index", index.path, index.rows),
            "images": put_file(context, work, "images", images.path, images.rows),
        }
    for key, _ in list(context.store.list(parts)):
        context.store.delete(key)
    return Result(counts, outputs)


def _patches(context: Context, work: Work) -> tuple[pa.Table, Counts]:
    """The patches to read, in table order, and the count of those beyond the limit."""
    output = work.inputs[Unit("facts", work.unit.cell)].outputs["patches"]
    patches = read_table(context, output, ["id", "scene", "col", "row", "size", "rank"])
    if context.config.sampling.limit is None:
        return patches, Counts()
    kept = patches.filter(pc.less_equal(patches["rank"], work.inputs[_SELECT].info["cutoff"]))
    return kept, Counts.of([Reason.OVER_LIMIT] * (len(patches) - len(kept)))


def _parts(context: Context, reader: WindowReader, patches: pa.Table, folder: str) -> Iterator[pa.Table]:
    """The unit's rows part by part: from the store where a part is there, else made and put there."""
    first, rows = 0, None
    while first < len(patches):
        key = f"{folder}/{first:08d}.parquet"
        try:
            part = pq.read_table(pa.BufferReader(context.store.get(key)), schema=_PART)
            rows = None
        except FileNotFoundError:
            rows = rows or _look(context, reader, patches.slice(first))
            part = _part(rows)
            if first + len(part) < len(patches):  # the last one would only be deleted at once
                sink = pa.BufferOutputStream()
                with _writer(sink, _PART) as writer:
                    writer.write_table(part)
                context.store.put(key, sink.getvalue().to_pybytes())
        yield part
        first += len(part)


def _look(context: Context, reader: WindowReader, patches: pa.Table) -> Iterator[_Row]:
    """Read, measure, judge and encode patches, a batch at a time."""
    places = _places(patches)
    while read := _read_batch(context, reader, places):
        for patch, window in read:
            if window is None:
                yield _Row(patch, None, Reason.UNREADABLE, None)
                continue
            quality = measure(window.pixels, window.valid)
            verdict = judge(quality, context.config.quality)
            image = encode(window.pixels, context.config.shards) if verdict is None else None
            yield _Row(patch, quality, verdict, image)


def _places(patches: pa.Table) -> Iterator[tuple[str, str, int, int, int]]:
    """Id, scene, col, row and size of each patch."""
    for batch in patches.to_batches(max_chunksize=_PART_ROWS):
        columns = (batch.column(name).to_pylist() for name in ("id", "scene", "col", "row", "size"))
        yield from zip(*columns, strict=True)


def _read_batch(
    context: Context, reader: WindowReader, places: Iterator[tuple[str, str, int, int, int]]
) -> list[tuple[str, Window | None]]:
    """Read the next windows; None for one that is damaged."""
    read: list[tuple[str, Window | None]] = []
    n_bytes = 0
    for patch, scene, col, row, size in places:
        try:
            window = reader.read(context.scenes_by_id[scene], col, row, size)
        except Permanent as error:
            logger.warning("patch %s: %s", patch, error)
            read.append((patch, None))
        else:
            read.append((patch, window))
            n_bytes += window.pixels.nbytes
        if n_bytes >= _BATCH_BYTES:
            break
    return read


def _part(rows: Iterator[_Row]) -> pa.Table:
    """A table of the next rows, as many as a part holds."""
    taken: list[_Row] = []
    n_bytes = 0
    for row in rows:
        taken.append(row)
        n_bytes += len(row.image or b"")
        if len(taken) == _PART_ROWS or n_bytes >= _PART_BYTES:
            break
    measures = [row.quality and asdict(row.quality) for row in taken]
    columns = {
        "patch": pa.array([row.patch for row in taken], pa.string()),
        "verdict": pa.array([row.verdict and str(row.verdict) for row in taken], pa.string()),
        "image": _binary([row.image for row in taken]),
    }
    return pa.table(
        [
            columns[field.name]
            if field.name in columns
            else pa.array([each and each[field.name] for each in measures], field.type)
            for field in _PART
        ],
        schema=_PART,
    )


def _binary(values: list[bytes | None]) -> pa.Array:
    """A binary array in one copy (`pa.array` grows its buffer step by step)."""
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum([len(value or b"") for value in values], out=offsets[1:])
    there = np.packbits([value is not None for value in values], bitorder="little")
    buffers = [pa.py_buffer(there), pa.py_buffer(offsets), pa.py_buffer(b"".join(v or b"" for v in values))]
    return pa.Array.from_buffers(pa.binary(), len(values), buffers)


def _counts(part: pa.Table) -> Counts:
    verdicts = [None if verdict is None else Reason(verdict) for verdict in part["verdict"].to_pylist()]
    failed = [reason for reason in verdicts if reason is Reason.UNREADABLE]
    return Counts.of((reason for reason in verdicts if reason is not Reason.UNREADABLE), failed)


class _Stream:
    """A table on a scratch file that is written while its rows come, `group` of them or more at a time."""

    def __init__(self, path: Path, schema: pa.Schema, group: int) -> None:
        self.path = path
        self.rows = 0
        self._schema, self._group = schema, group
        self._waiting = schema.empty_table()

    def __enter__(self) -> Self:
        self._writer = _writer(self.path, self._schema)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._flush()
        self._writer.close()

    def add(self, table: pa.Table) -> None:
        """Append rows."""
        self.rows += len(table)
        self._waiting = pa.concat_tables([self._waiting, table])
        if len(self._waiting) >= self._group:
            self._flush()

    def _flush(self) -> None:
        if len(self._waiting):
            self._writer.write_table(self._waiting)
        self._waiting = self._schema.empty_table()


def _writer(sink: Any, schema: pa.Schema) -> pq.ParquetWriter:
    """A Parquet writer that leaves encoded images as they are: compressing them again costs time, saves nothing."""
    compression = {name: "none" if name == "image" else "zstd" for name in schema.names}
    plain = [name for name in schema.names if name != "image"]
    return pq.ParquetWriter(
        sink, schema, compression=compression, use_dictionary=False, write_statistics=plain
    )


STAGE = Stage(
    name="pixels",
    version=1,
    cells=lambda context, _commits: context.cells,
    basis=_basis,
    inputs=_inputs,
    run=_run,
)
