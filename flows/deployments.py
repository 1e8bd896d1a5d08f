"""Reads ``prefect.yaml`` strictly: Prefect itself passes over misspelt keys and drops job variables it does not know."""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from prefect import Flow
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import MissingFlowError
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import ValidationError as WrongParameters
from prefect.utilities.schema_tools import validate
from prefect.utilities.templating import apply_values
from pydantic import Field, ValidationError

from pipeline.errors import Misconfigured
from pipeline.ids import Json
from pipeline.sources import Model

FILE = Path(__file__).with_name("prefect.yaml")
"""The deployments that come with the package."""

_SECRET_NAME = re.compile(r"(?i)(secret|passw|credential|private|(^|_)(token|key|auth)($|_))")
_SECRET_VALUE = re.compile(
    r"(AKIA|ASIA)[A-Z0-9]{16}|-----BEGIN|\b(sk|hf|gh[pousr]|xox[bap])[-_][A-Za-z0-9_-]{16,}"
    r"|AIza[\w-]{30,}|ya29\.|://[^/\s:@]+:[^/\s@]+@"
)
_BLOCK = re.compile(r"^\{\{\s*prefect\.blocks\.[\w.-]+\s*\}\}$")
_IMAGE = re.compile(
    r"^([a-z0-9.-]+(:\d+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[A-Za-z0-9_][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?$"
)


class WorkPool(Model):
    """Where a deployment runs."""

    name: str
    job_variables: dict[str, Any] = Field(default={})


class Limit(Model):
    """How many runs of a deployment there may be at a time, and what becomes of another one."""

    limit: int = Field(ge=1)
    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"]


class Cron(Model):
    """When a deployment starts by itself."""

    cron: str
    timezone: str
    slug: str
    active: bool


class Deployment(Model):
    """A flow, its parameters, and where and when it runs."""

    name: str
    entrypoint: str
    description: str
    tags: list[str]
    parameters: dict[str, Any] = Field(default={})
    work_pool: WorkPool
    concurrency_limit: Limit | None = None
    schedules: list[Cron] = Field(default=[])


class Pool(Model):
    """A work pool: its type, and the file with its base job template."""

    type: Literal["process", "docker"]
    template: str


class Project(Model):
    """All of ``prefect.yaml``."""

    name: str
    pull: list[Any] = Field(max_length=0)
    deployments: list[Deployment]
    pools: dict[str, Pool] = Field(alias="x-pools")
    limits: dict[str, int] = Field(alias="x-limits")


def load_project(path: Path = FILE, *, gpu: Literal["process", "docker"] = "docker") -> Project:
    """Read and check a file of deployments. Needs no server.

    Parameters
    ----------
    path
        The file; templates of pools are beside it.
    gpu
        Kind of the workers with GPUs. What only containers understand is left out for processes.

    Raises
    ------
    Misconfigured
        With every problem at once.
    """
    try:
        project = Project.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        msg = f"{path}: cannot be read: {' '.join(str(error).split())}"
        raise Misconfigured(msg) from error
    except ValidationError as error:
        lines = [f"{path}: {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise Misconfigured("\n".join(lines)) from error
    if gpu == "process":
        project = _without_containers(project)
    if problems := [f"{path}: {problem}" for problem in _problems(project, path.parent)]:
        raise Misconfigured("\n".join(problems))
    return project


def flow_of(deployment: Deployment) -> Flow[..., Any]:
    """The flow of a deployment. Raises Misconfigured when it cannot be loaded."""
    try:
        flow: Flow[..., Any] = load_flow_from_entrypoint(deployment.entrypoint, use_placeholder_flow=False)
    except (ImportError, AttributeError, ValueError, TypeError, OSError, MissingFlowError) as error:
        msg = f"deployment {deployment.name}: {deployment.entrypoint} cannot be loaded: {error}"
        raise Misconfigured(msg) from error
    return flow


def template_of(pool: Pool, folder: Path = FILE.parent) -> dict[str, Any]:
    """The base job template of a pool."""
    template: dict[str, Any] = json.loads((folder / pool.template).read_text(encoding="utf-8"))
    return template


def _without_containers(project: Project) -> Project:
    """The same deployments for pools of processes."""
    process = next(pool for pool in project.pools.values() if pool.type == "process")
    docker = {name for name, pool in project.pools.items() if pool.type == "docker"}
    deployments = [
        each.model_copy(update={"work_pool": WorkPool(name=each.work_pool.name)})
        if each.work_pool.name in docker
        else each
        for each in project.deployments
    ]
    pools = project.pools | dict.fromkeys(docker, process)
    return project.model_copy(update={"deployments": deployments, "pools": pools})


def _problems(project: Project, folder: Path) -> Iterator[str]:
    templates: dict[str, dict[str, Any]] = {}
    for name, pool in project.pools.items():
        try:
            templates[name] = template_of(pool, folder)
            templates[name]["variables"]["properties"], templates[name]["job_configuration"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            yield f"pool {name}: {pool.template} is no base job template: {error!r}"
    names = [each.name for each in project.deployments]
    yield from (
        f"deployment {name}: named twice" for name in sorted({n for n in names if names.count(n) > 1})
    )
    for deployment in project.deployments:
        where = f"deployment {deployment.name}"
        yield from (f"{where}: {problem}" for problem in _parameter_problems(deployment))
        yield from (f"{where}: {problem}" for problem in _secrets(deployment))
        for schedule in deployment.schedules:
            try:
                CronSchedule(cron=schedule.cron, timezone=schedule.timezone)
            except ValidationError as error:
                yield f"{where}: schedule {schedule.slug}: {error.errors()[0]['msg']}"
        if deployment.work_pool.name not in project.pools:
            yield f"{where}: no pool {deployment.work_pool.name} in x-pools"
        elif deployment.work_pool.name in templates:
            template = templates[deployment.work_pool.name]
            yield from (f"{where}: {problem}" for problem in _job_problems(deployment, template))


def _parameter_problems(deployment: Deployment) -> Iterator[str]:
    try:
        flow = flow_of(deployment)
        inspect.signature(flow.fn).bind_partial(**deployment.parameters)
        schema = parameter_schema(flow).model_dump_for_openapi()
        validate(deployment.parameters, schema, raise_on_error=True, ignore_required=True)
    except Misconfigured as error:
        yield str(error).partition(": ")[2]
    except (TypeError, WrongParameters) as error:
        yield f"parameters do not fit {deployment.entrypoint}: {error}"


def _job_problems(deployment: Deployment, template: Mapping[str, Any]) -> Iterator[str]:
    """What a worker would pass over in silence."""
    given = deployment.work_pool.job_variables
    job = apply_values(template["job_configuration"], given)
    for name, value in given.items():
        if name not in template["variables"]["properties"] or value not in job.values():
            yield f"job variable {name} does not reach the job: the pool's template does not use it"
    image = given.get("image")
    if image is not None and not _IMAGE.match(str(image)):
        yield f"{image!r} is no name of an image"


def _secrets(deployment: Deployment) -> Iterator[str]:
    """Prefect keeps parameters and job variables in clear."""
    for name, value in _flat(deployment.parameters):
        if _SECRET_NAME.search(name) or _SECRET_VALUE.search(str(value)):
            yield f"parameter {name} looks like a secret; set it in the environment of the workers"
    for name, value in _flat(deployment.work_pool.job_variables):
        secret = _SECRET_NAME.search(name) or _SECRET_VALUE.search(str(value))
        if secret and not _BLOCK.match(str(value)):
            yield f"job variable {name} looks like a secret; name a block: '{{{{ prefect.blocks.secret.NAME }}}}'"


def _flat(values: Json, name: str = "") -> Iterator[tuple[str, object]]:
    """Every single value with the name it is under."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _flat(value, key)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _flat(value, name)
    else:
        yield name, values
