"""Tags to vocabulary rules, column-wise: each combination of tags is looked up once, not each element."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.facts.flat import counts, ranges
from pipeline.facts.rank import rarities
from pipeline.grid import Floats, Ints
from pipeline.osm.vocabulary import TagRule, Vocabulary
from pipeline.types import GeometryKind

_KINDS = tuple(GeometryKind)


NOMINAL = 1.05
"""The vocabulary's GSDs are nominal: imagery sold as 0.6 m measures 0.599 to 0.603 m on the ground, depending on
where it lies in its projection, and counts as 0.6 m."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The vocabulary as columns; the index is `TagRule.order`.

    Attributes
    ----------
    tag, singular, plural
        ``key=value`` and noun phrases.
    meaning
        Words of the OSM wiki about tags outside the vocabulary; empty for others.
    noun
        Number of the phrase: rules that say the same thing have the same one.
    rarity
        How much the sight of the thing tells (`pipeline.facts.rank.rarities`).
    max_gsd_m, min_area_m2, min_length_m
        Limits of visibility, the GSD with the tolerance `NOMINAL`.
    """

    tag: pa.StringArray
    singular: pa.StringArray
    plural: pa.StringArray
    meaning: pa.StringArray
    noun: Ints
    rarity: Floats
    max_gsd_m: Floats
    min_area_m2: Floats
    min_length_m: Floats

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> "Rules":
        """The rules of a vocabulary."""
        rules = vocabulary.rules
        _, noun = np.unique([rule.singular for rule in rules], return_inverse=True)
        return cls(
            pa.array([f"{rule.key}={rule.value}" for rule in rules]),
            pa.array([rule.singular for rule in rules]),
            pa.array([rule.plural for rule in rules]),
            pa.array([rule.meaning for rule in rules]),
            noun,
            rarities([rule.singular for rule in rules]),
            np.array([rule.max_gsd_m * NOMINAL for rule in rules]),
            np.array([rule.min_area_m2 for rule in rules]),
            np.array([rule.min_length_m for rule in rules]),
        )


def classify(elements: pa.Table, vocabulary: Vocabulary) -> Ints:
    """Find the rule of every element.

    Parameters
    ----------
    elements
        The columns ``tags`` and ``kind`` of `pipeline.tables.ELEMENTS`.
    vocabulary
        What can be seen.

    Returns
    -------
    The order of the rule of each element, -1 where nothing of it is visible.
    """
    tags = elements.column("tags").combine_chunks()
    kind = pc.index_in(elements.column("kind").combine_chunks(), pa.array(map(str, _KINDS))).to_numpy()
    key, value, owner = _known_tags(tags, vocabulary)
    n_values = len(value.dictionary) or 1
    distinct, tag = np.unique(_codes(key) * n_values + _codes(value), return_inverse=True)

    # An element's combination of kind and tags is numbered tag by tag; numbers are never used again.
    count = counts(owner, len(tags))
    first = np.cumsum(count) - count
    combination, used = kind.astype(np.int64), len(_KINDS)
    for place in range(count.max(initial=0)):
        more = np.flatnonzero(count > place)
        longer = combination[more] * len(distinct) + tag[first[more] + place]
        number, inverse = np.unique(longer, return_inverse=True)
        combination[more] = used + inverse
        used += len(number)

    _, example, which = np.unique(combination, return_index=True, return_inverse=True)
    members = ranges(first[example], count[example])
    keys = key.take(pa.array(members)).to_pylist()
    values = value.take(pa.array(members)).to_pylist()
    ends = np.cumsum(count[example])
    rules = np.empty(len(example), dtype=np.int64)
    for i, (end, n) in enumerate(zip(ends, count[example], strict=True)):
        found = vocabulary.classify(
            dict(zip(keys[end - n : end], values[end - n : end], strict=True)), _KINDS[kind[example[i]]]
        )
        rules[i] = found.order if isinstance(found, TagRule) else -1
    return rules[which]


def _known_tags(
    tags: pa.MapArray, vocabulary: Vocabulary
) -> tuple[pa.DictionaryArray, pa.DictionaryArray, Ints]:
    """Keys and values of the tags whose key the vocabulary knows, and the element of each."""
    offsets = tags.offsets.to_numpy().astype(np.int64)
    keys = tags.keys.slice(offsets[0], offsets[-1] - offsets[0]).dictionary_encode()
    known = np.array([key in vocabulary.keys for key in keys.dictionary.to_pylist()], dtype=bool)
    rows = np.flatnonzero(known[_codes(keys)])
    owner = np.repeat(np.arange(len(tags)), np.diff(offsets))[rows]
    values = tags.items.take(pa.array(rows + offsets[0])).dictionary_encode()
    return keys.take(pa.array(rows)), values, owner


def _codes(array: pa.DictionaryArray) -> Ints:
    codes: Ints = array.indices.to_numpy().astype(np.int64)
    return codes
