"""Tiny worlds behind the Earth Engine emulator: the one of `tests.small_world`, and places in other countries."""

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import osmium
import rasterio
import yaml
from osmium.osm import mutable
from PIL import Image
from pyproj import Transformer
from rasterio.transform import from_origin

COLLECTION = {
    "id": "TEST/ORTHO", "bands": ["R", "G", "B"], "gsd_m": 0.6, "license": "CC0", "attribution": "nobody",
}  # fmt: skip


def entry(path: str, **changes: Any) -> dict[str, Any]:
    """A line of a catalogue for an image of `small_world`."""
    values = {
        "collection": "TEST/ORTHO",
        "index": Path(path).stem,
        "path": path,
        "bands": ["R", "G", "B"],
        "start": "2021-06-15T00:00:00Z",
        "end": "2021-06-16T00:00:00Z",
        "properties": {},
    }
    return values | changes


def write_catalog(folder: Path, *entries: dict[str, Any]) -> Path:
    """Write a catalogue."""
    path = folder / "catalog.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in entries))
    return path


def imagery_values(url: str, **changes: Any) -> dict[str, Any]:
    """The `imagery` part of a config that reads from an emulator."""
    values: dict[str, Any] = {
        "type": "earthengine", "collection": COLLECTION, "start": "2021-01-01", "end": "2021-12-31",
        "project": "test", "url": url,
    }  # fmt: skip
    return values | changes


@dataclass(frozen=True, slots=True)
class Place:
    """A square of ground on a pixel grid: CRS, upper-left corner, pixel size in metres, pixels a side."""

    crs: str
    west: float
    north: float
    gsd_m: float
    side: int

    def write_osm(self, path: Path) -> None:
        """A lake in the left third, a house on farmland in the middle, a forest in the right third, a road.

        The house is there for fine imagery, which shows 40 square metres; the others for coarse imagery.
        """
        to_lonlat = Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
        path.unlink(missing_ok=True)
        with osmium.SimpleWriter(str(path)) as writer:
            ways: list[mutable.Way] = []
            n = 0
            for shape, tags in _ELEMENTS:
                refs = []
                for x, y in shape:
                    n += 1
                    step = self.side * self.gsd_m
                    location = to_lonlat.transform(self.west + x * step, self.north - y * step)
                    writer.add_node(mutable.Node(id=n, location=location, version=1))
                    refs.append(n)
                nodes = refs if "highway" in tags else [*refs, refs[0]]
                ways.append(mutable.Way(id=len(ways) + 1, nodes=nodes, tags=tags, version=1))
            for way in ways:
                writer.add_way(way)

    def write_image(self, path: Path, pixels: npt.NDArray[Any], **profile: Any) -> None:
        """Write (C, H, W) pixels with their upper-left corner at the place's."""
        count, height, width = pixels.shape
        usual = {
            "driver": "GTiff", "count": count, "height": height, "width": width, "dtype": pixels.dtype.name,
            "crs": self.crs, "transform": from_origin(self.west, self.north, self.gsd_m, self.gsd_m),
            "photometric": "MINISBLACK",
        }  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(path, "w", **(usual | profile)) as file:
            file.write(pixels)


def _box(west: float, north: float, east: float, south: float) -> list[tuple[float, float]]:
    return [(west, north), (east, north), (east, south), (west, south)]


_ELEMENTS: list[tuple[list[tuple[float, float]], dict[str, str]]] = [
    (_box(-0.1, -0.1, 1 / 3, 1.1), {"natural": "water"}),
    (_box(1 / 3, -0.1, 2 / 3, 1.1), {"landuse": "farmland"}),
    (_box(1 / 3, 0, 2 / 3, 1), {"building": "house"}),
    (_box(2 / 3, -0.1, 1.1, 1.1), {"landuse": "forest"}),
    ([(-0.1, 0.5), (1.1, 0.5)], {"highway": "residential"}),
]
"""Outlines in sides of the place, from its upper-left corner."""


def write_config(folder: Path, imagery: Mapping[str, Any], **changes: Any) -> Path:
    """Write a config for a place; `changes` replace top-level keys."""
    values: dict[str, Any] = {
        "name": "tiny",
        "store": "./store",
        "cell_zoom": 12,
        "osm": {"type": "pbf", "path": "place.osm.pbf"},
        "imagery": dict(imagery),
        "sampling": {"patch_px": 64},
        "captions": {"type": "template", "min_area_share": 0.01},
        "shards": {"image_format": "png"},
        "runtime": {"workers": 1, "requests": {"attempts": 2, "backoff_s": 0.01, "patience_s": 1}},
    }
    path = folder / "dataset.yaml"
    path.write_text(yaml.safe_dump(values | changes))
    return path


@dataclass(frozen=True, slots=True)
class Released:
    """A sample of a release: the part `metadata` of its JSON, and its pixels ``(H, W, 3) uint8``."""

    metadata: Mapping[str, Any]
    pixels: npt.NDArray[np.uint8]

    @property
    def window(self) -> tuple[int, int, int]:
        """Upper-left column and row in the scene, and side."""
        window = self.metadata["window"]
        return window["col"], window["row"], window["size"]


def released(folder: Path, name: str = "tiny") -> list[Released]:
    """All samples of a release with PNG images, by their place in the scene."""
    samples = []
    for shard in sorted((folder / "store" / "releases" / name / "shards").glob("*.tar")):
        with tarfile.open(shard) as tar:
            members = {member.name: tar.extractfile(member) for member in tar.getmembers()}
            data = {member: file.read() for member, file in members.items() if file is not None}
        for member, text in data.items():
            if member.endswith(".json"):
                with Image.open(io.BytesIO(data[member.replace(".json", ".png")])) as image:
                    samples.append(Released(json.loads(text)["metadata"], np.asarray(image)))
    return sorted(samples, key=lambda sample: (sample.metadata["image_name"], sample.window))
