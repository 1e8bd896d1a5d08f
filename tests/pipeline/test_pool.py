"""Workers die alone, and nothing is left of them when a run ends."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from pipeline import pool
from pipeline.config import Runtime
from pipeline.configfile import load_config
from pipeline.errors import StoreError
from pipeline.inventory import take_inventory
from pipeline.jobs import Job, Results, jobs_of, run_job
from pipeline.ledger import Commit, Ledger
from pipeline.plan import make_plan
from pipeline.pool import Pool, run_here
from pipeline.stages.base import Context, Ready
from tests.faulty_store import FaultyStore
from tests.small_world import make_world

Faulty: TypeAlias = Callable[..., tuple[Context, tuple[Ready, ...]]]


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    """Makes a world in which the facts of some cells, by number, do harm; returns the units of the stage."""

    def make(**faults: str) -> tuple[Context, tuple[Ready, ...]]:
        config = make_world(tmp_path, towns=3, cell_zoom=16)
        store = FaultyStore(str(tmp_path / "store"))
        (tmp_path / "store" / "faults.json").write_text("{}")
        context = take_inventory(load_config(config), tmp_path, store)
        for job in jobs_of(make_plan(context, Ledger(store)), context.config, {}):  # elements, patches
            list(run_job(context, job))
        ready = {stage.stage.name: stage.ready for stage in make_plan(context, Ledger(store)).stages}["facts"]
        assert len(ready) >= 4
        named = {ready[int(number.removeprefix("c"))].unit.cell: fault for number, fault in faults.items()}
        (tmp_path / "store" / "faults.json").write_text(json.dumps(named))
        return replace(
            context, config=context.config.model_copy(update={"runtime": Runtime(workers=2)})
        ), ready

    return make


def singles(works: tuple[Ready, ...]) -> list[Job]:
    return [Job("facts", (work,)) for work in works]


def made(results: Results) -> tuple[set[str], list[tuple[Job, str]]]:
    """Fingerprints of the units that were committed, and errors."""
    commits: list[Commit] = []
    errors = []
    for job, result in results:
        if isinstance(result, str):
            errors.append((job, result))
        else:
            commits += result
    assert len(commits) == len({commit.unit for commit in commits})
    return {commit.fingerprint for commit in commits}, errors


def prints(works: tuple[Ready, ...]) -> set[str]:
    return {work.fingerprint for work in works}


def test_a_worker_that_dies_once_costs_nothing(faulty: Faulty) -> None:
    context, works = faulty(c0="kill once")
    committed, errors = made(run_here(context, singles(works), None))
    assert (committed, errors) == (prints(works), [])


def test_a_unit_that_kills_is_the_only_error(faulty: Faulty) -> None:
    context, works = faulty(c1="kill")
    committed, errors = made(run_here(context, singles(works), None))
    assert committed == prints(works) - {works[1].fingerprint}
    assert errors == [(Job("facts", (works[1],)), "the worker process died (out of memory, or killed)")]


def test_what_a_dead_lane_has_made_is_not_made_again(faulty: Faulty) -> None:
    context, works = faulty(c1="kill once")
    lanes = [Job("facts", works[:3], 0), Job("facts", works[3:], 1)]
    with Pool(context, 2) as workers:
        told = [
            (len(job.works), commit.unit)
            for job, commits in workers.run(lanes)
            for commit in commits
            if isinstance(commit, Commit)
        ]
    assert {unit for _, unit in told} == {work.unit for work in works}
    assert len(told) == len(works)
    rest = len(works) - 3
    assert sorted(units for units, _ in told) == sorted([3, 2, 2] + [rest] * rest)


def test_a_lane_that_dies_leaves_the_other_at_work(
    faulty: Faulty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_GRACE_S", 0.5)
    context, works = faulty(c0="kill", c1="hang")
    results = run_here(context, [Job("facts", works[:1], 0), Job("facts", works[1:2], 1)], None)
    assert (
        next(result for _, result in results if result)
        == "the worker process died (out of memory, or killed)"
    )
    hanging = tmp_path / "store" / "hanging"
    while not hanging.exists():
        next(results)
    os.kill(int(hanging.read_text()), 0)  # alive
    results.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(hanging.read_text()), 0)


def test_an_error_of_one_lane_ends_the_others(
    faulty: Faulty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_GRACE_S", 1.0)
    context, works = faulty(c0="fail", c1="hang")
    began = time.monotonic()
    with pytest.raises(StoreError, match="no space left") as caught:
        made(run_here(context, [Job("facts", works[:1], 0), Job("facts", works[1:2], 1)], None))
    assert time.monotonic() - began < 50, "it waited for the other lane"
    assert any("faulty_store.py" in note for note in caught.value.__notes__)
    hanging = tmp_path / "store" / "hanging"
    if hanging.exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int(hanging.read_text()), 0)


def test_workers_serve_one_run_after_the_other(faulty: Faulty) -> None:
    context, works = faulty(c2="kill once")
    with Pool(context, 1) as workers:
        for some in (works[:2], works[2:]):
            assert made(workers.run(singles(some))) == (prints(some), [])
