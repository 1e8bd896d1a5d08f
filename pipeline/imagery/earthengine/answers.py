"""Bodies of answers: read within a time limit and a bound on memory, and Retry-After."""

import datetime as dt
import time
from email.utils import parsedate_to_datetime
from typing import Any

import urllib3

from pipeline.imagery.earthengine.gate import ByteGate, memory
from pipeline.imagery.earthengine.verdicts import BadBody

CHUNK_BYTES = (1 << 17) - 64  # below what the C library gets from the kernel, and returns, each time
PIECE_BYTES = 1 << 20  # read in one go while an answer flows; no time limit is looked at meanwhile
FLOWING_BYTES, FLOWING_S = 1 << 14, 0.25  # an answer flows that brings so much, so fast
LARGEST_BODY = 1 << 26  # Earth Engine answers with at most 48 MB
LARGEST_ERROR = 1 << 16
HEADER_ROOM = 1 << 16  # what an answer may have beyond its pixels


class Deadline:
    """A time limit that can be put off.

    Parameters
    ----------
    seconds
        Time from now.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at = time.monotonic() + seconds

    def check(self) -> None:
        """Raise TimeoutError when the time is up."""
        if time.monotonic() >= self._at:
            raise TimeoutError(f"no whole answer within {self._seconds:g} s")

    def wait_for(self, gate: ByteGate, n: int) -> None:
        """Wait at the gate, which is not the server's time."""
        start = time.monotonic()
        gate.acquire(n)
        self._at += time.monotonic() - start


def read_body(
    answer: urllib3.BaseHTTPResponse, deadline: Deadline, gate: ByteGate | None, expect: int | None
) -> memoryview:
    """The body of a good answer. It holds `len(body)` bytes of the gate.

    Parameters
    ----------
    answer
        An answer whose body has not been read.
    deadline
        Checked between chunks, so a slow drip is noticed that never exceeds the time limit of one read.
    gate
        Where memory is bounded; None for no bound.
    expect
        Bytes of pixels asked for, to reserve where the server does not say how long its answer is.

    Raises
    ------
    BadBody
        Longer than any answer should be.
    TimeoutError
        The deadline has passed.
    urllib3.exceptions.HTTPError
        The connection broke, or the answer was cut off.
    """
    length = _length(answer)
    most = LARGEST_BODY if expect is None else min(LARGEST_BODY, expect + HEADER_ROOM)
    if length is not None and length > LARGEST_BODY:
        raise BadBody(f"an answer of {length} bytes, more than Earth Engine ever sends")
    reserved = most if length is None else length
    if gate is not None:
        deadline.wait_for(gate, reserved)
    body = None
    try:
        body = (
            _read_all(answer, most, deadline)
            if length is None
            else _read_exactly(answer, (gate.memory if gate else memory)(length), deadline)
        )
    finally:
        kept = 0 if body is None else len(body)
        if gate is not None and kept != reserved:
            gate.release(reserved - kept)
    return body


def read_error(answer: urllib3.BaseHTTPResponse, deadline: Deadline) -> bytes:
    """The beginning of the body of a bad answer, without failing: its status says enough."""
    try:
        body = bytes(_read_all(answer, LARGEST_ERROR, deadline))
    except (BadBody, OSError, urllib3.exceptions.HTTPError):
        body = b""
    return body


def retry_after(value: str | None, now: dt.datetime) -> float:
    """Seconds that a Retry-After header asks to wait; 0 without one that can be read.

    Parameters
    ----------
    value
        Seconds or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    now
        The time, with a zone.
    """
    if value is None:
        return 0.0
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    at = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
    return max(0.0, (at - now).total_seconds())


def _length(answer: urllib3.BaseHTTPResponse) -> int | None:
    value = answer.headers.get("content-length", "")
    plain = answer.headers.get("content-encoding", "identity") == "identity"
    chunked = "transfer-encoding" in answer.headers
    return int(value) if plain and not chunked and value.isascii() and value.isdigit() else None


def _read_exactly(answer: urllib3.BaseHTTPResponse, body: memoryview, deadline: Deadline) -> memoryview:
    length, at, flowing = len(body), 0, False
    while at < length:
        began = time.monotonic()
        piece = body[at : at + (PIECE_BYTES if flowing else CHUNK_BYTES)]
        n = _read_into(answer, piece) if flowing else _read_once(answer, piece)
        if not n:
            raise BadBody(f"an answer cut off after {at} of {length} bytes")
        at += n
        deadline.check()
        flowing = n >= FLOWING_BYTES and time.monotonic() - began < FLOWING_S
    answer.release_conn()  # read whole, also where urllib3 did not count: the connection can be used again
    return body


def _read_once(answer: urllib3.BaseHTTPResponse, piece: memoryview) -> int:
    """What is there by now: the careful way, while nobody knows how fast the answer comes."""
    chunk = answer.read1(len(piece))
    piece[: len(chunk)] = chunk
    return len(chunk)


def _read_into(answer: urllib3.BaseHTTPResponse, piece: memoryview) -> int:
    """All of a piece, straight into its memory: half the processor time of chunks that are copied.

    urllib3 has no public way to do so; its guard turns errors into its own, as everywhere else.
    """
    inner: Any = answer
    with inner._error_catcher():  # noqa: SLF001
        n: int = inner._fp.readinto(piece)  # noqa: SLF001
    return n


def _read_all(answer: urllib3.BaseHTTPResponse, most: int, deadline: Deadline) -> memoryview:
    body = bytearray()
    while chunk := answer.read1(CHUNK_BYTES):
        body += chunk
        if len(body) > most:
            raise BadBody(f"an answer of more than {most} bytes")
        deadline.check()
    return memoryview(body)
