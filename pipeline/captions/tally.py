"""What became of the texts that annotators were asked for: a value that adds up over units."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.evidence import Task
from pipeline.ids import Json
from pipeline.types import Reason

_NUMBERS = ("asked", "kept", "prompt_tokens", "output_tokens")
_BY_REASON = ("regenerated", "dropped")


@dataclass(frozen=True, slots=True)
class Tally:
    """Texts of one annotator and task. Adds up: ``a + b``; ``asked = kept + sum(dropped)``.

    Attributes
    ----------
    asked
        Texts asked for.
    kept
        Texts that passed the checks, at the first or second try.
    regenerated
        Texts made again, by the reason why the first try failed.
    dropped
        Texts given up, by the reason why the second try failed.
    prompt_tokens, output_tokens
        Tokens that a model read and wrote for texts that came, kept or not.
    """

    asked: int = 0
    kept: int = 0
    regenerated: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    prompt_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.asked + other.asked,
            self.kept + other.kept,
            _sum(self.regenerated, other.regenerated),
            _sum(self.dropped, other.dropped),
            self.prompt_tokens + other.prompt_tokens,
            self.output_tokens + other.output_tokens,
        )

    @classmethod
    def first(cls, failed: Reason | None, prompt_tokens: int, output_tokens: int) -> "Tally":
        """A first try: kept, or to be made again."""
        again = {} if failed is None else {str(failed): 1}
        return cls(1, int(failed is None), again, {}, prompt_tokens, output_tokens)

    @classmethod
    def second(cls, failed: Reason | None, prompt_tokens: int, output_tokens: int) -> "Tally":
        """A second try: kept, or given up."""
        gone = {} if failed is None else {str(failed): 1}
        return cls(0, int(failed is None), {}, gone, prompt_tokens, output_tokens)


class Tallies:
    """Tallies by annotator and task."""

    def __init__(self) -> None:
        self._by: dict[tuple[str, Task], Tally] = {}

    def add(self, annotator: str, task: Task, tally: Tally) -> None:
        """Count something."""
        self._by[annotator, task] = self._by.get((annotator, task), Tally()) + tally

    def __getitem__(self, key: tuple[str, Task]) -> Tally:
        return self._by[key]

    def items(self) -> Iterable[tuple[tuple[str, Task], Tally]]:
        """All of them, sorted."""
        return sorted(self._by.items())

    def plain(self) -> Json:
        """As JSON for the info of a commit."""
        return [
            {
                "annotator": annotator,
                "task": int(task),
                "asked": tally.asked,
                "kept": tally.kept,
                "regenerated": dict(tally.regenerated),
                "dropped": dict(tally.dropped),
                "prompt_tokens": tally.prompt_tokens,
                "output_tokens": tally.output_tokens,
            }
            for (annotator, task), tally in self.items()
        ]

    @classmethod
    def of(cls, infos: Iterable[Any]) -> "Tallies":
        """The sums of what `plain` gave for several units."""
        sums: dict[tuple[str, int], list[defaultdict[str, int]]] = {}  # a Counter takes twice as long
        for info in infos:  # a big dataset has a hundred thousand: no value for each on the way
            for row in info:
                key = (row["annotator"], row["task"])
                if key not in sums:
                    sums[key] = [defaultdict(int), defaultdict(int), defaultdict(int)]
                numbers, *by_reason = sums[key]
                for name in _NUMBERS:
                    numbers[name] += row[name]
                for name, total in zip(_BY_REASON, by_reason, strict=True):
                    for reason, n in row[name].items():
                        total[reason] += n
        found = cls()
        for (annotator, task), (numbers, regenerated, dropped) in sums.items():
            again, gone = (dict(sorted(total.items())) for total in (regenerated, dropped))
            tally = Tally(**numbers, regenerated=again, dropped=gone)
            found.add(annotator, Task(task), tally)
        return found


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> Mapping[str, int]:
    if not (one and other):
        return one or other
    return dict(sorted((Counter(one) + Counter(other)).items()))
