"""Whether the facts bear out what a text claims."""

from collections.abc import Iterable
from dataclasses import replace

from pipeline.captions.checks.claims import FROM, REASONS, Claim, Group, Kind, Mention
from pipeline.captions.checks.holding import PARCELS, holds
from pipeline.captions.checks.places import lies
from pipeline.captions.checks.relations import related
from pipeline.captions.checks.scene import Scene
from pipeline.captions.checks.sides import cells, covered
from pipeline.evidence import Fact
from pipeline.types import GeometryKind, Reason

_FILLING = 0.6
"""Of what covers so much of the image no place is said."""


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
        said = _some_here_some_there(said)  # noqa: PLW2901
        alive, fewest = _bear_out(said, mention, mention.candidates, scene)
        if not alive and len(mention.candidates) > 1:
            own = [f for f in mention.candidates if f.id not in mention.uncounted]
            alive, _ = _bear_out(said, mention, [_together(own or mention.candidates)], scene)
        if alive:
            mention.candidates = alive
        else:
            wrong += [
                (REASONS[claim.kind], claim.said)
                for claim in fewest
                if not _spared(claim, scene) and not _summed(claim, scene)
            ]
    for claim in rest:
        if claim.kind is Kind.RELATION:
            if not _relation_holds(claim, scene):
                reason = (
                    Reason.WRONG_PLACE if str(claim.value)[:4] in ("dir ", "side") else Reason.WRONG_RELATION
                )
                wrong.append((reason, claim.said))
            continue
        groups = [group for group in claim.about if any(mention.candidates for mention in group)]
        if claim.kind is Kind.SHARE and not all(_group_bears_out(claim, group, scene) for group in groups):
            groups = groups[:1]  # "a park with four pitches covers": of both, or of the first
        if (
            groups
            and not any(_group_bears_out(claim, group, scene) for group in groups)
            and not _summed(claim, scene)
            and not _spared(claim, scene)
        ):
            wrong.append((REASONS[claim.kind], claim.said))
    return wrong


def _some_here_some_there(said: list[Claim]) -> list[Claim]:
    """With several places ("in the top left, on the right and to the south") only some things need be at each."""
    places_said = [claim for claim in said if claim.kind in (Kind.PLACE, Kind.TOWARD)]
    if len(places_said) < 2:
        return said
    return [
        claim._replace(value=(claim.value[0], "some"))
        if claim.kind is Kind.PLACE and claim.value[1] == "part"
        else claim
        for claim in said
    ]


def _group_bears_out(claim: Claim, group: Group, scene: Scene) -> bool:
    facts = [(fact, fact.id in m.uncounted) for m in group for fact in m.candidates]
    if claim.kind is not Kind.SHARE and not all(made for _, made in facts):
        meant = [fact for m in group for fact in (m.candidates if m is group[0] else _own(m))]
        facts = [(fact, made) for fact, made in facts if fact in meant]
    if claim.kind is Kind.PLACE and len(group) > 1:  # what fills the image lies on every side of it
        facts = [(fact, made) for fact, made in facts if fact.count > 1 or fact.share < _FILLING] or facts
    if claim.kind in (Kind.COURSE, Kind.AXIS, Kind.REACH) or claim.said.startswith(
        FROM
    ):  # lines run, what they cross does not
        among = group if claim.said.startswith(FROM) or claim.kind is Kind.REACH else group[:1]
        runs = {f.id for mention in among for f in mention.candidates if f.kind is GeometryKind.LINE}
        if claim.kind is Kind.AXIS and not any(f.axis or f.ends for f, _ in facts if f.id in runs):
            runs = {f.id for f, _ in facts if f.axis}  # a yard is aligned with the tracks in it
        facts = [(fact, made) for fact, made in facts if fact.id in runs] or facts
    return any(holds(claim, fact, scene, made) for fact, made in facts)


def _bear_out(
    claims: list[Claim], mention: Mention, facts: list[Fact], scene: Scene
) -> tuple[list[Fact], list[Claim]]:
    """The facts that bear all claims out, and the claims that fail with the fact that fits best."""
    alive: list[Fact] = []
    fewest = claims
    listed = len(mention.uncounted) < len(mention.candidates) and not mention.mass
    for fact in facts:
        made = fact.id in mention.uncounted and not fact.singular.startswith(f"{mention.concept} ground")
        bad = [
            claim
            for claim in claims
            if not holds(claim, fact, scene, made) or (made and listed and _of_each(claim))
        ]
        if not bad:
            alive.append(fact)
        elif len(bad) < len(fewest):
            fewest = bad
    return alive, fewest


def _spared(claim: Claim, scene: Scene) -> bool:
    """Whether another thing of the clause bears a claim out."""
    line = claim.kind in (Kind.COURSE, Kind.AXIS) or claim.said.startswith(FROM)
    if line and any(
        f.kind is GeometryKind.LINE for group in claim.about for m in group for f in m.candidates
    ):
        return False
    return any(
        holds(claim, fact, scene, fact.id in mention.uncounted)
        for mention in claim.spare
        if not any(mention in group for group in claim.about)
        for fact in mention.candidates
        if fact.id not in mention.uncounted
        and (not line or fact.kind is GeometryKind.LINE)
        and (claim.kind is not Kind.PLACE or not covered(fact.positions) & ~cells(claim.value[0]))
    )


def _summed(claim: Claim, scene: Scene) -> bool:
    """Whether a share is that of several things together."""
    if claim.kind is not Kind.SHARE:
        return False
    named = [group[0] for group in claim.about] if len(claim.about) > 1 else claim.spare
    facts = {m.candidates[0].id: m.candidates[0] for m in named if m.candidates and not m.negated}
    return len(facts) > 1 and len(facts) == len(named) and holds(claim, _together([*facts.values()]), scene)


def _relation_holds(claim: Claim, scene: Scene) -> bool:
    family = str(claim.value)
    if any(mention.negated for group in (*claim.about, *claim.others) for mention in group):
        return True
    failed = 0
    strict = family.startswith(("dir ", "side ", "outside"))
    for group in claim.about:
        sized = family.startswith(("ratio ", "length "))
        ones = [f for mention in group for f in (_own(mention) if sized else mention.candidates)]
        contained = sized or family.startswith(_OF_ONE)
        others = [f for m in claim.others[0] for f in (_own(m) if contained else m.candidates)]
        thirds: Iterable[Fact | None] = (
            [f for mention in claim.others[1] for f in mention.candidates]
            if len(claim.others) > 1
            else [None]
        )
        if family.startswith("ratio "):
            others = [f for f in others if f.share]
        if not ones or not others:  # a thing that is not there has been found already
            continue
        if family in ("inside", "owns") and {f.id for f in ones} == {f.id for f in others}:
            continue
        if (family != "outside" and not sized and _made_of(group, claim.others[0])) or (
            not strict and not sized and _is_whole(claim.others[0])
        ):
            continue
        every = all if family in ("outside", "far", "away") or family.startswith("not ") else any
        pairs = [
            (a, b, c)
            for a in ones
            for b in others
            for c in thirds
            if a.id != b.id or family in ("between", "parts")
        ]
        if not pairs and family.startswith(
            ("side ", "dir ")
        ):  # "covers half of the image, on its right side"
            letters = family.partition(" ")[2]
            failed += not any(lies(fact, letters, "part", scene.side_m) for fact in ones)
            continue
        if not pairs or not every(related(a, b, c, family) for a, b, c in pairs):
            failed += 1
    return not failed or (failed < len(claim.about) and not strict)


_OF_ONE = (
    "inside",
    "outside",
    "surrounds",
    "split",
    "dir ",
    "side ",
    "between",
    "parts",
    "cross",
    "not ",
    "away",
    "far",
)
"""Families of relations that are to a thing itself, and not to what it is made of."""


def _own(mention: Mention) -> list[Fact]:
    """The facts that a mention speaks of; those that are only made of such things where there are no others."""
    if mention.mass:
        return mention.candidates
    grounds = f"{mention.concept} ground"
    own = [f for f in mention.candidates if f.id not in mention.uncounted or f.singular.startswith(grounds)]
    return own or mention.candidates


def _is_whole(other: Group) -> bool:
    """Whether a noun only speaks of what the facts are parts of: "through this village"."""
    return all(fact.id in mention.uncounted for mention in other for fact in mention.candidates)


def _made_of(one: Group, other: Group) -> bool:
    """Whether one is part of the other: "cherry trees in an orchard", "terminals of an airport"."""
    parts = {
        id_
        for mention in (*one, *other)
        if len(mention.uncounted) == len(mention.candidates)
        for id_ in mention.uncounted
    }
    ids = {fact.id for mention in one for fact in mention.candidates}
    return any(fact.id in ids and fact.id in parts for mention in other for fact in mention.candidates)


def _of_each(claim: Claim) -> bool:
    """Whether something is said that what is made of such things does not bear out where there are things of its own."""
    if claim.kind is Kind.SHARE:
        return claim.about[0][0].concept == "water"
    parcels = claim.about[0][0].concept.endswith(PARCELS)  # of farmland, beside a meadow
    return claim.kind is not Kind.COUNT or (claim.value[0] > 1 and not parcels)


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
