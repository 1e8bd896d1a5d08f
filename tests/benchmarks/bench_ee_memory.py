"""Peak memory of a process that fetches large blocks with 40 requests in flight.

Blocks of 6 x 6 patches of 448 px are 21.7 MB each. An emulator in another process answers after a while; small
requests come first, until 40 are in flight together. The reader drops each patch at once. Answers wait at the
gate (`runtime.requests.memory_mb`) until they may be read.
Predicted: under 600 MB at the default of 192 MB, of which about 150 MB are the process without any pixels;
the same however long it runs.

Run with ``python tests/benchmarks/bench_ee_memory.py [ROUNDS]``.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import urllib3
from rasterio.transform import from_origin
from rasterio.windows import Window

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline.config import DatasetConfig
from pipeline.imagery.earthengine.source import open_pixels
from pipeline.imagery.emulator.server import serve
from pipeline.imagery.places import Place
from pipeline.types import Asset, Product, Scene

PATCH, ACROSS, DOWN = 448, 36, 42
IN_FLIGHT = 42
"""Two of these are kept for masks, so 40 are in flight."""
TRANSFORM = (0.6, 0.0, 340_000.0, 0.0, -0.6, 4_372_000.0)


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_image(folder / "large.tif")
        line = {"collection": "TEST/ORTHO", "index": "large", "path": "large.tif", "start": "2021-06-15"}
        (folder / "catalog.jsonl").write_text(json.dumps(line))
        with subprocess.Popen(
            [sys.executable, __file__, "serve", str(folder)], stdout=subprocess.PIPE, text=True
        ) as server:
            try:
                assert server.stdout is not None
                url = server.stdout.readline().strip()
                subprocess.run([sys.executable, __file__, "read", url, str(rounds)], check=True)
                found = urllib3.request("GET", f"{url}/_emulator/stats").json()
            finally:
                server.terminate()
            print(f"peak in flight {found['peak_in_flight']}, requests {found['requests']}")


def write_image(path: Path) -> None:
    """A large image whose pixels are never 0, small on disk."""
    texture = np.random.default_rng(1).integers(1, 255, (3, PATCH, 512), np.uint8)
    row = np.tile(texture, (1, 1, ACROSS * PATCH // 512 + 1))[:, :, : ACROSS * PATCH]
    profile = {
        "driver": "GTiff", "width": ACROSS * PATCH, "height": DOWN * PATCH, "count": 3, "dtype": "uint8",
        "crs": "EPSG:26918", "transform": from_origin(340_000.0, 4_372_000.0, 0.6, 0.6), "interleave": "pixel",
        "photometric": "rgb",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        for n in range(DOWN):
            file.write(row, window=Window(0, n * PATCH, ACROSS * PATCH, PATCH))


def serve_images(folder: Path) -> None:
    """Serve until terminated."""
    with serve(folder, latency_s=0.1) as server:
        print(server.url, flush=True)
        server.wait()


def read(url: str, rounds: int) -> None:
    """Read all patches and print what it took."""
    requests = {"in_flight": IN_FLIGHT, "per_second": 1000.0}
    collection = {
        "id": "TEST/ORTHO", "bands": ["R", "G", "B"], "gsd_m": 0.6, "license": "CC0", "attribution": "nobody",
    }  # fmt: skip
    config = DatasetConfig.model_validate(
        {
            "name": "memory",
            "osm": {"type": "pbf", "path": "none"},
            "imagery": {
                "type": "earthengine", "collection": collection, "start": "2021-01-01", "end": "2021-12-31",
                "project": "test", "url": url,
            },
            "runtime": {"workers": 1, "requests": requests},
        }
    )  # fmt: skip
    asset = Asset("TEST/ORTHO/large", "2021", ("R", "G", "B"), "uint8", 1)
    scene = Scene(
        "large", asset, "EPSG:26918", TRANSFORM, ACROSS * PATCH, DOWN * PATCH, None, 0.6, (0.0, 0.0, 0.0, 0.0)
    )
    places = [
        Place(f"{row}-{col}", scene, col * PATCH, row * PATCH, PATCH)
        for row in range(DOWN)
        for col in range(ACROSS)
    ]
    product = Product("test", "CC0", "nobody", None)
    print(f"before        {peak_mb():6.0f} MB")
    few = [Place(place.patch, scene, place.col, place.row, 16) for place in places]
    sum(len(batch) for batch in open_pixels(config, Path(), product).read(few))
    print(f"small ones    {peak_mb():6.0f} MB")
    for n in range(1, rounds + 1):
        start, cpu = time.perf_counter(), time.process_time()
        many = sum(len(batch) for batch in open_pixels(config, Path(), product).read(places))
        seconds = time.perf_counter() - start
        print(
            f"after round {n} {peak_mb():6.0f} MB, {many} patches, {many / seconds:.0f}/s, "
            f"{(time.process_time() - cpu) / many * 1000:.2f} ms of CPU each",
            flush=True,
        )


def peak_mb() -> float:
    """Largest memory that this process has held, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve_images(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["read"]:
        read(sys.argv[2], int(sys.argv[3]))
    else:
        main()
