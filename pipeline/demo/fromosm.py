"""Draws imagery for a real OSM extract, clearly marked as a drawing: for trying tags and captions on real maps."""

import json
import math
import multiprocessing
import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import rasterio
import shapely
from rasterio.transform import Affine
from rasterio.windows import Window

from pipeline.demo.files import writing
from pipeline.demo.maplayers import Drawing, read_drawing
from pipeline.demo.paint import Brush, Picture
from pipeline.errors import Misconfigured, SkytellerError
from pipeline.grid import Ints, from_lonlat
from pipeline.osm.snapshot import data_bounds
from pipeline.types import Affine6, Bounds

SCENE_PX, STEP_PX = 6000, 5824
"""Size of a scene, and step between scenes: 13 patches of 448 pixels, so that no patch is lost at a seam."""

_MARK = "Synthetic drawing of OpenStreetMap data, not a photograph. Map data (c) OpenStreetMap contributors, ODbL 1.0"
_DATE = "20220701"
_PATCH_PX = 448
_MAX_PIXELS = 20e9
_STRIP = 512
_MAX_WORKERS = 8  # each takes some 300 MB

_CONFIG = """\
# Drawn from {source}: a picture of the map, not a photograph. Good for trying tags and captions, not for training.
name: {name}
{area}store: ./store
osm: {{type: pbf, path: {path}}}
imagery:
  type: geotiff
  paths: imagery
  collection: synthetic
  bands: [R, G, B]
  license: "ODbL-1.0 (synthetic drawing, not a photograph)"
  attribution: "synthetic drawing, not a photograph; map data (c) OpenStreetMap contributors"
captions: {{type: template}}
"""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class _Tile:
    """Where a scene lies, and the numbers of the shapes that are drawn on it."""

    name: str
    transform: Affine6
    width: int
    height: int
    touched: Ints


@dataclass(frozen=True, slots=True)
class _Job:
    """All that a worker needs to draw one scene."""

    path: Path
    crs: str
    tile: _Tile
    drawing: Drawing
    seed: int


def draw_osm(
    osm: Path,
    folder: Path,
    *,
    gsd_m: float = 0.6,
    seed: int = 0,
    bbox: Bounds | None = None,
    progress: Progress | None = None,
) -> Path:
    """Draw scenes for what an OSM file shows, and a config that uses both.

    Parameters
    ----------
    osm
        An OSM file; it stays where it is.
    folder
        Where to write ``imagery/synthetic_*.tif`` and ``dataset.yaml``; created if missing.
    gsd_m
        Ground sample distance of the drawing, metres, 0.1 to 30.
    seed
        Seed of the textures.
    bbox
        The part to draw, degrees; all of the file by default.
    progress
        Is told what is done, how many scenes are drawn, and how many there are.

    Returns
    -------
    The path of the config.

    Raises
    ------
    Misconfigured
        The file cannot be read or shows nothing there, or the drawing would be too large.
    StoreError
        The folder cannot be written.
    """
    if not 0.1 <= gsd_m <= 30:
        raise Misconfigured(f"ground sample distance of {gsd_m:g} m: give 0.1 to 30")
    bounds = _clipped(osm, bbox)
    crs = _utm_zone((bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2)
    extent = _extent(bounds, crs)
    _check_size(osm, extent, gsd_m)
    with writing(folder):
        (folder / "imagery").mkdir(parents=True, exist_ok=True)
        for old in (folder / "imagery").glob(
            "synthetic_*.tif"
        ):  # of an earlier drawing, perhaps at another GSD
            old.unlink()
    drawing = read_drawing(osm, crs)
    tiles = list(_tiles(drawing, extent, gsd_m))
    if not tiles:
        raise Misconfigured(f"{osm}: nothing that can be seen from above lies within {bounds}")
    jobs = (
        _Job(
            folder / "imagery" / f"{tile.name}.tif",
            crs,
            tile,
            Drawing(drawing.shapes[tile.touched], drawing.materials[tile.touched]),
            seed,
        )
        for tile in tiles
    )
    for done, _ in enumerate(_run(jobs, len(tiles)), 1):
        if progress:
            progress("drawing", done, len(tiles))
    config = folder / "dataset.yaml"
    with writing(config):
        config.write_text(_config(osm, folder, bbox), encoding="utf-8")
    return config


def _clipped(osm: Path, bbox: Bounds | None) -> Bounds:
    """The bounds of the file's data, cut to a box."""
    bounds = data_bounds(osm)
    if bbox:
        bounds = (*np.maximum(bounds[:2], bbox[:2]).tolist(), *np.minimum(bounds[2:], bbox[2:]).tolist())
    if not (bounds[0] < bounds[2] and bounds[1] < bounds[3]):
        raise Misconfigured(
            f"{osm}: the box {bbox} does not meet the file's data, which lie in {data_bounds(osm)}"
        )
    return bounds


def _utm_zone(lon: float, lat: float) -> str:
    zone = min(int((lon + 180) // 6), 59) + 1
    return f"EPSG:{32600 + zone if lat >= 0 else 32700 + zone}"


def _extent(bounds: Bounds, crs: str) -> Bounds:
    """Bounds in metres."""
    outline = shapely.get_coordinates(shapely.segmentize(shapely.box(*bounds), 0.05))
    x, y = from_lonlat(crs).transform(outline[:, 0], outline[:, 1])
    return (float(np.min(x)), float(np.min(y)), float(np.max(x)), float(np.max(y)))


def _check_size(osm: Path, extent: Bounds, gsd_m: float) -> None:
    pixels = (extent[2] - extent[0]) * (extent[3] - extent[1]) / gsd_m**2
    if not pixels < _MAX_PIXELS:
        raise Misconfigured(
            f"{osm}: {pixels / 1e9:.0f} billion pixels at {gsd_m:g} m, more than {_MAX_PIXELS / 1e9:.0f} billion; "
            "cut the file to a smaller area or give a coarser ground sample distance"
        )


def _tiles(drawing: Drawing, extent: Bounds, gsd_m: float) -> Iterator[_Tile]:
    """All scenes on which anything is drawn, north-west to south-east."""
    west, north = math.floor(extent[0] / gsd_m) * gsd_m, math.ceil(extent[3] / gsd_m) * gsd_m
    width, height = (
        max(_PATCH_PX, math.ceil(size / gsd_m)) for size in (extent[2] - west, north - extent[1])
    )
    tree = shapely.STRtree(drawing.shapes)
    for row, top in enumerate(range(0, max(1, height - SCENE_PX + STEP_PX), STEP_PX)):
        for col, left in enumerate(range(0, max(1, width - SCENE_PX + STEP_PX), STEP_PX)):
            across, down = min(SCENE_PX, width - left), min(SCENE_PX, height - top)
            x, y = west + left * gsd_m, north - top * gsd_m
            window = shapely.box(x, y - down * gsd_m, x + across * gsd_m, y)
            touched = np.sort(tree.query(window, predicate="intersects"))
            if touched.size:
                name = f"synthetic_r{row:03}_c{col:03}_{_DATE}"
                yield _Tile(name, (gsd_m, 0.0, x, 0.0, -gsd_m, y), across, down, touched)


def _run(jobs: Iterable[_Job], total: int) -> Iterator[None]:
    """Draw scenes on as many processes as there are processors; few jobs wait at a time."""
    workers = min(os.cpu_count() or 1, _MAX_WORKERS, total)
    if workers == 1:
        yield from map(_draw_scene, jobs)
        return
    with _whole_pool(), ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        running: set[Future[None]] = set()
        for job in jobs:
            running.add(pool.submit(_draw_scene, job))
            if len(running) > workers:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        for future in as_completed(running):
            yield future.result()


@contextmanager
def _whole_pool() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise SkytellerError("a drawing process died (out of memory, or killed); run again") from error


def _draw_scene(job: _Job) -> None:
    tile = job.tile
    profile = {
        "driver": "GTiff", "width": tile.width, "height": tile.height, "count": 3, "dtype": "uint8", "crs": job.crs,
        "transform": Affine(*tile.transform), "tiled": True, "blockxsize": 512, "blockysize": 512,
        "compress": "jpeg", "jpeg_quality": 85, "photometric": "YCbCr", "interleave": "pixel",
    }  # fmt: skip
    picture, brush = Picture(job.drawing.shapes, job.drawing.materials), _brush(job.seed)
    a, _, west, _, e, north = tile.transform
    with writing(job.path), rasterio.open(job.path, "w", **profile) as file:
        file.update_tags(TIFFTAG_IMAGEDESCRIPTION=_MARK, SYNTHETIC="YES")
        for top in range(0, tile.height, _STRIP):
            strip = (a, 0.0, west, 0.0, e, north + e * top)
            canvas = picture.materials(strip, tile.width, min(_STRIP, tile.height - top))
            file.write(brush.paint(canvas, strip, 3), window=Window(0, top, *canvas.shape[::-1]))


@cache
def _brush(seed: int) -> Brush:
    return Brush(seed)


def _config(osm: Path, folder: Path, bbox: Bounds | None) -> str:
    path = json.dumps(os.path.relpath(osm.resolve(), folder.resolve()), ensure_ascii=False)
    name = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(\.osm)?(\.[a-z0-9]+)?$", "", osm.name.lower()))[:63].strip(
        "-"
    )
    area = f"area: {{bbox: {list(bbox)}}}\n" if bbox else ""
    return _CONFIG.format(source=" ".join(osm.name.split()), name=name or "map", area=area, path=path)
