"""The emulator as Google's own Python client sees it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ee
import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from pipeline.imagery.emulator.server import Server, serve
from tests.emulator_world import (
    COLLECTION,
    HEIGHT,
    TILES,
    WIDTH,
    client,
    make_world,
    request_grid,
    world_pixels,
)

pytestmark = pytest.mark.usefixtures("server")

FIRST = f"{COLLECTION}/m_1_20190610"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("emulator")
    make_world(folder)
    with serve(folder, aliases={"OLD/NAIP": COLLECTION}) as server, client(server):
        yield server


def indexes(page: Any) -> list[str]:
    return [image["id"].rpartition("/")[2] for image in page["images"]]


def corner() -> tuple[float, float]:
    """Longitude and latitude of the first tile's upper-left corner."""
    asset: Any = ee.data.getAsset(FIRST)
    lon, lat = asset["geometry"]["coordinates"][0][0]
    return lon, lat


def test_lists_a_collection() -> None:
    assert indexes(ee.data.listImages(COLLECTION)) == sorted(TILES)


def test_lists_by_time() -> None:
    found = ee.data.listImages(
        {"parent": COLLECTION, "startTime": "2020-01-01T00:00:00Z", "endTime": "2021-01-01T00:00:00Z"}
    )
    assert indexes(found) == ["m_2_20200715"]


def test_lists_by_region_as_an_object_and_as_wkt() -> None:
    # 150 m into the first tile from its upper-left corner; the others begin further east and south
    west, north = corner()
    lon, lat = west + 0.001, north - 0.001
    as_object = {"type": "Point", "coordinates": [lon, lat]}
    assert indexes(ee.data.listImages({"parent": COLLECTION, "region": as_object})) == ["m_1_20190610"]
    assert indexes(ee.data.listImages({"parent": COLLECTION, "region": f"POINT ({lon} {lat})"})) == [
        "m_1_20190610"
    ]


def test_a_region_too_long_for_a_url_is_posted() -> None:
    ring = [[-76.9 + 0.2 * np.cos(t), 39.5 + 0.2 * np.sin(t)] for t in np.linspace(0, 2 * np.pi, 100)]
    region = {"type": "Polygon", "coordinates": [[*ring[:-1], ring[0]]]}
    assert len(indexes(ee.data.listImages({"parent": COLLECTION, "region": region}))) == 3


def test_lists_by_property() -> None:
    assert indexes(ee.data.listImages({"parent": COLLECTION, "properties": ["NUMBER>=2"]})) == [
        "m_2_20200715",
        "m_3_20210820",
    ]


def test_pages_hang_together() -> None:
    first = ee.data.listImages({"parent": COLLECTION, "pageSize": 2})
    rest = ee.data.listImages({"parent": COLLECTION, "pageSize": 2, "pageToken": first["nextPageToken"]})
    assert indexes(first) + indexes(rest) == sorted(TILES)
    assert "nextPageToken" not in rest


def test_the_client_follows_pages_by_itself(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.imagery.emulator.listing._PAGE", {"FULL": 1, "BASIC": 1})
    before = server.stats().requests["listAssets"]
    assert indexes(ee.data.listImages(COLLECTION)) == sorted(TILES)
    assert server.stats().requests["listAssets"] == before + 3


def test_a_basic_view_holds_names_alone() -> None:
    page = ee.data.listImages({"parent": COLLECTION, "view": "BASIC"})
    assert {tuple(sorted(image)) for image in page["images"] or ()} == {("id", "name", "type")}


def test_describes_an_asset() -> None:
    asset = ee.data.getAsset(FIRST)
    assert asset["type"] == "IMAGE"
    assert asset["name"] == f"projects/earthengine-public/assets/{FIRST}"
    assert asset["startTime"] == "2019-06-10T00:00:00Z"
    assert asset["endTime"] == "2019-06-11T00:00:00Z"
    assert asset["updateTime"] == "2024-01-01T00:00:00Z"
    assert asset["properties"] == {"NUMBER": 1, "STATE": "MD"}
    assert asset["bands"][0] == {
        "id": "R",
        "dataType": {"precision": "INT", "range": {"max": 255}},
        "grid": {
            "crsCode": "EPSG:26918",
            "dimensions": {"width": WIDTH, "height": HEIGHT},
            "affineTransform": {
                "scaleX": 0.6,
                "translateX": 340000.0,
                "scaleY": -0.6,
                "translateY": 4372000.0,
            },
        },
        "pyramidingPolicy": "MEAN",
    }
    assert [band["id"] for band in asset["bands"]] == ["R", "G", "B", "N"]


def test_a_collection_is_an_asset() -> None:
    assert ee.data.getAsset(COLLECTION)["type"] == "IMAGE_COLLECTION"


def test_an_alias_leads_to_the_collection() -> None:
    assert ee.data.getAsset("OLD/NAIP/m_1_20190610")["id"] == FIRST
    assert indexes(ee.data.listImages("OLD/NAIP")) == sorted(TILES)


def test_what_is_not_there_is_not_found() -> None:
    with pytest.raises(ee.EEException, match="not found"):
        ee.data.getAsset(f"{COLLECTION}/none")
    with pytest.raises(ee.EEException, match="not found"):
        ee.data.listAssets("USDA/NAIP")


def test_native_pixels_are_the_files_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    got = ee.data.getPixels(
        {"assetId": FIRST, "fileFormat": "NUMPY_NDARRAY", "grid": request_grid(37, 101, 300, 200),
         "bandIds": ["R", "G", "B", "N"]}
    )  # fmt: skip
    folder = next(tmp_path_factory.getbasetemp().glob("emulator*"))
    with rasterio.open(folder / "m_1_20190610.tif") as file:
        expected = file.read(window=Window(37, 101, 300, 200))
    assert got.dtype.names == ("R", "G", "B", "N")
    np.testing.assert_array_equal(np.stack([got[band] for band in "RGBN"]), expected)


def test_pixels_beyond_the_edge_are_zero() -> None:
    got = ee.data.getPixels(
        {
            "assetId": FIRST,
            "fileFormat": "NUMPY_NDARRAY",
            "grid": request_grid(-10, -20, 50, 60),
            "bandIds": ["G"],
        }
    )["G"]
    assert not got[:20].any()
    assert not got[:, :10].any()
    np.testing.assert_array_equal(got[20:, 10:], world_pixels(0, 0, 40, 40, 1)[1])


def test_the_whole_image_without_a_grid() -> None:
    got = ee.data.getPixels({"assetId": FIRST, "fileFormat": "NUMPY_NDARRAY"})
    assert got.shape == (HEIGHT, WIDTH)
    assert got.dtype.names == ("R", "G", "B", "N")


def test_a_region_gives_the_pixels_that_hold_it() -> None:
    lon, lat = corner()
    got = ee.data.getPixels(
        {"assetId": FIRST, "fileFormat": "NUMPY_NDARRAY", "bandIds": ["N"],
         "region": {"type": "MultiPoint", "coordinates": [[lon + 1e-5, lat - 1e-4]]}}
    )  # fmt: skip
    assert got.shape == (1, 1)
    assert got["N"][0, 0] == 1


def test_an_unknown_band_is_refused() -> None:
    with pytest.raises(ee.EEException, match=r"Band pattern 'X'.*Available bands: \[R, G, B, N\]"):
        ee.data.getPixels(
            {"assetId": FIRST, "fileFormat": "NPY", "bandIds": ["X"], "grid": request_grid(0, 0, 4, 4)}
        )


def test_a_workload_tag_has_a_form() -> None:
    request = {"assetId": FIRST, "fileFormat": "NPY", "grid": request_grid(0, 0, 4, 4)}
    assert ee.data.getPixels(request | {"workloadTag": "run-1"})
    with pytest.raises(ee.EEException, match="workload tag"):
        ee.data.getPixels(request | {"workloadTag": "Run 1"})


def test_geotiff_replies_carry_the_grid(tmp_path: Path) -> None:
    body = ee.data.getPixels(
        {
            "assetId": FIRST,
            "fileFormat": "GEO_TIFF",
            "grid": request_grid(5, 6, 20, 10),
            "bandIds": ["R", "G"],
        }
    )
    (tmp_path / "got.tif").write_bytes(body)
    with rasterio.open(tmp_path / "got.tif") as file:
        np.testing.assert_array_equal(file.read(), world_pixels(5, 6, 20, 10, 1)[:2])
        assert file.crs == "EPSG:26918"
        assert file.transform.c == pytest.approx(340_000 + 5 * 0.6, abs=1e-9)
