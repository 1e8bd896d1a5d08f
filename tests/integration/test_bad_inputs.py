"""A user's mistake ends with the right exit code and one clear message, and nothing committed is lost."""

import gzip
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from rasterio.transform import Affine, from_origin

from pipeline.cli import main
from tests.small_disk import small_disk
from tests.small_world import GSD, NORTH, WEST, config_values, make_world, release_hashes, run

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command line in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["skyteller", *arguments])
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def tif(path: Path, **changes: object) -> None:
    """A 200 x 200 uint8 RGB scene where the tiny world is, with some of its profile changed."""
    profile = {
        "driver": "GTiff", "width": 200, "height": 200, "count": 3, "dtype": "uint8", "crs": "EPSG:26918",
        "transform": from_origin(WEST, NORTH, GSD, GSD),
    } | changes  # fmt: skip
    rng = np.random.default_rng(0)
    shape = (profile["count"], profile["height"], profile["width"])
    with rasterio.open(path, "w", **profile) as file:
        file.write(rng.integers(50, 200, size=shape).astype(str(profile["dtype"])))


def edit(folder: Path, **changes: object) -> None:
    """Change the config: nested values are merged."""
    path = folder / "dataset.yaml"
    values = yaml.safe_load(path.read_text())
    for key, value in changes.items():
        values[key] = values[key] | value if isinstance(value, dict) and key in values else value
    path.write_text(yaml.safe_dump(values))


def scene(folder: Path) -> Path:
    return folder / "imagery" / "scene_20210615.tif"


def osm(folder: Path) -> Path:
    return folder / "town.osm.pbf"


def area_file(folder: Path, text: str) -> None:
    (folder / "a.geojson").write_text(text)
    edit(folder, area={"file": "a.geojson"})


def second_scene_of_that_name(folder: Path) -> None:
    (folder / "imagery" / "b").mkdir()
    tif(folder / "imagery" / "b" / scene(folder).name)


def use_osm(folder: Path, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)
    edit(folder, osm={"path": name})


def truncate(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def copy_shared(folder: Path, name: str) -> None:
    source = DATA / "osm" / name
    if not source.exists():
        pytest.skip(f"needs {name} of the shared test data")
    use_osm(folder, name, source.read_bytes())
    edit(folder, area={"bbox": [-77.0, 39.0, -76.0, 40.0]})


def corrupt_tiles(folder: Path) -> None:
    """Overwrite compressed pixel data in the middle of the file."""
    tif(scene(folder), compress="deflate", tiled=True, blockxsize=64, blockysize=64)
    data = bytearray(scene(folder).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = b"\xff" * 4000
    scene(folder).write_bytes(data)


BUILD: list[tuple[str, Callable[[Path], object], int, str]] = [
    ("unknown key", lambda f: edit(f, sampling={"patchpx": 3}), 2, "did you mean `patch_px`"),
    ("wrong type", lambda f: edit(f, sampling={"patch_px": "big"}), 2, "`sampling.patch_px`"),
    ("not YAML", lambda f: (f / "dataset.yaml").write_text("name: ["), 2, "not valid YAML"),
    ("no config", lambda f: (f / "dataset.yaml").unlink(), 2, "no such config file"),
    ("area elsewhere", lambda f: edit(f, area={"bbox": [10.0, 50.0, 10.1, 50.1]}), 2, "area and imagery do not meet"),
    ("area file missing", lambda f: edit(f, area={"file": "a.geojson"}), 2, "no such file.*a.geojson"),
    ("area file of text", lambda f: area_file(f, "hi"), 2,
     "cannot be read as GeoJSON"),
    ("area of points", lambda f: area_file(f, '{"type": "Point", "coordinates": [1, 2]}'), 2, "must hold polygons"),
    ("OSM file missing", lambda f: osm(f).unlink(), 2, "town.osm.pbf"),
    ("OSM file empty", lambda f: osm(f).write_bytes(b""), 2, "town.osm.pbf.*empty"),
    ("OSM file is a web page", lambda f: osm(f).write_text("<!DOCTYPE html><html>404</html>"), 2, "town.osm.pbf"),
    ("OSM file is a picture", lambda f: osm(f).write_bytes(b"\xff\xd8\xff\xe0" + b"x" * 500), 2, "town.osm.pbf"),
    ("OSM file truncated", lambda f: truncate(osm(f), 0.6), 2, "town.osm.pbf.*truncated"),
    ("OSM XML cut off", lambda f: use_osm(f, "t.osm", b"<osm version='0.6'><node id='1' lat='1' lon='1'/>"), 2, "t.osm"),
    ("gzip that is none", lambda f: use_osm(f, "t.osm.gz", b"plain"), 2, "t.osm.gz"),
    ("gzip cut off", lambda f: use_osm(f, "t.osm.gz", gzip.compress(os.urandom(5000))[:300]), 2, "t.osm.gz"),
    ("OSM file of another kind", lambda f: use_osm(f, "t.shp", b"x" * 100), 2, "t.shp"),
    ("unsorted OSM file", lambda f: copy_shared(f, "harrisburg-pa-2015-unsorted.osm.pbf"), 2, "osmium sort"),
    ("imagery missing", lambda f: edit(f, imagery={"paths": "./nowhere"}), 2, "nowhere"),
    ("imagery folder empty", lambda f: scene(f).unlink(), 2, "imagery"),
    ("imagery is text", lambda f: scene(f).write_text("hello"), 2, "scene_20210615.tif"),
    ("imagery cut off", lambda f: truncate(scene(f), 0.0005), 2, "scene_20210615.tif"),
    ("no CRS", lambda f: tif(scene(f), crs=None), 2, "scene_20210615.tif.*CRS"),
    ("rotated", lambda f: tif(scene(f), transform=Affine(0.5, 0.2, WEST, 0.2, -0.5, NORTH)), 2, "scene_20210615.tif.*rotated"),
    ("one band", lambda f: tif(scene(f), count=1), 2, "scene_20210615.tif.*band"),
    ("float pixels", lambda f: tif(scene(f), dtype="float32"), 2, "scene_20210615.tif.*float32"),
    ("16 bits without a range", lambda f: tif(scene(f), dtype="uint16"), 2, "scene_20210615.tif.*value_range"),
    ("band that is not there", lambda f: edit(f, imagery={"bands": ["R", "G", "NIR2"]}), 2, "NIR2"),
    ("two scenes of one name", second_scene_of_that_name, 2,
     "scene_20210615"),
    ("store is a file", lambda f: (f / "store").write_text("x"), 2, "set `store` to a folder"),
    ("unknown store", lambda f: edit(f, store="ftp://host/x"), 2, "unknown scheme"),
    ("scratch missing", lambda f: edit(f, runtime={"scratch": "/nowhere/at/all"}), 2, "runtime.scratch"),
    (
        "patches larger than cells",
        lambda f: edit(f, cell_zoom=16, sampling={"patch_px": 2048}),
        2,
        "too large for cells.*cell_zoom below 16",
    ),
    ("corrupt tiles", corrupt_tiles, 3, "unreadable"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "code", "message"), [case[1:] for case in BUILD], ids=[case[0] for case in BUILD]
)
def test_build(
    spoil: Callable[[Path], object],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = make_world(tmp_path)
    spoil(tmp_path)
    assert command(monkeypatch, "build", str(config)) == code
    out, err = capsys.readouterr()
    said = " ".join((out + err if code == 3 else err).split())
    assert re.search(message, said), said
    assert "Traceback" not in out + err
    if code == 2:
        assert sum(line.startswith("error:") for line in err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["bild"], 2, "bild"),
        (["build"], 2, "(?i)config"),
        (["build", "dataset.yaml", "--workers", "0"], 2, "needs at least 1"),
        (["build", "dataset.yaml", "--wrokers", "2"], 2, "wrokers"),
        (["init", "dataset.yaml"], 2, "exists already"),
        (["verify", "nowhere"], 2, "nowhere"),
        (["verify", "imagery"], 2, "imagery"),
        (["inspect", "nowhere", "abc"], 2, "nowhere"),
        (["inspect", "store/releases/tiny", "nokey"], 2, "nokey"),
        (["vocabulary", "nowhere.osm.pbf"], 2, "nowhere.osm.pbf"),
    ],
)
def test_commands(
    arguments: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(make_world(tmp_path))
    before = release_hashes(tmp_path / "store")
    monkeypatch.chdir(tmp_path)
    assert command(monkeypatch, *arguments) == code
    out, err = capsys.readouterr()
    assert re.search(message, out + err), out + err
    assert "Traceback" not in out + err
    assert release_hashes(tmp_path / "store") == before


def test_a_release_name_is_taken_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_world(tmp_path)
    assert command(monkeypatch, "build", str(config)) == 0
    before = release_hashes(tmp_path / "store" / "releases" / "tiny")
    edit(tmp_path, captions={"type": "template", "seed": 3})
    assert command(monkeypatch, "build", str(config)) == 2
    assert "choose another" in " ".join(capsys.readouterr().err.split())
    assert release_hashes(tmp_path / "store" / "releases" / "tiny") == before
    edit(tmp_path, name="tiny-2")
    assert command(monkeypatch, "build", str(config)) == 0


def test_retry_tries_the_units_with_failed_items_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_world(tmp_path)
    corrupt_tiles(tmp_path)
    assert command(monkeypatch, "build", str(config)) == 3
    commits = set((tmp_path / "store" / "commits" / "pixels").rglob("*.json"))
    before = {path: path.stat().st_mtime_ns for path in commits}
    assert command(monkeypatch, "retry", str(config)) == 3
    assert "1 units with failed items are tried again" in capsys.readouterr().out
    assert sum(path.stat().st_mtime_ns != before[path] for path in commits) == 1


def test_a_mistake_later_on_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_world(tmp_path)
    assert command(monkeypatch, "build", str(config)) == 0
    before = release_hashes(tmp_path / "store")
    tif(scene(tmp_path), count=1)
    assert command(monkeypatch, "build", str(config)) == 2
    after = release_hashes(tmp_path / "store")
    assert {key: value for key, value in after.items() if key in before} == before
    capsys.readouterr()


@pytest.mark.parametrize("full", ["store", "scratch"])
def test_a_full_disk(
    full: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_world(tmp_path)
    small = tmp_path / full
    small.mkdir()
    with small_disk(small, "150k" if full == "store" else "12k") as resize:
        if full == "scratch":
            edit(tmp_path, runtime={"scratch": str(small)})
        assert command(monkeypatch, "build", str(config)) == 1
        err = " ".join(capsys.readouterr().err.split())
        assert "space left" in err
        assert "is safe" in err
        assert "Traceback" not in err
        resize("50m")
        assert command(monkeypatch, "build", str(config)) == 0
        capsys.readouterr()


def test_the_worlds_config_is_the_one_that_is_spoilt(tmp_path: Path) -> None:
    assert yaml.safe_load(make_world(tmp_path).read_text()) == config_values()
