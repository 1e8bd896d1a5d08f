"""The language of captions, as tables: nouns and what they are a kind of, phrases by kind, ordinary words.

``lexicon.csv``: nouns for what can be seen. A noun may speak of a fact if it is the fact's own, a synonym of it
(column ``also``), a broader term (column ``kinds``, transitive), or another word for this very noun, not for those
below it (column ``called``). A kind with ``~`` is what the thing is made of, holds or is part of ("forest": "~tree",
"runway": "~airport"): its number says nothing. What stands for a noun without kinds in ``called`` serves facts of
that class; one that is only there as a word for one or two others is what these are. Nouns that are above no class of
the vocabulary are things that no fact can bear out. The nouns of the vocabulary came first; the rest was written by hand, class by class.

``phrases.csv``: everything else with a meaning for the checks, written by hand; of rows with the same phrase the first
holds.

``ordinary.txt``: further words that claim nothing about visible things, with a letter for finite verbs (v) and
participles (d, g). Made from WordNet 3.1 (its notice is in ``WORDNET.txt``): the lemmas whose tagged senses are not
mostly concrete nouns (lexicographer files animal, artifact, body, food, location, object, person, plant, substance
and the like), all adjectives and adverbs that are no nouns, and the forms in -ed and -ing of all verbs.
"""

import csv
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from pipeline.captions.checks.claims import Value
from pipeline.captions.checks.words import words_of
from pipeline.ids import digest


class Entry(NamedTuple):
    """What a phrase means: its kind, a value, the concept of a noun, and whether the noun is a plural."""

    kind: str
    value: str = ""
    concept: str = ""
    plural: bool = False
    mass: bool = False
    noun: "Entry | None" = None
    """The reading as a noun of a phrase that has both ("square")."""


@dataclass(slots=True, eq=False)
class Item:
    """A phrase with its meaning; `value` as in `claims.Kind` where the kind is one of those."""

    kind: str
    value: Value
    said: str
    entry: Entry | None = None


STOP = Item("stop", "", ".")
"""The end of a sentence, and of every list of items."""

Trie = dict[str, tuple[Item | None, "Trie"]]
"""By word: the meaning of the phrase that ends with it, if any, and the words that may follow."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The tables, compiled.

    Attributes
    ----------
    phrases
        Meanings by words, as a tree.
    kinds
        Concepts above a concept, itself included; the value tells whether numbers carry over.
    inherited
        For nouns that are alone in `kinds`: what they are by those that they are words for.
    core
        All words of the tables.
    ordinary
        Words without meaning for the checks.
    """

    phrases: Trie
    kinds: dict[str, dict[str, bool]]
    inherited: dict[str, dict[str, bool]]
    core: frozenset[str]
    ordinary: dict[str, Item]

    def means_little(self, word: str) -> bool:
        """Whether a word has no meaning by itself, or is an adjective."""
        item = self.phrases.get(word, (None, {}))[0]
        return item is None or item.kind == "attr"

    def noun(self, words: tuple[str, ...]) -> Entry | None:
        """The meaning of words as a noun."""
        branch, item = self.phrases, None
        for word in words:
            item, branch = branch.get(word, (None, {}))
        entry = item.entry if item else None
        return entry if entry is None or entry.kind == "noun" else entry.noun


_CLASSES = {"v": "verb", "g": "participle", "d": "participle", "o": "plain"}

_DUAL = {"square": "square", "palm": "palm", "pine": "pine", "brick": "brick", "stone": "stone", "green": "",
         "tan": "", "cluster": "", "wheat": "wheat", "corn": "corn", "hay": "hay", "lane": "", "maize": "", "barley": "", "soybean": "", "cotton": "",
         "rapeseed": "", "canola": "", "potato": "", "vegetable": "", "fruit": "", "apple": "", "olive": "", "cherry": "",
         "grain": "", "cereal": "", "sunflower": "", "strawberry": "", "cabbage": "", "conifer": "", "rice": "",
         "sugarcane": "", "livestock": "", "flower": "", "pebble": ""}  # fmt: skip
"""Adjectives that are nouns as well."""

_NEVER_NOUNS = frozenset(
    ["stand", "stands", "line", "lines", "well", "wells", "rose", "flat", "flats", "spring", "stop", "stops", "set",
     "lock", "locks", "swing", "slide", "slides", "rough", "brush", "green", "space", "way", "ways", "course",
     "bank", "banks", "shore", "shores", "shoreline", "shorelines", "area", "land", "ring", "hall", "spit",
     "structure under construction", "center", "loop", "range", "box", "point", "cross", "landmark", "landmarks",
     "hide", "hides", "walk", "walks", "falls", "wash", "support", "supports", "light", "lights", "post", "posts", "base", "span",
     "spans", "dump", "common", "block", "blocks", "step", "cutting", "passage", "pump", "pumps", "material", "materials", "crest",
     "crests", "drain", "drains", "ride", "rides", "aisle", "works", "entrance", "tee", "hop", "hops", "pen", "pens", "clump",
     "clumps", "cascade", "cascades", "estate", "module", "modules", "nature", "wreck", "strand", "tree stands", "river bends"]
)  # fmt: skip
"""Forms of nouns that mostly mean something else in a caption."""


@cache
def lexicon() -> Lexicon:
    """Load the tables; once in a process."""
    entries: dict[tuple[str, ...], Entry] = {}
    kinds: dict[str, dict[str, bool]] = {}
    called: dict[str, list[str]] = {}
    rows = list(csv.DictReader(_text("lexicon.csv").splitlines()))
    above = {row["noun"]: list(filter(None, row["kinds"].split("; "))) for row in rows}
    for row in rows:
        noun = row["noun"]
        kinds[noun] = _closure(noun, above)
        called[noun] = list(filter(None, row["called"].split("; ")))
        mass = row["plural"] == "-"
        for form, plural in [(noun, False), *([] if mass else [(row["plural"], True)])]:
            _add_noun(entries, form, Entry("noun", "", noun, plural and row["plural"] != noun, mass))
        for synonym in filter(None, row["also"].split("; ")):
            if synonym in above:  # a hotel need not be a hotel building
                called[noun].append(synonym)
                continue
            _add_noun(entries, synonym, Entry("noun", "", noun, False, mass))
            _add_noun(entries, f"{synonym}s", Entry("noun", "", noun, True, mass))
    inherited = _inherited(kinds, called)
    for noun, names in called.items():
        found = kinds[noun] if above[noun] else inherited.setdefault(noun, {})
        for name in names:
            counted = not name.startswith("~")
            found[name.removeprefix("~")] = counted or found.get(name[1:], False)
    for row in csv.DictReader(_text("phrases.csv").splitlines()):
        key = words_of(row["phrase"]).plain
        old = entries.get(key)
        if old and old.kind != "noun":
            continue
        entry = Entry(row["kind"], row["value"])
        if old and row["phrase"] in _DUAL:
            entry = entry._replace(noun=old)
        entries[key] = entry
    for article in ("a", "an", "the"):
        entries[(article,)] = Entry("article", article)
    phrases: Trie = {}
    for words, entry in entries.items():
        branch = phrases
        for word in words[:-1]:
            branch = branch.setdefault(word, (None, {}))[1]
        item = Item(entry.kind, entry.value, " ".join(words), entry)
        branch[words[-1]] = (item, branch.get(words[-1], (None, {}))[1])
    ordinary = {}
    for line in _text("ordinary.txt").splitlines():
        word, letter = line.split(" ")
        ordinary[word] = Item(_CLASSES[letter], "", word)
    return Lexicon(
        phrases, kinds, inherited, frozenset(word for words in entries for word in words), ordinary
    )


@cache
def tables_digest() -> str:
    """Hash of the tables: another word in them may keep other captions."""
    names = ("lexicon.csv", "phrases.csv", "ordinary.txt")
    return digest([hashlib.sha256(_text(name).encode()).hexdigest() for name in names])


def _inherited(kinds: dict[str, dict[str, bool]], called: dict[str, list[str]]) -> dict[str, dict[str, bool]]:
    """What the tables say of nouns only by one or two others that they are words for: a brook is what a stream is.

    More make a noun a general one, which says little of what it is used for.
    """
    callers: dict[str, list[str]] = {}
    for noun, above in kinds.items():
        for name in (*above, *called.get(noun, ())):
            if name != noun and above.get(name, True) and len(kinds.get(name, ())) == 1:
                callers.setdefault(name, []).append(noun)
    return {
        name: {
            kind: all(kinds[noun][kind] for noun in nouns)
            for kind in kinds[nouns[0]]
            if all(kind in kinds[noun] for noun in nouns)
        }
        for name, nouns in callers.items()
        if len(nouns) <= _FEW
    }


_FEW = 2


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _add_noun(entries: dict[tuple[str, ...], Entry], form: str, entry: Entry) -> None:
    key = words_of(form).plain
    if form not in _NEVER_NOUNS and (key not in entries or not entry.plural):
        entries[key] = entry


def _closure(noun: str, above: dict[str, list[str]]) -> dict[str, bool]:
    found = {noun: True}
    queue = [(noun, True)]
    while queue:
        current, counts = queue.pop()
        for kind in above.get(current, []):
            counted = counts and not kind.startswith("~")
            name = kind.removeprefix("~")
            if name not in found or (counted and not found[name]):
                found[name] = counted
                queue.append((name, counted))
    return found
