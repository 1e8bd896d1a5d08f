"""OSM files that are not what they should be: clear errors, or counted losses and on with the work."""

import bz2
import gzip
import subprocess
import sys
from pathlib import Path

import osmium
import pytest

from pipeline.errors import Misconfigured, StoreError
from pipeline.osm.osmfile import reading
from pipeline.osm.pbf import read_elements
from pipeline.osm.snapshot import data_bounds, read_snapshot
from pipeline.types import Reason
from tests.osm.osm_xml import node, relation, way, write_xml

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "osm"

needs_data = pytest.mark.skipif(not DATA.exists(), reason="needs the shared test data")

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(200)
HTML = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"


def error_of(path: Path, scratch: Path) -> str:
    with pytest.raises(Misconfigured) as caught:
        list(read_elements(path, scratch))
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert not [file for file in scratch.iterdir() if file != path]
    return message


def test_a_missing_file(tmp_path: Path) -> None:
    assert "no such OSM file" in error_of(tmp_path / "a.osm.pbf", tmp_path)


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.osm.pbf").mkdir()
    assert "not an OSM file" in error_of(tmp_path / "a.osm.pbf", tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.osm.pbf", b"", "empty"),
        ("a.osm", b"", "empty"),
        ("a.osm.pbf", JPEG, "not a .pbf file.*a JPEG image"),
        ("a.osm.pbf", HTML, "not a .pbf file.*an HTML or XML page"),
        ("a.osm.pbf", gzip.compress(HTML, mtime=0), "not a .pbf file.*gzip"),
        ("a.osm.pbf", bytes(range(1, 200)), "not a .pbf file"),
        ("a.osm", HTML, "cannot be read as OSM data.*html"),
        ("a.osm", JPEG, "cannot be read as OSM data"),
        ("a.osm.gz", b"plain text", "not a .gz file"),
        ("a.osm.gz", gzip.compress(HTML, mtime=0), "cannot be read as OSM data.*html"),
        ("a.osm.bz2", gzip.compress(HTML, mtime=0), "not a .bz2 file.*gzip"),
        ("a.osm.bz2", bz2.compress(HTML), "cannot be read as OSM data.*html"),
        ("a.shp", b"x", "not an OSM file by its ending"),
        ("a.osm", b'<osmChange version="0.6"></osmChange>', "history or change file.*osmium time-filter"),
    ],
)
def test_a_file_of_another_kind(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Misconfigured, match=says):
        read_snapshot(path)
    with pytest.raises(Misconfigured, match=says):
        data_bounds(path)
    error_of(path, tmp_path)


@needs_data
@pytest.mark.parametrize("ending", ["osm.pbf", "osm", "osm.gz", "osm.bz2"])
@pytest.mark.parametrize("share", [0.05, 0.6, 0.999])
def test_a_truncated_file(ending: str, share: float, tmp_path: Path) -> None:
    whole, cut = tmp_path / f"whole.{ending}", tmp_path / f"cut.{ending}"
    with osmium.SimpleWriter(whole) as writer:
        for item in osmium.FileProcessor(DATA / "felton-ca-2018.osm.pbf"):
            writer.add(item)
    data = whole.read_bytes()
    whole.unlink()
    size = int(len(data) * share)
    cut.write_bytes(data[:size])
    message = error_of(cut, tmp_path)
    assert "truncated" in message
    assert f"{size:,} bytes" in message
    assert "download it again" in message


@needs_data
def test_bytes_that_were_changed(tmp_path: Path) -> None:
    data = bytearray((DATA / "monaco-2023.osm.pbf").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    path = tmp_path / "a.osm.pbf"
    path.write_bytes(data)
    assert "download it again" in error_of(path, tmp_path)


@needs_data
def test_relations_before_ways(tmp_path: Path) -> None:
    path = DATA / "harrisburg-pa-2015-unsorted.osm.pbf"
    assert f"osmium sort {path} -o " in error_of(path, tmp_path)


ROAD = way(10, 1, 2, 3, 4, highway="path")
NODES = [node(1, 0, 0), node(2, 1, 0), node(3, 1, 1), node(4, 0, 1)]


@pytest.mark.parametrize(
    "lines",
    [
        [ROAD, *NODES],  # as Overpass writes it
        [way(10, 1, 2, 3, 1, building="yes"), *NODES],
        [*NODES[:3], ROAD, node(4, 0, 1)],
        [*NODES, way(11, 1, 2, highway="path"), ROAD],
        [node(2, 1, 0, natural="tree"), node(1, 0, 0, natural="tree")],
        [*NODES, relation(20, 10, type="multipolygon", landuse="grass"), ROAD],
        [*NODES, ROAD, node(5, 1, 1, natural="tree")],
        [*NODES, *(relation(number, 10, type="multipolygon", landuse="grass") for number in (21, 20))],
    ],
)
def test_elements_out_of_order(lines: list[str], tmp_path: Path) -> None:
    assert "osmium sort" in error_of(write_xml(tmp_path / "a.osm", *lines), tmp_path)


@pytest.mark.parametrize("kind", ["node", "way", "relation"])
def test_an_element_twice(kind: str, tmp_path: Path) -> None:
    twice = {
        "node": [node(1, 0, 0, natural="tree")] * 2,
        "way": [*NODES, ROAD, ROAD],
        "relation": [*NODES, *[relation(10, 5, type="multipolygon", landuse="grass")] * 2],
    }
    message = error_of(write_xml(tmp_path / "a.osm", *twice[kind]), tmp_path)
    assert "twice" in message
    assert f"{kind[0]}1" in message


def test_unsaved_edits(tmp_path: Path) -> None:
    path = write_xml(tmp_path / "a.osm", node(-1, 0, 0, natural="tree"))
    assert "n-1 has a negative id" in error_of(path, tmp_path)


def test_a_way_that_leaves_the_globe(tmp_path: Path) -> None:
    path = write_xml(tmp_path / "a.osm", node(1, 0, 0), node(2, 0, 95), way(10, 1, 2, highway="path"))
    assert "n2 lies at 0.0, 95.0" in error_of(path, tmp_path)


def test_nodes_without_a_place_are_rejected(tmp_path: Path) -> None:
    path = write_xml(
        tmp_path / "a.osm",
        '<node id="1"><tag k="natural" v="tree"/></node>',
        node(2, 1, 95, natural="tree"),
        node(3, 1, 1, natural="tree"),
    )
    chunks = list(read_elements(path, tmp_path))
    assert sum(chunk.elements.num_rows for chunk in chunks) == 1
    rejected = [(item.id, item.reason, item.position) for chunk in chunks for item in chunk.rejected]
    assert rejected == [("n1", Reason.BROKEN_GEOMETRY, None), ("n2", Reason.BROKEN_GEOMETRY, None)]


def test_missing_nodes_are_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = write_xml(
        tmp_path / "a.osm",
        *NODES,
        ROAD,
        way(11, 98, 2, 3, highway="path"),
        way(12, 1, 2, 99, 1, building="yes"),
        way(13, 98, 99, highway="path"),
        way(14, 4, 97, 1),
        way(15, 1, 2, 4),
        relation(20, 14, 15, type="multipolygon", landuse="forest"),
        relation(21, 15, 77, type="multipolygon", landuse="forest"),
        relation(22, 77, type="multipolygon", landuse="forest"),
        relation(23, 15, type="multipolygon", landuse="forest"),
        relation(24, type="multipolygon", landuse="forest"),
    )
    chunks = list(read_elements(path, tmp_path))
    assert [number for chunk in chunks for number in chunk.elements.column("number").to_pylist()] == [10]
    rejected = {item.id: (item.reason, item.position) for chunk in chunks for item in chunk.rejected}
    assert rejected == {
        "w11": (Reason.MISSING_NODES, (1.0, 0.0)),
        "w12": (Reason.MISSING_NODES, (0.0, 0.0)),
        "w13": (Reason.MISSING_NODES, None),
        "r20": (Reason.MISSING_NODES, (0.0, 1.0)),
        "r21": (Reason.MISSING_NODES, (0.0, 0.0)),
        "r22": (Reason.MISSING_NODES, None),
        "r23": (Reason.BROKEN_GEOMETRY, (0.0, 0.0)),
        "r24": (Reason.BROKEN_GEOMETRY, None),
    }
    assert sum(chunk.missing_node_refs for chunk in chunks) == 1 + 1 + 2 + 1


@needs_data
def test_an_extract_cut_without_complete_ways(tmp_path: Path) -> None:
    path = DATA / "helsinki-missing-nodes.osm.pbf"
    chunks = list(read_elements(path, tmp_path))
    rejected = {item.id for chunk in chunks for item in chunk.rejected}
    located = {item.id for item in osmium.FileProcessor(path, osmium.osm.NODE)}
    kept = {
        f"w{row['number']}"
        for chunk in chunks
        for row in chunk.elements.select(["type", "number"]).to_pylist()
        if row["type"] == 1
    }
    complete: set[str] = set()
    cut: set[str] = set()
    for item in osmium.FileProcessor(path, osmium.osm.WAY):
        if isinstance(item, osmium.osm.Way):
            (complete if all(ref.ref in located for ref in item.nodes) else cut).add(f"w{item.id}")
    assert kept <= complete
    assert {name for name in rejected if name[0] == "w"} <= cut
    assert len(rejected) == 659
    assert sum(chunk.missing_node_refs for chunk in chunks) > 5000


@pytest.mark.parametrize("lines", [[], NODES, [*NODES, way(10, 1, 2)]])
def test_a_file_with_nothing_to_see(lines: list[str], tmp_path: Path) -> None:
    chunks = list(read_elements(write_xml(tmp_path / "a.osm", *lines), tmp_path))
    assert sum(chunk.elements.num_rows for chunk in chunks) == 0
    assert not any(chunk.rejected for chunk in chunks)


@needs_data
def test_a_full_scratch_disk_is_an_error_and_not_the_end_of_the_process(tmp_path: Path) -> None:
    # A limit on the size of files stands in for the disk. It would outlive the test, hence another process.
    script = (
        "import resource, sys; from pathlib import Path; from pipeline.errors import StoreError\n"
        "from pipeline.osm.pbf import read_elements\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "try: list(read_elements(Path(sys.argv[1]), Path(sys.argv[2])))\n"
        "except StoreError as error: print(error)\n"
    )
    command = [sys.executable, "-c", script, str(DATA / "monaco-2023.osm.pbf"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("scratch disk: cannot write")
    assert "runtime.scratch" in done.stdout


def test_a_failed_write_is_not_blamed_on_the_input(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="scratch disk"), reading(tmp_path):
        raise RuntimeError("Write failed: No space left on device")


# snapshot and bounds


@needs_data
def test_a_snapshot_has_the_replication_time_and_the_hash() -> None:
    dated, undated = DATA / "liechtenstein-2022.osm.pbf", DATA / "reisterstown-md.osm.pbf"
    assert read_snapshot(dated).timestamp == "2022-12-15T21:21:53Z"
    assert read_snapshot(undated).timestamp is None
    for path in (dated, undated):
        hashed = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout
        assert read_snapshot(path).sha256 == hashed.split()[0]


@needs_data
def test_bounds_come_from_the_header_or_from_the_nodes(tmp_path: Path) -> None:
    assert data_bounds(DATA / "monaco-2023.osm.pbf") == (7.409205, 43.72335, 7.448637, 43.75169)
    places = [
        (item.lon, item.lat)
        for item in osmium.FileProcessor(DATA / "monaco-2023.osm.pbf", osmium.osm.NODE)
        if isinstance(item, osmium.osm.Node)
    ]
    boxless = tmp_path / "a.osm.pbf"
    with osmium.SimpleWriter(boxless) as writer:
        for number, place in enumerate(places, 1):
            writer.add_node(osmium.osm.mutable.Node(id=number, location=place))
    lon, lat = zip(*places, strict=True)
    assert data_bounds(boxless) == (min(lon), min(lat), max(lon), max(lat))


def test_a_file_without_nodes_has_no_bounds(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no bounds"):
        data_bounds(write_xml(tmp_path / "a.osm"))
