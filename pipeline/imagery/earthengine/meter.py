"""What a transport has done: counted as it happens, readable at any time."""

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

logger = logging.getLogger("skyteller")


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a transport has done so far.

    Attributes
    ----------
    requests
        Requests sent.
    bytes
        Bytes of good answers.
    retries
        Failures that were tried again, by kind.
    seconds
        Times to the first byte, summed.
    peak
        Most requests in flight at a time.
    quota
        The service's last words on the quota: its headers.
    """

    requests: int = 0
    bytes: int = 0
    retries: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    peak: int = 0
    quota: Mapping[str, str] = field(default_factory=dict)


class Meter:
    """Counts. Thread-safe.

    Parameters
    ----------
    project
        Who is told when the service restricts it.
    """

    def __init__(self, project: str) -> None:
        self._project = project
        self._lock = threading.Lock()
        self._requests = self._bytes = 0
        self._seconds = 0.0
        self._retries: Counter[str] = Counter()
        self._quota: Mapping[str, str] = {}
        self._warned = False

    def read(self, peak: int) -> Statistics:
        """What was counted so far, and the most requests in flight."""
        with self._lock:
            return Statistics(
                self._requests, self._bytes, dict(self._retries), self._seconds, peak, self._quota
            )

    def sent(self) -> None:
        """Count a request."""
        with self._lock:
            self._requests += 1

    def answered(self, headers: Mapping[str, str], seconds: float) -> None:
        """Count the time to the first byte; keep, and once say, what the headers tell of the quota."""
        quota = {
            name.lower(): value
            for name, value in headers.items()
            if "quota" in name.lower() or "ratelimit" in name.lower()
        }
        restricted = "parallelism_restricted=true" in quota.get("x-earth-engine-quota-status", "")
        with self._lock:
            self._seconds += seconds
            self._quota = quota or self._quota
            warn, self._warned = restricted and not self._warned, self._warned or restricted
        if warn:
            logger.warning(
                "Earth Engine: project %s has used up its noncommercial compute quota and is restricted to few "
                "requests at a time; expect a slow run, see "
                "https://developers.google.com/earth-engine/guides/noncommercial_tiers",
                self._project,
            )

    def received(self, n: int) -> None:
        """Count the bytes of a good answer."""
        with self._lock:
            self._bytes += n

    def retried(self, kind: str) -> None:
        """Count a failure that is tried again."""
        with self._lock:
            self._retries[kind] += 1
