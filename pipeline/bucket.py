"""Buckets at Amazon, Google and those who speak their protocols: opening, reading in pieces, what errors mean.

Where they are and who may use them comes from the environment alone, by the names that obstore knows:
``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``;
``GOOGLE_APPLICATION_CREDENTIALS`` or ``GOOGLE_SERVICE_ACCOUNT``, ``GOOGLE_BASE_URL``; or the machine's own role.
"""

import io
import ipaddress
import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import GCSStore, LocalStore, MemoryStore, S3Store

from pipeline.errors import Misconfigured

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

Bucket: TypeAlias = S3Store | GCSStore

_ENDPOINTS = {"s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"), "gs": ("GOOGLE_BASE_URL",)}
_ALLOW_HTTP = {"s3": "AWS_ALLOW_HTTP", "gs": "GOOGLE_ALLOW_HTTP"}
_KEYS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
}

CLIENT: "ClientConfig" = {
    "connect_timeout": timedelta(seconds=5),
    "read_timeout": timedelta(seconds=30),
    "timeout": timedelta(minutes=5),
}
"""Time for a connection, for the next bytes, and for a whole request: 5 MB up, or a copy inside the bucket."""

RETRY: "RetryConfig" = {
    "max_retries": 10,
    "retry_timeout": timedelta(minutes=1),
    "backoff": {
        "init_backoff": timedelta(seconds=0.2),
        "max_backoff": timedelta(seconds=10),
        "base": 2,
    },
}
"""Server errors and lost connections are tried again for some 10 s, at most 60 s; a longer outage ends the build, to be run again."""

_TAIL = 256 * 1024
"""Bytes at the end of an object that come with its size: the whole of a small table, the directory of a big one."""

_NEAR = 64 * 1024
"""Smallest range asked for, and the gap that still counts as reading on."""

_AHEAD = 8 * 1024 * 1024
"""Largest range asked for ahead of a reader that reads on."""


def open_bucket(url: str) -> Bucket:
    """Open ``s3://bucket/prefix`` or ``gs://bucket/prefix``. Nothing is asked of the service yet.

    Raises
    ------
    Misconfigured
        The URL names no bucket, the environment's credentials cannot be read, or its endpoint is not encrypted.
    """
    scheme = url.partition("://")[0]
    options: ClientConfig = {**CLIENT, "allow_http": _plain(scheme)}
    try:
        if scheme == "s3":
            return S3Store.from_url(url, client_options=options, retry_config=RETRY)
        return GCSStore.from_url(url, client_options=options, retry_config=RETRY)
    except (BaseError, ValueError) as error:
        msg = f"store: cannot open {url}: {reason(error)}; it needs a bucket, and {_KEYS[scheme]} in the environment"
        raise Misconfigured(msg) from None  # the library's own text may quote credentials


def open_object(store: Bucket | LocalStore | MemoryStore, key: str) -> io.RawIOBase:
    """Open an object for random access by few range requests. Raises `FileNotFoundError` when there is none."""
    return _RangeReader(store, key)


def is_gone(error: BaseException) -> bool:
    """Whether not the object, but the bucket is missing."""
    return "NoSuchBucket" in str(error)


def reason(error: BaseException, url: str = "") -> str:
    """One line of an error, without what a service quotes of the request: keys and signatures among it."""
    text = str(error).split("\n\nDebug source:", 1)[0]
    code = re.search(r"<Code>(\w+)</Code>", text)
    scheme, _, place = url.partition("://")
    if is_gone(error):
        return f"there is no bucket {place.partition('/')[0]}; make it, or correct `store`"
    if "//169.254." in text or "metadata.google.internal" in text:
        keys = _KEYS.get(scheme, "its credentials")
        return f"no credentials for {scheme}:// in the environment, and this machine has no role; set {keys}"
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or "status code: 403" in text:
        why = f" ({code[1]})" if code else ""
        return f"access denied{why}; check {_KEYS.get(scheme, 'the permissions')} and what they may do here"
    if "error sending request" in text or "timed out" in text:
        host = re.search(r"https?://[^/\s]*", text)
        after = re.search(r"after (\d+) retries", text)
        tries = f" after {int(after[1]) + 1} tries" if after else ""
        return f"{_bare(host[0]) if host else 'the service'} does not answer{tries}"
    line = text.split("<", 1)[0].split("\n", 1)[0].strip().rstrip(":")
    return _bare(f"{line} ({code[1]})" if code else line)


class _RangeReader(io.RawIOBase):
    """A seekable file over range requests, few of them.

    The end of the object comes with its size, in one request. A reader that jumps gets little more than it asks
    for; one that reads on gets ever more, so that neither many small row groups nor a tar take a request each.
    """

    def __init__(self, store: Bucket | LocalStore | MemoryStore, key: str) -> None:
        super().__init__()
        self._store, self._key, self._at = store, key, 0
        end = obstore.get(store, key, options={"range": {"suffix": _TAIL}})
        self._size: int = end.meta["size"]
        self._tail, self._tail_at = end.bytes().to_bytes(), end.range[0]
        self._held, self._held_at, self._span = b"", 0, _NEAR

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
        data = self._range(self._at, end)
        self._at = end
        return data

    def _range(self, start: int, end: int) -> bytes:
        if start >= self._tail_at:
            return self._tail[start - self._tail_at : end - self._tail_at]
        held_end = self._held_at + len(self._held)
        if not self._held_at <= start <= end <= held_end:
            on = self._held_at <= start <= held_end + _NEAR
            self._span = min(2 * self._span, _AHEAD) if on else _NEAR
            stop = max(end, min(start + self._span, self._tail_at))
            fetched = obstore.get_range(self._store, self._key, start=start, end=stop)
            self._held, self._held_at = fetched.to_bytes(), start
        return self._held[start - self._held_at : end - self._held_at]


def _plain(scheme: str) -> bool:
    """Whether the endpoint of the environment is plain HTTP, and that is wanted.

    Raises
    ------
    Misconfigured
        It is, but on another machine, and nobody said that the network in between can be trusted.
    """
    endpoint = next((os.environ[name] for name in _ENDPOINTS[scheme] if os.environ.get(name)), "")
    if not endpoint.lower().startswith("http://"):
        return False
    if os.environ.get(_ALLOW_HTTP[scheme], "").lower() in ("1", "true", "yes", "on"):
        return True
    host = urlsplit(endpoint).hostname or ""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        msg = (
            f"store: the endpoint {_bare(endpoint)} is not encrypted; use https://, "
            f"or set {_ALLOW_HTTP[scheme]}=true where the network is your own"
        )
        raise Misconfigured(msg)
    return True


def _bare(text: str) -> str:
    """Text without the user and password of a URL in it."""
    return re.sub(r"//[^/@\s]+@", "//", text)
