"""Listings: every scene once, whatever the blocks; asked once; and one clear reason where there is none."""

import json
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from pyproj import Transformer
from shapely import box
from shapely.geometry.base import BaseGeometry

from pipeline.errors import Misconfigured, Transient
from pipeline.imagery.collections import find_collection
from pipeline.imagery.earthengine.listing import Listing, list_scenes
from pipeline.sources import EarthEngineSource
from pipeline.store import Store
from tests.imagery.ee_assets import FLOAT, asset, ring, source

TODAY = date(2024, 5, 1)
AREA = box(-122.45, 37.75, -122.35, 37.85)  # within one block


class Service:
    """Answers filters as the REST API documents them."""

    def __init__(self, *assets: dict[str, Any]) -> None:
        self.assets = list(assets)
        self.asked: list[str] = []

    def __call__(self, where: str) -> Iterator[dict[str, Any]]:
        self.asked.append(where)
        terms = re.fullmatch(
            r'(?:startTime >= "(?P<first>[^"]+)" AND startTime < "(?P<after>[^"]+)" AND )?intersects\("(?P<area>.+)"\)',
            where,
        )
        assert terms is not None, where
        geometry = json.loads(terms["area"].replace("'", '"'))
        block = shapely.geometry.shape(geometry)
        for given in self.assets:
            if terms["first"] and not terms["first"] <= given["startTime"] < terms["after"]:
                continue
            if not isinstance(given.get("geometry"), dict) or shapely.geometry.shape(
                given["geometry"]
            ).intersects(block):
                yield given


def naip(index: str, lon: float, lat: float, **values: Any) -> dict[str, Any]:
    """A quarter quad of 6 km around a place."""
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:26910", always_xy=True).transform(lon, lat)
    return asset(
        f"USDA/NAIP/DOQQ/{index}",
        origin=(round(x) - 3000.0, round(y) + 3000.0),
        size=(10_000, 10_000),
        **values,
    )


def listing(
    service: Service,
    store: Store | None = None,
    area: BaseGeometry = AREA,
    config: EarthEngineSource | None = None,
    **values: Any,
) -> Listing:
    config = config or source()
    where = store or Store(f"memory://{id(service)}")
    return list_scenes(where, service, config, find_collection(config), area, **({"today": TODAY} | values))


def ids(found: Listing) -> list[str]:
    return [scene.id for scene in found.scenes]


def test_scenes_best_first_and_the_others_with_a_reason() -> None:
    service = Service(
        naip("m_old", -122.4, 37.8),
        naip("m_new", -122.4, 37.8, start="2021-06-01T00:00:00Z"),
        naip("m_fine", -122.4, 37.8, step=0.3),
        naip("n_two", -122.4, 37.8, bands=("R", "G")),
        naip("m_2018", -122.4, 37.8, start="2018-06-01T00:00:00Z"),
    )
    found = listing(service)
    assert ids(found) == ["m_new", "m_fine", "m_old"]
    assert found.rejected == (("USDA/NAIP/DOQQ/n_two", "lacks_bands: has no band B (it has R, G)"),)
    assert found.fetched == TODAY


def test_an_odd_asset_is_left_out_and_the_others_are_used() -> None:
    nameless = {key: value for key, value in naip("x", -122.4, 37.8).items() if key not in ("id", "name")}
    odd = [
        naip("m_1", -122.4, 37.8) | {"bands": "R, G, B"},
        naip("m_2", -122.4, 37.8) | {"updateTime": 17, "endTime": ["2020"]},
        naip("m_3", -122.4, 37.8) | {"geometry": [1, 2], "properties": 3},
        nameless | {"bands": []},
        nameless,
    ]
    found = listing(Service(*odd[:3], naip("m_0", -122.4, 37.8), *odd[3:]))
    assert ids(found) == ["m_0"]
    assert len(found.rejected) == len(odd)
    assert all(reason.startswith("malformed: ") for _, reason in found.rejected)
    names = [name for name, _ in found.rejected]
    assert names[:3] == [f"USDA/NAIP/DOQQ/m_{n}" for n in (1, 2, 3)]
    assert all(name.startswith("nameless-") for name in names[3:])


def test_least_cloudy_comes_before_newest() -> None:
    def landsat(day: str, cloud: float) -> dict[str, Any]:
        return asset(
            f"LANDSAT/LC08/C02/T1_TOA/LC08_044034_{day.replace('-', '')}",
            bands=dict.fromkeys(("B2", "B3", "B4"), FLOAT), origin=(460_785.0, 4_264_515.0), step=30.0, size=(7661, 7801),
            start=f"{day}T18:40:00Z", CLOUD_COVER=cloud,
        )  # fmt: skip

    service = Service(
        landsat("2021-07-01", 80),
        landsat("2020-07-01", 1.5),
        landsat("2021-06-01", 1.5),
        landsat("2021-08-01", -1),
    )
    found = listing(service, config=source("landsat-8"))
    assert [str(scene.date) for scene in found.scenes] == [
        "2021-06-01",
        "2020-07-01",
        "2021-07-01",
        "2021-08-01",
    ]
    assert [scene.date for scene in listing(service, config=source("landsat-8", max_cloud=10)).scenes] == [
        date(2021, 6, 1),
        date(2020, 7, 1),
    ]


def test_equal_grids_differ_in_gsd_by_distortion_alone_and_are_sorted_by_id() -> None:
    found = listing(Service(naip("m_b", -122.42, 37.8), naip("m_a", -122.38, 37.8)))
    assert found.scenes[0].gsd_m != found.scenes[1].gsd_m
    assert ids(found) == ["m_a", "m_b"]


def test_the_order_does_not_depend_on_the_blocks_or_the_answers() -> None:
    assets = [naip(f"m_{i}", -122.0 + 0.01 * (i % 7 - 3), 38.0 + 0.01 * (i % 5 - 2)) for i in range(20)]
    area = box(-122.1, 37.9, -121.9, 38.1)  # four blocks meet in the middle
    one, other = Service(*assets), Service(*assets[::-1])
    assert listing(one, area=area) == listing(other, area=area)
    assert len(one.asked) == 4
    assert len(listing(one, area=area).scenes) == 20


def test_a_national_image_comes_once() -> None:
    swiss = asset("Switzerland/SWISSIMAGE/orthos/10cm/2020", bands=("R", "G", "B"), crs="EPSG:2056",
        origin=(2_485_000.0, 1_296_000.0), step=0.1, size=(3_500_000, 2_220_000), start="2020-01-01T00:00:00Z")  # fmt: skip
    service = Service(swiss)
    found = listing(service, area=box(7.3, 46.8, 8.2, 47.2), config=source("swissimage", start="2020-08-01"))
    assert ids(found) == ["2020"]
    assert len(service.asked) == 6
    assert 'startTime >= "2020-01-01T00:00:00Z" AND startTime < "2022-01-01T00:00:00Z"' in service.asked[0]


def test_the_last_day_is_included_and_the_end_time_never_asked_for() -> None:
    service = Service(naip("m_a", -122.4, 37.8, start="2021-12-31T20:00:00Z"))
    assert ids(listing(service)) == ["m_a"]
    assert 'startTime < "2022-01-01T00:00:00Z"' in service.asked[0]
    assert "endTime" not in service.asked[0]


def test_only_what_touches_the_area_or_nearly() -> None:
    far = naip("m_far", -122.1, 37.6)  # in the same block, 15 km away
    near = naip("m_near", -122.30, 37.8)  # begins 1.5 km beyond the area
    assert ids(listing(Service(naip("m_in", -122.4, 37.8), near, far))) == ["m_in", "m_near"]


def test_a_scene_beyond_the_edge_of_the_block_is_found() -> None:
    beyond = naip(
        "m_beyond", -122.54, 37.8
    )  # its east edge lies 0.6 km west of the block, which ends at -122.5
    area = box(-122.5, 37.75, -122.4, 37.85)
    assert ids(listing(Service(beyond, naip("m_in", -122.4, 37.8)), area=area)) == ["m_beyond", "m_in"]


def test_an_area_at_the_antimeridian() -> None:
    def ortho(index: str, edges: tuple[float, float, float, float], west: float) -> dict[str, Any]:
        made = asset(
            f"projects/mine/assets/o/{index}",
            crs="EPSG:32601",
            origin=(west, -1_840_000.0),
            step=10.0,
            size=(500, 500),
        )
        return made | {"geometry": {"type": "Polygon", "coordinates": [ring(*edges)]}}

    own = {
        "id": "projects/mine/assets/o",
        "bands": ["R", "G", "B"],
        "gsd_m": 10,
        "license": "x",
        "attribution": "x",
    }
    across = ortho("across", (179.9, -17.0, 180.1, -16.6), 178_000.0)
    service = Service(across)
    area = shapely.MultiPolygon([box(179.95, -16.9, 180, -16.7), box(-180, -16.9, -179.95, -16.7)])
    assert ids(listing(service, area=area, config=source(own))) == ["across"]
    assert all("180.0" in where or "-180.0" in where for where in service.asked)
    assert not any("180.05" in where for where in service.asked)


# kept answers


def test_answers_are_kept_and_asked_for_again_on_demand() -> None:
    store, service = Store("memory://kept"), Service(naip("m_a", -122.4, 37.8))
    first = listing(service, store)
    service.assets.append(naip("m_b", -122.4, 37.8))
    later = date(2024, 6, 1)
    kept = listing(service, store, today=later)
    assert kept == first
    assert kept.fetched == TODAY
    assert len(service.asked) == 1
    fresh = listing(service, store, today=later, relist=True)
    assert ids(fresh) == ["m_a", "m_b"]
    assert fresh.fetched == later
    assert listing(service, store, today=later) == fresh


def test_other_dates_are_another_question_and_other_bands_are_not() -> None:
    store, service = Store("memory://questions"), Service(naip("m_a", -122.4, 37.8))
    listing(service, store)
    listing(service, store, config=source(bands=["R", "G", "B", "N"]))
    listing(service, store, config=source(gsd_m=1.2))
    assert len(service.asked) == 1
    listing(service, store, config=source(end="2021-12-30"))
    assert len(service.asked) == 2


def test_a_grown_area_asks_for_its_new_blocks_only() -> None:
    store, service = Store("memory://grown"), Service(naip("m_a", -122.4, 37.8))
    listing(service, store)
    listing(service, store, box(-122.45, 37.75, -121.9, 37.85))
    assert len(service.asked) == 2


def test_what_is_kept_is_a_geoparquet_table() -> None:
    store, given = Store("memory://table"), naip("m_a", -122.4, 37.8)
    listing(Service(given), store)
    ((key, _),) = list(store.list("listings"))
    assert re.fullmatch(
        r"listings/USDA-NAIP-DOQQ/[0-9a-f]{16}/115-255\.parquet", key
    )  # -122.5..-122, 37.5..38
    table = pq.read_table(pa.BufferReader(store.get(key)))
    assert table.schema.metadata[b"fetched"] == b"2024-05-01"
    assert b"geo" in table.schema.metadata
    (row,) = table.to_pylist()
    assert (row["id"], row["start"]) == (given["id"], given["startTime"])
    assert json.loads(row["asset"]) == given
    assert shapely.from_wkb(row["geometry"]).equals(shapely.geometry.shape(given["geometry"]))


def test_blocks_of_another_day_are_as_old_as_the_oldest_and_the_newer_asset_counts() -> None:
    store = Store("memory://mixed")
    area = box(-122.1, 37.75, -121.9, 37.85)  # two blocks
    service = Service(naip("m_a", -122.0, 37.8))
    listing(service, store, box(-122.1, 37.75, -122.01, 37.85))
    service.assets = [naip("m_a", -122.0, 37.8, updated="2024-05-20T00:00:00Z")]
    found = listing(service, store, area, today=date(2024, 6, 1))
    assert found.fetched == TODAY
    (scene,) = found.scenes
    assert scene.pixels.identity[1] == "2024-05-20T00:00:00Z"


def test_an_asset_without_a_footprint_is_judged_by_its_grid() -> None:
    given = naip("m_a", -122.4, 37.8)
    unbounded = naip("m_b", -122.4, 37.8) | {
        "geometry": {"type": "Polygon", "coordinates": [ring(-180, -90, 180, 90)]}
    }
    del given["geometry"]
    assert ids(listing(Service(given, unbounded))) == ["m_a", "m_b"]


# dead ends


def test_no_scenes_in_the_dates_tells_the_years_that_there_are() -> None:
    store = Store("memory://years")
    service = Service(
        *(naip(f"m_{year}", -122.4, 37.8, start=f"{year}-06-01T00:00:00Z") for year in (2012, 2014, 2018))
    )
    with pytest.raises(Misconfigured) as raised:
        listing(service, store)
    assert "USDA/NAIP/DOQQ has no scenes between 2020-01-01 and 2021-12-31" in str(raised.value)
    assert "it has some of 2012, 2014, 2018: change imagery.start and imagery.end" in str(raised.value)
    assert list(store.list("listings")) == []  # nothing to remember


def test_an_area_outside_of_the_collection() -> None:
    with pytest.raises(Misconfigured, match=r"the area lies outside of the collection.*change the area"):
        listing(Service(naip("m_a", -122.1, 37.6)))  # in the block, not near the area


def test_all_scenes_rejected_tells_every_reason_with_an_example() -> None:
    service = Service(
        naip("c_1", -122.4, 37.8, bands=("N", "R", "G")),
        naip("c_2", -122.4, 37.8, bands=("N", "R", "G")),
        naip("m_1", -122.4, 37.8, step=1.0),
    )
    with pytest.raises(Misconfigured) as raised:
        listing(service, config=source(gsd_m=0.6))
    message = str(raised.value)
    assert "none of the 3 scenes of USDA/NAIP/DOQQ in the area can be used" in message
    assert "lacks_bands 2, for example USDA/NAIP/DOQQ/c_1 has no band B (it has N, R, G)" in message
    assert (
        "other_gsd 1, for example USDA/NAIP/DOQQ/m_1 imagery.gsd_m: 0.6 m is finer than its native 1 m"
        in message
    )


def test_an_unknown_collection_or_an_outage_is_what_the_client_says() -> None:
    def unknown(_where: str) -> Iterator[dict[str, Any]]:
        raise Misconfigured("no such collection")

    def down(_where: str) -> Iterator[dict[str, Any]]:
        yield naip("m_a", -122.4, 37.8)
        raise Transient("down")

    store, config = Store("memory://down"), source()
    for fetch, error in ((unknown, Misconfigured), (down, Transient)):
        with pytest.raises(error):
            list_scenes(store, fetch, config, find_collection(config), AREA, today=TODAY)
    assert list(store.list("listings")) == []  # half an answer is none
