"""What the demo world consists of, and that the same seed gives the same bytes."""

from collections import Counter
from pathlib import Path

import numpy as np
import osmium
import pytest
import rasterio
import shapely
from osmium.osm import Node, Relation, Way

from pipeline.config import Quality
from pipeline.configfile import load_config
from pipeline.demo import make_world
from pipeline.demo.world import World, build_world
from pipeline.errors import StoreError
from pipeline.grid import cells_in, to_lonlat
from pipeline.ids import file_sha256
from pipeline.imagery.quality import judge, measure
from pipeline.imagery.sampling import choose_windows
from pipeline.inventory import take_inventory
from pipeline.osm.vocabulary import Invisible, TagRule, load_vocabulary
from pipeline.types import GeometryKind
from tests.demo.truth import SIZE
from tests.imagery.tiffs import file_of

WEST, EAST = "m_3907617_ne_18_060_20210615.tif", "m_3907618_nw_18_060_20221104.tif"


def test_the_scenes_look_like_naip(world: Path) -> None:
    for name in (WEST, EAST):
        with rasterio.open(world / "imagery" / name) as file:
            assert file.crs.to_epsg() == 26918
            assert file.res == (0.6, 0.6)
            assert (file.count, set(file.dtypes)) == (4, {"uint8"})
            mask = file.read_masks(1)
            assert 0.9 < (mask > 0).mean() < 0.99
            assert not file.read()[:, mask == 0].any()
        assert not (world / "imagery" / f"{name}.msk").exists()  # the mask is inside


def test_the_scenes_overlap_by_three_to_four_patches_on_other_grids(world: Path) -> None:
    with rasterio.open(world / "imagery" / WEST) as west, rasterio.open(world / "imagery" / EAST) as east:
        across = (west.bounds.right - east.bounds.left) / 0.6 / SIZE
        columns, rows = ~west.transform @ (east.bounds.left, east.bounds.top)
    assert 3 < across < 4
    assert columns % 1 > 0.01
    assert round(columns) % SIZE
    assert round(rows) % SIZE


def test_it_gives_enough_patches_in_four_cells(world: Path, tmp_path: Path) -> None:
    config = load_config(world / "geotiff.yaml").model_copy(update={"store": str(tmp_path)})
    context = take_inventory(config, world)
    assert len(context.cells) == 4
    assert config.name == "demo-geotiff"
    assert "ynthetic" in context.product.license
    valid = {}
    for scene in context.scenes:
        with rasterio.open(file_of(scene).path) as file:
            valid[scene.id] = file.read_masks(1) > 0
    area = shapely.from_wkb(context.area)
    whole = 0
    for cell in context.cells:
        for windows in choose_windows(cell, context.scenes, area, config.sampling, context.product.id):
            for col, row in zip(windows.col, windows.row, strict=True):
                whole += bool(valid[windows.scene.id][row : row + SIZE, col : col + SIZE].all())
    assert whole >= 150


def test_every_whole_patch_passes_the_pixel_checks(world: Path) -> None:
    for name in (WEST, EAST):
        with rasterio.open(world / "imagery" / name) as file:
            pixels, valid = file.read((1, 2, 3)), file.read_masks(1) > 0
        for row in range(0, pixels.shape[1] - SIZE + 1, SIZE):
            for col in range(0, pixels.shape[2] - SIZE + 1, SIZE):
                window = np.s_[row : row + SIZE, col : col + SIZE]
                if valid[window].all():
                    patch = np.ascontiguousarray(np.moveaxis(pixels[:, *window], 0, -1))
                    assert judge(measure(patch, valid[window]), Quality()) is None, (name, col, row)


def test_the_osm_file_is_in_order_and_complete(world: Path) -> None:
    path = world / "town.osm.pbf"
    last = (0, 0)
    nodes: set[int] = set()
    ways: set[int] = set()
    roles: Counter[str] = Counter()
    for element in osmium.FileProcessor(path):
        assert isinstance(element, Node | Way | Relation)
        position = ("nwr".index(element.type_str()), element.id)
        assert position > last
        last = position
        assert element.version >= 1
        assert 2014 <= element.timestamp.year <= 2022
        if isinstance(element, Node):
            nodes.add(element.id)
        elif isinstance(element, Way):
            ways.add(element.id)
            assert {node.ref for node in element.nodes} <= nodes
        elif isinstance(element, Relation):
            assert {member.ref for member in element.members} <= ways
            roles.update(member.role for member in element.members)
    assert roles["inner"] > 20
    header = osmium.io.Reader(path).header()
    assert header.get("osmosis_replication_timestamp") == "2022-07-01T00:00:00Z"
    assert header.box().valid()


def test_areas_are_areas_and_crossing_roads_share_nodes(world: Path) -> None:
    areas: Counter[str] = Counter()
    uses: Counter[int] = Counter()
    for element in osmium.FileProcessor(world / "town.osm.pbf").with_areas():
        if isinstance(element, osmium.osm.Area):
            areas.update(f"{tag.k}={tag.v}" for tag in element.tags)
        elif isinstance(element, Way) and "highway" in element.tags:
            uses.update({node.ref for node in element.nodes})
    assert areas["building=house"] > 1000
    assert areas["natural=water"] >= 6
    assert areas["leisure=track"] == 1
    assert sum(count > 1 for count in uses.values()) > 100


@pytest.fixture(scope="module")
def town() -> World:
    return build_world()


def test_everything_painted_is_visible_and_nothing_else_is(town: World) -> None:
    vocabulary = load_vocabulary()
    kinds = {"Polygon": GeometryKind.AREA, "LineString": GeometryKind.LINE, "Point": GeometryKind.POINT}
    reasons = set()
    for feature in town.features:
        if feature.tags and feature.tags != {"railway": "level_crossing"}:  # the painted rails show it
            found = vocabulary.classify(feature.tags, kinds[feature.geometry.geom_type])
            if feature.material or feature.tags.get("waterway") == "river":  # painted as its area
                assert isinstance(found, TagRule), feature.tags
                assert found.max_gsd_m >= 0.6
            else:
                assert isinstance(found, Invisible), feature.tags
                reasons.add(found)
    assert reasons >= {Invisible.NAME, Invisible.LEGAL, Invisible.UNDERGROUND, Invisible.INSIDE}


def test_the_map_covers_the_imagery(world: Path) -> None:
    box = osmium.io.Reader(world / "town.osm.pbf").header().box()
    for name in (WEST, EAST):
        with rasterio.open(world / "imagery" / name) as file:
            left, bottom, right, top = file.bounds
        lon, lat = to_lonlat("EPSG:26918").transform([left, left, right, right], [bottom, top, bottom, top])
        assert box.bottom_left.lon <= min(lon) + 1e-6
        assert box.top_right.lon >= max(lon) - 1e-6
        assert box.bottom_left.lat <= min(lat) + 1e-6
        assert box.top_right.lat >= max(lat) - 1e-6
    bounds = (box.bottom_left.lon, box.bottom_left.lat, box.top_right.lon, box.top_right.lat)
    assert len(cells_in(bounds, 13)) == 4


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(world: Path, tmp_path: Path) -> None:
    again = make_world(tmp_path / "elsewhere").parent
    files = sorted(path.relative_to(world) for path in world.rglob("*") if path.is_file())
    assert len(files) == 6
    for name in files:
        assert file_sha256(world / name) == file_sha256(again / name), name


def test_another_seed_gives_another_town(town: World) -> None:
    assert [feature.tags for feature in build_world(1).features] != [
        feature.tags for feature in town.features
    ]


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        make_world(tmp_path / "file")
