"""Whole real extracts with drawn imagery: complete, no traceback, every count balanced."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.configfile import load_config
from pipeline.inventory import take_inventory
from pipeline.ledger import Ledger
from pipeline.plan import make_plan
from pipeline.release.verify import verify

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "osm"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["monaco-2023", "liechtenstein-2022", "reisterstown-md"])
def test_a_real_map_goes_through_the_line(name: str, tmp_path: Path) -> None:
    source = DATA / f"{name}.osm.pbf"
    if not source.exists():
        pytest.skip("needs the shared test data")
    command = [sys.executable, "-c", "from pipeline.cli import main; main()"]
    arguments = [
        "demo",
        "--osm",
        str(source),
        "--out",
        str(tmp_path / "out"),
        "--gsd",
        "1.5",
        "--workers",
        "2",
    ]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    context = take_inventory(load_config(tmp_path / "out" / "dataset.yaml"), tmp_path / "out")
    plan = make_plan(context, Ledger(context.store))
    assert plan.finished
    for stage in plan.stages:
        assert all(commit.counts.balanced for commit in stage.done)
    counts = {stage.stage.name: stage.counts for stage in plan.stages}
    assert counts["facts"].seen == counts["patches"].kept
    assert counts["pixels"].seen == counts["facts"].kept
    assert counts["captions"].seen == counts["pixels"].kept
    assert counts["samples"].seen == counts["captions"].kept
    assert counts["shards"].kept == counts["samples"].kept == counts["release"].kept > 10
    assert context.store.root is not None
    report = verify(context.store.root / "releases" / context.config.name)
    assert report.problems == ()
    assert report.samples == counts["release"].kept
