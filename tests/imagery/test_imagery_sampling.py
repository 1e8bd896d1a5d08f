"""Choosing windows: each piece of ground once, the same choice whatever else is asked for."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from pipeline.config import Sampling
from pipeline.grid import cells_in, from_lonlat, window_outlines
from pipeline.imagery.sampling import Windows, choose_windows
from pipeline.types import Affine6, RasterFile, Scene

WORLD = shapely.box(-180, -90, 180, 90)


def scene(
    name: str,
    west: float,
    north: float,
    width: int,
    height: int,
    *,
    gsd: float = 0.6,
    crs: str = "EPSG:26918",
) -> Scene:
    transform: Affine6 = (gsd, 0.0, west, 0.0, -gsd, north)
    to_lonlat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    footprint = to_lonlat.transform_bounds(west, north - height * gsd, west + width * gsd, north)
    return Scene(
        name,
        RasterFile(f"{name}.tif", "0", (1, 2, 3), None),
        crs,
        transform,
        width,
        height,
        date(2021, 1, 1),
        gsd,
        footprint,
    )


def older(one: Scene) -> Scene:
    return replace(one, date=date(2020, 1, 1))


def choose(
    scenes: Sequence[Scene], sampling: Sampling, *, zoom: int = 12, area: shapely.Geometry = WORLD
) -> list[Windows]:
    footprints = [one.footprint for one in scenes]
    bounds = (
        min(box[0] for box in footprints),
        min(box[1] for box in footprints),
        max(box[2] for box in footprints),
        max(box[3] for box in footprints),
    )
    found = []
    for cell in cells_in(bounds, zoom):
        found += list(choose_windows(cell, scenes, area, sampling, "c"))
    return found


def ids(found: Sequence[Windows]) -> set[str]:
    return {id_ for windows in found for id_ in windows.ids}


ONE = scene("one", 340000, 4372000, 448 * 20 + 100, 448 * 15 + 447)


def test_a_scene_is_tiled_from_its_own_corner_and_every_window_is_whole() -> None:
    found = choose([ONE], Sampling())
    windows = sorted((int(c), int(r)) for w in found for c, r in zip(w.col, w.row, strict=True))
    assert windows == sorted((448 * i, 448 * j) for i in range(20) for j in range(15))
    assert all(w.counts.balanced for w in found)


@pytest.mark.parametrize("zoom", [10, 12, 14, 15])
def test_the_cells_share_the_windows_out_without_loss_or_repeat(zoom: int) -> None:
    found = choose([ONE], Sampling(), zoom=zoom)
    assert sum(len(w.ids) for w in found) == 300
    assert ids(found) == ids(choose([ONE], Sampling()))


@pytest.mark.parametrize(("stride", "columns"), [(0.5, 39), (1.0, 20), (2.0, 10), (2.5, 8)])
def test_stride(stride: float, columns: int) -> None:
    found = choose([ONE], Sampling(stride=stride))
    cols = sorted({int(c) for w in found for c in w.col})
    assert cols == [round(448 * stride) * i for i in range(columns)]


def test_a_scene_smaller_than_a_patch_gives_none() -> None:
    assert choose([scene("tiny", 340000, 4372000, 447, 2000)], Sampling()) == []


def ground(found: Sequence[Windows]) -> geopandas.GeoSeries:
    outlines = []
    for w in found:
        lon, lat = window_outlines(w.scene, w.col, w.row, 448)
        x, y = from_lonlat("EPSG:26918").transform(lon, lat)
        outlines += list(shapely.polygons(np.stack([x, y], axis=-1)))
    return geopandas.GeoSeries(outlines)


@settings(max_examples=15, deadline=None)
@given(
    st.floats(-3000, 3000), st.floats(-2000, 2000), st.sampled_from([0.6, 0.5, 1.0]),
    st.sampled_from(["EPSG:26918", "EPSG:26917", "EPSG:3857"]), st.sampled_from([1.0, 1.5]),
)  # fmt: skip
def test_overlapping_scenes_never_yield_the_same_ground_twice(
    east: float, north: float, gsd: float, crs: str, stride: float
) -> None:
    x, y = Transformer.from_crs("EPSG:26918", crs, always_xy=True).transform(340000 + east, 4372000 + north)
    other = older(scene("other", x, y, 448 * 9 + 50, 448 * 8, gsd=gsd, crs=crs))
    found = choose([ONE, other], Sampling(stride=stride))
    outlines = ground(found)
    left, right = outlines.sindex.query(outlines, predicate="intersects")
    pairs = left < right
    shared = shapely.area(
        shapely.intersection(outlines.to_numpy()[left[pairs]], outlines.to_numpy()[right[pairs]])
    )
    assert (
        shared.max(initial=0) <= 449 * max(gsd, 0.6) ** 2 * 1.7
    )  # one row of pixels, in the coarsest metres here
    assert ids([w for w in found if w.scene.id == "one"]) == ids(choose([ONE], Sampling(stride=stride)))


def test_the_worse_scene_fills_in_where_the_better_one_ends() -> None:
    beside = older(scene("beside", 340000 + 0.6 * 448 * 18, 4372000, 448 * 10, 448 * 10))  # 2 common columns
    found = choose([ONE, beside], Sampling())
    cols = {int(c) for w in found if w.scene.id == "beside" for c in w.col}
    assert cols == {448 * i for i in range(2, 10)}
    dropped = sum(w.counts.rejected.get("overlaps_better_scene", 0) for w in found)
    assert dropped == 2 * 10


def test_an_area_takes_the_windows_whose_centre_it_holds() -> None:
    to_lonlat = Transformer.from_crs("EPSG:26918", "EPSG:4326", always_xy=True)
    ring = [(340000 + dx, 4372000 - dy) for dx, dy in [(300, 300), (2000, 300), (2000, 1500), (300, 1500)]]
    area = shapely.Polygon([to_lonlat.transform(*point) for point in ring])
    found = choose([ONE], Sampling(), area=area)
    expected = sum(
        300 < (i + 0.5) * 268.8 < 2000 and 300 < (j + 0.5) * 268.8 < 1500
        for i in range(20)
        for j in range(15)
    )
    assert len(ids(found)) == expected
    assert sum(w.counts.rejected["outside_area"] for w in found) == 300 - expected


def test_fraction_is_stable_under_growth_and_close_to_its_share() -> None:
    few = ids(choose([ONE], Sampling(fraction=0.3)))
    more = ids(choose([ONE], Sampling(fraction=0.6)))
    assert few < more
    assert 0.2 < len(few) / 300 < 0.4
    neighbour = scene("far", 360000, 4372000, 448 * 4, 448 * 4)
    assert few <= ids(choose([ONE, neighbour], Sampling(fraction=0.3)))
    assert few != ids(choose([ONE], Sampling(fraction=0.3, seed=1)))


def test_ids_do_not_depend_on_where_the_file_lies() -> None:
    moved = replace(ONE, pixels=RasterFile("/elsewhere/one.tif", "1", (1, 2, 3), None))
    assert ids(choose([ONE], Sampling())) == ids(choose([moved], Sampling()))
