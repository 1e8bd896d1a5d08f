"""Writes features as an OSM file: shared nodes, closed ways, multipolygon relations."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import osmium
import shapely
from osmium.osm import Box, Location
from osmium.osm.mutable import Node, Relation, Way
from shapely import Point, Polygon
from shapely.geometry.base import BaseGeometry

from pipeline.types import Bounds

_Ring = tuple[tuple[float, float], ...]

_FIRST_NODE, _FIRST_WAY, _FIRST_RELATION = 4_210_000_001, 611_000_001, 9_870_001
_SNAPSHOT = datetime(2022, 7, 1, tzinfo=UTC)
_EARLIEST = datetime(2014, 3, 1, tzinfo=UTC)


def write_osm(
    path: Path, elements: Sequence[tuple[BaseGeometry, Mapping[str, str]]], bounds: Bounds, *, seed: int
) -> None:
    """Write an OSM file, overwriting what is there.

    Parameters
    ----------
    path
        The file; its suffix decides the format.
    elements
        Geometries in degrees (EPSG:4326) with their tags. A polygon becomes a closed way; with holes, or with a
        ``type`` tag, a relation. Equal coordinates become one node and equal rings one way.
    bounds
        Bounds for the file's header.
    seed
        Seed of versions and timestamps.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    book = _Book(elements)
    header = osmium.io.Header()
    west, south, east, north = bounds
    header.add_box(Box(Location(west, south), Location(east, north)))
    header.set("generator", "skyteller demo")
    header.set("osmosis_replication_timestamp", f"{_SNAPSHOT:%Y-%m-%dT%H:%M:%SZ}")
    history = _history(len(book.nodes) + len(book.ways) + len(book.relations), seed)
    try:
        with osmium.SimpleWriter(path, header=header, overwrite=True) as writer:
            _write(writer, book, history)
    except RuntimeError as error:  # libosmium has no other error for a file that cannot be written
        raise OSError(str(error)) from error


def _write(writer: osmium.SimpleWriter, book: "_Book", history: Iterator[tuple[int, datetime]]) -> None:
    """Write nodes, then ways, then relations, each by ascending id."""
    for place, number in book.nodes.items():
        version, timestamp = next(history)
        tags = dict(book.node_tags.get(place, {}))
        writer.add_node(Node(id=number, version=version, timestamp=timestamp, location=place, tags=tags))
    for number, (points, way_tags) in book.ways.items():
        version, timestamp = next(history)
        refs = [book.nodes[point] for point in points]
        writer.add_way(Way(id=number, version=version, timestamp=timestamp, nodes=refs, tags=dict(way_tags)))
    for number, (ring_ways, area_tags) in book.relations.items():
        version, timestamp = next(history)
        members = [("w", way, role) for way, role in ring_ways]
        writer.add_relation(
            Relation(id=number, version=version, timestamp=timestamp, members=members, tags=dict(area_tags))
        )


class _Book:
    """Elements sorted into nodes, ways and relations with their ids."""

    def __init__(self, elements: Sequence[tuple[BaseGeometry, Mapping[str, str]]]) -> None:
        self.nodes: dict[tuple[float, float], int] = {}
        self.node_tags: dict[tuple[float, float], Mapping[str, str]] = {}
        self.ways: dict[int, tuple[_Ring, Mapping[str, str]]] = {}
        self.relations: dict[int, tuple[list[tuple[int, str]], Mapping[str, str]]] = {}
        self._rings: dict[frozenset[tuple[float, float]], int] = {}
        later: list[tuple[Polygon, Mapping[str, str]]] = []
        for geometry, tags in elements:
            if isinstance(geometry, Polygon) and (geometry.interiors or "type" in tags):
                later.append((geometry, tags))
            elif isinstance(geometry, Point):
                self.node_tags[self._node(geometry.x, geometry.y)] = tags
            else:
                line = geometry.exterior if isinstance(geometry, Polygon) else geometry
                self._way(line, tags)
        for shape, tags in later:
            members = [(self._way(shape.exterior, {}), "outer")]
            members += [(self._way(ring, {}), "inner") for ring in shape.interiors]
            number = _FIRST_RELATION + len(self.relations)
            self.relations[number] = (members, {"type": "multipolygon"} | dict(tags))

    def _way(self, line: BaseGeometry, tags: Mapping[str, str]) -> int:
        points = tuple(self._node(x, y) for x, y in shapely.get_coordinates(line).tolist())
        key = frozenset(points)
        closed = points[0] == points[-1]
        if closed and not tags and key in self._rings:
            return self._rings[key]
        number = _FIRST_WAY + len(self.ways)
        self.ways[number] = (points, tags)
        if closed:
            self._rings[key] = number
        return number

    def _node(self, lon: float, lat: float) -> tuple[float, float]:
        point = (round(lon, 7), round(lat, 7))
        self.nodes.setdefault(point, _FIRST_NODE + len(self.nodes))
        return point


def _history(count: int, seed: int) -> Iterator[tuple[int, datetime]]:
    """Plausible versions and timestamps: most elements have few versions, none is newer than the snapshot."""
    rng = np.random.default_rng([seed, 77])
    versions = np.minimum(rng.geometric(0.55, count), 12).tolist()
    ages = rng.integers(int((_SNAPSHOT - _EARLIEST).total_seconds()), size=count).tolist()
    return zip(versions, (_EARLIEST + timedelta(seconds=age) for age in ages), strict=True)
