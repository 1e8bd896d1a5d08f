"""Areas that libosmium must assemble: multipolygon relations, and closed ways whose ring is not simple."""

import binascii
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import numpy as np
import osmium
import pyarrow as pa
import shapely
from osmium.area import AreaManager
from osmium.filter import IdFilter, KeyFilter
from osmium.geom import WKBFactory
from osmium.index import LocationTable
from osmium.io import Reader
from osmium.osm import RELATION, WAY, Area, Relation, Way

from pipeline.osm.chunks import AREA, EXTRACT, Chunk, Rejected
from pipeline.osm.chunks import RELATION as RELATION_CODE
from pipeline.osm.chunks import WAY as WAY_CODE
from pipeline.osm.osmfile import disorder, find_location, reading
from pipeline.tables import BOX
from pipeline.types import Reason

_AREA_RELATIONS = frozenset({"multipolygon", "boundary"})
_BATCH_AREAS = 10_000
_UNKNOWN_TIME = datetime.fromtimestamp(0, UTC)

_Position: TypeAlias = tuple[float, float] | None
_Row: TypeAlias = tuple[int, int, int | None, datetime | None, list[tuple[str, str]], bytes]


@dataclass(frozen=True, slots=True)
class Unsettled:
    """What the ways alone could not settle.

    Attributes
    ----------
    doubtful
        Closed ways whose ring is not simple, with the position of their first node.
    incomplete
        Rejected ways with nodes that the file does not hold.
    """

    doubtful: dict[int, _Position] = field(default_factory=dict)
    incomplete: set[int] = field(default_factory=set)


def assemble(
    path: Path,
    keys: Sequence[str],
    placer: osmium.NodeLocationsForWays,
    locations: LocationTable,
    unsettled: Unsettled,
) -> Iterator[Chunk]:
    """Assemble areas, reading only relations and the ways that they, or doubtful rings, are made of.

    Parameters
    ----------
    path
        The OSM file.
    keys
        Keys of which a relation needs at least one.
    placer, locations
        Handler that gives ways the positions of their nodes, and the table behind it, filled.
    unsettled
        What the ways alone could not settle.

    Yields
    ------
    Chunks of areas, then one with all that could not be assembled.

    Raises
    ------
    Misconfigured
        The file is damaged, or its relations are not sorted or not unique.
    """
    wanted = _AreaRelations(path)
    manager = AreaManager()
    with reading(path), Reader(path, RELATION) as reader:
        osmium.apply(reader, KeyFilter(*keys), wanted, manager.first_pass_handler())
    multipolygon = WKBFactory().create_multipolygon
    doubtful = dict(unsettled.doubtful)
    rows: list[_Row] = []
    for area in _areas(path, manager, placer, [*doubtful, *wanted.ways()]):
        # libosmium numbers areas by twice the id of the way, or of the relation and one more.
        number, from_relation = divmod(area.id, 2)
        if not from_relation and number not in doubtful:
            continue
        try:
            shape = binascii.unhexlify(multipolygon(area))
        except RuntimeError:
            continue  # an area without rings: impossible
        tags = [(tag.k, tag.v) for tag in area.tags]
        if from_relation:
            tags.append(("type", wanted.pending.pop(number).type))  # libosmium leaves it out
        else:
            del doubtful[number]
        time = None if area.timestamp == _UNKNOWN_TIME else area.timestamp
        code = RELATION_CODE if from_relation else WAY_CODE
        rows.append((code, number, area.version or None, time, tags, shape))
        if len(rows) >= _BATCH_AREAS:
            yield Chunk(_batch(rows))
            rows = []
    broken = [
        Rejected(f"w{number}", Reason.BROKEN_GEOMETRY, position) for number, position in doubtful.items()
    ]
    relations, missing = _explain(path, wanted.pending, locations, unsettled.incomplete)
    yield Chunk(_batch(rows), [*broken, *relations], missing)


@dataclass(frozen=True, slots=True)
class _Pending:
    """A relation that must become an area: its type and the ways it is made of."""

    type: str
    ways: "array[int]"


class _AreaRelations:
    """Handler that remembers which relations must become areas."""

    def __init__(self, path: Path) -> None:
        self.pending: dict[int, _Pending] = {}
        self._path = path
        self._last = 0

    def relation(self, relation: Relation) -> None:
        if relation.id <= self._last:
            raise disorder(self._path, "r", relation.id, self._last)
        self._last = relation.id
        kind = relation.tags.get("type")
        if kind in _AREA_RELATIONS:
            ways = array("q", [member.ref for member in relation.members if member.type == "w"])
            self.pending[relation.id] = _Pending(kind, ways)

    def ways(self) -> Iterator[int]:
        """Ids of the ways that pending relations are made of."""
        return chain.from_iterable(relation.ways for relation in self.pending.values())


def _areas(
    path: Path, manager: AreaManager, placer: osmium.NodeLocationsForWays, ways: Iterable[int]
) -> Iterator[Area]:
    """As `osmium.FileProcessor.with_areas` does it, but only from some ways: that one assembles every ring."""
    found = osmium.BufferIterator()
    # Named, because the iterator does not keep its handlers alive.
    handlers = (IdFilter(ways), placer, manager.second_pass_to_buffer(found))
    with reading(path), Reader(path, WAY) as reader:
        for _ in osmium.OsmFileIterator(reader, *handlers):
            yield from _drain(found)
    yield from _drain(found)


def _drain(found: osmium.BufferIterator) -> Iterator[Area]:
    if found:
        for item in found:
            if isinstance(item, Area):
                yield item


def _batch(rows: Sequence[_Row]) -> pa.RecordBatch:
    if not rows:
        return pa.RecordBatch.from_pylist([], schema=EXTRACT)
    types, numbers, versions, times, tags, shapes = zip(*rows, strict=True)
    bounds = shapely.bounds(shapely.from_wkb(list(shapes)))
    bbox = pa.StructArray.from_arrays([pa.array(side) for side in bounds.T.copy()], fields=list(BOX))
    kinds = np.full(len(rows), AREA)
    columns = [types, numbers, versions, times, kinds, tags, bbox, shapes]
    arrays = [pa.array(column, kind.type) for column, kind in zip(columns, EXTRACT, strict=True)]
    return pa.record_batch(arrays, schema=EXTRACT)


def _explain(
    path: Path, relations: Mapping[int, _Pending], locations: LocationTable, counted: Collection[int]
) -> tuple[list[Rejected], int]:
    """Why relations got no area, and how many nodes their ways lack that are not `counted` yet."""
    tracks: dict[int, tuple[_Position, int]] = {}
    for way in _only_ways(path, {way for relation in relations.values() for way in relation.ways}):
        places = [find_location(locations, node.ref) for node in way.nodes]
        first = next((place for place in places if place is not None), None)
        tracks[way.id] = (first, places.count(None))
    rejected = []
    for number, relation in relations.items():
        known = [tracks[way] for way in relation.ways if way in tracks]
        incomplete = len(known) < len(relation.ways) or any(missing for _, missing in known)
        reason = Reason.MISSING_NODES if incomplete else Reason.BROKEN_GEOMETRY
        position = next((first for first, _ in known if first is not None), None)
        rejected.append(Rejected(f"r{number}", reason, position))
    return rejected, sum(missing for way, (_, missing) in tracks.items() if way not in counted)


def _only_ways(path: Path, ids: Collection[int]) -> Iterator[Way]:
    if ids:
        with reading(path):
            for item in osmium.FileProcessor(path, WAY).with_filter(IdFilter(ids)):
                if isinstance(item, Way):
                    yield item
