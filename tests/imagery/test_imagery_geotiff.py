"""GeoTIFF files become scenes, or one clear line each."""

import hashlib
import math
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.transform import Affine, from_origin
from shapely import box

from pipeline.errors import Misconfigured
from pipeline.ids import file_sha256
from pipeline.imagery.geotiff import find_scenes
from pipeline.sources import GeotiffSource
from pipeline.types import RasterFile, Scene
from tests.imagery.tiffs import file_of, texture, write_tif

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
real = pytest.mark.skipif(not DATA.exists(), reason="needs the shared test data")
RGBN = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)


def source(**values: Any) -> GeotiffSource:
    return GeotiffSource.model_validate(
        {"type": "geotiff", "paths": ".", "license": "CC0-1.0", "attribution": "nobody"} | values
    )


def scenes(*paths: Path, **values: Any) -> tuple[Scene, ...]:
    return find_scenes(paths, source(**values), file_sha256)


def scene(path: Path, **values: Any) -> Scene:
    (found,) = scenes(path, **values)
    return found


def problem(*paths: Path, **values: Any) -> str:
    with pytest.raises(Misconfigured) as raised:
        scenes(*paths, **values)
    return str(raised.value)


# finding files


def test_a_folder_is_searched_at_any_depth_and_a_file_is_found_once(tmp_path: Path) -> None:
    write_tif(tmp_path / "b" / "c" / "two.TIFF")
    one = write_tif(tmp_path / "one.tif")
    (tmp_path / "b" / "notes.txt").write_text("not imagery")
    (tmp_path / "b" / "._one.tif").write_text("a leftover of a file manager")
    assert [s.id for s in scenes(tmp_path, one, tmp_path / "b")] == ["one", "two"]


def test_best_first_is_newest_then_finest_then_by_id(tmp_path: Path) -> None:
    fine = {"transform": from_origin(340_000, 4_372_000, 0.3, 0.3)}
    write_tif(tmp_path / "b_20200101.tif")
    write_tif(tmp_path / "a_20200101.tif")
    write_tif(tmp_path / "z_20200101.tif", **fine)
    write_tif(tmp_path / "y_20210101.tif")
    write_tif(tmp_path / "x.tif", **fine)
    assert [s.id for s in scenes(tmp_path)] == ["y_20210101", "z_20200101", "a_20200101", "b_20200101", "x"]


def test_a_scene_is_what_the_file_says(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "m_1_20210615.tif", texture(3, 50, 80))
    found = scene(path)
    assert found.pixels == RasterFile(
        str(path), hashlib.sha256(path.read_bytes()).hexdigest(), (1, 2, 3), None
    )
    assert found.crs == "EPSG:26918"
    assert found.transform == (0.6, 0.0, 340_000.0, 0.0, -0.6, 4_372_000.0)
    assert (found.width, found.height) == (80, 50)
    to_lonlat = Transformer.from_crs("EPSG:26918", "EPSG:4326", always_xy=True)
    corners = [to_lonlat.transform(340_000 + x, 4_372_000 - y) for x in (0, 48) for y in (0, 30)]
    outline = box(*found.footprint)
    for lon, lat in corners:
        assert outline.distance(box(lon, lat, lon, lat)) < 1e-12
    assert found.footprint[0] == pytest.approx(min(lon for lon, _ in corners), abs=1e-9)
    assert found.footprint[3] == pytest.approx(max(lat for _, lat in corners), abs=1e-9)


def test_a_scene_across_the_antimeridian_has_all_longitudes(tmp_path: Path) -> None:
    grid = {"crs": "EPSG:32601", "transform": from_origin(270_000, 5_540_000, 100, 100)}
    west, south, east, north = scene(write_tif(tmp_path / "a.tif", texture(3, 96, 300), **grid)).footprint
    assert (west, east) == (-180, 180)
    assert 49 < south < north < 51


# what is wrong


def not_a_tiff(path: Path) -> None:
    path.write_text("hello")


def cut_off(path: Path) -> None:
    write_tif(path)
    path.write_bytes(path.read_bytes()[:60])


def a_png(path: Path) -> None:
    with rasterio.open(path, "w", driver="PNG", width=9, height=9, count=3, dtype="uint8") as file:
        file.write(texture(3, 9, 9))


def points_only(path: Path) -> None:
    points = [
        GroundControlPoint(row, col, 340_000 + col, 4_372_000 - row) for row in (0, 9) for col in (0, 9)
    ]
    write_tif(path, gcps=points, transform=Affine.identity(), crs="EPSG:26918")


WRONG: list[tuple[str, Callable[[Path], object], dict[str, Any], list[str]]] = [
    ("no CRS", lambda p: write_tif(p, crs=None), {}, ["has no CRS", "rio edit-info --crs"]),
    ("rotated", lambda p: write_tif(p, transform=Affine(0.5, 0.2, 3e5, 0.2, -0.5, 4e6)), {}, ["rotated", "gdalwarp"]),
    ("sheared", lambda p: write_tif(p, transform=Affine(0.5, 0.2, 3e5, 0, -0.5, 4e6)), {}, ["sheared", "gdalwarp"]),
    ("south-up", lambda p: write_tif(p, transform=Affine(0.5, 0, 3e5, 0, 0.5, 4e6)), {}, ["not north-up", "gdalwarp"]),
    ("mirrored", lambda p: write_tif(p, transform=Affine(-0.5, 0, 3e5, 0, -0.5, 4e6)), {}, ["not north-up"]),
    ("no georeference", lambda p: write_tif(p, transform=Affine.identity()), {}, ["has no georeference"]),
    ("control points only", points_only, {}, ["has no georeference", "gdalwarp"]),
    ("one band", lambda p: write_tif(p, texture(1)), {}, ["has 1 band and no band G", "asked for: R, G, B"]),
    ("three bands, N asked", write_tif, {"bands": ["R", "G", "B", "N"]}, ["has 3 bands and no band N"]),
    ("index too large", write_tif, {"bands": [1, 2, 5]}, ["no band 5"]),
    ("unknown name", write_tif, {"bands": ["R", "G", "swir"]}, ["no band swir", "imagery.bands"]),
    ("one band twice", write_tif, {"bands": ["R", "G", 1]}, ["R and 1 are both band 1"]),
    ("another colour there", lambda p: write_tif(p, descriptions=("nir", "red", "green")), {}, ["no band B"]),
    ("colour table", lambda p: write_tif(p, texture(1), colours=(ColorInterp.palette,)), {}, ["-expand rgb"]),
    ("float", lambda p: write_tif(p, texture().astype("float32")), {}, ["float32", "gdal_translate -ot Byte"]),
    ("uint16", lambda p: write_tif(p, texture().astype("uint16")), {}, ["uint16", "imagery.value_range"]),
    ("mask asked for", lambda p: write_tif(p, np.full((4, 40, 40), 255, "uint8"), colours=RGBN),
     {"bands": ["R", "G", "B", "N"]}, ["N is band 4", "mask"]),
    ("not a TIFF", not_a_tiff, {}, ["cannot be read as a GeoTIFF", "imagery.paths"]),
    ("a PNG", a_png, {}, ["cannot be read as a GeoTIFF"]),
    ("empty file", lambda p: p.write_bytes(b""), {}, ["cannot be read as a GeoTIFF"]),
    ("cut off", cut_off, {}, ["cannot be read as a GeoTIFF", "fetch it again"]),
    ("local grid", lambda p: write_tif(p, crs='LOCAL_CS["site",UNIT["metre",1]]'), {}, ["CRS cannot be placed"]),
    ("metres taken for degrees", lambda p: write_tif(p, crs="EPSG:4326"), {}, ["do not fit its CRS"]),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # of writing the files
@pytest.mark.parametrize(("make", "values", "parts"), [c[1:] for c in WRONG], ids=[c[0] for c in WRONG])
def test_what_is_wrong_with_a_file(
    make: Callable[[Path], object], values: dict[str, Any], parts: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "wrong.tif"
    make(path)
    message = problem(path, **values)
    assert message.startswith(f"imagery: {path}: ")
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_all_problems_come_at_once_one_line_a_file(tmp_path: Path) -> None:
    write_tif(tmp_path / "images" / "good.tif")
    write_tif(tmp_path / "images" / "flat.tif", texture(1), crs=None)
    write_tif(tmp_path / "images" / "more" / "good.tif")
    not_a_tiff(tmp_path / "images" / "text.tif")
    (tmp_path / "empty").mkdir()
    lines = problem(tmp_path / "images", tmp_path / "empty", tmp_path / "gone").splitlines()
    assert len(lines) == 5
    said = "\n".join(sorted(lines))
    assert f"{tmp_path / 'empty'}: holds no .tif or .tiff file" in said
    assert f"{tmp_path / 'gone'}: no such file or folder" in said
    assert "flat.tif: has no CRS" in said
    assert "has 1 band" in said
    assert f"good.tif: has the same name as {tmp_path / 'images' / 'good.tif'}" in said
    assert "text.tif: cannot be read" in said


# bands


@pytest.mark.parametrize(
    ("descriptions", "bands", "expected"),
    [
        ((), ["R", "G", "B", "N"], (1, 2, 3, 4)),
        ((), ["red", "GREEN", "Blue"], (1, 2, 3)),
        ((), [3, 2, 1], (3, 2, 1)),
        (("Blue", "Green", "Red", "NIR"), ["R", "G", "B", "N"], (3, 2, 1, 4)),
        (("b", "g", "r", "n"), ["red", "green", "blue", "nir"], (3, 2, 1, 4)),
        (("B4", "B3", "B2", "B8"), ["b8", "B4", "B3"], (4, 1, 2)),
        (("one", "two", "three", "four"), ["R", "G", "B"], (1, 2, 3)),
        (("nir", "red", "green", "blue"), ["R", "G", "B", 1], (2, 3, 4, 1)),
    ],
)
def test_bands_by_description_place_or_number(
    descriptions: tuple[str, ...], bands: list[str | int], expected: tuple[int, ...], tmp_path: Path
) -> None:
    path = write_tif(tmp_path / "a.tif", texture(4), descriptions=descriptions, photometric="minisblack")
    assert file_of(scene(path, bands=bands)).bands == expected


def test_bands_by_the_colour_that_the_file_gives_them(tmp_path: Path) -> None:
    colours = (ColorInterp.blue, ColorInterp.green, ColorInterp.red)
    path = write_tif(tmp_path / "bgr.tif", colours=colours, photometric="minisblack")
    assert file_of(scene(path)).bands == (3, 2, 1)


@real
@pytest.mark.parametrize(
    ("name", "crs", "day"),
    [
        ("m_3211605_ne_11_060_20200415", "EPSG:26911", date(2020, 4, 15)),
        ("m_4208701_ne_16_060_20200902", "EPSG:26916", date(2020, 9, 2)),
    ],
)
def test_the_near_infrared_of_naip_is_no_mask(name: str, crs: str, day: date) -> None:
    path = DATA / "aerial" / f"{name}.tif"
    with rasterio.open(path) as file:
        assert file.colorinterp[3] == ColorInterp.alpha  # what GDAL makes of it
    found = scene(path, bands=["R", "G", "B", "N"])
    assert file_of(found).bands == (1, 2, 3, 4)
    assert file_of(found).mask_band is None
    assert file_of(scene(path)).bands == (1, 2, 3)
    assert file_of(scene(path)).mask_band is None
    assert (found.id, found.crs, found.date) == (name, crs, day)
    assert found.gsd_m == pytest.approx(0.6, rel=0.002)


def test_an_alpha_band_of_0_and_255_is_a_mask(tmp_path: Path) -> None:
    pixels = texture(4, 300, 400)
    pixels[3] = np.where(np.arange(400) < 150, 0, 255)
    assert file_of(scene(write_tif(tmp_path / "a.tif", pixels, colours=RGBN))).mask_band == 4


def test_one_probe_with_other_values_makes_an_alpha_band_data(tmp_path: Path) -> None:
    pixels = texture(4, 300, 400)
    pixels[3] = 0
    pixels[3, 150:, 200:] = 77
    assert file_of(scene(write_tif(tmp_path / "a.tif", pixels, colours=RGBN))).mask_band is None


# ground sample distance


@real
def test_gsd_of_the_swiss_grid() -> None:
    found = scene(DATA / "aerial" / "zurich-50cm-epsg2056.tif")
    assert found.crs == "EPSG:2056"
    assert found.gsd_m == pytest.approx(0.5, rel=0.002)


@real
def test_gsd_of_web_mercator_at_the_equator() -> None:
    found = scene(DATA / "kampala" / "kampala-30cm.tif")
    assert found.crs == "EPSG:3857"
    assert found.gsd_m == pytest.approx(0.2986, rel=0.005)


@pytest.mark.parametrize("latitude", [0.0, 35.0, 60.0, -75.0])
@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:4326"])
def test_gsd_is_metres_on_the_ground_at_any_latitude(latitude: float, crs: str, tmp_path: Path) -> None:
    """Against the radii of curvature of the ellipsoid (Snyder 1987, eq. 4-18 to 4-21)."""
    a, f = 6378137.0, 1 / 298.257223563
    e2 = f * (2 - f)
    w = 1 - e2 * math.sin(math.radians(latitude)) ** 2
    meridian, normal = a * (1 - e2) / w**1.5, a / math.sqrt(w)
    step = 0.5 if crs == "EPSG:3857" else 1e-5
    unit = math.cos(math.radians(latitude)) / a if crs == "EPSG:3857" else math.pi / 180
    across = step * unit * normal * (1 if crs == "EPSG:3857" else math.cos(math.radians(latitude)))
    along = step * unit * meridian
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(20.0, latitude)
    grid = {"crs": crs, "transform": from_origin(x - 48 * step, y + 48 * step, step, step)}
    found = scene(write_tif(tmp_path / "a.tif", **grid))
    assert found.gsd_m == pytest.approx(math.sqrt(across * along), rel=1e-5)


# dates


@pytest.mark.parametrize(
    ("name", "tags", "expected"),
    [
        ("m_4107501_ne_18_060_20221108_20230113", {}, date(2022, 11, 8)),
        ("plain", {}, None),
        ("tile_19491231_30000101", {}, None),
        ("tile_20211345_20210228", {}, date(2021, 2, 28)),
        ("tile_120210228", {}, None),
        ("a_20200101", {"TIFFTAG_DATETIME": "2019:07:14 10:00:00"}, date(2019, 7, 14)),
        ("a_20200101", {"TIFFTAG_DATETIME": "unknown"}, date(2020, 1, 1)),
        ("a_20200101", {"TIFFTAG_DATETIME": "0000:00:00 00:00:00"}, date(2020, 1, 1)),
        ("a", {"ACQUISITIONDATETIME": "2018-05-06 09:30:00", "TIFFTAG_DATETIME": "2019:07:14 10:00:00"},
         date(2018, 5, 6)),
    ],
)  # fmt: skip
def test_date_from_tags_then_name(
    name: str, tags: dict[str, str], expected: date | None, tmp_path: Path
) -> None:
    path = write_tif(tmp_path / f"{name}.tif", tags=tags)
    assert scene(path).date == expected
    assert scene(path, date="2015-03-04").date == date(2015, 3, 4)
