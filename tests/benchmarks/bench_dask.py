"""The stages behind the elements on a Dask cluster, two workers against one, and against processes without Dask.

Synthetic imagery is drawn for the real OSM extract of Monaco (the shared test data), and the elements are made
once: that pass over the file is not spread. Then facts, pixels, captions, samples, shards and release are built again
and again on clusters whose workers run already. Run with ``python tests/benchmarks/bench_dask.py [rounds]``.

Predicted: two workers at least 1.7 times as fast as one on two idle cores: the release (the last unit is alone), plans
and hand-outs of the parent are a twentieth of the work each. Dask as fast as processes within 10 %, for its messages
take milliseconds, where units take a second.

Measured on two idle cores, where workers, scheduler and parent share them: 8.0 s with one worker, 6.1 s with two, 1.36 times
as fast (facts 1.45, pixels 1.43, captions 1.35; shards and release, which are few units, not at all). By CPU time one
worker takes 7.5 s, two take 4.3 s each, the parent 0.6 s: 1.56 to 1.78 times as fast on cores of their own. What bounds it
on two cores: the parent and the scheduler need a fifth of one core, plans between rounds and the release are made by one
process, tables that every worker loads once (0.7 s for captions), and 20 units a round, of which the last ones leave a
worker idle. Processes without Dask took 1.36 times as long: they start anew in every round, workers of a cluster stay.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline.cluster import executor_of
from pipeline.config import Runtime
from pipeline.configfile import load_config
from pipeline.demo import draw_osm
from pipeline.engine import build
from pipeline.imagery.allowance import Allowance
from pipeline.inventory import take_inventory
from pipeline.jobs import Executor, Job, Results, jobs_of
from pipeline.ledger import Ledger
from pipeline.plan import make_plan
from pipeline.pool import run_here
from pipeline.stages.base import Context
from pipeline.store import Store
from tests.dask_cluster import machines
from tests.small_world import release_hashes

OSM = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "osm" / "monaco-2023.osm.pbf"
ZOOM, GSD_M = 15, 0.4


@dataclass
class Clock:
    """Seconds that an executor took, by the first stage of a round; those of the build; CPU of parent and workers."""

    execute: Executor
    seconds: dict[str, float] = field(default_factory=dict)
    cpu_s: list[float] = field(default_factory=list)

    def __call__(self, context: Context, jobs: Sequence[Job], allowance: Allowance | None) -> Results:
        began = time.perf_counter()
        yield from self.execute(context, jobs, allowance)
        self.seconds[jobs[0].stage] = time.perf_counter() - began


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with (
        tempfile.TemporaryDirectory() as name,
        machines(Path(name) / "one") as one,
        machines(Path(name) / "two") as two,
    ):
        folder = Path(name)
        one.start_workers(1)
        two.start_workers(1, 1)
        context = _prepared(folder)
        ways = {
            "processes 2": Runtime(workers=2),
            "dask 1": Runtime(executor="dask", address=one.address),
            "dask 2": Runtime(executor="dask", address=two.address),
        }
        pids = {"dask 1": [each.pid for each in one.workers], "dask 2": [each.pid for each in two.workers]}
        took: dict[str, list[Clock]] = {way: [] for way in ways}
        hashes = set()
        for number in range(rounds + 1):
            for way, runtime in ways.items():
                clock, found = _timed(context, runtime, folder / "trial", pids.get(way, []))
                hashes.add(str(found))
                if number:  # the first warms up
                    took[way].append(clock)
        assert len(hashes) == 1, "the releases differ"
        _print(took)
        print(
            f"load of this machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {len(context.cells)} cells"
        )


def _prepared(folder: Path) -> Context:
    """A world whose elements are done."""
    path = draw_osm(OSM, folder / "world", gsd_m=GSD_M)
    config = load_config(path).model_copy(update={"cell_zoom": ZOOM, "store": "./store"})
    context = take_inventory(config, path.parent)
    jobs = [
        job for job in jobs_of(make_plan(context, Ledger(context.store)), config, {}) if job.lane is not None
    ]
    list(run_here(context, jobs, None))
    return context


def _timed(
    context: Context, runtime: Runtime, folder: Path, pids: Sequence[int]
) -> tuple[Clock, dict[str, str]]:
    """Build in a fresh copy of the store."""
    assert context.store.root is not None
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(context.store.root, folder)
    config = context.config.model_copy(update={"runtime": runtime})
    trial = replace(context, config=config, store=Store(str(folder)))
    with executor_of(trial) as (execute, at_once):
        clock = Clock(execute)
        began, parent, before = time.perf_counter(), time.process_time(), [_cpu_s(pid) for pid in pids]
        outcome = build(trial, execute=clock, workers=at_once)
        clock.seconds["all"] = time.perf_counter() - began
        clock.cpu_s = [
            time.process_time() - parent,
            *(_cpu_s(p) - s for p, s in zip(pids, before, strict=True)),
        ]
    assert outcome.plan.finished
    return clock, release_hashes(folder / "releases" / config.name)


def _cpu_s(pid: int) -> float:
    """CPU time of a process so far (fields 14 and 15 of /proc/PID/stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _print(took: dict[str, list[Clock]]) -> None:
    stages = list(took["dask 1"][0].seconds)
    print("median seconds  " + "  ".join(f"{stage:>9}" for stage in stages))
    for way, clocks in took.items():
        medians = (statistics.median(clock.seconds[stage] for clock in clocks) for stage in stages)
        print(f"{way:15} " + "  ".join(f"{seconds:9.2f}" for seconds in medians))
    for slow, fast in (("dask 1", "dask 2"), ("processes 2", "dask 2")):
        ratios = {
            stage: statistics.median(
                a.seconds[stage] / b.seconds[stage] for a, b in zip(took[slow], took[fast], strict=True)
            )
            for stage in stages
        }
        print(f"{slow} / {fast}: " + ", ".join(f"{stage} {ratio:.2f}" for stage, ratio in ratios.items()))
    for one, two in zip(took["dask 1"], took["dask 2"], strict=True):
        (parent, alone), (other_parent, *both) = one.cpu_s, two.cpu_s
        print(
            f"CPU seconds: parent {parent:.1f} and worker {alone:.1f}; parent {other_parent:.1f} and workers "
            f"{' + '.join(f'{each:.1f}' for each in both)}: {alone / max(both):.2f} times as fast on cores of their own"
        )


if __name__ == "__main__":
    main()
