"""Every kind of damage to a release is found."""

import hashlib
import io
import random
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from pipeline.errors import Misconfigured
from pipeline.release.checksums import CHECKSUMS, read_checksums, write_checksums
from pipeline.release.tar import write_tar
from pipeline.release.verify import verify
from tests.small_release import make_release

Members = list[tuple[str, bytes]]

SHARD = "shards/train-000000.tar"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_release(tmp_path_factory.mktemp("store"))


@pytest.fixture
def release(whole: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def rehash(release: Path) -> None:
    """Write fitting checksums, as one who wants to hide a change would."""
    paths = [path for path in release.rglob("*") if path.is_file() and path.name != CHECKSUMS]
    hashes = {
        path.relative_to(release).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths
    }
    (release / CHECKSUMS).write_text(write_checksums(hashes))


def members_of(path: Path) -> Members:
    with tarfile.open(path) as tar:
        return [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]


def edit_shard(release: Path, change: Callable[[Members], Members]) -> None:
    members = change(members_of(release / SHARD))
    with tarfile.open(release / SHARD, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def replace(ending: str, change: Callable[[bytes], bytes]) -> Callable[[Members], Members]:
    """Change the first member with an ending."""

    def edit(members: Members) -> Members:
        at = next(i for i, (name, _) in enumerate(members) if name.endswith(ending))
        return [*members[:at], (members[at][0], change(members[at][1])), *members[at + 1 :]]

    return edit


def picture(size: int, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size)).save(buffer, kind)
    return buffer.getvalue()


def problems(release: Path) -> str:
    return "\n".join(verify(release).problems)


def test_a_whole_release_has_no_problem(whole: Path) -> None:
    told: list[tuple[str, int, int]] = []
    report = verify(whole, lambda *step: told.append(step))
    assert report.problems == ()
    assert told == [("verify", 1, 7)] * 7
    assert report.samples == 29
    assert report.shards == len(list((whole / "shards").iterdir())) == 7


def test_sha256sum_reads_the_checksums(whole: Path) -> None:
    lines = [line.split("  ") for line in (whole / CHECKSUMS).read_text().splitlines()]
    files = sorted(path.relative_to(whole).as_posix() for path in whole.rglob("*") if path.is_file())
    assert [path for _, path in lines] == [path for path in files if path != CHECKSUMS]
    for sha256, path in lines:
        assert sha256 == hashlib.sha256((whole / path).read_bytes()).hexdigest()


def test_any_flipped_byte_is_found(release: Path) -> None:
    rng = random.Random(1)
    for path in sorted(path for path in release.rglob("*") if path.is_file()):
        data = path.read_bytes()
        for at in {0, len(data) - 1, rng.randrange(len(data))}:
            flipped = bytearray(data)
            flipped[at] ^= 1 << rng.randrange(8)
            path.write_bytes(flipped)
            name = path.relative_to(release).as_posix()
            found = problems(release)
            assert name in found, f"byte {at} of {name}"
        path.write_bytes(data)
    assert problems(release) == ""


DAMAGE: list[tuple[Callable[[Members], Members], str]] = [
    (lambda m: m[:1] + m[2:], "has the members jpg, txt; needs jpg, json, txt"),
    (lambda m: m[3:], "in metadata.parquet, but not in the shard"),
    (lambda m: [*m, *m[:3]], "the key is in the shards 2 times"),
    (lambda m: [*m[:3], m[1], *m[3:]], "is there twice"),
    (lambda m: [*m, ("0.jpg", m[0][1]), ("0.json", m[1][1]), ("0.txt", m[2][1])], "0: not in metadata.parquet"),
    (replace(".json", lambda d: d.replace(b"number 2", b"number 3")), "differ in captions"),
    (replace(".json", lambda d: d.replace(b'"gsd_m":0.6', b'"gsd_m":0.5')), "differ in gsd_m"),
    (replace(".json", lambda d: d.replace(b":", b": ", 1)), "not in canonical form"),
    (replace(".json", lambda d: d.replace(b'"facts":[{', b'"fucts":[{')), "does not follow the schema: facts"),
    (replace(".json", lambda d: d[:-5]), "does not follow the schema"),
    (replace(".txt", lambda _: b"A pond."), "the text is not the first caption"),
    (replace(".jpg", lambda d: d[: len(d) // 2]), "cannot be decoded as JPEG"),
    (replace(".jpg", lambda _: b""), "cannot be decoded as JPEG"),
    (replace(".jpg", lambda _: picture(64, "PNG")), "cannot be decoded as JPEG"),
    (replace(".jpg", lambda _: picture(32)), "32 x 32 pixels, the config says 64 x 64"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), DAMAGE, ids=[said for _, said in DAMAGE])
def test_a_changed_shard_is_found_even_with_fitting_checksums(
    change: Callable[[Members], Members], said: str, release: Path
) -> None:
    edit_shard(release, change)
    assert f"{SHARD}: the content was changed" in problems(release)
    rehash(release)
    found = problems(release)
    assert said in found
    assert SHARD in found


@pytest.mark.parametrize("cut", [1025, 3000, 20_000, -1])
def test_a_truncated_shard_is_found(cut: int, release: Path) -> None:
    path = release / SHARD
    data = path.read_bytes()
    path.write_bytes(data[:-cut] if cut > 0 else data[: len(data) // 3])
    assert f"{SHARD}: the content was changed" in problems(release)
    rehash(release)
    assert SHARD in problems(release)


def test_the_writer_itself_passes(release: Path) -> None:
    """The damage above is in what was changed, not in how it was written."""
    members = members_of(release / SHARD)
    write_tar(release / SHARD, members)
    assert problems(release) == ""


def test_an_extra_and_a_missing_shard(release: Path) -> None:
    shutil.copy(release / SHARD, release / "shards" / "train-000099.tar")
    (release / "shards" / "test-000000.tar").unlink()
    (release / "notes.txt").write_text("hello")
    found = problems(release)
    assert "shards/train-000099.tar: not in checksums.sha256" in found
    assert "the key is in the shards 2 times" in found
    assert "shards/test-000000.tar: the file is missing" in found
    assert "names the shard shards/test-000000.tar, which is not there" in found
    assert "notes.txt: not in checksums.sha256" in found


def test_a_sample_in_the_wrong_split(release: Path) -> None:
    config = yaml.safe_load((release / "config.yaml").read_text())
    config["splits"]["seed"] += 1
    (release / "config.yaml").write_text(yaml.safe_dump(config))
    rehash(release)
    assert "but its ground block is drawn for" in problems(release)


def test_a_sample_listed_twice(release: Path) -> None:
    table = pq.read_table(release / "metadata.parquet")
    pq.write_table(table.take([*range(table.num_rows), 0]), release / "metadata.parquet")
    rehash(release)
    found = problems(release)
    assert "is there 2 times" in found
    assert "README.md: states {'train': 11, 'test': 18} samples" in found


def test_a_card_with_other_numbers(release: Path) -> None:
    card = (release / "README.md").read_text()
    (release / "README.md").write_text(card.replace("num_examples: 11", "num_examples: 12"))
    rehash(release)
    assert "README.md: states" in problems(release)
    (release / "README.md").write_text("# no front matter")
    assert "README.md: its front matter cannot be read" in problems(release)


@pytest.mark.parametrize("name", ["config.yaml", "metadata.parquet"])
def test_unreadable_tables(name: str, release: Path) -> None:
    for content in (b"", b"\xff\xfe rubbish"):
        (release / name).write_bytes(content)
        found = problems(release)
        assert f"{name}: the content was changed" in found
        assert "cannot be read, so not all was checked" in found
    (release / name).unlink()
    assert f"{name}: the file is missing" in problems(release)


def test_all_problems_at_once(release: Path) -> None:
    edit_shard(release, lambda m: replace(".txt", lambda _: b"x")(m[3:]))
    (release / "sources.json").unlink()
    (release / "README.md").write_text("---\na: [\n---\n")
    assert len(verify(release).problems) >= 5


def test_what_is_no_release(tmp_path: Path) -> None:
    for folder, why in ((tmp_path / "nowhere", "no such folder"), (tmp_path, "it has no checksums")):
        with pytest.raises(Misconfigured, match=why):
            verify(folder)


@pytest.mark.parametrize("text", ["abc", "0" * 64 + " one space", "0" * 64 + "  a\n" + "0" * 64 + "  a"])
def test_checksums_that_are_none(text: str, release: Path) -> None:
    with pytest.raises(ValueError, match="line"):
        read_checksums(text)
    (release / CHECKSUMS).write_text(text)
    assert f"{CHECKSUMS}: line" in problems(release)


@pytest.mark.parametrize("image_format", ["webp", "png"])
def test_other_image_formats_and_no_text(image_format: str, tmp_path: Path) -> None:
    release = make_release(tmp_path, shards={"image_format": image_format, "text": False})
    assert verify(release).problems == ()
    names = {name.split(".")[1] for name, _ in members_of(release / SHARD)}
    assert names == {image_format, "json"}
