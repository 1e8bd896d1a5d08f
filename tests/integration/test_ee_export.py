"""Whole assets exported first: started once, resumed, tried again once, and cut to the same patches."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.configfile import load_config
from pipeline.errors import Misconfigured, Permanent
from pipeline.estimate import estimate
from pipeline.imagery.earthengine.exports import MAX_SIDE, check_exportable, export_key, run_exports
from pipeline.imagery.emulator.server import Server, serve
from pipeline.inventory import take_inventory
from pipeline.ledger import Ledger
from pipeline.plan import make_plan
from pipeline.show import estimate_lines
from pipeline.types import Asset, Scene
from tests.ee_world import entry, imagery_values, write_catalog
from tests.small_world import run, write_config, write_imagery, write_osm

ASSET = Asset("TEST/ORTHO/a_20210615", "2021-06-16T00:00:00Z", ("R", "G", "B"), "uint8")
SCENE = Scene(
    "a_20210615", ASSET, "EPSG:26918",
    (0.6, 0.0, 0.0, 0.0, -0.6, 0.0), 192, 192, None, 0.6, (0.0, 0.0, 0.0, 0.0),
)  # fmt: skip
FAST = {"poll_s": 0.05, "attempts": 2, "backoff_s": 0.01}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    write_osm(tmp_path / "town.osm.pbf")
    write_imagery(tmp_path / "imagery" / "scene_20210615.tif")
    catalog = write_catalog(tmp_path, entry("imagery/scene_20210615.tif", updated="2021-06-16T00:00:00Z"))
    with serve(catalog, exports=tmp_path / "cloud") as server:
        yield server


def build(folder: Path, server: Server, name: str, **imagery: Any) -> dict[str, str]:
    """Build with the small world's config; the hashes of the shards."""
    source = imagery_values(server.url, **imagery)
    config = write_config(folder, name=name, imagery=source, runtime={"workers": 1, "requests": FAST})
    outcome = run(config)
    assert outcome.exit_code == 0
    sums = (folder / "store" / "releases" / name / "checksums.sha256").read_text().split()
    return {path: sha for sha, path in zip(sums[::2], sums[1::2], strict=True) if path.startswith("shards/")}


EXPORTED = {"method": "export", "bucket": "my-bucket/run/1", "exports": "./cloud/my-bucket"}


def test_exported_assets_give_the_same_shards_and_are_exported_once(server: Server, tmp_path: Path) -> None:
    asked = build(tmp_path, server, "asked")
    exported = build(tmp_path, server, "exported", **EXPORTED)
    assert exported == asked
    assert len(list((tmp_path / "cloud" / "my-bucket" / "run" / "1").glob("scene_20210615-*.tif"))) == 1
    (usage,) = (tmp_path / "store" / "usage" / "exports").rglob("*.json")
    assert json.loads(usage.read_text())["requests"] == 1
    before = server.stats().requests
    for commit in (tmp_path / "store" / "commits" / "exports").rglob("*.json"):
        commit.unlink()  # as if the machine had died while it waited
    again = build(tmp_path, server, "again", **EXPORTED)
    assert again == asked
    after = Counter(server.stats().requests)
    after.subtract(before)
    assert len(list((tmp_path / "cloud").rglob("*.tif"))) == 1
    assert after["getPixels"] == 0


def test_the_forecast_of_exports_rests_on_finished_ones(server: Server, tmp_path: Path) -> None:
    build(tmp_path, server, "exported", **EXPORTED)
    store = tmp_path / "store"
    (record,) = (store / "usage" / "exports").rglob("*.json")
    usage = json.loads(record.read_text())
    assert usage["pixels"] == 192 * 192
    for stage in ("exports", "pixels"):
        for commit in (store / "commits" / stage).rglob("*.json"):
            commit.unlink()
    record.write_text(json.dumps(usage | {"pixels": 2 * 192 * 192, "batch_eecu_s": 18.0}))  # twice as large
    assert list(forecast(tmp_path, server)) == [
        "exports    1 whole assets",
        "EECU       0.0025 hours, at what finished exports took a pixel",  # 9 s
    ]
    record.unlink()
    assert list(forecast(tmp_path, server))[1] == "EECU       not known before the first export"


def forecast(folder: Path, server: Server) -> Iterator[str]:
    """What `estimate` prints of the exports."""
    source = imagery_values(server.url, **EXPORTED)
    config = write_config(folder, name="exported", imagery=source, runtime={"workers": 1})
    context = take_inventory(load_config(config), folder)
    found = estimate(context, make_plan(context, Ledger(context.store)))
    assert found is not None
    return (line for line in estimate_lines(found) if line.startswith(("exports", "EECU")))


def test_an_exported_file_of_another_shape_is_refused(server: Server, tmp_path: Path) -> None:
    build(tmp_path, server, "exported", **EXPORTED)
    (file,) = (tmp_path / "cloud").rglob("*.tif")
    write_imagery(file, columns=2)
    assert "not the export of scene_20210615 (128 x 192 pixels instead of 192 x 192)" in again(
        tmp_path, server
    )
    file.unlink()
    assert "the exported file of scene_20210615 is gone" in again(tmp_path, server)


def again(folder: Path, server: Server) -> str:
    """Cut the patches once more; what went wrong."""
    for stage in ("pixels", "release"):
        for commit in (folder / "store" / "commits" / stage).rglob("*.json"):
            commit.unlink()
    source = imagery_values(server.url, **EXPORTED)
    outcome = run(write_config(folder, name="exported", imagery=source, runtime={"workers": 1}))
    assert outcome.exit_code == 3
    return str(outcome.errors)


class Service:
    """Earth Engine's exports as a script: the states of each operation, one a look."""

    def __init__(self, *states: str) -> None:
        self.states = states
        self.started: list[tuple[str, str]] = []
        self.looks: Counter[str] = Counter()

    def start(self, _scene: Scene, target: str, request_id: str) -> None:
        self.started.append((target, request_id))

    def operations(self) -> Mapping[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        for n, (_, request_id) in enumerate(self.started):
            state = self.states[min(n, len(self.states) - 1)]
            shown = state if self.looks[request_id] else "RUNNING"
            self.looks[request_id] += 1
            found[request_id] = {
                "metadata": {"state": shown, "batchEecuUsageSeconds": 1.5},
                "error": {"message": "Internal trouble."},
            }
        return found


def test_one_look_covers_all_operations() -> None:
    service = Service("SUCCEEDED")
    pauses: list[float] = []
    scenes = [SCENE, replace(SCENE, id="b_20210615", pixels=replace(ASSET, id="TEST/ORTHO/b"))]
    done = list(run_exports(service, scenes, "bucket/prefix", poll_s=7, sleep=pauses.append))
    assert [export.scene.id for export in done] == ["a_20210615", "b_20210615"]
    assert pauses == [7, 7]  # started, running, done
    assert {export.eecu_s for export in done} == {1.5}
    assert [target for target, _ in service.started] == [f"bucket/{e.key.removesuffix('.tif')}" for e in done]


def test_a_failed_export_is_tried_once_more() -> None:
    service = Service("FAILED", "SUCCEEDED")
    (done,) = run_exports(service, [SCENE], "bucket", sleep=lambda _s: None)
    assert done.key == export_key(SCENE, "bucket")
    assert len({request_id for _, request_id in service.started}) == 2


def test_an_export_that_fails_twice_is_said_and_another_run_tries_again() -> None:
    service = Service("FAILED", "FAILED", "SUCCEEDED")
    with pytest.raises(Permanent, match=r"1 exports failed twice: a_20210615: Internal trouble\."):
        list(run_exports(service, [SCENE], "bucket", sleep=lambda _s: None))
    assert len(service.started) == 2
    (done,) = run_exports(service, [SCENE], "bucket", sleep=lambda _s: None)
    assert done.scene is SCENE
    assert len({request_id for _, request_id in service.started}) == 3


def test_an_export_that_is_never_listed_is_not_waited_for_for_ever() -> None:
    service = Service("RUNNING")
    service.operations = dict  # type: ignore[method-assign]  # starts are forgotten
    with pytest.raises(Permanent, match="does not list it"):
        list(run_exports(service, [SCENE], "bucket", sleep=lambda _s: None))


def test_the_same_pixels_have_the_same_request_and_file_and_others_have_not() -> None:
    first, second = Service("SUCCEEDED"), Service("SUCCEEDED")
    for service in (first, second):
        list(run_exports(service, [SCENE], "bucket", sleep=lambda _s: None))
    assert first.started == second.started
    changed = replace(SCENE, pixels=replace(ASSET, updated="2022-01-01T00:00:00Z"))
    assert export_key(changed, "bucket") != export_key(SCENE, "bucket")


def test_what_does_not_fit_an_export_is_refused() -> None:
    check_exportable(replace(SCENE, width=MAX_SIDE))
    with pytest.raises(Misconfigured, match="method: pixels"):
        check_exportable(replace(SCENE, width=MAX_SIDE + 1))
    with pytest.raises(Misconfigured, match="native grid"):
        check_exportable(replace(SCENE, pixels=replace(ASSET, factor=2)))
