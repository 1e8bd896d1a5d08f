"""How many requests a run may still send, shared by all worker processes of a build."""

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.sharedctypes import Synchronized

from pipeline.errors import Exhausted


class Allowance:
    """A count of requests that only goes down. Pass it to worker processes when they start.

    Parameters
    ----------
    requests
        Requests that may be sent.
    """

    def __init__(self, requests: int) -> None:
        self._requests = requests
        self._left: Synchronized[int] = multiprocessing.get_context("forkserver").Value("q", requests)

    def take(self, *, owed: bool = False) -> None:
        """Take one request.

        Parameters
        ----------
        owed
            It completes what is fetched in part, so it is counted but never refused.

        Raises
        ------
        Exhausted
            None is left.
        """
        with self._left.get_lock():
            if self._left.value <= 0 and not owed:
                msg = (
                    f"the budget of {self._requests} requests is used up; what was fetched is kept, "
                    "run again with a new --budget to go on"
                )
                raise Exhausted(msg)
            self._left.value -= 1


_current: Allowance | None = None
_here = threading.local()


def set_allowance(allowance: Allowance | None) -> None:
    """Set what this process may send; None for no bound. Called once, when a run or a worker starts."""
    global _current  # noqa: PLW0603 - a process has one allowance, as it has one connection
    _current = allowance


def take_request() -> None:
    """Count one request of this process against the allowance, if there is one."""
    if _current is not None:
        _current.take(owed=getattr(_here, "owed", False))


@contextmanager
def completing() -> Iterator[None]:
    """Requests of this thread, inside, complete a block of which a part has come: none is refused.

    Without it the end of an allowance would throw away what was paid for, and an allowance smaller than the
    requests of one block would never get anywhere.
    """
    before = getattr(_here, "owed", False)
    _here.owed = True
    try:
        yield
    finally:
        _here.owed = before
