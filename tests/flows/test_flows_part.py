"""A part of a build, handed to another process: the units of a list and no others."""

from pathlib import Path

import pytest

from pipeline.configfile import load_config
from pipeline.errors import Misconfigured
from pipeline.handout import hand_out
from pipeline.inventory import take_inventory
from pipeline.ledger import Ledger
from pipeline.part import build_part, context_of
from pipeline.plan import make_plan
from pipeline.pool import run_here
from tests.small_world import make_world


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
