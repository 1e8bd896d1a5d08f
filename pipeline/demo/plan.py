"""The plan of the synthetic town: corridors of roads, river and rails, and what lies between them.

Everything here is in plan coordinates, metres from the south-west corner, on straight axes; `bend` then curves the
plan so that no street is ruler-straight.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import shapely
from shapely import LineString, Polygon
from shapely.geometry.base import BaseGeometry

from pipeline.grid import Floats

_Geometry = TypeVar("_Geometry", bound=BaseGeometry)

WIDTH, HEIGHT = 6100.0, 3250.0
"""Extent of the plan; the imagery shows all but its margins."""

ORIGIN_M = (336780.0, 4395310.0)
"""South-west corner of the plan on the ground, EPSG:26918."""

RIVER_M, RIVER_BANK_M = 19.0, 40.0
"""Half of the river's width, and of the corridor with its banks."""


@dataclass(frozen=True, slots=True)
class Way:
    """A corridor: its kind, its name, half of its width, and its course."""

    kind: str
    name: str
    half_m: float
    course: LineString


@dataclass(frozen=True, slots=True)
class Site:
    """A rectangle (west, south, east, north) with one use; minor streets end at its border."""

    use: str
    box: tuple[float, float, float, float]


_SITES = (
    Site("downtown", (1760, 1476, 2320, 1908)),
    Site("mall", (2320, 1476, 3020, 1700)),
    Site("school", (2560, 1908, 3020, 2310)),
    Site("park", (1500, 1092, 1760, 1380)),
    Site("cemetery", (1000, 2004, 1240, 2310)),
    Site("allotments", (2790, 900, 3020, 1188)),
    Site("church", (1240, 1380, 1500, 1588)),
)

_FARMS = (
    Site("farm", (560, 440, 680, 540)),
    Site("farm", (870, 1280, 990, 1390)),
    Site("farm", (4774, 1190, 4890, 1300)),
    Site("farm", (5520, 1060, 5640, 1168)),
    Site("farm", (4774, 300, 4880, 420)),
)

_REGIONS = (
    Site("apartments", (1240, 1700, 1760, 1908)),
    Site("apartments", (2320, 1700, 2560, 1908)),
    Site("residential", (1000, 820, 3020, 2310)),
    Site("meadow", (1000, 2310, 3020, 2560)),
    Site("tanks", (2500, 560, 3020, 820)),
    Site("industry", (1700, 300, 3020, 820)),
    Site("lake", (3020, 820, 3950, 1700)),
    Site("golf", (3020, 1700, 3950, 2560)),
    Site("residential", (4000, 1700, 4760, 2180)),
    Site("sports", (4000, 2180, 4760, 2560)),
    Site("woods", (3950, 820, 4760, 1700)),
    Site("quarry", (1000, 2560, 2060, 3250)),
    Site("solar", (2060, 2560, 3020, 3250)),
    Site("woods", (3020, 2560, 3950, 3250)),
    Site("orchards", (0, 2120, 1000, 2560)),
    Site("vineyards", (4760, 2120, 5330, 2560)),
    Site("woods", (0, 2560, 1000, 3250)),
)


def ways() -> list[Way]:
    """All corridors, larger ones first."""
    return [
        Way("motorway", "Blue Ridge Expressway", 32, _east_west(2560)),
        Way("river", "Otter River", RIVER_BANK_M, _river()),
        Way("rail", "Valley Line", 10, _east_west(820)),
        Way("power", "", 20, _north_south(5330)),
        Way("primary", "Lincoln Highway", 11, _east_west(1700)),
        Way("secondary", "Main Street", 10, _north_south(2060)),
        Way("tertiary", "Mill Road", 8, _north_south(1000)),
        Way("tertiary", "Station Road", 8, _north_south(3020)),
        Way("tertiary", "Ridge Road", 8, _north_south(4760)),
        Way("tertiary", "Park Avenue", 8, _east_west(2310, 1000, 3020)),
        Way("tertiary", "Foundry Street", 8, _east_west(900, 1000, 3020)),
        Way("unclassified", "Orchard Lane", 6, _east_west(2120, 0, 1000)),
        Way("unclassified", "Brook Lane", 6, _east_west(1270, 0, 1000)),
        Way("unclassified", "Hollow Road", 6, _east_west(430, 0, 1000)),
        Way("unclassified", "Works Road", 7, _east_west(560, 1700, 3020)),
        Way("unclassified", "Tank Road", 7, _north_south(2500, 300, 820)),
        Way("unclassified", "Depot Road", 7, _north_south(1700, 300, 820)),
        Way("unclassified", "South Road", 6, _east_west(300, 1000, 3020)),
        Way("unclassified", "Vineyard Road", 6, _east_west(2120, 4760, WIDTH)),
        Way("unclassified", "Farm Road", 6, _east_west(1180, 4760, WIDTH)),
        Way("unclassified", "Gravel Road", 6, _north_south(540, -100, 820)),
        Way("stream", "Willow Brook", 9, _east_west(480, 4760, WIDTH)),
        *_streets(),
    ]


def blocks(network: list[Way]) -> Iterator[tuple[str, Polygon]]:
    """The land between the corridors, west to east, each block with its use."""
    farms = [shapely.box(*farm.box) for farm in _FARMS]
    land = shapely.box(0, 0, WIDTH, HEIGHT).difference(shapely.union_all(farms))
    corridors = shapely.union_all([way.course.buffer(way.half_m, cap_style="square") for way in network])
    yield from ((farm.use, box) for farm, box in zip(_FARMS, farms, strict=True))
    parts = [part for part in shapely.get_parts(land.difference(corridors)) if part.area > 600]
    for block in sorted(parts, key=lambda part: part.bounds):
        spot = block.representative_point()
        use = next((site.use for site in _SITES + _REGIONS if _holds(site, spot.x, spot.y)), "fields")
        yield use, block


def bend(geometry: _Geometry) -> _Geometry:
    """A geometry of the plan on the curved ground: a smooth, one-to-one map that turns axes by up to 9 degrees."""
    bent: _Geometry = shapely.transform(shapely.segmentize(geometry, 30.0), _bent)
    return bent


def _bent(xy: Floats) -> Floats:
    x, y = xy[:, 0], xy[:, 1]
    east = x + 55 * np.sin(2 * math.pi * y / 2700 + 0.4) + 0.035 * (y - HEIGHT / 2)
    north = y + 75 * np.sin(2 * math.pi * x / 3900 + 2.1) - 0.035 * (x - WIDTH / 2)
    return np.column_stack([east, north]) + ORIGIN_M


def _streets() -> Iterator[Way]:
    """Residential streets: a grid that keeps clear of the sites and of the areas around the town."""
    sites = [shapely.box(*site.box).buffer(-1, join_style="mitre") for site in _SITES]  # borders keep streets
    kept_free = shapely.union_all([*sites, _river().buffer(RIVER_BANK_M - 1)])
    names = iter(_STREET_NAMES)
    courses = [
        _east_west(y, 1000, 3020)
        for y in (996, 1092, 1188, 1284, 1380, 1476, 1588, 1812, 1908, 2004, 2100, 2204)
    ]
    courses += [_north_south(x, 900, 2310) for x in (1240, 1500, 1760, 2320, 2560, 2790)]
    courses += [_east_west(y, 3950, 4760) for y in (1815, 1930, 2050, 2180)]
    courses += [_north_south(4430, 1700, 2180)]
    for course in courses:
        name = next(names)
        for part in shapely.get_parts(course.difference(kept_free)):
            if part.length > 60:
                yield Way("residential", name, 6, part)
    for x in (1915, 2205):
        yield Way("service", "", 5, _north_south(x, 1476, 1908))
    for y in (1588, 1808):
        yield Way("residential", next(names), 7, _east_west(y, 1760, 2320))


_STREET_NAMES = (
    "Ash Street", "Beech Street", "Birch Street", "Cedar Street", "Chestnut Street", "Cherry Street", "Elm Street",
    "Hickory Street", "Holly Street", "Linden Street", "Maple Street", "Oak Street", "First Avenue",
    "Second Avenue", "Third Avenue", "Fourth Avenue", "Fifth Avenue", "Sixth Avenue", "Heron Way", "Kingfisher Way",
    "Otter Way", "Wren Way", "Meadow Drive", "Court Street", "Market Street",
)  # fmt: skip


def _river() -> LineString:
    y = np.arange(-100.0, HEIGHT + 101, 25)
    return LineString(np.column_stack([3950 + 70 * np.sin(y / 300) + 25 * np.sin(y / 110 + 1), y]))


def _holds(site: Site, x: float, y: float) -> bool:
    west, south, east, north = site.box
    return west <= x <= east and south <= y <= north


def _east_west(y: float, west: float = -100, east: float = WIDTH + 100) -> LineString:
    return LineString([(west, y), (east, y)])


def _north_south(x: float, south: float = -100, north: float = HEIGHT + 100) -> LineString:
    return LineString([(x, south), (x, north)])
