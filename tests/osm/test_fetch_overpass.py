"""The map of a small area on a day: squares, slots, faults, and what is put together of the answers."""

import datetime as dt
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import osmium
import pytest
import shapely
import yaml
from osmium.osm import Area, Changeset, Node, Way

from pipeline.config import DatasetConfig
from pipeline.configfile import parse_config
from pipeline.errors import Misconfigured, StoreError, Transient
from pipeline.grid import cells_in
from pipeline.osm.fetch import answered, ask, map_day, resolve, squares_of, survey
from pipeline.osm.fetch.client import USER_AGENT, Client
from pipeline.osm.fetch.overpass import Overpass, TooMuch, query_of
from pipeline.osm.osmfile import writing
from pipeline.osm.partition import NOWHERE, partition
from pipeline.osm.pbf import read_elements
from pipeline.store import Store
from pipeline.types import Bounds
from tests.fake_overpass import FakeOverpass, serve_overpass
from tests.osm.osm_xml import node, relation, way, write_xml

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "osm"
DAY = dt.date(2022, 12, 8)
BOX: Bounds = (0.0, 0.0, 0.04, 0.04)


@pytest.fixture
def maps(tmp_path: Path) -> dict[str, Path]:
    """Two maps of one place: an old one, and a newer one that has one more tree."""
    park = [
        node(1, 0.01, 0.01), node(2, 0.03, 0.01), node(3, 0.03, 0.03), node(4, 0.01, 0.03),
        node(5, 0.005, 0.005, natural="tree"), node(6, 0.035, 0.035, amenity="bench"),
    ]  # fmt: skip
    lines = [
        way(7, 1, 2, highway="path"),
        way(8, 1, 2, 3),
        way(9, 3, 4, 1),
        relation(10, 8, 9, type="multipolygon", leisure="park"),
    ]
    old = write_xml(tmp_path / "old.osm", *park, *lines)
    new = write_xml(tmp_path / "new.osm", *park, node(11, 0.006, 0.006, natural="tree"), *lines)
    return {"2000-01-01": old, "2023-01-01": new}


@pytest.fixture
def server(maps: dict[str, Path]) -> Iterator[FakeOverpass]:
    with serve_overpass(maps) as overpass:
        yield overpass


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that were asked for, none of them taken."""
    found: list[float] = []
    monkeypatch.setattr(resolve, "Client", partial(Client, sleep=found.append))
    return found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def config(url: str) -> DatasetConfig:
    values = {
        "name": "town",
        "area": {"bbox": list(BOX)},
        "osm": {"type": "overpass", "url": url},
        "imagery": {"type": "geotiff", "paths": ".", "license": "CC0", "attribution": "nobody"},
    }
    return parse_config(yaml.safe_dump(values), "d.yaml")


def asked(
    server: FakeOverpass, store: Store, boxes: tuple[Bounds, ...] = (BOX,), day: dt.date = DAY
) -> list[str]:
    """Ids of all elements of the answers, in the order of the file."""
    snapshot = ask(config(server.url), store, server.url, boxes, day)
    (file,) = snapshot.files
    assert file.timestamp == f"{day}T00:00:00Z"
    assert file.url is None
    return [
        f"{item.type_str()}{item.id}"
        for item in osmium.FileProcessor(file.path)
        if not isinstance(item, Area | Changeset)
    ]


WHOLE = ["n1", "n2", "n3", "n4", "n5", "n6", "w7", "w8", "w9", "r10"]


def test_the_map_of_a_day(server: FakeOverpass, store: Store, naps: list[float]) -> None:
    assert answered(config(server.url), store, [BOX], DAY) is None
    assert asked(server, store) == WHOLE
    assert asked(server, store, day=dt.date(2023, 2, 1)) == [*WHOLE[:6], "n11", *WHOLE[6:]]
    assert server.agents == {USER_AGENT}
    assert naps == []
    assert len(server.queries) == 2
    assert asked(server, store) == WHOLE
    assert len(server.queries) == 2


def test_an_answer_is_asked_for_once(server: FakeOverpass, store: Store) -> None:
    """Also where the file that was made of the answers is lost."""
    asked(server, store)
    assert store.root is not None
    (made,) = (store.root / "cache/osm").rglob("overpass-20221208.osm.pbf")
    before = made.read_bytes()
    made.unlink()
    assert asked(server, store) == WHOLE
    assert len(server.queries) == 1
    assert made.read_bytes() == before


def test_squares_are_put_together_without_repeats(server: FakeOverpass, store: Store) -> None:
    boxes = ((0.0, 0.0, 0.02, 0.04), (0.02, 0.0, 0.04, 0.04))
    assert asked(server, store, boxes) == WHOLE
    assert len(server.queries) == 2


def test_names_of_mappers_are_left_out(server: FakeOverpass, store: Store) -> None:
    snapshot = ask(config(server.url), store, server.url, [BOX], DAY)
    items = [
        (item.user, item.version)
        for item in osmium.FileProcessor(snapshot.files[0].path)
        if isinstance(item, Node | Way)
    ]
    assert set(items) == {("", 1)}


def test_what_is_too_much_is_split(server: FakeOverpass, store: Store) -> None:
    server.widest = 0.015  # two splits
    assert asked(server, store) == WHOLE
    assert len(server.queries) == 1 + 4 + 16
    assert server.peak == 1


@pytest.mark.parametrize("fate", ["timeout", "memory"])
def test_a_remark_of_too_much_splits(server: FakeOverpass, store: Store, fate: str) -> None:
    server.script = [fate]
    assert asked(server, store) == WHOLE
    assert len(server.queries) == 5


def test_a_gateway_that_times_out_after_minutes_splits(server: FakeOverpass) -> None:
    server.script = ["504"]
    clock = iter([0.0, 170.0])
    with (
        Client(clock=lambda: next(clock)) as client,
        pytest.raises(TooMuch, match="no answer within 170 s"),
    ):
        Overpass(client, server.url).ask(query_of(BOX, DAY))
    assert len(server.queries) == 1


def test_even_the_smallest_square_may_be_too_much(server: FakeOverpass, store: Store) -> None:
    server.always = "timeout"
    with pytest.raises(Transient, match=r"even the square .* is too much for it \(.*Query timed out"):
        asked(server, store)
    assert len(server.queries) == 7


@pytest.mark.parametrize("fate", ["429", "504", "busy remark", "cut"])
def test_a_busy_server_is_asked_again(
    server: FakeOverpass, store: Store, naps: list[float], fate: str
) -> None:
    server.script = [fate, fate]
    assert asked(server, store) == WHOLE
    assert naps == [5, 10]
    assert server.looks == 3  # slots are looked at before every query


def test_slots_are_waited_for(server: FakeOverpass, store: Store, naps: list[float]) -> None:
    server.waits = [9, 2]
    assert asked(server, store) == WHOLE
    assert naps == [9, 2]
    assert len(server.queries) == 1


def test_a_server_that_shuts_us_out_for_long(server: FakeOverpass, store: Store) -> None:
    server.waits = [3600]
    with pytest.raises(Transient, match="has no slot for us for 3600 s; run again later"):
        asked(server, store)
    assert not server.queries


def test_a_server_that_tells_nothing_of_slots(server: FakeOverpass, store: Store) -> None:
    server.status = False
    assert asked(server, store) == WHOLE


def test_an_outage_ends_with_one_message_and_goes_on_afterwards(
    server: FakeOverpass, store: Store, naps: list[float]
) -> None:
    boxes = ((0.0, 0.0, 0.02, 0.04), (0.02, 0.0, 0.04, 0.04))
    server.script, server.always = [""], "504"
    with pytest.raises(Transient) as caught:
        asked(server, store, boxes)
    message = str(caught.value)
    assert "status 504" in message
    assert "The server is probably too busy" in message
    assert "after 6 attempts; run again later, what is there already is kept" in message
    assert "\n" not in message
    assert caught.value.exit_code == 3
    assert naps == [5, 10, 20, 40, 60]

    server.always = ""
    server.queries.clear()
    assert asked(server, store, boxes) == WHOLE
    assert server.queries == [query_of(boxes[1], DAY)]


@pytest.mark.parametrize(
    ("fate", "error", "says"),
    [
        ("400", Misconfigured, r"status 400: line 1: parse error: '\)' expected"),
        ("403", Misconfigured, "status 403"),
        ("html", Misconfigured, "does not answer as an Overpass server does"),
        ("strange remark", Transient, "something else; the answers so far are kept"),
    ],
)
def test_a_refusal(server: FakeOverpass, store: Store, fate: str, error: type[Exception], says: str) -> None:
    server.script = [fate]
    with pytest.raises(error, match=says):
        asked(server, store)
    assert len(server.queries) == 1


def test_a_broken_answer_is_not_kept(server: FakeOverpass, store: Store) -> None:
    server.script = ["broken"]
    with pytest.raises(Transient, match="gave an answer that is not OSM data"):
        asked(server, store)
    assert asked(server, store) == WHOLE


def test_a_survey_asks_for_slots_alone(server: FakeOverpass, store: Store) -> None:
    server.waits = [7]
    assert dict(survey(config(server.url), store)) == {
        "Overpass": f"{server.url}: reachable, a slot is free in 7 s"
    }
    assert not server.queries


@pytest.mark.skipif(not DATA.exists(), reason="needs the shared test data")
def test_a_real_town_asked_in_squares_is_the_town_of_the_file(store: Store, tmp_path: Path) -> None:
    path = DATA / "felton-ca-2018.osm.pbf"
    area: Bounds = (-122.13, 37.01, -122.01, 37.10)  # all of it
    cells = cells_in(area, 13)
    with serve_overpass({"2000-01-01": path}) as server:
        server.widest = 0.05
        snapshot = ask(config(server.url), store, server.url, squares_of(shapely.box(*area), 300.0), DAY)
    found = {
        name: [
            (each.cell, each.elements.to_pylist())
            for each in partition(read_elements(Path(file), tmp_path), 13, cells, tmp_path)
            if each.cell != NOWHERE
        ]
        for name, file in (("file", path), ("asked", snapshot.files[0].path))
    }
    assert sum(len(rows) for _, rows in found["file"]) > 300
    assert found["asked"] == found["file"]


@pytest.mark.parametrize(
    ("date", "offset", "captured", "day"),
    [
        (dt.date(2020, 1, 1), None, [], dt.date(2020, 1, 1)),
        (None, None, [dt.date(2022, 11, 8)], DAY),
        (None, -8, [dt.date(2022, 11, 8)], dt.date(2022, 10, 31)),
        (None, 0, [dt.date(2022, 1, 3), dt.date(2021, 1, 1), dt.date(2022, 1, 2)], dt.date(2022, 1, 2)),
        (None, 0, [dt.date(2022, 1, 1), dt.date(2022, 1, 2)], dt.date(2022, 1, 1)),
    ],
)
def test_the_day_of_the_map(
    date: dt.date | None, offset: int | None, captured: list[dt.date], day: dt.date
) -> None:
    assert map_day(date, offset, captured) == day


def test_images_far_apart_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    map_day(None, None, [dt.date(2019, 6, 1), dt.date(2022, 6, 1)])
    assert "images of 2019-06-01 to 2022-06-01 share the map of 2019-07-01" in caplog.text


def test_days_that_no_map_has() -> None:
    with pytest.raises(Misconfigured, match=r"the imagery has no dates; set `osm.date`"):
        map_day(None, None, [])
    tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(1)
    with pytest.raises(Misconfigured, match="does not exist yet"):
        map_day(tomorrow, None, [])


def test_squares_cover_the_area_and_its_surroundings() -> None:
    area = shapely.union(shapely.box(8.0, 47.0, 8.05, 47.03), shapely.box(8.4, 47.2, 8.41, 47.21))
    boxes = [shapely.box(*box) for box in squares_of(area, 500.0)]
    assert 2 <= len(boxes) <= 8
    assert max(box.bounds[2] - box.bounds[0] for box in boxes) < 0.0881
    metre = 1 / 111_320
    wide = shapely.buffer(area, 499 * metre)  # metres along a meridian: less than 500 m to all sides
    assert shapely.union_all(boxes).covers(wide)
    assert shapely.area(shapely.union_all(boxes)) < 2 * shapely.area(shapely.buffer(area, 0.01))


@pytest.mark.parametrize("side", [3.0, 90.0])
def test_an_area_that_is_too_large(side: float) -> None:
    with pytest.raises(Misconfigured, match=r"too large for Overpass.*use `type: pbf` with a `region`"):
        squares_of(shapely.box(0, 0, side, side / 2), 100.0)


def test_a_full_disk_under_a_writer_is_an_error_and_no_crash(tmp_path: Path) -> None:
    target = tmp_path / "a.osm.pbf"
    target.symlink_to("/dev/full")
    header = osmium.io.Header()
    writer = osmium.SimpleWriter(target, header=header, overwrite=True)
    with (
        pytest.raises(StoreError, match=r"a.osm.pbf: cannot be written .*No space left"),
        writing(target, writer),
    ):
        writer.add_node(osmium.osm.mutable.Node(id=1, location=(1, 1)))
