"""Nothing is lost when the store or the machine fails: a rerun gives the release of an undisturbed run."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.errors import StoreError
from pipeline.store import Store
from tests.processes import alive_in_session
from tests.small_world import make_world, release_hashes, run, write_config, write_imagery


class FailingStore(Store):
    """A folder that fails at its k-th operation, before or in the middle of the work."""

    def __init__(self, url: str, fail_at: int = -1) -> None:
        super().__init__(url)
        self.operations = 0
        self.fail_at = fail_at
        self._lock = threading.Lock()  # stages are listed in threads

    def _step(self) -> None:
        with self._lock:
            self.operations += 1
            fails = self.operations == self.fail_at
        if fails:
            msg = f"operation {self.fail_at} failed on purpose"
            raise StoreError(msg)

    def put(self, key: str, data: bytes | Path) -> None:
        self._step()
        super().put(key, data)

    def create(self, key: str, data: bytes) -> bool:
        self._step()
        return super().create(key, data)

    def get(self, key: str) -> bytes:
        self._step()
        return super().get(key)

    def open(self, key: str) -> pa.NativeFile:
        self._step()
        return super().open(key)

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        self._step()
        return super().list(prefix)

    def marks(self, prefix: str) -> Iterator[tuple[str, str]]:
        self._step()
        return super().marks(prefix)

    def copy(self, source: str, target: str) -> None:
        self._step()
        super().copy(source, target)

    def delete(self, key: str) -> None:
        self._step()
        super().delete(key)


@pytest.mark.slow
def test_the_store_fails_at_every_operation_in_turn(tmp_path: Path) -> None:
    config = make_world(tmp_path)
    undisturbed = FailingStore(str(tmp_path / "undisturbed"))
    assert run(config, undisturbed).exit_code == 0
    expected = release_hashes(tmp_path / "undisturbed" / "releases" / "tiny")
    assert len(expected) > 5
    assert undisturbed.operations > 50
    for k in range(1, undisturbed.operations + 1):
        folder = tmp_path / f"store-{k}"
        with pytest.raises(StoreError, match="on purpose"):
            run(config, FailingStore(str(folder), fail_at=k))
        assert run(config, Store(str(folder))).plan.finished
        assert release_hashes(folder / "releases" / "tiny") == expected, (
            f"differs after a failure at operation {k}"
        )
        shutil.rmtree(folder)


@pytest.mark.slow
def test_twenty_kills_at_random_moments(tmp_path: Path) -> None:
    rng = random.Random(20)
    config = make_world(tmp_path, cell_zoom=16, runtime={"workers": 2})
    for n in range(1, 8):
        write_imagery(
            tmp_path / "imagery" / f"scene{n}_20210615.tif", west=340_000 + n * 64 * 3 * 0.6, seed=n + 1
        )
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", "build", str(config)]
    expected = _undisturbed(config, tmp_path)
    started = time.monotonic()
    subprocess.run([*command], check=True, capture_output=True)
    whole = time.monotonic() - started
    shutil.rmtree(tmp_path / "store")
    finished_by_chance = 0
    for _ in range(20):
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            process.wait(timeout=rng.uniform(0.3, 1.0) * whole)
            finished_by_chance += 1
            shutil.rmtree(tmp_path / "store")  # start over, so that the later kills hit something
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)  # the parent only: its workers must notice by themselves
            process.wait()
        assert process.stdout is not None
        process.stdout.close()
        if rng.random() < 0.3:
            shutil.rmtree(tmp_path / "store", ignore_errors=True)
    assert finished_by_chance < 20
    subprocess.run(command, check=True, capture_output=True)
    assert release_hashes(tmp_path / "store" / "releases" / "tiny") == expected


def test_a_build_sweeps_the_parts_of_finished_units(tmp_path: Path) -> None:
    config = make_world(tmp_path)
    run(config)
    parts = tmp_path / "store" / "parts" / "pixels"
    left = []
    for commit in (tmp_path / "store" / "commits" / "pixels").rglob("*.json"):
        left.append(parts / commit.parent.name / commit.stem / "0.parquet")
        left[-1].parent.mkdir(parents=True, exist_ok=True)
        left[-1].write_bytes(b"left by a kill between commit and deletion")
    assert left
    assert run(config).plan.finished
    assert not any(part.exists() for part in left)


def test_workers_die_with_a_killed_build(tmp_path: Path) -> None:
    config = make_world(tmp_path, cell_zoom=16, runtime={"workers": 2})
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", "build", str(config)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    session = process.pid
    deadline = time.monotonic() + 60
    while len(alive_in_session(session)) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None, "the build ended before it could be killed"
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while alive_in_session(session) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alive_in_session(session) == []


def test_an_interrupted_build_says_how_to_go_on_and_leaves_nobody(tmp_path: Path) -> None:
    config = make_world(tmp_path, towns=3, cell_zoom=16, runtime={"workers": 2})
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", "build", str(config)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "store" / "commits" / "facts").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers too
    message = process.communicate(timeout=30)[1].decode()
    assert process.returncode == 130
    assert " ".join(message.split()) == ("stopped; what is committed is safe, run the same command to go on")
    deadline = time.monotonic() + 20
    while alive_in_session(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alive_in_session(process.pid) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_and_place_change_nothing(tmp_path: Path, workers: int) -> None:
    config = make_world(tmp_path / "one")
    expected = _undisturbed(config, tmp_path)
    elsewhere = tmp_path / "else" / "where"
    again = make_world(elsewhere, store="./another", runtime={"workers": workers})
    assert run(again).exit_code == 0
    assert release_hashes(elsewhere / "another" / "releases" / "tiny") == expected


def test_changing_only_runtime_runs_nothing(tmp_path: Path) -> None:
    config = make_world(tmp_path)
    run(config)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*") if path.is_file()}
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    outcome = run(write_config(tmp_path, runtime={"workers": 2, "scratch": str(scratch)}))
    assert outcome.plan.finished
    assert before == {
        path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*") if path.is_file()
    }


def _undisturbed(config: Path, tmp_path: Path) -> dict[str, str]:
    assert run(config, Store(str(tmp_path / "undisturbed"))).exit_code == 0
    return release_hashes(tmp_path / "undisturbed" / "releases" / "tiny")
