"""Builds on a Dask cluster of processes: dead workers, units that kill, a lost scheduler; the same bytes as ever."""

import os
import signal
import sys
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import cluster
from pipeline.cluster import Cluster, executor_of
from pipeline.config import Runtime
from pipeline.configfile import load_config
from pipeline.engine import Outcome, Progress, build
from pipeline.errors import Misconfigured, Transient
from pipeline.handout import taken
from pipeline.imagery.allowance import Allowance
from pipeline.inventory import take_inventory
from pipeline.ledger import Unit
from pipeline.stages.base import Context
from pipeline.store import Store
from pipeline.versions import check_versions, versions
from tests.dask_cluster import Machines, machines
from tests.small_world import make_world, release_hashes


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """A world of several cells, built on this machine."""
    folder = tmp_path_factory.mktemp("world")
    config = make_world(folder, towns=3, cell_zoom=16)
    context = take_inventory(load_config(config), folder)
    assert build(context).plan.finished
    return context


def elsewhere(world: Context, folder: Path, address: str) -> Context:
    """The same world in another store, to be built on a cluster."""
    runtime = Runtime(workers=1, executor="dask", address=address)
    config = world.config.model_copy(update={"runtime": runtime})
    return replace(world, config=config, store=Store(str(folder)))


def on_cluster(context: Context, tell: Progress | None = None) -> Outcome:
    with executor_of(context) as (execute, at_once):
        return build(context, tell, execute=execute, workers=at_once)


def hashes(context: Context) -> dict[str, str]:
    assert context.store.root is not None
    return release_hashes(context.store.root / "releases" / "tiny")


def middle(world: Context, stage: str) -> Unit:
    return Unit(stage, world.cells[len(world.cells) // 2])


@pytest.mark.slow
def test_a_killed_worker_costs_no_more_than_its_unit(tmp_path: Path, world: Context) -> None:
    with machines(tmp_path / "machines") as found:
        found.start_workers(1, 1, 2)
        context = elsewhere(world, tmp_path / "store", found.address)
        found.fault(str(middle(world, "facts")), "hang")
        killer = threading.Thread(target=lambda: os.kill(found.hanging(), signal.SIGKILL))
        killer.start()
        told: Counter[str] = Counter()
        outcome = on_cluster(context, lambda stage, units, _total: told.update({stage: units}))
        killer.join()
        assert sum(worker.poll() == -signal.SIGKILL for worker in found.workers) == 1
    assert outcome.plan.finished
    assert not outcome.errors
    assert hashes(context) == hashes(world)
    assert told == {stage.stage.name: len(stage.done) for stage in outcome.plan.stages if stage.done}


@pytest.mark.slow
def test_a_unit_that_kills_its_workers_then_a_lost_scheduler(
    tmp_path: Path, world: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    with machines(tmp_path / "machines", allowed_failures=0) as found:
        context = elsewhere(world, tmp_path / "store", found.address)
        with monkeypatch.context() as patch:
            patch.setattr(cluster, "_CONNECT_S", 3.0)
            with pytest.raises(Misconfigured, match="has no workers"):
                on_cluster(context)
        found.start_workers(1, 1, 1)
        _poison(found, world, context)
        _lost_scheduler(found, world, elsewhere(world, tmp_path / "lost", found.address))


def _poison(found: Machines, world: Context, context: Context) -> None:
    """The unit is the only error. Without it the rest of a build goes on and finishes the release."""
    poison = middle(world, "pixels")
    found.fault(str(poison), "kill")
    outcome = on_cluster(context)
    assert set(outcome.errors) == {str(poison)}
    assert "died" in outcome.errors[str(poison)]
    assert sum(worker.poll() == -signal.SIGKILL for worker in found.workers) == 2
    done = {stage.stage.name: len(stage.done) for stage in outcome.plan.stages}
    assert done["pixels"] == done["captions"] == len(world.cells) - 1
    found.fault("none", "kill")
    assert on_cluster(context).plan.finished
    assert hashes(context) == hashes(world)


def _lost_scheduler(found: Machines, world: Context, context: Context) -> None:
    found.fault(str(middle(world, "patches")), "hang")

    def kill() -> None:
        found.hanging()
        found.scheduler.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(Transient, match="run again to go on"):
        on_cluster(context)
    killer.join()
    assert build(replace(context, config=world.config)).plan.finished
    assert hashes(context) == hashes(world)


def test_nobody_at_the_address(world: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_CONNECT_S", 0.5)
    with pytest.raises(Misconfigured, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        on_cluster(elsewhere(world, tmp_path / "store", "tcp://127.0.0.1:9"))


def test_without_dask(world: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(Misconfigured, match="pip install 'skyteller\\[dask\\]'"):
        on_cluster(elsewhere(world, tmp_path / "store", "tcp://127.0.0.1:9"))


def test_other_versions_are_told() -> None:
    found = versions()
    check_versions("tcp://host:1", found, dict(found))
    with pytest.raises(
        Misconfigured, match=r"worker tcp://host:1 has numpy 1\.0 for .*: its tables could differ"
    ):
        check_versions("tcp://host:1", found, found | {"numpy": "1.0"})


def test_a_budget_is_refused(world: Context) -> None:
    with pytest.raises(Misconfigured, match="--budget is counted on one machine"):
        next(Cluster(None)(world, [], Allowance(1)))


def test_workers_share_the_requests_and_no_more(world: Context) -> None:
    asked = world.config.runtime.requests
    for fetching in (1, 3, asked.in_flight // 2):
        context = taken(world.store.url, cluster._hand_out(world, fetching))
        share = context.config.runtime.requests
        assert context.config.runtime.workers == 1
        assert share.in_flight >= 2
        assert share.in_flight * fetching <= asked.in_flight
        assert share.per_second * fetching <= asked.per_second * (1 + 1e-9)
