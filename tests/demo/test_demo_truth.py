"""The map and the picture of the demo world agree to the pixel."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from pipeline.configfile import load_config
from pipeline.demo.palette import MATERIALS, palette
from pipeline.demo.texture import SHADE, SWELL
from pipeline.engine import build
from pipeline.inventory import take_inventory
from pipeline.ledger import read_commits
from pipeline.stages.base import read_table
from tests.demo.truth import AREA_CLASSES, CLASS_OF_TAG, SIZE, Geometry, Pixels, near_a_border, thirds

Place: TypeAlias = tuple[str, int, int]
"""Scene, column and row of a window."""

POSITIONS = [
    "top-left",
    "top",
    "top-right",
    "left",
    "center",
    "right",
    "bottom-left",
    "bottom",
    "bottom-right",
]


@pytest.fixture(scope="module")
def scenes(world: Path) -> Mapping[str, Pixels]:
    return {path.stem: Pixels(path) for path in sorted((world / "imagery").glob("*.tif"))}


@pytest.fixture(scope="module")
def geometry(world: Path) -> Geometry:
    return Geometry(world / "town.osm.pbf")


def windows(scenes: Mapping[str, Pixels]) -> Iterator[tuple[Pixels, int, int]]:
    return ((scene, col, row) for scene in scenes.values() for col, row in scene.windows())


def test_no_painted_colour_can_be_mistaken() -> None:
    names, colours = palette()
    steps = np.arange(-SHADE - SWELL, SHADE + SWELL + 1)[:, None]
    for material in MATERIALS.values():
        for tone in material.tones:
            painted = np.clip(np.rint(tone + steps * material.relief * [1, 1, 1, 0.5]), 0, 255)
            nearest = ((painted[:, None] - colours[None]) ** 2).sum(-1).argmin(-1)
            assert {names[k] for k in nearest} == {material.ground_class}, material.name


def test_shares_in_the_pixels_are_the_shares_on_the_map(
    scenes: Mapping[str, Pixels], geometry: Geometry
) -> None:
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


def test_positions_in_the_pixels_are_the_positions_on_the_map(
    scenes: Mapping[str, Pixels], geometry: Geometry
) -> None:
    for scene, col, row in windows(scenes):
        counted, mapped = scene.count(col, row), geometry.measure(scene.transform, col, row)
        for name, place in mapped.centroids.items():
            if mapped.shares[name] < 0.0005:
                continue  # slivers of a hundred pixels: their outline is as large as they are
            pixels = counted.centroids[name]
            limit = (
                2.0 if mapped.shares[name] > 0.005 else 6.0
            )  # a few small things far apart: rounding counts
            assert np.hypot(*np.subtract(pixels, place)) < limit, (name, col, row)
            assert thirds(*pixels) == thirds(*place) or near_a_border(*place, limit)


def test_painted_areas_do_not_overlap_on_the_map(geometry: Geometry) -> None:
    left, right = geometry.tree.query(geometry.shapes, predicate="intersects")
    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        if one < other and geometry.classes[one] != geometry.classes[other]:
            assert (
                geometry.shapes[one].intersection(geometry.shapes[other]).area < 1.0
            )  # rounding of coordinates


@pytest.fixture(scope="module")
def facts(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[Place, list[Mapping[str, Any]]]:
    """Facts of a real build by scene, column and row."""
    config = load_config(world / "geotiff.yaml")
    config = config.model_copy(update={"store": str(tmp_path_factory.mktemp("store"))})
    context = take_inventory(config, world)
    outcome = build(context)
    assert not outcome.errors
    found: dict[Place, list[Mapping[str, Any]]] = {}
    done = next(plan for plan in outcome.plan.stages if plan.stage.name == "facts").done
    for commit in read_commits(context.store, [each.key for each in done]):
        patches, facts = (
            read_table(context, commit.outputs[name]).to_pylist() for name in ("patches", "facts")
        )
        places = {patch["id"]: (patch["scene"], patch["col"], patch["row"]) for patch in patches}
        found |= {place: [] for place in places.values()}
        for fact in facts:
            found[places[fact["patch"]]].append(fact)
    return found


@pytest.mark.slow
def test_facts_of_a_real_build_say_what_the_pixels_show(
    scenes: Mapping[str, Pixels], geometry: Geometry, facts: Mapping[Place, list[Mapping[str, Any]]]
) -> None:
    whole = 0
    for (name, col, row), said in facts.items():
        scene = scenes[name]
        if not scene.valid[row : row + SIZE, col : col + SIZE].all():
            continue
        whole += 1
        counted, mapped = scene.count(col, row), geometry.measure(scene.transform, col, row)
        areas = [fact for fact in said if fact["kind"] == "area"]
        assert {fact["tag"] for fact in areas} <= set(CLASS_OF_TAG)
        for kind in AREA_CLASSES:
            own = [fact for fact in areas if CLASS_OF_TAG[fact["tag"]] == kind]
            share = sum(fact["share"] for fact in own) + mapped.unsaid.get(kind, 0.0)
            pixels = counted.shares.get(kind, 0.0)
            assert abs(pixels - share) < 0.005, (name, col, row, kind, pixels, own)
            if len(own) == 1 and own[0]["count"] == 1 and kind not in mapped.unsaid:
                across, down = thirds(*counted.centroids[kind])
                place = POSITIONS[3 * down + across]
                assert own[0]["positions"] == [place] or near_a_border(*counted.centroids[kind])
    assert whole >= 150


@pytest.mark.slow
def test_facts_of_a_real_build_name_nothing_that_cannot_be_seen(
    facts: Mapping[Place, list[Mapping[str, Any]]],
) -> None:
    tags = {fact["tag"] for said in facts.values() for fact in said}
    keys = {tag.split("=")[0] for tag in tags}
    assert not keys & {"name", "shop", "place", "boundary", "addr:housenumber", "office", "ref", "operator"}
    assert not tags & {"man_made=pipeline", "railway=subway", "natural=bay", "highway=bus_stop"}
    assert tags >= {"natural=tree", "power=line", "highway=motorway", "railway=rail", "barrier=hedge"}
