"""Commands that plan and build a dataset."""

import json
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipeline.cli.app import ConfigPath, Workers, app, load_context, report, run_build
from pipeline.config import DatasetConfig
from pipeline.configfile import load_config
from pipeline.errors import Misconfigured
from pipeline.estimate import Estimate, estimate
from pipeline.imagery.collections import find_collection
from pipeline.imagery.earthengine.doctor import examine
from pipeline.imagery.earthengine.listing import questions_left
from pipeline.inventory import area_of, open_store
from pipeline.ledger import Ledger
from pipeline.plan import make_plan
from pipeline.show import console, counts_table, estimate_lines, plan_table
from pipeline.sources import EarthEngineSource

_MOST_LISTINGS = 4
"""Listings that `check` asks for itself; with what else it asks, it stays below 20 requests."""

Budget = Annotated[
    int | None, Parameter(help="Stop with exit code 4 after so many requests to an imagery service.")
]


@app.command
def init(path: Annotated[Path, Parameter(help="Where to write it.")] = Path("dataset.yaml")) -> None:
    """Write a commented config to start from."""
    if path.exists():
        msg = f"{path} exists already; it is left as it is"
        raise Misconfigured(msg)
    path.write_text(
        (files("pipeline") / "dataset.example.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    console.print(f"wrote {path}; edit it, then `skyteller check {path}`")


@app.command
def check(
    config: ConfigPath,
    *,
    relist: Annotated[
        bool, Parameter(help="Ask an imagery service again which scenes there are, and keep that answer.")
    ] = False,
) -> None:
    """Look at config, inputs, store and disk before any work, and list all problems at once.

    Earth Engine is asked a few small things: token, project, one asset, 16 x 16 pixels.
    """
    problems: list[str] = []
    unlisted = 0
    try:
        unlisted = _examine(config)
    except Misconfigured as error:
        problems.append(str(error))
    if unlisted > _MOST_LISTINGS and not relist:
        console.print(f"scenes     {unlisted} listings are still to be asked for; `skyteller plan` does that")
        return
    try:
        context = load_context(config, relist=relist)
    except Misconfigured as error:
        problems += [line for line in str(error).splitlines() if line not in problems]
    if problems:
        raise Misconfigured("\n".join(problems))
    context.store.put("cache/check", b"ok")
    context.store.delete("cache/check")
    pixels = sum(scene.width * scene.height for scene in context.scenes)
    console.print(f"OSM file   {context.snapshot.path} ({context.snapshot.timestamp or 'no timestamp'})")
    console.print(f"imagery    {len(context.scenes)} scenes, {pixels / 1e6:.1f} million pixels")
    for scene in context.scenes[:10]:
        console.print(f"           {scene.id}: {scene.crs}, {scene.gsd_m:.3g} m, {scene.date or 'no date'}")
    if context.rejected:
        console.print(f"           {len(context.rejected)} cannot be used:")
    for name, reason in context.rejected[:10]:
        console.print(f"           {name}: {reason}", markup=False)
    console.print(f"area       {len(context.cells)} cells at zoom {context.config.cell_zoom}")
    if context.store.root is not None:
        free = shutil.disk_usage(context.store.root).free
        console.print(f"store      {context.store.root}, {free / 1e9:.1f} GB free")
    console.print("everything needed is there")


@app.command
def plan(config: ConfigPath) -> None:
    """Show which units are done, ready and waiting, and what they will ask an imagery service for."""
    context = load_context(config)
    found = make_plan(context, Ledger(context.store))
    console.print(plan_table(found))
    _print_estimate(estimate(context, found, bound=False))


@app.command(name="estimate")
def estimate_command(config: ConfigPath) -> None:
    """Estimate what the rest of a build asks an imagery service for: requests, bytes, time, EECU."""
    context = load_context(config)
    found = estimate(context, make_plan(context, Ledger(context.store)))
    if found is None:
        console.print("imagery from local files: no requests")
    _print_estimate(found)


@app.command
def status(config: ConfigPath) -> None:
    """Show what is done and what became of the items. Reads commits only."""
    context = load_context(config)
    found = make_plan(context, Ledger(context.store))
    console.print(plan_table(found))
    console.print()
    console.print(counts_table(found))
    console.print("finished" if found.finished else "not finished: `skyteller build` goes on")


@app.command(name="build")
def build_command(config: ConfigPath, *, workers: Workers = None, budget: Budget = None) -> int:
    """Build the dataset: run what is not done yet, then pack the release."""
    outcome, context = run_build(config, workers, budget)
    report(outcome, context)
    return outcome.exit_code


@app.command
def retry(config: ConfigPath, *, workers: Workers = None) -> int:
    """Forget the units in which items failed, and build again."""
    context = load_context(config)
    failed = [
        commit
        for stage in make_plan(context, Ledger(context.store)).stages
        for commit in stage.done
        if commit.counts.failed
    ]
    for commit in failed:
        context.store.delete(commit.key)
    console.print(f"{len(failed)} units with failed items are tried again")
    return build_command(config, workers=workers)


@app.command
def schema() -> None:
    """Print the JSON Schema of dataset.yaml."""
    console.out(json.dumps(DatasetConfig.model_json_schema(), indent=2))


def _examine(config: Path) -> int:
    """Ask an imagery service a few small things; the number of listings that are still to be asked for."""
    settings, base = load_config(config), config.absolute().parent
    source = settings.imagery
    if not isinstance(source, EarthEngineSource):
        return 0
    store = open_store(settings, base)
    area = area_of(settings, base, store)
    for topic, found in examine(settings, base, area):
        console.print(f"{topic:10} {found}", markup=False)
    return questions_left(store, source, find_collection(source), area)


def _print_estimate(found: Estimate | None) -> None:
    for line in () if found is None else estimate_lines(found):
        console.print(line)
