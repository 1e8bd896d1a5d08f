"""Whether the facts bear out what a text claims."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from pipeline.captions.checks import attributes, places
from pipeline.captions.checks.claims import REASONS, Claim, Group, Kind, Mention
from pipeline.captions.checks.relations import related
from pipeline.captions.checks.scene import Scene
from pipeline.evidence import Fact
from pipeline.types import GeometryKind, Reason


def unfounded(claims: list[Claim], scene: Scene) -> list[tuple[Reason, str]]:
    """Of each mention, one fact must bear out all that is said of it alone; the rest then of what is left."""
    wrong: list[tuple[Reason, str]] = []
    alone: dict[Mention, list[Claim]] = {}
    rest: list[Claim] = []
    for claim in claims:
        if len(claim.about) == 1 and len(claim.about[0]) == 1 and claim.kind is not Kind.RELATION:
            alone.setdefault(claim.about[0][0], []).append(claim)
        else:
            rest.append(claim)
    for mention, said in alone.items():
        if mention.negated or not mention.candidates:
            continue
        if mention.collective:
            said = [claim for claim in said if claim.kind is not Kind.COUNT]  # noqa: PLW2901
        places_said = [claim for claim in said if claim.kind is Kind.PLACE]
        if len(places_said) > 1:  # "in the top left, on the right and at the bottom": some here, some there
            said = [  # noqa: PLW2901
                c._replace(value=(c.value[0], "some")) if c.kind is Kind.PLACE and c.value[1] == "part" else c
                for c in said
            ]
        alive, fewest = _bear_out(said, mention, mention.candidates, scene)
        if not alive and len(mention.candidates) > 1:
            own = [f for f in mention.candidates if f.id not in mention.uncounted]
            alive, _ = _bear_out(said, mention, [_together(own or mention.candidates)], scene)
        if alive:
            mention.candidates = alive
        else:
            wrong += [(REASONS[claim.kind], claim.said) for claim in fewest if not _spared(claim, scene)]
    for claim in rest:
        if claim.kind is Kind.RELATION:
            if not _relation_holds(claim):
                reason = (
                    Reason.WRONG_PLACE if str(claim.value)[:4] in ("dir ", "side") else Reason.WRONG_RELATION
                )
                wrong.append((reason, claim.said))
            continue
        for group in claim.about:
            facts = [(fact, fact.id in m.uncounted) for m in group for fact in m.candidates]
            if claim.kind is not Kind.SHARE and not all(made for _, made in facts):
                first = group[0].candidates
                facts = [(fact, made) for fact, made in facts if not made or fact in first]
            if (
                facts
                and not any(_holds(claim, fact, scene, made) for fact, made in facts)
                and not _summed(claim, scene)
                and not _spared(claim, scene)
            ):
                wrong.append((REASONS[claim.kind], claim.said))
                break
    return wrong


def _bear_out(
    claims: list[Claim], mention: Mention, facts: list[Fact], scene: Scene
) -> tuple[list[Fact], list[Claim]]:
    """The facts that bear all claims out, and the claims that fail with the fact that fits best."""
    alive: list[Fact] = []
    fewest = claims
    listed = len(mention.uncounted) < len(mention.candidates) and not mention.mass
    for fact in facts:
        made = fact.id in mention.uncounted
        bad = [
            claim
            for claim in claims
            if not _holds(claim, fact, scene, made) or (made and listed and _of_each(claim))
        ]
        if not bad:
            alive.append(fact)
        elif len(bad) < len(fewest):
            fewest = bad
    return alive, fewest


def _spared(claim: Claim, scene: Scene) -> bool:
    """Whether another thing of the clause bears a claim out."""
    line = claim.kind in (Kind.COURSE, Kind.AXIS)
    if line and any(
        f.kind is GeometryKind.LINE for group in claim.about for m in group for f in m.candidates
    ):
        return False
    return any(
        _holds(claim, fact, scene, fact.id in mention.uncounted)
        for mention in claim.spare
        if not any(mention in group for group in claim.about)
        for fact in mention.candidates
        if fact.id not in mention.uncounted and (not line or fact.kind is GeometryKind.LINE)
    )


def _summed(claim: Claim, scene: Scene) -> bool:
    """Whether a share is that of several things together."""
    if claim.kind is not Kind.SHARE or len(claim.about) < 2:
        return False
    facts = [group[0].candidates[0] for group in claim.about if group[0].candidates]
    return len(facts) == len(claim.about) and _holds(claim, _together(facts), scene)


def _relation_holds(claim: Claim) -> bool:
    family = str(claim.value)
    if any(mention.negated for group in (*claim.about, *claim.others) for mention in group):
        return True
    for group in claim.about:
        ones = [f for mention in group for f in mention.candidates]
        others = [f for mention in claim.others[0] for f in mention.candidates]
        thirds: Iterable[Fact | None] = (
            [f for mention in claim.others[1] for f in mention.candidates]
            if len(claim.others) > 1
            else [None]
        )
        if not ones or not others:  # a thing that is not there has been found already
            continue
        if _made_of(group, claim.others[0]) or _is_whole(claim.others[0]):
            continue
        if not any(related(a, b, c, family) for a in ones for b in others for c in thirds):
            return False
    return True


def _is_whole(other: Group) -> bool:
    """Whether a noun only speaks of what the facts are parts of: "through this village"."""
    return all(fact.id in mention.uncounted for mention in other for fact in mention.candidates)


def _made_of(one: Group, other: Group) -> bool:
    """Whether one is part of the other: "cherry trees in an orchard", "terminals of an airport"."""
    parts = {id_ for mention in (*one, *other) for id_ in mention.uncounted}
    ids = {fact.id for mention in one for fact in mention.candidates}
    return any(fact.id in ids and fact.id in parts for mention in other for fact in mention.candidates)


def _holds(claim: Claim, fact: Fact, scene: Scene, uncounted: bool = False) -> bool:  # noqa: FBT001, FBT002
    """Whether a fact bears a claim out; `uncounted` where it is made of such things, in unknown number."""
    if uncounted and claim.kind is Kind.COUNT:
        low, high = claim.value
        if low == high == 1:
            return claim.about[0][0].concept not in _ONE_OF_MANY
        return high > 1.5 and not (low == high or _exact(claim.value))
    return _HOLDS[claim.kind](claim, fact, scene)


def _counted(claim: Claim, fact: Fact, _scene: Scene) -> bool:
    if fact.kind is GeometryKind.LINE and claim.said.startswith("the "):
        return True
    return attributes.counted(fact, *claim.value)


def _toward(claim: Claim, fact: Fact, scene: Scene) -> bool:
    if places.toward(fact, str(claim.value), scene.side_m):
        return True
    others = (other for group in claim.others for mention in group for other in mention.candidates)
    return any(related(fact, other, None, f"dir {claim.value}") for other in others)


def _aligned(claim: Claim, fact: Fact, scene: Scene) -> bool:
    if places.points(fact, str(claim.value)):
        return True
    travels = claim.said.startswith(("from", "north to", "south to", "east to", "west to"))
    return travels and _ends(fact, str(claim.value), scene.side_m)


def _looks(claim: Claim, fact: Fact, scene: Scene) -> bool:
    word = str(claim.value).partition(" ")[2]
    return attributes.looks(fact, word) or (word.startswith("fenced") and scene.fenced(fact))


_HOLDS: dict[Kind, Callable[[Claim, Fact, Scene], bool]] = {
    Kind.COUNT: _counted,
    Kind.SHARE: lambda c, f, _s: attributes.covers(f, *c.value),
    Kind.MEASURE: lambda c, f, _s: attributes.measures(f, *c.value),
    Kind.PLACE: lambda c, f, s: places.lies(f, c.value[0], c.value[1], s.side_m),
    Kind.TOWARD: _toward,
    Kind.WIDE: lambda _c, f, s: places.spreads(f, s.side_m),
    Kind.WHOLE: lambda _c, f, _s: not f.edges,
    Kind.EDGE: lambda c, f, _s: places.cut_off(f, str(c.value)),
    Kind.REACH: lambda c, f, _s: places.reaches(f, str(c.value)),
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


_ONE_OF_MANY = frozenset(
    ["tree", "house", "building", "home", "greenhouse", "garage", "vine", "bush", "shrub", "grave"]
)
"""Things of which a fact with many of them does not bear a single one out."""


def _of_each(claim: Claim) -> bool:
    """Whether something is said that what is made of such things does not bear out where there are things of its own."""
    if claim.kind is Kind.SHARE:
        return claim.about[0][0].concept == "water"
    return claim.kind is not Kind.COUNT or (claim.value[0] > 1 and claim.value != (2, 1e9))


def _ends(fact: Fact, axis: str, side_m: float) -> bool:
    pair = {"NS": ("t", "b"), "EW": ("l", "r"), "NESW": ("tr", "bl"), "NWSE": ("tl", "br")}.get(axis)
    return pair is not None and places.runs(fact, *pair, side_m)


def _exact(value: tuple[float, float]) -> bool:
    return value[1] - value[0] < 0.01


def _together(facts: list[Fact]) -> Fact:
    """Several facts as one: their numbers and shares added, of the rest what they have in common."""
    first = facts[0]
    common = [q for q in first.qualifiers if all(q in f.qualifiers for f in facts)]
    return replace(
        first,
        count=sum(f.count for f in facts),
        positions=tuple(dict.fromkeys(p for f in facts for p in f.positions)),
        share=sum(f.share for f in facts),
        area_m2=sum(f.area_m2 for f in facts),
        length_m=sum(f.length_m for f in facts),
        edges=tuple(dict.fromkeys(e for f in facts for e in f.edges)),
        qualifiers=tuple(common),
        shape=first.shape if all(f.shape is first.shape for f in facts) else None,
        axis=first.axis if all(f.axis is first.axis for f in facts) else None,
        sinuosity=first.sinuosity if all(f.sinuosity is first.sinuosity for f in facts) else None,
        arrangement=first.arrangement if all(f.arrangement is first.arrangement for f in facts) else None,
        ends=(),
        relations=tuple(r for f in facts for r in f.relations),
    )
