"""The tiny world's captions as a model has learnt them by heart, some of them wrong on purpose."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import __version__
from pipeline.annotators import TemplateAnnotator
from pipeline.captions.checks.review import review
from pipeline.captions.engines import open_writer
from pipeline.captions.prompting import messages_of
from pipeline.captions.prompts import load_prompt
from pipeline.captions.writer import Assignment, Draft, Writer
from pipeline.evidence import Task
from pipeline.stages import captions as stage
from pipeline.types import Reason
from tests.small_world import make_world, run

WRONG = " A large airport lies beside it."
"""There is none in the tiny world."""


@dataclass(frozen=True)
class Lesson:
    """A prompt with the answers that are learnt, each as often as the others."""

    assignment: Assignment
    answers: tuple[str, ...]
    uses: tuple[str, ...]

    @property
    def turns(self) -> list[dict[str, str]]:
        prompt = load_prompt(self.assignment.prompt)
        facts = self.assignment.evidence.facts
        return [
            {"role": turn.role, "content": turn.content}
            for turn in messages_of(self.assignment, prompt, facts)
        ]


def teach(folder: Path, found: list[Lesson]) -> Path:
    """A model that knows the answers, saved in a folder."""
    from tests.vllm.tiny_model import answer_of, learn, new_model, save, train_tokenizer

    pairs = [(one.turns, answer_of(text, one.uses)) for one in found for text in one.answers]
    texts = [turn["content"] for turns, _ in pairs for turn in turns] + [answer for _, answer in pairs]
    tokenizer = train_tokenizer(texts, words=6000, phrases=True)
    model = new_model(tokenizer, hidden=64)
    learn(model, tokenizer, pairs)
    return save(folder, model, tokenizer)


def lessons(folder: Path, values: dict[str, Any]) -> list[Lesson]:
    """Every prompt of a build of the tiny world, with answers.

    Main captions: the first is always wrong, the others right. Of texts in other words, a right and a wrong answer
    are learnt, so that both come.
    """
    tutor = _Tutor()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "open_writer", tutor.open)
        patch.setattr(stage, "require_engines", lambda _context: "")  # there is no model to look at yet
        assert run(make_world(folder, captions=values)).exit_code == 0
    return tutor.lessons


class _Tutor:
    """Stands in for the model: writes with the template engine, and notes prompts and answers."""

    def __init__(self) -> None:
        self.lessons: list[Lesson] = []

    annotator, revision, sampling = "tutor", __version__, "{}"

    @contextmanager
    def open(self, _annotator: object, base: Path) -> Iterator[Writer]:
        with open_writer(TemplateAnnotator(), base) as self._template:
            yield self

    def write(self, assignments: Iterable[Assignment]) -> Iterator[tuple[Assignment, Draft | Reason]]:
        for assignment in assignments:
            if assignment.attempt:
                yield assignment, Reason.NO_ANSWER
                continue
            lesson = self._lesson(assignment)
            yield assignment, Draft(lesson.answers[0], lesson.uses)

    def _lesson(self, assignment: Assignment) -> Lesson:
        """Equal prompts have equal answers."""
        draft = self._right(assignment)
        wrong = draft.text + WRONG
        answers: tuple[str, ...] = (draft.text,)
        if assignment.task is Task.REVISION:
            answers = (draft.text, wrong)
        elif not self.lessons:
            answers = (wrong,)
        lesson = Lesson(assignment, answers, draft.facts)
        for other in self.lessons:
            if other.turns == lesson.turns:
                return other
        self.lessons.append(lesson)
        return lesson

    def _right(self, assignment: Assignment) -> Draft:
        """What the template engine writes; of revisions, what passes the checks."""
        for seed in range(200):
            ((_, draft),) = self._template.write([replace(assignment, seed=assignment.seed + seed)])
            assert isinstance(draft, Draft)
            found = review(
                draft.text,
                assignment.evidence,
                task=assignment.task,
                focus=assignment.focus,
                original=assignment.original,
            )
            if found.ok:
                return draft
        msg = f"the template engine finds no right text for {assignment}"
        raise AssertionError(msg)
