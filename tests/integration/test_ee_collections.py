"""Every known collection, from assets shaped like its own to a release; its pixels computed again from the files."""

import gc
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from pyproj import Transformer

from pipeline import show
from pipeline.cli import main
from pipeline.configfile import load_config
from pipeline.imagery.emulator.server import serve
from pipeline.inventory import take_inventory
from pipeline.stages.patches import patches_of
from pipeline.types import Asset
from tests.ee_products import (
    BRANDENBURG,
    FINLAND,
    LANDSAT_8,
    NAIP,
    PRODUCTS,
    SENTINEL_2,
    SIDE,
    SWISSIMAGE,
    Pixels,
    Product,
    shown,
)  # fmt: skip
from tests.ee_world import Place, entry, imagery_values, released, write_catalog, write_config
from tests.small_world import run


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Connections end with the test that opened them."""
    yield
    gc.collect()


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs the command line in this process; its exit code and what it prints, in one line."""

    def run_command(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["skyteller", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return int(str(end.value.code or 0)), " ".join("".join(capsys.readouterr()).split())

    monkeypatch.setattr(show.console, "_width", 400)  # lines are not wrapped
    return run_command


@pytest.fixture
def like_the_live_service(monkeypatch: pytest.MonkeyPatch) -> Callable[[Product], None]:
    """Let the emulator, whose assets have one grid and type, also tell of bands on other grids."""
    from pipeline.imagery.emulator import assets, listing, routes  # noqa: PLC0415 - to change them here alone

    describe = assets.describe_image

    def change(product: Product) -> None:
        def described(asset: Any, *, basic: bool = False) -> dict[str, Any]:
            found = describe(asset, basic=basic)
            bands = {band["id"]: band for band in found.get("bands", ())}
            for name, (step, data_type) in product.other_bands.items():
                bands[name] = _on_another_grid(next(iter(bands.values())), name, step, data_type)
            return found | ({"bands": list(bands.values())} if bands else {})

        monkeypatch.setattr(listing, "describe_image", described)
        monkeypatch.setattr(routes, "describe_image", described)

    return change


def _on_another_grid(
    band: Mapping[str, Any], name: str, step: float, data_type: Mapping[str, Any]
) -> dict[str, Any]:
    grid = band["grid"]
    times = grid["affineTransform"]["scaleX"] / step
    size = {side: round(n * times) for side, n in grid["dimensions"].items()}
    affine = grid["affineTransform"] | {"scaleX": step, "scaleY": -step}
    return {
        **band,
        "id": name,
        "dataType": data_type,
        "grid": grid | {"dimensions": size, "affineTransform": affine},
    }


def years(product: Product) -> dict[str, str]:
    """The dates to ask for: the year of the product."""
    return {"start": f"{product.date[:4]}-01-01", "end": f"{product.date[:4]}-12-31"}


def chosen(folder: Path, imagery: Mapping[str, Any]) -> dict[str, int]:
    """Patches by scene, as chosen before any pixel is read."""
    context = take_inventory(load_config(write_config(folder, imagery)), folder)
    patches = [patches_of(context, cell)[0] for cell in context.cells]
    return dict(Counter(scene for table in patches for scene in table["scene"].to_pylist()))


def window_of(path: Path, col: int, row: int, width: int) -> Pixels:
    with rasterio.open(path) as file:
        found: Pixels = file.read(window=rasterio.windows.Window(col, row, width, width))
        return found


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda product: f"{product.id}-{product.place.crs[:10]}")
def test_a_collection_becomes_samples(
    product: Product, tmp_path: Path, like_the_live_service: Callable[[Product], None]
) -> None:
    like_the_live_service(product)
    product.place.write_osm(tmp_path / "place.osm.pbf")
    with serve(write_catalog(tmp_path, product.write(tmp_path))) as server:
        config = write_config(tmp_path, imagery_values(server.url, collection=product.id, **years(product)))
        outcome = run(config)
    assert outcome.exit_code == 0
    samples = released(tmp_path)
    assert len(samples) >= 6
    for sample in samples:
        col, row, size = sample.window
        assert np.array_equal(
            sample.pixels, product.expected(window_of(tmp_path / f"{product.index}.tif", col, row, size))
        )
        said = sample.metadata
        assert (said["collection"], said["image_name"], said["date"]) == (
            product.id,
            product.index,
            product.date,
        )
        assert product.license in said["license"]
        assert product.attribution in said["attribution"]
        assert said["gsd_m"] == pytest.approx(product.place.gsd_m, rel=0.005)
    if not product.place.crs.startswith("+"):
        assert {sample.metadata["crs"] for sample in samples} == {product.place.crs}
    assert len({sample.pixels.tobytes() for sample in samples}) == len(samples)


def test_brandenburg_as_one_image(tmp_path: Path) -> None:
    """The catalogue calls it a collection, its own example loads it as an image of flights of many days."""
    product = BRANDENBURG
    product.place.write_osm(tmp_path / "place.osm.pbf")
    line = product.write(tmp_path) | {
        "collection": "Germany/Brandenburg/orthos", "index": "20cm",
        "start": "2021-08-23T00:00:00Z", "end": "2023-01-20T00:00:00Z",
    }  # fmt: skip
    dates = {"start": "2022-01-01", "end": "2022-12-31"}
    with serve(write_catalog(tmp_path, line)) as server:
        config = write_config(tmp_path, imagery_values(server.url, collection="brandenburg", **dates))
        assert run(config).exit_code == 0
    samples = released(tmp_path)
    assert len(samples) == 6  # the lake and the house; 164 square metres of forest are too little to be sure
    for sample in samples:
        col, row, size = sample.window
        window = window_of(tmp_path / f"{product.index}.tif", col, row, size)
        assert np.array_equal(sample.pixels, window[1:].transpose(1, 2, 0))  # N comes first
        assert sample.metadata["date"] is None
        assert sample.metadata["collection"] == product.id


def test_a_national_image_of_its_real_size(tmp_path: Path) -> None:
    """3.5 by 2.2 million pixels, nearly all masked. The border cuts through patches; inside, some roofs are black."""
    width, height, west, north = 3_490_000, 2_210_000, 2_485_000, 1_296_000
    left, top = 17_969 * 64, 15_000 * 64  # a corner of the grid of windows, in Bern
    place = Place("EPSG:2056", west + left / 10, north - top / 10, 0.1, SIDE)
    place.write_osm(tmp_path / "place.osm.pbf")
    pixels, mask = SWISSIMAGE.make_pixels(), np.full((SIDE, SIDE), 255, dtype=np.uint8)
    pixels[:, 10:20, 70:90] = 0
    mask[100:, 90:] = 0
    pixels[:, mask == 0] = 0
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            tmp_path / "2017.tif", "w", driver="GTiff", width=width, height=height, count=3, dtype="uint8",
            crs=place.crs, transform=rasterio.transform.from_origin(west, north, 0.1, 0.1), photometric="MINISBLACK",
            tiled=True, blockxsize=2048, blockysize=2048, compress="deflate", SPARSE_OK=True, BIGTIFF="YES",
        ) as file,
    ):  # fmt: skip
        window = rasterio.windows.Window(left, top, SIDE, SIDE)
        file.write(pixels, window=window)
        file.write_mask(mask, window=window)
    start, end = SWISSIMAGE.dates
    line = entry("2017.tif", collection=SWISSIMAGE.id, start=start, end=end)
    to_lonlat = Transformer.from_crs(place.crs, "EPSG:4326", always_xy=True)
    side = SIDE / 10
    box = to_lonlat.transform_bounds(
        place.west - side, place.north - 2 * side, place.west + side, place.north + side
    )
    with serve(write_catalog(tmp_path, line)) as server:
        imagery = imagery_values(server.url, collection="swissimage", **years(SWISSIMAGE))
        outcome = run(write_config(tmp_path, imagery, area={"bbox": list(box)}, cell_zoom=16))
    samples = released(tmp_path)
    assert {(s.window[0] - left, s.window[1] - top) for s in samples} == {(0, 0), (0, 64), (0, 128), (64, 0)}
    for sample in samples:
        col, row = sample.window[0] - left, sample.window[1] - top
        assert np.array_equal(sample.pixels, pixels[:, row : row + 64, col : col + 64].transpose(1, 2, 0))
    counts = next(found.counts for found in outcome.plan.stages if found.stage.name == "pixels")
    assert set(counts.rejected) == {"no_data"}
    assert counts.seen == len(samples) + counts.rejected["no_data"]
    assert counts.rejected["no_data"] >= 2


@pytest.mark.parametrize(
    ("gsd_m", "factor", "pyramid"), [(0.6, 6, "MEAN"), (0.4, 4, "MEAN"), (0.4, 4, "SAMPLE")]
)
def test_coarser_swissimage_is_the_mean_of_its_ground(
    tmp_path: Path, gsd_m: float, factor: int, pyramid: str
) -> None:
    place = Place("EPSG:2056", 2_600_000, 1_200_000, 0.1, 3 * 64 * factor)
    rows, cols = np.mgrid[0 : place.side, 0 : place.side]
    rng = np.random.default_rng(3)
    waves = 110 + 60 * np.sin(cols / 47) * np.cos(
        rows / 61
    )  # with noise that any skipped pixel would let through
    pixels = (waves + rng.uniform(-60, 60, size=(3, *waves.shape))).clip(1, 255).astype(np.uint8)
    place.write_osm(tmp_path / "place.osm.pbf")
    place.write_image(tmp_path / "2017.tif", pixels)
    start, end = SWISSIMAGE.dates
    line = entry("2017.tif", collection=SWISSIMAGE.id, start=start, end=end, pyramid=pyramid)
    with serve(write_catalog(tmp_path, line)) as server:
        imagery = imagery_values(server.url, collection="swissimage", gsd_m=gsd_m, **years(SWISSIMAGE))
        assert run(write_config(tmp_path, imagery)).exit_code == 0
    samples = released(tmp_path)
    assert len(samples) == 9
    for sample in samples:
        col, row, size = (n * factor for n in sample.window)
        ground = window_of(tmp_path / "2017.tif", col, row, size).astype(np.float64)
        means = ground.reshape(3, 64, factor, 64, factor).mean(axis=(2, 4)).transpose(1, 2, 0)
        assert np.abs(sample.pixels - means).max() <= 1
        assert abs((sample.pixels - means).mean()) < 0.5  # halves go up at each level
        assert sample.metadata["gsd_m"] == pytest.approx(gsd_m, rel=0.002)
        assert sample.metadata["transform"][0] == pytest.approx(gsd_m)
        assert sample.metadata["date"] == "2017"


def test_naip_scenes_without_all_bands_are_left_out_and_said_so(
    tmp_path: Path, command: Callable[..., tuple[int, str]]
) -> None:
    """n_ has red, green and blue, c_ near infrared, red and green; both are older than a whole m_."""
    NAIP.place.write_osm(tmp_path / "place.osm.pbf")
    lines = [NAIP.write(tmp_path)]
    for n, (index, bands) in enumerate(
        {"n_3907617_ne_18_1_20050620": ["R", "G", "B"], "c_3907617_ne_18_1_20100620": ["N", "R", "G"]}.items()
    ):
        day = f"{index[-8:-4]}-{index[-4:-2]}-{index[-2:]}"
        NAIP.place.write_image(tmp_path / f"{index}.tif", NAIP.make_pixels(seed=7 + n)[:3])
        times = {"start": f"{day}T00:00:00Z", "end": f"{day}T23:59:59Z"}
        lines.append(entry(f"{index}.tif", collection=NAIP.id, bands=bands, **times))
    dates = {"start": "2003-01-01", "end": "2021-12-31"}
    with serve(write_catalog(tmp_path, *lines)) as server:
        four = imagery_values(server.url, collection="naip", bands=["R", "G", "B", "N"], **dates)
        code, said = command("check", write_config(tmp_path, four))
        assert code == 0
        assert "m_3907617_ne_18_060_20210615: EPSG:26918, 0.6 m, 2021-06-15" in said
        assert "2 cannot be used" in said
        n_scene, c_scene = (
            "USDA/NAIP/DOQQ/n_3907617_ne_18_1_20050620",
            "USDA/NAIP/DOQQ/c_3907617_ne_18_1_20100620",
        )
        assert f"{n_scene}: lacks_bands: has no band N (it has R, G, B)" in said
        assert f"{c_scene}: lacks_bands: has no band B (it has N, R, G)" in said
        three = imagery_values(server.url, collection="naip", start="2003-01-01", end="2011-12-31")
        code, said = command("check", write_config(tmp_path, three))
        assert code == 0
        assert "n_3907617_ne_18_1_20050620: EPSG:26918" in said  # has all that is asked for
        assert f"{c_scene}: lacks_bands" in said
        assert chosen(tmp_path, three) == {"n_3907617_ne_18_1_20050620": 9}


def test_the_retired_id_of_swissimage(tmp_path: Path) -> None:
    """SkyScript's id still means the collection, and is never asked for."""
    SWISSIMAGE.place.write_osm(tmp_path / "place.osm.pbf")
    with serve(write_catalog(tmp_path, SWISSIMAGE.write(tmp_path))) as server:
        retired = imagery_values(
            server.url, collection="ORTHO/Switzerland/SWISSIMAGE/10cm", **years(SWISSIMAGE)
        )
        config = write_config(tmp_path, retired)
        context = take_inventory(load_config(config), tmp_path)
        assert (context.product.id, [scene.id for scene in context.scenes]) == (SWISSIMAGE.id, ["2017"])
        pixels = context.scenes[0].pixels
        assert isinstance(pixels, Asset)
        assert pixels.id == f"{SWISSIMAGE.id}/2017"


@pytest.mark.parametrize(
    ("product", "clouds", "range_", "best"),
    [
        (
            SENTINEL_2,
            {"0601": 3.2, "0611": 0.4, "0621": 60.0, "0701": 0.1},
            ("2021-06-01", "2021-06-30"),
            "0611",
        ),
        (
            LANDSAT_8,
            {"0412": 9, "0612": 8.75, "0628": 8.75, "0714": -1},
            ("2021-01-01", "2021-12-31"),
            "0628",
        ),
    ],
    ids=["sentinel-2", "landsat-8"],
)
def test_the_least_cloudy_scene_within_the_dates(
    tmp_path: Path, product: Product, clouds: dict[str, float], range_: tuple[str, str], best: str
) -> None:
    """The newest of the equally clear ones; -1 means that nobody measured."""
    name = "CLOUDY_PIXEL_PERCENTAGE" if product is SENTINEL_2 else "CLOUD_COVER"
    product.place.write_osm(tmp_path / "place.osm.pbf")
    lines = []
    for seed, (day, cloud) in enumerate(clouds.items()):
        time = f"2021-{day[:2]}-{day[2:]}T15:50:00Z"
        lines.append(
            product.write(tmp_path, f"scene_2021{day}", seed, start=time, end=time, properties={name: cloud})
        )
    with serve(write_catalog(tmp_path, *lines)) as server:
        imagery = imagery_values(server.url, collection=product.id, start=range_[0], end=range_[1])
        assert chosen(tmp_path, imagery) == {f"scene_2021{best}": 9}


def test_the_newest_year_of_a_yearly_collection(tmp_path: Path) -> None:
    """Its dates are whole years: a range that begins in the middle of one has all of it."""
    FINLAND.place.write_osm(tmp_path / "place.osm.pbf")
    lines = [
        FINLAND.write(tmp_path, str(year), year, start=f"{year}-01-01", end=f"{year + 1}-01-01")
        for year in (2018, 2020, 2021)
    ]
    with serve(write_catalog(tmp_path, *lines)) as server:
        imagery = imagery_values(server.url, collection="finland", start="2018-05-01", end="2020-09-30")
        assert chosen(tmp_path, imagery) == {"2020": 9}


def test_a_record_of_ones_own(tmp_path: Path) -> None:
    """16-bit flights in a project of one's own, with bands, range and terms from the config."""
    own = Product(
        "projects/mine/assets/flights", "north/2023", Place("EPSG:32633", 400_000, 5_000_000, 0.25, SIDE),
        ("blue", "green", "red"), ("red", "green", "blue"), ("2023-05-02T10:00:00Z", "2023-05-02T11:00:00Z"),
        "2023-05-02", "CC0-1.0", "me", dtype="uint16", values=(0, 1100), stretch=(100, 1000, 2),
    )  # fmt: skip
    own.place.write_osm(tmp_path / "place.osm.pbf")
    record = {
        "id": own.id, "bands": list(own.rgb), "gsd_m": 0.25, "value_range": [100, 1000], "gamma": 2,
        "license": "CC0-1.0", "attribution": "me",
    }  # fmt: skip
    with serve(write_catalog(tmp_path, own.write(tmp_path))) as server:
        imagery = imagery_values(server.url, collection=record, **years(own))
        assert run(write_config(tmp_path, imagery)).exit_code == 0
    samples = released(tmp_path)
    assert samples
    for sample in samples:
        col, row, size = sample.window
        assert np.array_equal(
            sample.pixels, own.expected(window_of(tmp_path / "north-2023.tif", col, row, size))
        )
        said = sample.metadata
        assert (said["collection"], said["image_name"], said["date"], said["license"], said["attribution"]) == (
            own.id, "north_2023", "2023-05-02", "CC0-1.0", "me",
        )  # fmt: skip


def test_false_colour_from_further_bands_on_the_same_grid(
    tmp_path: Path, like_the_live_service: Callable[[Product], None]
) -> None:
    like_the_live_service(SENTINEL_2)
    SENTINEL_2.place.write_osm(tmp_path / "place.osm.pbf")
    with serve(write_catalog(tmp_path, SENTINEL_2.write(tmp_path))) as server:
        imagery = imagery_values(
            server.url,
            collection="sentinel-2",
            bands=["B8", "B4", "B3"],
            value_range=[100, 4000],
            **years(SENTINEL_2),
        )
        assert run(write_config(tmp_path, imagery)).exit_code == 0
    sample = released(tmp_path)[0]
    col, row, size = sample.window
    window = window_of(tmp_path / f"{SENTINEL_2.index}.tif", col, row, size)[[7, 3, 2]].transpose(1, 2, 0)
    assert np.array_equal(sample.pixels, shown(window, 100, 4000, 1.4))
