"""Many small patches behind the Earth Engine emulator, built by the command line; every request is noted down."""

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import osmium
import pyarrow.parquet as pq
import pytest
import rasterio
import yaml
from osmium.osm import mutable
from PIL import Image
from pyproj import Transformer
from rasterio.transform import from_origin

from pipeline.imagery.emulator.frontdesk import Answer
from pipeline.imagery.emulator.messages import Request
from pipeline.imagery.emulator.server import Server, serve
from tests.ee_world import entry, imagery_values, write_catalog
from tests.small_world import config_values

WEST, NORTH, GSD = 340_000.0, 4_372_000.0, 0.6
PATCH = 32
STRIDE = 2
STEP = PATCH * STRIDE
BLACK_EVERY = 10
"""Every so many patches one has a black pixel, so that its mask is asked for as well."""

REQUESTS: dict[str, Any] = {
    "waste": 1.0,  # patches that do not touch go singly: a request each
    "backoff_s": 0.01,
    "read_timeout_s": 5.0,
    "per_second": 2000.0,
}


class Asked(NamedTuple):
    """A request for pixels: its route, and its window in the image."""

    route: str
    col: int
    row: int
    width: int
    height: int


@dataclass(frozen=True)
class World:
    """A wood that covers an image in Earth Engine, cut into `columns` x `rows` patches with gaps between."""

    folder: Path
    columns: int
    rows: int
    cell_zoom: int = 15

    @property
    def patches(self) -> set[tuple[int, int]]:
        """Column and row of every patch."""
        return {(c * STEP, r * STEP) for c in range(self.columns) for r in range(self.rows)}

    @property
    def image(self) -> Path:
        """The source of the pixels."""
        return self.folder / "imagery" / "scene.tif"

    def pixels(self) -> npt.NDArray[np.uint8]:
        """The source's pixels, ``(H, W, 3)``, by GDAL."""
        with rasterio.open(self.image) as file:
            pixels: npt.NDArray[np.uint8] = file.read().transpose(1, 2, 0)
        return pixels

    def config(self, store: str, *, workers: int = 2, **requests: Any) -> Path:
        """Write a config. It names no server: that comes by the environment."""
        imagery = imagery_values("")
        del imagery["url"]
        values = config_values(
            store=f"./{store}",
            cell_zoom=self.cell_zoom,
            imagery=imagery,
            sampling={"patch_px": PATCH, "stride": STRIDE},
            shards={"max_samples": 1000, "image_format": "png"},
            runtime={"workers": workers, "requests": REQUESTS | requests},
        )
        path = self.folder / f"{store}.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    def release(self, store: str) -> Path:
        """The folder of a release."""
        return self.folder / store / "releases" / "tiny"

    def finished(self, store: str) -> set[tuple[int, int]]:
        """Column and row of the patches whose pixels are in the store, as parts or in committed units."""
        place = {}
        for path in (self.folder / store / "tables" / "patches").rglob("*.parquet"):
            table = _read(path, ["id", "col", "row"])
            place.update({row["id"]: (row["col"], row["row"]) for row in table})
        done = list((self.folder / store / "parts" / "pixels").rglob("*.parquet"))
        commits = (self.folder / store / "commits" / "pixels").rglob("*.json")
        keys = [json.loads(path.read_bytes())["outputs"]["index"]["key"] for path in commits]
        done += [self.folder / store / key for key in keys]
        return {place[row["patch"]] for path in done for row in _read(path, ["patch"])}


def make_many(folder: Path, columns: int, rows: int, *, black: bool = False, cell_zoom: int = 15) -> World:
    """Write map, image and catalogue."""
    world = World(folder, columns, rows, cell_zoom)
    width, height = columns * STEP, rows * STEP
    pixels = np.random.default_rng(3).integers(60, 180, (3, height, width), np.uint8)
    if black:
        for col, row in sorted(world.patches)[::BLACK_EVERY]:
            pixels[:, row + 5, col + 7] = 0
    world.image.parent.mkdir(parents=True)
    profile = {
        "driver": "GTiff", "width": width, "height": height, "count": 3, "dtype": "uint8", "crs": "EPSG:26918",
        "transform": from_origin(WEST, NORTH, GSD, GSD), "photometric": "rgb", "interleave": "pixel",
    }  # fmt: skip
    with rasterio.open(world.image, "w", **profile) as file:
        file.write(pixels)
    write_catalog(folder, entry("imagery/scene.tif"))
    _write_wood(folder / "town.osm.pbf", width, height)
    return world


@contextmanager
def emulator(world: World, **conditions: Any) -> Iterator[tuple[Server, list[Asked]]]:
    """Serve a world; the list grows with every request for pixels that arrives."""
    asked: list[Asked] = []
    with serve(world.folder / "catalog.jsonl", **conditions) as server, pytest.MonkeyPatch.context() as patch:
        original = server._desk.take

        def take(request: Request) -> Answer:
            route = request.path.rpartition(":")[2]
            whole = len(request.body) == int(request.headers.get("content-length", "0"))
            if route in {"getPixels", "computePixels"} and whole:  # a client may be killed while it asks
                asked.append(_asked(route, json.loads(request.body)["grid"]))
            return original(request)

        patch.setattr(server._desk, "take", take)
        yield server, asked


def command(config: Path, *options: str) -> list[str]:
    """The command line that builds."""
    return [
        sys.executable,
        "-c",
        "from pipeline.cli import main; main()",
        "build",
        str(config),
        *options,
    ]


def environment(server: Server) -> dict[str, str]:
    """The environment of a build that reads from an emulator."""
    return {**os.environ, "SKYTELLER_EE_URL": server.url, "COLUMNS": "200"}


def build(config: Path, server: Server, *options: str) -> subprocess.CompletedProcess[str]:
    """Build in a process of its own."""
    return subprocess.run(
        command(config, *options), env=environment(server), capture_output=True, text=True, check=False
    )


@dataclass
class Samples:
    """The pictures of a release, by column and row of their windows, and how many there are."""

    pictures: dict[tuple[int, int], npt.NDArray[np.uint8]] = field(default_factory=dict)
    count: int = 0


def read_samples(release: Path) -> Samples:
    """Decode all pictures of a release."""
    samples = Samples()
    for path in sorted(release.rglob("*.tar")):
        with tarfile.open(path) as tar:
            members = {member.name: member for member in tar.getmembers()}
            for name, member in members.items():
                stem, _, suffix = name.rpartition(".")
                if suffix != "png":
                    continue
                window = json.loads(_extract(tar, members[f"{stem}.json"]))["metadata"]["window"]
                with Image.open(io.BytesIO(_extract(tar, member))) as image:
                    samples.pictures[window["col"], window["row"]] = np.asarray(image)
                samples.count += 1
    return samples


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def _asked(route: str, grid: dict[str, Any]) -> Asked:
    affine, size = grid["affineTransform"], grid["dimensions"]
    col, row = (affine["translateX"] - WEST) / GSD, (NORTH - affine["translateY"]) / GSD
    assert abs(col - round(col)) < 1e-4
    assert abs(row - round(row)) < 1e-4
    return Asked(route, round(col), round(row), size["width"], size["height"])


def _read(path: Path, columns: list[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path, columns=columns).to_pylist()
    return rows


def _write_wood(path: Path, width: int, height: int) -> None:
    """One wood, somewhat larger than the image."""
    to_lonlat = Transformer.from_crs("EPSG:26918", "EPSG:4326", always_xy=True)
    corners = [(-50, -50), (width + 50, -50), (width + 50, height + 50), (-50, height + 50)]
    with osmium.SimpleWriter(str(path)) as writer:
        for n, (col, row) in enumerate(corners, 1):
            location = to_lonlat.transform(WEST + col * GSD, NORTH - row * GSD)
            writer.add_node(mutable.Node(id=n, location=location, version=1))
        writer.add_way(mutable.Way(id=1, nodes=[1, 2, 3, 4, 1], tags={"landuse": "forest"}, version=1))
