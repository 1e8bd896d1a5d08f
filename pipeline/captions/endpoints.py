"""Servers of a model: which are healthy, which takes the next request, what a failure says about them."""

import asyncio
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.annotators import OpenaiAnnotator
from pipeline.captions.client import Models, ask_health, client_of, served
from pipeline.captions.trouble import Failure, Trouble
from pipeline.errors import Misconfigured, Transient

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_FAULTS = 3
"""Failed requests in a row, none of them a broken connection, that put a server out of use."""

_PROBE_TIMEOUT_S = 10.0
_LONGEST_PAUSE_S = 60.0


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
        There are none, or see `pipeline.captions.client.key_of`.
    """

    def __init__(self, config: OpenaiAnnotator, clock: Callable[[], float] = time.monotonic) -> None:
        if not config.endpoints:
            msg = "captions: `endpoints` is empty; name the servers of the model, such as http://127.0.0.1:8000/v1"
            raise Misconfigured(msg)
        self._config, self._clock = config, clock
        self._all = [Endpoint(url, client_of(url, config)) for url in config.endpoints]
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
            await ask_health(client, endpoint.url)
            models = await served(client)
        except Trouble as trouble:
            endpoint.up, endpoint.said = False, str(trouble)
            if trouble.failure in (Failure.REFUSED, Failure.SHUT) and not self.answers:
                raise Misconfigured(f"captions: {endpoint.url}: {trouble}") from trouble
            return
        try:
            self._check_model(endpoint, models)
        except Misconfigured as error:
            if not self.answers:
                raise
            endpoint.up, endpoint.said = False, str(error)  # the others go on
            return
        endpoint.up, endpoint.said = True, "looks healthy"
        endpoint.not_before = 0.0
        self._wake()

    def _check_model(self, endpoint: Endpoint, models: Models) -> None:
        found = next((model for model in models.data if model.id == self._config.model), None)
        if found is None:
            names = ", ".join(model.id for model in models.data) or "none"
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
