"""The `skyteller` application, and what several commands share."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

import pipeline
from pipeline.config import Runtime
from pipeline.configfile import load_config
from pipeline.engine import Outcome, build
from pipeline.errors import Misconfigured
from pipeline.imagery.allowance import Allowance
from pipeline.inventory import take_inventory
from pipeline.show import console, counts_table, errors, progress, total
from pipeline.stages.base import Context

app = App(
    name="skyteller",
    help="Build remote-sensing image-text datasets from open maps and aerial imagery.",
    version=pipeline.__version__,
)

Workers = Annotated[int | None, Parameter(help="Worker processes; overrides runtime.workers.")]
ConfigPath = Annotated[Path, Parameter(help="The dataset.yaml.")]


def load_context(path: Path, workers: int | None = None, *, relist: bool = False) -> Context:
    """Read a config and look at everything it refers to."""
    config = load_config(path)
    if workers is not None:
        if workers < 1:
            msg = f"--workers: needs at least 1, got {workers}"
            raise Misconfigured(msg)
        runtime = Runtime(**(config.runtime.model_dump() | {"workers": workers}))
        config = config.model_copy(update={"runtime": runtime})
    return take_inventory(config, path.absolute().parent, relist=relist)


def run_build(path: Path, workers: int | None, budget: int | None = None) -> tuple[Outcome, Context]:
    """Build a dataset with progress on the screen."""
    context = load_context(path, workers)
    allowance = None if budget is None else Allowance(budget)
    with progress() as tell:
        return build(context, tell, allowance), context


def report(outcome: Outcome, context: Context) -> None:
    """Say what became of everything, and where the release is."""
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
