"""Earth Engine on a bad day: every patch arrives exactly, an outage ends the build and costs nothing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3

from pipeline.imagery.emulator.faults import Fault
from pipeline.imagery.emulator.quota import Quota
from pipeline.imagery.emulator.server import Server
from pipeline.ledger import Commit
from pipeline.types import Counts
from tests.ee_many import PATCH, Asked, World, build, emulator, make_many, read_samples
from tests.small_world import release_hashes

BAD_DAY = (
    Fault("status", 0.05, status=429),
    Fault("status", 0.05, status=429, headers={"Retry-After": "1"}),
    Fault("status", 0.05, status=503),
    Fault("truncate", 0.03),
    Fault("corrupt", 0.02),
    Fault("reset", 0.02),
    Fault("stall", 0.01, seconds=2.0),
    Fault("html", 0.01, status=502),
    Fault("status", 0.01, status=400, message="Earth Engine capacity exceeded."),
)
OUTAGE = Fault("status", status=503)
SHORT: dict[str, Any] = {"attempts": 3, "patience_s": 0.5}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world of 192 patches in a few cells, and its undisturbed release in the store `expected`."""
    world = make_many(tmp_path_factory.mktemp("faults"), 16, 12, cell_zoom=15)
    with emulator(world) as (server, asked):
        done = build(world.config("expected"), server)
        assert done.returncode == 0, done.stderr
    assert Counter(places(asked)) == Counter(dict.fromkeys(world.patches, 1))
    return world


def places(asked: Sequence[Asked]) -> list[tuple[int, int]]:
    """The patches that were asked for, one a request."""
    assert {(each.width, each.height) for each in asked} <= {(PATCH, PATCH)}
    return [(each.col, each.row) for each in asked]


def expect_same(world: World, store: str) -> None:
    """A release has the bytes of the undisturbed one."""
    assert release_hashes(world.release(store)) == release_hashes(world.release("expected"))


def totals(world: World, store: str, stage: str) -> Counts:
    """What the commits of a stage count, all together."""
    commits = (world.folder / store / "commits" / stage).rglob("*.json")
    return sum((Commit.decode(path.read_bytes()).counts for path in commits), Counts())


def set_faults(server: Server, faults: list[dict[str, Any]]) -> None:
    """Change the faults of a running emulator."""
    with urllib3.PoolManager() as pool:
        assert pool.request("POST", f"{server.url}/_emulator/faults", json=faults).status == 200


@pytest.mark.slow
def test_two_thousand_patches_on_a_bad_day(tmp_path: Path) -> None:
    world = make_many(tmp_path, 50, 40, black=True)
    # A quarter of the answers is bad. Of 2,200 questions 2 % would meet 8 bad answers in a row, 1e-4 meet 12.
    config = world.config("store", in_flight=32, read_timeout_s=1.0, attempts=12)
    with emulator(world, faults=BAD_DAY, seed=7) as (server, asked):
        done = build(config, server)
        statistics = server.stats()
    assert done.returncode == 0, done.stdout + done.stderr
    assert not any(word in done.stdout + done.stderr for word in ("429", "quota", "Too Many", "capacity"))

    assert set(statistics.faults) == {"status", "truncate", "corrupt", "reset", "stall", "html"}
    assert min(statistics.faults.values()) > 5
    assert {"400", "429", "502", "503"} < set(statistics.statuses)
    first = Counter(each.route for each in set(asked))
    assert first == {"getPixels": 2000, "computePixels": 200}
    assert len(asked) == 2200 + sum(statistics.faults.values())

    assert totals(world, "store", "pixels") == Counts(2000, 2000)
    source = world.pixels()
    samples = read_samples(world.release("store"))
    assert samples.count == 2000
    assert set(samples.pictures) == world.patches
    for (col, row), picture in samples.pictures.items():
        assert np.array_equal(picture, source[row : row + PATCH, col : col + PATCH])


def test_an_outage_ends_the_build_and_nothing_is_taken_for_done(world: World) -> None:
    config = world.config("outage", **SHORT)
    with emulator(world, faults=[OUTAGE]) as (server, asked):
        done = build(config, server)
        assert done.returncode == 3, done.stdout + done.stderr
        assert "HTTP 503" in done.stderr
        assert "run again" in done.stderr
        assert totals(world, "outage", "facts").kept == len(world.patches)
        assert totals(world, "outage", "pixels").seen == 0
        assert world.finished("outage") == set()
        asked.clear()
        set_faults(server, [])
        done = build(config, server)
        assert done.returncode == 0, done.stdout + done.stderr
        assert sorted(places(asked)) == sorted(world.patches)
    expect_same(world, "outage")


def test_what_came_before_an_outage_is_kept(world: World) -> None:
    config = world.config("middle", **SHORT)
    good = 70
    with emulator(world, faults=[Fault("slow", seconds=0.0, times=good), OUTAGE]) as (server, asked):
        done = build(config, server)
        assert done.returncode == 3, done.stdout + done.stderr
        kept = world.finished("middle")
        assert len(kept) == good
        asked.clear()
    with emulator(world) as (server, asked):
        done = build(config, server)
        assert done.returncode == 0, done.stdout + done.stderr
        assert sorted(places(asked)) == sorted(world.patches - kept)
    expect_same(world, "middle")


def test_budgets_add_up_to_one_build(world: World) -> None:
    config = world.config("budget")
    with emulator(world) as (server, asked):
        for run in (1, 2):
            done = build(config, server, "--budget", "80")
            assert done.returncode == 4, done.stdout + done.stderr
            assert "budget of 80 requests" in done.stderr
            assert len(asked) == run * 80
            assert len(world.finished("budget")) == run * 80
        done = build(config, server, "--budget", "80")
        assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(places(asked)) == sorted(world.patches)
    expect_same(world, "budget")


@pytest.mark.parametrize("spare", [8, 0])
def test_the_cap_is_kept_whatever_the_quota(world: World, spare: int) -> None:
    cap = 12
    cells = replace(world, cell_zoom=16)  # enough for two workers
    config = cells.config(f"cap{spare}", in_flight=cap, per_second=500.0)
    with emulator(world, quota=Quota(cap + spare, 550.0), latency_s=0.05) as (server, asked):
        done = build(config, server)
        statistics = server.stats()
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(statistics.statuses) == {"200"}
    assert cap // 2 <= statistics.peak_in_flight <= cap, "both workers are to fetch at the same time"
    assert len(asked) == len(world.patches)
