"""Builds a part of a dataset: units that someone else has planned and handed to this machine."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from pipeline.configfile import load_config
from pipeline.errors import Misconfigured
from pipeline.handout import taken
from pipeline.inventory import take_inventory
from pipeline.jobs import Executor, jobs_of
from pipeline.ledger import Ledger
from pipeline.plan import make_plan
from pipeline.stages.base import Context


def context_of(config: str) -> Context:
    """What a config refers to.

    Parameters
    ----------
    config
        Path of a config, or ``STORE/contexts/NAME.json`` as a build has handed it out.
    """
    store, handed, name = config.partition("/contexts/")
    if handed:
        return taken(store, f"contexts/{name}")
    path = Path(config)
    return take_inventory(load_config(path), path.absolute().parent)


def build_part(context: Context, units: Collection[str], execute: Executor) -> dict[str, str]:
    """Build the units of a list that are ready and not done.

    Parameters
    ----------
    context
        The inventory of the dataset.
    units
        Their names, ``stage/cell`` or ``stage/cell/fingerprint``. Where their stage has lanes they make up as many as
        the context says.
    execute
        Runs the jobs.

    Returns
    -------
    Message by name, for the units that could not be built.

    Raises
    ------
    Misconfigured
        A fingerprint is not the one that the unit has here.
    """
    wanted = {"/".join(parts[:2]): parts[2:] for parts in (unit.split("/") for unit in units)}
    plan = make_plan(context, Ledger(context.store))
    stages = tuple(
        replace(stage, ready=tuple(work for work in stage.ready if str(work.unit) in wanted))
        for stage in plan.stages
    )
    here = {str(work.unit): work.fingerprint for stage in stages for work in stage.ready}
    for name, print_ in here.items():
        if wanted[name] not in ([], [print_]):
            msg = (
                f"{name}: would become something else here than where it was planned; "
                "install the same version of Skyteller on all machines"
            )
            raise Misconfigured(msg)
    errors: dict[str, str] = {}
    done: set[str] = set()
    jobs = jobs_of(replace(plan, stages=stages), context.config, ())
    for job, result in execute(context, jobs, None) if jobs else ():
        if isinstance(result, str):
            errors.update((str(work.unit), result) for work in job.works)
        else:
            done.update(str(commit.unit) for commit in result)
    return {unit: message for unit, message in errors.items() if unit not in done}
