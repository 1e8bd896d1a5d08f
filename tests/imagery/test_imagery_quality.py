"""Pixel quality: what is measured agrees with an independent measure, and what a person would drop is dropped."""

import io
import math
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from pipeline.config import Quality
from pipeline.imagery.quality import PixelQuality, judge, measure
from pipeline.types import Reason

Pixels = npt.NDArray[np.uint8]

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
real = pytest.mark.skipif(not DATA.exists(), reason="needs the shared test data")
DEFAULTS = Quality()
SIDE = 448


def noise(side: int = SIDE, *, seed: int = 0) -> Pixels:
    """Texture without any black pixel."""
    return np.random.default_rng(seed).integers(40, 200, (side, side, 3), dtype=np.uint8)


def everywhere(pixels: Pixels) -> npt.NDArray[np.bool_]:
    return np.ones(pixels.shape[:2], dtype=bool)


def quality(pixels: Pixels) -> PixelQuality:
    return measure(pixels, everywhere(pixels))


def verdict(pixels: Pixels) -> Reason | None:
    return judge(quality(pixels), DEFAULTS)


def real_pixels(name: str, size: int) -> list[Pixels]:
    """All windows of a real image."""
    with rasterio.open(DATA / name) as file:
        image = file.read([1, 2, 3]).transpose(1, 2, 0)
    rows, cols = (range(0, extent - size + 1, size) for extent in image.shape[:2])
    return [np.ascontiguousarray(image[r : r + size, c : c + size]) for r in rows for c in cols]


# the measures


def test_measures_of_a_small_patch_equal_their_definitions() -> None:
    """Below 128 pixels every pixel inside the outermost ones is a sample."""
    pixels = noise(60)
    pixels[:20] //= 16
    pixels[40:] += 55
    grey: Counter[int] = Counter()
    laplacian: list[int] = []
    for row in range(1, 59):
        for col in range(1, 59):
            red, green, blue = (int(value) for value in pixels[row, col])
            grey[math.floor((77 * red + 150 * green + 29 * blue) / 256 + 0.5)] += 1
            around = sum(int(pixels[row + dy, col + dx, 1]) for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)))
            laplacian.append(around - 4 * green)
    n = 58 * 58
    found = quality(pixels)
    assert found.nodata == 0
    assert found.entropy == pytest.approx(-sum(k / n * math.log2(k / n) for k in grey.values()), abs=1e-5)
    assert found.sharpness == pytest.approx(float(np.var(laplacian)), rel=1e-9)
    assert found.dark == sum(k for value, k in grey.items() if value < 16) / n
    assert found.bright == sum(k for value, k in grey.items() if value > 250) / n


@pytest.mark.parametrize("side", [64, 128, 224, 256, 448, 1024])
def test_sampling_hardly_moves_the_measures(side: int) -> None:
    """Against the same picture measured at every pixel, with SciPy-free formulas on whole arrays."""
    blurred = Image.fromarray(noise(side)).filter(ImageFilter.GaussianBlur(1.5))
    pixels = np.asarray(blurred)
    green = pixels[:, :, 1].astype(int)
    laplacian = (
        green[:-2, 1:-1] + green[2:, 1:-1] + green[1:-1, :-2] + green[1:-1, 2:] - 4 * green[1:-1, 1:-1]
    )
    found = quality(pixels)
    assert found.sharpness == pytest.approx(float(np.var(laplacian)), rel=0.15)
    assert found.entropy == pytest.approx(Image.fromarray(pixels).convert("L").entropy(), abs=0.1)


def test_every_memory_layout_gives_the_same_numbers() -> None:
    pixels = noise()
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)).transpose(1, 2, 0)
    assert quality(pixels) == quality(planes)


def test_only_valid_pixels_count() -> None:
    """The missing half is white: it must show neither in the tone nor as an edge."""
    pixels = noise()
    whole = quality(pixels)
    valid = everywhere(pixels)
    valid[:, : SIDE // 2] = False
    pixels[:, : SIDE // 2] = 255
    half = measure(pixels, valid)
    assert half.nodata == 0.5
    assert (half.bright, half.cloud) == (0, 0)
    assert half.sharpness == pytest.approx(whole.sharpness, rel=0.1)
    assert judge(half, DEFAULTS) == Reason.NO_DATA
    assert judge(half, Quality(max_nodata=0.5)) is None


def test_one_missing_pixel_of_a_large_patch_is_seen() -> None:
    pixels = noise(1024)
    valid = everywhere(pixels)
    valid[1000, 3] = False
    assert judge(measure(pixels, valid), DEFAULTS) == Reason.NO_DATA


def test_without_data_there_is_nothing_to_measure() -> None:
    nothing = PixelQuality(1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert quality(np.zeros((SIDE, SIDE, 3), dtype=np.uint8)) == nothing
    assert measure(noise(), np.zeros((SIDE, SIDE), dtype=bool)) == nothing
    assert judge(nothing, Quality(max_nodata=1)) == Reason.NO_DATA


# black runs


@pytest.mark.parametrize("bands", [3, 4])
def test_a_black_collar_is_missing_data(bands: int) -> None:
    pixels = np.concatenate([noise(), noise(seed=1)], axis=2)[:, :, :bands]
    pixels[:, :40] = 0
    assert quality(pixels).nodata == pytest.approx(40 / SIDE)
    assert verdict(pixels) == Reason.NO_DATA


def test_black_with_near_infrared_is_ground() -> None:
    pixels = np.concatenate([noise(), noise(seed=1)], axis=2)[:, :, :4]
    pixels[:, :40, :3] = 0
    assert quality(pixels).nodata == 0


@settings(max_examples=60, deadline=None)
@given(angle=st.floats(0, 2 * math.pi), reach=st.floats(0.2, 0.95), side=st.sampled_from([64, 200, 448]))
def test_any_straight_scene_border_is_found(angle: float, reach: float, side: int) -> None:
    """A half-plane that cuts off more than 0.5 % of the patch is missing data, pixel by pixel."""
    y, x = np.mgrid[:side, :side] / (side - 1) * 2 - 1
    outside = x * math.cos(angle) + y * math.sin(angle) > reach
    if outside.mean() <= 0.006 or outside.all():
        return
    pixels = noise(side)
    pixels[outside] = 0
    assert quality(pixels).nodata == pytest.approx(outside.mean(), abs=1e-12)


@pytest.mark.parametrize(("row", "col"), [(100, 200), (0, 200), (371, 200), (200, 0), (200, 371)])
def test_a_black_roof_of_three_percent_is_no_missing_data(row: int, col: int) -> None:
    pixels = noise()
    pixels[row : row + 77, col : col + 77] = 0
    assert quality(pixels).nodata == 0
    assert verdict(pixels) is None


def test_scattered_shadows_are_no_missing_data() -> None:
    pixels = noise()
    rng = np.random.default_rng(3)
    for row, col in rng.integers(0, SIDE - 20, (120, 2)):
        pixels[row : row + 20, col : col + 14] = 0
    black = (pixels == 0).all(axis=2).mean()
    assert black > 0.1
    assert quality(pixels).nodata == 0


def test_a_lost_tile_is_missing_data_wherever_it_lies() -> None:
    pixels = noise()
    pixels[100:356, 90:346] = 0
    assert quality(pixels).nodata == pytest.approx(256 * 256 / SIDE**2)


def test_dark_water_is_no_missing_data() -> None:
    pixels = noise()
    pixels[:, :200] = np.random.default_rng(1).integers(2, 7, (SIDE, 200, 3), dtype=np.uint8)
    assert quality(pixels).nodata == 0


def test_a_black_border_that_went_through_jpeg() -> None:
    pixels = noise()
    pixels[:, :101] = 0  # the border lies inside a JPEG block, which rings
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "JPEG", quality=80)
    decoded = np.asarray(Image.open(sink))
    assert quality(decoded).nodata == pytest.approx(101 / SIDE, abs=0.02)


# verdicts


def test_verdicts_on_plain_pictures() -> None:
    grey = np.full((SIDE, SIDE, 3), 128, dtype=np.uint8)
    assert verdict(grey) == Reason.LOW_ENTROPY
    assert verdict(grey // 16) == Reason.UNDEREXPOSED
    assert verdict(np.full_like(grey, 255)) == Reason.OVEREXPOSED
    assert verdict(noise()) is None


def test_a_cloud_is_bright_colourless_and_smooth() -> None:
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    billows = 236 + 10 * np.sin(9 * x + 4 * y) * np.cos(7 * y)
    cloud = np.repeat(billows[:, :, None], 3, axis=2).astype(np.uint8)
    assert verdict(cloud) == Reason.CLOUDY
    half = noise()
    half[: SIDE // 2] = cloud[: SIDE // 2]
    assert quality(half).cloud == pytest.approx(0.5, abs=0.02)
    assert verdict(half) is None
    sand = cloud.copy()
    sand[:, :, 2] -= 60
    assert quality(sand).cloud == 0
    gravel = cloud - np.random.default_rng(0).integers(0, 10, (SIDE, SIDE, 1), dtype=np.uint8) * 2
    assert quality(gravel).cloud < 0.5


def test_the_first_reason_in_order_is_given() -> None:
    worst = PixelQuality(nodata=0.5, entropy=0, sharpness=0, dark=1, bright=1, cloud=1)
    order = []
    limits = Quality()
    for change in (
        {"max_nodata": 1}, {"max_dark": 1}, {"max_bright": 1}, {"max_cloud": 1}, {"min_entropy": 0}, {"min_sharpness": 0},
    ):  # fmt: skip
        order.append(judge(worst, limits))
        limits = limits.model_copy(update=change)
    assert judge(worst, limits) is None
    assert order == [
        Reason.NO_DATA, Reason.UNDEREXPOSED, Reason.OVEREXPOSED, Reason.CLOUDY, Reason.LOW_ENTROPY, Reason.BLURRED,
    ]  # fmt: skip


@real
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("aerial/zurich-50cm-epsg2056.tif", 448),
        ("aerial/zurich-50cm-epsg2056.tif", 64),
        ("aerial/m_3211605_ne_11_060_20200415.tif", 64),
        ("aerial/m_4208701_ne_16_060_20200902.tif", 128),  # an airport apron, bright concrete
    ],
)
def test_real_imagery_passes(name: str, size: int) -> None:
    windows = real_pixels(name, size)
    assert windows
    assert {verdict(pixels) for pixels in windows} == {None}


@real
def test_kampala_has_seven_windows_with_data() -> None:
    windows = real_pixels("kampala/kampala-30cm.tif", 256)
    assert Counter(verdict(pixels) for pixels in windows) == {Reason.NO_DATA: 38, None: 7}


@real
@pytest.mark.parametrize(
    "name", ["aerial/zurich-50cm-epsg2056.tif", "aerial/m_3211605_ne_11_060_20200415.tif"]
)
def test_blurred_real_imagery_is_dropped(name: str) -> None:
    for pixels in real_pixels(name, 192):
        blurred = np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(4)))
        assert verdict(blurred) == Reason.BLURRED
