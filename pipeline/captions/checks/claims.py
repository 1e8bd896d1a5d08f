"""What the reader makes of a text: mentions of things, and claims about them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from pipeline.evidence import Fact
from pipeline.types import Reason


class Kind(StrEnum):
    """What a claim is about; the value's type beside it."""

    COUNT = "count"  # (smallest, largest)
    SHARE = "share"  # (smallest, largest)
    MEASURE = "measure"  # (unit, smallest, largest)
    EXTENT = "extent"  # two of (smallest, largest): length and width in m
    PLACE = "place"  # (side letters, region)
    TOWARD = "toward"  # side letters; relative to the image or to a thing named before
    WIDE = "wide"  # nothing: over the whole image
    WHOLE = "whole"  # nothing: cut off nowhere
    EDGE = "edge"  # side letters: cut off there
    REACH = "reach"  # side letters: ends there
    SIDES = "sides"  # (smallest, largest): number of the image's edges that cut it off
    COURSE = "course"  # (side letters, side letters): from, to
    AXIS = "axis"  # NS, EW, NESW, NWSE, DIAG
    ATTRIBUTE = "attribute"  # word
    SHAPE = "shape"
    SINUOSITY = "sinuosity"
    SIZE = "size"
    ARRANGEMENT = "arrangement"
    DOMINATE = "dominate"
    RELATION = "relation"  # family


SEVERAL = (1.5, 1e9)
"""Value of the number that a plural without one says: "ponds"."""

REASONS = {
    Kind.COUNT: Reason.WRONG_NUMBER,
    Kind.SHARE: Reason.WRONG_NUMBER,
    Kind.MEASURE: Reason.WRONG_NUMBER,
    Kind.EXTENT: Reason.WRONG_NUMBER,
    Kind.PLACE: Reason.WRONG_PLACE,
    Kind.TOWARD: Reason.WRONG_PLACE,
    Kind.WIDE: Reason.WRONG_PLACE,
    Kind.EDGE: Reason.WRONG_PLACE,
    Kind.WHOLE: Reason.WRONG_PLACE,
    Kind.REACH: Reason.WRONG_PLACE,
    Kind.SIDES: Reason.WRONG_PLACE,
    Kind.COURSE: Reason.WRONG_DIRECTION,
    Kind.AXIS: Reason.WRONG_DIRECTION,
    Kind.ATTRIBUTE: Reason.WRONG_ATTRIBUTE,
    Kind.SHAPE: Reason.WRONG_ATTRIBUTE,
    Kind.SINUOSITY: Reason.WRONG_ATTRIBUTE,
    Kind.SIZE: Reason.WRONG_ATTRIBUTE,
    Kind.ARRANGEMENT: Reason.WRONG_ATTRIBUTE,
    Kind.DOMINATE: Reason.WRONG_NUMBER,
    Kind.RELATION: Reason.WRONG_RELATION,
}


@dataclass(slots=True, eq=False)
class Mention:
    """A noun phrase that speaks of something visible.

    Attributes
    ----------
    concept
        Noun of the lexicon.
    said
        The words.
    plural, mass
        Form of the noun.
    negated
        Whether the text says that there is none.
    excused
        Whether it need not be there: "no house lies in the park".
    candidates
        Facts it may speak of; filled by the review.
    uncounted
        Ids of those that are made of such things, in unknown number.
    collective
        Whether the noun speaks of several things of a fact as one ("a row of trees"): its number says nothing.
    """

    concept: str
    said: str
    plural: bool = False
    mass: bool = False
    negated: bool = False
    excused: bool = False
    candidates: list[Fact] = field(default_factory=list)
    uncounted: set[str] = field(default_factory=set)
    collective: bool = False


FROM = "from the "
"""Before what is said of where a line comes from."""

ANY_OF = "any of "
"""Before the concepts, with semicolons, of a word that speaks of any of them: "wooded"."""

Group = tuple[Mention, ...]
"""Mentions of which one is meant."""

Value = Any
"""Of the type that `Kind` names: a word, a pair of numbers, side letters."""


class Claim(NamedTuple):
    """Something said of a thing: one mention of each group of `about` must bear it out.

    `others` are the groups of the second things of relations; `spare` are things of the same clause of which English
    lets it be said as well: it is borne out where one of them does so. What is negated must not be so.
    """

    kind: Kind
    value: Value
    said: str
    about: tuple[Group, ...]
    others: tuple[Group, ...] = ()
    spare: Sequence[Mention] = ()
    negated: bool = False

    def denied(self) -> "Claim":
        """The claim that this is not so."""
        if self.kind is Kind.RELATION:
            return self._replace(value=f"not {self.value}")
        return self._replace(negated=True, spare=())


@dataclass(slots=True)
class Reading:
    """All that a text says.

    Attributes
    ----------
    mentions
        In the order of the text.
    claims
        About them.
    scene
        Words that describe the whole scene, with the concepts of which one must be there.
    extent_m
        Smallest and largest size that the text gives for the whole image.
    faults
        What is wrong in itself.
    """

    mentions: list[Mention] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    scene: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    extent_m: list[tuple[str, float, float]] = field(default_factory=list)
    faults: list[tuple[Reason, str]] = field(default_factory=list)
