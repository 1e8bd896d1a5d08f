"""Downloads an OSM file: in pieces if need be, checked against its checksum file, never half of one."""

import fcntl
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from pipeline.errors import Misconfigured, Transient
from pipeline.osm.fetch.client import AGAIN, Answer, Broken, Client, wait_of
from pipeline.osm.fetch.shelf import Fetched, Shelf, full_disk
from pipeline.osm.osmfile import ENDINGS, read_header
from pipeline.osm.snapshot import timestamp_of

Progress: TypeAlias = Callable[[str, int, int, str], None]
"""Is told what is fetched, how much of it is there, how much it is in all (0: unknown), and the unit."""


def silent(_what: str, _done: int, _total: int, _unit: str) -> None:
    """The progress that nobody hears of."""


_MD5 = re.compile(rb"\s*([0-9a-fA-F]{32})\b")


@dataclass(frozen=True, slots=True)
class Remote:
    """A file on a server.

    Attributes
    ----------
    url
        Its own address, after redirects: dated, where the server dates its files.
    name
        Last part of the address.
    bytes
        Its size; 0 where the server does not tell.
    tag
        What tells this content from another under the same address: a strong ETag, else the time of change.
    changed
        Time of change, as the server writes it; empty where it does not tell.
    """

    url: str
    name: str
    bytes: int
    tag: str
    changed: str


def look_at(client: Client, url: str, what: str) -> Remote:
    """Ask for a file's address, size and date.

    Raises
    ------
    Transient
        The server does not answer.
    Misconfigured
        There is no such file, or it is no OSM file by its name.
    """
    patience = client.patience(what)
    while True:
        try:
            with client.open(what, url, method="HEAD") as answer:
                if answer.status == 200:
                    return _remote(answer, what)
                problem, wait_s = _problem(answer, what), wait_of(answer)
        except Broken as error:
            problem, wait_s = f"{url} cannot be read ({error})", 0.0
        patience.failed(problem, wait_s)


def download(client: Client, url: str, shelf: Shelf, what: str, progress: Progress) -> Fetched:
    """Download a file onto the shelf, or what is missing of it.

    Parameters
    ----------
    client
        Asks.
    url
        Its address; may redirect to a dated one.
    shelf
        Where it goes.
    what
        Where the address stands in the config, for messages.
    progress
        See `Progress`.

    Raises
    ------
    Transient
        The server does not answer, breaks off again and again, or the checksum is wrong.
    StoreError
        The disk is too small or full.
    Misconfigured
        There is no such file, or it is no OSM file.
    """
    remote = look_at(client, url, what)
    if remote.tag and (known := shelf.known(remote.url, remote.tag)) is not None:
        return known
    expected = _checksum(client, url, remote, what)
    folder = shelf.workplace(remote.url)
    part = folder / remote.name
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        there = _resumable(folder, part, remote)
        shelf.check_space(max(remote.bytes - there, 0), remote.name)
        _transfer(client, remote, part, what, progress)
        md5, sha256 = _hashes(part)
        size = part.stat().st_size
        if md5 != (expected or md5) or size != (remote.bytes or size):
            part.unlink()
            msg = (
                f"{what}: {remote.url}: wrong checksum: {size:,} bytes came, with MD5 {md5}, the server tells of "
                f"{remote.bytes:,} and {expected}; the file is removed, run again to download it anew"
            )
            raise Transient(msg)
        try:
            timestamp = timestamp_of(read_header(part, history=True))
        except Misconfigured:
            part.unlink()
            raise
        fetched = Fetched(remote.name, sha256, size, timestamp, remote.url, remote.tag)
        shelf.add(part, fetched)
        shelf.note(fetched)
        (folder / "remote.json").unlink()
    return fetched


def _remote(answer: Answer, what: str) -> Remote:
    name = unquote(urlsplit(answer.url).path.rpartition("/")[2])
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name) or not name.lower().endswith(ENDINGS):
        msg = (
            f"{what}: {answer.url}: not an OSM file by its name; expected .osm.pbf, .osm, .osm.gz or .osm.bz2"
        )
        raise Misconfigured(msg)
    size, etag = answer.headers.get("content-length", ""), answer.headers.get("etag", "")
    changed = answer.headers.get("last-modified", "")
    tag = etag if etag.startswith('"') else changed  # RFC 9110: a weak ETag must not stand in If-Range
    return Remote(answer.url, name, int(size) if size.isdigit() else 0, tag, changed)


def _problem(answer: Answer, what: str) -> str:
    """Why a file is not there. Raises Misconfigured where it never will be."""
    if answer.status in AGAIN:
        return f"{answer.url} answers with status {answer.status}"
    missing = "there is no such file" if answer.status in {404, 410} else f"status {answer.status}"
    msg = f"{what}: {answer.url}: {missing}; look at the address in a browser and mend the config"
    raise Misconfigured(msg)


def _checksum(client: Client, url: str, remote: Remote, what: str) -> str | None:
    """MD5 of the checksum file beside the file, or None where the server has none."""
    for address in dict.fromkeys((f"{remote.url}.md5", f"{url}.md5")):
        found = client.read(f"{what}: checksum", address, 100_000)
        if found is not None and (match := _MD5.match(found)):
            return match[1].decode().lower()
    return None


def _resumable(folder: Path, part: Path, remote: Remote) -> int:
    """Bytes that an earlier attempt at the very same content left; another one's are removed."""
    note = folder / "remote.json"
    try:
        same = json.loads(note.read_bytes()) == asdict(remote) and remote.bytes > 0 and remote.tag != ""
    except (FileNotFoundError, ValueError):
        same = False
    if not same:
        part.unlink(missing_ok=True)
        with full_disk(folder):
            note.write_text(json.dumps(asdict(remote)), encoding="utf-8")
    size = part.stat().st_size if part.exists() else 0
    if remote.bytes and size > remote.bytes:
        part.unlink()
        return 0
    return size


def _transfer(client: Client, remote: Remote, part: Path, what: str, progress: Progress) -> None:
    """Bring the part to its full size."""
    patience = client.patience(what)
    resumable = remote.bytes > 0 and remote.bytes > 0 and remote.tag != ""
    with full_disk(part.parent):
        part.touch()
    while (there := part.stat().st_size) < remote.bytes or remote.bytes == 0:
        headers = {"Accept-Encoding": "identity"}
        if there and resumable:
            headers |= {"Range": f"bytes={there}-", "If-Range": remote.tag}
        wait_s = 0.0
        try:
            with client.open(what, remote.url, headers=headers) as answer:
                if answer.status not in {200, 206}:
                    problem, wait_s = _problem(answer, what), wait_of(answer)
                else:
                    _append(answer, remote, part, there, what, progress)
                    if remote.bytes == 0:
                        return
                    problem = f"{remote.url} ends at {part.stat().st_size:,} bytes"
        except Broken as error:
            problem = f"{remote.url} broke off at {part.stat().st_size:,} of {remote.bytes:,} bytes ({error})"
        if resumable and part.stat().st_size > there:
            patience.succeeded()
        if not remote.bytes or part.stat().st_size < remote.bytes:
            patience.failed(problem, wait_s)


def _append(answer: Answer, remote: Remote, part: Path, there: int, what: str, progress: Progress) -> None:
    """Write what comes behind what is there, or over it where the server begins anew."""
    if answer.status == 206:
        expected = f"bytes {there}-{remote.bytes - 1}/{remote.bytes}"
        if answer.headers.get("content-range", "") != expected:
            msg = f"asked for {expected}, got {answer.headers.get('content-range', 'no range')}"
            raise Broken(msg)
    elif _remote(answer, what).tag != remote.tag:
        msg = f"{what}: {remote.url} has changed while it was downloaded; run again"
        raise Transient(msg)
    with full_disk(part.parent), part.open("ab" if answer.status == 206 else "wb") as file:
        for block in answer.blocks():
            file.write(block)
            progress(remote.name, file.tell(), remote.bytes, "bytes")


def _hashes(path: Path) -> tuple[str, str]:
    """MD5 and SHA-256 of a file, hex."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**22):
            md5.update(block)
            sha256.update(block)
    return md5.hexdigest(), sha256.hexdigest()
