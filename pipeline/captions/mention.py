"""One fact in words: the phrases that the sentence patterns are made of."""

import re
from collections.abc import Sequence
from functools import cached_property

from pipeline.captions.draw import Draw
from pipeline.captions.english import (
    edge_list,
    exact_count,
    indefinite,
    lengths,
    loose_counts,
    places,
    shares,
    third_person,
)
from pipeline.types import Fact, GeometryKind

_MASS = re.compile(r"(?:area|patch|stretch) of (.*(?:[^s]|ss))")
"""An area of farmland may be called farmland; a patch of trees stays a patch."""

_UPRIGHT = re.compile(
    r"(?:.* )?(?:barn|building|bungalow|cabin|castle|cathedral|chapel|chimney|church|farmhouse|flagpole|garage|"
    r"greenhouse|hangar|house|hut|lamp|lighthouse|mansion|mast|monument|mosque|obelisk|pole|pylon|shed|silo|statue|"
    r"synagogue|temple|tower|townhouse|tree|turbine|warehouse|windmill)"
)
"""Nouns for things that stand rather than lie."""

_FLOWING = re.compile(r"(?:.* )?(?:river|stream)")

_WIDE_SHARE = 0.11
"""An area of more than a ninth of the image is larger than the cell that its position names."""


_BUILDING = "building"
"""Noun of buildings of no known kind; after others they are "other buildings"."""

_TELLING_M = 10.0
"""A shorter line is not worth a number."""


class Mention:
    """A fact as the phrases a sentence needs. A phrase is drawn when first used and stays the same after.

    Parameters
    ----------
    fact
        The fact.
    side_m
        Side of the patch, metres on the ground.
    draw
        Where choices come from.
    before
        Facts that the text speaks of before this one.
    """

    def __init__(self, fact: Fact, side_m: float, draw: Draw, before: Sequence[Fact] = ()) -> None:
        self.fact = fact
        self._side_m = side_m
        self._draw = draw
        mass = _MASS.fullmatch(fact.singular) if fact.kind is GeometryKind.AREA else None
        self._mass = mass[1] if mass and draw.chance(0.5) else ""
        self._other = fact.singular == _BUILDING and any(f.tag.startswith("building=") for f in before)
        self.plural = fact.count > 1 and not self._mass
        self.line = fact.kind is GeometryKind.LINE
        self.large = fact.share >= 0.5

    @cached_property
    def a(self) -> str:
        """Noun phrase inside a sentence: a soccer field, 14 houses, residential streets, farmland.

        Lines are never counted: OSM cuts one road into many ways wherever a tag changes.
        """
        if self._mass:
            return self._mass
        if not self.plural:
            return f"another {self.fact.singular}" if self._other else indefinite(self.fact.singular)
        if self.line:
            return self.fact.plural
        n = self.fact.count
        loose = [phrase for phrase in loose_counts(n) if phrase != "a pair of" or self._pairs_up]
        return self._counted(self._draw.pick(*loose) if loose and self._draw.chance(0.3) else exact_count(n))

    @cached_property
    def opening(self) -> str:
        """Noun phrase at the start of a sentence, where a number in digits would look wrong."""
        if self.a[0].isdigit():
            return self._counted(self._draw.pick(*loose_counts(self.fact.count)))
        return self.a

    @cached_property
    def the(self) -> str:
        """Noun phrase of a thing named before: the soccer field, the houses."""
        mass = _MASS.fullmatch(self.fact.singular)
        noun = self.fact.plural if self.plural else mass[1] if mass else self.fact.singular
        return f"the {noun}"

    def verb(self, verb: str) -> str:
        """A verb in the form that agrees with the noun phrase."""
        return verb if self.plural else third_person(verb)

    @cached_property
    def where(self) -> str:
        """Where it is: "in the top left"; empty where the position says nothing, as for a huge area."""
        fact = self.fact
        if fact.share >= 0.9 or (fact.share >= 0.3 and fact.positions == ("center",)):
            return ""
        wide = fact.share > _WIDE_SHARE or fact.length_m > 0.4 * self._side_m
        return self._draw.pick(*places(fact.positions, wide=wide, line=self.line))

    @cached_property
    def where_in_it(self) -> str:
        """`where`, in a sentence whose subject is the image."""
        return self.where.replace("the image", "it")

    @cached_property
    def lies(self) -> str:
        """Verb of being somewhere, to go before or after `where`: lies, stand, runs."""
        if self.line:
            return self.verb("flow" if _FLOWING.fullmatch(self.fact.singular) else "run")
        if self.where.startswith(("scattered", "spread")):
            return self.verb("are")
        if _UPRIGHT.fullmatch(self.fact.singular):
            return self.verb("stand")
        return self.verb("lie")

    @cached_property
    def covers(self) -> str:
        """Verb to go before `share`."""
        options = ("cover", "take up", "occupy", *(("fill",) if self.fact.share >= 0.6 else ()))
        verb = self.verb(self._draw.pick(*options))
        return f"together {verb}" if self.plural and self._draw.chance(0.6) else verb

    @cached_property
    def covering(self) -> str:
        """`covers` as a participle."""
        participle = self._draw.pick("covering", "taking up", "occupying")
        return f"together {participle}" if self.plural and self._draw.chance(0.4) else participle

    @cached_property
    def share(self) -> str:
        """Share of the image, ending in "of"."""
        return self._draw.pick(*shares(self.fact.share))

    @cached_property
    def extent(self) -> str:
        """Share of the image, to follow `where`, which may have named the image already."""
        whole = (
            "it"
            if self.where.endswith(("across the image", "throughout the image"))
            else self._draw.pick("the image", "the ground in view")
        )
        return f"{self.share} {whole}"

    @cached_property
    def length(self) -> str:
        """Length inside the image: "about 270 m"; empty for very short lines."""
        return self._draw.pick(*lengths(self.fact.length_m)) if self.fact.length_m >= _TELLING_M else ""

    @cached_property
    def measured(self) -> str:
        """Length as an afterthought, with what joins it to the sentence; empty for very short lines."""
        if not self.length:
            return ""
        if self.plural:
            sums = (f"{self.length} in all", f"{self.length} in total", f"adding up to {self.length}")
            return f", {self._draw.pick(*sums)},"
        if self.crossing:
            return f", with {self.length} of it in view,"
        return f" for {self.length}"

    @cached_property
    def stretch(self) -> str:
        """Length and noun in one: "a roughly 270 m stretch of stream"; empty where that would not be English."""
        if not self.length or " of " in self.fact.singular:
            return ""
        if self.plural:
            return f"{self.length} of {self.fact.plural}"
        measure = re.sub(r" ((?:kilo)?meter)s?$", r"-\1", self.length.removeprefix("about "))
        return f"a roughly {measure} stretch of {self.fact.singular}"

    @cached_property
    def crossing(self) -> str:
        """From which edge to which a single line crosses the image; empty where it does not.

        A line that is cut off at two opposite edges but is shorter than the image lies there in pieces.
        """
        if self.line and self.fact.count == 1 and self.fact.length_m >= 0.98 * self._side_m:
            match sorted(self.fact.edges):
                case ["left", "right"]:
                    return "from left to right"
                case ["bottom", "top"]:
                    return "from top to bottom"
        return ""

    @cached_property
    def runs(self) -> str:
        """What a line does: "crosses the image from left to right", "run along the top"."""
        return (
            f"{self.verb('cross')} the image {self.crossing}"
            if self.crossing
            else f"{self.lies} {self.where}"
        )

    @cached_property
    def running(self) -> str:
        """`runs` as a participle."""
        return f"crossing the image {self.crossing}" if self.crossing else f"{self._going} {self.where}"

    @cached_property
    def running_in_it(self) -> str:
        """`running`, in a sentence whose subject is the image."""
        return f"crossing it {self.crossing}" if self.crossing else f"{self._going} {self.where_in_it}"

    @cached_property
    def cut(self) -> bool:
        """Whether it is cut off by the image's edge, and this is not yet said by `crossing`."""
        return bool(self.fact.edges) and not self.crossing

    @cached_property
    def continues(self) -> str:
        """How it goes on outside the image: "continues beyond the left edge"."""
        verb, _ = self._onward
        return verb

    @cached_property
    def continuing(self) -> str:
        """`continues` as a participle."""
        _, participle = self._onward
        return participle

    @cached_property
    def clause(self) -> str:
        """What can be said of it in a few words when it is not the main thing: "lies in the top left"."""
        if self.line:
            return self.runs
        if self.fact.share >= 0.1 and (not self.where or self._draw.chance(0.5)):
            return f"{self.covers} {self.share} the image"
        return f"{self.lies} {self.where}" if self.where else "can be seen"

    @property
    def _pairs_up(self) -> bool:
        """Whether two of it are a pair: two silos are, two forests or two patches of grass are just two."""
        return self.fact.share < _WIDE_SHARE and " of " not in self.fact.singular

    def _counted(self, number: str) -> str:
        if not self._other:
            return f"{number} {self.fact.plural}"
        # not "a pair of other buildings"
        return (
            f"{exact_count(self.fact.count) if number.endswith(' of') else number} other {self.fact.plural}"
        )

    @property
    def _going(self) -> str:
        return "flowing" if self.lies.startswith("flow") else "running"

    @cached_property
    def _onward(self) -> tuple[str, str]:
        edges = edge_list(self.fact.edges)
        if self.plural and not self.line:
            return f"are partly cut off by {edges}", f"partly cut off by {edges}"
        if self.lies in ("stand", "stands"):
            return f"is cut off by {edges}", f"cut off by {edges}"
        verb, participle = {
            "continue beyond": ("continue beyond", "continuing beyond"),
            "extend past": ("extend past", "extending past"),
            "reach beyond": ("reach beyond", "reaching beyond"),
        }[self._draw.pick("continue beyond", "extend past", "reach beyond")]
        return f"{self.verb(verb)} {edges}", f"{participle} {edges}"
