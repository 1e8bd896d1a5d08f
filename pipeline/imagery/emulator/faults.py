"""Faults on purpose: what a service or a network does on a bad day, seeded."""

import json
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from pipeline.errors import Misconfigured

PIXEL_ROUTES = frozenset({"getPixels", "computePixels", "getThumbnail"})
"""Routes that faults hit unless they name others."""

SILENT = frozenset({"reset", "stall"})
"""Kinds of faults that leave a request without an answer."""

Kind = Literal["status", "html", "truncate", "corrupt", "reset", "stall", "slow", "expire"]


@checked_dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class Fault:
    """A kind of fault and how often it happens.

    Attributes
    ----------
    kind
        ``status``: an error answer. ``html``: a proxy's error page. ``truncate``: the connection closes half way
        through the body. ``corrupt``: half the body, framed as if it were whole. ``reset``: the connection is
        reset before an answer. ``stall``: no answer for `seconds`, then the connection closes. ``slow``: the
        body drips in over `seconds`. ``expire``: all tokens die, and the answer is 401.
    share
        Share of the requests that are hit.
    status
        HTTP status of ``status`` and ``html``.
    message
        Message of ``status``; else the usual one.
    headers
        More headers of ``status`` and ``html``, for example ``Retry-After``.
    seconds
        How long ``stall`` and ``slow`` take.
    match
        Name of a route, or ``*`` for all of the API; None for routes that give pixels.
    times
        Most times that it happens, or None.
    """

    kind: Kind
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    status: Annotated[int, Field(ge=400, le=599)] = 503
    message: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    seconds: Annotated[float, Field(ge=0)] = 3.0
    match: str | None = None
    times: Annotated[int, Field(ge=0)] | None = None

    def hits(self, route: str) -> bool:
        """Whether it can happen on a route."""
        return route in PIXEL_ROUTES if self.match is None else self.match in {"*", route}


_FAULTS: TypeAdapter[tuple[Fault, ...]] = TypeAdapter(tuple[Fault, ...])


def parse_faults(values: Any) -> tuple[Fault, ...]:
    """Make JSON values faults. Raises `Misconfigured`."""
    try:
        return _FAULTS.validate_python(values)
    except ValidationError as error:
        what = "; ".join(
            ".".join(str(part) for part in problem["loc"]) + f": {problem['msg']}"
            for problem in error.errors()
        )
        raise Misconfigured(f"faults: {what}") from error


def load_faults(path: Path) -> tuple[Fault, ...]:
    """Read a JSON file that holds a list of faults. Raises `Misconfigured`."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{path}: cannot be read as JSON ({error})") from error
    try:
        return parse_faults(values)
    except Misconfigured as error:
        raise Misconfigured(f"{path}: {error}") from error


@dataclass(slots=True)
class Dice:
    """Decides which request is hit by which fault.

    Attributes
    ----------
    faults
        What can happen. A request is hit by one at most; shares add up, in this order, without those used up.
    seed
        The same requests in the same order are hit by the same faults.
    """

    faults: Sequence[Fault]
    seed: int
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)
    _random: random.Random = field(init=False)
    _left: list[int | None] = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable, not secret
        self._left = [fault.times for fault in self.faults]

    def roll(self, route: str) -> Fault | None:
        """The fault that hits a request, if one does."""
        with self._lock:
            place = self._random.random()
            for i, fault in enumerate(self.faults):
                left = self._left[i]
                if left == 0 or not fault.hits(route):
                    continue
                place -= fault.share
                if place < 0:
                    self._left[i] = None if left is None else left - 1
                    return fault
        return None
