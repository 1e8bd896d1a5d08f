"""Visible qualifiers: what tags say of a thing's look beside its class, as words that go before the noun.

The table is ``qualifiers.csv`` beside this file: a tag, the word, the coarsest ground sample distance, the group, and
the name of the nouns that it is said of, which ``qualifier_nouns.csv`` lists. Only what is not in the noun already and
can be seen from straight above is in it: no height, capacity, operator, use, lighting or facade. A value that is not
in the table, also one of several joined by ``;``, says nothing.

A noun of two parts keeps its order, so that every word must read well before "area of farmland" as before
"farmland": "maize-growing", not "maize".
"""

import colorsys
import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib.resources import files
from typing import Final

from PIL import ImageColor

from pipeline.errors import Misconfigured
from pipeline.osm.vocabulary import GSD_STEPS_M, TagRule

MOST: Final = 2
"""Words before one noun."""

COLOUR_KEYS: Final = frozenset({"roof:colour"})
"""Keys whose values are looked up as one of the basic colours: red for ``#A52019``, gray for ``dimgrey``."""

_STEPS = [f"{step:g}" for step in GSD_STEPS_M]
_COLUMNS = ["key", "value", "word", "max_gsd_m", "group", "nouns"]
_NOUN_COLUMNS = ["nouns", "take", "what"]
_WORD = re.compile(r"[a-z]+(?:[ -][a-z]+)*")
_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})")


class Group(IntEnum):
    """What a word is about. A noun gets one word of a group at most; the words stand in this order."""

    STATE = 1
    LANES = 2
    ROOF = 3
    FORM = 4
    SURFACE = 5
    LEAVES = 6
    CROP = 7


@dataclass(frozen=True, slots=True)
class Qualifier:
    """A word that goes before a noun.

    Attributes
    ----------
    word
        One word or several, without article: "asphalt", "two-lane", "artificial turf".
    max_gsd_m
        Coarsest ground sample distance at which it can be seen, metres.
    """

    word: str
    max_gsd_m: float


@dataclass(frozen=True, slots=True)
class _Nouns:
    """Which rules of the vocabulary a word is said of."""

    nouns: frozenset[str]
    keys: frozenset[str]
    excepted: frozenset[str]

    def hold(self, rule: TagRule) -> bool:
        return rule.singular in self.nouns or (rule.key in self.keys and rule.singular not in self.excepted)


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the table; of two rows of one group the one with the lower `order` is said."""

    order: int
    group: Group
    qualifier: Qualifier
    nouns: _Nouns


class Qualifiers:
    """The table, indexed by tag.

    Attributes
    ----------
    digest
        SHA-256 over both files, hex: the identity of the table in fingerprints.
    keys
        Every key that any row mentions.
    """

    def __init__(self, rows: Mapping[tuple[str, str], tuple[_Row, ...]], digest: str) -> None:
        self.digest = digest
        self.keys = frozenset(key for key, _ in rows)
        self._rows = rows

    def known(self, key: str, value: str) -> bool:
        """Whether a tag gives a word to any noun."""
        return bool(self._lookup(key, value))

    def of(self, rule: TagRule, tags: Mapping[str, str]) -> tuple[Qualifier, ...]:
        """The words that go before the noun of a rule.

        Parameters
        ----------
        rule
            The visible rule that names the element.
        tags
            Tags of the element.

        Returns
        -------
        At most `MOST` qualifiers in the order in which they are said, each of another group, none of which repeats
        a word of the noun.
        """
        rows = [row for tag in tags.items() for row in self._lookup(*tag) if row.nouns.hold(rule)]
        said: dict[Group, Qualifier] = {}
        for row in sorted(rows, key=_by_order):
            if not _words(row.qualifier.word) & _words(rule.singular):
                said.setdefault(row.group, row.qualifier)
        return tuple(said[group] for group in sorted(said))[:MOST]

    def __iter__(self) -> Iterator[tuple[str, str, Qualifier, Callable[[TagRule], bool]]]:
        """Key, value, qualifier and what rules it is said of, of every row."""
        for (key, value), rows in self._rows.items():
            for row in rows:
                yield key, value, row.qualifier, row.nouns.hold

    def _lookup(self, key: str, value: str) -> tuple[_Row, ...]:
        if key not in self.keys:
            return ()
        return self._rows.get((key, basic_colour(value) if key in COLOUR_KEYS else value), ())


def basic_colour(value: str) -> str:
    """The basic colour word of a CSS colour name or a hex triplet; empty where it is neither.

    Hues are cut where people change the name (Berlin and Kay's basic terms): a dark red, orange or
    yellow is brown, a pale colour is white or gray. Purple and pink, which no roof has by itself, are words of their own.
    """
    text = value.strip().lower()
    if text in _NAMED:
        return _NAMED[text]
    if not (_HEX.fullmatch(text) or text in ImageColor.colormap):
        return ""
    hue, saturation, brightness = colorsys.rgb_to_hsv(*(part / 255 for part in ImageColor.getrgb(text)[:3]))
    if brightness < 0.2:
        return "black"
    if saturation < 0.22:
        return "white" if brightness > 0.85 else "gray"
    name = next(name for end, name in _HUES if hue * 360 < end)
    if name == "red":
        return "brown" if brightness < 0.5 else "pink" if saturation < 0.6 < brightness - 0.25 else "red"
    dull = name == "orange" and (brightness < 0.85 or saturation < 0.5)
    return "brown" if dull or (name == "yellow" and brightness < 0.7) else name


_NAMED = {
    "brown": "brown",
    "orange": "orange",
    "maroon": "red",
    "tan": "brown",
    "silver": "gray",
    "beige": "white",
}
"""Names whose colour is called otherwise than its hue; silver metal is gray in a picture."""

_HUES = (
    *((18, "red"), (42, "orange"), (68, "yellow"), (165, "green"), (255, "blue")),
    *((315, "purple"), (340, "pink"), (361, "red")),
)
"""Where hues end, degrees, and their names."""


@cache
def load_qualifiers() -> Qualifiers:
    """Read and check the packaged table, once.

    Raises
    ------
    Misconfigured
        A row is not usable; the message names file and line.
    """
    folder = files("pipeline.osm")
    table, nouns = (folder.joinpath(name).read_bytes() for name in ("qualifiers.csv", "qualifier_nouns.csv"))
    return parse_qualifiers(table, nouns)


def parse_qualifiers(table: bytes, nouns: bytes) -> Qualifiers:
    """Read and check the bytes of ``qualifiers.csv`` and ``qualifier_nouns.csv``, as `load_qualifiers` does."""
    listed: dict[str, dict[str, set[str]]] = {}
    for where, (name, take, what) in _rows(nouns, "qualifier_nouns.csv", _NOUN_COLUMNS):
        if take not in {"noun", "key", "not"}:
            raise Misconfigured(f"{where}: {take!r} must be noun, key or not")
        listed.setdefault(name, {"noun": set(), "key": set(), "not": set()})[take].add(what)
    sets = {
        name: _Nouns(*(frozenset(by[take]) for take in ("noun", "key", "not"))) for name, by in listed.items()
    }
    groups = {group.name.lower(): group for group in Group}
    rows: dict[tuple[str, str], tuple[_Row, ...]] = {}
    for order, (where, (key, value, word, gsd, group, name)) in enumerate(
        _rows(table, "qualifiers.csv", _COLUMNS)
    ):
        if group not in groups or name not in sets:
            raise Misconfigured(f"{where}: unknown group {group!r} or nouns {name!r}")
        if not _WORD.fullmatch(word) or gsd not in _STEPS:
            raise Misconfigured(f"{where}: {word!r} must be lower-case words and {gsd!r} one of {_STEPS}")
        row = _Row(order, groups[group], Qualifier(word, float(gsd)), sets[name])
        rows[key, value] = (*rows.get((key, value), ()), row)
    return Qualifiers(rows, hashlib.sha256(table + b"\0" + nouns).hexdigest())


def _rows(data: bytes, name: str, columns: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Place (file and line) and cells of every row."""
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))
    except (ValueError, csv.Error) as problem:
        raise Misconfigured(f"{name}: {problem}") from problem
    if rows[:1] != [columns]:
        raise Misconfigured(f"{name}: the header must read {','.join(columns)}")
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(columns) or not all(row):
            raise Misconfigured(f"{name}:{line}: must have {len(columns)} cells, none empty")
        yield f"{name}:{line}", row


def _by_order(row: _Row) -> int:
    return row.order


def _words(text: str) -> set[str]:
    return set(re.split("[ -]", text))
