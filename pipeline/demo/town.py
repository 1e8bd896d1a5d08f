"""Where people live and shop: each function fills one block of the town."""

import math
from collections.abc import Iterator

import numpy as np
import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from pipeline.demo.buildings import (
    car_park,
    flat_building,
    house,
    small_building,
    trees,
)
from pipeline.demo.feature import Feature
from pipeline.demo.figures import (
    Frame,
    frame_in,
    frame_of,
    inset,
    polygon,
    scatter,
    split,
    stations,
)

_FLAT = ("flat roof", "roof plant")
_DARK = ("dark flat roof", "roof plant")


def residential(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """Houses around the block, gardens with sheds, pools and trees between them."""
    ring = inset(block, 13, 2)
    if ring.is_empty:
        yield from trees(scatter(block.buffer(-6), int(block.area / 500), 8, rng), rng)
        return
    built: list[BaseGeometry] = []
    number = int(rng.integers(1, 400))
    loop, room = shapely.LineString(ring.exterior.coords), ring.buffer(9)
    shapely.prepare(room)
    for spot in stations(loop, float(rng.uniform(21, 27)), float(rng.uniform(0, 10))):
        if rng.random() < 0.06:
            continue
        turned = spot.at(0, 0, math.pi if rng.random() < 0.2 else 0.0)
        kind = str(rng.choice(["house", "detached"], p=[0.7, 0.3]))
        number += 2
        home = house(turned, rng, {"building": kind, "addr:housenumber": str(number)})
        if _fits(home.geometry, built, room, 3.5):
            built.append(home.geometry)
            yield home
    garden = inset(block, 26)
    for place in scatter(garden, int(garden.area / 700), 16, rng, built):
        frame = Frame(place.x, place.y, float(rng.uniform(0, math.pi)))
        if rng.random() < 0.45:
            pool = frame.box(0, 0, 9.5, 5.0)
            found = Feature(pool, {"leisure": "swimming_pool", "access": "private"}, "pool")
        else:
            kind, size = ("garage", (6.5, 6.5)) if rng.random() < 0.5 else ("shed", (4.5, 3.6))
            found = small_building(frame, *size, {"building": kind}, rng)
        if _fits(found.geometry, built, block, 3):
            built.append(found.geometry)
            yield found
    yield from trees(scatter(block.buffer(-5), int(block.area / 560), 5.2, rng, built), rng)


def downtown(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """Large buildings wall to wall, car parks in between, shops inside."""
    yield Feature(block.buffer(-0.5), {}, "paving", level=-2)
    parts, _ = split(block.buffer(-2), 2600, 7, rng)
    for k, part in enumerate(parts):
        if part.area < 500:
            yield from trees(scatter(part.buffer(-5), 3, 7, rng), rng)
        elif k % 4 == 2:
            yield car_park(part, rng)
        elif k % 9 == 4:
            yield _garden(part)
        else:
            yield from _block_building(part, rng)


def apartments(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """Slabs in rows with a car park and trees."""
    frame = frame_in(inset(block, 3))
    built: list[BaseGeometry] = []
    for k, x in enumerate(np.arange(-frame.width / 2 + 24, frame.width / 2 - 20, 40)):
        if k % 3 == 2:
            lot = polygon(frame.box(x, 0, 34, frame.height - 24).intersection(inset(block, 6)))
            built.append(lot)
            yield car_park(lot, rng, 0.8)
            continue
        slab = frame.box(x, 0, 14, frame.height - 30)
        levels = str(rng.integers(4, 9))
        tags = {"building": "apartments", "building:levels": levels, "addr:housenumber": str(k + 1)}
        built.append(slab)
        yield flat_building(slab, tags, rng, ("slab roof", "slab roof edge"), 14)
    yield from trees(scatter(block.buffer(-5), int(block.area / 500), 6, rng, built), rng)


def mall(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """A shopping centre in a sea of cars."""
    yield Feature(block.buffer(-0.5), {}, "paving", level=-2)
    frame = frame_in(inset(block, 3))
    hall = polygon(
        shapely.union_all(
            [frame.box(60, 18, 300, 70), frame.box(-40, -10, 90, 110), frame.box(180, -6, 80, 90)]
        )
    )
    yield flat_building(
        hall, {"building": "retail", "name": "Otter River Galleria", "shop": "mall"}, rng, _FLAT, 9
    )
    room = inset(block, 8).difference(hall.buffer(9))
    w, h = frame.width + 60, frame.height + 60
    lots = (
        frame.box(-w / 4 - 55, 0, w / 2 - 95, h),
        frame.box(68, 4 - h / 4, 110, h / 2),
        frame.box(w / 2 - 50, 0, 100, h),
    )
    for lot, filled in zip(lots, (0.65, 0.5, 0.25), strict=True):
        yield car_park(polygon(room.intersection(lot)), rng, filled)


def _block_building(part: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    outline = inset(part, float(rng.uniform(2, 6)))
    frame = frame_of(outline)
    if frame.height > 42 and rng.random() < 0.6:
        court = frame.box(0, 0, frame.width - 32, frame.height - 32)
        opening = frame.box(0, -frame.height / 2, 14, frame.height)
        outline = polygon(outline.difference(court.union(opening)))
    kind = str(rng.choice(["commercial", "retail", "office"], p=[0.4, 0.4, 0.2]))
    materials = _FLAT if rng.random() < 0.6 else _DARK
    tags = {"building": kind, "building:levels": str(rng.integers(2, 7))}
    yield flat_building(outline, tags, rng, materials, 12)
    inside = outline.representative_point()
    shop, name = _SHOPS[rng.integers(len(_SHOPS))]
    key, value = shop.split("=")
    yield Feature(inside, {key: value, "name": name, "opening_hours": "Mo-Sa 08:00-18:00"})


def _garden(part: Polygon) -> Feature:
    return Feature(inset(part, 3, 4), {"leisure": "park", "name": "Court Square"}, "park")


def _fits(shape: BaseGeometry, built: list[BaseGeometry], room: Polygon, apart: float) -> bool:
    return bool(room.contains(shape)) and not (
        built and bool(np.any(shapely.dwithin(np.array(built, dtype=object), shape, apart)))
    )


_SHOPS = (
    ("shop=bakery", "Crumb & Co."),
    ("shop=books", "The Turning Page"),
    ("amenity=restaurant", "Blue Heron Grill"),
    ("amenity=bank", "First Valley Bank"),
    ("shop=clothes", "Thread Needle"),
    ("amenity=cafe", "Daily Grind"),
    ("office=lawyer", "Marsh & Partners"),
    ("amenity=pharmacy", "Main Street Pharmacy"),
)
