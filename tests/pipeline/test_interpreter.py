"""Units made by another Python installation, and the end of that when the one that asked for it is gone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.engine import build
from pipeline.handout import hand_out
from pipeline.interpreter import with_python
from pipeline.ledger import Ledger
from pipeline.part import context_of
from pipeline.plan import make_plan
from tests.small_world import make_world, release_hashes, run

ROOT = Path(__file__).resolve().parents[2]


def test_captions_of_another_python_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # where `python -m pipeline` finds the package in a checkout
    assert run(make_world(tmp_path / "here")).exit_code == 0
    context = context_of(str(make_world(tmp_path / "there")))
    outcome = build(context, captions=with_python(sys.executable))
    assert (outcome.exit_code, outcome.errors) == (0, {})
    there, here = (tmp_path / name / "store" / "releases" / "tiny" for name in ("there", "here"))
    assert release_hashes(there) == release_hashes(here)


def test_a_python_that_cannot_is_an_error_of_its_units(tmp_path: Path) -> None:
    context = context_of(str(make_world(tmp_path)))
    outcome = build(context, captions=with_python("/bin/false"))
    assert not outcome.plan.finished
    assert {unit.split("/")[0] for unit in outcome.errors} == {"captions"}
    assert all("/bin/false (exit code 1)" in message for message in outcome.errors.values())


def test_the_other_process_ends_with_its_leash(tmp_path: Path) -> None:
    context = context_of(str(make_world(tmp_path)))
    (first, *_) = (work for stage, work in make_plan(context, Ledger(context.store)).ready)
    key = f"{context.store.url}/{hand_out(context)}"
    command = [sys.executable, "-m", "pipeline", "part", key, str(first.unit), "--leash"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT, stderr=subprocess.DEVNULL)
    os.kill(process.pid, signal.SIGSTOP)
    assert process.stdin is not None
    process.stdin.close()
    os.kill(process.pid, signal.SIGCONT)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.returncode == 1
    assert Ledger(context.store).find(first.unit, first.fingerprint) is None
