"""The store keeps its promises on every backend that runs here."""

import os
import pickle
import subprocess
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import Misconfigured, StoreError
from pipeline.store import Store


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store") if request.param == "folder" else f"memory://{uuid.uuid4().hex}")


def test_what_is_put_is_read_back(store: Store, tmp_path: Path) -> None:
    store.put("a/b.bin", b"one")
    store.put("a/b.bin", b"two")
    (tmp_path / "file").write_bytes(b"from a file")
    store.put("a/c.bin", tmp_path / "file")
    assert store.get("a/b.bin") == b"two"
    assert store.get("a/c.bin") == b"from a file"
    assert sorted(store.list("a")) == [("a/b.bin", 3), ("a/c.bin", 11)]
    store.copy("a/b.bin", "d/e.bin")
    store.copy("a/b.bin", "d/e.bin")
    store.put("a/b.bin", b"three")
    assert store.get("d/e.bin") == b"two"
    store.delete("d/e.bin")
    store.delete("d/e.bin")
    with pytest.raises(FileNotFoundError):
        store.get("d/e.bin")
    assert list(store.list("nothing/here")) == []


def test_create_writes_once(store: Store) -> None:
    assert store.create("commits/x.json", b"first")
    assert not store.create("commits/x.json", b"second")
    assert store.get("commits/x.json") == b"first"


def test_parquet_columns_are_read_in_place(store: Store, tmp_path: Path) -> None:
    table = pa.table({"a": list(range(1000)), "b": ["x" * 100] * 1000})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=100)
    store.put("t.parquet", tmp_path / "t.parquet")
    with store.open("t.parquet") as source:
        assert pq.read_table(source, columns=["a"]).column("a").to_pylist() == list(range(1000))


def test_a_store_travels_to_another_process_by_its_url(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.put("a", b"1")
    again = pickle.loads(pickle.dumps(store))  # noqa: S301  # how worker processes receive it
    assert again.get("a") == b"1"


@pytest.mark.parametrize("url", ["ftp://host/x", "s3://", "http://example.com/x"])
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match="store:"):
        Store(url)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(Misconfigured, match="set `store` to a folder"):
        Store(str(tmp_path / "data"))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
def test_a_full_disk_is_one_clear_error_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)], check=False, capture_output=True
    )
    if mount.returncode:
        pytest.skip("this machine allows no mounts")
    try:
        store = Store(str(tmp_path))
        store.put("small", b"x" * 1000)
        with pytest.raises(StoreError, match=r"No space left on device.*what is committed is safe"):
            store.put("big", b"x" * 1_000_000)
        assert [key for key, _ in store.list("")] == ["small"]
        store.put("small2", b"x" * 1000)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_copying_twice_leaves_no_stray_file(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.put("a", b"1")
    store.copy("a", "b")
    store.copy("a", "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
