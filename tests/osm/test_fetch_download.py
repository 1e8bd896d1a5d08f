"""Extracts from a server: broken transfers, wrong checksums, full disks, redirects, regions."""

import random
import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import osmium
import pytest
import yaml
from osmium.osm import mutable

from pipeline.config import DatasetConfig, Runtime
from pipeline.configfile import parse_config
from pipeline.errors import Misconfigured, StoreError, Transient
from pipeline.ids import file_sha256
from pipeline.osm.fetch import fetch, present, resolve, survey
from pipeline.osm.fetch.client import USER_AGENT, Client
from pipeline.osm.fetch.shelf import Fetched, Shelf
from pipeline.store import Store
from tests.fake_geofabrik import Geofabrik, serve_geofabrik
from tests.small_disk import small_disk

LATEST = "/europe/monaco-latest.osm.pbf"
DATED = "/europe/monaco-231121.osm.pbf"


def extract(folder: Path, *, nodes: int = 20_000, first: int = 1) -> bytes:
    """An OSM file of about 200 kB."""
    path, draw = folder / "made.osm.pbf", random.Random(first)
    header = osmium.io.Header()
    header.set("osmosis_replication_timestamp", "2023-11-21T21:21:30Z")
    with osmium.SimpleWriter(path, header=header, overwrite=True) as writer:
        for number in range(first, first + nodes):
            place = (7.4 + draw.random() / 10, 43.7 + draw.random() / 10)
            writer.add_node(mutable.Node(id=number, location=place, version=1))
    return path.read_bytes()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return extract(tmp_path_factory.mktemp("data"))


@pytest.fixture
def server(data: bytes) -> Iterator[Geofabrik]:
    with serve_geofabrik() as geofabrik:
        geofabrik.publish("monaco", "231121", data)
        yield geofabrik


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that were asked for, none of them taken."""
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


def left_over(store: Store) -> list[str]:
    """Names of the OSM files that lie in the cache but on no shelf."""
    assert store.root is not None
    return [path.name for path in (store.root / "cache/osm/parts").rglob("*.osm.pbf")]


def test_a_dated_file_is_the_snapshot(server: Geofabrik, store: Store, data: bytes, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int, str]] = []
    wanted = config(url=f"{server.url}{LATEST}")
    assert present(wanted, tmp_path, store) is None
    snapshot = fetch(wanted, tmp_path, store, lambda *told: heard.append(told))
    (file,) = snapshot.files
    assert Path(file.path).name == "monaco-231121.osm.pbf"
    assert Path(file.path).read_bytes() == data
    assert (file.sha256, file.timestamp) == (file_sha256(Path(file.path)), "2023-11-21T21:21:30Z")
    assert file.url == f"{server.url}{DATED}"
    assert snapshot.id == f"2023-11-21T21:21:30Z/sha256:{file.sha256}"
    assert heard[-1] == ("monaco-231121.osm.pbf", len(data), len(data), "bytes")
    assert {one.agent for one in server.asked} == {USER_AGENT}
    assert USER_AGENT.startswith("skyteller/")

    asked = len(server.asked)
    assert fetch(wanted, tmp_path, store) == present(wanted, tmp_path, store) == snapshot
    assert len(server.asked) == asked
    assert not left_over(store)


def test_a_region_of_the_index(server: Geofabrik, store: Store, data: bytes, tmp_path: Path) -> None:
    snapshot = fetch(config(region="monaco", server=server.url), tmp_path, store)
    assert Path(snapshot.files[0].path).read_bytes() == data


def test_an_unknown_region_names_the_nearest(server: Geofabrik, store: Store, tmp_path: Path) -> None:
    for region in ("us/maryland", "us/maine", "malta"):
        server.publish(region, "231121", b"", folder="x")
    for wrong, near in (("maryland", "us/maryland"), ("us/marylnd", "us/maryland"), ("monac", "monaco")):
        with pytest.raises(Misconfigured, match=f"no region `{wrong}`; nearest: .*{near}"):
            fetch(config(region=wrong, server=server.url), tmp_path, store)
    with pytest.raises(Misconfigured, match=r"names are those of download.geofabrik.de"):
        fetch(config(region="xyz", server=server.url), tmp_path, store)


def test_a_broken_transfer_goes_on_where_it_broke(
    server: Geofabrik, store: Store, data: bytes, tmp_path: Path, naps: list[float]
) -> None:
    server.cuts = [50_000, 30_000]
    snapshot = fetch(config(url=f"{server.url}{LATEST}"), tmp_path, store)
    assert Path(snapshot.files[0].path).read_bytes() == data
    assert [(one.range, one.status) for one in server.downloads()] == [
        (None, 200), ("bytes=50000-", 206), ("bytes=80000-", 206),
    ]  # fmt: skip
    assert len(naps) == 2


def test_a_run_that_gave_up_leaves_its_part_to_the_next(
    server: Geofabrik, store: Store, data: bytes, tmp_path: Path, naps: list[float]
) -> None:
    wanted = config(url=f"{server.url}{LATEST}")
    server.cuts = [70_000, 0, 0, 0, 0]
    with pytest.raises(Transient) as caught:
        fetch(wanted, tmp_path, store)
    message = str(caught.value)
    assert f"broke off at 70,000 of {len(data):,} bytes" in message
    assert "after 5 attempts; run again later" in message
    assert "\n" not in message
    assert caught.value.exit_code == 3
    assert naps == [2, 4, 8, 16]

    server.asked.clear()
    snapshot = fetch(wanted, tmp_path, store)
    assert Path(snapshot.files[0].path).read_bytes() == data
    assert [one.range for one in server.asked if one.path == DATED and one.method == "GET"] == [
        "bytes=70000-"
    ]


@pytest.mark.usefixtures("naps")
def test_a_part_of_another_file_is_not_gone_on_with(server: Geofabrik, store: Store, tmp_path: Path) -> None:
    wanted = config(url=f"{server.url}{LATEST}")
    server.cuts = [70_000, 0, 0, 0, 0]
    with pytest.raises(Transient):
        fetch(wanted, tmp_path, store)
    other = extract(tmp_path, first=500)
    server.publish("monaco", "231121", other)  # made anew under the same name
    assert Path(fetch(wanted, tmp_path, store).files[0].path).read_bytes() == other


@pytest.mark.usefixtures("naps")
def test_a_server_without_ranges(server: Geofabrik, store: Store, data: bytes, tmp_path: Path) -> None:
    server.ranges, server.cuts = False, [50_000]
    snapshot = fetch(config(url=f"{server.url}{LATEST}"), tmp_path, store)
    assert Path(snapshot.files[0].path).read_bytes() == data


def test_a_wrong_checksum(server: Geofabrik, store: Store, data: bytes, tmp_path: Path) -> None:
    wanted = config(url=f"{server.url}{LATEST}")
    right = server.files[f"{DATED}.md5"]
    server.files[f"{DATED}.md5"] = b"0" * 32 + b"  monaco-231121.osm.pbf\n"
    with pytest.raises(Transient) as caught:
        fetch(wanted, tmp_path, store)
    assert "wrong checksum" in str(caught.value)
    assert "the file is removed, run again" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not left_over(store)

    server.files[f"{DATED}.md5"] = right
    assert Path(fetch(wanted, tmp_path, store).files[0].path).read_bytes() == data


def test_a_server_without_checksums(server: Geofabrik, store: Store, tmp_path: Path) -> None:
    del server.files[f"{DATED}.md5"]
    assert Path(fetch(config(url=f"{server.url}{LATEST}"), tmp_path, store).files[0].path).exists()


def test_what_is_no_osm_file_is_not_kept(server: Geofabrik, store: Store, tmp_path: Path) -> None:
    server.files["/a.osm.pbf"] = b"<!DOCTYPE html><html>please log in</html>"
    with pytest.raises(Misconfigured, match="looks like an HTML or XML page"):
        fetch(config(url=f"{server.url}/a.osm.pbf"), tmp_path, store)
    assert not left_over(store)


@pytest.mark.parametrize("path", ["/none.osm.pbf", "/europe/none-latest.osm.pbf"])
def test_there_is_no_such_file(server: Geofabrik, store: Store, tmp_path: Path, path: str) -> None:
    with pytest.raises(Misconfigured, match="there is no such file; look at the address in a browser"):
        fetch(config(url=f"{server.url}{path}"), tmp_path, store)


def test_too_small_a_disk_is_seen_before_anything_is_downloaded(
    server: Geofabrik, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=50_000_000))
    wanted = config(url=f"{server.url}{LATEST}")
    with pytest.raises(StoreError, match=r"monaco-231121.osm.pbf: needs 0.00 GB, but .* has 0.05 GB free"):
        fetch(wanted, tmp_path, store)
    assert not [one for one in server.asked if one.method == "GET" and one.path == DATED]
    with pytest.raises(StoreError, match=r"has 0.05 GB free"):
        list(survey(wanted, store))


def test_a_disk_that_fills_up_keeps_what_came(
    server: Geofabrik, data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, folder = config(url=f"{server.url}{LATEST}"), tmp_path / "small"
    folder.mkdir()
    with small_disk(folder, "100k") as resize:
        store = Store(str(folder))
        with pytest.raises(StoreError, match="free"):
            fetch(wanted, tmp_path, store)
        assert not server.downloads()
        with monkeypatch.context() as patch:  # there is room at first; somebody else takes it
            patch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=10**9))
            with pytest.raises(StoreError) as caught:
                fetch(wanted, tmp_path, store)
        assert "no space left on the disk; make room and run again: what was fetched so far is kept" in str(
            caught.value
        )
        resize("1g")
        snapshot = fetch(wanted, tmp_path, store)
        assert Path(snapshot.files[0].path).read_bytes() == data
        asked = re.fullmatch(r"bytes=(\d+)-", server.downloads()[-1].range or "")
        assert asked
        assert 40_000 < int(asked[1]) < 100_000


@pytest.mark.usefixtures("naps")
def test_a_server_that_is_down(store: Store, tmp_path: Path) -> None:
    with serve_geofabrik() as gone:
        url = f"{gone.url}{LATEST}"
    with pytest.raises(Transient, match=r"osm.url: .*Connection refused.*after 5 attempts; run again later"):
        fetch(config(url=url), tmp_path, store)


def test_a_busy_server_is_asked_again(
    server: Geofabrik, store: Store, data: bytes, tmp_path: Path, naps: list[float]
) -> None:
    server.refusals = [503, 429, 502]
    snapshot = fetch(config(url=f"{server.url}{LATEST}"), tmp_path, store)
    assert Path(snapshot.files[0].path).read_bytes() == data
    assert len(naps) == 3


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.org/a.osm.pbf", "only https, or http on this machine, is asked"),
        ("ftp://example.org/a.osm.pbf", "only https"),
        ("file:///etc/passwd", "it is not a url"),
        ("https://me:secret@example.org/a.osm.pbf", "https://...@example.org is refused: it names a user"),
        ("https://example.org/a.osm.pbf?token=secret", "it has a query or a fragment"),
        ("https://exa mple.org/a.osm.pbf", "it is not a url"),
    ],
)  # fmt: skip
def test_urls_that_are_not_asked(url: str, says: str, store: Store, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as caught:
        fetch(config(url=url), tmp_path, store)
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


def test_redirects_that_are_not_followed(server: Geofabrik, store: Store, tmp_path: Path) -> None:
    for target, says in (
        ("http://example.org/a.osm.pbf", "only https"),
        ("file:///etc/passwd", "it is not a url"),
        (f"{server.url}/loop.osm.pbf", "more than 5 redirects"),
    ):
        server.redirects["/loop.osm.pbf"] = target
        with pytest.raises(Misconfigured, match=says):
            fetch(config(url=f"{server.url}/loop.osm.pbf"), tmp_path, store)


def test_several_files_are_one_snapshot(server: Geofabrik, store: Store, tmp_path: Path) -> None:
    server.publish("malta", "231120", extract(tmp_path, first=50_000))
    both = fetch(config(region=["monaco", "malta"], server=server.url), tmp_path, store)
    assert [Path(file.path).name for file in both.files] == [
        "monaco-231121.osm.pbf", "malta-231120.osm.pbf",
    ]  # fmt: skip
    turned = fetch(config(region=["malta", "monaco"], server=server.url), tmp_path, store)
    assert turned.sha256 == both.sha256
    assert both.sha256 not in {file.sha256 for file in both.files}


def test_of_several_files_those_that_came_are_not_fetched_again(
    server: Geofabrik, store: Store, tmp_path: Path, naps: list[float]
) -> None:
    server.publish("malta", "231120", extract(tmp_path, first=50_000))
    both = config(region=["monaco", "malta"], server=server.url)
    malta = server.files.pop("/europe/malta-231120.osm.pbf")
    with pytest.raises(Misconfigured, match=r"malta-231120.osm.pbf: there is no such file"):
        fetch(both, tmp_path, store)
    server.files["/europe/malta-231120.osm.pbf"] = malta
    assert len(fetch(both, tmp_path, store).files) == 2
    assert [one.path.rpartition("/")[2] for one in server.downloads()] == [
        "monaco-231121.osm.pbf", "malta-231120.osm.pbf",
    ]  # fmt: skip
    assert naps == []


def test_a_file_that_was_deleted_is_fetched_again(
    server: Geofabrik, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = config(url=f"{server.url}{LATEST}")
    snapshot = fetch(wanted, tmp_path, store)
    Path(snapshot.files[0].path).unlink()
    assert present(wanted, tmp_path, store) is None
    assert fetch(wanted, tmp_path, store) == snapshot

    Path(snapshot.files[0].path).unlink()
    newer = extract(tmp_path, first=77)
    server.publish("monaco", "231122", newer)
    again = fetch(wanted, tmp_path, store)
    assert Path(again.files[0].path).read_bytes() == newer
    assert "newer ones take their place" in caplog.text


def test_what_one_machine_fetched_beside_a_bucket_another_takes_from_there(
    server: Geofabrik, data: bytes, tmp_path: Path
) -> None:
    store, snapshots = Store(f"memory://{tmp_path}"), []
    for machine in ("one", "two"):
        (tmp_path / machine).mkdir()
        wanted = config(region="monaco", server=server.url)
        runtime = Runtime(scratch=str(tmp_path / machine))
        snapshot = fetch(wanted.model_copy(update={"runtime": runtime}), tmp_path, store)
        place = tmp_path / machine / "skyteller-osm" / snapshot.files[0].sha256[:16] / "monaco-231121.osm.pbf"
        assert snapshot.files[0].path == str(place)
        assert place.read_bytes() == data
        snapshots.append(snapshot)
        server.publish("monaco", "231122", b"newer")
    assert snapshots[0].id == snapshots[1].id
    assert len(server.downloads()) == 1


def test_of_two_machines_that_fetch_at_once_the_first_one_decides(tmp_path: Path) -> None:
    store = Store(f"memory://{tmp_path}")
    first, second = (Shelf(store, str(tmp_path)) for _ in range(2))
    files = []
    for number, shelf in enumerate((first, second)):
        path = shelf.workplace(f"{number}") / "a.osm.pbf"
        path.write_bytes(b"%d" % number)
        files.append(Fetched("a.osm.pbf", file_sha256(path), 1, None, None))
        shelf.add(path, files[-1])
    assert first.settle("source", files[:1]) == (files[0],)
    assert second.settle("source", files[1:]) == (files[0],)


def test_beside_a_bucket_without_scratch_files_lie_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Shelf(Store("memory://shelf"), None).folder == tmp_path / "skyteller" / "osm"


def test_a_survey_downloads_nothing(server: Geofabrik, store: Store, data: bytes) -> None:
    found = dict(survey(config(region="monaco", server=server.url), store))
    assert "monaco-231121.osm.pbf" in found["OSM file"]
    assert f"{len(data) / 1e6:.1f} MB, of Tue, 21 Nov 2023 22:15:04 GMT; not fetched yet" in found["OSM file"]
    assert "GB free" in found["disk"]
    assert not server.downloads()
