"""How two things lie to each other, in words: next to the parking lot, crossing a stream, inside a park."""

from dataclasses import dataclass
from functools import cached_property

from pipeline.captions.draw import Draw
from pipeline.captions.mention import Mention
from pipeline.evidence import Relation, RelationKind
from pipeline.types import GeometryKind

_TOUCHING_M = 1.0

_PREPOSITIONS = (
    "inside",
    "within",
    "between",
    "next to",
    "right next to",
    "adjacent to",
    "beside",
    "alongside",
)


@dataclass(frozen=True)
class Link:
    """A relation of two things, of which the text has named one.

    Attributes
    ----------
    relation
        The subject lies so to the object; never `RelationKind.SURROUNDS`, which is told from inside.
    subject, object
        The things.
    third
        The second object of `RelationKind.BETWEEN`.
    named
        Facts that the text has named, by id.
    draw
        Where choices come from.
    """

    relation: Relation
    subject: Mention
    object: Mention
    third: Mention | None
    named: frozenset[str]
    draw: Draw

    @property
    def new(self) -> Mention:
        """The thing that the text has not named."""
        return self.object if self.subject.fact.id in self.named else self.subject

    @property
    def turned(self) -> bool:
        """Whether the subject is the thing that the text has named."""
        return self.subject.fact.id in self.named

    @cached_property
    def the(self) -> str:
        """The subject, where the text has named it; a pronoun where it has named nothing else."""
        if len(self.named) > 1:
            return self.subject.the
        return "they" if self.subject.fact.count > 1 else "it"

    @cached_property
    def to(self) -> str:
        """The object: the parking lot, a parking lot."""
        first = self._said(self.object)
        return f"{first} and {self._said(self.third)}" if self.third else first

    @cached_property
    def phrase(self) -> str:
        """To follow a clause about the subject: "next to the parking lot", "crossing a stream"."""
        return f"{self._words[1]} {self.to}"

    @cached_property
    def front(self) -> str:
        """To begin a sentence with, before the verb and the subject; empty where that would not be English."""
        return self.phrase if self._words[1] in _PREPOSITIONS else ""

    @cached_property
    def clause(self) -> str:
        """Verb and object, to follow the subject: "lies next to the parking lot", "crosses a stream"."""
        verb = self.subject.verb_of_the(self._words[0]) if self.turned else self.subject.verb(self._words[0])
        return f"{verb} {self.to}"

    def _said(self, thing: Mention) -> str:
        return thing.the if thing.fact.id in self.named else thing.a

    @cached_property
    def _words(self) -> tuple[str, str]:
        """Verb with preposition, and what stands for it without a verb."""
        pick, kind = self.draw.pick, self.relation.kind
        lying = self._lying
        both_areas = self.subject.fact.kind is self.object.fact.kind is GeometryKind.AREA
        if kind is RelationKind.CROSSES:
            if self.object.line:
                return "cross", "crossing"
            verb = pick("run through", "pass through")
            return verb, {"run through": "running through", "pass through": "passing through"}[verb]
        if kind is RelationKind.RUNS_ALONG and self.subject.line:
            verb = pick("run along", "follow")
            return verb, "running along" if verb == "run along" else "following"
        if kind is RelationKind.RUNS_ALONG:
            verb = pick("line", f"{lying} along")
            return verb, "lining" if verb == "line" else "along"
        if kind is RelationKind.INSIDE:
            preposition = pick("inside", "within", *(("through",) if self.subject.line else ()))
        elif kind is RelationKind.BETWEEN:
            preposition = "between"
        elif self.relation.distance_m < _TOUCHING_M and both_areas:
            preposition = pick("right next to", "bordering", "next to", "adjacent to")
            if preposition == "bordering":
                return "adjoin", "bordering"
        else:
            preposition = pick("next to", "beside", *(("alongside",) if self.object.line else ()))
        return f"{lying} {preposition}", preposition

    @property
    def _lying(self) -> str:
        verb = self.subject.lies
        return {
            "lies": "lie",
            "stands": "stand",
            "runs": "run",
            "flows": "run",
            "flow": "run",
            "is": "lie",
        }.get(verb, "lie" if verb == "are" else verb)
