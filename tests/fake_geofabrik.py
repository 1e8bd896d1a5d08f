"""A server that behaves like Geofabrik's: dated files behind redirects, ranges, checksum files, changes, faults."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and the status of its answer."""

    method: str
    path: str
    range: str | None
    agent: str
    status: int


@dataclass(slots=True)
class Geofabrik:
    """Files by path, redirects by path, and faults.

    Attributes
    ----------
    files, redirects
        What is served.
    cuts
        Bytes after which the next answers with a body of a ``.pbf`` break off, in turn.
    refusals
        Statuses of the next answers, in turn, whatever is asked for.
    ranges
        Whether ranges are served.
    """

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    ranges: bool = True
    asked: list[Asked] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def publish(self, region: str, date: str, data: bytes, *, folder: str = "europe") -> None:
        """Put a dated extract in its place, with its checksum file, and let the newest name lead to it."""
        stem = region.rpartition("/")[2]
        dated = f"/{folder}/{stem}-{date}.osm.pbf"
        latest = f"/{folder}/{stem}-latest.osm.pbf"
        self.files[dated] = data
        checksum = f"{hashlib.md5(data, usedforsecurity=False).hexdigest()}  {stem}-{date}.osm.pbf\n"
        self.files[f"{dated}.md5"] = checksum.encode()
        self.redirects[latest] = f"{self.url}{dated}"
        known = json.loads(self.files.get("/index-v1-nogeom.json", b'{"features": []}'))
        features = [item for item in known["features"] if item["properties"]["id"] != region]
        urls = {"pbf": f"{self.url}{latest}", "updates": f"{self.url}/{folder}/{stem}-updates"}
        features.append({"type": "Feature", "properties": {"id": region, "name": stem.title(), "urls": urls}})
        index = {"type": "FeatureCollection", "features": features}
        self.files["/index-v1-nogeom.json"] = json.dumps(index).encode()

    def publish_changes(self, folder: str, number: int, changes: bytes, time: str) -> None:
        """Put a file of changes (``.osc.gz``) and its states in their places."""
        state = f"# now\nsequenceNumber={number}\ntimestamp={time.replace(':', chr(92) + ':')}\n".encode()
        place = f"/{folder}/{number // 1000000:03}/{number // 1000 % 1000:03}/{number % 1000:03}"
        self.files |= {
            f"{place}.osc.gz": changes,
            f"{place}.state.txt": state,
            f"/{folder}/state.txt": state,
        }

    def downloads(self) -> list[Asked]:
        """The requests for the bodies of extracts."""
        return [one for one in self.asked if one.method == "GET" and one.path.endswith(".osm.pbf")]


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    geofabrik: Geofabrik


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass

    def _answer(self, *, body: bool) -> None:
        self.close_connection = True
        geofabrik, path = self.server.geofabrik, urlsplit(self.path).path
        with geofabrik.lock:
            refusal = geofabrik.refusals.pop(0) if geofabrik.refusals else None
        data = geofabrik.files.get(path)
        if refusal is not None:
            self._head(refusal, {"Content-Length": "0"})
        elif path in geofabrik.redirects:
            self._head(302, {"Location": geofabrik.redirects[path], "Content-Length": "0"})
        elif data is None:
            self._head(404, {"Content-Length": "0"})
        else:
            self._file(path, data, body=body)

    def _file(self, path: str, data: bytes, *, body: bool) -> None:
        tag = f'"{hashlib.sha256(data).hexdigest()[:12]}"'
        headers = {
            "ETag": tag,
            "Last-Modified": "Tue, 21 Nov 2023 22:15:04 GMT",
            "Accept-Ranges": "bytes",
        }
        wanted, start = self.headers.get("range"), 0
        if wanted and self.server.geofabrik.ranges and self.headers.get("if-range", tag) == tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        part = data[start:]
        self._head(206 if "Content-Range" in headers else 200, headers | {"Content-Length": str(len(part))})
        if body:
            with self.server.geofabrik.lock:
                cuts = self.server.geofabrik.cuts
                cut = cuts.pop(0) if cuts and path.endswith(".pbf") else None
            self.wfile.write(part if cut is None else part[:cut])

    def _head(self, status: int, headers: dict[str, str]) -> None:
        path, agent = urlsplit(self.path).path, self.headers.get("user-agent", "")
        with self.server.geofabrik.lock:
            one = Asked(self.command, path, self.headers.get("range"), agent, status)
            self.server.geofabrik.asked.append(one)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()


@contextmanager
def serve_geofabrik() -> Iterator[Geofabrik]:
    geofabrik = Geofabrik()
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.geofabrik, geofabrik.port = geofabrik, server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield geofabrik
        finally:
            server.shutdown()
            thread.join()
