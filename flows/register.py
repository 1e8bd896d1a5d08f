"""Makes a Prefect server hold what ``prefect.yaml`` says: may be run any number of times."""

from collections.abc import Iterator
from inspect import Parameter, signature
from typing import Any

from prefect.automations import AutomationCore
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound
from prefect.utilities.callables import parameter_schema

from flows.automations import MISSED_S, PARENTS, automations
from flows.deployments import Deployment, Pool, Project, flow_of, template_of
from flows.settings import CLIENT
from pipeline.errors import Misconfigured
from pipeline.ids import Json


def register(project: Project, config: str | None = None, *, missed_s: float = MISSED_S) -> Iterator[str]:
    """Create or update pools, limits, automations and deployments; yields what was done, a line each.

    A schedule that someone has turned on or off stays as it is.

    Parameters
    ----------
    project
        The checked file.
    config
        Path of the dataset's config on the workers, instead of the one in the file.
    missed_s
        See `automations`.

    Raises
    ------
    Misconfigured
        A pool exists already with another type.
    """
    with get_client(sync_client=True) as client:
        for name, pool in project.pools.items():
            yield f"pool        {name} ({pool.type}): {_put_pool(client, name, pool)}"
        for name, limit in project.limits.items():
            client.upsert_global_concurrency_limit_by_name(name, limit)
            yield f"limit       {name}: {limit}"
        for automation in automations(_parents(project), missed_s):
            yield f"automation  {automation.name}: {_put_automation(client, automation)}"
        for deployment in project.deployments:
            _put_deployment(client, deployment, config)
            flow = flow_of(deployment).name
            active = [
                str(each.slug)
                for each in _schedules(client, deployment, f"{flow}/{deployment.name}")
                if each.active
            ]
            state = f"schedule {', '.join(active)} is on" if active else "no schedule is on"
            yield f"deployment  {flow}/{deployment.name} in {deployment.work_pool.name}, {state}"


def _put_pool(client: SyncPrefectClient, name: str, pool: Pool) -> str:
    template = template_of(pool)
    try:
        known = client.read_work_pool(name)
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=name, type=pool.type, base_job_template=template))
        return "created"
    if known.type != pool.type:
        msg = (
            f"pool {name}: exists with type {known.type}, wanted is {pool.type}; "
            f"delete it first: prefect work-pool delete {name}"
        )
        raise Misconfigured(msg)
    if known.base_job_template == template:
        return "there"
    client.update_work_pool(name, WorkPoolUpdate(base_job_template=template))
    return "updated"


def _put_automation(client: SyncPrefectClient, automation: AutomationCore) -> str:
    known = client.read_automations_by_name(automation.name)
    if not known:
        client.create_automation(automation)
        return "created"
    if _plain(known[0]) == _plain(automation):
        return "there"  # written again, it would forget the runs that it watches
    wanted = automation.model_copy(update={"enabled": known[0].enabled})
    # update_automation leaves out what is default, the kinds of actions too: the server then takes others
    answer = client.request(
        "PUT", "/automations/{id}", path_params={"id": known[0].id}, json=wanted.model_dump(mode="json")
    )
    answer.raise_for_status()
    return "updated"


def _plain(automation: AutomationCore) -> Json:
    """What an automation does, to be compared: sets have no order, and ids are given anew."""

    def ordered(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: ordered(each) for name, each in value.items() if name != "id"}
        return sorted(map(ordered, value), key=str) if isinstance(value, list) else value

    plain: Json = ordered(automation.model_dump(mode="json", include={"description", "trigger", "actions"}))
    return plain


def _put_deployment(client: SyncPrefectClient, deployment: Deployment, config: str | None) -> None:
    flow = flow_of(deployment)
    parameters = dict(deployment.parameters)
    if config is not None and "config" in parameters:
        parameters["config"] = config
    variables = dict(deployment.work_pool.job_variables)
    variables["env"] = {**CLIENT, **variables.get("env", {})}
    limit = deployment.concurrency_limit
    client.create_deployment(
        flow_id=client.create_flow(flow),
        name=deployment.name,
        entrypoint=deployment.entrypoint,
        description=deployment.description,
        tags=deployment.tags,
        parameters=parameters,
        parameter_openapi_schema=parameter_schema(flow).model_dump_for_openapi(),
        enforce_parameter_schema=True,
        work_pool_name=deployment.work_pool.name,
        job_variables=variables,
        pull_steps=[],
        schedules=_schedules(client, deployment, f"{flow.name}/{deployment.name}"),
        concurrency_limit=None if limit is None else limit.limit,
        concurrency_options=None
        if limit is None
        else ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy(limit.collision_strategy)),
    )


def _schedules(
    client: SyncPrefectClient, deployment: Deployment, name: str
) -> list[DeploymentScheduleCreate]:
    """The schedules of the file, each on or off as it is on the server, if it is there."""
    try:
        known = {each.slug: each.active for each in client.read_deployment_by_name(name).schedules}
    except ObjectNotFound:
        known = {}
    return [
        DeploymentScheduleCreate(
            schedule=CronSchedule(cron=each.cron, timezone=each.timezone),
            slug=each.slug,
            active=known.get(each.slug, each.active),
        )
        for each in deployment.schedules
    ]


def _parents(project: Project) -> dict[str, dict[str, Any]]:
    """Parameters and defaults of the flows whose crashed runs are replaced, by deployment."""
    return {
        deployment.name: {
            name: None if parameter.default is Parameter.empty else parameter.default
            for name, parameter in signature(flow_of(deployment).fn).parameters.items()
        }
        for deployment in project.deployments
        if deployment.work_pool.name == PARENTS
    }
