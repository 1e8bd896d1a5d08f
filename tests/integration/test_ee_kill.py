"""A build that is killed while it fetches from Earth Engine: nothing that is in the store is asked for again."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.ee_many import PATCH, STEP, Asked, World, build, command, emulator, make_many
from tests.processes import alive_in_session
from tests.small_world import release_hashes

KILLS = 10
IN_FLIGHT = 4
UNDER_WAY = 2 * 2 * (IN_FLIGHT // 2 + 4)
"""Blocks of two workers that are asked for, on their way, or not in the store yet: twice the threads."""

WASTE = 1.75
"""With gaps as wide as the patches, n in a line waste (2n - 1) / n: up to four are a block, two lines never."""

MOST = 4


@pytest.mark.slow
def test_ten_kills_during_the_fetch_of_blocks(tmp_path: Path) -> None:
    rng = random.Random(10)
    world = make_many(tmp_path, 20, 16, cell_zoom=16)  # enough cells for two workers
    with emulator(world) as (server, asked):
        done = build(world.config("expected", waste=WASTE), server)
        assert done.returncode == 0, done.stderr
        assert Counter(_patches(world, asked)) == Counter(dict.fromkeys(world.patches, 1))
        assert len(asked) < len(world.patches) / 2, "most blocks are to hold several patches"
        asked.clear()

        config = world.config("store", waste=WASTE, in_flight=IN_FLIGHT)
        assert build(config, server, "--budget", "0").returncode == 4  # all that comes before the pixels

    repeated, finished = 0, set[tuple[int, int]]()
    with emulator(world, latency_s=0.05) as (server, asked):
        for _ in range(KILLS):
            asked.clear()
            _kill_after(config, server.url, asked, rng.randint(1, 12))
            assert not set(_patches(world, asked)) & finished, "asked again for what is in the store"
            before, finished = finished, world.finished("store")
            assert before <= finished
            lost = [each for each in asked if not set(_patches(world, [each])) <= finished]
            assert len(lost) <= UNDER_WAY
            assert not set(_patches(world, lost)) & finished, "a block is kept whole or not at all"
            repeated += len(lost)
        assert 0 < len(finished) < len(world.patches)
        asked.clear()
        done = build(config, server)
        assert done.returncode == 0, done.stdout + done.stderr
        assert Counter(_patches(world, asked)) == Counter(dict.fromkeys(world.patches - finished, 1))
    print(f"{repeated} requests of killed builds were repeated, {repeated / KILLS:.1f} per kill")
    assert release_hashes(world.release("store")) == release_hashes(world.release("expected"))


def _patches(world: World, asked: Iterable[Asked]) -> Iterator[tuple[int, int]]:
    """Column and row of the patches that blocks hold: one to four, from edge to edge."""
    for each in asked:
        columns = range(each.col, each.col + each.width, STEP)
        rows = range(each.row, each.row + each.height, STEP)
        held = [(col, row) for col in columns for row in rows]
        assert (columns[-1] + PATCH, rows[-1] + PATCH) == (each.col + each.width, each.row + each.height)
        assert len(held) <= MOST
        assert world.patches.issuperset(held)
        yield from held


def _kill_after(config: Path, url: str, asked: Sequence[Asked], many: int) -> None:
    """Start a build, kill it after so many requests, and wait until its workers have noticed."""
    process = subprocess.Popen(
        command(config),
        env={**os.environ, "SKYTELLER_EE_URL": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while len(asked) < many and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    assert process.poll() is None, "the build ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)  # the parent only
    process.wait()
    while alive_in_session(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive_in_session(process.pid)
