"""Hands the jobs of a build to runs of a deployment on other machines, and gathers what they commit."""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextvars import Context as Variables
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling

from pipeline.errors import Misconfigured
from pipeline.handout import hand_out
from pipeline.imagery.allowance import Allowance
from pipeline.jobs import Executor, Job, Results
from pipeline.ledger import Commit, Ledger
from pipeline.stages import release
from pipeline.stages.base import Context, Ready

logger = logging.getLogger("skyteller")

_ROUNDS = 3
_LOOK_S, _LIST_S = 2.0, 10.0
"""Pauses between two looks at the runs, and between two lists of the commits in the store."""

_FEWEST = 4
"""Units a run that are worth the seconds it takes to start."""

_MOST_UNITS = 2_000
"""Units of a child run: their names are parameters, which Prefect keeps in its database."""


@dataclass(frozen=True, slots=True)
class Children:
    """An `Executor` whose jobs are built by runs of a deployment. To be made inside the flow.

    What a round of runs leaves is planned again for another round, three in all: workers die.

    Parameters
    ----------
    deployment
        Name of the deployment, ``flow/deployment``.
    runs
        Runs at a time that units without a lane are spread over; each gets its share of the requests.
    """

    deployment: str
    runs: int | None = None
    _home: Variables = field(default_factory=copy_context)

    def __call__(self, context: Context, jobs: Sequence[Job], allowance: Allowance | None) -> Results:
        """Run jobs of one or several stages."""
        if allowance is not None:
            msg = f"a budget cannot be shared with the runs of {self.deployment}: build without one, or on one machine"
            raise Misconfigured(msg)
        key = f"{context.store.url}/{hand_out(context)}"
        ledger = Ledger(context.store)
        job_of = {str(work.unit): job for job in jobs for work in job.works}
        missing = {str(work.unit): work for job in jobs for work in job.works}
        messages: list[str] = []
        for _ in range(_ROUNDS):
            for found in self._round(key, ledger, self._shares(list(missing.values()), jobs), messages):
                for commit in found:
                    missing.pop(str(commit.unit))
                    yield job_of[str(commit.unit)], [commit]
                if not found:
                    yield jobs[0], []
            if not missing:
                return
        for job in {id(job_of[name]): job_of[name] for name in missing}.values():
            why = messages[-1] if messages else "no message"
            yield job, f"not built by {_ROUNDS} rounds of runs of {self.deployment}; the last: {why}"

    def _shares(self, works: list[Ready], jobs: Sequence[Job]) -> list[list[Ready]]:
        """What is missing, spread over runs: the lanes of the jobs, or as many runs as were asked for."""
        lanes = 1 + max((job.lane for job in jobs if job.lane is not None), default=(self.runs or 1) - 1)
        lanes = max(lanes, -(-len(works) // _MOST_UNITS))
        return [share for lane in range(lanes) if (share := works[lane::lanes])]

    def _round(
        self, key: str, ledger: Ledger, shares: list[list[Ready]], messages: list[str]
    ) -> Iterator[list[Commit]]:
        """Start a run for every share and wait for all; yields commits as they are found."""
        under_way: dict[UUID, list[Ready]] = {}
        listed = time.monotonic()
        try:
            for share in shares:
                under_way[self._start(key, share, len(shares))] = share
            while under_way:
                time.sleep(_LOOK_S)
                ended = [run for run in _look(list(under_way)) if run.state and run.state.is_final()]
                if not ended and time.monotonic() - listed < _LIST_S:
                    yield []
                    continue
                for stage in {work.unit.stage for share in under_way.values() for work in share}:
                    ledger.refresh(stage)
                listed = time.monotonic()
                found: list[Commit] = []
                for share in under_way.values():
                    commits = [ledger.find(work.unit, work.fingerprint) for work in share]
                    found += [commit for commit in commits if commit is not None]
                    share[:] = [work for work, commit in zip(share, commits, strict=True) if commit is None]
                yield found
                for run in ended:
                    if under_way.pop(run.id) and run.state:
                        messages.append(f"{run.name}: {run.state.name}: {run.state.message}")
                        logger.warning("%s: units left undone by %s", self.deployment, messages[-1])
        finally:
            _cancel(under_way)

    def _start(self, key: str, share: list[Ready], shares: int) -> UUID:
        parameters: dict[str, Any] = {
            "config": key,
            "units": [f"{work.unit}/{work.fingerprint}" for work in share],
        }
        if self.runs is not None:
            parameters["share"] = f"1/{min(shares, self.runs)}"

        def start() -> FlowRun:
            return cast("FlowRun", run_deployment(self.deployment, parameters=parameters, timeout=0))

        try:
            # the engine may run in another thread, which does not know of the flow run
            return self._home.copy().run(start).id
        except ObjectNotFound as error:
            msg = f"the Prefect server has no deployment {self.deployment}; `skyteller deploy` makes it"
            raise Misconfigured(msg) from error


def spread(here: Executor, others: Children) -> Executor:
    """An executor that hands out the jobs that any machine can do, and keeps the others."""

    def execute(context: Context, jobs: Sequence[Job], allowance: Allowance | None) -> Results:
        own: list[Job] = []
        handed: list[Job] = []
        for job in jobs:
            (handed if job.lane is None and job.stage != release.STAGE.name else own).append(job)
        if len(handed) < _FEWEST * (others.runs or 1):
            own, handed = list(jobs), []
        if own:
            yield from here(context, own, allowance)
        if handed:
            yield from others(context, handed, allowance)

    return execute


def cancel_children(parent: UUID) -> None:
    """Cancel what a run that was killed has left behind."""
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[parent]))
        )
    _cancel(run.id for run in found if run.state and not run.state.is_final())


def _look(runs: Sequence[UUID]) -> Sequence[FlowRun]:
    """The runs as the server knows them; none while it is away."""
    try:
        with get_client(sync_client=True) as client:
            return client.read_flow_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=list(runs))))
    except httpx.HTTPError as error:
        logger.warning("Prefect's server does not answer: %s", error)
        return ()


def _cancel(runs: Iterable[UUID]) -> None:
    with get_client(sync_client=True) as client:
        for run in runs:
            client.set_flow_run_state(run, Cancelling(message="its parent has ended"))
