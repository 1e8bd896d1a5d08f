"""One object store, a folder or a bucket, behind a handful of verbs.

Every write is atomic: a reader sees the whole object or none. On a local disk a write is also flushed to
the device before it returns, so that a commit never points to data that a power cut took away.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import obstore
import pyarrow as pa
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, MemoryStore

from pipeline.bucket import Bucket, is_gone, open_bucket, open_object, reason
from pipeline.errors import Misconfigured, StoreError

_AnyStore: TypeAlias = LocalStore | MemoryStore | Bucket
_MEMORY: dict[str, MemoryStore] = {}

_SAFE = "what is committed is safe, mend this and run again"

_AT_ONCE = 64
"""Requests for small objects under way at the same time; a bucket takes some 30 ms for each."""


class Store:
    """Objects under keys such as ``commits/facts/12-1-2/ab.json``.

    Parameters
    ----------
    url
        A path, ``s3://bucket/prefix``, ``gs://bucket/prefix`` or ``memory://name`` (tests; one process).
        Credentials and endpoints of buckets come from the environment alone; see `pipeline.bucket`.

    Raises
    ------
    Misconfigured
        The URL has an unknown scheme, or what it names cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.root: Path | None = None
        self._store: _AnyStore
        scheme = url.partition("://")[0] if "://" in url else "file"
        if scheme == "file":
            self.root = Path(url.removeprefix("file://")).absolute()
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                self._store = LocalStore(self.root)
            except (OSError, BaseError) as error:
                msg = (
                    f"store: cannot use {self.root} as a folder: {reason(error)}; "
                    "set `store` to a folder you may write"
                )
                raise Misconfigured(msg) from error
        elif scheme == "memory":
            self._store = _MEMORY.setdefault(url, MemoryStore())
        elif scheme in ("s3", "gs"):
            self._store = open_bucket(url)
        else:
            msg = f"store: unknown scheme {scheme}:// in {url}; use a path, s3://, gs:// or memory://"
            raise Misconfigured(msg)

    def __reduce__(self) -> tuple[Callable[[str], "Store"], tuple[str]]:
        return (type(self), (self.url,))

    def put(self, key: str, data: bytes | Path) -> None:
        """Write an object from bytes or from a file; replaces an object of the same key."""
        with self._translated("write", key):
            obstore.put(self._store, key, data)
            self._flush(key)

    def create(self, key: str, data: bytes) -> bool:
        """Write an object unless the key exists. Returns whether this call wrote it."""
        with self._translated("write", key):
            try:
                obstore.put(self._store, key, data, mode="create")
            except AlreadyExistsError:
                return False
            self._flush(key)
        return True

    def get(self, key: str) -> bytes:
        """Read an object. Raises `FileNotFoundError` when there is none."""
        with self._translated("read", key):
            return bytes(obstore.get(self._store, key).bytes())

    def get_all(self, keys: Iterable[str]) -> Iterator[bytes]:
        """Read small objects, from a bucket many at a time; in the order of the keys."""
        if self.root is not None:
            for key in keys:
                with self._translated("read", key), open(f"{self.root}/{key}", "rb", 0) as file:  # noqa: PTH123 - half the time of `get`
                    data = file.read()
                yield data
            return
        if isinstance(self._store, MemoryStore):
            yield from map(self.get, keys)
            return
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            yield from pool.map(self.get, keys)

    def open(self, key: str) -> pa.NativeFile:
        """Open an object for random access (Parquet readers). Raises `FileNotFoundError`."""
        with self._translated("read", key):
            if self.root is not None:
                return pa.memory_map(str(self.root / key))
            return pa.PythonFile(open_object(self._store, key), mode="r")

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Keys under a folder and their sizes in bytes, in no particular order."""
        with self._translated("list", prefix):
            for batch in obstore.list(self._store, prefix, chunk_size=1000):
                for item in batch:
                    yield item["path"], item["size"]

    def written(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """Keys under a folder and when each was written, in no particular order."""
        with self._translated("list", prefix):
            for batch in obstore.list(self._store, prefix, chunk_size=1000):
                for item in batch:
                    yield item["path"], item["last_modified"]

    def marks(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Keys under a folder and a mark of what each holds: when it is written again, it has another one."""
        with self._translated("list", prefix):
            for batch in obstore.list(self._store, prefix, chunk_size=1000):
                for item in batch:
                    yield item["path"], item["e_tag"] or f"{item['size']}-{item['last_modified'].isoformat()}"

    def copy(self, source: str, target: str) -> None:
        """Copy an object inside the store (a hard link on disk); replaces the target."""
        with self._translated("write", target):
            if (
                self.root is not None
                and (place := self.root / target).exists()
                and place.samefile(self.root / source)
            ):
                return  # linked already; linking again would leave a stray name beside it
            obstore.copy(self._store, source, target)
            self._flush(target)

    def delete(self, key: str) -> None:
        """Remove an object; no error when there is none."""
        with self._translated("delete", key):
            try:
                obstore.delete(self._store, key)
            except FileNotFoundError:
                return

    def sweep(self, prefix: str) -> None:
        """Remove the half-written files (``<name>#1``) that a killed process left under a folder on disk.

        They are no objects: `list` does not show them. In a bucket only its own lifecycle rule can remove uploads
        that were not completed.
        """
        if self.root is None:
            return
        with self._translated("delete", prefix):
            for path in (self.root / prefix).rglob("*#*"):
                if path.name.rpartition("#")[2].isdigit():
                    path.unlink(missing_ok=True)

    def _flush(self, key: str) -> None:
        """Force an object on a local disk, and its folder entry, to the device."""
        if self.root is None:
            return
        path = self.root / key
        for target in (path, path.parent):
            handle = os.open(target, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    @contextmanager
    def _translated(self, verb: str, key: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            if isinstance(error, FileNotFoundError) and not is_gone(error):
                raise
            msg = f"store: cannot {verb} {key} in {self.url}: {reason(error, self.url)}; {_SAFE}"
            # what a service answers may quote credentials; a traceback would show it
            raise StoreError(msg) from (error if self.root is not None else None)
