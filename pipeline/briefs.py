"""What every plan needs of a commit, kept small: a big dataset has a million of them.

A brief says nothing that its commit does not say. It is made of the commit's bytes once; the bytes are let go.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple
from zlib import compress, decompress

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import from_json, to_json

from pipeline.ids import Json
from pipeline.types import Counts

_SHA256_BYTES = 32

_ROWS = 5_000
"""Rows of a group of the cache; so many are in memory twice."""

_LONG = 200
"""Bytes of an info that is kept compressed: what became of a cell's texts, which takes a third then."""

_SCHEMA = pa.schema(
    [
        ("mark", pa.string()),
        ("key", pa.string()),
        ("names", pa.string()),
        ("hashes", pa.binary()),
        ("lines", pa.binary()),
    ]
)


class Brief(NamedTuple):
    """The part of a commit that others plan with.

    Attributes
    ----------
    key
        Where the commit is in the store.
    names
        Names of the outputs, separated by spaces; the same object in all commits of a stage.
    hashes
        SHA-256 of the outputs, 32 bytes each, in the order of the names.
    lines
        Counts and info, as JSON, a line each; a long info compressed.
    """

    key: str
    names: str
    hashes: bytes
    lines: bytes

    @classmethod
    def of(cls, key: str, commit: bytes) -> "Brief":
        """The brief of an encoded commit. Raises ValueError, KeyError, TypeError or AttributeError where it is none."""
        values = from_json(commit)
        Counts(**values["counts"])
        outputs = values["outputs"]
        hashes = bytes.fromhex("".join(outputs[name]["sha256"] for name in outputs))
        if len(hashes) != _SHA256_BYTES * len(outputs):
            raise ValueError("hash of an output")
        info = to_json(values["info"])
        kept = compress(info, 1) if len(info) > _LONG else info
        return cls(key, _same(" ".join(outputs)), hashes, to_json(values["counts"]) + b"\n" + kept)

    @property
    def counts(self) -> Counts:
        """What became of the items."""
        return Counts(**self.plain_counts)

    @property
    def plain_counts(self) -> Mapping[str, Any]:
        """The counts as JSON has them."""
        counts: Mapping[str, Any] = from_json(self.lines.partition(b"\n")[0])
        return counts

    @property
    def info(self) -> Mapping[str, Json]:
        """Small facts that later stages plan with."""
        kept = self.lines.partition(b"\n")[2]
        info: Mapping[str, Json] = from_json(kept if kept.startswith(b"{") else decompress(kept))
        return info


def digests(briefs: Iterable[Brief], outputs: tuple[str, ...]) -> bytes:
    """SHA-256 of outputs by their names, of one brief after the other."""
    return b"".join([hashes[place] for _, names, hashes, _ in briefs for place in _places(names, outputs)])


def packed(briefs: Iterable[tuple[str, Brief]]) -> bytes:
    """Briefs, each with the store's mark of its commit, as a Parquet file: columns, so that reading it parses no JSON."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, _SCHEMA, compression="zstd") as writer:
        rows = [(mark, *brief) for mark, brief in briefs]
        for at in range(0, len(rows), _ROWS):
            columns = zip(*rows[at : at + _ROWS], strict=True)
            writer.write_table(pa.table(list(columns), schema=_SCHEMA))
    data: bytes = sink.getvalue().to_pybytes()
    return data


def unpacked(data: bytes) -> Iterator[tuple[str, Brief]]:
    """What `packed` was given; nothing where it is of a release that packs otherwise."""
    file = pq.ParquetFile(pa.BufferReader(data))
    if not file.schema_arrow.equals(_SCHEMA):
        return
    for batch in file.iter_batches(_ROWS):
        columns = (column.to_pylist() for column in batch.columns)
        for mark, key, names, hashes, lines in zip(*columns, strict=True):
            yield mark, Brief(key, _same(names), hashes, lines)


@cache
def _places(names: str, outputs: tuple[str, ...]) -> tuple[slice, ...]:
    """Where the hashes of outputs are."""
    starts = {name: _SHA256_BYTES * n for n, name in enumerate(names.split())}
    return tuple(slice(starts[name], starts[name] + _SHA256_BYTES) for name in outputs)


_NAMES: dict[str, str] = {}


def _same(names: str) -> str:
    """Equal names as one object."""
    return _NAMES.setdefault(names, names)
