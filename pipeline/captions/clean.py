"""Words of strangers made harmless: OSM tags and wiki texts are data, they must never act on a prompt.

What passes is an allow-list: Latin letters, digits, spaces and the punctuation of plain prose. Everything that could
give a text structure (line ends, brackets, quotes, colons, semicolons, pipes, backslashes, control characters) is
gone, so a cleaned text can end neither its quotes nor its line nor the block that it stands in. What a text *says*
cannot be cleaned; prompts mark it as a quotation, and the checks refuse a caption that follows it.
"""

import re
import unicodedata
from functools import lru_cache

NOUN_LIMIT = 48
"""Characters of a noun or qualifier; the longest of the vocabulary has 32."""

MEANING_LIMIT = 120
"""Characters of a wiki text: the median description of a tag there has about 60."""

CAPTION_LIMIT = 1_000
"""Characters of a caption that is to be put in other words; the checks refuse longer ones."""

_READ = 8
"""Characters read for each one that may stay: room for what is removed, and an end to texts of a megabyte."""

_MARKUP = re.compile(
    r"<[^<>]{0,80}>"  # HTML, <|im_start|>, <s>, <start_of_turn>, </facts>
    r"|\{\{[^{}]{0,200}\}\}|\{%[^{}]{0,200}%\}|\{#[^{}]{0,200}#\}"  # Jinja
    r"|\[/?[A-Z][A-Z_ ]{1,30}\]"  # [INST], [/INST], [AVAILABLE_TOOLS]
    r"|https?://\S*"
)
_ROLE = re.compile(
    r"(?<![A-Za-z])(?:system|user|assistant|human|model|developer|tool|ai|instructions?|response|input|output)\s*:",
    re.IGNORECASE,
)
_JOINTS = re.compile(r"\s*[:;|\u2013\u2014\u2026]+\s*")
"""Marks that join phrases; a comma says as much and has no meaning in a line of facts."""

_NOT_PROSE = re.compile(r"[^A-Za-z0-9\u00c0-\u024f ,.'()/%&-]+")
"""All but ASCII and Latin letters with accents (Unicode's Latin-1 Supplement and Latin Extended A and B): look-alikes
from other scripts go, and so do the multiplication and division signs that stand among these letters."""

_SAME = str.maketrans({"\u2018": "'", "\u2019": "'", "\u00d7": " ", "\u00f7": " ", "\u00ad": ""})


def clean(text: str, limit: int = MEANING_LIMIT) -> str:
    """One line of plain prose from a text of unknown origin.

    Parameters
    ----------
    text
        Any text, of any length.
    limit
        Largest number of characters of the result; a longer one ends after a whole word where there is one.

    Returns
    -------
    The text in Unicode's NFKC form, made of Latin letters, digits, single spaces and ``,.'()/%&-``; empty where
    nothing else was there. Cleaning it again changes nothing.
    """
    return _clean(text[: _READ * limit], limit)


def clean_noun(text: str) -> str:
    """The first phrase of a cleaned text, at most `NOUN_LIMIT` long: words with apostrophes and hyphens.

    Empty where the text does not begin with such a phrase.
    """
    return _noun(text[: _READ * NOUN_LIMIT])


@lru_cache(1 << 14)
def _noun(text: str) -> str:
    return re.split(r"[,.()/%&]", _clean(text, NOUN_LIMIT), maxsplit=1)[0].strip(" -")


@lru_cache(1 << 14)
def _clean(text: str, limit: int) -> str:
    # markup is looked for last: NFKC and what is left out can join its parts; long white space would be slow there
    if not (text.isascii() and text.isprintable()):
        text = unicodedata.normalize("NFKC", text.translate(_SAME)).translate(_SAME)
        text = "".join(map(_visible, text[: _READ * limit]))
    text = " ".join(text.split())
    text = _MARKUP.sub(" ", text)
    if ":" in text:
        text = _ROLE.sub(" ", text)
    text = _JOINTS.sub(", ", text)
    text = _NOT_PROSE.sub(" ", text)
    text = re.sub(r"-{2,}|\.{2,}|(?:,\s*){2,}", _repeated, text)
    text = re.sub(r"\s+([,.])", r"\1", " ".join(text.split())).strip(" ,-/&")
    if len(text) <= limit:
        return text
    cut = text[: limit + 1]
    return (cut[: cut.rfind(" ")] if " " in cut else cut[:limit]).strip(" ,-/&")


def _visible(char: str) -> str:
    """A character itself, a space for any white space, nothing for what has no look of its own."""
    if char.isspace():
        return " "
    category = unicodedata.category(char)
    return "" if category[0] == "C" or category in ("Mn", "Me") else char


def _repeated(run: re.Match[str]) -> str:
    return ", " if "," in run[0] else run[0][0]
