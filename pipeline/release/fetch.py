"""Releases in buckets: what a command needs of one, in a folder."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.errors import Misconfigured
from pipeline.release.checksums import CHECKSUMS
from pipeline.store import Store

_TABLE = "metadata.parquet"
_CHUNK = 8 * 1024 * 1024


@contextmanager
def release_folder(place: str, *, shards: bool = True, key: str | None = None) -> Iterator[Path]:
    """A release as a folder: where it is, or copied from its bucket to the temporary folder for a while.

    Parameters
    ----------
    place
        A path, or ``s3://bucket/prefix/releases/name``, ``gs://...``.
    shards
        Whether the shards of a bucket's release are needed, not only the files beside them.
    key
        Only the shard with this sample is needed.

    Raises
    ------
    Misconfigured
        There is no finished release in the bucket at this place.
    StoreError
        The bucket cannot be read.
    """
    if not place.startswith(("s3://", "gs://")):
        yield Path(place)
        return
    store = Store(place)
    names = [name for name, _ in store.list("")]
    if CHECKSUMS not in names:
        msg = f"{place}: not a finished release: it has no {CHECKSUMS}"
        raise Misconfigured(msg)
    if key is not None:
        names = [name for name in names if "/" not in name or name in _shards_of(store, key)]
    elif not shards:
        names = [name for name in names if "/" not in name]
    with tempfile.TemporaryDirectory(prefix="skyteller-") as folder:
        for name in names:
            target = Path(folder) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file, store.open(name) as source:
                shutil.copyfileobj(source, file, _CHUNK)
        yield Path(folder)


def _shards_of(store: Store, key: str) -> list[str]:
    with store.open(_TABLE) as source:
        found: list[str] = pq.read_table(source, columns=["shard"], filters=[("key", "=", key)])[
            "shard"
        ].to_pylist()
    return found
