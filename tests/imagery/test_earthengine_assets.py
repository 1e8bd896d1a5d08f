"""Assets shaped like the real ones become scenes, or say why not."""

import copy
import math
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS, Geod, Transformer
from shapely import box

from pipeline.imagery.collections import find_collection
from pipeline.imagery.earthengine.assets import Rejection, Why, make_scene, scene_id
from pipeline.sources import EarthEngineSource
from pipeline.types import Asset, Scene
from tests.imagery.ee_assets import FLOAT, UINT8, UINT16, asset, source

OWN = {
    "id": "projects/mine/assets/flights",
    "bands": ["R", "G", "B"],
    "gsd_m": 1,
    "license": "CC0-1.0",
    "attribution": "me",
}


def make(given: dict[str, Any], config: EarthEngineSource) -> Scene | Rejection:
    return make_scene(given, find_collection(config), config)


def scene(given: dict[str, Any], config: EarthEngineSource | None = None) -> Scene:
    made = make(given, config or source())
    assert isinstance(made, Scene), made
    return made


def rejection(given: dict[str, Any], config: EarthEngineSource | None = None) -> Rejection:
    made = make(given, config or source())
    assert isinstance(made, Rejection), made
    return made


def test_an_asset_of_naip() -> None:
    found = scene(asset())
    assert found.id == "m_3712213_sw_10_060_20200524"
    assert found.pixels == Asset(
        "USDA/NAIP/DOQQ/m_3712213_sw_10_060_20200524", "2024-01-01T00:00:00Z", ("R", "G", "B"), "uint8"
    )
    assert (found.crs, found.width, found.height) == ("EPSG:26910", 6000, 6000)
    assert found.transform == (0.6, 0.0, 545_400.0, 0.0, -0.6, 4_184_400.0)
    assert (found.date, found.cloud) == (date(2020, 5, 24), None)
    assert found.gsd_m == pytest.approx(0.6, rel=0.001)
    to_lonlat = Transformer.from_crs("EPSG:26910", "EPSG:4326", always_xy=True)
    west, north = to_lonlat.transform(545_400, 4_184_400)
    east, south = to_lonlat.transform(549_000, 4_180_800)
    assert box(*found.footprint).buffer(1e-9).covers(box(west, south, east, north))
    assert found.footprint == pytest.approx((west, south, east, north), abs=1e-3)


def test_bands_in_the_order_asked_for() -> None:
    found = scene(asset(), source(bands=["B", "G", "R", "N"]))
    assert isinstance(found.pixels, Asset)
    assert found.pixels.bands == ("B", "G", "R", "N")


SHAPES: list[tuple[str, dict[str, Any], str, tuple[str, str, str]]] = [
    ("swissimage", {"id_": "Switzerland/SWISSIMAGE/orthos/10cm/2020", "bands": ("R", "G", "B"), "crs": "EPSG:2056",
        "origin": (2_485_000.0, 1_296_000.0), "step": 0.1, "size": (3_500_000, 2_220_000), "start": "2020-01-01T00:00:00Z"},
        "uint8", ("R", "G", "B")),
    ("brandenburg", {"id_": "Germany/Brandenburg/orthos/20cm/dop_33404-5690", "bands": ("N", "R", "G", "B"),
        "crs": "EPSG:25833", "origin": (404_000.0, 5_691_000.0), "step": 0.2, "size": (5000, 5000)}, "uint8", ("R", "G", "B")),
    ("finland", {"id_": "Finland/SMK/V/50cm/L4133B", "bands": ("R", "G", "B"), "crs": "EPSG:3067",
        "origin": (386_000.0, 6_678_000.0), "step": 0.5, "size": (12000, 12000)}, "uint8", ("R", "G", "B")),
    ("spain", {"id_": "Spain/PNOA/PNOA10/2020_Albacete", "bands": ("R", "G", "B"), "crs": "EPSG:25830",
        "origin": (597_000.0, 4_318_000.0), "step": 0.1, "size": (60000, 60000)}, "uint8", ("R", "G", "B")),
    ("skysat-rgb", {"id_": "SKYSAT/GEN-A/PUBLIC/ORTHO/RGB/s01_20200304T080608Z", "bands": ("R", "G", "B"),
        "crs": "EPSG:32637", "origin": (200_000.0, 3_400_000.0), "step": 0.8, "size": (9000, 12000)}, "uint8", ("R", "G", "B")),
    ("skysat-ms", {"id_": "SKYSAT/GEN-A/PUBLIC/ORTHO/MULTISPECTRAL/s01_20200304T080608Z", "bands": dict.fromkeys("BGRN", UINT16),
        "crs": "EPSG:32637", "origin": (200_000.0, 3_400_000.0), "step": 2.0, "size": (3600, 4800)}, "uint16", ("R", "G", "B")),
    ("sentinel-2", {"id_": "COPERNICUS/S2_SR_HARMONIZED/20200701T100031_20200701T100028_T32TMT",
        "bands": dict.fromkeys(("B2", "B3", "B4", "B8"), UINT16), "crs": "EPSG:32632", "origin": (399_960.0, 5_300_040.0),
        "step": 10.0, "size": (10980, 10980), "CLOUDY_PIXEL_PERCENTAGE": 3.5}, "uint16", ("B4", "B3", "B2")),
    ("landsat-8", {"id_": "LANDSAT/LC08/C02/T1_TOA/LC08_044034_20200701", "bands": dict.fromkeys(("B2", "B3", "B4"), FLOAT),
        "crs": "EPSG:32610", "origin": (460_785.0, 4_264_515.0), "step": 30.0, "size": (7661, 7801), "CLOUD_COVER": 0.02},
        "float32", ("B4", "B3", "B2")),
    ("landsat-9", {"id_": "LANDSAT/LC09/C02/T1_TOA/LC09_044034_20211231", "bands": dict.fromkeys(("B2", "B3", "B4"), FLOAT),
        "crs": "EPSG:32610", "origin": (460_785.0, 4_264_515.0), "step": 30.0, "size": (7661, 7801), "CLOUD_COVER": 7.0,
        "start": "2021-12-31T18:39:00.12Z"}, "float32", ("B4", "B3", "B2")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shape", "dtype", "bands"), SHAPES, ids=[name for name, *_ in SHAPES])
def test_every_collection(name: str, shape: dict[str, Any], dtype: str, bands: tuple[str, ...]) -> None:
    given = asset(**shape)
    found = scene(given, source(name))
    assert isinstance(found.pixels, Asset)
    assert (found.pixels.id, found.pixels.dtype, found.pixels.bands) == (shape["id_"], dtype, bands)
    assert found.id == shape["id_"].rpartition("/")[2]
    assert found.crs == shape["crs"]
    assert found.gsd_m == pytest.approx(shape["step"], rel=0.004)  # distortion of the national grids
    assert found.cloud == shape.get("CLOUDY_PIXEL_PERCENTAGE", shape.get("CLOUD_COVER"))


def test_a_year_counts_as_a_whole() -> None:
    given = asset(**SHAPES[0][1])  # starts on 1 January 2020
    assert scene(given, source("swissimage", start="2020-06-01", end="2020-07-01")).date == date(2020, 1, 1)
    assert rejection(given, source("swissimage", start="2021-01-01")).why == Why.OUTSIDE_DATES


def test_a_crs_as_text() -> None:
    given = asset()
    for band in given["bands"]:
        band["grid"] = band["grid"] | {"crsWkt": CRS.from_epsg(26910).to_wkt()}
        del band["grid"]["crsCode"]
    found = scene(given)
    assert found.crs.startswith("PROJCRS")
    assert found.footprint == pytest.approx(scene(asset()).footprint, abs=1e-9)


def test_an_origin_of_zero_is_absent() -> None:
    given = asset(crs="EPSG:3857", origin=(0.0, 6_000_000.0))
    assert "translateX" not in given["bands"][0]["grid"]["affineTransform"]
    assert scene(given).transform[2] == 0.0


def test_a_name_without_an_id() -> None:
    given = asset()
    del given["id"]
    assert scene(given).id == "m_3712213_sw_10_060_20200524"
    assert scene_id("USDA/NAIP/DOQQ/2020/m_1.v2", "USDA/NAIP/DOQQ") == "2020_m_1_v2"
    assert "." not in scene_id("users/me/x.y", "USDA/NAIP/DOQQ")


# coarser pixels


@pytest.mark.parametrize(
    ("asked", "factor", "level", "size"),
    [(0.1, 1, 1, (1005, 701)), (0.4, 1, 4, (251, 175)), (0.5, 5, 1, (201, 140)), (0.6, 3, 2, (167, 116))],
)
def test_a_multiple_of_the_native_gsd(asked: float, factor: int, level: int, size: tuple[int, int]) -> None:
    shape = SHAPES[0][1] | {"size": (1005, 701)}
    found = scene(asset(**shape), source("swissimage", gsd_m=asked))
    assert isinstance(found.pixels, Asset)
    assert (found.pixels.factor, found.pixels.level) == (factor, level)
    assert (found.width, found.height) == size  # what is left over is dropped
    assert found.transform == pytest.approx((asked, 0, 2_485_000, 0, -asked, 1_296_000), rel=1e-12)
    assert found.gsd_m == pytest.approx(asked, rel=1e-3)


AVERAGED, NATIVE = (3, 2), (6, 1)


@pytest.mark.parametrize(
    ("whole", "red", "infrared", "asked"),
    [(None, "MEAN", "MEAN", AVERAGED), (None, None, None, AVERAGED), (None, "PYRAMIDING_POLICY_UNSPECIFIED", None, AVERAGED),
     (None, "MODE", "MEAN", NATIVE), (None, "SAMPLE", "MEAN", NATIVE), (None, "MEDIAN", "MEAN", NATIVE),
     (None, "MEAN", "MODE", AVERAGED), ("MODE", None, None, NATIVE), ("MODE", "MEAN", None, NATIVE), ("MEAN", None, None, AVERAGED)],
)  # fmt: skip
def test_levels_that_are_no_means_are_not_asked_for(
    whole: str | None, red: str | None, infrared: str | None, asked: tuple[int, int]
) -> None:
    given = asset() | ({} if whole is None else {"pyramidingPolicy": whole})
    for band, policy in ((given["bands"][0], red), (given["bands"][3], infrared)):
        if policy is not None:
            band["pyramidingPolicy"] = policy
    found = scene(given, source(gsd_m=3.6))  # the infrared is not asked for
    assert isinstance(found.pixels, Asset)
    assert (found.pixels.factor, found.pixels.level) == asked
    assert found.pixels.identity[-1] == 6
    assert found.transform == pytest.approx((3.6, 0, 545_400, 0, -3.6, 4_184_400), rel=1e-12)


@pytest.mark.parametrize(
    ("asked", "words"),
    [(0.3, "0.3 m is finer than its native 0.6 m"), (0.9, "0.9 m is not a whole multiple of its native 0.6 m"),
     (0.25, "is finer"), (1.25, "is not a whole multiple")],
)  # fmt: skip
def test_other_gsds_are_rejected(asked: float, words: str) -> None:
    found = rejection(asset(), source(gsd_m=asked))
    assert found.why == Why.OTHER_GSD
    assert words in found.message


def test_degrees_are_measured_on_the_ground() -> None:
    step = 1e-5  # 1.11 m north-south, 0.79 m east-west at 45 degrees
    config = source(OWN)
    given = asset(
        "projects/mine/assets/flights/a", crs="EPSG:4326", origin=(8.0, 45.0), step=step, size=(1000, 1000)
    )
    geod = Geod(ellps="WGS84")
    _, _, east = geod.inv(8.0, 44.995, 8.0 + step, 44.995)
    _, _, north = geod.inv(8.0, 44.995, 8.0, 44.995 + step)
    native = math.sqrt(east * north)
    assert scene(given, config).gsd_m == pytest.approx(native, rel=1e-6)
    doubled = scene(given, config.model_copy(update={"gsd_m": round(2 * native, 2)}))
    assert isinstance(doubled.pixels, Asset)
    assert doubled.pixels.native_px == 2


# rejections


def on_another_grid(given: dict[str, Any], **changes: Any) -> dict[str, Any]:
    grid = given["bands"][2]["grid"]
    given["bands"][2]["grid"] = grid | {"affineTransform": grid["affineTransform"] | changes}
    return given


def all_grids(given: dict[str, Any], **changes: Any) -> dict[str, Any]:
    for band in given["bands"]:
        band["grid"] = band["grid"] | changes
    return given


ROTATED = {"scaleX": 0.5, "shearX": 0.1, "scaleY": -0.5, "shearY": 0.1, "translateX": 1.0, "translateY": 1.0}
S2 = SHAPES[6][1]
WRONG: list[tuple[str, dict[str, Any], dict[str, Any], Why, str]] = [
    ("n_ has no infrared", asset(bands=("R", "G", "B")), {"bands": ["R", "G", "B", "N"]}, Why.LACKS_BANDS,
     "has no band N (it has R, G, B)"),
    ("c_ has no blue", asset("USDA/NAIP/DOQQ/c_1", bands=("N", "R", "G")), {}, Why.LACKS_BANDS, "has no band B"),
    ("no bands", {"type": "IMAGE", "id": "USDA/NAIP/DOQQ/x"}, {}, Why.LACKS_BANDS, "it has none"),
    ("a table", {"type": "TABLE", "id": "USDA/NAIP/DOQQ/x"}, {}, Why.NOT_AN_IMAGE, "is a TABLE"),
    ("shifted", on_another_grid(asset(), translateX=545_400.3), {}, Why.MANY_GRIDS, "different grids"),
    ("another step", on_another_grid(asset(), scaleX=1.2, scaleY=-1.2), {}, Why.MANY_GRIDS, "B 1.2"),
    ("rotated", all_grids(asset(), affineTransform=ROTATED), {}, Why.ROTATED_GRID, "rotated"),
    ("south-up", all_grids(asset(), affineTransform={"scaleX": 1, "scaleY": 1}), {}, Why.ROTATED_GRID, "not north-up"),
    ("no grid", all_grids(asset(), dimensions={}), {}, Why.NO_GRID, "has no pixel grid"),
    ("no CRS", all_grids(asset(), crsCode=""), {}, Why.NO_GRID, "has no pixel grid"),
    ("a CRS that is none", all_grids(asset(), crsCode="SR-ORG:6974"), {}, Why.UNKNOWN_CRS, "SR-ORG:6974"),
    ("off its CRS", all_grids(asset(), crsCode="EPSG:4326"), {}, Why.NO_GRID, "no place in its CRS"),
    ("complex", asset(bands={key: {"precision": "COMPLEX"} for key in "RGB"}), {}, Why.UNKNOWN_TYPE, "COMPLEX"),
    ("64 bits", asset(bands={key: {"precision": "INT", "range": {"max": 2 ** 40}} for key in "RGB"}), {}, Why.UNKNOWN_TYPE, ""),
    ("no range", asset(bands={key: {"precision": "INT"} for key in "RGB"}), {}, Why.UNKNOWN_TYPE,
     "band R has whole numbers of an unknown range"),
    ("mixed types", asset(bands={"R": UINT8, "G": UINT8, "B": UINT16}), {}, Why.MANY_TYPES, "B uint16"),
    ("too old", asset(start="2019-12-31T23:59:59Z"), {}, Why.OUTSIDE_DATES, "of 2019-12-31"),
    ("too new", asset(start="2022-01-01T00:00:00Z"), {}, Why.OUTSIDE_DATES, "not between 2020-01-01 and 2021-12-31"),
    ("no date", asset() | {"startTime": ""}, {}, Why.OUTSIDE_DATES, "no start time"),
    ("one image of two years", asset("Germany/Brandenburg/orthos/20cm", start="2022-08-23T00:00:00Z") | {"endTime": "2023-01-20"},
     {"collection": "brandenburg"}, Why.OUTSIDE_DATES, "is of 2022-08-23 to 2023-01-20, not between"),
    ("cloudy", asset(**(S2 | {"CLOUDY_PIXEL_PERCENTAGE": 20.5})), {"collection": "sentinel-2", "max_cloud": 20},
     Why.CLOUDY, "has 20.5 % clouds"),
    ("clouds not measured", asset(**(S2 | {"CLOUDY_PIXEL_PERCENTAGE": -1})), {"collection": "sentinel-2", "max_cloud": 20},
     Why.CLOUDY, "does not tell"),
]  # fmt: skip


BAND = asset()["bands"][0]
ODD: list[tuple[str, dict[str, Any], str]] = [
    ("bands no list", asset() | {"bands": {"R": {}}}, "bands: "),
    ("bands a number", asset() | {"bands": 3}, "bands: "),
    ("a band that is text", asset() | {"bands": ["R", "G", "B"]}, "bands.0: "),
    ("a band's id", asset() | {"bands": [BAND | {"id": ["R"]}]}, "has no band R"),
    ("a grid that is text", all_grids(asset(), affineTransform="0.6,0,545400"), "affineTransform: "),
    ("a word for a number", all_grids(asset(), affineTransform={"scaleX": "wide"}), "scaleX: "),
    ("no number", all_grids(asset(), affineTransform={"scaleX": 0.6, "translateX": "NaN"}), "translateX: "),
    ("endless", all_grids(asset(), affineTransform={"scaleX": "Infinity"}), "scaleX: "),
    ("half a pixel", all_grids(asset(), dimensions={"width": 100.5, "height": 3}), "width: "),
    ("too wide", all_grids(asset(), dimensions={"width": 10**400, "height": 3}), "width: "),
    ("a CRS that is a number", all_grids(asset(), crsCode=26910), "crsCode: "),
    ("a type that is text", asset() | {"bands": [BAND | {"dataType": "INT"}] * 3}, "has no band G"),
    ("limits that are a list", asset(bands={key: {"precision": "INT", "range": [0, 255]} for key in "RGB"}), "range: "),
    ("properties a list", asset() | {"properties": ["CLOUD_COVER"]}, "properties: "),
    ("a start that is a number", asset() | {"startTime": 1590278400000}, "startTime: "),
    ("a start that is no day", asset() | {"startTime": "2020-13-45T00:00:00Z"}, "start time is no time"),
    ("a change that is a number", asset() | {"updateTime": 5}, "updateTime: "),
    ("an id that is a number", asset() | {"id": 7}, "id: "),
    ("no name at all", {key: value for key, value in asset().items() if key not in ("id", "name")}, "neither id nor name"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "words"), [case[1:] for case in ODD], ids=[case[0] for case in ODD])
def test_odd_descriptions_reject_their_asset_alone(given: dict[str, Any], words: str) -> None:
    found = rejection(given)
    assert found.why == (Why.LACKS_BANDS if "no band" in words else Why.MALFORMED)
    assert words in found.message


@given(st.data())
def test_whatever_stands_in_an_asset_it_is_a_scene_or_a_reason(data: st.DataObject) -> None:
    """One value anywhere in a good description is replaced by one of JSON's."""
    changed = copy.deepcopy(asset(**SHAPES[6][1]))
    spot: Any = changed
    while True:
        key = data.draw(st.sampled_from(list(spot) if isinstance(spot, dict) else list(range(len(spot)))))
        if not isinstance(spot[key], dict | list) or not spot[key] or data.draw(st.booleans()):
            break
        spot = spot[key]
    spot[key] = data.draw(_JSON)
    for config in (source("sentinel-2"), source("sentinel-2", gsd_m=20, max_cloud=50)):
        made = make(changed, config)
        assert made.why in Why if isinstance(made, Rejection) else isinstance(made.pixels, Asset)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.just("Infinity"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("given", "config", "why", "words"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG]
)
def test_what_cannot_be_used(given: dict[str, Any], config: dict[str, Any], why: Why, words: str) -> None:
    found = rejection(given, source(**config))
    assert (found.asset, found.why) == (given["id"], why)
    assert words in found.message


def test_the_last_day_counts_and_a_cloud_at_the_limit_passes() -> None:
    scene(asset(start="2021-12-31T23:59:59Z"))
    config = source("sentinel-2", max_cloud=20)
    assert scene(asset(**(S2 | {"CLOUDY_PIXEL_PERCENTAGE": 20})), config).cloud == 20
    assert scene(asset(**(S2 | {"CLOUDY_PIXEL_PERCENTAGE": -1})), source("sentinel-2")).cloud is None


@pytest.mark.parametrize(
    ("limits", "dtype"),
    [({"max": 255}, "uint8"), ({"min": -128, "max": 127}, "int8"), ({"max": 4095}, "uint16"),
     ({"min": -32768, "max": 32767}, "int16"), ({"max": 2**32 - 1}, "uint32"), ({"min": -1, "max": 40000}, "int32")],
)  # fmt: skip
def test_types_of_integers(limits: dict[str, int], dtype: str) -> None:
    given = asset(bands={key: {"precision": "INT", "range": limits} for key in "RGB"})
    found = scene(given, source(value_range=[0, 255]))
    assert isinstance(found.pixels, Asset)
    assert found.pixels.dtype == dtype
