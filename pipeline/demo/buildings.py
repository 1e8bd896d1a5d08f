"""Buildings, car parks, sports grounds and trees of the synthetic town: single things with their details."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import shapely
from shapely import LineString, Point, Polygon
from shapely.geometry.base import BaseGeometry

from pipeline.demo.feature import Feature, Stroke
from pipeline.demo.figures import Frame, disc, frame_of, polygon, shrunk_parts

_LEVEL = 10

_SHADED = math.radians(120)
"""Direction away from the sun, counter-clockwise from east."""

_CARS = ("white car", "black car", "red car", "blue car")
_ROOFS = ("red roof", "brown roof", "grey roof")


def house(frame: Frame, rng: np.random.Generator, tags: Mapping[str, str]) -> Feature:
    """A family house with a gabled roof, every third one with a wing."""
    w, d = rng.uniform(11, 16) / 2, rng.uniform(8.5, 11) / 2
    corners = [(-w, -d), (w, -d), (w, d), (-w, d)]
    north = math.cos(frame.angle) > 0
    shaded = [shapely.box(-w, 0 if north else -d, w, d if north else 0)]
    if rng.random() < 0.35:
        x = float(rng.choice([-1, 1])) * (w - 3)
        corners[1:1] = [(x - 3, -d), (x - 3, -d - 5), (x + 3, -d - 5), (x + 3, -d)]
        shaded.append(shapely.box(x - 3, -d - 5, x, -d))
    roof = _ROOFS[rng.choice(3, p=[0.4, 0.25, 0.35])]
    details = tuple(Stroke(polygon(frame.put(part)), f"{roof} shade") for part in shaded)
    return _building(polygon(frame.put(Polygon(dict.fromkeys(corners)))), tags, f"{roof} sun", details, 6)


def small_building(
    frame: Frame, width: float, depth: float, tags: Mapping[str, str], rng: np.random.Generator
) -> Feature:
    """A garage or shed."""
    roof = _ROOFS[rng.integers(3)]
    return _building(frame.box(0, 0, width, depth), tags, f"{roof} sun", (), 3)


def flat_building(
    outline: Polygon,
    tags: Mapping[str, str],
    rng: np.random.Generator,
    materials: tuple[str, str],
    height_m: float,
) -> Feature:
    """A large building with a flat roof (first material) and boxes of machinery on it (second material)."""
    roof, plant = materials
    frame = frame_of(outline)
    n = int(outline.area / 180) + 1
    boxes = frame.boxes(
        rng.uniform(-0.4, 0.4, n) * frame.width,
        rng.uniform(-0.35, 0.35, n) * frame.height,
        rng.uniform(2.5, 6, n),
        rng.uniform(2.5, 5, n),
    )
    return _building(outline, tags, roof, _strokes(outline, shapely.union_all(boxes), plant, 1.5), height_m)


def ridged_building(
    outline: Polygon, tags: Mapping[str, str], materials: tuple[str, str], height_m: float, bays: int = 1
) -> Feature:
    """A hall with `bays` gabled roofs side by side; materials are the sunny and the shaded side."""
    frame = frame_of(outline, longest_first=bays == 1)
    step = frame.height / bays
    shaded = [
        frame.box(0, -frame.height / 2 + (k + 0.75) * step, frame.width * 1.1, step / 2) for k in range(bays)
    ]
    return _building(
        outline, tags, materials[0], _strokes(outline, shapely.union_all(shaded), materials[1]), height_m
    )


def car_park(outline: Polygon, rng: np.random.Generator, filled: float = 0.6) -> Feature:
    """A car park: double rows of stalls between aisles."""
    frame = frame_of(outline)
    inner = outline.buffer(-1.2)
    x = np.arange(-frame.width / 2 + 3, frame.width / 2 - 2, 2.8)
    y = np.arange(-frame.height / 2 + 3.5, frame.height / 2 - 2, 17.0)
    x, y = (grid.ravel() for grid in np.meshgrid(x, np.concatenate([y, y + 5.4])))
    marks = frame.boxes(x - 1.4, y, 0.7, 5.0)
    taken = rng.random(x.size) < filled
    x, y = x[taken] + rng.normal(0, 0.1, taken.sum()), y[taken] + rng.normal(0, 0.3, taken.sum())
    cars, colours = frame.boxes(x, y, 1.9, 4.4), rng.choice(_CARS, x.size, p=[0.45, 0.35, 0.1, 0.1])
    shapely.prepare(inner)
    details = [Stroke(mark, "parking line") for mark in marks[shapely.contains(inner, marks)]]
    parked = shapely.contains(inner, cars)
    details += [Stroke(car, str(colour)) for car, colour in zip(cars[parked], colours[parked], strict=True)]
    tags = {"amenity": "parking", "parking": "surface", "surface": "asphalt", "access": "customers"}
    return Feature(outline, tags, "parking", details=tuple(details))


def soccer_pitch(frame: Frame, length: float = 98, width: float = 62) -> Feature:
    """A football field with its lines."""
    x, y = length / 2, width / 2
    marks = [
        shapely.box(-x + 3, -y + 3, x - 3, y - 3).exterior,
        LineString([(0, -y + 3), (0, y - 3)]),
        disc(0, 0, 9.15, 32).exterior,
        *(shapely.box(s * (x - 3), -20, s * (x - 19.5), 20).exterior for s in (-1, 1)),
    ]
    return _pitch(
        frame.box(0, 0, length, width), "soccer", "grass", "turf", [frame.put(mark) for mark in marks]
    )


def tennis_court(frame: Frame) -> Feature:
    """A tennis court with its run-off, 36 m by 18 m."""
    marks = [
        shapely.box(-11.9, -5.5, 11.9, 5.5).exterior,
        LineString([(-11.9, 4.1), (11.9, 4.1)]),
        LineString([(-11.9, -4.1), (11.9, -4.1)]),
        LineString([(0, -6), (0, 6)]),
    ]
    return _pitch(frame.box(0, 0, 36, 18), "tennis", "hard", "court", [frame.put(mark) for mark in marks])


def basketball_court(frame: Frame) -> Feature:
    """A basketball court, 30 m by 17 m."""
    marks = [
        shapely.box(-14, -7.5, 14, 7.5).exterior,
        LineString([(0, -7.5), (0, 7.5)]),
        disc(0, 0, 1.8).exterior,
    ]
    return _pitch(
        frame.box(0, 0, 30, 17), "basketball", "asphalt", "hard court", [frame.put(mark) for mark in marks]
    )


def baseball_field(frame: Frame, reach: float = 92) -> Feature:
    """A baseball field: a quarter disc from home plate at the frame's origin."""
    angle = np.linspace(0, math.pi / 2, 24)
    arc = np.column_stack([reach * np.cos(angle), reach * np.sin(angle)])
    outline = polygon(frame.put(Polygon([(-7, -7), *arc, (-7, -7)])))
    dirt = disc(12, 12, 31, 40).intersection(Polygon([(-4, -4), (60, -4), (60, 60), (-4, 60)]))
    dirt = dirt.difference(shapely.box(4, 4, 23, 23))
    marks = [frame.put(LineString([(0, 0), (reach - 4, 0)])), frame.put(LineString([(0, 0), (0, reach - 4)]))]
    pitch = _pitch(outline, "baseball", "grass", "turf", marks)
    return replace(pitch, details=(*_strokes(outline, frame.put(dirt), "infield", 1), *pitch.details))


def running_track(frame: Frame) -> list[Feature]:
    """A 400 m track around a football field: two straights and two bends."""
    spine = LineString([(-42, 0), (42, 0)])
    ring = polygon(frame.put(spine.buffer(46, quad_segs=12).difference(spine.buffer(36.5, quad_segs=12))))
    lanes = [frame.put(spine.buffer(r, quad_segs=12).exterior) for r in (38.9, 41.3, 43.7)]
    details = [
        Stroke(part, "tartan line") for lane in lanes for part in shrunk_parts(ring, lane.buffer(0.35), 0.6)
    ]
    tags = {"leisure": "track", "sport": "running", "surface": "tartan", "area": "yes"}
    return [Feature(ring, tags, "tartan", details=tuple(details)), soccer_pitch(frame, 90, 56)]


def trees(places: Sequence[Point], rng: np.random.Generator) -> Iterator[Feature]:
    """Single trees, mapped as nodes; their crowns are shaded on the side away from the sun."""
    angle = np.linspace(-0.5, 0.5, 7) * math.pi + _SHADED
    arc = np.column_stack([np.cos(angle), np.sin(angle)])
    away = np.array([math.cos(_SHADED), math.sin(_SHADED)])
    inner = (arc - 0.75 * (arc @ away)[:, None] * away)[::-1]
    crescent = np.concatenate([arc, inner[1:-1]]) * 0.98
    radius, needles = rng.uniform(2.2, 4.6, len(places)), rng.random(len(places)) < 0.2
    centres = shapely.get_coordinates(np.array(places, dtype=object))[:, None]
    shades = shapely.polygons(centres + crescent * radius[:, None, None])
    for place, r, leaf, shade in zip(places, radius.tolist(), needles, shades, strict=True):
        tags = {"natural": "tree", "leaf_type": "needleleaved" if leaf else "broadleaved"}
        yield Feature(place, tags, "tree", 2 * r, (Stroke(shade, "tree shade"),), 0.9 * r, _LEVEL)


def _building(
    outline: Polygon, tags: Mapping[str, str], roof: str, details: tuple[Stroke, ...], height_m: float
) -> Feature:
    return Feature(outline, tags, roof, details=details, height_m=height_m, level=_LEVEL)


def _pitch(outline: Polygon, sport: str, surface: str, material: str, marks: list[BaseGeometry]) -> Feature:
    drawn = shapely.union_all(shapely.buffer(marks, 0.35, cap_style="flat"))
    tags = {"leisure": "pitch", "sport": sport, "surface": surface}
    return Feature(outline, tags, material, details=_strokes(outline, drawn, "pitch line", 0.8))


def _strokes(outline: Polygon, part: BaseGeometry, material: str, margin: float = 0.0) -> tuple[Stroke, ...]:
    return tuple(Stroke(piece, material) for piece in shrunk_parts(outline, part, margin))
