"""The plan: which units a dataset wants, which are done, which can run now.

`build`, `status` and every other command look at the same plan, so a dry run cannot drift from a real one.
"""

import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from pipeline.ids import Json
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

_TOGETHER = 2_000
"""Units whose commits are looked for at a time: enough for requests side by side, few enough to hold in memory."""


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
    done: Sequence[Commit]
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
        if isinstance(self.done, _Done):
            return self.done.counts
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


class _Done(Sequence[Commit]):
    """Commits that the ledger keeps encoded; each is a value only while it is looked at."""

    def __init__(self, ledger: Ledger, stage: str) -> None:
        self._ledger, self._stage = ledger, stage
        self._keys: list[str] = []
        self.counts = Counts()

    def add(self, key: str) -> None:
        self._keys.append(key)
        self.counts += self._ledger.counts(self._stage, key)

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, at: int) -> Commit: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Commit]: ...
    def __getitem__(self, at: int | slice) -> Commit | Sequence[Commit]:
        if isinstance(at, slice):
            return [self._ledger.read(self._stage, key) for key in self._keys[at]]
        return self._ledger.read(self._stage, self._keys[at])


class _Found(Commits):
    """The commits that a plan has found so far."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger
        self._keys: dict[str, dict[str, str]] = {}
        self._done: dict[str, _Done] = {}

    def begin(self, stage: str) -> _Done:
        self._keys[stage] = {}
        done = self._done[stage] = _Done(self._ledger, stage)
        return done

    def note(self, unit: Unit, key: str) -> None:
        self._keys[unit.stage][unit.cell] = key
        self._done[unit.stage].add(key)

    def get(self, unit: Unit) -> Commit | None:
        key = self._keys.get(unit.stage, {}).get(unit.cell)
        return None if key is None else self._ledger.read(unit.stage, key)

    def __getitem__(self, unit: Unit) -> Commit:
        return self._ledger.read(unit.stage, self._keys[unit.stage][unit.cell])

    def digests(self, unit: Unit) -> Mapping[str, str] | None:
        key = self._keys.get(unit.stage, {}).get(unit.cell)
        return None if key is None else self._ledger.digests(unit.stage, key)

    def counts(self) -> dict[str, Counts]:
        return {stage: done.counts for stage, done in self._done.items() if done}


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
    ledger.look_again([stage.name for stage in STAGES])
    commits = _Found(ledger)
    plans: list[StagePlan] = []
    for stage in STAGES:
        done = commits.begin(stage.name)
        ready: list[Work] = []
        waiting: list[Unit] = []
        earlier_open = any(plan.ready or plan.waiting or not plan.known for plan in plans)
        cells = stage.cells(context, commits)
        for start in range(0, len(cells), _TOGETHER):
            able: list[tuple[Unit, str, Json]] = []
            for cell in cells[start : start + _TOGETHER]:
                unit = Unit(stage.name, cell)
                digests = _digests(commits, stage.inputs(context, commits, cell))
                if digests is None:
                    waiting.append(unit)
                else:
                    basis = stage.basis(context, commits, cell)
                    able.append((unit, fingerprint(stage.name, stage.version, basis, digests), basis))
            keys = ledger.find_all([(unit, print_) for unit, print_, _ in able])
            for (unit, print_, basis), key in zip(able, keys, strict=True):
                if key is None:
                    inputs = {source: commits[source] for source in stage.inputs(context, commits, unit.cell)}
                    ready.append(Work(unit, print_, basis, inputs))
                else:
                    commits.note(unit, key)
        ledger.keep(stage.name)
        known = bool(cells) or not earlier_open or stage.name in (select.STAGE.name, exports.STAGE.name)
        plans.append(StagePlan(stage, done, tuple(ready), tuple(waiting), known))
    return Plan(tuple(plans))


def _digests(commits: _Found, wanted: Mapping[Unit, tuple[str, ...]]) -> dict[str, str] | None:
    """Content digests of a unit's inputs, by ``stage/cell/output``; None while one is pending."""
    digests: dict[str, str] = {}
    for source, names in wanted.items():
        found = commits.digests(source)
        if found is None:
            return None
        for name in names:
            digests[f"{source}/{name}"] = found[name]
    return digests
