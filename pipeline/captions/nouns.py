"""Noun phrases of facts: an L-shaped school building, 14 red-roofed houses, a row of six garages, farmland."""

import re
from collections.abc import Sequence
from functools import cached_property

from pipeline.captions.draw import Draw
from pipeline.captions.english import exact_count, indefinite, loose_counts
from pipeline.evidence import Arrangement, Fact, Shape, Sinuosity
from pipeline.types import GeometryKind

WIDE_SHARE = 0.11
"""An area of more than a ninth of the image is larger than the cell that its position names."""

_MASS = re.compile(r"(?:area|patch|stretch) of (.*(?:[^s]|ss))")
"""An area of farmland may be called farmland; a patch of trees stays a patch."""

_OF_MATTER = re.compile(r"(?:area|array|bed|flight|group|patch|row|stretch|strip) of .+")
"""What something consists of; not a place of worship."""

_BUILDING = "building"
"""Noun of buildings of no known kind; after others they are "other buildings", as houses after single-family houses."""

_BY_NATURE = re.compile(
    r"(?:.* )?(?:campus|court|diamond|driveway|field|garage|green|pitch|plots|pool|roundabout|tank)"
)
"""Nouns whose shape goes without saying."""

_FORMS: dict[Shape, tuple[str, float]] = {
    Shape.L_SHAPED: ("L-shaped", 0.95),
    Shape.ROUND: ("round", 0.8),
    Shape.ELONGATED: ("elongated", 0.6),
    Shape.SQUARE: ("square", 0.5),
    Shape.RECTANGULAR: ("rectangular", 0.5),
    Shape.IRREGULAR: ("irregularly shaped", 0.3),
}
"""Adjective of a shape, and how often it is worth a word."""

_TELLING_SHARE = 0.004
"""A smaller thing is no more than a dot: its outline is not worth a word, unless it is a rare one."""

_SPREAD_SHARE = 0.15
"""Things that cover more than this are no row or cluster to the eye."""

_PAIR_SHARE = 0.03
"""Two things that cover less than this are a pair; two forests are just two."""

_MOST_ADJECTIVES = 2


class Nouns:
    """The noun phrases of one fact. A phrase is drawn when first used and stays the same after.

    Parameters
    ----------
    fact
        The fact.
    draw
        Where choices come from.
    before
        Facts that the text speaks of before this one.
    """

    def __init__(self, fact: Fact, draw: Draw, before: Sequence[Fact] = ()) -> None:
        self.fact = fact
        self._draw = draw
        self.line = fact.kind is GeometryKind.LINE
        self._other = any(
            (fact.singular == _BUILDING and each.tag.startswith("building"))
            or each.singular.endswith(f" {fact.singular}")
            for each in before
        )
        self.gathered = self._gathered()
        self.adjectives = self._adjectives()
        mass = _MASS.fullmatch(fact.singular) if fact.kind is GeometryKind.AREA else None
        self._mass = mass[1] if mass and self._is_mass() else ""

    @property
    def plural(self) -> bool:
        """The number of `a`: "a row of houses" is one."""
        return self.fact.count > 1 and not self._mass and not self.gathered.startswith("a ")

    @cached_property
    def a(self) -> str:
        """Noun phrase inside a sentence: a soccer field, 14 houses, residential streets, farmland."""
        if self._mass:
            return self._mass
        fact = self.fact
        if fact.count == 1:
            noun = self._named(fact.singular)
            return f"another {noun}" if self._other and not self.adjectives else indefinite(noun)
        if self.gathered.startswith("a "):
            return f"{self.gathered} {self._counted(exact_count(fact.count))}"
        return self._counted(self.number)

    @cached_property
    def opening(self) -> str:
        """Noun phrase at the start of a sentence, where a number in digits would look wrong."""
        if self.a[0].isdigit():
            return self._counted(self._draw.pick(*loose_counts(self.fact.count)))
        return self.a

    @cached_property
    def the(self) -> str:
        """Noun phrase of a thing named before: the soccer field, the houses."""
        return f"the {self._mass or self.noun}"

    @property
    def noun(self) -> str:
        """The bare noun in its number."""
        return self.fact.singular if self.fact.count == 1 else self.fact.plural

    @cached_property
    def number(self) -> str:
        """How many there are, in words or digits; nothing for most lines: "residential streets"."""
        n = self.fact.count
        if self.line and not (n <= 4 and self._draw.chance(0.5)):
            return "several" if 4 <= n <= 9 and self._draw.chance(0.5) else ""
        loose = [phrase for phrase in loose_counts(n) if phrase != "a pair of" or self._pairs_up]
        return self._draw.pick(*loose) if loose and self._draw.chance(0.3) else exact_count(n)

    def _is_mass(self) -> bool:
        return self.fact.count == 1 and not self.adjectives and self._draw.chance(0.5)

    def _named(self, noun: str) -> str:
        head, _, matter = noun.partition(" of ")
        if not _OF_MATTER.fullmatch(noun) or self.fact.count > 1:
            return " ".join([*self.adjectives, noun])
        # a round patch of coniferous woodland
        form = [word for word in self.adjectives if word not in self.fact.qualifiers]
        seen = [word for word in self.adjectives if word in self.fact.qualifiers]
        return " ".join([*form, head, "of", *seen, matter])

    def _counted(self, number: str) -> str:
        noun = self._named(self.fact.plural)
        if not self._other:
            return f"{number} {noun}".strip()
        # not "a pair of other buildings"
        exact = number.endswith(" of") or number in ("", "several")
        return f"{exact_count(self.fact.count) if exact else number} other {noun}"

    @property
    def _pairs_up(self) -> bool:
        """Whether two of it are a pair: two silos are, two forests or two patches of grass are just two."""
        return self.fact.share < _PAIR_SHARE and " of " not in self.fact.singular and not self.line

    def _gathered(self) -> str:
        """How several lie together: "a row of", "in a row", or nothing."""
        arrangement = self.fact.arrangement
        if arrangement not in (Arrangement.ROW, Arrangement.GRID, Arrangement.CLUSTER):
            return ""
        if self.fact.share > _SPREAD_SHARE or self.fact.singular.startswith(f"{arrangement} of"):
            return ""
        after = "clustered" if arrangement is Arrangement.CLUSTER else f"in a {arrangement}"
        many = " of " in self.fact.singular or self.fact.count > 12
        return after if many else self._draw.pick(after, f"a {arrangement} of")

    def _adjectives(self) -> tuple[str, ...]:
        """Outline or course, and what can be seen of it beside its class: at most two."""
        words = [*self._form(), *self.fact.qualifiers]
        return tuple(words[:_MOST_ADJECTIVES])

    def _form(self) -> tuple[str, ...]:
        fact = self.fact
        if fact.shape and not _BY_NATURE.fullmatch(fact.singular):
            word, weight = _FORMS[fact.shape]
            rare = fact.shape in (Shape.L_SHAPED, Shape.ROUND)
            told = rare or fact.share / fact.count >= _TELLING_SHARE
            return (word,) if told and self._draw.chance(weight) else ()
        if fact.sinuosity and fact.sinuosity is not Sinuosity.LOOP and self._draw.chance(0.6):
            return (str(fact.sinuosity),)
        return ()
