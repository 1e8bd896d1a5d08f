"""Tokens as items with a meaning: phrases by the tables, then numbers and places put together."""

import re

from pipeline.captions.checks.comparing import compared
from pipeline.captions.checks.lexicon import STOP, Entry, Item, Lexicon, Trie, lexicon
from pipeline.captions.checks.numbers import numbered
from pipeline.captions.checks.placing import placed
from pipeline.captions.checks.ratios import WORDS, ratios
from pipeline.captions.checks.words import Words

_INTEGER = re.compile(r"\d[\d,]*(?:\.\d+)?$")


_PUNCTUATION = {",": "comma", ";": "break", "(": "comma", ")": "comma", "—": "comma", "%": ""}


def items_of(
    words: Words, lexicon: Lexicon, own: dict[str, Item], nouns: dict[tuple[str, ...], Entry]
) -> list[Item]:
    """The items of a text.

    Parameters
    ----------
    words
        The text.
    lexicon
        The tables.
    own
        Words of the facts at hand, beyond the tables.
    nouns
        Noun phrases of the facts at hand that the tables lack.
    """
    items = _phrases(words, lexicon, own, nouns)
    if "than" in words.plain:
        items = compared(items)
    if not WORDS.isdisjoint(words.plain):
        items = ratios(items)
    return placed(numbered(items))


def _phrases(
    words: Words, lexicon: Lexicon, own: dict[str, Item], nouns: dict[tuple[str, ...], Entry]
) -> list[Item]:
    plain, said = words.plain, words.said
    phrases, ordinary = lexicon.phrases, lexicon.ordinary
    capital = {
        n
        for n, word in enumerate(said)
        if word[0].isupper() and n and len(word) > 1 and plain[n - 1] not in _ENDS
    }
    firsts = {key[0] for key in nouns}
    items: list[Item] = []
    at, n = 0, len(plain)
    while at < n:
        word = plain[at]
        if word in firsts:
            own_noun = next((key for key in nouns if plain[at : at + len(key)] == key), None)
            if own_noun and not _measures(phrases, word, plain, at + 1):
                items.append(Item("noun", "", " ".join(own_noun), nouns[own_noun]))
                at += len(own_noun)
                continue
        branch = phrases.get(word)
        if branch is None:
            items.append(_single(word, said[at], ordinary, own, begins=at not in capital))
            at += 2 if word in own and at + 1 < n and plain[at + 1] in _QUALIFYING else 1
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
        if item is not None and item.kind == "relation" and _arranged_in(phrases, item, plain, end):
            item, end = Item("verb", "", item.said.removesuffix(" in")), end - 1  # "stand in two rows"
        if word in own and end < n and plain[end] in _QUALIFYING:  # "maize-growing"
            items.append(own[word])
            end += 1
        elif item is None:
            items.append(_single(word, said[at], ordinary, own, begins=at not in capital))
        elif capital and _named(capital, said[at], item, at, end):
            items.append(Item("name", "", item.said))
        elif (
            word in own
            and end == at + 1
            and item.kind == "attr"
            and str(item.value).startswith(("class ", "state wrong"))
        ):
            items.append(own[word])
        elif (
            word in own
            and item.kind in ("noun", "scene", "scenic")
            and (end == at + 1 or plain[end - 1] == "surface")
        ):
            items.append(Item("attr", f"own {item.said}", item.said, Entry("attr", "", noun=item.entry)))
        elif item.said == "line" and items and items[-1].said == "the":
            items.append(Item("partnoun", "", item.said))
        elif item.said in _VERBS_TOO and items and items[-1].kind == "noun":
            items.append(Item("verb", "", item.said))
        elif item.said in _HOLDS_TOO and end < n and items and _verb_between(items[-1], plain[end]):
            items.append(Item("relation", _HOLDS_TOO[item.said], item.said))
        else:
            items.append(item)
        at = end
    items.append(STOP)
    return items


def _measures(phrases: Trie, word: str, plain: tuple[str, ...], after: int) -> bool:
    """Whether a noun and the next word are a unit: "square meters" are no squares."""
    ending = phrases.get(word, (None, {}))[1].get(plain[after]) if after < len(plain) else None
    return ending is not None and ending[0] is not None and ending[0].kind == "unit"


def _arranged_in(phrases: Trie, item: Item, plain: tuple[str, ...], end: int) -> bool:
    """Whether the "in" with which a phrase ends belongs to an arrangement that follows."""
    if not item.said.endswith(" in"):
        return False
    longer = phrases["in"][1]
    for word in plain[end : end + 5]:
        ending, longer = longer.get(word, (None, {}))
        if ending is not None and ending.kind == "arrangement":
            return True
    return False


def _named(capital: set[int], said: str, item: Item, at: int, end: int) -> bool:
    """Whether a phrase has a capital letter that is not that of a sentence's first word."""
    if capital.isdisjoint(range(at, end)):
        return False
    return not (len(said) == 1 or (said.isupper() and item.kind in ("noun", "pos", "axis")))


_VERBS_TOO = frozenset(["cuts", "form", "forms", "stretch", "stretches"])
"""Words for parts that after a noun are verbs: "houses form a cluster"."""

_HOLDS_TOO = {"shelters": "surrounds", "houses": "surrounds", "harbors": "surrounds", "bridges": "cross", "walls": "along",
              "fences": "along", "rings": "surrounds", "circles": "around", "parks": "inside", "docks": "inside",
              "shelter": "surrounds", "house": "surrounds", "harbor": "surrounds", "bridge": "cross"}  # fmt: skip
"""Families of relations of nouns that are verbs between a thing and what is before a noun: "a marina shelters some boats"."""

_BEFORE_NOUNS = frozenset(["a", "an", "the", "some", "its", "their", "about", "several", "many", "around", "over", "nearly",
                           "roughly", "more", "one", "two", "three", "four", "five", "six", "both", "numerous",
                           "dozens"])  # fmt: skip


def _verb_between(before: Item, after: str) -> bool:
    """Whether a word that is a noun as well is a verb here."""
    return after in _BEFORE_NOUNS and (
        before.kind in ("noun", "rel") or before.said in ("and", "which", "it")
    )


_ENDS = frozenset(".!?:")

_QUALIFYING = frozenset(["growing", "surfaced", "filled", "lined", "covered", "clad"])
"""Second words of qualifiers that would divide a number from its noun."""


def _only_place(items: list[Item], entry: Item, plain: tuple[str, ...], after: int) -> bool:
    """Whether "right of" or "to the right" are parts of the name of a place: "bottom right of the image"."""
    if entry.kind in ("vague", "relation") and entry.said.startswith(("part", "portion", "section")):
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
        "hand",
    ]
)


def _single(word: str, said: str, ordinary: dict[str, Item], own: dict[str, Item], *, begins: bool) -> Item:
    if _INTEGER.match(word):
        return Item("number", word.replace(",", ""), word)
    if not word[0].isalpha():
        if word in ".!?:":
            return STOP
        return Item(_PUNCTUATION.get(word, "symbol") or "unit", "% 0.01", word)
    if word in own:
        return own[word]
    known = ordinary.get(word) or (_compound(word) if begins else None)
    if said[0].isupper() and len(said) > 1 and (not begins or known is None):
        return Item("name", "", said)
    return known or _compound(word) or Item("unknown", "", word)


def _compound(word: str) -> Item | None:
    """A noun written as one word of two: cornfields, scrubland."""
    tables = lexicon()
    for ending in _ENDINGS:
        first = word.removesuffix(ending)
        if first != word and (first in tables.phrases or first in tables.core):
            last = ending.removesuffix("s")
            return Item("noun", "", word, Entry("noun", "", f"{first} {last}", last != ending))
    return None


_ENDINGS = ("fields", "field", "lands", "land", "yards", "yard", "houses", "house", "grounds", "ground", "ways", "way", "paths",
            "path")  # fmt: skip
