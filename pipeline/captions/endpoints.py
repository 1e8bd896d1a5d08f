"""Servers of a model: which are healthy, which takes the next request, what a failure says about them."""

import asyncio
import os
import re
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ValidationError

from pipeline.annotators import OpenaiAnnotator, private
from pipeline.errors import Misconfigured, Transient

if TYPE_CHECKING:
    from openai import APIError, AsyncOpenAI

KEY = "SKYTELLER_OPENAI_KEY"
"""Environment variable of the key that is sent to the servers, and to nothing else."""

_FAULTS = 3
"""Failed requests in a row, none of them a broken connection, that put a server out of use."""

_PROBE_TIMEOUT_S = 10.0
_LONGEST_PAUSE_S = 60.0

_TOO_LONG = re.compile(
    r"context (length|size|window)|maximum model length|max_model_len|too (long|large)", re.IGNORECASE
)
"""How vLLM, llama.cpp, SGLang and OpenAI say in words that a prompt exceeds the context."""


class Failure(Enum):
    """What a failed request says."""

    DEAD = auto()
    """The server cannot be reached, or says that it is not well."""
    FAULT = auto()
    """The server did not give an answer to this request; it may to others."""
    BUSY = auto()
    """The server wants to be left alone for a while."""
    TOO_LONG = auto()
    """The prompt exceeds the context."""
    REFUSED = auto()
    """The server will not take such a request, however often it is sent."""
    SHUT = auto()
    """The server takes no request of ours: it refuses the key, or does not know the model or the path."""


class Trouble(Exception):
    """A request that gave no answer."""

    def __init__(self, failure: Failure, said: str, pause_s: float = 0.0) -> None:
        super().__init__(said)
        self.failure, self.pause_s = failure, pause_s


@dataclass(eq=False, slots=True)
class Endpoint:
    """One server.

    Attributes
    ----------
    url
        Its base url.
    client
        The client for it, with retries off.
    in_flight
        Requests under way.
    up
        Whether it takes requests, as far as is known.
    said
        What was wrong when it was looked at last.
    faults
        Failures since its last answer.
    not_before
        Time before which it takes no request (up) or is not looked at again (down).
    """

    url: str
    client: "AsyncOpenAI"
    in_flight: int = 0
    up: bool = False
    said: str = "not looked at yet"
    faults: int = 0
    not_before: float = 0.0


class Endpoints:
    """The servers of a config. All methods that wait must run on one event loop.

    Parameters
    ----------
    config
        The config.
    clock
        Seconds, monotonic.

    Raises
    ------
    Misconfigured
        There are none, or a key would travel unencrypted.
    """

    def __init__(self, config: OpenaiAnnotator, clock: Callable[[], float] = time.monotonic) -> None:
        if not config.endpoints:
            msg = "captions: `endpoints` is empty; name the servers of the model, such as http://127.0.0.1:8000/v1"
            raise Misconfigured(msg)
        key = os.environ.get(KEY, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise Misconfigured(f"captions: {KEY} holds characters that no key has; set it anew")
        for url in config.endpoints if key else ():
            if not private(url):
                msg = f"captions: the key in {KEY} would go to {url} unencrypted; use https, or a server on this machine"
                raise Misconfigured(msg)
        self._config, self._clock = config, clock
        self._all = [Endpoint(url, _client(url, key, config)) for url in config.endpoints]
        self._changed = asyncio.Event()
        self._alive = clock()
        self.answers = 0
        """Requests that have been answered."""

    @property
    def capacity(self) -> int:
        """Requests that may be under way at a time; at least one, to find out when a server is back."""
        return max(1, sum(endpoint.up for endpoint in self._all) * self._config.in_flight)

    async def look(self) -> list[tuple[str, str | None]]:
        """Look at all servers: url, and what is wrong or None.

        Raises
        ------
        Misconfigured
            A server is there, but refuses the key, does not serve the model, or has a shorter context.
        """
        await asyncio.gather(*map(self._probe, self._all))
        return [(endpoint.url, None if endpoint.up else endpoint.said) for endpoint in self._all]

    async def wait_for_one(self) -> None:
        """Look at the servers until one is healthy.

        Raises
        ------
        Transient
            None is within the config's patience.
        """
        self._alive = self._clock()
        while True:
            await self.look()
            if any(endpoint.up for endpoint in self._all):
                return
            self._give_up_after(self._config.patience_s)
            await asyncio.sleep(min(self._config.probe_s, self._config.patience_s))

    async def keep_probing(self) -> None:
        """Look at servers that are down, for ever."""
        while True:
            now = self._clock()
            due = [each for each in self._all if not each.up and each.not_before <= now]
            await asyncio.gather(*map(self._probe, due))
            await asyncio.sleep(self._config.probe_s)

    @contextmanager
    def use(self, endpoint: Endpoint) -> Iterator["AsyncOpenAI"]:
        """Make a request at a server that `take` gave; failures are taken note of.

        Raises
        ------
        Trouble
            The request gave no answer.
        """
        try:
            yield endpoint.client
        except Trouble as trouble:
            self._note(endpoint, trouble)
            raise
        else:
            endpoint.faults = 0
            self.answers += 1
            self._alive = self._clock()
        finally:
            endpoint.in_flight -= 1
            self._wake()

    async def take(self, avoid: Container[Endpoint]) -> Endpoint:
        """The healthy server with the fewest requests under way, where possible none of `avoid`; wait for it.

        Raises
        ------
        Transient
            No server is healthy within the config's patience.
        """
        while True:
            now = self._clock()
            free = [
                endpoint
                for endpoint in self._all
                if endpoint.up and endpoint.not_before <= now and endpoint.in_flight < self._config.in_flight
            ]
            if free:
                chosen = min(free, key=lambda endpoint: (endpoint in avoid, endpoint.in_flight))
                chosen.in_flight += 1
                return chosen
            if not any(endpoint.up for endpoint in self._all):
                self._give_up_after(self._config.patience_s)
            changed = self._changed
            try:
                await asyncio.wait_for(changed.wait(), min(1.0, self._config.probe_s))
            except TimeoutError:
                continue

    def begin(self) -> None:
        """Requests are about to be sent: the time of waiting counts from now."""
        self._alive = self._clock()

    def check(self) -> None:
        """After a failure: whether to go on.

        Raises
        ------
        Transient
            Servers look healthy, but for long no request was answered.
        """
        self._give_up_after(self._config.patience_s + self._config.timeout_s)

    async def close(self) -> None:
        """Close all connections."""
        for endpoint in self._all:
            await endpoint.client.close()

    def _give_up_after(self, seconds: float) -> None:
        if self._clock() - self._alive < seconds:
            return
        states = "; ".join(f"{each.url}: {each.said}" for each in self._all)
        msg = f"captions: no server has answered for {seconds:.0f} s ({states}); what is answered is kept, run again"
        raise Transient(msg)

    def _note(self, endpoint: Endpoint, trouble: Trouble) -> None:
        """What a failure means for the server."""
        if trouble.failure in (Failure.TOO_LONG, Failure.REFUSED):
            return
        endpoint.said = str(trouble)
        if trouble.failure is Failure.BUSY:
            pause_s = min(trouble.pause_s, _LONGEST_PAUSE_S)
            endpoint.not_before = max(endpoint.not_before, self._clock() + pause_s)
            return
        endpoint.faults += 1
        down = trouble.failure in (Failure.DEAD, Failure.SHUT) or endpoint.faults >= _FAULTS
        if endpoint.up and down:
            endpoint.up = False
            # a server that says it is well and is not is tried less and less often
            pause_s = self._config.probe_s * 2 ** (endpoint.faults // (4 * _FAULTS))
            endpoint.not_before = self._clock() + min(pause_s, _LONGEST_PAUSE_S)

    async def _probe(self, endpoint: Endpoint) -> None:
        """Look whether a server is well and serves the model."""
        client = endpoint.client.with_options(timeout=_PROBE_TIMEOUT_S)
        try:
            await _ask_health(client, endpoint.url)
            served = await _served(client)
        except Trouble as trouble:
            endpoint.up, endpoint.said = False, str(trouble)
            if trouble.failure in (Failure.REFUSED, Failure.SHUT) and not self.answers:
                raise Misconfigured(f"captions: {endpoint.url}: {trouble}") from trouble
            return
        try:
            self._check_model(endpoint, served)
        except Misconfigured as error:
            if not self.answers:
                raise
            endpoint.up, endpoint.said = False, str(error)  # the others go on
            return
        endpoint.up, endpoint.said = True, "looks healthy"
        endpoint.not_before = 0.0
        self._wake()

    def _check_model(self, endpoint: Endpoint, served: "_Models") -> None:
        found = next((model for model in served.data if model.id == self._config.model), None)
        if found is None:
            names = ", ".join(model.id for model in served.data) or "none"
            msg = f"captions: {endpoint.url} does not serve {self._config.model}; its models: {names}"
            raise Misconfigured(msg)
        length = found.max_model_len
        if length is not None and length < self._config.context_tokens:
            msg = (
                f"captions: {endpoint.url} takes {length} tokens, `context_tokens` is {self._config.context_tokens}: "
                f"set it to {length}, or start the server with a longer --max-model-len"
            )
            raise Misconfigured(msg)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class _Model(BaseModel):
    id: str
    max_model_len: int | None = None  # vLLM's servers tell it


class _Models(BaseModel):
    data: list[_Model]


def trouble_of(error: "APIError") -> Trouble:
    """What a client's error says."""
    from openai import APIConnectionError, APIStatusError, APITimeoutError  # noqa: PLC0415 - 1 s, only where used

    said = " ".join(str(error).split())[:300]
    if isinstance(error, APITimeoutError):
        return Trouble(Failure.FAULT, "no answer in time")
    if isinstance(error, APIConnectionError):
        cause = (
            f" ({type(error.__cause__).__name__})" if error.__cause__ else ""
        )  # its words may hold the key
        return Trouble(Failure.DEAD, f"cannot be reached{cause}")
    if not isinstance(error, APIStatusError):
        return Trouble(Failure.FAULT, said)
    status = error.status_code
    if status in (401, 403):  # its words are left out: servers repeat the key
        return Trouble(Failure.SHUT, f"refuses the key (status {status}); set {KEY} to a key of this server")
    if status in (402, 404):
        return Trouble(Failure.SHUT, said)
    if status in (400, 413, 422) and _TOO_LONG.search(said):
        return Trouble(Failure.TOO_LONG, said)
    pause_s = _retry_after(error.response.headers.get("retry-after"))
    if status in (408, 409, 425, 429) or (status == 503 and pause_s is not None):
        return Trouble(Failure.BUSY, said, 1.0 if pause_s is None else pause_s)
    if status in (502, 503, 504):
        return Trouble(Failure.DEAD, said)
    return Trouble(Failure.REFUSED if status < 500 else Failure.FAULT, said)


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header; dates, which these servers do not send, count as a second."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        return 1.0


async def _ask_health(client: "AsyncOpenAI", url: str) -> None:
    """Ask for ``/health`` beside ``/v1``; servers that do not have it may be well."""
    from openai import APIError, APIStatusError  # noqa: PLC0415

    parts = urlsplit(url)
    root = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/").removesuffix("/v1"), "", ""))
    try:
        await client.get(f"{root}/health", cast_to=type(None))
    except APIStatusError as error:
        if error.status_code not in (401, 403, 404, 405):
            raise Trouble(Failure.DEAD, f"/health gives status {error.status_code}") from error
    except APIError as error:
        raise trouble_of(error) from error


async def _served(client: "AsyncOpenAI") -> _Models:
    from openai import APIError, NotFoundError  # noqa: PLC0415

    try:
        answer = await client.models.with_raw_response.list()
    except NotFoundError as error:
        msg = "has no /models: the base url of a server mostly ends in /v1"
        raise Trouble(Failure.REFUSED, msg) from error
    except APIError as error:
        raise trouble_of(error) from error
    try:
        return _Models.model_validate_json(answer.text)
    except ValidationError as error:
        raise Trouble(Failure.DEAD, "answers /models with something else than a list of models") from error


def _client(url: str, key: str | None, config: OpenaiAnnotator) -> "AsyncOpenAI":
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient  # noqa: PLC0415

    http = DefaultAsyncHttpxClient(
        follow_redirects=False, trust_env=not private(url) or url.startswith("https")
    )
    return AsyncOpenAI(
        api_key=key or "none", base_url=url, max_retries=0, timeout=config.timeout_s, http_client=http
    )
