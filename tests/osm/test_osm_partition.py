"""Elements over cells: each at home once, each in every cell it touches, the same whatever the buffers."""

import hashlib
import random
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import geopandas
import mercantile
import osmium
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from osmium.osm import Area, Node, Relation, Way

from pipeline.errors import StoreError
from pipeline.grid import cell_bounds, cell_name, cells_in
from pipeline.osm.areas import is_area
from pipeline.osm.chunks import EXTRACT, Chunk
from pipeline.osm.partition import NOWHERE, CellElements, partition
from pipeline.osm.pbf import KEYS, read_elements
from pipeline.osm.spill import Spill
from pipeline.tables import ELEMENTS, REJECTED_ELEMENTS
from pipeline.types import Bounds
from tests.osm.osm_xml import node, relation, way, write_xml

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "osm"

needs_data = pytest.mark.skipif(not DATA.exists(), reason="needs the shared test data")


def split(
    path: Path,
    cells: Collection[str],
    scratch: Path,
    *,
    zoom: int = 12,
    block_bytes: int = 16_000_000,
    buffer_bytes: int = 64_000_000,
) -> dict[str, CellElements]:
    chunks = read_elements(path, scratch, block_bytes=block_bytes)
    found = list(partition(chunks, zoom, cells, scratch, buffer_bytes=buffer_bytes))
    assert [each.cell for each in found] == [*sorted(set(cells) - {NOWHERE}), NOWHERE]
    for each in found:
        assert each.elements.schema.equals(ELEMENTS, check_metadata=True)
        assert each.rejected.schema.equals(REJECTED_ELEMENTS)
        assert each.counts.balanced
        assert each.counts.kept == sum(each.elements.column("home").to_pylist())
        assert dict(each.counts.rejected) == dict(Counter(each.rejected.column("reason").to_pylist()))
    return {each.cell: each for each in found}


def data_box(path: Path) -> Bounds:
    """Bounds of all nodes; the header's box is often smaller."""
    nodes = [item.location for item in osmium.FileProcessor(path, osmium.osm.NODE) if isinstance(item, Node)]
    lon, lat = [place.lon for place in nodes], [place.lat for place in nodes]
    return (min(lon), min(lat), max(lon), max(lat))


def parquet_hash(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=1000)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def hashes(found: dict[str, CellElements]) -> dict[str, tuple[str, str]]:
    return {cell: (parquet_hash(each.elements), parquet_hash(each.rejected)) for cell, each in found.items()}


@needs_data
@pytest.mark.parametrize("name", ["monaco-2023", pytest.param("liechtenstein-2022", marks=pytest.mark.slow)])
def test_every_element_is_at_home_exactly_once(name: str, tmp_path: Path) -> None:
    path = DATA / f"{name}.osm.pbf"
    found = split(path, cells_in(data_box(path), 12), tmp_path)
    home: Counter[str] = Counter()
    for each in found.values():
        home.update(each.elements.filter(each.elements.column("home")).column("id").to_pylist())
        home.update(each.rejected.column("id").to_pylist())
    assert home == Counter(independent_ids(path))


def independent_ids(path: Path) -> set[str]:
    """Ids of all elements that must be seen, by a plain loop over the file."""
    names: set[str] = set()
    for item in osmium.FileProcessor(path).with_filter(osmium.filter.EmptyTagFilter()):
        tags = dict(item.tags)
        if not tags.keys() & set(KEYS):
            continue
        if isinstance(item, Node):
            names.add(f"n{item.id}")
        elif isinstance(item, Way):
            names.add(f"w{item.id}")
        elif isinstance(item, Relation) and tags.get("type") in ("multipolygon", "boundary"):
            names.add(f"r{item.id}")
    return names


@needs_data
def test_a_cell_holds_all_that_its_box_touches(tmp_path: Path) -> None:
    path = DATA / "felton-ca-2018.osm.pbf"
    cells = cells_in(data_box(path), 15)
    found = split(path, cells, tmp_path, zoom=15)
    boxes = {}
    for item in osmium.FileProcessor(path).with_areas():
        tags = dict(item.tags)
        if not tags.keys() & set(KEYS):
            continue
        if isinstance(item, Node):
            boxes[f"n{item.id}"] = (item.lon, item.lat, item.lon, item.lat)
        elif isinstance(item, Way) and not (item.is_closed() and is_area(tags, closed=True)):
            places = [(ref.lon, ref.lat) for ref in item.nodes]
            boxes[f"w{item.id}"] = shapely.bounds(shapely.MultiPoint(places)).tolist()
        elif isinstance(item, Area) and item.num_rings()[0]:
            rings = [shapely.LineString([(ref.lon, ref.lat) for ref in ring]) for ring in item.outer_rings()]
            if not item.from_way() or is_area(tags, closed=True):
                name = ("w" if item.from_way() else "r") + str(item.orig_id())
                boxes[name] = shapely.total_bounds(rings).tolist()
    for cell in cells:
        touching = {name for name, box in boxes.items() if cell in cells_touched(box, 15)}
        assert set(found[cell].elements.column("id").to_pylist()) == touching


def cells_touched(box: tuple[float, ...], zoom: int) -> set[str]:
    west, south, east, north = box
    first, last = mercantile.tile(west, north, zoom), mercantile.tile(east, south, zoom)
    return {cell_name(x, y, zoom) for x in range(first.x, last.x + 1) for y in range(first.y, last.y + 1)}


@needs_data
def test_a_representative_point_lies_in_the_home_cell(tmp_path: Path) -> None:
    path = DATA / "monaco-2023.osm.pbf"
    found = split(path, cells_in(data_box(path), 15), tmp_path, zoom=15)
    for cell, each in found.items():
        home = each.elements.filter(each.elements.column("home"))
        if not len(home):
            continue
        shapes = shapely.from_wkb(home.column("geometry").to_numpy())
        # Wherever the point on a shape is chosen, the shape must reach into the cell.
        assert shapely.intersects(shapes, shapely.box(*cell_bounds(cell))).all()


@needs_data
@pytest.mark.parametrize(
    ("block_bytes", "buffer_bytes"), [(16_000_000, 64_000_000), (100_000, 200_000), (300_000, 1_000)]
)
def test_buffers_decide_nothing(block_bytes: int, buffer_bytes: int, tmp_path: Path) -> None:
    path = DATA / "monaco-2023.osm.pbf"
    cells = cells_in(data_box(path), 14)
    plain = hashes(split(path, cells, tmp_path, zoom=14))
    found = split(path, cells, tmp_path, zoom=14, block_bytes=block_bytes, buffer_bytes=buffer_bytes)
    assert hashes(found) == plain


@needs_data
def test_a_cell_does_not_depend_on_the_other_wanted_cells(tmp_path: Path) -> None:
    path = DATA / "monaco-2023.osm.pbf"
    cells = cells_in(data_box(path), 14)
    whole = hashes(split(path, cells, tmp_path, zoom=14))
    shuffled = random.Random(1).sample(cells, len(cells))
    assert hashes(split(path, [NOWHERE, *shuffled], tmp_path, zoom=14)) == whole
    # A few, far apart and with one that holds nothing.
    some = [*shuffled[:3], "14-1-1", "14-16000-9000"]
    found = hashes(split(path, some, tmp_path, zoom=14))
    assert {cell: found[cell] for cell in shuffled[:3]} == {cell: whole[cell] for cell in shuffled[:3]}
    assert found[NOWHERE] == whole[NOWHERE]
    assert list(split(path, [], tmp_path, zoom=14)) == [NOWHERE]


@needs_data
def test_geopandas_reads_the_parquet(tmp_path: Path) -> None:
    path = DATA / "monaco-2023.osm.pbf"
    cell = "12-2132-1493"
    table = split(path, [cell], tmp_path)[cell].elements
    pq.write_table(table, tmp_path / "elements.parquet")
    frame = geopandas.read_parquet(tmp_path / "elements.parquet")
    assert frame.crs.to_authority() == ("OGC", "CRS84")
    assert len(frame) == len(table) > 1000
    assert set(frame.geometry.geom_type) == {"Point", "LineString", "MultiPolygon"}
    assert frame.geometry.is_valid.all()
    kinds = {"Point": "point", "LineString": "line", "MultiPolygon": "area"}
    assert (frame.geometry.geom_type.map(kinds) == frame["kind"]).all()
    box = geopandas.read_parquet(tmp_path / "elements.parquet", bbox=(7.42, 43.73, 7.425, 43.735))
    assert 0 < len(box) < len(frame)


def test_rows_are_sorted_by_subtile_type_and_number(tmp_path: Path) -> None:
    places = [(0.01, 0.01), (0.08, 0.08), (0.01, 0.08), (0.01, 0.01)]
    path = write_xml(
        tmp_path / "a.osm",
        *(
            node(number, *place, natural="tree")
            for number, place in zip((9, 10, 11, 12), places, strict=True)
        ),
        way(1, 9, 12, highway="path"),
        way(2, 9, 11, highway="path"),
    )
    # North first, then west; the first way has no length, the second has its middle in between.
    table = split(path, ["12-2048-2047"], tmp_path)["12-2048-2047"].elements
    assert table.column("id").to_pylist() == ["n11", "n10", "w2", "n9", "n12"]


def test_visitors_and_losses(tmp_path: Path) -> None:
    # Cells of zoom 4 are 22.5 degrees wide; the equator and the prime meridian are edges.
    path = write_xml(
        tmp_path / "a.osm",
        *(node(1, 1, 1), node(2, -30, 1), node(3, -30, 2), node(4, 1, 2), node(5, 5, 5, natural="tree")),
        way(10, 1, 2, 3, 4, 1, landuse="forest"),  # over three cells, its middle in the second
        way(11, 1, 99, highway="path"),
        way(12, 98, 99, highway="path"),
        way(13, 2, 98, highway="path"),
        relation(20, 77, type="multipolygon", landuse="forest"),
    )
    east, middle, west = (cell_name(x, 7, 4) for x in (8, 7, 6))
    found = split(path, [east, middle], tmp_path, zoom=4)
    homes = {cell: at_home(each) for cell, each in found.items()}
    assert homes == {east: {"n5": True, "w10": False}, middle: {"w10": True}, NOWHERE: {}}
    lost = {cell: each.rejected.column("id").to_pylist() for cell, each in found.items()}
    assert lost == {east: ["w11"], middle: [], NOWHERE: ["r20", "w12"]}
    seen = {cell: each.counts.seen for cell, each in found.items()}
    assert seen == {east: 2, middle: 1, NOWHERE: 2}  # w13 is lost in a cell that is not wanted
    assert found[NOWHERE].missing_node_refs == 4
    assert west not in found


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30)), max_size=12
    ),
    st.sets(st.tuples(st.integers(0, 15), st.integers(0, 15)), max_size=40),
    st.sampled_from([1, 500, 10**6]),
)
def test_boxes_go_to_the_cells_they_touch(
    tmp_path_factory: pytest.TempPathFactory,
    boxes: list[tuple[int, int, int, int]],
    wanted: set[tuple[int, int]],
    buffer_bytes: int,
) -> None:
    lines = []
    for x1, y1, x2, y2 in boxes:
        places = [(x * 11.25 - 170 + 1e-3, y * 5.0 - 75 + 1e-3) for x, y in ((x1, y1), (x2 + 0.5, y2 + 0.5))]
        lines.append(shapely.LineString(places))
    chunk = Chunk(
        pa.RecordBatch.from_pylist([_row(number, line) for number, line in enumerate(lines, 1)], EXTRACT)
    )
    cells = {cell_name(x, y, 4) for x, y in wanted}
    found = partition([chunk], 4, cells, tmp_path_factory.getbasetemp(), buffer_bytes=buffer_bytes)
    for each in found:
        touching = {
            f"w{number}" for number, line in enumerate(lines, 1) if each.cell in cells_touched(line.bounds, 4)
        }
        home = {name for name in touching if each.cell == cell_of_middle(lines[int(name[1:]) - 1])}
        assert at_home(each) == {name: name in home for name in touching}


def at_home(found: CellElements) -> dict[str, bool]:
    """Elements of a cell, and whether they are at home there."""
    return dict(zip(*found.elements.select(["id", "home"]).to_pydict().values(), strict=True))


def cell_of_middle(line: shapely.LineString) -> str:
    middle = line.interpolate(0.5, normalized=True)
    tile = mercantile.tile(middle.x, middle.y, 4)
    return cell_name(tile.x, tile.y, 4)


def _row(number: int, line: shapely.LineString) -> dict[str, object]:
    box = dict(zip(("xmin", "ymin", "xmax", "ymax"), line.bounds, strict=True))
    return {
        "type": 1,
        "number": number,
        "version": 1,
        "timestamp": None,
        "kind": 1,
        "tags": [("highway", "path")],
        "bbox": box,
        "geometry": shapely.to_wkb(line),
    }


def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"runtime\.scratch"):
        Spill(tmp_path / "nowhere" / "a.arrow", EXTRACT, 1)
