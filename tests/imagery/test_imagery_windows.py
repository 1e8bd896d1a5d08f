"""Reading windows: the file's own pixels, its own idea of what is missing, and an error for what is damaged."""

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from pipeline.errors import Misconfigured, Permanent
from pipeline.imagery.geotiff import find_scenes
from pipeline.imagery.windows import WindowReader
from pipeline.sources import GeotiffSource
from pipeline.types import Scene, Stretch
from tests.imagery.tiffs import file_of, texture, write_tif

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
real = pytest.mark.skipif(not DATA.exists(), reason="needs the shared test data")


def scene(path: Path, **values: Any) -> Scene:
    source = {"type": "geotiff", "paths": ".", "license": "CC0-1.0", "attribution": "nobody"} | values
    (found,) = find_scenes([path], GeotiffSource.model_validate(source), lambda _: "0")
    return found


# pixels


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("tiles", [{}, {"tiled": True, "blockxsize": 64, "blockysize": 64}])
def test_a_window_is_the_pixels_of_the_file(interleave: str, tiles: dict[str, Any], tmp_path: Path) -> None:
    pixels = texture(3, 200, 250)
    found = scene(write_tif(tmp_path / "a.tif", pixels, interleave=interleave, **tiles))
    with WindowReader() as reader:
        for col, row, size in ((0, 0, 64), (33, 71, 100), (150, 100, 100), (0, 0, 200)):
            window = reader.read(found, col, row, size)
            expected = pixels[:, row : row + size, col : col + size].transpose(1, 2, 0)
            assert window.pixels.dtype == np.uint8
            assert window.pixels.shape == (size, size, 3)
            assert np.array_equal(window.pixels, expected)
            assert window.valid.shape == (size, size)
            assert window.valid.all()


@real
@pytest.mark.parametrize("name", ["m_3211605_ne_11_060_20200415", "m_4208701_ne_16_060_20200902"])
def test_naip_bands_keep_their_order(name: str) -> None:
    path = DATA / "aerial" / f"{name}.tif"
    with rasterio.open(path) as file:
        expected = file.read([1, 2, 3, 4], window=Window(7, 9, 128, 128))
    with WindowReader() as reader:
        rgbn = reader.read(scene(path, bands=["R", "G", "B", "N"]), 7, 9, 128)
        bgr = reader.read(scene(path, bands=["B", "G", "R"]), 7, 9, 128)
    assert np.array_equal(rgbn.pixels, expected.transpose(1, 2, 0))
    assert rgbn.valid.all()  # near infrared is no mask
    assert np.array_equal(bgr.pixels, expected[[2, 1, 0]].transpose(1, 2, 0))


def test_scenes_may_alternate(tmp_path: Path) -> None:
    one, two = (scene(write_tif(tmp_path / f"{i}.tif", texture(seed=i))) for i in (1, 2))
    with WindowReader() as reader:
        for found, seed in ((one, 1), (two, 2), (one, 1)):
            assert np.array_equal(
                reader.read(found, 5, 5, 40).pixels, texture(seed=seed)[:, 5:45, 5:45].transpose(1, 2, 0)
            )


def test_uint16_is_scaled_by_the_range_halves_up(tmp_path: Path) -> None:
    low, high = 100, 1120  # four raw values a step, so that halves do occur
    raw = np.arange(3 * 64 * 64, dtype=np.uint16).reshape(3, 64, 64)
    path = write_tif(tmp_path / "a.tif", raw)
    with WindowReader(Stretch(low, high)) as reader:
        pixels = reader.read(scene(path, value_range=[low, high]), 0, 0, 64).pixels
    for value, got in zip(raw.ravel().tolist(), pixels.transpose(2, 0, 1).ravel().tolist(), strict=True):
        exact = Decimal(value - low) * 255 / Decimal(high - low)
        assert got == min(max(int(exact.quantize(Decimal(1), ROUND_HALF_UP)), 0), 255)


def test_uint8_is_read_as_it_is_beside_uint16(tmp_path: Path) -> None:
    found = scene(write_tif(tmp_path / "a.tif"), value_range=[0, 3000])
    with WindowReader(Stretch(0, 3000)) as reader:
        assert np.array_equal(reader.read(found, 0, 0, 96).pixels, texture().transpose(1, 2, 0))


# what is missing


def test_a_mask_inside_the_file(tmp_path: Path) -> None:
    mask = np.random.default_rng(1).random((96, 96)) < 0.5
    found = scene(write_tif(tmp_path / "a.tif", mask=mask))
    with WindowReader() as reader:
        assert np.array_equal(reader.read(found, 10, 20, 64).valid, mask[20:84, 10:74])


def test_an_alpha_band_that_is_a_mask(tmp_path: Path) -> None:
    pixels = texture(4)
    pixels[3] = np.where(np.random.default_rng(1).random((96, 96)) < 0.5, 0, 255)
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    found = scene(write_tif(tmp_path / "a.tif", pixels, colours=colours))
    with WindowReader() as reader:
        window = reader.read(found, 10, 20, 64)
    assert np.array_equal(window.valid, pixels[3, 20:84, 10:74] == 255)
    assert np.array_equal(window.pixels, pixels[:3, 20:84, 10:74].transpose(1, 2, 0))


@pytest.mark.parametrize(
    ("dtype", "nodata"), [("uint8", 255), ("uint8", 0), ("uint16", 0), ("uint16", 65535)]
)
def test_a_no_data_value_counts_where_all_bands_have_it(dtype: str, nodata: int, tmp_path: Path) -> None:
    pixels = texture().astype(dtype)
    pixels[:, :30, :40] = nodata
    pixels[0, 50, 50] = nodata  # one band only: a pixel like any other
    found = scene(write_tif(tmp_path / "a.tif", pixels, nodata=nodata), value_range=[0, 300])
    with WindowReader(Stretch(0, 300)) as reader:
        missing = ~reader.read(found, 0, 0, 96).valid
    assert missing[:30, :40].all()
    assert missing.sum() == 30 * 40


def test_a_no_data_value_that_no_pixel_can_have(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", texture().astype("uint16"), nodata=12.5)
    with WindowReader(Stretch(0, 255)) as reader:
        assert reader.read(scene(path, value_range=[0, 255]), 0, 0, 96).valid.all()


# what is damaged


def _tile(path: Path) -> slice:
    """Bytes of the tile in column 2, row 1 of a file with 64-pixel tiles."""
    with rasterio.open(path) as file:
        start, length = (
            int(file.get_tag_item(f"BLOCK_{what}_2_1", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE")
        )
    return slice(start, start + length)


def _garbage(data: bytearray, tile: slice) -> bytes:
    third = (tile.stop - tile.start) // 3
    noise = np.random.default_rng(0).integers(0, 256, third, dtype=np.uint8).tobytes()
    data[tile.start + third : tile.start + 2 * third] = noise
    return bytes(data)


def _zeros(data: bytearray, tile: slice) -> bytes:
    data[tile] = bytes(tile.stop - tile.start)
    return bytes(data)


def _half_a_tile(data: bytearray, tile: slice) -> bytes:
    middle = (tile.start + tile.stop) // 2
    data[middle : tile.stop] = bytes(tile.stop - middle)
    return bytes(data)


def _cut_off(data: bytearray, tile: slice) -> bytes:
    return bytes(data[: (tile.start + tile.stop) // 2])


@pytest.mark.parametrize(
    ("compress", "damage"),
    [
        ("jpeg", _garbage),  # GDAL only warns of this one and of the next, and hands out grey
        ("jpeg", _half_a_tile),
        ("jpeg", _zeros),
        ("jpeg", _cut_off),
        ("deflate", _garbage),
        ("deflate", _zeros),
        ("deflate", _cut_off),
        ("lzw", _zeros),
        ("zstd", _garbage),
        ("webp", _zeros),
        ("none", _cut_off),
    ],
)
def test_a_damaged_tile_fails_its_windows_and_no_others(
    compress: str, damage: Callable[[bytearray, slice], bytes], tmp_path: Path
) -> None:
    smooth = np.repeat(np.arange(192, dtype=np.uint8)[None, :, None], 3, axis=0) + texture(3, 192, 256) // 8
    options: dict[str, Any] = {"photometric": "ycbcr"} if compress == "jpeg" else {}
    tiles: dict[str, Any] = {
        "tiled": True,
        "blockxsize": 64,
        "blockysize": 64,
        "interleave": "pixel",
        "compress": compress,
    }
    path = write_tif(tmp_path / "a.tif", smooth, **tiles, **options)
    found = scene(path)
    with WindowReader() as reader:
        before = reader.read(found, 0, 0, 64).pixels
    path.write_bytes(damage(bytearray(path.read_bytes()), _tile(path)))
    with WindowReader() as reader:
        for _ in range(2):  # the second time the tile might come from a cache
            for col, row in ((128, 64), (100, 30), (150, 100)):
                with pytest.raises(Permanent) as raised:
                    reader.read(found, col, row, 64)
                assert str(path) in str(raised.value)
                assert f"{col}..{col + 63}, {row}..{row + 63} cannot be read" in str(raised.value)
            assert np.array_equal(reader.read(found, 0, 0, 64).pixels, before)


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    found = scene(write_tif(tmp_path / "a.tif"))
    Path(file_of(found).path).unlink()
    with WindowReader() as reader, pytest.raises(Misconfigured, match=f"{file_of(found).path}: is gone"):
        reader.read(found, 0, 0, 32)


def test_a_file_that_no_longer_opens(tmp_path: Path) -> None:
    found = scene(write_tif(tmp_path / "a.tif"))
    Path(file_of(found).path).write_text("overwritten")
    with (
        WindowReader() as reader,
        pytest.raises(Misconfigured, match=f"{file_of(found).path}: no longer opens"),
    ):
        reader.read(found, 0, 0, 32)


@pytest.mark.parametrize(("col", "row"), [(-1, 0), (0, -1), (33, 0), (0, 33)])
def test_a_window_that_leaves_the_scene_is_a_mistake_of_the_caller(
    col: int, row: int, tmp_path: Path
) -> None:
    found = scene(write_tif(tmp_path / "a.tif"))
    with WindowReader() as reader, pytest.raises(ValueError, match="leaves the 96 x 96 image"):
        reader.read(found, col, row, 64)
