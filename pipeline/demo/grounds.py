"""Open grounds of the town, for sport, rest and remembrance: each function fills one block."""

import math
from collections.abc import Iterator

import numpy as np
import shapely
from shapely import Polygon

from pipeline.demo.buildings import (
    baseball_field,
    basketball_court,
    car_park,
    flat_building,
    ridged_building,
    running_track,
    soccer_pitch,
    tennis_court,
    trees,
)
from pipeline.demo.feature import Feature
from pipeline.demo.figures import (
    blob,
    frame_in,
    inset,
    polygon,
    scatter,
)


def church(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """A church, a playground and a car park among trees."""
    frame = frame_in(inset(block, 3))
    nave = shapely.box(-22, -7, 22, 7).union(shapely.box(4, -15, 15, 15))
    outline = polygon(frame.at(-40, 25).put(nave))
    tags = {
        "building": "church",
        "amenity": "place_of_worship",
        "religion": "christian",
        "name": "Saint Hubert",
    }
    lot = frame.box(65, -45, 90, 52)
    play = frame.box(60, 35, 42, 30)
    shapes = [outline, lot, play]
    yield ridged_building(outline, tags, ("copper roof", "copper roof shade"), 12)
    yield car_park(lot, rng, 0.3)
    yield Feature(play, {"leisure": "playground", "surface": "sand"}, "playground")
    yield from trees(scatter(block.buffer(-6), int(block.area / 380), 7, rng, shapes), rng)


def school(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """A school with its sports grounds."""
    frame = frame_in(inset(block, 3))
    w, h = frame.width, frame.height
    body = shapely.union_all(
        [shapely.box(-62, 8, 62, 26), *(shapely.box(x - 9, -30, x + 9, 8) for x in (-53, 0, 53))]
    )
    outline = polygon(frame.at(-w / 2 + 72, h / 2 - 30).put(body))
    tags = {"building": "school", "amenity": "school", "name": "Otter River High School"}
    found = [flat_building(outline, tags, rng, ("copper roof", "copper roof shade"), 8)]
    found += running_track(frame.at(w / 2 - 95, -h / 2 + 54))
    found.append(baseball_field(frame.at(-w / 2 + 16, -h / 2 + 16), 84))
    found += [tennis_court(frame.at(w / 2 - 125 + 24 * k, h / 2 - 34, math.pi / 2)) for k in range(4)]
    found.append(basketball_court(frame.at(w / 2 - 180, h / 2 - 34, math.pi / 2)))
    found.append(car_park(frame.box(w / 2 - 75, h / 2 - 108, 120, 52), rng, 0.7))
    found += [soccer_pitch(frame.at(-w / 2 + 126 + 64 * k, 22, math.pi / 2), 90, 54) for k in range(2)]
    yield from found
    shapes = [feature.geometry for feature in found]
    shapes.append(frame.at(w / 2 - 95, -h / 2 + 54).box(0, 0, 190, 100))
    yield from trees(scatter(block.buffer(-6), int(block.area / 900), 8, rng, shapes), rng)


def sports(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """A sports centre: three football fields, tennis, baseball and a car park."""
    frame = frame_in(inset(block, 3))
    w, h = frame.width, frame.height
    found = [soccer_pitch(frame.at(-w / 2 + 75 + 76 * k, h / 2 - 85, math.pi / 2)) for k in range(5)]
    found += [tennis_court(frame.at(-w / 2 + 50 + 24 * k, -h / 2 + 45, math.pi / 2)) for k in range(6)]
    found += [
        baseball_field(frame.at(w / 2 - 150, -h / 2 + 66)),
        baseball_field(frame.at(w / 2 - 190, h / 2 - 50, -math.pi / 2)),
        car_park(frame.box(-w / 2 + 270, -h / 2 + 60, 120, 70), rng, 0.5),
    ]
    yield from found
    shapes = [feature.geometry for feature in found]
    yield from trees(scatter(block.buffer(-6), int(block.area / 900), 9, rng, shapes), rng)


def park(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """A park with a pond in the middle."""
    outer = inset(block, 4, 12)
    middle = outer.centroid
    pond = blob(middle.x, middle.y, 32, 0.25, rng)
    tags = {"leisure": "park", "name": "Founders Park"}
    yield Feature(polygon(outer.difference(pond)), tags, "park")
    yield Feature(pond, {"natural": "water", "water": "pond"}, "water")


def cemetery(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """A cemetery behind a belt of trees."""
    grounds = inset(block, 16, 6)
    yield Feature(
        grounds, {"landuse": "cemetery", "name": "Hillcrest Cemetery", "religion": "christian"}, "cemetery"
    )
    belt = block.buffer(-5).difference(grounds.buffer(1))
    yield from trees(scatter(belt, int(belt.area / 70), 6.5, rng, [grounds]), rng)


def allotments(block: Polygon, _rng: np.random.Generator) -> Iterator[Feature]:
    """Allotment gardens."""
    yield Feature(inset(block, 5, 3), {"landuse": "allotments", "name": "Sunny Side Gardens"}, "allotments")
