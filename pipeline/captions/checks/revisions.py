"""Texts in other words: what they say must be in the original, and they must differ from it."""

from collections import Counter
from itertools import pairwise

from pipeline.captions.checks.claims import Claim, Kind, Mention, Reading
from pipeline.captions.checks.lexicon import Lexicon
from pipeline.captions.checks.sides import cells
from pipeline.captions.checks.words import Words
from pipeline.evidence import Task

_CLOSEST, _CLOSEST_SHORT, _SHORT = 0.72, 0.82, 15
"""Largest share of word pairs that a revision may have in common with its original (Dice coefficient), a longer one
and one of so many words; a title must only not be the same."""


def too_close(words: Words, original: Words, task: Task) -> bool:
    """Whether a text hardly differs from its original."""
    if task is Task.TITLE:
        return _pairs(words.plain) == _pairs(original.plain)
    limit = _CLOSEST_SHORT if len(original.plain) <= _SHORT else _CLOSEST
    return closeness(words, original) > limit


def closeness(words: Words, original: Words) -> float:
    """Dice coefficient of the word pairs of two texts, 0 to 1."""
    one, other = (_pairs(w.plain) for w in (words, original))
    both = (one & other).total()
    return 2 * both / max(one.total() + other.total(), 1)


def additions(reading: Reading, original: Reading, words: Words, lexicon: Lexicon) -> list[str]:
    """What a text says that its original does not: things, numbers, places, attributes, relations."""
    added = [m.said for m in reading.mentions if not _named(m, original.mentions, lexicon)]
    return added + [claim.said for claim in reading.claims if not _claimed(claim, original, words)]


def _claimed(claim: Claim, original: Reading, words: Words) -> bool:
    """Whether a claim is made in the original as well, or follows from what is."""
    originals = original.claims
    kinds = {other.kind for other in originals}
    match claim.kind:
        case Kind.SINUOSITY:
            bent = claim.value != "straight"
            return any(o.kind is claim.kind and (o.value != "straight") is bent for o in originals)
        case Kind.ARRANGEMENT if any(m.concept.startswith(str(claim.value)) for m in original.mentions):
            return True
        case Kind.ATTRIBUTE | Kind.SHAPE | Kind.ARRANGEMENT:
            return any(other.kind is claim.kind and other.value == claim.value for other in originals)
        case Kind.COUNT | Kind.SHARE | Kind.MEASURE:
            return _number_named(claim, originals)
        case Kind.PLACE:
            return _place_named(claim, originals)
        case Kind.COURSE | Kind.AXIS:
            return not kinds.isdisjoint((Kind.COURSE, Kind.AXIS, Kind.REACH, Kind.EDGE))
        case Kind.EDGE:
            return not kinds.isdisjoint((Kind.EDGE, Kind.REACH, Kind.COURSE))
        case Kind.RELATION:
            return _relation_named(claim, originals, words)
        case _:
            return True


def _pairs(plain: tuple[str, ...]) -> Counter[tuple[str, str]]:
    words = [word for word in plain if word[0].isalnum()]
    return Counter(pairwise(words))


def _named(mention: Mention, originals: list[Mention], lexicon: Lexicon) -> bool:
    """Whether the original speaks of the thing, by the same or a narrower word, or by another of the same fact."""
    if mention.negated:
        return any(o.negated and o.concept == mention.concept for o in originals)
    for other in originals:
        if not other.negated and mention.concept in lexicon.kinds.get(other.concept, {other.concept: True}):
            return True
    ids = {fact.singular for fact in mention.candidates}
    own = {fact.singular for o in originals if not o.negated for fact in o.candidates if fact.singular in ids}
    return any(
        mention.concept == fact.singular and o.concept == fact.singular
        for o in originals
        for fact in o.candidates
        if fact.singular in own
    )


def _number_named(claim: Claim, originals: list[Claim]) -> bool:
    """Whether a number is also in the original, there in a range that overlaps its own."""
    *unit, low, high = claim.value
    if claim.kind is Kind.COUNT and (low, high) in ((1, 1), (2, 1e9)):
        return True
    if claim.kind is Kind.COUNT and low == high == 1:
        return True
    for other in originals:
        if other.kind is not claim.kind:
            continue
        *other_unit, other_low, other_high = other.value
        if unit == other_unit and low <= other_high and other_low <= high:
            return True
    return False


def _place_named(claim: Claim, originals: list[Claim]) -> bool:
    asked = cells(claim.value[0])
    for other in originals:
        if other.kind is Kind.PLACE and asked & cells(other.value[0]):
            return True
        if other.kind in (Kind.TOWARD, Kind.EDGE, Kind.REACH) and asked & cells(str(other.value)):
            return True
        if other.kind is Kind.COURSE and any(asked & cells(str(letters)) for letters in other.value):
            return True
    return False


_FAMILIES = {
    "next": 1,
    "near": 1,
    "flank": 1,
    "along": 1,
    "cross": 2,
    "through": 2,
    "inside": 3,
    "surrounds": 3,
    "amid": 3,
}
_FAMILY_WORDS = {
    1: frozenset(
        [
            "next",
            "beside",
            "near",
            "nearby",
            "along",
            "alongside",
            "adjacent",
            "adjoining",
            "bordering",
            "neighboring",
        ]
    ),
    2: frozenset(["over", "cross", "crosses", "crossing", "crossed", "through", "across", "under"]),
    3: frozenset(["inside", "within", "surrounds", "surrounded", "among", "amid", "contains", "containing"]),
}


def _relation_named(claim: Claim, originals: list[Claim], words: Words) -> bool:
    """Whether a relation is in the original; that things of one image are near each other always is."""
    if claim.value in ("near", "across", "touch") or str(claim.value).startswith("dir"):
        return True
    family = _FAMILIES.get(str(claim.value), str(claim.value))
    if isinstance(family, int) and not _FAMILY_WORDS[family].isdisjoint(words.plain):
        return True
    for other in originals:
        if other.kind is Kind.RELATION:
            known = _FAMILIES.get(str(other.value), str(other.value))
            if known == family or {known, family} <= {2, 3}:
                return True
        if other.kind is Kind.ARRANGEMENT and family == 1 and other.value in ("along", "row", "scattered"):
            return True
    return False
