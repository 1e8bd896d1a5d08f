"""The plan: which units a dataset wants, which are done, which can run now.

`build`, `status` and every other command look at the same plan, so a dry run cannot drift from a real one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.ledger import Commit, Ledger, Unit, fingerprint
from pipeline.stages import (
    captions,
    elements,
    exports,
    facts,
    patches,
    pixels,
    release,
    samples,
    select,
    shards,
)
from pipeline.stages.base import Commits, Context, Stage, Work
from pipeline.types import Counts

STAGES: tuple[Stage, ...] = (
    elements.STAGE,
    patches.STAGE,
    facts.STAGE,
    select.STAGE,
    exports.STAGE,
    pixels.STAGE,
    captions.STAGE,
    samples.STAGE,
    shards.STAGE,
    release.STAGE,
)
"""All stages, in the order of the data flow."""


@dataclass(frozen=True, slots=True)
class StagePlan:
    """What a stage wants.

    Attributes
    ----------
    stage
        The stage.
    done
        Commits that are there under the fingerprint that is wanted now.
    ready
        Units whose inputs are done.
    waiting
        Units that wait for others; their fingerprints are not known yet.
    known
        Whether the stage can already tell which units it wants (shards cannot before the samples are).
    """

    stage: Stage
    done: tuple[Commit, ...]
    ready: tuple[Work, ...]
    waiting: tuple[Unit, ...]
    known: bool = True

    @property
    def total(self) -> int:
        """Units wanted, as far as they are known."""
        return len(self.done) + len(self.ready) + len(self.waiting)

    @property
    def counts(self) -> Counts:
        """What became of the items in the units done."""
        return sum((commit.counts for commit in self.done), Counts())


@dataclass(frozen=True, slots=True)
class Plan:
    """The plans of all stages, in order."""

    stages: tuple[StagePlan, ...]

    @property
    def ready(self) -> Iterator[tuple[Stage, Work]]:
        """Units that can run now."""
        return ((plan.stage, work) for plan in self.stages for work in plan.ready)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return all(plan.known and not plan.ready and not plan.waiting for plan in self.stages)


def make_plan(context: Context, ledger: Ledger) -> Plan:
    """Compare what the config wants with the commits in the store. Reads commits only."""
    commits = Commits()
    plans: list[StagePlan] = []
    for stage in STAGES:
        ledger.refresh(stage.name)
        done: list[Commit] = []
        ready: list[Work] = []
        waiting: list[Unit] = []
        earlier_open = any(plan.ready or plan.waiting or not plan.known for plan in plans)
        cells = stage.cells(context, commits)
        for cell in cells:
            unit = Unit(stage.name, cell)
            wanted = stage.inputs(context, commits, cell)
            inputs = {source: commit for source in wanted if (commit := commits.get(source)) is not None}
            if len(inputs) < len(wanted):
                waiting.append(unit)
                continue
            digests = {
                f"{source}/{name}": inputs[source].outputs[name].sha256
                for source, names in wanted.items()
                for name in names
            }
            basis = stage.basis(context, commits, cell)
            print_ = fingerprint(stage.name, stage.version, basis, digests)
            commit = ledger.find(unit, print_)
            if commit is None:
                ready.append(Work(unit, print_, basis, inputs))
            else:
                done.append(commit)
                commits.add(commit)
        known = bool(cells) or not earlier_open or stage.name in (select.STAGE.name, exports.STAGE.name)
        plans.append(StagePlan(stage, tuple(done), tuple(ready), tuple(waiting), known))
    return Plan(tuple(plans))
