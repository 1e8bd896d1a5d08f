"""What the flows that build share: they choose executors and show what happens, the engine builds."""

from pathlib import Path

from flows.children import Children, spread
from flows.ends import Built, caller
from flows.shown import ProgressShown, show_outcome
from flows.taskruns import TaskRuns
from pipeline.annotators import VllmAnnotator, annotators_of
from pipeline.config import DatasetConfig
from pipeline.engine import build
from pipeline.imagery.allowance import Allowance
from pipeline.inventory import take_inventory

CAPTION, WORK = "caption/caption", "work/work"
"""Deployments for units that need a GPU, and for those that need none."""


def run_build(
    config: DatasetConfig, base: Path, *, budget: int | None, caption_pool: bool, machines: int
) -> Built:
    """Build a dataset with task runs here, or with runs of other deployments, and show how it goes.

    Parameters
    ----------
    config, base
        The dataset's config, and the folder that its relative paths start from.
    budget
        Requests for pixels after which to stop.
    caption_pool
        Whether captions that need a GPU are left to runs on the pool that has them.
    machines
        Runs on the pool of CPUs that units are spread over; 0 builds them here.
    """
    context = take_inventory(config, base)
    waiting = caller.get()
    tell = ProgressShown(config.name, waiting.tell if waiting else None)
    on_gpus = any(isinstance(annotator, VllmAnnotator) for annotator in annotators_of(config.captions))
    allowance = None if budget is None else Allowance(budget)
    with TaskRuns(context, allowance) as here:
        outcome = build(
            context,
            tell,
            allowance,
            spread(here, Children(WORK, machines)) if machines else here,
            Children(CAPTION) if caption_pool and on_gpus else None,
            here.at_once,
        )
    tell.end(finished=outcome.plan.finished)
    show_outcome(outcome, context)
    return Built(outcome, context)
