"""Runs the jobs of a build as Prefect task runs, over worker processes that last as long as the flow run."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from contextvars import copy_context
from itertools import groupby
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeAlias, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.utilities.annotations import quote

from flows.quota import asks_imagery, hold_slots
from pipeline.cluster import executor_of
from pipeline.errors import SkytellerError
from pipeline.imagery.allowance import Allowance
from pipeline.jobs import Job, Results
from pipeline.ledger import Commit
from pipeline.pool import Pool
from pipeline.stages.base import Context
from pipeline.types import Counts

RUNNER = cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=8))
"""Task runs of a flow are threads; the work is done in processes. Without a number there is no bound."""

MOST_RUNS = 800
"""Task runs of a flow run; what comes after is not shown singly. Prefect's server falls behind beyond a thousand."""

_ABREAST = 2
"""Batches of a stage at a time, so that no worker is idle while the last unit of a batch is built."""

_SHORTEST_S, _LONGEST_S = 60.0, 900.0
_GROWS_BY = 50
"""Task runs after which they become longer by the shortest length."""

_Run: TypeAlias = Callable[[Sequence[Job]], Results]
_News: TypeAlias = SimpleQueue[tuple[Job, list[Commit] | str] | BaseException | None]


class TaskRuns:
    """An `Executor` for one flow run. To be made inside the flow.

    A task run is a batch of units of one stage: a minute of work at first, up to a quarter of an hour when there are
    many. Units try again by themselves after transient errors, and the pool gives what a dead worker leaves to
    another one: no task run is ever retried.

    Parameters
    ----------
    context
        What the jobs are about.
    allowance
        What they may ask of an imagery service, together.

    Attributes
    ----------
    at_once
        Jobs that run at a time.
    """

    def __init__(self, context: Context, allowance: Allowance | None = None) -> None:
        _forget_main()
        self._home = copy_context()
        self._open = ExitStack()
        runtime = context.config.runtime
        if runtime.executor == "processes":
            self.at_once = runtime.workers
            pool = Pool(context, max(runtime.workers, runtime.gpus), allowance)
            self._run: _Run = self._open.enter_context(pool).run
        else:
            execute, self.at_once = self._open.enter_context(executor_of(context))
            self._run = lambda jobs: execute(context, jobs, allowance)
        self._lock = threading.Lock()
        self._holds_slots = False
        self._numbers: Counter[str] = Counter()
        self._rates: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def __call__(self, context: Context, jobs: Sequence[Job], _allowance: Allowance | None) -> Results:
        """Run jobs, stage by stage."""
        with self._lock:
            if not self._holds_slots and asks_imagery(context, jobs):
                self._holds_slots = True
                self._open.enter_context(hold_slots(context))
        for stage, found in groupby(jobs, lambda job: job.stage):
            if self._numbers.total() < MOST_RUNS:
                yield from self._stage(stage, list(found))
            else:
                yield from self._run(list(found))

    def _stage(self, stage: str, jobs: list[Job]) -> Results:
        news: _News = SimpleQueue()
        stop = threading.Event()
        batches: list[tuple[Batch, PrefectFuture[Any]]] = []
        running = 0
        try:
            while jobs or running:
                while jobs and running < _ABREAST:
                    size = self._size(stage)
                    size = size if len(jobs) >= 2 * size else len(jobs)
                    batch, jobs = Batch(self._run, jobs[:size], news, stop), jobs[size:]
                    batches.append((batch, self._submit(stage, batch)))
                    running += 1
                found = news.get()
                if found is None:
                    running -= 1
                    self._rates[stage] = max((batch.rate for batch, _ in batches), default=0.0)
                elif isinstance(found, BaseException):
                    raise found
                else:
                    yield found
        finally:
            stop.set()
            for _, future in batches:
                future.wait()

    def _submit(self, stage: str, batch: "Batch") -> PrefectFuture[Any]:
        self._numbers[stage] += 1
        number = self._numbers[stage]

        def submit() -> PrefectFuture[Any]:
            return run_batch.submit(stage=stage, number=number, batch=cast("Any", quote(batch)))

        return self._home.copy().run(submit)  # the engine may be in a thread that knows of no flow run

    def _size(self, stage: str) -> int:
        """Jobs of the next batch, by what the stage took so far."""
        seconds = min(_LONGEST_S, _SHORTEST_S * (1 + self._numbers.total() // _GROWS_BY))
        return max(1, round(seconds * self._rates[stage])) if self._rates.get(stage) else 4 * self.at_once


class Batch:
    """Jobs of one task run.

    Parameters
    ----------
    run
        Runs them.
    jobs
        The jobs, of one stage.
    news
        Gets what comes of them, an error that ends the build, and None at the end.
    stop
        Ends the batch early.
    """

    def __init__(self, run: _Run, jobs: Sequence[Job], news: _News, stop: threading.Event) -> None:
        self._execute, self._jobs, self._news, self._stop = run, jobs, news, stop
        self.rate = 0.0

    def run(self) -> State[None]:
        """Run the jobs. The state says how many items they had and what became of them."""
        began = time.monotonic()
        counts, units, failed = Counts(), 0, 0
        try:
            with closing(self._execute(self._jobs)) as results:
                for job, result in results:
                    self._news.put((job, result))
                    if isinstance(result, str):
                        failed += 1
                    else:
                        counts = sum((commit.counts for commit in result), counts)
                        units += len(result)
                    if self._stop.is_set():
                        return Failed(message="stopped")
        except BaseException as error:
            self._news.put(error)
            if isinstance(error, SkytellerError):
                return Failed(message=str(error))  # raised, it would be logged with its traceback
            raise
        finally:
            self.rate = len(self._jobs) / (time.monotonic() - began)
            self._news.put(None)
        lost = sum(counts.failed.values())
        text = f"{units} units; items: seen {counts.seen}, kept {counts.kept}, failed {lost}"
        if failed:
            return Failed(message=f"{failed} units could not be built; {text}")
        return Completed(message=text)


def _forget_main() -> None:
    """Spare worker processes the import of Prefect: they would import the main module, and need nothing of it."""
    main = sys.modules["__main__"]
    if main.__spec__ is not None and main.__spec__.name == "prefect.engine":
        main.__spec__ = None
        vars(main).pop("__file__", None)


@task(name="units", task_run_name="{stage}-{number:03d}", cache_policy=NO_CACHE, persist_result=False)
def run_batch(stage: str, number: int, batch: Batch) -> State[None]:  # noqa: ARG001 - they make the name
    """Build a batch of units."""
    return batch.run()
