"""Roads, rails, river and power line of the synthetic town, and what no one can see from above."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import shapely
from shapely import LineString, Point
from shapely.geometry.base import BaseGeometry

from pipeline.demo.buildings import trees
from pipeline.demo.feature import Feature, Stroke
from pipeline.demo.figures import boxes, lines, polygon, polygons, scatter, stations
from pipeline.demo.plan import HEIGHT, RIVER_BANK_M, RIVER_M, WIDTH, Way, bend


@dataclass(frozen=True, slots=True)
class _Look:
    tags: Mapping[str, str]
    material: str
    width_m: float
    level: int
    line: float = 0.0
    traffic_m: float = 0.0


_LOOKS: Mapping[str, _Look] = {
    "motorway": _Look(
        {"highway": "motorway", "oneway": "yes", "lanes": "3", "ref": "I 970"},
        "motorway",
        11.5,
        8,
        traffic_m=55,
    ),
    "primary": _Look({"highway": "primary", "lanes": "4"}, "road", 12, 6, line=1.1, traffic_m=60),
    "secondary": _Look({"highway": "secondary", "lanes": "2"}, "road", 10, 5, line=0.7, traffic_m=55),
    "tertiary": _Look({"highway": "tertiary", "lanes": "2"}, "road", 8.4, 4, line=0.7, traffic_m=110),
    "unclassified": _Look({"highway": "unclassified"}, "road", 6.4, 3, traffic_m=260),
    "residential": _Look({"highway": "residential"}, "road", 7.2, 3, traffic_m=45),
    "service": _Look({"highway": "service"}, "road", 5.0, 2, traffic_m=60),
    "rail": _Look({"railway": "rail", "gauge": "1435", "electrified": "no"}, "ballast", 5.2, 7),
    "stream": _Look({"waterway": "stream"}, "stream", 3.2, 1),
}
_BRIDGE_LEVEL, _WIRE_LEVEL, _TOWER_LEVEL = 9, 11, 12
_OVER_MOTORWAY_M = 46.0


def network_features(ways: Sequence[Way], rng: np.random.Generator) -> Iterator[Feature]:
    """Everything in the corridors, and the invisible."""
    river = next(way for way in ways if way.kind == "river")
    crossing = [
        way for way in ways if way.kind not in {"river", "power"} and way.course.crosses(river.course)
    ]
    yield from _river(river, crossing, rng)
    yield from _power(next(way for way in ways if way.kind == "power"))
    drawn = [way for way in ways if way.kind in _LOOKS]
    for way, course in zip(drawn, _noded([way.course for way in drawn]), strict=True):
        gaps = [river.course.buffer(RIVER_BANK_M + 4)] if way in crossing else []
        if way.kind != "motorway":
            gaps += [
                other.course.buffer(_OVER_MOTORWAY_M)
                for other in ways
                if other.kind == "motorway" and other.course.crosses(way.course)
            ]
        yield from _road(way, course, shapely.union_all(gaps), rng)
    yield from _invisible(rng)


def _road(way: Way, course: LineString, over: BaseGeometry, rng: np.random.Generator) -> Iterator[Feature]:
    look = _LOOKS[way.kind]
    offsets = (-12.0, 12.0) if way.kind == "motorway" else (0.0,)
    for offset in offsets:
        lane = course.offset_curve(offset) if offset else course
        if offset < 0:
            lane = lane.reverse()
        for piece in lines(lane.difference(over)):
            yield _stretch(way, look, piece, rng, {}, look.level)
        for piece in lines(lane.intersection(over)):
            yield _stretch(way, look, piece, rng, {"bridge": "yes", "layer": "1"}, _BRIDGE_LEVEL)


def _stretch(
    way: Way, look: _Look, piece: LineString, rng: np.random.Generator, extra: Mapping[str, str], level: int
) -> Feature:
    line = bend(piece)
    named = {"name": way.name} if way.name else {}
    details: list[Stroke] = []
    if way.kind == "rail":
        for side in (-0.75, 0.75):
            details += [
                Stroke(part, "rail")
                for part in polygons(line.offset_curve(side).buffer(0.35, cap_style="flat"))
            ]
    if look.line:
        marks = line.buffer(look.line / 2, cap_style="flat")
        details += [Stroke(part, "road line") for part in polygons(marks)]
    if look.traffic_m:
        details += _traffic(line, look, rng)
    return Feature(
        line, {**look.tags, **named, **extra}, look.material, look.width_m, tuple(details), level=level
    )


def _traffic(line: LineString, look: _Look, rng: np.random.Generator) -> list[Stroke]:
    spots = [spot for spot in stations(line, look.traffic_m / 3, look.traffic_m / 6) if rng.random() < 0.33]
    n, half = len(spots), look.width_m / 2
    side = rng.choice([-1.0, 1.0], n) * half * rng.uniform(0.44, 0.6, n)
    lanes = [spot.at(0, y) for spot, y in zip(spots, side.tolist(), strict=True)]
    length = np.where((rng.random(n) < 0.15) & (look.level > 5), 12.0, 4.5)
    cars = boxes([at.x for at in lanes], [at.y for at in lanes], [at.angle for at in lanes], length, 2.0)
    colours = np.where(rng.random(n) < 0.55, "white traffic", "dark traffic").tolist()
    street = line.buffer(half)
    shapely.prepare(street)
    kept = shapely.contains(street, cars).tolist()
    return [Stroke(car, colour) for car, colour, on in zip(cars, colours, kept, strict=True) if on]


def _river(river: Way, crossing: Sequence[Way], rng: np.random.Generator) -> Iterator[Feature]:
    """The river as a line and as water areas that end at the bridges."""
    line = bend(river.course)
    yield Feature(line, {"waterway": "river", "name": river.name})
    corridors = shapely.union_all([way.course.buffer(way.half_m, cap_style="square") for way in crossing])
    basin = river.course.buffer(RIVER_M, cap_style="flat")
    for part in polygons(basin.difference(corridors)):
        yield Feature(polygon(bend(part)), {"natural": "water", "water": "river"}, "water")
    banks = river.course.buffer(RIVER_BANK_M - 5).difference(
        shapely.union_all([basin.buffer(2), corridors.buffer(6), _east_bank(river).buffer(4)])
    )
    ground = bend(banks)
    yield from trees(scatter(ground, 620, 5.5, rng), rng)
    for piece in lines(_east_bank(river).difference(corridors.buffer(4))):
        yield Feature(bend(piece), {"highway": "cycleway", "surface": "asphalt"}, "footway", 2.6, level=1)


def _east_bank(river: Way) -> LineString:
    return max(lines(river.course.offset_curve(-(RIVER_M + 9))), key=lambda line: line.length)


def _power(way: Way) -> Iterator[Feature]:
    """A power line; its towers are nodes of the line."""
    course = way.course
    feet = [course.interpolate(float(at)) for at in np.arange(40, course.length, 170)]
    ground = shapely.get_coordinates(bend(shapely.MultiPoint(feet)))
    wire = LineString(ground)
    cables = tuple(
        Stroke(part, "wire")
        for side in (-5.0, 5.0)
        for part in polygons(wire.offset_curve(side).buffer(0.3, cap_style="flat"))
    )
    yield Feature(
        wire, {"power": "line", "cables": "3", "voltage": "230000"}, "wire", 0.7, cables, level=_WIRE_LEVEL
    )
    for x, y in ground:
        yield Feature(Point(x, y), {"power": "tower"}, "tower", 5.5, height_m=14, level=_TOWER_LEVEL)


def _noded(courses: Sequence[LineString]) -> list[LineString]:
    """The courses with a vertex wherever two of them meet, so that crossing roads share a node."""
    tree = shapely.STRtree(courses)
    found = []
    for course in courses:
        ends = course.coords
        vertices = {0.0: ends[0], course.length: ends[-1]}
        for k in tree.query(course, predicate="intersects"):
            meeting = course.intersection(courses[k])
            if meeting.geom_type in {"Point", "MultiPoint"}:
                vertices |= {
                    round(course.project(Point(xy)), 3): xy for xy in shapely.get_coordinates(meeting)
                }
        found.append(LineString([xy for _, xy in sorted(vertices.items(), key=itemgetter(0))]))
    return found


def _invisible(rng: np.random.Generator) -> Iterator[Feature]:
    """Names, limits and things under the ground: in the map, never in the picture."""
    border = polygon(bend(shapely.box(60, 60, WIDTH - 60, HEIGHT - 60)))
    tags = {"boundary": "administrative", "admin_level": "8", "name": "Skytown", "type": "boundary"}
    yield Feature(border, tags)
    yield Feature(bend(Point(2060, 1690)), {"place": "town", "name": "Skytown", "population": "14210"})
    yield Feature(bend(Point(3480, 1250)), {"natural": "bay", "name": "Quiet Bay"})
    pipeline = bend(LineString([(200, 100), (700, 1500), (900, 3200)]))
    yield Feature(pipeline, {"man_made": "pipeline", "location": "underground", "substance": "gas"})
    subway = bend(LineString([(2480, 2500), (2480, 2620)]))
    yield Feature(subway, {"highway": "footway", "tunnel": "yes", "layer": "-1"})
    metro = bend(LineString([(1100, 1750), (1600, 1640), (2500, 1760)]))
    yield Feature(metro, {"railway": "subway", "tunnel": "yes", "layer": "-2", "name": "Line 1"})
    for k, x in enumerate((1120, 1640, 2190, 2900, 4300)):
        yield Feature(
            bend(Point(x, 1707)),
            {"highway": "bus_stop", "name": f"Stop {k + 1}", "ref": str(rng.integers(1000, 9999))},
        )
    yield Feature(bend(Point(2060, 1700)), {"highway": "traffic_signals"})
    yield Feature(bend(Point(2060, 820)), {"railway": "level_crossing"})
