"""File formats of pixel requests, read back by other libraries."""

import io
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image

from pipeline.imagery.emulator.encode import encode
from pipeline.imagery.emulator.values import Grid, Pixels, RequestError

GRID = Grid("EPSG:26918", (0.6, 0.0, 340_000.0, 0.0, -0.6, 4_372_000.0), 7, 5)
RNG = np.random.default_rng(1)


def pixels(bands: str = "RGB", dtype: Any = np.uint8, *, hole: bool = False) -> Pixels:
    valid = np.ones((5, 7), dtype=bool)
    valid[1:3, 2] = not hole
    return Pixels(
        {band: RNG.integers(1, 255, (5, 7)).astype(dtype) for band in bands}, dict.fromkeys(bands, valid)
    )


def expected(source: Pixels, band: str) -> Any:
    return np.where(source.valid[band], source.data[band], 0)


def test_npy_is_an_array_of_records_behind_128_bytes() -> None:
    source = pixels("GRB", hole=True)
    body, content_type = encode(source, ["R", "G", "B"], GRID, "NPY")
    assert content_type == "application/octet-stream"
    assert len(body) == 128 + 5 * 7 * 3
    assert body[:8] == b"\x93NUMPY\x01\x00"
    array = np.load(io.BytesIO(body))
    assert array.shape == (5, 7)
    assert array.dtype == np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    for band in "RGB":
        np.testing.assert_array_equal(array[band], expected(source, band))
    interleaved = np.frombuffer(body, "u1", offset=128).reshape(5, 7, 3)
    np.testing.assert_array_equal(interleaved[..., 1], expected(source, "G"))


def test_npy_keeps_the_type_of_each_band() -> None:
    red, time = pixels("R"), pixels("t", np.float32)
    mixed = Pixels({**red.data, **time.data}, {**red.valid, **time.valid})
    array = np.load(io.BytesIO(encode(mixed, ["t", "R"], GRID, "NPY")[0]))
    assert array.dtype == np.dtype([("t", "<f4"), ("R", "u1")])


def test_geotiff_has_its_place_and_its_bands() -> None:
    source = pixels(dtype=np.uint16, hole=True)
    body, content_type = encode(source, ["B", "R"], GRID, "GEO_TIFF")
    assert content_type == "image/tiff"
    with rasterio.MemoryFile(body) as memory, memory.open() as file:
        assert file.crs.to_string() == "EPSG:26918"
        assert tuple(file.transform)[:6] == GRID.transform
        assert file.descriptions == ("B", "R")
        np.testing.assert_array_equal(file.read(), [expected(source, "B"), expected(source, "R")])


@pytest.mark.parametrize(
    ("bands", "hole", "mode"),
    [("RGB", False, "RGB"), ("RGB", True, "RGBA"), ("R", False, "L"), ("R", True, "LA")],
)
def test_png_has_an_alpha_channel_where_pixels_are_masked(bands: str, *, hole: bool, mode: str) -> None:
    source = pixels(bands, hole=hole)
    for file_format in ("PNG",) if not hole else ("PNG", "AUTO_JPEG_PNG"):
        body, content_type = encode(source, list(bands), GRID, file_format)
        assert content_type == "image/png"
        picture = Image.open(io.BytesIO(body))
        assert picture.mode == mode
        channels = [np.asarray(channel) for channel in picture.split()]
        for band, channel in zip(bands, channels, strict=False):
            np.testing.assert_array_equal(channel, expected(source, band))
        if hole:
            np.testing.assert_array_equal(channels[-1], source.valid["R"] * 255)


def test_jpeg_is_close() -> None:
    y, x = np.mgrid[0:64, 0:64]
    smooth = Pixels(
        {band: (x + y + 40 * i).astype(np.uint8) for i, band in enumerate("RGB")},
        dict.fromkeys("RGB", np.ones((64, 64), dtype=bool)),
    )
    grid = Grid(GRID.crs, GRID.transform, 64, 64)
    for file_format in ("JPEG", "AUTO_JPEG_PNG"):
        body, content_type = encode(smooth, ["R", "G", "B"], grid, file_format)
        assert content_type == "image/jpeg"
        got = np.asarray(Image.open(io.BytesIO(body))).astype(int)
        assert np.abs(got[..., 2] - smooth.data["B"]).mean() < 4


def test_what_does_not_go_into_a_format_is_refused() -> None:
    with pytest.raises(RequestError, match="File format 'TF_RECORD_IMAGE' is not one of NPY"):
        encode(pixels(), ["R"], GRID, "TF_RECORD_IMAGE")
    with pytest.raises(RequestError, match="not 2 of type uint8"):
        encode(pixels(), ["R", "G"], GRID, "PNG")
    with pytest.raises(RequestError, match="not 1 of type float32"):
        encode(pixels("R", np.float32), ["R"], GRID, "JPEG")
