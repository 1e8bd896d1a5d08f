"""Factories, tanks and farms: each function fills one block."""

import math
from collections.abc import Iterator
from itertools import cycle

import numpy as np
import shapely
from shapely import Point, Polygon

from pipeline.demo.buildings import (
    house,
    ridged_building,
    trees,
)
from pipeline.demo.feature import Feature, Stroke
from pipeline.demo.figures import (
    boxes,
    disc,
    frame_in,
    frame_of,
    inset,
    polygon,
    scatter,
    shrunk_parts,
    split,
)

_CONTAINERS = ("red box", "blue box", "green box")


def industry(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """Yards around factory halls: the halls are cut out of the yard, as inner rings."""
    parts, _ = split(inset(block, 4), 24000, 12, rng)
    for part in parts:
        if part.area < 3000:
            continue
        halls = [_hall(piece, rng) for piece in split(inset(part, 14), 6000, 26, rng)[0] if piece.area > 900]
        yard = part.difference(shapely.union_all([hall.geometry for hall in halls]))
        turn, room = frame_of(part).angle, polygon(yard).buffer(-9)
        spots = shapely.get_coordinates(scatter(room, int(yard.area / 300), 7, rng))
        stacks = boxes(spots[:, 0], spots[:, 1], turn, 12.2, 2.6)
        details = [Stroke(box, colour) for box, colour in zip(stacks, cycle(_CONTAINERS), strict=False)]
        yield Feature(polygon(yard), {"landuse": "industrial"}, "yard", details=tuple(details))
        yield from halls


def tanks(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """Rows of storage tanks on a paved yard."""
    yield Feature(inset(block, 3), {}, "paving", level=-2)
    frame = frame_in(inset(block, 3))
    for y in np.arange(-frame.height / 2 + 38, frame.height / 2 - 25, 58):
        radius = float(rng.uniform(11, 19))
        for x in np.arange(-frame.width / 2 + 40, frame.width / 2 - 30, 3 * radius):
            spot = frame.at(x, y)
            tank = disc(spot.x, spot.y, radius, 32)
            shade = tank.difference(disc(spot.x + 0.22 * radius, spot.y - 0.38 * radius, radius, 32))
            details = tuple(Stroke(part, "tank shade") for part in shrunk_parts(tank, shade, 0.0))
            tags = {"man_made": "storage_tank", "content": "oil", "ref": f"T{int(rng.integers(100, 999))}"}
            yield Feature(tank, tags, "tank", details=details, height_m=9, level=10)


def farm(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """A farmhouse and its barns around a yard of bare soil."""
    yield Feature(inset(block, 8, 8), {}, "dirt", level=-2)
    frame = frame_in(inset(block, 3))
    found = [
        house(frame.at(-30, -18), rng, {"building": "farm", "addr:housename": "Old Farm"}),
        *(
            ridged_building(
                frame.at(x, y, turn).box(0, 0, 34, 14),
                {"building": "barn"},
                ("barn roof", "barn roof shade"),
                8,
            )
            for x, y, turn in ((12, 22, 0.0), (34, -12, math.pi / 2))
        ),
    ]
    silos = [frame.at(-24 + 9 * k, 20) for k in range(2)]
    yield from found
    for spot in silos:
        tags = {"man_made": "silo"}
        yield Feature(Point(spot.x, spot.y), tags, "tower", 6, height_m=9, level=10)
    shapes = [*(feature.geometry for feature in found), frame.box(-5, 20, 60, 14)]
    yield from trees(scatter(block.buffer(-5), 14, 9, rng, shapes), rng)


def _hall(outline: Polygon, rng: np.random.Generator) -> Feature:
    kind = str(rng.choice(["industrial", "warehouse"]))
    bays = int(rng.integers(1, 5))
    tags = {"building": kind, "operator": "Skytown Works"}
    return ridged_building(outline, tags, ("metal roof", "metal roof shade"), 10, bays)
