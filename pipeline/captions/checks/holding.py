"""Whether a fact bears a claim out."""

from collections.abc import Callable

from pipeline.captions.checks import attributes, places
from pipeline.captions.checks.claims import Claim, Kind
from pipeline.captions.checks.relations import holders, related
from pipeline.captions.checks.scene import Scene
from pipeline.captions.checks.sides import EDGES
from pipeline.evidence import Fact
from pipeline.types import GeometryKind


def holds(claim: Claim, fact: Fact, scene: Scene, uncounted: bool = False) -> bool:  # noqa: FBT001, FBT002
    """Whether a fact bears a claim out; `uncounted` where it is made of such things, in unknown number."""
    if claim.negated:
        return not _in_part(claim, fact, scene)
    if (
        uncounted
        and claim.kind is Kind.COUNT
        and not claim.said.endswith(_COLLECTED)
        and not claim.about[0][0].concept.startswith("row of")
    ):
        low, high = claim.value
        if low == high == 1:
            return claim.about[0][0].concept not in _ONE_OF_MANY
        if claim.about[0][0].concept.endswith(PARCELS) and low <= fact.count <= high:
            return True  # five areas of farmland are five fields
        return high > 1.5 and not (low == high or _exact(claim.value))
    if uncounted and planted_in_rows(claim):
        return True
    return _HOLDS[claim.kind](claim, fact, scene)


def _in_part(claim: Claim, fact: Fact, scene: Scene) -> bool:
    """Whether a claim holds of a thing, or of some of a group, or at one of several edges."""
    if claim.kind in (Kind.EDGE, Kind.REACH):
        named = [EDGES[letter] for letter in str(claim.value) if letter in EDGES]
        return any(edge in fact.edges for edge in named) if named else bool(fact.edges)
    if claim.kind is Kind.PLACE and fact.count > 1:
        return places.lies(fact, claim.value[0], "some", scene.side_m)
    return _HOLDS[claim.kind](claim, fact, scene)


def planted_in_rows(claim: Claim) -> bool:
    """Whether rows are said of what is planted in rows: "rows of vines" of a vineyard."""
    return claim.said == "rows of" and claim.about[0][0].concept in _IN_ROWS


def _toward(claim: Claim, fact: Fact, scene: Scene) -> bool:
    if places.toward(fact, str(claim.value), scene.side_m):
        return True
    leads = claim.said.startswith("toward") or claim.said.endswith(("ward", "wards", "bound"))
    if leads and fact.kind is GeometryKind.LINE:
        axis = _ALONG.get(str(claim.value))
        return axis is not None and places.points(fact, axis)
    named = [other for group in claim.others for mention in group for other in mention.candidates]
    ids = {other.id for other in named} - {fact.id}
    others = [
        other for other in named if not holders(other) & ids
    ] or named  # of a park rather than of its pond
    return any(related(fact, other, None, f"dir {claim.value}") for other in others)


_ALONG = {"t": "NS", "b": "NS", "l": "EW", "r": "EW", "tr": "NESW", "bl": "NESW", "tl": "NWSE", "br": "NWSE"}
"""The axis along which something heads toward a side."""


def _aligned(claim: Claim, fact: Fact, scene: Scene) -> bool:
    if places.points(fact, str(claim.value)):
        return True
    travels = claim.said.startswith(("from", "north to", "south to", "east to", "west to"))
    return travels and _ends(fact, str(claim.value), scene.side_m)


def _looks(claim: Claim, fact: Fact, scene: Scene) -> bool:
    word = str(claim.value).partition(" ")[2]
    number, _, tracks = word.partition("-")
    if tracks == "track" and fact.count > 1:  # two railway tracks are a two-track railway
        return _TRACKS.get(number) == fact.count
    return attributes.looks(fact, word) or (word.startswith("fenced") and scene.fenced(fact))


_HOLDS: dict[Kind, Callable[[Claim, Fact, Scene], bool]] = {
    Kind.COUNT: lambda c, f, _s: attributes.counted(f, *c.value),
    Kind.SHARE: lambda c, f, _s: attributes.covers(f, *c.value),
    Kind.MEASURE: lambda c, f, _s: attributes.measures(f, *c.value),
    Kind.EXTENT: lambda c, f, _s: attributes.extends(f, *c.value),
    Kind.PLACE: lambda c, f, s: places.lies(f, c.value[0], c.value[1], s.side_m),
    Kind.TOWARD: _toward,
    Kind.WIDE: lambda _c, f, s: places.spreads(f, s.side_m),
    Kind.WHOLE: lambda _c, f, _s: not f.edges,
    Kind.EDGE: lambda c, f, _s: places.cut_off(f, str(c.value)),
    Kind.REACH: lambda c, f, _s: places.reaches(f, str(c.value)),
    Kind.SIDES: lambda c, f, _s: c.value[0] <= len(f.edges) <= c.value[1],
    Kind.COURSE: lambda c, f, s: places.runs(f, c.value[0], c.value[1], s.side_m),
    Kind.AXIS: _aligned,
    Kind.ATTRIBUTE: _looks,
    Kind.SHAPE: lambda c, f, s: attributes.shaped(f, str(c.value), s.side_m),
    Kind.SINUOSITY: lambda c, f, _s: attributes.winds(f, str(c.value), c.said),
    Kind.SIZE: lambda c, f, s: attributes.sized(f, str(c.value), s.side_m, s.facts),
    Kind.ARRANGEMENT: lambda c, f, _s: attributes.arranged(f, str(c.value)),
    Kind.DOMINATE: lambda _c, f, s: attributes.dominates(f, s.facts),
    Kind.RELATION: lambda _c, _f, _s: True,
}
"""How each kind of claim is held against a fact."""


def _ends(fact: Fact, axis: str, side_m: float) -> bool:
    pair = {"NS": ("t", "b"), "EW": ("l", "r"), "NESW": ("tr", "bl"), "NWSE": ("tl", "br")}.get(axis)
    return pair is not None and places.runs(fact, *pair, side_m)


def _exact(value: tuple[float, float]) -> bool:
    return value[1] - value[0] < 0.01


_COLLECTED = " of"
"""What follows the number of groups of things: "two patches of trees" are counted, the trees are not."""

_IN_ROWS = frozenset(
    ["vine", "grapevine", "grape", "fruit tree", "apple tree", "cherry tree", "olive tree", "solar panel",
     "photovoltaic panel", "panel", "solar module"]
)  # fmt: skip
"""Things that are planted or set up in rows wherever an area is made of them."""

_TRACKS = {"double": 2, "two": 2, "three": 3, "four": 4}

PARCELS = ("field", "plot", "parcel")

_ONE_OF_MANY = frozenset(
    ["tree", "house", "building", "home", "greenhouse", "garage", "vine", "bush", "shrub", "grave"]
)
"""Things of which a fact with many of them does not bear a single one out."""
