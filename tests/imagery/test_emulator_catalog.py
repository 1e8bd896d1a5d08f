"""Catalogues: what is served as what, and clear words about what is wrong."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from pipeline.errors import Misconfigured
from pipeline.imagery.emulator.assets import CollectionAsset, ImageAsset, asset_id, asset_name, describe_image
from pipeline.imagery.emulator.catalog import load_catalog
from pipeline.imagery.emulator.values import RequestError
from tests.emulator_world import entry, world_pixels, write_catalogue, write_image

PIXELS = world_pixels(0, 0, 20, 10, 1)


def image_asset(folder: Path, **changes: Any) -> ImageAsset:
    asset = load_catalog(write_catalogue(folder, entry("a.tif", **changes))).find("USDA/NAIP/DOQQ/a")
    assert isinstance(asset, ImageAsset)
    return asset


def test_collections_are_sorted_and_found_by_any_name(tmp_path: Path) -> None:
    write_image(tmp_path / "files" / "a.tif", PIXELS)
    path = write_catalogue(
        tmp_path,
        entry("files/a.tif", index="z"),
        entry("files/a.tif", index="b", aliases=["OLD/ONE"]),
        entry("files/a.tif", collection="projects/mine/assets/photos", index="x"),
    )
    catalog = load_catalog(path, {"OLD/TWO": "USDA/NAIP/DOQQ"})
    images = catalog.collection("USDA/NAIP/DOQQ")
    assert [image.properties["system:index"] for image in images] == ["b", "z"]
    for name in (
        "USDA/NAIP/DOQQ/b",
        "projects/earthengine-public/assets/USDA/NAIP/DOQQ/b",
        "OLD/ONE/b",
        "OLD/TWO/b",
    ):
        assert catalog.image(name) is images[0]
    assert len(catalog.collection("projects/mine/assets/photos")) == 1
    assert catalog.find("USDA/NAIP") is None


def test_properties_tell_index_id_and_times(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", PIXELS)
    asset = image_asset(tmp_path, start="2021-06-15T12:00:00.250Z", end=None, properties={"CLOUD": 3.5})
    assert asset.image.properties == {
        "CLOUD": 3.5,
        "system:index": "a",
        "system:id": "USDA/NAIP/DOQQ/a",
        "system:time_start": 1623758400250,
    }
    described = describe_image(asset)
    assert described["startTime"] == "2021-06-15T12:00:00.250000Z"
    assert "endTime" not in described
    assert described["properties"] == {"CLOUD": 3.5}
    assert described["sizeBytes"] == str((tmp_path / "a.tif").stat().st_size)


def test_the_file_tells_when_it_changed(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.tif", PIXELS)
    changed = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
    assert image_asset(tmp_path, updated=None).updated == changed


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("uint8", {"precision": "INT", "range": {"max": 255}}),
        ("uint16", {"precision": "INT", "range": {"max": 65535}}),
        ("int16", {"precision": "INT", "range": {"min": -32768, "max": 32767}}),
        ("float32", {"precision": "FLOAT"}),
        ("float64", {"precision": "DOUBLE"}),
    ],
)
def test_types_are_described(tmp_path: Path, dtype: str, expected: dict[str, Any]) -> None:
    write_image(tmp_path / "a.tif", PIXELS.astype(dtype))
    assert describe_image(image_asset(tmp_path))["bands"][0]["dataType"] == expected


def test_a_grid_without_a_code_is_described_by_wkt(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", PIXELS, crs="+proj=laea +lat_0=10 +lon_0=20 +units=m")
    grid = describe_image(image_asset(tmp_path))["bands"][0]["grid"]
    assert "crsCode" not in grid
    assert "Lambert_Azimuthal_Equal_Area" in grid["crsWkt"]


def test_bands_are_named_by_the_line_the_file_or_custom(tmp_path: Path) -> None:
    def names(**changes: Any) -> list[str]:
        return [band.id for band in image_asset(tmp_path, **changes).image.bands]

    write_image(tmp_path / "a.tif", PIXELS)
    assert names(bands=["X", "Y"]) == ["X", "Y"]
    assert names(bands=None) == ["R", "G", "B", "N"]
    write_image(tmp_path / "a.tif", np.concatenate([PIXELS, PIXELS]))
    assert names(bands=None) == [f"b{i}" for i in range(1, 9)]
    with rasterio.open(tmp_path / "a.tif", "r+") as file:
        file.descriptions = tuple(f"B{i}" for i in range(8))
    assert names(bands=None) == [f"B{i}" for i in range(8)]


def test_names_follow_the_clients_rule() -> None:
    assert asset_name("USDA/NAIP/DOQQ") == "projects/earthengine-public/assets/USDA/NAIP/DOQQ"
    assert asset_name("users/me/a") == "projects/earthengine-legacy/assets/users/me/a"
    assert asset_name("projects/mine/assets/a/b") == "projects/mine/assets/a/b"
    assert asset_name("projects/old/thing") == "projects/earthengine-legacy/assets/projects/old/thing"
    for name in ("USDA/NAIP/DOQQ", "users/me/a", "projects/mine/assets/a/b"):
        assert asset_id(asset_name(name)) == name


def test_what_is_not_there_is_said_in_the_services_words(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", PIXELS)
    catalog = load_catalog(write_catalogue(tmp_path, entry("a.tif")))
    with pytest.raises(RequestError) as image:
        catalog.image("projects/earthengine-public/assets/USDA/NAIP/DOQQ/none")
    assert image.value.code == 400
    assert image.value.message == (
        "Image.load: Image asset 'USDA/NAIP/DOQQ/none' not found (does not exist or caller does not have access)."
    )
    with pytest.raises(
        RequestError, match=r"ImageCollection\.load: ImageCollection asset 'USDA/NAIP/DOQQ/a' not found"
    ):
        catalog.collection("USDA/NAIP/DOQQ/a")
    assert isinstance(catalog.find("USDA/NAIP/DOQQ"), CollectionAsset)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", PIXELS)
    write_image(tmp_path / "complex.tif", PIXELS.astype("complex64"))
    (tmp_path / "text.tif").write_text("no image")
    lines = [
        json.dumps(entry("a.tif")),
        "{not json",
        json.dumps(entry("a.tif", index="b", colour="red")),
        json.dumps({"collection": "X", "index": "c"}),
        json.dumps(entry("missing.tif")),
        json.dumps(entry("text.tif")),
        json.dumps(entry("complex.tif")),
        json.dumps(entry("a.tif")),
        json.dumps(entry("a.tif", index="d", bands=["R"] * 2)),
        json.dumps(entry("a.tif", index="e", start="2021-01-02", end="2021-01-01")),
        json.dumps(entry("a.tif", index="f", start="yesterday")),
        json.dumps(entry("a.tif", index="../g")),
        "",
    ]
    (tmp_path / "catalog.jsonl").write_text("\n".join(lines))
    with pytest.raises(Misconfigured) as caught:
        load_catalog(tmp_path)
    problems = str(caught.value).splitlines()
    expected = [
        (2, "is not JSON"), (3, "colour: Extra inputs"), (4, "path: Field required"), (5, "missing.tif cannot be read"),
        (6, "text.tif cannot be read"), (7, "pixels of type complex64"), (8, "is there already"),
        (9, "R, R are not names for the 4 bands"), (10, "before start"), (11, "start: Input should be"),
        (12, "index: "),
    ]  # fmt: skip
    assert len(problems) == len(expected)
    for problem, (line, words) in zip(problems, expected, strict=True):
        assert problem.startswith(f"{tmp_path / 'catalog.jsonl'}:{line}: ")
        assert words in problem


def test_files_without_a_place_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", PIXELS, crs=None)
    with pytest.raises(Misconfigured, match="no CRS"):
        image_asset(tmp_path)


def test_catalogues_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read as a catalogue"):
        load_catalog(tmp_path)
    (tmp_path / "catalog.jsonl").write_text("\n")
    with pytest.raises(Misconfigured, match="names no image"):
        load_catalog(tmp_path)
