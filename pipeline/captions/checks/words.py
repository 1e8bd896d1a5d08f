"""A text as tokens: lower-case words without accents in American spelling, numbers and punctuation."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

_TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+(?:,\d{3})*(?:\.\d+)?|[^\w\s\"“”'’‘‐‑‒–-]")
"""Hyphens divide words and vanish, as quotation marks do."""

_COMPASS = re.compile(r"\b(north|south)[-‐‑](east|west)", re.IGNORECASE)
"""One word of two, unlike "north-south"."""

_SPELLINGS = {
    "centre": "center", "centres": "centers", "centred": "centered", "metre": "meter", "metres": "meters",
    "kilometre": "kilometer", "kilometres": "kilometers", "grey": "gray", "greyish": "grayish",
    "colour": "color", "colours": "colors", "coloured": "colored", "neighbour": "neighbor",
    "neighbours": "neighbors", "neighbouring": "neighboring", "neighbourhood": "neighborhood",
    "neighbourhoods": "neighborhoods", "harbour": "harbor", "harbours": "harbors", "theatre": "theater",
    "theatres": "theaters", "storey": "story", "storeys": "stories", "ploughed": "plowed", "tyre": "tire",
    "kerb": "curb", "storied": "story", "litre": "liter", "mould": "mold", "sizeable": "sizable",
    "defence": "defense", "jewellery": "jewelry", "programme": "program", "aeroplane": "airplane",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Words:
    """The tokens of a text.

    Attributes
    ----------
    said
        Tokens as written, without the ending of possessives.
    plain
        The same, lower-case, without accents, in American spelling.
    """

    said: tuple[str, ...]
    plain: tuple[str, ...]


def words_of(text: str) -> Words:
    """Split a text into tokens; hyphens between words divide them and vanish."""
    said: list[str] = []
    plain: list[str] = []
    for chunk in text.split():
        tokens, words = _chunk(chunk)
        said += tokens
        plain += words
    return Words(tuple(said), tuple(plain))


def folded(text: str) -> str:
    """A text in lower case without accents."""
    if text.isascii():
        return text.lower()
    replaced = text.lower().replace("ß", "ss").replace("ø", "o").replace("æ", "ae").replace("ł", "l")
    return "".join(c for c in unicodedata.normalize("NFKD", replaced) if not unicodedata.combining(c))


@lru_cache(1 << 16)
def _chunk(chunk: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tokens of what stands between two spaces, as written and plain."""
    said = tuple(_TOKEN.findall(_COMPASS.sub(r"\1\2", chunk)))
    return said, tuple(map(_plain, said))


def _plain(token: str) -> str:
    word = folded(token)
    for apostrophe in ("'", "’"):
        head, found, tail = word.partition(apostrophe)
        if found:
            word = head if tail == "s" else head + tail
    return _SPELLINGS.get(word, word)


@lru_cache(4096)
def stem(word: str) -> str:
    """A word without the endings in which adjectives of one material differ: tile, tiled; wood, wooden; sand, sandy."""
    for ending in ("ing", "ed", "en", "es", "e", "y", "s"):
        if word.endswith(ending) and len(word) >= len(ending) + 3 and not word.endswith("ss"):
            return word[: -len(ending)]
    return word
