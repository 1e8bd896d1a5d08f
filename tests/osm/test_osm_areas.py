"""The area rule. Expected values are read from https://wiki.openstreetmap.org/wiki/Overpass_turbo/Polygon_Features."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline.osm
from pipeline.osm.areas import AREA_RULES, AREA_RULES_SHA256, Mode, are_areas, is_area, read_rules
from pipeline.osm.opl import TAGS


def tags_of(text: str) -> dict[str, str]:
    return dict(tag.split("=", 1) for tag in text.split())


@pytest.mark.parametrize(
    "tags",
    [
        "building=yes",
        "building=house name=x",
        "landuse=forest",
        "amenity=school",
        "leisure=track",
        "area=yes highway=pedestrian",
        "highway=services",
        "highway=rest_area",
        "natural=water",
        "natural=scrub",
        "man_made=wastewater_plant",
        "aeroway=runway",
        "aeroway=apron",
        "waterway=dam",
        "barrier=hedge",
        "railway=platform",
        "power=substation",
        "building:part=yes",
        "area:highway=footway",
        "highway=residential landuse=grass",
        "natural=cliff area=yes",
    ],
)
def test_closed_ways_that_are_areas(tags: str) -> None:
    assert is_area(tags_of(tags), closed=True)


@pytest.mark.parametrize(
    "tags",
    [
        "highway=residential",
        "highway=pedestrian",
        "highway=primary junction=roundabout",
        "natural=coastline",
        "natural=cliff",
        "natural=tree_row",
        "man_made=embankment",
        "man_made=pipeline",
        "aeroway=taxiway",
        "waterway=river",
        "barrier=fence",
        "railway=rail",
        "power=line",
        "name=Somewhere",
        "",
        "building=no",
        "natural=no",
        "aeroway=no",
        "building=yes area=no",
        "landuse=grass area=no",
        "area=no",
    ],
)
def test_closed_ways_that_are_lines(tags: str) -> None:
    assert not is_area(tags_of(tags), closed=True)


@pytest.mark.parametrize("tags", ["building=yes", "area=yes", "landuse=forest", "natural=water"])
def test_an_open_way_is_never_an_area(tags: str) -> None:
    assert not is_area(tags_of(tags), closed=False)


def test_the_table_has_every_key_of_the_rule() -> None:
    by_mode = {mode: {key for key, rule in AREA_RULES.items() if rule.mode is mode} for mode in Mode}
    assert by_mode[Mode.ONLY] == {"highway", "waterway", "barrier", "railway", "power"}
    assert by_mode[Mode.EXCEPT] == {"natural", "man_made", "aeroway"}
    assert len(by_mode[Mode.ALL]) == 19
    assert all(bool(rule.values) == (rule.mode is not Mode.ALL) for rule in AREA_RULES.values())


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="sometimes"):
        read_rules("key,mode,values\nbuilding,sometimes,\n")


def test_the_digest_follows_the_table() -> None:
    table = (Path(pipeline.osm.__file__).parent / "area_rules.csv").read_bytes()
    assert hashlib.sha256(table).hexdigest() == AREA_RULES_SHA256


KEYS = st.sampled_from(["area", "building", "highway", "natural", "aeroway", "name", "x=y", "barrier"])
VALUES = st.sampled_from(["yes", "no", "services", "water", "coastline", "taxiway", "hedge", "a=b", ""])


@settings(deadline=None)
@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=5), max_size=8), st.integers(0, 3))
def test_many_ways_are_judged_as_one_by_one(rows: list[dict[str, str]], skipped: int) -> None:
    column = pa.array([list(tags.items()) for tags in rows], TAGS).slice(skipped)
    assert are_areas(column).tolist() == [is_area(tags, closed=True) for tags in rows[skipped:]]
