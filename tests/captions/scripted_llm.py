"""A small OpenAI-compatible server whose behaviour a test writes down."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "tiny"


@dataclass(frozen=True)
class Reply:
    """What a server does with a request: an answer, an error, or a broken connection (status 0)."""

    text: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    model: str = MODEL
    finish: str = "stop"
    after_s: float = 0.0


Script = Callable[[dict[str, Any], int], Reply]
"""A reply to a request; the number counts the requests of the server from 0."""


def caption(text: str, *uses: str) -> Reply:
    """A structured answer."""
    return Reply(json.dumps({"caption": text, "uses": list(uses)}))


class ScriptedLlm:
    """One server; may be stopped and started again on the same port."""

    def __init__(
        self, script: Script, *, models: tuple[str, ...] = (MODEL,), length: int | None = None
    ) -> None:
        self.script, self.models, self.length = script, models, length
        self.asked: list[dict[str, Any]] = []
        self.answered: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.healthy = 200
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self._dead = threading.Event()
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        outer = self
        self._dead = dead = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                outer.headers.append(dict(self.headers))
                if self.path == "/health":
                    self._send(outer.healthy, b"")
                    return
                data = [
                    {"id": name, "object": "model", "max_model_len": outer.length} for name in outer.models
                ]
                self._send(200, json.dumps({"object": "list", "data": data}).encode())

            def do_POST(self) -> None:
                outer.headers.append(dict(self.headers))
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer._lock:
                    number = len(outer.asked)
                    outer.asked.append(body)
                    outer._at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer._at_once)
                try:
                    reply = outer.script(body, number)
                    if reply.after_s:
                        time.sleep(reply.after_s)
                finally:
                    with outer._lock:
                        outer._at_once -= 1
                if reply.status == 0 or dead.is_set():
                    self.close_connection = True
                    return
                with outer._lock:
                    outer.answered.append(body)
                self._send(reply.status, _body(reply), reply.headers)

            def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
                if dead.is_set():
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request: object, client_address: object) -> None:
                pass

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Die: requests under way get no answer."""
        if self._server is not None:
            self._dead.set()
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def _body(reply: Reply) -> bytes:
    if reply.body is not None:
        return reply.body
    if reply.status != 200:
        return json.dumps({"error": {"message": reply.text, "code": reply.status}}).encode()
    return json.dumps(
        {
            "id": "c",
            "object": "chat.completion",
            "created": 0,
            "model": reply.model,
            "choices": [
                {
                    "index": 0,
                    "finish_reason": reply.finish,
                    "message": {"role": "assistant", "content": reply.text},
                }
            ],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        }
    ).encode()


@contextmanager
def serving(*scripts: Script, **options: Any) -> Iterator[list[ScriptedLlm]]:
    """Servers, one a script."""
    servers = [ScriptedLlm(script, **options) for script in scripts]
    try:
        yield servers
    finally:
        for server in servers:
            server.stop()
