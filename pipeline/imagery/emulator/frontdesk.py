"""Everything a request passes before and beside the API: accounts, quotas, latency, faults, counts."""

import dataclasses
import json
import threading
import urllib.parse
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal, NoReturn

from pipeline.errors import Misconfigured
from pipeline.imagery.emulator.faults import SILENT, Dice, Fault, parse_faults
from pipeline.imagery.emulator.messages import STATUSES, Reply, Request, error_reply, json_reply
from pipeline.imagery.emulator.quota import Gate, Quota
from pipeline.imagery.emulator.routes import Service
from pipeline.imagery.emulator.stats import Counts
from pipeline.imagery.emulator.tokens import UNAUTHENTICATED, GrantError, Tokens
from pipeline.imagery.emulator.values import RequestError

MAX_PAYLOAD = 10_485_760
"""Bytes of a request's body."""

_OPEN = frozenset({"discovery", "token", "unknown"})
"""Routes that need no token and count towards no quota."""

_USUAL = {
    401: UNAUTHENTICATED,
    429: "Too Many Requests: Request was rejected because the request rate or concurrency limit was exceeded.",
    500: "Internal error encountered.",
    503: "The service is currently unavailable.",
    504: "Deadline exceeded.",
}

_PAGE = (
    "<!DOCTYPE html>\n<html lang=en>\n<title>Error {0}</title>\n<p><b>{0}.</b> That's an error.\n"
    "<p>The server encountered a temporary error and could not complete your request.</html>\n"
)


@dataclass(frozen=True, slots=True)
class Conditions:
    """How the server behaves beside the API's rules.

    Attributes
    ----------
    latency_s
        Time before every answer of the API; a request counts as in flight meanwhile.
    quota
        Limits of the API.
    auth
        Whether the API wants a live token.
    faults, seed
        What goes wrong, and the seed of when.
    token_s
        Lifetime of tokens.
    """

    latency_s: float
    quota: Quota
    auth: Literal["none", "token"]
    faults: Sequence[Fault]
    seed: int
    token_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply with the fault that hits it.

    Attributes
    ----------
    reply
        What to send.
    fault
        How to damage it.
    in_flight
        Holds the request's place among those in flight.
    """

    reply: Reply
    fault: Fault | None
    in_flight: ExitStack

    def answered(self) -> None:
        """The request is in flight no more; further calls do nothing."""
        self.in_flight.close()


class FrontDesk:
    """Takes requests, of the API and of the emulator's own routes.

    Parameters
    ----------
    service
        The API.
    conditions
        Accounts, quotas, latency, faults.
    closing
        Set when the server closes: ends all waiting.
    """

    def __init__(self, service: Service, conditions: Conditions, closing: threading.Event) -> None:
        self._service, self._conditions, self._closing = service, conditions, closing
        self._tokens = Tokens(conditions.token_s)
        self._gate = Gate(conditions.quota)
        self._dice = Dice(conditions.faults, conditions.seed)
        self.counts = Counts()

    def take(self, request: Request) -> Answer:
        """Answer a request."""
        if request.path.startswith("/_emulator/"):
            return Answer(self._administer(request), None, ExitStack())
        route, work = self._route(request)
        with ExitStack() as in_flight:
            self.counts.arrive(route)
            in_flight.callback(self.counts.leave)
            reply, fault = self._admit(route, work, in_flight)
            if fault is None or fault.kind not in SILENT:
                self.counts.answer(reply.status, reply.length)
            return Answer(reply, fault, in_flight.pop_all())

    def _route(self, request: Request) -> tuple[str, Callable[[], Reply]]:
        """The name of a request's route, and what answers it or raises `RequestError`."""
        if request.path == "/token" and request.method == "POST":
            return "token", lambda: self._grant(request)
        found = self._service.find(request)
        if found is None:
            return "unknown", lambda: _raise(404, f"No route for {request.method} {request.path}.")
        route, work = found

        def checked() -> Reply:
            if self._conditions.auth == "token" and route not in _OPEN:
                self._tokens.check(request.headers.get("authorization"))
            if len(request.body) > MAX_PAYLOAD:
                _raise(400, f"Request payload size exceeds the limit: {MAX_PAYLOAD} bytes.")
            return work()

        return route, checked

    def _admit(
        self, route: str, work: Callable[[], Reply], in_flight: ExitStack
    ) -> tuple[Reply, Fault | None]:
        """Answer within the quota, after the latency, unless a fault comes first."""
        if route not in _OPEN:
            if not self._gate.enter():
                return error_reply(error_of(429)), None
            in_flight.callback(self._gate.leave)
            self._closing.wait(self._conditions.latency_s)
        fault = self._dice.roll(route)
        if fault is None:
            return _answered(work), None
        self.counts.hit(fault.kind)
        match fault.kind:
            case "status":
                return error_reply(error_of(fault.status, fault.message), fault.headers), fault
            case "html":
                page = _PAGE.format(fault.status).encode()
                return Reply(fault.status, "text/html; charset=UTF-8", (page,), fault.headers), fault
            case "expire":
                self._tokens.expire_all()
                return error_reply(error_of(401)), fault
            case kind if kind in SILENT:
                return json_reply({}), fault
        return _answered(work), fault

    def _grant(self, request: Request) -> Reply:
        """The token endpoint."""
        try:
            return json_reply(self._tokens.grant(parse_query(request.body.decode("latin-1"))))
        except GrantError as error:
            return json_reply({"error": error.code, "error_description": error.description}, 400)

    def _administer(self, request: Request) -> Reply:
        """The emulator's own routes: statistics, faults, reset."""
        match request.method, request.path.removeprefix("/_emulator/"):
            case "GET", "stats":
                return json_reply(dataclasses.asdict(self.counts.read()))
            case "POST", "faults":
                try:
                    faults = parse_faults(json.loads(request.body))
                except (Misconfigured, ValueError) as error:
                    return error_reply(error_of(400, str(error)))
                self._dice = Dice(faults, self._conditions.seed)
                return json_reply({"faults": len(faults)})
            case "POST", "reset":
                self._dice = Dice(self._conditions.faults, self._conditions.seed)
                self._gate.refill()
                self.counts.reset()
                return json_reply({})
        return error_reply(error_of(404, f"No route for {request.method} {request.path}."))


def parse_query(text: str) -> dict[str, str]:
    """The first value of every parameter of a query or form."""
    return {name: values[0] for name, values in urllib.parse.parse_qs(text, keep_blank_values=True).items()}


def error_of(code: int, message: str | None = None) -> RequestError:
    """An error with the usual message of its code, unless another is given."""
    return RequestError(code, STATUSES.get(code, "UNKNOWN"), message or _USUAL.get(code, "Request failed."))


def _raise(code: int, message: str) -> NoReturn:
    raise error_of(code, message)


def _answered(work: Callable[[], Reply]) -> Reply:
    try:
        return work()
    except RequestError as error:
        return error_reply(error)
