"""Reads libosmium's text format (OPL) straight into Arrow and NumPy: no element becomes a Python object.

A line is an element, its fields are separated by spaces: ``n1 v2 dV t2020-01-01T00:00:00Z Tk=v,k=v x9.5 y47.1``
for a node, ``w1 v2 dV t... Tk=v Nn1x9.5y47.1,n2xy`` for a way (the second node has no location). Characters
that structure a line are escaped in tags as ``%hex%`` (wrongly from U+100000 on, private use that no tag holds).
https://osmcode.org/opl-file-format/
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from pipeline.grid import Floats, Ints

FORMAT = "opl,locations_on_ways=true,add_metadata=version+timestamp"
"""Format string that makes libosmium write what this module reads."""

TIMESTAMP = pa.timestamp("s", tz="UTC")
TAGS = pa.map_(pa.string(), pa.string())

_COMMON = ("number", "version", "visible", "timestamp", "tags")
_ESCAPE = re.compile("%([0-9a-f]+)%")
_TO_CSV = bytes.maketrans(b"N,xy", b"\n\n,,")  # Nn1x2y3,n4x5y6 -> lines 1,2,3 and 4,5,6


@dataclass(frozen=True, slots=True)
class Rows:
    """Elements of one type.

    Attributes
    ----------
    number
        Ids, int64.
    version, timestamp
        Null where the file leaves them out.
    tags
        All tags in the order of the file.
    """

    number: pa.Array
    version: pa.Array
    timestamp: pa.Array
    tags: pa.MapArray


@dataclass(frozen=True, slots=True)
class Nodes(Rows):
    """Nodes with their positions: degrees, NaN where a node has none."""

    lon: Floats
    lat: Floats


@dataclass(frozen=True, slots=True)
class Ways(Rows):
    """Ways with their nodes: those of way ``i`` are ``starts[i]`` to ``starts[i + 1]``."""

    starts: Ints
    refs: Ints
    lon: Floats
    lat: Floats

    def position(self, row: int) -> tuple[float, float] | None:
        """Longitude and latitude of a way's first node that has them."""
        nodes = slice(self.starts[row], self.starts[row + 1])
        for lon, lat in zip(self.lon[nodes].tolist(), self.lat[nodes].tolist(), strict=True):
            if not math.isnan(lon):
                return (lon, lat)
        return None


def sections(blocks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Cut text that comes in blocks into runs of whole lines of one type.

    Yields
    ------
    Type (0 node, 1 way, 2 relation) and lines.
    """
    rest = b""
    for block in blocks:
        end = block.rfind(b"\n") + 1
        if end:
            yield from _runs(rest + block[:end])
            rest = b""
        rest += block[end:]


def read_nodes(text: bytes) -> Nodes:
    """Read the lines of nodes."""
    table = _read_csv(text, " ", dict.fromkeys([*_COMMON, "x", "y"], pa.string()))
    return Nodes(*_common(table), *(_numbers(table, name, pa.float64()).to_numpy(False) for name in "xy"))


def read_ways(text: bytes) -> Ways:
    """Read the lines of ways."""
    table = _read_csv(text, " ", dict.fromkeys([*_COMMON, "nodes"], pa.string()))
    nodes = table.column("nodes").combine_chunks()
    starts = np.zeros(len(nodes) + 1, np.int64)
    np.cumsum(pc.count_substring(nodes, "n").to_numpy(), out=starts[1:])
    if not starts[-1]:
        return Ways(*_common(table), starts, np.empty(0, np.int64), np.empty(0), np.empty(0))
    ends = np.frombuffer(nodes.buffers()[1], np.int32)
    data = nodes.buffers()[2].slice(ends[0], ends[len(nodes)] - ends[0]).to_pybytes()
    points = _read_csv(
        data.translate(_TO_CSV, b"n"), ",", {"ref": pa.int64(), "lon": pa.float64(), "lat": pa.float64()}
    )
    return Ways(*_common(table), starts, *(column.to_numpy() for column in points.columns))


def unescape(text: pa.Array) -> pa.Array:
    """Decode ``%hex%`` escapes."""
    escaped = pc.match_substring(text, "%")
    if not pc.any(escaped).as_py():
        return text
    distinct = pc.dictionary_encode(text.filter(escaped))
    decoded = [
        _ESCAPE.sub(lambda match: chr(int(match[1], 16)), value) for value in distinct.dictionary.to_pylist()
    ]
    return pc.replace_with_mask(text, escaped, pa.array(decoded, pa.string()).take(distinct.indices))


def _runs(text: bytes) -> Iterator[tuple[int, bytes]]:
    data = np.frombuffer(text, np.uint8)
    starts = np.concatenate([[0], np.flatnonzero(data == ord("\n")) + 1])
    types = data[starts[:-1]]
    firsts = np.concatenate([[0], np.flatnonzero(np.diff(types)) + 1, [len(types)]])
    for first, end in pairwise(firsts):
        yield b"nwr".index(types[first]), text[starts[first] : starts[end]]


def _read_csv(text: bytes, delimiter: str, columns: dict[str, pa.DataType]) -> pa.Table:
    return csv.read_csv(
        pa.BufferReader(text),
        csv.ReadOptions(column_names=list(columns), block_size=len(text) + 1),
        csv.ParseOptions(delimiter=delimiter, quote_char=False),
        csv.ConvertOptions(column_types=columns, null_values=[""]),
    )


def _common(table: pa.Table) -> tuple[pa.Array, pa.Array, pa.Array, pa.MapArray]:
    version = _numbers(table, "version", pa.int32())
    version = pc.if_else(pc.equal(version, 0), pa.scalar(None, version.type), version)
    tags = pc.utf8_slice_codeunits(table.column("tags").combine_chunks(), 1)
    return (
        _numbers(table, "number", pa.int64()),
        version,
        _numbers(table, "timestamp", TIMESTAMP),
        _tags(tags),
    )


def _numbers(table: pa.Table, name: str, kind: pa.DataType) -> pa.Array:
    """Values behind the letter that a field starts with; null where there is none."""
    text = pc.utf8_slice_codeunits(table.column(name).combine_chunks(), 1)
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text).cast(kind)


def _tags(text: pa.Array) -> pa.MapArray:
    pairs = pc.split_pattern(text, ",")
    halves = pc.split_pattern(pairs.flatten(), "=").flatten()
    keys, values = (unescape(halves.take(np.arange(side, len(halves), 2))) for side in (0, 1))
    return pa.MapArray.from_arrays(pairs.offsets, keys, values)
