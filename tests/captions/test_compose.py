"""From patches to captions: what is asked, what is asked again, what is kept, and what survives a kill."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

import pytest

from pipeline.annotators import AnyCaptions, SeveralCaptions, TemplateCaptions, VllmCaptions
from pipeline.captions.assign import Subject, annotator_of, main_text
from pipeline.captions.checks.review import Finding, Review
from pipeline.captions.compose import compose
from pipeline.captions.desk import Desk, Finished, Rules
from pipeline.captions.journal import Journal, Place
from pipeline.captions.prompting import choose_prompt
from pipeline.captions.tally import Tallies, Tally
from pipeline.captions.writer import Assignment, Draft
from pipeline.evidence import Evidence, Fact, Task
from pipeline.store import Store
from pipeline.types import GeometryKind, Reason

FOREST = Fact(
    "f1", "landuse=forest", GeometryKind.AREA, "forest", "forests", 1, ("left",), 0.4, 0.0, (), ("w1",)
)
STREAM = Fact(
    "f2", "waterway=stream", GeometryKind.LINE, "stream", "streams", 1, ("center",), 0.0, 300.0, (), ("w2", "w3")
)  # fmt: skip
SHED = Fact("f1", "building=shed", GeometryKind.AREA, "shed", "sheds", 1, ("top",), 0.001, 0.0, (), ("w3",))
RICH = Evidence((FOREST, STREAM), 100.0, ("Elm Brook",))
PLACE = Place("12-1-2", "ab")


def check(
    text: str, evidence: Evidence, *, task: Task, focus: tuple[str, ...] = (), original: str = ""
) -> Review:
    """Texts say themselves what is wrong with them."""
    assert evidence.names in ((), ("Elm Brook",))
    assert set(focus) <= {fact.id for fact in evidence.facts}
    assert bool(original) == (task in (Task.REVISION, Task.TITLE))
    wrong = (Finding(Reason(text.split(":")[1].strip()), text),) if text.startswith("bad:") else ()
    return Review(wrong, 2, 2)


class Scripted:
    """A writer that answers in batches, backwards, as it is told by task, number and attempt."""

    annotator, revision, sampling = "scripted", "r1", '{"temperature":1.0}'

    def __init__(self, bad: dict[tuple[Task, int, int], Reason | str] | None = None, batch: int = 3) -> None:
        self.bad, self.batch = bad or {}, batch
        self.asked: list[Assignment] = []
        self.batches: list[int] = []

    def write(self, assignments: Iterable[Assignment]) -> Iterator[tuple[Assignment, Draft | Reason]]:
        coming = iter(assignments)
        while batch := list(islice(coming, self.batch)):
            self.batches.append(len(batch))
            self.asked += batch
            for one in reversed(batch):
                yield one, self._answer(one)

    def _answer(self, one: Assignment) -> Draft | Reason:
        told = self.bad.get((one.task if one.original else Task.AREA, one.number, one.attempt))
        if isinstance(told, Reason):
            return told
        text = f"bad: {told}" if told else f"{one.patch} {one.task} {one.number} {one.attempt}"
        return Draft(text, ("f2", "f9"), 10, 5)


def captions(**changes: object) -> AnyCaptions:
    values = {"type": "vllm", "model": "a/b", "revision": "0" * 40, "tasks": {"area": 1}} | changes
    return VllmCaptions.model_validate(values)


def titles(patch: str, evidence: Evidence, focus: tuple[str, ...]) -> tuple[str, str]:
    assert set(focus) <= {fact.id for fact in evidence.facts}
    return f"title of {patch}, {focus}", f"long title of {patch}"


def subjects(n: int, evidence: Evidence = RICH) -> list[tuple[Place, Subject]]:
    return [(PLACE, Subject(f"p{number}", evidence)) for number in range(n)]


def run(
    writer: Scripted, n: int = 1, config: AnyCaptions | None = None, journal: Journal | None = None
) -> dict[str, Finished]:
    rules = Rules(config or captions(), check, titles)
    desk = Desk.of(writer, choose_prompt)
    if journal is not None:
        journal.open(PLACE)
    found = list(compose(subjects(n), writer, [desk], rules, journal))
    assert len({each.patch for each in found}) == len(found) == n
    return {each.patch: each for each in found}


def tallies(found: Iterable[Finished]) -> Tallies:
    total = Tallies()
    for finished in found:
        for annotator, task, tally in finished.tallies:
            total.add(annotator, task, tally)
    return total


def test_a_main_caption_its_revisions_and_its_title() -> None:
    writer = Scripted()
    (finished,) = run(writer, config=captions(revisions=2, polish=True)).values()
    assert [caption.task for caption in finished.captions] == [1, 3, 3, 5]
    assert [caption.text for caption in finished.captions] == ["p0 1 0 0", "p0 3 0 0", "p0 3 1 0", "p0 5 0 0"]
    assert finished.rejected is None
    assert finished.title == "title of p0, ('f1',)"
    main, *others = writer.asked
    assert main.focus == ("f1",)
    assert main.evidence is RICH
    assert {one.original for one in others} == {"p0 1 0 0", "long title of p0"}
    assert len({one.seed for one in writer.asked}) == 4
    caption = finished.captions[0]
    assert (caption.annotator, caption.model_revision, caption.sampling) == (
        "scripted",
        "r1",
        '{"temperature":1.0}',
    )
    assert caption.facts == ("f2",)  # f9 is no fact of this patch
    assert caption.elements == ("w2", "w3")
    assert caption.prompt.startswith(main.prompt + "@")
    assert (caption.prompt_tokens, caption.output_tokens, caption.claims, caption.supported) == (10, 5, 2, 2)


def test_a_failing_caption_is_made_again_once_with_another_seed() -> None:
    writer = Scripted({(Task.AREA, 0, 0): "wrong_place"})
    (finished,) = run(writer, config=captions(revisions=0)).values()
    first, second = writer.asked
    assert (first.attempt, second.attempt) == (0, 1)
    assert first.seed != second.seed
    assert replace(second, seed=first.seed, attempt=0) == first
    assert finished.captions[0].attempt == 1
    assert finished.captions[0].seed == second.seed
    tally = tallies([finished])["scripted", Task.AREA]
    assert tally == Tally(1, 1, {"wrong_place": 1}, {}, 20, 10)


def test_a_patch_without_a_main_caption_is_rejected_with_the_last_reason() -> None:
    writer = Scripted({(Task.AREA, 0, 0): "wrong_place", (Task.AREA, 0, 1): Reason.NO_ANSWER})
    (finished,) = run(writer, config=captions(revisions=2, polish=True)).values()
    assert len(writer.asked) == 2
    assert finished.rejected is Reason.NO_ANSWER
    assert finished.captions == ()
    assert tallies([finished])["scripted", Task.AREA] == Tally(
        1, 0, {"wrong_place": 1}, {"no_answer": 1}, 10, 5
    )


def test_a_revision_is_dropped_alone() -> None:
    bad = {(Task.REVISION, 0, attempt): "adds_to_original" for attempt in (0, 1)}
    writer = Scripted(bad | {(Task.REVISION, 1, 0): Reason.TOO_LONG})
    (finished,) = run(writer, config=captions(revisions=3)).values()
    assert [caption.text for caption in finished.captions] == ["p0 1 0 0", "p0 3 1 1", "p0 3 2 0"]
    tally = tallies([finished])["scripted", Task.REVISION]
    assert tally == Tally(3, 2, {"adds_to_original": 1, "too_long": 1}, {"adds_to_original": 1}, 40, 20)
    assert tally.asked == tally.kept + sum(tally.dropped.values())


def test_a_patch_without_a_fitting_task() -> None:
    writer = Scripted()
    rules = Rules(captions(tasks={"area": 1, "scene": 1}), check, titles)
    desk = Desk.of(writer, choose_prompt)
    bare = [(PLACE, Subject("a", Evidence((), 9.0))), (PLACE, Subject("b", Evidence((SHED,), 9.0)))]
    found = list(compose(bare, writer, [desk], rules, None))
    assert [each.rejected for each in found] == [Reason.NO_CAPTION] * 2
    assert not writer.asked


def test_batches_stay_full() -> None:
    writer = Scripted({(Task.AREA, 0, 0): "wrong_place"}, batch=10)
    run(writer, n=100, config=captions(revisions=2))
    assert len(writer.asked) == 400
    assert sum(size == 10 for size in writer.batches) >= 36


def test_follow_ups_come_before_new_patches() -> None:
    writer = Scripted(batch=4)
    run(writer, n=50, config=captions(revisions=3))
    open_: Counter[str] = Counter()
    for one in writer.asked:
        open_[one.patch] += 1
        assert sum(count < 4 for count in open_.values()) <= 8


def test_the_order_of_answers_changes_nothing() -> None:
    config = captions(revisions=2, polish=True)
    bad: dict[tuple[Task, int, int], Reason | str] = {(Task.REVISION, 1, 0): "too_short"}
    assert run(Scripted(bad, batch=1), 20, config) == run(Scripted(bad, batch=7), 20, config)


def test_no_answer_is_asked_for_twice_after_a_kill() -> None:
    config = captions(revisions=2)
    bad: dict[tuple[Task, int, int], Reason | str] = {
        (Task.AREA, 0, 0): "too_short",
        (Task.REVISION, 1, 0): Reason.NO_ANSWER,
    }
    expected = run(Scripted(bad), 30, config)
    store = Store("memory://kill")

    class Killed(Scripted):
        def _answer(self, one: Assignment) -> Draft | Reason:
            if len(self.asked) > 60:
                raise KeyboardInterrupt
            return super()._answer(one)

    killed = Killed(bad)
    journal = Journal(store, clock=iter(range(100_000)).__next__)  # a part every few answers
    with pytest.raises(KeyboardInterrupt):
        run(killed, 30, config, journal)
    kept = {tuple(answer[:4]) for key, _ in store.list(PLACE.folder) for answer in json.loads(store.get(key))}
    assert 40 < len(kept) <= 60
    again = Scripted(bad)
    assert run(again, 30, config, Journal(store)) == expected
    asked_again = {(one.patch, int(one.task), one.number, one.attempt) for one in again.asked}
    assert not asked_again & kept
    assert len(again.asked) == len(asked_again)


def test_a_replay_needs_no_writer() -> None:
    store = Store("memory://replay")
    journal = Journal(store)
    first = run(Scripted(), 10, None, journal)
    journal.flush()
    again = Scripted()
    assert run(again, 10, None, Journal(store)) == first
    assert not again.asked


def test_a_replay_hands_on_what_is_finished_before_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.captions.compose._MOST_FINISHED", 5)
    store = Store("memory://long-replay")
    journal = Journal(store)
    run(Scripted(), 60, None, journal)
    journal.flush()
    begun = 0

    def coming() -> Iterator[tuple[Place, Subject]]:
        nonlocal begun
        for each in subjects(80):  # the last 20 are new
            begun += 1
            yield each

    writer = Scripted(batch=10)
    journal = Journal(store)
    journal.open(PLACE)
    rules = Rules(captions(), check, titles)
    found = compose(coming(), writer, [Desk.of(writer, choose_prompt)], rules, journal)
    for number, _ in enumerate(found):
        if begun <= 60:
            assert begun <= number + 6
    assert begun == 80
    assert len(writer.asked) == 40
    assert sum(size == 10 for size in writer.batches) >= 3


def test_an_answer_is_for_one_original_only() -> None:
    """Two builds on one unit: of the first the main caption is kept, of the second the revision."""
    store = Store("memory://two-builds")

    class Second(Scripted):
        def _answer(self, one: Assignment) -> Draft | Reason:
            return Draft(f"otherwise {one.patch} {one.task}", ("f1",), 10, 5)

    for writer, wanted in ((Scripted(), Task.AREA), (Second(), Task.REVISION)):
        run(writer, 1, None, journal := Journal(Store(store.url + writer.__class__.__name__)))
        journal.flush()
        for key, _ in list(journal._store.list(PLACE.folder)):
            part = [answer for answer in json.loads(journal._store.get(key)) if answer[1] == wanted]
            store.put(f"{PLACE.folder}/{wanted}.json", json.dumps(part).encode())
    again = Scripted()
    (finished,) = run(again, 1, None, Journal(store)).values()
    assert [one.task for one in again.asked] == [Task.REVISION]
    assert [caption.text for caption in finished.captions] == ["p0 1 0 0", "p0 3 0 0"]


def test_several_annotators_by_weight() -> None:
    config = SeveralCaptions.model_validate(
        {
            "type": "several",
            "annotators": [
                {"type": "template", "weight": 3},
                {"type": "vllm", "model": "a/b", "revision": "0" * 40, "weight": 1},
            ],
        }
    )
    drawn = Counter(annotator_of(f"p{number}", config) for number in range(2000))
    assert abs(drawn[0] / 2000 - 0.75) < 0.03
    other = config.model_copy(update={"seed": 1})
    assert any(annotator_of(f"p{n}", config) != annotator_of(f"p{n}", other) for n in range(50))


def test_tasks_are_drawn_by_weight_among_the_possible() -> None:
    config = TemplateCaptions(tasks={"area": 2, "non_area": 1, "scene": 1})
    found = [main_text(Subject(f"p{n}", RICH), config, choose_prompt) for n in range(2000)]
    drawn = Counter(each.task for each in found if isinstance(each, Assignment))
    for task, share in ((Task.AREA, 0.5), (Task.NON_AREA, 0.25), (Task.SCENE, 0.25)):
        assert abs(drawn[task] / 2000 - share) < 0.04
    lone = main_text(Subject("p", Evidence((STREAM,), 9.0)), config, choose_prompt)
    assert isinstance(lone, Assignment)
    assert (lone.task, lone.focus) == (Task.NON_AREA, ("f2",))


def test_an_unanswered_text_is_an_error() -> None:
    class Lazy(Scripted):
        def write(self, assignments: Iterable[Assignment]) -> Iterator[tuple[Assignment, Draft | Reason]]:
            yield from list(super().write(assignments))[1:]

    with pytest.raises(RuntimeError, match="1 texts were asked for and never answered"):
        run(Lazy(), 5)


def test_tallies_add_up_over_units() -> None:
    one, two = (
        tallies(run(Scripted({(Task.AREA, 0, 0): reason}), n=3).values()) for reason in ("name", "raw_tag")
    )
    total = Tallies.of([one.plain(), two.plain()])
    assert total["scripted", Task.AREA] == Tally(6, 6, {"name": 3, "raw_tag": 3}, {}, 120, 60)
