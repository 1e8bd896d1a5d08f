"""A build as a flow run in the user's own process: the same plan, shown by the server."""

from pathlib import Path

from prefect import tags

from flows.build import build
from flows.building import on_screen
from flows.ends import Built
from flows.settings import TAG
from pipeline.engine import Outcome, Progress
from pipeline.errors import Transient
from pipeline.stages.base import Context


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
    token = on_screen.set(tell)
    try:
        with tags(TAG):
            state = build(str(config), workers=workers, budget=budget, share=share, return_state=True)
    finally:
        on_screen.reset(token)
    found: object = state.result(raise_on_failure=False)
    if isinstance(found, BaseException):
        raise found
    if not isinstance(found, Built):  # it was cancelled, or the server would not let it start
        msg = f"the flow run ended as {state.name}: {state.message}"
        raise Transient(msg)
    return found.outcome, found.context
