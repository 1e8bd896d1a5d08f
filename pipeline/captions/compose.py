"""From patches to captions: ask, check, ask once more, then the revisions of what was kept.

Texts flow: what follows from an answer is asked for as soon as the engine wants more work, before the next patch is
begun, so that an engine's batches stay full and few patches are open at a time.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pipeline.captions.assign import (
    Subject,
    again,
    annotator_of,
    focus_of,
    main_text,
    polished,
    revision,
)
from pipeline.captions.checks.review import Review
from pipeline.captions.desk import Desk, Finished, Rules
from pipeline.captions.journal import Journal, Place
from pipeline.captions.prompts import load_prompt
from pipeline.captions.tally import Tallies, Tally
from pipeline.captions.usage import Usage
from pipeline.captions.writer import Assignment, Draft, Writer
from pipeline.evidence import Caption, Task
from pipeline.types import Reason

_MOST_FINISHED = 10_000
"""Patches that earlier answers may finish before they are handed on: they are in memory until then."""


def compose(
    subjects: Iterable[tuple[Place, Subject]],
    writer: Writer,
    desks: Sequence[Desk],
    rules: Rules,
    journal: Journal | None,
) -> Iterator[Finished]:
    """Caption patches.

    Parameters
    ----------
    subjects
        The patches; one that this writer does not write about must have all its answers in the journal.
    writer
        The open writer, that of the last desk.
    desks
        The annotators in the config's order, up to the one at work.
    rules
        What captions must be like.
    journal
        Keeps and knows answers; None for a writer that costs nothing.

    Yields
    ------
    Finished patches, in no particular order.
    """
    table = _Table(iter(subjects), desks, rules, journal)
    while not table.empty:
        for assignment, answer in writer.write(table.pull()):
            table.take(assignment, answer)
            while table.finished:
                yield table.finished.popleft()
        while table.finished:
            yield table.finished.popleft()
        if table.unanswered:
            msg = f"{writer.annotator}: {table.unanswered} texts were asked for and never answered"
            raise RuntimeError(msg)


@dataclass(slots=True)
class _Open:
    """A patch under way."""

    place: Place
    subject: Subject
    desk: Desk
    asked: int = 0
    texts: int = 0
    fresh: Usage = field(default_factory=Usage)
    captions: dict[tuple[Task, int], Caption] = field(default_factory=dict)
    titles: tuple[str, str] = ("", "")
    tallies: Tallies = field(default_factory=Tallies)


class _Table:
    """The patches under way and the texts that they still need."""

    def __init__(
        self,
        subjects: Iterator[tuple[Place, Subject]],
        desks: Sequence[Desk],
        rules: Rules,
        journal: Journal | None,
    ) -> None:
        self.finished: deque[Finished] = deque()
        self.unanswered = 0
        self.empty = False
        self._subjects, self._desks, self._rules, self._journal = subjects, desks, rules, journal
        self._open: dict[str, _Open] = {}
        self._next: deque[Assignment] = deque()

    def pull(self) -> Iterator[Assignment]:
        """Texts to be written now. Ends when what comes next depends on answers that are not there yet.

        Also where earlier answers have finished so many patches that they should be handed on first.
        """
        while len(self.finished) < _MOST_FINISHED:
            while self._next:
                assignment = self._next.popleft()
                if not self._answered_before(assignment):
                    if self._journal is not None:
                        self._journal.rest()
                    self.unanswered += 1
                    yield assignment
            subject = next(self._subjects, None)
            if subject is None:
                self.empty = not self._open
                return
            self._begin(*subject)

    def take(self, assignment: Assignment, answer: Draft | Reason) -> None:
        """An answer of the writer."""
        self.unanswered -= 1
        patch = self._open[assignment.patch]
        if self._journal is not None:
            self._journal.note(patch.place, assignment, answer)
        if isinstance(answer, Draft):
            patch.fresh += Usage(0, 1, answer.prompt_tokens, answer.output_tokens)
        self._judge(assignment, answer)

    def _answered_before(self, assignment: Assignment) -> bool:
        if self._journal is None:
            return False
        patch = self._open[assignment.patch]
        known = self._journal.find(patch.place, assignment)
        if known is not None:
            self._judge(assignment, known)
        elif patch.desk is not self._desks[-1]:
            msg = f"{assignment.patch}: the answers of {patch.desk.annotator} are gone from the store"
            raise RuntimeError(msg)
        return known is not None

    def _begin(self, place: Place, subject: Subject) -> None:
        captions = self._rules.captions
        desk = self._desks[annotator_of(subject.patch, captions)]
        patch = self._open[subject.patch] = _Open(place, subject, desk)
        main = main_text(subject, captions, desk.choose)
        if isinstance(main, Reason):
            self._finish(patch, main)
        else:
            self._ask(patch, main)

    def _ask(self, patch: _Open, assignment: Assignment) -> None:
        patch.asked += 1
        self._next.append(assignment)

    def _judge(self, assignment: Assignment, answer: Draft | Reason) -> None:
        """Keep a text, have it made again, or give it up."""
        patch = self._open[assignment.patch]
        patch.asked -= 1
        patch.texts += isinstance(answer, Draft)
        verdict = None
        failure: Reason | None
        if isinstance(answer, Draft):
            verdict = self._rules.check(
                answer.text,
                patch.subject.evidence,
                task=assignment.task,
                focus=assignment.focus,
                original=assignment.original,
            )
            failure = verdict.findings[0].reason if verdict.findings else None
            tokens = answer.prompt_tokens, answer.output_tokens
        else:
            failure, tokens = answer, (0, 0)
        count = Tally.second if assignment.attempt else Tally.first
        patch.tallies.add(patch.desk.annotator, assignment.task, count(failure, *tokens))
        if failure is not None and not assignment.attempt:
            self._ask(patch, again(assignment, self._rules.captions))
            return
        if isinstance(answer, Draft) and verdict is not None and failure is None:
            patch.captions[assignment.task, assignment.number] = _caption(patch, assignment, answer, verdict)
            if not assignment.original:
                self._follow_up(patch, assignment, answer)
        elif not assignment.original:
            self._finish(patch, failure)
            return
        if not patch.asked:
            self._finish(patch, None)

    def _follow_up(self, patch: _Open, main: Assignment, draft: Draft) -> None:
        """The texts that rest on a main caption."""
        captions, choose = self._rules.captions, patch.desk.choose
        evidence = patch.subject.evidence
        focus = focus_of(evidence, main.focus, draft.facts)
        patch.titles = self._rules.titles(main.patch, evidence, focus)
        for number in range(captions.revisions):
            self._ask(patch, revision(main, draft, number, captions, choose))
        if captions.polish:
            self._ask(patch, polished(main, draft, patch.titles[1], captions, choose))

    def _finish(self, patch: _Open, rejected: Reason | None) -> None:
        del self._open[patch.subject.patch]
        numbered = sorted(patch.captions.items(), key=lambda item: (_ORDER.get(item[0][0], 0), item[0][1]))
        self.finished.append(
            Finished(
                patch.place,
                patch.subject.patch,
                tuple(caption for _, caption in numbered),
                *patch.titles,
                rejected,
                tuple((*key, tally) for key, tally in patch.tallies.items()),
                patch.texts,
                patch.fresh,
            )
        )


_ORDER = {Task.REVISION: 1, Task.TITLE: 2}
"""Main captions come first."""


def _caption(patch: _Open, assignment: Assignment, draft: Draft, verdict: Review) -> Caption:
    by_id = {fact.id: fact for fact in patch.subject.evidence.facts}
    spoken = tuple(dict.fromkeys(id_ for id_ in draft.facts if id_ in by_id)) or assignment.focus
    return Caption(
        task=assignment.task,
        text=draft.text,
        annotator=patch.desk.annotator,
        model_revision=patch.desk.revision,
        prompt=load_prompt(assignment.prompt).reference,
        sampling=patch.desk.sampling,
        seed=assignment.seed,
        prompt_tokens=draft.prompt_tokens,
        output_tokens=draft.output_tokens,
        facts=spoken,
        elements=tuple(dict.fromkeys(element for id_ in spoken for element in by_id[id_].elements)),
        claims=verdict.claims,
        supported=verdict.supported,
        attempt=assignment.attempt,
    )
