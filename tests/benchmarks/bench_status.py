"""How long a finished build of 10,000 units takes to be recognised as finished.

Commits of a finished build are written to a folder without doing the work behind them; then the plan is
made from nothing but those commits, in a fresh ledger, as `skyteller status` does.

Predicted: 10,000 small files at 80 microseconds each, and as much again for listing and hashing: 2 s.
Asked for: under 5 s. The ratio printed is plan time against the bare time of reading the same commits.
"""

import shutil
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import shapely

from pipeline.configfile import load_config
from pipeline.grid import cells_in
from pipeline.inventory import take_inventory
from pipeline.ledger import Ledger
from pipeline.plan import make_plan
from tests.small_world import make_world
from tests.synthetic import Doer


def main() -> None:
    """Print seconds for the plan, for the bare reads, and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        config = make_world(Path(folder), shards={"max_samples": 10_000})
        small = take_inventory(load_config(config), Path(folder))
        area = (-80.0, 36.0, -76.45, 38.7)
        context = replace(
            small, area=shapely.to_wkb(shapely.box(*area)), area_bounds=area, cells=tuple(cells_in(area, 12))
        )
        doer = Doer(context)
        make_plan(context, doer)
        units = doer.written
        shutil.rmtree(Path(folder) / "store" / "cache" / "briefs")
        plans, cached, reads = [], [], []
        for _ in range(5):
            began = time.perf_counter()
            plan = make_plan(context, Ledger(context.store))
            plans.append(time.perf_counter() - began)
            assert plan.finished
            cache = time.perf_counter()
            make_plan(context, Ledger(context.store))
            cached.append(time.perf_counter() - cache)
            shutil.rmtree(Path(folder) / "store" / "cache" / "briefs")
            began = time.perf_counter()
            for key, _ in list(context.store.list("commits")):
                context.store.get(key)
            reads.append(time.perf_counter() - began)
        took, bare = statistics.median(plans), statistics.median(reads)
        print(f"{units} units recognised as finished in {took:.2f} s (median of 5); bare reads {bare:.2f} s")
        print(f"again, with the cache of commits that the first plan left: {statistics.median(cached):.2f} s")
        print(f"ratio {took / bare:.2f}")


if __name__ == "__main__":
    main()
