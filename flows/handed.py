"""What the flows share whose units another flow run has planned."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.settled import settled
from flows.taskruns import TaskRuns
from pipeline.configfile import load_config
from pipeline.errors import SkytellerError
from pipeline.handout import taken
from pipeline.inventory import take_inventory
from pipeline.part import build_part


def build_handed(config: str, units: Sequence[str], share: str | None = None) -> State[None]:
    """Build units. The state says which could not be built, and why.

    Parameters
    ----------
    config
        Path of a config, or store and key of the context that the parent has handed out.
    units
        Their names, ``stage/cell``.
    share
        Part of the requests that this run may send.
    """
    try:
        if "/contexts/" in config:
            store, _, key = config.partition("/contexts/")
            context = taken(store, f"contexts/{key}")
        else:
            path = Path(config)
            context = take_inventory(load_config(path), path.absolute().parent)
        own = replace(context, config=settled(context.config, share=share, gpus=1))
        with TaskRuns(own) as here:
            errors = build_part(own, units, here)
    except SkytellerError as error:
        return Failed(message=str(error))
    if errors:
        unit, message = next(iter(errors.items()))
        return Failed(
            message=f"{len(errors)} of {len(units)} units could not be built, the first: {unit}: {message}"
        )
    return Completed(message=f"{len(units)} units")
