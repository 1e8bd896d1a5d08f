"""Commands that plan and build a dataset."""

import json
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipeline.captions.engines import examine as examine_captions
from pipeline.cli.app import ConfigPath, Share, Workers, app, load_context, report
from pipeline.cli.deployments import AsFlow, run_build_or_flow
from pipeline.config import DatasetConfig
from pipeline.configfile import load_config
from pipeline.errors import Misconfigured, StoreError, Transient
from pipeline.estimate import CaptionEstimate, Estimate, estimate, estimate_captions
from pipeline.imagery.earthengine.doctor import examine
from pipeline.imagery.earthengine.source import listings_left
from pipeline.inventory import NotFetched, area_of, open_store
from pipeline.ledger import Ledger
from pipeline.orphans import end_with_input
from pipeline.osm.fetch import present, survey
from pipeline.part import build_part, context_of
from pipeline.plan import make_plan
from pipeline.pool import run_here
from pipeline.show import caption_lines, console, counts_table, errors, estimate_lines, plan_table
from pipeline.sources import EarthEngineSource
from pipeline.stages.base import Context

_MOST_LISTINGS = 2
"""Listings that `check` asks for itself: with some pages each, and what else it asks, that stays below 20 requests."""

Budget = Annotated[int | None, Parameter(help="Stop with exit code 4 after so many requests for pixels.")]


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
    settings, base = load_config(config), config.absolute().parent
    store = open_store(settings, base)
    problems: list[str] = []
    unlisted = 0
    try:
        if isinstance(settings.imagery, EarthEngineSource):
            area = area_of(settings, base, store)
            if area is not None:
                unlisted = listings_left(settings, base, store, area)
                for topic, found in examine(settings, base, area):
                    console.print(f"{topic:10} {found}", markup=False)
    except Misconfigured as error:
        problems.append(str(error))
    try:
        _check_captions(settings, base)
    except (Misconfigured, Transient) as error:
        problems.append(str(error))
    context = snapshot = None
    try:
        if unlisted > _MOST_LISTINGS and not relist:
            snapshot = present(settings, base, store)
        else:
            context = load_context(config, relist=relist, fetch=False)
            snapshot = context.snapshot
    except NotFetched:
        pass
    except Misconfigured as error:
        problems += [line for line in str(error).splitlines() if line not in problems]
    if snapshot is None and not problems:
        try:
            for topic, found in survey(settings, store):
                console.print(f"{topic:10} {found}", markup=False)
        except (Misconfigured, Transient, StoreError) as error:
            problems.append(str(error))
    if problems:
        raise Misconfigured("\n".join(problems))
    store.put("cache/check", b"ok")
    store.delete("cache/check")
    for file in () if snapshot is None else snapshot.files:
        console.print(f"OSM file   {file.path} ({file.timestamp or 'no timestamp'})", markup=False)
    if context is not None:
        _print_imagery(context)
    elif snapshot is None:
        console.print("imagery    is looked at in full when the map is there", markup=False)
    else:
        console.print(f"imagery    {unlisted} listings are still to be asked for; `skyteller plan` does that")
    if store.root is not None:
        console.print(f"store      {store.root}, {shutil.disk_usage(store.root).free / 1e9:.1f} GB free")
    console.print("everything needed is there")


@app.command
def plan(config: ConfigPath) -> None:
    """Show which units are done, ready and waiting, and what they will ask imagery services and language models for."""
    context = load_context(config)
    found = make_plan(context, Ledger(context.store))
    console.print(plan_table(found))
    _print_estimate(estimate(context, found, bound=False), estimate_captions(context, found))


@app.command(name="estimate")
def estimate_command(config: ConfigPath) -> None:
    """Estimate what the rest of a build asks for: requests, bytes, time, EECU; tokens and hours of caption models."""
    context = load_context(config)
    plan = make_plan(context, Ledger(context.store))
    found = estimate(context, plan)
    if found is None:
        console.print("imagery from local files: no requests")
    _print_estimate(found, estimate_captions(context, plan))


@app.command
def status(config: ConfigPath) -> None:
    """Show what is done and what became of the items. Reads commits only."""
    context = load_context(config, fetch=False)
    found = make_plan(context, Ledger(context.store))
    console.print(plan_table(found))
    console.print()
    console.print(counts_table(found))
    console.print("finished" if found.finished else "not finished: `skyteller build` goes on")


@app.command(name="build")
def build_command(
    config: ConfigPath,
    *,
    workers: Workers = None,
    budget: Budget = None,
    share: Share = None,
    prefect: AsFlow = None,
) -> int:
    """Build the dataset: run what is not done yet, then pack the release."""
    outcome, context = run_build_or_flow(config, workers, budget, share, prefect)
    report(outcome, context)
    return outcome.exit_code


@app.command(show=False)
def part(
    config: Annotated[str, Parameter(help="A dataset.yaml, or STORE/contexts/NAME.json as handed out.")],
    *units: Annotated[str, Parameter(help="Names of units, such as captions/12-1-2.")],
    leash: Annotated[bool, Parameter(help="End as soon as standard input does.", negative="")] = False,
) -> int:
    """Build units that another process has planned: the other end of `pipeline.interpreter`."""
    if leash:
        end_with_input()
    failed = build_part(context_of(config), units, run_here)
    for unit, message in failed.items():
        errors.print(f"{unit}: {message}", markup=False)
    return 3 if failed else 0


@app.command
def retry(config: ConfigPath, *, workers: Workers = None) -> int:
    """Forget the units in which items failed, and build again."""
    context = load_context(config)
    failed = [
        done
        for stage in make_plan(context, Ledger(context.store)).stages
        for done in stage.done
        if done.counts.failed
    ]
    for done in failed:
        context.store.delete(done.key)
    console.print(f"{len(failed)} units with failed items are tried again")
    return build_command(config, workers=workers)


@app.command
def schema() -> None:
    """Print the JSON Schema of dataset.yaml."""
    console.out(json.dumps(DatasetConfig.model_json_schema(), indent=2))


def _print_imagery(context: Context) -> None:
    """The scenes of a dataset, and what of the collection cannot be used."""
    pixels = sum(scene.width * scene.height for scene in context.scenes)
    listed = f", listed {context.listed}" if context.listed else ""
    console.print(f"imagery    {len(context.scenes)} scenes, {pixels / 1e6:.1f} million pixels{listed}")
    for scene in context.scenes[:10]:
        console.print(f"           {scene.id}: {scene.crs}, {scene.gsd_m:.3g} m, {scene.date or 'no date'}")
    if context.rejected:
        console.print(f"           {len(context.rejected)} cannot be used:")
    for name, reason in context.rejected[:10]:
        console.print(f"           {name}: {reason}", markup=False)
    console.print(f"area       {len(context.cells)} cells at zoom {context.config.cell_zoom}")


def _print_estimate(found: Estimate | None, captions: CaptionEstimate | None) -> None:
    for line in () if found is None else estimate_lines(found):
        console.print(line)
    for line in () if captions is None else caption_lines(captions):
        console.print(line)


def _check_captions(settings: DatasetConfig, base: Path) -> None:
    """Print what is known of the caption engines. Raises Misconfigured or Transient where they cannot work."""
    for topic, found in examine_captions(settings.captions, base, settings.runtime.gpus):
        console.print(f"{topic:10} {found}", markup=False)
