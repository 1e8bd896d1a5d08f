"""The flow `caption`: captions of some cells, on a machine with a GPU."""

from prefect import flow
from prefect.client.schemas.objects import State

from flows.handed import build_handed
from flows.taskruns import RUNNER


@flow(name="caption", task_runner=RUNNER, persist_result=False)
def caption(config: str, units: list[str]) -> State[None]:
    """Write the captions of some cells with one engine.

    Parameters
    ----------
    config
        Path of a config, or store and key of the context that a build has handed out.
    units
        Names of units and their fingerprints, such as ``captions/12-1-2/0f3a``.
    """
    return build_handed(config, units)
