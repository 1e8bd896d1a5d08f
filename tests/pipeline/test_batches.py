"""Batches are as large as their pace allows, keep all threads at work, and go on after deaths."""

from pipeline.batches import Batch, Batches
from pipeline.jobs import Job
from pipeline.ledger import Unit
from pipeline.stages.base import Ready


def jobs(stage: str, n: int) -> list[Job]:
    return [Job(stage, (Ready(Unit(stage, f"c{i}"), "f", None, ()),)) for i in range(n)]


def run(batches: Batches, threads: int, seconds: float) -> list[int]:
    """Sizes of the batches when every unit takes so long."""
    sizes = []
    while (batch := batches.next(threads, [])) is not None:
        sizes.append(len(batch))
        batches.took(batch, seconds * len(batch))
    assert not batches.left
    return sizes


def test_the_first_unit_is_alone_and_later_ones_fill_a_minute() -> None:
    assert run(Batches(jobs("facts", 10_000), {}), 2, 0.5)[:5] == [1, 120, 120, 120, 120]
    assert run(Batches(jobs("facts", 10), {}), 2, 100.0) == [1] * 10


def test_the_end_is_shared_by_all_threads() -> None:
    sizes = run(Batches(jobs("facts", 100), {}), 4, 0.01)
    assert sum(sizes) == 100
    assert sizes[:3] == [1, 9, 8]
    assert sizes[-4:] == [1, 1, 1, 1]


def test_no_more_batches_than_threads() -> None:
    batches = Batches(jobs("facts", 5), {})
    running: list[Batch] = []
    while (batch := batches.next(3, running)) is not None:
        running.append(batch)
    assert len(running) == 3
    assert batches.next(0, []) is None


def test_a_bounded_stage_leaves_threads_to_others() -> None:
    batches = Batches([*jobs("pixels", 5), *jobs("captions", 5)], {"pixels": 2})
    running: list[Batch] = []
    while (batch := batches.next(4, running)) is not None:
        running.append(batch)
    assert [batch[0].stage for batch in running] == ["pixels", "pixels", "captions", "captions"]


def test_the_unit_that_was_under_way_is_tried_alone_and_once() -> None:
    one, two, three = jobs("facts", 3)
    batches = Batches([three], {})
    assert batches.put_back((one, two))
    running = [batch for _ in range(2) if (batch := batches.next(2, []))]
    assert running == [(two,), (three,)]
    assert batches.next(2, running) is None
    assert batches.next(2, []) == (one,)
    assert not batches.put_back((one,))
    assert not batches.left
