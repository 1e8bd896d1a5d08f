"""Stage `shards` on hand-made tables."""

import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import StoreError
from pipeline.ids import file_sha256
from pipeline.ledger import Commit, Unit
from pipeline.stages import samples, shards
from pipeline.stages.base import Commits, Context, read_table
from pipeline.stages.shards import Range, cut
from pipeline.store import Store
from pipeline.types import Counts
from tests.small_release import make_config, make_context, picture, put_inputs, run_stage


def build(folder: Path, **changes: object) -> tuple[Context, Commits, list[Commit]]:
    context = make_context(Store(str(folder)), make_config(**changes))
    commits = put_inputs(context)
    run_stage(context, commits, samples.STAGE)
    return context, commits, run_stage(context, commits, shards.STAGE)


def members(context: Context, commit: Commit) -> dict[str, bytes]:
    with (
        context.store.open(commit.outputs["shard"].key) as file,
        tarfile.open(fileobj=file) as tar,
    ):
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


@given(
    st.lists(st.tuples(st.text("abc", min_size=1), st.integers(0, 30)), max_size=20),
    st.integers(1, 25),
)
def test_pieces_hold_every_sample_once_in_order(counts: list[tuple[str, int]], size: int) -> None:
    counts = [(f"{name}{n}", count) for n, (name, count) in enumerate(counts)]
    cut_up = cut([cell for cell, _ in counts], [count for _, count in counts], size)
    pieces = [piece.ranges for piece in cut_up]
    laid_out = [(part.cell, n) for piece in pieces for part in piece for n in range(part.start, part.stop)]
    assert laid_out == [(cell, n) for cell, count in counts for n in range(count)]
    sizes = [sum(part.stop - part.start for part in piece) for piece in pieces]
    assert all(n == size for n in sizes[:-1])
    assert all(0 < n <= size for n in sizes[-1:])


def test_a_cell_can_go_into_many_shards_and_a_shard_hold_many_cells() -> None:
    assert [piece.ranges for piece in cut(["a", "b", "c"], [5, 0, 2], 3)] == [
        (Range("a", 0, 3),),
        (Range("a", 3, 5), Range("c", 0, 1)),
        (Range("c", 1, 2),),
    ]


def test_no_shard_is_planned_while_samples_are_pending(tmp_path: Path) -> None:
    context = make_context(Store(str(tmp_path)), make_config())
    commits = put_inputs(context)
    assert shards.STAGE.cells(context, commits) == ()
    for cell in context.cells[:-1]:
        commits.add(Commit(Unit("samples", cell), "00", Counts(1, 1), info={"splits": {"train": 1}}))
        assert shards.STAGE.cells(context, commits) == ()
    commits.add(Commit(Unit("samples", context.cells[-1]), "00", Counts(), info={"splits": {}}))
    assert shards.STAGE.cells(context, commits) == tuple(
        f"train-{n:06d}" for n in range(-(-(len(context.cells) - 1) // 5))
    )


def test_shards_hold_every_sample_with_its_image(tmp_path: Path) -> None:
    context, commits, built = build(tmp_path)
    keys: list[str] = []
    for commit in built:
        found = members(context, commit)
        names = list(found)
        assert names == sorted(names)
        assert len(found) == 3 * commit.counts.kept <= 15
        split = commit.unit.cell.partition("-")[0]
        for name, data in found.items():
            if name.endswith(".json"):
                record = json.loads(data)
                key = record["metadata"]["patch_id"]
                keys.append(key)
                assert record["metadata"]["split"] == split
                assert found[f"{key}.jpg"] == picture(record["annotations"][0]["seed"], context.config)
                assert found[f"{key}.txt"].decode() == record["annotations"][0]["text"]
    assert len(keys) == len(set(keys)) == 29
    rows = {
        key
        for cell in context.cells
        for key in read_table(context, commits[Unit("samples", cell)].outputs["samples"])["key"].to_pylist()
    }
    assert rows == set(keys)


def test_rows_and_digests_describe_the_shard(tmp_path: Path) -> None:
    context, _, built = build(tmp_path)
    for commit in built:
        output = commit.outputs["shard"]
        path = tmp_path / output.key
        assert (output.sha256, output.bytes) == (file_sha256(path), path.stat().st_size)
        rows = read_table(context, commit.outputs["rows"]).to_pylist()
        assert len(rows) == output.rows == commit.counts.kept
        found = members(context, commit)
        for row in rows:
            image = path.read_bytes()[row["image_offset"] :][: row["image_bytes"]]
            assert image == found[f"{row['key']}.jpg"]
            assert row["shard"] == f"shards/{commit.unit.cell}.tar"


def test_the_place_of_the_store_changes_nothing(tmp_path: Path) -> None:
    one, two = (
        {(str(c.unit), o.sha256) for c in build(tmp_path / name)[2] for o in c.outputs.values()}
        for name in "ab"
    )
    assert one == two


def test_shards_of_other_sizes_hold_the_same(tmp_path: Path) -> None:
    for size in (1, 2, 1000):
        context, _, built = build(tmp_path / str(size), shards={"max_samples": size})
        everything = {name for commit in built for name in members(context, commit)}
        assert len(everything) == 3 * 29
        assert all(commit.counts.kept <= size for commit in built)


def test_only_what_decides_the_content_is_in_the_basis(tmp_path: Path) -> None:
    context, commits, built = build(tmp_path)
    shard = built[0].unit.cell
    basis = shards.STAGE.basis(context, commits, shard)
    assert isinstance(basis, dict)
    assert set(basis) == {"split", "ranges", "image_format", "text"}
    assert {reads.stage for reads in shards.STAGE.inputs(context, commits, shard)} == {"samples", "pixels"}


def test_a_missing_image_is_an_error_with_its_key(tmp_path: Path) -> None:
    context = make_context(Store(str(tmp_path)), make_config())
    commits = put_inputs(context)
    run_stage(context, commits, samples.STAGE)
    cell = context.cells[0]
    pixels, other = (commits[Unit("pixels", name)] for name in context.cells[:2])
    commits.add(
        Commit(pixels.unit, "01", pixels.counts, dict(pixels.outputs) | {"images": other.outputs["images"]})
    )
    key = read_table(context, commits[Unit("samples", cell)].outputs["samples"])["key"][0].as_py()
    with pytest.raises(StoreError, match=key):
        run_stage(context, commits, shards.STAGE)
