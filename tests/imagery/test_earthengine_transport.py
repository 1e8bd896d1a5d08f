"""What the transport does between a call and its answer: pauses, limits, memory, and when it gives up."""

import datetime as dt
import json
import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import format_datetime
from typing import Any

import pytest

from pipeline.errors import Exhausted, Misconfigured, Permanent, Transient
from pipeline.imagery.earthengine.access import AccessSettings, connect
from pipeline.imagery.earthengine.transport import ByteGate, Limits, Transport
from pipeline.imagery.earthengine.verdicts import BadBody
from tests.imagery.scripted_server import (
    Answer,
    Handler,
    Scripted,
    drip,
    error,
    good,
    html,
    pixels,
    reset,
    serve,
    short,
    stall,
    truncated,
)

PATH, SIZE = "/v1/x:getPixels", len(pixels())
BUSY = error(503, "busy")


class Clock:
    """Time that passes only in pauses."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@contextmanager
def asking(server: Scripted, limits: Limits, **more: Any) -> Iterator[Transport]:
    transport = Transport(connect(AccessSettings("p", server.url, "anonymous")), limits, **more)
    try:
        yield transport
    finally:
        transport.close()


def ask(transport: Transport, what: str = "block") -> bytes:
    return transport.post(PATH, {}, bytes, what)


def test_request_as_sent() -> None:
    with serve() as server, asking(server, Limits()) as transport:
        assert transport.post(PATH, {"fileFormat": "NPY"}, bytes, "block") == pixels()
    (seen,) = server.seen
    assert (seen.method, seen.path, json.loads(seen.body)) == ("POST", PATH, {"fileFormat": "NPY"})
    assert seen.headers["x-goog-user-project"] == "p"
    assert seen.headers["content-type"] == "application/json"
    assert "authorization" not in seen.headers


def test_connections_are_used_again() -> None:
    ports: set[int] = set()

    def remember(handler: Handler) -> None:
        ports.add(handler.client_address[1])
        handler.plain(200, pixels())

    with serve(always=remember) as server, asking(server, Limits()) as transport:
        for _ in range(5):
            ask(transport)
    assert len(ports) == 1


def test_retry_after_is_a_minimum() -> None:
    clock = Clock()
    at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)
    script = (
        error(429, "many", {"Retry-After": "7"}),
        error(503, "busy", {"Retry-After": format_datetime(at, usegmt=True)}),
        error(503, "busy", {"Retry-After": "soon"}),
    )
    with (
        serve(*script) as server,
        asking(server, Limits(), clock=clock, sleep=clock.sleep, uniform=min) as transport,
    ):
        ask(transport)
    assert clock.pauses[0] == 7.0
    assert 27 < clock.pauses[1] <= 30
    assert clock.pauses[2] == 0.5


def test_no_pause_beyond_patience() -> None:
    clock = Clock()
    with (
        serve(always=error(503, "closed", {"Retry-After": "3600"})) as server,
        asking(server, Limits(), clock=clock, sleep=clock.sleep) as transport,
        pytest.raises(Transient, match=r"closed.*come back in 3600 s"),
    ):
        ask(transport)
    assert (len(server.seen), clock.pauses) == (1, [])


def test_pauses_grow_up_to_the_cap() -> None:
    clock = Clock()
    limits = Limits(attempts=9, backoff_base_s=0.5, backoff_cap_s=20, patience_s=1e9)
    with (
        serve(always=BUSY) as server,
        asking(server, limits, clock=clock, sleep=clock.sleep, uniform=max) as transport,
        pytest.raises(Transient),
    ):
        ask(transport)
    # decorrelated jitter draws between the base and three times the last pause; here always the most
    assert clock.pauses == [1.5, 4.5, 13.5, 20, 20, 20, 20, 20]


def test_a_drip_ends_at_the_deadline() -> None:
    start = time.monotonic()
    with (
        serve(always=drip) as server,
        asking(server, Limits(attempts=1, deadline_s=0.3)) as transport,
        pytest.raises(Transient, match=r"no whole answer within 0\.3 s"),
    ):
        ask(transport)
    assert time.monotonic() - start < 2


def test_silence_ends_at_the_read_limit() -> None:
    start = time.monotonic()
    with (
        serve(always=stall) as server,
        asking(server, Limits(attempts=1, read_s=0.2)) as transport,
        pytest.raises(Transient, match=r"Read timed out"),
    ):
        ask(transport)
    assert time.monotonic() - start < 2


def test_waiting_at_the_gate_is_not_the_servers_time() -> None:
    gate = ByteGate(SIZE)
    gate.acquire(SIZE)
    with (
        serve() as server,
        asking(server, Limits(attempts=1, deadline_s=0.2), gate=gate) as transport,
        ThreadPoolExecutor(1) as threads,
    ):
        asked = threads.submit(ask, transport)
        while not server.seen:
            time.sleep(0.01)
        time.sleep(0.4)
        assert not asked.done()
        gate.release(SIZE)
        assert asked.result(5) == pixels()
    assert gate.held == SIZE


def test_the_gate_bounds_what_is_held() -> None:
    gate = ByteGate(3 * SIZE)

    def fetch(_: int) -> None:
        body = ask(transport)
        time.sleep(0.002)
        gate.release(len(body))

    with serve() as server, asking(server, Limits(per_second=1e6), gate=gate) as transport:
        with ThreadPoolExecutor(12) as threads:
            list(threads.map(fetch, range(60)))
        assert transport.statistics.bytes == 60 * SIZE
    assert (gate.held, gate.peak) == (0, 3 * SIZE)


def test_a_body_beyond_the_gate_goes_alone() -> None:
    gate = ByteGate(SIZE // 2)
    with serve() as server, asking(server, Limits(), gate=gate) as transport:
        assert len(ask(transport)) == gate.held == SIZE
        gate.release(SIZE)
        assert transport.post(PATH, {}, bytes, "mask", gated=False) == pixels()
    assert gate.held == 0


def test_an_answer_of_unknown_length_reserves_what_is_expected() -> None:
    def unframed(handler: Handler) -> None:
        handler.head(200, None, {"Connection": "close"})
        handler.wfile.write(pixels())
        handler.close_connection = True

    def endless(handler: Handler) -> None:
        handler.head(200, None)
        handler.wfile.write(bytes(1 << 18))
        handler.close_connection = True

    gate = ByteGate(1 << 20)
    with serve(always=unframed) as server, asking(server, Limits(attempts=1), gate=gate) as transport:
        assert transport.post(PATH, {}, bytes, "block", expect=60) == pixels()
        assert gate.held == SIZE
        assert gate.peak == 60 + (1 << 16)  # room for a header
        gate.release(SIZE)
        server.always = endless
        with pytest.raises(Transient, match="more than"):
            transport.post(PATH, {}, bytes, "block", expect=60)
    assert gate.held == 0


def test_a_mistake_in_decoding_is_not_hidden_and_holds_nothing() -> None:
    gate = ByteGate(10 * SIZE)

    def broken(_: memoryview) -> bytes:
        raise ZeroDivisionError

    with (
        serve() as server,
        asking(server, Limits(), gate=gate) as transport,
        pytest.raises(ZeroDivisionError),
    ):
        transport.post(PATH, {}, broken, "block")
    assert (gate.held, len(server.seen)) == (0, 1)


def test_patience_ends_then_nothing_is_sent_then_it_recovers() -> None:
    clock = Clock()
    limits = Limits(attempts=1000, patience_s=100, backoff_base_s=5, backoff_cap_s=10)
    with serve(always=BUSY) as server, asking(server, limits, clock=clock, sleep=clock.sleep) as transport:
        with pytest.raises(Transient, match=r"^block: the service counts as down.*100 s.*busy \(HTTP 503\)"):
            ask(transport)
        sent = len(server.seen)
        assert sent < 30
        for _ in range(50):
            with pytest.raises(Transient, match=r"^other: the service counts as down"):
                ask(transport, "other")
        assert len(server.seen) == sent
        clock.now += 60
        with pytest.raises(Transient, match="counts as down"):
            ask(transport)
        assert len(server.seen) == sent + 1  # one call looked whether it is back
        server.always = good
        clock.now += 60
        assert ask(transport) == pixels()
        assert ask(transport) == pixels()


def test_idle_time_is_not_downtime() -> None:
    clock = Clock()
    with serve(good) as server, asking(server, Limits(), clock=clock, sleep=clock.sleep) as transport:
        ask(transport)
        clock.now += 1e6
        server.script.append(BUSY)
        assert ask(transport) == pixels()


def test_three_fatal_answers_in_a_row_end_it() -> None:
    with serve(always=error(403, "denied, call 1")) as server, asking(server, Limits()) as transport:
        for _ in range(3):
            with pytest.raises(Misconfigured, match="denied"):
                ask(transport, "first")
        for _ in range(5):
            with pytest.raises(Misconfigured, match=r"^first: denied, call 1"):
                ask(transport, "later")
        assert len(server.seen) == 3


def test_a_success_between_fatal_answers_lets_it_go_on() -> None:
    denied = error(403, "denied")
    with serve(denied, denied, good, denied, denied) as server, asking(server, Limits()) as transport:
        outcomes = []
        for _ in range(6):
            try:
                outcomes.append(len(ask(transport)))
            except Misconfigured:
                outcomes.append(0)
    assert outcomes == [0, 0, SIZE, 0, 0, SIZE]


def test_a_used_up_quota_ends_it_at_once() -> None:
    daily = error(429, "Quota exceeded for quota metric 'Reads' and limit 'Reads per day'.")
    with serve(always=daily) as server, asking(server, Limits()) as transport:
        for _ in range(3):
            with pytest.raises(Exhausted, match="per day"):
                ask(transport)
        assert len(server.seen) == 1


def test_fatal_answers_wake_those_who_pause() -> None:
    with (
        serve(error(503, "busy", {"Retry-After": "60"}), always=error(403, "denied")) as server,
        asking(server, Limits()) as transport,
        ThreadPoolExecutor(1) as threads,
    ):
        pausing = threads.submit(ask, transport)
        while transport.statistics.retries != {"503": 1}:
            time.sleep(0.01)
        for _ in range(3):
            with pytest.raises(Misconfigured):
                ask(transport)
        assert isinstance(pausing.exception(5), Misconfigured)


def test_budget_is_asked_before_every_request() -> None:
    left, ended = [3], Exhausted("the budget is used up")

    def take() -> None:
        if left[0] == 0:
            raise ended
        left[0] -= 1

    clock = Clock()
    with (
        serve(BUSY, always=good) as server,
        asking(server, Limits(), take=take, clock=clock, sleep=clock.sleep) as transport,
    ):
        ask(transport)  # two requests
        ask(transport)
        with pytest.raises(Exhausted) as caught:
            ask(transport)
        assert caught.value is ended
        assert len(server.seen) == transport.statistics.requests == 3


def test_never_more_in_flight_than_allowed() -> None:
    lock, now, peak = threading.Lock(), [0], [0]

    def count(handler: Handler) -> None:
        with lock:
            now[0] += 1
            peak[0] = max(peak[0], now[0])
        time.sleep(0.005)
        with lock:
            now[0] -= 1
        handler.plain(200, pixels())

    with serve(always=count) as server, asking(server, Limits(in_flight=12, per_second=1e6)) as transport:
        with ThreadPoolExecutor(40) as threads:
            assert len(list(threads.map(lambda _: ask(transport), range(300)))) == 300
        assert 1 < peak[0] <= transport.statistics.peak <= 12


def test_a_pause_holds_no_place() -> None:
    pausing, go_on = threading.Event(), threading.Event()

    def sleep(_: float) -> None:
        pausing.set()
        assert go_on.wait(5)

    with (
        serve(BUSY) as server,
        asking(server, Limits(in_flight=1), sleep=sleep) as transport,
        ThreadPoolExecutor(1) as threads,
    ):
        first = threads.submit(ask, transport)
        assert pausing.wait(5)
        assert ask(transport) == pixels()
        go_on.set()
        assert first.result(5) == pixels()


def test_statistics_and_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    status = {"x-earth-engine-quota-status": "tier=community;parallelism_restricted=true"}

    def restricted(handler: Handler) -> None:
        handler.plain(200, pixels(), status)

    with (
        caplog.at_level(logging.WARNING, logger="skyteller"),
        serve(always=restricted) as server,
        asking(server, Limits()) as transport,
    ):
        for _ in range(3):
            ask(transport)
        counted = transport.statistics
    assert (counted.requests, counted.bytes, counted.retries) == (3, 3 * SIZE, {})
    assert counted.quota == status
    assert 0 < counted.seconds < 3
    assert len(caplog.records) == 1
    assert "restricted" in caplog.text


LARGE = pixels(1000, 1500)


def stopping(how: str) -> Answer:
    """Half of a large answer at once, then nothing more: its end, a reset connection, or silence."""

    def say(handler: Handler) -> None:
        handler.head(200, len(LARGE))
        handler.wfile.write(LARGE[: len(LARGE) // 2])
        handler.wfile.flush()
        if how == "silence":
            handler.server.scripted.stopped.wait(1.0)
        if how == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
        handler.close_connection = True

    return say


@pytest.mark.parametrize("how", ["end", "reset", "silence"])
def test_a_large_answer_that_stops_while_it_flows_is_asked_for_again(how: str) -> None:
    clock, gate = Clock(), ByteGate(10**8)

    def whole(handler: Handler) -> None:
        handler.plain(200, LARGE)

    limits = Limits(read_s=0.3)
    with (
        serve(stopping(how), always=whole) as server,
        asking(server, limits, sleep=clock.sleep, gate=gate) as transport,
    ):
        assert ask(transport) == LARGE
        assert gate.held == len(LARGE)
        assert len(server.seen) == 2
        assert sum(transport.statistics.retries.values()) == 1


def test_large_answers_leave_the_connection_in_use() -> None:
    ports = []

    def whole(handler: Handler) -> None:
        ports.append(handler.client_address[1])
        handler.plain(200, LARGE)

    with serve(always=whole) as server, asking(server, Limits()) as transport:
        assert all(ask(transport) == LARGE for _ in range(4))
    assert len(ports) == 4
    assert len(set(ports)) == 1


def test_messages_are_one_printable_line() -> None:
    nasty: Answer = error(404, "gone\n\x1b[31mred " + "x" * 5000)
    with serve(always=nasty) as server, asking(server, Limits()) as transport:
        with pytest.raises(Permanent) as caught:
            ask(transport)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 400


def test_many_threads_under_many_faults() -> None:
    """A tenth 429, a twentieth 503, and so on: every answer arrives, exactly once."""
    faults: list[tuple[int, Answer]] = [
        (10, error(429, "Too many")), (5, BUSY), (3, truncated), (2, short), (2, reset), (1, html(502)),
        (1, error(400, "Earth Engine capacity exceeded.")),
    ]  # fmt: skip
    turn, lock = [0], threading.Lock()

    def by_turns(handler: Handler) -> None:
        with lock:
            turn[0] += 1
            at = turn[0] * 37 % 100  # each of the hundred, in another order
        for share, fault in faults:
            if at < share:
                return fault(handler)
            at -= share
        return good(handler)

    with serve(always=by_turns) as server:
        limits = Limits(per_second=1e6, backoff_base_s=0.001, backoff_cap_s=0.01, attempts=20)
        with asking(server, limits) as transport, ThreadPoolExecutor(20) as threads:
            found = list(threads.map(lambda _: transport.post(PATH, {}, _exact, "block"), range(500)))
            retries = transport.statistics.retries
    assert found == [SIZE] * 500
    assert set(retries) == {"429", "503", "broken", "body", "5xx", "busy"}


def _exact(body: memoryview) -> int:
    if bytes(body) != pixels():
        raise BadBody("other bytes")
    return len(body)
