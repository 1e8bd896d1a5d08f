"""The map and the picture of the demo world agree to the pixel."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.demo import make_world
from pipeline.demo.palette import MATERIALS, palette
from pipeline.demo.texture import SHADE, SWELL
from tests.demo.truth import AREA_CLASSES, Geometry, Pixels, near_a_border, thirds


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world")).parent


@pytest.fixture(scope="module")
def scenes(world: Path) -> list[Pixels]:
    return [Pixels(path) for path in sorted((world / "imagery").glob("*.tif"))]


@pytest.fixture(scope="module")
def geometry(world: Path) -> Geometry:
    return Geometry(world / "town.osm.pbf")


def windows(scenes: list[Pixels]) -> Iterator[tuple[Pixels, int, int]]:
    return ((scene, col, row) for scene in scenes for col, row in scene.windows())


def test_no_painted_colour_can_be_mistaken() -> None:
    names, colours = palette()
    steps = np.arange(-SHADE - SWELL, SHADE + SWELL + 1)[:, None]
    for material in MATERIALS.values():
        for tone in material.tones:
            painted = np.clip(np.rint(tone + steps * material.relief * [1, 1, 1, 0.5]), 0, 255)
            nearest = ((painted[:, None] - colours[None]) ** 2).sum(-1).argmin(-1)
            assert {names[k] for k in nearest} == {material.ground_class}, material.name


def test_shares_in_the_pixels_are_the_shares_on_the_map(scenes: list[Pixels], geometry: Geometry) -> None:
    seen: set[str] = set()
    worst = 0.0
    number = 0
    for scene, col, row in windows(scenes):
        counted, mapped = scene.count(col, row), geometry.measure(scene.transform, col, row)
        number += 1
        for name in AREA_CLASSES:
            difference = abs(counted.shares.get(name, 0.0) - mapped.shares.get(name, 0.0))
            assert difference < 0.005, (name, col, row, counted.shares.get(name), mapped.shares.get(name))
            worst = max(worst, difference)
        seen.update(counted.shares)
    assert number >= 190
    assert seen == set(AREA_CLASSES)
    assert worst < 0.002  # what is left is the rounding of outlines to whole pixels


def test_positions_in_the_pixels_are_the_positions_on_the_map(scenes: list[Pixels], geometry: Geometry) -> None:
    for scene, col, row in windows(scenes):
        counted, mapped = scene.count(col, row), geometry.measure(scene.transform, col, row)
        for name, place in mapped.centroids.items():
            if mapped.shares[name] < 0.0005:
                continue  # slivers of a hundred pixels: their outline is as large as they are
            pixels = counted.centroids[name]
            assert np.hypot(*np.subtract(pixels, place)) < 2.0, (name, col, row)
            assert thirds(*pixels) == thirds(*place) or near_a_border(*place)


def test_painted_areas_do_not_overlap_on_the_map(geometry: Geometry) -> None:
    left, right = geometry.tree.query(geometry.shapes, predicate="intersects")
    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        if one < other and geometry.classes[one] != geometry.classes[other]:
            assert geometry.shapes[one].intersection(geometry.shapes[other]).area < 1.0  # rounding of coordinates
