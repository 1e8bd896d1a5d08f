"""Puts replies on the network, as they are or damaged on purpose."""

import select
import socket
import struct
import threading
from collections.abc import Callable
from http import HTTPStatus

from pipeline.imagery.emulator.faults import Fault
from pipeline.imagery.emulator.messages import Reply

_TAIL_BYTES = 65_536
"""A request counts as answered when no more than this is left to send. A client sees its answer before the
server's thread runs on: counting until the very end would find more in flight than there are."""

_DROPS = 10
"""Pieces of a body that drips."""


def send(
    connection: socket.socket,
    reply: Reply,
    fault: Fault | None,
    answered: Callable[[], None],
    closing: threading.Event,
) -> bool:
    """Send a reply.

    Parameters
    ----------
    connection
        The client.
    reply
        What to send.
    fault
        How to damage it, if at all.
    answered
        Called just before the last bytes are sent.
    closing
        Ends all waiting when set.

    Returns
    -------
    Whether the connection can be used again.
    """
    match fault.kind if fault is not None else None:
        case "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        case "stall" if fault is not None:
            _wait_for_end(connection, fault.seconds)
            return False
        case "truncate":
            body = _whole(reply)
            answered()
            connection.sendall(_head(reply, len(body)) + body[: len(body) // 2])
            return False
        case "corrupt":
            body = _whole(reply)[: reply.length // 2]
            answered()
            connection.sendall(_head(reply, len(body)) + body)
            return True
        case "slow" if fault is not None:
            _drip(connection, reply, fault.seconds / _DROPS, answered, closing)
            return not closing.is_set()
        case _:
            _send(connection, reply, answered)
            return True


def _send(connection: socket.socket, reply: Reply, answered: Callable[[], None]) -> None:
    """Small replies in one go, large ones without a copy of their last piece."""
    head = _head(reply, reply.length)
    if reply.length <= _TAIL_BYTES:
        answered()
        connection.sendall(head + _whole(reply))
        return
    *first, last = reply.pieces
    view = memoryview(last)
    tail = max(len(view) - _TAIL_BYTES, 0)
    connection.sendall(head + b"".join(first))
    connection.sendall(view[:tail])
    answered()
    connection.sendall(view[tail:])


def _wait_for_end(connection: socket.socket, seconds: float) -> None:
    """Wait until the client gives up (its request is in flight no more then) or the server closes, at most so long."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    poll.poll(seconds * 1000)


def _drip(
    connection: socket.socket,
    reply: Reply,
    pause_s: float,
    answered: Callable[[], None],
    closing: threading.Event,
) -> None:
    body = _whole(reply)
    connection.sendall(_head(reply, len(body)))
    size = -(-len(body) // _DROPS) or 1
    for start in range(0, len(body), size):
        if closing.wait(pause_s):
            return
        if start + size >= len(body):
            answered()
        connection.sendall(body[start : start + size])


def _head(reply: Reply, length: int) -> bytes:
    status = HTTPStatus(reply.status)
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {reply.content_type}",
        f"Content-Length: {length}",
        *(f"{name}: {value}" for name, value in reply.headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _whole(reply: Reply) -> bytes:
    return b"".join(reply.pieces)
