"""The join against shapely.intersection, on random, degenerate, giant and real shapes.

Most tests use EPSG:4326 as the CRS of the imagery: then coordinates are what the test says, to the bit.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from pipeline.facts.ground import ground_of
from pipeline.facts.join import BOTTOM, LEFT, RIGHT, TOP, Pairs, join
from pipeline.facts.layer import Shapes, lay_out
from pipeline.grid import Floats, from_lonlat
from tests.benchmarks.bench_facts import elements_of

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
CRS = "EPSG:4326"
UNIT = np.array([[0.0, 0.0, 1.0, 1.0]])


def joined(shapes: list[shapely.Geometry] | Shapes, boxes: npt.ArrayLike, crs: str = CRS) -> Pairs:
    frames = np.asarray(boxes, dtype=np.float64)
    return join(lay_out(np.asarray(shapes, dtype=object), crs), frames, ground_of(crs, frames))


def lattice(n: int, side: float, west: float = 0.0, south: float = 0.0) -> Floats:
    """n x n boxes side by side."""
    x, y = (axis.ravel() * side for axis in np.meshgrid(np.arange(n), np.arange(n)))
    return np.column_stack([west + x, south + y, west + x + side, south + y + side])


def agrees_with_intersection(shapes: Shapes, boxes: Floats, got: Pairs) -> None:
    """Same pairs, and the same share, length and centroid in each, as from geometries cut by shapely."""
    box, element = np.divmod(np.arange(len(boxes) * len(shapes)), len(shapes))
    frames = shapely.box(*boxes.T)
    parts = shapely.intersection(shapes[element], frames[box])
    area = shapely.get_dimensions(shapes)[element] == 2
    size = np.where(area, shapely.area(parts) / shapely.area(frames)[box], shapely.length(parts))
    there = size > 1e-9
    assert list(zip(got.patch, got.element, strict=True)) == list(
        zip(box[there], element[there], strict=True)
    )
    measure = np.where(area[there], got.share, size[there])
    np.testing.assert_allclose(measure, size[there], rtol=1e-9, atol=1e-12)
    at = shapely.get_coordinates(shapely.centroid(parts[there]))
    frame = boxes[box[there]]
    inside = (size > 1e-6)[there] & area[there]
    np.testing.assert_allclose(
        got.x[inside], ((at[:, 0] - frame[:, 0]) / (frame[:, 2] - frame[:, 0]))[inside], atol=1e-6
    )
    np.testing.assert_allclose(
        got.y[inside], ((frame[:, 3] - at[:, 1]) / (frame[:, 3] - frame[:, 1]))[inside], atol=1e-6
    )


# ----------------------------------------------------------------------------------------------- random shapes

integers = st.integers(0, 12)
decimals = st.floats(0, 12, width=32).map(lambda value: round(value, 3))


@st.composite
def polygons(draw: st.DrawFn) -> shapely.Geometry:
    """Polygons with holes and several parts, often with vertices and edges exactly on the boxes' edges."""
    numbers = draw(st.sampled_from([integers, decimals]))
    points = st.tuples(numbers, numbers)
    rings = st.lists(points, min_size=3, max_size=7).map(
        lambda ring: shapely.make_valid(shapely.Polygon(ring))
    )
    plus = shapely.union_all(draw(st.lists(rings, min_size=1, max_size=4)))
    minus = shapely.union_all(draw(st.lists(rings, max_size=3)))
    whole = shapely.buffer(shapely.difference(plus, minus), 0)
    parts = [part for part in shapely.get_parts(whole) if shapely.area(part) > 1e-3]
    found = shapely.MultiPolygon(parts)
    return found if parts and shapely.is_valid(found) else shapely.box(1, 1, 2, 3)


@st.composite
def lines(draw: st.DrawFn) -> shapely.Geometry:
    """Lines that do not run over themselves (intersection would count such a stretch once)."""
    points = draw(st.lists(st.tuples(decimals, decimals), min_size=2, max_size=8, unique=True))
    line = shapely.LineString(points)
    return line if shapely.is_simple(line) else shapely.LineString(points[:2])


@settings(max_examples=150, deadline=None)
@given(st.lists(polygons(), min_size=1, max_size=5), st.sampled_from([1.0, 3.0, 2.5]))
def test_random_polygons(shapes: list[shapely.Geometry], side: float) -> None:
    boxes = lattice(int(12 / side), side)
    agrees_with_intersection(np.array(shapes, dtype=object), boxes, joined(shapes, boxes))


@settings(max_examples=100, deadline=None)
@given(
    polygons(),
    st.lists(st.tuples(integers, integers, st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=20),
)
def test_boxes_of_any_size_that_overlap(
    shape: shapely.Geometry, corners: list[tuple[int, int, int, int]]
) -> None:
    boxes = np.array([(x, y, x + width, y + height) for x, y, width, height in corners], dtype=np.float64)
    agrees_with_intersection(np.array([shape]), boxes, joined([shape], boxes))


@settings(max_examples=100, deadline=None)
@given(st.lists(lines(), min_size=1, max_size=4))
def test_random_lines(shapes: list[shapely.Geometry]) -> None:
    """Lines off the boxes' edges: the same pairs; their lengths in metres against the geodesic of each part."""
    boxes = lattice(4, 3.0, west=0.00042, south=0.00042)
    got = joined(shapes, boxes)
    agrees_with_intersection(np.array(shapes, dtype=object), boxes, got)
    scaled = np.array(shapely.transform(np.array(shapes, dtype=object), lambda xy: xy / 300))
    small = joined(scaled, boxes / 300)
    geod = Geod(ellps="WGS84")
    for patch, element, length in zip(small.patch, small.element, small.length_m, strict=True):
        part = shapely.intersection(scaled[element], shapely.box(*boxes[patch] / 300))
        np.testing.assert_allclose(length, geod.geometry_length(part), rtol=1e-5, atol=1e-3)


@settings(max_examples=100, deadline=None)
@given(polygons())
def test_either_way_round(shape: shapely.Geometry) -> None:
    """Rings may run either way: nothing in the measures depends on it."""
    boxes = lattice(4, 3.0)
    one, other = joined([shape], boxes), joined([shapely.reverse(shape)], boxes)
    np.testing.assert_allclose(one.share, other.share, rtol=1e-12)
    assert one.edges.tolist() == other.edges.tolist()


@settings(max_examples=100, deadline=None)
@given(polygons())
def test_shares_of_side_by_side_patches_add_up(shape: shapely.Geometry) -> None:
    got = joined([shape], lattice(12, 1.0))
    np.testing.assert_allclose(got.share.sum(), shapely.area(shape), rtol=1e-12)


# ------------------------------------------------------------------------------------------- edges and touching


@pytest.mark.parametrize(
    ("shape", "edges"),
    [
        (shapely.box(-1, 0.2, 0.5, 0.4), LEFT),
        (shapely.box(0.5, 0.2, 2, 0.4), RIGHT),
        (shapely.box(0.2, 0.5, 0.4, 2), TOP),
        (shapely.box(0.2, -1, 0.4, 0.5), BOTTOM),
        (shapely.box(-1, -1, 2, 2), LEFT | RIGHT | TOP | BOTTOM),
        (shapely.box(0, 0, 1, 1), 0),  # fills the patch and ends there
        (shapely.box(0, 0, 1, 2), TOP),
        (shapely.box(0.2, 0.2, 0.4, 0.4), 0),
        (shapely.box(0, 0.2, 0.4, 0.4), 0),  # ends on the left edge
        (shapely.LineString([(-1, 0.5), (0.5, 0.5)]), LEFT),
        (shapely.LineString([(-1, 0.5), (2, 0.6)]), LEFT | RIGHT),
        (shapely.LineString([(0.1, 0.1), (0.4, 0.9)]), 0),
        (shapely.LineString([(0.1, 0), (0.4, 0.9)]), 0),
        (shapely.LineString([(0.5, 2), (0.5, -2)]), TOP | BOTTOM),
    ],
)  # fmt: skip
def test_edges_where_an_element_is_cut_off(shape: shapely.Geometry, edges: int) -> None:
    assert joined([shape], UNIT).edges.tolist() == [edges]


def test_an_edge_that_an_area_only_touches_is_not_cut() -> None:
    """A hook: out over the top, to the left outside, with a foot on the left edge from inside."""
    hook = shapely.Polygon(
        [(0, 0.2), (0.5, 0.2), (0.5, 1.5), (-1, 1.5), (-1, 1.2), (0.3, 1.2), (0.3, 0.4), (0, 0.4)]
    )
    got = joined([hook], UNIT).edges.tolist()
    assert got[0] & TOP
    assert not got[0] & (RIGHT | BOTTOM)


def test_polygons_that_only_touch_are_no_pairs() -> None:
    around = [
        shapely.box(-1, 0, 0, 1),
        shapely.box(1, 0, 2, 1),
        shapely.box(0, 1, 1, 2),
        shapely.box(0, -1, 1, 0),
    ]
    assert len(joined([*around, shapely.box(1, 1, 2, 2)], UNIT).patch) == 0


def test_points_and_lines_on_a_common_edge_belong_to_one_patch() -> None:
    shapes = [
        shapely.Point(1, 0.5), shapely.Point(0.5, 1), shapely.Point(1, 1), shapely.Point(0, 2), shapely.Point(2, 2),
        shapely.LineString([(1, 0.2), (1, 0.8)]), shapely.LineString([(0.2, 1), (0.8, 1)]),
    ]  # fmt: skip
    got = joined(shapes, lattice(2, 1.0))  # 0 lower left, 1 lower right, 2 upper left, 3 upper right
    assert sorted(zip(got.element, got.patch, strict=True)) == [
        (0, 1),
        (1, 0),
        (2, 1),
        (3, 2),
        (5, 1),
        (6, 0),
    ]


def test_position_of_a_point_counts_from_the_upper_left() -> None:
    got = joined([shapely.Point(0.25, 0.9)], UNIT)
    assert (got.x[0], got.y[0]) == pytest.approx((0.25, 0.1))


def test_a_hole_around_the_patch() -> None:
    ring = shapely.difference(shapely.box(-9, -9, 9, 9), shapely.box(-1, -1, 2, 2))
    assert len(joined([ring], UNIT).patch) == 0


def test_elements_beyond_the_reach_of_the_crs_are_left_out() -> None:
    """UTM is not defined 90 degrees from its meridian."""
    x, y = from_lonlat("EPSG:32618").transform(-75.0, 40.0)
    box = [[x, y, x + 300, y + 300]]
    far = shapely.Polygon([(-75, 39.9), (-74.9, 40.1), (15, 0.1)])
    near = shapely.box(-75.1, 39.9, -74.9, 40.1)
    assert joined([far, near], box, "EPSG:32618").element.tolist() == [1]


def test_nothing_to_join() -> None:
    assert len(joined([shapely.Point(5, 5)], UNIT).patch) == 0
    assert len(joined([shapely.Point(5, 5)], np.empty((0, 4))).patch) == 0


# ------------------------------------------------------------------------------------------------ giant and real


def test_a_giant_polygon() -> None:
    """200,000 vertices over 2,809 patches; the flat join with intersection takes about 36 s."""
    angle = np.linspace(0, 2 * np.pi, 200_000, endpoint=False)
    radius = 24 * (
        1 + 0.05 * np.sin(40 * angle) + 1e-6 * np.random.default_rng(1).standard_normal(len(angle))
    )
    giant = shapely.Polygon(np.column_stack([30 + radius * np.cos(angle), 30 + radius * np.sin(angle)]))
    boxes = lattice(53, 1.0, west=3.5, south=3.5)
    got = joined([giant], boxes)
    np.testing.assert_allclose(got.share.sum(), shapely.area(giant), rtol=1e-11)
    shapely.prepare(giant)
    full = shapely.contains_properly(giant, shapely.box(*boxes[got.patch].T))
    assert (got.share[full] == 1.0).all()
    assert (got.edges[full] == LEFT | RIGHT | TOP | BOTTOM).all()
    some = np.flatnonzero(~full)[::100]
    expected = shapely.area(shapely.intersection(giant, shapely.box(*boxes[got.patch[some]].T)))
    np.testing.assert_allclose(got.share[some], expected, rtol=1e-9)


def test_real_elements() -> None:
    """Monaco in UTM, every element, patches of 150 m."""
    path = DATA / "osm" / "monaco-2023.osm.pbf"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    crs = "EPSG:32632"
    shapes = shapely.from_wkb(elements_of(path).column("geometry").to_numpy())
    layer = lay_out(shapes, crs)
    plane = shapely.transform(shapes, lambda xy: np.column_stack(from_lonlat(crs).transform(*xy.T)))
    west, south, *_ = np.percentile(layer.bounds, 5, axis=0)
    boxes = lattice(20, 150.0, west, south)
    got = join(layer, boxes, ground_of(crs, boxes))

    frames = shapely.box(*boxes.T)
    patch, element = shapely.STRtree(plane).query(frames, predicate="intersects")
    parts = shapely.intersection(plane[element], frames[patch])
    kind = shapely.get_dimensions(plane)[element]
    size = np.choose(kind, [np.ones(len(kind)), shapely.length(parts) / 150, shapely.area(parts) / 150**2])
    there = size > 1e-9
    order = np.lexsort((element[there], patch[there]))
    assert list(zip(got.patch, got.element, strict=True)) == list(
        zip(patch[there][order], element[there][order], strict=True)
    )
    area, line = kind[there][order] == 2, kind[there][order] == 1
    np.testing.assert_allclose(got.share[area], size[there][order][area], rtol=1e-9, atol=1e-11)
    # UTM is 0.2 per mille short here, and intersection() dissolves stretches that a line runs twice
    ratio = got.length_m[line] / (150 * size[there][order][line])
    assert np.percentile(ratio, [1, 99]) == pytest.approx([1.0002, 1.0002], abs=1e-5)
