"""Captions of earlier cells are written while the other stages work on later ones."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline import engine
from pipeline.configfile import load_config
from pipeline.engine import build
from pipeline.errors import StoreError, Transient
from pipeline.imagery.allowance import Allowance
from pipeline.inventory import take_inventory
from pipeline.jobs import Job, Results, run_job
from pipeline.pool import run_here
from pipeline.stages.base import Context
from tests.small_world import make_world, release_hashes

LONG_S = 60.0


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """A world of several cells, of which the CPU stages take two units at a time."""
    monkeypatch.setattr(engine, "_WAVE", 2)
    config = make_world(tmp_path, towns=2, cell_zoom=16)
    return take_inventory(load_config(config), tmp_path)


class Recorder:
    """What was committed, in order."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.totals: dict[str, int] = {}
        self.pixels = threading.Condition()

    def __call__(self, stage: str, units: int, total: int) -> None:
        with self.pixels:
            self.stages += [stage] * units
            self.totals[stage] = total
            self.pixels.notify_all()


def test_other_stages_go_on_while_captions_are_slow(context: Context, tmp_path: Path) -> None:
    recorder = Recorder()
    seen: list[int] = []

    def slow(context: Context, jobs: Sequence[Job], _allowance: Allowance | None) -> Results:
        with recorder.pixels:
            seen.append(recorder.stages.count("pixels"))
            later = recorder.pixels.wait_for(
                lambda: len(seen) > 1 or recorder.stages.count("pixels") > seen[0], LONG_S
            )
        assert later, "no other cell was worked on meanwhile"
        for job in jobs:
            yield job, list(run_job(context, job))

    outcome = build(context, recorder, captions=slow)
    assert outcome.plan.finished
    assert 0 < seen[0] < len(context.cells), "the first cells are to get to the captions early"
    assert recorder.totals["captions"] == recorder.stages.count("captions") == len(context.cells)
    plain = take_inventory(context.config, context.base, type(context.store)(str(tmp_path / "plain")))
    assert build(plain).plan.finished
    assert release_hashes(tmp_path / "plain" / "releases" / "tiny") == release_hashes(
        tmp_path / "store" / "releases" / "tiny"
    )


def test_captions_in_the_workers_wait_for_nothing_but_their_round(context: Context) -> None:
    recorder = Recorder()
    assert build(context, recorder).plan.finished
    assert [stage for n, stage in enumerate(recorder.stages) if recorder.stages[n - 1] != stage] == [
        "elements", "patches", "facts", "pixels", "captions", "samples", "shards", "release",
    ]  # fmt: skip


class Endless:
    """An executor that does its jobs, and then, once `other` is at work, does not end."""

    def __init__(self, *, works: bool) -> None:
        self.works = works
        self.other, self.going, self.closed = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, context: Context, jobs: Sequence[Job], allowance: Allowance | None) -> Results:
        if self.works:
            yield from run_here(context, jobs, allowance)
        try:
            while self.other.is_set() or not self.works:
                self.going.set()
                time.sleep(0.01)
                yield jobs[0], []
        finally:
            if self.going.is_set():
                self.closed.set()


def failing(endless: Endless) -> Results:
    endless.other.set()
    assert endless.going.wait(LONG_S)
    msg = "disk full"
    raise StoreError(msg)
    yield


def test_an_error_of_the_captions_ends_the_other_stages(context: Context) -> None:
    endless = Endless(works=True)
    with pytest.raises(StoreError, match="disk full"):
        build(context, execute=endless, captions=lambda *_: failing(endless))
    assert endless.closed.is_set()


def test_an_error_of_another_stage_ends_the_captions(context: Context) -> None:
    endless = Endless(works=False)

    def others(context: Context, jobs: Sequence[Job], allowance: Allowance | None) -> Results:
        yield from run_here(context, jobs, allowance)
        if endless.going.is_set():
            yield from failing(endless)

    with pytest.raises(StoreError, match="disk full"):
        build(context, execute=others, captions=endless)
    assert endless.closed.is_set()


def test_units_that_cannot_be_captioned_hold_up_no_others(context: Context) -> None:
    def offline(_context: Context, jobs: Sequence[Job], _allowance: Allowance | None) -> Results:
        for job in jobs:
            yield job, "no server answers"

    recorder = Recorder()
    outcome = build(context, recorder, captions=offline)
    assert len(outcome.errors) == len(context.cells)
    assert recorder.stages.count("pixels") == len(context.cells)
    assert outcome.exit_code == Transient.exit_code
