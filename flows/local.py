"""A build as a flow run in the user's own process: the same plan, shown by the server."""

import logging
from pathlib import Path

import httpx
from prefect import tags

from flows.build import build
from flows.ends import Built, Caller, caller
from flows.settings import TAG
from pipeline.engine import Outcome, Progress
from pipeline.errors import Transient
from pipeline.stages.base import Context

logger = logging.getLogger("skyteller")


def build_here(
    config: Path, workers: int | None, budget: int | None, share: str | None, tell: Progress
) -> tuple[Outcome, Context]:
    """Build a dataset. Raises what `pipeline.engine.build` raises.

    Parameters
    ----------
    config, workers, budget, share
        As for the flow `build`.
    tell
        Is told of progress.
    """
    waiting = Caller(tell)
    token = caller.set(waiting)
    try:
        with tags(TAG):
            state = build(str(config), workers=workers, budget=budget, share=share, return_state=True)
        end = f"the flow run ended as {state.name}: {state.message}"
    except httpx.HTTPError as error:
        end = f"the Prefect server does not answer ({error}): run again when it does, or with --no-prefect"
        if isinstance(waiting.found, Built):
            logger.warning(
                "the Prefect server does not answer (%s), and does not know that this is done", error
            )
    finally:
        caller.reset(token)
    if isinstance(waiting.found, BaseException):
        raise waiting.found
    if waiting.found is None:
        raise Transient(end)
    return waiting.found.outcome, waiting.found.context
