"""How a flow run ends: Completed only when nothing failed, and otherwise with the reason where people look."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.automations import BUDGET_REACHED
from flows.children import cancel_children
from pipeline.engine import Outcome, Progress
from pipeline.errors import Exhausted, SkytellerError
from pipeline.stages.base import Context

MOST_ATTEMPTS = 3
"""A run that crashes so many times is not replaced any more."""


@dataclass(frozen=True, slots=True)
class Built:
    """What came of a build."""

    outcome: Outcome
    context: Context


@dataclass(slots=True)
class Caller:
    """The user's own process, where the flow runs in it.

    Attributes
    ----------
    tell
        Is told of progress too.
    found
        What came of the build, or the error that ended it. States do not carry it: one that the server had to be told
        twice comes back from there, without its data.
    """

    tell: Progress
    found: Built | BaseException | None = None


caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


def end_state(build: Callable[[], Built], crashed: Sequence[str] = ()) -> State[None]:
    """Build, and say in a state how it went.

    Parameters
    ----------
    build
        Does the work.
    crashed
        Runs that this one replaces; what they have left running on other machines is cancelled first.
    """
    if len(crashed) >= MOST_ATTEMPTS:
        return Failed(
            message=f"crashed {MOST_ATTEMPTS} times: see the logs of the workers, mend, and run again"
        )
    for run in crashed:
        cancel_children(UUID(run))
    waiting = caller.get()
    found: Built | BaseException
    try:
        found = build()
    except BaseException as error:
        found = error
        if not isinstance(error, SkytellerError):
            raise
    finally:
        if waiting is not None:
            waiting.found = found
    if isinstance(found, Built):
        return (Failed if found.outcome.exit_code else Completed)(message=_in_words(found))
    return Failed(name=BUDGET_REACHED if isinstance(found, Exhausted) else None, message=str(found))


def _in_words(built: Built) -> str:
    outcome = built.outcome
    if outcome.errors:
        unit, message = next(iter(outcome.errors.items()))
        return f"{len(outcome.errors)} units could not be built, the first: {unit}: {message}"
    if outcome.failed_items:
        return f"{outcome.failed_items} items failed; `skyteller retry` tries them again"
    return f"released {built.context.config.name}"
