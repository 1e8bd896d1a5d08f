"""Pixels of Earth Engine: our reader against one request per patch on 40 threads, as RSTeller fetches them.

The emulator runs in a process of its own, answers after 50 ms, and holds every client to a project's quota: 40
requests in flight, 100 a second. Every run is a fresh process that has connected and read one patch before the
clock starts. Patches are 448 px RGB windows of NAIP-sized scenes (10,000 x 12,300 px at 0.6 m, uncompressed).

"ours" is what the `pixels` stage reads through, with the default config. "get_pixels" is `ee.data.getPixels`
with the client's own retries. "download" is `getDownloadURL` and a GET of what it names. All pixels that were
delivered are compared with the file, after the clock has stopped; keeping a copy of them until then counts in
the time of every way, but not in its CPU.

Predicted: in a dense area at least 5 x the patches a second with at most 1/20 of the requests, where the others
are bound by 100 requests a second; in sparse areas as fast, as nothing is saved where patches lie alone; client
CPU below 1 ms a patch. The forecast of the requests for blocks is exact.

"black pixels" is the dense area with 1000 black pixels in the scene. They could be missing ones, so the mask
is asked for too: the worst case, twice the requests.

Run with ``python -m tests.benchmarks.bench_earthengine``. Client and server share the cores: ratios count.
"""

import hashlib
import io
import json
import logging
import multiprocessing
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import shapely
from rasterio.transform import from_origin
from rasterio.windows import Window

from pipeline.config import DatasetConfig
from pipeline.estimate import cost_of
from pipeline.imagery.collections import find_collection, product_of
from pipeline.imagery.earthengine.source import earthengine_of, find_assets, open_pixels
from pipeline.imagery.emulator.quota import Quota
from pipeline.imagery.emulator.server import serve
from pipeline.imagery.places import Place
from pipeline.store import Store
from pipeline.types import Asset, Scene

PX, WIDTH, HEIGHT, GSD_M = 448, 10_000, 12_300, 0.6
KM2 = WIDTH * HEIGHT * GSD_M**2 / 1e6
COLLECTION, RGB, THREADS, ROUNDS = "USDA/NAIP/DOQQ", ["R", "G", "B"], 40, 3
LATENCY_S, QUOTA = 0.05, Quota(40, 100)
WHERE = shapely.box(-75.02, 39.0, -74.9, 39.1)  # around the scenes' upper-left corner


@dataclass(frozen=True)
class Run:
    """Seconds of wall and CPU; requests sent, for blocks, refused, in flight at most; hashes of the pixels."""

    wall_s: float
    cpu_s: float
    requests: int
    blocks: int
    refused: int
    peak: int
    found: dict[str, str]


Fetch = Callable[[Sequence[Place]], Iterator[tuple[str, npt.NDArray[np.uint8]]]]
"""Gets the pixels of patches, (H, W, 3), in any order."""


def main() -> None:
    """Compare in all areas."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_catalog(folder)
        with _emulator(folder) as (url, server_cpu):
            config = _config(url)
            listing = find_assets(config, folder, Store(str(folder / "store")), WHERE)[1]
            scenes = {scene.id: scene for scene in listing.scenes}
            for title, places, ways in _cases(scenes):
                _compare(title, places, ways, folder, url, server_cpu)


def _compare(
    title: str,
    places: Sequence[Place],
    ways: Sequence[str],
    folder: Path,
    url: str,
    server_cpu: Callable[[], float],
) -> None:
    """Let all ways take turns, check what they delivered, and print their medians."""
    truth = _truth(folder, places)
    planned = cost_of(places, _config(url).runtime.requests).requests
    runs: dict[str, list[Run]] = {way: [] for way in ways}
    serving: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way in ways:
            before = server_cpu()
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
                run = fresh.submit(_timed, way, url, places).result()
            serving[way].append(server_cpu() - before)
            runs[way].append(run)
            assert run.found == truth, f"{title}: {way} did not deliver the file's pixels"
            assert way != "ours" or run.blocks == planned, f"{title}: {run.blocks} blocks, forecast {planned}"
    n = len(places)
    print(f"{title}: {n} patches, median of {ROUNDS}; forecast {planned} requests")
    for way, each in runs.items():
        rate, requests, cpu, refused = (
            statistics.median(values)
            for values in zip(
                *((n / run.wall_s, run.requests, run.cpu_s / n * 1e3, run.refused) for run in each),
                strict=True,
            )
        )
        times, saved = (
            statistics.median(pairs)
            for pairs in zip(
                *(
                    (other.wall_s / run.wall_s, other.requests / run.requests)
                    for run, other in zip(runs["ours"], each, strict=True)
                ),
                strict=True,
            )
        )
        print(
            f"  {way:10} {rate:6.0f} patches/s, {requests:5.0f} requests ({refused:.0f} refused, at most "
            f"{max(run.peak for run in each)} in flight), CPU {cpu:.2f} ms a patch (server "
            f"{statistics.median(serving[way]) / n * 1e3:.2f}); ours is {times:.2f} x as fast with 1/{saved:.1f} "
            "of the requests"
        )


def _timed(way: str, url: str, places: Sequence[Place]) -> Run:
    """One run, in a process of its own."""
    logging.getLogger().addHandler(logging.NullHandler())  # the client warns of every retry
    fetch = _ours(url) if way == "ours" else _theirs(url, way)
    list(fetch(places[:1]))
    numbers = {place.patch: number for number, place in enumerate(places)}
    kept = np.ones((len(places), PX, PX, 3), np.uint8)  # for later: nobody else holds on to pixels either
    _ask(f"{url}/_emulator/reset", b"")
    wall, cpu, copying = time.perf_counter(), time.process_time(), 0.0
    for patch, pixels in fetch(places):
        before = time.thread_time()
        kept[numbers[patch]] = pixels
        copying += time.thread_time() - before
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu - copying
    counted = _ask(f"{url}/_emulator/stats")
    return Run(
        wall,
        cpu,
        sum(counted["requests"].values()),
        counted["requests"].get("getPixels", 0),
        counted["statuses"].get("429", 0),
        counted["peak_in_flight"],
        {patch: _digest(kept[number]) for patch, number in numbers.items()},
    )


def _ours(url: str) -> Fetch:
    config = _config(url)
    source = earthengine_of(config)
    product = product_of(source, find_collection(source))

    def fetch(places: Sequence[Place]) -> Iterator[tuple[str, npt.NDArray[np.uint8]]]:
        for batch in open_pixels(config, Path(), product).read(places):
            for place, window in batch:
                assert window is not None, place.patch
                yield place.patch, window.pixels

    return fetch


def _theirs(url: str, way: str) -> Fetch:
    """Earth Engine's own client, a request (or what stands for one) per patch."""
    import ee  # noqa: PLC0415 - only for this competitor
    import requests  # noqa: PLC0415
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415

    ee.deprecation._FetchDataCatalogStac = dict
    ee.Initialize(AnonymousCredentials(), url=url, project="bench")

    def get_pixels(place: Place) -> Any:
        return ee.data.getPixels(
            {"assetId": _asset(place), "fileFormat": "NUMPY_NDARRAY", "bandIds": RGB, "grid": _grid(place)}
        )

    def download(place: Place) -> Any:
        a, _, c, _, e, f = place.scene.transform
        left, top = c + a * place.col, f + e * place.row
        region = ee.Geometry.Rectangle(
            [left, top + e * PX, left + a * PX, top], place.scene.crs, geodesic=False
        )
        image = ee.Image(_asset(place)).select(RGB)
        where = image.getDownloadURL(
            {
                "crs": place.scene.crs,
                "crs_transform": list(place.scene.transform),
                "region": region,
                "format": "NPY",
            }
        )
        while (answer := requests.get(where, timeout=60)).status_code == 429:
            time.sleep(1)
        answer.raise_for_status()
        return np.load(io.BytesIO(answer.content))

    ask = {"get_pixels": get_pixels, "download": download}[way]

    def fetch(places: Sequence[Place]) -> Iterator[tuple[str, npt.NDArray[np.uint8]]]:
        with ThreadPoolExecutor(THREADS) as threads:
            for place, pixels in zip(places, threads.map(ask, places), strict=True):
                yield place.patch, pixels.view(np.uint8).reshape(PX, PX, 3)

    return fetch


def _asset(place: Place) -> str:
    assert isinstance(place.scene.pixels, Asset)
    return place.scene.pixels.id


def _grid(place: Place) -> dict[str, Any]:
    a, _, c, _, e, f = place.scene.transform
    return {
        "crsCode": place.scene.crs,
        "affineTransform": {
            "scaleX": a,
            "translateX": c + a * place.col,
            "scaleY": e,
            "translateY": f + e * place.row,
        },
        "dimensions": {"width": PX, "height": PX},
    }


def _config(url: str) -> DatasetConfig:
    imagery = {
        "type": "earthengine",
        "collection": COLLECTION,
        "start": "2021-01-01",
        "end": "2021-12-31",
        "project": "bench",
        "url": url,
        "credentials": "anonymous",
    }
    runtime = {"workers": 1}
    return DatasetConfig.model_validate(
        {"name": "bench", "osm": {"type": "pbf", "path": "none"}, "imagery": imagery, "runtime": runtime}
    )


def _cases(scenes: dict[str, Scene]) -> Iterator[tuple[str, list[Place], list[str]]]:
    """Areas: title, patches, and the ways that are compared there."""
    grid = [(col, row) for row in range(0, HEIGHT - PX, PX) for col in range(0, WIDTH - PX, PX)]
    per_km2 = len(grid) / KM2
    dense = [_place(scenes["plain-00"], *corner) for corner in grid]
    yield f"dense ({per_km2:.0f}/km2)", dense, ["ours", "get_pixels", "download"]
    black = [_place(scenes["black"], *corner) for corner in grid]
    yield f"dense, black pixels ({per_km2:.0f}/km2)", black, ["ours", "get_pixels"]
    rng = np.random.default_rng(0)
    for density, count in ((3, 3), (1, 10), (0.2, 40)):
        sparse = [
            _place(scenes[f"plain-{number:02d}"], *grid[place])
            for number in range(count)
            for place in _scattered(
                rng, len(grid) // len(range(0, HEIGHT - PX, PX)), len(grid), round(density * KM2)
            )
        ]
        yield f"sparse ({density}/km2)", sparse, ["ours", "get_pixels"]


def _scattered(rng: np.random.Generator, across: int, n: int, wanted: int) -> list[int]:
    """Places of a grid: one half anywhere, the other half around two towns."""
    down, chosen = n // across, set[int]()
    towns = rng.uniform(0, (across, down), (2, 2))
    while len(chosen) < wanted:
        town = towns[int(rng.integers(2))] + rng.normal(0, 2, 2)
        col, row = town if len(chosen) % 2 else rng.uniform(0, (across, down))
        if 0 <= col < across and 0 <= row < down:
            chosen.add(int(row) * across + int(col))
    return sorted(chosen)


def _place(scene: Scene, col: int, row: int) -> Place:
    return Place(f"{scene.id} {col} {row}", scene, col, row, PX)


def _truth(folder: Path, places: Sequence[Place]) -> dict[str, str]:
    """Hashes of the file's pixels."""
    found = {}
    for place in places:
        with rasterio.open(folder / f"{place.scene.id.partition('-')[0]}.tif") as file:
            pixels = file.read(window=Window(place.col, place.row, PX, PX)).transpose(1, 2, 0)
        found[place.patch] = _digest(pixels)
    return found


def _digest(pixels: npt.NDArray[np.uint8]) -> str:
    return hashlib.blake2b(pixels.tobytes()).hexdigest()


def _write_catalog(folder: Path) -> None:
    """Two files, one of which stands for many scenes."""
    _write_scene(folder / "plain.tif", black=0)
    _write_scene(folder / "black.tif", black=1000)
    scenes = {"black": "black.tif"} | {f"plain-{number:02d}": "plain.tif" for number in range(40)}
    usual = {"collection": COLLECTION, "bands": RGB, "start": "2021-06-01", "end": "2021-06-02"}
    lines = [json.dumps(usual | {"index": index, "path": path}) for index, path in scenes.items()]
    (folder / "catalog.jsonl").write_text("\n".join(lines), encoding="utf-8")


def _write_scene(path: Path, *, black: int) -> None:
    """Noise without a black pixel, but for so many."""
    rng = np.random.default_rng(0)
    rows, cols = rng.integers(0, HEIGHT, black), rng.integers(0, WIDTH, black)
    size = {"width": WIDTH, "height": HEIGHT, "count": 3, "dtype": "uint8"}
    grid = {"crs": "EPSG:26918", "transform": from_origin(500_000, 4_320_000, GSD_M, GSD_M)}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": "pixel"}
    with rasterio.open(path, "w", driver="GTiff", **size, **grid, **tiles) as file:
        for top in range(0, HEIGHT, 512):
            tall = min(512, HEIGHT - top)
            pixels = rng.integers(1, 256, (3, tall, WIDTH), np.uint8)
            here = (rows >= top) & (rows < top + tall)
            pixels[:, rows[here] - top, cols[here]] = 0
            file.write(pixels, window=Window(0, top, WIDTH, tall))


@contextmanager
def _emulator(folder: Path) -> Iterator[tuple[str, Callable[[], float]]]:
    """An emulator in another process: its address, and a function that tells its CPU time so far."""
    spawn = multiprocessing.get_context("spawn")
    mine, its = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(its, folder), daemon=True)
    process.start()
    url = mine.recv()

    def cpu_s() -> float:
        mine.send("cpu")
        spent: float = mine.recv()
        return spent

    try:
        yield url, cpu_s
    finally:
        mine.send("end")
        process.join()


def _serve(pipe: Connection, folder: Path) -> None:
    with serve(folder / "catalog.jsonl", latency_s=LATENCY_S, quota=QUOTA) as server:
        pipe.send(server.url)
        while pipe.recv() == "cpu":
            pipe.send(time.process_time())


def _ask(url: str, body: bytes | None = None) -> dict[str, Any]:
    with urllib.request.urlopen(url, body) as answer:  # noqa: S310 - the emulator's address
        found: dict[str, Any] = json.load(answer)
    return found


if __name__ == "__main__":
    main()
