"""What a caption engine is asked for, and what it gives back."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from pipeline.evidence import Evidence, Task
from pipeline.types import Reason


@dataclass(frozen=True, slots=True)
class Assignment:
    """One text to be written.

    Attributes
    ----------
    patch
        Id of the patch.
    task
        What the text is about.
    number
        Counts the revisions of a patch from 0; 0 for other tasks.
    evidence
        What is known about the patch.
    focus
        Ids of the facts that the text must speak of: the main element of the tasks 1 and 2, what the original speaks
        of first in revisions and titles; empty where the writer chooses among the evidence (scene).
    prompt
        Name of the prompt file.
    seed
        Seed of all choices of the writer.
    original
        The text to be put in other words (revisions and titles); empty otherwise.
    attempt
        0 for the first try, 1 for the second.
    """

    patch: str
    task: Task
    number: int
    evidence: Evidence
    focus: tuple[str, ...]
    prompt: str
    seed: int
    original: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """A text as the writer gave it, not checked yet.

    Attributes
    ----------
    text
        The text.
    facts
        Ids of the facts that it speaks of, as the writer says.
    prompt_tokens, output_tokens
        Tokens that a model read and wrote; 0 without a model.
    """

    text: str
    facts: tuple[str, ...]
    prompt_tokens: int = 0
    output_tokens: int = 0


class Writer(Protocol):
    """A caption engine, open and ready."""

    @property
    def annotator(self) -> str:
        """Name of the engine or model, as captions record it."""

    @property
    def revision(self) -> str:
        """Pinned revision of the model; the project's version for the template engine."""

    @property
    def sampling(self) -> str:
        """Sampling parameters as canonical JSON; ``{}`` without a model."""

    def write(self, assignments: Iterable[Assignment]) -> Iterator[tuple[Assignment, Draft | Reason]]:
        """Write texts, in any order, each as soon as it is there; a reason where no text came.

        Raises
        ------
        Transient
            The engine is not reachable now; what was yielded stays valid.
        Misconfigured
            The engine cannot work with this config at all.
        """
