"""Names: no value of a name-like tag, whole, split, inflected or glued, and no reference number."""

import re
from dataclasses import dataclass
from functools import lru_cache

from pipeline.captions.checks.lexicon import lexicon
from pipeline.captions.checks.words import Words, folded

_REFERENCE = re.compile(
    r"\b[A-Z]{1,4}[- ]?\d+[a-z]?\b|\b(?:[Rr]oute|[Hh]ighway|[Ee]xit|[Ii]nterstate|[Nn]o\.|[Rr]oad|[Ss]treet|#) ?\d+"
)
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"[^\W_]+")
_LEAST = 3
_GLUE = frozenset(
    ["to", "a", "an", "the", "of", "in", "on", "at", "is", "and", "as", "by", "it", "its", "are", "or", "so"]
)
"""Words that stand side by side in any text: "to a" says nothing of Toa Payoh."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names as the check needs them.

    Attributes
    ----------
    words
        Words of names that are not ordinary English.
    wholes
        Whole names without spaces.
    longest
        Letters of the longest of them.
    beginnings
        Their first two letters, or one.
    """

    words: frozenset[str]
    wholes: frozenset[str]
    longest: int
    beginnings: frozenset[str]


@lru_cache(512)
def names_of(values: tuple[str, ...]) -> Names:
    """Compile the names of a patch."""
    ordinary = lexicon().core
    words: set[str] = set()
    wholes: set[str] = set()
    for value in values:
        parts = _WORD.findall(folded(value))
        if not parts:
            continue
        telling = [p for p in parts if p not in ordinary and not p.isdigit()]
        words.update(p for p in telling if len(p) >= _LEAST)
        whole = "".join(parts)
        if (telling or len(parts) > 1) and len(whole) >= _LEAST and not whole.isdigit():
            wholes.add(whole)
    every = words | wholes
    beginnings = frozenset(word[:n] for word in every for n in (1, 2))
    return Names(frozenset(words), frozenset(wholes), max(map(len, every), default=0), beginnings)


def name_faults(text: str, words: Words, values: tuple[str, ...], fine: frozenset[str]) -> list[str]:
    """What a text says of names, as it says it.

    Parameters
    ----------
    text, words
        The text.
    values
        Values of name-like tags.
    fine
        Words of the nouns that the facts allow: a name that is made of them alone ("Playground") may be said.
    """
    found = [reference[0] for reference in _REFERENCE.finditer(text)] if _DIGIT.search(text) else []
    if not values:
        return found
    names = names_of(values)
    plain = words.plain
    own = names.words
    if not own.isdisjoint(plain):
        found += [
            said for word, said in zip(plain, words.said, strict=True) if word in own and word not in fine
        ]
    found += _glued(plain, names, fine)
    return found


def _glued(plain: tuple[str, ...], names: Names, fine: frozenset[str]) -> list[str]:
    """Names found in words that stand in a row, spaces apart or not."""
    found: list[str] = []
    whole, own, longest = names.wholes, names.words, names.longest
    if not longest:
        return found
    beginnings = names.beginnings
    for at in [n for n, word in enumerate(plain) if word[:2] in beginnings]:
        word = plain[at]
        glued, count = word, 1
        allowed = word in fine
        for follow in plain[at + 1 : at + 5]:
            glued += follow
            if len(glued) > longest + 2:
                break
            count += 1
            allowed = allowed and follow in fine
            if (
                not allowed
                and not _GLUE.issuperset(plain[at : at + count])
                and (glued in whole or glued in own or glued.removesuffix("s") in whole)
            ):
                found.append(" ".join(plain[at : at + count]))
                break
        if word in whole and word not in fine and word in own:
            found.append(word)
    return found
