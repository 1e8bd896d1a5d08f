"""One fact in words: the phrases that the sentence patterns are made of."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property

from pipeline.captions.draw import Draw
from pipeline.captions.english import NOWHERE, course, edge_list, lengths, places, shares, third_person
from pipeline.captions.nouns import WIDE_SHARE, Nouns
from pipeline.evidence import Arrangement, Axis, Fact, Sinuosity
from pipeline.types import GeometryKind

_UPRIGHT = re.compile(
    r"(?:.* )?(?:barn|building|bungalow|cabin|castle|cathedral|chapel|chimney|church|farmhouse|flagpole|garage|"
    r"greenhouse|hangar|house|hut|lamp|lighthouse|mansion|mast|monument|mosque|obelisk|pole|pylon|shed|silo|statue|"
    r"synagogue|temple|tower|townhouse|tree|turbine|warehouse|windmill)"
)
"""Nouns for things that stand rather than lie."""

_ROUND = re.compile(r"(?:roundabout|circle|track)$")
"""Nouns for what is a loop anyway."""

_FLOWING = re.compile(r"(?:.* )?(?:river|stream)")

_AXES: Mapping[Axis, str] = {
    Axis.NORTH_SOUTH: "from north to south",
    Axis.NORTHEAST_SOUTHWEST: "from northeast to southwest",
    Axis.EAST_WEST: "from east to west",
    Axis.NORTHWEST_SOUTHEAST: "from northwest to southeast",
}

_PARTICIPLES = {"curve": "curving", "run": "running", "wind": "winding"}

_STRETCHING_SHARE = 0.01
"""Smaller areas, such as a garage, stretch nowhere."""

_TELLING_M = 20.0
"""A shorter length is not worth a number."""


class Mention(Nouns):
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
        super().__init__(fact, draw, before)
        self._side_m = side_m
        self.large = fact.share >= 0.5

    def verb(self, verb: str) -> str:
        """A verb in the form that agrees with the noun phrase."""
        return verb if self.plural else third_person(verb)

    def verb_of_the(self, verb: str) -> str:
        """A verb in the form that agrees with `the`."""
        return verb if self.fact.count > 1 and not self._mass else third_person(verb)

    @cached_property
    def where(self) -> str:
        """Where it is: "in the top left"; empty where the position says nothing, as for a huge area."""
        fact = self.fact
        if fact.share >= 0.9 or (fact.share >= 0.3 and fact.positions == ("center",)):
            return ""
        where = self._draw.pick(*(places_of(fact, self._side_m) or ("",)))
        if self.gathered and not self.gathered.startswith("a "):
            return self.gathered if where.startswith("spread") else f"{self.gathered} {where}".strip()
        return where

    @cached_property
    def where_in_it(self) -> str:
        """`where`, in a sentence whose subject is the image."""
        return self.where.replace("the image", "the view")

    @cached_property
    def lies(self) -> str:
        """Verb of being somewhere, to go before or after `where`: lies, stand, runs."""
        return self.verb(self._lying)

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
    def size(self) -> str:
        """Length and width of a single area that lies wholly in the image: "about 120 m by 80 m"; or empty."""
        long, wide = self.fact.extent_m
        if self.fact.edges or self.fact.count > 1 or self.line or wide < _TELLING_M:
            return ""
        first, second = lengths(long)[0], lengths(wide)[0].removeprefix("about ")
        return f"{first} by {second}"

    @cached_property
    def stretching(self) -> str:
        """The direction of an elongated area: "stretching from north to south"; empty for others."""
        if self.line or not self.fact.axis or self.fact.share < _STRETCHING_SHARE:
            return ""
        # what is cut off may extend past an edge already
        verb = "stretching" if self.fact.edges else self._draw.pick("stretching", "extending")
        return f"{verb} {_AXES[self.fact.axis]}"

    @cached_property
    def length(self) -> str:
        """Length inside the image: "about 270 m"; empty for very short lines."""
        return self._draw.pick(*lengths(self.fact.length_m)) if self.fact.length_m >= _TELLING_M else ""

    @cached_property
    def measured(self) -> str:
        """Length of a single line as an afterthought, with what joins it to the sentence; or empty."""
        if not self.length or self.fact.count > 1:
            return ""
        return f", with {self.length} of it in view," if self.crossing else f" for {self.length}"

    @cached_property
    def sized(self) -> str:
        """The length of a single area as an insertion: ", about 80 m long,"; empty where it is not telling."""
        long, wide = self.fact.extent_m
        if not self.size or long < 1.5 * wide or self.stretching:
            return ""
        return f", {lengths(long)[0]} in length,"

    @cached_property
    def crossing(self) -> str:
        """From which edge to which a single line crosses the image; empty where it does not."""
        return crossing_of(self.fact, self._side_m)

    @cached_property
    def course(self) -> str:
        """Where a single line leads: "from the top left to the bottom right"; empty for others."""
        ends = self.fact.ends
        if self.fact.count > 1 or len(set(ends)) < 2:
            return ""
        return course(*ends) if self._draw.chance(0.7) else course(*ends[::-1])

    @cached_property
    def place(self) -> str:
        """Where it is or leads."""
        return self.crossing or self.course or self.where

    @cached_property
    def runs(self) -> str:
        """What a line does: "crosses the image from left to right", "winds from the left to the bottom"."""
        if self.crossing:
            return f"{self.verb('cross')} the image {self.crossing}"
        if self._loops:
            return f"{self.verb('form')} a loop {self.where}"
        if self.course:
            return f"{self.verb(self._going)} {self.course}"
        return f"{self.lies} {self.where}" if self.where else f"{self.verb('are')} in view"

    @cached_property
    def running(self) -> str:
        """`runs` as a participle."""
        if self.crossing:
            return f"crossing the image {self.crossing}"
        if self._loops:
            return f"forming a loop {self.where}"
        if self.course:
            return f"{_PARTICIPLES[self._going]} {self.course}"
        return f"{'flowing' if self._lying == 'flow' else 'running'} {self.where}" if self.where else ""

    @cached_property
    def running_in_it(self) -> str:
        """`running`, in a sentence whose subject is the image."""
        return self.running.replace("the image", "the view")

    @cached_property
    def cut(self) -> bool:
        """Whether a single thing is cut off by the image's edge, and this is not yet said by `crossing`."""
        return 0 < len(self.fact.edges) < 4 and not self.crossing and self.fact.count == 1

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
        if self.fact.share >= 0.1 and self.share and (not self.where or self._draw.chance(0.4)):
            return f"{self.covers} {self.share} the image"
        return f"{self.lies} {self.where}" if self.where else f"{self.verb('are')} in view"

    @property
    def _loops(self) -> bool:
        return (
            self.fact.sinuosity is Sinuosity.LOOP
            and bool(self.where)
            and not _ROUND.search(self.fact.singular)
        )

    @cached_property
    def _lying(self) -> str:
        if self.line:
            return "flow" if _FLOWING.fullmatch(self.fact.singular) and not self.course else "run"
        if self.where.startswith(("scattered", "spread", "clustered")):
            return "are"
        return "stand" if _UPRIGHT.fullmatch(self.fact.singular) else "lie"

    @cached_property
    def _going(self) -> str:
        """How a single line leads from one end to the other; what an adjective said is not said again."""
        verbs = {Sinuosity.WINDING: "wind", Sinuosity.CURVING: "curve"}
        bent = self.fact.sinuosity in verbs and str(self.fact.sinuosity) not in self.adjectives
        return verbs[self.fact.sinuosity] if bent and self.fact.sinuosity else "run"

    @cached_property
    def _onward(self) -> tuple[str, str]:
        edges = edge_list(self.fact.edges)
        if self._lying == "stand":
            return f"is cut off by {edges}", f"cut off by {edges}"
        verb, participle = {
            "continue beyond": ("continue beyond", "continuing beyond"),
            "extend past": ("extend past", "extending past"),
            "reach beyond": ("reach beyond", "reaching beyond"),
        }[self._draw.pick("continue beyond", "extend past", "reach beyond")]
        return f"{self.verb(verb)} {edges}", f"{participle} {edges}"


def crossing_of(fact: Fact, side_m: float) -> str:
    """From which edge to which a single line crosses the image; empty where it does not.

    A line that is cut off at two opposite edges but is shorter than the image lies there in pieces.
    """
    if fact.kind is not GeometryKind.LINE or fact.count > 1 or fact.length_m < 0.98 * side_m:
        return ""
    edges: dict[tuple[str, ...], str] = {
        ("left", "right"): "from left to right",
        ("bottom", "top"): "from top to bottom",
    }
    return edges.get(tuple(sorted(fact.edges)), "")


def places_of(fact: Fact, side_m: float) -> tuple[str, ...]:
    """Phrases for where a fact's things are; none where they are all over in no way that has a name."""
    wide = fact.share > WIDE_SHARE or fact.length_m > 0.4 * side_m
    line = fact.kind is GeometryKind.LINE
    middle = "through the middle" if line else "in the middle"
    found = [
        where.replace("in the central part", middle) for where in places(fact.positions, wide=wide, line=line)
    ]
    if fact.arrangement is not Arrangement.SCATTERED:
        found = [where.replace("scattered", "spread") for where in found]
    return tuple(where for where in found if where != NOWHERE)
