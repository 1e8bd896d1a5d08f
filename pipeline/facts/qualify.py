"""Tags to visible qualifiers, column-wise: each combination of class and tags is looked up once."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.facts.flat import counts, ranges
from pipeline.grid import Ints
from pipeline.osm.qualifiers import Qualifier, Qualifiers
from pipeline.osm.vocabulary import Vocabulary

__all__ = ["Qualified", "Qualifier", "qualify"]


@dataclass(frozen=True, slots=True)
class Qualified:
    """What can be seen of elements beside their class.

    Attributes
    ----------
    which
        Index into `combinations` of each element, shape (n,).
    combinations
        Qualifiers in the order in which they are said before the noun. The first combination is the empty one; none
        is there twice.
    """

    which: Ints
    combinations: tuple[tuple[Qualifier, ...], ...]


def qualify(elements: pa.Table, rule: Ints, vocabulary: Vocabulary, qualifiers: Qualifiers) -> Qualified:
    """Find the qualifiers of every element.

    Parameters
    ----------
    elements
        The column ``tags`` of `pipeline.tables.ELEMENTS`.
    rule
        Order of the rule of each element, -1 where nothing of it is visible, shape (n,).
    vocabulary
        What `rule` indexes.
    qualifiers
        What can be seen.

    Returns
    -------
    The qualifiers; none where nothing is visible.
    """
    tags = elements.column("tags").combine_chunks()
    key, value, number, owner = _known_tags(tags, rule, qualifiers)

    # An element's combination of rule and tags is numbered tag by tag; numbers are never used again.
    count = counts(owner, len(tags))
    first = np.cumsum(count) - count
    combination, used = rule + 1, len(vocabulary.rules) + 1
    for place in range(count.max(initial=0)):
        more = np.flatnonzero(count > place)
        longer = combination[more] * len(key) + number[first[more] + place]
        distinct, inverse = np.unique(longer, return_inverse=True)
        combination[more] = used + inverse
        used += len(distinct)

    found: dict[tuple[Qualifier, ...], int] = {(): 0}
    which = np.zeros(len(tags), dtype=np.int64)
    some = np.flatnonzero(count)
    _, example, inverse = np.unique(combination[some], return_index=True, return_inverse=True)
    index = np.empty(len(example), dtype=np.int64)
    for i, element in enumerate(some[example].tolist()):
        own = number[ranges(first[element : element + 1], count[element : element + 1])].tolist()
        said = qualifiers.of(vocabulary.rules[rule[element]], {key[tag]: value[tag] for tag in own})
        index[i] = found.setdefault(said, len(found))
    which[some] = index[inverse]
    return Qualified(which, tuple(found))


def _known_tags(
    tags: pa.MapArray, rule: Ints, qualifiers: Qualifiers
) -> tuple[list[str], list[str], Ints, Ints]:
    """Keys and values of the distinct tags that say something, and tag and element of each occurrence."""
    offsets = tags.offsets.to_numpy().astype(np.int64)
    keys = tags.keys.slice(offsets[0], offsets[-1] - offsets[0]).dictionary_encode()
    code = keys.indices.to_numpy().astype(np.int64)
    names = keys.dictionary.to_pylist()
    owner = np.repeat(np.arange(len(tags)), np.diff(offsets))
    wanted = np.array([name in qualifiers.keys for name in names], dtype=bool)
    rows = np.flatnonzero(wanted[code] & (rule[owner] >= 0))
    values = tags.items.take(pa.array(rows + offsets[0])).dictionary_encode()
    texts = values.dictionary.to_pylist()
    n_texts = len(texts) or 1
    distinct, number = np.unique(
        code[rows] * n_texts + values.indices.to_numpy().astype(np.int64), return_inverse=True
    )
    key = [names[tag // n_texts] for tag in distinct.tolist()]
    value = [texts[tag % n_texts] for tag in distinct.tolist()]
    known = np.array([qualifiers.known(*tag) for tag in zip(key, value, strict=True)], dtype=bool)
    kept = np.flatnonzero(known[number])
    return key, value, number[kept], owner[rows[kept]]
