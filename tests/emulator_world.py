"""Images whose values tell where in the world they are, behind the Earth Engine emulator."""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ee
import ee.deprecation
import numpy as np
import numpy.typing as npt
import rasterio
from google.auth.credentials import AnonymousCredentials
from rasterio.transform import from_origin

from pipeline.imagery.emulator.server import Server
from pipeline.types import Affine6

CRS = "EPSG:26918"
WEST, NORTH, GSD = 340_000.0, 4_372_000.0, 0.6
"""Origin of the world's pixels, in `CRS`, and their size in metres."""

COLLECTION = "USDA/NAIP/DOQQ"
TILES = {
    "m_1_20190610": (0, 0, 1, "2019-06-10"),
    "m_2_20200715": (400, 0, 2, "2020-07-15"),
    "m_3_20210820": (0, 300, 3, "2021-08-20"),
}
"""Index: column and row of the upper-left pixel in the world, number, date."""
WIDTH, HEIGHT = 500, 400
"""Size of a tile, pixels."""


def world_pixels(col: int, row: int, width: int, height: int, tile: int) -> npt.NDArray[np.uint8]:
    """(4, H, W): column and row modulo 255, both divided by 255, and the tile's number; never 0."""
    cols, rows = np.meshgrid(np.arange(col, col + width), np.arange(row, row + height))
    bands = (cols % 255, rows % 255, (cols // 255 + 16 * (rows // 255)) % 255, np.full_like(cols, tile - 1))
    return (np.stack(bands) + 1).astype(np.uint8)


def write_image(
    path: Path, pixels: npt.NDArray[Any], *, col: int = 0, row: int = 0, gsd: float = GSD, **profile: Any
) -> Path:
    """Write (C, H, W) pixels at a place in the world, uncompressed and interleaved by pixel unless told otherwise."""
    count, height, width = pixels.shape
    usual = {
        "count": count, "height": height, "width": width, "dtype": pixels.dtype, "crs": CRS, "interleave": "pixel",
        "transform": from_origin(WEST + col * GSD, NORTH - row * GSD, gsd, gsd), "photometric": "MINISBLACK",
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", driver="GTiff", **(usual | profile)) as file:
        file.write(pixels)
    return path


def entry(path: str, **changes: Any) -> dict[str, Any]:
    """A line of a catalogue."""
    values: dict[str, Any] = {
        "collection": COLLECTION, "index": Path(path).stem, "path": path, "bands": ["R", "G", "B", "N"],
        "start": "2020-06-01T00:00:00Z", "end": "2020-06-02T00:00:00Z", "updated": "2024-01-01T00:00:00Z",
    }  # fmt: skip
    return values | changes


def write_catalogue(folder: Path, *entries: dict[str, Any]) -> Path:
    """Write ``catalog.jsonl``."""
    path = folder / "catalog.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in entries))
    return path


def make_world(folder: Path) -> Path:
    """The three tiles, which overlap, and their catalogue."""
    entries = []
    for name, (col, row, number, date) in TILES.items():
        write_image(folder / f"{name}.tif", world_pixels(col, row, WIDTH, HEIGHT, number), col=col, row=row)
        day = int(date[-2:])
        entries.append(
            entry(
                f"{name}.tif",
                start=date,
                end=f"{date[:-2]}{day + 1}",
                properties={"NUMBER": number, "STATE": "MD"},
            )
        )
    return write_catalogue(folder, *entries)


def place(col: float, row: float, gsd: float = GSD) -> Affine6:
    """The transform of a grid whose upper-left corner is at a pixel of the world."""
    return (gsd, 0.0, WEST + col * GSD, 0.0, -gsd, NORTH - row * GSD)


def request_grid(col: float, row: float, width: int, height: int, gsd: float = GSD) -> dict[str, Any]:
    """The ``grid`` of a request for pixels."""
    a, _, c, _, e, f = place(col, row, gsd)
    return {
        "crsCode": CRS,
        "affineTransform": {"scaleX": a, "translateX": c, "scaleY": e, "translateY": f},
        "dimensions": {"width": width, "height": height},
    }


@contextmanager
def client(server: Server, credentials: Any = None, project: str = "test-project") -> Iterator[None]:
    """The real Python client, initialised on an emulator."""
    fetch = ee.deprecation._FetchDataCatalogStac
    ee.deprecation._FetchDataCatalogStac = dict  # would ask the internet
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            ee.Initialize(credentials or AnonymousCredentials(), url=server.url, project=project)
        yield
    finally:
        ee.deprecation._FetchDataCatalogStac = fetch
        if (session := ee._state.get_state().requests_session) is not None:
            session.close()
        ee.Reset()
