"""What the flows share whose units another flow run has planned."""

import os
from collections.abc import Sequence
from dataclasses import replace

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.settled import settled
from flows.taskruns import TaskRuns
from pipeline.errors import SkytellerError
from pipeline.interpreter import with_python
from pipeline.part import build_part, context_of

VLLM_PYTHON = "SKYTELLER_VLLM_PYTHON"
"""Names the Python that has vLLM, where it cannot share an installation with Prefect: they want different FastAPIs."""


def build_handed(config: str, units: Sequence[str], share: str | None = None) -> State[None]:
    """Build units. The state says which could not be built, and why.

    Parameters
    ----------
    config
        Path of a config, or store and key of the context that the parent has handed out.
    units
        Their names, ``stage/cell`` or ``stage/cell/fingerprint``.
    share
        Part of the requests that this run may send.
    """
    try:
        context = context_of(config)
        own = replace(context, config=settled(context.config, share=share, gpus=1))
        python = os.environ.get(VLLM_PYTHON)
        if python and all(unit.startswith("captions/") for unit in units):
            errors = build_part(own, units, with_python(python))
        else:
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
