"""Finished rows of the stage `pixels`: as parts, on the scratch disk, and in the order of the patches."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.imagery.quality import PixelQuality
from pipeline.tables import IMAGES, PIXEL_INDEX
from pipeline.types import Reason

PART_ROWS = 64
PART_BYTES = 16 * 2**20
"""A part, and a row group of images, ends at this many patches or image bytes; the bytes bound memory where
patches are large."""

PART = pa.schema([*PIXEL_INDEX, *(field for field in IMAGES if field.name != "patch")])


@dataclass(frozen=True, slots=True)
class Row:
    """One patch that was looked at; without quality it could not be read."""

    patch: str
    quality: PixelQuality | None
    verdict: Reason | None
    image: bytes | None


def make_part(taken: Sequence[Row]) -> pa.Table:
    """A table of rows, by the schema `PART`."""
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
            for field in PART
        ],
        schema=PART,
    )


def part_name(part: pa.Table) -> str:
    """Name of a part: from the patches in it."""
    return hashlib.sha256("".join(part["patch"].to_pylist()).encode()).hexdigest()[:32]


def part_bytes(part: pa.Table) -> bytes:
    """A part as Parquet."""
    sink = pa.BufferOutputStream()
    with _writer(sink, PART) as writer:
        writer.write_table(part)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _binary(values: list[bytes | None]) -> pa.Array:
    """A binary array in one copy (`pa.array` grows its buffer step by step)."""
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum([len(value or b"") for value in values], out=offsets[1:])
    there = np.packbits([value is not None for value in values], bitorder="little")
    buffers = [pa.py_buffer(there), pa.py_buffer(offsets), pa.py_buffer(b"".join(v or b"" for v in values))]
    return pa.Array.from_buffers(pa.binary(), len(values), buffers)


class Rows:
    """Finished rows in the order in which they come: images on a scratch file, the rest in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at: dict[str, tuple[int, int, int, int]] = {}  # patch -> table, row, image offset, image bytes
        self._tables: list[pa.Table] = []

    def __enter__(self) -> Self:
        self._file = self._path.open("w+b")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __contains__(self, patch: str) -> bool:
        return patch in self._at

    @property
    def count(self) -> int:
        """Rows so far."""
        return len(self._at)

    def add(self, part: pa.Table) -> None:
        """Take the rows of a part."""
        for row, (patch, image) in enumerate(zip(part["patch"].to_pylist(), part["image"], strict=True)):
            data = image.as_buffer() if image.is_valid else b""
            self._at[patch] = (len(self._tables), row, self._file.tell(), len(data))
            self._file.write(data)
        self._tables.append(part.drop_columns("image"))

    def in_order(self, patches: Sequence[str]) -> Iterator[pa.Table]:
        """The rows of the patches, in their order, as tables of bounded size."""
        first, n_bytes = 0, 0
        for end, patch in enumerate(patches, 1):
            n_bytes += self._at[patch][3]
            if end - first == PART_ROWS or n_bytes >= PART_BYTES or end == len(patches):
                yield self._table(patches[first:end])
                first, n_bytes = end, 0

    def _table(self, patches: Sequence[str]) -> pa.Table:
        rows = [self._tables[table].slice(row, 1) for table, row, _, _ in map(self._at.__getitem__, patches)]
        images = []
        for patch in patches:
            _, _, offset, size = self._at[patch]
            self._file.seek(offset)
            images.append(self._file.read(size) if size else None)
        return pa.concat_tables(rows).combine_chunks().append_column(PART.field("image"), _binary(images))


class Stream:
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
