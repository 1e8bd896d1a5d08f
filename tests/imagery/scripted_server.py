"""An HTTP server that answers as its script says, faults included, and remembers what it was sent."""

import gzip
import io
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

Answer = Callable[["Handler"], None]


@dataclass(frozen=True, slots=True)
class Seen:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Scripted:
    """`script` is used up answer by answer, then `always` is given."""

    port: int = 0
    script: list[Answer] = field(default_factory=list)
    always: Answer = lambda handler: handler.plain(200, pixels())
    seen: list[Seen] = field(default_factory=list)
    connections: set[socket.socket] = field(default_factory=set)
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64
    scripted: Scripted


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        with self.server.scripted.lock:
            self.server.scripted.connections.add(self.connection)

    def finish(self) -> None:
        with self.server.scripted.lock:
            self.server.scripted.connections.discard(self.connection)
        try:
            super().finish()
        except OSError:
            self.wfile.close()

    def answer(self) -> None:
        scripted = self.server.scripted
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with scripted.lock:
            scripted.seen.append(Seen(self.command, self.path, headers, body))
            say = scripted.script.pop(0) if scripted.script else scripted.always
        try:
            say(self)
        except OSError:
            self.close_connection = True

    do_GET = answer  # noqa: N815 - the base class's names
    do_POST = answer  # noqa: N815

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass

    def head(self, status: int, length: int | None, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def plain(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.head(status, len(body), headers)
        self.wfile.write(body)


@contextmanager
def serve(
    *script: Answer, always: Answer | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Scripted]:
    scripted = Scripted(script=list(script))
    if always is not None:
        scripted.always = always
    with Server(("127.0.0.1", 0), Handler) as server:
        server.scripted, scripted.port = scripted, server.server_address[1]
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield scripted
        finally:
            scripted.stopped.set()
            server.shutdown()
            thread.join()
            with scripted.lock:
                for connection in scripted.connections:
                    connection.shutdown(socket.SHUT_RDWR)


def pixels(height: int = 4, width: int = 5) -> bytes:
    """An answer of `height` x `width` pixels in R, G and B."""
    return npy(values(height, width), ("R", "G", "B"))


def values(height: int = 4, width: int = 5) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return (np.arange(height * width * 3) % 251).astype(np.uint8).reshape(height, width, 3)


def npy(array: np.ndarray[Any, Any], names: tuple[str, ...]) -> bytes:
    """An NPY file as numpy itself writes it, one record of bands per pixel."""
    records = np.zeros(array.shape[:2], dtype=[(name, array.dtype) for name in names])
    for index, name in enumerate(names):
        records[name] = array[..., index]
    file = io.BytesIO()
    np.save(file, records)
    return file.getvalue()


def error(status: int, message: str, headers: Mapping[str, str] | None = None, **more: Any) -> Answer:
    """An error as Google's services send them."""
    body = json.dumps({"error": {"code": status, "message": message, **more}}).encode()
    return lambda handler: handler.plain(
        status, body, {"Content-Type": "application/json", **(headers or {})}
    )


def html(status: int) -> Answer:
    page = b"<!DOCTYPE html><html><title>502. That's an error</title><p>Try later"
    return lambda handler: handler.plain(status, page, {"Content-Type": "text/html; charset=UTF-8"})


def good(handler: Handler) -> None:
    handler.plain(200, pixels())


def truncated(handler: Handler) -> None:
    handler.head(200, len(pixels()))
    handler.wfile.write(pixels()[:100])
    handler.close_connection = True


def truncated_gzip(handler: Handler) -> None:
    body = gzip.compress(pixels())
    handler.head(200, len(body), {"Content-Encoding": "gzip"})
    handler.wfile.write(body[:60])
    handler.close_connection = True


def short(handler: Handler) -> None:
    handler.plain(200, pixels()[:-7])


def reset(handler: Handler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def reset_in_body(handler: Handler) -> None:
    handler.head(200, len(pixels()))
    handler.wfile.write(pixels()[:100])
    reset(handler)


def stall(handler: Handler) -> None:
    handler.server.scripted.stopped.wait(30)
    handler.close_connection = True


def stall_in_body(handler: Handler) -> None:
    handler.head(200, len(pixels()))
    handler.wfile.write(pixels()[:100])
    stall(handler)


def drip(handler: Handler) -> None:
    """A byte every 20 ms: no silence is long, the whole takes four seconds."""
    handler.head(200, len(pixels()))
    for index in range(len(pixels())):
        handler.wfile.write(pixels()[index : index + 1])
        if handler.server.scripted.stopped.wait(0.02):
            break
    handler.close_connection = True


def chunked(handler: Handler, body: bytes | None = None, *, whole: bool = True) -> None:
    handler.head(200, None, {"Transfer-Encoding": "chunked"})
    content = pixels() if body is None else body
    for start in range(0, len(content), 50):
        part = content[start : start + 50]
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
    if whole:
        handler.wfile.write(b"0\r\n\r\n")
    else:
        handler.close_connection = True


def truncated_chunks(handler: Handler) -> None:
    chunked(handler, whole=False)
