"""One Overpass server: asks it politely, one query at a time, and understands what it answers.

https://wiki.openstreetmap.org/wiki/Overpass_API: a client has a few slots, and a slot is blocked for a while after
each query; errors come as a status (429, 504) or, with status 200, as a remark at the end of a cut-off answer.
"""

import datetime as dt
import html
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from pipeline.errors import Misconfigured, Transient
from pipeline.osm.fetch.client import AGAIN, Answer, Broken, Client, wait_of
from pipeline.osm.fetch.urls import check_url
from pipeline.osm.pbf import KEYS
from pipeline.types import Bounds

logger = logging.getLogger("skyteller")

_TIMEOUT_S = 180
_MOST_MEMORY = 512 * 2**20  # the server's default, in bytes
_MOST_BYTES = 400_000_000
_LONGEST_WAIT_S = 1200.0  # for a slot; a server that was asked too much may block for a quarter of an hour
_PAUSE_S = 5.0  # between two looks at the slots

_FREE = re.compile(r"^(\d+) slots? available now", re.MULTILINE)
_NEXT = re.compile(r"^Slot available after:.*?, in (-?\d+) seconds", re.MULTILINE)
_LIMIT = re.compile(r"^Rate limit: (\d+)", re.MULTILINE)
_REMARK = re.compile(rb"<remark>(.*?)</remark>", re.DOTALL)
_ERROR = re.compile(r"<strong[^>]*>Error</strong>:(.*?)</p>", re.DOTALL)
_TOO_MUCH = ("Query timed out", "Query run out of memory")
_BUSY = ("Dispatcher_Client", "rate_limited", "too busy")


class TooMuch(Exception):
    """A query asks for more than the server gives at once: split its area."""


@dataclass(frozen=True, slots=True)
class Slots:
    """What a server says of our slots.

    Attributes
    ----------
    limit
        Slots in all; 0 for no limit.
    wait_s
        Seconds until one is free.
    """

    limit: int
    wait_s: float


def query_of(box: Bounds, day: dt.date, keys: Sequence[str] = KEYS) -> str:
    """The query for all that may be seen in a box: nodes, ways and areas with a key, and what they are made of.

    Parameters
    ----------
    box
        West, south, east, north.
    day
        The map is asked for as it was when this day began, UTC.
    keys
        Keys of which an element needs one.
    """
    west, south, east, north = box
    wanted = "".join(f'nw["{key}"];rel["{key}"]["type"~"^(multipolygon|boundary)$"];' for key in keys)
    return (
        f'[out:xml][timeout:{_TIMEOUT_S}][maxsize:{_MOST_MEMORY}][date:"{day}T00:00:00Z"]'
        f"[bbox:{south:.6f},{west:.6f},{north:.6f},{east:.6f}];({wanted});(._;>;);out meta;"
    )


class Overpass:
    """An Overpass server.

    Parameters
    ----------
    client
        Sends.
    url
        Address of its interpreter.
    """

    def __init__(self, client: Client, url: str) -> None:
        self._client, self._url = client, check_url(url, "osm.url")
        self._status_url = f"{url.rstrip('/').rpartition('/')[0]}/status"

    def slots(self) -> Slots | None:
        """Ask for our slots; None where the server does not tell.

        Raises
        ------
        Transient
            The server does not answer.
        """
        found = self._client.read("osm: Overpass slots", self._status_url, 100_000)
        text = (found or b"").decode(errors="replace")
        limit = _LIMIT.search(text)
        if limit is None:
            return None
        free, waits = _FREE.search(text), [float(seconds) for seconds in _NEXT.findall(text)]
        blocked = limit[1] != "0" and (free is None or free[1] == "0")
        return Slots(int(limit[1]), max(min(waits, default=_PAUSE_S), 1.0) if blocked else 0.0)

    def ask(self, query: str) -> bytes:
        """Ask until there is a whole answer.

        Returns
        -------
        OSM XML.

        Raises
        ------
        TooMuch
            The query takes too long or too much memory.
        Transient
            The server is down or overloaded, though asked often enough.
        Misconfigured
            It refuses the query for good.
        """
        patience = self._client.patience("osm: Overpass")
        while True:
            self._wait_for_slot()
            began, wait_s = self._client.clock(), 0.0
            try:
                with self._client.open(
                    "osm: Overpass",
                    self._url,
                    method="POST",
                    headers={
                        "Content-Type": "application/x-www-form-urlencoded",
                        "Accept-Encoding": "gzip",
                    },
                    body=urlencode({"data": query}).encode(),
                    read_s=_TIMEOUT_S + 60.0,
                ) as answer:
                    text = answer.read(_MOST_BYTES)
                    problem = self._judge(answer, text, self._client.clock() - began)
                    wait_s = wait_of(answer)
            except OverflowError as error:
                raise TooMuch(str(error)) from error
            except Broken as error:
                problem = f"{self._url} cannot be read ({error})"
            if problem is None:
                return text
            patience.failed(problem, wait_s)

    def _wait_for_slot(self) -> None:
        """Wait until the server has a slot for us, so that no query of ours is refused."""
        waited = 0.0
        while (slots := self.slots()) is not None and slots.wait_s > 0:
            if waited + slots.wait_s > _LONGEST_WAIT_S:
                msg = (
                    f"osm: Overpass: {self._url} has no slot for us for {slots.wait_s:.0f} s; run again later, "
                    "the answers so far are kept"
                )
                raise Transient(msg)
            logger.info("Overpass: the next slot is free in %.0f s", slots.wait_s)
            self._client.sleep(slots.wait_s)
            waited += slots.wait_s

    def _judge(self, answer: Answer, text: bytes, took_s: float) -> str | None:
        """What is wrong with an answer that another attempt may mend, or None for a good one."""
        if answer.status == 504 and took_s > _TIMEOUT_S / 2:
            msg = f"no answer within {took_s:.0f} s"  # a server too busy to begin says so within seconds
            raise TooMuch(msg)
        if answer.status in AGAIN:
            return f"{self._url} answers with status {answer.status}{_said(text)}"
        if answer.status != 200:
            msg = f"osm: Overpass: {self._url} answers with status {answer.status}{_said(text)}"
            raise Misconfigured(msg)
        remark = _REMARK.search(text, max(0, len(text) - 20_000))
        if remark is not None:
            said = " ".join(remark[1].decode(errors="replace").split())
            if any(part in said for part in _TOO_MUCH):
                raise TooMuch(said)
            if any(part in said for part in _BUSY):
                return f"{self._url}: {said}"
            msg = f"osm: Overpass: {self._url}: {said}; the answers so far are kept"
            raise Transient(msg)
        if not text.lstrip().startswith((b"<?xml", b"<osm")) or b"<osm" not in text[:1000]:
            msg = f"osm.url: {self._url} does not answer as an Overpass server does"
            raise Misconfigured(msg)
        return None if text.rstrip().endswith(b"</osm>") else f"{self._url}: the answer ends in its middle"


def _said(text: bytes) -> str:
    """What an error page says, in a few words."""
    page = text[:100_000].decode(errors="replace")
    found = _ERROR.search(page)
    said = " ".join(html.unescape(re.sub(r"<[^>]*>", "", found[1])).split()) if found else ""
    return f": {said[:300]}" if said else ""
