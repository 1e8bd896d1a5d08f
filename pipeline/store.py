"""One object store, a folder or a bucket, behind a handful of verbs.

Every write is atomic: a reader sees the whole object or none. On a local disk a write is also flushed to
the device before it returns, so that a commit never points to data that a power cut took away.
"""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import obstore
import pyarrow as pa
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import GCSStore, LocalStore, MemoryStore, S3Store, from_url

from pipeline.errors import Misconfigured, StoreError

_AnyStore: TypeAlias = LocalStore | MemoryStore | S3Store | GCSStore
_MEMORY: dict[str, MemoryStore] = {}


class Store:
    """Objects under keys such as ``commits/facts/12-1-2/ab.json``.

    Parameters
    ----------
    url
        A path, ``s3://bucket/prefix``, ``gs://bucket/prefix`` or ``memory://name`` (tests; one process).
        Credentials and endpoints of buckets come from the environment (``AWS_*``, ``GOOGLE_*``).

    Raises
    ------
    Misconfigured
        The URL has an unknown scheme, or the path is not a folder that can be written.
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
                    f"store: cannot use {self.root} as a folder: {_reason(error)}; "
                    "set `store` to a folder you may write"
                )
                raise Misconfigured(msg) from error
        elif scheme == "memory":
            self._store = _MEMORY.setdefault(url, MemoryStore())
        elif scheme in ("s3", "gs"):
            try:
                opened = from_url(url)
            except BaseError as error:
                msg = f"store: cannot open {url}: {_reason(error)}"
                raise Misconfigured(msg) from error
            if not isinstance(opened, S3Store | GCSStore):
                msg = f"store: {url} is not a bucket"
                raise Misconfigured(msg)
            self._store = opened
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

    def open(self, key: str) -> pa.NativeFile:
        """Open an object for random access (Parquet readers). Raises `FileNotFoundError`."""
        with self._translated("read", key):
            if self.root is not None:
                return pa.memory_map(str(self.root / key))
            return pa.PythonFile(_RangeReader(self._store, key), mode="r")

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Keys under a folder and their sizes in bytes, in no particular order."""
        with self._translated("list", prefix):
            for batch in obstore.list(self._store, prefix, chunk_size=1000):
                for item in batch:
                    yield item["path"], item["size"]

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

        They are no objects: `list` does not show them. Buckets keep none.
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
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            msg = (
                f"store: cannot {verb} {key} in {self.url}: {_reason(error)}; "
                "what is committed is safe, mend this and run again"
            )
            raise StoreError(msg) from error


class _RangeReader(io.RawIOBase):
    """A seekable file over range requests, so that Parquet readers fetch only the columns they need."""

    def __init__(self, store: _AnyStore, key: str) -> None:
        super().__init__()
        self._store, self._key, self._at = store, key, 0
        self._size: int = obstore.head(store, key)["size"]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        end = self._size if size is None or size < 0 else min(self._at + size, self._size)
        if end <= self._at:
            return b""
        data = bytes(obstore.get_range(self._store, self._key, start=self._at, end=end))
        self._at += len(data)
        return data


def _reason(error: Any) -> str:
    """One line of an error: the object store library appends its debug output to the message."""
    return str(error).split("\n", 1)[0].strip()
