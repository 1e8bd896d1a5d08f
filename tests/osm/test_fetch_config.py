"""Where the map comes from, as a config says it."""

from collections.abc import Mapping

import pytest
import yaml

from pipeline.configfile import parse_config
from pipeline.errors import Misconfigured
from pipeline.sources import OverpassSource, PbfSource

IMAGERY = {"type": "geotiff", "paths": ".", "license": "CC0", "attribution": "nobody"}
AREA = {"bbox": [7.40, 43.72, 7.44, 43.76]}


def parsed(osm: Mapping[str, object], **changes: object) -> PbfSource | OverpassSource:
    values = {"name": "town", "area": AREA, "osm": dict(osm), "imagery": IMAGERY} | changes
    return parse_config(yaml.safe_dump(values), "d.yaml").osm


@pytest.mark.parametrize(
    ("osm", "places"),
    [
        ({"path": "a.osm.pbf"}, ("a.osm.pbf",)),
        ({"path": ["a.osm.pbf", "b.osm"]}, ("a.osm.pbf", "b.osm")),
        ({"url": "https://example.org/a.osm.pbf"}, ("https://example.org/a.osm.pbf",)),
        ({"region": "us/maryland"}, ("us/maryland",)),
        ({"region": ["us/maryland", "us/virginia"]}, ("us/maryland", "us/virginia")),
        ({"path": "a.osh.pbf", "at": "2022-12-08"}, ("a.osh.pbf",)),
    ],
)
def test_one_file_or_several(osm: Mapping[str, object], places: tuple[str, ...]) -> None:
    source = parsed({"type": "pbf", **osm})
    assert isinstance(source, PbfSource)
    assert source.places == places


@pytest.mark.parametrize(
    ("osm", "message"),
    [
        ({"path": "a.osm.pbf"}, "key `osm.type` is missing"),
        ({"type": "pbf"}, "give exactly one of path, url and region, got none"),
        ({"type": "pbf", "path": "a.osm", "region": "monaco"}, "got path and region"),
        ({"type": "pbf", "regoin": "monaco"}, "unknown key `osm.regoin`; did you mean `region`?"),
        ({"type": "pbf", "path": []}, "path: name at least one, and none twice"),
        ({"type": "pbf", "region": ["monaco", "monaco"]}, "region: name at least one, and none twice"),
        ({"type": "pbf", "region": "../monaco"}, "`osm.region"),
        ({"type": "pbf", "path": "a.osm.pbf", "at": "2022-12-08"}, "`at` needs history files"),
        ({"type": "pbf", "path": "a.osh.pbf"}, "history files (.osh.pbf) need a day: set `at`"),
        ({"type": "overpass", "path": "a.osm.pbf"}, "unknown key `osm.path`"),
        (
            {"type": "overpass", "date": "2022-12-08", "offset_days": 3},
            "give either `date` or `offset_days`",
        ),
    ],
)
def test_mistakes_are_named(osm: Mapping[str, object], message: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        parsed(osm)
    assert message in str(caught.value)


def test_overpass_needs_an_area() -> None:
    assert isinstance(parsed({"type": "overpass"}), OverpassSource)
    with pytest.raises(Misconfigured, match=r"^d.yaml: `osm.type: overpass` needs an `area`"):
        parsed({"type": "overpass"}, area=None)


def test_what_a_release_says_of_the_source_can_be_read_again() -> None:
    for osm in ({"type": "overpass", "date": "2022-12-08"}, {"type": "pbf", "region": "monaco"}):
        values = parsed(osm).model_dump(mode="json")
        assert "server" not in values
        assert "https" not in str(values)
        assert parsed(values) == parsed(osm)
