"""A fetched extract brought up to date, by changes or anew; and the map of a day out of a history file."""

import datetime as dt
import gzip
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import osmium
import pytest
import yaml
from osmium.osm import Node, Relation, Way

from pipeline.config import DatasetConfig
from pipeline.configfile import parse_config
from pipeline.errors import Misconfigured, Transient
from pipeline.osm.fetch import fetch, present, refresh, resolve
from pipeline.osm.fetch.client import Client
from pipeline.osm.fetch.history import take_state
from pipeline.osm.fetch.updates import _MOST_CHANGES
from pipeline.osm.osmfile import read_header
from pipeline.store import Store
from tests.fake_geofabrik import Geofabrik, serve_geofabrik
from tests.osm.osm_xml import node, way, write_xml

UPDATES = "europe/town-updates"


def extract(folder: Path, server: Geofabrik, number: int | None, day: int, host: str | None = None) -> bytes:
    """Three nodes and a way, as the server has them on a day of November."""
    path = folder / "made.osm.pbf"
    header = osmium.io.Header()
    header.add_box(osmium.osm.Box(0.0, 0.0, 0.1, 0.1))
    header.set("osmosis_replication_timestamp", f"2023-11-{day:02}T21:21:30Z")
    if number is not None:
        header.set("osmosis_replication_base_url", f"{host or server.url}/{UPDATES}")
        header.set("osmosis_replication_sequence_number", str(number))
    text = write_xml(
        folder / "made.osm",
        *(node(n, 0.01 * n, 0.01, natural="tree").replace("<node", '<node version="1"') for n in (1, 2, 3)),
        way(5, 1, 2, highway="path").replace("<way", '<way version="1"'),
    )
    with osmium.SimpleWriter(path, header=header, overwrite=True) as writer:
        for item in osmium.FileProcessor(text):
            writer.add(item)
    return path.read_bytes()


def changes(number: int) -> bytes:
    """Node 1 is moved, node 3 deleted, node 100 + number made."""
    meta = 'timestamp="2023-11-22T10:00:00Z"'
    return gzip.compress(
        f"""<osmChange version="0.6">
        <modify><node id="1" version="{number}" {meta} lon="0.05" lat="0.0{number % 10}"/></modify>
        <delete><node id="3" version="{number}" {meta} lon="0" lat="0"/></delete>
        <create><node id="{100 + number}" version="1" {meta} lon="0.06" lat="0.01"/></create>
        </osmChange>""".encode()
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Geofabrik]:
    with serve_geofabrik() as geofabrik:
        geofabrik.publish("town", "231121", extract(tmp_path, geofabrik, 41, 21))
        yield geofabrik


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(resolve, "Client", partial(Client, sleep=found.append))
    return found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def config(**osm: object) -> DatasetConfig:
    values = {
        "name": "town",
        "osm": {"type": "pbf"} | osm,
        "imagery": {"type": "geotiff", "paths": ".", "license": "CC0", "attribution": "nobody"},
    }
    return parse_config(yaml.safe_dump(values), "d.yaml")


def elements(path: Path | str) -> dict[str, int]:
    """Versions of the elements of a file."""
    return {
        f"{item.type_str()}{item.id}": item.version
        for item in osmium.FileProcessor(path)
        if isinstance(item, Node | Way | Relation)
    }


def osm_files(store: Store) -> list[str]:
    assert store.root is not None
    return sorted(path.name for path in (store.root / "cache/osm").rglob("*.osm.pbf"))


def test_changes_instead_of_a_download(server: Geofabrik, store: Store, tmp_path: Path) -> None:
    wanted = config(region="town", server=server.url)
    old = fetch(wanted, tmp_path, store)
    downloads = len(server.downloads())
    for number in (42, 43):
        server.publish_changes(UPDATES, number, changes(number), f"2023-11-{number - 20}T21:21:04Z")
    heard: list[tuple[str, int, int, str]] = []
    new = refresh(wanted, tmp_path, store, lambda *told: heard.append(told))
    (file,) = new.files
    assert Path(file.path).name == "town-231121+43.osm.pbf"
    assert file.timestamp == "2023-11-23T21:21:04Z"
    assert file.url == f"{server.url}/europe/town-231121.osm.pbf"
    assert elements(file.path) == {"n1": 43, "n2": 1, "n142": 1, "n143": 1, "w5": 1}
    header = read_header(Path(file.path))
    assert header.get("osmosis_replication_sequence_number") == "43"
    assert header.box().top_right.lon == pytest.approx(0.1)
    assert heard[-1] == ("town-231121.osm.pbf, changes", 2, 2, "files")
    assert len(server.downloads()) == downloads
    assert present(wanted, tmp_path, store) == new

    assert Path(old.files[0].path).exists()  # who reads it still can
    assert refresh(wanted, tmp_path, store) == new  # nothing has changed since

    server.publish_changes(UPDATES, 44, changes(44), "2023-11-24T21:21:04Z")
    newest = refresh(wanted, tmp_path, store)
    assert Path(newest.files[0].path).name == "town-231121+44.osm.pbf"
    assert osm_files(store) == ["town-231121+43.osm.pbf", "town-231121+44.osm.pbf"]


def test_without_changes_the_newest_file_is_downloaded(
    server: Geofabrik, store: Store, tmp_path: Path
) -> None:
    wanted = config(region="town", server=server.url)
    old = fetch(wanted, tmp_path, store)
    assert refresh(wanted, tmp_path, store) == old  # neither changes nor a newer file
    server.publish("town", "231122", extract(tmp_path, server, 42, 22))
    new = refresh(wanted, tmp_path, store)
    assert Path(new.files[0].path).name == "town-231122.osm.pbf"
    assert osm_files(store) == ["town-231121.osm.pbf", "town-231122.osm.pbf"]


@pytest.mark.parametrize(
    ("number", "host", "newest"),
    [(None, None, 42), (41, "http://localhost:{port}", 42), (41, None, 42 + _MOST_CHANGES)],
)
def test_changes_of_another_server_or_too_many_are_not_applied(
    server: Geofabrik, store: Store, tmp_path: Path, number: int | None, host: str | None, newest: int
) -> None:
    """The changes of the whole world would fill an extract with the rest of it."""
    host = host and host.format(port=server.port)
    server.publish("town", "231121", extract(tmp_path, server, number, 21, host))
    wanted = config(region="town", server=server.url)
    fetch(wanted, tmp_path, store)
    for last in (42, newest):
        server.publish_changes(UPDATES, last, changes(last), "2024-02-29T21:21:04Z")
    server.publish("town", "240301", extract(tmp_path, server, newest, 22))
    new = refresh(wanted, tmp_path, store)
    assert Path(new.files[0].path).name == "town-240301.osm.pbf"
    assert not [one for one in server.asked if one.path.endswith(".osc.gz")]


def test_a_broken_refresh_leaves_everything_as_it_was(
    server: Geofabrik, store: Store, tmp_path: Path
) -> None:
    wanted = config(region="town", server=server.url)
    old = fetch(wanted, tmp_path, store)
    server.publish_changes(UPDATES, 42, changes(42), "2023-11-22T21:21:04Z")
    server.refusals = [503] * 5
    with pytest.raises(Transient, match="status 503; after 5 attempts; run again later"):
        refresh(wanted, tmp_path, store)
    assert present(wanted, tmp_path, store) == old
    assert elements(refresh(wanted, tmp_path, store).files[0].path)["n1"] == 42


def test_changes_that_are_no_longer_there(server: Geofabrik, store: Store, tmp_path: Path) -> None:
    wanted = config(region="town", server=server.url)
    fetch(wanted, tmp_path, store)
    server.publish_changes(UPDATES, 43, changes(43), "2023-11-23T21:21:04Z")  # 42 is missing
    server.publish("town", "231123", extract(tmp_path, server, 43, 23))
    assert Path(refresh(wanted, tmp_path, store).files[0].path).name == "town-231123.osm.pbf"


def test_the_first_refresh_fetches(server: Geofabrik, store: Store, tmp_path: Path) -> None:
    wanted = config(url=f"{server.url}/europe/town-latest.osm.pbf")
    assert refresh(wanted, tmp_path, store) == fetch(wanted, tmp_path, store)


def test_a_file_of_the_users_is_read_anew(store: Store, tmp_path: Path) -> None:
    path = write_xml(tmp_path / "a.osm", node(1, 0.0, 0.0, natural="tree"))
    wanted = config(path="a.osm")
    old = refresh(wanted, tmp_path, store)
    assert present(wanted, tmp_path, store) == old
    write_xml(path, node(1, 0.5, 0.0, natural="tree"))
    assert refresh(wanted, tmp_path, store).sha256 != old.sha256


def test_the_map_of_a_day_is_not_refreshed(store: Store, tmp_path: Path) -> None:
    values = config(path="a.osm").model_dump() | {
        "osm": {"type": "overpass"},
        "area": {"bbox": [0.0, 0.0, 0.1, 0.1]},
    }
    with pytest.raises(Misconfigured, match="does not change; set a later `date`"):
        refresh(DatasetConfig.model_validate(values), tmp_path, store)


HISTORY = """<osm version="0.6">
<node id="1" version="1" timestamp="2020-01-01T00:00:00Z" visible="true" lon="0.01" lat="0.01"/>
<node id="1" version="2" timestamp="2022-01-01T00:00:00Z" visible="true" lon="0.02" lat="0.01"/>
<node id="2" version="1" timestamp="2020-01-01T00:00:00Z" visible="true" lon="0.03" lat="0.01"/>
<node id="3" version="1" timestamp="2022-12-08T00:00:00Z" visible="true" lon="0.03" lat="0.01"/>
<node id="4" version="1" timestamp="2022-12-08T00:00:01Z" visible="true" lon="0.04" lat="0.01"/>
<way id="5" version="1" timestamp="2020-01-01T00:00:00Z" visible="true"><nd ref="1"/><nd ref="2"/><tag k="highway" v="path"/></way>
<way id="5" version="2" timestamp="2021-01-01T00:00:00Z" visible="false"/>
<way id="5" version="3" timestamp="2023-01-01T00:00:00Z" visible="true"><nd ref="1"/><nd ref="2"/><tag k="highway" v="road"/></way>
<way id="6" version="1" timestamp="2020-01-01T00:00:00Z" visible="false"/>
<relation id="1" version="4" timestamp="2020-01-01T00:00:00Z" visible="true"><tag k="type" v="site"/></relation>
</osm>"""


@pytest.fixture
def history(tmp_path: Path) -> Path:
    (tmp_path / "h.osh").write_text(HISTORY)
    path = tmp_path / "h.osh.pbf"
    with osmium.SimpleWriter(path) as writer:
        for item in osmium.FileProcessor(osmium.io.File(tmp_path / "h.osh", "osh")):
            writer.add(item)
    return path


@pytest.mark.parametrize(
    ("day", "found"),
    [
        ("2020-06-01", {"n1": 1, "n2": 1, "w5": 1, "r1": 4}),
        ("2021-06-01", {"n1": 1, "n2": 1, "r1": 4}),
        ("2022-12-08", {"n1": 2, "n2": 1, "n3": 1, "r1": 4}),
        ("2024-01-01", {"n1": 2, "n2": 1, "n3": 1, "n4": 1, "w5": 3, "r1": 4}),
    ],
)
def test_the_state_of_a_day(history: Path, tmp_path: Path, day: str, found: dict[str, int]) -> None:
    target = tmp_path / "state.osm.pbf"
    take_state(history, dt.date.fromisoformat(day), target)
    assert elements(target) == found
    header = read_header(target)
    assert header.get("osmosis_replication_timestamp") == f"{day}T00:00:00Z"


def test_days_and_files_that_cannot_be(history: Path, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="holds nothing that was there on 2019-01-01"):
        take_state(history, dt.date(2019, 1, 1), tmp_path / "a.osm.pbf")
    plain = write_xml(tmp_path / "plain.osm", node(1, 0.0, 0.0))
    with pytest.raises(Misconfigured, match="not a history file"):
        take_state(plain, dt.date(2022, 1, 1), tmp_path / "a.osm.pbf")


@pytest.mark.usefixtures("history")
def test_a_history_file_is_identified_by_hash_and_day(store: Store, tmp_path: Path) -> None:
    early = fetch(config(path="h.osh.pbf", at="2020-06-01"), tmp_path, store)
    late = fetch(config(path="h.osh.pbf", at="2022-12-08"), tmp_path, store)
    assert early.files[0].sha256 == late.files[0].sha256
    assert early.sha256 != late.sha256
    assert late.timestamp == "2022-12-08T00:00:00Z"
    assert elements(late.files[0].path) == {"n1": 2, "n2": 1, "n3": 1, "r1": 4}
    made = Path(late.files[0].path).stat().st_mtime_ns
    assert fetch(config(path="h.osh.pbf", at="2022-12-08"), tmp_path, store) == late
    assert Path(late.files[0].path).stat().st_mtime_ns == made


def test_a_history_file_from_a_server(server: Geofabrik, history: Path, store: Store, tmp_path: Path) -> None:
    server.files["/h.osh.pbf"] = history.read_bytes()
    wanted = config(url=f"{server.url}/h.osh.pbf", at="2020-06-01")
    assert elements(fetch(wanted, tmp_path, store).files[0].path) == {"n1": 1, "n2": 1, "w5": 1, "r1": 4}
    assert refresh(wanted, tmp_path, store) == present(wanted, tmp_path, store)
