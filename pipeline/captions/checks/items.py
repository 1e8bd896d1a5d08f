"""Tokens as items with a meaning: phrases by the tables, then numbers and places put together."""

import re

from pipeline.captions.checks.lexicon import STOP, Entry, Item, Lexicon
from pipeline.captions.checks.numbers import numbered
from pipeline.captions.checks.placing import placed
from pipeline.captions.checks.words import Words

_INTEGER = re.compile(r"\d[\d,]*(?:\.\d+)?$")


_PUNCTUATION = {",": "comma", ";": "break", "(": "comma", ")": "comma", "—": "comma", "%": ""}


def items_of(
    words: Words, lexicon: Lexicon, own: frozenset[str], nouns: dict[tuple[str, ...], Entry]
) -> list[Item]:
    """The items of a text.

    Parameters
    ----------
    words
        The text.
    lexicon
        The tables.
    own
        Words of the qualifiers of the facts at hand, beyond the tables.
    nouns
        Noun phrases of the facts at hand that the tables lack.
    """
    return placed(numbered(_phrases(words, lexicon, own, nouns)))


def _phrases(
    words: Words, lexicon: Lexicon, own: frozenset[str], nouns: dict[tuple[str, ...], Entry]
) -> list[Item]:
    plain, said = words.plain, words.said
    phrases, ordinary = lexicon.phrases, lexicon.ordinary
    capital = {n for n, word in enumerate(said) if word[0].isupper() and n and plain[n - 1] not in _ENDS}
    firsts = {key[0] for key in nouns}
    items: list[Item] = []
    at, n = 0, len(plain)
    while at < n:
        word = plain[at]
        if word in firsts:
            own_noun = next((key for key in nouns if plain[at : at + len(key)] == key), None)
            if own_noun:
                items.append(Item("noun", "", " ".join(own_noun), nouns[own_noun]))
                at += len(own_noun)
                continue
        branch = phrases.get(word)
        if branch is None:
            items.append(_single(word, said[at], ordinary, own, begins=at not in capital))
            at += 1
            continue
        item, longer = branch
        end = ahead = at + 1
        while longer and ahead < n:
            branch = longer.get(plain[ahead])
            if branch is None:
                break
            ahead += 1
            ending, longer = branch
            if ending is not None and not _only_place(items, ending, plain, ahead):
                item, end = ending, ahead
        if item is None:
            items.append(_single(word, said[at], ordinary, own, begins=at not in capital))
        elif capital and _named(capital, said[at], item, at, end):
            items.append(Item("name", "", item.said))
        elif item.kind == "noun" and word in own:
            items.append(Item("attr", f"own {item.said}", item.said, Entry("attr", "", noun=item.entry)))
        else:
            items.append(item)
        at = end
    items.append(STOP)
    return items


def _named(capital: set[int], said: str, item: Item, at: int, end: int) -> bool:
    """Whether a phrase has a capital letter that is not that of a sentence's first word."""
    if capital.isdisjoint(range(at, end)):
        return False
    return not (len(said) == 1 or (said.isupper() and item.kind == "noun"))


_ENDS = frozenset(".!?:")


def _only_place(items: list[Item], entry: Item, plain: tuple[str, ...], after: int) -> bool:
    """Whether "right of" or "to the right" are parts of the name of a place: "bottom right of the image"."""
    if entry.said.startswith(("part of", "parts of")):
        return bool(items) and items[-1].kind == "pos"
    if entry.kind != "toward" and not (entry.kind == "relation" and str(entry.value).startswith("dir ")):
        return False
    if items and items[-1].kind == "pos":
        return True
    return (
        entry.kind == "toward"
        and after < len(plain)
        and plain[after] in _REGIONS
        and plain[after - 1] != "side"
    )


_REGIONS = frozenset(
    [
        "edge",
        "side",
        "corner",
        "part",
        "border",
        "boundary",
        "half",
        "end",
        "center",
        "middle",
        "section",
        "edges",
        "margin",
    ]
)


def _single(word: str, said: str, ordinary: dict[str, Item], own: frozenset[str], *, begins: bool) -> Item:
    if _INTEGER.match(word):
        return Item("number", word.replace(",", ""), word)
    if not word[0].isalpha():
        if word in ".!?:":
            return STOP
        return Item(_PUNCTUATION.get(word, "symbol") or "unit", "% 0.01", word)
    if word in own:
        return Item("attr", f"own {word}", word)
    known = ordinary.get(word)
    if said[0].isupper() and (not begins or known is None):
        return Item("name", "", said)
    return known or Item("unknown", "", word)
