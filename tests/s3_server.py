"""An S3 server on loopback in a process of its own, for tests: moto behind a doorkeeper.

The doorkeeper refuses keys other than `KEY`, counts requests, fails where it is told to, and speaks enough of
Google's XML protocol for the same server to stand for Cloud Storage.
"""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import parse_qs

KEY, SECRET, TOKEN = "test-key", "test-secret-do-not-print", "test-token-do-not-print"
_SIGNED = (
    f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
)


@dataclass(frozen=True, slots=True)
class S3Server:
    """Where the server is."""

    url: str

    @property
    def env(self) -> dict[str, str]:
        """What a process needs in its environment to use it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    @property
    def google_env(self) -> dict[str, str]:
        """Likewise, for ``gs://``."""
        return {"GOOGLE_BASE_URL": self.url, "GOOGLE_BEARER_TOKEN": TOKEN}

    def make_bucket(self, name: str) -> None:
        """Make a bucket."""
        self._ask("PUT", f"/{name}", headers={"Authorization": _SIGNED})

    def counts(self) -> Counter[str]:
        """Requests so far by method; "LIST" are those for a listing."""
        return Counter(json.loads(self._ask("GET", "/_door/counts")))

    def fail_at(self, request: int | None) -> None:
        """Answer with an error from the n-th request from now on; None: serve again."""
        self._ask("POST", "/_door/fail", json.dumps(request))

    def _ask(self, method: str, path: str, body: str = "", headers: Mapping[str, str] | None = None) -> bytes:
        with closing(HTTPConnection(self.url.removeprefix("http://"), timeout=60)) as connection:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            assert answer.status == 200, answer.status
            return answer.read()


@contextmanager
def serve_s3() -> Iterator[S3Server]:
    """Run a server until the end of the block."""
    command = [sys.executable, "-W", "ignore", __file__]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield S3Server(process.stdout.readline().strip())
        finally:
            process.kill()


class _Door:
    """The WSGI application in front of moto."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._left: int | None = None

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/_door/"):
            return self._talk(path, environ, start)
        with self._lock:
            listing = environ["REQUEST_METHOD"] == "GET" and "list-type" in parse_qs(environ["QUERY_STRING"])
            self._counts["LIST" if listing else environ["REQUEST_METHOD"]] += 1
            if self._left is not None:
                self._left -= 1
            failing = self._left is not None and self._left < 0
        if failing:
            return _refuse(start, "501 Not Implemented", "NotImplemented")
        asked = environ.get("HTTP_AUTHORIZATION", "")
        if asked == f"Bearer {TOKEN}":
            _translate(environ)
        elif f"Credential={KEY}/" not in asked:
            return _refuse(
                start, "403 Forbidden", "InvalidAccessKeyId", f"<AWSAccessKeyId>{asked}</AWSAccessKeyId>"
            )
        return self._app(environ, start)

    def _talk(self, path: str, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            if path == "/_door/fail":
                self._left = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            answer = json.dumps(self._counts).encode()
        start("200 OK", [("Content-Length", str(len(answer)))])
        return [answer]


def _translate(environ: dict[str, Any]) -> None:
    """Make a request in Google's words one in Amazon's."""
    environ["HTTP_AUTHORIZATION"] = _SIGNED
    if environ.pop("HTTP_X_GOOG_IF_GENERATION_MATCH", None) == "0":
        environ["HTTP_IF_NONE_MATCH"] = "*"
    if source := environ.pop("HTTP_X_GOOG_COPY_SOURCE", None):
        environ["HTTP_X_AMZ_COPY_SOURCE"] = source
    for name in ("RAW_URI", "REQUEST_URI"):
        if name in environ:
            environ[name] = environ[name].replace("%2F", "/")


def _refuse(start: Callable[..., Any], status: str, code: str, more: str = "") -> Iterable[bytes]:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message>{more}</Error>".encode()
    start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


def _main() -> None:
    os.environ.setdefault("AWS_ACCESS_KEY_ID", KEY)
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: PLC0415 - slow; in this process only
    from werkzeug.serving import make_server  # noqa: PLC0415

    door = _Door(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, door, threaded=True)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()  # ends with the test that started it, however that went


if __name__ == "__main__":
    _main()
