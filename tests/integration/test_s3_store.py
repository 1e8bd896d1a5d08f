"""The store on buckets: a real S3 protocol server on loopback, which also stands for Google's."""

import os
import tarfile
import traceback
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import bucket
from pipeline import ledger as ledger_module
from pipeline.errors import Misconfigured, StoreError
from pipeline.ledger import Commit, Ledger, Unit
from pipeline.store import Store
from pipeline.types import Counts
from tests.s3_server import SECRET, S3Server, serve_s3


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with serve_s3() as server:
        server.make_bucket("data")
        yield server


@pytest.fixture(autouse=True)
def _environment(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    for name, value in (server.env | server.google_env).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(bucket.RETRY, "max_retries", 1)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_bucket_keeps_what_a_folder_keeps(scheme: str, tmp_path: Path) -> None:
    store = Store(f"{scheme}://data/verbs-{scheme}")
    store.put("a/b c.bin", b"one")
    store.put("a/b c.bin", b"two")
    (tmp_path / "file").write_bytes(big := os.urandom(6_000_000))  # more than one part
    store.put("a/big", tmp_path / "file")
    assert store.get("a/b c.bin") == b"two"
    assert store.get("a/big") == big
    assert sorted(store.list("a")) == [("a/b c.bin", 3), ("a/big", 6_000_000)]
    assert store.create("a/new", b"first")
    assert not store.create("a/new", b"second")
    assert list(store.get_all(["a/new", "a/b c.bin"])) == [b"first", b"two"]
    mark = dict(store.marks("a"))
    store.copy("a/b c.bin", "d/e")
    store.put("a/b c.bin", b"three")
    assert store.get("d/e") == b"two"
    assert dict(store.marks("a"))["a/b c.bin"] != mark["a/b c.bin"]
    store.delete("d/e")
    store.delete("d/e")
    for read in (store.get, store.open):
        with pytest.raises(FileNotFoundError):
            read("d/e")
    assert list(store.list("d")) == []
    store.sweep("a")


def test_a_big_file_in_pieces_is_read_with_few_requests(server: S3Server, tmp_path: Path) -> None:
    table = pa.table({"id": list(range(4000)), "image": [os.urandom(1000) for _ in range(4000)]})
    pq.write_table(table, tmp_path / "images", row_group_size=1)
    store = Store("s3://data/ranges")
    store.put("images", tmp_path / "images")

    before = server.counts()
    with store.open("images") as source, pq.ParquetFile(source) as file:
        assert pa.Table.from_batches(file.iter_batches(64)) == table
    assert (server.counts() - before).total() <= 10  # 8,000 column chunks in 5 MB

    with tarfile.open(tmp_path / "tar", "w") as tar:
        for n in range(40):
            (tmp_path / "member").write_bytes(os.urandom(50_000))
            tar.add(tmp_path / "member", f"{n}")
    store.put("tar", tmp_path / "tar")
    before = server.counts()
    with store.open("tar") as source, tarfile.open(fileobj=source, mode="r|") as tar:
        assert len([member for member in tar if tar.extractfile(member)]) == 40
    assert (server.counts() - before).total() <= 10


def test_a_small_table_is_one_request(server: S3Server, tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", "y"]}), tmp_path / "t")
    store = Store("s3://data/small")
    store.put("t", tmp_path / "t")
    before = server.counts()
    with store.open("t") as source:
        assert pq.read_table(source, columns=["a"])["a"].to_pylist() == [1, 2]
    assert server.counts() - before == {"GET": 1}


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_missing_bucket_is_named(scheme: str) -> None:
    store = Store(f"{scheme}://nowhere/x")
    for touch in (
        lambda: store.get("a"),
        lambda: store.open("a"),
        lambda: store.put("a", b"1"),
        lambda: store.create("a", b"1"),
        lambda: list(store.list("a")),
        lambda: store.copy("a", "b"),
    ):
        with pytest.raises(StoreError, match="there is no bucket nowhere; make it, or correct `store`"):
            touch()


@pytest.mark.parametrize(("scheme", "name"), [("s3", "AWS_ACCESS_KEY_ID"), ("gs", "GOOGLE_BEARER_TOKEN")])
def test_a_refusal_names_no_credentials(monkeypatch: pytest.MonkeyPatch, scheme: str, name: str) -> None:
    monkeypatch.setenv(name, "wrong-key-do-not-print")
    store = Store(f"{scheme}://data/x")
    for touch in (lambda: store.get("a"), lambda: list(store.list("a")), lambda: store.put("a", b"1")):
        with pytest.raises(StoreError, match=r"access denied \(InvalidAccessKeyId\); check") as caught:
            touch()
        shown = "".join(traceback.format_exception(caught.value))
        assert "do-not-print" not in shown + repr(store)
        assert str(caught.value).count("\n") == 0


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:hidden@127.0.0.1:9")
    with pytest.raises(
        StoreError, match=r"http://127\.0\.0\.1:9 does not answer after 2 tries; what is committed"
    ):
        Store("s3://data/x").get("a")


def test_passing_errors_are_tried_again(server: S3Server) -> None:
    store = Store("s3://data/again")
    store.put("a", b"1")
    before = server.counts()
    server.fail_at(0)
    with pytest.raises(StoreError, match="NotImplemented"):
        store.get("a")
    server.fail_at(None)
    assert (server.counts() - before)["GET"] == 2


@pytest.mark.parametrize(
    ("url", "name", "flag"),
    [
        ("s3://data", "AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP"),
        ("gs://data", "GOOGLE_BASE_URL", "GOOGLE_ALLOW_HTTP"),
    ],
)
def test_plain_http_is_for_this_machine_unless_allowed(
    monkeypatch: pytest.MonkeyPatch, url: str, name: str, flag: str
) -> None:
    for local in ("http://localhost:9", "http://127.0.0.1:9", "http://[::1]:9", "https://s3.example.com"):
        monkeypatch.setenv(name, local)
        Store(url)
    monkeypatch.setenv(name, "http://minio:9000")
    with pytest.raises(Misconfigured, match=f"http://minio:9000 is not encrypted.*{flag}=true"):
        Store(url)
    monkeypatch.setenv(flag, "true")
    Store(url)


def test_half_a_pair_of_keys_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(
        Misconfigured, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
    ) as error:
        Store("s3://data")
    assert SECRET not in str(error.value)


def test_a_broken_service_account_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", '{"private_key": "do-not-print')
    with pytest.raises(Misconfigured, match="cannot open gs://data") as caught:
        Store("gs://data")
    assert "do-not-print" not in "".join(traceback.format_exception(caught.value))


def test_commits_of_a_bucket_are_read_side_by_side_and_once(
    server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_WORTH_KEEPING", 30)
    store = Store("s3://data/ledger")
    wanted = [(f"12-{n}-1", f"{n:032x}") for n in range(30)]
    for cell, print_ in wanted:
        commit = Commit(Unit("facts", cell), print_, Counts(2, 2))
        store.put(commit.key, commit.encode())
    ledger = Ledger(store)
    assert all(ledger.find_all("facts", wanted))
    ledger.refresh("facts")
    ledger.keep("facts")
    before = server.counts()
    again = Ledger(store)
    (brief,) = again.find_all("facts", [wanted[7]])
    assert brief is not None
    assert brief.counts == Counts(2, 2)
    asked = server.counts() - before
    assert asked == {"LIST": 1, "GET": 1}  # the cache, and no commit
