"""Computations, exports and downloads through Google's own Python client and the server."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ee
import numpy as np
import pytest
import rasterio
import urllib3

from pipeline.imagery.emulator.server import Server, serve
from tests.emulator_world import COLLECTION, CRS, NORTH, WEST, client, make_world, request_grid, world_pixels

FIRST = f"{COLLECTION}/m_1_20190610"
ACROSS = request_grid(350, 250, 120, 100)
"""Pixels of all three tiles: columns from 400 on are in the second, rows from 300 on in the third, too."""

pytestmark = pytest.mark.usefixtures("server")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compute")
    make_world(folder)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serve(folder, exports=folder / "bucket") as server, client(server):
        yield server


def collection() -> Any:
    corner = ee.Geometry.Rectangle([WEST, NORTH - 300, WEST + 300, NORTH], CRS, False)
    return ee.ImageCollection(COLLECTION).filterBounds(corner)


def test_a_mosaic_shows_the_last_image_on_top() -> None:
    mosaic = collection().filterDate("2019-01-01", "2021-01-01").select(["R", "N"]).mosaic()
    got = ee.data.computePixels({"expression": mosaic, "fileFormat": "NUMPY_NDARRAY", "grid": ACROSS})
    np.testing.assert_array_equal(got["R"], world_pixels(350, 250, 120, 100, 1)[0])
    assert (got["N"][:, :50] == 1).all()
    assert (got["N"][:, 50:] == 2).all()


def test_chosen_images_in_a_chosen_order() -> None:
    images = [ee.Image(f"{COLLECTION}/{name}") for name in ("m_3_20210820", "m_1_20190610")]
    mosaic = ee.ImageCollection.fromImages(images).mosaic()
    got = ee.data.computePixels(
        {
            "expression": mosaic,
            "fileFormat": "NUMPY_NDARRAY",
            "grid": request_grid(0, 350, 100, 100),
            "bandIds": ["N"],
        }
    )
    assert (got["N"][:50] == 1).all()
    assert (got["N"][50:] == 3).all()


def test_values_of_a_property() -> None:
    assert collection().aggregate_array("NUMBER").getInfo() == [1, 2, 3]
    assert collection().filter(ee.Filter.eq("NUMBER", 2)).size().getInfo() == 1


def test_an_unknown_image_is_refused_by_name() -> None:
    with pytest.raises(ee.EEException, match=r"Image.load: Image asset 'USDA/none' not found"):
        ee.Image("USDA/none").getInfo()


def test_a_computation_has_the_same_limits() -> None:
    with pytest.raises(ee.EEException, match=r"Total request size \(50355654 bytes\)"):
        ee.data.computePixels(
            {"expression": ee.Image(FIRST).select(["R", "G", "B"]), "fileFormat": "NPY",
             "grid": request_grid(0, 0, 2897, 2897)}
        )  # fmt: skip


def test_a_mosaic_without_a_grid_is_refused() -> None:
    with pytest.raises(ee.EEException, match="grid"):
        ee.data.computePixels({"expression": collection().mosaic(), "fileFormat": "NPY"})


def test_what_is_no_image_has_no_pixels() -> None:
    with pytest.raises(ee.EEException, match="does not evaluate to an image"):
        ee.data.computePixels({"expression": ee.Number(1), "fileFormat": "NPY", "grid": ACROSS})


def test_visualization_options_stretch_the_bands() -> None:
    options = {"ranges": [{"min": 1, "max": 101}]}
    request = {
        "fileFormat": "NUMPY_NDARRAY",
        "grid": request_grid(0, 0, 200, 10),
        "visualizationOptions": options,
    }
    stored = ee.data.getPixels({"assetId": FIRST, "bandIds": ["R", "G", "B"], **request})
    values = world_pixels(0, 0, 200, 10, 1)[0].astype(float)
    expected = np.clip((values - 1) * 255 / 100, 0, 255)
    assert stored.dtype.names == ("vis-red", "vis-green", "vis-blue")
    assert np.abs(stored["vis-red"] - expected).max() <= 1
    computed = ee.data.computePixels({"expression": ee.Image(FIRST).select(["R", "G", "B"]), **request})
    np.testing.assert_array_equal(computed, stored)


def test_an_export_ends_up_in_the_bucket(folder: Path) -> None:
    task = ee.batch.Export.image.toCloudStorage(
        image=ee.Image(FIRST), description="job", bucket="photos", fileNamePrefix="run/first", crs=CRS,
        crsTransform=[0.6, 0, WEST, 0, -0.6, NORTH], dimensions="500x400", maxPixels=10**9,
    )  # fmt: skip
    task.start()
    while task.active():
        pass
    assert task.status()["state"] == "COMPLETED", task.status()
    with rasterio.open(folder / "bucket" / "photos" / "run" / "first.tif") as file:
        np.testing.assert_array_equal(file.read(), world_pixels(0, 0, 500, 400, 1))
    assert [operation["metadata"]["description"] for operation in ee.data.listOperations()] == ["job"]
    ee.data.cancelOperation(ee.data.listOperations()[0]["name"])


def test_a_download_gives_the_same_pixels() -> None:
    url = ee.Image(FIRST).getDownloadURL(
        {"format": "NPY", "crs": CRS, "crs_transform": [0.6, 0, WEST, 0, -0.6, NORTH], "dimensions": [60, 50]}
    )
    with urllib3.PoolManager() as pool:
        got = np.load(io.BytesIO(pool.request("GET", url).data))
    expected = world_pixels(0, 0, 60, 50, 1)
    np.testing.assert_array_equal(np.stack([got[band] for band in "RGBN"]), expected)
