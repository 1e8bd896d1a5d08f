"""Cells and windows against mercantile, rasterio and pyproj."""

from datetime import date

import mercantile
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from pipeline.grid import (
    cell_bounds,
    cell_of,
    cells_in,
    crs_to_pixel,
    neighbourhood,
    parse_cell,
    patch_id,
    pixel_to_crs,
    surroundings,
    window_centers,
    window_outlines,
)
from pipeline.types import RasterFile, Scene

lons = st.floats(-179.999, 179.999)
lats = st.floats(-85, 85)

SCENE = Scene(
    "s", RasterFile("s.tif", "0", (1, 2, 3), None), "EPSG:26918", (0.6, 0.0, 340000.0, 0.0, -0.6, 4372000.0),
    6000, 5000, date(2021, 6, 15), 0.6, (-77.0, 39.0, -76.0, 40.0),
)  # fmt: skip


@given(lons, lats, st.integers(0, 18))
def test_cell_of_is_mercantiles_tile(lon: float, lat: float, zoom: int) -> None:
    x, y = cell_of(lon, lat, zoom)
    tile = mercantile.tile(lon, lat, zoom)
    # the two may disagree on which side of a cell's edge a point within float rounding lies
    bounds = mercantile.bounds(int(x), int(y), zoom)
    assert (x, y) == (tile.x, tile.y) or (
        bounds.west - 1e-9 <= lon <= bounds.east + 1e-9 and bounds.south - 1e-9 <= lat <= bounds.north + 1e-9
    )


def test_the_poles_fall_into_the_outermost_cells() -> None:
    assert cell_of(0.0, 90.0, 3)[1] == 0
    assert cell_of(0.0, -90.0, 3)[1] == 7


@given(lons, lats, st.floats(0.001, 0.4), st.floats(0.001, 0.4))
def test_cells_in_a_box_are_those_that_mercantile_lists(
    lon: float, lat: float, width: float, height: float
) -> None:
    box = (lon, min(lat, 84), min(lon + width, 179.9999), min(lat, 84) + height)
    if box[0] >= box[2]:
        return
    ours = set(cells_in(box, 9))
    theirs = {f"9-{tile.x}-{tile.y}" for tile in mercantile.tiles(*box, zooms=9)}
    assert theirs <= ours
    for name in ours - theirs:  # mercantile leaves out cells touched along an edge only
        west, south, east, north = cell_bounds(name)
        assert min(abs(box[2] - west), abs(box[1] - north), abs(box[0] - east), abs(box[3] - south)) < 1e-6


def test_a_box_over_the_antimeridian_has_cells_on_both_sides() -> None:
    names = cells_in((179.9, 0.1, -179.9, 0.2), 6)
    assert {parse_cell(name).x for name in names} == {0, 63}


def test_neighbourhood_wraps_at_the_antimeridian_and_stops_at_the_poles() -> None:
    assert len(neighbourhood("5-0-3")) == 9
    assert "5-31-3" in neighbourhood("5-0-3")
    assert len(neighbourhood("5-7-0")) == 6


@pytest.mark.parametrize("name", ["12-927-1676", "5-0-3", "5-31-3", "5-7-0", "5-7-31", "1-0-0", "0-0-0"])
def test_surroundings_cover_the_neighbourhood(name: str) -> None:
    boxes = shapely.union_all([shapely.box(*box) for box in surroundings(name)])
    cells = shapely.union_all([shapely.box(*cell_bounds(cell)) for cell in neighbourhood(name)])
    assert shapely.equals(boxes, cells)
    tile = parse_cell(name)
    assert cell_bounds(name) == tuple(mercantile.bounds(tile))


@given(st.floats(-10, 7000), st.floats(-10, 7000))
def test_pixel_and_crs_are_inverse_and_agree_with_affine(col: float, row: float) -> None:
    x, y = pixel_to_crs(SCENE.transform, col, row)
    assert (float(x), float(y)) == pytest.approx(Affine(*SCENE.transform) @ (col, row), abs=1e-6)
    back = crs_to_pixel(SCENE.transform, x, y)
    assert [float(value) for value in back] == pytest.approx([col, row], abs=1e-6)


def test_window_centers_and_outlines() -> None:
    col, row = np.array([0, 448]), np.array([0, 896])
    lon, lat = window_centers(SCENE, col, row, 448)
    to_utm = Transformer.from_crs("EPSG:4326", "EPSG:26918", always_xy=True)
    x, y = to_utm.transform(lon, lat)
    assert x == pytest.approx([340000 + 224 * 0.6, 340000 + 672 * 0.6], abs=1e-3)
    assert y == pytest.approx([4372000 - 224 * 0.6, 4372000 - 1120 * 0.6], abs=1e-3)
    ring_lon, ring_lat = window_outlines(SCENE, col, row, 448, steps=4)
    assert ring_lon.shape == (2, 16)
    ring_x, ring_y = to_utm.transform(ring_lon[0], ring_lat[0])
    assert (min(ring_x), max(ring_x)) == pytest.approx((340000, 340000 + 268.8), abs=1e-3)
    assert (min(ring_y), max(ring_y)) == pytest.approx((4372000 - 268.8, 4372000), abs=1e-3)


def test_patch_ids_depend_on_everything_that_defines_a_patch() -> None:
    base = ("c", "s", 0, 448, 448)
    others = [
        ("d", "s", 0, 448, 448),
        ("c", "t", 0, 448, 448),
        ("c", "s", 448, 448, 448),
        ("c", "s", 0, 0, 448),
        ("c", "s", 0, 448, 256),
    ]
    ids = {patch_id(*args) for args in [base, *others]}
    assert len(ids) == 6
    assert all(len(id_) == 16 for id_ in ids)
    assert patch_id(*base) == patch_id(*base)
