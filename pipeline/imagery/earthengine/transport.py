"""Requests to Earth Engine: pooled, paced, with honest time limits, and tried again where that helps.

This is the only place that retries. Google's own client retries blindly, ignores Retry-After, has no time
limit unless told, and lets short answers pass; therefore pixels are asked for here.
"""

import datetime as dt
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import urllib3

from pipeline import __version__
from pipeline.errors import Misconfigured, Transient
from pipeline.imagery.earthengine.access import Access
from pipeline.imagery.earthengine.answers import Deadline, read_body, read_error, retry_after
from pipeline.imagery.earthengine.gate import ByteGate
from pipeline.imagery.earthengine.health import Health
from pipeline.imagery.earthengine.hosts import Server, tls
from pipeline.imagery.earthengine.meter import Meter, Statistics
from pipeline.imagery.earthengine.pacing import Bucket, Pacer
from pipeline.imagery.earthengine.verdicts import (
    BadBody,
    Judgement,
    Verdict,
    judge_answer,
    judge_failure,
)

__all__ = ["ByteGate", "Limits", "Statistics", "Transport"]

Json = dict[str, Any]
T = TypeVar("T")
_ASIDE_SHARE = 16
"""One place in so many is kept for what is asked for while holding bytes of the gate. Without, a service full
of answers that wait for the gate, and holders of bytes that wait for a place, would wait for each other."""

USER_AGENT = f"skyteller/{__version__} (gzip)"  # Google compresses only for agents that say so


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard to try.

    Attributes
    ----------
    in_flight
        Requests in flight, at most. A project has 40.
    per_second
        Requests a second. A project has 100.
    attempts
        Times a request is tried.
    connect_s, read_s
        Longest time for a connection, longest silence of the server.
    deadline_s
        Longest time for one answer.
    backoff_base_s, backoff_cap_s
        Shortest and longest pause between attempts.
    patience_s
        Without any success for so long, the service counts as down.
    """

    in_flight: int = 32
    per_second: float = 90.0
    attempts: int = 8
    connect_s: float = 5.0
    read_s: float = 60.0
    deadline_s: float = 180.0
    backoff_base_s: float = 0.5
    backoff_cap_s: float = 60.0
    patience_s: float = 120.0


@dataclass(frozen=True, slots=True)
class _Request:
    path: str
    body: bytes
    headers: Mapping[str, str]
    what: str
    gate: ByteGate | None
    expect: int | None
    aside: bool


@dataclass(frozen=True, slots=True)
class _Failed:
    """A request that was answered badly or not at all, and how long the server asks to wait."""

    judgement: Judgement
    wait_s: float = 0.0
    unauthorized: bool = False


class Transport:
    """Sends requests of any number of threads. Not for other processes: each makes its own.

    Parameters
    ----------
    access
        Project, server and credentials.
    limits
        How hard to try.
    take
        Called before every request that goes out; what it raises ends the call.
    gate
        Bounds the bytes of pixels being read or held.
    clock, sleep, uniform
        Time in seconds, a pause, a random number between two.
    """

    def __init__(
        self,
        access: Access,
        limits: Limits,
        *,
        take: Callable[[], None] | None = None,
        gate: ByteGate | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._access, self._limits, self._take, self._gate = access, limits, take, gate
        self._clock, self._uniform = clock, uniform
        self._health = Health(limits.patience_s, clock)
        self._sleep = sleep or self._health.sleep
        bucket, rest = Bucket(limits.per_second, clock()), sleep or time.sleep
        aside = max(1, limits.in_flight // _ASIDE_SHARE)
        self._pacer = Pacer(max(1, limits.in_flight - aside), bucket, clock=clock, sleep=rest)
        self._aside = Pacer(aside, bucket, clock=clock, sleep=rest)
        self._pool = _pool(access.server, limits)
        self._meter = Meter(access.project)

    @property
    def statistics(self) -> Statistics:
        """What has been done so far."""
        return self._meter.read(self._pacer.peak + self._aside.peak)

    def post(
        self,
        path: str,
        body: Mapping[str, Any],
        decode: Callable[[memoryview], T],
        what: str,
        *,
        gated: bool = True,
        expect: int | None = None,
    ) -> T:
        """Ask for pixels.

        The answer holds `len(answer)` bytes of the gate, which the caller releases when done with them; where
        this raises, nothing is held.

        Parameters
        ----------
        path
            Path of the method, such as `/v1/projects/earthengine-public/assets/...:getPixels`.
        body
            The request, sent as JSON.
        decode
            Makes the result of the answer; raises BadBody where it is not what was asked for. What it returns
            may be a view: the answer's memory is not used again.
        what
            What is asked for, to begin messages with.
        gated
            Whether the answer waits for the gate and holds it. Not for what is asked for while holding bytes:
            all threads could wait for each other.
        expect
            Bytes of pixels in the answer, to reserve where the server does not tell.

        Raises
        ------
        Transient
            No answer, though tried often enough, or the service is down.
        TooLarge
            More than one request gives: split it.
        Permanent
            No answer will ever come.
        Misconfigured
            No request of this run will be answered.
        Exhausted
            Quota or budget are used up.
        """
        encoded, headers = json.dumps(body).encode(), {"Content-Type": "application/json", "Accept": "*/*"}
        gate = self._gate if gated else None
        request = _Request(path, encoded, headers, what, gate, expect, aside=not gated)
        return self._call(request, decode)

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _call(self, request: _Request, decode: Callable[[memoryview], T]) -> T:
        """Send until there is an answer, or no point in going on."""
        start, attempt, renewed, pause = self._clock(), 0, False, self._limits.backoff_base_s
        while True:
            self._health.check(request.what)
            headers = _token(self._access.headers)
            outcome = headers if isinstance(headers, _Failed) else self._send(request, headers, decode)
            if not isinstance(outcome, _Failed):
                self._health.succeeded()
                self._pacer_of(request).succeeded()
                return outcome
            if outcome.unauthorized and not renewed and not isinstance(headers, _Failed):
                another = _token(partial(self._access.renew, headers))
                if another is True:
                    renewed = True
                    self._meter.retried("token")
                    continue
                outcome = another if isinstance(another, _Failed) else outcome
            renewed = False
            attempt += 1
            after = f", after {attempt} attempts in {self._clock() - start:.0f} s" if attempt > 1 else ""
            self._give_up(outcome, request, attempt, after)
            pause = min(self._limits.backoff_cap_s, self._uniform(self._limits.backoff_base_s, 3 * pause))
            self._meter.retried(outcome.judgement.kind)
            self._sleep(max(pause, outcome.wait_s))

    def _give_up(self, failed: _Failed, request: _Request, attempt: int, after: str) -> None:
        """Report a failure, and raise it where another attempt is of no use."""
        judgement = failed.judgement
        error = judgement.error(request.what, after)
        if judgement.overload:
            self._pacer_of(request).overloaded()
        if judgement.verdict in {Verdict.SPLIT, Verdict.FATAL_ITEM}:
            self._health.succeeded()  # a server that finds fault with one request serves the others
            raise error
        if judgement.verdict in {Verdict.FATAL_RUN, Verdict.USED_UP}:
            self._health.fatal(error, at_once=judgement.verdict is Verdict.USED_UP)
            raise error
        self._health.failed(request.what, judgement.message)
        if attempt >= self._limits.attempts:
            raise error
        if failed.wait_s > self._limits.patience_s:
            raise Transient(f"{error}; the service asks to come back in {failed.wait_s:.0f} s")

    def _pacer_of(self, request: _Request) -> Pacer:
        return self._aside if request.aside else self._pacer

    def _send(
        self, request: _Request, headers: Mapping[str, str], decode: Callable[[memoryview], T]
    ) -> T | _Failed:
        with self._pacer_of(request).place():
            self._health.check(request.what, probe=True)
            if self._take is not None:
                self._take()
            body = self._exchange(request, headers)
        if isinstance(body, _Failed):
            return body
        done = False
        try:
            result = decode(body)
            done = True
        except BadBody as error:
            return _Failed(judge_failure(error))
        finally:
            if request.gate is not None and not done:
                request.gate.release(len(body))
        return result

    def _exchange(self, request: _Request, headers: Mapping[str, str]) -> memoryview | _Failed:
        """One request and the whole body of its answer."""
        deadline, start = Deadline(self._limits.deadline_s), time.monotonic()
        self._meter.sent()
        try:
            answer = self._pool.urlopen(
                "POST",
                request.path,
                body=request.body,
                headers={"User-Agent": USER_AGENT, **request.headers, **headers},
                redirect=False,
                preload_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return _Failed(judge_failure(error))
        try:
            self._meter.answered(answer.headers, time.monotonic() - start)
            if answer.status != 200:
                return _judged(answer, read_error(answer, deadline), headers)
            body = read_body(answer, deadline, request.gate, request.expect)
        except (BadBody, urllib3.exceptions.HTTPError, OSError) as error:
            return _Failed(judge_failure(error))
        finally:
            answer.close()  # a connection whose answer was read whole is back in the pool by now
        self._meter.received(len(body))
        return body


def _pool(server: Server, limits: Limits) -> urllib3.HTTPConnectionPool:
    timeout = urllib3.Timeout(connect=limits.connect_s, read=min(limits.read_s, limits.deadline_s))
    if server.scheme == "https":
        return urllib3.HTTPSConnectionPool(
            server.host,
            server.port,
            timeout=timeout,
            maxsize=limits.in_flight,
            retries=False,
            ssl_context=tls(),
        )
    return urllib3.HTTPConnectionPool(
        server.host, server.port, timeout=timeout, maxsize=limits.in_flight, retries=False
    )


def _judged(answer: urllib3.BaseHTTPResponse, body: bytes, headers: Mapping[str, str]) -> _Failed:
    token = headers.get("Authorization", "").removeprefix("Bearer ").encode()
    if token:  # a server may quote what it was sent
        body = body.replace(token, b"(secret)")
    return _Failed(
        judge_answer(answer.status, body, answer.headers.get("content-type", "")),
        retry_after(answer.headers.get("retry-after"), dt.datetime.now(dt.UTC)),
        answer.status == 401,
    )


def _token(ask: Callable[[], T]) -> T | _Failed:
    """What the credentials say, or why there is no token."""
    try:
        return ask()
    except Transient as error:
        return _Failed(Judgement(Verdict.RETRY, "token", str(error)))
    except Misconfigured as error:
        return _Failed(Judgement(Verdict.FATAL_RUN, "token", str(error)))
