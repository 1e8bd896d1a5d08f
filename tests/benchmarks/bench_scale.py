"""Whether a dataset of 100,000 cells can be planned, and what 100 million patches take.

The commits of all stages are written through the ledger without the work behind them, for cells of 1,000 patches
under NAIP's grid of quarter quadrangles (0.0625 degrees, 1.5 scenes a cell). Then fresh processes plan: from an
empty store, from commits alone, and from commits with the cache that the plan before has left.

Predicted: 0.1 ms a unit for fingerprint and commit, 7 units a cell: 60 to 70 s for 100,000 cells, 0.7 GB.
Asked for: 60 s and 1 GB.

``python tests/benchmarks/bench_scale.py [cells] [folder]``; the folder takes 7 small files a cell, a RAM disk by default.
"""

import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely

from pipeline.configfile import load_config
from pipeline.grid import cells_in
from pipeline.inventory import take_inventory
from pipeline.ledger import Ledger
from pipeline.plan import make_plan
from pipeline.stages.base import Context
from tests.small_world import make_world
from tests.synthetic import finish

_WEST, _SOUTH = -104.0, 31.0
_QUARTER_DEG = 0.0625  # NAIP: https://naip-usdaonline.hub.arcgis.com/, quarter quadrangles of 3.75 minutes
_ZOOM = 12


def context_of(folder: Path, cells: int) -> Context:
    """A square of so many cells, covered with scenes."""
    path = make_world(folder, shards={"max_samples": 10_000}, cell_zoom=_ZOOM)
    small = take_inventory(load_config(path), folder)
    side = round(cells**0.5)
    east = _WEST + (side - 0.5) * 360 / 2**_ZOOM
    north = _SOUTH
    while len(names := cells_in((_WEST, _SOUTH, east, north), _ZOOM)) < cells:
        north += 0.02
    lon, lat = np.meshgrid(
        np.arange(_WEST, east + _QUARTER_DEG, _QUARTER_DEG),
        np.arange(_SOUTH, north + _QUARTER_DEG, _QUARTER_DEG),
    )
    scenes = tuple(
        replace(small.scenes[0], id=f"m_{n:07}_ne_17_060_20210615", footprint=(x, y, x + 0.0688, y + 0.0688))
        for n, (x, y) in enumerate(zip(lon.ravel().tolist(), lat.ravel().tolist(), strict=True))
    )
    area = (_WEST, _SOUTH, east, north)
    return replace(
        small,
        area=shapely.to_wkb(shapely.box(*area)),
        area_bounds=area,
        cells=tuple(names),
        scenes=scenes,
    )


def fill(folder: Path, cells: int) -> None:
    """Write the commits."""
    began = time.perf_counter()
    n = sum(1 for _ in finish(context_of(folder, cells)))
    print(f"{n:,} commits written in {time.perf_counter() - began:.0f} s", flush=True)
    shutil.rmtree(folder / "store" / "cache" / "commits", ignore_errors=True)


def plan(folder: Path, cells: int) -> None:
    """Plan once, in a process of its own."""
    context = context_of(folder, cells)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, cpu = time.perf_counter(), time.process_time()
    found = make_plan(context, Ledger(context.store))
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ready = sum(len(stage.ready) for stage in found.stages)
    done = sum(len(stage.done) for stage in found.stages)
    print(
        f"{done:,} units done, {ready:,} ready: {took:.1f} s ({cpu:.1f} s of CPU), "
        f"peak {peak / 1024:.0f} MB, of which {before / 1024:.0f} MB before the plan",
        flush=True,
    )


def listing(folder: Path, cells: int) -> None:
    """List the commits."""
    store = context_of(folder, min(cells, 100)).store
    began = time.perf_counter()
    n = sum(1 for _ in store.list("commits"))
    print(f"{n:,} commits listed in {time.perf_counter() - began:.1f} s", flush=True)


def main() -> None:
    """Print times and memory."""
    cells = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    ram = Path("/dev/shm")  # noqa: S108 - a benchmark's own folder in it
    parent = sys.argv[2] if len(sys.argv) > 2 else ram if ram.is_dir() else None
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder = Path(name)
        steps: list[tuple[str, Callable[[Path, int], None]]] = [
            ("empty store", plan),
            ("writing", fill),
            ("listing", listing),
            ("finished, no cache", plan),
            ("finished", plan),
        ]
        for title, step in steps:
            print(f"{title}: ", end="", flush=True)
            process = multiprocessing.get_context("spawn").Process(target=step, args=(folder, cells))
            process.start()
            process.join()


if __name__ == "__main__":
    main()
