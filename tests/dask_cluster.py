"""A Dask cluster of processes on this machine, with faults; also what the workers load to have them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline import cluster
from pipeline.jobs import Job, run_job
from pipeline.ledger import Commit
from pipeline.stages.base import Context

ROOT = Path(__file__).resolve().parents[1]
FAULTS = "SKYTELLER_TEST_FAULTS"
"""Names a folder: ``faults.json`` says what a unit does to a worker: `kill` it, or `hang` until it is killed, once."""


@dataclass(frozen=True, slots=True)
class Machines:
    """What runs.

    Attributes
    ----------
    address
        Of the scheduler.
    scheduler, workers
        The processes.
    folder
        Of faults and logs.
    """

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]
    folder: Path

    def start_workers(self, *threads: int) -> None:
        """Start workers, with so many threads each; they have no nanny, so a dead one stays dead."""
        for number in threads:
            command = [
                "worker",
                self.address,
                "--nthreads",
                str(number),
                "--no-nanny",
                "--no-dashboard",
                "--death-timeout",
                "60",
            ]
            preload = ["--preload", str(Path(__file__).resolve())]
            self.workers.append(_start(self.folder, *command, *preload))
        _until(lambda: all((self.folder / f"ready-{worker.pid}").exists() for worker in self.workers))

    def fault(self, unit: str, what: str) -> None:
        """From now on a unit, ``stage/cell``, does harm; only this one."""
        (self.folder / "faults.json").write_text(json.dumps({unit: what}))

    def hanging(self) -> int:
        """Wait for a worker to hang; its process id."""
        _until((self.folder / "hanging").exists)
        return int((self.folder / "hanging").read_text())


@contextmanager
def machines(folder: Path, *, allowed_failures: int = 3) -> Iterator[Machines]:
    """A scheduler; it and the workers are stopped at the end.

    Parameters
    ----------
    folder
        For faults, logs, and the workers' own files.
    allowed_failures
        Workers that a task may kill before Dask gives it up, less one.
    """
    folder.mkdir()
    (folder / "faults.json").write_text("{}")
    options = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures)}
    command = (
        "scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
        "--scheduler-file",
        "s.json",
    )
    with ExitStack() as stack:
        scheduler = _start(folder, *command, options=options)
        workers: list[subprocess.Popen[bytes]] = []
        stack.callback(lambda: _stop([*workers, scheduler]))
        _until((folder / "s.json").exists)
        yield Machines(json.loads((folder / "s.json").read_text())["address"], scheduler, workers, folder)


def _until(there: Callable[[], bool], limit_s: float = 120) -> None:
    deadline = time.monotonic() + limit_s
    while not there():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.05)


def _start(
    folder: Path, kind: str, *arguments: str, options: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), FAULTS: str(folder)} | dict(options or {})
    with (folder / f"{kind}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments],
            cwd=folder, env=environment, stdout=log, stderr=log,
        )  # fmt: skip


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()


def dask_setup(_worker: object) -> None:
    """Dask calls this in a worker that preloads this file: its units may do harm from now on."""
    folder = Path(os.environ[FAULTS])

    def harmful(context: Context, job: Job) -> Iterator[Commit]:
        what = json.loads((folder / "faults.json").read_text()).get(str(job.works[0].unit))
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "hang" and not (folder / "hanging").exists():
            (folder / "hanging.part").write_text(str(os.getpid()))
            (folder / "hanging.part").rename(folder / "hanging")
            time.sleep(300)
        return run_job(context, job)

    vars(cluster)["run_job"] = harmful
    (folder / f"ready-{os.getpid()}").touch()
