"""Texts in other words: what they say must be in the original, and they must differ from it."""

from collections import Counter
from difflib import SequenceMatcher
from itertools import pairwise

from pipeline.captions.checks.attributes import implied_by
from pipeline.captions.checks.claims import SEVERAL, Claim, Kind, Mention, Reading
from pipeline.captions.checks.classes import classed
from pipeline.captions.checks.grammar import GENERIC_NOUNS
from pipeline.captions.checks.holding import planted_in_rows
from pipeline.captions.checks.lexicon import Lexicon
from pipeline.captions.checks.sides import cells
from pipeline.captions.checks.words import Words, stem, words_of
from pipeline.evidence import Task

_CLOSEST, _CLOSEST_SHORT, _SHORT = 0.72, 0.75, 15
"""Largest share of word pairs that a revision may have in common with its original (Dice coefficient), a longer one
and one of so many words; a title must only not be the same."""

_IN_DOUBT, _SAME_ORDER = 0.6, 0.8
"""With more than the first in common, a revision may have at most this share of its words in the order of its original:
a word put in or left out parts two pairs."""


def too_close(words: Words, original: Words, task: Task) -> bool:
    """Whether a text hardly differs from its original."""
    if task is Task.TITLE:
        return _pairs(words.plain) == _pairs(original.plain)
    near = closeness(words, original)
    if near > (_CLOSEST_SHORT if len(original.plain) <= _SHORT else _CLOSEST):
        return True
    if near <= _IN_DOUBT:
        return False
    return SequenceMatcher(None, words.plain, original.plain, autojunk=False).ratio() > _SAME_ORDER


def closeness(words: Words, original: Words) -> float:
    """Dice coefficient of the word pairs of two texts, 0 to 1."""
    one, other = (_pairs(w.plain) for w in (words, original))
    both = (one & other).total()
    return 2 * both / max(one.total() + other.total(), 1)


def additions(reading: Reading, original: Reading, words: Words, lexicon: Lexicon) -> list[str]:
    """What a text says that its original does not: things, numbers, places, attributes, relations."""
    things = [m for m in reading.mentions if m.candidates or m.concept not in GENERIC_NOUNS]
    added = [m.said for m in things if not _named(m, original.mentions, lexicon)]
    return added + [claim.said for claim in reading.claims if not _claimed(claim, original, words)]


def _claimed(claim: Claim, original: Reading, words: Words) -> bool:
    """Whether a claim is made in the original as well, or follows from what is."""
    originals = original.claims
    kinds = {other.kind for other in originals}
    match claim.kind:
        case Kind.SINUOSITY:
            bent = claim.value != "straight"
            return any(o.kind is claim.kind and (o.value != "straight") is bent for o in originals)
        case Kind.SHAPE if claim.value == "elongated" and any(
            o.value in ("long", "narrow") for o in originals
        ):
            return True
        case Kind.ARRANGEMENT if any(m.concept.startswith(str(claim.value)) for m in original.mentions):
            return True
        case Kind.ARRANGEMENT if planted_in_rows(claim):
            return True
        case Kind.ATTRIBUTE | Kind.SHAPE | Kind.ARRANGEMENT:
            if any(other.kind is claim.kind and other.value == claim.value for other in originals):
                return True
            word = str(claim.value).rpartition(" ")[2]
            if any(
                word in implied_by(str(o.value).rpartition(" ")[2]) for o in originals if o.kind is claim.kind
            ):
                return True
            said = [stem(word) for word in words_of(word).plain]
            return not {stem(word) for word in words.plain}.isdisjoint(said)
        case Kind.COUNT | Kind.SHARE | Kind.MEASURE:
            return _number_named(claim, originals)
        case Kind.EXTENT:
            return not kinds.isdisjoint((Kind.EXTENT, Kind.MEASURE))
        case Kind.PLACE:
            return _place_named(claim, originals)
        case Kind.COURSE | Kind.AXIS:
            return not kinds.isdisjoint((Kind.COURSE, Kind.AXIS, Kind.REACH, Kind.EDGE))
        case Kind.EDGE:
            return not kinds.isdisjoint((Kind.EDGE, Kind.REACH, Kind.COURSE))
        case _:
            return True


def _pairs(plain: tuple[str, ...]) -> Counter[tuple[str, str]]:
    words = [_SAME.get(word, word) for word in plain if word[0].isalnum()]
    return Counter(pairwise(words))


_SAME = {"an": "a", "one": "a", "1": "a", "2": "two", "3": "three", "4": "four", "5": "five", "6": "six",
         "7": "seven", "8": "eight", "9": "nine", "10": "ten"}  # fmt: skip
"""Words in place of which others make no other text."""


def _named(mention: Mention, originals: list[Mention], lexicon: Lexicon) -> bool:
    """Whether the original speaks of the thing: by the same or a narrower word, or by any word for the same fact."""
    if mention.negated:
        return any(o.negated and o.concept == mention.concept for o in originals)
    known = {fact.id for other in originals if not other.negated for fact in other.candidates}
    if any(fact.id in known for fact in mention.candidates):
        return True
    return any(
        mention.concept in (lexicon.kinds.get(other.concept) or classed(other.concept, other.concept)[0])
        for other in originals
        if not other.negated
    )


def _number_named(claim: Claim, originals: list[Claim]) -> bool:
    """Whether a number is also in the original, there in a range that overlaps its own."""
    if claim.value == SEVERAL:
        return True
    *unit, low, high = claim.value
    if claim.kind is Kind.COUNT and (low, high) in ((1, 1), (2, 1e9)):
        return True
    if claim.kind is Kind.COUNT and 0.9 < low <= high < 1.1:  # "one plant" for "the plant"
        return True
    if claim.kind is Kind.SHARE and (
        (low <= _MOST and any(other.kind is Kind.DOMINATE for other in originals))
        or (low <= _MUCH and any(other.kind is Kind.SIZE and other.value == "large" for other in originals))
    ):
        return True
    for other in originals:
        if claim.kind is Kind.COUNT and other.value == SEVERAL and claim.said in _SOME:
            return True
        if other.kind is not claim.kind or other.value == SEVERAL:
            continue
        *other_unit, other_low, other_high = other.value
        if claim.kind is Kind.COUNT and high - low < 1 and other_high > _VAGUE * other_low:
            continue  # "eleven houses" for "a number of houses"
        if unit == other_unit and low <= other_high and other_low <= high:
            return True
    return False


_MUCH, _MOST = 0.3, 0.5
"""The least share of what may be said of a large thing ("a large part of"), and of what dominates ("most of")."""

_VAGUE = 3
"""Times that the largest number of a range is its smallest where it is none in particular."""

_SOME = frozenset(["several", "some", "multiple", "a few", "a number of", "various", "a couple of"])
"""Words for the number of a plural that say no more than it."""


def _place_named(claim: Claim, originals: list[Claim]) -> bool:
    asked = cells(claim.value[0])
    for other in originals:
        if other.kind is Kind.PLACE and asked & cells(other.value[0]):
            return True
        if other.kind in (Kind.TOWARD, Kind.EDGE, Kind.REACH) and asked & cells(str(other.value)):
            return True
        beside = other.kind is Kind.RELATION and other.value.startswith(("dir ", "side "))
        if beside and asked & cells(other.value.partition(" ")[2]):
            return True
        if other.kind is Kind.COURSE and any(asked & cells(str(letters)) for letters in other.value):
            return True
    return False
