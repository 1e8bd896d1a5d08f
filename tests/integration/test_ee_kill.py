"""A build that is killed while it fetches from Earth Engine: nothing that is in the store is asked for again."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.ee_many import PATCH, Asked, build, command, emulator, make_many
from tests.small_world import release_hashes

KILLS = 10
IN_FLIGHT = 8
UNDER_WAY = 2 * (IN_FLIGHT + 2 * 4)
"""Blocks of two workers that are asked for, on their way, or not in the store yet: twice the threads."""


@pytest.mark.slow
def test_ten_kills_during_the_fetch(tmp_path: Path) -> None:
    rng = random.Random(10)
    world = make_many(tmp_path, 16, 12, cell_zoom=16)  # enough cells for two workers
    with emulator(world) as (server, asked):
        done = build(world.config("expected"), server)
        assert done.returncode == 0, done.stderr
        assert Counter(_place(each) for each in asked) == Counter(dict.fromkeys(world.patches, 1))
        asked.clear()

        config = world.config("store", in_flight=IN_FLIGHT)
        assert build(config, server, "--budget", "0").returncode == 4  # all that comes before the pixels

    repeated, finished = 0, set[tuple[int, int]]()
    with emulator(world, latency_s=0.05) as (server, asked):
        for _ in range(KILLS):
            asked.clear()
            _kill_after(config, server.url, asked, rng.randint(1, 35))
            assert not {_place(each) for each in asked} & finished, "asked again for what is in the store"
            before, finished = finished, world.finished("store")
            assert before <= finished
            lost = len(asked) - len(finished - before)
            assert lost <= UNDER_WAY
            repeated += lost
        assert 0 < len(finished) < len(world.patches)
        asked.clear()
        done = build(config, server)
        assert done.returncode == 0, done.stdout + done.stderr
        assert sorted(_place(each) for each in asked) == sorted(world.patches - finished)
    print(f"{repeated} requests of killed builds were repeated, {repeated / KILLS:.1f} per kill")
    assert release_hashes(world.release("store")) == release_hashes(world.release("expected"))


def _place(asked: Asked) -> tuple[int, int]:
    assert (asked.width, asked.height) == (PATCH, PATCH)
    return asked.col, asked.row


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
    while _session(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _session(process.pid)


def _session(leader: int) -> list[int]:
    """Processes of a session that are alive (field 6 of /proc/PID/stat is the session)."""
    alive = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[3]) == leader and fields[0] != "Z":
                alive.append(int(entry.name))
    return alive
