"""What the emulator's functions do to pixels; expected values are worked out with NumPy or by hand."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import ee
import numpy as np
import numpy.typing as npt
import pyproj
import pytest
import shapely

from pipeline.imagery.emulator.functions_geometry import window
from pipeline.imagery.emulator.values import Grid, RequestError
from tests.emulator_graphs import CRS, GRID, MemoryCatalog, MemoryImage, image_of, initialized_client

H, W = GRID.height, GRID.width
ROW, COL = np.mgrid[0:H, 0:W]


@pytest.fixture(scope="module", autouse=True)
def client() -> Iterator[None]:
    with initialized_client():
        yield


def noise(seed: int, dtype: Any = np.uint8) -> npt.NDArray[Any]:
    return np.random.default_rng(seed).integers(1, 255, (H, W)).astype(dtype)


def catalog_of(*images: MemoryImage) -> MemoryCatalog:
    return MemoryCatalog({"C": images})


@pytest.fixture
def catalog() -> MemoryCatalog:
    bands = {band: noise(i) for i, band in enumerate("RGB")}
    return catalog_of(MemoryImage("C/a", bands, valid=COL >= 10))


def test_the_last_image_of_a_mosaic_wins_and_others_fill_what_it_masks() -> None:
    below = MemoryImage("C/below", {"R": noise(1)}, valid=ROW >= 5)
    above = MemoryImage("C/above", {"R": noise(2)}, valid=COL < 20)
    for images in ([below, above], [above, below]):
        got = image_of(ee.ImageCollection("C").mosaic(), catalog_of(*images)).read(["R"], GRID)
        top, bottom = images[1], images[0]
        expected = np.where(top.valid, top.data["R"], np.where(bottom.valid, bottom.data["R"], 0))
        np.testing.assert_array_equal(got.data["R"], expected)
        np.testing.assert_array_equal(got.valid["R"], top.valid | bottom.valid)


def test_a_mosaic_has_the_bands_of_all_images() -> None:
    rgb = MemoryImage("C/rgb", {"R": noise(1), "G": noise(2)})
    nir = MemoryImage("C/nir", {"N": noise(3, np.uint16), "R": noise(4)})
    image = image_of(ee.ImageCollection("C").mosaic(), catalog_of(rgb, nir))
    assert [(band.id, band.dtype) for band in image.bands] == [
        ("R", "uint8"),
        ("G", "uint8"),
        ("N", "uint16"),
    ]
    assert image.grid is None
    pixels = image.read(["N", "G", "R"], GRID)
    for band, source in (("N", nir), ("G", rgb), ("R", nir)):
        np.testing.assert_array_equal(pixels.data[band], source.data[band])


def test_a_mosaic_takes_the_order_of_a_list_of_images() -> None:
    images = [
        MemoryImage(f"C/{name}", {"R": np.full((H, W), i, np.uint8)}) for i, name in enumerate("xyz", 1)
    ]
    collection = ee.ImageCollection.fromImages([ee.Image("C/z"), ee.Image("C/x"), ee.Image("C/y")])
    assert (image_of(collection.mosaic(), catalog_of(*images)).read(["R"], GRID).data["R"] == 2).all()


def test_a_mosaic_looks_only_at_images_that_can_matter() -> None:
    far = replace(GRID, transform=(0.5, 0.0, 440_000.0, 0.0, -0.5, 4_372_000.0))
    images = [
        MemoryImage("C/hidden", {"R": noise(1)}),
        MemoryImage("C/top", {"R": noise(2)}),
        MemoryImage("C/far", {"R": noise(3)}, grid=far),
    ]
    image_of(ee.ImageCollection("C").mosaic(), catalog_of(*images)).read(["R"], GRID)
    assert [len(image.reads) for image in images] == [0, 1, 0]


def test_a_mosaic_of_nothing_has_no_bands() -> None:
    empty = ee.ImageCollection("C").filter(ee.Filter.eq("x", 1)).mosaic()
    assert image_of(empty, catalog_of()).bands == ()
    with pytest.raises(
        RequestError, match=r"Band pattern 'R' did not match any bands\. Available bands: \[\]"
    ):
        image_of(empty.select("R"), catalog_of())


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [(["B", "R"], ["B", "R"]), ([2, 0], ["B", "R"]), (["[RG]"], ["R", "G"]), ([".*"], ["R", "G", "B"])],
)
def test_selects_bands(selectors: Any, expected: list[str], catalog: MemoryCatalog) -> None:
    image = image_of(ee.Image("C/a").select(selectors), catalog)
    assert image.names == expected
    pixels = image.read(expected, GRID)
    for band in expected:
        np.testing.assert_array_equal(
            pixels.data[band], np.where(COL >= 10, catalog.images["C/a"].data[band], 0)
        )


def test_selected_bands_get_new_names(catalog: MemoryCatalog) -> None:
    image = image_of(ee.Image("C/a").select(["G", "R"], ["first", "second"]), catalog)
    assert image.names == ["first", "second"]
    expected = np.where(COL >= 10, catalog.images["C/a"].data["R"], 0)
    np.testing.assert_array_equal(image.read(["second"], GRID).data["second"], expected)
    assert image_of(ee.Image("C/a").rename(["x", "y", "z"]), catalog).names == ["x", "y", "z"]
    assert image_of(ee.Image("C/a").select(["R", "R"]), catalog).names == ["R", "R_1"]


def test_added_bands_are_numbered_or_replaced(catalog: MemoryCatalog) -> None:
    other = ee.Image(7).rename("G").toUint16()
    numbered = image_of(ee.Image("C/a").addBands(other), catalog)
    assert [(band.id, band.dtype) for band in numbered.bands][-2:] == [("B", "uint8"), ("G_1", "uint16")]
    pixels = numbered.read(["G_1", "R"], GRID)
    assert (pixels.data["G_1"] == 7).all()
    np.testing.assert_array_equal(pixels.data["R"], np.where(COL >= 10, catalog.images["C/a"].data["R"], 0))
    replaced = image_of(ee.Image("C/a").addBands(other, overwrite=True), catalog)
    assert sorted(replaced.names) == ["B", "G", "R"]
    assert (replaced.read(["G"], GRID).data["G"] == 7).all()
    assert image_of(ee.Image([1, 2]), catalog).names == ["constant", "constant_1"]


def test_a_validity_band(catalog: MemoryCatalog) -> None:
    """As a client asks whether all bands are there: one byte that is 1 or 0."""
    image = ee.Image("C/a")
    valid = image_of(image.addBands(image.mask().reduce(ee.Reducer.min()).toByte().rename("valid")), catalog)
    assert [(band.id, band.dtype) for band in valid.bands][-1] == ("valid", "uint8")
    pixels = valid.read(["valid"], GRID)
    np.testing.assert_array_equal(pixels.data["valid"], (COL >= 10).astype(np.uint8))
    assert pixels.valid["valid"].all()
    assert image_of(image.mask(), catalog).read(["R"], GRID).data["R"].max() == 1


def test_masks_come_from_other_images(catalog: MemoryCatalog) -> None:
    stencil = MemoryImage("M/m", {"m": (ROW >= 20).astype(np.uint8) * 9})
    catalog = MemoryCatalog({"C": list(catalog.images.values()), "M": [stencil]})
    narrowed = image_of(ee.Image("C/a").updateMask(ee.Image("M/m")), catalog).read(["G"], GRID)
    np.testing.assert_array_equal(narrowed.valid["G"], (COL >= 10) & (ROW >= 20))
    assert not narrowed.data["G"][~narrowed.valid["G"]].any()
    replaced = image_of(ee.Image("C/a").mask(ee.Image("M/m")), catalog).read(["G"], GRID)
    np.testing.assert_array_equal(replaced.valid["G"], ROW >= 20)
    assert not replaced.data["G"][:, :10].any()


def test_unmask_fills_within_the_footprint_unless_told_otherwise(catalog: MemoryCatalog) -> None:
    wider = window(GRID, -5, 0, W + 10, H)
    inner = image_of(ee.Image("C/a").unmask(200), catalog).read(["R"], wider)
    expected = np.where(COL >= 10, catalog.images["C/a"].data["R"], 200)
    np.testing.assert_array_equal(inner.data["R"][:, 5:-5], expected)
    assert not inner.valid["R"][:, :5].any()
    everywhere = image_of(ee.Image("C/a").unmask(200, False), catalog).read(["R"], wider)
    assert everywhere.valid["R"].all()
    assert (everywhere.data["R"][:, :5] == 200).all()
    assert image_of(ee.Image("C/a").unmask(), catalog).bands[0].dtype == "uint8"


def test_reductions_leave_masked_bands_out() -> None:
    high, low = MemoryImage("C/a", {"x": noise(1)}, valid=COL >= 10), MemoryImage("D/b", {"y": noise(2)})
    catalog = MemoryCatalog({"C": [high], "D": [low]})
    both = ee.Image("C/a").addBands(ee.Image("D/b"))
    x = np.ma.masked_array(high.data["x"], COL < 10)
    stack = np.ma.stack([x, low.data["y"]])
    for name, expected in (
        ("min", stack.min(axis=0)),
        ("max", stack.max(axis=0)),
        ("mean", stack.mean(axis=0)),
    ):
        image = image_of(both.reduce(getattr(ee.Reducer, name)()), catalog)
        assert image.names == [name]
        np.testing.assert_allclose(image.read([name], GRID).data[name], expected.filled(0))


@pytest.mark.parametrize(
    ("cast", "dtype", "expected"),
    [
        ("toUint8", "uint8", [0, 0, 1, 255, 255, 0]),
        ("toByte", "uint8", [0, 0, 1, 255, 255, 0]),
        ("int16", "int16", [-300, 0, 1, 300, 32767, 0]),
        ("toUint16", "uint16", [0, 0, 1, 300, 65535, 0]),
        ("toFloat", "float32", [-300.5, -0.9, 1.7, 300.2, 1e9, np.nan]),
    ],
)
def test_casts_take_the_nearest_value_and_cut_fractions_off(
    cast: str, dtype: str, expected: list[float]
) -> None:
    values = np.array([[-300.5, -0.9, 1.7, 300.2, 1e9, np.nan]])
    grid = Grid(CRS, GRID.transform, 6, 1)
    catalog = catalog_of(MemoryImage("C/a", {"x": values}, grid=grid))
    image = image_of(getattr(ee.Image("C/a"), cast)(), catalog)
    assert image.bands[0].dtype == dtype
    got = image.read(["x"], grid).data["x"]
    assert str(got.dtype) == dtype
    np.testing.assert_array_equal(got, np.array([expected], dtype))


def test_integers_are_cast_without_wrapping() -> None:
    values = np.array([[-5, 5, 300]], np.int16)
    grid = Grid(CRS, GRID.transform, 3, 1)
    catalog = catalog_of(MemoryImage("C/a", {"x": values}, grid=grid))
    got = image_of(ee.Image("C/a").cast({"x": "uint8"}), catalog).read(["x"], grid).data["x"]
    assert got.tolist() == [[0, 5, 255]]
    assert (
        image_of(ee.Image("C/a").toUint8().toInt16(), catalog).read(["x"], grid).data["x"].dtype == np.int16
    )


def test_visualize_rounds_halves_up_and_clamps() -> None:
    # 255 * v / 510 = v / 2
    values = np.array([[-3, 0, 1, 2, 3, 509, 510, 600]], np.int16)
    grid = Grid(CRS, GRID.transform, 8, 1)
    images = {"x": values, "y": values + 1, "z": values * 0}
    catalog = catalog_of(MemoryImage("C/a", images, grid=grid))
    image = image_of(ee.Image("C/a").visualize(bands=["y", "x", "z"], min=0, max=510), catalog)
    assert [(band.id, band.dtype) for band in image.bands] == [
        ("vis-red", "uint8"),
        ("vis-green", "uint8"),
        ("vis-blue", "uint8"),
    ]
    pixels = image.read(["vis-green", "vis-red"], grid)
    assert pixels.data["vis-green"].tolist() == [[0, 0, 1, 1, 2, 255, 255, 255]]
    assert pixels.data["vis-red"].tolist() == [[0, 1, 1, 2, 2, 255, 255, 255]]


def test_visualize_knows_gamma_single_bands_and_ranges_by_band(catalog: MemoryCatalog) -> None:
    source = {band: np.where(COL >= 10, v, 0) for band, v in catalog.images["C/a"].data.items()}
    gamma = image_of(ee.Image("C/a").visualize(min=[0, 10, 20], max=[255, 200, 100], gamma=2), catalog)
    share = np.clip((source["G"].astype(float) - 10) / 190, 0, 1)
    expected = np.where(COL >= 10, np.floor(255 * np.sqrt(share) + 0.5), 0)
    np.testing.assert_array_equal(gamma.read(["vis-green"], GRID).data["vis-green"], expected)
    gray = image_of(ee.Image("C/a").visualize(bands="R"), catalog)
    assert gray.names == ["vis-gray"]
    np.testing.assert_array_equal(gray.read(["vis-gray"], GRID).data["vis-gray"], source["R"])
    with pytest.raises(RequestError, match="'palette' is not implemented"):
        image_of(ee.Image("C/a").select("R").visualize(palette=["000000", "ffffff"]), catalog)
    with pytest.raises(RequestError, match="Expected 1 or 3 bands, got 2"):
        image_of(ee.Image("C/a").select(["R", "G"]).visualize(), catalog)


def test_clip_masks_pixels_whose_centre_is_outside(catalog: MemoryCatalog) -> None:
    # a circle of 5 m around the middle of the image, in its own CRS
    x, y = 340_010.0, 4_371_992.5
    ring = shapely.Point(x, y).buffer(5, quad_segs=32)
    place = ee.Geometry.Polygon([list(map(list, ring.exterior.coords))], CRS, False)
    pixels = image_of(ee.Image("C/a").clip(place), catalog).read(["R"], GRID)
    centers = shapely.points(340_000 + (COL + 0.5) * 0.5, 4_372_000 - (ROW + 0.5) * 0.5)
    inside = shapely.contains(ring, centers) & (COL >= 10)
    np.testing.assert_array_equal(pixels.valid["R"], inside)
    np.testing.assert_array_equal(pixels.data["R"], np.where(inside, catalog.images["C/a"].data["R"], 0))


def test_clip_follows_degrees_and_features(catalog: MemoryCatalog) -> None:
    to_lonlat = pyproj.Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    lon, _ = to_lonlat.transform(340_010.1, 4_371_992.5)
    place = ee.Feature(ee.Geometry.BBox(lon, 39.0, lon + 1, 40.0))
    pixels = image_of(ee.Image("C/a").clip(place), catalog).read(["R"], GRID)
    xs, ys = 340_000 + (COL + 0.5) * 0.5, 4_372_000 - (ROW + 0.5) * 0.5
    np.testing.assert_array_equal(pixels.valid["R"], to_lonlat.transform(xs, ys)[0] > lon)


def test_an_exact_grid_is_a_rectangle_in_the_pixels_of_a_projection(catalog: MemoryCatalog) -> None:
    transform = [0.5, 0, 340_002.0, 0, -0.5, 4_371_999.0]
    asked, _ = ee.Image("C/a").prepare_for_export(
        {"crs": CRS, "crsTransform": transform, "dimensions": [12, 7]}
    )
    image = image_of(asked, catalog)
    assert image.grid == Grid(CRS, (0.5, 0.0, 340_002.0, 0.0, -0.5, 4_371_999.0), 12, 7)
    pixels = image.read(["R"], image.grid)
    np.testing.assert_array_equal(
        pixels.data["R"], np.where(COL >= 10, catalog.images["C/a"].data["R"], 0)[2:9, 4:16]
    )


def test_an_exact_grid_may_reach_beyond_the_image(catalog: MemoryCatalog) -> None:
    transform = [0.5, 0, 339_990.0, 0, -0.5, 4_372_010.0]
    asked, _ = ee.Image("C/a").prepare_for_export(
        {"crs": CRS, "crsTransform": transform, "dimensions": "100x90"}
    )
    image = image_of(asked, catalog)
    assert image.grid == Grid(CRS, (0.5, 0.0, 339_990.0, 0.0, -0.5, 4_372_010.0), 100, 90)
    assert int(image.read(["R"], image.grid).valid["R"].sum()) == H * (W - 10)


def test_a_region_at_a_scale_is_aligned_to_the_crs(catalog: MemoryCatalog) -> None:
    region = ee.Geometry.Rectangle([340_001.3, 4_371_990.2, 340_009.9, 4_371_997.0], CRS, False)
    asked, _ = ee.Image("C/a").prepare_for_export({"crs": CRS, "region": region, "scale": 2})
    image = image_of(asked, catalog)
    # from 340000 to 340010, from 4371990 to 4371998
    assert image.grid == Grid(CRS, (2.0, 0.0, 340_000.0, 0.0, -2.0, 4_371_998.0), 5, 4)


def test_a_region_on_a_grid_is_cut_to_whole_pixels(catalog: MemoryCatalog) -> None:
    region = ee.Geometry.Rectangle([340_001.3, 4_371_990.2, 340_009.9, 4_371_997.0], CRS, False)
    asked, _ = ee.Image("C/a").prepare_for_export(
        {"crs": CRS, "region": region, "crsTransform": list(GRID.transform)}
    )
    image = image_of(asked, catalog)
    assert image.grid == Grid(CRS, (0.5, 0.0, 340_001.0, 0.0, -0.5, 4_371_997.0), 18, 14)


def test_a_region_in_so_many_pixels_is_stretched(catalog: MemoryCatalog) -> None:
    region = ee.Geometry.Rectangle([340_000, 4_371_990, 340_010, 4_371_995], CRS, False)
    for size, expected in ((20, (20, 10)), ([5, 5], (5, 5))):
        asked, _ = ee.Image("C/a").prepare_for_export({"crs": CRS, "region": region, "dimensions": size})
        grid = image_of(asked, catalog).grid
        assert grid is not None
        assert (grid.width, grid.height) == expected
        assert grid.transform == (10 / expected[0], 0.0, 340_000.0, 0.0, -5 / expected[1], 4_371_995.0)


def test_the_bounds_of_an_image_without_any_must_be_given(catalog: MemoryCatalog) -> None:
    asked, _ = ee.ImageCollection("C").mosaic().prepare_for_export({"crs": CRS, "scale": 1})
    with pytest.raises(RequestError, match="must be bounded"):
        image_of(asked, catalog)


def test_a_reprojected_image_is_computed_in_its_projection_first(catalog: MemoryCatalog) -> None:
    """Pixels of 1.5 m: what is read on the finer grid repeats them."""
    coarse = [1.5, 0, 340_000.0, 0, -1.5, 4_372_000.0]
    pixels = image_of(ee.Image("C/a").reproject(CRS, coarse), catalog).read(["R"], GRID)
    # the middle of a coarse pixel is the middle of the second of its three fine ones
    middle = (ROW // 3 * 3 + 1).clip(max=H - 1), COL // 3 * 3 + 1
    middle = middle[0], np.minimum(middle[1], W - 1)
    source = np.where(COL >= 10, catalog.images["C/a"].data["R"], 0)
    inside = (COL // 3 * 3 + 1 < W) & (ROW // 3 * 3 + 1 < H)
    np.testing.assert_array_equal(pixels.data["R"], np.where(inside, source[middle], 0))


def test_a_reprojected_image_is_read_through_another_crs(catalog: MemoryCatalog) -> None:
    to_lonlat = pyproj.Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    west, north = to_lonlat.transform(340_006, 4_371_999)
    grid = Grid("EPSG:4326", (6e-6, 0.0, west, 0.0, -5e-6, north), 15, 12)
    pixels = image_of(ee.Image("C/a").reproject(CRS, list(GRID.transform)), catalog).read(["R"], grid)
    lon, lat = west + (np.arange(15) + 0.5) * 6e-6, north - (np.arange(12) + 0.5) * 5e-6
    x, y = to_lonlat.transform(
        lon[None, :] + 0 * lat[:, None], lat[:, None] + 0 * lon[None, :], direction="INVERSE"
    )
    i, j = np.floor((4_372_000 - y) / 0.5).astype(int), np.floor((x - 340_000) / 0.5).astype(int)
    np.testing.assert_array_equal(
        pixels.data["R"], np.where(COL >= 10, catalog.images["C/a"].data["R"], 0)[i, j]
    )


def test_too_much_for_one_resampling_is_refused(catalog: MemoryCatalog) -> None:
    fine = image_of(ee.Image("C/a").reproject(CRS, [0.0001, 0, 340_000.0, 0, -0.0001, 4_372_000.0]), catalog)
    with pytest.raises(RequestError, match="User memory limit exceeded"):
        fine.read(["R"], GRID)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            lambda: ee.Image("C/a").select("B12"),
            r"'B12' did not match any bands\. Available bands: \[R, G, B\]",
        ),
        (lambda: ee.Image("C/a").select("["), "is not a regular expression"),
        (lambda: ee.Image("C/a").select(7), "Band index 7"),
        (lambda: ee.Image("C/a").select(["R"], ["a", "b"]), "2 new names for 1 bands"),
        (lambda: ee.Image("C/a").rename(["a", "a", "b"]), "given twice"),
        (lambda: ee.Image("C/a").updateMask(ee.Image([1, 2])), "same number of bands"),
        (lambda: ee.Image("C/a").cast({"R": "complex"}), "'complex'"),
        (lambda: ee.Image("C/a").cast({"Q": "float"}), "Band pattern 'Q'"),
        (lambda: ee.Image("C/a").reproject("EPSG:999999"), "could not be parsed"),
        (lambda: ee.Image("C/a").reproject(CRS, [1, 2, 3]), "6 numbers"),
        (lambda: ee.Image("C/a").reproject(CRS, [1, 1, 0, 1, 1, 0]), "cannot be inverted"),
        (lambda: ee.Image("C/a").reproject(CRS, None, -1), "scale must be positive"),
        (lambda: ee.Image("C/a").visualize(min=3, max=3), "must differ"),
        (lambda: ee.Image("C/a").reduce(ee.Reducer.min(2)), "numInputs"),
        (
            lambda: ee.Image(ee.ImageCollection("C").filter(ee.Filter.eq("x", 1)).first()).mask(),
            "may not be null",
        ),
    ],
)
def test_what_cannot_be_is_said(value: Any, message: str, catalog: MemoryCatalog) -> None:
    with pytest.raises(RequestError, match=message):
        image_of(value(), catalog)
