"""The `skyteller` application, and what several commands share."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

import pipeline
from pipeline.cluster import executor_of
from pipeline.config import Runtime
from pipeline.configfile import load_config
from pipeline.engine import Outcome, build
from pipeline.errors import Misconfigured
from pipeline.imagery.allowance import Allowance
from pipeline.inventory import take_inventory
from pipeline.shares import share_of
from pipeline.show import console, counts_table, errors, fetching, progress, total
from pipeline.stages.base import Context

app = App(
    name="skyteller",
    help="Build remote-sensing image-text datasets from open maps and aerial imagery.",
    version=pipeline.__version__,
    suppress_keyboard_interrupt=False,  # `main` says how to go on
)

Workers = Annotated[int | None, Parameter(help="Worker processes; overrides runtime.workers.")]
Share = Annotated[
    str | None,
    Parameter(
        help="Part of runtime.requests for this build, for example 1/4: others use the rest at the same time."
    ),
]
ConfigPath = Annotated[Path, Parameter(help="The dataset.yaml.")]


def load_context(
    path: Path,
    workers: int | None = None,
    *,
    share: str | None = None,
    relist: bool = False,
    fetch: bool = True,
) -> Context:
    """Read a config and look at everything it refers to; the map is fetched where it is not there yet."""
    config = load_config(path)
    if workers is not None:
        if workers < 1:
            msg = f"--workers: needs at least 1, got {workers}"
            raise Misconfigured(msg)
        runtime = Runtime(**(config.runtime.model_dump() | {"workers": workers}))
        config = config.model_copy(update={"runtime": runtime})
    if share is not None:
        requests = share_of(config.runtime.requests, share)
        runtime = config.runtime.model_copy(update={"requests": requests})
        config = config.model_copy(update={"runtime": runtime})
    with fetching() as tell:
        return take_inventory(config, path.absolute().parent, relist=relist, fetch=fetch, progress=tell)


def run_build(
    path: Path, workers: int | None, budget: int | None = None, share: str | None = None
) -> tuple[Outcome, Context]:
    """Build a dataset with progress on the screen."""
    context = load_context(path, workers, share=share)
    allowance = None if budget is None else Allowance(budget)
    with progress() as tell, executor_of(context) as (execute, at_once):
        return build(context, tell, allowance, execute, workers=at_once), context


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
