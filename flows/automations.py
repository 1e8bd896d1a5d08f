"""What the server does by itself: finds dead runs, starts them again, stops schedules that only fail."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from prefect.automations import AutomationCore, EventTrigger, Posture, ResourceSpecification
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, PauseDeployment, RunDeployment

from flows.settings import TAG
from pipeline.ids import Json

BUDGET_REACHED = "BudgetReached"
"""Name of the failed state of a run that stopped at its budget."""

PARENTS = "skyteller-control"
"""Pool of the runs that the server replaces. Their children are the parents' business."""

MISSED_S = 90
"""Three heartbeats."""

_PENDING_S = 600
_RUNNING = "prefect.flow-run.Running"
_FAILURES, _FAILURES_WITHIN = 3, timedelta(days=1)
_ENDS = {
    f"prefect.flow-run.{name}" for name in ("Completed", "Failed", "Crashed", "Cancelled", BUDGET_REACHED)
}
_OURS = ResourceSpecification({"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}"})
_PARENTS = ResourceSpecification({"prefect.resource.role": "work-pool", "prefect.resource.name": PARENTS})
_RUN = ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"})


def automations(
    parents: Mapping[str, Mapping[str, Json]], missed_s: float = MISSED_S
) -> Sequence[AutomationCore]:
    """All automations.

    Parameters
    ----------
    parents
        Deployments whose crashed runs are replaced, by name, with the parameters of their flows and the defaults.
    missed_s
        A run without a heartbeat for so long counts as dead.
    """
    beat = "prefect.flow-run.heartbeat"
    return (
        AutomationCore(
            name="skyteller: no heartbeat, so crashed",
            description="Machines and workers go away without a word; their runs would stay Running for ever.",
            trigger=EventTrigger(
                match=_RUN,
                match_related=_OURS,
                after={beat, _RUNNING},
                expect={beat, *_ENDS},
                for_each={"prefect.resource.id"},
                posture=Posture.Proactive,
                threshold=1,
                within=timedelta(seconds=missed_s),
            ),
            actions=[_becomes(StateType.CRASHED, "no heartbeat: its process is gone")],
        ),
        AutomationCore(
            name="skyteller: taken but never started, so crashed",
            description="A worker died between taking a run and starting it.",
            trigger=EventTrigger(
                match=_RUN,
                match_related=_OURS,
                after={"prefect.flow-run.Pending"},
                expect={_RUNNING, *_ENDS},
                for_each={"prefect.resource.id"},
                posture=Posture.Proactive,
                threshold=1,
                within=timedelta(seconds=_PENDING_S),
            ),
            actions=[_becomes(StateType.CRASHED, "its process never started")],
        ),
        *(_run_again(name, parameters) for name, parameters in parents.items()),
        AutomationCore(
            name="skyteller: failed again and again, so paused",
            description=f"{_FAILURES} failures within a day: the schedule stops until someone has looked.",
            trigger=EventTrigger(
                match=_RUN,
                match_related=_PARENTS,
                expect={"prefect.flow-run.Failed"},
                for_each={"related:deployment:prefect.resource.id"},
                posture=Posture.Reactive,
                threshold=_FAILURES,
                within=_FAILURES_WITHIN,
            ),
            actions=[PauseDeployment(source="inferred", deployment_id=None)],
        ),
        AutomationCore(
            name="skyteller: budget reached, so paused",
            description="The next scheduled run would spend a new budget; someone has to want that.",
            trigger=EventTrigger(
                match=_RUN,
                match_related=_PARENTS,
                expect={f"prefect.flow-run.{BUDGET_REACHED}"},
                for_each={"prefect.resource.id"},
                posture=Posture.Reactive,
                threshold=1,
                within=timedelta(0),
            ),
            actions=[PauseDeployment(source="inferred", deployment_id=None)],
        ),
    )


def _run_again(deployment: str, parameters: Mapping[str, Json]) -> AutomationCore:
    """A new run for a crashed one: of the same deployment, with its parameters, and told whom it replaces.

    The same run cannot be started again: a worker that gets it a second time while it still counts it as running
    ends with an error.
    """
    crashed = "(flow_run.parameters.get('crashed', []) + [flow_run.id | string])"
    return AutomationCore(
        name=f"skyteller: crashed, so {deployment} again",
        description="The new run goes on where the store says, and gives up after some attempts.",
        trigger=EventTrigger(
            match=_RUN,
            match_related=ResourceSpecification(
                {"prefect.resource.role": "deployment", "prefect.resource.name": deployment}
            ),
            after={_RUNNING},
            expect={"prefect.flow-run.Crashed"},
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[
            RunDeployment(
                source="inferred",
                deployment_id=None,
                parameters={
                    name: _rendered(
                        crashed if name == "crashed" else f"flow_run.parameters.get('{name}', {default!r})"
                    )
                    for name, default in parameters.items()
                },
                job_variables=None,
            )
        ],
    )


def _rendered(expression: str) -> dict[str, Any]:
    """A parameter that the server works out when it starts the run."""
    template = {"__prefect_kind": "jinja", "template": f"{{{{ {expression} | tojson }}}}"}
    return {"__prefect_kind": "json", "value": template}


def _becomes(state: StateType, message: str) -> ChangeFlowRunState:
    return ChangeFlowRunState(state=state, name=None, message=message, force=False)
