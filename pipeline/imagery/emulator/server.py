"""The emulator's HTTP server: on this machine only, one thread a connection."""

import errno
import logging
import socket
import threading
import urllib.parse
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Literal, Self

from pipeline.errors import Misconfigured
from pipeline.imagery.emulator.catalog import load_catalog
from pipeline.imagery.emulator.exports import Operations
from pipeline.imagery.emulator.faults import Fault
from pipeline.imagery.emulator.frontdesk import MAX_PAYLOAD, Conditions, FrontDesk, parse_query
from pipeline.imagery.emulator.messages import Request
from pipeline.imagery.emulator.quota import Quota
from pipeline.imagery.emulator.routes import Service
from pipeline.imagery.emulator.stats import Statistics
from pipeline.imagery.emulator.tokens import LIFETIME_S
from pipeline.imagery.emulator.wire import send

logger = logging.getLogger("skyteller")

_HOST = "127.0.0.1"


class Server:
    """A running emulator; a context manager that closes it.

    Attributes
    ----------
    port
        The port it listens on.
    url
        ``http://127.0.0.1:PORT``.
    """

    def __init__(self, port: int, service: Service, conditions: Conditions) -> None:
        self._closing = threading.Event()
        self._service = service
        self._desk = FrontDesk(service, conditions, self._closing)
        self._http = _HttpServer(port, self._desk, self._closing)
        self.port: int = self._http.server_address[1]
        self.url = f"http://{_HOST}:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def stats(self) -> Statistics:
        """What has been counted since the start or the last reset."""
        return self._desk.counts.read()

    def wait(self) -> None:
        """Block until the server is closed or the user interrupts."""
        try:
            self._closing.wait()
        except KeyboardInterrupt:
            self.close()

    def close(self) -> None:
        """Stop listening, drop all connections, end all threads, close all files. Safe to repeat."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self._service.close()


def serve(
    catalog: Path,
    *,
    port: int = 0,
    or_any_port: bool = False,
    latency_s: float = 0.0,
    quota: Quota | None = None,
    faults: Sequence[Fault] = (),
    auth: Literal["none", "token"] = "none",
    exports: Path | None = None,
    seed: int = 0,
    aliases: Mapping[str, str] | None = None,
    projects: Collection[str] | None = None,
    token_s: float = LIFETIME_S,
) -> Server:
    """Start an emulator on this machine's loopback address.

    Parameters
    ----------
    catalog
        JSON lines, or the folder of a ``catalog.jsonl``; see `pipeline.imagery.emulator.catalog.Entry`.
    port
        0 takes a free one.
    or_any_port
        Take a free port where `port` is taken.
    latency_s
        Time before every answer of the API.
    quota
        Requests in flight and a second; None for no limits.
    faults, seed
        What goes wrong, and the seed of when.
    auth
        ``token`` wants a live token of the server's own ``/token``.
    exports
        Folder that stands for Cloud Storage.
    aliases
        Other ids of collections: alias to id.
    projects
        Registered projects; None lets all in.
    token_s
        Lifetime of tokens.

    Raises
    ------
    Misconfigured
        The catalogue is wrong, or the port is taken.
    """
    registered = None if projects is None else frozenset(projects)
    service = Service(load_catalog(catalog, aliases), Operations(exports), registered)
    conditions = Conditions(latency_s, quota or Quota(), auth, faults, seed, token_s)
    for choice in (port, 0) if or_any_port and port else (port,):
        try:
            return Server(choice, service, conditions)
        except OSError as error:
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise
    service.close()
    raise Misconfigured(f"port {port} cannot be listened on; choose another, or 0 for a free one")


class _HttpServer(TCPServer):
    """A thread a connection; keeps track of both, so that closing ends them all."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, desk: FrontDesk, closing: threading.Event) -> None:
        self.desk, self.closing = desk, closing
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._workers: set[threading.Thread] = set()
        super().__init__((_HOST, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread of its own."""
        worker = threading.Thread(target=self._work, args=(request, client_address), daemon=True)
        with self._lock:
            self._connections.add(request)
            self._workers.add(worker)
        worker.start()

    def _work(self, request: socket.socket, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except ConnectionError:
            logger.debug("client %s has gone", client_address, exc_info=True)
        finally:
            self.shutdown_request(request)
            with self._lock:
                self._workers.discard(threading.current_thread())

    def shutdown_request(self, request: Any) -> None:
        """Close a connection. No shutdown first: it would end in order what a fault wants to be reset."""
        with self._lock:
            self._connections.discard(request)
            request.close()

    def server_close(self) -> None:
        """Stop listening, drop the connections and wait for their threads."""
        super().server_close()
        with self._lock:
            workers = list(self._workers)
            for connection in self._connections:
                with suppress(OSError):  # the client has gone already
                    connection.shutdown(socket.SHUT_RDWR)
        for worker in workers:
            worker.join()


class _Handler(BaseHTTPRequestHandler):
    """Reads requests and sends replies."""

    server: _HttpServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer("GET", self._target.query, b"")

    def do_POST(self) -> None:
        """Answer a POST; one that stands for a GET has its query as a form in the body."""
        body = self._body()
        if body is None:
            return
        if self.headers.get("X-HTTP-Method-Override", "").upper() == "GET":
            self._answer("GET", body.decode("latin-1"), b"")
        else:
            self._answer("POST", self._target.query, body)

    @property
    def _target(self) -> urllib.parse.SplitResult:
        return urllib.parse.urlsplit(self.path)

    def _body(self) -> bytes | None:
        """The request's body; None where it has been refused."""
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or "Transfer-Encoding" in self.headers:
            self.send_error(411)
            self.close_connection = True
            return None
        body = self.rfile.read(min(int(length), MAX_PAYLOAD + 1))
        left = int(length) - len(body)
        while left > 0 and (rest := self.rfile.read(min(left, MAX_PAYLOAD))):
            left -= len(rest)  # a client that is cut off while it writes never hears why
        return body

    def _answer(self, method: str, query: str, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = urllib.parse.unquote(self._target.path)
        answer = self.server.desk.take(Request(method, path, parse_query(query), headers, body))
        try:
            if not send(self.connection, answer.reply, answer.fault, answer.answered, self.server.closing):
                self.close_connection = True
        finally:
            answer.answered()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the caller uses
        """Requests are counted, not printed."""
        logger.debug(format, *args)
