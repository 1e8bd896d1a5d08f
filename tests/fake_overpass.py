"""A server that behaves like Overpass: slots, dated answers from OSM files, and all of its ways to fail."""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import quoteattr

import osmium
from osmium.osm import Node, Relation, Way

_BUSY = (
    "runtime error: open64: 0 Success /osm3s_osm_base Dispatcher_Client::request_read_and_idx::timeout. "
    "The server is probably too busy to handle your request."
)
_PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<html xmlns="http://www.w3.org/1999/xhtml"><head><title>OSM3S Response</title></head><body>
<p>The data included in this document is from www.openstreetmap.org.</p>
<p><strong style="color:#FF0000">Error</strong>: {said} </p>
</body></html>
"""
_REMARKS = {
    "timeout": 'runtime error: Query timed out in "query" at line 1 after 180 seconds.',
    "memory": "runtime error: Query run out of memory using about 512 MB of RAM.",
    "busy remark": _BUSY,
    "strange remark": "runtime error: something else",
}


@dataclass(slots=True)
class FakeOverpass:
    """Maps by day, and what happens to the next queries.

    Attributes
    ----------
    maps
        OSM files by the first day on which they are the map.
    script
        What happens to the next queries, in turn: "429", "504", "400", "403", "cut", "html", "broken", or a remark of
        `_REMARKS`; "" is a good answer.
    always
        What happens to all queries after those.
    widest
        Boxes of more degrees time out.
    waits
        Seconds until a slot is free, as the next answers about slots tell.
    status
        Whether the server tells of slots at all.
    """

    maps: Mapping[str, Path]
    port: int = 0
    script: list[str] = field(default_factory=list)
    always: str = ""
    widest: float = 360.0
    waits: list[int] = field(default_factory=list)
    status: bool = True
    queries: list[str] = field(default_factory=list)
    looks: int = 0
    agents: set[str] = field(default_factory=set)
    running: int = 0
    peak: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/interpreter"


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    overpass: FakeOverpass


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        overpass = self.server.overpass
        overpass.looks += 1
        if self.path != "/api/status" or not overpass.status:
            self._say(404, "no such page")
            return
        wait = overpass.waits.pop(0) if overpass.waits else 0
        slots = (
            f"Slot available after: 2023-11-21T12:00:00Z, in {wait} seconds.\n" * 2
            if wait
            else "2 slots available now.\n"
        )
        self._say(
            200,
            "Connected as: 1234567\nCurrent time: 2023-11-21T11:59:00Z\nAnnounced endpoint: none\nRate limit: 2\n"
            f"{slots}Currently running queries (pid, space limit, time limit, start time):\n",
        )

    def do_POST(self) -> None:
        overpass = self.server.overpass
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        (query,) = parse_qs(body)["data"]
        with overpass.lock:
            overpass.queries.append(query)
            overpass.agents.add(self.headers.get("user-agent", ""))
            overpass.running += 1
            overpass.peak = max(overpass.peak, overpass.running)
            fate = overpass.script.pop(0) if overpass.script else overpass.always
        try:
            self._answer(query, fate)
        finally:
            with overpass.lock:
                overpass.running -= 1

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass

    def _answer(self, query: str, fate: str) -> None:
        south, west, north, east = box = _box(query)
        if east - west > self.server.overpass.widest or north - south > self.server.overpass.widest:
            fate = "timeout"
        if fate in {"429", "403"}:
            self._say(int(fate), "<html>Please check /api/status for the quota of your IP address.</html>")
        elif fate == "504":
            self._say(504, _PAGE.format(said=_BUSY))
        elif fate == "400":
            self._say(400, _PAGE.format(said="line 1: parse error: &#39;)&#39; expected"))
        elif fate == "html":
            self._say(200, "<html>welcome to the hotel's network</html>")
        elif fate == "broken":
            self._say(200, _osm("<node id=7><way>"))
        elif fate in _REMARKS:
            self._say(200, _osm("", _REMARKS[fate]))
        else:
            day = re.findall(r'\[date:"(\d{4}-\d\d-\d\d)T00:00:00Z"\]', query)[0]
            maps = self.server.overpass.maps
            path = maps[max(first for first in maps if first <= day)]
            text = _osm(_found(path, box, set(re.findall(r'nw\["([^"]+)"\]', query))))
            self._say(200, text[: len(text) // 2] if fate == "cut" else text)

    def _say(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _box(query: str) -> tuple[float, float, float, float]:
    """South, west, north, east."""
    south, west, north, east = map(float, re.findall(r"\[bbox:([^\]]+)\]", query)[0].split(","))
    return south, west, north, east


def _osm(elements: str, remark: str = "") -> str:
    end = f"<remark> {remark} </remark>\n" if remark else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<osm version="0.6" generator="Overpass API 0.7.62">\n'
        "<note>The data included in this document is from www.openstreetmap.org.</note>\n"
        f'<meta osm_base="2023-11-21T11:59:00Z"/>\n{elements}{end}</osm>\n'
    )


@dataclass(frozen=True, slots=True)
class _Item:
    """An element: its keys, the nodes of a way or the ways of an area, the position of a node, its text."""

    keys: frozenset[str]
    parts: tuple[int, ...]
    place: tuple[float, float]
    text: str


@lru_cache(maxsize=8)
def _read(path: Path, _changed_ns: int) -> dict[str, dict[int, _Item]]:
    """Nodes, ways and areas of a file by id."""
    found: dict[str, dict[int, _Item]] = {"n": {}, "w": {}, "r": {}}
    for item in osmium.FileProcessor(path):
        place, inside, where = (0.0, 0.0), "", ""
        parts: tuple[int, ...] = ()
        if isinstance(item, Node):
            place = (item.location.lat, item.location.lon)
            where = f' lat="{place[0]:.7f}" lon="{place[1]:.7f}"'
        elif isinstance(item, Way):
            parts = tuple(node.ref for node in item.nodes)
            inside = "".join(f'<nd ref="{ref}"/>' for ref in parts)
        elif isinstance(item, Relation) and item.tags.get("type") in {"multipolygon", "boundary"}:
            members = [(one.ref, one.role) for one in item.members if one.type == "w"]
            parts = tuple(ref for ref, _ in members)
            inside = "".join(
                f'<member type="way" ref="{ref}" role={quoteattr(role)}/>' for ref, role in members
            )
        else:
            continue
        tags = {tag.k: tag.v for tag in item.tags}
        text = _element(item, where, inside, tags)
        found[item.type_str()][item.id] = _Item(frozenset(tags), parts, place, text)
    return found


def _found(path: Path, box: tuple[float, float, float, float], keys: set[str]) -> str:
    """What a file has in a box with any of some keys, with the parts of ways and areas; nodes come last, as they may."""
    south, west, north, east = box
    items = _read(path, path.stat().st_mtime_ns)
    nodes, ways, areas = items["n"], items["w"], items["r"]
    near = {n for n, one in nodes.items() if south <= one.place[0] <= north and west <= one.place[1] <= east}
    near_ways = {n for n, one in ways.items() if not near.isdisjoint(one.parts)}
    wanted_areas = {n for n, one in areas.items() if one.keys & keys and not near_ways.isdisjoint(one.parts)}
    wanted_ways = {n for n in near_ways if ways[n].keys & keys}
    wanted_ways |= {ref for n in wanted_areas for ref in areas[n].parts} & ways.keys()
    wanted_nodes = {n for n in near if nodes[n].keys & keys}
    wanted_nodes |= {ref for n in wanted_ways for ref in ways[n].parts} & nodes.keys()
    return "".join(
        known[n].text
        for known, wanted in ((ways, wanted_ways), (areas, wanted_areas), (nodes, wanted_nodes))
        for n in wanted
    )


def _element(item: Node | Way | Relation, where: str, inside: str, tags: Mapping[str, str]) -> str:
    name = {Node: "node", Way: "way", Relation: "relation"}[type(item)]
    said = "".join(f"<tag k={quoteattr(key)} v={quoteattr(value)}/>" for key, value in tags.items())
    meta = (
        f'version="{item.version or 1}" timestamp="{item.timestamp:%Y-%m-%dT%H:%M:%SZ}" uid="7" user="Jane"'
    )
    return f'<{name} id="{item.id}"{where} {meta}>{inside}{said}</{name}>\n'


@contextmanager
def serve_overpass(maps: Mapping[str, Path]) -> Iterator[FakeOverpass]:
    overpass = FakeOverpass(maps)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.overpass, overpass.port = overpass, server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield overpass
        finally:
            server.shutdown()
            thread.join()
