"""Requests and replies, apart from the network."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.imagery.emulator.values import RequestError

Piece = bytes | memoryview

JSON = "application/json; charset=UTF-8"

STATUSES: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""Canonical statuses of HTTP codes: https://cloud.google.com/apis/design/errors"""


@dataclass(frozen=True, slots=True)
class Request:
    """A request.

    Attributes
    ----------
    method
        ``GET`` or ``POST``, after ``X-HTTP-Method-Override``.
    path
        Without query, percent-decoded.
    query
        First value of every parameter.
    headers
        Names in lower case.
    body
        The body's bytes.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Mapping[str, Any]:
        """The body as a JSON object. Raises `RequestError`."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError as error:
            raise RequestError(400, "INVALID_ARGUMENT", f"Invalid JSON payload received. {error}") from error
        if not isinstance(value, dict):
            raise RequestError(
                400, "INVALID_ARGUMENT", "Invalid JSON payload received. An object is expected."
            )
        return value


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; its body is the pieces one after the other (memory views are flat, of bytes)."""

    status: int
    content_type: str
    pieces: Sequence[Piece]
    headers: Mapping[str, str]

    @property
    def length(self) -> int:
        """Length of the body, bytes."""
        return sum(len(piece) for piece in self.pieces)


def json_reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A value as JSON."""
    return Reply(status, JSON, (json.dumps(value).encode(),), headers or {})


def bytes_reply(content_type: str, *pieces: Piece) -> Reply:
    """A file."""
    return Reply(200, content_type, pieces, {})


def error_reply(error: RequestError, headers: Mapping[str, str] | None = None) -> Reply:
    """An error, as Google's services write them."""
    value = {"error": {"code": error.code, "message": error.message, "status": error.status}}
    return json_reply(value, error.code, headers)
