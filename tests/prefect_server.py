"""A Prefect server and workers as processes of their own, for tests: started, asked, killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3

from flows.settings import WORKER

ROOT = Path(__file__).resolve().parents[1]
FAST = {
    "PREFECT_WORKER_QUERY_SECONDS": "3",
    "PREFECT_LOGGING_LEVEL": "WARNING",
}
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class Prefect:
    """A server on a free port, with its database in a folder.

    Parameters
    ----------
    folder
        For database and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
            **WORKER, **FAST,
            "PREFECT_HOME": str(folder / "home"), "PREFECT_API_URL": self.url, "PYTHONPATH": str(ROOT), "COLUMNS": "200",
        }  # fmt: skip
        self._http = urllib3.PoolManager()
        self._processes: list[subprocess.Popen[bytes]] = []

    def start_server(self) -> None:
        """Start the server, at first or again, and wait until it answers."""
        self._server = self.spawn("server", "-m", "flows.server", "127.0.0.1", str(self.port))

        def healthy() -> bool:
            assert self._server.poll() is None, (self.folder / "server.log").read_text()
            try:
                return self._http.request("GET", self.url + "/health", timeout=5, retries=False).status == 200
            except urllib3.exceptions.HTTPError:
                return False

        self.wait(healthy, 300, "the server to answer")

    def kill_server(self) -> None:
        """End the server as a power cut would."""
        self._server.kill()
        self._server.wait()

    def worker(self, pool: str, limit: int = 4) -> subprocess.Popen[bytes]:
        """Start a worker of processes."""
        arguments = [
            "-m",
            "prefect",
            "worker",
            "start",
            "--pool",
            pool,
            "--type",
            "process",
            "--limit",
            str(limit),
        ]
        return self.spawn(f"worker-{pool}-{len(self._processes)}", *arguments)

    def spawn(self, log: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start Python with its output in a file."""
        with (self.folder / f"{log}.log").open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, *arguments], env=self.env, stdout=file, stderr=file, stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python to its end."""
        return subprocess.run(
            [sys.executable, *arguments], env=self.env, capture_output=True, text=True, check=False
        )

    def skyteller(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line."""
        return self.run("-c", "from pipeline.cli import main; main()", *arguments)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the server's API; a database that is busy for a moment answers 503."""
        again = urllib3.Retry(total=5, status_forcelist=[503], allowed_methods=None, backoff_factor=0.5)
        answer = self._http.request(method, self.url + path, json=body, timeout=30, retries=again)
        assert answer.status < 300, f"{method} {path}: {answer.status} {answer.data!r}"
        return json.loads(answer.data) if answer.data else None

    def start(self, deployment: str, **parameters: Any) -> str:
        """Start a run of a deployment; returns its id."""
        identity = self.ask("GET", f"/deployments/name/{deployment}")["id"]
        run = self.ask("POST", f"/deployments/{identity}/create_flow_run", {"parameters": parameters})
        return str(run["id"])

    def state(self, run: str) -> tuple[str, str]:
        """Type and message of a run's state."""
        state = self.ask("GET", f"/flow_runs/{run}")["state"]
        return state["type"], state["message"] or ""

    def ended(self, run: str, timeout: float = 300) -> tuple[str, str]:
        """Wait for the end of a run."""
        self.wait(lambda: self.state(run)[0] in ENDED, timeout, f"the end of run {run}")
        return self.state(run)

    def runs(self, **where: Any) -> list[dict[str, Any]]:
        """Flow runs of all flows."""
        found: list[dict[str, Any]] = self.ask("POST", "/flow_runs/filter", where)
        return found

    @staticmethod
    def wait(done: Callable[[], bool], timeout: float, what: str) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + timeout
        while not done():
            assert time.monotonic() < deadline, f"waited {timeout:.0f} s for {what}"
            time.sleep(0.2)

    def close(self) -> None:
        """End every process that was started, and whatever they have started."""
        for pid in self.alive():
            os.kill(pid, signal.SIGKILL)
        for process in self._processes:
            process.wait()
        self._http.clear()

    def memory_mb(self) -> int:
        """Memory of the server now, MB."""
        (line,) = (
            each
            for each in Path(f"/proc/{self._server.pid}/status").read_text().splitlines()
            if "VmRSS" in each
        )
        return int(line.split()[1]) // 1000

    def alive(self) -> list[int]:
        """All processes of server, workers and flows. Flows lead sessions of their own, so their environment tells."""
        return self._with("PREFECT_HOME", self.env["PREFECT_HOME"])

    def _with(self, variable: str, value: str) -> list[int]:
        """The processes with a variable in their environment."""
        mark = f"{variable}={value}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    environment = (entry / "environ").read_bytes().split(b"\0")
                except OSError:  # it has ended
                    continue
                found += [int(entry.name)] if mark in environment else []
        return found

    def flows(self, run: str | None = None) -> list[int]:
        """The processes that run flows, or those of one run."""
        candidates = self.alive() if run is None else self._with("PREFECT__FLOW_RUN_ID", run)
        return [pid for pid in candidates if b"prefect.engine" in _command(pid)]


def _command(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # it has ended
        return []


@contextmanager
def prefect(folder: Path) -> Iterator[Prefect]:
    """A server for the time of a test."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Prefect(folder)
    try:
        server.start_server()
        yield server
    finally:
        server.close()
