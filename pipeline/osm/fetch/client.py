"""Requests to servers of map data: safe redirects, honest time limits, one place that tries again."""

import logging
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

import certifi
import urllib3

from pipeline import __version__
from pipeline.errors import Misconfigured, Transient
from pipeline.osm.fetch.urls import redirected

logger = logging.getLogger("skyteller")

USER_AGENT = f"skyteller/{__version__} (builds remote-sensing datasets)"

AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be another next time."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_CONNECT_S = 10.0
_BLOCK = 2**18
_LONGEST_PAUSE_S = 60.0


class Broken(Exception):
    """No answer, or half of one; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose body is still to be read.

    Attributes
    ----------
    url
        Where it came from, after redirects.
    status
        HTTP status.
    headers
        Its headers; names of any case.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    _body: urllib3.BaseHTTPResponse = field(repr=False)

    def blocks(self, *, decode: bool = False) -> Iterator[bytes]:
        """The body piece by piece. Raises Broken where it ends too early."""
        try:
            yield from self._body.stream(_BLOCK, decode_content=decode)
        except (urllib3.exceptions.HTTPError, ssl.SSLError, ConnectionError, TimeoutError) as error:
            raise Broken(_reason(error)) from error

    def read(self, most_bytes: int) -> bytes:
        """The whole body, decompressed. Raises Broken where it ends too early, OverflowError where it is larger."""
        found = bytearray()
        for block in self.blocks(decode=True):
            found += block
            if len(found) > most_bytes:
                msg = f"more than {most_bytes:,} bytes"
                raise OverflowError(msg)
        return bytes(found)


class Patience:
    """Counts failures in a row and waits after each, ever longer.

    Parameters
    ----------
    what
        What is asked for, for the message.
    attempts
        Failures in a row that end it.
    pause_s
        First pause; each is twice the one before it.
    sleep
        How to wait.
    """

    def __init__(self, what: str, attempts: int, pause_s: float, sleep: Callable[[float], None]) -> None:
        self._what, self._attempts, self._pause_s, self._sleep = what, attempts, pause_s, sleep
        self._failures = 0

    def succeeded(self) -> None:
        """Something came: what failed before no longer counts."""
        self._failures = 0

    def failed(self, problem: str, wait_s: float = 0.0) -> None:
        """Wait before the next attempt, at least for `wait_s` seconds.

        Raises
        ------
        Transient
            It has failed too often in a row.
        """
        self._failures += 1
        if self._failures >= self._attempts:
            tries = f"after {self._failures} attempts; " if self._failures > 1 else ""
            msg = f"{self._what}: {problem}; {tries}run again later, what is there already is kept"
            raise Transient(msg)
        pause = min(self._pause_s * 2 ** (self._failures - 1), _LONGEST_PAUSE_S)
        logger.info("%s: %s; trying again", self._what, problem)
        self._sleep(max(pause, wait_s))


class Client:
    """Asks servers. Close it when done.

    Parameters
    ----------
    attempts
        Times in a row that something may fail.
    pause_s
        First pause after a failure.
    sleep, clock
        How to wait, and the time in seconds.
    """

    def __init__(
        self,
        *,
        attempts: int = 5,
        pause_s: float = 2.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sleep, self.clock = sleep, clock
        self._attempts, self._pause_s = attempts, pause_s
        self._pool = urllib3.PoolManager(retries=False, ssl_context=_tls(), maxsize=2)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def patience(self, what: str) -> Patience:
        """A new count of failures for something that is asked for."""
        return Patience(what, self._attempts, self._pause_s, self.sleep)

    @contextmanager
    def open(
        self,
        what: str,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        read_s: float = 60.0,
    ) -> Iterator[Answer]:
        """One exchange, redirects followed.

        Raises
        ------
        Broken
            There was no answer.
        Misconfigured
            A redirect may not be followed.
        """
        for _ in range(_MOST_REDIRECTS):
            try:
                found = self._pool.request(
                    method,
                    url,
                    headers={"User-Agent": USER_AGENT, **(headers or {})},
                    body=body,
                    timeout=urllib3.Timeout(connect=_CONNECT_S, read=read_s),
                    redirect=False,
                    preload_content=False,
                )
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise Broken(_reason(error)) from error
            try:
                location = found.headers.get("location")
                if found.status not in _REDIRECTS or location is None:
                    yield Answer(url, found.status, found.headers, found)
                    return
                if method == "POST":
                    msg = f"{what}: {url} has moved to {location}; set that url in the config"
                    raise Misconfigured(msg)
                url = redirected(url, location, what)
            finally:
                found.close()
        msg = f"{what}: {url}: more than {_MOST_REDIRECTS} redirects"
        raise Misconfigured(msg)

    def read(self, what: str, url: str, most_bytes: int) -> bytes | None:
        """A small file, asked for until it comes; None where there is none (status 403, 404, 410).

        Raises
        ------
        Transient
            The server does not answer, though asked often enough.
        Misconfigured
            It refuses, or the file is larger than expected.
        """
        patience = self.patience(what)
        while True:
            try:
                with self.open(what, url, headers={"Accept-Encoding": "gzip"}) as answer:
                    if answer.status == 200:
                        return answer.read(most_bytes)
                    if answer.status in {403, 404, 410}:
                        return None
                    problem, wait_s = f"{url} answers with status {answer.status}", wait_of(answer)
                    if answer.status not in AGAIN:
                        raise Misconfigured(f"{what}: {problem}")
            except Broken as error:
                problem, wait_s = f"{url} cannot be read ({error})", 0.0
            except OverflowError as error:
                msg = f"{what}: {url} is not what it should be: {error}"
                raise Misconfigured(msg) from error
            patience.failed(problem, wait_s)


def wait_of(answer: Answer) -> float:
    """Seconds that an answer asks to wait, at most ten minutes; 0 where it does not say."""
    text = answer.headers.get("retry-after", "")
    return min(float(text), 600.0) if text.isdigit() else 0.0


def _reason(error: Exception) -> str:
    """Why an exchange failed, without the addresses of objects that urllib3 prints."""
    text = str(error).rpartition("object at 0x")[2] if "object at 0x" in str(error) else str(error)
    text = text.partition(">: ")[2] or text
    return text.strip(" ()") or type(error).__name__


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """How servers are verified: by the system's certificates and certifi's."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
