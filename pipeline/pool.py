"""Worker processes on this machine."""

import multiprocessing
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from queue import Empty, SimpleQueue
from typing import Self, TypeAlias

from pipeline.errors import Permanent, Transient
from pipeline.imagery.allowance import Allowance, set_allowance
from pipeline.jobs import Job, Results, run_job
from pipeline.ledger import Commit, Unit
from pipeline.orphans import die_with_parent
from pipeline.stages.base import Context, Ready

_LOOK_S = 2.0
"""Something comes from a run at least so often."""

_GRACE_S = 5.0
"""Workers that are stopped get so long to end by themselves, and so long again to clean up when told to."""

_Message: TypeAlias = Commit | Exception | None
"""What a worker says of its job: commits; at the end None, or what went wrong."""


def run_here(context: Context, jobs: Sequence[Job], allowance: Allowance | None) -> Results:
    """Run jobs on this machine, as an `Executor`: in worker processes, or in this one where one is all there is."""
    runtime = context.config.runtime
    lanes = 1 + max(job.lane or 0 for job in jobs)
    if runtime.workers == lanes == runtime.gpus == 1:
        set_allowance(allowance)
        for job in jobs:
            try:
                for commit in run_job(context, job):
                    yield job, [commit]
            except (Permanent, Transient) as error:
                yield job, str(error)
        return
    with Pool(context, min(max(runtime.workers, lanes), len(jobs)), allowance) as pool:
        yield from pool.run(jobs)


def warm_up() -> ForkServerContext:
    """Start the process that workers are forked from: it is ready in a second or two, on another core."""
    methods = _forkserver()
    forkserver.ensure_running()
    return methods


class Pool:
    """Worker processes that die alone: a job that brings its worker down takes no other job along.

    Several threads may run jobs on one pool at a time.

    Parameters
    ----------
    context
        What the jobs are about; every worker gets it once.
    workers
        Number of processes. They start when there is work for them.
    allowance
        What they may ask of an imagery service, together.
    """

    def __init__(self, context: Context, workers: int, allowance: Allowance | None = None) -> None:
        self._all = [_Worker(context, allowance) for _ in range(workers)]
        self._free: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._all:
            self._free.put(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        _stop(self._all)

    def run(self, jobs: Sequence[Job]) -> Results:
        """Run jobs; what is left of a dead worker's job is tried again, after all others, until it gets no further.

        Where an error ends the run, or the iterator is closed, the workers of its jobs are stopped.
        """
        waiting = deque(jobs)
        busy: set[_Worker] = set()
        lost: set[Unit] = set()
        try:
            while waiting or busy:
                while waiting and (worker := self._idle(wait=not busy)) is not None:
                    busy.add(worker)
                    worker.start(waiting.popleft())
                ready = wait_for([worker.pipe for worker in busy], _LOOK_S)
                if not ready:
                    yield jobs[0], []
                for worker in [worker for worker in busy if worker.pipe in ready]:
                    job = worker.job
                    try:
                        message = worker.hear()
                    except EOFError:
                        busy.remove(worker)
                        left = worker.bury()
                        self._free.put(worker)
                        if len(left) == len(job.works) and left[0].unit in lost:
                            yield job, "the worker process died (out of memory, or killed)"
                        elif left:
                            lost.add(left[0].unit)
                            waiting.append(Job(job.stage, left, job.lane))
                        continue
                    if isinstance(message, Commit):
                        yield job, [message]
                        continue
                    busy.remove(worker)
                    self._free.put(worker)
                    if isinstance(message, Permanent | Transient):
                        yield job, str(message)
                    elif message is not None:
                        raise message
        finally:
            _stop(busy)
            for worker in busy:
                self._free.put(worker)

    def _idle(self, *, wait: bool) -> "_Worker | None":
        try:
            return self._free.get(timeout=_LOOK_S if wait else 0)
        except Empty:
            return None


class _Worker:
    """One process, started when there is a job and again after its death.

    Parameters
    ----------
    context, allowance
        What the process gets when it starts.
    """

    job: Job
    pipe: Connection

    def __init__(self, context: Context, allowance: Allowance | None) -> None:
        self._given = (context, allowance)
        self._process: BaseProcess | None = None
        self._left: dict[Unit, Ready] = {}

    def start(self, job: Job) -> None:
        """Hand over a job."""
        if self._process is None:
            methods = _forkserver()
            ours, theirs = methods.Pipe()
            process = methods.Process(target=_serve, args=(theirs, *self._given))
            process.start()
            theirs.close()
            self.pipe, self._process = ours, process
        self.job, self._left = job, {work.unit: work for work in job.works}
        with suppress(BrokenPipeError):  # died in its sleep: `hear` tells
            self.pipe.send(job)

    def hear(self) -> _Message:
        """What it says next. Raises EOFError when it is dead."""
        try:
            message: _Message = self.pipe.recv()
        except ConnectionResetError as error:
            raise EOFError from error
        if isinstance(message, Commit):
            self._left.pop(message.unit)
        return message

    def bury(self) -> tuple[Ready, ...]:
        """Clear a dead process away; what it has not made of its job."""
        _stop([self])
        return tuple(self._left.values())

    def hang_up(self) -> BaseProcess | None:
        """Say no more and hear no more: the process ends with the next thing it wants to say."""
        process, self._process = self._process, None
        if process is not None:
            self.pipe.close()
        return process


def _forkserver() -> ForkServerContext:
    methods = multiprocessing.get_context("forkserver")
    methods.set_forkserver_preload(["pipeline.plan"])
    return methods


def _stop(workers: Collection[_Worker]) -> None:
    """End processes: idle ones at once; others when they have something to say, or are told to, or by force."""
    processes = [process for worker in workers if (process := worker.hang_up()) is not None]
    for end in (BaseProcess.terminate, BaseProcess.kill):
        deadline = time.monotonic() + _GRACE_S
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
        for process in processes:
            if process.is_alive():
                end(process)
    for process in processes:
        process.join()
        process.close()


def _serve(pipe: Connection, context: Context, allowance: Allowance | None) -> None:
    """Do jobs until the other end of the pipe is closed."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a key stroke reaches all processes; the parent stops this one
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    die_with_parent()
    set_allowance(allowance)
    while True:
        try:
            job: Job = pipe.recv()
        except (EOFError, ConnectionResetError):  # the latter where it closed with an answer still unread
            return
        try:
            for commit in run_job(context, job):
                _say(pipe, commit)
        except Exception as error:  # noqa: BLE001 - the parent raises it
            error.add_note(traceback.format_exc())
            _say(pipe, error)
        else:
            _say(pipe, None)


def _say(pipe: Connection, message: _Message) -> None:
    try:
        pipe.send(message)
    except (BrokenPipeError, ConnectionResetError):
        sys.exit(1)
