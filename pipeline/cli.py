"""The `skyteller` command."""

import json
import logging
import shutil
import sys
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter
from rich.logging import RichHandler

import pipeline
from pipeline.config import DatasetConfig, Runtime
from pipeline.configfile import load_config
from pipeline.demo import draw_osm, make_world
from pipeline.engine import Outcome, build
from pipeline.errors import Misconfigured, SkytellerError
from pipeline.inventory import take_inventory
from pipeline.ledger import Ledger
from pipeline.osm.coverage import coverage
from pipeline.osm.vocabulary import load_vocabulary
from pipeline.plan import make_plan
from pipeline.rebuild import rebuild as prove
from pipeline.release.read import describe, read_sample
from pipeline.release.verify import verify as verify_release
from pipeline.show import console, counts_table, errors, plan_table, progress, total
from pipeline.stages.base import Context

app = App(
    name="skyteller",
    help="Build remote-sensing image-text datasets from open maps and aerial imagery.",
    version=pipeline.__version__,
)

Workers = Annotated[int | None, Parameter(help="Worker processes; overrides runtime.workers.")]
ConfigPath = Annotated[Path, Parameter(help="The dataset.yaml.")]


@app.command
def demo(
    out: Annotated[Path, Parameter(help="Folder for inputs, store and release.")] = Path("demo"),
    *,
    osm: Annotated[
        Path | None, Parameter(help="Draw imagery for this OSM file instead of the made-up town.")
    ] = None,
    gsd: Annotated[float, Parameter(help="With --osm: ground sample distance of the drawing, metres.")] = 0.6,
    workers: Workers = None,
) -> int:
    """Make a small world, build a dataset from it, and show where it is. Needs no account or network."""
    if osm is None:
        console.print("drawing a made-up town ...")
        config_path = make_world(out)
    else:
        console.print(f"drawing imagery for {osm} (synthetic: a drawing of the map, not a photograph) ...")
        with progress() as tell:
            config_path = draw_osm(osm, out, gsd_m=gsd, progress=lambda what, _done, of: tell(what, 1, of))
    outcome, context = _build(config_path, workers)
    _report(outcome, context)
    return outcome.exit_code


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
def check(config: ConfigPath) -> None:
    """Look at config, inputs, store and disk before any work, and list all problems at once."""
    context = _context(config)
    context.store.put("cache/check", b"ok")
    context.store.delete("cache/check")
    pixels = sum(scene.width * scene.height for scene in context.scenes)
    console.print(f"OSM file   {context.snapshot.path} ({context.snapshot.timestamp or 'no timestamp'})")
    console.print(f"imagery    {len(context.scenes)} scenes, {pixels / 1e6:.1f} million pixels")
    for scene in context.scenes[:10]:
        console.print(f"           {scene.id}: {scene.crs}, {scene.gsd_m:.3g} m, {scene.date or 'no date'}")
    console.print(f"area       {len(context.cells)} cells at zoom {context.config.cell_zoom}")
    if context.store.root is not None:
        free = shutil.disk_usage(context.store.root).free
        console.print(f"store      {context.store.root}, {free / 1e9:.1f} GB free")
    console.print("everything needed is there")


@app.command
def plan(config: ConfigPath) -> None:
    """Show which units are done, ready and waiting. Reads commits only."""
    context = _context(config)
    console.print(plan_table(make_plan(context, Ledger(context.store))))


@app.command
def status(config: ConfigPath) -> None:
    """Show what is done and what became of the items. Reads commits only."""
    context = _context(config)
    found = make_plan(context, Ledger(context.store))
    console.print(plan_table(found))
    console.print()
    console.print(counts_table(found))
    console.print("finished" if found.finished else "not finished: `skyteller build` goes on")


@app.command(name="build")
def build_command(config: ConfigPath, *, workers: Workers = None) -> int:
    """Build the dataset: run what is not done yet, then pack the release."""
    outcome, context = _build(config, workers)
    _report(outcome, context)
    return outcome.exit_code


@app.command
def retry(config: ConfigPath, *, workers: Workers = None) -> int:
    """Forget the units in which items failed, and build again."""
    context = _context(config)
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
def inspect(
    release: Annotated[Path, Parameter(help="Folder of a release.")],
    key: Annotated[str, Parameter(help="Key of a sample.")],
    *,
    rebuild: Annotated[
        bool, Parameter(help="Make the sample again from the inputs and compare the bytes.")
    ] = False,
    inputs: Annotated[
        Path, Parameter(help="With --rebuild: folder that the config's paths start from.")
    ] = Path(),
    out: Annotated[Path | None, Parameter(help="Write the picture here.")] = None,
) -> int:
    """Show one sample: picture, facts, captions, provenance."""
    sample = read_sample(release, key)
    if out is not None:
        out.write_bytes(sample.image)
        console.print(f"picture written to {out}")
    console.print(describe(sample), markup=False)
    if not rebuild:
        return 0
    proof = prove(release, key, inputs)
    for name in proof.identical:
        console.print(f"rebuilt {name}: identical, byte for byte")
    for name in proof.different:
        errors.print(f"rebuilt {name}: DIFFERENT")
    return 1 if proof.different else 0


@app.command
def verify(release: Annotated[Path, Parameter(help="Folder of a release.")]) -> int:
    """Prove a release whole: hashes, members, counts, schema, images."""
    with progress() as tell:
        report = verify_release(release, tell)
    for problem in report.problems:
        errors.print(problem, markup=False)
    if report.problems:
        errors.print(f"{release}: NOT whole, {len(report.problems)} problems")
        return 1
    console.print(f"{release}: whole ({report.samples} samples in {report.shards} shards)")
    return 0


@app.command
def schema() -> None:
    """Print the JSON Schema of dataset.yaml."""
    console.out(json.dumps(DatasetConfig.model_json_schema(), indent=2))


@app.command
def vocabulary(
    osmfile: Annotated[Path, Parameter(help="An OSM file.")],
    *,
    top: Annotated[int, Parameter(help="Tags to list.")] = 30,
) -> None:
    """Count which elements of a file the tag vocabulary speaks of, and list the tags it does not know."""
    found = coverage(osmfile, load_vocabulary())
    console.print(f"{found.seen} elements with a feature key: {found.phrase} with a phrase,")
    for reason, n in sorted(found.invisible.items(), key=lambda item: -item[1]):
        console.print(f"{n:9} invisible: {reason}")
    console.print(f"{found.neither:9} in neither ({found.share_neither:.2%})")
    for tag, n in found.leftovers.most_common(top):
        console.print(f"{n:9} {tag}", markup=False)


def main() -> None:
    """Run the command line; a user's mistake ends in one message, not in a traceback."""
    logging.basicConfig(
        level=logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=errors, show_time=False, show_path=False)],
    )
    try:
        code = app(sys.argv[1:], exit_on_error=False, result_action="return_value")
    except CycloptsError:
        sys.exit(Misconfigured.exit_code)  # the message is printed already
    except SkytellerError as error:
        errors.print(f"error: {error}", markup=False)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        errors.print("stopped; what is committed is safe, run the same command to go on")
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _context(path: Path, workers: int | None = None) -> Context:
    config = load_config(path)
    if workers is not None:
        if workers < 1:
            msg = f"--workers: needs at least 1, got {workers}"
            raise Misconfigured(msg)
        runtime = Runtime(workers=workers, scratch=config.runtime.scratch)
        config = config.model_copy(update={"runtime": runtime})
    return take_inventory(config, path.absolute().parent)


def _build(path: Path, workers: int | None) -> tuple[Outcome, Context]:
    context = _context(path, workers)
    with progress() as tell:
        return build(context, tell), context


def _report(outcome: Outcome, context: Context) -> None:
    console.print()
    console.print(counts_table(outcome.plan))
    if outcome.errors:
        errors.print(f"{len(outcome.errors)} units could not be built; see above, mend, and run again")
    name = context.config.name
    if outcome.plan.finished:
        place = (
            context.store.root / "releases" / name
            if context.store.root
            else f"{context.store.url}/releases/{name}"
        )
        console.print(f"release    {place}")
        console.print(
            f"samples    {total(outcome.plan, 'release').kept}; contact-sheet.jpg and README.md show some"
        )
        console.print(f"next       skyteller verify {place}")
