"""Lanes: units that share an engine or a pass over a source run in one call, each lane on GPUs of its own."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.config import DatasetConfig
from pipeline.jobs import Job, gpus_of, jobs_of
from pipeline.ledger import Unit
from pipeline.plan import Plan, StagePlan
from pipeline.stages import captions, facts
from pipeline.stages.base import Ready

MODEL: dict[str, Any] = {"type": "vllm", "model": "a/b", "revision": "0" * 40}
SERVED: dict[str, Any] = {
    "type": "openai",
    "model": "m",
    "revision": "1",
    "endpoints": ["http://127.0.0.1:1/v1"],
}


def config(gpus: int = 1, **captions: object) -> DatasetConfig:
    values = {
        "name": "small",
        "osm": {"type": "pbf", "path": "x"},
        "imagery": {"type": "geotiff", "paths": ".", "license": "CC0", "attribution": "nobody"},
        "captions": captions or {"type": "template"},
        "runtime": {"gpus": gpus},
    }
    return DatasetConfig.model_validate(values)


def plan(n: int) -> Plan:
    def works(stage: str) -> tuple[Ready, ...]:
        return tuple(Ready(Unit(stage, f"c{i}"), "f", None, ()) for i in range(n))

    return Plan(tuple(StagePlan(each.STAGE, (), works(each.STAGE.name), ()) for each in (facts, captions)))


def cells(jobs: list[Job], stage: str) -> list[tuple[int | None, list[str]]]:
    return [(job.lane, [work.unit.cell for work in job.works]) for job in jobs if job.stage == stage]


def test_units_without_lanes_run_each_by_itself() -> None:
    jobs = jobs_of(plan(3), config(gpus=2), {})
    for stage in ("facts", "captions"):
        assert cells(jobs, stage) == [(None, ["c0"]), (None, ["c1"]), (None, ["c2"])]


def test_units_of_a_model_are_spread_over_the_gpus() -> None:
    jobs = jobs_of(plan(5), config(gpus=2, **MODEL), {})
    assert cells(jobs, "captions") == [(0, ["c0", "c2", "c4"]), (1, ["c1", "c3"])]
    assert len(cells(jobs_of(plan(1), config(gpus=2, **MODEL), {}), "captions")) == 1


def test_units_behind_servers_share_one_job() -> None:
    jobs = jobs_of(plan(5), config(gpus=4, **SERVED), {})
    assert cells(jobs, "captions") == [(0, ["c0", "c1", "c2", "c3", "c4"])]


def test_a_unit_that_failed_holds_up_none_of_its_lane() -> None:
    jobs = jobs_of(plan(3), config(**MODEL), {"captions/c1": "no answer"})
    assert cells(jobs, "captions") == [(0, ["c0", "c2"])]
    assert str(Unit("captions", "c1")) == "captions/c1"
    assert all(replace(job) == job for job in jobs)


@pytest.mark.parametrize(
    ("lanes", "visible", "expected"),
    [
        (2, None, ["0", "1"]),
        (2, "", ["0", "1"]),
        (2, "2,3", ["2", "3"]),
        (2, "0,1,2,3", ["0,1", "2,3"]),
        (3, "0,1", ["0", "1", "0"]),
        (2, "GPU-a,GPU-b", ["GPU-a", "GPU-b"]),
    ],
)
def test_the_gpus_of_lanes(lanes: int, visible: str | None, expected: list[str]) -> None:
    assert [gpus_of(lane, lanes, visible) for lane in range(lanes)] == expected
