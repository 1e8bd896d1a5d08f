"""The tables of the checks: every noun of the vocabulary, and what may be called what."""

import csv
from importlib.resources import files

import pytest

from pipeline.captions.checks.items import items_of
from pipeline.captions.checks.lexicon import lexicon
from pipeline.captions.checks.words import words_of

_VOCABULARY = list(
    csv.DictReader(files("pipeline.osm").joinpath("vocabulary.csv").read_text(encoding="utf-8").splitlines())
)


def test_every_noun_of_the_vocabulary_is_read_as_itself() -> None:
    tables = lexicon()
    for row in _VOCABULARY:
        for form in filter(None, (row["singular"], row["plural"])):
            items = items_of(words_of(f"the image shows the {form}"), tables, {}, {})
            nouns = [item.entry.concept for item in items if item.kind == "noun" and item.entry]
            assert nouns == [row["singular"]], form


@pytest.mark.parametrize(
    ("fact", "noun"),
    [
        ("pond", "body of water"),
        ("pond", "water"),
        ("house", "building"),
        ("forest", "tree"),
        ("residential street", "road"),
        ("soccer field", "sports field"),
        ("warehouse", "building"),
        ("church", "place of worship"),
    ],
)
def test_broader_nouns_may_be_said(fact: str, noun: str) -> None:
    assert noun in lexicon().kinds[fact]


@pytest.mark.parametrize(
    ("fact", "noun"),
    [("pond", "lake"), ("lake", "pond"), ("building", "house"), ("road", "residential street"), ("stream", "river"),
     ("meadow", "park"), ("tree", "forest"), ("canal", "river")],
)  # fmt: skip
def test_narrower_and_other_nouns_may_not(fact: str, noun: str) -> None:
    assert noun not in lexicon().kinds[fact]
