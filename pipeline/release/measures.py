"""What the texts and classes of a release are like, gathered from its metadata; memory grows with what is different."""

import hashlib
import heapq
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from pipeline.release.diversity import words_in

COLUMNS = ("key", "tags", "captions", "tasks", "annotators", "claims", "supported")
"""Columns of the metadata that are looked at."""

SAMPLE = 2000
"""Captions kept of each task, drawn by the hash of the sample's key and the caption's number in it."""

NamesIn: TypeAlias = Callable[[str, int], Sequence[str]]
"""Finds what a text of a task says of names."""


@dataclass(slots=True)
class Wording:
    """The texts of one task.

    Attributes
    ----------
    lengths
        Captions by number of words.
    vocabulary, pairs
        All words, and all pairs of words that follow each other.
    hashes
        Hash of every caption, 8 bytes each.
    sample
        The captions of smallest rank, with their rank negated: a heap.
    """

    lengths: Counter[int] = field(default_factory=Counter)
    vocabulary: set[str] = field(default_factory=set)
    pairs: set[str] = field(default_factory=set)
    hashes: "array[int]" = field(default_factory=lambda: array("Q"))
    sample: list[tuple[int, str]] = field(default_factory=list)

    @property
    def captions(self) -> int:
        """Captions."""
        return self.lengths.total()

    @property
    def words(self) -> int:
        """Words in all captions."""
        return sum(words * n for words, n in self.lengths.items())

    @property
    def distinct(self) -> int:
        """Captions that differ from each other (by 64-bit hash)."""
        return int(np.unique(np.frombuffer(self.hashes, dtype=np.uint64)).size)

    def quantile(self, share: float) -> int:
        """Number of words that at least this share of the captions does not exceed."""
        seen = 0
        for words, captions in sorted(self.lengths.items()):
            seen += captions
            if seen >= share * self.captions:
                return words
        return 0

    def drawn(self) -> list[list[str]]:
        """Words of the sampled captions, by rank."""
        return [words_in(text) for _, text in sorted(self.sample, reverse=True)]

    def add(self, text: str, place: int) -> None:
        """Count a caption of a rank."""
        words = words_in(text)
        self.lengths[len(words)] += 1
        self.vocabulary.update(words)
        self.pairs.update(map(" ".join, pairwise(words)))
        self.hashes.append(_hash(text))
        self._draw(place, text)

    def merge(self, other: "Wording") -> None:
        """Count what another one has counted."""
        self.lengths.update(other.lengths)
        self.vocabulary |= other.vocabulary
        self.pairs |= other.pairs
        self.hashes.extend(other.hashes)
        for place, text in other.sample:
            self._draw(-place, text)

    def _draw(self, place: int, text: str) -> None:
        if len(self.sample) < SAMPLE:
            heapq.heappush(self.sample, (-place, text))
        elif -place > self.sample[0][0]:
            heapq.heapreplace(self.sample, (-place, text))


@dataclass(slots=True)
class Source:
    """The captions of one annotator and task: their number, their claims, and how many have a name in them."""

    captions: int = 0
    claims: int = 0
    supported: int = 0
    with_names: int = 0


@dataclass(slots=True)
class Measures:
    """Texts and classes of a release.

    Attributes
    ----------
    names_in
        Finds names in a text.
    samples
        Samples.
    tags
        Samples that show a tag.
    wording
        Texts by task.
    sources
        Captions by annotator and task.
    names
        What captions say of names.
    """

    names_in: NamesIn
    samples: int = 0
    tags: Counter[str] = field(default_factory=Counter)
    wording: dict[int, Wording] = field(default_factory=dict)
    sources: dict[tuple[str, int], Source] = field(default_factory=dict)
    names: Counter[str] = field(default_factory=Counter)

    @property
    def captions(self) -> int:
        """Captions of all tasks."""
        return sum(wording.captions for wording in self.wording.values())

    def add(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Count samples.

        Parameters
        ----------
        rows
            Rows of the metadata with at least `COLUMNS`.
        """
        self.samples += rows.num_rows
        self.tags.update(tag for tags in rows.column("tags").to_pylist() for tag in tags)
        for key, number, text, task, annotator, claims, supported in _captions(rows):
            self.wording.setdefault(task, Wording()).add(text, _hash(f"{number} {key}"))
            source = self.sources.setdefault((annotator, task), Source())
            names = self.names_in(text, task)
            self.names.update(names)
            source.captions += 1
            source.claims += claims
            source.supported += supported
            source.with_names += bool(names)

    def whole(self) -> Wording:
        """The texts of all tasks."""
        found = Wording()
        for _, wording in sorted(self.wording.items()):
            found.merge(wording)
        return found


def _captions(rows: pa.Table | pa.RecordBatch) -> Iterator[tuple[str, int, str, int, str, int, int]]:
    """Key, number in the sample, text, task, annotator, claims and supported claims of every caption."""
    for key, *lists in zip(*(rows.column(name).to_pylist() for name in _LISTS), strict=True):
        for number, values in enumerate(zip(*lists, strict=True)):
            yield key, number, *values


def _hash(text: str) -> int:
    """64 bits, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


_LISTS = ("key", "captions", "tasks", "annotators", "claims", "supported")
