"""Images in memory, and expressions of Earth Engine's own client to compute with them."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

import ee
import numpy as np
import numpy.typing as npt
import pytest
import shapely
from google.auth.credentials import AnonymousCredentials

from pipeline.grid import crs_to_pixel, pixel_to_crs, to_lonlat
from pipeline.imagery.emulator.compute import evaluate, evaluate_image
from pipeline.imagery.emulator.discovery import discovery_document
from pipeline.imagery.emulator.images import Computed
from pipeline.imagery.emulator.values import Band, Grid, Pixels, RequestError

CRS = "EPSG:26918"
GRID = Grid(CRS, (0.5, 0.0, 340_000.0, 0.0, -0.5, 4_372_000.0), 40, 30)
"""A grid of half metres, whose coordinates are exact in binary."""


class MemoryImage:
    """An image of arrays, read at the nearest pixel in its own CRS."""

    def __init__(
        self,
        name: str,
        data: Mapping[str, npt.NDArray[Any]],
        *,
        grid: Grid = GRID,
        valid: npt.NDArray[np.bool_] | None = None,
        properties: Mapping[str, Any] | None = None,
    ) -> None:
        self.data, self.grid = data, grid
        self.valid = np.ones((grid.height, grid.width), dtype=bool) if valid is None else valid
        self.bands = [Band(name, str(values.dtype)) for name, values in data.items()]
        self.properties = {"system:id": name, "system:index": name.rpartition("/")[2], **(properties or {})}
        x, y = pixel_to_crs(grid.transform, [0, grid.width, grid.width, 0], [0, 0, grid.height, grid.height])
        self.footprint = shapely.Polygon(np.column_stack(to_lonlat(grid.crs).transform(x, y)))
        self.reads: list[Grid] = []

    def read(self, bands: Sequence[str], grid: Grid) -> Pixels:
        assert grid.crs == self.grid.crs
        self.reads.append(grid)
        col, row = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
        cols, rows = crs_to_pixel(self.grid.transform, *pixel_to_crs(grid.transform, col, row))
        i, j = np.floor(rows).astype(int), np.floor(cols).astype(int)
        inside = (i >= 0) & (i < self.grid.height) & (j >= 0) & (j < self.grid.width)
        at = np.where(inside, i, 0), np.where(inside, j, 0)
        valid = inside & self.valid[at]
        return Pixels(
            {band: np.where(valid, self.data[band][at], 0).astype(self.data[band].dtype) for band in bands},
            dict.fromkeys(bands, valid),
        )


class MemoryCatalog:
    """Collections of such images."""

    def __init__(self, collections: Mapping[str, Sequence[MemoryImage]]) -> None:
        self.collections = collections
        self.images = {image.properties["system:id"]: image for c in collections.values() for image in c}

    def image(self, name: str) -> MemoryImage:
        if name not in self.images:
            raise RequestError(400, "INVALID_ARGUMENT", f"Image.load: Image asset '{name}' not found.")
        return self.images[name]

    def collection(self, name: str) -> Sequence[MemoryImage]:
        if name not in self.collections:
            raise RequestError(400, "INVALID_ARGUMENT", f"ImageCollection.load: '{name}' not found.")
        return self.collections[name]


class _Stub(BaseHTTPRequestHandler):
    """As much of a server as the client needs to learn which functions there are."""

    def do_GET(self) -> None:
        if "discovery" in self.path:
            body = json.dumps(discovery_document(f"http://{self.headers['Host']}/")).encode()
        else:
            body = files("pipeline.imagery.emulator").joinpath("algorithms.json").read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def initialized_client() -> Iterator[None]:
    """Earth Engine's client, with the emulator's functions."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Stub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ee.deprecation, "_FetchDataCatalogStac", dict)
            url = f"http://127.0.0.1:{server.server_port}"
            ee.Initialize(AnonymousCredentials(), url=url, project="emulator")
            yield
    finally:
        session = ee._state.get_state().requests_session
        if session is not None:
            session.close()
        ee.Reset()
        server.shutdown()
        thread.join()
        server.server_close()


def expression_of(value: Any) -> Any:
    """What the client sends for a value."""
    return json.loads(json.dumps(ee.serializer.encode(value)))


def value_of(value: Any, catalog: MemoryCatalog) -> Any:
    """A value as the emulator works it out."""
    return evaluate(expression_of(value), catalog)


def image_of(value: Any, catalog: MemoryCatalog) -> Computed:
    """An image as the emulator works it out."""
    return evaluate_image(expression_of(value), catalog)
