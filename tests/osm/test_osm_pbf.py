"""The reader against the OSM community's multipolygon cases, a plain pyosmium loop, and hand-made files."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import osmium
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from osmium.osm import Area, Node, Relation, Way

from pipeline.osm.areas import is_area
from pipeline.osm.chunks import EXTRACT, KINDS, TYPES, Rejected
from pipeline.osm.pbf import KEYS, read_elements
from pipeline.types import Reason
from tests.osm.osm_xml import node, relation, way, write_xml

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
CASES = sorted((DATA / "osm-testdata" / "7").glob("*/test.json"))

needs_data = pytest.mark.skipif(not CASES, reason="needs the shared test data")

Row = dict[str, Any]


def read(
    path: Path, scratch: Path, keys: Sequence[str] = KEYS, block_bytes: int = 16_000_000
) -> tuple[dict[str, Row], dict[str, Rejected]]:
    """Elements and rejected elements by id; fails when one comes twice."""
    rows: dict[str, Row] = {}
    rejected: dict[str, Rejected] = {}
    for chunk in read_elements(path, scratch, keys=keys, block_bytes=block_bytes):
        assert chunk.elements.schema.equals(EXTRACT)
        chunk.elements.validate(full=True)
        for row in chunk.elements.to_pylist():
            name = TYPES[row["type"]] + str(row["number"])
            assert name not in rows
            rows[name] = {
                "version": row["version"],
                "timestamp": row["timestamp"],
                "kind": KINDS[row["kind"]],
                "tags": dict(row["tags"]),
                "shape": shapely.from_wkb(row["geometry"]),
            }
            assert len(row["tags"]) == len(dict(row["tags"]))
            assert tuple(row["bbox"].values()) == shapely.from_wkb(row["geometry"]).bounds
        for item in chunk.rejected:
            assert item.id not in rejected
            rejected[item.id] = item
    assert not rows.keys() & rejected.keys()
    return rows, rejected


SQUARE = [node(1, 0, 0), node(2, 2, 0), node(3, 2, 1), node(4, 0, 1)]


# the community's cases


@needs_data
@pytest.mark.parametrize("case", CASES, ids=lambda path: path.parent.name)
def test_a_community_case_is_right(case: Path, tmp_path: Path) -> None:
    rows, rejected = read(case.parent / "data.osm.pbf", tmp_path, keys=["landuse", "area"])
    for name, answers in expected(case).items():
        shape = rows[name]["shape"] if name in rows and rows[name]["kind"] == "area" else None
        assert any(
            shape is None if wkt == "INVALID" else shape is not None and shapely.from_wkt(wkt).equals(shape)
            for wkt, _ in answers
        )
        if name in rejected:
            assert rejected[name].reason is Reason.BROKEN_GEOMETRY
            assert rejected[name].position is not None
        elif name.startswith("r"):
            tags = [tags for wkt, tags in answers if wkt != "INVALID" and shapely.from_wkt(wkt).equals(shape)]
            assert rows[name]["tags"] in [{**each, "type": "multipolygon"} for each in tags]


@needs_data
def test_65_relations_are_built_and_9_rejected(tmp_path: Path) -> None:
    # A case may have several right answers: none for readers by node id, a polygon for those by location.
    polygons, impossible, built, turned_down = 0, 0, 0, 0
    for case in CASES:
        _, rejected = read(case.parent / "data.osm.pbf", tmp_path, keys=["landuse", "area"])
        for name, answers in expected(case).items():
            if name.startswith("r"):
                valid = any(wkt != "INVALID" for wkt, _ in answers)
                polygons += valid
                impossible += not valid
                built += valid and name not in rejected
                turned_down += not valid and name in rejected
    assert (polygons, impossible) == (65, 9)
    assert turned_down == 9
    assert built == 54  # the other 11 are told to be invalid unless a reader repairs them


def expected(case: Path) -> dict[str, list[tuple[str, dict[str, str]]]]:
    """Right answers by element: WKT, or INVALID, and tags."""
    answers: dict[str, list[tuple[str, dict[str, str]]]] = {}
    for variant in json.loads(case.read_text())["areas"].values():
        for area in variant:
            name = f"{area['from_type'][0]}{area['from_id']}"
            answers.setdefault(name, []).append((area["wkt"], area.get("tags", {})))
    return answers


# against a plain loop over real files


@needs_data
@pytest.mark.parametrize("name", ["monaco-2023", "felton-ca-2018", "beatty-nv-2017"])
def test_a_real_file_reads_as_with_a_plain_loop(name: str, tmp_path: Path) -> None:
    path = DATA / "osm" / f"{name}.osm.pbf"
    rows, rejected = read(path, tmp_path, block_bytes=200_000)
    plain, lost = plain_loop(path)
    assert rows.keys() == plain.keys()
    assert rejected.keys() == lost
    for element, row in rows.items():
        shape, other = row.pop("shape"), plain[element].pop("shape")
        assert shapely.equals_exact(shapely.normalize(shape), shapely.normalize(other)), element
        assert row == plain[element]


def plain_loop(path: Path) -> tuple[dict[str, Row], set[str]]:
    factory = osmium.geom.WKBFactory()
    rows: dict[str, Row] = {}
    lost: set[str] = set()
    types: dict[str, str] = {}
    rings: set[str] = set()
    for item in osmium.FileProcessor(path).with_areas():
        tags = dict(item.tags)
        if not tags.keys() & set(KEYS) or not isinstance(item, Node | Way | Relation | Area):
            continue
        kind, name, shape = "point", f"n{item.id}", None
        if isinstance(item, Relation):
            if tags.get("type") in ("multipolygon", "boundary"):
                types[f"r{item.id}"] = tags["type"]
            continue
        if isinstance(item, Node):
            shape = shapely.Point(item.lon, item.lat)
        elif isinstance(item, Way):
            kind, name = "line", f"w{item.id}"
            if item.is_closed() and is_area(tags, closed=True):
                rings.add(name)
                continue
            if all(ref.location.valid() for ref in item.nodes):
                shape = shapely.from_wkb(factory.create_linestring(item))
        else:
            kind, name = "area", ("w" if item.from_way() else "r") + str(item.orig_id())
            if item.from_way() and name not in rings:
                continue
            if item.num_rings() != (0, 0):
                shape = shapely.from_wkb(factory.create_multipolygon(item))
        if shape is None:
            lost.add(name)
        else:
            time = None if item.timestamp.year == 1970 else item.timestamp
            rows[name] = {
                "version": item.version or None,
                "timestamp": time,
                "kind": kind,
                "tags": tags,
                "shape": shape,
            }
    for name, value in types.items():
        if name in rows:
            rows[name]["tags"] = {**rows[name]["tags"], "type": value}
    return rows, lost | ((rings | types.keys()) - rows.keys())


@needs_data
@pytest.mark.parametrize("ending", ["osm", "osm.gz", "osm.bz2"])
def test_every_format_gives_the_same(ending: str, tmp_path: Path) -> None:
    path = DATA / "osm" / "felton-ca-2018.osm.pbf"
    copy = tmp_path / f"felton.{ending}"
    with osmium.SimpleWriter(copy) as writer:
        for item in osmium.FileProcessor(path):
            writer.add(item)
    assert read(copy, tmp_path) == read(path, tmp_path)


@needs_data
@pytest.mark.parametrize("block_bytes", [1_000, 50_000])
def test_the_block_size_decides_nothing(block_bytes: int, tmp_path: Path) -> None:
    path = DATA / "osm" / "felton-ca-2018.osm.pbf"
    assert read(path, tmp_path, block_bytes=block_bytes) == read(path, tmp_path)


@needs_data
def test_the_node_index_of_large_files_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = DATA / "osm" / "felton-ca-2018.osm.pbf"
    small = read(path, tmp_path)
    monkeypatch.setattr("pipeline.osm.pbf._LARGE_FILE", 0)
    assert read(path, tmp_path) == small


# hand-made files


def test_kinds_and_shapes(tmp_path: Path) -> None:
    path = write_xml(
        tmp_path / "a.osm",
        node(1, 0, 0),
        node(2, 2, 0, natural="tree", name="Old oak"),
        node(3, 2, 1),
        node(4, 0, 1, place="village"),
        way(10, 1, 2, 3, 4, 1, building="yes"),
        way(11, 1, 2, 3, 4, 1, highway="residential"),
        way(12, 1, 2, 3, building="yes"),
        way(13, 1, 2, 3, 4, 1),
    )
    rows, rejected = read(path, tmp_path)
    assert not rejected
    found = {name: (row["kind"], shapely.to_wkt(row["shape"], trim=True)) for name, row in rows.items()}
    ring = "(0 0, 2 0, 2 1, 0 1, 0 0)"
    assert found == {
        "n2": ("point", "POINT (2 0)"),
        "w10": ("area", f"MULTIPOLYGON (({ring}))"),
        "w11": ("line", f"LINESTRING {ring}"),
        "w12": ("line", "LINESTRING (0 0, 2 0, 2 1)"),
    }
    assert rows["n2"]["tags"] == {"natural": "tree", "name": "Old oak"}


def test_repeated_positions_are_left_out(tmp_path: Path) -> None:
    path = write_xml(
        tmp_path / "a.osm",
        *SQUARE,
        node(5, 2, 0),
        way(10, 1, 2, 5, 2, 3, highway="path"),
        way(11, 1, 2, 5, 3, 4, 1, building="yes"),
        way(12, 2, 5, highway="path"),
    )
    rows, rejected = read(path, tmp_path)
    assert shapely.to_wkt(rows["w10"]["shape"], trim=True) == "LINESTRING (0 0, 2 0, 2 1)"
    assert shapely.get_num_coordinates(rows["w11"]["shape"]) == 5
    assert rejected == {"w12": Rejected("w12", Reason.BROKEN_GEOMETRY, (2.0, 0.0))}


def test_a_ring_that_touches_itself_is_split_and_one_that_crosses_itself_rejected(tmp_path: Path) -> None:
    path = write_xml(
        tmp_path / "a.osm",
        *SQUARE,
        node(5, 4, 0),
        node(6, 4, 1),
        way(10, 1, 2, 5, 6, 2, 4, 1, landuse="forest", name="two triangles that meet in node 2"),
        way(11, 1, 3, 2, 4, 1, landuse="forest", name="a bow tie"),
        way(12, 1, 2, 1, landuse="forest", name="there and back"),
    )
    rows, rejected = read(path, tmp_path)
    shape = rows["w10"]["shape"]
    assert shapely.is_valid(shape)
    assert shapely.area(shape) == 2
    assert rows["w10"]["tags"] == {"landuse": "forest", "name": "two triangles that meet in node 2"}
    broken = {name: item.reason for name, item in rejected.items()}
    assert broken == {"w11": Reason.BROKEN_GEOMETRY, "w12": Reason.BROKEN_GEOMETRY}
    assert rejected["w11"].position == (0.0, 0.0)


def test_relations_become_areas_by_their_type(tmp_path: Path) -> None:
    path = write_xml(
        tmp_path / "a.osm",
        *SQUARE,
        way(10, 1, 2, 3),
        way(11, 3, 4, 1),
        relation(20, 10, 11, type="multipolygon", landuse="forest"),
        relation(21, 10, 11, type="boundary", leisure="park"),
        relation(22, 10, 11, type="route", highway="x"),
        relation(23, 10, 11, type="multipolygon", name="no key"),
    )
    rows, rejected = read(path, tmp_path)
    assert {name: row["tags"] for name, row in rows.items()} == {
        "r20": {"landuse": "forest", "type": "multipolygon"},
        "r21": {"leisure": "park", "type": "boundary"},
    }
    assert all(shapely.area(row["shape"]) == 2 for row in rows.values())
    assert not rejected


def test_version_and_time_are_kept_and_null_where_unknown(tmp_path: Path) -> None:
    stamped = '<node id="1" version="7" timestamp="2020-02-29T23:59:58Z" lon="0" lat="0">'
    path = write_xml(
        tmp_path / "a.osm", stamped + '<tag k="power" v="pole"/></node>', node(2, 1, 1, power="pole")
    )
    rows, _ = read(path, tmp_path)
    assert (rows["n1"]["version"], rows["n1"]["timestamp"]) == (
        7,
        datetime(2020, 2, 29, 23, 59, 58, tzinfo=UTC),
    )
    assert (rows["n2"]["version"], rows["n2"]["timestamp"]) == (None, None)


# libosmium's text has five hex digits for a character; the sixth plane of them is private use.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0", max_codepoint=0xFFFFF), max_size=12)
NUMBERS = count()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.dictionaries(TEXT, TEXT, max_size=4), min_size=1, max_size=6))
def test_any_text_in_tags_comes_through(
    tmp_path_factory: pytest.TempPathFactory, many: list[dict[str, str]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / f"tags-{next(NUMBERS)}.osm.pbf"
    written = {f"n{i}": {**tags, "natural": "100%20%25%"} for i, tags in enumerate(many, 1)}
    with osmium.SimpleWriter(path) as writer:
        for name, tags in written.items():
            writer.add_node(osmium.osm.mutable.Node(id=int(name[1:]), location=(1.5, 2.5), tags=tags))
    rows, _ = read(path, folder)
    assert {name: row["tags"] for name, row in rows.items()} == written


@given(st.integers(-1_800_000_000, 1_800_000_000), st.integers(-900_000_000, 900_000_000))
@settings(deadline=None, max_examples=60)
def test_positions_are_exact(tmp_path_factory: pytest.TempPathFactory, x: int, y: int) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = write_xml(
        folder / f"place-{next(NUMBERS)}.osm",
        f'<node id="1" lon="{x / 1e7:.7f}" lat="{y / 1e7:.7f}"><tag k="natural" v="tree"/></node>',
    )
    rows, _ = read(path, folder)
    assert shapely.get_coordinates(rows["n1"]["shape"]).tolist() == [[x / 1e7, y / 1e7]]
