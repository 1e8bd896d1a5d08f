"""A part of a build, handed to another process: the units of a list and no others."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from flows.children import Children, spread
from pipeline.configfile import load_config
from pipeline.errors import Misconfigured
from pipeline.handout import hand_out
from pipeline.inventory import take_inventory
from pipeline.jobs import Executor, Job, Results
from pipeline.ledger import Ledger, Unit
from pipeline.part import build_part, context_of
from pipeline.plan import make_plan
from pipeline.pool import run_here
from pipeline.stages.base import Context, Ready
from tests.small_world import make_world


def test_what_any_machine_can_do_is_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Ready(Unit("facts", "12-1-2"), "", None, ())
    many = [Job("facts", (work,))] * 8
    own = [Job("elements", (work,), 0), Job("release", (work,))]
    taken: list[tuple[str, int]] = []

    def note(where: str) -> Executor:
        def execute(_context: object, jobs: Sequence[Job], _allowance: object) -> Results:
            taken.append((where, len(jobs)))
            yield jobs[0], []

        return execute

    monkeypatch.setattr(Children, "__call__", lambda _self, *arguments: note("there")(*arguments))
    executor = spread(note("here"), Children("work/work", 2))
    for jobs in ([*own, *many], many[:7]):
        list(executor(cast("Context", None), jobs, None))
    assert taken == [("here", 2), ("there", 8), ("here", 7)]  # seven are not worth two more runs


def test_only_the_units_of_a_part_are_built(tmp_path: Path) -> None:
    config = make_world(tmp_path)
    context = take_inventory(load_config(config), tmp_path)
    handed = context_of(f"{context.store.url}/{hand_out(context)}")
    ready = [work for _, work in make_plan(context, Ledger(context.store)).ready]
    assert len(ready) > 3
    names = [f"{work.unit}/{work.fingerprint}" for work in ready[:2]]
    with pytest.raises(Misconfigured, match="same version"):
        build_part(handed, [*names, f"{ready[2].unit}/0000"], run_here)
    assert build_part(handed, names, run_here) == {}
    commits = {path.parent.name for path in (tmp_path / "store" / "commits").rglob("*.json")}
    assert commits == {work.unit.cell for work in ready[:2]}
