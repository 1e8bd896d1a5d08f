"""What the emulator counts."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts since the start or the last reset.

    Attributes
    ----------
    requests
        Requests that arrived, by route.
    statuses
        Answers, by HTTP status; what got none (reset, stall) is not here.
    faults
        Faults injected, by kind.
    in_flight, peak_in_flight
        Requests that have arrived and are not answered yet, whether admitted or not: now, and at most.
    n_bytes
        Bytes of bodies handed to the network.
    """

    requests: Mapping[str, int]
    statuses: Mapping[str, int]
    faults: Mapping[str, int]
    in_flight: int
    peak_in_flight: int
    n_bytes: int


class Counts:
    """The counters, safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Start anew; what is in flight stays in flight."""
        with self._lock:
            self._requests: Counter[str] = Counter()
            self._statuses: Counter[str] = Counter()
            self._faults: Counter[str] = Counter()
            self._peak = self._in_flight
            self._n_bytes = 0

    def arrive(self, route: str) -> None:
        """A request has arrived."""
        with self._lock:
            self._requests[route] += 1
            self._in_flight += 1
            self._peak = max(self._peak, self._in_flight)

    def leave(self) -> None:
        """A request has been answered, or never will be."""
        with self._lock:
            self._in_flight -= 1

    def hit(self, kind: str) -> None:
        """A fault was injected."""
        with self._lock:
            self._faults[kind] += 1

    def answer(self, status: int, n_bytes: int) -> None:
        """An answer is on its way."""
        with self._lock:
            self._statuses[str(status)] += 1
            self._n_bytes += n_bytes

    def read(self) -> Statistics:
        """The counts as they are now."""
        with self._lock:
            return Statistics(
                requests=dict(sorted(self._requests.items())),
                statuses=dict(sorted(self._statuses.items())),
                faults=dict(sorted(self._faults.items())),
                in_flight=self._in_flight,
                peak_in_flight=self._peak,
                n_bytes=self._n_bytes,
            )
