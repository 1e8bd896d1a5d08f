"""Meanings of tags outside the vocabulary, from a copy of the OSM wiki's tag pages (``taginfo-wiki.db``).

The file is the "wiki" database that https://taginfo.openstreetmap.org/download offers. Anybody can edit the wiki, so
its text is cleaned to one plain sentence; and a noun is made from the tag itself, never from the wiki.
"""

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pipeline.errors import Misconfigured

MOST_CHARACTERS: Final = 200
"""Longest meaning."""

_LONGEST_READ = 2000
_COLUMNS = frozenset({"lang", "tag", "key", "value", "redirect_target", "description"})
_CACHE_SIZE = 1 << 14

_MARKUP: tuple[tuple[str, str], ...] = (
    (r"<!--.*?(?:-->|$)", " "),
    (r"<(script|style|ref)\b.*?(?:</\1\s*>|$)", " "),
    (r"<[^<>]*>?", " "),
    (r"\{\{[^{}]*\}\}?|\{%.*?(?:%\}|$)|\{#.*?(?:#\}|$)", " "),
    (r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]", r"\1"),
    (r"!?\[([^\[\]]*)\]\([^()]*\)", r"\1"),
    (r"\[?\b[a-z][a-z+.-]*://\S*", " "),
    (r"\b(?:www\.|mailto:)\S+|\S+@\S+", " "),
    (r"&#?\w+;", " "),
    (r"[\"'`´‘’‚“”„«»‹›*_~#|\\\[\]{}<>=^$]", " "),
)
"""What is no plain text, and what stays of it; the last takes quotes and the signs of markup that are left."""

_NO_TEXT = re.compile(r"[^ -~\u00a1-\u024f]")
"""Anything but Latin letters, digits, punctuation and spaces: control and invisible characters, marks of direction,
other scripts and emoji."""

_SENTENCE_END = re.compile(r"(?<=[^.\s]{3}[.!?])\s")
_ROLE = re.compile(
    r"\b(?:system|assistant|user|developer|human|role|instructions?|prompt)\s*:", re.IGNORECASE
)
_ORDER = re.compile(
    r"\b(?:ignore|disregard|forget|override|pretend|reveal|obey)\b|\b(?:you|your|prompts?|captions?|instructions?)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[a-z]{2,20}")
_EMPTY_WORDS = frozenset(
    {"yes", "no", "other", "unknown", "user", "defined", "fixme", "none", "undefined", "and", "or"}
)
_KEYS_THAT_NAME = frozenset({"building", "highway"})
"""Keys whose values need the key to be a thing: a "tent" building, not a "tent"."""


class Wiki:
    """A ``taginfo-wiki.db``, opened read-only and read once per tag.

    Parameters
    ----------
    path
        The file.

    Attributes
    ----------
    digest
        SHA-256 of the pages that can be read, hex: the identity of the wiki in fingerprints.

    Raises
    ------
    Misconfigured
        The file is missing, is no SQLite database or has no usable table ``wikipages``.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise Misconfigured(
                f"{path}: no such file; taginfo-wiki.db is at https://taginfo.openstreetmap.org/download"
            )
        try:
            with closing(_open(path)) as database:
                columns = {row[1] for row in database.execute("PRAGMA table_info(wikipages)")}
                missing = sorted(_COLUMNS - columns)
                if not missing:
                    self._pages, self.digest = _read(database)
        except sqlite3.Error as problem:
            raise Misconfigured(f"{path}: not a readable SQLite database ({problem})") from problem
        if missing:
            what = (
                f"the table wikipages lacks {', '.join(missing)}"
                if columns
                else "there is no table wikipages"
            )
            raise Misconfigured(f"{path}: {what}; is it a taginfo-wiki.db?")
        self._remembered: Callable[[str, str], str | None] = lru_cache(_CACHE_SIZE)(self._find)

    def meaning(self, key: str, value: str) -> str | None:
        """What the wiki says of a tag.

        The page of the tag counts before that of its key, English before other languages (by their codes), and one
        redirect is followed.

        Returns
        -------
        One sentence of plain text, at most `MOST_CHARACTERS` long; None where there is none. It is untrusted.
        """
        return self._remembered(key, value)

    def _find(self, key: str, value: str) -> str | None:
        for name in (f"{key}={value}", key):
            page = self._pages.get(name)
            if page and page[1]:
                page = self._pages.get(page[1], page)
            if page and (text := cleaned(page[0])):
                return text
        return None


def cleaned(text: str) -> str:
    """Plain text of the first sentence of wiki text; empty where nothing is left or it speaks to its reader."""
    text = _NO_TEXT.sub(" ", text[:_LONGEST_READ])
    for pattern, rest in _COMPILED:
        text = pattern.sub(rest, text)
    sentence = _SENTENCE_END.split(" ".join(text.split()), maxsplit=1)[0]
    if not re.search(r"[A-Za-z]{2}", sentence) or _ROLE.search(sentence) or _ORDER.search(sentence):
        return ""
    if len(sentence) > MOST_CHARACTERS:
        sentence = sentence[: MOST_CHARACTERS - 3].rsplit(" ", 1)[0] + "..."
    return sentence.strip(" ,;:-")


def noun_of(key: str, value: str) -> str | None:
    """A noun phrase for a tag outside the vocabulary, from the words of its value.

    Returns
    -------
    At most three words of lower-case ASCII letters ("sensory garden"); None where the value is not such words or
    names nothing.
    """
    words = re.split(r"[ _-]", value)
    if key in _KEYS_THAT_NAME and words[-1] != key:
        words.append({"building": "building", "highway": "road"}[key])
    if len(words) > 3 or not all(_WORD.fullmatch(word) for word in words) or _EMPTY_WORDS & set(words):
        return None
    return " ".join(words)


_COMPILED = tuple((re.compile(pattern, re.DOTALL | re.IGNORECASE), rest) for pattern, rest in _MARKUP)


def _open(path: Path) -> sqlite3.Connection:
    """A connection that writes nothing, no journal or lock either."""
    return sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1", uri=True)


def _read(database: sqlite3.Connection) -> tuple[dict[str, tuple[str, str]], str]:
    """Description and redirect target of the page of each tag and key, and the digest over all of them."""
    rows = database.execute(
        "SELECT key, value, redirect_target, substr(description, 1, ?), tag FROM wikipages"
        " WHERE key IS NOT NULL ORDER BY lang = 'en' DESC, lang, tag, key, value, redirect_target, description",
        (_LONGEST_READ,),
    )
    return _indexed(rows)


def _indexed(rows: Iterable[tuple[object, ...]]) -> tuple[dict[str, tuple[str, str]], str]:
    pages: dict[str, tuple[str, str]] = {}
    digest = hashlib.sha256()
    for row in rows:
        key, value, target, text, _ = (cell if isinstance(cell, str) else "" for cell in row)
        name = f"{key}={value}" if value and value != "*" else key
        if name in pages or not (target or text):
            continue
        pages[name] = (text, re.sub(r"^(?:[A-Za-z-]+:)?(?:Tag|Key):", "", target).replace(" ", "_"))
        digest.update(repr((name, pages[name])).encode("utf-8", "surrogatepass"))
    return pages, digest.hexdigest()
