"""Scenes that are equally good share the ground they have in common, along its middle."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from pipeline.config import Sampling
from pipeline.grid import cells_in, from_lonlat, window_outlines
from pipeline.imagery.sampling import Windows, choose_windows
from pipeline.types import RasterFile, Scene

WORLD = shapely.box(-180, -90, 180, 90)
UTM18 = "EPSG:26918"
X, Y = 340_000.0, 4_372_000.0
PATCH_M = 448 * 0.6


def scene(
    name: str, east: float, south: float, columns: float, rows: float, *, gsd: float = 0.6, crs: str = UTM18
) -> Scene:
    """A scene so many patches of 0.6 m east and south of a corner, of so many patches of its own."""
    x, y = Transformer.from_crs(UTM18, crs, always_xy=True).transform(X + east * PATCH_M, Y - south * PATCH_M)
    width, height = round(columns * 448), round(rows * 448)
    to_lonlat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    return Scene(
        id=name,
        pixels=RasterFile(f"{name}.tif", "0", (1, 2, 3), None),
        crs=crs,
        transform=(gsd, 0.0, x, 0.0, -gsd, y),
        width=width,
        height=height,
        date=date(2021, 6, 1),
        gsd_m=gsd,
        footprint=to_lonlat.transform_bounds(x, y - height * gsd, x + width * gsd, y),
    )


def choose(scenes: Sequence[Scene], *, zoom: int = 12, stride: float = 1.0) -> list[Windows]:
    boxes = np.array([one.footprint for one in scenes])
    bounds = (boxes[:, 0].min(), boxes[:, 1].min(), boxes[:, 2].max(), boxes[:, 3].max())
    cells = cells_in(bounds, zoom)
    return [
        windows
        for cell in cells
        for windows in choose_windows(cell, scenes, WORLD, Sampling(stride=stride), "c")
    ]


def places(found: Sequence[Windows], name: str) -> set[tuple[float, float]]:
    """Windows taken from a scene, in patches from its corner."""
    return {
        (int(c) / 448, int(r) / 448)
        for windows in found
        if windows.scene.id == name
        for c, r in zip(windows.col, windows.row, strict=True)
    }


def grid(columns: range, rows: range) -> set[tuple[float, float]]:
    return {(float(c), float(r)) for c in columns for r in rows}


A = scene("a", 0, 0, 10, 9)
B = scene("b", 8, 0, 10, 9)  # its first two columns lie on the last two of a


def test_the_middle_of_the_overlap_divides_two_scenes() -> None:
    found = choose([A, B])
    # In the first and last row the nearest edge is the upper or lower one, which both have: the id decides.
    assert places(found, "a") == grid(range(9), range(9)) | {(9, 0), (9, 8)}
    assert places(found, "b") == grid(range(1, 10), range(9)) - {(1, 0), (1, 8)}
    assert all(windows.counts.balanced for windows in found)


def test_the_order_among_equals_does_not_matter() -> None:
    forth, back = choose([A, B]), choose([B, A])
    assert [places(forth, name) for name in "ab"] == [places(back, name) for name in "ab"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (A, replace(B, date=date(2021, 5, 31))),
        (A, replace(B, gsd_m=0.66)),
        (replace(A, cloud=2.0), replace(B, cloud=3.0)),
        (A, replace(B, date=None)),
    ],
    ids=["older", "coarser", "cloudier", "undated"],
)
def test_a_better_scene_keeps_all_its_ground(first: Scene, second: Scene) -> None:
    found = choose([first, second])
    assert places(found, "a") == grid(range(10), range(9))
    assert places(found, "b") == grid(range(2, 10), range(9))


def test_the_same_gsd_but_for_its_measurement_is_a_tie() -> None:
    found = choose([A, replace(B, gsd_m=0.6002)])
    assert places(found, "a") == places(choose([A, B]), "a")


def test_of_two_scenes_with_the_same_extent_one_is_taken_whole() -> None:
    twin = replace(A, id="twin")
    found = choose([A, twin])
    assert places(found, "a") == grid(range(10), range(9))
    assert places(found, "twin") == set()


def test_a_window_that_loses_stays_where_the_winner_has_none() -> None:
    found = choose([A, scene("b", -10, 0, 11.4, 9)], stride=1.5)
    # Centres of the first column of `a` lie 0.5 patches inside `a` and 0.9 inside `b`, whose last whole
    # column ends where `a` begins: the next would be at 10.5 and stick out.
    assert (0, 4.5) in places(found, "a")
    assert max(c for c, _ in places(found, "b")) == 9
    found = choose([A, scene("b", -9.9, 0, 11.3, 9)], stride=1.5)  # now it ends a tenth further east
    assert (0, 4.5) not in places(found, "a")
    assert (9, 4.5) in places(found, "b")


def test_four_quarter_quads_share_their_corner() -> None:
    # 20 x 20 patches each, neighbours have 2.25 patches in common, like quarter quads of NAIP
    quads = [scene(f"q{n}", 17.75 * (n % 2), 17.75 * (n // 2), 20, 20) for n in range(4)]
    found = choose(quads)
    outlines = ground(found)
    assert shared_m2(outlines) < 449 * 0.36
    covered = shapely.union_all(shapely.buffer(outlines, 0.6)).area / PATCH_M**2
    assert covered > 37.75**2 - 2.1 * 37.75  # less than a patch is lost along each seam


def ground(found: Sequence[Windows]) -> "np.ndarray[tuple[int], np.dtype[np.object_]]":
    """Outlines of all windows taken, metres."""
    outlines = [shapely.Polygon()]
    for windows in found:
        x, y = from_lonlat(UTM18).transform(*window_outlines(windows.scene, windows.col, windows.row, 448))
        outlines += list(shapely.polygons(np.stack([x, y], axis=-1))) if len(windows.col) else []
    return np.array(outlines[1:])


def shared_m2(outlines: "np.ndarray[tuple[int], np.dtype[np.object_]]") -> float:
    """Largest area that two of the windows have in common."""
    one, other = shapely.STRtree(outlines).query(outlines, predicate="intersects")
    pairs = one < other
    common = shapely.area(shapely.intersection(outlines[one[pairs]], outlines[other[pairs]]))
    return float(common.max(initial=0.0))


scenes = st.tuples(
    st.floats(-6, 6), st.floats(-6, 6), st.floats(3, 8), st.floats(3, 8), st.sampled_from([0.6, 0.602]),
    st.sampled_from([UTM18, "EPSG:26917"]), st.booleans(),
)  # fmt: skip


@settings(max_examples=25)
@given(st.lists(scenes, min_size=2, max_size=4), st.sampled_from([1.0, 1.5]))
def test_ground_is_taken_once_and_the_same_in_every_partition(
    shapes: list[tuple[float, float, float, float, float, str, bool]], stride: float
) -> None:
    several = [
        replace(scene(f"s{n}", *shape[:4], gsd=shape[4], crs=shape[5]), date=date(2021, 1, 1 + shape[6]))
        for n, shape in enumerate(shapes)
    ]
    several.sort(key=lambda one: (one.date != date(2021, 1, 2), one.id))
    found = choose(several, stride=stride)
    assert shared_m2(ground(found)) <= 449 * 0.36 * 1.7  # a row of pixels, in the stretched metres of UTM
    ids = {id_ for windows in found for id_ in windows.ids}
    fine = choose(several, zoom=14, stride=stride)
    assert {id_ for windows in fine for id_ in windows.ids} == ids
    far = scene("s9", 40, 0, 3, 3)
    more = choose([*several, replace(far, date=date(2021, 1, 1))], stride=stride)
    assert {id_ for windows in more for id_ in windows.ids if windows.scene.id != "s9"} == ids
