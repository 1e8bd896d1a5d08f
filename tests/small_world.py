"""A tiny world for tests: nine patches of 64 pixels, a wood, houses, a road. Builds in about a second."""

import hashlib
from pathlib import Path

import numpy as np
import osmium
import rasterio
import yaml
from osmium.osm import mutable
from pyproj import Transformer
from rasterio.transform import from_origin

from pipeline.configfile import load_config
from pipeline.engine import Outcome, build
from pipeline.inventory import take_inventory
from pipeline.store import Store

WEST, NORTH = 340_000.0, 4_372_000.0
GSD = 0.6
SIDE = 3 * 64
APART = 780
"""Columns from one town to the next: about the width of a cell at zoom 16."""


def write_imagery(path: Path, *, west: float = WEST, columns: int = 3, seed: int = 1) -> None:
    """A textured RGB scene in UTM 18N."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(60, 180, size=(3, SIDE, 64 * columns), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "GTiff", "width": 64 * columns, "height": SIDE, "count": 3, "dtype": "uint8", "crs": "EPSG:26918",
        "transform": from_origin(west, NORTH, GSD, GSD), "photometric": "rgb",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(pixels)


def write_osm(path: Path, *, wood_px: float = 60.0, version: int = 1, towns: int = 1) -> None:
    """A wood in the upper left (its side in pixels), six houses, a road through the middle, a named shop.

    Further towns are the same, each to the east of the last.
    """
    to_lonlat = Transformer.from_crs("EPSG:26918", "EPSG:4326", always_xy=True)
    path.unlink(missing_ok=True)
    nodes: list[mutable.Node] = []
    ways: list[mutable.Way] = []

    def way(points: list[tuple[float, float]], tags: dict[str, str], *, closed: bool) -> None:
        refs = []
        for col, row in points:
            lon, lat = to_lonlat.transform(WEST + col * GSD, NORTH - row * GSD)
            nodes.append(mutable.Node(id=len(nodes) + 1, location=(lon, lat), version=1))
            refs.append(len(nodes))
        ways.append(
            mutable.Way(
                id=len(ways) + 1, nodes=refs + refs[:1] if closed else refs, tags=tags, version=version
            )
        )

    def box(col: float, row: float, width: float, height: float, tags: dict[str, str]) -> None:
        way(
            [(col, row), (col + width, row), (col + width, row + height), (col, row + height)],
            tags,
            closed=True,
        )

    for east in range(0, towns * APART, APART):
        box(east + 2, 2, wood_px, wood_px, {"landuse": "forest", "name": "Secret Wood"})
        for n in range(6):
            box(east + 10 + 28 * n, 70, 16, 14, {"building": "house"})
        way(
            [(east - 20, 100), (east + 90, 104), (east + SIDE + 20, 96)],
            {"highway": "residential", "name": "Hidden Street"},
            closed=False,
        )
        box(east + 130, 130, 56, 56, {"natural": "water"})
        lon, lat = to_lonlat.transform(WEST + (east + 30) * GSD, NORTH - 160 * GSD)
        nodes.append(
            mutable.Node(
                id=len(nodes) + 1, location=(lon, lat), tags={"shop": "books", "name": "Words"}, version=1
            )
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = osmium.SimpleWriter(str(path))
    for node in nodes:
        writer.add_node(node)
    for one in ways:
        writer.add_way(one)
    writer.close()


def config_values(**changes: object) -> dict[str, object]:
    """Values of a config for the tiny world; `changes` replace top-level keys."""
    values: dict[str, object] = {
        "name": "tiny",
        "store": "./store",
        "cell_zoom": 13,
        "osm": {"type": "pbf", "path": "town.osm.pbf"},
        "imagery": {
            "type": "geotiff", "paths": "./imagery", "collection": "test", "license": "CC0", "attribution": "nobody",
        },
        "sampling": {"patch_px": 64},
        "captions": {"type": "template", "min_area_share": 0.01},
        "shards": {"max_samples": 4},
        "runtime": {"workers": 1},
    }  # fmt: skip
    return values | changes


def make_world(folder: Path, *, towns: int = 1, **changes: object) -> Path:
    """Write OSM file, imagery and config; returns the config's path."""
    write_osm(folder / "town.osm.pbf", towns=towns)
    write_imagery(folder / "imagery" / "scene_20210615.tif")
    for n in range(1, towns):
        write_imagery(folder / "imagery" / f"scene{n}_20210615.tif", west=WEST + n * APART * GSD, seed=n + 1)
    return write_config(folder, **changes)


def write_config(folder: Path, **changes: object) -> Path:
    """Write a config for the tiny world."""
    path = folder / "dataset.yaml"
    path.write_text(yaml.safe_dump(config_values(**changes)))
    return path


def run(config: Path, store: Store | None = None) -> Outcome:
    """Build from a config file in this process, or in as many as it says."""
    return build(take_inventory(load_config(config), config.parent, store))


def release_hashes(folder: Path) -> dict[str, str]:
    """Every file of a release with its hash."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
