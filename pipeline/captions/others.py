"""The things around the main one: who is mentioned next, and how it lies to what the text has named."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

from pipeline.captions.draw import Draw
from pipeline.captions.english import joined
from pipeline.captions.link import Link
from pipeline.captions.mention import Mention
from pipeline.evidence import Fact, Relation, RelationKind

Speak: TypeAlias = Callable[[Fact, Sequence[Fact]], Mention]
"""A fact in words, after others that the text speaks of before it."""

State: TypeAlias = tuple[dict[str, Mention], list[Fact], set[tuple[RelationKind, str]]]

_TOP = 7
"""Facts of lower rank are not worth a word."""

_TELLING = (
    RelationKind.BETWEEN,
    RelationKind.CROSSES,
    RelationKind.RUNS_ALONG,
    RelationKind.INSIDE,
    RelationKind.NEXT_TO,
)
"""The most telling relation of two things is told."""

_LINKED = 0.8
"""How often a thing that lies to a named one in a way worth telling goes before one of higher rank."""


class Others:
    """The other facts of a patch, by rank; sentences take from it what they mention.

    Parameters
    ----------
    facts
        Facts of the patch, by rank.
    focus
        What the text speaks of first.
    draw
        Where choices come from.
    speak
        Makes mentions.
    """

    def __init__(self, facts: Sequence[Fact], focus: Fact, draw: Draw, speak: Speak) -> None:
        self._draw, self._speak = draw, speak
        self._all = {fact.id: fact for fact in facts}
        self.named: dict[str, Mention] = {focus.id: speak(focus, ())}
        by_name = {fact.singular: fact for fact in reversed(facts) if fact.singular != focus.singular}
        first = [focus, *(fact for fact in facts if by_name.get(fact.singular) is fact)]
        self._left = [fact for i, fact in enumerate(first) if i and not _doubled(fact, first[:i])][:_TOP]
        self._told: set[tuple[RelationKind, str]] = set()

    @property
    def left(self) -> int:
        """How many are not yet mentioned."""
        return len(self._left)

    @property
    def state(self) -> State:
        """What is named, left and told, to be put back with `back`."""
        return dict(self.named), list(self._left), set(self._told)

    def back(self, state: State) -> None:
        """Undo what was taken since."""
        self.named, self._left, self._told = dict(state[0]), list(state[1]), set(state[2])

    def take(self, n: int) -> list[Mention]:
        """The next `n`, or as many as there are."""
        return [self._name(fact) for fact in self._left[:n]]

    @property
    def last(self) -> Mention:
        """The one that was taken last."""
        return list(self.named.values())[-1]

    def drop(self) -> None:
        """Pass over the next one."""
        self._left = self._left[1:]

    def link(self, to: Iterable[str] = ()) -> Link | None:
        """The next thing that lies to a named one in a way worth telling, and how; None where there is none.

        Parameters
        ----------
        to
            Ids of the named things that it may lie to; all by default.
        """
        anchors = [self.named[id_].fact for id_ in to] or [mention.fact for mention in self.named.values()]
        for fact in list(self._left):
            found = [link for anchor in anchors for link in self._links(fact, anchor)]
            if found and (fact is self._left[0] or self._draw.chance(_LINKED)):
                relation, subject, other = min(found, key=lambda link: _TELLING.index(link[0].kind))
                return self._linked(relation, subject, other)
        return None

    def likewise(self, link: Link) -> Mention | None:
        """One more thing that lies so to the same one; None where there is none."""
        for fact in self._left if not link.turned and not link.third else ():
            for relation in fact.relations:
                if relation.kind is link.relation.kind and relation.other == link.object.fact.id:
                    return self._name(fact)
        return None

    def _links(self, fact: Fact, anchor: Fact) -> list[tuple[Relation, Fact, Fact]]:
        pairs = ((fact, anchor), (anchor, fact))
        found = [(r, one, other) for one, other in pairs for r in one.relations if r.other == other.id]
        straight = [_straight(*each) for each in found]
        return [each for each in straight if self._sayable(each[0])]

    def _sayable(self, relation: Relation) -> bool:
        if (relation.kind, relation.other) in self._told:
            return False
        third = self._all.get(relation.third)
        return not relation.third or (third is not None and (third.id in self.named or third in self._left))

    def _linked(self, relation: Relation, subject: Fact, other: Fact) -> Link:
        named = frozenset(self.named)
        self._told.add((relation.kind, other.id))
        third = self._name(self._all[relation.third]) if relation.third else None
        return Link(relation, self._name(subject), self._name(other), third, named, self._draw)

    def _name(self, fact: Fact) -> Mention:
        if fact.id not in self.named:
            before = [mention.fact for mention in self.named.values()]
            self.named[fact.id] = self._speak(fact, before)
            self._left = [each for each in self._left if each is not fact]
        return self.named[fact.id]


def _doubled(fact: Fact, before: Iterable[Fact]) -> bool:
    """Whether a thing would be spoken of twice: garages after buildings of no known kind are, the reverse is not."""
    return any(fact.singular.endswith(f" {other.singular}") for other in before)


def _straight(relation: Relation, one: Fact, other: Fact) -> tuple[Relation, Fact, Fact]:
    """What surrounds another thing has it inside, which reads better."""
    if relation.kind is not RelationKind.SURROUNDS:
        return relation, one, other
    return replace(relation, kind=RelationKind.INSIDE, other=one.id), other, one


def listed(mentions: Sequence[Mention]) -> str:
    """Several things in a row, inside a sentence."""
    return joined([mention.a for mention in mentions])


def listed_first(mentions: Sequence[Mention]) -> str:
    """Several things in a row, at the start of a sentence."""
    return joined([mentions[0].opening, *(mention.a for mention in mentions[1:])])


def are(mentions: Sequence[Mention]) -> str:
    """Is or are, to agree with several things in a row."""
    return "are" if len(mentions) > 1 or mentions[0].plural else "is"
