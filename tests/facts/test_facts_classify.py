"""Classification by columns against asking the vocabulary about each element."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.facts.classify import Rules, classify
from pipeline.osm.vocabulary import TagRule, load_vocabulary
from pipeline.types import GeometryKind
from tests.benchmarks.bench_facts import elements_of

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
KINDS = [str(kind) for kind in GeometryKind]


def table_of(rows: list[tuple[str, dict[str, str]]]) -> pa.Table:
    tags = pa.array([list(tags.items()) for _, tags in rows], pa.map_(pa.string(), pa.string()))
    return pa.table({"kind": pa.array([kind for kind, _ in rows], pa.string()), "tags": tags})


def one_by_one(rows: list[tuple[str, dict[str, str]]]) -> list[int]:
    vocabulary = load_vocabulary()
    found = [vocabulary.classify(tags, GeometryKind(kind)) for kind, tags in rows]
    return [rule.order if isinstance(rule, TagRule) else -1 for rule in found]


keys = st.sampled_from(
    ["building", "landuse", "natural", "highway", "name", "height", "surface", "shop", "tunnel"]
)
values = st.sampled_from(
    ["yes", "house", "forest", "water", "residential", "no", "a;b", "house;yes", "", "ü"]
)
rows_ = st.lists(st.tuples(st.sampled_from(KINDS), st.dictionaries(keys, values, max_size=6)), max_size=30)


@settings(max_examples=200, deadline=None)
@given(rows_, st.integers(0, 5))
def test_random_tags(rows: list[tuple[str, dict[str, str]]], skipped: int) -> None:
    """Also for a slice of a table, whose tags do not begin at the first."""
    table = table_of(rows)
    assert classify(table, load_vocabulary()).tolist() == one_by_one(rows)
    part = table.slice(min(skipped, len(rows)))
    assert classify(part, load_vocabulary()).tolist() == one_by_one(rows[skipped:])


def test_real_tags() -> None:
    path = DATA / "osm" / "monaco-2023.osm.pbf"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    table = elements_of(path)
    rows = [(row["kind"], dict(row["tags"])) for row in table.select(["kind", "tags"]).to_pylist()]
    got = classify(table, load_vocabulary())
    assert got.tolist() == one_by_one(rows)
    assert np.mean(got >= 0) > 0.5


def test_rules_with_one_phrase_have_one_noun() -> None:
    rules = Rules.of(load_vocabulary())
    by_phrase: dict[str, set[int]] = {}
    for phrase, noun in zip(rules.singular.to_pylist(), rules.noun.tolist(), strict=True):
        by_phrase.setdefault(phrase, set()).add(noun)
    assert all(len(nouns) == 1 for nouns in by_phrase.values())
    assert len(by_phrase) == len(set(rules.noun.tolist()))
