"""How fast requests go out: a number in flight that adapts to the service, and a rate.

Overshooting the quota is slower than respecting it, so the number in flight grows by one for every window
of successes and is halved when the service says that it is too much (additive increase, multiplicative
decrease: Chiu and Jain 1989, https://doi.org/10.1016/0169-7552(89)90019-6).
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

START = 8
CUT_EVERY_S = 1.0  # what is rejected within a second is one overload, not many


class Concurrency:
    """The number of requests that may be in flight. Not thread-safe.

    Parameters
    ----------
    cap
        Never more than this.
    """

    def __init__(self, cap: int) -> None:
        self._cap = max(1, cap)
        self._successes = 0
        self._cut_at = float("-inf")
        self.limit = min(START, self._cap)

    def succeeded(self) -> None:
        """Count a success; a whole window of them in a row makes room for one more."""
        self._successes += 1
        if self._successes >= self.limit:
            self._successes = 0
            self.limit = min(self._cap, self.limit + 1)

    def overloaded(self, now: float) -> None:
        """Halve, at most once a second."""
        self._successes = 0
        if now - self._cut_at >= CUT_EVERY_S:
            self._cut_at = now
            self.limit = max(1, self.limit // 2)


class Bucket:
    """Tokens that fill up at a rate. Thread-safe.

    Parameters
    ----------
    per_second
        Tokens a second. A tenth of that may go out at once, so no second sees more than 1.1 x the rate.
    now
        The time.
    """

    def __init__(self, per_second: float, now: float) -> None:
        self._rate = per_second
        self._size = max(1.0, per_second / 10)
        self._tokens, self._at = self._size, now
        self._lock = threading.Lock()

    def take(self, now: float) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        with self._lock:
            self._tokens = min(self._size, self._tokens + max(0.0, now - self._at) * self._rate)
            self._at = max(self._at, now)
            if self._tokens < 1 - 1e-9:  # a wait of less than a clock tick would never end
                return (1 - self._tokens) / self._rate
            self._tokens -= 1
            return 0.0


class Pacer:
    """Lets requests out one after the other, as many as the service bears. Thread-safe.

    Nobody holds a place in flight while waiting for anything but the service: a request waits at the door,
    first for a place, then for its token, and only then takes both.

    Parameters
    ----------
    in_flight
        Most requests in flight.
    bucket
        Bounds the requests a second; may be shared with other pacers.
    clock, sleep
        Time, in seconds.
    """

    def __init__(
        self,
        in_flight: int,
        bucket: Bucket,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._concurrency = Concurrency(in_flight)
        self._bucket = bucket
        self._door = threading.Lock()
        self._state = threading.Condition()
        self._in_flight = self._peak = 0

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""
        return self._concurrency.limit

    @property
    def peak(self) -> int:
        """Most requests that have been in flight at a time."""
        return self._peak

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place in flight, for one request from sending to the last byte of its answer."""
        with self._door:
            while wait := self._enter():
                self._sleep(wait)
        try:
            yield
        finally:
            with self._state:
                self._in_flight -= 1
                self._state.notify_all()

    def succeeded(self) -> None:
        """Report an answer."""
        with self._state:
            self._concurrency.succeeded()
            self._state.notify_all()

    def overloaded(self) -> None:
        """Report that the service turned a request away because of too many."""
        with self._state:
            self._concurrency.overloaded(self._clock())

    def _enter(self) -> float:
        with self._state:
            self._state.wait_for(lambda: self._in_flight < self._concurrency.limit)
            wait = self._bucket.take(self._clock())
            if not wait:
                self._in_flight += 1
                self._peak = max(self._peak, self._in_flight)
            return wait
