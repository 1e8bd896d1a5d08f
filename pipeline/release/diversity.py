"""How varied texts are: words, MTLD, self-BLEU, entropy."""

import math
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

_PUNCTUATION = string.punctuation + "“”‘’–—…·"
_TTR = 0.72
"""Type-token ratio at which a factor ends (McCarthy & Jarvis 2010)."""

_ORDER = 4
_EPSILON = 0.1
"""Matches counted where there are none (Chen & Cherry 2014, method 1; also NLTK's)."""


def words_in(text: str) -> list[str]:
    """The words of a text: what stands between spaces, in small letters, without punctuation at its ends."""
    return [word for token in text.lower().split() if (word := token.strip(_PUNCTUATION))]


def mtld(words: Sequence[str]) -> float:
    """Measure of textual lexical diversity: how many words it takes on average until words repeat.

    A factor is a run of words whose type-token ratio is above 0.72 until its last word; what is left at the end
    counts in proportion. The mean of reading forwards and backwards.

    Parameters
    ----------
    words
        A running text.

    Returns
    -------
    Words a factor; the number of words where none comes twice.

    References
    ----------
    McCarthy & Jarvis (2010), MTLD, vocd-D, and HD-D: a validation study of sophisticated approaches to lexical
    diversity assessment, Behavior Research Methods 42, 381-392.
    """
    return (_mtld(words) + _mtld(words[::-1])) / 2


def _mtld(words: Sequence[str]) -> float:
    factors = 0.0
    types: set[str] = set()
    length = 0
    for word in words:
        types.add(word)
        length += 1
        if len(types) <= _TTR * length:
            factors += 1
            types, length = set(), 0
    if length:
        factors += (1 - len(types) / length) / (1 - _TTR)
    return len(words) / (factors or 1)


def self_bleu(texts: Sequence[Sequence[str]]) -> float:
    """Mean BLEU-4 of every text against all others: 0 for texts that share nothing, 1 for texts that are all alike.

    Parameters
    ----------
    texts
        Words of at least two texts. The value grows with their number: compare samples of one size.

    References
    ----------
    Zhu et al. (2018), Texygen, SIGIR; sentence BLEU as in NLTK with smoothing method 1.
    """
    precisions = [1.0] * len(texts)
    for order in range(1, _ORDER + 1):
        counts = [Counter(zip(*(words[start:] for start in range(order)), strict=False)) for words in texts]
        most = _two_largest(counts)
        for i, count in enumerate(counts):
            matches: float = sum(min(n, _others(most[gram], n)) for gram, n in count.items())
            if not matches:
                matches = _EPSILON if order > 1 else 0
            precisions[i] *= matches / max(count.total(), 1)
    lengths = Counter(map(len, texts))
    scores = [
        precision ** (1 / _ORDER) * _brevity(len(words), lengths)
        for precision, words in zip(precisions, texts, strict=True)
    ]
    return math.fsum(scores) / len(scores)


def _two_largest(counts: Iterable[Mapping[tuple[str, ...], int]]) -> dict[tuple[str, ...], tuple[int, int]]:
    """Of every n-gram, how often it is in the text that has it most, and in the one after that."""
    most: dict[tuple[str, ...], tuple[int, int]] = {}
    for count in counts:
        for gram, n in count.items():
            first, second = most.get(gram, (0, 0))
            most[gram] = (n, first) if n > first else (first, max(n, second))
    return most


def _others(most: tuple[int, int], own: int) -> int:
    """How often at most a text other than the one with `own` has an n-gram."""
    first, second = most
    return second if own == first else first


def _brevity(length: int, lengths: Mapping[int, int]) -> float:
    """BLEU's penalty of texts shorter than the other text whose length is closest."""
    others = [other for other, n in lengths.items() if n > (other == length)]
    closest = min(others, key=lambda other: (abs(other - length), other))
    return 1.0 if length > closest else math.exp(1 - closest / length) if length else 0.0


def entropy_bits(counts: Iterable[int]) -> float:
    """Shannon entropy of shares in proportion to counts, bits; 0 for no counts."""
    wanted = [n for n in counts if n]
    total = sum(wanted)
    return math.fsum(n / total * math.log2(total / n) for n in wanted)
