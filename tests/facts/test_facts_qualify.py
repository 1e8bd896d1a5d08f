"""Qualifiers by columns against asking the table about each element."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.facts.classify import classify
from pipeline.facts.qualify import Qualified, Qualifier, qualify
from pipeline.grid import Ints
from pipeline.osm.qualifiers import load_qualifiers
from pipeline.osm.vocabulary import load_vocabulary
from tests.benchmarks.bench_facts import elements_of

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
VOCABULARY, QUALIFIERS = load_vocabulary(), load_qualifiers()
ORDERS = [rule.order for rule in VOCABULARY.rules if rule.invisible is None]


def table_of(rows: list[dict[str, str]]) -> pa.Table:
    return pa.table(
        {"tags": pa.array([list(row.items()) for row in rows], pa.map_(pa.string(), pa.string()))}
    )


def one_by_one(rows: list[dict[str, str]], rule: Ints) -> list[tuple[Qualifier, ...]]:
    return [
        QUALIFIERS.of(VOCABULARY.rules[order], tags) if order >= 0 else ()
        for tags, order in zip(rows, rule.tolist(), strict=True)
    ]


def each(qualified: Qualified) -> list[tuple[Qualifier, ...]]:
    return [qualified.combinations[index] for index in qualified.which.tolist()]


tags = st.dictionaries(
    st.sampled_from(["surface", "lanes", "roof:colour", "roof:shape", "leaf_type", "name", "ruins"]),
    st.sampled_from(["asphalt", "2", "red", "#a52019", "flat", "mixed", "yes", "a;b", "", "ü"]),
    max_size=6,
)


@given(st.lists(st.tuples(tags, st.sampled_from([-1, *ORDERS])), max_size=30), st.integers(0, 5))
def test_random_tags(rows: list[tuple[dict[str, str], int]], skipped: int) -> None:
    """Also for a slice of a table, whose tags do not begin at the first."""
    texts, rule = [row for row, _ in rows], np.array([order for _, order in rows], dtype=np.int64)
    got = qualify(table_of(texts), rule, VOCABULARY, QUALIFIERS)
    assert each(got) == one_by_one(texts, rule)
    assert got.combinations[0] == ()
    assert len(set(got.combinations)) == len(got.combinations)
    part = qualify(table_of(texts).slice(min(skipped, len(rows))), rule[skipped:], VOCABULARY, QUALIFIERS)
    assert each(part) == one_by_one(texts[skipped:], rule[skipped:])


def test_real_tags() -> None:
    path = DATA / "osm" / "monaco-2023.osm.pbf"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    table = elements_of(path)
    rule = classify(table, VOCABULARY)
    got = qualify(table, rule, VOCABULARY, QUALIFIERS)
    assert each(got) == one_by_one([dict(row) for row in table.column("tags").to_pylist()], rule)
    assert 0.05 < np.mean(got.which > 0) < 0.5
