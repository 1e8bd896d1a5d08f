"""What grows and lies on the blocks around the town: each function fills one block."""

import math
from collections.abc import Iterator

import numpy as np
import shapely
from shapely import LineString, Polygon
from shapely.geometry.base import BaseGeometry

from pipeline.demo.buildings import trees
from pipeline.demo.feature import Feature, Stroke
from pipeline.demo.figures import (
    blob,
    disc,
    frame_of,
    inset,
    lines,
    polygon,
    polygons,
    scatter,
    shrunk_parts,
    split,
)
from pipeline.demo.texture import DIRECTIONS

_CROPS = {"maize": "maize", "wheat": "wheat", "fallow": "", "soy": "soy"}


def fields(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """Fields and meadows; hedges and farm tracks between them."""
    parts, cuts = split(inset(block, 5, 6), float(rng.uniform(30e3, 60e3)), 11, rng)
    yield from _seams(cuts, rng)
    for part in parts:
        field = inset(part, 1.5, 5)
        if field.area < 600:
            continue
        draw = rng.random()
        if draw < 0.68:
            yield _crop(field, rng)
        elif draw < 0.84:
            yield Feature(field, {"landuse": "meadow"}, "meadow")
        elif draw < 0.94:
            yield _wood(field, rng)
        else:
            yield Feature(field, {"natural": "scrub"}, "scrub")


def woods(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """Forest, with a few clearings and paths."""
    parts, cuts = split(inset(block, 5, 10), 90e3, 9, rng)
    for cut in cuts:
        yield Feature(cut, {"highway": "path", "surface": "ground"}, "farm track", 2.0, level=1)
    for part in parts:
        wood = inset(part, 1, 8)
        if wood.area > 40e3 and rng.random() < 0.5:
            spot = wood.representative_point()
            clearing = blob(spot.x, spot.y, float(rng.uniform(35, 55)), 0.3, rng)
            if wood.buffer(-20).contains(clearing):
                yield Feature(clearing, {"natural": "scrub"}, "scrub")
                wood = polygon(wood.difference(clearing))
        yield _wood(wood, rng) if rng.random() < 0.85 else Feature(wood, {"landuse": "meadow"}, "meadow")


def meadow(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """A strip of meadows with woods."""
    parts, cuts = split(inset(block, 5, 8), 40e3, 10, rng)
    yield from _seams(cuts, rng)
    for part in parts:
        field = inset(part, 1, 6)
        if rng.random() < 0.65:
            yield Feature(field, {"landuse": "meadow"}, "meadow")
        else:
            yield _wood(field, rng)


def orchards(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """Orchards, with a hedge or a track between."""
    parts, cuts = split(inset(block, 5, 4), 45e3, 11, rng)
    yield from _seams(cuts, rng)
    for part in parts:
        fruit = str(rng.choice(["apple", "peach"]))
        yield Feature(inset(part, 1, 3), {"landuse": "orchard", "trees": f"{fruit}_trees"}, "orchard")


def vineyards(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """Vineyards, each with rows in its own direction."""
    parts, cuts = split(inset(block, 5, 4), 40e3, 9, rng)
    yield from _seams(cuts, rng)
    for part in parts:
        tags = {"landuse": "vineyard", "crop": "grape"}
        yield Feature(inset(part, 1, 3), tags, f"vineyard{rng.integers(DIRECTIONS)}")


def lake(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """A lake with an island and a beach, reeds, a path around it, and meadows."""
    room = inset(block, 5, 10)
    frame = frame_of(block)
    middle = frame.at(20, 30)
    shore = blob(middle.x, middle.y, 275, 0.22, rng)
    water = polygon(shore.intersection(inset(block, 75, 60)))
    isle_at = frame.at(80, 70)
    island = blob(isle_at.x, isle_at.y, 52, 0.3, rng)
    south = frame.at(-150, -200)
    reeds = polygon(
        disc(south.x, south.y, 190, 48).intersection(water.buffer(46)).difference(water).intersection(room)
    )
    east = frame.at(300, 40)
    beach = polygon(disc(east.x, east.y, 120, 40).intersection(water.buffer(15)).difference(water))
    yield Feature(
        polygon(water.difference(island)),
        {"natural": "water", "water": "lake", "name": "Mirror Lake"},
        "water",
    )
    yield Feature(island, {"natural": "wood", "place": "islet", "name": "Heron Island"}, "broadleaved")
    yield Feature(reeds, {"natural": "wetland", "wetland": "reedbed"}, "wetland")
    yield Feature(beach, {"natural": "beach", "surface": "sand"}, "sand")
    built = [water, reeds, beach]
    belt = shapely.union_all(built).buffer(22)
    path = belt.exterior
    yield Feature(
        LineString(path.coords), {"highway": "footway", "surface": "gravel"}, "footway", 2.4, level=1
    )
    banks = belt.buffer(-4).difference(shapely.union_all(built))
    yield from trees(scatter(banks, 170, 7, rng, built), rng)
    for part in polygons(room.difference(belt.buffer(8))):
        for field in split(inset(part, 0, 4), 70e3, 10, rng)[0]:
            shape = inset(field, 1, 5)
            if shape.area > 800:
                yield (
                    Feature(shape, {"landuse": "meadow"}, "meadow")
                    if rng.random() < 0.6
                    else _wood(shape, rng)
                )


def golf(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """A golf course: fairways and greens are its details, bunkers and ponds are cut out."""
    grounds = inset(block, 6, 14)
    frame = frame_of(block, longest_first=False)
    fairways: list[BaseGeometry] = []
    greens: list[BaseGeometry] = []
    bunkers: list[Polygon] = []
    rows, cols = 3, 4
    for k in range(rows * cols):
        at_x = ((k % cols + 0.5) / cols - 0.5) * frame.width * 0.92
        at_y = ((k // cols + 0.5) / rows - 0.5) * frame.height * 0.92
        hole = frame.at(at_x, at_y, float(rng.choice([0.25, 0.4, 0.6, 0.75]) * math.pi + rng.normal(0, 0.15)))
        reach = float(rng.uniform(75, 105))
        x = np.linspace(-reach, reach, 14)
        y = rng.normal(0, 26) * ((x / reach) ** 2 - 0.5)
        fairways.append(hole.put(LineString(np.column_stack([x, y])).buffer(rng.uniform(13, 18))))
        pin = hole.at(reach + 27, float(y[-1]))
        greens.append(blob(pin.x, pin.y, 13, 0.2, rng))
        for side in (-1, 1):
            trap = hole.at(reach + float(rng.uniform(14, 34)), float(y[-1]) + side * 24)
            bunkers.append(blob(trap.x, trap.y, float(rng.uniform(6, 9)), 0.3, rng))
    pond_at = frame.at(float(rng.uniform(-60, 60)), 30.0)
    pond = blob(pond_at.x, pond_at.y, 46, 0.35, rng)
    room = grounds.buffer(-8).difference(shapely.union_all([pond, *greens]).buffer(4))
    traps = [trap for trap in bunkers if room.contains(trap)]
    course = polygon(grounds.difference(shapely.union_all([pond, *traps])))
    details = [Stroke(part, "fairway") for part in shrunk_parts(course, shapely.union_all(fairways), 2)]
    details += [Stroke(part, "green") for part in shrunk_parts(course, shapely.union_all(greens), 2)]
    yield Feature(
        course, {"leisure": "golf_course", "name": "Otter River Golf Club"}, "rough", details=tuple(details)
    )
    yield Feature(pond, {"natural": "water", "water": "pond"}, "water")
    for trap in traps:
        yield Feature(trap, {"golf": "bunker", "natural": "sand"}, "sand")


def quarry(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """A stepped pit in the woods."""
    room = inset(block, 6, 8)
    frame = frame_of(block)
    pit_at = frame.at(-60, -40)
    pit = polygon(blob(pit_at.x, pit_at.y, 210, 0.2, rng).intersection(inset(block, 20, 20)))
    details: list[Stroke] = []
    for depth in range(14, 130, 26):
        details += [Stroke(part, "quarry wall") for part in polygons(pit.buffer(-depth))]
        floor = "quarry floor" if depth > 60 else "quarry"
        details += [Stroke(part, floor) for part in polygons(pit.buffer(-depth - 8))]
    yield Feature(pit, {"landuse": "quarry", "resource": "limestone"}, "quarry", details=tuple(details))
    for part in polygons(room.difference(pit.buffer(14))):
        for wood in split(part, 90e3, 10, rng)[0]:
            shape = inset(wood, 1, 6)
            if shape.area > 1500:
                yield _wood(shape, rng)


def solar(block: Polygon, rng: np.random.Generator) -> Iterator[Feature]:
    """Solar farms: rows of panels that face south."""
    parts, cuts = split(inset(block, 8, 4), 120e3, 14, rng)
    yield from _seams(cuts, rng)
    tags = {
        "power": "plant",
        "plant:source": "solar",
        "plant:method": "photovoltaic",
        "operator": "Valley Power",
    }
    for part in parts:
        plant = inset(part, 2, 3)
        west, south, east, north = plant.bounds
        tables = [
            shapely.box(x, y, x + 52, y + 3.4)
            for y in np.arange(south, north, 6.6)
            for x in np.arange(west - 20 * rng.random(), east, 57)
        ]
        shown = shapely.intersection(plant.buffer(-7), np.array(tables, dtype=object))
        details = [Stroke(piece, "solar panel") for table in shown for piece in polygons(table)]
        yield Feature(plant, tags, "solar gap", details=tuple(details))


def _crop(field: Polygon, rng: np.random.Generator) -> Feature:
    crop = str(rng.choice(list(_CROPS), p=[0.32, 0.28, 0.15, 0.25]))
    tags = {"landuse": "farmland"} | ({"crop": _CROPS[crop]} if _CROPS[crop] else {})
    angle = frame_of(field).angle % math.pi
    direction = round((math.pi - angle + math.pi / 2) / math.pi * DIRECTIONS) % DIRECTIONS
    return Feature(field, tags, f"{crop}{direction}")


def _wood(shape: Polygon, rng: np.random.Generator) -> Feature:
    leaves = str(rng.choice(["broadleaved", "needleleaved"], p=[0.7, 0.3]))
    key = ("landuse", "forest") if rng.random() < 0.7 else ("natural", "wood")
    return Feature(shape, {key[0]: key[1], "leaf_type": leaves}, leaves)


def _seams(cuts: list[LineString], rng: np.random.Generator) -> Iterator[Feature]:
    """A hedge, a farm track or nothing between two fields."""
    for cut in cuts:
        draw = rng.random()
        for piece in lines(cut):
            if draw < 0.4:
                yield Feature(piece, {"barrier": "hedge"}, "hedge", 3.2, height_m=2, level=1)
            elif draw < 0.75:
                yield Feature(piece, {"highway": "track", "tracktype": "grade2"}, "farm track", 3.4, level=1)
