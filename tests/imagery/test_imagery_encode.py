"""Encoded images decode to the pixels that went in, and hold nothing else."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from PIL import Image

from pipeline.config import Shards
from pipeline.imagery.encode import encode

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
ZURICH = DATA / "aerial" / "zurich-50cm-epsg2056.tif"


@pytest.fixture(scope="module")
def pixels() -> npt.NDArray[np.uint8]:
    """(256, 256, 3) of a real town."""
    if not ZURICH.exists():
        pytest.skip("needs the shared test data")
    with rasterio.open(ZURICH) as file:
        image: npt.NDArray[np.uint8] = file.read()[:, 100:356, 200:456].transpose(1, 2, 0)
    return image


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def psnr(one: Any, other: Any) -> float:
    difference = np.asarray(one, dtype=float) - np.asarray(other, dtype=float)
    return float(10 * np.log10(255**2 / np.mean(difference**2)))


@pytest.mark.parametrize(
    ("settings", "kind", "at_least"),
    [
        ({}, "JPEG", 35.0),
        ({"subsampling": "4:4:4"}, "JPEG", 38.0),
        ({"quality": 75}, "JPEG", 28.0),
        ({"image_format": "webp", "quality": 90}, "WEBP", 32.0),
    ],
)
def test_lossy_formats_stay_close(
    settings: dict[str, Any], kind: str, at_least: float, pixels: npt.NDArray[np.uint8]
) -> None:
    image = opened(encode(pixels, Shards(**settings)))
    assert (image.format, image.mode, image.size) == (kind, "RGB", (256, 256))
    assert psnr(image, pixels) > at_least


def test_png_is_exact(pixels: npt.NDArray[np.uint8]) -> None:
    image = opened(encode(pixels, Shards(image_format="png")))
    assert image.format == "PNG"
    assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize(("subsampling", "factors"), [("4:2:0", (2, 2)), ("4:4:4", (1, 1))])
def test_subsampling_is_what_was_asked_for(
    subsampling: Any, factors: tuple[int, int], pixels: npt.NDArray[np.uint8]
) -> None:
    image = opened(encode(pixels, Shards(subsampling=subsampling)))
    (_, horizontal, vertical, _), *_ = image.layer  # type: ignore[attr-defined]  # of JPEG images only
    assert (horizontal, vertical) == factors


def test_quality_decides_the_size(pixels: npt.NDArray[np.uint8]) -> None:
    sizes = [len(encode(pixels, Shards(quality=quality))) for quality in (50, 80, 95, 100)]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("image_format", ["jpg", "webp", "png"])
def test_bytes_depend_on_the_pixels_alone(image_format: Any, pixels: npt.NDArray[np.uint8]) -> None:
    """Not on how they lie in memory, nor on further bands; and there is no metadata."""
    shards = Shards(image_format=image_format)
    woven = np.ascontiguousarray(pixels)
    four = np.concatenate([pixels, pixels[:, :, :1]], axis=2)
    data = encode(pixels, shards)
    assert data == encode(woven, shards) == encode(four, shards)
    image = opened(data)
    assert not image.getexif()
    assert "icc_profile" not in image.info


def test_jpeg_equals_pillow_on_the_woven_array(pixels: npt.NDArray[np.uint8]) -> None:
    sink = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(sink, "JPEG", quality=95, subsampling="4:2:0")
    assert encode(pixels, Shards()) == sink.getvalue()
