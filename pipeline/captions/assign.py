"""Who writes what about a patch: task, focus, annotator, prompt and seed, all drawn from the patch's id."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from pipeline.annotators import AnyCaptions, MainTask, annotators_of
from pipeline.captions.writer import Assignment, Draft
from pipeline.evidence import Evidence, Fact, Task
from pipeline.ids import digest, rank
from pipeline.types import GeometryKind, Reason

ChoosePrompt: TypeAlias = Callable[[Task, int], str]
"""Name of the prompt of a task, drawn by a seed."""

MAIN_TASKS: Mapping[MainTask, Task] = {"area": Task.AREA, "non_area": Task.NON_AREA, "scene": Task.SCENE}
"""Tasks of main captions by their names in the config."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A patch that is to be captioned.

    Attributes
    ----------
    patch
        Id of the patch.
    evidence
        What is known about it.
    """

    patch: str
    evidence: Evidence


def annotator_of(patch: str, captions: AnyCaptions) -> int:
    """Which of the config's annotators writes about a patch, drawn by their weights."""
    weights = [annotator.weight for annotator in annotators_of(captions)]
    return _drawn(weights, rank(captions.seed, patch, "annotator"))


def main_text(subject: Subject, captions: AnyCaptions, choose: ChoosePrompt) -> Assignment | Reason:
    """What the main caption of a patch is about, or `Reason.NO_CAPTION` where no task fits.

    The task is drawn by the config's weights among those that the patch has facts for: a main area that covers
    enough, a main line or point, two facts for a scene. The focus is the largest area, as in RSTeller, or one of
    the main lines and points.
    """
    patch, facts = subject.patch, subject.evidence.facts
    candidates = {
        Task.AREA: _main_areas(facts, captions.min_area_share),
        Task.NON_AREA: _main_lines_and_points(facts),
        Task.SCENE: facts if len(facts) >= 2 else (),
    }
    weights = {task: captions.tasks.get(name, 0.0) for name, task in MAIN_TASKS.items()}
    possible = [task for task, weight in weights.items() if weight and candidates[task]]
    if not possible:
        return Reason.NO_CAPTION
    task = possible[_drawn([weights[task] for task in possible], rank(captions.seed, patch, "task"))]
    choice = candidates[task][int(rank(captions.seed, patch, "focus") * len(candidates[task]))]
    seed = _seed(captions.seed, patch, task, 0, 0)
    focus = () if task is Task.SCENE else (choice.id,)
    return Assignment(patch, task, 0, subject.evidence, focus, choose(task, seed), seed)


def revision(
    main: Assignment, draft: Draft, number: int, captions: AnyCaptions, choose: ChoosePrompt
) -> Assignment:
    """The caption of a patch once more in other words; `number` counts from 0."""
    return _after(main, draft, Task.REVISION, number, draft.text, captions, choose)


def polished(
    main: Assignment, draft: Draft, title: str, captions: AnyCaptions, choose: ChoosePrompt
) -> Assignment:
    """The rule-made title of a patch in the annotator's words."""
    return _after(main, draft, Task.TITLE, 0, title, captions, choose)


def again(assignment: Assignment, captions: AnyCaptions) -> Assignment:
    """The second and last try of a text, with a new seed."""
    seed = _seed(captions.seed, assignment.patch, assignment.task, assignment.number, 1)
    return replace(assignment, seed=seed, attempt=1)


def focus_of(evidence: Evidence, focus: Sequence[str], spoken: Sequence[str]) -> tuple[str, ...]:
    """What a caption speaks of first: its focus, else the first fact it used, else the fact of the highest rank."""
    known = {fact.id for fact in evidence.facts}
    return tuple(focus) or tuple(id_ for id_ in spoken if id_ in known)[:1] or (evidence.facts[0].id,)


def _after(
    main: Assignment,
    draft: Draft,
    task: Task,
    number: int,
    original: str,
    captions: AnyCaptions,
    choose: ChoosePrompt,
) -> Assignment:
    """A text in other words. It may rest on no more facts than its original says it does."""
    seed = _seed(captions.seed, main.patch, task, number, 0)
    focus = focus_of(main.evidence, main.focus, draft.facts)
    spoken = {*focus, *draft.facts}
    facts = tuple(fact for fact in main.evidence.facts if fact.id in spoken)
    evidence = replace(main.evidence, facts=facts) if draft.facts else main.evidence
    return Assignment(main.patch, task, number, evidence, focus, choose(task, seed), seed, original)


def _main_areas(facts: Sequence[Fact], min_share: float) -> Sequence[Fact]:
    areas = [fact for fact in facts if fact.kind is GeometryKind.AREA and fact.share >= min_share]
    return [max(areas, key=lambda fact: fact.share)] if areas else []


def _main_lines_and_points(facts: Sequence[Fact]) -> Sequence[Fact]:
    """The three longest lines that are at least half as long as the longest, and the first point.

    RSTeller takes one of the three longest lines and no points; always the longest would be a street nearly always.
    """
    lines = sorted(
        (fact for fact in facts if fact.kind is GeometryKind.LINE), key=lambda line: -line.length_m
    )
    points = [fact for fact in facts if fact.kind is GeometryKind.POINT]
    return [line for line in lines[:3] if 2 * line.length_m >= lines[0].length_m] + points[:1]


def _drawn(weights: Sequence[float], at: float) -> int:
    """Index of the weight that a number in [0, 1) falls into."""
    left = at * sum(weights)
    for index, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return index
    return len(weights) - 1


def _seed(seed: int, patch: str, task: Task, number: int, attempt: int) -> int:
    """48 bits, so that it is exact wherever JSON numbers are doubles."""
    return int(digest([seed, patch, int(task), number, attempt])[:12], 16)
