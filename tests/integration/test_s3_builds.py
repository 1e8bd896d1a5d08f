"""Builds on buckets give the bytes of builds on disk, however often they are killed or the store fails."""

import contextlib
import hashlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import pipeline.cli  # noqa: F401 - gives the application its commands
from pipeline import bucket
from pipeline.cli.app import app as commands
from pipeline.errors import StoreError
from pipeline.store import Store
from tests.s3_server import S3Server, serve_s3
from tests.small_world import make_world, release_hashes, run, write_config

BUILD = [sys.executable, "-c", "from pipeline.cli import main; main()", "build"]


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with serve_s3() as server:
        server.make_bucket("data")
        yield server


@pytest.fixture(autouse=True)
def _environment(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (server.env | server.google_env).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(bucket.RETRY, "max_retries", 1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def expected(world: Path) -> dict[str, str]:
    assert run(world).exit_code == 0
    return release_hashes(world.parent / "store" / "releases" / "tiny")


def hashes(store: Store) -> dict[str, str]:
    """Every file of the release in a store with its hash."""
    return {
        key.removeprefix("releases/tiny/"): hashlib.sha256(store.get(key)).hexdigest()
        for key, _ in store.list("releases/tiny")
    }


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_bucket_gets_the_release_of_a_folder(world: Path, expected: dict[str, str], scheme: str) -> None:
    store = Store(f"{scheme}://data/whole-{scheme}")
    assert run(world, store).exit_code == 0
    assert hashes(store) == expected
    assert not list(store.list("parts"))
    assert run(world, Store(store.url)).plan.finished


def test_every_command_works_on_a_bucket(
    world: Path, expected: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    url = "s3://data/commands"
    folder = world.parent
    config = folder / "bucket.yaml"
    config.write_text(world.read_text().replace("./store", url))
    release = f"{url}/releases/tiny"
    for command in (["check"], ["build"], ["status"], ["plan"], ["estimate"]):
        assert commands([*command, str(config)], exit_on_error=False, result_action="return_value") in (
            None,
            0,
        )
    assert "finished" in capsys.readouterr().out
    assert hashes(Store(url)) == expected
    for command in (
        ["verify", release],
        ["stats", release, "--json"],
        ["inspect", release, some_key(release), "--rebuild", "--inputs", str(folder)],
    ):
        assert commands(command, exit_on_error=False, result_action="return_value") in (None, 0)
    said = capsys.readouterr().out.replace("\n", "")
    assert "whole (5 samples in 2 shards)" in said
    assert '"self_bleu"' in said
    assert "rebuilt" in said
    assert "DIFFERENT" not in said


def some_key(release: str) -> str:
    with Store(release).open("metadata.parquet") as source:
        key: str = pq.read_table(source, columns=["key"])["key"][0].as_py()
    return key


@pytest.mark.slow
def test_the_bucket_fails_at_operations_in_turn(
    server: S3Server, world: Path, expected: dict[str, str]
) -> None:
    before = server.counts().total()
    assert run(world, Store("s3://data/counted")).exit_code == 0
    requests = server.counts().total() - before
    assert requests > 50
    rng = random.Random(5)
    for n in sorted(rng.sample(range(requests - 10), 3)):
        store = Store(f"s3://data/failing-{n}")
        server.fail_at(n)
        with pytest.raises(StoreError, match="NotImplemented"):
            run(world, store)
        server.fail_at(None)
        assert run(world, store).plan.finished
        assert hashes(store) == expected, f"differs after a failure at request {n}"


@pytest.mark.slow
def test_kills_at_random_moments(tmp_path: Path, expected: dict[str, str]) -> None:
    config = make_world(tmp_path, store="s3://data/killed", runtime={"workers": 2})
    rng = random.Random(7)
    began = time.monotonic()
    subprocess.run(
        [*BUILD, str(write_config(tmp_path, store="s3://data/timed"))], check=True, capture_output=True
    )
    whole = time.monotonic() - began
    config = write_config(tmp_path, store="s3://data/killed", runtime={"workers": 2})
    for _ in range(2):
        process = subprocess.Popen(
            [*BUILD, str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=rng.uniform(0.4, 1.0) * whole)
        process.kill()
        process.wait()
    subprocess.run([*BUILD, str(config)], check=True, capture_output=True)
    assert hashes(Store("s3://data/killed")) == expected


def test_two_builds_at_once_share_a_bucket(world: Path, expected: dict[str, str]) -> None:
    url = "s3://data/shared"
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda _: run(world, Store(url)), range(2)))
    assert [outcome.exit_code for outcome in outcomes] == [0, 0]
    assert hashes(Store(url)) == expected
