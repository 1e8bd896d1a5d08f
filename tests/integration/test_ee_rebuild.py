"""A sample made from Earth Engine is proven from Earth Engine, as long as it has the same asset."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.errors import Misconfigured
from pipeline.imagery.emulator.server import serve
from pipeline.rebuild import rebuild
from tests.ee_world import entry, imagery_values, write_catalog
from tests.small_world import run, write_config, write_imagery, write_osm

OLD = entry("imagery/scene_20210615.tif", updated="2021-06-16T00:00:00Z")


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release; the environment names the project, as a release does not."""
    monkeypatch.setenv("SKYTELLER_EE_PROJECT", "test")
    write_osm(tmp_path / "town.osm.pbf")
    write_imagery(tmp_path / "imagery" / "scene_20210615.tif")
    with serve(write_catalog(tmp_path, OLD)) as server:
        run(write_config(tmp_path, imagery=imagery_values(server.url)))
    return tmp_path / "store" / "releases" / "tiny"


def key_of(release: Path) -> str:
    return str(pq.read_table(release / "metadata.parquet")["key"][0].as_py())


def test_a_release_names_neither_project_nor_server(release: Path) -> None:
    text = (release / "config.yaml").read_text()
    assert "TEST/ORTHO" in text
    assert "127.0.0.1" not in text
    assert "project" not in text


def test_newer_scenes_do_not_matter(release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_imagery(tmp_path / "imagery" / "newer_20210901.tif", seed=5)
    newer = entry("imagery/newer_20210901.tif", start="2021-09-01T00:00:00Z", end="2021-09-02T00:00:00Z")
    with serve(write_catalog(tmp_path, OLD, newer)) as server:
        monkeypatch.setenv("SKYTELLER_EE_URL", server.url)
        proof = rebuild(release, key_of(release), tmp_path)
    assert proof.different == ()
    assert len(proof.identical) == 3


def test_an_asset_that_has_changed_is_named(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(write_catalog(tmp_path, OLD | {"updated": "2023-01-01T00:00:00Z"})) as server:
        monkeypatch.setenv("SKYTELLER_EE_URL", server.url)
        with pytest.raises(Misconfigured, match=r"TEST/ORTHO/scene_20210615: changed at 2023-01-01T00:00:00"):
            rebuild(release, key_of(release), tmp_path)
