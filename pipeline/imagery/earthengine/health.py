"""Whether it makes sense to send anything: after errors that no retry mends, and while the service is down."""

import threading
import time
from collections.abc import Callable

from pipeline.errors import SkytellerError, Transient

FATAL_IN_A_ROW = 3
PROBE_EVERY_S = 30.0


class Health:
    """What the calls of a process have learnt about the service. Thread-safe.

    Parameters
    ----------
    patience_s
        Without any success for so long, the service counts as down.
    clock
        Time, in seconds.
    """

    def __init__(self, patience_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience_s, self._clock = patience_s, clock
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._first: SkytellerError | None = None
        self._fatal_in_a_row = 0
        self._failing_since: float | None = None
        self._failed_at = float("-inf")
        self._probed_at = float("-inf")
        self._last = ""

    def check(self, where: str, *, probe: bool = False) -> None:
        """Raise what there is no way around.

        While the service is down one call now and then goes through, to notice when it is back.

        Parameters
        ----------
        where
            What is asked for, to begin messages with.
        probe
            The request goes out now, so it may be that call.

        Raises
        ------
        SkytellerError
            The first of the errors that stopped the run.
        Transient
            The service is down.
        """
        with self._lock:
            if self._stopped.is_set() and self._first is not None:
                raise type(self._first)(*self._first.args)
            if self._is_down():
                now = self._clock()
                if now - self._probed_at < PROBE_EVERY_S:
                    raise self._down(where)
                if probe:
                    self._probed_at = now

    def succeeded(self) -> None:
        """Report an answer, good or bad, that shows the service at work for this project."""
        with self._lock:
            self._fatal_in_a_row, self._failing_since = 0, None
            if not self._stopped.is_set():
                self._first = None

    def failed(self, where: str, message: str) -> None:
        """Report a failure that may pass.

        Raises
        ------
        Transient
            There has been no success for too long.
        """
        with self._lock:
            self._last = message
            now = self._clock()
            if self._failing_since is None or self._was_idle(now):
                self._failing_since = now
            self._failed_at = now
            if self._is_down():
                self._probed_at = self._clock()
                raise self._down(where)

    def fatal(self, error: SkytellerError, *, at_once: bool = False) -> None:
        """Report an error that concerns the whole run; after a few in a row nothing is sent any more."""
        with self._lock:
            self._fatal_in_a_row += 1
            self._first = self._first or error
            if at_once or self._fatal_in_a_row >= FATAL_IN_A_ROW:
                self._stopped.set()

    def sleep(self, seconds: float) -> None:
        """Pause, or return early when there is nothing left to wait for."""
        self._stopped.wait(seconds)

    def _is_down(self) -> bool:
        now = self._clock()
        if self._failing_since is None or self._was_idle(now):
            return False
        return now - self._failing_since >= self._patience_s

    def _was_idle(self, now: float) -> bool:
        """Whether so long nothing was tried that the last failure tells nothing about the service any more."""
        return now - self._failed_at > max(self._patience_s, 2 * PROBE_EVERY_S)

    def _down(self, where: str) -> Transient:
        return Transient(
            f"{where}: the service counts as down, nothing has succeeded for {self._patience_s:g} s; "
            f"the last answer was: {self._last}; run again later, what was fetched is kept"
        )
