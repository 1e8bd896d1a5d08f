"""Jobs: planned units that run in one call, and what runs them.

The engine plans and an `Executor` runs, wherever: in this process, in worker processes, on other machines. All
of them end in `run_job`; what it leaves in the store is the same everywhere.
"""

import os
from collections.abc import Callable, Container, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pipeline.config import DatasetConfig
from pipeline.imagery.allowance import Allowance
from pipeline.ledger import Commit, Ledger
from pipeline.plan import STAGES, Plan
from pipeline.stages import captions
from pipeline.stages.base import Context, Ready, works_of

_VISIBLE_GPUS = os.environ.get("CUDA_VISIBLE_DEVICES")


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
    works: tuple[Ready, ...]
    lane: int | None = None


Results: TypeAlias = Generator[tuple[Job, list[Commit] | str], None, None]
"""New commits of jobs as they come, in any order; or the message of an error that concerns a job's own units alone.

Every few seconds something comes, if only an empty list: then whoever reads them can stop. A reader that has
enough closes the iterator, and nothing of it is running afterwards.
"""

Executor: TypeAlias = Callable[[Context, Sequence[Job], Allowance | None], Results]
"""Runs jobs. The last argument is what they may ask of an imagery service; None for no bound."""


def jobs_of(plan: Plan, config: DatasetConfig, errors: Container[str]) -> list[Job]:
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


def run_job(context: Context, job: Job) -> Iterator[Commit]:
    """Make the units of a job; each is committed as soon as its outputs are in the store."""
    stage = next(stage for stage in STAGES if stage.name == job.stage)
    ledger = Ledger(context.store)
    if job.lane is not None and job.stage == captions.STAGE.name and context.config.runtime.gpus > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus_of(job.lane, context.config.runtime.gpus, _VISIBLE_GPUS)
    for work, result in stage.run(context, works_of(context.store, job.works)):
        commit = Commit(work.unit, work.fingerprint, result.counts, result.outputs, result.info)
        ledger.commit(commit)
        yield commit


def gpus_of(lane: int, lanes: int, visible: str | None) -> str:
    """The GPUs of a lane, as CUDA wants them named: an equal share of those that are visible, one by default."""
    names = str(visible).split(",") if visible else [str(number) for number in range(lanes)]
    each = max(1, len(names) // lanes)
    return ",".join(names[(lane * each) % len(names) :][:each])
