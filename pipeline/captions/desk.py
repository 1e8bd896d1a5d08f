"""Who writes captions, by which rules, and what comes of a patch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from pipeline.annotators import AnyCaptions
from pipeline.captions.assign import ChoosePrompt
from pipeline.captions.checks.review import Review
from pipeline.captions.journal import Place
from pipeline.captions.tally import Tally
from pipeline.captions.usage import Usage
from pipeline.captions.writer import Writer
from pipeline.evidence import Caption, Evidence, Task
from pipeline.types import Reason


class Check(Protocol):
    """Judges a text by all that is known about its patch: `pipeline.captions.checks.review.review`."""

    def __call__(
        self,
        text: str,
        evidence: Evidence,
        *,
        task: Task,
        focus: tuple[str, ...] = ...,
        original: str = ...,
    ) -> Review:
        """The findings; a text with one must not be kept."""


Titles: TypeAlias = Callable[[str, Evidence, tuple[str, ...]], tuple[str, str]]
"""The rule-made titles of a patch: id, evidence, focus -> title, title_multi_objects."""


@dataclass(frozen=True, slots=True)
class Desk:
    """An annotator as captions record it.

    Attributes
    ----------
    annotator, revision, sampling
        See `pipeline.captions.writer.Writer`.
    choose
        Chooses the prompt of a task.
    """

    annotator: str
    revision: str
    sampling: str
    choose: ChoosePrompt

    @classmethod
    def of(cls, writer: Writer, choose: ChoosePrompt) -> "Desk":
        """The desk of an open writer."""
        return cls(writer.annotator, writer.revision, writer.sampling, choose)


@dataclass(frozen=True, slots=True)
class Rules:
    """How captions are made, whoever writes them."""

    captions: AnyCaptions
    check: Check
    titles: Titles


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of a patch.

    Attributes
    ----------
    place, patch
        Its unit, and its id.
    captions
        The main caption, revisions by number, the polished title; none where the patch is rejected.
    title, title_multi_objects
        SkyScript's pair, made by rule.
    rejected
        Why there is no main caption.
    tallies
        What was asked for, by annotator and task.
    texts
        Answers that it took, of this worker and of earlier ones.
    fresh
        The answers that this worker asked for: they alone took its time.
    """

    place: Place
    patch: str
    captions: tuple[Caption, ...]
    title: str
    title_multi_objects: str
    rejected: Reason | None
    tallies: tuple[tuple[str, Task, Tally], ...]
    texts: int
    fresh: Usage = field(compare=False)
