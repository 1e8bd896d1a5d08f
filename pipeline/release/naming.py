"""Names of the releases that one dataset has over time."""

import json
import re

from pipeline.store import Store
from pipeline.types import Snapshot


def refreshed_name(name: str, store: Store, snapshot: Snapshot) -> str:
    """The name of a dataset's release for a snapshot of the map.

    The first release has the name of the dataset. One for another snapshot has the snapshot's time to the minute
    behind it, such as ``reisterstown-20261120t2121``, or where the map has no time a part of its hash: a release
    never changes, so each needs a name of its own.
    """
    try:
        sources = json.loads(store.get(f"releases/{name}/sources.json"))
    except FileNotFoundError:
        return name
    if sources["osm"]["sha256"] == snapshot.sha256:
        return name
    time = re.sub(r"[^0-9t]", "", (snapshot.timestamp or "").lower())[:13]
    return f"{name}-{time or snapshot.sha256[:10]}"
