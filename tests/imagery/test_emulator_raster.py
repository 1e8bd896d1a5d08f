"""Pixels of stored images, against rasterio's own readings and arithmetic done here."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window

from pipeline.imagery.emulator.catalog import Catalog, load_catalog
from pipeline.imagery.emulator.datasets import Block
from pipeline.imagery.emulator.raster import StoredImage, halved
from pipeline.imagery.emulator.values import Grid, RequestError
from tests.emulator_world import CRS, GSD, entry, place, world_pixels, write_catalogue, write_image

BANDS = ["R", "G", "B", "N"]
PIXELS = world_pixels(0, 0, 130, 97, 5)


def stored(path: Path, **changes: Any) -> tuple[StoredImage, Catalog]:
    catalog = load_catalog(write_catalogue(path.parent, entry(path.name, **changes)))
    return catalog.image(f"USDA/NAIP/DOQQ/{path.stem}"), catalog


def grid_at(col: float, row: float, width: int, height: int, gsd: float = GSD) -> Grid:
    return Grid(CRS, place(col, row, gsd), width, height)


def test_profiles_read_alike(tmp_path: Path) -> None:
    profiles: dict[str, dict[str, Any]] = {
        "strips": {},
        "strip_rows": {"blockysize": 7},
        "tiles": {"tiled": True, "blockxsize": 32, "blockysize": 48},
        "one_band_after_another": {"interleave": "band"},
        "deflate": {"compress": "deflate", "tiled": True, "blockxsize": 64, "blockysize": 64, "predictor": 2},
        "big_endian": {"ENDIANNESS": "BIG"},
        "sparse": {"SPARSE_OK": True},
    }
    for name, profile in profiles.items():
        write_image(tmp_path / f"{name}.tif", PIXELS, **profile)
    catalog = load_catalog(write_catalogue(tmp_path, *(entry(f"{name}.tif") for name in profiles)))
    for name in profiles:
        image = catalog.image(f"USDA/NAIP/DOQQ/{name}")
        for col, row, width, height in [(0, 0, 130, 97), (31, 47, 40, 50), (129, 96, 1, 1), (5, 90, 60, 7)]:
            with rasterio.open(tmp_path / f"{name}.tif") as file:
                expected = file.read([1, 2, 3, 4], window=Window(col, row, width, height)).transpose(1, 2, 0)
            got = image.read_interleaved(BANDS, grid_at(col, row, width, height))
            np.testing.assert_array_equal(got, expected, err_msg=name)
            got = image.read_interleaved(["N", "G"], grid_at(col, row, width, height))
            np.testing.assert_array_equal(got, expected[..., [3, 1]], err_msg=name)
    catalog.close()


def test_other_types_come_through(tmp_path: Path) -> None:
    for dtype in ("uint16", "int16", "float32", "float64"):
        values = (np.arange(3 * 40 * 50).reshape(3, 40, 50) * 7 - 3000).astype(dtype)
        image, catalog = stored(write_image(tmp_path / f"{dtype}.tif", values), bands=["A", "B", "C"])
        pixels = image.read(["A", "C"], grid_at(3, 4, 20, 10))
        assert [band.dtype for band in image.bands] == [dtype] * 3
        np.testing.assert_array_equal(pixels.data["C"], values[2, 4:14, 3:23])
        assert pixels.data["A"].dtype == dtype
        catalog.close()


def test_outside_is_masked_and_zero(tmp_path: Path) -> None:
    image, catalog = stored(write_image(tmp_path / "a.tif", PIXELS))
    pixels = image.read(["R"], grid_at(-7, 90, 30, 20))
    inside = np.zeros((20, 30), dtype=bool)
    inside[:7, 7:] = True
    np.testing.assert_array_equal(pixels.valid["R"], inside)
    np.testing.assert_array_equal(pixels.data["R"][:7, 7:], PIXELS[0, 90:, :23])
    assert not pixels.data["R"][~inside].any()
    assert not image.read(["R"], grid_at(1000, 0, 5, 5)).valid["R"].any()
    catalog.close()


@pytest.mark.parametrize("how", ["nodata", "nan", "mask", "alpha"])
def test_masks_of_files_count(tmp_path: Path, how: str) -> None:
    holes = np.zeros(PIXELS.shape[1:], dtype=bool)
    holes[10:20, 30:50] = True
    values: npt.NDArray[Any] = PIXELS[:3].copy()
    profile: dict[str, Any] = {}
    if how == "nodata":
        values[:, holes] = 255
        values[:, ~holes] = np.minimum(values[:, ~holes], 254)
        profile["nodata"] = 255
    elif how == "nan":
        values = values.astype("float32")
        values[:, holes] = np.nan
        profile["nodata"] = np.nan
    elif how == "alpha":
        values = np.concatenate([values, np.where(holes, 0, 255).astype(np.uint8)[np.newaxis]])
        profile |= {"photometric": "RGB", "ALPHA": "YES"}
    path = write_image(tmp_path / "a.tif", values, **profile)
    if how == "mask":
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
            file.write_mask(~holes)
    image, catalog = stored(path, bands=["R", "G", "B"])
    pixels = image.read(["R", "G", "B"], grid_at(0, 0, 130, 97))
    for i, band in enumerate("RGB"):
        np.testing.assert_array_equal(pixels.valid[band], ~holes)
        np.testing.assert_array_equal(pixels.data[band], np.where(holes, 0, values[i]))
    catalog.close()


def test_an_alpha_band_with_a_name_is_data(tmp_path: Path) -> None:
    values = PIXELS.copy()
    values[3, :10] = 0
    image, catalog = stored(write_image(tmp_path / "a.tif", values, photometric="RGB", ALPHA="YES"))
    pixels = image.read(BANDS, grid_at(0, 0, 130, 97))
    assert pixels.valid["N"].all()
    np.testing.assert_array_equal(pixels.data["R"], values[0])
    catalog.close()


def test_off_the_grid_the_nearest_pixel_counts(tmp_path: Path) -> None:
    image, catalog = stored(write_image(tmp_path / "a.tif", PIXELS))
    moved = image.read(["R", "G"], grid_at(10.3, 20.4, 30, 20))  # centres at 10.8, 20.9: still pixel (10, 20)
    np.testing.assert_array_equal(moved.data["R"], PIXELS[0, 20:40, 10:40])
    further = image.read(["R", "G"], grid_at(10.6, 20.4, 30, 20))  # centres at 11.1
    np.testing.assert_array_equal(further.data["R"], PIXELS[0, 20:40, 11:41])
    finer = image.read(["G"], grid_at(10, 20, 60, 40, GSD / 2))
    np.testing.assert_array_equal(finer.data["G"], PIXELS[1, 20:40, 10:40].repeat(2, 0).repeat(2, 1))
    catalog.close()


def test_rows_that_run_north_are_flipped(tmp_path: Path) -> None:
    image, catalog = stored(write_image(tmp_path / "a.tif", PIXELS))
    a, b, c, d, e, f = place(10, 30)
    got = image.read(["G"], Grid(CRS, (a, b, c, d, -e, f), 20, 10)).data["G"]
    np.testing.assert_array_equal(got, PIXELS[1, 20:30, 10:30][::-1])
    catalog.close()


def big_image(path: Path) -> npt.NDArray[np.uint8]:
    """Noise of 600 x 520 pixels: large enough for two levels of a pyramid."""
    values = np.random.default_rng(1).integers(0, 256, (520, 601), dtype=np.uint8)
    write_image(path, values[np.newaxis])
    return values


def test_coarser_requests_see_means(tmp_path: Path) -> None:
    values = big_image(tmp_path / "a.tif").astype(float)
    image, catalog = stored(tmp_path / "a.tif", bands=["V"])
    half = np.floor(values[:520, :600].reshape(260, 2, 300, 2).mean(axis=(1, 3)) + 0.5)
    quarter = np.floor(half[:260, :300].reshape(130, 2, 150, 2).mean(axis=(1, 3)) + 0.5)
    got = image.read(["V"], grid_at(8, 4, 100, 90, GSD * 2)).data["V"]
    np.testing.assert_array_equal(got, half[2:92, 4:104])
    got = image.read(["V"], grid_at(8, 4, 100, 90, GSD * 4)).data["V"]
    np.testing.assert_array_equal(got, quarter[1:91, 2:102])
    # 3 native pixels: from the level of 2, nearest at the centres (1.5 + 3 i) / 2
    got = image.read(["V"], grid_at(0, 0, 60, 50, GSD * 3)).data["V"]
    at = np.floor((1.5 + 3 * np.arange(60)) / 2).astype(int)
    np.testing.assert_array_equal(got, half[np.ix_(at[:50], at)])
    catalog.close()


def test_a_scale_barely_finer_stays_on_the_finer_level(tmp_path: Path) -> None:
    values = big_image(tmp_path / "a.tif")
    image, catalog = stored(tmp_path / "a.tif", bands=["V"])
    got = image.read(["V"], grid_at(0, 0, 20, 20, GSD * 1.99)).data["V"]
    at = np.floor(1.99 * (np.arange(20) + 0.5)).astype(int)
    np.testing.assert_array_equal(got, values[np.ix_(at, at)])
    catalog.close()


def test_large_coarse_requests_are_made_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big_image(tmp_path / "a.tif")
    image, catalog = stored(tmp_path / "a.tif", bands=["V"])
    west, _, _, north = image.footprint.bounds
    lonlat = Grid("EPSG:4326", (1e-5, 0, west - 1e-4, 0, -1e-5, north + 1e-4), 200, 150)
    grids = [grid_at(-8, -4, 160, 140, GSD * 4), lonlat]
    whole = [image.read(["V"], grid) for grid in grids]
    monkeypatch.setattr("pipeline.imagery.emulator.raster._AT_ONCE", 5000)
    for grid, expected in zip(grids, whole, strict=True):
        got = image.read(["V"], grid)
        np.testing.assert_array_equal(got.data["V"], expected.data["V"])
        np.testing.assert_array_equal(got.valid["V"], expected.valid["V"])
    catalog.close()


def test_means_leave_out_what_is_masked() -> None:
    data = np.array([[1, 9, 4], [3, 0, 0], [8, 8, 5]], dtype=np.uint8)[..., np.newaxis]
    valid = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=bool)[..., np.newaxis]
    got = halved(Block(data, valid))
    assert got.data[..., 0].tolist() == [[4, 2], [8, 0]]  # 13 / 3 = 4.33; 4 / 2; 16 / 2; nothing
    assert got.valid is not None
    assert got.valid[..., 0].tolist() == [[True, True], [True, False]]


@given(st.lists(st.integers(0, 255), min_size=4, max_size=4))
def test_means_round_halves_up(values: list[int]) -> None:
    block = Block(np.array(values, dtype=np.uint8).reshape(2, 2, 1), None)
    masked = Block(block.data, np.ones((2, 2, 1), dtype=bool))
    assert halved(block).data.item() == (sum(values) + 2) // 4 == halved(masked).data.item()


def test_other_crs_takes_the_pixel_under_the_centre(tmp_path: Path) -> None:
    image, catalog = stored(write_image(tmp_path / "a.tif", PIXELS))
    to_world = pyproj.Transformer.from_crs("EPSG:4326", CRS, always_xy=True)
    west, _, _, north = image.footprint.bounds
    lon, lat, step = west - 5e-5, north + 5e-5, 6e-6
    got = image.read(["R", "G"], Grid("EPSG:4326", (step, 0, lon, 0, -step, lat), 150, 120))
    cols, rows = np.meshgrid(np.arange(150) + 0.5, np.arange(120) + 0.5)
    x, y = to_world.transform(lon + step * cols, lat - step * rows)
    col, row = np.floor((x - 340_000) / 0.6).astype(int), np.floor((4_372_000 - y) / 0.6).astype(int)
    inside = (col >= 0) & (col < 130) & (row >= 0) & (row < 97)
    assert 0.05 < inside.mean() < 0.95
    np.testing.assert_array_equal(got.valid["G"], inside)
    expected = np.where(inside, PIXELS[1, row.clip(0, 96), col.clip(0, 129)], 0)
    np.testing.assert_array_equal(got.data["G"], expected)
    catalog.close()


def test_the_same_crs_written_otherwise_is_the_same(tmp_path: Path) -> None:
    image, catalog = stored(write_image(tmp_path / "a.tif", PIXELS))
    wkt = pyproj.CRS(CRS).to_wkt()
    got = image.read_interleaved(BANDS, Grid(wkt, place(5, 6), 20, 10))
    np.testing.assert_array_equal(got, PIXELS[:, 6:16, 5:25].transpose(1, 2, 0))
    catalog.close()


def test_unknown_bands_and_crs_are_refused(tmp_path: Path) -> None:
    image, catalog = stored(write_image(tmp_path / "a.tif", PIXELS))
    with pytest.raises(RequestError, match=r"'B12' did not match any bands. Available bands: \[R, G, B, N\]"):
        image.read(["B12"], grid_at(0, 0, 1, 1))
    with pytest.raises(RequestError, match="could not be parsed"):
        image.read(["R"], Grid("EPSG:none", place(0, 0), 1, 1))
    catalog.close()


def test_footprints_follow_the_edges(tmp_path: Path) -> None:
    image, catalog = stored(write_image(tmp_path / "a.tif", PIXELS))
    to_lonlat = pyproj.Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    west, _, east, north = image.footprint.bounds
    corner = to_lonlat.transform(340_000, 4_372_000)
    assert corner in list(image.footprint.exterior.coords)
    assert west <= corner[0] < east
    assert corner[1] <= north
    assert image.footprint.exterior.is_ccw
    catalog.close()


def test_a_damaged_file_is_an_internal_error(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.tif", np.concatenate([PIXELS] * 3, axis=2), compress="deflate")
    image, catalog = stored(path)
    data = bytearray(path.read_bytes())
    data[200:-400] = bytes(len(data) - 600)
    path.write_bytes(data)
    with pytest.raises(RequestError) as caught:
        image.read(["R"], grid_at(0, 0, 130, 97))
    assert caught.value.code == 500
    catalog.close()
