"""The CPU stages on a running Dask cluster.

Dask places batches of units and replaces dead workers. What is done is what the store holds, as everywhere: a batch
that runs again skips what is committed, and all it gives back is its commits.
"""

import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from queue import Empty, SimpleQueue
from types import ModuleType
from typing import Any

from pipeline.batches import Batch, Batches
from pipeline.beside import SideBySide
from pipeline.errors import Misconfigured, Permanent, Transient
from pipeline.handout import hand_out, taken
from pipeline.imagery.allowance import Allowance
from pipeline.jobs import Executor, Job, Results, run_job
from pipeline.ledger import Commit, Ledger
from pipeline.pool import run_here
from pipeline.shares import share_of
from pipeline.sources import EarthEngineSource
from pipeline.stages import pixels
from pipeline.stages.base import Context
from pipeline.types import RasterFile
from pipeline.versions import check_versions, versions

_LOOK_S = 2.0
"""Something comes from a run at least so often."""

_CONNECT_S = 20.0
_PATIENCE_S = 300.0
"""Without any worker for so long, a build stops."""

_GO_ON = "what is committed is safe, run again to go on"


@contextmanager
def executor_of(context: Context) -> Iterator[tuple[Executor, int]]:
    """What runs the jobs of a build as ``runtime.executor`` says, and how many at a time. See `join_cluster`."""
    runtime = context.config.runtime
    if runtime.executor == "processes" or runtime.address is None:
        yield run_here, runtime.workers
        return
    with join_cluster(runtime.address) as cluster:
        yield cluster, sum(cluster.workers.values())


@contextmanager
def join_cluster(address: str) -> Iterator["Cluster"]:
    """Connect to a scheduler; the connection is closed at the end.

    Parameters
    ----------
    address
        ``tcp://host:port``.

    Raises
    ------
    Misconfigured
        Dask is not installed, nobody answers, there are no workers, or a worker has other versions of the libraries.
    """
    dask = _distributed()
    try:
        client = dask.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except OSError as error:
        msg = f"runtime.address: no Dask scheduler answers at {address}; start one with `dask scheduler`"
        raise Misconfigured(msg) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_CONNECT_S)
        except TimeoutError as error:
            msg = f"runtime.address: {address} has no workers; start some with `dask worker {address} --nthreads 1`"
            raise Misconfigured(msg) from error
        try:
            found = client.run(versions)
        except ImportError as error:
            msg = f"runtime.address: a worker of {address} lacks Skyteller or a part of it ({error}); install it there"
            raise Misconfigured(msg) from error
        for worker, theirs in found.items():
            check_versions(worker, versions(), theirs)
        yield Cluster(client)


class Cluster:
    """An `Executor`: units in batches on the workers of a cluster, stages with lanes on this machine.

    Parameters
    ----------
    client
        A connected ``distributed.Client``.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    @property
    def workers(self) -> Mapping[str, int]:
        """Threads of each worker, by address."""
        found = self._client.scheduler_info()["workers"]
        return {address: worker["nthreads"] for address, worker in found.items()}

    def __call__(self, context: Context, jobs: Sequence[Job], allowance: Allowance | None) -> Results:
        """Run jobs. A worker that is at work on a unit when the iterator is closed finishes this one unit.

        Raises
        ------
        Misconfigured
            With an allowance, which is a count in the memory of this machine.
        Transient
            The scheduler is gone, or all workers are.
        """
        if allowance is not None:
            msg = (
                "--budget is counted on one machine, not on a Dask cluster: build with runtime.executor: processes, "
                "or bound the requests by runtime.requests and --share"
            )
            raise Misconfigured(msg)
        here = [job for job in jobs if job.lane is not None]
        there = [job for job in jobs if job.lane is None]
        sides: SideBySide[tuple[Job, list[Commit] | str]] = SideBySide()
        try:
            if here:
                sides.start("here", run_here(context, here, None))
            if there:
                sides.start("there", self._run(context, there))
            while sides.running:
                yield from sides.items()
        finally:
            sides.stop()

    def _run(self, context: Context, jobs: Sequence[Job]) -> Results:
        """Keep all threads of the cluster at work until the jobs are done."""
        fetching = max(1, min(len(self.workers), context.config.runtime.requests.in_flight // 2))
        remote = isinstance(context.config.imagery, EarthEngineSource)
        batches = Batches(jobs, {pixels.STAGE.name: fetching} if remote else {})
        given = (str(context.store.root or context.store.url), _hand_out(context, fetching), versions())
        ledger = Ledger(context.store)
        running: dict[Any, Batch] = {}
        ended: SimpleQueue[Any] = SimpleQueue()
        seen = time.monotonic()
        try:
            while batches.left or running:
                if threads := sum(self.workers.values()):
                    seen = time.monotonic()
                elif time.monotonic() - seen > _PATIENCE_S:
                    msg = f"the Dask cluster has had no worker for {_PATIENCE_S:.0f} s; {_GO_ON}"
                    raise Transient(msg)
                while (batch := batches.next(threads, running.values())) is not None:
                    future = self._client.submit(make_units, *given, batch, pure=False)
                    running[future] = batch
                    future.add_done_callback(ended.put)
                try:
                    future = ended.get(timeout=_LOOK_S)
                except Empty:
                    yield jobs[0], []
                else:
                    yield from self._gather(future, running.pop(future), batches, ledger)
        finally:
            self._client.cancel(list(running))

    def _gather(self, future: Any, batch: Batch, batches: Batches, ledger: Ledger) -> Results:
        """What became of a batch; what is left of it goes back."""
        killed: type[Exception] = _distributed().KilledWorker
        try:
            made: Made = future.result()
        except CancelledError as error:
            msg = f"the connection to the Dask scheduler is lost; {_GO_ON}"
            raise Transient(msg) from error
        except killed as error:
            results = list(takewhile(bool, (_found(ledger, job) for job in batch)))
            yield from zip(batch, results, strict=False)
            if (left := batch[len(results) :]) and not batches.put_back(left):
                yield left[0], f"every worker that made it died (out of memory, or killed): {error}"
        else:
            done = batch[: len(made.results)]
            batches.took(done, made.seconds)
            batches.again(batch[len(done) :])
            yield from zip(done, made.results, strict=True)


@dataclass(frozen=True, slots=True)
class Made:
    """What a worker gives back.

    Attributes
    ----------
    results
        The commits of each job, or the message of its error.
    seconds
        How long they took.
    """

    results: list[list[Commit] | str]
    seconds: float


def make_units(store: str, key: str, wanted: Mapping[str, str], batch: Batch) -> Made:
    """Make units on a worker, those that are not committed yet, until nobody wants them any more.

    Parameters
    ----------
    store, key
        Where the context is.
    wanted
        Versions of the libraries where the build was started.
    batch
        The units.
    """
    worker = _distributed().get_worker()
    task = worker.get_current_task()
    check_versions(worker.address, wanted, versions())
    context = _taken(store, key)
    ledger = Ledger(context.store)
    results: list[list[Commit] | str] = []
    began = time.monotonic()
    for job in batch:
        if worker.state.tasks[task].state == "cancelled":
            break
        try:
            results.append(_found(ledger, job) or list(run_job(context, job)))
        except (Permanent, Transient) as error:
            results.append(str(error))
    return Made(results, time.monotonic() - began)


@lru_cache(maxsize=2)
def _taken(store: str, key: str) -> Context:
    """The context, once the files that it names are found to be here."""
    context = taken(store, key)
    here, scratch = socket.gethostname(), context.config.runtime.scratch
    if scratch is not None and not Path(scratch).is_dir():
        msg = f"runtime.scratch: no such folder on {here}: {scratch}"
        raise Misconfigured(msg)
    for scene in context.scenes:
        if isinstance(scene.pixels, RasterFile) and not Path(scene.pixels.path).is_file():
            msg = f"imagery: no such file on {here}: {scene.pixels.path}; workers need it under the same path"
            raise Misconfigured(msg)
    return context


def _hand_out(context: Context, fetching: int) -> str:
    """The context as each of the workers gets it that fetch pixels at a time: with its share of the requests."""
    runtime = context.config.runtime
    requests = share_of(runtime.requests, f"1/{fetching}")
    memory_mb = max(16, requests.memory_mb // fetching)
    alone = {
        "executor": "processes",
        "workers": 1,
        "requests": requests.model_copy(update={"memory_mb": memory_mb}),
    }
    config = context.config.model_copy(update={"runtime": runtime.model_copy(update=alone)})
    return hand_out(replace(context, config=config))


def _found(ledger: Ledger, job: Job) -> list[Commit]:
    """The commit of a job that is a unit by itself, if it is done."""
    commits = (ledger.look(work.unit, work.fingerprint) for work in job.works)
    return [commit for commit in commits if commit is not None]


def _distributed() -> ModuleType:
    try:
        import distributed  # noqa: PLC0415 - an extra, and slow to load
    except ImportError as error:
        msg = "runtime.executor: dask needs the package `distributed`: pip install 'skyteller[dask]'"
        raise Misconfigured(msg) from error
    return distributed
