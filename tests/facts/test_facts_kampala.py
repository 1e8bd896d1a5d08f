"""Kampala, facts alone: the buildings of each window with pixels, against an independent count by geopandas."""

from pathlib import Path

import geopandas
import numpy as np
import pyarrow as pa
import pytest
import rasterio
import shapely

from pipeline.evidence import Fact
from pipeline.facts.find import find_facts, window_boxes
from pipeline.facts.io import facts_of
from pipeline.osm.vocabulary import load_vocabulary
from pipeline.types import RasterFile, Scene
from tests.benchmarks.bench_facts import elements_of

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "kampala"
WINDOWS = [(col, row) for row in (0, 1) for col in (6, 7, 8)] + [(0, 4)]  # those with pixels
SIZE = 256

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is absent")


@pytest.fixture(scope="module")
def scene() -> Scene:
    with rasterio.open(DATA / "kampala-30cm.tif") as file:
        return Scene(
            "kampala", RasterFile("", "", (1, 2, 3), None), file.crs.to_string(), tuple(file.transform)[:6],
            file.width, file.height, None, file.transform.a, (0.0, 0.0, 0.0, 0.0),
        )  # fmt: skip


@pytest.fixture(scope="module")
def patches() -> pa.Table:
    return pa.table(
        {
            "id": [f"{col}-{row}" for col, row in WINDOWS],
            "scene": ["kampala"] * len(WINDOWS),
            "col": [col * SIZE for col, _ in WINDOWS],
            "row": [row * SIZE for _, row in WINDOWS],
            "size": [SIZE] * len(WINDOWS),
        }
    )


@pytest.fixture(scope="module")
def facts(scene: Scene, patches: pa.Table) -> dict[str, tuple[Fact, ...]]:
    elements = elements_of(DATA / "kampala-buildings.osm.pbf")
    tables = find_facts(patches, elements, {"kampala": scene}, load_vocabulary())
    return {patch: found for each in tables for patch, found in facts_of(each.facts)}


@pytest.fixture(scope="module")
def expected(scene: Scene, patches: pa.Table) -> geopandas.GeoDataFrame:
    """Buildings x windows, read by GDAL, joined and cut by geopandas, measured in UTM 36N.

    One building of 206 crosses itself. GDAL hands it out as it is; reading for the dataset rejects it.
    """
    read = geopandas.read_file(DATA / "kampala-buildings.osm.pbf", layer="multipolygons")
    valid = read.geometry.is_valid
    assert read[~valid].osm_way_id.tolist() == ["614897908"]
    buildings = read[valid & read.building.notna()].to_crs("EPSG:3857")
    windows = geopandas.GeoDataFrame(
        {"patch": patches["id"].to_pylist()},
        geometry=shapely.box(*window_boxes(scene, patches).T),
        crs="EPSG:3857",
    )
    pairs = geopandas.sjoin(buildings, windows, predicate="intersects")
    frames = windows.geometry.to_numpy()[pairs.index_right.to_numpy()]
    pairs["share"] = shapely.area(shapely.intersection(pairs.geometry.to_numpy(), frames)) / shapely.area(
        frames
    )
    pairs["m2"] = (
        pairs.intersection(geopandas.GeoSeries(frames, pairs.index, crs="EPSG:3857")).to_crs(32636).area
    )
    return pairs[pairs["m2"] > 0]


def test_the_building_count_of_every_window(
    facts: dict[str, tuple[Fact, ...]], expected: geopandas.GeoDataFrame
) -> None:
    """A building counts where at least 20 m2 of it, the vocabulary's minimum, lie inside the window: 142 of 219."""
    minimum = {
        rule.min_area_m2 for rule in load_vocabulary().rules if rule.key == "building" and rule.value == "*"
    }
    assert minimum == {20.0}
    counted = expected[expected["m2"] >= 20.0].groupby("patch").size().to_dict()
    assert sum(counted.values()) > 50
    got = {patch: sum(fact.count for fact in found) for patch, found in facts.items()}
    assert got == counted


def test_which_buildings_and_how_much_ground(
    facts: dict[str, tuple[Fact, ...]], expected: geopandas.GeoDataFrame
) -> None:
    for patch, found in facts.items():
        own = expected[(expected["patch"] == patch) & (expected["m2"] >= 20.0)]
        members = sorted(element for fact in found for element in fact.elements)
        assert members == sorted(f"w{way}" for way in own.osm_way_id)
        assert sum(fact.share for fact in found) == pytest.approx(own["share"].sum(), abs=0.0002)


def test_without_a_minimum_every_building_counts(
    scene: Scene, patches: pa.Table, expected: geopandas.GeoDataFrame, tmp_path: Path
) -> None:
    """77 of the 219 parts are smaller than 20 m2: sheds, and corners of buildings cut off by a window."""
    table = tmp_path / "all.csv"
    table.write_text(
        "key,value,singular,plural,geometry,max_gsd_m,min_area_m2,min_length_m,invisible\n"
        "building,*,building,buildings,area,2,,,\n"
    )
    elements = elements_of(DATA / "kampala-buildings.osm.pbf")
    tables = find_facts(patches, elements, {"kampala": scene}, load_vocabulary(table))
    got = {patch: found[0].count for each in tables for patch, found in facts_of(each.facts)}
    assert len(expected) == 219
    assert np.sum(expected["m2"] < 20.0) == 77
    specks = expected["m2"] < 9 * scene.gsd_m**2  # smaller than a square of three pixels: nobody sees that
    assert specks.sum() == 3
    assert got == expected[~specks].groupby("patch").size().to_dict()
