"""What a failed request says about a server, the request and us."""

import re
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openai import APIError

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
        said = f"refuses the key (status {status}); `key_env` names the environment variable that holds it, see there"
        return Trouble(Failure.SHUT, said)
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
