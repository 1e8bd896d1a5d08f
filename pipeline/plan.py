"""The plan: which units a dataset wants, which are done, which can run now.

`build`, `status` and every other command look at the same plan, so a dry run cannot drift from a real one.
"""

import gc
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline.briefs import Brief, digests
from pipeline.ids import Json
from pipeline.ledger import Commit, Ledger, Unit, fingerprint, read_commits
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
from pipeline.stages.base import Commits, Context, Reads, Ready, Stage
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

_TOGETHER = 2_000
"""Units whose commits are looked for at a time: enough for requests side by side, few enough to hold in memory."""


@dataclass(frozen=True, slots=True)
class Done:
    """A unit that is done.

    Attributes
    ----------
    unit
        What was made.
    key
        Where its commit is in the store.
    counts
        What became of the items.
    """

    unit: Unit
    key: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class StagePlan:
    """What a stage wants.

    Attributes
    ----------
    stage
        The stage.
    done
        Units whose commits are there under the fingerprint that is wanted now.
    ready
        Units whose inputs are done.
    waiting
        Units that wait for others; their fingerprints are not known yet.
    known
        Whether the stage can already tell which units it wants (shards cannot before the samples are).
    """

    stage: Stage
    done: Collection[Done]
    ready: tuple[Ready, ...]
    waiting: tuple[Unit, ...]
    known: bool = True

    @property
    def total(self) -> int:
        """Units wanted, as far as they are known."""
        return len(self.done) + len(self.ready) + len(self.waiting)

    @property
    def counts(self) -> Counts:
        """What became of the items in the units done."""
        return (
            self.done.counts
            if isinstance(self.done, _AllDone)
            else sum((done.counts for done in self.done), Counts())
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """The plans of all stages, in order."""

    stages: tuple[StagePlan, ...]

    @property
    def ready(self) -> Iterator[tuple[Stage, Ready]]:
        """Units that can run now."""
        return ((plan.stage, work) for plan in self.stages for work in plan.ready)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return all(plan.known and not plan.ready and not plan.waiting for plan in self.stages)


class _AllDone(Collection[Done]):
    """Units of a stage that are done, as the ledger's briefs; each is a value only while it is looked at."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self.by_cell: dict[str, Brief] = {}

    @cached_property
    def counts(self) -> Counts:
        """What became of their items; asked for when all of them are here."""
        return Counts.total(brief.plain_counts for brief in self.by_cell.values())

    def __len__(self) -> int:
        return len(self.by_cell)

    def __iter__(self) -> Iterator[Done]:
        return (
            Done(Unit(self._stage, cell), brief.key, brief.counts) for cell, brief in self.by_cell.items()
        )

    def __contains__(self, done: object) -> bool:
        return any(done == each for each in self)


class _Found(Commits):
    """The commits that a plan has found so far."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger
        self.done: dict[str, _AllDone] = {stage.name: _AllDone(stage.name) for stage in STAGES}

    def get(self, unit: Unit) -> Commit | None:
        brief = self.brief(unit)
        return None if brief is None else read_commits(self._ledger.store, [brief.key])[0]

    def brief(self, unit: Unit) -> Brief | None:
        return self.done[unit.stage].by_cell.get(unit.cell)

    def read(self, wanted: Sequence[Reads]) -> tuple[list[Brief], bytes] | None:
        """The commits that a unit reads, and names and hashes of what it reads of them; None while one is pending."""
        briefs: list[Brief] = []
        told: list[bytes] = []
        for stage, outputs, cells in wanted:
            by_cell = self.done[stage].by_cell
            try:
                found = [by_cell[cell] for cell in cells]
            except KeyError:
                return None
            briefs += found
            if outputs:
                told.append("\n".join((stage, f"{len(cells)}", " ".join(outputs), *cells, "")).encode())
                told.append(digests(found, outputs))
        return briefs, b"".join(told)

    def info(self, unit: Unit) -> Mapping[str, Json] | None:
        brief = self.brief(unit)
        return None if brief is None else brief.info

    def counts(self) -> dict[str, Counts]:
        return {stage: done.counts for stage, done in self.done.items() if done}


def make_plan(context: Context, ledger: Ledger) -> Plan:
    """Compare what the config wants with the commits in the store. Reads commits only."""
    collecting = gc.isenabled()
    gc.disable()  # a big plan is a million small values and no cycle; looking for one takes a third of the time
    try:
        return _plan(context, ledger)
    finally:
        if collecting:
            gc.enable()


def _plan(context: Context, ledger: Ledger) -> Plan:
    names = [stage.name for stage in STAGES]
    ledger.look_again(names)
    commits = _Found(ledger)
    plans: list[StagePlan] = []
    for number, stage in enumerate(STAGES):
        for name in names[number : number + 2]:  # the next one is listed while this one is planned
            ledger.expect(name)
        done = commits.done[stage.name]
        ready: list[Ready] = []
        waiting: list[Unit] = []
        earlier_open = any(plan.ready or plan.waiting or not plan.known for plan in plans)
        cells = stage.cells(context, commits)
        for start in range(0, len(cells), _TOGETHER):
            able: list[tuple[str, str]] = []
            reasons: list[tuple[Json, list[Brief]]] = []  # they are let go where the unit is done
            for cell in cells[start : start + _TOGETHER]:
                inputs = commits.read(stage.inputs(context, commits, cell))
                if inputs is None:
                    waiting.append(Unit(stage.name, cell))
                else:
                    read, told = inputs
                    basis = stage.basis(context, commits, cell)
                    able.append((cell, fingerprint(stage.name, stage.version, basis, told)))
                    reasons.append((basis, read))
            briefs = ledger.find_all(stage.name, able)
            for (cell, print_), (basis, read), brief in zip(able, reasons, briefs, strict=True):
                if brief is None:
                    keys = tuple([one.key for one in read])
                    ready.append(Ready(Unit(stage.name, cell), print_, basis, keys))
                else:
                    done.by_cell[cell] = brief
        ledger.keep(stage.name)
        known = bool(cells) or not earlier_open or stage.name in (select.STAGE.name, exports.STAGE.name)
        plans.append(StagePlan(stage, done, tuple(ready), tuple(waiting), known))
    ledger.settle()
    return Plan(tuple(plans))
