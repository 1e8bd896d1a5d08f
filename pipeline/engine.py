"""Runs planned units until the plan is finished."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Self, TypeAlias

from pipeline.beside import SideBySide
from pipeline.imagery.allowance import Allowance
from pipeline.jobs import Executor, Job, Results, jobs_of
from pipeline.ledger import Commit, Ledger
from pipeline.plan import STAGES, Plan, make_plan
from pipeline.pool import run_here
from pipeline.stages import captions as captions_stage
from pipeline.stages.base import Context
from pipeline.stages.pixels import sweep_parts

logger = logging.getLogger("skyteller")

_STAGE = captions_stage.STAGE
_ORDER = {stage.name: number for number, stage in enumerate(STAGES)}

_WAVE = 8
"""Units a worker of a wave that runs beside captions; so few workers wait for its last unit."""

_WAVES = 32
"""A wave is no smaller than this part of what is ready: every wave begins with a plan of everything."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told a stage's name, the units just committed, and how many this build makes of it, as far as is known."""


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


def build(
    context: Context,
    progress: Progress | None = None,
    allowance: Allowance | None = None,
    execute: Executor = run_here,
    captions: Executor | None = None,
    workers: int | None = None,
) -> Outcome:
    """Run the plan round by round: what is ready now, then what has become ready by it.

    Where captions come from engines of their own, on GPUs or behind a server, captions of earlier cells are written
    while the other stages work on later ones. The CPU stages then go deep before they go wide, a few cells at a time.

    Parameters
    ----------
    context
        The inventory of the dataset.
    progress
        See `Progress`.
    allowance
        Requests to an imagery service that this build may send.
    execute
        Runs jobs. Is called in two threads at a time where captions run beside other stages.
    captions
        Runs the jobs that write captions, beside all others; `execute` by default.
    workers
        Units that `execute` runs at a time; ``runtime.workers`` by default.

    Raises
    ------
    SkytellerError
        An error that concerns the whole build: bad input, store, budget. What is committed stays.
    """
    ledger = Ledger(context.store)
    errors: dict[str, str] = {}
    told: Counter[str] = Counter()
    workers = workers or context.config.runtime.workers
    sweep_parts(ledger)
    captions_stage.sweep_answers(ledger)
    overlap = captions is not None or (workers > 1 and _STAGE.lanes(context.config) is not None)
    with _Beside(execute, captions or execute, workers) as beside:
        run = beside.run if overlap else execute
        while True:
            plan = make_plan(context, ledger)
            if captions is None and not told:
                _look_at_engines(context, plan)
            jobs = jobs_of(plan, context.config, errors)
            if not jobs and not beside.busy:
                return Outcome(plan, errors)
            wanted = told + Counter(
                {one.stage.name: len(one.ready) + len(one.waiting) for one in plan.stages}
            )
            with closing(run(context, jobs, allowance)) as results:
                for job, result in results:
                    if isinstance(result, str):
                        ledger.refresh(job.stage)
                        found = ledger.find_all(
                            job.stage, [(each.unit.cell, each.fingerprint) for each in job.works]
                        )
                        lost = [str(work.unit) for work, one in zip(job.works, found, strict=True) if not one]
                        errors.update(dict.fromkeys(lost, result))
                        logger.error("%s: %s", ", ".join(lost[:3]), result)
                    elif result:
                        for commit in result:
                            ledger.remember(commit)
                        told[job.stage] += len(result)
                        if progress is not None:
                            progress(job.stage, len(result), wanted[job.stage])


def _look_at_engines(context: Context, plan: Plan) -> None:
    """Find out before any work whether captions that are still to be made can be. Raises Misconfigured if never."""
    (texts,) = (each for each in plan.stages if each.stage.name == _STAGE.name)
    if (texts.ready or texts.waiting) and (missing := captions_stage.require_engines(context)):
        logger.warning("%s; the build begins, captions will wait for it", missing)


class _Beside:
    """Two executors side by side: one for captions, one for all else.

    Parameters
    ----------
    execute, captions
        The executors.
    workers
        Units that `execute` runs at a time.
    """

    def __init__(self, execute: Executor, captions: Executor, workers: int) -> None:
        self._execute, self._captions, self._workers = execute, captions, workers
        self._sides: SideBySide[tuple[Job, list[Commit] | str]] = SideBySide()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._sides.stop()

    @property
    def busy(self) -> bool:
        """Whether jobs are under way."""
        return bool(self._sides.running)

    def run(self, context: Context, jobs: Sequence[Job], allowance: Allowance | None) -> Results:
        """Start jobs where nothing is under way; what comes of all, until one side has done what it had."""
        texts = [job for job in jobs if job.stage == _STAGE.name]  # all: engines take long to open
        others = self._wave([job for job in jobs if job.stage != _STAGE.name])
        for name, execute, wave in (("captions", self._captions, texts), ("others", self._execute, others)):
            if wave and name not in self._sides.running:
                self._sides.start(name, execute(context, wave, allowance))
        yield from self._sides.items()

    def _wave(self, jobs: Sequence[Job]) -> Sequence[Job]:
        """Lanes, and some other jobs, those of the latest stages first: so the first cells get to the captions soon."""
        lanes = [job for job in jobs if job.lane is not None]
        others = sorted((job for job in jobs if job.lane is None), key=lambda job: -_ORDER[job.stage])
        return lanes + others[: max(_WAVE * self._workers, len(others) // _WAVES)]
