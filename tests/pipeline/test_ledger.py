"""Fingerprints and commits."""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import ledger as ledger_module
from pipeline.briefs import Brief, digests, packed, unpacked
from pipeline.errors import StoreError
from pipeline.ids import Json, canonical, digest, rank
from pipeline.ledger import Commit, Ledger, Output, Unit, fingerprint, read_commits
from pipeline.store import Store
from pipeline.types import Counts, Reason

UNIT = Unit("facts", "12-1-2")
COMMIT = Commit(
    UNIT,
    "ab" * 16,
    Counts(3, 1, {"no_data": 1}, {"unreadable": 1}),
    {"facts": Output("k", "0" * 64, 5, 1)},
    {"n": 1},
)


@pytest.fixture
def store() -> Store:
    return Store(f"memory://{uuid.uuid4().hex}")


def test_every_part_of_a_fingerprint_counts() -> None:
    prints = {
        fingerprint("facts", 1, {"a": 1}, b"d1"),
        fingerprint("pixels", 1, {"a": 1}, b"d1"),
        fingerprint("facts", 2, {"a": 1}, b"d1"),
        fingerprint("facts", 1, {"a": 2}, b"d1"),
        fingerprint("facts", 1, {"a": 1}, b"d2"),
        fingerprint("facts", 1, {"a": 1}, b""),
    }
    assert len(prints) == 6


def test_key_order_does_not_count() -> None:
    assert fingerprint("s", 1, {"a": 1, "b": 2}, b"") == fingerprint("s", 1, {"b": 2, "a": 1}, b"")


def test_a_commit_survives_its_encoding() -> None:
    assert Commit.decode(COMMIT.encode()) == COMMIT


def test_a_unit_is_done_under_its_own_fingerprint_only(store: Store) -> None:
    Ledger(store).commit(COMMIT)
    ledger = Ledger(store)
    assert ledger.find(UNIT, "ab" * 16) == COMMIT
    assert ledger.find(UNIT, "cd" * 16) is None
    assert ledger.find(Unit("facts", "12-1-3"), "ab" * 16) is None


def test_the_second_worker_is_content_and_a_different_one_is_not(store: Store) -> None:
    Ledger(store).commit(COMMIT)
    Ledger(store).commit(COMMIT)
    other = Commit(UNIT, COMMIT.fingerprint, Counts(1, 1))
    with pytest.raises(StoreError, match="other content"):
        Ledger(store).commit(other)


def test_counts_that_do_not_balance_are_never_committed(store: Store) -> None:
    with pytest.raises(StoreError, match="do not balance"):
        Ledger(store).commit(Commit(UNIT, "ef" * 16, Counts(3, 1, {"no_data": 1})))
    assert list(store.list("commits")) == []


def test_a_damaged_commit_is_named(store: Store) -> None:
    store.put(COMMIT.key, b'{"unit": ')
    with pytest.raises(StoreError, match=f"{COMMIT.key} is not a commit"):
        Ledger(store).find(UNIT, COMMIT.fingerprint)


def test_a_damaged_commit_is_named_by_a_plan_too(store: Store) -> None:
    store.put(COMMIT.key, COMMIT.encode().replace(b'"seen"', b'"seem"'))
    with pytest.raises(StoreError, match=f"{COMMIT.key} is not a commit"):
        Ledger(store).find_all(UNIT.stage, [(UNIT.cell, COMMIT.fingerprint)])


def test_commits_that_a_unit_reads_are_read_whole(store: Store) -> None:
    Ledger(store).commit(COMMIT)
    assert read_commits(store, [COMMIT.key]) == [COMMIT]
    with pytest.raises(StoreError, match="deleted after the plan"):
        read_commits(store, [COMMIT.key, "commits/facts/12-9-9/00.json"])


class _Counting(Store):
    """A store that counts the commits it is asked for."""

    commits_read = 0

    def get_all(self, keys: Iterable[str]) -> Iterator[bytes]:
        wanted = list(keys)
        self.commits_read += len(wanted)
        return super().get_all(wanted)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> _Counting:
    monkeypatch.setattr(ledger_module, "_WORTH_KEEPING", 3)
    store = _Counting(str(tmp_path))
    ledger = Ledger(store)
    for n in range(5):
        ledger.commit(Commit(Unit("facts", f"12-{n}-0"), "ab" * 16, Counts(n, n)))
    assert all(found(store))
    assert [key for key, _ in store.list("cache")] == ["cache/briefs/facts.parquet"]
    store.commits_read = 0
    return store


def found(store: Store) -> list[Brief | None]:
    """Briefs of the commits of the five units, as one plan finds them and leaves them to the next."""
    ledger = Ledger(store)
    briefs = ledger.find_all("facts", [(f"12-{n}-0", "ab" * 16) for n in range(5)])
    ledger.keep("facts")
    return briefs


def test_the_next_ledger_reads_the_cache_and_no_commit(counting: _Counting) -> None:
    assert [brief and brief.counts for brief in found(counting)] == [Counts(n, n) for n in range(5)]
    assert counting.commits_read == 0


def test_the_cache_is_not_the_truth(counting: _Counting) -> None:
    key = "commits/facts/12-{}-0/" + "ab" * 16 + ".json"
    counting.delete(key.format(1))
    again = Commit(Unit("facts", "12-2-0"), "ab" * 16, Counts(9, 9))
    counting.delete(key.format(2))
    counting.put(key.format(2), again.encode())
    briefs = found(counting)
    assert briefs[1] is None
    assert briefs[2] == Brief.of(again.key, again.encode())
    assert counting.commits_read == 1
    counting.delete("cache/briefs/facts.parquet")
    assert found(counting) == briefs


def test_a_cache_of_other_columns_is_left_alone(counting: _Counting) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"mark": ["a"], "key": ["commits/facts/12-0-0/ab.json"]}), sink)
    counting.put("cache/briefs/facts.parquet", sink.getvalue().to_pybytes())
    assert [brief and brief.counts for brief in found(counting)] == [Counts(n, n) for n in range(5)]
    assert counting.commits_read == 5


def test_what_was_expected_and_not_asked_for_is_listed_again(tmp_path: Path) -> None:
    ledger = Ledger(Store(str(tmp_path)))
    ledger.expect("facts")
    Ledger(ledger.store).commit(COMMIT)
    ledger.look_again(["facts"])
    ledger.expect("facts")
    (brief,) = ledger.find_all("facts", [(UNIT.cell, COMMIT.fingerprint)])
    assert brief is not None
    assert brief.counts == COMMIT.counts


def test_a_listing_that_fails_is_told_though_nobody_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_prefix: str) -> Iterator[tuple[str, str]]:
        raise StoreError("away")

    ledger = Ledger(Store(str(tmp_path)))
    monkeypatch.setattr(ledger.store, "marks", fail)
    ledger.expect("facts")
    with pytest.raises(StoreError, match="away"):
        ledger.settle()


@pytest.mark.parametrize("scenes", [["é", 1.5], ["é\n", 1.5] * 100])
def test_a_brief_says_what_its_commit_says(scenes: list[Json]) -> None:
    two = {"facts": Output("k", "01" * 32, 5, 1), "names": Output("n", "ab" * 32, 6, 2)}
    commit = replace(COMMIT, outputs=two, info={"scenes": scenes})
    brief = Brief.of(commit.key, commit.encode())
    assert (brief.key, brief.counts, brief.info) == (commit.key, commit.counts, commit.info)
    assert digests([brief], ("names", "facts")).hex() == two["names"].sha256 + two["facts"].sha256
    assert list(unpacked(packed([("mark", brief)] * 3))) == [("mark", brief)] * 3


verdicts = st.lists(st.sampled_from([None, *Reason]))


@given(verdicts, verdicts)
def test_counts_balance_and_add_up(one: list[Reason | None], two: list[Reason | None]) -> None:
    assert Counts.of(one).balanced
    assert Counts.of(one) + Counts.of(two) == Counts.of(one + two)
    assert Counts.total([asdict(Counts.of(one)), asdict(Counts.of(two))]) == Counts.of(one + two)
    assert Counts.of(one).kept == one.count(None)


def test_canonical_json_is_what_others_would_write() -> None:
    assert canonical({"b": [1, 2.5, None], "a": "é"}) == '{"a":"é","b":[1,2.5,null]}'.encode()
    with pytest.raises(ValueError, match="Out of range"):
        canonical(float("nan"))


def test_ranks_are_uniform_and_stable() -> None:
    ranks = [rank("sample", 0, n) for n in range(4000)]
    assert all(0 <= value < 1 for value in ranks)
    for tenth in range(10):
        assert 300 < sum(tenth / 10 <= value < (tenth + 1) / 10 for value in ranks) < 500
    assert rank("sample", 0, 1) == int(digest(["sample", 0, 1])[:14], 16) / 2**56
