"""The identity of an OSM file, and the ground it covers."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import osmium

from pipeline.errors import Misconfigured
from pipeline.ids import file_sha256
from pipeline.osm.osmfile import read_header, reading
from pipeline.types import Bounds, OsmFile, Snapshot

_LOCATION = np.dtype([("id", "<i8"), ("x", "<i4"), ("y", "<i4")])
"""One entry of libosmium's ``sparse_file_array``: node id, longitude and latitude in 1e-7 degrees."""


def read_file(path: Path, *, history: bool = False) -> OsmFile:
    """Identify an OSM file by its replication timestamp, where the header has one, and its hash.

    Parameters
    ----------
    path
        The file.
    history
        Whether it may be a history file.

    Raises
    ------
    Misconfigured
        The file is missing, is not OSM data, or is a history file and may not be one.
    """
    header = read_header(path, history=history)
    return OsmFile(str(path), file_sha256(path), timestamp_of(header))


def read_snapshot(path: Path) -> Snapshot:
    """The snapshot that is one OSM file. Raises as `read_file`."""
    return Snapshot((read_file(path),))


def timestamp_of(header: osmium.io.Header) -> str | None:
    """State of the map by a file's header: its replication timestamp, or None."""
    return header.get("osmosis_replication_timestamp") or header.get("timestamp") or None


def data_bounds(path: Path) -> Bounds:
    """Bounds of an OSM file: the header's box where there is one, else those of its nodes.

    Returns
    -------
    West, south, east, north: degrees, EPSG:4326.

    Raises
    ------
    Misconfigured
        The file cannot be read, or has neither a box nor nodes.
    """
    box = read_header(path).box()
    if box.valid():
        return (box.bottom_left.lon, box.bottom_left.lat, box.top_right.lon, box.top_right.lat)
    with TemporaryDirectory(prefix="skyteller-") as folder:
        return _node_bounds(path, Path(folder) / "locations")


def _node_bounds(path: Path, index: Path) -> Bounds:
    # libosmium writes the locations to a file that NumPy then scans: no node becomes a Python object.
    handler = osmium.NodeLocationsForWays(osmium.index.create_map(f"sparse_file_array,{index}"))
    with reading(path):
        osmium.apply(osmium.io.Reader(path, osmium.osm.NODE), handler)
    locations = np.memmap(index, _LOCATION, mode="r") if index.stat().st_size else np.empty(0, _LOCATION)
    low, high = np.full(2, np.iinfo(np.int32).max), np.full(2, np.iinfo(np.int32).min)
    for start in range(0, len(locations), 1_000_000):
        block = locations[start : start + 1_000_000]
        xy = np.stack([block["x"], block["y"]])
        xy = xy[:, (block["id"] != 0) & (np.abs(xy[0]) <= 1_800_000_000) & (np.abs(xy[1]) <= 900_000_000)]
        low = np.minimum(low, xy.min(axis=1, initial=np.iinfo(np.int32).max))
        high = np.maximum(high, xy.max(axis=1, initial=np.iinfo(np.int32).min))
    if (low > high).any():
        msg = f"{path}: holds no nodes, so it has no bounds; set `area` in the config or use another extract"
        raise Misconfigured(msg)
    west, south, east, north = (float(value) / 1e7 for value in (*low, *high))
    return (west, south, east, north)
