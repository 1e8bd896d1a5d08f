"""Words for areas whose tags the vocabulary does not know, where the OSM wiki has a page on the tag.

The noun is made of the tag itself (`pipeline.osm.wiki.noun_of`); the wiki's words go along as its meaning. Whether such
a thing can be seen nobody has judged, so points and lines are left out, and small areas.
"""

from collections.abc import Iterable, Mapping

from pipeline.osm.vocabulary import FEATURE_KEYS, Invisible, TagRule, Vocabulary
from pipeline.osm.wiki import Wiki, noun_of
from pipeline.types import GeometryKind

MAX_GSD_M = 1.0
MIN_AREA_M2 = 100.0


class WiderVocabulary(Vocabulary):
    """A vocabulary with rules for tags that it does not know; they hold where it has no word on an element at all.

    Parameters
    ----------
    vocabulary
        What is asked first.
    wiki
        Where tags are looked up.
    tags
        Keys and values of the elements to be classified, in any order; each may come more than once.
    """

    def __init__(self, vocabulary: Vocabulary, wiki: Wiki, tags: Iterable[tuple[str, str]]) -> None:
        unknown = sorted(
            (key, value)
            for key, value in set(tags)
            if key in FEATURE_KEYS and vocabulary.classify({key: value}, GeometryKind.AREA) is None
        )
        said = ((key, value, noun_of(key, value), wiki.meaning(key, value)) for key, value in unknown)
        good = [
            (key, value, noun, text) for key, value, noun, text in said if noun and text and _countable(noun)
        ]
        added = tuple(
            _rule(len(vocabulary.rules) + i, key, value, noun, text)
            for i, (key, value, noun, text) in enumerate(good)
        )
        super().__init__(vocabulary.rules + added, f"{vocabulary.digest}+{wiki.digest}")
        self._known = vocabulary
        self._added = {(rule.key, rule.value): rule for rule in added}

    def classify(self, tags: Mapping[str, str], kind: GeometryKind) -> TagRule | Invisible | None:
        """As `Vocabulary.classify`; an area on which the vocabulary has no word is what its first known tag says."""
        found = self._known.classify(tags, kind)
        if found is not None or kind is not GeometryKind.AREA:
            return found
        return next(
            (self._added[tag] for key in FEATURE_KEYS if (tag := (key, tags.get(key, ""))) in self._added),
            None,
        )


def _rule(order: int, key: str, value: str, noun: str, meaning: str) -> TagRule:
    return TagRule(
        order, key, value, noun, _plural(noun), frozenset({GeometryKind.AREA}), MAX_GSD_M, MIN_AREA_M2, 0.0, None,
        hides=False, meaning=meaning,
    )  # fmt: skip


def _countable(noun: str) -> bool:
    """Whether a noun is no plural itself: of "sports" and "ruins" there is no telling how they are counted."""
    return not noun.endswith("s") or noun.endswith(("ss", "us"))


def _plural(noun: str) -> str:
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"
