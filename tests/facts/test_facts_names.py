"""What a patch names: collected from all elements that reach into it."""

import pyarrow as pa
import pytest
import shapely

from pipeline.facts.find import find_facts
from pipeline.facts.names import is_name_like
from pipeline.osm.vocabulary import load_vocabulary
from pipeline.tables import NAMES
from tests.facts_world import ONE, Thing, patches_at, table_of


@pytest.mark.parametrize(
    "key",
    [
        "name", "name:de", "alt_name", "old_name:en", "official_name", "short_name", "loc_name", "int_name", "ref",
        "int_ref", "operator", "brand", "network", "owner", "addr:street", "addr:city", "destination",
        "destination:ref", "operator:short", "brand:en", "bridge:name", "addr:housename", "name_1",
    ],
)  # fmt: skip
def test_keys_that_name(key: str) -> None:
    assert is_name_like(key)


@pytest.mark.parametrize(
    "key",
    [
        "building", "surface", "addr:housenumber", "addr:postcode", "brand:wikidata", "source:name", "operator:type",
        "rename", "named", "reference", "unsigned_preference", "highway",
    ],
)  # fmt: skip
def test_keys_that_do_not(key: str) -> None:
    assert not is_name_like(key)


def names(things: list[Thing]) -> dict[str, list[str]]:
    patches = patches_at([(0, 0), (400, 0), (800, 0)])
    found = list(find_facts(patches, table_of(things), {ONE.id: ONE}, load_vocabulary()))
    table = pa.concat_tables(each.names for each in found)
    assert table.schema.equals(NAMES)
    return dict(zip(table["patch"].to_pylist(), table["names"].to_pylist(), strict=True))


def test_names_of_what_reaches_into_a_patch() -> None:
    """Visible or not: a street through two patches, a place node, a shop; the third patch names nothing."""
    street = {
        "highway": "residential",
        "name": " Oak Lane ",
        "ref": "B 12",
        "name:de": "Eichenweg",
        "lanes": "2",
    }
    things = [
        Thing("w1", street, shapely.LineString([(-10, 50), (500, 60)])),
        Thing("n2", {"place": "hamlet", "name": "Alby"}, shapely.Point(20, 300)),
        Thing("n3", {"shop": "books", "name": "Alby", "addr:housenumber": "7"}, shapely.Point(30, 300)),
        Thing("w4", {"natural": "water", "name": "Über See", "ref": "17"}, shapely.box(600, 200, 700, 300)),
        Thing("w5", {"natural": "water"}, shapely.box(900, 200, 1000, 300)),
        Thing("w6", {"natural": "wood", "name": "Diagonal"}, shapely.Polygon([(810, 500), (1300, 10), (1300, 500)])),
    ]  # fmt: skip
    assert names(things) == {
        "one-0-0": ["Alby", "B 12", "Eichenweg", "Oak Lane"],
        "one-400-0": ["B 12", "Eichenweg", "Oak Lane", "Über See"],
        "one-800-0": ["Diagonal"],
    }


def test_patches_without_names_have_no_row() -> None:
    assert names([Thing("w5", {"natural": "water"}, shapely.box(900, 200, 1000, 300))]) == {}
