"""What was found in a big file, kept so that the file is read once."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.ids import Json, canonical, digest
from pipeline.store import Store


def remembered(
    store: Store, kind: str, path: Path, look: Callable[[], Mapping[str, Json]]
) -> Mapping[str, Json]:
    """What `look` says of a file, kept in the store under the file's size and time of change.

    Only saves time: with ``cache/`` deleted, big files are read once more.
    """
    try:
        stat = path.stat()
    except OSError:
        return look()
    key = f"cache/{kind}/{digest([str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino])[:32]}.json"
    try:
        values: Mapping[str, Json] = json.loads(store.get(key))
    except FileNotFoundError:
        values = look()
        store.put(key, canonical(values))
    return values
