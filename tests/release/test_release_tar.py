"""The deterministic tar writer."""

import hashlib
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.release.tar import _header, write_tar

MEMBERS = [("a.jpg", b"\xff\xd8" * 300), ("a.json", b"{}"), ("b.jpg", b""), ("b.txt", bytes(1024))]


def test_the_file_holds_the_members(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    packed = write_tar(path, MEMBERS)
    data = path.read_bytes()
    assert packed.sha256 == hashlib.sha256(data).hexdigest()
    assert packed.size == len(data)
    with tarfile.open(path) as tar:
        assert [(m.name, tar.extractfile(m).read()) for m in tar] == MEMBERS  # type: ignore[union-attr]
    for name, content in MEMBERS:
        offset, size = packed.members[name]
        assert data[offset : offset + size] == content


@given(
    name=st.text(alphabet="abcdef0123456789._-", min_size=1, max_size=100),
    size=st.integers(0, 8**11 - 1),
)
def test_headers_are_those_of_another_writer(name: str, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    assert _header(name, size) == info.tobuf(tarfile.USTAR_FORMAT)


def test_time_and_place_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    one, two = tmp_path / "x.tar", tmp_path / "else" / "y.tar"
    write_tar(one, MEMBERS)
    write_tar(two, iter(MEMBERS))
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    "names",
    [("b", "a"), ("a", "a"), ("x" * 101,), ("",), ("ä",)],
    ids=["order", "twice", "long", "empty", "ASCII"],
)
def test_names_that_cannot_be(names: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"."):
        write_tar(tmp_path / "x.tar", [(name, b"") for name in names])
