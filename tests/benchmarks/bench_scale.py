"""Whether a dataset of 100,000 cells can be planned, and what 100 million patches take.

The commits of all stages are written through the ledger without the work behind them, for cells of 1,000 patches
under NAIP's grid of quarter quadrangles (0.0625 degrees, 1.5 scenes a cell). Then fresh processes plan: from an
empty store, from commits alone, from commits with the cache that the plan before has left, and from a store in which
the captions of all cells are ready. Each plans twice, the second time as the next round of a build does.

Predicted: 0.1 ms a unit for fingerprint and commit, 7 units a cell: 60 to 70 s for 100,000 cells, 0.7 GB.
Asked for: 60 s and 1 GB.
Measured for 100,489 cells, two cores, up to one of them busy with other work: planning a finished dataset 48 and 56 s,
865 MB (27 to 31 s in later rounds of a build), 97 s and 841 MB without the cache (before counts
were added up as they are now); with the captions of all cells ready 30 s and 738 MB (later 16 to 20 s); a new one 12 s and
457 MB. 316 MB are there before the plan. Before the scenes of cells were sorted and hashed a few thousand cells at a time,
long infos kept compressed, shards planned as places in a sum, and counts added up without a value for each: 66 s and 1.10 GB
for the finished one. Listing 612,323 commits takes 20 s, most of it beside the planning.

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
from datetime import date
from pathlib import Path

import numpy as np
import shapely

from pipeline.annotators import VllmCaptions
from pipeline.captions.engines import assumed_usage
from pipeline.config import Requests
from pipeline.configfile import load_config
from pipeline.estimate import cost_of
from pipeline.grid import cells_in
from pipeline.imagery.forecast import Forecast
from pipeline.imagery.places import Place
from pipeline.inventory import take_inventory
from pipeline.ledger import Ledger
from pipeline.plan import make_plan
from pipeline.stages.base import Context
from pipeline.types import Asset, Scene
from tests.small_world import make_world
from tests.synthetic import OUTPUTS, SAMPLES, Doer

_WEST, _SOUTH = -104.0, 31.0
_QUARTER_DEG = 0.0625  # NAIP: https://naip-usdaonline.hub.arcgis.com/, quarter quadrangles of 3.75 minutes
_ZOOM = 12
_PATCHES = 100_000_000
_PATCH_PX = 448
_IMAGE_BYTES = 100_000  # assumed: JPEG of quality 95
_TOKENS_PER_S = 5_000  # assumed: what one engine writes; `skyteller estimate` takes the measured rate


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
    context = context_of(folder, cells)
    ledger = Doer(context)
    make_plan(context, ledger)
    print(f"{ledger.written:,} commits written in {time.perf_counter() - began:.0f} s", flush=True)
    shutil.rmtree(folder / "store" / "cache" / "briefs", ignore_errors=True)


def undo(folder: Path, cells: int) -> None:
    """Take back captions and what follows: the captions of all cells are ready then."""
    began = time.perf_counter()
    for stage in ("captions", "samples", "shards", "release"):
        shutil.rmtree(folder / "store" / "commits" / stage)
        (folder / "store" / "cache" / "briefs" / f"{stage}.parquet").unlink(missing_ok=True)
    print(f"captions of {cells:,} cells taken back in {time.perf_counter() - began:.0f} s", flush=True)


def plan(folder: Path, cells: int) -> None:
    """Plan once, in a process of its own."""
    context = context_of(folder, cells)
    before = _peak_mb()
    began, cpu = time.perf_counter(), time.process_time()
    ledger = Ledger(context.store)
    found = make_plan(context, ledger)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = _peak_mb()
    ready = sum(len(stage.ready) for stage in found.stages)
    done = sum(len(stage.done) for stage in found.stages)
    cpu_again = time.process_time()
    make_plan(context, ledger)
    cpu_again = time.process_time() - cpu_again
    print(
        f"{done:,} units done, {ready:,} ready: {took:.1f} s ({cpu:.1f} s of CPU), "
        f"peak {peak:.0f} MB, of which {before:.0f} MB before the plan; "
        f"the next plan of a build takes {cpu_again:.1f} s of CPU",
        flush=True,
    )


def _peak_mb() -> float:
    """The most memory that this process had, in millions of bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def listing(folder: Path, cells: int) -> None:
    """List the commits."""
    store = context_of(folder, min(cells, 100)).store
    began = time.perf_counter()
    n = sum(1 for _ in store.list("commits"))
    print(f"{n:,} commits listed in {time.perf_counter() - began:.1f} s", flush=True)


def hundred_million() -> None:
    """Print what 100 million dense patches of 448 NAIP pixels take, by the planner of the build."""
    asset = Asset("USDA/NAIP/DOQQ/a", "2021", ("R", "G", "B"), "uint8")
    scene = Scene(
        "a",
        asset,
        "EPSG:26917",
        (0.6, 0, 0, 0, -0.6, 0),
        10_160,
        12_400,
        date(2021, 6, 15),
        0.6,
        (0, 0, 1, 1),
    )
    columns, rows = scene.width // _PATCH_PX, scene.height // _PATCH_PX
    quota = Requests(in_flight=40, per_second=100)
    total = Forecast()
    for west, north in ((0, 0), (1, 0), (0, 1), (1, 1)):  # cells cut a scene into four, about
        total += cost_of(
            [
                Place(f"{col}-{row}", scene, col * _PATCH_PX, row * _PATCH_PX, _PATCH_PX)
                for col in range(columns * west // 2, columns * (west + 1) // 2)
                for row in range(rows * north // 2, rows * (north + 1) // 2)
            ],
            quota,
        )
    scale = _PATCHES / total.patches
    model = VllmCaptions(type="vllm", model="any/model", revision="0" * 40)
    usage = assumed_usage(model)
    cells, shards = _PATCHES // SAMPLES, _PATCHES // 10_000
    per_cell = sum(1 + len(OUTPUTS[stage]) for stage in OUTPUTS if stage not in ("shards", "release")) + 2
    print(
        f"100 million patches: {scale * total.requests / 1e6:.2f} million requests "
        f"({total.patches / total.requests:.0f} patches each), {scale * total.bytes / 1e12:.0f} TB over the wire\n"
        f"  at 40 in flight and 100 a second: {scale * total.rate_s / 86400:.1f} days by the rate, "
        f"{scale * total.slots_s / 86400:.1f} by the slots, {scale * total.transfer_s / 86400:.1f} by 200 Mbit/s\n"
        f"  captions: {usage.prompt_tokens} tokens read and {usage.output_tokens} written a patch; "
        f"{_PATCHES * usage.output_tokens / _TOKENS_PER_S / 86400:,.0f} GPU-days at {_TOKENS_PER_S:,} written a second\n"
        f"  images: {_PATCHES * _IMAGE_BYTES / 1e12:.0f} TB at {_IMAGE_BYTES // 1000} kB, kept three times: "
        f"pixels, shards, release\n"
        f"  objects: {(cells * per_cell + shards * 4) / 1e6:.2f} million; commits: {(cells * 6 + shards + 1) / 1e6:.2f} "
        f"million, {-(-cells * 6 // 1000) + shards // 1000 + 1:,} pages of a listing"
    )


def main() -> None:
    """Print times and memory."""
    hundred_million()
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
            ("taking back", undo),
            ("half done", plan),
        ]
        for title, step in steps:
            print(f"{title}: ", end="", flush=True)
            process = multiprocessing.get_context("spawn").Process(target=step, args=(folder, cells))
            process.start()
            process.join()


if __name__ == "__main__":
    main()
