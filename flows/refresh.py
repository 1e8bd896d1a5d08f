"""The flow `refresh`: a new snapshot of the map, and a new release beside the old ones."""

from collections.abc import Sequence
from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State

from flows.building import run_build
from flows.ends import Built, end_state
from flows.taskruns import RUNNER
from pipeline.configfile import load_config
from pipeline.inventory import open_store
from pipeline.osm.fetch import refresh as refresh_map
from pipeline.release.naming import refreshed_name


@flow(name="refresh", task_runner=RUNNER, persist_result=False)
def refresh(
    config: str, *, caption_pool: bool = False, machines: int = 0, crashed: Sequence[str] = ()
) -> State[None]:
    """Take the newest map, rebuild what it changes, cut a new release.

    A file of the user's is new when it has changed. The release is named after the dataset and the snapshot, such as
    ``reisterstown-20261120t2121``; where the dataset has no release yet, after the dataset alone.

    Parameters
    ----------
    config
        Path of the dataset's config on the machine of the worker.
    caption_pool, machines, crashed
        As for the flow `build`.
    """

    def run() -> Built:
        path = Path(config)
        settings, base = load_config(path), path.absolute().parent
        store = open_store(settings, base)
        snapshot = refresh_map(settings, base, store)
        return run_build(
            settings.model_copy(update={"name": refreshed_name(settings.name, store, snapshot)}),
            base,
            budget=None,
            caption_pool=caption_pool,
            machines=machines,
        )

    return end_state(run, crashed)
