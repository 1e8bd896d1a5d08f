"""What needs Prefect: the only module of the library that knows of the flows. It imports them when it is asked."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import urllib3
from cyclopts import Parameter

from pipeline.cli.app import app, run_build
from pipeline.configfile import load_config
from pipeline.engine import Outcome
from pipeline.errors import Misconfigured
from pipeline.pool import warm_up
from pipeline.show import console, progress
from pipeline.stages.base import Context

_URL = "PREFECT_API_URL"

AsFlow = Annotated[
    bool | None,
    Parameter(
        name="--prefect",
        negative="--no-prefect",
        help=f"Run as a Prefect flow run, which its server shows; by default where {_URL} is set.",
    ),
]


def run_build_or_flow(
    path: Path,
    workers: int | None,
    budget: int | None = None,
    share: str | None = None,
    prefect: AsFlow = None,
) -> tuple[Outcome, Context]:
    """Build a dataset with progress on the screen; as a flow run of this process where that is wanted.

    Raises
    ------
    SkytellerError
        As `pipeline.engine.build`; Misconfigured where Prefect is not installed or its server does not answer.
    """
    if not as_flow(prefect):
        return run_build(path, workers, budget, share)
    warm_up()  # while Prefect is imported
    from flows.local import build_here  # noqa: PLC0415 - heavy, and not always installed

    with progress() as tell:
        return build_here(path.absolute(), workers, budget, share, tell)


def as_flow(prefect: AsFlow) -> bool:
    """Whether to build as a flow run. Raises Misconfigured as `run_build_or_flow`, before any work is done."""
    wanted = bool(os.environ.get(_URL)) if prefect is None else prefect
    if wanted:
        _prepare()
        _find_server()
    return wanted


def import_flows() -> None:
    """Import what builds as a flow run, which takes seconds, while another process works."""
    import flows.local  # noqa: F401, PLC0415


@app.command
def deploy(
    config: Annotated[Path, Parameter(help="The dataset.yaml, under the path that it has on the workers.")],
    *,
    check: Annotated[bool, Parameter(help="Only look whether all is in order; needs no server.")] = False,
    file: Annotated[Path | None, Parameter(help="Deployments, instead of those of the package.")] = None,
    gpu: Annotated[
        Literal["docker", "process"], Parameter(help="How the workers with GPUs run flows.")
    ] = "docker",
) -> None:
    """Give a Prefect server the deployments, and the pools, limits and automations that they need.

    May be run any number of times; a schedule that was turned on or off stays so.
    """
    load_config(config)
    _prepare()
    from flows.deployments import FILE, load_project  # noqa: PLC0415 - heavy, and not always installed
    from flows.register import register  # noqa: PLC0415

    project = load_project(file or FILE, gpu=gpu)
    console.print(
        f"{len(project.deployments)} deployments, {len(project.pools)} pools and {config} are in order"
    )
    if check:
        return
    _find_server()
    for line in register(project, str(config.absolute())):
        console.print(line, markup=False)
    for pool in project.pools:
        console.print(f"worker      prefect worker start --pool {pool}", markup=False)


def _prepare() -> None:
    """Make Prefect quiet, before it is imported. Raises Misconfigured where it is not installed."""
    if find_spec("prefect") is None:
        msg = "Prefect is not installed: pip install 'skyteller[flows]'; or build without it: --no-prefect"
        raise Misconfigured(msg)
    from flows.settings import CLIENT, apply  # noqa: PLC0415 - not in every installation

    apply(
        {
            "PREFECT_LOGGING_LEVEL": "CRITICAL",
            "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
            **CLIENT,
        }
    )


def _find_server() -> None:
    """Raises Misconfigured where no server is named, or it does not answer: none is started in secret."""
    url = os.environ.get(_URL)
    if not url:
        msg = f"{_URL} is not set: start a Prefect server (make server) and export what it prints"
        raise Misconfigured(msg)
    try:
        status = urllib3.request("GET", f"{url.rstrip('/')}/health", timeout=10, retries=False).status
    except urllib3.exceptions.HTTPError as error:
        msg = (
            f"no Prefect server answers at {url}; start one (make server), or build without it: --no-prefect"
        )
        raise Misconfigured(msg) from error
    if status != 200:
        msg = f"{url} is no Prefect server, or not ready (its /health answers {status})"
        raise Misconfigured(msg)
