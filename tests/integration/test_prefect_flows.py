"""Deployments on a real server with real workers: a schedule, a refresh, captions on two GPUs' workers, a shared quota."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import mercantile
import pytest
import yaml
from pyproj import Transformer

from flows.deployments import FILE
from pipeline.configfile import load_config
from pipeline.inventory import take_inventory
from pipeline.ledger import Ledger
from pipeline.plan import make_plan
from tests.ee_many import emulator, make_many
from tests.prefect_server import ENDED, ROOT, Prefect, prefect
from tests.small_world import GSD, NORTH, SIDE, WEST, make_world, write_imagery, write_osm

ZOOM = 16
SCENES = 14
VLLM = """
import json, os, sys, types
from dataclasses import dataclass


class SamplingParams:
    def __init__(self, **values):
        self.seed = values["seed"]


class LLM:
    def __init__(self, **_arguments):
        self.llm_engine = types.SimpleNamespace(engine_core=types.SimpleNamespace(shutdown=lambda: None))

    def get_tokenizer(self):
        return types.SimpleNamespace(apply_chat_template=lambda turns, **_options: [0])

    def chat(self, turns, sampling, use_tqdm):
        with open(os.environ["ASKED"], "a") as file:
            file.writelines(f"{os.getpid()} {one.seed}\\n" for one in sampling)
        text = json.dumps({"caption": "A view from above.", "uses": []})
        answer = types.SimpleNamespace(text=text, finish_reason="stop", token_ids=[0])
        return [types.SimpleNamespace(outputs=[answer], prompt_token_ids=[0]) for _ in sampling]


@dataclass
class EngineArgs:
    seed: int = 0


for name, values in {
    "sampling_params": {"StructuredOutputsParams": dict},
    "engine": {},
    "engine.arg_utils": {"EngineArgs": EngineArgs},
    "platforms": {"current_platform": types.SimpleNamespace(is_cpu=lambda: False)},
    "distributed": {"cleanup_dist_env_and_memory": lambda: None},
}.items():
    module = types.ModuleType(f"vllm.{name}")
    vars(module).update(values)
    sys.modules[module.__name__] = module
"""


@pytest.mark.slow
@pytest.mark.server
def test_deployments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = tmp_path / "stand-in"
    stand_in.mkdir()
    (stand_in / "vllm.py").write_text(VLLM)
    (stand_in / "torch.py").write_text("class OutOfMemoryError(RuntimeError):\n    pass\n")
    many = make_many(tmp_path / "many", 24, 16, cell_zoom=ZOOM)
    with emulator(many, latency_s=2.0) as (earth_engine, _), prefect(tmp_path / "prefect") as server:
        server.env |= {
            "PYTHONPATH": f"{stand_in}{os.pathsep}{ROOT}", "ASKED": str(tmp_path / "asked.txt"),
            "SKYTELLER_EE_URL": earth_engine.url,
        }  # fmt: skip
        config = _town(tmp_path / "town")
        deployments = _every_minute(tmp_path)
        for _ in range(2):  # the second time changes nothing
            deployed = server.skyteller("deploy", str(config), "--gpu", "process", "--file", str(deployments))
            assert deployed.returncode == 0, deployed.stderr
        assert deployed.stdout.count(": there") == 9  # three pools, six automations
        server.worker("skyteller-control")
        _a_schedule_builds(server, config)
        _a_changed_map_gives_a_second_release(server, config)

        for _ in range(2):
            server.worker("skyteller-gpu", limit=1)
        _every_text_is_asked_for_once(server, tmp_path)

        server.worker("skyteller-cpu", limit=4)
        asking = many.config("store", in_flight=40)
        _a_budget_stops_the_schedule(server, asking)
        monkeypatch.setenv("SKYTELLER_EE_URL", earth_engine.url)
        _the_quota_holds_over_four_runs(server, asking)
        assert (
            10 < earth_engine.stats().peak_in_flight <= 40
        )  # 10 is what one of the eight processes may have


def _a_schedule_builds(server: Prefect, config: Path) -> None:
    """A schedule starts the deployment; the result is a release that verifies."""
    server.wait(lambda: bool(_running(server)), 180, "a scheduled run")
    (run,) = _running(server)  # one that a schedule starts while it runs is cancelled
    deployment = server.ask("GET", "/deployments/name/build/build")
    (schedule,) = deployment["schedules"]
    server.ask("PATCH", f"/deployments/{deployment['id']}/schedules/{schedule['id']}", {"active": False})
    assert run["auto_scheduled"]
    assert server.ended(run["id"]) == ("COMPLETED", "released tiny")
    _verify(server, config.parent / "store" / "releases" / "tiny")
    artifacts = {each["key"]: each for each in server.ask("POST", "/artifacts/filter", {})}
    assert set(artifacts) == {"tiny-progress", "tiny-counts", "tiny-contact-sheet"}
    assert artifacts["tiny-progress"]["data"] == 100
    assert "| release | 1/1 |" in artifacts["tiny-counts"]["data"]
    assert artifacts["tiny-contact-sheet"]["data"].startswith("data:image/jpeg;base64,")
    batches = [each["name"] for each in server.ask("POST", "/task_runs/filter", {})]
    assert {"facts-001", "pixels-001", "release-001"} <= set(batches)
    assert len(batches) < 50


def _a_changed_map_gives_a_second_release(server: Prefect, config: Path) -> None:
    """A smaller wood: only cells that can see it are built again, and both releases verify.

    Samples name the snapshot, so all of them are packed anew; maps are spread over the cells anew.
    """
    store = config.parent / "store"
    before = set((store / "commits").glob("*/*/*.json"))
    write_osm(config.parent / "town.osm.pbf", wood_px=40.0, version=2)
    assert server.ended(server.start("refresh/refresh"), 180)[0] == "COMPLETED"
    old, new = sorted((store / "releases").iterdir())
    assert old.name == "tiny"
    assert new.name.startswith("tiny-")
    _verify(server, old)
    _verify(server, new)
    wood = mercantile.tile(*_lonlat(30, 30), ZOOM)
    built = {
        (path.parts[-3], path.parts[-2]) for path in set((store / "commits").glob("*/*/*.json")) - before
    }
    again = {cell for stage, cell in built if stage in {"patches", "facts", "pixels", "captions"}}
    near = {f"{ZOOM}-{wood.x + dx}-{wood.y + dy}" for dx in (-1, 0, 1) for dy in (-1, 0, 1)}
    everywhere = {path.parts[-2] for path in before if path.parts[-3] == "facts"}
    assert again
    assert again <= near
    assert everywhere - near, "some cells are far away"


def _every_text_is_asked_for_once(server: Prefect, folder: Path) -> None:
    """Two workers with an engine each share the captions of a build."""
    model = folder / "captioned" / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    annotators = [{"type": "template"}, {"type": "vllm", "model": "./model"}]
    captions = {"type": "several", "annotators": annotators, "min_area_share": 0.01}
    config = make_world(
        folder / "captioned", captions=captions, runtime={"workers": 2, "gpus": 2}, cell_zoom=ZOOM,
        sampling={"patch_px": 32},
    )  # fmt: skip
    assert server.ended(server.start("build/build", config=str(config)), 240)[0] == "COMPLETED"
    asked = [line.split() for line in (folder / "asked.txt").read_text().splitlines()]
    assert len({seed for _, seed in asked}) == len(asked) > 10
    done = Counter(
        path.parts[-2] for path in (folder / "captioned" / "store" / "commits" / "captions").rglob("*.json")
    )
    assert set(done.values()) == {1}
    children = [run for run in server.runs() if run["parent_task_run_id"]]
    assert [run["state"]["type"] for run in children] == ["COMPLETED"] * 2
    assert len({run["infrastructure_pid"] for run in children}) == 2
    handed = [unit for run in children for unit in run["parameters"]["units"]]
    assert sorted(unit.split("/")[1] for unit in handed) == sorted(done)


def _a_budget_stops_the_schedule(server: Prefect, config: Path) -> None:
    """All that comes before the pixels is built; then someone has to want the rest."""
    run = server.start("build/build", config=str(config), budget=0)
    assert server.ended(run)[0] == "FAILED"
    state = server.ask("GET", f"/flow_runs/{run}")["state"]
    assert state["name"] == "BudgetReached"
    assert "the budget of 0 requests is used up" in state["message"]
    server.wait(lambda: bool(server.ask("GET", "/deployments/name/build/build")["paused"]), 120, "a pause")


def _the_quota_holds_over_four_runs(server: Prefect, config: Path) -> None:
    """Four runs that may have half of the quota each: no more than two of them ask at a time."""
    context = take_inventory(load_config(config), config.parent)
    plan = make_plan(context, Ledger(context.store))
    ready = [str(work.unit) for stage, work in plan.ready if stage.name == "pixels"]
    assert len(ready) >= 4
    runs = [server.start("work/work", config=str(config), units=ready[n::4], share="1/2") for n in range(4)]
    held: list[int] = []

    def over() -> bool:
        held.append(server.ask("GET", "/v2/concurrency_limits/earth-engine")["active_slots"])
        return all(server.state(run)[0] in ENDED for run in runs)

    server.wait(over, 300, "the end of four runs")
    assert [server.state(run)[0] for run in runs] == ["COMPLETED"] * 4
    assert max(held) == 40
    assert server.ask("GET", "/v2/concurrency_limits/earth-engine")["active_slots"] == 0


def _town(folder: Path, **changes: Any) -> Path:
    """The small world with fields to the east, so wide that not all cells see each other."""
    for n in range(1, SCENES):
        write_imagery(folder / "imagery" / f"scene{n}_20210615.tif", west=WEST + n * SIDE * GSD, seed=n + 1)
    area = [*_lonlat(0, SIDE), *_lonlat(SCENES * SIDE, 0)]
    values = {"cell_zoom": ZOOM, "runtime": {"workers": 2}, "area": {"bbox": area}}
    return make_world(folder, **{**values, **changes})


def _lonlat(column: float, row: float) -> tuple[float, float]:
    """A pixel of the world in degrees."""
    to_lonlat = Transformer.from_crs("EPSG:26918", "EPSG:4326", always_xy=True)
    lon, lat = to_lonlat.transform(WEST + column * GSD, NORTH - row * GSD)
    return lon, lat


def _every_minute(folder: Path) -> Path:
    """The package's deployments, with the schedule of `build` turned on."""
    values = yaml.safe_load(FILE.read_text())
    values["deployments"][0]["schedules"][0] |= {"cron": "* * * * *", "active": True}
    (folder / "pools").symlink_to(FILE.parent / "pools")
    path = folder / "prefect.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def _running(server: Prefect) -> list[dict[str, Any]]:
    return [run for run in server.runs() if run["state"]["type"] == "RUNNING"]


def _verify(server: Prefect, release: Path) -> None:
    verified = server.skyteller("verify", str(release))
    assert verified.returncode == 0, verified.stderr
