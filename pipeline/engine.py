"""Runs planned units on local worker processes until the plan is finished."""

import logging
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.connection import wait as wait_for
from typing import TypeAlias

from pipeline.errors import Permanent, Transient
from pipeline.imagery.allowance import Allowance, set_allowance
from pipeline.ledger import Commit, Ledger
from pipeline.plan import STAGES, Plan, make_plan
from pipeline.stages.base import Context, Work

logger = logging.getLogger("skyteller")

Job: TypeAlias = tuple[str, tuple[Work, ...]]
"""Name of a stage and the units that run in one call."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told a stage's name, the units just committed, and the units of it that this round wants in all."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a build ended.

    Attributes
    ----------
    plan
        The plan after the last round.
    errors
        Units that could not be built, with the message.
    """

    plan: Plan
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def failed_items(self) -> int:
        """Items counted as failed in finished units."""
        return sum(sum(stage.counts.failed.values()) for stage in self.plan.stages)

    @property
    def exit_code(self) -> int:
        """0 when done; 3 when finished or stopped with failed items or units."""
        return 3 if self.errors or self.failed_items else 0


def build(context: Context, progress: Progress | None = None, allowance: Allowance | None = None) -> Outcome:
    """Run the plan round by round: what is ready now, then what has become ready by it.

    Parameters
    ----------
    context
        The inventory of the dataset.
    progress
        See `Progress`.
    allowance
        Requests to an imagery service that this build may send.

    Raises
    ------
    SkytellerError
        An error that concerns the whole build: bad input, store, budget. What is committed stays.
    """
    ledger = Ledger(context.store)
    errors: dict[str, str] = {}
    tell = progress or (lambda _stage, _units, _total: None)
    while True:
        plan = make_plan(context, ledger)
        jobs = [job for job in _jobs(plan) if not any(str(work.unit) in errors for work in job[1])]
        if not jobs:
            return Outcome(plan, errors)
        totals = {name: sum(len(works) for stage, works in jobs if stage == name) for name, _ in jobs}
        for job, result in _run_all(context, jobs, allowance):
            if isinstance(result, str):
                errors.update({str(work.unit): result for work in job[1]})
                logger.error("%s: %s", ", ".join(str(work.unit) for work in job[1][:3]), result)
            else:
                for commit in result:
                    ledger.remember(commit)
                tell(job[0], len(result), totals[job[0]])


def run_job(context: Context, job: Job) -> list[Commit]:
    """Make the units of a job and commit each as soon as its outputs are in the store."""
    name, works = job
    stage = next(stage for stage in STAGES if stage.name == name)
    ledger = Ledger(context.store)
    commits = []
    for work, result in stage.run(context, works):
        commit = Commit(work.unit, work.fingerprint, result.counts, result.outputs, result.info)
        ledger.commit(commit)
        commits.append(commit)
    return commits


def _jobs(plan: Plan) -> list[Job]:
    """The ready units, those that share one pass over a source in one job."""
    jobs: list[Job] = []
    for stage_plan in plan.stages:
        if stage_plan.stage.together:
            jobs += [(stage_plan.stage.name, stage_plan.ready)] if stage_plan.ready else []
        else:
            jobs += [(stage_plan.stage.name, (work,)) for work in stage_plan.ready]
    return jobs


def _run_all(
    context: Context, jobs: Sequence[Job], allowance: Allowance | None
) -> Iterator[tuple[Job, list[Commit] | str]]:
    """Run jobs; yields commits, or the message of an error that concerns only the job's own units."""
    if context.config.runtime.workers == 1:
        set_allowance(allowance)
        for job in jobs:
            try:
                yield job, run_job(context, job)
            except (Permanent, Transient) as error:
                yield job, str(error)
        return
    suspects: list[Job] = []
    for job, result in _run_pool(context, jobs, context.config.runtime.workers, allowance):
        if result is None:
            suspects.append(job)
        else:
            yield job, result
    for job in suspects:  # one of these killed a worker: each alone, so that it can only harm itself
        for _, result in _run_pool(context, [job], 1, allowance):
            yield job, "the worker process died (out of memory, or killed)" if result is None else result


def _run_pool(
    context: Context, jobs: Sequence[Job], workers: int, allowance: Allowance | None
) -> Iterator[tuple[Job, list[Commit] | str | None]]:
    """Run jobs on a process pool with a short queue; None for jobs that were lost with a dead worker."""
    methods = multiprocessing.get_context("forkserver")
    methods.set_forkserver_preload(["pipeline.plan"])
    waiting = iter(jobs)
    running: dict[Future[list[Commit]], Job] = {}
    broken = False
    with ProcessPoolExecutor(
        min(workers, len(jobs)), methods, initializer=_start_worker, initargs=(allowance,)
    ) as pool:
        while True:
            while not broken and len(running) < 2 * workers and (job := next(waiting, None)) is not None:
                try:
                    running[pool.submit(run_job, context, job)] = job
                except BrokenProcessPool:
                    broken = True
                    yield job, None
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                try:
                    yield job, future.result()
                except BrokenProcessPool:
                    broken = True
                    yield job, None
                except (Permanent, Transient) as error:
                    yield job, str(error)
    for job in waiting:
        yield job, None


def _start_worker(allowance: Allowance | None) -> None:
    set_allowance(allowance)
    _die_with_parent()


def _die_with_parent() -> None:
    """End this worker when the process that started the build is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
