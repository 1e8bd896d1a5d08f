"""Several extracts side by side give what the one file gives that they were cut from."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import osmium
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from osmium.osm import Area, Node, Relation, Way

from pipeline.errors import Misconfigured
from pipeline.grid import cells_in
from pipeline.osm.partition import NOWHERE, CellElements, partition
from pipeline.osm.pbf import read_elements
from pipeline.osm.several import partition_files
from pipeline.osm.snapshot import read_file
from pipeline.types import OsmFile
from tests.osm.osm_xml import node, relation, way, write_xml
from tests.processes import alive_in_session

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "osm"
ZOOM = 14


def cut(path: Path, target: Path, inside: Callable[[float], bool]) -> Path:
    """The part of a file whose longitudes are inside, every way and relation that has a part in it complete."""
    nodes: set[int] = set()
    ways: set[int] = set()
    relations: set[int] = set()
    tracks: dict[int, list[int]] = {}
    for item in osmium.FileProcessor(path):
        if isinstance(item, Node) and inside(item.location.lon):
            nodes.add(item.id)
        elif isinstance(item, Way):
            tracks[item.id] = [ref.ref for ref in item.nodes]
            if not nodes.isdisjoint(tracks[item.id]):
                ways.add(item.id)
        elif isinstance(item, Relation):
            members = {member.ref for member in item.members if member.type == "w"}
            if not ways.isdisjoint(members):
                relations.add(item.id)
                ways |= members & tracks.keys()
    nodes |= {ref for number in ways for ref in tracks[number]}
    wanted = {Node: nodes, Way: ways, Relation: relations}
    with osmium.SimpleWriter(target, overwrite=True) as writer:
        for item in osmium.FileProcessor(path):
            if not isinstance(item, Area) and item.id in wanted[type(item)]:
                writer.add(item)
    return target


def hashes(found: Sequence[CellElements]) -> dict[str, tuple[str, str, str]]:
    return {each.cell: (_hash(each.elements), _hash(each.rejected), repr(each.counts)) for each in found}


def _hash(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=1000)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def together(
    files: Sequence[OsmFile], cells: Sequence[str], scratch: Path, workers: int = 1
) -> list[CellElements]:
    folder = scratch / f"several-{len(list(scratch.iterdir()))}"
    folder.mkdir()
    return list(partition_files(files, ZOOM, cells, folder, workers))


@pytest.mark.skipif(not DATA.exists(), reason="needs the shared test data")
def test_overlapping_halves_of_a_real_extract(tmp_path: Path) -> None:
    path = DATA / "monaco-2023.osm.pbf"
    west = cut(path, tmp_path / "west.osm.pbf", lambda lon: lon < 7.425)
    east = cut(path, tmp_path / "east.osm.pbf", lambda lon: lon > 7.415)
    cells = cells_in((7.38, 43.70, 7.46, 43.77), ZOOM)
    one = list(partition(read_elements(path, tmp_path), ZOOM, cells, tmp_path))
    files = [read_file(west), read_file(east)]
    kept = sum(each.counts.kept for each in one)
    alone = [
        sum(each.counts.kept for each in partition(read_elements(Path(file.path), tmp_path), ZOOM, cells, tmp_path))
        for file in files
    ]  # fmt: skip
    assert max(alone) < kept < sum(alone)  # they do overlap

    assert hashes(together(files, cells, tmp_path)) == hashes(one)
    assert hashes(together(files[::-1], cells, tmp_path, workers=2)) == hashes(one)
    assert hashes(together(files, cells[:3], tmp_path)).items() <= (
        hashes(one).items() | {(NOWHERE, hashes(together(files, cells[:3], tmp_path))[NOWHERE])}
    )


def tree(number: int, lon: float, version: int) -> str:
    return node(number, lon, 0.01, natural="tree").replace("<node ", f'<node version="{version}" ')


def rows(found: Sequence[CellElements]) -> dict[str, list[tuple[str, int]]]:
    return {
        each.cell: list(zip(each.elements["id"].to_pylist(), each.elements["version"].to_pylist(), strict=True))
        for each in found
        if len(each.elements)
    }  # fmt: skip


def test_the_highest_version_counts_wherever_it_lies(tmp_path: Path) -> None:
    """A tree that was moved to another cell leaves nothing in the cell where an older file has it."""
    old = write_xml(tmp_path / "old.osm", tree(1, 0.01, 1), tree(2, 0.011, 3), tree(3, 0.012, 1))
    new = write_xml(tmp_path / "new.osm", tree(1, 0.05, 2), tree(2, 0.05, 2))
    cells = cells_in((0.0, 0.0, 0.06, 0.02), ZOOM)
    files = [read_file(old), read_file(new)]
    (near, found_near), (far, found_far) = sorted(rows(together(files, cells, tmp_path)).items())
    assert near < far
    assert found_near == [("n2", 3), ("n3", 1)]
    assert found_far == [("n1", 2)]


def test_of_equal_versions_that_of_the_newest_file_counts(tmp_path: Path) -> None:
    """A way's version stays when only its nodes move."""
    files = []
    for name, lon, day in (("a", 0.012, "2023-01-01"), ("b", 0.013, "2023-02-01"), ("c", 0.014, None)):
        path = write_xml(
            tmp_path / f"{name}.osm", node(1, 0.01, 0.01), node(2, lon, 0.01), way(5, 1, 2, highway="path")
        )
        files.append(OsmFile(str(path), name * 64, day and f"{day}T00:00:00Z"))
    cells = cells_in((0.0, 0.0, 0.03, 0.02), ZOOM)
    for turn in range(3):
        found = together(files[turn:] + files[:turn], cells, tmp_path)
        (box,) = (
            box for each in found for box in each.elements["bbox"].to_pylist() if each.elements["home"][0].as_py()
        )  # fmt: skip
        assert box["xmax"] == pytest.approx(0.013)


def test_what_one_file_has_whole_is_not_rejected(tmp_path: Path) -> None:
    corners = [node(1, 0.01, 0.01), node(2, 0.012, 0.01), node(3, 0.012, 0.012), node(4, 0.01, 0.012)]
    lines = [way(7, 1, 2, 3), way(8, 3, 4, 1)]
    wood = relation(9, 7, 8, type="multipolygon", natural="wood")
    road = way(6, 4, 5, highway="path")
    whole = write_xml(tmp_path / "whole.osm", *corners, road, *lines, wood)
    half = write_xml(tmp_path / "half.osm", *corners[:3], node(5, 0.02, 0.01), road, lines[0], wood)
    cells = cells_in((0.0, 0.0, 0.03, 0.02), ZOOM)
    found = together([read_file(half), read_file(whole)], cells, tmp_path)
    assert {name for each in found for name in each.elements["id"].to_pylist()} == {"r9"}
    assert [row for each in found for row in each.rejected.to_pylist()] == [
        {"id": "w6", "reason": "missing_nodes"}
    ]
    assert sum((each.counts.seen for each in found), 0) == 2


def test_comparing_in_small_blocks_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(4)
    versions = [{number: draw.randint(1, 3) for number in draw.sample(range(1, 200), 120)} for _ in range(3)]
    files = [
        read_file(
            write_xml(
                tmp_path / f"{place}.osm",
                *(tree(number, 0.001 * (number % 50), version) for number, version in sorted(held.items())),
            )
        )
        for place, held in enumerate(versions)
    ]
    cells = cells_in((0.0, 0.0, 0.06, 0.02), ZOOM)
    whole = together(files, cells, tmp_path)
    expected = {f"n{n}": max(held.get(n, 0) for held in versions) for held in versions for n in held}
    assert {row for each in whole for row in rows([each]).get(each.cell, [])} == set(expected.items())
    for size in (1, 7, 50):
        monkeypatch.setattr("pipeline.osm.several._BLOCK", size)
        assert hashes(together(files, cells, tmp_path)) == hashes(whole)


def test_a_bad_file_among_them_is_named(tmp_path: Path) -> None:
    good = read_file(write_xml(tmp_path / "good.osm", tree(1, 0.01, 1)))
    bad = write_xml(tmp_path / "bad.osm", tree(2, 0.01, 1), tree(1, 0.01, 1))
    for workers in (1, 2):
        with pytest.raises(Misconfigured, match=r"bad.osm: not sorted"):
            together(
                [good, OsmFile(str(bad), "b" * 64, None)], cells_in((0, 0, 0.1, 0.1), 8), tmp_path, workers
            )


SLOW = """
import sys, time
from pathlib import Path
from pipeline.osm import several
from pipeline.types import OsmFile

def slow(*args):
    Path(sys.argv[1], "began").touch()
    time.sleep(60)

several.read_elements = slow

if __name__ == "__main__":
    files = [OsmFile("a", "a", None), OsmFile("b", "b", None)]
    list(several.partition_files(files, 12, [], Path(sys.argv[1]), 2))
"""


def test_no_process_outlives_the_one_that_started_it(tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    root = Path(__file__).resolve().parents[2]
    folder = tmp_path / "scratch"
    folder.mkdir()
    started = subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    deadline = time.monotonic() + 60
    while not (folder / "began").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (folder / "began").exists()
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    while (left := alive_in_session(started.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left
