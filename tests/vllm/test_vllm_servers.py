"""Builds through vLLM's own OpenAI server: three of them, one killed in the middle and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from pipeline.annotators import AnyAnnotator
from pipeline.captions.engines import open_writer
from pipeline.captions.writer import Assignment, Draft, Writer
from pipeline.stages import captions as stage
from pipeline.types import Reason
from tests.small_world import make_world, run
from tests.vllm.conftest import WANTED, Taught, config

START_S = 240.0
KILL_AT, WAIT_AT = 6, 12
"""Texts asked for when a server is killed, and when the build waits for its return."""


class Server:
    """vLLM's OpenAI server on a port of its own."""

    def __init__(self, model: Path, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._log = log
        self._command = [
            sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model),
            "--served-model-name", "taught", "--host", "127.0.0.1", "--port", str(self.port),
            "--dtype", "float32", "--max-model-len", "4096", "--enforce-eager", "--max-num-seqs", "8",
            "--gpu-memory-utilization", "0.1",
            # requests with a seed: see _whole_prompts in pipeline/captions/vllm.py
            "--no-enable-chunked-prefill", "--max-num-batched-tokens", "4096",
        ]  # fmt: skip
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, env=os.environ
            )

    def kill(self) -> None:
        """Server and engine, without a word."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self._log.read_text()[-3000:]
            try:
                with urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5):
                    return
            except (URLError, ConnectionError, TimeoutError):
                time.sleep(0.5)
        pytest.fail(f"no server after {START_S:.0f} s: {self._log.read_text()[-3000:]}")

    def answered(self) -> int:
        """Requests that were answered since the server started."""
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as page:
            lines = page.read().decode().splitlines()
        found = [line for line in lines if line.startswith("vllm:request_success_total")]
        return int(sum(float(line.rsplit(" ", 1)[1]) for line in found))


@pytest.fixture(scope="module")
def servers(taught: Taught, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    logs = tmp_path_factory.mktemp("servers")
    found = [Server(taught.folder, logs / f"{number}.log") for number in range(3)]
    try:
        for server in found:
            server.wait()
        yield found
    finally:
        for server in found:
            server.kill()


def test_three_servers_of_which_one_dies_and_returns(
    tmp_path: Path, taught: Taught, servers: list[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Assignment] = []
    answered: list[Assignment] = []
    before = [server.answered() for server in servers]

    class Watched:
        """A writer in the middle of whose work a server dies."""

        def __init__(self, writer: Writer) -> None:
            self._writer = writer
            self.annotator, self.revision, self.sampling = (
                writer.annotator, writer.revision, writer.sampling,
            )  # fmt: skip

        def write(self, assignments: Iterable[Assignment]) -> Iterator[tuple[Assignment, Draft | Reason]]:
            for assignment, answer in self._writer.write(self._noted(assignments)):
                answered.append(assignment)
                yield assignment, answer

        def _noted(self, assignments: Iterable[Assignment]) -> Iterator[Assignment]:
            for assignment in assignments:
                asked.append(assignment)
                yield assignment
                if len(asked) == KILL_AT:
                    servers[1].kill()
                    servers[1].start()
                if len(asked) == WAIT_AT:
                    servers[1].wait()

    @contextmanager
    def watched(annotator: AnyAnnotator, base: Path) -> Iterator[Writer]:
        with open_writer(annotator, base) as writer:
            yield Watched(writer)

    monkeypatch.setattr(stage, "open_writer", watched)
    world = make_world(
        tmp_path,
        captions={
            **WANTED,
            "type": "openai",
            "model": "taught",
            "revision": "0" * 40,
            "endpoints": [f"http://127.0.0.1:{server.port}/v1" for server in servers],
            "decoding": config(taught.folder)["decoding"],
            "in_flight": 1,
            "probe_s": 0.2,
        },
    )
    outcome = run(world)
    assert outcome.exit_code == 0
    assert (tmp_path / "store" / "releases" / "tiny").is_dir()
    assert len(asked) > WAIT_AT
    assert Counter(map(_key, answered)) == Counter(map(_key, asked))
    assert max(Counter(map(_key, answered)).values()) == 1
    after = [server.answered() for server in servers]
    assert after[1] > 0, "the server that came back was asked nothing"
    assert after[0] > before[0]
    assert after[2] > before[2]


def _key(assignment: Assignment) -> tuple[str, int, int, int]:
    return assignment.patch, int(assignment.task), assignment.number, assignment.attempt
