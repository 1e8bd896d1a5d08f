"""Request quotas of a project: how many at once, and how many a second."""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits; None where there is none. Earth Engine's defaults are 40 and 100.

    Attributes
    ----------
    concurrent
        Requests in flight.
    per_second
        Requests a second; as many may come at once after a quiet second.
    """

    concurrent: int | None = None
    per_second: float | None = None


def parse_quota(text: str) -> Quota:
    """Read ``40``, ``100/s`` or ``40,100/s``. Raises `Misconfigured`."""
    match = re.fullmatch(r"(\d+)?(?:(?:^|,\s*)(\d+(?:\.\d+)?)/s)?", text)
    numbers = [float(number) for number in match.groups() if number] if match else []
    if match is None or not numbers or 0 in numbers:
        raise Misconfigured(
            f"quota {text!r} is not understood; write for example 40,100/s (in flight, a second)"
        )
    concurrent, per_second = match.groups()
    return Quota(int(concurrent) if concurrent else None, float(per_second) if per_second else None)


def parse_seconds(text: str) -> float:
    """Read a duration: ``50ms``, ``0.3s`` or a number of seconds. Raises `Misconfigured`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s)?", text.strip())
    if match is None:
        raise Misconfigured(f"duration {text!r} is not understood; write for example 50ms or 0.3s")
    return float(match[1]) * (0.001 if match[2] == "ms" else 1)


class Gate:
    """Admits requests within a quota: a counter and a token bucket.

    Parameters
    ----------
    quota
        The limits.
    clock
        Monotonic seconds.
    """

    def __init__(self, quota: Quota, clock: Callable[[], float] = time.monotonic) -> None:
        self._quota, self._clock = quota, clock
        self._lock = threading.Lock()
        self._in_flight = 0
        self._tokens, self._last = self._most, clock()

    @property
    def _most(self) -> float:
        """Requests that may come at once."""
        return max(self._quota.per_second or 0.0, 1.0)

    def enter(self) -> bool:
        """Whether a request is admitted; one that is must `leave`."""
        concurrent, per_second = self._quota.concurrent, self._quota.per_second
        with self._lock:
            if concurrent is not None and self._in_flight >= concurrent:
                return False
            if per_second is not None:
                now = self._clock()
                self._tokens = min(self._most, self._tokens + (now - self._last) * per_second)
                self._last = now
                if self._tokens < 1:
                    return False
                self._tokens -= 1
            self._in_flight += 1
            return True

    def leave(self) -> None:
        """An admitted request has been answered."""
        with self._lock:
            self._in_flight -= 1

    def refill(self) -> None:
        """Forget the requests of the last second."""
        with self._lock:
            self._tokens, self._last = self._most, self._clock()
