"""The flow `build`: a dataset from its config to its release."""

from collections.abc import Sequence
from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from flows.building import run_build
from flows.ends import Built, end_state
from flows.settled import settled
from flows.taskruns import RUNNER
from pipeline.configfile import load_config


def _name() -> str:
    config = Path(flow_run.parameters["config"])
    return f"build {config.parent.name}/{config.name}"


@flow(
    name="build",
    flow_run_name=_name,
    task_runner=RUNNER,
    persist_result=False,
)
def build(
    config: str,
    *,
    workers: int | None = None,
    budget: int | None = None,
    share: str | None = None,
    caption_pool: bool = False,
    machines: int = 0,
    crashed: Sequence[str] = (),
) -> State[None]:
    """Plan, build what is missing, pack the release.

    Parameters
    ----------
    config
        Path of the dataset's config on the machine of the worker.
    workers
        Worker processes; overrides ``runtime.workers``.
    budget
        Stop after so many requests for pixels.
    share
        Part of the requests that this machine may send, such as 1/4.
    caption_pool
        Leave captions that need a GPU to the deployment `caption`.
    machines
        Spread other units over so many runs of the deployment `work`; 0 builds them here.
    crashed
        Runs that this one replaces.
    """

    def run() -> Built:
        path = Path(config)
        settings = settled(load_config(path), workers=workers, share=share)
        return run_build(
            settings, path.absolute().parent, budget=budget, caption_pool=caption_pool, machines=machines
        )

    return end_state(run, crashed)
