"""The pixel line against the bare reads and JPEG encodes of the same windows.

"Bare" is the sum of two loops that keep nothing: rasterio window reads, and Pillow encodes of the same windows
from (H, W, 3) arrays that were made before and are not counted.

"Line" is read, cut, encode, pack: the stage's reader and encoder, and a shard written and hashed member by member.
Predicted: bare / line is at least 0.85, since only tar headers, hash and the copies come on top.

"Stage + shard" is all that a build does between the image file and the shard. It also measures quality, flushes
parts to the device, writes and hashes the tables, and reads them back for the shard.

Run with ``python tests/benchmarks/bench_pixels.py [--profile]``. CPU time is the figure to compare on a busy machine.
"""

import cProfile
import io
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
from PIL import Image
from rasterio.transform import from_origin
from rasterio.windows import Window

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline.config import DatasetConfig
from pipeline.grid import cell_name, cell_of
from pipeline.ids import file_sha256
from pipeline.imagery.encode import encode
from pipeline.imagery.geotiff import find_scenes
from pipeline.imagery.quality import measure
from pipeline.imagery.windows import WindowReader
from pipeline.ledger import Commit, Unit
from pipeline.release.tar import write_tar
from pipeline.sources import GeotiffSource
from pipeline.stages.base import Context, Work, put_table
from pipeline.stages.pixels import STAGE
from pipeline.store import Store
from pipeline.tables import PATCHES
from pipeline.types import Counts, OsmFile, Product, Snapshot
from tests.imagery.tiffs import file_of

SIDE, PX, ROUNDS = 5376, 448, 7
PLACES = [(col, row) for row in range(0, SIDE, PX) for col in range(0, SIDE, PX)]
WINDOWS = len(PLACES)
ZURICH = (
    Path(__file__).resolve().parents[2].parent / "shared" / "data" / "aerial" / "zurich-50cm-epsg2056.tif"
)
FORMATS: dict[str, dict[str, object]] = {
    "deflate": {"compress": "deflate", "predictor": 2},
    "jpeg q90": {"compress": "jpeg", "photometric": "ycbcr", "jpeg_quality": 90},
}


def main() -> None:
    texture = _quilt()
    with tempfile.TemporaryDirectory() as folder:
        for name, options in FORMATS.items():
            path = Path(folder) / f"{name.replace(' ', '-')}.tif"
            _write(path, texture, options)
            _compare(name, path, Path(folder))


def _compare(name: str, path: Path, folder: Path) -> None:
    context = _context(path, folder / f"store-{path.stem}")
    work = _work(context)
    rounds = [_round(context, replace(work, fingerprint=f"{i:032x}"), folder) for i in range(ROUNDS + 1)]
    for clock, label in ((0, "wall"), (1, "CPU")):
        parts = [
            {part: times[clock] for part, times in each.items()} for each in rounds[1:]
        ]  # the first warms up
        ms = {part: statistics.median(each[part] for each in parts) / WINDOWS * 1e3 for part in parts[0]}
        ratios = {
            " + ".join(ours): statistics.median(
                (each["read"] + each["encode"]) / sum(each[part] for part in ours) for each in parts
            )
            for ours in (("line",), ("line", "measure"), ("stage", "shard"))
        }
        print(
            f"{name:9} {label:4} ms a window: "
            + ", ".join(f"{part} {value:.2f}" for part, value in ms.items())
        )
        print(f"{'':14} bare (read + encode) / " + ", / ".join(f"({x}) {y:.3f}" for x, y in ratios.items()))
    if "--profile" in sys.argv:
        with cProfile.Profile() as profile:
            list(STAGE.run(context, [replace(work, fingerprint="f" * 32)]))
        pstats.Stats(profile).sort_stats("tottime").print_stats(18)


def _round(context: Context, work: Work, folder: Path) -> dict[str, tuple[float, float]]:
    """Wall and CPU seconds of each competitor."""
    (scene,) = context.scenes
    bands = _bare_reads(Path(file_of(scene).path))
    woven = [np.ascontiguousarray(window.transpose(1, 2, 0)) for window in bands]
    return {
        "read": _timed(lambda: _bare_reads(Path(file_of(scene).path))),
        "line": _timed(lambda: _line(context, folder)),
        "encode": _timed(lambda: _bare_encodes(woven)),
        "measure": _timed(lambda: _measures(bands)),
        "stage": _timed(lambda: list(STAGE.run(context, [work]))),
        "shard": _timed(lambda: _shard(context, work, folder)),
    }


def _bare_reads(path: Path) -> list[np.ndarray]:
    with rasterio.open(path) as dataset:
        return [dataset.read(window=Window(col, row, PX, PX)) for col, row in PLACES]


def _bare_encodes(windows: list[np.ndarray]) -> None:
    for window in windows:
        Image.fromarray(window).save(io.BytesIO(), "JPEG", quality=95, subsampling="4:2:0")


def _measures(windows: list[np.ndarray]) -> None:
    valid = np.ones((PX, PX), dtype=bool)
    for window in windows:
        measure(window.transpose(1, 2, 0), valid)


def _line(context: Context, folder: Path) -> None:
    (scene,) = context.scenes
    with WindowReader() as reader:

        def members() -> Iterator[tuple[str, bytes]]:
            for start in range(0, WINDOWS, 12):  # as the stage does: 12 windows are a batch
                batch = [reader.read(scene, col, row, PX) for col, row in PLACES[start : start + 12]]
                for i, window in enumerate(batch, start):
                    yield f"{i:06d}.jpg", encode(window.pixels, context.config.shards)

        write_tar(folder / "line.tar", members())


def _shard(context: Context, work: Work, folder: Path) -> None:
    """A shard of the unit's images, row group by row group as the release reads them."""
    with context.store.open(f"tables/pixels/{work.unit.cell}/{work.fingerprint}.images.parquet") as source:
        images = pq.ParquetFile(source)
        members = (
            (f"{group:06d}-{i:06d}.jpg", image.as_py())
            for group in range(images.num_row_groups)
            for i, image in enumerate(images.read_row_group(group, ["image"]).column("image"))
        )
        write_tar(folder / "stage.tar", members)


def _timed(call: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def _quilt() -> np.ndarray:
    """Aerial texture of SIDE x SIDE pixels: pieces of a real image, mirrored at random."""
    with rasterio.open(ZURICH) as dataset:
        source = dataset.read()
    rng, piece = np.random.default_rng(0), 128
    quilt = np.empty((3, SIDE, SIDE), np.uint8)
    for row in range(0, SIDE, piece):
        for col in range(0, SIDE, piece):
            top, left = rng.integers(source.shape[1] - piece), rng.integers(source.shape[2] - piece)
            flips = (slice(None), *(slice(None, None, step) for step in rng.choice([-1, 1], 2)))
            quilt[:, row : row + piece, col : col + piece] = source[
                :, top : top + piece, left : left + piece
            ][flips]
    return quilt


def _write(path: Path, pixels: np.ndarray, options: dict[str, object]) -> None:
    grid = {"crs": "EPSG:2056", "transform": from_origin(2679062.5, 1248000, 0.5, 0.5)}
    size = {"width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8"}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": "pixel"}
    with rasterio.open(path, "w", driver="GTiff", **grid, **size, **tiles, **options) as dataset:
        dataset.write(pixels)


def _context(path: Path, store: Path) -> Context:
    config = DatasetConfig.model_validate(
        {
            "name": "bench",
            "osm": {"type": "pbf", "path": "none"},
            "imagery": {"type": "geotiff", "paths": str(path), "license": "none", "attribution": "none"},
        }
    )
    assert isinstance(config.imagery, GeotiffSource)
    scenes = find_scenes([path], config.imagery, file_sha256)
    snapshot = Snapshot((OsmFile("none", "0", None),))
    return Context(
        config,
        store,
        Store(str(store)),
        snapshot,
        Product("local", "none", "none"),
        scenes,
        b"",
        scenes[0].footprint,
        (),
    )


def _work(context: Context) -> Work:
    """A unit whose patches table holds all windows of the scene."""
    (scene,) = context.scenes
    west, south, _, _ = scene.footprint
    x, y = cell_of(west, south, 12)
    cell = cell_name(int(x), int(y), 12)
    n = WINDOWS
    columns = {
        "id": [f"{col:08d}{row:08d}" for col, row in PLACES],
        "scene": [scene.id] * n,
        "col": [col for col, _ in PLACES],
        "row": [row for _, row in PLACES],
        "size": [PX] * n,
        "rank": [0.0] * n,
    }
    table = pa.table(
        [pa.array(columns.get(field.name, [None] * n), field.type) for field in PATCHES], schema=PATCHES
    )
    facts = Unit("facts", cell)
    source = Work(facts, "0" * 32, None, {})
    output = put_table(context, source, "patches", table)
    commit = Commit(facts, source.fingerprint, Counts(n, n), {"patches": output})
    return Work(Unit("pixels", cell), "0" * 32, None, {facts: commit})


if __name__ == "__main__":
    main()
