"""Exports and thumbnails, started with requests of the real client."""

import io
import re
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ee
import numpy as np
import pytest
import rasterio
from PIL import Image

from pipeline.imagery.emulator.exports import Operations
from pipeline.imagery.emulator.thumbnails import Thumbnails
from pipeline.imagery.emulator.values import Grid, Pixels, RequestError
from tests.emulator_graphs import CRS, MemoryCatalog, MemoryImage, expression_of, initialized_client

GRID = Grid(CRS, (0.5, 0.0, 340_000.0, 0.0, -0.5, 4_372_000.0), 600, 700)
ENDED = {"SUCCEEDED", "FAILED", "CANCELLED"}


class SlowImage(MemoryImage):
    """An image whose pixels come when they are let go."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.running, self.go = threading.Semaphore(0), threading.Event()

    def read(self, bands: Sequence[str], grid: Grid) -> Pixels:
        self.running.release()
        assert self.go.wait(30)
        return super().read(bands, grid)


@pytest.fixture(scope="module", autouse=True)
def client() -> Iterator[None]:
    with initialized_client():
        yield


def pixels(height: int = GRID.height, width: int = GRID.width) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {band: rng.integers(1, 255, (height, width), dtype=np.uint8) for band in "RGB"}


@pytest.fixture(scope="module")
def catalog() -> MemoryCatalog:
    empty = dict.fromkeys("RGB", np.zeros((GRID.height, GRID.width), np.uint8))
    nothing = np.zeros((GRID.height, GRID.width), dtype=bool)
    nothing[:, :300] = True
    return MemoryCatalog({"C": [MemoryImage("C/a", pixels(), grid=GRID)],
                          "H": [MemoryImage("H/half", empty, grid=GRID, valid=nothing)]})  # fmt: skip


@pytest.fixture
def operations(tmp_path: Path) -> Iterator[Operations]:
    running = Operations(tmp_path)
    yield running
    running.close()


def body_of(image: Any, request: str | None = "job", **options: Any) -> dict[str, Any]:
    """The request that the client sends to export an image."""
    task = ee.batch.Export.image.toCloudStorage(
        image, description="job", bucket="my-bucket", fileNamePrefix="run/tile", **options
    )
    config = dict(task.config or {})
    config["expression"] = expression_of(config["expression"])
    return config if request is None else {**config, "requestId": request}


def native(**changes: Any) -> dict[str, Any]:
    return {
        "crs": CRS,
        "crsTransform": list(GRID.transform),
        "dimensions": f"{GRID.width}x{GRID.height}",
        **changes,
    }


def finished(operations: Operations, operation: str, project: str = "p") -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while (found := operations.get(project, operation))["metadata"]["state"] not in ENDED:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def test_an_export_on_the_native_grid_is_the_image(
    operations: Operations, catalog: MemoryCatalog, tmp_path: Path
) -> None:
    body = body_of(ee.Image("C/a"), **native(), formatOptions={"cloudOptimized": True}, maxPixels=10**9)
    started = operations.start("p", body, catalog)
    assert started["name"] == "projects/p/operations/job"
    assert started["metadata"]["type"] == "EXPORT_IMAGE"
    assert started["metadata"]["description"] == "job"
    done = finished(operations, "job")
    assert done["done"]
    assert done["response"]
    assert done["metadata"]["state"] == "SUCCEEDED"
    assert done["metadata"]["progress"] == 1
    assert done["metadata"]["batchEecuUsageSeconds"] == pytest.approx(600 * 700 * 3 * 1e-7)
    assert done["metadata"]["destinationUris"] == [
        "https://console.developers.google.com/storage/browser/my-bucket/run"
    ]
    assert started["metadata"]["createTime"] <= done["metadata"]["startTime"] <= done["metadata"]["endTime"]
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")] == [
        "my-bucket/run/tile.tif"
    ]
    with rasterio.open(tmp_path / "my-bucket/run/tile.tif") as file:
        assert file.crs.to_string() == CRS
        assert tuple(file.transform)[:6] == GRID.transform
        assert file.descriptions == ("R", "G", "B")
        assert file.block_shapes[0] == (256, 256)
        assert file.overviews(1)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        np.testing.assert_array_equal(file.read(), np.stack(list(pixels().values())))


def test_images_are_read_strip_by_strip(operations: Operations, catalog: MemoryCatalog) -> None:
    image = catalog.images["C/a"]
    image.reads.clear()
    operations.start("p", body_of(ee.Image("C/a"), "strips", **native(), maxPixels=10**9), catalog)
    assert finished(operations, "strips")["metadata"]["state"] == "SUCCEEDED"
    assert [(grid.width, grid.height) for grid in image.reads] == [(600, 256), (600, 256), (600, 188)]


def test_the_same_request_is_the_same_operation(operations: Operations, catalog: MemoryCatalog) -> None:
    body = body_of(ee.Image("C/a"), **native())
    operations.start("p", body, catalog)
    first = finished(operations, "job")
    assert operations.start("p", body, catalog) == first
    assert len(operations.list("p")) == 1
    with pytest.raises(RequestError, match="already started with the request id 'job'") as error:
        operations.start("p", {**body, "description": "other"}, catalog)
    assert error.value.code == 400
    other = operations.start("q", body, catalog)
    assert other["name"] == "projects/q/operations/job"
    anonymous = operations.start("p", {k: v for k, v in body.items() if k != "requestId"}, catalog)
    assert anonymous["name"].startswith("projects/p/operations/")
    assert [operation["name"] for operation in operations.list("p")] == [anonymous["name"], first["name"]]


def test_two_exports_run_at_a_time(operations: Operations) -> None:
    image = SlowImage("S/slow", {"R": np.ones((20, 20), np.uint8)}, grid=Grid(CRS, GRID.transform, 20, 20))
    catalog = MemoryCatalog({"S": [image]})
    grid = native(dimensions="20x20")
    names = []
    for i in range(4):
        body = body_of(ee.Image("S/slow"), f"r{i}", **grid)
        body["fileExportOptions"]["cloudStorageDestination"]["filenamePrefix"] = f"t{i}"
        names.append(operations.start("p", body, catalog)["name"].rpartition("/")[2])
    for _ in range(2):
        assert image.running.acquire(timeout=30)
    assert [operations.get("p", name)["metadata"]["state"] for name in names] == ["RUNNING"] * 2 + [
        "PENDING"
    ] * 2
    assert operations.cancel("p", "r3") == {}
    cancelled = operations.get("p", "r3")
    assert cancelled["metadata"]["state"] == "CANCELLED"
    assert cancelled["done"]
    assert cancelled["error"] == {"code": 1, "message": "Cancelled."}
    image.go.set()
    assert [finished(operations, name)["metadata"]["state"] for name in names] == ["SUCCEEDED"] * 3 + [
        "CANCELLED"
    ]


def test_a_running_export_is_cancelled_between_strips(operations: Operations, tmp_path: Path) -> None:
    image = SlowImage("S/slow", pixels(), grid=GRID)
    operations.start("p", body_of(ee.Image("S/slow"), **native()), MemoryCatalog({"S": [image]}))
    assert image.running.acquire(timeout=30)
    operations.cancel("p", "job")
    assert operations.get("p", "job")["metadata"]["state"] == "CANCELLING"
    image.go.set()
    assert finished(operations, "job")["metadata"]["state"] == "CANCELLED"
    assert not list(tmp_path.rglob("*.*"))
    operations.cancel("p", "job")
    assert operations.get("p", "job")["metadata"]["state"] == "CANCELLED"


def test_closing_ends_what_runs(tmp_path: Path) -> None:
    operations = Operations(tmp_path)
    image = SlowImage("S/slow", pixels(), grid=GRID)
    operations.start("p", body_of(ee.Image("S/slow"), **native()), MemoryCatalog({"S": [image]}))
    assert image.running.acquire(timeout=30)
    threading.Timer(0.05, image.go.set).start()
    operations.close()
    assert operations.get("p", "job")["metadata"]["state"] == "CANCELLED"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("export")]


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (lambda: ee.Image("C/none"), native(), "Image asset 'C/none' not found"),
        (lambda: ee.Image("C/a").select("N"), native(), "Band pattern 'N'"),
        (lambda: ee.Image("C/a"), native(maxPixels=1000), r"specified 420000 pixels \(max: 1000\)"),
        (
            lambda: ee.Image("C/a").addBands(ee.Image(0.5)),
            native(),
            "found inconsistent types: Uint8 and Float64",
        ),
        (lambda: ee.ImageCollection("C").mosaic(), {}, "Unable to export unbounded image"),
        (lambda: ee.ImageCollection("C"), None, "must evaluate to an image"),
    ],
)
def test_what_cannot_be_exported_fails(
    image: Any, options: Any, message: str, operations: Operations, catalog: MemoryCatalog
) -> None:
    if options is None:
        body = {**body_of(ee.Image("C/a"), **native()), "expression": expression_of(image())}
    else:
        body = body_of(image(), **options)
    operations.start("p", body, catalog)
    failed = finished(operations, "job")
    assert failed["metadata"]["state"] == "FAILED"
    assert failed["error"]["code"] == 3
    assert re.search(message, failed["error"]["message"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"fileExportOptions": {"fileFormat": "GEO_TIFF", "driveDestination": {"folder": "f"}}},
            "Cloud Storage only",
        ),
        ({"fileExportOptions": {"fileFormat": "TF_RECORD_IMAGE"}}, "'TF_RECORD_IMAGE' are not implemented"),
        ({"fileExportOptions": 3}, "'fileExportOptions': an object is expected"),
        ({"expression": None}, "'expression': an object is expected"),
        ({"maxPixels": {"value": "many"}}, "'maxPixels': an integer is expected"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(
    changes: Any, message: str, operations: Operations, catalog: MemoryCatalog
) -> None:
    with pytest.raises(RequestError, match=message):
        operations.start("p", body_of(ee.Image("C/a"), **native()) | changes, catalog)
    assert operations.list("p") == []


@pytest.mark.parametrize(
    ("bucket", "prefix"),
    [
        ("..", "x"),
        ("my-bucket", "../x"),
        ("my-bucket", "a/../../x"),
        ("my-bucket", "/etc/x"),
        ("a/b", "x"),
        ("my-bucket", ""),
    ],
)
def test_exports_stay_in_their_folder(
    bucket: str, prefix: str, operations: Operations, catalog: MemoryCatalog
) -> None:
    body = body_of(ee.Image("C/a"), **native())
    body["fileExportOptions"]["cloudStorageDestination"] = {"bucket": bucket, "filenamePrefix": prefix}
    with pytest.raises(RequestError, match="Invalid"):
        operations.start("p", body, catalog)


def test_without_a_folder_there_are_no_exports(catalog: MemoryCatalog) -> None:
    with pytest.raises(RequestError, match="takes no exports"):
        Operations(None).start("p", body_of(ee.Image("C/a"), **native()), catalog)


def test_an_operation_that_is_not_there(operations: Operations) -> None:
    for look in (operations.get, operations.cancel):
        with pytest.raises(RequestError, match="projects/p/operations/x") as error:
            look("p", "x")
        assert error.value.code == 404


def test_large_images_are_cut_into_files_and_empty_ones_left_out(
    operations: Operations, catalog: MemoryCatalog, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"fileDimensions": [512, 512], "skipEmptyTiles": True, "maxPixels": 10**9}
    operations.start("p", body_of(ee.Image("H/half"), **native(), **options), catalog)
    assert finished(operations, "job")["metadata"]["state"] == "SUCCEEDED"
    # the right-hand files, from column 512 on, hold nothing valid
    names = [f"tile-{row:010}-{0:010}.tif" for row in (0, 512)]
    folder = tmp_path / "my-bucket/run"
    assert sorted(path.name for path in folder.iterdir()) == names
    with rasterio.open(folder / names[1]) as file:
        assert (file.width, file.height) == (512, 188)
        assert tuple(file.transform)[:6] == (0.5, 0.0, 340_000.0, 0.0, -0.5, 4_371_744.0)


def thumbnail(value: Any, **parameters: Any) -> dict[str, Any]:
    """The body that the client sends for `getDownloadURL`."""
    image = value._build_download_id_image(parameters)
    return {"expression": expression_of(image), "fileFormat": parameters["format"]}


def test_a_download_holds_the_pixels_of_the_region(catalog: MemoryCatalog) -> None:
    thumbnails = Thumbnails()
    region = ee.Geometry.Rectangle([340_010, 4_371_900, 340_060, 4_371_990], CRS, False)
    body = thumbnail(ee.Image("C/a"), crs=CRS, scale=0.5, region=region, format="NPY")
    name = thumbnails.create("p", body, catalog)["name"]
    assert name.startswith("projects/p/thumbnails/")
    content, content_type = thumbnails.pixels(name)
    array = np.load(io.BytesIO(content))
    assert content_type == "application/octet-stream"
    for band, values in pixels().items():
        np.testing.assert_array_equal(array[band], values[20:200, 20:120])


def test_downloads_come_zipped_by_default(catalog: MemoryCatalog) -> None:
    thumbnails = Thumbnails()
    for file_format, names in (
        ("ZIPPED_GEO_TIFF", ["x.tif"]),
        ("ZIPPED_GEO_TIFF_PER_BAND", ["x.R.tif", "x.G.tif"]),
    ):
        body = thumbnail(ee.Image("C/a").select(["R", "G"]), format=file_format) | {"filenamePrefix": "x"}
        content, content_type = thumbnails.pixels(thumbnails.create("p", body, catalog)["name"])
        assert content_type == "application/zip"
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.namelist() == names
            with rasterio.MemoryFile(archive.read(names[0])) as memory, memory.open() as file:
                np.testing.assert_array_equal(file.read(1), pixels()["R"])


def test_a_thumbnail_is_a_picture(catalog: MemoryCatalog) -> None:
    thumbnails = Thumbnails()
    image = ee.Image("C/a").visualize(bands=["R", "G", "B"])
    content, content_type = thumbnails.pixels(
        thumbnails.create("p", thumbnail(image, format="PNG", dimensions=100), catalog)["name"]
    )
    assert content_type == "image/png"
    picture = Image.open(io.BytesIO(content))
    assert (picture.size, picture.mode) == ((86, 100), "RGB")


@pytest.mark.parametrize(
    ("image", "parameters", "message"),
    [
        (lambda: ee.Image("C/a"), {"format": "NPY", "dimensions": [10_001, 5]}, r"\(10001x5\).* 10000"),
        (
            lambda: ee.Image("C/a"),
            {"format": "NPY", "dimensions": [5000, 5000]},
            r"\(150000000 bytes\) must be less than or equal to 33554432",
        ),
        (lambda: ee.ImageCollection("C").mosaic(), {"format": "NPY"}, "no bounds"),
        (lambda: ee.Image("C/a"), {"format": "TF_RECORD"}, "'TF_RECORD' is not one of"),
    ],
)
def test_thumbnails_have_limits(image: Any, parameters: Any, message: str, catalog: MemoryCatalog) -> None:
    with pytest.raises(RequestError, match=message):
        Thumbnails().create("p", thumbnail(image(), **parameters), catalog)


def test_a_thumbnail_that_is_not_there() -> None:
    with pytest.raises(RequestError, match="not found") as error:
        Thumbnails().pixels("projects/p/thumbnails/x")
    assert error.value.code == 404
