"""From a config that names no file to a finished release: downloads, updates, Overpass; outages in between."""

import datetime as dt
import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import osmium
import pyarrow.parquet as pq
import pytest
import yaml
from osmium.osm import mutable
from pyproj import Transformer

from pipeline.cli import main
from pipeline.configfile import load_config
from pipeline.engine import build
from pipeline.ids import file_sha256
from pipeline.inventory import open_store, take_inventory
from pipeline.osm.fetch import refresh, resolve
from pipeline.osm.fetch.client import Client
from pipeline.rebuild import rebuild
from pipeline.release.verify import verify
from tests.fake_geofabrik import Geofabrik, serve_geofabrik
from tests.fake_overpass import FakeOverpass, serve_overpass
from tests.small_world import (
    GSD,
    NORTH,
    WEST,
    make_world,
    release_hashes,
    write_config,
    write_imagery,
    write_osm,
)

HOUSES = 32
BOX = [-76.86, 39.480, -76.85, 39.487]  # around the tiny world


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command line in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["skyteller", *arguments])
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny world, and a config that builds it from its own file under another name."""
    make_world(tmp_path)
    monkeypatch.setattr(resolve, "Client", partial(Client, sleep=lambda _s: None))
    return tmp_path


@pytest.fixture
def geofabrik(world: Path) -> Iterator[Geofabrik]:
    with serve_geofabrik() as server:
        server.publish("tiny/town", "210701", (world / "town.osm.pbf").read_bytes())
        yield server


@pytest.fixture
def overpass(world: Path) -> Iterator[FakeOverpass]:
    newer = world / "newer.osm.pbf"
    write_osm(newer, wood_px=30.0, version=2)
    with serve_overpass({"2000-01-01": world / "town.osm.pbf", "2021-08-01": newer}) as server:
        yield server


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    out, err = capsys.readouterr()
    return out, err


def sample_of(release: Path) -> str:
    return str(pq.read_table(release / "metadata.parquet")["key"][0].as_py())


def test_a_release_from_a_region(
    world: Path,
    geofabrik: Geofabrik,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = write_config(world)
    assert command(monkeypatch, "build", str(config)) == 0
    samples = {
        name: text
        for name, text in release_hashes(world / "store/releases/tiny").items()
        if "shards/" in name
    }
    source = {"region": "tiny/town", "server": geofabrik.url}
    config = write_config(world, name="fetched", store="./fresh", osm={"type": "pbf"} | source)
    capsys.readouterr()

    assert command(monkeypatch, "check", str(config)) == 0
    out, _ = said(capsys)
    assert "town-210701.osm.pbf: 0.0 MB, of Tue, 21 Nov 2023 22:15:04 GMT; not fetched yet" in out
    assert "GB free in" in out
    assert command(monkeypatch, "status", str(config)) == 2
    assert "the map is not fetched yet; `skyteller build` does that" in said(capsys)[1]
    assert not geofabrik.downloads()

    assert command(monkeypatch, "build", str(config)) == 0
    assert "town-210701.osm.pbf: 0.0 of 0.0 MB" in said(capsys)[0]
    release = world / "fresh/releases/fetched"
    found = {name: text for name, text in release_hashes(release).items() if "shards/" in name}
    assert found == samples  # the same map gives the same samples, however it came
    assert command(monkeypatch, "verify", str(release)) == 0
    told = json.loads((release / "sources.json").read_text())["osm"]
    assert told["files"] == [
        {
            "sha256": file_sha256(world / "town.osm.pbf"),
            "timestamp": None,
            "url": f"{geofabrik.url}/europe/town-210701.osm.pbf",
        }
    ]
    assert geofabrik.url not in (release / "config.yaml").read_text()
    assert "see `sources.json`" in (release / "README.md").read_text()
    assert len(geofabrik.downloads()) == 1

    geofabrik.publish("tiny/town", "210801", b"newer")
    assert command(monkeypatch, "build", str(config)) == 0
    assert command(monkeypatch, "status", str(config)) == 0
    assert command(monkeypatch, "check", str(config)) == 0
    assert len(geofabrik.downloads()) == 1
    assert rebuild(release, sample_of(release), world).different == ()
    assert len(geofabrik.downloads()) == 1


def test_a_broken_download_and_a_wrong_checksum_end_with_one_message(
    world: Path,
    geofabrik: Geofabrik,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    latest = f"{geofabrik.url}/europe/town-latest.osm.pbf"
    config = write_config(world, osm={"type": "pbf", "url": latest})
    geofabrik.cuts = [200, 0, 0, 0, 0]
    assert command(monkeypatch, "build", str(config)) == 3
    (line,) = said(capsys)[1].strip().splitlines()
    assert line.startswith(f"error: osm.url: {latest}: ")
    assert "broke off at 200 of" in line

    checksum = "/europe/town-210701.osm.pbf.md5"
    right, geofabrik.files[checksum] = geofabrik.files[checksum], b"f" * 32
    assert command(monkeypatch, "build", str(config)) == 3
    (line,) = said(capsys)[1].strip().splitlines()
    assert "wrong checksum" in line
    assert geofabrik.downloads()[-1].range == "bytes=200-"

    geofabrik.files[checksum] = right
    assert command(monkeypatch, "build", str(config)) == 0
    assert command(monkeypatch, "verify", str(world / "store/releases/tiny")) == 0


def test_problems_are_found_before_anything_is_fetched(
    world: Path,
    geofabrik: Geofabrik,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    osm = {"type": "pbf", "region": "tiny/town", "server": geofabrik.url}
    config = write_config(world, osm=osm, area={"bbox": [10, 50, 11, 51]}, runtime={"scratch": "/nowhere"})
    assert command(monkeypatch, "build", str(config)) == 2
    error = said(capsys)[1]
    assert "area and imagery do not meet" in error
    assert "runtime.scratch: no such folder: /nowhere" in error
    assert not geofabrik.asked


def test_a_release_from_overpass(
    world: Path,
    overpass: FakeOverpass,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    osm = {"type": "overpass", "url": overpass.url}
    config = write_config(world, area={"bbox": BOX}, osm=osm)  # imagery of 2021-06-15: the map of 2021-07-15
    assert command(monkeypatch, "check", str(config)) == 0
    assert f"{overpass.url}: reachable, a slot is free in 0 s" in said(capsys)[0]
    assert not overpass.queries

    overpass.always = "504"
    assert command(monkeypatch, "build", str(config)) == 3
    (line,) = [line for line in said(capsys)[1].splitlines() if line.startswith("error: ")]
    assert "answers with status 504" in line
    assert "run again later" in line

    overpass.always = ""
    assert command(monkeypatch, "build", str(config)) == 0
    release = world / "store/releases/tiny"
    assert command(monkeypatch, "verify", str(release)) == 0
    told = json.loads((release / "sources.json").read_text())["osm"]
    assert told["timestamp"] == "2021-07-15T00:00:00Z"
    assert told["license"] == "ODbL-1.0"
    assert overpass.url not in "".join(
        path.read_text() for path in release.glob("*.*") if path.suffix in {".json", ".yaml", ".md"}
    )
    assert "asked from an Overpass server" in (release / "README.md").read_text()
    asked = len(overpass.queries)
    assert command(monkeypatch, "status", str(config)) == 0
    assert rebuild(release, sample_of(release), world).different == ()
    assert len(overpass.queries) == asked

    config = write_config(world, name="later", area={"bbox": BOX}, osm=osm | {"date": dt.date(2021, 9, 1)})
    assert command(monkeypatch, "build", str(config)) == 0
    later = json.loads((world / "store/releases/later/sources.json").read_text())["osm"]
    assert later["timestamp"] == "2021-09-01T00:00:00Z"
    assert later["sha256"] != told["sha256"]


def write_street(path: Path, last_side: float) -> None:
    """Houses along 1800 m, the last of them of some side in pixels."""
    to_lonlat = Transformer.from_crs("EPSG:26918", "EPSG:4326", always_xy=True)
    path.unlink(missing_ok=True)
    with osmium.SimpleWriter(path) as writer:
        corners: list[mutable.Node] = []
        for house in range(HOUSES):
            side = last_side if house == HOUSES - 1 else 30.0
            for dx, dy in ((0, 0), (side, 0), (side, side), (0, side)):
                place = to_lonlat.transform(WEST + (96 * house + 12 + dx) * GSD, NORTH - (80 + dy) * GSD)
                corners.append(mutable.Node(id=len(corners) + 1, location=place, version=1))
        for corner in corners:
            writer.add_node(corner)
        for house in range(HOUSES):
            refs = [4 * house + n for n in (1, 2, 3, 4, 1)]
            version = 1 if last_side == 30.0 or house < HOUSES - 1 else 2
            writer.add_way(mutable.Way(id=house + 1, nodes=refs, tags={"building": "house"}, version=version))


def test_a_refresh_rebuilds_the_touched_cells_alone(world: Path, geofabrik: Geofabrik) -> None:
    """One house of a long street has changed: its cell is rebuilt, and the next one, whose patches reach into it."""
    write_imagery(world / "imagery" / "scene_20210615.tif", columns=48)
    write_street(world / "street.osm.pbf", 30.0)
    geofabrik.publish("street", "210701", (world / "street.osm.pbf").read_bytes())
    changes = {"cell_zoom": 16, "osm": {"type": "pbf", "region": "street", "server": geofabrik.url}}
    first = write_config(world, name="first", **changes)
    ran = built(first)
    cells = take_inventory(load_config(first), world).cells
    columns = sorted({cell.split("-")[1] for cell in cells})
    assert len(columns) >= 3
    assert ran["facts"] == len(cells)

    write_street(world / "street.osm.pbf", 40.0)
    geofabrik.publish("street", "210801", (world / "street.osm.pbf").read_bytes())
    config = load_config(first)
    snapshot = refresh(config, world, open_store(config, world))
    assert Path(snapshot.files[0].path).name == "street-210801.osm.pbf"
    second = write_config(world, name="second", **changes)
    ran = built(second)
    assert take_inventory(load_config(second), world).cells == cells
    assert ran["facts"] == sum(cell.split("-")[1] in columns[-2:] for cell in cells) < len(cells)
    assert ran["captions"] == sum(cell.split("-")[1] == columns[-1] for cell in cells)
    assert "pixels" not in ran
    for name in ("first", "second"):
        assert verify(world / "store/releases" / name).problems == ()


def built(config: Path) -> dict[str, int]:
    """Build; units run by stage."""
    ran: dict[str, int] = {}

    def tell(stage: str, units: int, _total: int) -> None:
        ran[stage] = ran.get(stage, 0) + units

    assert build(take_inventory(load_config(config), config.parent), tell).exit_code == 0
    return ran


def test_two_extracts_give_the_release_of_the_one(world: Path, geofabrik: Geofabrik) -> None:
    path = world / "town.osm.pbf"
    ways = [item.id for item in osmium.FileProcessor(path, osmium.osm.WAY)]
    halves = []
    for name, kept in (("west", ways[:6]), ("east", ways[4:])):
        target = world / f"{name}.osm.pbf"
        with osmium.BackReferenceWriter(target, ref_src=path) as writer:
            for item in osmium.FileProcessor(path, osmium.osm.WAY):
                if item.id in kept:
                    writer.add(item)
        geofabrik.publish(name, "210701", target.read_bytes())
        halves.append(name)
    box = take_inventory(load_config(write_config(world)), world).area_bounds
    one = write_config(world, name="one", area={"bbox": list(box)})
    built(one)
    source = {"type": "pbf", "region": halves, "server": geofabrik.url}
    two = write_config(world, name="two", area={"bbox": list(box)}, osm=source, runtime={"workers": 2})
    built(two)
    texts = [
        {row["key"]: (row["captions"], row["tags"]) for row in rows_of(world / "store/releases" / name)}
        for name in ("one", "two")
    ]
    assert texts[0] == texts[1]
    told = json.loads((world / "store/releases/two/sources.json").read_text())["osm"]
    assert len(told["files"]) == 2
    assert "read from 2 extracts" in (world / "store/releases/two/README.md").read_text()


def rows_of(release: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pq.read_table(release / "metadata.parquet").to_pylist()
    return rows


def test_the_config_of_a_release_can_be_read_again(world: Path, geofabrik: Geofabrik) -> None:
    osm = {"type": "pbf", "region": "tiny/town", "server": geofabrik.url}
    built(write_config(world, osm=osm))
    values = yaml.safe_load((world / "store/releases/tiny/config.yaml").read_text())
    assert values["osm"]["region"] == "tiny/town"
    assert load_config(world / "store/releases/tiny/config.yaml").osm.type == "pbf"
