"""Names in a text by itself: what looks like one where neither facts nor names of its place are at hand."""

import re

from pipeline.captions.checks.items import items_of
from pipeline.captions.checks.lexicon import lexicon
from pipeline.captions.checks.names import name_faults
from pipeline.captions.checks.review import in_sentence_case
from pipeline.captions.checks.words import Words, words_of
from pipeline.evidence import Task

_NO_WORDS = Words((), ())
_CAPITALISED = re.compile(r"[A-Z][a-z]*")
_DIGIT = re.compile(r"[0-9]")


def proper_nouns(text: str, task: Task) -> tuple[str, ...]:
    """What a text says with a capital letter that is neither a sentence's first nor a title's, and reference numbers."""
    references = name_faults(text, _NO_WORDS, (), frozenset()) if _DIGIT.search(text) else []
    if text.isascii() and all(_begins(text, found) for found in _CAPITALISED.finditer(text)):
        return tuple(references)
    words = words_of(text)
    if task is Task.TITLE:
        words = in_sentence_case(words)
    items = items_of(words, lexicon(), {}, {})
    return (*references, *(item.said for item in items if item.kind == "name"))


def _begins(text: str, found: re.Match[str]) -> bool:
    """Whether a word with a capital begins a sentence and is no name, whatever follows."""
    if found.start() and text[found.start() - 2 : found.start()] not in _ENDS:
        return False
    tables, plain = lexicon(), found[0].lower()
    return plain in tables.ordinary or tables.phrases.get(plain, (None, {}))[0] is not None


_ENDS = frozenset((". ", "! ", "? ", ": "))
