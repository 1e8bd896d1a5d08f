"""The form of a caption: length, one paragraph of plain English, no raw tags, markup or talk about data."""

import re

from pipeline.captions.checks.lexicon import lexicon
from pipeline.captions.checks.words import Words
from pipeline.evidence import Task
from pipeline.types import Reason

LIMITS = {
    Task.AREA: (5, 120),
    Task.NON_AREA: (5, 120),
    Task.SCENE: (5, 120),
    Task.REVISION: (5, 120),
    Task.TITLE: (3, 40),
}
"""Fewest and most words of a text of a task."""

_RAW_TAG = re.compile(r"\b[a-z_:]+=\S|\w_\w|\b[a-z]+:[a-z]+\b|=")
_MARKUP = re.compile(
    r"[*#`<>{}\[\]|\\~^]|^\s*(?:[-•]|\d+[.)])\s|^\s*[\"“'‘].*[\"”'’]\s*$|&\w+;|https?:|www\.", re.DOTALL
)
_CLEAN = re.compile(r"[A-Za-z][A-Za-z0-9 ,.;%()'-]*")
"""Text in which neither can be."""

_UNPRINTABLE = re.compile(r"[^\x20-\x7e\s“”‘’–—‑…²×°½¼¾À-ɏ]")
"""Control characters, marks of direction, letters of other scripts: nothing that an English sentence needs."""

LONGEST = 2000
"""Characters of a text that is worth reading; 120 words have some 800."""

_FUNCTION = frozenset(
    ["a", "an", "the", "of", "in", "on", "at", "to", "and", "with", "by", "is", "are", "from", "along", "near", "its", "it",
     "that", "which", "while", "for", "as", "into", "across", "inside", "beside", "next", "there", "between", "over", "one",
     "two", "three", "four", "five", "six", "their", "them", "through"]
)  # fmt: skip
_PUNCTUATION = frozenset(",.;:()%")
_ENGLISH_SHARE = 0.18
"""Smallest share of function words in an English text of this kind."""


def _english(plain: list[str]) -> bool:
    """Whether nearly all words are known: captions in the style of a telegram have few function words."""
    tables = lexicon()
    known = sum(word in tables.core or word in tables.ordinary or not word[0].isalpha() for word in plain)
    return known >= _KNOWN_SHARE * len(plain)


_KNOWN_SHARE = 0.8


def unreadable(text: str) -> tuple[Reason, str] | None:
    """Why the words of a text need not be looked at: it is far too long, or holds odd characters."""
    if len(text) > LONGEST:
        return Reason.TOO_LONG, f"{len(text)} characters"
    if not text.isascii() or not text.isprintable():
        odd = _UNPRINTABLE.search(text)
        if odd:
            return Reason.NOT_ENGLISH, f"character U+{ord(odd[0]):04X}"
    return None


def form_faults(text: str, words: Words, task: Task) -> list[tuple[Reason, str]]:
    """What is wrong with a text before its content is looked at."""
    faults: list[tuple[Reason, str]] = []
    plain = [word for word in words.plain if word not in _PUNCTUATION]
    fewest, most = LIMITS[task]
    if len(plain) < fewest:
        faults.append((Reason.TOO_SHORT, f"{len(plain)} words"))
    if len(plain) > most:
        faults.append((Reason.TOO_LONG, f"{len(plain)} words"))
    if "\n" in text or "\r" in text or "\t" in text:
        faults.append((Reason.NOT_ONE_PARAGRAPH, "line break"))
    if not _CLEAN.fullmatch(text):
        if raw := _RAW_TAG.search(text):
            faults.append((Reason.RAW_TAG, raw[0]))
        if mark := _MARKUP.search(text):
            faults.append((Reason.MARKUP, mark[0][:20]))
    share = sum(map(_FUNCTION.__contains__, plain)) / max(len(plain), 1)
    if task is not Task.TITLE and share < _ENGLISH_SHARE and not _english(plain):
        faults.append((Reason.NOT_ENGLISH, f"{share:.2f} function words"))
    if not text.isascii():
        odd = next((c for c in text if not c.isascii() and c.isalpha() and c != "é"), "")
        if odd:
            faults.append((Reason.NOT_ENGLISH, odd))
    return faults
