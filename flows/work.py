"""The flow `work`: units that need no GPU, on one of several machines."""

from prefect import flow
from prefect.client.schemas.objects import State

from flows.handed import build_handed
from flows.taskruns import RUNNER


@flow(name="work", task_runner=RUNNER, persist_result=False)
def work(config: str, units: list[str], share: str | None = None) -> State[None]:
    """Build some units that a build has planned.

    Parameters
    ----------
    config
        Path of a config, or store and key of the context that a build has handed out.
    units
        Names of units and their fingerprints, such as ``pixels/12-1-2/0f3a``.
    share
        Part of the requests to Earth Engine that this run may send, such as 1/4.
    """
    return build_handed(config, units, share)
