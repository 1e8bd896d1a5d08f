"""Where fetched OSM files are kept: on this machine to be read, in the store so that every machine reads the same.

A record in the store says which files a source stands for; fetched files never change and lie under their hash,
so that a new record replaces an old one in one step and readers of the old files are not disturbed. Beside a
store on disk there is nothing else. For a bucket the files lie in a folder of this machine too (under
`runtime.scratch`, else in the user's cache), taken from the bucket where another machine fetched them.
"""

import errno
import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.ids import Json, canonical, digest
from pipeline.store import Store

logger = logging.getLogger("skyteller")

_SPARE_BYTES = 100_000_000
"""Left free on the disk, for all else that happens there."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A fetched file.

    Attributes
    ----------
    name
        Its name at the source, dated where the source dates it.
    sha256, bytes
        Its hash, hex, and its size.
    timestamp
        State of the map by its header (ISO 8601, UTC), or None.
    url
        Where it came from.
    tag
        ETag or time of change that the server gave it; empty for files made here.
    """

    name: str
    sha256: str
    bytes: int
    timestamp: str | None
    url: str | None
    tag: str = ""

    @property
    def key(self) -> str:
        """Where it is in the store."""
        return f"cache/osm/{self.sha256[:16]}/{self.name}"


class Shelf:
    """The fetched OSM files of a store.

    Parameters
    ----------
    store
        The store.
    scratch
        `runtime.scratch`.
    """

    def __init__(self, store: Store, scratch: str | None) -> None:
        self._store = store
        if store.root is not None:
            self.folder = store.root / "cache" / "osm"
        elif scratch is not None:
            self.folder = Path(scratch) / "skyteller-osm"
        else:
            home = os.environ.get("XDG_CACHE_HOME")
            self.folder = (Path(home) if home else Path.home() / ".cache") / "skyteller" / "osm"
        self._shared = store.root is None

    def record(self, source: Json) -> tuple[Fetched, ...] | None:
        """The files that a source stands for, or None where it was never fetched."""
        try:
            values = json.loads(self._store.get(_record_key(source)))
        except FileNotFoundError:
            return None
        return tuple(Fetched(**item) for item in values["files"])

    def settle(self, source: Json, files: Sequence[Fetched]) -> tuple[Fetched, ...]:
        """Write what a source stands for; where another machine was faster, what that one wrote holds."""
        if self._store.create(_record_key(source), _record(source, files, ())):
            return tuple(files)
        theirs = self.record(source) or ()
        if all(self.path(file) is not None for file in theirs):
            return theirs
        logger.warning("osm: files that %s stood for are gone; newer ones take their place", source)
        self.replace(source, files)
        return tuple(files)

    def replace(self, source: Json, files: Sequence[Fetched]) -> None:
        """Write a new record of a source. The files of the record before it stay, older ones go."""
        key = _record_key(source)
        old = json.loads(self._store.get(key))
        self._store.put(key, _record(source, files, [Fetched(**item).key for item in old["files"]]))
        used = {
            name for other, _ in list(self._store.list("cache/osm/sources")) for name in self._named(other)
        }
        for name in set(old["previous"]) - used:
            self._store.delete(name)
            if self._shared:
                self._local(name).unlink(missing_ok=True)

    def path(self, file: Fetched) -> Path | None:
        """The file on this machine, taken from the store where need be; None where it is gone."""
        path = self._local(file.key)
        if path.is_file() and path.stat().st_size == file.bytes:
            return path
        if not self._shared:
            return None
        self.check_space(file.bytes, file.name)
        part = self.workplace(file.key) / file.name
        try:
            with self._store.open(file.key) as source, full_disk(part.parent), part.open("wb") as target:
                shutil.copyfileobj(source, target, 2**22)
        except FileNotFoundError:
            return None
        self.move(part, path)
        return path

    def known(self, url: str, tag: str) -> Fetched | None:
        """The file on the shelf that a server gave a tag, or None."""
        try:
            file = Fetched(**json.loads(self._store.get(_note_key(url, tag))))
        except FileNotFoundError:
            return None
        return None if self.path(file) is None else file

    def add(self, path: Path, file: Fetched) -> None:
        """Put a finished file, made in a `workplace`, on the shelf."""
        target = self._local(file.key)
        self.move(path, target)
        if self._shared:
            self._store.put(file.key, target)

    def note(self, file: Fetched) -> None:
        """Remember a file by what its server says of it, so that it is not downloaded again."""
        if file.url is not None and file.tag:
            self._store.put(_note_key(file.url, file.tag), canonical(asdict(file)))

    def move(self, path: Path, target: Path) -> None:
        """Move a finished file to its place: on the device before its name is there."""
        with full_disk(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
            with path.open("rb") as file:
                os.fsync(file.fileno())
            path.replace(target)

    def workplace(self, name: str) -> Path:
        """A folder for a file that is being made; what is left in it outlives the process."""
        folder = self.folder / "parts" / digest(name)[:16]
        with full_disk(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def locked(self, source: Json) -> Iterator[None]:
        """Wait until no other process on this machine fetches the same source."""
        with (self.workplace(f"lock {digest(source)}") / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.warning("osm: another process is fetching the same map; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def free_bytes(self) -> int:
        """Bytes free on the disk of the files."""
        place = next(place for place in (self.folder, *self.folder.parents) if place.exists())
        return shutil.disk_usage(place).free

    def check_space(self, n_bytes: int, name: str) -> None:
        """Look whether a file of some bytes has room.

        Raises
        ------
        StoreError
            It has not.
        """
        free = self.free_bytes()
        if free < n_bytes + _SPARE_BYTES:
            msg = (
                f"{name}: needs {n_bytes / 1e9:.2f} GB, but {self.folder} has {free / 1e9:.2f} GB free; "
                "make room, or set `store` (or `runtime.scratch`, beside a bucket) to a larger disk"
            )
            raise StoreError(msg)

    def _local(self, key: str) -> Path:
        return self.folder / Path(key).relative_to("cache/osm")

    def _named(self, record: str) -> list[str]:
        """Keys of the files that a record speaks of."""
        values = json.loads(self._store.get(record))
        return [*(Fetched(**item).key for item in values["files"]), *values["previous"]]


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """Translate what a disk says that takes no more.

    Raises
    ------
    StoreError
        The disk is full, or the folder may not be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            msg = (
                f"{folder}: no space left on the disk; make room and run again: what was fetched so far is "
                "kept, and the rest is fetched then"
            )
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            msg = f"{folder}: cannot be written: {error.strerror}; set `store` or `runtime.scratch` to another folder"
        else:
            raise
        raise StoreError(msg) from error


def _note_key(url: str, tag: str) -> str:
    return f"cache/osm/downloads/{digest([url, tag])[:32]}.json"


def _record_key(source: Json) -> str:
    return f"cache/osm/sources/{digest(source)[:32]}.json"


def _record(source: Json, files: Sequence[Fetched], previous: Sequence[str]) -> bytes:
    return canonical(
        {"source": source, "files": [asdict(file) for file in files], "previous": sorted(previous)}
    )
