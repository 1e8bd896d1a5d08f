"""The tag vocabulary: what an OSM element looks like from straight above, or why it cannot be seen.

The table is ``vocabulary.csv`` beside this file. A row is visible (a phrase, the geometry kinds it holds for, the
coarsest ground sample distance) or invisible (a reason). Row order is precedence, from specific to general.
"""

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache, partial
from importlib.resources import files
from pathlib import Path

from pipeline.errors import Misconfigured
from pipeline.types import GeometryKind

FEATURE_KEYS = (
    "building",
    "highway",
    "landuse",
    "natural",
    "waterway",
    "leisure",
    "amenity",
    "man_made",
    "railway",
    "aeroway",
    "power",
    "barrier",
    "sport",
    "tourism",
    "historic",
)
"""Keys that make an OSM element a feature of the ground; the others refine it or describe it."""

GSD_STEPS_M = (0.1, 0.2, 0.3, 0.5, 0.6, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Values that ``max_gsd_m`` may take: the resolutions of common aerial and satellite products."""

ANY = "*"
"""In the value column: every value of the key that has no row of its own."""

HIDES = "hides"
"""In the geometry column of an invisible row: rows below this one no longer count for the element."""

_COLUMNS = tuple("key value singular plural geometry max_gsd_m min_area_m2 min_length_m invisible".split())  # noqa: SIM905
_PHRASE = re.compile(r"(?:[a-z]+|[A-Z]{2,5})(?:[ -](?:[a-z]+|[A-Z]{2,5}))*")
_ARTICLES = ("a ", "an ", "the ", "some ")
_CACHE_SIZE = 1 << 16  # a country has some 30,000 combinations of vocabulary tags

Tags = tuple[tuple[str, str], ...]


class Invisible(StrEnum):
    """Why an element, or what a tag says of it, cannot be seen from above."""

    INSIDE = "inside"
    """A use, activity or service: it happens in a building or on premises and has no look of its own."""
    LEGAL = "legal"
    """A boundary, designation, protection or zoning."""
    NAME = "name"
    """A label for a settlement, a sea, a place."""
    TOO_SMALL = "too_small"
    """Cannot be recognised from above at a ground sample distance of 0.1 m."""
    UNDERGROUND = "underground"
    INDOOR = "indoor"
    COVERED = "covered"
    """Under a roof or a bridge, or inside a passage."""
    PLANNED = "planned"
    """Proposed, or construction that has not shaped the ground yet."""
    GONE = "gone"
    """A historic trace: razed, removed, abandoned to the point of absence."""
    NOT_PHYSICAL = "not_physical"
    """Routes, stops without a structure, traffic rules, points of reference."""
    LANDFORM = "landform"
    """A form of the terrain without an outline of its own: peaks, valleys, peninsulas."""
    SEASONAL = "seasonal"
    """There for a part of the year only."""
    ATTRIBUTE = "attribute"
    """Describes a thing that other tags name."""
    VAGUE = "vague"
    """Names no kind of thing: ``barrier=yes``."""
    GEOMETRY = "geometry"
    """The tag is visible only when drawn otherwise (an area mapped as a point). Never written in the table."""


@dataclass(frozen=True, slots=True)
class TagRule:
    """One row of the vocabulary.

    Attributes
    ----------
    order
        Position in the table from 0; the lower one wins.
    key, value
        The OSM tag; the value `ANY` stands for every value without a row of its own.
    singular, plural
        Countable noun phrases without article; empty for an invisible row.
    geometry
        Geometry kinds that carry the phrase; empty for an invisible row.
    max_gsd_m
        Coarsest ground sample distance at which it is recognised, metres; 0 for an invisible row.
    min_area_m2, min_length_m
        Smallest part inside an image worth a mention, square metres (areas) and metres (lines); 0 where unset.
    invisible
        Why it cannot be seen, or None for a visible row.
    hides
        Whether rows below this one no longer count for the element.
    meaning
        What the OSM wiki says of a tag that the table does not hold; untrusted text, empty for rows of the table.
    """

    order: int
    key: str
    value: str
    singular: str
    plural: str
    geometry: frozenset[GeometryKind]
    max_gsd_m: float
    min_area_m2: float
    min_length_m: float
    invisible: Invisible | None
    hides: bool
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the table says about one tag: the deciding row for each geometry kind, and a row that only excuses it."""

    deciding: Mapping[GeometryKind, TagRule]
    excuse: TagRule | None


class Vocabulary:
    """The rules, indexed by key and value.

    Attributes
    ----------
    rules
        All rows in file order.
    digest
        SHA-256 of the file's bytes, hex: the identity of the table in fingerprints.
    keys
        Every key that any rule mentions.
    """

    def __init__(self, rules: tuple[TagRule, ...], digest: str) -> None:
        self.rules = rules
        self.digest = digest
        self.keys = frozenset(rule.key for rule in rules)
        by_tag: dict[tuple[str, str], list[TagRule]] = {}
        for rule in rules:
            by_tag.setdefault((rule.key, rule.value), []).append(rule)
        self._entries = {tag: _entry(rows) for tag, rows in by_tag.items()}
        # one cache a kind: an enum member as part of the cached key would be hashed in Python code
        self._remembered: Mapping[GeometryKind, Callable[[Tags], TagRule | Invisible | None]] = {
            kind: lru_cache(_CACHE_SIZE)(partial(self._decide, kind)) for kind in GeometryKind
        }

    def classify(self, tags: Mapping[str, str], kind: GeometryKind) -> TagRule | Invisible | None:
        """Find what an element shows from above.

        Parameters
        ----------
        tags
            All tags of the element. Values joined by ``;`` are tried as a whole, then part by part.
        kind
            How the element is drawn.

        Returns
        -------
        The first visible rule in table order that allows `kind`; else the reason why nothing can be seen (the first
        matching invisible row, or `Invisible.GEOMETRY` where rows match for other kinds only); else None: the
        vocabulary has no word on the element.
        """
        keys = self.keys
        return self._remembered[kind](tuple([tag for tag in tags.items() if tag[0] in keys]))

    def _decide(self, kind: GeometryKind, tags: Tags) -> TagRule | Invisible | None:
        decided: list[TagRule] = []
        excuses: list[TagRule] = []
        known = False
        for key, value in tags:
            entries = self._lookup(key, value)
            known = known or bool(entries)
            decided.extend([entry.deciding[kind] for entry in entries if kind in entry.deciding][:1])
            excuses.extend(entry.excuse for entry in entries if entry.excuse)
        if decided:
            first = min(decided, key=_order)
            return first.invisible or first
        if excuses:
            return min(excuses, key=_order).invisible
        return Invisible.GEOMETRY if known else None

    def _lookup(self, key: str, value: str) -> list[_Entry]:
        """Entries of one tag: of its whole value, else of its parts in order, else of the key's `ANY`."""
        values = [value, *(part.strip() for part in value.split(";"))] if ";" in value else [value]
        found = [entry for each in values if each != ANY and (entry := self._entries.get((key, each)))]
        if not found and (fallback := self._entries.get((key, ANY))):
            return [fallback]
        return found


def _order(rule: TagRule) -> int:
    return rule.order


def _entry(rows: list[TagRule]) -> _Entry:
    deciding = {kind: row for row in rows for kind in (GeometryKind if row.hides else row.geometry)}
    excuse = next((row for row in rows if row.invisible and not row.hides), None)
    return _Entry(deciding, excuse)


def load_vocabulary(path: Path | None = None) -> Vocabulary:
    """Read and check a vocabulary table.

    Parameters
    ----------
    path
        A CSV file in the layout of ``vocabulary.csv``; the packaged table where None (read once, then kept).

    Returns
    -------
    The vocabulary.

    Raises
    ------
    Misconfigured
        A row is not usable; the message names file and line.
    """
    return _packaged() if path is None else _parse(path.read_bytes(), str(path))


@cache
def _packaged() -> Vocabulary:
    resource = files("pipeline.osm").joinpath("vocabulary.csv")
    return _parse(resource.read_bytes(), resource.name)


def _parse(data: bytes, name: str) -> Vocabulary:
    rules: list[TagRule] = []
    claimed: dict[tuple[str, str, GeometryKind], int] = {}
    line = 1
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
        _check_header(next(reader, []))
        for order, row in enumerate(reader):
            line = reader.line_num
            rules.append(_rule(order, row))
            _claim(rules[-1], line, claimed)
    except (ValueError, csv.Error) as problem:  # text that is not UTF-8 is a ValueError too
        raise Misconfigured(f"{name}:{line}: {problem}") from problem
    return Vocabulary(tuple(rules), hashlib.sha256(data).hexdigest())


def _check_header(header: list[str]) -> None:
    if tuple(header) != _COLUMNS:
        raise ValueError(f"the header must read {','.join(_COLUMNS)}")


def _claim(rule: TagRule, line: int, claimed: dict[tuple[str, str, GeometryKind], int]) -> None:
    """Note which line speaks for a tag and kind; an invisible row speaks for all kinds."""
    for kind in rule.geometry or GeometryKind:
        if (rule.key, rule.value, kind) in claimed:
            other = claimed[rule.key, rule.value, kind]
            raise ValueError(f"{rule.key}={rule.value} is in line {other} already ({kind})")
        claimed[rule.key, rule.value, kind] = line


def _rule(order: int, row: list[str]) -> TagRule:
    if len(row) != len(_COLUMNS):
        raise ValueError(f"{len(row)} columns instead of {len(_COLUMNS)}")
    key, value, singular, plural, geometry, gsd, area, length, reason = row
    if not key or not value or any(cell != cell.strip() for cell in row):
        raise ValueError("key and value must be given, and no cell may start or end with a space")
    words = geometry.split()
    hides = words == [HIDES]
    if reason:
        if reason == Invisible.GEOMETRY or reason not in set(Invisible):
            raise ValueError(f"unknown reason {reason!r}; known: {', '.join(_reasons())}")
        if any((singular, plural, gsd, area, length)) or (geometry and not hides):
            raise ValueError(
                "an invisible row has no phrase, kind, GSD or minimum; its geometry is empty or hides"
            )
        return TagRule(order, key, value, "", "", frozenset(), 0.0, 0.0, 0.0, Invisible(reason), hides)
    unknown = [word for word in words if word not in set(GeometryKind)]
    if unknown or not words or len(set(words)) != len(words):
        raise ValueError(f"geometry {geometry!r} must name each of {', '.join(GeometryKind)} at most once")
    for phrase in (singular, plural):
        if not _PHRASE.fullmatch(phrase) or phrase.startswith(_ARTICLES):
            raise ValueError(f"{phrase!r} is not a plain lower-case noun phrase without article")
    if singular == plural:
        raise ValueError(f"{singular!r}: singular and plural must differ")
    if _number(gsd, "max_gsd_m") not in GSD_STEPS_M:
        raise ValueError(
            f"max_gsd_m is {gsd}, must be one of {', '.join(f'{step:g}' for step in GSD_STEPS_M)}"
        )
    kinds = frozenset(map(GeometryKind, words))
    area_m2, length_m = _number(area or "0", "min_area_m2"), _number(length or "0", "min_length_m")
    return TagRule(
        order, key, value, singular, plural, kinds, float(gsd), area_m2, length_m, None, hides=False
    )


def _reasons() -> Iterator[str]:
    return (str(reason) for reason in Invisible if reason is not Invisible.GEOMETRY)


def _number(text: str, column: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{column} is {text!r}, not a number") from None
    if not 0 <= number < float("inf"):
        raise ValueError(f"{column} is {text}, must be finite and not negative")
    return number
