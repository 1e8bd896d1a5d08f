"""Runs planned units on local worker processes until the plan is finished."""

import logging
import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.connection import wait as wait_for
from typing import TypeAlias

from pipeline.config import DatasetConfig
from pipeline.errors import Permanent, Transient
from pipeline.imagery.allowance import Allowance, set_allowance
from pipeline.ledger import Commit, Ledger, Unit
from pipeline.plan import STAGES, Plan, make_plan
from pipeline.stages import captions
from pipeline.stages.base import Context, Work
from pipeline.stages.pixels import sweep_parts

logger = logging.getLogger("skyteller")

_LOOK_S = 2.0
"""Pause between two looks at what long jobs have committed so far."""

_VISIBLE_GPUS = os.environ.get("CUDA_VISIBLE_DEVICES")

Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told a stage's name, the units just committed, and the units of it that this round wants in all."""


@dataclass(frozen=True, slots=True)
class Job:
    """Units of one stage that run in one call.

    Attributes
    ----------
    stage
        Name of the stage.
    works
        The units.
    lane
        Number of the lane that they make up; None for a unit by itself.
    """

    stage: str
    works: tuple[Work, ...]
    lane: int | None = None


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
    sweep_parts(ledger)
    captions.sweep_answers(ledger)
    while True:
        plan = make_plan(context, ledger)
        jobs = _jobs(plan, context.config, errors)
        if not jobs:
            return Outcome(plan, errors)
        totals = Counter(job.stage for job in jobs for _ in job.works)
        for job, result in _run_all(context, jobs, allowance):
            if isinstance(result, str):
                ledger.refresh(job.stage)
                lost = [str(work.unit) for work in job.works if not _done(ledger, work)]
                errors.update(dict.fromkeys(lost, result))
                logger.error("%s: %s", ", ".join(lost[:3]), result)
            else:
                for commit in result:
                    ledger.remember(commit)
                tell(job.stage, len(result), totals[job.stage])


def run_job(context: Context, job: Job) -> list[Commit]:
    """Make the units of a job and commit each as soon as its outputs are in the store."""
    return list(_commits(context, job))


def _commits(context: Context, job: Job) -> Iterator[Commit]:
    stage = next(stage for stage in STAGES if stage.name == job.stage)
    ledger = Ledger(context.store)
    if job.lane is not None and job.stage == captions.STAGE.name and context.config.runtime.gpus > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus_of(job.lane, context.config.runtime.gpus, _VISIBLE_GPUS)
    for work, result in stage.run(context, job.works):
        commit = Commit(work.unit, work.fingerprint, result.counts, result.outputs, result.info)
        ledger.commit(commit)
        yield commit


def gpus_of(lane: int, lanes: int, visible: str | None) -> str:
    """The GPUs of a lane, as CUDA wants them named: an equal share of those that are visible, one by default."""
    names = str(visible).split(",") if visible else [str(number) for number in range(lanes)]
    each = max(1, len(names) // lanes)
    return ",".join(names[(lane * each) % len(names) :][:each])


def _jobs(plan: Plan, config: DatasetConfig, errors: Container[str]) -> list[Job]:
    """The ready units without those that failed before; where a stage has lanes, one job a lane."""
    jobs: list[Job] = []
    for stage_plan in plan.stages:
        stage = stage_plan.stage
        ready = tuple(work for work in stage_plan.ready if str(work.unit) not in errors)
        lanes = stage.lanes(config)
        if lanes is None:
            jobs += [Job(stage.name, (work,)) for work in ready]
        else:
            jobs += [Job(stage.name, ready[lane::lanes], lane) for lane in range(min(lanes, len(ready)))]
    return jobs


def _done(ledger: Ledger, work: Work) -> bool:
    return ledger.find(work.unit, work.fingerprint) is not None


def _run_all(
    context: Context, jobs: Sequence[Job], allowance: Allowance | None
) -> Iterator[tuple[Job, list[Commit] | str]]:
    """Run jobs; yields commits, or the message of an error that concerns only the job's own units."""
    lanes = 1 + max(job.lane or 0 for job in jobs)
    if context.config.runtime.workers == lanes == context.config.runtime.gpus == 1:
        set_allowance(allowance)
        for job in jobs:
            try:
                for commit in _commits(context, job):
                    yield job, [commit]
            except (Permanent, Transient) as error:
                yield job, str(error)
        return
    suspects: list[Job] = []
    for job, result in _run_pool(context, jobs, max(context.config.runtime.workers, lanes), allowance):
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
    ledger = Ledger(context.store)
    told: set[Unit] = set()

    def news(job: Job, commits: Iterable[Commit]) -> list[Commit]:
        """The commits of a job that are not known yet."""
        new = [commit for commit in commits if commit.unit not in told]
        told.update(commit.unit for commit in new if len(job.works) > 1)
        return new

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
            finished = wait(running, _LOOK_S, return_when=FIRST_COMPLETED).done
            for job in () if finished else [job for job in running.values() if len(job.works) > 1]:
                ledger.refresh(job.stage)
                found = (ledger.find(work.unit, work.fingerprint) for work in job.works)
                yield job, news(job, [commit for commit in found if commit is not None])
            for future in finished:
                job = running.pop(future)
                try:
                    yield job, news(job, future.result())
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
