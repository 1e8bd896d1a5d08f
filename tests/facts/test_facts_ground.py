"""Metres on the ground against geodesics, in many CRS and at many latitudes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from pipeline.facts.ground import Ground, ground_of
from pipeline.grid import Floats, from_lonlat, to_lonlat

GEOD = Geod(ellps="WGS84")
TOLERANCE = 0.0002
"""Asked for: 0.2 %. The rest is the reference's: geodesic areas are good to a few 1e-3 m2."""


@st.composite
def places(draw: st.DrawFn) -> tuple[str, float, float]:
    """A CRS and a longitude and latitude where it is in use."""
    name = draw(st.sampled_from(["utm", "EPSG:3857", "EPSG:4326", "EPSG:2056", "EPSG:3035"]))
    if name == "EPSG:2056":
        return name, draw(st.floats(6.0, 10.4)), draw(st.floats(45.9, 47.8))
    if name == "EPSG:3035":
        return name, draw(st.floats(-10.0, 40.0)), draw(st.floats(35.0, 71.0))
    lon, lat = draw(st.floats(-179.0, 179.0)), draw(st.floats(-80.0, 80.0))
    if name == "utm":
        zone = int((lon + 180) // 6) + 1
        return f"EPSG:{32600 + zone if lat >= 0 else 32700 + zone}", lon, lat
    return name, lon, lat


sides = st.floats(20.0, 5000.0)
inner = st.floats(0.0, 1.0)


def patch(crs: str, lon: float, lat: float, side_m: float) -> tuple[float, float, float, float]:
    """A box that is roughly `side_m` metres wide and high on the ground."""
    x, y = from_lonlat(crs).transform(lon, lat)
    north = GEOD.fwd(lon, lat, 0, side_m / 2)
    unit = float(np.hypot(*np.subtract(from_lonlat(crs).transform(north[0], north[1]), (x, y))))
    return x - unit, y - unit, x + unit, y + unit


def geodesic_area(crs: str, ring: Floats) -> float:
    """Area in m2 of a ring of CRS coordinates, its edges followed in small steps."""
    t = np.linspace(0, 1, 10, endpoint=False)[:, None]
    dense = np.concatenate([a + t * (b - a) for a, b in zip(ring, np.roll(ring, -1, axis=0), strict=True)])
    lon, lat = to_lonlat(crs).transform(*dense.T)
    return abs(GEOD.polygon_area_perimeter(lon, lat)[0])


def geodesic_length(crs: str, start: Floats, end: Floats) -> float:
    t = np.linspace(0, 1, 10)[:, None]
    lon, lat = to_lonlat(crs).transform(*(start + t * (end - start)).T)
    return float(GEOD.line_length(lon, lat))


def measured(ground: Ground, share: float, u: float, v: float) -> float:
    return float(ground.areas(np.array([0]), np.array([share]), np.array([u]), np.array([v]))[0])


@settings(max_examples=200, deadline=None)
@given(places(), sides)
def test_area_of_a_whole_patch(place: tuple[str, float, float], side_m: float) -> None:
    crs, lon, lat = place
    x0, y0, x1, y1 = box = patch(crs, lon, lat, side_m)
    expected = geodesic_area(crs, np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))
    ground = ground_of(crs, [box])
    assert abs(measured(ground, 1.0, 0.5, 0.5) / expected - 1) < TOLERANCE
    assert abs(ground.sides[0] ** 2 / expected - 1) < TOLERANCE


@settings(max_examples=200, deadline=None)
@given(places(), sides, inner, inner)
def test_area_of_a_small_square_anywhere_in_the_patch(
    place: tuple[str, float, float], side_m: float, u: float, v: float
) -> None:
    """The case that an area factor of the patch's centre alone would get wrong near the edges."""
    crs, lon, lat = place
    x0, y0, x1, y1 = box = patch(crs, lon, lat, side_m)
    half = min(0.25, 20 / side_m)
    u, v = (half + (1 - 2 * half) * value for value in (u, v))
    corners = np.array([[-half, -half], [half, -half], [half, half], [-half, half]]) + np.array([u, v])
    ring = np.array([x0, y0]) + corners * [x1 - x0, y1 - y0]
    got = measured(ground_of(crs, [box]), (2 * half) ** 2, u, v)
    assert abs(got / geodesic_area(crs, ring) - 1) < TOLERANCE


@settings(max_examples=200, deadline=None)
@given(places(), sides, inner, inner, st.floats(0, 2 * np.pi))
def test_length_of_a_straight_piece_anywhere_in_the_patch(
    place: tuple[str, float, float], side_m: float, u: float, v: float, angle: float
) -> None:
    crs, lon, lat = place
    x0, y0, x1, y1 = box = patch(crs, lon, lat, side_m)
    half = min(0.25, 20 / side_m)
    u, v = (half + (1 - 2 * half) * value for value in (u, v))
    du, dv = 2 * half * np.cos(angle), 2 * half * np.sin(angle)
    scale = np.array([x1 - x0, y1 - y0])
    middle = np.array([x0, y0]) + np.array([u, v]) * scale
    step = np.array([du, dv]) * scale
    expected = geodesic_length(crs, middle - step / 2, middle + step / 2)
    ground = ground_of(crs, [box])
    got = ground.lengths(np.array([0]), *(np.array([value]) for value in (u, v, du, dv)))[0]
    assert abs(got / expected - 1) < TOLERANCE


def test_across_the_antimeridian() -> None:
    """A patch of UTM zone 1 that begins in the eastern hemisphere."""
    x, y = from_lonlat("EPSG:32701").transform(180.0, -17.0)
    box = np.array([x - 500, y - 500, x + 500, y + 500])
    ring = np.array([[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]]])
    expected = geodesic_area("EPSG:32701", ring)
    assert abs(measured(ground_of("EPSG:32701", [box]), 1.0, 0.5, 0.5) / expected - 1) < 1e-5


def test_web_mercator_at_60_degrees() -> None:
    """By the sphere's own rule, a unit is half a metre there; the ellipsoid changes that by 0.2 to 0.4 %."""
    x, y = from_lonlat("EPSG:3857").transform(10.0, 60.0)
    ground = ground_of("EPSG:3857", [[x - 100, y - 100, x + 100, y + 100]])
    length = ground.lengths(
        np.array([0, 0]), *(np.array(v) for v in ([0.5] * 2, [0.5] * 2, [1.0, 0.0], [0.0, 1.0]))
    )
    east = GEOD.inv(
        *to_lonlat("EPSG:3857").transform(x - 100, y), *to_lonlat("EPSG:3857").transform(x + 100, y)
    )[2]
    north = GEOD.inv(
        *to_lonlat("EPSG:3857").transform(x, y - 100), *to_lonlat("EPSG:3857").transform(x, y + 100)
    )[2]
    np.testing.assert_allclose(length, [east, north], rtol=1e-6)
    assert abs(east / 100 - 1) < 0.005


def test_no_patches() -> None:
    assert ground_of("EPSG:32618", np.empty((0, 4))).sides.shape == (0,)
